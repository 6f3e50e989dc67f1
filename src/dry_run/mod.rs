//! A dry run: the course of a planned sale, found out by running it with synthetic customers before real ones come.
//!
//! ```text
//! service       may the sale be run now? → a scratch database → the run → was the shop touched? → the report is kept
//! run           one run on a thread of its own: stocked, sold, measured, audited, closed
//! shadow_shop   the shop of the run: actors, journals and SKUs of the same names on the scratch database
//! crowd         the customers: when they come, how they wait, order and pay
//! buyer         one customer: id, payment, kind
//! figures       counts what happens to them
//! machine       how many orders the machine takes when neither stock nor limits end them
//! report        the result
//! ```
//!
//! It promises that no stock, no ledger, no counter and no customer of the shop is touched: the run has no access to
//! the shop's database or metrics, and the shop is compared before and after. The run takes the machine's time, so it
//! is refused while a sale is on or about to be.

mod actor;
mod buyer;
mod crowd;
mod domain;
mod error;
mod figures;
mod machine;
mod messages;
mod report;
mod run;
mod service;
mod shadow_shop;
mod store;

pub use domain::{DryRunDomain, DryRunNeeds, DryRunPorts, ShadowNeeds};
pub use error::DryRunError;
pub use messages::*;
pub use report::*;
pub use shadow_shop::{CloseShop, OpenShop, ShadowShop};
