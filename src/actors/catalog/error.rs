//! Why catalog refuses, and what can fail in it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::actors::runtime::AskError;
use crate::error::{Fault, Kind};
use crate::storage::StorageError;
use crate::types::{InvalidValue, ProductId, Sku};

#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
pub enum CatalogError {
    #[error("there is no product {0}")]
    UnknownProduct(ProductId),
    #[error("there is no sku {0} on sale")]
    UnknownSku(Sku),
    #[error("sku {0} belongs to another product")]
    SkuTaken(Sku),
    #[error(transparent)]
    Invalid(#[from] InvalidValue),
    #[error(transparent)]
    Asking(#[from] AskError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Fault for CatalogError {
    fn kind(&self) -> Kind {
        match self {
            CatalogError::UnknownProduct(_) | CatalogError::UnknownSku(_) => Kind::NotFound,
            CatalogError::SkuTaken(_) => Kind::Conflict,
            CatalogError::Invalid(error) => error.kind(),
            CatalogError::Asking(error) => error.kind(),
            CatalogError::Storage(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            CatalogError::UnknownProduct(_) => "unknown-product",
            CatalogError::UnknownSku(_) => "unknown-sku",
            CatalogError::SkuTaken(_) => "sku-taken",
            CatalogError::Invalid(error) => error.code(),
            CatalogError::Asking(error) => error.code(),
            CatalogError::Storage(error) => error.code(),
        }
    }

    fn details(&self) -> Map<String, Value> {
        match self {
            CatalogError::UnknownSku(sku) | CatalogError::SkuTaken(sku) => {
                Map::from_iter([("sku".to_owned(), Value::from(sku.as_str()))])
            }
            _ => Map::new(),
        }
    }
}
