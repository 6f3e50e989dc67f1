//! What the payment provider reports: believed when it is signed, and what becomes of the order.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use shobai::actors::payments::WebhookSecret;

use crate::support::{Answer, Client, TestEngine, eventually};

pub fn paid(order: &str, amount: i64) -> Value {
    json!({"id": "evt_1", "type": "konbini.paid", "order_id": order, "amount": amount})
}

async fn send(visitor: &Client, body: &[u8], signature: Option<&str>) -> Answer {
    let request = visitor.request(reqwest::Method::POST, "/v1/webhooks/sandbox").body(body.to_vec());
    let request = request.header("Content-Type", "application/json");
    visitor
        .send(signature.into_iter().fold(request, |request, it| request.header("Shobai-Signature", it)))
        .await
}

/// Reports as the sandbox does.
pub async fn report(engine: &TestEngine, body: &Value) -> Answer {
    let secret = WebhookSecret::load_or_create(&engine.config.storage.data_dir).unwrap();
    let body = body.to_string();
    send(&engine.visitor(), body.as_bytes(), Some(&secret.sign(body.as_bytes(), Timestamp::now()))).await
}

#[actix::test]
async fn a_reported_payment_confirms_the_order_and_sells_the_stock() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 5).await;
    let (customer, staff) = (engine.customer().await, engine.staff().await);
    let placed = customer.orders("LAMP", 2).await.expect(201);
    let id = placed.id();

    let noted = report(&engine, &paid(id, 3_960)).await.expect(200);

    assert_eq!(noted.body, json!({"order_id": id, "status": "confirmed"}));
    let order = customer.order(id).await.expect(200);
    assert_eq!((order.order_status(), &order.body["payment"]["status"]), ("confirmed", &json!("captured")));
    assert_eq!(order.body["expires_at"], Value::Null);
    assert_eq!(staff.stock("LAMP").await, (3, 0));
    let statuses: Vec<_> = customer.history(id).await.into_iter().map(|(status, _)| status).collect();
    assert_eq!(statuses, ["awaiting_payment", "confirmed"]);

    // Providers repeat themselves.
    assert_eq!(report(&engine, &paid(id, 3_960)).await.expect(200).body, noted.body);
    let mut without_amount = paid(id, 0);
    without_amount.as_object_mut().unwrap().remove("amount");
    assert_eq!(report(&engine, &without_amount).await.expect(200).body, noted.body);
    assert_eq!(staff.stock("LAMP").await, (3, 0));
    assert_eq!(customer.history(id).await.len(), 2);

    let cancelled = customer.cancels(id).await.expect(200);
    assert_eq!(cancelled.body["payment"]["status"], "refunded");
    assert_eq!(staff.stock("LAMP").await, (5, 0));
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn many_reports_at_once_confirm_the_order_once() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 5).await;
    let (customer, staff) = (engine.customer().await, engine.staff().await);
    let placed = customer.orders("LAMP", 2).await.expect(201);
    let body = paid(placed.id(), 3_960);

    let answers = futures_util::future::join_all((0..8).map(|_| report(&engine, &body))).await;

    assert!(
        answers.iter().all(|answer| answer.status == 200 && answer.body["status"] == "confirmed"),
        "{answers:?}"
    );
    assert_eq!(customer.history(placed.id()).await.len(), 2);
    assert_eq!(staff.stock("LAMP").await, (3, 0));
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn a_payment_after_the_order_expired_is_refunded() {
    let engine = TestEngine::start_with(|config| config.orders.konbini_pay_within_seconds = 1).await;
    engine.sells("LAMP", 5).await;
    let (customer, staff) = (engine.customer().await, engine.staff().await);
    let placed = customer.orders("LAMP", 2).await.expect(201);
    let id = placed.id();
    eventually("expired", async || (customer.order(id).await.order_status() == "expired").then_some(()))
        .await;

    let noted = report(&engine, &paid(id, 3_960)).await.expect(200);

    assert_eq!(noted.body["status"], "expired");
    let order = customer.order(id).await;
    assert_eq!((order.order_status(), &order.body["payment"]["status"]), ("expired", &json!("refunded")));
    assert!(customer.history(id).await.last().unwrap().1.contains("refunded"));
    let steps = customer.history(id).await.len();
    report(&engine, &paid(id, 3_960)).await.expect(200);
    assert_eq!(customer.history(id).await.len(), steps);
    eventually("the stock is back", async || (staff.stock("LAMP").await == (5, 0)).then_some(())).await;
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn a_payment_after_the_order_was_cancelled_is_refunded() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 5).await;
    let (customer, staff) = (engine.customer().await, engine.staff().await);
    let placed = customer.orders("LAMP", 2).await.expect(201);
    customer.cancels(placed.id()).await.expect(200);

    let noted = report(&engine, &paid(placed.id(), 3_960)).await.expect(200);

    assert_eq!(noted.body["status"], "cancelled");
    assert_eq!(customer.order(placed.id()).await.body["payment"]["status"], "refunded");
    assert_eq!(staff.stock("LAMP").await, (5, 0));
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn a_payment_report_without_the_providers_signature_is_refused() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 5).await;
    let customer = engine.customer().await;
    let placed = customer.orders("LAMP", 2).await.expect(201);
    let body = paid(placed.id(), 3_960).to_string();
    let now = Timestamp::now();
    let secret = WebhookSecret::load_or_create(&engine.config.storage.data_dir).unwrap();
    let other_dir = engine.config.storage.data_dir.join("other");
    let other_secret = WebhookSecret::load_or_create(&other_dir).unwrap();
    let good = secret.sign(body.as_bytes(), now);

    for signature in [
        None,
        Some(String::new()),
        Some("t=1,v1=00".to_owned()),
        Some(good.replace("v1=", "v1=00")),
        Some(other_secret.sign(body.as_bytes(), now)),
        Some(secret.sign(b"another body", now)),
    ] {
        let answer = send(&engine.visitor(), body.as_bytes(), signature.as_deref()).await;
        answer.expect_problem(401, "bad-signature");
    }
    for away in [-3_600, -301, 310, 3_600] {
        let then = now.checked_add(SignedDuration::from_secs(away)).unwrap();
        let signature = secret.sign(body.as_bytes(), then);
        let answer = send(&engine.visitor(), body.as_bytes(), Some(&signature)).await;
        answer.expect_problem(401, "stale-signature");
    }
    let again = body.replace("3960", "3961");
    send(&engine.visitor(), again.as_bytes(), Some(&good)).await.expect_problem(401, "bad-signature");
    assert_eq!(customer.order(placed.id()).await.order_status(), "awaiting_payment");
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn a_payment_report_that_does_not_match_its_order_changes_nothing() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 5).await;
    let customer = engine.customer().await;
    let konbini = customer.orders("LAMP", 2).await.expect(201);
    let card = customer.orders_by_card("LAMP", 1).await.expect(201);

    for amount in [0, 1, 3_959, 3_961] {
        report(&engine, &paid(konbini.id(), amount)).await.expect_problem(422, "amount-differs");
    }
    report(&engine, &paid(card.id(), 1_980)).await.expect_problem(422, "not-a-konbini-order");
    let unknown = uuid::Uuid::now_v7().to_string();
    report(&engine, &paid(&unknown, 1_980)).await.expect_problem(404, "unknown-order");

    assert_eq!(customer.order(konbini.id()).await.body, konbini.body);
    assert_eq!(customer.order(card.id()).await.body, card.body);
    eventually("the card's stock has followed", async || {
        (engine.visitor().available("LAMP").await == 2).then_some(())
    })
    .await;
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}
