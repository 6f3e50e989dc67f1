//! `shobai load`: the load harness. It knows the shop through its REST contract only, and nothing of the engine's code.
//!
//! ```text
//!  scenario ─► schedule ─► generator  one thread: begins visits when they are due
//!                             │
//!  operator ─ sale ─ crowd ─ visit     a customer's steps ─► shop (requests, answers) ─► client (HTTP/1.1)
//!                             │
//!                   tally ────┴──── attempts       the measurements, and the answers that customers got
//!                     │                 │
//!                  collect            audit        compares the answers with the shop's state afterwards
//!                     └──────► result ◄─┘
//!                                │
//!                    table, result.json, page (report.html), compare, merge
//! ```
//!
//! In an open loop a visit has an intended start, and its first latency counts from there, so a shop that stands still
//! delays every visit that is due meanwhile (no coordinated omission). The lag of the generator itself is measured too,
//! and a run in which it was the limit is not valid.

mod attempts;
mod audit;
pub(super) mod client;
mod clock;
mod collect;
mod compare;
pub(super) mod customers;
mod generator;
mod goals;
mod histograms;
mod machine;
mod merge;
mod monitor;
mod operator;
mod page;
mod progress;
mod result;
mod run;
mod sale_audit;
mod sale_plan;
mod scenario;
mod schedule;
mod scrape;
pub(super) mod shop;
mod sku_choice;
mod tally;
mod visit;
mod waiting_crowd;

use std::process::ExitCode;

use clap::Subcommand;

use crate::config::Config;

#[derive(Debug, Subcommand)]
pub(super) enum Load {
    /// Runs a scenario against a shop and reports; exit code 1 if its audit finds something, 3 if the run is not
    /// valid, 4 if it misses a goal of its scenario.
    Run(run::Run),
    /// Compares two runs, or two sets of runs, and separates differences from noise.
    Compare(compare::Compare),
    /// Merges the reports of all shards of a run.
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
