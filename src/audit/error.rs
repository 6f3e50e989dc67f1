//! Why the audit refuses or fails.

use serde::{Deserialize, Serialize};

use crate::actors::runtime::AskError;
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
    Storage(#[from] StorageError),
    #[error(transparent)]
    Asking(#[from] AskError),
}

impl From<tokio_postgres::Error> for AuditError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Storage(error.into())
    }
}

impl Fault for AuditError {
    fn kind(&self) -> Kind {
        match self {
            Self::UnknownSale(_) => Kind::NotFound,
            Self::Busy => Kind::Busy,
            Self::Broken(_) => Kind::Internal,
            Self::Storage(error) => error.kind(),
            Self::Asking(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::UnknownSale(_) => "unknown-sale",
            Self::Busy => "busy",
            Self::Broken(_) => "internal",
            Self::Storage(error) => error.code(),
            Self::Asking(error) => error.code(),
        }
    }

    fn retry_after(&self) -> Option<u32> {
        matches!(self, Self::Busy).then_some(5)
    }
}
