//! Accounts that are made for their users: those of staff, and of the demo.

use rand::TryRng;
use rand::rngs::SysRng;
use secrecy::SecretString;

use super::error::UsersError;
use super::messages::CreateUser;
use super::model::{Email, Password, User};
use super::passwords::Hasher;
use super::store::{NewUser, UsersStore};
use crate::types::CustomerId;

/// Makes an account with a role. Refuses with `EmailTaken`.
pub async fn create_account(
    store: &UsersStore,
    hasher: &Hasher,
    wanted: CreateUser,
) -> Result<User, UsersError> {
    let password_hash = hasher.hash(&wanted.password).await?;
    let user = NewUser {
        id: CustomerId::generate(),
        email: &wanted.email,
        name: &wanted.name,
        role: wanted.role,
        password_hash: &password_hash,
    };
    store.insert_user(&user).await
}

/// A random password, to be shown once.
pub fn random_password(email: &Email) -> Result<(SecretString, Password), UsersError> {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    loop {
        let mut bytes = [0; 18];
        SysRng.try_fill_bytes(&mut bytes).map_err(|error| UsersError::Broken(error.to_string()))?;
        let text = SecretString::from(URL_SAFE_NO_PAD.encode(bytes));
        // By chance it may contain the name in the address.
        if let Ok(password) = Password::choose(text.clone(), email) {
            return Ok((text, password));
        }
    }
}
