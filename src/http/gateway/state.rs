//! What every handler can reach: the ports, and what the gateway keeps itself (keys, bounds, streams, open requests).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::web::Bytes;

use super::streams::Streams;
use crate::actors::payments::WebhookSecret;
use crate::actors::users::{Identity, TokenError};
use crate::actors::waiting_room::{Challenge, PassKey, ProofOfWork};
use crate::config::Config;
use crate::http::api::docs::openapi;
use crate::http::api::waiting_room::WrittenDraws;
use crate::http::ports::Ports;

/// Requests of staff that are answered at the same time, beside all others.
const STAFF_REQUESTS_MAX: usize = 256;
/// How long a challenge may be answered.
const CHALLENGE_VALID_FOR: Duration = Duration::from_secs(600);

/// Verifies an access token and returns its bearer. It asks no actor.
pub type Identify = Box<dyn Fn(&str) -> Result<Identity, TokenError> + Send + Sync>;

/// What every handler can reach.
pub struct Gateway {
    pub ports: Ports,
    pub identify: Identify,
    /// The JWK set, as it is sent.
    pub key_set: Bytes,
    pub webhook_secret: WebhookSecret,
    /// Signs and reads tickets and admissions of sales.
    pub pass_key: PassKey,
    /// The challenge for joining a waiting room; `None` disables it.
    pub challenge: Option<Arc<dyn Challenge>>,
    pub limits: GatewayLimits,
    /// Event streams.
    pub streams: Streams,
    pub draws: WrittenDraws,
    /// The API document, as it is sent.
    pub openapi: Bytes,
    pub open: OpenRequests,
    /// Requests of staff, counted apart so that a crowd does not keep them out.
    pub open_to_staff: OpenRequests,
}

impl Gateway {
    pub fn new(
        ports: Ports,
        identify: impl Fn(&str) -> Result<Identity, TokenError> + Send + Sync + 'static,
        key_set: &serde_json::Value,
        webhook_secret: WebhookSecret,
        pass_key: PassKey,
        challenge: Option<Arc<dyn Challenge>>,
        config: &Config,
    ) -> Self {
        let limits = GatewayLimits::of(config);
        Self {
            ports,
            identify: Box::new(identify),
            key_set: key_set.to_string().into(),
            webhook_secret,
            challenge: challenge.or_else(|| proof_of_work(&pass_key, config)),
            pass_key,
            openapi: openapi(&limits).to_string().into(),
            streams: Streams::new(&config.http),
            draws: WrittenDraws::default(),
            open: OpenRequests::new(limits.requests_max),
            open_to_staff: OpenRequests::new(STAFF_REQUESTS_MAX),
            limits,
        }
    }
}

/// The built-in challenge, where one is configured.
fn proof_of_work(key: &PassKey, config: &Config) -> Option<Arc<dyn Challenge>> {
    let bits = Some(config.sales.challenge_bits).filter(|bits| *bits > 0)?;
    // The configuration was checked against the same bound.
    let proof = ProofOfWork::new(key.clone(), bits, CHALLENGE_VALID_FOR).ok()?;
    Some(Arc::new(proof))
}

/// The bounds that the gateway keeps itself.
#[derive(Debug, Clone)]
pub struct GatewayLimits {
    pub body_bytes_max: usize,
    /// Requests that are being answered at the same time.
    pub requests_max: usize,
    pub request_within: Duration,
    pub report_within: Duration,
    pub lines_max: usize,
    pub hold_seconds_max: i64,
    pub webhook_tolerance_seconds: u64,
    /// A session at the operators' page is renewed when its token lapses within this time: half of a token's life.
    pub renew_within: Duration,
}

impl GatewayLimits {
    pub fn of(config: &Config) -> Self {
        Self {
            body_bytes_max: config.http.body_bytes_max,
            requests_max: config.actors.asks_max,
            request_within: Duration::from_millis(config.http.request_within_ms),
            report_within: Duration::from_secs(config.sales.report_within_seconds),
            lines_max: config.orders.lines_max,
            hold_seconds_max: i64::try_from(config.inventory.hold_seconds_max).unwrap_or(i64::MAX),
            webhook_tolerance_seconds: config.payments.webhook_tolerance_seconds,
            renew_within: Duration::from_secs(config.users.access_token_seconds) / 2,
        }
    }
}

/// Counts the requests that are being answered, over all workers.
pub struct OpenRequests {
    count: Arc<AtomicUsize>,
    most: usize,
}

impl OpenRequests {
    pub fn new(most: usize) -> Self {
        Self { count: Arc::default(), most }
    }

    /// Counts one more request until the result is dropped; `None` at the limit.
    pub fn admit(&self) -> Option<OpenRequest> {
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        let open = OpenRequest(self.count.clone());
        (before < self.most).then_some(open)
    }
}

pub struct OpenRequest(Arc<AtomicUsize>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_can_be_admitted_again_when_another_one_was_answered() {
        let open = OpenRequests::new(2);
        let first = open.admit();
        let second = open.admit();
        assert!(first.is_some() && second.is_some() && open.admit().is_none() && open.admit().is_none());
        drop(first);
        assert!(open.admit().is_some());
    }
}
