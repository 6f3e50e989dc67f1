//! Reads of orders. Changes go through the journals (`book.rs`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::error::OrdersError;
use super::model::{HistoryEntry, Order, OrderLine, OrderStatus, TaxShare, Totals};
use crate::actors::payments::{Payment, PaymentStatus};
use crate::storage::{Database, StorageError};
use crate::types::{Cursor, CustomerId, Limit, Money, OrderId, Page, Quantity, SaleId, TaxRate};

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../../sql/orders/", $name, ".sql"))
    };
}

/// How long ruling orders out may keep new orders waiting; a commit may take longer.
const ABANDONS_WITHIN: Duration = Duration::from_millis(500);

/// Cheap to clone.
#[derive(Clone)]
pub struct OrdersStore {
    database: Database,
}

impl OrdersStore {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    pub async fn find_order(&self, id: OrderId) -> Result<Option<Order>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("find_order")).await?;
        let Some(row) = connection.query_opt(&statement, &[&id.uuid()]).await? else { return Ok(None) };
        let mut lines = self.list_lines(&connection, &[id.uuid()]).await?;
        Ok(Some(order_from(&row, &mut lines)?))
    }

    /// Newest first.
    pub async fn list_orders(
        &self,
        customer: CustomerId,
        limit: Limit,
        cursor: Option<Cursor>,
        status: Option<OrderStatus>,
        sale: Option<SaleId>,
    ) -> Result<Page<Order>, OrdersError> {
        let below: Option<Uuid> = cursor.map(|cursor| cursor.key()).transpose()?;
        let (status, sale) = (status.map(OrderStatus::as_str), sale.map(SaleId::uuid));
        let query = async {
            let connection = self.database.connection().await?;
            let statement = connection.prepare_cached(sql!("list_orders")).await?;
            let rows = connection
                .query(&statement, &[&customer.uuid(), &below, &status, &(limit.get() + 1), &sale])
                .await?;
            let ids: Vec<Uuid> = rows.iter().map(|row| row.get("id")).collect();
            let mut lines = self.list_lines(&connection, &ids).await?;
            rows.iter().map(|row| order_from(row, &mut lines)).collect::<Result<Vec<_>, StorageError>>()
        };
        Ok(Page::from_rows(query.await?, limit, |order: &Order| order.id.to_string()))
    }

    async fn list_lines(
        &self,
        connection: &crate::storage::PooledConnection,
        orders: &[Uuid],
    ) -> Result<HashMap<Uuid, Vec<OrderLine>>, StorageError> {
        let statement = connection.prepare_cached(sql!("list_lines")).await?;
        let mut lines: HashMap<Uuid, Vec<OrderLine>> = HashMap::new();
        for row in connection.query(&statement, &[&orders]).await? {
            lines.entry(row.get("order_id")).or_default().push(line_from(&row)?);
        }
        Ok(lines)
    }

    /// What happened after it was placed, oldest first.
    pub async fn list_history(&self, order: OrderId) -> Result<Vec<HistoryEntry>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("list_history")).await?;
        let rows = connection.query(&statement, &[&order.uuid()]).await?;
        rows.iter()
            .map(|row| {
                let payment: Option<&str> = row.get("payment_status");
                Ok(HistoryEntry {
                    status: status_from(row)?,
                    payment: payment.map(payment_status_from).transpose()?,
                    reason: row.get("reason"),
                    at: row.get("at"),
                })
            })
            .collect()
    }

    pub async fn list_due_orders(&self, limit: i64) -> Result<Vec<OrderId>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("list_due_orders")).await?;
        ids(connection.query(&statement, &[&limit]).await?)
    }

    pub async fn list_unsettled_orders(
        &self,
        changed_before: Timestamp,
        limit: i64,
    ) -> Result<Vec<OrderId>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("list_unsettled_orders")).await?;
        ids(connection.query(&statement, &[&changed_before, &limit]).await?)
    }

    pub async fn list_existing_orders(&self, orders: &[OrderId]) -> Result<Vec<OrderId>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("list_existing_orders")).await?;
        let orders: Vec<Uuid> = orders.iter().map(|order| order.uuid()).collect();
        ids(connection.query(&statement, &[&orders]).await?)
    }

    /// Rules out that these orders are ever placed, also by a commit that is still in flight. Answers with those that do not
    /// exist and never will.
    pub async fn abandon_orders(&self, orders: &[OrderId]) -> Result<Vec<OrderId>, StorageError> {
        let mut connection = self.database.connection().await?;
        let transaction = connection.transaction().await?;
        let within = ABANDONS_WITHIN.as_millis();
        transaction.batch_execute(&format!("set local lock_timeout = {within}")).await?;
        transaction.execute(sql!("lock_abandoned"), &[]).await?;
        let statement = transaction.prepare_cached(sql!("abandon_orders")).await?;
        let orders: Vec<Uuid> = orders.iter().map(|order| order.uuid()).collect();
        let abandoned = ids(transaction.query(&statement, &[&orders]).await?)?;
        transaction.execute(sql!("delete_abandoned"), &[]).await?;
        transaction.commit().await?;
        Ok(abandoned)
    }
}

fn ids(rows: Vec<Row>) -> Result<Vec<OrderId>, StorageError> {
    Ok(rows.iter().map(|row| OrderId::from_uuid(row.get(0))).collect())
}

fn order_from(row: &Row, lines: &mut HashMap<Uuid, Vec<OrderLine>>) -> Result<Order, StorageError> {
    let id: Uuid = row.get("id");
    let total = Money::yen(row.get("total")).map_err(defective)?;
    let tax: Vec<TaxShare> = serde_json::from_value(row.get("tax")).map_err(defective)?;
    let payment: Payment = serde_json::from_value(row.get("payment")).map_err(defective)?;
    let payment_status: &str = row.get("payment_status");
    Ok(Order {
        id: OrderId::from_uuid(id),
        customer: CustomerId::from_uuid(row.get("customer_id")),
        status: status_from(row)?,
        sale: row.get::<_, Option<Uuid>>("sale_id").map(SaleId::from_uuid),
        lines: lines.remove(&id).unwrap_or_default(),
        totals: Totals { subtotal: total, tax, total },
        payment,
        payment_status: payment_status_from(payment_status)?,
        created_at: row.get("created_at"),
        expires_at: row.get("expires_at"),
    })
}

fn line_from(row: &Row) -> Result<OrderLine, StorageError> {
    let unit_price = Money::yen(row.get("unit_price")).map_err(defective)?;
    let quantity = Quantity::new(row.get("quantity")).map_err(defective)?;
    Ok(OrderLine {
        sku: row.get::<_, &str>("sku").parse().map_err(defective)?,
        name: Arc::from(row.get::<_, &str>("name")),
        quantity,
        unit_price,
        tax_rate: TaxRate::from_percent(row.get("tax_rate")).map_err(defective)?,
        amount: unit_price.times(quantity).map_err(defective)?,
    })
}

fn payment_status_from(name: &str) -> Result<PaymentStatus, StorageError> {
    name.parse().map_err(|_| defective(name))
}

fn status_from(row: &Row) -> Result<OrderStatus, StorageError> {
    row.get::<_, &str>("status").parse().map_err(defective)
}

/// A row that the model refuses.
fn defective(what: impl std::fmt::Display) -> StorageError {
    StorageError::Broken(format!("a row of orders is defective: {what}"))
}
