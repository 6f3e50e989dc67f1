//! Catalog as the engine wires it: what it answers, and how it starts and drains.

use std::time::Duration;

use super::actor::CatalogActor;
use super::error::CatalogError;
use super::messages::*;
use super::store::CatalogStore;
use crate::actors::runtime::{Domain, Handle, Host, contract};

contract! {
    /// What catalog answers.
    pub struct CatalogPorts of CatalogActor, CatalogError {
        add_product: AddProduct,
        list_products: ListProducts,
        get_product: GetProduct,
        quote_skus: QuoteSkus,
    }
}

pub struct CatalogDomain {
    pub ports: CatalogPorts,
    actor: Handle<CatalogActor>,
}

impl CatalogDomain {
    pub fn start(host: &Host) -> Self {
        let store = CatalogStore::new(host.database());
        let actor = host.supervise("catalog", &host.coordinators(), move || CatalogActor::new(store.clone()));
        Self { ports: CatalogPorts::of(&actor), actor }
    }
}

impl Domain for CatalogDomain {
    async fn drain(&self, within: Duration) {
        self.actor.drain(within).await;
    }
}
