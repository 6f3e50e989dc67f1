//! Who of a thread's customers waits for a sale: who has not joined, who asks where they stand, who was let in.

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

use super::client::{Answer, Trouble};
use super::clock::ExactTimer;
use super::sale_plan::Who;
use super::scenario::Step;
use super::shop::{self, PlaceShown};
use super::visit::Floor;

/// Somebody who lost the connection asks again after this.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// An admission that ends sooner is not tried any more.
const IN_TIME: jiff::SignedDuration = jiff::SignedDuration::from_secs(1);
/// Looks for somebody who waits before it is taken that nobody does.
const LOOKS: usize = 16;

/// A customer's place in the waiting room, as it was told last.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub ticket: HeaderValue,
    pub number: u32,
    pub state: String,
    pub admission: Option<HeaderValue>,
    /// Kept when it is over.
    pub admitted_until: Option<jiff::Timestamp>,
}

impl Place {
    fn waits(&self) -> bool {
        matches!(&*self.state, "pre_queue" | "waiting")
    }

    fn may_order(&self) -> bool {
        let now = jiff::Timestamp::now();
        self.admission.is_some()
            && self.admitted_until.is_some_and(|until| until.duration_since(now) > IN_TIME)
    }

    /// Takes in what was told later.
    pub(super) fn update(&mut self, shown: PlaceShown) {
        self.state = shown.state;
        self.admission = shown.admission.and_then(|admission| HeaderValue::from_str(&admission).ok());
        self.admitted_until = shown.admitted_until.or(self.admitted_until);
    }
}

/// A customer broke a rule of the sale and was refused by this gate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Offence {
    pub customer: usize,
    pub gate: String,
}

/// What a run leaves behind of its crowd.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// By customer.
    pub places: Vec<Option<Place>>,
    pub offences: Vec<Offence>,
}

pub(super) struct Crowd {
    /// The sale, once it can be joined.
    sale: watch::Receiver<Option<Uuid>>,
    asks_every: Option<Duration>,
    places: RefCell<Vec<Option<Place>>>,
    newcomers: RefCell<VecDeque<usize>>,
    admitted: RefCell<VecDeque<usize>>,
    /// Who asks next, and when.
    due: RefCell<BinaryHeap<Reverse<(Instant, usize)>>>,
    somebody_is_due: Notify,
    offences: RefCell<Vec<Offence>>,
    /// SKUs, by their numbers, of which the sale has no piece left.
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
            somebody_is_due: Notify::new(),
            offences: RefCell::default(),
            sold_out: RefCell::default(),
            has_left: Cell::new(false),
            there_since: Cell::new(None),
        }
    }

    /// The sale that is to be joined; waits until it can be, at most until nobody comes any more.
    pub(super) async fn sale(&self, mut closed: watch::Receiver<bool>) -> Option<Uuid> {
        let mut sale = self.sale.clone();
        tokio::select! {
            sale = sale.wait_for(Option::is_some) => *sale.ok()?,
            _ = closed.wait_for(|closed| *closed) => None,
        }
    }

    /// Whether the sale could be joined at that moment, as far as this thread saw.
    pub(super) fn was_there(&self, moment: Instant) -> bool {
        let since = self.there_since.get().unwrap_or_else(Instant::now);
        self.there_since.set(Some(since));
        moment >= since
    }

    /// Whose visit is next; nothing when there is nobody.
    pub(super) fn next(&self, who: Who, random: &mut SmallRng) -> Option<usize> {
        let places = self.places.borrow();
        match who {
            Who::Anybody => Some(random.random_range(0..places.len())),
            Who::Newcomers => self.newcomers.borrow_mut().pop_front(),
            Who::Waiting => {
                let anybody = (0..LOOKS).map(|_| random.random_range(0..places.len()));
                anybody.into_iter().find(|customer| places[*customer].as_ref().is_some_and(Place::waits))
            }
            Who::Admitted => {
                let mut admitted = self.admitted.borrow_mut();
                std::iter::from_fn(|| admitted.pop_front())
                    .find(|customer| places[*customer].as_ref().is_some_and(Place::may_order))
            }
        }
    }

    /// Somebody could not join now and will come again.
    pub(super) fn comes_again(&self, customer: usize) {
        self.newcomers.borrow_mut().push_back(customer);
    }

    /// Somebody was let in and could not order yet.
    pub(super) fn stays(&self, customer: usize) {
        self.admitted.borrow_mut().push_back(customer);
    }

    /// The sale has no piece of a SKU left.
    pub(super) fn sold_out(&self, good: usize) {
        self.sold_out.borrow_mut().insert(good);
    }

    /// The wanted one of so many SKUs, or the next one of which there may be pieces; nothing when all are gone.
    pub(super) fn still_there(&self, wanted: usize, goods: usize) -> Option<usize> {
        let sold_out = self.sold_out.borrow();
        (0..goods).map(|step| (wanted + step) % goods).find(|good| !sold_out.contains(good))
    }

    pub(super) fn admission_of(&self, customer: usize) -> Option<HeaderValue> {
        self.places.borrow()[customer].as_ref()?.admission.clone()
    }

    /// The admission of somebody else, used or not.
    pub(super) fn admission_of_another(&self, customer: usize) -> Option<HeaderValue> {
        let places = self.places.borrow();
        let (before, after) = places.split_at(customer);
        let mut others = after.iter().skip(1).chain(before).flatten();
        others.find_map(|place| place.admission.clone())
    }

    pub(super) fn offended(&self, customer: usize, gate: String) {
        self.offences.borrow_mut().push(Offence { customer, gate });
    }

    /// Takes in what somebody was told of their place, and when to ask again.
    pub(super) fn told(&self, customer: usize, answer: &Result<Answer, Trouble>) {
        let mut places = self.places.borrow_mut();
        let place = &mut places[customer];
        let shown = answer.as_ref().ok().filter(|answer| matches!(answer.status, 200 | 201));
        if let Some(shown) = shown.and_then(|answer| serde_json::from_slice::<PlaceShown>(&answer.body).ok())
        {
            match place {
                Some(place) => place.update(shown),
                None => {
                    let Ok(ticket) = HeaderValue::from_str(&shown.ticket) else { return };
                    let (number, state) = (shown.number, String::new());
                    let mut new = Place { ticket, number, state, admission: None, admitted_until: None };
                    new.update(shown);
                    *place = Some(new);
                }
            }
        }
        let Some(place) = place else { return };
        if place.waits() {
            let wait = match answer {
                Ok(answer) => self.asks_every.unwrap_or_else(|| shop::retry_after(answer)),
                Err(_) => ASK_AGAIN_AFTER,
            };
            self.due.borrow_mut().push(Reverse((Instant::now() + wait, customer)));
            self.somebody_is_due.notify_one();
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

    /// Nobody asks any more.
    pub(super) fn leaves(&self) {
        self.has_left.set(true);
        self.somebody_is_due.notify_one();
    }

    pub(super) fn into_left(self) -> Left {
        Left { places: self.places.into_inner(), offences: self.offences.into_inner() }
    }
}

/// Lets everybody who waits ask where they stand when they are due, until the crowd leaves.
pub(super) async fn keep_asking(floor: Rc<Floor>) -> anyhow::Result<()> {
    let Some(crowd) = &floor.crowd else { return Ok(()) };
    let mut timer = ExactTimer::new()?;
    while !crowd.has_left.get() {
        match crowd.next_due() {
            // Whoever joins meanwhile may be due earlier.
            Some(due) => tokio::select! {
                slept = timer.sleep_until(due) => slept?,
                () = crowd.somebody_is_due.notified() => continue,
            },
            None => {
                crowd.somebody_is_due.notified().await;
                continue;
            }
        }
        if let Some(customer) = crowd.take_due() {
            let floor = floor.clone();
            spawn_local(async move { floor.ask_for_place(customer).await });
        }
    }
    Ok(())
}

impl Floor {
    async fn ask_for_place(&self, customer: usize) {
        let Some(crowd) = &self.crowd else { return };
        let ticket = crowd.places.borrow()[customer].as_ref().map(|place| place.ticket.clone());
        if let (Some(sale), Some(ticket)) = (*crowd.sale.borrow(), ticket) {
            let answer = self.ask(Step::PollQueue, Instant::now(), shop::get_place(sale, ticket)).await;
            crowd.told(customer, &answer);
        }
    }
}
