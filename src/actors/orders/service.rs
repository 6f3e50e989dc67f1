//! What the orders actor shares with its running answers: the store, the journals, the other domains' ports.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::book::{Entry, KeyAsked, KeyBook, KeyTaken, OrderBook, Refusal};
use super::domain::OrdersNeeds;
use super::error::OrdersError;
use super::messages::{CancelOrder, RecordPayment};
use super::model::{Order, OrderCommand, Transition};
use super::sale_skus::SaleSkusCopy;
use super::settlement;
use super::store::OrdersStore;
use crate::actors::runtime::{CommitError, Journal};
use crate::storage::StorageError;
use crate::types::{CustomerId, OrderId};

/// How often an order is decided upon anew because it changed meanwhile. Its status only moves forward, so that no order
/// can change more often.
pub(super) const ATTEMPTS: usize = 8;

/// Cheap to clone.
#[derive(Clone)]
pub struct OrderService {
    pub(super) store: OrdersStore,
    /// The lanes; an order always uses the same one.
    pub(super) journals: Arc<[Journal<OrderBook>]>,
    pub(super) keys: Journal<KeyBook>,
    pub(super) needs: OrdersNeeds,
    pub(super) sale_skus: SaleSkusCopy,
    pub(super) lines_max: usize,
    pub(super) keys_remembered_max: usize,
    pub(super) konbini_pay_within: Duration,
}

impl OrderService {
    pub fn new(
        store: OrdersStore,
        journals: Vec<Journal<OrderBook>>,
        keys: Journal<KeyBook>,
        needs: OrdersNeeds,
        config: &crate::config::Orders,
    ) -> Self {
        Self {
            store,
            journals: journals.into(),
            keys,
            needs,
            sale_skus: SaleSkusCopy::default(),
            lines_max: config.lines_max,
            keys_remembered_max: config.keys_remembered_max,
            konbini_pay_within: Duration::from_secs(config.konbini_pay_within_seconds),
        }
    }

    /// Makes an entry durable; the caller interprets a refusal.
    pub(super) async fn commit(&self, entry: Entry) -> Result<Result<(), Refusal>, OrdersError> {
        // The last bits of a UUIDv7 are random.
        let lane = entry.order().uuid().as_u128() as usize % self.journals.len();
        let place = self.journals[lane].slot().ok_or(OrdersError::Busy)?;
        match place.enter(entry).await {
            Ok(()) => Ok(Ok(())),
            Err(CommitError::Refused(refusal)) => Ok(Err(refusal)),
            Err(error) => Err(failure(error)),
        }
    }

    /// The order that a customer used a key for, if any.
    pub(super) async fn find_key(&self, asked: KeyAsked) -> Result<Option<KeyTaken>, OrdersError> {
        let place = self.keys.slot().ok_or(OrdersError::Busy)?;
        match place.enter(asked).await {
            Ok(()) => Ok(None),
            Err(CommitError::Refused(taken)) => Ok(Some(taken)),
            Err(error) => Err(failure(error)),
        }
    }

    pub(super) async fn order(&self, id: OrderId) -> Result<Order, OrdersError> {
        self.store.find_order(id).await?.ok_or(OrdersError::UnknownOrder(id))
    }

    /// An order of this customer; another customer's is answered as if it did not exist.
    pub(super) async fn own_order(&self, customer: CustomerId, id: OrderId) -> Result<Order, OrdersError> {
        let order = self.order(id).await?;
        if order.customer == customer { Ok(order) } else { Err(OrdersError::UnknownOrder(id)) }
    }

    /// Carries a decision out, if the order still is what it was decided upon; true if it was.
    pub(super) async fn change(&self, transition: Transition) -> Result<bool, OrdersError> {
        match self.commit(Entry::Move(transition)).await? {
            Ok(()) => Ok(true),
            Err(Refusal::NotInStatus) => Ok(false),
            Err(refusal) => {
                Err(StorageError::Broken(format!("a change of status was kept out: {refusal:?}")).into())
            }
        }
    }

    /// Does something to the order as it stands. Answers with the order as it is then, and whether this changed it.
    pub(super) async fn carry_out(
        &self,
        mut order: Order,
        command: OrderCommand,
    ) -> Result<(Order, bool), OrdersError> {
        for _ in 0..ATTEMPTS {
            let Some(transition) = order.decide(command, Timestamp::now())? else {
                return Ok((order, false));
            };
            let is_changed = self.change(transition).await?;
            order = self.order(order.id).await?;
            if is_changed {
                return Ok((order, true));
            }
        }
        Err(changes_too_often(order.id))
    }

    pub(super) async fn cancel(&self, message: CancelOrder) -> Result<Order, OrdersError> {
        let order = self.own_order(message.customer, message.order).await?;
        let (order, is_changed) = self.carry_out(order, OrderCommand::Cancel).await?;
        if is_changed {
            settlement::settle_or_leave(self, &order).await;
        }
        Ok(order)
    }

    pub(super) async fn record_payment(&self, message: RecordPayment) -> Result<Order, OrdersError> {
        let report = message.report;
        let order = self.order(report.order).await?;
        order.check_report(report.amount)?;
        let (order, is_changed) = self.carry_out(order, OrderCommand::RecordPayment).await?;
        if !is_changed {
            return Ok(order);
        }
        settlement::settle_or_leave(self, &order).await;
        // Paid too late for its stock, it is cancelled and refunded by now.
        self.order(order.id).await
    }
}

pub(super) fn changes_too_often(order: OrderId) -> OrdersError {
    StorageError::Broken(format!("order {order} changes each time that it is decided upon")).into()
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
