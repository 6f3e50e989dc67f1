//! Rules of stops: what keeps buyers out of everything, of a sale or of one of its SKUs, before and after it is
//! written.
//!
//! A stop holds from the moment of the command. It is lifted by its number when the written state has taken over, or
//! when the command was refused. If writing failed, it stays: the operator does not know that the sale is not stopped.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Gates;
use super::refusal::Refusal;
use crate::actors::sales::model::{Halt, SaleStatus};
use crate::types::{SaleId, Sku};

/// A stop that takes longer than this to be written is shown as unwritten.
const SECOND: Duration = Duration::from_secs(1);

/// The switch for everything.
#[derive(Default)]
pub(super) struct EverythingSwitch {
    /// The written state.
    is_stopped: bool,
    /// Turned on, and not written yet.
    is_stop_pending: bool,
}

/// Keeps buyers out of a sale from the moment of the command.
struct Stop {
    /// By which it is lifted; a later one has a higher number.
    number: u64,
    /// The SKU that is stopped; `None` stands for the whole sale.
    sku: Option<Sku>,
    refusal: Refusal,
    set_at: Instant,
}

/// The stops of one sale that are not lifted, the first one first.
#[derive(Default)]
pub(super) struct Stops {
    stops: Vec<Stop>,
}

impl Stops {
    pub fn check_sale(&self, is_staff: bool) -> Result<(), Refusal> {
        let holds_up =
            |stop: &&Stop| stop.sku.is_none() && !(is_staff && matches!(stop.refusal, Refusal::Stopped(_)));
        match self.stops.iter().find(holds_up) {
            Some(stop) => Err(stop.refusal.clone()),
            None => Ok(()),
        }
    }

    pub fn is_sku_stopped(&self, sku: &Sku) -> bool {
        self.stops.iter().any(|stop| stop.sku.as_ref() == Some(sku))
    }
}

/// Stops of a sale that hold though they are not written: writing them failed, or takes long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnwrittenStops {
    pub is_of_sale: bool,
    pub skus: Vec<Sku>,
}

impl Gates {
    /// Takes in the written state of the switch for everything; a stop that is not written yet stays.
    pub fn set_stopped(&mut self, is_stopped: bool) {
        self.everything.is_stopped = is_stopped;
    }

    /// Stops all orders of customers until it is lifted.
    pub fn stop_everything(&mut self) {
        self.everything.is_stop_pending = true;
    }

    pub fn lift_everything(&mut self) {
        self.everything.is_stop_pending = false;
    }

    pub fn is_stopped(&self) -> bool {
        self.everything.is_stopped || self.everything.is_stop_pending
    }

    /// Keeps buyers out of a sale until the stop is lifted by the number that this answers.
    pub fn set_stop(&mut self, sale: SaleId, refusal: Refusal, now: Instant) -> u64 {
        self.add_stop(sale, None, refusal, now)
    }

    /// Keeps buyers of one SKU out; a SKU that is not in the sale changes nothing.
    pub fn set_sku_stop(&mut self, sale: SaleId, sku: &Sku, now: Instant) -> u64 {
        self.add_stop(sale, Some(sku), Refusal::Stopped(sku.to_string()), now)
    }

    fn add_stop(&mut self, sale: SaleId, sku: Option<&Sku>, refusal: Refusal, set_at: Instant) -> u64 {
        self.last_stop += 1;
        let number = self.last_stop;
        if let Some(gate) = self.sales.get_mut(&sale)
            && sku.is_none_or(|sku| gate.sale.item(sku).is_some())
        {
            gate.stops.stops.push(Stop { number, sku: sku.cloned(), refusal, set_at });
        }
        number
    }

    /// Lifts one stop. Buyers come in again as far as the sale and its other stops let them.
    pub fn lift_stop(&mut self, sale: SaleId, number: u64) {
        if let Some(gate) = self.sales.get_mut(&sale) {
            gate.stops.stops.retain(|stop| stop.number != number);
        }
    }

    /// Lifts the stops of a SKU up to a number: they were set before it was resumed.
    pub fn lift_sku_stops(&mut self, sale: SaleId, sku: &Sku, last: u64) {
        if let Some(gate) = self.sales.get_mut(&sale) {
            gate.stops.stops.retain(|stop| stop.number > last || stop.sku.as_ref() != Some(sku));
        }
    }

    /// Lifts the stops of the sale as a whole up to a number; a pause and a kill are resumed one at a time.
    pub fn lift_sale_stops(&mut self, sale: SaleId, ended: Halt, last: u64) {
        if let Some(gate) = self.sales.get_mut(&sale) {
            let is_other = |stop: &Stop| {
                matches!(
                    (ended, &stop.refusal),
                    (Halt::Pause, Refusal::Stopped(_)) | (Halt::Kill, Refusal::Paused)
                )
            };
            gate.stops.stops.retain(|stop| stop.number > last || stop.sku.is_some() || is_other(stop));
        }
    }

    /// The stops of a sale that have been waiting for longer than writing them takes.
    pub fn unwritten(&self, sale: SaleId, now: Instant) -> UnwrittenStops {
        let mut unwritten = UnwrittenStops::default();
        let stops = self.sales.get(&sale).into_iter().flat_map(|gate| &gate.stops.stops);
        for stop in stops.filter(|stop| now.saturating_duration_since(stop.set_at) > SECOND) {
            match &stop.sku {
                None => unwritten.is_of_sale = true,
                Some(sku) if !unwritten.skus.contains(sku) => unwritten.skus.push(sku.clone()),
                Some(_) => {}
            }
        }
        unwritten
    }

    /// What keeps buyers out of a sale as a whole at this moment, until it is resumed.
    pub fn halts(&self, sale: SaleId) -> Vec<Halt> {
        let Some(gate) = self.sales.get(&sale) else { return Vec::new() };
        let mut stops = gate.stops.stops.iter().filter(|stop| stop.sku.is_none());
        let is_paused = gate.sale.status == SaleStatus::Paused
            || stops.clone().any(|stop| stop.refusal == Refusal::Paused);
        // An end that could not be written is taken back as a kill is.
        let is_killed = gate.sale.is_stopped || stops.any(|stop| stop.refusal != Refusal::Paused);
        [(is_paused, Halt::Pause), (is_killed, Halt::Kill)]
            .into_iter()
            .filter_map(|(is_on, halt)| is_on.then_some(halt))
            .collect()
    }

    /// The number of the last stop that was set in any sale.
    pub fn last_stop(&self) -> u64 {
        self.last_stop
    }

    /// Whether a customer's order of a sale that arrives at this moment would find its gates open.
    pub fn is_selling(&self, sale: SaleId, at: Timestamp) -> bool {
        !self.is_stopped() && self.sales.get(&sale).is_some_and(|gate| gate.check_sale(at, false).is_ok())
    }

    /// Whether one SKU of a sale is stopped by a switch of its own.
    pub fn is_sku_stopped(&self, sale: SaleId, sku: &Sku) -> bool {
        self.sales.get(&sale).is_some_and(|gate| gate.is_sku_stopped(sku))
    }
}

#[cfg(test)]
mod tests {
    use super::super::QuotaRequest;
    use super::super::tests::{gate, gates, request, try_hold};
    use super::*;
    use crate::actors::sales::model::Sale;

    #[test]
    fn switches_stop_customers_and_let_staff_pass() {
        let lamp: Sku = "LAMP".parse().unwrap();
        let now = Instant::now();
        for turn_on in [
            &(|gates: &mut Gates, _| gates.set_stopped(true)) as &dyn Fn(&mut Gates, SaleId),
            // Turned on, and not written yet when it is read again.
            &|gates, _| {
                gates.stop_everything();
                gates.set_stopped(false);
            },
            &|gates, id| {
                gates.set_stop(id, Refusal::Stopped("the sale".to_owned()), now);
            },
            &|gates, id| {
                gates.set_sku_stop(id, &lamp, now);
            },
            &|gates, id| {
                let stopped = Sale { is_stopped: true, ..Sale::clone(gates.sale(id).unwrap()) };
                gates.enter(stopped);
            },
            &|gates, id| {
                let sale = Sale::clone(gates.sale(id).unwrap());
                gates.enter(Sale { stopped_skus: vec![lamp.clone()], ..sale });
            },
        ] {
            let (mut gates, id) = gates(|_| {});
            turn_on(&mut gates, id);
            assert_eq!(gate(try_hold(&mut gates, &request(1, 1, 1_500))), "stopped");
            let staff = QuotaRequest { is_staff: true, ..request(1, 1, 1_500) };
            assert_eq!(gate(try_hold(&mut gates, &staff)), "held");
        }
    }

    #[test]
    fn a_stop_stays_through_other_changes_and_is_lifted_by_its_number() {
        let (mut gates, id) = gates(|sale| sale.draft.terms.limit_per_customer = None);
        let (lamp, ghost): (Sku, Sku) = ("LAMP".parse().unwrap(), "GHOST".parse().unwrap());
        let now = Instant::now();
        let paused = gates.set_stop(id, Refusal::Paused, now);
        let changed = Sale { version: 9, ..Sale::clone(gates.sale(id).unwrap()) };
        gates.enter(changed);
        gates.set_sku_stop(id, &ghost, now);
        assert_eq!(gate(try_hold(&mut gates, &request(1, 1, 1_500))), "sale-paused");
        let killed = gates.set_stop(id, Refusal::Stopped("the sale".to_owned()), now);
        gates.lift_stop(id, paused);
        assert_eq!(gate(try_hold(&mut gates, &request(1, 1, 1_500))), "stopped");
        let of_sku = gates.set_sku_stop(id, &lamp, now);
        gates.lift_stop(id, killed);
        assert_eq!(gate(try_hold(&mut gates, &request(1, 1, 1_500))), "stopped");
        gates.lift_stop(id, of_sku);
        assert_eq!(gate(try_hold(&mut gates, &request(1, 1, 1_500))), "held");
    }

    #[test]
    fn resuming_lifts_the_stops_set_before_it_and_no_other() {
        let (mut gates, id) = gates(|sale| sale.draft.terms.limit_per_customer = None);
        let lamp: Sku = "LAMP".parse().unwrap();
        let now = Instant::now();
        gates.set_sku_stop(id, &lamp, now);
        gates.set_stop(id, Refusal::Paused, now);
        gates.set_stop(id, Refusal::Stopped("the sale".to_owned()), now);
        let last = gates.last_stop();
        assert_eq!(gates.halts(id), [Halt::Pause, Halt::Kill]);
        gates.lift_sale_stops(id, Halt::Pause, last);
        assert_eq!(gates.sales[&id].stops.stops.len(), 2, "the kill's stays, and so does the SKU's");
        assert_eq!(gates.halts(id), [Halt::Kill]);
        gates.lift_sale_stops(id, Halt::Kill, last);
        assert_eq!(gate(try_hold(&mut gates, &request(1, 1, 1_500))), "stopped");
        // Killed once more while that is resumed.
        gates.set_sku_stop(id, &lamp, now);
        gates.lift_sku_stops(id, &lamp, last);
        assert_eq!(gate(try_hold(&mut gates, &request(1, 1, 1_500))), "stopped");
        let last = gates.last_stop();
        gates.lift_sku_stops(id, &lamp, last);
        assert_eq!(gate(try_hold(&mut gates, &request(1, 1, 1_500))), "held");
    }

    #[test]
    fn a_stop_that_stays_is_shown_and_goes_when_the_sale_is_resumed() {
        let (mut gates, id) = gates(|sale| sale.status = SaleStatus::Armed);
        let lamp: Sku = "LAMP".parse().unwrap();
        let (now, later) = (Instant::now(), Instant::now() + 2 * SECOND);
        gates.set_stop(id, Refusal::NotOpen { opens_in: None }, now);
        gates.set_sku_stop(id, &lamp, now);
        assert_eq!(gates.unwritten(id, now), UnwrittenStops::default(), "it may be written at this moment");
        assert_eq!(gates.unwritten(id, later), UnwrittenStops { is_of_sale: true, skus: vec![lamp.clone()] });

        assert_eq!(gates.halts(id), [Halt::Kill]);
        gates.lift_sale_stops(id, Halt::Kill, gates.last_stop());
        gates.lift_sku_stops(id, &lamp, gates.last_stop());

        assert_eq!(gates.unwritten(id, later), UnwrittenStops::default());
        assert_eq!(gate(try_hold(&mut gates, &request(1, 1, 1_500))), "held");
    }
}
