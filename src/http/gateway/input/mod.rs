//! Reading requests, strictly: input that does not fit is refused with a problem that names it and repeats no secret.
//!
//! A body is parsed straight into the domain's own types, so no later code has to check it again. `members.rs` has the
//! rules for single members of a body or a query.

mod members;

use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::error::QueryPayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use actix_web::web::{Bytes, BytesMut, Data, Query};
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt;
use futures_util::future::{LocalBoxFuture, Ready, ready};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use self::members::Object;
pub use self::members::{
    cursor, default_limit, given, given_objects, limit, object, objects, optional_object, optional_text,
    optional_whole, quantity, text, whole, whole_or_null, words,
};
use super::problem::Problem;
use super::state::Gateway;

/// Longer texts of serde only repeat more of what the client sent.
const DETAIL_CHARACTERS_MAX: usize = 200;

/// A JSON body of the given shape, and of no other.
pub struct FromJson<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for FromJson<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json = is_json(request);
        let body = read_body(request, payload);
        Box::pin(async move {
            if !is_json {
                return Err(Problem::unsupported_media_type());
            }
            parse(&body.await?).map(Self)
        })
    }
}

/// The bytes of a body, for a handler that checks a signature over them.
pub struct RawBody(pub Bytes);

impl FromRequest for RawBody {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = read_body(request, payload);
        Box::pin(async move { body.await.map(Self) })
    }
}

fn is_json(request: &HttpRequest) -> bool {
    let text = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let media_type = text(CONTENT_TYPE).and_then(|value| value.split(';').next()).map(str::trim);
    media_type.is_some_and(|media_type| media_type.eq_ignore_ascii_case("application/json"))
        && text(CONTENT_ENCODING).is_none_or(|encoding| encoding.eq_ignore_ascii_case("identity"))
}

/// At most as many bytes as a body may have; one that announces more is not read at all.
fn read_body(
    request: &HttpRequest,
    payload: &mut Payload,
) -> impl Future<Output = Result<Bytes, Problem>> + use<> {
    let bytes_max = request.app_data::<Data<Gateway>>().map_or(0, |gateway| gateway.limits.body_bytes_max);
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok())
        .unwrap_or(0);
    let mut payload = payload.take();
    async move {
        if usize::try_from(announced).is_ok_and(|announced| announced > bytes_max) {
            return Err(Problem::too_large(bytes_max));
        }
        let broken_off = |_| Problem::new(400, "body-broken-off", "the body did not arrive in full");
        let Some(first) = payload.next().await else { return Ok(Bytes::new()) };
        let first = first.map_err(broken_off)?;
        if first.len() > bytes_max {
            return Err(Problem::too_large(bytes_max));
        }
        // Nearly every body comes in one piece and is not copied.
        let Some(second) = payload.next().await else { return Ok(first) };
        let mut body = BytesMut::from(&first[..]);
        let mut next = Some(second);
        while let Some(part) = next {
            let part = part.map_err(broken_off)?;
            if body.len() + part.len() > bytes_max {
                return Err(Problem::too_large(bytes_max));
            }
            body.extend_from_slice(&part);
            next = payload.next().await;
        }
        Ok(body.freeze())
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if body.is_empty() {
        return Err(Problem::malformed_json("the body is empty"));
    }
    serde_json::from_slice(body).map(|Object(body)| body).map_err(|error| match error.classify() {
        Category::Data => Problem::invalid_body(without_values(&error.to_string())),
        Category::Syntax | Category::Eof | Category::Io => {
            let (line, column) = (error.line(), error.column());
            Problem::malformed_json(format!("the body is not JSON at line {line} column {column}"))
        }
    })
}

/// What serde says, without the value that it stumbled over: that may be a password in the wrong place.
fn without_values(text: &str) -> String {
    let repeats_a_value = ["invalid type: ", "invalid value: ", "unknown variant "]
        .into_iter()
        .find(|start| text.starts_with(start));
    let text = match (repeats_a_value, text.rfind(", expected ")) {
        (Some(start), Some(expected)) => {
            format!("{}{}", start.trim_end_matches([':', ' ']), &text[expected..])
        }
        (Some(start), None) => start.trim_end_matches([':', ' ']).to_owned(),
        (None, _) => text.to_owned(),
    };
    match text.char_indices().nth(DETAIL_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The query of the given shape; parameters that it does not have are refused.
pub struct FromQuery<T>(pub T);

impl<T: DeserializeOwned> FromRequest for FromQuery<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match Query::<T>::from_query(request.query_string()) {
            Ok(query) => Ok(Self(query.into_inner())),
            Err(QueryPayloadError::Deserialize(error)) => {
                Err(Problem::invalid_query(without_values(&error.to_string())))
            }
            Err(_) => Err(Problem::invalid_query("the query cannot be understood")),
        })
    }
}

/// The one variable part of a path. A part that cannot be parsed is answered with `not-found`.
pub struct FromPath<T>(pub T);

impl<T: FromStr> FromRequest for FromPath<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let part = request.match_info().iter().next().map(|(_, part)| part);
        ready(part.and_then(|part| part.parse().ok()).map(Self).ok_or_else(Problem::not_found))
    }
}

/// The two or three variable parts of a path. A part that cannot be parsed is answered with `not-found`.
pub struct FromPathParts<T>(pub T);

impl<T: PathParts> FromRequest for FromPathParts<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let parts = request.match_info().iter().map(|(_, part)| part);
        ready(T::read(parts).map(Self).ok_or_else(Problem::not_found))
    }
}

pub trait PathParts: Sized {
    fn read<'a>(parts: impl Iterator<Item = &'a str>) -> Option<Self>;
}

impl<A: FromStr, B: FromStr> PathParts for (A, B) {
    fn read<'a>(mut parts: impl Iterator<Item = &'a str>) -> Option<Self> {
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }
}

impl<A: FromStr, B: FromStr, C: FromStr> PathParts for (A, B, C) {
    fn read<'a>(mut parts: impl Iterator<Item = &'a str>) -> Option<Self> {
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::types::{Quantity, Sku};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct LineBody {
        #[serde(deserialize_with = "text")]
        sku: Sku,
        #[serde(deserialize_with = "quantity")]
        quantity: Quantity,
    }

    fn refused(body: &str) -> (u16, &'static str, String) {
        let problem = parse::<LineBody>(body.as_bytes()).unwrap_err();
        (problem.status().as_u16(), problem.code(), problem.to_string())
    }

    #[test]
    fn a_body_is_parsed_into_the_domains_types() {
        let line: LineBody = parse(br#"{"sku": "LAMP", "quantity": 2}"#).unwrap();
        assert_eq!((line.sku.as_str(), line.quantity.get()), ("LAMP", 2));
        assert!(parse::<LineBody>(br#"{"sku": "LAMP", "quantity": 2.0}"#).is_ok());
    }

    #[test]
    fn what_is_not_json_is_malformed_and_what_is_not_a_line_is_invalid() {
        for body in ["", "{", r#"{"sku": "LAMP" "quantity": 1}"#, r#"{"sku": "LAMP", "quantity": 1}}"#, "\0"]
        {
            assert_eq!(refused(body).0, 400, "{body}");
        }
        for body in [
            "null",
            "[]",
            r#"["LAMP", 1]"#,
            r#""LAMP""#,
            r#"{"sku": "LAMP"}"#,
            r#"{"sku": "LAMP", "quantity": 0}"#,
            r#"{"sku": "LAMP", "quantity": -1}"#,
            r#"{"sku": "LAMP", "quantity": 1.5}"#,
            r#"{"sku": "LAMP", "quantity": 1e300}"#,
            r#"{"sku": "LAMP", "quantity": "1"}"#,
            r#"{"sku": "LAMP", "quantity": 99999999999999999999999999}"#,
            r#"{"sku": "LAMP", "quantity": 1, "price": 1}"#,
            r#"{"sku": "LAMP", "sku": "LAMP", "quantity": 1}"#,
            r#"{"sku": "a b", "quantity": 1}"#,
            r#"{"sku": 7, "quantity": 1}"#,
        ] {
            let (status, code, _) = refused(body);
            assert_eq!((status, code), (422, "invalid-body"), "{body}");
        }
    }

    #[test]
    fn a_value_in_the_wrong_place_is_not_repeated() {
        let (_, _, text) = refused(r#"{"sku": "LAMP", "quantity": "my secret, expected never"}"#);
        assert!(!text.contains("secret"), "{text}");
        assert!(text.contains("expected a whole number"), "{text}");
    }
}
