//! What is known of a sale at a moment: the one place where the API and the pages get their live figures from.

use std::sync::Arc;

use futures_util::future::join3;
use jiff::Timestamp;

use super::vitals::VitalsView;
use crate::actors::sales::{GetLive, Live, SalesError};
use crate::actors::waiting_room::{GetRoom, RoomFigures};
use crate::audit::{AuditStatus, GetAuditStatus};
use crate::http::gateway::Gateway;
use crate::types::SaleId;

pub struct SaleSnapshot {
    pub live: Live,
    /// `None` for a sale without a waiting room.
    pub room: Option<RoomFigures>,
    /// `None` for a sale that the audit does not watch.
    pub light: Option<Arc<AuditStatus>>,
    pub vitals: VitalsView,
    pub at: Timestamp,
}

impl SaleSnapshot {
    /// Leaves out what cannot be determined at this moment, so that the rest can be shown.
    pub async fn take(gateway: &Gateway, sale: SaleId) -> Result<Self, SalesError> {
        let live = gateway.ports.sales.get_live.ask(GetLive { sale }).await?;
        let room = gateway.ports.waiting_room.get_room.ask(GetRoom { sale });
        let light = gateway.ports.audit.get_audit_status.ask(GetAuditStatus { sale });
        let (room, light, vitals) = join3(room, light, VitalsView::of(gateway, &live)).await;
        Ok(Self { live, room: room.ok(), light: light.ok().flatten(), vitals, at: Timestamp::now() })
    }
}
