//! Brings a database to the schema that this binary was built for, forward only.

use super::{Database, StorageError};

mod embedded {
    refinery::embed_migrations!("sql/migrations");
}

/// Runs what is missing; safe to call by several engines at once, since they wait for each other.
pub async fn run(database: &Database) -> Result<usize, StorageError> {
    // Migrations may take longer than a statement of the shop ever should, so they get a connection of their own.
    let mut connection = database.connect_unhurried().await?;
    connection.batch_execute("select pg_advisory_lock(hashtext('shobai migrations'))").await?;
    let report = embedded::migrations::runner()
        .run_async(&mut *connection)
        .await
        .map_err(|error| StorageError::Broken(format!("migrations: {error}")))?;
    Ok(report.applied_migrations().len())
}
