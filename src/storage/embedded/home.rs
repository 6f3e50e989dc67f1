//! The location of the cluster, and its atomic creation.
//!
//! Normally that is `<data_dir>/postgres`. Started by root, PostgreSQL runs as an unprivileged user, and that user may
//! not be allowed to enter the data directory (a checkout under a home of mode 0700). The engine does not change the
//! modes of other directories, so then the cluster is under `/var/lib/shobai` and `<data_dir>/postgres` is a link to
//! it. The link is the only reference: after the data directory is removed a new shop begins empty, and the old data is
//! still there.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use tracing::info;

use super::account::Account;
use super::binaries::Binaries;
use super::error::at;
use super::{ClusterError, NAME, canonical};

/// The cluster's name in the data directory.
pub(super) const CLUSTER: &str = "postgres";

/// The directory of clusters that cannot be in their data directory.
const ELSEWHERE: &str = "/var/lib/shobai";

/// Fixed, not the caller's `TMPDIR`: a socket's path has at most 107 bytes, and every user must get through to it.
const SOCKETS: &str = "/tmp";

/// `initdb` takes two seconds, much longer on a slow disk.
const MAKING_WITHIN: Duration = Duration::from_secs(180);

/// A complete cluster with its programs and its account.
#[derive(Debug)]
pub(super) struct Home {
    /// Canonical: the working directory that the kernel reports for the cluster's processes.
    pub(super) cluster: PathBuf,
    pub(super) account: Account,
    pub(super) binaries: Binaries,
    data_dir: PathBuf,
}

impl Home {
    /// Finds the cluster of a (canonical) data directory, or creates it.
    pub(super) async fn open_or_create(
        data_dir: &Path,
        bin_dir: Option<&Path>,
    ) -> Result<Home, ClusterError> {
        let name = data_dir.join(CLUSTER);
        match name.symlink_metadata() {
            Ok(_) => Home::open(data_dir, &name, bin_dir),
            Err(error) if error.kind() == ErrorKind::NotFound => Home::create(data_dir, &name, bin_dir).await,
            Err(error) => Err(at("look at", &name)(error)),
        }
    }

    fn open(data_dir: &Path, name: &Path, bin_dir: Option<&Path>) -> Result<Home, ClusterError> {
        // A new empty cluster in place of a missing one would look like a shop without data.
        if let Ok(target) = name.read_link()
            && !name.exists()
        {
            return Err(ClusterError::ClusterGone { link: name.to_owned(), target });
        }
        let cluster = canonical(name)?;
        let account = Account::for_cluster(&cluster)?;
        if !account.may_enter(&cluster)? {
            return Err(ClusterError::NoWayIn { path: cluster, account: account.name().to_owned() });
        }
        let version = cluster.join("PG_VERSION");
        let major = fs::read_to_string(&version).map_err(at("read", &version))?;
        let binaries = Binaries::find(bin_dir, major.trim().parse().ok())?;
        Ok(Home { cluster, account, binaries, data_dir: data_dir.to_owned() })
    }

    async fn create(data_dir: &Path, name: &Path, bin_dir: Option<&Path>) -> Result<Home, ClusterError> {
        let account = Account::for_new_cluster()?;
        let binaries = Binaries::find(bin_dir, None)?;
        if account.may_enter(data_dir)? {
            create_cluster(name, &account, &binaries).await?;
        } else {
            let place = place_elsewhere(data_dir)?;
            info!(account = account.name(), place = %place.display(), "the cluster's user may not enter the data directory");
            create_cluster(&place, &account, &binaries).await?;
            symlink(&place, name).map_err(at("link the cluster as", name))?;
            sync(data_dir)?;
        }
        Ok(Home { cluster: canonical(name)?, account, binaries, data_dir: data_dir.to_owned() })
    }

    /// Creates or checks the directory of the cluster's socket, and removes the files that an ended PostgreSQL left in
    /// it.
    ///
    /// Its name follows from the data directory. It is in a world-writable directory, so one that another user owns is
    /// refused: that user could answer in PostgreSQL's place.
    pub(super) fn socket_dir(&self) -> Result<PathBuf, ClusterError> {
        let path = Path::new(SOCKETS).join(format!("{NAME}-{}", short_hash(&self.data_dir)));
        if let Err(error) = DirBuilder::new().mode(0o700).create(&path) {
            if error.kind() != ErrorKind::AlreadyExists {
                return Err(at("create", &path)(error));
            }
            let found = path.symlink_metadata().map_err(at("look at", &path))?;
            if !found.is_dir() || !self.account.owns(&found) {
                return Err(ClusterError::ForeignSocketDir { path, expected: self.account.uid() });
            }
            fs::set_permissions(&path, Permissions::from_mode(0o700))
                .map_err(at("close to others", &path))?;
        }
        self.account.take_over(&path)?;
        // PostgreSQL refuses to start over a lock file whose process id another process of this user has by now.
        for left in fs::read_dir(&path).map_err(at("list", &path))? {
            let left = left.map_err(at("list", &path))?.path();
            fs::remove_file(&left).map_err(at("remove", &left))?;
        }
        Ok(path)
    }
}

/// A name that no cluster has had yet, so that a new cluster never finds the data of an old one.
fn place_elsewhere(data_dir: &Path) -> Result<PathBuf, ClusterError> {
    let parent = Path::new(ELSEWHERE);
    fs::create_dir_all(parent).map_err(at("create", parent))?;
    // The cluster's user must be able to pass through, whatever the engine's umask is.
    fs::set_permissions(parent, Permissions::from_mode(0o755))
        .map_err(at("open to the cluster's user", parent))?;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ok(parent.join(format!("{}-{}", short_hash(data_dir), since.as_millis())))
}

/// Creates a cluster as `<place>.new` and renames it, so that `place` is always complete.
async fn create_cluster(place: &Path, account: &Account, binaries: &Binaries) -> Result<(), ClusterError> {
    let unfinished = place.with_extension("new");
    let mut refusal = None;
    // `C.UTF-8` knows letters beyond ASCII and sorts by code point on every system; a system without it has `C`.
    for locale in ["C.UTF-8", "C"] {
        remove_if_there(&unfinished)?;
        DirBuilder::new().mode(0o700).create(&unfinished).map_err(at("create", &unfinished))?;
        account.take_over(&unfinished)?;
        match initdb(&unfinished, locale, account, binaries).await {
            Ok(()) => {
                fs::rename(&unfinished, place).map_err(at("put the new cluster in place as", place))?;
                info!(cluster = %place.display(), account = account.name(), "made a postgresql cluster");
                return place.parent().map_or(Ok(()), sync);
            }
            // The first refusal is the informative one.
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    remove_if_there(&unfinished)?;
    refusal.map_or(Ok(()), Err)
}

async fn initdb(
    place: &Path,
    locale: &str,
    account: &Account,
    binaries: &Binaries,
) -> Result<(), ClusterError> {
    let program = &binaries.initdb;
    let mut command = tokio::process::Command::from(account.command(program));
    command
        .arg("--pgdata")
        .arg(place)
        .arg(format!("--locale={locale}"))
        .arg(format!("--username={NAME}"))
        // Only the cluster's user can reach the socket, because its directory is closed to others.
        .args(["--auth=trust", "--encoding=UTF8", "--data-checksums"])
        .kill_on_drop(true);
    let output = tokio::time::timeout(MAKING_WITHIN, command.output())
        .await
        .map_err(|_| ClusterError::Late { program: program.clone(), within: MAKING_WITHIN })?
        .map_err(|source| ClusterError::NotRun { program: program.clone(), source })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(ClusterError::Failed { program: program.clone(), status: output.status, said })
}

fn remove_if_there(directory: &Path) -> Result<(), ClusterError> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(at("remove", directory)(error)),
        _ => Ok(()),
    }
}

/// Makes a new directory entry durable.
fn sync(directory: &Path) -> Result<(), ClusterError> {
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(at("sync", directory))
}

/// Twelve hexadecimal digits of the hash of a path.
fn short_hash(path: &Path) -> String {
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    hex::encode(&digest[..6])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_always_has_the_same_short_hash() {
        // The same as `printf %s /srv/shop/var | sha256sum | cut -c1-12`.
        assert_eq!(short_hash(Path::new("/srv/shop/var")), HASH);
    }

    const HASH: &str = "e80eef179385";
}
