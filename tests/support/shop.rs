//! The real binary, serving in a process of its own that can be killed, on a data directory of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::{Client, by_hand, eventually};

/// Stock that is held for no order is given back as soon as these deadlines of an order allow it.
const ORPHANS_COME_BACK_SOON: [(&str, &str); 3] = [
    ("SHOBAI_JOURNAL__COMMIT_WITHIN_MS", "1500"),
    ("SHOBAI_ACTORS__ANSWER_WITHIN_MS", "3500"),
    ("SHOBAI_ORDERS__ORPHAN_AFTER_SECONDS", "18"),
];

/// A data directory, and the engine that serves it at the moment.
pub struct Shop {
    root: PathBuf,
    settings: Vec<(&'static str, &'static str)>,
    running: Option<Running>,
}

struct Running {
    engine: Child,
    base: String,
    metrics_base: String,
}

impl Shop {
    /// Opens a demo shop.
    pub async fn open(settings: &[(&'static str, &'static str)]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("shobai-shop-{}-{number}", std::process::id()));
        fs::create_dir_all(&root).expect("a directory");
        let mut shop = Self { root, settings: settings.to_vec(), running: None };
        shop.start().await;
        shop
    }

    pub fn data_dir(&self) -> PathBuf {
        self.root.join("var")
    }

    /// The binary with this shop's configuration.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shobai"));
        let log = fs::File::options().create(true).append(true).open(self.log()).expect("a log");
        command
            .args(arguments)
            .current_dir(&self.root)
            .env("SHOBAI_STORAGE__DATA_DIR", self.data_dir())
            .env("SHOBAI_HTTP__LISTEN", "127.0.0.1:0")
            .env("SHOBAI_METRICS__LISTEN", "127.0.0.1:0")
            .env("SHOBAI_SEED__DEMO", "true")
            .env("SHOBAI_RATE_LIMIT__ENABLED", "false")
            .envs(ORPHANS_COME_BACK_SOON)
            .envs(self.settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        command
    }

    /// Runs a command beside the engine to its end.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || command.output().expect("the binary")).await.expect("its end")
    }

    /// Starts the engine and waits until it says where it serves.
    pub async fn start(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        let mut engine = self.command(&["serve"]).spawn().expect("the binary");
        let output = engine.stdout.take().expect("its output");
        let addresses = tokio::task::spawn_blocking(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            lines.filter_map(|line| address_in(&line)).take(2).collect::<Vec<String>>()
        });
        let addresses = addresses.await.expect("its addresses");
        let [base, metrics_base] = addresses.as_slice() else {
            let _ = engine.kill();
            panic!("the engine ended before it served:\n{}", self.last_words())
        };
        let (base, metrics_base) = (base.clone(), metrics_base.clone());
        self.running = Some(Running { engine, base, metrics_base });
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("a running engine")
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.running().engine.id().try_into().expect("a process id"))
    }

    pub fn base(&self) -> String {
        self.running().base.clone()
    }

    pub fn metrics_base(&self) -> String {
        self.running().metrics_base.clone()
    }

    pub fn visitor(&self) -> Client {
        Client::new(self.base(), None)
    }

    /// A client of the internal port.
    pub fn monitoring(&self) -> Client {
        Client::new(self.metrics_base(), None)
    }

    /// Access tokens of new customers.
    pub async fn customers(&self, count: usize) -> Vec<String> {
        let file = self.root.join("tokens");
        let (count, path) = (count.to_string(), file.to_str().expect("a path"));
        let made = self.run(&["customers", "create", "--count", &count, "--tokens", path]).await;
        assert!(made.status.success(), "{made:?}\n{}", self.last_words());
        fs::read_to_string(file).expect("tokens").lines().map(str::to_owned).collect()
    }

    /// The demo's sign-ins.
    pub fn demo(&self) -> Value {
        let text = fs::read_to_string(self.data_dir().join("demo.json")).expect("the sign-ins");
        serde_json::from_str(&text).expect("json")
    }

    /// Kills the engine without a chance to stop.
    pub async fn kill_engine(&mut self) {
        let mut running = self.running.take().expect("a running engine");
        running.engine.kill().expect("a kill");
        tokio::task::spawn_blocking(move || running.engine.wait()).await.expect("its end").expect("its end");
    }

    /// Asks the engine to stop, as an operator does; answers how it ended.
    pub async fn terminate(&mut self) -> ExitStatus {
        let mut running = self.running.take().expect("a running engine");
        kill(Pid::from_raw(running.engine.id().try_into().expect("a process id")), Signal::SIGTERM)
            .expect("a signal");
        tokio::task::spawn_blocking(move || running.engine.wait()).await.expect("its end").expect("its end")
    }

    pub fn postmaster(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.data_dir().join("postgres/postmaster.pid")).ok()?;
        text.lines().next()?.parse().ok().map(Pid::from_raw)
    }

    /// Another member of staff, signed in; the demo has one.
    pub async fn staff(&self) -> Client {
        let email = "second@example.jp";
        self.visitor().registered(email).await;
        let staff = format!("update users.users set role = 'staff' where email = '{email}'");
        by_hand(&self.database_url(), &staff).await;
        self.visitor().signed_in(email).await
    }

    /// The address of the engine's database, for a client of PostgreSQL.
    pub fn database_url(&self) -> String {
        let pid_file =
            fs::read_to_string(self.data_dir().join("postgres/postmaster.pid")).expect("a cluster");
        let [port, socket] = [3, 4].map(|line| pid_file.lines().nth(line).expect("an address"));
        format!("host={socket} port={port} user=shobai dbname=shobai")
    }

    /// All that work in the cluster.
    pub fn postgres_processes(&self) -> Vec<Pid> {
        let Ok(cluster) = self.data_dir().join("postgres").canonicalize() else { return Vec::new() };
        let all = fs::read_dir("/proc").expect("processes").flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == cluster))
            .map(Pid::from_raw)
            .collect()
    }

    pub fn signal_postgres(&self, signal: Signal) {
        for pid in self.postgres_processes() {
            // One that has just ended needs no signal.
            let _ = kill(pid, signal);
        }
    }

    /// `shobai audit` beside the serving engine, until nothing is on its way any more and it finds nothing.
    pub async fn expect_clean_audit(&self) {
        let last = std::cell::RefCell::new(String::new());
        let clean = eventually("a clean audit", async || {
            let audit = self.run(&["audit"]).await;
            last.replace(String::from_utf8_lossy(&audit.stdout).into_owned());
            audit.status.success().then_some(())
        });
        if tokio::time::timeout(Duration::from_secs(28), clean).await.is_err() {
            panic!("{}\n{}", last.borrow(), self.last_words());
        }
        assert!(last.borrow().contains("audit of "), "{}", last.borrow());
    }

    fn log(&self) -> PathBuf {
        self.root.join("engine.log")
    }

    /// The end of the log, for a test that failed.
    pub fn last_words(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.last_words());
        }
        if let Some(mut running) = self.running.take() {
            let _ = running.engine.kill();
            let _ = running.engine.wait();
        }
        self.signal_postgres(Signal::SIGKILL);
        remove_cluster_elsewhere(&self.data_dir());
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Where the cluster's user may not enter the data directory, only a link to the cluster is in it.
fn remove_cluster_elsewhere(data_dir: &Path) {
    if let Ok(elsewhere) = data_dir.join("postgres").read_link()
        && elsewhere.starts_with("/var/lib/shobai")
    {
        let _ = fs::remove_dir_all(elsewhere);
    }
}

fn address_in(line: &str) -> Option<String> {
    let start = line.find("http://")?;
    line[start..].split_whitespace().next().map(str::to_owned)
}
