//! Users owns who may sign in: accounts, passwords, sessions and the tokens that stand for them (schema `users`).
//!
//! It promises that a password is only ever kept as an argon2id hash, that a refresh token works once, that a second
//! use of one ends its session, and that the access tokens of an ended session have stopped working, in this process, when
//! its end is answered. It asks no other domain.
//!
//! The gateway checks access tokens by itself, with a [`TokenVerifier`]: no message is sent for a request.
//!
//! ```text
//! UsersActor   ├ Hasher           argon2id, a few at once, on threads of its own
//!              ├ SigningKey       issues access tokens (EdDSA)
//!              ├ Feed             publishes the sessions that end ──► EndedSessions, the replica of a TokenVerifier
//!              └ UsersStore     → PostgreSQL
//! ```

mod accounts;
mod actor;
mod domain;
mod ended_sessions;
mod error;
mod messages;
mod model;
mod passwords;
mod permissions;
mod store;
mod test_customers;
mod tokens;

pub use accounts::{create_account, random_password};
pub use domain::{UsersDomain, UsersPorts};
pub use ended_sessions::{EndedSessions, SessionEnded};
pub use error::UsersError;
pub use messages::*;
pub use model::{Email, Password, PersonName, Renewed, Role, SignedIn, User, WeakPassword};
pub use passwords::Hasher;
pub use permissions::Permission;
pub use store::UsersStore;
pub use test_customers::create_test_customers;
pub use tokens::{Identity, SigningKey, TokenError, TokenVerifier};
