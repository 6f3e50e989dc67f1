//! Moves a sale from one status to the next, with what has to happen to the stock on the way.
//!
//! ```text
//! arm:   allot the pieces of every SKU → all ready? → write "armed"      (if not: release them)
//! close: write "closed" → release what is left of every SKU              (again after a crash in between)
//! ```

use std::time::Instant;

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;

use super::allotments::open_allotment;
use super::error::SalesError;
use super::model::{
    Action, Approval, CommandOutcome, ControlledAction, Finding, Halt, Initiator, Sale, SaleStatus,
};
use super::service::{AT_ONCE, ATTEMPTS, SalesService};
use super::store::Attribution;
use crate::actors::catalog::QuoteSkus;
use crate::actors::inventory::{AllotStock, CloseAllotment, CountOpenHolds, InventoryError, OpenHolds};
use crate::error::Fault as _;
use crate::types::{SaleId, Sku};

const BY_THE_SCHEDULE: &str = "by the schedule";

impl SalesService {
    /// Carries out an action on a sale.
    pub(super) async fn carry_out(
        &self,
        id: SaleId,
        action: Action,
        ends: Option<Halt>,
        by: Initiator,
        reason: &str,
    ) -> Result<CommandOutcome<Sale>, SalesError> {
        let _lock = self.locks.lock(Some(id)).await;
        let mut was_made_ready = false;
        let mut approved = None;
        for _ in 0..ATTEMPTS {
            let sale = self.sale(id).await?;
            let drains_until = Timestamp::now().checked_add(self.drain_within).unwrap_or(Timestamp::MAX);
            let next = match (action, ends) {
                (Action::Resume, Some(halt)) => sale.after_resume(halt),
                _ => sale.after(action, drains_until),
            };
            let next = match next {
                Ok(Some(next)) => next,
                Ok(None) => return Ok(CommandOutcome::Done(sale)),
                Err(refusal) => {
                    // It was ended in the database while its pieces were being allotted.
                    if was_made_ready && sale.status.is_over() {
                        self.release_allotments(&sale).await?;
                    }
                    return Err(refusal);
                }
            };
            match action {
                Action::Schedule => {
                    let findings = self.validate(&sale).await?;
                    if !findings.is_empty() {
                        return Err(SalesError::NotValid { findings });
                    }
                }
                Action::Arm => {
                    // From then on no order of its SKUs is decided upon without the gates.
                    let listed_everywhere_at = self.sale_skus.add(&sale, Instant::now());
                    tokio::time::sleep_until(listed_everywhere_at.into()).await;
                    self.make_ready(&sale).await?;
                    was_made_ready = true;
                }
                // A settlement is final, so nothing of it may be open.
                Action::Settle => {
                    let OpenHolds { orders, until } =
                        self.needs.count_open_holds.ask(CountOpenHolds { sale: id }).await?;
                    if let Some(until) = until {
                        return Err(SalesError::OrdersOpen { orders, until });
                    }
                }
                Action::Kill if approved.is_none() => {
                    match self.approve(ControlledAction::KillSale { sale: id }, by, reason).await? {
                        Approval::Given { proposed_by } => approved = Some(proposed_by),
                        Approval::Awaited(proposal) => return Ok(CommandOutcome::Proposed(proposal)),
                    }
                }
                _ => {}
            }
            let attribution =
                Attribution { by, proposed_by: approved.flatten(), reason, at: Timestamp::now() };
            if self.store.move_sale(&sale, &next, action, &attribution, self.drain_within).await? {
                tracing::info!(sale = %id, action = action.as_str(), reason, "a sale was moved");
                self.end_proposal(&ControlledAction::KillSale { sale: id }, approved.flatten()).await;
                if !next.status.is_over() {
                    return Ok(CommandOutcome::Done(next));
                }
                // If its stock cannot be returned now, the schedule tries again.
                return Ok(CommandOutcome::Done(match self.return_stock(&next).await {
                    Ok(returned) => returned,
                    Err(error) => {
                        tracing::warn!(sale = %id, %error, "what a sale did not sell is returned later");
                        next
                    }
                }));
            }
        }
        Err(SalesError::Overtaken)
    }

    /// Carries out an action that is due by the schedule. Answers with the sale as it is then.
    pub(super) async fn keep(&self, sale: &Sale, action: Action) -> Result<Option<Sale>, SalesError> {
        match self.carry_out(sale.id, action, None, Initiator::Engine, BY_THE_SCHEDULE).await {
            Ok(CommandOutcome::Done(sale)) => Ok(Some(sale)),
            // The engine needs no approval.
            Ok(CommandOutcome::Proposed(_)) => Ok(None),
            // Another command was faster; this is the sale now.
            Err(SalesError::NotInStatus { .. }) => Ok(Some(self.sale(sale.id).await?)),
            Err(error) => Err(error),
        }
    }

    /// Closes a draining sale that waits for no payment any more; returns the stock of a sale that is over.
    pub(super) async fn wind_up(&self, sale: &Sale) -> Result<Option<Sale>, SalesError> {
        if sale.status == SaleStatus::Draining {
            let allotments = self.allotments(sale.id).await?;
            return match allotments.iter().all(|(_, allotment)| allotment.held == 0) {
                true => self.keep(sale, Action::Close).await,
                false => Ok(None),
            };
        }
        self.return_stock(sale).await.map(Some)
    }

    /// Returns the pieces that a sale did not sell to general stock.
    async fn return_stock(&self, sale: &Sale) -> Result<Sale, SalesError> {
        self.release_allotments(sale).await?;
        self.store.mark_stock_returned(sale.id).await?;
        Ok(Sale { is_stock_returned: true, ..sale.clone() })
    }

    /// Opens the connections, then allots the pieces of every SKU, which starts its actor and loads its figures; all
    /// SKUs or none.
    async fn make_ready(&self, sale: &Sale) -> Result<(), SalesError> {
        self.store.warm_up().await?;
        let is_broken = |error: &InventoryError| error.kind().http_status() >= 500;
        // Checked first, so that a sale that lacks pieces moves no stock; what cannot be read is reported below.
        let allotments = self.allotments(sale.id).await?;
        let lacks = stream::iter(sale.draft.items.iter().enumerate()).map(|(index, item)| {
            let is_allotted = open_allotment(&allotments, &item.sku).is_some();
            async move { if is_allotted { None } else { self.shortage(index, item).await.ok().flatten() } }
        });
        let findings: Vec<Finding> = lacks.buffered(AT_ONCE).filter_map(std::future::ready).collect().await;
        if !findings.is_empty() {
            self.release_allotments(sale).await?;
            return Err(SalesError::NotReady { findings });
        }
        let skus: Vec<Sku> = sale.draft.items.iter().map(|item| item.sku.clone()).collect();
        self.needs.quote_skus.ask(QuoteSkus { skus }).await?;
        let asked = stream::iter(sale.draft.items.iter().enumerate()).map(|(index, item)| async move {
            let allot = AllotStock { sale: sale.id, sku: item.sku.clone(), pieces: item.allotment };
            let allotted = self.needs.allot_stock.ask(allot).await;
            // The cause of a failure is for the log.
            let told = |error: &InventoryError| match is_broken(error) {
                true => format!("{} cannot be made ready at this moment", item.sku),
                false => error.to_string(),
            };
            allotted.err().map(|error| (Finding::new(format!("items[{index}]"), told(&error)), error))
        });
        let failed: Vec<(Finding, InventoryError)> =
            asked.buffered(AT_ONCE).filter_map(std::future::ready).collect().await;
        if failed.is_empty() {
            return Ok(());
        }
        let (findings, errors): (Vec<_>, Vec<_>) = failed.into_iter().unzip();
        // After a failure the same command may be repeated; it finds what was allotted.
        if let Some(because) = errors.into_iter().find(is_broken) {
            return Err(SalesError::NotReadyYet { findings, because });
        }
        self.release_allotments(sale).await?;
        Err(SalesError::NotReady { findings })
    }

    async fn release_allotments(&self, sale: &Sale) -> Result<(), SalesError> {
        let closed = stream::iter(&sale.draft.items).map(|item| {
            let close = CloseAllotment { sale: sale.id, sku: item.sku.clone() };
            self.needs.close_allotment.ask(close)
        });
        let closed: Vec<Result<(), InventoryError>> = closed.buffered(AT_ONCE).collect().await;
        for closed in closed {
            match closed {
                Ok(()) | Err(InventoryError::UnknownSku(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
