//! An actor or a journal panics with a customer's order in hand: that order is answered clearly, the next one works.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use futures_util::future::join_all;
use shobai::actors::runtime::failpoint;

use crate::buyers::{available, buyers, expect_clean_audit, expect_try_again, id_of, insist, order_until};
use crate::operator::{LIMIT, Operator, PIECES};
use crate::support::client::{card_order, konbini_order};
use crate::support::{Client, TestEngine, eventually, give_orphans_back_soon};

#[actix_web::test]
async fn a_panic_in_the_actor_of_the_sku_costs_no_order() {
    let engine = shop().await;
    let sku = engine.sells("PANIC-SKU", 10).await;
    orders_around_a_panic(&engine, &engine.customer().await, sku.as_str(), "sku PANIC-SKU").await;
    engine.stop().await;
}

#[actix_web::test]
async fn a_panic_in_the_orders_actor_costs_no_order() {
    let engine = shop().await;
    let sku = engine.sells("PANIC-ORDERS", 10).await;
    let buyer = engine.customer().await;
    let place = format!("orders {}", id_of(&buyer).await);
    orders_around_a_panic(&engine, &buyer, sku.as_str(), &place).await;
    engine.stop().await;
}

#[actix_web::test]
async fn a_panic_in_the_journal_of_inventory_costs_no_order() {
    let engine = shop().await;
    let sku = engine.sells("PANIC-STOCK-JOURNAL", 10).await;
    let place = "inventory journal PANIC-STOCK-JOURNAL";
    orders_around_a_panic(&engine, &engine.customer().await, sku.as_str(), place).await;
    engine.stop().await;
}

#[actix_web::test]
async fn a_panic_in_the_journal_of_orders_costs_no_order() {
    let engine = shop().await;
    let sku = engine.sells("PANIC-ORDERS-JOURNAL", 10).await;
    let buyer = engine.customer().await;
    let place = format!("orders journal {}", id_of(&buyer).await);
    orders_around_a_panic(&engine, &buyer, sku.as_str(), &place).await;
    engine.stop().await;
}

#[actix_web::test]
async fn panics_everywhere_among_many_buyers_cost_no_order() {
    const PIECES: i64 = 100_000;
    let engine = shop().await;
    let sku = engine.sells("PANIC-CROWD", PIECES).await;
    let buyers = buyers(&engine, 32).await;
    let mut ids = Vec::new();
    for buyer in &buyers {
        ids.push(id_of(buyer).await);
    }
    let (placed, enough) = (AtomicI64::new(0), AtomicBool::new(false));

    let panics = async {
        for (round, id) in ids.iter().take(16).enumerate() {
            let place = match round % 4 {
                0 => "sku PANIC-CROWD".to_owned(),
                1 => format!("orders {id}"),
                2 => "inventory journal PANIC-CROWD".to_owned(),
                _ => format!("orders journal {id}"),
            };
            failpoint::arm(&place);
            let panicked = format!("a panic: {place}");
            eventually(&panicked, async || (!failpoint::is_armed(&place)).then_some(())).await;
            let before = placed.load(Ordering::Relaxed);
            eventually("orders go on after a panic", async || {
                (placed.load(Ordering::Relaxed) >= before + 64).then_some(())
            })
            .await;
        }
        enough.store(true, Ordering::Relaxed);
    };
    let ordering = join_all(buyers.iter().map(|buyer| order_until(buyer, &sku, &placed, &enough)));
    let (turned_away, ()) = tokio::join!(ordering, panics);

    assert!(turned_away.into_iter().sum::<i64>() > 0, "the panics hit no request, so this proves nothing");
    let placed = placed.into_inner();
    eventually("the stock balances", async || {
        (available(&buyers[0], &sku).await == PIECES - placed).then_some(())
    })
    .await;
    expect_clean_audit(&engine).await;
    engine.stop().await;
}

#[actix_web::test]
async fn what_a_panic_left_held_is_released_by_the_sweep_whatever_its_kind() {
    let engine = shop().await;
    let sku = engine.sells("PANIC-HOLDS", 100).await.to_string();
    let operator = Operator { staff: engine.staff().await };
    let sale = operator.opens(std::slice::from_ref(&sku)).await;
    let buyers = [engine.customer().await, engine.customer().await];
    let order = || card_order(&sku, LIMIT, "tok_ok");

    // The first one is struck when it holds quota and no stock yet, the second one when it holds both.
    for (buyer, place) in buyers.iter().zip(["hold stock", "checkout"]) {
        let place = format!("{place} {}", id_of(buyer).await);
        failpoint::arm(&place);
        expect_try_again(&buyer.orders_with("struck", order()).await);
        assert!(!failpoint::is_armed(&place), "{place} did not panic, so this shows nothing");
        buyer.orders_with("kept-out", order()).await.expect_problem(409, "limit-reached");
    }
    operator.sees_pieces(&sale, &[[PIECES - LIMIT, LIMIT, 0, 0]]).await;

    for buyer in &buyers {
        eventually("what was held is released", async || {
            (buyer.orders_with("at-last", order()).await.status == 201).then_some(())
        })
        .await;
    }
    operator.sees_pieces(&sale, &[[PIECES - 2 * LIMIT, 0, 2 * LIMIT, 0]]).await;
    expect_clean_audit(&engine).await;
    engine.stop().await;
}

/// An engine that gives stock back soon that is held for no order.
async fn shop() -> TestEngine {
    TestEngine::start_with(give_orphans_back_soon).await
}

/// Three orders of one piece: before the panic, in the middle of it, and after it, with other customers beside it.
async fn orders_around_a_panic(engine: &TestEngine, buyer: &Client, sku: &str, place: &str) {
    let other = engine.customer().await;
    buyer.orders(sku, 1).await.expect(201);

    failpoint::arm(place);
    let (key, order) = ("in-the-middle", konbini_order(sku, 1));
    let (struck, beside) = tokio::join!(buyer.orders_with(key, order.clone()), other.orders(sku, 1));
    assert!(!failpoint::is_armed(place), "{place} did not panic, so this shows nothing");

    // Answered clearly, or helped over it inside.
    for answer in [&struck, &beside] {
        if answer.status != 201 {
            expect_try_again(answer);
        }
    }
    buyer.orders(sku, 1).await.expect(201);
    other.orders(sku, 1).await.expect(201);

    // The same key finds out, once and for all.
    let found = insist(buyer, key, &order).await;
    if struck.status == 201 {
        assert_eq!(found.body["id"], struck.body["id"]);
    }
    let again = buyer.orders_with(key, order).await.expect(201);
    assert_eq!(again.body["id"], found.body["id"]);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));

    // What the struck attempts held for orders that never came to be comes back.
    let placed = buyer_orders(buyer).await + buyer_orders(&other).await;
    let sku = sku.parse().expect("a sku");
    eventually("the stock balances", async || (available(buyer, &sku).await == 10 - placed).then_some(()))
        .await;
    assert_eq!(buyer_orders(buyer).await, 3);
    expect_clean_audit(engine).await;
}

async fn buyer_orders(buyer: &Client) -> i64 {
    let page = buyer.get("/v1/orders?limit=100").await.expect(200);
    page.body["items"].as_array().expect("orders").len().try_into().expect("a count")
}
