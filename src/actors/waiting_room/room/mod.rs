//! Rules of the customers who wait for one sale: in which order they are admitted, and what becomes of those who were.
//!
//! | file | what it decides |
//! |---|---|
//! | `mod.rs` | joining, and the place of a ticket |
//! | `draw.rs` | the order at the opening |
//! | `admissions.rs` | who is admitted, and what becomes of an admission |
//! | `recovery.rs` | the room as it was, from what was stored |
//! | `counts.rs` | the figures of the room |
//!
//! A ticket goes through these states; the words in brackets name the methods that change it:
//!
//! ```text
//! (join) pending ── (confirm) ─→ waiting ── (admit) ─→ admitted ── (ordered) ─→ ordered
//!           │                                          │  ↑                       │ ↑
//!       (forget)                                   (lapse) └──── (given_back) ────┘ │
//!           ↓                                          ↓                            │
//!         void                                      no-show ── (ordered, told late)
//!                                                   may join again, then at the end
//! ```
//!
//! Before the opening no ticket has a place: customers who joined are put in a drawn order then. In a
//! [queue](RoomMode::Queue) later customers stand behind them, first come, first served; in a
//! [lottery](RoomMode::Lottery) no customer may join later, and the customers behind the winners move up when a winner lets
//! the admission lapse.
//!
//! A ticket is handed out when its entry is written, so joining has two steps: `join` takes a number, then `confirm`
//! or, when it is certain that nothing was written, `forget`. A forgotten number is given to the next customer if it
//! was the last, else it stays void. So numbers may have gaps: draw and digest are over the entries that exist, and the
//! published draw lists the gaps. No ticket passes a number that is still pending, so that a place once told never gets
//! worse; and the draw waits for them.
//!
//! All changes that must outlive a restart are returned, to be written in that order before a customer is told. When it
//! is not known whether a change was written, the room is restored from what was. Restored from all that was returned,
//! it tells every customer the same place.

mod admissions;
mod counts;
mod draw;
mod recovery;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use jiff::Timestamp;

pub use self::counts::RoomCounts;
pub use self::recovery::follow_uses;
use super::error::RoomRefusal;
use super::model::{EntryChange, EntryState, Finish, RoomMode, StoredEntry, TicketNumber, TicketState};
use crate::types::{CustomerId, SaleId};

/// The answer to a customer who joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// To be written, then told to [`WaitingRoom::confirm`] or [`WaitingRoom::forget`].
    New(StoredEntry),
    /// An earlier entry of the same customer is being written; its ticket will be the answer.
    Pending(TicketNumber),
    /// The customer has this ticket.
    Already(TicketNumber),
}

/// Where a ticket stands in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinePosition {
    pub state: TicketState,
    /// How many are admitted before; 0 unless waiting.
    pub ahead: u32,
    /// How many joined so far, whatever became of them.
    pub entries: u32,
    /// Only when admitted.
    pub admitted_until: Option<Timestamp>,
}

/// Seconds since 1970, which fit until 2106.
type Seconds = u32;

/// What is remembered of a ticket, at `number - 1`.
#[derive(Debug, Clone, Copy)]
struct Entry {
    customer: CustomerId,
    joined: Seconds,
    /// 0 unless it was admitted.
    until: Seconds,
    /// Its index in the order, once it has one.
    position: u32,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Its entry is being written.
    Pending,
    /// Its entry could not be written: no customer has this number.
    Void,
    Kept(EntryState),
}

/// The waiting customers of one sale.
///
/// It answers for a place in constant time, and keeps a few dozen bytes for each entry.
#[derive(Debug)]
pub struct WaitingRoom {
    mode: RoomMode,
    sale: SaleId,
    entries_max: u32,
    entries: Vec<Entry>,
    /// The newest ticket of each customer.
    numbers: HashMap<CustomerId, TicketNumber>,
    /// The number that a no-show had before the one that is pending; it is theirs again should that be forgotten.
    before: HashMap<TicketNumber, TicketNumber>,
    /// Entries before this index are not pending and, once the draw was made, are in the order unless they are void.
    ordered_to: usize,
    pending: u32,
    /// The highest number that the draw is about, once the entries are closed.
    drawn_to: Option<usize>,
    opened: Option<Seconds>,
    /// Empty until the draw. All tickets from `next` on are waiting, and none before it is.
    order: Vec<TicketNumber>,
    next: usize,
    /// Admissions by the second at which they end, also those that were used since.
    ends: BinaryHeap<Reverse<(Seconds, TicketNumber)>>,
    /// All that end by then have been taken out of `ends`.
    lapsed_to: Seconds,
    finished: Option<Finish>,
    counts: RoomCounts,
    recent_waits: VecDeque<Seconds>,
    recent_waits_sum: u64,
}

impl WaitingRoom {
    /// An empty room for at most so many entries, no-shows and void numbers included.
    pub fn new(mode: RoomMode, sale: SaleId, entries_max: u32) -> Self {
        Self {
            mode,
            sale,
            entries_max,
            entries: Vec::new(),
            numbers: HashMap::new(),
            before: HashMap::new(),
            ordered_to: 0,
            pending: 0,
            drawn_to: None,
            opened: None,
            order: Vec::new(),
            next: 0,
            ends: BinaryHeap::new(),
            lapsed_to: 0,
            finished: None,
            counts: RoomCounts::default(),
            recent_waits: VecDeque::new(),
            recent_waits_sum: 0,
        }
    }

    /// Takes a number for a customer, which is theirs when it was written.
    ///
    /// A customer with a ticket gets the same answer again, also after the end; a no-show gets a new one.
    /// Refuses with `Closed` after the end, with `EntriesClosed` in a lottery after the draw, and with `Full`.
    pub fn join(&mut self, customer: CustomerId, now: Timestamp) -> Result<Joined, RoomRefusal> {
        if let Some(number) = self.numbers.get(&customer)
            && let Some(entry) = self.entries.get(number.index())
        {
            match entry.standing {
                Standing::Pending => return Ok(Joined::Pending(*number)),
                Standing::Kept(_) if !entry.is_no_show(seconds(now)) => return Ok(Joined::Already(*number)),
                Standing::Kept(_) | Standing::Void => {}
            }
        }
        if let Some(finish) = self.finished {
            return Err(RoomRefusal::Closed(finish));
        }
        if self.mode == RoomMode::Lottery && self.drawn_to.is_some() {
            return Err(RoomRefusal::EntriesClosed);
        }
        let entries_max = self.entries_max;
        let number = TicketNumber::at(self.entries.len())
            .filter(|number| number.get() <= entries_max)
            .ok_or(RoomRefusal::Full { entries_max })?;
        let joined = seconds(now);
        self.entries.push(Entry { customer, joined, until: 0, position: 0, standing: Standing::Pending });
        if let Some(before) = self.numbers.insert(customer, number) {
            self.before.insert(number, before);
        }
        self.pending += 1;
        Ok(Joined::New(StoredEntry {
            number,
            customer,
            joined_at: timestamp(joined),
            state: EntryState::Waiting,
            admitted_until: None,
        }))
    }

    /// Whether a customer has a ticket that may still be admitted, or was.
    pub fn has_ticket(&self, customer: CustomerId, now: Timestamp) -> bool {
        let entry = self.numbers.get(&customer).and_then(|number| self.entries.get(number.index()));
        entry.is_some_and(|entry| entry.is_kept() && !entry.is_no_show(seconds(now)))
    }

    /// Whether a ticket is a customer's.
    pub fn is_of(&self, number: TicketNumber, customer: CustomerId) -> bool {
        self.entries.get(number.index()).is_some_and(|entry| entry.customer == customer)
    }

    /// The entry of this number was written. Answers whether it was pending.
    pub fn confirm(&mut self, number: TicketNumber) -> bool {
        let Some(entry) = self.pending_entry(number) else { return false };
        entry.standing = Standing::Kept(EntryState::Waiting);
        self.before.remove(&number);
        self.pending -= 1;
        self.counts.entries += 1;
        self.counts.waiting += 1;
        self.extend_order();
        true
    }

    /// The entry of this number was certainly not written; its customer may join again. Answers whether it was pending.
    pub fn forget(&mut self, number: TicketNumber) -> bool {
        let Some(entry) = self.pending_entry(number) else { return false };
        entry.standing = Standing::Void;
        let customer = entry.customer;
        match self.before.remove(&number) {
            Some(before) => self.numbers.insert(customer, before),
            None => self.numbers.remove(&customer),
        };
        self.pending -= 1;
        // Else every refused write would use up one of the numbers, and a database that is away for long, all.
        let kept_to = self.drawn_to.unwrap_or(0);
        while self.entries.len() > kept_to
            && self.entries.last().is_some_and(|entry| entry.standing == Standing::Void)
        {
            self.entries.pop();
        }
        self.ordered_to = self.ordered_to.min(self.entries.len());
        self.extend_order();
        true
    }

    /// Admits no further customer, for good. Answers whether it began now: the first reason stays.
    ///
    /// Admissions stay valid until they end. Sold out is final too: to be told when no piece can come back any more.
    pub fn finish(&mut self, reason: Finish) -> bool {
        let is_first = self.finished.is_none();
        self.finished.get_or_insert(reason);
        is_first
    }

    /// Where a ticket of a customer stands, in constant time.
    ///
    /// Refuses with `UnknownTicket`, and with `OthersTicket` when it is not this customer's.
    pub fn position(
        &self,
        number: TicketNumber,
        customer: CustomerId,
        now: Timestamp,
    ) -> Result<LinePosition, RoomRefusal> {
        let entry = self
            .entries
            .get(number.index())
            .filter(|entry| entry.standing != Standing::Void)
            .ok_or(RoomRefusal::UnknownTicket(number))?;
        if entry.customer != customer {
            return Err(RoomRefusal::OthersTicket(number));
        }
        let state = match (entry.standing, self.finished) {
            _ if entry.is_no_show(seconds(now)) => TicketState::NoShow,
            (Standing::Kept(EntryState::Admitted), _) => TicketState::Admitted,
            (Standing::Kept(EntryState::Ordered), _) => TicketState::Ordered,
            (_, Some(Finish::SoldOut)) => TicketState::SoldOut,
            (_, Some(Finish::Closed)) => TicketState::Closed,
            _ if self.opened.is_none() => TicketState::PreQueue,
            _ => TicketState::Waiting,
        };
        let ahead = if state == TicketState::Waiting { self.ahead_of(number, entry) } else { 0 };
        Ok(LinePosition {
            state,
            ahead,
            entries: self.counts.entries,
            admitted_until: (state == TicketState::Admitted).then(|| timestamp(entry.until)),
        })
    }

    /// Whether the draw was made.
    #[cfg(test)]
    pub fn is_open(&self) -> bool {
        self.opened.is_some()
    }

    /// Why no further customer is admitted, once that is so.
    pub fn finished(&self) -> Option<Finish> {
        self.finished
    }

    /// All tickets of the order are waiting from `next` on, so the difference is exact. A ticket behind a pending number
    /// is not in the order yet, and may count one ahead that never comes.
    fn ahead_of(&self, number: TicketNumber, entry: &Entry) -> u32 {
        let ahead = if number.index() < self.ordered_to {
            (entry.position as usize).saturating_sub(self.next)
        } else {
            self.order.len() - self.next + (number.index() - self.ordered_to)
        };
        u32::try_from(ahead).unwrap_or(u32::MAX)
    }

    fn pending_entry(&mut self, number: TicketNumber) -> Option<&mut Entry> {
        self.entries.get_mut(number.index()).filter(|entry| entry.standing == Standing::Pending)
    }

    fn kept(&mut self, number: TicketNumber) -> Result<&mut Entry, RoomRefusal> {
        let entry = self.entries.get_mut(number.index()).filter(|entry| entry.is_kept());
        entry.ok_or(RoomRefusal::UnknownTicket(number))
    }

    /// Puts the tickets before the first pending number into the order.
    fn extend_order(&mut self) {
        while let Some(entry) = self.entries.get_mut(self.ordered_to)
            && entry.standing != Standing::Pending
        {
            if self.opened.is_some()
                && entry.is_kept()
                && let Some(number) = TicketNumber::at(self.ordered_to)
            {
                // There are never more than there are ticket numbers.
                entry.position = u32::try_from(self.order.len()).unwrap_or(u32::MAX);
                self.order.push(number);
            }
            self.ordered_to += 1;
        }
    }
}

impl Entry {
    fn void() -> Self {
        let no_customer = CustomerId::from_uuid(uuid::Uuid::nil());
        Self { customer: no_customer, joined: 0, until: 0, position: 0, standing: Standing::Void }
    }

    fn is_kept(&self) -> bool {
        matches!(self.standing, Standing::Kept(_))
    }

    fn is_waiting(&self) -> bool {
        self.standing == Standing::Kept(EntryState::Waiting)
    }

    /// Also when its admission ended and has not lapsed yet.
    fn is_no_show(&self, now: Seconds) -> bool {
        match self.standing {
            Standing::Kept(EntryState::NoShow) => true,
            Standing::Kept(EntryState::Admitted) => self.until <= now,
            _ => false,
        }
    }

    fn change(&self, number: TicketNumber, state: EntryState) -> EntryChange {
        EntryChange { number, state, admitted_until: Some(timestamp(self.until)) }
    }
}

fn seconds(time: Timestamp) -> Seconds {
    Seconds::try_from(time.as_second().max(0)).unwrap_or(Seconds::MAX)
}

fn timestamp(seconds: Seconds) -> Timestamp {
    // Every number of seconds that fits is a time.
    Timestamp::from_second(i64::from(seconds)).unwrap_or(Timestamp::MAX)
}
