//! A copy of the SKUs that are in sales, so that an order without any of them asks sales nothing.
//!
//! Sales owns the list (`GetSaleSkus`). A copy may be used until [`SALE_SKUS_USABLE_FOR`] after it was asked for;
//! without a usable copy every order asks sales. After it has added a SKU, sales waits that long before it arms the
//! sale. So no order is decided upon with a copy that lacks a SKU of an armed sale.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::service::OrderService;
use crate::actors::inventory::Line;
use crate::actors::sales::{GetSaleSkus, SALE_SKUS_USABLE_FOR, SaleSkus, SaleSkusVersion};

/// Several times within the span for which a copy may be used.
const ASKED_EVERY: Duration = Duration::from_millis(50);

/// Cheap to clone; all clones are the same copy.
#[derive(Clone, Default)]
pub(super) struct SaleSkusCopy {
    copy: Arc<RwLock<Option<Copied>>>,
}

struct Copied {
    skus: Arc<SaleSkus>,
    usable_until: Instant,
}

impl SaleSkusCopy {
    /// Whether sales must decide about an order of these lines.
    pub fn concern(&self, lines: &[Line]) -> bool {
        self.concern_at(lines, Instant::now())
    }

    fn concern_at(&self, lines: &[Line], now: Instant) -> bool {
        match &*self.copy.read().unwrap_or_else(PoisonError::into_inner) {
            Some(copied) if now < copied.usable_until => {
                copied.skus.is_everything_stopped || copied.skus.any_of(lines)
            }
            _ => true,
        }
    }

    /// Takes over the answer to a question that was asked at `asked_at`; `None` says that the list has not changed.
    pub fn take_over(&self, answer: Option<Arc<SaleSkus>>, asked_at: Instant) {
        let usable_until = asked_at + SALE_SKUS_USABLE_FOR;
        let mut copy = self.copy.write().unwrap_or_else(PoisonError::into_inner);
        match (answer, &mut *copy) {
            (Some(skus), _) => *copy = Some(Copied { skus, usable_until }),
            (None, Some(copied)) => copied.usable_until = usable_until,
            (None, None) => {}
        }
    }

    fn version(&self) -> Option<SaleSkusVersion> {
        let copy = self.copy.read().unwrap_or_else(PoisonError::into_inner);
        copy.as_ref().map(|copied| copied.skus.version)
    }
}

/// Asks for the list again and again. Never returns.
pub(super) async fn keep_copy(service: OrderService) {
    let copy = &service.sale_skus;
    loop {
        let asked_at = Instant::now();
        match service.needs.get_sale_skus.ask(GetSaleSkus { known: copy.version() }).await {
            Ok(answer) => copy.take_over(answer, asked_at),
            Err(error) => tracing::debug!(%error, "the SKUs in sales could not be asked for"),
        }
        tokio::time::sleep(ASKED_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Quantity;

    fn lines(sku: &str) -> [Line; 1] {
        [Line { sku: sku.parse().unwrap(), quantity: Quantity::new(1).unwrap() }]
    }

    #[test]
    fn sales_is_asked_about_its_skus_and_about_everything_without_a_usable_copy() {
        let (copy, asked_at) = (SaleSkusCopy::default(), Instant::now());
        assert!(copy.concern_at(&lines("TABLE"), asked_at), "there is no copy yet");
        let list = Arc::new(SaleSkus { skus: ["LAMP".parse().unwrap()].into(), ..SaleSkus::default() });
        copy.take_over(Some(list.clone()), asked_at);
        assert!(copy.concern_at(&lines("LAMP"), asked_at));
        assert!(!copy.concern_at(&lines("TABLE"), asked_at));

        let over = asked_at + SALE_SKUS_USABLE_FOR;
        assert!(copy.concern_at(&lines("TABLE"), over));
        copy.take_over(None, over);
        assert!(!copy.concern_at(&lines("TABLE"), over));

        let stopped = SaleSkus { is_everything_stopped: true, ..SaleSkus::clone(&list) };
        copy.take_over(Some(Arc::new(stopped)), over);
        assert!(copy.concern_at(&lines("TABLE"), over));
    }
}
