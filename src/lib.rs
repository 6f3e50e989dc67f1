//! Shobai: an actor-system commerce engine. One binary runs a shop's back end and stays correct and fast when a
//! hundred thousand people want the same SKU in the same second.
//!
//! ```text
//!  cli ──► engine    builds everything, once: `engine/domains.rs` is the wiring
//!             │
//!   http ─────┼──► ports of a domain               declared in `actors/<domain>/domain.rs`, one line per message
//!             │         │
//!             │     actors/<domain>/actor.rs       carries out what the rules (`model.rs`) decide
//!             │         │              │
//!             │       store, book    actors/runtime   supervision, bounded questions, the journal, entities
//!             │         │              │
//!             └────► storage ◄─────────┘             PostgreSQL: pool, journal lanes, migrations, embedded cluster
//!
//!   orders ──► sales ──► waiting_room                imports and questions go downhill only;
//!     └──────────┴──► catalog, inventory, payments   upward go events
//!
//!  audit    reads all schemas at one moment and changes nothing: the shop, open sales, settlements
//!  dry_run  plays a planned sale in a shop of its own, through the same domains
//!  events   the envelope of what domains report, and the trait of their event enums
//!  seed     fills a new shop through the same ports
//!  types, error, config, process_figures, rlimit are used everywhere
//! ```
//!
//! Read on in `http/mod.rs` (the route table), [`actors`] (the domains) and one `messages.rs`. `ARCHITECTURE.md` says
//! where each decision is made, what must never be found in the code, and what happens step by step.

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
