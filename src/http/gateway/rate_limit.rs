//! How many requests one address may make: a bucket that refills steadily and holds a burst.
//!
//! Addresses whose bucket is full again are forgotten. If there are more addresses than the limiter may remember, all
//! of them share one bucket until some are forgotten.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix_web::Error;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use futures_util::future::{LocalBoxFuture, Ready, ready};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use super::problem::Problem;
use crate::config;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
const ADDRESSES_MAX: usize = 100_000;
const FORGET_EVERY: Duration = Duration::from_secs(1);
const SHARED_BUCKET: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

type Limiter = RateLimiter<IpAddr, DefaultKeyedStateStore<IpAddr>, DefaultClock, StateInformationMiddleware>;

/// The buckets of all addresses; cheap to clone, and all clones share them.
#[derive(Clone)]
pub struct RateLimit(Arc<Buckets>);

struct Buckets {
    limiter: Limiter,
    clock: DefaultClock,
    per_second: u32,
    burst: u32,
    began: Instant,
    /// Milliseconds after `began` when idle addresses were last forgotten.
    forgotten_at: AtomicU64,
    full: AtomicBool,
    /// Refused requests since they were last logged.
    refused: AtomicU64,
}

/// What an address has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Allowance {
    burst: u32,
    remaining: u32,
    /// Until the bucket is full again.
    reset_seconds: u32,
}

impl RateLimit {
    pub fn new(config: &config::RateLimit) -> Self {
        let per_second = NonZeroU32::new(config.per_second).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(config.burst).unwrap_or(NonZeroU32::MIN);
        let limiter = RateLimiter::keyed(Quota::per_second(per_second).allow_burst(burst));
        Self(Arc::new(Buckets {
            limiter: limiter.with_middleware(),
            clock: DefaultClock::default(),
            per_second: per_second.get(),
            burst: burst.get(),
            began: Instant::now(),
            forgotten_at: AtomicU64::new(0),
            full: AtomicBool::new(false),
            refused: AtomicU64::new(0),
        }))
    }

    /// Takes one request from the bucket of an address; refused with the seconds to wait.
    fn take(&self, address: IpAddr) -> Result<Allowance, (Allowance, u32)> {
        let buckets = &*self.0;
        buckets.forget_idle();
        let key = if buckets.full.load(Ordering::Relaxed) { SHARED_BUCKET } else { network_of(address) };
        match buckets.limiter.check_key(&key) {
            Ok(state) => Ok(buckets.allowance(state.remaining_burst_capacity())),
            Err(until) => {
                metrics::counter!("shobai_http_too_fast_total").increment(1);
                buckets.refused.fetch_add(1, Ordering::Relaxed);
                let wait = until.wait_time_from(buckets.clock.now());
                let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
                Err((buckets.allowance(0), seconds))
            }
        }
    }
}

impl Buckets {
    fn allowance(&self, remaining: u32) -> Allowance {
        let missing = self.burst.saturating_sub(remaining);
        Allowance { burst: self.burst, remaining, reset_seconds: missing.div_ceil(self.per_second) }
    }

    /// Runs at most once in [`FORGET_EVERY`], within the first request that finds it due.
    fn forget_idle(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let last = self.forgotten_at.load(Ordering::Relaxed);
        let is_due = now.saturating_sub(last) >= FORGET_EVERY.as_millis() as u64;
        if !is_due
            || self.forgotten_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        let refused = self.refused.swap(0, Ordering::Relaxed);
        if refused > 0 {
            // Without the addresses, which are personal data.
            tracing::info!(refused, "requests were refused because too many came from their addresses");
        }
        self.limiter.retain_recent();
        self.full.store(self.limiter.len() >= ADDRESSES_MAX, Ordering::Relaxed);
    }
}

/// One household or server has a whole /64 of IPv6 addresses.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

fn set_headers(headers: &mut HeaderMap, allowance: Allowance) {
    headers.insert(LIMIT, HeaderValue::from(allowance.burst));
    headers.insert(REMAINING, HeaderValue::from(allowance.remaining));
    headers.insert(RESET, HeaderValue::from(allowance.reset_seconds));
}

impl<S, B> Transform<S, ServiceRequest> for RateLimit
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type InitError = ();
    type Transform = RateLimitService<S>;
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(RateLimitService { limit: self.clone(), service: Rc::new(service) }))
    }
}

pub struct RateLimitService<S> {
    limit: RateLimit,
    service: Rc<S>,
}

impl<S, B> Service<ServiceRequest> for RateLimitService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Error>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let address = request.peer_addr().map_or(SHARED_BUCKET, |peer| peer.ip());
        match self.limit.take(address) {
            Ok(allowance) => {
                let answer = self.service.call(request);
                Box::pin(async move {
                    let mut response = answer.await?.map_into_left_body();
                    set_headers(response.headers_mut(), allowance);
                    Ok(response)
                })
            }
            Err((allowance, wait_seconds)) => {
                let problem = Problem::too_many_requests(wait_seconds);
                let mut response = request.error_response(problem).map_into_right_body();
                set_headers(response.headers_mut(), allowance);
                Box::pin(ready(Ok(response)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(per_second: u32, burst: u32) -> RateLimit {
        RateLimit::new(&config::RateLimit { enabled: true, per_second, burst })
    }

    #[test]
    fn a_burst_is_allowed_and_no_more() {
        let limit = limit(1, 3);
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        let other: IpAddr = "192.0.2.2".parse().unwrap();
        let remaining = |address| limit.take(address).map(|allowance| allowance.remaining);

        assert_eq!(remaining(one), Ok(2));
        assert_eq!(remaining(one), Ok(1));
        assert_eq!(remaining(one), Ok(0));
        let (allowance, wait) = limit.take(one).unwrap_err();
        assert_eq!((allowance.burst, allowance.remaining, allowance.reset_seconds), (3, 0, 3));
        assert_eq!(wait, 1);
        assert_eq!(remaining(other), Ok(2));
    }

    #[test]
    fn addresses_of_one_network_share_a_bucket() {
        let same =
            |one: &str, other: &str| network_of(one.parse().unwrap()) == network_of(other.parse().unwrap());
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(same("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
    }
}
