//! What the waiting room can be asked, in the order of a ticket's life, and what sales tells it.

use std::sync::Arc;

use actix::Message;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::draw::PublishedDraw;
use super::error::WaitingRoomError;
use super::model::{
    AdmissionUse, DatedChange, OrderLoad, SaleState, StoredEntry, TicketNumber, TicketState, UsedAdmissions,
    UsesTold,
};
use super::passes::Ticket;
use super::room::RoomCounts;
use crate::types::{CustomerId, PiecesLeft, SaleId};

/// Puts a customer into the waiting room of a sale.
///
/// Answers with the place, once it is durable. Refuses with `NoRoom`, `SoldOut` and as the room does. Asking twice
/// answers the same ticket.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<QueuePlace, WaitingRoomError>")]
pub struct JoinQueue {
    pub sale: SaleId,
    pub customer: CustomerId,
}

/// The place of the bearer of a ticket; answered from memory.
///
/// Refuses with `NoRoom`, with `Busy` while rooms are being loaded, and as the room does.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<QueuePlace, WaitingRoomError>")]
pub struct GetPlace {
    /// Its signature was checked.
    pub ticket: Ticket,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QueuePlace {
    pub ticket: String,
    pub number: TicketNumber,
    pub state: TicketState,
    /// From 1; only while waiting.
    pub position: Option<u32>,
    pub estimated_wait_seconds: Option<u64>,
    /// `None` before the sale has its pieces.
    pub left: Option<PiecesLeft>,
    /// Only while admitted.
    pub admission: Option<String>,
    pub admitted_until: Option<Timestamp>,
    pub ask_again_in_seconds: u32,
}

/// The draw of a sale with its seed, which anybody may check. Refuses with `NotDrawn` before the draw.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Arc<PublishedDraw>, WaitingRoomError>")]
pub struct GetDraw {
    pub sale: SaleId,
}

/// The figures of a waiting room.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<RoomFigures, WaitingRoomError>")]
pub struct GetRoom {
    pub sale: SaleId,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoomFigures {
    pub counts: RoomCounts,
    pub is_drawn: bool,
    pub admissions_per_second: f64,
}

/// The tickets of a customer in a sale, and what became of them. Empty when there is none.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<TicketHistory, WaitingRoomError>")]
pub struct GetTicketHistory {
    pub sale: SaleId,
    pub customer: CustomerId,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TicketHistory {
    /// By ascending number.
    pub entries: Vec<StoredEntry>,
    /// By ascending number, those of one ticket in the order of time.
    pub changes: Vec<DatedChange>,
}

/// Tells how the sales with a waiting room stand, and makes their rooms go on: draws, admits, lets admissions lapse.
///
/// Sales tells it several times a second. A use of an admission is told again until an answer has acknowledged it, so
/// that a message or its answer may be lost. Being told twice changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<SalesObserved, WaitingRoomError>")]
pub struct ObserveSales {
    /// Those that have, or will have, a waiting room. The room of any other sale is closed.
    pub sales: Vec<SaleState>,
    /// Uses and returns since those that were acknowledged, in their order.
    pub uses: Vec<AdmissionUse>,
    /// What is acknowledged when this is answered.
    pub told: UsesTold,
    /// Every use before this moment was told.
    pub told_to: Timestamp,
    /// Of the sales that the last answer asked for.
    pub used: Vec<UsedAdmissions>,
    pub load: OrderLoad,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SalesObserved {
    /// These and all before need not be told again.
    pub acknowledged: UsesTold,
    /// The sales whose used admissions are to be told as a whole, because their rooms are yet to be loaded or because a
    /// new generation of sales began.
    pub asks_used: Vec<SaleId>,
}
