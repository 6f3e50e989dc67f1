//! Orders owns what was ordered and what became of it (schema `orders`), and coordinates the domains that it needs.
//!
//! It promises that an order which a client saw is durable, that one idempotency key makes at most one order, and that
//! the stock reservation follows the order's status to its end, also after a crash. It asks catalog for prices,
//! inventory for stock and payments for a payment; nobody asks orders.
//!
//! `checkout.rs` tells how an order is placed, `settlement.rs` how the stock follows, `rounds.rs` what is looked after
//! without anybody asking.

mod actor;
mod book;
mod checkout;
mod domain;
mod error;
mod events;
mod keys;
mod latency;
mod messages;
mod model;
mod rounds;
mod settlement;
mod store;

pub use domain::{OrdersDomain, OrdersNeeds, OrdersPorts};
pub use error::OrdersError;
pub use events::{Confirmation, OrderEvent, PlacedLine, PlacedOrder, StatusChange};
pub use messages::*;
pub use model::{
    HistoryEntry, IdempotencyKey, Order, OrderLine, OrderNumber, OrderStatus, Placing, TaxShare, Totals,
};
