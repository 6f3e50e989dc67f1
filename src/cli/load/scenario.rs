//! A scenario: the typed mirror of its TOML file, and its check before the first request.
//!
//! `scenarios/smoke.toml` explains every key.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Format, Toml};
use serde::Deserialize;

use super::goals::Goal;
use super::sale_plan::{SalePlan, VisitorKind};

/// The scenarios that come with the binary.
const SHIPPED: [(&str, &str); 10] = [
    ("smoke", include_str!("scenarios/smoke.toml")),
    ("flash-sale", include_str!("scenarios/flash-sale.toml")),
    ("steady", include_str!("scenarios/steady.toml")),
    ("soak", include_str!("scenarios/soak.toml")),
    ("browse-heavy", include_str!("scenarios/browse-heavy.toml")),
    ("mixed-shop", include_str!("scenarios/mixed-shop.toml")),
    ("abuse", include_str!("scenarios/abuse.toml")),
    ("flash-sale-gates", include_str!("scenarios/flash-sale-gates.toml")),
    ("fair-sale", include_str!("scenarios/fair-sale.toml")),
    ("waiting-room", include_str!("scenarios/waiting-room.toml")),
];

/// The most visits whose outcomes fit into memory for an audit.
const VISITS_MAX: f64 = 100_000_000.0;
const SECONDS_MAX: f64 = 7.0 * 86_400.0;
const THINK_MS_MAX: u64 = 600_000;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scenario {
    pub name: String,
    pub about: String,
    #[serde(default = "one")]
    pub threads: usize,
    pub customers: Customers,
    pub skus: Skus,
    pub stages: Vec<Stage>,
    pub journeys: BTreeMap<String, Journey>,
    /// The sale that the harness operates during the run.
    pub sale: Option<SalePlan>,
    #[serde(default)]
    pub goals: Vec<Goal>,
    #[serde(default)]
    pub limits: Limits,
    /// The text of the file.
    #[serde(skip)]
    pub text: String,
}

/// The customers: registered through the API, or from a file of access tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Customers {
    pub count: Option<usize>,
    pub tokens: Option<PathBuf>,
}

/// The SKUs that are ordered and viewed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Skus {
    pub choose: Choose,
    #[serde(default)]
    pub names: Vec<String>,
    /// Instead of names: this many SKUs of the shop, in the order of its listing.
    pub catalogue: Option<usize>,
    /// For `hot`: how many of the first SKUs are hot, and their share of the demand.
    #[serde(default = "one")]
    pub hot: usize,
    #[serde(default = "most")]
    pub share: f64,
    /// For `zipf`: how steeply the demand falls with the rank.
    #[serde(default = "unity")]
    pub exponent: f64,
    /// Pieces of one order.
    #[serde(default = "one_piece")]
    pub quantity: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Choose {
    One,
    Hot,
    Zipf,
    Uniform,
}

/// The stages, one after the other.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Stage {
    /// Open loop at a rate that rises or falls evenly.
    Ramp { name: String, seconds: f64, from: f64, to: f64 },
    /// Open loop at one rate.
    Steady { name: String, seconds: f64, rate: f64 },
    /// Open loop: all visits at the same instant, and then time to complete them.
    Spike { name: String, seconds: f64, visits: u64 },
    /// Closed loop: each worker begins a visit when its last one has ended.
    Closed {
        name: String,
        seconds: f64,
        workers: usize,
        /// This many workers at the beginning, the others evenly over the stage; all at once if it is missing.
        from: Option<usize>,
        #[serde(default)]
        think_ms: u64,
    },
    /// No visits.
    Pause { name: String, seconds: f64 },
}

/// The steps of a visit, and the weight of this journey among the others.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Journey {
    pub weight: u32,
    pub steps: Vec<Step>,
    /// The stages in which it is taken; all if there are none.
    #[serde(default)]
    pub stages: Vec<String>,
    #[serde(default)]
    pub who: VisitorKind,
    /// Between one step's answer and the next step.
    #[serde(default)]
    pub think_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    Browse,
    Look,
    PlaceOrder,
    PlaceOrderByCard,
    PlaceOrderBySharedCard,
    RepeatOrder,
    PayOrder,
    CancelOrder,
    FollowOrder,
    SendBadToken,
    SendHugeBody,
    ReuseKey,
    JoinQueue,
    JoinWithWrongWork,
    /// Polls for a place; done automatically for every ticket.
    #[serde(skip_deserializing)]
    PollQueue,
    OrderWithoutAdmission,
    OrderWithStolenAdmission,
    OrderWithUsedAdmission,
    OrderTooMuch,
    OrderTooFast,
}

impl Step {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Step::Browse => "browse",
            Step::Look => "look",
            Step::PlaceOrder => "place_order",
            Step::PlaceOrderByCard => "place_order_by_card",
            Step::PlaceOrderBySharedCard => "place_order_by_shared_card",
            Step::RepeatOrder => "repeat_order",
            Step::PayOrder => "pay_order",
            Step::CancelOrder => "cancel_order",
            Step::FollowOrder => "follow_order",
            Step::SendBadToken => "send_bad_token",
            Step::SendHugeBody => "send_huge_body",
            Step::ReuseKey => "reuse_key",
            Step::JoinQueue => "join_queue",
            Step::JoinWithWrongWork => "join_with_wrong_work",
            Step::PollQueue => "poll_queue",
            Step::OrderWithoutAdmission => "order_without_admission",
            Step::OrderWithStolenAdmission => "order_with_stolen_admission",
            Step::OrderWithUsedAdmission => "order_with_used_admission",
            Step::OrderTooMuch => "order_too_much",
            Step::OrderTooFast => "order_too_fast",
        }
    }

    /// Whether it needs an order of the same visit.
    pub(super) const fn needs_an_order(self) -> bool {
        matches!(
            self,
            Step::RepeatOrder | Step::PayOrder | Step::CancelOrder | Step::FollowOrder | Step::ReuseKey
        )
    }

    /// Whether it places an order for the first time.
    pub(super) const fn places(self) -> bool {
        matches!(self, Step::PlaceOrder | Step::PlaceOrderByCard | Step::PlaceOrderBySharedCard)
    }

    const fn joins(self) -> bool {
        matches!(self, Step::JoinQueue | Step::JoinWithWrongWork)
    }

    /// Whether it needs a waiting room.
    const fn needs_a_queue(self) -> bool {
        self.joins()
            || matches!(
                self,
                Step::OrderWithoutAdmission
                    | Step::OrderWithStolenAdmission
                    | Step::OrderWithUsedAdmission
                    | Step::OrderTooFast
            )
    }

    const fn needs_a_sale(self) -> bool {
        self.needs_a_queue() || matches!(self, Step::PlaceOrderBySharedCard | Step::OrderTooMuch)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limits {
    pub timeout_ms: u64,
    pub connections: usize,
    /// The most visits at the same time; further ones wait, and the wait counts as latency.
    pub in_flight: usize,
    /// A start with more lag than this counts as late.
    pub late_ms: f64,
    /// A run with a larger share of late starts is not valid.
    pub late_share: f64,
    /// How long the audit may take to resolve unclear requests.
    pub settle_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout_ms: 10_000,
            connections: 512,
            in_flight: 512,
            late_ms: 10.0,
            late_share: 0.01,
            settle_seconds: 120,
        }
    }
}

/// Why a scenario cannot be run.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScenarioError {
    #[error("there is no scenario {0}: neither a file nor one of {shipped}", shipped = shipped())]
    Unknown(String),
    #[error("scenario {name}: {error}")]
    Unreadable { name: String, error: Box<figment::Error> },
    #[error("scenario {name}: {key} {problem}")]
    Impossible { name: String, key: String, problem: String },
}

fn shipped() -> String {
    SHIPPED.map(|(name, _)| name).join(", ")
}

impl Scenario {
    /// A scenario of the binary, or the file of that path.
    pub(super) fn load(name: &str) -> Result<Self, ScenarioError> {
        let text = match SHIPPED.iter().find(|(shipped, _)| *shipped == name) {
            Some((_, text)) => (*text).to_owned(),
            None => std::fs::read_to_string(Path::new(name))
                .map_err(|_| ScenarioError::Unknown(name.to_owned()))?,
        };
        Self::parse(name, text)
    }

    fn parse(name: &str, text: String) -> Result<Self, ScenarioError> {
        let mut scenario: Scenario = Figment::from(Toml::string(&text))
            .extract()
            .map_err(|error| ScenarioError::Unreadable { name: name.to_owned(), error: Box::new(error) })?;
        scenario.text = text;
        Ok(scenario)
    }

    /// Refuses a scenario that cannot be run as written.
    pub(super) fn check(&self) -> Result<(), ScenarioError> {
        let impossible = |key: String, problem: &str| {
            Err(ScenarioError::Impossible { name: self.name.clone(), key, problem: problem.to_owned() })
        };
        let bounds = [
            ("threads", self.threads as f64, 1.0, 256.0),
            ("skus.hot", self.skus.hot as f64, 1.0, 1e6),
            ("skus.share", self.skus.share, 0.0, 1.0),
            ("skus.exponent", self.skus.exponent, 0.0, 10.0),
            ("skus.quantity", self.skus.quantity as f64, 1.0, 1e9),
            ("limits.timeout_ms", self.limits.timeout_ms as f64, 1.0, 600_000.0),
            ("limits.connections", self.limits.connections as f64, 1.0, 60_000.0),
            ("limits.in_flight", self.limits.in_flight as f64, 1.0, 60_000.0),
            ("limits.late_ms", self.limits.late_ms, 0.1, 60_000.0),
            ("limits.late_share", self.limits.late_share, 0.0, 1.0),
            ("limits.settle_seconds", self.limits.settle_seconds as f64, 1.0, 3_600.0),
        ];
        for (key, value, least, most) in bounds {
            if !(least..=most).contains(&value) {
                return impossible(key.to_owned(), &format!("= {value} must be between {least} and {most}"));
            }
        }
        match (self.customers.count, &self.customers.tokens) {
            (Some(1..=100_000), None) | (None, Some(_)) => {}
            (Some(_), None) => return impossible("customers.count".into(), "must be between 1 and 100000"),
            _ => return impossible("customers".into(), "must have either count or tokens"),
        }
        match (self.skus.names.len(), self.skus.catalogue) {
            (1.., None) | (0, Some(1..=10_000)) => {}
            (0, Some(_)) => return impossible("skus.catalogue".into(), "must be between 1 and 10000"),
            _ => return impossible("skus".into(), "must have either names or catalogue"),
        }
        if self.customers.count.is_some_and(|count| count < self.threads) {
            return impossible("threads".into(), "must not be more than customers.count");
        }
        let names: BTreeSet<&String> = self.skus.names.iter().collect();
        if names.len() < self.skus.names.len() {
            return impossible("skus.names".into(), "must not name a SKU twice");
        }
        if self.limits.connections < self.limits.in_flight {
            // A visit needs a connection, and waiting for one would count as the shop's latency.
            return impossible("limits.connections".into(), "must not be fewer than limits.in_flight");
        }
        if self.stages.is_empty() {
            return impossible("stages".into(), "must be one at least");
        }
        for (index, stage) in self.stages.iter().enumerate() {
            if !(stage.seconds() > 0.0 && stage.seconds() <= SECONDS_MAX) {
                return impossible(
                    format!("stages.{index}.seconds"),
                    &format!("must be more than 0 and at most {SECONDS_MAX}"),
                );
            }
            // No visit may wait because of the harness itself.
            let most = stage.visits_at_once(self.mean_think_seconds());
            if most > self.limits.in_flight as f64 {
                let problem =
                    format!("needs limits.in_flight to be {:.0} at least, thinking included", most.ceil());
                return impossible(format!("stages.{index}"), &problem);
            }
            if stage.kind() != "pause" && self.journeys_in(stage).is_empty() {
                return impossible(format!("stages.{index}"), "has no journey that is taken in it");
            }
            if let Some((key, problem)) = stage.problem() {
                return impossible(format!("stages.{index}.{key}"), problem);
            }
        }
        if self.seconds() > SECONDS_MAX {
            return impossible("stages".into(), "are longer than a week together");
        }
        if self.stages.iter().map(Stage::visits).sum::<f64>() > VISITS_MAX {
            return impossible("stages".into(), "have more than 100000000 visits together");
        }
        if self.journeys.values().map(|journey| u64::from(journey.weight)).sum::<u64>() == 0 {
            return impossible("journeys".into(), "must have a weight above 0 at least once");
        }
        for (name, journey) in &self.journeys {
            if journey.steps.is_empty() {
                return impossible(format!("journeys.{name}.steps"), "must be one at least");
            }
            if journey.think_ms > THINK_MS_MAX {
                return impossible(format!("journeys.{name}.think_ms"), "must be at most 600000");
            }
            let mut has_order = false;
            for (index, step) in journey.steps.iter().enumerate() {
                if step.needs_an_order() && !has_order {
                    return impossible(
                        format!("journeys.{name}.steps.{index}"),
                        &format!("= {} comes before any order is placed", step.as_str()),
                    );
                }
                has_order |= step.places();
            }
        }
        match self.sale_problems().into_iter().next() {
            Some((key, problem)) => impossible(key, problem),
            None => Ok(()),
        }
    }

    /// Problems of the sale and of references between stages, journeys and goals.
    fn sale_problems(&self) -> Vec<(String, &'static str)> {
        let mut found = Vec::new();
        let no_stage = "is not the name of a stage";
        for (name, journey) in &self.journeys {
            let key = |key: &str| format!("journeys.{name}.{key}");
            if journey.stages.iter().any(|stage| self.stage(stage).is_none()) {
                found.push((key("stages"), no_stage));
            }
            let needs_a_sale = journey.steps.iter().any(|step| step.needs_a_sale());
            if self.sale.is_none() && (needs_a_sale || journey.who != VisitorKind::Anybody) {
                found.push((key("steps"), "need a [sale]"));
            }
            let has_queue = self.sale.as_ref().is_some_and(SalePlan::has_queue);
            let needs_a_queue = journey.steps.iter().any(|step| step.needs_a_queue());
            if !has_queue && (needs_a_queue || journey.who != VisitorKind::Anybody) {
                found.push((key("steps"), "need a [sale] whose admission is a queue or a lottery"));
            }
            if (journey.who == VisitorKind::Newcomers) != journey.steps.iter().any(|step| step.joins()) {
                found.push((key("who"), "must be newcomers for joining, and for nothing else"));
            }
        }
        for (index, goal) in self.goals.iter().enumerate() {
            let stages = std::iter::once(&goal.stage).chain(&goal.of);
            if stages.into_iter().any(|stage| self.stage(stage).is_none()) {
                found.push((format!("goals.{index}"), no_stage));
            }
            if goal.at_least.is_some() == goal.at_most.is_some() {
                found.push((format!("goals.{index}"), "must have either at_least or at_most"));
            }
        }
        found.extend(self.sale.iter().flat_map(|sale| sale.problems(|name| self.stage(name))));
        found
    }

    /// The number of the stage of that name.
    pub(super) fn stage(&self, name: &str) -> Option<usize> {
        self.stages.iter().position(|stage| stage.name() == name)
    }

    pub(super) fn has(&self, step: Step) -> bool {
        self.journeys.values().any(|journey| journey.weight > 0 && journey.steps.contains(&step))
    }

    /// The journeys that are taken in a stage.
    pub(super) fn journeys_in(&self, stage: &Stage) -> Vec<Journey> {
        let is_taken = |journey: &&Journey| {
            journey.weight > 0
                && (journey.stages.is_empty() || journey.stages.iter().any(|name| name == stage.name()))
        };
        self.journeys.values().filter(is_taken).cloned().collect()
    }

    /// The mean thinking time of a visit.
    fn mean_think_seconds(&self) -> f64 {
        let weights: f64 = self.journeys.values().map(|journey| f64::from(journey.weight)).sum();
        let think = self.journeys.values().map(|journey| {
            let pauses = journey.steps.len().saturating_sub(1) as f64;
            f64::from(journey.weight) * pauses * journey.think_ms as f64 / 1e3
        });
        think.sum::<f64>() / weights.max(1.0)
    }

    /// The length of all stages together.
    pub(super) fn seconds(&self) -> f64 {
        self.stages.iter().map(Stage::seconds).sum()
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.limits.timeout_ms)
    }
}

impl Stage {
    pub(super) fn name(&self) -> &str {
        match self {
            Stage::Ramp { name, .. }
            | Stage::Steady { name, .. }
            | Stage::Spike { name, .. }
            | Stage::Closed { name, .. }
            | Stage::Pause { name, .. } => name,
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Stage::Ramp { .. } | Stage::Steady { .. } | Stage::Spike { .. } => "open",
            Stage::Closed { .. } => "closed",
            Stage::Pause { .. } => "pause",
        }
    }

    pub(super) fn seconds(&self) -> f64 {
        match self {
            Stage::Ramp { seconds, .. }
            | Stage::Steady { seconds, .. }
            | Stage::Spike { seconds, .. }
            | Stage::Closed { seconds, .. }
            | Stage::Pause { seconds, .. } => *seconds,
        }
    }

    /// Visits that begin whatever the shop does.
    pub(super) fn visits(&self) -> f64 {
        match self {
            Stage::Ramp { seconds, from, to, .. } => seconds * (from + to) / 2.0,
            Stage::Steady { seconds, rate, .. } => seconds * rate,
            Stage::Spike { visits, .. } => *visits as f64,
            Stage::Closed { .. } | Stage::Pause { .. } => 0.0,
        }
    }

    /// Visits at the same time if every answer came at once.
    fn visits_at_once(&self, think_seconds: f64) -> f64 {
        match self {
            Stage::Ramp { from, to, .. } => from.max(*to) * think_seconds,
            Stage::Steady { rate, .. } => rate * think_seconds,
            Stage::Closed { workers, .. } => *workers as f64,
            Stage::Spike { .. } | Stage::Pause { .. } => 0.0,
        }
    }

    fn problem(&self) -> Option<(&'static str, &'static str)> {
        const RATE_MAX: f64 = 1e6;
        let is_rate = |rate: &f64| (0.0..=RATE_MAX).contains(rate);
        match self {
            Stage::Ramp { from, .. } if !is_rate(from) => Some(("from", "must be between 0 and 1000000")),
            Stage::Ramp { to, .. } if !is_rate(to) => Some(("to", "must be between 0 and 1000000")),
            Stage::Steady { rate, .. } if !is_rate(rate) || *rate == 0.0 => {
                Some(("rate", "must be more than 0 and at most 1000000"))
            }
            Stage::Spike { visits: 0, .. } => Some(("visits", "must be at least 1")),
            Stage::Closed { workers, .. } if !(1..=60_000).contains(workers) => {
                Some(("workers", "must be between 1 and 60000"))
            }
            Stage::Closed { workers, from: Some(from), .. } if from > workers => {
                Some(("from", "must not be more than workers"))
            }
            Stage::Closed { think_ms, .. } if *think_ms > THINK_MS_MAX => {
                Some(("think_ms", "must be at most 600000"))
            }
            _ => None,
        }
    }
}

const fn one() -> usize {
    1
}

const fn one_piece() -> i64 {
    1
}

const fn most() -> f64 {
    0.8
}

const fn unity() -> f64 {
    1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_scenario_passes_its_check() {
        for (name, _) in SHIPPED {
            let scenario = Scenario::load(name).unwrap();
            assert_eq!(scenario.name, name);
            scenario.check().unwrap();
        }
    }

    #[test]
    fn a_refusal_names_the_key() {
        let smoke = SHIPPED[0].1;
        for (from, to, named) in [
            ("name = \"smoke\"", "name = \"smoke\"\nnames = 1", "names"),
            ("threads = 1", "threads = 0", "threads"),
            ("threads = 1", "threads = 11", "threads"),
            ("connections = 64", "connections = 63", "limits.connections"),
            ("workers = 4", "workers = 65", "stages.2"),
            ("rate = 100", "rate = 100000", "stages.1"),
            ("count = 10", "count = 0", "customers.count"),
            ("count = 10", "count = \"ten\"", "customers.count"),
            ("choose = \"one\"", "choose = \"two\"", "skus.choose"),
            ("quantity = 1", "quantity = 0", "skus.quantity"),
            ("rate = 100", "rate = -1", "stages.1.rate"),
            ("rate = 100", "rat = 100", "rat"),
            ("timeout_ms = 10000", "timeout_ms = 0", "limits.timeout_ms"),
            (
                "steps = [\"place_order\"",
                "steps = [\"cancel_order\", \"place_order\"",
                "journeys.buy.steps.0",
            ),
            ("steps = [\"place_order\"", "steps = [\"steal\"", "journeys.buy.steps"),
        ] {
            // At the beginning of a line; comments speak of the keys too.
            let (from, to) = (format!("\n{from}"), format!("\n{to}"));
            assert!(smoke.contains(&from), "{from}");
            let refused = Scenario::parse("smoke", smoke.replacen(&from, &to, 1)).and_then(|it| it.check());
            let text = refused.unwrap_err().to_string();
            assert!(text.contains(named), "{to}: {text}");
        }
    }

    #[test]
    fn a_refusal_of_a_sale_names_the_key() {
        let fair = Scenario::load("fair-sale").unwrap().text;
        for (from, to, named) in [
            ("opens = \"the sale\"", "opens = \"gathering\"", "sale.opens"),
            ("armed = \"gathering\"", "armed = \"before\"", "sale.armed"),
            ("limit = 2", "limit = 0", "sale.limit"),
            ("per_second = 400", "per_second = 0", "sale.per_second"),
            ("per_second = 400", "poll_ms = 0", "sale.poll_ms"),
            ("per_second = 400", "paused = \"gathering\"", "sale.paused"),
            ("admission = \"queue\"", "admission = \"none\"", "journeys."),
            ("who = \"newcomers\"", "who = \"anybody\"", "journeys.join.who"),
            ("stages = [\"gathering\"]", "stages = [\"nowhere\"]", "journeys.join.stages"),
            ("steps = [\"join_queue\"]", "steps = [\"poll_queue\"]", "journeys.join.steps"),
            ("[limits]", "[[goals]]\nstage = \"the sale\"\nfigure = \"orders\"\n[limits]", "goals.0"),
        ] {
            let (from, to) = (format!("\n{from}"), format!("\n{to}"));
            assert!(fair.contains(&from), "{from}");
            let refused = Scenario::parse("fair", fair.replacen(&from, &to, 1)).and_then(|it| it.check());
            let text = refused.unwrap_err().to_string();
            assert!(text.contains(named), "{to}: {text}");
        }
    }
}
