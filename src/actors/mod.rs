//! The domains, each a supervised actor that owns one PostgreSQL schema.

pub mod catalog;
pub mod inventory;
pub mod orders;
pub mod payments;
pub mod runtime;
pub mod users;
