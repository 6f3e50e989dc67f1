//! A thread's customers in a waiting room: who has not joined, who polls for a place, who was admitted.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::header::HeaderValue;
use rand::RngExt as _;
use rand::rngs::SmallRng;
use tokio::sync::{Notify, watch};
use tokio::task::spawn_local;
use uuid::Uuid;

use super::client::{Answer, RequestError};
use super::clock::ExactTimer;
use super::sale_plan::VisitorKind;
use super::scenario::Step;
use super::shop::{self, PlaceAnswer};
use super::visit::ThreadShared;

/// A customer who lost the connection polls again after this.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// An admission that ends sooner is not used any more.
const ADMISSION_LEFT_MIN: jiff::SignedDuration = jiff::SignedDuration::from_secs(1);
/// Random picks of a waiting customer before it is assumed that there is none.
const PICKS: usize = 16;

/// A customer's place in the waiting room according to the last answer.
#[derive(Debug, Clone)]
pub(super) struct QueuePlace {
    pub ticket: HeaderValue,
    pub number: u32,
    pub state: String,
    pub admission: Option<HeaderValue>,
    /// Kept after it has passed.
    pub admitted_until: Option<jiff::Timestamp>,
}

impl QueuePlace {
    fn waits(&self) -> bool {
        matches!(&*self.state, "pre_queue" | "waiting")
    }

    fn may_order(&self) -> bool {
        let now = jiff::Timestamp::now();
        self.admission.is_some()
            && self.admitted_until.is_some_and(|until| until.duration_since(now) > ADMISSION_LEFT_MIN)
    }

    /// Applies a later answer.
    pub(super) fn update(&mut self, shown: PlaceAnswer) {
        self.state = shown.state;
        self.admission = shown.admission.and_then(|admission| HeaderValue::from_str(&admission).ok());
        self.admitted_until = shown.admitted_until.or(self.admitted_until);
    }
}

/// A customer broke a rule of the sale and was refused with this code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Offence {
    pub customer: usize,
    pub gate: String,
}

/// The places and offences at the end of a run.
#[derive(Debug, Default)]
pub(super) struct CrowdResult {
    /// By customer.
    pub places: Vec<Option<QueuePlace>>,
    pub offences: Vec<Offence>,
}

pub(super) struct Crowd {
    /// The sale, once it can be joined.
    sale: watch::Receiver<Option<Uuid>>,
    asks_every: Option<Duration>,
    places: RefCell<Vec<Option<QueuePlace>>>,
    newcomers: RefCell<VecDeque<usize>>,
    admitted: RefCell<VecDeque<usize>>,
    /// When each waiting customer polls next.
    due: RefCell<BinaryHeap<Reverse<(Instant, usize)>>>,
    polling_changed: Notify,
    offences: RefCell<Vec<Offence>>,
    /// Numbers of the SKUs that are sold out in the sale.
    sold_out: RefCell<BTreeSet<usize>>,
    has_left: Cell<bool>,
    there_since: Cell<Option<Instant>>,
}

impl Crowd {
    pub(super) fn new(customers: usize, sale: watch::Receiver<Option<Uuid>>, poll_ms: Option<u64>) -> Self {
        Self {
            sale,
            asks_every: poll_ms.map(Duration::from_millis),
            places: RefCell::new(vec![None; customers]),
            newcomers: RefCell::new((0..customers).collect()),
            admitted: RefCell::default(),
            due: RefCell::default(),
            polling_changed: Notify::new(),
            offences: RefCell::default(),
            sold_out: RefCell::default(),
            has_left: Cell::new(false),
            there_since: Cell::new(None),
        }
    }

    /// The sale to join; waits until it can be joined, or answers with `None` when the run closes.
    pub(super) async fn sale(&self, mut closed: watch::Receiver<bool>) -> Option<Uuid> {
        let mut sale = self.sale.clone();
        tokio::select! {
            sale = sale.wait_for(Option::is_some) => *sale.ok()?,
            _ = closed.wait_for(|closed| *closed) => None,
        }
    }

    /// Whether this thread knew the sale at that moment.
    pub(super) fn was_there(&self, moment: Instant) -> bool {
        let since = self.there_since.get().unwrap_or_else(Instant::now);
        self.there_since.set(Some(since));
        moment >= since
    }

    /// The customer of the next visit; `None` when there is none of that kind.
    pub(super) fn next(&self, who: VisitorKind, random: &mut SmallRng) -> Option<usize> {
        let places = self.places.borrow();
        match who {
            VisitorKind::Anybody => Some(random.random_range(0..places.len())),
            VisitorKind::Newcomers => self.newcomers.borrow_mut().pop_front(),
            VisitorKind::Waiting => {
                let anybody = (0..PICKS).map(|_| random.random_range(0..places.len()));
                anybody.into_iter().find(|customer| places[*customer].as_ref().is_some_and(QueuePlace::waits))
            }
            VisitorKind::Admitted => {
                let mut admitted = self.admitted.borrow_mut();
                std::iter::from_fn(|| admitted.pop_front())
                    .find(|customer| places[*customer].as_ref().is_some_and(QueuePlace::may_order))
            }
        }
    }

    /// A customer could not join now and tries again later.
    pub(super) fn comes_again(&self, customer: usize) {
        self.newcomers.borrow_mut().push_back(customer);
    }

    /// An admitted customer could not order yet and tries again later.
    pub(super) fn stays(&self, customer: usize) {
        self.admitted.borrow_mut().push_back(customer);
    }

    /// A SKU is sold out in the sale.
    pub(super) fn sold_out(&self, good: usize) {
        self.sold_out.borrow_mut().insert(good);
    }

    /// The wanted SKU, or the next one that may be available; `None` when all are sold out.
    pub(super) fn still_there(&self, wanted: usize, goods: usize) -> Option<usize> {
        let sold_out = self.sold_out.borrow();
        (0..goods).map(|step| (wanted + step) % goods).find(|good| !sold_out.contains(good))
    }

    pub(super) fn admission_of(&self, customer: usize) -> Option<HeaderValue> {
        self.places.borrow()[customer].as_ref()?.admission.clone()
    }

    /// The admission of another customer, used or not.
    pub(super) fn admission_of_another(&self, customer: usize) -> Option<HeaderValue> {
        let places = self.places.borrow();
        let (before, after) = places.split_at(customer);
        let mut others = after.iter().skip(1).chain(before).flatten();
        others.find_map(|place| place.admission.clone())
    }

    pub(super) fn offended(&self, customer: usize, gate: String) {
        self.offences.borrow_mut().push(Offence { customer, gate });
    }

    /// Applies an answer about a customer's place, and schedules the next poll.
    pub(super) fn update_place(&self, customer: usize, answer: &Result<Answer, RequestError>) {
        let mut places = self.places.borrow_mut();
        let place = &mut places[customer];
        let shown = answer.as_ref().ok().filter(|answer| matches!(answer.status, 200 | 201));
        if let Some(shown) = shown.and_then(|answer| serde_json::from_slice::<PlaceAnswer>(&answer.body).ok())
        {
            match place {
                Some(place) => place.update(shown),
                None => {
                    let Ok(ticket) = HeaderValue::from_str(&shown.ticket) else { return };
                    let (number, state) = (shown.number, String::new());
                    let mut new = QueuePlace { ticket, number, state, admission: None, admitted_until: None };
                    new.update(shown);
                    *place = Some(new);
                }
            }
        }
        let Some(place) = place else { return };
        if place.waits() {
            let wait = match answer {
                Ok(answer) => self.asks_every.unwrap_or_else(|| shop::retry_after(answer)),
                Err(_) => RETRY_AFTER,
            };
            self.due.borrow_mut().push(Reverse((Instant::now() + wait, customer)));
            self.polling_changed.notify_one();
        } else if place.state == "admitted" {
            self.admitted.borrow_mut().push_back(customer);
        }
    }

    fn next_due(&self) -> Option<Instant> {
        self.due.borrow().peek().map(|Reverse((due, _))| *due)
    }

    fn take_due(&self) -> Option<usize> {
        let mut due = self.due.borrow_mut();
        due.peek().filter(|Reverse((at, _))| *at <= Instant::now())?;
        due.pop().map(|Reverse((_, customer))| customer)
    }

    /// Ends the polling.
    pub(super) fn leaves(&self) {
        self.has_left.set(true);
        self.polling_changed.notify_one();
    }

    pub(super) fn into_left(self) -> CrowdResult {
        CrowdResult { places: self.places.into_inner(), offences: self.offences.into_inner() }
    }
}

/// Polls for every waiting customer when due, until the crowd leaves.
pub(super) async fn keep_asking(shared: Rc<ThreadShared>) -> anyhow::Result<()> {
    let Some(crowd) = &shared.crowd else { return Ok(()) };
    let mut timer = ExactTimer::new()?;
    while !crowd.has_left.get() {
        match crowd.next_due() {
            // A customer who joins meanwhile may be due earlier.
            Some(due) => tokio::select! {
                slept = timer.sleep_until(due) => slept?,
                () = crowd.polling_changed.notified() => continue,
            },
            None => {
                crowd.polling_changed.notified().await;
                continue;
            }
        }
        if let Some(customer) = crowd.take_due() {
            let shared = shared.clone();
            spawn_local(async move { shared.ask_for_place(customer).await });
        }
    }
    Ok(())
}

impl ThreadShared {
    async fn ask_for_place(&self, customer: usize) {
        let Some(crowd) = &self.crowd else { return };
        let ticket = crowd.places.borrow()[customer].as_ref().map(|place| place.ticket.clone());
        if let (Some(sale), Some(ticket)) = (*crowd.sale.borrow(), ticket) {
            let answer = self.ask(Step::PollQueue, Instant::now(), shop::get_place(sale, ticket)).await;
            crowd.update_place(customer, &answer);
        }
    }
}
