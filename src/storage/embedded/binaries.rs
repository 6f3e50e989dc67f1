//! Finds the PostgreSQL programs that suit a cluster.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::ClusterError;

/// The oldest major version whose features the engine's SQL and settings rely on.
const OLDEST: u32 = 15;

/// Where Debian keeps one directory per major version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// The programs of one PostgreSQL installation.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    pub(super) initdb: PathBuf,
    pub(super) postgres: PathBuf,
}

impl Binaries {
    /// Takes `bin_dir` when it is given, else the newest installed version, else the directory that `pg_config` names.
    ///
    /// A cluster is bound to the major version that created it, so an existing one determines `major`: a newer version
    /// that a system upgrade adds must not lock the shop out of its data.
    pub(super) fn find(bin_dir: Option<&Path>, major: Option<u32>) -> Result<Binaries, ClusterError> {
        let places = match bin_dir {
            Some(bin_dir) => vec![bin_dir.to_owned()],
            None => installed().into_iter().chain(configured()).collect(),
        };
        let suits = |found: u32| major.map_or(found >= OLDEST, |major| found == major);
        let suitable = places.iter().find(|place| version(&place.join("postgres")).is_some_and(suits));
        match suitable {
            Some(place) => Ok(Binaries { initdb: place.join("initdb"), postgres: place.join("postgres") }),
            None => Err(ClusterError::NoBinaries {
                wanted: major.map_or(format!("{OLDEST} or newer"), |major| major.to_string()),
                looked_in: match places.is_empty() {
                    true => format!("{VERSIONS} and pg_config"),
                    false => {
                        places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ")
                    }
                },
            }),
        }
    }
}

/// Debian's installed versions, newest first.
fn installed() -> Vec<PathBuf> {
    let entries = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_by(|(left, _), (right, _)| right.cmp(left));
    versions.into_iter().map(|(_, place)| place).collect()
}

/// The directory that `pg_config` names. It also comes with the client library alone, so the programs may be missing.
fn configured() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let place = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(place.trim()))
}

/// The major version that a `postgres` program reports; `None` when it is not there or cannot run.
fn version(postgres: &Path) -> Option<u32> {
    let output = Command::new(postgres).arg("--version").output().ok()?;
    major_in(&String::from_utf8(output.stdout).ok()?)
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, `… 18beta1`.
fn major_in(line: &str) -> Option<u32> {
    let version = line.split_whitespace().nth(2)?;
    let digits = version.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_the_version_of_postgres() {
        for (line, major) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", Some(15)),
            ("postgres (PostgreSQL) 18beta1\n", Some(18)),
            ("postgres (PostgreSQL) 17", Some(17)),
            ("postgres", None),
            ("", None),
        ] {
            assert_eq!(major_in(line), major, "{line:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_directory_without_postgresql() {
        let refusal = Binaries::find(Some(Path::new("/nonexistent/bin")), None).unwrap_err();
        assert!(refusal.to_string().contains("/nonexistent/bin"), "{refusal}");
    }

    #[test]
    fn a_cluster_gets_its_own_major_version_or_a_refusal() {
        let refusal = Binaries::find(None, Some(9)).unwrap_err();
        assert!(refusal.to_string().contains("version 9 "), "{refusal}");
    }
}
