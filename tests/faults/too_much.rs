//! More is asked than the engine takes on: it says so at once, keeps what it promised, and works on afterwards.

use futures_util::future::join_all;
use shobai::config::Config;

use crate::buyers::{PATIENCE, available, buyers, expect_clean_audit, tally};
use crate::support::{TestEngine, eventually, give_orphans_back_soon};

const BUYERS: usize = 500;

#[actix_web::test]
async fn more_questions_than_an_actor_takes_are_turned_away_at_once() {
    a_burst_is_survived("BURST-ASKS", |config| config.actors.asks_max = 4).await;
}

#[actix_web::test]
async fn more_decisions_than_a_journal_takes_are_turned_away_at_once() {
    a_burst_is_survived("BURST-JOURNAL", |config| {
        config.journal.queue_max = 4;
        config.journal.batch_max = 2;
    })
    .await;
}

#[actix_web::test]
async fn both_bounds_together_are_kept() {
    a_burst_is_survived("BURST-BOTH", |config| {
        config.actors.asks_max = 64;
        config.journal.queue_max = 2;
        config.journal.batch_max = 1;
        config.postgres.connections_max = 2;
    })
    .await;
}

async fn a_burst_is_survived(sku: &str, bounds: impl FnOnce(&mut Config)) {
    let engine = TestEngine::start_with(|config| {
        bounds(config);
        give_orphans_back_soon(config);
    })
    .await;
    let sku = engine.sells(sku, 10_000).await;
    let buyers = buyers(&engine, BUYERS).await;

    let mut sold = 0;
    let mut turned_away = 0;
    for _ in 0..3 {
        let burst = join_all(buyers.iter().map(|buyer| buyer.orders(sku.as_str(), 1)));
        let answers = tokio::time::timeout(PATIENCE, burst).await.expect("every answer within the patience");
        let tally = tally(&answers);
        assert_eq!(tally.out_of_stock, 0);
        sold += tally.sold;
        turned_away += tally.turned_away;
    }
    assert!(sold > 0, "no order was accepted");
    assert!(turned_away > 0, "the bound was not reached, so this shows nothing");

    // Nothing of the burst stays in the way.
    for buyer in buyers.iter().take(10) {
        buyer.orders(sku.as_str(), 1).await.expect(201);
        sold += 1;
    }
    let sold = i64::try_from(sold).expect("a count");
    eventually("the stock balances", async || {
        (available(&buyers[0], &sku).await == 10_000 - sold).then_some(())
    })
    .await;
    expect_clean_audit(&engine).await;
    engine.stop().await;
}
