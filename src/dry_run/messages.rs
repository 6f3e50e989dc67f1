//! What the dry run can be asked.

use actix::Message;
use jiff::Timestamp;

use super::error::DryRunError;
use super::report::{CrowdSize, Report};
use crate::types::{CustomerId, SaleId};

/// Starts the dry run of a sale.
///
/// Answers when it is under way. Refuses with `NotInStatus` once the sale is armed, with `SaleIsOn` while any sale is on
/// or about to be, with `Busy` while another dry run is under way, with
/// `Invalid` for a crowd that is larger than is configured, and where no database can be made.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), DryRunError>")]
pub struct StartDryRun {
    pub sale: SaleId,
    /// Who comes; of its own choice where nothing is said.
    pub customers: Option<i64>,
    /// For how long the sale is open, at most.
    pub seconds: Option<i64>,
    pub by: CustomerId,
    pub reason: String,
}

/// The dry run of a sale that is under way, or the last one. Refuses with `NeverRun` when there is none.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<DryRun, DryRunError>")]
pub struct GetDryRun {
    pub sale: SaleId,
}

/// A dry run and how far it is.
#[derive(Debug, Clone)]
pub struct DryRun {
    pub by: Option<CustomerId>,
    pub reason: String,
    pub started_at: Timestamp,
    pub state: DryRunState,
}

#[derive(Debug, Clone)]
pub enum DryRunState {
    Running { crowd: CrowdSize, phase: Phase },
    Done { ended_at: Timestamp, report: Box<Report> },
    Failed { ended_at: Timestamp, failure: String },
}

/// What a dry run that is under way is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Preparing,
    Sale,
    Machine,
    Closing,
}

impl Phase {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Sale => "sale",
            Self::Machine => "machine",
            Self::Closing => "closing",
        }
    }
}
