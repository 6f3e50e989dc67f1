//! Every error answer of the gateway: one JSON shape (RFC 9457), made in one place.
//!
//! A refusal says what was refused and why. A failure says a fixed sentence and the request id under which it was
//! logged; its cause is not shown to clients.

use std::borrow::Cow;
use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::error::{Fault, Kind};

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");
/// Where a problem's code is explained, and thereby its type.
pub const TYPE_BASE: &str = "https://shobai.dev/problems/";
/// Overload passes quickly; a client that retries after a second is served or told to wait again.
const RETRY_AFTER_SECONDS: u32 = 1;

/// Why a request was refused or failed. Boxed, so that every result stays small.
#[derive(Debug)]
pub struct Problem(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: u16,
    code: &'static str,
    detail: Cow<'static, str>,
    details: Map<String, Value>,
    /// The cause, for the log alone.
    cause: Option<(Severity, String)>,
    retry_after: Option<u32>,
    allow: Option<&'static str>,
}

/// The level at which a failure is logged.
#[derive(Debug, Clone, Copy)]
enum Severity {
    Defect,
    Outage,
    Overload,
}

impl Problem {
    pub fn new(status: u16, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        let passes = status == 503 || status == 429;
        Self(Box::new(Parts {
            status,
            code,
            detail: detail.into(),
            details: Map::new(),
            cause: None,
            retry_after: passes.then_some(RETRY_AFTER_SECONDS),
            allow: None,
        }))
    }

    pub fn malformed_json(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, "malformed-json", detail)
    }

    pub fn invalid_body(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(422, "invalid-body", detail)
    }

    pub fn invalid_query(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(422, "invalid-query", detail)
    }

    pub fn not_found() -> Self {
        Self::new(404, "not-found", "there is nothing at this path")
    }

    pub fn method_not_allowed(allow: &'static str) -> Self {
        let mut problem = Self::new(405, "method-not-allowed", format!("only {allow} can be asked here"));
        problem.0.allow = Some(allow);
        problem
    }

    pub fn too_large(bytes_max: usize) -> Self {
        Self::new(413, "body-too-large", format!("a body has at most {bytes_max} bytes"))
    }

    pub fn unsupported_media_type() -> Self {
        Self::new(
            415,
            "unsupported-media-type",
            "the body must be application/json, as it is and not compressed",
        )
    }

    pub fn busy() -> Self {
        Self::failure(Kind::Busy, "busy", || "the gateway has too many open requests".to_owned())
    }

    pub fn late() -> Self {
        Self::failure(Kind::Late, "late", || "the request was not answered before its deadline".to_owned())
    }

    pub fn broken(cause: impl Into<String>) -> Self {
        let cause = cause.into();
        Self::failure(Kind::Internal, "internal", || cause)
    }

    pub fn too_many_requests(wait_seconds: u32) -> Self {
        let mut problem =
            Self::new(429, "too-many-requests", "there were too many requests from this address");
        problem.0.retry_after = Some(wait_seconds.max(1));
        problem
    }

    /// The problem of a status that no handler chose, such as a request that the server itself refused.
    pub fn of_status(status: StatusCode, cause: impl FnOnce() -> String) -> Self {
        match status.as_u16() {
            404 => Self::not_found(),
            408 => Self::new(408, "request-timeout", "the request did not arrive in time"),
            413 => Self::new(413, "body-too-large", "the body is too large"),
            status @ 400..500 => Self::new(status, "bad-request", "the request cannot be understood"),
            503 => Self::busy(),
            _ => Self::broken(cause()),
        }
    }

    /// An answer of the 5xx class: the sentence is fixed, and what happened goes to the log.
    fn failure(kind: Kind, code: &'static str, cause: impl FnOnce() -> String) -> Self {
        let (severity, sentence) = match kind {
            Kind::Busy => (Severity::Overload, "there is too much to do at this moment, try again soon"),
            Kind::Late => (Severity::Outage, "it took too long, try again with the same idempotency key"),
            Kind::Unavailable => (
                Severity::Outage,
                "a part that is needed cannot be reached at this moment, try again with the same idempotency key",
            ),
            _ => (Severity::Defect, "something is broken on our side, please tell us the request id"),
        };
        let mut problem = Self::new(kind.http_status(), code, sentence);
        problem.0.cause = Some((severity, cause()));
        problem
    }

    #[must_use]
    pub fn with_details(mut self, details: Map<String, Value>) -> Self {
        self.0.details = details;
        self
    }

    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The body, with the id of the request that it answers.
    pub fn render(&self, request_id: &str) -> Vec<u8> {
        let mut body = Vec::with_capacity(384);
        match serde_json::to_writer(&mut body, &Rendered { parts: &self.0, request_id }) {
            Ok(()) => body,
            Err(_) => format!(r#"{{"status":{},"code":"{}"}}"#, self.0.status, self.0.code).into_bytes(),
        }
    }

    /// The headers that belong to the body.
    pub fn headers(&self) -> [Option<(HeaderName, HeaderValue)>; 4] {
        let Parts { status, retry_after, allow, .. } = &*self.0;
        [
            Some((CONTENT_TYPE, MEDIA_TYPE)),
            // RFC 9110, 15.5.2: every 401 says how to do better.
            (*status == 401).then_some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            retry_after.map(|seconds| (RETRY_AFTER, HeaderValue::from(seconds))),
            allow.map(|allow| (ALLOW, HeaderValue::from_static(allow))),
        ]
    }

    /// Logs a failure, once, under the request id that the client sees.
    pub fn log(&self, request_id: &str, route: &str) {
        let Some((severity, cause)) = &self.0.cause else { return };
        let code = self.0.code;
        match severity {
            Severity::Defect => tracing::error!(request_id, route, code, "{cause}"),
            Severity::Outage => tracing::warn!(request_id, route, code, "{cause}"),
            Severity::Overload => tracing::debug!(request_id, route, code, "{cause}"),
        }
    }
}

impl<E: Fault> From<E> for Problem {
    fn from(error: E) -> Self {
        let kind = error.kind();
        match kind {
            Kind::Busy | Kind::Late | Kind::Unavailable | Kind::Internal => {
                Self::failure(kind, error.code(), || error.to_string()).with_details(error.details())
            }
            _ => {
                let mut problem = Self::new(kind.http_status(), error.code(), error.to_string());
                problem.0.retry_after = error.retry_after().or(problem.0.retry_after);
                problem.with_details(error.details())
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}: {}", self.0.status, self.0.code, self.0.detail)
    }
}

/// Only the status: the body is rendered by `request_scope.rs`, which knows the request's id.
impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        HttpResponse::new(self.status())
    }
}

struct Rendered<'a> {
    parts: &'a Parts,
    request_id: &'a str,
}

impl Serialize for Rendered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Parts { status, code, detail, details, .. } = self.parts;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &format_args!("{TYPE_BASE}{code}"))?;
        map.serialize_entry("title", &title(code))?;
        map.serialize_entry("status", status)?;
        map.serialize_entry("detail", detail)?;
        map.serialize_entry("code", code)?;
        map.serialize_entry("request_id", self.request_id)?;
        for (name, value) in details {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// A code in words: `out-of-stock` is "Out of stock".
fn title(code: &str) -> String {
    let mut title = code.replace('-', " ");
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::inventory::InventoryError;
    use crate::storage::StorageError;

    fn rendered(problem: &Problem) -> Value {
        serde_json::from_slice(&problem.render("r-1")).unwrap()
    }

    #[test]
    fn a_refusal_says_what_and_why() {
        let refusal = InventoryError::OutOfStock { sku: "LAMP".parse().unwrap(), requested: 3, available: 1 };

        let problem = rendered(&refusal.into());

        assert_eq!(
            problem,
            serde_json::json!({
                "type": "https://shobai.dev/problems/out-of-stock",
                "title": "Out of stock",
                "status": 409,
                "detail": "3 pieces of LAMP are wanted and 1 are available",
                "code": "out-of-stock",
                "request_id": "r-1",
                "sku": "LAMP",
                "requested": 3,
                "available": 1,
            })
        );
    }

    #[test]
    fn a_failure_does_not_show_its_cause() {
        let problem = Problem::from(StorageError::Broken("relation \"stock\" does not exist".to_owned()));

        assert_eq!(problem.status(), 500);
        assert!(!problem.render("r-1").windows(5).any(|part| part == b"stock"));
    }

    #[test]
    fn a_client_that_may_retry_is_told_when() {
        let retry_after = |problem: Problem| {
            let headers = problem.headers().into_iter().flatten();
            headers.filter(|(name, _)| name == RETRY_AFTER).map(|(_, value)| value).next()
        };
        assert_eq!(retry_after(StorageError::Unknown("reset".to_owned()).into()).unwrap(), "1");
        assert_eq!(retry_after(Problem::too_many_requests(7)).unwrap(), "7");
        assert_eq!(retry_after(Problem::not_found()), None);
    }
}
