//! One path of the route table: which methods it has, and what guards every request that reaches it.
//!
//! A request gets one of a bounded number of places or is turned away at once, is answered before its deadline, and
//! answers 500 when its handler panics. A method that the path does not have is answered with those that it has.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{
    AppService, HttpServiceFactory, Service, ServiceRequest, ServiceResponse, Transform, forward_ready,
};
use actix_web::guard::{Any, Get, Head};
use actix_web::web::{self, Data};
use actix_web::{Error, FromRequest, Handler, HttpMessage, Resource, Responder};
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Ready, ready};

use super::problem::Problem;
use super::request_scope::Matched;
use super::state::{Gateway, GatewayLimits};

/// A path with its methods; the pattern is also the route's name in the figures.
pub fn at(pattern: &'static str) -> At {
    let within: Within = |limits| limits.request_within;
    At { pattern, resource: web::resource(pattern), methods: Methods::default(), within }
}

pub struct At {
    pattern: &'static str,
    resource: Resource,
    methods: Methods,
    within: Within,
}

/// How long a request may take.
type Within = fn(&GatewayLimits) -> Duration;

#[derive(Clone, Copy, Default)]
struct Methods {
    get: bool,
    post: bool,
    patch: bool,
    delete: bool,
}

impl Methods {
    const fn allow(self) -> &'static str {
        match (self.get, self.post, self.patch, self.delete) {
            (true, true, _, true) => "GET, HEAD, POST, DELETE",
            (true, true, _, false) => "GET, HEAD, POST",
            (true, false, _, true) => "GET, HEAD, DELETE",
            (true, false, true, false) => "GET, HEAD, PATCH",
            (true, false, false, false) => "GET, HEAD",
            (false, true, _, true) => "POST, DELETE",
            (false, true, _, false) => "POST",
            (false, false, true, false) => "PATCH",
            (false, false, _, true) => "DELETE",
            (false, false, false, false) => "",
        }
    }
}

impl At {
    /// Also answers `HEAD`, whose body the server leaves out.
    #[must_use]
    pub fn get<F, Args>(mut self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.methods.get = true;
        self.resource = self.resource.route(web::route().guard(Any(Get()).or(Head())).to(handler));
        self
    }

    #[must_use]
    pub fn post<F, Args>(mut self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.methods.post = true;
        self.resource = self.resource.route(web::post().to(handler));
        self
    }

    #[must_use]
    pub fn patch<F, Args>(mut self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.methods.patch = true;
        self.resource = self.resource.route(web::patch().to(handler));
        self
    }

    #[must_use]
    pub fn delete<F, Args>(mut self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.methods.delete = true;
        self.resource = self.resource.route(web::delete().to(handler));
        self
    }

    /// Gives its requests another deadline than the one of every request.
    #[must_use]
    pub fn within(mut self, within: Within) -> Self {
        self.within = within;
        self
    }
}

impl HttpServiceFactory for At {
    fn register(self, config: &mut AppService) {
        let allow = self.methods.allow();
        let refuse = move || ready(Err::<&'static str, _>(Problem::method_not_allowed(allow)));
        self.resource
            .default_service(web::to(refuse))
            .wrap(Admission { pattern: self.pattern, within: self.within })
            .register(config);
    }
}

struct Admission {
    pattern: &'static str,
    within: Within,
}

impl<S, B> Transform<S, ServiceRequest> for Admission
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type InitError = ();
    type Transform = AdmissionService<S>;
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(AdmissionService { pattern: self.pattern, within: self.within, service }))
    }
}

struct AdmissionService<S> {
    pattern: &'static str,
    within: Within,
    service: S,
}

impl<S, B> Service<ServiceRequest> for AdmissionService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Error>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        request.extensions_mut().insert(Matched(self.pattern));
        let Some(gateway) = request.app_data::<Data<Gateway>>() else {
            return refuse(request, Problem::broken("the app has no gateway"));
        };
        let within = (self.within)(&gateway.limits);
        let is_for_staff = self.pattern.starts_with("/ops") || self.pattern.starts_with("/v1/admin/");
        let open = if is_for_staff { &gateway.open_to_staff } else { &gateway.open };
        let Some(place) = open.admit() else { return refuse(request, Problem::busy()) };
        let asked = request.request().clone();
        let answer = AssertUnwindSafe(self.service.call(request)).catch_unwind();
        Box::pin(async move {
            let answer = tokio::time::timeout(within, answer).await;
            drop(place);
            let problem = match answer {
                Ok(Ok(answer)) => return answer.map(ServiceResponse::map_into_left_body),
                Ok(Err(_)) => Problem::broken("a handler panicked"),
                Err(_) => Problem::late(),
            };
            Ok(ServiceResponse::from_err(problem, asked).map_into_right_body())
        })
    }
}

type Refused<B> = LocalBoxFuture<'static, Result<ServiceResponse<EitherBody<B, BoxBody>>, Error>>;

fn refuse<B: 'static>(request: ServiceRequest, problem: Problem) -> Refused<B> {
    Box::pin(ready(Ok(request.error_response(problem).map_into_right_body())))
}
