//! What orders does without being asked: expires unpaid orders, settles unsettled ones, and sweeps what was held for
//! orders that never came to be.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use super::error::OrdersError;
use super::holds::{self, Held, Kind, ReleaseReason};
use super::model::OrderCommand;
use super::service::OrderService;
use super::settlement;
use crate::types::OrderId;

/// Orders taken up in one round.
const ROUND: i64 = 500;
/// Orders taken up at the same time.
const AT_ONCE: usize = 64;
/// How often the sweep begins at the oldest hold again.
const SWEEPS_ANEW_AFTER: Duration = Duration::from_secs(15 * 60);
/// And how soon after something could not be released.
const TRIES_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How long an order may take to be settled before a round settles it.
const SETTLES_WITHIN: Duration = Duration::from_secs(10);

/// Never returns. `orphan_after` must be longer than an order can take to be placed.
pub(super) async fn reconcile(service: OrderService, every: Duration, orphan_after: Duration) {
    let mut sweeps = Kind::ALL.map(Sweep::of);
    loop {
        let round = async {
            let mut is_more = expire_due(&service).await?;
            is_more |= settle_unsettled(&service).await?;
            let begun_before = before(orphan_after);
            // The last kind taken is the first one released.
            for sweep in sweeps.iter_mut().rev() {
                // A domain that does not answer holds up neither the other sweeps nor the next batch of orders.
                match sweep.release_orphans(&service, begun_before).await {
                    Ok(more) => is_more |= more,
                    Err(error) => {
                        tracing::warn!(%error, "a sweep for what no order holds is repeated in the next round")
                    }
                }
            }
            Ok::<_, OrdersError>(is_more)
        };
        match round.await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "orders could not be reconciled; they are in the next round")
            }
        }
        tokio::time::sleep(every).await;
    }
}

/// Expires orders that were not paid in time. True when there are more.
async fn expire_due(service: &OrderService) -> Result<bool, OrdersError> {
    let due = service.store.list_due_orders(ROUND).await?;
    each(service, due, expire).await
}

async fn expire(service: &OrderService, id: OrderId) -> Result<(), OrdersError> {
    let order = service.order(id).await?;
    let (order, is_expired) = service.carry_out(order, OrderCommand::Expire).await?;
    if is_expired { settlement::settle(service, &order).await } else { Ok(()) }
}

async fn settle_unsettled(service: &OrderService) -> Result<bool, OrdersError> {
    let unsettled = service.store.list_unsettled_orders(before(SETTLES_WITHIN), ROUND).await?;
    each(service, unsettled, settle).await
}

async fn settle(service: &OrderService, id: OrderId) -> Result<(), OrdersError> {
    settlement::settle(service, &service.order(id).await?).await
}

/// Does it for many orders at the same time. True when it was a full round and some of it succeeded.
async fn each(
    service: &OrderService,
    orders: Vec<OrderId>,
    act: impl AsyncFn(&OrderService, OrderId) -> Result<(), OrdersError>,
) -> Result<bool, OrdersError> {
    let full = i64::try_from(orders.len()).unwrap_or(ROUND) >= ROUND;
    let act = &act;
    let done = stream::iter(orders)
        .map(|id| async move {
            let done = act(service, id).await;
            if let Err(error) = &done {
                tracing::warn!(order = %id, %error, "an order is tried again later");
            }
            done.is_ok()
        })
        .buffer_unordered(AT_ONCE)
        .fold(false, |any, done| async move { any || done })
        .await;
    Ok(full && done)
}

/// Goes through everything of one kind that is held, as soon as its order has had the time to appear.
///
/// Begins anew from time to time, for what became durable so late that it had been passed already.
struct Sweep {
    kind: Kind,
    passed: Option<OrderId>,
    anew_at: Instant,
}

impl Sweep {
    fn of(kind: Kind) -> Self {
        Self { kind, passed: None, anew_at: Instant::now() + SWEEPS_ANEW_AFTER }
    }

    /// Releases everything of orders that never came to be. True when there may be more.
    async fn release_orphans(
        &mut self,
        service: &OrderService,
        begun_before: Timestamp,
    ) -> Result<bool, OrdersError> {
        if Instant::now() >= self.anew_at {
            *self = Self::of(self.kind);
        }
        let held = self.kind.list_held(&service.needs, begun_before, self.passed, ROUND).await?;
        let Some(last) = held.last().map(|held| held.order) else { return Ok(false) };
        let is_full = i64::try_from(held.len()).unwrap_or(ROUND) >= ROUND;
        let orders: Vec<OrderId> = held.iter().map(|held| held.order).collect();
        let existing = service.store.list_existing_orders(&orders).await?;
        let absent: Vec<OrderId> = orders.into_iter().filter(|order| !existing.contains(order)).collect();
        // A commit that got stuck may still bring an order about: it must find that it came too late, not no stock.
        let abandoned =
            if absent.is_empty() { absent } else { service.store.abandon_orders(&absent).await? };
        for held in held.iter().filter(|held| abandoned.contains(&held.order)) {
            self.release(service, held).await;
        }
        // It goes on past what could not be released, and finds it when it begins anew.
        self.passed = Some(last);
        Ok(is_full)
    }

    /// The order can no longer come to be, so every kind is released, whatever becomes of the others.
    async fn release(&mut self, service: &OrderService, held: &Held) {
        let kind: &str = self.kind.into();
        tracing::warn!(order = %held.order, kind, "it was held for an order that never came to be and is released");
        if self.kind == Kind::Stock {
            metrics::counter!("shobai_orphaned_reservations_total").increment(1);
        }
        if !holds::undo(&service.needs, held, ReleaseReason::NeverPlaced).await {
            self.anew_at = self.anew_at.min(Instant::now() + TRIES_AGAIN_AFTER);
        }
    }
}

fn before(span: Duration) -> Timestamp {
    Timestamp::now().checked_sub(span).unwrap_or(Timestamp::MIN)
}
