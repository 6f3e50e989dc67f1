//! Why users refuses, and what can fail in it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::model::{Email, WeakPassword};
use crate::actors::runtime::AskError;
use crate::error::{Fault, Kind};
use crate::storage::StorageError;
use crate::types::{CustomerId, InvalidValue};

#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
pub enum UsersError {
    #[error("email {0} is taken")]
    EmailTaken(Email),
    #[error(transparent)]
    WeakPassword(#[from] WeakPassword),
    /// One text for every reason, so that the answer does not tell which addresses have an account.
    #[error("email or password is wrong")]
    BadCredentials,
    /// One text for every reason: unknown, used before, too old, or of a session that ended.
    #[error("the refresh token does not work, sign in again")]
    BadRefreshToken,
    #[error("the session is over, sign in again")]
    SessionOver,
    #[error("there is no user {0}")]
    UnknownUser(CustomerId),
    #[error("there is no user with email {0}")]
    UnknownEmail(Email),
    #[error(transparent)]
    Invalid(#[from] InvalidValue),
    #[error("too many passwords are waiting to be checked")]
    Busy,
    /// A password could not be hashed, or a token could not be signed.
    #[error("users failed: {0}")]
    Broken(String),
    #[error(transparent)]
    Asking(#[from] AskError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Fault for UsersError {
    fn kind(&self) -> Kind {
        match self {
            UsersError::EmailTaken(_) => Kind::Conflict,
            UsersError::WeakPassword(error) => error.kind(),
            UsersError::BadCredentials | UsersError::BadRefreshToken | UsersError::SessionOver => {
                Kind::Unauthenticated
            }
            UsersError::UnknownUser(_) | UsersError::UnknownEmail(_) => Kind::NotFound,
            UsersError::Invalid(error) => error.kind(),
            UsersError::Busy => Kind::Busy,
            UsersError::Broken(_) => Kind::Internal,
            UsersError::Asking(error) => error.kind(),
            UsersError::Storage(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            UsersError::EmailTaken(_) => "email-taken",
            UsersError::WeakPassword(error) => error.code(),
            UsersError::BadCredentials => "bad-credentials",
            UsersError::BadRefreshToken => "bad-refresh-token",
            UsersError::SessionOver => "session-over",
            UsersError::UnknownUser(_) | UsersError::UnknownEmail(_) => "unknown-user",
            UsersError::Invalid(error) => error.code(),
            UsersError::Busy => "busy",
            UsersError::Broken(_) => "internal",
            UsersError::Asking(error) => error.code(),
            UsersError::Storage(error) => error.code(),
        }
    }

    fn details(&self) -> Map<String, Value> {
        match self {
            UsersError::WeakPassword(error) => error.details(),
            _ => Map::new(),
        }
    }
}
