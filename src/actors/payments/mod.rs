//! Payments owns how an order is paid: methods, konbini slips, captures, refunds, and what the provider reports.
//!
//! The provider is a sandbox that lives in this process, takes no money and gives the same answer to the same order,
//! so nothing is stored here: an order keeps its [`Payment`] as it was answered. Payments asks no other domain.

mod actor;
mod domain;
mod error;
mod messages;
mod model;
mod webhooks;

pub use domain::{PaymentsDomain, PaymentsPorts};
pub use error::PaymentsError;
pub use messages::*;
pub use model::{
    CardCharge, CardToken, KonbiniChain, KonbiniSlip, Payment, PaymentMethod, PaymentStatus, PhoneNumber,
};
pub use webhooks::{PaymentReport, SIGNATURE_HEADER, WebhookSecret};
