//! Hashing of passwords: slow by intent, so only a few at once, and on threads of the blocking pool.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use super::error::UsersError;
use super::model::Password;
use crate::config;

/// KiB of memory, passes, lanes: the first choice of the OWASP password storage cheat sheet for argon2id.
const COST: (u32, u32, u32) = (19_456, 2, 1);

/// Hashes and verifies with argon2id; cheap to clone, and all clones share the bounds.
#[derive(Clone)]
pub struct Hasher {
    argon2: Argon2<'static>,
    /// Hashes under way.
    at_once: Arc<Semaphore>,
    /// Hashes under way and waiting.
    admitted: Arc<Semaphore>,
    /// The hash of a random password, for accounts that do not exist.
    decoy: Arc<str>,
}

impl Hasher {
    /// Takes as long as one hash.
    pub fn new(config: &config::Users) -> Result<Self, UsersError> {
        let (memory, passes, lanes) = COST;
        let params = Params::new(memory, passes, lanes, None).map_err(broken)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let unknown: [u8; 32] = rand::random();
        let decoy = argon2.hash_password(&unknown).map_err(broken)?.to_string();
        Ok(Self {
            argon2,
            at_once: Arc::new(Semaphore::new(config.hashes_at_once)),
            admitted: Arc::new(Semaphore::new(config.hashes_at_once + config.hashes_waiting_max)),
            decoy: decoy.into(),
        })
    }

    /// The hash in PHC form. Refuses with `Busy` when too many wait already.
    pub async fn hash(&self, password: &Password) -> Result<String, UsersError> {
        let secret = password.secret().clone();
        self.work(move |argon2| {
            let hash = argon2.hash_password(secret.expose_secret().as_bytes()).map_err(broken)?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether the hash is that of the password; without a hash the answer is no, after the same time.
    ///
    /// Refuses with `Busy` when too many wait already.
    pub async fn verify(&self, password: SecretString, hash: Option<String>) -> Result<bool, UsersError> {
        let exists = hash.is_some();
        let hash: Arc<str> = hash.map_or_else(|| self.decoy.clone(), Arc::from);
        let matches = self
            .work(move |argon2| {
                let hash = PasswordHash::new(&hash).map_err(broken)?;
                match argon2.verify_password(password.expose_secret().as_bytes(), &hash) {
                    Ok(()) => Ok(true),
                    Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                    Err(error) => Err(broken(error)),
                }
            })
            .await?;
        Ok(exists && matches)
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Argon2<'static>) -> Result<T, UsersError> + Send + 'static,
    ) -> Result<T, UsersError> {
        let admitted = self.admitted.clone().try_acquire_owned().map_err(|_| UsersError::Busy)?;
        let permit = self.at_once.clone().acquire_owned().await.map_err(broken)?;
        let argon2 = self.argon2.clone();
        let worked = tokio::task::spawn_blocking(move || {
            let result = work(&argon2);
            // Released by the thread that used them, also when the asker has gone.
            drop((permit, admitted));
            result
        });
        worked.await.map_err(broken)?
    }
}

fn broken(error: impl std::fmt::Display) -> UsersError {
    UsersError::Broken(format!("a password could not be hashed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password() -> Password {
        Password::choose("plum rain in june".into(), &"hanako@example.jp".parse().unwrap()).unwrap()
    }

    #[actix::test]
    async fn a_hash_belongs_to_one_password() {
        let hasher = Hasher::new(&config::Users::default()).unwrap();

        let hash = hasher.hash(&password()).await.unwrap();

        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(hasher.verify("plum rain in june".into(), Some(hash.clone())).await.unwrap());
        assert!(!hasher.verify("plum rain in July".into(), Some(hash)).await.unwrap());
        assert!(!hasher.verify("plum rain in june".into(), None).await.unwrap());
    }

    #[actix::test]
    async fn more_hashes_than_may_wait_are_refused() {
        let config = config::Users { hashes_at_once: 1, hashes_waiting_max: 2, ..config::Users::default() };
        let hasher = Hasher::new(&config).unwrap();
        let password = password();

        let answers = futures_util::future::join_all((0..8).map(|_| hasher.hash(&password))).await;

        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 3);
        assert_eq!(answers.iter().filter(|answer| matches!(answer, Err(UsersError::Busy))).count(), 5);
        assert!(hasher.hash(&password).await.is_ok());
    }
}
