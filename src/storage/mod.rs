//! PostgreSQL for the engine: connections, the pool, migrations, and the private cluster of the embedded default.
//!
//! Only this folder opens connections. SQL statements are in `sql/`, one per file, and are used by the domains' stores.

pub(crate) mod columns;
mod database;
pub mod embedded;
mod engine_lock;
mod error;
pub mod migrations;
pub mod private_file;
mod scratch;

pub(crate) use columns::columns;
pub use database::{Connection, Database, DatabaseLimits, PooledConnection, Transaction};
pub use engine_lock::EngineLock;
pub use error::StorageError;
pub use private_file::PrivateFileError;
pub use scratch::{Scratch, ScratchError};
