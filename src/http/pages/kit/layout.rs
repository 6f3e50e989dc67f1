//! How the page is shown: templates, what surrounds them, the files that they need, and errors in words.

use std::borrow::Cow;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY,
};
use actix_web::http::{StatusCode, Uri};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::HOME;
use super::session::{Visitor, is_htmx};
use super::translations::{Language, Words};
use crate::http::gateway::answer::Answer;
use crate::http::gateway::input::FromPath;
use crate::http::gateway::problem::Problem;
use crate::types::SaleId;

/// Nothing but this server's own files, and no script or style that stands in a page.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// What every page has around its content.
pub struct Frame {
    pub words: &'static Words,
    /// What its forms must carry.
    pub token: String,
    pub who: Option<String>,
    /// Where it is, to come back to.
    pub path: String,
}

impl Frame {
    pub fn new(visitor: &Visitor, who: Option<String>) -> Self {
        Self {
            words: visitor.language.words(),
            token: visitor.form_token.clone(),
            who,
            path: visitor.path.clone(),
        }
    }

    pub fn language(&self) -> &'static str {
        self.words.language.code()
    }

    pub fn other_language(&self) -> &'static str {
        match self.words.language {
            Language::English => Language::Japanese.code(),
            Language::Japanese => Language::English.code(),
        }
    }
}

/// What became of what somebody wanted, for the region that is read aloud.
pub struct Outcome {
    pub is_refused: bool,
    pub text: String,
    pub findings: Vec<String>,
}

#[derive(Template)]
#[template(path = "ops/sign_in.html")]
pub struct SignInPage<'a> {
    pub frame: Frame,
    pub back: &'a str,
    pub email: &'a str,
    pub notice: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "ops/failed.html")]
struct FailedPage<'a> {
    frame: Frame,
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
        // Browsers say `Origin: null` for a form of a page that sends no referrer at all.
        (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    ]
}

/// After a form was accepted: the place to look at, by a request of its own.
/// A page where things are asked for, and where what came of them is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Sales,
    Sale(SaleId),
}

impl Place {
    /// The one that a browser names, if it is one.
    pub fn of(address: &str) -> Option<Self> {
        let address: Uri = address.parse().ok()?;
        match address.path().strip_prefix(HOME)? {
            "" => Some(Self::Sales),
            path => path.strip_prefix("/sales/")?.parse().ok().map(Self::Sale),
        }
    }

    pub fn path(self) -> String {
        match self {
            Self::Sales => HOME.to_owned(),
            Self::Sale(sale) => format!("{HOME}/sales/{sale}"),
        }
    }
}

pub fn go_to(place: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, place)).finish()
}

/// Whether requests of this route come from people at the page, who want words.
pub fn is_for_people(route: &str) -> bool {
    route.starts_with(HOME)
}

pub type Headers = Vec<(HeaderName, HeaderValue)>;

/// A problem as a page, with the headers that make it one; nothing where even that is not possible.
pub fn explain(problem: &Problem, request: &HttpRequest, request_id: &str) -> Option<(Vec<u8>, Headers)> {
    let words = Language::of(request).words();
    let is_failure = problem.status().is_server_error();
    let unnamed = if is_failure { Some(words.failed) } else { words.refusal("invalid-form") };
    let why = words.refusal(problem.code()).or(unnamed).unwrap_or(words.failed);
    // Without the forms of a session, which the request may not have.
    let frame = Frame { words, token: String::new(), who: None, path: HOME.to_owned() };
    let page = FailedPage { frame, why, request_id, is_failure }.render().ok()?;
    let mut headers = page_headers().to_vec();
    if is_htmx(request) {
        // What is shown stays; the message is swapped in beside it.
        headers.push((HeaderName::from_static("hx-reswap"), HeaderValue::from_static("none")));
    }
    Some((page.into_bytes(), headers))
}

/// A file that the pages need.
pub async fn get_asset(file: FromPath<String>) -> Answer {
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    const STYLE: &str = "text/css; charset=utf-8";
    macro_rules! web {
        ($path:literal) => {
            include_str!(concat!("../../../../web/", $path))
        };
    }
    let (kind, text) = match &*file.0 {
        "ops.css" => (STYLE, web!("ops/ops.css")),
        "ops.js" => (SCRIPT, web!("ops/ops.js")),
        "icon.svg" => ("image/svg+xml", web!("ops/icon.svg")),
        "htmx.js" => (SCRIPT, web!("vendor/htmx/htmx.min.js")),
        "uplot.js" => (SCRIPT, web!("vendor/uplot/uPlot.iife.min.js")),
        "uplot.css" => (STYLE, web!("vendor/uplot/uPlot.min.css")),
        _ => return Err(Problem::not_found()),
    };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, kind))
        // Asked for anew after an hour: another version of the engine may have another one.
        .insert_header((CACHE_CONTROL, "private, max-age=3600"))
        .body(text))
}

/// A text cut to so many characters.
pub fn cut(text: &str, characters_max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(characters_max) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("福袋の日", 2), "福袋…");
        assert_eq!(cut("福袋", 2), "福袋");
    }
}
