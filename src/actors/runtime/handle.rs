//! How an actor is asked: with a bound on open questions, a deadline, and an address that survives restarts.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::{MessageResponse, ToEnvelope};
use actix::{Actor, Addr, Handler, MailboxError, Message};
use metrics::Counter;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout_at};

use super::port::Port;
use crate::error::{Fault, Kind};

/// How long a panicking actor may take from the question that failed to its end.
const UNWINDS_WITHIN: Duration = Duration::from_millis(100);

/// The bounds of a handle.
#[derive(Debug, Clone, Copy)]
pub struct AskLimits {
    /// Questions that may be open at the same time.
    pub asks_max: usize,
    /// How long a caller waits for the answer.
    pub answer_within: Duration,
}

/// Why the actor did not answer a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum AskError {
    #[error("{0} has too many open questions")]
    Busy(Cow<'static, str>),
    #[error("{0} did not answer in time")]
    Late(Cow<'static, str>),
    #[error("{0} went away before it answered")]
    Gone(Cow<'static, str>),
}

impl Fault for AskError {
    fn kind(&self) -> Kind {
        match self {
            AskError::Busy(_) => Kind::Busy,
            AskError::Late(_) => Kind::Late,
            AskError::Gone(_) => Kind::Unavailable,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            AskError::Busy(_) => "busy",
            AskError::Late(_) => "late",
            AskError::Gone(_) => "unavailable",
        }
    }
}

struct Counters {
    asks: Counter,
    busy: Counter,
    late: Counter,
    gone: Counter,
}

/// A supervised actor as its callers see it.
pub struct Handle<A: Actor> {
    name: &'static str,
    address: watch::Receiver<Option<Addr<A>>>,
    slots: Arc<Semaphore>,
    limits: AskLimits,
    counters: Arc<Counters>,
}

impl<A: Actor> Clone for Handle<A> {
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            address: self.address.clone(),
            slots: self.slots.clone(),
            limits: self.limits,
            counters: self.counters.clone(),
        }
    }
}

impl<A: Actor> Handle<A> {
    pub(super) fn new(
        name: &'static str,
        address: watch::Receiver<Option<Addr<A>>>,
        limits: AskLimits,
    ) -> Self {
        let failed = |outcome| metrics::counter!("shobai_actor_ask_failures_total", "actor" => name, "outcome" => outcome);
        let counters = Counters {
            asks: metrics::counter!("shobai_actor_asks_total", "actor" => name),
            busy: failed("busy"),
            late: failed("late"),
            gone: failed("gone"),
        };
        let slots = Arc::new(Semaphore::new(limits.asks_max));
        Self { name, address, slots, limits, counters: Arc::new(counters) }
    }

    /// The same actor with another deadline for its answers.
    pub fn within(&self, answer_within: Duration) -> Self {
        Self { limits: AskLimits { answer_within, ..self.limits }, ..self.clone() }
    }

    /// The same actor with slots of its own: a question through this handle is not refused because others wait.
    pub fn apart(&self, asks_max: usize) -> Self {
        let limits = AskLimits { asks_max, ..self.limits };
        Self { limits, slots: Arc::new(Semaphore::new(asks_max)), ..self.clone() }
    }

    /// Asks and waits for the answer, at most until the deadline.
    ///
    /// A question keeps its slot until the actor is done with it, also when the caller has given up, so that the slots
    /// bound what waits in the mailbox.
    pub async fn ask<M>(&self, message: M) -> Result<M::Result, AskError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
        <A as Handler<M>>::Result: MessageResponse<A, M>,
    {
        let deadline = Instant::now() + self.limits.answer_within;
        self.counters.asks.increment(1);
        let Ok(slot) = self.slots.clone().try_acquire_owned() else {
            self.counters.busy.increment(1);
            return Err(AskError::Busy(self.name.into()));
        };
        let Some(address) = self.address_before(deadline).await else {
            self.counters.gone.increment(1);
            return Err(AskError::Gone(self.name.into()));
        };
        let mut asked = Asked { request: Some(Box::pin(address.send(message))), slot: Some(slot) };
        match timeout_at(deadline, asked.answer()).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => {
                // The caller hears of it after the actor has ended, so that a repeated question reaches the next one.
                // (The actor goes on if only the pending answer panicked.)
                let mut current = self.address.clone();
                let ended = current.wait_for(|current| current.as_ref() != Some(&address));
                let _ = timeout_at(deadline.min(Instant::now() + UNWINDS_WITHIN), ended).await;
                self.counters.gone.increment(1);
                Err(AskError::Gone(self.name.into()))
            }
            Err(_) => {
                self.counters.late.increment(1);
                Err(AskError::Late(self.name.into()))
            }
        }
    }

    /// The same question as a [`Port`], for a domain that must not know which actor answers it.
    pub fn port<M, T, E>(&self) -> Port<M>
    where
        M: Message<Result = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<AskError> + Send + 'static,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
        <A as Handler<M>>::Result: MessageResponse<A, M>,
    {
        let handle = self.clone();
        Port::new(move |message| {
            let handle = handle.clone();
            Box::pin(async move { handle.ask(message).await? })
        })
    }

    /// Takes no further questions and waits until the open ones are answered, or until `within` has passed.
    pub async fn drain(&self, within: Duration) {
        let all = u32::try_from(self.limits.asks_max).unwrap_or(u32::MAX);
        if tokio::time::timeout(within, self.slots.acquire_many(all)).await.is_err() {
            tracing::warn!(actor = self.name, "stopped with questions still open");
        }
        self.slots.close();
    }

    /// The address of the running actor; waits for the next one while it is being built.
    async fn address_before(&self, deadline: Instant) -> Option<Addr<A>> {
        let is_running = |address: &Option<Addr<A>>| address.as_ref().is_some_and(Addr::connected);
        {
            let address = self.address.borrow();
            if is_running(&address) {
                return address.clone();
            }
        }
        let mut address = self.address.clone();
        let found = timeout_at(deadline, address.wait_for(is_running)).await.ok()?.ok()?;
        found.clone()
    }
}

/// A question that waits for its answer, with the slot that it occupies.
struct Asked<A, M>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    request: Option<Pin<Box<actix::prelude::Request<A, M>>>>,
    slot: Option<OwnedSemaphorePermit>,
}

impl<A, M> Asked<A, M>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    async fn answer(&mut self) -> Result<M::Result, MailboxError> {
        let Some(request) = self.request.as_mut() else { return Err(MailboxError::Closed) };
        let answer = request.await;
        self.request = None;
        answer
    }
}

impl<A, M> Drop for Asked<A, M>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn drop(&mut self) {
        // The caller gave up: a task of its own keeps the slot until the actor is done with the question.
        if let (Some(request), Some(slot)) = (self.request.take(), self.slot.take())
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move {
                let _ = request.await;
                drop(slot);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use actix::{Context, ResponseFuture};
    use actix_rt::Arbiter;

    use super::*;
    use crate::actors::runtime::supervise;

    struct Waiter;

    impl Actor for Waiter {
        type Context = Context<Self>;
    }

    #[derive(Message)]
    #[rtype(result = "()")]
    struct WaitFor(Arc<Semaphore>);

    impl Handler<WaitFor> for Waiter {
        type Result = ResponseFuture<()>;

        fn handle(&mut self, WaitFor(permits): WaitFor, _: &mut Context<Self>) -> Self::Result {
            Box::pin(async move { drop(permits.acquire().await) })
        }
    }

    #[actix_rt::test]
    async fn a_handle_apart_answers_while_all_other_slots_are_taken() {
        let limits = AskLimits { asks_max: 1, answer_within: Duration::from_secs(30) };
        let handle = supervise("waiter", &Arbiter::current(), limits, || Waiter);
        let (apart, permits) = (handle.apart(1), Arc::new(Semaphore::new(0)));
        let (asker, message) = (handle.clone(), WaitFor(permits.clone()));
        let first = actix_rt::spawn(async move { asker.ask(message).await });
        while handle.slots.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(handle.ask(WaitFor(permits.clone())).await, Err(AskError::Busy(_))));
        assert_eq!(apart.ask(WaitFor(Arc::new(Semaphore::new(1)))).await, Ok(()));
        permits.add_permits(1);
        assert_eq!(first.await.unwrap(), Ok(()));
    }
}
