//! What the engine is compared with: the same rows in the same tables, written one request at a time.
//!
//! *row lock* is the plain flow: lock the stock row in a transaction, then write one row after the other. *one
//! statement* is the best that this can be tuned to: everything in one data-modifying statement, one round trip.
//! *version retry* reads without a lock and writes, in one statement, only if the version is still the same.

use shobai::storage::{Database, PooledConnection};
use shobai::types::Sku;
use tokio_postgres::Statement;
use uuid::Uuid;

const RESERVE: &str = include_str!("../sql/one_statement.sql");
const ORDER: &str = include_str!("../sql/order_in_one_statement.sql");
const PAYMENT: &str = r#"{"method":"konbini","status":"pending","konbini":{"chain":"seven_eleven","payment_code":"1234567890","confirmation_number":"123456","pay_before":"2026-01-01T00:00:00Z"}}"#;
const EVENT: &str = r#"{"order_id":"0190f3a0-0000-7000-8000-000000000000","number":"000000-000000-000000","customer_id":"0190f3a0-0000-7000-8000-000000000000","status":"awaiting_payment","total":1980,"currency":"JPY","lines":[{"sku":"BENCH","quantity":1,"unit_price":1980}]}"#;

/// What is written with each reservation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    Reservation,
    ReservationAndOrder,
}

#[derive(Clone)]
pub struct Rival {
    database: Database,
    writes: Writes,
}

impl Rival {
    pub fn new(database: Database, writes: Writes) -> Self {
        Self { database, writes }
    }

    async fn connection(&self) -> PooledConnection {
        self.database.connection().await.expect("a connection")
    }

    pub async fn row_lock(&self, sku: &Sku) {
        let mut connection = self.connection().await;
        let prepare =
            async |text: &str| -> Statement { connection.prepare_cached(text).await.expect("a statement") };
        let lock =
            prepare("select on_hand - reserved, version from inventory.stock where sku = $1 for update")
                .await;
        let update = prepare(
            "update inventory.stock set reserved = reserved + 1, version = version + 1 where sku = $1",
        )
        .await;
        let made = prepare(
            "insert into inventory.reservations (id, sku, quantity, state, purpose, expires_at)
             values ($1, $2, 1, 'held', 'order', now() + interval '1 hour')",
        )
        .await;
        let recorded = prepare(
            "insert into inventory.movements (sku, version, kind, on_hand_delta, reserved_delta, reservation_id)
             values ($1, $2, 'reserved', 0, 1, $3)",
        )
        .await;
        let placed = prepare(
            "insert into orders.orders (id, customer_id, idempotency_key, request_hash, status, total, tax, payment,
                                        payment_status, created_at, expires_at, changed_at)
             values ($1, $2, $1::uuid::text, '\\x00', 'awaiting_payment', 1980,
                     '[{\"rate\": 10, \"base\": 1980, \"amount\": 180}]', $3::text::json, 'pending', now(),
                     now() + interval '1 hour', now())",
        )
        .await;
        let lined = prepare(
            "insert into orders.order_lines (order_id, sku, name, quantity, unit_price, tax_rate)
             values ($1, $2, 'lamp', 1, 1980, 10)",
        )
        .await;
        let told = prepare(
            "insert into orders.events (id, name, version, order_id, payload, at)
             values ($1, 'order.created', 1, $2, $3::text::json, now())",
        )
        .await;

        let id = Uuid::now_v7();
        let sku = sku.as_str();
        let transaction = connection.transaction().await.expect("begin");
        let row = transaction.query_one(&lock, &[&sku]).await.expect("a locked row");
        assert!(row.get::<_, i64>(0) >= 1, "no benchmark sells out");
        let version = row.get::<_, i64>(1) + 1;
        transaction.execute(&update, &[&sku]).await.expect("update");
        transaction.execute(&made, &[&id, &sku]).await.expect("reservation");
        transaction.execute(&recorded, &[&sku, &version, &id]).await.expect("movement");
        if self.writes == Writes::ReservationAndOrder {
            transaction.execute(&placed, &[&id, &Uuid::now_v7(), &PAYMENT]).await.expect("order");
            transaction.execute(&lined, &[&id, &sku]).await.expect("line");
            transaction.execute(&told, &[&Uuid::now_v7(), &id, &EVENT]).await.expect("event");
        }
        transaction.commit().await.expect("commit");
    }

    pub async fn one_statement(&self, sku: &Sku) {
        let connection = self.connection().await;
        assert!(self.write_at_once(&connection, sku, None).await, "no benchmark sells out");
    }

    pub async fn version_retry(&self, sku: &Sku) {
        let connection = self.connection().await;
        let read = connection
            .prepare_cached("select version from inventory.stock where sku = $1 and on_hand - reserved >= 1")
            .await
            .expect("a statement");
        loop {
            let row = connection.query_one(&read, &[&sku.as_str()]).await.expect("a row");
            if self.write_at_once(&connection, sku, Some(row.get(0))).await {
                return;
            }
        }
    }

    /// Writes everything in one statement; false when the row had another version than the expected one.
    async fn write_at_once(&self, connection: &PooledConnection, sku: &Sku, version: Option<i64>) -> bool {
        let text = match self.writes {
            Writes::Reservation => RESERVE,
            Writes::ReservationAndOrder => ORDER,
        };
        let text = match version {
            Some(_) => &matching_version(text, self.writes),
            None => text,
        };
        let statement = connection.prepare_cached(text).await.expect("a statement");
        let id = Uuid::now_v7();
        let (sku, customer, event) = (sku.as_str(), Uuid::now_v7(), Uuid::now_v7());
        let mut parameters: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> = vec![&sku, &id];
        if self.writes == Writes::ReservationAndOrder {
            parameters.push(&customer);
            parameters.push(&PAYMENT);
            parameters.push(&EVENT);
            parameters.push(&event);
        }
        if let Some(version) = &version {
            parameters.push(version);
        }
        connection.query_opt(&statement, &parameters).await.expect("a write").is_some()
    }
}

/// The one statement with the version as a further condition.
fn matching_version(text: &str, writes: Writes) -> String {
    let parameter = if writes == Writes::Reservation { "$3" } else { "$7" };
    text.replace("on_hand - reserved >= 1", &format!("on_hand - reserved >= 1 and version = {parameter}"))
}
