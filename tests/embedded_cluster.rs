//! Shows on a real PostgreSQL that the private cluster survives whatever ends it.
//!
//! Needs the PostgreSQL programs (`dev/setup` installs them). Started by root it also shows what only root can meet.

#![expect(clippy::unwrap_used, reason = "a test's way to say that this must not happen")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid, getpgid};
use shobai::storage::embedded::{Cluster, ClusterError, ClusterSettings};
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls};

/// Tells the engine that is going to be killed where its data directory is.
const DATA_DIR: &str = "SHOBAI_TEST_DATA_DIR";

#[tokio::test]
async fn what_was_written_is_there_after_a_stop_and_a_start() {
    let place = Place::new();

    let cluster = Cluster::start(place.settings()).await.unwrap();
    let client = connect(&cluster.connection()).await;
    client.batch_execute("create table sold (piece bigint); insert into sold values (1)").await.unwrap();
    cluster.stop().await.unwrap();

    let cluster = Cluster::start(place.settings()).await.unwrap();
    assert_eq!(pieces_sold(&cluster.connection()).await, 1);
    cluster.stop().await.unwrap();
    assert!(place.processes().is_empty());
}

#[tokio::test]
async fn the_cluster_is_durable_and_closed_to_everybody_else() {
    let place = Place::new();
    let cluster = Cluster::start(place.settings()).await.unwrap();
    let client = connect(&cluster.connection()).await;

    for (name, value) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("server_encoding", "UTF8"),
        ("listen_addresses", ""),
        ("wal_compression", "lz4"),
    ] {
        let row = client.query_one("select current_setting($1)", &[&name]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), value, "{name}");
    }
    assert_eq!(fs::metadata(place.cluster()).unwrap().permissions().mode() & 0o077, 0);
    assert_eq!(fs::metadata(socket_dir(&cluster.connection())).unwrap().permissions().mode() & 0o077, 0);
    assert_ne!(fs::metadata(place.cluster()).unwrap().uid(), 0);
    // A terminal's Ctrl-C goes to a process group: PostgreSQL is in one of its own.
    assert_eq!(getpgid(Some(place.postmaster())).unwrap(), place.postmaster());
    assert!(fs::read_to_string(place.data_dir().join("postgres.log")).unwrap().contains("ready to accept"));
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_engine_is_refused_and_a_command_beside_the_first_is_not() {
    let place = Place::new();
    let cluster = Cluster::start(place.settings()).await.unwrap();

    let refusal = Cluster::start(place.settings()).await.unwrap_err();
    assert!(
        matches!(refusal, ClusterError::InUse { pid: Some(pid), .. } if pid == std::process::id()),
        "{refusal}"
    );
    let beside = connect(&Cluster::attach(&place.settings()).unwrap()).await;
    beside.batch_execute("select 1").await.unwrap();

    cluster.stop().await.unwrap();
    let refusal = Cluster::attach(&place.settings()).unwrap_err();
    assert!(matches!(refusal, ClusterError::NotRunning { .. }), "{refusal}");
}

#[tokio::test]
async fn a_copied_data_directory_does_not_lead_two_engines_to_one_cluster() {
    let (place, copy) = (Place::new(), Place::new());
    let cluster = Cluster::start(place.settings()).await.unwrap();
    fs::create_dir_all(copy.data_dir()).unwrap();
    symlink(place.cluster(), copy.data_dir().join("postgres")).unwrap();

    let refusal = Cluster::start(copy.settings()).await.unwrap_err();
    assert!(matches!(refusal, ClusterError::InUse { .. }), "{refusal}");
    connect(&cluster.connection()).await.batch_execute("select 1").await.unwrap();
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn after_a_kill_of_the_engine_the_next_one_has_everything_that_was_committed() {
    let place = Place::new();
    let mut engine = start_an_engine_of_its_own(&place);
    engine.kill().unwrap();
    engine.wait().unwrap();
    let orphans = place.processes();
    assert!(!orphans.is_empty());

    let cluster = Cluster::start(place.settings()).await.unwrap();
    assert_eq!(pieces_sold(&cluster.connection()).await, 1);
    assert!(place.processes().iter().all(|pid| !orphans.contains(pid)));
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn after_a_kill_of_engine_and_postmaster_the_next_engine_recovers() {
    let place = Place::new();
    let mut engine = start_an_engine_of_its_own(&place);
    engine.kill().unwrap();
    engine.wait().unwrap();
    kill(place.postmaster(), Signal::SIGKILL).unwrap();

    let cluster = Cluster::start(place.settings()).await.unwrap();
    assert_eq!(pieces_sold(&cluster.connection()).await, 1);
    cluster.stop().await.unwrap();
}

#[tokio::test]
#[ignore = "not a test: the engine that another test starts in a process of its own, to kill it"]
async fn an_engine_that_will_be_killed() {
    // Run with all the ignored tests, it has nobody to kill it.
    let Some(data_dir) = std::env::var_os(DATA_DIR) else { return };
    let cluster = Cluster::start(settings(Path::new(&data_dir))).await.unwrap();
    let client = connect(&cluster.connection()).await;
    client.batch_execute("create table sold (piece bigint); insert into sold values (1)").await.unwrap();
    println!("\nserving");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_postmaster_is_replaced_by_itself_also_twice() {
    let place = Place::new();
    let cluster = Cluster::start(place.settings()).await.unwrap();
    let client = connect(&cluster.connection()).await;
    client.batch_execute("create table sold (piece bigint); insert into sold values (1)").await.unwrap();

    for _ in 0..2 {
        // A statement that does not notice the end of its postmaster keeps the shared memory in use.
        let busy = connect(&cluster.connection()).await;
        let long =
            tokio::spawn(
                async move { busy.batch_execute("select count(*) from generate_series(1, 1e12)").await },
            );
        wait_for_a_busy_backend(&connect(&cluster.connection()).await).await;

        let killed = place.postmaster();
        kill(killed, Signal::SIGKILL).unwrap();
        assert!(long.await.unwrap().is_err());

        let serving = within_a_minute(|| async { cluster.connection().connect(NoTls).await.is_ok() });
        assert!(serving.await);
        assert_ne!(place.postmaster(), killed);
        assert_eq!(pieces_sold(&cluster.connection()).await, 1);
    }
    cluster.stop().await.unwrap();
    assert!(place.processes().is_empty());
}

#[tokio::test]
async fn a_cluster_that_was_dropped_leaves_nothing_that_the_next_start_minds() {
    let place = Place::new();
    drop(Cluster::start(place.settings()).await.unwrap());
    Cluster::start(place.settings()).await.unwrap().stop().await.unwrap();
    assert!(place.processes().is_empty());
}

#[tokio::test]
async fn a_pid_file_that_names_a_stranger_is_no_obstacle() {
    let place = Place::new();
    Cluster::start(place.settings()).await.unwrap().stop().await.unwrap();

    let owner = fs::metadata(place.cluster()).unwrap().uid();
    let mut stranger = Command::new("sleep").arg("600").uid(owner).spawn().unwrap();
    let cluster = place.cluster();
    let pid_file = cluster.join("postmaster.pid");
    fs::write(&pid_file, format!("{}\n{}\n1\n5432\n/tmp\n\n1 1\nready\n", stranger.id(), cluster.display()))
        .unwrap();
    fs::set_permissions(&pid_file, fs::Permissions::from_mode(0o644)).unwrap();

    let started = Cluster::start(place.settings()).await;
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger was ended");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    started.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn a_crash_while_the_cluster_is_made_leaves_nothing_in_the_way() {
    let place = Place::new();
    let unfinished = place.data_dir().join("postgres.new");
    fs::create_dir_all(unfinished.join("base")).unwrap();
    fs::write(unfinished.join("PG_VERSION"), "15\n").unwrap();

    Cluster::start(place.settings()).await.unwrap().stop().await.unwrap();
    assert!(!unfinished.exists());
}

#[tokio::test]
async fn a_cluster_that_is_gone_is_not_replaced_by_an_empty_one() {
    let place = Place::new();
    fs::create_dir_all(place.data_dir()).unwrap();
    symlink("/nonexistent/cluster", place.data_dir().join("postgres")).unwrap();

    let refusal = Cluster::start(place.settings()).await.unwrap_err();
    assert!(matches!(refusal, ClusterError::ClusterGone { .. }), "{refusal}");
}

#[tokio::test]
async fn a_start_that_postgresql_refuses_is_told_with_its_words() {
    let place = Place::new();
    Cluster::start(place.settings()).await.unwrap().stop().await.unwrap();
    fs::write(place.cluster().join("postgresql.conf"), "nonsense = 1\n").unwrap();

    let refusal = Cluster::start(place.settings()).await.unwrap_err();
    assert!(refusal.to_string().contains("nonsense"), "{refusal}");
}

#[tokio::test]
async fn a_data_directory_that_the_clusters_user_may_not_enter_gets_its_cluster_elsewhere() {
    if !geteuid().is_root() {
        return;
    }
    let place = Place::new();
    fs::set_permissions(&place.root, fs::Permissions::from_mode(0o700)).unwrap();

    for pieces in 0..2 {
        let cluster = Cluster::start(place.settings()).await.unwrap();
        let client = connect(&cluster.connection()).await;
        client
            .batch_execute("create table if not exists sold (piece bigint); insert into sold values (1)")
            .await
            .unwrap();
        assert_eq!(pieces_sold(&cluster.connection()).await, pieces + 1);
        connect(&Cluster::attach(&place.settings()).unwrap()).await;
        cluster.stop().await.unwrap();
    }
    assert!(place.cluster().starts_with("/var/lib/shobai"));
    assert_eq!(fs::metadata(&place.root).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_socket_directory_of_somebody_else_is_refused() {
    if !geteuid().is_root() {
        return;
    }
    let place = Place::new();
    let cluster = Cluster::start(place.settings()).await.unwrap();
    let socket_dir = socket_dir(&cluster.connection());
    cluster.stop().await.unwrap();
    assert!(!socket_dir.exists());
    fs::create_dir(&socket_dir).unwrap();
    chown(&socket_dir, Some(65534), None).unwrap();

    let refusal = Cluster::start(place.settings()).await.unwrap_err();
    fs::remove_dir_all(&socket_dir).unwrap();
    assert!(matches!(refusal, ClusterError::ForeignSocketDir { .. }), "{refusal}");
}

/// A data directory of one test, gone with everything that it led to when the test is over.
struct Place {
    root: PathBuf,
}

impl Place {
    fn new() -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("shobai-cluster-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let root = std::env::temp_dir().join(name);
        fs::create_dir(&root).unwrap();
        Place { root }
    }

    fn data_dir(&self) -> PathBuf {
        self.root.join("var")
    }

    fn cluster(&self) -> PathBuf {
        self.data_dir().join("postgres").canonicalize().unwrap()
    }

    fn settings(&self) -> ClusterSettings {
        settings(&self.data_dir())
    }

    fn postmaster(&self) -> Pid {
        let text = fs::read_to_string(self.cluster().join("postmaster.pid")).unwrap();
        Pid::from_raw(text.lines().next().unwrap().parse().unwrap())
    }

    /// All that work in the cluster, found the way an operator would.
    fn processes(&self) -> Vec<i32> {
        let Ok(cluster) = self.data_dir().join("postgres").canonicalize() else { return Vec::new() };
        let all = fs::read_dir("/proc").unwrap().flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == cluster)).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A failed test must not leave a server behind.
        for pid in self.processes() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let cluster = self.data_dir().join("postgres");
        if let Ok(elsewhere) = cluster.read_link()
            && elsewhere.starts_with("/var/lib/shobai")
        {
            let _ = fs::remove_dir_all(elsewhere);
        }
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn settings(data_dir: &Path) -> ClusterSettings {
    ClusterSettings {
        data_dir: data_dir.to_owned(),
        bin_dir: None,
        connections: 8,
        start_within: Duration::from_secs(60),
        stop_within: Duration::from_secs(20),
    }
}

/// This test binary again, as a process that can be killed like an engine.
fn start_an_engine_of_its_own(place: &Place) -> Child {
    let mut engine = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "an_engine_that_will_be_killed"])
        .env(DATA_DIR, place.data_dir())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(engine.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "serving"), "the engine ended before it served");
    engine
}

async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn pieces_sold(config: &Config) -> i64 {
    connect(config).await.query_one("select count(*) from sold", &[]).await.unwrap().get(0)
}

async fn wait_for_a_busy_backend(client: &Client) {
    let busy = "select from pg_stat_activity where state = 'active' and query like '%generate_series(1%' \
                and pid <> pg_backend_pid()";
    assert!(within_a_minute(|| async { !client.query(busy, &[]).await.unwrap().is_empty() }).await);
}

async fn within_a_minute<F: Future<Output = bool>>(holds: impl Fn() -> F) -> bool {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        if holds().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

fn socket_dir(config: &Config) -> PathBuf {
    match config.get_hosts() {
        [Host::Unix(directory)] => directory.clone(),
        hosts => panic!("not one socket: {hosts:?}"),
    }
}
