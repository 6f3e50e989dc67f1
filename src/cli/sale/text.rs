//! The views of sales, proposals and changes as short text.

use std::fmt::Write as _;
use std::process::ExitCode;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::times::{countdown, in_japan};
use crate::actors::sales::SaleStatus;
use crate::http::views::{
    ChangeView, ChangesView, FindingView, KonbiniTermsBody, ProposalView, ProposalsView, SaleView, SalesView,
    SwitchView,
};
use crate::types::grouped;

/// The answer to an action: done, or proposed and waiting for a second operator.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum SteeredView<T> {
    Proposed(ProposalView),
    Done(T),
}

impl<T> SteeredView<T> {
    pub(super) fn text(&self, done: impl FnOnce(&T) -> String) -> String {
        match self {
            Self::Done(it) => done(it),
            Self::Proposed(waiting) => format!("not done yet: {}", proposal(waiting)),
        }
    }

    /// A proposal is neither a success nor a failure.
    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Done(_) => ExitCode::SUCCESS,
            Self::Proposed(_) => ExitCode::from(3),
        }
    }
}

pub(super) fn proposal(proposal: &ProposalView) -> String {
    let ProposalView { id, action, sale, sku, allotment, expected, actor, reason, lapses_at, .. } = proposal;
    let of = match (sale, sku) {
        (None, _) => "everything".to_owned(),
        (Some(sale), None) => format!("sale {sale}"),
        (Some(sale), Some(sku)) => format!("{sku} of sale {sale}"),
    };
    let change = match (expected, allotment) {
        (Some(expected), Some(allotment)) => {
            format!(" from {} to {}", grouped(*expected), grouped(*allotment))
        }
        _ => String::new(),
    };
    format!(
        "{action} of {of}{change}, proposed by {actor} ({reason}), waits for a second operator until {} (withdraw {id})",
        in_japan(*lapses_at)
    )
}

pub(super) fn proposals(proposals: &ProposalsView) -> String {
    let lines: Vec<String> = proposals.items.iter().map(proposal).collect();
    if lines.is_empty() { "nothing waits for a second operator".to_owned() } else { lines.join("\n") }
}

pub(super) fn finding(finding: &FindingView) -> String {
    format!("{}: {}", finding.field, finding.problem)
}

pub(super) fn has_findings(sale: &SaleView) -> bool {
    sale.findings.as_ref().is_some_and(|findings| !findings.is_empty())
}

/// The result of a validation.
pub(super) fn findings(sale: &SaleView) -> String {
    let verdict = match has_findings(sale) {
        false => "nothing keeps it from being run as it is planned",
        true => "it cannot be run as it is planned",
    };
    let mut text = format!("{}  {}: {verdict}\n", sale.id, sale.name);
    for found in sale.findings.iter().flatten() {
        let _ = writeln!(text, "  {}", finding(found));
    }
    text
}

/// The sale and its status in one line.
pub(super) fn heading(sale: &SaleView) -> String {
    let heading = format!("{}  {}: {}", sale.id, sale.name, status(sale));
    match waits(sale, Timestamp::now()) {
        Some(waits) => format!("{heading}, {waits}"),
        None => heading,
    }
}

/// The status, and whether the kill switch is on.
pub(super) fn status(sale: &SaleView) -> String {
    match sale.stopped {
        true => format!("{}, STOPPED", sale.status.as_str()),
        false => sale.status.as_str().to_owned(),
    }
}

/// The next scheduled event of the sale.
pub(super) fn waits(sale: &SaleView, now: Timestamp) -> Option<String> {
    match (sale.status, sale.drains_until) {
        (SaleStatus::Scheduled | SaleStatus::Armed, _) => {
            Some(format!("opens in {}", countdown(now, sale.opens_at)))
        }
        (SaleStatus::Open | SaleStatus::Paused, _) => {
            Some(format!("closes in {}", countdown(now, sale.closes_at)))
        }
        (SaleStatus::Draining, Some(until)) => Some(format!("drains for {} more", countdown(now, until))),
        _ => None,
    }
}

/// The sale with its plan and its proposals.
pub(super) fn sale(sale: &SaleView) -> String {
    let mut text = format!("{}\n", heading(sale));
    let _ = writeln!(text, "  {} to {}", in_japan(sale.opens_at), in_japan(sale.closes_at));
    for item in &sale.items {
        let (pieces, price) = (grouped(item.allotment), grouped(item.price));
        let stopped = if item.stopped { ", STOPPED" } else { "" };
        let _ = writeln!(text, "  {}: {pieces} pieces at ¥{price}{stopped}", item.sku);
    }
    let limit = match sale.limit_per_customer {
        Some(limit) => format!("{} for each customer", grouped(limit)),
        None => "no limit for a customer".to_owned(),
    };
    let konbini = match &sale.konbini {
        KonbiniTermsBody { allowed: false, .. } => "no konbini".to_owned(),
        KonbiniTermsBody { share_max, .. } if *share_max >= 1.0 => {
            format!("konbini {} s", grouped(sale.hold_seconds.konbini))
        }
        KonbiniTermsBody { share_max, .. } => {
            let share = share_max * 100.0;
            format!("konbini {} s for {share:.0} % of the pieces at most", grouped(sale.hold_seconds.konbini))
        }
    };
    let card = grouped(sale.hold_seconds.card);
    let mode = sale.admission.mode.as_str();
    let _ = write!(text, "  {limit}; held: card {card} s, {konbini}; admission: {mode}");
    match sale.admission.per_second {
        Some(per_second) => {
            let _ = writeln!(text, ", {per_second} a second");
        }
        None => text.push('\n'),
    }
    for waiting in sale.proposals.iter().flatten() {
        let _ = writeln!(text, "  {}", proposal(waiting));
    }
    text
}

pub(super) fn sales(sales: &SalesView) -> String {
    let mut text = String::new();
    for sale in &sales.items {
        let opens_at = in_japan(sale.opens_at);
        let _ = writeln!(text, "{}  {opens_at}  {:<9}  {}", sale.id, status(sale), sale.name);
    }
    if text.is_empty() { "no sales".to_owned() } else { text }
}

pub(super) fn changes(changes: &ChangesView) -> String {
    let mut text = String::new();
    for change in &changes.items {
        let ChangeView { action, sku, actor, proposed_by, reason, before, after, at } = change;
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

/// The changed members of a change, each with its old and new value.
fn differences<'a>(before: &'a Value, after: &'a Value) -> Vec<(&'a str, String)> {
    let (Some(was), Some(is)) = (before.as_object(), after.as_object()) else { return Vec::new() };
    let changed = is.iter().filter(|(member, is)| was.get(*member) != Some(*is));
    let differences = changed.map(|(member, is)| match was.get(member) {
        Some(was) => (&**member, format!("{} → {}", plain(was), plain(is))),
        None => (&**member, plain(is)),
    });
    differences.collect()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn switch(switch: &SwitchView) -> String {
    match switch.stopped {
        true => "all orders of customers are STOPPED".to_owned(),
        false => "orders pass".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_sale_is_printed_in_a_few_lines() {
        let view: SaleView = serde_json::from_value(super::super::live_text::tests::sale()).unwrap();
        assert_eq!(
            sale(&view).split_once('\n').unwrap().1,
            "  2026-11-25 00:00:00 JST to 2026-11-25 01:00:00 JST\n  \
             LAMP: 1,500 pieces at ¥2,200, STOPPED\n  \
             2 for each customer; held: card 600 s, konbini 3,600 s for 30 % of the pieces at most; \
             admission: queue, 50 a second\n"
        );
    }

    #[test]
    fn a_change_is_printed_with_its_differences() {
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
