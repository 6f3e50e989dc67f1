//! What a generator thread counts: every answer with its latency, second by second.

use std::cell::RefCell;
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
    /// Requests under way at the end of the second.
    pub in_flight: u64,
    /// How late the generator itself was: each visit of an open loop, and ten-millisecond ticks in a closed one.
    pub lag: Latencies,
    pub rows: Vec<Row>,
}

impl Interval {
    fn new(second: u64, in_flight: u64) -> Self {
        Self { second, visits: 0, started: 0, in_flight, lag: latencies(), rows: Vec::new() }
    }
}

/// Hands each second over when it is past.
pub(super) struct Tally {
    clock: Clock,
    current: RefCell<Interval>,
    past: mpsc::UnboundedSender<Interval>,
}

impl Tally {
    pub(super) fn new(clock: Clock, past: mpsc::UnboundedSender<Interval>) -> Self {
        Self { clock, current: RefCell::new(Interval::new(0, 0)), past }
    }

    /// A visit begins, so much later than the generator should have begun it.
    pub(super) fn visit(&self, lag: Duration) {
        self.lag(lag);
        self.current.borrow_mut().visits += 1;
    }

    /// A visit begins that nobody had planned for this moment.
    pub(super) fn visit_unplanned(&self) {
        self.turn_to(Instant::now());
        self.current.borrow_mut().visits += 1;
    }

    pub(super) fn lag(&self, lag: Duration) {
        self.turn_to(Instant::now());
        record(&mut self.current.borrow_mut().lag, microseconds(lag));
    }

    pub(super) fn started(&self) {
        self.turn_to(Instant::now());
        let mut current = self.current.borrow_mut();
        current.started += 1;
        current.in_flight += 1;
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
        let mut current = self.current.borrow_mut();
        current.in_flight = current.in_flight.saturating_sub(1);
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

    /// Hands the current second over if it is past.
    pub(super) fn turn_to(&self, now: Instant) {
        let second = self.clock.second(now);
        let mut current = self.current.borrow_mut();
        if second > current.second {
            let next = Interval::new(second, current.in_flight);
            // Nobody listens any more only when the run is given up.
            let _ = self.past.send(std::mem::replace(&mut current, next));
        }
    }

    /// Hands the last second over.
    pub(super) fn end(self) {
        let _ = self.past.send(self.current.into_inner());
    }
}

fn record(latencies: &mut Latencies, latency: u64) {
    // It grows as it must.
    let _ = latencies.record(latency);
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
