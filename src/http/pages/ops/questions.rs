//! The question before anything is done: what it will do, and why it is wanted.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::proposals;
use super::sales::{ALLOT, tone};
use crate::actors::sales::{Action, GetSale, Halt, ListProposals, Sale, SaleStatus, SalesError};
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::Answer;
use crate::http::gateway::input::{FromPath, FromQuery};
use crate::http::gateway::problem::Problem;
use crate::http::pages::kit::HOME;
use crate::http::pages::kit::layout::{self, Frame, Place};
use crate::http::pages::kit::session::Operator;
use crate::http::pages::kit::translations::fill;
use crate::types::{ProposalId, SaleId, Sku};

#[derive(Template)]
#[template(path = "ops/confirm.html")]
struct ConfirmPage {
    frame: Frame,
    /// Shown in a dialog of the page whose state changes; nothing: a page of its own.
    is_in_dialog: bool,
    title: String,
    effect: &'static str,
    tone: &'static str,
    label: String,
    to: String,
    back: String,
    hidden: Vec<(&'static str, String)>,
    /// The allotment as it is now and as it is wanted, where it is to be changed.
    allotment: Option<(i64, i64)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmQuery {
    action: String,
    #[serde(default, deserialize_with = "crate::http::gateway::input::optional_text")]
    sku: Option<Sku>,
    /// What is to be resumed.
    #[serde(default, deserialize_with = "crate::http::gateway::input::optional_text")]
    ends: Option<Halt>,
    /// What somebody proposed.
    allotment: Option<i64>,
}

/// Asks whether something is to be done to a sale or to one of its SKUs, and why.
pub async fn confirm_move(
    sale: FromPath<SaleId>,
    query: FromQuery<ConfirmQuery>,
    operator: Operator,
    gateway: Data<Gateway>,
) -> Answer {
    let words = operator.words();
    let ConfirmQuery { action, sku, ends, allotment: wanted } = query.0;
    let known = gateway.ports.sales.get_sale.ask(GetSale { sale: sale.0 }).await?;
    let here = format!("{HOME}/sales/{}", sale.0);
    let mut what = known.draft.name.clone();
    let mut effect = words.effect(&action);
    let mut hidden = Vec::new();
    let mut allotment = None;
    let to = match &sku {
        None => {
            let known_action = action
                .parse::<Action>()
                .ok()
                .filter(|action| *action != Action::Open)
                .ok_or_else(Problem::not_found)?;
            hidden.push(("action", action.clone()));
            // The answer ends what the question was about, whatever else was done in between.
            if let (Action::Resume, Some(ends)) = (known_action, ends.or_else(|| known.halt())) {
                effect = words.effect(effect_of_resuming(&known, ends));
                hidden.push(("ends", ends.as_str().to_owned()));
            }
            "move"
        }
        Some(sku) => {
            let item = known.item(sku).ok_or_else(Problem::not_found)?;
            what = sku.to_string();
            effect = words.effect(if action == "kill" { "kill-item" } else { &action });
            hidden.push(("sku", sku.to_string()));
            match &*action {
                "kill" | "resume" => {
                    hidden.push(("action", action.clone()));
                    "switch"
                }
                ALLOT => {
                    hidden.push(("expected", item.allotment.get().to_string()));
                    let now = item.allotment.get();
                    allotment = Some((now, wanted.unwrap_or(now)));
                    "allotment"
                }
                _ => return Err(Problem::not_found()),
            }
        }
    };
    let page = ConfirmPage {
        title: fill(words.confirm_title, &[&words.action(&action), &what]),
        effect,
        tone: tone(&action),
        label: words.action(&action),
        to: format!("{here}/{to}"),
        back: here,
        hidden,
        allotment,
        frame: operator.frame(&gateway).await,
        is_in_dialog: operator.visitor.is_htmx,
    };
    layout::show(StatusCode::OK, &page)
}

fn effect_of_resuming(sale: &Sale, ends: Halt) -> &'static str {
    match ends {
        Halt::Pause if sale.is_stopped => "resume-paused",
        Halt::Kill if sale.status == SaleStatus::Paused => "resume-stopped",
        _ => "resume",
    }
}

/// Asks whether everything is to be stopped, or let in again.
pub async fn confirm_everything(
    query: FromQuery<ConfirmQuery>,
    operator: Operator,
    gateway: Data<Gateway>,
) -> Answer {
    let words = operator.words();
    let action = query.0.action;
    let (title, effect) = match &*action {
        "kill" => (words.stop_everything, "kill-everything"),
        "resume" => (words.resume_everything, "resume"),
        _ => return Err(Problem::not_found()),
    };
    let page = ConfirmPage {
        title: title.to_owned(),
        effect: words.effect(effect),
        tone: tone(&action),
        label: title.to_owned(),
        to: format!("{HOME}/switch"),
        back: HOME.to_owned(),
        hidden: vec![("action", action)],
        allotment: None,
        frame: operator.frame(&gateway).await,
        is_in_dialog: operator.visitor.is_htmx,
    };
    layout::show(StatusCode::OK, &page)
}

/// Asks whether a proposal is to be taken back.
pub async fn confirm_withdrawal(
    proposal: FromPath<ProposalId>,
    operator: Operator,
    gateway: Data<Gateway>,
) -> Answer {
    let words = operator.words();
    let waiting = gateway.ports.sales.list_proposals.ask(ListProposals).await?;
    let proposal = waiting
        .into_iter()
        .find(|waiting| waiting.id == proposal.0)
        .ok_or(SalesError::UnknownProposal(proposal.0))?;
    let page = ConfirmPage {
        title: fill(words.confirm_title, &[words.withdraw, &proposals::what(&operator, &proposal.wish)]),
        effect: words.effect("withdraw"),
        tone: "danger",
        label: words.withdraw.to_owned(),
        to: format!("{HOME}/proposals/{}/withdraw", proposal.id),
        back: proposal.wish.sale().map_or(Place::Sales, Place::Sale).path(),
        hidden: Vec::new(),
        allotment: None,
        frame: operator.frame(&gateway).await,
        is_in_dialog: operator.visitor.is_htmx,
    };
    layout::show(StatusCode::OK, &page)
}
