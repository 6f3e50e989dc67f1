//! The result of a run: `result.json` (`schemas/load-result.json` describes it) and the table on the terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::shop::Outcome;
use super::tally::Latencies;

pub(super) const SCHEMA: &str = "shobai-load-result/1";

/// The percentiles of a latency curve, in addition to the maximum.
const CURVE: [f64; 22] = [
    0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 75.0, 80.0, 85.0, 90.0, 92.5, 95.0, 97.5, 98.75, 99.0,
    99.5, 99.9, 99.95, 99.99, 99.999,
];

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LoadResult {
    pub schema: String,
    pub scenario: ScenarioRun,
    pub target: String,
    pub shard: Shard,
    pub started_at: jiff::Timestamp,
    /// From the start to the last answer.
    pub seconds: f64,
    pub ended: Ended,
    pub valid: bool,
    pub invalid_because: Vec<String>,
    pub machine: Machine,
    pub versions: Versions,
    pub generator: Generator,
    pub stages: Vec<StageRun>,
    pub totals: Totals,
    pub steps: Vec<StepRun>,
    pub timeline: Vec<Second>,
    pub engine: Option<EngineSeries>,
    /// The goals whose figures are known.
    pub goals: Vec<GoalResult>,
    pub audit: Option<AuditResult>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScenarioRun {
    pub name: String,
    pub about: String,
    /// The text of the scenario file.
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shard {
    pub number: usize,
    pub of: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ended {
    Finished,
    Interrupted,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_bytes: u64,
    pub system: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Versions {
    pub load: String,
    pub engine: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Generator {
    pub threads: usize,
    pub cpu_seconds: f64,
    /// The share of its threads' time.
    pub cpu_share: f64,
    pub memory_peak_bytes: u64,
    pub connections_opened: u64,
    /// The share of starts with more lag than `late_ms`.
    pub late_share: f64,
    pub late_ms: f64,
    pub lag_ms: LatencyMs,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StageRun {
    pub name: String,
    pub kind: String,
    /// Seconds from the start.
    pub from: f64,
    pub to: f64,
    pub workers: Option<usize>,
    /// Visits per second.
    pub wanted_per_second: Option<f64>,
    pub reached_per_second: f64,
    /// Orders accepted for the first time.
    pub orders_per_second: f64,
    /// Requests refused.
    pub refused_per_second: f64,
    /// Cores that the engine took, where --metrics is given.
    pub engine_cores: Option<f64>,
}

/// A goal of the scenario and its figure.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GoalResult {
    pub name: String,
    pub value: f64,
    pub at_least: Option<f64>,
    pub at_most: Option<f64>,
    pub met: bool,
}

/// Requests by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Totals {
    pub started: u64,
    pub accepted: u64,
    pub refused: u64,
    pub overloaded: u64,
    pub failed: u64,
    pub timed_out: u64,
}

impl Totals {
    pub(super) fn add(&mut self, outcome: Outcome, count: u64) {
        *match outcome {
            Outcome::Accepted => &mut self.accepted,
            Outcome::Refused => &mut self.refused,
            Outcome::Overloaded => &mut self.overloaded,
            Outcome::Failed => &mut self.failed,
            Outcome::TimedOut => &mut self.timed_out,
        } += count;
    }

    pub(super) fn finished(&self) -> u64 {
        self.accepted + self.refused + self.overloaded + self.failed + self.timed_out
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepRun {
    pub step: String,
    pub outcome: String,
    pub reason: Option<String>,
    pub count: u64,
    pub per_second: f64,
    pub latency_ms: LatencyMs,
    /// Percentile and milliseconds.
    pub curve: Vec<(f64, f64)>,
}

impl StepRun {
    pub(super) fn of(
        step: &str,
        outcome: Outcome,
        reason: Option<&str>,
        all: &Latencies,
        seconds: f64,
    ) -> Self {
        let curve = CURVE.iter().filter(|percentile| {
            // Higher percentiles than the last measurement only repeat it.
            (1.0 - **percentile / 100.0) * all.len() as f64 >= 1.0
        });
        let mut curve: Vec<(f64, f64)> = curve
            .map(|percentile| (*percentile, milliseconds(all.value_at_percentile(*percentile))))
            .collect();
        curve.push((100.0, milliseconds(all.max())));
        Self {
            step: step.to_owned(),
            outcome: outcome.as_str().to_owned(),
            reason: reason.map(str::to_owned),
            count: all.len(),
            per_second: all.len() as f64 / seconds.max(f64::MIN_POSITIVE),
            latency_ms: LatencyMs::of(all),
            curve,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LatencyMs {
    pub min: f64,
    pub mean: f64,
    pub p50: f64,
    pub p75: f64,
    pub p90: f64,
    pub p99: f64,
    pub p99_9: f64,
    pub p99_99: f64,
    pub max: f64,
}

impl LatencyMs {
    pub(super) fn of(latencies: &Latencies) -> Self {
        let at = |percentile| milliseconds(latencies.value_at_percentile(percentile));
        Self {
            min: milliseconds(if latencies.is_empty() { 0 } else { latencies.min() }),
            mean: latencies.mean() / 1e3,
            p50: at(50.0),
            p75: at(75.0),
            p90: at(90.0),
            p99: at(99.0),
            p99_9: at(99.9),
            p99_99: at(99.99),
            max: milliseconds(latencies.max()),
        }
    }
}

pub(super) fn milliseconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e3
}

/// One second of the run; an answer belongs to the second of its arrival.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Second {
    pub second: u64,
    /// Visits per second; `None` in a closed loop.
    pub wanted: Option<f64>,
    /// Requests by outcome.
    pub started: u64,
    pub accepted: u64,
    pub refused: u64,
    pub overloaded: u64,
    pub failed: u64,
    pub timed_out: u64,
    /// Orders accepted for the first time.
    pub orders: u64,
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub max_ms: Option<f64>,
    pub in_flight: u64,
    pub lag_max_ms: f64,
    /// Available pieces, where they were sampled in that second.
    pub stock: BTreeMap<String, i64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EngineSeries {
    pub source: String,
    pub series: Vec<Series>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Series {
    pub name: String,
    pub unit: String,
    /// Second and value.
    pub points: Vec<(u64, Option<f64>)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditResult {
    /// When the stock was counted.
    pub at: jiff::Timestamp,
    pub clean: bool,
    pub skus: Vec<SkuBalance>,
    pub checked: Checked,
    pub findings: Vec<Findings>,
    /// The sale of the scenario.
    pub sale: Option<SaleAudit>,
    pub engine_audit: Option<EngineAudit>,
}

/// The answers of the customers in a sale, compared with its promises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SaleAudit {
    pub id: uuid::Uuid,
    /// Pieces of all SKUs.
    pub allotment: i64,
    pub sold: i64,
    pub limit: i64,
    /// The most pieces of one account or card.
    pub most_of_one: i64,
    pub tickets: u64,
    /// Tickets in the published draw, and admitted tickets, drawn or not.
    pub drawn: u64,
    pub admitted: u64,
    /// Refusals of broken rules, by customer and code, and those that the shop explains.
    pub offences: u64,
    pub explained: u64,
}

/// Pieces of one SKU: `start − accepted + cancelled = available`, or the difference is the balance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SkuBalance {
    pub sku: String,
    pub start: i64,
    pub accepted: i64,
    pub cancelled: i64,
    pub available: i64,
    /// Pieces of one order.
    pub quantity: i64,
    /// Orders refused as out of stock.
    pub refused: u64,
    /// Above 0: pieces held without an order. Below 0: sold pieces that never left the stock.
    pub balance: i64,
}

/// The number of checked keys.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Checked {
    pub accepted: u64,
    pub refused: u64,
    pub settled_by_key: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Findings {
    pub kind: FindingKind,
    pub count: u64,
    pub examples: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FindingKind {
    /// Accepted, but does not exist.
    Lost,
    /// Exists without an answer; or a second order for one key.
    Doubled,
    /// More pieces promised than available.
    Oversold,
    /// Refused as out of stock while pieces were left.
    Undersold,
    /// Differs from its answer.
    Differs,
    /// Pieces held without an order, or a key whose outcome stays unknown.
    Stuck,
    /// More pieces of a sale for one customer or card than its limit.
    AboveLimit,
    /// Admitted before a ticket in front, or in another order than the published draw.
    OutOfTurn,
    /// Refused in a sale, and the shop does not explain it.
    Unexplained,
}

impl FindingKind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            FindingKind::Lost => "lost",
            FindingKind::Doubled => "doubled",
            FindingKind::Oversold => "oversold",
            FindingKind::Undersold => "undersold",
            FindingKind::Differs => "differs",
            FindingKind::Stuck => "stuck",
            FindingKind::AboveLimit => "above_limit",
            FindingKind::OutOfTurn => "out_of_turn",
            FindingKind::Unexplained => "unexplained",
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EngineAudit {
    pub clean: bool,
    pub output: String,
}

impl EngineSeries {
    fn last(&self, name: &str) -> Option<f64> {
        let series = self.series.iter().find(|series| series.name == name)?;
        series.points.iter().rev().find_map(|(_, value)| *value)
    }

    /// The last number of entries in waiting rooms, and bytes of the engine's memory for each.
    fn waiting(&self) -> Option<(f64, f64)> {
        let entries = self.last("shobai_queue_entries").filter(|entries| *entries > 0.0)?;
        Some((entries, self.last("shobai_queue_memory_bytes")? / entries))
    }

    /// The mean of a metric over the seconds that count; `None` where it is not known.
    pub(super) fn mean(&self, name: &str, counts: impl Fn(u64) -> bool) -> Option<f64> {
        let series = self.series.iter().find(|series| series.name == name)?;
        let points = series.points.iter().filter(|(second, _)| counts(*second));
        let values: Vec<f64> = points.filter_map(|(_, value)| *value).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }
}

impl LoadResult {
    /// Accepted orders per second in the best stage.
    pub(super) fn orders_per_second(&self) -> f64 {
        let of_stage = |stage: &StageRun| {
            let is_within = |second: &&Second| {
                second.second as f64 >= stage.from && (second.second + 1) as f64 <= stage.to
            };
            let within: Vec<u64> =
                self.timeline.iter().filter(is_within).map(|second| second.orders).collect();
            within.iter().sum::<u64>() as f64 / (within.len() as f64).max(1.0)
        };
        self.stages.iter().map(of_stage).fold(0.0, f64::max)
    }

    /// The table for the terminal.
    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        let Totals { started, accepted, refused, overloaded, failed, timed_out } = self.totals;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{}: {:.1} s, {started} requests: {accepted} accepted, {refused} refused, {overloaded} overloaded, \
             {failed} failed, {timed_out} timed out",
            self.scenario.name, self.seconds
        );
        let _ = writeln!(
            text,
            "\n{:<20} {:>8} {:>12} {:>12} {:>12} {:>12} {:>8}",
            "stage", "kind", "wanted/s", "visits/s", "orders/s", "refused/s", "cores"
        );
        for stage in &self.stages {
            let wanted = stage.wanted_per_second.map_or("-".to_owned(), |wanted| format!("{wanted:.0}"));
            let cores = stage.engine_cores.map_or("-".to_owned(), |cores| format!("{cores:.2}"));
            let _ = writeln!(
                text,
                "{:<20} {:>8} {:>12} {:>12.0} {:>12.0} {:>12.0} {:>8}",
                stage.name,
                stage.kind,
                wanted,
                stage.reached_per_second,
                stage.orders_per_second,
                stage.refused_per_second,
                cores
            );
        }
        let _ = writeln!(
            text,
            "\n{:<20} {:<28} {:>9} {:>9} {:>9} {:>9} {:>9} {:>10} {:>9}",
            "step", "outcome", "count", "per s", "p50 ms", "p99 ms", "p99.9 ms", "p99.99 ms", "max ms"
        );
        for step in &self.steps {
            let outcome = match &step.reason {
                Some(reason) => format!("{} {reason}", step.outcome),
                None => step.outcome.clone(),
            };
            let LatencyMs { p50, p99, p99_9, p99_99, max, .. } = step.latency_ms;
            let _ = writeln!(
                text,
                "{:<20} {outcome:<28} {:>9} {:>9.0} {p50:>9.2} {p99:>9.2} {p99_9:>9.2} {p99_99:>10.2} {max:>9.2}",
                step.step, step.count, step.per_second
            );
        }
        let Generator { cpu_share, late_share, late_ms, lag_ms, memory_peak_bytes, .. } = &self.generator;
        let _ = writeln!(
            text,
            "\ngenerator: {:.0} % of its time busy, lag p99 {:.2} ms, {:.2} % of starts more than {late_ms} ms late, \
             {:.0} MB at most",
            cpu_share * 100.0,
            lag_ms.p99,
            late_share * 100.0,
            *memory_peak_bytes as f64 / 1e6
        );
        for reason in &self.invalid_because {
            let _ = writeln!(text, "NOT VALID: {reason}");
        }
        if let Some((entries, bytes)) = self.engine.as_ref().and_then(EngineSeries::waiting) {
            let _ = writeln!(text, "waiting room: {entries} entries, {bytes:.0} bytes each");
        }
        for GoalResult { name, value, at_least, at_most, met } in &self.goals {
            let verdict = if *met { "reached" } else { "MISSED" };
            let bound = match (at_least, at_most) {
                (Some(least), _) => format!("at least {least}"),
                (None, most) => format!("at most {}", most.unwrap_or_default()),
            };
            let _ = writeln!(text, "goal: {name} is {value:.2}, wanted {bound}: {verdict}");
        }
        if let Some(audit) = &self.audit {
            text.push_str(&audit.table());
        }
        text
    }
}

impl AuditResult {
    fn table(&self) -> String {
        let mut text = String::new();
        let Checked { accepted, refused, settled_by_key } = self.checked;
        let _ = writeln!(
            text,
            "\naudit: {accepted} accepted and {refused} refused orders compared with the shop, {settled_by_key} settled by \
             their key"
        );
        for SkuBalance { sku, start, accepted, cancelled, available, balance, .. } in &self.skus {
            let verdict = if *balance == 0 { "ok".to_owned() } else { format!("OFF BY {balance}") };
            let _ = writeln!(
                text,
                "  {sku}: {start} − {accepted} accepted + {cancelled} cancelled = {available} available: {verdict}"
            );
        }
        if let Some(sale) = &self.sale {
            let _ = writeln!(
                text,
                "  sale {}: {} of {} pieces sold, {} for one customer or card at most (limit {})",
                sale.id, sale.sold, sale.allotment, sale.most_of_one, sale.limit
            );
            let _ = writeln!(
                text,
                "  {} tickets, {} of them drawn; {} were let in; {} of {} refusals of broken rules are explained",
                sale.tickets, sale.drawn, sale.admitted, sale.explained, sale.offences
            );
        }
        for Findings { kind, count, examples } in &self.findings {
            let _ = writeln!(text, "  {}: {count}", kind.as_str().to_uppercase());
            for example in examples {
                let _ = writeln!(text, "    {example}");
            }
        }
        if let Some(engine) = &self.engine_audit {
            let _ =
                writeln!(text, "  the engine's own audit: {}", if engine.clean { "ok" } else { "BROKEN" });
        }
        let verdict = if self.clean { "nothing oversold, lost or duplicated" } else { "NOT CLEAN" };
        let _ = writeln!(text, "  {verdict}");
        text
    }
}
