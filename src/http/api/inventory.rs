//! Stock: what every client may see of it, and what staff may do with it.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderValue, LOCATION};
use actix_web::web::Data;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::orders::{LineBody, OptionalKey};
use crate::actors::inventory::{
    AdjustStock, CommitReservation, GetStock, ListMovements, Movement, Purpose, ReceiveStock,
    ReleaseReservation, Reservation, ReserveStock, Stock,
};
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::{self, Answer};
use crate::http::gateway::input::{self, FromJson, FromPath, FromQuery};
use crate::http::gateway::problem::Problem;
use crate::types::{Cursor, Limit, Quantity, ReservationId, Sku};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiveStockBody {
    #[serde(deserialize_with = "input::quantity")]
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000_000, example = 100)]
    pub quantity: Quantity,
    /// The delivery's own name, such as the number of its delivery note; repeating it changes nothing.
    #[serde(deserialize_with = "input::words::<_, 100>")]
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]+$",
        example = "delivery-note-2026-0042"
    )]
    pub reference: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdjustStockBody {
    /// Pieces, not zero; negative takes away.
    #[serde(deserialize_with = "delta")]
    #[schema(minimum = -1_000_000_000, maximum = 1_000_000_000, example = -2)]
    pub delta: i64,
    #[serde(deserialize_with = "input::words::<_, 200>")]
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]+$",
        example = "broken in the warehouse"
    )]
    pub reason: String,
    /// Refused unless the stock is at this version.
    #[serde(default, deserialize_with = "input::optional_whole")]
    #[schema(minimum = -9_007_199_254_740_991_i64, maximum = 9_007_199_254_740_991_i64)]
    pub expected_version: Option<i64>,
}

fn delta<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let delta = input::whole(deserializer)?;
    if delta == 0 || delta.unsigned_abs() > Quantity::MAX.unsigned_abs() {
        let problem = format!("delta must be between -{0} and {0}, and not 0", Quantity::MAX);
        return Err(serde::de::Error::custom(problem));
    }
    Ok(delta)
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReserveStockBody {
    /// Chosen by the client, so that it can repeat the request; generated if missing.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// Lines of the same SKU are summed.
    #[serde(deserialize_with = "input::objects")]
    #[schema(min_items = 1, max_items = 50)]
    pub lines: Vec<LineBody>,
    /// When the reservation lapses by itself.
    #[serde(deserialize_with = "input::whole")]
    #[schema(minimum = 1, maximum = 2_592_000, example = 900)]
    pub expires_in_seconds: i64,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListMovementsQuery {
    /// Movements on a page.
    #[serde(default = "input::default_limit", deserialize_with = "input::limit")]
    #[param(value_type = i64, required = false, minimum = 1, maximum = 100, default = 20)]
    pub limit: Limit,
    /// The `next_cursor` of the page before.
    #[serde(default, deserialize_with = "input::cursor")]
    #[param(value_type = Option<String>, nullable = false, pattern = "^[A-Za-z0-9_-]*$")]
    pub cursor: Option<Cursor>,
}

/// Stock as every client may see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AvailableView<'a> {
    #[schema(example = "SHOBAI-HOT-1")]
    pub sku: Cow<'a, str>,
    /// Pieces that can be ordered.
    #[schema(example = 1_000_000)]
    pub available: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StockView<'a> {
    #[schema(example = "SHOBAI-HOT-1")]
    pub sku: Cow<'a, str>,
    #[schema(example = 1_000_000)]
    pub on_hand: i64,
    #[schema(example = 0)]
    pub reserved: i64,
    /// Set apart for a sale and not promised yet.
    #[schema(example = 0)]
    pub allotted: i64,
    #[schema(example = 1_000_000)]
    pub available: i64,
    /// Counts the movements.
    #[schema(example = 1)]
    pub version: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MovementView<'a> {
    #[schema(example = "SHOBAI-HOT-1")]
    pub sku: Cow<'a, str>,
    /// The version of the stock that this movement made.
    pub version: i64,
    /// `received`, `reserved`, `released`, `expired`, `committed`, `adjusted`, `allotted` or `returned`.
    #[schema(example = "received")]
    pub kind: Cow<'static, str>,
    pub on_hand_delta: i64,
    pub reserved_delta: i64,
    pub allotted_delta: i64,
    #[schema(required)]
    pub reservation_id: Option<Uuid>,
    #[schema(required)]
    pub reference: Option<Cow<'a, str>>,
    #[schema(required)]
    pub reason: Option<Cow<'a, str>>,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// A movement and the stock as it is now, which other movements may have changed since.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MovedView<'a> {
    pub movement: MovementView<'a>,
    /// Null when it could not be read at this moment; the movement is made all the same.
    #[schema(required)]
    pub stock: Option<StockView<'a>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MovementPageView<'a> {
    pub items: Vec<MovementView<'a>>,
    #[schema(required)]
    pub next_cursor: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReservationView<'a> {
    pub id: Uuid,
    pub lines: Vec<ReservedLineView<'a>>,
    /// `held`, `committed`, `released` or `expired`.
    #[schema(example = "held")]
    pub state: Cow<'static, str>,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReservedLineView<'a> {
    #[schema(example = "SHOBAI-HOT-1")]
    pub sku: Cow<'a, str>,
    #[schema(example = 1)]
    pub quantity: i64,
}

impl<'a> StockView<'a> {
    fn of(sku: &'a Sku, stock: Stock) -> Self {
        let Stock { on_hand, reserved, allotted, version } = stock;
        Self { sku: sku.as_str().into(), on_hand, reserved, allotted, available: stock.available(), version }
    }
}

impl<'a> MovementView<'a> {
    fn of(movement: &'a Movement) -> Self {
        Self {
            sku: movement.sku.as_str().into(),
            version: movement.version,
            kind: movement.kind.as_str().into(),
            on_hand_delta: movement.on_hand_delta,
            reserved_delta: movement.reserved_delta,
            allotted_delta: movement.allotted_delta,
            reservation_id: movement.reservation.map(ReservationId::uuid),
            reference: movement.reference.as_deref().map(Cow::Borrowed),
            reason: movement.reason.as_deref().map(Cow::Borrowed),
            at: movement.at,
        }
    }
}

impl<'a> ReservationView<'a> {
    fn of(reservation: &'a Reservation) -> Self {
        let line = |line: &'a crate::actors::inventory::Line| ReservedLineView {
            sku: line.sku.as_str().into(),
            quantity: line.quantity.get(),
        };
        Self {
            id: reservation.id.uuid(),
            lines: reservation.lines.iter().map(line).collect(),
            state: reservation.state.as_str().into(),
            expires_at: reservation.expires_at,
        }
    }
}

/// How many pieces can be ordered.
#[utoipa::path(
    get, path = "/v1/inventory/{sku}", tag = "inventory", params(("sku" = String, Path, description = "The SKU")),
    responses(
        (status = 200, description = "What is available", body = AvailableView),
        (status = 404, description = "`unknown-sku`, or `not-found` for what is not a SKU"),
    )
)]
pub async fn get_available(sku: FromPath<Sku>, gateway: Data<Gateway>) -> Answer {
    let stock = gateway.ports.inventory.get_stock.ask(GetStock { sku: sku.0.clone() }).await?;
    answer::ok(&AvailableView { sku: sku.0.as_str().into(), available: stock.available() })
}

/// The figures of one SKU.
#[utoipa::path(
    get, path = "/v1/admin/inventory/{sku}", tag = "inventory",
    params(("sku" = String, Path, description = "The SKU")),
    responses(
        (status = 200, description = "Its stock", body = StockView),
        (status = 404, description = "`unknown-sku`, or `not-found` for what is not a SKU"),
    )
)]
pub async fn get_stock(sku: FromPath<Sku>, gateway: Data<Gateway>) -> Answer {
    let stock = gateway.ports.inventory.get_stock.ask(GetStock { sku: sku.0.clone() }).await?;
    answer::ok(&StockView::of(&sku.0, stock))
}

/// The ledger of one SKU, newest movement first.
#[utoipa::path(
    get, path = "/v1/admin/inventory/{sku}/movements", tag = "inventory",
    params(("sku" = String, Path, description = "The SKU"), ListMovementsQuery),
    responses(
        (status = 200, description = "A page of movements", body = MovementPageView),
        (status = 404, description = "`unknown-sku`, or `not-found` for what is not a SKU"),
    )
)]
pub async fn list_movements(
    sku: FromPath<Sku>,
    query: FromQuery<ListMovementsQuery>,
    gateway: Data<Gateway>,
) -> Answer {
    let FromQuery(ListMovementsQuery { limit, cursor }) = query;
    let question = ListMovements { sku: sku.0, limit, cursor };
    let page = gateway.ports.inventory.list_movements.ask(question).await?;
    answer::ok(&MovementPageView {
        items: page.items.iter().map(MovementView::of).collect(),
        next_cursor: page.next.as_ref().map(Cursor::encode),
    })
}

/// Brings pieces into stock.
#[utoipa::path(
    post, path = "/v1/admin/inventory/{sku}/receipts", tag = "inventory",
    params(("sku" = String, Path, description = "The SKU")), request_body = ReceiveStockBody,
    responses(
        (status = 201, description = "The pieces are in stock", body = MovedView),
        (status = 404, description = "`unknown-sku`, or `not-found` for what is not a SKU"),
        (status = 409, description = "`reference-taken` by a receipt of another quantity, or `too-many-pieces`"),
    )
)]
pub async fn receive_stock(
    sku: FromPath<Sku>,
    body: FromJson<ReceiveStockBody>,
    gateway: Data<Gateway>,
) -> Answer {
    let FromJson(ReceiveStockBody { quantity, reference }) = body;
    let command = ReceiveStock { sku: sku.0, quantity, reference };
    let movement = gateway.ports.inventory.receive_stock.ask(command).await?;
    moved(&gateway, &movement).await
}

/// Corrects the pieces on hand after a count, a loss or a find.
#[utoipa::path(
    post, path = "/v1/admin/inventory/{sku}/adjustments", tag = "inventory",
    params(
        ("sku" = String, Path, description = "The SKU"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key again changes nothing", nullable = false, min_length = 1, max_length = 255, pattern = "^[!-~]+$"),
    ),
    request_body = AdjustStockBody,
    responses(
        (status = 201, description = "The stock is corrected", body = MovedView),
        (status = 404, description = "`unknown-sku`, or `not-found` for what is not a SKU"),
        (status = 409, description = "`version-differs`, `below-reserved`, `too-many-pieces` or `reference-taken`"),
    )
)]
pub async fn adjust_stock(
    sku: FromPath<Sku>,
    key: OptionalKey,
    body: FromJson<AdjustStockBody>,
    gateway: Data<Gateway>,
) -> Answer {
    let FromJson(AdjustStockBody { delta, reason, expected_version }) = body;
    let reference = key.0.map(|key| key.as_str().to_owned());
    let command = AdjustStock { sku: sku.0, delta, reason, expected_version, reference };
    let movement = gateway.ports.inventory.adjust_stock.ask(command).await?;
    moved(&gateway, &movement).await
}

async fn moved(gateway: &Gateway, movement: &Movement) -> Answer {
    // The movement is committed and answered as such, also when the stock cannot be read at this moment.
    let stock = gateway.ports.inventory.get_stock.ask(GetStock { sku: movement.sku.clone() }).await.ok();
    answer::created(&MovedView {
        movement: MovementView::of(movement),
        stock: stock.map(|stock| StockView::of(&movement.sku, stock)),
    })
}

/// Sets pieces aside, all lines or none.
#[utoipa::path(
    post, path = "/v1/admin/reservations", tag = "inventory",
    request_body = ReserveStockBody,
    responses(
        (status = 201, description = "The pieces are held", body = ReservationView, headers(
            ("Location" = String, description = "Where the reservation is"),
        )),
        (status = 404, description = "`unknown-sku`"),
        (status = 409, description = "`out-of-stock`, `reservation-differs` or `reservation-ended`"),
    )
)]
pub async fn reserve_stock(body: FromJson<ReserveStockBody>, gateway: Data<Gateway>) -> Answer {
    let FromJson(ReserveStockBody { id, lines, expires_in_seconds }) = body;
    let most = gateway.limits.hold_seconds_max;
    if !(1..=most).contains(&expires_in_seconds) {
        return Err(Problem::invalid_body(format!("expires_in_seconds must be between 1 and {most}")));
    }
    let command = ReserveStock {
        id: id.map_or_else(ReservationId::generate, ReservationId::from_uuid),
        lines: LineBody::lines(lines, gateway.limits.lines_max)?,
        purpose: Purpose::Staff,
        sale: None,
        expires_at: Timestamp::now()
            .checked_add(SignedDuration::from_secs(expires_in_seconds))
            .unwrap_or(Timestamp::MAX),
        id_is_new: id.is_none(),
    };
    let reservation = gateway.ports.inventory.reserve_stock.ask(command).await?;
    let mut answer = answer::created(&ReservationView::of(&reservation))?;
    if let Ok(location) = HeaderValue::try_from(format!("/v1/admin/reservations/{}", reservation.id)) {
        answer.headers_mut().insert(LOCATION, location);
    }
    Ok(answer)
}

/// Takes reserved pieces out of stock for good.
#[utoipa::path(
    post, path = "/v1/admin/reservations/{id}/commit", tag = "inventory",
    params(("id" = Uuid, Path, description = "The reservation")),
    responses(
        (status = 200, description = "The pieces are sold", body = ReservationView),
        (status = 404, description = "`unknown-reservation`, or `not-found` for what is not an id"),
        (status = 409, description = "`reservation-ended`"),
    )
)]
pub async fn commit_reservation(id: FromPath<ReservationId>, gateway: Data<Gateway>) -> Answer {
    let command =
        CommitReservation { id: id.0, purpose: Purpose::Staff, skus: Vec::new(), even_if_expired: false };
    let reservation = gateway.ports.inventory.commit_reservation.ask(command).await?;
    answer::ok(&ReservationView::of(&reservation))
}

/// Gives reserved pieces back.
#[utoipa::path(
    delete, path = "/v1/admin/reservations/{id}", tag = "inventory",
    params(("id" = Uuid, Path, description = "The reservation")),
    responses(
        (status = 204, description = "The pieces are available again"),
        (status = 404, description = "`unknown-reservation`, or `not-found` for what is not an id"),
        (status = 409, description = "`reservation-committed`"),
    )
)]
pub async fn release_reservation(id: FromPath<ReservationId>, gateway: Data<Gateway>) -> Answer {
    let command = ReleaseReservation {
        id: id.0,
        purpose: Purpose::Staff,
        skus: Vec::new(),
        even_if_committed: false,
        has_expired: false,
    };
    gateway.ports.inventory.release_reservation.ask(command).await?;
    Ok(HttpResponse::NoContent().finish())
}
