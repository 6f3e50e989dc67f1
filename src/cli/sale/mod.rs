//! `shobai sale`: what operators do about flash sales from a shell, by the REST API of a running engine; documents are
//! verified without one.
//!
//! The exit code is 0 when it is done, 1 when a document is not what it says, 2 when something was refused, could not be
//! asked or makes no sense, and 3 when it waits for a second operator now.

mod create;
mod desk;
mod documents;
mod dry_run;
mod shown;
mod times;
mod verify_report;
mod watch;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use uuid::Uuid;

use self::create::Create;
use self::desk::{Access, Desk, Refused};
pub(super) use self::documents::drawn_order;
use self::documents::{Report, VerifyDraw, Why as WhyAsked};
use self::dry_run::DryRun;
use self::shown::{ChangeShown, PageShown, ProposalShown, SaleShown, SteeredShown};
use self::verify_report::VerifyReport;
use self::watch::Watch;
use crate::actors::sales::Halt;
use crate::config::Config;

#[derive(Debug, Subcommand)]
pub(super) enum Sale {
    /// Plans a sale; answers with a draft, whose id the other commands need.
    Create(Box<Create>),
    /// Tells everything that keeps a sale from being run as it is planned; exit code 2 if there is something.
    Validate(One),
    /// Runs it with synthetic customers in a shop of its own, and tells how it would go; exit code 1 if that shop did not add
    /// up or the real one was touched.
    DryRun(DryRun),
    /// Makes a draft final: it is armed and opens by itself, at its time.
    Schedule(Move),
    /// Sets the pieces of a scheduled sale apart now, instead of shortly before it opens.
    Arm(Move),
    /// Keeps buyers out for a while.
    Pause(Move),
    /// Lets buyers in again after a pause or a kill: into a sale, to one of its SKUs, or everywhere.
    Resume(Resume),
    /// Ends a sale; those who hold pieces can still pay.
    Drain(Move),
    /// Ends a sale and gives back what is left.
    Close(Move),
    /// Gives a sale up.
    Cancel(Move),
    /// Makes a closed sale final: its SKUs are sold as always again.
    Settle(Move),
    /// Stops orders at once: of a sale, of one of its SKUs, or all orders of customers.
    Kill(Switch),
    /// Gives an armed, open or paused sale more or fewer pieces of a SKU.
    Allot(Allot),
    /// Lists what waits for a second operator.
    Proposals(Access),
    /// Takes back what waits for a second operator.
    Withdraw(Withdraw),
    /// Shows live how a sale is going, until Ctrl-C.
    Watch(Watch),
    /// Lists the sales, the latest opening first.
    List(Access),
    /// Shows a sale with its plan.
    Show(One),
    /// Tells what was done to a sale, by whom and why.
    Changes(One),
    /// The settlement of a sale: every order explained, chained and signed.
    Report(Report),
    /// Every decision about an order or a customer, in its order.
    Why(WhyAsked),
    /// Checks that the settlement of a sale (its JSON form) is as it was signed; exit code 1 and what does not fit if not.
    VerifyReport(VerifyReport),
    /// Checks that the order of a waiting room is the one that its seed gives; exit code 1 if not.
    VerifyDraw(VerifyDraw),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct One {
    /// The sale's id.
    sale: Uuid,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Move {
    /// The sale's id.
    sale: Uuid,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Args)]
struct Why {
    /// Why; it stands in the sale's history.
    #[arg(long, value_name = "TEXT", default_value = "not given")]
    reason: String,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Switch {
    /// The sale's id.
    #[arg(required_unless_present = "everything", conflicts_with = "everything")]
    sale: Option<Uuid>,
    /// Only this SKU of the sale.
    #[arg(long, value_name = "SKU", requires = "sale", conflicts_with = "everything")]
    sku: Option<String>,
    /// All orders of customers, in a sale or not.
    #[arg(long)]
    everything: bool,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Resume {
    #[command(flatten)]
    switch: Switch,
    /// What ends, `pause` or `kill`, and not the other; needed where the sale is both paused and stopped.
    #[arg(long, value_name = "WHAT", conflicts_with_all = ["sku", "everything"])]
    ends: Option<Halt>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Withdraw {
    /// The proposal's id.
    proposal: Uuid,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Allot {
    /// The sale's id.
    sale: Uuid,
    sku: String,
    /// What the SKU's allotment shall be, sold and held pieces included.
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    pieces: i64,
    /// What it is now; refused if it is not.
    #[arg(long, value_name = "PIECES", value_parser = clap::value_parser!(i64).range(1..))]
    expected: i64,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    access: Access,
}

impl Sale {
    pub(super) async fn carry_out(self, config: &Config) -> anyhow::Result<ExitCode> {
        let is_raw = self.access().is_some_and(|access| access.json);
        match self.carry_out_or_tell(config).await {
            Err(error) => {
                let refused = error.downcast::<Refused>()?;
                match is_raw {
                    true => println!("{}", refused.raw),
                    false => eprintln!("{refused}"),
                }
                Ok(ExitCode::from(2))
            }
            code => code,
        }
    }

    /// How it asks an engine; nothing for what needs none.
    fn access(&self) -> Option<&Access> {
        Some(match self {
            Self::Create(create) => &create.access,
            Self::Validate(one) | Self::Show(one) | Self::Changes(one) => &one.access,
            Self::Schedule(wanted)
            | Self::Arm(wanted)
            | Self::Pause(wanted)
            | Self::Drain(wanted)
            | Self::Close(wanted)
            | Self::Cancel(wanted)
            | Self::Settle(wanted) => &wanted.access,
            Self::Resume(Resume { switch, .. }) | Self::Kill(switch) => &switch.access,
            Self::Allot(allot) => &allot.access,
            Self::DryRun(run) => &run.access,
            Self::Watch(watch) => &watch.access,
            Self::List(access) | Self::Proposals(access) => access,
            Self::Withdraw(withdraw) => &withdraw.access,
            Self::Report(report) => &report.access,
            Self::Why(why) => &why.access,
            Self::VerifyReport(_) | Self::VerifyDraw(_) => return None,
        })
    }

    async fn carry_out_or_tell(self, config: &Config) -> anyhow::Result<ExitCode> {
        match &self {
            Self::Create(create) => {
                // A plan that makes no sense is told before anybody signs in.
                let plan = create.plan()?;
                create.access.open(config).await?.post::<SaleShown>("/v1/admin/sales", plan).await?.tell();
            }
            Self::Validate(one) => {
                let desk = one.access.open(config).await?;
                let path = format!("/v1/admin/sales/{}/validate", one.sale);
                let sale = desk.post::<SaleShown>(&path, json!({}).to_string()).await?;
                sale.tell_with(SaleShown::text_of_findings);
                return Ok(ExitCode::from(if sale.value.has_findings() { 2 } else { 0 }));
            }
            Self::Schedule(wanted) => return wanted.carry_out("schedule", config).await,
            Self::Arm(wanted) => return wanted.carry_out("arm", config).await,
            Self::Pause(wanted) => return wanted.carry_out("pause", config).await,
            Self::Drain(wanted) => return wanted.carry_out("drain", config).await,
            Self::Close(wanted) => return wanted.carry_out("close", config).await,
            Self::Cancel(wanted) => return wanted.carry_out("cancel", config).await,
            Self::Settle(wanted) => return wanted.carry_out("settle", config).await,
            Self::Resume(resume) => return resume.carry_out(config).await,
            Self::Kill(switch) => return switch.carry_out("kill", switch.why.body(), config).await,
            Self::Allot(allot) => return allot.carry_out(config).await,
            Self::DryRun(run) => return run.carry_out(config).await,
            Self::Watch(watch) => watch.carry_out(config).await?,
            Self::Report(report) => report.carry_out(config).await?,
            Self::Why(why) => why.carry_out(config).await?,
            Self::VerifyReport(report) => return report.carry_out(config),
            Self::VerifyDraw(draw) => return draw.carry_out(),
            Self::Proposals(access) => {
                let desk = access.open(config).await?;
                desk.get::<PageShown<ProposalShown>>("/v1/admin/proposals")
                    .await?
                    .tell_with(shown::proposals);
            }
            Self::Withdraw(Withdraw { proposal, why, access }) => {
                let desk = access.open(config).await?;
                let path = format!("/v1/admin/proposals/{proposal}?reason={}", desk::in_a_query(&why.reason));
                let withdrawn = desk.delete::<ProposalShown>(&path).await?;
                withdrawn.tell_with(|proposal| format!("withdrawn: {proposal}"));
            }
            Self::List(access) => {
                let desk = access.open(config).await?;
                desk.get::<PageShown<SaleShown>>("/v1/admin/sales").await?.tell_with(shown::list);
            }
            Self::Show(one) => {
                let desk = one.access.open(config).await?;
                desk.get::<SaleShown>(&format!("/v1/admin/sales/{}", one.sale)).await?.tell();
            }
            Self::Changes(one) => {
                let desk = one.access.open(config).await?;
                let path = format!("/v1/admin/sales/{}/changes", one.sale);
                desk.get::<PageShown<ChangeShown>>(&path).await?.tell_with(shown::history);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Why {
    fn body(&self) -> String {
        json!({"reason": self.reason}).to_string()
    }
}

impl Move {
    async fn carry_out(&self, action: &str, config: &Config) -> anyhow::Result<ExitCode> {
        let desk = self.access.open(config).await?;
        let path = format!("/v1/admin/sales/{}/{action}", self.sale);
        let moved = desk.post::<SteeredShown<SaleShown>>(&path, self.why.body()).await?;
        moved.tell_with(|moved| moved.text(SaleShown::heading));
        Ok(moved.value.exit_code())
    }
}

impl Switch {
    async fn carry_out(&self, action: &str, body: String, config: &Config) -> anyhow::Result<ExitCode> {
        let desk = self.access.open(config).await?;
        let Some(sale) = self.sale else {
            let path = format!("/v1/admin/{action}");
            let switched = desk.post::<SteeredShown<Value>>(&path, body).await?;
            switched.tell_with(|switched| switched.text(shown::switch));
            return Ok(switched.value.exit_code());
        };
        let path = match &self.sku {
            Some(sku) => format!("/v1/admin/sales/{sale}/items/{}/{action}", desk::in_a_path(sku)?),
            None => format!("/v1/admin/sales/{sale}/{action}"),
        };
        let sale = desk.post::<SteeredShown<SaleShown>>(&path, body).await?;
        let text = if self.sku.is_some() { SaleShown::to_string } else { SaleShown::heading };
        sale.tell_with(|sale| sale.text(text));
        Ok(sale.value.exit_code())
    }
}

impl Resume {
    async fn carry_out(&self, config: &Config) -> anyhow::Result<ExitCode> {
        let Self { switch, ends } = self;
        let body = match ends {
            Some(ends) => json!({"reason": switch.why.reason, "ends": ends.as_str()}).to_string(),
            None => switch.why.body(),
        };
        switch.carry_out("resume", body, config).await
    }
}

impl Allot {
    async fn carry_out(&self, config: &Config) -> anyhow::Result<ExitCode> {
        let Self { sale, pieces, expected, .. } = self;
        let path = format!("/v1/admin/sales/{sale}/items/{}", desk::in_a_path(&self.sku)?);
        let desk: Desk = self.access.open(config).await?;
        let body = json!({"allotment": pieces, "expected": expected, "reason": self.why.reason});
        let changed = desk.patch::<SteeredShown<SaleShown>>(&path, body.to_string()).await?;
        changed.tell_with(|changed| changed.text(SaleShown::to_string));
        Ok(changed.value.exit_code())
    }
}
