//! Whether a form was sent from a page of its session, so that no other site sends one in a user's name.
//!
//! Every form carries a token that is derived from its session. A browser that says where a request comes from must
//! name this server besides.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, ORIGIN};

use super::PageSet;
use crate::http::gateway::Gateway;
use crate::http::gateway::problem::Problem;

/// The hidden field of every form.
pub const TOKEN_FIELD: &str = "token";

/// The token that forms carry which are bound to a session, or to the visit of a browser without one.
pub fn token_of<S: PageSet>(gateway: &Gateway, bound_to: &str) -> String {
    gateway.pass_key.pseudonym(S::FORM_TOKENS, bound_to)
}

pub fn require_token(sent: &str, expected: &str) -> Result<(), Problem> {
    if is_same(sent, expected) { Ok(()) } else { Err(foreign()) }
}

/// Refuses a request that its browser says another site made. One that says nothing is judged by its token alone.
pub fn require_same_origin(request: &HttpRequest) -> Result<(), Problem> {
    let host = request.connection_info().host().to_owned();
    if is_same_origin(request.headers(), &host) { Ok(()) } else { Err(foreign()) }
}

fn is_same_origin(headers: &HeaderMap, host: &str) -> bool {
    let site = headers.get(HeaderName::from_static("sec-fetch-site"));
    let is_this_host = |origin: &HeaderValue| {
        let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, it)| it);
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    };
    site.is_none_or(|site| site == "same-origin") && headers.get(ORIGIN).is_none_or(is_this_host)
}

/// Takes the same time wherever the two differ.
fn is_same(one: &str, other: &str) -> bool {
    one.len() == other.len()
        && one.bytes().zip(other.bytes()).fold(0, |differ, (one, other)| differ | (one ^ other)) == 0
}

fn foreign() -> Problem {
    Problem::new(403, "foreign-request", "the form was not sent from a page of this session")
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HOST;
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_browser_that_names_the_origin_of_a_form_must_name_this_server() {
        let from = |sent: &[(&'static str, &'static str)]| {
            let request =
                sent.iter().fold(TestRequest::default(), |request, header| request.insert_header(*header));
            let request = request.insert_header((HOST, "shop.example:8080")).to_http_request();
            is_same_origin(request.headers(), "shop.example:8080")
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
    fn tokens_are_the_same_only_when_every_character_is() {
        assert!(is_same("abc", "abc"));
        assert!(!is_same("abc", "abd") && !is_same("", "a") && !is_same("ab", "abc"));
    }
}
