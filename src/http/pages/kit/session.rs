//! Who is at the page, and whether what they send came from it.
//!
//! The access token is kept in a cookie that no script can read and that no other site makes a browser send. Every
//! form carries a token of its session besides, and a browser that says where a form comes from must say: from here.

use actix_web::dev::{Payload, ServiceResponse};
use actix_web::http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue, LOCATION, ORIGIN, SET_COOKIE};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Data;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest, HttpResponse, ResponseError};
use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;

use super::forms::Form;
use super::layout::{self, Frame, Place};
use super::translations::{LANGUAGE_COOKIE, Language};
use super::{HOME, SESSION_COOKIE};
use crate::actors::users::{Email, GetUser, Identity, RenewSession, Role, SignIn, SignOut, UsersError};
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::Answer;
use crate::http::gateway::input::RawBody;
use crate::http::gateway::problem::Problem;

/// Tells browsers apart that are not signed in, so that their forms are bound to something too.
const VISIT_COOKIE: &str = "shobai-ops-visit";
const TOKEN_FIELD: &str = "token";
const HX_REQUEST: &str = "hx-request";
const HX_CURRENT_URL: &str = "hx-current-url";
const LANGUAGE_SECONDS: u64 = 365 * 86_400;

/// The value of a cookie.
pub fn cookie<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let cookies = request.headers().get_all(COOKIE).filter_map(|value| value.to_str().ok());
    cookies.flat_map(|cookies| cookies.split(';')).find_map(|cookie| {
        cookie.trim().split_once('=').and_then(|(other, value)| (other == name).then_some(value))
    })
}

/// Whether htmx asks, which takes parts of a page.
pub fn is_htmx(request: &HttpRequest) -> bool {
    request.headers().contains_key(HX_REQUEST)
}

/// Anybody who looks at the page.
#[derive(Clone)]
pub struct Visitor {
    pub language: Language,
    /// The access token of the session, if any.
    pub token: String,
    /// Staff that is signed in.
    pub identity: Option<Identity>,
    pub is_htmx: bool,
    /// The page whose script asks.
    pub asks_at: Option<Place>,
    /// The page that is looked at.
    pub path: String,
    /// What the forms of this browser must carry.
    pub form_token: String,
    /// A new visit, to be kept by the browser.
    new_visit: Option<String>,
    is_https: bool,
}

/// The session's next token, left behind for [`keep_session`].
struct Renewed {
    cookie: HeaderValue,
}

impl Visitor {
    async fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let mut visitor = Self::known(request)?;
        let Some(identity) = visitor.identity else { return Ok(visitor) };
        let gateway = gateway(request)?;
        let rest = identity.expires_at.duration_since(Timestamp::now()).unsigned_abs();
        if rest >= gateway.limits.renew_within {
            return Ok(visitor);
        }
        match gateway.ports.users.renew_session.ask(RenewSession { session: identity.session }).await {
            Ok(renewed) => {
                let cookie = visitor.cookie(SESSION_COOKIE, &renewed.access_token, renewed.expires_in);
                visitor.identity = staff(gateway, &renewed.access_token);
                visitor.token = renewed.access_token;
                request.extensions_mut().insert(Renewed { cookie });
            }
            // The token that is there works on to its end.
            Err(error) => tracing::debug!(session = %identity.session, %error, "a session was not renewed"),
        }
        Ok(visitor)
    }

    fn known(request: &HttpRequest) -> Result<Self, Problem> {
        let gateway = gateway(request)?;
        let token = cookie(request, SESSION_COOKIE).unwrap_or_default();
        let identity = staff(gateway, token);
        let known = cookie(request, VISIT_COOKIE).filter(|visit| visit.len() == 32);
        let new_visit =
            (identity.is_none() && known.is_none()).then(|| format!("{:032x}", rand::random::<u128>()));
        let bound_to = match identity {
            Some(identity) => identity.session.to_string(),
            None => new_visit.as_deref().or(known).unwrap_or_default().to_owned(),
        };
        Ok(Self {
            language: Language::of(request),
            token: token.to_owned(),
            identity,
            is_htmx: is_htmx(request),
            asks_at: request.headers().get(HX_CURRENT_URL).and_then(|url| Place::of(url.to_str().ok()?)),
            path: if request.method() == Method::GET { request.path() } else { HOME }.to_owned(),
            form_token: gateway.pass_key.pseudonym("ops-form", &bound_to),
            new_visit,
            is_https: request.connection_info().scheme() == "https",
        })
    }

    fn cookie(&self, name: &str, value: &str, seconds: u64) -> HeaderValue {
        let secure = if self.is_https { "; Secure" } else { "" };
        let text =
            format!("{name}={value}; Path={HOME}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
    }
}

fn staff(gateway: &Gateway, token: &str) -> Option<Identity> {
    (gateway.identify)(token).ok().filter(|identity| identity.role.may(Role::Staff))
}

/// Gives a browser the token of a session that was renewed, unless the answer says itself what to keep.
pub fn keep_session<B>(response: &mut ServiceResponse<B>) {
    let renewed = response.request().extensions_mut().remove::<Renewed>();
    if let Some(Renewed { cookie }) = renewed
        && !response.headers().contains_key(SET_COOKIE)
    {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
}

impl FromRequest for Visitor {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Self::of(&request).await })
    }
}

/// Staff that is signed in; everybody else is led to the sign-in page.
#[derive(Clone)]
pub struct Operator {
    pub visitor: Visitor,
    pub identity: Identity,
}

impl Operator {
    async fn of(request: &HttpRequest) -> Result<Self, Error> {
        let visitor = Visitor::of(request).await?;
        match visitor.identity {
            Some(identity) => Ok(Self { visitor, identity }),
            None => Err(ToSignIn::from(request).into()),
        }
    }

    /// What surrounds the content of a page.
    pub async fn frame(&self, gateway: &Gateway) -> Frame {
        let asked = gateway.ports.users.get_user.ask(GetUser { id: self.identity.customer }).await;
        let who = asked
            .map_or_else(|_| self.identity.role.as_str().to_owned(), |user| user.email.as_str().to_owned());
        Frame::new(&self.visitor, Some(who))
    }
}

impl FromRequest for Operator {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Self::of(&request).await })
    }
}

/// A form that staff sent from this page.
pub struct Submitted {
    pub operator: Operator,
    pub form: Form,
}

impl FromRequest for Submitted {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        // Before the session, so that what comes from elsewhere learns nothing about it.
        let own = require_own(request);
        let body = read(request, payload);
        let request = request.clone();
        Box::pin(async move {
            own?;
            let operator = Operator::of(&request).await?;
            let form = checked(&body.await?, &operator.visitor)?;
            Ok(Self { operator, form })
        })
    }
}

/// A form that anybody sent from this page.
pub struct SubmittedByVisitor {
    pub visitor: Visitor,
    pub form: Form,
}

impl FromRequest for SubmittedByVisitor {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let own = require_own(request);
        let body = read(request, payload);
        let request = request.clone();
        Box::pin(async move {
            own?;
            let visitor = Visitor::of(&request).await?;
            let form = checked(&body.await?, &visitor)?;
            Ok(Self { visitor, form })
        })
    }
}

fn gateway(request: &HttpRequest) -> Result<&Data<Gateway>, Problem> {
    request.app_data::<Data<Gateway>>().ok_or_else(|| Problem::broken("the app has no gateway"))
}

fn read(
    request: &HttpRequest,
    payload: &mut Payload,
) -> impl Future<Output = Result<actix_web::web::Bytes, Problem>> + use<> {
    let media_type = request.content_type().eq_ignore_ascii_case("application/x-www-form-urlencoded");
    let body = RawBody::from_request(request, payload);
    async move {
        if !media_type {
            return Err(Problem::new(415, "unsupported-media-type", "a form must be sent as a form"));
        }
        Ok(body.await?.0)
    }
}

fn checked(body: &[u8], visitor: &Visitor) -> Result<Form, Problem> {
    let form = Form::parse(body)?;
    if is_same(form.raw(TOKEN_FIELD), &visitor.form_token) { Ok(form) } else { Err(foreign()) }
}

/// Takes the same time wherever they differ.
fn is_same(one: &str, other: &str) -> bool {
    one.len() == other.len()
        && one.bytes().zip(other.bytes()).fold(0, |differ, (one, other)| differ | (one ^ other)) == 0
}

fn foreign() -> Problem {
    Problem::new(403, "foreign-request", "the form was not sent from the operators' page of this session")
}

/// Refuses what a browser says comes from another site; one that says nothing is believed by its token alone.
fn require_own(request: &HttpRequest) -> Result<(), Problem> {
    let host = request.connection_info().host().to_owned();
    if comes_from_here(request.headers(), &host) { Ok(()) } else { Err(foreign()) }
}

fn comes_from_here(headers: &HeaderMap, host: &str) -> bool {
    let site = headers.get(HeaderName::from_static("sec-fetch-site"));
    let is_origin_ours = |origin: &HeaderValue| {
        let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, it)| it);
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    };
    site.is_none_or(|site| site == "same-origin") && headers.get(ORIGIN).is_none_or(is_origin_ours)
}

/// Leads to the sign-in page, and from there back to where somebody was.
#[derive(Debug)]
struct ToSignIn {
    back: String,
    is_htmx: bool,
}

impl From<&HttpRequest> for ToSignIn {
    fn from(request: &HttpRequest) -> Self {
        let is_page = request.method() == Method::GET && !is_htmx(request);
        let path = if is_page { request.path() } else { HOME };
        Self { back: path.to_owned(), is_htmx: is_htmx(request) }
    }
}

impl std::fmt::Display for ToSignIn {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("nobody is signed in")
    }
}

impl ResponseError for ToSignIn {
    fn status_code(&self) -> StatusCode {
        if self.is_htmx { StatusCode::OK } else { StatusCode::SEE_OTHER }
    }

    fn error_response(&self) -> HttpResponse {
        let to = format!("{HOME}?back={}", self.back);
        let header = if self.is_htmx { HeaderName::from_static("hx-redirect") } else { LOCATION };
        HttpResponse::build(self.status_code()).insert_header((header, to)).finish()
    }
}

/// Where to go after the sign-in: a place on this page and nowhere else.
pub fn way_back(text: &str) -> &str {
    let is_inside = text == HOME || text.strip_prefix(HOME).is_some_and(|rest| rest.starts_with('/'));
    let is_plain =
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'?' | b'='));
    if is_inside && is_plain && !text.contains("//") { text } else { HOME }
}

/// The page to sign in, for somebody who was led here from `back`, if anything is in it.
pub fn sign_in_page(visitor: &Visitor, back: &str) -> Answer {
    let notice = (!back.is_empty()).then_some(visitor.language.words().session_ended);
    show_sign_in(visitor, way_back(back), "", notice, StatusCode::OK)
}

fn show_sign_in(
    visitor: &Visitor,
    back: &str,
    email: &str,
    notice: Option<&'static str>,
    status: StatusCode,
) -> Answer {
    let frame = Frame::new(visitor, None);
    let mut answer = layout::show(status, &layout::SignInPage { frame, back, email, notice })?;
    if let Some(visit) = &visitor.new_visit {
        answer.headers_mut().append(SET_COOKIE, visitor.cookie(VISIT_COOKIE, visit, LANGUAGE_SECONDS));
    }
    Ok(answer)
}

/// Begins a session of staff; the session of anybody else is ended again at once.
pub async fn sign_in(submitted: SubmittedByVisitor, gateway: Data<Gateway>) -> Answer {
    let SubmittedByVisitor { visitor, form } = submitted;
    form.check(&[TOKEN_FIELD, "email", "password", "back"], &[])?;
    let words = visitor.language.words();
    let (email, back) = (form.text("email"), way_back(form.text("back")));
    let refuse = |notice, status| show_sign_in(&visitor, back, email, Some(notice), status);
    let Ok(address) = email.parse::<Email>() else {
        return refuse(words.bad_credentials, StatusCode::UNAUTHORIZED);
    };
    let users = &gateway.ports.users;
    let asked = SignIn { email: address, password: form.raw("password").to_owned().into() };
    let signed_in = match users.sign_in.ask(asked).await {
        Ok(signed_in) => signed_in,
        Err(UsersError::BadCredentials) => return refuse(words.bad_credentials, StatusCode::UNAUTHORIZED),
        Err(error) => return Err(error.into()),
    };
    if !signed_in.user.role.may(Role::Staff) {
        let session = (gateway.identify)(&signed_in.access_token)?.session;
        users.sign_out.ask(SignOut { session }).await?;
        return refuse(words.not_staff, StatusCode::FORBIDDEN);
    }
    let kept = visitor.cookie(SESSION_COOKIE, &signed_in.access_token, signed_in.expires_in);
    let mut answer = layout::go_to(back);
    answer.headers_mut().append(SET_COOKIE, kept);
    Ok(answer)
}

/// Ends the session, for every browser that has its token.
pub async fn sign_out(submitted: Submitted, gateway: Data<Gateway>) -> Answer {
    let Submitted { operator, form } = submitted;
    form.check(&[TOKEN_FIELD], &[])?;
    gateway.ports.users.sign_out.ask(SignOut { session: operator.identity.session }).await?;
    let mut answer = layout::go_to(HOME);
    answer.headers_mut().append(SET_COOKIE, operator.visitor.cookie(SESSION_COOKIE, "", 0));
    Ok(answer)
}

/// Keeps the choice of a language.
pub async fn choose_language(submitted: SubmittedByVisitor) -> Answer {
    let SubmittedByVisitor { visitor, form } = submitted;
    form.check(&[TOKEN_FIELD, "language", "back"], &[])?;
    let language = Language::from_code(form.text("language")).unwrap_or(Language::English);
    let mut answer = layout::go_to(way_back(form.text("back")));
    let kept = visitor.cookie(LANGUAGE_COOKIE, language.code(), LANGUAGE_SECONDS);
    answer.headers_mut().append(SET_COOKIE, kept);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HOST;
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_cookie_is_found_among_others() {
        let request =
            TestRequest::default().insert_header((COOKIE, "a=1; shobai-ops=x.y; b=2")).to_http_request();
        assert_eq!(cookie(&request, "shobai-ops"), Some("x.y"));
        assert_eq!(cookie(&request, "ops"), None);
    }

    #[test]
    fn a_browser_that_says_where_a_form_comes_from_must_say_from_here() {
        let from = |sent: &[(&'static str, &'static str)]| {
            let request =
                sent.iter().fold(TestRequest::default(), |request, header| request.insert_header(*header));
            let request = request.insert_header((HOST, "shop.example:8080")).to_http_request();
            comes_from_here(request.headers(), "shop.example:8080")
        };
        assert!(from(&[]));
        assert!(from(&[("origin", "https://shop.example:8080"), ("sec-fetch-site", "same-origin")]));
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "https://shop.example"),
            ("origin", "null"),
            ("origin", ""),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "none"),
        ] {
            assert!(!from(&[(name, value)]), "{name}: {value}");
        }
    }

    #[test]
    fn nobody_is_led_away_from_the_page() {
        assert_eq!(way_back("/ops/sales/new"), "/ops/sales/new");
        for text in [
            "",
            "/",
            "/opsx",
            "//evil.example",
            "/ops//evil.example",
            "https://evil.example",
            "/ops/\\x",
            "/ops/\r\n",
        ] {
            assert_eq!(way_back(text), "/ops", "{text:?}");
        }
    }

    #[test]
    fn tokens_are_the_same_or_not() {
        assert!(is_same("abc", "abc"));
        assert!(!is_same("abc", "abd") && !is_same("", "a") && !is_same("ab", "abc"));
    }
}
