//! What inventory's actor and its running answers share: the store, the SKUs, and how each is asked.

use metrics::Counter;

use super::error::InventoryError;
use super::model::{Allotment, Command, Movement, MovementKind};
use super::sku::SkuEntity;
use super::store::InventoryStore;
use crate::actors::runtime::entity::Entities;
use crate::types::{SaleId, Sku};

/// How often a movement's reference is looked for, when the actor of its SKU ended each time.
const ATTEMPTS: usize = 4;

/// Cheap to clone.
#[derive(Clone)]
pub struct InventoryService {
    pub(super) store: InventoryStore,
    pub(super) skus: Entities<SkuEntity>,
    pub(super) outcomes: Outcomes,
}

/// Counts reservations by outcome.
#[derive(Clone)]
pub(super) struct Outcomes {
    reserved: Counter,
    out_of_stock: Counter,
    failed: Counter,
}

impl Outcomes {
    pub(super) fn count<T>(&self, reserved: &Result<T, InventoryError>) {
        match reserved {
            Ok(_) => self.reserved.increment(1),
            Err(InventoryError::OutOfStock { .. }) => self.out_of_stock.increment(1),
            Err(_) => self.failed.increment(1),
        }
    }
}

impl InventoryService {
    pub fn new(store: InventoryStore, skus: Entities<SkuEntity>) -> Self {
        let outcome = |outcome| metrics::counter!("shobai_reservations_total", "outcome" => outcome);
        let outcomes = Outcomes {
            reserved: outcome("reserved"),
            out_of_stock: outcome("out_of_stock"),
            failed: outcome("failed"),
        };
        Self { store, skus, outcomes }
    }

    /// Moves pieces on hand under a reference; the movement of the first time is the reply of every time.
    pub(super) async fn move_on_hand(
        &self,
        sku: Sku,
        kind: MovementKind,
        reference: String,
        command: Command,
        is_same: impl Fn(&Movement) -> bool,
    ) -> Result<Movement, InventoryError> {
        let known = |movement: Movement| {
            if is_same(&movement) {
                Ok(movement)
            } else {
                Err(InventoryError::ReferenceTaken { sku: sku.clone(), reference: reference.clone() })
            }
        };
        for _ in 1..ATTEMPTS {
            if let Some(movement) = self.store.find_movement(&sku, kind, &reference).await? {
                return known(movement);
            }
            match self.skus.execute_once(&sku, command.clone()).await {
                Ok(_) => {}
                // Perhaps another request used the reference at the same time.
                Err(error) if error.is_for_successor() => {}
                Err(refusal) => {
                    // Or that other request is the reason for the refusal.
                    return match self.store.find_movement(&sku, kind, &reference).await? {
                        Some(movement) => known(movement),
                        None => Err(refusal.into()),
                    };
                }
            }
        }
        match self.store.find_movement(&sku, kind, &reference).await? {
            Some(movement) => known(movement),
            None => Err(InventoryError::Reloading(sku)),
        }
    }

    /// Gives the command to the SKU, and replies with the sale's allotment after it.
    pub(super) async fn change_allotment(
        &self,
        sale: SaleId,
        sku: Sku,
        command: Command,
    ) -> Result<Allotment, InventoryError> {
        self.skus.execute(&sku, command).await?;
        let allotment = self.skus.read(&sku).await?.allotment.filter(|allotment| allotment.sale == sale);
        allotment.ok_or(InventoryError::NotAllotted { sku, sale })
    }
}
