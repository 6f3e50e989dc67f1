//! Rules of measuring: how long the orders of a second took until they were durable.

use std::time::Duration;

/// Latencies that are kept of one second.
const LATENCIES_MAX: usize = 50_000;
const SECOND: Duration = Duration::from_secs(1);

/// The latencies of this second, and the p99 of the one before.
#[derive(Default)]
pub(super) struct Latencies {
    this_second: Vec<Duration>,
    p99: Option<Duration>,
    /// Whether any order was on its way at the end of the last second.
    were_in_checkout: bool,
}

impl Latencies {
    pub fn record(&mut self, took: Duration) {
        if self.this_second.len() < LATENCIES_MAX {
            self.this_second.push(took);
        }
    }

    pub fn p99(&self) -> Option<Duration> {
        self.p99
    }

    pub fn end_second(&mut self, are_in_checkout: bool) {
        self.this_second.sort_unstable();
        self.p99 = match self.this_second.get(self.this_second.len() * 99 / 100) {
            Some(took) => Some(*took),
            // No order that was on its way a second ago got through: orders take a second longer than was known.
            None if self.were_in_checkout && are_in_checkout => Some(self.p99.unwrap_or_default() + SECOND),
            None => None,
        };
        self.were_in_checkout = are_in_checkout;
        self.this_second.clear();
    }
}
