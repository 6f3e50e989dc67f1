//! `shobai sale dry-run`: starts the dry run of a sale, waits for its end and prints the result.

use std::fmt::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use uuid::Uuid;

use super::Why;
use super::client::Access;
use crate::config::Config;
use crate::dry_run::{Contradiction, Latency, Orders, PlanFinding, RefusalOutcome, Report};
use crate::http::views::{DryRunView, SaleView};
use crate::types::grouped;

const POLL_EVERY: Duration = Duration::from_millis(500);
/// What a run takes beside the time in which its sale is open: longer than the engine allows.
const BESIDE_THE_SALE: u64 = 180;
/// The longest configurable time for which the sale of a dry run is open.
const SECONDS_MAX: u64 = 3_600;

#[derive(Debug, Args)]
pub(in crate::cli) struct DryRun {
    /// The sale's id.
    sale: Uuid,
    /// The number of customers; if it is not given two for each piece, between 1,000 and 20,000.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    customers: Option<u32>,
    /// The longest time for which the sale is open; 20 if it is not given.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: Option<u32>,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    pub access: Access,
}

impl DryRun {
    /// The exit code is 1 when the shop of the run does not add up or the real one was touched.
    pub(super) async fn carry_out(&self, config: &Config) -> anyhow::Result<ExitCode> {
        let client = self.access.open(config).await?;
        let path = format!("/v1/admin/sales/{}/dry-run", self.sale);
        let mut body = json!({"reason": self.why.reason});
        for (name, wanted) in [("customers", self.customers), ("seconds", self.seconds)] {
            if let Some(wanted) = wanted {
                body[name] = json!(wanted);
            }
        }
        client.post::<SaleView>(&path, body.to_string()).await?;
        let open_for = self.seconds.map_or(SECONDS_MAX, u64::from);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(open_for + BESIDE_THE_SALE);
        loop {
            let run = client.get::<DryRunView>(&path).await?;
            if run.value.state != "running" {
                run.print_as(text);
                return Ok(exit_code(&run.value));
            }
            anyhow::ensure!(
                tokio::time::Instant::now() < deadline,
                "the dry run has not ended in time; see the log of the engine"
            );
            tokio::time::sleep(POLL_EVERY).await;
        }
    }
}

/// In milliseconds.
fn latency_in_words(latency: &Latency) -> String {
    let Latency { p50, p99, p99_9, max } = latency;
    format!("p50 {p50:.1} ms, p99 {p99:.1} ms, p99.9 {p99_9:.1} ms, at most {max:.1} ms")
}

fn sells_out(seconds: Option<f64>, is_sold_out: bool) -> String {
    match (seconds, is_sold_out) {
        (Some(seconds), true) => format!("sold out after {seconds:.1} s"),
        (Some(seconds), false) => format!("would be sold out after {seconds:.0} s"),
        (None, _) => "the time until it is sold out is unknown".to_owned(),
    }
}

fn exit_code(run: &DryRunView) -> ExitCode {
    match &run.report {
        Some(report) if report.is_clean() => ExitCode::SUCCESS,
        Some(_) => ExitCode::FAILURE,
        None => ExitCode::from(2),
    }
}

fn text(run: &DryRunView) -> String {
    match &run.report {
        Some(report) => {
            let mut text = String::new();
            // Writing to a string cannot fail.
            let _ = write_report(report, &mut text);
            text
        }
        None => {
            let failure = run.failure.as_deref().unwrap_or("the reason is unknown");
            format!("the dry run failed: {failure}")
        }
    }
}

fn write_report(report: &Report, text: &mut String) -> fmt::Result {
    let Report { crowd, sale, machine, contradictions, findings, untouched } = report;
    writeln!(
        text,
        "{} customers, {} at once: {}; it was open for {:.1} s",
        grouped(crowd.customers),
        crowd.at_once,
        sells_out(sale.sells_out_in_seconds, sale.is_sold_out),
        sale.open_seconds
    )?;
    for item in &sale.items {
        let [allotment, sold, held, remaining] =
            [item.allotment, item.sold, item.held, item.remaining].map(grouped);
        let out = sells_out(item.sells_out_in_seconds, item.is_sold_out);
        writeln!(text, "  {}: {sold} sold, {held} held, {remaining} left of {allotment}; {out}", item.sku)?;
    }
    let Orders { placed, paid, most_per_second, refusals_most_per_second, .. } = &sale.orders;
    let [placed, paid, most] = [*placed, *paid, *most_per_second].map(grouped);
    writeln!(text, "orders    {placed} placed, {paid} paid, at most {most} a second")?;
    if let Some(latency) = &sale.latency {
        writeln!(text, "latency   {}", latency_in_words(latency))?;
    }
    if let Some(queue) = &sale.queue {
        let [joined, admitted, away, waiting] =
            [queue.joined, queue.admitted, queue.turned_away, queue.waiting].map(grouped);
        write!(text, "queue     {joined} joined, {admitted} let in, {away} turned away, {waiting} waiting")?;
        match queue.median_wait_seconds {
            Some(wait) => writeln!(text, "; the median wait was {wait:.1} s")?,
            None => writeln!(text)?,
        }
    }
    writeln!(text, "refusals  at most {} a second", grouped(*refusals_most_per_second))?;
    for RefusalOutcome { gate, customers_of, customers, refusals } in &sale.refusals {
        let [customers, refusals] = [*customers, *refusals].map(grouped);
        writeln!(text, "  {gate}: {refusals} times, to {customers} customers of kind {customers_of}")?;
    }
    for (code, count) in &sale.failures {
        writeln!(text, "  FAILED by {code}: {} times", grouped(*count))?;
    }
    let rate = grouped(machine.orders_per_second as i64);
    write!(
        text,
        "machine   {rate} orders a second, {} at once, on {} cores",
        machine.at_once, machine.cores
    )?;
    match &machine.latency {
        Some(latency) => writeln!(text, "; {}", latency_in_words(latency))?,
        None => writeln!(text)?,
    }
    match untouched.is_untouched {
        true => writeln!(text, "the shop  was not touched")?,
        false => writeln!(text, "the shop  WAS TOUCHED: {} rows of it are of the run", untouched.traces)?,
    }
    for item in untouched.items.iter().filter(|item| !item.is_explained) {
        writeln!(text, "  the stock of {} changed without a movement", item.sku)?;
    }
    for Contradiction { claim, subject, finding } in contradictions {
        writeln!(text, "  AGAINST {claim}: {subject}: {finding}")?;
    }
    for PlanFinding { field, problem } in findings {
        writeln!(text, "  prevents the sale: {field}: {problem}")?;
    }
    Ok(())
}
