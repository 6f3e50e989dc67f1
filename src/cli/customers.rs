//! `shobai customers create`: customers that are signed in already, so that load tools need no sign-in of their own.

use std::process::ExitCode;

use super::CreateCustomers;
use crate::config::Config;
use crate::engine::Backing;
use crate::storage::private_file;

pub(super) async fn create(config: &Config, wanted: CreateCustomers) -> anyhow::Result<ExitCode> {
    let backing = Backing::open(config).await?;
    let created = backing.create_customers(config, wanted.count).await;
    backing.close().await?;
    let tokens = created?;

    private_file::replace(&wanted.tokens, &(tokens.join("\n") + "\n").into())?;
    println!("created {} customers; their access tokens are in {}", tokens.len(), wanted.tokens.display());
    Ok(ExitCode::SUCCESS)
}
