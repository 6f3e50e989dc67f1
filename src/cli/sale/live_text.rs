//! The live figures of a sale as a table for a terminal and as a line for a log.

use std::fmt::Write as _;

use super::text;
use super::times::{in_japan, time_in_japan};
use crate::http::views::{
    DecisionsView, HoldAgesView, LatencyView, LightView, LiveView, PartView, QueueView, UnwrittenView,
    VitalsView,
};
use crate::types::grouped;

fn queue(queue: &QueueView) -> String {
    let QueueView { waiting, admitted, no_shows, mean_wait_seconds, .. } = queue;
    let mut text = format!("waiting room: {waiting} waiting, {admitted} let in, {no_shows} no-shows");
    if let Some(wait) = mean_wait_seconds {
        let _ = write!(text, ", {wait} s of waiting");
    }
    text
}

/// The result of the last audit.
fn audit(light: &LightView) -> String {
    let verdict = if light.green { "GREEN" } else { "RED" };
    let stock = light.allotment - light.accounted + light.promised;
    let orders = light.ordered + light.on_the_way;
    let mut text = format!("{verdict}: stock {stock}, reservations {}, orders {orders}", light.promised);
    for breach in &light.breaches {
        let _ = write!(text, "; {breach}");
    }
    text
}

/// Whether the SKU's actor is ready, its waiting messages, and its restarts.
fn load(vitals: &VitalsView, sku: &str) -> (&'static str, u32, u32) {
    let actor = vitals.actors.iter().find(|actor| actor.sku == sku);
    actor
        .map_or(("no", 0, 0), |actor| (if actor.ready { "yes" } else { "no" }, actor.waiting, actor.restarts))
}

fn vitals(vitals: &VitalsView) -> String {
    let mut text = String::new();
    if let Some(LatencyView { p50_ms, p99_ms, p999_ms, .. }) = &vitals.latency {
        let _ = write!(text, "latency p50 {p50_ms:.1} p99 {p99_ms:.1} p99.9 {p999_ms:.1} ms  ");
    }
    if let Some(HoldAgesView { oldest_seconds, median_seconds }) = &vitals.holds {
        let _ = write!(text, "held for {oldest_seconds} s at most, {median_seconds} s in the middle  ");
    }
    let _ = write!(text, "commit lag {:.1} ms", vitals.commit_lag_ms);
    if let Some(lag) = vitals.event_lag_ms {
        let _ = write!(text, "  event lag {lag} ms");
    }
    text
}

fn heading(live: &LiveView) -> String {
    let mut text = text::status(&live.sale);
    if let Some(waits) = text::waits(&live.sale, live.at) {
        let _ = write!(text, ", {waits}");
    }
    if live.everything_stopped {
        text.push_str(", EVERYTHING STOPPED");
    }
    let UnwrittenView { sale, skus } = &live.unwritten;
    if *sale || !skus.is_empty() {
        let whole = sale.then_some("the sale").into_iter();
        let of: Vec<&str> = whole.chain(skus.iter().map(String::as_str)).collect();
        let _ = write!(text, ", STOPPED WITHOUT A RECORD: {} (repeat the action)", of.join(", "));
    }
    text
}

fn forecast(live: &LiveView) -> Option<String> {
    let seconds = live.sold_out_in_seconds?;
    let at = live.at.checked_add(jiff::SignedDuration::from_secs(seconds)).ok()?;
    Some(format!("sold out in {} s ({})", grouped(seconds), time_in_japan(at)))
}

/// The audit and the waiting room, where they exist.
fn audit_and_queue(live: &LiveView) -> impl Iterator<Item = String> {
    live.invariant.as_ref().map(audit).into_iter().chain(live.queue.as_ref().map(queue))
}

/// For a terminal: a table that is redrawn in place.
pub(super) fn table(live: &LiveView) -> String {
    let LiveView { sale, decisions, per_second, .. } = live;
    let mut text = format!("{}  {}\n{}\n\n", in_japan(live.at), sale.name, heading(live));
    let _ = writeln!(
        text,
        "{:<24} {:>12} {:>12} {:>12} {:>12} {:>12} {:>12} {:>5} {:>9} {:>9}",
        "SKU",
        "allotment",
        "remaining",
        "held",
        "paid",
        "expired",
        "returned",
        "ready",
        "waiting",
        "restarts"
    );
    for part in &live.items {
        let PartView { sku, allotment, remaining, held, sold, expired, returned, .. } = part;
        let stopped = sale.items.iter().any(|item| item.sku == *sku && item.stopped);
        let [allotment, remaining, held, sold, expired, returned] =
            [*allotment, *remaining, *held, *sold, *expired, *returned].map(grouped);
        let stopped = if stopped { "  STOPPED" } else { "" };
        let (ready, waiting, restarts) = load(&live.vitals, sku);
        let _ = writeln!(
            text,
            "{sku:<24} {allotment:>12} {remaining:>12} {held:>12} {sold:>12} {expired:>12} {returned:>12} \
             {ready:>5} {waiting:>9} {restarts:>9}{stopped}"
        );
    }
    let _ = writeln!(text, "\n{:<24} {:>12} {:>12}", "orders", "per second", "in all");
    let mut row = |name: &str, per_second: u64, all: u64| {
        let _ = writeln!(text, "{name:<24} {per_second:>12} {all:>12}");
    };
    row("attempts", per_second.attempts, decisions.attempts);
    row("accepted", per_second.accepted, decisions.accepted);
    for (gate, all) in &decisions.refused {
        row(gate, per_second.refused.get(gate).copied().unwrap_or(0), *all);
    }
    let _ = writeln!(text);
    for line in audit_and_queue(live) {
        let _ = writeln!(text, "{line}");
    }
    let _ = writeln!(text, "{}", vitals(&live.vitals));
    if let Some(forecast) = forecast(live) {
        let _ = write!(text, "{forecast}");
    }
    text
}

/// For a log: everything in one line.
pub(super) fn line(live: &LiveView) -> String {
    let mut text = format!("{}  {}", time_in_japan(live.at), heading(live));
    for PartView { sku, remaining, held, sold, expired, .. } in &live.items {
        let _ = write!(text, "  {sku} {remaining} remaining {held} held {sold} paid {expired} expired");
    }
    let DecisionsView { attempts, accepted, refused } = &live.per_second;
    let _ = write!(text, "  {attempts} attempts/s {accepted} accepted/s");
    for (gate, count) in refused {
        let _ = write!(text, " {count} {gate}/s");
    }
    for part in audit_and_queue(live) {
        let _ = write!(text, "  {part}");
    }
    let _ = write!(text, "  {}", vitals(&live.vitals));
    if let Some(forecast) = forecast(live) {
        let _ = write!(text, "  {forecast}");
    }
    text
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(in crate::cli::sale) fn sale() -> Value {
        json!({
            "id": "019b0000-0000-7000-8000-000000000000", "name": "Midnight", "status": "open", "stopped": false,
            "opens_at": "2026-11-24T15:00:00Z", "closes_at": "2026-11-24T16:00:00Z",
            "items": [{"sku": "LAMP", "price": 2_200, "allotment": 1_500, "stopped": true}],
            "limit_per_customer": 2, "hold_seconds": {"card": 600, "konbini": 3_600},
            "konbini": {"allowed": true, "share_max": 0.3},
            "admission": {"mode": "queue", "per_second": 50}, "version": 4, "commitment": "00",
            "created_at": "2026-11-24T12:00:00Z", "drains_until": null,
        })
    }

    fn live() -> LiveView {
        serde_json::from_value(json!({
            "sale": sale(),
            "everything_stopped": false,
            "unwritten": {"sale": false, "skus": []},
            "items": [{
                "sku": "LAMP", "allotment": 1_500, "remaining": 1_200, "held": 100, "sold": 200, "lapsed": 9,
                "expired": 7, "returned": 0,
            }],
            "decisions": {"attempts": 900, "accepted": 300, "refused": {"limit-reached": 600}},
            "per_second": {"attempts": 90, "accepted": 30, "refused": {"limit-reached": 60}},
            "queue": {
                "entries": 80, "waiting": 50, "admitted": 9, "ordered": 18, "no_shows": 3,
                "mean_wait_seconds": 12, "drawn": true, "admissions_per_second": 50.0,
            },
            "invariant": {
                "green": true, "allotment": 1_500, "accounted": 1_500, "promised": 300, "ordered": 298,
                "on_the_way": 2, "checked_at": "2026-11-24T15:55:02Z", "breaches": [],
            },
            "vitals": {
                "latency": {"orders": 300, "p50_ms": 4.12, "p99_ms": 18.5, "p999_ms": 31.0},
                "holds": {"oldest_seconds": 95, "median_seconds": 40},
                "commit_lag_ms": 1.35, "event_lag_ms": 120,
                "actors": [{"sku": "LAMP", "ready": true, "waiting": 17, "restarts": 3}],
            },
            "sold_out_in_seconds": 40,
            "at": "2026-11-24T15:55:03Z",
        }))
        .unwrap()
    }

    #[test]
    fn a_line_and_a_table_show_all_live_figures() {
        assert_eq!(
            line(&live()),
            "00:55:03 JST  open, closes in 4:57  LAMP 1200 remaining 100 held 200 paid 7 expired  \
             90 attempts/s 30 accepted/s 60 limit-reached/s  GREEN: stock 300, reservations 300, orders 300  \
             waiting room: 50 waiting, 9 let in, 3 no-shows, 12 s of waiting  latency p50 4.1 p99 18.5 p99.9 31.0 ms  \
             held for 95 s at most, 40 s in the middle  commit lag 1.4 ms  event lag 120 ms  \
             sold out in 40 s (00:55:43 JST)"
        );
        let table = table(&live());
        for part in [
            "Midnight",
            "1,200",
            "STOPPED",
            "limit-reached",
            "closes in 4:57",
            "sold out in 40 s",
            "yes        17         3",
            "p99.9",
            "GREEN",
            "3 no-shows",
        ] {
            assert!(table.contains(part), "{table}");
        }
    }
}
