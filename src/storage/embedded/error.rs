//! Everything that can prevent the private cluster from running, with texts that say what to do next.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

/// Why the private cluster does not run.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error(
        "no postgresql of version {wanted} found, looked in {looked_in}; install it (dev/setup does) or name its \
         directory in postgres.bin_dir"
    )]
    NoBinaries { wanted: String, looked_in: String },

    #[error("the data directory {data_dir} is in use by {}", engine(.pid))]
    InUse { data_dir: PathBuf, pid: Option<u32> },

    #[error("no engine is running on the data directory {data_dir}")]
    NotRunning { data_dir: PathBuf },

    #[error("postgresql refuses to run as root, and neither user postgres nor user nobody exists")]
    NoAccount,

    #[error(
        "the cluster {path} belongs to user id {owner}, and this process may not run postgresql as that user"
    )]
    ForeignCluster { path: PathBuf, owner: u32 },

    #[error(
        "user {account} may not enter the cluster {path}; let it pass through the directories above, or move the data \
         directory"
    )]
    NoWayIn { path: PathBuf, account: String },

    #[error(
        "the socket directory {path} is not a directory of user id {expected}; remove it and start again"
    )]
    ForeignSocketDir { path: PathBuf, expected: u32 },

    #[error(
        "{link} points to the cluster {target}, which is gone; bring it back, or remove the link to begin empty"
    )]
    ClusterGone { link: PathBuf, target: PathBuf },

    #[error("cannot {action} {path}")]
    File { action: &'static str, path: PathBuf, source: io::Error },

    #[error("cannot run {program}")]
    NotRun { program: PathBuf, source: io::Error },

    #[error("{program} failed with {status}: {said}")]
    Failed { program: PathBuf, status: ExitStatus, said: String },

    #[error("{program} took longer than {within:?}")]
    Late { program: PathBuf, within: Duration },

    #[error("postgresql ended while it started, with {status}; {log} ends with: {said}")]
    EndedAtStart { status: ExitStatus, log: PathBuf, said: String },

    #[error("postgresql did not answer within {within:?}; {log} ends with: {said}")]
    NoAnswer { within: Duration, log: PathBuf, said: String },

    #[error("cannot create the database {database}")]
    NoDatabase { database: &'static str, source: tokio_postgres::Error },

    #[error("processes {pids:?} of the cluster {path} survive SIGKILL")]
    Unkillable { path: PathBuf, pids: Vec<i32> },

    #[error("the task that watches postgresql was lost")]
    SupervisionLost { source: tokio::task::JoinError },
}

fn engine(pid: &Option<u32>) -> String {
    match pid {
        Some(pid) => format!("the engine with process id {pid}"),
        None => "another engine".to_owned(),
    }
}

/// For `map_err`: the action and the path of a refused system call.
pub(super) fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ClusterError {
    move |source| ClusterError::File { action, path: path.to_owned(), source }
}
