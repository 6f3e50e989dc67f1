//! The proposals that wait for a second operator, and what an operator can do about them.

use std::collections::{HashMap, HashSet};

use actix_web::web::Data;

use super::commands::refuse_without_reason;
use super::history::names;
use super::place::Place;
use super::{Operator, ROOT, Submitted};
use crate::actors::sales::{ControlledAction, GetSale, ListProposals, Proposal, WithdrawProposal};
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::Answer;
use crate::http::gateway::input::FromPath;
use crate::http::gateway::problem::Problem;
use crate::http::pages::kit::{fill, jst, see_other};
use crate::types::{ProposalId, SaleId, grouped};

pub struct ProposalRow {
    pub id: ProposalId,
    pub what: String,
    pub who: String,
    pub why: String,
    pub until: String,
    /// Whether the operator proposed it, who therefore cannot confirm it.
    pub is_own: bool,
    /// Links to confirm it and to withdraw it.
    pub confirm: String,
    pub withdraw: String,
}

/// Whether a proposal is shown: a sale shows its own and those for everything, the list of sales shows all.
pub fn concerns(proposal: &Proposal, sale: Option<SaleId>) -> bool {
    proposal.action.sale().is_none_or(|of| sale.is_none_or(|sale| sale == of))
}

/// A text that differs whenever the proposals do.
pub fn mark(proposals: impl Iterator<Item = ProposalId>) -> String {
    proposals.map(|id| id.to_string()).collect::<Vec<_>>().join(" ")
}

/// The proposals of one sale and those for everything; all without a sale.
pub async fn rows(
    gateway: &Gateway,
    operator: &Operator,
    sale: Option<SaleId>,
) -> Result<Vec<ProposalRow>, Problem> {
    let mut proposals = gateway.ports.sales.list_proposals.ask(ListProposals).await?;
    proposals.retain(|proposal| concerns(proposal, sale));
    let names = names(gateway, proposals.iter().map(|proposal| proposal.by)).await;
    let others: HashSet<SaleId> = proposals.iter().filter_map(|proposal| proposal.action.sale()).collect();
    let mut sales = HashMap::new();
    for of in others.into_iter().filter(|of| Some(*of) != sale) {
        let known = gateway.ports.sales.get_sale.ask(GetSale { sale: of }).await?;
        sales.insert(of, known.draft.name);
    }
    let row = |proposal: &Proposal| ProposalRow {
        id: proposal.id,
        what: match proposal.action.sale().and_then(|of| sales.get(&of)) {
            Some(name) => format!("{name}: {}", what(operator, &proposal.action)),
            None => what(operator, &proposal.action),
        },
        who: names.get(&proposal.by).cloned().unwrap_or_else(|| proposal.by.to_string()),
        why: proposal.reason.clone(),
        until: jst::with_seconds(proposal.lapses_at),
        is_own: proposal.by == operator.identity.customer,
        confirm: confirm(&proposal.action),
        withdraw: format!("{ROOT}/proposals/{}/withdraw", proposal.id),
    };
    Ok(proposals.iter().map(row).collect())
}

pub fn what(operator: &Operator, action: &ControlledAction) -> String {
    let texts = operator.texts();
    match action {
        ControlledAction::KillEverything => texts.stop_everything.to_owned(),
        ControlledAction::KillSale { .. } => texts.action("kill"),
        ControlledAction::KillItem { sku, .. } => fill(texts.stop_sku_of, &[sku.as_str()]),
        ControlledAction::Lower { sku, allotment, expected, .. } => {
            let [from, to] = [expected, allotment].map(|pieces| grouped(pieces.get()));
            fill(texts.lower_of, &[sku.as_str(), &from, &to])
        }
    }
}

fn confirm(action: &ControlledAction) -> String {
    match action {
        ControlledAction::KillEverything => format!("{ROOT}/confirm?action=kill"),
        ControlledAction::KillSale { sale } => format!("{ROOT}/sales/{sale}/confirm?action=kill"),
        ControlledAction::KillItem { sale, sku } => {
            format!("{ROOT}/sales/{sale}/confirm?action=kill&sku={sku}")
        }
        ControlledAction::Lower { sale, sku, allotment, .. } => {
            let allotment = allotment.get();
            format!("{ROOT}/sales/{sale}/confirm?action=allot&sku={sku}&allotment={allotment}")
        }
    }
}

/// Withdraws a proposal.
pub async fn withdraw_proposal(
    proposal: FromPath<ProposalId>,
    submitted: Submitted,
    gateway: Data<Gateway>,
) -> Answer {
    let Submitted { sender: operator, form } = submitted;
    form.check(&["reason"], &[])?;
    let Some(reason) = form.reason() else {
        return refuse_without_reason(&operator, &gateway, Place::Sales).await;
    };
    let command = WithdrawProposal { proposal: proposal.0, by: operator.identity.customer, reason };
    let withdrawn = gateway.ports.sales.withdraw_proposal.ask(command).await?;
    let about = withdrawn.action.sale().map_or(Place::Sales, Place::Sale);
    Ok(see_other(&format!("{}?done=withdraw", operator.place_after(about).path())))
}
