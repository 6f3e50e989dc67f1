//! A counter with a limit as an entity, on rows in memory: what a domain declares, and what the runtime does with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::entities::Shard;
use super::*;
use crate::actors::runtime::{AskLimits, Book, CommitError, Journal, supervise};
use crate::storage::{Connection, StorageError};

const LIMIT: i64 = 10;

#[derive(Debug, Clone, Default, PartialEq)]
struct Row {
    count: i64,
    version: i64,
    uses: HashMap<u64, i64>,
}

#[derive(Clone, Default)]
struct Counters {
    rows: Arc<Mutex<HashMap<String, Row>>>,
    /// The outcome of the next commits is unknown, though they are made.
    loses_answers: Arc<Mutex<u32>>,
}

/// Counts a use, once for each id.
#[derive(Debug, Clone)]
struct Count {
    id: u64,
    by: i64,
}

#[derive(Debug, PartialEq)]
struct LimitReached;

#[derive(Debug)]
struct Entry {
    key: String,
    version: i64,
    change: Count,
}

struct CounterBook;

impl Book for CounterBook {
    type Entry = Entry;
    type Refusal = ();

    async fn write(&self, _: &Connection, batch: &[Entry]) -> Result<Vec<Result<(), ()>>, StorageError> {
        Ok(batch.iter().map(|_| Ok(())).collect())
    }

    fn refusal(&self, _: &Entry, _: &str) {}
}

impl Entity for Counters {
    const NAMES: EntityNames = EntityNames {
        entity: "counter",
        shard: "counter shard",
        journal: "counters",
        active_gauge: "shobai_active_counters",
    };

    type Key = String;
    type Command = Count;
    type Reply = i64;
    type Refusal = LimitReached;
    type State = Row;
    type Snapshot = (i64, i64);
    type Change = Count;
    type RecordId = u64;
    type Record = i64;
    type Book = CounterBook;

    fn partition_key(key: &String) -> impl AsRef<[u8]> {
        key
    }

    fn decide(
        row: &Row,
        command: &Count,
        recalled: Recalled<i64>,
    ) -> Result<Decision<Count, i64, u64>, LimitReached> {
        match (row.uses.get(&command.id), recalled) {
            (Some(_), _) | (None, Recalled::Found(_)) => Ok(Decision::Unchanged(row.count)),
            (None, Recalled::NotAsked) => Ok(Decision::Recall(command.id)),
            (None, Recalled::Absent) if row.count + command.by > LIMIT => Err(LimitReached),
            (None, Recalled::Absent) => Ok(Decision::Change(command.clone(), row.count + command.by)),
        }
    }

    fn apply(row: &mut Row, change: &Count, _: Instant) {
        row.count += change.by;
        row.version += 1;
        row.uses.insert(change.id, change.by);
    }

    fn snapshot(row: &Row) -> (i64, i64) {
        (row.count, row.version)
    }

    fn version((_, version): &(i64, i64)) -> i64 {
        *version
    }

    fn entry(key: String, version: i64, change: Count) -> Entry {
        Entry { key, version, change }
    }

    fn is_stale((): &()) -> bool {
        true
    }

    async fn load(&self, key: &String) -> Result<Option<Row>, StorageError> {
        let rows = self.rows.lock().unwrap();
        Ok(rows.get(key).map(|row| Row { uses: HashMap::new(), ..*row }))
    }

    async fn find_record(&self, key: &String, id: u64) -> Result<Option<i64>, StorageError> {
        Ok(self.rows.lock().unwrap().get(key).and_then(|row| row.uses.get(&id).copied()))
    }

    async fn list_versions(&self, keys: &[String]) -> Result<Vec<(String, i64)>, StorageError> {
        let rows = self.rows.lock().unwrap();
        Ok(keys.iter().filter_map(|key| Some((key.clone(), rows.get(key)?.version))).collect())
    }
}

impl Counters {
    fn with(key: &str) -> Self {
        let counters = Self::default();
        counters.insert(key);
        counters
    }

    fn insert(&self, key: &str) {
        self.rows.lock().unwrap().insert(key.to_owned(), Row::default());
    }

    fn commit(&self, Entry { key, version, change }: &Entry) -> Result<(), CommitError<()>> {
        match self.rows.lock().unwrap().get_mut(key) {
            Some(row) if row.version == *version => Self::apply(row, change, Instant::now()),
            _ => return Err(CommitError::Refused(())),
        }
        let mut losses = self.loses_answers.lock().unwrap();
        if *losses > 0 {
            *losses -= 1;
            return Err(CommitError::Unknown);
        }
        Ok(())
    }

    fn start(&self, active_max: usize) -> Entities<Self> {
        let counters = self.clone();
        let journal = Journal::committed_by(move |entry| counters.commit(entry));
        let (entity, lane) = (self.clone(), journal.clone());
        let build =
            move || EntityShard::new(0, entity.clone(), lane.clone(), active_max, Duration::from_secs(60));
        let asks = AskLimits { asks_max: 100, answer_within: Duration::from_secs(5) };
        let handle = supervise(Self::NAMES.shard, &actix_rt::Arbiter::current(), asks, build);
        Entities { shards: [Shard { handle, journal }].into() }
    }
}

fn key(name: &str) -> String {
    name.to_owned()
}

#[actix::test]
async fn a_counter_counts_to_its_limit_and_no_further() {
    let counters = Counters::with("A");
    let entities = counters.start(10);
    assert_eq!(entities.execute(&key("A"), Count { id: 1, by: 4 }).await.unwrap(), 4);
    assert_eq!(entities.execute(&key("A"), Count { id: 2, by: 6 }).await.unwrap(), 10);
    let refused = entities.execute(&key("A"), Count { id: 3, by: 1 }).await;
    assert!(matches!(refused, Err(EntityError::Refused(LimitReached))), "{refused:?}");
    assert_eq!(entities.read(&key("A")).await.unwrap(), (10, 2));
    assert_eq!(counters.rows.lock().unwrap()["A"].count, 10);
    let absent = entities.execute(&key("B"), Count { id: 1, by: 1 }).await;
    assert!(matches!(absent, Err(EntityError::Absent(_))), "{absent:?}");
}

#[actix::test]
async fn many_commands_at_once_never_pass_the_limit() {
    let counters = Counters::with("A");
    let entities = counters.start(10);
    let key = key("A");
    let asked = (0..50).map(|id| entities.execute(&key, Count { id, by: 1 }));
    let replies = futures_util::future::join_all(asked).await;
    assert_eq!(replies.iter().filter(|reply| reply.is_ok()).count(), 10);
    assert_eq!(counters.rows.lock().unwrap()["A"].count, LIMIT);
}

#[actix::test]
async fn a_use_that_the_actor_does_not_remember_is_recalled() {
    let counters = Counters::with("A");
    assert_eq!(counters.start(10).execute(&key("A"), Count { id: 1, by: 4 }).await.unwrap(), 4);
    let successor = counters.start(10);
    assert_eq!(successor.execute(&key("A"), Count { id: 1, by: 4 }).await.unwrap(), 4);
    assert_eq!(counters.rows.lock().unwrap()["A"].version, 1);
}

#[actix::test]
async fn a_row_that_was_changed_from_elsewhere_is_loaded_again() {
    let counters = Counters::with("A");
    let entities = counters.start(10);
    assert_eq!(entities.read(&key("A")).await.unwrap(), (0, 0));
    *counters.rows.lock().unwrap().get_mut("A").unwrap() = Row { count: 7, version: 3, ..Row::default() };
    assert_eq!(entities.execute(&key("A"), Count { id: 1, by: 2 }).await.unwrap(), 9);
    assert_eq!(entities.read(&key("A")).await.unwrap(), (9, 4));
    assert_eq!(entities.loads(&[key("A")]).await.unwrap()[0].restarts, 1);
}

#[actix::test]
async fn a_commit_of_unknown_outcome_is_found_by_the_next_actor() {
    let counters = Counters::with("A");
    let entities = counters.start(10);
    *counters.loses_answers.lock().unwrap() = 1;
    let unknown = entities.execute(&key("A"), Count { id: 1, by: 4 }).await;
    assert!(matches!(unknown, Err(EntityError::Storage(StorageError::Unknown(_)))), "{unknown:?}");
    assert_eq!(entities.execute(&key("A"), Count { id: 1, by: 4 }).await.unwrap(), 4);
    assert_eq!(counters.rows.lock().unwrap()["A"].version, 1);
}

#[cfg(feature = "failpoints")]
#[actix::test]
async fn a_command_is_repeated_to_the_next_actor_after_a_panic() {
    let counters = Counters::with("PANICS");
    let entities = counters.start(10);
    crate::actors::runtime::failpoint::arm("counter PANICS");
    assert_eq!(entities.execute(&key("PANICS"), Count { id: 1, by: 4 }).await.unwrap(), 4);
    assert!(!crate::actors::runtime::failpoint::is_armed("counter PANICS"));
    let load = entities.loads(&[key("PANICS"), key("OTHER")]).await.unwrap();
    let ready = EntityLoad { is_ready: true, waiting: 0, restarts: 1 };
    assert_eq!(load, [ready, EntityLoad::default()]);
}

#[actix::test]
async fn the_number_of_entities_in_memory_is_bounded() {
    let counters = Counters::with("A");
    counters.insert("B");
    let entities = counters.start(1);
    assert_eq!(entities.execute(&key("A"), Count { id: 1, by: 1 }).await.unwrap(), 1);
    let busy = entities.execute(&key("B"), Count { id: 1, by: 1 }).await;
    assert!(matches!(busy, Err(EntityError::Busy)), "{busy:?}");
}

#[actix::test]
async fn a_row_that_was_just_made_is_found_by_the_next_actor() {
    let counters = Counters::default();
    let entities = counters.start(10);
    let absent = entities.read(&key("A")).await;
    assert!(matches!(absent, Err(EntityError::Absent(_))), "{absent:?}");
    counters.insert("A");
    assert_eq!(entities.read_new(&key("A")).await.unwrap(), (0, 0));
}
