//! What the benchmarks share: an engine on a real PostgreSQL with durable settings, callers, and the table at the end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hdrhistogram::Histogram;
use shobai::actors::catalog::{AddProduct, NewProduct, Product, Variant};
use shobai::actors::inventory::{ReceiveStock, TrackSku};
use shobai::actors::runtime::Figures;
use shobai::config::Config;
use shobai::engine::Domains;
use shobai::storage::embedded::{Cluster, ClusterSettings};
use shobai::storage::{Database, DatabaseLimits, migrations};
use shobai::types::{Money, ProductId, Quantity, Sku, TaxRate};

pub mod rivals;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many callers ask at the same time.
pub const CALLERS: [usize; 3] = [1, 64, 1_000];
/// Pieces that no benchmark ever sells out.
pub const PLENTY: i64 = 1_000_000_000;

/// Over how many SKUs the callers are spread.
pub const SPREADS: [(&str, usize); 2] = [("one hot SKU", 1), ("1,000 SKUs", 1_000)];

/// Connections of the rivals' pool. More of them only make more transactions wait for the same row: 8, 16 and 32 were
/// tried, and 16 was the best for the one statement.
const RIVAL_CONNECTIONS: usize = 16;

/// The domains of a shop on a private cluster in a directory of its own.
pub struct Shop {
    pub domains: Domains,
    cluster: Cluster,
    data_dir: PathBuf,
}

impl Shop {
    pub async fn open() -> Self {
        let data_dir = std::env::temp_dir().join(format!("shobai-bench-{}", std::process::id()));
        let cluster = Cluster::start(ClusterSettings {
            data_dir: data_dir.clone(),
            bin_dir: None,
            connections: 64,
            start_within: Duration::from_secs(60),
            stop_within: Duration::from_secs(30),
        })
        .await
        .expect("a cluster");
        let mut config = Config::default();
        config.storage.data_dir = data_dir.clone();
        // So long that no answer of a thousand callers is late.
        config.actors.answer_within_ms = 60_000;
        // The rivals write no orders for their reservations; the sweep leaves them alone.
        config.orders.orphan_after_seconds = 86_400;
        let limits = DatabaseLimits {
            connections_max: config.postgres.connections_max,
            connect_within: Duration::from_secs(5),
            statement_within: Duration::from_secs(5),
        };
        let database = Database::new(cluster.connection(), limits).expect("a pool");
        migrations::run(&database).await.expect("migrations");
        let domains = Domains::start(&config, &database, Figures::Kept).await.expect("domains");
        Self { domains, cluster, data_dir }
    }

    /// Gives the SKUs plenty of stock.
    async fn stock(&self, skus: &[Sku]) {
        for sku in skus {
            self.domains.inventory.ports.track_sku.ask(TrackSku { sku: sku.clone() }).await.expect("tracked");
            let quantity = Quantity::new(PLENTY).expect("pieces");
            let received = ReceiveStock { sku: sku.clone(), quantity, reference: "bench".to_owned() };
            self.domains.inventory.ports.receive_stock.ask(received).await.expect("received");
        }
    }

    /// Puts the SKUs on sale, with plenty of stock.
    pub async fn sell(&self, skus: &[Sku]) {
        for skus in skus.chunks(NewProduct::VARIANTS_MAX) {
            let variant = |sku: &Sku| Variant {
                sku: sku.clone(),
                attributes: BTreeMap::new(),
                price: Money::yen(1_980).expect("a price"),
                tax_rate: TaxRate::Standard,
            };
            let product = NewProduct::new(Product {
                id: ProductId::generate(),
                name: "lamp".to_owned(),
                description: "A lamp for benchmarks.".to_owned(),
                category: "benchmarks".parse().expect("a category"),
                variants: skus.iter().map(variant).collect(),
            });
            let add = AddProduct { product: product.expect("a product") };
            self.domains.catalog.ports.add_product.ask(add).await.expect("added");
        }
        self.stock(skus).await;
    }

    /// A pool for the rivals, with time enough for a thousand callers to wait in.
    pub fn rivals_database(&self) -> Database {
        let limits = DatabaseLimits {
            connections_max: RIVAL_CONNECTIONS,
            connect_within: Duration::from_secs(60),
            statement_within: Duration::from_secs(60),
        };
        Database::new(self.cluster.connection(), limits).expect("a pool")
    }

    pub async fn close(self) {
        self.domains.stop(Duration::from_secs(10)).await;
        self.cluster.stop().await.expect("an orderly stop");
        let _ = std::fs::remove_dir_all(self.data_dir);
    }
}

pub fn skus(count: usize) -> Vec<Sku> {
    (0..count).map(|number| format!("BENCH-{count}-{number}").parse().expect("a valid sku")).collect()
}

/// The benchmark that every later one of the same spread and number of callers is compared with.
pub const ENGINE: &str = "engine";

/// What is measured: which of [`SPREADS`], which of [`CALLERS`], and how it is done.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    pub what: &'a str,
    pub spread: usize,
    pub callers: usize,
    pub how: &'a str,
}

/// A row's place in the table: spread, callers, how.
type Place = (usize, usize, usize);

#[derive(Default)]
struct Row {
    operations: u64,
    wall: Duration,
    nanoseconds: Option<Histogram<u64>>,
}

/// Every figure that was measured, for the table at the end.
#[derive(Clone, Default)]
pub struct Table {
    rows: Rc<RefCell<BTreeMap<Place, Row>>>,
    names: Rc<RefCell<Vec<String>>>,
}

impl Table {
    /// Lets `callers` ask as fast as they are answered and measures with criterion and with a histogram.
    pub fn measure<F, O>(
        &self,
        criterion: &mut Criterion,
        system: &actix_rt::SystemRunner,
        case: Case<'_>,
        operation: F,
    ) where
        F: Fn(usize) -> O,
        O: Future<Output = ()>,
    {
        let Case { what, spread, callers: callers_index, how } = case;
        let ((spread_name, _), callers) = (SPREADS[spread], CALLERS[callers_index]);
        let place = (spread, callers_index, self.index_of(how));
        let mut group: BenchmarkGroup<'_, WallTime> =
            criterion.benchmark_group(format!("{what}, {spread_name}, {callers} callers"));
        group
            .sample_size(10)
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_secs(3));
        group.sampling_mode(criterion::SamplingMode::Flat);
        group.throughput(Throughput::Elements(1));
        let sequence = RefCell::new(0);
        group.bench_function(BenchmarkId::from_parameter(how), |bencher| {
            bencher.iter_custom(|asked_for| {
                // Criterion asks a slow one for fewer operations than there are callers; all of them shall be busy.
                let operations = asked_for.max(2 * callers as u64);
                let mut histogram = Histogram::<u64>::new(3).expect("three digits");
                let began = Instant::now();
                system.block_on(async {
                    let mut asked = FuturesUnordered::new();
                    let mut started = 0;
                    while started < operations || !asked.is_empty() {
                        while started < operations && asked.len() < callers {
                            let number = sequence.replace_with(|number| *number + 1);
                            let operation = operation(number);
                            asked.push(async move {
                                let began = Instant::now();
                                operation.await;
                                began.elapsed()
                            });
                            started += 1;
                        }
                        if let Some(took) = asked.next().await {
                            histogram
                                .record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX))
                                .expect("it grows");
                        }
                    }
                });
                let wall = began.elapsed();
                let mut rows = self.rows.borrow_mut();
                let row = rows.entry(place).or_default();
                row.operations += operations;
                row.wall += wall;
                match &mut row.nanoseconds {
                    Some(all) => all.add(histogram).expect("histograms of one kind"),
                    none => *none = Some(histogram),
                }
                wall.mul_f64(asked_for as f64 / operations as f64)
            });
        });
        group.finish();
    }

    fn index_of(&self, name: &str) -> usize {
        let mut names = self.names.borrow_mut();
        names.iter().position(|known| known == name).unwrap_or_else(|| {
            names.push(name.to_owned());
            names.len() - 1
        })
    }

    /// The short table: per second, percentiles, and how many times the engine's rate is of each other one's.
    pub fn print(&self, what: &str) {
        let (rows, names) = (self.rows.borrow(), self.names.borrow());
        println!("\n{what}");
        println!(
            "{:<12} {:>7}  {:<22} {:>10} {:>10} {:>10} {:>10} {:>8}",
            "SKUs", "callers", "how", "per s", "p50 ms", "p99 ms", "p99.9 ms", "engine ×"
        );
        for ((spread, callers, name), row) in rows.iter() {
            let Some(histogram) = &row.nanoseconds else { continue };
            let rate = |row: &Row| row.operations as f64 / row.wall.as_secs_f64();
            let engine = names.iter().position(|name| name == ENGINE);
            let ratio = engine
                .and_then(|engine| rows.get(&(*spread, *callers, engine)))
                .map(|engine| rate(engine) / rate(row));
            let milliseconds = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e6;
            println!(
                "{:<12} {:>7}  {:<22} {:>10.0} {:>10.2} {:>10.2} {:>10.2} {:>8}",
                SPREADS[*spread].0,
                CALLERS[*callers],
                names[*name],
                rate(row),
                milliseconds(0.5),
                milliseconds(0.99),
                milliseconds(0.999),
                ratio.map_or(String::new(), |ratio| format!("{ratio:.1}")),
            );
        }
    }
}
