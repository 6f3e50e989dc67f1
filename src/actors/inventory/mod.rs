//! Inventory owns what is in stock, what is set aside, and the ledger that explains both (schema `inventory`).
//!
//! It promises that no piece is promised twice: one actor per SKU decides in memory, one message at a time, and
//! nobody hears of a decision before the journal has made it durable. A part of a SKU can be set apart for a sale
//! (`allotment.rs`); the same actor decides about it. It asks nobody.
//!
//! ```text
//! InventoryActor  takes reservations apart, line by line, and undoes what it must
//!   └ ShardActor  one per arbiter: starts SKU actors when they are asked for, lets idle ones go
//!       └ SkuActor  one per SKU: decides            → journal lane of the shard → PostgreSQL
//! ```

mod actor;
mod allotment;
mod book;
mod domain;
mod error;
mod expiry;
mod messages;
mod model;
mod shard;
mod sku;
mod store;

pub use actor::shard_of;
pub use allotment::{Allotment, left};
pub use domain::{InventoryDomain, InventoryPorts};
pub use error::InventoryError;
pub use messages::*;
pub use model::{
    Claimed, Figures, HoldRecord, Line, Movement, MovementKind, OpenHolds, Purpose, Reservation,
    ReservationState, SaleClaim, Stock,
};
