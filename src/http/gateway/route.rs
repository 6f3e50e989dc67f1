//! One path of the route table: its methods, who may call each of them, and what guards every request that reaches it.
//!
//! A request is one of a bounded number that are answered at the same time, or is refused at once. Then the guard
//! checks what the method declares about its callers. The answer comes before the request's deadline, and is 500 when
//! the handler panics. A method that the path does not have is answered with those that it has.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{
    AppService, HttpServiceFactory, Service, ServiceRequest, ServiceResponse, Transform, forward_ready,
};
use actix_web::guard::{Any, Get, Head};
use actix_web::http::Method;
use actix_web::web::{self, Data};
use actix_web::{Error, FromRequest, Handler, HttpMessage, Resource, Responder};
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Ready, ready};

use super::access::Access;
use super::problem::Problem;
use super::state::{Gateway, GatewayLimits, OpenRequest};
use crate::actors::users::{Identity, Permission};

/// A path of the route table; the pattern is also the route's name in the metrics.
///
/// It takes no methods before it has said who may call them.
pub fn at(pattern: &'static str) -> At<Undeclared> {
    let within: Within = |limits| limits.request_within;
    At { pattern, resource: web::resource(pattern), methods: Methods::default(), within, access: Undeclared }
}

/// A path whose methods so far are declared; `A` is who may call the next ones.
pub struct At<A> {
    pattern: &'static str,
    resource: Resource,
    methods: Methods,
    within: Within,
    access: A,
}

/// Not said yet who may call.
pub struct Undeclared;

/// The path of the table as it is served.
pub type Path = At<Access>;

/// How long a request may take.
type Within = fn(&GatewayLimits) -> Duration;

/// The methods of a path, and who may call each.
#[derive(Clone, Copy, Default)]
struct Methods {
    get: Option<Access>,
    post: Option<Access>,
    patch: Option<Access>,
    delete: Option<Access>,
}

impl Methods {
    /// `None` for a method that the path does not have.
    fn access(&self, method: &Method) -> Option<Access> {
        match *method {
            Method::GET | Method::HEAD => self.get,
            Method::POST => self.post,
            Method::PATCH => self.patch,
            Method::DELETE => self.delete,
            _ => None,
        }
    }

    fn declared(&self) -> impl Iterator<Item = (&'static str, Access)> + use<> {
        let all = [("GET", self.get), ("POST", self.post), ("PATCH", self.patch), ("DELETE", self.delete)];
        all.into_iter().filter_map(|(method, access)| Some((method, access?)))
    }

    const fn allow(self) -> &'static str {
        match (self.get.is_some(), self.post.is_some(), self.patch.is_some(), self.delete.is_some()) {
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

impl<A> At<A> {
    /// The methods that follow may be called by every client.
    pub fn public(self) -> Path {
        self.by(Access::Public)
    }

    /// The methods that follow may be called with any valid access token.
    pub fn customer(self) -> Path {
        self.by(Access::Customer)
    }

    /// The methods that follow may be called by staff whose role has this permission.
    pub fn staff(self, permission: Permission) -> Path {
        self.by(Access::Staff(permission))
    }

    /// The methods that follow are a page for every browser.
    pub fn page(self) -> Path {
        self.by(Access::Page)
    }

    /// The methods that follow are a page for signed-in users.
    pub fn signed_in_page(self) -> Path {
        self.by(Access::SignedInPage)
    }

    /// The methods that follow are a page for signed-in users whose role has this permission.
    pub fn staff_page(self, permission: Permission) -> Path {
        self.by(Access::StaffPage(permission))
    }

    fn by(self, access: Access) -> Path {
        let Self { pattern, resource, methods, within, access: _ } = self;
        At { pattern, resource, methods, within, access }
    }
}

impl Path {
    /// Also answers `HEAD`, whose body the server leaves out.
    #[must_use]
    pub fn get<F, Args>(mut self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.methods.get = Some(self.access);
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
        self.methods.post = Some(self.access);
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
        self.methods.patch = Some(self.access);
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
        self.methods.delete = Some(self.access);
        self.resource = self.resource.route(web::delete().to(handler));
        self
    }

    /// Gives its requests another deadline than the one of every request.
    #[must_use]
    pub fn within(mut self, within: Within) -> Self {
        self.within = within;
        self
    }

    /// What it declares, method by method.
    pub fn declared(&self) -> impl Iterator<Item = DeclaredRoute> + use<> {
        let pattern = self.pattern;
        self.methods.declared().map(move |(method, access)| DeclaredRoute { method, pattern, access })
    }
}

/// A line of the route table, for tests and for the API document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeclaredRoute {
    pub method: &'static str,
    pub pattern: &'static str,
    pub access: Access,
}

impl HttpServiceFactory for Path {
    fn register(self, config: &mut AppService) {
        let allow = self.methods.allow();
        let refuse = move || ready(Err::<&'static str, _>(Problem::method_not_allowed(allow)));
        let mut declared = self.methods.declared();
        let guard = Guard {
            pattern: self.pattern,
            methods: self.methods,
            within: self.within,
            is_page: self.methods.declared().any(|(_, access)| access.is_page()),
            is_for_staff: declared.any(|(_, access)| access.is_for_staff()),
        };
        self.resource.default_service(web::to(refuse)).wrap(guard).register(config);
    }
}

/// What the guard found out about a request, left behind for the handler and for the layers around the routes.
pub struct MatchedRoute {
    pub pattern: &'static str,
    pub is_page: bool,
    /// What the method declares; `None` for a method that the path does not have.
    pub access: Option<Access>,
    /// The caller, where the route declares customers or staff.
    pub identity: Option<Identity>,
}

#[derive(Clone, Copy)]
struct Guard {
    pattern: &'static str,
    methods: Methods,
    within: Within,
    is_page: bool,
    is_for_staff: bool,
}

impl Guard {
    /// Counts the request among the open ones, then checks its caller.
    fn admit(
        &self,
        gateway: &Gateway,
        request: &ServiceRequest,
        access: Option<Access>,
    ) -> Result<(OpenRequest, Option<Identity>), Problem> {
        let open = if self.is_for_staff { &gateway.open_to_staff } else { &gateway.open };
        let open = open.admit().ok_or_else(Problem::busy)?;
        match access {
            Some(access) => Ok((open, access.check(gateway, request.request())?)),
            None => Ok((open, None)),
        }
    }
}

impl<S, B> Transform<S, ServiceRequest> for Guard
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type InitError = ();
    type Transform = GuardService<S>;
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(GuardService { guard: *self, service }))
    }
}

struct GuardService<S> {
    guard: Guard,
    service: S,
}

impl<S, B> Service<ServiceRequest> for GuardService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Error>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let Guard { pattern, methods, within, is_page, .. } = self.guard;
        let Some(gateway) = request.app_data::<Data<Gateway>>() else {
            return refuse(request, Problem::broken("the app has no gateway"));
        };
        let within = within(&gateway.limits);
        let access = methods.access(request.method());
        let (admitted, identity) = match self.guard.admit(gateway, &request, access) {
            Ok((open, identity)) => (Ok(open), identity),
            Err(problem) => (Err(problem), None),
        };
        request.extensions_mut().insert(MatchedRoute { pattern, is_page, access, identity });
        let open = match admitted {
            Ok(open) => open,
            Err(problem) => return refuse(request, problem),
        };
        let asked = request.request().clone();
        let answer = AssertUnwindSafe(self.service.call(request)).catch_unwind();
        Box::pin(async move {
            let answer = tokio::time::timeout(within, answer).await;
            drop(open);
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
