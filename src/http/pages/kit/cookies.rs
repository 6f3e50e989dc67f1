//! The cookies of a page set: no script reads them, and no other site makes a browser send them.

use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::{HttpRequest, HttpResponse};

use super::PageSet;
use crate::http::gateway::problem::Problem;

pub const YEAR_SECONDS: u64 = 365 * 86_400;

/// Identifies a browser that is not signed in, so that its forms are bound to something too.
pub fn visit_cookie<S: PageSet>() -> String {
    format!("{}-visit", S::COOKIE)
}

/// Holds the chosen language.
pub fn language_cookie<S: PageSet>() -> String {
    format!("{}-language", S::COOKIE)
}

/// The value of a cookie that a browser sent.
pub fn read(request: &HttpRequest, name: &str) -> Option<String> {
    request.cookie_raw(name).map(|cookie| cookie.value().to_owned())
}

/// A cookie that a browser keeps for so many seconds; 0 removes it.
pub fn cookie<S: PageSet>(name: String, value: &str, seconds: u64, is_https: bool) -> Cookie<'static> {
    Cookie::build(name, value.to_owned())
        .path(S::ROOT)
        .max_age(Duration::seconds(i64::try_from(seconds).unwrap_or(i64::MAX)))
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(is_https)
        .finish()
}

pub fn set(answer: &mut HttpResponse, cookie: &Cookie<'_>) -> Result<(), Problem> {
    answer.add_cookie(cookie).map_err(|error| Problem::broken(format!("a cookie could not be set: {error}")))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::COOKIE;
    use actix_web::test::TestRequest;

    use super::super::tests::Shop;
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others_also_beside_a_broken_one() {
        let request = TestRequest::default()
            .insert_header((COOKIE, "a=1; broken; shobai-ops=x.y; b=2"))
            .to_http_request();
        assert_eq!(read(&request, "shobai-ops").as_deref(), Some("x.y"));
        assert_eq!(read(&request, "ops"), None);
    }

    #[test]
    fn a_cookie_is_sent_to_its_page_set_alone_and_over_https_only_when_it_came_so() {
        let text = |is_https| cookie::<Shop>("shop".to_owned(), "x", 60, is_https).to_string();
        assert_eq!(text(false), "shop=x; HttpOnly; SameSite=Strict; Path=/; Max-Age=60");
        assert_eq!(text(true), "shop=x; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=60");
    }
}
