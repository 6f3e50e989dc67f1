//! The page of one sale: what can be done to it, its live figures, and what was done to it.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::controls::{self, Control};
use super::history::{self, ChangeView};
use super::live::{AuditView, LiveView, QueueFigures};
use super::outcomes::{done, findings_in_words};
use super::proposals::{self, ProposalRow};
use super::sellout::Rates;
use super::translations::OpsTexts;
use super::{Frame, Operator};
use crate::actors::sales::{GATES, ListChanges, Sale, SaleStatus, UnwrittenStops, ValidateSale};
use crate::http::api::sale_snapshot::SaleSnapshot;
use crate::http::api::vitals::VitalsView;
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::Answer;
use crate::http::gateway::input::{FromPath, FromQuery};
use crate::http::pages::kit::{Outcome, jst, show};
use crate::types::{SaleId, grouped};

/// One row of the table of SKUs.
struct SkuRow {
    sku: String,
    price: String,
    allotment: String,
    /// Remaining, held, sold, expired, lapsed.
    figures: [String; 5],
    /// Questions that wait for the SKU's actor, and the actor's restarts.
    load: [u32; 2],
    sold_share: i64,
    is_stopped: bool,
    /// Whether the SKU's actor is ready; `None` while the sale does not need it.
    is_ready: Option<bool>,
    forecast: String,
    controls: Vec<Control>,
}

struct GateRow {
    gate: &'static str,
    label: &'static str,
    count: String,
}

/// A figure of how well the engine keeps up.
struct Vital {
    /// The name of the figure in the script.
    key: &'static str,
    name: &'static str,
    value: String,
}

struct Condition {
    name: &'static str,
    value: String,
}

#[derive(Template)]
#[template(path = "ops/sale.html")]
struct SalePage {
    frame: Frame,
    id: SaleId,
    name: String,
    status: &'static str,
    status_text: &'static str,
    is_stopped: bool,
    is_draft: bool,
    period: String,
    opens_at: i64,
    /// The end of the draining of a sale that drains, else the end of its period.
    closes_at: i64,
    is_over: bool,
    version: i64,
    conditions: Vec<Condition>,
    controls: Vec<Control>,
    proposals: Vec<ProposalRow>,
    skus: Vec<SkuRow>,
    gates: Vec<GateRow>,
    is_everything_stopped: bool,
    live: LiveView,
    vitals: Vec<Vital>,
    has_report: bool,
    history: Vec<ChangeView>,
    /// What keeps a draft from being scheduled, or a scheduled sale from being armed; `None` when it was not checked.
    findings: Option<Vec<String>>,
    outcome: Option<Outcome>,
}

impl SalePage {
    fn light(&self) -> AuditView {
        self.live.light.clone().unwrap_or_default()
    }

    /// Each figure of the waiting room: its name in the script, its label, its value.
    fn queue(&self) -> [(&'static str, &'static str, String); 5] {
        let (texts, queue) = (self.frame.texts, self.live.queue.as_ref());
        let figure = |of: fn(&QueueFigures) -> u64| queue.map_or(0, of).to_string();
        let wait = queue.and_then(|queue| queue.wait_seconds);
        [
            ("waiting", texts.queue_waiting, figure(|queue| queue.waiting)),
            ("admitted", texts.queue_admitted, figure(|queue| queue.admitted)),
            ("no_shows", texts.queue_no_shows, figure(|queue| queue.no_shows)),
            (
                "wait_seconds",
                texts.queue_wait,
                wait.map_or_else(|| texts.no_forecast.to_owned(), |wait| texts.duration(wait)),
            ),
            ("per_second", texts.queue_rate, queue.map_or(0.0, |queue| queue.per_second).to_string()),
        ]
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaleQuery {
    done: Option<String>,
}

/// One sale, with the outcome of the action that led here.
pub async fn get_sale(
    sale: FromPath<SaleId>,
    query: FromQuery<SaleQuery>,
    operator: Operator,
    gateway: Data<Gateway>,
) -> Answer {
    let outcome = done(operator.texts(), query.0.done.as_deref());
    show_sale(&operator, &gateway, sale.0, StatusCode::OK, outcome).await
}

pub async fn show_sale(
    operator: &Operator,
    gateway: &Gateway,
    id: SaleId,
    status: StatusCode,
    outcome: Option<Outcome>,
) -> Answer {
    let texts = operator.texts();
    let snapshot = SaleSnapshot::take(gateway, id).await?;
    let sale = snapshot.live.sale.clone();
    let unwritten = snapshot.live.unwritten.clone();
    let is_draft = sale.status == SaleStatus::Draft;
    let findings = match sale.status.is_planned() {
        true => {
            let found = gateway.ports.sales.validate_sale.ask(ValidateSale { sale: id }).await?;
            // A scheduled sale shows only what is wrong with it.
            (is_draft || !found.is_empty()).then(|| findings_in_words(texts, &found))
        }
        false => None,
    };
    let changes = gateway.ports.sales.list_changes.ask(ListChanges { sale: id }).await?;
    let proposals = proposals::rows(gateway, operator, Some(id)).await?;
    let mark = proposals::mark(proposals.iter().map(|row| row.id));
    let live = LiveView::of(snapshot, &Rates::default(), mark);
    let page = SalePage {
        frame: operator.frame(gateway).await,
        id,
        name: sale.draft.name.clone(),
        status: sale.status.as_str(),
        status_text: texts.status(sale.status.as_str()),
        is_stopped: sale.is_stopped,
        is_draft,
        period: jst::period(sale.draft.opens_at, sale.draft.closes_at, texts.to),
        opens_at: sale.draft.opens_at.as_millisecond(),
        closes_at: sale
            .drains_until
            .filter(|_| sale.status == SaleStatus::Draining)
            .unwrap_or(sale.draft.closes_at)
            .as_millisecond(),
        is_over: sale.status.is_over(),
        version: sale.version,
        conditions: conditions(texts, &sale),
        controls: controls::of_sale(texts, &sale, &unwritten),
        proposals,
        skus: sku_rows(texts, &sale, &live, &unwritten),
        gates: GATES
            .into_iter()
            .zip(live.totals.refused)
            .map(|(gate, count)| GateRow { gate, label: texts.gate(gate), count: grouped(count) })
            .collect(),
        is_everything_stopped: live.is_everything_stopped,
        vitals: vitals(texts, &live.vitals),
        has_report: sale.status.is_over(),
        live,
        history: history::views(gateway, texts, &changes).await,
        findings,
        outcome,
    };
    show(status, &page)
}

fn sku_rows(texts: &OpsTexts, sale: &Sale, live: &LiveView, unwritten: &UnwrittenStops) -> Vec<SkuRow> {
    let needs_actors = !sale.status.is_planned() && !sale.status.is_over();
    let rows = sale.draft.items.iter().zip(&live.skus).map(|(item, view)| {
        let actor = live.vitals.actors.iter().find(|actor| actor.sku == view.sku);
        let is_sold_out = view.figures.is_some_and(|figures| figures.remaining == 0);
        SkuRow {
            sku: view.sku.clone(),
            price: grouped(item.price.amount()),
            allotment: grouped(view.allotment),
            figures: view.figures.map_or_else(
                || std::array::from_fn(|_| texts.no_forecast.to_owned()),
                |it| [it.remaining, it.held, it.sold, it.expired, it.lapsed].map(grouped),
            ),
            load: actor.map_or([0; 2], |actor| [actor.waiting, actor.restarts]),
            sold_share: view.figures.map_or(0, |it| (it.held + it.sold) * 100 / view.allotment.max(1)),
            is_stopped: sale.stopped_skus.contains(&item.sku),
            is_ready: needs_actors.then(|| actor.is_some_and(|actor| actor.ready)),
            forecast: if is_sold_out { texts.sold_out } else { texts.no_forecast }.to_owned(),
            controls: controls::of_sku(texts, sale, item, unwritten),
        }
    });
    rows.collect()
}

fn vitals(texts: &OpsTexts, vitals: &VitalsView) -> Vec<Vital> {
    let VitalsView { latency, holds, commit_lag_ms, event_lag_ms, .. } = vitals;
    let unknown = || texts.no_forecast.to_owned();
    let milliseconds = |value: Option<f64>| value.map_or_else(unknown, |value| texts.milliseconds(value));
    let seconds = |value: Option<i64>| value.map_or_else(unknown, |value| texts.duration(value));
    let vital = |key, name, value| Vital { key, name, value };
    let (latency, holds) = (latency.as_ref(), holds.as_ref());
    vec![
        vital("p50_ms", texts.latency_p50, milliseconds(latency.map(|it| it.p50_ms))),
        vital("p99_ms", texts.latency_p99, milliseconds(latency.map(|it| it.p99_ms))),
        vital("p999_ms", texts.latency_p999, milliseconds(latency.map(|it| it.p999_ms))),
        vital("oldest_seconds", texts.oldest_hold, seconds(holds.map(|it| it.oldest_seconds))),
        vital("median_seconds", texts.median_hold, seconds(holds.map(|it| it.median_seconds))),
        vital("commit_lag_ms", texts.commit_lag, milliseconds(Some(*commit_lag_ms))),
        vital("event_lag_ms", texts.event_lag, milliseconds(event_lag_ms.map(|lag| lag as f64))),
    ]
}

fn conditions(texts: &OpsTexts, sale: &Sale) -> Vec<Condition> {
    let terms = &sale.draft.terms;
    let limit = terms.limit_per_customer.map_or_else(|| texts.any_limit.to_owned(), grouped);
    let konbini = match terms.konbini.allowed {
        true => format!("{} ({} %)", texts.yes, (terms.konbini.share_max * 100.0).round()),
        false => texts.no.to_owned(),
    };
    let mut conditions = vec![
        Condition { name: texts.limit_per_customer, value: limit },
        Condition { name: texts.hold_card, value: grouped(terms.hold_seconds.card) },
        Condition { name: texts.hold_konbini, value: grouped(terms.hold_seconds.konbini) },
        Condition { name: texts.konbini_allowed, value: konbini },
        Condition { name: texts.admission, value: texts.admission(terms.admission.mode.as_str()).to_owned() },
    ];
    if terms.admission.mode.as_str() != "none" {
        let rate = terms.admission.per_second.map_or_else(|| texts.automatic.to_owned(), grouped);
        conditions.push(Condition { name: texts.admission_rate, value: rate });
    }
    conditions
}
