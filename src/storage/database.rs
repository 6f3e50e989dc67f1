//! Connections to one PostgreSQL database: a pool for reads and small writes, and one connection for each journal lane.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType, Timeouts,
};
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::StorageError;

/// A connection of one owner, with its prepared statements.
pub type Connection = ClientWrapper;
/// A connection from the pool, returned to it when dropped.
pub type PooledConnection = deadpool_postgres::Client;
/// A transaction on a pooled connection; rolled back unless it is committed.
pub type Transaction<'a> = deadpool_postgres::Transaction<'a>;

/// The interval of TCP keepalives.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);

/// The bounds of a database.
#[derive(Debug, Clone, Copy)]
pub struct DatabaseLimits {
    /// Connections in the pool, in addition to those of the journal lanes.
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
    /// Does not connect; the first use does.
    pub fn new(config: Config, limits: DatabaseLimits) -> Result<Self, StorageError> {
        let pooled = shop_settings(&config, limits.connect_within, limits.statement_within);
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

    /// Another database of the same server, with the same limits.
    pub(super) fn beside(&self, name: &str) -> Result<Self, StorageError> {
        let mut config = Config::clone(&self.config);
        config.dbname(name);
        Self::new(config, self.limits)
    }

    /// A connection from the pool; prepare with `prepare_cached`.
    pub async fn connection(&self) -> Result<PooledConnection, StorageError> {
        Ok(self.pool.get().await?)
    }

    /// Opens every connection that the pool may have, so that no caller waits for one later.
    pub async fn open_pool(&self) -> Result<(), StorageError> {
        /// Connections that are in use at the moment are open already.
        const FREE_WITHIN: Duration = Duration::from_millis(100);
        let status = self.pool.status();
        let in_use = status.size.saturating_sub(status.available);
        let timeouts = Timeouts { wait: Some(FREE_WITHIN), ..self.pool.timeouts() };
        let all = (in_use..status.max_size).map(|_| self.pool.timeout_get(&timeouts));
        for opened in futures_util::future::join_all(all).await {
            match opened {
                Ok(_) | Err(PoolError::Timeout(TimeoutType::Wait)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// A connection outside the pool for a journal lane; PostgreSQL ends its statements after `statement_within`.
    pub async fn connect_lane(&self, statement_within: Duration) -> Result<Connection, StorageError> {
        self.connect(shop_settings(&self.config, self.limits.connect_within, statement_within)).await
    }

    /// A connection outside the pool without a statement timeout, for work on whole tables: migrations, the audit.
    pub async fn connect_unhurried(&self) -> Result<Connection, StorageError> {
        let mut config = Config::clone(&self.config);
        config.connect_timeout(self.limits.connect_within).application_name("shobai");
        self.connect(config).await
    }

    async fn connect(&self, config: Config) -> Result<Connection, StorageError> {
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

    /// Checks that PostgreSQL answers.
    pub async fn ping(&self) -> Result<(), StorageError> {
        let connection = self.connection().await?;
        connection.simple_query("select 1").await?;
        Ok(())
    }

    /// Connections of the pool: all, and the idle ones.
    pub fn pool_size(&self) -> (usize, usize) {
        let status = self.pool.status();
        (status.size, status.available)
    }

    pub fn close(&self) {
        self.pool.close();
    }
}

/// The settings of connections for the shop's own statements.
fn shop_settings(config: &Config, connect_within: Duration, statement_within: Duration) -> Config {
    let settings = [
        format!("statement_timeout={}", statement_within.as_millis()),
        // Tells the database that the journal moves the stock, and not an operator by hand.
        "shobai.journal=on".to_owned(),
        // Statements are prepared once, often while the shop is still empty, and every one of them finds its rows by an
        // index: a plan made for an empty table must not read a full one from end to end.
        "plan_cache_mode=force_generic_plan".to_owned(),
        "enable_seqscan=off".to_owned(),
        "jit=off".to_owned(),
        // Overrides the settings of role and database: an answered commit is on disk.
        "synchronous_commit=on".to_owned(),
    ];
    let mut options = config.get_options().unwrap_or_default().to_owned();
    for setting in settings {
        options.push_str(" -c ");
        options.push_str(&setting);
    }
    let mut config = config.clone();
    config.connect_timeout(connect_within).application_name("shobai").options(options);
    // Detects a server that vanished, also while an answer is awaited.
    config.tcp_user_timeout(statement_within + connect_within);
    config.keepalives_idle(KEEPALIVE_EVERY).keepalives_interval(KEEPALIVE_EVERY).keepalives_retries(3);
    config
}

fn tls() -> MakeRustlsConnect {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    MakeRustlsConnect::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
