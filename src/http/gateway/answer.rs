//! How a handler answers: a view as JSON, written once into one buffer.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;

use super::problem::Problem;

/// What every handler returns.
pub type Answer = Result<HttpResponse, Problem>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// An order of a few lines fits.
const BODY_BYTES: usize = 1_024;

pub fn ok(view: &impl Serialize) -> Answer {
    json(StatusCode::OK, view)
}

pub fn created(view: &impl Serialize) -> Answer {
    json(StatusCode::CREATED, view)
}

/// It is kept, and not done yet.
pub fn accepted(view: &impl Serialize) -> Answer {
    json(StatusCode::ACCEPTED, view)
}

fn json(status: StatusCode, view: &impl Serialize) -> Answer {
    let mut body = Vec::with_capacity(BODY_BYTES);
    serde_json::to_writer(&mut body, view)
        .map_err(|error| Problem::broken(format!("an answer could not be written: {error}")))?;
    Ok(HttpResponse::build(status).insert_header((CONTENT_TYPE, JSON)).body(body))
}
