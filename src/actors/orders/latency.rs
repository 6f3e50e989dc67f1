//! How long orders of sales took from their arrival to their answer, over the last seconds.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::messages::Latency;
use crate::types::SaleId;

/// How many seconds count, including the current one.
const SECONDS: usize = 10;
/// Sales whose orders are timed, of some 100 kB each; the one with the oldest order makes room for the next.
const SALES_MAX: usize = 64;
/// Microseconds; shorter and longer times count as these.
const SHORTEST: u64 = 50;
const LONGEST: u64 = 60_000_000;
/// Significant digits.
const PRECISION: u8 = 2;

/// Shared by the running answers, which are all on the arbiter of the orders actor, so that no lock is needed.
#[derive(Clone)]
pub(super) struct Latencies {
    began: Instant,
    windows: Rc<RefCell<HashMap<SaleId, Window>>>,
}

/// A histogram for each of the last seconds, in the place of the second's number.
#[derive(Default)]
struct Window {
    last: u64,
    seconds: [Option<(u64, Histogram<u32>)>; SECONDS],
}

impl Latencies {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), windows: Rc::default() }
    }

    /// Records how long an order took.
    pub(super) fn note(&self, sale: SaleId, took: Duration) {
        self.note_at(sale, took, self.began.elapsed().as_secs());
    }

    fn note_at(&self, sale: SaleId, took: Duration, second: u64) {
        let mut windows = self.windows.borrow_mut();
        if windows.len() >= SALES_MAX
            && !windows.contains_key(&sale)
            && let Some(rested) = windows.iter().min_by_key(|(_, window)| window.last).map(|(sale, _)| *sale)
        {
            windows.remove(&rested);
        }
        windows.entry(sale).or_default().note(took, second);
    }

    /// Of the orders of a sale in the last seconds; `None` when there were none.
    pub(super) fn of(&self, sale: SaleId) -> Option<Latency> {
        self.of_at(sale, self.began.elapsed().as_secs())
    }

    fn of_at(&self, sale: SaleId, second: u64) -> Option<Latency> {
        self.windows.borrow().get(&sale)?.sum(second)
    }
}

impl Window {
    fn note(&mut self, took: Duration, second: u64) {
        self.last = second;
        let place = &mut self.seconds[(second % SECONDS as u64) as usize];
        match place {
            Some((of, _)) if *of == second => {}
            Some((of, histogram)) => {
                *of = second;
                histogram.reset();
            }
            // `None` never occurs: a histogram accepts these constant bounds.
            None => *place = empty().map(|histogram| (second, histogram)),
        }
        if let Some((_, histogram)) = place {
            histogram.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        }
    }

    fn sum(&self, second: u64) -> Option<Latency> {
        let mut all = empty()?;
        let recent = self.seconds.iter().flatten().filter(|(of, _)| of + SECONDS as u64 > second);
        for (_, histogram) in recent {
            all.add(histogram).ok()?;
        }
        let at = |quantile| Duration::from_micros(all.value_at_quantile(quantile));
        (!all.is_empty()).then(|| Latency { orders: all.len(), p50: at(0.5), p99: at(0.99), p999: at(0.999) })
    }
}

fn empty() -> Option<Histogram<u32>> {
    Histogram::new_with_bounds(SHORTEST, LONGEST, PRECISION).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: Duration, milliseconds: u64) -> bool {
        let wanted = Duration::from_millis(milliseconds);
        found.abs_diff(wanted) <= wanted / 50
    }

    #[test]
    fn a_window_tells_how_long_most_orders_took_and_how_long_the_slowest() {
        let latencies = Latencies::new();
        let sale = SaleId::generate();
        assert!(latencies.of_at(sale, 0).is_none());
        for number in 1..=1_000 {
            latencies.note_at(sale, Duration::from_millis(number), number % 5);
        }
        let latency = latencies.of_at(sale, 5).unwrap();
        assert_eq!(latency.orders, 1_000);
        assert!(near(latency.p50, 500) && near(latency.p99, 990) && near(latency.p999, 999), "{latency:?}");
        assert!(latencies.of_at(SaleId::generate(), 5).is_none());
    }

    #[test]
    fn what_was_long_ago_does_not_count() {
        let latencies = Latencies::new();
        let sale = SaleId::generate();
        latencies.note_at(sale, Duration::from_secs(9), 3);
        latencies.note_at(sale, Duration::from_millis(4), 12);
        assert_eq!(latencies.of_at(sale, 12).unwrap().orders, 2);
        // The tenth second after it takes its place.
        latencies.note_at(sale, Duration::from_millis(4), 13);
        let latency = latencies.of_at(sale, 13).unwrap();
        assert!(latency.orders == 2 && near(latency.p999, 4), "{latency:?}");
        assert!(latencies.of_at(sale, 40).is_none());
    }

    #[test]
    fn the_sale_that_rested_longest_makes_room() {
        let latencies = Latencies::new();
        let sales: Vec<SaleId> = (0..=SALES_MAX).map(|_| SaleId::generate()).collect();
        for (second, sale) in sales.iter().enumerate() {
            latencies.note_at(*sale, Duration::from_secs(90), second as u64 / 8);
        }
        assert_eq!(latencies.windows.borrow().len(), SALES_MAX);
        let last = latencies.of_at(sales[SALES_MAX], SALES_MAX as u64 / 8).unwrap();
        assert!(near(last.p50, 60_000), "{last:?}");
    }
}
