//! The sales, their items and their history. `store/` holds proposals and refusals.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use super::error::SalesError;
use super::model::{Action, ChangeRecord, Finding, Initiator, Sale, SaleDraft, SaleItem};
use crate::actors::waiting_room::Seed;
use crate::storage::{Database, PooledConnection, StorageError, Transaction};
use crate::types::{CustomerId, Money, Quantity, SaleId, Sku};

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/sales/", $name, ".sql"))
    };
}

mod proposals;
mod refusals;

/// Cheap to clone.
#[derive(Clone)]
pub struct SalesStore {
    database: Database,
}

/// Who changes a sale, when and why.
#[derive(Debug, Clone)]
pub(super) struct Attribution<'a> {
    pub by: Initiator,
    /// The first operator, where the change needed two.
    pub proposed_by: Option<CustomerId>,
    pub reason: &'a str,
    pub at: Timestamp,
}

impl Attribution<'_> {
    fn by(&self) -> Option<Uuid> {
        self.by.operator().map(CustomerId::uuid)
    }

    fn proposed_by(&self) -> Option<Uuid> {
        self.proposed_by.map(CustomerId::uuid)
    }
}

impl SalesStore {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// So that a sale that opens finds its connections open.
    pub(super) async fn warm_up(&self) -> Result<(), StorageError> {
        self.database.open_pool().await
    }

    pub(super) async fn insert_sale(
        &self,
        id: SaleId,
        draft: &SaleDraft,
        seed: &Seed,
        attribution: &Attribution<'_>,
    ) -> Result<(), SalesError> {
        let connection = self.database.connection().await?;
        let statement = prepare(&connection, sql!("insert_sale")).await?;
        let (skus, prices, allotments) = columns(draft);
        let terms = to_text(&draft.terms)?;
        let after = to_text(draft)?;
        connection
            .execute(
                &statement,
                &[
                    &id.uuid(),
                    &draft.name,
                    &draft.opens_at,
                    &draft.closes_at,
                    &terms,
                    &seed.reveal(),
                    &attribution.at,
                    &skus,
                    &prices,
                    &allotments,
                    &attribution.by(),
                    &after,
                ],
            )
            .await
            .map_err(StorageError::from)?;
        Ok(())
    }

    /// False when it was changed meanwhile.
    pub(super) async fn replan_sale(
        &self,
        sale: &Sale,
        draft: &SaleDraft,
        attribution: &Attribution<'_>,
    ) -> Result<bool, SalesError> {
        let (skus, prices, allotments) = columns(draft);
        let (terms, before, after) = (to_text(&draft.terms)?, to_text(&sale.draft)?, to_text(draft)?);
        let write = async {
            let mut connection = self.database.connection().await?;
            let transaction = connection.transaction().await?;
            let statement = transaction.prepare_cached(sql!("replan_sale")).await?;
            let replanned = transaction
                .query_opt(
                    &statement,
                    &[
                        &sale.id.uuid(),
                        &sale.version,
                        &draft.name,
                        &draft.opens_at,
                        &draft.closes_at,
                        &terms,
                        &attribution.by(),
                        &before,
                        &after,
                        &attribution.at,
                    ],
                )
                .await?;
            if replanned.is_none() {
                return Ok(false);
            }
            transaction.execute(sql!("delete_items"), &[&sale.id.uuid()]).await?;
            let statement = transaction.prepare_cached(sql!("insert_items")).await?;
            let stopped: Vec<&str> = sale.stopped_skus.iter().map(Sku::as_str).collect();
            transaction
                .execute(&statement, &[&sale.id.uuid(), &skus, &prices, &allotments, &stopped])
                .await?;
            transaction.commit().await?;
            Ok::<_, StorageError>(true)
        };
        Ok(write.await?)
    }

    pub async fn find_sale(&self, id: SaleId) -> Result<Option<Sale>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = prepare(&connection, sql!("find_sale")).await?;
        let row = connection.query_opt(&statement, &[&id.uuid()]).await?;
        let sales = self.with_items(&connection, row.as_slice()).await?;
        Ok(sales.into_iter().next())
    }

    /// The latest opening first; all, or only those that are not over yet or have pieces to give back.
    pub async fn list_sales(&self, unfinished: bool, limit: i64) -> Result<Vec<Sale>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = prepare(&connection, sql!("list_sales")).await?;
        let rows = connection.query(&statement, &[&unfinished, &limit]).await?;
        self.with_items(&connection, &rows).await
    }

    /// The latest opening first.
    pub(super) async fn list_settled_sales(&self, limit: usize) -> Result<Vec<Sale>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = prepare(&connection, sql!("list_settled_sales")).await?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = connection.query(&statement, &[&limit]).await?;
        self.with_items(&connection, &rows).await
    }

    async fn with_items(
        &self,
        connection: &PooledConnection,
        rows: &[Row],
    ) -> Result<Vec<Sale>, StorageError> {
        let ids: Vec<Uuid> = rows.iter().map(|row| row.get("id")).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let statement = prepare(connection, sql!("list_items")).await?;
        let mut items: HashMap<Uuid, Vec<(SaleItem, bool)>> = HashMap::new();
        for row in connection.query(&statement, &[&ids]).await? {
            items.entry(row.get("sale_id")).or_default().push(item_from(&row)?);
        }
        rows.iter().map(|row| sale_from(row, items.remove(&row.get("id")).unwrap_or_default())).collect()
    }

    /// False when it was changed meanwhile.
    ///
    /// Refuses with `NotValid` to schedule it beside another one that has some of its SKUs: of two that are scheduled at the
    /// same moment, the second sees the first.
    pub(super) async fn move_sale(
        &self,
        before: &Sale,
        after: &Sale,
        action: Action,
        attribution: &Attribution<'_>,
        drain_within: Duration,
    ) -> Result<bool, SalesError> {
        let state = |sale: &Sale| {
            serde_json::json!({ "status": sale.status, "stopped": sale.is_stopped }).to_string()
        };
        let (was, is) = (state(before), state(after));
        let write = async {
            let mut connection = self.database.connection().await?;
            let transaction = connection.transaction().await?;
            if action == Action::Schedule {
                transaction.execute(sql!("lock_schedule"), &[]).await?;
                let findings = overlaps(&transaction, before, drain_within).await?;
                if !findings.is_empty() {
                    return Ok(Err(findings));
                }
            }
            let statement = transaction.prepare_cached(sql!("move_sale")).await?;
            let moved = transaction
                .query_opt(
                    &statement,
                    &[
                        &before.id.uuid(),
                        &before.version,
                        &after.status.as_str(),
                        &after.is_stopped,
                        &after.drains_until,
                        &action.as_str(),
                        &attribution.by(),
                        &attribution.reason,
                        &was,
                        &is,
                        &attribution.at,
                        &attribution.proposed_by(),
                    ],
                )
                .await?;
            transaction.commit().await?;
            Ok::<_, StorageError>(Ok(moved.is_some()))
        };
        write.await?.map_err(|findings| SalesError::NotValid { findings })
    }

    /// False when the sale was changed meanwhile.
    pub(super) async fn switch_item(
        &self,
        sale: &Sale,
        sku: &Sku,
        stopped: bool,
        attribution: &Attribution<'_>,
    ) -> Result<bool, StorageError> {
        let connection = self.database.connection().await?;
        let statement = prepare(&connection, sql!("switch_item")).await?;
        let action = if stopped { "kill" } else { "resume" };
        let state = |stopped: bool| serde_json::json!({ "stopped": stopped }).to_string();
        let moved = connection
            .query_opt(
                &statement,
                &[
                    &sale.id.uuid(),
                    &sale.version,
                    &sku.as_str(),
                    &stopped,
                    &action,
                    &attribution.by(),
                    &attribution.reason,
                    &state(sale.stopped_skus.contains(sku)),
                    &state(stopped),
                    &attribution.at,
                    &attribution.proposed_by(),
                ],
            )
            .await?;
        Ok(moved.is_some())
    }

    /// False when the sale was changed meanwhile.
    pub(super) async fn change_item(
        &self,
        sale: &Sale,
        item: &SaleItem,
        allotment: Quantity,
        attribution: &Attribution<'_>,
    ) -> Result<bool, StorageError> {
        let connection = self.database.connection().await?;
        let statement = prepare(&connection, sql!("change_item")).await?;
        let state = |pieces: Quantity| serde_json::json!({ "allotment": pieces.get() }).to_string();
        let moved = connection
            .query_opt(
                &statement,
                &[
                    &sale.id.uuid(),
                    &sale.version,
                    &item.sku.as_str(),
                    &allotment.get(),
                    &attribution.by(),
                    &attribution.reason,
                    &state(item.allotment),
                    &state(allotment),
                    &attribution.at,
                    &attribution.proposed_by(),
                ],
            )
            .await?;
        Ok(moved.is_some())
    }

    pub async fn mark_stock_returned(&self, sale: SaleId) -> Result<(), StorageError> {
        let connection = self.database.connection().await?;
        let statement = prepare(&connection, sql!("mark_stock_returned")).await?;
        connection.execute(&statement, &[&sale.uuid()]).await?;
        Ok(())
    }

    pub async fn list_changes(&self, sale: SaleId) -> Result<Vec<ChangeRecord>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = prepare(&connection, sql!("list_changes")).await?;
        let rows = connection.query(&statement, &[&sale.uuid()]).await?;
        rows.iter()
            .map(|row| {
                let sku: Option<&str> = row.get("sku");
                Ok(ChangeRecord {
                    action: row.get("action"),
                    sku: sku.map(str::parse).transpose().map_err(defective)?,
                    by: row.get::<_, Option<Uuid>>("actor").map(CustomerId::from_uuid).into(),
                    proposed_by: row.get::<_, Option<Uuid>>("proposed_by").map(CustomerId::from_uuid),
                    reason: row.get("reason"),
                    before: row.get::<_, Value>("before"),
                    after: row.get::<_, Value>("after"),
                    at: row.get("at"),
                })
            })
            .collect()
    }

    pub async fn find_switch(&self) -> Result<bool, StorageError> {
        let connection = self.database.connection().await?;
        let statement = prepare(&connection, sql!("find_switch")).await?;
        Ok(connection.query_one(&statement, &[]).await?.get(0))
    }

    pub(super) async fn turn_switch(
        &self,
        stopped: bool,
        attribution: &Attribution<'_>,
    ) -> Result<(), StorageError> {
        let connection = self.database.connection().await?;
        let statement = prepare(&connection, sql!("turn_switch")).await?;
        let action = if stopped { "kill" } else { "resume" };
        let (by, proposed_by) = (attribution.by(), attribution.proposed_by());
        connection
            .execute(
                &statement,
                &[&stopped, &action, &by, &attribution.reason, &attribution.at, &proposed_by],
            )
            .await?;
        Ok(())
    }

    /// SKUs that other sales have at some of the same time.
    pub(super) async fn find_overlapping_skus(
        &self,
        sale: &Sale,
        drain_within: Duration,
    ) -> Result<Vec<Finding>, StorageError> {
        let mut connection = self.database.connection().await?;
        Ok(overlaps(&connection.transaction().await?, sale, drain_within).await?)
    }
}

async fn overlaps(
    transaction: &Transaction<'_>,
    sale: &Sale,
    drain_within: Duration,
) -> Result<Vec<Finding>, tokio_postgres::Error> {
    let statement = transaction.prepare_cached(sql!("find_overlapping_skus")).await?;
    let rows = transaction.query(&statement, &[&sale.id.uuid(), &drain_within.as_secs_f64()]).await?;
    let finding = |row: &Row| {
        let (sku, other): (&str, Uuid) = (row.get("sku"), row.get("sale_id"));
        let place = sale.draft.items.iter().position(|item| item.sku.as_str() == sku).unwrap_or(0);
        Finding::new(
            format!("items[{place}].sku"),
            format!("{sku} is in sale {other} at some of the same time, or while it may drain"),
        )
    };
    Ok(rows.iter().map(finding).collect())
}

async fn prepare(
    connection: &PooledConnection,
    sql: &'static str,
) -> Result<tokio_postgres::Statement, StorageError> {
    Ok(connection.prepare_cached(sql).await?)
}

fn columns(draft: &SaleDraft) -> (Vec<&str>, Vec<i64>, Vec<i64>) {
    let items = draft.items.iter();
    (
        items.clone().map(|item| item.sku.as_str()).collect(),
        items.clone().map(|item| item.price.amount()).collect(),
        items.map(|item| item.allotment.get()).collect(),
    )
}

fn to_text(value: &impl serde::Serialize) -> Result<String, SalesError> {
    serde_json::to_string(value).map_err(|error| SalesError::Broken(error.to_string()))
}

fn item_from(row: &Row) -> Result<(SaleItem, bool), StorageError> {
    let item = SaleItem {
        sku: row.get::<_, &str>("sku").parse().map_err(defective)?,
        price: Money::yen(row.get("price")).map_err(defective)?,
        allotment: Quantity::new(row.get("allotment")).map_err(defective)?,
    };
    Ok((item, row.get("stopped")))
}

fn sale_from(row: &Row, items: Vec<(SaleItem, bool)>) -> Result<Sale, StorageError> {
    let stopped = items.iter().filter(|(_, stopped)| *stopped);
    Ok(Sale {
        id: SaleId::from_uuid(row.get("id")),
        status: row.get::<_, &str>("status").parse().map_err(defective)?,
        is_stopped: row.get("stopped"),
        stopped_skus: stopped.map(|(item, _)| item.sku.clone()).collect(),
        version: row.get("version"),
        created_at: row.get("created_at"),
        drains_until: row.get("drains_until"),
        is_stock_returned: row.get("stock_returned"),
        commitment: row.get("commitment"),
        draft: SaleDraft {
            name: row.get("name"),
            opens_at: row.get("opens_at"),
            closes_at: row.get("closes_at"),
            items: items.into_iter().map(|(item, _)| item).collect(),
            terms: serde_json::from_str(row.get("plan")).map_err(defective)?,
        },
    })
}

/// A row that the model does not understand.
fn defective(what: impl std::fmt::Display) -> StorageError {
    StorageError::Broken(format!("a row of sales is defective: {what}"))
}
