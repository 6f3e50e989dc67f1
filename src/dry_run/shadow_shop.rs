//! The shop of a dry run: a second set of domains on a scratch database, and how it is stocked.

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

use super::domain::ShadowNeeds;
use crate::actors::catalog::{AddProduct, NewProduct, Product, Quote, Variant};
use crate::actors::inventory::{ReceiveStock, TrackSku};
use crate::actors::sales::{Action, CommandOutcome, CreateSale, Initiator, MoveSale, Sale, SaleDraft};
use crate::actors::waiting_room::PassKey;
use crate::storage::Database;
use crate::types::{ProductId, Quantity, SaleId};

/// Opens a shop on an empty database. Its actors run on the calling thread, and its metrics are dropped.
pub type OpenShop =
    Arc<dyn Fn(Database) -> LocalBoxFuture<'static, anyhow::Result<ShadowShop>> + Send + Sync>;

/// A shop that was opened for a dry run.
pub struct ShadowShop {
    pub ports: ShadowNeeds,
    /// Reads the tickets and admissions that the shop issues.
    pub passes: PassKey,
    pub close: CloseShop,
}

pub type CloseShop = Box<dyn FnOnce() -> LocalBoxFuture<'static, ()>>;

impl ShadowNeeds {
    /// Adds a product with one SKU and receives pieces of it.
    pub(super) async fn stock_up(&self, quote: &Quote, pieces: Quantity, mark: &str) -> anyhow::Result<()> {
        let sku = quote.sku.clone();
        let variant = Variant {
            sku: sku.clone(),
            attributes: Default::default(),
            price: quote.price,
            tax_rate: quote.tax_rate,
        };
        let name: String = quote.name.chars().take(NewProduct::NAME_MAX).collect();
        let product = Product {
            id: ProductId::generate(),
            description: name.clone(),
            name,
            category: mark.parse()?,
            variants: vec![variant],
        };
        self.add_product.ask(AddProduct { product: NewProduct::new(product)? }).await?;
        self.track_sku.ask(TrackSku { sku: sku.clone() }).await?;
        let receive = ReceiveStock { sku, quantity: pieces, reference: mark.to_owned() };
        self.receive_stock.ask(receive).await?;
        Ok(())
    }

    /// Creates a sale and arms it; it opens at its time.
    pub(super) async fn arm(&self, draft: SaleDraft) -> anyhow::Result<Sale> {
        let sale = self.create_sale.ask(CreateSale { draft, by: Initiator::Engine }).await?;
        self.act(sale.id, Action::Schedule).await?;
        self.act(sale.id, Action::Arm).await
    }

    pub(super) async fn act(&self, sale: SaleId, action: Action) -> anyhow::Result<Sale> {
        let wanted =
            MoveSale { sale, action, ends: None, by: Initiator::Engine, reason: "a dry run".to_owned() };
        match self.move_sale.ask(wanted).await? {
            CommandOutcome::Done(sale) => Ok(sale),
            CommandOutcome::Proposed(_) => anyhow::bail!("a dry run has no second operator"),
        }
    }
}
