//! Counts what happens to the customers of a dry run, and makes the course of the sale from it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::buyer::{Buyer, CustomerKind};
use super::report::{
    Course, ItemOutcome, Latency, Orders, QueueOutcome, RefusalOutcome, Second, StockSample, sells_out,
};
use crate::actors::inventory::Allotment;
use crate::actors::sales::Sale;
use crate::types::Sku;

pub(super) struct CrowdFigures {
    opened: Instant,
    latency: Histogram<u64>,
    waits: Histogram<u64>,
    placed: u64,
    paid: u64,
    first_and_last: Option<(Instant, Instant)>,
    refusals: HashMap<(&'static str, CustomerKind), (HashSet<Buyer>, u64)>,
    failures: BTreeMap<&'static str, u64>,
    seconds: Vec<Second>,
    joined: u64,
    admitted: u64,
    turned_away: u64,
    allotments: HashMap<Sku, Allotment>,
    samples: HashMap<Sku, Vec<StockSample>>,
}

impl CrowdFigures {
    /// `opened` may lie ahead; nothing is counted beyond so many seconds after it.
    pub fn new(opened: Instant, seconds: u32) -> Self {
        Self {
            opened,
            latency: histogram(),
            waits: histogram(),
            placed: 0,
            paid: 0,
            first_and_last: None,
            refusals: HashMap::new(),
            failures: BTreeMap::new(),
            seconds: vec![Second::default(); seconds as usize + 1],
            joined: 0,
            admitted: 0,
            turned_away: 0,
            allotments: HashMap::new(),
            samples: HashMap::new(),
        }
    }

    pub fn placed(&mut self, began: Instant) {
        let now = Instant::now();
        self.latency.saturating_record(microseconds(now - began));
        self.placed += 1;
        let first = self.first_and_last.map_or(now, |(first, _)| first);
        self.first_and_last = Some((first, now));
        if let Some(second) = self.this_second() {
            second.placed += 1;
        }
    }

    pub fn paid(&mut self) {
        self.paid += 1;
    }

    pub fn refused(&mut self, buyer: Buyer, kind: CustomerKind, code: &'static str) {
        let (buyers, refusals) = self.refusals.entry((code, kind)).or_default();
        buyers.insert(buyer);
        *refusals += 1;
        if let Some(second) = self.this_second() {
            second.refused += 1;
        }
    }

    pub fn failed(&mut self, code: &'static str) {
        *self.failures.entry(code).or_default() += 1;
    }

    pub fn joined_queue(&mut self) {
        self.joined += 1;
    }

    pub fn admitted(&mut self, joined: Instant) {
        self.admitted += 1;
        let waited = Instant::now().saturating_duration_since(joined);
        self.waits.saturating_record(microseconds(waited));
    }

    pub fn turned_away(&mut self) {
        self.turned_away += 1;
    }

    /// Records the sale's allotments as they are now.
    pub fn sample(&mut self, allotments: impl IntoIterator<Item = (Sku, Allotment)>) {
        let after = self.opened.elapsed();
        for (sku, allotment) in allotments {
            let samples = self.samples.entry(sku.clone()).or_default();
            let pieces = allotment.held + allotment.sold;
            // Samples after the first sold-out one add no information.
            if samples.last().is_none_or(|last| last.pieces < allotment.allotment) && after > Duration::ZERO {
                samples.push(StockSample { after, pieces });
            }
            self.allotments.insert(sku, allotment);
        }
    }

    /// The current second after the opening.
    fn this_second(&mut self) -> Option<&mut Second> {
        let after = Instant::now().checked_duration_since(self.opened)?;
        self.seconds.get_mut(usize::try_from(after.as_secs()).ok()?)
    }

    /// The course of the sale, which was open for `open_for`.
    pub fn into_course(self, sale: &Sale, open_for: Duration, has_room: bool) -> Course {
        let items: Vec<ItemOutcome> = sale
            .draft
            .items
            .iter()
            .map(|item| {
                let planned = item.allotment.get();
                let allotment = self.allotments.get(&item.sku).copied();
                let allotment = allotment.unwrap_or(Allotment::of(sale.id, planned));
                let samples = self.samples.get(&item.sku).map(Vec::as_slice).unwrap_or_default();
                let (sells_out_in_seconds, is_sold_out) = sells_out(planned, samples);
                ItemOutcome {
                    sku: item.sku.to_string(),
                    allotment: planned,
                    sold: allotment.sold,
                    held: allotment.held,
                    remaining: allotment.remaining(),
                    sells_out_in_seconds,
                    is_sold_out,
                }
            })
            .collect();
        let last = items.iter().map(|item| item.sells_out_in_seconds);
        let sells_out_in_seconds = last.reduce(|one, other| Some(one?.max(other?))).flatten();
        let span = self.first_and_last.map_or(0.0, |(first, last)| (last - first).as_secs_f64());
        let mut seconds = self.seconds;
        seconds.truncate(usize::try_from(open_for.as_secs()).unwrap_or(usize::MAX).saturating_add(1));
        let most = |of: fn(&Second) -> u64| seconds.iter().map(of).max().unwrap_or_default();
        let mut refusals: Vec<RefusalOutcome> = self
            .refusals
            .into_iter()
            .map(|((gate, kind), (buyers, refusals))| RefusalOutcome {
                gate: gate.to_owned(),
                customers_of: kind.as_str().to_owned(),
                customers: buyers.len() as u64,
                refusals,
            })
            .collect();
        refusals.sort_by(|one, other| {
            other
                .refusals
                .cmp(&one.refusals)
                .then_with(|| (&one.gate, &one.customers_of).cmp(&(&other.gate, &other.customers_of)))
        });
        let queue = has_room.then(|| QueueOutcome {
            joined: self.joined,
            admitted: self.admitted,
            turned_away: self.turned_away,
            waiting: self.joined - self.admitted - self.turned_away,
            median_wait_seconds: (!self.waits.is_empty())
                .then(|| self.waits.value_at_quantile(0.5) as f64 / 1_000_000.0),
        });
        Course {
            open_seconds: open_for.as_secs_f64(),
            sells_out_in_seconds,
            is_sold_out: items.iter().all(|item| item.is_sold_out),
            orders: Orders {
                placed: self.placed,
                paid: self.paid,
                most_per_second: most(|second| second.placed),
                // Over less than a second a rate means little, so the span counts as one.
                per_second: self.placed as f64 / span.max(1.0),
                refusals_most_per_second: most(|second| second.refused),
            },
            items,
            refusals,
            failures: self.failures.into_iter().map(|(code, count)| (code.to_owned(), count)).collect(),
            latency: Latency::of(&self.latency),
            queue,
            seconds,
        }
    }
}

/// Of microseconds, up to a minute, with three significant digits.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3)
        .unwrap_or_else(|_| unreachable!("the bounds are in order, and hdrhistogram knows three digits"))
}

pub(super) fn microseconds(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
