//! Approval by a second operator, where the configuration asks for it.

use jiff::Timestamp;

use super::error::SalesError;
use super::messages::WithdrawProposal;
use super::model::{Approval, ControlledAction, Initiator, Proposal};
use super::service::SalesService;
use crate::types::{CustomerId, ProposalId};

impl SalesService {
    /// The operator whose action needs a second one; `None` where one is enough. The engine needs no approval.
    pub(super) fn first_of_two(&self, action: &ControlledAction, by: Initiator) -> Option<CustomerId> {
        by.operator().filter(|_| self.second_operator.contains(&action.control()))
    }

    /// Approves an action, or proposes it where it needs a second operator and this is the first one. Every action that
    /// may need a second operator asks for this before it is carried out.
    pub(super) async fn approve(
        &self,
        action: ControlledAction,
        by: Initiator,
        reason: &str,
    ) -> Result<Approval, SalesError> {
        let Some(by) = self.first_of_two(&action, by) else {
            return Ok(Approval::Given { proposed_by: None });
        };
        let at = Timestamp::now();
        let lapses_at = at.checked_add(self.proposals_lapse_after).unwrap_or(Timestamp::MAX);
        let reason = reason.to_owned();
        let proposal = Proposal { id: ProposalId::generate(), action, by, reason, at, lapses_at };
        self.store.approve_or_propose(proposal, self.proposals_max).await
    }

    /// Ends the proposal of an action that was carried out with two operators. Until then it stands, so that a failed
    /// action can be tried again.
    pub(super) async fn end_proposal(&self, action: &ControlledAction, proposed_by: Option<CustomerId>) {
        if proposed_by.is_some()
            && let Err(error) = self.store.take_proposal(action).await
        {
            tracing::warn!(%error, "a proposal that was carried out waits until it lapses");
        }
    }

    pub(super) async fn withdraw(&self, wanted: WithdrawProposal) -> Result<Proposal, SalesError> {
        let WithdrawProposal { proposal: id, by, reason } = wanted;
        let withdrawn = self.store.withdraw_proposal(id, by, &reason, Timestamp::now()).await?;
        withdrawn.ok_or(SalesError::UnknownProposal(id))
    }
}
