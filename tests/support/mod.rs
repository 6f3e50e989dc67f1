//! What all tests share: one private PostgreSQL for the whole run, a fresh database and an engine for each test, and
//! clients that speak the domain.

#![allow(dead_code, unused_imports, reason = "every test binary uses a part of it")]

pub mod client;
pub mod document;
pub mod events;
pub mod shop;

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use shobai::actors::catalog::{AddProduct, NewProduct, Product, Variant};
use shobai::actors::inventory::{ReceiveStock, TrackSku};
use shobai::actors::users::{CreateUser, Role};
use shobai::cli::audit::{Finding, examine};
use shobai::config::Config;
use shobai::engine::{Engine, Extensions};
use shobai::storage::embedded::{Cluster, ClusterSettings};
use shobai::storage::{Database, DatabaseLimits, migrations};
use shobai::types::{Money, ProductId, Quantity, Sku, TaxRate};

pub use client::{Answer, Client};

/// The name of the migrated database that every test's own is copied from.
const TEMPLATE: &str = "template_of_tests";

/// PostgreSQL for this run; it ends with the process, however that ends.
struct Postgres {
    connection: tokio_postgres::Config,
}

static POSTGRES: LazyLock<Postgres> = LazyLock::new(|| {
    let data_dir = std::env::temp_dir().join(format!("shobai-tests-{}", std::process::id()));
    let (ready, started) = std::sync::mpsc::channel();
    let settings = ClusterSettings {
        data_dir: data_dir.clone(),
        bin_dir: None,
        connections: 200,
        start_within: Duration::from_secs(60),
        stop_within: Duration::from_secs(30),
    };
    std::thread::spawn(move || {
        actix_rt::System::new().block_on(async {
            let cluster = Cluster::start(settings).await.expect("a cluster for the tests");
            let connection = cluster.connection();
            let database = database(connection.clone());
            let admin = database.connection().await.expect("a connection");
            admin.batch_execute(&format!("create database {TEMPLATE}")).await.expect("a template");
            let mut template = connection.clone();
            template.dbname(TEMPLATE);
            let migrated = self::database(template);
            migrations::run(&migrated).await.expect("migrations");
            migrated.close();
            ready.send(connection).expect("a waiting receiver");
            std::future::pending::<()>().await;
        });
    });
    let connection = started.recv().expect("a cluster for the tests");
    put_on_a_leash(&data_dir);
    Postgres { connection }
});

/// Lets a process of its own wait for the end of this one, stop PostgreSQL and remove its files.
fn put_on_a_leash(data_dir: &Path) {
    static LEASH: OnceLock<std::process::Child> = OnceLock::new();
    let script = r#"read -r _
        pid=$(sed -n 1p "$0/postgres/postmaster.pid") && socket=$(sed -n 5p "$0/postgres/postmaster.pid") || exit
        kill -INT "$pid"
        while kill -0 "$pid"; do sleep 0.1; done
        rmdir "$socket"
        rm -rf "$(readlink -f "$0/postgres")" "$0""#;
    let leash = Command::new("sh")
        .args(["-c", script])
        .arg(data_dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("a shell");
    let _ = LEASH.set(leash);
}

fn database(connection: tokio_postgres::Config) -> Database {
    let limits = DatabaseLimits {
        connections_max: 4,
        connect_within: Duration::from_secs(30),
        statement_within: Duration::from_secs(60),
    };
    Database::new(connection, limits).expect("a pool")
}

/// An engine on a fresh database, with everything real and on free ports.
pub struct TestEngine {
    pub engine: Engine,
    pub config: Config,
    data_dir: PathBuf,
}

impl TestEngine {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With the configuration changed first. The rate limit is off and nothing is seeded unless the change says so.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_extended(Extensions::default(), change).await
    }

    /// With something of the shop's own as well.
    pub async fn start_extended(extensions: Extensions, change: impl FnOnce(&mut Config)) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        let postgres = tokio::task::spawn_blocking(|| POSTGRES.connection.clone()).await.expect("a cluster");
        let admin = database(postgres.clone());
        let connection = admin.connection().await.expect("a connection");
        connection
            .batch_execute(&format!("create database {name} template {TEMPLATE}"))
            .await
            .expect("a database of the test's own");
        drop(connection);
        admin.close();

        let mut config = Config::default();
        let data_dir = std::env::temp_dir().join(format!("shobai-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&data_dir).expect("a data directory");
        config.storage.data_dir = data_dir.clone();
        config.http.listen = "127.0.0.1:0".parse().expect("an address");
        config.metrics.listen = "127.0.0.1:0".parse().expect("an address");
        config.http.workers = 1;
        config.http.shutdown_within_seconds = 5;
        config.seed.demo = false;
        config.rate_limit.enabled = false;
        config.postgres.connections_max = 4;
        let tokio_postgres::config::Host::Unix(socket) = &postgres.get_hosts()[0] else {
            panic!("the cluster listens on a unix socket")
        };
        let url = format!("host={} user=shobai dbname={name}", socket.display());
        config.postgres.url = url.into();
        change(&mut config);
        let engine = Engine::start_with(config.clone(), extensions).await.expect("an engine");
        Self { engine, config, data_dir }
    }

    /// Stops the engine in order and starts another one on the same database and data directory.
    pub async fn restart(self) -> Self {
        let Self { engine, config, data_dir } = self;
        engine.stop().await.expect("an orderly stop");
        let engine = Engine::start(config.clone()).await.expect("an engine again");
        Self { engine, config, data_dir }
    }

    pub async fn stop(self) {
        self.engine.stop().await.expect("an orderly stop");
        let _ = std::fs::remove_dir_all(self.data_dir);
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.engine.http_address())
    }

    pub fn metrics_base(&self) -> String {
        format!("http://{}", self.engine.metrics_address())
    }

    /// A client that is not signed in.
    pub fn visitor(&self) -> Client {
        Client::new(self.base(), None).held_to_the_document()
    }

    /// A new customer, registered through the API.
    pub async fn customer(&self) -> Client {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        self.visitor().registered(&format!("customer-{number}@example.jp")).await
    }

    /// A member of staff, signed in through the API.
    pub async fn staff(&self) -> Client {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let email = format!("staff-{}@example.jp", COUNT.fetch_add(1, Ordering::Relaxed));
        let address: shobai::actors::users::Email = email.parse().expect("an address");
        let password = shobai::actors::users::Password::choose(client::PASSWORD.to_owned().into(), &address);
        let created = CreateUser {
            email: address,
            password: password.expect("a strong password"),
            name: "Staff".parse().expect("a name"),
            role: Role::Staff,
        };
        self.engine.domains.users.ports.create_user.ask(created).await.expect("created");
        self.visitor().signed_in(&email).await
    }

    /// A product on sale with one SKU: ¥1,980 at 10 %.
    pub async fn sells(&self, sku: &str, pieces: i64) -> Sku {
        self.sells_at(sku, pieces, 1_980, TaxRate::Standard).await
    }

    pub async fn sells_at(&self, sku: &str, pieces: i64, price: i64, tax_rate: TaxRate) -> Sku {
        let sku: Sku = sku.parse().expect("a sku");
        let product = NewProduct::new(Product {
            id: ProductId::generate(),
            name: format!("Product {sku}"),
            description: "Made for a test.".to_owned(),
            category: "tests".parse().expect("a category"),
            variants: vec![Variant {
                sku: sku.clone(),
                attributes: BTreeMap::from([("size".to_owned(), "M".to_owned())]),
                price: Money::yen(price).expect("a price"),
                tax_rate,
            }],
        });
        let domains = &self.engine.domains;
        let add = AddProduct { product: product.expect("a product") };
        domains.catalog.ports.add_product.ask(add).await.expect("added");
        domains.inventory.ports.track_sku.ask(TrackSku { sku: sku.clone() }).await.expect("tracked");
        if pieces > 0 {
            let quantity = Quantity::new(pieces).expect("pieces");
            let receive = ReceiveStock { sku: sku.clone(), quantity, reference: "first".to_owned() };
            domains.inventory.ports.receive_stock.ask(receive).await.expect("received");
        }
        sku
    }

    /// What contradicts the audit's claims; nothing, if all is well.
    pub async fn audit(&self) -> Vec<Finding> {
        let connection = self.engine.database().connect_unhurried().await.expect("a connection");
        examine(&connection, Duration::from_secs(120)).await.expect("an audit")
    }

    /// Runs SQL by hand in the engine's database.
    pub async fn by_hand(&self, sql: &str) -> Vec<tokio_postgres::SimpleQueryMessage> {
        use secrecy::ExposeSecret as _;
        by_hand(self.config.postgres.url.expose_secret(), sql).await
    }

    /// Keeps what becomes of tickets from being written.
    pub async fn refuses_changes_of_tickets(&self) {
        self.by_hand(
            "create function public.refuse() returns trigger language plpgsql as $$
             begin raise exception 'not now'; end $$;
             create trigger refuse before update on sales.entries for each row
                 when (old.state is distinct from new.state) execute function public.refuse()",
        )
        .await;
    }

    /// Lets it be written again.
    pub async fn takes_changes_of_tickets(&self) {
        self.by_hand("drop trigger refuse on sales.entries").await;
    }

    /// The first column of the first row, as psql shows it.
    pub async fn told(&self, sql: &str) -> Option<String> {
        use secrecy::ExposeSecret as _;
        told(self.config.postgres.url.expose_secret(), sql).await
    }

    /// Locks a table against writes for so many seconds.
    pub async fn holds_up(&self, table: &str, seconds: f64) {
        let lock = format!("begin; lock table {table} in exclusive mode; select pg_sleep({seconds}); commit");
        self.by_hand(&lock).await;
    }

    /// Waits until a table is locked manually.
    pub async fn sees_locked(&self, table: &str) {
        self.sees_lock(table, "mode = 'ExclusiveLock' and granted").await;
    }

    /// Waits until a statement waits for a locked table.
    pub async fn sees_waiting(&self, table: &str) {
        self.sees_lock(table, "not granted").await;
    }

    /// Of this database, whose tables have the numbers that those of the others have.
    async fn sees_lock(&self, table: &str, which: &str) {
        let locks = format!(
            "select 1 from pg_locks
              where relation = '{table}'::regclass and {which}
                and database = (select oid from pg_database where datname = current_database())"
        );
        eventually(&format!("a lock of {table}: {which}"), async || self.told(&locks).await).await;
    }
}

/// The first column of the first row, as psql shows it.
pub async fn told(url: &str, sql: &str) -> Option<String> {
    by_hand(url, sql).await.into_iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}

/// Runs SQL as psql would: without the engine's settings.
pub async fn by_hand(url: &str, sql: &str) -> Vec<tokio_postgres::SimpleQueryMessage> {
    let config: tokio_postgres::Config = url.parse().expect("a url");
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("a connection");
    actix_rt::spawn(async move { drop(connection.await) });
    client.simple_query(sql).await.expect("the statement")
}

/// Gives stock back that is held for no order as soon as the deadlines of an order allow it.
pub fn give_orphans_back_soon(config: &mut Config) {
    config.journal.commit_within_ms = 1_500;
    config.actors.answer_within_ms = 3_500;
    config.orders.orphan_after_seconds = 18;
    config.orders.reconcile_every_ms = 50;
}

/// Waits for something to become true, looking again and again until a generous deadline.
pub async fn eventually<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    eventually_within(Duration::from_secs(30), what, look).await
}

/// As [`eventually`], for what takes longer.
pub async fn eventually_within<T>(within: Duration, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + within;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "not within the deadline: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
