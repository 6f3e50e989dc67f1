//! Answers the messages of catalog: prices from memory, everything else from the database.

use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture, WrapFuture};

use super::error::CatalogError;
use super::messages::*;
use super::model::{PriceBook, Product, Quote};
use super::store::CatalogStore;
use crate::types::Page;

const BACK_OFF_FIRST: Duration = Duration::from_millis(50);
const BACK_OFF_MAX: Duration = Duration::from_secs(2);

/// Holds the prices of everything on sale; they are loaded before its first answer.
pub struct CatalogActor {
    store: CatalogStore,
    prices: PriceBook,
}

impl CatalogActor {
    pub fn new(store: CatalogStore) -> Self {
        Self { store, prices: PriceBook::default() }
    }

    /// Loads the prices, again and again until the database answers; every message waits for that.
    fn load(&self, context: &mut Context<Self>) {
        let store = self.store.clone();
        let loading = async move {
            let mut back_off = BACK_OFF_FIRST;
            loop {
                match store.list_all_products().await {
                    Ok(products) => return products,
                    Err(error) => tracing::warn!(%error, ?back_off, "the prices cannot be loaded"),
                }
                tokio::time::sleep(back_off).await;
                back_off = (back_off * 2).min(BACK_OFF_MAX);
            }
        };
        context.wait(loading.into_actor(self).map(|products, actor, _| {
            let mut prices = PriceBook::default();
            products.iter().for_each(|product| prices.enter(product));
            tracing::info!(skus = prices.len(), "the prices are loaded");
            actor.prices = prices;
        }));
    }
}

impl Actor for CatalogActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        self.load(context);
    }
}

impl Handler<AddProduct> for CatalogActor {
    type Result = ResponseFuture<Result<Product, CatalogError>>;

    fn handle(&mut self, message: AddProduct, context: &mut Context<Self>) -> Self::Result {
        let (store, actor) = (self.store.clone(), context.address());
        Box::pin(async move {
            let product = message.product.product();
            let inserted = match store.insert_product(&message.product).await {
                // The product may be on sale now; only the database knows.
                Err(CatalogError::Storage(error)) => {
                    actor.do_send(LoadPrices);
                    return Err(error.into());
                }
                inserted => inserted?,
            };
            let product = if inserted {
                product.clone()
            } else {
                let found = store.find_product(product.id).await?;
                found.ok_or(CatalogError::UnknownProduct(product.id))?
            };
            // This fails only when the actor has ended; its successor loads the prices of this product too.
            let _ = actor.send(EnterPrices { product: product.clone() }).await;
            Ok(product)
        })
    }
}

impl Handler<ListProducts> for CatalogActor {
    type Result = ResponseFuture<Result<Page<Product>, CatalogError>>;

    fn handle(&mut self, message: ListProducts, _: &mut Context<Self>) -> Self::Result {
        let store = self.store.clone();
        let ListProducts { limit, cursor, search, category } = message;
        Box::pin(async move { store.list_products(limit, cursor, search, category).await })
    }
}

impl Handler<GetProduct> for CatalogActor {
    type Result = ResponseFuture<Result<Product, CatalogError>>;

    fn handle(&mut self, message: GetProduct, _: &mut Context<Self>) -> Self::Result {
        let store = self.store.clone();
        Box::pin(async move {
            store.find_product(message.id).await?.ok_or(CatalogError::UnknownProduct(message.id))
        })
    }
}

impl Handler<QuoteSkus> for CatalogActor {
    type Result = Result<Vec<Quote>, CatalogError>;

    fn handle(&mut self, message: QuoteSkus, _: &mut Context<Self>) -> Self::Result {
        self.prices.quote(&message.skus)
    }
}

/// Sent by the actor to itself: the prices of a product that went on sale.
struct EnterPrices {
    product: Product,
}

impl Message for EnterPrices {
    type Result = ();
}

impl Handler<EnterPrices> for CatalogActor {
    type Result = ();

    fn handle(&mut self, message: EnterPrices, _: &mut Context<Self>) {
        self.prices.enter(&message.product);
    }
}

/// Sent by the actor to itself: its prices may be out of date.
struct LoadPrices;

impl Message for LoadPrices {
    type Result = ();
}

impl Handler<LoadPrices> for CatalogActor {
    type Result = ();

    fn handle(&mut self, _: LoadPrices, context: &mut Context<Self>) {
        self.load(context);
    }
}
