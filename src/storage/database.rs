//! Where PostgreSQL is and how to talk to it: a pool for reads and small writes, one connection for each journal lane.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::StorageError;

/// A connection of one owner, with its prepared statements.
pub type Connection = ClientWrapper;
/// A connection lent by the pool.
pub type PooledConnection = deadpool_postgres::Client;

/// The bounds of a database.
#[derive(Debug, Clone, Copy)]
pub struct DatabaseLimits {
    /// Connections in the pool, beside those of the journal lanes.
    pub connections_max: usize,
    /// How long a caller waits for a connection.
    pub connect_within: Duration,
    /// How long a pooled statement may run; enforced by PostgreSQL.
    pub statement_within: Duration,
}

/// One PostgreSQL database; cheap to clone.
#[derive(Clone)]
pub struct Database {
    config: Arc<Config>,
    pool: Pool,
    limits: DatabaseLimits,
}

impl Database {
    /// Does not connect yet: the first caller does.
    pub fn new(config: Config, limits: DatabaseLimits) -> Result<Self, StorageError> {
        let pooled = with_settings(&config, limits.connect_within, limits.statement_within);
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = if config.get_ssl_mode() == SslMode::Require {
            Manager::from_config(pooled, tls(), recycling)
        } else {
            Manager::from_config(pooled, NoTls, recycling)
        };
        let pool = Pool::builder(manager)
            .max_size(limits.connections_max)
            .wait_timeout(Some(limits.connect_within))
            .create_timeout(Some(limits.connect_within))
            .recycle_timeout(Some(limits.connect_within))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| StorageError::Broken(error.to_string()))?;
        Ok(Self { config: Arc::new(config), pool, limits })
    }

    /// A connection from the pool; prepare with `prepare_cached`.
    pub async fn connection(&self) -> Result<PooledConnection, StorageError> {
        Ok(self.pool.get().await?)
    }

    /// A connection of its own for a journal lane, whose statements PostgreSQL ends after `statement_within`.
    pub async fn connect_lane(&self, statement_within: Duration) -> Result<Connection, StorageError> {
        let config = with_settings(&self.config, self.limits.connect_within, statement_within);
        let connect = async {
            if config.get_ssl_mode() == SslMode::Require {
                let (client, connection) = config.connect(tls()).await?;
                Ok(ClientWrapper::new(client, tokio::spawn(async move { drop(connection.await) })))
            } else {
                let (client, connection) = config.connect(NoTls).await?;
                Ok(ClientWrapper::new(client, tokio::spawn(async move { drop(connection.await) })))
            }
        };
        match tokio::time::timeout(self.limits.connect_within, connect).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err::<_, tokio_postgres::Error>(error)) => Err(StorageError::Unreachable(error.to_string())),
            Err(_) => Err(StorageError::Unreachable("no answer to the attempt to connect".to_owned())),
        }
    }

    /// Whether PostgreSQL answers at this moment.
    pub async fn ping(&self) -> Result<(), StorageError> {
        let connection = self.connection().await?;
        connection.simple_query("select 1").await?;
        Ok(())
    }

    /// Connections of the pool: all, and those that nobody uses.
    pub fn pool_size(&self) -> (usize, usize) {
        let status = self.pool.status();
        (status.size, status.available)
    }

    pub fn close(&self) {
        self.pool.close();
    }
}

fn with_settings(config: &Config, connect_within: Duration, statement_within: Duration) -> Config {
    let mut config = config.clone();
    config.connect_timeout(connect_within);
    config.application_name("shobai");
    // `shobai.journal` tells the database that stock is moved by the journal and not by hand.
    let ours = format!("-c statement_timeout={} -c shobai.journal=on", statement_within.as_millis());
    let options = match config.get_options() {
        Some(given) => format!("{given} {ours}"),
        None => ours,
    };
    config.options(options);
    config
}

fn tls() -> MakeRustlsConnect {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    MakeRustlsConnect::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
