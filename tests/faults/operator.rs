//! Who runs flash sales at an engine that is killed, and what is sold in them.

use std::cell::RefCell;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::client::konbini_order;
use crate::support::shop::Shop;
use crate::support::{Answer, Client, eventually};

/// Pieces of each SKU of a sale.
pub const PIECES: i64 = 40;
pub const LIMIT: i64 = 2;
pub const PRICE: i64 = 500;

/// From now, in milliseconds.
pub fn soon(milliseconds: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_millis(milliseconds)
}

pub fn plan(skus: &[String], opens_at: Timestamp) -> Value {
    let item = |sku: &String| json!({"sku": sku, "price": PRICE, "allotment": PIECES});
    json!({
        "name": "Midnight", "opens_at": opens_at, "closes_at": soon(600_000), "limit_per_customer": LIMIT,
        "items": skus.iter().map(item).collect::<Vec<_>>(),
    })
}

/// Remaining, held, sold and returned pieces.
pub type Pieces = [i64; 4];

/// Who runs sales, at whichever engine serves at the moment.
pub struct Operator {
    pub staff: Client,
}

impl Operator {
    pub async fn at(shop: &Shop) -> Self {
        let signed_in = shop.visitor().post("/v1/auth/login", shop.demo()["admin"].clone()).await.expect(200);
        let token = signed_in.body["access_token"].as_str().expect("a token");
        Self { staff: shop.visitor().with_token(token) }
    }

    /// Goes on at the engine that was started again.
    pub fn again_at(&mut self, shop: &Shop) {
        self.staff = shop.visitor().with_token(self.staff.token.clone().expect("a token"));
    }

    pub async fn plans(&self, plan: Value) -> String {
        self.staff.post("/v1/admin/sales", plan).await.expect(201).id().to_owned()
    }

    pub async fn schedules(&self, skus: &[String], opens_at: Timestamp) -> String {
        let sale = self.plans(plan(skus, opens_at)).await;
        self.tells(&sale, "schedule").await.expect(200);
        sale
    }

    pub async fn opens(&self, skus: &[String]) -> String {
        let sale = self.schedules(skus, soon(-1_000)).await;
        self.sees(&sale, "open").await;
        sale
    }

    pub async fn tells(&self, sale: &str, action: &str) -> Answer {
        self.staff.post(&format!("/v1/admin/sales/{sale}/{action}"), json!({"reason": "a test"})).await
    }

    /// Turns one of the switches that stop orders, or lets them in again.
    pub async fn switches(&self, path: &str) {
        self.staff.post(&format!("/v1/admin/{path}"), json!({"reason": "a test"})).await.expect(200);
    }

    /// The settlement without the moment at which it was made and the signature over it, which is checked.
    pub async fn report(&self, sale: &str) -> Value {
        let mut report = self.staff.get(&format!("/v1/admin/sales/{sale}/report")).await.expect(200);
        shobai::audit::verify(&report.text).expect("a report that is signed");
        report.body["summary"]["made_at"] = Value::Null;
        report.body["signature"]["signature"] = Value::Null;
        report.body
    }

    pub async fn sale(&self, sale: &str) -> Value {
        self.staff.get(&format!("/v1/admin/sales/{sale}")).await.expect(200).body
    }

    pub async fn sees(&self, sale: &str, status: &str) {
        eventually(&format!("the sale is {status}"), async || {
            (self.sale(sale).await["status"] == status).then_some(())
        })
        .await;
    }

    pub async fn pieces(&self, sale: &str) -> Vec<Pieces> {
        let live = self.staff.get(&format!("/v1/admin/sales/{sale}/live")).await.expect(200).body;
        let parts = live["items"].as_array().expect("items").iter().map(|part| {
            let figure = |name: &str| part[name].as_i64().expect("a figure");
            let pieces = ["remaining", "held", "sold", "returned"].map(figure);
            assert_eq!(pieces.iter().sum::<i64>(), figure("allotment"), "{part}");
            assert!(pieces.iter().all(|pieces| *pieces >= 0), "{part}");
            pieces
        });
        parts.collect()
    }

    pub async fn sees_pieces(&self, sale: &str, expected: &[Pieces]) {
        let found = RefCell::new(Vec::new());
        let seen = eventually("the pieces are where they belong", async || {
            found.replace(self.pieces(sale).await);
            (*found.borrow() == expected).then_some(())
        });
        if timeout(Duration::from_secs(15), seen).await.is_err() {
            panic!("{:?} and not {expected:?}", found.borrow());
        }
    }
}

/// The demo's SKUs that have some hundred pieces each.
pub async fn skus(shop: &Shop) -> Vec<String> {
    let products = shop.visitor().all_pages("/v1/products", 50).await;
    let variants = products.iter().flat_map(|product| product["variants"].as_array().expect("variants"));
    let skus = variants.map(|variant| variant["sku"].as_str().expect("a sku").to_owned());
    skus.filter(|sku| sku != "SHOBAI-HOT-1").collect()
}

/// An order whose pieces stay held, on a phone of the customer's own: the limit knows a phone again.
pub fn held_order(sku: &str, quantity: i64, customer: usize) -> Value {
    let mut order = konbini_order(sku, quantity);
    order["payment"]["konbini"]["phone"] = json!(format!("0901111{customer:04}"));
    order
}

pub async fn buys(shop: &Shop, token: &str, order: Value) -> Answer {
    shop.visitor().with_token(token).orders_with(&uuid::Uuid::now_v7().to_string(), order).await
}
