//! The settlement of a sale: what people did in it through the API is what it says, and a file of it can be verified.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use shobai::actors::sales::Action;
use shobai::audit::{AuditError, GetSettlement, Settlement, Tally, verify};
use shobai::types::SaleId;

use crate::sale_audit::{an_open_sale, move_sale};
use crate::support::{TestEngine, eventually};

async fn settlement(engine: &TestEngine, sale: SaleId) -> Arc<Settlement> {
    engine.engine.domains.audit.ports.get_settlement.ask(GetSettlement { sale }).await.unwrap()
}

/// As soon as every order's stock has followed it.
async fn clean_settlement(engine: &TestEngine, sale: SaleId, paid: i64) -> Arc<Settlement> {
    eventually("a settlement without anything on its way", async || {
        let settlement = settlement(engine, sale).await;
        let is_at_rest = settlement.summary.skus.iter().map(|sku| sku.sold).sum::<i64>() == paid;
        (is_at_rest && settlement.summary.is_clean).then_some(settlement)
    })
    .await
}

fn json_of(settlement: &Settlement) -> String {
    let mut json = Vec::new();
    settlement.write_json(&mut json).unwrap();
    String::from_utf8(json).unwrap()
}

const fn tally(orders: i64, pieces: i64) -> Tally {
    Tally { orders, pieces, amount: pieces * 900 }
}

#[actix::test]
async fn the_settlement_reports_what_customers_did_in_the_sale() {
    let engine = TestEngine::start().await;
    let skus = [engine.sells("LAMP", 50).await, engine.sells("CHAIR", 50).await];
    let sale = an_open_sale(&engine, &skus, 10).await;

    let hanako = engine.customer().await;
    hanako.orders_by_card("LAMP", 2).await.expect(201);
    let taro = engine.customer().await;
    let open = taro.orders("CHAIR", 1).await.expect(201).id().to_owned();
    let refunded = engine.customer().await;
    let order = refunded.orders_by_card("CHAIR", 2).await.expect(201).id().to_owned();
    refunded.cancels(&order).await.expect(200);
    let gone = engine.customer().await;
    let order = gone.orders("LAMP", 1).await.expect(201).id().to_owned();
    gone.cancels(&order).await.expect(200);
    // Refused, and so no order.
    hanako.orders_by_card("LAMP", 1).await.expect_problem(409, "limit-reached");
    move_sale(&engine, sale, Action::Close).await;

    let settled = clean_settlement(&engine, sale, 2).await;

    let summary = &settled.summary;
    assert_eq!(summary.totals.accepted, tally(4, 6));
    assert_eq!(summary.totals.paid, tally(1, 2));
    assert_eq!(summary.totals.open, tally(1, 1));
    assert_eq!(summary.totals.cancelled, tally(2, 3));
    assert_eq!(summary.totals.refunded, tally(1, 2));
    assert_eq!(summary.totals.expired, tally(0, 0));
    let [lamp, chair] = summary.skus.as_slice() else { panic!("{summary:?}") };
    assert_eq!((lamp.allotment, lamp.sold, lamp.held, lamp.returned, lamp.remaining), (10, 2, 0, 8, 0));
    assert_eq!((lamp.accepted, lamp.paid, lamp.cancelled, lamp.refunded), (3, 2, 1, 0));
    assert_eq!((chair.allotment, chair.sold, chair.held, chair.returned, chair.remaining), (10, 0, 1, 9, 0));
    assert_eq!((chair.accepted, chair.open, chair.cancelled, chair.refunded), (3, 1, 2, 2));
    let actions: Vec<&str> = summary.history.iter().map(|line| line.action.as_str()).collect();
    assert_eq!(actions, ["create", "schedule", "arm", "open", "close"]);
    assert_eq!(summary.sale.status, "closed");

    assert_eq!(settled.rows.len(), 4);
    let me = hanako.get("/v1/users/me").await.expect(200);
    let json = json_of(&settled);
    for personal in [me.id(), me.body["email"].as_str().unwrap(), "090-1234-5678"] {
        assert!(!json.contains(personal), "{personal}");
    }
    let row = &settled.rows[1].row;
    assert_eq!((row.order.to_string(), row.reason.as_str()), (open, "its pieces are held for the payment"));
    assert_eq!(row.number, taro.order(&row.order.to_string()).await.expect(200).body["number"]);

    let verified = verify(&json).unwrap();
    assert_eq!(verified.summary, *summary);
    assert!(verify(&json.replacen("\"quantity\":2", "\"quantity\":3", 1)).is_err());
    assert!(settled.to_html().unwrap().contains("Everything adds up."));

    // It is signed with the same key after a restart.
    let engine = engine.restart().await;
    let again = settlement(&engine, sale).await;
    assert_eq!((&again.signature.key_id, &again.rows), (&settled.signature.key_id, &settled.rows));
    engine.stop().await;
}

#[actix::test]
async fn the_settlement_does_not_explain_manual_changes() {
    for (hand, reason) in [
        ("delete from inventory.reservations where state = 'held'", "nothing was set aside"),
        ("update inventory.reservations set state = 'released' where state = 'held'", "released"),
        ("update inventory.reservations set quantity = 2 where state = 'held'", "2 set aside"),
        ("update orders.order_lines set unit_price = 1", "¥1"),
        ("update orders.orders set payment_status = 'captured'", "its payment is captured"),
        ("delete from orders.order_lines", "no line"),
    ] {
        let engine = TestEngine::start_with(|config| config.orders.reconcile_every_ms = 60_000).await;
        let lamp = engine.sells("LAMP", 50).await;
        let sale = an_open_sale(&engine, &[lamp], 10).await;
        engine.customer().await.orders("LAMP", 1).await.expect(201);
        assert!(settlement(&engine, sale).await.summary.is_clean);

        engine.by_hand(hand).await;

        let settled = settlement(&engine, sale).await;
        assert_eq!((settled.summary.unexplained, settled.summary.is_clean), (1, false), "{hand}");
        let row = &settled.rows[0].row;
        assert!(!row.explained && row.reason.contains(reason), "{} for {hand}", row.reason);
        // It tells the truth, and so it can be verified.
        assert!(verify(&json_of(&settled)).is_ok(), "{hand}");
        engine.stop().await;
    }
}

#[actix::test]
async fn the_settlement_lists_orphans_and_broken_limits() {
    let engine = TestEngine::start_with(|config| config.orders.reconcile_every_ms = 60_000).await;
    let lamp = engine.sells("LAMP", 50).await;
    let sale = an_open_sale(&engine, &[lamp], 10).await;
    let hanako = engine.customer().await;
    hanako.orders("LAMP", 2).await.expect(201);
    let orphaned = engine.customer().await.orders_by_card("LAMP", 1).await.expect(201).id().to_owned();
    engine.by_hand(&format!("delete from orders.order_lines where order_id = '{orphaned}'")).await;
    let me = hanako.get("/v1/users/me").await.expect(200).id().to_owned();
    engine
        .by_hand(&format!(
            "update inventory.reservations set quantity = 3 where claimants @> array['customer:{me}']"
        ))
        .await;

    let settled = settlement(&engine, sale).await;

    let summary = &settled.summary;
    let orphans: Vec<_> =
        summary.reservations_without_order.iter().map(|orphan| orphan.order.to_string()).collect();
    assert_eq!(orphans, [orphaned]);
    let account = summary.limit_breaches.iter().find(|breach| breach.kind == "customer").unwrap();
    assert_eq!((account.pieces, account.limit), (3, 2));
    assert_eq!(account.claimant, settled.rows[0].row.customer);
    assert!(!summary.is_clean && !summary.findings.is_empty());
    engine.stop().await;
}

#[actix::test]
async fn the_settlement_counts_pieces_of_an_order_that_is_being_placed_as_in_flight() {
    let engine = TestEngine::start_with(|config| config.orders.reconcile_every_ms = 60_000).await;
    let lamp = engine.sells("LAMP", 50).await;
    let sale = an_open_sale(&engine, &[lamp], 10).await;
    let order = engine.customer().await.orders("LAMP", 1).await.expect(201).id().to_owned();
    // As between the two commits of an order.
    for table in ["orders.order_history", "orders.order_lines", "orders.orders"] {
        let column = if table == "orders.orders" { "id" } else { "order_id" };
        engine.by_hand(&format!("delete from {table} where {column} = '{order}'")).await;
    }

    let settled = settlement(&engine, sale).await;

    let summary = &settled.summary;
    assert_eq!((summary.skus[0].held, summary.skus[0].on_the_way, summary.skus[0].accepted), (1, 1, 0));
    assert!(summary.is_clean && settled.rows.is_empty(), "{summary:?}");
    assert!(verify(&json_of(&settled)).is_ok());

    // One that has had its time to appear is an orphan.
    let old = "019b0000-0000-7000-8000-000000000000";
    engine.by_hand(&format!("update inventory.reservations set id = '{old}' where id = '{order}'")).await;
    let settled = settlement(&engine, sale).await;
    let summary = &settled.summary;
    let [orphan] = summary.reservations_without_order.as_slice() else { panic!("{summary:?}") };
    assert_eq!((orphan.order.to_string().as_str(), orphan.pieces, orphan.state.as_str()), (old, 1, "held"));
    assert_eq!(summary.skus[0].on_the_way, 0);
    assert!(!summary.is_clean && !summary.findings.is_empty(), "{summary:?}");
    engine.stop().await;
}

#[actix::test]
async fn a_sale_that_does_not_exist_has_no_settlement() {
    let engine = TestEngine::start().await;
    let sale = SaleId::generate();
    let asked = engine.engine.domains.audit.ports.get_settlement.ask(GetSettlement { sale }).await;
    assert!(matches!(asked, Err(AuditError::UnknownSale(unknown)) if unknown == sale));
    engine.stop().await;
}

/// Runs the real binary on a file, without an engine or a database.
async fn verified(data_dir: &Path, file: &Path, key: Option<&Path>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shobai"));
    if let Some(key) = key {
        command.args(["sale", "verify-report", "--key"]).arg(key).arg(file);
    } else {
        command.args(["sale", "verify-report"]).arg(file);
    }
    command.current_dir(data_dir).env_clear();
    command.env("SHOBAI_STORAGE__DATA_DIR", data_dir);
    tokio::task::spawn_blocking(move || command.output().expect("the binary")).await.expect("its end")
}

#[actix::test]
async fn the_command_verifies_a_report_or_says_what_does_not_match() {
    let engine = TestEngine::start().await;
    let lamp = engine.sells("LAMP", 50).await;
    let sale = an_open_sale(&engine, &[lamp], 10).await;
    engine.customer().await.orders("LAMP", 1).await.expect(201);
    let settled = settlement(&engine, sale).await;
    let data_dir = engine.config.storage.data_dir.clone();
    let file = data_dir.join("report.json");
    let json = json_of(&settled);
    let said = |run: &Output| String::from_utf8_lossy(&run.stdout).into_owned();

    std::fs::write(&file, &json).unwrap();
    let run = verified(&data_dir, &file, None).await;
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    assert!(said(&run).contains("1 orders, unchanged since they were signed"), "{run:?}");
    assert!(said(&run).contains("signed with the key of this engine"), "{run:?}");

    // Without an engine the key's owner is unknown; with another engine, the key is not that one's.
    let elsewhere = data_dir.join("elsewhere");
    std::fs::create_dir_all(elsewhere.join("keys")).unwrap();
    let run = verified(&elsewhere, &file, None).await;
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    assert!(said(&run).contains(&settled.signature.key_id), "{run:?}");
    assert!(said(&run).contains("which is not known here"), "{run:?}");
    // A reader who has the key already needs no engine.
    let key = data_dir.join("keys/report-ed25519.pub.pem");
    let run = verified(&elsewhere, &file, Some(&key)).await;
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    assert!(said(&run).contains("signed with the key of"), "{run:?}");
    let other = shobai::audit::ReportKey::load_or_create(&elsewhere).unwrap();
    other.publish(&elsewhere).unwrap();
    let other = elsewhere.join("keys/report-ed25519.pub.pem");
    let run = verified(&data_dir, &file, Some(&other)).await;
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    assert!(said(&run).contains("another key"), "{run:?}");
    let run = verified(&data_dir, &file, Some(&file)).await;
    assert_eq!(run.status.code(), Some(2), "{run:?}");
    assert!(String::from_utf8_lossy(&run.stderr).contains("is not a public key"), "{run:?}");
    let run = verified(&elsewhere, &file, None).await;
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    assert!(said(&run).contains("another key"), "{run:?}");

    std::fs::write(&file, json.replace("awaiting_payment", "confirmed")).unwrap();
    let run = verified(&data_dir, &file, None).await;
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    let order = settled.rows[0].row.order;
    assert!(said(&run).contains(&format!("row 1 (order {order})")), "{run:?}");
    engine.stop().await;
}
