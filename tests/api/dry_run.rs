//! The dry run of a sale: what it finds out, that nothing of the shop is touched by it, and when it is refused.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio_postgres::SimpleQueryMessage;

use crate::support::{Client, TestEngine, eventually, eventually_within};

pub const ENDED_WITHIN: Duration = Duration::from_secs(120);

fn in_an_hour() -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(1)
}

fn plan(items: &[(&str, i64)], mode: &str) -> Value {
    let items: Vec<Value> = items
        .iter()
        .map(|(sku, allotment)| json!({"sku": sku, "price": 500, "allotment": allotment}))
        .collect();
    json!({
        "name": "Midnight",
        "opens_at": in_an_hour(),
        "closes_at": in_an_hour() + SignedDuration::from_hours(1),
        "items": items,
        "limit_per_customer": 2,
        "konbini": {"allowed": true, "share_max": 1.0},
        "admission": {"mode": mode},
    })
}

async fn planned(staff: &Client, plan: Value) -> String {
    staff.post("/v1/admin/sales", plan).await.expect(201).id().to_owned()
}

/// Until it has ended, however long two busy cores take.
async fn ended(staff: &Client, sale: &str) -> Value {
    eventually_within(ENDED_WITHIN, "the dry run has ended", async || {
        let run = staff.get(&format!("/v1/admin/sales/{sale}/dry-run")).await.expect(200).body;
        (run["state"] != "running").then_some(run)
    })
    .await
}

fn rows(messages: &[SimpleQueryMessage]) -> Vec<String> {
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}

/// Every row of every table, as one line for each table; but for what dry runs keep of themselves.
async fn everything(engine: &TestEngine) -> Vec<String> {
    let tables = engine
        .by_hand(
            "select format('select %L || count(*) || '' '' || coalesce(md5(string_agg(t::text, '','' order by t::text)), '''') \
                    from %I.%I as t', schemaname || '.' || tablename || ' ', schemaname, tablename)
               from pg_tables
              where schemaname not in ('pg_catalog', 'information_schema', 'dry_runs')
              order by 1",
        )
        .await;
    let mut all = Vec::new();
    for table in rows(&tables) {
        all.extend(rows(&engine.by_hand(&table).await));
    }
    assert!(all.len() > 15, "{all:?}");
    all
}

async fn databases_beside(engine: &TestEngine) -> Vec<String> {
    rows(
        &engine
            .by_hand("select datname from pg_database where datname like current_database() || '\\_%'")
            .await,
    )
}

#[actix::test]
async fn a_dry_run_predicts_the_sale_and_changes_nothing_in_the_shop() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 100).await;
    engine.sells("CHAIR", 30).await;
    engine.customer().await.orders("LAMP", 1).await.expect(201);
    let staff = engine.staff().await;
    let sale = planned(&staff, plan(&[("LAMP", 60), ("CHAIR", 40)], "none")).await;
    staff.get(&format!("/v1/admin/sales/{sale}/dry-run")).await.expect_problem(404, "no-dry-run");
    let before = everything(&engine).await;

    let body = json!({"reason": "before the announcement", "customers": 300, "seconds": 15});
    let started = staff.post(&format!("/v1/admin/sales/{sale}/dry-run"), body).await.expect(200);
    assert_eq!(started.body["status"], "draft");
    let running = staff.get(&format!("/v1/admin/sales/{sale}/dry-run")).await.expect(200).body;
    assert_eq!(running["state"], "running", "{running}");
    assert_eq!(running["crowd"]["customers"], 300);
    staff
        .post(&format!("/v1/admin/sales/{sale}/dry-run"), json!({"reason": "again"}))
        .await
        .expect_problem(409, "dry-run-under-way");
    let run = ended(&staff, &sale).await;

    assert_eq!(run["state"], "done", "{run}");
    assert_eq!(run["reason"], "before the announcement");
    let report = &run["report"];
    let course = &report["sale"];
    for (index, allotment) in [(0, 60), (1, 40)] {
        let item = &course["items"][index];
        let pieces = |name: &str| item[name].as_i64().unwrap();
        assert_eq!(pieces("allotment"), allotment);
        // 150 came for each.
        assert_eq!((pieces("sold") + pieces("held"), pieces("remaining")), (allotment, 0), "{item}");
        assert_eq!(item["is_sold_out"], true);
        assert!(item["sells_out_in_seconds"].as_f64().unwrap() > 0.0);
    }
    assert_eq!(course["is_sold_out"], true);
    assert_eq!(course["orders"]["placed"], 100);
    let placed: i64 =
        course["seconds"].as_array().unwrap().iter().map(|it| it["placed"].as_i64().unwrap()).sum();
    assert_eq!(placed, 100);
    assert!(course["latency"]["p99"].as_f64().unwrap() > 0.0);
    let refused = |gate: &str, habit: &str| {
        let all = course["refusals"].as_array().unwrap().iter();
        all.filter(|it| it["gate"] == gate && it["customers_of"] == habit)
            .map(|it| it["customers"].as_i64().unwrap())
            .sum::<i64>()
    };
    assert_eq!(refused("sale-not-open", "early"), 30, "{course}");
    assert!(refused("sold-out", "card") > 0, "{course}");
    assert!(report["machine"]["orders_per_second"].as_f64().unwrap() > 0.0);
    assert_eq!(report["contradictions"], json!([]));
    // The real shop has fewer chairs than are planned.
    assert_eq!(report["findings"][0]["field"], "items[1].allotment", "{report}");
    let untouched = &report["untouched"];
    assert_eq!((&untouched["is_untouched"], &untouched["traces"]), (&json!(true), &json!(0)));
    assert_eq!(untouched["items"][0]["before"], untouched["items"][0]["after"]);
    assert_eq!(untouched["items"][0]["before"]["on_hand"], 100);

    assert_eq!(everything(&engine).await, before);
    assert_eq!(databases_beside(&engine).await, [] as [String; 0]);
    assert!(!engine.config.storage.data_dir.join("dry-run").exists());
    engine.stop().await;
}

#[actix::test]
async fn a_dry_run_uses_the_waiting_room_of_its_sale() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 50).await;
    let staff = engine.staff().await;
    let sale = planned(&staff, plan(&[("LAMP", 50)], "queue")).await;

    let body = json!({"reason": "with a line", "customers": 200, "seconds": 20});
    staff.post(&format!("/v1/admin/sales/{sale}/dry-run"), body).await.expect(200);
    let run = ended(&staff, &sale).await;

    let course = &run["report"]["sale"];
    let queue = |name: &str| course["queue"][name].as_i64().unwrap();
    assert_eq!(queue("joined"), queue("admitted") + queue("turned_away") + queue("waiting"), "{run}");
    assert!(queue("joined") == 200 && queue("admitted") > 0, "{run}");
    // An admission is for one order.
    let placed = course["orders"]["placed"].as_i64().unwrap();
    assert!(placed > 0 && placed <= queue("admitted").min(50), "{run}");
    assert_eq!(run["report"]["contradictions"], json!([]));
    assert_eq!(run["report"]["untouched"]["is_untouched"], true);
    engine.stop().await;
}

#[actix::test]
async fn a_dry_run_reports_a_row_that_it_left_in_the_shop() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 5).await;
    let staff = engine.staff().await;
    let sale = planned(&staff, plan(&[("LAMP", 5)], "none")).await;
    engine
        .by_hand(
            "insert into sales.entries (sale_id, number, customer_id, state, joined_at)
             values ('019b76da-a800-7000-8000-000000000001', 1, '6472792d-7275-8000-8000-000000000007', 'waiting', now())",
        )
        .await;

    let body = json!({"reason": "is it found?", "customers": 20, "seconds": 3});
    staff.post(&format!("/v1/admin/sales/{sale}/dry-run"), body).await.expect(200);
    let run = ended(&staff, &sale).await;

    let untouched = &run["report"]["untouched"];
    assert_eq!((&untouched["is_untouched"], &untouched["traces"]), (&json!(false), &json!(1)), "{run}");
    engine.stop().await;
}

#[actix::test]
async fn a_start_drops_databases_that_dry_runs_left_and_no_others() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 5).await;
    let staff = engine.staff().await;
    let sale = planned(&staff, plan(&[("LAMP", 5)], "none")).await;
    let name = rows(&engine.by_hand("select current_database() || '_dry_run'").await).remove(0);
    engine.by_hand(&format!("create database {name}")).await;

    let body = json!({"reason": "whose is it?", "customers": 20, "seconds": 3});
    let refused = staff.post(&format!("/v1/admin/sales/{sale}/dry-run"), body).await;
    refused.expect_problem(409, "no-dry-run-database");
    engine.by_hand(&format!("insert into storage.scratch (name) values ('{name}')")).await;
    let engine = engine.restart().await;

    eventually("the database that was left behind is dropped", async || {
        databases_beside(&engine).await.is_empty().then_some(())
    })
    .await;
    engine.stop().await;
}

#[actix::test]
async fn a_dry_run_ends_when_a_sale_begins() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 5_000).await;
    engine.sells("CHAIR", 5).await;
    let staff = engine.staff().await;
    let sale = planned(&staff, plan(&[("LAMP", 5_000)], "none")).await;
    let other = planned(&staff, plan(&[("CHAIR", 5)], "none")).await;
    let body = json!({"reason": "too long", "customers": 5_000, "seconds": 60});
    staff.post(&format!("/v1/admin/sales/{sale}/dry-run"), body).await.expect(200);

    for action in ["schedule", "arm"] {
        staff.post(&format!("/v1/admin/sales/{other}/{action}"), json!({"reason": "go"})).await.expect(200);
    }

    let run = ended(&staff, &sale).await;
    assert_eq!(run["state"], "failed", "{run}");
    assert!(run["failure"].as_str().unwrap().contains("is on"), "{run}");
    assert_eq!(databases_beside(&engine).await, [] as [String; 0]);
    engine.stop().await;
}

#[actix::test]
async fn a_dry_run_is_refused_during_a_sale_or_with_impossible_figures() {
    let engine = TestEngine::start_with(|config| config.sales.dry_run_customers_max = 100).await;
    engine.sells("LAMP", 10).await;
    engine.sells("CHAIR", 10).await;
    let staff = engine.staff().await;
    let sale = planned(&staff, plan(&[("LAMP", 5)], "none")).await;
    let other = planned(&staff, plan(&[("CHAIR", 5)], "none")).await;
    let run_dry = async |sale: &str, mut body: Value| {
        body["reason"] = json!("as planned");
        staff.post(&format!("/v1/admin/sales/{sale}/dry-run"), body).await
    };
    let unknown = uuid::Uuid::now_v7().to_string();
    run_dry(&unknown, json!({})).await.expect_problem(404, "unknown-sale");
    run_dry(&sale, json!({"customers": 101})).await.expect_problem(422, "invalid-value");
    run_dry(&sale, json!({"customers": 0})).await.expect_problem(422, "invalid-value");
    run_dry(&sale, json!({"seconds": -1})).await.expect_problem(422, "invalid-value");
    run_dry(&sale, json!({"hours": 1})).await.expect_problem(422, "invalid-body");
    let unknown = planned(&staff, plan(&[("UNKNOWN", 5)], "none")).await;
    run_dry(&unknown, json!({})).await.expect_problem(404, "unknown-sku");
    let customer = engine.customer().await;
    let body = json!({"reason": "out of curiosity"});
    customer.post(&format!("/v1/admin/sales/{sale}/dry-run"), body).await.expect_problem(403, "staff-only");

    // As soon as any sale is on, the machine belongs to its buyers.
    for action in ["schedule", "arm"] {
        staff.post(&format!("/v1/admin/sales/{other}/{action}"), json!({"reason": "go"})).await.expect(200);
    }
    run_dry(&sale, json!({})).await.expect_problem(409, "sale-is-on");
    run_dry(&other, json!({})).await.expect_problem(409, "not-in-status");
    staff.get(&format!("/v1/admin/sales/{sale}/dry-run")).await.expect_problem(404, "no-dry-run");
    engine.stop().await;
}

#[actix::test]
async fn an_engine_that_stops_ends_its_dry_run() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 5_000).await;
    let staff = engine.staff().await;
    let sale = planned(&staff, plan(&[("LAMP", 5_000)], "none")).await;
    let body = json!({"reason": "too long", "customers": 5_000, "seconds": 60});
    staff.post(&format!("/v1/admin/sales/{sale}/dry-run"), body).await.expect(200);

    let engine = engine.restart().await;

    let staff = engine.staff().await;
    let run = ended(&staff, &sale).await;
    assert_eq!((&run["state"], &run["failure"]), (&json!("failed"), &json!("the engine stopped")), "{run}");
    assert_eq!(databases_beside(&engine).await, [] as [String; 0]);
    engine.stop().await;
}
