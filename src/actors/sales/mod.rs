//! Sales owns the flash sale: its plan, its schedule, who may buy at which moment and how much (schema `sales`).
//!
//! It promises that no order passes before a sale opens, after it ends, while it is stopped, or beyond a customer's
//! limit; how many pieces there are is decided by the owner of the stock alone. It asks catalog and inventory.

pub(super) mod actor;
pub(super) mod domain;
pub(super) mod error;
pub(super) mod gates;
pub(super) mod messages;
pub(super) mod model;
mod moves;
mod proposals;
mod sale_skus;
pub(super) mod store;
mod turns;

pub use crate::actors::waiting_room::*;
pub use domain::{SalesDomain, SalesNeeds, SalesPorts};
pub use error::SalesError;
pub use gates::{DECLINED, DeviceId, GATES, QuotaHold, QuotaRequest, Refusal, Refused, Tally, Unwritten};
pub use messages::*;
pub use model::{
    Action, Actor, AdmissionMode, AdmissionTerms, Changed, Finding, Halt, HoldSeconds, KonbiniTerms, Sale,
    SaleDraft, SaleItem, SaleStatus, Terms, Turn,
};
pub use proposals::{Proposal, Steered, Wish};
pub use sale_skus::{SALE_SKUS_USABLE_FOR, SaleSkus, SaleSkusVersion};
