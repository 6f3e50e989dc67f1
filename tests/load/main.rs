//! `shobai load` as a user runs it: the real binary, against the real engine and against shops that do what no shop
//! should.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test's way to say that this must not happen")]

mod engine;
mod harness;
mod others;
mod sale;
mod stub;
#[path = "../support/mod.rs"]
mod support;
mod truth;
