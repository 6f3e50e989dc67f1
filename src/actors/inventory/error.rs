//! The refusals and failures of inventory.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::model::ReservationState;
use crate::actors::runtime::AskError;
use crate::error::{Fault, Kind};
use crate::storage::StorageError;
use crate::types::{InvalidValue, ReservationId, SaleId, Sku};

#[derive(Debug, Clone, thiserror::Error, Serialize, Deserialize)]
pub enum InventoryError {
    #[error("there is no sku {0} in stock")]
    UnknownSku(Sku),
    #[error("{requested} pieces of {sku} are wanted and {available} are available")]
    OutOfStock { sku: Sku, requested: i64, available: i64 },
    #[error("there is no reservation {0}")]
    UnknownReservation(ReservationId),
    #[error("reservation {0} exists with other lines")]
    ReservationDiffers(ReservationId),
    #[error("reservation {id} is {state} already")]
    ReservationEnded { id: ReservationId, state: ReservationState },
    #[error("reservation {0} is committed already")]
    ReservationCommitted(ReservationId),
    #[error("reference {reference} of {sku} was used for another movement")]
    ReferenceTaken { sku: Sku, reference: String },
    #[error("{sku} is at version {actual}, not {expected}")]
    VersionDiffers { sku: Sku, expected: i64, actual: i64 },
    #[error("{sku} would have {on_hand} pieces on hand, fewer than the {reserved} reserved")]
    BelowReserved { sku: Sku, on_hand: i64, reserved: i64 },
    #[error("{requested} pieces of {sku} are wanted and the sale has {available} left")]
    SoldOut {
        sku: Sku,
        requested: i64,
        available: i64,
        /// Pieces that other customers hold and may yet release.
        held: i64,
    },
    #[error("sale {sale} has no part of {sku}")]
    NotAllotted { sku: Sku, sale: SaleId },
    #[error("sale {sale} has a part of {sku} already")]
    AllottedElsewhere { sku: Sku, sale: SaleId },
    #[error("the allotment of {sku} is {actual}, not {expected}")]
    AllotmentDiffers { sku: Sku, expected: i64, actual: i64 },
    #[error("{pieces} pieces of {sku} are to be set apart and {available} are available")]
    TooFewToAllot { sku: Sku, pieces: i64, available: i64 },
    #[error("the allotment of {sku} cannot be {pieces}: {promised} are held or sold")]
    BelowPromised { sku: Sku, pieces: i64, promised: i64 },
    #[error("{sku} would have more pieces than can be counted")]
    TooMany { sku: Sku },
    #[error(transparent)]
    Invalid(#[from] InvalidValue),
    /// The actor's state was older than the row. No change was made; the next actor loads the row.
    #[error("the stock of {0} was changed by something else")]
    Stale(Sku),
    /// The actor ended before it could answer.
    #[error("the stock of {0} is being loaded again")]
    Reloading(Sku),
    #[error("inventory has too much to do")]
    Busy,
    #[error(transparent)]
    Asking(#[from] AskError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Fault for InventoryError {
    fn kind(&self) -> Kind {
        match self {
            InventoryError::UnknownSku(_) | InventoryError::UnknownReservation(_) => Kind::NotFound,
            InventoryError::OutOfStock { .. }
            | InventoryError::ReservationDiffers(_)
            | InventoryError::ReservationEnded { .. }
            | InventoryError::ReservationCommitted(_)
            | InventoryError::ReferenceTaken { .. }
            | InventoryError::VersionDiffers { .. }
            | InventoryError::BelowReserved { .. }
            | InventoryError::SoldOut { .. }
            | InventoryError::NotAllotted { .. }
            | InventoryError::AllottedElsewhere { .. }
            | InventoryError::AllotmentDiffers { .. }
            | InventoryError::TooFewToAllot { .. }
            | InventoryError::BelowPromised { .. }
            | InventoryError::TooMany { .. } => Kind::Conflict,
            InventoryError::Invalid(_) => Kind::Invalid,
            InventoryError::Stale(_) | InventoryError::Reloading(_) => Kind::Unavailable,
            InventoryError::Busy => Kind::Busy,
            InventoryError::Asking(error) => error.kind(),
            InventoryError::Storage(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            InventoryError::UnknownSku(_) => "unknown-sku",
            InventoryError::OutOfStock { .. } => "out-of-stock",
            InventoryError::UnknownReservation(_) => "unknown-reservation",
            InventoryError::ReservationDiffers(_) => "reservation-differs",
            InventoryError::ReservationEnded { .. } => "reservation-ended",
            InventoryError::ReservationCommitted(_) => "reservation-committed",
            InventoryError::ReferenceTaken { .. } => "reference-taken",
            InventoryError::VersionDiffers { .. } => "version-differs",
            InventoryError::BelowReserved { .. } => "below-reserved",
            InventoryError::SoldOut { .. } => "sold-out",
            InventoryError::NotAllotted { .. } => "not-allotted",
            InventoryError::AllottedElsewhere { .. } => "allotted-elsewhere",
            InventoryError::AllotmentDiffers { .. } => "allotment-differs",
            InventoryError::TooFewToAllot { .. } => "too-few-to-allot",
            InventoryError::BelowPromised { .. } => "below-promised",
            InventoryError::TooMany { .. } => "too-many-pieces",
            InventoryError::Invalid(error) => error.code(),
            InventoryError::Stale(_) | InventoryError::Reloading(_) => "unavailable",
            InventoryError::Busy => "busy",
            InventoryError::Asking(error) => error.code(),
            InventoryError::Storage(error) => error.code(),
        }
    }

    fn details(&self) -> Map<String, Value> {
        let details = match self {
            InventoryError::UnknownSku(sku) => json!({ "sku": sku.as_str() }),
            InventoryError::OutOfStock { sku, requested, available } => {
                json!({ "sku": sku.as_str(), "requested": requested, "available": available })
            }
            InventoryError::VersionDiffers { sku, expected, actual } => {
                json!({ "sku": sku.as_str(), "expected": expected, "actual": actual })
            }
            InventoryError::BelowReserved { sku, on_hand, reserved } => {
                json!({ "sku": sku.as_str(), "on_hand": on_hand, "reserved": reserved })
            }
            InventoryError::SoldOut { sku, requested, available, held } => {
                json!({ "sku": sku.as_str(), "requested": requested, "available": available, "held": held })
            }
            InventoryError::AllotmentDiffers { sku, expected, actual } => {
                json!({ "sku": sku.as_str(), "expected": expected, "actual": actual })
            }
            InventoryError::TooFewToAllot { sku, pieces, available } => {
                json!({ "sku": sku.as_str(), "requested": pieces, "available": available })
            }
            InventoryError::BelowPromised { sku, promised, .. } => {
                json!({ "sku": sku.as_str(), "promised": promised })
            }
            _ => return Map::new(),
        };
        match details {
            Value::Object(details) => details,
            _ => Map::new(),
        }
    }

    fn retry_after(&self) -> Option<u32> {
        // Pieces that other customers hold may come back.
        matches!(self, InventoryError::SoldOut { held: 1.., .. }).then_some(5)
    }
}
