//! One visit: a customer takes the steps of a journey, each a request, and records the answers.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use hyper::Request;
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use rand::RngExt as _;
use rand::rngs::SmallRng;
use tokio::sync::watch;
use uuid::Uuid;

use super::attempts::{Attempt, Attempts, Cancelled, Reply, Violations, key};
use super::client::{Answer, Body, Client, RequestError};
use super::clock::Clock;
use super::customers::Session;
use super::scenario::{Journey, Step};
use super::shop::{self, OrderAnswer, Outcome, Payment};
use super::sku_choice::{Chooser, ListedSku};
use super::tally::Tally;
use super::waiting_crowd::Crowd;

/// The state that the visits of one thread share.
pub(super) struct ThreadShared {
    pub client: Client,
    pub tally: Tally,
    pub clock: Clock,
    pub attempts: Attempts,
    pub run: String,
    /// The thread's number among all threads of the run.
    pub thread: usize,
    pub customers: Vec<RefCell<Session>>,
    pub goods: Vec<OrderedSku>,
    /// Pieces for each customer of the sale.
    pub limit: i64,
    pub chooser: Chooser,
    /// The journeys of each stage.
    pub journeys: Vec<Vec<Journey>>,
    /// The number of the present stage.
    pub stage: Cell<usize>,
    /// The customers in the waiting room, where there is a sale.
    pub crowd: Option<Crowd>,
    pub webhook_secret: Option<Vec<u8>>,
    pub random: RefCell<SmallRng>,
    /// Second orders for one key.
    pub doubled: RefCell<Violations>,
    /// Other answers that contradict the contract.
    pub differs: RefCell<Violations>,
    /// True when no visit begins any more and thinking customers leave.
    pub closed: watch::Receiver<bool>,
}

/// A SKU, and how many pieces an order has.
pub(super) struct OrderedSku {
    pub wanted: ListedSku,
    pub quantity: i64,
}

impl OrderedSku {
    pub(super) fn body(&self, payment: Payment, payer: usize) -> Bytes {
        shop::order_body(&self.wanted.sku, self.quantity, payment, payer)
    }
}

/// Orders that a customer who orders too fast places at once.
const TOO_FAST: usize = 40;

type Answered = Result<Answer, RequestError>;

/// The order that a visit is about.
struct Order {
    attempt: usize,
    key: String,
    payment: Payment,
    /// Its id and fingerprint, once it was accepted.
    shown: Option<(Uuid, u64)>,
}

impl ThreadShared {
    /// Chooses a journey of this stage, a customer and a SKU at random; `None` when there is no such customer.
    pub(super) fn next_visitor(&self) -> Option<Visitor> {
        let mut random = self.random.borrow_mut();
        let stage = self.stage.get();
        let journey = self.journey(stage, &mut random)?;
        let customer = match &self.crowd {
            Some(crowd) => crowd.next(self.journeys[stage][journey].who, &mut random)?,
            None => random.random_range(0..self.customers.len()),
        };
        let good = self.chooser.choose(&mut random);
        // A customer who knows that a SKU is sold out orders another one.
        let left = self.crowd.as_ref().and_then(|crowd| crowd.still_there(good, self.goods.len()));
        Some(Visitor { customer, good: left.unwrap_or(good), stage, journey })
    }

    /// Carries out a journey. The first latency counts from `due`.
    pub(super) async fn visit(&self, visitor: Visitor, due: Instant) {
        let Visitor { customer, good, stage, journey } = visitor;
        let journey = &self.journeys[stage][journey];
        let reads_orders = self.attempts.are_kept() || journey.steps.iter().any(|step| step.needs_an_order());
        let mut visit = Visit { shared: self, customer, good, reads_orders, order: None };
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

    /// Waits for the thinking time; false when the run closes.
    pub(super) async fn think(&self, milliseconds: u64) -> bool {
        if milliseconds > 0 {
            let mut closed = self.closed.clone();
            let pause = Duration::from_millis(milliseconds);
            let _ = tokio::time::timeout(pause, closed.wait_for(|closed| *closed)).await;
        }
        !*self.closed.borrow()
    }

    /// The number of a journey among those of the stage.
    fn journey(&self, stage: usize, random: &mut SmallRng) -> Option<usize> {
        let journeys = self.journeys.get(stage)?;
        let total: u64 = journeys.iter().map(|journey| u64::from(journey.weight)).sum();
        let mut at = random.random_range(0..total.max(1));
        journeys.iter().position(|journey| {
            let weight = u64::from(journey.weight);
            let is_it = at < weight;
            at = at.saturating_sub(weight);
            is_it
        })
    }

    /// Sends, waits and counts.
    pub(super) async fn ask(&self, step: Step, due: Instant, request: Request<Body>) -> Answered {
        self.tally.started();
        let answer = self.client.send(request).await;
        let now = Instant::now();
        let latency = now.saturating_duration_since(due);
        self.tally.finished(step, Outcome::of(&answer), shop::reason(&answer), now, latency);
        answer
    }
}

/// A customer, a SKU and a journey, by number.
pub(super) struct Visitor {
    customer: usize,
    good: usize,
    stage: usize,
    journey: usize,
}

struct Visit<'a> {
    shared: &'a ThreadShared,
    customer: usize,
    good: usize,
    /// Whether the content of an accepted order is needed later.
    reads_orders: bool,
    order: Option<Order>,
}

impl Visit<'_> {
    /// Takes one step; false when the visit cannot go on.
    async fn take(&mut self, step: Step, due: Instant) -> bool {
        match step {
            Step::Browse => {
                let _ = self.ask(step, due, shop::get("/v1/products?limit=20", None)).await;
            }
            Step::Look => {
                let path = format!("/v1/products/{}", self.good().wanted.product);
                let _ = self.ask(step, due, shop::get(&path, None)).await;
            }
            Step::PlaceOrder => self.place(step, due, Payment::Konbini).await,
            Step::PlaceOrderByCard => self.place(step, due, Payment::Card).await,
            Step::PlaceOrderBySharedCard => self.place(step, due, Payment::SharedCard).await,
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
            Step::JoinQueue => self.join(step, due, true).await,
            Step::JoinWithWrongWork => self.join(step, due, false).await,
            // Polling is not part of a journey.
            Step::PollQueue => {}
            Step::OrderWithoutAdmission => {
                self.offend(step, due, None, self.good().quantity, "an order without an admission").await;
            }
            Step::OrderWithStolenAdmission => {
                let stolen =
                    self.shared.crowd.as_ref().and_then(|crowd| crowd.admission_of_another(self.customer));
                if stolen.is_some() {
                    let pieces = self.good().quantity;
                    self.offend(step, due, stolen, pieces, "an order with another customer's admission")
                        .await;
                }
            }
            Step::OrderWithUsedAdmission => {
                // Only an admission that placed an order is used up.
                if self.shown().is_none() {
                    return false;
                }
                let pieces = self.good().quantity;
                self.offend(step, due, self.admission(), pieces, "a second order with one admission").await;
            }
            Step::OrderTooMuch => {
                let pieces = self.shared.limit + 1;
                self.offend(step, due, self.admission(), pieces, "an order above the limit").await;
            }
            Step::OrderTooFast => {
                let pieces = self.good().quantity;
                let orders = (0..TOO_FAST)
                    .map(|_| self.offend(step, due, None, pieces, "one of many orders without an admission"));
                futures_util::future::join_all(orders).await;
            }
        }
        true
    }

    fn good(&self) -> &OrderedSku {
        &self.shared.goods[self.good]
    }

    fn bearer(&self) -> shop::Bearer {
        self.shared.customers[self.customer].borrow().bearer.clone()
    }

    fn shown(&self) -> Option<(Uuid, u64)> {
        self.order.as_ref().and_then(|order| order.shown)
    }

    async fn ask(&self, step: Step, due: Instant, request: Request<Body>) -> Answered {
        self.shared.ask(step, due, request).await
    }

    /// The customer's number among all of the run.
    fn payer(&self) -> usize {
        self.shared.customers[self.customer].borrow().number
    }

    fn body(&self, payment: Payment) -> Bytes {
        self.good().body(payment, self.payer())
    }

    /// The admission of the customer, if there is one.
    fn admission(&self) -> Option<HeaderValue> {
        self.shared.crowd.as_ref()?.admission_of(self.customer)
    }

    /// Joins the waiting room and solves its challenge, first wrongly where that is wanted.
    async fn join(&mut self, step: Step, due: Instant, rightly: bool) {
        let Some(crowd) = &self.shared.crowd else { return };
        let Some(sale) = crowd.sale(self.shared.closed.clone()).await else { return };
        // The latency counts from when the sale could be joined.
        let due = if crowd.was_there(due) { due } else { Instant::now() };
        let mut answer = self.ask(step, due, shop::join_queue(&self.bearer(), sale, None)).await;
        if let Some(challenge) = shop::challenge(&answer) {
            if !rightly && let Some(wrong) = shop::answer_challenge(&challenge, false) {
                let request = shop::join_queue(&self.bearer(), sale, Some(&wrong));
                let refused = self.ask(step, Instant::now(), request).await;
                self.expect_refused(&refused, "a wrong answer to a challenge");
            }
            // Solving it takes a while and must not block this thread.
            let work = tokio::task::spawn_blocking(move || shop::answer_challenge(&challenge, true));
            let solved = work.await.ok().flatten();
            let request = shop::join_queue(&self.bearer(), sale, solved.as_deref());
            answer = self.ask(step, Instant::now(), request).await;
        }
        match &answer {
            Ok(answer) if matches!(answer.status, 429 | 503) => crowd.comes_again(self.customer),
            Err(_) => crowd.comes_again(self.customer),
            Ok(_) => crowd.update_place(self.customer, &answer),
        }
    }

    /// Places an order that breaks a rule of the sale and must be refused; records the code of the refusal.
    async fn offend(
        &self,
        step: Step,
        due: Instant,
        admission: Option<HeaderValue>,
        pieces: i64,
        what: &str,
    ) {
        let key = format!("load-{}-offence-{}", self.shared.run, Uuid::now_v7());
        let body = shop::order_body(&self.good().wanted.sku, pieces, Payment::Card, self.payer());
        let request = shop::with_admission(shop::place_order(&self.bearer(), &key, body), admission);
        let answer = self.ask(step, due, request).await;
        self.expect_refused(&answer, what);
        if let (Some(crowd), Ok(refused)) = (&self.shared.crowd, &answer)
            && matches!(refused.status, 400..500)
            && let Some(gate) = shop::code(refused)
        {
            crowd.offended(self.customer, gate);
        }
    }

    async fn place(&mut self, step: Step, due: Instant, payment: Payment) {
        let attempt = self.shared.attempts.add(Attempt {
            order: Uuid::nil(),
            fingerprint: 0,
            customer: self.customer as u32,
            sku: self.good as u16,
            was_unclear: false,
            payment,
            asked_at_ms: self.shared.now_ms(),
            cancelled_at_ms: 0,
            reply: Reply::Unclear,
            cancelled: Cancelled::No,
        });
        let key = key(&self.shared.run, self.shared.thread, attempt);
        let request = shop::place_order(&self.bearer(), &key, self.body(payment));
        let answer = self.ask(step, due, shop::with_admission(request, self.admission())).await;
        let (reply, shown) = self.reply_of(&answer);
        self.shared.attempts.change(attempt, |kept| {
            kept.reply = reply;
            kept.was_unclear = reply == Reply::Unclear;
            (kept.order, kept.fingerprint) = shown.unwrap_or_default();
        });
        self.order = Some(Order { attempt, key, payment, shown });
        if let (Some(crowd), Some(_)) = (&self.shared.crowd, self.admission()) {
            self.goes_or_stays(crowd, &answer, reply);
        }
    }

    /// Lets an admitted customer without an order try again, as long as a SKU may be available.
    fn goes_or_stays(&self, crowd: &Crowd, answer: &Answered, reply: Reply) {
        if reply == Reply::SoldOut {
            crowd.sold_out(self.good);
        }
        let is_busy = answer.as_ref().is_ok_and(|answer| matches!(answer.status, 429 | 503));
        let is_left = crowd.still_there(self.good, self.shared.goods.len()).is_some();
        if is_left && (reply == Reply::SoldOut || is_busy) {
            crowd.stays(self.customer);
        }
    }

    fn reply_of(&self, answer: &Answered) -> (Reply, Option<(Uuid, u64)>) {
        let reply = match answer {
            Err(RequestError::NoConnection) => Reply::Unsent,
            Ok(answer) if answer.status == 201 && !self.reads_orders => Reply::Accepted,
            Ok(answer) if answer.status == 201 => match serde_json::from_slice::<OrderAnswer>(&answer.body) {
                Ok(shown) => {
                    let good = self.good();
                    if !shown.is_of(&good.wanted.sku, good.quantity) {
                        let mut differs = self.shared.differs.borrow_mut();
                        differs.see(|| format!("order {} is not what was ordered", shown.id));
                    }
                    return (Reply::Accepted, Some((shown.id, shown.fingerprint())));
                }
                Err(error) => {
                    let mut differs = self.shared.differs.borrow_mut();
                    differs.see(|| format!("a 201 that is not an order: {error}"));
                    Reply::Unclear
                }
            },
            Ok(answer) if answer.status == 409 => Reply::by_conflict(answer),
            Ok(answer) if matches!(answer.status, 400..500) => Reply::Refused,
            // Every other answer leaves the outcome open.
            Ok(_) | Err(RequestError::Broken | RequestError::TimedOut) => Reply::Unclear,
        };
        (reply, None)
    }

    /// Repeats the request with the same key: it must answer the same order, or resolve an unclear outcome.
    async fn repeat(&mut self, step: Step, due: Instant) -> bool {
        let Some(Order { attempt, key, payment, shown }) = self.order.take() else { return false };
        let request = shop::place_order(&self.bearer(), &key, self.body(payment));
        let answer = self.ask(step, due, shop::with_admission(request, self.admission())).await;
        let (reply, again) = self.reply_of(&answer);
        match (shown, again) {
            (Some(first), Some(again)) if first != again => {
                let mut doubled = self.shared.doubled.borrow_mut();
                doubled.see(|| format!("key {key} was answered order {} and then {}", first.0, again.0));
            }
            (Some(first), None) if shop::is_clear(&answer) => {
                let mut differs = self.shared.differs.borrow_mut();
                differs.see(|| format!("key {key} was answered order {} and then a refusal", first.0));
            }
            (None, Some((order, fingerprint))) => self.shared.attempts.change(attempt, |kept| {
                (kept.reply, kept.order, kept.fingerprint) = (Reply::Accepted, order, fingerprint);
            }),
            (None, None) if reply == Reply::Unclear => self.shared.attempts.change(attempt, |kept| {
                (kept.reply, kept.was_unclear) = (Reply::Unclear, true);
            }),
            _ => {}
        }
        let shown = shown.or(again);
        self.order = Some(Order { attempt, key, payment, shown });
        shown.is_some()
    }

    /// Sends another request with the same key, which must not become an order.
    async fn reuse_key(&mut self, step: Step, due: Instant) -> bool {
        let Some(order) = &self.order else { return false };
        if order.shown.is_none() {
            return false;
        }
        let key = order.key.clone();
        let OrderedSku { wanted, quantity } = self.good();
        let other = shop::order_body(&wanted.sku, quantity + 1, Payment::Konbini, self.payer());
        let request = shop::place_order(&self.bearer(), &key, other);
        let answer = self.ask(step, due, request).await;
        if answer.as_ref().is_ok_and(|answer| answer.status < 300) {
            let mut doubled = self.shared.doubled.borrow_mut();
            doubled.see(|| format!("key {key} was accepted a second time for another order"));
        }
        true
    }

    async fn cancel(&mut self, step: Step, due: Instant) -> bool {
        let Some((id, _)) = self.shown() else { return false };
        let answer = self.ask(step, due, shop::cancel_order(&self.bearer(), id)).await;
        let cancelled = match &answer {
            Ok(answer) if matches!(answer.status, 200..300) => Cancelled::Yes,
            Err(RequestError::NoConnection) => Cancelled::No,
            _ if shop::is_clear(&answer) => Cancelled::No,
            _ => Cancelled::Perhaps,
        };
        if let Some(order) = &self.order {
            self.shared.attempts.change(order.attempt, |kept| {
                // A cancelled order stays cancelled, whatever a later answer says.
                kept.cancelled = kept.cancelled.max(cancelled);
                kept.cancelled_at_ms = self.shared.now_ms();
            });
        }
        true
    }

    async fn pay(&mut self, step: Step, due: Instant) -> bool {
        let (Some((id, _)), Some(secret)) = (self.shown(), &self.shared.webhook_secret) else { return false };
        let Ok(request) = shop::report_payment(id, secret, jiff::Timestamp::now().as_second()) else {
            return false;
        };
        let _ = self.ask(step, due, request).await;
        true
    }

    async fn send_bad_token(&mut self, step: Step, due: Instant) {
        let mut forged = self.bearer().as_bytes().to_vec();
        // The last but one character: of the last one some bits may be padding.
        if let Some(character) = forged.iter_mut().rev().nth(1) {
            *character = if *character == b'A' { b'B' } else { b'A' };
        }
        let Ok(forged) = shop::Bearer::from_bytes(&forged) else { return };
        let request = shop::place_order(&forged, "load-bad-token", self.body(Payment::Konbini));
        let answer = self.ask(step, due, request).await;
        self.expect_refused(&answer, "a forged token");
    }

    fn expect_refused(&self, answer: &Answered, what: &str) {
        if answer.as_ref().is_ok_and(|answer| answer.status < 300) {
            self.shared.differs.borrow_mut().see(|| format!("{what} was accepted"));
        }
    }
}
