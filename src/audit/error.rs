//! Why the audit refuses or fails.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::actors::inventory::InventoryError;
use crate::actors::orders::OrdersError;
use crate::actors::runtime::AskError;
use crate::actors::sales::SalesError;
use crate::actors::waiting_room::WaitingRoomError;
use crate::error::{Fault, Kind};
use crate::storage::StorageError;
use crate::types::SaleId;

#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
pub enum AuditError {
    #[error("there is no sale {0}")]
    UnknownSale(SaleId),
    /// A settlement needs memory for every order of a sale, so one is made at a time.
    #[error("another sale is being settled")]
    Busy,
    #[error("the settlement could not be made: {0}")]
    Broken(String),
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    #[error(transparent)]
    Orders(#[from] OrdersError),
    #[error(transparent)]
    Sales(#[from] SalesError),
    #[error(transparent)]
    WaitingRoom(#[from] WaitingRoomError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Asking(#[from] AskError),
}

impl From<tokio_postgres::Error> for AuditError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Storage(error.into())
    }
}

impl AuditError {
    /// The error of another domain or layer, which has its own kind, code and details.
    fn inner(&self) -> Option<&dyn Fault> {
        match self {
            Self::Inventory(error) => Some(error),
            Self::Orders(error) => Some(error),
            Self::Sales(error) => Some(error),
            Self::WaitingRoom(error) => Some(error),
            Self::Storage(error) => Some(error),
            Self::Asking(error) => Some(error),
            Self::UnknownSale(_) | Self::Busy | Self::Broken(_) => None,
        }
    }
}

impl Fault for AuditError {
    fn kind(&self) -> Kind {
        match self {
            Self::UnknownSale(_) => Kind::NotFound,
            Self::Busy => Kind::Busy,
            other => other.inner().map_or(Kind::Internal, Fault::kind),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::UnknownSale(_) => "unknown-sale",
            Self::Busy => "busy",
            other => other.inner().map_or("internal", Fault::code),
        }
    }

    fn details(&self) -> Map<String, Value> {
        self.inner().map(Fault::details).unwrap_or_default()
    }

    fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Busy => Some(5),
            other => other.inner().and_then(Fault::retry_after),
        }
    }
}
