//! The synthetic customers of a dry run: when they come, what they want, how they pay, and what became of them.
//!
//! Of ten customers one comes too early, one wants more than the limit, and three pay at a konbini where the sale lets
//! them, most of those in time. With a waiting room four of five are there before the opening.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hdrhistogram::Histogram;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::domain::ShadowNeeds;
use super::report::{
    Course, CrowdSize, ItemOutcome, Latency, Orders, QueueOutcome, RefusalOutcome, Second, Taken, sells_out,
};
use crate::actors::inventory::{Allotment, Line};
use crate::actors::orders::{PlaceOrder, RecordPayment};
use crate::actors::payments::{KonbiniChain, PaymentMethod, PaymentReport};
use crate::actors::sales::{
    Admission, AdmissionMode, GetLive, GetPlace, GetRoom, JoinQueue, PassKey, PlaceState, Sale,
};
use crate::error::Fault;
use crate::types::{CustomerId, Quantity, Sku};

/// How long before the opening the early ones come.
const EARLY: Duration = Duration::from_millis(500);
/// How often it is looked what was taken; the figures behind it are no newer.
const LOOKS_EVERY: Duration = Duration::from_millis(250);
/// How often somebody tries who is told that waiting helps.
const ATTEMPTS_MAX: u32 = 5;
/// What nobody waits longer for, whatever they are told.
const PATIENCE: Duration = Duration::from_secs(5);
/// Orders of somebody who wants more than the limit, at most.
const GREEDY_ORDERS_MAX: i64 = 10;
/// One in this many slips is never paid.
const UNPAID_SLIPS: u64 = 3;

/// Somebody who buys in a dry run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buyer(u64);

impl Buyer {
    /// UUIDs of version 8 that begin like this are nobody else's: the shop gives its own customers version 7.
    const FIRST_ID: u128 = 0x6472_792d_7275_8000_8000_0000_0000_0000;
    const LAST_ID: u128 = Self::FIRST_ID | 0x3fff_ffff_ffff_ffff;

    pub const fn of(number: u64) -> Self {
        Self(number)
    }

    /// The first and the last id that any of them can have.
    pub const fn ids() -> (Uuid, Uuid) {
        (Uuid::from_u128(Self::FIRST_ID), Uuid::from_u128(Self::LAST_ID))
    }

    const fn id(self) -> CustomerId {
        CustomerId::from_uuid(Uuid::from_u128(Self::FIRST_ID | self.0 as u128))
    }

    /// One piece, paid by a card of their own.
    pub fn by_card(self, sku: &Sku, order: i64) -> anyhow::Result<PlaceOrder> {
        let token = format!("tok_ok_dryrun{}", self.0).parse()?;
        self.order(sku, order, PaymentMethod::Card { token })
    }

    /// One piece, paid at a konbini with a telephone of their own.
    fn by_slip(self, sku: &Sku, order: i64) -> anyhow::Result<PlaceOrder> {
        let phone = format!("090{:08}", self.0 % 100_000_000).parse()?;
        self.order(sku, order, PaymentMethod::Konbini { chain: KonbiniChain::Lawson, phone })
    }

    fn order(self, sku: &Sku, order: i64, payment: PaymentMethod) -> anyhow::Result<PlaceOrder> {
        Ok(PlaceOrder {
            customer: self.id(),
            key: format!("dry-run-{order}").parse()?,
            lines: vec![Line { sku: sku.clone(), quantity: Quantity::new(1)? }],
            payment,
            is_staff: false,
            admission: None,
            device: None,
            arrived_at: Timestamp::now(),
        })
    }
}

/// What kind of customer somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Habit {
    Early,
    Greedy,
    Konbini,
    Card,
}

impl Habit {
    const fn of(number: u64, is_konbini_allowed: bool, has_room: bool) -> Self {
        match number % 10 {
            // Where there is a line, to be early is to be in it.
            0 if !has_room => Self::Early,
            1 => Self::Greedy,
            2..5 if is_konbini_allowed => Self::Konbini,
            _ => Self::Card,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Early => "early",
            Self::Greedy => "greedy",
            Self::Konbini => "konbini",
            Self::Card => "card",
        }
    }
}

/// All customers of a run, and what became of them; they are of one thread.
pub(super) struct Crowd {
    ports: Arc<ShadowNeeds>,
    passes: PassKey,
    sale: Sale,
    size: CrowdSize,
    /// What they may ask at the same time.
    places: Semaphore,
    opened: Instant,
    closes: Instant,
    seen: RefCell<Seen>,
}

struct Seen {
    latency: Histogram<u64>,
    waits: Histogram<u64>,
    placed: u64,
    paid: u64,
    first_and_last: Option<(Instant, Instant)>,
    refusals: HashMap<(&'static str, Habit), (HashSet<u64>, u64)>,
    failures: BTreeMap<&'static str, u64>,
    seconds: Vec<Second>,
    joined: u64,
    admitted: u64,
    turned_away: u64,
}

/// What came of asking.
enum Asked<T> {
    Answered(T),
    /// Waiting does not help.
    Refused,
}

impl Crowd {
    pub fn new(ports: Arc<ShadowNeeds>, passes: PassKey, sale: &Sale, size: CrowdSize) -> Self {
        let until = |time: Timestamp| {
            Instant::now() + Duration::try_from(Timestamp::now().duration_until(time)).unwrap_or_default()
        };
        let seen = Seen {
            latency: histogram(),
            waits: histogram(),
            placed: 0,
            paid: 0,
            first_and_last: None,
            refusals: HashMap::new(),
            failures: BTreeMap::new(),
            seconds: vec![Second::default(); size.seconds as usize + 1],
            joined: 0,
            admitted: 0,
            turned_away: 0,
        };
        Self {
            opened: until(sale.draft.opens_at),
            closes: until(sale.draft.closes_at),
            ports,
            passes,
            sale: sale.clone(),
            size,
            places: Semaphore::new(size.at_once as usize),
            seen: RefCell::new(seen),
        }
    }

    /// Lets everybody come, and tells how it went.
    pub async fn course(self) -> anyhow::Result<Course> {
        if self.has_room() {
            self.see_the_room().await?;
        }
        let mut courses: HashMap<Sku, Vec<Taken>> = HashMap::new();
        let mut parts: HashMap<Sku, Allotment> = HashMap::new();
        {
            let mut visits: FuturesUnordered<_> =
                (0..u64::from(self.size.customers)).map(|number| Box::pin(self.visit(number))).collect();
            let come = async {
                while let Some(visited) = visits.next().await {
                    visited?;
                }
                anyhow::Ok(())
            };
            let watch = async {
                loop {
                    self.look(&mut parts, &mut courses).await;
                    tokio::time::sleep(LOOKS_EVERY).await;
                }
            };
            tokio::select! {
                come = come => come?,
                () = tokio::time::sleep_until(self.closes.into()) => {}
                () = watch => {}
            }
        }
        // The figures are of the last quarter of a second.
        tokio::time::sleep(2 * LOOKS_EVERY).await;
        self.look(&mut parts, &mut courses).await;
        Ok(self.told(&parts, &courses))
    }

    /// Returns when the waiting room is there, which it is a moment after its sale was armed.
    async fn see_the_room(&self) -> anyhow::Result<()> {
        while let Err(error) = self.ports.get_room.ask(GetRoom { sale: self.sale.id }).await {
            anyhow::ensure!(Instant::now() < self.opened, "the waiting room does not open: {error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// What is taken of every SKU by now.
    async fn look(&self, parts: &mut HashMap<Sku, Allotment>, courses: &mut HashMap<Sku, Vec<Taken>>) {
        let Ok(live) = self.ports.get_live.ask(GetLive { sale: self.sale.id }).await else { return };
        let after = self.opened.elapsed();
        for (sku, part) in live.parts {
            let course = courses.entry(sku.clone()).or_default();
            let pieces = part.held + part.sold;
            // Once it is sold out, nothing more is to be learnt.
            if course.last().is_none_or(|last| last.pieces < part.allotment) && after > Duration::ZERO {
                course.push(Taken { after, pieces });
            }
            parts.insert(sku, part);
        }
    }

    fn has_room(&self) -> bool {
        self.sale.draft.terms.admission.mode != AdmissionMode::None
    }

    /// Everything that one customer does.
    async fn visit(&self, number: u64) -> anyhow::Result<()> {
        let buyer = Buyer::of(number);
        let habit = Habit::of(number, self.sale.draft.terms.konbini.allowed, self.has_room());
        let items = &self.sale.draft.items;
        let sku = &items[number as usize / 10 % items.len()].sku;
        let admission = match self.has_room() {
            true => match self.wait_in_line(buyer, habit).await {
                Some(admission) => Some(admission),
                None => return Ok(()),
            },
            false => {
                let comes = if habit == Habit::Early { self.opened - EARLY } else { self.opened };
                tokio::time::sleep_until(comes.into()).await;
                None
            }
        };
        let wanted = match (habit, self.sale.draft.terms.limit_per_customer) {
            (Habit::Greedy, Some(limit)) => (limit + 1).min(GREEDY_ORDERS_MAX),
            _ => 1,
        };
        for order in 0..wanted {
            let mut place = match habit {
                Habit::Konbini => buyer.by_slip(sku, order)?,
                _ => buyer.by_card(sku, order)?,
            };
            place.admission = admission;
            if !self.buy(buyer, habit, place).await {
                break;
            }
        }
        Ok(())
    }

    /// Orders until it is placed or refused for good; true when it was placed.
    async fn buy(&self, buyer: Buyer, habit: Habit, order: PlaceOrder) -> bool {
        let mut began = Instant::now();
        let placed = self.ask(buyer, habit, || {
            began = Instant::now();
            self.ports.place_order.ask(PlaceOrder { arrived_at: Timestamp::now(), ..order.clone() })
        });
        let Asked::Answered(placed) = placed.await else { return false };
        let now = Instant::now();
        {
            let mut seen = self.seen.borrow_mut();
            seen.latency.saturating_record(microseconds(now - began));
            seen.placed += 1;
            let first = seen.first_and_last.map_or(now, |(first, _)| first);
            seen.first_and_last = Some((first, now));
            if let Some(second) = self.second(&mut seen) {
                second.placed += 1;
            }
            if habit != Habit::Konbini {
                seen.paid += 1;
            }
        }
        if habit == Habit::Konbini && !buyer.0.is_multiple_of(UNPAID_SLIPS) {
            let order = placed.order.id;
            let paid = self.ask(buyer, habit, || {
                let report = PaymentReport { id: format!("dry-run-{order}"), order, amount: None };
                self.ports.record_payment.ask(RecordPayment { report })
            });
            if let Asked::Answered(_) = paid.await {
                self.seen.borrow_mut().paid += 1;
            }
        }
        true
    }

    /// Joins the waiting room and waits; nothing when it was in vain.
    async fn wait_in_line(&self, buyer: Buyer, habit: Habit) -> Option<Admission> {
        if buyer.0.is_multiple_of(5) {
            // In the two seconds after the opening.
            let comes = self.opened + Duration::from_millis(buyer.0 * 7 % 2_000);
            tokio::time::sleep_until(comes.into()).await;
        }
        let join = || self.ports.join_queue.ask(JoinQueue { sale: self.sale.id, customer: buyer.id() });
        let Asked::Answered(mut place) = self.ask(buyer, habit, join).await else { return None };
        let joined = Instant::now().max(self.opened);
        self.seen.borrow_mut().joined += 1;
        loop {
            match place.state {
                PlaceState::PreQueue | PlaceState::Waiting => {}
                PlaceState::Admitted => {
                    let mut seen = self.seen.borrow_mut();
                    seen.admitted += 1;
                    let waited = Instant::now().saturating_duration_since(joined);
                    seen.waits.saturating_record(microseconds(waited));
                    let admission = place.admission?;
                    return self.passes.read_admission(&admission, Timestamp::now()).ok();
                }
                _ => {
                    self.seen.borrow_mut().turned_away += 1;
                    return None;
                }
            }
            let pause = Duration::from_secs(u64::from(place.ask_again_in_seconds)).min(PATIENCE);
            tokio::time::sleep(pause).await;
            let ticket = self.passes.read_ticket(&place.ticket).ok()?;
            let ask = || self.ports.get_place.ask(GetPlace { ticket });
            let Asked::Answered(now) = self.ask(buyer, habit, ask).await else { return None };
            place = now;
        }
    }

    /// Asks again as long as waiting helps, and notes every refusal.
    async fn ask<T, E, F>(&self, buyer: Buyer, habit: Habit, mut ask: impl FnMut() -> F) -> Asked<T>
    where
        E: Fault,
        F: Future<Output = Result<T, E>>,
    {
        for _ in 0..ATTEMPTS_MAX {
            let error = {
                let Ok(_place) = self.places.acquire().await else { return Asked::Refused };
                match ask().await {
                    Ok(answer) => return Asked::Answered(answer),
                    Err(error) => error,
                }
            };
            let has_failed = error.kind().http_status() >= 500;
            self.note(buyer, habit, error.code(), has_failed);
            let pause = match error.retry_after() {
                Some(seconds) => Duration::from_secs(u64::from(seconds)).min(PATIENCE),
                None if has_failed => Duration::from_millis(200),
                None => return Asked::Refused,
            };
            tokio::time::sleep(pause).await;
        }
        Asked::Refused
    }

    fn note(&self, buyer: Buyer, habit: Habit, code: &'static str, has_failed: bool) {
        let mut seen = self.seen.borrow_mut();
        if has_failed {
            *seen.failures.entry(code).or_default() += 1;
            return;
        }
        let (customers, refusals) = seen.refusals.entry((code, habit)).or_default();
        customers.insert(buyer.0);
        *refusals += 1;
        if let Some(second) = self.second(&mut seen) {
            second.refused += 1;
        }
    }

    /// The present second after the opening.
    fn second<'a>(&self, seen: &'a mut Seen) -> Option<&'a mut Second> {
        let after = Instant::now().checked_duration_since(self.opened)?;
        seen.seconds.get_mut(usize::try_from(after.as_secs()).ok()?)
    }

    fn told(self, parts: &HashMap<Sku, Allotment>, courses: &HashMap<Sku, Vec<Taken>>) -> Course {
        let open_for = self.opened.elapsed().min(self.closes - self.opened);
        let (has_room, seen) = (self.has_room(), self.seen.into_inner());
        let items: Vec<ItemOutcome> = self
            .sale
            .draft
            .items
            .iter()
            .map(|item| {
                let allotment = item.allotment.get();
                let part = parts.get(&item.sku).copied();
                let part = part.unwrap_or(Allotment::of(self.sale.id, allotment));
                let course = courses.get(&item.sku).map(Vec::as_slice).unwrap_or_default();
                let (sells_out_in_seconds, is_sold_out) = sells_out(allotment, course);
                ItemOutcome {
                    sku: item.sku.to_string(),
                    allotment,
                    sold: part.sold,
                    held: part.held,
                    remaining: part.remaining(),
                    sells_out_in_seconds,
                    is_sold_out,
                }
            })
            .collect();
        let last = items.iter().map(|item| item.sells_out_in_seconds);
        let sells_out_in_seconds = last.reduce(|one, other| Some(one?.max(other?))).flatten();
        let span = seen.first_and_last.map_or(0.0, |(first, last)| (last - first).as_secs_f64());
        let mut seconds = seen.seconds;
        seconds.truncate(usize::try_from(open_for.as_secs()).unwrap_or(usize::MAX).saturating_add(1));
        let most = |of: fn(&Second) -> u64| seconds.iter().map(of).max().unwrap_or_default();
        let mut refusals: Vec<RefusalOutcome> = seen
            .refusals
            .into_iter()
            .map(|((gate, habit), (customers, refusals))| RefusalOutcome {
                gate: gate.to_owned(),
                customers_of: habit.as_str().to_owned(),
                customers: customers.len() as u64,
                refusals,
            })
            .collect();
        refusals.sort_by(|one, other| {
            other
                .refusals
                .cmp(&one.refusals)
                .then_with(|| (&one.gate, &one.customers_of).cmp(&(&other.gate, &other.customers_of)))
        });
        let queue = has_room.then(|| QueueOutcome {
            joined: seen.joined,
            admitted: seen.admitted,
            turned_away: seen.turned_away,
            waiting: seen.joined - seen.admitted - seen.turned_away,
            median_wait_seconds: (!seen.waits.is_empty())
                .then(|| seen.waits.value_at_quantile(0.5) as f64 / 1_000_000.0),
        });
        Course {
            open_seconds: open_for.as_secs_f64(),
            sells_out_in_seconds,
            is_sold_out: items.iter().all(|item| item.is_sold_out),
            orders: Orders {
                placed: seen.placed,
                paid: seen.paid,
                most_per_second: most(|second| second.placed),
                // All within a moment: the moment is no rate.
                per_second: seen.placed as f64 / span.max(1.0),
                refusals_most_per_second: most(|second| second.refused),
            },
            items,
            refusals,
            failures: seen.failures.into_iter().map(|(code, count)| (code.to_owned(), count)).collect(),
            latency: Latency::of(&seen.latency),
            queue,
            seconds,
        }
    }
}

/// Of microseconds, up to a minute, to three figures.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3)
        .unwrap_or_else(|_| unreachable!("the bounds are in order, and hdrhistogram knows three digits"))
}

pub(super) fn microseconds(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buyer_has_an_id_that_no_customer_of_a_shop_can_have() {
        let (first, last) = Buyer::ids();
        for number in [0, 1, 99_999, u64::MAX >> 2] {
            let id = Buyer::of(number).id().uuid();
            assert!((first..=last).contains(&id), "{id}");
            assert_eq!(id.get_version_num(), 8);
        }
        let customer = CustomerId::generate().uuid();
        assert!(!(first..=last).contains(&customer));
    }

    #[test]
    fn of_ten_customers_each_has_a_habit() {
        let habits =
            |konbini, room| (0..10).map(|number| Habit::of(number, konbini, room)).collect::<Vec<_>>();
        let count = |habits: &[Habit], wanted| habits.iter().filter(|habit| **habit == wanted).count();
        let all = habits(true, false);
        assert_eq!(
            [Habit::Early, Habit::Greedy, Habit::Konbini, Habit::Card].map(|habit| count(&all, habit)),
            [1, 1, 3, 5]
        );
        assert_eq!(count(&habits(false, true), Habit::Card), 9);
    }
}
