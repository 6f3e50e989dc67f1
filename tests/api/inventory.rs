//! Stock: what visitors see of it, what staff do with it, and the ledger that explains it.

use serde_json::{Value, json};

use crate::support::{Answer, Client, TestEngine};

async fn receives(staff: &Client, sku: &str, quantity: i64, reference: &str) -> Answer {
    let body = json!({"quantity": quantity, "reference": reference});
    staff.post(&format!("/v1/admin/inventory/{sku}/receipts"), body).await
}

async fn adjusts(staff: &Client, sku: &str, body: Value) -> Answer {
    staff.post(&format!("/v1/admin/inventory/{sku}/adjustments"), body).await
}

#[actix::test]
async fn a_visitor_sees_the_pieces_available_and_staff_see_every_figure() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 5).await;
    let (customer, staff) = (engine.customer().await, engine.staff().await);
    customer.orders("LAMP", 2).await.expect(201);

    let public = engine.visitor().get("/v1/inventory/LAMP").await.expect(200);
    assert_eq!(public.body, json!({"sku": "LAMP", "available": 3}));
    let admin = staff.get("/v1/admin/inventory/LAMP").await.expect(200);
    assert_eq!(
        admin.body,
        json!({"sku": "LAMP", "on_hand": 5, "reserved": 2, "allotted": 0, "available": 3, "version": 2})
    );

    for sku in ["CHAIR", "lamp", "x".repeat(64).as_str()] {
        engine.visitor().get(&format!("/v1/inventory/{sku}")).await.expect_problem(404, "unknown-sku");
        staff.get(&format!("/v1/admin/inventory/{sku}")).await.expect_problem(404, "unknown-sku");
        staff.get(&format!("/v1/admin/inventory/{sku}/movements")).await.expect_problem(404, "unknown-sku");
        receives(&staff, sku, 1, "r").await.expect_problem(404, "unknown-sku");
        adjusts(&staff, sku, json!({"delta": 1, "reason": "found"})).await.expect_problem(404, "unknown-sku");
    }
    for sku in ["a%20b", "%00", "%E3%83%A9", "'%3B--", "x".repeat(65).as_str()] {
        engine.visitor().get(&format!("/v1/inventory/{sku}")).await.expect_problem(404, "not-found");
        receives(&staff, sku, 1, "r").await.expect_problem(404, "not-found");
    }
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn a_receipt_counts_once_for_each_reference() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 0).await;
    engine.sells("CHAIR", 0).await;
    let staff = engine.staff().await;

    let first = receives(&staff, "LAMP", 10, "note-1").await.expect(201);

    let movement = &first.body["movement"];
    assert_eq!(
        first.body,
        json!({
            "movement": {
                "sku": "LAMP", "version": 1, "kind": "received", "on_hand_delta": 10, "reserved_delta": 0,
                "allotted_delta": 0, "reservation_id": null, "reference": "note-1", "reason": null, "at": movement["at"],
            },
            "stock": {"sku": "LAMP", "on_hand": 10, "reserved": 0, "allotted": 0, "available": 10, "version": 1},
        })
    );
    let again = receives(&staff, "LAMP", 10, "note-1").await.expect(201);
    assert_eq!(again.body, first.body);
    receives(&staff, "LAMP", 11, "note-1").await.expect_problem(409, "reference-taken");
    receives(&staff, "LAMP", 5, "note-2").await.expect(201);
    receives(&staff, "CHAIR", 7, "note-1").await.expect(201);
    assert_eq!(staff.stock("LAMP").await, (15, 0));
    assert_eq!(staff.stock("CHAIR").await, (7, 0));

    let at_once =
        futures_util::future::join_all((0..10).map(|_| receives(&staff, "LAMP", 3, "note-3"))).await;
    assert!(at_once.iter().all(|answer| answer.status == 201), "{at_once:?}");
    assert_eq!(staff.stock("LAMP").await, (18, 0));

    let token = staff.token.unwrap();
    let engine = engine.restart().await;
    let staff = engine.visitor().with_token(token);
    receives(&staff, "LAMP", 10, "note-1").await.expect(201);
    assert_eq!(staff.stock("LAMP").await, (18, 0));
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn an_adjustment_corrects_the_pieces_on_hand() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 10).await;
    let staff = engine.staff().await;

    let lost = adjusts(&staff, "LAMP", json!({"delta": -3, "reason": "broken"})).await.expect(201);
    let movement = &lost.body["movement"];
    assert_eq!(
        (&movement["kind"], &movement["on_hand_delta"], &movement["reason"], &movement["version"]),
        (&json!("adjusted"), &json!(-3), &json!("broken"), &json!(2))
    );
    let found = adjusts(&staff, "LAMP", json!({"delta": 1, "reason": "found", "expected_version": 2}))
        .await
        .expect(201);
    assert_eq!(
        found.body["stock"],
        json!({"sku": "LAMP", "on_hand": 8, "reserved": 0, "allotted": 0, "available": 8, "version": 3})
    );

    let stale = adjusts(&staff, "LAMP", json!({"delta": 1, "reason": "found", "expected_version": 2})).await;
    let stale = stale.expect_problem(409, "version-differs");
    assert_eq!((&stale.body["expected"], &stale.body["actual"]), (&json!(2), &json!(3)));
    for version in [-1, 0, 4, i64::MAX] {
        let body = json!({"delta": 1, "reason": "found", "expected_version": version});
        adjusts(&staff, "LAMP", body).await.expect_problem(409, "version-differs");
    }
    assert_eq!(staff.stock("LAMP").await, (8, 0));
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn an_adjustment_with_a_key_counts_once() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 10).await;
    let staff = engine.staff().await;
    let adjust = async |delta: i64| {
        let request = staff.request(reqwest::Method::POST, "/v1/admin/inventory/LAMP/adjustments");
        let body = json!({"delta": delta, "reason": "counted"});
        staff.send(request.header("Idempotency-Key", "count-1").json(&body)).await
    };

    let first = adjust(-2).await.expect(201);
    let again = adjust(-2).await.expect(201);

    assert_eq!(again.body, first.body);
    adjust(-3).await.expect_problem(409, "reference-taken");
    assert_eq!(staff.stock("LAMP").await, (8, 0));
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn an_adjustment_below_the_promised_pieces_is_refused() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 10).await;
    let (customer, staff) = (engine.customer().await, engine.staff().await);
    customer.orders("LAMP", 4).await.expect(201);

    let refused = adjusts(&staff, "LAMP", json!({"delta": -7, "reason": "broken"})).await;

    let refused = refused.expect_problem(409, "below-reserved");
    assert_eq!((&refused.body["on_hand"], &refused.body["reserved"]), (&json!(3), &json!(4)));
    adjusts(&staff, "LAMP", json!({"delta": -11, "reason": "broken"}))
        .await
        .expect_problem(409, "below-reserved");
    assert_eq!(staff.stock("LAMP").await, (10, 4));
    adjusts(&staff, "LAMP", json!({"delta": -6, "reason": "broken"})).await.expect(201);
    assert_eq!(staff.stock("LAMP").await, (4, 4));
    customer.orders("LAMP", 1).await.expect_problem(409, "out-of-stock");
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn every_change_is_a_movement_and_movements_sum_to_the_stock() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 20).await;
    let (customer, staff) = (engine.customer().await, engine.staff().await);
    let cancelled = customer.orders("LAMP", 3).await.expect(201);
    customer.cancels(cancelled.id()).await.expect(200);
    customer.orders("LAMP", 2).await.expect(201);
    let reservation = json!({"lines": [{"sku": "LAMP", "quantity": 5}], "expires_in_seconds": 900});
    let reservation = staff.post("/v1/admin/reservations", reservation).await.expect(201);
    let commit = format!("/v1/admin/reservations/{}/commit", reservation.id());
    staff.send(staff.request(reqwest::Method::POST, &commit)).await.expect(200);
    adjusts(&staff, "LAMP", json!({"delta": -1, "reason": "broken"})).await.expect(201);
    receives(&staff, "LAMP", 4, "note").await.expect(201);

    let all = staff.all_pages("/v1/admin/inventory/LAMP/movements", 100).await;

    let kinds: Vec<_> = all.iter().map(|movement| movement["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["received", "adjusted", "committed", "reserved", "reserved", "released", "reserved", "received"]
    );
    let versions: Vec<_> = all.iter().map(|movement| movement["version"].as_i64().unwrap()).collect();
    assert_eq!(versions, (1..=8).rev().collect::<Vec<_>>());
    let sum = |figure: &str| all.iter().map(|movement| movement[figure].as_i64().unwrap()).sum::<i64>();
    assert_eq!((sum("on_hand_delta"), sum("reserved_delta")), (18, 2));
    assert_eq!(staff.stock("LAMP").await, (18, 2));
    assert_eq!(all[6]["reservation_id"], cancelled.body["id"]);
    assert_eq!(all[5]["reservation_id"], cancelled.body["id"]);
    for limit in [1, 3, 8] {
        assert_eq!(staff.all_pages("/v1/admin/inventory/LAMP/movements", limit).await, all);
    }
    for query in ["limit=0", "limit=101", "cursor=x", "cursor=bm90LWEtbnVtYmVy", "kind=received"] {
        let answer = staff.get(&format!("/v1/admin/inventory/LAMP/movements?{query}")).await;
        assert_eq!(answer.status, 422, "{query}: {answer:?}");
    }
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn only_staff_may_see_and_change_stock() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 10).await;
    let (customer, staff) = (engine.customer().await, engine.staff().await);
    let id = uuid::Uuid::now_v7();
    let lines = json!([{"sku": "LAMP", "quantity": 1}]);
    let calls = [
        ("GET", "/v1/admin/inventory/LAMP".to_owned(), json!({})),
        ("GET", "/v1/admin/inventory/LAMP/movements".to_owned(), json!({})),
        ("POST", "/v1/admin/inventory/LAMP/receipts".to_owned(), json!({"quantity": 1, "reference": "r"})),
        ("POST", "/v1/admin/inventory/LAMP/adjustments".to_owned(), json!({"delta": 1, "reason": "r"})),
        ("POST", "/v1/admin/reservations".to_owned(), json!({"lines": lines, "expires_in_seconds": 60})),
        ("POST", format!("/v1/admin/reservations/{id}/commit"), json!({})),
        ("DELETE", format!("/v1/admin/reservations/{id}"), json!({})),
    ];
    for (method, path, body) in &calls {
        let method: reqwest::Method = method.parse().unwrap();
        let ask = async |client: &Client| client.send(client.request(method.clone(), path).json(body)).await;
        ask(&customer).await.expect_problem(403, "staff-only");
        ask(&engine.visitor()).await.expect_problem(401, "token-missing");
    }
    assert_eq!(staff.stock("LAMP").await, (10, 0));
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}
