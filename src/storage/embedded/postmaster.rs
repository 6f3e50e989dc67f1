//! Starts PostgreSQL, waits until it answers, starts it again when it dies unasked, and stops it.

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

/// How often to knock while PostgreSQL starts.
const KNOCK_EVERY: Duration = Duration::from_millis(20);

/// Pauses before it is started again, doubling: short enough for customers, long enough for the log.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(2);

/// Having run for this long, PostgreSQL counts as healthy and the pauses begin anew.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);

/// An immediate shutdown takes up to five seconds before the postmaster itself resorts to SIGKILL.
const QUIT_WITHIN: Duration = Duration::from_secs(10);

/// A log beyond this size is put aside at the next start, in place of the one put aside before.
const LOG_MAX: u64 = 32 * 1024 * 1024;

/// Everything that one start of PostgreSQL takes, and the next.
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

    /// The first start: answers when the database `shobai` does, and leaves nothing running when it does not.
    pub(super) async fn start_and_wait(&self, within: Duration) -> Result<Postmaster, ClusterError> {
        let log_start = self.put_a_long_log_aside()?;
        let mut postmaster = self.start()?;
        let answered = tokio::select! {
            ended = postmaster.child.wait() => {
                let status = ended.map_err(|source| self.not_run(source))?;
                let said = last_words(&self.log, log_start);
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
                let said = last_words(&self.log, log_start);
                self.stop(postmaster).await?;
                Err(ClusterError::NoAnswer { within, log: self.log.clone(), said })
            }
        }
    }

    /// Keeps PostgreSQL running until it is asked to stop or the cluster is dropped.
    ///
    /// Whoever uses a connection notices the gap as a lost connection and connects again.
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
                    error!(how, log = %self.log.display(), "postgresql ended unasked, starting it again");
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
                match self.start_again().await {
                    Ok(postmaster) => break postmaster,
                    Err(refusal) => {
                        error!(error = &refusal as &dyn std::error::Error, "postgresql does not start")
                    }
                }
            };
        }
    }

    /// PostgreSQL refuses to start while backends of the killed postmaster hold its shared memory, so they go first.
    async fn start_again(&self) -> Result<Postmaster, ClusterError> {
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
        // A terminal's Ctrl-C is for the engine, which stops PostgreSQL when the last order is written.
        command.process_group(0);
        for (name, value) in tuning::settings(&self.socket_dir, self.connections) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let child = Command::from(command).spawn().map_err(|source| self.not_run(source))?;
        Ok(Postmaster { child })
    }

    /// Knocks until the database answers, and creates it when only that is missing.
    async fn answer(&self) -> Result<(), ClusterError> {
        loop {
            match self.connection().connect(NoTls).await {
                Ok(_) => return Ok(()),
                Err(refusal) if refusal.code() == Some(&SqlState::UNDEFINED_DATABASE) => {
                    self.create_database()
                        .await
                        .map_err(|source| ClusterError::NoDatabase { database: NAME, source })?;
                }
                // Starting up, recovering, not listening yet: the caller's deadline ends the patience, and an end of the
                // process ends it sooner.
                Err(_) => sleep(KNOCK_EVERY).await,
            }
        }
    }

    async fn create_database(&self) -> Result<(), tokio_postgres::Error> {
        let (client, connection) = connection(&self.socket_dir, "postgres").connect(NoTls).await?;
        // The connection's own end says nothing that the statement's answer does not.
        let driver = tokio::spawn(async move { drop(connection.await) });
        let created = client.batch_execute(&format!("create database {NAME}")).await;
        drop(client);
        let _ = driver.await;
        created
    }

    /// Fast shutdown, and after `stop_within` an immediate one, from which the next start recovers.
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

    /// After a shutdown nothing is left but the socket's directory; after a crash, or with a postmaster that ignored both
    /// signals, processes are.
    async fn clear_away(&self) -> Result<(), ClusterError> {
        leftovers::end(&self.home.cluster, self.stop_within).await?;
        // The next start makes it again, or takes this one when something else lies in it.
        let _ = fs::remove_dir(&self.socket_dir);
        Ok(())
    }

    /// Answers with the length of the log before this start.
    fn put_a_long_log_aside(&self) -> Result<u64, ClusterError> {
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

/// The running server process. Dropped while it runs (the engine gives up or its runtime ends), it is asked to shut down.
#[derive(Debug)]
pub(super) struct Postmaster {
    child: Child,
}

impl Postmaster {
    /// `None` once it has ended and been reaped, so that no signal reaches a stranger with the same id.
    fn pid(&self) -> Option<Pid> {
        self.child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw)
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            // One that has just ended is what was wanted.
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
fn last_words(log: &Path, start: u64) -> String {
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
    fn the_last_words_are_those_of_this_start() {
        let log = std::env::temp_dir().join(format!("shobai-last-words-{}", std::process::id()));
        let before = "the start before\n";
        fs::write(&log, format!("{before}one\n\ntwo\n")).unwrap();
        assert_eq!(last_words(&log, before.len() as u64), "one | two");
        assert_eq!(last_words(&log, before.len() as u64 + 9), "nothing");
        fs::remove_file(&log).unwrap();
        assert_eq!(last_words(&log, 0), "nothing");
    }
}
