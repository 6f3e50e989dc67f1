//! A shard: the SKU actors of one arbiter, started when they are asked for and let go when idle.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::{
    Actor, Addr, AsyncContext, Context, Handler, MailboxError, Message, MessageResult, ResponseFuture,
};
use tokio::sync::watch;

use super::book::StockBook;
use super::error::InventoryError;
use super::messages::SkuLoad;
use super::model::{Command, Figures, Hold, Recalled};
use super::sku::{Decide, Lives, Read, Seen, Settled, SkuActor, Told};
use super::store::InventoryStore;
use crate::actors::runtime::{Journal, run_guarded, unbounded_context};
use crate::types::Sku;

/// How often idle SKUs are let go, the gauges of hot ones are set, and changes by hand are looked for.
const ROUND_EVERY: Duration = Duration::from_secs(5);
/// A SKU that was asked this recently may have decisions on their way; it is never let go to make room.
const BUSY_WITHIN: Duration = Duration::from_secs(10);
/// How long a look into the database is good for; well below the time for which actors remember what has ended.
const RECALL_WITHIN: Duration = Duration::from_secs(5);
/// How many SKUs of a shard have gauges of their own: those that were asked most in the last round.
const HOT_SKUS: usize = 10;

/// Starts the actors of its SKUs, and hands them their commands.
pub struct ShardActor {
    name: String,
    store: InventoryStore,
    journal: Journal<StockBook>,
    skus_max: usize,
    idle_after: Duration,
    skus: HashMap<Sku, Active>,
}

struct Active {
    address: Addr<SkuActor>,
    settled: Settled,
    /// Stays when one actor follows another.
    lives: Lives,
    /// Questions that are not answered.
    waiting: Rc<Cell<u32>>,
    asked_at: Instant,
    asked_in_round: u64,
}

/// Counts a question until its answer is on its way, or lost.
struct Waiting(Rc<Cell<u32>>);

impl Waiting {
    fn among(waiting: &Rc<Cell<u32>>) -> Self {
        waiting.update(|count| count.saturating_add(1));
        Self(waiting.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.update(|count| count.saturating_sub(1));
    }
}

/// A command for the actor of one SKU, with a look into the database where the actor needs one.
#[derive(Debug, Message)]
#[rtype(result = "Result<Instructed, InventoryError>")]
pub struct Instruct {
    pub sku: Sku,
    pub command: Command,
}

/// What became of it.
#[derive(Debug, Clone, Copy)]
pub enum Instructed {
    /// It is so by this command, or it was so already.
    Hold {
        hold: Hold,
        already: bool,
    },
    Done,
}

/// The durable figures of one SKU.
#[derive(Debug, Message)]
#[rtype(result = "Result<Figures, InventoryError>")]
pub(super) struct ReadSku {
    pub sku: Sku,
}

/// What the actors of SKUs have to do, in the order asked.
#[derive(Debug, Message)]
#[rtype(result = "Vec<SkuLoad>")]
pub(super) struct ReadLoads {
    pub skus: Vec<Sku>,
}

impl ShardActor {
    pub fn new(
        index: usize,
        store: InventoryStore,
        journal: Journal<StockBook>,
        skus_max: usize,
        idle_after: Duration,
    ) -> Self {
        Self { name: index.to_string(), store, journal, skus_max, idle_after, skus: HashMap::new() }
    }

    /// The SKU's actor, the one that runs or a new one, and a place among those who wait for its answer.
    fn active(&mut self, sku: &Sku) -> Result<(Addr<SkuActor>, Waiting), InventoryError> {
        let now = Instant::now();
        let (lives, waiting) = match self.skus.get_mut(sku) {
            Some(active) if active.address.connected() => {
                active.asked_at = now;
                active.asked_in_round += 1;
                return Ok((active.address.clone(), Waiting::among(&active.waiting)));
            }
            Some(ended) => (ended.lives.clone(), ended.waiting.clone()),
            None => (Lives::default(), Rc::default()),
        };
        if !self.skus.contains_key(sku) && self.skus.len() >= self.skus_max {
            self.let_go_idle(BUSY_WITHIN);
            if self.skus.len() >= self.skus_max {
                return Err(InventoryError::Busy);
            }
        }
        let settled: Settled = Rc::new(watch::Sender::new(None));
        let (store, journal) = (self.store.clone(), self.journal.clone());
        let actor = SkuActor::new(sku.clone(), store, journal, settled.clone(), lives.clone());
        let context = unbounded_context();
        let address = context.address();
        let name = sku.clone();
        actix_rt::spawn(async move {
            if run_guarded(context, || actor).await {
                metrics::counter!("shobai_actor_restarts_total", "actor" => "sku").increment(1);
                tracing::error!(sku = %name, "the actor of a sku panicked; the next question starts another");
            }
        });
        let place = Waiting::among(&waiting);
        let active =
            Active { address: address.clone(), settled, lives, waiting, asked_at: now, asked_in_round: 1 };
        self.skus.insert(sku.clone(), active);
        Ok((address, place))
    }

    /// Drops the addresses of those that nobody asked for a while, which ends them, and those of SKUs that there are not.
    fn let_go_idle(&mut self, idle_after: Duration) {
        self.skus.retain(|_, active| {
            (active.address.connected() || active.lives.get() > 0) && active.asked_at.elapsed() < idle_after
        });
    }

    fn load(&self, sku: &Sku) -> SkuLoad {
        self.skus.get(sku).map_or_else(SkuLoad::default, |active| SkuLoad {
            is_ready: active.address.connected() && active.settled.borrow().is_some(),
            waiting: active.waiting.get(),
            restarts: active.lives.get().saturating_sub(1),
        })
    }

    /// Tells the SKUs that were asked in this round at which versions their rows are.
    fn look_for_changes_by_hand(&self) {
        let asked = self.skus.iter().filter(|(_, active)| active.asked_in_round > 0);
        let asked: HashMap<Sku, Addr<SkuActor>> =
            asked.map(|(sku, active)| (sku.clone(), active.address.clone())).collect();
        if asked.is_empty() {
            return;
        }
        let store = self.store.clone();
        actix_rt::spawn(async move {
            let skus: Vec<Sku> = asked.keys().cloned().collect();
            match store.list_versions(&skus).await {
                Ok(versions) => {
                    for (sku, version) in versions {
                        if let Some(address) = asked.get(&sku) {
                            address.do_send(Seen { version });
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "changes by hand could not be looked for"),
            }
        });
    }

    fn round(&mut self) {
        self.let_go_idle(self.idle_after);
        let mut asked: Vec<_> = self.skus.iter().filter(|(_, active)| active.asked_in_round > 0).collect();
        asked.sort_unstable_by_key(|(_, active)| std::cmp::Reverse(active.asked_in_round));
        for (sku, active) in asked.into_iter().take(HOT_SKUS) {
            let Some(Figures { stock, .. }) = *active.settled.borrow() else { continue };
            let gauge = |name: &'static str| metrics::gauge!(name, "sku" => sku.to_string());
            gauge("shobai_stock_on_hand_pieces").set(stock.on_hand as f64);
            gauge("shobai_stock_reserved_pieces").set(stock.reserved as f64);
            gauge("shobai_stock_allotted_pieces").set(stock.allotted as f64);
            gauge("shobai_stock_available_pieces").set(stock.available() as f64);
        }
        self.look_for_changes_by_hand();
        for active in self.skus.values_mut() {
            active.asked_in_round = 0;
        }
        metrics::gauge!("shobai_inventory_active_skus", "shard" => self.name.clone())
            .set(self.skus.len() as f64);
    }
}

impl Actor for ShardActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(ROUND_EVERY, |actor, _| actor.round());
    }
}

impl Handler<Instruct> for ShardActor {
    type Result = ResponseFuture<Result<Instructed, InventoryError>>;

    fn handle(&mut self, Instruct { sku, command }: Instruct, _: &mut Self::Context) -> Self::Result {
        let (address, waiting) = match self.active(&sku) {
            Ok(active) => active,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let store = self.store.clone();
        Box::pin(async move {
            let _waiting = waiting;
            let again = command.clone();
            let told = address.send(Decide { command, recalled: Recalled::NotAsked });
            let told = match answered(&sku, told.await)? {
                Told::Recall(id) => {
                    let asked = Instant::now();
                    let recalled = store.find_hold(id, &sku).await?.map_or(Recalled::Absent, Recalled::Found);
                    // By then the actor may have forgotten what happened since the database was asked.
                    if asked.elapsed() > RECALL_WITHIN {
                        return Err(InventoryError::Reloading(sku));
                    }
                    answered(&sku, address.send(Decide { command: again, recalled }).await)?
                }
                told => told,
            };
            match told {
                Told::Hold { hold, already } => Ok(Instructed::Hold { hold, already }),
                Told::Stock | Told::Nothing => Ok(Instructed::Done),
                Told::Recall(_) => Err(InventoryError::Reloading(sku)),
            }
        })
    }
}

impl Handler<ReadSku> for ShardActor {
    type Result = ResponseFuture<Result<Figures, InventoryError>>;

    fn handle(&mut self, ReadSku { sku }: ReadSku, _: &mut Self::Context) -> Self::Result {
        match self.active(&sku) {
            Ok((address, waiting)) => Box::pin(async move {
                let _waiting = waiting;
                answered(&sku, address.send(Read).await)
            }),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

impl Handler<ReadLoads> for ShardActor {
    type Result = MessageResult<ReadLoads>;

    fn handle(&mut self, ReadLoads { skus }: ReadLoads, _: &mut Self::Context) -> Self::Result {
        MessageResult(skus.iter().map(|sku| self.load(sku)).collect())
    }
}

/// The answer of a SKU's actor, or that it ended before it could give one.
fn answered<T>(
    sku: &Sku,
    answer: Result<Result<T, InventoryError>, MailboxError>,
) -> Result<T, InventoryError> {
    answer.unwrap_or_else(|_| Err(InventoryError::Reloading(sku.clone())))
}
