//! Errors between the engine and PostgreSQL, distinguished by what an actor must do next.

use deadpool_postgres::PoolError;
use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;

use crate::error::{Fault, Kind};

#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
pub enum StorageError {
    /// Rolled back, because a constraint refused it.
    #[error("the database refused it by {constraint}")]
    Refused { constraint: String },
    /// Not executed: there was no connection to send it on.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// The connection broke or the deadline passed while the statement was under way.
    #[error("the outcome in the database is not known: {0}")]
    Unknown(String),
    /// Rolled back, because the statement, the schema or the database is defective.
    #[error("the database failed: {0}")]
    Broken(String),
}

impl From<tokio_postgres::Error> for StorageError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(answer) = error.as_db_error() else {
            return if error.is_closed()
                || std::error::Error::source(&error).is_some_and(|source| source.is::<std::io::Error>())
            {
                StorageError::Unknown(error.to_string())
            } else {
                StorageError::Broken(describe(&error))
            };
        };
        let state = answer.code();
        match state.code().get(..2) {
            Some("23") => {
                StorageError::Refused { constraint: answer.constraint().unwrap_or(state.code()).to_owned() }
            }
            // The server is starting or has no free connection: it did not execute the statement.
            _ if *state == SqlState::CANNOT_CONNECT_NOW || *state == SqlState::TOO_MANY_CONNECTIONS => {
                StorageError::Unreachable(answer.message().to_owned())
            }
            // Rolled back for a reason outside the statement (a deadlock, a read-only server, no memory or locks left):
            // a later attempt may succeed.
            Some("25" | "40" | "53" | "55") => StorageError::Unreachable(describe(&error)),
            // A shutdown or crash may fall between the commit and its answer.
            Some("57" | "08") => StorageError::Unknown(answer.message().to_owned()),
            _ => StorageError::Broken(describe(&error)),
        }
    }
}

fn describe(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(answer), _) => format!("{} ({})", answer.message(), answer.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

impl From<PoolError> for StorageError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => StorageError::Unreachable(describe(&error)),
            other => StorageError::Unreachable(other.to_string()),
        }
    }
}

impl Fault for StorageError {
    fn kind(&self) -> Kind {
        match self {
            StorageError::Unreachable(_) | StorageError::Unknown(_) => Kind::Unavailable,
            StorageError::Refused { .. } | StorageError::Broken(_) => Kind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self.kind() {
            Kind::Unavailable => "unavailable",
            _ => "internal",
        }
    }
}
