//! Runs of the real binary, each with a scenario of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// A directory for one test's scenarios and reports; it goes away with the test.
pub struct Bench {
    pub root: PathBuf,
}

impl Bench {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("shobai-load-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        Self { root }
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.root.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn out(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shobai"));
        command.arg("load").args(arguments).current_dir(&self.root).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end without blocking the servers of this thread.
    pub async fn load(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// Starts a run and does not wait for it.
    pub fn start(&self, scenario: &Path, target: &str, more: &[&str], data_dir: Option<&Path>) -> Running {
        let out = self.out(&uuid::Uuid::now_v7().to_string());
        let mut command = self.command(&["run", scenario.to_str().unwrap(), "--target", target]);
        command.args(["--out", out.to_str().unwrap()]).args(more);
        if let Some(data_dir) = data_dir {
            command.env("SHOBAI_STORAGE__DATA_DIR", data_dir);
        }
        Running { process: command.spawn().unwrap(), out }
    }

    /// Runs a scenario and reads its result; the exit code and the result.
    pub async fn run(&self, scenario: &Path, target: &str, more: &[&str]) -> (i32, Value) {
        let out = self.out(&uuid::Uuid::now_v7().to_string());
        let mut arguments = vec!["run", scenario.to_str().unwrap(), "--target", target];
        arguments.extend(["--out", out.to_str().unwrap()]);
        arguments.extend(more);
        let output = self.load(&arguments).await;
        assert!(out.join("result.json").is_file(), "{output:?}");
        (output.status.code().unwrap(), result_in(&out))
    }
}

/// A run that goes on; it ends with the test.
pub struct Running {
    process: Child,
    out: PathBuf,
}

impl Running {
    pub fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    pub fn signal(&self, signal: Signal) {
        // One that has just ended needs no signal.
        let _ = kill(Pid::from_raw(self.process.id().try_into().unwrap()), signal);
    }

    /// Waits for its end; the exit code and the result.
    pub async fn ended(mut self) -> (i32, Value) {
        while !self.has_ended() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        (self.process.wait().unwrap().code().unwrap(), result_in(&self.out))
    }

    pub fn report(&self) -> PathBuf {
        self.out.join("report.html")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

/// The result in a report's directory, checked against the schema.
#[track_caller]
pub fn result_in(out: &Path) -> Value {
    let result: Value = serde_json::from_slice(&std::fs::read(out.join("result.json")).unwrap()).unwrap();
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/load-result.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(schema).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let problems: Vec<String> =
        validator.iter_errors(&result).map(|error| format!("{}: {error}", error.instance_path)).collect();
    assert_eq!(problems, [] as [String; 0]);
    result
}

/// The kinds of an audit's findings.
pub fn findings(result: &Value) -> Vec<&str> {
    let findings = result["audit"]["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["kind"].as_str().unwrap()).collect()
}

/// The row of a step's outcome.
#[track_caller]
pub fn row<'a>(result: &'a Value, step: &str, outcome: &str) -> &'a Value {
    let rows = result["steps"].as_array().unwrap();
    let row = rows.iter().find(|row| row["step"] == step && row["outcome"] == outcome);
    row.unwrap_or_else(|| panic!("no {outcome} {step} in {rows:#?}"))
}
