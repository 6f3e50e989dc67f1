//! All waiting rooms of the process. Their actor alone changes them; the port of `GetPlace` reads them on the asking
//! thread, without a message, since a hundred thousand people ask every few seconds.

use std::collections::HashMap;
use std::future::ready;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;

use super::error::WaitingRoomError;
use super::messages::{GetPlace, QueuePlace};
use super::model::{TicketNumber, TicketState};
use super::passes::{Admission, PassKey, Ticket};
use super::running_room::{LAPSES_LATE_BY, RunningRoom};
use crate::actors::runtime::Port;
use crate::types::SaleId;

/// When to ask again, at the least and at the most, in seconds.
const ASK_AGAIN: (u32, u32) = (1, 10);
/// Customers who would all ask at the same moment are spread over so many seconds.
const APART: u32 = 5;

/// The rooms by their sales; cheap to clone, and all clones share them.
#[derive(Clone)]
pub(super) struct Rooms {
    key: PassKey,
    by_sale: Arc<RwLock<HashMap<SaleId, RunningRoom>>>,
    /// Whether every sale that needs a room has it. Until then a room that is not there may be on its way.
    is_complete: Arc<AtomicBool>,
}

impl Rooms {
    /// No rooms yet; the key signs what customers are given.
    pub fn new(key: PassKey) -> Self {
        Self { key, by_sale: Arc::default(), is_complete: Arc::default() }
    }

    /// Answers `GetPlace` on the thread that asks.
    pub fn port(&self) -> Port<GetPlace> {
        let rooms = self.clone();
        Port::new(move |GetPlace { ticket }| Box::pin(ready(rooms.place(ticket, Timestamp::now()))))
    }

    /// The place of the bearer of a ticket whose signature was checked. Refuses as [`GetPlace`] does.
    pub fn place(&self, ticket: Ticket, now: Timestamp) -> Result<QueuePlace, WaitingRoomError> {
        let rooms = self.read();
        let running = rooms.get(&ticket.sale).ok_or_else(|| self.missing(ticket.sale))?;
        let lapsed_to = now.checked_sub(LAPSES_LATE_BY).unwrap_or(now);
        let position = running.room.position(ticket.number, ticket.customer, lapsed_to)?;
        let supply = running.sale.supply;
        let is_waiting = matches!(position.state, TicketState::PreQueue | TicketState::Waiting);
        let state = match is_waiting && supply.is_sold_out() {
            true => TicketState::SoldOut,
            false => position.state,
        };
        let estimated_wait = match state {
            TicketState::PreQueue => {
                u64::try_from(running.sale.plan.opens_at.duration_since(now).as_secs()).ok()
            }
            TicketState::Waiting => running.control.estimate(position.ahead).map(|wait| wait.as_secs()),
            _ => None,
        };
        // The lock is not held while the ticket and the admission are signed.
        drop(rooms);
        let admission = match (state, position.admitted_until) {
            (TicketState::Admitted, Some(expires_at)) => {
                let Ticket { sale, number, customer } = ticket;
                Some(self.key.admission(&Admission { sale, number, customer, expires_at }))
            }
            _ => None,
        };
        Ok(QueuePlace {
            ticket: self.key.ticket(&ticket),
            number: ticket.number,
            state,
            position: (state == TicketState::Waiting).then_some(position.ahead + 1),
            estimated_wait_seconds: estimated_wait,
            left: supply.left(),
            admission,
            admitted_until: position.admitted_until.filter(|_| state == TicketState::Admitted),
            ask_again_in_seconds: ask_again(state, estimated_wait, ticket.number),
        })
    }

    /// Why a sale has no room here: it has none at all, or it is being loaded and asking again helps.
    pub fn missing(&self, sale: SaleId) -> WaitingRoomError {
        match self.is_complete.load(Ordering::Acquire) {
            true => WaitingRoomError::NoRoom(sale),
            false => WaitingRoomError::Busy,
        }
    }

    pub fn set_complete(&self, is_complete: bool) {
        self.is_complete.store(is_complete, Ordering::Release);
    }

    pub fn read(&self) -> RwLockReadGuard<'_, HashMap<SaleId, RunningRoom>> {
        // A lock is poisoned by a panic of the actor alone, whose next generation loads all rooms again.
        self.by_sale.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the actor alone, which never waits for anything while it holds the lock.
    pub fn write(&self) -> RwLockWriteGuard<'_, HashMap<SaleId, RunningRoom>> {
        self.by_sale.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In how many seconds a customer should ask again, the sooner the shorter the wait. Customers who came before the
/// opening ask after it: until then their place does not change, and then it changes for all of them.
fn ask_again(state: TicketState, wait: Option<u64>, number: TicketNumber) -> u32 {
    let (least, most) = ASK_AGAIN;
    let apart = number.get() % APART;
    let wait = wait.map(|wait| u32::try_from(wait).unwrap_or(u32::MAX));
    match (state, wait) {
        (TicketState::PreQueue, Some(wait)) => wait.saturating_add(least + apart).min(most),
        (TicketState::PreQueue | TicketState::Waiting, None) => least + 1 + apart,
        (_, wait) => wait.map_or(least + 1, |wait| (wait / 4).clamp(least, most)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customers_are_told_to_ask_again_spread_over_seconds_and_sooner_when_they_are_next() {
        let asks = |state, wait, number| ask_again(state, wait, TicketNumber::new(number).unwrap());
        let at_the_opening: Vec<u32> =
            (1..=5).map(|number| asks(TicketState::PreQueue, Some(3), number)).collect();
        assert_eq!(at_the_opening, [5, 6, 7, 8, 4], "each a moment after the opening, in 3 seconds");
        assert_eq!(asks(TicketState::PreQueue, Some(3_600), 1), 10);
        assert_eq!(asks(TicketState::Waiting, Some(0), 4), 1);
        assert_eq!(asks(TicketState::Waiting, Some(20), 4), 5);
        assert_eq!(asks(TicketState::Waiting, Some(3_600), 4), 10);
        assert_eq!(asks(TicketState::Waiting, None, 4), 6);
        assert_eq!(asks(TicketState::Admitted, None, 4), 2);
    }
}
