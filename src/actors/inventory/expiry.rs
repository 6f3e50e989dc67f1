//! Expires holds when their time has come, whether or not their SKU is in memory.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use super::error::InventoryError;
use super::model::{Command, Reply};
use super::service::InventoryService;
use crate::types::{ReservationId, Sku};

/// Holds read in one pass.
const PASS: i64 = 1_000;
/// Holds that expire at the same time.
const AT_ONCE: usize = 256;

/// Never returns; passes follow each other without a pause while there is a backlog.
pub async fn expire_when_due(inventory: InventoryService, every: Duration) {
    // SKUs whose holds could not expire are left out of the next pass, so that the others have their turn.
    let mut failed: Vec<Sku> = Vec::new();
    loop {
        match inventory.store.list_due_holds(PASS, &failed).await {
            Ok(due) => {
                let is_full = i64::try_from(due.len()).unwrap_or(PASS) >= PASS;
                let expired;
                (expired, failed) = expire(&inventory, due).await;
                if is_full && expired > 0 {
                    continue;
                }
            }
            Err(error) => tracing::warn!(%error, "holds that are due could not be read"),
        }
        tokio::time::sleep(every).await;
    }
}

/// How many holds expired, and the SKUs of those that could not; they stay due.
async fn expire(inventory: &InventoryService, due: Vec<(ReservationId, Sku)>) -> (usize, Vec<Sku>) {
    let now = Timestamp::now();
    let replies = stream::iter(due).map(|(id, sku)| async move {
        let reply = inventory.skus.execute_once(&sku, Command::Expire { id, now }).await;
        reply.map_err(InventoryError::from).map_err(|error| {
            tracing::warn!(reservation = %id, %sku, %error, "a hold could not expire yet");
            sku
        })
    });
    let (mut expired, mut failed) = (0, BTreeSet::new());
    let mut replies = replies.buffer_unordered(AT_ONCE);
    while let Some(reply) = replies.next().await {
        match reply {
            Ok(Reply::Hold { .. }) => expired += 1,
            Ok(Reply::Done) => {}
            Err(sku) => drop(failed.insert(sku)),
        }
    }
    (expired, failed.into_iter().collect())
}
