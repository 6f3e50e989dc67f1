//! A sale's quota, held by sales in memory: the pieces count for the customer until the order has ended.
//!
//! It is held before the stock, and once more when the stock is held. Gates that begin anew count from the rows of the
//! stock. If they do so between the two, the second hold makes them count the order, or they refuse it.

use std::sync::Arc;
use std::time::Duration;

use actix::Message;
use jiff::Timestamp;

use super::{Confirmation, Draft, Held, Hold, ReleaseReason};
use crate::actors::inventory::{InventoryError, SaleClaim, SaleLines};
use crate::actors::orders::domain::OrdersNeeds;
use crate::actors::orders::error::OrdersError;
use crate::actors::payments::{PaymentMethod, PaymentsError};
use crate::actors::runtime::Port;
use crate::actors::sales::{
    self, ConfirmQuota, HoldQuota, ListHeldQuotas, NameKind, NoteAccepted, QuotaEnd, QuotaHold, QuotaRequest,
    ReleaseQuota, SalesError,
};
use crate::types::{OrderId, SaleId};

/// How long an order that is placed waits until sales has counted it.
const COUNTED_WITHIN: Duration = Duration::from_millis(100);
/// How often, and how many times, sales is told what became of an order.
const TOLD_EVERY: Duration = Duration::from_millis(500);
const TOLD_MAX: usize = 240;

/// A quota that was taken for an order.
pub(in crate::actors::orders) struct HeldQuota {
    request: Arc<QuotaRequest>,
    quota: Arc<QuotaHold>,
}

impl HeldQuota {
    pub fn sale(&self) -> SaleId {
        self.quota.sale
    }

    /// The lines that come from the sale's part of the stock.
    pub(super) fn sale_lines(&self) -> SaleLines {
        let QuotaHold { sale, claimants, prices, .. } = &*self.quota;
        SaleLines {
            claim: SaleClaim { sale: *sale, claimants: claimants.clone() },
            skus: prices.iter().map(|(sku, _)| sku.clone()).collect(),
        }
    }
}

pub(super) struct Quota;

impl Hold for Quota {
    /// An order without a SKU of any sale does not ask sales. One with a SKU of a sale gets the sale's prices and time to
    /// pay.
    async fn hold(needs: &OrdersNeeds, draft: &mut Draft<'_>) -> Result<(), OrdersError> {
        if !draft.asks_sales {
            return Ok(());
        }
        let request = Arc::new(request(draft));
        let held = needs.hold_quota.ask(HoldQuota { request: request.clone(), held: None }).await;
        if let Err(SalesError::Asking(_)) = &held {
            // It may be held yet, and would then count for the customer.
            Self::release_later(needs, &Held { order: draft.id, sale: None, skus: Vec::new() });
        }
        let Some(quota) = held? else { return Ok(()) };
        for (line, quote) in draft.lines.iter().zip(&mut draft.quotes) {
            if let Some((_, price)) = quota.prices.iter().find(|(sku, _)| *sku == line.sku) {
                quote.price = *price;
            }
        }
        draft.pay_within = Duration::from_secs(u64::try_from(quota.pay_within_seconds).unwrap_or(0));
        draft.quota = Some(HeldQuota { request, quota });
        Ok(())
    }

    async fn hold_again(needs: &OrdersNeeds, draft: &Draft<'_>) -> Result<(), OrdersError> {
        if let Some(HeldQuota { request, quota }) = &draft.quota {
            let again = HoldQuota { request: request.clone(), held: Some(quota.clone()) };
            needs.hold_quota.ask(again).await?;
        }
        Ok(())
    }

    async fn confirm(needs: &OrdersNeeds, held: &Held) -> Result<Confirmation, OrdersError> {
        if let Some(sale) = held.sale {
            needs.confirm_quota.ask(ConfirmQuota { sale, order: held.order }).await?;
        }
        Ok(Confirmation::Confirmed)
    }

    async fn release(needs: &OrdersNeeds, held: &Held, reason: ReleaseReason<'_>) -> Result<(), OrdersError> {
        let Held { order, sale: Some(sale), .. } = *held else { return Ok(()) };
        let release = ReleaseQuota { sale: Some(sale), order, end: end_of(reason) };
        Ok(needs.release_quota.ask(release).await?)
    }

    /// Repeats the release: the sweep finds an order only while its stock is held or it is not placed.
    fn release_later(needs: &OrdersNeeds, held: &Held) {
        let release = ReleaseQuota { sale: held.sale, order: held.order, end: QuotaEnd::NoOrder };
        tell(held.order, needs.release_quota.clone(), release);
    }

    async fn list_held(
        needs: &OrdersNeeds,
        begun_before: Timestamp,
        after: Option<OrderId>,
        limit: i64,
    ) -> Result<Vec<Held>, OrdersError> {
        let held = needs.list_held_quotas.ask(ListHeldQuotas { begun_before, after, limit }).await?;
        let held = held.into_iter().map(|(order, sale)| Held { order, sale: Some(sale), skus: Vec::new() });
        Ok(held.collect())
    }
}

/// Tells sales that an order is durable, or may be. The order's answer waits for that at most `COUNTED_WITHIN`.
pub(in crate::actors::orders) async fn note_accepted(needs: &OrdersNeeds, held: &HeldQuota) {
    let port = &needs.note_accepted;
    let HeldQuota { request, quota } = held;
    let note = NoteAccepted { sale: quota.sale, order: request.order, arrived_at: request.arrived_at };
    let told = port.ask(note.clone());
    if !tokio::time::timeout(COUNTED_WITHIN, told).await.is_ok_and(|told| told.is_ok()) {
        tell(request.order, port.clone(), note);
    }
}

/// Tells sales what became of an order, again and again until it answers.
fn tell<M>(order: OrderId, port: Port<M>, message: M)
where
    M: Message<Result = Result<(), SalesError>> + Clone + 'static,
{
    actix_rt::spawn(async move {
        for _ in 0..TOLD_MAX {
            if port.ask(message.clone()).await.is_ok() {
                return;
            }
            tokio::time::sleep(TOLD_EVERY).await;
        }
        tracing::warn!(%order, "sales was not told what became of an order; it counts as it did until sales starts again");
    });
}

/// The order as sales decides about it.
fn request(draft: &Draft<'_>) -> QuotaRequest {
    let wanted = draft.wanted;
    let (is_konbini, name) = match &wanted.payment {
        PaymentMethod::Konbini { phone, .. } => (true, Some((NameKind::Phone, phone.as_str().to_owned()))),
        PaymentMethod::Card { token } => {
            (false, token.fingerprint().map(|fingerprint| (NameKind::Card, fingerprint.to_owned())))
        }
    };
    QuotaRequest {
        order: draft.id,
        customer: wanted.customer,
        is_staff: wanted.is_staff,
        lines: draft.lines.clone(),
        is_konbini,
        also_known_as: name.into_iter().collect(),
        device: wanted.device.clone(),
        admission: wanted.admission,
        arrived_at: wanted.arrived_at,
    }
}

/// What the sale counts as the end of an order.
fn end_of(reason: ReleaseReason<'_>) -> QuotaEnd {
    let ReleaseReason::NotPlaced { customer, error } = reason else { return QuotaEnd::NoOrder };
    match error {
        OrdersError::Inventory(InventoryError::SoldOut { .. }) => {
            QuotaEnd::Refused { customer, by: sales::Refusal::SoldOut }
        }
        OrdersError::Sales(SalesError::Refused(refusal)) => {
            QuotaEnd::Refused { customer, by: refusal.clone() }
        }
        OrdersError::Payments(PaymentsError::Declined) => QuotaEnd::Declined { customer },
        _ => QuotaEnd::NoOrder,
    }
}
