//! Users as the engine wires it: what it answers, and how it starts and drains.

use std::time::Duration;

use super::actor::UsersActor;
use super::ended_sessions::SessionEnded;
use super::error::UsersError;
use super::messages::*;
use super::passwords::Hasher;
use super::store::UsersStore;
use super::tokens::SigningKey;
use crate::actors::runtime::{Domain, Feed, Handle, Host, contract};
use crate::config;

contract! {
    /// What users answers.
    pub struct UsersPorts of UsersActor, UsersError {
        register_user: RegisterUser,
        create_user: CreateUser,
        sign_in: SignIn,
        refresh_session: RefreshSession,
        renew_session: RenewSession,
        sign_out: SignOut,
        change_password: ChangePassword,
        list_ended_sessions: ListEndedSessions,
        get_user: GetUser,
    }
}

pub struct UsersDomain {
    pub ports: UsersPorts,
    /// Every session that ends, before its end is answered.
    pub ended_sessions: Feed<SessionEnded>,
    actor: Handle<UsersActor>,
}

impl UsersDomain {
    pub fn start(host: &Host, key: SigningKey, config: &config::Users) -> anyhow::Result<Self> {
        let store = UsersStore::new(host.database());
        let (hasher, config) = (Hasher::new(config)?, config.clone());
        let ended_sessions = Feed::default();
        let ended = ended_sessions.clone();
        let actor = host.supervise("users", &host.coordinators(), move || {
            UsersActor::new(store.clone(), hasher.clone(), key.clone(), ended.clone(), &config)
        });
        Ok(Self { ports: UsersPorts::of(&actor), ended_sessions, actor })
    }
}

impl Domain for UsersDomain {
    async fn drain(&self, within: Duration) {
        self.actor.drain(within).await;
    }
}
