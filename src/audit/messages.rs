//! What the audit can be asked.

use std::sync::Arc;

use actix::Message;
use serde::{Deserialize, Serialize};

use super::balance::AuditStatus;
use super::decisions::Decisions;
use super::error::AuditError;
use super::settlement::Settlement;
use crate::types::{CustomerId, OrderId, SaleId};

/// Whether everything agreed in the last audit of an open sale.
///
/// Answers from memory; `checked_at` says how old the status is. Answers with `None` for a sale that is not audited:
/// one that is neither armed, open, paused nor draining, or that no round has reached yet.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Option<Arc<AuditStatus>>, AuditError>")]
pub struct GetAuditStatus {
    pub sale: SaleId,
}

/// The settlement of a sale as it is at this moment, signed.
///
/// Answers in every status of the sale; the settlement is final once the sale is settled. Refuses with `UnknownSale`,
/// and with `Busy` while another settlement is being made.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Arc<Settlement>, AuditError>")]
pub struct GetSettlement {
    pub sale: SaleId,
}

/// Every decision about a customer in a sale, or about one order of it: from the waiting room to the payment.
///
/// Answers with the decisions oldest first, about a customer's last hundred orders in the sale. Refuses with the
/// `UnknownSale` of sales, and with the `UnknownOrder` of orders also for an order of another sale.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Decisions, AuditError>")]
pub struct ExplainDecisions {
    pub sale: SaleId,
    pub about: DecisionSubject,
}

/// What the decisions are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DecisionSubject {
    Customer(CustomerId),
    Order(OrderId),
}
