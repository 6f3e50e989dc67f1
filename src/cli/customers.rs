//! `shobai customers create`: customers that are signed in already, so that load tools need no sign-in of their own.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::ExitCode;

use anyhow::Context as _;

use super::CreateCustomers;
use crate::config::Config;
use crate::engine::Backing;

pub(super) async fn create(config: &Config, wanted: CreateCustomers) -> anyhow::Result<ExitCode> {
    let backing = Backing::open(config).await?;
    let created = backing.create_customers(config, wanted.count).await;
    backing.close().await?;
    let tokens = created?;

    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&wanted.tokens)
        .with_context(|| format!("the tokens could not be written to {}", wanted.tokens.display()))?;
    for token in &tokens {
        writeln!(file, "{token}")?;
    }
    println!("{} customers; their access tokens are in {}", tokens.len(), wanted.tokens.display());
    Ok(ExitCode::SUCCESS)
}
