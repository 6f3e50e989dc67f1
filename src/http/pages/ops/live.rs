//! The live figures of a sale: what the page shows of it, sent again and again while it is open.

use actix_web::HttpRequest;
use actix_web::web::Data;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;

use super::sellout::Rates;
use super::{Operator, proposals};
use crate::actors::sales::{GATES, ListProposals, Live, SalesError, Tally};
use crate::actors::users::Permission;
use crate::actors::waiting_room::RoomFigures;
use crate::audit;
use crate::http::api::sale_snapshot::SaleSnapshot;
use crate::http::api::vitals::VitalsView;
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::Answer;
use crate::http::gateway::input::FromPath;
use crate::http::gateway::streams::{self, Listener};
use crate::types::SaleId;

/// The first breaches are shown; the API has all of them.
const BREACHES_SHOWN: usize = 5;

/// Whether stock, reservations and orders agree about a sale, as the audit last found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AuditView {
    pub is_green: bool,
    /// Whether the audit checked the sale lately.
    pub is_fresh: bool,
    /// What does not hold, in words.
    pub breaches: Vec<String>,
    pub stock: i64,
    pub holds: i64,
    pub orders: i64,
}

/// The figures of the waiting room.
#[derive(Serialize)]
pub struct QueueFigures {
    pub waiting: u64,
    pub admitted: u64,
    pub no_shows: u64,
    /// The average wait of the customers who were let in lately; `None` before the first.
    pub wait_seconds: Option<i64>,
    pub per_second: f64,
}

impl AuditView {
    /// The promised pieces as stock, reservations and orders count them.
    fn of(status: &audit::AuditStatus) -> Self {
        let is_fresh = status.is_fresh(Timestamp::now());
        let breaches = status.breaches.iter().take(BREACHES_SHOWN);
        let in_words =
            |breach: &audit::Finding| format!("{}: {} ({})", breach.subject, breach.claim, breach.finding);
        Self {
            is_green: status.is_green && is_fresh,
            is_fresh,
            breaches: breaches.map(in_words).collect(),
            stock: status.allotment - status.accounted + status.promised,
            holds: status.promised,
            orders: status.ordered + status.on_the_way,
        }
    }
}

impl QueueFigures {
    fn of(room: RoomFigures) -> Self {
        Self {
            waiting: room.counts.waiting.into(),
            admitted: room.counts.admitted.into(),
            no_shows: room.counts.no_shows.into(),
            wait_seconds: room.counts.mean_wait_seconds.map(i64::from),
            per_second: (room.admissions_per_second * 10.0).round() / 10.0,
        }
    }
}

/// What the script of the page receives.
#[derive(Serialize)]
pub struct LiveView {
    /// Milliseconds since 1970, by which the browser corrects its own clock for the countdown.
    now: i64,
    pub status: &'static str,
    /// Counts the changes: when it rises, the script loads the parts that depend on the status.
    pub version: i64,
    pub is_everything_stopped: bool,
    /// The sale and the SKUs with a stop that could not be saved, by name.
    pub unwritten: String,
    /// Changes whenever other proposals wait for a second operator.
    pub proposals: String,
    pub skus: Vec<SkuView>,
    pub totals: TallyView,
    seconds: SecondsView,
    pub light: Option<AuditView>,
    pub queue: Option<QueueFigures>,
    pub vitals: VitalsView,
}

#[derive(Serialize)]
pub struct SkuView {
    pub sku: String,
    pub allotment: i64,
    /// `None` before the sale is armed.
    pub figures: Option<Figures>,
    pub is_stopped: bool,
    /// Seconds, at the rate of the last moments; `None` while no pieces are taken.
    pub sells_out_in: Option<i64>,
}

#[derive(Serialize, Clone, Copy)]
pub struct Figures {
    pub remaining: i64,
    pub held: i64,
    pub sold: i64,
    pub lapsed: i64,
    pub expired: i64,
}

#[derive(Serialize)]
pub struct TallyView {
    pub attempts: u64,
    pub accepted: u64,
    /// In the order of [`GATES`].
    pub refused: [u64; GATES.len()],
}

/// Column by column, as the charts read it; the latest second last.
#[derive(Serialize)]
struct SecondsView {
    attempts: Vec<u64>,
    accepted: Vec<u64>,
    /// The gates that refused orders in these seconds, with their index in [`GATES`].
    refused: Vec<(usize, Vec<u64>)>,
}

impl LiveView {
    pub fn of(snapshot: SaleSnapshot, rates: &Rates, proposals: String) -> Self {
        let Live { sale, is_everything_stopped, unwritten, allotments, tally, seconds, .. } = &snapshot.live;
        let skus = sale.draft.items.iter().map(|item| {
            let part = allotments.iter().find(|(sku, _)| *sku == item.sku).map(|(_, part)| part);
            SkuView {
                sku: item.sku.to_string(),
                allotment: part.map_or(item.allotment.get(), |part| part.allotment),
                figures: part.map(|part| Figures {
                    remaining: part.remaining(),
                    held: part.held,
                    sold: part.sold,
                    lapsed: part.lapsed,
                    expired: part.expired,
                }),
                is_stopped: sale.is_stopped || sale.stopped_skus.contains(&item.sku),
                sells_out_in: part.and_then(|part| rates.sells_out_in(item.sku.as_str(), part.remaining())),
            }
        });
        Self {
            now: snapshot.at.as_millisecond(),
            status: sale.status.as_str(),
            version: sale.version,
            is_everything_stopped: *is_everything_stopped,
            unwritten: unwritten
                .is_of_sale
                .then(|| sale.draft.name.clone())
                .into_iter()
                .chain(unwritten.skus.iter().map(ToString::to_string))
                .collect::<Vec<_>>()
                .join(", "),
            proposals,
            skus: skus.collect(),
            totals: TallyView { attempts: tally.attempts, accepted: tally.accepted, refused: tally.refused },
            seconds: SecondsView::of(seconds),
            light: snapshot.light.map(|light| AuditView::of(&light)),
            queue: snapshot.room.map(QueueFigures::of),
            vitals: snapshot.vitals,
        }
    }
}

impl SecondsView {
    fn of(seconds: &[Tally]) -> Self {
        let refused = (0..GATES.len()).filter_map(|gate| {
            let column: Vec<u64> = seconds.iter().map(|second| second.refused[gate]).collect();
            column.iter().any(|refused| *refused > 0).then_some((gate, column))
        });
        Self {
            attempts: seconds.iter().map(|second| second.attempts).collect(),
            accepted: seconds.iter().map(|second| second.accepted).collect(),
            refused: refused.collect(),
        }
    }
}

/// Streams the figures of a sale as server-sent events.
pub async fn get_live(
    sale: FromPath<SaleId>,
    request: HttpRequest,
    operator: Operator,
    gateway: Data<Gateway>,
) -> Answer {
    let token = operator.visitor.access_token;
    let mut rates = Rates::default();
    let asked = gateway.clone();
    let tell = async move || {
        let snapshot = SaleSnapshot::take(&asked, sale.0).await?;
        rates.note(&snapshot.live, Instant::now());
        let mut proposals = asked.ports.sales.list_proposals.ask(ListProposals).await?;
        proposals.retain(|proposal| proposals::concerns(proposal, Some(sale.0)));
        let mark = proposals::mark(proposals.iter().map(|proposal| proposal.id));
        Ok::<_, SalesError>(LiveView::of(snapshot, &rates, mark))
    };
    streams::stream(&request, gateway, Listener::Staff { token, permission: Permission::SalesRead }, tell)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_gates_that_refused_are_sent() {
        let mut second = Tally { attempts: 3, accepted: 1, ..Tally::default() };
        second.refused[8] = 2;
        let view = SecondsView::of(&[Tally::default(), second]);
        assert_eq!(view.attempts, [0, 3]);
        assert_eq!(view.refused, [(8, vec![0, 2])]);
    }
}
