//! Catalog owns what is sold: products, their variants, prices and tax rates (schema `catalog`).
//!
//! It promises a price for every SKU on sale without touching the database: the price book is in memory before the
//! first question is answered. It has no figures of stock, and asks no other domain.

mod actor;
mod domain;
mod error;
mod messages;
mod model;
mod store;

pub use domain::{CatalogDomain, CatalogPorts};
pub use error::CatalogError;
pub use messages::*;
pub use model::{Category, NewProduct, Product, Quote, Search, Variant};
