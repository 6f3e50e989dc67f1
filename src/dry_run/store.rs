//! Keeps the results of dry runs, and reads the shop's stock before and after one.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::error::DryRunError;
use super::messages::{DryRun, DryRunState, StartDryRun};
use super::report::{Report, StockFigures};
use crate::storage::{Database, StorageError};
use crate::types::{CustomerId, SaleId, Sku};

/// The stored failure of a run until its result is stored, and for good if the engine ends before it.
const INTERRUPTED: &str = "the engine ended in the middle of it";

/// How long the search for traces in the shop's tables may take.
const COUNTED_WITHIN: Duration = Duration::from_secs(60);

/// Cheap to clone.
#[derive(Clone)]
pub struct DryRunStore {
    database: Database,
}

impl DryRunStore {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Stores that a run begins, as interrupted until its result is stored; answers with its number.
    pub(super) async fn insert_run(
        &self,
        wanted: &StartDryRun,
        started_at: Timestamp,
    ) -> Result<i64, DryRunError> {
        let StartDryRun { sale, by, reason, .. } = wanted;
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(include_str!("../../sql/dry_runs/insert_run.sql")).await?;
        let row = connection
            .query_one(&statement, &[&sale.uuid(), &by.uuid(), reason, &started_at, &INTERRUPTED])
            .await?;
        Ok(row.get("position"))
    }

    /// Stores the result of a run.
    pub(super) async fn end_run(
        &self,
        number: i64,
        ended_at: Timestamp,
        outcome: Result<&Report, &str>,
    ) -> Result<(), DryRunError> {
        let report = match outcome {
            Ok(report) => Some(serde_json::to_string(report).map_err(broken)?),
            Err(_) => None,
        };
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(include_str!("../../sql/dry_runs/end_run.sql")).await?;
        connection.execute(&statement, &[&number, &ended_at, &outcome.err(), &report]).await?;
        Ok(())
    }

    pub(super) async fn find_last_run(&self, sale: SaleId) -> Result<Option<DryRun>, DryRunError> {
        let connection = self.database.connection().await?;
        let statement =
            connection.prepare_cached(include_str!("../../sql/dry_runs/find_last_run.sql")).await?;
        let Some(row) = connection.query_opt(&statement, &[&sale.uuid()]).await? else { return Ok(None) };
        let ended_at = row.get("ended_at");
        let state = match row.get::<_, Option<String>>("report") {
            Some(report) => {
                let report = Box::new(serde_json::from_str(&report).map_err(broken)?);
                DryRunState::Done { ended_at, report }
            }
            None => {
                let failure = row.get::<_, Option<String>>("failure").unwrap_or_default();
                DryRunState::Failed { ended_at, failure }
            }
        };
        Ok(Some(DryRun {
            by: row.get::<_, Option<Uuid>>("actor").map(CustomerId::from_uuid),
            reason: row.get("reason"),
            started_at: row.get("started_at"),
            state,
        }))
    }

    /// The shop's stock of the SKUs; those that it does not track are left out.
    pub(super) async fn list_stock(&self, skus: &[Sku]) -> Result<BTreeMap<Sku, StockFigures>, DryRunError> {
        let names: Vec<&str> = skus.iter().map(Sku::as_str).collect();
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(include_str!("../../sql/dry_runs/list_stock.sql")).await?;
        connection.query(&statement, &[&names]).await?.iter().map(figures_from).collect()
    }

    /// The sums of the shop's movements of the SKUs since these figures.
    pub(super) async fn sum_movements(
        &self,
        since: &BTreeMap<Sku, StockFigures>,
    ) -> Result<BTreeMap<Sku, StockFigures>, DryRunError> {
        let names: Vec<&str> = since.keys().map(Sku::as_str).collect();
        let versions: Vec<i64> = since.values().map(|figures| figures.version).collect();
        let connection = self.database.connection().await?;
        let statement =
            connection.prepare_cached(include_str!("../../sql/dry_runs/sum_movements.sql")).await?;
        connection.query(&statement, &[&names, &versions]).await?.iter().map(figures_from).collect()
    }

    /// The number of rows of the shop that name one of these sales, a customer within these ids, or the mark of a run.
    pub(super) async fn count_traces(
        &self,
        sales: &[SaleId],
        (first, last): (Uuid, Uuid),
        mark: &str,
    ) -> Result<i64, DryRunError> {
        let sales: Vec<Uuid> = sales.iter().map(|sale| sale.uuid()).collect();
        let count = async {
            // It reads whole tables, longer than a pooled statement may run.
            let connection = self.database.connect_unhurried().await?;
            let sql = include_str!("../../sql/dry_runs/count_traces.sql");
            Ok::<_, DryRunError>(connection.query_one(sql, &[&sales, &first, &last, &mark]).await?)
        };
        let late =
            |_| StorageError::Unreachable("the search for traces of a dry run took too long".to_owned());
        let row: Row = tokio::time::timeout(COUNTED_WITHIN, count).await.map_err(late)??;
        Ok(row.get("rows"))
    }
}

fn figures_from(row: &Row) -> Result<(Sku, StockFigures), DryRunError> {
    let sku: Sku = row.get::<_, &str>("sku").parse().map_err(broken)?;
    let figures = StockFigures {
        on_hand: row.get("on_hand"),
        reserved: row.get("reserved"),
        allotted: row.get("allotted"),
        version: row.get("version"),
    };
    Ok((sku, figures))
}

fn broken(error: impl std::fmt::Display) -> DryRunError {
    DryRunError::Broken(error.to_string())
}
