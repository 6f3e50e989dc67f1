//! One visit: a customer goes through the steps of a journey, each a request, and remembers what was said.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use hyper::Request;
use hyper::body::Bytes;
use rand::RngExt as _;
use rand::rngs::SmallRng;
use tokio::sync::watch;
use uuid::Uuid;

use super::attempts::{Attempt, Attempts, Cancelled, Misbehaviour, Told, key};
use super::client::{Answer, Body, Client, Trouble};
use super::clock::Clock;
use super::customers::Session;
use super::scenario::{Journey, Step};
use super::shop::{self, OrderShown, Outcome};
use super::tally::Tally;
use super::wanted::{Chooser, WantedSku};

/// Everything that the visits of one thread share.
pub(super) struct Floor {
    pub client: Client,
    pub tally: Tally,
    pub clock: Clock,
    pub attempts: Attempts,
    pub run: String,
    /// The thread's number among all threads of the run.
    pub thread: usize,
    pub customers: Vec<RefCell<Session>>,
    pub goods: Vec<Good>,
    pub chooser: Chooser,
    pub journeys: Vec<Journey>,
    pub webhook_secret: Option<Vec<u8>>,
    pub random: RefCell<SmallRng>,
    /// A second order for one key, seen at once.
    pub doubled: RefCell<Misbehaviour>,
    /// Something else that should never have been answered.
    pub differs: RefCell<Misbehaviour>,
    /// Nobody comes any more, and who is thinking leaves.
    pub closed: watch::Receiver<bool>,
}

/// A SKU with its bodies, made once.
pub(super) struct Good {
    pub wanted: WantedSku,
    pub quantity: i64,
    pub konbini: Bytes,
    pub card: Bytes,
    /// The same order for one piece more.
    pub other: Bytes,
}

impl Good {
    pub(super) fn new(wanted: WantedSku, quantity: i64) -> Self {
        Self {
            konbini: shop::order_body(&wanted.sku, quantity, false),
            card: shop::order_body(&wanted.sku, quantity, true),
            other: shop::order_body(&wanted.sku, quantity + 1, false),
            quantity,
            wanted,
        }
    }

    pub(super) fn body(&self, by_card: bool) -> Bytes {
        if by_card { self.card.clone() } else { self.konbini.clone() }
    }
}

type Answered = Result<Answer, Trouble>;

/// The order that a visit is about.
struct Order {
    attempt: usize,
    key: String,
    by_card: bool,
    /// Its id and what was said of it, once it was accepted.
    shown: Option<(Uuid, u64)>,
}

impl Floor {
    /// Takes a customer, a SKU and a journey by chance, and goes through it. The first latency counts from `due`.
    pub(super) async fn visit(&self, due: Instant) {
        let (customer, good, journey) = {
            let mut random = self.random.borrow_mut();
            let customer = random.random_range(0..self.customers.len());
            (customer, self.chooser.choose(&mut random), self.journey(&mut random))
        };
        let reads_orders = self.attempts.are_kept() || journey.steps.iter().any(|step| step.needs_an_order());
        let mut visit = Visit { floor: self, customer, good, reads_orders, order: None };
        let mut due = due;
        for (position, step) in journey.steps.iter().enumerate() {
            if position > 0 {
                if !self.think(journey.think_ms).await {
                    return;
                }
                due = Instant::now();
            }
            if !visit.take(*step, due).await {
                return;
            }
        }
    }

    /// Milliseconds from the start of the run.
    fn now_ms(&self) -> u32 {
        (self.clock.seconds(Instant::now()) * 1e3) as u32
    }

    /// Lets some time pass; false when nobody comes any more.
    pub(super) async fn think(&self, milliseconds: u64) -> bool {
        if milliseconds > 0 {
            let mut closed = self.closed.clone();
            let pause = Duration::from_millis(milliseconds);
            let _ = tokio::time::timeout(pause, closed.wait_for(|closed| *closed)).await;
        }
        !*self.closed.borrow()
    }

    fn journey(&self, random: &mut SmallRng) -> &Journey {
        let total: u64 = self.journeys.iter().map(|journey| u64::from(journey.weight)).sum();
        let mut at = random.random_range(0..total.max(1));
        for journey in &self.journeys {
            let weight = u64::from(journey.weight);
            if at < weight {
                return journey;
            }
            at -= weight;
        }
        &self.journeys[0]
    }
}

struct Visit<'a> {
    floor: &'a Floor,
    customer: usize,
    good: usize,
    /// Whether anybody will ask what an accepted order was.
    reads_orders: bool,
    order: Option<Order>,
}

impl Visit<'_> {
    /// Takes one step; false when there is nothing to go on with.
    async fn take(&mut self, step: Step, due: Instant) -> bool {
        match step {
            Step::Browse => {
                let _ = self.ask(step, due, shop::get("/v1/products?limit=20", None)).await;
            }
            Step::Look => {
                let path = format!("/v1/products/{}", self.good().wanted.product);
                let _ = self.ask(step, due, shop::get(&path, None)).await;
            }
            Step::PlaceOrder => self.place(step, due, false).await,
            Step::PlaceOrderByCard => self.place(step, due, true).await,
            Step::RepeatOrder => return self.repeat(step, due).await,
            Step::ReuseKey => return self.reuse_key(step, due).await,
            Step::CancelOrder => return self.cancel(step, due).await,
            Step::PayOrder => return self.pay(step, due).await,
            Step::FollowOrder => {
                let Some((id, _)) = self.shown() else { return false };
                let _ = self.ask(step, due, shop::get_order(&self.bearer(), id)).await;
            }
            Step::SendBadToken => self.send_bad_token(step, due).await,
            Step::SendHugeBody => {
                let request = shop::huge_body(&self.bearer(), "load-huge-body");
                let answer = self.ask(step, due, request).await;
                self.expect_refused(&answer, "a body of a megabyte");
            }
        }
        true
    }

    fn good(&self) -> &Good {
        &self.floor.goods[self.good]
    }

    fn bearer(&self) -> shop::Bearer {
        self.floor.customers[self.customer].borrow().bearer.clone()
    }

    fn shown(&self) -> Option<(Uuid, u64)> {
        self.order.as_ref().and_then(|order| order.shown)
    }

    /// Sends, waits and counts.
    async fn ask(&self, step: Step, due: Instant, request: Request<Body>) -> Answered {
        self.floor.tally.started();
        let answer = self.floor.client.send(request).await;
        let now = Instant::now();
        let latency = now.saturating_duration_since(due);
        self.floor.tally.finished(step, Outcome::of(&answer), shop::reason(&answer), now, latency);
        answer
    }

    async fn place(&mut self, step: Step, due: Instant, by_card: bool) {
        let attempt = self.floor.attempts.add(Attempt {
            order: Uuid::nil(),
            fingerprint: 0,
            customer: self.customer as u32,
            sku: self.good as u16,
            was_unclear: false,
            by_card,
            asked_at_ms: self.floor.now_ms(),
            cancelled_at_ms: 0,
            told: Told::Unclear,
            cancelled: Cancelled::No,
        });
        let key = key(&self.floor.run, self.floor.thread, attempt);
        let request = shop::place_order(&self.bearer(), &key, self.good().body(by_card));
        let answer = self.ask(step, due, request).await;
        let (told, shown) = self.told(&answer);
        self.floor.attempts.change(attempt, |kept| {
            kept.told = told;
            kept.was_unclear = told == Told::Unclear;
            (kept.order, kept.fingerprint) = shown.unwrap_or_default();
        });
        self.order = Some(Order { attempt, key, by_card, shown });
    }

    fn told(&self, answer: &Answered) -> (Told, Option<(Uuid, u64)>) {
        let told = match answer {
            Err(Trouble::NoConnection) => Told::Unsent,
            Ok(answer) if answer.status == 201 && !self.reads_orders => Told::Accepted,
            Ok(answer) if answer.status == 201 => match serde_json::from_slice::<OrderShown>(&answer.body) {
                Ok(shown) => {
                    let good = self.good();
                    if !shown.is_of(&good.wanted.sku, good.quantity) {
                        let mut differs = self.floor.differs.borrow_mut();
                        differs.see(|| format!("order {} is not what was ordered", shown.id));
                    }
                    return (Told::Accepted, Some((shown.id, shown.fingerprint())));
                }
                Err(error) => {
                    let mut differs = self.floor.differs.borrow_mut();
                    differs.see(|| format!("a 201 that is not an order: {error}"));
                    Told::Unclear
                }
            },
            Ok(answer) if answer.status == 409 => Told::OutOfStock,
            Ok(answer) if matches!(answer.status, 400..500) => Told::Refused,
            // Whatever else it says, it does not say what became of the order.
            Ok(_) | Err(Trouble::Broken | Trouble::TimedOut) => Told::Unclear,
        };
        (told, None)
    }

    /// The same request with the same key: the same order, or what the first one did not say.
    async fn repeat(&mut self, step: Step, due: Instant) -> bool {
        let Some(Order { attempt, key, by_card, shown }) = self.order.take() else { return false };
        let request = shop::place_order(&self.bearer(), &key, self.good().body(by_card));
        let answer = self.ask(step, due, request).await;
        let (told, again) = self.told(&answer);
        match (shown, again) {
            (Some(first), Some(again)) if first != again => {
                let mut doubled = self.floor.doubled.borrow_mut();
                doubled.see(|| format!("key {key} was answered order {} and then {}", first.0, again.0));
            }
            (Some(first), None) if shop::is_clear(&answer) => {
                let mut differs = self.floor.differs.borrow_mut();
                differs.see(|| format!("key {key} was answered order {} and then a refusal", first.0));
            }
            (None, Some((order, fingerprint))) => self.floor.attempts.change(attempt, |kept| {
                (kept.told, kept.order, kept.fingerprint) = (Told::Accepted, order, fingerprint);
            }),
            (None, None) if told == Told::Unclear => self.floor.attempts.change(attempt, |kept| {
                (kept.told, kept.was_unclear) = (Told::Unclear, true);
            }),
            _ => {}
        }
        let shown = shown.or(again);
        self.order = Some(Order { attempt, key, by_card, shown });
        shown.is_some()
    }

    /// Another request under the same key must not become an order.
    async fn reuse_key(&mut self, step: Step, due: Instant) -> bool {
        let Some(order) = &self.order else { return false };
        if order.shown.is_none() {
            return false;
        }
        let key = order.key.clone();
        let request = shop::place_order(&self.bearer(), &key, self.good().other.clone());
        let answer = self.ask(step, due, request).await;
        if answer.as_ref().is_ok_and(|answer| answer.status < 300) {
            let mut doubled = self.floor.doubled.borrow_mut();
            doubled.see(|| format!("key {key} was accepted a second time for another order"));
        }
        true
    }

    async fn cancel(&mut self, step: Step, due: Instant) -> bool {
        let Some((id, _)) = self.shown() else { return false };
        let answer = self.ask(step, due, shop::cancel_order(&self.bearer(), id)).await;
        let cancelled = match &answer {
            Ok(answer) if matches!(answer.status, 200..300) => Cancelled::Yes,
            Err(Trouble::NoConnection) => Cancelled::No,
            _ if shop::is_clear(&answer) => Cancelled::No,
            _ => Cancelled::Perhaps,
        };
        if let Some(order) = &self.order {
            self.floor.attempts.change(order.attempt, |kept| {
                // What was cancelled once stays so, whatever a second question is answered.
                kept.cancelled = kept.cancelled.max(cancelled);
                kept.cancelled_at_ms = self.floor.now_ms();
            });
        }
        true
    }

    async fn pay(&mut self, step: Step, due: Instant) -> bool {
        let (Some((id, _)), Some(secret)) = (self.shown(), &self.floor.webhook_secret) else { return false };
        let Ok(request) = shop::report_payment(id, secret, jiff::Timestamp::now().as_second()) else {
            return false;
        };
        let _ = self.ask(step, due, request).await;
        true
    }

    async fn send_bad_token(&mut self, step: Step, due: Instant) {
        let mut forged = self.bearer().as_bytes().to_vec();
        // The last but one character: in the last one some bits may not count.
        if let Some(character) = forged.iter_mut().rev().nth(1) {
            *character = if *character == b'A' { b'B' } else { b'A' };
        }
        let Ok(forged) = shop::Bearer::from_bytes(&forged) else { return };
        let request = shop::place_order(&forged, "load-bad-token", self.good().konbini.clone());
        let answer = self.ask(step, due, request).await;
        self.expect_refused(&answer, "a forged token");
    }

    fn expect_refused(&self, answer: &Answered, what: &str) {
        if answer.as_ref().is_ok_and(|answer| answer.status < 300) {
            self.floor.differs.borrow_mut().see(|| format!("{what} was accepted"));
        }
    }
}
