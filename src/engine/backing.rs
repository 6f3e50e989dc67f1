//! The services behind the engine: the database, and the private PostgreSQL that it may be in.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context as _;
use secrecy::ExposeSecret as _;
use tokio::task::JoinHandle;

use crate::config::{Config, milliseconds};
use crate::storage::embedded::{Cluster, ClusterError, ClusterSettings, Lock, lock_data_dir};
use crate::storage::{Database, DatabaseLimits, EngineLock};

/// The database, and the private cluster that it is in when this process started one.
pub struct Backing {
    pub database: Database,
    cluster: Option<Cluster>,
    /// On the data directory of an engine whose database is elsewhere; a cluster keeps its own.
    lock: Option<Lock>,
    /// Keeps the database for the engine that serves it.
    pub(super) keeping: Option<JoinHandle<()>>,
    /// Whether another engine serves it by now.
    pub(super) is_taken: Arc<AtomicBool>,
}

impl Backing {
    /// The configured database; without one, the cluster of an engine that serves this data directory already; without
    /// one, a cluster of its own.
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        match Self::configured(config)? {
            Some(backing) => Ok(backing),
            None => match Cluster::start(cluster_settings(config)).await {
                Ok(cluster) => Self::in_cluster(config, cluster),
                Err(ClusterError::InUse { .. }) => {
                    let connection = Cluster::attach(&cluster_settings(config))?;
                    Ok(Self {
                        database: Database::new(connection, limits(config))?,
                        cluster: None,
                        lock: None,
                        keeping: None,
                        is_taken: Arc::default(),
                    })
                }
                Err(error) => Err(error.into()),
            },
        }
    }

    /// As [`open`](Self::open), but refuses a data directory or a database that another engine serves.
    pub(super) async fn open_alone(config: &Config) -> anyhow::Result<(Self, EngineLock)> {
        let backing = match Self::configured(config)? {
            Some(backing) => {
                let (_, lock) = lock_data_dir(&config.storage.data_dir)?;
                Self { lock: Some(lock), ..backing }
            }
            None => Self::in_cluster(config, Cluster::start(cluster_settings(config)).await?)?,
        };
        let refused = match EngineLock::take(&backing.database).await {
            Ok(Some(sole)) => return Ok((backing, sole)),
            Ok(None) => anyhow::anyhow!("another engine serves the database"),
            Err(error) => error.into(),
        };
        backing.close().await?;
        Err(refused)
    }

    fn configured(config: &Config) -> anyhow::Result<Option<Self>> {
        let url = config.postgres.url.expose_secret();
        if url.is_empty() {
            return Ok(None);
        }
        let connection = url.parse().context("postgres.url is not a PostgreSQL URL")?;
        let database = Database::new(connection, limits(config))?;
        Ok(Some(Self { database, cluster: None, lock: None, keeping: None, is_taken: Arc::default() }))
    }

    fn in_cluster(config: &Config, cluster: Cluster) -> anyhow::Result<Self> {
        let database = Database::new(cluster.connection(), limits(config))?;
        Ok(Self { database, cluster: Some(cluster), lock: None, keeping: None, is_taken: Arc::default() })
    }

    /// Gives the database up and closes the pool, then stops the cluster if this process started it.
    pub async fn close(self) -> anyhow::Result<()> {
        if let Some(keeping) = self.keeping {
            keeping.abort();
            let _ = keeping.await;
        }
        self.database.close();
        if let Some(cluster) = self.cluster {
            cluster.stop().await?;
        }
        drop(self.lock);
        Ok(())
    }
}

fn cluster_settings(config: &Config) -> ClusterSettings {
    ClusterSettings {
        data_dir: config.storage.data_dir.clone(),
        bin_dir: config.postgres.bin_dir.clone(),
        // A dry run is another shop.
        connections: 2 * config.connections(),
        start_within: Duration::from_secs(config.postgres.start_within_seconds),
        stop_within: Duration::from_secs(config.postgres.stop_within_seconds),
    }
}

fn limits(config: &Config) -> DatabaseLimits {
    DatabaseLimits {
        connections_max: config.postgres.connections_max,
        connect_within: milliseconds(config.postgres.connect_within_ms),
        statement_within: milliseconds(config.postgres.statement_within_ms),
    }
}
