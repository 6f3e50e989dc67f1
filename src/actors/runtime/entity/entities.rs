//! All entities of one kind as their domain asks them: finds the shard of a key, and repeats a question to the next
//! actor when the one before had to end.

use std::sync::Arc;
use std::time::Duration;

use actix_rt::ArbiterHandle;

use super::definition::Entity;
use super::partition::partition_of;
use super::shard::{EntityLoad, EntityShard, Execute, Read, ReadLoads};
use super::{EntityError, Failure};
use crate::actors::runtime::{AskError, Handle, Host, Journal};

/// How often a question is put to an actor of the key, when each one before had to end.
const ATTEMPTS: usize = 4;

/// The bounds of one kind of entity.
#[derive(Debug, Clone, Copy)]
pub struct EntityLimits {
    /// Entities in memory, over all shards.
    pub active_max: usize,
    /// How long an entity stays in memory after the last question.
    pub idle_after: Duration,
}

/// Cheap to clone.
pub struct Entities<E: Entity> {
    pub(super) shards: Arc<[Shard<E>]>,
}

pub(super) struct Shard<E: Entity> {
    pub handle: Handle<EntityShard<E>>,
    pub journal: Journal<E::Book>,
}

impl<E: Entity> Clone for Entities<E> {
    fn clone(&self) -> Self {
        Self { shards: self.shards.clone() }
    }
}

impl<E: Entity> Entities<E> {
    /// Starts one shard with a journal lane of its own on each thread.
    pub fn start(
        host: &Host,
        threads: &[ArbiterHandle],
        entity: &E,
        book: impl Fn() -> E::Book,
        limits: EntityLimits,
    ) -> Self {
        let active_max = limits.active_max.div_ceil(threads.len().max(1));
        let shards = threads.iter().enumerate().map(|(index, thread)| {
            let journal = host.start_lane(E::NAMES.journal, index, thread, book());
            let (entity, lane) = (entity.clone(), journal.clone());
            let build =
                move || EntityShard::new(index, entity.clone(), lane.clone(), active_max, limits.idle_after);
            Shard { handle: host.supervise(E::NAMES.shard, thread, build), journal }
        });
        Self { shards: shards.collect() }
    }

    fn index_of(&self, key: &E::Key) -> usize {
        partition_of(E::partition_key(key).as_ref(), self.shards.len())
    }

    fn shard(&self, key: &E::Key) -> Result<&Handle<EntityShard<E>>, Failure<E>> {
        let shard = self.shards.get(self.index_of(key));
        shard.map(|shard| &shard.handle).ok_or_else(|| EntityError::Absent(key.clone()))
    }

    /// Gives the command to the key's actor, or to its successor when it had to end.
    pub async fn execute(&self, key: &E::Key, mut command: E::Command) -> Result<E::Reply, Failure<E>> {
        for _ in 1..ATTEMPTS {
            match self.execute_once(key, command.clone()).await {
                Err(error) if error.is_for_successor() => {}
                reply => return reply,
            }
            E::mark_repeated(&mut command);
        }
        self.execute_once(key, command).await
    }

    /// Gives the command to the actor that the key has now; for commands that must not simply be repeated.
    pub async fn execute_once(&self, key: &E::Key, command: E::Command) -> Result<E::Reply, Failure<E>> {
        self.shard(key)?.ask(Execute { key: key.clone(), command }).await?
    }

    /// The durable snapshot of a key.
    pub async fn read(&self, key: &E::Key) -> Result<E::Snapshot, Failure<E>> {
        let shard = self.shard(key)?;
        for _ in 1..ATTEMPTS {
            match shard.ask(Read { key: key.clone() }).await? {
                Err(error) if error.is_for_successor() => {}
                read => return read,
            }
        }
        shard.ask(Read { key: key.clone() }).await?
    }

    /// The same of a key whose row was just made: an actor that looked before the row was there stops, and the next one
    /// finds it.
    pub async fn read_new(&self, key: &E::Key) -> Result<E::Snapshot, Failure<E>> {
        for _ in 1..ATTEMPTS {
            match self.read(key).await {
                Err(EntityError::Absent(_)) => {}
                read => return read,
            }
        }
        self.read(key).await
    }

    /// How busy entities are, in the order of the keys; each shard is asked once, and no actor is started.
    pub async fn loads(&self, keys: &[E::Key]) -> Result<Vec<EntityLoad>, AskError> {
        let mut loads = vec![EntityLoad::default(); keys.len()];
        for (index, shard) in self.shards.iter().enumerate() {
            let is_here = |(_, key): &(usize, &E::Key)| self.index_of(key) == index;
            let (positions, here): (Vec<_>, Vec<_>) = keys
                .iter()
                .enumerate()
                .filter(is_here)
                .map(|(position, key)| (position, key.clone()))
                .unzip();
            if here.is_empty() {
                continue;
            }
            let read = shard.handle.ask(ReadLoads { keys: here }).await?;
            positions.into_iter().zip(read).for_each(|(position, load)| loads[position] = load);
        }
        Ok(loads)
    }

    /// The lanes of the shards.
    pub fn journals(&self) -> Vec<Journal<E::Book>> {
        self.shards.iter().map(|shard| shard.journal.clone()).collect()
    }

    /// Takes no further questions, and waits for the open ones of each shard at most as long as given.
    pub async fn drain(&self, within: Duration) {
        for shard in self.shards.iter() {
            shard.handle.drain(within).await;
        }
    }

    /// Waits until every decision is durable.
    pub async fn flush(&self) {
        for shard in self.shards.iter() {
            shard.journal.flush().await;
        }
    }
}
