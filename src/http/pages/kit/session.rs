//! Signing in and out at a page, and the way back to where a visitor was led from.
//!
//! The access token is kept in a cookie (`cookies.rs`); it is renewed while it is used (`visitor.rs`).

use actix_web::http::header::{HeaderName, LOCATION};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use askama::Template;

use super::layout::{Frame, see_other, show};
use super::visitor::{SignedIn, Visitor, is_htmx};
use super::{PageSet, PageTexts as _, Submitted, cookies};
use crate::actors::users::{Email, SignIn, SignOut, UsersError};
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::Answer;

#[derive(Template)]
#[template(path = "kit/sign_in.html")]
struct SignInPage<'a, S: PageSet> {
    frame: Frame<S>,
    back: &'a str,
    email: &'a str,
    notice: Option<&'static str>,
}

/// Redirects to the sign-in page, and from there back to the page that was asked for.
#[derive(Debug)]
pub(super) struct ToSignIn {
    root: &'static str,
    back: String,
    is_htmx: bool,
}

impl ToSignIn {
    pub(super) fn from_page_of<S: PageSet>(request: &HttpRequest) -> Self {
        let is_page = request.method() == Method::GET && !is_htmx(request);
        let back = if is_page { request.path() } else { S::ROOT };
        Self { root: S::ROOT, back: back.to_owned(), is_htmx: is_htmx(request) }
    }
}

impl std::fmt::Display for ToSignIn {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the visitor is not signed in")
    }
}

impl ResponseError for ToSignIn {
    fn status_code(&self) -> StatusCode {
        if self.is_htmx { StatusCode::OK } else { StatusCode::SEE_OTHER }
    }

    fn error_response(&self) -> HttpResponse {
        let to = format!("{}?back={}", self.root, self.back);
        let header = if self.is_htmx { HeaderName::from_static("hx-redirect") } else { LOCATION };
        HttpResponse::build(self.status_code()).insert_header((header, to)).finish()
    }
}

/// Where a visitor goes after the sign-in: a path of this page set, or its root.
pub fn way_back<S: PageSet>(path: &str) -> &str {
    let is_plain =
        path.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'?' | b'='));
    if S::contains(path) && is_plain && !path.contains("//") { path } else { S::ROOT }
}

/// The page to sign in, for a visitor who was redirected from `back`; empty for one who came directly.
pub fn sign_in_page<S: PageSet>(visitor: &Visitor<S>, back: &str) -> Answer {
    let notice = (!back.is_empty()).then_some(visitor.kit_texts().session_ended);
    show_sign_in(visitor, way_back::<S>(back), "", notice, StatusCode::OK)
}

fn show_sign_in<S: PageSet>(
    visitor: &Visitor<S>,
    back: &str,
    email: &str,
    notice: Option<&'static str>,
    status: StatusCode,
) -> Answer {
    let frame = Frame::new(visitor, None);
    let mut answer = show(status, &SignInPage { frame, back, email, notice })?;
    if let Some(visit) = &visitor.new_visit {
        let cookie = visitor.cookie(cookies::visit_cookie::<S>(), visit, cookies::YEAR_SECONDS);
        cookies::set(&mut answer, &cookie)?;
    }
    Ok(answer)
}

/// Begins a session of a user who may enter; any other session is ended again at once.
pub async fn sign_in<S: PageSet>(submitted: Submitted<Visitor<S>>, gateway: Data<Gateway>) -> Answer {
    let Submitted { sender: visitor, form } = submitted;
    form.check(&["email", "password", "back"], &[])?;
    let texts = visitor.kit_texts();
    let (email, back) = (form.text("email"), way_back::<S>(form.text("back")));
    let refuse = |notice, status| show_sign_in(&visitor, back, email, Some(notice), status);
    let Ok(address) = email.parse::<Email>() else {
        return refuse(texts.bad_credentials, StatusCode::UNAUTHORIZED);
    };
    let users = &gateway.ports.users;
    let question = SignIn { email: address, password: form.raw("password").to_owned().into() };
    let signed_in = match users.sign_in.ask(question).await {
        Ok(signed_in) => signed_in,
        Err(UsersError::BadCredentials) => return refuse(texts.bad_credentials, StatusCode::UNAUTHORIZED),
        Err(error) => return Err(error.into()),
    };
    if !S::may_enter(signed_in.user.role) {
        let session = (gateway.identify)(&signed_in.access_token)?.session;
        users.sign_out.ask(SignOut { session }).await?;
        return refuse(visitor.texts().not_admitted(), StatusCode::FORBIDDEN);
    }
    let mut answer = see_other(back);
    let cookie = visitor.cookie(S::COOKIE, &signed_in.access_token, signed_in.expires_in);
    cookies::set(&mut answer, &cookie)?;
    Ok(answer)
}

/// Ends the session, for every browser that has its token.
pub async fn sign_out<S: PageSet>(submitted: Submitted<SignedIn<S>>, gateway: Data<Gateway>) -> Answer {
    let Submitted { sender, form } = submitted;
    form.check(&[], &[])?;
    gateway.ports.users.sign_out.ask(SignOut { session: sender.identity.session }).await?;
    let mut answer = see_other(S::ROOT);
    cookies::set(&mut answer, &sender.visitor.cookie(S::COOKIE, "", 0))?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Admin, Shop};
    use super::*;

    #[test]
    fn a_visitor_is_never_led_away_from_the_page_set() {
        assert_eq!(way_back::<Admin>("/admin/users/new"), "/admin/users/new");
        assert_eq!(way_back::<Shop>("/products/lamp"), "/products/lamp");
        for text in [
            "",
            "/",
            "/adminx",
            "//evil.example",
            "/admin//evil.example",
            "https://evil.example",
            "/admin/\\x",
            "/admin/\r\n",
        ] {
            assert_eq!(way_back::<Admin>(text), "/admin", "{text:?}");
        }
        for text in ["", "//evil.example", "https://evil.example", "/\\evil.example"] {
            assert_eq!(way_back::<Shop>(text), "/", "{text:?}");
        }
    }
}
