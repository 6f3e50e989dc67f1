//! The operators' page at `/ops`: staff plan sales, watch them live and stop them, in a browser.
//!
//! Every page works without JavaScript; with it, htmx swaps parts of the same pages and a stream keeps the figures
//! live. It asks the ports that the JSON API asks, so nothing can be done here that cannot be done there.

mod dry_run;
mod editor;
mod history;
mod live;
mod proposals;
mod questions;
mod report;
mod sales;

pub use super::kit::layout::get_asset;
pub use super::kit::session::{choose_language, sign_in, sign_out};
pub use dry_run::{get_dry_run, start_dry_run};
pub use editor::{create_sale, plan_again, plan_sale, replan_sale};
pub use live::get_live;
pub use proposals::withdraw_proposal;
pub use questions::{confirm_everything, confirm_move, confirm_withdrawal};
pub use report::download_report;
pub use sales::{change_item, get_sale, list_sales, move_sale, switch_everything, switch_item};
