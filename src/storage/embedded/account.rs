//! The user that PostgreSQL runs as: the engine's own, or, because PostgreSQL refuses root, an unprivileged one.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::{Uid, User, geteuid};

use super::ClusterError;
use super::error::at;

/// Who owns the cluster and runs its processes.
#[derive(Debug, Clone)]
pub(super) struct Account {
    name: String,
    uid: u32,
    /// The group to change to together with the user; `None` when the engine already is that user.
    change_to_gid: Option<u32>,
}

impl Account {
    /// The account for a new cluster: this user; for root `postgres`, or `nobody` where that does not exist.
    pub(super) fn for_new_cluster() -> Result<Account, ClusterError> {
        if !geteuid().is_root() {
            return Ok(Account::this());
        }
        let user = ["postgres", "nobody"].into_iter().find_map(|name| User::from_name(name).ok().flatten());
        user.map(Account::of).ok_or(ClusterError::NoAccount)
    }

    /// The account for an existing cluster: its owner, because PostgreSQL refuses to run as another user.
    pub(super) fn for_cluster(path: &Path) -> Result<Account, ClusterError> {
        let owner = path.metadata().map_err(at("look at", path))?.uid();
        let foreign = || ClusterError::ForeignCluster { path: path.to_owned(), owner };
        match geteuid() {
            user if user.as_raw() == owner && !user.is_root() => Ok(Account::this()),
            user if user.is_root() && owner != 0 => {
                let owner = User::from_uid(Uid::from_raw(owner)).ok().flatten();
                owner.map(Account::of).ok_or_else(foreign)
            }
            _ => Err(foreign()),
        }
    }

    fn this() -> Account {
        let uid = geteuid();
        let name = User::from_uid(uid).ok().flatten().map(|user| user.name);
        Account { name: name.unwrap_or_else(|| uid.to_string()), uid: uid.as_raw(), change_to_gid: None }
    }

    fn of(user: User) -> Account {
        Account { name: user.name, uid: user.uid.as_raw(), change_to_gid: Some(user.gid.as_raw()) }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn uid(&self) -> u32 {
        self.uid
    }

    /// Whether a file belongs to this account, or to the engine's user because of a crash before `take_over`.
    pub(super) fn owns(&self, found: &Metadata) -> bool {
        found.uid() == self.uid || found.uid() == geteuid().as_raw()
    }

    /// Makes this account the owner of what the engine has just created.
    pub(super) fn take_over(&self, path: &Path) -> Result<(), ClusterError> {
        match self.change_to_gid {
            Some(gid) => chown(path, Some(self.uid), Some(gid)).map_err(at("change the owner of", path)),
            None => Ok(()),
        }
    }

    /// A command that runs as this account, independent of the engine's surroundings: without its environment
    /// (`PGPORT`, `PGTZ`, `LANG` … would affect the cluster) and its current directory (which the account may not be
    /// able to enter).
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir("/").stdin(Stdio::null());
        if let Some(gid) = self.change_to_gid {
            // Also drops the engine's supplementary groups.
            command.uid(self.uid).gid(gid);
        }
        command
    }

    /// Whether this account can enter `path` through all the directories above it.
    ///
    /// It is tried rather than computed, so that ACLs, mounts and everything else count.
    pub(super) fn may_enter(&self, path: &Path) -> Result<bool, ClusterError> {
        if self.change_to_gid.is_none() {
            return Ok(true);
        }
        let shell = Path::new("/bin/sh");
        let tried = self
            .command(shell)
            .args(["-c", r#"cd -- "$1""#, "sh"])
            .arg(path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let status = tried.map_err(|source| ClusterError::NotRun { program: shell.to_owned(), source })?;
        Ok(status.success())
    }
}
