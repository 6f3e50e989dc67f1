//! All that is known of a sale at a moment: the one place where the API and the page get their live figures from.

use std::sync::Arc;

use futures_util::future::join3;
use jiff::Timestamp;

use super::ports::Gateway;
use super::vitals::VitalsView;
use crate::actors::sales::{GetLive, GetRoom, Live, RoomFigures, SalesError};
use crate::audit::{GetLight, Light};
use crate::types::SaleId;

pub(super) struct Seen {
    pub live: Live,
    /// Nothing where it has no waiting room.
    pub room: Option<RoomFigures>,
    /// Nothing where it is not watched.
    pub light: Option<Arc<Light>>,
    pub vitals: VitalsView,
    pub at: Timestamp,
}

/// Looks at a sale. What cannot be told at this moment is left out, so that the rest can be seen.
pub(super) async fn look(gateway: &Gateway, sale: SaleId) -> Result<Seen, SalesError> {
    let live = gateway.ports.sales.get_live.ask(GetLive { sale }).await?;
    let room = gateway.ports.sales.get_room.ask(GetRoom { sale });
    let light = gateway.ports.audit.get_light.ask(GetLight { sale });
    let (room, light, vitals) = join3(room, light, VitalsView::of(gateway, &live)).await;
    Ok(Seen { live, room: room.ok(), light: light.ok().flatten(), vitals, at: Timestamp::now() })
}
