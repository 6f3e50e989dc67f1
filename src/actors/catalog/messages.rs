//! What catalog can be asked, in the order of a product's life.

use actix::Message;
use serde::{Deserialize, Serialize};

use super::error::CatalogError;
use super::model::{Category, NewProduct, Product, Quote, Search};
use crate::types::{Cursor, Limit, Page, ProductId, Sku};

/// Puts a product with all its variants on sale.
///
/// Answers with the product. Refuses with `SkuTaken` when one of its SKUs belongs to another product.
/// Asking twice with the same id answers with the product as it was first put on sale.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Product, CatalogError>")]
pub struct AddProduct {
    pub product: NewProduct,
}

/// Products in the order of their ids, which is the order of their creation.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Page<Product>, CatalogError>")]
pub struct ListProducts {
    pub limit: Limit,
    pub cursor: Option<Cursor>,
    /// Only those with this text in name or description; case does not matter.
    pub search: Option<Search>,
    pub category: Option<Category>,
}

/// One product. Refuses with `UnknownProduct`.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Product, CatalogError>")]
pub struct GetProduct {
    pub id: ProductId,
}

/// What each of the SKUs costs at this moment, in the order asked.
///
/// Refuses with `UnknownSku` for the first that is not on sale.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Vec<Quote>, CatalogError>")]
pub struct QuoteSkus {
    pub skus: Vec<Sku>,
}
