//! What the sales actor and its running answers share; cheap to clone.
//!
//! Its use cases are in `planning.rs`, `lifecycle.rs`, `switches.rs`, `allotments.rs` and `approvals.rs`.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;

use super::domain::SalesNeeds;
use super::error::SalesError;
use super::gates::{GateRules, Paces};
use super::model::Sale;
use super::sale_locks::SaleLocks;
use super::sale_skus::SaleSkuList;
use super::store::SalesStore;
use crate::actors::waiting_room::{Pacing, PassKey};
use crate::config::SecondOperator;
use crate::types::SaleId;

/// SKUs of one sale that are asked about at the same time.
pub(super) const AT_ONCE: usize = 16;
/// How often a change is tried that another change overtook.
pub(super) const ATTEMPTS: usize = 4;
/// Accounts, and devices, whose pace is remembered, in 16 bytes each.
const PACED_MAX: usize = 131_072;

/// The store, the needs and the settings of sales.
#[derive(Clone)]
pub struct SalesService {
    pub(super) store: SalesStore,
    pub(super) needs: SalesNeeds,
    pub(super) key: PassKey,
    pub(super) locks: SaleLocks,
    /// Follows the gates; orders copies it.
    pub(super) sale_skus: SaleSkuList,
    pub(super) arm_before: Duration,
    pub(super) schedule_every: Duration,
    pub(super) drain_within: Duration,
    /// How many orders of one account in a sale may wait for their payment; `None` sets no bound.
    unpaid_max: Option<u32>,
    /// The time between the orders of one account, and of one device, in sales; `None` sets no pace.
    order_every: Option<Duration>,
    orders_at_once: NonZeroU32,
    pub(super) hold_seconds_max: i64,
    /// The actions that need a second operator, how long a proposal waits, and how many proposals may wait.
    pub(super) second_operator: Vec<SecondOperator>,
    pub(super) proposals_lapse_after: Duration,
    pub(super) proposals_max: u32,
}

impl SalesService {
    pub fn new(store: SalesStore, needs: SalesNeeds, key: PassKey, config: &crate::config::Config) -> Self {
        Self {
            store,
            needs,
            key,
            locks: SaleLocks::default(),
            sale_skus: SaleSkuList::new(Timestamp::now()),
            arm_before: Duration::from_secs(config.sales.arm_before_seconds),
            schedule_every: Duration::from_millis(config.sales.schedule_every_ms),
            drain_within: Duration::from_secs(config.sales.drain_within_seconds),
            unpaid_max: Some(config.sales.unpaid_orders_max).filter(|most| *most > 0),
            order_every: Some(Duration::from_millis(config.sales.order_every_ms))
                .filter(|every| !every.is_zero()),
            orders_at_once: NonZeroU32::new(config.sales.orders_at_once).unwrap_or(NonZeroU32::MIN),
            hold_seconds_max: i64::try_from(config.inventory.hold_seconds_max).unwrap_or(i64::MAX),
            second_operator: config.sales.second_operator.clone(),
            proposals_lapse_after: Duration::from_secs(config.sales.proposal_seconds),
            proposals_max: config.sales.proposals_max,
        }
    }

    pub(super) fn paces(&self) -> Paces {
        let pacing = || self.order_every.map(|every| Pacing::new(every, self.orders_at_once, PACED_MAX));
        Paces { accounts: pacing(), devices: pacing() }
    }

    pub(super) fn gate_rules(&self) -> GateRules {
        GateRules { key: self.key.clone(), unpaid_max: self.unpaid_max }
    }

    pub(super) async fn sale(&self, id: SaleId) -> Result<Sale, SalesError> {
        self.store.find_sale(id).await?.ok_or(SalesError::UnknownSale(id))
    }
}
