//! Sales owns the flash sale: its plan, its schedule, who may buy at which moment and how much (schema `sales`).
//!
//! It promises that no order passes before a sale opens, after it ends, while it is stopped, or beyond a customer's
//! limit; inventory alone decides how many pieces there are. It asks catalog and
//! inventory, and tells the waiting room how its sales stand.
//!
//! | to find | read |
//! |---|---|
//! | whether an order may have pieces of a sale | `gates/` |
//! | which status follows which, and the rules of a plan | `model.rs`, `model/` |
//! | how an operator's command is carried out | `actor/commands.rs`, then `lifecycle.rs`, `switches.rs`, `allotments.rs` |
//! | what needs a second operator | `approvals.rs` |
//! | what happens by itself | `actor/upkeep.rs` |
//! | what the waiting room is told | `waiting_room.rs` |

mod actor;
mod allotments;
mod approvals;
mod domain;
mod error;
mod gates;
mod lifecycle;
mod messages;
mod model;
mod planning;
mod sale_locks;
mod sale_skus;
mod service;
mod store;
mod switches;
mod waiting_room;

pub use domain::{SalesDomain, SalesNeeds, SalesPorts};
pub use error::SalesError;
pub use gates::{
    DECLINED, DeviceId, GATES, NameKind, QuotaHold, QuotaRequest, Refusal, Refused, Tally, UnwrittenStops,
};
pub use messages::*;
pub use model::{
    Action, ChangeRecord, CommandOutcome, ControlledAction, Finding, Halt, HoldSeconds, Initiator,
    KonbiniTerms, Proposal, Sale, SaleDraft, SaleItem, SaleStatus, SwitchCommand, Terms,
};
pub use sale_skus::{SALE_SKUS_USABLE_FOR, SaleSkus, SaleSkusVersion};
