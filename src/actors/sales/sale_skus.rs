//! The list of SKUs whose orders sales must decide about. Orders keeps a copy, and does not ask about other orders.
//!
//! A copy may be used until [`SALE_SKUS_USABLE_FOR`] after it was asked for. So an addition is in force everywhere that
//! long after it was made, and sales waits for that before it arms a sale, and before it answers a stop of everything.
//! Sales need not know who has copies, and a copy that is cut off does no harm. A SKU that is on the list without need
//! costs its orders one question. Therefore it is added early, when its sale is scheduled, and removed when the sale is
//! settled or cancelled.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::model::{Sale, SaleStatus};
use crate::actors::inventory::Line;
use crate::types::{SaleId, Sku};

/// How long a copy may be used, counted from the moment when it was asked for.
pub const SALE_SKUS_USABLE_FOR: Duration = Duration::from_millis(250);

/// The list at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleSkus {
    pub version: SaleSkusVersion,
    /// Sales decides about every order while everything is stopped.
    pub is_everything_stopped: bool,
    pub skus: HashSet<Sku>,
}

/// Two lists of the same version are the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleSkusVersion {
    /// Differs from that of every other process that made lists.
    generation: u64,
    number: u64,
}

impl SaleSkus {
    pub fn any_of(&self, lines: &[Line]) -> bool {
        // Most shops have no sale at most times.
        !self.skus.is_empty() && lines.iter().any(|line| self.skus.contains(&line.sku))
    }
}

/// The list as sales keeps it. Cheap to clone; all clones are the same list, which outlives the actor.
#[derive(Clone)]
pub(super) struct SaleSkuList {
    kept: Arc<Mutex<Kept>>,
}

struct Kept {
    list: Arc<SaleSkus>,
    by_sale: HashMap<SaleId, Listed>,
    stopped_in_force_at: Instant,
}

struct Listed {
    skus: Vec<Sku>,
    in_force_at: Instant,
}

impl SaleSkuList {
    pub fn new(now: Timestamp) -> Self {
        let generation = u64::try_from(now.as_nanosecond() & i128::from(u64::MAX)).unwrap_or(0);
        let version = SaleSkusVersion { generation, number: 0 };
        let list = SaleSkus { version, is_everything_stopped: false, skus: HashSet::new() };
        let (list, by_sale) = (Arc::new(list), HashMap::new());
        Self { kept: Arc::new(Mutex::new(Kept { list, by_sale, stopped_in_force_at: Instant::now() })) }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The list, if it is another one than that of the known version.
    pub fn read(&self, known: Option<SaleSkusVersion>) -> Option<Arc<SaleSkus>> {
        let list = self.kept().list.clone();
        (known != Some(list.version)).then_some(list)
    }

    /// Adds the SKUs of a sale. Answers with the moment from which on no copy that may be used lacks them.
    pub fn add(&self, sale: &Sale, now: Instant) -> Instant {
        let mut kept = self.kept();
        if let Some(listed) = kept.by_sale.get(&sale.id) {
            return listed.in_force_at;
        }
        let in_force_at = now + SALE_SKUS_USABLE_FOR;
        let skus = sale.draft.items.iter().map(|item| item.sku.clone()).collect();
        kept.by_sale.insert(sale.id, Listed { skus, in_force_at });
        kept.renew();
        in_force_at
    }

    /// Follows a sale: its SKUs are on the list from when it is scheduled, until it is settled or cancelled.
    pub fn follow(&self, sale: &Sale, now: Instant) {
        match sale.status {
            SaleStatus::Draft => {}
            SaleStatus::Settled | SaleStatus::Cancelled => self.remove(sale.id),
            _ => drop(self.add(sale, now)),
        }
    }

    pub fn remove(&self, sale: SaleId) {
        let mut kept = self.kept();
        if kept.by_sale.remove(&sale).is_some() {
            kept.renew();
        }
    }

    /// Removes every sale but these: after a restart of the actor, those that ended meanwhile.
    pub fn keep_only(&self, sales: &HashSet<SaleId>) {
        let mut kept = self.kept();
        let before = kept.by_sale.len();
        kept.by_sale.retain(|sale, _| sales.contains(sale));
        if kept.by_sale.len() != before {
            kept.renew();
        }
    }

    /// Follows the switch for everything.
    pub fn set_everything_stopped(&self, is_stopped: bool, now: Instant) {
        let mut kept = self.kept();
        if kept.list.is_everything_stopped != is_stopped {
            kept.stopped_in_force_at = now + SALE_SKUS_USABLE_FOR;
            Arc::make_mut(&mut kept.list).is_everything_stopped = is_stopped;
            kept.renew();
        }
    }

    /// From when on no copy that may be used says otherwise about the switch for everything.
    pub fn stopped_in_force_at(&self) -> Instant {
        self.kept().stopped_in_force_at
    }
}

impl Kept {
    fn renew(&mut self) {
        let skus = self.by_sale.values().flat_map(|listed| listed.skus.iter().cloned()).collect();
        let version = SaleSkusVersion { number: self.list.version.number + 1, ..self.list.version };
        let is_everything_stopped = self.list.is_everything_stopped;
        self.list = Arc::new(SaleSkus { version, is_everything_stopped, skus });
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::sale;
    use super::*;
    use crate::types::Quantity;

    fn line(sku: &str) -> Line {
        Line { sku: sku.parse().unwrap(), quantity: Quantity::new(1).unwrap() }
    }

    #[test]
    fn a_sku_is_on_the_list_from_the_schedule_until_the_sale_is_over() {
        use SaleStatus::*;
        let list = SaleSkuList::new(Timestamp::UNIX_EPOCH);
        let mut sale = sale(Draft);
        for (status, is_listed) in [
            (Draft, false),
            (Scheduled, true),
            (Armed, true),
            (Open, true),
            (Paused, true),
            (Draining, true),
            (Closed, true),
            (Settled, false),
            (Cancelled, false),
        ] {
            sale.status = status;
            list.follow(&sale, Instant::now());
            let read = list.read(None).unwrap();
            assert_eq!(read.any_of(&[line("TABLE"), line("LAMP")]), is_listed, "{status:?}");
            assert!(!read.any_of(&[line("TABLE")]));
        }
    }

    #[test]
    fn a_sku_is_in_force_when_every_copy_without_it_has_ended() {
        let (list, now) = (SaleSkuList::new(Timestamp::UNIX_EPOCH), Instant::now());
        let sale = sale(SaleStatus::Scheduled);
        let in_force_at = list.add(&sale, now);
        assert_eq!(in_force_at, now + SALE_SKUS_USABLE_FOR);
        // What is added again counts from the first time.
        assert_eq!(list.add(&sale, now + SALE_SKUS_USABLE_FOR), in_force_at);
        list.remove(sale.id);
        let later = now + 3 * SALE_SKUS_USABLE_FOR;
        assert_eq!(list.add(&sale, later), later + SALE_SKUS_USABLE_FOR);
    }

    #[test]
    fn a_list_that_is_known_is_not_sent_again() {
        let (list, now) = (SaleSkuList::new(Timestamp::UNIX_EPOCH), Instant::now());
        let first = list.read(None).unwrap();
        assert_eq!(list.read(Some(first.version)), None);
        list.set_everything_stopped(true, now);
        let stopped = list.read(Some(first.version)).unwrap();
        assert!(stopped.is_everything_stopped);
        assert_eq!(list.stopped_in_force_at(), now + SALE_SKUS_USABLE_FOR);
        list.set_everything_stopped(true, now + SALE_SKUS_USABLE_FOR);
        assert_eq!(list.read(Some(stopped.version)), None, "it says the same");
    }
}
