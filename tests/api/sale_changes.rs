//! Changes of a sale that meet: each is whole, the one that was asked for last counts, and none is lost.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::sales::{Operator, expect_no_findings, plan, soon};
use crate::support::{Answer, TestEngine, eventually};

/// How long writes are held up, in seconds.
const HELD_UP: f64 = 1.5;

impl Operator {
    async fn asks(&self, path: &str) -> Answer {
        self.staff.post(&format!("/v1/admin/{path}"), json!({"reason": "a test"})).await
    }
}

#[actix::test]
async fn two_operators_who_change_a_plan_at_once_both_get_an_answer() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 5).await;
    let sale = operator.plans(plan("LAMP", 5)).await;
    for round in 1..=10 {
        let name = format!("Round {round}");
        let answers = tokio::join!(
            operator.replans(&sale, json!({"name": name})),
            operator.replans(&sale, json!({"limit_per_customer": round})),
        );
        answers.0.expect(200);
        answers.1.expect(200);
        let planned = operator.staff.get(&format!("/v1/admin/sales/{sale}")).await.expect(200).body;
        assert_eq!((&planned["name"], &planned["limit_per_customer"]), (&json!(name), &json!(round)));
    }
    engine.stop().await;
}

#[actix::test]
async fn a_kill_during_a_resume_takes_effect() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 50).await;
    let sale = operator.opens(plan("LAMP", 50)).await;
    let buyer = engine.customer().await;
    let controls = [
        ("sales.switch", String::new()),
        ("sales.sales", format!("sales/{sale}/")),
        ("sales.sales", format!("sales/{sale}/items/LAMP/")),
    ];
    for (table, of) in controls {
        operator.asks(&format!("{of}kill")).await.expect(200);
        let resume_then_kill = async {
            engine.sees_locked(table).await;
            let resume = format!("{of}resume");
            let resumed = operator.asks(&resume);
            let killed = async {
                engine.sees_waiting(table).await;
                operator.asks(&format!("{of}kill")).await
            };
            tokio::join!(resumed, killed)
        };
        let ((), (resumed, killed)) = tokio::join!(engine.holds_up(table, HELD_UP), resume_then_kill);
        resumed.expect(200);
        let killed = killed.expect(200);
        if !of.contains("items") {
            assert_eq!(killed.body["stopped"], true, "{killed:?}");
        }
        // Also after the sales were read again.
        for _ in 0..15 {
            buyer.orders_by_card("LAMP", 1).await.expect_problem(409, "stopped");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        operator.asks(&format!("{of}resume")).await.expect(200);
    }
    buyer.orders_by_card("LAMP", 1).await.expect(201);
    engine.stop().await;
}

#[actix::test]
async fn the_end_of_a_pause_does_not_undo_a_kill() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 50).await;
    let sale = operator.opens(plan("LAMP", 50)).await;
    let buyer = engine.customer().await;
    operator.tells(&sale, "pause").await.expect(200);
    operator.tells(&sale, "kill").await.expect(200);

    // It must be said which of the two is meant.
    operator.tells(&sale, "resume").await.expect_problem(409, "paused-and-stopped");
    let ends = async |halt: &str| {
        let body = json!({"reason": "a test", "ends": halt});
        operator.staff.post(&format!("/v1/admin/sales/{sale}/resume"), body).await.expect(200).body
    };
    // A client without an answer asks again.
    for _ in 0..2 {
        let resumed = ends("pause").await;
        assert_eq!((&resumed["status"], &resumed["stopped"]), (&json!("open"), &json!(true)));
    }
    buyer.orders_by_card("LAMP", 1).await.expect_problem(409, "stopped");
    // The other way round.
    operator.tells(&sale, "pause").await.expect(200);
    for _ in 0..2 {
        let resumed = ends("kill").await;
        assert_eq!((&resumed["status"], &resumed["stopped"]), (&json!("paused"), &json!(false)));
    }
    buyer.orders_by_card("LAMP", 1).await.expect_problem(409, "sale-paused");
    operator.tells(&sale, "kill").await.expect(200);
    // Nor do two of them at once.
    let twice = async {
        engine.sees_locked("sales.sales").await;
        tokio::join!(ends("pause"), ends("pause"))
    };
    let ((), (one, other)) = tokio::join!(engine.holds_up("sales.sales", HELD_UP), twice);
    for resumed in [one, other] {
        assert_eq!((&resumed["status"], &resumed["stopped"]), (&json!("open"), &json!(true)));
    }
    buyer.orders_by_card("LAMP", 1).await.expect_problem(409, "stopped");
    let resumed = operator.tells(&sale, "resume").await.expect(200).body;
    assert_eq!((&resumed["status"], &resumed["stopped"]), (&json!("open"), &json!(false)));
    buyer.orders_by_card("LAMP", 1).await.expect(201);
    // Nothing else has something to end.
    let body = json!({"reason": "a test", "ends": "pause"});
    let wrong = operator.staff.post(&format!("/v1/admin/sales/{sale}/pause"), body).await;
    wrong.expect_problem(422, "invalid-body");
    engine.stop().await;
}

#[actix::test]
async fn an_allotment_change_that_was_not_saved_is_saved_at_the_next_start() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 50).await;
    let sale = operator.opens(plan("LAMP", 10)).await;
    let path = format!("/v1/admin/sales/{sale}/items/LAMP");
    let allot = async |operator: &Operator, allotment: i64, expected: i64| {
        let change = json!({"allotment": allotment, "expected": expected, "reason": "a test"});
        let request = operator.staff.request(reqwest::Method::PATCH, &path);
        operator.staff.send(request.json(&change)).await.expect(200).body["items"][0]["allotment"].clone()
    };
    let is_planned = async |operator: &Operator, pieces: i64| {
        eventually("the plan says so", async || {
            let found = operator.staff.get(&format!("/v1/admin/sales/{sale}")).await.expect(200).body;
            (found["items"][0]["allotment"] == pieces).then_some(())
        })
        .await;
    };
    assert_eq!(allot(&operator, 15, 10).await, 15);
    // As a kill leaves it between the stock's owner and the plan; and then it cannot be written at once.
    engine.by_hand("update sales.items set allotment = 10").await;
    refuse_plans(&engine).await;

    let engine = engine.restart().await;

    let operator = Operator::of(&engine).await;
    eventually("it was tried", async || tries(&engine).await.filter(|tries| *tries > 0)).await;
    engine.by_hand("drop trigger refuse on sales.items").await;
    is_planned(&operator, 15).await;
    let changes = operator.staff.get(&format!("/v1/admin/sales/{sale}/changes")).await.expect(200);
    let last = changes.items().last().expect("a change");
    assert_eq!((&last["action"], &last["actor"]), (&json!("allot"), &Value::Null), "{last}");
    assert_eq!(allot(&operator, 20, 15).await, 20);

    // A change that was answered as failed and not repeated still leaves a plan that says what is allotted.
    refuse_plans(&engine).await;
    let change = json!({"allotment": 25, "expected": 20, "reason": "a test"});
    let failed =
        operator.staff.send(operator.staff.request(reqwest::Method::PATCH, &path).json(&change)).await;
    assert!(failed.status >= 500, "{failed:?}");
    engine.by_hand("drop trigger refuse on sales.items").await;
    is_planned(&operator, 25).await;
    expect_no_findings(&engine).await;
    engine.stop().await;
}

#[actix::test]
async fn a_stop_that_could_not_be_saved_is_shown_until_it_is_repeated_or_resumed() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 50).await;
    let sale = operator.opens(plan("LAMP", 50)).await;
    let buyer = engine.customer().await;
    let unwritten = async |expected: Value| {
        eventually("it is told", async || {
            let live = operator.staff.get(&format!("/v1/admin/sales/{sale}/live")).await.expect(200).body;
            (live["unwritten"] == expected).then_some(())
        })
        .await;
    };
    engine
        .by_hand(
            "create function public.refuse() returns trigger language plpgsql as $$
             begin raise exception 'not now'; end $$;
             create trigger refuse before update on sales.sales for each row execute function public.refuse()",
        )
        .await;
    for path in ["kill", "cancel", "items/LAMP/kill"] {
        let failed = operator.asks(&format!("sales/{sale}/{path}")).await;
        assert!(failed.status >= 500, "{failed:?}");
    }
    unwritten(json!({"sale": true, "skus": ["LAMP"]})).await;
    buyer.orders_by_card("LAMP", 1).await.expect_problem(409, "stopped");

    engine.by_hand("drop trigger refuse on sales.sales").await;
    for path in ["resume", "items/LAMP/resume"] {
        operator.asks(&format!("sales/{sale}/{path}")).await.expect(200);
    }

    unwritten(json!({"sale": false, "skus": []})).await;
    buyer.orders_by_card("LAMP", 1).await.expect(201);
    engine.stop().await;
}

#[actix::test]
async fn a_switch_of_a_sku_outlives_a_new_plan_and_ends_with_the_sale() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 5).await;
    let sale = operator.plans(plan("LAMP", 5)).await;
    operator.asks(&format!("sales/{sale}/items/LAMP/kill")).await.expect(200);

    let planned = operator.replans(&sale, json!({"name": "Later"})).await.expect(200).body;

    assert_eq!((&planned["name"], &planned["items"][0]["stopped"]), (&json!("Later"), &json!(true)));
    operator.replans(&sale, json!({"name": null})).await.expect_problem(422, "invalid-body");
    operator.replans(&sale, json!({"items": [["LAMP", 500, 5]]})).await.expect_problem(422, "invalid-body");
    operator.asks(&format!("sales/{sale}/items/LAMP/resume")).await.expect(200);
    operator.tells(&sale, "cancel").await.expect(200);
    operator.asks(&format!("sales/{sale}/items/LAMP/kill")).await.expect_problem(409, "not-in-status");
    engine.stop().await;
}

#[actix::test]
async fn a_sale_whose_stock_is_too_small_moves_no_pieces() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 5).await;
    engine.sells("VASE", 5).await;
    let mut two = plan("LAMP", 5);
    two["items"] = json!([
        {"sku": "LAMP", "price": 500, "allotment": 5},
        {"sku": "VASE", "price": 500, "allotment": 5},
    ]);
    two["opens_at"] = json!(soon(3_600_000));
    two["closes_at"] = json!(soon(7_200_000));
    let sale = operator.plans(two).await;
    operator.tells(&sale, "schedule").await.expect(200);
    let lost = json!({"delta": -1, "reason": "broken"});
    operator.staff.post("/v1/admin/inventory/VASE/adjustments", lost).await.expect(201);

    let refused = operator.tells(&sale, "arm").await.expect_problem(409, "sale-not-ready");

    assert_eq!(refused.body["findings"][0]["field"], "items[1].allotment", "{refused:?}");
    let movements = operator.staff.get("/v1/admin/inventory/LAMP/movements").await.expect(200);
    assert!(!movements.text.contains("allotted\""), "{}", movements.text);
    let change = json!({"allotment": 4, "expected": 5, "reason": "a test"});
    let request =
        operator.staff.request(reqwest::Method::PATCH, &format!("/v1/admin/sales/{sale}/items/VASE"));
    let early = operator.staff.send(request.json(&change)).await.expect_problem(409, "not-in-status");
    assert!(early.body["detail"].as_str().expect("words").contains("pieces"), "{early:?}");
    engine.stop().await;
}

/// Keeps the plans of sales from being written, and counts who tries.
async fn refuse_plans(engine: &TestEngine) {
    engine
        .by_hand(
            "create sequence if not exists public.tries;
             create or replace function public.refuse() returns trigger language plpgsql as $$
             begin perform nextval('public.tries'); raise exception 'not now'; end $$;
             create trigger refuse before update on sales.items for each row execute function public.refuse()",
        )
        .await;
}

async fn tries(engine: &TestEngine) -> Option<i64> {
    let tries = "select case when is_called then last_value else 0 end from public.tries";
    engine.told(tries).await?.parse().ok()
}

#[actix::test]
async fn a_sale_that_is_armed_twice_at_once_gets_its_pieces_once() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    for round in 0..8 {
        let skus: Vec<String> = (0..6).map(|index| format!("LAMP-{round}-{index}")).collect();
        for sku in &skus {
            engine.sells(sku, 10).await;
        }
        let mut planned = plan(&skus[0], 10);
        planned["opens_at"] = json!(soon(3_600_000));
        planned["closes_at"] = json!(soon(7_200_000));
        planned["items"] =
            skus.iter().map(|sku| json!({"sku": sku, "price": 500, "allotment": 10})).collect();
        let sale = operator.plans(planned).await;
        operator.tells(&sale, "schedule").await.expect(200);
        // Of the last one there is too little, until it comes in while the sale is armed again and again.
        let last = &skus[5];
        let adjust = async |delta: i64| {
            let path = format!("/v1/admin/inventory/{last}/adjustments");
            let change = json!({"delta": delta, "reason": "a test"});
            operator.staff.post(&path, change).await
        };
        adjust(-1).await.expect(201);
        let arming = async {
            join_all((0..6).map(async |turn| {
                tokio::time::sleep(Duration::from_millis(turn * 3)).await;
                operator.tells(&sale, "arm").await
            }))
            .await
        };
        let receiving = async {
            tokio::time::sleep(Duration::from_millis(8)).await;
            adjust(1).await.expect(201);
        };
        let (answers, ()) = tokio::join!(arming, receiving);
        for answer in &answers {
            assert!(answer.status == 200 || answer.code() == "sale-not-ready", "{answer:?}");
        }
        eventually("it can be armed", async || {
            (operator.tells(&sale, "arm").await.status == 200).then_some(())
        })
        .await;
        let live = operator.live(&sale).await;
        for item in live["items"].as_array().expect("items") {
            assert_eq!((&item["remaining"], &item["returned"]), (&json!(10), &json!(0)), "{item}");
        }
        operator.tells(&sale, "cancel").await.expect(200);
    }
    expect_no_findings(&engine).await;
    engine.stop().await;
}

#[actix::test]
async fn a_switch_of_all_orders_is_in_the_history_of_every_sale_concerned() {
    let engine = TestEngine::start_with(|config| {
        config.sales.second_operator = vec![shobai::config::SecondOperator::Kill];
    })
    .await;
    let operator = Operator::of(&engine).await;
    let second = Operator::of(&engine).await;
    engine.sells("LAMP", 10).await;
    engine.sells("VASE", 10).await;
    let sale = operator.opens(plan("LAMP", 5)).await;
    operator.asks("kill").await.expect(202);
    second.asks("kill").await.expect(200);
    operator.asks("resume").await.expect(200);
    operator.tells(&sale, "close").await.expect(200);
    operator.tells(&sale, "settle").await.expect(200);
    let later = operator.opens(plan("VASE", 5)).await;
    operator.asks("kill").await.expect(202);
    second.asks("kill").await.expect(200);
    operator.asks("resume").await.expect(200);

    let of_everything = async |sale: &str| -> Vec<Value> {
        let changes = operator.staff.get(&format!("/v1/admin/sales/{sale}/changes")).await.expect(200);
        let is_of_it =
            |change: &&Value| change["action"].as_str().expect("an action").ends_with("-everything");
        changes.items().iter().filter(is_of_it).cloned().collect()
    };
    for sale in [&sale, &later] {
        let changes = of_everything(sale).await;
        let actions: Vec<&Value> = changes.iter().map(|change| &change["action"]).collect();
        assert_eq!(actions, ["propose-everything", "kill-everything", "resume-everything"], "{changes:?}");
        assert!(changes[1]["actor"].is_string() && changes[1]["proposed_by"].is_string(), "{changes:?}");
        assert_ne!(changes[1]["actor"], changes[1]["proposed_by"]);
        assert_eq!(changes[1]["after"], json!({"stopped": true}));
    }
    let settled = operator.staff.get(&format!("/v1/admin/sales/{sale}/report")).await.expect(200);
    assert!(settled.text.contains("kill-everything"), "{}", settled.text);
    engine.stop().await;
}

#[actix::test]
async fn requests_of_staff_are_answered_while_customers_use_every_slot() {
    let engine = TestEngine::start_with(|config| {
        config.actors.asks_max = 24;
        config.sales.order_every_ms = 0;
        config.sales.unpaid_orders_max = 0;
    })
    .await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 100_000).await;
    let mut unlimited = plan("LAMP", 100_000);
    unlimited["limit_per_customer"] = Value::Null;
    let sale = operator.opens(unlimited).await;
    let (buyer, late) = (engine.customer().await, engine.customer().await);
    let is_over = std::cell::Cell::new(false);
    let crowd = async {
        engine.sees_locked("inventory.stock").await;
        // A client that is turned away comes again at once, so that no slot stays free.
        join_all((0..48).map(async |_| {
            while !is_over.get() {
                buyer.orders_by_card("LAMP", 1).await;
            }
        }))
        .await
    };
    let steering = async {
        engine.sees_locked("inventory.stock").await;
        eventually("every place is taken", async || {
            (late.get("/v1/orders").await.code() == "busy").then_some(())
        })
        .await;
        operator.tells(&sale, "kill").await.expect(200);
        operator.tells(&sale, "resume").await.expect(200);
        is_over.set(true);
    };
    let _ = tokio::join!(engine.holds_up("inventory.stock", 4.0), crowd, steering);
    eventually("the shop sells again", async || {
        (late.orders_by_card("LAMP", 1).await.status == 201).then_some(())
    })
    .await;
    expect_no_findings(&engine).await;
    engine.stop().await;
}
