//! Files that only the engine's user may read: keys that are created once, and secrets that are replaced as a whole.
//!
//! A reader never sees half a file: the contents are written to a temporary file, synced and renamed. When several
//! engines start at once on one directory, one creates the file and the others read it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

const FOR_OWNER_ONLY: u32 = 0o600;
const DIRECTORY_FOR_OWNER_ONLY: u32 = 0o700;

/// A private file cannot be read, created or parsed.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    #[error("{path}: {error}", path = path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{path} is not what it should be: {problem}", path = path.display())]
    Malformed { path: PathBuf, problem: String },
}

impl PrivateFileError {
    pub fn malformed(path: &Path, problem: impl Into<String>) -> Self {
        Self::Malformed { path: path.to_owned(), problem: problem.into() }
    }

    fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |error| Self::Io { path: path.to_owned(), error }
    }
}

/// Reads the file, or creates it with the contents that `make` returns.
///
/// Creates the file's directory too; both are accessible to the owner only.
pub fn read_or_create(
    path: &Path,
    make: impl FnOnce() -> Result<SecretString, PrivateFileError>,
) -> Result<SecretString, PrivateFileError> {
    let directory = directory_of(path);
    make_private_directory(directory)?;
    let lock_path = directory.join(".lock");
    let lock = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .mode(FOR_OWNER_ONLY)
        .open(&lock_path)
        .map_err(PrivateFileError::io(&lock_path))?;
    // Held until `lock` is closed, including by a crash.
    lock.lock().map_err(PrivateFileError::io(&lock_path))?;
    match fs::read_to_string(path) {
        Ok(contents) => Ok(contents.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let contents = make()?;
            replace(path, &contents)?;
            Ok(contents)
        }
        Err(error) => Err(PrivateFileError::io(path)(error)),
    }
}

/// Replaces the file's contents atomically and durably.
pub fn replace(path: &Path, contents: &SecretString) -> Result<(), PrivateFileError> {
    let directory = directory_of(path);
    fs::create_dir_all(directory).map_err(PrivateFileError::io(directory))?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let write = || {
        let mut file =
            OpenOptions::new().create(true).write(true).truncate(true).mode(FOR_OWNER_ONLY).open(&beside)?;
        // A file that a crash left behind keeps its old mode.
        file.set_permissions(Permissions::from_mode(FOR_OWNER_ONLY))?;
        file.write_all(contents.expose_secret().as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(PrivateFileError::io(path))
}

/// Removes the file if it exists.
pub fn remove(path: &Path) -> Result<(), PrivateFileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(PrivateFileError::io(path)(error)),
        _ => Ok(()),
    }
}

fn make_private_directory(directory: &Path) -> Result<(), PrivateFileError> {
    let make = || {
        // Only the last directory is private: other users may need to pass through those above it.
        fs::create_dir_all(directory_of(directory))?;
        match DirBuilder::new().mode(DIRECTORY_FOR_OWNER_ONLY).create(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_FOR_OWNER_ONLY)),
        }
    };
    make().map_err(PrivateFileError::io(directory))
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_secret_is_created_once_and_only_its_owner_can_read_it() {
        let base = std::env::temp_dir().join(format!("shobai-{}", uuid::Uuid::now_v7()));
        let path = base.join("keys").join("secret");

        let first = read_or_create(&path, || Ok("first".into())).unwrap();
        let second = read_or_create(&path, || Ok("second".into())).unwrap();

        assert_eq!(first.expose_secret(), "first");
        assert_eq!(second.expose_secret(), "first");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&base.join("keys")), 0o700);

        replace(&path, &"third".into()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "third");
        assert_eq!(mode(&path), 0o600);
        remove(&path).unwrap();
        remove(&path).unwrap();
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn engines_that_start_together_agree_on_one_secret() {
        let base = std::env::temp_dir().join(format!("shobai-{}", uuid::Uuid::now_v7()));
        let path = base.join("keys").join("secret");

        let secrets: Vec<String> = std::thread::scope(|scope| {
            let engines: Vec<_> = (0..8)
                .map(|engine: u32| {
                    let path = &path;
                    scope.spawn(move || {
                        let secret = read_or_create(path, || Ok(engine.to_string().into())).unwrap();
                        secret.expose_secret().to_owned()
                    })
                })
                .collect();
            engines.into_iter().map(|engine| engine.join().unwrap()).collect()
        });

        assert!(secrets.iter().all(|secret| *secret == secrets[0]));
        fs::remove_dir_all(base).unwrap();
    }
}
