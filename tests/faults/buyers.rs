//! Many customers at once, and what is expected of every answer that they get.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use shobai::actors::users::{SigningKey, UsersStore, create_test_customers};
use shobai::types::Sku;

use crate::support::client::{card_order, konbini_order};
use crate::support::{Answer, Client, TestEngine, eventually};

/// No customer waits longer than this for anything, whatever has died.
pub const PATIENCE: Duration = Duration::from_secs(12);

/// Customers who are signed in, each with connections of their own.
pub async fn buyers(engine: &TestEngine, count: usize) -> Vec<Client> {
    let store = UsersStore::new(engine.engine.database().clone());
    let key = SigningKey::load_or_create(&engine.config.storage.data_dir).expect("the signing key");
    let count = u32::try_from(count).expect("fewer customers");
    let tokens = create_test_customers(&store, &key, &engine.config.users, count).await.expect("customers");
    tokens.into_iter().map(|token| engine.visitor().with_token(token)).collect()
}

/// The id under which the engine knows a customer.
pub async fn id_of(buyer: &Client) -> String {
    let me = buyer.get("/v1/users/me").await.expect(200);
    me.body["id"].as_str().or(me.body["user"]["id"].as_str()).expect("an id").to_owned()
}

/// How the answers of many were.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub sold: usize,
    pub out_of_stock: usize,
    pub turned_away: usize,
}

/// Counts the answers; anything but sold, out of stock, or "try again" with a time is a defect.
#[track_caller]
pub fn tally(answers: &[Answer]) -> Tally {
    let mut tally = Tally::default();
    for answer in answers {
        match answer.status {
            201 => tally.sold += 1,
            409 => {
                assert_eq!(answer.code(), "out-of-stock", "{answer:?}");
                let figure = |name: &str| answer.body[name].as_i64().expect("a figure");
                assert!(figure("available") < figure("requested"), "{answer:?}");
                tally.out_of_stock += 1;
            }
            _ => {
                expect_try_again(answer);
                tally.turned_away += 1;
            }
        }
    }
    tally
}

/// Checks that it is a clear "not now", with the time after which to ask again.
#[track_caller]
pub fn expect_try_again(answer: &Answer) {
    assert!(matches!(answer.status, 429 | 503), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    let wait: Option<u64> = answer.header("retry-after").and_then(|seconds| seconds.parse().ok());
    assert!(wait.is_some_and(|seconds| seconds >= 1), "{answer:?}");
    assert!(answer.body["request_id"].is_string(), "{answer:?}");
}

/// The pieces that can still be ordered.
pub async fn available(client: &Client, sku: &Sku) -> i64 {
    let answer = client.get(&format!("/v1/inventory/{sku}")).await.expect(200);
    answer.body["available"].as_i64().expect("a figure")
}

/// Asks again with the same key, as a customer does who was told to, until the order stands.
pub async fn insist(buyer: &Client, key: &str, body: &serde_json::Value) -> Answer {
    eventually("the same key brings the order", async || {
        let answer = buyer.orders_with(key, body.clone()).await;
        if answer.status == 201 {
            return Some(answer);
        }
        expect_try_again(&answer);
        None
    })
    .await
}

/// Places orders of one piece, each under a key until it stands; answers how often it was told to come again.
pub async fn order_until(buyer: &Client, sku: &Sku, placed: &AtomicI64, enough: &AtomicBool) -> i64 {
    let mut turned_away = 0;
    for number in 0.. {
        if enough.load(Ordering::Relaxed) {
            break;
        }
        let order = match number % 2 {
            0 => konbini_order(sku.as_str(), 1),
            _ => card_order(sku.as_str(), 1, "tok_ok"),
        };
        let key = format!("order-{number}");
        let answer = buyer.orders_with(&key, order.clone()).await;
        if tally(std::slice::from_ref(&answer)).turned_away > 0 {
            turned_away += 1;
            insist(buyer, &key, &order).await;
        } else {
            answer.expect(201);
        }
        placed.fetch_add(1, Ordering::Relaxed);
    }
    turned_away
}

/// Waits until nothing is on its way any more and the audit finds nothing.
pub async fn expect_clean_audit(engine: &TestEngine) {
    let findings = std::cell::RefCell::new(Vec::new());
    let clean = async {
        eventually("a clean audit", async || {
            findings.replace(engine.audit().await);
            findings.borrow().is_empty().then_some(())
        })
        .await;
    };
    if tokio::time::timeout(Duration::from_secs(25), clean).await.is_err() {
        panic!("{:#?}", findings.borrow());
    }
}
