//! What machines ask on a port of its own: figures, whether the process lives, and whether it should get requests.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;

use crate::process_figures;

/// A check that takes longer than this has failed.
const READY_WITHIN: Duration = Duration::from_secs(2);

type Check = dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync;

/// Finds out whether requests can be served, or why not.
#[derive(Clone)]
pub struct Readiness(Arc<Check>);

impl Readiness {
    pub fn new<F, E>(check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        Self(Arc::new(move || {
            let checked = check();
            Box::pin(async move { checked.await.map_err(|error| error.to_string()) })
        }))
    }
}

/// Binds and builds the second server; it runs once it is awaited or spawned.
pub fn serve(
    listen: SocketAddr,
    figures: PrometheusHandle,
    readiness: Readiness,
) -> io::Result<(Server, SocketAddr)> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::new(figures.clone()))
            .app_data(Data::new(readiness.clone()))
            .route("/metrics", web::get().to(get_metrics))
            .route("/healthz", web::get().to(get_health))
            .route("/readyz", web::get().to(get_readiness))
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(1)
    .bind(listen)?;
    let address = server.addrs().first().copied().unwrap_or(listen);
    Ok((server.run(), address))
}

async fn get_metrics(figures: Data<PrometheusHandle>) -> HttpResponse {
    process_figures::update();
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(figures.render())
}

async fn get_health() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok")
}

async fn get_readiness(readiness: Data<Readiness>) -> HttpResponse {
    let problem = match tokio::time::timeout(READY_WITHIN, (readiness.0)()).await {
        Ok(Ok(())) => return HttpResponse::Ok().json(json!({"ready": true})),
        Ok(Err(problem)) => problem,
        Err(_) => format!("no answer within {READY_WITHIN:?}"),
    };
    HttpResponse::ServiceUnavailable().json(json!({"ready": false, "problem": problem}))
}

#[cfg(test)]
mod tests {
    use actix_web::test;

    use super::*;

    #[actix_web::test]
    async fn readiness_is_what_the_check_says() {
        for (check, status) in [(Ok(()), 200), (Err("migrations run"), 503)] {
            let readiness = Readiness::new(move || std::future::ready(check));
            let app =
                App::new().app_data(Data::new(readiness)).route("/readyz", web::get().to(get_readiness));
            let app = test::init_service(app).await;

            let answer = test::call_service(&app, test::TestRequest::with_uri("/readyz").to_request()).await;

            assert_eq!(answer.status(), status);
        }
    }
}
