//! What the engine tells operators about sales, as short text.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter, Write as _};
use std::process::ExitCode;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::times::{countdown, in_japan, time_in_japan};
use crate::types::grouped;

#[derive(Debug, Deserialize)]
pub(super) struct PageShown<T> {
    items: Vec<T>,
}

#[derive(Debug, Deserialize)]
pub(super) struct SaleShown {
    id: Uuid,
    name: String,
    status: String,
    stopped: bool,
    opens_at: Timestamp,
    closes_at: Timestamp,
    items: Vec<ItemShown>,
    limit_per_customer: Option<i64>,
    hold_seconds: HoldSecondsShown,
    konbini: KonbiniShown,
    admission: AdmissionShown,
    drains_until: Option<Timestamp>,
    #[serde(default)]
    findings: Vec<FindingShown>,
    #[serde(default)]
    proposals: Vec<ProposalShown>,
}

/// What was done, or what waits for a second operator now.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum SteeredShown<T> {
    Proposed(ProposalShown),
    Done(T),
}

impl<T> SteeredShown<T> {
    pub(super) fn text(&self, done: impl FnOnce(&T) -> String) -> String {
        match self {
            Self::Done(it) => done(it),
            Self::Proposed(proposal) => format!("not done yet: {proposal}"),
        }
    }

    /// What is not done yet is no success, and no failure.
    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Done(_) => ExitCode::SUCCESS,
            Self::Proposed(_) => ExitCode::from(3),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct ProposalShown {
    id: Uuid,
    action: String,
    sale: Option<Uuid>,
    sku: Option<String>,
    allotment: Option<i64>,
    expected: Option<i64>,
    actor: Uuid,
    reason: String,
    lapses_at: Timestamp,
}

impl Display for ProposalShown {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let of = match (&self.sale, &self.sku) {
            (None, _) => "everything".to_owned(),
            (Some(sale), None) => format!("sale {sale}"),
            (Some(sale), Some(sku)) => format!("{sku} of sale {sale}"),
        };
        write!(formatter, "{} of {of}", self.action)?;
        if let (Some(expected), Some(allotment)) = (self.expected, self.allotment) {
            write!(formatter, " from {} to {}", grouped(expected), grouped(allotment))?;
        }
        let Self { id, actor, reason, lapses_at, .. } = self;
        write!(
            formatter,
            ", proposed by {actor} ({reason}), waits for a second operator until {} (withdraw {id})",
            in_japan(*lapses_at)
        )
    }
}

pub(super) fn proposals(proposals: &PageShown<ProposalShown>) -> String {
    let lines: Vec<String> = proposals.items.iter().map(ToString::to_string).collect();
    if lines.is_empty() { "nothing waits for a second operator".to_owned() } else { lines.join("\n") }
}

#[derive(Debug, Deserialize)]
struct ItemShown {
    sku: String,
    price: i64,
    allotment: i64,
    stopped: bool,
}

#[derive(Debug, Deserialize)]
struct HoldSecondsShown {
    card: i64,
    konbini: i64,
}

#[derive(Debug, Deserialize)]
struct KonbiniShown {
    allowed: bool,
    share_max: f64,
}

#[derive(Debug, Deserialize)]
struct AdmissionShown {
    mode: String,
    per_second: Option<u32>,
}

#[derive(Debug, Deserialize)]
pub(super) struct FindingShown {
    field: String,
    problem: String,
}

impl Display for FindingShown {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.field, self.problem)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct ChangeShown {
    action: String,
    sku: Option<String>,
    actor: Option<Uuid>,
    proposed_by: Option<Uuid>,
    reason: String,
    before: Value,
    after: Value,
    at: Timestamp,
}

#[derive(Debug, Deserialize)]
struct UnwrittenShown {
    sale: bool,
    skus: Vec<String>,
}

/// How a sale is going.
#[derive(Debug, Deserialize)]
pub(super) struct LiveShown {
    sale: SaleShown,
    everything_stopped: bool,
    unwritten: UnwrittenShown,
    items: Vec<PartShown>,
    decisions: DecisionsShown,
    per_second: DecisionsShown,
    queue: Option<QueueShown>,
    invariant: Option<LightShown>,
    vitals: VitalsShown,
    sold_out_in_seconds: Option<i64>,
    pub at: Timestamp,
}

#[derive(Debug, Deserialize)]
struct PartShown {
    sku: String,
    allotment: i64,
    remaining: i64,
    held: i64,
    sold: i64,
    expired: i64,
    returned: i64,
}

#[derive(Debug, Deserialize)]
struct DecisionsShown {
    attempts: u64,
    accepted: u64,
    refused: BTreeMap<String, u64>,
}

/// Who waits for the sale.
#[derive(Debug, Deserialize)]
struct QueueShown {
    waiting: u32,
    admitted: u32,
    no_shows: u32,
    mean_wait_seconds: Option<u32>,
}

impl Display for QueueShown {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { waiting, admitted, no_shows, mean_wait_seconds } = self;
        write!(formatter, "waiting room: {waiting} waiting, {admitted} let in, {no_shows} no-shows")?;
        mean_wait_seconds.map_or(Ok(()), |wait| write!(formatter, ", {wait} s of waiting"))
    }
}

/// Whether stock, reservations and orders agree.
#[derive(Debug, Deserialize)]
struct LightShown {
    green: bool,
    allotment: i64,
    accounted: i64,
    promised: i64,
    ordered: i64,
    on_the_way: i64,
    breaches: Vec<String>,
}

impl Display for LightShown {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let light = if self.green { "GREEN" } else { "RED" };
        let stock = self.allotment - self.accounted + self.promised;
        let orders = self.ordered + self.on_the_way;
        write!(formatter, "{light}: stock {stock}, reservations {}, orders {orders}", self.promised)?;
        self.breaches.iter().try_for_each(|breach| write!(formatter, "; {breach}"))
    }
}

/// How the engine bears it.
#[derive(Debug, Deserialize)]
struct VitalsShown {
    latency: Option<LatencyShown>,
    holds: Option<HoldAgesShown>,
    commit_lag_ms: f64,
    event_lag_ms: Option<i64>,
    actors: Vec<SkuLoadShown>,
}

#[derive(Debug, Deserialize)]
struct LatencyShown {
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
}

#[derive(Debug, Deserialize)]
struct HoldAgesShown {
    oldest_seconds: i64,
    median_seconds: i64,
}

#[derive(Debug, Deserialize)]
struct SkuLoadShown {
    sku: String,
    ready: bool,
    waiting: u32,
    restarts: u32,
}

impl VitalsShown {
    /// Whether the SKU's actor is ready, what waits for it, and how often another took over.
    fn load(&self, sku: &str) -> (&'static str, u32, u32) {
        let actor = self.actors.iter().find(|actor| actor.sku == sku);
        actor.map_or(("no", 0, 0), |actor| {
            (if actor.ready { "yes" } else { "no" }, actor.waiting, actor.restarts)
        })
    }
}

impl Display for VitalsShown {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        if let Some(LatencyShown { p50_ms, p99_ms, p999_ms }) = &self.latency {
            write!(formatter, "latency p50 {p50_ms:.1} p99 {p99_ms:.1} p99.9 {p999_ms:.1} ms  ")?;
        }
        if let Some(HoldAgesShown { oldest_seconds, median_seconds }) = &self.holds {
            write!(formatter, "held for {oldest_seconds} s at most, {median_seconds} s in the middle  ")?;
        }
        write!(formatter, "commit lag {:.1} ms", self.commit_lag_ms)?;
        self.event_lag_ms.map_or(Ok(()), |lag| write!(formatter, "  event lag {lag} ms"))
    }
}

impl SaleShown {
    pub(super) fn has_findings(&self) -> bool {
        !self.findings.is_empty()
    }

    pub(super) fn text_of_findings(&self) -> String {
        let mut text = match self.has_findings() {
            false => {
                format!("{}  {}: nothing keeps it from being run as it is planned\n", self.id, self.name)
            }
            true => format!("{}  {}: it cannot be run as it is planned\n", self.id, self.name),
        };
        for finding in &self.findings {
            let _ = writeln!(text, "  {finding}");
        }
        text
    }

    /// Where it stands, in a line.
    pub(super) fn heading(&self) -> String {
        let heading = format!("{}  {}: {}", self.id, self.name, self.standing());
        match self.waits(Timestamp::now()) {
            Some(waits) => format!("{heading}, {waits}"),
            None => heading,
        }
    }

    /// The status, and whether its kill switch is on.
    fn standing(&self) -> String {
        match self.stopped {
            true => format!("{}, STOPPED", self.status),
            false => self.status.clone(),
        }
    }

    /// What it waits for.
    fn waits(&self, now: Timestamp) -> Option<String> {
        match (&*self.status, self.drains_until) {
            ("scheduled" | "armed", _) => Some(format!("opens in {}", countdown(now, self.opens_at))),
            ("open" | "paused", _) => Some(format!("closes in {}", countdown(now, self.closes_at))),
            ("draining", Some(until)) => Some(format!("drains for {} more", countdown(now, until))),
            _ => None,
        }
    }
}

impl Display for SaleShown {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.heading())?;
        writeln!(formatter, "  {} to {}", in_japan(self.opens_at), in_japan(self.closes_at))?;
        for item in &self.items {
            let (pieces, price) = (grouped(item.allotment), grouped(item.price));
            let stopped = if item.stopped { ", STOPPED" } else { "" };
            writeln!(formatter, "  {}: {pieces} pieces at ¥{price}{stopped}", item.sku)?;
        }
        let limit = match self.limit_per_customer {
            Some(limit) => format!("{} for each customer", grouped(limit)),
            None => "no limit for a customer".to_owned(),
        };
        let konbini = match &self.konbini {
            KonbiniShown { allowed: false, .. } => "no konbini".to_owned(),
            KonbiniShown { share_max, .. } if *share_max >= 1.0 => {
                format!("konbini {} s", grouped(self.hold_seconds.konbini))
            }
            KonbiniShown { share_max, .. } => {
                let share = share_max * 100.0;
                format!(
                    "konbini {} s for {share:.0} % of the pieces at most",
                    grouped(self.hold_seconds.konbini)
                )
            }
        };
        let card = grouped(self.hold_seconds.card);
        write!(formatter, "  {limit}; held: card {card} s, {konbini}; admission: {}", self.admission.mode)?;
        match self.admission.per_second {
            Some(per_second) => writeln!(formatter, ", {per_second} a second")?,
            None => writeln!(formatter)?,
        }
        self.proposals.iter().try_for_each(|proposal| writeln!(formatter, "  {proposal}"))
    }
}

pub(super) fn list(sales: &PageShown<SaleShown>) -> String {
    let mut text = String::new();
    for sale in &sales.items {
        let opens_at = in_japan(sale.opens_at);
        let _ = writeln!(text, "{}  {opens_at}  {:<9}  {}", sale.id, sale.standing(), sale.name);
    }
    if text.is_empty() { "no sales".to_owned() } else { text }
}

pub(super) fn history(changes: &PageShown<ChangeShown>) -> String {
    let mut text = String::new();
    for change in &changes.items {
        let ChangeShown { action, sku, actor, proposed_by, reason, before, after, at } = change;
        let sku = sku.as_ref().map(|sku| format!(" {sku}")).unwrap_or_default();
        let actor = actor.map_or_else(|| "the schedule".to_owned(), |actor| actor.to_string());
        let proposer = proposed_by.map(|proposer| format!(", proposed by {proposer}")).unwrap_or_default();
        let _ = writeln!(text, "{}  {action}{sku}  by {actor}{proposer}: {reason}", in_japan(*at));
        for (member, now) in differences(before, after) {
            let _ = writeln!(text, "    {member}: {now}");
        }
    }
    text
}

/// What a change changed, member by member.
fn differences<'a>(before: &'a Value, after: &'a Value) -> Vec<(&'a str, String)> {
    let (Some(was), Some(is)) = (before.as_object(), after.as_object()) else { return Vec::new() };
    let changed = is.iter().filter(|(member, is)| was.get(*member) != Some(*is));
    let told = changed.map(|(member, is)| match was.get(member) {
        Some(was) => (&**member, format!("{} → {}", plain(was), plain(is))),
        None => (&**member, plain(is)),
    });
    told.collect()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn switch(switch: &Value) -> String {
    match switch["stopped"] == true {
        true => "all orders of customers are STOPPED".to_owned(),
        false => "orders pass".to_owned(),
    }
}

impl LiveShown {
    fn heading(&self) -> String {
        let mut text = self.sale.standing();
        if let Some(waits) = self.sale.waits(self.at) {
            let _ = write!(text, ", {waits}");
        }
        if self.everything_stopped {
            text.push_str(", EVERYTHING STOPPED");
        }
        let UnwrittenShown { sale, skus } = &self.unwritten;
        if *sale || !skus.is_empty() {
            let whole = sale.then_some("the sale").into_iter();
            let of: Vec<&str> = whole.chain(skus.iter().map(String::as_str)).collect();
            let _ = write!(text, ", KEPT OUT OF {} by what was not written down", of.join(", "));
        }
        text
    }

    fn forecast(&self) -> Option<String> {
        let seconds = self.sold_out_in_seconds?;
        let at = self.at.checked_add(jiff::SignedDuration::from_secs(seconds)).ok()?;
        Some(format!("sold out in {} s ({})", grouped(seconds), time_in_japan(at)))
    }

    /// The invariant light and the waiting room, where there are such.
    fn agreement(&self) -> impl Iterator<Item = String> {
        let light = self.invariant.as_ref().map(ToString::to_string);
        light.into_iter().chain(self.queue.as_ref().map(ToString::to_string))
    }

    /// For a terminal: a table that is drawn over and over.
    pub(super) fn table(&self) -> String {
        let Self { sale, decisions, per_second, vitals, .. } = self;
        let mut text = format!("{}  {}\n{}\n\n", in_japan(self.at), sale.name, self.heading());
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
        for part in &self.items {
            let PartShown { sku, allotment, remaining, held, sold, expired, returned } = part;
            let stopped = sale.items.iter().any(|item| item.sku == *sku && item.stopped);
            let [allotment, remaining, held, sold, expired, returned] =
                [*allotment, *remaining, *held, *sold, *expired, *returned].map(grouped);
            let stopped = if stopped { "  STOPPED" } else { "" };
            let (ready, waiting, restarts) = vitals.load(sku);
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
        for line in self.agreement() {
            let _ = writeln!(text, "{line}");
        }
        let _ = writeln!(text, "{vitals}");
        if let Some(forecast) = self.forecast() {
            let _ = write!(text, "{forecast}");
        }
        text
    }

    /// For a log: all of it in one line.
    pub(super) fn line(&self) -> String {
        let mut text = format!("{}  {}", time_in_japan(self.at), self.heading());
        for PartShown { sku, remaining, held, sold, expired, .. } in &self.items {
            let _ = write!(text, "  {sku} {remaining} remaining {held} held {sold} paid {expired} expired");
        }
        let DecisionsShown { attempts, accepted, refused } = &self.per_second;
        let _ = write!(text, "  {attempts} attempts/s {accepted} accepted/s");
        for (gate, count) in refused {
            let _ = write!(text, " {count} {gate}/s");
        }
        for told in self.agreement() {
            let _ = write!(text, "  {told}");
        }
        let _ = write!(text, "  {}", self.vitals);
        if let Some(forecast) = self.forecast() {
            let _ = write!(text, "  {forecast}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn live() -> LiveShown {
        serde_json::from_value(json!({
            "sale": {
                "id": "019b0000-0000-7000-8000-000000000000", "name": "Midnight", "status": "open",
                "stopped": false, "opens_at": "2026-11-24T15:00:00Z", "closes_at": "2026-11-24T16:00:00Z",
                "items": [{"sku": "LAMP", "price": 2_200, "allotment": 1_500, "stopped": true}],
                "limit_per_customer": 2, "hold_seconds": {"card": 600, "konbini": 3_600},
                "konbini": {"allowed": true, "share_max": 0.3},
                "admission": {"mode": "queue", "per_second": 50}, "drains_until": null,
            },
            "everything_stopped": false,
            "unwritten": {"sale": false, "skus": []},
            "items": [{
                "sku": "LAMP", "allotment": 1_500, "remaining": 1_200, "held": 100, "sold": 200, "expired": 7,
                "returned": 0,
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
    fn a_line_tells_all_that_matters() {
        assert_eq!(
            live().line(),
            "00:55:03 JST  open, closes in 4:57  LAMP 1200 remaining 100 held 200 paid 7 expired  \
             90 attempts/s 30 accepted/s 60 limit-reached/s  GREEN: stock 300, reservations 300, orders 300  \
             waiting room: 50 waiting, 9 let in, 3 no-shows, 12 s of waiting  latency p50 4.1 p99 18.5 p99.9 31.0 ms  \
             held for 95 s at most, 40 s in the middle  commit lag 1.4 ms  event lag 120 ms  \
             sold out in 40 s (00:55:43 JST)"
        );
        let table = live().table();
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

    #[test]
    fn a_sale_is_a_few_lines() {
        assert_eq!(
            live().sale.to_string().split_once('\n').unwrap().1,
            "  2026-11-25 00:00:00 JST to 2026-11-25 01:00:00 JST\n  \
             LAMP: 1,500 pieces at ¥2,200, STOPPED\n  \
             2 for each customer; held: card 600 s, konbini 3,600 s for 30 % of the pieces at most; \
             admission: queue, 50 a second\n"
        );
    }

    #[test]
    fn a_change_tells_what_it_changed() {
        let (before, after) =
            (json!({"status": "open", "stopped": false}), json!({"status": "paused", "stopped": false}));
        assert_eq!(differences(&before, &after), [("status", "open → paused".to_owned())]);
        assert_eq!(differences(&Value::Null, &after), []);
        assert_eq!(
            (grouped(-1_234_567), grouped(999), grouped(1_000)),
            ("-1,234,567".to_owned(), "999".to_owned(), "1,000".to_owned())
        );
    }
}
