//! The refusals of each customer by each gate.

use std::borrow::Cow;

use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{SalesStore, prepare};
use crate::actors::sales::gates::Refused;
use crate::storage::StorageError;
use crate::types::{CustomerId, SaleId};

impl SalesStore {
    pub(in crate::actors::sales) async fn count_refusals(
        &self,
        refusals: &[(SaleId, CustomerId, Refused)],
    ) -> Result<(), StorageError> {
        let all = refusals.iter();
        let sales: Vec<Uuid> = all.clone().map(|(sale, ..)| sale.uuid()).collect();
        let customers: Vec<Uuid> = all.clone().map(|(_, customer, _)| customer.uuid()).collect();
        let gates: Vec<&str> = all.clone().map(|(.., refused)| &*refused.gate).collect();
        let counts: Vec<i64> = all.clone().map(|(.., refused)| refused.count).collect();
        let first: Vec<Timestamp> = all.clone().map(|(.., refused)| refused.first_at).collect();
        let last: Vec<Timestamp> = all.map(|(.., refused)| refused.last_at).collect();
        let connection = self.database.connection().await?;
        let statement = prepare(&connection, sql!("count_refusals")).await?;
        connection.execute(&statement, &[&sales, &customers, &gates, &counts, &first, &last]).await?;
        Ok(())
    }

    pub(in crate::actors::sales) async fn list_refusals(
        &self,
        sale: SaleId,
        customer: CustomerId,
    ) -> Result<Vec<Refused>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = prepare(&connection, sql!("list_refusals")).await?;
        let rows = connection.query(&statement, &[&sale.uuid(), &customer.uuid()]).await?;
        let refused = |row: &Row| Refused {
            gate: Cow::Owned(row.get("gate")),
            count: row.get("count"),
            first_at: row.get("first_at"),
            last_at: row.get("last_at"),
        };
        Ok(rows.iter().map(refused).collect())
    }
}
