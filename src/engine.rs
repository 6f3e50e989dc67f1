//! The only place that builds anything: opens the storage, starts the actors, connects them, and stops it all in order.

use std::time::Duration;

use actix_rt::Arbiter;
use anyhow::Context as _;
use secrecy::ExposeSecret as _;

use crate::actors::catalog::CatalogActor;
use crate::actors::inventory::{self, InventoryActor, InventoryStore, ShardActor, StockBook};
use crate::actors::orders::{self, Desk, KeyBook, OrderBook, OrdersActor, OrdersPorts, OrdersStore};
use crate::actors::payments::PaymentsActor;
use crate::actors::runtime::{AskLimits, Handle, Journal, JournalLimits, Lane, supervise};
use crate::config::{Config, milliseconds};
use crate::storage::embedded::{Cluster, ClusterError, ClusterSettings};
use crate::storage::{Database, DatabaseLimits, migrations};

/// The database, and the private cluster that it is in when this process started one.
pub struct Backing {
    pub database: Database,
    cluster: Option<Cluster>,
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
                    Ok(Self { database: Database::new(connection, limits(config))?, cluster: None })
                }
                Err(error) => Err(error.into()),
            },
        }
    }

    /// As [`open`](Self::open), but refuses a data directory that another engine serves.
    async fn open_alone(config: &Config) -> anyhow::Result<Self> {
        match Self::configured(config)? {
            Some(backing) => Ok(backing),
            None => Self::in_cluster(config, Cluster::start(cluster_settings(config)).await?),
        }
    }

    fn configured(config: &Config) -> anyhow::Result<Option<Self>> {
        let url = config.postgres.url.expose_secret();
        if url.is_empty() {
            return Ok(None);
        }
        let connection = url.parse().context("postgres.url is not a PostgreSQL URL")?;
        Ok(Some(Self { database: Database::new(connection, limits(config))?, cluster: None }))
    }

    fn in_cluster(config: &Config, cluster: Cluster) -> anyhow::Result<Self> {
        Ok(Self { database: Database::new(cluster.connection(), limits(config))?, cluster: Some(cluster) })
    }

    /// Closes the pool, then stops the cluster if this process started it.
    pub async fn close(self) -> anyhow::Result<()> {
        self.database.close();
        if let Some(cluster) = self.cluster {
            cluster.stop().await?;
        }
        Ok(())
    }
}

fn cluster_settings(config: &Config) -> ClusterSettings {
    ClusterSettings {
        data_dir: config.storage.data_dir.clone(),
        bin_dir: config.postgres.bin_dir.clone(),
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

/// The running actors of all domains, and the threads that they run on.
pub struct Domains {
    pub catalog: Handle<CatalogActor>,
    pub inventory: Handle<InventoryActor>,
    pub orders: Handle<OrdersActor>,
    pub payments: Handle<PaymentsActor>,
    shards: Vec<Handle<ShardActor>>,
    stock_journals: Vec<Journal<StockBook>>,
    orders_journal: Journal<OrderBook>,
    arbiters: Vec<Arbiter>,
}

impl Domains {
    /// Starts every domain on a migrated database. The coordinators share one arbiter, so that a question between them
    /// does not cross threads; each shard has its own.
    pub fn start(config: &Config, database: &Database) -> Self {
        let asks = AskLimits {
            asks_max: config.actors.asks_max,
            answer_within: milliseconds(config.actors.answer_within_ms),
        };
        let journal = JournalLimits {
            queue_max: config.journal.queue_max,
            batch_max: config.journal.batch_max,
            commit_within: milliseconds(config.journal.commit_within_ms),
        };
        let domains = Arbiter::new();
        let coordinators = domains.handle();
        let mut arbiters = vec![domains];

        let stock = InventoryStore::new(database.clone());
        let skus_max = config.inventory.skus_active_max.div_ceil(config.inventory.shards);
        let idle_after = Duration::from_secs(config.inventory.sku_idle_after_seconds);
        let mut shards = Vec::with_capacity(config.inventory.shards);
        let mut stock_journals = Vec::with_capacity(config.inventory.shards);
        for index in 0..config.inventory.shards {
            let arbiter = Arbiter::new();
            let lane = Lane::start("inventory", &arbiter.handle(), database.clone(), journal, StockBook);
            let (store, commits) = (stock.clone(), lane.clone());
            let build = move || ShardActor::new(index, store.clone(), commits.clone(), skus_max, idle_after);
            shards.push(supervise("shard", &arbiter.handle(), asks, build));
            stock_journals.push(lane);
            arbiters.push(arbiter);
        }
        let (store, front_shards) = (stock.clone(), shards.clone());
        let inventory = supervise("inventory", &coordinators, asks, move || {
            InventoryActor::new(store.clone(), front_shards.clone())
        });
        let every = milliseconds(config.inventory.expire_every_ms);
        coordinators.spawn(inventory::expire_when_due(stock, shards.clone(), every));

        let catalog = supervise("catalog", &coordinators, asks, || CatalogActor);
        let payments = supervise("payments", &coordinators, asks, || todo!());

        let ports = OrdersPorts {
            quote_skus: catalog.port(),
            reserve_stock: inventory.port(),
            commit_reservation: inventory.port(),
            release_reservation: inventory.port(),
            list_held_for_orders: inventory.port(),
            open_payment: payments.port(),
            void_payment: payments.port(),
        };
        let orders_journal = Lane::start("orders", &coordinators, database.clone(), journal, OrderBook);
        let keys = Lane::start("idempotency keys", &coordinators, database.clone(), journal, KeyBook);
        let store = OrdersStore::new(database.clone());
        let desk = Desk::new(store, orders_journal.clone(), keys, ports, &config.orders);
        let served = desk.clone();
        let orders = supervise("orders", &coordinators, asks, move || OrdersActor::new(served.clone()));
        let every = milliseconds(config.orders.reconcile_every_ms);
        let orphan_after = Duration::from_secs(config.orders.orphan_after_seconds);
        coordinators.spawn_fn(move || drop(actix_rt::spawn(orders::look_after(desk, every, orphan_after))));

        Self { catalog, inventory, orders, payments, shards, stock_journals, orders_journal, arbiters }
    }

    /// Lets open questions be answered and decisions become durable, then ends the threads.
    pub async fn stop(self, within: Duration) {
        self.orders.drain(within).await;
        self.inventory.drain(within).await;
        for shard in &self.shards {
            shard.drain(within).await;
        }
        for journal in &self.stock_journals {
            journal.flush().await;
        }
        self.orders_journal.flush().await;
        for arbiter in self.arbiters {
            arbiter.stop();
            // The thread's end is waited for aside, so that this thread's own work goes on.
            let _ = tokio::task::spawn_blocking(move || arbiter.join()).await;
        }
    }
}
