//! Migrates a database to the schema of this binary, forward only.

use super::{Database, StorageError};

mod embedded {
    refinery::embed_migrations!("sql/migrations");
}

/// Runs the missing migrations. Safe to call from several processes at once: they wait for each other.
pub async fn run(database: &Database) -> Result<usize, StorageError> {
    // Migrations may take longer than the statement timeout of the pool.
    let mut connection = database.connect_unhurried().await?;
    connection.batch_execute("select pg_advisory_lock(hashtext('shobai migrations'))").await?;
    let report = embedded::migrations::runner()
        .run_async(&mut *connection)
        .await
        .map_err(|error| StorageError::Broken(format!("migrations: {error}")))?;
    Ok(report.applied_migrations().len())
}
