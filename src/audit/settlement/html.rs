//! A settlement as one printable page without scripts or external resources.

use askama::Template;
use jiff::Timestamp;
use jiff::tz::{self, TimeZone};

use super::export::{in_words, states};
use super::{ChainedRow, Settlement, Signature, Summary, Tally};

/// The most rows on the page; the JSON and the CSV have all of them.
const ROWS_SHOWN: usize = 1_000;
/// The most unexplained rows, and the most orphans, on the page.
const EXAMPLES_SHOWN: usize = 200;

#[derive(Template)]
#[template(path = "sale-report/report.html")]
struct Page<'a> {
    summary: &'a Summary,
    signature: &'a Signature,
    totals: Vec<(&'static str, Tally)>,
    unexplained: Vec<&'a ChainedRow>,
    rows: &'a [ChainedRow],
}

impl Settlement {
    /// HTML without scripts; of a large sale the first 1,000 orders, and up to 200 of those that are not explained.
    pub fn to_html(&self) -> Result<String, std::fmt::Error> {
        let totals = &self.summary.totals;
        let page = Page {
            summary: &self.summary,
            signature: &self.signature,
            totals: vec![
                ("accepted", totals.accepted),
                ("paid", totals.paid),
                ("open", totals.open),
                ("cancelled", totals.cancelled),
                ("expired", totals.expired),
                ("refunded", totals.refunded),
            ],
            unexplained: self
                .rows
                .iter()
                .filter(|chained| !chained.row.explained)
                .take(EXAMPLES_SHOWN)
                .collect(),
            rows: &self.rows[..self.rows.len().min(ROWS_SHOWN)],
        };
        page.render().map_err(|_| std::fmt::Error)
    }
}

impl Page<'_> {
    /// `2026-08-01 12:00:00 UTC (21:00:00 JST)`; with the date in Japan where it differs.
    fn time(&self, time: &Timestamp) -> String {
        let utc = time.to_zoned(TimeZone::UTC);
        // Japan has no daylight saving time.
        let japan = time.to_zoned(TimeZone::fixed(tz::offset(9)));
        let form = if utc.date() == japan.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
        format!("{} UTC ({} JST)", utc.strftime("%Y-%m-%d %H:%M:%S"), japan.strftime(form))
    }

    /// Groups the digits with commas.
    fn number(&self, number: &i64) -> String {
        let digits = number.unsigned_abs().to_string();
        let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
        if *number < 0 {
            text.push('−');
        }
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        text
    }

    fn lines(&self, chained: &ChainedRow) -> String {
        in_words(&chained.row.lines)
    }

    fn reservation(&self, chained: &ChainedRow) -> String {
        states(&chained.row.lines)
    }
}
