//! Placing orders and reading them. A customer sees only their own orders.

mod bodies;
mod headers;
mod views;

use actix_web::http::header::{HeaderName, HeaderValue, LOCATION};
use actix_web::web::Data;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

pub use bodies::{CardBody, KonbiniBody, LineBody, MethodName, PaymentBody, PlaceOrderBody};
pub use headers::OptionalKey;
use headers::{OptionalAdmission, OptionalDevice, RequiredKey};
pub use views::{
    CardChargeView, HistoryEntryView, HistoryView, KonbiniSlipView, OrderLineView, OrderPageView, OrderView,
    PaymentView, TotalsView,
};

use crate::actors::orders::{CancelOrder, GetOrder, ListHistory, ListOrders, OrderStatus, PlaceOrder};
use crate::actors::users::Role;
use crate::http::gateway::Gateway;
use crate::http::gateway::access::Caller;
use crate::http::gateway::answer::{self, Answer};
use crate::http::gateway::input::{self, FromJson, FromPath, FromQuery};
use crate::types::{Cursor, Limit, OrderId};

const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListOrdersQuery {
    /// Orders on a page.
    #[serde(default = "input::default_limit", deserialize_with = "input::limit")]
    #[param(value_type = i64, required = false, minimum = 1, maximum = 100, default = 20)]
    pub limit: Limit,
    /// The `next_cursor` of the page before.
    #[serde(default, deserialize_with = "input::cursor")]
    #[param(value_type = Option<String>, nullable = false, pattern = "^[A-Za-z0-9_-]*$")]
    pub cursor: Option<Cursor>,
    /// Only orders with this status.
    #[serde(default, deserialize_with = "input::optional_text")]
    #[param(value_type = Option<OrderStatusName>, nullable = false, inline)]
    pub status: Option<OrderStatus>,
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
    post, path = "/v1/orders", tag = "orders", request_body = PlaceOrderBody,
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
    customer: Caller,
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
    get, path = "/v1/orders", tag = "orders", params(ListOrdersQuery),
    responses((status = 200, description = "A page of orders", body = OrderPageView))
)]
pub async fn list_orders(
    customer: Caller,
    query: FromQuery<ListOrdersQuery>,
    gateway: Data<Gateway>,
) -> Answer {
    let FromQuery(ListOrdersQuery { limit, cursor, status }) = query;
    let question = ListOrders { customer: customer.0.customer, limit, cursor, status, sale: None };
    let page = gateway.ports.orders.list_orders.ask(question).await?;
    answer::ok(&OrderPageView {
        items: page.items.iter().map(OrderView::of).collect(),
        next_cursor: page.next.as_ref().map(Cursor::encode),
    })
}

/// One of one's own orders.
#[utoipa::path(
    get, path = "/v1/orders/{id}", tag = "orders",
    params(("id" = Uuid, Path, description = "The order")),
    responses(
        (status = 200, description = "The order", body = OrderView),
        (status = 404, description = "`unknown-order`, also for another customer's; `not-found` for what is not an id"),
    )
)]
pub async fn get_order(customer: Caller, id: FromPath<OrderId>, gateway: Data<Gateway>) -> Answer {
    let question = GetOrder { customer: customer.0.customer, order: id.0 };
    let order = gateway.ports.orders.get_order.ask(question).await?;
    answer::ok(&OrderView::of(&order))
}

/// What happened to an order, oldest first.
#[utoipa::path(
    get, path = "/v1/orders/{id}/history", tag = "orders",
    params(("id" = Uuid, Path, description = "The order")),
    responses(
        (status = 200, description = "Its history", body = HistoryView),
        (status = 404, description = "`unknown-order`, also for another customer's; `not-found` for what is not an id"),
    )
)]
pub async fn list_history(customer: Caller, id: FromPath<OrderId>, gateway: Data<Gateway>) -> Answer {
    let question = ListHistory { customer: customer.0.customer, order: id.0 };
    let entries = gateway.ports.orders.list_history.ask(question).await?;
    answer::ok(&HistoryView { items: entries.iter().map(HistoryEntryView::of).collect() })
}

/// Cancels an order; its stock and its money go back.
#[utoipa::path(
    post, path = "/v1/orders/{id}/cancel", tag = "orders",
    params(("id" = Uuid, Path, description = "The order")),
    responses(
        (status = 200, description = "The cancelled order", body = OrderView),
        (status = 404, description = "`unknown-order`, also for another customer's; `not-found` for what is not an id"),
        (status = 409, description = "`not-cancellable`: it has expired"),
    )
)]
pub async fn cancel_order(customer: Caller, id: FromPath<OrderId>, gateway: Data<Gateway>) -> Answer {
    let command = CancelOrder { customer: customer.0.customer, order: id.0 };
    let order = gateway.ports.orders.cancel_order.ask(command).await?;
    answer::ok(&OrderView::of(&order))
}
