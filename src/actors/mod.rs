//! The domains, each a supervised actor that owns one PostgreSQL schema.
//!
//! | domain | owns | asks |
//! |---|---|---|
//! | [`users`] | accounts, sessions, tokens | nobody |
//! | [`catalog`] | products, variants, prices | nobody |
//! | [`inventory`] | stock, reservations, the ledger | nobody |
//! | [`payments`] | methods, slips, captures, refunds | nobody |
//! | [`orders`] | orders and their lives | catalog, inventory, payments |
//!
//! Every folder has the same shape: `messages` is the contract, `model` the rules, `actor` carries them out, `store`
//! and `book` know the SQL. [`runtime`] is what all of them stand on.

pub mod catalog;
pub mod inventory;
pub mod orders;
pub mod payments;
pub mod runtime;
pub mod sales;
pub mod users;
pub mod waiting_room;
