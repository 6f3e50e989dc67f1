//! What payments can be asked, in the order of a payment's life.

use actix::Message;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::PaymentsError;
use super::model::{Payment, PaymentMethod};
use crate::types::{Money, OrderId};

/// Opens the payment of an order.
///
/// Answers with a captured card payment, or with a konbini slip that can be paid until `pay_before`.
/// Refuses with `Declined` when the card is not charged.
/// Asking twice for the same order answers the same payment.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Payment, PaymentsError>")]
pub struct OpenPayment {
    pub order: OrderId,
    pub method: PaymentMethod,
    pub amount: Money,
    pub pay_before: Timestamp,
}

/// Voids the payment of an order: cancels what is pending, refunds what was captured.
///
/// Answers with the payment as it is then. Asking twice changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Payment, PaymentsError>")]
pub struct VoidPayment {
    pub order: OrderId,
    pub payment: Payment,
}
