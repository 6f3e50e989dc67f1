//! One generator thread: begins visits when they are due, whatever the shop does, and measures its own lag.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use nix::time::{ClockId, clock_gettime};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::{LocalSet, spawn_local};
use uuid::Uuid;

use super::attempts::{Attempts, Violations};
use super::client::{Client, Target};
use super::clock::{Clock, ExactTimer};
use super::customers::Session;
use super::scenario::{Scenario, Stage};
use super::schedule::{Planned, Share, plan};
use super::sku_choice::{Chooser, ListedSku};
use super::tally::{Interval, Tally};
use super::visit::{OrderedSku, ThreadShared};
use super::waiting_crowd::{Crowd, CrowdResult, keep_asking};

/// The interval of checks of the generator's own lag.
const TICK: Duration = Duration::from_millis(10);
/// How often seconds without events are handed over.
const HAND_OVER_EVERY: Duration = Duration::from_millis(200);
/// How often sessions are checked, and how many are renewed at the same time.
const RENEW_EVERY: Duration = Duration::from_secs(1);
const RENEWALS_AT_ONCE: usize = 4;
/// The pause of a worker without a customer, in milliseconds.
const NO_CUSTOMER_MS: u64 = 5;

/// The work of one thread.
pub(super) struct ThreadWork {
    pub scenario: Scenario,
    pub target: Target,
    pub clock: Clock,
    pub run: String,
    /// The share of this thread among all threads of all machines.
    pub share: Share,
    /// The share of this thread on this machine.
    pub of_machine: Share,
    /// Its number among the threads of all machines.
    pub thread: usize,
    pub sessions: Vec<Session>,
    pub skus: Vec<ListedSku>,
    pub webhook_secret: Option<Vec<u8>>,
    /// The sale of the scenario, once it can be joined.
    pub sale: watch::Receiver<Option<Uuid>>,
    pub keeps_attempts: bool,
    pub past: mpsc::UnboundedSender<Interval>,
    pub stop: watch::Receiver<bool>,
}

/// The result of one thread.
pub(super) struct ThreadResult {
    pub thread: usize,
    pub attempts: Attempts,
    pub sessions: Vec<Session>,
    pub doubled: Violations,
    pub differs: Violations,
    /// The end of the waiting room, where there was one.
    pub left: CrowdResult,
    pub connections_opened: u64,
    pub cpu: Duration,
}

/// Runs on a thread of its own.
pub(super) fn run(work: ThreadWork) -> anyhow::Result<ThreadResult> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, generate(work))
}

async fn generate(work: ThreadWork) -> anyhow::Result<ThreadResult> {
    let cpu_before = thread_cpu()?;
    let ThreadWork { scenario, clock, share, mut stop, .. } = work;
    let limits = &scenario.limits;
    let part = |all: usize| work.of_machine.count(all).max(1);
    let chooser = Chooser::new(&scenario.skus, work.skus.len());
    let quantity = scenario.skus.quantity;
    let (close, closed) = watch::channel(false);
    let crowd = scenario.sale.as_ref().map(|plan| Crowd::new(work.sessions.len(), work.sale, plan.poll_ms));
    let shared = Rc::new(ThreadShared {
        client: Client::new(work.target, part(limits.connections), scenario.timeout()),
        tally: Tally::new(clock, work.past),
        clock,
        attempts: Attempts::new(work.keeps_attempts),
        run: work.run,
        thread: work.thread,
        crowd,
        customers: work.sessions.into_iter().map(RefCell::new).collect(),
        goods: work.skus.into_iter().map(|wanted| OrderedSku { wanted, quantity }).collect(),
        limit: scenario.sale.as_ref().map_or(0, |sale| sale.limit),
        chooser,
        journeys: scenario.stages.iter().map(|stage| scenario.journeys_in(stage)).collect(),
        stage: Cell::new(0),
        webhook_secret: work.webhook_secret,
        random: RefCell::new(SmallRng::from_rng(&mut rand::rng())),
        doubled: RefCell::default(),
        differs: RefCell::default(),
        closed,
    });
    let upkeep = [spawn_local(hand_over(shared.clone())), spawn_local(renew_sessions(shared.clone()))];
    let ticks = spawn_local(tick(shared.clone(), clock.at(0.0)));
    let asking = spawn_local(keep_asking(shared.clone()));
    let mut generator = Generator {
        shared: shared.clone(),
        clock,
        share,
        places: Arc::new(Semaphore::new(part(limits.in_flight))),
        timer: ExactTimer::new()?,
        shop_was_full_until: clock.at(0.0),
    };
    for (number, planned) in plan(&scenario.stages).into_iter().enumerate() {
        shared.stage.set(number);
        tokio::select! {
            staged = generator.stage(&planned) => staged?,
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    drop(generator);
    if *stop.borrow() {
        close.send_replace(true);
    }
    if let Some(crowd) = &shared.crowd {
        crowd.leaves();
    }
    asking.await??;
    // Visits that are under way end with their answers, or with the deadlines of their requests.
    while Rc::strong_count(&shared) > 1 + upkeep.len() + 1 {
        tokio::time::sleep(TICK).await;
    }
    ticks.abort();
    let _ = ticks.await;
    for task in upkeep {
        task.abort();
        let _ = task.await;
    }
    let cpu = thread_cpu()?.saturating_sub(cpu_before);
    let shared = Rc::try_unwrap(shared).map_err(|_| anyhow::anyhow!("a visit is still under way"))?;
    shared.tally.end();
    Ok(ThreadResult {
        thread: shared.thread,
        attempts: shared.attempts,
        sessions: shared.customers.into_iter().map(RefCell::into_inner).collect(),
        doubled: shared.doubled.into_inner(),
        differs: shared.differs.into_inner(),
        left: shared.crowd.map(Crowd::into_left).unwrap_or_default(),
        connections_opened: shared.client.opened(),
        cpu,
    })
}

struct Generator {
    shared: Rc<ThreadShared>,
    clock: Clock,
    share: Share,
    places: Arc<Semaphore>,
    timer: ExactTimer,
    /// Until then all slots were taken: a visit that is late because of that is late through the shop.
    shop_was_full_until: Instant,
}

impl Generator {
    async fn stage(&mut self, planned: &Planned) -> anyhow::Result<()> {
        match planned.stage {
            Stage::Closed { workers, from, think_ms, .. } => {
                self.closed(planned, workers, from.unwrap_or(workers), think_ms).await?;
            }
            _ => self.open(planned).await?,
        }
        self.timer.sleep_until(self.clock.at(planned.to)).await?;
        Ok(())
    }

    /// Begins every visit when it is due. A visit without a free slot waits for one, which is due to the shop.
    async fn open(&mut self, planned: &Planned) -> anyhow::Result<()> {
        for start in planned.starts(self.share) {
            let due = self.clock.at(start);
            let place = match self.places.clone().try_acquire_owned() {
                Ok(place) => place,
                Err(_) => {
                    let place = self.places.clone().acquire_owned().await?;
                    self.shop_was_full_until = Instant::now();
                    place
                }
            };
            self.timer.sleep_until(due).await?;
            self.begin(due, due > self.shop_was_full_until, place);
        }
        Ok(())
    }

    /// Begins a visit. Its lag, where only the generator can have caused it, is measured when the visit really begins,
    /// because earlier visits run first.
    fn begin(&self, due: Instant, found_a_place: bool, place: OwnedSemaphorePermit) {
        let shared = self.shared.clone();
        spawn_local(async move {
            let lag = found_a_place.then(|| Instant::now().saturating_duration_since(due));
            if let Some(visitor) = shared.next_visitor() {
                shared.tally.visit(lag);
                shared.visit(visitor, due).await;
            }
            drop(place);
        });
    }

    /// Each worker begins another visit when its last one has ended.
    async fn closed(
        &mut self,
        planned: &Planned,
        workers: usize,
        at_once: usize,
        think_ms: u64,
    ) -> anyhow::Result<()> {
        let until = self.clock.at(planned.to);
        self.timer.sleep_until(self.clock.at(planned.from)).await?;
        for number in (self.share.index..workers).step_by(self.share.of) {
            let (shared, places) = (self.shared.clone(), self.places.clone());
            // The workers beyond the first ones start evenly over the stage.
            let later =
                number.saturating_sub(at_once.saturating_sub(1)) as f64 / (workers - at_once + 1) as f64;
            let wait = (planned.to - planned.from) * later * 1e3;
            spawn_local(async move {
                if !shared.think(wait as u64).await {
                    return;
                }
                while Instant::now() < until {
                    // There is a slot for every worker, but a visit of the previous stage may still have one.
                    let Ok(place) = places.clone().acquire_owned().await else { return };
                    let visitor = shared.next_visitor();
                    let pause_ms = if visitor.is_some() { think_ms } else { think_ms.max(NO_CUSTOMER_MS) };
                    if let Some(visitor) = visitor {
                        shared.tally.visit(None);
                        shared.visit(visitor, Instant::now()).await;
                    }
                    drop(place);
                    // The thinking time ends with the stage.
                    let rest = until.saturating_duration_since(Instant::now()).as_millis();
                    if !shared.think(pause_ms.min(u64::try_from(rest).unwrap_or(u64::MAX))).await {
                        return;
                    }
                }
            });
        }
        Ok(())
    }
}

/// Measures the lag of the generator at moments that do not depend on the shop. A slow shop does not delay them; a lack
/// of processor time does, also while all slots are taken.
async fn tick(shared: Rc<ThreadShared>, began: Instant) -> anyhow::Result<()> {
    let mut timer = ExactTimer::new()?;
    let mut moment = began;
    loop {
        timer.sleep_until(moment).await?;
        let now = Instant::now();
        shared.tally.tick(now.saturating_duration_since(moment));
        // A long delay counts as one late tick and as every tick that was missed.
        moment += TICK;
        while moment < now {
            shared.tally.tick(now.saturating_duration_since(moment));
            moment += TICK;
        }
    }
}

/// Hands over seconds without events.
async fn hand_over(shared: Rc<ThreadShared>) {
    loop {
        tokio::time::sleep(HAND_OVER_EVERY).await;
        shared.tally.turn_to(Instant::now());
    }
}

/// Renews sessions before they end.
async fn renew_sessions(shared: Rc<ThreadShared>) {
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        let due = shared.customers.iter().filter(|customer| customer.borrow().is_due());
        stream::iter(due)
            .for_each_concurrent(RENEWALS_AT_ONCE, |customer| async {
                let mut session = customer.borrow().clone();
                if let Err(error) = session.renew(&shared.client).await {
                    tracing::warn!(%error, "a session could not be renewed; the next attempt follows");
                }
                customer.replace(session);
            })
            .await;
    }
}

fn thread_cpu() -> anyhow::Result<Duration> {
    Ok(Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?))
}
