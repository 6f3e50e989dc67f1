//! A sale through the harness: fair and exact although a fifth of its visitors are bots, and found out when it is not.

use serde_json::{Value, json};

use crate::harness::{Bench, findings, row};
use crate::support::eventually;
use crate::support::shop::Shop;

/// The shipped scenario at a fiftieth of its size, which a debug build beside other tests can serve.
fn scenario() -> String {
    include_str!("../../src/cli/load/scenarios/fair-sale.toml")
        .replace("allotment = 500", "allotment = 10")
        .replace("per_second = 400", "per_second = 40")
        .replace("seconds = 20\nworkers = 64", "seconds = 8\nworkers = 16")
        .replace("seconds = 90\nworkers = 128", "seconds = 20\nworkers = 16")
}

const TICKETS: usize = 1_000;

/// A shop that demands a proof of work to join, with the access tokens of its customers in a file.
async fn shop(bench: &Bench) -> (Shop, String) {
    let shop = Shop::open(&[("SHOBAI_SALES__CHALLENGE_BITS", "4")]).await;
    let tokens = shop.customers(TICKETS).await;
    let file = bench.write("tokens", &tokens.join("\n"));
    (shop, file.to_str().unwrap().to_owned())
}

fn admin(shop: &Shop) -> String {
    shop.data_dir().join("demo.json").to_str().unwrap().to_owned()
}

#[track_caller]
fn refused(result: &Value, step: &str, gate: &str) -> u64 {
    let rows = result["steps"].as_array().unwrap().iter();
    let by_gate = rows.filter(|row| row["step"] == step && row["reason"] == gate);
    by_gate.map(|row| row["count"].as_u64().unwrap()).sum()
}

#[actix_web::test]
async fn a_sale_with_bots_sells_exactly_what_it_has_in_the_order_of_its_draw() {
    let bench = Bench::new();
    let (shop, tokens) = shop(&bench).await;
    let path = bench.write("fair.toml", &scenario());
    let metrics = format!("{}/metrics", shop.metrics_base());
    let more = ["--audit", "--admin", &admin(&shop), "--tokens", &tokens, "--metrics", &metrics];

    let (_, result) = bench.run(&path, &shop.base(), &more).await;

    assert_eq!(findings(&result), [] as [&str; 0], "{:#}", result["audit"]);
    assert_eq!(result["audit"]["clean"], true);
    let sale = &result["audit"]["sale"];
    assert_eq!((&sale["sold"], &sale["allotment"]), (&200.into(), &200.into()), "{sale:#}");
    assert_eq!((&sale["tickets"], &sale["drawn"]), (&TICKETS.into(), &TICKETS.into()), "{sale:#}");
    assert!(sale["most_of_one"].as_i64().unwrap() <= 2, "{sale:#}");
    assert!(
        sale["admitted"].as_u64().unwrap() < TICKETS as u64 / 2,
        "not every customer is admitted: {sale:#}"
    );
    assert_eq!(sale["offences"], sale["explained"], "{sale:#}");
    // Every rule was broken, and by its own gate refused.
    for (step, gate) in [
        ("join_with_wrong_work", "challenge-not-solved"),
        ("order_without_admission", "not-admitted"),
        ("order_with_stolen_admission", "not-admitted"),
        ("order_too_much", "limit-reached"),
        ("order_too_fast", "too-fast"),
        ("place_order_by_shared_card", "limit-reached"),
    ] {
        assert!(refused(&result, step, gate) > 0, "{step} {gate}: {:#}", result["steps"]);
    }
    assert!(row(&result, "poll_queue", "accepted")["count"].as_u64().unwrap() > TICKETS as u64);

    // The engine's own books say the same: it is settled, and every row of its report is explained.
    let id = sale["id"].as_str().unwrap();
    let staff = signed_in(&shop).await;
    let report = staff.get(&format!("/v1/admin/sales/{id}/report")).await.expect(200).body;
    let summary = &report["summary"];
    assert_eq!((&summary["is_clean"], &summary["unexplained"]), (&true.into(), &0.into()), "{summary:#}");
    assert_eq!(summary["totals"]["paid"]["pieces"], 200, "{summary:#}");
    assert_eq!(summary["sale"]["status"], "settled");
    shop.expect_clean_audit().await;
}

async fn signed_in(shop: &Shop) -> crate::support::Client {
    let demo = shop.demo();
    let text = |member: &str| demo["admin"][member].as_str().unwrap().to_owned();
    let body = json!({"email": text("email"), "password": text("password")});
    let session = shop.visitor().post("/v1/auth/login", body).await.expect(200).body;
    shop.visitor().with_token(session["access_token"].as_str().unwrap())
}

#[actix_web::test]
async fn an_audit_finds_a_sale_that_sold_more_than_planned() {
    let bench = Bench::new();
    let (shop, tokens) = shop(&bench).await;
    let path = bench.write("more.toml", &scenario());
    let staff = signed_in(&shop).await;
    let more = ["--audit", "--admin", &admin(&shop), "--tokens", &tokens];
    let running = bench.start(&path, &shop.base(), &more, None);

    // An operator gives the sale three pieces of one SKU more, which the plan of the run does not know.
    let sale = eventually("it is armed", async || {
        let sales = staff.get("/v1/admin/sales").await.expect(200);
        sales.items().iter().find(|sale| sale["status"] == "armed").cloned()
    })
    .await;
    let (id, sku) = (sale["id"].as_str().unwrap(), sale["items"][0]["sku"].as_str().unwrap());
    let path = format!("/v1/admin/sales/{id}/items/{sku}");
    let request = staff.request(reqwest::Method::PATCH, &path);
    let changed = json!({"allotment": 13, "expected": 10, "reason": "a test"});
    staff.send(request.json(&changed)).await.expect(200);

    let (code, result) = running.ended().await;
    assert_eq!((code, findings(&result)), (1, vec!["oversold"]), "{:#}", result["audit"]);
    let found = &result["audit"]["findings"][0];
    assert_eq!(found["count"], 3, "{found:#}");
}
