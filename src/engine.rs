//! The only place that builds anything: opens the storage, starts the actors, connects them, and stops it all in order.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use actix_rt::Arbiter;
use anyhow::Context as _;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use secrecy::ExposeSecret as _;
use tokio::task::JoinHandle;

use crate::actors::catalog::{CatalogActor, CatalogStore};
use crate::actors::inventory::{
    self, InventoryActor, InventoryStore, ReceiveStock, ShardActor, StockBook, TrackSku,
};
use crate::actors::orders::{self, Desk, KeyBook, OrderBook, OrdersActor, OrdersPorts, OrdersStore};
use crate::actors::payments::{PaymentsActor, WebhookSecret};
use crate::actors::runtime::{AskLimits, Handle, Journal, JournalLimits, Lane, keep_going, supervise};
use crate::actors::sales::{
    Challenge, Doorkeeper, Office, PassKey, RoomBook, Rooms, SalesActor, SalesPorts, SalesStore, WaitingActor,
};
use crate::actors::users::{
    CreateUser, Hasher, RevokedSessions, SigningKey, TokenVerifier, User, UsersActor, UsersStore,
    create_account, create_test_customers,
};
use crate::audit::{AuditActor, Bench, ReportKey, Watch, WatchPorts};
use crate::config::{Config, milliseconds};
use crate::dry_run::{self, DryRunActor, OpenShop, ShadowPorts, ShadowShop, ShopPorts};
use crate::http::{self, Gateway};
use crate::open_files;
use crate::seed::{SeedPorts, seed_demo};
use crate::storage::embedded::{Cluster, ClusterError, ClusterSettings, Lock, lock_data_dir};
use crate::storage::{Database, DatabaseLimits, Sole, migrations};

/// How often the pool's gauges are set and the histograms of the metrics are folded.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// Journal commits and HTTP answers, in seconds.
const SECONDS: [f64; 14] =
    [0.000_25, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// Entries of one commit.
const ENTRIES: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// A serving shop.
pub struct Engine {
    pub domains: Domains,
    dry_runs: DryRuns,
    gateway: Server,
    streams: http::Streams,
    internal: Server,
    upkeep: JoinHandle<()>,
    backing: Backing,
    stop_within: Duration,
}

/// A listening HTTP server.
struct Server {
    handle: actix_web::dev::ServerHandle,
    running: JoinHandle<std::io::Result<()>>,
    address: SocketAddr,
}

impl Server {
    fn run((server, address): (actix_web::dev::Server, SocketAddr)) -> Self {
        Self { handle: server.handle(), running: actix_rt::spawn(server), address }
    }

    /// Takes no more connections, answers what was accepted, ends.
    async fn stop(self) {
        self.handle.stop(true).await;
        // One that ended by itself has been waited for already.
        if !self.running.is_finished() {
            let _ = self.running.await;
        }
    }
}

/// What a shop brings of its own, in place of what is built in.
#[derive(Default)]
pub struct Extensions {
    /// What is asked of whoever joins a waiting room; nothing: what the configuration says.
    pub challenge: Option<Arc<dyn Challenge>>,
}

impl Engine {
    /// Starts everything, with nothing of the shop's own.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        Self::start_with(config, Extensions::default()).await
    }

    /// Starts everything: from the internal port, which says that the engine is not ready yet, to the gateway, which
    /// listens when all that it needs is there.
    pub async fn start_with(config: Config, extensions: Extensions) -> anyhow::Result<Self> {
        config.check()?;
        if let Some(most) = open_files::take_all()
            && usize::try_from(most).is_ok_and(|most| most < config.http.connections_max)
        {
            let wanted = config.http.connections_max;
            tracing::warn!(most, wanted, "fewer open files are allowed than http.connections_max");
        }
        let metrics = start_metrics()?;
        let readiness = Readiness::default();
        let internal =
            http::internal::serve(config.metrics.listen, metrics.clone(), readiness.clone().asked())
                .with_context(|| {
                    format!("metrics.listen = {} cannot be listened on", config.metrics.listen)
                })?;
        let internal = Server::run(internal);
        match Self::start_behind(&config, extensions, metrics, &readiness).await {
            Ok((backing, domains, dry_runs, (gateway, streams), upkeep)) => {
                readiness.serving();
                Ok(Self {
                    domains,
                    dry_runs,
                    gateway,
                    streams,
                    internal,
                    upkeep,
                    backing,
                    stop_within: Duration::from_secs(config.http.shutdown_within_seconds),
                })
            }
            Err(error) => {
                internal.stop().await;
                Err(error)
            }
        }
    }

    async fn start_behind(
        config: &Config,
        extensions: Extensions,
        metrics: PrometheusHandle,
        readiness: &Readiness,
    ) -> anyhow::Result<(Backing, Domains, DryRuns, (Server, http::Streams), JoinHandle<()>)> {
        let (mut backing, mut sole) = Backing::open_alone(config).await?;
        let served = async {
            let applied = migrations::run(&backing.database).await?;
            tracing::info!(applied, "the database is migrated");
            sole.serves().await?;
            let domains = Domains::start(config, &backing.database, Figures::Kept).await?;
            if config.seed.demo {
                seed_demo(&config.storage.data_dir, &domains.seed_ports()).await?;
            }
            let dry_runs = DryRuns::start(config, &backing.database, &domains);
            let gateway = Arc::new(domains.gateway(config, extensions, &dry_runs));
            let streams = gateway.streams.clone();
            let served = http::serve(gateway, config)
                .with_context(|| format!("http.listen = {} cannot be listened on", config.http.listen))?;
            Ok::<_, anyhow::Error>((domains, dry_runs, (Server::run(served), streams)))
        };
        match served.await {
            Ok((domains, dry_runs, gateway)) => {
                readiness.database_is(backing.database.clone());
                let upkeep = actix_rt::spawn(keep_up(metrics, backing.database.clone()));
                let (handle, is_taken) = (gateway.0.handle.clone(), backing.is_taken.clone());
                backing.keeping = Some(actix_rt::spawn(async move {
                    sole.keep().await;
                    is_taken.store(true, Ordering::Release);
                    tracing::error!("another engine took this one's database, so that this one stops");
                    // Without waiting: whatever is answered from here on may be sold by the other one as well.
                    handle.stop(false).await;
                }));
                Ok((backing, domains, dry_runs, gateway, upkeep))
            }
            Err(error) => {
                // PostgreSQL is not left behind by a start that failed.
                backing.close().await?;
                Err(error)
            }
        }
    }

    /// Returns when the gateway has ended without being asked to.
    pub async fn gateway_ended(&mut self) -> anyhow::Error {
        match (&mut self.gateway.running).await {
            Ok(Err(error)) => anyhow::Error::new(error).context("the gateway ended"),
            _ => anyhow::anyhow!("the gateway ended"),
        }
    }

    pub fn database(&self) -> &Database {
        &self.backing.database
    }

    pub fn http_address(&self) -> SocketAddr {
        self.gateway.address
    }

    pub fn metrics_address(&self) -> SocketAddr {
        self.internal.address
    }

    /// Stops in order: no new requests, the open ones answered, decisions durable, the pool, PostgreSQL. An engine whose database
    /// another one took waits for nothing that it still has to do: each of these may contradict the other one.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.streams.end();
        self.gateway.stop().await;
        if self.backing.is_taken.load(Ordering::Acquire) {
            self.dry_runs.stop(Duration::ZERO).await;
            self.domains.abandon().await;
        } else {
            self.dry_runs.stop(self.stop_within).await;
            self.domains.stop(self.stop_within).await;
        }
        self.upkeep.abort();
        self.internal.stop().await;
        self.backing.close().await?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// What `/readyz` looks at.
#[derive(Clone, Default)]
struct Readiness {
    serving: Arc<AtomicBool>,
    database: Arc<OnceLock<Database>>,
}

impl Readiness {
    fn serving(&self) {
        self.serving.store(true, Ordering::Release);
    }

    fn database_is(&self, database: Database) {
        let _ = self.database.set(database);
    }

    /// As a question that the internal server asks.
    fn asked(self) -> http::internal::Readiness {
        http::internal::Readiness::new(move || {
            let readiness = self.clone();
            async move {
                match readiness.database.get() {
                    Some(database) if readiness.serving.load(Ordering::Acquire) => {
                        database.ping().await.map_err(|error| error.to_string())
                    }
                    _ => Err("the engine is starting".to_owned()),
                }
            }
        })
    }
}

/// One recorder for the process, whoever asks first.
fn start_metrics() -> anyhow::Result<PrometheusHandle> {
    static RECORDER: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut recorder = RECORDER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(metrics) = &*recorder {
        return Ok(metrics.clone());
    }
    let metrics = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_entries".to_owned()), &ENTRIES)?
        .install_recorder()?;
    Ok(recorder.insert(metrics).clone())
}

async fn keep_up(metrics: PrometheusHandle, database: Database) {
    loop {
        let (size, available) = database.pool_size();
        metrics::gauge!("shobai_pool_connections").set(size as f64);
        metrics::gauge!("shobai_pool_idle_connections").set(available as f64);
        metrics.run_upkeep();
        tokio::time::sleep(UPKEEP_EVERY).await;
    }
}

/// The database, and the private cluster that it is in when this process started one.
pub struct Backing {
    pub database: Database,
    cluster: Option<Cluster>,
    /// On the data directory of an engine whose database is elsewhere; a cluster keeps its own.
    lock: Option<Lock>,
    /// Keeps the database for the engine that serves it.
    keeping: Option<JoinHandle<()>>,
    /// Whether another engine serves it by now.
    is_taken: Arc<AtomicBool>,
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
    async fn open_alone(config: &Config) -> anyhow::Result<(Self, Sole)> {
        let backing = match Self::configured(config)? {
            Some(backing) => {
                let (_, lock) = lock_data_dir(&config.storage.data_dir)?;
                Self { lock: Some(lock), ..backing }
            }
            None => Self::in_cluster(config, Cluster::start(cluster_settings(config)).await?)?,
        };
        let refused = match Sole::take(&backing.database).await {
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

    /// Customers for tests, signed in already: their access tokens.
    pub async fn create_customers(&self, config: &Config, count: u32) -> anyhow::Result<Vec<String>> {
        migrations::run(&self.database).await?;
        let key = SigningKey::load_or_create(&config.storage.data_dir)?;
        let store = UsersStore::new(self.database.clone());
        Ok(create_test_customers(&store, &key, &config.users, count).await?)
    }

    /// Makes an account with a role. Refuses with `EmailTaken`.
    pub async fn create_user(&self, config: &Config, wanted: CreateUser) -> anyhow::Result<User> {
        migrations::run(&self.database).await?;
        let store = UsersStore::new(self.database.clone());
        Ok(create_account(&store, &Hasher::new(&config.users)?, wanted).await?)
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

fn asks(config: &Config) -> AskLimits {
    AskLimits {
        asks_max: config.actors.asks_max,
        answer_within: milliseconds(config.actors.answer_within_ms),
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
    pub audit: Handle<AuditActor>,
    pub catalog: Handle<CatalogActor>,
    pub inventory: Handle<InventoryActor>,
    pub orders: Handle<OrdersActor>,
    pub payments: Handle<PaymentsActor>,
    pub sales: Handle<SalesActor>,
    pub waiting: Handle<WaitingActor>,
    pub users: Handle<UsersActor>,
    /// How long the settlement of a large sale may take.
    settled_within: Duration,
    keys: Keys,
    shards: Vec<Handle<ShardActor>>,
    stock_journals: Vec<Journal<StockBook>>,
    orders_journals: Vec<Journal<OrderBook>>,
    rooms: Rooms,
    rooms_journal: Journal<RoomBook>,
    arbiters: Vec<Arbiter>,
}

/// Whether what actors count is seen by anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figures {
    Kept,
    /// Of a shop that is not real.
    Dropped,
}

impl Figures {
    /// A thread for actors.
    fn thread(self) -> Arbiter {
        let arbiter = Arbiter::new();
        if self == Self::Dropped {
            // Before anything else on that thread, and until it ends.
            arbiter
                .spawn_fn(|| std::mem::forget(metrics::set_default_local_recorder(&metrics::NoopRecorder)));
        }
        arbiter
    }
}

/// What the gateway checks signatures with.
#[derive(Clone)]
struct Keys {
    tokens: SigningKey,
    revoked: RevokedSessions,
    webhooks: WebhookSecret,
    passes: PassKey,
}

impl Domains {
    /// Starts every domain on a migrated database. The coordinators share one arbiter, so that a question between them
    /// does not cross threads; each shard has its own.
    pub async fn start(config: &Config, database: &Database, figures: Figures) -> anyhow::Result<Self> {
        let asks = asks(config);
        let journal = JournalLimits {
            queue_max: config.journal.queue_max,
            batch_max: config.journal.batch_max,
            commit_within: milliseconds(config.journal.commit_within_ms),
        };
        let data_dir = &config.storage.data_dir;
        let keys = Keys {
            tokens: SigningKey::load_or_create(data_dir)?,
            revoked: RevokedSessions::new(Duration::from_secs(config.users.access_token_seconds)),
            webhooks: WebhookSecret::load_or_create(data_dir)?,
            passes: PassKey::load_or_create(data_dir)?,
        };
        let people = UsersStore::new(database.clone());
        people.load_revoked_sessions(&keys.revoked).await?;
        let hasher = Hasher::new(&config.users)?;

        let domains = figures.thread();
        let coordinators = domains.handle();
        let mut arbiters = vec![domains];

        let stock = InventoryStore::new(database.clone());
        let skus_max = config.inventory.skus_active_max.div_ceil(config.inventory.shards);
        let idle_after = Duration::from_secs(config.inventory.sku_idle_after_seconds);
        let mut shards = Vec::with_capacity(config.inventory.shards);
        let mut stock_journals = Vec::with_capacity(config.inventory.shards);
        for index in 0..config.inventory.shards {
            let arbiter = figures.thread();
            let lane =
                Lane::start("inventory", index, &arbiter.handle(), database.clone(), journal, StockBook);
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
        let due = shards.clone();
        keep_going("expiry of holds", &coordinators, move || {
            inventory::expire_when_due(stock.clone(), due.clone(), every)
        });

        let (signing, limits) = (keys.clone(), config.users.clone());
        let users = supervise("users", &coordinators, asks, move || {
            let Keys { tokens, revoked, .. } = signing.clone();
            UsersActor::new(people.clone(), hasher.clone(), tokens, revoked, &limits)
        });
        let products = CatalogStore::new(database.clone());
        let catalog = supervise("catalog", &coordinators, asks, move || CatalogActor::new(products.clone()));
        let secret = keys.webhooks.clone();
        let payments = supervise("payments", &coordinators, asks, move || PaymentsActor::new(secret.clone()));

        let ports = SalesPorts {
            quote_skus: catalog.port(),
            get_stock: inventory.port(),
            allot_stock: inventory.port(),
            change_allotment: inventory.port(),
            close_allotment: inventory.port(),
            list_allotments: inventory.port(),
            list_claims: inventory.port(),
            count_open_holds: inventory.port(),
        };
        let office = Office::new(SalesStore::new(database.clone()), ports, keys.passes.clone(), config);
        let sales = supervise("sales", &coordinators, asks, move || SalesActor::new(office.clone()));
        // Many people come at once, so the waiting rooms have a thread of their own.
        let doors = figures.thread();
        let rooms = Rooms::new(keys.passes.clone());
        let rooms_journal =
            Lane::start("waiting rooms", 0, &doors.handle(), database.clone(), journal, RoomBook);
        let store = SalesStore::new(database.clone());
        let keeper =
            Doorkeeper::new(store, rooms_journal.clone(), sales.clone(), rooms.clone(), &config.sales);
        let waiting =
            supervise("waiting rooms", &doors.handle(), asks, move || WaitingActor::new(keeper.clone()));
        arbiters.push(doors);

        let ports = OrdersPorts {
            quote_skus: catalog.port(),
            reserve_stock: inventory.port(),
            commit_reservation: inventory.port(),
            release_reservation: inventory.port(),
            list_held_for_orders: inventory.port(),
            open_payment: payments.port(),
            void_payment: payments.port(),
            pass_gates: sales.port(),
            end_passage: sales.port(),
            abandon_order: sales.port(),
            follow_order: sales.port(),
        };
        // The lanes of orders are spread over the shards' threads: writing a batch is work, and the coordinators have enough.
        let orders_journals: Vec<_> = (0..config.orders.lanes)
            .map(|lane| {
                let arbiter = &arbiters[1 + lane % config.inventory.shards];
                Lane::start("orders", lane, &arbiter.handle(), database.clone(), journal, OrderBook)
            })
            .collect();
        let keys_used = Lane::start("idempotency keys", 0, &coordinators, database.clone(), journal, KeyBook);
        let store = OrdersStore::new(database.clone());
        let desk = Desk::new(store, orders_journals.clone(), keys_used, ports, &config.orders);
        let served = desk.clone();
        let orders = supervise("orders", &coordinators, asks, move || OrdersActor::new(served.clone()));
        let every = milliseconds(config.orders.reconcile_every_ms);
        let orphan_after = Duration::from_secs(config.orders.orphan_after_seconds);
        keep_going("rounds of orders", &coordinators, move || {
            orders::look_after(desk.clone(), every, orphan_after)
        });

        let ports = WatchPorts { get_figures: inventory.port(), switch_item: sales.port() };
        let watch = Watch::new(database.clone(), ports, config);
        // Settling a large sale is work, and the coordinators have enough.
        let audits = figures.thread();
        let report_key = ReportKey::load_or_create(data_dir)?;
        report_key.publish(data_dir)?;
        let bench = Bench::new(database.clone(), report_key, config);
        let audit =
            supervise("audit", &audits.handle(), asks, move || AuditActor::new(watch.clone(), bench.clone()));

        arbiters.push(audits);

        Ok(Self {
            audit,
            settled_within: Duration::from_secs(config.sales.report_within_seconds),
            catalog,
            inventory,
            orders,
            payments,
            sales,
            waiting,
            users,
            keys,
            shards,
            stock_journals,
            orders_journals,
            rooms,
            rooms_journal,
            arbiters,
        })
    }

    /// What the demo seed asks.
    fn seed_ports(&self) -> SeedPorts {
        let (track, receive) =
            (self.inventory.port::<TrackSku, _, _>(), self.inventory.port::<ReceiveStock, _, _>());
        SeedPorts {
            list_products: self.catalog.port(),
            add_product: self.catalog.port(),
            receive: Box::new(move |sku, quantity, reference| {
                let (track, receive) = (track.clone(), receive.clone());
                Box::pin(async move {
                    track.ask(TrackSku { sku: sku.clone() }).await?;
                    receive.ask(ReceiveStock { sku, quantity, reference }).await?;
                    Ok(())
                })
            }),
            create_user: self.users.port(),
            change_password: self.users.port(),
        }
    }

    /// What a dry run asks, when this is the shop that was opened for it.
    fn shadow_ports(&self) -> ShadowPorts {
        ShadowPorts {
            add_product: self.catalog.port(),
            track_sku: self.inventory.port(),
            receive_stock: self.inventory.port(),
            create_sale: self.sales.port(),
            move_sale: self.sales.port(),
            get_live: self.sales.port(),
            join_queue: self.waiting.port(),
            get_place: self.rooms.port(),
            get_room: self.waiting.port(),
            place_order: self.orders.port(),
            record_payment: self.orders.port(),
            passes: self.keys.passes.clone(),
        }
    }

    /// What the gateway asks and checks with.
    fn gateway(&self, config: &Config, extensions: Extensions, dry_runs: &DryRuns) -> Gateway {
        let Keys { tokens, revoked, webhooks, passes } = self.keys.clone();
        let lifetime = Duration::from_secs(config.users.access_token_seconds);
        let key_set = tokens.jwks();
        let verifier = TokenVerifier::new(tokens, revoked, lifetime);
        Gateway::new(
            self.ports(dry_runs),
            move |token| verifier.verify(token),
            &key_set,
            webhooks,
            passes,
            extensions.challenge,
            config,
        )
    }

    fn ports(&self, dry_runs: &DryRuns) -> http::Ports {
        let (users, catalog, inventory, orders) = (&self.users, &self.catalog, &self.inventory, &self.orders);
        let sales = &self.sales;
        http::Ports {
            users: http::UsersPorts {
                register_user: users.port(),
                sign_in: users.port(),
                refresh_session: users.port(),
                renew_session: users.port(),
                sign_out: users.port(),
                get_user: users.port(),
            },
            catalog: http::CatalogPorts { list_products: catalog.port(), get_product: catalog.port() },
            inventory: http::InventoryPorts {
                receive_stock: inventory.port(),
                adjust_stock: inventory.port(),
                reserve_stock: inventory.port(),
                commit_reservation: inventory.port(),
                release_reservation: inventory.port(),
                get_stock: inventory.port(),
                list_holds: inventory.port(),
                list_available: inventory.port(),
                list_movements: inventory.port(),
                get_hold_ages: inventory.port(),
                list_sku_loads: inventory.port(),
            },
            orders: http::OrdersPorts {
                place_order: orders.port(),
                get_order: orders.port(),
                inspect_order: orders.port(),
                list_orders: orders.port(),
                list_history: orders.port(),
                get_latency: orders.port(),
                cancel_order: orders.port(),
                record_payment: orders.port(),
            },
            sales: http::SalesPorts {
                create_sale: sales.port(),
                replan_sale: sales.port(),
                get_sale: sales.port(),
                list_sales: sales.port(),
                list_announced: sales.port(),
                get_announced: sales.port(),
                validate_sale: sales.port(),
                move_sale: sales.port(),
                switch_item: sales.port(),
                switch_everything: sales.port(),
                change_item: sales.port(),
                list_proposals: sales.port(),
                withdraw_proposal: sales.port(),
                list_changes: sales.port(),
                get_live: sales.port(),
                join_queue: self.waiting.port(),
                get_place: self.rooms.port(),
                get_traces: sales.port(),
                get_room: self.waiting.port(),
                get_draw: self.waiting.port(),
                note_refusal: sales.port(),
            },
            dry_runs: http::DryRunPorts {
                start_dry_run: dry_runs.actor.port(),
                get_dry_run: dry_runs.actor.port(),
            },
            audit: http::AuditPorts {
                get_light: self.audit.port(),
                get_settlement: self.audit.within(self.settled_within).port(),
            },
            commit_lag: self.commit_lag(),
        }
    }

    /// Over all lanes that orders and their stock pass.
    fn commit_lag(&self) -> http::CommitLag {
        let (stock, orders) = (self.stock_journals.clone(), self.orders_journals.clone());
        Box::new(move || {
            let lags = stock.iter().map(Journal::lag).chain(orders.iter().map(Journal::lag));
            lags.max().unwrap_or_default()
        })
    }

    /// Lets open questions be answered and decisions become durable, then ends the threads.
    pub async fn stop(self, within: Duration) {
        self.audit.drain(within).await;
        self.users.drain(within).await;
        self.catalog.drain(within).await;
        self.orders.drain(within).await;
        self.payments.drain(within).await;
        self.waiting.drain(within).await;
        self.sales.drain(within).await;
        self.inventory.drain(within).await;
        for shard in &self.shards {
            shard.drain(within).await;
        }
        for journal in &self.stock_journals {
            journal.flush().await;
        }
        for journal in &self.orders_journals {
            journal.flush().await;
        }
        self.rooms_journal.flush().await;
        self.abandon().await;
    }

    /// Ends at once, with whatever is not done.
    async fn abandon(self) {
        for arbiter in self.arbiters {
            arbiter.stop();
            // The thread's end is waited for aside, so that this thread's own work goes on.
            let _ = tokio::task::spawn_blocking(move || arbiter.join()).await;
        }
    }
}

/// The dry runs of sales: who is asked for them, and how they end with the engine.
struct DryRuns {
    actor: Handle<DryRunActor>,
    office: dry_run::Office,
}

impl DryRuns {
    fn start(config: &Config, database: &Database, domains: &Domains) -> Self {
        let ports = ShopPorts {
            get_sale: domains.sales.port(),
            list_sales: domains.sales.port(),
            validate_sale: domains.sales.port(),
            quote_skus: domains.catalog.port(),
        };
        let office = dry_run::Office::new(ports, database.clone(), shadow_shops(config), config);
        office.clear_up(shadow_data_dir(config));
        let served = office.clone();
        let actor = supervise("dry runs", &Arbiter::current(), asks(config), move || {
            DryRunActor::new(served.clone())
        });
        Self { actor, office }
    }

    async fn stop(self, within: Duration) {
        self.actor.drain(within).await;
        // The shop of a run takes as long to stop as this one.
        self.office.stop(2 * within).await;
    }
}

fn shadow_data_dir(config: &Config) -> PathBuf {
    config.storage.data_dir.join("dry-run")
}

/// Shops as this one, but for their database, their keys and their figures, which nobody sees.
fn shadow_shops(config: &Config) -> OpenShop {
    let mut config = config.clone();
    config.storage.data_dir = shadow_data_dir(&config);
    Arc::new(move |database| {
        let config = config.clone();
        Box::pin(async move {
            std::fs::create_dir_all(&config.storage.data_dir)?;
            migrations::run(&database).await?;
            let domains = Domains::start(&config, &database, Figures::Dropped).await?;
            Ok(ShadowShop {
                ports: domains.shadow_ports(),
                close: Box::new(move || {
                    Box::pin(async move {
                        domains.stop(Duration::from_secs(config.http.shutdown_within_seconds)).await;
                        let _ = std::fs::remove_dir_all(&config.storage.data_dir);
                    })
                }),
            })
        })
    })
}
