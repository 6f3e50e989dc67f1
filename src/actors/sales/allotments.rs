//! Changes how many pieces a sale has of a SKU. Inventory decides; the plan follows.

use jiff::Timestamp;

use super::error::SalesError;
use super::messages::ChangeItem;
use super::model::{Approval, CommandOutcome, ControlledAction, Initiator, Sale, SaleStatus};
use super::service::{ATTEMPTS, SalesService};
use super::store::Attribution;
use crate::actors::inventory::{Allotment, ChangeAllotment, ListAllotments};
use crate::types::{Quantity, SaleId, Sku};

impl SalesService {
    /// Writes the allotments that inventory has into the plan where the two differ, because a crash or outage came
    /// between changing the one and the other. Answers with the sale as it is then.
    pub(super) async fn follow_allotments(&self, id: SaleId) -> Result<Sale, SalesError> {
        let _lock = self.locks.lock(Some(id)).await;
        let allotments = self.allotments(id).await?;
        let mut sale = self.sale(id).await?;
        for item in sale.draft.items.clone() {
            let Some(allotted) = open_allotment(&allotments, &item.sku) else { continue };
            let pieces = Quantity::new(allotted.allotment)?;
            if pieces != item.allotment {
                let reason = "as many as are set apart";
                let attribution =
                    Attribution { by: Initiator::Engine, proposed_by: None, reason, at: Timestamp::now() };
                if !self.store.change_item(&sale, &item, pieces, &attribution).await? {
                    return Err(SalesError::Overtaken);
                }
                sale = self.sale(id).await?;
            }
        }
        Ok(sale)
    }

    pub(super) async fn allotments(&self, sale: SaleId) -> Result<Vec<(Sku, Allotment)>, SalesError> {
        Ok(self.needs.list_allotments.ask(ListAllotments { sale }).await?)
    }

    pub(super) async fn change_item(&self, wanted: ChangeItem) -> Result<CommandOutcome<Sale>, SalesError> {
        let ChangeItem { sale: id, sku, allotment, expected, by, reason } = wanted;
        let _lock = self.locks.lock(Some(id)).await;
        let mut approved = None;
        for _ in 0..ATTEMPTS {
            let sale = self.sale(id).await?;
            let item = sale.item(&sku).ok_or_else(|| SalesError::UnknownItem(sku.clone()))?;
            if !matches!(sale.status, SaleStatus::Armed | SaleStatus::Open | SaleStatus::Paused) {
                return Err(SalesError::PiecesFixed { status: sale.status });
            }
            let action = ControlledAction::Lower { sale: id, sku: sku.clone(), allotment, expected };
            if allotment < expected && approved.is_none() && self.is_to_be_lowered(&action, by).await? {
                match self.approve(action.clone(), by, &reason).await? {
                    Approval::Given { proposed_by } => approved = Some(proposed_by),
                    Approval::Awaited(proposal) => return Ok(CommandOutcome::Proposed(proposal)),
                }
            }
            let change = ChangeAllotment { sale: id, sku: sku.clone(), pieces: allotment, expected };
            self.needs.change_allotment.ask(change).await?;
            if item.allotment == allotment {
                self.end_proposal(&action, approved.flatten()).await;
                return Ok(CommandOutcome::Done(sale));
            }
            let attribution =
                Attribution { by, proposed_by: approved.flatten(), reason: &reason, at: Timestamp::now() };
            if self.store.change_item(&sale, item, allotment, &attribution).await? {
                self.end_proposal(&action, approved.flatten()).await;
                return self.sale(id).await.map(CommandOutcome::Done);
            }
        }
        Err(SalesError::Overtaken)
    }

    /// Whether inventory has yet to lower the allotment, so that the action needs an approval. Refuses what inventory
    /// would refuse even when it is approved.
    async fn is_to_be_lowered(&self, action: &ControlledAction, by: Initiator) -> Result<bool, SalesError> {
        let (ControlledAction::Lower { sale, sku, allotment, expected }, Some(_)) =
            (action, self.first_of_two(action, by))
        else {
            return Ok(true);
        };
        let allotments = self.allotments(*sale).await?;
        let Some((_, allotted)) = allotments.into_iter().find(|(of, _)| of == sku) else { return Ok(true) };
        if allotted.allotment == allotment.get() {
            return Ok(false);
        }
        allotted.check_resize(sku, *allotment, *expected)?;
        Ok(true)
    }
}

/// The allotment of a SKU, unless it was given back.
pub(super) fn open_allotment<'a>(allotments: &'a [(Sku, Allotment)], sku: &Sku) -> Option<&'a Allotment> {
    allotments
        .iter()
        .find(|(of, allotment)| of == sku && !allotment.is_closed)
        .map(|(_, allotment)| allotment)
}
