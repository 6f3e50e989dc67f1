//! Runs against the real engine: clean when all is well, and clean when the engine is killed in the middle.

use std::net::TcpListener;

use serde_json::Value;

use crate::harness::{Bench, findings, result_in, row};
use crate::support::eventually;
use crate::support::shop::Shop;

/// A setting for the engine of a test, which lives as long as the test's process.
fn settings(port: u16) -> Vec<(&'static str, &'static str)> {
    let listen: &'static str = Box::leak(format!("127.0.0.1:{port}").into_boxed_str());
    vec![("SHOBAI_HTTP__LISTEN", listen)]
}

/// A port that no process listens on at this moment.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn admin(shop: &Shop) -> String {
    shop.data_dir().join("demo.json").to_str().unwrap().to_owned()
}

/// Nothing was found. (The generator may have been slow, in a debug build beside other tests; then it has said so.)
#[track_caller]
fn expect_clean(code: i32, result: &Value) {
    assert_eq!(findings(result), [] as [&str; 0], "{:#}", result["audit"]);
    assert_eq!(code, if result["valid"] == true { 0 } else { 3 }, "{result:#}");
}

#[actix_web::test]
async fn the_shipped_scenarios_smoke_and_abuse_find_an_honest_shop() {
    let shop = Shop::open(&[]).await;
    let bench = Bench::new();
    let metrics = format!("{}/metrics", shop.metrics_base());
    let more = ["--audit", "--admin", &admin(&shop), "--metrics", &metrics];

    let (code, result) = bench.run("smoke".as_ref(), &shop.base(), &more).await;
    expect_clean(code, &result);
    assert!(result["engine"]["series"].as_array().unwrap().len() >= 3, "{:#}", result["engine"]);
    for (step, outcome) in [
        ("browse", "accepted"),
        ("look", "accepted"),
        ("place_order", "accepted"),
        ("place_order_by_card", "accepted"),
        ("repeat_order", "accepted"),
        ("follow_order", "accepted"),
        ("cancel_order", "accepted"),
    ] {
        assert!(row(&result, step, outcome)["count"].as_u64().unwrap() > 0);
    }
    assert_eq!(result["totals"]["failed"], 0, "{:#}", result["steps"]);

    let abuse =
        include_str!("../../src/cli/load/scenarios/abuse.toml").replace("seconds = 15", "seconds = 2");
    let (code, result) = bench.run(&bench.write("abuse.toml", &abuse), &shop.base(), &more).await;
    expect_clean(code, &result);
    for (step, reason) in [
        ("send_bad_token", "token-malformed"),
        ("send_huge_body", "body-too-large"),
        ("reuse_key", "idempotency-key-reused"),
    ] {
        let refused = row(&result, step, "refused");
        assert_eq!(refused["reason"], reason, "{refused:#}");
    }
}

#[actix_web::test]
async fn konbini_orders_are_paid_through_the_providers_webhook() {
    let shop = Shop::open(&[]).await;
    let bench = Bench::new();
    let scenario = bench.write(
        "pay.toml",
        r#"
        name = "pay"
        about = "Every customer pays."
        customers = { count = 2 }
        skus = { choose = "zipf", catalogue = 5 }
        stages = [{ kind = "steady", name = "busy", seconds = 1, rate = 40 }]
        journeys = { pay = { weight = 1, steps = ["place_order", "pay_order", "follow_order"] } }
        "#,
    );
    let secret = shop.data_dir().join("keys/sandbox-webhook.secret");
    let more = ["--audit", "--admin", &admin(&shop), "--webhook-secret", secret.to_str().unwrap()];

    let (code, result) = bench.run(&scenario, &shop.base(), &more).await;

    expect_clean(code, &result);
    assert_eq!(row(&result, "pay_order", "accepted")["count"], 40);
    assert_eq!(row(&result, "follow_order", "accepted")["count"], 40);
}

#[actix_web::test]
async fn a_run_goes_on_when_the_engine_was_killed_and_its_audit_is_clean() {
    let settings: &'static [(&str, &str)] = Box::leak(settings(free_port()).into_boxed_slice());
    let mut shop = Shop::open(settings).await;
    let bench = Bench::new();
    let scenario = bench.write(
        "killed.toml",
        r#"
        name = "killed"
        about = "The engine dies in the middle."
        customers = { count = 8 }
        skus = { choose = "hot", catalogue = 3, hot = 1, share = 0.8 }
        stages = [{ kind = "steady", name = "busy", seconds = 12, rate = 200 }]
        [journeys]
        buy = { weight = 3, steps = ["place_order"] }
        change_mind = { weight = 1, steps = ["place_order_by_card", "cancel_order"] }
        "#,
    );
    let more = ["--audit", "--admin", &admin(&shop)];
    let running = bench.start(&scenario, &shop.base(), &more, Some(&shop.data_dir()));
    let door = shop.visitor();
    let before = door.available("SHOBAI-HOT-1").await;
    eventually("it is in full swing", async || {
        (door.available("SHOBAI-HOT-1").await < before - 100).then_some(())
    })
    .await;

    shop.kill_engine().await;
    shop.start().await;

    let (code, result) = running.ended().await;
    expect_clean(code, &result);
    assert_eq!(result["audit"]["engine_audit"]["clean"], true);
    let broken = result["totals"]["failed"].as_u64().unwrap();
    assert!(broken > 0, "the kill hit no request, so this proves nothing");
    let last = result["timeline"].as_array().unwrap().iter().rev().take(4);
    assert!(last.map(|second| second["orders"].as_u64().unwrap()).sum::<u64>() > 0, "it went on");
    shop.expect_clean_audit().await;
}

#[actix_web::test]
async fn two_shards_are_merged_into_one_clean_run() {
    let shop = Shop::open(&[]).await;
    let bench = Bench::new();
    let scenario = bench.write(
        "shards.toml",
        r#"
        name = "shards"
        about = "Two machines."
        threads = 2
        customers = { count = 8 }
        skus = { choose = "one", names = ["SHOBAI-HOT-1"] }
        stages = [{ kind = "steady", name = "busy", seconds = 2, rate = 100 }]
        journeys = { buy = { weight = 1, steps = ["place_order"] } }
        "#,
    );
    let start = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(6)).to_string();
    let shard = async |number: usize| {
        let name = format!("{number}/2");
        bench
            .run(
                &scenario,
                &shop.base(),
                &["--audit", "--admin", &admin(&shop), "--shard", &name, "--start-at", &start],
            )
            .await
    };
    let ((one, first), (other, second)) = tokio::join!(shard(1), shard(2));
    expect_clean(one, &first);
    expect_clean(other, &second);
    assert_eq!((&first["totals"]["accepted"], &second["totals"]["accepted"]), (&100.into(), &100.into()));

    let shards = std::fs::read_dir(&bench.root).unwrap().map(|entry| entry.unwrap().path());
    let shards: Vec<String> =
        shards.filter(|path| path.is_dir()).map(|path| path.to_str().unwrap().to_owned()).collect();
    let out = bench.out("merged");
    let merged = bench.load(&["merge", &shards[0], &shards[1], "--out", out.to_str().unwrap()]).await;

    let result = result_in(&out);
    expect_clean(merged.status.code().unwrap(), &result);
    assert_eq!(result["totals"]["accepted"], 200);
    let placed = row(&result, "place_order", "accepted");
    assert_eq!(placed["count"], 200);
    let longest = [&first, &second]
        .map(|shard| row(shard, "place_order", "accepted")["latency_ms"]["max"].as_f64().unwrap());
    assert_eq!(placed["latency_ms"]["max"], longest[0].max(longest[1]));
    assert_eq!(result["stages"][0]["wanted_per_second"], 100.0);
    let sku = &result["audit"]["skus"][0];
    assert_eq!((&sku["accepted"], &sku["balance"]), (&200.into(), &0.into()), "{sku:#}");

    let compared = bench.load(&["compare", &shards[0], &shards[1]]).await;
    let table = String::from_utf8_lossy(&compared.stdout);
    assert!(compared.status.success() && table.contains("place_order p99 ms"), "{table}");
    assert!(table.contains("unknown: repeat the runs"), "{table}");
    let twice = bench.load(&["merge", &shards[0], &shards[0], "--out", out.to_str().unwrap()]).await;
    assert!(!twice.status.success(), "{twice:?}");
}
