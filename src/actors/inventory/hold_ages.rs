//! The ages of a sale's holds, read at most once a second: the database goes through all holds of the sale for them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::model::HoldAges;
use crate::types::SaleId;

const FRESH_FOR: Duration = Duration::from_secs(1);
/// A sale that was not asked about for this long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// Shared, on one arbiter, by the actor and its pending answers.
#[derive(Clone, Default)]
pub(super) struct HoldAgesCache {
    sales: Rc<RefCell<HashMap<SaleId, Known>>>,
}

struct Known {
    asked_at: Instant,
    ages: Option<HoldAges>,
}

impl HoldAgesCache {
    /// The ages that are fresh enough. `None`: the caller reads them and calls [`set`](Self::set); until then others
    /// are given the last ones.
    pub(super) fn get(&self, sale: SaleId, now: Instant) -> Option<Option<HoldAges>> {
        let mut sales = self.sales.borrow_mut();
        let last = match sales.get(&sale) {
            Some(known) if now.duration_since(known.asked_at) < FRESH_FOR => return Some(known.ages),
            known => known.and_then(|known| known.ages),
        };
        sales.retain(|_, known| now.duration_since(known.asked_at) < FORGOTTEN_AFTER);
        sales.insert(sale, Known { asked_at: now, ages: last });
        None
    }

    pub(super) fn set(&self, sale: SaleId, asked_at: Instant, ages: Option<HoldAges>) {
        self.sales.borrow_mut().insert(sale, Known { asked_at, ages });
    }
}
