//! The buttons of a sale and of its SKUs: what can be done now, and where each asks for a confirmation.

use jiff::Timestamp;

use super::ROOT;
use super::translations::OpsTexts;
use crate::actors::sales::{Action, Sale, SaleItem, SaleStatus, UnwrittenStops};
use crate::http::pages::kit::fill;

/// The change of a SKU's allotment, beside the actions of a sale.
pub const ALLOT: &str = "allot";

pub struct Control {
    /// So that htmx keeps the focus on it when the page around it is replaced.
    pub id: String,
    pub href: String,
    pub label: String,
    /// The label for screen readers, which names the SKU too.
    pub name: String,
    pub tone: &'static str,
}

/// The style of a button, by how grave its action is.
pub fn tone(action: &str) -> &'static str {
    match action {
        "kill" | "cancel" | "close" | "withdraw" => "danger",
        "schedule" | "resume" | "arm" | "settle" => "primary",
        _ => "plain",
    }
}

/// The actions that a sale's status allows; its schedule alone opens it.
pub fn of_sale(texts: &OpsTexts, sale: &Sale, unwritten: &UnwrittenStops) -> Vec<Control> {
    let is_allowed = |action: &Action| {
        (*action != Action::Open && matches!(sale.after(*action, Timestamp::MAX), Ok(Some(_))))
            || (*action == Action::Resume && unwritten.is_of_sale)
    };
    let control = |action: Action| {
        let label = texts.action(action.as_str());
        let mut href = format!("{ROOT}/sales/{}/confirm?action={}", sale.id, action.as_str());
        if let (Action::Resume, Some(halt)) = (action, sale.halt()) {
            href += &format!("&ends={}", halt.as_str());
        }
        Control {
            id: format!("control-{}", action.as_str()),
            href,
            name: label.clone(),
            label,
            tone: tone(action.as_str()),
        }
    };
    Action::ALL.iter().copied().filter(is_allowed).map(control).collect()
}

/// What can be done to one SKU of a sale: change its allotment, stop it, resume it.
pub fn of_sku(texts: &OpsTexts, sale: &Sale, item: &SaleItem, unwritten: &UnwrittenStops) -> Vec<Control> {
    let sku = item.sku.as_str();
    let control = |id: &str, action: &str, label: &str, name: &str| Control {
        id: format!("{id}-{sku}"),
        href: format!("{ROOT}/sales/{}/confirm?action={action}&sku={sku}", sale.id),
        label: label.to_owned(),
        name: fill(name, &[sku]),
        tone: tone(action),
    };
    let mut controls = Vec::new();
    if matches!(sale.status, SaleStatus::Armed | SaleStatus::Open | SaleStatus::Paused) {
        controls.push(control("control-allot", ALLOT, texts.change_allotment, texts.change_allotment_of));
    }
    let is_stopped = sale.stopped_skus.contains(&item.sku);
    if !sale.status.is_over() && !is_stopped {
        controls.push(control("control-switch", "kill", texts.stop_sku, texts.stop_sku_of));
    }
    if !sale.status.is_over() && is_stopped {
        // In the place of the button that stopped it, and with its id.
        controls.push(control("control-switch", "resume", texts.resume_sku, texts.resume_sku_of));
    } else if unwritten.skus.contains(&item.sku) {
        controls.push(control("control-resume", "resume", texts.resume_sku, texts.resume_sku_of));
    }
    controls
}
