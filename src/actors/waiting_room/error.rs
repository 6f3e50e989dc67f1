//! Why the waiting room refuses, and what can break while it answers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::model::{Finish, TicketNumber};
use crate::actors::runtime::AskError;
use crate::error::{Fault, Kind};
use crate::storage::StorageError;
use crate::types::SaleId;

#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
pub enum WaitingRoomError {
    #[error("there is no sale {0}")]
    UnknownSale(SaleId),
    #[error("sale {0} has no waiting room, or none yet")]
    NoRoom(SaleId),
    #[error("the order of sale {0} is not drawn yet")]
    NotDrawn(SaleId),
    #[error("the sale has sold out")]
    SoldOut,
    #[error("the waiting room has too much to do")]
    Busy,
    /// Joining again answers the ticket, if it was written, or another one.
    #[error("the ticket was perhaps not written")]
    NotWritten,
    #[error(transparent)]
    Room(#[from] RoomRefusal),
    #[error("what is stored of a waiting room is defective: {0}")]
    Broken(String),
    #[error(transparent)]
    Asking(#[from] AskError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl WaitingRoomError {
    /// Whether it turns a customer away for good, rather than asking for patience.
    pub fn turns_away(&self) -> bool {
        use RoomRefusal::{Closed, EntriesClosed, Full};
        matches!(self, Self::SoldOut | Self::Room(Closed(_) | EntriesClosed | Full { .. }))
    }

    /// The error of another part, which speaks for itself.
    fn inner(&self) -> Option<&dyn Fault> {
        match self {
            Self::Room(error) => Some(error),
            Self::Asking(error) => Some(error),
            Self::Storage(error) => Some(error),
            _ => None,
        }
    }
}

impl Fault for WaitingRoomError {
    fn kind(&self) -> Kind {
        match self {
            Self::UnknownSale(_) | Self::NoRoom(_) | Self::NotDrawn(_) => Kind::NotFound,
            Self::SoldOut => Kind::Conflict,
            Self::Busy => Kind::Busy,
            Self::NotWritten => Kind::Unavailable,
            Self::Broken(_) => Kind::Internal,
            other => other.inner().map_or(Kind::Internal, Fault::kind),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::UnknownSale(_) => "unknown-sale",
            Self::NoRoom(_) => "no-waiting-room",
            Self::NotDrawn(_) => "not-drawn",
            Self::SoldOut => "sold-out",
            Self::Busy => "busy",
            Self::NotWritten => "unavailable",
            other => other.inner().map_or("internal", Fault::code),
        }
    }

    fn details(&self) -> Map<String, Value> {
        self.inner().map_or_else(Map::new, Fault::details)
    }

    fn retry_after(&self) -> Option<u32> {
        self.inner().and_then(Fault::retry_after)
    }
}

/// Why the room of a sale refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum RoomRefusal {
    #[error("the waiting room is full with {entries_max} entries")]
    Full { entries_max: u32 },
    #[error("the sale has ended: {0}")]
    Closed(Finish),
    #[error("the draw was made or is being made, and nobody can enter any more")]
    EntriesClosed,
    #[error("{entries} entries are still being written, and the draw waits for them")]
    EntriesPending { entries: u32 },
    #[error("the draw was made already")]
    AlreadyDrawn,
    #[error("the draw is not about the entries of this room")]
    OtherDraw,
    #[error("there is no ticket {0}")]
    UnknownTicket(TicketNumber),
    #[error("ticket {0} is somebody else's")]
    OthersTicket(TicketNumber),
    #[error("ticket {0} is not admitted, or no longer")]
    NotAdmitted(TicketNumber),
    #[error("the admission of ticket {0} is used already")]
    AlreadyUsed(TicketNumber),
}

impl Fault for RoomRefusal {
    fn kind(&self) -> Kind {
        match self {
            Self::EntriesPending { .. } => Kind::Busy,
            // A full room stays full: no number becomes free again.
            Self::Full { .. }
            | Self::Closed(_)
            | Self::EntriesClosed
            | Self::AlreadyDrawn
            | Self::NotAdmitted(_)
            | Self::AlreadyUsed(_) => Kind::Conflict,
            Self::OtherDraw => Kind::Internal,
            Self::UnknownTicket(_) => Kind::NotFound,
            Self::OthersTicket(_) => Kind::Forbidden,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "waiting-room-full",
            Self::Closed(Finish::SoldOut) => "sale-sold-out",
            Self::Closed(Finish::Closed) => "sale-closed",
            Self::EntriesClosed => "entries-closed",
            Self::EntriesPending { .. } => "entries-on-their-way",
            Self::AlreadyDrawn => "already-drawn",
            Self::OtherDraw => "other-draw",
            Self::UnknownTicket(_) => "unknown-ticket",
            Self::OthersTicket(_) => "others-ticket",
            Self::NotAdmitted(_) => "not-admitted",
            Self::AlreadyUsed(_) => "admission-used",
        }
    }
}

/// Why a room cannot be built from what was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    #[error("ticket {0} is stored twice")]
    TicketTwice(TicketNumber),
    #[error("the stored draw is not about the stored entries of sale {0}")]
    OtherDraw(SaleId),
    #[error("ticket {0} is past waiting, but nothing was drawn")]
    AdmittedBeforeTheDraw(TicketNumber),
}
