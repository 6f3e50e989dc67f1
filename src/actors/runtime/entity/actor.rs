//! The actor of one key: decides in memory, hands the decision to the journal, answers when it is durable.
//!
//! A decision that is not durable yet is never shown: a reply, a refusal or a read that depends on it waits until it
//! is. When the journal cannot commit a decision, every later one is void too: the actor ends, and its successor loads
//! the row again.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture, WrapFuture,
};
use tokio::sync::watch;

use super::definition::{Decision, Entity, Recalled};
use super::{EntityError, Failure};
use crate::actors::runtime::{Journal, failpoint};

/// The snapshot as it is durable; `None` before the row is loaded and once the actor's state is void.
///
/// Shared, on one arbiter, by the actor, its pending answers, and its shard.
pub(super) type Durable<E> = Rc<watch::Sender<Option<<E as Entity>::Snapshot>>>;

/// Counts the actors of a key that have loaded its row, one after the other; shared as the snapshot is.
pub(super) type Generation = Rc<Cell<u32>>;

pub(super) struct EntityActor<E: Entity> {
    key: E::Key,
    entity: E,
    journal: Journal<E::Book>,
    durable: Durable<E>,
    generation: Generation,
    phase: Phase<E>,
}

enum Phase<E: Entity> {
    Loading,
    /// There was no row; each question so far is told so, and a later actor may find one.
    Absent,
    Active(E::State),
    /// The row could not be loaded, or the state is void.
    Void,
}

/// A command, with what was recalled from the database for it.
pub(super) struct Decide<E: Entity> {
    pub command: E::Command,
    pub recalled: Recalled<E::Record>,
}

impl<E: Entity> Message for Decide<E> {
    type Result = Result<Answer<E>, Failure<E>>;
}

pub(super) enum Answer<E: Entity> {
    Reply(E::Reply),
    /// Look the record up and ask again.
    Recall(E::RecordId),
}

/// Asks for the snapshot as it is durable.
pub(super) struct ReadSnapshot<E: Entity>(pub std::marker::PhantomData<fn() -> E>);

impl<E: Entity> Message for ReadSnapshot<E> {
    type Result = Result<E::Snapshot, Failure<E>>;
}

/// The row was seen at this version; a later one than the actor's own was not made by it.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct VersionSeen {
    pub version: i64,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

type Answered<E> = ResponseFuture<Result<Answer<E>, Failure<E>>>;

fn at_once<E: Entity>(answer: Result<Answer<E>, Failure<E>>) -> Answered<E> {
    Box::pin(std::future::ready(answer))
}

impl<E: Entity> EntityActor<E> {
    pub(super) fn new(
        key: E::Key,
        entity: E,
        journal: Journal<E::Book>,
        durable: Durable<E>,
        generation: Generation,
    ) -> Self {
        Self { key, entity, journal, durable, generation, phase: Phase::Loading }
    }

    fn state(&self) -> Result<&E::State, Failure<E>> {
        match &self.phase {
            // The durable snapshot is taken away as soon as one decision fails.
            Phase::Active(state) if self.durable.borrow().is_some() => Ok(state),
            Phase::Absent => Err(EntityError::Absent(self.key.clone())),
            Phase::Active(_) | Phase::Loading | Phase::Void => Err(EntityError::Reloading(self.key.clone())),
        }
    }

    /// Stops after the present reply when there was no row. Not before a question has come: the one for which this
    /// actor was started may arrive after the row was looked for.
    fn stop_if_absent(&self, ctx: &Context<Self>) {
        if matches!(self.phase, Phase::Absent) {
            ctx.address().do_send(Stop);
        }
    }

    /// Answers once every decision so far is durable.
    fn answer_when_durable(&self, answer: Result<Answer<E>, Failure<E>>) -> Answered<E> {
        let Phase::Active(state) = &self.phase else { return at_once(answer) };
        let version = E::version(&E::snapshot(state));
        let is_durable = move |durable: &Option<E::Snapshot>| {
            durable.as_ref().is_none_or(|snapshot| E::version(snapshot) >= version)
        };
        if is_durable(&self.durable.borrow()) {
            return at_once(answer);
        }
        let (key, mut durable) = (self.key.clone(), self.durable.subscribe());
        Box::pin(async move {
            match durable.wait_for(is_durable).await {
                Ok(snapshot) if snapshot.is_some() => answer,
                _ => Err(EntityError::Reloading(key)),
            }
        })
    }

    /// Applies the change in memory, and replies when the journal has made it durable.
    fn commit(&mut self, change: E::Change, reply: E::Reply, ctx: &mut Context<Self>) -> Answered<E> {
        let Phase::Active(state) = &mut self.phase else {
            return at_once(Err(EntityError::Reloading(self.key.clone())));
        };
        let Some(slot) = self.journal.slot() else { return at_once(Err(EntityError::Busy)) };
        let version = E::version(&E::snapshot(state));
        E::apply(state, &change, Instant::now());
        let promised = E::snapshot(state);
        let committed = slot.enter(E::entry(self.key.clone(), version, change));

        let (key, durable, actor) = (self.key.clone(), self.durable.clone(), ctx.address());
        Box::pin(async move {
            let Err(error) = committed.await else {
                durable.send_if_modified(|durable| match durable {
                    Some(snapshot) if E::version(snapshot) < E::version(&promised) => {
                        *snapshot = promised;
                        true
                    }
                    _ => false,
                });
                return Ok(Answer::Reply(reply));
            };
            durable.send_replace(None);
            actor.do_send(Stop);
            Err(EntityError::from_commit(key, error, E::is_stale))
        })
    }

    fn stop(&mut self, ctx: &mut Context<Self>) {
        self.phase = Phase::Void;
        ctx.stop();
    }
}

impl<E: Entity> Actor for EntityActor<E> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (entity, key) = (self.entity.clone(), self.key.clone());
        let load = async move { entity.load(&key).await };
        // No message is handled before the row is loaded.
        ctx.wait(load.into_actor(self).map(|loaded, actor, ctx| match loaded {
            Ok(Some(state)) => {
                actor.generation.update(|generation| generation.saturating_add(1));
                actor.durable.send_replace(Some(E::snapshot(&state)));
                actor.phase = Phase::Active(state);
            }
            Ok(None) => actor.phase = Phase::Absent,
            Err(error) => {
                tracing::warn!(entity = E::NAMES.entity, key = %actor.key, %error, "an entity could not be loaded");
                actor.stop(ctx);
            }
        }));
    }
}

impl<E: Entity> Handler<Decide<E>> for EntityActor<E> {
    type Result = Answered<E>;

    fn handle(&mut self, Decide { command, recalled }: Decide<E>, ctx: &mut Self::Context) -> Self::Result {
        failpoint::hit(E::NAMES.entity, &self.key);
        self.stop_if_absent(ctx);
        let decided =
            self.state().and_then(|state| E::decide(state, &command, recalled).map_err(EntityError::Refused));
        match decided {
            Ok(Decision::Change(change, reply)) => self.commit(change, reply, ctx),
            Ok(Decision::Unchanged(reply)) => self.answer_when_durable(Ok(Answer::Reply(reply))),
            Ok(Decision::Recall(id)) => at_once(Ok(Answer::Recall(id))),
            Err(refusal) => self.answer_when_durable(Err(refusal)),
        }
    }
}

impl<E: Entity> Handler<ReadSnapshot<E>> for EntityActor<E> {
    type Result = Result<E::Snapshot, Failure<E>>;

    fn handle(&mut self, _: ReadSnapshot<E>, ctx: &mut Self::Context) -> Self::Result {
        self.stop_if_absent(ctx);
        self.state()?;
        let durable = *self.durable.borrow();
        durable.ok_or_else(|| EntityError::Reloading(self.key.clone()))
    }
}

impl<E: Entity> Handler<VersionSeen> for EntityActor<E> {
    type Result = ();

    /// A refusal never reaches the version match of the journal, so changes from elsewhere are looked for as well.
    fn handle(&mut self, VersionSeen { version }: VersionSeen, ctx: &mut Self::Context) {
        let Phase::Active(state) = &self.phase else { return };
        if version > E::version(&E::snapshot(state)) {
            tracing::info!(
                entity = E::NAMES.entity, key = %self.key, version,
                "the row was changed by something else; it is loaded again"
            );
            self.durable.send_replace(None);
            self.stop(ctx);
        }
    }
}

impl<E: Entity> Handler<Stop> for EntityActor<E> {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        self.stop(ctx);
    }
}
