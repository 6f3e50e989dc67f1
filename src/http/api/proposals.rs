//! Actions that one operator proposed and a second one has to confirm, where the configuration demands two.

use std::borrow::Cow;

use actix_web::web::Data;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::actors::sales::{CommandOutcome, ListProposals, Proposal, WithdrawProposal};
use crate::http::gateway::Gateway;
use crate::http::gateway::access::Caller;
use crate::http::gateway::answer::{self, Answer};
use crate::http::gateway::input::{self, FromPath, FromQuery};
use crate::types::{CustomerId, ProposalId, SaleId};

/// An action that waits for the same request of another member of staff.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProposalView {
    pub id: Uuid,
    /// `kill`, or `lower` for an allotment.
    #[schema(example = "kill")]
    pub action: Cow<'static, str>,
    /// Null for all sales.
    #[schema(required)]
    pub sale: Option<Uuid>,
    /// Null for the whole sale.
    #[schema(required)]
    pub sku: Option<String>,
    /// To how many pieces, and from how many; null unless an allotment is to be lowered.
    #[schema(required)]
    pub allotment: Option<i64>,
    #[schema(required)]
    pub expected: Option<i64>,
    /// Who proposed it.
    pub actor: Uuid,
    pub reason: String,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub lapses_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProposalsView {
    pub items: Vec<ProposalView>,
}

impl ProposalView {
    pub fn of(proposal: &Proposal) -> Self {
        let pieces = proposal.action.allotments();
        Self {
            id: proposal.id.uuid(),
            action: proposal.action.name().into(),
            sale: proposal.action.sale().map(SaleId::uuid),
            sku: proposal.action.sku().map(ToString::to_string),
            allotment: pieces.map(|(allotment, _)| allotment.get()),
            expected: pieces.map(|(_, expected)| expected.get()),
            actor: CustomerId::uuid(proposal.by),
            reason: proposal.reason.clone(),
            at: proposal.at,
            lapses_at: proposal.lapses_at,
        }
    }
}

/// 200 with the result, or 202 with the proposal that waits for a second operator.
pub fn answer<T, V: Serialize>(steered: CommandOutcome<T>, view: impl FnOnce(&T) -> V) -> Answer {
    match steered {
        CommandOutcome::Done(done) => answer::ok(&view(&done)),
        CommandOutcome::Proposed(proposal) => answer::accepted(&ProposalView::of(&proposal)),
    }
}

/// What waits for a second operator, oldest first.
#[utoipa::path(
    get, path = "/v1/admin/proposals", tag = "sales",
    responses((status = 200, description = "The open proposals of all sales", body = ProposalsView))
)]
pub async fn list_proposals(gateway: Data<Gateway>) -> Answer {
    let proposals = gateway.ports.sales.list_proposals.ask(ListProposals).await?;
    answer::ok(&ProposalsView { items: proposals.iter().map(ProposalView::of).collect() })
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WithdrawQuery {
    /// For the history of the sale.
    #[serde(default = "withdrawn", deserialize_with = "input::words::<_, 200>")]
    #[param(required = false, min_length = 1, max_length = 200, default = "withdrawn")]
    pub reason: String,
}

fn withdrawn() -> String {
    "withdrawn".to_owned()
}

/// Withdraws a proposal; every member of staff may.
#[utoipa::path(
    delete, path = "/v1/admin/proposals/{id}", tag = "sales",
    params(("id" = Uuid, Path, description = "The proposal"), WithdrawQuery),
    responses(
        (status = 200, description = "The proposal that waits no longer", body = ProposalView),
        (status = 422, description = "`invalid-query`: the reason is too long"),
        (status = 404, description = "`unknown-proposal`, also when it was carried out or has lapsed, or `not-found` for what is \
            not an id"),
    )
)]
pub async fn withdraw_proposal(
    staff: Caller,
    id: FromPath<ProposalId>,
    query: FromQuery<WithdrawQuery>,
    gateway: Data<Gateway>,
) -> Answer {
    let withdraw = WithdrawProposal { proposal: id.0, by: staff.0.customer, reason: query.0.reason };
    let withdrawn = gateway.ports.sales.withdraw_proposal.ask(withdraw).await?;
    answer::ok(&ProposalView::of(&withdrawn))
}
