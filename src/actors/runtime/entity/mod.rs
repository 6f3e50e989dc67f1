//! The entity runtime: many small actors by key, each deciding about one row.
//!
//! An actor is loaded from its row when its key is first asked for, decides in memory, commits through the journal
//! lane of its shard, and answers when the decision is durable. Idle ones are evicted; the number in memory is bounded.
//! One that fails (a panic, a commit that was refused or whose outcome is unknown, a row that something else changed)
//! ends, and the next question starts another, which loads the row again. A command whose actor ended, or found its
//! row changed, is repeated to the next one; a commit whose outcome is unknown is reported to the caller.
//!
//! A domain brings a model (the rules), a [`Book`](super::Book) (what the journal writes) and an [`Entity`] (the
//! declaration).
//!
//! ```text
//! Entities       which shard, and the repetition to the next actor
//!   └ EntityShard   one per arbiter: starts actors on demand, evicts idle ones
//!       └ EntityActor   one per key: decides   → journal lane of the shard → PostgreSQL
//! ```

mod actor;
mod definition;
mod entities;
mod error;
mod partition;
mod shard;
#[cfg(test)]
mod tests;

pub use definition::{Decided, Decision, Entity, EntityNames, Recalled};
pub use entities::{Entities, EntityLimits};
pub use error::EntityError;
pub use partition::partition_of;
pub use shard::{EntityLoad, EntityShard, RECALL_WITHIN};

/// The failure of a command to an entity of this kind.
pub type Failure<E> = EntityError<<E as Entity>::Key, <E as Entity>::Refusal>;
