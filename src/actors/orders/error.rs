//! Refusals and failures of orders, and those of the domains that it asks.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::model::OrderStatus;
use crate::actors::catalog::CatalogError;
use crate::actors::inventory::InventoryError;
use crate::actors::payments::PaymentsError;
use crate::actors::runtime::AskError;
use crate::actors::sales::SalesError;
use crate::error::{Fault, Kind};
use crate::storage::StorageError;
use crate::types::{InvalidValue, Money, OrderId};

#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
pub enum OrdersError {
    #[error("there is no order {0}")]
    UnknownOrder(OrderId),
    #[error("the idempotency key was used for another request")]
    KeyReused,
    #[error("order {order} is {status} and cannot be cancelled", status = status.as_str())]
    NotCancellable { order: OrderId, status: OrderStatus },
    #[error("order {order} costs {} yen and {} were reported as paid", total.amount(), reported.amount())]
    AmountDiffers { order: OrderId, total: Money, reported: Money },
    #[error("order {0} is not paid at a konbini")]
    NotAKonbiniOrder(OrderId),
    #[error("an order has at most {most} lines, not {lines}")]
    TooManyLines { lines: usize, most: usize },
    #[error(transparent)]
    Invalid(#[from] InvalidValue),
    #[error("orders has too much to do")]
    Busy,
    /// The order may or may not have been placed; the same idempotency key finds out.
    #[error("it is not known whether the order was placed")]
    Unknown,
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    #[error(transparent)]
    Payments(#[from] PaymentsError),
    #[error(transparent)]
    Sales(#[from] SalesError),
    #[error(transparent)]
    Asking(#[from] AskError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl OrdersError {
    /// The error of another domain, which has its own kind and code.
    fn inner(&self) -> Option<&dyn Fault> {
        match self {
            OrdersError::Invalid(error) => Some(error),
            OrdersError::Catalog(error) => Some(error),
            OrdersError::Inventory(error) => Some(error),
            OrdersError::Payments(error) => Some(error),
            OrdersError::Sales(error) => Some(error),
            OrdersError::Asking(error) => Some(error),
            OrdersError::Storage(error) => Some(error),
            _ => None,
        }
    }
}

impl Fault for OrdersError {
    fn kind(&self) -> Kind {
        match self {
            OrdersError::UnknownOrder(_) => Kind::NotFound,
            OrdersError::KeyReused
            | OrdersError::AmountDiffers { .. }
            | OrdersError::NotAKonbiniOrder(_)
            | OrdersError::TooManyLines { .. } => Kind::Invalid,
            OrdersError::NotCancellable { .. } => Kind::Conflict,
            OrdersError::Busy => Kind::Busy,
            OrdersError::Unknown => Kind::Unavailable,
            _ => self.inner().map_or(Kind::Internal, Fault::kind),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            OrdersError::UnknownOrder(_) => "unknown-order",
            OrdersError::KeyReused => "idempotency-key-reused",
            OrdersError::NotCancellable { .. } => "not-cancellable",
            OrdersError::AmountDiffers { .. } => "amount-differs",
            OrdersError::NotAKonbiniOrder(_) => "not-a-konbini-order",
            OrdersError::TooManyLines { .. } => "too-many-lines",
            OrdersError::Busy => "busy",
            OrdersError::Unknown => "unavailable",
            _ => self.inner().map_or("internal", Fault::code),
        }
    }

    fn details(&self) -> Map<String, Value> {
        self.inner().map(Fault::details).unwrap_or_default()
    }

    fn retry_after(&self) -> Option<u32> {
        self.inner().and_then(Fault::retry_after)
    }
}
