//! Sales as customers see them.

use std::borrow::Cow;

use actix_web::web::Data;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::actors::sales::{Announced, GetAnnounced, ListAnnounced, SaleItem, SaleStatus};
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::{self, Answer};
use crate::http::gateway::input::FromPath;
use crate::types::SaleId;

/// A sale as every client may see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PublicSaleView {
    pub id: Uuid,
    pub name: String,
    /// `scheduled`, `open`, `paused` or `ended`.
    #[schema(example = "open")]
    pub state: Cow<'static, str>,
    #[schema(value_type = String, format = DateTime)]
    pub opens_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub closes_at: Timestamp,
    pub items: Vec<PublicItemView>,
    #[schema(required)]
    pub limit_per_customer: Option<i64>,
    /// `none`, `queue` or `lottery`, whose entries end at the opening.
    #[schema(example = "none")]
    pub admission: Cow<'static, str>,
    /// SHA-256 of the seed of the draw, which is revealed once it was drawn.
    pub commitment: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PublicItemView {
    #[schema(example = "SHOBAI-HOT-1")]
    pub sku: String,
    /// Yen, tax included.
    pub price: i64,
    /// `many`, `few`, `held` (others hold the last pieces and may let them go), `none`; null before the sale is armed.
    #[schema(required, example = "many")]
    pub left: Option<Cow<'static, str>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PublicSalesView {
    pub items: Vec<PublicSaleView>,
}

impl PublicSaleView {
    fn of(announced: &Announced) -> Self {
        let sale = &announced.sale;
        let now = Timestamp::now();
        let state = match sale.status {
            SaleStatus::Scheduled | SaleStatus::Armed if now < sale.draft.opens_at => "scheduled",
            SaleStatus::Paused => "paused",
            SaleStatus::Armed | SaleStatus::Open if now < sale.draft.closes_at => {
                if sale.is_stopped || announced.is_everything_stopped { "paused" } else { "open" }
            }
            SaleStatus::Scheduled => "scheduled",
            _ => "ended",
        };
        let item = |item: &SaleItem| {
            let part = announced.allotments.iter().find(|(sku, _)| *sku == item.sku).map(|(_, part)| part);
            let left =
                part.map(|part| part.left().as_str()).or_else(|| sale.status.is_over().then_some("none"));
            PublicItemView {
                sku: item.sku.to_string(),
                price: item.price.amount(),
                left: left.map(Cow::from),
            }
        };
        Self {
            id: sale.id.uuid(),
            name: sale.draft.name.clone(),
            state: state.into(),
            opens_at: sale.draft.opens_at,
            closes_at: sale.draft.closes_at,
            items: sale.draft.items.iter().map(item).collect(),
            limit_per_customer: sale.draft.terms.limit_per_customer,
            admission: sale.draft.terms.admission.mode.as_str().into(),
            commitment: sale.commitment.clone(),
        }
    }
}

/// Sales that are announced, on or over.
#[utoipa::path(
    get, path = "/v1/sales", tag = "sales",
    responses((status = 200, description = "The sales, the latest opening first", body = PublicSalesView))
)]
pub async fn list_public_sales(gateway: Data<Gateway>) -> Answer {
    let announced = gateway.ports.sales.list_announced.ask(ListAnnounced).await?;
    answer::ok(&PublicSalesView { items: announced.iter().map(PublicSaleView::of).collect() })
}

/// One sale.
#[utoipa::path(
    get, path = "/v1/sales/{id}", tag = "sales", params(("id" = Uuid, Path, description = "The sale")),
    responses(
        (status = 200, description = "The sale", body = PublicSaleView),
        (status = 404, description = "`unknown-sale`, also for what is not announced, or `not-found` for what is not an id"),
    )
)]
pub async fn get_public_sale(id: FromPath<SaleId>, gateway: Data<Gateway>) -> Answer {
    let announced = gateway.ports.sales.get_announced.ask(GetAnnounced { sale: id.0 }).await?;
    answer::ok(&PublicSaleView::of(&announced))
}
