//! Events: facts that a domain reports to others, each written in the transaction of the change that it reports.
//!
//! ```text
//! OrderEvent::Placed(…)  ──►  NewEvent: id, name, version, payload   a row of orders.events, with the order
//!                                              │
//! other services  ◄──  Kafka  ◄──  relay  ◄──  Envelope (CloudEvents 1.0), read back from the row
//! ```
//!
//! A domain declares one enum with `domain_events!` in its `events.rs`. A variant is one type of event: a name, a
//! version and a payload, described by `schemas/events/<name>.v<version>.json`. The name and version of a payload that
//! is stored never change, nor do its fields lose their names: what reads them may be older or newer than this code.

mod domain_event;
mod envelope;

pub(crate) use domain_event::domain_events;
pub use domain_event::{DomainEvent, EventData, EventError, EventType, NewEvent};
pub use envelope::{Envelope, StoredEvent};
