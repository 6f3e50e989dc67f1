//! The gateway's server: the layers around the routes, and the bounds on connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use actix_web::middleware::Condition;
use actix_web::web::{self, Data};
use actix_web::{App, Error, HttpServer};

use super::problem::Problem;
use super::rate_limit::RateLimit;
use super::request_scope::RequestScope;
use super::state::Gateway;
use crate::config::Config;

const BACKLOG: u32 = 4_096;
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Until the head of a connection's first request has arrived. Later ones are not timed: a client that stops in the middle
/// of one keeps its connection, which `connections_max` bounds for all and a proxy in front can bound for each.
const REQUEST_HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Browsers ask again whether they may after this many seconds.
const CORS_MAX_AGE: usize = 3_600;

/// Binds and builds the server; it runs once it is awaited or spawned, and stops through its handle.
///
/// The address is the one that was bound, also when port 0 was asked for.
pub fn serve(gateway: Arc<Gateway>, config: &Config) -> io::Result<(Server, SocketAddr)> {
    let http = &config.http;
    let workers = match http.workers {
        0 => available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    let layers = Layers::new(config);
    let server = HttpServer::new(move || app(Data::from(gateway.clone()), layers.clone()))
        .workers(workers)
        .backlog(BACKLOG)
        // actix counts connections for each worker.
        .max_connections(http.connections_max.div_ceil(workers))
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(REQUEST_HEAD_WITHIN)
        .tcp_nodelay(true)
        .disable_signals()
        .shutdown_timeout(http.shutdown_within_seconds)
        .bind(http.listen)?;
    let address = server.addrs().first().copied().unwrap_or(http.listen);
    Ok((server.run(), address))
}

/// What stands around the routes, as configured.
#[derive(Clone)]
pub struct Layers {
    rate_limit: RateLimit,
    is_rate_limited: bool,
    allowed_origins: Vec<String>,
}

impl Layers {
    pub fn new(config: &Config) -> Self {
        Self {
            rate_limit: RateLimit::new(&config.rate_limit),
            is_rate_limited: config.rate_limit.enabled,
            allowed_origins: config.http.allowed_origins.clone(),
        }
    }

    fn cors(&self) -> Cors {
        let cors = Cors::default()
            .allowed_methods(["GET", "HEAD", "POST", "PATCH", "DELETE"])
            .allowed_headers([AUTHORIZATION, CONTENT_TYPE])
            .allowed_headers([
                "Challenge-Answer",
                "Device-Id",
                "Idempotency-Key",
                "Queue-Ticket",
                "Sale-Admission",
                "X-Request-Id",
            ])
            .expose_headers([
                "Location",
                "Idempotency-Replayed",
                "RateLimit-Limit",
                "RateLimit-Remaining",
                "RateLimit-Reset",
                "Retry-After",
                "X-Request-Id",
            ])
            .max_age(CORS_MAX_AGE);
        self.allowed_origins.iter().fold(cors, |cors, origin| match origin.as_str() {
            "*" => cors.allow_any_origin().send_wildcard(),
            origin => cors.allowed_origin(origin),
        })
    }
}

/// The routes and what surrounds them, from the outside: request scope, CORS, rate limit.
///
/// The rate limit is inside CORS, so that a browser may read why it was refused.
pub fn app(
    gateway: Data<Gateway>,
    layers: Layers,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    App::new()
        .app_data(gateway)
        .configure(crate::http::configure)
        .default_service(web::to(|| async { Err::<&'static str, _>(Problem::not_found()) }))
        .wrap(Condition::new(layers.is_rate_limited, layers.rate_limit.clone()))
        .wrap(Condition::new(!layers.allowed_origins.is_empty(), layers.cors()))
        .wrap(RequestScope)
}
