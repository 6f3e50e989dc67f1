//! What a domain declares about one kind of entity: its types, its rules, and how its rows are read and written.

use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::time::Instant;

use crate::actors::runtime::journal::Book;
use crate::storage::StorageError;

/// The names under which one kind of entity appears in metrics, logs and failpoints.
#[derive(Debug, Clone, Copy)]
pub struct EntityNames {
    /// One entity, for example `sku`.
    pub entity: &'static str,
    /// The actor that owns a shard of them.
    pub shard: &'static str,
    /// The journal that their decisions go through.
    pub journal: &'static str,
    /// The gauge of the entities that a shard has in memory.
    pub active_gauge: &'static str,
}

/// One kind of thing that has an actor for each key, such as a SKU.
///
/// The implementing value is what loads rows (a store); it is cheap to clone. The rules are functions of the state
/// alone. A command may be repeated, so that it carries an id or a version by which the rules know it again.
pub trait Entity: Clone + Send + Sync + Unpin + 'static {
    const NAMES: EntityNames;

    type Key: Clone + Eq + Hash + fmt::Display + Send + Sync + Unpin + 'static;
    type Command: Clone + Send + 'static;
    type Reply: Send + 'static;
    /// Why the rules refuse a command.
    type Refusal: Send + 'static;
    /// The entity in memory, including decisions that are on their way to the database.
    type State: Unpin + 'static;
    /// What others may see of a state once it is durable; contains its version.
    type Snapshot: Copy + Send + 'static;
    /// What a decision changes.
    type Change: 'static;
    /// Identifies a record that belongs to the entity but is not loaded with it.
    type RecordId: Send + 'static;
    type Record: Send + 'static;
    type Book: Book;

    /// The bytes that decide about the shard, the same as the key of the entity's Kafka messages.
    fn partition_key(key: &Self::Key) -> impl AsRef<[u8]>;

    /// Decides without changing anything.
    fn decide(
        state: &Self::State,
        command: &Self::Command,
        recalled: Recalled<Self::Record>,
    ) -> Decided<Self>;

    /// Applies a decided change in memory; the version becomes the next one.
    ///
    /// A record that the change touched must be remembered for longer than [`RECALL_WITHIN`](super::RECALL_WITHIN).
    fn apply(state: &mut Self::State, change: &Self::Change, now: Instant);

    fn snapshot(state: &Self::State) -> Self::Snapshot;

    /// The number of changes that led to the snapshot; the row has the same.
    fn version(snapshot: &Self::Snapshot) -> i64;

    /// The entry of the journal for a change that was decided upon at this version.
    fn entry(key: Self::Key, version: i64, change: Self::Change) -> <Self::Book as Book>::Entry;

    /// Whether the journal kept an entry out because the row is at another version.
    fn is_stale(refusal: &<Self::Book as Book>::Refusal) -> bool;

    /// Marks a command that is repeated to the next actor: the one before may have committed it.
    fn mark_repeated(command: &mut Self::Command) {
        let _ = command;
    }

    /// Sets the gauges of one entity; called for the most used ones of each shard.
    fn set_gauges(key: &Self::Key, snapshot: &Self::Snapshot) {
        let _ = (key, snapshot);
    }

    /// Loads the row of a key. `None`: there is no such row.
    fn load(&self, key: &Self::Key) -> impl Future<Output = Result<Option<Self::State>, StorageError>>;

    /// Looks up a record that the actor does not remember.
    fn find_record(
        &self,
        key: &Self::Key,
        id: Self::RecordId,
    ) -> impl Future<Output = Result<Option<Self::Record>, StorageError>>;

    /// The present versions of rows, to find those that something else changed; keys without a row are left out.
    fn list_versions(
        &self,
        keys: &[Self::Key],
    ) -> impl Future<Output = Result<Vec<(Self::Key, i64)>, StorageError>>;
}

/// What the rules make of a command.
#[derive(Debug)]
pub enum Decision<Change, Reply, RecordId> {
    /// The change is committed, then the reply is given.
    Change(Change, Reply),
    /// No change; the reply is given once every earlier decision is durable.
    Unchanged(Reply),
    /// The record is not remembered: it is looked up in the database, then the command is decided again.
    Recall(RecordId),
}

/// A decision of an entity of this kind, or the refusal of its rules.
pub type Decided<E> = Result<
    Decision<<E as Entity>::Change, <E as Entity>::Reply, <E as Entity>::RecordId>,
    <E as Entity>::Refusal,
>;

/// What was found in the database about a record that the actor does not remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recalled<Record> {
    NotAsked,
    Absent,
    Found(Record),
}
