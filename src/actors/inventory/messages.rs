//! The messages of inventory, in the order in which stock passes through them.

use std::time::Duration;

use actix::Message;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::InventoryError;
use super::model::{
    Allotment, Claimed, Figures, HoldAges, HoldRecord, Line, Movement, OpenHolds, Purpose, Reservation,
    SaleClaim, Stock,
};
use crate::actors::runtime::entity::EntityLoad;
use crate::types::{Cursor, Limit, OrderId, Page, Quantity, ReservationId, SaleId, Sku};

/// Begins to count pieces of a SKU, from zero.
///
/// Answers with the stock. Asking twice has no further effect.
#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[rtype(result = "Result<Stock, InventoryError>")]
pub struct TrackSku {
    pub sku: Sku,
}

/// Brings pieces into stock.
///
/// Answers with the movement. Refuses with `UnknownSku`.
/// The same reference again answers the first movement; with another quantity it is refused with `ReferenceTaken`.
#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[rtype(result = "Result<Movement, InventoryError>")]
pub struct ReceiveStock {
    pub sku: Sku,
    pub quantity: Quantity,
    pub reference: String,
}

/// Corrects the pieces on hand after a count, a loss or a find.
///
/// Answers with the movement. Refuses with `VersionDiffers` when the stock is not at `expected_version`, and with
/// `BelowReserved` when fewer pieces would be left than are promised.
/// The same reference again answers the first movement.
#[derive(Debug, Clone, Message, Serialize, Deserialize)]
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
/// Answers with the reservation, which lapses at `expires_at` unless committed. Refuses with `OutOfStock` when one line
/// cannot be promised in full; if lines before it had been set aside by then, the id cannot be used again. Asking twice
/// with the same id answers the same reservation; with other lines it is refused with `ReservationDiffers`.
#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[rtype(result = "Result<Reservation, InventoryError>")]
pub struct ReserveStock {
    pub id: ReservationId,
    /// Not empty; lines of the same SKU are summed.
    pub lines: Vec<Line>,
    pub purpose: Purpose,
    pub expires_at: Timestamp,
    /// The sale whose allotments some of the lines come from.
    pub sale: Option<SaleLines>,
    /// The id was made for this request, so that no earlier one can have used it; saves a look-up in the database.
    pub id_is_new: bool,
}

/// Which lines of a reservation come from the allotments of a sale, and whose limits they count towards.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
/// Answers with the reservation. Refuses with `UnknownReservation`, and with `ReservationEnded` once it was released or
/// has expired. With `even_if_expired` an expired one is committed if there are enough pieces, else refused with
/// `OutOfStock`. Asking twice has no further effect.
#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[rtype(result = "Result<Reservation, InventoryError>")]
pub struct CommitReservation {
    pub id: ReservationId,
    /// The purpose that the reservation was made for; with another one it is unknown.
    pub purpose: Purpose,
    /// The SKUs of the reservation if the caller knows them; empty: they are looked up.
    pub skus: Vec<Sku>,
    pub even_if_expired: bool,
}

/// Makes reserved pieces available again; pieces that were committed return on hand.
///
/// Answers with the reservation. Refuses with `UnknownReservation`.
/// Asking twice has no further effect, and an expired reservation stays expired.
#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[rtype(result = "Result<Reservation, InventoryError>")]
pub struct ReleaseReservation {
    pub id: ReservationId,
    /// As for [`CommitReservation`].
    pub purpose: Purpose,
    /// As for [`CommitReservation`].
    pub skus: Vec<Sku>,
    /// Whether pieces that were committed come back too; if not, they are refused with `ReservationCommitted`.
    pub even_if_committed: bool,
    /// Whether pieces that are still held count as expired, because the time to pay for them has passed.
    pub has_expired: bool,
}

/// The lines of a reservation as they are now; empty if there is no such reservation.
#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[rtype(result = "Result<Vec<HoldRecord>, InventoryError>")]
pub struct ListHolds {
    pub id: ReservationId,
}

/// The stock of one SKU as it is durable.
#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[rtype(result = "Result<Stock, InventoryError>")]
pub struct GetStock {
    pub sku: Sku,
}

/// The pieces available of many SKUs, in the order asked; zero for a SKU that is not in stock at all.
#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[rtype(result = "Result<Vec<i64>, InventoryError>")]
pub struct ListAvailable {
    pub skus: Vec<Sku>,
}

/// The ledger of one SKU, newest movement first.
#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[rtype(result = "Result<Page<Movement>, InventoryError>")]
pub struct ListMovements {
    pub sku: Sku,
    pub limit: Limit,
    pub cursor: Option<Cursor>,
}

/// Sets pieces of general stock apart for a sale; from then on only its orders can have them.
///
/// Answers with the allotment. Refuses with `TooFewToAllot`, and with `AllottedElsewhere` while another sale has an
/// open allotment of the SKU. Asking twice has no further effect; with another number it is refused with
/// `AllotmentDiffers`.
#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[rtype(result = "Result<Allotment, InventoryError>")]
pub struct AllotStock {
    pub sale: SaleId,
    pub sku: Sku,
    pub pieces: Quantity,
}

/// Makes the allotment of a sale larger or smaller.
///
/// Answers with the allotment. Refuses with `AllotmentDiffers` unless it is as large as expected, with `BelowPromised`
/// when more pieces are held or sold, with `TooFewToAllot` when general stock does not have as many. Asking twice has
/// no further effect.
#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[rtype(result = "Result<Allotment, InventoryError>")]
pub struct ChangeAllotment {
    pub sale: SaleId,
    pub sku: Sku,
    pub pieces: Quantity,
    pub expected: Quantity,
}

/// Gives what remains of a sale's allotment back to general stock, and all pieces that come back later.
///
/// Asking twice has no further effect.
#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[rtype(result = "Result<(), InventoryError>")]
pub struct CloseAllotment {
    pub sale: SaleId,
    pub sku: Sku,
}

/// The figures of one SKU as they are durable, answered by its actor.
#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[rtype(result = "Result<Figures, InventoryError>")]
pub struct GetFigures {
    pub sku: Sku,
}

/// The allotments of a sale, open and closed.
#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[rtype(result = "Result<Vec<(Sku, Allotment)>, InventoryError>")]
pub struct ListAllotments {
    pub sale: SaleId,
}

/// The live reservations of a sale, all or that of one order: the authority on who has how many pieces.
#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[rtype(result = "Result<Vec<Claimed>, InventoryError>")]
pub struct ListClaims {
    pub sale: SaleId,
    pub order: Option<OrderId>,
}

/// How many orders of a sale hold pieces that are not sold yet, and when the last of them expires.
#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[rtype(result = "Result<OpenHolds, InventoryError>")]
pub struct CountOpenHolds {
    pub sale: SaleId,
}

/// The ages of a sale's reservations that are held, as they were at most a second ago.
///
/// Answers `None` while none is held.
#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[rtype(result = "Result<Option<HoldAges>, InventoryError>")]
pub struct GetHoldAges {
    pub sale: SaleId,
}

/// How busy the actors of some SKUs are, in the order asked; zeros for a SKU without an actor. Starts no actor.
#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[rtype(result = "Result<Vec<EntityLoad>, InventoryError>")]
pub struct ListSkuLoads {
    pub skus: Vec<Sku>,
}

/// Reservations that are held for orders that were begun before a time, oldest first.
///
/// The order's id tells when it was begun, so that a reservation that became durable late is not passed over. Each
/// comes with the sale whose allotment some of it comes from. The sweep of orders finds among these what was held for
/// an order that was never made.
#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[rtype(result = "Result<Vec<(ReservationId, Option<SaleId>)>, InventoryError>")]
pub struct ListHeldForOrders {
    pub made_before: Timestamp,
    pub after: Option<ReservationId>,
    pub limit: i64,
}

/// How long the oldest change of stock that waits to be durable has been waiting; zero when none waits.
#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[rtype(result = "Result<Duration, InventoryError>")]
pub struct GetCommitLag;
