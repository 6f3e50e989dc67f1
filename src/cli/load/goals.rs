//! The goals of a scenario: figures of its stages, absolute or relative to another stage of the same run.
//!
//! A run that misses a goal is still reported, because machines differ.

use serde::Deserialize;

use super::result::{GoalResult, StageRun};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Goal {
    pub stage: String,
    pub figure: Figure,
    /// Judges the ratio to the figure of this stage instead of the figure itself.
    pub of: Option<String>,
    pub at_least: Option<f64>,
    pub at_most: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Figure {
    /// Orders accepted for the first time, per second.
    Orders,
    /// Requests refused, per second.
    Refusals,
    /// Cores that the engine takes; known only with --metrics.
    EngineCores,
}

impl Figure {
    const fn as_str(self) -> &'static str {
        match self {
            Figure::Orders => "orders per second",
            Figure::Refusals => "refusals per second",
            Figure::EngineCores => "cores of the engine",
        }
    }

    fn of(self, stage: &StageRun) -> Option<f64> {
        match self {
            Figure::Orders => Some(stage.orders_per_second),
            Figure::Refusals => Some(stage.refused_per_second),
            Figure::EngineCores => stage.engine_cores,
        }
    }
}

impl Goal {
    /// The result; `None` where the figure is not known.
    pub(super) fn judge(&self, stages: &[StageRun]) -> Option<GoalResult> {
        let figure = |name: &str| {
            let stage = stages.iter().find(|stage| stage.name == name)?;
            self.figure.of(stage)
        };
        let (value, of) = match &self.of {
            None => (figure(&self.stage)?, String::new()),
            Some(of) => {
                let (value, of_value) = (figure(&self.stage)?, figure(of)?);
                if of_value <= 0.0 {
                    return None;
                }
                (value / of_value, format!(", as a share of {of}"))
            }
        };
        Some(GoalResult {
            name: format!("{}: {}{of}", self.stage, self.figure.as_str()),
            value,
            at_least: self.at_least,
            at_most: self.at_most,
            met: self.at_least.is_none_or(|least| value >= least)
                && self.at_most.is_none_or(|most| value <= most),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(name: &str, orders: f64) -> StageRun {
        StageRun {
            name: name.to_owned(),
            kind: "closed".to_owned(),
            from: 0.0,
            to: 1.0,
            workers: Some(1),
            wanted_per_second: None,
            reached_per_second: orders,
            orders_per_second: orders,
            refused_per_second: 0.0,
            engine_cores: None,
        }
    }

    #[test]
    fn a_ratio_is_met_or_missed_and_what_is_not_known_is_neither() {
        let stages = [stage("plain", 100.0), stage("gated", 75.0), stage("nobody", 0.0)];
        let goal = |figure, of: &str, least| Goal {
            stage: "gated".to_owned(),
            figure,
            of: Some(of.to_owned()),
            at_least: Some(least),
            at_most: None,
        };
        let judged = goal(Figure::Orders, "plain", 0.7).judge(&stages).unwrap();
        assert!(judged.met && (judged.value - 0.75).abs() < 1e-9, "{judged:?}");
        assert!(!goal(Figure::Orders, "plain", 0.8).judge(&stages).unwrap().met);
        assert!(goal(Figure::Orders, "nobody", 0.8).judge(&stages).is_none());
        assert!(goal(Figure::EngineCores, "plain", 0.8).judge(&stages).is_none());
    }
}
