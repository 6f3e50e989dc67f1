//! A shard: the entities of one arbiter, started when they are asked for and evicted when idle.

use std::cell::Cell;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::{
    Actor, Addr, AsyncContext, Context, Handler, MailboxError, Message, MessageResult, ResponseFuture,
};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::actor::{Answer, Decide, Durable, EntityActor, Generation, ReadSnapshot, VersionSeen};
use super::definition::{Entity, Recalled};
use super::{EntityError, Failure};
use crate::actors::runtime::{Journal, run_guarded, unbounded_context};

/// How often idle entities are evicted, the gauges of the most used ones are set, and changes from elsewhere are
/// looked for.
const TICK_EVERY: Duration = Duration::from_secs(5);
/// An entity that was asked this recently may have decisions on their way; it is never evicted to make room.
const BUSY_WITHIN: Duration = Duration::from_secs(10);
/// How long a record from the database is good for; well below the time for which states remember what has changed.
pub const RECALL_WITHIN: Duration = Duration::from_secs(5);
/// How many entities of a shard have gauges of their own: those that were asked most since the last tick.
const GAUGES_MAX: usize = 10;

/// Starts the actors of its keys, and hands them their commands.
pub struct EntityShard<E: Entity> {
    name: String,
    entity: E,
    journal: Journal<E::Book>,
    active_max: usize,
    idle_after: Duration,
    active: HashMap<E::Key, Active<E>>,
}

struct Active<E: Entity> {
    address: Addr<EntityActor<E>>,
    durable: Durable<E>,
    /// Stays when one actor follows another.
    generation: Generation,
    /// Questions that are not answered.
    waiting: Rc<Cell<u32>>,
    asked_at: Instant,
    asked_since_tick: u64,
}

impl<E: Entity> Active<E> {
    fn is_running(&self) -> bool {
        self.address.connected()
    }
}

/// Counts a question until it is answered or given up.
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

/// A command for one entity; the shard looks up the record that its actor does not remember.
pub(super) struct Execute<E: Entity> {
    pub key: E::Key,
    pub command: E::Command,
}

impl<E: Entity> Message for Execute<E> {
    type Result = Result<E::Reply, Failure<E>>;
}

/// Asks for the durable snapshot of one entity.
pub(super) struct Read<E: Entity> {
    pub key: E::Key,
}

impl<E: Entity> Message for Read<E> {
    type Result = Result<E::Snapshot, Failure<E>>;
}

/// Asks how busy entities are, in the order of the keys. Starts no actor.
pub(super) struct ReadLoads<E: Entity> {
    pub keys: Vec<E::Key>,
}

impl<E: Entity> Message for ReadLoads<E> {
    type Result = Vec<EntityLoad>;
}

/// How busy one entity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EntityLoad {
    /// Its actor runs and has its row: the next question is answered from memory.
    pub is_ready: bool,
    /// Questions that wait for its answer, those among them that wait for their commit.
    pub waiting: u32,
    /// How often its actor ended and another took over, since the entity was last evicted for being idle.
    pub restarts: u32,
}

impl<E: Entity> EntityShard<E> {
    /// `active_max` bounds the entities of this shard alone.
    pub fn new(
        index: usize,
        entity: E,
        journal: Journal<E::Book>,
        active_max: usize,
        idle_after: Duration,
    ) -> Self {
        Self { name: index.to_string(), entity, journal, active_max, idle_after, active: HashMap::new() }
    }

    /// The key's actor, the one that runs or a new one, and a guard that counts the question.
    fn activate(&mut self, key: &E::Key) -> Result<(Addr<EntityActor<E>>, Waiting), Failure<E>> {
        let now = Instant::now();
        let (generation, waiting) = match self.active.get_mut(key) {
            Some(active) if active.is_running() => {
                active.asked_at = now;
                active.asked_since_tick += 1;
                return Ok((active.address.clone(), Waiting::among(&active.waiting)));
            }
            Some(ended) => (ended.generation.clone(), ended.waiting.clone()),
            None => (Generation::default(), Rc::default()),
        };
        if !self.active.contains_key(key) && self.active.len() >= self.active_max {
            self.evict_idle(BUSY_WITHIN);
            if self.active.len() >= self.active_max {
                return Err(EntityError::Busy);
            }
        }
        let durable: Durable<E> = Rc::new(watch::Sender::new(None));
        let address = self.start_actor(key.clone(), durable.clone(), generation.clone());
        let question = Waiting::among(&waiting);
        let active = Active {
            address: address.clone(),
            durable,
            generation,
            waiting,
            asked_at: now,
            asked_since_tick: 1,
        };
        self.active.insert(key.clone(), active);
        Ok((address, question))
    }

    fn start_actor(&self, key: E::Key, durable: Durable<E>, generation: Generation) -> Addr<EntityActor<E>> {
        let (entity, journal) = (self.entity.clone(), self.journal.clone());
        let actor = EntityActor::new(key.clone(), entity, journal, durable, generation);
        let context = unbounded_context();
        let address = context.address();
        actix_rt::spawn(async move {
            if run_guarded(context, || actor).await {
                let entity = E::NAMES.entity;
                metrics::counter!("shobai_actor_restarts_total", "actor" => entity).increment(1);
                tracing::error!(entity, %key, "the actor of an entity panicked; the next question starts another");
            }
        });
        address
    }

    /// Drops the addresses of entities that were not asked for so long, which ends their actors, and the entries of
    /// ended actors that never found a row.
    fn evict_idle(&mut self, idle_after: Duration) {
        self.active.retain(|_, active| {
            (active.is_running() || active.generation.get() > 0) && active.asked_at.elapsed() < idle_after
        });
    }

    fn load(&self, key: &E::Key) -> EntityLoad {
        self.active.get(key).map_or_else(EntityLoad::default, |active| EntityLoad {
            is_ready: active.is_running() && active.durable.borrow().is_some(),
            waiting: active.waiting.get(),
            restarts: active.generation.get().saturating_sub(1),
        })
    }

    fn asked_since_tick(&self) -> impl Iterator<Item = (&E::Key, &Active<E>)> {
        self.active.iter().filter(|(_, active)| active.asked_since_tick > 0)
    }

    /// Tells the actors that were asked since the last tick at which versions their rows are.
    fn detect_external_changes(&self) {
        let asked: HashMap<E::Key, Addr<EntityActor<E>>> =
            self.asked_since_tick().map(|(key, active)| (key.clone(), active.address.clone())).collect();
        if asked.is_empty() {
            return;
        }
        let entity = self.entity.clone();
        actix_rt::spawn(async move {
            let keys: Vec<E::Key> = asked.keys().cloned().collect();
            match entity.list_versions(&keys).await {
                Ok(versions) => {
                    for (key, version) in versions {
                        if let Some(address) = asked.get(&key) {
                            address.do_send(VersionSeen { version });
                        }
                    }
                }
                Err(error) => {
                    let entity = E::NAMES.entity;
                    tracing::warn!(entity, %error, "rows could not be checked for changes from elsewhere");
                }
            }
        });
    }

    fn set_gauges(&self) {
        let mut asked: Vec<_> = self.asked_since_tick().collect();
        asked.sort_unstable_by_key(|(_, active)| std::cmp::Reverse(active.asked_since_tick));
        for (key, active) in asked.into_iter().take(GAUGES_MAX) {
            if let Some(snapshot) = &*active.durable.borrow() {
                E::set_gauges(key, snapshot);
            }
        }
    }

    fn tick(&mut self) {
        self.evict_idle(self.idle_after);
        self.set_gauges();
        self.detect_external_changes();
        for active in self.active.values_mut() {
            active.asked_since_tick = 0;
        }
        metrics::gauge!(E::NAMES.active_gauge, "shard" => self.name.clone()).set(self.active.len() as f64);
    }
}

impl<E: Entity> Actor for EntityShard<E> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(TICK_EVERY, |shard, _| shard.tick());
    }
}

impl<E: Entity> Handler<Execute<E>> for EntityShard<E> {
    type Result = ResponseFuture<Result<E::Reply, Failure<E>>>;

    fn handle(&mut self, Execute { key, command }: Execute<E>, _: &mut Self::Context) -> Self::Result {
        let (address, question) = match self.activate(&key) {
            Ok(active) => active,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let entity = self.entity.clone();
        Box::pin(async move {
            let _question = question;
            let again = command.clone();
            let answer = address.send(Decide { command, recalled: Recalled::NotAsked }).await;
            let id = match answered(&key, answer)? {
                Answer::Reply(reply) => return Ok(reply),
                Answer::Recall(id) => id,
            };
            let asked_at = Instant::now();
            let recalled = entity.find_record(&key, id).await?.map_or(Recalled::Absent, Recalled::Found);
            // After that time the actor may have forgotten what happened since the database was asked.
            if asked_at.elapsed() > RECALL_WITHIN {
                return Err(EntityError::Reloading(key));
            }
            match answered(&key, address.send(Decide { command: again, recalled }).await)? {
                Answer::Reply(reply) => Ok(reply),
                Answer::Recall(_) => Err(EntityError::Reloading(key)),
            }
        })
    }
}

impl<E: Entity> Handler<Read<E>> for EntityShard<E> {
    type Result = ResponseFuture<Result<E::Snapshot, Failure<E>>>;

    fn handle(&mut self, Read { key }: Read<E>, _: &mut Self::Context) -> Self::Result {
        match self.activate(&key) {
            Ok((address, question)) => Box::pin(async move {
                let _question = question;
                answered(&key, address.send(ReadSnapshot(PhantomData)).await)
            }),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

impl<E: Entity> Handler<ReadLoads<E>> for EntityShard<E> {
    type Result = MessageResult<ReadLoads<E>>;

    fn handle(&mut self, ReadLoads { keys }: ReadLoads<E>, _: &mut Self::Context) -> Self::Result {
        MessageResult(keys.iter().map(|key| self.load(key)).collect())
    }
}

/// The answer of an entity's actor, or that it ended before it could give one.
fn answered<K: Clone, T, R>(
    key: &K,
    answer: Result<Result<T, EntityError<K, R>>, MailboxError>,
) -> Result<T, EntityError<K, R>> {
    answer.unwrap_or_else(|_| Err(EntityError::Reloading(key.clone())))
}
