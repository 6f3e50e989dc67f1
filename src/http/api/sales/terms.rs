//! The conditions of a sale in JSON, which operators plan and read in the same form.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::actors::sales::{HoldSeconds, KonbiniTerms};
use crate::actors::waiting_room::{AdmissionMode, AdmissionTerms};
use crate::http::gateway::input;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldSecondsBody {
    #[serde(deserialize_with = "input::whole")]
    #[schema(minimum = 1, example = 600)]
    pub card: i64,
    #[serde(deserialize_with = "input::whole")]
    #[schema(minimum = 1, example = 3600)]
    pub konbini: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KonbiniTermsBody {
    pub allowed: bool,
    /// The share of a SKU's allotment that may be held for slips that are not paid.
    #[schema(minimum = 0, maximum = 1, example = 0.3)]
    pub share_max: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdmissionTermsBody {
    #[schema(value_type = AdmissionModeName)]
    pub mode: AdmissionMode,
    /// Customers let in each second; steered by how fast orders are placed if missing.
    #[serde(default)]
    #[schema(minimum = 1)]
    pub per_second: Option<u32>,
}

// For the document only.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "describes the modes in the API document")]
pub enum AdmissionModeName {
    None,
    Queue,
    Lottery,
}

pub const fn default_hold_seconds() -> HoldSecondsBody {
    HoldSecondsBody { card: 600, konbini: 3_600 }
}

pub const fn default_konbini() -> KonbiniTermsBody {
    KonbiniTermsBody { allowed: true, share_max: 1.0 }
}

pub const fn default_admission() -> AdmissionTermsBody {
    AdmissionTermsBody { mode: AdmissionMode::None, per_second: None }
}

impl From<HoldSecondsBody> for HoldSeconds {
    fn from(HoldSecondsBody { card, konbini }: HoldSecondsBody) -> Self {
        Self { card, konbini }
    }
}

impl From<KonbiniTermsBody> for KonbiniTerms {
    fn from(KonbiniTermsBody { allowed, share_max }: KonbiniTermsBody) -> Self {
        Self { allowed, share_max }
    }
}

impl From<AdmissionTermsBody> for AdmissionTerms {
    fn from(AdmissionTermsBody { mode, per_second }: AdmissionTermsBody) -> Self {
        Self { mode, per_second }
    }
}
