//! Who is asking: the bearer of an access token, and what the role allows.

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::{Ready, ready};

use super::problem::Problem;
use super::state::Gateway;
use crate::actors::users::{Identity, Role};

/// Anybody with a valid access token; 401 otherwise.
pub struct SignedInCustomer(pub Identity);

/// Staff and admins; 403 for everybody else.
pub struct StaffMember(pub Identity);

impl FromRequest for SignedInCustomer {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(identify(request).map(Self))
    }
}

impl FromRequest for StaffMember {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(identify(request).and_then(|identity| {
            if identity.role.may(Role::Staff) {
                Ok(Self(identity))
            } else {
                Err(Problem::new(403, "staff-only", "only staff may do this"))
            }
        }))
    }
}

fn identify(request: &HttpRequest) -> Result<Identity, Problem> {
    let gateway =
        request.app_data::<Data<Gateway>>().ok_or_else(|| Problem::broken("the app has no gateway"))?;
    // Without a token the verifier is asked all the same, so that it alone decides what is said.
    Ok((gateway.identify)(bearer(request))?)
}

/// The token that a request bears; empty if it bears none.
pub fn bearer(request: &HttpRequest) -> &str {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    header.and_then(bearer_token).unwrap_or_default()
}

fn bearer_token(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::bearer_token;

    #[test]
    fn only_a_bearer_token_is_one() {
        assert_eq!(bearer_token("Bearer a.b.c"), Some("a.b.c"));
        assert_eq!(bearer_token("bearer a.b.c"), Some("a.b.c"));
        for other in ["", "a.b.c", "Basic YTpi", "Bearer"] {
            assert_eq!(bearer_token(other), None, "{other}");
        }
    }
}
