//! What customers see when a part dies, hangs, overflows or is changed behind the engine's back.
//!
//! Everything goes through the public API of an engine with a real PostgreSQL: in this process where a fault has to be
//! planted, as a process of its own where it has to be killed.

#![expect(clippy::expect_used, reason = "a test's way to say that this must not happen")]

#[path = "../support/mod.rs"]
mod support;

mod buyers;
mod by_hand;
mod crowd;
mod database_away;
mod dry_run_killed;
mod killed;
mod last_pieces;
mod operator;
mod panics;
mod sale_killed;
mod stopped;
mod too_much;
mod waiting_room_killed;
