//! A flash sale through the API: planned, armed, opened, steered and closed, and what its gates do with orders.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::client::{card_order, konbini_order};
use crate::support::events::Events;
use crate::support::{Answer, Client, TestEngine, eventually};

/// From now, in milliseconds.
pub fn soon(milliseconds: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_millis(milliseconds)
}

pub fn plan(sku: &str, allotment: i64) -> Value {
    json!({
        "name": "Midnight",
        "opens_at": soon(-1_000),
        "closes_at": soon(600_000),
        "items": [{"sku": sku, "price": 500, "allotment": allotment}],
        "limit_per_customer": 2,
        "hold_seconds": {"card": 600, "konbini": 3600},
        "konbini": {"allowed": true, "share_max": 1.0},
        "admission": {"mode": "none"},
    })
}

pub struct Operator {
    pub staff: Client,
}

impl Operator {
    pub async fn of(engine: &TestEngine) -> Self {
        Self { staff: engine.staff().await }
    }

    pub async fn plans(&self, plan: Value) -> String {
        self.staff.post("/v1/admin/sales", plan).await.expect(201).id().to_owned()
    }

    pub async fn replans(&self, sale: &str, change: Value) -> Answer {
        let request = self.staff.request(reqwest::Method::PATCH, &format!("/v1/admin/sales/{sale}"));
        self.staff.send(request.json(&change)).await
    }

    pub async fn tells(&self, sale: &str, action: &str) -> Answer {
        self.staff.post(&format!("/v1/admin/sales/{sale}/{action}"), json!({"reason": "as planned"})).await
    }

    pub async fn opens(&self, plan: Value) -> String {
        let sale = self.plans(plan).await;
        self.tells(&sale, "schedule").await.expect(200);
        self.tells(&sale, "arm").await.expect(200);
        self.sees(&sale, "open").await;
        sale
    }

    pub async fn sees(&self, sale: &str, status: &str) {
        eventually(&format!("the sale is {status}"), async || {
            (self.status(sale).await == status).then_some(())
        })
        .await;
    }

    pub async fn status(&self, sale: &str) -> String {
        let sale = self.staff.get(&format!("/v1/admin/sales/{sale}")).await.expect(200);
        sale.body["status"].as_str().expect("a status").to_owned()
    }

    pub async fn live(&self, sale: &str) -> Value {
        self.staff.get(&format!("/v1/admin/sales/{sale}/live")).await.expect(200).body
    }

    /// Remaining, held, sold and returned pieces of the first SKU.
    pub async fn sees_pieces(&self, sale: &str, remaining: i64, held: i64, sold: i64, returned: i64) {
        let expected = json!([remaining, held, sold, returned]);
        let found = std::cell::RefCell::new(Value::Null);
        let seen = eventually("the pieces are where they belong", async || {
            let item = self.live(sale).await["items"][0].clone();
            found.replace(json!([item["remaining"], item["held"], item["sold"], item["returned"]]));
            (*found.borrow() == expected).then_some(())
        });
        if tokio::time::timeout(Duration::from_secs(10), seen).await.is_err() {
            panic!("{} and not {expected}", found.borrow());
        }
    }
}

pub async fn expect_no_findings(engine: &TestEngine) {
    eventually("a clean audit", async || engine.audit().await.is_empty().then_some(())).await;
}

#[actix::test]
async fn a_sale_goes_from_its_plan_to_its_end() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 10).await;
    let buyer = engine.customer().await;
    let plan = plan("LAMP", 8);
    let draft = operator.staff.post("/v1/admin/sales", plan.clone()).await.expect(201);
    let sale = draft.id().to_owned();
    assert_eq!(draft.header("location"), Some(&*format!("/v1/admin/sales/{sale}")));
    assert_eq!(draft.body["items"], json!([{"sku": "LAMP", "price": 500, "allotment": 8, "stopped": false}]));
    for member in ["name", "limit_per_customer", "hold_seconds", "konbini"] {
        assert_eq!(draft.body[member], plan[member], "{member}");
    }

    // A draft is not public, and the shop sells as always.
    engine.visitor().get(&format!("/v1/sales/{sale}")).await.expect(404);
    let as_always = buyer.orders("LAMP", 1).await.expect(201);
    assert_eq!(as_always.body["totals"]["total"], 1_980);

    operator.tells(&sale, "schedule").await.expect(200);
    operator.tells(&sale, "schedule").await.expect(200);
    operator.sees(&sale, "open").await;
    operator.sees_pieces(&sale, 8, 0, 0, 0).await;
    let public = engine.visitor().get(&format!("/v1/sales/{sale}")).await.expect(200).body;
    assert_eq!((&public["state"], &public["items"][0]["left"]), (&json!("open"), &json!("many")));
    assert_eq!(engine.visitor().get("/v1/sales").await.expect(200).items().len(), 1);
    // One piece is left in general stock, and is not sold while the sale is on.
    assert_eq!(operator.staff.get("/v1/admin/inventory/LAMP").await.expect(200).body["allotted"], 8);

    let in_sale = buyer.orders("LAMP", 2).await.expect(201);
    assert_eq!(in_sale.body["totals"]["total"], 1_000, "two at the price of the sale");
    let other = engine.customer().await;
    other.orders_by_card("LAMP", 2).await.expect(201);
    operator.sees_pieces(&sale, 4, 2, 2, 0).await;
    eventually("the light is green", async || {
        (operator.live(&sale).await["invariant"]["green"] == true).then_some(())
    })
    .await;

    operator.tells(&sale, "drain").await.expect(200);
    other.orders("LAMP", 1).await.expect_problem(409, "sale-not-open");
    assert_eq!(operator.status(&sale).await, "draining");
    // The last hold ends, and with it the draining.
    buyer.cancels(in_sale.id()).await.expect(200);
    operator.sees(&sale, "closed").await;
    operator.sees_pieces(&sale, 0, 0, 2, 6).await;
    operator.tells(&sale, "settle").await.expect(200);
    let report = operator.staff.get(&format!("/v1/admin/sales/{sale}/report")).await.expect(200);
    shobai::audit::verify(&report.text).expect("as it was signed");
    for (accept, beginning) in [("text/html", "<!doctype html>"), ("text/csv", "")] {
        let path = format!("/v1/admin/sales/{sale}/report");
        let request = operator.staff.request(reqwest::Method::GET, &path).header("Accept", accept);
        let page = operator.staff.send(request).await.expect(200);
        assert!(page.header("content-type").is_some_and(|media_type| media_type.starts_with(accept)));
        assert!(page.text.to_lowercase().starts_with(beginning) && page.text.contains("LAMP"), "{page:?}");
    }
    // The shop sells as always.
    assert_eq!(buyer.orders("LAMP", 1).await.expect(201).body["totals"]["total"], 1_980);
    operator.tells(&sale, "pause").await.expect_problem(409, "not-in-status");

    let changes = operator.staff.get(&format!("/v1/admin/sales/{sale}/changes")).await.expect(200);
    let actions = changes.each("action");
    assert_eq!(actions, ["create", "schedule", "arm", "open", "drain", "close", "settle"].map(Value::from));
    assert_eq!(changes.items()[1]["before"], json!({"status": "draft", "stopped": false}));
    assert_eq!(changes.items()[1]["after"], json!({"status": "scheduled", "stopped": false}));
    assert!(changes.items()[1]["actor"].is_string() && changes.items()[3]["actor"].is_null());
    let kinds: Vec<Value> = operator
        .staff
        .all_pages("/v1/admin/inventory/LAMP/movements", 100)
        .await
        .iter()
        .map(|movement| movement["kind"].clone())
        .collect();
    assert!(kinds.contains(&json!("allotted")) && kinds.contains(&json!("returned")), "{kinds:?}");
    expect_no_findings(&engine).await;
    engine.stop().await;
}

#[actix::test]
async fn orders_before_the_opening_and_after_the_end_are_refused() {
    let engine = TestEngine::start_with(|config| {
        config.sales.order_every_ms = 0;
        config.sales.unpaid_orders_max = 0;
    })
    .await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 1_000_000).await;
    let (opens_at, closes_at) = (soon(2_500), soon(4_500));
    let mut plan = plan("LAMP", 1_000_000);
    plan["opens_at"] = json!(opens_at);
    plan["closes_at"] = json!(closes_at);
    plan["limit_per_customer"] = Value::Null;
    let sale = operator.plans(plan).await;
    operator.tells(&sale, "schedule").await.expect(200);
    // It is armed by itself, shortly before it opens.
    operator.sees(&sale, "armed").await;
    let early = engine.customer().await.orders("LAMP", 1).await.expect_problem(409, "sale-not-open");
    let wait: i64 = early.header("retry-after").expect("a time").parse().expect("seconds");
    assert!((1..=3).contains(&wait), "{wait}");

    let crowd = join_all((0..8).map(|_| engine.customer())).await;
    let placed = join_all(crowd.iter().map(async |buyer| {
        let mut placed = Vec::new();
        while Timestamp::now() < closes_at + SignedDuration::from_millis(500) {
            let (asked, answer, answered) =
                (Timestamp::now(), buyer.orders("LAMP", 1).await, Timestamp::now());
            match answer.status {
                201 => placed.push((asked, answered)),
                _ => drop(answer.expect_problem(409, "sale-not-open")),
            }
        }
        placed
    }))
    .await;
    let placed: Vec<_> = placed.into_iter().flatten().collect();
    assert!(placed.len() > 100, "{}", placed.len());
    assert!(placed.iter().all(|(asked, answered)| *answered >= opens_at && *asked < closes_at));
    operator.sees(&sale, "closed").await;
    expect_no_findings(&engine).await;
    engine.stop().await;
}

#[actix::test]
async fn a_thousand_requests_of_one_customer_get_as_many_pieces_as_the_limit() {
    let engine = TestEngine::start_with(|config| config.sales.order_every_ms = 0).await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 100).await;
    let sale = operator.opens(plan("LAMP", 100)).await;
    let buyer = engine.customer().await;

    let answers = join_all((0..1_000).map(|_| buyer.orders("LAMP", 1))).await;

    let (placed, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!(placed.len(), 2);
    refused.into_iter().for_each(|answer| drop(answer.expect_problem(409, "limit-reached")));
    let live = operator.live(&sale).await;
    assert_eq!(
        live["decisions"],
        json!({"attempts": 1_000, "accepted": 2, "refused": {"limit-reached": 998}})
    );
    // What is cancelled may be had again, and not more.
    buyer.cancels(placed[0].id()).await.expect(200);
    buyer.orders("LAMP", 2).await.expect_problem(409, "limit-reached");
    buyer.orders_by_card("LAMP", 1).await.expect(201);
    buyer.orders("LAMP", 1).await.expect_problem(409, "limit-reached");
    expect_no_findings(&engine).await;
    engine.stop().await;
}

#[actix::test]
async fn an_account_that_orders_too_fast_is_told_to_wait() {
    let engine = TestEngine::start_with(|config| {
        config.sales.order_every_ms = 60_000;
        config.sales.orders_at_once = 2;
    })
    .await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 100).await;
    operator.opens(plan("LAMP", 100)).await;
    let buyer = engine.customer().await;
    buyer.orders_by_card("LAMP", 1).await.expect(201);
    buyer.orders_by_card("LAMP", 1).await.expect(201);
    let refused = buyer.orders_by_card("LAMP", 1).await.expect_problem(429, "too-fast");
    let wait: i64 = refused.header("retry-after").expect("a time").parse().expect("seconds");
    assert!((50..=60).contains(&wait), "{wait}");
    engine.customer().await.orders_by_card("LAMP", 1).await.expect(201);
    engine.stop().await;
}

#[actix::test]
async fn the_limit_recognises_a_customer_by_phone_and_by_card() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 100).await;
    operator.opens(plan("LAMP", 100)).await;
    for order in [konbini_order("LAMP", 2), card_order("LAMP", 2, "tok_ok_4242")] {
        engine.customer().await.orders_with("first", order.clone()).await.expect(201);
        engine.customer().await.orders_with("first", order).await.expect_problem(409, "limit-reached");
    }
    engine.customer().await.orders_with("first", card_order("LAMP", 2, "tok_ok_4343")).await.expect(201);
    engine.stop().await;
}

#[actix::test]
async fn the_last_piece_of_a_sale_is_sold_once_and_may_come_back() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 100).await;
    let sale = operator.opens(plan("LAMP", 10)).await;
    let crowd = join_all((0..60).map(|_| engine.customer())).await;

    let answers = join_all(crowd.iter().map(|buyer| buyer.orders_by_card("LAMP", 1))).await;

    let placed = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(placed, 10);
    operator.sees_pieces(&sale, 0, 0, 10, 0).await;
    let last = engine.customer().await.orders("LAMP", 1).await.expect_problem(409, "sold-out");
    assert_eq!((last.body["available"].as_i64(), last.header("retry-after")), (Some(0), None));
    // One pays nothing yet, so the next one is told to come again.
    let bought = answers.iter().position(|answer| answer.status == 201).expect("a buyer");
    crowd[bought].cancels(answers[bought].id()).await.expect(200);
    crowd[bought].orders("LAMP", 1).await.expect(201);
    let last = engine.customer().await.orders("LAMP", 1).await.expect_problem(409, "sold-out");
    assert_eq!((last.body["held"].as_i64(), last.header("retry-after")), (Some(1), Some("5")));
    expect_no_findings(&engine).await;
    engine.stop().await;
}

#[actix::test]
async fn pause_and_kill_are_in_effect_within_a_second_and_outlive_a_restart() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 1_000).await;
    let mut unlimited = plan("LAMP", 1_000);
    unlimited["limit_per_customer"] = Value::Null;
    let sale = operator.opens(unlimited).await;
    let buyer = engine.customer().await;
    let paths = |what: &str| match what {
        "pause" => (format!("/v1/admin/sales/{sale}/pause"), format!("/v1/admin/sales/{sale}/resume")),
        "kill" => (format!("/v1/admin/sales/{sale}/kill"), format!("/v1/admin/sales/{sale}/resume")),
        "kill of the sku" => (
            format!("/v1/admin/sales/{sale}/items/LAMP/kill"),
            format!("/v1/admin/sales/{sale}/items/LAMP/resume"),
        ),
        _ => ("/v1/admin/kill".to_owned(), "/v1/admin/resume".to_owned()),
    };
    let reason = || json!({"reason": "a test"});
    for (what, code) in [
        ("pause", "sale-paused"),
        ("kill", "stopped"),
        ("kill of the sku", "stopped"),
        ("kill of everything", "stopped"),
    ] {
        let (stop, go_on) = paths(what);
        buyer.orders("LAMP", 1).await.expect(201);
        let began = Instant::now();
        operator.staff.post(&stop, reason()).await.expect(200);
        buyer.orders("LAMP", 1).await.expect_problem(409, code);
        assert!(began.elapsed() < Duration::from_secs(1), "{what}");
        operator.staff.post(&stop, reason()).await.expect(200);
        // Reading stays up, and staff pass a switch.
        buyer.get("/v1/orders").await.expect(200);
        let staff = operator.staff.orders("LAMP", 1).await;
        assert_eq!(staff.status == 201, code == "stopped", "{what}: {staff:?}");
        operator.staff.post(&go_on, reason()).await.expect(200);
        buyer.orders("LAMP", 1).await.expect(201);
        operator.staff.post(&stop, reason()).await.expect(200);
        operator.staff.post(&go_on, reason()).await.expect(200);
    }
    operator.staff.post(&paths("pause").0, reason()).await.expect(200);
    operator.staff.post(&paths("kill of everything").0, reason()).await.expect(200);

    let engine = engine.restart().await;

    let operator = Operator { staff: engine.visitor().with_token(operator.staff.token.expect("a token")) };
    let buyer = engine.visitor().with_token(buyer.token.expect("a token"));
    buyer.orders("LAMP", 1).await.expect_problem(409, "stopped");
    operator.staff.post("/v1/admin/resume", reason()).await.expect(200);
    buyer.orders("LAMP", 1).await.expect_problem(409, "sale-paused");
    operator.tells(&sale, "resume").await.expect(200);
    buyer.orders("LAMP", 1).await.expect(201);
    expect_no_findings(&engine).await;
    engine.stop().await;
}

#[actix::test]
async fn a_restart_keeps_the_schedule_and_the_limits() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 10).await;
    engine.sells("CHAIR", 10).await;
    let open = operator.opens(plan("LAMP", 5)).await;
    let buyer = engine.customer().await;
    let held = buyer.orders("LAMP", 1).await.expect(201);
    buyer.orders_by_card("LAMP", 1).await.expect(201);
    let mut later = plan("CHAIR", 5);
    later["opens_at"] = json!(soon(3_000));
    let scheduled = operator.plans(later).await;
    operator.tells(&scheduled, "schedule").await.expect(200);

    let engine = engine.restart().await;

    let operator = Operator { staff: engine.visitor().with_token(operator.staff.token.expect("a token")) };
    let buyer = engine.visitor().with_token(buyer.token.expect("a token"));
    buyer.orders("LAMP", 1).await.expect_problem(409, "limit-reached");
    buyer.cancels(held.id()).await.expect(200);
    buyer.orders("LAMP", 1).await.expect(201);
    buyer.orders("LAMP", 1).await.expect_problem(409, "limit-reached");
    operator.sees(&scheduled, "open").await;
    buyer.orders("CHAIR", 1).await.expect(201);
    operator.tells(&open, "cancel").await.expect(200);
    operator.sees_pieces(&open, 0, 1, 1, 3).await;
    expect_no_findings(&engine).await;
    engine.stop().await;
}

#[actix::test]
async fn an_allotment_is_changed_from_what_it_was_and_never_below_what_is_promised() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 20).await;
    let mut unlimited = plan("LAMP", 10);
    unlimited["limit_per_customer"] = Value::Null;
    let sale = operator.opens(unlimited).await;
    join_all((0..3).map(|_| async { engine.customer().await.orders("LAMP", 2).await.expect(201) })).await;
    let change = async |allotment: i64, expected: i64| {
        let request =
            operator.staff.request(reqwest::Method::PATCH, &format!("/v1/admin/sales/{sale}/items/LAMP"));
        operator.staff.send(request.json(&json!({"allotment": allotment, "expected": expected}))).await
    };

    change(12, 11).await.expect_problem(409, "allotment-differs");
    change(5, 10).await.expect_problem(409, "below-promised");
    change(21, 10).await.expect_problem(409, "too-few-to-allot");
    assert_eq!(change(6, 10).await.expect(200).body["items"][0]["allotment"], 6);
    // Asked again, because the answer was lost.
    change(6, 10).await.expect(200);
    engine.customer().await.orders("LAMP", 1).await.expect_problem(409, "sold-out");
    change(20, 6).await.expect(200);
    operator.sees_pieces(&sale, 14, 6, 0, 0).await;
    expect_no_findings(&engine).await;
    engine.stop().await;
}

#[actix::test]
async fn konbini_payment_may_be_excluded_or_limited_to_a_share() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    for sku in ["LAMP", "CHAIR"] {
        engine.sells(sku, 20).await;
    }
    let mut without = plan("LAMP", 10);
    without["konbini"]["allowed"] = json!(false);
    operator.opens(without).await;
    let buyer = engine.customer().await;
    buyer.orders("LAMP", 1).await.expect_problem(409, "konbini-not-allowed");
    buyer.orders_by_card("LAMP", 1).await.expect(201);

    let mut share = plan("CHAIR", 10);
    share["konbini"]["share_max"] = json!(0.25);
    share["limit_per_customer"] = Value::Null;
    operator.opens(share).await;
    let first = buyer.orders("CHAIR", 2).await.expect(201);
    let full = buyer.orders("CHAIR", 1).await.expect_problem(409, "konbini-share-reached");
    assert!(full.header("retry-after").is_some());
    buyer.orders_by_card("CHAIR", 1).await.expect(201);
    buyer.cancels(first.id()).await.expect(200);
    buyer.orders("CHAIR", 1).await.expect(201);
    engine.stop().await;
}

#[actix::test]
async fn a_plan_is_answered_with_all_its_problems_at_once() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 5).await;
    let impossible = json!({
        "name": "Bad", "opens_at": soon(10_000), "closes_at": soon(0), "limit_per_customer": 0,
        "items": [{"sku": "LAMP", "price": 1, "allotment": 1}, {"sku": "LAMP", "price": 1, "allotment": 1}],
    });
    let refused =
        operator.staff.post("/v1/admin/sales", impossible).await.expect_problem(422, "sale-not-valid");
    let fields: Vec<&Value> = refused.body["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|finding| &finding["field"])
        .collect();
    assert_eq!(fields, ["closes_at", "items[1].sku", "limit_per_customer"]);

    let mut unready = plan("LAMP", 6);
    unready["items"].as_array_mut().expect("items").push(json!({"sku": "GHOST", "price": 1, "allotment": 1}));
    let sale = operator.plans(unready).await;
    let validated =
        operator.staff.post(&format!("/v1/admin/sales/{sale}/validate"), json!({})).await.expect(200);
    assert_eq!(validated.body["findings"].as_array().expect("findings").len(), 3, "{validated:?}");
    operator.tells(&sale, "schedule").await.expect_problem(422, "sale-not-valid");
    assert_eq!(operator.status(&sale).await, "draft");

    // Planned anew it is well; then the stock goes, and it does not arm.
    let replan = || operator.staff.request(reqwest::Method::PATCH, &format!("/v1/admin/sales/{sale}"));
    let items = json!({"items": [{"sku": "LAMP", "price": 1, "allotment": 5}], "opens_at": soon(90_000)});
    let replanned = operator.staff.send(replan().json(&items)).await.expect(200);
    assert_eq!(
        (replanned.body["name"].as_str(), replanned.body["version"].as_i64()),
        (Some("Midnight"), Some(2))
    );
    operator.tells(&sale, "schedule").await.expect(200);
    engine.customer().await.orders("LAMP", 1).await.expect(201);
    operator.tells(&sale, "arm").await.expect_problem(409, "sale-not-ready");
    assert_eq!(operator.status(&sale).await, "scheduled");
    operator.staff.send(replan().json(&items)).await.expect_problem(409, "not-a-draft");

    // Where one SKU is short, the parts of the others go back, and it arms once that one is there again.
    engine.sells("CHAIR", 5).await;
    let mut both = plan("CHAIR", 5);
    both["items"].as_array_mut().expect("items").push(json!({"sku": "TABLE", "price": 1, "allotment": 5}));
    both["opens_at"] = json!(soon(90_000));
    engine.sells("TABLE", 5).await;
    let pair = operator.plans(both).await;
    operator.tells(&pair, "schedule").await.expect(200);
    let bought = engine.customer().await;
    let order = bought.orders("TABLE", 1).await.expect(201);
    operator.tells(&pair, "arm").await.expect_problem(409, "sale-not-ready");
    assert_eq!(operator.staff.get("/v1/inventory/CHAIR").await.expect(200).body["available"], 5);
    bought.cancels(order.id()).await.expect(200);
    operator.tells(&pair, "arm").await.expect(200);
    assert_eq!(operator.staff.get("/v1/inventory/CHAIR").await.expect(200).body["available"], 0);

    // Another sale of the same SKU at the same time is not scheduled.
    let rival = operator.plans({
        let mut rival = plan("LAMP", 1);
        rival["opens_at"] = json!(soon(100_000));
        rival
    });
    operator.tells(&rival.await, "schedule").await.expect_problem(422, "sale-not-valid");
    engine.stop().await;
}

#[actix::test]
async fn only_staff_see_and_control_sales() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 5).await;
    let sale = operator.plans(plan("LAMP", 1)).await;
    let customer = engine.customer().await;
    for path in ["", "/live", "/changes"] {
        customer.get(&format!("/v1/admin/sales/{sale}{path}")).await.expect_problem(403, "staff-only");
    }
    customer.get("/v1/admin/sales").await.expect_problem(403, "staff-only");
    let reason = || json!({"reason": "mine"});
    customer
        .post(&format!("/v1/admin/sales/{sale}/schedule"), reason())
        .await
        .expect_problem(403, "staff-only");
    customer
        .post(&format!("/v1/admin/sales/{sale}/items/LAMP/kill"), reason())
        .await
        .expect_problem(403, "staff-only");
    customer
        .post(&format!("/v1/admin/sales/{sale}/items/LAMP/resume"), reason())
        .await
        .expect_problem(403, "staff-only");
    customer.post("/v1/admin/kill", reason()).await.expect_problem(403, "staff-only");
    customer.post("/v1/admin/resume", reason()).await.expect_problem(403, "staff-only");
    operator.tells(&sale, "open").await.expect(404);
    operator
        .tells("019b0000-0000-7000-8000-000000000000", "schedule")
        .await
        .expect_problem(404, "unknown-sale");
    assert_eq!(operator.staff.get("/v1/admin/sales").await.expect(200).items().len(), 1);
    engine.stop().await;
}

#[actix::test]
async fn unpaid_pieces_return_to_the_sale_and_are_counted_as_expired() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 4).await;
    let mut plan = plan("LAMP", 4);
    plan["hold_seconds"]["konbini"] = json!(1);
    let sale = operator.opens(plan).await;
    let buyer = engine.customer().await;
    let order = buyer.orders("LAMP", 2).await.expect(201).id().to_owned();
    buyer.orders_by_card("LAMP", 1).await.expect_problem(409, "limit-reached");
    eventually("it expired", async || (buyer.order(&order).await.body["status"] == "expired").then_some(()))
        .await;
    operator.sees_pieces(&sale, 4, 0, 0, 0).await;

    // The limit counts them no longer, nor the pieces that are cancelled.
    let second = eventually("they can order again", async || {
        let answer = buyer.orders_by_card("LAMP", 2).await;
        (answer.status == 201).then_some(answer)
    })
    .await;
    buyer.orders_by_card("LAMP", 1).await.expect_problem(409, "limit-reached");
    buyer.cancels(second.id()).await.expect(200);
    let item = eventually("all came back", async || {
        let item = operator.live(&sale).await["items"][0].clone();
        (item["lapsed"] == 4).then_some(item)
    })
    .await;
    assert_eq!((&item["expired"], &item["remaining"]), (&json!(2), &json!(4)), "{item}");
    operator.tells(&sale, "close").await.expect(200);
    let report = operator.staff.get(&format!("/v1/admin/sales/{sale}/report")).await.expect(200).body;
    assert_eq!(report["summary"]["totals"]["expired"]["pieces"], 2, "{report}");
    assert_eq!(report["summary"]["totals"]["cancelled"]["pieces"], 2, "{report}");
    expect_no_findings(&engine).await;
    engine.stop().await;
}

#[actix::test]
async fn a_stream_shows_the_progress_of_a_sale_within_a_second() {
    let engine = TestEngine::start().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 5).await;
    let sale = operator.opens(plan("LAMP", 5)).await;
    let request = operator.staff.request(reqwest::Method::GET, &format!("/v1/admin/sales/{sale}/live"));
    let mut stream = Events::open(request.header("Accept", "text/event-stream")).await;
    stream.message().await;
    engine.customer().await.orders("LAMP", 2).await.expect(201);
    let told = tokio::time::timeout(Duration::from_secs(1), async {
        while stream.message().await["items"][0]["held"] != 2 {}
    });
    told.await.expect("within a second");
    engine.stop().await;
}
