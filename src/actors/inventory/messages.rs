//! What inventory can be asked, in the order of a piece's life.

use std::time::Duration;

use actix::Message;
use jiff::Timestamp;

use super::allotment::Allotment;
use super::error::InventoryError;
use super::model::{
    Claimed, Figures, HoldRecord, Line, Movement, OpenHolds, Purpose, Reservation, SaleClaim, Stock,
};
use crate::types::{Cursor, Limit, OrderId, Page, Quantity, ReservationId, SaleId, Sku};

/// Begins to count pieces of a SKU, from nothing.
///
/// Answers with the stock. Asking twice changes nothing.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Stock, InventoryError>")]
pub struct TrackSku {
    pub sku: Sku,
}

/// Brings pieces into stock.
///
/// Answers with the movement. Refuses with `UnknownSku`.
/// The same reference again answers the first movement; with another quantity it is refused with `ReferenceTaken`.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Movement, InventoryError>")]
pub struct ReceiveStock {
    pub sku: Sku,
    pub quantity: Quantity,
    pub reference: String,
}

/// Corrects the pieces on hand after a count, a loss or a find.
///
/// Answers with the movement. Refuses with `VersionDiffers` when `expected_version` is given and another, and with
/// `BelowReserved` when fewer pieces would be left than are promised.
/// The same reference again answers the first movement.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Movement, InventoryError>")]
pub struct AdjustStock {
    pub sku: Sku,
    /// Pieces, not zero; negative takes away.
    pub delta: i64,
    pub reason: String,
    pub expected_version: Option<i64>,
    pub reference: Option<String>,
}

/// Sets pieces of one or more SKUs aside: all lines or none.
///
/// Answers with the reservation, which lapses at `expires_at` unless committed.
/// Refuses with `OutOfStock` when one line cannot be promised in full; an id whose first lines had been set aside by
/// then is used up.
/// Asking twice with the same id answers the same reservation; with other lines it is refused with
/// `ReservationDiffers`.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Reservation, InventoryError>")]
pub struct ReserveStock {
    pub id: ReservationId,
    /// Not empty; lines of the same SKU are summed.
    pub lines: Vec<Line>,
    pub purpose: Purpose,
    pub expires_at: Timestamp,
    /// The sale whose part some of the lines come from.
    pub sale: Option<SaleLines>,
    /// The id was made for this very question, so nobody can have used it before; spares a look into the database.
    pub id_is_new: bool,
}

/// Which lines of a reservation come from the part of a sale, and whom they count for.
#[derive(Debug, Clone)]
pub struct SaleLines {
    pub claim: SaleClaim,
    pub skus: Vec<Sku>,
}

impl SaleLines {
    pub(super) fn claim_on(&self, sku: &Sku) -> Option<SaleClaim> {
        self.skus.contains(sku).then(|| self.claim.clone())
    }
}

/// Takes reserved pieces out of stock for good: they are sold.
///
/// Answers with the reservation. Refuses with `UnknownReservation` and with `ReservationEnded` once it was released or
/// has expired; an expired one is taken anew `even_if_expired`, if there are enough pieces, else `OutOfStock`.
/// Asking twice changes nothing.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Reservation, InventoryError>")]
pub struct CommitReservation {
    pub id: ReservationId,
    /// What it was made for; a reservation for an order is not known to staff, nor the other way round.
    pub purpose: Purpose,
    /// The SKUs of the reservation where the asker knows them; empty: they are looked up.
    pub skus: Vec<Sku>,
    pub even_if_expired: bool,
}

/// Gives reserved pieces back to those who still want them; pieces already sold return on hand.
///
/// Answers with the reservation. Refuses with `UnknownReservation`.
/// Asking twice changes nothing, and what has expired is left as it is.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Reservation, InventoryError>")]
pub struct ReleaseReservation {
    pub id: ReservationId,
    /// As for [`CommitReservation`].
    pub purpose: Purpose,
    /// As for [`CommitReservation`].
    pub skus: Vec<Sku>,
    /// Whether pieces that were committed come back too; if not, `ReservationCommitted` refuses.
    pub even_if_committed: bool,
    /// Whether what is still held counts as expired, because the time to pay for it has passed.
    pub has_expired: bool,
}

/// The lines of a reservation as they are now; none, if there is no such reservation.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Vec<HoldRecord>, InventoryError>")]
pub struct ListHolds {
    pub id: ReservationId,
}

/// The stock of one SKU as it is durable.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Stock, InventoryError>")]
pub struct GetStock {
    pub sku: Sku,
}

/// The pieces available of many SKUs, in the order asked; zero for those that are not in stock at all.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Vec<i64>, InventoryError>")]
pub struct ListAvailable {
    pub skus: Vec<Sku>,
}

/// The ledger of one SKU, newest movement first.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Page<Movement>, InventoryError>")]
pub struct ListMovements {
    pub sku: Sku,
    pub limit: Limit,
    pub cursor: Option<Cursor>,
}

/// Sets pieces of general stock apart for a sale; from then on only its orders can have them.
///
/// Answers with the sale's part. Refuses with `TooFewToAllot`, and with `AllottedElsewhere` while another sale has a part
/// of the SKU. Asking twice changes nothing; with another number it is refused with `AllotmentDiffers`.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Allotment, InventoryError>")]
pub struct AllotStock {
    pub sale: SaleId,
    pub sku: Sku,
    pub pieces: Quantity,
}

/// Makes the part of a sale larger or smaller.
///
/// Answers with the part. Refuses with `AllotmentDiffers` unless it is as expected, with `BelowPromised` when more are
/// held or sold, with `TooFewToAllot` when general stock has not as many. Asking twice changes nothing.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Allotment, InventoryError>")]
pub struct ChangeAllotment {
    pub sale: SaleId,
    pub sku: Sku,
    pub pieces: Quantity,
    pub expected: Quantity,
}

/// Gives what remains of a sale's part back to general stock, and all that comes back later.
///
/// Asking twice changes nothing.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), InventoryError>")]
pub struct CloseAllotment {
    pub sale: SaleId,
    pub sku: Sku,
}

/// The figures of one SKU as they are durable, as its actor has them.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Figures, InventoryError>")]
pub struct GetFigures {
    pub sku: Sku,
}

/// What a sale got of every SKU, and what became of it.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Vec<(Sku, Allotment)>, InventoryError>")]
pub struct ListAllotments {
    pub sale: SaleId,
}

/// The live reservations of a sale, all or that of one order: the truth about who has how many pieces.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Vec<Claimed>, InventoryError>")]
pub struct ListClaims {
    pub sale: SaleId,
    pub order: Option<OrderId>,
}

/// How many orders of a sale have pieces that are not sold yet, and until when the last of them has.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<OpenHolds, InventoryError>")]
pub struct CountOpenHolds {
    pub sale: SaleId,
}

/// How old the reservations of a sale are that are held and neither sold nor given back, as it was at most a second ago.
///
/// Answers nothing while none is held.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Option<HoldAges>, InventoryError>")]
pub struct GetHoldAges {
    pub sale: SaleId,
}

/// When the oldest of some reservations was made, and the one in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldAges {
    pub oldest_made_at: Timestamp,
    pub median_made_at: Timestamp,
}

/// What the actors of some SKUs have to do, in the order asked; nothing for those that have none. Starts no actor.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Vec<SkuLoad>, InventoryError>")]
pub struct ListSkuLoads {
    pub skus: Vec<Sku>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SkuLoad {
    /// Its actor runs and has its row: the next question is answered from memory.
    pub is_ready: bool,
    /// Questions that wait for its answer, those among them that wait for their commit.
    pub waiting: u32,
    /// How often its actor ended and another took over, since the SKU was last let go for being idle.
    pub restarts: u32,
}

/// Reservations for orders that are still held though their orders were begun before a time, oldest first.
///
/// When an order was begun is told by its id, so that a reservation that became durable late is not passed over.
/// Each with the sale whose part some of it comes from. For the sweep of orders: what was held for an order that never came to be is found among these.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Vec<(ReservationId, Option<SaleId>)>, InventoryError>")]
pub struct ListHeldForOrders {
    pub made_before: Timestamp,
    pub after: Option<ReservationId>,
    pub limit: i64,
}

/// How long the oldest change of stock that waits to be durable has been waiting; zero when none waits.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Duration, InventoryError>")]
pub struct GetCommitLag;
