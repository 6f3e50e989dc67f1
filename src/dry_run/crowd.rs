//! The synthetic customers of a dry run: when they come, what they order, how they wait and pay.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::buyer::{Buyer, CustomerKind};
use super::domain::ShadowNeeds;
use super::figures::CrowdFigures;
use super::report::{Course, CrowdSize};
use crate::actors::orders::{PlaceOrder, RecordPayment};
use crate::actors::payments::PaymentReport;
use crate::actors::sales::{GetLive, Sale};
use crate::actors::waiting_room::{
    Admission, AdmissionMode, GetPlace, GetRoom, JoinQueue, PassKey, TicketState,
};
use crate::error::Fault;

/// How long before the opening the early customers come.
const EARLY: Duration = Duration::from_millis(500);
/// How often the sale's stock is sampled; the sale's own figures are no newer.
const SAMPLE_EVERY: Duration = Duration::from_millis(250);
/// The most attempts of a request that may succeed later.
const ATTEMPTS_MAX: u32 = 5;
/// The longest wait before another attempt, whatever the shop asks for.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// With a waiting room, one customer in this many joins after the opening.
const JOIN_AFTER_OPENING: u64 = 5;

/// All customers of a run, on one thread.
pub(super) struct Crowd {
    ports: Arc<ShadowNeeds>,
    passes: PassKey,
    sale: Sale,
    size: CrowdSize,
    /// One permit for each request in progress.
    requests: Semaphore,
    opened: Instant,
    closes: Instant,
    figures: RefCell<CrowdFigures>,
}

/// The final answer to a request, after all attempts.
enum Outcome<T> {
    Answered(T),
    Refused,
}

impl Crowd {
    pub fn new(ports: Arc<ShadowNeeds>, passes: PassKey, sale: &Sale, size: CrowdSize) -> Self {
        let instant_of = |time: Timestamp| {
            Instant::now() + Duration::try_from(Timestamp::now().duration_until(time)).unwrap_or_default()
        };
        let opened = instant_of(sale.draft.opens_at);
        Self {
            opened,
            closes: instant_of(sale.draft.closes_at),
            ports,
            passes,
            sale: sale.clone(),
            size,
            requests: Semaphore::new(size.at_once as usize),
            figures: RefCell::new(CrowdFigures::new(opened, size.seconds)),
        }
    }

    /// Lets all customers visit, until the last one is done or the sale closes.
    pub async fn run(self) -> anyhow::Result<Course> {
        if self.has_room() {
            self.await_room().await?;
        }
        {
            let mut visits: FuturesUnordered<_> =
                (0..u64::from(self.size.customers)).map(|number| Box::pin(self.visit(number))).collect();
            let visiting = async {
                while let Some(visited) = visits.next().await {
                    visited?;
                }
                anyhow::Ok(())
            };
            let sampling = async {
                loop {
                    self.sample().await;
                    tokio::time::sleep(SAMPLE_EVERY).await;
                }
            };
            tokio::select! {
                visited = visiting => visited?,
                () = tokio::time::sleep_until(self.closes.into()) => {}
                () = sampling => {}
            }
        }
        // The sale's figures lag behind by up to `SAMPLE_EVERY`.
        tokio::time::sleep(2 * SAMPLE_EVERY).await;
        self.sample().await;
        let open_for = self.opened.elapsed().min(self.closes - self.opened);
        let has_room = self.has_room();
        Ok(self.figures.into_inner().into_course(&self.sale, open_for, has_room))
    }

    /// Returns when the waiting room is open, which happens shortly after its sale was armed.
    async fn await_room(&self) -> anyhow::Result<()> {
        while let Err(error) = self.ports.get_room.ask(GetRoom { sale: self.sale.id }).await {
            anyhow::ensure!(Instant::now() < self.opened, "the waiting room does not open: {error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    async fn sample(&self) {
        if let Ok(live) = self.ports.get_live.ask(GetLive { sale: self.sale.id }).await {
            self.figures.borrow_mut().sample(live.allotments);
        }
    }

    fn has_room(&self) -> bool {
        self.sale.draft.terms.admission.mode != AdmissionMode::None
    }

    /// Everything that one customer does.
    async fn visit(&self, number: u64) -> anyhow::Result<()> {
        let buyer = Buyer::of(number);
        let terms = &self.sale.draft.terms;
        let kind = CustomerKind::of(buyer, terms.konbini.allowed, self.has_room());
        let items = &self.sale.draft.items;
        let sku = &items[number as usize / 10 % items.len()].sku;
        let admission = match self.has_room() {
            true => match self.wait_for_admission(buyer, kind).await {
                Some(admission) => Some(admission),
                None => return Ok(()),
            },
            false => {
                let comes = if kind == CustomerKind::Early { self.opened - EARLY } else { self.opened };
                tokio::time::sleep_until(comes.into()).await;
                None
            }
        };
        for order in 0..kind.orders(terms.limit_per_customer) {
            let mut order = match kind {
                CustomerKind::Konbini => buyer.order_by_konbini(sku, order)?,
                _ => buyer.order_by_card(sku, order)?,
            };
            order.admission = admission;
            if !self.buy(buyer, kind, order).await {
                break;
            }
        }
        Ok(())
    }

    /// Places an order and pays it; answers whether it was placed.
    async fn buy(&self, buyer: Buyer, kind: CustomerKind, order: PlaceOrder) -> bool {
        let mut began = Instant::now();
        let placed = self.request(buyer, kind, || {
            began = Instant::now();
            self.ports.place_order.ask(PlaceOrder { arrived_at: Timestamp::now(), ..order.clone() })
        });
        let Outcome::Answered(placed) = placed.await else { return false };
        {
            let mut figures = self.figures.borrow_mut();
            figures.placed(began);
            if kind != CustomerKind::Konbini {
                figures.paid();
            }
        }
        if kind == CustomerKind::Konbini && buyer.pays_slip() {
            let order = placed.order.id;
            let paid = self.request(buyer, kind, || {
                let report = PaymentReport { id: format!("dry-run-{order}"), order, amount: None };
                self.ports.record_payment.ask(RecordPayment { report })
            });
            if let Outcome::Answered(_) = paid.await {
                self.figures.borrow_mut().paid();
            }
        }
        true
    }

    /// Joins the waiting room and waits; `None` when the customer is not admitted.
    async fn wait_for_admission(&self, buyer: Buyer, kind: CustomerKind) -> Option<Admission> {
        let number = buyer.number();
        if number.is_multiple_of(JOIN_AFTER_OPENING) {
            // Within the first two seconds.
            let comes = self.opened + Duration::from_millis(number * 7 % 2_000);
            tokio::time::sleep_until(comes.into()).await;
        }
        let join = || self.ports.join_queue.ask(JoinQueue { sale: self.sale.id, customer: buyer.id() });
        let Outcome::Answered(mut place) = self.request(buyer, kind, join).await else { return None };
        let joined = Instant::now().max(self.opened);
        self.figures.borrow_mut().joined_queue();
        loop {
            match place.state {
                TicketState::PreQueue | TicketState::Waiting => {}
                TicketState::Admitted => {
                    self.figures.borrow_mut().admitted(joined);
                    let admission = place.admission?;
                    return self.passes.read_admission(&admission, Timestamp::now()).ok();
                }
                _ => {
                    self.figures.borrow_mut().turned_away();
                    return None;
                }
            }
            let pause = Duration::from_secs(u64::from(place.ask_again_in_seconds)).min(WAIT_MAX);
            tokio::time::sleep(pause).await;
            let ticket = self.passes.read_ticket(&place.ticket).ok()?;
            let ask = || self.ports.get_place.ask(GetPlace { ticket });
            let Outcome::Answered(now) = self.request(buyer, kind, ask).await else { return None };
            place = now;
        }
    }

    /// Repeats a request as long as the shop says that waiting helps, and counts every refusal and failure.
    async fn request<T, E, F>(
        &self,
        buyer: Buyer,
        kind: CustomerKind,
        mut ask: impl FnMut() -> F,
    ) -> Outcome<T>
    where
        E: Fault,
        F: Future<Output = Result<T, E>>,
    {
        for _ in 0..ATTEMPTS_MAX {
            let error = {
                let Ok(_permit) = self.requests.acquire().await else { return Outcome::Refused };
                match ask().await {
                    Ok(answer) => return Outcome::Answered(answer),
                    Err(error) => error,
                }
            };
            let has_failed = error.kind().http_status() >= 500;
            match has_failed {
                true => self.figures.borrow_mut().failed(error.code()),
                false => self.figures.borrow_mut().refused(buyer, kind, error.code()),
            }
            let pause = match error.retry_after() {
                Some(seconds) => Duration::from_secs(u64::from(seconds)).min(WAIT_MAX),
                None if has_failed => Duration::from_millis(200),
                None => return Outcome::Refused,
            };
            tokio::time::sleep(pause).await;
        }
        Outcome::Refused
    }
}
