//! Plans a sale, plans it anew, and checks the plan against catalog, stock and other sales.

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;

use super::allotments::open_allotment;
use super::error::SalesError;
use super::messages::ReplanSale;
use super::model::{Finding, Initiator, Sale, SaleDraft, SaleItem, SaleStatus};
use super::service::{AT_ONCE, SalesService};
use super::store::Attribution;
use crate::actors::catalog::QuoteSkus;
use crate::actors::inventory::{GetStock, InventoryError};
use crate::actors::waiting_room::Seed;
use crate::types::SaleId;

impl SalesService {
    pub(super) async fn create(&self, draft: SaleDraft, by: Initiator) -> Result<Sale, SalesError> {
        self.check_plan(&draft)?;
        let id = SaleId::generate();
        let seed = Seed::generate().map_err(|error| SalesError::Broken(error.to_string()))?;
        let attribution = Attribution { by, proposed_by: None, reason: "planned", at: Timestamp::now() };
        self.store.insert_sale(id, &draft, &seed, &attribution).await?;
        self.sale(id).await
    }

    /// Refuses a plan that no sale can have, with all of its problems.
    fn check_plan(&self, draft: &SaleDraft) -> Result<(), SalesError> {
        let findings = draft.problems(self.hold_seconds_max);
        if findings.is_empty() { Ok(()) } else { Err(SalesError::NotValid { findings }) }
    }

    pub(super) async fn replan(&self, wanted: ReplanSale) -> Result<Sale, SalesError> {
        let ReplanSale { sale: id, version, draft, by } = wanted;
        self.check_plan(&draft)?;
        let _lock = self.locks.lock(Some(id)).await;
        let sale = self.sale(id).await?;
        if sale.status != SaleStatus::Draft {
            return Err(SalesError::NotADraft { status: sale.status });
        }
        let attribution = Attribution { by, proposed_by: None, reason: "planned anew", at: Timestamp::now() };
        // Another operator's plan is not overwritten unseen.
        if sale.version != version || !self.store.replan_sale(&sale, &draft, &attribution).await? {
            return Err(SalesError::Overtaken);
        }
        self.sale(id).await
    }

    /// Finds everything that keeps a sale from being run as it is planned.
    pub(super) async fn validate(&self, sale: &Sale) -> Result<Vec<Finding>, SalesError> {
        let mut findings = sale.draft.problems(self.hold_seconds_max);
        if sale.draft.closes_at <= Timestamp::now() {
            findings.push(Finding::new("closes_at", "is in the past"));
        }
        findings.extend(self.store.find_overlapping_skus(sale, self.drain_within).await?);
        let allotments = self.allotments(sale.id).await?;
        let looked_at = stream::iter(sale.draft.items.iter().enumerate()).map(|(index, item)| {
            let is_allotted = open_allotment(&allotments, &item.sku).is_some();
            async move {
                let mut found = Vec::new();
                let quote = self.needs.quote_skus.ask(QuoteSkus { skus: vec![item.sku.clone()] }).await;
                if let Err(error) = quote {
                    found.push(Finding::new(format!("items[{index}].sku"), error.to_string()));
                }
                if is_allotted {
                    return found;
                }
                match self.shortage(index, item).await {
                    Ok(shortage) => found.extend(shortage),
                    Err(error) => {
                        found.push(Finding::new(format!("items[{index}].allotment"), error.to_string()))
                    }
                }
                found
            }
        });
        let found: Vec<Vec<Finding>> = looked_at.buffered(AT_ONCE).collect().await;
        findings.extend(found.into_iter().flatten());
        Ok(findings)
    }

    /// Finds whether general stock has too few pieces for an item that has no allotment yet.
    pub(super) async fn shortage(
        &self,
        index: usize,
        item: &SaleItem,
    ) -> Result<Option<Finding>, InventoryError> {
        let stock = self.needs.get_stock.ask(GetStock { sku: item.sku.clone() }).await?;
        let (wanted, available) = (item.allotment.get(), stock.available());
        let problem = || format!("{wanted} pieces of {} are planned and {available} are available", item.sku);
        Ok((available < wanted).then(|| Finding::new(format!("items[{index}].allotment"), problem())))
    }
}
