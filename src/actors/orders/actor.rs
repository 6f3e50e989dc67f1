//! The orders actor: takes messages and answers each in the background, so that it never waits itself.

use actix::{Actor, Context, Handler, ResponseFuture};
use jiff::Timestamp;

use super::checkout;
use super::error::OrdersError;
use super::keys::KnownKeys;
use super::latency::Latencies;
use super::messages::*;
use super::model::{HistoryEntry, Order};
use super::service::OrderService;
use crate::actors::runtime::failpoint;
use crate::types::Page;

pub struct OrdersActor {
    service: OrderService,
    keys: KnownKeys,
    latencies: Latencies,
}

impl OrdersActor {
    pub fn new(service: OrderService) -> Self {
        let keys = KnownKeys::new(service.keys_remembered_max);
        Self { service, keys, latencies: Latencies::new() }
    }
}

impl Actor for OrdersActor {
    type Context = Context<Self>;
}

impl Handler<PlaceOrder> for OrdersActor {
    type Result = ResponseFuture<Result<Placed, OrdersError>>;

    fn handle(&mut self, wanted: PlaceOrder, _: &mut Self::Context) -> Self::Result {
        failpoint::hit("orders", wanted.customer);
        let (service, keys, latencies) = (self.service.clone(), self.keys.clone(), self.latencies.clone());
        Box::pin(async move {
            let arrived_at = wanted.arrived_at;
            let placed = checkout::place_order(&service, &keys, wanted).await;
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
        let service = self.service.clone();
        Box::pin(async move { service.own_order(customer, order).await })
    }
}

impl Handler<InspectOrder> for OrdersActor {
    type Result = ResponseFuture<Result<Order, OrdersError>>;

    fn handle(&mut self, InspectOrder { order }: InspectOrder, _: &mut Self::Context) -> Self::Result {
        let service = self.service.clone();
        Box::pin(async move { service.order(order).await })
    }
}

impl Handler<ListOrders> for OrdersActor {
    type Result = ResponseFuture<Result<Page<Order>, OrdersError>>;

    fn handle(&mut self, message: ListOrders, _: &mut Self::Context) -> Self::Result {
        let store = self.service.store.clone();
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
        let service = self.service.clone();
        Box::pin(async move {
            let mut history = service.own_order(customer, order).await?.first_history();
            history.extend(service.store.list_history(order).await?);
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
        let service = self.service.clone();
        Box::pin(async move { service.cancel(message).await })
    }
}

impl Handler<RecordPayment> for OrdersActor {
    type Result = ResponseFuture<Result<Order, OrdersError>>;

    fn handle(&mut self, message: RecordPayment, _: &mut Self::Context) -> Self::Result {
        let service = self.service.clone();
        Box::pin(async move { service.record_payment(message).await })
    }
}
