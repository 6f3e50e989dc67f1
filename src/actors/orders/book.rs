//! What the orders journals write: new orders, changes of status, and which orders are settled.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::events::OrderEvent;
use super::keys::RequestHash;
use super::model::{IdempotencyKey, Order, OrderStatus, Transition};
use crate::actors::runtime::{Book, failpoint};
use crate::events::NewEvent;
use crate::storage::{Connection, StorageError, columns};
use crate::types::{CustomerId, OrderId, SaleId};

/// One thing to be made durable.
#[derive(Debug)]
pub enum Entry {
    Place(Placement),
    Move(Transition),
    /// The order is settled in this status: what it holds was confirmed or released.
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
    let placements = || {
        batch.iter().filter_map(|entry| match entry {
            Entry::Place(placement) => Some(placement),
            _ => None,
        })
    };
    for placement in placements() {
        failpoint::hit("orders journal", placement.order.customer);
    }

    let mut insert = InsertOrders {
        orders: OrderColumns::with_capacity(batch.len()),
        lines: LineColumns::with_capacity(batch.len()),
        events: EventColumns::with_capacity(batch.len()),
    };
    for Placement { order, key, request } in placements() {
        let id = order.id.uuid();
        insert.orders.push(OrderRow {
            id,
            customer_id: order.customer.uuid(),
            key: key.as_str(),
            request_hash: request,
            status: order.status.as_str(),
            total: order.totals.total.amount(),
            tax: to_json(&order.totals.tax)?,
            payment: to_json(&order.payment)?,
            payment_status: order.payment_status.as_str(),
            created_at: order.created_at,
            expires_at: order.expires_at,
            sale_id: order.sale.map(SaleId::uuid),
        });
        for (line, position) in order.lines.iter().zip(0..) {
            insert.lines.push(LineRow {
                order_id: id,
                sku: line.sku.as_str(),
                name: &line.name,
                quantity: line.quantity.get(),
                unit_price: line.unit_price.amount(),
                tax_rate: line.tax_rate.percent(),
                position,
            });
        }
        let (placed, confirmed) = OrderEvent::of_placed(order);
        for event in [Some(placed), confirmed].into_iter().flatten() {
            let NewEvent { id: event_id, name, version, payload } =
                NewEvent::of(&event).map_err(not_serialised)?;
            insert.events.push(EventRow { id: event_id, name, version, order_id: id, payload });
        }
    }
    let rows = insert.query(connection).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn move_orders(connection: &Connection, batch: &[Entry]) -> Result<Vec<Uuid>, StorageError> {
    let mut changes = MoveOrders { changes: ChangeColumns::with_capacity(batch.len()) };
    for entry in batch {
        let Entry::Move(transition) = entry else { continue };
        let event = NewEvent::of(&OrderEvent::of_transition(transition)).map_err(not_serialised)?;
        changes.changes.push(ChangeRow {
            order_id: transition.order.uuid(),
            before: transition.from.as_str(),
            after: transition.to.as_str(),
            payment_before: transition.payment_before.as_str(),
            payment_status: transition.payment_status.as_str(),
            reason: transition.reason,
            at: transition.at,
            event_id: event.id,
            event_name: event.name,
            event_version: event.version,
            payload: event.payload,
        });
    }
    let rows = changes.query(connection).await?;
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
    serde_json::to_string(value).map_err(not_serialised)
}

fn not_serialised(error: serde_json::Error) -> StorageError {
    StorageError::Broken(error.to_string())
}

columns! {
    /// New orders with their lines and events.
    struct InsertOrders<'a> for "sql/orders/insert_orders.sql" {
        orders: OrderColumns of OrderRow<'a> {
            id: Uuid,
            customer_id: Uuid,
            key: &'a str,
            request_hash: &'a [u8],
            status: &'static str,
            total: i64,
            tax: String,
            payment: String,
            payment_status: &'static str,
            created_at: Timestamp,
            expires_at: Option<Timestamp>,
            sale_id: Option<Uuid>,
        }
        lines: LineColumns of LineRow<'a> {
            order_id: Uuid,
            sku: &'a str,
            name: &'a str,
            quantity: i64,
            unit_price: i64,
            tax_rate: i16,
            position: i16,
        }
        events: EventColumns of EventRow {
            id: Uuid,
            name: &'static str,
            version: i16,
            order_id: Uuid,
            payload: String,
        }
    }
}

columns! {
    /// Changes of orders, each with its event.
    struct MoveOrders<'a> for "sql/orders/move_orders.sql" {
        changes: ChangeColumns of ChangeRow<'a> {
            order_id: Uuid,
            before: &'static str,
            after: &'static str,
            payment_before: &'static str,
            payment_status: &'static str,
            reason: &'a str,
            at: Timestamp,
            event_id: Uuid,
            event_name: &'static str,
            event_version: i16,
            payload: String,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declared_columns_are_those_of_the_statements() {
        InsertOrders::check_statement();
        MoveOrders::check_statement();
    }
}
