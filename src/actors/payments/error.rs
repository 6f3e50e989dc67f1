//! Why payments refuses, and what can fail in it.

use serde::{Deserialize, Serialize};

use crate::actors::runtime::AskError;
use crate::error::{Fault, Kind};
use crate::types::InvalidValue;

#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
pub enum PaymentsError {
    #[error("the card was declined")]
    Declined,
    /// The token is not repeated: a client that sends a card's number instead must not find it in an answer or a log.
    #[error("the card token is unknown")]
    UnknownCardToken,
    #[error("the webhook's signature is missing or wrong")]
    BadSignature,
    #[error("the webhook was signed more than {tolerance_seconds} seconds away from now")]
    StaleSignature { tolerance_seconds: u64 },
    #[error("the webhook's body cannot be understood: {0}")]
    MalformedReport(String),
    #[error(transparent)]
    Invalid(#[from] InvalidValue),
    #[error(transparent)]
    Asking(#[from] AskError),
}

impl Fault for PaymentsError {
    fn kind(&self) -> Kind {
        match self {
            PaymentsError::Declined => Kind::PaymentRequired,
            PaymentsError::UnknownCardToken | PaymentsError::MalformedReport(_) => Kind::Invalid,
            PaymentsError::BadSignature | PaymentsError::StaleSignature { .. } => Kind::Unauthenticated,
            PaymentsError::Invalid(error) => error.kind(),
            PaymentsError::Asking(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            PaymentsError::Declined => "payment-declined",
            PaymentsError::UnknownCardToken => "unknown-card-token",
            PaymentsError::BadSignature => "bad-signature",
            PaymentsError::StaleSignature { .. } => "stale-signature",
            PaymentsError::MalformedReport(_) => "malformed-report",
            PaymentsError::Invalid(error) => error.code(),
            PaymentsError::Asking(error) => error.code(),
        }
    }
}
