//! A changed settlement does not verify, and the problem names the place of the change.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::queue::AdmissionRecord;
use super::sign::{ChainHash, ReportKey, signed_text};
use super::*;
use crate::actors::waiting_room::{ClosedEntries, Seed, TicketNumber};
use crate::types::CustomerId;

/// Four tickets were drawn and two came later; all but the last one were admitted, in three rounds.
fn queue(sale: SaleId, seed: &Seed, change: impl FnOnce(&mut Vec<(TicketNumber, AdmissionRecord)>)) -> Queue {
    let number = |number| TicketNumber::new(number).unwrap();
    let entries = (1..=4).map(|it| (number(it), CustomerId::generate())).collect();
    let at = |second: i64| Timestamp::from_second(1_785_600_000 + second).unwrap();
    let draw = ClosedEntries { sale, tickets: 4, entries }.draw(seed, at(0));
    let stood = draw.order.iter().copied().chain([number(5), number(6)]);
    let mut entries: Vec<_> = stood
        .zip(
            [1, 1, 2, 2, 3]
                .map(|second| AdmissionRecord::At(at(second)))
                .into_iter()
                .chain([AdmissionRecord::Never]),
        )
        .collect();
    change(&mut entries);
    entries.sort_unstable();
    let states = vec![QueueState { state: "admitted".to_owned(), entries: 5 }];
    Queue::new(states, Some(draw), true, &entries)
}

#[test]
fn a_ticket_admitted_out_of_turn_is_found() {
    let (settlement, seed) = (settlement(), Seed::from_bytes([3; 32]));
    let plan = &settlement.summary.sale;
    let found =
        |change: fn(&mut Vec<(TicketNumber, AdmissionRecord)>)| queue(plan.id, &seed, change).findings(plan);
    assert_eq!(found(|_| {}), [""; 0]);
    let swapped = found(|entries| (entries[0].1, entries[2].1) = (entries[2].1, entries[0].1));
    assert_eq!(swapped.len(), 2, "{swapped:?}");
    assert!(swapped.iter().all(|finding| finding.contains("in front of it at")), "{swapped:?}");
    let passed_over = found(|entries| entries[3].1 = AdmissionRecord::Never);
    assert!(
        passed_over.len() == 1 && passed_over[0].starts_with("ticket 5 was let in, and ticket"),
        "{passed_over:?}"
    );
    let hurried = found(|entries| entries[5].1 = entries[0].1);
    assert!(hurried.len() == 1 && hurried[0].starts_with("ticket 6 was let in at"), "{hurried:?}");
    // A ticket that ordered was admitted, although its admission is not recorded.
    assert_eq!(found(|entries| entries[3].1 = AdmissionRecord::NotRecorded), [""; 0]);
    let with = |change: fn(&mut Queue)| {
        let mut queue = queue(plan.id, &seed, |_| {});
        change(&mut queue);
        queue.findings(plan)
    };
    assert!(with(|queue| queue.entries_fit = false)[0].contains("not those whom the draw was about"));
    assert!(with(|queue| queue.draw.as_mut().unwrap().order.swap(0, 1))[0].contains("not fair"));
    assert!(with(|queue| queue.draw = None)[0].contains("never drawn"));
    let other = SalePlan { commitment: "00".repeat(32), ..plan.clone() };
    assert!(settlement.summary.queue.findings(&other)[0].contains("another seed"));
}

/// Three orders of a sale of ten lamps: one paid, one open, one cancelled.
fn settlement() -> Settlement {
    settled_of(3, &ReportKey::from_seed(7))
}

fn settled_of(orders: u64, key: &ReportKey) -> Settlement {
    let sale = SaleId::generate();
    let seed = Seed::from_bytes([3; 32]);
    let mut skus = vec![SkuFigures {
        sku: "LAMP".to_owned(),
        price: 500,
        planned: 10,
        allotment: 10,
        sold: 0,
        held: 0,
        returned: 0,
        remaining: 0,
        on_the_way: 0,
        accepted: 0,
        paid: 0,
        open: 0,
        cancelled: 0,
        expired: 0,
        refunded: 0,
    }];
    let (mut totals, mut hash, mut rows) = (RowTotals::default(), ChainHash::first(sale), Vec::new());
    for position in 1..=orders {
        let (status, payment_status, reservation, reason) = match position % 3 {
            1 => ("confirmed", "captured", "committed", "paid, and its pieces are sold"),
            2 => ("awaiting_payment", "pending", "held", "its pieces are held for the payment"),
            _ => ("cancelled", "refunded", "released", "paid, cancelled and refunded; its pieces came back"),
        };
        let order = OrderId::generate();
        let line = Line {
            sku: "LAMP".to_owned(),
            quantity: 1,
            unit_price: 500,
            reservation: Some(reservation.to_owned()),
        };
        let row = Row {
            position,
            order,
            number: crate::actors::orders::OrderNumber::from(order).to_string(),
            customer: pseudonym(sale, &position.to_string()),
            placed_at: Timestamp::from_second(1_785_600_000).unwrap(),
            lines: vec![line],
            amount: 500,
            status: status.to_owned(),
            payment_method: "card".to_owned(),
            payment_status: payment_status.to_owned(),
            explained: true,
            reason: reason.to_owned(),
        };
        totals.add(&row, &mut skus).unwrap();
        hash = hash.next(&row).unwrap();
        rows.push(ChainedRow { row, hash: hash.text() });
    }
    let figures = &mut skus[0];
    (figures.sold, figures.held) = (figures.paid, figures.open);
    figures.allotment = figures.sold + figures.held + 7;
    figures.remaining = 7;
    let at = |second| Timestamp::from_second(second).unwrap();
    let mut summary = Summary {
        format: FORMAT.to_owned(),
        made_at: at(1_785_700_000),
        sale: SalePlan {
            id: sale,
            name: "Midnight <b>夜</b>".to_owned(),
            status: "closed".to_owned(),
            opens_at: at(1_785_600_000),
            closes_at: at(1_785_610_000),
            created_at: at(1_785_500_000),
            limit_per_customer: Some(2),
            hold_seconds_card: 600,
            hold_seconds_konbini: 3_600,
            konbini_allowed: true,
            konbini_share_max: "0.3".to_owned(),
            admission: "none".to_owned(),
            admitted_per_second: None,
            commitment: seed.commitment().to_string(),
        },
        history: vec![HistoryLine {
            at: at(1_785_500_000),
            action: "create".to_owned(),
            sku: None,
            actor: None,
            proposed_by: None,
            reason: "planned".to_owned(),
            before: "{}".to_owned(),
            after: r#"{"share": 0.30000000000000004}"#.to_owned(),
        }],
        skus,
        totals: totals.totals,
        reservations_without_order: Vec::new(),
        lines_without_reservation: Vec::new(),
        limit_breaches: Vec::new(),
        queue: queue(sale, &seed, |_| {}),
        unexplained: totals.unexplained,
        findings: Vec::new(),
        is_clean: true,
        rows: orders,
        head_hash: hash.text(),
    };
    summary.is_clean = summary.adds_up();
    Settlement { signature: key.sign(&signed_text(&summary).unwrap()), summary, rows }
}

fn json_of(settlement: &Settlement) -> String {
    let mut json = Vec::new();
    settlement.write_json(&mut json).unwrap();
    String::from_utf8(json).unwrap()
}

/// The problems that verification finds in a changed report.
fn problems(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut report: Value = serde_json::from_str(&json_of(&settlement())).unwrap();
    change(&mut report);
    match verify(&report.to_string()) {
        Err(VerifyError::DoesNotFit(problems)) => problems,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unchanged_report_is_verified() {
    let settlement = settlement();
    let json = json_of(&settlement);
    let verified = verify(&json).unwrap();
    assert_eq!(verified.summary, settlement.summary);
    assert_eq!(verified.key_id, ReportKey::from_seed(7).id());
    assert_eq!(verified.sale(), settlement.summary.sale.id);
    // White space is not signed.
    let report: Settlement = serde_json::from_str(&json).unwrap();
    assert_eq!(report, settlement);
    assert!(verify(&serde_json::to_string_pretty(&report).unwrap()).is_ok());
    assert!(verify(&json_of(&settled_of(0, &ReportKey::from_seed(7)))).is_ok());
}

#[test]
fn a_change_of_any_member_of_any_row_is_found() {
    let report: Value = serde_json::from_str(&json_of(&settlement())).unwrap();
    for row in 0..3 {
        let members: Vec<String> = report["rows"][row]["row"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(members.len(), 12);
        for member in members {
            let said = problems(|report| match &mut report["rows"][row]["row"][&member] {
                Value::Number(number) => {
                    let other = number.as_i64().unwrap() + 1;
                    report["rows"][row]["row"][&member] = json!(other);
                }
                Value::Bool(is) => *is = !*is,
                Value::Array(lines) => lines[0]["reservation"] = json!(null),
                text if member == "order" => *text = json!(OrderId::generate()),
                text if member == "placed_at" => *text = json!("2026-08-01T00:00:00Z"),
                text => *text = json!("another"),
            });
            let named = format!("row {} (order ", row + 1);
            assert!(said.iter().any(|problem| problem.starts_with(&named)), "{member}: {said:?}");
            // Only the changed row is named.
            for other in (0..3).filter(|other| *other != row) {
                let named = format!("row {} ", other + 1);
                assert!(!said.iter().any(|problem| problem.starts_with(&named)), "{member}: {said:?}");
            }
        }
        let said = problems(|report| report["rows"][row]["hash"] = json!("0".repeat(64)));
        assert!(said[0].starts_with(&format!("row {} ", row + 1)), "{said:?}");
    }
}

#[test]
fn a_removed_inserted_or_moved_row_is_found() {
    let said = problems(|report| drop(report["rows"].as_array_mut().unwrap().remove(1)));
    assert!(said.iter().any(|problem| problem.starts_with("row 2 ")), "{said:?}");
    assert!(said.contains(&"it has 2 rows, and 3 were signed".to_owned()), "{said:?}");
    let said = problems(|report| drop(report["rows"].as_array_mut().unwrap().pop()));
    assert!(said.iter().any(|problem| problem.starts_with("the chain ends at row 2 ")), "{said:?}");
    let said = problems(|report| report["rows"].as_array_mut().unwrap().swap(0, 1));
    assert!(said.iter().any(|problem| problem.starts_with("row 1 ")), "{said:?}");
    let said = problems(|report| {
        let copy = report["rows"][2].clone();
        report["rows"].as_array_mut().unwrap().push(copy);
    });
    assert!(said.iter().any(|problem| problem.starts_with("row 4 ")), "{said:?}");
}

#[test]
fn a_recomputed_chain_does_not_end_at_the_signed_hash() {
    let mut report = settlement();
    report.rows[0].row.customer = "0123456789ab".to_owned();
    let mut hash = ChainHash::first(report.summary.sale.id);
    for chained in &mut report.rows {
        hash = hash.next(&chained.row).unwrap();
        chained.hash = hash.text();
    }
    let Err(VerifyError::DoesNotFit(said)) = verify(&json_of(&report)) else { panic!() };
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with("the chain ends at row 3 "), "{said:?}");
    // With the new hash in the summary, the signature does not hold.
    report.summary.head_hash = hash.text();
    let Err(VerifyError::DoesNotFit(said)) = verify(&json_of(&report)) else { panic!() };
    assert_eq!(said, ["the signature does not hold for the summary"]);
}

#[test]
fn a_changed_total_is_found() {
    for name in ["accepted", "paid", "open", "cancelled", "expired", "refunded"] {
        for figure in ["orders", "pieces", "amount"] {
            let said = problems(|report| report["summary"]["totals"][name][figure] = json!(99));
            assert!(said[0].starts_with(&format!("the total {name} ")), "{said:?}");
        }
    }
    for figure in ["accepted", "paid", "open", "cancelled", "expired", "refunded"] {
        let said = problems(|report| report["summary"]["skus"][0][figure] = json!(99));
        assert!(said[0].contains("LAMP"), "{said:?}");
    }
    let said = problems(|report| report["summary"]["unexplained"] = json!(1));
    assert!(said[0].contains("1 rows are not explained"), "{said:?}");
    let said = problems(|report| report["summary"]["is_clean"] = json!(false));
    assert!(said[0].contains("not clean"), "{said:?}");
}

/// The paths of all scalar values.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| leaves(value, &format!("{path}/{name}"), found));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, value)| leaves(value, &format!("{path}/{index}"), found));
        }
        _ => found.push(path.to_owned()),
    }
}

/// A value to write over another one.
fn anything() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(|number| json!(number)),
        prop_oneof![Just(i64::MAX), Just(i64::MIN), Just(0), Just(-1)].prop_map(|number| json!(number)),
        any::<u64>().prop_map(|number| json!(number)),
        any::<bool>().prop_map(|is| json!(is)),
        ".{0,40}".prop_map(|text| json!(text)),
        "[0-9a-f]{64}".prop_map(|text| json!(text)),
        "(confirmed|cancelled|expired|captured|refunded|released|committed|LAMP)"
            .prop_map(|text| json!(text)),
        (0_i64..4_000_000_000).prop_map(|second| json!(Timestamp::from_second(second).unwrap())),
        any::<u128>().prop_map(|id| json!(uuid::Uuid::from_u128(id))),
        Just(Value::Null),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn any_change_of_a_report_is_found(
        at in any::<prop::sample::Index>(),
        others in prop::collection::vec((any::<prop::sample::Index>(), anything()), 0..3),
        other in anything(),
    ) {
        let mut report: Value = serde_json::from_str(&json_of(&settlement())).unwrap();
        let before = report.clone();
        let mut paths = Vec::new();
        leaves(&report, "", &mut paths);
        for (at, other) in others.into_iter().chain([(at, other)]) {
            let path: &String = at.get(&paths);
            *report.pointer_mut(path).unwrap() = other;
        }
        prop_assume!(report != before);
        prop_assert!(verify(&report.to_string()).is_err(), "{report}");
    }
}

#[test]
fn sums_that_overflow_are_reported() {
    for (line, amount) in [
        (json!({"quantity": i64::MAX, "unit_price": 2}), 0),
        (json!({"quantity": i64::MIN, "unit_price": -1}), 0),
        (json!({"quantity": 1, "unit_price": i64::MAX}), i64::MAX),
    ] {
        let said = problems(|report| {
            for row in report["rows"].as_array_mut().unwrap() {
                row["row"]["lines"][0]["quantity"] = line["quantity"].clone();
                row["row"]["lines"][0]["unit_price"] = line["unit_price"].clone();
                row["row"]["amount"] = json!(amount);
            }
        });
        assert!(said.last().unwrap().contains("more than can be counted"), "{said:?}");
    }
    let said = problems(|report| {
        for figure in ["sold", "held", "returned", "remaining"] {
            report["summary"]["skus"][0][figure] = json!(i64::MAX);
        }
    });
    assert!(said.contains(&"the signature does not hold for the summary".to_owned()), "{said:?}");
}

#[test]
fn everything_in_the_summary_is_signed() {
    let report: Value = serde_json::from_str(&json_of(&settlement())).unwrap();
    let mut paths = Vec::new();
    leaves(&report["summary"], "/summary", &mut paths);
    assert!(paths.len() > 60, "{paths:?}");
    for path in paths.iter().filter(|path| !path.ends_with("/format")) {
        let said = problems(|report| {
            let leaf = report.pointer_mut(path).unwrap();
            *leaf = match &*leaf {
                Value::Bool(is) => json!(!is),
                Value::Number(number) => json!(number.as_i64().unwrap() + 1),
                Value::Null if path.ends_with("per_second") => json!(1),
                Value::String(text) if text.parse::<Timestamp>().is_ok() => json!("2026-01-01T00:00:00Z"),
                Value::String(text) if text.parse::<SaleId>().is_ok() => json!(SaleId::generate()),
                Value::String(text) if text.len() == 64 => json!("ab".repeat(32)),
                _ => json!("another"),
            };
        });
        let not_signed = "the signature does not hold for the summary".to_owned();
        assert!(said.contains(&not_signed), "{path}: {said:?}");
    }
}

#[test]
fn a_signature_that_was_changed_does_not_hold() {
    for (member, other) in [
        ("algorithm", json!("none")),
        ("key_id", json!(ReportKey::from_seed(8).id())),
        ("public_key", json!("AAAA")),
        ("public_key", json!(settled_of(1, &ReportKey::from_seed(8)).signature.public_key)),
        ("signature", json!(settlement().signature.signature.replace(|c: char| c.is_ascii_digit(), "A"))),
        ("signature", json!("")),
    ] {
        let said = problems(|report| report["signature"][member] = other.clone());
        assert!(said.iter().any(|problem| problem.contains("signature")), "{member}: {said:?}");
    }
}

#[test]
fn what_has_more_in_it_than_was_signed_is_not_a_report() {
    for path in ["", "/summary", "/signature", "/rows/0", "/rows/0/row", "/rows/0/row/lines/0"] {
        let mut report: Value = serde_json::from_str(&json_of(&settlement())).unwrap();
        report.pointer_mut(path).unwrap()["note"] = json!("added");
        assert!(matches!(verify(&report.to_string()), Err(VerifyError::NotAReport(_))), "{path}");
    }
    assert!(matches!(verify("[]"), Err(VerifyError::NotAReport(_))));
    let mut report = settlement();
    report.summary.format = "shobai settlement 1".to_owned();
    assert!(matches!(verify(&json_of(&report)), Err(VerifyError::NotAReport(_))));
}

#[test]
fn the_same_customer_has_another_name_in_another_sale() {
    let (one, other) = (SaleId::generate(), SaleId::generate());
    let name = pseudonym(one, "hanako");
    assert_eq!(name, pseudonym(one, "hanako"));
    assert_ne!(name, pseudonym(other, "hanako"));
    assert!(name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_hexdigit()));
}

#[test]
fn every_row_is_in_the_csv_with_its_hash() {
    let settlement = settlement();
    let mut csv = Vec::new();
    settlement.write_csv(&mut csv).unwrap();
    let csv = String::from_utf8(csv).unwrap();
    let lines: Vec<&str> = csv.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[0].starts_with("\u{feff}row,order,number,"));
    for (line, chained) in lines[1..].iter().zip(&settlement.rows) {
        assert!(line.starts_with(&format!("{},{},", chained.row.position, chained.row.order)), "{line}");
        assert!(line.ends_with(&chained.hash) && line.contains("1 × LAMP at 500"), "{line}");
    }
    assert!(lines[1].contains(r#""paid, and its pieces are sold""#), "{}", lines[1]);
}

#[test]
fn the_page_has_no_script_and_shows_japans_time() {
    let page = settlement().to_html().unwrap();
    assert!(!page.contains("<script") && !page.contains("<b>夜"), "{page}");
    assert!(page.contains("Midnight &#60;b&#62;夜&#60;/b&#62;"), "{page}");
    // 1,785,600,000 s after 1970.
    assert!(page.contains("2026-08-01 16:00:00 UTC (2026-08-02 01:00:00 JST)"), "{page}");
    assert!(page.contains("Everything adds up."));
}

#[test]
#[ignore = "a measurement"]
fn two_hundred_thousand_orders_take_a_few_hundred_megabytes() {
    let peak = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    let began = std::time::Instant::now();
    let settlement = settled_of(200_000, &ReportKey::from_seed(7));
    println!("made: {:?}, {} MB at most", began.elapsed(), peak());
    let json = json_of(&settlement);
    println!("written: {:?}, {} MB of JSON, {} MB at most", began.elapsed(), json.len() >> 20, peak());
    drop(settlement);
    assert!(verify(&json).is_ok());
    println!("verified: {:?}, {} MB at most", began.elapsed(), peak());
    assert!(peak() < 600);
}
