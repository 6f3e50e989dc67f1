//! A client of the REST API that speaks the domain, and answers that can be looked into.

use serde_json::{Value, json};

use super::document;

/// The password of every account in the tests.
pub const PASSWORD: &str = "correct horse battery staple";

#[derive(Clone)]
pub struct Client {
    base: String,
    pub token: Option<String>,
    pub refresh_token: Option<String>,
    http: reqwest::Client,
    /// Whether every answer has to be as the API document says.
    is_held: bool,
}

/// Status, headers and body of an answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
    pub text: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The stable code of a problem.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The id of what was answered.
    #[track_caller]
    pub fn id(&self) -> &str {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no id: {self:?}"))
    }

    /// The status of the order that was answered.
    pub fn order_status(&self) -> &str {
        self.body["status"].as_str().unwrap_or_default()
    }

    /// The items of a page.
    #[track_caller]
    pub fn items(&self) -> &[Value] {
        self.body["items"].as_array().unwrap_or_else(|| panic!("no page: {self:?}"))
    }

    /// One member of every item of a page.
    #[track_caller]
    pub fn each(&self, member: &str) -> Vec<Value> {
        self.items().iter().map(|item| item[member].clone()).collect()
    }

    /// The status, or a panic that shows the whole answer.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Checks that it is a problem of RFC 9457 with this status and code.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.code()), (status, code), "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        assert_eq!(self.body["status"], status, "{self:?}");
        self
    }
}

impl Client {
    pub fn new(base: String, token: Option<String>) -> Self {
        Self { base, token, refresh_token: None, http: reqwest::Client::new(), is_held: false }
    }

    /// Fails where an answer is not one of the API document.
    pub fn held_to_the_document(self) -> Self {
        Self { is_held: true, ..self }
    }

    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    pub async fn registered(&self, email: &str) -> Self {
        let body = json!({"email": email, "password": PASSWORD, "name": "Hanako"});
        self.with_session(self.post("/v1/auth/register", body).await.expect(201))
    }

    pub async fn signed_in(&self, email: &str) -> Self {
        let body = json!({"email": email, "password": PASSWORD});
        self.with_session(self.post("/v1/auth/login", body).await.expect(200))
    }

    fn with_session(&self, answer: Answer) -> Self {
        let text = |key: &str| answer.body[key].as_str().map(str::to_owned);
        Self { token: text("access_token"), refresh_token: text("refresh_token"), ..self.clone() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(reqwest::Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(reqwest::Method::DELETE, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(reqwest::Method::POST, path).json(&body)).await
    }

    /// Places an order with an idempotency key.
    pub async fn orders_with(&self, key: &str, body: Value) -> Answer {
        let request = self.request(reqwest::Method::POST, "/v1/orders").header("Idempotency-Key", key);
        self.send(request.json(&body)).await
    }

    /// Orders pieces of one SKU, paid at a konbini.
    pub async fn orders(&self, sku: &str, quantity: i64) -> Answer {
        self.orders_with(&uuid::Uuid::now_v7().to_string(), konbini_order(sku, quantity)).await
    }

    /// Orders pieces of one SKU, paid by card at once.
    pub async fn orders_by_card(&self, sku: &str, quantity: i64) -> Answer {
        self.orders_with(&uuid::Uuid::now_v7().to_string(), card_order(sku, quantity, "tok_ok")).await
    }

    pub async fn order(&self, id: &str) -> Answer {
        self.get(&format!("/v1/orders/{id}")).await
    }

    pub async fn cancels(&self, id: &str) -> Answer {
        self.send(self.request(reqwest::Method::POST, &format!("/v1/orders/{id}/cancel"))).await
    }

    /// Status and reason of every step of an order's history.
    pub async fn history(&self, id: &str) -> Vec<(String, String)> {
        let answer = self.get(&format!("/v1/orders/{id}/history")).await.expect(200);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        answer.items().iter().map(|step| (text(&step["status"]), text(&step["reason"]))).collect()
    }

    /// Pieces that can be ordered, as a visitor sees them.
    pub async fn available(&self, sku: &str) -> i64 {
        let answer = self.get(&format!("/v1/inventory/{sku}")).await.expect(200);
        answer.body["available"].as_i64().expect("a number")
    }

    /// Pieces on hand and reserved, as staff see them.
    pub async fn stock(&self, sku: &str) -> (i64, i64) {
        let answer = self.get(&format!("/v1/admin/inventory/{sku}")).await.expect(200);
        let figure = |name: &str| answer.body[name].as_i64().expect("a number");
        (figure("on_hand"), figure("reserved"))
    }

    /// All pages of a list, `limit` items each.
    pub async fn all_pages(&self, path: &str, limit: usize) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = None::<String>;
        loop {
            let separator = if path.contains('?') { '&' } else { '?' };
            let from = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
            let page = self.get(&format!("{path}{separator}limit={limit}{from}")).await.expect(200);
            assert!(page.items().len() <= limit, "{page:?}");
            items.extend_from_slice(page.items());
            match page.body["next_cursor"].as_str() {
                Some(next) => {
                    assert_eq!(page.items().len(), limit, "{page:?}");
                    cursor = Some(next.to_owned());
                }
                None => return items,
            }
        }
    }

    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Panics when there is no answer at all.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        self.try_send(request).await.expect("an answer")
    }

    pub async fn try_send(&self, request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
        let (http, request) = request.build_split();
        let request = request?;
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let answer = http.execute(request).await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        let answer = Answer { status, headers, body, text };
        if self.is_held {
            document::check(&method, &path, &answer);
        }
        Ok(answer)
    }
}

pub fn konbini_order(sku: &str, quantity: i64) -> Value {
    json!({
        "lines": [{"sku": sku, "quantity": quantity}],
        "payment": {"method": "konbini", "konbini": {"chain": "seven_eleven", "phone": "090-1234-5678"}},
    })
}

pub fn card_order(sku: &str, quantity: i64, token: &str) -> Value {
    json!({
        "lines": [{"sku": sku, "quantity": quantity}],
        "payment": {"method": "card", "card": {"token": token}},
    })
}
