//! Every open sale is audited again and again: its light is green while people buy, and red, with the SKU stopped, within
//! seconds of anything that does not add up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jiff::{Span, Timestamp};
use shobai::actors::sales::{
    Action, CreateSale, GetSale, HoldSeconds, Initiator, KonbiniTerms, ListChanges, MoveSale, SaleDraft,
    SaleItem, SaleStatus, SwitchItem, Terms,
};
use shobai::actors::waiting_room::{AdmissionMode, AdmissionTerms};
use shobai::audit::{AuditStatus, Claim, Finding, GetAuditStatus};
use shobai::types::{Money, Quantity, SaleId, Sku};

use crate::support::{Client, TestEngine, eventually};

/// A corrupted sale is detected within this time.
const FOUND_WITHIN: Duration = Duration::from_secs(5);

/// An open sale of these SKUs, so many pieces of each, ¥900 a piece, two for each customer.
pub async fn an_open_sale(engine: &TestEngine, skus: &[Sku], pieces: i64) -> SaleId {
    let now = Timestamp::now();
    let item = |sku: &Sku| SaleItem {
        sku: sku.clone(),
        price: Money::yen(900).unwrap(),
        allotment: Quantity::new(pieces).unwrap(),
    };
    let draft = SaleDraft {
        name: "Midnight".to_owned(),
        opens_at: now - Span::new().seconds(1),
        closes_at: now + Span::new().hours(1),
        items: skus.iter().map(item).collect(),
        terms: Terms {
            limit_per_customer: Some(2),
            hold_seconds: HoldSeconds { card: 600, konbini: 600 },
            konbini: KonbiniTerms { allowed: true, share_max: 1.0 },
            admission: AdmissionTerms { mode: AdmissionMode::None, per_second: None },
        },
    };
    let sales = &engine.engine.domains.sales.ports;
    let sale = sales.create_sale.ask(CreateSale { draft, by: Initiator::Engine }).await.unwrap().id;
    move_sale(engine, sale, Action::Schedule).await;
    eventually("the sale is open", async || {
        let sale = sales.get_sale.ask(GetSale { sale }).await.unwrap();
        (sale.status == SaleStatus::Open).then_some(())
    })
    .await;
    sale
}

pub async fn move_sale(engine: &TestEngine, sale: SaleId, action: Action) {
    let reason = "for a test".to_owned();
    let asked = engine.engine.domains.sales.ports.move_sale.ask(MoveSale {
        sale,
        action,
        ends: None,
        by: Initiator::Engine,
        reason,
    });
    asked.await.unwrap();
}

async fn light(engine: &TestEngine, sale: SaleId) -> Option<Arc<AuditStatus>> {
    engine.engine.domains.audit.ports.get_audit_status.ask(GetAuditStatus { sale }).await.unwrap()
}

/// The light as it is when the next look has begun after this moment.
async fn next_light(engine: &TestEngine, sale: SaleId) -> Arc<AuditStatus> {
    let now = Timestamp::now();
    eventually("another look at the sale", async || {
        light(engine, sale).await.filter(|light| light.checked_at > now)
    })
    .await
}

async fn is_stopped(engine: &TestEngine, sale: SaleId, sku: &Sku) -> bool {
    let asked = engine.engine.domains.sales.ports.get_sale.ask(GetSale { sale });
    asked.await.unwrap().stopped_skus.contains(sku)
}

/// The value of a gauge or counter of this sale.
async fn metric(engine: &TestEngine, name: &str, sale: SaleId) -> Option<f64> {
    let answer = Client::new(engine.metrics_base(), None).get("/metrics").await.expect(200);
    let start = format!("{name}{{sale=\"{sale}\"}} ");
    answer.text.lines().find_map(|line| line.strip_prefix(&start)?.parse().ok())
}

#[actix::test]
async fn a_sale_stays_green_while_many_buy_at_once_and_until_it_is_over() {
    let engine = TestEngine::start_with(|config| config.sales.audit_every_ms = 100).await;
    let skus = [engine.sells("LAMP", 50).await, engine.sells("CHAIR", 50).await];
    let sale = an_open_sale(&engine, &skus, 30).await;

    let looks = std::cell::RefCell::new(Vec::new());
    let customers = join_all((0..12).map(|_| engine.customer())).await;
    let buying = join_all(customers.iter().enumerate().map(async |(number, customer)| {
        let sku = skus[number % 2].as_str();
        let mut bought = 0;
        // Until the sale was looked at a few times meanwhile.
        for round in (0..).take_while(|round| *round < 4 || looks.borrow().len() < 3) {
            let order = match (number + round) % 3 {
                0 => customer.orders(sku, 1).await,
                _ => customer.orders_by_card(sku, 1).await,
            };
            if order.status == 201 && (number + round) % 2 == 0 {
                customer.cancels(order.id()).await.expect(200);
            } else {
                bought += i64::from(order.status == 201);
            }
        }
        bought
    }));
    let looking = async {
        loop {
            let look = next_light(&engine, sale).await;
            looks.borrow_mut().push(look);
        }
    };
    // It ends with the buying.
    let bought: i64 = tokio::select! {
        bought = buying => bought.into_iter().sum(),
        never = looking => never,
    };
    let looks = looks.into_inner();
    assert!(!looks.is_empty());
    assert!(looks.iter().all(|light| light.is_green), "{looks:?}");
    assert!(bought > 0);

    let last = eventually("what ended has come back", async || {
        let light = next_light(&engine, sale).await;
        assert!(light.is_green, "{light:?}");
        (light.promised == bought).then_some(light)
    })
    .await;
    assert_eq!((last.allotment, last.accounted), (60, 60));
    assert_eq!((last.promised, last.ordered, last.on_the_way), (bought, bought, 0));
    assert_eq!(metric(&engine, "shobai_sale_invariant_broken", sale).await, Some(0.0));

    // What is over is not watched any more.
    move_sale(&engine, sale, Action::Close).await;
    eventually("no light of a sale that is over", async || {
        light(&engine, sale).await.is_none().then_some(())
    })
    .await;
    engine.stop().await;
}

#[actix::test]
async fn a_manual_change_to_an_open_sale_is_detected_and_stops_the_sku() {
    for (claim, hand) in [
        (Claim::AllotmentAddsUp, "update inventory.reservations set state = 'released' where sku = 'LAMP'"),
        (
            Claim::AllotmentAddsUp,
            "update inventory.stock set on_hand = on_hand + 1, allotted = allotted + 1 where sku = 'LAMP'",
        ),
        (
            Claim::LedgerExplainsStock,
            "alter table inventory.stock disable trigger stock_changed_by_hand;
             update inventory.stock set on_hand = on_hand + 1 where sku = 'LAMP'",
        ),
        (
            Claim::LedgerExplainsStock,
            "alter table inventory.movements disable trigger movements_append_only;
             update inventory.movements set on_hand_delta = on_hand_delta + 1
              where sku = 'LAMP' and kind = 'received'",
        ),
        (Claim::OrdersAgreeWithReservations, "update orders.order_lines set quantity = 1 where sku = 'LAMP'"),
        (
            Claim::OrdersAgreeWithReservations,
            "update orders.orders set status = 'cancelled', stock_settled = true",
        ),
    ] {
        let engine = TestEngine::start_with(|config| config.orders.reconcile_every_ms = 60_000).await;
        let skus = [engine.sells("LAMP", 50).await, engine.sells("CHAIR", 50).await];
        let [lamp, chair] = &skus;
        let sale = an_open_sale(&engine, &skus, 10).await;
        engine.customer().await.orders("LAMP", 2).await.expect(201);
        let before = next_light(&engine, sale).await;
        assert!(before.is_green, "{before:?}");
        assert_eq!((before.promised, before.ordered), (2, 2));

        let broken_at = Instant::now();
        engine.by_hand(hand).await;
        let red =
            eventually("a red light", async || light(&engine, sale).await.filter(|light| !light.is_green))
                .await;
        eventually("the SKU is stopped", async || is_stopped(&engine, sale, lamp).await.then_some(())).await;
        assert!(broken_at.elapsed() < FOUND_WITHIN, "{:?} for {hand}", broken_at.elapsed());

        let named: Vec<_> =
            red.breaches.iter().map(|breach| (breach.claim, breach.subject.as_str())).collect();
        assert!(named.contains(&(claim, "LAMP")), "{named:?} for {hand}");
        assert!(named.iter().all(|(_, sku)| *sku == "LAMP"), "{named:?} for {hand}");
        assert!(!is_stopped(&engine, sale, chair).await, "{hand}");
        assert_eq!(metric(&engine, "shobai_sale_invariant_broken", sale).await, Some(1.0), "{hand}");
        assert!(metric(&engine, "shobai_sale_breaches_total", sale).await >= Some(1.0), "{hand}");
        engine.customer().await.orders("LAMP", 1).await.expect_problem(409, "stopped");
        engine.customer().await.orders_by_card("CHAIR", 1).await.expect(201);
        let asked = engine.engine.domains.sales.ports.list_changes.ask(ListChanges { sale });
        let changes = asked.await.unwrap();
        let stop = changes.iter().rfind(|change| change.action == "kill").unwrap();
        assert_eq!((&stop.sku, stop.by), (&Some(lamp.clone()), Initiator::Engine));
        assert!(stop.reason.contains("does not hold: "), "{}", stop.reason);
        engine.stop().await;
    }
}

#[actix::test]
async fn an_actor_whose_figures_differ_from_stock_and_ledger_is_detected() {
    let engine = TestEngine::start_with(|config| config.sales.audit_every_ms = 100).await;
    let lamp = engine.sells("LAMP", 50).await;
    let sale = an_open_sale(&engine, std::slice::from_ref(&lamp), 10).await;
    engine.customer().await.orders("LAMP", 2).await.expect(201);
    assert!(next_light(&engine, sale).await.is_green);

    // Stock and ledger agree with each other afterwards, at the version that the actor has.
    engine
        .by_hand(
            "alter table inventory.stock disable trigger stock_changed_by_hand;
             alter table inventory.movements disable trigger movements_append_only;
             update inventory.stock set on_hand = on_hand + 1 where sku = 'LAMP';
             update inventory.movements set on_hand_delta = on_hand_delta + 1 where sku = 'LAMP' and kind = 'received'",
        )
        .await;

    eventually("the actor is found", async || {
        let red = light(&engine, sale).await?;
        let is_found =
            |breach: &Finding| breach.claim == Claim::ActorAgreesWithLedger && breach.subject == "LAMP";
        red.breaches.iter().any(is_found).then_some(())
    })
    .await;
    eventually("the SKU is stopped", async || is_stopped(&engine, sale, &lamp).await.then_some(())).await;
    engine.stop().await;
}

#[actix::test]
async fn a_sku_that_an_operator_resumes_despite_a_breach_is_not_stopped_again() {
    let engine = TestEngine::start_with(|config| config.sales.audit_every_ms = 100).await;
    let lamp = engine.sells("LAMP", 50).await;
    let sale = an_open_sale(&engine, std::slice::from_ref(&lamp), 10).await;
    engine.by_hand("update inventory.stock set on_hand = on_hand + 1, allotted = allotted + 1").await;
    eventually("the SKU is stopped", async || is_stopped(&engine, sale, &lamp).await.then_some(())).await;

    let resume = SwitchItem {
        sale,
        sku: lamp.clone(),
        stopped: false,
        by: Initiator::Engine,
        reason: "we know of it".to_owned(),
    };
    engine.engine.domains.sales.ports.switch_item.ask(resume).await.unwrap();
    for _ in 0..3 {
        assert!(!next_light(&engine, sale).await.is_green);
        assert!(!is_stopped(&engine, sale, &lamp).await);
    }
    engine.by_hand("update inventory.stock set on_hand = on_hand - 1, allotted = allotted - 1").await;
    eventually("a green light", async || light(&engine, sale).await.filter(|light| light.is_green)).await;
    engine.stop().await;
}

#[actix::test]
async fn a_breach_stops_no_sku_when_that_is_switched_off() {
    let engine = TestEngine::start_with(|config| {
        config.sales.audit_every_ms = 100;
        config.sales.stop_on_breach = false;
    })
    .await;
    let lamp = engine.sells("LAMP", 50).await;
    let sale = an_open_sale(&engine, std::slice::from_ref(&lamp), 10).await;
    engine.by_hand("update inventory.stock set on_hand = on_hand + 1, allotted = allotted + 1").await;
    eventually("a red light", async || light(&engine, sale).await.filter(|light| !light.is_green)).await;
    next_light(&engine, sale).await;
    assert!(!is_stopped(&engine, sale, &lamp).await);
    engine.stop().await;
}

/// Two hundred thousand orders of one SKU, as if they had been placed and paid one by one.
const MANY: &str = "
    alter table inventory.stock disable trigger stock_changed_by_hand;
    begin;
    create temporary table placed as
        select (lpad(to_hex(floor(extract(epoch from now()) * 1000)::bigint), 12, '0') || '7000' || '8' || lpad(to_hex(number), 15, '0'))::uuid as id,
               number, (select id from sales.sales) as sale_id, (select version from inventory.stock) + number as version
          from generate_series(1, 200000) as number;
    insert into inventory.reservations (id, sku, quantity, state, purpose, expires_at, sale_id, claimants)
    select id, 'LAMP', 1, 'committed', 'order', now(), sale_id, array['customer:' || gen_random_uuid()] from placed;
    insert into inventory.movements (sku, version, kind, on_hand_delta, reserved_delta, allotted_delta)
    select 'LAMP', version, 'committed', -1, 0, -1 from placed;
    update inventory.stock set on_hand = on_hand - 200000, allotted = allotted - 200000, version = version + 200000;
    update inventory.allotments set sold = 200000;
    insert into orders.orders (id, customer_id, idempotency_key, request_hash, status, total, tax, payment, payment_status,
                               created_at, changed_at, stock_settled, sale_id)
    select id, gen_random_uuid(), number::text, '', 'confirmed', 900, '[]',
           '{\"method\": \"card\", \"status\": \"captured\", \"card\": {\"reference\": \"ch_0123456789abcdef0123456789\"}}', 'captured', now(), now(),
           true, sale_id
      from placed;
    insert into orders.order_lines (order_id, sku, name, quantity, unit_price, tax_rate)
    select id, 'LAMP', 'Lamp', 1, 900, 10 from placed;
    commit";

#[actix::test]
#[ignore = "a measurement"]
async fn a_sale_of_two_hundred_thousand_orders_is_looked_at_within_moments() {
    let engine = TestEngine::start().await;
    let lamp = engine.sells("LAMP", 300_000).await;
    let sale = an_open_sale(&engine, std::slice::from_ref(&lamp), 250_000).await;
    next_light(&engine, sale).await;
    engine.by_hand(MANY).await;
    let mut last = Timestamp::now();
    for _ in 0..8 {
        let light = next_light(&engine, sale).await;
        assert!(light.is_green, "{light:?}");
        println!("{} after the last look: {} ordered", light.checked_at.duration_since(last), light.ordered);
        last = light.checked_at;
    }
    let metrics = Client::new(engine.metrics_base(), None).get("/metrics").await.text;
    for line in metrics.lines().filter(|line| line.starts_with("shobai_sale_audit_seconds")) {
        println!("{line}");
    }
    let began = Instant::now();
    let settled = engine
        .engine
        .domains
        .audit
        .ports
        .get_settlement
        .ask(shobai::audit::GetSettlement { sale })
        .await
        .unwrap();
    println!("settled {} orders in {:?}", settled.rows.len(), began.elapsed());
    engine.stop().await;
}

/// What a sale leaves behind that sold a piece to each of so many: every third order still awaits its payment.
fn a_crowd(sale: SaleId, orders: i64) -> String {
    format!(
        "set shobai.journal = 'on';
        create temporary table made as
        select n, n % 3 = 0 as is_open, (lpad(to_hex((extract(epoch from now()) * 1000)::bigint - 7200000 + n), 12, '0')
            || '70008000' || lpad(to_hex(n), 12, '0'))::uuid as id
          from generate_series(1, {orders}) as n;
        insert into inventory.reservations (id, sku, quantity, state, purpose, created_at, expires_at, sale_id, claimants)
        select id, 'LAMP', 1, case when is_open then 'held' else 'committed' end, 'order', now() - interval '2 hours',
               now() + interval '1 hour', '{sale}', array['customer:' || id] from made;
        insert into orders.orders (id, customer_id, idempotency_key, request_hash, status, total, tax, payment, payment_status,
               created_at, expires_at, changed_at, stock_settled, sale_id)
        select id, id, 'k', '', case when is_open then 'awaiting_payment' else 'confirmed' end, 900, '[]',
               '{{\"method\": \"card\"}}', case when is_open then 'pending' else 'captured' end,
               now() - interval '2 hours', now() + interval '50 minutes', now() - interval '2 hours', not is_open, '{sale}'
          from made;
        insert into orders.order_lines (order_id, sku, name, quantity, unit_price, tax_rate)
        select id, 'LAMP', 'Lamp', 1, 900, 10 from made;
        insert into inventory.movements (sku, version, kind, on_hand_delta, reserved_delta, allotted_delta, reservation_id)
        select 'LAMP', stock.version + n, 'reserved', 0, 1, -1, made.id
          from made, inventory.stock where stock.sku = 'LAMP';
        insert into inventory.movements (sku, version, kind, on_hand_delta, reserved_delta, allotted_delta, reservation_id)
        select 'LAMP', stock.version + {orders} + row_number() over (order by n), 'committed', -1, -1, 0, made.id
          from made, inventory.stock where stock.sku = 'LAMP' and not is_open;
        update inventory.stock as stock
           set on_hand = on_hand - sold, reserved = held, allotted = allotted - sold - held, version = version + {orders} + sold
          from (select count(*) filter (where is_open) as held, count(*) filter (where not is_open) as sold from made) as made
         where stock.sku = 'LAMP';
        update inventory.allotments set held = made.held, sold = made.sold
          from (select count(*) filter (where is_open) as held, count(*) filter (where not is_open) as sold from made) as made
         where sku = 'LAMP';
        analyze"
    )
}

#[actix::test]
#[ignore = "a measurement"]
async fn a_look_at_three_hundred_thousand_orders() {
    let orders = 300_000;
    let engine = TestEngine::start_with(|config| config.sales.audit_every_ms = 100).await;
    let lamp = engine.sells("LAMP", 400_000).await;
    let sale = an_open_sale(&engine, &[lamp], 400_000).await;
    engine.by_hand(&a_crowd(sale, orders)).await;
    let engine = engine.restart().await;
    let seconds = async || {
        let answer = Client::new(engine.metrics_base(), None).get("/metrics").await.expect(200);
        let read = |name: &str| {
            let line = answer.text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.trim().parse::<f64>().ok()).unwrap_or_default()
        };
        (read("shobai_sale_audit_seconds_sum"), read("shobai_sale_audit_seconds_count"))
    };
    let seen = eventually("it was looked at", async || light(&engine, sale).await).await;
    println!("{seen:?}");
    for _ in 0..4 {
        let before = seconds().await;
        let after = eventually("some looks", async || {
            Some(seconds().await).filter(|(_, looks)| *looks >= before.1 + 3.0)
        })
        .await;
        println!("a look: {:.3} s", (after.0 - before.0) / (after.1 - before.1));
    }
    let light = next_light(&engine, sale).await;
    assert!(light.is_green, "{light:?}");
    for (name, sql) in [
        ("parts", include_str!("../../sql/audit/watch_parts.sql")),
        ("orders", include_str!("../../sql/audit/watch_orders.sql")),
    ] {
        let sql = sql
            .replace("$1::text[]", "array['open']")
            .replace("$1::uuid[]", &format!("array['{sale}'::uuid]"))
            .replace("$2", "'ffffffff-0000-7000-8000-000000000000'::uuid")
            .replace("$3", "now()");
        let settings = "set jit = off; set max_parallel_workers_per_gather = 0; explain (analyze, buffers)";
        for message in engine.by_hand(&format!("{settings} {sql}")).await {
            if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
                println!("{name}: {}", row.get(0).unwrap_or_default());
            }
        }
    }
    engine.stop().await;
}
