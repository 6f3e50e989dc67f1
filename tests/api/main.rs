//! The promises of the REST API, asked through it: an engine and a database of its own for each test.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test's way to say that this must not happen")]

#[path = "../support/mod.rs"]
mod support;

mod audit;
mod docs;
mod dry_run;
mod events;
mod http;
mod inventory;
mod metrics;
mod ops;
mod orders;
mod payments;
mod products;
mod queue;
mod reservations;
mod routes;
mod sale_audit;
mod sale_changes;
mod sale_report;
mod sale_rules;
mod sale_under_load;
mod sales;
mod second_operator;
mod sole;
mod streams;
mod users;
mod vitals;
mod why;
