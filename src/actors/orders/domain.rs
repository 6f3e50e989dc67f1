//! Orders as the engine wires it: what it answers, what it asks of others, and how it starts and drains.

use std::time::Duration;

use actix_rt::ArbiterHandle;

use super::actor::{Desk, OrdersActor};
use super::book::{KeyBook, OrderBook};
use super::error::OrdersError;
use super::messages::*;
use super::rounds::look_after;
use super::store::OrdersStore;
use crate::actors::catalog::{CatalogPorts, QuoteSkus};
use crate::actors::inventory::{
    CommitReservation, InventoryPorts, ListHeldForOrders, ReleaseReservation, ReserveStock,
};
use crate::actors::payments::{OpenPayment, PaymentsPorts, VoidPayment};
use crate::actors::runtime::{Domain, Handle, Host, Journal, contract, keep_going, lag_port, needs};
use crate::actors::sales::{AbandonOrder, EndPassage, FollowOrder, PassGates, SalesPorts};
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
            pass_gates: PassGates,
            end_passage: EndPassage,
            abandon_order: AbandonOrder,
            follow_order: FollowOrder,
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
        let desk = Desk::new(store, journals.clone(), keys_used, needs, config);
        let served = desk.clone();
        let actor = host.supervise("orders", &host.coordinators(), move || OrdersActor::new(served.clone()));
        let every = milliseconds(config.reconcile_every_ms);
        let orphan_after = Duration::from_secs(config.orphan_after_seconds);
        keep_going("rounds of orders", &host.coordinators(), move || {
            look_after(desk.clone(), every, orphan_after)
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
