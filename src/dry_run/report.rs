//! The result of a dry run.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::types::Sku;

/// The result of a dry run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Report {
    pub crowd: CrowdSize,
    pub sale: Course,
    pub machine: Machine,
    /// Contradictions that the audit of the run's shop found; empty when everything adds up.
    pub contradictions: Vec<Contradiction>,
    /// What prevents the real sale as it is planned, at this moment.
    pub findings: Vec<PlanFinding>,
    pub untouched: Untouched,
}

impl Report {
    /// Whether the shop of the run added up, and the real one was not touched.
    pub fn is_clean(&self) -> bool {
        self.contradictions.is_empty() && self.untouched.is_untouched
    }
}

/// The course of the sale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Course {
    /// From the opening until all customers had bought or given up, or the time was over.
    pub open_seconds: f64,
    /// When the last piece was held or sold; null where it cannot be predicted.
    #[schema(required)]
    pub sells_out_in_seconds: Option<f64>,
    /// Whether it did sell out; otherwise the time is predicted from the rate of the second half.
    pub is_sold_out: bool,
    /// In the order of the plan.
    pub items: Vec<ItemOutcome>,
    pub orders: Orders,
    /// The most frequent first.
    pub refusals: Vec<RefusalOutcome>,
    /// Requests that failed, by code: the machine was overloaded, for example.
    pub failures: BTreeMap<String, u64>,
    /// Of placed orders, from the request until the order is durable.
    #[schema(required)]
    pub latency: Option<Latency>,
    /// Null without a waiting room.
    #[schema(required)]
    pub queue: Option<QueueOutcome>,
    /// Orders and refusals in each second after the opening.
    pub seconds: Vec<Second>,
}

/// The customers of a dry run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CrowdSize {
    pub customers: u32,
    /// The longest time for which the sale is open.
    pub seconds: u32,
    /// Requests that they make at the same time.
    pub at_once: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ItemOutcome {
    pub sku: String,
    /// Pieces.
    pub allotment: i64,
    pub sold: i64,
    /// For konbini slips that were not paid.
    pub held: i64,
    pub remaining: i64,
    /// As for the whole sale.
    #[schema(required)]
    pub sells_out_in_seconds: Option<f64>,
    pub is_sold_out: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Orders {
    pub placed: u64,
    pub paid: u64,
    /// In the best second.
    pub most_per_second: u64,
    /// From the first to the last of them.
    pub per_second: f64,
    pub refusals_most_per_second: u64,
}

/// Refusals by reason and kind of customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusalOutcome {
    /// The code of the refusal, for example `limit-reached`.
    #[schema(example = "limit-reached")]
    pub gate: String,
    /// `early` (came before the opening), `greedy` (wanted more than the limit), `konbini` or `card`.
    #[schema(example = "greedy")]
    pub customers_of: String,
    /// The number of customers of that kind.
    pub customers: u64,
    pub refusals: u64,
}

/// In milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Latency {
    pub p50: f64,
    pub p99: f64,
    pub p99_9: f64,
    pub max: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QueueOutcome {
    pub joined: u64,
    pub admitted: u64,
    /// Told that the sale was sold out or over before they were admitted.
    pub turned_away: u64,
    /// Still waiting at the end of the run.
    pub waiting: u64,
    /// In seconds, from the opening or from joining after it.
    #[schema(required)]
    pub median_wait_seconds: Option<f64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Second {
    pub placed: u64,
    pub refused: u64,
}

/// The orders that the machine takes when neither stock nor limits end them: on as many SKUs as the plan has, with the
/// checks of a sale without a waiting room. HTTP is not included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Machine {
    pub orders_per_second: f64,
    pub at_once: u32,
    pub cores: usize,
    #[schema(required)]
    pub latency: Option<Latency>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Contradiction {
    pub claim: String,
    pub subject: String,
    pub finding: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanFinding {
    /// Where in the plan, for example `items[2].allotment`.
    pub field: String,
    pub problem: String,
}

/// Whether the real shop was left untouched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Untouched {
    /// The shop has no row of the run, and its ledger explains every change of its stock.
    pub is_untouched: bool,
    /// Rows of the shop that name a customer or a sale of the run.
    pub traces: i64,
    pub items: Vec<ItemUntouched>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ItemUntouched {
    pub sku: String,
    /// Null where the shop does not count the SKU.
    #[schema(required)]
    pub before: Option<StockFigures>,
    #[schema(required)]
    pub after: Option<StockFigures>,
    /// The shop's ledger explains what changed in between.
    pub is_explained: bool,
}

/// The real stock of a SKU, in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StockFigures {
    pub on_hand: i64,
    pub reserved: i64,
    pub allotted: i64,
    /// The number of its movements.
    pub version: i64,
}

impl Untouched {
    /// Sales and receipts of the shop itself during the run are in its ledger and count as explained.
    pub(super) fn of(
        traces: i64,
        skus: impl IntoIterator<Item = Sku>,
        before: &BTreeMap<Sku, StockFigures>,
        moved: &BTreeMap<Sku, StockFigures>,
        after: &BTreeMap<Sku, StockFigures>,
    ) -> Self {
        let items: Vec<ItemUntouched> = skus
            .into_iter()
            .map(|sku| {
                let (before, after) = (before.get(&sku).copied(), after.get(&sku).copied());
                let is_explained = match (before, moved.get(&sku), after) {
                    (Some(before), Some(moved), Some(after)) => before.plus(moved) == after,
                    (before, _, _) => before.is_none(),
                };
                ItemUntouched { sku: sku.to_string(), before, after, is_explained }
            })
            .collect();
        let is_untouched = traces == 0 && items.iter().all(|item| item.is_explained);
        Self { is_untouched, traces, items }
    }
}

impl StockFigures {
    const fn plus(self, moved: &Self) -> Self {
        Self {
            on_hand: self.on_hand + moved.on_hand,
            reserved: self.reserved + moved.reserved,
            allotted: self.allotted + moved.allotted,
            version: self.version + moved.version,
        }
    }
}

impl Latency {
    /// From a histogram of microseconds; `None` when it is empty.
    pub(super) fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let milliseconds = |microseconds: u64| microseconds as f64 / 1_000.0;
        let at = |quantile| milliseconds(histogram.value_at_quantile(quantile));
        (!histogram.is_empty()).then(|| Self {
            p50: at(0.5),
            p99: at(0.99),
            p99_9: at(0.999),
            max: milliseconds(histogram.max()),
        })
    }
}

/// The pieces of a SKU that were taken at some time after the opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StockSample {
    pub after: Duration,
    /// Held or sold.
    pub pieces: i64,
}

/// The seconds until a SKU sells out, and whether it did: measured where it did, else predicted from the rate of the
/// second half of the time.
pub(super) fn sells_out(allotment: i64, samples: &[StockSample]) -> (Option<f64>, bool) {
    if let Some(sold_out) = samples.iter().find(|sample| sample.pieces >= allotment) {
        return (Some(sold_out.after.as_secs_f64()), true);
    }
    let predicted = || {
        let last = samples.last()?;
        let half = samples.iter().find(|sample| sample.after * 2 >= last.after)?;
        let (pieces, seconds) = (last.pieces - half.pieces, (last.after - half.after).as_secs_f64());
        (pieces > 0 && seconds > 0.0).then(|| {
            let rate = pieces as f64 / seconds;
            last.after.as_secs_f64() + (allotment - last.pieces) as f64 / rate
        })
    };
    (predicted(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(taken: &[(u64, i64)]) -> Vec<StockSample> {
        taken
            .iter()
            .map(|&(after, pieces)| StockSample { after: Duration::from_secs(after), pieces })
            .collect()
    }

    #[test]
    fn a_sold_out_time_is_measured_or_predicted_from_the_rate() {
        assert_eq!(sells_out(100, &samples(&[(1, 60), (2, 100), (3, 100)])), (Some(2.0), true));
        // Ten a second in the second half: 50 more take five seconds more.
        assert_eq!(sells_out(100, &samples(&[(0, 0), (2, 30), (4, 50)])), (Some(9.0), false));
        assert_eq!(sells_out(100, &samples(&[(0, 0), (2, 30), (4, 30)])), (None, false));
        assert_eq!(sells_out(100, &[]), (None, false));
    }

    #[test]
    fn a_trace_or_a_change_without_a_movement_means_the_shop_was_touched() {
        let lamp: Sku = "LAMP".parse().unwrap();
        let stock = |on_hand, version| {
            BTreeMap::from([(lamp.clone(), StockFigures { on_hand, reserved: 0, allotted: 0, version })])
        };
        let untouched = |traces, before, moved, after| {
            Untouched::of(traces, [lamp.clone()], &before, &moved, &after).is_untouched
        };
        assert!(untouched(0, stock(5, 1), stock(0, 0), stock(5, 1)));
        assert!(untouched(0, stock(5, 1), stock(-1, 1), stock(4, 2)));
        assert!(untouched(0, BTreeMap::new(), BTreeMap::new(), BTreeMap::new()));
        assert!(!untouched(1, stock(5, 1), stock(0, 0), stock(5, 1)));
        assert!(!untouched(0, stock(5, 1), stock(0, 0), stock(4, 1)));
        assert!(!untouched(0, stock(5, 1), stock(1, 1), stock(4, 2)));
        assert!(!untouched(0, stock(5, 1), stock(0, 0), BTreeMap::new()));
    }
}
