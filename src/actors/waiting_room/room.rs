//! Who waits for one sale, in which order they are let in, and what becomes of those who were.
//!
//! A ticket goes through these states; the words in brackets are what makes it:
//!
//! ```text
//! (join) on its way ── (confirm) ─→ waiting ── (admit) ─→ admitted ── (ordered) ─→ ordered
//!            │                                            │  ↑                       │ ↑
//!        (forget)                                     (lapse) └──── (given_back) ────┘ │
//!            ↓                                            ↓                            │
//!         nobody's                                     no-show ── (ordered, heard of late)
//!                                                      may join again, and then stands at the end
//! ```
//!
//! Before the opening nobody has a place: those who came are put in a drawn order then. In a [queue](RoomMode::Queue)
//! those who come later stand behind them, first come, first served; in a [lottery](RoomMode::Lottery) nobody comes
//! later, and who is behind the winners moves up when one of them lets the admission lapse.
//!
//! A ticket is handed out when its entry is written, so joining has two steps: `join` takes a number, then `confirm`
//! or, when it is certain that nothing was written, `forget`. A forgotten number is given to the next one if it was
//! the last, else it stays nobody's. So numbers may have gaps: draw and digest are over the entries that exist, and
//! the published draw lists the gaps. Nobody passes a number that is still on its way, so that a place once told
//! never gets worse; and the draw waits for them.
//!
//! All changes that must outlive a restart are returned, to be written in that order before anybody is told. When it
//! is not known whether a change was written, the room is restored from what was. Restored from all that was
//! returned, it tells everybody the same place.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use jiff::Timestamp;

use super::draw::{ClosedEntries, PublishedDraw, Seed};
use super::passes::TicketNumber;
use crate::error::{Fault, Kind};
use crate::types::{CustomerId, SaleId};

/// Of how many of those who were admitted last the wait is averaged.
const RECENT_MAX: usize = 1_000;

/// How those who come before the opening and after it are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomMode {
    /// Drawn who came before the opening; after them whoever comes later.
    Queue,
    /// Drawn who entered before the draw; nobody comes later.
    Lottery,
}

impl RoomMode {
    /// Its name, as it is stored and answered.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Lottery => "lottery",
        }
    }

    /// The one of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Queue, Self::Lottery].into_iter().find(|mode| mode.as_str() == name)
    }
}

/// Why nobody is let in any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// No piece is left, and none can come back.
    SoldOut,
    /// The time is over, or staff ended it.
    Closed,
}

impl Finish {
    /// Its name, as it is stored and answered.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SoldOut => "sold_out",
            Self::Closed => "closed",
        }
    }

    /// The one of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::SoldOut, Self::Closed].into_iter().find(|finish| finish.as_str() == name)
    }
}

/// The state of an entry as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryState {
    /// Entered, and not let in yet.
    Waiting,
    /// Let in until `admitted_until`.
    Admitted,
    /// The admission is used.
    Ordered,
    /// The admission lapsed unused.
    NoShow,
}

impl EntryState {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Admitted, Self::Ordered, Self::NoShow];

    /// Its name, as it is stored and answered.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Admitted => "admitted",
            Self::Ordered => "ordered",
            Self::NoShow => "no_show",
        }
    }

    /// The one of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// One entry as it is stored. Its times are whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredEntry {
    pub number: TicketNumber,
    pub customer: CustomerId,
    pub joined_at: Timestamp,
    pub state: EntryState,
    /// Until when an admission is, or was, good; none while waiting.
    pub admitted_until: Option<Timestamp>,
}

/// What is to be written about an entry that is stored already; writing it twice is the same as once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryChange {
    pub number: TicketNumber,
    pub state: EntryState,
    pub admitted_until: Option<Timestamp>,
}

/// What became of a wish to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// To be written, then told to [`WaitingRoom::confirm`] or [`WaitingRoom::forget`].
    New(StoredEntry),
    /// An earlier wish of the same customer is being written; its ticket will be the answer.
    OnItsWay(TicketNumber),
    /// The customer has this ticket.
    Already(TicketNumber),
}

/// Somebody who was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    pub number: TicketNumber,
    pub customer: CustomerId,
    pub expires_at: Timestamp,
}

impl From<Admitted> for EntryChange {
    fn from(admitted: Admitted) -> Self {
        Self {
            number: admitted.number,
            state: EntryState::Admitted,
            admitted_until: Some(admitted.expires_at),
        }
    }
}

/// Where somebody stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub state: PlaceState,
    /// How many are let in before; 0 unless waiting.
    pub ahead: u32,
    /// How many entered so far, whatever became of them.
    pub entries: u32,
    /// Only when admitted.
    pub admitted_until: Option<Timestamp>,
}

/// What a ticket is worth now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceState {
    /// The draw is still to come.
    PreQueue,
    Waiting,
    Admitted,
    Ordered,
    NoShow,
    /// Was still waiting when all was sold.
    SoldOut,
    /// Was still waiting when the sale was closed.
    Closed,
}

impl PlaceState {
    /// Its name, as it is stored and answered.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreQueue => "pre_queue",
            Self::Waiting => "waiting",
            Self::Admitted => "admitted",
            Self::Ordered => "ordered",
            Self::NoShow => "no_show",
            Self::SoldOut => "sold_out",
            Self::Closed => "closed",
        }
    }
}

/// Figures of a room. All but the entries are of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoomCounts {
    /// How many entered so far, whatever became of them.
    pub entries: u32,
    /// Entered and not let in yet, before the draw too.
    pub waiting: u32,
    /// Admissions neither used nor lapsed.
    pub admitted: u32,
    /// Admissions that are used.
    pub ordered: u32,
    /// Admissions that lapsed unused.
    pub no_shows: u32,
    /// Mean of the last 1,000 who were admitted since the start: seconds since they joined, or since the draw if
    /// they came before it. None when nobody was.
    pub mean_wait_seconds: Option<u32>,
}

/// Why the room says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RoomRefusal {
    #[error("the waiting room is full with {entries_max} entries")]
    Full { entries_max: u32 },
    #[error("the sale has ended: {}", .0.as_str())]
    Closed(Finish),
    #[error("the draw was made or is being made, and nobody can enter any more")]
    EntriesClosed,
    #[error("{entries} entries are still being written, and the draw waits for them")]
    EntriesOnTheirWay { entries: u32 },
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
            RoomRefusal::EntriesOnTheirWay { .. } => Kind::Busy,
            // Nobody's number becomes free again.
            RoomRefusal::Full { .. }
            | RoomRefusal::Closed(_)
            | RoomRefusal::EntriesClosed
            | RoomRefusal::AlreadyDrawn
            | RoomRefusal::NotAdmitted(_)
            | RoomRefusal::AlreadyUsed(_) => Kind::Conflict,
            RoomRefusal::OtherDraw => Kind::Internal,
            RoomRefusal::UnknownTicket(_) => Kind::NotFound,
            RoomRefusal::OthersTicket(_) => Kind::Forbidden,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            RoomRefusal::Full { .. } => "waiting-room-full",
            RoomRefusal::Closed(Finish::SoldOut) => "sale-sold-out",
            RoomRefusal::Closed(Finish::Closed) => "sale-closed",
            RoomRefusal::EntriesClosed => "entries-closed",
            RoomRefusal::EntriesOnTheirWay { .. } => "entries-on-their-way",
            RoomRefusal::AlreadyDrawn => "already-drawn",
            RoomRefusal::OtherDraw => "other-draw",
            RoomRefusal::UnknownTicket(_) => "unknown-ticket",
            RoomRefusal::OthersTicket(_) => "others-ticket",
            RoomRefusal::NotAdmitted(_) => "not-admitted",
            RoomRefusal::AlreadyUsed(_) => "admission-used",
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

/// Seconds since 1970, which fit until 2106.
type Seconds = u32;

/// What is remembered of a ticket, at `number - 1`.
#[derive(Debug, Clone, Copy)]
struct Entry {
    customer: CustomerId,
    joined: Seconds,
    /// 0 unless it was admitted.
    until: Seconds,
    /// Where it stands in the order, once it does.
    position: u32,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Being written.
    OnItsWay,
    /// Nobody's: it could not be written.
    Void,
    Kept(EntryState),
}

/// Everybody who waits for one sale.
///
/// It answers for a place in constant time, and remembers nothing about an entry but its fixed few dozen bytes.
#[derive(Debug)]
pub struct WaitingRoom {
    mode: RoomMode,
    sale: SaleId,
    entries_max: u32,
    entries: Vec<Entry>,
    /// The newest ticket of each customer.
    numbers: HashMap<CustomerId, TicketNumber>,
    /// The number that a no-show had before the one that is on its way; it is theirs again should that be forgotten.
    before: HashMap<TicketNumber, TicketNumber>,
    /// How many entries of the beginning are no longer on their way.
    settled: usize,
    on_their_way: u32,
    /// The highest number that the draw is about, once the entries are closed.
    drawn_to: Option<usize>,
    opened: Option<Seconds>,
    /// Empty until the draw. From `next` on all are waiting, and before it nobody is.
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
    /// An empty room for at most so many entries, no-shows and numbers that became nobody's included.
    pub fn new(mode: RoomMode, sale: SaleId, entries_max: u32) -> Self {
        Self {
            mode,
            sale,
            entries_max,
            entries: Vec::new(),
            numbers: HashMap::new(),
            before: HashMap::new(),
            settled: 0,
            on_their_way: 0,
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

    /// The room as it was, from what was stored of it; the entries may come in any order.
    ///
    /// Only the mean wait begins anew. An entry that the draw does not know although its number is within it was
    /// written after all when its customer had been told that it was not: it counts as nobody's.
    pub fn restore(
        mode: RoomMode,
        sale: SaleId,
        entries_max: u32,
        entries: impl IntoIterator<Item = StoredEntry>,
        draw: Option<&PublishedDraw>,
        finished: Option<Finish>,
    ) -> Result<Self, RestoreError> {
        let mut room = Self::new(mode, sale, entries_max);
        for stored in entries {
            room.put(stored)?;
        }
        let drawn_to = draw.map_or(0, |draw| draw.tickets as usize);
        if drawn_to > room.entries.len() {
            // The last numbers before the draw were nobody's.
            room.entries.resize(drawn_to, Entry::void());
        }
        room.settled = room.entries.len();
        let mut is_drawn = vec![false; drawn_to];
        for number in draw.iter().flat_map(|draw| &draw.order) {
            if let Some(is_drawn) = is_drawn.get_mut(number.index()) {
                *is_drawn = true;
            }
        }
        for (entry, _) in room.entries.iter_mut().zip(is_drawn).filter(|(_, is_drawn)| !is_drawn) {
            *entry = Entry::void();
        }
        for index in 0..room.entries.len() {
            room.count_restored(index);
        }
        if let Some(draw) = draw {
            room.drawn_to = Some(drawn_to);
            room.drawn(draw).map_err(|_| RestoreError::OtherDraw(sale))?;
            room.gather_the_waiting();
        } else if let Some(number) = room.first_past_waiting() {
            return Err(RestoreError::AdmittedBeforeTheDraw(number));
        }
        room.finished = finished;
        Ok(room)
    }

    /// Takes a number for a customer, which is theirs when it was written.
    ///
    /// Whoever has a ticket gets the same answer again, also after the end; a no-show gets a new one.
    /// Refuses with `Closed` after the end, with `EntriesClosed` in a lottery after the draw, and with `Full`.
    pub fn join(&mut self, customer: CustomerId, now: Timestamp) -> Result<Joined, RoomRefusal> {
        if let Some(number) = self.numbers.get(&customer)
            && let Some(entry) = self.entries.get(number.index())
        {
            match entry.standing {
                Standing::OnItsWay => return Ok(Joined::OnItsWay(*number)),
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
        self.entries.push(Entry { customer, joined, until: 0, position: 0, standing: Standing::OnItsWay });
        if let Some(before) = self.numbers.insert(customer, number) {
            self.before.insert(number, before);
        }
        self.on_their_way += 1;
        Ok(Joined::New(StoredEntry {
            number,
            customer,
            joined_at: timestamp(joined),
            state: EntryState::Waiting,
            admitted_until: None,
        }))
    }

    /// Whether a customer has a ticket that is good for something.
    pub fn has_ticket(&self, customer: CustomerId, now: Timestamp) -> bool {
        let entry = self.numbers.get(&customer).and_then(|number| self.entries.get(number.index()));
        entry.is_some_and(|entry| entry.is_kept() && !entry.is_no_show(seconds(now)))
    }

    /// Whether a ticket is a customer's.
    pub fn is_of(&self, number: TicketNumber, customer: CustomerId) -> bool {
        self.entries.get(number.index()).is_some_and(|entry| entry.customer == customer)
    }

    /// Those whose admissions are used.
    pub fn ordered_tickets(&self) -> Vec<TicketNumber> {
        let entries = self.entries.iter().enumerate();
        entries
            .filter(|(_, entry)| entry.standing == Standing::Kept(EntryState::Ordered))
            .filter_map(|(index, _)| TicketNumber::at(index))
            .collect()
    }

    /// The entry of this number was written. Says whether it was on its way.
    pub fn confirm(&mut self, number: TicketNumber) -> bool {
        let Some(entry) = self.on_its_way(number) else { return false };
        entry.standing = Standing::Kept(EntryState::Waiting);
        self.before.remove(&number);
        self.on_their_way -= 1;
        self.counts.entries += 1;
        self.counts.waiting += 1;
        self.settle();
        true
    }

    /// The entry of this number was certainly not written; its customer may join again. Says whether it was on its
    /// way.
    pub fn forget(&mut self, number: TicketNumber) -> bool {
        let Some(entry) = self.on_its_way(number) else { return false };
        entry.standing = Standing::Void;
        let customer = entry.customer;
        match self.before.remove(&number) {
            Some(before) => self.numbers.insert(customer, before),
            None => self.numbers.remove(&customer),
        };
        self.on_their_way -= 1;
        // Else every refused write would use up one of the numbers, and a database that is away for long, all.
        let kept_to = self.drawn_to.unwrap_or(0);
        while self.entries.len() > kept_to
            && self.entries.last().is_some_and(|entry| entry.standing == Standing::Void)
        {
            self.entries.pop();
        }
        self.settled = self.settled.min(self.entries.len());
        self.settle();
        true
    }

    /// Ends the time before the opening: who joins from now on is not drawn.
    ///
    /// Answers with those who are, for a [`ClosedEntries::draw`] on whatever thread, whose result
    /// [`WaitingRoom::drawn`] takes. Refuses with `EntriesOnTheirWay` until all of them are written or forgotten:
    /// ask again then. Refuses with `AlreadyDrawn` and `Closed`. A restart before the draw opens the entries again.
    pub fn close_entries(&mut self) -> Result<ClosedEntries, RoomRefusal> {
        if self.opened.is_some() {
            return Err(RoomRefusal::AlreadyDrawn);
        }
        if let Some(finish) = self.finished {
            return Err(RoomRefusal::Closed(finish));
        }
        let drawn_to = *self.drawn_to.get_or_insert(self.entries.len());
        let to_draw = self.entries.get(..drawn_to).unwrap_or_default();
        if self.settled < drawn_to {
            let entries = to_draw.iter().filter(|entry| entry.standing == Standing::OnItsWay).count();
            return Err(RoomRefusal::EntriesOnTheirWay {
                entries: u32::try_from(entries).unwrap_or(u32::MAX),
            });
        }
        let entries = to_draw.iter().enumerate().filter(|(_, entry)| entry.is_kept());
        let entries = entries.filter_map(|(index, entry)| Some((TicketNumber::at(index)?, entry.customer)));
        Ok(ClosedEntries {
            sale: self.sale,
            tickets: u32::try_from(drawn_to).unwrap_or(u32::MAX),
            entries: entries.collect(),
        })
    }

    /// Opens the room with the draw of its closed entries; from now on everybody has a place.
    ///
    /// Refuses with `AlreadyDrawn`, with `OtherDraw` when the draw has not exactly the closed entries, and with
    /// `EntriesOnTheirWay`. Whether the order follows from the seed is for [`PublishedDraw::verify`] to say.
    pub fn drawn(&mut self, draw: &PublishedDraw) -> Result<(), RoomRefusal> {
        if self.opened.is_some() {
            return Err(RoomRefusal::AlreadyDrawn);
        }
        let drawn_to = self.drawn_to.ok_or(RoomRefusal::OtherDraw)?;
        if self.settled < drawn_to {
            return Err(RoomRefusal::EntriesOnTheirWay { entries: self.on_their_way });
        }
        let to_draw = self.entries.get_mut(..drawn_to).unwrap_or_default();
        let kept = to_draw.iter().filter(|entry| entry.is_kept()).count();
        if draw.sale != self.sale || draw.tickets as usize != drawn_to || draw.order.len() != kept {
            return Err(RoomRefusal::OtherDraw);
        }
        let mut is_drawn = vec![false; drawn_to];
        for number in &draw.order {
            let is_kept = to_draw.get(number.index()).is_some_and(Entry::is_kept);
            match is_drawn.get_mut(number.index()) {
                Some(is_drawn) if is_kept && !*is_drawn => *is_drawn = true,
                _ => return Err(RoomRefusal::OtherDraw),
            }
        }
        for (position, number) in (0..).zip(&draw.order) {
            if let Some(entry) = to_draw.get_mut(number.index()) {
                entry.position = position;
            }
        }
        self.order.clone_from(&draw.order);
        self.opened = Some(seconds(draw.drawn_at));
        // Those who came since the entries were closed stand behind.
        self.settled = drawn_to;
        self.settle();
        Ok(())
    }

    /// Closes the entries, draws and opens, all at once. A million entries take about a second of computing; see
    /// [`WaitingRoom::close_entries`] for how to do that elsewhere, and for the refusals.
    pub fn draw(&mut self, seed: &Seed, now: Timestamp) -> Result<PublishedDraw, RoomRefusal> {
        let draw = self.close_entries()?.draw(seed, now);
        self.drawn(&draw)?;
        Ok(draw)
    }

    /// Lets in at most so many, strictly in order, each for so many seconds.
    ///
    /// Answers with nobody before the draw and after the end.
    pub fn admit(&mut self, now: Timestamp, how_many: u32, pass_seconds: u32) -> Vec<Admitted> {
        let Some(opened) = self.opened.filter(|_| self.finished.is_none()) else { return Vec::new() };
        let now = seconds(now);
        let until = now.saturating_add(pass_seconds);
        let end = self.next.saturating_add(how_many as usize).min(self.order.len());
        let mut admitted = Vec::with_capacity(end - self.next);
        for position in self.next..end {
            let Some(number) = self.order.get(position).copied() else { break };
            let Some(entry) = self.entries.get_mut(number.index()) else { break };
            entry.standing = Standing::Kept(EntryState::Admitted);
            entry.until = until;
            admitted.push(Admitted { number, customer: entry.customer, expires_at: timestamp(until) });
            let waited = now.saturating_sub(entry.joined.max(opened));
            self.ends.push(Reverse((until, number)));
            self.remember_wait(waited);
            self.next = position + 1;
            self.counts.waiting -= 1;
            self.counts.admitted += 1;
        }
        admitted
    }

    /// Makes no-shows of those whose admission ended unused by now. Until when it was good stays with them, for those who
    /// look afterwards whether everybody was let in as they stood.
    pub fn lapse(&mut self, now: Timestamp) -> Vec<EntryChange> {
        let now = seconds(now);
        let mut lapsed = Vec::new();
        while let Some(Reverse((until, number))) = self.ends.peek().copied()
            && until <= now
        {
            self.ends.pop();
            if let Some(entry) = self.entries.get_mut(number.index())
                && entry.standing == Standing::Kept(EntryState::Admitted)
            {
                entry.standing = Standing::Kept(EntryState::NoShow);
                self.counts.admitted -= 1;
                self.counts.no_shows += 1;
                lapsed.push(entry.change(number, EntryState::NoShow));
            }
        }
        self.lapsed_to = self.lapsed_to.max(now);
        lapsed
    }

    /// An admission was used for an order. Refuses with `AlreadyUsed`, `NotAdmitted` and `UnknownTicket`.
    ///
    /// Whether it was good when the order arrived is for the gates to say; the room may hear of it after it has lapsed, and
    /// then a no-show was none.
    pub fn ordered(&mut self, number: TicketNumber) -> Result<EntryChange, RoomRefusal> {
        let entry = self.kept(number)?;
        let before = entry.standing;
        match before {
            Standing::Kept(EntryState::Admitted | EntryState::NoShow) => {}
            Standing::Kept(EntryState::Ordered) => return Err(RoomRefusal::AlreadyUsed(number)),
            _ => return Err(RoomRefusal::NotAdmitted(number)),
        }
        entry.standing = Standing::Kept(EntryState::Ordered);
        let change = entry.change(number, EntryState::Ordered);
        match before {
            Standing::Kept(EntryState::NoShow) => self.counts.no_shows -= 1,
            _ => self.counts.admitted -= 1,
        }
        self.counts.ordered += 1;
        Ok(change)
    }

    /// The order of an admission came to nothing: it may be used again until it ends. If it has ended by now, the
    /// next [`WaitingRoom::lapse`] makes a no-show of it, who may join again.
    ///
    /// Refuses with `NotAdmitted` when it was not used, and with `UnknownTicket`.
    pub fn given_back(&mut self, number: TicketNumber) -> Result<EntryChange, RoomRefusal> {
        let entry = self.kept(number)?;
        if entry.standing != Standing::Kept(EntryState::Ordered) {
            return Err(RoomRefusal::NotAdmitted(number));
        }
        entry.standing = Standing::Kept(EntryState::Admitted);
        let change = entry.change(number, EntryState::Admitted);
        let until = entry.until;
        // Otherwise it is still among the ends, which so have it once however often it is used and given back.
        if until <= self.lapsed_to {
            self.ends.push(Reverse((until, number)));
        }
        self.counts.ordered -= 1;
        self.counts.admitted += 1;
        Ok(change)
    }

    /// Lets in nobody any more, for good. Says whether it did so now: the first reason stays.
    ///
    /// Those admitted keep their admission until it ends. Sold out is final too: to be told when no piece can come
    /// back any more.
    pub fn finish(&mut self, reason: Finish) -> bool {
        let is_first = self.finished.is_none();
        self.finished.get_or_insert(reason);
        is_first
    }

    /// Where a customer stands with a ticket, in constant time.
    ///
    /// Refuses with `UnknownTicket`, and with `OthersTicket` when it is not this customer's.
    pub fn place(
        &self,
        number: TicketNumber,
        customer: CustomerId,
        now: Timestamp,
    ) -> Result<Place, RoomRefusal> {
        let entry = self
            .entries
            .get(number.index())
            .filter(|entry| entry.standing != Standing::Void)
            .ok_or(RoomRefusal::UnknownTicket(number))?;
        if entry.customer != customer {
            return Err(RoomRefusal::OthersTicket(number));
        }
        let state = match (entry.standing, self.finished) {
            _ if entry.is_no_show(seconds(now)) => PlaceState::NoShow,
            (Standing::Kept(EntryState::Admitted), _) => PlaceState::Admitted,
            (Standing::Kept(EntryState::Ordered), _) => PlaceState::Ordered,
            (_, Some(Finish::SoldOut)) => PlaceState::SoldOut,
            (_, Some(Finish::Closed)) => PlaceState::Closed,
            _ if self.opened.is_none() => PlaceState::PreQueue,
            _ => PlaceState::Waiting,
        };
        let ahead = if state == PlaceState::Waiting { self.ahead_of(number, entry) } else { 0 };
        Ok(Place {
            state,
            ahead,
            entries: self.counts.entries,
            admitted_until: (state == PlaceState::Admitted).then(|| timestamp(entry.until)),
        })
    }

    /// Figures for a dashboard, in constant time.
    pub fn counts(&self) -> RoomCounts {
        let waits = self.recent_waits.len() as u64;
        let mean_wait_seconds =
            self.recent_waits_sum.checked_div(waits).and_then(|mean| u32::try_from(mean).ok());
        RoomCounts { mean_wait_seconds, ..self.counts }
    }

    /// How those who come are treated.
    pub fn mode(&self) -> RoomMode {
        self.mode
    }

    /// The sale that it is the room of.
    pub fn sale(&self) -> SaleId {
        self.sale
    }

    /// Whether the draw was made.
    pub fn is_open(&self) -> bool {
        self.opened.is_some()
    }

    /// Why nobody is let in any more, once that is so.
    pub fn finished(&self) -> Option<Finish> {
        self.finished
    }

    /// When the next admission ends that was not seen to lapse; one that was used meanwhile may be meant.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.ends.peek().map(|Reverse((until, _))| timestamp(*until))
    }

    /// About how many bytes one entry takes when all tables are as full as they get, admissions aside.
    pub const fn bytes_per_entry() -> usize {
        // The map leaves at least one slot of eight free, and marks each with a byte.
        size_of::<Entry>() + size_of::<TicketNumber>() + SLOT_BYTES * 8 / 7
    }

    /// About how many bytes the room takes now, with what its tables reserved for growing.
    pub fn memory_bytes(&self) -> usize {
        let slots = (self.numbers.capacity() * 8 / 7).next_power_of_two();
        size_of::<Self>()
            + self.entries.capacity() * size_of::<Entry>()
            + self.order.capacity() * size_of::<TicketNumber>()
            + if self.numbers.capacity() == 0 { 0 } else { slots * SLOT_BYTES }
            + self.ends.capacity() * size_of::<(Seconds, TicketNumber)>()
            + self.recent_waits.capacity() * size_of::<Seconds>()
    }

    /// All who stand in the order are waiting from `next` on, so the difference is exact. Who is behind a number on
    /// its way does not stand there yet, and may be told of one ahead who never comes.
    fn ahead_of(&self, number: TicketNumber, entry: &Entry) -> u32 {
        let ahead = if number.index() < self.settled {
            (entry.position as usize).saturating_sub(self.next)
        } else {
            self.order.len() - self.next + (number.index() - self.settled)
        };
        u32::try_from(ahead).unwrap_or(u32::MAX)
    }

    fn on_its_way(&mut self, number: TicketNumber) -> Option<&mut Entry> {
        self.entries.get_mut(number.index()).filter(|entry| entry.standing == Standing::OnItsWay)
    }

    fn kept(&mut self, number: TicketNumber) -> Result<&mut Entry, RoomRefusal> {
        let entry = self.entries.get_mut(number.index()).filter(|entry| entry.is_kept());
        entry.ok_or(RoomRefusal::UnknownTicket(number))
    }

    /// Gives places to those after whom nobody can come in any more.
    fn settle(&mut self) {
        while let Some(entry) = self.entries.get_mut(self.settled)
            && entry.standing != Standing::OnItsWay
        {
            if self.opened.is_some()
                && entry.is_kept()
                && let Some(number) = TicketNumber::at(self.settled)
            {
                // There are never more than there are ticket numbers.
                entry.position = u32::try_from(self.order.len()).unwrap_or(u32::MAX);
                self.order.push(number);
            }
            self.settled += 1;
        }
    }

    fn remember_wait(&mut self, waited: Seconds) {
        if self.recent_waits.len() == RECENT_MAX
            && let Some(oldest) = self.recent_waits.pop_front()
        {
            self.recent_waits_sum -= u64::from(oldest);
        }
        self.recent_waits.push_back(waited);
        self.recent_waits_sum += u64::from(waited);
    }

    fn put(&mut self, stored: StoredEntry) -> Result<(), RestoreError> {
        let index = stored.number.index();
        if index >= self.entries.len() {
            self.entries.resize(index + 1, Entry::void());
        }
        let Some(entry) = self.entries.get_mut(index).filter(|entry| !entry.is_kept()) else {
            return Err(RestoreError::TicketTwice(stored.number));
        };
        *entry = Entry {
            customer: stored.customer,
            joined: seconds(stored.joined_at),
            until: stored.admitted_until.map_or(0, seconds),
            position: 0,
            standing: Standing::Kept(stored.state),
        };
        Ok(())
    }

    /// Entries come by ascending number, so that a customer's newest ticket is the one that is found.
    fn count_restored(&mut self, index: usize) {
        let Some(number) = TicketNumber::at(index) else { return };
        let Some(Entry { customer, until, standing: Standing::Kept(state), .. }) = self.entries.get(index)
        else {
            return;
        };
        self.numbers.insert(*customer, number);
        self.counts.entries += 1;
        match state {
            EntryState::Waiting => self.counts.waiting += 1,
            EntryState::Admitted => self.counts.admitted += 1,
            EntryState::Ordered => self.counts.ordered += 1,
            EntryState::NoShow => self.counts.no_shows += 1,
        }
        if matches!(state, EntryState::Admitted | EntryState::Ordered) {
            self.ends.push(Reverse((*until, number)));
        }
    }

    fn first_past_waiting(&self) -> Option<TicketNumber> {
        let is_past = |entry: &Entry| entry.is_kept() && !entry.is_waiting();
        self.entries.iter().position(is_past).and_then(TicketNumber::at)
    }

    /// Puts those who are past waiting first, so that also then nobody waits in front of `next` when a crash kept an
    /// admission and lost an earlier one.
    fn gather_the_waiting(&mut self) {
        let is_waiting =
            |number: &TicketNumber| self.entries.get(number.index()).is_some_and(Entry::is_waiting);
        let (waiting, past): (Vec<_>, Vec<_>) = self.order.iter().copied().partition(is_waiting);
        self.next = past.len();
        self.order = past;
        self.order.extend(waiting);
        for (position, number) in (0..).zip(&self.order) {
            if let Some(entry) = self.entries.get_mut(number.index()) {
                entry.position = position;
            }
        }
    }
}

/// A slot of the map from customers to tickets.
const SLOT_BYTES: usize = size_of::<(CustomerId, TicketNumber)>() + 1;

impl Entry {
    fn void() -> Self {
        let nobody = CustomerId::from_uuid(uuid::Uuid::nil());
        Self { customer: nobody, joined: 0, until: 0, position: 0, standing: Standing::Void }
    }

    fn is_kept(&self) -> bool {
        matches!(self.standing, Standing::Kept(_))
    }

    fn is_waiting(&self) -> bool {
        self.standing == Standing::Kept(EntryState::Waiting)
    }

    /// Also when it ended and nobody has let it lapse yet.
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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    const OPENING: i64 = 1_800_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(OPENING + second).unwrap()
    }

    fn customer(number: u32) -> CustomerId {
        CustomerId::from_uuid(uuid::Uuid::from_u128(number.into()))
    }

    fn number(number: u32) -> TicketNumber {
        TicketNumber::new(number).unwrap()
    }

    fn sale() -> SaleId {
        SaleId::from_uuid(uuid::Uuid::from_u128(77))
    }

    fn seed() -> Seed {
        Seed::from_bytes([5; 32])
    }

    fn queue() -> WaitingRoom {
        WaitingRoom::new(RoomMode::Queue, sale(), 100)
    }

    /// A room that opened with nobody, so that all stand in the order of joining.
    fn opened() -> WaitingRoom {
        let mut room = queue();
        room.draw(&seed(), at(0)).unwrap();
        room
    }

    fn enter(room: &mut WaitingRoom, who: u32, second: i64) -> TicketNumber {
        let Ok(Joined::New(entry)) = room.join(customer(who), at(second)) else { panic!("{who} is new") };
        assert!(room.confirm(entry.number));
        entry.number
    }

    fn place(room: &WaitingRoom, who: u32, second: i64) -> (PlaceState, u32) {
        let place = room.place(room.numbers[&customer(who)], customer(who), at(second)).unwrap();
        (place.state, place.ahead)
    }

    fn lapse(room: &mut WaitingRoom, now: Timestamp) -> Vec<TicketNumber> {
        room.lapse(now).into_iter().map(|change| change.number).collect()
    }

    fn admit(room: &mut WaitingRoom, second: i64, how_many: u32) -> Vec<u32> {
        room.admit(at(second), how_many, 60).iter().map(|it| it.number.get()).collect()
    }

    #[test]
    fn a_customer_has_one_ticket_however_often_it_joins() {
        let mut room = queue();
        let Ok(Joined::New(entry)) = room.join(customer(1), at(-5)) else { panic!() };
        assert_eq!(room.join(customer(1), at(-4)), Ok(Joined::OnItsWay(entry.number)));
        room.confirm(entry.number);
        assert_eq!(room.join(customer(1), at(-3)), Ok(Joined::Already(entry.number)));
        room.draw(&seed(), at(0)).unwrap();
        admit(&mut room, 1, 1);
        assert_eq!(room.join(customer(1), at(2)), Ok(Joined::Already(entry.number)));
        room.ordered(entry.number).unwrap();
        room.finish(Finish::SoldOut);
        assert_eq!(room.join(customer(1), at(1_000)), Ok(Joined::Already(entry.number)));
        assert_eq!(room.counts().entries, 1);
    }

    #[test]
    fn those_who_came_before_the_opening_are_drawn_and_later_ones_stand_behind() {
        let mut room = queue();
        for who in 1..=20 {
            enter(&mut room, who, -100);
        }
        assert_eq!(place(&room, 20, -1), (PlaceState::PreQueue, 0));
        assert!(room.admit(at(-1), 5, 60).is_empty());
        let draw = room.draw(&seed(), at(0)).unwrap();
        assert_eq!(draw.verify(), Ok(()));
        let order: Vec<_> = draw.order.iter().map(|it| it.get()).collect();
        assert_ne!(order, (1..=20).collect::<Vec<_>>());
        enter(&mut room, 21, 1);
        enter(&mut room, 22, 1);
        for (who, ahead) in order.iter().copied().chain([21, 22]).zip(0..) {
            assert_eq!(place(&room, who, 1), (PlaceState::Waiting, ahead));
        }
        assert_eq!(admit(&mut room, 1, 3), order[..3]);
        assert_eq!(admit(&mut room, 2, 18), [&order[3..], &[21]].concat());
        assert_eq!(place(&room, 22, 2), (PlaceState::Waiting, 0));
        assert_eq!(admit(&mut room, 3, 18), [22]);
        assert!(admit(&mut room, 4, 18).is_empty());
        assert_eq!(room.draw(&seed(), at(5)), Err(RoomRefusal::AlreadyDrawn));
    }

    #[test]
    fn in_a_lottery_nobody_enters_after_the_draw_and_runners_up_move_up() {
        let mut room = WaitingRoom::new(RoomMode::Lottery, sale(), 100);
        for who in 1..=5 {
            enter(&mut room, who, -100);
        }
        let order: Vec<_> = room.draw(&seed(), at(0)).unwrap().order.iter().map(|it| it.get()).collect();
        assert_eq!(room.join(customer(6), at(1)), Err(RoomRefusal::EntriesClosed));
        assert_eq!(admit(&mut room, 0, 2), order[..2]);
        room.ordered(number(order[0])).unwrap();
        assert_eq!(place(&room, order[2], 59), (PlaceState::Waiting, 0));
        assert_eq!(lapse(&mut room, at(60)), [number(order[1])]);
        assert_eq!(admit(&mut room, 60, 1), order[2..3]);
        assert_eq!(room.join(customer(order[1]), at(61)), Err(RoomRefusal::EntriesClosed));
    }

    #[test]
    fn a_room_is_full_with_as_many_as_it_holds() {
        let mut room = WaitingRoom::new(RoomMode::Queue, sale(), 2);
        enter(&mut room, 1, 0);
        let Ok(Joined::New(second)) = room.join(customer(2), at(0)) else { panic!() };
        assert_eq!(room.join(customer(3), at(0)), Err(RoomRefusal::Full { entries_max: 2 }));
        assert_eq!(room.join(customer(1), at(0)), Ok(Joined::Already(number(1))));
        room.forget(second.number);
        assert_eq!(enter(&mut room, 3, 0), number(2));
    }

    #[test]
    fn refused_writes_use_up_no_numbers() {
        let mut room = WaitingRoom::new(RoomMode::Queue, sale(), 3);
        for who in 0..100 {
            let Ok(Joined::New(one)) = room.join(customer(2 * who), at(0)) else { panic!() };
            let Ok(Joined::New(other)) = room.join(customer(2 * who + 1), at(0)) else { panic!() };
            assert!(room.forget(one.number) && room.forget(other.number));
            assert!(!room.forget(one.number) && !room.confirm(other.number));
        }
        assert_eq!(enter(&mut room, 1, 0), number(1));
        assert_eq!(room.counts().entries, 1);
    }

    #[test]
    fn a_number_whose_write_failed_is_a_gap_that_the_draw_lists() {
        let mut room = queue();
        enter(&mut room, 1, -1);
        let Ok(Joined::New(lost)) = room.join(customer(2), at(-1)) else { panic!() };
        enter(&mut room, 3, -1);
        assert!(room.forget(lost.number));
        let unknown = Err(RoomRefusal::UnknownTicket(lost.number));
        assert_eq!(room.place(lost.number, customer(2), at(-1)), unknown);
        assert_eq!(enter(&mut room, 2, -1), number(4), "its customer may join again");
        let draw = room.draw(&seed(), at(0)).unwrap();
        assert_eq!((draw.tickets, &draw.missing[..], draw.order.len()), (4, &[number(2)][..], 3));
        assert_eq!(draw.verify(), Ok(()));
        assert_eq!(admit(&mut room, 0, 9).len(), 3);
    }

    #[test]
    fn the_draw_waits_for_entries_on_their_way_but_not_for_later_ones() {
        let mut room = queue();
        enter(&mut room, 1, -1);
        let Ok(Joined::New(slow)) = room.join(customer(2), at(-1)) else { panic!() };
        assert_eq!(room.draw(&seed(), at(0)), Err(RoomRefusal::EntriesOnTheirWay { entries: 1 }));
        // Too late to be drawn.
        enter(&mut room, 3, 0);
        let Ok(Joined::New(slower)) = room.join(customer(4), at(0)) else { panic!() };
        room.confirm(slow.number);
        let draw = room.draw(&seed(), at(0)).unwrap();
        assert_eq!(draw.tickets, 2);
        let order = [draw.order[0].get(), draw.order[1].get(), 3];
        assert_eq!(admit(&mut room, 1, 9), order);
        room.confirm(slower.number);
        assert_eq!(admit(&mut room, 1, 9), [4]);
    }

    #[test]
    fn a_last_number_that_was_forgotten_while_the_draw_waited_is_not_given_away_again() {
        let mut room = queue();
        enter(&mut room, 1, -1);
        let Ok(Joined::New(lost)) = room.join(customer(2), at(-1)) else { panic!() };
        assert!(room.draw(&seed(), at(0)).is_err());
        room.forget(lost.number);
        assert_eq!(enter(&mut room, 2, 0), number(3));
        let draw = room.draw(&seed(), at(0)).unwrap();
        assert_eq!((draw.tickets, draw.order, draw.missing), (2, vec![number(1)], vec![number(2)]));
        assert_eq!(admit(&mut room, 0, 9), [1, 3]);
    }

    #[test]
    fn nobody_passes_a_number_on_its_way() {
        let mut room = opened();
        let Ok(Joined::New(slow)) = room.join(customer(1), at(1)) else { panic!() };
        enter(&mut room, 2, 1);
        assert!(admit(&mut room, 1, 9).is_empty());
        assert_eq!(place(&room, 2, 1), (PlaceState::Waiting, 1));
        room.forget(slow.number);
        assert_eq!(place(&room, 2, 1), (PlaceState::Waiting, 0));
        assert_eq!(admit(&mut room, 1, 9), [2]);
    }

    #[test]
    fn a_draw_of_other_entries_does_not_open_the_room() {
        let mut room = queue();
        for who in 1..=3 {
            enter(&mut room, who, -1);
        }
        let right = room.close_entries().unwrap().draw(&seed(), at(0));
        let wrong = |change: &dyn Fn(&mut PublishedDraw)| {
            let mut draw = right.clone();
            change(&mut draw);
            draw
        };
        for draw in [
            wrong(&|it| it.sale = SaleId::generate()),
            wrong(&|it| it.tickets = 4),
            wrong(&|it| it.order.truncate(2)),
            wrong(&|it| it.order[0] = it.order[1]),
            wrong(&|it| it.order[0] = number(4)),
        ] {
            assert_eq!(room.drawn(&draw), Err(RoomRefusal::OtherDraw));
        }
        assert!(!room.is_open());
        assert_eq!(room.drawn(&right), Ok(()));
    }

    #[test]
    fn a_no_show_may_join_again_and_stands_at_the_end() {
        let mut room = opened();
        for who in 1..=3 {
            enter(&mut room, who, 1);
        }
        assert_eq!(admit(&mut room, 10, 1), [1]);
        assert!(lapse(&mut room, at(69)).is_empty());
        assert_eq!(place(&room, 1, 69), (PlaceState::Admitted, 0));
        // Told so even before anybody lets it lapse.
        assert_eq!(place(&room, 1, 70), (PlaceState::NoShow, 0));
        assert_eq!(lapse(&mut room, at(70)), [number(1)]);
        assert!(lapse(&mut room, at(70)).is_empty());
        assert_eq!(enter(&mut room, 1, 71), number(4));
        assert_eq!(place(&room, 1, 71), (PlaceState::Waiting, 2));
        assert_eq!(admit(&mut room, 71, 9), [2, 3, 4]);
        let old = room.place(number(1), customer(1), at(71)).unwrap();
        assert_eq!(old.state, PlaceState::NoShow);
        assert_eq!(room.counts().no_shows, 1);
    }

    #[test]
    fn an_admission_is_used_once_and_again_only_when_given_back() {
        let mut room = opened();
        let ticket = enter(&mut room, 1, 1);
        assert_eq!(room.ordered(ticket), Err(RoomRefusal::NotAdmitted(ticket)));
        assert_eq!(room.given_back(ticket), Err(RoomRefusal::NotAdmitted(ticket)));
        admit(&mut room, 1, 1);
        let used = EntryChange { number: ticket, state: EntryState::Ordered, admitted_until: Some(at(61)) };
        assert_eq!(room.ordered(ticket), Ok(used));
        assert_eq!(room.ordered(ticket), Err(RoomRefusal::AlreadyUsed(ticket)));
        assert_eq!(place(&room, 1, 1_000), (PlaceState::Ordered, 0));
        assert_eq!(room.given_back(ticket), Ok(EntryChange { state: EntryState::Admitted, ..used }));
        assert_eq!(place(&room, 1, 60), (PlaceState::Admitted, 0));
        assert!(room.ordered(ticket).is_ok());
        assert_eq!(room.ordered(number(2)), Err(RoomRefusal::UnknownTicket(number(2))));
    }

    #[test]
    fn an_order_that_is_heard_of_after_its_admission_lapsed_makes_a_no_show_none() {
        let mut room = opened();
        let ticket = enter(&mut room, 1, 1);
        admit(&mut room, 1, 1);
        assert_eq!(lapse(&mut room, at(61)), [ticket]);
        let used = EntryChange { number: ticket, state: EntryState::Ordered, admitted_until: Some(at(61)) };
        assert_eq!(room.ordered(ticket), Ok(used));
        assert_eq!((room.counts().ordered, room.counts().no_shows, room.counts().admitted), (1, 0, 0));
        assert_eq!(place(&room, 1, 70), (PlaceState::Ordered, 0));
        room.given_back(ticket).unwrap();
        assert_eq!(lapse(&mut room, at(61)), [ticket]);
        assert_eq!(room.counts().no_shows, 1);
    }

    #[test]
    fn what_is_given_back_too_late_lapses_at_once() {
        let mut room = opened();
        let ticket = enter(&mut room, 1, 1);
        admit(&mut room, 1, 1);
        room.ordered(ticket).unwrap();
        assert!(lapse(&mut room, at(100)).is_empty());
        room.given_back(ticket).unwrap();
        assert_eq!(lapse(&mut room, at(100)), [ticket]);
        assert_eq!(enter(&mut room, 1, 101), number(2));
    }

    #[test]
    fn orders_that_come_to_nothing_again_and_again_take_no_memory() {
        let mut room = opened();
        let ticket = enter(&mut room, 1, 1);
        admit(&mut room, 1, 1);
        for _ in 0..1_000 {
            room.ordered(ticket).unwrap();
            room.given_back(ticket).unwrap();
        }
        assert_eq!(room.ends.len(), 1);
        assert_eq!(room.next_end(), Some(at(61)));
    }

    #[test]
    fn after_the_end_nobody_is_let_in_and_who_was_keeps_the_admission() {
        for (finish, state) in [(Finish::SoldOut, PlaceState::SoldOut), (Finish::Closed, PlaceState::Closed)]
        {
            let mut room = opened();
            enter(&mut room, 1, 1);
            enter(&mut room, 2, 1);
            admit(&mut room, 1, 1);
            assert!(room.finish(finish));
            assert!(!room.finish(Finish::Closed));
            assert!(admit(&mut room, 2, 9).is_empty());
            assert_eq!(place(&room, 1, 2), (PlaceState::Admitted, 0));
            assert_eq!(place(&room, 2, 2), (state, 0));
            assert_eq!(room.join(customer(3), at(2)), Err(RoomRefusal::Closed(finish)));
            room.ordered(number(1)).unwrap();
        }
        let mut unopened = queue();
        enter(&mut unopened, 1, -1);
        unopened.finish(Finish::Closed);
        assert_eq!(place(&unopened, 1, 0), (PlaceState::Closed, 0));
        assert_eq!(unopened.draw(&seed(), at(0)), Err(RoomRefusal::Closed(Finish::Closed)));
    }

    #[test]
    fn a_place_is_told_to_its_own_customer_alone() {
        let mut room = queue();
        let ticket = enter(&mut room, 1, 0);
        let stranger = room.place(ticket, customer(2), at(0));
        assert_eq!(stranger, Err(RoomRefusal::OthersTicket(ticket)));
        let unknown = room.place(number(2), customer(1), at(0));
        assert_eq!(unknown, Err(RoomRefusal::UnknownTicket(number(2))));
    }

    #[test]
    fn the_mean_wait_is_of_the_last_and_from_the_opening_on() {
        let mut room = queue();
        assert_eq!(room.counts().mean_wait_seconds, None);
        enter(&mut room, 1, -1_000);
        room.draw(&seed(), at(0)).unwrap();
        enter(&mut room, 2, 10);
        admit(&mut room, 30, 2);
        assert_eq!(room.counts().mean_wait_seconds, Some(25));

        let mut busy = WaitingRoom::new(RoomMode::Queue, sale(), 10_000);
        busy.draw(&seed(), at(0)).unwrap();
        for who in 0..1_500 {
            enter(&mut busy, who, 0);
        }
        admit(&mut busy, 1_000, 500);
        admit(&mut busy, 40, 1_000);
        assert_eq!(busy.counts().mean_wait_seconds, Some(40));
    }

    #[test]
    fn an_entry_takes_few_bytes() {
        assert_eq!(size_of::<Entry>(), 32);
        assert!(WaitingRoom::bytes_per_entry() <= 64, "{}", WaitingRoom::bytes_per_entry());
        let mut room = WaitingRoom::new(RoomMode::Queue, sale(), 20_000);
        let empty = room.memory_bytes();
        for who in 0..10_000 {
            enter(&mut room, who, 0);
        }
        room.draw(&seed(), at(0)).unwrap();
        // Tables that double are at worst half empty.
        let grown = room.memory_bytes() - empty;
        assert!(grown >= 10_000 * 57 && grown <= 2 * 10_000 * WaitingRoom::bytes_per_entry(), "{grown}");
    }

    #[test]
    fn what_was_stored_wrongly_does_not_become_a_room() {
        let entry = |who, state| StoredEntry {
            number: number(who),
            customer: customer(who),
            joined_at: at(-1),
            state,
            admitted_until: None,
        };
        let restore = |entries: &[StoredEntry], draw: Option<&PublishedDraw>| {
            WaitingRoom::restore(RoomMode::Queue, sale(), 9, entries.iter().copied(), draw, None)
        };
        let waiting = entry(1, EntryState::Waiting);
        assert_eq!(restore(&[waiting, waiting], None).unwrap_err(), RestoreError::TicketTwice(number(1)));
        let ordered = restore(&[entry(1, EntryState::Ordered)], None).unwrap_err();
        assert_eq!(ordered, RestoreError::AdmittedBeforeTheDraw(number(1)));
        let draw = restore(&[waiting], None).unwrap().draw(&seed(), at(0)).unwrap();
        assert_eq!(restore(&[], Some(&draw)).unwrap_err(), RestoreError::OtherDraw(sale()));
        assert!(restore(&[waiting], Some(&draw)).is_ok());
    }

    #[test]
    fn an_entry_that_was_written_although_it_was_said_not_to_be_is_nobodys() {
        let mut room = queue();
        enter(&mut room, 1, -1);
        let Ok(Joined::New(lost)) = room.join(customer(2), at(-1)) else { panic!() };
        let Ok(Joined::New(kept)) = room.join(customer(3), at(-1)) else { panic!() };
        room.forget(lost.number);
        room.confirm(kept.number);
        let draw = room.draw(&seed(), at(0)).unwrap();
        let stored = (1..=3).map(|who| StoredEntry { number: number(who), customer: customer(who), ..kept });
        let mut restored =
            WaitingRoom::restore(RoomMode::Queue, sale(), 9, stored, Some(&draw), None).unwrap();
        assert_eq!(restored.counts().entries, 2);
        assert_eq!(enter(&mut restored, 2, 1), number(4));
        assert_eq!(place(&restored, 2, 1), (PlaceState::Waiting, 2));
    }

    #[test]
    fn an_admission_that_was_lost_in_a_crash_comes_before_those_who_wait() {
        let entry = |who, state, until: Option<i64>| StoredEntry {
            number: number(who),
            customer: customer(who),
            joined_at: at(1),
            state,
            admitted_until: until.map(at),
        };
        let draw = opened_draw();
        let stored = [
            entry(1, EntryState::Ordered, Some(60)),
            entry(2, EntryState::Waiting, None),
            entry(3, EntryState::Admitted, Some(60)),
            entry(4, EntryState::Waiting, None),
        ];
        let mut room = WaitingRoom::restore(RoomMode::Queue, sale(), 9, stored, Some(&draw), None).unwrap();
        assert_eq!(place(&room, 2, 2), (PlaceState::Waiting, 0));
        assert_eq!(place(&room, 4, 2), (PlaceState::Waiting, 1));
        assert_eq!(admit(&mut room, 2, 9), [2, 4]);
        assert_eq!(lapse(&mut room, at(60)), [number(3)]);
    }

    fn opened_draw() -> PublishedDraw {
        queue().close_entries().unwrap().draw(&seed(), at(0))
    }

    /// What happens to a room, with a store that writes what the room returns.
    #[derive(Debug, Clone)]
    enum Event {
        Join(u32),
        /// Ends the write of the join that has been on its way for long; whether it succeeded.
        Written {
            oldest: bool,
            success: bool,
        },
        Draw,
        Admit(u32),
        Pass(i64),
        Lapse,
        Order(u32),
        GiveBack(u32),
        Finish,
    }

    struct Stored {
        room: WaitingRoom,
        entries: BTreeMap<TicketNumber, StoredEntry>,
        draw: Option<PublishedDraw>,
        finished: Option<Finish>,
        on_their_way: VecDeque<StoredEntry>,
        admissions: Vec<TicketNumber>,
        second: i64,
    }

    impl Stored {
        fn new(mode: RoomMode) -> Self {
            Self {
                room: WaitingRoom::new(mode, sale(), 60),
                entries: BTreeMap::new(),
                draw: None,
                finished: None,
                on_their_way: VecDeque::new(),
                admissions: Vec::new(),
                second: -50,
            }
        }

        fn write(&mut self, change: EntryChange) {
            let entry = self.entries.get_mut(&change.number).unwrap();
            entry.state = change.state;
            entry.admitted_until = change.admitted_until;
        }

        fn written(&mut self, oldest: bool, success: bool) {
            let entry = if oldest { self.on_their_way.pop_front() } else { self.on_their_way.pop_back() };
            let Some(entry) = entry else { return };
            if success {
                assert!(self.entries.insert(entry.number, entry).is_none(), "a number is given out once");
                assert!(self.room.confirm(entry.number));
            } else {
                assert!(self.room.forget(entry.number));
            }
        }

        fn happen(&mut self, event: &Event) {
            let now = at(self.second);
            match *event {
                Event::Join(who) => {
                    if let Ok(Joined::New(entry)) = self.room.join(customer(who), now) {
                        self.on_their_way.push_back(entry);
                    }
                }
                Event::Written { oldest, success } => self.written(oldest, success),
                Event::Draw => {
                    if let Ok(draw) = self.room.draw(&seed(), now) {
                        assert_eq!(draw.verify(), Ok(()));
                        self.draw = Some(draw);
                    }
                }
                Event::Admit(how_many) => {
                    for admitted in self.room.admit(now, how_many, 20) {
                        self.admissions.push(admitted.number);
                        self.write(admitted.into());
                    }
                }
                Event::Pass(seconds) => self.second += seconds,
                Event::Lapse => {
                    for change in self.room.lapse(now) {
                        self.write(change);
                    }
                }
                Event::Order(it) => {
                    if let Ok(change) = self.room.ordered(number(it)) {
                        self.write(change);
                    }
                }
                Event::GiveBack(it) => {
                    if let Ok(change) = self.room.given_back(number(it)) {
                        self.write(change);
                    }
                }
                Event::Finish => {
                    if self.room.finish(Finish::SoldOut) {
                        self.finished = Some(Finish::SoldOut);
                    }
                }
            }
        }

        fn restored(&self) -> WaitingRoom {
            // As a database may answer without an order by.
            let entries = self.entries.values().rev().copied();
            let mode = self.room.mode();
            WaitingRoom::restore(mode, sale(), 60, entries, self.draw.as_ref(), self.finished).unwrap()
        }

        fn places(&self, room: &WaitingRoom) -> Vec<Result<Place, RoomRefusal>> {
            let entries = self.entries.values();
            entries.map(|it| room.place(it.number, it.customer, at(self.second))).collect()
        }
    }

    fn any_event() -> impl Strategy<Value = Event> {
        prop_oneof![
            6 => (0..25_u32).prop_map(Event::Join),
            5 => (any::<bool>(), prop::bool::weighted(0.8))
                .prop_map(|(oldest, success)| Event::Written { oldest, success }),
            1 => Just(Event::Draw),
            2 => (0..5_u32).prop_map(Event::Admit),
            2 => (0..15_i64).prop_map(Event::Pass),
            2 => Just(Event::Lapse),
            2 => (1..30_u32).prop_map(Event::Order),
            2 => (1..30_u32).prop_map(Event::GiveBack),
        ]
    }

    fn any_events() -> impl Strategy<Value = (RoomMode, Vec<Event>)> {
        let mode = prop_oneof![3 => Just(RoomMode::Queue), 1 => Just(RoomMode::Lottery)];
        // The end comes last, if at all, or nothing happened after it.
        let end = prop::option::weighted(0.2, Just(Event::Finish));
        (mode, prop::collection::vec(any_event(), 1..200), end).prop_map(|(mode, mut events, end)| {
            events.extend(end);
            (mode, events)
        })
    }

    proptest! {
        #[test]
        fn a_restored_room_tells_everybody_the_same_and_goes_on_in_the_same_way(
            (mode, events) in any_events(), later in prop::collection::vec(any_event(), 0..30)
        ) {
            let mut stored = Stored::new(mode);
            for event in &events {
                stored.happen(event);
            }
            // What is on its way in a crash was told to nobody.
            while !stored.on_their_way.is_empty() {
                stored.written(true, false);
            }
            let restored = stored.restored();
            prop_assert_eq!(stored.places(&restored), stored.places(&stored.room));
            let same = |counts: RoomCounts| RoomCounts { mean_wait_seconds: None, ..counts };
            prop_assert_eq!(same(restored.counts()), same(stored.room.counts()));

            let mut other = Stored { room: restored, entries: stored.entries.clone(), draw: stored.draw.clone(),
                on_their_way: VecDeque::new(), admissions: stored.admissions.clone(), ..stored };
            // A draw that waits for entries forgets in a restart that it did.
            if stored.draw.is_some() || stored.room.drawn_to.is_none() {
                for event in &later {
                    stored.happen(event);
                    other.happen(event);
                }
                prop_assert_eq!(&other.admissions, &stored.admissions);
                let settled = stored.on_their_way.is_empty() && stored.draw.is_some();
                if settled && other.entries == stored.entries {
                    prop_assert_eq!(other.places(&other.room), stored.places(&stored.room));
                }
            }
        }

        #[test]
        fn everybody_is_let_in_once_strictly_in_order_and_places_are_exact((mode, events) in any_events()) {
            let mut stored = Stored::new(mode);
            for event in &events {
                stored.happen(event);

                // The order, found the slow way.
                let Some(draw) = &stored.draw else {
                    prop_assert!(stored.admissions.is_empty());
                    continue;
                };
                let later = stored.entries.keys().filter(|number| number.get() > draw.tickets);
                let order: Vec<_> = draw.order.iter().chain(later).copied().collect();
                prop_assert_eq!(&stored.admissions[..], &order[..stored.admissions.len()]);

                let is_done: HashSet<_> = stored.admissions.iter().copied().collect();
                if stored.on_their_way.is_empty() && stored.finished.is_none() {
                    let waiting = order.iter().filter(|number| !is_done.contains(number));
                    for (number, ahead) in waiting.zip(0..) {
                        let entry = stored.entries[number];
                        let place = stored.room.place(*number, entry.customer, at(stored.second)).unwrap();
                        prop_assert_eq!((place.state, place.ahead), (PlaceState::Waiting, ahead));
                    }
                }
            }
        }

        #[test]
        fn the_counts_are_those_of_what_was_stored((mode, events) in any_events()) {
            let mut stored = Stored::new(mode);
            for event in &events {
                stored.happen(event);
                let count = |state| {
                    u32::try_from(stored.entries.values().filter(|it| it.state == state).count()).unwrap()
                };
                let counts = stored.room.counts();
                prop_assert_eq!(counts.waiting, count(EntryState::Waiting));
                prop_assert_eq!(counts.admitted, count(EntryState::Admitted));
                prop_assert_eq!(counts.ordered, count(EntryState::Ordered));
                prop_assert_eq!(counts.no_shows, count(EntryState::NoShow));
                prop_assert_eq!(counts.entries as usize, stored.entries.len());
                let on_their_way = stored.on_their_way.len();
                prop_assert_eq!(stored.room.on_their_way as usize, on_their_way);
            }
        }

        #[test]
        fn a_place_that_was_told_never_gets_worse((mode, events) in any_events()) {
            let mut stored = Stored::new(mode);
            let mut told: HashMap<TicketNumber, u32> = HashMap::new();
            for event in &events {
                stored.happen(event);
                for entry in stored.entries.values() {
                    let place = stored.room.place(entry.number, entry.customer, at(stored.second)).unwrap();
                    if place.state == PlaceState::Waiting {
                        let before = told.insert(entry.number, place.ahead);
                        prop_assert!(before.is_none_or(|before| place.ahead <= before));
                    }
                }
            }
        }
    }
}
