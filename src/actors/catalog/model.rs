//! Products, their variants, and the price book that orders are priced from.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::CatalogError;
use crate::types::{InvalidValue, Money, ProductId, Sku, TaxRate};

/// One form in which a product is sold, counted under a SKU of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    pub sku: Sku,
    /// What distinguishes it from the product's other variants, for example size and colour.
    pub attributes: BTreeMap<String, String>,
    /// Tax included, as prices are shown to consumers.
    pub price: Money,
    pub tax_rate: TaxRate,
}

/// What is shown and sold under one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    pub id: ProductId,
    pub name: String,
    pub description: String,
    pub category: Category,
    /// In the order in which they are shown.
    pub variants: Vec<Variant>,
}

/// A product that may be put on sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Product", into = "Product")]
pub struct NewProduct(Product);

impl NewProduct {
    pub const NAME_MAX: usize = 200;
    pub const DESCRIPTION_MAX: usize = 10_000;
    pub const VARIANTS_MAX: usize = 100;
    pub const ATTRIBUTES_MAX: usize = 20;
    pub const ATTRIBUTE_MAX: usize = 100;

    /// Refuses texts that are empty, too long or have control characters (a description may have line breaks), no
    /// variants or too many, and a SKU that comes twice.
    pub fn new(product: Product) -> Result<Self, InvalidValue> {
        check_text("name", &product.name, Self::NAME_MAX)?;
        check_text("description", &product.description.replace('\n', " "), Self::DESCRIPTION_MAX)?;
        let variants = product.variants.len();
        if !(1..=Self::VARIANTS_MAX).contains(&variants) {
            let problem = format!("{variants} is not between 1 and {}", Self::VARIANTS_MAX);
            return Err(InvalidValue::new("number of variants", problem));
        }
        let mut skus = HashSet::with_capacity(variants);
        for variant in &product.variants {
            if !skus.insert(&variant.sku) {
                return Err(InvalidValue::new("sku", format!("{} comes twice", variant.sku)));
            }
            if variant.attributes.len() > Self::ATTRIBUTES_MAX {
                let problem = format!("of {} is more than {}", variant.sku, Self::ATTRIBUTES_MAX);
                return Err(InvalidValue::new("number of attributes", problem));
            }
            for (name, value) in &variant.attributes {
                check_text("attribute", name, Self::ATTRIBUTE_MAX)?;
                check_text("attribute", value, Self::ATTRIBUTE_MAX)?;
            }
        }
        Ok(Self(product))
    }

    pub fn product(&self) -> &Product {
        &self.0
    }
}

impl TryFrom<Product> for NewProduct {
    type Error = InvalidValue;

    fn try_from(product: Product) -> Result<Self, Self::Error> {
        Self::new(product)
    }
}

impl From<NewProduct> for Product {
    fn from(product: NewProduct) -> Self {
        product.0
    }
}

/// The section of the shop that a product is in: 1 to 50 characters, small letters, digits and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Category(String);

impl Category {
    pub const LENGTH_MAX: usize = 50;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Category {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() || text.len() > Self::LENGTH_MAX || !text.bytes().all(allowed) {
            let problem = format!("must have 1 to {} small letters, digits and '-'", Self::LENGTH_MAX);
            return Err(InvalidValue::new("category", problem));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Category {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Category> for String {
    fn from(category: Category) -> Self {
        category.0
    }
}

impl fmt::Display for Category {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A text to search for: 1 to 100 characters, taken literally.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Search(String);

impl Search {
    pub const LENGTH_MAX: usize = 100;

    /// A pattern for `like` that finds the text anywhere; wildcards in the text itself are escaped.
    pub(super) fn pattern(&self) -> String {
        let mut pattern = String::with_capacity(self.0.len() + 2);
        pattern.push('%');
        for character in self.0.chars() {
            if matches!(character, '%' | '_' | '\\') {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        pattern.push('%');
        pattern
    }
}

impl FromStr for Search {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        check_text("search", text, Self::LENGTH_MAX)?;
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Search {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Search> for String {
    fn from(search: Search) -> Self {
        search.0
    }
}

fn check_text(what: &'static str, text: &str, length_max: usize) -> Result<(), InvalidValue> {
    if text.trim().is_empty() || text.chars().count() > length_max {
        return Err(InvalidValue::new(what, format!("must have 1 to {length_max} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidValue::new(what, "may not have control characters"));
    }
    Ok(())
}

/// What a SKU costs at the moment of asking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    pub sku: Sku,
    /// The product's name with the variant's attributes; cheap to clone.
    pub name: Arc<str>,
    /// For one piece, tax included.
    pub price: Money,
    pub tax_rate: TaxRate,
}

impl Quote {
    pub fn of(product: &Product, variant: &Variant) -> Self {
        let attributes: Vec<&str> = variant.attributes.values().map(String::as_str).collect();
        let name = if attributes.is_empty() {
            Arc::from(product.name.as_str())
        } else {
            Arc::from(format!("{} ({})", product.name, attributes.join(", ")))
        };
        Self { sku: variant.sku.clone(), name, price: variant.price, tax_rate: variant.tax_rate }
    }
}

/// The price of everything on sale.
#[derive(Debug, Default)]
pub(super) struct PriceBook(HashMap<Sku, Quote>);

impl PriceBook {
    pub(super) fn enter(&mut self, product: &Product) {
        for variant in &product.variants {
            self.0.insert(variant.sku.clone(), Quote::of(product, variant));
        }
    }

    pub(super) fn quote(&self, skus: &[Sku]) -> Result<Vec<Quote>, CatalogError> {
        let quote = |sku| self.0.get(sku).cloned().ok_or_else(|| CatalogError::UnknownSku(Sku::clone(sku)));
        skus.iter().map(quote).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::Fault;

    fn tee() -> Product {
        let variant = |sku: &str, size: &str| Variant {
            sku: sku.parse().unwrap(),
            attributes: BTreeMap::from([("size".into(), size.into()), ("colour".into(), "indigo".into())]),
            price: Money::yen(3_300).unwrap(),
            tax_rate: TaxRate::Standard,
        };
        Product {
            id: ProductId::generate(),
            name: "Tee".into(),
            description: "Dyed by hand\nin Tokushima".into(),
            category: "clothing".parse().unwrap(),
            variants: vec![variant("TEE-M", "M"), variant("TEE-L", "L")],
        }
    }

    #[test]
    fn quotes_come_in_the_order_asked_and_name_the_variant() {
        let mut book = PriceBook::default();
        book.enter(&tee());
        let skus: Vec<Sku> = ["TEE-L", "TEE-M", "TEE-L"].map(|sku| sku.parse().unwrap()).into();

        let quotes = book.quote(&skus).unwrap();

        assert!(quotes.iter().map(|quote| &quote.sku).eq(&skus));
        assert_eq!(&*quotes[0].name, "Tee (indigo, L)");
        assert_eq!(book.len(), 2);
    }

    #[test]
    fn an_unknown_sku_is_refused_by_name() {
        let mut book = PriceBook::default();
        book.enter(&tee());
        let refusal = book.quote(&["TEE-L".parse().unwrap(), "TEE-XL".parse().unwrap()]).unwrap_err();
        assert_eq!(refusal.code(), "unknown-sku");
        assert_eq!(refusal.details()["sku"], "TEE-XL");
    }

    #[test]
    fn a_product_that_cannot_be_sold_is_refused() {
        let refused = |change: fn(&mut Product)| {
            let mut product = tee();
            change(&mut product);
            NewProduct::new(product).is_err()
        };
        assert!(NewProduct::new(tee()).is_ok());
        assert!(refused(|product| product.name = " ".into()));
        assert!(refused(|product| product.name = "a\0b".into()));
        assert!(refused(|product| product.description = "a\0b".into()));
        assert!(refused(|product| product.variants.clear()));
        assert!(refused(|product| product.variants[1].sku = product.variants[0].sku.clone()));
        assert!(refused(|product| {
            product.variants[0].attributes.insert("size".into(), "\0".into());
        }));
    }

    #[test]
    fn a_search_text_is_taken_literally() {
        assert_eq!("50%_\\".parse::<Search>().unwrap().pattern(), r"%50\%\_\\%");
        for text in ["", " ", "a\0b", &"a".repeat(101)] {
            assert!(text.parse::<Search>().is_err(), "{text:?}");
        }
        for text in ["", "Tea", "a b", "a\0", "茶"] {
            assert!(text.parse::<Category>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_product_that_was_serialised_is_checked_when_it_is_read() {
        let new = NewProduct::new(tee()).unwrap();
        let mut form = serde_json::to_value(&new).unwrap();
        assert_eq!(serde_json::from_value::<NewProduct>(form.clone()).unwrap(), new);
        form["variants"] = serde_json::json!([]);
        assert!(serde_json::from_value::<NewProduct>(form).is_err());
        assert!(serde_json::from_value::<Category>("Tea".into()).is_err());
        assert!(serde_json::from_value::<Search>(" ".into()).is_err());
    }

    proptest! {
        #[test]
        fn a_pattern_has_two_wildcards_and_no_more(text in "[a-z%_\\\\]{1,20}") {
            let pattern = text.parse::<Search>().unwrap().pattern();
            let mut wildcards = 0;
            let mut characters = pattern.chars();
            while let Some(character) = characters.next() {
                match character {
                    '\\' => prop_assert!(characters.next().is_some()),
                    '%' | '_' => wildcards += 1,
                    _ => {}
                }
            }
            prop_assert_eq!(wildcards, 2);
        }
    }
}
