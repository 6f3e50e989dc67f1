//! PostgreSQL for the engine: connections, the pool, migrations, and the private cluster of the embedded default.
//!
//! Nothing else opens a connection. SQL stands in `sql/`, one statement a file, and is read by the domains' stores.

pub(crate) mod columns;
mod database;
pub mod embedded;
mod error;
pub mod migrations;
pub mod private_file;
mod scratch;
mod sole;

pub(crate) use columns::columns;
pub use database::{Connection, Database, DatabaseLimits, PooledConnection, Transaction};
pub use error::StorageError;
pub use private_file::PrivateFileError;
pub use scratch::{Scratch, ScratchError};
pub use sole::Sole;
