//! The headers of orders: the idempotency key, the admission to a sale, the device.

use actix_web::dev::Payload;
use actix_web::http::header::HeaderName;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::{Ready, ready};
use jiff::Timestamp;

use crate::actors::orders::IdempotencyKey;
use crate::actors::sales::DeviceId;
use crate::actors::waiting_room::Admission;
use crate::http::gateway::Gateway;
use crate::http::gateway::problem::Problem;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const DEVICE_ID: HeaderName = HeaderName::from_static("device-id");
const SALE_ADMISSION: HeaderName = HeaderName::from_static("sale-admission");

/// The key that makes repetitions of a request one order.
pub struct RequiredKey(pub IdempotencyKey);

impl FromRequest for RequiredKey {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match idempotency_key(request) {
            Some(key) => key.map(Self),
            None => Err(Problem::new(
                400,
                "idempotency-key-required",
                "an order needs an Idempotency-Key header, a new one for each order that is wanted",
            )),
        })
    }
}

/// The key, where the client sent one.
pub struct OptionalKey(pub Option<IdempotencyKey>);

impl FromRequest for OptionalKey {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(idempotency_key(request).transpose().map(Self))
    }
}

/// The admission to a sale, where the client sent a valid one. An invalid one counts as none.
pub struct OptionalAdmission(pub Option<Admission>);

impl FromRequest for OptionalAdmission {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let read = || {
            let text = request.headers().get(SALE_ADMISSION)?.to_str().ok()?;
            let gateway = request.app_data::<Data<Gateway>>()?;
            gateway.pass_key.read_admission(text, Timestamp::now()).ok()
        };
        ready(Ok(Self(read())))
    }
}

/// The device that the client names.
pub struct OptionalDevice(pub Option<DeviceId>);

impl FromRequest for OptionalDevice {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let device = request.headers().get(DEVICE_ID);
        // What is not visible ASCII is refused by its own rule.
        let read = device.map(|device| device.to_str().unwrap_or_default().parse().map_err(Problem::from));
        ready(read.transpose().map(Self))
    }
}

fn idempotency_key(request: &HttpRequest) -> Option<Result<IdempotencyKey, Problem>> {
    let value = request.headers().get(IDEMPOTENCY_KEY)?;
    // What is not visible ASCII is refused by the key's own rule.
    Some(value.to_str().unwrap_or_default().parse().map_err(Problem::from))
}
