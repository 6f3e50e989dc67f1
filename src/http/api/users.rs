//! Accounts and sessions: registering, signing in and out, and the signed-in user.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::web::Data;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::actors::users::{
    Email, GetUser, Password, PersonName, RefreshSession, RegisterUser, SignIn, SignOut, SignedIn, User,
};
use crate::http::gateway::Gateway;
use crate::http::gateway::access::Caller;
use crate::http::gateway::answer::{self, Answer};
use crate::http::gateway::input::{self, FromJson};

/// A new account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterUserBody {
    /// The address to sign in with.
    #[serde(deserialize_with = "input::text")]
    #[schema(value_type = String, max_length = 254, format = Email, example = "hanako@example.jp")]
    pub email: Email,
    /// At least five different characters; neither a common one nor one with the email's name in it.
    #[schema(value_type = String, format = Password, min_length = 12, max_length = 128, example = "plum rain in june")]
    pub password: SecretString,
    #[serde(deserialize_with = "input::text")]
    #[schema(value_type = String, min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$", example = "佐藤 花子")]
    pub name: PersonName,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignInBody {
    #[serde(deserialize_with = "input::text")]
    #[schema(value_type = String, max_length = 254, format = Email, example = "hanako@example.jp")]
    pub email: Email,
    #[schema(value_type = String, format = Password, example = "plum rain in june")]
    pub password: SecretString,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshSessionBody {
    /// Works once; using it a second time ends the session.
    #[schema(value_type = String, example = "gWkO0m1bN1oY0t9E4cO3w0m2v0w6d3J1b5h0m3x9p5c")]
    pub refresh_token: SecretString,
}

/// A session and its user. Without `Debug`: a token gives access to the account, so tokens stay out of every log.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SignedInView<'a> {
    pub user: UserView<'a>,
    /// Sent as `Authorization: Bearer …`.
    pub access_token: Cow<'a, str>,
    pub refresh_token: Cow<'a, str>,
    #[schema(example = "Bearer")]
    pub token_type: Cow<'static, str>,
    /// Seconds for which the access token works.
    #[schema(example = 3600)]
    pub expires_in: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UserView<'a> {
    pub id: Uuid,
    #[schema(example = "hanako@example.jp")]
    pub email: Cow<'a, str>,
    #[schema(example = "佐藤 花子")]
    pub name: Cow<'a, str>,
    /// `customer`, `staff` or `admin`.
    #[schema(example = "customer")]
    pub role: Cow<'static, str>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl<'a> UserView<'a> {
    fn of(user: &'a User) -> Self {
        Self {
            id: user.id.uuid(),
            email: user.email.as_str().into(),
            name: user.name.as_str().into(),
            role: user.role.as_str().into(),
            created_at: user.created_at,
        }
    }
}

impl<'a> SignedInView<'a> {
    fn of(signed_in: &'a SignedIn) -> Self {
        Self {
            user: UserView::of(&signed_in.user),
            access_token: Cow::Borrowed(&signed_in.access_token),
            refresh_token: signed_in.refresh_token.expose_secret().into(),
            token_type: "Bearer".into(),
            expires_in: signed_in.expires_in,
        }
    }
}

/// Opens an account and signs the customer in.
#[utoipa::path(
    post, path = "/v1/auth/register", tag = "users", request_body = RegisterUserBody,
    responses(
        (status = 201, description = "The account is open and signed in", body = SignedInView),
        (status = 409, description = "`email-taken`: an account with this address exists already"),
        (status = 422, description = "`invalid-body`, or `weak-password` with its `reason`"),
    )
)]
pub async fn register_user(body: FromJson<RegisterUserBody>, gateway: Data<Gateway>) -> Answer {
    let FromJson(RegisterUserBody { email, password, name }) = body;
    let password = Password::choose(password, &email)?;
    let signed_in = gateway.ports.users.register_user.ask(RegisterUser { email, password, name }).await?;
    answer::created(&SignedInView::of(&signed_in))
}

/// Begins a session.
#[utoipa::path(
    post, path = "/v1/auth/login", tag = "users", request_body = SignInBody,
    responses(
        (status = 200, description = "Signed in", body = SignedInView),
        (status = 401, description = "`bad-credentials`: one text and one timing for every reason"),
    )
)]
pub async fn sign_in(body: FromJson<SignInBody>, gateway: Data<Gateway>) -> Answer {
    let FromJson(SignInBody { email, password }) = body;
    let signed_in = gateway.ports.users.sign_in.ask(SignIn { email, password }).await?;
    answer::ok(&SignedInView::of(&signed_in))
}

/// Exchanges a refresh token for new tokens.
#[utoipa::path(
    post, path = "/v1/auth/refresh", tag = "users", request_body = RefreshSessionBody,
    responses(
        (status = 200, description = "The session goes on with new tokens", body = SignedInView),
        (status = 401, description = "`bad-refresh-token`: unknown, used before, too old, or its session ended"),
    )
)]
pub async fn refresh_session(body: FromJson<RefreshSessionBody>, gateway: Data<Gateway>) -> Answer {
    let FromJson(RefreshSessionBody { refresh_token }) = body;
    let signed_in = gateway.ports.users.refresh_session.ask(RefreshSession { refresh_token }).await?;
    answer::ok(&SignedInView::of(&signed_in))
}

/// Ends the session; its tokens stop working.
#[utoipa::path(
    post, path = "/v1/auth/logout", tag = "users",
    responses((status = 204, description = "The session has ended"))
)]
pub async fn sign_out(customer: Caller, gateway: Data<Gateway>) -> Answer {
    gateway.ports.users.sign_out.ask(SignOut { session: customer.0.session }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The signed-in user.
#[utoipa::path(
    get, path = "/v1/users/me", tag = "users",
    responses(
        (status = 200, description = "The signed-in user", body = UserView),
        (status = 404, description = "`unknown-user`: the account is gone"),
    )
)]
pub async fn get_user(customer: Caller, gateway: Data<Gateway>) -> Answer {
    let user = gateway.ports.users.get_user.ask(GetUser { id: customer.0.customer }).await?;
    answer::ok(&UserView::of(&user))
}

/// The keys with which access tokens are signed, for services that check them.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "users",
    responses((status = 200, description = "A JWK set (RFC 7517)", body = Object))
)]
pub async fn get_keys(gateway: Data<Gateway>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("Content-Type", "application/json"))
        .insert_header(("Cache-Control", "public, max-age=300"))
        .body(gateway.key_set.clone())
}
