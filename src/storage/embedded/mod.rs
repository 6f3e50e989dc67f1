//! The private PostgreSQL cluster for an engine without a configured database: created on first use, kept running,
//! stopped in order.
//!
//! Promises: one engine per data directory; recovery from a crash of the engine or of PostgreSQL at any moment without
//! manual work; a commit that PostgreSQL reported is on disk. Does not migrate, seed or pool. Linux only, because it
//! recognises its processes through `/proc`.
//!
//! | file | decides or does |
//! |---|---|
//! | `binaries.rs` | which PostgreSQL |
//! | `account.rs` | as which user |
//! | `lock.rs` | one engine per data directory |
//! | `home.rs` | where the cluster is, and its creation |
//! | `tuning.rs` | with which settings |
//! | `leftovers.rs` | ends processes of an earlier run |
//! | `postmaster.rs` | starts, supervises, restarts, stops |
//! | `error.rs` | why it does not run |

mod account;
mod binaries;
mod error;
mod home;
mod leftovers;
mod lock;
mod postmaster;
mod tuning;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_postgres::Config;
use tracing::info;

pub use error::ClusterError;
use error::at;
use home::Home;
pub use lock::Lock;
use postmaster::Launch;

/// The superuser of the cluster and the name of its one database.
const NAME: &str = "shobai";

/// The settings of a cluster; every field has its key in `config.toml`.
#[derive(Debug, Clone)]
pub struct ClusterSettings {
    /// The engine's data directory; the cluster is `<data_dir>/postgres`, its log `<data_dir>/postgres.log`.
    pub data_dir: PathBuf,
    /// Where `postgres` and `initdb` are; `None` finds them.
    pub bin_dir: Option<PathBuf>,
    /// Connections that the engine may open; PostgreSQL accepts some more for operators and other commands.
    pub connections: usize,
    /// From the start of PostgreSQL until it answers, crash recovery included.
    pub start_within: Duration,
    /// How long an orderly shutdown may take before an immediate one.
    pub stop_within: Duration,
}

/// A running cluster. When it is dropped without [`stop`](Cluster::stop), PostgreSQL is asked to shut down and not
/// awaited.
#[derive(Debug)]
pub struct Cluster {
    connection: Config,
    /// A message or the drop of this sender stops the supervising task.
    stop_sender: oneshot::Sender<()>,
    supervision: JoinHandle<Result<(), ClusterError>>,
    /// Declared last, so that they are released last.
    _locks: [Lock; 2],
}

impl Cluster {
    /// Creates the cluster on first use, ends an orphaned PostgreSQL, starts PostgreSQL and waits until it answers.
    ///
    /// Refuses with `InUse` while another engine serves this data directory. Every other error names the path or the
    /// program, and the last lines of PostgreSQL's log.
    pub async fn start(settings: ClusterSettings) -> Result<Cluster, ClusterError> {
        let (data_dir, engine_lock) = lock_data_dir(&settings.data_dir)?;

        let home = Home::open_or_create(&data_dir, settings.bin_dir.as_deref()).await?;
        // Two data directories can lead to one cluster (a copied checkout copies the link), so the cluster is locked
        // too.
        let cluster_lock = Lock::of_directory(&home.cluster)?;

        leftovers::end(&home.cluster, settings.stop_within).await?;
        let socket_dir = home.socket_dir()?;
        let launch = Launch::new(home, socket_dir, &data_dir, &settings);
        let connection = launch.connection();
        let postmaster = launch.start_and_wait(settings.start_within).await?;
        info!(data_dir = %data_dir.display(), socket_dir = %launch.socket_dir().display(), "postgresql answers");

        let (stop_sender, stop) = oneshot::channel();
        let supervision = tokio::spawn(launch.supervise(postmaster, stop));
        Ok(Cluster { connection, stop_sender, supervision, _locks: [engine_lock, cluster_lock] })
    }

    /// The connection to the running cluster of this data directory, for commands that run beside a serving engine.
    ///
    /// Refuses with `NotRunning` when there is none. Does not start, stop or lock anything.
    pub fn attach(settings: &ClusterSettings) -> Result<Config, ClusterError> {
        let not_running = || ClusterError::NotRunning { data_dir: settings.data_dir.clone() };
        let link = settings.data_dir.join(home::CLUSTER);
        let cluster = link.canonicalize().map_err(|_| not_running())?;
        let running = leftovers::running_postmaster(&cluster)?.ok_or_else(not_running)?;
        Ok(connection(&running.socket_dir, NAME))
    }

    /// The connection: Unix socket, user `shobai`, database `shobai`. Stays valid across restarts of PostgreSQL.
    pub fn connection(&self) -> Config {
        self.connection.clone()
    }

    /// Shuts down fast (SIGINT), and immediately (SIGQUIT) after `stop_within`.
    ///
    /// Returns when no process of the cluster is left. Open connections are ended and their transactions rolled back.
    pub async fn stop(self) -> Result<(), ClusterError> {
        // The task may have ended by itself; then its result says why.
        let _ = self.stop_sender.send(());
        self.supervision.await.map_err(|source| ClusterError::SupervisionLost { source })?
    }
}

/// Creates the data directory and locks it against other engines; answers with its canonical path.
pub fn lock_data_dir(data_dir: &Path) -> Result<(PathBuf, Lock), ClusterError> {
    std::fs::create_dir_all(data_dir).map_err(at("create the data directory", data_dir))?;
    let data_dir = canonical(data_dir)?;
    let lock = Lock::of_engine(&data_dir)?;
    Ok((data_dir, lock))
}

/// A connection to the database `database` of the cluster that listens in `socket_dir`.
fn connection(socket_dir: &Path, database: &str) -> Config {
    let mut config = Config::new();
    config.host_path(socket_dir).port(tuning::PORT).user(NAME).dbname(database).application_name(NAME);
    config
}

fn canonical(path: &Path) -> Result<PathBuf, ClusterError> {
    path.canonicalize().map_err(at("resolve", path))
}
