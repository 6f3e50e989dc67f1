//! A dry run: a planned sale as it would be, found out by running it with synthetic customers before it is run with real ones.
//!
//! ```text
//! office    may it be run now? → a scratch database → the run → nothing real was touched? → the report is kept
//! stage     the shop of its own that the run is in: actors, journals, SKUs of the same names, on the scratch database
//! crowd     the customers: who they are, how they queue, order and pay, and what became of them
//! machine   how many orders the machine takes when neither stock nor limit ends them
//! report    what was found out
//! ```
//!
//! It promises that no stock, no ledger, no counter and no customer of the shop is touched: nothing of the run has a way
//! to the shop's database or its figures, and both are looked at before and after. The run takes the machine's time, so
//! it is refused while a sale is on or about to be.

mod actor;
mod crowd;
mod domain;
mod error;
mod machine;
mod messages;
mod office;
mod report;
mod stage;
mod store;

pub use domain::{DryRunDomain, DryRunNeeds, DryRunPorts, ShadowNeeds};
pub use error::DryRunError;
pub use messages::*;
pub use report::*;
pub use stage::{CloseShop, OpenShop, ShadowShop};
