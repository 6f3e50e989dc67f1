//! Answers the messages of users: hashes, stores, signs.

use std::time::Duration;

use actix::{Actor, Context, Handler, ResponseFuture};
use jiff::Timestamp;
use secrecy::SecretString;

use super::accounts::create_account;
use super::ended_sessions::{SessionEnded, earliest_end};
use super::error::UsersError;
use super::messages::*;
use super::model::{Renewed, Role, SignedIn, User};
use super::passwords::Hasher;
use super::store::{NewSession, NewUser, UsersStore};
use super::tokens::{RefreshToken, SigningKey};
use crate::actors::runtime::Feed;
use crate::config;
use crate::types::{CustomerId, SessionId};

/// Has no state of its own: what it is built with is all that it keeps.
#[derive(Clone)]
pub struct UsersActor {
    store: UsersStore,
    hasher: Hasher,
    key: SigningKey,
    ended: Feed<SessionEnded>,
    access_lifetime: Duration,
    refresh_lifetime: Duration,
    page_session: Duration,
}

impl UsersActor {
    pub fn new(
        store: UsersStore,
        hasher: Hasher,
        key: SigningKey,
        ended: Feed<SessionEnded>,
        config: &config::Users,
    ) -> Self {
        Self {
            store,
            hasher,
            key,
            ended,
            access_lifetime: Duration::from_secs(config.access_token_seconds),
            refresh_lifetime: Duration::from_secs(config.refresh_token_seconds),
            page_session: Duration::from_secs(config.page_session_seconds),
        }
    }

    async fn register(&self, wanted: RegisterUser) -> Result<SignedIn, UsersError> {
        let password_hash = self.hasher.hash(&wanted.password).await?;
        let now = Timestamp::now();
        let (session, refresh_token) = self.new_session(now);
        let user = NewUser {
            id: CustomerId::generate(),
            email: &wanted.email,
            name: &wanted.name,
            role: Role::Customer,
            password_hash: &password_hash,
        };
        let user = self.store.insert_user_with_session(&user, &session).await?;
        self.signed_in(user, session.id, refresh_token, now)
    }

    async fn create(&self, wanted: CreateUser) -> Result<User, UsersError> {
        create_account(&self.store, &self.hasher, wanted).await
    }

    async fn sign_in(&self, wanted: SignIn) -> Result<SignedIn, UsersError> {
        let found = self.store.find_user_by_email(&wanted.email).await?;
        let (user, password_hash) = found.map_or((None, None), |(user, hash)| (Some(user), hash));
        // Takes as long without an account, so that the time does not tell which addresses have one.
        let matches = self.hasher.verify(wanted.password, password_hash).await?;
        let user = user.filter(|_| matches).ok_or(UsersError::BadCredentials)?;
        let now = Timestamp::now();
        let (session, refresh_token) = self.new_session(now);
        self.store.insert_session(user.id, &session).await?;
        self.signed_in(user, session.id, refresh_token, now)
    }

    async fn refresh(&self, used: SecretString) -> Result<SignedIn, UsersError> {
        let used = RefreshToken::hash_of(&used);
        let next = RefreshToken::generate();
        let now = Timestamp::now();
        let rotated =
            self.store.rotate_refresh_token(used, next.hash, now, now + self.refresh_lifetime).await?;
        if let Some((user, session)) = rotated {
            return self.signed_in(user, session, next.token, now);
        }
        // Two clients have the same token, and either may be a thief: the session ends for both.
        if let Some(session) = self.store.end_session_of_used_token(used, now).await? {
            self.ended.publish(&SessionEnded { session });
            tracing::warn!(%session, "a refresh token was used twice; its session is ended");
        }
        Err(UsersError::BadRefreshToken)
    }

    async fn renew(&self, session: SessionId) -> Result<Renewed, UsersError> {
        let now = Timestamp::now();
        let renewed =
            self.store.renew_session(session, now - self.page_session, now + self.access_lifetime).await?;
        let (user, began_at) = renewed.ok_or(UsersError::SessionOver)?;
        let rest = Duration::try_from((began_at + self.page_session).duration_since(now)).unwrap_or_default();
        let lifetime = self.access_lifetime.min(rest);
        let access_token = self.key.issue(&user, session, now, lifetime)?;
        Ok(Renewed { access_token, expires_in: lifetime.as_secs() })
    }

    async fn sign_out(&self, session: SessionId) -> Result<(), UsersError> {
        self.store.end_session(session, Timestamp::now()).await?;
        self.ended.publish(&SessionEnded { session });
        Ok(())
    }

    async fn change_password(&self, wanted: ChangePassword) -> Result<User, UsersError> {
        let password_hash = self.hasher.hash(&wanted.password).await?;
        let changed =
            self.store.change_password(&wanted.email, wanted.role, &password_hash, Timestamp::now()).await?;
        let (user, ended) = changed.ok_or(UsersError::UnknownEmail(wanted.email))?;
        for session in ended {
            self.ended.publish(&SessionEnded { session });
        }
        Ok(user)
    }

    async fn list_ended_sessions(&self) -> Result<Vec<SessionEnded>, UsersError> {
        let since = earliest_end(Timestamp::now(), self.access_lifetime);
        let ended = self.store.list_ended_sessions(since).await?;
        Ok(ended.into_iter().map(|session| SessionEnded { session }).collect())
    }

    fn new_session(&self, now: Timestamp) -> (NewSession, SecretString) {
        let RefreshToken { token, hash } = RefreshToken::generate();
        let expires_at = now + self.refresh_lifetime;
        (NewSession { id: SessionId::generate(), refresh_token_hash: hash, expires_at }, token)
    }

    fn signed_in(
        &self,
        user: User,
        session: SessionId,
        refresh_token: SecretString,
        now: Timestamp,
    ) -> Result<SignedIn, UsersError> {
        let access_token = self.key.issue(&user, session, now, self.access_lifetime)?;
        Ok(SignedIn { user, access_token, refresh_token, expires_in: self.access_lifetime.as_secs() })
    }
}

impl Actor for UsersActor {
    type Context = Context<Self>;
}

impl Handler<RegisterUser> for UsersActor {
    type Result = ResponseFuture<Result<SignedIn, UsersError>>;

    fn handle(&mut self, message: RegisterUser, _: &mut Context<Self>) -> Self::Result {
        let actor = self.clone();
        Box::pin(async move { actor.register(message).await })
    }
}

impl Handler<CreateUser> for UsersActor {
    type Result = ResponseFuture<Result<User, UsersError>>;

    fn handle(&mut self, message: CreateUser, _: &mut Context<Self>) -> Self::Result {
        let actor = self.clone();
        Box::pin(async move { actor.create(message).await })
    }
}

impl Handler<SignIn> for UsersActor {
    type Result = ResponseFuture<Result<SignedIn, UsersError>>;

    fn handle(&mut self, message: SignIn, _: &mut Context<Self>) -> Self::Result {
        let actor = self.clone();
        Box::pin(async move { actor.sign_in(message).await })
    }
}

impl Handler<RefreshSession> for UsersActor {
    type Result = ResponseFuture<Result<SignedIn, UsersError>>;

    fn handle(&mut self, message: RefreshSession, _: &mut Context<Self>) -> Self::Result {
        let actor = self.clone();
        Box::pin(async move { actor.refresh(message.refresh_token).await })
    }
}

impl Handler<RenewSession> for UsersActor {
    type Result = ResponseFuture<Result<Renewed, UsersError>>;

    fn handle(&mut self, message: RenewSession, _: &mut Context<Self>) -> Self::Result {
        let actor = self.clone();
        Box::pin(async move { actor.renew(message.session).await })
    }
}

impl Handler<SignOut> for UsersActor {
    type Result = ResponseFuture<Result<(), UsersError>>;

    fn handle(&mut self, message: SignOut, _: &mut Context<Self>) -> Self::Result {
        let actor = self.clone();
        Box::pin(async move { actor.sign_out(message.session).await })
    }
}

impl Handler<ChangePassword> for UsersActor {
    type Result = ResponseFuture<Result<User, UsersError>>;

    fn handle(&mut self, message: ChangePassword, _: &mut Context<Self>) -> Self::Result {
        let actor = self.clone();
        Box::pin(async move { actor.change_password(message).await })
    }
}

impl Handler<ListEndedSessions> for UsersActor {
    type Result = ResponseFuture<Result<Vec<SessionEnded>, UsersError>>;

    fn handle(&mut self, _: ListEndedSessions, _: &mut Context<Self>) -> Self::Result {
        let actor = self.clone();
        Box::pin(async move { actor.list_ended_sessions().await })
    }
}

impl Handler<GetUser> for UsersActor {
    type Result = ResponseFuture<Result<User, UsersError>>;

    fn handle(&mut self, message: GetUser, _: &mut Context<Self>) -> Self::Result {
        let store = self.store.clone();
        Box::pin(async move { store.find_user(message.id).await?.ok_or(UsersError::UnknownUser(message.id)) })
    }
}
