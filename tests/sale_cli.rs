//! `shobai sale` as an operator uses it: the real binary against a real engine.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test's way to say that this must not happen")]

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::shop::Shop;

const SKU: &str = "SHOBAI-HOT-1";

/// An operator at a shell.
struct Operator<'a> {
    shop: &'a Shop,
}

impl Operator<'_> {
    async fn says(&self, words: &[&str]) -> Output {
        let url = self.shop.base();
        self.shop.run(&[&["sale"], words, &["--url", &url]].concat()).await
    }

    /// What is printed when it is done.
    async fn does(&self, words: &[&str]) -> String {
        let output = self.says(words).await;
        assert_eq!(output.status.code(), Some(0), "{words:?}: {output:?}\n{}", self.shop.last_words());
        String::from_utf8(output.stdout).unwrap()
    }

    async fn gets(&self, words: &[&str]) -> Value {
        let text = self.does(&[words, &["--json"]].concat()).await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// What the engine answered when it refused.
    async fn is_refused(&self, words: &[&str]) -> Value {
        let output = self.says(&[words, &["--json"]].concat()).await;
        assert_eq!(output.status.code(), Some(2), "{words:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    async fn sees(&self, sale: &str, status: &str) {
        eventually(&format!("the sale is {status}"), async || {
            (self.gets(&["show", sale]).await["status"] == status).then_some(())
        })
        .await;
    }
}

#[actix_web::test]
async fn an_operator_takes_a_sale_from_its_plan_to_its_end() {
    let shop = Shop::open(&[]).await;
    let operator = Operator { shop: &shop };
    let item = format!("{SKU}:2200:500");
    let plan =
        ["create", "--name", "Midnight drop", "--opens-at", "+8s", "--closes-at", "+1h", "--item", &item];

    let created = operator.does(&[&plan[..], &["--limit", "2", "--konbini-share", "0.3"]].concat()).await;
    let sale = created.split(' ').next().unwrap();
    assert!(created.contains("Midnight drop: draft"), "{created}");
    assert!(created.contains("SHOBAI-HOT-1: 500 pieces at ¥2,200"), "{created}");
    assert!(created.contains("2 for each customer") && created.contains("30 %"), "{created}");
    assert_eq!(operator.gets(&["show", sale]).await["konbini"], json!({"allowed": true, "share_max": 0.3}));
    assert!(operator.does(&["list"]).await.contains(sale));

    assert!(operator.does(&["validate", sale]).await.contains("nothing keeps it"));
    let scheduled = operator.does(&["schedule", sale, "--reason", "as planned"]).await;
    assert!(scheduled.contains("scheduled, opens in 0:0"), "{scheduled}");
    operator.does(&["arm", sale]).await;
    operator.sees(sale, "open").await;
    operator.does(&["pause", sale, "--reason", "too fast"]).await;
    let buyer = shop.visitor().with_token(shop.customers(1).await.remove(0));
    buyer.orders(SKU, 1).await.expect_problem(409, "sale-paused");
    for _ in 0..2 {
        operator.does(&["resume", sale, "--ends", "pause"]).await;
    }
    let unpaid = buyer.orders(SKU, 1).await.expect(201);

    assert!(operator.does(&["allot", sale, SKU, "400", "--expected", "500"]).await.contains("400 pieces"));
    let refused = operator.is_refused(&["allot", sale, SKU, "300", "--expected", "500"]).await;
    assert_eq!(refused["code"], "allotment-differs");

    // One switch for a SKU, one for the sale, one for everything.
    for (which, killed) in [
        (&[sale, "--sku", SKU][..], "2,200, STOPPED"),
        (&[sale], "open, STOPPED"),
        (&["--everything"], "all orders of customers are STOPPED"),
    ] {
        let kill = operator.does(&[&["kill"], which, &["--reason", "a test"]].concat()).await;
        assert!(kill.contains(killed), "{kill}");
        buyer.orders(SKU, 1).await.expect_problem(409, "stopped");
        operator.does(&[&["resume"], which].concat()).await;
    }
    buyer.orders_by_card(SKU, 1).await.expect(201);

    let watched = operator.does(&["watch", sale, "--for", "2"]).await;
    let lines: Vec<&str> = watched.lines().collect();
    assert!((1..=3).contains(&lines.len()), "{watched}");
    for part in ["JST  open, closes in 59:", "SHOBAI-HOT-1 398 remaining 1 held 1 paid", "attempts/s"] {
        assert!(lines.last().unwrap().contains(part), "{watched}");
    }
    let raw = operator.does(&["watch", sale, "--for", "1", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(raw.lines().next().unwrap()).unwrap()["sale"]["id"], sale);

    operator.does(&["drain", sale]).await;
    operator.sees(sale, "draining").await;
    operator.does(&["close", sale, "--reason", "it is late"]).await;
    let refused = operator.is_refused(&["settle", sale]).await;
    assert_eq!((&refused["code"], &refused["orders"]), (&json!("orders-open"), &json!(1)));
    buyer.cancels(unpaid.id()).await.expect(200);
    assert!(operator.does(&["settle", sale]).await.contains(": settled"));

    let file = shop.data_dir().join("report.json");
    let path = file.to_str().unwrap();
    operator.does(&["report", sale, "--out", path]).await;
    let verified = shop.run(&["sale", "verify-report", path, "--clean"]).await;
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    let text = std::fs::read_to_string(&file).unwrap();
    let unknown = ["report", "00000000-0000-7000-8000-000000000000", "--out", path];
    assert_eq!(operator.says(&unknown).await.status.code(), Some(2));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "an earlier report is left alone");
    // Behind a link, which stays one.
    let link = shop.data_dir().join("latest.json");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    std::fs::write(&file, "an earlier one").unwrap();
    operator.does(&["report", sale, "--out", link.to_str().unwrap()]).await;
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(std::fs::read_to_string(&file).unwrap().contains("Midnight"));
    std::fs::write(&file, &text).unwrap();
    let order: Value = serde_json::from_str::<Value>(&text).unwrap()["rows"][0]["row"]["order"].clone();
    std::fs::write(&file, text.replacen("Midnight", "Midday", 1)).unwrap();
    let changed = shop.run(&["sale", "verify-report", path]).await;
    assert_eq!(changed.status.code(), Some(1), "{changed:?}");
    let order = order.as_str().map_or_else(|| panic!("{text}"), str::to_owned);
    let why = operator.does(&["why", sale, "--order", &order]).await;
    assert!(why.contains("set aside") && why.contains("placed"), "{why}");
    assert!(operator.does(&["report", sale, "--form", "csv"]).await.contains(&order));
    let refused = operator.is_refused(&["cancel", sale]).await;
    assert_eq!(refused["code"], "not-in-status");

    let changes = operator.does(&["changes", sale]).await;
    for part in ["pause  by ", "too fast", "status: open → paused", "open  by the schedule", "it is late"] {
        assert!(changes.contains(part), "{part} is not in {changes}");
    }
    shop.expect_clean_audit().await;
}

#[actix_web::test]
async fn a_draw_is_verified_with_what_was_published() {
    let shop = Shop::open(&[]).await;
    let operator = Operator { shop: &shop };
    let tokens = shop.customers(3).await;
    let item = format!("{SKU}:2200:500");
    let plan = ["create", "--name", "Drawn", "--opens-at", "+4s", "--closes-at", "+1h", "--item", &item];
    let created = operator.does(&[&plan[..], &["--admission", "queue"]].concat()).await;
    let sale = created.split(' ').next().unwrap();
    operator.does(&["schedule", sale]).await;
    operator.does(&["arm", sale]).await;
    for token in &tokens {
        let client = shop.visitor().with_token(&**token);
        eventually("the room is there", async || {
            let joined = client.post(&format!("/v1/sales/{sale}/queue"), json!({})).await;
            (joined.status == 201).then_some(())
        })
        .await;
    }
    let announced = shop.visitor().get(&format!("/v1/sales/{sale}")).await.expect(200).body;
    let commitment = announced["commitment"].as_str().unwrap();
    let draw = eventually("it is drawn", async || {
        let draw = shop.visitor().get(&format!("/v1/sales/{sale}/draw")).await;
        (draw.status == 200).then_some(draw)
    })
    .await;
    let write = |name: &str, text: &str| {
        let path = shop.data_dir().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let checks = async |file: &str, commitment: &str| {
        let words = ["sale", "verify-draw", file, "--commitment", commitment, "--ticket", "2"];
        let output = shop.run(&words).await;
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };

    let (code, told) = checks(&write("draw.json", &draw.text), commitment).await;

    let order = draw.body["order"].as_array().unwrap();
    let place = order.iter().position(|number| *number == 2).unwrap() + 1;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains(&format!("ticket 2 has place {place}")), "{told}");
    assert_eq!(checks(&write("draw.json", &draw.text), &commitment.to_uppercase()).await.0, Some(0));
    assert_eq!(checks(&write("draw.json", &draw.text), "abc").await.0, Some(2));
    let other = commitment.replace(['0', '1', '2', '3'], "4");
    assert_eq!(checks(&write("draw.json", &draw.text), &other).await.0, Some(1));
    let mut swapped = draw.body.clone();
    swapped["order"].as_array_mut().unwrap().swap(0, 1);
    let (code, told) = checks(&write("swapped.json", &swapped.to_string()), commitment).await;
    assert!(code == Some(1) && told.contains("not fair"), "{told}");
}

#[actix_web::test]
async fn an_account_of_staff_is_created_while_the_engine_runs() {
    let shop = Shop::open(&[]).await;
    let create = ["staff", "create", "second@example.jp", "--name", "Second"];
    let created = shop.run(&create).await;
    assert_eq!(created.status.code(), Some(0), "{created:?}");
    let told = String::from_utf8(created.stdout).unwrap();
    let password = told.trim().rsplit(' ').next().unwrap();

    let sign_in = json!({"email": "second@example.jp", "password": password});
    let signed_in = shop.visitor().post("/v1/auth/login", sign_in).await.expect(200);

    let staff = shop.visitor().with_token(signed_in.body["access_token"].as_str().unwrap());
    assert_eq!(staff.get("/v1/users/me").await.expect(200).body["role"], "staff");
    staff.get("/v1/admin/sales").await.expect(200);
    assert_eq!(shop.run(&create).await.status.code(), Some(2), "the address is taken");
}

#[actix_web::test]
async fn an_operator_lists_and_withdraws_proposals() {
    let shop = Shop::open(&[("SHOBAI_SALES__SECOND_OPERATOR", r#"["kill", "lower"]"#)]).await;
    let operator = Operator { shop: &shop };
    let item = format!("{SKU}:2200:500");
    let plan = ["create", "--name", "Drop", "--opens-at", "+1s", "--closes-at", "+1h", "--item", &item];
    let created = operator.does(&plan).await;
    let sale = created.split(' ').next().unwrap();
    operator.does(&["schedule", sale]).await;
    operator.sees(sale, "open").await;
    for (words, told) in [
        (&["kill", "--everything", "--reason", "a test"][..], "not done yet: kill of everything".to_owned()),
        (&["kill", sale, "--reason", "a test"], format!("not done yet: kill of sale {sale}")),
        (&["kill", sale, "--sku", SKU], format!("not done yet: kill of {SKU} of sale {sale}")),
        (
            &["allot", sale, SKU, "400", "--expected", "500"],
            format!("not done yet: lower of {SKU} of sale {sale} from 500 to 400"),
        ),
    ] {
        let output = operator.says(words).await;
        assert_eq!(output.status.code(), Some(3), "{words:?}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.starts_with(&told) && text.contains("waits for a second operator until"), "{text}");
    }
    // A SKU is not everything.
    assert_eq!(operator.says(&["kill", "--sku", SKU, "--everything"]).await.status.code(), Some(2));
    assert_eq!(operator.does(&["proposals"]).await.lines().count(), 4);
    let shown = operator.does(&["show", sale]).await;
    assert!(shown.contains(": open, ") && shown.contains("  kill of sale "), "{shown}");
    for proposal in operator.gets(&["proposals"]).await["items"].as_array().unwrap() {
        let id = proposal["id"].as_str().unwrap();
        let withdrawn = operator.does(&["withdraw", id, "--reason", "no, & not now 中止"]).await;
        assert!(withdrawn.starts_with("withdrawn: "), "{withdrawn}");
    }
    assert!(operator.does(&["proposals"]).await.contains("nothing waits"));
    assert!(operator.does(&["changes", sale]).await.contains("no, & not now 中止"));
    let refused = operator.is_refused(&["withdraw", sale]).await;
    assert_eq!(refused["code"], "unknown-proposal");
}

#[actix_web::test]
async fn a_plan_is_read_from_a_file_and_its_problems_are_listed() {
    let shop = Shop::open(&[]).await;
    let operator = Operator { shop: &shop };
    let write = |name: &str, text: &str| {
        let path = shop.data_dir().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let plan = json!({
        "name": "From a file", "opens_at": "2036-11-25T00:00:00+09:00", "closes_at": "2036-11-25T01:00:00+09:00",
        "items": [{"sku": SKU, "price": 1, "allotment": 999_999_999}, {"sku": "GHOST", "price": 1, "allotment": 1}],
    });
    let created = operator.gets(&["create", "--file", &write("plan.json", &plan.to_string())]).await;
    let sale = created["id"].as_str().unwrap();
    assert_eq!(created["opens_at"], "2036-11-24T15:00:00Z");
    let invalid = operator.says(&["validate", sale]).await;
    assert_eq!(invalid.status.code(), Some(2), "{invalid:?}");
    let text = String::from_utf8(invalid.stdout).unwrap();
    assert!(text.contains("items[0].allotment: ") && text.contains("items[1].sku: "), "{text}");
    let refused = operator.is_refused(&["schedule", sale]).await;
    assert_eq!(
        (&refused["code"], refused["findings"].as_array().unwrap().len()),
        (&json!("sale-not-valid"), 3)
    );

    // A refusal and a line that makes no sense: 2, with what is wrong on standard error.
    let unknown = "019b0000-0000-7000-8000-000000000000";
    let no_token = shop.data_dir().join("none").to_str().unwrap().to_owned();
    let bad_token = write("token", "not-a-token\n");
    for (words, said) in [
        (&["show", unknown][..], "there is no sale"),
        (&["watch", unknown, "--for", "1"], "there is no sale"),
        (&["show", "midnight"], "invalid value 'midnight'"),
        (&["create", "--file", "nowhere.json"], "the plan nowhere.json"),
        (&["create", "--file", &write("bad.json", "{")], "malformed-json"),
        (&["create", "--name", "X", "--opens-at", "noon", "--closes-at", "+1h", "--item", "A:1:1"], "'noon'"),
        (
            &["create", "--name", "X", "--opens-at", "+1m", "--closes-at", "+1h", "--item", "A:1"],
            "SKU:PRICE:PIECES",
        ),
        (
            &["create", "--name", "X", "--opens-at", "+2h", "--closes-at", "+1h", "--item", "A:1:1"],
            "closes_at: ",
        ),
        (&["kill"], "required"),
        (&["kill", sale, "--everything"], "cannot be used with"),
        (&["kill", sale, "--sku", "../kill"], "is not a SKU"),
        (&["allot", sale, SKU, "5"], "--expected"),
        (&["list", "--token", &no_token], "the token file"),
        (&["list", "--token", &bad_token], "token-malformed"),
    ] {
        let mut command = shop.command(&[&["sale"], words, &["--url", &shop.base()]].concat());
        let output = command.stderr(std::process::Stdio::piped()).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {told}");
        assert!(told.contains(said), "{words:?}: {told}");
        assert!(output.stdout.is_empty(), "{words:?}");
    }
    // No engine there, and no demo password for another shop.
    for (url, said) in [("http://127.0.0.1:1", "no-connection"), ("http://shop.example", "give a --token")] {
        let mut command = shop.command(&["sale", "list", "--url", url]);
        let output = command.stderr(std::process::Stdio::piped()).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{url}: {told}");
        assert!(told.contains(said), "{url}: {told}");
    }
}

#[actix_web::test]
async fn a_dry_run_is_reported_and_appears_in_no_metric() {
    let shop = Shop::open(&[]).await;
    let operator = Operator { shop: &shop };
    let item = format!("{SKU}:2200:50");
    let plan =
        ["create", "--name", "Midnight drop", "--opens-at", "+1h", "--closes-at", "+2h", "--item", &item];
    let created = operator.does(&plan).await;
    let sale = created.split(' ').next().unwrap();
    let buyer = shop.visitor().with_token(shop.customers(1).await.remove(0));
    buyer.orders(SKU, 1).await.expect(201);
    let before = figures_of_trade(&shop).await;

    let told = operator.does(&["dry-run", sale, "--customers", "100", "--seconds", "10"]).await;

    for part in [
        "100 customers, 256 at once: sold out after",
        "SHOBAI-HOT-1: ",
        "0 left of 50",
        "orders    50 placed",
        "sale-not-open: ",
        "machine   ",
        "the shop  was not touched",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    let refused = operator.is_refused(&["dry-run", sale, "--customers", "900000"]).await;
    assert_eq!(refused["code"], "invalid-value");
    assert_eq!(figures_of_trade(&shop).await, before);
    shop.expect_clean_audit().await;
}

/// The metrics that orders change, none of which names a SKU of the dry run.
async fn figures_of_trade(shop: &Shop) -> BTreeSet<String> {
    let page = shop.monitoring().get("/metrics").await.expect(200);
    assert!(!page.text.contains("LIMIT-OF-THE-MACHINE"));
    let names = ["shobai_reservations_total", "shobai_sale_", "shobai_journal_batch_entries"];
    let lines = page.text.lines().filter(|line| names.iter().any(|name| line.starts_with(name)));
    let lines: BTreeSet<String> = lines.map(str::to_owned).collect();
    assert!(lines.len() > 10, "{}", page.text);
    lines
}
