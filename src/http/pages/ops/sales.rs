//! The list of sales, one sale as it goes, and everything that operators do to it, each after a question and a reason.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;

use super::history::{self, ChangeView};
use super::live::{Light, LiveView, QueueFigures, Rates};
use super::proposals::{self, ProposalRow};
use crate::actors::sales::{
    Action, ChangeItem, Finding, GATES, GetLive, Halt, ListChanges, ListSales, MoveSale, Sale, SaleStatus,
    SalesError, Steered, SwitchEverything, SwitchItem, Turn, Unwritten, ValidateSale,
};
use crate::error::Fault;
use crate::http::api::sale_snapshot::SaleSnapshot;
use crate::http::api::vitals::VitalsView;
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::Answer;
use crate::http::gateway::input::{FromPath, FromQuery};
use crate::http::gateway::problem::Problem;
use crate::http::pages::kit::layout::{self, Frame, Outcome, Place};
use crate::http::pages::kit::session::{Operator, Submitted, Visitor, sign_in_page};
use crate::http::pages::kit::translations::{Words, fill};
use crate::http::pages::kit::{HOME, jst};
use crate::types::{CustomerId, Quantity, SaleId, Sku, grouped};

/// The latest sales that are listed.
const LISTED_MAX: i64 = 500;
const REASON_CHARACTERS_MAX: usize = 200;
/// What is asked of one SKU, beside the actions of a sale.
pub const ALLOT: &str = "allot";
/// What became of something that needs a second operator.
const PROPOSE: &str = "propose";

/// A sale on the list and on the calendar.
struct SaleLine {
    href: String,
    name: String,
    status: &'static str,
    status_word: &'static str,
    is_stopped: bool,
    window: String,
    skus: usize,
    pieces: String,
}

impl SaleLine {
    fn of(words: &Words, sale: &Sale) -> Self {
        let draft = &sale.draft;
        let pieces: i64 = draft.items.iter().map(|item| item.allotment.get()).sum();
        Self {
            href: format!("{HOME}/sales/{}", sale.id),
            name: draft.name.clone(),
            status: sale.status.as_str(),
            status_word: words.status(sale.status.as_str()),
            is_stopped: sale.is_stopped,
            window: jst::window(draft.opens_at, draft.closes_at, words.to),
            skus: draft.items.len(),
            pieces: grouped(pieces),
        }
    }
}

struct Group {
    title: &'static str,
    sales: Vec<SaleLine>,
}

struct Day {
    number: i8,
    date: String,
    is_of_month: bool,
    is_today: bool,
    sales: Vec<SaleLine>,
}

struct Calendar {
    title: String,
    before: String,
    after: String,
    weeks: Vec<Vec<Day>>,
}

impl Calendar {
    fn of(words: &Words, sales: &[Sale], first: Date, today: Date) -> Self {
        let month = jiff::Span::new().months(1);
        let link = |date: Date| format!("{HOME}?month={}", date.strftime("%Y-%m"));
        let day = |date: Date| Day {
            number: date.day(),
            date: date.to_string(),
            is_of_month: date.month() == first.month(),
            is_today: date == today,
            sales: sales
                .iter()
                .filter(|sale| is_on(sale, date))
                .map(|sale| SaleLine::of(words, sale))
                .collect(),
        };
        Self {
            title: first.strftime("%Y-%m").to_string(),
            before: link(first.saturating_sub(month)),
            after: link(first.saturating_add(month)),
            weeks: jst::weeks(first).into_iter().map(|week| week.into_iter().map(day).collect()).collect(),
        }
    }
}

fn is_on(sale: &Sale, date: Date) -> bool {
    let draft = &sale.draft;
    // What ends at midnight is not on the day that begins then.
    let last =
        draft.closes_at.saturating_sub(jiff::SignedDuration::from_millis(1)).unwrap_or(draft.closes_at);
    sale.status != SaleStatus::Cancelled && (jst::date(draft.opens_at)..=jst::date(last)).contains(&date)
}

#[derive(Template)]
#[template(path = "ops/sales.html")]
struct SalesPage {
    frame: Frame,
    groups: Vec<Group>,
    calendar: Calendar,
    /// Unknown while there is no sale to ask about.
    is_everything_stopped: Option<bool>,
    proposals: Vec<ProposalRow>,
    outcome: Option<Outcome>,
}

/// The list of sales and their calendar, or the page to sign in.
pub async fn list_sales(visitor: Visitor, query: FromQuery<ListQuery>, gateway: Data<Gateway>) -> Answer {
    let Some(identity) = visitor.identity else { return sign_in_page(&visitor, &query.0.back) };
    let operator = Operator { visitor, identity };
    if !query.0.back.is_empty() {
        // Led here to sign in, and signed in all the same.
        return Ok(layout::go_to(crate::http::pages::kit::session::way_back(&query.0.back)));
    }
    let month = jst::month(&query.0.month);
    let outcome = done(operator.words(), query.0.done.as_deref());
    show_sales(&operator, &gateway, month, StatusCode::OK, outcome).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    #[serde(default)]
    back: String,
    #[serde(default)]
    month: String,
    done: Option<String>,
}

async fn show_sales(
    operator: &Operator,
    gateway: &Gateway,
    month: Option<Date>,
    status: StatusCode,
    outcome: Option<Outcome>,
) -> Answer {
    let words = operator.words();
    let sales = gateway.ports.sales.list_sales.ask(ListSales { limit: LISTED_MAX }).await?;
    // The switch is told with any sale.
    let is_everything_stopped = match sales.first() {
        Some(sale) => {
            let live = gateway.ports.sales.get_live.ask(GetLive { sale: sale.id }).await?;
            Some(live.is_everything_stopped)
        }
        None => None,
    };
    let today = jst::date(Timestamp::now());
    let first = month.unwrap_or_else(|| today.first_of_month());
    let group = |title, is_in: fn(SaleStatus) -> bool| Group {
        title,
        sales: sales.iter().filter(|sale| is_in(sale.status)).map(|sale| SaleLine::of(words, sale)).collect(),
    };
    let groups = vec![
        group(words.running, |status| status.is_gated() && !status.is_over()),
        group(words.planned, SaleStatus::is_planned),
        group(words.over, SaleStatus::is_over),
    ];
    let page = SalesPage {
        frame: operator.frame(gateway).await,
        groups: groups.into_iter().filter(|group| !group.sales.is_empty()).collect(),
        calendar: Calendar::of(words, &sales, first, today),
        is_everything_stopped,
        proposals: proposals::rows(gateway, operator, None).await?,
        outcome,
    };
    layout::show(status, &page)
}

/// Something that can be done now.
struct Control {
    /// So that the browser finds it again when the page around it is loaded anew.
    id: String,
    href: String,
    label: String,
    name: String,
    tone: &'static str,
}

impl Control {
    fn of(words: &Words, sale: &Sale, action: Action) -> Self {
        let label = words.action(action.as_str());
        let mut href = format!("{HOME}/sales/{}/confirm?action={}", sale.id, action.as_str());
        if let (Action::Resume, Some(halt)) = (action, sale.halt()) {
            href += &format!("&ends={}", halt.as_str());
        }
        Self {
            id: format!("control-{}", action.as_str()),
            href,
            name: label.clone(),
            label,
            tone: tone(action.as_str()),
        }
    }
}

pub fn tone(action: &str) -> &'static str {
    match action {
        "kill" | "cancel" | "close" => "danger",
        "schedule" | "resume" | "arm" | "settle" => "primary",
        _ => "plain",
    }
}

/// One row of the table of SKUs.
struct SkuRow {
    sku: String,
    price: String,
    allotment: String,
    /// Remaining, held, sold, expired, lapsed.
    figures: [String; 5],
    /// Questions that wait for its actor, and the actor's restarts.
    load: [u32; 2],
    sold_share: i64,
    is_stopped: bool,
    /// Whether its actor is; nothing while the sale does not need it.
    is_ready: Option<bool>,
    forecast: String,
    controls: Vec<Control>,
}

struct GateRow {
    gate: &'static str,
    label: &'static str,
    count: String,
}

/// How the engine bears the sale, figure by figure.
struct Vital {
    /// What the script calls it.
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
    status_word: &'static str,
    is_stopped: bool,
    is_draft: bool,
    window: String,
    opens_at: i64,
    /// Of a sale that drains, until when it does.
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
    /// What keeps a draft from being scheduled, or a scheduled sale from being armed.
    findings: Option<Vec<String>>,
    outcome: Option<Outcome>,
}

impl SalePage {
    fn light(&self) -> Light {
        self.live.light.clone().unwrap_or_default()
    }

    /// What the script calls each figure of the waiting room, what it is called, and how it stands.
    fn queue(&self) -> [(&'static str, &'static str, String); 5] {
        let (words, queue) = (self.frame.words, self.live.queue.as_ref());
        let figure = |of: fn(&QueueFigures) -> u64| queue.map_or(0, of).to_string();
        let wait = queue.and_then(|queue| queue.wait_seconds);
        [
            ("waiting", words.queue_waiting, figure(|queue| queue.waiting)),
            ("admitted", words.queue_admitted, figure(|queue| queue.admitted)),
            ("no_shows", words.queue_no_shows, figure(|queue| queue.no_shows)),
            (
                "wait_seconds",
                words.queue_wait,
                wait.map_or_else(|| words.no_forecast.to_owned(), |wait| words.duration(wait)),
            ),
            ("per_second", words.queue_rate, queue.map_or(0.0, |queue| queue.per_second).to_string()),
        ]
    }
}

/// One sale: what can be done to it, how it goes, and what was done to it.
pub async fn get_sale(
    sale: FromPath<SaleId>,
    query: FromQuery<SaleQuery>,
    operator: Operator,
    gateway: Data<Gateway>,
) -> Answer {
    let outcome = done(operator.words(), query.0.done.as_deref());
    show_sale(&operator, &gateway, sale.0, StatusCode::OK, outcome).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaleQuery {
    done: Option<String>,
}

/// Says what was done, for actions that there are.
fn done(words: &Words, action: Option<&str>) -> Option<Outcome> {
    let is_known = |action: &&str| {
        !words.effect(action).is_empty() || matches!(*action, "create" | "replan" | PROPOSE | "withdraw")
    };
    let text = match action.filter(is_known)? {
        PROPOSE => words.proposed.to_owned(),
        action => fill(words.done, &[&words.action(action)]),
    };
    Some(Outcome { is_refused: false, text, findings: Vec::new() })
}

async fn show_place(
    operator: &Operator,
    gateway: &Gateway,
    place: Place,
    status: StatusCode,
    outcome: Option<Outcome>,
) -> Answer {
    match place {
        Place::Sales => show_sales(operator, gateway, None, status, outcome).await,
        Place::Sale(id) => show_sale(operator, gateway, id, status, outcome).await,
    }
}

async fn show_sale(
    operator: &Operator,
    gateway: &Gateway,
    id: SaleId,
    status: StatusCode,
    outcome: Option<Outcome>,
) -> Answer {
    let words = operator.words();
    let snapshot = SaleSnapshot::take(gateway, id).await?;
    let sale = snapshot.live.sale.clone();
    let unwritten = snapshot.live.unwritten.clone();
    let is_draft = sale.status == SaleStatus::Draft;
    let findings = match sale.status.is_planned() {
        true => {
            let found = gateway.ports.sales.validate_sale.ask(ValidateSale { sale: id }).await?;
            // A sale that is final says only what still goes wrong.
            (is_draft || !found.is_empty()).then(|| findings_in_words(words, &found))
        }
        false => None,
    };
    let changes = gateway.ports.sales.list_changes.ask(ListChanges { sale: id }).await?;
    let proposals = proposals::rows(gateway, operator, Some(id)).await?;
    let live = LiveView::of(snapshot, &Rates::default(), proposals::mark(proposals.iter().map(|row| row.id)));
    let page = SalePage {
        frame: operator.frame(gateway).await,
        id,
        name: sale.draft.name.clone(),
        status: sale.status.as_str(),
        status_word: words.status(sale.status.as_str()),
        is_stopped: sale.is_stopped,
        is_draft,
        window: jst::window(sale.draft.opens_at, sale.draft.closes_at, words.to),
        opens_at: sale.draft.opens_at.as_millisecond(),
        closes_at: sale
            .drains_until
            .filter(|_| sale.status == SaleStatus::Draining)
            .unwrap_or(sale.draft.closes_at)
            .as_millisecond(),
        is_over: sale.status.is_over(),
        version: sale.version,
        conditions: conditions(words, &sale),
        controls: controls(words, &sale, &unwritten),
        proposals,
        skus: sku_rows(words, &sale, &live, &unwritten),
        gates: GATES
            .into_iter()
            .zip(live.totals.refused)
            .map(|(gate, count)| GateRow { gate, label: words.gate(gate), count: grouped(count) })
            .collect(),
        is_everything_stopped: live.is_everything_stopped,
        vitals: vitals(words, &live.vitals),
        has_report: sale.status.is_over(),
        live,
        history: history::views(gateway, words, &changes).await,
        findings,
        outcome,
    };
    layout::show(status, &page)
}

fn controls(words: &Words, sale: &Sale, unwritten: &Unwritten) -> Vec<Control> {
    let may = |action: &Action| {
        (*action != Action::Open && matches!(sale.after(*action, Timestamp::MAX), Ok(Some(_))))
            || (*action == Action::Resume && unwritten.is_of_sale)
    };
    Action::ALL.into_iter().filter(may).map(|action| Control::of(words, sale, action)).collect()
}

fn sku_rows(words: &Words, sale: &Sale, live: &LiveView, unwritten: &Unwritten) -> Vec<SkuRow> {
    let may_allot = matches!(sale.status, SaleStatus::Armed | SaleStatus::Open | SaleStatus::Paused);
    let needs_actors = !sale.status.is_planned() && !sale.status.is_over();
    let rows = sale.draft.items.iter().zip(&live.skus).map(|(item, view)| {
        let sku = view.sku.as_str();
        let actor = live.vitals.actors.iter().find(|actor| actor.sku == sku);
        let is_stopped = sale.stopped_skus.contains(&item.sku);
        let link = |action: &str| format!("{HOME}/sales/{}/confirm?action={action}&sku={sku}", sale.id);
        let mut controls = Vec::new();
        if may_allot {
            controls.push(Control {
                id: format!("control-allot-{sku}"),
                href: link(ALLOT),
                label: words.change_allotment.to_owned(),
                name: fill(words.change_allotment_of, &[sku]),
                tone: "plain",
            });
        }
        let mut turns = Vec::new();
        if !sale.status.is_over() && !is_stopped {
            turns.push(("control-switch", "kill", words.stop_sku, words.stop_sku_of));
        }
        if !sale.status.is_over() && is_stopped {
            // The one becomes the other.
            turns.push(("control-switch", "resume", words.resume_sku, words.resume_sku_of));
        } else if unwritten.skus.contains(&item.sku) {
            turns.push(("control-resume", "resume", words.resume_sku, words.resume_sku_of));
        }
        for (id, action, label, name) in turns {
            controls.push(Control {
                id: format!("{id}-{sku}"),
                href: link(action),
                label: label.to_owned(),
                name: fill(name, &[sku]),
                tone: tone(action),
            });
        }
        let figure = |number: i64| grouped(number);
        let sold_out = view.figures.is_some_and(|figures| figures.remaining == 0);
        SkuRow {
            sku: view.sku.clone(),
            price: grouped(item.price.amount()),
            allotment: grouped(view.allotment),
            figures: view.figures.map_or_else(
                || std::array::from_fn(|_| words.no_forecast.to_owned()),
                |it| [it.remaining, it.held, it.sold, it.expired, it.lapsed].map(figure),
            ),
            load: actor.map_or([0; 2], |actor| [actor.waiting, actor.restarts]),
            sold_share: view.figures.map_or(0, |it| (it.held + it.sold) * 100 / view.allotment.max(1)),
            is_stopped,
            is_ready: needs_actors.then(|| actor.is_some_and(|actor| actor.ready)),
            forecast: if sold_out { words.sold_out } else { words.no_forecast }.to_owned(),
            controls,
        }
    });
    rows.collect()
}

fn vitals(words: &Words, vitals: &VitalsView) -> Vec<Vital> {
    let VitalsView { latency, holds, commit_lag_ms, event_lag_ms, .. } = vitals;
    let nothing = || words.no_forecast.to_owned();
    let milliseconds = |value: Option<f64>| value.map_or_else(nothing, |value| words.milliseconds(value));
    let seconds = |value: Option<i64>| value.map_or_else(nothing, |value| words.duration(value));
    let of = |key, name, value| Vital { key, name, value };
    let (latency, holds) = (latency.as_ref(), holds.as_ref());
    vec![
        of("p50_ms", words.latency_p50, milliseconds(latency.map(|it| it.p50_ms))),
        of("p99_ms", words.latency_p99, milliseconds(latency.map(|it| it.p99_ms))),
        of("p999_ms", words.latency_p999, milliseconds(latency.map(|it| it.p999_ms))),
        of("oldest_seconds", words.oldest_hold, seconds(holds.map(|it| it.oldest_seconds))),
        of("median_seconds", words.median_hold, seconds(holds.map(|it| it.median_seconds))),
        of("commit_lag_ms", words.commit_lag, milliseconds(Some(*commit_lag_ms))),
        of("event_lag_ms", words.event_lag, milliseconds(event_lag_ms.map(|lag| lag as f64))),
    ]
}

fn conditions(words: &Words, sale: &Sale) -> Vec<Condition> {
    let terms = &sale.draft.terms;
    let limit = terms.limit_per_customer.map_or_else(|| words.any_limit.to_owned(), grouped);
    let konbini = match terms.konbini.allowed {
        true => format!("{} ({} %)", words.yes, (terms.konbini.share_max * 100.0).round()),
        false => words.no.to_owned(),
    };
    let mut conditions = vec![
        Condition { name: words.limit_per_customer, value: limit },
        Condition { name: words.hold_card, value: grouped(terms.hold_seconds.card) },
        Condition { name: words.hold_konbini, value: grouped(terms.hold_seconds.konbini) },
        Condition { name: words.konbini_allowed, value: konbini },
        Condition { name: words.admission, value: words.admission(terms.admission.mode.as_str()).to_owned() },
    ];
    if terms.admission.mode.as_str() != "none" {
        let rate = terms.admission.per_second.map_or_else(|| words.automatic.to_owned(), grouped);
        conditions.push(Condition { name: words.admission_rate, value: rate });
    }
    conditions
}

pub fn findings_in_words(words: &Words, findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .map(|finding| {
            fill(
                words.confirm_title,
                &[&words.field(&finding.field), &words.finding(&finding.field, &finding.problem)],
            )
        })
        .collect()
}

/// Why something was refused.
pub fn why(words: &Words, error: &impl Fault) -> String {
    words.refusal(error.code()).map_or_else(|| error.to_string(), str::to_owned)
}

/// A refusal in words, with its status; what is none is a failure, and whose page it is not for nobody to see.
fn refusal(words: &Words, error: SalesError, action: &str) -> Result<(StatusCode, Outcome), Problem> {
    let status = error.kind().http_status();
    if status >= 500 || matches!(error, SalesError::UnknownSale(_)) {
        return Err(error.into());
    }
    let why = match &error {
        SalesError::NotInStatus { status, .. } => {
            fill(words.not_in_status, &[words.status(status.as_str()), &words.action(action)])
        }
        error => why(words, error),
    };
    let findings = match &error {
        SalesError::NotValid { findings } | SalesError::NotReady { findings } => {
            findings_in_words(words, findings)
        }
        _ => Vec::new(),
    };
    let outcome = Outcome { is_refused: true, text: fill(words.refused_because, &[&why]), findings };
    Ok((StatusCode::from_u16(status).unwrap_or(StatusCode::CONFLICT), outcome))
}

impl Submitted {
    fn by(&self) -> Option<CustomerId> {
        Some(self.operator.identity.customer)
    }

    /// Why something is done; nothing where that is not said as it must be.
    pub fn reason(&self) -> Option<String> {
        let reason = self.form.text("reason");
        let is_told = (1..=REASON_CHARACTERS_MAX).contains(&reason.chars().count());
        (is_told && !reason.chars().any(char::is_control)).then(|| reason.to_owned())
    }
}

impl Operator {
    pub fn words(&self) -> &'static Words {
        self.visitor.language.words()
    }

    /// The status of a page that tells a refusal: a browser reports any other than 200 to a page's script as an error.
    pub fn status(&self, refused: StatusCode) -> StatusCode {
        if self.visitor.is_htmx { StatusCode::OK } else { refused }
    }

    /// Where somebody goes on: a script at the page that it is part of, and everybody else at the one that it was about.
    pub fn goes_on_at(&self, about: Place) -> Place {
        self.visitor.asks_at.unwrap_or(about)
    }
}

/// Says what became of it: where it was done, at an address of its own, so that loading it again does nothing again.
async fn answer(
    submitted: &Submitted,
    gateway: &Gateway,
    sale: SaleId,
    action: &str,
    result: Result<Steered<Sale>, SalesError>,
) -> Answer {
    let operator = &submitted.operator;
    let place = operator.goes_on_at(Place::Sale(sale));
    let action = if matches!(result, Ok(Steered::Proposed(_))) { PROPOSE } else { action };
    match result {
        Ok(_) => Ok(layout::go_to(&format!("{}?done={action}", place.path()))),
        Err(error) => {
            let (status, outcome) = refusal(operator.words(), error, action)?;
            show_place(operator, gateway, place, operator.status(status), Some(outcome)).await
        }
    }
}

/// Says what is missing in a form, where somebody goes on.
pub async fn refuse_form(submitted: &Submitted, gateway: &Gateway, about: Place, why: &str) -> Answer {
    let operator = &submitted.operator;
    let (place, status) = (operator.goes_on_at(about), operator.status(StatusCode::UNPROCESSABLE_ENTITY));
    show_place(operator, gateway, place, status, Some(refused_with(operator.words(), why))).await
}

pub fn refused_with(words: &Words, why: &str) -> Outcome {
    Outcome { is_refused: true, text: fill(words.refused_because, &[why]), findings: Vec::new() }
}

/// Does something to a sale.
pub async fn move_sale(sale: FromPath<SaleId>, submitted: Submitted, gateway: Data<Gateway>) -> Answer {
    let action: Action = submitted.form.text("action").parse()?;
    let fields = if action == Action::Resume {
        &["token", "action", "reason", "ends"][..]
    } else {
        &["token", "action", "reason"]
    };
    submitted.form.check(fields, &[])?;
    let ends = match submitted.form.text("ends") {
        "" => None,
        ends => Some(ends.parse::<Halt>()?),
    };
    if action == Action::Open {
        return Err(Problem::new(422, "invalid-form", "the schedule alone opens a sale"));
    }
    let Some(reason) = submitted.reason() else {
        return refuse_form(
            &submitted,
            &gateway,
            Place::Sale(sale.0),
            submitted.operator.words().reason_needed,
        )
        .await;
    };
    let asked = MoveSale { sale: sale.0, action, ends, by: submitted.by(), reason };
    let result = gateway.ports.sales.move_sale.ask(asked).await;
    answer(&submitted, &gateway, sale.0, action.as_str(), result).await
}

/// Turns the switch of one SKU.
pub async fn switch_item(sale: FromPath<SaleId>, submitted: Submitted, gateway: Data<Gateway>) -> Answer {
    submitted.form.check(&["token", "action", "sku", "reason"], &[])?;
    let action = submitted.form.text("action");
    let stopped = action.parse::<Turn>()?.stops();
    let sku: Sku = submitted.form.text("sku").parse()?;
    let Some(reason) = submitted.reason() else {
        return refuse_form(
            &submitted,
            &gateway,
            Place::Sale(sale.0),
            submitted.operator.words().reason_needed,
        )
        .await;
    };
    let asked = SwitchItem { sale: sale.0, sku, stopped, by: submitted.by(), reason };
    let result = gateway.ports.sales.switch_item.ask(asked).await;
    answer(&submitted, &gateway, sale.0, action, result).await
}

/// Gives the sale more or fewer pieces of a SKU, if it still has as many as the operator saw.
pub async fn change_item(sale: FromPath<SaleId>, submitted: Submitted, gateway: Data<Gateway>) -> Answer {
    submitted.form.check(&["token", "sku", "expected", "allotment", "reason"], &[])?;
    let words = submitted.operator.words();
    let form = &submitted.form;
    let sku: Sku = form.text("sku").parse()?;
    let expected = pieces(form.text("expected")).ok_or_else(|| {
        Problem::new(422, "invalid-form", "the form does not tell the allotment that is expected")
    })?;
    let Some(allotment) = pieces(form.text("allotment")) else {
        return refuse_form(&submitted, &gateway, Place::Sale(sale.0), words.allotment_wrong).await;
    };
    let Some(reason) = submitted.reason() else {
        return refuse_form(&submitted, &gateway, Place::Sale(sale.0), words.reason_needed).await;
    };
    let asked = ChangeItem { sale: sale.0, sku, allotment, expected, by: submitted.by(), reason };
    let result = gateway.ports.sales.change_item.ask(asked).await;
    answer(&submitted, &gateway, sale.0, ALLOT, result).await
}

pub fn pieces(text: &str) -> Option<Quantity> {
    Quantity::new(whole(text)?).ok()
}

/// A number whose digits may be typed in groups.
pub fn whole(text: &str) -> Option<i64> {
    text.replace(',', "").parse().ok()
}

/// Stops all orders of customers, or lets them in again.
pub async fn switch_everything(submitted: Submitted, gateway: Data<Gateway>) -> Answer {
    submitted.form.check(&["token", "action", "reason"], &[])?;
    let action = submitted.form.text("action");
    let stopped = action.parse::<Turn>()?.stops();
    let operator = &submitted.operator;
    let Some(reason) = submitted.reason() else {
        return refuse_form(&submitted, &gateway, Place::Sales, operator.words().reason_needed).await;
    };
    let asked = SwitchEverything { stopped, by: submitted.by(), reason };
    let action = match gateway.ports.sales.switch_everything.ask(asked).await? {
        Steered::Done(_) => action,
        Steered::Proposed(_) => PROPOSE,
    };
    let place = operator.goes_on_at(Place::Sales).path();
    Ok::<HttpResponse, Problem>(layout::go_to(&format!("{place}?done={action}")))
}
