//! The ports that the gateway asks, by domain.

use crate::actors::catalog::CatalogPorts;
use crate::actors::inventory::InventoryPorts;
use crate::actors::orders::OrdersPorts;
use crate::actors::sales::SalesPorts;
use crate::actors::users::UsersPorts;
use crate::actors::waiting_room::WaitingRoomPorts;
use crate::audit::AuditPorts;
use crate::dry_run::DryRunPorts;

pub struct Ports {
    pub users: UsersPorts,
    pub catalog: CatalogPorts,
    pub inventory: InventoryPorts,
    pub orders: OrdersPorts,
    pub sales: SalesPorts,
    pub waiting_room: WaitingRoomPorts,
    pub audit: AuditPorts,
    pub dry_runs: DryRunPorts,
}
