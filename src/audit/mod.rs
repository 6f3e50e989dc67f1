//! The audit reads all schemas at one moment and changes nothing: it says whether actor, ledger and orders agree.
//!
//! ```text
//! claims      the whole shop, from the database alone      shobai audit
//! watch       every open sale, every second                GetLight
//! settlement  one sale, every order of it explained        GetSettlement, shobai sale verify-report
//! ```
//!
//! What it finds in an open sale it tells sales, which stops the SKU; the audit itself writes nothing.

mod actor;
mod balance;
mod claims;
mod domain;
mod error;
mod messages;
mod settlement;
mod watch;

use std::time::Duration;

pub use balance::{Light, Part};
pub use claims::{Extent, Finding, claims, examine, measure};
pub use domain::{AuditDomain, AuditNeeds, AuditPorts};
pub use error::AuditError;
pub use messages::*;
pub use settlement::{
    HistoryLine, LimitBreach, Line, Orphan, Queue, QueueState, ReportKey, Row, Sealed, Settlement, Signature,
    SkuFigures, Summary, Tally, Totals, Turn, Verified, VerifyError, public_key_id, verify,
};

use crate::config::Orders;

/// What the rounds of orders may take beyond the time after which they look.
const BEYOND_ORPHAN_AFTER: Duration = Duration::from_secs(60);

/// How long stock may be without its order, or behind it, before that is a finding.
pub fn grace(orders: &Orders) -> Duration {
    Duration::from_secs(orders.orphan_after_seconds) + BEYOND_ORPHAN_AFTER
}
