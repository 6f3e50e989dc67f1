//! The gateway without its domains: fakes behind the ports, the real layers around the routes.

use std::sync::Arc;

use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::test::{self, TestRequest};
use actix_web::web::Data;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::gateway::Gateway;
use super::gateway::server::{Layers, app};
use super::ports::Ports;
use super::{Access, DeclaredRoute, route_table, views};
use crate::actors::catalog::CatalogPorts;
use crate::actors::inventory::{InventoryError, InventoryPorts, Stock};
use crate::actors::orders::{Order, OrdersError, OrdersPorts, PlaceOrder, Placed, Placing};
use crate::actors::payments::{Payment, PaymentMethod, WebhookSecret};
use crate::actors::runtime::Port;
use crate::actors::sales::SalesPorts;
use crate::actors::users::{Identity, Role, TokenError, UsersError, UsersPorts};
use crate::actors::waiting_room::{PassKey, WaitingRoomPorts};
use crate::audit::AuditPorts;
use crate::config::Config;
use crate::dry_run::{DryRunError, DryRunPorts};
use crate::storage::StorageError;
use crate::types::{CustomerId, Money, OrderId, SessionId, TaxRate};

fn fake<M, T, E>(answer: impl Fn(M) -> Result<T, E> + Send + Sync + 'static) -> Port<M>
where
    M: actix::Message<Result = Result<T, E>>,
    T: Send + 'static,
    E: Send + 'static,
{
    Port::new(move |message| {
        let answer = answer(message);
        Box::pin(async move { answer })
    })
}

fn down() -> StorageError {
    StorageError::Unreachable("connection refused (10.0.0.7)".to_owned())
}

fn place(wanted: PlaceOrder) -> Result<Placed, OrdersError> {
    let PlaceOrder { customer, key, lines, payment, .. } = wanted;
    match key.as_str() {
        "panic" => panic!("a handler's panic"),
        "sold-out" => {
            let sku = lines[0].sku.clone();
            return Err(InventoryError::OutOfStock { sku, requested: 2, available: 1 }.into());
        }
        _ => {}
    }
    let quotes = lines
        .iter()
        .map(|line| crate::actors::catalog::Quote {
            sku: line.sku.clone(),
            name: "Lamp".into(),
            price: Money::yen(1_100).unwrap(),
            tax_rate: TaxRate::Standard,
        })
        .collect();
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let payment: Payment = serde_json::from_value(match payment {
        PaymentMethod::Konbini { chain, .. } => json!({"method": "konbini", "status": "pending", "konbini": {
            "chain": chain.as_str(), "payment_code": "123456", "confirmation_number": "0901234", "pay_before": now,
        }}),
        PaymentMethod::Card { .. } => json!({"method": "card", "status": "captured", "card": {"reference": "ch_1"}}),
    })
    .unwrap();
    let id = OrderId::generate();
    let placing = Placing { id, customer, sale: None, created_at: now, pay_before: now };
    let order = Order::place(placing, &lines, quotes, payment).unwrap();
    Ok(Placed { order: Arc::new(order), replayed: key.as_str() == "replayed" })
}

fn ports() -> Ports {
    Ports {
        users: UsersPorts {
            sign_in: fake(|_| Err(UsersError::BadCredentials)),
            refresh_session: fake(|_| Err(UsersError::BadRefreshToken)),
            renew_session: fake(|_| Err(UsersError::SessionOver)),
            sign_out: fake(|_| Ok(())),
            ..UsersPorts::refusing(down().into())
        },
        catalog: CatalogPorts::refusing(down().into()),
        inventory: InventoryPorts {
            get_stock: fake(|_| Ok(Stock { on_hand: 5, reserved: 2, allotted: 0, version: 3 })),
            ..InventoryPorts::refusing(down().into())
        },
        orders: OrdersPorts {
            place_order: fake(place),
            get_order: fake(|asked: crate::actors::orders::GetOrder| {
                Err(OrdersError::UnknownOrder(asked.order))
            }),
            // Never answers.
            list_history: Port::new(|_| Box::pin(std::future::pending())),
            cancel_order: fake(|_| Err(OrdersError::Unknown)),
            record_payment: fake(|_| Err(OrdersError::Busy)),
            ..OrdersPorts::refusing(down().into())
        },
        sales: SalesPorts::refusing(down().into()),
        waiting_room: WaitingRoomPorts::refusing(down().into()),
        audit: AuditPorts { get_audit_status: fake(|_| Ok(None)), ..AuditPorts::refusing(down().into()) },
        dry_runs: DryRunPorts::refusing(DryRunError::Busy),
    }
}

/// `customer`, `staff` and `admin` are tokens here.
fn identify(token: &str) -> Result<Identity, TokenError> {
    let role = match token {
        "customer" => Role::Customer,
        "staff" => Role::Staff,
        "admin" => Role::Admin,
        "" => return Err(TokenError::Missing),
        _ => return Err(TokenError::Malformed),
    };
    Ok(Identity {
        customer: CustomerId::generate(),
        session: SessionId::generate(),
        role,
        expires_at: Timestamp::MAX,
    })
}

fn config() -> Config {
    let mut config = Config::default();
    config.rate_limit.enabled = false;
    config.http.request_within_ms = 200;
    config
}

/// A gateway over the fake ports.
fn gateway(key_set: &Value, config: &Config) -> Gateway {
    let data_dir = std::env::temp_dir().join(format!("shobai-{}", OrderId::generate()));
    let secret = WebhookSecret::load_or_create(&data_dir).unwrap();
    let passes = PassKey::load_or_create(&data_dir).unwrap();
    std::fs::remove_dir_all(data_dir).unwrap();
    Gateway::new(ports(), identify, key_set, secret, passes, None, config)
}

struct Answered {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answered {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The code, after checking that the error has the shape that every error has.
    fn code(&self) -> String {
        let problem = self.json();
        let code = problem["code"].as_str().unwrap().to_owned();
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{problem}");
        assert_eq!(problem["type"], format!("https://shobai.dev/problems/{code}"));
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"));
        assert!(problem["detail"].is_string() && problem["title"].is_string());
        code
    }
}

async fn ask(requests: Vec<TestRequest>, config: &Config) -> Vec<Answered> {
    let gateway = gateway(&json!({"keys": []}), config);
    let app = test::init_service(app(Data::new(gateway), Layers::new(config))).await;
    let mut answers = Vec::new();
    for request in requests {
        let request = request.peer_addr("192.0.2.1:4000".parse().unwrap()).to_request();
        let answer: ServiceResponse<_> = app.call(request).await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        answers.push(Answered { status, headers, body: test::read_body(answer).await.to_vec() });
    }
    answers
}

async fn ask_one(request: TestRequest) -> Answered {
    ask(vec![request], &config()).await.remove(0)
}

fn order(key: &'static str, body: &Value) -> TestRequest {
    TestRequest::post()
        .uri("/v1/orders")
        .insert_header(("Authorization", "Bearer customer"))
        .insert_header(("Idempotency-Key", key))
        .set_json(body)
}

fn a_lamp() -> Value {
    json!({
        "lines": [{"sku": "LAMP", "quantity": 2}],
        "payment": {"method": "konbini", "konbini": {"chain": "lawson", "phone": "090-1234-5678"}},
    })
}

#[actix_web::test]
async fn an_order_is_shown_as_the_contract_says() {
    let answer = ask_one(order("k-1", &a_lamp())).await;

    assert_eq!(answer.status, 201);
    let body = answer.json();
    assert_eq!(answer.header("location"), Some(&*format!("/v1/orders/{}", body["id"].as_str().unwrap())));
    assert_eq!(answer.header("idempotency-replayed"), None);
    assert_eq!(body["status"], "awaiting_payment");
    assert_eq!(
        body["lines"],
        json!([{"sku": "LAMP", "name": "Lamp", "quantity": 2, "unit_price": {"amount": 1100, "currency": "JPY"},
                "tax_rate": 10, "amount": 2200}])
    );
    assert_eq!(
        body["totals"],
        json!({"subtotal": 2200, "tax": [{"rate": 10, "base": 2200, "amount": 200}], "total": 2200, "currency": "JPY"})
    );
    assert_eq!(body["payment"]["method"], "konbini");
    assert_eq!(body["payment"]["status"], "pending");
    assert_eq!(body["payment"]["konbini"]["chain"], "lawson");
    assert_eq!(body["payment"].get("card"), None);
    assert_eq!(body["expires_at"], "2027-01-15T08:00:00Z");
}

#[actix_web::test]
async fn a_client_writes_and_reads_an_order_with_the_types_of_the_api() {
    let body: views::PlaceOrderBody = serde_json::from_value(a_lamp()).unwrap();
    let written = serde_json::to_value(&body).unwrap();
    assert_eq!(serde_json::from_value::<views::PlaceOrderBody>(written.clone()).unwrap(), body);

    let answer = ask_one(order("k-1", &written)).await;

    let read: views::OrderView<'_> = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), answer.json());
}

#[actix_web::test]
async fn a_paid_order_lapses_never_and_a_replay_is_marked() {
    let mut body = a_lamp();
    body["payment"] = json!({"method": "card", "card": {"token": "tok_ok"}});
    let answer = ask_one(order("replayed", &body)).await;
    assert_eq!((answer.status, answer.header("idempotency-replayed")), (201, Some("true")));
    assert_eq!((&answer.json()["status"], &answer.json()["expires_at"]), (&json!("confirmed"), &Value::Null));
}

#[actix_web::test]
async fn what_is_wrong_with_an_order_has_a_code_of_its_own() {
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut body = a_lamp();
        change(&mut body);
        body
    };
    let too_many: Vec<_> = (0..51).map(|_| json!({"sku": "LAMP", "quantity": 1})).collect();
    let cases = [
        (order("k", &changed(&|body| body["lines"] = json!([]))), 422, "invalid-body"),
        (order("k", &changed(&|body| body["lines"] = json!(too_many))), 422, "invalid-body"),
        (order("k", &changed(&|body| body["lines"][0]["quantity"] = json!(-1))), 422, "invalid-body"),
        (order("k", &changed(&|body| body["price"] = json!(1))), 422, "invalid-body"),
        (order("k", &changed(&|body| body["payment"]["method"] = json!("card"))), 422, "invalid-body"),
        (
            order("k", &changed(&|body| body["payment"]["card"] = json!({"token": "tok_ok"}))),
            422,
            "invalid-body",
        ),
        (
            order("k", &changed(&|body| body["payment"]["konbini"]["phone"] = json!("12"))),
            422,
            "invalid-body",
        ),
        (order("k", &changed(&|body| body["lines"][0] = json!(["LAMP", 1]))), 422, "invalid-body"),
        (
            order("k", &changed(&|body| body["payment"] = json!(["card", null, ["tok_ok"]]))),
            422,
            "invalid-body",
        ),
        (order("k", &a_lamp()).set_payload("{"), 400, "malformed-json"),
        (order("k", &a_lamp()).set_payload(""), 400, "malformed-json"),
        (order("k", &a_lamp()).insert_header(("Content-Type", "text/plain")), 415, "unsupported-media-type"),
        (order("k", &a_lamp()).insert_header(("Content-Encoding", "gzip")), 415, "unsupported-media-type"),
        (order("k", &a_lamp()).set_payload(vec![b' '; 65 * 1024]), 413, "body-too-large"),
        (order("k", &a_lamp()).insert_header(("Content-Length", "10485760")), 413, "body-too-large"),
        (order("", &a_lamp()), 422, "invalid-value"),
        (order("a b", &a_lamp()), 422, "invalid-value"),
        (order("sold-out", &a_lamp()), 409, "out-of-stock"),
        (order("panic", &a_lamp()), 500, "internal"),
        (order("k", &a_lamp()).insert_header(("Authorization", "Bearer forged")), 401, "token-malformed"),
        (order("k", &a_lamp()).insert_header(("Authorization", "Basic YTpi")), 401, "token-missing"),
        (
            TestRequest::post()
                .uri("/v1/orders")
                .insert_header(("Authorization", "Bearer customer"))
                .set_json(a_lamp()),
            400,
            "idempotency-key-required",
        ),
    ];
    for (index, (request, status, code)) in cases.into_iter().enumerate() {
        let answer = ask_one(request).await;
        assert_eq!((answer.status, &*answer.code()), (status, code), "case {index}");
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "case {index}");
    }
}

#[actix_web::test]
async fn a_missing_path_and_a_route_for_others_are_refused() {
    let get = |uri: &str| TestRequest::get().uri(uri);
    let customer = |uri: &str| get(uri).insert_header(("Authorization", "Bearer customer"));
    let staff = |uri: &str| get(uri).insert_header(("Authorization", "Bearer staff"));
    let id = OrderId::generate();
    let cases = [
        (get("/"), 404, "not-found"),
        (get("/v1/nothing"), 404, "not-found"),
        (customer("/v1/orders/7"), 404, "not-found"),
        (customer(&format!("/v1/orders/{id}")), 404, "unknown-order"),
        (get("/v1/inventory/a%20b"), 404, "not-found"),
        (get("/docs/nothing.js"), 404, "not-found"),
        (customer("/v1/admin/inventory/LAMP"), 403, "staff-only"),
        (get("/v1/admin/inventory/LAMP"), 401, "token-missing"),
        (staff("/v1/admin/inventory/LAMP/movements?limit=0"), 422, "invalid-query"),
        (get("/v1/products?limit=101"), 422, "invalid-query"),
        (get("/v1/products?limit=1&limit=2"), 422, "invalid-query"),
        (get("/v1/products?limit=x"), 422, "invalid-query"),
        (get("/v1/products?offset=1"), 422, "invalid-query"),
        (get("/v1/products?q="), 422, "invalid-query"),
        (get("/v1/products?q=a%00b"), 422, "invalid-query"),
        (get("/v1/products?cursor=***"), 422, "invalid-query"),
        (customer("/v1/orders?status=lost"), 422, "invalid-query"),
        (get("/v1/products"), 503, "unavailable"),
        (customer(&format!("/v1/orders/{id}/history")), 503, "late"),
        (TestRequest::post().uri("/v1/webhooks/sandbox").set_payload("{}"), 401, "bad-signature"),
    ];
    for (request, status, code) in cases {
        let request = request.peer_addr("192.0.2.1:1".parse().unwrap());
        let answer = ask_one(request).await;
        assert_eq!((answer.status, &*answer.code()), (status, code));
        assert_eq!(answer.header("retry-after").is_some(), status == 503);
        assert!(!String::from_utf8(answer.body).unwrap().contains("10.0.0.7"));
    }
}

#[actix_web::test]
async fn a_method_that_a_path_lacks_is_answered_with_those_it_has() {
    for (method, uri, allow) in [
        (Method::DELETE, "/v1/orders", "GET, HEAD, POST"),
        (Method::GET, "/v1/auth/login", "POST"),
        (Method::PUT, "/v1/products", "GET, HEAD"),
        (Method::TRACE, "/openapi.json", "GET, HEAD"),
        (Method::OPTIONS, "/v1/admin/reservations/1", "DELETE"),
    ] {
        let answer = ask_one(TestRequest::with_uri(uri).method(method)).await;
        assert_eq!((answer.status, &*answer.code()), (405, "method-not-allowed"));
        assert_eq!(answer.header("allow"), Some(allow));
    }
}

#[actix_web::test]
async fn every_answer_carries_its_id_and_the_security_headers() {
    let uris = ["/v1/inventory/LAMP", "/nothing", "/docs/", "/openapi.json", "/.well-known/jwks.json"];
    for uri in uris {
        let answer = ask_one(TestRequest::get().uri(uri).insert_header(("X-Request-Id", "mine-1"))).await;
        assert_eq!(answer.header("x-request-id"), Some("mine-1"), "{uri}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{uri}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{uri}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{uri}");
        assert_eq!(policy.contains("script-src 'self'"), uri == "/docs/", "{uri}");
        assert!(answer.header("cache-control").is_some(), "{uri}");
    }
}

#[actix_web::test]
async fn too_many_requests_are_refused_with_the_time_to_wait() {
    let mut config = config();
    config.rate_limit.enabled = true;
    config.rate_limit.per_second = 1;
    config.rate_limit.burst = 2;
    config.http.allowed_origins = vec!["https://shop.example".to_owned()];
    let request =
        || TestRequest::get().uri("/v1/inventory/LAMP").insert_header(("Origin", "https://shop.example"));

    let answers = ask(vec![request(), request(), request()], &config).await;

    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 429]);
    let refused = &answers[2];
    assert_eq!(refused.code(), "too-many-requests");
    assert_eq!(
        (refused.header("ratelimit-limit"), refused.header("ratelimit-remaining")),
        (Some("2"), Some("0"))
    );
    assert_eq!((refused.header("ratelimit-reset"), refused.header("retry-after")), (Some("2"), Some("1")));
    assert_eq!(answers[0].header("ratelimit-remaining"), Some("1"));
    assert_eq!(refused.header("access-control-allow-origin"), Some("https://shop.example"));
}

#[actix_web::test]
async fn more_requests_than_can_be_answered_at_once_are_turned_away() {
    let mut config = config();
    config.actors.asks_max = 1;
    let gateway = gateway(&json!({}), &config);
    let app = test::init_service(app(Data::new(gateway), Layers::new(&config))).await;
    let waiting = || {
        let uri = format!("/v1/orders/{}/history", OrderId::generate());
        TestRequest::get().uri(&uri).insert_header(("Authorization", "Bearer customer")).to_request()
    };

    let (first, second) = futures_util::future::join(app.call(waiting()), app.call(waiting())).await;

    let first: Value = test::read_body_json(first.unwrap()).await;
    let second: Value = test::read_body_json(second.unwrap()).await;
    assert_eq!((&first["code"], &second["code"]), (&json!("late"), &json!("busy")));
}

#[actix_web::test]
async fn browsers_of_other_origins_are_not_let_in() {
    let preflight = || {
        TestRequest::with_uri("/v1/orders")
            .method(Method::OPTIONS)
            .insert_header(("Origin", "https://evil.example"))
            .insert_header(("Access-Control-Request-Method", "POST"))
    };
    let mut config = config();
    config.http.allowed_origins = vec!["https://shop.example".to_owned()];
    let refused = ask(vec![preflight()], &config).await.remove(0);
    assert_eq!((refused.status, &*refused.code()), (400, "bad-request"));

    config.http.allowed_origins = vec!["*".to_owned()];
    let allowed = ask(vec![preflight()], &config).await.remove(0);
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (200, Some("*")));
}

#[actix_web::test]
async fn the_document_describes_every_route_and_all_its_references_exist() {
    let document = ask_one(TestRequest::get().uri("/openapi.json")).await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    // What people look at in a browser is no part of the API.
    let is_documented =
        |path: &str| !["/openapi.json", "/docs", "/ops"].iter().any(|it| path.starts_with(it));
    for path in route_table().iter().map(|route| route.pattern) {
        for method in ["GET", "POST", "PATCH", "DELETE"] {
            let exists = route_table().iter().any(|route| route.pattern == path && route.method == method);
            let documented = document["paths"][path].get(method.to_lowercase()).is_some();
            assert_eq!(exists && is_documented(path), documented, "{method} {path}");
        }
    }
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
    }
}

/// A path that the pattern matches, with the query that its handler needs.
fn path_of(pattern: &str) -> String {
    let part = |part: &str| match part {
        "{id}" => OrderId::generate().to_string(),
        "{sku}" => "LAMP".to_owned(),
        "{action}" => "kill".to_owned(),
        part if part.starts_with('{') => "file".to_owned(),
        part => part.to_owned(),
    };
    let query = match pattern {
        "/ops/confirm" | "/ops/sales/{id}/confirm" => "?action=kill",
        "/ops/sales/{id}/report" => "?form=json",
        _ => "",
    };
    pattern.split('/').map(part).collect::<Vec<_>>().join("/") + query
}

/// Whether a route turned the caller away, and how.
fn turned_away(access: Access, answer: &Answered) -> Option<&'static str> {
    let leads_to_sign_in = answer.header("location").is_some_and(|to| to.starts_with("/ops?back="));
    if access.is_page() {
        return (answer.status == 303 && leads_to_sign_in).then_some("sign-in");
    }
    let is_problem = answer.header("content-type") == Some("application/problem+json");
    match (answer.status, is_problem.then(|| answer.code()).as_deref()) {
        (401, Some("token-missing")) => Some("token-missing"),
        (403, Some("staff-only")) => Some("staff-only"),
        _ => None,
    }
}

#[actix_web::test]
async fn each_route_lets_in_the_callers_that_it_declares_and_no_others() {
    let callers = [None, Some("customer"), Some("staff"), Some("admin")];
    let cases: Vec<_> = route_table()
        .into_iter()
        .flat_map(|route| callers.into_iter().map(move |caller| (route, caller)))
        .collect();
    let request = |(route, caller): &(DeclaredRoute, Option<&str>)| {
        let method = Method::from_bytes(route.method.as_bytes()).unwrap();
        let request = TestRequest::with_uri(&path_of(route.pattern)).method(method);
        match caller {
            Some(token) if route.access.is_page() => {
                request.insert_header(("Cookie", format!("shobai-ops={token}")))
            }
            Some(token) => request.insert_header(("Authorization", format!("Bearer {token}"))),
            None => request,
        }
    };

    let answers = ask(cases.iter().map(request).collect(), &config()).await;

    for ((route, caller), answer) in cases.iter().zip(&answers) {
        let is_staff = matches!(caller, Some("staff" | "admin"));
        let expected = match (route.access, caller) {
            (Access::Public | Access::Page, _) | (Access::Customer, Some(_)) => None,
            (Access::Staff(_) | Access::SignedInPage | Access::StaffPage(_), _) if is_staff => None,
            (Access::Customer | Access::Staff(_), None) => Some("token-missing"),
            (Access::Staff(_), Some(_)) => Some("staff-only"),
            (Access::SignedInPage | Access::StaffPage(_), _) => Some("sign-in"),
        };
        assert_eq!(turned_away(route.access, answer), expected, "{route:?} by {caller:?}");
    }
}

/// Serves on a port of its own, sends the bytes as they are, and reads until the server closes or is done.
async fn talk(sent: Vec<u8>) -> String {
    let mut config = config();
    config.http.listen = "127.0.0.1:0".parse().unwrap();
    config.http.workers = 1;
    let gateway = gateway(&json!({}), &config);
    let (server, address) = super::serve(Arc::new(gateway), &config).unwrap();
    let handle = server.handle();
    actix_rt::spawn(server);
    let heard = actix_web::web::block(move || {
        use std::io::{Read, Write};
        let mut connection = std::net::TcpStream::connect(address).unwrap();
        connection.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        // The server may well stop listening before it was sent everything.
        let _ = connection.write_all(&sent);
        let mut heard = Vec::new();
        let _ = connection.read_to_end(&mut heard);
        String::from_utf8_lossy(&heard).into_owned()
    })
    .await
    .unwrap();
    handle.stop(false).await;
    heard
}

#[actix_web::test]
async fn ten_megabytes_are_refused_and_the_client_hears_why() {
    let head = |length: &str| {
        format!(
            "POST /v1/auth/login HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\
             Content-Type: application/json\r\n{length}\r\n\r\n"
        )
    };
    let announced = [head("Content-Length: 10485760").into_bytes(), vec![b' '; 10 << 20]].concat();
    let chunk = [b"8000\r\n".to_vec(), vec![b' '; 0x8000], b"\r\n".to_vec()].concat();
    let chunked =
        [head("Transfer-Encoding: chunked").into_bytes(), chunk.repeat(320), b"0\r\n\r\n".to_vec()].concat();

    for sent in [announced, chunked] {
        let heard = talk(sent).await;
        assert!(heard.starts_with("HTTP/1.1 413 "), "{heard}");
        assert!(heard.contains("body-too-large"), "{heard}");
    }
}

#[actix_web::test]
async fn what_is_not_http_at_all_is_refused() {
    let heard = talk(b"HELLO\r\n\r\n".to_vec()).await;
    assert!(heard.starts_with("HTTP/1.1 400 "), "{heard}");
}
