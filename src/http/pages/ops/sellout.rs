//! The forecast of when a SKU sells out, from how fast its pieces were taken in the last moments.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::actors::sales::Live;

/// The period over which the rate is taken.
const RATE_OVER: Duration = Duration::from_secs(20);

/// The pieces that were taken at the last moments.
#[derive(Default)]
pub struct Rates {
    /// The pieces held or sold of each SKU at each moment, the latest last.
    samples: VecDeque<(Instant, Vec<(String, i64)>)>,
}

impl Rates {
    pub fn note(&mut self, live: &Live, now: Instant) {
        let taken = live.allotments.iter().map(|(sku, part)| (sku.to_string(), part.held + part.sold));
        self.note_taken(taken.collect(), now);
    }

    fn note_taken(&mut self, taken: Vec<(String, i64)>, now: Instant) {
        while self.samples.front().is_some_and(|(at, _)| now.duration_since(*at) > RATE_OVER) {
            self.samples.pop_front();
        }
        self.samples.push_back((now, taken));
    }

    /// The seconds until the rest is taken; `None` while no pieces are taken.
    pub fn sells_out_in(&self, sku: &str, remaining: i64) -> Option<i64> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let taken_at = |sample: &(Instant, Vec<(String, i64)>)| {
            sample.1.iter().find(|(other, _)| other == sku).map(|(_, taken)| *taken)
        };
        let seconds = last.0.duration_since(first.0).as_secs_f64();
        let taken = taken_at(last)? - taken_at(first)?;
        if remaining <= 0 || taken <= 0 || seconds < 1.0 {
            return None;
        }
        Some((remaining as f64 * seconds / taken as f64).ceil() as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forecast_follows_the_rate_of_the_last_twenty_seconds() {
        let start = Instant::now();
        let mut rates = Rates::default();
        let mut note = |seconds: u64, taken| {
            rates.note_taken(vec![("LAMP".to_owned(), taken)], start + Duration::from_secs(seconds));
            rates.sells_out_in("LAMP", 100)
        };
        assert_eq!(note(0, 0), None);
        assert_eq!(note(10, 50), Some(20));
        // Samples of long ago no longer count: fifty more in the twenty seconds since.
        assert_eq!(note(30, 100), Some(40));
        assert_eq!(note(60, 100), None);
    }

    #[test]
    fn a_sku_that_is_sold_out_or_unknown_has_no_forecast() {
        let start = Instant::now();
        let mut rates = Rates::default();
        rates.note_taken(vec![("LAMP".to_owned(), 0)], start);
        rates.note_taken(vec![("LAMP".to_owned(), 9)], start + Duration::from_secs(2));
        assert_eq!(rates.sells_out_in("LAMP", 0), None);
        assert_eq!(rates.sells_out_in("VASE", 5), None);
    }
}
