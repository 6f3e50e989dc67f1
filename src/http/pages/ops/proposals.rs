//! What waits for a second operator, with what he can do about it.

use std::collections::{HashMap, HashSet};

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::history::names;
use super::sales::refuse_form;
use crate::actors::sales::{GetSale, ListProposals, Proposal, Wish, WithdrawProposal};
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::Answer;
use crate::http::gateway::input::FromPath;
use crate::http::gateway::problem::Problem;
use crate::http::pages::kit::layout::{self, Place};
use crate::http::pages::kit::session::{Operator, Submitted};
use crate::http::pages::kit::translations::fill;
use crate::http::pages::kit::{HOME, jst};
use crate::types::{ProposalId, SaleId, grouped};

pub struct ProposalRow {
    pub id: ProposalId,
    pub what: String,
    pub who: String,
    pub why: String,
    pub until: String,
    /// Whoever proposed it does not confirm it.
    pub is_own: bool,
    /// Where it is confirmed, and where it is withdrawn.
    pub confirm: String,
    pub withdraw: String,
}

/// Whether somebody who looks at a sale is to see it: those of the sale and of everything; at the list of sales all.
pub fn concerns(proposal: &Proposal, sale: Option<SaleId>) -> bool {
    proposal.wish.sale().is_none_or(|of| sale.is_none_or(|sale| sale == of))
}

/// Another text for other proposals.
pub fn mark(proposals: impl Iterator<Item = ProposalId>) -> String {
    proposals.map(|id| id.to_string()).collect::<Vec<_>>().join(" ")
}

/// Those of one sale and of everything, or all.
pub async fn rows(
    gateway: &Gateway,
    operator: &Operator,
    sale: Option<SaleId>,
) -> Result<Vec<ProposalRow>, Problem> {
    let mut proposals = gateway.ports.sales.list_proposals.ask(ListProposals).await?;
    proposals.retain(|proposal| concerns(proposal, sale));
    let names = names(gateway, proposals.iter().map(|proposal| proposal.by)).await;
    let others: HashSet<SaleId> = proposals.iter().filter_map(|proposal| proposal.wish.sale()).collect();
    let mut sales = HashMap::new();
    for of in others.into_iter().filter(|of| Some(*of) != sale) {
        let known = gateway.ports.sales.get_sale.ask(GetSale { sale: of }).await?;
        sales.insert(of, known.draft.name);
    }
    let row = |proposal: &Proposal| ProposalRow {
        id: proposal.id,
        what: match proposal.wish.sale().and_then(|of| sales.get(&of)) {
            Some(name) => format!("{name}: {}", what(operator, &proposal.wish)),
            None => what(operator, &proposal.wish),
        },
        who: names.get(&proposal.by).cloned().unwrap_or_else(|| proposal.by.to_string()),
        why: proposal.reason.clone(),
        until: jst::with_seconds(proposal.lapses_at),
        is_own: proposal.by == operator.identity.customer,
        confirm: confirm(&proposal.wish),
        withdraw: format!("{HOME}/proposals/{}/withdraw", proposal.id),
    };
    Ok(proposals.iter().map(row).collect())
}

pub fn what(operator: &Operator, wish: &Wish) -> String {
    let words = operator.words();
    match wish {
        Wish::KillEverything => words.stop_everything.to_owned(),
        Wish::KillSale { .. } => words.action("kill"),
        Wish::KillItem { sku, .. } => fill(words.stop_sku_of, &[sku.as_str()]),
        Wish::Lower { sku, allotment, expected, .. } => {
            let [from, to] = [expected, allotment].map(|pieces| grouped(pieces.get()));
            fill(words.lower_of, &[sku.as_str(), &from, &to])
        }
    }
}

fn confirm(wish: &Wish) -> String {
    match wish {
        Wish::KillEverything => format!("{HOME}/confirm?action=kill"),
        Wish::KillSale { sale } => format!("{HOME}/sales/{sale}/confirm?action=kill"),
        Wish::KillItem { sale, sku } => format!("{HOME}/sales/{sale}/confirm?action=kill&sku={sku}"),
        Wish::Lower { sale, sku, allotment, .. } => {
            let allotment = allotment.get();
            format!("{HOME}/sales/{sale}/confirm?action=allot&sku={sku}&allotment={allotment}")
        }
    }
}

/// Takes a proposal back.
pub async fn withdraw_proposal(
    proposal: FromPath<ProposalId>,
    submitted: Submitted,
    gateway: Data<Gateway>,
) -> Answer {
    submitted.form.check(&["token", "reason"], &[])?;
    let Some(reason) = submitted.reason() else {
        let words = submitted.operator.words();
        return refuse_form(&submitted, &gateway, Place::Sales, words.reason_needed).await;
    };
    let asked = WithdrawProposal { proposal: proposal.0, by: submitted.operator.identity.customer, reason };
    let withdrawn = gateway.ports.sales.withdraw_proposal.ask(asked).await?;
    let about = withdrawn.wish.sale().map_or(Place::Sales, Place::Sale);
    let place = submitted.operator.goes_on_at(about).path();
    Ok::<HttpResponse, Problem>(layout::go_to(&format!("{place}?done=withdraw")))
}
