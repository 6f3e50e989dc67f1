//! Merges the counts of threads and machines: totals by kind of answer, and one row for each second.

use std::collections::BTreeMap;

use super::result::{LatencyMs, Second, StepRun, Totals, milliseconds};
use super::schedule::{Planned, wanted_in};
use super::shop::Outcome;
use super::tally::{Interval, Latencies, latencies};

/// A second is closed after this many later ones: threads deliver theirs at different moments.
const OPEN_SECONDS: u64 = 5;

/// Step, outcome, reason.
pub(super) type Kind = (String, Outcome, Option<String>);

/// Steps that place an order for the first time.
const PLACING: [&str; 3] = ["place_order", "place_order_by_card", "place_order_by_shared_card"];

#[derive(Debug)]
pub(super) struct Collected {
    pub kinds: BTreeMap<Kind, Latencies>,
    pub lag: Latencies,
    pub ticks: Latencies,
    pub totals: Totals,
    pub visits: BTreeMap<u64, u64>,
    pub seconds: BTreeMap<u64, Second>,
    /// The answers of seconds that are not closed yet.
    open: BTreeMap<u64, Latencies>,
}

impl Default for Collected {
    fn default() -> Self {
        Self {
            kinds: BTreeMap::new(),
            lag: latencies(),
            ticks: latencies(),
            totals: Totals::default(),
            visits: BTreeMap::new(),
            seconds: BTreeMap::new(),
            open: BTreeMap::new(),
        }
    }
}

impl Collected {
    pub(super) fn add(&mut self, interval: &Interval) {
        let number = interval.second;
        let second = self.second(number);
        second.started += interval.started;
        second.in_flight += interval.in_flight;
        let lag_max = interval.lag.max().max(interval.ticks.max());
        second.lag_max_ms = second.lag_max_ms.max(milliseconds(lag_max));
        self.totals.started += interval.started;
        *self.visits.entry(number).or_default() += interval.visits;
        merge(&mut self.lag, &interval.lag);
        merge(&mut self.ticks, &interval.ticks);
        for row in &interval.rows {
            self.add_row(number, (row.step.to_owned(), row.outcome, row.reason.clone()), &row.latencies);
        }
        self.close_before(number.saturating_sub(OPEN_SECONDS));
    }

    fn second(&mut self, number: u64) -> &mut Second {
        self.seconds.entry(number).or_insert_with(|| Second { second: number, ..Second::default() })
    }

    /// Closes earlier seconds, which get no more answers.
    pub(super) fn close_before(&mut self, number: u64) {
        while self.open.first_key_value().is_some_and(|(first, _)| *first < number) {
            self.close_first();
        }
    }

    /// Adds answers of one kind in one second.
    pub(super) fn add_row(&mut self, number: u64, kind: Kind, answers: &Latencies) {
        let second = self.second(number);
        let count = answers.len();
        let (step, outcome, _) = &kind;
        if *outcome == Outcome::Accepted && PLACING.contains(&step.as_str()) {
            second.orders += count;
        }
        *match outcome {
            Outcome::Accepted => &mut second.accepted,
            Outcome::Refused => &mut second.refused,
            Outcome::Overloaded => &mut second.overloaded,
            Outcome::Failed => &mut second.failed,
            Outcome::TimedOut => &mut second.timed_out,
        } += count;
        self.totals.add(*outcome, count);
        merge(self.open.entry(number).or_insert_with(latencies), answers);
        merge(self.kinds.entry(kind).or_insert_with(latencies), answers);
    }

    fn close_first(&mut self) {
        let Some((number, answers)) = self.open.pop_first() else { return };
        if answers.is_empty() {
            return;
        }
        if let Some(second) = self.seconds.get_mut(&number) {
            second.p50_ms = Some(milliseconds(answers.value_at_percentile(50.0)));
            second.p99_ms = Some(milliseconds(answers.value_at_percentile(99.0)));
            second.max_ms = Some(milliseconds(answers.max()));
        }
    }

    pub(super) fn stock(&mut self, number: u64, sku: &str, available: i64) {
        self.second(number).stock.insert(sku.to_owned(), available);
    }

    /// The answers of the last seconds, including the present one.
    pub(super) fn latest(&self) -> Latencies {
        let mut all = latencies();
        for answers in self.open.values() {
            merge(&mut all, answers);
        }
        all
    }

    /// The timeline without gaps, each second with the rate that the scenario wants.
    pub(super) fn timeline(&mut self, planned: &[Planned], share: f64) -> Vec<Second> {
        while !self.open.is_empty() {
            self.close_first();
        }
        let last = self.seconds.last_key_value().map_or(0, |(number, _)| *number);
        (0..=last)
            .map(|number| {
                let mut second = self.seconds.remove(&number).unwrap_or_default();
                second.second = number;
                second.wanted = wanted_in(planned, number).map(|wanted| wanted * share);
                second
            })
            .collect()
    }

    /// Every kind of answer: accepted first, then by frequency.
    pub(super) fn steps(&self, seconds: f64) -> Vec<StepRun> {
        let mut steps: Vec<StepRun> = self
            .kinds
            .iter()
            .map(|((step, outcome, reason), all)| {
                StepRun::of(step, *outcome, reason.as_deref(), all, seconds)
            })
            .collect();
        let rank = |step: &StepRun| {
            let outcome = Outcome::ALL.iter().position(|outcome| outcome.as_str() == step.outcome);
            (step.step.clone(), outcome, std::cmp::Reverse(step.count))
        };
        steps.sort_by_key(rank);
        steps
    }

    /// The share of starts, or of ticks if that is greater, with more than this lag, and their lags.
    pub(super) fn lateness(&self, late_ms: f64) -> (f64, LatencyMs) {
        let share = |lags: &Latencies| {
            let on_time = lags.count_between(0, (late_ms * 1e3) as u64);
            lags.len().saturating_sub(on_time) as f64 / (lags.len() as f64).max(1.0)
        };
        let worse = if share(&self.lag) > share(&self.ticks) || self.ticks.is_empty() {
            &self.lag
        } else {
            &self.ticks
        };
        (share(worse), LatencyMs::of(worse))
    }
}

fn merge(into: &mut Latencies, from: &Latencies) {
    // Both resize themselves, so this cannot fail.
    let _ = into.add(from);
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tokio::sync::mpsc;

    use super::super::clock::Clock;
    use super::super::scenario::Step;
    use super::super::tally::Tally;
    use super::*;

    #[test]
    fn seconds_of_two_threads_become_one_timeline() {
        let began = Instant::now();
        let (past, mut intervals) = mpsc::unbounded_channel();
        for thread in 0..2 {
            let tally = Tally::new(Clock::starting_at(began), past.clone());
            for second in [0, 0, 2, 9] {
                let now = began + Duration::from_millis(second * 1_000 + thread);
                let latency = Duration::from_millis(10 * (thread + 1));
                tally.finished(Step::PlaceOrder, Outcome::Accepted, None, now, latency);
                let reason = Some("out-of-stock".to_owned());
                tally.finished(Step::RepeatOrder, Outcome::Refused, reason, now, latency);
            }
            tally.end();
        }
        drop(past);
        let mut collected = Collected::default();
        while let Ok(interval) = intervals.try_recv() {
            collected.add(&interval);
        }
        assert_eq!((collected.totals.accepted, collected.totals.refused), (8, 8));
        let steps = collected.steps(10.0);
        assert_eq!((steps.len(), steps[0].count, steps[0].per_second), (2, 8, 0.8));
        let (p50, max) = (steps[0].latency_ms.p50, steps[0].latency_ms.max);
        assert!((10.0..10.1).contains(&p50) && (20.0..20.1).contains(&max), "{p50} {max}");
        let timeline = collected.timeline(&[], 1.0);
        let orders: Vec<u64> = timeline.iter().map(|second| second.orders).collect();
        assert_eq!(orders, [4, 0, 2, 0, 0, 0, 0, 0, 0, 2]);
        assert!(timeline[1].p50_ms.is_none() && timeline[0].p99_ms.is_some_and(|p99| p99 >= 20.0));
    }
}
