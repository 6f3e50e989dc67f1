//! `shobai serve`: starts the engine, waits for a signal, stops it in order.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::engine::Engine;

pub(super) async fn serve(config: Config) -> anyhow::Result<ExitCode> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let starting = Engine::start(config);
    tokio::pin!(starting);
    let mut engine = tokio::select! {
        started = &mut starting => started?,
        // An engine that is asked to stop while it starts finishes the start first, so that PostgreSQL and the seed are
        // never interrupted.
        () = either(&mut interrupt, &mut terminate) => {
            tracing::info!("asked to stop while starting; the engine stops when it has started");
            starting.await?.stop().await?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    println!("shobai serves http://{} (documentation at /docs)", engine.http_address());
    println!("metrics, liveness and readiness: http://{}", engine.metrics_address());
    let ended = tokio::select! {
        () = either(&mut interrupt, &mut terminate) => None,
        error = engine.gateway_ended() => Some(error),
    };
    tracing::info!("stopping");
    engine.stop().await?;
    ended.map_or(Ok(ExitCode::SUCCESS), Err)
}

async fn either(interrupt: &mut tokio::signal::unix::Signal, terminate: &mut tokio::signal::unix::Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
