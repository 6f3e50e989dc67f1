//! `shobai load`: an honest load harness. Knows a shop by its REST contract alone, and none of the engine's insides.
//!
//! ```text
//!  scenario ─► schedule ─► generator  one thread: begins visits when they are due
//!                             │
//!  operator ─ sale ─ crowd ─ visit     a customer's steps ─► shop (requests, answers) ─► client (HTTP/1.1)
//!                             │
//!                   tally ────┴──── attempts       what was measured, what the customers were told
//!                     │                 │
//!                  collect            audit        compares that with what the shop says afterwards
//!                     └──────► result ◄─┘
//!                                │
//!                    table, result.json, page (report.html), compare, merge
//! ```
//!
//! In open loop a visit has an intended start, and its first latency counts from there, so a shop that stands still is
//! seen by everybody who would have come meanwhile (no coordinated omission). How late the generator itself was is
//! measured too, and a run in which it was the limit is not valid.

mod attempts;
mod audit;
pub(super) mod client;
mod clock;
mod collect;
mod compare;
mod crowd;
pub(super) mod customers;
mod fairness;
mod generator;
mod goals;
mod histograms;
mod machine;
mod merge;
mod operator;
mod page;
mod progress;
mod result;
mod run;
mod sale_plan;
mod scenario;
mod schedule;
mod scrape;
pub(super) mod shop;
mod tally;
mod visit;
mod wanted;
mod watch;

use std::process::ExitCode;

use clap::Subcommand;

use crate::config::Config;

#[derive(Debug, Subcommand)]
pub(super) enum Load {
    /// Runs a scenario against a shop and reports; exit code 1 if its audit finds something, 3 if it is not
    /// valid, 4 if it misses a goal of its scenario.
    Run(run::Run),
    /// Compares two runs, or two sets of runs, and tells what is noise.
    Compare(compare::Compare),
    /// Puts the reports of all shards of a run together.
    Merge(merge::Merge),
}

impl Load {
    pub(super) async fn carry_out(self, config: &Config) -> anyhow::Result<ExitCode> {
        match self {
            Load::Run(run) => run::run(run, config).await,
            Load::Compare(wanted) => compare::compare(&wanted).map(|()| ExitCode::SUCCESS),
            Load::Merge(wanted) => merge::merge(&wanted),
        }
    }
}
