//! The scheduler of inventory: lets holds lapse when their time has come, whether or not their SKU's actor is running.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use super::actor::shard_of;
use super::error::InventoryError;
use super::model::Command;
use super::shard::{Instruct, Instructed, ShardActor};
use super::store::InventoryStore;
use crate::actors::runtime::Handle;
use crate::types::{ReservationId, Sku};

/// Holds taken up in one round.
const ROUND: i64 = 1_000;
/// Holds that lapse at the same time.
const AT_ONCE: usize = 256;

/// Never returns; rounds follow each other at once while there is a backlog.
pub async fn expire_when_due(store: InventoryStore, shards: Vec<Handle<ShardActor>>, every: Duration) {
    // SKUs that could not let their holds go are left out of the next round, so that the others have their turn.
    let mut failed: Vec<Sku> = Vec::new();
    loop {
        match store.list_due_holds(ROUND, &failed).await {
            Ok(due) => {
                let is_full = i64::try_from(due.len()).unwrap_or(ROUND) >= ROUND;
                let lapsed;
                (lapsed, failed) = expire(&shards, due).await;
                if is_full && lapsed > 0 {
                    continue;
                }
            }
            Err(error) => tracing::warn!(%error, "holds that are due could not be read"),
        }
        tokio::time::sleep(every).await;
    }
}

/// Answers how many lapsed, and with the SKUs of those that could not; they are due still.
async fn expire(shards: &[Handle<ShardActor>], due: Vec<(ReservationId, Sku)>) -> (usize, Vec<Sku>) {
    let now = Timestamp::now();
    let told = stream::iter(due).map(|(id, sku)| async move {
        let Some(shard) = shards.get(shard_of(&sku, shards.len())) else { return Err(sku) };
        let asked = shard.ask(Instruct { sku: sku.clone(), command: Command::Expire { id, now } }).await;
        asked.map_err(InventoryError::from).flatten().map_err(|error| {
            tracing::warn!(reservation = %id, %sku, %error, "a hold could not lapse yet");
            sku
        })
    });
    let (mut lapsed, mut failed) = (0, BTreeSet::new());
    let mut told = told.buffer_unordered(AT_ONCE);
    while let Some(told) = told.next().await {
        match told {
            Ok(Instructed::Hold { .. }) => lapsed += 1,
            Ok(Instructed::Done) => {}
            Err(sku) => drop(failed.insert(sku)),
        }
    }
    (lapsed, failed.into_iter().collect())
}
