//! The audit's contract and wiring: what it answers, what it asks of other domains, how it starts and drains.

use std::time::Duration;

use super::actor::AuditActor;
use super::error::AuditError;
use super::messages::*;
use super::sale_auditor::SaleAuditor;
use super::settlement::{ReportKey, SettlementBuilder};
use crate::actors::inventory::{GetFigures, InventoryPorts, ListHolds};
use crate::actors::orders::{InspectOrder, ListHistory, ListOrders, OrdersPorts};
use crate::actors::runtime::{Domain, Handle, Host, contract, needs};
use crate::actors::sales::{ListRefusals, SalesPorts, SwitchItem};
use crate::actors::waiting_room::{GetDraw, GetTicketHistory, WaitingRoomPorts};
use crate::config::Config;

contract! {
    /// What the audit answers.
    pub struct AuditPorts of AuditActor, AuditError {
        get_audit_status: GetAuditStatus,
        get_settlement: GetSettlement,
        explain_decisions: ExplainDecisions,
    }
}

needs! {
    /// What the audit asks of other domains.
    pub struct AuditNeeds {
        inventory: InventoryPorts {
            get_figures: GetFigures,
            list_holds: ListHolds,
        }
        sales: SalesPorts {
            switch_item: SwitchItem,
            list_refusals: ListRefusals,
        }
        waiting_room: WaitingRoomPorts {
            get_draw: GetDraw,
            get_ticket_history: GetTicketHistory,
        }
        orders: OrdersPorts {
            inspect_order: InspectOrder,
            list_orders: ListOrders,
            list_history: ListHistory,
        }
    }
}

pub struct AuditDomain {
    pub ports: AuditPorts,
    actor: Handle<AuditActor>,
}

impl AuditDomain {
    /// The audit has a thread of its own, because settling a large sale takes seconds.
    pub fn start(host: &mut Host, needs: AuditNeeds, key: ReportKey, config: &Config) -> Self {
        let thread = host.start_thread();
        let auditor = SaleAuditor::new(host.database(), needs.clone(), config);
        let settlements = SettlementBuilder::new(host.database(), key, config);
        let actor = host.supervise("audit", &thread, move || {
            AuditActor::new(auditor.clone(), settlements.clone(), needs.clone())
        });
        let settled_within = Duration::from_secs(config.sales.report_within_seconds);
        let slow = actor.within(settled_within);
        let ports = AuditPorts {
            get_settlement: slow.port(),
            explain_decisions: slow.port(),
            ..AuditPorts::of(&actor)
        };
        Self { ports, actor }
    }
}

impl Domain for AuditDomain {
    async fn drain(&self, within: Duration) {
        self.actor.drain(within).await;
    }
}
