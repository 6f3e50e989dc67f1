//! Finds and ends the leftovers of an earlier run of a cluster: a PostgreSQL whose engine was killed, backends whose
//! postmaster was killed, and stale pid files.
//!
//! A process belongs to a cluster when it is called `postgres` and its working directory is the cluster's directory. A
//! process id in a file is no proof: after a reboot, or in a new container, another process may have it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::ClusterError;
use super::error::at;

/// How often to check whether processes have ended. There is no event for the end of a process that is not a child.
const CHECK_EVERY: Duration = Duration::from_millis(20);

/// Backends end by themselves when they notice that their postmaster is gone; one in a long statement notices late.
const BACKENDS_END_WITHIN: Duration = Duration::from_secs(2);

/// An immediate shutdown takes up to five seconds before the postmaster itself resorts to SIGKILL.
const QUIT_WITHIN: Duration = Duration::from_secs(10);

/// A live postmaster, as its pid file describes it.
#[derive(Debug)]
pub(super) struct RunningPostmaster {
    pid: Pid,
    pub(super) socket_dir: PathBuf,
}

/// The postmaster of a (canonical) cluster directory, if it has a live one.
pub(super) fn running_postmaster(cluster: &Path) -> Result<Option<RunningPostmaster>, ClusterError> {
    let path = pid_file(cluster);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(described(&text).filter(|postmaster| works_in(postmaster.pid, cluster))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at("read", &path)(error)),
    }
}

/// Ends every process of the cluster and removes its stale pid file. Only for the holder of the cluster's lock.
///
/// A live postmaster gets `patience` for a fast shutdown, after which no recovery is needed, before it is killed.
pub(super) async fn end(cluster: &Path, patience: Duration) -> Result<(), ClusterError> {
    let mut left = processes(cluster);
    if !left.is_empty() {
        let patience = match running_postmaster(cluster)? {
            Some(postmaster) => {
                info!(
                    pid = postmaster.pid.as_raw(),
                    "ending the postgresql that an earlier engine left behind"
                );
                signal(&[postmaster.pid], Signal::SIGINT);
                patience
            }
            None => BACKENDS_END_WITHIN,
        };
        left = remaining_after(cluster, patience).await;
    }
    for harsher in [Signal::SIGQUIT, Signal::SIGKILL] {
        if !left.is_empty() {
            warn!(pids = ?raw(&left), signal = harsher.as_str(), "processes of an earlier postgresql have not ended");
            signal(&left, harsher);
            left = remaining_after(cluster, QUIT_WITHIN).await;
        }
    }
    if !left.is_empty() {
        return Err(ClusterError::Unkillable { path: cluster.to_owned(), pids: raw(&left) });
    }
    // PostgreSQL refuses to start when another process has the process id in this file.
    let path = pid_file(cluster);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(at("remove", &path)(error)),
        _ => Ok(()),
    }
}

async fn remaining_after(cluster: &Path, patience: Duration) -> Vec<Pid> {
    let deadline = Instant::now() + patience;
    loop {
        let left = processes(cluster);
        if left.is_empty() || Instant::now() >= deadline {
            return left;
        }
        sleep(CHECK_EVERY).await;
    }
}

fn pid_file(cluster: &Path) -> PathBuf {
    cluster.join("postmaster.pid")
}

/// Reads `postmaster.pid`: process id, data directory, start time, port, socket directory, one a line.
fn described(text: &str) -> Option<RunningPostmaster> {
    let mut lines = text.lines();
    let pid = lines.next()?.trim().parse().ok().filter(|pid| *pid > 1)?;
    let socket_dir = lines.nth(3).map(str::trim).filter(|line| !line.is_empty())?;
    Some(RunningPostmaster { pid: Pid::from_raw(pid), socket_dir: PathBuf::from(socket_dir) })
}

fn processes(cluster: &Path) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| Some(Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)));
    pids.filter(|pid| works_in(*pid, cluster)).collect()
}

/// False for a process that has ended and is not reaped yet: it has no working directory.
fn works_in(pid: Pid, cluster: &Path) -> bool {
    let process = Path::new("/proc").join(pid.to_string());
    fs::read_link(process.join("cwd")).is_ok_and(|directory| directory == cluster)
        && fs::read_to_string(process.join("comm")).is_ok_and(|name| name.trim() == "postgres")
}

fn signal(pids: &[Pid], signal: Signal) {
    for pid in pids {
        // A process that has ended meanwhile needs no signal; one that may not be signalled is reported as unkillable.
        let _ = kill(*pid, signal);
    }
}

fn raw(pids: &[Pid]) -> Vec<i32> {
    pids.iter().map(|pid| pid.as_raw()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_describes_the_process_and_the_socket_directory() {
        let text = "4711\n/srv/var/postgres\n1763900000\n5432\n/tmp/shobai-0a1b2c\n\n  131 7\nready   \n";
        let postmaster = described(text).unwrap();
        assert_eq!(postmaster.pid.as_raw(), 4711);
        assert_eq!(postmaster.socket_dir, Path::new("/tmp/shobai-0a1b2c"));
    }

    #[test]
    fn a_truncated_or_malformed_pid_file_describes_no_process() {
        for text in
            ["", "4711\n", "\n\n\n\n/tmp\n", "-1\na\nb\nc\n/tmp\n", "1\na\nb\nc\n/tmp\n", "x\na\nb\nc\nd\n"]
        {
            assert!(described(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn a_live_process_that_is_not_postgresql_is_ignored() {
        let here = std::env::current_dir().unwrap();
        assert!(!works_in(Pid::this(), &here));
    }
}
