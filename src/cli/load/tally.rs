//! The counts of a generator thread: every answer with its latency, second by second.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::mpsc;

use super::clock::Clock;
use super::scenario::Step;
use super::shop::Outcome;

/// Significant digits of every latency.
const DIGITS: u8 = 3;

/// Latencies in microseconds.
pub(super) type Latencies = Histogram<u64>;

pub(super) fn latencies() -> Latencies {
    // Three digits are always possible.
    Histogram::new(DIGITS).unwrap_or_else(|_| unreachable!("hdrhistogram knows three digits"))
}

/// Answers of one kind.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub step: &'static str,
    pub outcome: Outcome,
    pub reason: Option<String>,
    pub latencies: Latencies,
}

/// One second of one thread.
#[derive(Debug, Clone)]
pub(super) struct Interval {
    pub second: u64,
    /// Visits begun.
    pub visits: u64,
    /// Requests sent.
    pub started: u64,
    /// The most requests that were under way at the same time.
    pub in_flight: u64,
    /// The lag of open-loop visits that the generator itself caused.
    pub lag: Latencies,
    /// The lag at moments that do not depend on the shop.
    pub ticks: Latencies,
    pub rows: Vec<Row>,
}

impl Interval {
    fn new(second: u64, in_flight: u64) -> Self {
        Self {
            second,
            visits: 0,
            started: 0,
            in_flight,
            lag: latencies(),
            ticks: latencies(),
            rows: Vec::new(),
        }
    }
}

/// Counts in the present second, and hands each second over when it has passed.
pub(super) struct Tally {
    clock: Clock,
    current: RefCell<Interval>,
    under_way: Cell<u64>,
    past: mpsc::UnboundedSender<Interval>,
}

impl Tally {
    pub(super) fn new(clock: Clock, past: mpsc::UnboundedSender<Interval>) -> Self {
        Self { clock, current: RefCell::new(Interval::new(0, 0)), under_way: Cell::new(0), past }
    }

    /// Counts a visit, with its lag where the generator itself caused it.
    pub(super) fn visit(&self, lag: Option<Duration>) {
        self.turn_to(Instant::now());
        let mut current = self.current.borrow_mut();
        current.visits += 1;
        if let Some(lag) = lag {
            record(&mut current.lag, microseconds(lag));
        }
    }

    /// Counts the lag of a tick.
    pub(super) fn tick(&self, lag: Duration) {
        self.turn_to(Instant::now());
        record(&mut self.current.borrow_mut().ticks, microseconds(lag));
    }

    pub(super) fn started(&self) {
        self.turn_to(Instant::now());
        let under_way = self.under_way.get() + 1;
        self.under_way.set(under_way);
        let mut current = self.current.borrow_mut();
        current.started += 1;
        current.in_flight = current.in_flight.max(under_way);
    }

    pub(super) fn finished(
        &self,
        step: Step,
        outcome: Outcome,
        reason: Option<String>,
        now: Instant,
        latency: Duration,
    ) {
        self.turn_to(now);
        self.under_way.set(self.under_way.get().saturating_sub(1));
        let mut current = self.current.borrow_mut();
        let step = step.as_str();
        let is_it = |row: &&mut Row| row.step == step && row.outcome == outcome && row.reason == reason;
        let latency = microseconds(latency);
        if let Some(row) = current.rows.iter_mut().find(is_it) {
            record(&mut row.latencies, latency);
            return;
        }
        let mut row = Row { step, outcome, reason, latencies: latencies() };
        record(&mut row.latencies, latency);
        current.rows.push(row);
    }

    /// Hands the current second over if it has passed.
    pub(super) fn turn_to(&self, now: Instant) {
        let second = self.clock.second(now);
        let mut current = self.current.borrow_mut();
        if second > current.second {
            let next = Interval::new(second, self.under_way.get());
            // The receiver is gone only when the run has failed.
            let _ = self.past.send(std::mem::replace(&mut current, next));
        }
    }

    /// Hands the last second over.
    pub(super) fn end(self) {
        let _ = self.past.send(self.current.into_inner());
    }
}

fn record(latencies: &mut Latencies, latency: u64) {
    // The histogram resizes itself, so this cannot fail.
    let _ = latencies.record(latency);
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
