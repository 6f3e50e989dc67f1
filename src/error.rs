//! What every error of the engine can say about itself: a kind, a stable code, and whose fault it is.
//!
//! A *refusal* is the domain saying no; a *failure* is something broken. The one table from [`Kind`] to an HTTP
//! status lives here, so that no handler chooses a status of its own.

use std::fmt;

/// The kinds of refusal and failure that callers are able to act upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request itself is wrong; repeating it unchanged will fail again.
    Invalid,
    /// The caller is unknown, or its credentials are not accepted.
    Unauthenticated,
    /// The caller is known and may not do this.
    Forbidden,
    /// The payment was declined.
    PaymentRequired,
    NotFound,
    /// The state of the thing does not allow it.
    Conflict,
    /// A bound was reached; the same request may succeed a moment later.
    Busy,
    /// Too many from the same side; the same request may succeed when it comes more slowly.
    TooMany,
    /// A part that is needed cannot be reached, or the outcome is not known; the same idempotency key finds out.
    Unavailable,
    /// The answer did not come before its deadline.
    Late,
    /// Something is broken; the client gets a fixed sentence and a request id.
    Internal,
}

impl Kind {
    /// The HTTP status of this kind (RFC 9110).
    pub const fn http_status(self) -> u16 {
        match self {
            Kind::Invalid => 422,
            Kind::Unauthenticated => 401,
            Kind::PaymentRequired => 402,
            Kind::Forbidden => 403,
            Kind::NotFound => 404,
            Kind::Conflict => 409,
            Kind::TooMany => 429,
            Kind::Busy | Kind::Unavailable | Kind::Late => 503,
            Kind::Internal => 500,
        }
    }
}

/// What an error tells the edge of the engine about itself.
pub trait Fault: fmt::Display {
    fn kind(&self) -> Kind;

    /// A stable word in kebab case that clients may match on, for example `out-of-stock`.
    fn code(&self) -> &'static str;

    /// Facts that belong to the refusal and that clients may read, for example the pieces still available.
    fn details(&self) -> serde_json::Map<String, serde_json::Value> {
        serde_json::Map::new()
    }

    /// Seconds after which asking again may bring another answer, where waiting helps.
    fn retry_after(&self) -> Option<u32> {
        None
    }
}
