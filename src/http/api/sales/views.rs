//! A sale as its operators see it: the plan, its status, what was done to it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::terms::{AdmissionTermsBody, HoldSecondsBody, KonbiniTermsBody};
use crate::actors::sales::{
    ChangeRecord, Finding, HoldSeconds, KonbiniTerms, Sale, SaleDraft, SaleItem, SaleStatus,
};
use crate::actors::waiting_room::AdmissionTerms;
use crate::http::api::proposals::ProposalView;
use crate::types::CustomerId;

/// A sale as its operators see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SaleView {
    pub id: Uuid,
    pub name: String,
    /// `draft`, `scheduled`, `armed`, `open`, `paused`, `draining`, `closed`, `settled` or `cancelled`.
    #[schema(value_type = String, example = "open")]
    pub status: SaleStatus,
    /// Whether its kill switch is on.
    pub stopped: bool,
    #[schema(value_type = String, format = DateTime)]
    pub opens_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub closes_at: Timestamp,
    pub items: Vec<SaleItemView>,
    #[schema(required)]
    pub limit_per_customer: Option<i64>,
    pub hold_seconds: HoldSecondsBody,
    pub konbini: KonbiniTermsBody,
    pub admission: AdmissionTermsBody,
    /// Counts the changes.
    pub version: i64,
    /// SHA-256 of the seed of the draw.
    pub commitment: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When draining ends though pieces are held; null unless it drains.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub drains_until: Option<Timestamp>,
    /// With `validate`: everything that keeps the sale from being run as it is planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub findings: Option<Vec<FindingView>>,
    /// When one sale is asked for: what waits for a second operator, in it or in everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub proposals: Option<Vec<ProposalView>>,
}

/// One thing that keeps a sale from being run as it is planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FindingView {
    /// Where in the plan.
    #[schema(example = "items[0].allotment")]
    pub field: String,
    pub problem: String,
}

impl From<Finding> for FindingView {
    fn from(Finding { field, problem }: Finding) -> Self {
        Self { field, problem }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SaleItemView {
    #[schema(example = "SHOBAI-HOT-1")]
    pub sku: String,
    /// Yen, tax included.
    pub price: i64,
    pub allotment: i64,
    /// Whether its kill switch is on.
    pub stopped: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SalesView {
    pub items: Vec<SaleView>,
}

/// One entry of a sale's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChangeView {
    /// Actions that end in `-everything` concern the switch for all sales.
    #[schema(example = "pause")]
    pub action: String,
    #[schema(required)]
    pub sku: Option<String>,
    /// Who did it; null for the schedule.
    #[schema(required)]
    pub actor: Option<Uuid>,
    /// Who proposed it, where it needed a second operator.
    #[schema(required)]
    pub proposed_by: Option<Uuid>,
    pub reason: String,
    #[schema(value_type = Object)]
    pub before: Value,
    #[schema(value_type = Object)]
    pub after: Value,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChangesView {
    pub items: Vec<ChangeView>,
}

/// Whether the switch for everything is on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SwitchView {
    pub stopped: bool,
}

impl SaleView {
    pub fn of(sale: &Sale) -> Self {
        let SaleDraft { name, opens_at, closes_at, items, terms } = &sale.draft;
        let item = |item: &SaleItem| SaleItemView {
            sku: item.sku.to_string(),
            price: item.price.amount(),
            allotment: item.allotment.get(),
            stopped: sale.stopped_skus.contains(&item.sku),
        };
        let HoldSeconds { card, konbini } = terms.hold_seconds;
        let KonbiniTerms { allowed, share_max } = terms.konbini;
        let AdmissionTerms { mode, per_second } = terms.admission;
        Self {
            id: sale.id.uuid(),
            name: name.clone(),
            status: sale.status,
            stopped: sale.is_stopped,
            opens_at: *opens_at,
            closes_at: *closes_at,
            items: items.iter().map(item).collect(),
            limit_per_customer: terms.limit_per_customer,
            hold_seconds: HoldSecondsBody { card, konbini },
            konbini: KonbiniTermsBody { allowed, share_max },
            admission: AdmissionTermsBody { mode, per_second },
            version: sale.version,
            commitment: sale.commitment.clone(),
            created_at: sale.created_at,
            drains_until: sale.drains_until,
            findings: None,
            proposals: None,
        }
    }
}

impl ChangeView {
    pub fn of(change: &ChangeRecord) -> Self {
        Self {
            action: change.action.clone(),
            sku: change.sku.as_ref().map(ToString::to_string),
            actor: change.by.operator().map(CustomerId::uuid),
            proposed_by: change.proposed_by.map(CustomerId::uuid),
            reason: change.reason.clone(),
            before: change.before.clone(),
            after: change.after.clone(),
            at: change.at,
        }
    }
}
