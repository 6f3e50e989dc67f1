//! All waiting rooms of the process. Their actor alone changes them; where somebody stands is read by whoever asks, without a
//! message, since a hundred thousand people ask every few seconds.

use std::collections::HashMap;
use std::future::ready;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use jiff::Timestamp;

use super::actor::LAPSES_LATE_BY;
use super::admission::AdmissionControl;
use super::draw::{PublishedDraw, Seed};
use super::passes::{Admission, PassKey, Ticket, TicketNumber};
use super::room::{PlaceState, WaitingRoom};
use crate::actors::inventory::PiecesLeft;
use crate::actors::runtime::Port;
use crate::actors::sales::error::SalesError;
use crate::actors::sales::messages::{GetPlace, QueuePlace, SaleSeen};
use crate::types::SaleId;

/// When to ask again, at the least and at the most, in seconds.
const ASK_AGAIN: (u32, u32) = (1, 10);
/// Those who would all ask at the same moment are spread over so many seconds.
const APART: u32 = 5;

/// The rooms by their sales; cheap to clone, and all clones share them.
#[derive(Clone)]
pub struct Rooms {
    key: PassKey,
    by_sale: Arc<RwLock<HashMap<SaleId, Room>>>,
    /// All rooms that there should be are there; until then a room that is not may be on its way.
    are_all: Arc<AtomicBool>,
}

/// The room of one sale, with what its doors go by.
pub(super) struct Room {
    pub room: WaitingRoom,
    pub seed: Seed,
    pub draw: Option<Arc<PublishedDraw>>,
    pub control: AdmissionControl,
    pub seen: SaleSeen,
    pub is_drawing: bool,
    /// When its sale was over for good; those who wait are told so for a while.
    pub ended_at: Option<Instant>,
}

impl Rooms {
    /// None yet; the key signs what people are given.
    pub fn new(key: PassKey) -> Self {
        Self { key, by_sale: Arc::default(), are_all: Arc::default() }
    }

    /// Where somebody stands, for a domain or a gateway that must not know how it is found out.
    pub fn port(&self) -> Port<GetPlace> {
        let rooms = self.clone();
        Port::new(move |GetPlace { ticket }| Box::pin(ready(rooms.place(ticket, Timestamp::now()))))
    }

    /// Where the bearer of a ticket, whose signature was checked, stands. Refuses with `NoRoom`, with
    /// `Busy` while rooms are being loaded, and as the room does.
    pub(super) fn place(&self, ticket: Ticket, now: Timestamp) -> Result<QueuePlace, SalesError> {
        let rooms = self.read();
        let room = rooms.get(&ticket.sale).ok_or_else(|| self.missing(ticket.sale))?;
        let lapsed_to = now.checked_sub(LAPSES_LATE_BY).unwrap_or(now);
        let place = room.room.place(ticket.number, ticket.customer, lapsed_to)?;
        let is_waiting = matches!(place.state, PlaceState::PreQueue | PlaceState::Waiting);
        let state = if is_waiting && room.is_sold_out() { PlaceState::SoldOut } else { place.state };
        let estimated_wait = match state {
            PlaceState::PreQueue => {
                u64::try_from(room.seen.sale.draft.opens_at.duration_since(now).as_secs()).ok()
            }
            PlaceState::Waiting => room.control.estimate(place.ahead).map(|wait| wait.as_secs()),
            _ => None,
        };
        let parts = &room.seen;
        let left = (parts.allotment > 0)
            .then(|| PiecesLeft::of(parts.allotment, parts.remaining, parts.held).as_str());
        // Nobody who changes a room waits for the papers to be signed.
        drop(rooms);
        let admission = match (state, place.admitted_until) {
            (PlaceState::Admitted, Some(expires_at)) => {
                let Ticket { sale, number, customer } = ticket;
                Some(self.key.admission(&Admission { sale, number, customer, expires_at }))
            }
            _ => None,
        };
        Ok(QueuePlace {
            ticket: self.key.ticket(&ticket),
            number: ticket.number,
            state,
            position: (state == PlaceState::Waiting).then_some(place.ahead + 1),
            estimated_wait_seconds: estimated_wait,
            left,
            admission,
            admitted_until: place.admitted_until.filter(|_| state == PlaceState::Admitted),
            ask_again_in_seconds: ask_again(state, estimated_wait, ticket.number),
        })
    }

    /// Why there is no room for a sale: there is none, or it is being loaded and asking again helps.
    pub(super) fn missing(&self, sale: SaleId) -> SalesError {
        match self.are_all.load(Ordering::Acquire) {
            true => SalesError::NoRoom(sale),
            false => SalesError::Busy,
        }
    }

    /// Whether all rooms are there now.
    pub(super) fn mark(&self, are_all: bool) {
        self.are_all.store(are_all, Ordering::Release);
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, HashMap<SaleId, Room>> {
        // Whoever panicked in the middle of a change was the actor, whose next life loads all of it again.
        self.by_sale.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For their actor alone, which never waits for anything meanwhile.
    pub(super) fn write(&self) -> RwLockWriteGuard<'_, HashMap<SaleId, Room>> {
        self.by_sale.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    pub fn is_sold_out(&self) -> bool {
        self.seen.allotment > 0 && self.seen.remaining == 0 && self.seen.held == 0
    }
}

/// In how many seconds somebody should ask again, the sooner the shorter the wait. Whoever came before the opening asks after it:
/// until then nothing is news, and then it is for everybody.
fn ask_again(state: PlaceState, wait: Option<u64>, number: TicketNumber) -> u32 {
    let (least, most) = ASK_AGAIN;
    let apart = number.get() % APART;
    let wait = wait.map(|wait| u32::try_from(wait).unwrap_or(u32::MAX));
    match (state, wait) {
        (PlaceState::PreQueue, Some(wait)) => wait.saturating_add(least + apart).min(most),
        (PlaceState::PreQueue | PlaceState::Waiting, None) => least + 1 + apart,
        (_, wait) => wait.map_or(least + 1, |wait| (wait / 4).clamp(least, most)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_does_not_ask_at_the_same_second_and_whoever_is_next_asks_soon() {
        let asks = |state, wait, number| ask_again(state, wait, TicketNumber::new(number).unwrap());
        let at_the_opening: Vec<u32> =
            (1..=5).map(|number| asks(PlaceState::PreQueue, Some(3), number)).collect();
        assert_eq!(at_the_opening, [5, 6, 7, 8, 4], "each a moment after the opening, in 3 seconds");
        assert_eq!(asks(PlaceState::PreQueue, Some(3_600), 1), 10);
        assert_eq!(asks(PlaceState::Waiting, Some(0), 4), 1);
        assert_eq!(asks(PlaceState::Waiting, Some(20), 4), 5);
        assert_eq!(asks(PlaceState::Waiting, Some(3_600), 4), 10);
        assert_eq!(asks(PlaceState::Waiting, None, 4), 6);
        assert_eq!(asks(PlaceState::Admitted, None, 4), 2);
    }
}
