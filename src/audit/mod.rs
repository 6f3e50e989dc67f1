//! The audit reads all schemas in one snapshot and changes nothing: it says whether actors, ledger and orders agree.
//!
//! ```text
//! claims        the whole shop, from the database alone     shobai audit
//! sale_auditor  every open sale, every second               GetAuditStatus
//! settlement    one sale, every order of it explained       GetSettlement, shobai sale verify-report
//! decisions     one customer or order, every decision       ExplainDecisions
//! ```
//!
//! When it finds a breach in an open sale it asks sales to stop the SKU; the audit itself writes nothing.

mod actor;
mod balance;
mod claims;
mod decisions;
mod domain;
mod error;
mod messages;
mod sale_auditor;
mod settlement;
mod snapshots;

use std::time::Duration;

pub use balance::{AuditStatus, SkuBalance};
pub use claims::{Claim, Extent, Finding, claims, examine, measure};
pub use decisions::{Decision, DecisionStage, Decisions};
pub use domain::{AuditDomain, AuditNeeds, AuditPorts};
pub use error::AuditError;
pub use messages::*;
pub use settlement::{
    AdmissionGroup, ChainedRow, HistoryLine, LimitBreach, Line, Orphan, Queue, QueueState, ReportKey, Row,
    Settlement, Signature, SkuFigures, Summary, Tally, Totals, Verified, VerifyError, public_key_id, verify,
};

use crate::config::Orders;

/// How long the reconciliation of orders may take beyond the time after which it begins.
const BEYOND_ORPHAN_AFTER: Duration = Duration::from_secs(60);

/// How long stock may exist without its order, or differ from it, before that is a finding.
pub fn grace(orders: &Orders) -> Duration {
    Duration::from_secs(orders.orphan_after_seconds) + BEYOND_ORPHAN_AFTER
}
