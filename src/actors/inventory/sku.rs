//! Declares SKUs as entities: an actor for each SKU decides about its stock.

use std::time::Instant;

use super::InventoryError;
use super::book::{Entry, Refusal, StockBook};
use super::model::{Change, Command, Decision, Figures, Hold, REMEMBER_ENDED_FOR, Reply, SkuStock, Stock};
use super::store::InventoryStore;
use crate::actors::runtime::entity::{Entity, EntityError, EntityNames, RECALL_WITHIN, Recalled};
use crate::storage::StorageError;
use crate::types::{ReservationId, Sku};

const _: () = assert!(REMEMBER_ENDED_FOR.as_secs() > 2 * RECALL_WITHIN.as_secs());

/// Loads SKUs; cheap to clone.
#[derive(Clone)]
pub struct SkuEntity {
    store: InventoryStore,
}

impl SkuEntity {
    pub fn new(store: InventoryStore) -> Self {
        Self { store }
    }
}

impl Entity for SkuEntity {
    const NAMES: EntityNames = EntityNames {
        entity: "sku",
        shard: "shard",
        journal: "inventory",
        active_gauge: "shobai_inventory_active_skus",
    };

    type Key = Sku;
    type Command = Command;
    type Reply = Reply;
    type Refusal = InventoryError;
    type State = SkuStock;
    type Snapshot = Figures;
    type Change = Change;
    type RecordId = ReservationId;
    type Record = Hold;
    type Book = StockBook;

    fn partition_key(sku: &Sku) -> impl AsRef<[u8]> {
        sku.as_str()
    }

    fn decide(
        stock: &SkuStock,
        command: &Command,
        recalled: Recalled<Hold>,
    ) -> Result<Decision, InventoryError> {
        stock.decide(command, recalled)
    }

    fn apply(stock: &mut SkuStock, change: &Change, now: Instant) {
        stock.apply(change, now);
    }

    fn snapshot(stock: &SkuStock) -> Figures {
        stock.figures()
    }

    fn version(figures: &Figures) -> i64 {
        figures.stock.version
    }

    fn entry(sku: Sku, version: i64, change: Change) -> Entry {
        Entry { sku, version, change }
    }

    fn is_stale(refusal: &Refusal) -> bool {
        *refusal == Refusal::Stale
    }

    fn mark_repeated(command: &mut Command) {
        if let Command::Reserve { id_is_new, .. } = command {
            *id_is_new = false;
        }
    }

    fn set_gauges(sku: &Sku, Figures { stock, .. }: &Figures) {
        let Stock { on_hand, reserved, allotted, .. } = *stock;
        let gauge = |name: &'static str| metrics::gauge!(name, "sku" => sku.to_string());
        gauge("shobai_stock_on_hand_pieces").set(on_hand as f64);
        gauge("shobai_stock_reserved_pieces").set(reserved as f64);
        gauge("shobai_stock_allotted_pieces").set(allotted as f64);
        gauge("shobai_stock_available_pieces").set(stock.available() as f64);
    }

    async fn load(&self, sku: &Sku) -> Result<Option<SkuStock>, StorageError> {
        let figures = self.store.find_sku(sku).await?;
        Ok(figures.map(|figures| SkuStock::new(sku.clone(), figures)))
    }

    async fn find_record(&self, sku: &Sku, id: ReservationId) -> Result<Option<Hold>, StorageError> {
        self.store.find_hold(id, sku).await
    }

    async fn list_versions(&self, skus: &[Sku]) -> Result<Vec<(Sku, i64)>, StorageError> {
        self.store.list_versions(skus).await
    }
}

impl From<EntityError<Sku, InventoryError>> for InventoryError {
    fn from(error: EntityError<Sku, InventoryError>) -> Self {
        match error {
            EntityError::Refused(refusal) => refusal,
            EntityError::Absent(sku) => InventoryError::UnknownSku(sku),
            EntityError::Stale(sku) => InventoryError::Stale(sku),
            EntityError::Reloading(sku) => InventoryError::Reloading(sku),
            EntityError::Busy => InventoryError::Busy,
            EntityError::Asking(error) => InventoryError::Asking(error),
            EntityError::Storage(error) => InventoryError::Storage(error),
        }
    }
}
