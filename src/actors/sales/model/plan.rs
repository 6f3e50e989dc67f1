//! Rules of a sale's plan: what an operator plans, and what is wrong with it whatever the shop has in stock.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::actors::waiting_room::AdmissionTerms;
use crate::types::{InvalidValue, Money, Quantity, Sku};

/// The plan of a sale, as an operator writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SaleDraft {
    pub name: String,
    pub opens_at: Timestamp,
    pub closes_at: Timestamp,
    pub items: Vec<SaleItem>,
    pub terms: Terms,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ItemForm", into = "ItemForm")]
pub struct SaleItem {
    pub sku: Sku,
    /// Tax included.
    pub price: Money,
    pub allotment: Quantity,
}

/// The conditions of buying in a sale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Pieces for each customer in the whole sale; `None` sets no limit.
    pub limit_per_customer: Option<i64>,
    pub hold_seconds: HoldSeconds,
    pub konbini: KonbiniTerms,
    pub admission: AdmissionTerms,
}

/// How long pieces are held for a payment that has yet to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldSeconds {
    pub card: i64,
    pub konbini: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KonbiniTerms {
    pub allowed: bool,
    /// The share of a SKU's allotment that may be held for slips that are not paid, 0 to 1.
    pub share_max: f64,
}

/// One thing that keeps a sale from being run as it is planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Where in the plan, for example `items[2].allotment`.
    pub field: String,
    pub problem: String,
}

impl Finding {
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

impl SaleDraft {
    pub const NAME_CHARACTERS_MAX: usize = 100;
    pub const ITEMS_MAX: usize = 1_000;

    /// Everything that is wrong with the plan itself, whatever the shop has in stock.
    pub fn problems(&self, hold_seconds_max: i64) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut check = |holds: bool, field: &str, problem: String| {
            if !holds {
                found.push(Finding::new(field, problem));
            }
        };
        let name = self.name.chars().count();
        check(
            (1..=Self::NAME_CHARACTERS_MAX).contains(&name),
            "name",
            format!("must have 1 to {} characters, not {name}", Self::NAME_CHARACTERS_MAX),
        );
        check(!self.name.chars().any(char::is_control), "name", "may not have control characters".to_owned());
        for (field, time) in [("opens_at", self.opens_at), ("closes_at", self.closes_at)] {
            // The database keeps no time before 4713 BC.
            check(time >= Timestamp::UNIX_EPOCH, field, "must not be before 1970".to_owned());
        }
        check(self.opens_at < self.closes_at, "closes_at", "must be after opens_at".to_owned());
        let items = self.items.len();
        check(
            (1..=Self::ITEMS_MAX).contains(&items),
            "items",
            format!("must be 1 to {}, not {items}", Self::ITEMS_MAX),
        );
        for (index, item) in self.items.iter().enumerate() {
            let is_first = !self.items[..index].iter().any(|other| other.sku == item.sku);
            check(is_first, &format!("items[{index}].sku"), format!("{} is named before", item.sku));
        }
        if let Some(limit) = self.terms.limit_per_customer {
            let holds = (1..=Quantity::MAX).contains(&limit);
            check(holds, "limit_per_customer", format!("must be 1 to {}, not {limit}", Quantity::MAX));
        }
        let HoldSeconds { card, konbini } = self.terms.hold_seconds;
        for (field, seconds) in [("hold_seconds.card", card), ("hold_seconds.konbini", konbini)] {
            let holds = (1..=hold_seconds_max).contains(&seconds);
            check(holds, field, format!("must be 1 to {hold_seconds_max}, not {seconds}"));
        }
        let share = self.terms.konbini.share_max;
        check((0.0..=1.0).contains(&share), "konbini.share_max", format!("must be 0 to 1, not {share}"));
        let per_second = self.terms.admission.per_second;
        check(per_second != Some(0), "admission.per_second", "must be at least 1".to_owned());
        found
    }

    /// The pieces of a SKU that may be held for slips that are not paid; `None` sets no bound.
    pub fn konbini_pieces_max(&self, allotment: i64) -> Option<i64> {
        /// The share as it was written, in so many parts: 0.29 of 100 pieces are 29, which it is not in binary.
        const PARTS: f64 = 1e9;
        let share = self.terms.konbini.share_max;
        let parts = (share * PARTS).round() as i128;
        let most = i128::from(allotment) * parts / PARTS as i128;
        (share < 1.0).then(|| i64::try_from(most).unwrap_or(i64::MAX))
    }
}

/// How an item is written as JSON; prices and pieces are checked whenever it is read.
#[derive(Serialize, Deserialize)]
struct ItemForm {
    sku: String,
    price: i64,
    allotment: i64,
}

impl From<SaleItem> for ItemForm {
    fn from(item: SaleItem) -> Self {
        let (price, allotment) = (item.price.amount(), item.allotment.get());
        Self { sku: item.sku.to_string(), price, allotment }
    }
}

impl TryFrom<ItemForm> for SaleItem {
    type Error = InvalidValue;

    fn try_from(ItemForm { sku, price, allotment }: ItemForm) -> Result<Self, Self::Error> {
        Ok(Self { sku: sku.parse()?, price: Money::yen(price)?, allotment: Quantity::new(allotment)? })
    }
}

#[cfg(test)]
pub(in super::super) mod tests {
    use super::*;
    use crate::actors::waiting_room::AdmissionMode;

    pub fn draft() -> SaleDraft {
        SaleDraft {
            name: "Midnight".to_owned(),
            opens_at: Timestamp::from_second(1_000).unwrap(),
            closes_at: Timestamp::from_second(2_000).unwrap(),
            items: vec![SaleItem {
                sku: "LAMP".parse().unwrap(),
                price: Money::yen(500).unwrap(),
                allotment: Quantity::new(10).unwrap(),
            }],
            terms: Terms {
                limit_per_customer: Some(2),
                hold_seconds: HoldSeconds { card: 600, konbini: 3_600 },
                konbini: KonbiniTerms { allowed: true, share_max: 0.5 },
                admission: AdmissionTerms { mode: AdmissionMode::None, per_second: None },
            },
        }
    }

    #[test]
    fn all_problems_of_a_plan_are_found_at_once() {
        let mut bad = draft();
        bad.name = String::new();
        bad.closes_at = bad.opens_at;
        bad.items.push(bad.items[0].clone());
        bad.terms.limit_per_customer = Some(0);
        bad.terms.hold_seconds = HoldSeconds { card: 0, konbini: 1_000_000 };
        bad.terms.konbini.share_max = 1.5;
        bad.terms.admission.per_second = Some(0);
        let fields: Vec<_> = bad.problems(86_400).into_iter().map(|finding| finding.field).collect();
        assert_eq!(
            fields,
            [
                "name",
                "closes_at",
                "items[1].sku",
                "limit_per_customer",
                "hold_seconds.card",
                "hold_seconds.konbini",
                "konbini.share_max",
                "admission.per_second",
            ]
        );
        assert_eq!(draft().problems(86_400), []);
    }
}
