//! A shop of one SKU that keeps its word, or breaks it in one way.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use actix_web::web::{Data, Json, Path, Query};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};
use uuid::Uuid;

pub const SKU: &str = "STUB-1";

/// What the shop does that no shop should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vice {
    None,
    /// Answers no request for a second, once a second has passed since the first order.
    Freezes,
    /// Accepts an order and forgets it.
    Loses,
    /// Makes two orders of one request.
    Doubles,
    /// Goes on selling when nothing is left.
    Oversells,
    /// Says that it is sold out while there are pieces.
    Undersells,
    /// Changes an order after it was answered.
    Alters,
    /// Takes pieces without an order.
    Hoards,
    /// Takes forged tokens.
    Admits,
    /// Makes the order and says that it may not have.
    Stutters,
    /// Cancels what it accepted.
    Reneges,
    /// Sells another number of pieces than it was asked for.
    Shortens,
}

struct Shop {
    vice: Vice,
    first_order: Option<Instant>,
    available: i64,
    /// Orders and their keys, newest last.
    orders: Vec<(String, String, Value)>,
    count: usize,
}

type Shared = Data<Mutex<Shop>>;

/// Serves until the test ends.
pub fn serve(vice: Vice, pieces: i64) -> String {
    let shop = Shop { vice, first_order: None, available: pieces, orders: Vec::new(), count: 0 };
    let shop = Data::new(Mutex::new(shop));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(shop.clone())
            .app_data(web::JsonConfig::default().limit(1 << 16))
            .route("/v1/products", web::get().to(products))
            .route("/v1/products/{id}", web::get().to(products))
            .route("/v1/inventory/{sku}", web::get().to(available))
            .route("/v1/admin/inventory/{sku}", web::get().to(stock))
            .route("/v1/auth/register", web::post().to(session))
            .route("/v1/auth/login", web::post().to(session))
            .route("/v1/orders", web::post().to(place_order))
            .route("/v1/orders", web::get().to(orders))
            .route("/v1/orders/{id}/cancel", web::post().to(cancel))
    })
    .workers(1)
    .disable_signals()
    .bind("127.0.0.1:0")
    .unwrap();
    let address: SocketAddr = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    format!("http://{address}")
}

/// The admin's sign-in, which this shop accepts from every client.
pub const ADMIN: &str = r#"{"admin": {"email": "admin@stub.example", "password": "secret"}}"#;

async fn products() -> Json<Value> {
    let variant = json!({"sku": SKU, "attributes": {}});
    let product = json!({"id": Uuid::nil(), "name": "stub", "variants": [variant]});
    Json(json!({"items": [product], "next_cursor": null}))
}

async fn available(shop: Shared) -> Json<Value> {
    Json(json!({"sku": SKU, "available": shop.lock().unwrap().available}))
}

async fn stock(shop: Shared) -> Json<Value> {
    let available = shop.lock().unwrap().available;
    Json(json!({"sku": SKU, "on_hand": available, "reserved": 0, "available": available, "version": 1}))
}

async fn session(shop: Shared) -> HttpResponse {
    let mut shop = shop.lock().unwrap();
    shop.count += 1;
    let token = format!("customer-{}-valid", shop.count);
    HttpResponse::Created().json(json!({"access_token": token, "refresh_token": "none", "expires_in": 3600}))
}

fn bearer(request: &HttpRequest) -> String {
    let value = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    value.unwrap_or_default().trim_start_matches("Bearer ").to_owned()
}

fn problem(status: u16, code: &str) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(status).unwrap();
    HttpResponse::build(status).json(json!({"code": code}))
}

async fn place_order(request: HttpRequest, body: Json<Value>, shop: Shared) -> HttpResponse {
    let frozen = {
        let mut shop = shop.lock().unwrap();
        let first = *shop.first_order.get_or_insert_with(Instant::now);
        let thaws = first + Duration::from_secs(2);
        let is_frozen = shop.vice == Vice::Freezes && first.elapsed() >= Duration::from_secs(1);
        is_frozen.then(|| thaws.saturating_duration_since(Instant::now()))
    };
    if let Some(rest) = frozen {
        tokio::time::sleep(rest).await;
    }
    let (customer, mut shop) = (bearer(&request), shop.lock().unwrap());
    if !customer.ends_with("valid") && shop.vice != Vice::Admits {
        return problem(401, "token-malformed");
    }
    let key = request.headers().get("idempotency-key").unwrap().to_str().unwrap().to_owned();
    let quantity = body["lines"][0]["quantity"].as_i64().unwrap();
    if let Some((_, _, order)) =
        shop.orders.iter().find(|(owner, used, _)| *owner == customer && *used == key)
    {
        return match order["lines"][0]["quantity"] == quantity {
            true => HttpResponse::Created().insert_header(("idempotency-replayed", "true")).json(order),
            false => problem(422, "idempotency-key-reused"),
        };
    }
    shop.count += 1;
    let is_special = shop.count.is_multiple_of(20);
    let is_sold_out = shop.available < quantity && shop.vice != Vice::Oversells;
    if is_sold_out || (is_special && shop.vice == Vice::Undersells) {
        return problem(409, "out-of-stock");
    }
    shop.available = (shop.available - quantity).max(0);
    if is_special && shop.vice == Vice::Hoards {
        shop.available -= 1;
    }
    let sold = if is_special && shop.vice == Vice::Shortens { quantity + 1 } else { quantity };
    let order = json!({
        "id": Uuid::now_v7(), "number": format!("{}", shop.count), "status": "confirmed",
        "lines": [{"sku": SKU, "quantity": sold, "amount": 100 * quantity}],
        "totals": {"total": 100 * quantity}, "created_at": "2026-01-01T00:00:00Z",
    });
    match shop.vice {
        Vice::Loses if is_special => {}
        Vice::Doubles if is_special => {
            let mut second = order.clone();
            second["id"] = json!(Uuid::now_v7());
            shop.orders.push((customer.clone(), format!("{key} again"), second));
            shop.orders.push((customer, key, order.clone()));
        }
        Vice::Stutters if is_special => {
            shop.orders.push((customer, key, order));
            return problem(503, "unavailable");
        }
        Vice::Reneges if is_special => {
            let mut cancelled = order.clone();
            cancelled["status"] = json!("cancelled");
            shop.available += quantity;
            shop.orders.push((customer, key, cancelled));
        }
        Vice::Alters if is_special => {
            let mut altered = order.clone();
            altered["totals"]["total"] = json!(1);
            shop.orders.push((customer, key, altered));
        }
        _ => shop.orders.push((customer, key, order.clone())),
    }
    HttpResponse::Created().json(order)
}

async fn orders(request: HttpRequest, query: Query<HashMap<String, String>>, shop: Shared) -> Json<Value> {
    let (customer, shop) = (bearer(&request), shop.lock().unwrap());
    let limit: usize = query["limit"].parse().unwrap();
    let skip: usize = query.get("cursor").map_or(0, |cursor| cursor.parse().unwrap());
    let own: Vec<&Value> = shop
        .orders
        .iter()
        .rev()
        .filter(|(owner, _, _)| *owner == customer)
        .map(|(_, _, order)| order)
        .collect();
    let items: Vec<&Value> = own.iter().skip(skip).take(limit).copied().collect();
    let next = (own.len() > skip + limit).then(|| (skip + limit).to_string());
    Json(json!({"items": items, "next_cursor": next}))
}

async fn cancel(request: HttpRequest, id: Path<Uuid>, shop: Shared) -> HttpResponse {
    let (customer, mut shop) = (bearer(&request), shop.lock().unwrap());
    let id = json!(*id);
    let found = shop.orders.iter_mut().find(|(owner, _, order)| *owner == customer && order["id"] == id);
    let Some((_, _, order)) = found else { return problem(404, "unknown-order") };
    order["status"] = json!("cancelled");
    let (order, quantity) = (order.clone(), order["lines"][0]["quantity"].as_i64().unwrap());
    shop.available += quantity;
    HttpResponse::Ok().json(order)
}
