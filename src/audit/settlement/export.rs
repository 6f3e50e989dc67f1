//! Writes a settlement as JSON, which is the signed form, and as CSV for spreadsheets.

use std::io::{self, Write};

use super::{ChainedRow, Line, Row, Settlement};

/// Begins with a byte order mark, which tells spreadsheets that this is UTF-8.
const CSV_HEAD: &str = "\u{feff}row,order,number,customer,placed_at,lines,amount,status,payment_method,payment_status,\
                        reservation,explained,reason,hash\r\n";

impl Settlement {
    /// Writes the signed form, one row per line.
    pub fn write_json(&self, mut to: impl Write) -> io::Result<()> {
        to.write_all(b"{\"summary\":")?;
        serde_json::to_writer(&mut to, &self.summary)?;
        to.write_all(b",\n\"signature\":")?;
        serde_json::to_writer(&mut to, &self.signature)?;
        to.write_all(b",\n\"rows\":[")?;
        for (index, chained) in self.rows.iter().enumerate() {
            to.write_all(if index == 0 { b"\n" } else { b",\n" })?;
            serde_json::to_writer(&mut to, chained)?;
        }
        to.write_all(b"\n]}\n")
    }

    /// Writes RFC 4180 with a header line.
    pub fn write_csv(&self, mut to: impl Write) -> io::Result<()> {
        to.write_all(CSV_HEAD.as_bytes())?;
        for ChainedRow { row, hash } in &self.rows {
            let Row {
                position,
                order,
                number,
                customer,
                placed_at,
                lines,
                amount,
                status,
                payment_method,
                payment_status,
                explained,
                reason,
            } = row;
            let [lines, reservation, reason] =
                [in_words(lines), states(lines), reason.clone()].map(|field| quoted(&field));
            let yes_or_no = if *explained { "yes" } else { "no" };
            write!(
                to,
                "{position},{order},{number},{customer},{placed_at},{lines},{amount},{status},{payment_method},\
                 {payment_status},{reservation},{yes_or_no},{reason},{hash}\r\n"
            )?;
        }
        Ok(())
    }
}

/// `2 × LAMP at 500; 1 × CHAIR at 900`
pub(super) fn in_words(lines: &[Line]) -> String {
    let line = |line: &Line| format!("{} × {} at {}", line.quantity, line.sku, line.unit_price);
    lines.iter().map(line).collect::<Vec<_>>().join("; ")
}

/// The states of the lines' reservations, without repetition.
pub(super) fn states(lines: &[Line]) -> String {
    let mut states: Vec<&str> =
        lines.iter().map(|line| line.reservation.as_deref().unwrap_or("none")).collect();
    states.dedup();
    states.join("; ")
}

fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}
