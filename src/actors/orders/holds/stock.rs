//! Stock of every line, held by inventory as a reservation with the order's id.

use jiff::Timestamp;

use super::{Confirmation, Draft, Held, HeldQuota, Hold, ReleaseReason};
use crate::actors::inventory::{
    CommitReservation, InventoryError, ListHeldForOrders, Purpose, ReleaseReservation, ReserveStock,
};
use crate::actors::orders::domain::OrdersNeeds;
use crate::actors::orders::error::OrdersError;
use crate::actors::sales::SalesError;
use crate::types::OrderId;

pub(super) struct Stock;

impl Hold for Stock {
    /// All lines or none. After a failure the reservation may be there; the sweep finds it.
    async fn hold(needs: &OrdersNeeds, draft: &mut Draft<'_>) -> Result<(), OrdersError> {
        let reserve = ReserveStock {
            id: draft.id.into(),
            lines: draft.lines.clone(),
            purpose: Purpose::Order,
            expires_at: draft.expires_at(),
            sale: draft.quota.as_ref().map(HeldQuota::sale_lines),
            id_is_new: true,
        };
        match needs.reserve_stock.ask(reserve).await {
            Ok(_) => Ok(()),
            // The sale ended after its quota was held.
            Err(InventoryError::NotAllotted { .. }) if draft.quota.is_some() => {
                Err(SalesError::over().into())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn confirm(needs: &OrdersNeeds, held: &Held) -> Result<Confirmation, OrdersError> {
        let commit = CommitReservation {
            id: held.order.into(),
            purpose: Purpose::Order,
            skus: held.skus.clone(),
            even_if_expired: true,
        };
        match needs.commit_reservation.ask(commit).await {
            Ok(_) => Ok(Confirmation::Confirmed),
            // Its hold had expired and by now nothing is left, or its pieces were given back.
            Err(
                InventoryError::OutOfStock { .. }
                | InventoryError::SoldOut { .. }
                | InventoryError::UnknownReservation(_)
                | InventoryError::ReservationEnded { .. },
            ) => Ok(Confirmation::Lost),
            Err(error) => Err(error.into()),
        }
    }

    async fn release(needs: &OrdersNeeds, held: &Held, reason: ReleaseReason<'_>) -> Result<(), OrdersError> {
        let release = ReleaseReservation {
            id: held.order.into(),
            purpose: Purpose::Order,
            skus: held.skus.clone(),
            // Nothing is sold for an order that was never placed.
            even_if_committed: matches!(reason, ReleaseReason::Cancelled | ReleaseReason::Expired),
            has_expired: matches!(reason, ReleaseReason::Expired),
        };
        match needs.release_reservation.ask(release).await {
            Ok(_) | Err(InventoryError::UnknownReservation(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn list_held(
        needs: &OrdersNeeds,
        begun_before: Timestamp,
        after: Option<OrderId>,
        limit: i64,
    ) -> Result<Vec<Held>, OrdersError> {
        let list = ListHeldForOrders { made_before: begun_before, after: after.map(Into::into), limit };
        let held = needs.list_held_for_orders.ask(list).await?;
        let held = held.into_iter().map(|(id, sale)| Held { order: id.into(), sale, skus: Vec::new() });
        Ok(held.collect())
    }
}
