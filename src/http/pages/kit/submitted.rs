//! A form as it arrives: sent from a page of this server, in a session, and read once all of that is certain.

use actix_web::dev::Payload;
use actix_web::web::Bytes;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest};
use futures_util::future::LocalBoxFuture;

use super::PageSet;
use super::csrf::{self, TOKEN_FIELD};
use super::forms::Form;
use super::visitor::{SignedIn, Visitor};
use crate::http::gateway::input::RawBody;
use crate::http::gateway::problem::Problem;

/// A form that a visitor or a signed-in user sent from a page.
pub struct Submitted<T> {
    pub sender: T,
    pub form: Form,
}

/// The sender of a form, who knows which token it must carry.
pub trait Sender: FromRequest<Error: Into<Error>> + 'static {
    fn form_token(&self) -> &str;
}

impl<S: PageSet> Sender for Visitor<S> {
    fn form_token(&self) -> &str {
        &self.form_token
    }
}

impl<S: PageSet> Sender for SignedIn<S> {
    fn form_token(&self) -> &str {
        &self.visitor.form_token
    }
}

impl<T: Sender> FromRequest for Submitted<T> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        // Before the session is read, so that a request from another site learns nothing about it.
        let same_origin = csrf::require_same_origin(request);
        let body = read_form(request, payload);
        let request = request.clone();
        Box::pin(async move {
            same_origin?;
            let sender = T::extract(&request).await.map_err(Into::into)?;
            let mut form = Form::parse(&body.await?)?;
            csrf::require_token(&form.take(TOKEN_FIELD), sender.form_token())?;
            Ok(Self { sender, form })
        })
    }
}

fn read_form(
    request: &HttpRequest,
    payload: &mut Payload,
) -> impl Future<Output = Result<Bytes, Problem>> + use<> {
    let is_form = request.content_type().eq_ignore_ascii_case("application/x-www-form-urlencoded");
    let body = RawBody::from_request(request, payload);
    async move {
        if !is_form {
            return Err(Problem::new(415, "unsupported-media-type", "a form must be sent as a form"));
        }
        Ok(body.await?.0)
    }
}
