//! Shobai: an actor-system commerce engine. One binary runs a shop's back end and stays correct and fast when a
//! hundred thousand people want the same SKU in the same second.
//!
//! ```text
//!  cli ──► engine  builds everything, once
//!             │
//!   http ─────┼──► actors::<domain>::messages        the gateway only sends messages, through ports
//!             │         │
//!             │     actors::<domain>::actor          carries out what `model` decides
//!             │         │              │
//!             │       store, book    runtime         supervision, bounded questions, the journal
//!             │         │              │
//!             └────► storage ◄─────────┘             PostgreSQL: pool, journal lanes, migrations, embedded cluster
//!
//!  audit reads all schemas at one moment and changes nothing: whole shops, open sales, settlements
//!  dry_run plays a planned sale in a shop of its own, through the same domains
//!  events: the facts that domains report, their envelope and their types
//!  seed fills a new shop through the same ports; types, error, config, process_figures, rlimit are
//!  known to all
//! ```
//!
//! Read on in `http/mod.rs` (the route table), [`actors`] (the domains) and one `messages.rs`. `ARCHITECTURE.md` has
//! the invariants and two walkthroughs.

pub mod actors;
pub mod audit;
pub mod cli;
pub mod config;
pub mod dry_run;
pub mod engine;
pub mod error;
pub mod events;
pub mod http;
pub mod process_figures;
pub mod rlimit;
pub mod seed;
pub mod storage;
pub mod types;
