//! The sender of a request for a page: with or without a session, and in which language.

use std::marker::PhantomData;

use actix_web::cookie::Cookie;
use actix_web::dev::{Payload, ServiceResponse};
use actix_web::http::header::SET_COOKIE;
use actix_web::http::{Method, StatusCode, Uri};
use actix_web::web::Data;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest};
use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;

use super::layout::Frame;
use super::session::ToSignIn;
use super::translations::{Catalogue as _, Language};
use super::{KitTexts, PageSet, cookies, csrf};
use crate::actors::users::{GetUser, Identity, RenewSession};
use crate::http::gateway::Gateway;
use crate::http::gateway::access::require_page_access;
use crate::http::gateway::problem::Problem;

const HX_REQUEST: &str = "hx-request";
const HX_CURRENT_URL: &str = "hx-current-url";
/// A visit is named by so many hexadecimal digits.
const VISIT_DIGITS: usize = 32;

/// The sender of a request, signed in or not.
pub struct Visitor<S> {
    pub language: Language,
    /// The access token of the session; empty without one.
    pub access_token: String,
    /// The user, if one who may enter is signed in.
    pub identity: Option<Identity>,
    /// Whether htmx sent the request: it replaces parts of the page that is shown.
    pub is_htmx: bool,
    /// The path of the page whose script sent the request.
    pub script_path: Option<String>,
    /// The path of the page that is asked for.
    pub path: String,
    /// What the forms of this browser must carry.
    pub form_token: String,
    /// The name of a visit that begins with this request, for the browser to keep.
    pub(super) new_visit: Option<String>,
    is_https: bool,
    page_set: PhantomData<fn() -> S>,
}

/// The cookie of a renewed session, on its way to [`keep_session`].
struct RenewedSession(Cookie<'static>);

pub fn is_htmx(request: &HttpRequest) -> bool {
    request.headers().contains_key(HX_REQUEST)
}

pub(super) fn gateway_of(request: &HttpRequest) -> Result<&Data<Gateway>, Problem> {
    request.app_data::<Data<Gateway>>().ok_or_else(|| Problem::broken("the app has no gateway"))
}

impl<S: PageSet> Visitor<S> {
    pub fn texts(&self) -> &'static S::Texts {
        S::Texts::of(self.language)
    }

    pub fn kit_texts(&self) -> &'static KitTexts {
        KitTexts::of(self.language)
    }

    /// A cookie of this page set, as secure as the connection is.
    pub(super) fn cookie(&self, name: impl Into<String>, value: &str, seconds: u64) -> Cookie<'static> {
        cookies::cookie::<S>(name.into(), value, seconds, self.is_https)
    }

    async fn read(request: &HttpRequest) -> Result<Self, Problem> {
        let mut visitor = Self::without_renewal(request)?;
        let Some(identity) = visitor.identity else { return Ok(visitor) };
        let gateway = gateway_of(request)?;
        let rest = identity.expires_at.duration_since(Timestamp::now()).unsigned_abs();
        if rest >= gateway.limits.renew_within {
            return Ok(visitor);
        }
        match gateway.ports.users.renew_session.ask(RenewSession { session: identity.session }).await {
            Ok(renewed) => {
                let cookie = visitor.cookie(S::COOKIE, &renewed.access_token, renewed.expires_in);
                visitor.identity = identify::<S>(gateway, &renewed.access_token);
                visitor.access_token = renewed.access_token;
                request.extensions_mut().insert(RenewedSession(cookie));
            }
            // The token that the browser has is good until its end.
            Err(error) => tracing::debug!(session = %identity.session, %error, "a session was not renewed"),
        }
        Ok(visitor)
    }

    fn without_renewal(request: &HttpRequest) -> Result<Self, Problem> {
        let gateway = gateway_of(request)?;
        let access_token = cookies::read(request, S::COOKIE).unwrap_or_default();
        let identity = identify::<S>(gateway, &access_token);
        let visit =
            cookies::read(request, &cookies::visit_cookie::<S>()).filter(|it| it.len() == VISIT_DIGITS);
        let new_visit =
            (identity.is_none() && visit.is_none()).then(|| format!("{:032x}", rand::random::<u128>()));
        let bound_to = match identity {
            Some(identity) => identity.session.to_string(),
            None => new_visit.clone().or(visit).unwrap_or_default(),
        };
        let script_url = request.headers().get(HX_CURRENT_URL).and_then(|url| url.to_str().ok());
        Ok(Self {
            language: Language::of::<S>(request),
            access_token,
            identity,
            is_htmx: is_htmx(request),
            script_path: script_url.and_then(|url| Some(url.parse::<Uri>().ok()?.path().to_owned())),
            path: if request.method() == Method::GET { request.path() } else { S::ROOT }.to_owned(),
            form_token: csrf::token_of::<S>(gateway, &bound_to),
            new_visit,
            is_https: request.connection_info().scheme() == "https",
            page_set: PhantomData,
        })
    }
}

fn identify<S: PageSet>(gateway: &Gateway, access_token: &str) -> Option<Identity> {
    (gateway.identify)(access_token).ok().filter(|identity| S::may_enter(identity.role))
}

/// Gives a browser the token of a session that was renewed, unless the answer sets cookies of its own.
pub fn keep_session<B>(response: &mut ServiceResponse<B>) {
    let renewed = response.request().extensions_mut().remove::<RenewedSession>();
    if let Some(RenewedSession(cookie)) = renewed
        && !response.headers().contains_key(SET_COOKIE)
        && let Err(error) = response.response_mut().add_cookie(&cookie)
    {
        tracing::error!(%error, "the cookie of a renewed session could not be set");
    }
}

impl<S: PageSet> FromRequest for Visitor<S> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Self::read(&request).await })
    }
}

/// A user who is signed in; anyone else is redirected to the sign-in page.
pub struct SignedIn<S> {
    pub visitor: Visitor<S>,
    pub identity: Identity,
}

impl<S: PageSet> SignedIn<S> {
    pub fn texts(&self) -> &'static S::Texts {
        self.visitor.texts()
    }

    pub fn kit_texts(&self) -> &'static KitTexts {
        self.visitor.kit_texts()
    }

    /// What surrounds the content of a page.
    pub async fn frame(&self, gateway: &Gateway) -> Frame<S> {
        let user = gateway.ports.users.get_user.ask(GetUser { id: self.identity.customer }).await;
        let name = user
            .map_or_else(|_| self.identity.role.as_str().to_owned(), |user| user.email.as_str().to_owned());
        Frame::new(&self.visitor, Some(name))
    }

    /// The status of a page that shows a refusal. A script gets 200: browsers log any other as an error of the page.
    pub fn status(&self, refused: StatusCode) -> StatusCode {
        if self.visitor.is_htmx { StatusCode::OK } else { refused }
    }
}

impl<S: PageSet> FromRequest for SignedIn<S> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let visitor = Visitor::read(&request).await?;
            match visitor.identity {
                Some(identity) => {
                    require_page_access(&request, identity.role)?;
                    Ok(Self { visitor, identity })
                }
                None => Err(ToSignIn::from_page_of::<S>(&request).into()),
            }
        })
    }
}
