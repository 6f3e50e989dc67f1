//! The dry run of a sale: starting it, and its report.

use std::borrow::Cow;

use actix_web::web::Data;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::sales::SaleView;
use crate::actors::sales::GetSale;
use crate::dry_run::{CrowdSize, DryRun, DryRunState, GetDryRun, Report, StartDryRun};
use crate::http::gateway::Gateway;
use crate::http::gateway::access::Caller;
use crate::http::gateway::answer::{self, Answer};
use crate::http::gateway::input::{self, FromJson, FromPath};
use crate::types::SaleId;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartDryRunBody {
    #[serde(deserialize_with = "input::words::<_, 200>")]
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]+$",
        example = "before the announcement"
    )]
    pub reason: String,
    /// How many customers come; two for each piece if missing, but 1,000 to 20,000.
    #[serde(default, deserialize_with = "input::optional_whole")]
    #[schema(minimum = 1, maximum = 1_000_000, example = 5_000, nullable = false)]
    pub customers: Option<i64>,
    /// For how long the sale is open, at most; 20 if missing.
    #[serde(default, deserialize_with = "input::optional_whole")]
    #[schema(minimum = 1, maximum = 3_600, example = 20, nullable = false)]
    pub seconds: Option<i64>,
}

/// A dry run and its progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DryRunView {
    /// `running`, `done` or `failed`.
    #[schema(example = "done")]
    pub state: Cow<'static, str>,
    /// While it is running: `preparing`, `sale`, `machine` or `closing`.
    #[schema(required)]
    pub phase: Option<Cow<'static, str>>,
    /// While it is running.
    #[schema(required)]
    pub crowd: Option<CrowdSize>,
    /// Who started it.
    #[schema(required)]
    pub by: Option<Uuid>,
    pub reason: String,
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub ended_at: Option<Timestamp>,
    /// Why it failed.
    #[schema(required)]
    pub failure: Option<String>,
    /// Once it is done.
    #[schema(required)]
    pub report: Option<Box<Report>>,
}

impl DryRunView {
    fn of(run: DryRun) -> Self {
        let DryRun { by, reason, started_at, state } = run;
        let view = Self {
            state: "running".into(),
            phase: None,
            crowd: None,
            by: by.map(|by| by.uuid()),
            reason,
            started_at,
            ended_at: None,
            failure: None,
            report: None,
        };
        match state {
            DryRunState::Running { crowd, phase } => {
                Self { crowd: Some(crowd), phase: Some(phase.as_str().into()), ..view }
            }
            DryRunState::Done { ended_at, report } => {
                Self { state: "done".into(), ended_at: Some(ended_at), report: Some(report), ..view }
            }
            DryRunState::Failed { ended_at, failure } => {
                Self { state: "failed".into(), ended_at: Some(ended_at), failure: Some(failure), ..view }
            }
        }
    }
}

/// Runs a planned sale with synthetic customers, in a shop of its own beside the real one.
///
/// `GET` answers its report when it has ended.
#[utoipa::path(
    post, path = "/v1/admin/sales/{id}/dry-run", tag = "sales",
    params(("id" = Uuid, Path, description = "The sale")),
    request_body = StartDryRunBody,
    responses(
        (status = 200, description = "The dry run is under way; the sale as it is", body = SaleView),
        (status = 404, description = "`unknown-sale`, `unknown-sku`, or `not-found` for what is not an id"),
        (status = 409, description = "`not-in-status` once it is armed, `sale-is-on` while a sale is on or about to be, \
            `dry-run-under-way`, or `no-dry-run-database` where the shop's role may not make one",
            headers(("Retry-After" = u32, description = "Seconds, where waiting helps"))),
        (status = 422, description = "`invalid-body`, `invalid-value`, or `sale-not-valid` with `findings`"),
    )
)]
pub async fn start_dry_run(
    staff: Caller,
    id: FromPath<SaleId>,
    body: FromJson<StartDryRunBody>,
    gateway: Data<Gateway>,
) -> Answer {
    let StartDryRunBody { reason, customers, seconds } = body.0;
    let start = StartDryRun { sale: id.0, customers, seconds, by: staff.0.customer, reason };
    gateway.ports.dry_runs.start_dry_run.ask(start).await?;
    let sale = gateway.ports.sales.get_sale.ask(GetSale { sale: id.0 }).await?;
    answer::ok(&SaleView::of(&sale))
}

/// The dry run of a sale that is under way, or the report of the last one.
#[utoipa::path(
    get, path = "/v1/admin/sales/{id}/dry-run", tag = "sales",
    params(("id" = Uuid, Path, description = "The sale")),
    responses(
        (status = 200, description = "The dry run", body = DryRunView),
        (status = 404, description = "`no-dry-run`, or `not-found` for what is not an id"),
    )
)]
pub async fn get_dry_run(id: FromPath<SaleId>, gateway: Data<Gateway>) -> Answer {
    let run = gateway.ports.dry_runs.get_dry_run.ask(GetDryRun { sale: id.0 }).await?;
    answer::ok(&DryRunView::of(run))
}
