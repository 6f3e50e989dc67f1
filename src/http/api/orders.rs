//! Placing orders and seeing what became of them. A customer sees no orders but their own.

use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderName, HeaderValue, LOCATION};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::{Ready, ready};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::money::MoneyView;
use crate::actors::inventory::Line;
use crate::actors::orders::{
    CancelOrder, GetOrder, HistoryEntry, IdempotencyKey, ListHistory, ListOrders, Order, OrderLine,
    OrderStatus, PlaceOrder, TaxShare,
};
use crate::actors::payments::{CardToken, KonbiniChain, Payment, PaymentMethod, PhoneNumber};
use crate::actors::sales::{Admission, DeviceId};
use crate::actors::users::Role;
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::{self, Answer};
use crate::http::gateway::auth::SignedInCustomer;
use crate::http::gateway::input::{self, FromJson, FromPath, FromQuery};
use crate::http::gateway::problem::Problem;
use crate::types::{Currency, Cursor, InvalidValue, Limit, OrderId, Quantity, Sku};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const DEVICE_ID: HeaderName = HeaderName::from_static("device-id");
const SALE_ADMISSION: HeaderName = HeaderName::from_static("sale-admission");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceOrderBody {
    /// Lines of the same SKU are summed.
    #[serde(deserialize_with = "input::objects")]
    #[schema(min_items = 1, max_items = 50)]
    lines: Vec<LineBody>,
    #[serde(deserialize_with = "input::object")]
    #[schema(value_type = PaymentChoice)]
    payment: PaymentBody,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LineBody {
    #[serde(deserialize_with = "input::text")]
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]+$", example = "SHOBAI-HOT-1")]
    sku: Sku,
    #[serde(deserialize_with = "input::quantity")]
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000_000, example = 1)]
    quantity: Quantity,
}

impl LineBody {
    /// Checks how many there are; each was checked when it was read.
    pub fn lines(bodies: Vec<Self>, most: usize) -> Result<Vec<Line>, Problem> {
        if bodies.is_empty() || bodies.len() > most {
            let count = bodies.len();
            return Err(Problem::invalid_body(format!("lines must be 1 to {most}, not {count}")));
        }
        Ok(bodies.into_iter().map(|LineBody { sku, quantity }| Line { sku, quantity }).collect())
    }
}

/// How it is paid: the method, and beside it the one object of the same name. [`PaymentChoice`] describes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PaymentBody {
    #[serde(deserialize_with = "input::text")]
    method: MethodName,
    #[serde(default, deserialize_with = "input::optional_object")]
    konbini: Option<KonbiniBody>,
    #[serde(default, deserialize_with = "input::optional_object")]
    card: Option<CardBody>,
}

enum MethodName {
    Konbini,
    Card,
}

impl FromStr for MethodName {
    type Err = InvalidValue;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "konbini" => Ok(Self::Konbini),
            "card" => Ok(Self::Card),
            _ => Err(InvalidValue::new("payment method", "is none of konbini, card")),
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KonbiniBody {
    #[serde(deserialize_with = "input::text")]
    #[schema(value_type = KonbiniChainName, example = "lawson")]
    chain: KonbiniChain,
    /// 10 or 11 digits, the first of them 0; hyphens do not count.
    #[serde(deserialize_with = "input::text")]
    #[schema(value_type = String, pattern = "^-*0(-*[0-9]){9,10}-*$", example = "090-1234-5678")]
    phone: PhoneNumber,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CardBody {
    /// The sandbox charges `tok_ok` and declines `tok_declined`; a fingerprint of the card may follow, as in `tok_ok_4242`.
    #[serde(deserialize_with = "input::text")]
    #[schema(value_type = String, pattern = "^tok_(ok|declined)(_[A-Za-z0-9]{1,32})?$", example = "tok_ok")]
    token: CardToken,
}

// For the document only.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "describes the chains in the API document")]
pub enum KonbiniChainName {
    SevenEleven,
    FamilyMart,
    Lawson,
    Ministop,
    Seicomart,
}

// For the document only: the forms of a [`PaymentBody`]. The method decides which.
#[derive(ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes the ways to pay in the API document")]
pub enum PaymentChoice {
    Konbini(KonbiniPaymentBody),
    Card(CardPaymentBody),
}

// For the document only.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "describes a konbini payment in the API document")]
pub struct KonbiniPaymentBody {
    #[schema(pattern = "^konbini$", example = "konbini")]
    method: String,
    konbini: KonbiniBody,
}

// For the document only.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "describes a card payment in the API document")]
pub struct CardPaymentBody {
    #[schema(pattern = "^card$", example = "card")]
    method: String,
    card: CardBody,
}

impl TryFrom<PaymentBody> for PaymentMethod {
    type Error = Problem;

    fn try_from(body: PaymentBody) -> Result<Self, Problem> {
        match body {
            PaymentBody { method: MethodName::Konbini, konbini: Some(konbini), card: None } => {
                Ok(PaymentMethod::Konbini { chain: konbini.chain, phone: konbini.phone })
            }
            PaymentBody { method: MethodName::Card, konbini: None, card: Some(card) } => {
                Ok(PaymentMethod::Card { token: card.token })
            }
            _ => Err(Problem::invalid_body("payment must have exactly the object that its method names")),
        }
    }
}

/// The key under which a customer asks for one order, however often it is asked.
pub struct RequiredKey(IdempotencyKey);

impl FromRequest for RequiredKey {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match idempotency_key(request) {
            Some(key) => key.map(Self),
            None => Err(Problem::new(
                400,
                "idempotency-key-required",
                "an order needs an Idempotency-Key header, a new one for each order that is wanted",
            )),
        })
    }
}

/// The key, where the client sent one.
pub struct OptionalKey(pub Option<IdempotencyKey>);

impl FromRequest for OptionalKey {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(idempotency_key(request).transpose().map(Self))
    }
}

/// The admission to a sale, where the client sent one that is believed; what is not is as good as none.
pub struct OptionalAdmission(Option<Admission>);

impl FromRequest for OptionalAdmission {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let read = || {
            let text = request.headers().get(SALE_ADMISSION)?.to_str().ok()?;
            let gateway = request.app_data::<Data<Gateway>>()?;
            gateway.pass_key.read_admission(text, Timestamp::now()).ok()
        };
        ready(Ok(Self(read())))
    }
}

/// What the client says that it is.
pub struct OptionalDevice(Option<DeviceId>);

impl FromRequest for OptionalDevice {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let device = request.headers().get(DEVICE_ID);
        // What is not visible ASCII is refused by its own rule.
        let read = device.map(|device| device.to_str().unwrap_or_default().parse().map_err(Problem::from));
        ready(read.transpose().map(Self))
    }
}

fn idempotency_key(request: &HttpRequest) -> Option<Result<IdempotencyKey, Problem>> {
    let value = request.headers().get(IDEMPOTENCY_KEY)?;
    // What is not visible ASCII is refused by the key's own rule.
    Some(value.to_str().unwrap_or_default().parse().map_err(Problem::from))
}

#[derive(Serialize, ToSchema)]
pub struct OrderView<'a> {
    id: Uuid,
    /// What people read to each other.
    #[schema(example = "01JDX4-8M2K7Q-5T0VWZ")]
    number: String,
    /// `awaiting_payment`, `confirmed`, `cancelled` or `expired`.
    #[schema(example = "awaiting_payment")]
    status: &'static str,
    lines: Vec<OrderLineView<'a>>,
    totals: TotalsView<'a>,
    payment: PaymentView<'a>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When the order lapses unless it is paid; null once it awaits no payment.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    expires_at: Option<Timestamp>,
}

#[derive(Serialize, ToSchema)]
pub struct OrderLineView<'a> {
    #[schema(example = "SHOBAI-HOT-1")]
    sku: &'a str,
    name: &'a str,
    #[schema(example = 1)]
    quantity: i64,
    /// Tax included.
    unit_price: MoneyView,
    /// Percent.
    #[schema(example = 10)]
    tax_rate: i16,
    /// Yen: unit price times quantity.
    #[schema(example = 3300)]
    amount: i64,
}

/// Yen. Prices include the tax.
#[derive(Serialize, ToSchema)]
pub struct TotalsView<'a> {
    #[schema(example = 3300)]
    subtotal: i64,
    /// The tax inside, rounded down once per rate.
    #[schema(value_type = Vec<TaxShareView>)]
    tax: &'a [TaxShare],
    #[schema(example = 3300)]
    total: i64,
    #[schema(value_type = String, example = "JPY")]
    currency: Currency,
}

// For the document only: a [`TaxShare`] is written as it is.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes a share of tax in the API document")]
pub struct TaxShareView {
    /// Percent.
    #[schema(example = 10)]
    rate: i16,
    /// What the lines of this rate cost, tax included.
    #[schema(example = 3300)]
    base: i64,
    /// The tax inside the base.
    #[schema(example = 300)]
    amount: i64,
}

/// The method, what became of the payment, and beside them the object that the method names.
#[derive(Serialize, ToSchema)]
pub struct PaymentView<'a> {
    #[schema(example = "konbini")]
    method: &'static str,
    /// `pending`, `captured`, `refunded` or `cancelled`.
    #[schema(example = "pending")]
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    konbini: Option<KonbiniSlipView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    card: Option<CardChargeView<'a>>,
}

/// What the customer types in at the store's terminal.
#[derive(Serialize, ToSchema)]
pub struct KonbiniSlipView<'a> {
    #[schema(example = "lawson")]
    chain: &'static str,
    payment_code: &'a str,
    confirmation_number: &'a str,
    #[schema(value_type = String, format = DateTime)]
    pay_before: Timestamp,
}

#[derive(Serialize, ToSchema)]
pub struct CardChargeView<'a> {
    reference: &'a str,
}

// For the document only: pages are written by `answer::page`.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes the page of orders in the API document")]
pub struct OrderPageView<'a> {
    items: Vec<OrderView<'a>>,
    #[schema(required)]
    next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct HistoryView<'a> {
    items: Vec<HistoryEntryView<'a>>,
}

#[derive(Serialize, ToSchema)]
pub struct HistoryEntryView<'a> {
    #[schema(example = "awaiting_payment")]
    status: &'static str,
    #[schema(example = "placed")]
    reason: &'a str,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

impl<'a> OrderView<'a> {
    fn of(order: &'a Order) -> Self {
        let awaits_payment = order.status == OrderStatus::AwaitingPayment;
        Self {
            id: order.id.uuid(),
            number: order.number().to_string(),
            status: order.status.as_str(),
            lines: order.lines.iter().map(OrderLineView::of).collect(),
            totals: TotalsView {
                subtotal: order.totals.subtotal.amount(),
                tax: &order.totals.tax,
                total: order.totals.total.amount(),
                currency: order.totals.total.currency(),
            },
            payment: PaymentView::of(order),
            created_at: order.created_at,
            expires_at: order.expires_at.filter(|_| awaits_payment),
        }
    }
}

impl<'a> OrderLineView<'a> {
    fn of(line: &'a OrderLine) -> Self {
        Self {
            sku: line.sku.as_str(),
            name: &line.name,
            quantity: line.quantity.get(),
            unit_price: line.unit_price.into(),
            tax_rate: line.tax_rate.percent(),
            amount: line.amount.amount(),
        }
    }
}

impl<'a> PaymentView<'a> {
    fn of(order: &'a Order) -> Self {
        let (konbini, card) = match &order.payment {
            Payment::Konbini { konbini, .. } => (Some(konbini), None),
            Payment::Card { card, .. } => (None, Some(card)),
        };
        Self {
            method: order.payment.method(),
            status: order.payment_status.as_str(),
            konbini: konbini.map(|slip| KonbiniSlipView {
                chain: slip.chain.as_str(),
                payment_code: &slip.payment_code,
                confirmation_number: &slip.confirmation_number,
                pay_before: slip.pay_before,
            }),
            card: card.map(|charge| CardChargeView { reference: &charge.reference }),
        }
    }
}

impl<'a> HistoryEntryView<'a> {
    fn of(entry: &'a HistoryEntry) -> Self {
        Self { status: entry.status.as_str(), reason: &entry.reason, at: entry.at }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListOrdersQuery {
    /// Orders on a page.
    #[serde(default = "input::default_limit", deserialize_with = "input::limit")]
    #[param(value_type = i64, required = false, minimum = 1, maximum = 100, default = 20)]
    limit: Limit,
    /// The `next_cursor` of the page before.
    #[serde(default, deserialize_with = "input::cursor")]
    #[param(value_type = Option<String>, nullable = false, pattern = "^[A-Za-z0-9_-]*$")]
    cursor: Option<Cursor>,
    /// Only orders with this status.
    #[serde(default, deserialize_with = "input::optional_text")]
    #[param(value_type = Option<OrderStatusName>, nullable = false, inline)]
    status: Option<OrderStatus>,
}

// For the document only.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "describes the statuses in the API document")]
pub enum OrderStatusName {
    AwaitingPayment,
    Confirmed,
    Cancelled,
    Expired,
}

/// Places an order.
///
/// Stock for every line is set aside and the payment is opened, all or nothing. The same key and body answer the
/// first order again.
#[utoipa::path(
    post, path = "/v1/orders", tag = "orders", security(("bearer" = [])), request_body = PlaceOrderBody,
    params(
        ("Idempotency-Key" = String, Header, description = "One for each order that is wanted; kept for at least 24 hours", min_length = 1, max_length = 255, pattern = "^[!-~]+$"),
        ("Sale-Admission" = Option<String>, Header, description = "The `admission` of a place in the waiting room, good for one \
            order; for SKUs of a sale that has one", nullable = false, min_length = 1, max_length = 500),
        ("Device-Id" = Option<String>, Header, description = "The same for all orders of one app or browser: orders of a device in \
            sales have a pace, whatever accounts they are of", nullable = false, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]+$"),
    ),
    responses(
        (status = 201, description = "The order is placed and durable", body = OrderView, headers(
            ("Location" = String, description = "Where the order is"),
            ("Idempotency-Replayed" = Option<String>, description = "`true` when this is the first answer again"),
        )),
        (status = 400, description = "`idempotency-key-required` or `malformed-json`"),
        (status = 402, description = "`payment-declined`; nothing is held"),
        (status = 403, description = "`not-admitted`: the sale wants a `Sale-Admission` that is valid and not used"),
        (status = 404, description = "`unknown-sku`"),
        (status = 409, description = "`out-of-stock` with `sku`, `requested` and `available`; for a SKU in a sale its gate: \
            `sale-not-open`, `sale-paused`, `stopped`, `limit-reached`, `sold-out`, `konbini-not-allowed`, \
            `konbini-share-reached`, `too-many-unpaid`, `two-sales`", headers(("Retry-After" = u32, description = "Seconds, where waiting helps"))),
        (status = 422, description = "`invalid-body`, `invalid-value` or `idempotency-key-reused`"),
        (status = 429, description = "`too-fast` for an account or a device that orders in a sale, or `too-many-requests` from this address"),
    )
)]
pub async fn place_order(
    customer: SignedInCustomer,
    key: RequiredKey,
    admission: OptionalAdmission,
    device: OptionalDevice,
    body: FromJson<PlaceOrderBody>,
    gateway: Data<Gateway>,
) -> Answer {
    let arrived_at = Timestamp::now();
    let FromJson(PlaceOrderBody { lines, payment }) = body;
    let lines = LineBody::lines(lines, gateway.limits.lines_max)?;
    let payment = payment.try_into()?;
    let wanted = PlaceOrder {
        customer: customer.0.customer,
        key: key.0,
        lines,
        payment,
        is_staff: customer.0.role.may(Role::Staff),
        admission: admission.0,
        device: device.0,
        arrived_at,
    };
    let placed = gateway.ports.orders.place_order.ask(wanted).await?;
    let mut answer = answer::created(&OrderView::of(&placed.order))?;
    let headers = answer.headers_mut();
    if let Ok(location) = HeaderValue::try_from(format!("/v1/orders/{}", placed.order.id)) {
        headers.insert(LOCATION, location);
    }
    if placed.replayed {
        headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(answer)
}

/// One's own orders, newest first.
#[utoipa::path(
    get, path = "/v1/orders", tag = "orders", security(("bearer" = [])), params(ListOrdersQuery),
    responses((status = 200, description = "A page of orders", body = OrderPageView))
)]
pub async fn list_orders(
    customer: SignedInCustomer,
    query: FromQuery<ListOrdersQuery>,
    gateway: Data<Gateway>,
) -> Answer {
    let FromQuery(ListOrdersQuery { limit, cursor, status }) = query;
    let question = ListOrders { customer: customer.0.customer, limit, cursor, status, sale: None };
    let page = gateway.ports.orders.list_orders.ask(question).await?;
    answer::page(&page, OrderView::of)
}

/// One of one's own orders.
#[utoipa::path(
    get, path = "/v1/orders/{id}", tag = "orders", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The order")),
    responses(
        (status = 200, description = "The order", body = OrderView),
        (status = 404, description = "`unknown-order`, also for another customer's; `not-found` for what is not an id"),
    )
)]
pub async fn get_order(customer: SignedInCustomer, id: FromPath<OrderId>, gateway: Data<Gateway>) -> Answer {
    let question = GetOrder { customer: customer.0.customer, order: id.0 };
    let order = gateway.ports.orders.get_order.ask(question).await?;
    answer::ok(&OrderView::of(&order))
}

/// What happened to an order, oldest first.
#[utoipa::path(
    get, path = "/v1/orders/{id}/history", tag = "orders", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The order")),
    responses(
        (status = 200, description = "Its history", body = HistoryView),
        (status = 404, description = "`unknown-order`, also for another customer's; `not-found` for what is not an id"),
    )
)]
pub async fn list_history(
    customer: SignedInCustomer,
    id: FromPath<OrderId>,
    gateway: Data<Gateway>,
) -> Answer {
    let question = ListHistory { customer: customer.0.customer, order: id.0 };
    let entries = gateway.ports.orders.list_history.ask(question).await?;
    answer::ok(&HistoryView { items: entries.iter().map(HistoryEntryView::of).collect() })
}

/// Cancels an order; its stock and its money go back.
#[utoipa::path(
    post, path = "/v1/orders/{id}/cancel", tag = "orders", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The order")),
    responses(
        (status = 200, description = "The cancelled order", body = OrderView),
        (status = 404, description = "`unknown-order`, also for another customer's; `not-found` for what is not an id"),
        (status = 409, description = "`not-cancellable`: it has expired"),
    )
)]
pub async fn cancel_order(
    customer: SignedInCustomer,
    id: FromPath<OrderId>,
    gateway: Data<Gateway>,
) -> Answer {
    let command = CancelOrder { customer: customer.0.customer, order: id.0 };
    let order = gateway.ports.orders.cancel_order.ask(command).await?;
    answer::ok(&OrderView::of(&order))
}
