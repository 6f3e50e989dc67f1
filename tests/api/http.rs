//! What holds for every route: refused input, problems, headers, origins, rates.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shobai::actors::payments::WebhookSecret;

use crate::routes;
use crate::support::client::konbini_order;
use crate::support::{Answer, Client, TestEngine};

/// A call that is fine but for its body, which the tests spoil.
struct Call {
    path: &'static str,
    body: Value,
    /// Members in which null is as good as nothing.
    optional: &'static [&'static str],
    /// Members that are numbers and may be zero or negative.
    any_number: &'static [&'static str],
}

/// Every route that takes a body, with a good one.
fn calls() -> Vec<Call> {
    let call = |path, body| Call { path, body, optional: &[], any_number: &[] };
    let account = json!({"email": "new@example.jp", "password": "plum rain in june", "name": "Hanako"});
    let id = "019b0f5e-2f1c-7a60-9d8e-3f5a7c1b2d4e";
    let card = json!({
        "lines": [{"sku": "LAMP", "quantity": 1}], "payment": {"method": "card", "card": {"token": "tok_ok"}},
    });
    vec![
        call("/v1/auth/register", account),
        call(
            "/v1/auth/login",
            json!({"email": "hanako@example.jp", "password": "correct horse battery staple"}),
        ),
        call("/v1/auth/refresh", json!({"refresh_token": "gWkO0m1bN1oY0t9E4cO3w0m2v0w6d3J1b5h0m3x9p5c"})),
        call("/v1/orders", konbini_order("LAMP", 1)),
        call("/v1/orders", card),
        call("/v1/admin/inventory/LAMP/receipts", json!({"quantity": 1, "reference": "note"})),
        Call {
            path: "/v1/admin/inventory/LAMP/adjustments",
            body: json!({"delta": 1, "reason": "found", "expected_version": 1}),
            optional: &["/expected_version"],
            any_number: &["/expected_version", "/delta"],
        },
        Call {
            path: "/v1/admin/reservations",
            body: json!({"id": id, "lines": [{"sku": "LAMP", "quantity": 1}], "expires_in_seconds": 60}),
            optional: &["/id"],
            any_number: &[],
        },
        Call {
            path: "/v1/admin/sales",
            body: json!({
                "name": "Midnight", "opens_at": "2030-01-01T00:00:00Z", "closes_at": "2030-01-01T01:00:00Z",
                "items": [{"sku": "LAMP", "price": 500, "allotment": 5}], "limit_per_customer": 2,
                "hold_seconds": {"card": 600, "konbini": 600},
            }),
            optional: &["/limit_per_customer", "/hold_seconds"],
            any_number: &[],
        },
        Call {
            path: "/v1/admin/sales/{id}/dry-run",
            body: json!({"reason": "a test", "customers": 20, "seconds": 5}),
            optional: &["/customers", "/seconds"],
            // How many there may be is for who runs it to say.
            any_number: &["/customers", "/seconds"],
        },
        call("/v1/admin/sales/{id}/{action}", json!({"reason": "a test"})),
        call("/v1/admin/sales/{id}/items/LAMP/{action}", json!({"reason": "a test"})),
        call("/v1/admin/{action}", json!({"reason": "a test"})),
        Call {
            path: "/v1/webhooks/sandbox",
            body: json!({"id": "evt_1", "type": "konbini.paid", "order_id": id, "amount": 1980}),
            optional: &["/amount"],
            any_number: &[],
        },
    ]
}

/// Sends bytes as the body, with whatever else the route wants.
async fn send(
    engine: &TestEngine,
    staff: &Client,
    path: &str,
    media_type: Option<&str>,
    body: Vec<u8>,
) -> Answer {
    let of_a_sale = path.replace("{id}", "019b0f5e-2f1c-7a60-9d8e-3f5a7c1b2d4e").replace("{action}", "kill");
    let mut request = staff.request(reqwest::Method::POST, &of_a_sale);
    if path == "/v1/orders" {
        request = request.header("Idempotency-Key", uuid::Uuid::now_v7().to_string());
    }
    if path.starts_with("/v1/webhooks/") {
        let secret = WebhookSecret::load_or_create(&engine.config.storage.data_dir).unwrap();
        request = request.header("Shobai-Signature", secret.sign(&body, jiff::Timestamp::now()));
    }
    if let Some(media_type) = media_type {
        request = request.header("Content-Type", media_type);
    }
    staff.send(request.body(body)).await
}

/// The pointer of every member at any depth, each array by its first item.
fn members(value: &Value, path: &str, found: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(object) => {
            object.iter().map(|(name, value)| (format!("{path}/{name}"), value)).collect()
        }
        Value::Array(items) => items.iter().take(1).map(|value| (format!("{path}/0"), value)).collect(),
        _ => return,
    };
    for (path, value) in inner {
        members(value, &path, found);
        found.push(path);
    }
}

fn parent(pointer: &str) -> (&str, &str) {
    pointer.rsplit_once('/').unwrap()
}

/// Every way to spoil the body that is a refusal for certain.
fn spoiled(call: &Call) -> Vec<(String, Vec<u8>)> {
    let mut pointers = Vec::new();
    members(&call.body, "", &mut pointers);
    let mut bodies = Vec::new();
    let mut add = |what: String, body: String| bodies.push((what, body.into_bytes()));
    for pointer in &pointers {
        let good = call.body.pointer(pointer).unwrap();
        let mut wrong = vec![json!(true), json!([[]]), json!({"no": "such member"}), json!(1.5)];
        if !call.optional.contains(&pointer.as_str()) {
            wrong.push(Value::Null);
        }
        match good {
            Value::String(_) => wrong.extend([json!(7), json!([good])]),
            Value::Number(_) => {
                wrong.extend([json!("1"), json!(""), json!(1e30), json!(u64::MAX), json!([1])]);
                if !call.any_number.contains(&pointer.as_str()) {
                    wrong.extend([json!(-1), json!(i64::MIN), json!(i64::MAX)]);
                    // Something may cost nothing.
                    let may_be_nothing = pointer == "/amount" || pointer.ends_with("/price");
                    wrong.extend((!may_be_nothing).then_some(json!(0)));
                }
            }
            _ => wrong.extend([json!(7), json!("text"), json!([]), json!({})]),
        }
        for value in wrong {
            let mut body = call.body.clone();
            *body.pointer_mut(pointer).unwrap() = value.clone();
            add(format!("{pointer} = {value}"), body.to_string());
        }
        // Numbers that serde_json itself cannot hold.
        if good.is_number() {
            for number in ["99999999999999999999999999", "-99999999999999999999999999", "1.0000001", "1e-1"] {
                let mut body = call.body.clone();
                *body.pointer_mut(pointer).unwrap() = json!("@");
                add(format!("{pointer} = {number}"), body.to_string().replace("\"@\"", number));
            }
        }
        let (parent, name) = parent(pointer);
        if !call.optional.contains(&pointer.as_str()) && name != "0" {
            let mut body = call.body.clone();
            body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
            // Without its one optional member, every body here is a good one still.
            add(format!("{pointer} is missing"), body.to_string());
        }
        if good.is_object() {
            let mut body = call.body.clone();
            body.pointer_mut(pointer).unwrap()["unknown"] = json!(1);
            add(format!("{pointer} has an unknown member"), body.to_string());
        }
    }
    let mut unknown = call.body.clone();
    unknown["unknown"] = json!(1);
    add("an unknown member".to_owned(), unknown.to_string());
    let twice = call.body.to_string();
    let first = call.body.as_object().unwrap().iter().next().unwrap();
    add("a member twice".to_owned(), twice.replacen('{', &format!("{{{:?}:{},", first.0, first.1), 1));
    for whole in ["null", "true", "7", "\"text\"", "[]", "{}", "[{}]"] {
        add(format!("{whole} as a whole"), whole.to_owned());
    }
    let values: Value = call.body.as_object().unwrap().values().cloned().collect();
    add("an array of the members' values".to_owned(), values.to_string());
    bodies
}

/// Bodies that are not JSON, or too deep to be read.
fn broken(good: &Value) -> Vec<(&'static str, Vec<u8>)> {
    let text = good.to_string().into_bytes();
    let cut = text[..text.len() - 1].to_vec();
    let deep = |open: &str| format!("{{\"unknown\":{}", open.repeat(5_000)).into_bytes();
    vec![
        ("an empty body", Vec::new()),
        ("white space", b"  \n".to_vec()),
        ("a body cut short", cut),
        ("a body and more", [&text[..], b"}"].concat()),
        ("two bodies", [&text[..], &text[..]].concat()),
        ("single quotes", String::from_utf8(text.clone()).unwrap().replace('"', "'").into_bytes()),
        ("a form", b"email=hanako@example.jp".to_vec()),
        ("not UTF-8", [b"{\"", &[0xff, 0xfe][..], b"\": 1}"].concat()),
        ("a zero byte", [b"\0", &text[..]].concat()),
        ("NaN", b"{\"quantity\": NaN}".to_vec()),
        ("deep arrays", deep("[")),
        ("deep objects", deep("{\"a\":")),
        ("deep arrays as a whole", "[".repeat(10_000).into_bytes()),
    ]
}

#[actix::test]
async fn every_kind_of_bad_input_is_refused_and_changes_nothing() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 10).await;
    let staff = engine.staff().await;
    let before = (staff.get("/v1/admin/inventory/LAMP").await.body, engine.by_hand_count().await);
    let posted = routes::table().into_iter().filter(|(method, _)| *method == "POST");
    // What the operators' page takes are forms; its own tests send bad ones.
    let posted: Vec<_> = posted.filter(|(_, path)| !path.starts_with("/ops")).collect();
    let without_body = [
        "/v1/auth/logout",
        "/v1/orders/{id}/cancel",
        "/v1/admin/reservations/{id}/commit",
        "/v1/admin/sales/{id}/validate",
        "/v1/sales/{id}/queue",
    ];
    for (_, path) in posted {
        let is_tried = calls().iter().any(|call| call.path == path.replace("{sku}", "LAMP"));
        assert!(is_tried || without_body.contains(&path.as_str()), "no bad input for {path}");
    }

    for call in calls() {
        let is_webhook = call.path.starts_with("/v1/webhooks/");
        for (what, body) in spoiled(&call) {
            let answer = send(&engine, &staff, call.path, Some("application/json"), body.clone()).await;
            let shown = String::from_utf8_lossy(&body).into_owned();
            assert_eq!(answer.status, 422, "{}: {what}: {shown}: {answer:?}", call.path);
            if !is_webhook {
                assert!(
                    matches!(
                        answer.code(),
                        "invalid-body" | "invalid-value" | "weak-password" | "sale-not-valid"
                    ),
                    "{what}: {answer:?}"
                );
            }
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        }
        for (what, body) in broken(&call.body) {
            let answer = send(&engine, &staff, call.path, Some("application/json"), body).await;
            assert!(matches!(answer.status, 400 | 422), "{}: {what}: {answer:?}", call.path);
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        }
        if !is_webhook {
            let body = call.body.to_string().into_bytes();
            for media_type in
                [None, Some(""), Some("text/plain"), Some("application/xml"), Some("application/jsonp")]
            {
                let answer = send(&engine, &staff, call.path, media_type, body.clone()).await;
                answer.expect_problem(415, "unsupported-media-type");
            }
        }
    }

    let after = (staff.get("/v1/admin/inventory/LAMP").await.body, engine.by_hand_count().await);
    assert_eq!(after, before);
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn texts_and_numbers_have_their_bounds() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 10).await;
    let staff = engine.staff().await;
    let bad_lines = |line: Value| json!({"lines": [line], "payment": konbini_order("LAMP", 1)["payment"]});
    let line = |sku: &str, quantity: i64| bad_lines(json!({"sku": sku, "quantity": quantity}));
    let payment = |payment: Value| json!({"lines": [{"sku": "LAMP", "quantity": 1}], "payment": payment});
    let konbini = |chain: &str, phone: &str| {
        payment(json!({"method": "konbini", "konbini": {"chain": chain, "phone": phone}}))
    };
    let card = json!({"token": "tok_ok"});
    let slip = json!({"chain": "lawson", "phone": "0312345678"});
    let mut bodies = vec![
        line("", 1),
        line("a b", 1),
        line("ランプ", 1),
        line("LAMP'; drop table orders.orders; --", 1),
        line(&"x".repeat(65), 1),
        line("LAMP", 1_000_000_001),
        konbini("circle_k", "0312345678"),
        konbini("lawson", "12345"),
        konbini("lawson", ""),
        konbini("lawson", "090-1234-5678 ext 9"),
        payment(json!({"method": "konbini"})),
        payment(json!({"method": "konbini", "card": card})),
        payment(json!({"method": "card", "konbini": slip})),
        payment(json!({"method": "card", "card": card, "konbini": slip})),
        payment(json!({"method": "cash"})),
        payment(json!({"method": "CARD", "card": card})),
        payment(json!({"method": "card", "card": {"token": "4242424242424242"}})),
        payment(json!({"method": "card", "card": {"token": ""}})),
    ];
    bodies.push(json!({
        "lines": (0..51).map(|number| json!({"sku": format!("S{number}"), "quantity": 1})).collect::<Vec<_>>(),
        "payment": konbini_order("LAMP", 1)["payment"],
    }));
    bodies.push(json!({
        "lines": [{"sku": "LAMP", "quantity": 1_000_000_000}, {"sku": "LAMP", "quantity": 1}],
        "payment": konbini_order("LAMP", 1)["payment"],
    }));
    for body in bodies {
        let answer = staff.orders_with("key", body.clone()).await;
        assert_eq!(answer.status, 422, "{body}: {answer:?}");
        assert!(!answer.text.contains("4242424242424242"), "{answer:?}");
    }
    staff.orders_with("key", line("LAMP", 1_000_000_000)).await.expect_problem(409, "out-of-stock");

    for (path, body) in [
        ("/v1/admin/inventory/LAMP/receipts", json!({"quantity": 1, "reference": ""})),
        ("/v1/admin/inventory/LAMP/receipts", json!({"quantity": 1, "reference": "x".repeat(101)})),
        ("/v1/admin/inventory/LAMP/receipts", json!({"quantity": 1, "reference": "a\u{0}b"})),
        ("/v1/admin/inventory/LAMP/receipts", json!({"quantity": 1_000_000_001, "reference": "r"})),
        ("/v1/admin/inventory/LAMP/adjustments", json!({"delta": 0, "reason": "r"})),
        ("/v1/admin/inventory/LAMP/adjustments", json!({"delta": i64::MIN, "reason": "r"})),
        ("/v1/admin/inventory/LAMP/adjustments", json!({"delta": i64::MAX, "reason": "r"})),
        ("/v1/admin/inventory/LAMP/adjustments", json!({"delta": 1, "reason": ""})),
        ("/v1/admin/inventory/LAMP/adjustments", json!({"delta": 1, "reason": "x".repeat(201)})),
        ("/v1/admin/reservations", json!({"lines": [], "expires_in_seconds": 60})),
        (
            "/v1/admin/reservations",
            json!({"lines": [{"sku": "LAMP", "quantity": 1}], "expires_in_seconds": 2_592_001}),
        ),
        (
            "/v1/admin/reservations",
            json!({"id": "1", "lines": [{"sku": "LAMP", "quantity": 1}], "expires_in_seconds": 1}),
        ),
        ("/v1/auth/register", json!({"email": "no address", "password": "plum rain in june", "name": "H"})),
        ("/v1/auth/register", json!({"email": "a@b", "password": "plum rain in june", "name": "H"})),
        (
            "/v1/auth/register",
            json!({"email": format!("{}@example.jp", "a".repeat(300)), "password": "plum rain in june", "name": "H"}),
        ),
        ("/v1/auth/register", json!({"email": "h@example.jp", "password": "plum rain in june", "name": ""})),
        (
            "/v1/auth/register",
            json!({"email": "h@example.jp", "password": "plum rain in june", "name": "  "}),
        ),
        (
            "/v1/auth/register",
            json!({"email": "h@example.jp", "password": "plum rain in june", "name": "a\u{0}"}),
        ),
        (
            "/v1/auth/register",
            json!({"email": "h@example.jp", "password": "plum rain in june", "name": "x".repeat(101)}),
        ),
        (
            "/v1/auth/register",
            json!({"email": "h@example.jp", "password": "plum rain in june", "name": "H", "role": "admin"}),
        ),
    ] {
        let answer = staff.post(path, body.clone()).await;
        assert_eq!((answer.status, answer.code()), (422, "invalid-body"), "{path} {body}: {answer:?}");
    }
    assert_eq!(staff.stock("LAMP").await, (10, 0));
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn a_whole_number_is_accepted_in_every_json_spelling() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 1_000).await;
    let staff = engine.staff().await;
    for (number, left) in [("1.0", 999), ("2e1", 979), ("1.5e1", 964)] {
        let body =
            konbini_order("LAMP", 1).to_string().replace("\"quantity\":1", &format!("\"quantity\":{number}"));
        let answer = send(&engine, &staff, "/v1/orders", Some("application/json"), body.into_bytes()).await;
        answer.expect(201);
        assert_eq!(engine.visitor().available("LAMP").await, left, "{number}");
    }
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn a_body_of_ten_megabytes_is_too_large() {
    let engine = TestEngine::start().await;
    let staff = engine.staff().await;
    for call in calls() {
        let mut body = call.body.to_string().into_bytes();
        body.resize(10 << 20, b' ');
        let answer = send(&engine, &staff, call.path, Some("application/json"), body).await;
        answer.expect_problem(413, "body-too-large");
    }
    let limit = engine.config.http.body_bytes_max;
    for (size, status) in [(limit, 401), (limit + 1, 413)] {
        let mut body = json!({"email": "nobody@example.jp", "password": "x"}).to_string().into_bytes();
        body.resize(size, b' ');
        send(&engine, &staff, "/v1/auth/login", Some("application/json"), body).await.expect(status);
    }
    engine.stop().await;
}

#[actix::test]
async fn an_unknown_path_is_404_and_an_unknown_method_405() {
    let engine = TestEngine::start().await;
    let visitor = engine.visitor();
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v2/orders",
        "/v1/orders/",
        "/v1/order",
        "//v1/orders",
        "/v1/orders/1/2/3",
        "/.env",
        "/%00",
    ] {
        let answer = visitor.get(path).await.expect_problem(404, "not-found");
        assert_eq!(answer.body["type"], "https://shobai.dev/problems/not-found");
        assert!(
            answer.body["title"].is_string()
                && answer.body["detail"].is_string()
                && answer.body["request_id"].is_string()
        );
    }

    let table = routes::table();
    let paths: std::collections::BTreeSet<_> = table.iter().map(|(_, path)| path.as_str()).collect();
    for pattern in paths {
        let path = pattern
            .replace("{id}", "019b0f5e-2f1c-7a60-9d8e-3f5a7c1b2d4e")
            .replace("{sku}", "LAMP")
            .replace("{file:.*}", "x");
        let allowed: Vec<_> =
            table.iter().filter(|(_, other)| other == pattern).map(|(method, _)| *method).collect();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            if allowed.contains(&method) {
                continue;
            }
            let asked = visitor.request(method.parse().unwrap(), &path);
            let answer = visitor.send(asked).await.expect(405);
            // People are told in words.
            let answer = match path.starts_with("/ops") {
                true => answer,
                false => answer.expect_problem(405, "method-not-allowed"),
            };
            let allow: Vec<_> =
                answer.header("allow").unwrap().split(", ").filter(|method| *method != "HEAD").collect();
            assert_eq!(allow, allowed, "{method} {path}");
        }
    }
    engine.stop().await;
}

#[actix::test]
async fn head_is_answered_as_get_without_the_body() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 1).await;
    let visitor = engine.visitor();
    for path in ["/v1/products", "/v1/inventory/LAMP", "/openapi.json"] {
        let get = visitor.get(path).await.expect(200);
        let head = visitor.send(visitor.request(reqwest::Method::HEAD, path)).await.expect(200);
        assert_eq!(
            (head.text.as_str(), head.header("content-type")),
            ("", get.header("content-type")),
            "{path}"
        );
    }
    let missing =
        visitor.send(visitor.request(reqwest::Method::HEAD, "/v1/inventory/CHAIR")).await.expect(404);
    assert_eq!(missing.text, "");
    engine.stop().await;
}

#[actix::test]
async fn every_answer_has_its_request_id_and_the_security_headers() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 1).await;
    let customer = engine.customer().await;
    for path in [
        "/v1/products",
        "/v1/users/me",
        "/nowhere",
        "/v1/orders/1",
        "/docs/",
        "/openapi.json",
        "/v1/admin/inventory/LAMP",
    ] {
        let asked = customer.request(reqwest::Method::GET, path).header("X-Request-Id", "shop-42.a_B");
        let answer = customer.send(asked).await;
        assert_eq!(answer.header("x-request-id"), Some("shop-42.a_B"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert!(
            answer.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"),
            "{path}"
        );
        assert!(answer.header("cache-control").is_some(), "{path}");
        assert_eq!(answer.header("server"), None);
        if answer.status >= 400 {
            assert_eq!(answer.body["request_id"], "shop-42.a_B");
        }

        let own = customer.get(path).await;
        let id = own.header("x-request-id").unwrap();
        assert!(uuid::Uuid::try_parse(id).is_ok(), "{path}: {id}");
        assert_ne!(customer.get(path).await.header("x-request-id"), Some(id));
    }
    assert_eq!(customer.get("/v1/users/me").await.header("cache-control"), Some("no-store"));
    for id in ["", "<script>", "two words", &"x".repeat(65)] {
        let asked = customer.request(reqwest::Method::GET, "/nowhere").header("X-Request-Id", id);
        let answer = customer.send(asked).await;
        assert!(uuid::Uuid::try_parse(answer.header("x-request-id").unwrap()).is_ok(), "{id}: {answer:?}");
    }
    engine.stop().await;
}

#[actix::test]
async fn pages_of_configured_origins_may_call_and_others_may_not() {
    let origin = "https://shop.example";
    let engine = TestEngine::start_with(|config| config.http.allowed_origins = vec![origin.to_owned()]).await;
    let visitor = engine.visitor();
    let preflight = async |origin: &str, method: &str| {
        let asked = visitor.request(reqwest::Method::OPTIONS, "/v1/orders").header("Origin", origin);
        let asked = asked.header("Access-Control-Request-Method", method);
        visitor
            .send(
                asked.header("Access-Control-Request-Headers", "authorization,idempotency-key,content-type"),
            )
            .await
    };

    let allowed = preflight(origin, "POST").await.expect(200);
    assert_eq!(allowed.header("access-control-allow-origin"), Some(origin));
    assert!(allowed.header("access-control-allow-methods").unwrap().contains("POST"));
    let headers = allowed.header("access-control-allow-headers").unwrap().to_lowercase();
    let documented = visitor.get("/openapi.json").await.expect(200).body;
    for name in
        header_parameters(&documented).into_iter().chain(["authorization", "content-type"].map(str::to_owned))
    {
        assert!(headers.split(", ").any(|header| header.trim() == name), "{name} is not among {headers}");
    }

    let refused = preflight("https://evil.example", "POST").await;
    assert!(refused.status >= 400 && refused.header("access-control-allow-origin").is_none(), "{refused:?}");
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));

    let asked = visitor.request(reqwest::Method::GET, "/v1/products").header("Origin", origin);
    let simple = visitor.send(asked).await.expect(200);
    assert_eq!(simple.header("access-control-allow-origin"), Some(origin));
    let exposed = simple.header("access-control-expose-headers").unwrap().to_lowercase();
    assert!(exposed.contains("idempotency-replayed") && exposed.contains("retry-after"), "{exposed}");
    // A problem can be read by the page as well.
    let asked = visitor.request(reqwest::Method::GET, "/v1/users/me").header("Origin", origin);
    let problem = visitor.send(asked).await.expect_problem(401, "token-missing");
    assert_eq!(problem.header("access-control-allow-origin"), Some(origin));
    engine.stop().await;
}

/// The headers of requests that the API document tells of, in lower case; those of webhooks come from no browser.
fn header_parameters(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().expect("paths").iter();
    let called = paths.filter(|(path, _)| !path.contains("/webhooks/"));
    let operations = called.flat_map(|(_, operations)| operations.as_object().expect("operations").values());
    let parameters = operations.filter_map(|operation| operation["parameters"].as_array()).flatten();
    let headers = parameters.filter(|parameter| parameter["in"] == "header");
    let names: BTreeSet<String> =
        headers.map(|header| header["name"].as_str().expect("a name").to_lowercase()).collect();
    assert!(names.contains("idempotency-key"), "{names:?}");
    names
}

#[actix::test]
async fn without_configured_origins_pages_of_other_sites_may_not_call() {
    let engine = TestEngine::start().await;
    let visitor = engine.visitor();
    let asked =
        visitor.request(reqwest::Method::GET, "/v1/products").header("Origin", "https://evil.example");
    let answer = visitor.send(asked).await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
    engine.stop().await;
}

#[actix::test]
async fn a_client_that_asks_too_often_is_told_when_to_come_back() {
    let engine = TestEngine::start_with(|config| {
        config.rate_limit.enabled = true;
        config.rate_limit.burst = 3;
        config.rate_limit.per_second = 1;
    })
    .await;
    let visitor = engine.visitor();

    let first = visitor.get("/v1/products").await.expect(200);
    assert_eq!(
        (first.header("ratelimit-limit"), first.header("ratelimit-remaining")),
        (Some("3"), Some("2"))
    );
    assert!(first.header("ratelimit-reset").is_some());
    let answers = futures_util::future::join_all((0..20).map(|_| visitor.get("/v1/products"))).await;

    let refused: Vec<_> = answers.into_iter().filter(|answer| answer.status != 200).collect();
    assert!(refused.len() >= 15, "{}", refused.len());
    let figures = crate::support::Client::new(engine.metrics_base(), None).get("/metrics").await.expect(200);
    assert!(figures.text.contains("shobai_http_too_fast_total"), "{}", figures.text);
    for answer in refused {
        let answer = answer.expect_problem(429, "too-many-requests");
        assert_eq!(
            (answer.header("ratelimit-limit"), answer.header("ratelimit-remaining")),
            (Some("3"), Some("0"))
        );
        let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=2).contains(&seconds), "{seconds}");
    }
    // The bucket fills again.
    crate::support::eventually("it may ask again", async || {
        (visitor.get("/v1/products").await.status == 200).then_some(())
    })
    .await;
    engine.stop().await;
}

impl TestEngine {
    /// How many rows there are that a request could have made.
    async fn by_hand_count(&self) -> String {
        let counted = self
            .by_hand(
                "select (select count(*) from orders.orders), (select count(*) from inventory.reservations),
                        (select count(*) from inventory.movements), (select count(*) from users.users),
                        (select count(*) from orders.events), (select count(*) from sales.changes)",
            )
            .await;
        let row = counted.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let row = row.expect("a row of counts");
        (0..row.len()).map(|column| row.get(column).unwrap_or_default()).collect::<Vec<_>>().join(" ")
    }
}
