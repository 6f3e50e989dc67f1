//! Ensures that one engine uses a data directory.
//!
//! The locks are the kernel's (`flock`): they end with the process that holds them, however it ends, so none is ever
//! stale.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use super::ClusterError;
use super::error::at;

/// Held until dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    names_its_holder: bool,
}

impl Lock {
    /// Takes `<data_dir>/engine.lock` and writes this process's id into it, for people and for `dev/stop`.
    pub(super) fn of_engine(data_dir: &Path) -> Result<Lock, ClusterError> {
        let path = data_dir.join("engine.lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(at("open", &path))?;
        if let Err(refusal) = file.try_lock() {
            let mut holder = String::new();
            // The holder's id is informative only; the refusal stands without it.
            let _ = file.read_to_string(&mut holder);
            return Err(refused(refusal, &path, data_dir, holder.trim().parse().ok()));
        }
        let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| {
            writeln!(file, "{}", std::process::id())?;
            file.flush()
        });
        written.map_err(at("write", &path))?;
        Ok(Lock { file, names_its_holder: true })
    }

    /// Locks a directory itself.
    pub(super) fn of_directory(path: &Path) -> Result<Lock, ClusterError> {
        let file = File::open(path).map_err(at("open", path))?;
        file.try_lock().map_err(|refusal| refused(refusal, path, path, None))?;
        Ok(Lock { file, names_its_holder: false })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.names_its_holder {
            // A stale id is harmless: readers check the lock first.
            let _ = self.file.set_len(0);
        }
    }
}

fn refused(refusal: TryLockError, path: &Path, held: &Path, pid: Option<u32>) -> ClusterError {
    match refusal {
        TryLockError::WouldBlock => ClusterError::InUse { data_dir: held.to_owned(), pid },
        TryLockError::Error(source) => at("lock", path)(source),
    }
}
