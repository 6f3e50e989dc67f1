//! What users can be asked, in the order of an account's life.

use actix::Message;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::ended_sessions::SessionEnded;
use super::error::UsersError;
use super::model::{Email, Password, PersonName, Renewed, Role, SignedIn, User, expose};
use crate::types::{CustomerId, SessionId};

/// Opens a customer's account and signs the customer in.
///
/// Answers with the user, an access token and a refresh token.
/// Refuses with `EmailTaken` when there is an account with this address.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<SignedIn, UsersError>")]
pub struct RegisterUser {
    pub email: Email,
    pub password: Password,
    pub name: PersonName,
}

/// Makes an account with a role, without a session.
///
/// Answers with the user. Refuses with `EmailTaken`.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<User, UsersError>")]
pub struct CreateUser {
    pub email: Email,
    pub password: Password,
    pub name: PersonName,
    pub role: Role,
}

/// Exchanges an email address and a password for a new session.
///
/// Answers with the user, an access token and a refresh token.
/// Refuses with `BadCredentials`, in the same words and after the same work, whether the address is unknown, has no
/// password, or has another one.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<SignedIn, UsersError>")]
pub struct SignIn {
    pub email: Email,
    /// As typed: what is too weak to be chosen today may have been chosen before.
    #[serde(serialize_with = "expose")]
    pub password: SecretString,
}

/// Exchanges a refresh token for the next one, and a new access token.
///
/// Answers as [`SignIn`] does. Refuses with `BadRefreshToken`.
/// A token works once: a second use, also one at the same time, ends the session and all its access tokens.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<SignedIn, UsersError>")]
pub struct RefreshSession {
    #[serde(serialize_with = "expose")]
    pub refresh_token: SecretString,
}

/// Gives a session that is used at the operators' page another access token; its refresh token stays as it is.
///
/// Answers with the token, for the role that its user has by now. Refuses with `SessionOver` once the session has ended
/// or has lasted `users.page_session_seconds`; no token of it works longer than that.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Renewed, UsersError>")]
pub struct RenewSession {
    pub session: SessionId,
}

/// Ends a session; its access tokens have stopped working when the answer comes.
///
/// Asking twice changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<(), UsersError>")]
pub struct SignOut {
    pub session: SessionId,
}

/// Sets another password for a user and ends all sessions of that user.
///
/// Answers with the user. Refuses with `UnknownEmail` when no user of this role has this address.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<User, UsersError>")]
pub struct ChangePassword {
    pub email: Email,
    pub role: Role,
    pub password: Password,
}

/// The sessions that ended so recently that an access token of theirs may be unexpired: the snapshot of a replica that
/// follows users (`ended_sessions.rs`).
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Vec<SessionEnded>, UsersError>")]
pub struct ListEndedSessions {}

/// One user. Refuses with `UnknownUser`.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<User, UsersError>")]
pub struct GetUser {
    pub id: CustomerId,
}
