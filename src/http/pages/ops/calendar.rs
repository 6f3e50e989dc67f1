//! The calendar of sales: a month in weeks, and on each day the sales that run on it.

use jiff::civil::Date;

use super::ROOT;
use super::sale_list::SaleLine;
use super::translations::OpsTexts;
use crate::actors::sales::{Sale, SaleStatus};
use crate::http::pages::kit::jst;

pub struct Calendar {
    pub title: String,
    /// Links to the months before and after.
    pub before: String,
    pub after: String,
    pub weeks: Vec<Vec<Day>>,
}

pub struct Day {
    pub number: i8,
    pub date: String,
    pub is_of_month: bool,
    pub is_today: bool,
    pub sales: Vec<SaleLine>,
}

impl Calendar {
    /// The month that begins with `first`.
    pub fn of(texts: &OpsTexts, sales: &[Sale], first: Date, today: Date) -> Self {
        let month = jiff::Span::new().months(1);
        let link = |date: Date| format!("{ROOT}?month={}", date.strftime("%Y-%m"));
        let day = |date: Date| Day {
            number: date.day(),
            date: date.to_string(),
            is_of_month: date.month() == first.month(),
            is_today: date == today,
            sales: sales
                .iter()
                .filter(|sale| runs_on(sale, date))
                .map(|sale| SaleLine::of(texts, sale))
                .collect(),
        };
        Self {
            title: first.strftime("%Y-%m").to_string(),
            before: link(first.saturating_sub(month)),
            after: link(first.saturating_add(month)),
            weeks: jst::weeks(first).into_iter().map(|week| week.into_iter().map(day).collect()).collect(),
        }
    }
}

fn runs_on(sale: &Sale, date: Date) -> bool {
    let draft = &sale.draft;
    // A sale that ends at midnight does not run on the day that begins then.
    let last =
        draft.closes_at.saturating_sub(jiff::SignedDuration::from_millis(1)).unwrap_or(draft.closes_at);
    sale.status != SaleStatus::Cancelled && (jst::date(draft.opens_at)..=jst::date(last)).contains(&date)
}
