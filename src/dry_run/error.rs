//! Why a dry run is refused or failed.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::actors::catalog::CatalogError;
use crate::actors::runtime::AskError;
use crate::actors::sales::{Finding, SaleStatus, SalesError};
use crate::error::{Fault, Kind};
use crate::storage::{ScratchError, StorageError};
use crate::types::{InvalidValue, SaleId};

#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
pub enum DryRunError {
    #[error("sale {0} has had no dry run")]
    NeverRun(SaleId),
    #[error("a sale that is {status} has no dry run any more", status = status.as_str())]
    NotInStatus { status: SaleStatus },
    #[error("the sale cannot be run as it is planned")]
    NotValid { findings: Vec<Finding> },
    /// A sale needs the machine for its buyers.
    #[error("{name:?} is on, or is armed before a dry run would have ended")]
    SaleIsOn { name: String },
    #[error("another dry run is under way")]
    Busy,
    #[error("no database could be created for the dry run: {0}")]
    NoDatabase(String),
    #[error("the dry run is defective: {0}")]
    Broken(String),
    #[error(transparent)]
    Invalid(#[from] InvalidValue),
    #[error(transparent)]
    Sales(#[from] SalesError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Asking(#[from] AskError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<ScratchError> for DryRunError {
    fn from(error: ScratchError) -> Self {
        match error {
            ScratchError::InUse(_) => Self::Busy,
            ScratchError::NotAllowed | ScratchError::NotOurs(_) => Self::NoDatabase(error.to_string()),
            ScratchError::Storage(error) => Self::Storage(error),
        }
    }
}

impl From<tokio_postgres::Error> for DryRunError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Storage(error.into())
    }
}

impl DryRunError {
    /// The error of another domain, which has its own kind, code and details.
    fn inner(&self) -> Option<&dyn Fault> {
        match self {
            Self::Invalid(error) => Some(error),
            Self::Sales(error) => Some(error),
            Self::Catalog(error) => Some(error),
            Self::Asking(error) => Some(error),
            Self::Storage(error) => Some(error),
            _ => None,
        }
    }
}

impl Fault for DryRunError {
    fn kind(&self) -> Kind {
        match self {
            Self::NeverRun(_) => Kind::NotFound,
            Self::NotInStatus { .. } | Self::SaleIsOn { .. } | Self::NoDatabase(_) | Self::Busy => {
                Kind::Conflict
            }
            Self::NotValid { .. } => Kind::Invalid,
            other => other.inner().map_or(Kind::Internal, Fault::kind),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NeverRun(_) => "no-dry-run",
            Self::NotInStatus { .. } => "not-in-status",
            Self::NotValid { .. } => "sale-not-valid",
            Self::SaleIsOn { .. } => "sale-is-on",
            Self::Busy => "dry-run-under-way",
            Self::NoDatabase(_) => "no-dry-run-database",
            other => other.inner().map_or("internal", Fault::code),
        }
    }

    fn details(&self) -> Map<String, Value> {
        match self {
            Self::NotValid { findings } => [("findings".to_owned(), json!(findings))].into_iter().collect(),
            other => other.inner().map(Fault::details).unwrap_or_default(),
        }
    }

    fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Busy => Some(10),
            other => other.inner().and_then(Fault::retry_after),
        }
    }
}
