//! How an order is placed, from the request to the durable order.
//!
//! ```text
//! claim the key → quote → pass the sale's gates → hold stock → open the payment → commit the order → answer
//!                                     │                │               │                   │
//!                                     └── refused ─────┴───────────────┴───────────────────┴→ undo, then look:
//!                                                                                             was the key used before?
//! ```
//!
//! A new key is the rule, so nothing is read for it: keys of late are remembered (`keys.rs`), and the unique constraint
//! finds every other used one when the order is committed. Only a refusal has to look, because the first request of the
//! key may have got the last piece.

use std::sync::Arc;
use std::time::Duration;

use actix::Message;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::actor::Desk;
use super::book::{Entry, KeyAsked, Placement, Refusal};
use super::error::OrdersError;
use super::keys::{Claim, KnownKeys, RequestHash, first_answer};
use super::messages::{PlaceOrder, Placed};
use super::model::{Order, OrderStatus, Placing};
use super::settlement;
use crate::actors::catalog::{Quote, QuoteSkus};
use crate::actors::inventory::{
    InventoryError, Line, Purpose, ReleaseReservation, ReserveStock, SaleClaim, SaleLines,
};
use crate::actors::payments::{OpenPayment, Payment, PaymentMethod, PaymentsError, VoidPayment};
use crate::actors::runtime::Port;
use crate::actors::sales::{
    self, AbandonOrder, Arrival, EndPassage, PassGates, Passage, PassageOutcome, SalesError,
};
use crate::storage::StorageError;
use crate::types::{Money, OrderId, Quantity, ReservationId, Sku};

/// How much longer stock is held than the customer may pay: the order lapses first and gives the stock back itself,
/// and a payment in the last second still finds its pieces.
const HOLD_BEYOND_PAYMENT: Duration = Duration::from_secs(15 * 60);

/// How long an order that is placed waits until sales has counted it.
const COUNTED_WITHIN: Duration = Duration::from_millis(100);
/// How often, and how many times, sales is told what it must hear.
const TELLS_EVERY: Duration = Duration::from_millis(500);
const TELLS_MAX: usize = 240;

pub(super) async fn place_order(
    desk: &Desk,
    keys: &KnownKeys,
    wanted: PlaceOrder,
) -> Result<Placed, OrdersError> {
    let request = hash(&wanted);
    let first = match keys.claim(wanted.customer, wanted.key.clone(), request) {
        Claim::First(first) => first,
        Claim::Wait(answer) => return first_answer(answer).await,
        Claim::Ordered(order) => return replay(desk, order).await,
        Claim::Reused => return Err(OrdersError::KeyReused),
    };
    let answer = place_or_replay(desk, &wanted, request).await;
    first.answer(&answer);
    answer
}

async fn place_or_replay(
    desk: &Desk,
    wanted: &PlaceOrder,
    request: RequestHash,
) -> Result<Placed, OrdersError> {
    let refusal = match place(desk, wanted, request).await {
        Ok(order) => return Ok(Placed { order, replayed: false }),
        // Nothing is known of the first attempt's end, and nothing more can be found out at this moment.
        Err(error @ OrdersError::Unknown) => return Err(error),
        Err(refusal) => refusal,
    };
    let asked = KeyAsked { customer: wanted.customer, key: wanted.key.clone() };
    match desk.find_key(asked).await? {
        None => Err(refusal),
        Some(taken) if taken.request == request => replay(desk, taken.order).await,
        Some(_) => Err(OrdersError::KeyReused),
    }
}

/// The first answer again, whatever became of the order since.
async fn replay(desk: &Desk, order: OrderId) -> Result<Placed, OrdersError> {
    let order = desk.order(order).await?.as_placed();
    Ok(Placed { order: Arc::new(order), replayed: true })
}

/// Places the order, provided that the key is new; a refusal leaves nothing held.
async fn place(desk: &Desk, wanted: &PlaceOrder, request: RequestHash) -> Result<Arc<Order>, OrdersError> {
    let lines = summed(&wanted.lines)?;
    if lines.len() > desk.lines_max {
        return Err(OrdersError::TooManyLines { lines: lines.len(), most: desk.lines_max });
    }
    let skus: Vec<Sku> = lines.iter().map(|line| line.sku.clone()).collect();
    let mut quotes = desk.ports.quote_skus.ask(QuoteSkus { skus: skus.clone() }).await?;
    let id = OrderId::generate();
    let arrival = arrival(id, wanted, &lines);
    let passed = desk.ports.pass_gates.ask(PassGates { arrival: arrival.clone() }).await;
    if let Err(SalesError::Asking(_)) = &passed {
        // It may pass yet, and then count for the customer.
        give_up_passage(desk, id);
    }
    let Some(passage) = passed? else {
        return place_at(desk, wanted, request, id, lines, quotes, None).await;
    };
    for (line, quote) in lines.iter().zip(&mut quotes) {
        if let Some((_, price)) = passage.prices.iter().find(|(sku, _)| *sku == line.sku) {
            quote.price = *price;
        }
    }
    let placed = place_at(
        desk,
        wanted,
        request,
        id,
        lines,
        quotes,
        Some(Admitted { arrival: &arrival, passage: &passage }),
    );
    let mut placed = placed.await;
    // It passed, and the sale ended before it got its pieces.
    if let Err(OrdersError::Inventory(InventoryError::NotAllotted { .. })) = &placed {
        placed = Err(SalesError::over().into());
    }
    let outcome = match &placed {
        // What may be there counts; the sweep gives it back if it never appears.
        Ok(_) | Err(OrdersError::Unknown) => PassageOutcome::Placed,
        Err(OrdersError::Inventory(InventoryError::SoldOut { .. })) => {
            PassageOutcome::Refused(sales::Refusal::SoldOut)
        }
        Err(OrdersError::Sales(SalesError::Refused(refusal))) => PassageOutcome::Refused(refusal.clone()),
        Err(OrdersError::Payments(PaymentsError::Declined)) => PassageOutcome::Declined,
        Err(_) => PassageOutcome::CameToNothing,
    };
    let is_placed = outcome == PassageOutcome::Placed;
    let end = EndPassage { arrival, passage, outcome };
    let told = desk.ports.end_passage.ask(end.clone());
    if is_placed {
        // What is durable is not held up by whoever counts it.
        let is_told = tokio::time::timeout(COUNTED_WITHIN, told).await.is_ok_and(|told| told.is_ok());
        if !is_told {
            tell(id, desk.ports.end_passage.clone(), end);
        }
    } else if told.await.is_err() {
        give_up_passage(desk, id);
    }
    placed
}

/// Tells sales until it hears it that an order came to nothing, so that it does not count for its customer for ever.
fn give_up_passage(desk: &Desk, order: OrderId) {
    tell(order, desk.ports.abandon_order.clone(), AbandonOrder { order });
}

/// Tells sales until it hears it what became of an order.
pub(super) fn tell<M>(order: OrderId, port: Port<M>, message: M)
where
    M: Message<Result = Result<(), SalesError>> + Clone + 'static,
{
    actix_rt::spawn(async move {
        for _ in 0..TELLS_MAX {
            if port.ask(message.clone()).await.is_ok() {
                return;
            }
            tokio::time::sleep(TELLS_EVERY).await;
        }
        tracing::warn!(%order, "sales was not told what became of an order; it counts as it did until sales starts again");
    });
}

/// An order that passed the gates of a sale.
#[derive(Clone, Copy)]
struct Admitted<'a> {
    arrival: &'a Arrival,
    passage: &'a Passage,
}

impl Admitted<'_> {
    fn lines(self) -> SaleLines {
        let Passage { sale, claimants, prices, .. } = self.passage;
        SaleLines {
            claim: SaleClaim { sale: *sale, claimants: claimants.clone() },
            skus: prices.iter().map(|(sku, _)| sku.clone()).collect(),
        }
    }
}

/// The order as it comes to the gates.
fn arrival(order: OrderId, wanted: &PlaceOrder, lines: &[Line]) -> Arrival {
    let (is_konbini, name) = match &wanted.payment {
        PaymentMethod::Konbini { phone, .. } => (true, Some(("phone", phone.as_str().to_owned()))),
        PaymentMethod::Card { token } => {
            (false, token.fingerprint().map(|fingerprint| ("card", fingerprint.to_owned())))
        }
    };
    Arrival {
        order,
        customer: wanted.customer,
        is_staff: wanted.is_staff,
        lines: lines.to_vec(),
        is_konbini,
        also_known_as: name.into_iter().collect(),
        device: wanted.device.clone(),
        admission: wanted.admission,
        arrived_at: wanted.arrived_at,
    }
}

/// Places the order at these prices, in the sale that it was admitted to if there is one.
async fn place_at(
    desk: &Desk,
    wanted: &PlaceOrder,
    request: RequestHash,
    id: OrderId,
    lines: Vec<Line>,
    quotes: Vec<Quote>,
    admitted: Option<Admitted<'_>>,
) -> Result<Arc<Order>, OrdersError> {
    let skus: Vec<Sku> = lines.iter().map(|line| line.sku.clone()).collect();
    let mut total = Money::NOTHING;
    for (line, quote) in lines.iter().zip(&quotes) {
        total = total.plus(quote.price.times(line.quantity)?)?;
    }

    let created_at = now_in_microseconds();
    let pay_within = match admitted {
        Some(Admitted { passage, .. }) => {
            Duration::from_secs(u64::try_from(passage.pay_within_seconds).unwrap_or(0))
        }
        None => desk.konbini_pay_within,
    };
    let pay_before = after(created_at, pay_within);
    let reserve = ReserveStock {
        id: id.into(),
        lines: lines.clone(),
        purpose: Purpose::Order,
        expires_at: after(pay_before, HOLD_BEYOND_PAYMENT),
        sale: admitted.map(Admitted::lines),
        id_is_new: true,
    };
    if let Err(refusal) = desk.ports.reserve_stock.ask(reserve).await {
        return Err(refusal.into());
    }
    if let Some(Admitted { arrival, passage }) = admitted {
        let (arrival, passage) = (arrival.clone(), passage.clone());
        let set_aside = EndPassage { arrival, passage, outcome: PassageOutcome::SetAside };
        if let Err(refusal) = desk.ports.end_passage.ask(set_aside).await {
            release(desk, id.into(), skus).await;
            return Err(refusal.into());
        }
    }

    let open = OpenPayment { order: id, method: wanted.payment.clone(), amount: total, pay_before };
    let payment = match desk.ports.open_payment.ask(open).await {
        Ok(payment) => payment,
        Err(refusal) => {
            release(desk, id.into(), skus).await;
            return Err(refusal.into());
        }
    };

    let sale = admitted.map(|admitted| admitted.passage.sale);
    let placing = Placing { id, customer: wanted.customer, sale, created_at, pay_before };
    let order = Arc::new(Order::place(placing, &lines, quotes, payment.clone())?);
    let placement = Placement { order: order.clone(), key: wanted.key.clone(), request };
    match desk.commit(Entry::Place(placement)).await {
        Ok(Ok(())) => {
            if order.status == OrderStatus::Confirmed {
                settlement::settle_soon(desk, order.clone());
            }
            Ok(order)
        }
        // It may be there, so the reservation stays: a round gives it back if the order never appears (`rounds.rs`).
        // The payment stays too; the sandbox takes no money, and a real provider's intent lapses by itself.
        Err(OrdersError::Unknown) => Err(OrdersError::Unknown),
        Ok(Err(refusal)) => {
            undo(desk, id, skus, payment).await;
            Err(match refusal {
                Refusal::KeyTaken => OrdersError::KeyReused,
                Refusal::NotInStatus | Refusal::Constraint => {
                    StorageError::Broken(format!("a new order was kept out: {refusal:?}")).into()
                }
            })
        }
        Err(error) => {
            undo(desk, id, skus, payment).await;
            Err(error)
        }
    }
}

/// Gives back what was got for an order that does not come to be.
async fn undo(desk: &Desk, id: OrderId, skus: Vec<Sku>, payment: Payment) {
    if let Err(error) = desk.ports.void_payment.ask(VoidPayment { order: id, payment }).await {
        tracing::error!(order = %id, %error, "the payment of an order that was not placed could not be voided");
    }
    release(desk, id.into(), skus).await;
}

/// What cannot be given back now is found by the sweep, since its order never comes to be.
async fn release(desk: &Desk, id: ReservationId, skus: Vec<Sku>) {
    let release = ReleaseReservation {
        id,
        purpose: Purpose::Order,
        skus,
        even_if_committed: false,
        has_expired: false,
    };
    if let Err(error) = desk.ports.release_reservation.ask(release).await {
        tracing::warn!(reservation = %id, %error, "stock is given back later");
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

fn after(time: Timestamp, span: Duration) -> Timestamp {
    time.checked_add(span).unwrap_or(Timestamp::MAX)
}
