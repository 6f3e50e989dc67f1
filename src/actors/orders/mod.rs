//! Orders owns placed orders and their status (schema `orders`), and coordinates the domains that it needs.
//!
//! It promises that an order which a client saw is durable, that one idempotency key makes at most one order, and that
//! everything an order holds is confirmed or released as the order's status says, also after a crash. It asks catalog
//! for prices, sales for a quota, inventory for stock and payments for a payment; no domain asks orders.
//!
//! | file | tells |
//! |---|---|
//! | `checkout.rs` | how an order is placed |
//! | `holds/` | what an order holds: taken, confirmed or released |
//! | `model.rs` | which status follows which, and why |
//! | `settlement.rs` | how the holds follow the order's status |
//! | `reconcile.rs` | what is expired, settled and swept without being asked for |
//! | `sale_skus.rs` | which orders sales must be asked about |

mod actor;
mod book;
mod checkout;
mod domain;
mod error;
mod events;
mod holds;
mod keys;
mod latency;
mod messages;
mod model;
mod reconcile;
mod sale_skus;
mod service;
mod settlement;
mod store;

pub use domain::{OrdersDomain, OrdersNeeds, OrdersPorts};
pub use error::OrdersError;
pub use events::{Confirmation, OrderEvent, PlacedLine, PlacedOrder, StatusChange};
pub use messages::*;
pub use model::{
    HistoryEntry, IdempotencyKey, Order, OrderLine, OrderNumber, OrderStatus, Placing, TaxShare, Totals,
};
