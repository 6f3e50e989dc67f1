//! What the audit can be asked.

use std::sync::Arc;

use actix::Message;
use serde::{Deserialize, Serialize};

use super::balance::AuditStatus;
use super::error::AuditError;
use super::settlement::Settlement;
use crate::types::SaleId;

/// Whether everything agreed in the last audit of an open sale.
///
/// Answers from memory; `checked_at` says how old the status is. Answers with `None` for a sale that is not audited: one
/// that is neither armed, open, paused nor draining, or that no round has reached yet.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Option<Arc<AuditStatus>>, AuditError>")]
pub struct GetAuditStatus {
    pub sale: SaleId,
}

/// The settlement of a sale as it is at this moment, signed.
///
/// Answers in every status of the sale; the settlement is final once the sale is settled. Refuses with `UnknownSale`, and
/// with `Busy` while another settlement is being made.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Arc<Settlement>, AuditError>")]
pub struct GetSettlement {
    pub sale: SaleId,
}
