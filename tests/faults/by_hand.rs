//! Stock is changed with SQL in the database while an actor has the row in memory.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use futures_util::future::join_all;

use crate::buyers::{available, buyers, expect_clean_audit, order_until};
use crate::support::{TestEngine, eventually, give_orphans_back_soon};

#[actix_web::test]
async fn pieces_removed_in_sql_are_not_sold() {
    let engine = TestEngine::start().await;
    let (buyer, staff) = (engine.customer().await, engine.staff().await);
    let sku = engine.sells("HAND-TAKES", 10).await;
    buyer.orders(sku.as_str(), 1).await.expect(201);

    for statement in [
        "update inventory.stock set on_hand = on_hand - 2 where sku = 'HAND-TAKES'",
        "update inventory.stock set on_hand = on_hand - 2, version = version + 1 where sku = 'HAND-TAKES'",
    ] {
        engine.by_hand(statement).await;
        buyer.orders(sku.as_str(), 1).await.expect(201);
    }

    // 10 received, 4 removed in SQL, 3 ordered.
    buyer.orders(sku.as_str(), 4).await.expect_problem(409, "out-of-stock");
    assert_eq!(available(&buyer, &sku).await, 3);
    let stock = staff.get("/v1/admin/inventory/HAND-TAKES").await.expect(200).body;
    assert_eq!((stock["on_hand"].as_i64(), stock["reserved"].as_i64()), (Some(6), Some(3)));
    // The ledger has the two movements made in SQL beside those of the engine.
    let movements = staff.get("/v1/admin/inventory/HAND-TAKES/movements").await.expect(200).body;
    let by_hand = movements["items"].as_array().expect("movements").iter();
    let by_hand =
        by_hand.filter(|movement| movement["kind"] == "adjusted" && movement["on_hand_delta"] == -2);
    assert_eq!(by_hand.count(), 2);
    expect_clean_audit(&engine).await;
    engine.stop().await;
}

#[actix_web::test]
async fn pieces_added_in_sql_are_sold_after_the_actor_was_sold_out() {
    let engine = TestEngine::start().await;
    let buyer = engine.customer().await;
    let sku = engine.sells("HAND-FINDS", 1).await;
    buyer.orders(sku.as_str(), 1).await.expect(201);
    buyer.orders(sku.as_str(), 1).await.expect_problem(409, "out-of-stock");

    engine.by_hand("update inventory.stock set on_hand = on_hand + 1 where sku = 'HAND-FINDS'").await;

    eventually("the piece is sold", async || {
        (buyer.orders(sku.as_str(), 1).await.status == 201).then_some(())
    })
    .await;
    expect_clean_audit(&engine).await;
    engine.stop().await;
}

#[actix_web::test]
async fn changes_in_sql_among_many_buyers_lose_no_piece() {
    const PIECES: i64 = 100_000;
    const ROUNDS: i64 = 20;
    let engine = TestEngine::start_with(give_orphans_back_soon).await;
    let sku = engine.sells("HAND-BESIDE", PIECES).await;
    let buyers = buyers(&engine, 32).await;
    let (placed, enough) = (AtomicI64::new(0), AtomicBool::new(false));

    let hand = async {
        for round in 0..ROUNDS {
            let change = match round % 4 {
                0 => "on_hand = on_hand - 5",
                1 => "on_hand = on_hand - 5, version = version + 1",
                // Only reservations reserve, so that the pieces reserved in SQL are released again.
                2 => "on_hand = on_hand - 5, reserved = reserved + 3",
                _ => "on_hand = on_hand - 5, reserved = reserved - 3",
            };
            let before = placed.load(Ordering::Relaxed);
            engine.by_hand(&format!("update inventory.stock set {change} where sku = 'HAND-BESIDE'")).await;
            eventually("orders go on beside the hand", async || {
                (placed.load(Ordering::Relaxed) >= before + 20).then_some(())
            })
            .await;
        }
        enough.store(true, Ordering::Relaxed);
    };
    let ordering = join_all(buyers.iter().map(|buyer| order_until(buyer, &sku, &placed, &enough)));
    let (turned_away, ()) = tokio::join!(ordering, hand);

    let (placed, turned_away) = (placed.into_inner(), turned_away.into_iter().sum::<i64>());
    assert!(turned_away < placed / 10, "{turned_away} were told to come again, beside {placed} orders");
    eventually("the figures are what the hand and the orders made", async || {
        (available(&buyers[0], &sku).await == PIECES - 5 * ROUNDS - placed).then_some(())
    })
    .await;
    expect_clean_audit(&engine).await;
    engine.stop().await;
}
