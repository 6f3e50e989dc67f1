//! The scheduler of inventory: lets holds lapse when their time has come, whether or not their SKU's actor is running.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use super::actor::shard_of;
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
    loop {
        match store.list_due_holds(ROUND).await {
            Ok(due) => {
                let full_round = i64::try_from(due.len()).unwrap_or(ROUND) >= ROUND;
                let lapsed = expire(&shards, due).await;
                if full_round && lapsed > 0 {
                    continue;
                }
            }
            Err(error) => tracing::warn!(%error, "holds that are due could not be read"),
        }
        tokio::time::sleep(every).await;
    }
}

/// Answers how many could be told; those that could not are due again in the next round.
async fn expire(shards: &[Handle<ShardActor>], due: Vec<(ReservationId, Sku)>) -> usize {
    let now = Timestamp::now();
    stream::iter(due)
        .map(|(id, sku)| async move {
            let Some(shard) = shards.get(shard_of(&sku, shards.len())) else { return 0 };
            match shard.ask(Instruct { sku: sku.clone(), command: Command::Expire { id, now } }).await {
                Ok(Ok(Instructed::Hold { .. })) => 1,
                Ok(Ok(Instructed::Done)) => 0,
                Ok(Err(error)) => {
                    tracing::warn!(reservation = %id, %sku, %error, "a hold could not lapse yet");
                    0
                }
                Err(error) => {
                    tracing::warn!(reservation = %id, %sku, %error, "a hold could not lapse yet");
                    0
                }
            }
        })
        .buffer_unordered(AT_ONCE)
        .fold(0, |sum, one| async move { sum + one })
        .await
}
