//! What orders looks after without being asked: payments that do not come, stock that has yet to follow its order,
//! and stock that was held for an order that never came to be.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use super::actor::{Desk, current_payment};
use super::checkout;
use super::error::OrdersError;
use super::model::{OrderStatus, TransitionEvent};
use super::settlement;
use crate::actors::inventory::{ListHeldForOrders, Purpose, ReleaseReservation};
use crate::actors::sales::FollowOrder;
use crate::types::{OrderId, ReservationId};

/// Orders taken up in one round.
const ROUND: i64 = 500;
/// Orders looked after at the same time.
const AT_ONCE: usize = 64;
/// How often the sweep begins at the oldest hold again.
const SWEEPS_ANEW_AFTER: Duration = Duration::from_secs(15 * 60);
/// And how soon when something could not be given back.
const TRIES_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How long the stock has to follow by itself before a round helps.
const SETTLES_WITHIN: Duration = Duration::from_secs(10);

/// Never returns. `orphan_after` must be longer than an order can take to be placed.
pub async fn look_after(desk: Desk, every: Duration, orphan_after: Duration) {
    let mut sweep = Sweep::begin();
    loop {
        let rounds = async {
            let expired = expire_due(&desk).await?;
            let settled = settle_left_over(&desk).await?;
            let swept = sweep.release_orphans(&desk, orphan_after).await?;
            Ok::<_, OrdersError>(expired || settled || swept)
        };
        match rounds.await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "orders could not be looked after"),
        }
        tokio::time::sleep(every).await;
    }
}

/// Lets orders lapse that were not paid in time. True when there are more.
async fn expire_due(desk: &Desk) -> Result<bool, OrdersError> {
    let due = desk.store.list_due_orders(ROUND).await?;
    each(desk, due, expire).await
}

async fn expire(desk: &Desk, id: OrderId) -> Result<(), OrdersError> {
    let order = desk.order(id).await?;
    let from = &[OrderStatus::AwaitingPayment];
    let payment = current_payment(&order);
    let expired = desk
        .end(&order, payment, from, OrderStatus::Expired, "not paid in time", TransitionEvent::Expired)
        .await?;
    if expired { settlement::settle_again(desk, id).await } else { Ok(()) }
}

async fn settle_left_over(desk: &Desk) -> Result<bool, OrdersError> {
    let left_over = desk.store.list_unsettled_orders(before(SETTLES_WITHIN), ROUND).await?;
    each(desk, left_over, settlement::settle_again).await
}

/// Does it for many orders beside each other. True when it was a full round and something came of it.
async fn each(
    desk: &Desk,
    orders: Vec<OrderId>,
    act: impl AsyncFn(&Desk, OrderId) -> Result<(), OrdersError>,
) -> Result<bool, OrdersError> {
    let full = i64::try_from(orders.len()).unwrap_or(ROUND) >= ROUND;
    let act = &act;
    let done = stream::iter(orders)
        .map(|id| async move {
            let done = act(desk, id).await;
            if let Err(error) = &done {
                tracing::warn!(order = %id, %error, "an order is looked after again later");
            }
            done.is_ok()
        })
        .buffer_unordered(AT_ONCE)
        .fold(false, |any, done| async move { any || done })
        .await;
    Ok(full && done)
}

/// Goes once through every reservation that was held for an order, when its order has had its time to appear.
///
/// Now and then it begins anew, for what became durable so late that it had been passed already.
struct Sweep {
    seen: Option<ReservationId>,
    anew_at: Instant,
}

impl Sweep {
    fn begin() -> Self {
        Self { seen: None, anew_at: Instant::now() + SWEEPS_ANEW_AFTER }
    }

    async fn release_orphans(&mut self, desk: &Desk, orphan_after: Duration) -> Result<bool, OrdersError> {
        if Instant::now() >= self.anew_at {
            *self = Sweep::begin();
        }
        let list = ListHeldForOrders { made_before: before(orphan_after), after: self.seen, limit: ROUND };
        let held = desk.ports.list_held_for_orders.ask(list).await?;
        let Some((last, _)) = held.last().copied() else { return Ok(false) };
        let orders: Vec<OrderId> = held.iter().map(|(id, _)| OrderId::from(*id)).collect();
        let existing = desk.store.list_existing_orders(&orders).await?;
        let absent: Vec<OrderId> = orders.into_iter().filter(|order| !existing.contains(order)).collect();
        // A commit that got stuck may still bring an order about: it must find that it came too late, not no stock.
        let abandoned = if absent.is_empty() { absent } else { desk.store.abandon_orders(&absent).await? };
        for (id, sale) in held.iter().copied().filter(|(id, _)| abandoned.contains(&OrderId::from(*id))) {
            tracing::warn!(reservation = %id, "stock was held for an order that never came to be; it is given back");
            metrics::counter!("shobai_orphaned_reservations_total").increment(1);
            let release = ReleaseReservation {
                id,
                purpose: Purpose::Order,
                skus: Vec::new(),
                even_if_committed: false,
                has_expired: false,
            };
            let released = desk.ports.release_reservation.ask(release).await;
            if let Some(sale) = sale {
                // The order can no longer come to be, whatever became of its pieces; and when they are back, perhaps without
                // an answer, no list has it any more. So sales is told until it hears it.
                let follow = FollowOrder { sale, order: id.into(), is_paid: false };
                if desk.ports.follow_order.ask(follow.clone()).await.is_err() {
                    checkout::tell(id.into(), desk.ports.follow_order.clone(), follow);
                }
            }
            if let Err(error) = released {
                tracing::warn!(reservation = %id, %error, "what was held for no order is given back later");
                self.anew_at = self.anew_at.min(Instant::now() + TRIES_AGAIN_AFTER);
            }
        }
        // It goes on past what could not be given back, and finds it when it begins anew.
        self.seen = Some(last);
        Ok(i64::try_from(held.len()).unwrap_or(ROUND) >= ROUND)
    }
}

fn before(span: Duration) -> Timestamp {
    Timestamp::now().checked_sub(span).unwrap_or(Timestamp::MIN)
}
