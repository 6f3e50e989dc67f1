//! The configuration as an operator meets it: the shipped file, and messages that name the key.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test's way to say that this must not happen")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use figment::Figment;
use figment::providers::{Format as _, Serialized, Toml};
use figment::value::{Dict, Value};
use shobai::config::Config;

/// A file of its own, removed at the end of the test.
struct ConfigFile(PathBuf);

impl ConfigFile {
    fn new(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("shobai-config-{}.toml", uuid::Uuid::now_v7()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for ConfigFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Starts the binary, which has to refuse; answers with what it says. Nothing listens at the database's address, so
/// that a configuration which passes by mistake ends all the same.
fn refusal(file: &str, environment: &[(&str, &str)]) -> String {
    let file = ConfigFile::new(file);
    let run = Command::new(env!("CARGO_BIN_EXE_shobai"))
        .args(["migrate", "--config"])
        .arg(&file.0)
        .env_clear()
        .env("SHOBAI_POSTGRES__URL", "host=/nowhere user=nobody")
        .env("SHOBAI_POSTGRES__CONNECT_WITHIN_MS", "10")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(!run.status.success(), "{file:?} passes: {said}", file = file.0);
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// The variable of a key: `http.listen` is `SHOBAI_HTTP__LISTEN`.
fn variable(key: &str) -> String {
    format!("SHOBAI_{}", key.replace('.', "__").to_uppercase())
}

/// Whether the message is about this key, in whichever way it was set.
fn names(said: &str, key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap();
    said.contains(key) || said.contains(&variable(key)) || said.to_lowercase().contains(last)
}

fn set(key: &str, value: &str) -> String {
    match key.rsplit_once('.') {
        Some((section, key)) => format!("[{section}]\n{key} = {value}\n"),
        None => format!("{key} = {value}\n"),
    }
}

#[test]
fn an_unknown_key_stops_the_start_and_is_named() {
    for key in ["http.port", "http.Listen", "rate_limit.burst_max", "shop.name", "orders.lines_max_"] {
        let said = refusal(&set(key, "1"), &[]);
        assert!(names(&said, key.split('.').next_back().unwrap()) || said.contains("shop"), "{key}: {said}");
        assert!(said.contains("unknown field"), "{key}: {said}");
    }
    for (name, key) in
        [("SHOBAI_HTTP__PORT", "port"), ("SHOBAI_SHOP__NAME", "shop"), ("SHOBAI_HTTPLISTEN", "httplisten")]
    {
        let said = refusal("", &[(name, "1")]);
        assert!(said.contains(key) && said.contains("unknown field"), "{name}: {said}");
    }
}

#[test]
fn a_wrong_type_stops_the_start_and_its_key_is_named() {
    for (key, value) in [
        ("http.listen", "8080"),
        ("http.listen", "\"8080\""),
        ("http.workers", "\"two\""),
        ("http.workers", "-1"),
        ("http.workers", "1.5"),
        ("http.allowed_origins", "\"*\""),
        ("metrics.listen", "\"localhost\""),
        ("storage.data_dir", "7"),
        ("seed.demo", "\"yes\""),
        ("seed.demo", "1"),
        ("rate_limit.burst", "5000000000"),
        ("orders.lines_max", "[]"),
        ("log.format", "\"xml\""),
        ("users.access_token_seconds", "true"),
    ] {
        let said = refusal(&set(key, value), &[]);
        assert!(names(&said, key), "{key} = {value}: {said}");
    }
    for (key, value) in [
        ("http.listen", "everywhere"),
        ("http.workers", "two"),
        ("http.workers", "-1"),
        ("seed.demo", "perhaps"),
        ("rate_limit.enabled", "on"),
        ("inventory.shards", ""),
        ("log.format", "xml"),
    ] {
        let said = refusal("", &[(&variable(key), value)]);
        assert!(names(&said, key), "{key} = {value}: {said}");
    }
}

#[test]
fn an_impossible_value_stops_the_start_and_its_key_is_named() {
    let impossible = [
        ("http.workers", "257"),
        ("http.connections_max", "0"),
        ("http.body_bytes_max", "1"),
        ("http.request_within_ms", "0"),
        ("http.operator_streams_max", "0"),
        ("http.queue_streams_max", "1000001"),
        ("sales.report_within_seconds", "0"),
        ("http.shutdown_within_seconds", "0"),
        ("postgres.start_within_seconds", "0"),
        ("postgres.connections_max", "1"),
        ("postgres.statement_within_ms", "0"),
        ("rate_limit.per_second", "0"),
        ("rate_limit.burst", "0"),
        ("actors.asks_max", "0"),
        ("actors.answer_within_ms", "1000000000"),
        // No more than two commits may take.
        ("actors.answer_within_ms", "7000"),
        ("journal.queue_max", "0"),
        ("journal.batch_max", "0"),
        ("journal.commit_within_ms", "0"),
        ("inventory.shards", "0"),
        ("inventory.skus_active_max", "0"),
        ("inventory.expire_every_ms", "1001"),
        ("inventory.hold_seconds_max", "0"),
        ("orders.lines_max", "0"),
        ("orders.konbini_pay_within_seconds", "0"),
        // More than inventory.hold_seconds_max allows.
        ("orders.konbini_pay_within_seconds", "2592001"),
        ("orders.orphan_after_seconds", "0"),
        // No more than an order may take to be placed.
        ("orders.orphan_after_seconds", "39"),
        ("http.allowed_origins", "[\"*\", \"https://shop.example\"]"),
        ("http.allowed_origins", "[\"https://shop.example:1:2\"]"),
        ("users.access_token_seconds", "0"),
        ("users.hashes_at_once", "0"),
        ("payments.webhook_tolerance_seconds", "0"),
        ("log.filter", "\"shobai=loudly\""),
        ("postgres.url", "\"not a url\""),
    ];
    for (key, value) in impossible {
        // The variable that the harness sets itself would win over the file.
        if key != "postgres.url" {
            let said = refusal(&set(key, value), &[]);
            assert!(said.contains(key), "{key} = {value}: {said}");
        }
        let said = refusal("", &[(&variable(key), value.trim_matches('"'))]);
        assert!(said.contains(key), "{key} = {value}: {said}");
    }
}

#[test]
fn a_secret_is_not_repeated() {
    let said = refusal("", &[("SHOBAI_POSTGRES__URL", "postgres://shop:hunter2@:::/shop")]);
    assert!(said.contains("postgres.url") && !said.contains("hunter2"), "{said}");
}

#[test]
fn a_broken_or_missing_file_stops_the_start_and_is_named() {
    let said = refusal("[http\nlisten = 1", &[]);
    assert!(said.contains("configuration"), "{said}");

    let missing = Command::new(env!("CARGO_BIN_EXE_shobai"))
        .args(["migrate", "--config", "/no/such/shobai.toml"])
        .env_clear()
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&missing.stderr);
    assert!(!missing.status.success() && said.contains("/no/such/shobai.toml"), "{said}");
}

/// Every key with its value, such as `http.listen`.
fn keys(dict: &Dict) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    for (section, value) in dict {
        let Value::Dict(_, inner) = value else { panic!("{section} is not a section") };
        for (key, value) in inner {
            if !matches!(value, Value::Empty(..)) {
                keys.insert(format!("{section}.{key}"), shown(value));
            }
        }
    }
    keys
}

fn shown(value: &Value) -> String {
    match value {
        Value::Num(_, number) => number
            .to_i128()
            .map(|it| it.to_string())
            .or_else(|| number.to_u128().map(|it| it.to_string()))
            .or_else(|| number.to_f64().map(|it| it.to_string()))
            .unwrap(),
        Value::String(_, text) => text.clone(),
        Value::Bool(_, it) => it.to_string(),
        Value::Array(_, items) => format!("{:?}", items.iter().map(shown).collect::<Vec<_>>()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_shipped_file_has_exactly_the_keys_and_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    // Keys without a default of their own stand in it as comments.
    let uncommented: String = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest)
                if rest
                    .split_once(" = ")
                    .is_some_and(|(key, _)| key.bytes().all(|it| it.is_ascii_lowercase() || it == b'_')) =>
            {
                format!("{rest}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();

    let defaults: Dict = Figment::from(Serialized::defaults(Config::default())).extract().unwrap();
    let shipped: Dict = Figment::from(Toml::string(&text)).extract().unwrap();
    assert_eq!(keys(&shipped), keys(&defaults));

    let documented: Dict = Figment::from(Toml::string(&uncommented)).extract().unwrap();
    let optional = BTreeSet::from(["postgres.bin_dir".to_owned()]);
    let documented: BTreeSet<_> = keys(&documented).into_keys().collect();
    let all: BTreeSet<_> = keys(&defaults).into_keys().chain(optional).collect();
    assert_eq!(documented, all);
}

#[test]
fn the_shipped_file_loads_and_is_possible() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
    let config: Config = Figment::from(Toml::file_exact(path)).extract().unwrap();
    config.check().unwrap();
}
