//! Turns the switch of one SKU, and the switch for everything.

use jiff::Timestamp;

use super::error::SalesError;
use super::messages::SwitchItem;
use super::model::{Action, Approval, CommandOutcome, ControlledAction, Initiator, Sale};
use super::service::{ATTEMPTS, SalesService};
use super::store::Attribution;

impl SalesService {
    pub(super) async fn switch_item(&self, wanted: SwitchItem) -> Result<CommandOutcome<Sale>, SalesError> {
        let SwitchItem { sale: id, sku, stopped, by, reason } = wanted;
        let _lock = self.locks.lock(Some(id)).await;
        let mut approved = None;
        for _ in 0..ATTEMPTS {
            let sale = self.sale(id).await?;
            if sale.item(&sku).is_none() {
                return Err(SalesError::UnknownItem(sku));
            }
            if sale.stopped_skus.contains(&sku) == stopped {
                return Ok(CommandOutcome::Done(sale));
            }
            if stopped && sale.status.is_over() {
                let (status, action) = (sale.status, Action::Kill);
                return Err(SalesError::NotInStatus { sale: id, status, action });
            }
            if stopped && approved.is_none() {
                match self
                    .approve(ControlledAction::KillItem { sale: id, sku: sku.clone() }, by, &reason)
                    .await?
                {
                    Approval::Given { proposed_by } => approved = Some(proposed_by),
                    Approval::Awaited(proposal) => return Ok(CommandOutcome::Proposed(proposal)),
                }
            }
            let attribution =
                Attribution { by, proposed_by: approved.flatten(), reason: &reason, at: Timestamp::now() };
            if self.store.switch_item(&sale, &sku, stopped, &attribution).await? {
                self.end_proposal(&ControlledAction::KillItem { sale: id, sku }, approved.flatten()).await;
                return self.sale(id).await.map(CommandOutcome::Done);
            }
        }
        Err(SalesError::Overtaken)
    }

    pub(super) async fn switch_everything(
        &self,
        stopped: bool,
        by: Initiator,
        reason: &str,
    ) -> Result<CommandOutcome<bool>, SalesError> {
        let _lock = self.locks.lock(None).await;
        let mut approved = None;
        if stopped && !self.store.find_switch().await? {
            match self.approve(ControlledAction::KillEverything, by, reason).await? {
                Approval::Given { proposed_by } => approved = Some(proposed_by),
                Approval::Awaited(proposal) => return Ok(CommandOutcome::Proposed(proposal)),
            }
        }
        let attribution = Attribution { by, proposed_by: approved.flatten(), reason, at: Timestamp::now() };
        self.store.turn_switch(stopped, &attribution).await?;
        self.end_proposal(&ControlledAction::KillEverything, approved.flatten()).await;
        Ok(CommandOutcome::Done(stopped))
    }
}
