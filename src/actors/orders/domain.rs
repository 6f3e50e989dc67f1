//! Orders as the engine wires it: what it answers, what it asks of others, and how it starts and drains.

use std::time::Duration;

use actix_rt::ArbiterHandle;

use super::actor::OrdersActor;
use super::book::{KeyBook, OrderBook};
use super::error::OrdersError;
use super::messages::*;
use super::reconcile::reconcile;
use super::sale_skus::keep_copy;
use super::service::OrderService;
use super::store::OrdersStore;
use crate::actors::catalog::{CatalogPorts, QuoteSkus};
use crate::actors::inventory::{
    CommitReservation, InventoryPorts, ListHeldForOrders, ReleaseReservation, ReserveStock,
};
use crate::actors::payments::{OpenPayment, PaymentsPorts, VoidPayment};
use crate::actors::runtime::{Domain, Handle, Host, Journal, contract, keep_going, lag_port, needs};
use crate::actors::sales::{
    ConfirmQuota, GetSaleSkus, HoldQuota, ListHeldQuotas, NoteAccepted, ReleaseQuota, SalesPorts,
};
use crate::config::{self, milliseconds};

contract! {
    /// What orders answers.
    pub struct OrdersPorts of OrdersActor, OrdersError {
        place_order: PlaceOrder,
        get_order: GetOrder,
        list_orders: ListOrders,
        inspect_order: InspectOrder,
        list_history: ListHistory,
        get_latency: GetLatency,
        cancel_order: CancelOrder,
        record_payment: RecordPayment,
    }
    beside the mailbox {
        get_commit_lag: GetCommitLag,
    }
}

needs! {
    /// What orders asks of others.
    pub struct OrdersNeeds {
        catalog: CatalogPorts {
            quote_skus: QuoteSkus,
        }
        inventory: InventoryPorts {
            reserve_stock: ReserveStock,
            commit_reservation: CommitReservation,
            release_reservation: ReleaseReservation,
            list_held_for_orders: ListHeldForOrders,
        }
        payments: PaymentsPorts {
            open_payment: OpenPayment,
            void_payment: VoidPayment,
        }
        sales: SalesPorts {
            hold_quota: HoldQuota,
            note_accepted: NoteAccepted,
            confirm_quota: ConfirmQuota,
            release_quota: ReleaseQuota,
            list_held_quotas: ListHeldQuotas,
            get_sale_skus: GetSaleSkus,
        }
    }
}

pub struct OrdersDomain {
    pub ports: OrdersPorts,
    actor: Handle<OrdersActor>,
    journals: Vec<Journal<OrderBook>>,
}

impl OrdersDomain {
    /// `threads` carry the lanes: writing a batch is work, and the coordinators' thread has enough.
    pub fn start(
        host: &Host,
        threads: &[ArbiterHandle],
        needs: OrdersNeeds,
        config: &config::Orders,
    ) -> Self {
        let journals: Vec<_> = threads
            .iter()
            .cycle()
            .take(config.lanes)
            .enumerate()
            .map(|(lane, thread)| host.start_lane("orders", lane, thread, OrderBook))
            .collect();
        let keys_used = host.start_lane("idempotency keys", 0, &host.coordinators(), KeyBook);
        let store = OrdersStore::new(host.database());
        let service = OrderService::new(store, journals.clone(), keys_used, needs, config);
        let served = service.clone();
        let actor = host.supervise("orders", &host.coordinators(), move || OrdersActor::new(served.clone()));
        let copying = service.clone();
        keep_going("copy of the SKUs in sales", &host.coordinators(), move || keep_copy(copying.clone()));
        let every = milliseconds(config.reconcile_every_ms);
        let orphan_after = Duration::from_secs(config.orphan_after_seconds);
        keep_going("reconciliation of orders", &host.coordinators(), move || {
            reconcile(service.clone(), every, orphan_after)
        });
        Self { ports: OrdersPorts::of(&actor, lag_port(&journals)), actor, journals }
    }
}

impl Domain for OrdersDomain {
    async fn drain(&self, within: Duration) {
        self.actor.drain(within).await;
    }

    async fn flush(&self) {
        for journal in &self.journals {
            journal.flush().await;
        }
    }
}
