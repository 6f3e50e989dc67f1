//! The confirmations: what an action will do, asked before it is done, with the reason for it.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::controls::{ALLOT, tone};
use super::place::Place;
use super::proposals;
use super::{Frame, Operator, ROOT};
use crate::actors::sales::{Action, GetSale, Halt, ListProposals, Sale, SaleStatus, SalesError};
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::Answer;
use crate::http::gateway::input::{FromPath, FromQuery};
use crate::http::gateway::problem::Problem;
use crate::http::pages::kit::{Confirmation, Renewal, fill, show};
use crate::types::{ProposalId, SaleId, Sku};

#[derive(Template)]
#[template(path = "ops/confirm.html")]
struct ConfirmPage {
    frame: Frame,
    confirmation: Confirmation,
    renewal: Option<Renewal>,
    has_own_field: bool,
    /// The allotment as it is and as it is wanted, where it is to be changed.
    allotment: Option<(i64, i64)>,
}

/// The parts of the list of sales and of a sale's page that an answer changes.
const RENEWAL: Renewal = Renewal { replaced: "#state", also: "#outcome,#skus,#history" };

async fn show_confirmation(
    operator: &Operator,
    gateway: &Gateway,
    confirmation: Confirmation,
    allotment: Option<(i64, i64)>,
) -> Answer {
    let page = ConfirmPage {
        frame: operator.frame(gateway).await,
        confirmation,
        renewal: operator.visitor.is_htmx.then_some(RENEWAL),
        has_own_field: allotment.is_some(),
        allotment,
    };
    show(StatusCode::OK, &page)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmQuery {
    action: String,
    #[serde(default, deserialize_with = "crate::http::gateway::input::optional_text")]
    sku: Option<Sku>,
    /// What a resume ends: the pause or the kill.
    #[serde(default, deserialize_with = "crate::http::gateway::input::optional_text")]
    ends: Option<Halt>,
    /// The allotment that was proposed.
    allotment: Option<i64>,
}

/// Asks whether to do something to a sale or to one of its SKUs.
pub async fn confirm_move(
    sale: FromPath<SaleId>,
    query: FromQuery<ConfirmQuery>,
    operator: Operator,
    gateway: Data<Gateway>,
) -> Answer {
    let texts = operator.texts();
    let ConfirmQuery { action, sku, ends, allotment: wanted } = query.0;
    let known = gateway.ports.sales.get_sale.ask(GetSale { sale: sale.0 }).await?;
    let here = format!("{ROOT}/sales/{}", sale.0);
    let mut what = known.draft.name.clone();
    let mut effect = texts.effect(&action);
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
            // The form names what it ends, so that it ends that alone however late it is sent.
            if let (Action::Resume, Some(ends)) = (known_action, ends.or_else(|| known.halt())) {
                effect = texts.effect(effect_of_resuming(&known, ends));
                hidden.push(("ends", ends.as_str().to_owned()));
            }
            "move"
        }
        Some(sku) => {
            let item = known.item(sku).ok_or_else(Problem::not_found)?;
            what = sku.to_string();
            effect = texts.effect(if action == "kill" { "kill-item" } else { &action });
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
    let label = texts.action(&action);
    let confirmation = Confirmation {
        title: fill(texts.confirm_title, &[&label, &what]),
        effect,
        tone: tone(&action),
        label,
        send_to: format!("{here}/{to}"),
        back: here,
        hidden,
    };
    show_confirmation(&operator, &gateway, confirmation, allotment).await
}

fn effect_of_resuming(sale: &Sale, ends: Halt) -> &'static str {
    match ends {
        Halt::Pause if sale.is_stopped => "resume-paused",
        Halt::Kill if sale.status == SaleStatus::Paused => "resume-stopped",
        _ => "resume",
    }
}

/// Asks whether to stop all orders, or to resume them.
pub async fn confirm_everything(
    query: FromQuery<ConfirmQuery>,
    operator: Operator,
    gateway: Data<Gateway>,
) -> Answer {
    let texts = operator.texts();
    let action = query.0.action;
    let (title, effect) = match &*action {
        "kill" => (texts.stop_everything, "kill-everything"),
        "resume" => (texts.resume_everything, "resume"),
        _ => return Err(Problem::not_found()),
    };
    let confirmation = Confirmation {
        title: title.to_owned(),
        effect: texts.effect(effect),
        tone: tone(&action),
        label: title.to_owned(),
        send_to: format!("{ROOT}/switch"),
        back: ROOT.to_owned(),
        hidden: vec![("action", action)],
    };
    show_confirmation(&operator, &gateway, confirmation, None).await
}

/// Asks whether to withdraw a proposal.
pub async fn confirm_withdrawal(
    proposal: FromPath<ProposalId>,
    operator: Operator,
    gateway: Data<Gateway>,
) -> Answer {
    let texts = operator.texts();
    let waiting = gateway.ports.sales.list_proposals.ask(ListProposals).await?;
    let proposal = waiting
        .into_iter()
        .find(|waiting| waiting.id == proposal.0)
        .ok_or(SalesError::UnknownProposal(proposal.0))?;
    let confirmation = Confirmation {
        title: fill(texts.confirm_title, &[texts.withdraw, &proposals::what(&operator, &proposal.action)]),
        effect: texts.effect("withdraw"),
        tone: tone("withdraw"),
        label: texts.withdraw.to_owned(),
        send_to: format!("{ROOT}/proposals/{}/withdraw", proposal.id),
        back: proposal.action.sale().map_or(Place::Sales, Place::Sale).path(),
        hidden: Vec::new(),
    };
    show_confirmation(&operator, &gateway, confirmation, None).await
}
