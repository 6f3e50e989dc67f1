//! What came of dry runs, and what the shop looks like before and after one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::error::DryRunError;
use super::messages::{DryRun, DryRunState};
use super::report::{Report, StockFigures};
use crate::storage::Database;
use crate::types::{CustomerId, SaleId, Sku};

/// Cheap to clone.
#[derive(Clone)]
pub struct DryRunStore {
    database: Database,
}

/// A dry run that has ended.
pub(super) struct Ended<'a> {
    pub sale: SaleId,
    pub by: CustomerId,
    pub reason: &'a str,
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    pub outcome: Result<&'a Report, &'a str>,
}

impl DryRunStore {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    pub(super) async fn insert_run(&self, run: &Ended<'_>) -> Result<(), DryRunError> {
        let report = match run.outcome {
            Ok(report) => Some(serde_json::to_string(report).map_err(broken)?),
            Err(_) => None,
        };
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(include_str!("../../sql/dry_runs/insert_run.sql")).await?;
        connection
            .execute(
                &statement,
                &[
                    &run.sale.uuid(),
                    &run.by.uuid(),
                    &run.reason,
                    &run.started_at,
                    &run.ended_at,
                    &run.outcome.err(),
                    &report,
                ],
            )
            .await?;
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

    /// What the shop has of the SKUs; those that it does not count are left out.
    pub(super) async fn list_stock(&self, skus: &[Sku]) -> Result<BTreeMap<Sku, StockFigures>, DryRunError> {
        let names: Vec<&str> = skus.iter().map(Sku::as_str).collect();
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(include_str!("../../sql/dry_runs/list_stock.sql")).await?;
        let rows = connection.query(&statement, &[&names]).await?;
        rows.iter()
            .map(|row| {
                let sku: Sku = row.get::<_, &str>("sku").parse().map_err(broken)?;
                let figures = StockFigures {
                    on_hand: row.get("on_hand"),
                    reserved: row.get("reserved"),
                    allotted: row.get("allotted"),
                    version: row.get("version"),
                };
                Ok((sku, figures))
            })
            .collect()
    }

    /// Rows of the shop that name one of these sales, or a customer within these ids.
    pub(super) async fn count_traces(
        &self,
        sales: &[SaleId],
        (first, last): (Uuid, Uuid),
    ) -> Result<i64, DryRunError> {
        let sales: Vec<Uuid> = sales.iter().map(|sale| sale.uuid()).collect();
        // It reads more than a statement of the shop does.
        let connection = self.database.connect_unhurried().await?;
        let row = connection
            .query_one(include_str!("../../sql/dry_runs/count_traces.sql"), &[&sales, &first, &last])
            .await?;
        Ok(row.get("rows"))
    }
}

fn broken(error: impl std::fmt::Display) -> DryRunError {
    DryRunError::Broken(error.to_string())
}
