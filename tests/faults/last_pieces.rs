//! Many buyers want the last pieces: each piece is sold once, and no buyer is refused while one is left.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::buyers::{Tally, available, buyers, expect_clean_audit, tally};
use crate::support::client::{card_order, konbini_order};
use crate::support::{Answer, Client, TestEngine};

const BUYERS: usize = 1_000;

#[actix_web::test]
async fn a_thousand_buyers_of_a_hundred_pieces_get_exactly_a_hundred() {
    let engine = TestEngine::start().await;
    let sku = engine.sells("LAST-ONE", 100).await;
    let buyers = buyers(&engine, BUYERS).await;

    let answers = join_all(buyers.iter().map(|buyer| buyer.orders(sku.as_str(), 1))).await;

    assert_eq!(tally(&answers), Tally { sold: 100, out_of_stock: 900, turned_away: 0 });
    // No buyer was refused while a piece was left.
    assert!(refused(&answers).all(|body| body["sku"] == "LAST-ONE" && body["available"] == 0));
    assert_eq!(available(&buyers[0], &sku).await, 0);
    expect_clean_audit(&engine).await;
    engine.stop().await;
}

#[actix_web::test]
async fn no_buyer_gets_half_of_a_pair() {
    let engine = TestEngine::start().await;
    let sku = engine.sells("LAST-PAIR", 101).await;
    let buyers = buyers(&engine, BUYERS).await;

    let answers = join_all(buyers.iter().map(|buyer| buyer.orders_by_card(sku.as_str(), 2))).await;

    assert_eq!(tally(&answers), Tally { sold: 50, out_of_stock: 950, turned_away: 0 });
    assert!(refused(&answers).all(|body| body["requested"] == 2 && body["available"] == 1));
    assert_eq!(available(&buyers[0], &sku).await, 1);
    expect_clean_audit(&engine).await;
    engine.stop().await;
}

#[actix_web::test]
async fn two_skus_in_opposite_order_are_sold_together_or_not_at_all() {
    let engine = TestEngine::start().await;
    let cup = engine.sells("LAST-CUP", 150).await;
    let saucer = engine.sells("LAST-SAUCER", 100).await;
    let buyers = buyers(&engine, BUYERS).await;

    let answers = join_all(buyers.iter().enumerate().map(|(number, buyer)| {
        let (first, second) = if number % 2 == 0 { (&cup, &saucer) } else { (&saucer, &cup) };
        let mut order = konbini_order(first.as_str(), 1);
        order["lines"] =
            json!([{"sku": first.as_str(), "quantity": 1}, {"sku": second.as_str(), "quantity": 1}]);
        async move { buyer.orders_with(&new_key(), order).await }
    }))
    .await;

    assert_eq!(tally(&answers), Tally { sold: 100, out_of_stock: 900, turned_away: 0 });
    assert_eq!(available(&buyers[0], &cup).await, 50);
    assert_eq!(available(&buyers[0], &saucer).await, 0);
    expect_clean_audit(&engine).await;
    engine.stop().await;
}

#[actix_web::test]
async fn returned_pieces_are_sold_again_and_never_twice() {
    const PIECES: i64 = 100;
    let engine = TestEngine::start().await;
    let sku = engine.sells("LAST-BACK", PIECES).await;
    let buyers = buyers(&engine, BUYERS).await;

    let kept: i64 = join_all(buyers.iter().enumerate().map(|(number, buyer)| {
        let order = if number % 2 == 0 {
            card_order(sku.as_str(), 1, "tok_ok")
        } else {
            konbini_order(sku.as_str(), 1)
        };
        order_up_to_three_times_and_maybe_cancel(buyer, order, number % 3 == 0)
    }))
    .await
    .into_iter()
    .sum();

    // The pieces left are those at the start, less those that buyers kept.
    assert!(kept <= PIECES, "{kept} of {PIECES} pieces were kept");
    assert_eq!(available(&buyers[0], &sku).await, PIECES - kept);
    let rest = join_all(buyers.iter().map(|buyer| buyer.orders(sku.as_str(), 1))).await;
    assert_eq!(i64::try_from(tally(&rest).sold).expect("a count"), PIECES - kept);
    assert_eq!(tally(&rest).turned_away, 0);
    expect_clean_audit(&engine).await;
    engine.stop().await;
}

/// The pieces that the buyer kept.
async fn order_up_to_three_times_and_maybe_cancel(buyer: &Client, order: Value, cancels: bool) -> i64 {
    for _ in 0..3 {
        let answer = buyer.orders_with(&new_key(), order.clone()).await;
        if tally(std::slice::from_ref(&answer)).sold == 0 {
            assert_eq!(answer.status, 409, "{answer:?}");
            continue;
        }
        if !cancels {
            return 1;
        }
        let path = format!("/v1/orders/{}/cancel", answer.body["id"].as_str().expect("an id"));
        assert_eq!(buyer.post(&path, json!({})).await.expect(200).body["status"], "cancelled");
        return 0;
    }
    0
}

fn refused(answers: &[Answer]) -> impl Iterator<Item = &Value> {
    answers.iter().filter(|answer| answer.status == 409).map(|answer| &answer.body)
}

fn new_key() -> String {
    uuid::Uuid::now_v7().to_string()
}
