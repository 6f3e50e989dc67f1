//! Accounts, sessions and refresh tokens in PostgreSQL; every method is one statement, and so all or nothing.

use jiff::Timestamp;
use strum::IntoStaticStr;
use tokio_postgres::Row;
use uuid::Uuid;

use super::error::UsersError;
use super::model::{Email, PersonName, Role, User};
use crate::storage::{Database, StorageError};
use crate::types::{CustomerId, SessionId};

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../../sql/users/", $name, ".sql"))
    };
}

/// An account that does not exist yet.
pub(super) struct NewUser<'a> {
    pub(super) id: CustomerId,
    pub(super) email: &'a Email,
    pub(super) name: &'a PersonName,
    pub(super) role: Role,
    pub(super) password_hash: &'a str,
}

/// A session that does not exist yet, with its first refresh token; both last until the same time.
pub(super) struct NewSession {
    pub(super) id: SessionId,
    pub(super) refresh_token_hash: [u8; 32],
    pub(super) expires_at: Timestamp,
}

/// Why a session ends.
#[derive(Debug, Clone, Copy, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(super) enum EndReason {
    Logout,
    RefreshTokenReused,
    PasswordChanged,
}

impl EndReason {
    fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct UsersStore {
    database: Database,
}

impl UsersStore {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    pub(super) async fn insert_user(&self, user: &NewUser<'_>) -> Result<User, UsersError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("insert_user")).await.map_err(StorageError::from)?;
        let NewUser { id, email, name, role, password_hash } = user;
        let row = connection
            .query_one(
                &statement,
                &[&id.uuid(), &email.as_str(), &name.as_str(), &role.as_str(), password_hash],
            )
            .await
            .map_err(|error| taken_or_failed(error, email))?;
        Ok(user_from(&row)?)
    }

    pub(super) async fn insert_user_with_session(
        &self,
        user: &NewUser<'_>,
        session: &NewSession,
    ) -> Result<User, UsersError> {
        let connection = self.database.connection().await?;
        let statement =
            connection.prepare_cached(sql!("insert_user_with_session")).await.map_err(StorageError::from)?;
        let NewUser { id, email, name, role, password_hash } = user;
        let row = connection
            .query_one(
                &statement,
                &[
                    &id.uuid(),
                    &email.as_str(),
                    &name.as_str(),
                    &role.as_str(),
                    password_hash,
                    &session.id.uuid(),
                    &session.refresh_token_hash.as_slice(),
                    &session.expires_at,
                ],
            )
            .await
            .map_err(|error| taken_or_failed(error, email))?;
        Ok(user_from(&row)?)
    }

    /// Customers without passwords, each with a session.
    pub(super) async fn insert_test_customers(
        &self,
        customers: &[(User, SessionId)],
        name: &PersonName,
        expires_at: Timestamp,
    ) -> Result<(), StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("insert_test_customers")).await?;
        let ids: Vec<Uuid> = customers.iter().map(|(user, _)| user.id.uuid()).collect();
        let emails: Vec<&str> = customers.iter().map(|(user, _)| user.email.as_str()).collect();
        let sessions: Vec<Uuid> = customers.iter().map(|(_, session)| session.uuid()).collect();
        connection.execute(&statement, &[&ids, &emails, &name.as_str(), &sessions, &expires_at]).await?;
        Ok(())
    }

    pub(super) async fn find_user(&self, id: CustomerId) -> Result<Option<User>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("find_user")).await?;
        let row = connection.query_opt(&statement, &[&id.uuid()]).await?;
        row.as_ref().map(user_from).transpose()
    }

    /// The user with this address, and the hash of the password if there is one.
    pub(super) async fn find_user_by_email(
        &self,
        email: &Email,
    ) -> Result<Option<(User, Option<String>)>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("find_user_by_email")).await?;
        let row = connection.query_opt(&statement, &[&email.as_str()]).await?;
        row.map(|row| Ok((user_from(&row)?, row.get("password_hash")))).transpose()
    }

    pub(super) async fn insert_session(
        &self,
        user: CustomerId,
        session: &NewSession,
    ) -> Result<(), StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("insert_session")).await?;
        connection
            .execute(
                &statement,
                &[
                    &session.id.uuid(),
                    &user.uuid(),
                    &session.refresh_token_hash.as_slice(),
                    &session.expires_at,
                ],
            )
            .await?;
        Ok(())
    }

    /// Uses a refresh token up and stores the next one in its place; `None` when the token does not work.
    pub(super) async fn rotate_refresh_token(
        &self,
        used: [u8; 32],
        next: [u8; 32],
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Option<(User, SessionId)>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("rotate_refresh_token")).await?;
        let row = connection
            .query_opt(&statement, &[&used.as_slice(), &next.as_slice(), &now, &expires_at])
            .await?;
        row.map(|row| Ok((user_from(&row)?, SessionId::from_uuid(row.get("session_id"))))).transpose()
    }

    /// The user of a session that began after `not_before`, and when it began; `None` once it has ended.
    pub(super) async fn renew_session(
        &self,
        session: SessionId,
        not_before: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Option<(User, Timestamp)>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("renew_session")).await?;
        let row = connection.query_opt(&statement, &[&session.uuid(), &not_before, &expires_at]).await?;
        row.map(|row| Ok((user_from(&row)?, row.get("began_at")))).transpose()
    }

    /// Ends the session of a refresh token that was used before; `None` when it never was.
    pub(super) async fn end_session_of_used_token(
        &self,
        hash: [u8; 32],
        now: Timestamp,
    ) -> Result<Option<SessionId>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("end_session_of_used_token")).await?;
        let reason = EndReason::RefreshTokenReused.as_str();
        let row = connection.query_opt(&statement, &[&hash.as_slice(), &now, &reason]).await?;
        Ok(row.map(|row| SessionId::from_uuid(row.get("session_id"))))
    }

    pub(super) async fn end_session(&self, session: SessionId, now: Timestamp) -> Result<(), StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("end_session")).await?;
        connection.execute(&statement, &[&session.uuid(), &now, &EndReason::Logout.as_str()]).await?;
        Ok(())
    }

    /// Sets the hash and ends the user's sessions; the user and the sessions, or `None` when there is no such user.
    pub(super) async fn change_password(
        &self,
        email: &Email,
        role: Role,
        password_hash: &str,
        now: Timestamp,
    ) -> Result<Option<(User, Vec<SessionId>)>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("change_password")).await?;
        let reason = EndReason::PasswordChanged.as_str();
        let row = connection
            .query_opt(&statement, &[&email.as_str(), &password_hash, &now, &reason, &role.as_str()])
            .await?;
        row.map(|row| {
            let ended: Vec<Uuid> = row.get("ended");
            Ok((user_from(&row)?, ended.into_iter().map(SessionId::from_uuid).collect()))
        })
        .transpose()
    }

    pub(super) async fn list_ended_sessions(&self, since: Timestamp) -> Result<Vec<SessionId>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("list_ended_sessions")).await?;
        let rows = connection.query(&statement, &[&since]).await?;
        Ok(rows.iter().map(|row| SessionId::from_uuid(row.get("id"))).collect())
    }
}

fn taken_or_failed(error: tokio_postgres::Error, email: &Email) -> UsersError {
    match StorageError::from(error) {
        StorageError::Refused { constraint } if constraint == "users_email_unique" => {
            UsersError::EmailTaken(email.clone())
        }
        failure => failure.into(),
    }
}

fn user_from(row: &Row) -> Result<User, StorageError> {
    let role: &str = row.get("role");
    Ok(User {
        id: CustomerId::from_uuid(row.get("id")),
        email: row.get::<_, &str>("email").parse().map_err(defective)?,
        name: row.get::<_, &str>("name").parse().map_err(defective)?,
        role: role.parse().map_err(|_| defective(role))?,
        created_at: row.get("created_at"),
    })
}

/// A row that the model does not understand.
fn defective(what: impl std::fmt::Display) -> StorageError {
    StorageError::Broken(format!("a row of users is defective: {what}"))
}
