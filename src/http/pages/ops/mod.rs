//! The operators' pages at `/ops`: staff plan sales, watch them live and stop them, in a browser.
//!
//! Every page works without JavaScript. With it, htmx replaces parts of the same pages and a stream keeps the figures
//! live. The pages ask the ports that the JSON API asks, so they can do nothing that the API cannot.

mod calendar;
mod coded_texts;
mod commands;
mod confirmations;
mod controls;
mod dry_run;
mod editor;
mod history;
mod live;
mod outcomes;
mod place;
mod plan_form;
mod proposals;
mod report;
mod sale;
mod sale_list;
mod sellout;
mod translations;

pub use commands::{change_item, move_sale, switch_everything, switch_item};
pub use confirmations::{confirm_everything, confirm_move, confirm_withdrawal};
pub use dry_run::{get_dry_run, start_dry_run};
pub use editor::{create_sale, plan_again, plan_sale, replan_sale};
pub use live::get_live;
pub use proposals::withdraw_proposal;
pub use report::download_report;
pub use sale::get_sale;
pub use sale_list::list_sales;

use self::translations::OpsTexts;
use super::kit::{self, Asset, HTMX, ICON, Link, PageSet, web};
use crate::actors::users::Role;

/// The page set of the operators.
pub struct Ops;

const ROOT: &str = Ops::ROOT;

/// A member of staff who is signed in.
type Operator = kit::SignedIn<Ops>;
/// A form that an operator sent.
type Submitted = kit::Submitted<Operator>;
type Frame = kit::Frame<Ops>;

impl PageSet for Ops {
    const ROOT: &'static str = "/ops";
    const COOKIE: &'static str = "shobai-ops";
    const FORM_TOKENS: &'static str = "ops-form";
    const STYLESHEET: &'static str = "ops.css";
    const SCRIPT: &'static str = "ops.js";
    const ASSETS: &'static [Asset] = &[
        Asset::style("ops.css", concat!(web!("kit/kit.css"), web!("ops/ops.css"))),
        Asset::script("ops.js", concat!(web!("kit/kit.js"), web!("ops/ops.js"))),
        ICON,
        HTMX,
        Asset::script("uplot.js", web!("vendor/uplot/uPlot.iife.min.js")),
        Asset::style("uplot.css", web!("vendor/uplot/uPlot.min.css")),
    ];

    type Texts = OpsTexts;

    fn may_enter(role: Role) -> bool {
        role.may(Role::Staff)
    }

    /// Every page is reached from the list of sales, which is the first page.
    fn navigation(_: &'static OpsTexts) -> Vec<Link> {
        Vec::new()
    }
}
