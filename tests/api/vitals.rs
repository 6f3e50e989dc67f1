//! How the engine bears a sale, as operators are told it: latency, ages of holds, what waits where, and restarts.

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use shobai::actors::runtime::failpoint;

use crate::support::{Client, TestEngine, eventually, give_orphans_back_soon};

/// A sale of more pieces than the tests want that is open, without a limit.
async fn open_sale(staff: &Client, sku: &str) -> String {
    let from_now = |seconds| Timestamp::now() + SignedDuration::from_secs(seconds);
    let plan = json!({
        "name": "Midnight", "opens_at": from_now(-1), "closes_at": from_now(600),
        "items": [{"sku": sku, "price": 500, "allotment": 20_000}],
    });
    let sale = staff.post("/v1/admin/sales", plan).await.expect(201).id().to_owned();
    let before = vitals(staff, &sale).await;
    assert_eq!((&before["event_lag_ms"], &before["actors"]), (&Value::Null, &json!([])), "{before}");
    for action in ["schedule", "arm"] {
        let reason = json!({"reason": "as planned"});
        staff.post(&format!("/v1/admin/sales/{sale}/{action}"), reason).await.expect(200);
    }
    eventually("the sale is open", async || {
        let sale = staff.get(&format!("/v1/admin/sales/{sale}")).await.expect(200);
        (sale.body["status"] == "open").then_some(())
    })
    .await;
    sale
}

async fn vitals(staff: &Client, sale: &str) -> Value {
    staff.get(&format!("/v1/admin/sales/{sale}/live")).await.expect(200).body["vitals"].clone()
}

/// Waits for vitals in which something is so.
async fn until(staff: &Client, sale: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    eventually(what, async || Some(vitals(staff, sale).await).filter(|vitals| is_so(vitals))).await
}

#[actix::test]
async fn operators_see_the_latency_of_orders_and_the_age_of_holds() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 30_000).await;
    let staff = engine.staff().await;
    let sale = open_sale(&staff, "LAMP").await;
    let quiet = vitals(&staff, &sale).await;
    assert_eq!((&quiet["latency"], &quiet["holds"]), (&Value::Null, &Value::Null), "{quiet}");

    let customer = engine.customer().await;
    let held = customer.orders("LAMP", 1).await.expect(201).id().to_owned();
    join_all((0..9).map(|_| customer.orders_by_card("LAMP", 1))).await.into_iter().for_each(|answer| {
        answer.expect(201);
    });

    let told = until(&staff, &sale, "ten orders and one hold", |told| {
        told["latency"]["orders"] == 10 && told["holds"].is_object()
    })
    .await;
    let milliseconds = |name: &str| told["latency"][name].as_f64().unwrap();
    assert!(milliseconds("p50_ms") > 0.0, "{told}");
    assert!(milliseconds("p50_ms") <= milliseconds("p99_ms"), "{told}");
    assert!(milliseconds("p99_ms") <= milliseconds("p999_ms"), "{told}");
    // The pieces that are shown are read four times a second.
    assert!(told["event_lag_ms"].as_i64().is_some_and(|lag| lag < 5_000), "{told}");

    // It gets older until it ends; its order is answered again from memory and counts once.
    until(&staff, &sale, "the hold is a second old", |told| {
        told["holds"]["oldest_seconds"].as_i64() >= Some(1)
            && told["holds"]["median_seconds"].as_i64() >= Some(1)
    })
    .await;
    customer.cancels(&held).await.expect(200);
    until(&staff, &sale, "nothing is held", |told| told["holds"].is_null()).await;
    until(&staff, &sale, "the orders are long ago", |told| told["latency"].is_null()).await;
    engine.stop().await;
}

#[actix::test]
async fn a_commit_that_hangs_is_visible_while_it_hangs() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 30_000).await;
    let staff = engine.staff().await;
    let sale = open_sale(&staff, "LAMP").await;
    let customer = engine.customer().await;
    customer.orders("LAMP", 1).await.expect(201);
    until(&staff, &sale, "nothing waits", |told| {
        told["commit_lag_ms"] == 0.0 && told["actors"][0]["waiting"] == 0
    })
    .await;

    let hold_up = engine.holds_up("inventory.stock", 2.5);
    let ordering = async {
        loop {
            customer.orders("LAMP", 1).await.expect(201);
        }
    };
    let hangs = until(&staff, &sale, "a decision waits for its commit", |told| {
        told["commit_lag_ms"].as_f64() > Some(200.0)
    });
    let seen = async {
        tokio::select! { told = hangs => told, () = ordering => Value::Null }
    };
    let (told, _) = tokio::join!(seen, hold_up);
    assert_eq!(
        told["actors"],
        json!([{"sku": "LAMP", "ready": true, "waiting": 1, "restarts": 0}]),
        "{told}"
    );
    until(&staff, &sale, "nothing waits any more", |told| {
        told["commit_lag_ms"] == 0.0 && told["actors"][0]["waiting"] == 0
    })
    .await;
    engine.stop().await;
}

#[actix::test]
async fn the_restarts_of_an_actor_are_counted() {
    let engine = TestEngine::start().await;
    engine.sells("RESTART-SKU", 30_000).await;
    let staff = engine.staff().await;
    let sale = open_sale(&staff, "RESTART-SKU").await;
    let customer = engine.customer().await;
    assert_eq!(vitals(&staff, &sale).await["actors"][0]["restarts"], 0);

    for restarts in 1..=2 {
        failpoint::arm("sku RESTART-SKU");
        customer.orders("RESTART-SKU", 1).await.expect(201);
        until(&staff, &sale, "the actor was followed by another", |told| {
            told["actors"][0]["restarts"] == restarts
        })
        .await;
    }
    engine.stop().await;
}

#[actix::test]
async fn the_skus_of_a_sale_are_ready_and_stay_awake_until_it_is_over() {
    let engine = TestEngine::start_with(|config| {
        config.inventory.shards = 1;
        config.inventory.sku_idle_after_seconds = 1;
    })
    .await;
    let staff = engine.staff().await;
    for sku in ["LAMP", "VASE"] {
        engine.sells(sku, 30_000).await;
    }
    let (on, over) = (open_sale(&staff, "LAMP").await, open_sale(&staff, "VASE").await);
    let is_ready = async |sale: &str| vitals(&staff, sale).await["actors"][0]["ready"] == true;
    assert!(is_ready(&on).await && is_ready(&over).await);

    staff.post(&format!("/v1/admin/sales/{over}/cancel"), json!({"reason": "a test"})).await.expect(200);

    // The other one has no orders either, and the round that evicts the one passes it over.
    eventually("the one that is over falls asleep", async || {
        let is_asleep = !is_ready(&over).await;
        assert!(is_ready(&on).await, "an open sale's actor is asleep");
        is_asleep.then_some(())
    })
    .await;
    engine.stop().await;
}

#[actix::test]
async fn a_sale_is_not_armed_while_an_actor_cannot_allot_its_pieces() {
    let engine = TestEngine::start_with(give_orphans_back_soon).await;
    let staff = engine.staff().await;
    engine.sells("LAMP", 8).await;
    let from_now = |seconds| Timestamp::now() + SignedDuration::from_secs(seconds);
    let plan = json!({
        "name": "Midnight", "opens_at": from_now(600), "closes_at": from_now(1_200),
        "items": [{"sku": "LAMP", "price": 500, "allotment": 8}],
    });
    let sale = staff.post("/v1/admin/sales", plan).await.expect(201).id().to_owned();
    let tells = async |action: &str| {
        staff.post(&format!("/v1/admin/sales/{sale}/{action}"), json!({"reason": "as planned"})).await
    };
    tells("schedule").await.expect(200);

    let hold_up = engine.holds_up("inventory.stock", 4.0);
    let arming = async {
        engine.sees_locked("inventory.stock").await;
        let refused = tells("arm").await;
        assert_eq!(refused.status, 503, "{refused:?}");
        let finding = &refused.body["findings"][0];
        assert_eq!(finding["field"], "items[0]", "{refused:?}");
        assert!(
            finding["problem"].as_str().is_some_and(|problem| problem.starts_with("LAMP ")),
            "{refused:?}"
        );
        let seen = staff.get(&format!("/v1/admin/sales/{sale}")).await.expect(200).body;
        assert_eq!((&seen["status"], &seen["version"]), (&json!("scheduled"), &json!(2)), "{seen}");
    };
    tokio::join!(hold_up, arming);

    // The same command again finds what was set apart, if it was.
    eventually("it is armed", async || (tells("arm").await.status == 200).then_some(())).await;
    let live = staff.get(&format!("/v1/admin/sales/{sale}/live")).await.expect(200).body;
    assert_eq!(live["vitals"]["actors"][0]["ready"], true, "{live}");
    assert_eq!((&live["items"][0]["allotment"], &live["items"][0]["remaining"]), (&json!(8), &json!(8)));
    eventually("a clean audit", async || engine.audit().await.is_empty().then_some(())).await;
    engine.stop().await;
}
