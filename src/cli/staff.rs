//! `shobai staff create`: creates a staff account, such as the first one of a new shop or the second operator of its
//! sales.

use std::process::ExitCode;

use secrecy::ExposeSecret as _;

use super::CreateStaff;
use crate::actors::users::{CreateUser, Email, PersonName, Role, random_password};
use crate::config::Config;
use crate::engine::Backing;

pub(super) async fn create(config: &Config, wanted: CreateStaff) -> anyhow::Result<ExitCode> {
    let (email, name): (Email, PersonName) = (wanted.email.parse()?, wanted.name.parse()?);
    let role = if wanted.admin { Role::Admin } else { Role::Staff };
    let (text, password) = random_password(&email)?;
    let user = CreateUser { email: email.clone(), password, name, role };
    let backing = Backing::open(config).await?;
    let created = backing.create_user(config, user).await;
    backing.close().await?;
    created?;
    println!("{} signs in as {} with the password {}", role.as_str(), email.as_str(), text.expose_secret());
    Ok(ExitCode::SUCCESS)
}
