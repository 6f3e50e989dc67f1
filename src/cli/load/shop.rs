//! The shop's REST contract from the side of a customer's app: requests, and the meaning of answers.

use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::client::{Answer, Body, Client, RequestError};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const SALE_ADMISSION: HeaderName = HeaderName::from_static("sale-admission");
const QUEUE_TICKET: HeaderName = HeaderName::from_static("queue-ticket");
const CHALLENGE_ANSWER: HeaderName = HeaderName::from_static("challenge-answer");
const SIGNATURE: HeaderName = HeaderName::from_static("shobai-signature");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The longest `Retry-After` that is honoured.
const RETRY_AFTER_SECONDS_MAX: u64 = 60;
/// Far longer than any order.
const HUGE_BODY_BYTES: usize = 1024 * 1024;
/// The most leading zero bits that the harness computes.
const WORK_BITS_MAX: u32 = 30;
/// The longest code of a problem; other answers are identified by their status.
const CODE_CHARACTERS_MAX: usize = 64;

/// The `Authorization` header of a customer.
pub(in crate::cli) type Bearer = HeaderValue;

pub(in crate::cli) fn bearer(token: &str) -> anyhow::Result<Bearer> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The outcome of a request for the customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Outcome {
    Accepted,
    /// The shop refused the request.
    Refused,
    /// The shop is overloaded.
    Overloaded,
    /// Something broke.
    Failed,
    TimedOut,
}

impl Outcome {
    pub(super) const ALL: [Self; 5] =
        [Self::Accepted, Self::Refused, Self::Overloaded, Self::Failed, Self::TimedOut];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Outcome::Accepted => "accepted",
            Outcome::Refused => "refused",
            Outcome::Overloaded => "overloaded",
            Outcome::Failed => "failed",
            Outcome::TimedOut => "timed_out",
        }
    }

    pub(super) fn of(answer: &Result<Answer, RequestError>) -> Self {
        match answer {
            Ok(answer) => match answer.status {
                200..300 => Outcome::Accepted,
                429 | 503 => Outcome::Overloaded,
                300..500 => Outcome::Refused,
                _ => Outcome::Failed,
            },
            Err(RequestError::TimedOut) => Outcome::TimedOut,
            Err(RequestError::NoConnection | RequestError::Broken) => Outcome::Failed,
        }
    }
}

/// Whether an answer makes the outcome clear: done, or certainly not done.
pub(super) fn is_clear(answer: &Result<Answer, RequestError>) -> bool {
    match answer {
        // 401, 403, 408 and 429 are answered before the key is looked up.
        Ok(answer) => matches!(answer.status, 200..300 | 400..500) && !is_by_gateway(answer.status),
        Err(_) => false,
    }
}

/// Whether the gateway refused a request before it looked at it.
pub(super) const fn is_by_gateway(status: u16) -> bool {
    matches!(status, 401 | 403 | 408 | 429)
}

/// The reason for the outcome: the problem's code, or the error.
pub(super) fn reason(answer: &Result<Answer, RequestError>) -> Option<String> {
    match answer {
        Ok(answer) if answer.status < 300 => None,
        Ok(answer) => Some(code(answer).unwrap_or_else(|| answer.status.to_string())),
        Err(trouble) => Some(trouble.to_string()),
    }
}

/// The code of a problem.
pub(super) fn code(answer: &Answer) -> Option<String> {
    #[derive(Deserialize)]
    struct Problem<'a> {
        #[serde(borrow)]
        code: std::borrow::Cow<'a, str>,
    }

    let Problem { code } = serde_json::from_slice(&answer.body).ok()?;
    is_code(&code).then(|| code.into_owned())
}

/// How long the shop asks to wait before the next attempt.
pub(super) fn retry_after(answer: &Answer) -> Duration {
    let seconds = answer.headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1).min(RETRY_AFTER_SECONDS_MAX))
}

fn is_code(text: &str) -> bool {
    (1..=CODE_CHARACTERS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// An order in an answer; its immutable members are compared by the audit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct OrderAnswer {
    pub id: uuid::Uuid,
    pub number: String,
    pub status: String,
    pub lines: Vec<LineAnswer>,
    pub totals: TotalsAnswer,
    pub created_at: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub(super) struct LineAnswer {
    pub sku: String,
    pub quantity: i64,
    pub amount: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub(super) struct TotalsAnswer {
    pub total: i64,
}

impl OrderAnswer {
    /// A hash of the immutable members.
    pub(super) fn fingerprint(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hasher = DefaultHasher::new();
        (&self.id, &self.number, &self.lines, &self.totals, &self.created_at).hash(&mut hasher);
        hasher.finish()
    }

    /// Whether it has one line with this SKU and quantity.
    pub(super) fn is_of(&self, sku: &str, quantity: i64) -> bool {
        matches!(&*self.lines, [line] if line.sku == sku && line.quantity == quantity)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct PageAnswer<T> {
    pub items: Vec<T>,
    pub next_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ProductAnswer {
    pub id: uuid::Uuid,
    pub variants: Vec<VariantAnswer>,
}

#[derive(Debug, Deserialize)]
pub(super) struct VariantAnswer {
    pub sku: String,
}

/// A place in a waiting room.
#[derive(Debug, Deserialize)]
pub(super) struct PlaceAnswer {
    pub ticket: String,
    pub number: u32,
    pub state: String,
    pub admission: Option<String>,
    pub admitted_until: Option<jiff::Timestamp>,
}

/// A sale, from the public or the operators' API.
#[derive(Debug, Deserialize)]
pub(super) struct SaleAnswer {
    pub id: uuid::Uuid,
    pub commitment: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct AvailableAnswer {
    pub available: i64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct StockAnswer {
    pub on_hand: i64,
    pub reserved: i64,
    pub available: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct SessionAnswer {
    pub access_token: String,
    pub refresh_token: String,
    pub expires_in: u64,
}

/// How a customer pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payment {
    /// Later at a konbini, under the customer's own phone number.
    Konbini,
    /// At once, with the customer's own card.
    Card,
    /// With one card that several accounts share.
    SharedCard,
}

/// An order of one SKU; `payer` is the customer's number in the run and makes the phone or card unique.
pub(super) fn order_body(sku: &str, quantity: i64, payment: Payment, payer: usize) -> Bytes {
    let mut body = String::with_capacity(160);
    let sku = serde_json::Value::from(sku);
    // Writing to a string cannot fail.
    let _ = write!(body, r#"{{"lines":[{{"sku":{sku},"quantity":{quantity}}}],"payment":"#);
    let _ = match payment {
        Payment::Konbini => write!(
            body,
            r#"{{"method":"konbini","konbini":{{"chain":"seven_eleven","phone":"090{:08}"}}}}}}"#,
            payer % 100_000_000
        ),
        Payment::Card => write!(body, r#"{{"method":"card","card":{{"token":"tok_ok_{payer}"}}}}}}"#),
        Payment::SharedCard => write!(body, r#"{{"method":"card","card":{{"token":"tok_ok_shared"}}}}}}"#),
    };
    Bytes::from(body)
}

/// Adds an admission to an order.
pub(super) fn with_admission(mut request: Request<Body>, admission: Option<HeaderValue>) -> Request<Body> {
    if let Some(admission) = admission {
        request.headers_mut().insert(SALE_ADMISSION, admission);
    }
    request
}

/// Joins the waiting room of a sale, optionally with the answer to a challenge.
pub(super) fn join_queue(customer: &Bearer, sale: uuid::Uuid, answer: Option<&str>) -> Request<Body> {
    let mut request = post(&format!("/v1/sales/{sale}/queue"), Some(customer), Bytes::new());
    if let Some(answer) = answer.and_then(|answer| HeaderValue::from_str(answer).ok()) {
        request.headers_mut().insert(CHALLENGE_ANSWER, answer);
    }
    request
}

/// Asks for the place of a ticket.
pub(super) fn get_place(sale: uuid::Uuid, ticket: HeaderValue) -> Request<Body> {
    let mut request = get(&format!("/v1/sales/{sale}/queue"), None);
    request.headers_mut().insert(QUEUE_TICKET, ticket);
    request
}

/// The challenge to solve before joining, if the answer demands one.
pub(super) fn challenge(answer: &Result<Answer, RequestError>) -> Option<String> {
    #[derive(Deserialize)]
    struct Challenged {
        code: String,
        challenge: String,
    }

    let answer = answer.as_ref().ok().filter(|answer| answer.status == 403)?;
    let Challenged { code, challenge } = serde_json::from_slice(&answer.body).ok()?;
    (code == "challenge-required").then_some(challenge)
}

/// A right or wrong answer to a challenge: a hash with or without the wanted number of leading zero bits.
pub(super) fn answer_challenge(challenge: &str, rightly: bool) -> Option<String> {
    use sha2::Digest as _;

    let bits: u32 = challenge.split_once('.')?.0.parse().ok().filter(|bits| *bits <= WORK_BITS_MAX)?;
    let zero_bits = |answer: &String| {
        let hash = sha2::Sha256::digest(answer);
        u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]).leading_zeros()
    };
    let mut answers = (0..u64::MAX).map(|nonce| format!("{challenge}:{nonce}"));
    answers.find(|answer| (zero_bits(answer) >= bits) == rightly)
}

pub(super) fn place_order(customer: &Bearer, key: &str, body: Bytes) -> Request<Body> {
    let mut request = post("/v1/orders", Some(customer), body);
    // Keys are made of letters, digits and hyphens.
    if let Ok(key) = HeaderValue::from_str(key) {
        request.headers_mut().insert(IDEMPOTENCY_KEY, key);
    }
    request
}

/// Closes the connection afterwards, which would otherwise keep the memory for the body.
pub(super) fn huge_body(customer: &Bearer, key: &str) -> Request<Body> {
    static BODY: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(vec![b' '; HUGE_BODY_BYTES]));
    let mut request = place_order(customer, key, BODY.clone());
    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    request
}

pub(super) fn get_order(customer: &Bearer, id: uuid::Uuid) -> Request<Body> {
    get(&format!("/v1/orders/{id}"), Some(customer))
}

pub(super) fn cancel_order(customer: &Bearer, id: uuid::Uuid) -> Request<Body> {
    post(&format!("/v1/orders/{id}/cancel"), Some(customer), Bytes::new())
}

/// The sandbox provider's webhook about a konbini payment; `secret` is the shop's key for it.
pub(super) fn report_payment(order: uuid::Uuid, secret: &[u8], now: i64) -> anyhow::Result<Request<Body>> {
    use hmac::{Hmac, KeyInit as _, Mac as _};

    let body = json!({"id": format!("load-{order}"), "type": "konbini.paid", "order_id": order}).to_string();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret)?;
    mac.update(format!("{now}.{body}").as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    let mut request = post("/v1/webhooks/sandbox", None, Bytes::from(body));
    let value = HeaderValue::from_str(&format!("t={now},v1={signature}"))?;
    request.headers_mut().insert(SIGNATURE, value);
    Ok(request)
}

pub(in crate::cli) fn get(path: &str, customer: Option<&Bearer>) -> Request<Body> {
    request("GET", path, customer, Bytes::new())
}

pub(in crate::cli) fn post(path: &str, customer: Option<&Bearer>, body: Bytes) -> Request<Body> {
    request("POST", path, customer, body)
}

pub(in crate::cli) fn request(
    method: &str,
    path: &str,
    customer: Option<&Bearer>,
    body: Bytes,
) -> Request<Body> {
    let has_body = !body.is_empty();
    let mut request = Request::new(Body::new(body));
    if has_body {
        request.headers_mut().insert(CONTENT_TYPE, JSON);
    }
    *request.method_mut() = method.parse().unwrap_or_default();
    // Paths consist of constants and of values from the shop.
    *request.uri_mut() = path.parse().unwrap_or_default();
    if let Some(customer) = customer {
        request.headers_mut().insert(AUTHORIZATION, customer.clone());
    }
    request
}

/// Sends a request outside the measurement; the answer must be a success.
pub(super) async fn ask<T: DeserializeOwned>(client: &Client, request: Request<Body>) -> anyhow::Result<T> {
    let what = format!("{} {}", request.method(), request.uri());
    let answer = client.send(request).await;
    match &answer {
        Ok(answer) if answer.status < 300 => serde_json::from_slice(&answer.body)
            .map_err(|error| anyhow::anyhow!("{what}: the answer cannot be parsed: {error}")),
        Ok(refused) => {
            let reason = reason(&answer).unwrap_or_default();
            anyhow::bail!("{what}: {} {reason}", refused.status)
        }
        Err(trouble) => anyhow::bail!("{what}: {trouble}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_customer_has_an_own_phone_and_card_but_the_shared_card_is_one() {
        let payment = |payment, payer| {
            let body = order_body("LAMP", 2, payment, payer);
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["lines"], json!([{"sku": "LAMP", "quantity": 2}]));
            body["payment"].clone()
        };
        assert_eq!(payment(Payment::Konbini, 7)["konbini"]["phone"], "09000000007");
        assert_eq!(payment(Payment::Card, 7), json!({"method": "card", "card": {"token": "tok_ok_7"}}));
        assert_eq!(payment(Payment::SharedCard, 7), payment(Payment::SharedCard, 8));
    }

    #[test]
    fn a_challenge_is_solved_rightly_or_wrongly_as_wanted() {
        use sha2::Digest as _;
        let first_byte = |answer: String| sha2::Sha256::digest(answer)[0];
        assert_eq!(first_byte(answer_challenge("8.x", true).unwrap()), 0);
        assert_ne!(first_byte(answer_challenge("8.x", false).unwrap()), 0);
        assert_eq!(answer_challenge("31.x", true), None);
        assert_eq!(answer_challenge("x", true), None);
    }
}
