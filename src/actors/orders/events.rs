//! Facts about orders, as other services read them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::model::{Order, OrderStatus, Transition, TransitionEvent};
use crate::events::{EventData, domain_events};
use crate::types::{Currency, CustomerId, OrderId, Quantity, Sku};

domain_events! {
    /// What becomes of orders. The key is the order's id.
    pub enum OrderEvent from "/orders" {
        /// An order was placed; it awaits payment, or was paid at once.
        Placed(PlacedOrder) = "order.created", version 1;
        /// An order was paid.
        Confirmed(Confirmation) = "order.confirmed", version 1;
        /// An order was cancelled; what was paid goes back.
        Cancelled(StatusChange) = "order.cancelled", version 1;
        /// An order was not paid in time.
        Expired(StatusChange) = "order.expired", version 1;
        /// Money came after the order had ended, and goes back.
        PaymentRefunded(StatusChange) = "order.payment_refunded", version 1;
    }
}

/// A new order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedOrder {
    pub order_id: OrderId,
    /// The number that people read to each other.
    pub number: String,
    pub customer_id: CustomerId,
    pub status: OrderStatus,
    /// Tax included, in minor units of the currency, as are the unit prices.
    pub total: i64,
    pub currency: Currency,
    pub lines: Vec<PlacedLine>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedLine {
    pub sku: Sku,
    pub quantity: Quantity,
    pub unit_price: i64,
}

/// An order that was paid: as it was placed, when it was paid at once, or else its change of status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Confirmation {
    WhenPlaced(PlacedOrder),
    Later(StatusChange),
}

/// The status that an order has now, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusChange {
    pub order_id: OrderId,
    pub status: OrderStatus,
    pub reason: Cow<'static, str>,
}

impl EventData for PlacedOrder {
    fn key(&self) -> String {
        self.order_id.to_string()
    }
}

impl EventData for Confirmation {
    fn key(&self) -> String {
        match self {
            Confirmation::WhenPlaced(order) => order.key(),
            Confirmation::Later(change) => change.key(),
        }
    }
}

impl EventData for StatusChange {
    fn key(&self) -> String {
        self.order_id.to_string()
    }
}

impl OrderEvent {
    /// What is reported when an order is placed: that it was, and its payment if it was paid at once.
    pub fn of_placed(order: &Order) -> (Self, Option<Self>) {
        let placed = PlacedOrder::of(order);
        let confirmed = (order.status == OrderStatus::Confirmed)
            .then(|| OrderEvent::Confirmed(Confirmation::WhenPlaced(placed.clone())));
        (OrderEvent::Placed(placed), confirmed)
    }

    /// What is reported when an order changes.
    pub fn of_transition(transition: &Transition) -> Self {
        let change = StatusChange {
            order_id: transition.order,
            status: transition.to,
            reason: transition.reason.into(),
        };
        match transition.event {
            TransitionEvent::Confirmed => OrderEvent::Confirmed(Confirmation::Later(change)),
            TransitionEvent::Cancelled => OrderEvent::Cancelled(change),
            TransitionEvent::Expired => OrderEvent::Expired(change),
            TransitionEvent::PaymentRefunded => OrderEvent::PaymentRefunded(change),
        }
    }
}

impl PlacedOrder {
    fn of(order: &Order) -> Self {
        let line = |line: &super::model::OrderLine| PlacedLine {
            sku: line.sku.clone(),
            quantity: line.quantity,
            unit_price: line.unit_price.amount(),
        };
        Self {
            order_id: order.id,
            number: order.number().to_string(),
            customer_id: order.customer,
            status: order.status,
            total: order.totals.total.amount(),
            currency: order.totals.total.currency(),
            lines: order.lines.iter().map(line).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::DomainEvent;

    #[test]
    fn rows_of_earlier_versions_of_the_engine_are_read_as_they_were_written() {
        let id = "01234567-89ab-7cde-8f01-23456789abcd";
        let placed = format!(
            r#"{{"order_id":"{id}","number":"04HMAS-W9NF6Y-7G28T5","customer_id":"{id}","status":"confirmed","total":3960,"currency":"JPY","lines":[{{"sku":"LAMP","quantity":2,"unit_price":1980}}]}}"#
        );
        let changed = |status: &str| {
            format!(r#"{{"order_id":"{id}","status":"{status}","reason":"not paid in time"}}"#)
        };
        for (name, payload) in [
            ("order.created", placed.clone()),
            ("order.confirmed", placed),
            ("order.confirmed", changed("confirmed")),
            ("order.cancelled", changed("cancelled")),
            ("order.expired", changed("expired")),
            ("order.payment_refunded", changed("cancelled")),
        ] {
            let event = OrderEvent::read(name, 1, &payload).unwrap();
            assert_eq!(event.event_type().name, name);
            assert_eq!(event.key(), id);
            assert_eq!(event.payload().unwrap(), payload);
        }
    }
}
