//! How a page is shown: what surrounds its content, its headers, and the page of a request that failed.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY,
};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::translations::{Catalogue as _, Language};
use super::visitor::{Visitor, is_htmx};
use super::{KitTexts, Link, PageSet, PageTexts as _};
use crate::http::gateway::answer::Answer;
use crate::http::gateway::problem::Problem;

/// Only files of this server are loaded, and no script or style within a page is run.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// What `kit/layout.html` shows around the content of a page.
pub struct Frame<S: PageSet> {
    pub texts: &'static S::Texts,
    pub kit: &'static KitTexts,
    /// What the forms of the page carry; empty on a page without a session, which has no forms.
    pub token: String,
    /// The name of the user who is signed in.
    pub user: Option<String>,
    /// The path of the page, to come back to after a change of the language.
    pub path: String,
}

impl<S: PageSet> Frame<S> {
    pub fn new(visitor: &Visitor<S>, user: Option<String>) -> Self {
        Self {
            texts: visitor.texts(),
            kit: KitTexts::of(visitor.language),
            token: visitor.form_token.clone(),
            user,
            path: visitor.path.clone(),
        }
    }

    /// Without a session, which a request that failed may not have.
    fn without_session(language: Language) -> Self {
        Self {
            texts: S::Texts::of(language),
            kit: KitTexts::of(language),
            token: String::new(),
            user: None,
            path: S::ROOT.to_owned(),
        }
    }

    pub fn title(&self) -> &'static str {
        self.texts.title()
    }

    pub fn sign_in_lead(&self) -> &'static str {
        self.texts.sign_in_lead()
    }

    pub fn back_to_root(&self) -> &'static str {
        self.texts.back_to_root()
    }

    pub fn root(&self) -> &'static str {
        S::ROOT
    }

    pub fn url(&self, below: &str) -> String {
        S::path(below)
    }

    pub fn stylesheet(&self) -> String {
        S::path(&format!("/assets/{}", S::STYLESHEET))
    }

    pub fn script(&self) -> String {
        S::path(&format!("/assets/{}", S::SCRIPT))
    }

    pub fn navigation(&self) -> Vec<Link> {
        S::navigation(self.texts)
    }

    pub fn language(&self) -> &'static str {
        self.kit.language.code()
    }

    pub fn other_language(&self) -> &'static str {
        self.kit.language.other().code()
    }
}

/// What became of a request, for the region that screen readers announce (`kit/outcome.html`).
pub struct Outcome {
    pub is_refused: bool,
    pub text: String,
    pub findings: Vec<String>,
}

#[derive(Template)]
#[template(path = "kit/failed.html")]
struct FailedPage<'a, S: PageSet> {
    frame: Frame<S>,
    why: &'static str,
    request_id: &'a str,
    is_failure: bool,
}

pub fn show(status: StatusCode, page: &impl Template) -> Answer {
    let text =
        page.render().map_err(|error| Problem::broken(format!("a page could not be written: {error}")))?;
    let mut answer = HttpResponse::build(status);
    for header in page_headers() {
        answer.insert_header(header);
    }
    Ok(answer.body(text))
}

fn page_headers() -> [(HeaderName, HeaderValue); 3] {
    [
        (CONTENT_TYPE, HTML),
        (CONTENT_SECURITY_POLICY, POLICY),
        // With `no-referrer`, browsers send `Origin: null` with a form.
        (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    ]
}

/// Leads to another page after a form was accepted, so that loading that page again repeats nothing.
pub fn see_other(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, path)).finish()
}

/// Why a request was refused, in the page set's words or in the kit's; `None` for a code that neither words.
pub fn refusal<S: PageSet>(language: Language, code: &str) -> Option<&'static str> {
    S::Texts::of(language).refusal(code).or_else(|| KitTexts::of(language).refusal(code))
}

/// The body of a page, with the headers that make it one.
pub type RenderedProblem = (Vec<u8>, Vec<(HeaderName, HeaderValue)>);

/// A problem as a page; `None` when it cannot be rendered.
pub fn explain<S: PageSet>(
    problem: &Problem,
    request: &HttpRequest,
    request_id: &str,
) -> Option<RenderedProblem> {
    let language = Language::of::<S>(request);
    let kit = KitTexts::of(language);
    let is_failure = problem.status().is_server_error();
    let unnamed = if is_failure { Some(kit.failed) } else { kit.refusal("invalid-form") };
    let why = refusal::<S>(language, problem.code()).or(unnamed).unwrap_or(kit.failed);
    let frame = Frame::<S>::without_session(language);
    let page = FailedPage { frame, why, request_id, is_failure }.render().ok()?;
    let mut headers = page_headers().to_vec();
    if is_htmx(request) {
        // The page that is shown stays; only the message is added to it.
        headers.push((HeaderName::from_static("hx-reswap"), HeaderValue::from_static("none")));
    }
    Some((page.into_bytes(), headers))
}
