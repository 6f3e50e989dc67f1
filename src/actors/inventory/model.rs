//! The rules of stock: what each command does to each state of a reservation, decided without waiting for anything.
//!
//! | command ↓ state → | none | held | committed | released | expired |
//! |---|---|---|---|---|---|
//! | reserve | **held** | the same answer | the same answer | ended | ended |
//! | commit | unknown | **committed** | the same answer | ended | ended, or **committed** anew when asked for |
//! | release | unknown | **released** | refused, or **released** when asked for: back on hand | the same answer | the same answer |
//! | expire | nothing | **expired** once due | nothing | nothing | nothing |
//!
//! A reserve with other pieces than the first one is refused in every state.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::error::InventoryError;
use crate::types::{Quantity, ReservationId, Sku};

/// The figures of one SKU. `version` counts the movements that made them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stock {
    pub on_hand: i64,
    pub reserved: i64,
    pub version: i64,
}

impl Stock {
    /// More pieces than any shop has of one SKU.
    pub const ON_HAND_MAX: i64 = 1_000_000_000_000;

    /// Pieces that can still be promised.
    pub const fn available(self) -> i64 {
        self.on_hand - self.reserved
    }
}

/// What a reservation was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An order with the same id; orders sweeps those whose order never came to be.
    Order,
    /// A hold made by staff; it lapses by its own time only.
    Staff,
}

impl Purpose {
    pub const fn as_str(self) -> &'static str {
        match self {
            Purpose::Order => "order",
            Purpose::Staff => "staff",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Order, Self::Staff].into_iter().find(|purpose| purpose.as_str() == name)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReservationState {
    Held,
    Committed,
    Released,
    Expired,
}

impl ReservationState {
    pub const ALL: [Self; 4] = [Self::Held, Self::Committed, Self::Released, Self::Expired];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Committed => "committed",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// Pieces of one SKU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub sku: Sku,
    pub quantity: Quantity,
}

/// Pieces set aside under one id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    pub id: ReservationId,
    pub lines: Vec<Line>,
    pub state: ReservationState,
    pub expires_at: Timestamp,
}

/// One SKU's part of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    pub quantity: Quantity,
    pub state: ReservationState,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MovementKind {
    Received,
    Reserved,
    Released,
    Expired,
    Committed,
    Adjusted,
}

impl MovementKind {
    pub const ALL: [Self; 6] =
        [Self::Received, Self::Reserved, Self::Released, Self::Expired, Self::Committed, Self::Adjusted];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Reserved => "reserved",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Committed => "committed",
            Self::Adjusted => "adjusted",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    pub sku: Sku,
    /// The version of the stock that this movement made.
    pub version: i64,
    pub kind: MovementKind,
    pub on_hand_delta: i64,
    pub reserved_delta: i64,
    pub reservation: Option<ReservationId>,
    pub reference: Option<String>,
    pub reason: Option<String>,
    pub at: Timestamp,
}

/// What one SKU's actor can be told.
#[derive(Debug, Clone)]
pub enum Command {
    Reserve {
        id: ReservationId,
        quantity: Quantity,
        /// How many SKUs the whole reservation has.
        lines: i16,
        purpose: Purpose,
        expires_at: Timestamp,
        id_is_new: bool,
    },
    Commit {
        id: ReservationId,
        even_if_expired: bool,
    },
    Release {
        id: ReservationId,
        even_if_committed: bool,
    },
    Expire {
        id: ReservationId,
        now: Timestamp,
    },
    Receive {
        quantity: Quantity,
        reference: String,
    },
    Adjust {
        delta: i64,
        reason: String,
        reference: String,
        expected_version: Option<i64>,
    },
}

impl Command {
    /// The reservation that it is about.
    pub fn reservation(&self) -> Option<ReservationId> {
        match self {
            Command::Reserve { id, .. }
            | Command::Commit { id, .. }
            | Command::Release { id, .. }
            | Command::Expire { id, .. } => Some(*id),
            Command::Receive { .. } | Command::Adjust { .. } => None,
        }
    }
}

/// What a decision changes: one movement, and the state of one hold.
#[derive(Debug, Clone)]
pub struct Change {
    pub kind: MovementKind,
    pub on_hand_delta: i64,
    pub reserved_delta: i64,
    pub reference: Option<String>,
    pub reason: Option<String>,
    pub hold: Option<HoldChange>,
}

#[derive(Debug, Clone, Copy)]
pub struct HoldChange {
    pub id: ReservationId,
    pub step: HoldStep,
    pub to: Hold,
}

#[derive(Debug, Clone, Copy)]
pub enum HoldStep {
    Made {
        /// How many SKUs the whole reservation has.
        lines: i16,
        purpose: Purpose,
    },
    Ended {
        from: ReservationState,
    },
}

/// What became of a command.
#[derive(Debug)]
pub enum Decision {
    /// Carry this out.
    Change(Change),
    /// It is so already.
    Already(Hold),
    /// Nothing is to be done, and there is nothing to show.
    Nothing,
    /// The reservation is not remembered; ask the database and decide with what it says.
    Recall(ReservationId),
}

/// What the asker found in the database about a reservation that the actor does not remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recalled {
    NotAsked,
    Absent,
    Found(Hold),
}

/// Ended holds are remembered for longer than any look into the database can take, so that what was recalled before
/// a change can never be decided upon after it.
const REMEMBER_ENDED_FOR: Duration = Duration::from_secs(20);

/// One SKU as its actor sees it: decisions included that are still on their way to the database.
#[derive(Debug)]
pub struct SkuStock {
    sku: Sku,
    stock: Stock,
    holds: HashMap<ReservationId, Remembered>,
    ended: VecDeque<(Instant, ReservationId)>,
}

#[derive(Debug, Clone, Copy)]
struct Remembered {
    hold: Hold,
    /// Since when it may be forgotten; nothing while it is held.
    ended: Option<Instant>,
}

impl SkuStock {
    /// Holds are not loaded (a hot SKU may have a million): each is recalled when somebody asks about it.
    pub fn new(sku: Sku, stock: Stock) -> Self {
        Self { sku, stock, holds: HashMap::new(), ended: VecDeque::new() }
    }

    pub fn stock(&self) -> Stock {
        self.stock
    }

    /// Decides without changing anything.
    pub fn decide(&self, command: &Command, recalled: Recalled) -> Result<Decision, InventoryError> {
        let known = command.reservation().and_then(|id| self.holds.get(&id)).map(|known| known.hold);
        match command {
            Command::Reserve { id, quantity, lines, purpose, expires_at, id_is_new } => {
                let known = match (known, recalled) {
                    (Some(hold), _) | (None, Recalled::Found(hold)) => Some(hold),
                    (None, Recalled::NotAsked) if !id_is_new => return Ok(Decision::Recall(*id)),
                    (None, _) => None,
                };
                match known {
                    None => self.reserve(*id, *quantity, *lines, *purpose, *expires_at),
                    Some(hold) if hold.quantity != *quantity => Err(InventoryError::ReservationDiffers(*id)),
                    Some(hold) => match hold.state {
                        ReservationState::Held | ReservationState::Committed => Ok(Decision::Already(hold)),
                        state => Err(InventoryError::ReservationEnded { id: *id, state }),
                    },
                }
            }
            Command::Expire { id, now } => match (known, recalled) {
                (None, Recalled::NotAsked) => Ok(Decision::Recall(*id)),
                (Some(hold), _) | (None, Recalled::Found(hold))
                    if hold.state == ReservationState::Held && hold.expires_at <= *now =>
                {
                    Ok(self.end(*id, hold, ReservationState::Expired, MovementKind::Expired, 0, -1))
                }
                _ => Ok(Decision::Nothing),
            },
            Command::Commit { id, even_if_expired } => {
                let hold = match (known, recalled) {
                    (Some(hold), _) | (None, Recalled::Found(hold)) => hold,
                    (None, Recalled::NotAsked) => return Ok(Decision::Recall(*id)),
                    (None, Recalled::Absent) => return Err(InventoryError::UnknownReservation(*id)),
                };
                let committed = ReservationState::Committed;
                match hold.state {
                    ReservationState::Held => {
                        Ok(self.end(*id, hold, committed, MovementKind::Committed, -1, -1))
                    }
                    ReservationState::Committed => Ok(Decision::Already(hold)),
                    ReservationState::Expired if *even_if_expired => {
                        if self.stock.available() < hold.quantity.get() {
                            return Err(self.out_of_stock(hold.quantity));
                        }
                        Ok(self.end(*id, hold, committed, MovementKind::Committed, -1, 0))
                    }
                    state => Err(InventoryError::ReservationEnded { id: *id, state }),
                }
            }
            Command::Release { id, even_if_committed } => {
                let hold = match (known, recalled) {
                    (Some(hold), _) | (None, Recalled::Found(hold)) => hold,
                    (None, Recalled::NotAsked) => return Ok(Decision::Recall(*id)),
                    (None, Recalled::Absent) => return Err(InventoryError::UnknownReservation(*id)),
                };
                let released = ReservationState::Released;
                match hold.state {
                    ReservationState::Held => {
                        Ok(self.end(*id, hold, released, MovementKind::Released, 0, -1))
                    }
                    ReservationState::Committed if *even_if_committed => {
                        Ok(self.end(*id, hold, released, MovementKind::Released, 1, 0))
                    }
                    ReservationState::Committed => Err(InventoryError::ReservationCommitted(*id)),
                    ReservationState::Released | ReservationState::Expired => Ok(Decision::Already(hold)),
                }
            }
            Command::Receive { quantity, reference } => {
                self.move_on_hand(MovementKind::Received, quantity.get(), Some(reference.clone()), None)
            }
            Command::Adjust { delta, reason, reference, expected_version } => {
                if let Some(expected) = *expected_version
                    && expected != self.stock.version
                {
                    let actual = self.stock.version;
                    return Err(InventoryError::VersionDiffers { sku: self.sku.clone(), expected, actual });
                }
                self.move_on_hand(
                    MovementKind::Adjusted,
                    *delta,
                    Some(reference.clone()),
                    Some(reason.clone()),
                )
            }
        }
    }

    /// Carries a decided change out in memory.
    pub fn apply(&mut self, change: &Change, now: Instant) {
        self.stock.on_hand += change.on_hand_delta;
        self.stock.reserved += change.reserved_delta;
        self.stock.version += 1;
        if let Some(HoldChange { id, to, .. }) = change.hold {
            let ended = (to.state != ReservationState::Held).then_some(now);
            self.holds.insert(id, Remembered { hold: to, ended });
            self.ended.extend(ended.map(|since| (since, id)));
        }
        self.forget_ended(now);
    }

    fn forget_ended(&mut self, now: Instant) {
        while let Some((since, id)) = self.ended.front().copied()
            && now.duration_since(since) > REMEMBER_ENDED_FOR
        {
            self.ended.pop_front();
            // One that ended once more since then has a younger entry, which will forget it.
            if self.holds.get(&id).is_some_and(|known| known.ended == Some(since)) {
                self.holds.remove(&id);
            }
        }
    }

    fn reserve(
        &self,
        id: ReservationId,
        quantity: Quantity,
        lines: i16,
        purpose: Purpose,
        expires_at: Timestamp,
    ) -> Result<Decision, InventoryError> {
        if self.stock.available() < quantity.get() {
            return Err(self.out_of_stock(quantity));
        }
        let to = Hold { quantity, state: ReservationState::Held, expires_at };
        Ok(Decision::Change(Change {
            kind: MovementKind::Reserved,
            on_hand_delta: 0,
            reserved_delta: quantity.get(),
            reference: None,
            reason: None,
            hold: Some(HoldChange { id, step: HoldStep::Made { lines, purpose }, to }),
        }))
    }

    /// Ends a hold; the two signs say which figures its pieces leave (-1), enter (1) or do not touch (0).
    fn end(
        &self,
        id: ReservationId,
        hold: Hold,
        state: ReservationState,
        kind: MovementKind,
        on_hand: i64,
        reserved: i64,
    ) -> Decision {
        let pieces = hold.quantity.get();
        let to = Hold { state, ..hold };
        Decision::Change(Change {
            kind,
            on_hand_delta: on_hand * pieces,
            reserved_delta: reserved * pieces,
            reference: None,
            reason: None,
            hold: Some(HoldChange { id, step: HoldStep::Ended { from: hold.state }, to }),
        })
    }

    fn move_on_hand(
        &self,
        kind: MovementKind,
        delta: i64,
        reference: Option<String>,
        reason: Option<String>,
    ) -> Result<Decision, InventoryError> {
        let on_hand = self.stock.on_hand.saturating_add(delta);
        if on_hand < self.stock.reserved {
            let reserved = self.stock.reserved;
            return Err(InventoryError::BelowReserved { sku: self.sku.clone(), on_hand, reserved });
        }
        if on_hand > Stock::ON_HAND_MAX {
            return Err(InventoryError::TooMany { sku: self.sku.clone() });
        }
        Ok(Decision::Change(Change {
            kind,
            on_hand_delta: delta,
            reserved_delta: 0,
            reference,
            reason,
            hold: None,
        }))
    }

    fn out_of_stock(&self, requested: Quantity) -> InventoryError {
        InventoryError::OutOfStock {
            sku: self.sku.clone(),
            requested: requested.get(),
            available: self.stock.available(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LATER: i64 = 4_000_000_000;

    fn lamp(on_hand: i64) -> SkuStock {
        SkuStock::new("LAMP".parse().unwrap(), Stock { on_hand, reserved: 0, version: 0 })
    }

    fn id(number: u128) -> ReservationId {
        ReservationId::from_uuid(uuid::Uuid::from_u128(number))
    }

    fn reserve(number: u128, pieces: i64) -> Command {
        Command::Reserve {
            id: id(number),
            quantity: Quantity::new(pieces).unwrap(),
            lines: 1,
            purpose: Purpose::Order,
            expires_at: Timestamp::from_second(LATER).unwrap(),
            id_is_new: false,
        }
    }

    fn commit(number: u128, even_if_expired: bool) -> Command {
        Command::Commit { id: id(number), even_if_expired }
    }

    fn release(number: u128, even_if_committed: bool) -> Command {
        Command::Release { id: id(number), even_if_committed }
    }

    fn expire(number: u128, second: i64) -> Command {
        Command::Expire { id: id(number), now: Timestamp::from_second(second).unwrap() }
    }

    /// Decides and carries out, with an empty database to recall from.
    fn tell(stock: &mut SkuStock, command: &Command) -> Result<Decision, InventoryError> {
        let decision = stock.decide(command, Recalled::Absent)?;
        if let Decision::Change(change) = &decision {
            stock.apply(change, Instant::now());
        }
        Ok(decision)
    }

    /// A stock of 10 pieces with one reservation of 3 pieces in the given state.
    fn with_reservation(state: Option<ReservationState>) -> SkuStock {
        let mut stock = lamp(10);
        if state.is_some() {
            tell(&mut stock, &reserve(1, 3)).unwrap();
        }
        match state {
            None | Some(ReservationState::Held) => {}
            Some(ReservationState::Committed) => drop(tell(&mut stock, &commit(1, false)).unwrap()),
            Some(ReservationState::Released) => drop(tell(&mut stock, &release(1, false)).unwrap()),
            Some(ReservationState::Expired) => drop(tell(&mut stock, &expire(1, LATER)).unwrap()),
        }
        stock
    }

    /// What a command comes to: on hand and reserved after it, or the code of the refusal.
    type Outcome = Result<(i64, i64), &'static str>;

    fn outcome(state: Option<ReservationState>, command: &Command) -> Outcome {
        use crate::error::Fault as _;
        let mut stock = with_reservation(state);
        let before = stock.stock();
        match tell(&mut stock, command) {
            Ok(Decision::Change(_)) => Ok((stock.stock().on_hand, stock.stock().reserved)),
            Ok(_) => {
                assert_eq!(stock.stock(), before);
                Err("unchanged")
            }
            Err(refusal) => {
                assert_eq!(stock.stock(), before);
                Err(refusal.code())
            }
        }
    }

    #[test]
    fn every_state_meets_every_command_as_the_table_says() {
        use ReservationState::*;
        let states = [None, Some(Held), Some(Committed), Some(Released), Some(Expired)];
        let table: [(Command, [Outcome; 5]); 8] = [
            (
                reserve(1, 3),
                [
                    Ok((10, 3)),
                    Err("unchanged"),
                    Err("unchanged"),
                    Err("reservation-ended"),
                    Err("reservation-ended"),
                ],
            ),
            (
                reserve(1, 4),
                [
                    Ok((10, 4)),
                    Err("reservation-differs"),
                    Err("reservation-differs"),
                    Err("reservation-differs"),
                    Err("reservation-differs"),
                ],
            ),
            (
                commit(1, false),
                [
                    Err("unknown-reservation"),
                    Ok((7, 0)),
                    Err("unchanged"),
                    Err("reservation-ended"),
                    Err("reservation-ended"),
                ],
            ),
            (
                commit(1, true),
                [
                    Err("unknown-reservation"),
                    Ok((7, 0)),
                    Err("unchanged"),
                    Err("reservation-ended"),
                    Ok((7, 0)),
                ],
            ),
            (
                release(1, false),
                [
                    Err("unknown-reservation"),
                    Ok((10, 0)),
                    Err("reservation-committed"),
                    Err("unchanged"),
                    Err("unchanged"),
                ],
            ),
            (
                release(1, true),
                [Err("unknown-reservation"), Ok((10, 0)), Ok((10, 0)), Err("unchanged"), Err("unchanged")],
            ),
            (
                expire(1, LATER),
                [Err("unchanged"), Ok((10, 0)), Err("unchanged"), Err("unchanged"), Err("unchanged")],
            ),
            (
                expire(1, LATER - 1),
                [Err("unchanged"), Err("unchanged"), Err("unchanged"), Err("unchanged"), Err("unchanged")],
            ),
        ];
        for (command, expected) in table {
            for (state, expected) in states.into_iter().zip(expected) {
                assert_eq!(outcome(state, &command), expected, "{command:?} when {state:?}");
            }
        }
    }

    #[test]
    fn what_is_not_remembered_is_recalled_before_it_is_decided() {
        let stock = lamp(10);
        for command in [reserve(1, 3), commit(1, false), release(1, false), expire(1, LATER)] {
            let decision = stock.decide(&command, Recalled::NotAsked).unwrap();
            assert!(matches!(decision, Decision::Recall(recalled) if recalled == id(1)), "{command:?}");
        }
    }

    #[test]
    fn what_is_remembered_wins_over_what_was_recalled_earlier() {
        let mut stock = with_reservation(Some(ReservationState::Committed));
        let quantity = Quantity::new(3).unwrap();
        let expires_at = Timestamp::from_second(LATER).unwrap();
        let committed = Recalled::Found(Hold { quantity, state: ReservationState::Committed, expires_at });
        for returned in [true, false] {
            let decision = stock.decide(&release(1, true), committed).unwrap();
            assert_eq!(matches!(decision, Decision::Change(_)), returned, "pieces come back once");
            if let Decision::Change(change) = decision {
                stock.apply(&change, Instant::now());
            }
        }
        assert_eq!(stock.stock().on_hand, 10);
    }

    #[test]
    fn an_adjustment_never_goes_below_what_is_promised() {
        let mut stock = with_reservation(Some(ReservationState::Held));
        let adjust = |delta, expected_version| Command::Adjust {
            delta,
            reason: "count".to_owned(),
            reference: "1".to_owned(),
            expected_version,
        };
        assert!(matches!(tell(&mut stock, &adjust(-8, None)), Err(InventoryError::BelowReserved { .. })));
        assert!(matches!(
            tell(&mut stock, &adjust(-7, Some(0))),
            Err(InventoryError::VersionDiffers { actual: 1, .. })
        ));
        tell(&mut stock, &adjust(-7, Some(1))).unwrap();
        assert_eq!(stock.stock(), Stock { on_hand: 3, reserved: 3, version: 2 });
        assert!(matches!(tell(&mut stock, &adjust(i64::MAX, None)), Err(InventoryError::TooMany { .. })));
    }

    #[test]
    fn ended_holds_are_forgotten_in_time() {
        let mut stock = with_reservation(Some(ReservationState::Released));
        let later = Instant::now() + REMEMBER_ENDED_FOR + Duration::from_secs(1);
        let Decision::Change(change) = stock.decide(&reserve(2, 1), Recalled::Absent).unwrap() else {
            panic!()
        };
        stock.apply(&change, later);
        assert_eq!(stock.holds.len(), 1);
        assert!(stock.ended.is_empty());
    }

    fn any_command() -> impl Strategy<Value = Command> {
        let ids = 0..6u128;
        prop_oneof![
            (ids.clone(), 1..5i64).prop_map(|(number, pieces)| reserve(number, pieces)),
            (ids.clone(), any::<bool>()).prop_map(|(number, ended)| commit(number, ended)),
            (ids.clone(), any::<bool>()).prop_map(|(number, committed)| release(number, committed)),
            (ids, LATER - 1..LATER + 1).prop_map(|(number, second)| expire(number, second)),
            (1..10i64).prop_map(|pieces| Command::Receive {
                quantity: Quantity::new(pieces).unwrap(),
                reference: String::new()
            }),
            (-10..10i64).prop_map(|delta| Command::Adjust {
                delta,
                reason: String::new(),
                reference: String::new(),
                expected_version: None
            }),
        ]
    }

    proptest! {
        #[test]
        fn no_sequence_of_commands_makes_stock_negative_or_promises_a_piece_twice(
            commands in prop::collection::vec(any_command(), 1..200)
        ) {
            let mut stock = lamp(7);
            let mut ledger = Stock { on_hand: 7, reserved: 0, version: 0 };
            for command in &commands {
                if let Ok(Decision::Change(change)) = tell(&mut stock, command) {
                    ledger.on_hand += change.on_hand_delta;
                    ledger.reserved += change.reserved_delta;
                    ledger.version += 1;
                }
                let figures = stock.stock();
                prop_assert_eq!(figures, ledger);
                prop_assert!(figures.on_hand >= 0 && figures.reserved >= 0 && figures.available() >= 0);
                let held: i64 = stock
                    .holds
                    .values()
                    .filter(|known| known.hold.state == ReservationState::Held)
                    .map(|known| known.hold.quantity.get())
                    .sum();
                prop_assert_eq!(held, figures.reserved);
            }
        }
    }
}
