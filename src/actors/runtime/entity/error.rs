//! Why a command was not carried out, with what a domain needs for an error of its own.

use std::fmt;

use crate::actors::runtime::{AskError, CommitError};
use crate::storage::StorageError;

/// A domain turns this into its own error with `From`.
#[derive(Debug)]
pub enum EntityError<Key, Refusal> {
    /// The rules refuse.
    Refused(Refusal),
    /// The key has no row.
    Absent(Key),
    /// The actor's state was older than the row. No change was made; the next actor loads the row.
    Stale(Key),
    /// The actor ended before it could answer.
    Reloading(Key),
    /// Too many entities are active, or too many decisions wait for their commit.
    Busy,
    Asking(AskError),
    Storage(StorageError),
}

impl<Key, Refusal> EntityError<Key, Refusal> {
    /// Whether the next actor of the key may answer; asking again is known to be harmless.
    pub fn is_for_successor(&self) -> bool {
        matches!(self, Self::Stale(_) | Self::Reloading(_))
    }

    pub(super) fn from_commit<R: fmt::Debug>(
        key: Key,
        error: CommitError<R>,
        is_stale: impl FnOnce(&R) -> bool,
    ) -> Self {
        let storage = match error {
            CommitError::Refused(refusal) if is_stale(&refusal) => return Self::Stale(key),
            CommitError::Refused(_) => return Self::Reloading(key),
            CommitError::Unreachable => StorageError::Unreachable("the journal has no connection".to_owned()),
            CommitError::Late => {
                StorageError::Unreachable("the journal did not get to it in time".to_owned())
            }
            CommitError::Unknown => {
                StorageError::Unknown("the connection was lost around a commit".to_owned())
            }
            CommitError::Broken(problem) => StorageError::Broken(problem),
        };
        Self::Storage(storage)
    }
}

impl<Key, Refusal> From<AskError> for EntityError<Key, Refusal> {
    fn from(error: AskError) -> Self {
        Self::Asking(error)
    }
}

impl<Key, Refusal> From<StorageError> for EntityError<Key, Refusal> {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}
