//! The history of a sale as operators read it: who did what, when, why, and what it changed.

use std::borrow::Cow;
use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::Value;

use super::translations::OpsTexts;
use crate::actors::sales::{ChangeRecord, SaleStatus};
use crate::actors::users::GetUser;
use crate::http::gateway::Gateway;
use crate::http::pages::kit::{fill, jst};
use crate::types::CustomerId;

/// The latest changes that are shown.
const SHOWN_MAX: usize = 100;
/// The operators whose names are looked up; there are fewer of them.
const NAMES_MAX: usize = 20;
/// The changed values of one change that are shown: a plan may have a thousand rows.
const LINES_MAX: usize = 12;
const CHARACTERS_MAX: usize = 60;

pub struct ChangeView {
    pub when: String,
    pub who: String,
    pub what: String,
    pub why: String,
    pub lines: Vec<LineView>,
    pub is_cut: bool,
}

/// A value that a change changed.
pub struct LineView {
    pub field: String,
    pub before: String,
    pub after: String,
}

/// The changes, the latest first.
pub async fn views(gateway: &Gateway, texts: &OpsTexts, changes: &[ChangeRecord]) -> Vec<ChangeView> {
    let people =
        changes.iter().rev().take(SHOWN_MAX).flat_map(|change| [change.by.operator(), change.proposed_by]);
    let names = names(gateway, people.flatten()).await;
    let name = |id: CustomerId| names.get(&id).cloned().unwrap_or_else(|| id.to_string());
    let who = |change: &ChangeRecord| match (change.by.operator().map(name), change.proposed_by.map(name)) {
        (None, _) => texts.the_schedule.to_owned(),
        (Some(actor), None) => actor,
        (Some(actor), Some(proposer)) => fill(texts.proposed_by, &[&actor, &proposer]),
    };
    changes.iter().rev().take(SHOWN_MAX).map(|change| view(texts, change, who(change))).collect()
}

/// The names of operators; an operator beyond the limit is not looked up.
pub async fn names(
    gateway: &Gateway,
    people: impl Iterator<Item = CustomerId>,
) -> HashMap<CustomerId, String> {
    let mut names: HashMap<CustomerId, String> = HashMap::new();
    for id in people {
        if names.len() < NAMES_MAX && !names.contains_key(&id) {
            let user = gateway.ports.users.get_user.ask(GetUser { id }).await;
            names.insert(id, user.map_or_else(|_| id.to_string(), |user| user.email.as_str().to_owned()));
        }
    }
    names
}

fn view(texts: &OpsTexts, change: &ChangeRecord, who: String) -> ChangeView {
    let action = texts.action(&change.action);
    let what = match &change.sku {
        Some(sku) => format!("{action} {sku}"),
        None => action,
    };
    let mut lines = differences(texts, &change.before, &change.after);
    let is_cut = lines.len() > LINES_MAX;
    lines.truncate(LINES_MAX);
    ChangeView { when: jst::with_seconds(change.at), who, what, why: change.reason.clone(), lines, is_cut }
}

fn differences(texts: &OpsTexts, before: &Value, after: &Value) -> Vec<LineView> {
    let (mut was, mut is) = (Vec::new(), Vec::new());
    flatten("", before, &mut was);
    flatten("", after, &mut is);
    let value = |place: &str, of: &[(String, Value)]| {
        let found = of.iter().find(|(other, _)| other == place);
        found.map_or_else(|| "–".to_owned(), |(_, value)| text(texts, place, value))
    };
    let gone = was.iter().filter(|(place, _)| !is.iter().any(|(other, _)| other == place));
    is.iter()
        .chain(gone)
        .map(|(place, _)| LineView {
            field: texts.field(place.strip_prefix("terms.").unwrap_or(place)),
            before: value(place, &was),
            after: value(place, &is),
        })
        .filter(|line| line.before != line.after)
        .collect()
}

/// Every value with its place, for example `items[2].allotment`.
fn flatten(place: &str, value: &Value, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                flatten(&place, value, found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                flatten(&format!("{place}[{index}]"), value, found);
            }
        }
        value => found.push((place.to_owned(), value.clone())),
    }
}

fn text(texts: &OpsTexts, place: &str, value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::Bool(is) => (if *is { texts.is_so } else { texts.is_not_so }).to_owned(),
        Value::String(text) if place == "status" => text
            .parse::<SaleStatus>()
            .map_or_else(|_| text.clone(), |it| texts.status(it.as_str()).to_owned()),
        Value::String(text) if place == "proposed" => texts.action(text),
        Value::String(text) if place.ends_with("admission.mode") => texts.admission(text).to_owned(),
        Value::String(text) if place.ends_with("_at") => {
            text.parse::<Timestamp>().map_or_else(|_| text.clone(), jst::shown)
        }
        Value::String(text) => cut(text, CHARACTERS_MAX).into_owned(),
        other => other.to_string(),
    }
}

/// A text cut to so many characters.
fn cut(text: &str, characters_max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(characters_max) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::pages::kit::{Catalogue as _, Language};

    #[test]
    fn only_the_values_that_a_change_changed_are_shown() {
        let texts = OpsTexts::of(Language::English);
        let before = json!({"status": "open", "stopped": false, "terms": {"limit_per_customer": null}});
        let after = json!({"status": "paused", "stopped": false, "terms": {"limit_per_customer": 2},
                           "items": [{"allotment": 5}], "opens_at": "2026-11-24T15:00:00Z"});
        let mut told: Vec<_> = differences(texts, &before, &after)
            .into_iter()
            .map(|line| format!("{}: {} → {}", line.field, line.before, line.after))
            .collect();
        told.sort();
        assert_eq!(
            told,
            [
                "Opens at: – → 2026-11-25 00:00",
                "Pieces for each customer: – → 2",
                "Status: Open → Paused",
                "row 1, Allotment: – → 5",
            ]
        );
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("福袋の日", 2), "福袋…");
        assert_eq!(cut("福袋", 2), "福袋");
    }
}
