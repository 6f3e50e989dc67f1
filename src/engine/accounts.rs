//! Accounts that are made at the shell, without a serving engine.

use super::backing::Backing;
use crate::actors::users::{
    CreateUser, Hasher, SigningKey, User, UsersStore, create_account, create_test_customers,
};
use crate::config::Config;
use crate::storage::migrations;

impl Backing {
    /// Customers for tests, signed in already: their access tokens.
    pub async fn create_customers(&self, config: &Config, count: u32) -> anyhow::Result<Vec<String>> {
        migrations::run(&self.database).await?;
        let key = SigningKey::load_or_create(&config.storage.data_dir)?;
        let store = UsersStore::new(self.database.clone());
        Ok(create_test_customers(&store, &key, &config.users, count).await?)
    }

    /// Makes an account with a role. Refuses with `EmailTaken`.
    pub async fn create_user(&self, config: &Config, wanted: CreateUser) -> anyhow::Result<User> {
        migrations::run(&self.database).await?;
        let store = UsersStore::new(self.database.clone());
        Ok(create_account(&store, &Hasher::new(&config.users)?, wanted).await?)
    }
}
