//! The intended starts of visits: the stages of a scenario as times, computed before the first request.

use super::scenario::Stage;

/// One generator thread of one machine among all: it takes every `of`-th of everything, from the `index`-th on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    pub index: usize,
    pub of: usize,
}

impl Share {
    /// A share of this share.
    pub(super) fn part(self, index: usize, of: usize) -> Self {
        Self { index: self.index * of + index, of: self.of * of }
    }

    /// How many of `all` things, numbered from 0, are in this share.
    pub(super) fn count(self, all: usize) -> usize {
        (all + self.of - 1 - self.index) / self.of
    }
}

/// A stage with its place in the run, in seconds from the run's start.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub stage: Stage,
    pub from: f64,
    pub to: f64,
}

/// The stages one after the other.
pub(super) fn plan(stages: &[Stage]) -> Vec<Planned> {
    let mut from = 0.0;
    let planned = stages.iter().map(|stage| {
        let to = from + stage.seconds();
        let planned = Planned { stage: stage.clone(), from, to };
        from = to;
        planned
    });
    planned.collect()
}

impl Planned {
    /// The intended starts of the visits of a share, in seconds from the run's start; empty for a closed loop.
    pub(super) fn starts(&self, share: Share) -> impl Iterator<Item = f64> + use<> {
        let (stage, from) = (self.stage.clone(), self.from);
        let visits = stage.visits().floor() as u64;
        let number = (share.index as u64..visits).step_by(share.of);
        number.map(move |number| from + start_of(&stage, number as f64))
    }

    /// The number of open-loop visits that are due before a time.
    fn begun_before(&self, time: f64) -> f64 {
        let passed = (time - self.from).clamp(0.0, self.to - self.from);
        match self.stage {
            Stage::Ramp { seconds, from, to, .. } => {
                from * passed + (to - from) * passed * passed / (2.0 * seconds)
            }
            Stage::Steady { rate, .. } => rate * passed,
            Stage::Spike { visits, .. } if time > self.from => visits as f64,
            _ => 0.0,
        }
    }
}

/// The intended start of the visit with this number, in seconds from the stage's start.
fn start_of(stage: &Stage, number: f64) -> f64 {
    match *stage {
        Stage::Ramp { seconds, from, to, .. } => {
            // `number = from·t + (to − from)·t² / (2·seconds)`, solved for t in the form that is exact for even rates.
            let slope = (to - from) / seconds;
            let root = (from * from + 2.0 * slope * number).max(0.0).sqrt();
            if from + root == 0.0 { 0.0 } else { 2.0 * number / (from + root) }
        }
        Stage::Steady { rate, .. } => number / rate,
        Stage::Spike { .. } | Stage::Closed { .. } | Stage::Pause { .. } => 0.0,
    }
}

/// The intended visits per second within one second of the run; `None` during a closed loop.
pub(super) fn wanted_in(planned: &[Planned], second: u64) -> Option<f64> {
    let (from, to) = (second as f64, second as f64 + 1.0);
    let within = |stage: &&Planned| stage.from < to && stage.to > from;
    if planned.iter().filter(within).any(|stage| stage.stage.kind() == "closed") {
        return None;
    }
    Some(planned.iter().map(|stage| stage.begun_before(to) - stage.begun_before(from)).sum())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: Share = Share { index: 0, of: 1 };

    fn ramp(seconds: f64, from: f64, to: f64) -> Vec<Planned> {
        plan(&[Stage::Ramp { name: "ramp".to_owned(), seconds, from, to }])
    }

    #[test]
    fn a_steady_stage_spreads_its_visits_evenly() {
        let planned = plan(&[
            Stage::Pause { name: "pause".to_owned(), seconds: 2.0 },
            Stage::Steady { name: "steady".to_owned(), seconds: 1.0, rate: 4.0 },
        ]);
        assert_eq!(planned[1].starts(ALL).collect::<Vec<_>>(), [2.0, 2.25, 2.5, 2.75]);
        assert_eq!(planned[0].starts(ALL).count(), 0);
        assert_eq!([0, 1, 2, 3].map(|second| wanted_in(&planned, second)), [0.0, 0.0, 4.0, 0.0].map(Some));
    }

    #[test]
    fn a_spike_begins_at_once_and_a_closed_loop_has_no_times() {
        let planned = plan(&[
            Stage::Spike { name: "spike".to_owned(), seconds: 1.0, visits: 3 },
            Stage::Closed { name: "closed".to_owned(), seconds: 1.0, workers: 9, from: None, think_ms: 0 },
        ]);
        assert_eq!(planned[0].starts(ALL).collect::<Vec<_>>(), [0.0; 3]);
        assert_eq!(planned[1].starts(ALL).count(), 0);
        assert_eq!([0, 1].map(|second| wanted_in(&planned, second)), [Some(3.0), None]);
    }

    proptest! {
        #[test]
        fn a_ramp_is_in_order_within_its_time_and_as_many_as_it_says(
            seconds in 0.1f64..100.0, from in 0.0f64..1_000.0, to in 0.0f64..1_000.0,
        ) {
            let planned = ramp(seconds, from, to);
            let starts: Vec<f64> = planned[0].starts(ALL).collect();
            prop_assert_eq!(starts.len(), planned[0].stage.visits().floor() as usize);
            prop_assert!(starts.is_sorted());
            prop_assert!(starts.iter().all(|start| (0.0..=seconds).contains(start)));
            let wanted: f64 = (0..=seconds as u64).filter_map(|second| wanted_in(&planned, second)).sum();
            prop_assert!((wanted - planned[0].stage.visits()).abs() < 1e-6 * wanted.max(1.0));
        }

        #[test]
        fn shares_are_the_whole_and_nothing_twice(of in 1usize..5, threads in 1usize..4, to in 0.0f64..300.0) {
            let planned = ramp(3.0, 10.0, to);
            let whole: Vec<f64> = planned[0].starts(ALL).collect();
            let mut parts = Vec::new();
            for index in 0..of {
                for thread in 0..threads {
                    let share = Share { index, of }.part(thread, threads);
                    let starts: Vec<f64> = planned[0].starts(share).collect();
                    prop_assert_eq!(starts.len(), share.count(whole.len()));
                    parts.extend(starts);
                }
            }
            parts.sort_by(f64::total_cmp);
            prop_assert_eq!(parts, whole);
        }
    }
}
