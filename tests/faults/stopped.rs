//! The engine is stopped as an operator does it, and started again; and what it leaves on the disk.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::crowd::Crowd;
use crate::support::Client;
use crate::support::shop::Shop;

#[actix_web::test]
async fn a_stop_under_load_drops_no_request_that_was_accepted() {
    let mut shop = Shop::open(&[]).await;
    let crowd = Crowd::at(&shop, 32).await;

    let door = shop.visitor();
    let (status, took) = crowd
        .buys_during(&door, async {
            crowd.got(300).await;
            let asked = Instant::now();
            (shop.terminate().await, asked.elapsed())
        })
        .await;

    assert_eq!(status.code(), Some(0), "{status}");
    assert!(took < Duration::from_secs(10), "customers with open connections held the stop up for {took:?}");
    assert!(shop.postgres_processes().is_empty());

    // A request without an answer was not accepted: every order was told to its customer.
    shop.start().await;
    crowd.finds_what_it_was_told(&shop).await;
    crowd.finds_out_what_was_unclear(&shop).await;
    crowd.finds_the_stock_balanced(&shop).await;
    shop.expect_clean_audit().await;
}

#[actix_web::test]
async fn an_idle_connection_does_not_delay_the_stop() {
    let mut shop = Shop::open(&[]).await;
    let idle = shop.visitor();
    idle.get("/v1/products").await.expect(200);

    let asked = Instant::now();
    assert_eq!(shop.terminate().await.code(), Some(0));

    assert!(asked.elapsed() < Duration::from_secs(10), "the stop took {:?}", asked.elapsed());
}

#[actix_web::test]
async fn a_second_start_keeps_the_data_and_the_sign_ins() {
    let mut shop = Shop::open(&[]).await;
    let demo = shop.demo();
    let customer = sign_in(&shop, &demo["customer"]).await;
    let order = customer.orders("SHOBAI-HOT-1", 3).await.expect(201).body;
    assert_eq!(shop.terminate().await.code(), Some(0));
    assert!(shop.postgres_processes().is_empty());

    shop.start().await;

    assert_eq!(shop.demo(), demo);
    // The token of before still counts, and so does the password.
    let before = shop.visitor().with_token(customer.token.expect("a token"));
    let path = format!("/v1/orders/{}", order["id"].as_str().expect("an id"));
    assert_eq!(before.get(&path).await.expect(200).body, order);
    sign_in(&shop, &demo["customer"]).await.get(&path).await.expect(200);
    let admin = sign_in(&shop, &demo["admin"]).await;
    let stock = admin.get("/v1/admin/inventory/SHOBAI-HOT-1").await.expect(200).body;
    assert_eq!((stock["on_hand"].as_i64(), stock["reserved"].as_i64()), (Some(1_000_000), Some(3)));
    shop.expect_clean_audit().await;
}

#[actix_web::test]
async fn a_second_engine_on_the_same_data_is_refused_in_words() {
    let shop = Shop::open(&[]).await;

    let mut second = shop.command(&["serve"]);
    second.stderr(Stdio::piped());
    let refused =
        tokio::task::spawn_blocking(move || second.output().expect("the binary")).await.expect("its end");

    assert!(!refused.status.success());
    let words = String::from_utf8_lossy(&refused.stderr);
    let data_dir = shop.data_dir().canonicalize().expect("a directory");
    assert!(words.contains(data_dir.to_str().expect("a path")), "{words}");
    assert!(words.contains(&shop.pid().to_string()), "{words}");
    shop.visitor().get("/v1/products").await.expect(200);
}

#[actix_web::test]
async fn secrets_are_readable_by_their_owner_only() {
    let shop = Shop::open(&[]).await;

    let mut secrets = 0;
    for directory in [shop.data_dir(), shop.data_dir().join("keys")] {
        for file in std::fs::read_dir(directory).expect("files").flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            let is_secret = !name.ends_with(".log") && !name.ends_with(".lock");
            if is_secret && file.file_type().expect("a type").is_file() {
                let mode = file.metadata().expect("a mode").permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "{name}");
                secrets += 1;
            }
        }
    }
    // The sign-ins, the key of the tokens, the secret of the webhooks.
    assert!(shop.data_dir().join("demo.json").is_file());
    assert!(secrets >= 3, "only {secrets} secrets");
}

async fn sign_in(shop: &Shop, account: &serde_json::Value) -> Client {
    let answer = shop.visitor().post("/v1/auth/login", account.clone()).await.expect(200);
    shop.visitor().with_token(answer.body["access_token"].as_str().expect("a token"))
}
