//! Verifies that a report is unchanged since it was signed: its rows, their chain, their sums, and the signature.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::VerifyingKey;

use super::sign::{self, ALGORITHM, ChainHash};
use super::{FORMAT, RowTotals, Settlement, SkuFigures, Summary, amount_of};
use crate::types::SaleId;

/// A report that is unchanged since it was signed.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    pub summary: Summary,
    /// The id of the key that signed it; a proof only where the owner of that key is known.
    pub key_id: String,
}

/// Why a report does not verify.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    #[error("this is not a settlement: {0}")]
    NotAReport(String),
    #[error("the settlement was changed after it was signed: {}", .0.join("; "))]
    DoesNotFit(Vec<String>),
}

/// The most problems listed: a report that was replaced as a whole has one for every row.
const PROBLEMS_MAX: usize = 20;

/// Recomputes the chain, the totals and the signature of a report's JSON.
///
/// Refuses with every mismatch (the first 20), naming the row.
pub fn verify(json: &str) -> Result<Verified, VerifyError> {
    let report: Settlement =
        serde_json::from_str(json).map_err(|error| VerifyError::NotAReport(error.to_string()))?;
    let Settlement { summary, signature, rows } = report;
    if summary.format != FORMAT {
        return Err(VerifyError::NotAReport(format!("its format is {:?}, not {FORMAT:?}", summary.format)));
    }
    let not_text = |error: serde_json::Error| VerifyError::NotAReport(error.to_string());
    let mut problems = Vec::new();

    let mut hash = ChainHash::first(summary.sale.id);
    let mut totals = RowTotals::default();
    let mut skus: Vec<SkuFigures> = summary.skus.iter().map(SkuFigures::without_orders).collect();
    let mut last_named = None;
    for (index, chained) in rows.iter().enumerate() {
        let row = &chained.row;
        let name = || format!("row {} (order {})", index + 1, row.order);
        let amount = amount_of(&row.lines);
        if amount.is_none() || totals.add(row, &mut skus).is_none() {
            problems.push(format!("{} makes sums that are more than can be counted", name()));
            return Err(VerifyError::DoesNotFit(problems));
        }
        let position = index as u64 + 1;
        if row.position != position {
            problems.push(format!("{} calls itself row {}", name(), row.position));
        }
        let next = hash.next(row).map_err(not_text)?;
        if next.text() == chained.hash {
            hash = next;
        } else {
            problems.push(format!(
                "{} does not have the hash of what it says after the row before it: it or its neighbours were changed, taken \
                 out or put in",
                name()
            ));
            // The next rows are checked against the hash that is written here, so that only changed rows are named.
            hash = ChainHash::from_text(&chained.hash).unwrap_or(next);
        }
        if let Some(amount) = amount.filter(|amount| *amount != row.amount) {
            problems.push(format!("{}: its lines cost {amount}, not {}", name(), row.amount));
        }
        last_named = Some(name());
        if problems.len() >= PROBLEMS_MAX {
            return Err(VerifyError::DoesNotFit(problems));
        }
    }
    if summary.rows != rows.len() as u64 {
        problems.push(format!("it has {} rows, and {} were signed", rows.len(), summary.rows));
    }
    if summary.head_hash != hash.text() {
        let last = last_named.unwrap_or_else(|| "the beginning".to_owned());
        problems.push(format!("the chain ends at {last} with another hash than the signed one"));
    }
    problems.extend(wrong_totals(&summary, &totals, &skus));
    problems.extend(wrong_signature(&summary, &signature).map_err(not_text)?);
    if problems.is_empty() {
        Ok(Verified { key_id: signature.key_id, summary })
    } else {
        problems.truncate(PROBLEMS_MAX);
        Err(VerifyError::DoesNotFit(problems))
    }
}

fn wrong_totals(summary: &Summary, totals: &RowTotals, skus: &[SkuFigures]) -> Vec<String> {
    let mut problems = Vec::new();
    let (said, are) = (&summary.totals, &totals.totals);
    for (name, said, is) in [
        ("accepted", said.accepted, are.accepted),
        ("paid", said.paid, are.paid),
        ("open", said.open, are.open),
        ("cancelled", said.cancelled, are.cancelled),
        ("expired", said.expired, are.expired),
        ("refunded", said.refunded, are.refunded),
    ] {
        if said != is {
            problems.push(format!(
                "the total {name} says {} orders, {} pieces, ¥{}; the rows make {}, {}, ¥{}",
                said.orders, said.pieces, said.amount, is.orders, is.pieces, is.amount
            ));
        }
    }
    for (said, is) in summary.skus.iter().zip(skus) {
        if said != is {
            problems.push(format!("the figures of {} are not what the rows make", said.sku));
        }
    }
    if summary.unexplained != totals.unexplained {
        let (said, are) = (summary.unexplained, totals.unexplained);
        problems.push(format!("it says that {said} rows are not explained, and {are} are not"));
    }
    if summary.lines_without_reservation != totals.lines_without_reservation {
        problems.push("the lines that it lists as without reservation are not those of the rows".to_owned());
    }
    if summary.findings != summary.found() {
        problems.push("what it finds against its figures is not what its figures say".to_owned());
    }
    if summary.is_clean != summary.adds_up() {
        problems.push(format!("it calls itself {}clean", if summary.is_clean { "" } else { "not " }));
    }
    problems
}

fn wrong_signature(
    summary: &Summary,
    signature: &super::Signature,
) -> Result<Option<String>, serde_json::Error> {
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let public = decode(&signature.public_key)
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
        .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
    let signed = decode(&signature.signature).and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
    let (Some(public), Some(signed)) = (public, signed) else {
        return Ok(Some("the signature or its key cannot be read".to_owned()));
    };
    if signature.algorithm != ALGORITHM || signature.key_id != sign::key_id(&public) {
        return Ok(Some("the signature's algorithm or key id is not that of its key".to_owned()));
    }
    let text = sign::signed_text(summary)?;
    let signed = ed25519_dalek::Signature::from_bytes(&signed);
    let holds = public.verify_strict(text.as_bytes(), &signed).is_ok();
    Ok((!holds).then(|| "the signature does not hold for the summary".to_owned()))
}

impl Verified {
    pub fn sale(&self) -> SaleId {
        self.summary.sale.id
    }
}
