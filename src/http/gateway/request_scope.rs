//! What surrounds every request: its id, its metrics, the security headers, and the shape of its error.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError};
use futures_util::future::{LocalBoxFuture, Ready, ready};
use metrics::{Counter, Histogram};
use uuid::Uuid;

use super::problem::Problem;
use super::route::MatchedRoute;
use crate::http::pages;

pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_LENGTH_MAX: usize = 64;
const UNMATCHED: &str = "unmatched";

/// The outermost layer.
pub struct RequestScope;

impl<S, B> Transform<S, ServiceRequest> for RequestScope
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type InitError = ();
    type Transform = RequestScopeService<S>;
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(RequestScopeService { service: Rc::new(service) }))
    }
}

pub struct RequestScopeService<S> {
    service: Rc<S>,
}

impl<S, B> Service<ServiceRequest> for RequestScopeService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Error>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let began = Instant::now();
        let request_id = request_id(request.headers());
        let method = method_label(request.method());
        let answer = self.service.call(request);
        Box::pin(async move {
            match answer.await {
                Ok(response) => {
                    let matched = response.request().extensions();
                    let (route, is_page) = match matched.get::<MatchedRoute>() {
                        Some(matched) => (matched.pattern, matched.is_page),
                        None => (UNMATCHED, false),
                    };
                    drop(matched);
                    let mut response = finish(response, &request_id, route, is_page);
                    if is_page {
                        pages::keep_session(&mut response);
                    }
                    set_headers(response.headers_mut(), request_id);
                    record(route, method, response.status(), began);
                    Ok(response)
                }
                Err(error) => {
                    // No inner layer fails like this; if one ever does, the answer has the same shape.
                    let status = error.as_response_error().status_code();
                    with_problem(Some(&error), status, |problem| {
                        problem.log(id_text(&request_id), UNMATCHED)
                    });
                    record(UNMATCHED, method, status, began);
                    Err(Orphan { error, request_id }.into())
                }
            }
        })
    }
}

/// Gives an error its body; everything else passes as it is.
fn finish<B: MessageBody>(
    response: ServiceResponse<B>,
    request_id: &HeaderValue,
    route: &'static str,
    is_page: bool,
) -> ServiceResponse<EitherBody<B>> {
    let status = response.status();
    // A page that shows a refusal is complete.
    let is_written = is_page && response.headers().contains_key(CONTENT_TYPE);
    if is_written || !status.is_client_error() && !status.is_server_error() {
        return response.map_into_left_body();
    }
    let request = response.request();
    let (body, headers, page_headers) = with_problem(response.response().error(), status, |problem| {
        let request_id = id_text(request_id);
        problem.log(request_id, route);
        let page = is_page.then(|| pages::explain(route, problem, request, request_id)).flatten();
        let (body, page_headers) = page.unwrap_or_else(|| (problem.render(request_id), Vec::new()));
        (body, problem.headers(), page_headers)
    });
    let mut response = response.map_body(|_, _| EitherBody::right(BoxBody::new(body)));
    for (name, value) in headers.into_iter().flatten().chain(page_headers) {
        response.headers_mut().insert(name, value);
    }
    response
}

/// The problem that an error is, or that its status stands for.
fn with_problem<T>(error: Option<&Error>, status: StatusCode, show: impl FnOnce(&Problem) -> T) -> T {
    match error.and_then(|error| error.as_error::<Problem>()) {
        Some(problem) => show(problem),
        None => show(&Problem::of_status(status, || {
            error.map_or_else(|| format!("an answer with status {status} and no error"), ToString::to_string)
        })),
    }
}

fn set_headers(headers: &mut HeaderMap, request_id: HeaderValue) {
    const API_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.insert(X_REQUEST_ID, request_id);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(REFERRER_POLICY) {
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, API_POLICY);
    }
}

/// The client's own id where it is harmless, otherwise a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match headers.get(X_REQUEST_ID) {
        Some(id) if (1..=REQUEST_ID_LENGTH_MAX).contains(&id.len()) && id.as_bytes().iter().all(harmless) => {
            id.clone()
        }
        _ => {
            let mut text = Uuid::encode_buffer();
            let text = Uuid::now_v7().hyphenated().encode_lower(&mut text);
            HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("none"))
        }
    }
}

fn id_text(request_id: &HeaderValue) -> &str {
    request_id.to_str().unwrap_or_default()
}

/// Only known methods become labels, so that clients cannot create new ones.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        _ => "OTHER",
    }
}

type Labels = (&'static str, &'static str, u16);

thread_local! {
    /// The registry builds a key for every look into it, which is too slow for every request.
    static METERS: RefCell<HashMap<Labels, (Counter, Histogram)>> = RefCell::default();
}

fn record(route: &'static str, method: &'static str, status: StatusCode, began: Instant) {
    let status = status.as_u16();
    METERS.with_borrow_mut(|meters| {
        let (requests, seconds) = meters.entry((route, method, status)).or_insert_with(|| {
            (
                metrics::counter!(
                    "shobai_http_requests_total",
                    "method" => method, "route" => route, "status" => status.to_string()
                ),
                metrics::histogram!("shobai_http_request_seconds", "method" => method, "route" => route),
            )
        });
        requests.increment(1);
        seconds.record(began.elapsed().as_secs_f64());
    });
}

/// An error that lost its request on the way.
#[derive(Debug)]
struct Orphan {
    error: Error,
    request_id: HeaderValue,
}

impl std::fmt::Display for Orphan {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(formatter)
    }
}

impl ResponseError for Orphan {
    fn status_code(&self) -> StatusCode {
        self.error.as_response_error().status_code()
    }

    fn error_response(&self) -> HttpResponse {
        with_problem(Some(&self.error), self.status_code(), |problem| {
            let mut response =
                HttpResponse::build(self.status_code()).body(problem.render(id_text(&self.request_id)));
            for (name, value) in problem.headers().into_iter().flatten() {
                response.headers_mut().insert(name, value);
            }
            set_headers(response.headers_mut(), self.request_id.clone());
            response
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(sent: &'static str) -> HeaderValue {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, HeaderValue::from_static(sent));
        request_id(&headers)
    }

    #[test]
    fn a_harmless_request_id_is_kept_and_any_other_replaced() {
        assert_eq!(id_for("a.B_7-x"), "a.B_7-x");
        for sent in ["", " ", "a b", "<script>", &"x".repeat(65).leak()[..]] {
            let id = id_for(sent);
            assert_eq!(id.len(), 36, "{sent}");
        }
    }
}
