//! The documents of a sale: its settlement, its draw, and the decisions about a customer.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use uuid::Uuid;

use super::client::Access;
use crate::actors::waiting_room::{PublishedDraw, TicketNumber};
use crate::config::Config;
use crate::http::views::{DecisionView, WhyView};

#[derive(Debug, Args)]
pub(in crate::cli) struct Report {
    /// The sale's id.
    sale: Uuid,
    /// Only the JSON is signed and can be checked with `verify-report`.
    #[arg(long, value_enum, default_value_t = Form::Json)]
    form: Form,
    /// The file to write; standard output if it is not given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    pub access: Access,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Json,
    Csv,
    Html,
}

impl Report {
    pub(super) async fn carry_out(&self, config: &Config) -> anyhow::Result<()> {
        let media_type = match self.form {
            Form::Json => "application/json",
            Form::Csv => "text/csv",
            Form::Html => "text/html",
        };
        let path = format!("/v1/admin/sales/{}/report", self.sale);
        let client = self.access.open(config).await?;
        match &self.out {
            Some(out) => {
                // An existing file is replaced when the new one is complete; a pipe or a device is written to directly.
                let file = std::fs::canonicalize(out).unwrap_or_else(|_| out.clone());
                // For a dangling link the file is created.
                let is_replaced = match std::fs::metadata(&file) {
                    Ok(found) => found.is_file(),
                    Err(_) => std::fs::symlink_metadata(&file).is_err(),
                };
                let mut begun = file.clone().into_os_string();
                if is_replaced {
                    begun.push(".part");
                }
                let opened =
                    File::create(&begun).with_context(|| format!("{} cannot be written", out.display()))?;
                let mut written = client.fetch(&path, media_type, BufWriter::new(opened)).await;
                if is_replaced {
                    written = written.and_then(|bytes| Ok(std::fs::rename(&begun, file).map(|()| bytes)?));
                    if written.is_err() {
                        let _ = std::fs::remove_file(&begun);
                    }
                }
                eprintln!("{} bytes in {}", written?, out.display());
            }
            None => drop(client.fetch(&path, media_type, std::io::stdout()).await?),
        }
        Ok(())
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Why {
    /// The sale's id.
    sale: Uuid,
    /// The order to explain.
    #[arg(long, value_name = "ID", conflicts_with = "customer", required_unless_present = "customer")]
    order: Option<Uuid>,
    /// The customer to explain.
    #[arg(long, value_name = "ID")]
    customer: Option<Uuid>,
    #[command(flatten)]
    pub access: Access,
}

impl Why {
    pub(super) async fn carry_out(&self, config: &Config) -> anyhow::Result<()> {
        let (name, id) = match (self.order, self.customer) {
            (Some(order), _) => ("order", order),
            (None, customer) => ("customer", customer.unwrap_or_default()),
        };
        let path = format!("/v1/admin/sales/{}/why?{name}={id}", self.sale);
        let why = self.access.open(config).await?.get::<WhyView>(&path).await?;
        why.print_as(|why| {
            let line = |decision: &DecisionView| {
                format!("{}  {:<7}  {}\n", decision.at, decision.part, decision.what)
            };
            let lines: String = why.items.iter().map(line).collect();
            format!("customer {}\n{lines}", why.customer)
        });
        Ok(())
    }
}

/// Checks that a draw follows from its seed, and the seed from the commitment.
fn check_draw(draw: &PublishedDraw, commitment: Option<&str>) -> Result<(), String> {
    draw.verify().map_err(|problem| format!("the draw of sale {} is not fair: {problem}", draw.sale))?;
    if commitment.is_some_and(|commitment| commitment != draw.commitment.to_string()) {
        return Err(format!("the draw of sale {} is by another seed than was committed to", draw.sale));
    }
    Ok(())
}

/// The ticket numbers of an answer of `GET /v1/sales/{id}/draw`, in the order of admission. Refuses the same draws as
/// `shobai sale verify-draw`.
pub(in crate::cli) fn drawn_order(draw: &str, commitment: &str) -> Result<Vec<u32>, String> {
    let draw: PublishedDraw =
        serde_json::from_str(draw).map_err(|error| format!("what was published is not a draw: {error}"))?;
    check_draw(&draw, Some(commitment))?;
    Ok(draw.order.iter().map(|number| number.get()).collect())
}

#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyDraw {
    /// The answer of `GET /v1/sales/{id}/draw`.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The commitment that was published before the draw; without it, a seed chosen afterwards goes unnoticed.
    #[arg(long, value_name = "SHA256", value_parser = sha256)]
    commitment: Option<String>,
    /// A ticket whose place to print.
    #[arg(long, value_name = "NUMBER")]
    ticket: Option<u32>,
}

fn sha256(text: &str) -> Result<String, String> {
    let is_hash = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| text.to_ascii_lowercase()).ok_or_else(|| "64 hexadecimal digits are wanted".to_owned())
}

impl VerifyDraw {
    /// Needs neither an engine nor its database.
    pub(super) fn carry_out(&self) -> anyhow::Result<ExitCode> {
        let file = self.file.display();
        let text = std::fs::read_to_string(&self.file).with_context(|| format!("{file} cannot be read"))?;
        let draw: PublishedDraw =
            serde_json::from_str(&text).with_context(|| format!("{file} is not a draw"))?;
        if let Err(problem) = check_draw(&draw, self.commitment.as_deref()) {
            println!("{problem}");
            return Ok(ExitCode::FAILURE);
        }
        println!(
            "the draw of sale {}: {} tickets, in the order that the seed gives them",
            draw.sale, draw.tickets
        );
        if self.commitment.is_none() {
            println!("give --commitment to check that the seed was chosen before the draw");
        }
        let Some(number) = self.ticket else { return Ok(ExitCode::SUCCESS) };
        let ticket = TicketNumber::new(number);
        match ticket.and_then(|ticket| draw.place_of(ticket)) {
            Some(place) => println!("ticket {number} has place {place}"),
            None if ticket.is_some_and(|ticket| draw.missing.contains(&ticket)) => {
                println!("ticket {number} was left out of the draw as a ticket without a customer");
                return Ok(ExitCode::FAILURE);
            }
            None => println!("ticket {number} came after the draw"),
        }
        Ok(ExitCode::SUCCESS)
    }
}
