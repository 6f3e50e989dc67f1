//! The domains, each a supervised actor that owns one PostgreSQL schema.
//!
//! | domain | owns | asks |
//! |---|---|---|
//! | [`users`] | accounts, sessions, tokens, permissions | – |
//! | [`catalog`] | products, variants, prices | – |
//! | [`inventory`] | stock, reservations, allotments, the ledger | – |
//! | [`payments`] | methods, slips, captures, refunds, provider reports | – |
//! | [`waiting_room`] | tickets, the draw, admissions | – |
//! | [`sales`] | flash sales: schedule, limits, stops, second operator | catalog, inventory, waiting_room |
//! | [`orders`] | orders and their status; coordinates the others | catalog, inventory, payments, sales |
//!
//! Every folder has the same shape. `domain.rs` declares what the domain answers and asks, and how it starts and
//! drains; `messages.rs` has the messages; `model.rs` and every file that begins with `//! Rules` decide without waiting
//! for anything; `actor.rs` carries out; `service.rs` is what the actor shares with its running answers; `store.rs` and
//! `book.rs` know the SQL. [`runtime`] has the mechanisms that all of them use.

pub mod catalog;
pub mod inventory;
pub mod orders;
pub mod payments;
pub mod runtime;
pub mod sales;
pub mod users;
pub mod waiting_room;
