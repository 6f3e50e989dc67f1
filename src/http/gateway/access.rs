//! Who may call a route: what the route table declares, and the caller whom the route's guard identified.
//!
//! The guard (`route.rs`) checks the declaration before the handler reads anything of the request. A handler that needs
//! to know its caller takes [`Caller`].

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::future::{Ready, ready};

use super::problem::Problem;
use super::route::MatchedRoute;
use super::state::Gateway;
use crate::actors::users::{Identity, Permission, Role};

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Every client, also without an access token.
    Public,
    /// A client with a valid access token, whatever its role; 401 for others.
    Customer,
    /// A client whose access token has a role with this permission; 401 without a token, 403 for other roles.
    Staff(Permission),
    /// A page for every browser, such as the one to sign in.
    Page,
    /// A page for signed-in users who may enter its page set; others are led to the page to sign in.
    SignedInPage,
    /// As `SignedInPage`, for users whose role has this permission.
    StaffPage(Permission),
}

impl Access {
    pub const fn is_page(self) -> bool {
        matches!(self, Self::Page | Self::SignedInPage | Self::StaffPage(_))
    }

    /// Whether requests are counted apart from those of the crowd, so that a crowd does not keep them out. All pages are
    /// for operators.
    pub const fn is_for_staff(self) -> bool {
        matches!(self, Self::Staff(_)) || self.is_page()
    }

    /// Checks what the access token must prove; returns the caller where there must be one.
    ///
    /// Pages have sessions of their own, which `pages/kit/visitor.rs` checks.
    pub fn check(self, gateway: &Gateway, request: &HttpRequest) -> Result<Option<Identity>, Problem> {
        match self {
            Self::Public | Self::Page | Self::SignedInPage | Self::StaffPage(_) => Ok(None),
            Self::Customer => Ok(Some(identify(gateway, request)?)),
            Self::Staff(permission) => {
                let identity = identify(gateway, request)?;
                require(identity.role, permission).map(|()| Some(identity))
            }
        }
    }
}

/// Checks what the matched page demands of the role of a signed-in user.
pub fn require_page_access(request: &HttpRequest, role: Role) -> Result<(), Problem> {
    let access = request.extensions().get::<MatchedRoute>().and_then(|route| route.access);
    match access {
        Some(Access::StaffPage(permission)) => require(role, permission),
        Some(Access::SignedInPage) => Ok(()),
        _ => Err(Problem::broken("a page for signed-in users is not declared as one")),
    }
}

fn require(role: Role, permission: Permission) -> Result<(), Problem> {
    if role.permits(permission) {
        Ok(())
    } else {
        Err(Problem::new(403, "staff-only", "only staff may do this"))
    }
}

fn identify(gateway: &Gateway, request: &HttpRequest) -> Result<Identity, Problem> {
    // Also an empty token is verified, so that the verifier alone decides which error it is.
    Ok((gateway.identify)(bearer(request))?)
}

/// The caller of a route that declares customers or staff.
pub struct Caller(pub Identity);

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let identity = request.extensions().get::<MatchedRoute>().and_then(|route| route.identity);
        ready(identity.map(Self).ok_or_else(|| Problem::broken("a public route asks for its caller")))
    }
}

/// The bearer token of a request; empty if it has none.
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
