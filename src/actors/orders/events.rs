//! Facts about orders, as others will read them: a name, a version, a payload.

use serde::Serialize;

use super::model::{Order, Transition};

pub const VERSION: i16 = 1;
pub const CREATED: &str = "order.created";
pub const CONFIRMED: &str = "order.confirmed";
pub const CANCELLED: &str = "order.cancelled";
pub const EXPIRED: &str = "order.expired";
pub const PAYMENT_REFUNDED: &str = "order.payment_refunded";

#[derive(Serialize)]
struct Placed<'a> {
    order_id: String,
    number: String,
    customer_id: String,
    status: &'static str,
    total: i64,
    currency: &'static str,
    lines: Vec<PlacedLine<'a>>,
}

#[derive(Serialize)]
struct PlacedLine<'a> {
    sku: &'a str,
    quantity: i64,
    unit_price: i64,
}

#[derive(Serialize)]
struct Moved {
    order_id: String,
    status: &'static str,
    reason: &'static str,
}

/// The payload of `order.created`, and of `order.confirmed` when an order was paid as it was placed.
pub fn placed(order: &Order) -> String {
    let lines = order
        .lines
        .iter()
        .map(|line| PlacedLine {
            sku: line.sku.as_str(),
            quantity: line.quantity.get(),
            unit_price: line.unit_price.amount(),
        })
        .collect();
    json(&Placed {
        order_id: order.id.to_string(),
        number: order.number().to_string(),
        customer_id: order.customer.to_string(),
        status: order.status.as_str(),
        total: order.totals.total.amount(),
        currency: "JPY",
        lines,
    })
}

/// The payload of every later event.
pub fn moved(transition: &Transition) -> String {
    json(&Moved {
        order_id: transition.order.to_string(),
        status: transition.to.as_str(),
        reason: transition.reason,
    })
}

fn json(payload: &impl Serialize) -> String {
    // Structs of strings and numbers cannot fail to serialise.
    serde_json::to_string(payload).unwrap_or_default()
}
