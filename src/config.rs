//! The typed mirror of `config.toml`: every key with its default, its bound and its check.
//!
//! Only this file reads the environment. An unknown key, a wrong type or an impossible value stops the start with a
//! message that names the key.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// Sections and keys as in `config.toml`, where each is explained.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub http: Http,
    pub metrics: Metrics,
    pub storage: Storage,
    pub postgres: Postgres,
    pub seed: Seed,
    pub rate_limit: RateLimit,
    pub actors: Actors,
    pub journal: Journal,
    pub inventory: Inventory,
    pub orders: Orders,
    pub sales: Sales,
    pub users: Users,
    pub payments: Payments,
    pub log: Log,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    pub listen: SocketAddr,
    pub workers: usize,
    pub connections_max: usize,
    pub body_bytes_max: usize,
    pub request_within_ms: u64,
    pub operator_streams_max: usize,
    pub queue_streams_max: usize,
    pub shutdown_within_seconds: u64,
    pub allowed_origins: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    pub listen: SocketAddr,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    pub data_dir: PathBuf,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Postgres {
    /// Empty for the embedded cluster. A secret, because it may hold a password.
    #[serde(serialize_with = "expose")]
    pub url: SecretString,
    pub bin_dir: Option<PathBuf>,
    pub start_within_seconds: u64,
    pub stop_within_seconds: u64,
    pub connections_max: usize,
    pub connect_within_ms: u64,
    pub statement_within_ms: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Seed {
    pub demo: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimit {
    pub enabled: bool,
    pub per_second: u32,
    pub burst: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Actors {
    pub asks_max: usize,
    pub answer_within_ms: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Journal {
    pub queue_max: usize,
    pub batch_max: usize,
    pub commit_within_ms: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Inventory {
    pub shards: usize,
    pub skus_active_max: usize,
    pub sku_idle_after_seconds: u64,
    pub expire_every_ms: u64,
    pub hold_seconds_max: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Orders {
    pub lanes: usize,
    pub lines_max: usize,
    pub keys_remembered_max: usize,
    pub konbini_pay_within_seconds: u64,
    pub reconcile_every_ms: u64,
    pub orphan_after_seconds: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sales {
    pub arm_before_seconds: u64,
    pub drain_within_seconds: u64,
    pub schedule_every_ms: u64,
    pub queue_entries_max: u32,
    pub admission_seconds: u32,
    pub admissions_per_piece: f64,
    pub order_every_ms: u64,
    pub orders_at_once: u32,
    pub unpaid_orders_max: u32,
    pub challenge_bits: u8,
    pub audit_every_ms: u64,
    pub stop_on_breach: bool,
    pub second_operator: Vec<SecondOperator>,
    pub proposal_seconds: u64,
    pub proposals_max: u32,
    pub dry_run_customers_max: u32,
    pub dry_run_seconds_max: u32,
    pub report_within_seconds: u64,
}

/// An action that can be configured to need a second operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondOperator {
    /// Stopping a SKU, a sale or everything.
    Kill,
    /// Lowering the allotment of a SKU in a sale.
    Lower,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Users {
    pub access_token_seconds: u64,
    pub refresh_token_seconds: u64,
    pub page_session_seconds: u64,
    pub hashes_at_once: usize,
    pub hashes_waiting_max: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Payments {
    pub webhook_tolerance_seconds: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    pub filter: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Text,
    Json,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 8080)),
            workers: 0,
            connections_max: 20_000,
            body_bytes_max: 64 * 1024,
            request_within_ms: 10_000,
            operator_streams_max: 256,
            queue_streams_max: 5_000,
            shutdown_within_seconds: 20,
            allowed_origins: Vec::new(),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9464)) }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self { data_dir: PathBuf::from("var") }
    }
}

impl Default for Postgres {
    fn default() -> Self {
        Self {
            url: SecretString::default(),
            bin_dir: None,
            start_within_seconds: 60,
            stop_within_seconds: 30,
            connections_max: 16,
            connect_within_ms: 3_000,
            statement_within_ms: 5_000,
        }
    }
}

impl Default for Seed {
    fn default() -> Self {
        Self { demo: true }
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { enabled: true, per_second: 50, burst: 200 }
    }
}

impl Default for Actors {
    fn default() -> Self {
        Self { asks_max: 10_000, answer_within_ms: 8_000 }
    }
}

impl Default for Journal {
    fn default() -> Self {
        Self { queue_max: 20_000, batch_max: 1_024, commit_within_ms: 3_500 }
    }
}

impl Default for Inventory {
    fn default() -> Self {
        Self {
            shards: 2,
            skus_active_max: 100_000,
            sku_idle_after_seconds: 300,
            expire_every_ms: 250,
            hold_seconds_max: 30 * 24 * 3600,
        }
    }
}

impl Default for Orders {
    fn default() -> Self {
        Self {
            lanes: 1,
            lines_max: 50,
            keys_remembered_max: 100_000,
            konbini_pay_within_seconds: 3 * 24 * 3600,
            reconcile_every_ms: 500,
            orphan_after_seconds: 60,
        }
    }
}

impl Default for Sales {
    fn default() -> Self {
        Self {
            arm_before_seconds: 60,
            drain_within_seconds: 900,
            schedule_every_ms: 100,
            queue_entries_max: 1_000_000,
            admission_seconds: 300,
            admissions_per_piece: 1.5,
            order_every_ms: 100,
            orders_at_once: 20,
            unpaid_orders_max: 10,
            challenge_bits: 0,
            audit_every_ms: 1_000,
            stop_on_breach: true,
            second_operator: Vec::new(),
            proposal_seconds: 900,
            proposals_max: 100,
            dry_run_customers_max: 100_000,
            dry_run_seconds_max: 300,
            report_within_seconds: 120,
        }
    }
}

impl Default for Users {
    fn default() -> Self {
        Self {
            access_token_seconds: 3_600,
            refresh_token_seconds: 24 * 3600,
            page_session_seconds: 12 * 3600,
            hashes_at_once: 2,
            hashes_waiting_max: 64,
        }
    }
}

impl Default for Payments {
    fn default() -> Self {
        Self { webhook_tolerance_seconds: 300 }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}

/// Why the engine does not start with this configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("there is no configuration file {0}")]
    NoFile(PathBuf),
    #[error("configuration: {0}")]
    Unreadable(#[from] Box<figment::Error>),
    #[error("configuration: {key} = {value} is impossible: {problem}")]
    Impossible { key: &'static str, value: String, problem: String },
}

impl Config {
    /// The name of the file that is read when none is given; it may be missing.
    pub const FILE: &str = "config.toml";

    /// Reads the file, then the environment (`SHOBAI_<SECTION>__<KEY>`), and checks every value.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        if let Some(file) = file
            && !file.is_file()
        {
            return Err(ConfigError::NoFile(file.to_owned()));
        }
        let file = file.unwrap_or(Path::new(Self::FILE));
        let mut figment = Figment::from(Serialized::defaults(Config::default()));
        if file.is_file() {
            figment = figment.merge(Toml::file_exact(file));
        }
        let config: Config =
            figment.merge(Env::prefixed("SHOBAI_").split("__")).extract().map_err(Box::new)?;
        config.check()?;
        Ok(config)
    }

    /// Connections to PostgreSQL that a shop may open: the pool, one for each journal lane (including those of the
    /// idempotency keys and of the waiting rooms), and two for the audit of open sales and for a settlement.
    pub fn connections(&self) -> usize {
        self.postgres.connections_max + self.inventory.shards + self.orders.lanes + 2 + 2
    }

    /// Refuses values with which the engine could not run as promised.
    pub fn check(&self) -> Result<(), ConfigError> {
        let bounds = [
            ("http.workers", self.http.workers as u64, 0, 256),
            ("http.connections_max", self.http.connections_max as u64, 1, 1_000_000),
            ("http.body_bytes_max", self.http.body_bytes_max as u64, 1_024, 64 * 1024 * 1024),
            ("http.request_within_ms", self.http.request_within_ms, 100, 120_000),
            ("http.operator_streams_max", self.http.operator_streams_max as u64, 1, 1_000_000),
            ("http.queue_streams_max", self.http.queue_streams_max as u64, 1, 1_000_000),
            ("http.shutdown_within_seconds", self.http.shutdown_within_seconds, 1, 600),
            ("postgres.start_within_seconds", self.postgres.start_within_seconds, 1, 3_600),
            ("postgres.stop_within_seconds", self.postgres.stop_within_seconds, 1, 3_600),
            ("postgres.connections_max", self.postgres.connections_max as u64, 2, 1_000),
            ("postgres.connect_within_ms", self.postgres.connect_within_ms, 10, 60_000),
            ("postgres.statement_within_ms", self.postgres.statement_within_ms, 10, 600_000),
            ("rate_limit.per_second", u64::from(self.rate_limit.per_second), 1, 1_000_000),
            ("rate_limit.burst", u64::from(self.rate_limit.burst), 1, 1_000_000),
            ("actors.asks_max", self.actors.asks_max as u64, 1, 1_000_000),
            ("actors.answer_within_ms", self.actors.answer_within_ms, 10, 120_000),
            ("journal.queue_max", self.journal.queue_max as u64, 1, 1_000_000),
            ("journal.batch_max", self.journal.batch_max as u64, 1, 10_000),
            ("journal.commit_within_ms", self.journal.commit_within_ms, 10, 120_000),
            ("inventory.shards", self.inventory.shards as u64, 1, 256),
            ("inventory.skus_active_max", self.inventory.skus_active_max as u64, 1, 10_000_000),
            ("inventory.sku_idle_after_seconds", self.inventory.sku_idle_after_seconds, 1, 86_400),
            ("inventory.expire_every_ms", self.inventory.expire_every_ms, 10, 1_000),
            ("inventory.hold_seconds_max", self.inventory.hold_seconds_max, 1, 365 * 86_400),
            ("orders.lanes", self.orders.lanes as u64, 1, 64),
            ("orders.lines_max", self.orders.lines_max as u64, 1, 1_000),
            ("orders.keys_remembered_max", self.orders.keys_remembered_max as u64, 0, 10_000_000),
            ("orders.konbini_pay_within_seconds", self.orders.konbini_pay_within_seconds, 1, 60 * 86_400),
            ("orders.reconcile_every_ms", self.orders.reconcile_every_ms, 10, 60_000),
            ("orders.orphan_after_seconds", self.orders.orphan_after_seconds, 1, 86_400),
            ("sales.arm_before_seconds", self.sales.arm_before_seconds, 0, 86_400),
            ("sales.drain_within_seconds", self.sales.drain_within_seconds, 1, 60 * 86_400),
            ("sales.schedule_every_ms", self.sales.schedule_every_ms, 10, 500),
            ("sales.queue_entries_max", u64::from(self.sales.queue_entries_max), 1, 10_000_000),
            ("sales.order_every_ms", self.sales.order_every_ms, 0, 3_600_000),
            ("sales.orders_at_once", u64::from(self.sales.orders_at_once), 1, 10_000),
            ("sales.unpaid_orders_max", u64::from(self.sales.unpaid_orders_max), 0, 1_000_000),
            ("sales.challenge_bits", u64::from(self.sales.challenge_bits), 0, 30),
            ("sales.admission_seconds", u64::from(self.sales.admission_seconds), 1, 86_400),
            ("sales.audit_every_ms", self.sales.audit_every_ms, 100, 60_000),
            ("sales.proposal_seconds", self.sales.proposal_seconds, 10, 86_400),
            ("sales.proposals_max", u64::from(self.sales.proposals_max), 1, 10_000),
            ("sales.dry_run_customers_max", u64::from(self.sales.dry_run_customers_max), 1, 1_000_000),
            ("sales.dry_run_seconds_max", u64::from(self.sales.dry_run_seconds_max), 1, 3_600),
            ("sales.report_within_seconds", self.sales.report_within_seconds, 1, 3_600),
            ("users.access_token_seconds", self.users.access_token_seconds, 1, 86_400),
            ("users.refresh_token_seconds", self.users.refresh_token_seconds, 1, 365 * 86_400),
            ("users.page_session_seconds", self.users.page_session_seconds, 1, 365 * 86_400),
            ("users.hashes_at_once", self.users.hashes_at_once as u64, 1, 256),
            ("users.hashes_waiting_max", self.users.hashes_waiting_max as u64, 1, 100_000),
            ("payments.webhook_tolerance_seconds", self.payments.webhook_tolerance_seconds, 1, 86_400),
        ];
        for (key, value, least, most) in bounds {
            if !(least..=most).contains(&value) {
                let problem = format!("it must be between {least} and {most}");
                return Err(ConfigError::Impossible { key, value: value.to_string(), problem });
            }
        }
        if self.orders.konbini_pay_within_seconds > self.inventory.hold_seconds_max {
            return Err(ConfigError::Impossible {
                key: "orders.konbini_pay_within_seconds",
                value: self.orders.konbini_pay_within_seconds.to_string(),
                problem: "stock is held at most inventory.hold_seconds_max".to_owned(),
            });
        }
        if !(1.0..=100.0).contains(&self.sales.admissions_per_piece) {
            return Err(ConfigError::Impossible {
                key: "sales.admissions_per_piece",
                value: self.sales.admissions_per_piece.to_string(),
                problem: "it must be between 1 and 100".to_owned(),
            });
        }
        if self.users.page_session_seconds < self.users.access_token_seconds {
            return Err(ConfigError::Impossible {
                key: "users.page_session_seconds",
                value: self.users.page_session_seconds.to_string(),
                problem: "a session lasts at least as long as its first token, users.access_token_seconds"
                    .to_owned(),
            });
        }
        // A decision may wait until its commit begins and until it ends. A caller must not get "late" before that, or
        // pieces would be held for a refused customer.
        if self.actors.answer_within_ms <= 2 * self.journal.commit_within_ms {
            return Err(ConfigError::Impossible {
                key: "actors.answer_within_ms",
                value: self.actors.answer_within_ms.to_string(),
                problem: "it must be more than twice journal.commit_within_ms".to_owned(),
            });
        }
        // An order may wait for four answers (the sale's quota before and after its stock, its stock, its payment) and
        // for two commits.
        let placed_within_ms = 4 * self.actors.answer_within_ms + 2 * self.journal.commit_within_ms;
        if self.orders.orphan_after_seconds * 1_000 <= placed_within_ms {
            return Err(ConfigError::Impossible {
                key: "orders.orphan_after_seconds",
                value: self.orders.orphan_after_seconds.to_string(),
                problem: format!(
                    "an order may take {placed_within_ms} ms to be placed: four times actors.answer_within_ms and twice \
                     journal.commit_within_ms; its stock must not be given back before"
                ),
            });
        }
        if self.http.allowed_origins.len() > 1 && self.http.allowed_origins.iter().any(|origin| origin == "*")
        {
            return Err(ConfigError::Impossible {
                key: "http.allowed_origins",
                value: self.http.allowed_origins.join(", "),
                problem: "\"*\" means any origin and stands alone".to_owned(),
            });
        }
        for origin in &self.http.allowed_origins {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            if origin != "*" && !host.is_some_and(is_host_and_port) {
                return Err(ConfigError::Impossible {
                    key: "http.allowed_origins",
                    value: origin.clone(),
                    problem: "an origin is \"*\" or a scheme and a host, as in https://shop.example"
                        .to_owned(),
                });
            }
        }
        if !self.postgres.url.expose_secret().is_empty() {
            self.postgres.url.expose_secret().parse::<tokio_postgres::Config>().map_err(|error| {
                ConfigError::Impossible {
                    key: "postgres.url",
                    value: "(secret)".to_owned(),
                    problem: error.to_string(),
                }
            })?;
        }
        if self.log.filter.parse::<tracing_subscriber::EnvFilter>().is_err() {
            return Err(ConfigError::Impossible {
                key: "log.filter",
                value: self.log.filter.clone(),
                problem: "it is not a tracing filter".to_owned(),
            });
        }
        Ok(())
    }
}

/// A name, an IPv4 address or an IPv6 address in brackets, optionally with a port.
fn is_host_and_port(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_name =
        || !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = in_brackets.map_or_else(is_name, |host| host.parse::<Ipv6Addr>().is_ok());
    is_host && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn expose<S: serde::Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

/// Milliseconds of the configuration as a duration.
pub const fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}
