//! The dry run of a sale: starting one, how far it is, and what it found.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;

use super::outcomes::{findings_in_words, refused_because, why};
use super::translations::OpsTexts;
use super::{Frame, Operator, ROOT, Submitted};
use crate::actors::sales::{Finding, GATES, GetSale};
use crate::dry_run::{
    CrowdSize, DryRun, DryRunError, DryRunState, GetDryRun, ItemOutcome, Latency, Phase, RefusalOutcome,
    Report, StartDryRun,
};
use crate::error::Fault as _;
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::Answer;
use crate::http::gateway::input::FromPath;
use crate::http::gateway::problem::Problem;
use crate::http::pages::kit::{Outcome, fill, jst, see_other, show, whole_number};
use crate::types::{SaleId, grouped};

#[derive(Template)]
#[template(path = "ops/dry_run.html")]
struct DryRunPage {
    frame: Frame,
    id: SaleId,
    name: String,
    may_start: bool,
    running: Option<String>,
    failure: Option<String>,
    result: Option<ResultView>,
    outcome: Option<Outcome>,
}

struct ResultView {
    when: String,
    adds_up: bool,
    is_untouched: bool,
    /// The rows of the real shop that are of the run, and the SKUs that changed without a movement.
    touched: Vec<String>,
    contradictions: Vec<String>,
    findings: Vec<String>,
    items: Vec<ItemView>,
    figures: Vec<Line>,
    refusals: Vec<Line>,
}

struct Line {
    name: String,
    value: String,
}

struct ItemView {
    sku: String,
    /// Allotment, sold, held, remaining.
    figures: [String; 4],
    sells_out: String,
}

/// The dry run of a sale, before, while and after it runs.
pub async fn get_dry_run(sale: FromPath<SaleId>, operator: Operator, gateway: Data<Gateway>) -> Answer {
    show_dry_run(&operator, &gateway, sale.0, StatusCode::OK, None).await
}

/// Starts a dry run.
pub async fn start_dry_run(sale: FromPath<SaleId>, submitted: Submitted, gateway: Data<Gateway>) -> Answer {
    let Submitted { sender: operator, form } = submitted;
    form.check(&["customers", "seconds", "reason"], &[])?;
    let texts = operator.texts();
    let refuse = async |status, why: &str| {
        let outcome = Some(refused_because(texts, why));
        show_dry_run(&operator, &gateway, sale.0, operator.status(status), outcome).await
    };
    let number = |name: &str| match form.text(name) {
        "" => Some(None),
        text => whole_number(text).map(Some),
    };
    let (Some(customers), Some(seconds)) = (number("customers"), number("seconds")) else {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, texts.dry_run_number_wrong).await;
    };
    let Some(reason) = form.reason() else {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, operator.kit_texts().reason_needed).await;
    };
    let by = operator.identity.customer;
    let start = StartDryRun { sale: sale.0, customers, seconds, by, reason };
    match gateway.ports.dry_runs.start_dry_run.ask(start).await {
        Ok(()) => Ok(see_other(&format!("{ROOT}/sales/{}/dry-run", sale.0))),
        Err(error) => {
            let status = error.kind().http_status();
            if status >= 500 {
                return Err(error.into());
            }
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::CONFLICT);
            refuse(status, &why(texts, &error)).await
        }
    }
}

async fn show_dry_run(
    operator: &Operator,
    gateway: &Gateway,
    id: SaleId,
    status: StatusCode,
    outcome: Option<Outcome>,
) -> Answer {
    let texts = operator.texts();
    let sale = gateway.ports.sales.get_sale.ask(GetSale { sale: id }).await?;
    let run = match gateway.ports.dry_runs.get_dry_run.ask(GetDryRun { sale: id }).await {
        Ok(run) => Some(run),
        Err(DryRunError::NeverRun(_)) => None,
        Err(error) => return Err(Problem::from(error)),
    };
    let (mut running, mut failure, mut result) = (None, None, None);
    if let Some(DryRun { state, started_at, .. }) = run {
        match state {
            DryRunState::Running { crowd, phase } => running = Some(progress(texts, crowd, phase)),
            DryRunState::Failed { failure: why, .. } => failure = Some(why),
            DryRunState::Done { report, .. } => {
                result = Some(ResultView::of(texts, &report, jst::with_seconds(started_at)));
            }
        }
    }
    let page = DryRunPage {
        frame: operator.frame(gateway).await,
        id,
        may_start: running.is_none() && sale.status.is_planned(),
        name: sale.draft.name,
        running,
        failure,
        result,
        outcome,
    };
    show(status, &page)
}

fn progress(texts: &OpsTexts, crowd: CrowdSize, phase: Phase) -> String {
    let phase = match phase {
        Phase::Preparing => texts.dry_run_preparing,
        Phase::Sale => texts.dry_run_sale,
        Phase::Machine => texts.dry_run_machine,
        Phase::Closing => texts.dry_run_closing,
    };
    fill(phase, &[&grouped(crowd.customers), &grouped(crowd.seconds)])
}

impl ResultView {
    fn of(texts: &OpsTexts, report: &Report, when: String) -> Self {
        let findings: Vec<Finding> =
            report.findings.iter().map(|found| Finding::new(&found.field, &found.problem)).collect();
        let untouched = &report.untouched;
        let touched = (untouched.traces > 0)
            .then(|| fill(texts.dry_run_traces, &[&grouped(untouched.traces)]))
            .into_iter()
            .chain(untouched.items.iter().filter(|item| !item.is_explained).map(|item| item.sku.clone()))
            .collect();
        let contradictions = report.contradictions.iter();
        Self {
            when,
            adds_up: report.contradictions.is_empty(),
            is_untouched: untouched.is_untouched,
            touched,
            contradictions: contradictions
                .map(|it| format!("{}: {}: {}", it.claim, it.subject, it.finding))
                .collect(),
            findings: findings_in_words(texts, &findings),
            items: report.sale.items.iter().map(|item| ItemView::of(texts, item)).collect(),
            figures: figures(texts, report),
            refusals: report.sale.refusals.iter().map(|it| refusal(texts, it)).collect(),
        }
    }
}

impl ItemView {
    fn of(texts: &OpsTexts, item: &ItemOutcome) -> Self {
        Self {
            sku: item.sku.clone(),
            figures: [item.allotment, item.sold, item.held, item.remaining].map(grouped),
            sells_out: sells_out(texts, item.sells_out_in_seconds, item.is_sold_out),
        }
    }
}

fn sells_out(texts: &OpsTexts, seconds: Option<f64>, is_measured: bool) -> String {
    let Some(seconds) = seconds else { return texts.no_forecast.to_owned() };
    let text = if is_measured { texts.dry_run_after } else { texts.dry_run_about_after };
    fill(text, &[&format!("{seconds:.1}")])
}

fn refusal(texts: &OpsTexts, refusal: &RefusalOutcome) -> Line {
    let gate = GATES.into_iter().find(|gate| *gate == refusal.gate);
    let gate = gate.map_or(&*refusal.gate, |gate| texts.gate(gate));
    let habit = match &*refusal.customers_of {
        "early" => texts.dry_run_early,
        "greedy" => texts.dry_run_greedy,
        "konbini" => texts.dry_run_konbini,
        _ => texts.dry_run_card,
    };
    let times = [grouped(refusal.refusals), grouped(refusal.customers)];
    Line { name: format!("{gate} · {habit}"), value: fill(texts.dry_run_times, &[&times[0], &times[1]]) }
}

fn figures(texts: &OpsTexts, report: &Report) -> Vec<Line> {
    let (course, machine) = (&report.sale, &report.machine);
    let latency = |latency: &Option<Latency>| match latency {
        Some(Latency { p50, p99, p99_9, .. }) => format!("{p50:.1} / {p99:.1} / {p99_9:.1} ms"),
        None => texts.no_forecast.to_owned(),
    };
    let mut figures = vec![
        (texts.dry_run_customers, grouped(report.crowd.customers)),
        (texts.dry_run_sells_out, sells_out(texts, course.sells_out_in_seconds, course.is_sold_out)),
        (texts.dry_run_placed, grouped(course.orders.placed)),
        (texts.dry_run_paid, grouped(course.orders.paid)),
        (texts.dry_run_best_second, grouped(course.orders.most_per_second)),
        (texts.dry_run_refusals_second, grouped(course.orders.refusals_most_per_second)),
        (texts.dry_run_latency, latency(&course.latency)),
    ];
    if let Some(queue) = &course.queue {
        figures.push((texts.queue_admitted, grouped(queue.admitted)));
        figures.push((texts.dry_run_turned_away, grouped(queue.turned_away)));
        if let Some(wait) = queue.median_wait_seconds {
            figures.push((texts.dry_run_wait, format!("{wait:.1} s")));
        }
    }
    for (code, count) in &course.failures {
        figures.push((texts.dry_run_failures, format!("{} ({code})", grouped(*count))));
    }
    figures.push((texts.dry_run_limit, grouped(machine.orders_per_second as i64)));
    figures.push((texts.dry_run_limit_latency, latency(&machine.latency)));
    figures.into_iter().map(|(name, value)| Line { name: name.to_owned(), value }).collect()
}
