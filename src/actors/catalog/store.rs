//! Products and variants in PostgreSQL.

use std::collections::{BTreeMap, HashMap};

use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::error::CatalogError;
use super::model::{Category, NewProduct, Product, Search, Variant};
use crate::storage::{Database, PooledConnection, StorageError};
use crate::types::{Cursor, Limit, Money, Page, ProductId, Sku, TaxRate};

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../../sql/catalog/", $name, ".sql"))
    };
}

/// Cheap to clone.
#[derive(Clone)]
pub struct CatalogStore {
    database: Database,
}

impl CatalogStore {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Inserts the product with its variants; false when there is a product with this id already.
    ///
    /// Refuses with `SkuTaken` when another product has one of the SKUs.
    pub(super) async fn insert_product(&self, product: &NewProduct) -> Result<bool, CatalogError> {
        let Product { id, name, description, category, variants } = product.product();
        let skus: Vec<&str> = variants.iter().map(|variant| variant.sku.as_str()).collect();
        let attributes: Vec<Json<&BTreeMap<String, String>>> =
            variants.iter().map(|variant| Json(&variant.attributes)).collect();
        let prices: Vec<i64> = variants.iter().map(|variant| variant.price.amount()).collect();
        let tax_rates: Vec<i16> = variants.iter().map(|variant| variant.tax_rate.percent()).collect();
        let connection = self.database.connection().await?;
        let statement =
            connection.prepare_cached(sql!("insert_product")).await.map_err(StorageError::from)?;
        let inserted = connection
            .query_opt(
                &statement,
                &[&id.uuid(), name, description, &category.as_str(), &skus, &attributes, &prices, &tax_rates],
            )
            .await
            .map_err(StorageError::from);
        match inserted {
            Ok(row) => Ok(row.is_some()),
            Err(StorageError::Refused { constraint }) if constraint == "variants_pkey" => {
                let taken = find_taken_sku(&connection, &skus).await?;
                Err(taken.map_or(StorageError::Refused { constraint }.into(), CatalogError::SkuTaken))
            }
            Err(failure) => Err(failure.into()),
        }
    }

    pub(super) async fn find_product(&self, id: ProductId) -> Result<Option<Product>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("find_product")).await?;
        let Some(row) = connection.query_opt(&statement, &[&id.uuid()]).await? else { return Ok(None) };
        let mut products = vec![product_from(&row)?];
        add_variants(&connection, &mut products).await?;
        Ok(products.pop())
    }

    pub(super) async fn list_products(
        &self,
        limit: Limit,
        cursor: Option<Cursor>,
        search: Option<Search>,
        category: Option<Category>,
    ) -> Result<Page<Product>, CatalogError> {
        let after = cursor.map(|cursor| cursor.key::<ProductId>()).transpose()?.map(ProductId::uuid);
        let pattern = search.as_ref().map(Search::pattern);
        let category = category.as_ref().map(Category::as_str);
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("list_products")).await.map_err(StorageError::from)?;
        let rows = connection
            .query(&statement, &[&after, &category, &pattern, &(limit.get() + 1)])
            .await
            .map_err(StorageError::from)?;
        let products = rows.iter().map(product_from).collect::<Result<_, _>>()?;
        let mut page = Page::from_rows(products, limit, |product: &Product| product.id.to_string());
        add_variants(&connection, &mut page.items).await?;
        Ok(page)
    }

    /// Every product with its variants, for the price book.
    pub(super) async fn list_all_products(&self) -> Result<Vec<Product>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("list_all_products")).await?;
        let rows = connection.query(&statement, &[]).await?;
        let mut products = rows.iter().map(product_from).collect::<Result<_, _>>()?;
        add_variants(&connection, &mut products).await?;
        Ok(products)
    }
}

/// Puts the variants into the products, with one query for all of them.
async fn add_variants(
    connection: &PooledConnection,
    products: &mut Vec<Product>,
) -> Result<(), StorageError> {
    let ids: Vec<Uuid> = products.iter().map(|product| product.id.uuid()).collect();
    let statement = connection.prepare_cached(sql!("list_variants")).await?;
    let rows = connection.query(&statement, &[&ids]).await?;
    let mut variants: HashMap<Uuid, Vec<Variant>> = HashMap::with_capacity(products.len());
    for row in &rows {
        variants.entry(row.get("product_id")).or_default().push(variant_from(row)?);
    }
    for product in products {
        product.variants = variants.remove(&product.id.uuid()).unwrap_or_default();
    }
    Ok(())
}

async fn find_taken_sku(connection: &PooledConnection, skus: &[&str]) -> Result<Option<Sku>, StorageError> {
    let statement = connection.prepare_cached(sql!("find_taken_sku")).await?;
    let row = connection.query_opt(&statement, &[&skus]).await?;
    row.as_ref().map(sku_from).transpose()
}

fn product_from(row: &Row) -> Result<Product, StorageError> {
    Ok(Product {
        id: ProductId::from_uuid(row.get("id")),
        name: row.get("name"),
        description: row.get("description"),
        category: row.get::<_, &str>("category").parse().map_err(defective)?,
        variants: Vec::new(),
    })
}

fn variant_from(row: &Row) -> Result<Variant, StorageError> {
    let attributes: Json<BTreeMap<String, String>> = row.try_get("attributes").map_err(defective)?;
    Ok(Variant {
        sku: sku_from(row)?,
        attributes: attributes.0,
        price: Money::yen(row.get("price")).map_err(defective)?,
        tax_rate: TaxRate::from_percent(row.get("tax_rate")).map_err(defective)?,
    })
}

fn sku_from(row: &Row) -> Result<Sku, StorageError> {
    row.get::<_, &str>("sku").parse().map_err(defective)
}

/// A row that the model does not understand.
fn defective(what: impl std::fmt::Display) -> StorageError {
    StorageError::Broken(format!("a row of catalog is defective: {what}"))
}
