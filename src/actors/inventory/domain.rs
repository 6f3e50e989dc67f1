//! Inventory as the engine wires it: what it answers, and how it starts and drains.

use std::time::Duration;

use actix_rt::ArbiterHandle;

use super::actor::InventoryActor;
use super::book::StockBook;
use super::error::InventoryError;
use super::expiry::expire_when_due;
use super::messages::*;
use super::service::InventoryService;
use super::sku::SkuEntity;
use super::store::InventoryStore;
use crate::actors::runtime::entity::{Entities, EntityLimits};
use crate::actors::runtime::{Domain, Handle, Host, contract, keep_going, lag_port};
use crate::config::{self, milliseconds};

contract! {
    /// What inventory answers.
    pub struct InventoryPorts of InventoryActor, InventoryError {
        track_sku: TrackSku,
        receive_stock: ReceiveStock,
        adjust_stock: AdjustStock,
        reserve_stock: ReserveStock,
        commit_reservation: CommitReservation,
        release_reservation: ReleaseReservation,
        list_holds: ListHolds,
        get_stock: GetStock,
        list_available: ListAvailable,
        list_movements: ListMovements,
        allot_stock: AllotStock,
        change_allotment: ChangeAllotment,
        close_allotment: CloseAllotment,
        get_figures: GetFigures,
        list_allotments: ListAllotments,
        list_claims: ListClaims,
        count_open_holds: CountOpenHolds,
        get_hold_ages: GetHoldAges,
        list_sku_loads: ListSkuLoads,
        list_held_for_orders: ListHeldForOrders,
    }
    beside the mailbox {
        get_commit_lag: GetCommitLag,
    }
}

pub struct InventoryDomain {
    pub ports: InventoryPorts,
    actor: Handle<InventoryActor>,
    skus: Entities<SkuEntity>,
    threads: Vec<ArbiterHandle>,
}

impl InventoryDomain {
    /// Starts a thread for each shard, with its own lane of the journal.
    pub fn start(host: &mut Host, config: &config::Inventory) -> Self {
        let store = InventoryStore::new(host.database());
        let threads: Vec<_> = (0..config.shards).map(|_| host.start_thread()).collect();
        let limits = EntityLimits {
            active_max: config.skus_active_max,
            idle_after: Duration::from_secs(config.sku_idle_after_seconds),
        };
        let skus = Entities::start(host, &threads, &SkuEntity::new(store.clone()), || StockBook, limits);
        let service = InventoryService::new(store, skus.clone());
        let (every, holds) = (milliseconds(config.expire_every_ms), service.clone());
        let actor =
            host.supervise("inventory", &host.coordinators(), move || InventoryActor::new(service.clone()));
        keep_going("expiry of holds", &host.coordinators(), move || expire_when_due(holds.clone(), every));
        let ports = InventoryPorts::of(&actor, lag_port(&skus.journals()));
        Self { ports, actor, skus, threads }
    }

    /// The shards' threads, for work of other domains that is spread as the stock is.
    pub fn threads(&self) -> &[ArbiterHandle] {
        &self.threads
    }
}

impl Domain for InventoryDomain {
    async fn drain(&self, within: Duration) {
        self.actor.drain(within).await;
        self.skus.drain(within).await;
    }

    async fn flush(&self) {
        self.skus.flush().await;
    }
}
