//! `shobai migrate`: the migrations alone, for deployments that run them before the engine.

use std::process::ExitCode;

use crate::config::Config;
use crate::engine::Backing;
use crate::storage::migrations;

pub(super) async fn migrate(config: &Config) -> anyhow::Result<ExitCode> {
    let backing = Backing::open(config).await?;
    let applied = migrations::run(&backing.database).await;
    backing.close().await?;
    println!("{} migrations applied", applied?);
    Ok(ExitCode::SUCCESS)
}
