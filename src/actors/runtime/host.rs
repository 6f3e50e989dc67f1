//! What a domain is started with: the database, the bounds of its questions and journals, and threads to run on.

use std::future::Future;
use std::time::Duration;

use actix::{Actor, Context, Message};
use actix_rt::{Arbiter, ArbiterHandle};

use super::handle::{AskLimits, Handle};
use super::journal::{Book, Journal, JournalLimits, Lane};
use super::port::Port;
use super::supervisor::supervise;
use crate::storage::Database;

/// A running domain.
pub trait Domain {
    /// Takes no further questions and waits until the open ones are answered, or until `within` has passed.
    fn drain(&self, within: Duration) -> impl Future<Output = ()>;

    /// Waits until everything that was decided is durable.
    fn flush(&self) -> impl Future<Output = ()> {
        std::future::ready(())
    }
}

/// Whether the metrics of a host's threads are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figures {
    Kept,
    /// Of a shop that is not real.
    Dropped,
}

/// Starts actors and journal lanes, and owns the threads that they run on.
pub struct Host {
    database: Database,
    asks: AskLimits,
    journal: JournalLimits,
    figures: Figures,
    coordinators: ArbiterHandle,
    threads: Vec<Arbiter>,
}

impl Host {
    pub fn new(database: Database, asks: AskLimits, journal: JournalLimits, figures: Figures) -> Self {
        let coordinators = start_thread(figures);
        Self {
            database,
            asks,
            journal,
            figures,
            coordinators: coordinators.handle(),
            threads: vec![coordinators],
        }
    }

    pub fn database(&self) -> Database {
        self.database.clone()
    }

    /// The thread that the domains' own actors share, so that a question between them does not cross threads.
    pub fn coordinators(&self) -> ArbiterHandle {
        self.coordinators.clone()
    }

    /// Starts another thread for actors; it ends with the host.
    pub fn start_thread(&mut self) -> ArbiterHandle {
        let thread = start_thread(self.figures);
        let handle = thread.handle();
        self.threads.push(thread);
        handle
    }

    /// Runs the actor that `build` makes on a thread, and builds it again whenever it ends.
    pub fn supervise<A, F>(&self, name: &'static str, thread: &ArbiterHandle, build: F) -> Handle<A>
    where
        A: Actor<Context = Context<A>>,
        F: Fn() -> A + Send + 'static,
    {
        supervise(name, thread, self.asks, build)
    }

    /// Starts a lane of a journal on a thread.
    pub fn start_lane<B: Book>(
        &self,
        name: &'static str,
        lane: usize,
        thread: &ArbiterHandle,
        book: B,
    ) -> Journal<B> {
        Lane::start(name, lane, thread, self.database.clone(), self.journal, book)
    }

    /// Ends all threads at once, with whatever is not done.
    pub async fn stop(self) {
        for thread in self.threads {
            thread.stop();
            // Another thread waits for the end, so that this thread's own work goes on.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

/// Answers, without asking an actor, how long the oldest entry of any of the lanes has been waiting to be durable.
pub fn lag_port<B, M, E>(lanes: &[Journal<B>]) -> Port<M>
where
    B: Book,
    M: Message<Result = Result<Duration, E>>,
    E: Send + 'static,
{
    let lanes = lanes.to_vec();
    Port::new(move |_| {
        let lag = lanes.iter().map(Journal::lag).max().unwrap_or_default();
        Box::pin(std::future::ready(Ok(lag)))
    })
}

fn start_thread(figures: Figures) -> Arbiter {
    let arbiter = Arbiter::new();
    if figures == Figures::Dropped {
        // Before anything else on that thread, and until it ends.
        arbiter.spawn_fn(|| std::mem::forget(metrics::set_default_local_recorder(&metrics::NoopRecorder)));
    }
    arbiter
}
