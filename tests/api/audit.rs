//! `shobai audit` finds what is wrong: each of its claims is broken by hand in a shop where it found nothing, and is
//! then the one that is reported.

use std::process::{Command, Output};

use secrecy::ExposeSecret as _;
use shobai::cli::audit::Finding;

use crate::support::client::konbini_order;
use crate::support::{TestEngine, eventually};

const STOCK_IS_POSSIBLE: &str = "on hand − reserved − allotted ≥ 0 for every SKU";
const RESERVED_IS_HELD: &str = "reserved = sum of live reservations";
const STOCK_IS_EXPLAINED: &str = "on hand = sum of movements, without a gap";
const ALLOTMENTS_ADD_UP: &str = "allotment = sold + held + remaining for every sale";
const LINES_ARE_RESERVED: &str = "one reservation for each order line";
const RESERVATIONS_HAVE_ORDERS: &str = "no reservation without its order";
const KEYS_ARE_USED_ONCE: &str = "one order for each idempotency key";
const ORDERS_ARE_WHOLE: &str = "every order adds up and has its history";

/// In the order in which the audit prints them.
const CLAIMS: [&str; 8] = [
    STOCK_IS_POSSIBLE,
    RESERVED_IS_HELD,
    STOCK_IS_EXPLAINED,
    ALLOTMENTS_ADD_UP,
    LINES_ARE_RESERVED,
    RESERVATIONS_HAVE_ORDERS,
    KEYS_ARE_USED_ONCE,
    ORDERS_ARE_WHOLE,
];

/// Sells five lamps, and its rounds are so rare that none mends what a hand has broken before the audit sees it.
async fn shop() -> TestEngine {
    let engine = TestEngine::start_with(|config| config.orders.reconcile_every_ms = 60_000).await;
    engine.sells("LAMP", 5).await;
    engine
}

/// An order that awaits its payment, by its id; two lamps are held for it.
async fn an_order(engine: &TestEngine) -> String {
    engine.customer().await.orders("LAMP", 2).await.expect(201).id().to_owned()
}

/// An order that was paid, by its id; it has taken two lamps, and nothing of it is on its way any more.
async fn a_paid_order(engine: &TestEngine) -> String {
    let order = engine.customer().await.orders_by_card("LAMP", 2).await.expect(201).id().to_owned();
    let settled = format!("select id from orders.orders where id = '{order}' and stock_settled");
    eventually("the stock has followed the order", async || {
        let rows = engine.by_hand(&settled).await;
        rows.iter().any(|row| matches!(row, tokio_postgres::SimpleQueryMessage::Row(_))).then_some(())
    })
    .await;
    order
}

/// The claims that do not hold after this was done by hand, and what they do not hold for. Before it, all did.
async fn broken_by(engine: &TestEngine, hand: &str) -> Vec<(&'static str, String)> {
    assert_eq!(engine.audit().await, [], "before {hand}");
    engine.by_hand(hand).await;
    let findings = engine.audit().await.into_iter();
    findings.map(|Finding { claim, subject, .. }| (claim.as_str(), subject)).collect()
}

#[actix::test]
async fn the_audit_finds_more_pieces_reserved_than_on_hand() {
    let engine = shop().await;
    an_order(&engine).await;

    let hand = "alter table inventory.stock drop constraint stock_promised_within_on_hand;
                update inventory.stock set on_hand = 1";

    assert_eq!(broken_by(&engine, hand).await, [(STOCK_IS_POSSIBLE, "LAMP".to_owned())]);
    engine.stop().await;
}

#[actix::test]
async fn the_audit_finds_an_allotment_that_only_stock_or_only_the_sale_records() {
    let sale = "019b0000-0000-7000-8000-000000000001";
    for (subject, hand) in [
        ("LAMP".to_owned(), "update inventory.stock set allotted = 1".to_owned()),
        (
            format!("LAMP of sale {sale}"),
            format!(
                "insert into inventory.allotments (sale_id, sku, allotment, sold, closed_at) \
                 values ('{sale}', 'LAMP', 1, 1, now())"
            ),
        ),
    ] {
        let engine = shop().await;
        assert_eq!(broken_by(&engine, &hand).await, [(ALLOTMENTS_ADD_UP, subject)], "{hand}");
        engine.stop().await;
    }
}

#[actix::test]
async fn the_audit_finds_reserved_pieces_that_only_stock_or_only_a_reservation_records() {
    for (sku, hand) in [
        ("LAMP", "update inventory.stock set reserved = reserved + 1"),
        (
            "CHAIR",
            "insert into inventory.reservations (id, sku, quantity, state, purpose, expires_at)
             values (gen_random_uuid(), 'CHAIR', 1, 'held', 'staff', now() + interval '1 hour')",
        ),
    ] {
        let engine = shop().await;
        an_order(&engine).await;
        assert_eq!(broken_by(&engine, hand).await, [(RESERVED_IS_HELD, sku.to_owned())], "{hand}");
        engine.stop().await;
    }
}

#[actix::test]
async fn the_audit_finds_stock_that_its_movements_do_not_explain() {
    for hand in [
        "alter table inventory.stock disable trigger stock_changed_by_hand;
         update inventory.stock set on_hand = on_hand + 1",
        // All figures agree, but two movements have not made the seventh version.
        "alter table inventory.stock disable trigger stock_changed_by_hand;
         alter table inventory.movements disable trigger movements_append_only;
         update inventory.movements set version = 7 where version = 2;
         update inventory.stock set version = 7",
    ] {
        let engine = shop().await;
        an_order(&engine).await;
        let lamp = "LAMP".to_owned();
        assert_eq!(broken_by(&engine, hand).await, [(STOCK_IS_EXPLAINED, lamp)], "{hand}");
        engine.stop().await;
    }
}

#[actix::test]
async fn the_audit_finds_an_order_line_without_its_reservation() {
    for hand in [
        "delete from inventory.reservations",
        "update inventory.reservations set quantity = 1",
        "update inventory.reservations set purpose = 'staff'",
        "update inventory.reservations set state = 'released'",
    ] {
        let engine = shop().await;
        let line = format!("{} LAMP", a_paid_order(&engine).await);
        assert_eq!(broken_by(&engine, hand).await, [(LINES_ARE_RESERVED, line)], "{hand}");
        engine.stop().await;
    }
}

#[actix::test]
async fn the_audit_finds_a_hold_that_ended_while_its_order_awaits_payment() {
    let engine = shop().await;
    let line = format!("{} LAMP", an_order(&engine).await);

    let broken = broken_by(&engine, "update inventory.reservations set state = 'released'").await;

    assert_eq!(broken, [(RESERVED_IS_HELD, "LAMP".to_owned()), (LINES_ARE_RESERVED, line)]);
    engine.stop().await;
}

#[actix::test]
async fn the_audit_finds_stock_that_does_not_follow_its_order_in_time() {
    let engine = shop().await;
    let line = format!("{} LAMP", an_order(&engine).await);

    let cancelled = "update orders.orders set status = 'cancelled';
                     insert into orders.order_history (order_id, step, status, reason, at)
                     select id, 1, status, 'by hand', now() from orders.orders";
    assert_eq!(broken_by(&engine, cancelled).await, []);
    let aged = "update orders.orders set changed_at = changed_at - interval '1 hour'";
    assert_eq!(broken_by(&engine, aged).await, [(LINES_ARE_RESERVED, line)]);
    engine.stop().await;
}

#[actix::test]
async fn the_audit_finds_a_reservation_whose_order_does_not_appear_in_time() {
    let engine = shop().await;
    let held = format!("{} LAMP", an_order(&engine).await);
    let taken = format!("{} LAMP", a_paid_order(&engine).await);

    let gone = "delete from orders.order_lines; delete from orders.orders";
    assert_eq!(broken_by(&engine, gone).await, []);
    let aged = "update inventory.reservations set created_at = created_at - interval '1 hour'";
    let broken = broken_by(&engine, aged).await;

    assert_eq!(broken, [(RESERVATIONS_HAVE_ORDERS, held), (RESERVATIONS_HAVE_ORDERS, taken)]);
    engine.stop().await;
}

#[actix::test]
async fn the_audit_finds_two_orders_with_one_idempotency_key() {
    let engine = shop().await;
    let customer = engine.customer().await;
    for key in ["first", "second"] {
        customer.orders_with(key, konbini_order("LAMP", 1)).await.expect(201);
    }
    let me = customer.get("/v1/users/me").await.expect(200);

    let hand = "alter table orders.orders drop constraint orders_idempotency_key_unique;
                update orders.orders set idempotency_key = 'first'";

    let key = format!("customer {} key first", me.id());
    assert_eq!(broken_by(&engine, hand).await, [(KEYS_ARE_USED_ONCE, key)]);
    engine.stop().await;
}

#[actix::test]
async fn the_audit_finds_an_order_with_a_wrong_total_or_without_its_history() {
    for hand in [
        "update orders.orders set total = total + 1",
        "delete from orders.order_lines",
        "insert into orders.order_history (order_id, step, status, reason, at)
         select id, 1, 'cancelled', 'by hand', now() from orders.orders",
        "delete from orders.events",
        "insert into orders.events (id, name, version, order_id, payload, at)
         select gen_random_uuid(), name, version, order_id, payload, at from orders.events",
    ] {
        let engine = shop().await;
        let order = an_order(&engine).await;
        assert_eq!(broken_by(&engine, hand).await, [(ORDERS_ARE_WHOLE, order)], "{hand}");
        engine.stop().await;
    }
}

#[actix::test]
async fn the_audit_command_confirms_every_claim_or_fails_with_the_offending_row() {
    let engine = shop().await;
    let order = an_order(&engine).await;

    let sound = audited(&engine).await;

    let looked_at = "audit of 1 SKUs, 2 movements, 1 reservations, 1 orders \
                     (1 awaiting payment, 0 confirmed, 0 cancelled, 0 expired)";
    let all_hold = CLAIMS.map(|claim| format!("  ok      {claim}\n")).concat();
    assert_eq!(printed(&sound), format!("{looked_at}\n{all_hold}"), "{sound:?}");
    assert_eq!(sound.status.code(), Some(0), "{sound:?}");

    engine.by_hand("update orders.orders set total = total + 1").await;
    let broken = audited(&engine).await;

    let holds = format!("  ok      {ORDERS_ARE_WHOLE}\n");
    let row = format!(
        "{order}: total 3961, lines 3960; status awaiting_payment, history ends at placing; 1 order.created"
    );
    let one_broken = all_hold.replace(&holds, &format!("  BROKEN  {ORDERS_ARE_WHOLE}\n            {row}\n"));
    assert_eq!(printed(&broken), format!("{looked_at}\n{one_broken}"), "{broken:?}");
    assert_eq!(broken.status.code(), Some(1), "{broken:?}");
    engine.stop().await;
}

/// Runs the real binary on the engine's database.
async fn audited(engine: &TestEngine) -> Output {
    let data_dir = &engine.config.storage.data_dir;
    let mut command = Command::new(env!("CARGO_BIN_EXE_shobai"));
    command
        .arg("audit")
        .current_dir(data_dir)
        .env_clear()
        .env("SHOBAI_STORAGE__DATA_DIR", data_dir)
        .env("SHOBAI_POSTGRES__URL", engine.config.postgres.url.expose_secret());
    tokio::task::spawn_blocking(move || command.output().expect("the binary")).await.expect("its end")
}

fn printed(run: &Output) -> String {
    String::from_utf8_lossy(&run.stdout).into_owned()
}
