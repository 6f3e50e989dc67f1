//! The orders actor: takes messages and carries them out beside each other; it never waits itself.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler, ResponseFuture};
use jiff::Timestamp;

use super::book::{Entry, KeyAsked, KeyBook, KeyTaken, OrderBook, Refusal};
use super::checkout;
use super::domain::OrdersNeeds;
use super::error::OrdersError;
use super::keys::KnownKeys;
use super::latency::Latencies;
use super::messages::*;
use super::model::{HistoryEntry, Order, OrderStatus, Transition, TransitionEvent};
use super::settlement;
use super::store::OrdersStore;
use crate::actors::payments::{Payment, PaymentStatus};
use crate::actors::runtime::{CommitError, Journal, failpoint};
use crate::storage::StorageError;
use crate::types::{CustomerId, OrderId, Page};

/// Everything that it takes to carry out a message; cheap to clone into an answer on its way.
#[derive(Clone)]
pub struct Desk {
    pub(super) store: OrdersStore,
    /// The lanes; an order always uses the same one.
    pub(super) journals: Arc<[Journal<OrderBook>]>,
    pub(super) keys: Journal<KeyBook>,
    pub(super) ports: OrdersNeeds,
    pub(super) lines_max: usize,
    keys_remembered_max: usize,
    pub(super) konbini_pay_within: Duration,
}

impl Desk {
    pub fn new(
        store: OrdersStore,
        journals: Vec<Journal<OrderBook>>,
        keys: Journal<KeyBook>,
        ports: OrdersNeeds,
        config: &crate::config::Orders,
    ) -> Self {
        Self {
            store,
            journals: journals.into(),
            keys,
            ports,
            lines_max: config.lines_max,
            keys_remembered_max: config.keys_remembered_max,
            konbini_pay_within: Duration::from_secs(config.konbini_pay_within_seconds),
        }
    }

    /// Makes an entry durable; the refusal, if any, is the caller's to understand.
    pub(super) async fn commit(&self, entry: Entry) -> Result<Result<(), Refusal>, OrdersError> {
        // The last bits of a UUIDv7 are random.
        let lane = entry.order().uuid().as_u128() as usize % self.journals.len();
        let place = self.journals[lane].place().ok_or(OrdersError::Busy)?;
        match place.enter(entry).await {
            Ok(()) => Ok(Ok(())),
            Err(CommitError::Refused(refusal)) => Ok(Err(refusal)),
            Err(error) => Err(failure(error)),
        }
    }

    /// The order that a customer used a key for, if any.
    pub(super) async fn find_key(&self, asked: KeyAsked) -> Result<Option<KeyTaken>, OrdersError> {
        let place = self.keys.place().ok_or(OrdersError::Busy)?;
        match place.enter(asked).await {
            Ok(()) => Ok(None),
            Err(CommitError::Refused(taken)) => Ok(Some(taken)),
            Err(error) => Err(failure(error)),
        }
    }

    pub(super) async fn order(&self, id: OrderId) -> Result<Order, OrdersError> {
        self.store.find_order(id).await?.ok_or(OrdersError::UnknownOrder(id))
    }

    /// An order of this customer; that another one's exists is nobody's business.
    async fn own_order(&self, customer: CustomerId, id: OrderId) -> Result<Order, OrdersError> {
        let order = self.order(id).await?;
        if order.customer == customer { Ok(order) } else { Err(OrdersError::UnknownOrder(id)) }
    }

    /// Changes the status if it still is one of `from`; true if it was.
    pub(super) async fn change(&self, transition: Transition) -> Result<bool, OrdersError> {
        let to = transition.to;
        if !transition.from.iter().all(|from| *from == to || from.may_become(to)) {
            let problem = format!("{:?} do not become {to:?}", transition.from);
            return Err(StorageError::Broken(problem).into());
        }
        match self.commit(Entry::Move(transition)).await? {
            Ok(()) => Ok(true),
            Err(Refusal::NotInStatus) => Ok(false),
            Err(refusal) => {
                Err(StorageError::Broken(format!("a change of status was kept out: {refusal:?}")).into())
            }
        }
    }

    /// Ends the order, or takes note that money came after its end; true if the order still was in one of the statuses
    /// `from`. Settling it comes after that, so that a payment is only ever taken back from an order that does not count
    /// on it.
    pub(super) async fn end(
        &self,
        order: &Order,
        payment: Payment,
        from: &'static [OrderStatus],
        to: OrderStatus,
        reason: &'static str,
        event: TransitionEvent,
    ) -> Result<bool, OrdersError> {
        self.change(Transition {
            order: order.id,
            from,
            to,
            payment_before: order.payment_status,
            payment_status: payment.void().status(),
            reason,
            event,
            at: Timestamp::now(),
        })
        .await
    }

    async fn cancel(&self, message: CancelOrder) -> Result<Order, OrdersError> {
        let order = self.own_order(message.customer, message.order).await?;
        match order.status {
            OrderStatus::Cancelled => return Ok(order),
            OrderStatus::Expired => {
                return Err(OrdersError::NotCancellable { order: order.id, status: order.status });
            }
            OrderStatus::AwaitingPayment | OrderStatus::Confirmed => {}
        }
        let from: &[_] = match order.status {
            OrderStatus::Confirmed => &[OrderStatus::Confirmed],
            _ => &[OrderStatus::AwaitingPayment],
        };
        let payment = current_payment(&order);
        let changed = self
            .end(
                &order,
                payment,
                from,
                OrderStatus::Cancelled,
                "cancelled by the customer",
                TransitionEvent::Cancelled,
            )
            .await?;
        let order = self.order(order.id).await?;
        if changed {
            self.settle_now_or_later(&order).await;
            return Ok(order);
        }
        // Somebody was faster: it was paid, cancelled or expired in between.
        Box::pin(self.cancel(message)).await
    }

    async fn record_payment(&self, message: RecordPayment) -> Result<Order, OrdersError> {
        let report = message.report;
        let order = self.order(report.order).await?;
        if !matches!(order.payment, Payment::Konbini { .. }) {
            return Err(OrdersError::NotAKonbiniOrder(order.id));
        }
        let total = order.totals.total;
        if let Some(reported) = report.amount
            && reported != total
        {
            return Err(OrdersError::AmountDiffers { order: order.id, total, reported });
        }
        match order.status {
            OrderStatus::Confirmed => return Ok(order),
            OrderStatus::AwaitingPayment => {
                self.change(Transition {
                    order: order.id,
                    from: &[OrderStatus::AwaitingPayment],
                    to: OrderStatus::Confirmed,
                    payment_before: PaymentStatus::Pending,
                    payment_status: PaymentStatus::Captured,
                    reason: "paid at the konbini",
                    event: TransitionEvent::Confirmed,
                    at: Timestamp::now(),
                })
                .await?;
            }
            // The money came after the end: it goes back, and everybody can see that it did.
            ended @ (OrderStatus::Cancelled | OrderStatus::Expired) => {
                if order.payment_status == PaymentStatus::Refunded {
                    return Ok(order);
                }
                let paid = order.payment.clone().with(PaymentStatus::Captured);
                let from: &[_] = match ended {
                    OrderStatus::Cancelled => &[OrderStatus::Cancelled],
                    _ => &[OrderStatus::Expired],
                };
                let reason = "paid too late and refunded";
                self.end(&order, paid, from, ended, reason, TransitionEvent::PaymentRefunded).await?;
                let order = self.order(order.id).await?;
                self.settle_now_or_later(&order).await;
                return Ok(order);
            }
        }
        let order = self.order(order.id).await?;
        if order.status != OrderStatus::Confirmed {
            // It ended while the report was on its way.
            return Box::pin(self.record_payment(RecordPayment { report })).await;
        }
        self.settle_now_or_later(&order).await;
        self.order(order.id).await
    }

    /// What cannot follow the order now follows in a later round.
    pub(super) async fn settle_now_or_later(&self, order: &Order) {
        if let Err(error) = settlement::settle(self, order).await {
            tracing::warn!(order = %order.id, %error, "the stock of an order follows later");
        }
    }
}

/// The payment with what became of it.
pub(super) fn current_payment(order: &Order) -> Payment {
    order.payment.clone().with(order.payment_status)
}

fn failure<R: std::fmt::Debug>(error: CommitError<R>) -> OrdersError {
    match error {
        CommitError::Unknown => OrdersError::Unknown,
        CommitError::Late => OrdersError::Busy,
        CommitError::Unreachable => {
            StorageError::Unreachable("the journal has no connection".to_owned()).into()
        }
        CommitError::Broken(problem) => StorageError::Broken(problem).into(),
        CommitError::Refused(refusal) => StorageError::Broken(format!("{refusal:?}")).into(),
    }
}

pub struct OrdersActor {
    desk: Desk,
    keys: KnownKeys,
    latencies: Latencies,
}

impl OrdersActor {
    pub fn new(desk: Desk) -> Self {
        let keys = KnownKeys::new(desk.keys_remembered_max);
        Self { desk, keys, latencies: Latencies::new() }
    }
}

impl Actor for OrdersActor {
    type Context = Context<Self>;
}

impl Handler<PlaceOrder> for OrdersActor {
    type Result = ResponseFuture<Result<Placed, OrdersError>>;

    fn handle(&mut self, wanted: PlaceOrder, _: &mut Self::Context) -> Self::Result {
        failpoint::hit("orders", wanted.customer);
        let (desk, keys, latencies) = (self.desk.clone(), self.keys.clone(), self.latencies.clone());
        Box::pin(async move {
            let arrived_at = wanted.arrived_at;
            let placed = checkout::place_order(&desk, &keys, wanted).await;
            if let Ok(Placed { order, replayed: false }) = &placed
                && let Some(sale) = order.sale
            {
                latencies.note(sale, Timestamp::now().duration_since(arrived_at).unsigned_abs());
            }
            placed
        })
    }
}

impl Handler<GetOrder> for OrdersActor {
    type Result = ResponseFuture<Result<Order, OrdersError>>;

    fn handle(&mut self, GetOrder { customer, order }: GetOrder, _: &mut Self::Context) -> Self::Result {
        let desk = self.desk.clone();
        Box::pin(async move { desk.own_order(customer, order).await })
    }
}

impl Handler<InspectOrder> for OrdersActor {
    type Result = ResponseFuture<Result<Order, OrdersError>>;

    fn handle(&mut self, InspectOrder { order }: InspectOrder, _: &mut Self::Context) -> Self::Result {
        let desk = self.desk.clone();
        Box::pin(async move { desk.order(order).await })
    }
}

impl Handler<ListOrders> for OrdersActor {
    type Result = ResponseFuture<Result<Page<Order>, OrdersError>>;

    fn handle(&mut self, message: ListOrders, _: &mut Self::Context) -> Self::Result {
        let store = self.desk.store.clone();
        let ListOrders { customer, limit, cursor, status, sale } = message;
        Box::pin(async move { store.list_orders(customer, limit, cursor, status, sale).await })
    }
}

impl Handler<ListHistory> for OrdersActor {
    type Result = ResponseFuture<Result<Vec<HistoryEntry>, OrdersError>>;

    fn handle(
        &mut self,
        ListHistory { customer, order }: ListHistory,
        _: &mut Self::Context,
    ) -> Self::Result {
        let desk = self.desk.clone();
        Box::pin(async move {
            let mut history = desk.own_order(customer, order).await?.first_history();
            history.extend(desk.store.list_history(order).await?);
            Ok(history)
        })
    }
}

impl Handler<GetLatency> for OrdersActor {
    type Result = Result<Option<Latency>, OrdersError>;

    fn handle(&mut self, GetLatency { sale }: GetLatency, _: &mut Self::Context) -> Self::Result {
        Ok(self.latencies.of(sale))
    }
}

impl Handler<CancelOrder> for OrdersActor {
    type Result = ResponseFuture<Result<Order, OrdersError>>;

    fn handle(&mut self, message: CancelOrder, _: &mut Self::Context) -> Self::Result {
        let desk = self.desk.clone();
        Box::pin(async move { desk.cancel(message).await })
    }
}

impl Handler<RecordPayment> for OrdersActor {
    type Result = ResponseFuture<Result<Order, OrdersError>>;

    fn handle(&mut self, message: RecordPayment, _: &mut Self::Context) -> Self::Result {
        let desk = self.desk.clone();
        Box::pin(async move { desk.record_payment(message).await })
    }
}
