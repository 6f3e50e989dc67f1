//! `shobai sale`: operates flash sales from a shell through the REST API of a running engine; documents are verified
//! without an engine.
//!
//! Exit codes: 0 done; 1 a document does not verify, or a dry run found a contradiction; 2 refused, not reachable or
//! invalid; 3 proposed, and waiting for a second operator.

mod client;
mod create;
mod documents;
mod dry_run;
mod live_text;
mod text;
mod times;
mod verify_report;
mod watch;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;
use uuid::Uuid;

use self::client::{Access, OperatorClient, Refused};
use self::create::Create;
pub(super) use self::documents::drawn_order;
use self::documents::{Report, VerifyDraw, Why as WhyAsked};
use self::dry_run::DryRun;
use self::text::SteeredView;
use self::verify_report::VerifyReport;
use self::watch::Watch;
use crate::actors::sales::Halt;
use crate::config::Config;
use crate::http::views::{ChangesView, ProposalView, ProposalsView, SaleView, SalesView, SwitchView};

#[derive(Debug, Subcommand)]
pub(super) enum Sale {
    /// Plans a sale and prints the draft; the other commands need its id.
    Create(Box<Create>),
    /// Lists everything that prevents a sale as it is planned; exit code 2 if there is anything.
    Validate(One),
    /// Runs the sale with synthetic customers in a separate shop and prints how it would go; exit code 1 if that shop
    /// does not add up or the real one was touched.
    DryRun(DryRun),
    /// Makes a draft final: it is armed and opened at its time.
    Schedule(Move),
    /// Allots the pieces of a scheduled sale now, instead of shortly before it opens.
    Arm(Move),
    /// Pauses a sale: orders are refused until it is resumed.
    Pause(Move),
    /// Ends a pause or a kill: of a sale, of one of its SKUs, or of everything.
    Resume(Resume),
    /// Ends a sale; customers who hold pieces can still pay.
    Drain(Move),
    /// Ends a sale and returns the remaining pieces to stock.
    Close(Move),
    /// Cancels a sale that has not opened.
    Cancel(Move),
    /// Settles a closed sale: its SKUs return to normal selling.
    Settle(Move),
    /// Stops orders at once: of a sale, of one of its SKUs, or of all customers.
    Kill(Switch),
    /// Changes the allotment of a SKU in an armed, open or paused sale.
    Allot(Allot),
    /// Lists the proposals that wait for a second operator.
    Proposals(Access),
    /// Withdraws a proposal that waits for a second operator.
    Withdraw(Withdraw),
    /// Shows the live figures of a sale, until Ctrl-C.
    Watch(Watch),
    /// Lists the sales, the latest opening first.
    List(Access),
    /// Shows a sale with its plan.
    Show(One),
    /// Lists the changes of a sale, with operator and reason.
    Changes(One),
    /// Fetches the settlement of a sale: every order explained, chained and signed.
    Report(Report),
    /// Lists every decision about an order or a customer, oldest first.
    Why(WhyAsked),
    /// Checks that the settlement of a sale (its JSON form) is unchanged since it was signed; exit code 1 with the
    /// mismatches if not.
    VerifyReport(VerifyReport),
    /// Checks that the order of a waiting room follows from its seed; exit code 1 if not.
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
    /// The reason, kept in the sale's history.
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
    /// Ends only the `pause` or only the `kill`; needed where the sale is both paused and stopped.
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
    /// The new allotment of the SKU, including sold and held pieces.
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    pieces: i64,
    /// The present allotment; refused if it differs.
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
        match self.carry_out_or_fail(config).await {
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

    /// The access to an engine; `None` for commands that need no engine.
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

    async fn carry_out_or_fail(self, config: &Config) -> anyhow::Result<ExitCode> {
        match &self {
            Self::Create(create) => {
                // An invalid plan is reported before the sign-in.
                let plan = create.plan()?;
                create
                    .access
                    .open(config)
                    .await?
                    .post::<SaleView>("/v1/admin/sales", plan)
                    .await?
                    .print_as(text::sale);
            }
            Self::Validate(one) => {
                let client = one.access.open(config).await?;
                let path = format!("/v1/admin/sales/{}/validate", one.sale);
                let sale = client.post::<SaleView>(&path, json!({}).to_string()).await?;
                sale.print_as(text::findings);
                return Ok(ExitCode::from(if text::has_findings(&sale.value) { 2 } else { 0 }));
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
                let client = access.open(config).await?;
                client.get::<ProposalsView>("/v1/admin/proposals").await?.print_as(text::proposals);
            }
            Self::Withdraw(Withdraw { proposal, why, access }) => {
                let client = access.open(config).await?;
                let path =
                    format!("/v1/admin/proposals/{proposal}?reason={}", client::in_a_query(&why.reason));
                let withdrawn = client.delete::<ProposalView>(&path).await?;
                withdrawn.print_as(|proposal| format!("withdrawn: {}", text::proposal(proposal)));
            }
            Self::List(access) => {
                let client = access.open(config).await?;
                client.get::<SalesView>("/v1/admin/sales").await?.print_as(text::sales);
            }
            Self::Show(one) => {
                let client = one.access.open(config).await?;
                client.get::<SaleView>(&format!("/v1/admin/sales/{}", one.sale)).await?.print_as(text::sale);
            }
            Self::Changes(one) => {
                let client = one.access.open(config).await?;
                let path = format!("/v1/admin/sales/{}/changes", one.sale);
                client.get::<ChangesView>(&path).await?.print_as(text::changes);
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
        let client = self.access.open(config).await?;
        let path = format!("/v1/admin/sales/{}/{action}", self.sale);
        let moved = client.post::<SteeredView<SaleView>>(&path, self.why.body()).await?;
        moved.print_as(|moved| moved.text(text::heading));
        Ok(moved.value.exit_code())
    }
}

impl Switch {
    async fn carry_out(&self, action: &str, body: String, config: &Config) -> anyhow::Result<ExitCode> {
        let client = self.access.open(config).await?;
        let Some(sale) = self.sale else {
            let path = format!("/v1/admin/{action}");
            let switched = client.post::<SteeredView<SwitchView>>(&path, body).await?;
            switched.print_as(|switched| switched.text(text::switch));
            return Ok(switched.value.exit_code());
        };
        let path = match &self.sku {
            Some(sku) => format!("/v1/admin/sales/{sale}/items/{}/{action}", client::in_a_path(sku)?),
            None => format!("/v1/admin/sales/{sale}/{action}"),
        };
        let sale = client.post::<SteeredView<SaleView>>(&path, body).await?;
        let text: fn(&SaleView) -> String = if self.sku.is_some() { text::sale } else { text::heading };
        sale.print_as(|sale| sale.text(text));
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
        let path = format!("/v1/admin/sales/{sale}/items/{}", client::in_a_path(&self.sku)?);
        let client: OperatorClient = self.access.open(config).await?;
        let body = json!({"allotment": pieces, "expected": expected, "reason": self.why.reason});
        let changed = client.patch::<SteeredView<SaleView>>(&path, body.to_string()).await?;
        changed.print_as(|changed| changed.text(text::sale));
        Ok(changed.value.exit_code())
    }
}
