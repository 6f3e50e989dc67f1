//! The operators' page at `/ops`: staff plan sales, watch them live and stop them, in a browser.
//!
//! Every page works without JavaScript; with it, htmx swaps parts of the same pages and a stream keeps the figures
//! live. It asks the ports that the JSON API asks, so nothing can be done here that cannot be done there.

mod dry_run;
mod editor;
mod forms;
mod history;
mod japan;
mod live;
mod pages;
mod proposals;
mod questions;
mod report;
mod sales;
mod session;
mod words;

pub use dry_run::{get_dry_run, start_dry_run};
pub use editor::{create_sale, plan_again, plan_sale, replan_sale};
pub use live::get_live;
pub use pages::get_asset;
pub(super) use pages::{explain, is_for_people};
pub use proposals::withdraw_proposal;
pub use questions::{confirm_everything, confirm_move, confirm_withdrawal};
pub use report::download_report;
pub use sales::{change_item, get_sale, list_sales, move_sale, switch_everything, switch_item};
pub(super) use session::keep_session;
pub use session::{choose_language, sign_in, sign_out};

/// Where the page begins, and the path of its cookies.
const HOME: &str = "/ops";
/// Holds the access token.
const SESSION_COOKIE: &str = "shobai-ops";
