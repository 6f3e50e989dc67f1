//! The editor of a plan: what was typed is kept, and every problem stands beside its field.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;

use super::sales::{findings_in_words, pieces};
use crate::actors::sales::{
    AdmissionMode, AdmissionTerms, CreateSale, Finding, GetSale, HoldSeconds, KonbiniTerms, ReplanSale, Sale,
    SaleDraft, SaleItem, SaleStatus, SalesError, Terms,
};
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::Answer;
use crate::http::gateway::input::FromPath;
use crate::http::gateway::problem::Problem;
use crate::http::pages::kit::forms::Form;
use crate::http::pages::kit::layout::{self, Frame, Outcome};
use crate::http::pages::kit::session::{Operator, Submitted};
use crate::http::pages::kit::translations::Words;
use crate::http::pages::kit::{HOME, jst};
use crate::types::{Money, Quantity, SaleId, Sku};

/// Rows of a new plan, before more are added.
const ROWS_FIRST: usize = 1;
const MODES: [AdmissionMode; 3] = [AdmissionMode::None, AdmissionMode::Queue, AdmissionMode::Lottery];

/// A plan as it was typed.
#[derive(Debug, Clone, Default, PartialEq)]
struct Typed {
    /// Of the sale when its plan was shown; nothing for a new one.
    version: String,
    name: String,
    opens_at: String,
    closes_at: String,
    rows: Vec<TypedRow>,
    limit: String,
    card: String,
    konbini: String,
    konbini_allowed: bool,
    /// In per cent.
    share: String,
    mode: String,
    per_second: String,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct TypedRow {
    sku: String,
    price: String,
    allotment: String,
}

impl Typed {
    const ONCE: [&str; 13] = [
        "token",
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

    /// What a new plan begins with.
    fn new() -> Self {
        Self {
            rows: vec![TypedRow::default(); ROWS_FIRST],
            limit: "1".to_owned(),
            card: "600".to_owned(),
            konbini: "3600".to_owned(),
            konbini_allowed: true,
            share: "30".to_owned(),
            mode: AdmissionMode::None.as_str().to_owned(),
            ..Self::default()
        }
    }

    fn of(draft: &SaleDraft, version: i64) -> Self {
        let Terms { limit_per_customer, hold_seconds, konbini, admission } = &draft.terms;
        Self {
            version: version.to_string(),
            name: draft.name.clone(),
            opens_at: jst::input(draft.opens_at),
            closes_at: jst::input(draft.closes_at),
            rows: draft
                .items
                .iter()
                .map(|item| TypedRow {
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

    fn from_form(form: &Form) -> Result<Self, Problem> {
        form.check(&Self::ONCE, &Self::REPEATED)?;
        let columns = Self::REPEATED.map(|name| form.texts(name).map(str::to_owned).collect::<Vec<_>>());
        let [skus, prices, allotments] = columns;
        if skus.len() != prices.len() || skus.len() != allotments.len() {
            return Err(Problem::new(422, "invalid-form", "the form's rows are not whole"));
        }
        let rows = skus.into_iter().zip(prices).zip(allotments);
        let rows = rows.map(|((sku, price), allotment)| TypedRow { sku, price, allotment });
        let text = |name: &str| form.text(name).to_owned();
        Ok(Self {
            version: text("version"),
            name: text("name"),
            opens_at: text("opens_at"),
            closes_at: text("closes_at"),
            // A row that was left empty is none.
            rows: rows.filter(|row| *row != TypedRow::default()).collect(),
            limit: text("limit"),
            card: text("card"),
            konbini: text("konbini"),
            konbini_allowed: form.has("konbini_allowed"),
            share: text("share"),
            mode: text("mode"),
            per_second: text("per_second"),
        })
    }

    /// The plan, or everything at once that is wrong with it.
    fn draft(&self, words: &Words, hold_seconds_max: i64) -> Result<SaleDraft, Vec<Finding>> {
        // What cannot be read is put down, and something harmless taken in its place, so that the rest is looked at too.
        let mut unread = Vec::new();
        let mut miss = |field: String, problem: &str| unread.push(Finding::new(field, problem));

        if self.name.chars().any(char::is_control) {
            miss("name".to_owned(), words.control_characters);
        }
        let opens_at = jst::from_input(&self.opens_at);
        let closes_at = jst::from_input(&self.closes_at);
        for (field, time) in [("opens_at", opens_at), ("closes_at", closes_at)] {
            if time.is_none() {
                miss(field.to_owned(), words.not_a_time);
            }
        }
        let mut items = Vec::with_capacity(self.rows.len());
        for (index, row) in self.rows.iter().enumerate() {
            let sku = row.sku.parse::<Sku>().ok();
            let price = whole(&row.price).and_then(|price| Money::yen(price).ok());
            let allotment = pieces(&row.allotment);
            let parts = [
                ("sku", sku.is_some(), words.not_a_sku),
                ("price", price.is_some(), words.not_a_price),
                ("allotment", allotment.is_some(), words.not_pieces),
            ];
            for (part, is_read, problem) in parts {
                if !is_read {
                    miss(format!("items[{index}].{part}"), problem);
                }
            }
            // Under a name that no other row has.
            let Some(sku) = sku.or_else(|| format!("unread-{index}").parse().ok()) else { continue };
            let Some(allotment) = allotment.or_else(|| Quantity::new(1).ok()) else { continue };
            items.push(SaleItem { sku, price: price.unwrap_or(Money::NOTHING), allotment });
        }
        let mut number = |field: &str, text: &str| {
            whole(text).unwrap_or_else(|| {
                miss(field.to_owned(), words.not_a_number);
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
            miss("konbini.share_max".to_owned(), words.not_a_share);
        }
        let mode = MODES.into_iter().find(|mode| mode.as_str() == self.mode);
        if mode.is_none() {
            miss("admission.mode".to_owned(), words.not_a_mode);
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

fn whole(text: &str) -> Option<i64> {
    // Digits may be typed in groups.
    text.replace(',', "").parse().ok()
}

fn per_cent(share: f64) -> String {
    // Hundredths of a per cent, which hides what a double adds.
    ((share * 10_000.0).round() / 100.0).to_string()
}

#[derive(Template)]
#[template(path = "ops/editor.html")]
struct EditorPage<'a> {
    frame: Frame,
    title: &'static str,
    to: String,
    back: String,
    typed: &'a Typed,
    modes: Vec<(&'static str, &'static str)>,
    findings: Vec<Finding>,
    outcome: Option<Outcome>,
}

impl EditorPage<'_> {
    /// What is wrong with a field, in words.
    fn problem(&self, field: &str) -> Option<String> {
        let words = self.frame.words;
        let found: Vec<_> = self
            .findings
            .iter()
            .filter(|finding| finding.field == field)
            .map(|finding| words.finding(field, &finding.problem))
            .collect();
        (!found.is_empty()).then(|| found.join("; "))
    }

    fn row_problem(&self, row: &usize, part: &str) -> Option<String> {
        self.problem(&format!("items[{row}].{part}"))
    }
}

async fn show(
    operator: &Operator,
    gateway: &Gateway,
    sale: Option<SaleId>,
    typed: &Typed,
    findings: Vec<Finding>,
    status: StatusCode,
) -> Answer {
    let words = operator.words();
    let outcome = (!findings.is_empty()).then(|| Outcome {
        is_refused: true,
        text: words.problems_found.to_owned(),
        findings: findings_in_words(words, &findings),
    });
    show_with(operator, gateway, sale, typed, findings, outcome, status).await
}

async fn show_with(
    operator: &Operator,
    gateway: &Gateway,
    sale: Option<SaleId>,
    typed: &Typed,
    findings: Vec<Finding>,
    outcome: Option<Outcome>,
    status: StatusCode,
) -> Answer {
    let words = operator.words();
    let (title, to, back) = match sale {
        None => (words.new_sale, format!("{HOME}/sales"), HOME.to_owned()),
        Some(sale) => (words.edit_sale, format!("{HOME}/sales/{sale}/edit"), format!("{HOME}/sales/{sale}")),
    };
    let page = EditorPage {
        frame: operator.frame(gateway).await,
        title,
        to,
        back,
        typed,
        modes: MODES.map(|mode| (mode.as_str(), words.admission(mode.as_str()))).to_vec(),
        findings,
        outcome,
    };
    layout::show(status, &page)
}

/// An empty plan to fill in.
pub async fn plan_sale(operator: Operator, gateway: Data<Gateway>) -> Answer {
    show(&operator, &gateway, None, &Typed::new(), Vec::new(), StatusCode::OK).await
}

/// The plan of a draft, to be changed.
pub async fn plan_again(sale: FromPath<SaleId>, operator: Operator, gateway: Data<Gateway>) -> Answer {
    let known = gateway.ports.sales.get_sale.ask(GetSale { sale: sale.0 }).await?;
    if known.status != SaleStatus::Draft {
        return Err(SalesError::NotADraft { status: known.status }.into());
    }
    show(
        &operator,
        &gateway,
        Some(sale.0),
        &Typed::of(&known.draft, known.version),
        Vec::new(),
        StatusCode::OK,
    )
    .await
}

/// Plans a sale.
pub async fn create_sale(submitted: Submitted, gateway: Data<Gateway>) -> Answer {
    save(submitted, &gateway, None).await
}

/// Plans a draft anew.
pub async fn replan_sale(sale: FromPath<SaleId>, submitted: Submitted, gateway: Data<Gateway>) -> Answer {
    save(submitted, &gateway, Some(sale.0)).await
}

async fn save(submitted: Submitted, gateway: &Gateway, sale: Option<SaleId>) -> Answer {
    let Submitted { operator, form } = submitted;
    let mut typed = Typed::from_form(&form)?;
    if form.has("more") {
        typed.rows.push(TypedRow::default());
        return show(&operator, gateway, sale, &typed, Vec::new(), StatusCode::OK).await;
    }
    let saved = match typed.draft(operator.words(), gateway.limits.hold_seconds_max) {
        Ok(draft) => match sale {
            None => plan(&operator, gateway, draft).await,
            Some(sale) => plan_anew(&operator, gateway, sale, &typed.version, draft).await,
        },
        Err(findings) => Err(SalesError::NotValid { findings }),
    };
    match saved {
        Ok(saved) => {
            let action = if sale.is_some() { "replan" } else { "create" };
            Ok(layout::go_to(&format!("{HOME}/sales/{}?done={action}", saved.id)))
        }
        Err(SalesError::NotValid { findings }) => {
            if typed.rows.is_empty() {
                typed.rows.push(TypedRow::default());
            }
            show(&operator, gateway, sale, &typed, findings, StatusCode::UNPROCESSABLE_ENTITY).await
        }
        Err(SalesError::Overtaken) => {
            let Some(sale) = sale else { return Err(SalesError::Overtaken.into()) };
            // Saved once more, it takes the place of what somebody else planned, which is said.
            let known = gateway.ports.sales.get_sale.ask(GetSale { sale }).await?;
            typed.version = known.version.to_string();
            let words = operator.words();
            let outcome =
                Outcome { is_refused: true, text: words.overtaken.to_owned(), findings: Vec::new() };
            show_with(&operator, gateway, Some(sale), &typed, Vec::new(), Some(outcome), StatusCode::CONFLICT)
                .await
        }
        Err(error) => Err(error.into()),
    }
}

async fn plan(operator: &Operator, gateway: &Gateway, draft: SaleDraft) -> Result<Sale, SalesError> {
    let by = Some(operator.identity.customer);
    gateway.ports.sales.create_sale.ask(CreateSale { draft, by }).await
}

/// Onto the plan that was shown alone: what somebody else planned meanwhile is not undone by a form that does not show it.
async fn plan_anew(
    operator: &Operator,
    gateway: &Gateway,
    sale: SaleId,
    version: &str,
    draft: SaleDraft,
) -> Result<Sale, SalesError> {
    let version = version.parse().map_err(|_| SalesError::Overtaken)?;
    let by = Some(operator.identity.customer);
    gateway.ports.sales.replan_sale.ask(ReplanSale { sale, version, draft, by }).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::pages::kit::translations::Language;

    const MAX: i64 = 86_400;

    fn typed() -> Typed {
        Typed {
            name: "福袋".to_owned(),
            opens_at: "2026-12-01T10:00".to_owned(),
            closes_at: "2026-12-01T12:00".to_owned(),
            rows: vec![TypedRow {
                sku: "LAMP".to_owned(),
                price: "1,980".to_owned(),
                allotment: "1,000".to_owned(),
            }],
            ..Typed::new()
        }
    }

    #[test]
    fn a_plan_is_read_as_it_was_typed() {
        let words = Language::Japanese.words();
        let draft = typed().draft(words, MAX).unwrap();
        assert_eq!(draft.opens_at, "2026-12-01T01:00:00Z".parse().unwrap());
        assert_eq!((draft.items[0].price.amount(), draft.items[0].allotment.get()), (1_980, 1_000));
        assert_eq!(draft.terms.konbini.share_max, 0.3);
        // And typed again as it was read.
        let again = Typed::of(&draft, 1).draft(words, MAX).unwrap();
        assert_eq!(again, draft);
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let row = |sku: &str, price: &str, allotment: &str| TypedRow {
            sku: sku.to_owned(),
            price: price.to_owned(),
            allotment: allotment.to_owned(),
        };
        let bad = Typed {
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
        let findings = bad.draft(Language::English.words(), MAX).unwrap_err();
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
    fn an_empty_limit_is_none() {
        let plan = Typed { limit: String::new(), per_second: String::new(), ..typed() };
        let draft = plan.draft(Language::English.words(), MAX).unwrap();
        assert_eq!((draft.terms.limit_per_customer, draft.terms.admission.per_second), (None, None));
    }

    #[test]
    fn a_share_is_shown_in_per_cent() {
        assert_eq!([0.0, 0.3, 0.07, 0.125, 1.0].map(per_cent), ["0", "30", "7", "12.5", "100"]);
    }
}
