//! What the dry run can be asked.

use actix::Message;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::error::DryRunError;
use super::report::{CrowdSize, Report};
use crate::types::{CustomerId, SaleId};

/// Starts the dry run of a sale.
///
/// Answers when the run is under way. Refuses with `NotInStatus` once the sale is armed, with `SaleIsOn` while any sale
/// is on or about to be, with `Busy` while another dry run is under way, with `Invalid` for a crowd that is larger than
/// is configured, and with `NoDatabase` where no database can be created.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<(), DryRunError>")]
pub struct StartDryRun {
    pub sale: SaleId,
    /// The number of customers; `None` chooses it by the pieces of the sale.
    pub customers: Option<i64>,
    /// The longest time for which the sale is open.
    pub seconds: Option<i64>,
    pub by: CustomerId,
    pub reason: String,
}

/// The dry run of a sale that is under way, or the last one. Refuses with `NeverRun` when there is none.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<DryRun, DryRunError>")]
pub struct GetDryRun {
    pub sale: SaleId,
}

/// A dry run and its progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DryRun {
    pub by: Option<CustomerId>,
    pub reason: String,
    pub started_at: Timestamp,
    pub state: DryRunState,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum DryRunState {
    Running { crowd: CrowdSize, phase: Phase },
    Done { ended_at: Timestamp, report: Box<Report> },
    Failed { ended_at: Timestamp, failure: String },
}

/// The phase of a dry run that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Phase {
    Preparing,
    Sale,
    Machine,
    Closing,
}

impl Phase {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
