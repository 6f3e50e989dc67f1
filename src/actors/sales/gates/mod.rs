//! Rules of the gates in front of the stock decision: whether an order may have pieces of a sale at this moment.
//!
//! An order meets them in this order: the switch for everything, the pace of the device and the account, the sale's
//! window and status, the switches of the sale and of the SKU, the payment method, the limits, the orders that are not
//! paid yet, the admission. The quota of an order that passes is held: its pieces count for the customer until it is
//! released. The gates decide from memory alone, wait for nothing and take the time as a parameter.
//!
//! | file | decides |
//! |---|---|
//! | `holds.rs` | whether an order gets a part of the quota, and when that is confirmed or released |
//! | `gate.rs` | the window, status and switches of one sale |
//! | `quota.rs` | limits per customer, konbini share, unpaid orders, admissions |
//! | `stops.rs` | stops that hold before they are written |
//! | `paces.rs` | how fast the orders of an account and of a device may come |
//! | `counters.rs`, `latency.rs` | tallies per second, and how long orders take |
//! | `refusal_log.rs` | refusals of each customer until they are stored |
//! | `admission_uses.rs` | used and returned admissions, for the waiting room |
//! | `recovery.rs` | what counts of the time before the gates began |

mod admission_uses;
mod counters;
mod gate;
mod holds;
mod latency;
mod paces;
mod quota;
mod recovery;
mod refusal;
mod refusal_log;
mod request;
mod stops;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub use counters::Tally;
pub use holds::Confirmed;
pub use paces::Paces;
pub use quota::GateRules;
pub use refusal::{DECLINED, GATES, Refusal};
pub use refusal_log::Refused;
pub use request::{DeviceId, NameKind, QuotaHold, QuotaRequest};
pub use stops::UnwrittenStops;

use self::admission_uses::AdmissionUses;
use self::gate::Gate;
use self::latency::Latencies;
use self::refusal_log::RefusalLog;
use self::stops::EverythingSwitch;
use super::model::Sale;
use crate::types::{SaleId, Sku};

/// The gates of all sales. The actor makes new ones whenever it starts.
pub struct Gates {
    /// Differs from that of all earlier gates.
    generation: u64,
    rules: GateRules,
    paces: Paces,
    everything: EverythingSwitch,
    by_sku: HashMap<Sku, SaleId>,
    sales: HashMap<SaleId, Gate>,
    /// Counts the stops that were set.
    last_stop: u64,
    admissions: AdmissionUses,
    refusals: RefusalLog,
    latencies: Latencies,
}

impl Gates {
    pub fn new(generation: u64, rules: GateRules, paces: Paces) -> Self {
        Self {
            generation,
            rules,
            paces,
            everything: EverythingSwitch::default(),
            by_sku: HashMap::new(),
            sales: HashMap::new(),
            last_stop: 0,
            admissions: AdmissionUses::new(generation),
            refusals: RefusalLog::default(),
            latencies: Latencies::default(),
        }
    }

    /// Takes in the state of a sale; an older state than the known one changes nothing.
    pub fn enter(&mut self, sale: Sale) {
        let id = sale.id;
        match self.sales.get_mut(&id) {
            // Most sales that are read again are unchanged.
            Some(gate) if sale.version < gate.sale.version || *gate.sale == sale => return,
            Some(gate) => gate.sale = Arc::new(sale),
            None => drop(self.sales.insert(id, Gate::of(Arc::new(sale)))),
        }
        self.index();
    }

    pub fn forget(&mut self, sale: SaleId) {
        self.sales.remove(&sale);
        self.index();
    }

    /// Finds the sale of each SKU. Where one sale is over and not settled, the later one has the SKU.
    fn index(&mut self) {
        let mut gated: Vec<_> = self.sales.values().filter(|gate| gate.sale.status.is_gated()).collect();
        gated.sort_unstable_by_key(|gate| {
            (!gate.sale.status.is_over(), gate.sale.draft.opens_at, gate.sale.id)
        });
        self.by_sku = gated
            .into_iter()
            .flat_map(|gate| gate.sale.draft.items.iter().map(|item| (item.sku.clone(), gate.sale.id)))
            .collect();
    }

    pub fn sale(&self, id: SaleId) -> Option<&Arc<Sale>> {
        self.sales.get(&id).map(|gate| &gate.sale)
    }

    pub fn sales(&self) -> impl Iterator<Item = &Arc<Sale>> {
        self.sales.values().map(|gate| &gate.sale)
    }

    /// The p99 of the last second's orders until they were durable, and the number of orders that are being placed.
    pub fn load(&self) -> (Option<Duration>, u32) {
        (self.latencies.p99(), u32::try_from(self.in_checkout()).unwrap_or(u32::MAX))
    }

    fn in_checkout(&self) -> usize {
        self.sales.values().map(|gate| gate.quota.in_checkout().len()).sum()
    }

    /// Closes the counters of a second. Called once a second.
    pub fn end_second(&mut self) {
        let are_in_checkout = self.in_checkout() > 0;
        self.latencies.end_second(are_in_checkout);
        self.sales.values_mut().for_each(|gate| gate.counters.end_second());
    }

    /// Everything that came to the gates of a sale, and each of the last seconds, the latest last.
    pub fn tally(&self, sale: SaleId) -> Option<(Tally, Vec<Tally>)> {
        let counters = &self.sales.get(&sale)?.counters;
        Some((counters.tally(), counters.seconds()))
    }
}

#[cfg(test)]
mod entering {
    use super::super::model::SaleStatus;
    use super::tests::gates;
    use super::*;

    #[test]
    fn an_older_state_of_a_sale_changes_nothing() {
        let (mut gates, id) = gates(|sale| sale.version = 5);
        let known = Sale::clone(gates.sale(id).unwrap());
        gates.enter(Sale { status: SaleStatus::Closed, version: 4, ..known.clone() });
        assert_eq!(gates.sale(id).unwrap().status, SaleStatus::Open);
        gates.enter(Sale { status: SaleStatus::Closed, version: 6, ..known });
        assert_eq!(gates.sale(id).unwrap().status, SaleStatus::Closed);
    }
}
