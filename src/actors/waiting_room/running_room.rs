//! Rules of a running room: what happens to a room, and when, by its plan, its pieces and its admission rate.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::admission_control::{AdmissionControl, AdmissionPolicy, AdmissionRate, Demand};
use super::draw::{ClosedEntries, PublishedDraw, Seed};
use super::error::WaitingRoomError;
use super::model::{
    AdmissionUse, EntryChange, Finish, OrderLoad, RoomMode, RoomPlan, SaleState, TicketNumber,
};
use super::room::{Joined, WaitingRoom};
use crate::types::CustomerId;

/// How much later than the order itself the room may hear of an order that came in time.
pub(super) const LAPSES_LATE_BY: SignedDuration = SignedDuration::from_secs(1);
/// An order's answer takes too long when 1 of 100 takes longer than this.
const LATENCY_TARGET: Duration = Duration::from_millis(250);
/// Orders on their way at which the shop is full.
const DEPTH_MAX: u32 = 1_000;
/// The bounds of a rate that is steered, per second.
const AUTOMATIC: AdmissionRate = AdmissionRate::Automatic { least: 20, most: 20_000 };
/// The winners of a lottery are admitted all at once.
const AT_ONCE: u32 = 1_000_000;
/// How long waiting customers are told that a sale is over.
const KEPT_FOR: SignedDuration = SignedDuration::from_secs(600);

/// What the configuration says of admissions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct AdmissionSettings {
    /// How long an admission is valid.
    pub seconds: u32,
    /// How many admissions of a queue may be outstanding for each piece that is left.
    pub per_piece: f64,
}

pub(super) struct RunningRoom {
    pub room: WaitingRoom,
    pub seed: Seed,
    pub draw: Option<Arc<PublishedDraw>>,
    pub control: AdmissionControl,
    pub sale: SaleState,
    /// Whether all used admissions are to be told once more: after it was loaded, and after a new generation of sales
    /// began.
    pub asks_used: bool,
    /// When its sale was over for good.
    pub ended_at: Option<Timestamp>,
}

impl RunningRoom {
    /// The room as it was loaded. Its rate of admissions begins anew.
    pub fn new(
        room: WaitingRoom,
        seed: Seed,
        draw: Option<Arc<PublishedDraw>>,
        sale: SaleState,
        settings: AdmissionSettings,
        now: Timestamp,
    ) -> Self {
        let control = AdmissionControl::new(policy(sale.plan, settings), now);
        Self { room, seed, draw, control, sale, asks_used: true, ended_at: None }
    }

    /// Takes a number for a customer. Refuses with `SoldOut` where no ticket is worth anything, with `Busy` between the
    /// opening and the draw, and as [`WaitingRoom::join`] does.
    pub fn join(&mut self, customer: CustomerId, now: Timestamp) -> Result<Joined, WaitingRoomError> {
        // A customer who comes between the opening and the draw stands behind those who are drawn.
        let is_to_be_drawn = now >= self.sale.plan.opens_at && self.draw.is_none();
        if is_to_be_drawn && self.room.finished().is_none() {
            return Err(WaitingRoomError::Busy);
        }
        if self.sale.supply.is_sold_out() && !self.room.has_ticket(customer, now) {
            return Err(WaitingRoomError::SoldOut);
        }
        Ok(self.room.join(customer, now)?)
    }

    /// An admission was used or came back. What the room knows already changes nothing.
    pub fn follow_use(&mut self, told: AdmissionUse) -> Option<EntryChange> {
        match told.is_used {
            true => self.room.ordered(told.number).ok(),
            false => self.room.given_back(told.number).ok(),
        }
    }

    /// Brings the room in line with all admissions that are used at this moment.
    pub fn follow_all_uses(&mut self, used: &HashSet<TicketNumber>) -> Vec<EntryChange> {
        self.asks_used = false;
        let ordered = self.room.ordered_tickets();
        let given_back = ordered.into_iter().filter(|number| !used.contains(number));
        let given_back: Vec<_> = given_back.filter_map(|number| self.room.given_back(number).ok()).collect();
        let ordered = used.iter().filter_map(|number| self.room.ordered(*number).ok());
        given_back.into_iter().chain(ordered).collect()
    }

    /// The entries that are to be drawn now. `None` when the draw is not due, was made, or has to wait for entries that
    /// are being written: the next round asks again.
    pub fn entries_to_draw(&mut self, now: Timestamp) -> Option<ClosedEntries> {
        let is_due = now >= self.sale.plan.opens_at && self.draw.is_none();
        is_due.then(|| self.room.close_entries().ok()).flatten()
    }

    /// Lets admissions lapse that ended unused by `lapsed_to`, and admits as many as the rate and the pieces allow.
    pub fn advance(
        &mut self,
        now: Timestamp,
        lapsed_to: Timestamp,
        load: OrderLoad,
        admission_seconds: u32,
    ) -> Vec<EntryChange> {
        if self.sale.is_ending {
            self.room.finish(Finish::Closed);
        }
        let mut changes = self.room.lapse(lapsed_to);
        self.control.observe(now, load);
        // A customer whom sales would refuse is not admitted.
        if self.sale.is_selling {
            let counts = self.room.counts();
            let demand = Demand {
                waiting: counts.waiting,
                outstanding: counts.admitted,
                remaining_pieces: u64::try_from(self.sale.supply.orderable).unwrap_or(0),
            };
            let granted = self.control.grant(now, demand);
            let admitted = self.room.admit(now, granted, admission_seconds);
            changes.extend(admitted.into_iter().map(EntryChange::from));
        }
        changes
    }

    /// Its sale is over for good.
    pub fn end(&mut self, now: Timestamp) {
        self.room.finish(Finish::Closed);
        self.ended_at = Some(now);
    }

    /// Whether customers still want to be told of it.
    pub fn is_kept(&self, now: Timestamp) -> bool {
        self.ended_at.is_none_or(|ended| now.duration_since(ended) < KEPT_FOR)
    }
}

fn policy(plan: RoomPlan, settings: AdmissionSettings) -> AdmissionPolicy {
    let rate = match (plan.per_second, plan.mode) {
        (Some(per_second), _) => AdmissionRate::Fixed(per_second),
        (None, RoomMode::Queue) => AUTOMATIC,
        (None, RoomMode::Lottery) => AdmissionRate::Fixed(AT_ONCE),
    };
    let admissions_per_piece = match plan.mode {
        RoomMode::Queue => settings.per_piece,
        RoomMode::Lottery => 1.0,
    };
    AdmissionPolicy { rate, latency_target: LATENCY_TARGET, depth_max: DEPTH_MAX, admissions_per_piece }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::waiting_room::model::Supply;
    use crate::types::SaleId;

    const OPENING: i64 = 1_800_000_000;
    const QUIET: OrderLoad = OrderLoad { latency_p99: None, depth: 0 };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(OPENING + second).unwrap()
    }

    fn customer(number: u128) -> CustomerId {
        CustomerId::from_uuid(uuid::Uuid::from_u128(number))
    }

    fn running(pieces: i64) -> RunningRoom {
        let sale = SaleId::generate();
        let plan = RoomPlan { sale, mode: RoomMode::Queue, per_second: Some(100), opens_at: at(0) };
        let supply = Supply { allotment: pieces, remaining: pieces, orderable: pieces, held: 0 };
        let state = SaleState { plan, is_selling: true, is_ending: false, supply };
        let room = WaitingRoom::new(RoomMode::Queue, sale, 100);
        let settings = AdmissionSettings { seconds: 60, per_piece: 1.0 };
        RunningRoom::new(room, Seed::from_bytes([5; 32]), None, state, settings, at(-10))
    }

    fn enter(running: &mut RunningRoom, who: u128, second: i64) -> TicketNumber {
        let Ok(Joined::New(entry)) = running.join(customer(who), at(second)) else { panic!("{who} is new") };
        assert!(running.room.confirm(entry.number));
        entry.number
    }

    fn opened(pieces: i64, customers: u128) -> RunningRoom {
        let mut running = running(pieces);
        for who in 1..=customers {
            enter(&mut running, who, -5);
        }
        let draw = running.entries_to_draw(at(0)).unwrap().draw(&running.seed, at(0));
        running.room.drawn(&draw).unwrap();
        running.draw = Some(Arc::new(draw));
        running
    }

    #[test]
    fn a_customer_who_joins_between_opening_and_draw_is_asked_to_come_again() {
        let mut running = running(10);
        enter(&mut running, 1, -1);
        assert!(running.entries_to_draw(at(-1)).is_none());
        assert!(matches!(running.join(customer(2), at(0)), Err(WaitingRoomError::Busy)));
        assert!(running.entries_to_draw(at(0)).is_some());
    }

    #[test]
    fn a_sold_out_room_gives_tickets_only_to_customers_who_have_one() {
        let mut running = opened(10, 1);
        running.sale.supply.remaining = 0;
        assert!(matches!(running.join(customer(1), at(1)), Ok(Joined::Already(_))));
        assert!(matches!(running.join(customer(2), at(1)), Err(WaitingRoomError::SoldOut)));
        running.sale.supply.held = 1;
        assert!(matches!(running.join(customer(2), at(1)), Ok(Joined::New(_))));
    }

    #[test]
    fn a_round_admits_as_many_as_there_are_pieces_and_none_while_the_sale_is_stopped() {
        let mut running = opened(3, 5);
        running.sale.is_selling = false;
        assert_eq!(running.advance(at(1), at(0), QUIET, 60), []);
        running.sale.is_selling = true;
        assert_eq!(running.advance(at(2), at(1), QUIET, 60).len(), 3);
        assert_eq!(running.advance(at(3), at(2), QUIET, 60), []);
        assert_eq!(running.advance(at(63), at(62), QUIET, 60).len(), 3 + 2, "three lapse, two are admitted");
    }

    #[test]
    fn a_room_follows_all_used_admissions_that_a_new_generation_of_sales_tells() {
        let mut running = opened(3, 3);
        running.asks_used = true;
        let admitted = running.advance(at(2), at(1), QUIET, 60);
        let numbers: Vec<_> = admitted.iter().map(|change| change.number).collect();
        let told = |number, is_used| AdmissionUse { sale: SaleId::generate(), number, is_used, at: at(3) };
        assert!(running.follow_use(told(numbers[0], true)).is_some());
        assert!(running.follow_use(told(numbers[0], true)).is_none(), "told twice");
        let changes = running.follow_all_uses(&HashSet::from([numbers[1]]));
        assert_eq!(changes.iter().map(|change| change.number).collect::<Vec<_>>(), numbers[..2]);
        assert_eq!(running.room.ordered_tickets(), [numbers[1]]);
        assert!(!running.asks_used);
    }

    #[test]
    fn the_room_of_a_sale_that_is_over_is_kept_for_ten_minutes() {
        let mut running = opened(3, 1);
        running.end(at(100));
        assert!(running.is_kept(at(699)));
        assert!(!running.is_kept(at(700)));
        assert_eq!(running.advance(at(101), at(100), QUIET, 60), []);
    }
}
