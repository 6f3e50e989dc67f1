//! The rules of a sale where they are easily broken: side by side, after a restart, while the database refuses.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::payments::{paid, report};
use crate::sales::{Operator, expect_no_findings, plan, soon};
use crate::support::client::card_order;
use crate::support::{TestEngine, eventually};

#[actix::test]
async fn a_changed_plan_keeps_its_limit_or_removes_it() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 5).await;
    let sale = operator.plans(plan("LAMP", 5)).await;
    let replan = async |body: Value| {
        operator.replans(&sale, body).await.expect(200).body["limit_per_customer"].clone()
    };
    assert_eq!(replan(json!({"name": "Noon"})).await, 2);
    assert_eq!(replan(json!({"limit_per_customer": null})).await, Value::Null);
    assert_eq!(replan(json!({"name": "Midnight"})).await, Value::Null);
    assert_eq!(replan(json!({"limit_per_customer": 3})).await, 3);
    engine.stop().await;
}

#[actix::test]
async fn only_one_of_two_sales_scheduled_at_once_gets_the_sku() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 100).await;
    for day in 0..5 {
        let mut same = plan("LAMP", 1);
        same["opens_at"] = json!(soon((day + 1) * 86_400_000));
        same["closes_at"] = json!(soon((day + 1) * 86_400_000 + 3_600_000));
        let sales = join_all((0..6).map(|_| operator.plans(same.clone()))).await;

        let answers = join_all(sales.iter().map(|sale| operator.tells(sale, "schedule"))).await;

        let (scheduled, refused): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|answer| answer.status == 200);
        assert_eq!(scheduled.len(), 1);
        refused.into_iter().for_each(|answer| drop(answer.expect_problem(422, "sale-not-valid")));
    }
    engine.stop().await;
}

#[actix::test]
async fn a_sku_is_free_for_the_next_sale_after_the_drain_period_of_the_last() {
    let engine = TestEngine::start_with(|config| config.sales.drain_within_seconds = 60).await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 100).await;
    let from = |opens: i64, closes: i64| {
        let mut plan = plan("LAMP", 1);
        (plan["opens_at"], plan["closes_at"]) = (json!(soon(opens)), json!(soon(closes)));
        plan
    };
    let first = operator.plans(from(3_600_000, 3_700_000)).await;
    operator.tells(&first, "schedule").await.expect(200);
    for (opens, closes, status) in [
        (3_730_000, 3_800_000, 422),
        (3_500_000, 3_570_000, 422),
        (3_400_000, 3_530_000, 200),
        (3_770_000, 3_800_000, 200),
    ] {
        let next = operator.plans(from(opens, closes)).await;
        operator.tells(&next, "schedule").await.expect(status);
    }
    engine.stop().await;
}

#[actix::test]
async fn a_sale_is_settled_once_none_of_its_orders_is_open() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 10).await;
    let sale = operator.opens(plan("LAMP", 10)).await;
    let (buyer, other) = (engine.customer().await, engine.customer().await);
    let open = buyer.orders("LAMP", 2).await.expect(201);
    other.orders_by_card("LAMP", 1).await.expect(201);
    operator.tells(&sale, "close").await.expect(200);
    eventually("the card's order is sold", async || {
        (operator.live(&sale).await["items"][0]["sold"] == 1).then_some(())
    })
    .await;

    let refused = operator.tells(&sale, "settle").await.expect_problem(409, "orders-open");
    assert_eq!(refused.body["orders"], 1);
    let until: jiff::Timestamp = refused.body["until"].as_str().expect("a time").parse().expect("a time");
    assert!(until > soon(3_500_000));
    assert_eq!(operator.status(&sale).await, "closed");

    report(&engine, &paid(open.id(), 1_000)).await.expect(200);
    eventually("the sale is settled", async || {
        (operator.tells(&sale, "settle").await.status == 200).then_some(())
    })
    .await;
    operator.tells(&sale, "settle").await.expect(200);
    expect_no_findings(&engine).await;
    engine.stop().await;
}

#[actix::test]
async fn an_order_that_is_paid_after_its_hold_lapsed_counts_also_after_a_restart() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 10).await;
    let sale = operator.opens(plan("LAMP", 10)).await;
    let buyer = engine.customer().await;
    let late = buyer.orders("LAMP", 2).await.expect(201).id().to_owned();
    engine.by_hand("update inventory.reservations set expires_at = now() - interval '1 second'").await;
    let engine = engine.restart().await;
    eventually("the hold lapses", async || {
        (engine.told("select state from inventory.reservations").await.as_deref() == Some("expired"))
            .then_some(())
    })
    .await;
    let engine = engine.restart().await;

    report(&engine, &paid(&late, 1_000)).await.expect(200);

    let operator = Operator { staff: engine.visitor().with_token(operator.staff.token.expect("a token")) };
    operator.sees_pieces(&sale, 8, 0, 2, 0).await;
    let buyer = engine.visitor().with_token(buyer.token.expect("a token"));
    let settled = "select count(*) from orders.orders where stock_settled";
    eventually("the sale heard of it", async || {
        (engine.told(settled).await.as_deref() == Some("1")).then_some(())
    })
    .await;
    buyer.orders_by_card("LAMP", 1).await.expect_problem(409, "limit-reached");
    expect_no_findings(&engine).await;
    engine.stop().await;
}

#[actix::test]
async fn visitors_see_announced_sales_and_whether_all_orders_are_stopped() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 10).await;
    let sale = operator.opens(plan("LAMP", 5)).await;
    let visitor = engine.visitor();
    let shown = async || visitor.get(&format!("/v1/sales/{sale}")).await.expect(200).body;
    // Drafts of later sales take no place on the list.
    let mut later = plan("LAMP", 5);
    (later["opens_at"], later["closes_at"]) = (json!(soon(3_600_000)), json!(soon(7_200_000)));
    for _ in 0..201 {
        operator.plans(later.clone()).await;
    }
    assert_eq!(visitor.get("/v1/sales").await.expect(200).each("id"), [json!(sale)]);

    operator.staff.post("/v1/admin/kill", json!({"reason": "a test"})).await.expect(200);
    assert_eq!(shown().await["state"], "paused");
    operator.staff.post("/v1/admin/resume", json!({"reason": "a test"})).await.expect(200);
    assert_eq!(shown().await["state"], "open");

    operator.tells(&sale, "close").await.expect(200);
    operator.tells(&sale, "settle").await.expect(200);
    let engine = engine.restart().await;
    let visitor = engine.visitor();
    assert_eq!(visitor.get("/v1/sales").await.expect(200).each("id"), [json!(sale)]);
    let ended = visitor.get(&format!("/v1/sales/{sale}")).await.expect(200).body;
    assert_eq!((&ended["state"], &ended["items"][0]["left"]), (&json!("ended"), &json!("none")));
    engine.stop().await;
}

#[actix::test]
async fn closing_a_sale_is_retried_at_growing_intervals() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 10).await;
    let sale = operator.opens(plan("LAMP", 10)).await;
    // Sequences count also what is undone.
    engine
        .by_hand(
            "create sequence public.tries;
             create function public.refuse() returns trigger language plpgsql as $$
             begin
                 perform nextval('public.tries');
                 raise exception 'not now';
             end $$;
             create trigger refuse before update of stock_returned on sales.sales
                 for each row execute function public.refuse()",
        )
        .await;

    operator.tells(&sale, "close").await.expect(200);

    let closed = Instant::now();
    eventually("it is tried a fourth time", async || {
        let tries: i64 = engine.told("select last_value from public.tries").await?.parse().ok()?;
        (tries >= 4).then_some(())
    })
    .await;
    // A try at the close and one in the next round, then one after one second and one after two more.
    assert!(closed.elapsed() > Duration::from_millis(2_500), "{:?}", closed.elapsed());
    engine.by_hand("drop trigger refuse on sales.sales").await;
    eventually("its stock is returned", async || {
        (engine.told("select stock_returned from sales.sales").await.as_deref() == Some("t")).then_some(())
    })
    .await;
    engine.stop().await;
}

#[actix::test]
async fn refusals_are_saved_once_the_database_is_reachable() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 10).await;
    let sale = operator.opens(plan("LAMP", 10)).await;
    operator.tells(&sale, "pause").await.expect(200);
    engine
        .by_hand(
            "create sequence public.tries;
             create function public.refuse() returns trigger language plpgsql as $$ begin
                 perform nextval('public.tries');
                 raise exception 'not now';
             end $$;
             create trigger refuse before insert on sales.refusals for each row execute function public.refuse()",
        )
        .await;
    let buyer = engine.customer().await;
    let tried = async |times: i64| {
        eventually("it is tried to write them", async || {
            let tries: i64 =
                engine.told("select last_value from public.tries where is_called").await?.parse().ok()?;
            (tries >= times).then_some(())
        })
        .await;
    };

    buyer.orders_by_card("LAMP", 1).await.expect_problem(409, "sale-paused");
    tried(1).await;
    buyer.orders_by_card("LAMP", 1).await.expect_problem(409, "sale-paused");
    tried(3).await;
    assert_eq!(engine.told("select count(*) from sales.refusals").await.as_deref(), Some("0"));

    engine.by_hand("drop trigger refuse on sales.refusals").await;

    let customer = buyer.get("/v1/users/me").await.expect(200).id().to_owned();
    let why = format!("/v1/admin/sales/{sale}/why?customer={customer}");
    eventually("both are explained", async || {
        let why = operator.staff.get(&why).await.expect(200);
        let mut told = why.items().iter().filter_map(|decision| decision["what"].as_str());
        told.any(|what| what.starts_with("refused 2 times by sale-paused")).then_some(())
    })
    .await;
    engine.stop().await;
}

#[actix::test]
async fn waiting_room_changes_are_saved_once_the_database_is_reachable() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 10).await;
    let buyer = engine.customer().await;
    let mut queued = plan("LAMP", 10);
    queued["admission"] = json!({"mode": "queue", "per_second": 10});
    let sale = operator.opens(queued).await;
    engine.refuses_changes_of_tickets().await;
    let ticket = eventually("the room is there", async || {
        let joined = buyer.post(&format!("/v1/sales/{sale}/queue"), json!({})).await;
        (joined.status == 201).then(|| joined.body["ticket"].as_str().expect("a ticket").to_owned())
    })
    .await;
    let admission = eventually("they are let in", async || {
        let request = buyer.request(reqwest::Method::GET, &format!("/v1/sales/{sale}/queue"));
        let place = buyer.send(request.header("Queue-Ticket", &ticket)).await.expect(200);
        place.body["admission"].as_str().map(str::to_owned)
    })
    .await;
    let order = buyer
        .request(reqwest::Method::POST, "/v1/orders")
        .header("Idempotency-Key", "once")
        .header("Sale-Admission", admission)
        .json(&card_order("LAMP", 1, "tok_ok"));
    buyer.send(order).await.expect(201);
    eventually("the room knows", async || {
        (operator.live(&sale).await["queue"]["ordered"] == 1).then_some(())
    })
    .await;
    assert_eq!(engine.told("select state from sales.entries").await.as_deref(), Some("waiting"));

    engine.takes_changes_of_tickets().await;

    eventually("it is written", async || {
        (engine.told("select state from sales.entries").await.as_deref() == Some("ordered")).then_some(())
    })
    .await;
    let changes = engine.told("select string_agg(state, ', ' order by at) from sales.entry_changes").await;
    assert_eq!(changes.as_deref(), Some("admitted, ordered"), "each once, in its order");
    engine.stop().await;
}

#[actix::test]
async fn orders_of_one_device_are_paced_across_its_accounts() {
    let engine = TestEngine::start_with(|config| {
        config.sales.order_every_ms = 60_000;
        config.sales.orders_at_once = 2;
    })
    .await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 100).await;
    operator.opens(plan("LAMP", 100)).await;
    let accounts = join_all((0..4).map(|_| engine.customer())).await;
    let orders = async |account: usize, device: Option<&str>| {
        let request = accounts[account].request(reqwest::Method::POST, "/v1/orders");
        let request = request.header("Idempotency-Key", uuid::Uuid::now_v7().to_string());
        let request = device.into_iter().fold(request, |request, device| request.header("Device-Id", device));
        accounts[account].send(request.json(&card_order("LAMP", 1, "tok_ok"))).await
    };
    orders(0, Some("phone-1")).await.expect(201);
    orders(1, Some("phone-1")).await.expect(201);
    let refused = orders(2, Some("phone-1")).await.expect_problem(429, "too-fast");
    let wait: i64 = refused.header("retry-after").expect("a time").parse().expect("seconds");
    assert!((50..=60).contains(&wait), "{wait}");
    orders(2, Some("phone-2")).await.expect(201);
    orders(3, None).await.expect(201);
    for bad in ["", "a b", "a;b", &"x".repeat(65)] {
        orders(3, Some(bad)).await.expect_problem(422, "invalid-value");
    }
    engine.stop().await;
}

#[actix::test]
async fn an_account_has_a_bounded_number_of_unpaid_orders_in_a_sale() {
    let engine = TestEngine::start_with(|config| config.sales.unpaid_orders_max = 2).await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 100).await;
    let mut unlimited = plan("LAMP", 50);
    unlimited["limit_per_customer"] = Value::Null;
    let sale = operator.opens(unlimited).await;
    let (buyer, other) = (engine.customer().await, engine.customer().await);
    let first = buyer.orders("LAMP", 5).await.expect(201);
    let second = buyer.orders("LAMP", 5).await.expect(201);
    let refused = buyer.orders("LAMP", 1).await.expect_problem(409, "too-many-unpaid");
    assert!(refused.header("retry-after").is_some());
    other.orders("LAMP", 1).await.expect(201);

    let engine = engine.restart().await;

    let buyer = engine.visitor().with_token(buyer.token.expect("a token"));
    buyer.orders("LAMP", 1).await.expect_problem(409, "too-many-unpaid");
    report(&engine, &paid(first.id(), 2_500)).await.expect(200);
    let third = eventually("the first one is paid", async || {
        let answer = buyer.orders("LAMP", 1).await;
        (answer.status == 201).then_some(answer)
    })
    .await;
    buyer.orders("LAMP", 1).await.expect_problem(409, "too-many-unpaid");
    buyer.cancels(second.id()).await.expect(200);
    buyer.cancels(third.id()).await.expect(200);
    buyer.orders("LAMP", 1).await.expect(201);
    let operator = Operator { staff: engine.visitor().with_token(operator.staff.token.expect("a token")) };
    let refused = operator.live(&sale).await["decisions"]["refused"].clone();
    assert!(refused["too-many-unpaid"].as_u64().is_some_and(|count| count >= 2), "{refused}");
    expect_no_findings(&engine).await;
    engine.stop().await;
}

#[actix::test]
async fn every_attempt_is_accepted_or_refused_by_a_named_gate() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 100).await;
    engine.sells("VASE", 100).await;
    let sale = operator.opens(plan("LAMP", 3)).await;
    let other_sale = operator.opens(plan("VASE", 3)).await;
    let (buyer, late) = (engine.customer().await, engine.customer().await);
    let with = |key: &'static str, lines: Value, token: &str| {
        let mut order = card_order("LAMP", 1, token);
        order["lines"] = lines;
        let buyer = &buyer;
        async move { buyer.orders_with(key, order).await }
    };
    let lamps = |quantity: i64| json!([{"sku": "LAMP", "quantity": quantity}]);

    with("declined", lamps(1), "tok_declined").await.expect_problem(402, "payment-declined");
    let both = json!([{"sku": "LAMP", "quantity": 1}, {"sku": "VASE", "quantity": 1}]);
    with("both", both, "tok_ok").await.expect_problem(409, "two-sales");
    with("bought", lamps(2), "tok_ok").await.expect(201);
    with("more", lamps(1), "tok_ok").await.expect_problem(409, "limit-reached");
    late.orders_by_card("LAMP", 2).await.expect_problem(409, "sold-out");
    operator.tells(&sale, "pause").await.expect(200);
    let paused = late.orders_by_card("LAMP", 1).await.expect_problem(409, "sale-paused");
    assert!(paused.header("retry-after").is_some(), "{paused:?}");
    operator.tells(&sale, "resume").await.expect(200);
    operator.tells(&sale, "kill").await.expect(200);
    let stopped = late.orders_by_card("LAMP", 1).await.expect_problem(409, "stopped");
    assert!(stopped.header("retry-after").is_some(), "{stopped:?}");

    let decisions = operator.live(&sale).await["decisions"].clone();
    let refused: serde_json::Map<String, Value> = decisions["refused"]
        .as_object()
        .expect("gates")
        .iter()
        .filter(|(_, count)| **count != 0)
        .map(|(gate, count)| (gate.clone(), count.clone()))
        .collect();
    let expected = json!({"payment-declined": 1, "two-sales": 1, "limit-reached": 1, "sold-out": 1, "sale-paused": 1,
        "stopped": 1});
    assert_eq!(Value::Object(refused), expected);
    assert_eq!((&decisions["attempts"], &decisions["accepted"]), (&json!(7), &json!(1)), "{decisions}");
    let elsewhere = operator.live(&other_sale).await["decisions"].clone();
    assert_eq!((&elsewhere["attempts"], &elsewhere["refused"]["two-sales"]), (&json!(1), &json!(1)));
    engine.stop().await;
}

#[actix::test]
async fn a_draining_sale_ends_at_its_deadline_although_pieces_are_held() {
    let engine = TestEngine::start_with(|config| config.sales.drain_within_seconds = 2).await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 10).await;
    let sale = operator.opens(plan("LAMP", 5)).await;
    let (buyer, late) = (engine.customer().await, engine.customer().await);
    let held = buyer.orders("LAMP", 2).await.expect(201);

    operator.tells(&sale, "drain").await.expect(200);

    let draining = operator.staff.get(&format!("/v1/admin/sales/{sale}")).await.expect(200).body;
    assert_eq!(draining["status"], "draining", "{draining}");
    late.orders_by_card("LAMP", 1).await.expect_problem(409, "sale-not-open");
    operator.sees(&sale, "closed").await;
    operator.sees_pieces(&sale, 0, 2, 0, 3).await;
    // What was held can be paid all the same.
    report(&engine, &paid(held.id(), 1_000)).await.expect(200);
    operator.sees_pieces(&sale, 0, 0, 2, 3).await;
    expect_no_findings(&engine).await;
    engine.stop().await;
}

#[actix::test]
async fn an_order_outside_of_every_sale_is_refused_once_a_stop_of_everything_is_answered() {
    let engine = TestEngine::start().await;
    engine.sells("TABLE", 100).await;
    let (staff, buyer) = (engine.staff().await, engine.customer().await);
    let reason = || json!({"reason": "a test"});
    for _ in 0..5 {
        eventually("orders are taken", async || (buyer.orders("TABLE", 1).await.status == 201).then_some(()))
            .await;
        staff.post("/v1/admin/kill", reason()).await.expect(200);
        buyer.orders("TABLE", 1).await.expect_problem(409, "stopped");
        staff.post("/v1/admin/resume", reason()).await.expect(200);
    }
    buyer.orders("TABLE", 1).await.expect(201);
    engine.stop().await;
}

#[actix::test]
async fn no_order_gets_a_piece_of_a_sale_that_just_opened_for_the_general_price() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    for round in 0..5 {
        let sku = format!("LAMP-{round}");
        engine.sells(&sku, 20).await;
        let buyer = engine.customer().await;
        operator.opens(plan(&sku, 10)).await;
        let bought = buyer.orders(&sku, 1).await.expect(201);
        assert_eq!(bought.body["totals"]["total"], 500);
    }
    engine.stop().await;
}
