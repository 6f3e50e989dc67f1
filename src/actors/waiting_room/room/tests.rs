//! Tests of the room as a whole: what its tests share, joining and places, and properties of any sequence of events.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::super::draw::{PublishedDraw, Seed};
use super::*;

const OPENING: i64 = 1_800_000_000;

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(OPENING + second).unwrap()
}

pub(super) fn customer(number: u32) -> CustomerId {
    CustomerId::from_uuid(uuid::Uuid::from_u128(number.into()))
}

pub(super) fn number(number: u32) -> TicketNumber {
    TicketNumber::new(number).unwrap()
}

pub(super) fn sale() -> SaleId {
    SaleId::from_uuid(uuid::Uuid::from_u128(77))
}

pub(super) fn seed() -> Seed {
    Seed::from_bytes([5; 32])
}

pub(super) fn queue() -> WaitingRoom {
    WaitingRoom::new(RoomMode::Queue, sale(), 100)
}

/// A room that opened empty, so that all stand in the order of joining.
pub(super) fn opened() -> WaitingRoom {
    let mut room = queue();
    room.draw(&seed(), at(0)).unwrap();
    room
}

impl WaitingRoom {
    /// Closes the entries, draws and opens, all at once.
    pub(super) fn draw(&mut self, seed: &Seed, now: Timestamp) -> Result<PublishedDraw, RoomRefusal> {
        let draw = self.close_entries()?.draw(seed, now);
        self.drawn(&draw)?;
        Ok(draw)
    }
}

pub(super) fn enter(room: &mut WaitingRoom, who: u32, second: i64) -> TicketNumber {
    let Ok(Joined::New(entry)) = room.join(customer(who), at(second)) else { panic!("{who} is new") };
    assert!(room.confirm(entry.number));
    entry.number
}

pub(super) fn place(room: &WaitingRoom, who: u32, second: i64) -> (TicketState, u32) {
    let place = room.position(room.numbers[&customer(who)], customer(who), at(second)).unwrap();
    (place.state, place.ahead)
}

pub(super) fn lapse(room: &mut WaitingRoom, now: Timestamp) -> Vec<TicketNumber> {
    room.lapse(now).into_iter().map(|change| change.number).collect()
}

pub(super) fn admit(room: &mut WaitingRoom, second: i64, how_many: u32) -> Vec<u32> {
    room.admit(at(second), how_many, 60).iter().map(|it| it.number.get()).collect()
}

#[test]
fn a_customer_who_joins_twice_has_one_ticket() {
    let mut room = queue();
    let Ok(Joined::New(entry)) = room.join(customer(1), at(-5)) else { panic!() };
    assert_eq!(room.join(customer(1), at(-4)), Ok(Joined::Pending(entry.number)));
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
fn a_full_room_refuses_until_a_pending_entry_is_forgotten() {
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
fn no_ticket_passes_a_pending_number() {
    let mut room = opened();
    let Ok(Joined::New(slow)) = room.join(customer(1), at(1)) else { panic!() };
    enter(&mut room, 2, 1);
    assert!(admit(&mut room, 1, 9).is_empty());
    assert_eq!(place(&room, 2, 1), (TicketState::Waiting, 1));
    room.forget(slow.number);
    assert_eq!(place(&room, 2, 1), (TicketState::Waiting, 0));
    assert_eq!(admit(&mut room, 1, 9), [2]);
}

#[test]
fn a_no_show_may_join_again_and_stands_at_the_end() {
    let mut room = opened();
    for who in 1..=3 {
        enter(&mut room, who, 1);
    }
    assert_eq!(admit(&mut room, 10, 1), [1]);
    assert!(lapse(&mut room, at(69)).is_empty());
    assert_eq!(place(&room, 1, 69), (TicketState::Admitted, 0));
    // Told so even before anybody lets it lapse.
    assert_eq!(place(&room, 1, 70), (TicketState::NoShow, 0));
    assert_eq!(lapse(&mut room, at(70)), [number(1)]);
    assert!(lapse(&mut room, at(70)).is_empty());
    assert_eq!(enter(&mut room, 1, 71), number(4));
    assert_eq!(place(&room, 1, 71), (TicketState::Waiting, 2));
    assert_eq!(admit(&mut room, 71, 9), [2, 3, 4]);
    let old = room.position(number(1), customer(1), at(71)).unwrap();
    assert_eq!(old.state, TicketState::NoShow);
    assert_eq!(room.counts().no_shows, 1);
}

#[test]
fn after_the_end_no_customer_is_admitted_and_admissions_stay_valid() {
    for (finish, state) in [(Finish::SoldOut, TicketState::SoldOut), (Finish::Closed, TicketState::Closed)] {
        let mut room = opened();
        enter(&mut room, 1, 1);
        enter(&mut room, 2, 1);
        admit(&mut room, 1, 1);
        assert!(room.finish(finish));
        assert!(!room.finish(Finish::Closed));
        assert!(admit(&mut room, 2, 9).is_empty());
        assert_eq!(place(&room, 1, 2), (TicketState::Admitted, 0));
        assert_eq!(place(&room, 2, 2), (state, 0));
        assert_eq!(room.join(customer(3), at(2)), Err(RoomRefusal::Closed(finish)));
        room.ordered(number(1)).unwrap();
    }
    let mut unopened = queue();
    enter(&mut unopened, 1, -1);
    unopened.finish(Finish::Closed);
    assert_eq!(place(&unopened, 1, 0), (TicketState::Closed, 0));
    assert_eq!(unopened.draw(&seed(), at(0)), Err(RoomRefusal::Closed(Finish::Closed)));
}

#[test]
fn a_place_is_told_to_its_own_customer_alone() {
    let mut room = queue();
    let ticket = enter(&mut room, 1, 0);
    let stranger = room.position(ticket, customer(2), at(0));
    assert_eq!(stranger, Err(RoomRefusal::OthersTicket(ticket)));
    let unknown = room.position(number(2), customer(1), at(0));
    assert_eq!(unknown, Err(RoomRefusal::UnknownTicket(number(2))));
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
    pending: VecDeque<StoredEntry>,
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
            pending: VecDeque::new(),
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
        let entry = if oldest { self.pending.pop_front() } else { self.pending.pop_back() };
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
                    self.pending.push_back(entry);
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
        let mode = self.room.mode;
        WaitingRoom::restore(mode, sale(), 60, entries, self.draw.as_ref(), self.finished).unwrap()
    }

    fn places(&self, room: &WaitingRoom) -> Vec<Result<LinePosition, RoomRefusal>> {
        let entries = self.entries.values();
        entries.map(|it| room.position(it.number, it.customer, at(self.second))).collect()
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
    fn a_restored_room_tells_the_same_places_and_goes_on_in_the_same_way(
        (mode, events) in any_events(), later in prop::collection::vec(any_event(), 0..30)
    ) {
        let mut stored = Stored::new(mode);
        for event in &events {
            stored.happen(event);
        }
        // An entry on its way in a crash was told to no customer.
        while !stored.pending.is_empty() {
            stored.written(true, false);
        }
        let restored = stored.restored();
        prop_assert_eq!(stored.places(&restored), stored.places(&stored.room));
        let same = |counts: RoomCounts| RoomCounts { mean_wait_seconds: None, ..counts };
        prop_assert_eq!(same(restored.counts()), same(stored.room.counts()));

        let mut other = Stored { room: restored, entries: stored.entries.clone(), draw: stored.draw.clone(),
            pending: VecDeque::new(), admissions: stored.admissions.clone(), ..stored };
        // A draw that waits for entries forgets in a restart that it did.
        if stored.draw.is_some() || stored.room.drawn_to.is_none() {
            for event in &later {
                stored.happen(event);
                other.happen(event);
            }
            prop_assert_eq!(&other.admissions, &stored.admissions);
            let settled = stored.pending.is_empty() && stored.draw.is_some();
            if settled && other.entries == stored.entries {
                prop_assert_eq!(other.places(&other.room), stored.places(&stored.room));
            }
        }
    }

    #[test]
    fn each_ticket_is_admitted_once_strictly_in_order_and_places_are_exact((mode, events) in any_events()) {
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
            if stored.pending.is_empty() && stored.finished.is_none() {
                let waiting = order.iter().filter(|number| !is_done.contains(number));
                for (number, ahead) in waiting.zip(0..) {
                    let entry = stored.entries[number];
                    let place = stored.room.position(*number, entry.customer, at(stored.second)).unwrap();
                    prop_assert_eq!((place.state, place.ahead), (TicketState::Waiting, ahead));
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
            let pending = stored.pending.len();
            prop_assert_eq!(stored.room.pending as usize, pending);
        }
    }

    #[test]
    fn a_place_that_was_told_never_gets_worse((mode, events) in any_events()) {
        let mut stored = Stored::new(mode);
        let mut told: HashMap<TicketNumber, u32> = HashMap::new();
        for event in &events {
            stored.happen(event);
            for entry in stored.entries.values() {
                let place = stored.room.position(entry.number, entry.customer, at(stored.second)).unwrap();
                if place.state == TicketState::Waiting {
                    let before = told.insert(entry.number, place.ahead);
                    prop_assert!(before.is_none_or(|before| place.ahead <= before));
                }
            }
        }
    }
}
