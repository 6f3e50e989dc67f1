//! The form of a sale's plan: what was typed, and the plan that it stands for or everything that is wrong with it.

use super::translations::OpsTexts;
use crate::actors::sales::{Finding, HoldSeconds, KonbiniTerms, SaleDraft, SaleItem, Terms};
use crate::actors::waiting_room::{AdmissionMode, AdmissionTerms};
use crate::http::gateway::problem::Problem;
use crate::http::pages::kit::{Form, jst, whole_number};
use crate::types::{Money, Quantity, Sku};

/// Rows of a new plan, before more are added.
const ROWS_FIRST: usize = 1;
pub const MODES: [AdmissionMode; 3] = [AdmissionMode::None, AdmissionMode::Queue, AdmissionMode::Lottery];

/// The fields of a plan as an operator typed them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlanForm {
    /// The version of the sale whose plan was shown; empty for a new sale.
    pub version: String,
    pub name: String,
    pub opens_at: String,
    pub closes_at: String,
    pub rows: Vec<PlanRow>,
    pub limit: String,
    pub card: String,
    pub konbini: String,
    pub konbini_allowed: bool,
    /// In per cent.
    pub share: String,
    pub mode: String,
    pub per_second: String,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlanRow {
    pub sku: String,
    pub price: String,
    pub allotment: String,
}

impl PlanForm {
    const ONCE: [&str; 12] = [
        "version",
        "name",
        "opens_at",
        "closes_at",
        "limit",
        "card",
        "konbini",
        "konbini_allowed",
        "share",
        "mode",
        "per_second",
        "more",
    ];
    const REPEATED: [&str; 3] = ["sku", "price", "allotment"];

    /// What the fields of a new plan hold at first.
    pub fn new() -> Self {
        Self {
            rows: vec![PlanRow::default(); ROWS_FIRST],
            limit: "1".to_owned(),
            card: "600".to_owned(),
            konbini: "3600".to_owned(),
            konbini_allowed: true,
            share: "30".to_owned(),
            mode: AdmissionMode::None.as_str().to_owned(),
            ..Self::default()
        }
    }

    /// A plan that was saved.
    pub fn of(draft: &SaleDraft, version: i64) -> Self {
        let Terms { limit_per_customer, hold_seconds, konbini, admission } = &draft.terms;
        Self {
            version: version.to_string(),
            name: draft.name.clone(),
            opens_at: jst::input(draft.opens_at),
            closes_at: jst::input(draft.closes_at),
            rows: draft
                .items
                .iter()
                .map(|item| PlanRow {
                    sku: item.sku.to_string(),
                    price: item.price.amount().to_string(),
                    allotment: item.allotment.get().to_string(),
                })
                .collect(),
            limit: limit_per_customer.map_or_else(String::new, |limit| limit.to_string()),
            card: hold_seconds.card.to_string(),
            konbini: hold_seconds.konbini.to_string(),
            konbini_allowed: konbini.allowed,
            share: per_cent(konbini.share_max),
            mode: admission.mode.as_str().to_owned(),
            per_second: admission.per_second.map_or_else(String::new, |rate| rate.to_string()),
        }
    }

    pub fn read(form: &Form) -> Result<Self, Problem> {
        form.check(&Self::ONCE, &Self::REPEATED)?;
        let columns = Self::REPEATED.map(|name| form.texts(name).map(str::to_owned).collect::<Vec<_>>());
        let [skus, prices, allotments] = columns;
        if skus.len() != prices.len() || skus.len() != allotments.len() {
            return Err(Problem::new(422, "invalid-form", "the rows of the form are not complete"));
        }
        let rows = skus.into_iter().zip(prices).zip(allotments);
        let rows = rows.map(|((sku, price), allotment)| PlanRow { sku, price, allotment });
        let text = |name: &str| form.text(name).to_owned();
        Ok(Self {
            version: text("version"),
            name: text("name"),
            opens_at: text("opens_at"),
            closes_at: text("closes_at"),
            // Rows without any text are left out.
            rows: rows.filter(|row| *row != PlanRow::default()).collect(),
            limit: text("limit"),
            card: text("card"),
            konbini: text("konbini"),
            konbini_allowed: form.has("konbini_allowed"),
            share: text("share"),
            mode: text("mode"),
            per_second: text("per_second"),
        })
    }

    /// The plan, or everything that is wrong with it at once.
    pub fn draft(&self, texts: &OpsTexts, hold_seconds_max: i64) -> Result<SaleDraft, Vec<Finding>> {
        // A value that cannot be read is replaced by a harmless one, so that all other fields are checked too.
        let mut unread = Vec::new();
        let mut miss = |field: String, problem: &str| unread.push(Finding::new(field, problem));

        if self.name.chars().any(char::is_control) {
            miss("name".to_owned(), texts.control_characters);
        }
        let opens_at = jst::from_input(&self.opens_at);
        let closes_at = jst::from_input(&self.closes_at);
        for (field, time) in [("opens_at", opens_at), ("closes_at", closes_at)] {
            if time.is_none() {
                miss(field.to_owned(), texts.not_a_time);
            }
        }
        let mut items = Vec::with_capacity(self.rows.len());
        for (index, row) in self.rows.iter().enumerate() {
            let sku = row.sku.parse::<Sku>().ok();
            let price = whole_number(&row.price).and_then(|price| Money::yen(price).ok());
            let allotment = pieces(&row.allotment);
            let parts = [
                ("sku", sku.is_some(), texts.not_a_sku),
                ("price", price.is_some(), texts.not_a_price),
                ("allotment", allotment.is_some(), texts.not_pieces),
            ];
            for (part, is_read, problem) in parts {
                if !is_read {
                    miss(format!("items[{index}].{part}"), problem);
                }
            }
            // A name that no other row has.
            let Some(sku) = sku.or_else(|| format!("unread-{index}").parse().ok()) else { continue };
            let Some(allotment) = allotment.or_else(|| Quantity::new(1).ok()) else { continue };
            items.push(SaleItem { sku, price: price.unwrap_or(Money::NOTHING), allotment });
        }
        let mut number = |field: &str, text: &str| {
            whole_number(text).unwrap_or_else(|| {
                miss(field.to_owned(), texts.not_a_number);
                1
            })
        };
        let limit_per_customer = (!self.limit.is_empty()).then(|| number("limit_per_customer", &self.limit));
        let card = number("hold_seconds.card", &self.card);
        let konbini = number("hold_seconds.konbini", &self.konbini);
        let per_second =
            (!self.per_second.is_empty()).then(|| number("admission.per_second", &self.per_second));
        let per_second = per_second.map(|rate| u32::try_from(rate).unwrap_or(0));
        let share = self.share.parse::<f64>().ok().filter(|share| (0.0..=100.0).contains(share));
        if share.is_none() {
            miss("konbini.share_max".to_owned(), texts.not_a_share);
        }
        let mode = MODES.into_iter().find(|mode| mode.as_str() == self.mode);
        if mode.is_none() {
            miss("admission.mode".to_owned(), texts.not_a_mode);
        }

        let (opens, closes) = match (opens_at, closes_at) {
            (Some(opens), Some(closes)) => (opens, closes),
            _ => (jiff::Timestamp::UNIX_EPOCH, jiff::Timestamp::MAX),
        };
        let draft = SaleDraft {
            name: self.name.clone(),
            opens_at: opens,
            closes_at: closes,
            items,
            terms: Terms {
                limit_per_customer,
                hold_seconds: HoldSeconds { card, konbini },
                konbini: KonbiniTerms {
                    allowed: self.konbini_allowed,
                    share_max: share.unwrap_or(0.0) / 100.0,
                },
                admission: AdmissionTerms { mode: mode.unwrap_or(AdmissionMode::None), per_second },
            },
        };
        for finding in draft.problems(hold_seconds_max) {
            if !unread.iter().any(|other| other.field == finding.field) {
                unread.push(finding);
            }
        }
        if unread.is_empty() { Ok(draft) } else { Err(unread) }
    }
}

/// A number of pieces; `None` for a text that is none.
pub fn pieces(text: &str) -> Option<Quantity> {
    Quantity::new(whole_number(text)?).ok()
}

fn per_cent(share: f64) -> String {
    // Rounded to hundredths, which hides the error of a binary fraction.
    ((share * 10_000.0).round() / 100.0).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::pages::kit::{Catalogue as _, Language};

    const MAX: i64 = 86_400;

    fn typed() -> PlanForm {
        PlanForm {
            name: "福袋".to_owned(),
            opens_at: "2026-12-01T10:00".to_owned(),
            closes_at: "2026-12-01T12:00".to_owned(),
            rows: vec![PlanRow {
                sku: "LAMP".to_owned(),
                price: "1,980".to_owned(),
                allotment: "1,000".to_owned(),
            }],
            ..PlanForm::new()
        }
    }

    #[test]
    fn a_plan_is_read_as_it_was_typed() {
        let texts = OpsTexts::of(Language::Japanese);
        let draft = typed().draft(texts, MAX).unwrap();
        assert_eq!(draft.opens_at, "2026-12-01T01:00:00Z".parse().unwrap());
        assert_eq!((draft.items[0].price.amount(), draft.items[0].allotment.get()), (1_980, 1_000));
        assert_eq!(draft.terms.konbini.share_max, 0.3);
        // And written into the form as it was read.
        let again = PlanForm::of(&draft, 1).draft(texts, MAX).unwrap();
        assert_eq!(again, draft);
    }

    #[test]
    fn all_problems_of_a_plan_are_found_at_once() {
        let row = |sku: &str, price: &str, allotment: &str| PlanRow {
            sku: sku.to_owned(),
            price: price.to_owned(),
            allotment: allotment.to_owned(),
        };
        let bad = PlanForm {
            name: String::new(),
            opens_at: "soon".to_owned(),
            rows: vec![row("LAMP", "-1", "0"), row("LAMP", "1", "1"), row("a b", "1", "1")],
            limit: "many".to_owned(),
            card: "0".to_owned(),
            konbini: "1.5".to_owned(),
            share: "101".to_owned(),
            mode: "any".to_owned(),
            per_second: "0".to_owned(),
            ..typed()
        };
        let findings = bad.draft(OpsTexts::of(Language::English), MAX).unwrap_err();
        let fields: Vec<_> = findings.iter().map(|finding| finding.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "opens_at",
                "items[0].price",
                "items[0].allotment",
                "items[2].sku",
                "limit_per_customer",
                "hold_seconds.konbini",
                "konbini.share_max",
                "admission.mode",
                "name",
                "items[1].sku",
                "hold_seconds.card",
                "admission.per_second",
            ]
        );
    }

    #[test]
    fn an_empty_limit_means_no_limit() {
        let plan = PlanForm { limit: String::new(), per_second: String::new(), ..typed() };
        let draft = plan.draft(OpsTexts::of(Language::English), MAX).unwrap();
        assert_eq!((draft.terms.limit_per_customer, draft.terms.admission.per_second), (None, None));
    }

    #[test]
    fn a_share_is_shown_in_per_cent() {
        assert_eq!([0.0, 0.3, 0.07, 0.125, 1.0].map(per_cent), ["0", "30", "7", "12.5", "100"]);
    }
}
