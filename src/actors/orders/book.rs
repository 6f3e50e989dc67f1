//! What the orders journals write: new orders, changes of status, and that the stock has followed.

use std::sync::Arc;

use uuid::Uuid;

use super::events;
use super::keys::RequestHash;
use super::model::{IdempotencyKey, Order, OrderStatus, Transition};
use crate::actors::runtime::{Book, failpoint};
use crate::storage::{Connection, StorageError};
use crate::types::{CustomerId, OrderId, SaleId};

/// One thing to be made durable.
#[derive(Debug)]
pub enum Entry {
    Place(Placement),
    Move(Transition),
    /// The reservation of an order has followed it to this status.
    Settle(OrderId, OrderStatus),
}

/// A new order and the key that asked for it.
#[derive(Debug)]
pub struct Placement {
    pub order: Arc<Order>,
    pub key: IdempotencyKey,
    pub request: RequestHash,
}

/// Why an entry was kept out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The customer has used the key before.
    KeyTaken,
    /// The order is not in a status from which it may change so.
    NotInStatus,
    Constraint,
}

/// Writes orders with their lines, history and events; each kind of entry in a statement of its own.
#[derive(Debug, Clone, Copy)]
pub struct OrderBook;

impl Book for OrderBook {
    type Entry = Entry;
    type Refusal = Refusal;

    async fn write(
        &self,
        connection: &Connection,
        batch: &[Entry],
    ) -> Result<Vec<Result<(), Refusal>>, StorageError> {
        let (written, refusal) = match batch.first() {
            Some(Entry::Place(_)) => (insert_orders(connection, batch).await?, Refusal::KeyTaken),
            Some(Entry::Move(_)) => (move_orders(connection, batch).await?, Refusal::NotInStatus),
            Some(Entry::Settle(..)) => (settle_orders(connection, batch).await?, Refusal::NotInStatus),
            None => return Ok(Vec::new()),
        };
        let written: std::collections::HashSet<Uuid> = written.into_iter().collect();
        let outcome =
            |entry: &Entry| if written.contains(&entry.order().uuid()) { Ok(()) } else { Err(refusal) };
        Ok(batch.iter().map(outcome).collect())
    }

    fn may_join(&self, batch: &[Entry], next: &Entry) -> bool {
        match (batch.first(), next) {
            (Some(Entry::Place(_)), Entry::Place(_)) => true,
            (Some(Entry::Move(_)), Entry::Move(_)) | (Some(Entry::Settle(..)), Entry::Settle(..)) => {
                // One row is changed once in a statement.
                !batch.iter().any(|entry| entry.order() == next.order())
            }
            _ => false,
        }
    }

    fn refusal(&self, _entry: &Entry, _constraint: &str) -> Refusal {
        Refusal::Constraint
    }
}

impl Entry {
    /// The order that it is about.
    pub(super) fn order(&self) -> OrderId {
        match self {
            Entry::Place(placement) => placement.order.id,
            Entry::Move(transition) => transition.order,
            Entry::Settle(order, _) => *order,
        }
    }
}

async fn insert_orders(connection: &Connection, batch: &[Entry]) -> Result<Vec<Uuid>, StorageError> {
    let placements: Vec<&Placement> = batch
        .iter()
        .filter_map(|entry| match entry {
            Entry::Place(placement) => Some(placement),
            _ => None,
        })
        .collect();
    for placement in &placements {
        failpoint::hit("orders journal", placement.order.customer);
    }

    let size = placements.len();
    let mut ids = Vec::with_capacity(size);
    let mut customers = Vec::with_capacity(size);
    let mut keys = Vec::with_capacity(size);
    let mut requests: Vec<&[u8]> = Vec::with_capacity(size);
    let mut statuses = Vec::with_capacity(size);
    let mut totals = Vec::with_capacity(size);
    let mut taxes = Vec::with_capacity(size);
    let mut payments = Vec::with_capacity(size);
    let mut payment_statuses = Vec::with_capacity(size);
    let mut created = Vec::with_capacity(size);
    let mut expire = Vec::with_capacity(size);
    let mut sales = Vec::with_capacity(size);

    let mut line_orders = Vec::with_capacity(size);
    let mut line_skus = Vec::with_capacity(size);
    let mut line_names = Vec::with_capacity(size);
    let mut line_quantities = Vec::with_capacity(size);
    let mut line_prices = Vec::with_capacity(size);
    let mut line_rates = Vec::with_capacity(size);
    let mut line_positions: Vec<i16> = Vec::with_capacity(size);

    let mut event_orders = Vec::with_capacity(size);
    let mut event_ids = Vec::with_capacity(size);
    let mut event_names = Vec::with_capacity(size);
    let mut event_payloads = Vec::with_capacity(size);

    for Placement { order, key, request } in placements {
        let id = order.id.uuid();
        ids.push(id);
        customers.push(order.customer.uuid());
        keys.push(key.as_str());
        requests.push(request);
        statuses.push(order.status.as_str());
        totals.push(order.totals.total.amount());
        taxes.push(to_json(&order.totals.tax)?);
        payments.push(to_json(&order.payment)?);
        payment_statuses.push(order.payment_status.as_str());
        created.push(order.created_at);
        expire.push(order.expires_at);
        sales.push(order.sale.map(SaleId::uuid));
        for (line, position) in order.lines.iter().zip(0..) {
            line_orders.push(id);
            line_skus.push(line.sku.as_str());
            line_names.push(&*line.name);
            line_quantities.push(line.quantity.get());
            line_prices.push(line.unit_price.amount());
            line_rates.push(line.tax_rate.percent());
            line_positions.push(position);
        }
        let mut tell = |event| {
            event_orders.push(id);
            event_ids.push(Uuid::now_v7());
            event_names.push(event);
            event_payloads.push(events::placed(order));
        };
        tell(events::CREATED);
        if order.status == OrderStatus::Confirmed {
            tell(events::CONFIRMED);
        }
    }

    let statement = connection.prepare_cached(include_str!("../../../sql/orders/insert_orders.sql")).await?;
    let rows = connection
        .query(
            &statement,
            &[
                &ids,
                &customers,
                &keys,
                &requests,
                &statuses,
                &totals,
                &taxes,
                &payments,
                &payment_statuses,
                &created,
                &expire,
                &line_orders,
                &line_skus,
                &line_names,
                &line_quantities,
                &line_prices,
                &line_rates,
                &event_orders,
                &event_ids,
                &event_names,
                &event_payloads,
                &events::VERSION,
                &line_positions,
                &sales,
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn move_orders(connection: &Connection, batch: &[Entry]) -> Result<Vec<Uuid>, StorageError> {
    let mut ids = Vec::with_capacity(batch.len());
    let mut from = Vec::with_capacity(batch.len());
    let mut to = Vec::with_capacity(batch.len());
    let mut payments_before = Vec::with_capacity(batch.len());
    let mut payment_statuses = Vec::with_capacity(batch.len());
    let mut reasons = Vec::with_capacity(batch.len());
    let mut times = Vec::with_capacity(batch.len());
    let mut event_ids = Vec::with_capacity(batch.len());
    let mut event_names = Vec::with_capacity(batch.len());
    let mut event_payloads = Vec::with_capacity(batch.len());
    for entry in batch {
        let Entry::Move(transition) = entry else { continue };
        ids.push(transition.order.uuid());
        from.push(transition.from.iter().map(|status| status.as_str()).collect::<Vec<_>>().join(","));
        to.push(transition.to.as_str());
        payments_before.push(transition.payment_before.as_str());
        payment_statuses.push(transition.payment_status.as_str());
        reasons.push(transition.reason);
        times.push(transition.at);
        event_ids.push(Uuid::now_v7());
        event_names.push(transition.event);
        event_payloads.push(events::moved(transition));
    }
    let statement = connection.prepare_cached(include_str!("../../../sql/orders/move_orders.sql")).await?;
    let rows = connection
        .query(
            &statement,
            &[
                &ids,
                &from,
                &to,
                &payment_statuses,
                &reasons,
                &times,
                &event_ids,
                &event_names,
                &event_payloads,
                &events::VERSION,
                &payments_before,
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn settle_orders(connection: &Connection, batch: &[Entry]) -> Result<Vec<Uuid>, StorageError> {
    let settled = batch.iter().filter_map(|entry| match entry {
        Entry::Settle(order, status) => Some((order.uuid(), status.as_str())),
        _ => None,
    });
    let (ids, statuses): (Vec<_>, Vec<_>) = settled.unzip();
    let statement = connection.prepare_cached(include_str!("../../../sql/orders/settle_orders.sql")).await?;
    let rows = connection.query(&statement, &[&ids, &statuses]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

fn to_json(value: &impl serde::Serialize) -> Result<String, StorageError> {
    serde_json::to_string(value).map_err(|error| StorageError::Broken(error.to_string()))
}

/// Looks many idempotency keys up in one round trip: the journal's way of gathering, on a connection that only reads.
///
/// An entry is "refused" when the key is taken.
#[derive(Debug, Clone, Copy)]
pub struct KeyBook;

/// A key that is asked about.
#[derive(Debug)]
pub struct KeyAsked {
    pub customer: CustomerId,
    pub key: IdempotencyKey,
}

/// The order that a key was used for.
#[derive(Debug, Clone)]
pub struct KeyTaken {
    pub order: OrderId,
    pub request: Vec<u8>,
}

impl Book for KeyBook {
    type Entry = KeyAsked;
    type Refusal = KeyTaken;

    async fn write(
        &self,
        connection: &Connection,
        batch: &[KeyAsked],
    ) -> Result<Vec<Result<(), KeyTaken>>, StorageError> {
        let customers: Vec<Uuid> = batch.iter().map(|asked| asked.customer.uuid()).collect();
        let keys: Vec<&str> = batch.iter().map(|asked| asked.key.as_str()).collect();
        let statement = connection.prepare_cached(include_str!("../../../sql/orders/find_keys.sql")).await?;
        let rows = connection.query(&statement, &[&customers, &keys]).await?;
        let mut answers: Vec<Result<(), KeyTaken>> = batch.iter().map(|_| Ok(())).collect();
        for row in rows {
            let position: i64 = row.get("position");
            let taken =
                KeyTaken { order: OrderId::from_uuid(row.get("id")), request: row.get("request_hash") };
            if let Some(answer) = usize::try_from(position - 1).ok().and_then(|index| answers.get_mut(index))
            {
                *answer = Err(taken);
            }
        }
        Ok(answers)
    }

    fn refusal(&self, _entry: &KeyAsked, _constraint: &str) -> KeyTaken {
        KeyTaken { order: OrderId::from_uuid(Uuid::nil()), request: Vec::new() }
    }
}
