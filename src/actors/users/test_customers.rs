//! Customers for load tools, made many at a time and signed in already.

use std::time::Duration;

use jiff::Timestamp;

use super::error::UsersError;
use super::model::{Email, PersonName, Role, User};
use super::store::UsersStore;
use super::tokens::SigningKey;
use crate::config;
use crate::types::{CustomerId, InvalidValue, SessionId};

const COUNT_MAX: u32 = 100_000;
const PER_STATEMENT: usize = 5_000;
const NAME: &str = "Test Customer";

/// Makes customers, each with a session and none with a password, and answers with an access token for each.
///
/// Only the command line calls this: no message leads to it, so no client of a shop can. Refuses with `Invalid`
/// unless 1 to 100,000 are wanted. Customers that were made before a failure stay, but their tokens are lost.
pub async fn create_test_customers(
    store: &UsersStore,
    key: &SigningKey,
    config: &config::Users,
    count: u32,
) -> Result<Vec<String>, UsersError> {
    if !(1..=COUNT_MAX).contains(&count) {
        return Err(InvalidValue::new("count", format!("{count} is not between 1 and {COUNT_MAX}")).into());
    }
    let access_lifetime = Duration::from_secs(config.access_token_seconds);
    let refresh_lifetime = Duration::from_secs(config.refresh_token_seconds);
    let now = Timestamp::now();
    let name: PersonName = NAME.parse()?;
    let customers = (0..count)
        .map(|_| {
            let id = CustomerId::generate();
            let email: Email = format!("{}@customers.invalid", id.uuid().simple()).parse()?;
            let user = User { id, email, name: name.clone(), role: Role::Customer, created_at: now };
            Ok((user, SessionId::generate()))
        })
        .collect::<Result<Vec<(User, SessionId)>, InvalidValue>>()?;
    for chunk in customers.chunks(PER_STATEMENT) {
        store.insert_test_customers(chunk, &name, now + refresh_lifetime).await?;
    }
    // Signed at the end, so that all tokens expire at the same time, however long it took to insert the customers.
    let now = Timestamp::now();
    customers.iter().map(|(user, session)| key.issue(user, *session, now, access_lifetime)).collect()
}
