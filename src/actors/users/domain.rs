//! Users as the engine wires it: what it answers, and how it starts and drains.

use std::time::Duration;

use super::actor::UsersActor;
use super::error::UsersError;
use super::messages::*;
use super::passwords::Hasher;
use super::store::UsersStore;
use super::tokens::{RevokedSessions, SigningKey};
use crate::actors::runtime::{Domain, Handle, Host, contract};
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
        get_user: GetUser,
    }
}

pub struct UsersDomain {
    pub ports: UsersPorts,
    actor: Handle<UsersActor>,
}

impl UsersDomain {
    /// Loads the sessions that were ended before anything is answered.
    pub async fn start(
        host: &Host,
        key: SigningKey,
        revoked: RevokedSessions,
        config: &config::Users,
    ) -> anyhow::Result<Self> {
        let store = UsersStore::new(host.database());
        store.load_revoked_sessions(&revoked).await?;
        let (hasher, config) = (Hasher::new(config)?, config.clone());
        let actor = host.supervise("users", &host.coordinators(), move || {
            UsersActor::new(store.clone(), hasher.clone(), key.clone(), revoked.clone(), &config)
        });
        Ok(Self { ports: UsersPorts::of(&actor), actor })
    }
}

impl Domain for UsersDomain {
    async fn drain(&self, within: Duration) {
        self.actor.drain(within).await;
    }
}
