//! The only place that builds anything: opens the storage, starts the domains, connects them, and stops it all in order.
//!
//! `domains.rs` is the wiring: who asks whom. `backing.rs` opens the database, `dry_runs.rs` the shop of a dry run.

mod accounts;
mod backing;
mod domains;
mod dry_runs;
mod metrics;
mod readiness;
mod server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::task::JoinHandle;

use crate::actors::runtime::{Domain as _, Figures};
use crate::actors::waiting_room::Challenge;
use crate::config::Config;
use crate::dry_run::DryRunDomain;
use crate::http;
use crate::rlimit;
use crate::seed::seed_demo;
use crate::storage::{Database, migrations};

pub use backing::Backing;
pub use domains::Domains;
use readiness::Readiness;
use server::Server;

/// A serving shop.
pub struct Engine {
    pub domains: Domains,
    dry_runs: DryRunDomain,
    gateway: Server,
    streams: http::Streams,
    internal: Server,
    upkeep: JoinHandle<()>,
    backing: Backing,
    stop_within: Duration,
}

/// What a shop brings of its own, in place of what is built in.
#[derive(Default)]
pub struct Extensions {
    /// What a customer must answer to join a waiting room; `None` uses what the configuration says.
    pub challenge: Option<Arc<dyn Challenge>>,
}

impl Engine {
    /// Starts everything, with nothing of the shop's own.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        Self::start_with(config, Extensions::default()).await
    }

    /// Starts everything: from the internal port, which says that the engine is not ready yet, to the gateway, which
    /// listens when all that it needs is there.
    pub async fn start_with(config: Config, extensions: Extensions) -> anyhow::Result<Self> {
        config.check()?;
        if let Some(most) = rlimit::raise_open_files()
            && usize::try_from(most).is_ok_and(|most| most < config.http.connections_max)
        {
            let wanted = config.http.connections_max;
            tracing::warn!(most, wanted, "fewer open files are allowed than http.connections_max");
        }
        let recorder = metrics::start()?;
        let readiness = Readiness::default();
        let internal =
            http::internal::serve(config.metrics.listen, recorder.clone(), readiness.clone().asked())
                .with_context(|| {
                    format!("metrics.listen = {} cannot be listened on", config.metrics.listen)
                })?;
        let internal = Server::run(internal);
        match Self::start_behind(&config, extensions, recorder, &readiness).await {
            Ok((backing, domains, dry_runs, (gateway, streams), upkeep)) => {
                readiness.serving();
                Ok(Self {
                    domains,
                    dry_runs,
                    gateway,
                    streams,
                    internal,
                    upkeep,
                    backing,
                    stop_within: Duration::from_secs(config.http.shutdown_within_seconds),
                })
            }
            Err(error) => {
                internal.stop().await;
                Err(error)
            }
        }
    }

    async fn start_behind(
        config: &Config,
        extensions: Extensions,
        recorder: PrometheusHandle,
        readiness: &Readiness,
    ) -> anyhow::Result<(Backing, Domains, DryRunDomain, (Server, http::Streams), JoinHandle<()>)> {
        let (mut backing, mut sole) = Backing::open_alone(config).await?;
        let served = async {
            let applied = migrations::run(&backing.database).await?;
            tracing::info!(applied, "the database is migrated");
            sole.serves().await?;
            let domains = Domains::start(config, &backing.database, Figures::Kept).await?;
            if config.seed.demo {
                seed_demo(&config.storage.data_dir, &domains.seed_needs()).await?;
            }
            let dry_runs = dry_runs::start(config, &domains);
            let gateway = Arc::new(domains.gateway(config, extensions, &dry_runs.ports).await?);
            let streams = gateway.streams.clone();
            let served = http::serve(gateway, config)
                .with_context(|| format!("http.listen = {} cannot be listened on", config.http.listen))?;
            Ok::<_, anyhow::Error>((domains, dry_runs, (Server::run(served), streams)))
        };
        match served.await {
            Ok((domains, dry_runs, gateway)) => {
                readiness.database_is(backing.database.clone());
                let upkeep = actix_rt::spawn(metrics::keep_up(recorder, backing.database.clone()));
                let (handle, is_taken) = (gateway.0.handle.clone(), backing.is_taken.clone());
                backing.keeping = Some(actix_rt::spawn(async move {
                    sole.keep().await;
                    is_taken.store(true, Ordering::Release);
                    tracing::error!("another engine took this one's database, so that this one stops");
                    // Without waiting: whatever is answered from here on may be sold by the other one as well.
                    handle.stop(false).await;
                }));
                Ok((backing, domains, dry_runs, gateway, upkeep))
            }
            Err(error) => {
                // PostgreSQL is not left behind by a start that failed.
                backing.close().await?;
                Err(error)
            }
        }
    }

    /// Returns when the gateway has ended without being asked to.
    pub async fn gateway_ended(&mut self) -> anyhow::Error {
        match (&mut self.gateway.running).await {
            Ok(Err(error)) => anyhow::Error::new(error).context("the gateway ended"),
            _ => anyhow::anyhow!("the gateway ended"),
        }
    }

    pub fn database(&self) -> &Database {
        &self.backing.database
    }

    pub fn http_address(&self) -> SocketAddr {
        self.gateway.address
    }

    pub fn metrics_address(&self) -> SocketAddr {
        self.internal.address
    }

    /// Stops in order: no new requests, the open ones answered, decisions durable, the pool, PostgreSQL. An engine whose database
    /// another one took waits for nothing that it still has to do: each of these may contradict the other one.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.streams.end();
        self.gateway.stop().await;
        if self.backing.is_taken.load(Ordering::Acquire) {
            self.dry_runs.drain(Duration::ZERO).await;
            self.domains.abandon().await;
        } else {
            self.dry_runs.drain(self.stop_within).await;
            self.domains.stop(self.stop_within).await;
        }
        self.upkeep.abort();
        self.internal.stop().await;
        self.backing.close().await?;
        tracing::info!("stopped");
        Ok(())
    }
}
