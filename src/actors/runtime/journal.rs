//! The journal: group commit of decisions of many actors, in one statement, before any of them is answered.
//!
//! A lane takes the entries that have gathered while its previous commit was in flight; it has no timer, so that a lone
//! caller waits for one commit and a thousand callers share one. A [`Book`] says what is written. When it cannot be
//! known whether a commit happened (the connection broke around it), every entry in it is answered with
//! [`CommitError::Unknown`].

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix_rt::ArbiterHandle;
use futures_util::FutureExt;
use metrics::{Counter, Gauge, Histogram};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::storage::{Connection, Database, StorageError};

const BACK_OFF_FIRST: Duration = Duration::from_millis(50);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

/// What a journal writes, and how.
pub trait Book: Send + Sync + 'static {
    type Entry: Send + Sync + 'static;
    /// Why one entry was kept out while its neighbours were committed.
    type Refusal: fmt::Debug + Send + 'static;

    /// Writes the batch in one round trip; either all of it is rolled back or the answer says, entry by entry, what
    /// is in and what was kept out.
    fn write(
        &self,
        connection: &Connection,
        batch: &[Self::Entry],
    ) -> impl Future<Output = Result<Vec<Result<(), Self::Refusal>>, StorageError>> + Send;

    /// Whether `next` may share a statement with `batch`; if not, it begins the following one.
    fn may_join(&self, batch: &[Self::Entry], next: &Self::Entry) -> bool {
        let _ = (batch, next);
        true
    }

    /// The refusal for an entry that, written alone, ran against a constraint.
    fn refusal(&self, entry: &Self::Entry, constraint: &str) -> Self::Refusal;
}

/// The bounds of a lane.
#[derive(Debug, Clone, Copy)]
pub struct JournalLimits {
    /// Entries that may wait.
    pub queue_max: usize,
    /// Entries in one commit.
    pub batch_max: usize,
    /// How long an entry may wait for its commit to begin, and how long the commit may then take before its outcome
    /// counts as unknown.
    pub commit_within: Duration,
}

/// Why an entry is not, or not surely, durable.
#[derive(Debug, thiserror::Error)]
pub enum CommitError<R: fmt::Debug> {
    /// Kept out by the database; its neighbours are in.
    #[error("the entry was refused: {0:?}")]
    Refused(R),
    /// May have been committed.
    #[error("the outcome of the commit is not known")]
    Unknown,
    /// Not committed: the database could not be reached.
    #[error("the database cannot be reached")]
    Unreachable,
    /// Not committed: the entry waited too long.
    #[error("the entry waited too long for its commit")]
    Late,
    /// Not committed: the database reported a defect of the statement or of itself.
    #[error("the commit failed: {0}")]
    Broken(String),
}

type Answer<B> = oneshot::Sender<Result<(), CommitError<<B as Book>::Refusal>>>;
/// The caller that waits for an entry of the present batch, with the entry's slot.
type Caller<B> = (Answer<B>, OwnedSemaphorePermit);

struct Pending<B: Book> {
    entry: B::Entry,
    entered_at: Instant,
    answer: Answer<B>,
    /// Returned when the entry is answered, or dropped by a lane that panicked.
    slot: OwnedSemaphorePermit,
}

/// Where entries are handed in; cheap to clone.
pub struct Journal<B: Book> {
    /// Bounded by the slots.
    queue: mpsc::UnboundedSender<Pending<B>>,
    slots: Arc<Semaphore>,
    slots_max: usize,
    oldest: Arc<Oldest>,
}

impl<B: Book> Clone for Journal<B> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            slots: self.slots.clone(),
            slots_max: self.slots_max,
            oldest: self.oldest.clone(),
        }
    }
}

/// Since when the oldest entry of the present batch waits; set once for each batch.
struct Oldest {
    began: Instant,
    /// Microseconds since it began; 0 while there is none.
    since: AtomicU64,
}

impl Oldest {
    fn none() -> Self {
        Self { began: Instant::now(), since: AtomicU64::new(0) }
    }

    fn is(&self, entered_at: Instant) {
        let micros = entered_at.duration_since(self.began).as_micros();
        self.since.store(u64::try_from(micros).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
    }

    fn is_answered(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    fn waits(&self) -> Duration {
        match self.since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => self.began.elapsed().saturating_sub(Duration::from_micros(since)),
        }
    }
}

impl<B: Book> Journal<B> {
    /// A slot in the queue; `None` when the queue is full. Take the slot first, then decide: a decision that was made
    /// must be entered, and entries are committed in the order in which they were entered.
    pub fn slot(&self) -> Option<Slot<'_, B>> {
        let permit = self.slots.clone().try_acquire_owned().ok()?;
        Some(Slot { queue: &self.queue, permit })
    }

    /// How long the oldest entry has been waiting to be durable; while the lane is connecting, for how long it has
    /// been.
    pub fn lag(&self) -> Duration {
        let is_empty = self.slots.available_permits() == self.slots_max;
        if is_empty { Duration::ZERO } else { self.oldest.waits() }
    }

    /// Waits until everything that was entered has been answered.
    pub async fn flush(&self) {
        let all = u32::try_from(self.slots_max).unwrap_or(u32::MAX);
        let _ = self.slots.acquire_many(all).await;
    }
}

#[cfg(test)]
impl<B: Book> Journal<B> {
    /// A journal without a database: a function on this thread commits its entries, one after the other.
    pub(super) fn committed_by(
        mut commit: impl FnMut(&B::Entry) -> Result<(), CommitError<B::Refusal>> + 'static,
    ) -> Self {
        let slots_max = 1_000;
        let (queue, mut entries) = mpsc::unbounded_channel::<Pending<B>>();
        actix_rt::spawn(async move {
            while let Some(Pending { entry, answer, slot: _slot, .. }) = entries.recv().await {
                let _ = answer.send(commit(&entry));
            }
        });
        let slots = Arc::new(Semaphore::new(slots_max));
        Self { queue, slots, slots_max, oldest: Arc::new(Oldest::none()) }
    }
}

/// A free slot in the queue; it stays taken until its entry is answered.
pub struct Slot<'a, B: Book> {
    queue: &'a mpsc::UnboundedSender<Pending<B>>,
    permit: OwnedSemaphorePermit,
}

impl<B: Book> Slot<'_, B> {
    /// Enters the entry; the future resolves when it is durable, or with the reason why it is not or may not be.
    pub fn enter(
        self,
        entry: B::Entry,
    ) -> impl Future<Output = Result<(), CommitError<B::Refusal>>> + Send + use<B> {
        let (answer, outcome) = oneshot::channel();
        // A lane ends with its arbiter only, and then the answer is dropped with the entry.
        let _ = self.queue.send(Pending { entry, entered_at: Instant::now(), answer, slot: self.permit });
        // A lane that panicked with the entry in its batch cannot tell whether it was committed.
        async move { outcome.await.unwrap_or(Err(CommitError::Unknown)) }
    }
}

/// One connection that commits one batch after the other.
pub struct Lane<B: Book> {
    book: B,
    database: Database,
    limits: JournalLimits,
    meters: Meters,
    slots: Arc<Semaphore>,
    oldest: Arc<Oldest>,
    /// Taken from the queue and not yet committed.
    waiting: VecDeque<Pending<B>>,
}

struct Meters {
    batch: Histogram,
    seconds: Histogram,
    depth: Gauge,
    unknown: Counter,
    refused: Counter,
    restarts: Counter,
}

impl Meters {
    fn of(name: &'static str, lane: usize) -> Self {
        Self {
            batch: metrics::histogram!("shobai_journal_batch_entries", "journal" => name),
            seconds: metrics::histogram!("shobai_journal_commit_seconds", "journal" => name),
            depth: metrics::gauge!("shobai_journal_queue_entries", "journal" => name, "lane" => lane.to_string()),
            unknown: metrics::counter!("shobai_journal_unknown_total", "journal" => name),
            refused: metrics::counter!("shobai_journal_refused_total", "journal" => name),
            restarts: metrics::counter!("shobai_journal_restarts_total", "journal" => name),
        }
    }
}

impl<B: Book> Lane<B> {
    /// Starts a lane of the journal on the arbiter; it ends when its last [`Journal`] is dropped.
    pub fn start(
        name: &'static str,
        lane: usize,
        arbiter: &ArbiterHandle,
        database: Database,
        limits: JournalLimits,
        book: B,
    ) -> Journal<B> {
        let (queue, mut entries) = mpsc::unbounded_channel();
        let slots = Arc::new(Semaphore::new(limits.queue_max));
        let oldest = Arc::new(Oldest::none());
        let mut lane = Lane {
            book,
            database,
            limits,
            meters: Meters::of(name, lane),
            slots: slots.clone(),
            oldest: oldest.clone(),
            waiting: VecDeque::new(),
        };
        let running = async move {
            // A panic loses the present batch (its callers are answered with "unknown") but never the queue.
            while AssertUnwindSafe(lane.run(&mut entries)).catch_unwind().await.is_err() {
                lane.waiting.clear();
                lane.meters.restarts.increment(1);
                tracing::error!(journal = name, "the journal panicked; it goes on with a new connection");
            }
        };
        arbiter.spawn_fn(move || drop(actix_rt::spawn(running)));
        Journal { queue, slots, slots_max: limits.queue_max, oldest }
    }

    async fn run(&mut self, entries: &mut mpsc::UnboundedReceiver<Pending<B>>) {
        let mut connection = None;
        let mut back_off = BACK_OFF_FIRST;
        loop {
            let ready = match connection.take() {
                Some(ready) => ready,
                None => match self.connect().await {
                    Ok(ready) => {
                        back_off = BACK_OFF_FIRST;
                        ready
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a journal cannot reach the database");
                        if !self.turn_away(entries, back_off).await {
                            return;
                        }
                        back_off = (back_off * 2).min(BACK_OFF_MAX);
                        continue;
                    }
                },
            };
            if self.waiting.is_empty() && !self.take(entries).await {
                return;
            }
            if ready.is_closed() {
                continue;
            }
            if self.commit_next(&ready).await {
                connection = Some(ready);
            }
            self.oldest.is_answered();
            self.show_depth();
        }
    }

    /// Entries that arrive meanwhile wait for the connection.
    async fn connect(&self) -> Result<Connection, StorageError> {
        self.oldest.is(Instant::now());
        let connected = self.database.connect_lane(self.limits.commit_within).await;
        self.oldest.is_answered();
        connected
    }

    /// Waits for entries and takes all that have gathered; false when no [`Journal`] is left to enter any.
    async fn take(&mut self, entries: &mut mpsc::UnboundedReceiver<Pending<B>>) -> bool {
        let mut taken = Vec::new();
        if entries.recv_many(&mut taken, self.limits.batch_max).await == 0 {
            return false;
        }
        self.waiting.extend(taken);
        // Other tasks of this thread that are about to enter an entry run first, so that it joins the same commit.
        // No timer: a lone caller does not wait, and under load the commits grow instead of becoming more.
        loop {
            let gathered = self.waiting.len();
            tokio::task::yield_now().await;
            while self.waiting.len() < self.limits.batch_max
                && let Ok(pending) = entries.try_recv()
            {
                self.waiting.push_back(pending);
            }
            if self.waiting.len() == gathered {
                break;
            }
        }
        self.show_depth();
        true
    }

    fn show_depth(&self) {
        self.meters.depth.set((self.limits.queue_max - self.slots.available_permits()) as f64);
    }

    /// While the database cannot be reached: answers entries at once as not committed. False when the journal has
    /// ended.
    async fn turn_away(
        &mut self,
        entries: &mut mpsc::UnboundedReceiver<Pending<B>>,
        pause: Duration,
    ) -> bool {
        let until = tokio::time::Instant::now() + pause;
        loop {
            for pending in self.waiting.drain(..) {
                let _ = pending.answer.send(Err(CommitError::Unreachable));
            }
            self.show_depth();
            match tokio::time::timeout_at(until, entries.recv()).await {
                Ok(Some(pending)) => self.waiting.push_back(pending),
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
    }

    /// Commits the next batch; false when the connection must not be used again.
    async fn commit_next(&mut self, connection: &Connection) -> bool {
        let mut batch = Vec::with_capacity(self.waiting.len());
        let mut answers = Vec::with_capacity(self.waiting.len());
        if let Some(first) = self.waiting.front() {
            self.oldest.is(first.entered_at);
        }
        while let Some(pending) = self.waiting.pop_front() {
            if pending.entered_at.elapsed() > self.limits.commit_within {
                let _ = pending.answer.send(Err(CommitError::Late));
                continue;
            }
            if batch.is_empty() || self.book.may_join(&batch, &pending.entry) {
                batch.push(pending.entry);
                answers.push((pending.answer, pending.slot));
            } else {
                self.waiting.push_front(pending);
                break;
            }
        }
        if batch.is_empty() {
            return true;
        }
        self.meters.batch.record(batch.len() as f64);
        let began = Instant::now();
        let written = self.write(connection, &batch).await;
        self.meters.seconds.record(began.elapsed().as_secs_f64());
        match written {
            Ok(outcomes) => {
                for ((answer, _slot), outcome) in answers.into_iter().zip(outcomes) {
                    if outcome.is_err() {
                        self.meters.refused.increment(1);
                    }
                    let _ = answer.send(outcome.map_err(CommitError::Refused));
                }
                true
            }
            Err(StorageError::Refused { .. }) => self.commit_singly(connection, &batch, answers).await,
            Err(error) => {
                self.fail(answers, &error);
                matches!(error, StorageError::Broken(_))
            }
        }
    }

    /// An entry violated a constraint, which rolled the batch back: each entry is written alone to find out which.
    async fn commit_singly(
        &mut self,
        connection: &Connection,
        batch: &[B::Entry],
        answers: Vec<Caller<B>>,
    ) -> bool {
        let mut answers = answers.into_iter();
        for entry in batch {
            let Some((answer, slot)) = answers.next() else { break };
            match self.write(connection, std::slice::from_ref(entry)).await {
                Ok(outcomes) => {
                    let outcome = outcomes.into_iter().next().unwrap_or(Ok(()));
                    let _ = answer.send(outcome.map_err(CommitError::Refused));
                }
                Err(StorageError::Refused { constraint }) => {
                    self.meters.refused.increment(1);
                    let _ = answer.send(Err(CommitError::Refused(self.book.refusal(entry, &constraint))));
                }
                Err(error) => {
                    self.fail(vec![(answer, slot)], &error);
                    if !matches!(error, StorageError::Broken(_)) {
                        // The entries after it were rolled back with the batch and are not tried again.
                        for (answer, _slot) in answers {
                            let _ = answer.send(Err(CommitError::Unreachable));
                        }
                        return false;
                    }
                }
            }
        }
        true
    }

    async fn write(
        &self,
        connection: &Connection,
        batch: &[B::Entry],
    ) -> Result<Vec<Result<(), B::Refusal>>, StorageError> {
        match tokio::time::timeout(self.limits.commit_within, self.book.write(connection, batch)).await {
            Ok(written) => written,
            Err(_) => Err(StorageError::Unknown(format!(
                "no answer to a commit within {:?}",
                self.limits.commit_within
            ))),
        }
    }

    fn fail(&self, answers: Vec<Caller<B>>, error: &StorageError) {
        tracing::error!(%error, entries = answers.len(), "a commit failed");
        for (answer, _slot) in answers {
            let outcome = match error {
                StorageError::Unreachable(_) => CommitError::Unreachable,
                StorageError::Broken(text) => CommitError::Broken(text.clone()),
                StorageError::Unknown(_) | StorageError::Refused { .. } => {
                    self.meters.unknown.increment(1);
                    CommitError::Unknown
                }
            };
            let _ = answer.send(Err(outcome));
        }
    }
}
