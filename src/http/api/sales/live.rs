//! How a sale is going: its live figures, once or as a stream of events.

use std::borrow::Cow;
use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::web::Data;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::views::SaleView;
use crate::actors::inventory::Allotment;
use crate::actors::sales::{GATES, Tally};
use crate::actors::users::Permission;
use crate::actors::waiting_room::RoomFigures;
use crate::audit::AuditStatus;
use crate::http::api::sale_snapshot::SaleSnapshot;
use crate::http::api::vitals::VitalsView;
use crate::http::gateway::Gateway;
use crate::http::gateway::access::bearer;
use crate::http::gateway::answer::{self, Answer};
use crate::http::gateway::input::FromPath;
use crate::http::gateway::streams::{self, Listener};
use crate::types::{SaleId, Sku};

/// How a sale is going.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LiveView {
    pub sale: SaleView,
    /// Whether the switch for everything is on.
    pub everything_stopped: bool,
    pub unwritten: UnwrittenView,
    /// What is durable, at most a quarter of a second ago; empty before the sale is armed.
    pub items: Vec<PartView>,
    /// Orders that came to the gates since the engine began to count.
    pub decisions: DecisionsView,
    /// The same in the last full second.
    pub per_second: DecisionsView,
    /// Null where there is no waiting room.
    #[schema(required)]
    pub queue: Option<QueueView>,
    /// Whether stock, actors, ledger and orders agree; null while the audit does not watch the sale.
    #[schema(required)]
    pub invariant: Option<LightView>,
    pub vitals: VitalsView,
    /// At the rate of the last ten seconds; null while no pieces are sold, and once none are left.
    #[schema(required)]
    pub sold_out_in_seconds: Option<i64>,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// Stops that are in force although they could not be written to the database. They end when the same command is repeated
/// and written, or when they are resumed; a restart forgets them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UnwrittenView {
    /// Whether the sale as a whole is stopped so.
    pub sale: bool,
    /// The SKUs that are stopped so.
    pub skus: Vec<String>,
}

/// Green when `allotment = accounted` and `ordered + on_the_way = promised`, and no other breach was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LightView {
    pub green: bool,
    pub allotment: i64,
    /// Sold, held, returned and remaining.
    pub accounted: i64,
    /// Sold and held.
    pub promised: i64,
    /// In orders that count.
    pub ordered: i64,
    /// Held for orders that may yet come to be.
    pub on_the_way: i64,
    #[schema(value_type = String, format = DateTime)]
    pub checked_at: Timestamp,
    /// Each breach in words.
    pub breaches: Vec<String>,
}

impl LightView {
    fn of(light: &AuditStatus) -> Self {
        let breach = |found: &crate::audit::Finding| format!("{}: {}", found.subject, found.finding);
        Self {
            green: light.is_green && light.is_fresh(Timestamp::now()),
            allotment: light.allotment,
            accounted: light.accounted,
            promised: light.promised,
            ordered: light.ordered,
            on_the_way: light.on_the_way,
            checked_at: light.checked_at,
            breaches: light.breaches.iter().map(breach).collect(),
        }
    }
}

/// The waiting room of a sale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QueueView {
    pub entries: u32,
    pub waiting: u32,
    /// Let in, and neither used nor lapsed.
    pub admitted: u32,
    pub ordered: u32,
    pub no_shows: u32,
    #[schema(required)]
    pub mean_wait_seconds: Option<u32>,
    pub drawn: bool,
    pub admissions_per_second: f64,
}

impl QueueView {
    fn of(room: RoomFigures) -> Self {
        let counts = room.counts;
        Self {
            entries: counts.entries,
            waiting: counts.waiting,
            admitted: counts.admitted,
            ordered: counts.ordered,
            no_shows: counts.no_shows,
            mean_wait_seconds: counts.mean_wait_seconds,
            drawn: room.is_drawn,
            admissions_per_second: room.admissions_per_second,
        }
    }
}

/// Pieces of one SKU of a sale: `allotment = sold + held + returned + remaining`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PartView {
    pub sku: String,
    pub allotment: i64,
    pub remaining: i64,
    /// Set aside for orders that are not paid.
    pub held: i64,
    /// Paid.
    pub sold: i64,
    /// Given back to general stock.
    pub returned: i64,
    /// Counts pieces that were held or sold and came back: cancelled, refunded or expired.
    pub lapsed: i64,
    /// Those of them that were not paid in time.
    pub expired: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DecisionsView {
    pub attempts: u64,
    pub accepted: u64,
    /// By gate.
    pub refused: BTreeMap<Cow<'static, str>, u64>,
}

impl DecisionsView {
    fn of(tally: Tally) -> Self {
        let refused = GATES.into_iter().zip(tally.refused).filter(|(_, count)| *count > 0);
        let refused = refused.map(|(gate, count)| (Cow::from(gate), count)).collect();
        Self { attempts: tally.attempts, accepted: tally.accepted, refused }
    }
}

impl LiveView {
    fn of(SaleSnapshot { live, room, light, vitals, at }: SaleSnapshot) -> Self {
        let part = |(sku, part): &(Sku, Allotment)| PartView {
            sku: sku.to_string(),
            allotment: part.allotment,
            remaining: part.remaining(),
            held: part.held,
            sold: part.sold,
            returned: part.returned,
            lapsed: part.lapsed,
            expired: part.expired,
        };
        let recent = live.seconds.iter().rev().take(10);
        let sold_recently: u64 = recent.clone().map(|second| second.pieces).sum();
        let remaining: i64 = live.allotments.iter().map(|(_, part)| part.remaining()).sum();
        let seconds = i64::try_from(recent.len()).unwrap_or(0);
        let forecast = i64::try_from(sold_recently).ok().filter(|sold| *sold > 0 && remaining > 0);
        Self {
            sale: SaleView::of(&live.sale),
            everything_stopped: live.is_everything_stopped,
            unwritten: UnwrittenView {
                sale: live.unwritten.is_of_sale,
                skus: live.unwritten.skus.iter().map(ToString::to_string).collect(),
            },
            items: live.allotments.iter().map(part).collect(),
            decisions: DecisionsView::of(live.tally),
            per_second: DecisionsView::of(live.seconds.last().copied().unwrap_or_default()),
            queue: room.map(QueueView::of),
            invariant: light.map(|light| LightView::of(&light)),
            vitals,
            sold_out_in_seconds: forecast.map(|sold| remaining.saturating_mul(seconds) / sold),
            at,
        }
    }
}

/// How a sale is going, once or twice a second.
///
/// A stream goes on for ten minutes. The event `trouble` says that the figures cannot be read at the moment, `ended` that the
/// session is over.
#[utoipa::path(
    get, path = "/v1/admin/sales/{id}/live", tag = "sales",
    params(("id" = Uuid, Path, description = "The sale")),
    responses(
        (status = 200, description = "Its figures; with `text/event-stream` accepted a stream of events, whose data they are",
            content((LiveView = "application/json"), (String = "text/event-stream"))),
        (status = 404, description = "`unknown-sale`, or `not-found` for what is not an id"),
    )
)]
pub async fn get_live(id: FromPath<SaleId>, request: HttpRequest, gateway: Data<Gateway>) -> Answer {
    if streams::are_accepted(&request) {
        let asked = gateway.clone();
        let listener =
            Listener::Staff { token: bearer(&request).to_owned(), permission: Permission::SalesRead };
        let read = async move || SaleSnapshot::take(&asked, id.0).await.map(LiveView::of);
        return streams::stream(&request, gateway, listener, read).await;
    }
    answer::ok(&LiveView::of(SaleSnapshot::take(&gateway, id.0).await?))
}
