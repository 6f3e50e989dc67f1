//! The live view of a sale: what is shown of it at a moment, again and again.

use std::collections::VecDeque;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::Data;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;

use super::proposals;
use crate::actors::sales::{GATES, ListProposals, Live, RoomFigures, SalesError, Tally};
use crate::audit;
use crate::http::api::sale_snapshot::SaleSnapshot;
use crate::http::api::vitals::VitalsView;
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::Answer;
use crate::http::gateway::input::FromPath;
use crate::http::gateway::streams::{self, Listener};
use crate::http::pages::kit::session::Operator;
use crate::types::SaleId;

/// Of what does not hold; the rest is in the API.
const BREACHES_SHOWN: usize = 5;
/// Over how long the rate is taken by which a SKU will sell out.
const RATE_OVER: Duration = Duration::from_secs(20);

/// Whether what is in stock, what is reserved and what was ordered say the same about a sale.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Light {
    pub is_green: bool,
    /// It was looked at lately.
    pub is_fresh: bool,
    /// What does not hold, in words; the first few.
    pub breaches: Vec<String>,
    pub stock: i64,
    pub holds: i64,
    pub orders: i64,
}

/// How many wait for their turn in the waiting room and for how long, and how many had it or let it lapse.
#[derive(Serialize)]
pub struct QueueFigures {
    pub waiting: u64,
    pub admitted: u64,
    pub no_shows: u64,
    /// Of those who were let in lately, on average; nothing before the first.
    pub wait_seconds: Option<i64>,
    pub per_second: f64,
}

impl Light {
    /// The pieces that are promised, by each of the three who know.
    fn of(light: &audit::AuditStatus) -> Self {
        let is_fresh = light.is_fresh(Timestamp::now());
        let breaches = light.breaches.iter().take(BREACHES_SHOWN);
        let in_words =
            |breach: &audit::Finding| format!("{}: {} ({})", breach.subject, breach.claim, breach.finding);
        Self {
            is_green: light.is_green && is_fresh,
            is_fresh,
            breaches: breaches.map(in_words).collect(),
            stock: light.allotment - light.accounted + light.promised,
            holds: light.promised,
            orders: light.ordered + light.on_the_way,
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

/// What the browser shows, as it is sent.
#[derive(Serialize)]
pub struct LiveView {
    /// Milliseconds since 1970, by which the browser corrects its own clock for the countdown.
    now: i64,
    pub status: &'static str,
    /// Counts the changes: when it moves, the browser loads what depends on the status.
    pub version: i64,
    pub is_everything_stopped: bool,
    /// What keeps buyers out without being written down, name by name.
    pub unwritten: String,
    /// Another text whenever something else waits for a second operator.
    pub proposals: String,
    pub skus: Vec<SkuView>,
    pub totals: TallyView,
    seconds: SecondsView,
    pub light: Option<Light>,
    pub queue: Option<QueueFigures>,
    pub vitals: VitalsView,
}

#[derive(Serialize)]
pub struct SkuView {
    pub sku: String,
    pub allotment: i64,
    /// Nothing before the sale is armed.
    pub figures: Option<Figures>,
    pub is_stopped: bool,
    /// Seconds, at the rate of the last moments; nothing where nobody buys.
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

/// Column by column, as charts want it; the latest second last.
#[derive(Serialize)]
struct SecondsView {
    attempts: Vec<u64>,
    accepted: Vec<u64>,
    /// Only gates that refused somebody in these seconds.
    refused: Vec<(usize, Vec<u64>)>,
}

impl LiveView {
    pub fn of(snapshot: SaleSnapshot, rates: &Rates, proposals: String) -> Self {
        let Live { sale, is_everything_stopped, unwritten, parts, tally, seconds, .. } = &snapshot.live;
        let skus = sale.draft.items.iter().map(|item| {
            let part = parts.iter().find(|(sku, _)| *sku == item.sku).map(|(_, part)| part);
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
            light: snapshot.light.map(|light| Light::of(&light)),
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

/// How fast pieces were taken lately, for the forecast.
#[derive(Default)]
pub struct Rates {
    /// Pieces held or sold of each SKU at each look, the latest last.
    looks: VecDeque<(Instant, Vec<(String, i64)>)>,
}

impl Rates {
    pub fn note(&mut self, live: &Live, now: Instant) {
        let taken = live.parts.iter().map(|(sku, part)| (sku.to_string(), part.held + part.sold));
        self.note_taken(taken.collect(), now);
    }

    fn note_taken(&mut self, taken: Vec<(String, i64)>, now: Instant) {
        while self.looks.front().is_some_and(|(at, _)| now.duration_since(*at) > RATE_OVER) {
            self.looks.pop_front();
        }
        self.looks.push_back((now, taken));
    }

    /// Seconds until the rest is taken, at the rate of the looks that are kept.
    fn sells_out_in(&self, sku: &str, remaining: i64) -> Option<i64> {
        let (first, last) = (self.looks.front()?, self.looks.back()?);
        let taken_at = |look: &(Instant, Vec<(String, i64)>)| {
            look.1.iter().find(|(other, _)| other == sku).map(|(_, taken)| *taken)
        };
        let seconds = last.0.duration_since(first.0).as_secs_f64();
        let taken = taken_at(last)? - taken_at(first)?;
        if remaining <= 0 || taken <= 0 || seconds < 1.0 {
            return None;
        }
        Some((remaining as f64 * seconds / taken as f64).ceil() as i64)
    }
}

/// The figures of a sale as server-sent events.
pub async fn get_live(
    sale: FromPath<SaleId>,
    request: HttpRequest,
    operator: Operator,
    gateway: Data<Gateway>,
) -> Answer {
    let token = operator.visitor.token;
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
    streams::stream(&request, gateway, Listener::Staff { token }, tell).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sku_sells_out_at_the_rate_of_the_last_moments() {
        let start = Instant::now();
        let mut rates = Rates::default();
        let mut note = |seconds: u64, taken| {
            rates.note_taken(vec![("LAMP".to_owned(), taken)], start + Duration::from_secs(seconds));
            rates.sells_out_in("LAMP", 100)
        };
        assert_eq!(note(0, 0), None);
        assert_eq!(note(10, 50), Some(20));
        // What was long ago no longer counts: fifty more in the twenty seconds since.
        assert_eq!(note(30, 100), Some(40));
        assert_eq!(note(60, 100), None);
    }

    #[test]
    fn what_is_sold_out_or_unknown_has_no_forecast() {
        let start = Instant::now();
        let mut rates = Rates::default();
        rates.note_taken(vec![("LAMP".to_owned(), 0)], start);
        rates.note_taken(vec![("LAMP".to_owned(), 9)], start + Duration::from_secs(2));
        assert_eq!(rates.sells_out_in("LAMP", 0), None);
        assert_eq!(rates.sells_out_in("VASE", 5), None);
    }

    #[test]
    fn only_gates_that_refused_are_sent() {
        let mut second = Tally { attempts: 3, accepted: 1, ..Tally::default() };
        second.refused[8] = 2;
        let view = SecondsView::of(&[Tally::default(), second]);
        assert_eq!(view.attempts, [0, 3]);
        assert_eq!(view.refused, [(8, vec![0, 2])]);
    }
}
