//! Inventory owns the stock of each SKU, what is reserved of it, and the ledger that explains both (schema
//! `inventory`).
//!
//! It promises that no piece is promised twice: one entity per SKU decides in memory, one command at a time, and a
//! decision is shown only after the journal has made it durable. Pieces of a SKU can be set apart for a sale (an
//! allotment); the same entity decides about them. Inventory asks no other domain.
//!
//! ```text
//! InventoryActor    answers the messages; splits a reservation into lines, and undoes those before a refusal
//!   └ Entities<SkuEntity>   the entity runtime: an actor per SKU   → journal lane of its shard → PostgreSQL
//! ```

mod actor;
mod book;
mod domain;
mod error;
mod expiry;
mod hold_ages;
mod messages;
mod model;
mod reservations;
mod service;
mod sku;
mod store;

pub use domain::{InventoryDomain, InventoryPorts};
pub use error::InventoryError;
pub use messages::*;
pub use model::{
    Allotment, Claimed, Figures, HoldAges, HoldRecord, Line, Movement, MovementKind, OpenHolds, Purpose,
    Reservation, ReservationState, SaleClaim, Stock,
};
