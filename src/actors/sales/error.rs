//! What sales refuses, and what can fail while it asks other domains.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::gates::Refusal;
use super::model::{Action, Finding, SaleStatus};
use crate::actors::catalog::CatalogError;
use crate::actors::inventory::InventoryError;
use crate::actors::runtime::AskError;
use crate::error::{Fault, Kind};
use crate::storage::StorageError;
use crate::types::{InvalidValue, ProposalId, SaleId, Sku};

#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
pub enum SalesError {
    #[error("there is no sale {0}")]
    UnknownSale(SaleId),
    #[error("the sale has no {0}")]
    UnknownItem(Sku),
    #[error("a sale that is {status} cannot be told to {action}", status = status.as_str(), action = action.as_str())]
    NotInStatus { sale: SaleId, status: SaleStatus, action: Action },
    #[error("the pieces of a sale that is {status} cannot be changed", status = status.as_str())]
    PiecesFixed { status: SaleStatus },
    #[error("the sale is paused and stopped: it is to be said which of the two ends")]
    TwoHalts,
    #[error("a sale that is {status} cannot be planned anew", status = status.as_str())]
    NotADraft { status: SaleStatus },
    #[error("the sale cannot be run as it is planned")]
    NotValid { findings: Vec<Finding> },
    #[error("the sale cannot be armed: not all of its skus are ready")]
    NotReady { findings: Vec<Finding> },
    /// The same because something is broken or busy: the same command may succeed in a moment.
    #[error("the sale cannot be armed yet: {because}")]
    NotReadyYet { findings: Vec<Finding>, because: InventoryError },
    #[error("{orders} orders of the sale are not paid yet; the last of them lapses at {until} at the latest")]
    OrdersOpen { orders: i64, until: Timestamp },
    /// Another command changed it at the same time.
    #[error("the sale was changed by somebody else at the same time")]
    Overtaken,
    #[error("there is no proposal {0} that waits for a second operator")]
    UnknownProposal(ProposalId),
    #[error("{most} proposals wait for a second operator, and no more may")]
    TooManyProposals { most: u32 },
    /// A gate held the order up.
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Invalid(#[from] InvalidValue),
    #[error("something in sales is broken: {0}")]
    Broken(String),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    #[error(transparent)]
    Asking(#[from] AskError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl SalesError {
    /// The sale ended before it could be bought in.
    pub fn over() -> Self {
        Refusal::NotOpen { opens_in: None }.into()
    }

    /// The error of another domain, which has a kind and a code of its own.
    fn inner(&self) -> Option<&dyn Fault> {
        match self {
            Self::Invalid(error) => Some(error),
            Self::Catalog(error) => Some(error),
            Self::Inventory(error) | Self::NotReadyYet { because: error, .. } => Some(error),
            Self::Asking(error) => Some(error),
            Self::Storage(error) => Some(error),
            _ => None,
        }
    }
}

impl Fault for SalesError {
    fn kind(&self) -> Kind {
        match self {
            Self::UnknownSale(_) | Self::UnknownItem(_) => Kind::NotFound,
            Self::UnknownProposal(_) => Kind::NotFound,
            Self::TooManyProposals { .. } => Kind::Conflict,
            Self::Refused(Refusal::NotAdmitted) => Kind::Forbidden,
            Self::Refused(Refusal::TooFast { .. }) => Kind::TooMany,
            Self::NotInStatus { .. } | Self::NotADraft { .. } | Self::NotReady { .. } => Kind::Conflict,
            Self::OrdersOpen { .. } | Self::TwoHalts | Self::PiecesFixed { .. } => Kind::Conflict,
            Self::Overtaken | Self::Refused(_) => Kind::Conflict,
            Self::NotValid { .. } => Kind::Invalid,
            Self::Broken(_) => Kind::Internal,
            other => other.inner().map_or(Kind::Internal, Fault::kind),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::UnknownSale(_) => "unknown-sale",
            Self::UnknownItem(_) => "unknown-item",
            Self::NotInStatus { .. } | Self::PiecesFixed { .. } => "not-in-status",
            Self::TwoHalts => "paused-and-stopped",
            Self::NotADraft { .. } => "not-a-draft",
            Self::NotValid { .. } => "sale-not-valid",
            Self::NotReady { .. } => "sale-not-ready",
            Self::OrdersOpen { .. } => "orders-open",
            Self::Overtaken => "overtaken",
            Self::UnknownProposal(_) => "unknown-proposal",
            Self::TooManyProposals { .. } => "too-many-proposals",
            Self::Refused(refusal) => refusal.gate(),
            other => other.inner().map_or("internal", Fault::code),
        }
    }

    fn details(&self) -> Map<String, Value> {
        let details = match self {
            Self::NotInStatus { status, .. } | Self::NotADraft { status } | Self::PiecesFixed { status } => {
                json!({ "sale_status": status })
            }
            Self::NotValid { findings }
            | Self::NotReady { findings }
            | Self::NotReadyYet { findings, .. } => json!({ "findings": findings }),
            Self::OrdersOpen { orders, until } => json!({ "orders": orders, "until": until }),
            Self::Refused(Refusal::LimitReached { limit, .. }) => json!({ "limit": limit }),
            other => return other.inner().map_or_else(Map::new, Fault::details),
        };
        match details {
            Value::Object(details) => details,
            _ => Map::new(),
        }
    }

    fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Refused(refusal) => refusal.retry_after(),
            other => other.inner().and_then(Fault::retry_after),
        }
    }
}
