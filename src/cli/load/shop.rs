//! The shop's REST contract as a customer's app speaks it: requests, and what an answer means. Knows nothing else of
//! the engine.

use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::client::{Answer, Body, Client, Trouble};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const SALE_ADMISSION: HeaderName = HeaderName::from_static("sale-admission");
const QUEUE_TICKET: HeaderName = HeaderName::from_static("queue-ticket");
const CHALLENGE_ANSWER: HeaderName = HeaderName::from_static("challenge-answer");
const SIGNATURE: HeaderName = HeaderName::from_static("shobai-signature");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The longest time for which a shop may ask to wait.
const RETRY_AFTER_SECONDS_MAX: u64 = 60;
/// Far longer than an order can be.
const HUGE_BODY_BYTES: usize = 1024 * 1024;
/// Leading zero bits for which a customer's app would work.
const WORK_BITS_MAX: u32 = 30;
/// The longest code of a problem that is told; what is no code is told by its status.
const CODE_CHARACTERS_MAX: usize = 64;

/// A customer's access token, as it is sent.
pub(in crate::cli) type Bearer = HeaderValue;

pub(in crate::cli) fn bearer(token: &str) -> anyhow::Result<Bearer> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// What a customer would call the outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Outcome {
    Accepted,
    /// The shop says no.
    Refused,
    /// The shop has too much to do.
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

    pub(super) fn of(answer: &Result<Answer, Trouble>) -> Self {
        match answer {
            Ok(answer) => match answer.status {
                200..300 => Outcome::Accepted,
                429 | 503 => Outcome::Overloaded,
                300..500 => Outcome::Refused,
                _ => Outcome::Failed,
            },
            Err(Trouble::TimedOut) => Outcome::TimedOut,
            Err(Trouble::NoConnection | Trouble::Broken) => Outcome::Failed,
        }
    }
}

/// Whether an answer says what became of what was asked: done, or surely not.
pub(super) fn is_clear(answer: &Result<Answer, Trouble>) -> bool {
    match answer {
        // 401, 403, 408 and 429 are said at the door, where nobody knows the key.
        Ok(answer) => matches!(answer.status, 200..300 | 400..500) && !is_at_the_door(answer.status),
        Err(_) => false,
    }
}

/// Whether a request was turned away before it was looked at.
pub(super) const fn is_at_the_door(status: u16) -> bool {
    matches!(status, 401 | 403 | 408 | 429)
}

/// The reason beside the outcome: the problem's code, or what broke.
pub(super) fn reason(answer: &Result<Answer, Trouble>) -> Option<String> {
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

/// How long the shop asks to wait before the next try.
pub(super) fn retry_after(answer: &Answer) -> Duration {
    let seconds = answer.headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1).min(RETRY_AFTER_SECONDS_MAX))
}

fn is_code(text: &str) -> bool {
    (1..=CODE_CHARACTERS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// An order as the shop shows it; what never changes about it is compared afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct OrderShown {
    pub id: uuid::Uuid,
    pub number: String,
    pub status: String,
    pub lines: Vec<LineShown>,
    pub totals: TotalsShown,
    pub created_at: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub(super) struct LineShown {
    pub sku: String,
    pub quantity: i64,
    pub amount: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub(super) struct TotalsShown {
    pub total: i64,
}

impl OrderShown {
    /// Stands for everything that stays as it was answered.
    pub(super) fn fingerprint(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hasher = DefaultHasher::new();
        (&self.id, &self.number, &self.lines, &self.totals, &self.created_at).hash(&mut hasher);
        hasher.finish()
    }

    /// Whether it is one line of so many pieces of this SKU.
    pub(super) fn is_of(&self, sku: &str, quantity: i64) -> bool {
        matches!(&*self.lines, [line] if line.sku == sku && line.quantity == quantity)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct PageShown<T> {
    pub items: Vec<T>,
    pub next_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ProductShown {
    pub id: uuid::Uuid,
    pub variants: Vec<VariantShown>,
}

#[derive(Debug, Deserialize)]
pub(super) struct VariantShown {
    pub sku: String,
}

/// Where somebody stands in a waiting room.
#[derive(Debug, Deserialize)]
pub(super) struct PlaceShown {
    pub ticket: String,
    pub number: u32,
    pub state: String,
    pub admission: Option<String>,
    pub admitted_until: Option<jiff::Timestamp>,
}

/// A sale as its operators, or anybody, see it.
#[derive(Debug, Deserialize)]
pub(super) struct SaleShown {
    pub id: uuid::Uuid,
    pub commitment: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct AvailableShown {
    pub available: i64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct StockShown {
    pub on_hand: i64,
    pub reserved: i64,
    pub available: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct SessionShown {
    pub access_token: String,
    pub refresh_token: String,
    pub expires_in: u64,
}

/// How a customer pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payment {
    /// Later, under a phone number of the customer's own.
    Konbini,
    /// At once, by a card of the customer's own.
    Card,
    /// By one card that several accounts have.
    SharedCard,
}

/// An order of one SKU; `payer` is the customer's number among all of the run, for a phone or a card that nobody else has.
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

/// What somebody shows who was let into a sale.
pub(super) fn with_admission(mut request: Request<Body>, admission: Option<HeaderValue>) -> Request<Body> {
    if let Some(admission) = admission {
        request.headers_mut().insert(SALE_ADMISSION, admission);
    }
    request
}

/// Joins the waiting room of a sale, perhaps with the answer to a challenge.
pub(super) fn join_queue(customer: &Bearer, sale: uuid::Uuid, answer: Option<&str>) -> Request<Body> {
    let mut request = post(&format!("/v1/sales/{sale}/queue"), Some(customer), Bytes::new());
    if let Some(answer) = answer.and_then(|answer| HeaderValue::from_str(answer).ok()) {
        request.headers_mut().insert(CHALLENGE_ANSWER, answer);
    }
    request
}

/// Where the bearer of a ticket stands.
pub(super) fn get_place(sale: uuid::Uuid, ticket: HeaderValue) -> Request<Body> {
    let mut request = get(&format!("/v1/sales/{sale}/queue"), None);
    request.headers_mut().insert(QUEUE_TICKET, ticket);
    request
}

/// The challenge that has to be solved before joining, if that is the answer.
pub(super) fn challenge(answer: &Result<Answer, Trouble>) -> Option<String> {
    #[derive(Deserialize)]
    struct Challenged {
        code: String,
        challenge: String,
    }

    let answer = answer.as_ref().ok().filter(|answer| answer.status == 403)?;
    let Challenged { code, challenge } = serde_json::from_slice(&answer.body).ok()?;
    (code == "challenge-required").then_some(challenge)
}

/// An answer to a challenge that does, or does not, have as many leading zero bits as its first number says.
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

/// On a connection that is not kept: it would keep the memory for the body as well.
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

/// What the sandbox provider sends when a konbini was paid; `secret` is the shop's key for its webhook.
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
    // Paths are made here and of parts that the shop gave out.
    *request.uri_mut() = path.parse().unwrap_or_default();
    if let Some(customer) = customer {
        request.headers_mut().insert(AUTHORIZATION, customer.clone());
    }
    request
}

/// Asks and reads the answer, which must be a success; for everything around a run.
pub(super) async fn ask<T: DeserializeOwned>(client: &Client, request: Request<Body>) -> anyhow::Result<T> {
    let what = format!("{} {}", request.method(), request.uri());
    let answer = client.send(request).await;
    match &answer {
        Ok(answer) if answer.status < 300 => serde_json::from_slice(&answer.body)
            .map_err(|error| anyhow::anyhow!("{what}: an answer that is not understood: {error}")),
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
    fn everybody_pays_in_a_way_of_their_own_but_those_who_share_a_card() {
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
    fn work_is_done_rightly_or_wrongly_as_wanted() {
        use sha2::Digest as _;
        let first_byte = |answer: String| sha2::Sha256::digest(answer)[0];
        assert_eq!(first_byte(answer_challenge("8.x", true).unwrap()), 0);
        assert_ne!(first_byte(answer_challenge("8.x", false).unwrap()), 0);
        assert_eq!(answer_challenge("31.x", true), None);
        assert_eq!(answer_challenge("x", true), None);
    }
}
