//! The audit as the engine wires it: what it answers, what it asks of others, and how it starts and drains.

use std::time::Duration;

use super::actor::AuditActor;
use super::error::AuditError;
use super::messages::*;
use super::settlement::{Bench, ReportKey};
use super::watch::Watch;
use crate::actors::inventory::{GetFigures, InventoryPorts};
use crate::actors::runtime::{Domain, Handle, Host, contract, needs};
use crate::actors::sales::{SalesPorts, SwitchItem};
use crate::config::Config;

contract! {
    /// What the audit answers.
    pub struct AuditPorts of AuditActor, AuditError {
        get_light: GetLight,
        get_settlement: GetSettlement,
    }
}

needs! {
    /// What the audit asks of others, and what it tells them to do.
    pub struct AuditNeeds {
        inventory: InventoryPorts {
            get_figures: GetFigures,
        }
        sales: SalesPorts {
            switch_item: SwitchItem,
        }
    }
}

pub struct AuditDomain {
    pub ports: AuditPorts,
    actor: Handle<AuditActor>,
}

impl AuditDomain {
    /// Settling a large sale is work, so the audit has a thread of its own.
    pub fn start(host: &mut Host, needs: AuditNeeds, key: ReportKey, config: &Config) -> Self {
        let thread = host.start_thread();
        let watch = Watch::new(host.database(), needs, config);
        let bench = Bench::new(host.database(), key, config);
        let actor = host.supervise("audit", &thread, move || AuditActor::new(watch.clone(), bench.clone()));
        let settled_within = Duration::from_secs(config.sales.report_within_seconds);
        let ports =
            AuditPorts { get_settlement: actor.within(settled_within).port(), ..AuditPorts::of(&actor) };
        Self { ports, actor }
    }
}

impl Domain for AuditDomain {
    async fn drain(&self, within: Duration) {
        self.actor.drain(within).await;
    }
}
