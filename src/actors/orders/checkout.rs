//! How an order is placed, from the request to the durable order.
//!
//! ```text
//! claim the key → quote → hold everything (`holds/`) → open the payment → commit the order → answer
//!                                  │                            │                │
//!                                  └───────── refused ──────────┴────────────────┴→ release what is held, then look:
//!                                                                                   was the key used before?
//! ```
//!
//! Most keys are new, so no read is spent on them: the keys of the last orders are remembered (`keys.rs`), and the unique
//! constraint finds every other used one when the order is committed. Only a refused order looks its key up, because the
//! first request of the key may have got the last piece.

use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::book::{Entry, KeyAsked, Placement, Refusal};
use super::error::OrdersError;
use super::holds::{self, Draft, ReleaseReason};
use super::keys::{Claim, KnownKeys, RequestHash, first_answer};
use super::messages::{PlaceOrder, Placed};
use super::model::{Order, OrderStatus, Placing};
use super::service::OrderService;
use super::settlement;
use crate::actors::catalog::QuoteSkus;
use crate::actors::inventory::Line;
use crate::actors::payments::{OpenPayment, Payment, PaymentMethod, VoidPayment};
use crate::actors::runtime::failpoint;
use crate::storage::StorageError;
use crate::types::{Money, OrderId, Quantity, Sku};

pub(super) async fn place_order(
    service: &OrderService,
    keys: &KnownKeys,
    wanted: PlaceOrder,
) -> Result<Placed, OrdersError> {
    let request = hash(&wanted);
    let first = match keys.claim(wanted.customer, wanted.key.clone(), request) {
        Claim::First(first) => first,
        Claim::Wait(answer) => return first_answer(answer).await,
        Claim::Ordered(order) => return replay(service, order).await,
        Claim::Reused => return Err(OrdersError::KeyReused),
    };
    let answer = place_or_replay(service, &wanted, request).await;
    first.answer(&answer);
    answer
}

async fn place_or_replay(
    service: &OrderService,
    wanted: &PlaceOrder,
    request: RequestHash,
) -> Result<Placed, OrdersError> {
    let refusal = match place(service, wanted, request).await {
        Ok(order) => return Ok(Placed { order, replayed: false }),
        // Whether the first attempt placed the order cannot be found out at this moment.
        Err(error @ OrdersError::Unknown) => return Err(error),
        Err(refusal) => refusal,
    };
    let asked = KeyAsked { customer: wanted.customer, key: wanted.key.clone() };
    match service.find_key(asked).await? {
        None => Err(refusal),
        Some(taken) if taken.request == request => replay(service, taken.order).await,
        Some(_) => Err(OrdersError::KeyReused),
    }
}

/// The first answer again, although the order may have changed since.
async fn replay(service: &OrderService, order: OrderId) -> Result<Placed, OrdersError> {
    let order = service.order(order).await?.as_placed();
    Ok(Placed { order: Arc::new(order), replayed: true })
}

/// Places the order, provided that the key is new. After a refusal nothing is held.
async fn place(
    service: &OrderService,
    wanted: &PlaceOrder,
    request: RequestHash,
) -> Result<Arc<Order>, OrdersError> {
    let lines = summed(&wanted.lines)?;
    if lines.len() > service.lines_max {
        return Err(OrdersError::TooManyLines { lines: lines.len(), most: service.lines_max });
    }
    let skus: Vec<Sku> = lines.iter().map(|line| line.sku.clone()).collect();
    let quotes = service.needs.quote_skus.ask(QuoteSkus { skus }).await?;
    let asks_sales = service.sale_skus.concern(&lines);
    let mut draft = Draft {
        id: OrderId::generate(),
        wanted,
        lines,
        quotes,
        created_at: now_in_microseconds(),
        pay_within: service.konbini_pay_within,
        asks_sales,
        quota: None,
    };
    holds::take(&service.needs, &mut draft).await?;
    failpoint::hit("checkout", wanted.customer);
    let placed = pay_and_commit(service, &mut draft, request).await;
    match &placed {
        // An order that may be there counts as accepted, and keeps what it holds: the sweep releases it if the order
        // never appears (`reconcile.rs`).
        Ok(_) | Err(OrdersError::Unknown) => {
            if let Some(quota) = &draft.quota {
                holds::note_accepted(&service.needs, quota).await;
            }
        }
        Err(error) => {
            let reason = ReleaseReason::NotPlaced { customer: wanted.customer, error };
            holds::undo(&service.needs, &draft.held(), reason).await;
        }
    }
    placed
}

/// Opens the payment and makes the order durable. An order that is not placed has no payment.
async fn pay_and_commit(
    service: &OrderService,
    draft: &mut Draft<'_>,
    request: RequestHash,
) -> Result<Arc<Order>, OrdersError> {
    let quotes = std::mem::take(&mut draft.quotes);
    let &mut Draft { id, wanted, created_at, ref lines, .. } = draft;
    let mut total = Money::NOTHING;
    for (line, quote) in lines.iter().zip(&quotes) {
        total = total.plus(quote.price.times(line.quantity)?)?;
    }
    let (customer, sale, pay_before) = (wanted.customer, draft.sale(), draft.pay_before());
    let open = OpenPayment { order: id, method: wanted.payment.clone(), amount: total, pay_before };
    let payment = service.needs.open_payment.ask(open).await?;

    let placing = Placing { id, customer, sale, created_at, pay_before };
    let order = Arc::new(Order::place(placing, lines, quotes, payment.clone())?);
    let placement = Placement { order: order.clone(), key: wanted.key.clone(), request };
    let error = match service.commit(Entry::Place(placement)).await {
        Ok(Ok(())) => {
            if order.status == OrderStatus::Confirmed {
                settlement::settle_in_background(service, order.clone());
            }
            return Ok(order);
        }
        // The payment stays; the sandbox takes no money, and a real provider's intent lapses by itself.
        Err(OrdersError::Unknown) => return Err(OrdersError::Unknown),
        Ok(Err(Refusal::KeyTaken)) => OrdersError::KeyReused,
        Ok(Err(refusal @ (Refusal::NotInStatus | Refusal::Constraint))) => {
            StorageError::Broken(format!("a new order was kept out: {refusal:?}")).into()
        }
        Err(error) => error,
    };
    void(service, id, payment).await;
    Err(error)
}

async fn void(service: &OrderService, order: OrderId, payment: Payment) {
    if let Err(error) = service.needs.void_payment.ask(VoidPayment { order, payment }).await {
        tracing::error!(%order, %error, "the payment of an order that was not placed could not be voided");
    }
}

/// Each SKU once, in the order in which it was first named.
fn summed(lines: &[Line]) -> Result<Vec<Line>, OrdersError> {
    let mut sums: Vec<Line> = Vec::with_capacity(lines.len());
    for line in lines {
        match sums.iter_mut().find(|sum| sum.sku == line.sku) {
            Some(sum) => sum.quantity = Quantity::plus(sum.quantity, line.quantity)?,
            None => sums.push(line.clone()),
        }
    }
    Ok(sums)
}

/// What makes two requests the same: the lines as they were sent and the payment.
fn hash(wanted: &PlaceOrder) -> RequestHash {
    let mut hasher = Sha256::new();
    for line in &wanted.lines {
        hasher.update(line.sku.as_str().as_bytes());
        hasher.update([0]);
        hasher.update(line.quantity.get().to_be_bytes());
    }
    hasher.update([0xff]);
    match &wanted.payment {
        PaymentMethod::Konbini { chain, phone } => {
            hasher.update(b"konbini");
            hasher.update(chain.as_str().as_bytes());
            hasher.update([0]);
            hasher.update(phone.as_str().as_bytes());
        }
        PaymentMethod::Card { token } => {
            hasher.update(b"card");
            hasher.update(token.as_str().as_bytes());
        }
    }
    hasher.finalize().into()
}

/// The present, as exactly as PostgreSQL will keep it.
fn now_in_microseconds() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}
