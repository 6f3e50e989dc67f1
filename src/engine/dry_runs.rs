//! The shop of its own that a dry run is played in: as this one, but for its database, its keys and its figures.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::domains::Domains;
use crate::actors::runtime::Figures;
use crate::config::Config;
use crate::dry_run::{DryRunDomain, DryRunNeeds, OpenShop, ShadowNeeds, ShadowShop};
use crate::storage::migrations;

/// Starts the domain of dry runs beside the shop that it plays for.
pub(super) fn start(config: &Config, domains: &Domains) -> DryRunDomain {
    let needs = DryRunNeeds::from(&domains.catalog.ports, &domains.sales.ports);
    DryRunDomain::start(&domains.host, needs, shadow_shops(config), shadow_data_dir(config), config)
}

fn shadow_data_dir(config: &Config) -> PathBuf {
    config.storage.data_dir.join("dry-run")
}

/// Opens shops as this one, but for their database, their keys and their figures, which are dropped.
fn shadow_shops(config: &Config) -> OpenShop {
    let mut config = config.clone();
    config.storage.data_dir = shadow_data_dir(&config);
    Arc::new(move |database| {
        let config = config.clone();
        Box::pin(async move {
            std::fs::create_dir_all(&config.storage.data_dir)?;
            migrations::run(&database).await?;
            let domains = Domains::start(&config, &database, Figures::Dropped).await?;
            Ok(ShadowShop {
                ports: ShadowNeeds::from(
                    &domains.catalog.ports,
                    &domains.inventory.ports,
                    &domains.sales.ports,
                    &domains.waiting_room.ports,
                    &domains.orders.ports,
                ),
                passes: domains.keys.passes.clone(),
                close: Box::new(move || {
                    Box::pin(async move {
                        domains.stop(Duration::from_secs(config.http.shutdown_within_seconds)).await;
                        let _ = std::fs::remove_dir_all(&config.storage.data_dir);
                    })
                }),
            })
        })
    })
}
