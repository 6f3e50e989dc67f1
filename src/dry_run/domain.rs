//! The dry run's contract and wiring: what it answers, what it asks of other domains, how it starts and drains.

use std::path::PathBuf;
use std::time::Duration;

use actix_rt::Arbiter;

use super::actor::DryRunActor;
use super::error::DryRunError;
use super::messages::*;
use super::service::DryRuns;
use super::shadow_shop::OpenShop;
use crate::actors::catalog::{AddProduct, CatalogPorts, QuoteSkus};
use crate::actors::inventory::{InventoryPorts, ReceiveStock, TrackSku};
use crate::actors::orders::{OrdersPorts, PlaceOrder, RecordPayment};
use crate::actors::runtime::{Domain, Handle, Host, contract, needs};
use crate::actors::sales::{CreateSale, GetLive, GetSale, ListSales, MoveSale, SalesPorts, ValidateSale};
use crate::actors::waiting_room::{GetPlace, GetRoom, JoinQueue, WaitingRoomPorts};
use crate::config::Config;

contract! {
    /// What the dry run answers.
    pub struct DryRunPorts of DryRunActor, DryRunError {
        start_dry_run: StartDryRun,
        get_dry_run: GetDryRun,
    }
}

needs! {
    /// What the dry run asks of the real shop; it only reads.
    pub struct DryRunNeeds {
        catalog: CatalogPorts {
            quote_skus: QuoteSkus,
        }
        sales: SalesPorts {
            get_sale: GetSale,
            list_sales: ListSales,
            validate_sale: ValidateSale,
        }
    }
}

needs! {
    /// What the dry run asks of its shadow shop.
    pub struct ShadowNeeds {
        catalog: CatalogPorts {
            add_product: AddProduct,
        }
        inventory: InventoryPorts {
            track_sku: TrackSku,
            receive_stock: ReceiveStock,
        }
        sales: SalesPorts {
            create_sale: CreateSale,
            move_sale: MoveSale,
            get_live: GetLive,
        }
        waiting_room: WaitingRoomPorts {
            join_queue: JoinQueue,
            get_place: GetPlace,
            get_room: GetRoom,
        }
        orders: OrdersPorts {
            place_order: PlaceOrder,
            record_payment: RecordPayment,
        }
    }
}

pub struct DryRunDomain {
    pub ports: DryRunPorts,
    actor: Handle<DryRunActor>,
    runs: DryRuns,
}

impl DryRunDomain {
    /// Starts the domain, and removes what an earlier run may have left in the database and in `data_dir`.
    pub fn start(
        host: &Host,
        needs: DryRunNeeds,
        open: OpenShop,
        data_dir: PathBuf,
        config: &Config,
    ) -> Self {
        let runs = DryRuns::new(needs, host.database(), open, config);
        runs.clear_up(data_dir);
        let served = runs.clone();
        let actor = host.supervise("dry runs", &Arbiter::current(), move || DryRunActor::new(served.clone()));
        Self { ports: DryRunPorts::of(&actor), actor, runs }
    }
}

impl Domain for DryRunDomain {
    async fn drain(&self, within: Duration) {
        self.actor.drain(within).await;
        // The shadow shop of a run needs as much time to stop as this one.
        self.runs.stop(2 * within).await;
    }
}
