//! The messages that orders answers, in the order of an order's life.

use std::sync::Arc;
use std::time::Duration;

use actix::Message;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::OrdersError;
use super::model::{HistoryEntry, IdempotencyKey, Order, OrderStatus};
use crate::actors::inventory::Line;
use crate::actors::payments::{PaymentMethod, PaymentReport};
use crate::actors::sales::DeviceId;
use crate::actors::waiting_room::Admission;
use crate::types::{Cursor, CustomerId, Limit, OrderId, Page, SaleId};

/// Places an order: everything that it needs is held and its payment is opened, all of it or nothing.
///
/// Answers with the order once it is durable.
/// Refuses with `UnknownSku`, `OutOfStock`, `Declined` or a gate of the sale; after a refusal nothing is held and the key
/// is free. The same key and request again answer the first order; another request with the key is refused with
/// `KeyReused`.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Placed, OrdersError>")]
pub struct PlaceOrder {
    pub customer: CustomerId,
    pub key: IdempotencyKey,
    /// At least one; lines of the same SKU are summed.
    pub lines: Vec<Line>,
    pub payment: PaymentMethod,
    /// Staff pass the switches that keep customers out of a sale.
    pub is_staff: bool,
    /// Into the sale, where it has a waiting room; its signature was checked.
    pub admission: Option<Admission>,
    /// The device that the client names.
    pub device: Option<DeviceId>,
    pub arrived_at: Timestamp,
}

/// A placed order, as it was answered the first time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Placed {
    pub order: Arc<Order>,
    /// Whether it had been placed before, so that this is the first answer again.
    pub replayed: bool,
}

/// One order of a customer. Another customer's is `UnknownOrder`.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Order, OrdersError>")]
pub struct GetOrder {
    pub customer: CustomerId,
    pub order: OrderId,
}

/// A customer's orders, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Page<Order>, OrdersError>")]
pub struct ListOrders {
    pub customer: CustomerId,
    pub limit: Limit,
    pub cursor: Option<Cursor>,
    pub status: Option<OrderStatus>,
    /// Only those of this sale.
    pub sale: Option<SaleId>,
}

/// Any customer's order, for staff.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Order, OrdersError>")]
pub struct InspectOrder {
    pub order: OrderId,
}

/// What happened to an order, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Vec<HistoryEntry>, OrdersError>")]
pub struct ListHistory {
    pub customer: CustomerId,
    pub order: OrderId,
}

/// How long orders of a sale took from their arrival to the answer that they are durable, in the last ten seconds.
///
/// Answers `None` when none was placed.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Option<Latency>, OrdersError>")]
pub struct GetLatency {
    pub sale: SaleId,
}

/// Percentiles of how long orders took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    pub orders: u64,
    pub p50: Duration,
    pub p99: Duration,
    pub p999: Duration,
}

/// Cancels an order, releases what it holds and refunds its payment.
///
/// Answers with the cancelled order. Refuses with `NotCancellable` once it has expired.
/// Asking twice changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Order, OrdersError>")]
pub struct CancelOrder {
    pub customer: CustomerId,
    pub order: OrderId,
}

/// Records a payment that the provider reports.
///
/// Answers with the order: confirmed, or refunded when the money came after its end or too late for its stock.
/// The same report again changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Order, OrdersError>")]
pub struct RecordPayment {
    pub report: PaymentReport,
}

/// How long the oldest change of an order that waits to be durable has been waiting; zero when none waits.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Duration, OrdersError>")]
pub struct GetCommitLag;
