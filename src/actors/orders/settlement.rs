//! Stock and money follow the order: sold when it is confirmed, given back when it is cancelled or has expired.
//!
//! It follows at once where somebody waits for it; where that failed, or a crash fell in between, the next round
//! finds the order unsettled and does it again. Every step may be repeated.

use std::sync::Arc;

use super::actor::{Desk, current_payment};
use super::book::Entry;
use super::error::OrdersError;
use super::model::{Order, OrderStatus, TransitionEvent};
use crate::actors::inventory::{CommitReservation, InventoryError, Purpose, ReleaseReservation};
use crate::actors::payments::VoidPayment;
use crate::actors::sales::FollowOrder;
use crate::types::OrderId;

/// Settles an order that is known to have the status that it had when it was read.
pub(super) async fn settle(desk: &Desk, order: &Order) -> Result<(), OrdersError> {
    let (id, skus) = (order.id.into(), order.skus());
    match order.status {
        OrderStatus::AwaitingPayment => return Ok(()),
        OrderStatus::Confirmed => {
            let commit = CommitReservation { id, purpose: Purpose::Order, skus, even_if_expired: true };
            match desk.ports.commit_reservation.ask(commit).await {
                Ok(_) => follow(desk, order, true).await?,
                // Paid so late that its hold had lapsed and by now nothing is left, or its pieces were given back.
                // If that was because it was cancelled meanwhile, there is nothing left to give up.
                Err(
                    InventoryError::OutOfStock { .. }
                    | InventoryError::SoldOut { .. }
                    | InventoryError::UnknownReservation(_)
                    | InventoryError::ReservationEnded { .. },
                ) => return give_up(desk, order).await,
                Err(error) => return Err(error.into()),
            }
        }
        OrderStatus::Cancelled | OrderStatus::Expired => {
            let payment = order.payment.clone();
            desk.ports.void_payment.ask(VoidPayment { order: order.id, payment }).await?;
            let has_expired = order.status == OrderStatus::Expired;
            let release = ReleaseReservation {
                id,
                purpose: Purpose::Order,
                skus,
                even_if_committed: true,
                has_expired,
            };
            match desk.ports.release_reservation.ask(release).await {
                Ok(_) | Err(InventoryError::UnknownReservation(_)) => follow(desk, order, false).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }
    // A refusal means that it has gone on to another status. What was done here may have come after that one was
    // settled (pieces sold for an order that was cancelled meanwhile), so it is settled once more, as it stands now.
    if desk.commit(Entry::Settle(order.id, order.status)).await?.is_err() {
        return Box::pin(settle_again(desk, order.id)).await;
    }
    Ok(())
}

/// Tells the sale that it was bought in, so that its pieces count as what they are.
async fn follow(desk: &Desk, order: &Order, is_paid: bool) -> Result<(), OrdersError> {
    if let Some(sale) = order.sale {
        desk.ports.follow_order.ask(FollowOrder { sale, order: order.id, is_paid }).await?;
    }
    Ok(())
}

/// Settles without anybody waiting for it.
pub(super) fn settle_soon(desk: &Desk, order: Arc<Order>) {
    let desk = desk.clone();
    actix_rt::spawn(async move { desk.settle_now_or_later(&order).await });
}

/// Settles an order by its id, as it stands now.
pub(super) async fn settle_again(desk: &Desk, id: OrderId) -> Result<(), OrdersError> {
    let order = desk.order(id).await?;
    settle(desk, &order).await
}

/// Cancels and refunds a paid order for which there is no stock any more.
async fn give_up(desk: &Desk, order: &Order) -> Result<(), OrdersError> {
    let reason = "paid too late, sold out and refunded";
    let from = &[OrderStatus::Confirmed];
    desk.end(order, current_payment(order), from, OrderStatus::Cancelled, reason, TransitionEvent::Cancelled)
        .await?;
    Box::pin(settle_again(desk, order.id)).await
}
