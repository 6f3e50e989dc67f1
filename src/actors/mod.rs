//! The domains, each a supervised actor that owns one PostgreSQL schema.

pub mod inventory;
pub mod runtime;
