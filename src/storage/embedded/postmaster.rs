//! Starts PostgreSQL, waits until it answers, restarts it when it ends unexpectedly, and stops it.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, NoTls};
use tracing::{error, info, warn};

use super::error::at;
use super::home::Home;
use super::{ClusterError, ClusterSettings, NAME, connection, leftovers, tuning};

/// How often to try to connect while PostgreSQL starts.
const CONNECT_EVERY: Duration = Duration::from_millis(20);

/// The pause before a restart, doubling: short enough for customers, long enough to keep the log readable.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(2);

/// After this time PostgreSQL counts as healthy, and the pauses start from the first again.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);

/// An immediate shutdown takes up to five seconds before the postmaster itself resorts to SIGKILL.
const QUIT_WITHIN: Duration = Duration::from_secs(10);

/// A longer log is rotated at the next start; one old log is kept.
const LOG_MAX: u64 = 32 * 1024 * 1024;

/// Everything that a start or restart of PostgreSQL needs.
#[derive(Debug)]
pub(super) struct Launch {
    home: Home,
    socket_dir: PathBuf,
    log: PathBuf,
    connections: usize,
    stop_within: Duration,
}

impl Launch {
    pub(super) fn new(
        home: Home,
        socket_dir: PathBuf,
        data_dir: &Path,
        settings: &ClusterSettings,
    ) -> Launch {
        Launch {
            home,
            socket_dir,
            log: data_dir.join("postgres.log"),
            connections: settings.connections,
            stop_within: settings.stop_within,
        }
    }

    pub(super) fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    pub(super) fn connection(&self) -> Config {
        connection(&self.socket_dir, NAME)
    }

    /// The first start: returns when the database `shobai` answers, and leaves no process running when it does not.
    pub(super) async fn start_and_wait(&self, within: Duration) -> Result<Postmaster, ClusterError> {
        let log_start = self.rotate_long_log()?;
        let mut postmaster = self.start()?;
        let answered = tokio::select! {
            ended = postmaster.child.wait() => {
                let status = ended.map_err(|source| self.not_run(source))?;
                let said = last_lines(&self.log, log_start);
                return Err(ClusterError::EndedAtStart { status, log: self.log.clone(), said });
            }
            answered = timeout(within, self.answer()) => answered,
        };
        match answered {
            Ok(Ok(())) => Ok(postmaster),
            Ok(Err(refusal)) => {
                self.stop(postmaster).await?;
                Err(refusal)
            }
            Err(_) => {
                let said = last_lines(&self.log, log_start);
                self.stop(postmaster).await?;
                Err(ClusterError::NoAnswer { within, log: self.log.clone(), said })
            }
        }
    }

    /// Keeps PostgreSQL running until it is asked to stop or the cluster is dropped.
    ///
    /// Users of connections notice a restart as a lost connection and connect again.
    pub(super) async fn supervise(
        self,
        mut postmaster: Postmaster,
        mut stop: oneshot::Receiver<()>,
    ) -> Result<(), ClusterError> {
        let mut pause = PAUSE_FIRST;
        loop {
            let started = Instant::now();
            tokio::select! {
                _ = &mut stop => return self.stop(postmaster).await,
                ended = postmaster.child.wait() => {
                    let how = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
                    error!(how, log = %self.log.display(), "postgresql ended unexpectedly and is started again; see its log");
                }
            }
            if started.elapsed() > HEALTHY_AFTER {
                pause = PAUSE_FIRST;
            }
            postmaster = loop {
                tokio::select! {
                    _ = &mut stop => return self.clear_away().await,
                    () = sleep(pause) => {}
                }
                pause = (pause * 2).min(PAUSE_LONGEST);
                match self.restart().await {
                    Ok(postmaster) => break postmaster,
                    Err(refusal) => {
                        error!(
                            error = &refusal as &dyn std::error::Error,
                            "postgresql does not start; trying again"
                        )
                    }
                }
            };
        }
    }

    /// PostgreSQL refuses to start while backends of the killed postmaster hold its shared memory, so they are ended
    /// first.
    async fn restart(&self) -> Result<Postmaster, ClusterError> {
        leftovers::end(&self.home.cluster, self.stop_within).await?;
        self.home.socket_dir()?;
        let postmaster = self.start()?;
        info!(pid = postmaster.child.id(), "postgresql was started again");
        Ok(postmaster)
    }

    fn start(&self) -> Result<Postmaster, ClusterError> {
        let log = File::options()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.log)
            .map_err(at("open", &self.log))?;
        let log_too = log.try_clone().map_err(at("open", &self.log))?;
        let mut command = self.home.account.command(&self.home.binaries.postgres);
        command.arg("-D").arg(&self.home.cluster).stdout(log).stderr(log_too);
        // A terminal's Ctrl-C must reach the engine only, which stops PostgreSQL after the last commit.
        command.process_group(0);
        for (name, value) in tuning::settings(&self.socket_dir, self.connections) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let child = Command::from(command).spawn().map_err(|source| self.not_run(source))?;
        Ok(Postmaster { child })
    }

    /// Connects until the database answers, and creates the database when it is missing.
    async fn answer(&self) -> Result<(), ClusterError> {
        loop {
            match self.connection().connect(NoTls).await {
                Ok(_) => return Ok(()),
                Err(refusal) if refusal.code() == Some(&SqlState::UNDEFINED_DATABASE) => {
                    self.create_database()
                        .await
                        .map_err(|source| ClusterError::NoDatabase { database: NAME, source })?;
                }
                // Starting up, recovering, not listening yet: the caller's deadline or the end of the process ends the
                // loop.
                Err(_) => sleep(CONNECT_EVERY).await,
            }
        }
    }

    async fn create_database(&self) -> Result<(), tokio_postgres::Error> {
        let (client, connection) = connection(&self.socket_dir, "postgres").connect(NoTls).await?;
        // The result of the connection adds nothing to the answer of the statement.
        let driver = tokio::spawn(async move { drop(connection.await) });
        let created = client.batch_execute(&format!("create database {NAME}")).await;
        drop(client);
        let _ = driver.await;
        created
    }

    /// Shuts down fast, and immediately after `stop_within`; the next start recovers from the latter.
    async fn stop(&self, mut postmaster: Postmaster) -> Result<(), ClusterError> {
        for (signal, patience) in [(Signal::SIGINT, self.stop_within), (Signal::SIGQUIT, QUIT_WITHIN)] {
            postmaster.signal(signal);
            if timeout(patience, postmaster.child.wait()).await.is_ok() {
                info!(signal = signal.as_str(), "postgresql stopped");
                break;
            }
            warn!(signal = signal.as_str(), ?patience, "postgresql has not stopped");
        }
        self.clear_away().await
    }

    /// Removes the socket's directory, and ends processes that a crash or an ignored signal left.
    async fn clear_away(&self) -> Result<(), ClusterError> {
        leftovers::end(&self.home.cluster, self.stop_within).await?;
        // The next start creates it again, or uses it when it could not be removed.
        let _ = fs::remove_dir(&self.socket_dir);
        Ok(())
    }

    /// Moves a long log to `postgres.log.1`; answers with the length of the log before this start.
    fn rotate_long_log(&self) -> Result<u64, ClusterError> {
        let length = fs::metadata(&self.log).map_or(0, |log| log.len());
        if length <= LOG_MAX {
            return Ok(length);
        }
        fs::rename(&self.log, self.log.with_extension("log.1")).map_err(at("put aside", &self.log))?;
        Ok(0)
    }

    fn not_run(&self, source: io::Error) -> ClusterError {
        ClusterError::NotRun { program: self.home.binaries.postgres.clone(), source }
    }
}

/// The running server process. When it is dropped while it runs (on an error or when the runtime ends), it is asked to
/// shut down.
#[derive(Debug)]
pub(super) struct Postmaster {
    child: Child,
}

impl Postmaster {
    /// `None` once it has ended and been reaped, so that no signal reaches another process with the same id.
    fn pid(&self) -> Option<Pid> {
        self.child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw)
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            // A process that has just ended needs no signal.
            let _ = kill(pid, signal);
        }
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        self.signal(Signal::SIGINT);
    }
}

/// The last lines that PostgreSQL wrote since its log had the length `start`, on one line.
fn last_lines(log: &Path, start: u64) -> String {
    /// Enough for the error, its detail and its hint.
    const LINES: usize = 6;
    const BYTES: u64 = 64 * 1024;
    let mut text = Vec::new();
    let read = File::open(log).and_then(|mut log| {
        log.seek(SeekFrom::Start(start))?;
        log.take(BYTES).read_to_end(&mut text)
    });
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match read {
        Ok(_) if !lines.is_empty() => lines[lines.len().saturating_sub(LINES)..].join(" | "),
        _ => "nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_those_of_this_start() {
        let log = std::env::temp_dir().join(format!("shobai-last-words-{}", std::process::id()));
        let before = "the start before\n";
        fs::write(&log, format!("{before}one\n\ntwo\n")).unwrap();
        assert_eq!(last_lines(&log, before.len() as u64), "one | two");
        assert_eq!(last_lines(&log, before.len() as u64 + 9), "nothing");
        fs::remove_file(&log).unwrap();
        assert_eq!(last_lines(&log, 0), "nothing");
    }
}
