//! Settles orders: confirms what a paid order holds; voids the payment of a cancelled or expired order and releases what
//! it holds.
//!
//! An order is settled at once after its status has changed. Where that fails, or a crash comes in between, the order is
//! found as unsettled and settled again (`reconcile.rs`). Every step may be repeated.

use std::sync::Arc;

use jiff::Timestamp;

use super::book::Entry;
use super::error::OrdersError;
use super::holds::{self, Confirmation, Held, ReleaseReason};
use super::model::{HoldsEnd, Order, OrderCommand};
use super::service::{ATTEMPTS, OrderService, changes_too_often};
use crate::actors::payments::VoidPayment;

/// Settles an order as its status says: the one that it was read with, and each that it has changed to meanwhile.
pub(super) async fn settle(service: &OrderService, order: &Order) -> Result<(), OrdersError> {
    let mut latest: Option<Order> = None;
    for _ in 0..ATTEMPTS {
        let order = latest.as_ref().unwrap_or(order);
        let held = Held::by(order);
        let is_lost = match order.status.holds_end() {
            HoldsEnd::Kept => return Ok(()),
            HoldsEnd::Confirmed => holds::confirm(&service.needs, &held).await? == Confirmation::Lost,
            HoldsEnd::Released => {
                release(service, order, &held, ReleaseReason::Cancelled).await?;
                false
            }
            HoldsEnd::Expired => {
                release(service, order, &held, ReleaseReason::Expired).await?;
                false
            }
        };
        if is_lost {
            // Paid too late: its stock is sold to others. If it was cancelled meanwhile, that is settled next.
            if let Some(transition) = order.decide(OrderCommand::GiveUp, Timestamp::now())? {
                service.change(transition).await?;
            }
        } else if service.commit(Entry::Settle(order.id, order.status)).await?.is_ok() {
            return Ok(());
        }
        // It has another status by now. What was done here may have come after that one was settled (pieces sold for an
        // order that was cancelled meanwhile), so it is settled once more, as it stands now.
        latest = Some(service.order(order.id).await?);
    }
    Err(changes_too_often(order.id))
}

async fn release(
    service: &OrderService,
    order: &Order,
    held: &Held,
    reason: ReleaseReason<'_>,
) -> Result<(), OrdersError> {
    let payment = order.payment.clone();
    service.needs.void_payment.ask(VoidPayment { order: order.id, payment }).await?;
    holds::release(&service.needs, held, reason).await
}

/// Settles an order; one that cannot be settled now is found as unsettled later.
pub(super) async fn settle_or_leave(service: &OrderService, order: &Order) {
    if let Err(error) = settle(service, order).await {
        tracing::warn!(order = %order.id, %error, "an order is settled later");
    }
}

/// The same without waiting for it.
pub(super) fn settle_in_background(service: &OrderService, order: Arc<Order>) {
    let service = service.clone();
    actix_rt::spawn(async move { settle_or_leave(&service, &order).await });
}
