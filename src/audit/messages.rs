//! What the audit can be asked.

use std::sync::Arc;

use actix::Message;

use super::balance::Light;
use super::error::AuditError;
use super::settlement::Settlement;
use crate::types::SaleId;

/// Whether everything agreed when an open sale was looked at last.
///
/// Answers with nothing for a sale that is not watched: one that is neither armed, open, paused nor draining, or that
/// has not been looked at yet. An answer from memory; `checked_at` says how old it is.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Option<Arc<Light>>, AuditError>")]
pub struct GetLight {
    pub sale: SaleId,
}

/// The settlement of a sale, as it is at this moment, signed.
///
/// Answers whatever the status of the sale; it is final once the sale is settled. Refuses with `UnknownSale`, and with
/// `Busy` while another settlement is made.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Arc<Settlement>, AuditError>")]
pub struct GetSettlement {
    pub sale: SaleId,
}
