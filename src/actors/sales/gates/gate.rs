//! Rules of one sale's gate: its window, its status and its switches.

use std::sync::Arc;

use jiff::Timestamp;

use super::counters::Counters;
use super::quota::{GateRules, Quota};
use super::refusal::Refusal;
use super::request::{QuotaHold, QuotaRequest};
use super::stops::Stops;
use crate::actors::sales::model::{Sale, SaleStatus};
use crate::types::Sku;

/// A sale, with everything that is counted of it.
pub(super) struct Gate {
    pub sale: Arc<Sale>,
    pub stops: Stops,
    pub quota: Quota,
    pub counters: Counters,
}

impl Gate {
    pub fn of(sale: Arc<Sale>) -> Self {
        Self { sale, stops: Stops::default(), quota: Quota::default(), counters: Counters::default() }
    }

    /// Counts an order that meets all rules.
    pub fn hold(
        &mut self,
        request: &QuotaRequest,
        generation: u64,
        rules: &GateRules,
    ) -> Result<QuotaHold, Refusal> {
        self.check_sale(request.arrived_at, request.is_staff)?;
        if !request.is_staff {
            self.check_skus(request)?;
        }
        let claimants = self.quota.claim(&self.sale, request, rules)?;
        Ok(self.answer(request, claimants, generation))
    }

    /// The answer to an order that is counted.
    pub fn answer(&self, request: &QuotaRequest, claimants: Arc<str>, generation: u64) -> QuotaHold {
        let items = request.lines.iter().filter_map(|line| self.sale.item(&line.sku));
        let hold = self.sale.draft.terms.hold_seconds;
        QuotaHold {
            sale: self.sale.id,
            prices: items.map(|item| (item.sku.clone(), item.price)).collect(),
            claimants,
            pay_within_seconds: if request.is_konbini { hold.konbini } else { hold.card },
            generation,
        }
    }

    /// Whether the sale takes orders at a moment.
    pub fn check_sale(&self, at: Timestamp, is_staff: bool) -> Result<(), Refusal> {
        self.check_window(at)?;
        self.stops.check_sale(is_staff)?;
        if self.sale.status == SaleStatus::Paused {
            return Err(Refusal::Paused);
        }
        if self.sale.is_stopped && !is_staff {
            return Err(Refusal::Stopped("the sale".to_owned()));
        }
        Ok(())
    }

    /// The window counts by the time of an order's request, even if the schedule writes the new status later.
    fn check_window(&self, arrived_at: Timestamp) -> Result<(), Refusal> {
        let draft = &self.sale.draft;
        if arrived_at < draft.opens_at {
            let wait = draft.opens_at.duration_since(arrived_at);
            let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
            return Err(Refusal::NotOpen { opens_in: Some(seconds) });
        }
        let is_over = arrived_at >= draft.closes_at
            || !matches!(self.sale.status, SaleStatus::Armed | SaleStatus::Open | SaleStatus::Paused);
        if is_over { Err(Refusal::NotOpen { opens_in: None }) } else { Ok(()) }
    }

    pub fn is_sku_stopped(&self, sku: &Sku) -> bool {
        self.sale.stopped_skus.contains(sku) || self.stops.is_sku_stopped(sku)
    }

    fn check_skus(&self, request: &QuotaRequest) -> Result<(), Refusal> {
        let stopped = request.lines.iter().find(|line| self.is_sku_stopped(&line.sku));
        match stopped {
            Some(line) => Err(Refusal::Stopped(line.sku.to_string())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{gate, gates, request, try_hold};
    use super::*;

    #[test]
    fn an_order_is_in_the_sale_by_its_arrival_and_not_by_the_written_status() {
        for status in [SaleStatus::Armed, SaleStatus::Open] {
            let (mut gates, _) = gates(|sale| sale.status = status);
            for (second, expected) in
                [(999, "sale-not-open"), (1_000, "held"), (1_999, "held"), (2_000, "sale-not-open")]
            {
                let request = request(second as u128, 1, second);
                assert_eq!(gate(try_hold(&mut gates, &request)), expected, "{second}");
            }
        }
        for (status, expected) in [
            (SaleStatus::Draft, "no sale"),
            (SaleStatus::Scheduled, "no sale"),
            (SaleStatus::Paused, "sale-paused"),
            (SaleStatus::Draining, "sale-not-open"),
            (SaleStatus::Closed, "sale-not-open"),
            (SaleStatus::Settled, "no sale"),
            (SaleStatus::Cancelled, "no sale"),
        ] {
            let (mut gates, _) = gates(|sale| sale.status = status);
            assert_eq!(gate(try_hold(&mut gates, &request(1, 1, 1_500))), expected, "{status:?}");
        }
    }
}
