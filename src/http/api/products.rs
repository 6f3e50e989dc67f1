//! What the shop sells, with the pieces that can be had at this moment.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::money::MoneyView;
use crate::actors::catalog::{Category, GetProduct, ListProducts, Product, Search};
use crate::actors::inventory::ListAvailable;
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::{self, Answer};
use crate::http::gateway::input::{self, FromPath, FromQuery};
use crate::http::gateway::problem::Problem;
use crate::types::{Cursor, Limit, Page, ProductId, Sku};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListProductsQuery {
    /// Products on a page.
    #[serde(default = "input::default_limit", deserialize_with = "input::limit")]
    #[param(value_type = i64, required = false, minimum = 1, maximum = 100, default = 20)]
    pub limit: Limit,
    /// The `next_cursor` of the page before.
    #[serde(default, deserialize_with = "input::cursor")]
    #[param(value_type = Option<String>, nullable = false, pattern = "^[A-Za-z0-9_-]*$")]
    pub cursor: Option<Cursor>,
    /// A text in the name or the description.
    #[serde(default, deserialize_with = "input::optional_text")]
    #[param(value_type = Option<String>, nullable = false, min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$")]
    pub q: Option<Search>,
    #[serde(default, deserialize_with = "input::optional_text")]
    #[param(value_type = Option<String>, nullable = false, min_length = 1, max_length = 50, pattern = "^[a-z0-9-]+$")]
    pub category: Option<Category>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProductView<'a> {
    pub id: Uuid,
    #[schema(example = "Indigo tee")]
    pub name: Cow<'a, str>,
    pub description: Cow<'a, str>,
    #[schema(example = "clothing")]
    pub category: Cow<'a, str>,
    pub variants: Vec<VariantView<'a>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VariantView<'a> {
    #[schema(example = "TEE-INDIGO-M")]
    pub sku: Cow<'a, str>,
    /// What distinguishes it from the other variants.
    #[schema(value_type = BTreeMap<String, String>)]
    pub attributes: Cow<'a, BTreeMap<String, String>>,
    /// Tax included.
    pub price: MoneyView,
    /// Percent of consumption tax inside the price: 10 or 8.
    #[schema(example = 10)]
    pub tax_rate: i16,
    /// Pieces that can be ordered.
    #[schema(minimum = 0)]
    pub available: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProductPageView<'a> {
    pub items: Vec<ProductView<'a>>,
    #[schema(required)]
    pub next_cursor: Option<String>,
}

impl<'a> ProductView<'a> {
    fn of(product: &'a Product, available: &HashMap<Sku, i64>) -> Self {
        let variant = |variant: &'a crate::actors::catalog::Variant| VariantView {
            sku: variant.sku.as_str().into(),
            attributes: Cow::Borrowed(&variant.attributes),
            price: variant.price.into(),
            tax_rate: variant.tax_rate.percent(),
            available: available.get(&variant.sku).copied().unwrap_or(0),
        };
        Self {
            id: product.id.uuid(),
            name: Cow::Borrowed(&product.name),
            description: Cow::Borrowed(&product.description),
            category: product.category.as_str().into(),
            variants: product.variants.iter().map(variant).collect(),
        }
    }
}

/// Products on sale, in the order of their making.
#[utoipa::path(
    get, path = "/v1/products", tag = "products", params(ListProductsQuery),
    responses((status = 200, description = "A page of products", body = ProductPageView))
)]
pub async fn list_products(query: FromQuery<ListProductsQuery>, gateway: Data<Gateway>) -> Answer {
    let FromQuery(ListProductsQuery { limit, cursor, q, category }) = query;
    let question = ListProducts { limit, cursor, search: q, category };
    let page: Page<Product> = gateway.ports.catalog.list_products.ask(question).await?;
    let available = available(&gateway, &page.items).await?;
    answer::ok(&ProductPageView {
        items: page.items.iter().map(|product| ProductView::of(product, &available)).collect(),
        next_cursor: page.next.as_ref().map(Cursor::encode),
    })
}

/// One product with all its variants.
#[utoipa::path(
    get, path = "/v1/products/{id}", tag = "products", params(("id" = Uuid, Path, description = "The product")),
    responses(
        (status = 200, description = "The product", body = ProductView),
        (status = 404, description = "`unknown-product`, or `not-found` for what is not an id"),
    )
)]
pub async fn get_product(id: FromPath<ProductId>, gateway: Data<Gateway>) -> Answer {
    let product = gateway.ports.catalog.get_product.ask(GetProduct { id: id.0 }).await?;
    let available = available(&gateway, std::slice::from_ref(&product)).await?;
    answer::ok(&ProductView::of(&product, &available))
}

async fn available(gateway: &Gateway, products: &[Product]) -> Result<HashMap<Sku, i64>, Problem> {
    let variants = products.iter().flat_map(|product| &product.variants);
    let skus: Vec<Sku> = variants.map(|variant| variant.sku.clone()).collect();
    let pieces = gateway.ports.inventory.list_available.ask(ListAvailable { skus: skus.clone() }).await?;
    Ok(skus.into_iter().zip(pieces).collect())
}
