//! One generator thread: begins visits when they are due, whatever the shop does, and knows how late it was itself.

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

use super::attempts::{Attempts, Misbehaviour};
use super::client::{Client, Target};
use super::clock::{Clock, ExactTimer};
use super::crowd::{Crowd, Left, keep_asking};
use super::customers::Session;
use super::scenario::{Scenario, Stage};
use super::schedule::{Planned, Share, plan};
use super::tally::{Interval, Tally};
use super::visit::{Floor, Good};
use super::wanted::{Chooser, WantedSku};

/// How often it is looked whether the generator is on time.
const TICK: Duration = Duration::from_millis(10);
/// How often seconds are handed over when nothing else happens.
const HAND_OVER_EVERY: Duration = Duration::from_millis(200);
/// How often sessions are looked at, and how many are renewed at the same time.
const RENEW_EVERY: Duration = Duration::from_secs(1);
const RENEWALS_AT_ONCE: usize = 4;
/// When a worker finds no customer to be, it looks again after so many milliseconds.
const NOBODY_THERE_MS: u64 = 5;

/// What one thread has to do.
pub(super) struct Work {
    pub scenario: Scenario,
    pub target: Target,
    pub clock: Clock,
    pub run: String,
    /// Of everything, over all machines.
    pub share: Share,
    /// Of this machine.
    pub of_machine: Share,
    /// Its number among the threads of all machines.
    pub thread: usize,
    pub sessions: Vec<Session>,
    pub skus: Vec<WantedSku>,
    pub webhook_secret: Option<Vec<u8>>,
    /// The sale of the scenario, once it can be joined.
    pub sale: watch::Receiver<Option<Uuid>>,
    pub keeps_attempts: bool,
    pub past: mpsc::UnboundedSender<Interval>,
    pub stop: watch::Receiver<bool>,
}

/// What one thread has done.
pub(super) struct Done {
    pub thread: usize,
    pub attempts: Attempts,
    pub sessions: Vec<Session>,
    pub doubled: Misbehaviour,
    pub differs: Misbehaviour,
    /// Of the waiting room, where there was one.
    pub left: Left,
    pub connections_opened: u64,
    pub cpu: Duration,
}

/// Runs on a thread of its own.
pub(super) fn run(work: Work) -> anyhow::Result<Done> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, generate(work))
}

async fn generate(work: Work) -> anyhow::Result<Done> {
    let cpu_before = thread_cpu()?;
    let Work { scenario, clock, share, mut stop, .. } = work;
    let limits = &scenario.limits;
    let part = |all: usize| work.of_machine.count(all).max(1);
    let chooser = Chooser::new(&scenario.skus, work.skus.len());
    let quantity = scenario.skus.quantity;
    let (close, closed) = watch::channel(false);
    let crowd = scenario.sale.as_ref().map(|plan| Crowd::new(work.sessions.len(), work.sale, plan.poll_ms));
    let floor = Rc::new(Floor {
        client: Client::new(work.target, part(limits.connections), scenario.timeout()),
        tally: Tally::new(clock, work.past),
        clock,
        attempts: Attempts::new(work.keeps_attempts),
        run: work.run,
        thread: work.thread,
        crowd,
        customers: work.sessions.into_iter().map(RefCell::new).collect(),
        goods: work.skus.into_iter().map(|wanted| Good { wanted, quantity }).collect(),
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
    let upkeep = [spawn_local(hand_over(floor.clone())), spawn_local(renew_sessions(floor.clone()))];
    let ticks = spawn_local(tick(floor.clone(), clock.at(0.0)));
    let asking = spawn_local(keep_asking(floor.clone()));
    let mut generator = Generator {
        floor: floor.clone(),
        clock,
        share,
        places: Arc::new(Semaphore::new(part(limits.in_flight))),
        timer: ExactTimer::new()?,
        shop_was_full_until: clock.at(0.0),
    };
    for (number, planned) in plan(&scenario.stages).into_iter().enumerate() {
        floor.stage.set(number);
        tokio::select! {
            staged = generator.stage(&planned) => staged?,
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    drop(generator);
    if *stop.borrow() {
        close.send_replace(true);
    }
    if let Some(crowd) = &floor.crowd {
        crowd.leaves();
    }
    asking.await??;
    // Everybody who is in the shop is served, or given up on by the deadline of each request.
    while Rc::strong_count(&floor) > 1 + upkeep.len() + 1 {
        tokio::time::sleep(TICK).await;
    }
    ticks.abort();
    let _ = ticks.await;
    for task in upkeep {
        task.abort();
        let _ = task.await;
    }
    let cpu = thread_cpu()?.saturating_sub(cpu_before);
    let floor = Rc::try_unwrap(floor).map_err(|_| anyhow::anyhow!("a visit is still under way"))?;
    floor.tally.end();
    Ok(Done {
        thread: floor.thread,
        attempts: floor.attempts,
        sessions: floor.customers.into_iter().map(RefCell::into_inner).collect(),
        doubled: floor.doubled.into_inner(),
        differs: floor.differs.into_inner(),
        left: floor.crowd.map(Crowd::into_left).unwrap_or_default(),
        connections_opened: floor.client.opened(),
        cpu,
    })
}

struct Generator {
    floor: Rc<Floor>,
    clock: Clock,
    share: Share,
    places: Arc<Semaphore>,
    timer: ExactTimer,
    /// Until then a visitor found no place: who is late because of that is late through the shop's doing.
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

    /// Everybody comes when they are due. Who finds no place waits for one, and that wait is the shop's doing.
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

    /// Begins a visit. Its lag, where it can only be the generator's, is taken when the visit really begins: those before
    /// it have their turn first.
    fn begin(&self, due: Instant, found_a_place: bool, place: OwnedSemaphorePermit) {
        let floor = self.floor.clone();
        spawn_local(async move {
            let lag = found_a_place.then(|| Instant::now().saturating_duration_since(due));
            if let Some(visitor) = floor.next_visitor() {
                floor.tally.visit(lag);
                floor.visit(visitor, due).await;
            }
            drop(place);
        });
    }

    /// Each worker comes again when it was served.
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
            let (floor, places) = (self.floor.clone(), self.places.clone());
            // Those beyond the first come evenly.
            let later =
                number.saturating_sub(at_once.saturating_sub(1)) as f64 / (workers - at_once + 1) as f64;
            let wait = (planned.to - planned.from) * later * 1e3;
            spawn_local(async move {
                if !floor.think(wait as u64).await {
                    return;
                }
                while Instant::now() < until {
                    // There are places for all workers; a visit of the stage before may still have one.
                    let Ok(place) = places.clone().acquire_owned().await else { return };
                    let visitor = floor.next_visitor();
                    let pause_ms = if visitor.is_some() { think_ms } else { think_ms.max(NOBODY_THERE_MS) };
                    if let Some(visitor) = visitor {
                        floor.tally.visit(None);
                        floor.visit(visitor, Instant::now()).await;
                    }
                    drop(place);
                    // Nobody thinks beyond the end of the stage.
                    let rest = until.saturating_duration_since(Instant::now()).as_millis();
                    if !floor.think(pause_ms.min(u64::try_from(rest).unwrap_or(u64::MAX))).await {
                        return;
                    }
                }
            });
        }
        Ok(())
    }
}

/// Looks at moments that have nothing to do with the shop whether the generator is on time. A shop that is slow does not
/// delay them; a generator that gets too little of the processor does, also when all its places are taken.
async fn tick(floor: Rc<Floor>, began: Instant) -> anyhow::Result<()> {
    let mut timer = ExactTimer::new()?;
    let mut moment = began;
    loop {
        timer.sleep_until(moment).await?;
        let now = Instant::now();
        floor.tally.tick(now.saturating_duration_since(moment));
        // What was slept through is one tick that came late, and every one that did not come.
        moment += TICK;
        while moment < now {
            floor.tally.tick(now.saturating_duration_since(moment));
            moment += TICK;
        }
    }
}

/// Hands seconds over in which nothing happens.
async fn hand_over(floor: Rc<Floor>) {
    loop {
        tokio::time::sleep(HAND_OVER_EVERY).await;
        floor.tally.turn_to(Instant::now());
    }
}

/// Renews sessions before they end.
async fn renew_sessions(floor: Rc<Floor>) {
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        let due = floor.customers.iter().filter(|customer| customer.borrow().is_due());
        stream::iter(due)
            .for_each_concurrent(RENEWALS_AT_ONCE, |customer| async {
                let mut session = customer.borrow().clone();
                if let Err(error) = session.renew(&floor.client).await {
                    tracing::warn!(%error, "a session could not be renewed");
                }
                customer.replace(session);
            })
            .await;
    }
}

fn thread_cpu() -> anyhow::Result<Duration> {
    Ok(Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?))
}
