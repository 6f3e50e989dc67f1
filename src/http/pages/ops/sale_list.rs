//! The first page: the list of sales and their calendar, and the switch that stops all orders.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;

use super::calendar::Calendar;
use super::outcomes::done;
use super::proposals::{self, ProposalRow};
use super::translations::OpsTexts;
use super::{Frame, Operator, Ops, ROOT};
use crate::actors::sales::{GetLive, ListSales, Sale, SaleStatus};
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::Answer;
use crate::http::gateway::input::FromQuery;
use crate::http::pages::kit::{Outcome, Visitor, jst, see_other, show, sign_in_page, way_back};
use crate::types::grouped;

/// The latest sales that are listed.
const LISTED_MAX: i64 = 500;

/// A sale on the list and on the calendar.
pub struct SaleLine {
    pub href: String,
    pub name: String,
    pub status: &'static str,
    pub status_text: &'static str,
    pub is_stopped: bool,
    pub period: String,
    pub skus: usize,
    pub pieces: String,
}

impl SaleLine {
    pub fn of(texts: &OpsTexts, sale: &Sale) -> Self {
        let draft = &sale.draft;
        let pieces: i64 = draft.items.iter().map(|item| item.allotment.get()).sum();
        Self {
            href: format!("{ROOT}/sales/{}", sale.id),
            name: draft.name.clone(),
            status: sale.status.as_str(),
            status_text: texts.status(sale.status.as_str()),
            is_stopped: sale.is_stopped,
            period: jst::period(draft.opens_at, draft.closes_at, texts.to),
            skus: draft.items.len(),
            pieces: grouped(pieces),
        }
    }
}

struct Group {
    title: &'static str,
    sales: Vec<SaleLine>,
}

#[derive(Template)]
#[template(path = "ops/sales.html")]
struct SalesPage {
    frame: Frame,
    groups: Vec<Group>,
    calendar: Calendar,
    /// `None` while there is no sale: the switch is read with the figures of a sale.
    is_everything_stopped: Option<bool>,
    proposals: Vec<ProposalRow>,
    outcome: Option<Outcome>,
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

/// The list of sales and their calendar, or the page to sign in.
pub async fn list_sales(
    visitor: Visitor<Ops>,
    query: FromQuery<ListQuery>,
    gateway: Data<Gateway>,
) -> Answer {
    let Some(identity) = visitor.identity else { return sign_in_page(&visitor, &query.0.back) };
    let operator = Operator { visitor, identity };
    if !query.0.back.is_empty() {
        // Redirected here to sign in, but signed in meanwhile.
        return Ok(see_other(way_back::<Ops>(&query.0.back)));
    }
    let month = jst::month(&query.0.month);
    let outcome = done(operator.texts(), query.0.done.as_deref());
    show_sales(&operator, &gateway, month, StatusCode::OK, outcome).await
}

pub async fn show_sales(
    operator: &Operator,
    gateway: &Gateway,
    month: Option<Date>,
    status: StatusCode,
    outcome: Option<Outcome>,
) -> Answer {
    let texts = operator.texts();
    let sales = gateway.ports.sales.list_sales.ask(ListSales { limit: LISTED_MAX }).await?;
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
        sales: sales.iter().filter(|sale| is_in(sale.status)).map(|sale| SaleLine::of(texts, sale)).collect(),
    };
    let groups = vec![
        group(texts.running, |status| status.is_gated() && !status.is_over()),
        group(texts.planned, SaleStatus::is_planned),
        group(texts.over, SaleStatus::is_over),
    ];
    let page = SalesPage {
        frame: operator.frame(gateway).await,
        groups: groups.into_iter().filter(|group| !group.sales.is_empty()).collect(),
        calendar: Calendar::of(texts, &sales, first, today),
        is_everything_stopped,
        proposals: proposals::rows(gateway, operator, None).await?,
        outcome,
    };
    show(status, &page)
}
