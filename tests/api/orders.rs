//! Orders: placing, repeating, seeing, cancelling and expiring them, and the stock that follows.

use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};
use shobai::types::TaxRate;

use crate::support::client::{card_order, konbini_order};
use crate::support::{Client, TestEngine, eventually};

/// Several lines, paid at a konbini.
fn order_of(lines: &[(&str, i64)]) -> Value {
    let mut order = konbini_order("", 0);
    order["lines"] = lines.iter().map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity})).collect();
    order
}

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

/// Waits for an order to have a status.
async fn becomes(customer: &Client, order: &str, status: &str) {
    eventually(status, async || (customer.order(order).await.order_status() == status).then_some(())).await;
}

/// Waits for the stock to have these pieces on hand and reserved; it may follow a moment after the order.
async fn stock_becomes(staff: &Client, sku: &str, on_hand: i64, reserved: i64) {
    let what = format!("{sku} has {on_hand} on hand and {reserved} reserved");
    eventually(&what, async || (staff.stock(sku).await == (on_hand, reserved)).then_some(())).await;
}

#[actix::test]
async fn an_order_at_a_konbini_awaits_payment_and_holds_the_stock() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 5).await;
    let (customer, staff) = (engine.customer().await, engine.staff().await);

    let placed = customer.orders("LAMP", 2).await.expect(201);

    let order = &placed.body;
    let id = placed.id();
    assert_eq!(placed.header("location"), Some(format!("/v1/orders/{id}").as_str()));
    assert_eq!(placed.header("idempotency-replayed"), None);
    let slip = &order["payment"]["konbini"];
    assert_eq!(
        *order,
        json!({
            "id": id,
            "number": order["number"],
            "status": "awaiting_payment",
            "lines": [{
                "sku": "LAMP",
                "name": "Product LAMP (M)",
                "quantity": 2,
                "unit_price": {"amount": 1980, "currency": "JPY"},
                "tax_rate": 10,
                "amount": 3960,
            }],
            "totals": {
                "subtotal": 3960,
                "tax": [{"rate": 10, "base": 3960, "amount": 360}],
                "total": 3960,
                "currency": "JPY",
            },
            "payment": {
                "method": "konbini",
                "status": "pending",
                "konbini": {
                    "chain": "seven_eleven",
                    "payment_code": slip["payment_code"],
                    "confirmation_number": slip["confirmation_number"],
                    "pay_before": order["expires_at"],
                },
            },
            "created_at": order["created_at"],
            "expires_at": order["expires_at"],
        })
    );
    let digits = |value: &Value, count: usize| {
        let text = value.as_str().unwrap();
        text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    assert!(digits(&slip["payment_code"], 13) && digits(&slip["confirmation_number"], 11), "{slip}");
    let groups: Vec<_> = order["number"].as_str().unwrap().split('-').collect();
    let is_group = |group: &&str| {
        group.len() == 6 && group.bytes().all(|byte| b"0123456789ABCDEFGHJKMNPQRSTVWXYZ".contains(&byte))
    };
    assert!(groups.len() == 3 && groups.iter().all(is_group), "{groups:?}");
    let until_lapse = time(&order["expires_at"]).duration_since(time(&order["created_at"]));
    assert_eq!(until_lapse.as_secs(), 3 * 24 * 3600);

    assert_eq!(customer.order(id).await.expect(200).body, *order);
    assert_eq!(customer.history(id).await.len(), 1);
    assert_eq!(staff.stock("LAMP").await, (5, 2));
    assert_eq!(engine.visitor().available("LAMP").await, 3);
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn an_order_by_card_is_confirmed_at_once_and_takes_the_stock() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 5).await;
    let (customer, staff) = (engine.customer().await, engine.staff().await);

    let placed = customer.orders_by_card("LAMP", 2).await.expect(201);

    assert_eq!(placed.order_status(), "confirmed");
    assert_eq!(placed.body["expires_at"], Value::Null);
    let payment = &placed.body["payment"];
    let reference = &payment["card"]["reference"];
    assert!(reference.is_string());
    assert_eq!(*payment, json!({"method": "card", "status": "captured", "card": {"reference": reference}}));
    stock_becomes(&staff, "LAMP", 3, 0).await;
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn a_declined_card_is_402_and_holds_nothing() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 1).await;
    let (customer, staff) = (engine.customer().await, engine.staff().await);

    let refused = customer.orders_with("declined", card_order("LAMP", 1, "tok_declined")).await;

    refused.expect_problem(402, "payment-declined");
    assert_eq!(staff.stock("LAMP").await, (1, 0));
    assert_eq!(customer.get("/v1/orders").await.expect(200).items(), [] as [Value; 0]);
    // A refusal leaves the key free: the customer takes another card.
    customer.orders_with("declined", card_order("LAMP", 1, "tok_ok")).await.expect(201);
    stock_becomes(&staff, "LAMP", 0, 0).await;
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn the_tax_inside_is_shown_for_each_rate_and_rounded_down_once() {
    let engine = TestEngine::start().await;
    engine.sells_at("TEA", 10, 107, TaxRate::Reduced).await;
    engine.sells_at("CUP-RED", 10, 105, TaxRate::Standard).await;
    engine.sells_at("CUP-BLUE", 10, 105, TaxRate::Standard).await;
    let customer = engine.customer().await;

    let order = order_of(&[("CUP-RED", 1), ("TEA", 3), ("CUP-BLUE", 1)]);
    let placed = customer.orders_with("k", order).await.expect(201);

    // 210 × 10 / 110 = 19.09 and 321 × 8 / 108 = 23.78; line by line the first would have been 9 + 9.
    assert_eq!(
        placed.body["totals"],
        json!({
            "subtotal": 531,
            "tax": [{"rate": 10, "base": 210, "amount": 19}, {"rate": 8, "base": 321, "amount": 23}],
            "total": 531,
            "currency": "JPY",
        })
    );
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn an_order_of_more_pieces_than_are_available_is_refused() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 3).await;
    let customer = engine.customer().await;
    customer.orders("LAMP", 1).await.expect(201);

    let refused = customer.orders("LAMP", 3).await.expect_problem(409, "out-of-stock");

    let said = [&refused.body["sku"], &refused.body["requested"], &refused.body["available"]];
    assert_eq!(said, [&json!("LAMP"), &json!(3), &json!(2)]);
    customer.orders("LAMP", 2).await.expect(201);
    customer.orders("LAMP", 1).await.expect_problem(409, "out-of-stock");
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn the_last_pieces_are_sold_once() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 5).await;
    let customer = engine.customer().await;

    let answers = join_all((0..40).map(|_| customer.orders("LAMP", 1))).await;

    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(201), count(409)), (5, 35));
    assert_eq!(engine.visitor().available("LAMP").await, 0);
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn an_order_of_an_unknown_sku_is_refused() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 3).await;
    let (customer, staff) = (engine.customer().await, engine.staff().await);

    let refused = customer.orders("CHAIR", 1).await.expect_problem(404, "unknown-sku");
    assert_eq!(refused.body["sku"], "CHAIR");
    let mixed = customer.orders_with("k", order_of(&[("LAMP", 1), ("CHAIR", 1)])).await;
    mixed.expect_problem(404, "unknown-sku");

    assert_eq!(staff.stock("LAMP").await, (3, 0));
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn lines_of_one_sku_are_summed() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 5).await;
    engine.sells("CHAIR", 5).await;
    let customer = engine.customer().await;

    let order = order_of(&[("LAMP", 1), ("CHAIR", 1), ("LAMP", 2)]);
    let placed = customer.orders_with("sum", order).await.expect(201);

    let lines = placed.body["lines"].as_array().unwrap().iter();
    let lines: Vec<_> = lines.map(|line| (line["sku"].as_str(), line["quantity"].as_i64())).collect();
    assert_eq!(lines, [(Some("LAMP"), Some(3)), (Some("CHAIR"), Some(1))]);
    assert_eq!(placed.body["totals"]["total"], 4 * 1980);
    let refused = customer.orders_with("too-many", order_of(&[("LAMP", 1), ("LAMP", 2)])).await;
    assert_eq!(refused.expect_problem(409, "out-of-stock").body["requested"], 3);
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn an_order_of_several_lines_gets_all_of_them_or_none() {
    let engine = TestEngine::start().await;
    let skus = ["LAMP", "CHAIR", "TABLE", "SHELF"];
    for sku in skus {
        engine.sells(sku, 5).await;
    }
    engine.sells("LAST", 1).await;
    let (customer, staff) = (engine.customer().await, engine.staff().await);
    let all: Vec<_> = skus.iter().map(|sku| (*sku, 1)).chain([("LAST", 2)]).collect();

    let refused = customer.orders_with("k", order_of(&all)).await.expect_problem(409, "out-of-stock");

    assert_eq!(refused.body["sku"], "LAST");
    for sku in skus {
        assert_eq!(staff.stock(sku).await, (5, 0), "{sku}");
    }

    // Two orders that want the same SKUs the other way round: neither waits for the other for ever.
    let forwards: Vec<_> = skus.iter().map(|sku| (*sku, 1)).collect();
    let backwards: Vec<_> = forwards.iter().rev().copied().collect();
    let answers = join_all((0..12).map(|number| {
        let order = order_of(if number % 2 == 0 { &forwards } else { &backwards });
        let (customer, key) = (customer.clone(), format!("both-{number}"));
        async move { customer.orders_with(&key, order).await }
    }))
    .await;
    let placed = answers.iter().filter(|answer| answer.status == 201).count();
    assert!(placed <= 5 && answers.iter().all(|answer| matches!(answer.status, 201 | 409)), "{answers:?}");
    for sku in skus {
        assert_eq!(staff.stock(sku).await, (5, placed as i64), "{sku}");
    }
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn a_second_order_with_the_same_key_answers_the_first_word_for_word() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 5).await;
    engine.sells("CHAIR", 5).await;
    let customer = engine.customer().await;
    let mut order = konbini_order("LAMP", 2);
    // Not in the order of the alphabet, and it stays as it was sent.
    order["lines"] = json!([{"sku": "LAMP", "quantity": 2}, {"sku": "CHAIR", "quantity": 1}]);
    let first = customer.orders_with("once", order.clone()).await.expect(201);

    let again = customer.orders_with("once", order.clone()).await.expect(201);

    assert_eq!(again.text, first.text);
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(
        (first.header("idempotency-replayed"), again.header("idempotency-replayed")),
        (None, Some("true"))
    );

    customer.cancels(first.id()).await.expect(200);
    let after_cancelling = customer.orders_with("once", order.clone()).await.expect(201);
    assert_eq!(after_cancelling.text, first.text);
    assert_eq!(customer.order(first.id()).await.order_status(), "cancelled");

    let token = customer.token.clone().unwrap();
    let engine = engine.restart().await;
    let customer = engine.visitor().with_token(token);
    let after_restart = customer.orders_with("once", order).await.expect(201);
    assert_eq!(after_restart.text, first.text);
    assert_eq!(after_restart.header("idempotency-replayed"), Some("true"));

    assert_eq!(customer.get("/v1/orders").await.items().len(), 1);
    assert_eq!(engine.visitor().available("LAMP").await, 5);
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn a_repeated_card_order_is_charged_once() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 5).await;
    let (customer, staff) = (engine.customer().await, engine.staff().await);
    let order = card_order("LAMP", 1, "tok_ok");
    let first = customer.orders_with("card", order.clone()).await.expect(201);
    stock_becomes(&staff, "LAMP", 4, 0).await;
    customer.cancels(first.id()).await.expect(200);

    let again = customer.orders_with("card", order).await.expect(201);

    assert_eq!(again.text, first.text);
    assert_eq!(staff.stock("LAMP").await, (5, 0));
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn the_buyer_of_the_last_piece_gets_the_same_answer_again() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 1).await;
    let (winner, other) = (engine.customer().await, engine.customer().await);
    let first = winner.orders_with("last", konbini_order("LAMP", 1)).await.expect(201);
    other.orders_with("last", konbini_order("LAMP", 1)).await.expect_problem(409, "out-of-stock");

    let again = winner.orders_with("last", konbini_order("LAMP", 1)).await.expect(201);

    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.text, first.text);
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn a_repetition_takes_no_stock_not_even_for_a_moment() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 5).await;
    let (customer, staff) = (engine.customer().await, engine.staff().await);
    let first = customer.orders_with("once", konbini_order("LAMP", 2)).await.expect(201);
    let before = staff.get("/v1/admin/inventory/LAMP/movements").await.expect(200);

    for _ in 0..3 {
        let again = customer.orders_with("once", konbini_order("LAMP", 2)).await.expect(201);
        assert_eq!(
            (again.text, again.headers.get("idempotency-replayed").is_some()),
            (first.text.clone(), true)
        );
    }
    customer
        .orders_with("once", konbini_order("LAMP", 1))
        .await
        .expect_problem(422, "idempotency-key-reused");

    let after = staff.get("/v1/admin/inventory/LAMP/movements").await.expect(200);
    assert_eq!(after.body, before.body);
    engine.stop().await;
}

#[actix::test]
async fn a_key_that_is_not_remembered_is_found_in_the_database() {
    let engine = TestEngine::start_with(|config| config.orders.keys_remembered_max = 0).await;
    engine.sells("LAMP", 5).await;
    let customer = engine.customer().await;
    let first = customer.orders_with("once", konbini_order("LAMP", 2)).await.expect(201);

    let again = customer.orders_with("once", konbini_order("LAMP", 2)).await.expect(201);

    assert_eq!(again.text, first.text);
    customer
        .orders_with("once", konbini_order("LAMP", 1))
        .await
        .expect_problem(422, "idempotency-key-reused");
    assert_eq!(engine.visitor().available("LAMP").await, 3);
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn a_key_that_was_used_for_another_order_is_refused() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 5).await;
    engine.sells("CHAIR", 1).await;
    let customer = engine.customer().await;
    let first = customer.orders_with("key", konbini_order("LAMP", 1)).await.expect(201);

    let mut other_phone = konbini_order("LAMP", 1);
    other_phone["payment"]["konbini"]["phone"] = json!("080-9999-9999");
    for other in [
        konbini_order("LAMP", 2),
        konbini_order("LAMP", 100),
        konbini_order("CHAIR", 1),
        card_order("LAMP", 1, "tok_ok"),
        card_order("LAMP", 1, "tok_declined"),
        order_of(&[("LAMP", 1), ("CHAIR", 1)]),
        other_phone,
    ] {
        let refused = customer.orders_with("key", other.clone()).await;
        assert_eq!((refused.status, refused.code()), (422, "idempotency-key-reused"), "{other}");
    }
    // The same in other words: members in another order, and a phone number without its hyphens.
    let body = r#"{"payment":{"konbini":{"phone":"09012345678","chain":"seven_eleven"},"method":"konbini"},
                   "lines":[{"quantity":1,"sku":"LAMP"}]}"#;
    let request = customer.request(reqwest::Method::POST, "/v1/orders").header("Idempotency-Key", "key");
    let again =
        customer.send(request.header("Content-Type", "application/json").body(body)).await.expect(201);
    assert_eq!(again.text, first.text);
    // Upper and lower case are two keys.
    customer.orders_with("KEY", konbini_order("LAMP", 2)).await.expect(201);
    assert_eq!(engine.visitor().available("LAMP").await, 2);
    assert_eq!(engine.visitor().available("CHAIR").await, 1);
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn an_order_without_a_proper_key_is_refused() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 5).await;
    let customer = engine.customer().await;

    let missing = customer.post("/v1/orders", konbini_order("LAMP", 1)).await;
    missing.expect_problem(400, "idempotency-key-required");
    for key in ["", " ", "two words", "schlüssel", "鍵", &"k".repeat(256)] {
        let request =
            customer.request(reqwest::Method::POST, "/v1/orders").header("Idempotency-Key", key.as_bytes());
        let answer = customer.send(request.json(&konbini_order("LAMP", 1))).await;
        assert_eq!((answer.status, answer.code()), (422, "invalid-value"), "{key}: {answer:?}");
    }
    assert_eq!(engine.visitor().available("LAMP").await, 5);
    customer.orders_with(&"k".repeat(255), konbini_order("LAMP", 1)).await.expect(201);
    customer.orders_with("!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~", konbini_order("LAMP", 1)).await.expect(201);
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn many_requests_with_one_key_at_once_are_one_order() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 100).await;
    let (customer, other) = (engine.customer().await, engine.customer().await);

    let answers = join_all((0..20).map(|_| customer.orders_with("one", konbini_order("LAMP", 3)))).await;

    for answer in &answers {
        assert_eq!((answer.status, &answer.text), (201, &answers[0].text));
    }
    let replayed = answers.iter().filter(|answer| answer.header("idempotency-replayed").is_some()).count();
    assert_eq!(replayed, 19);
    assert_eq!(customer.get("/v1/orders").await.items().len(), 1);
    assert_eq!(engine.visitor().available("LAMP").await, 97);
    // A key belongs to its customer.
    let others = other.orders_with("one", konbini_order("LAMP", 1)).await.expect(201);
    assert_eq!(others.header("idempotency-replayed"), None);
    assert_ne!(others.id(), answers[0].id());
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn different_orders_with_one_key_at_once_are_one_order_and_refusals() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 1_000).await;
    let customer = engine.customer().await;

    let answers =
        join_all((1..=20).map(|pieces| customer.orders_with("one", konbini_order("LAMP", pieces)))).await;

    let placed: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(placed.len(), 1);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!((refused.status, refused.code()), (422, "idempotency-key-reused"));
    }
    let pieces = placed[0].body["lines"][0]["quantity"].as_i64().unwrap();
    eventually("the others' stock is given back", async || {
        (engine.visitor().available("LAMP").await == 1_000 - pieces).then_some(())
    })
    .await;
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn an_order_of_another_customer_is_not_found() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 5).await;
    let (owner, other, staff) = (engine.customer().await, engine.customer().await, engine.staff().await);
    let order = owner.orders("LAMP", 1).await.expect(201);
    let id = order.id();

    for stranger in [&other, &staff] {
        stranger.get(&format!("/v1/orders/{id}")).await.expect_problem(404, "unknown-order");
        stranger.get(&format!("/v1/orders/{id}/history")).await.expect_problem(404, "unknown-order");
        stranger.cancels(id).await.expect_problem(404, "unknown-order");
        assert!(stranger.get("/v1/orders").await.expect(200).items().is_empty());
    }
    let never_there = uuid::Uuid::now_v7();
    other.cancels(&never_there.to_string()).await.expect_problem(404, "unknown-order");
    for path in ["/v1/orders", &format!("/v1/orders/{id}"), &format!("/v1/orders/{id}/history")] {
        engine.visitor().get(path).await.expect_problem(401, "token-missing");
    }
    engine.visitor().cancels(id).await.expect_problem(401, "token-missing");
    engine.visitor().orders("LAMP", 1).await.expect_problem(401, "token-missing");
    for id in ["1", "not-an-id", "%2e%2e"] {
        owner.order(id).await.expect_problem(404, "not-found");
        owner.cancels(id).await.expect_problem(404, "not-found");
    }
    assert_eq!(owner.order(id).await.order_status(), "awaiting_payment");
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn orders_are_listed_newest_first_in_pages_and_by_status() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 100).await;
    let (customer, other) = (engine.customer().await, engine.customer().await);
    let mut ids = Vec::new();
    for number in 0..7 {
        let placed = if number % 2 == 0 {
            customer.orders("LAMP", 1).await
        } else {
            customer.orders_by_card("LAMP", 1).await
        };
        ids.push(placed.expect(201).id().to_owned());
        other.orders("LAMP", 1).await.expect(201);
    }
    customer.cancels(&ids[0]).await.expect(200);
    let newest_first: Vec<_> = ids.iter().rev().cloned().collect();
    let ids_of = |orders: &[Value]| {
        orders.iter().map(|order| order["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };

    for limit in [1, 3, 7, 100] {
        assert_eq!(ids_of(&customer.all_pages("/v1/orders", limit).await), newest_first, "{limit} on a page");
    }
    for (status, expected) in [
        ("awaiting_payment", [&ids[6], &ids[4], &ids[2]].as_slice()),
        ("confirmed", &[&ids[5], &ids[3], &ids[1]]),
        ("cancelled", &[&ids[0]]),
        ("expired", &[]),
    ] {
        for limit in [1, 100] {
            let orders = customer.all_pages(&format!("/v1/orders?status={status}"), limit).await;
            assert_eq!(ids_of(&orders).iter().collect::<Vec<_>>(), expected, "{status}");
            assert!(orders.iter().all(|order| order["status"] == status));
        }
    }
    let listed = customer.get("/v1/orders?limit=1").await;
    assert_eq!(listed.items()[0], customer.order(&ids[6]).await.body);
    for query in
        ["status=paid", "status=", "limit=0", "limit=101", "cursor=x", "cursor=bm90LWFuLWlk", "customer=1"]
    {
        let answer = customer.get(&format!("/v1/orders?{query}")).await;
        assert_eq!(answer.status, 422, "{query}: {answer:?}");
    }
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn cancelling_gives_the_stock_of_an_unpaid_order_back() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 5).await;
    engine.sells("CHAIR", 5).await;
    let (customer, staff) = (engine.customer().await, engine.staff().await);
    let placed = customer.orders_with("k", order_of(&[("LAMP", 3), ("CHAIR", 1)])).await.expect(201);

    let cancelled = customer.cancels(placed.id()).await.expect(200);

    assert_eq!(cancelled.order_status(), "cancelled");
    assert_eq!(cancelled.body["payment"]["status"], "cancelled");
    assert_eq!(cancelled.body["expires_at"], Value::Null);
    assert_eq!(staff.stock("LAMP").await, (5, 0));
    assert_eq!(staff.stock("CHAIR").await, (5, 0));
    let history = customer.history(placed.id()).await;
    let statuses: Vec<_> = history.iter().map(|(status, _)| status.as_str()).collect();
    assert_eq!(statuses, ["awaiting_payment", "cancelled"]);

    let again = customer.cancels(placed.id()).await.expect(200);
    assert_eq!(again.body, cancelled.body);
    assert_eq!(customer.history(placed.id()).await, history);
    assert_eq!(staff.stock("LAMP").await, (5, 0));
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn cancelling_a_paid_order_refunds_it_and_puts_the_stock_back_on_hand() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 5).await;
    let (customer, staff) = (engine.customer().await, engine.staff().await);
    let settled = customer.orders_by_card("LAMP", 3).await.expect(201);
    stock_becomes(&staff, "LAMP", 2, 0).await;
    // One whose stock may not have followed yet.
    let fresh = customer.orders_by_card("LAMP", 2).await.expect(201);

    for placed in [&fresh, &settled] {
        let cancelled = customer.cancels(placed.id()).await.expect(200);
        assert_eq!(
            (cancelled.order_status(), &cancelled.body["payment"]["status"]),
            ("cancelled", &json!("refunded"))
        );
        let history = customer.history(placed.id()).await;
        assert_eq!(
            history.iter().map(|(status, _)| status.as_str()).collect::<Vec<_>>(),
            ["awaiting_payment", "confirmed", "cancelled"]
        );
        customer.cancels(placed.id()).await.expect(200);
    }

    stock_becomes(&staff, "LAMP", 5, 0).await;
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn cancelling_many_times_at_once_gives_the_stock_back_once() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 5).await;
    let (customer, staff) = (engine.customer().await, engine.staff().await);
    let konbini = customer.orders("LAMP", 2).await.expect(201);
    let card = customer.orders_by_card("LAMP", 2).await.expect(201);

    let cancels =
        (0..8).map(|number| customer.cancels(if number % 2 == 0 { konbini.id() } else { card.id() }));
    let answers = join_all(cancels).await;

    assert!(
        answers.iter().all(|answer| answer.status == 200 && answer.order_status() == "cancelled"),
        "{answers:?}"
    );
    stock_becomes(&staff, "LAMP", 5, 0).await;
    assert_eq!(customer.history(konbini.id()).await.len(), 2);
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn an_order_that_is_not_paid_in_time_expires_and_gives_its_stock_back() {
    let engine = TestEngine::start_with(|config| config.orders.konbini_pay_within_seconds = 1).await;
    engine.sells("LAMP", 5).await;
    let (customer, staff) = (engine.customer().await, engine.staff().await);
    let placed = customer.orders("LAMP", 5).await.expect(201);
    let paid = customer.orders_by_card("LAMP", 1).await;
    paid.expect_problem(409, "out-of-stock");

    becomes(&customer, placed.id(), "expired").await;

    stock_becomes(&staff, "LAMP", 5, 0).await;
    let expired = customer.order(placed.id()).await;
    assert_eq!(
        (&expired.body["payment"]["status"], &expired.body["expires_at"]),
        (&json!("cancelled"), &Value::Null)
    );
    let history = customer.get(&format!("/v1/orders/{}/history", placed.id())).await.expect(200);
    assert_eq!(history.each("status"), [json!("awaiting_payment"), json!("expired")]);
    let late = time(&history.items()[1]["at"]).duration_since(time(&placed.body["expires_at"]));
    assert!((0.0..2.0).contains(&late.as_secs_f64()), "{late}");

    let refused = customer.cancels(placed.id()).await;
    refused.expect_problem(409, "not-cancellable");
    let again = customer.orders_by_card("LAMP", 5).await.expect(201);
    assert_eq!(again.order_status(), "confirmed");
    stock_becomes(&staff, "LAMP", 0, 0).await;
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn an_order_that_lapses_while_the_engine_is_down_expires_after_the_start() {
    let engine = TestEngine::start_with(|config| config.orders.konbini_pay_within_seconds = 1).await;
    engine.sells("LAMP", 5).await;
    let customer = engine.customer().await;
    let placed = customer.orders("LAMP", 5).await.expect(201);

    let engine = engine.restart().await;

    let customer = engine.visitor().with_token(customer.token.unwrap());
    becomes(&customer, placed.id(), "expired").await;
    eventually("the stock is back", async || (engine.visitor().available("LAMP").await == 5).then_some(()))
        .await;
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn orders_and_their_stock_are_the_same_after_a_restart() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 10).await;
    let (customer, staff) = (engine.customer().await, engine.staff().await);
    let konbini = customer.orders("LAMP", 1).await.expect(201);
    let card = customer.orders_by_card("LAMP", 2).await.expect(201);
    let cancelled = customer.orders("LAMP", 3).await.expect(201);
    customer.cancels(cancelled.id()).await.expect(200);

    let engine = engine.restart().await;

    let customer = engine.visitor().with_token(customer.token.unwrap());
    let staff = engine.visitor().with_token(staff.token.unwrap());
    assert_eq!(customer.order(konbini.id()).await.expect(200).body, konbini.body);
    assert_eq!(customer.order(card.id()).await.expect(200).body, card.body);
    assert_eq!(customer.order(cancelled.id()).await.order_status(), "cancelled");
    stock_becomes(&staff, "LAMP", 8, 1).await;
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn an_order_has_a_bounded_number_of_lines() {
    let engine = TestEngine::start_with(|config| config.orders.lines_max = 3).await;
    for sku in ["A", "B", "C", "D"] {
        engine.sells(sku, 9).await;
    }
    let customer = engine.customer().await;
    let lines = [("A", 1), ("B", 1), ("C", 1), ("D", 1)];

    customer.orders_with("none", order_of(&[])).await.expect_problem(422, "invalid-body");
    customer.orders_with("four", order_of(&lines)).await.expect_problem(422, "invalid-body");
    customer.orders_with("three", order_of(&lines[..3])).await.expect(201);
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}
