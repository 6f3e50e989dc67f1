//! Customers who order and cancel while things die around them, and who remember every word that they were told.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::timeout;

use crate::buyers::{PATIENCE, expect_try_again};
use crate::support::client::{card_order, konbini_order};
use crate::support::shop::Shop;
use crate::support::{Answer, Client, eventually};

/// After an answer that was none, a customer takes a breath.
const BREATH: Duration = Duration::from_millis(10);

pub struct Crowd {
    customers: Vec<Customer>,
    /// What they order, with the pieces that were there in the beginning.
    goods: BTreeMap<String, i64>,
    /// Orders that were confirmed to a customer.
    placed: Cell<usize>,
    /// Requests that got no answer, or none that says what became of the order.
    unclear: Cell<usize>,
}

struct Customer {
    token: String,
    number: usize,
    orders: RefCell<Vec<Remembered>>,
    /// Keys that were sent and not clearly answered, with what was ordered under them.
    unclear: RefCell<Vec<(String, Value)>>,
    keys: Cell<usize>,
}

/// A `201`, and whether the customer has asked to cancel it since.
struct Remembered {
    key: String,
    body: Value,
    cancelled: Cancelled,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cancelled {
    No,
    Perhaps,
    Yes,
}

impl Crowd {
    /// Brings customers to a shop, who want its hot SKU above all, and a few that will be sold out.
    pub async fn at(shop: &Shop, count: usize) -> Self {
        let tokens = shop.customers(count).await;
        let customers = tokens.into_iter().enumerate().map(|(number, token)| Customer {
            token,
            number,
            orders: RefCell::default(),
            unclear: RefCell::default(),
            keys: Cell::default(),
        });
        let products = shop.visitor().get("/v1/products?limit=4").await.expect(200).body;
        let mut goods = BTreeMap::from([("SHOBAI-HOT-1".to_owned(), 0)]);
        for product in products["items"].as_array().expect("products") {
            goods.insert(product["variants"][0]["sku"].as_str().expect("a sku").to_owned(), 0);
        }
        for (sku, pieces) in &mut goods {
            *pieces = available(&shop.visitor(), sku).await;
        }
        Self { customers: customers.collect(), goods, placed: Cell::default(), unclear: Cell::default() }
    }

    /// Lets all customers order and cancel while a condition holds.
    pub async fn buys_during<T>(&self, door: &Client, happening: impl Future<Output = T>) -> T {
        let closed = Cell::new(false);
        let buying = join_all(self.customers.iter().map(|customer| {
            let door = door.with_token(&*customer.token);
            async { customer.buy_until(&closed, door, self).await }
        }));
        let happening = async {
            let happened = happening.await;
            closed.set(true);
            happened
        };
        tokio::join!(buying, happening).1
    }

    /// Waits until so many more orders were confirmed.
    pub async fn got(&self, more: usize) {
        let enough = self.placed.get() + more;
        eventually("customers are served", async || (self.placed.get() >= enough).then_some(())).await;
    }

    pub fn unclear_answers(&self) -> usize {
        self.unclear.get()
    }

    /// Every confirmed order exists as it was told; no customer has an order that was not told.
    pub async fn finds_what_it_was_told(&self, shop: &Shop) {
        join_all(self.customers.iter().map(async |customer| {
            let client = shop.visitor().with_token(&*customer.token);
            customer.finds_each_order(&client).await;
            customer.finds_no_other_order(&client).await;
        }))
        .await;
    }

    /// Repeats every request that was not clearly answered: each key brings one order, however often it is sent.
    pub async fn finds_out_what_was_unclear(&self, shop: &Shop) {
        join_all(self.customers.iter().map(async |customer| {
            let client = shop.visitor().with_token(&*customer.token);
            customer.finds_out(&client).await;
        }))
        .await;
    }

    /// What was there, less what was ordered and not cancelled, is what can still be ordered: nothing sold twice,
    /// nothing lost.
    pub async fn finds_the_stock_balanced(&self, shop: &Shop) {
        let mut expected = self.goods.clone();
        for customer in &self.customers {
            let client = shop.visitor().with_token(&*customer.token);
            for order in all_orders(&client).await {
                if order["status"] == "cancelled" {
                    continue;
                }
                for line in order["lines"].as_array().expect("lines") {
                    let pieces =
                        expected.get_mut(line["sku"].as_str().expect("a sku")).expect("one of the goods");
                    *pieces -= line["quantity"].as_i64().expect("pieces");
                }
            }
        }
        assert!(expected.values().all(|pieces| *pieces >= 0), "oversold: {expected:?}");
        let found = RefCell::new(BTreeMap::new());
        let balanced = eventually("the stock balances", async || {
            let mut stock = BTreeMap::new();
            for sku in self.goods.keys() {
                stock.insert(sku.clone(), available(&shop.visitor(), sku).await);
            }
            found.replace(stock);
            (*found.borrow() == expected).then_some(())
        });
        if timeout(Duration::from_secs(28), balanced).await.is_err() {
            panic!("left are {:?} and should be {expected:?}", found.borrow());
        }
    }
}

impl Customer {
    async fn buy_until(&self, closed: &Cell<bool>, door: Client, crowd: &Crowd) {
        while !closed.get() {
            let (key, order) = self.next_order(&crowd.goods);
            // A customer who got no clear answer asks again with the same key.
            let clear = loop {
                if let Some(answer) = self.ask(&door, &key, &order).await {
                    break answer;
                }
                crowd.unclear.set(crowd.unclear.get() + 1);
                if closed.get() {
                    self.unclear.borrow_mut().push((key, order));
                    return;
                }
                tokio::time::sleep(BREATH).await;
            };
            if clear.status != 201 {
                clear.expect_problem(409, "out-of-stock");
                continue;
            }
            let id = clear.body["id"].as_str().expect("an id").to_owned();
            self.orders.borrow_mut().push(Remembered { key, body: clear.body, cancelled: Cancelled::No });
            crowd.placed.set(crowd.placed.get() + 1);
            if self.keys.get().is_multiple_of(5) {
                let cancelled = self.cancel(&door, &id).await;
                self.orders.borrow_mut().last_mut().expect("the order").cancelled = cancelled;
            }
        }
    }

    fn next_order(&self, goods: &BTreeMap<String, i64>) -> (String, Value) {
        let count = self.keys.get() + 1;
        self.keys.set(count);
        let others = || goods.keys().filter(|sku| *sku != "SHOBAI-HOT-1");
        let sku = match count % 4 {
            0 => others().nth((count / 4 + self.number) % others().count()).expect("a sku"),
            _ => "SHOBAI-HOT-1",
        };
        let quantity = i64::try_from(1 + count % 2).expect("pieces");
        let order = match (count + self.number) % 2 {
            0 => konbini_order(sku, quantity),
            _ => card_order(sku, quantity, "tok_ok"),
        };
        (format!("customer-{}-order-{count}", self.number), order)
    }

    /// The clear answer, if there is one; an answer that is neither clear nor "try again" is a defect.
    async fn ask(&self, door: &Client, key: &str, order: &Value) -> Option<Answer> {
        let request =
            door.request(reqwest::Method::POST, "/v1/orders").header("Idempotency-Key", key).json(order);
        let answered =
            timeout(PATIENCE, door.try_send(request)).await.expect("an answer within the patience");
        let answer = answered.ok()?;
        if matches!(answer.status, 201 | 409) {
            return Some(answer);
        }
        expect_try_again(&answer);
        None
    }

    async fn cancel(&self, door: &Client, id: &str) -> Cancelled {
        let request = door.request(reqwest::Method::POST, &format!("/v1/orders/{id}/cancel"));
        match timeout(PATIENCE, door.try_send(request)).await.expect("an answer within the patience") {
            Ok(answer) if answer.status == 200 => {
                assert_eq!(answer.body["status"], "cancelled", "{answer:?}");
                Cancelled::Yes
            }
            Ok(answer) => {
                expect_try_again(&answer);
                Cancelled::Perhaps
            }
            Err(_) => Cancelled::Perhaps,
        }
    }

    async fn finds_each_order(&self, client: &Client) {
        let orders = self.orders.take();
        for told in &orders {
            let id = told.body["id"].as_str().expect("an id");
            let found = client.get(&format!("/v1/orders/{id}")).await.expect(200).body;
            for fact in ["id", "number", "lines", "totals", "created_at"] {
                assert_eq!(found[fact], told.body[fact], "{fact} of {}", told.key);
            }
            for fact in ["method", "konbini", "card"] {
                assert_eq!(found["payment"][fact], told.body["payment"][fact], "{fact} of {}", told.key);
            }
            match told.cancelled {
                Cancelled::No => assert_eq!(found["status"], told.body["status"], "{found}"),
                Cancelled::Yes => assert_eq!(found["status"], "cancelled", "{found}"),
                Cancelled::Perhaps => {}
            }
        }
        self.orders.replace(orders);
    }

    async fn finds_no_other_order(&self, client: &Client) {
        let ids = |orders: &[Value]| -> BTreeSet<String> {
            orders.iter().map(|order| order["id"].as_str().expect("an id").to_owned()).collect()
        };
        let told: Vec<Value> = self.orders.borrow().iter().map(|told| told.body.clone()).collect();
        assert_eq!(ids(&told).len(), told.len(), "two keys, one order");
        let found = ids(&all_orders(client).await);
        assert_eq!(found, ids(&told), "still unclear: {:?}", self.unclear.borrow());
    }

    async fn finds_out(&self, client: &Client) {
        for (key, order) in self.unclear.take() {
            let answer = eventually("a clear answer", async || self.ask(client, &key, &order).await).await;
            if answer.status == 409 {
                answer.expect_problem(409, "out-of-stock");
                continue;
            }
            let again = client.orders_with(&key, order).await.expect(201);
            assert_eq!(again.header("idempotency-replayed"), Some("true"));
            assert_eq!(again.body, answer.body);
            let cancelled = Cancelled::No;
            self.orders.borrow_mut().push(Remembered { key, body: answer.body, cancelled });
        }
    }
}

/// Every order of a customer, page by page.
async fn all_orders(client: &Client) -> Vec<Value> {
    let mut orders = Vec::new();
    let mut path = "/v1/orders?limit=100".to_owned();
    loop {
        let page = client.get(&path).await.expect(200).body;
        orders.extend(page["items"].as_array().expect("orders").iter().cloned());
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/orders?limit=100&cursor={cursor}"),
            None => return orders,
        }
    }
}

async fn available(client: &Client, sku: &str) -> i64 {
    let answer = client.get(&format!("/v1/inventory/{sku}")).await.expect(200);
    answer.body["available"].as_i64().expect("a figure")
}
