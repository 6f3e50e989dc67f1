//! The engine is killed in every status of a flash sale: its schedule, limits, switches and pieces are as they were.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};
use shobai::actors::runtime::failpoint;
use tokio::time::timeout;

use crate::buyers::{PATIENCE, buyers, expect_clean_audit, expect_try_again, id_of};
use crate::operator::{LIMIT, Operator, PIECES, PRICE, Pieces, buys, held_order, plan, skus, soon};
use crate::support::client::card_order;
use crate::support::shop::Shop;
use crate::support::{Answer, Client, TestEngine, by_hand, eventually, give_orphans_back_soon, told};

#[actix_web::test]
async fn a_kill_changes_no_sale_whatever_its_status() {
    let settings = [("SHOBAI_SALES__ARM_BEFORE_SECONDS", "1"), ("SHOBAI_SALES__DRAIN_WITHIN_SECONDS", "25")];
    let mut shop = Shop::open(&settings).await;
    let mut operator = Operator::at(&shop).await;
    let tokens = shop.customers(3).await;
    let [first, second, third] = &tokens[..] else { panic!("three customers") };
    let skus = skus(&shop).await;
    let mut before = BTreeMap::new();
    for sku in &skus {
        before.insert(sku.clone(), shop.visitor().available(sku).await);
    }
    let (of_each, of_closing) = skus.split_at(6);
    let of_closing: Vec<&[String]> = of_closing.chunks(10).take(3).collect();
    let sku = |index: usize| &*of_each[index];
    let one = |index: usize| &of_each[index..=index];

    let paused = operator.opens(one(0)).await;
    buys(&shop, first, card_order(sku(0), 2, "tok_ok")).await.expect(201);
    operator.tells(&paused, "pause").await.expect(200);
    let killed = operator.opens(one(1)).await;
    operator.tells(&killed, "kill").await.expect(200);
    let left_draining = operator.opens(one(2)).await;
    buys(&shop, first, held_order(sku(2), 2, 1)).await.expect(201);
    let let_go = operator.opens(one(3)).await;
    let held = buys(&shop, second, held_order(sku(3), 1, 2)).await.expect(201);
    operator.tells(&left_draining, "drain").await.expect(200);
    operator.tells(&let_go, "drain").await.expect(200);
    for sale in [&left_draining, &let_go] {
        assert_eq!(operator.sale(sale).await["status"], "draining");
    }
    let mut closing = Vec::new();
    for skus in &of_closing {
        closing.push(operator.opens(skus).await);
    }
    let opens_at = soon(6_000);
    let scheduled = operator.schedules(one(4), opens_at).await;
    let armed = operator.schedules(one(5), opens_at).await;
    operator.tells(&armed, "arm").await.expect(200);
    for (sale, status) in [(&scheduled, "scheduled"), (&armed, "armed")] {
        assert_eq!(operator.sale(sale).await["status"], status);
    }

    for (round, sale) in closing.iter().enumerate() {
        // Into the middle of giving the pieces of ten SKUs back: one of them is held up.
        let url = shop.database_url();
        let held_up = &of_closing[round][[0, 5, 9][round]];
        let hold = format!(
            "begin; select 1 from inventory.stock where sku = '{held_up}' for update; select pg_sleep(2); commit"
        );
        let staff = operator.staff.clone();
        let path = format!("/v1/admin/sales/{sale}/close");
        let close = staff.request(reqwest::Method::POST, &path).json(&json!({"reason": "a test"}));
        let close_and_kill = async {
            let is_held = "select 1 from pg_stat_activity where wait_event = 'PgSleep'";
            eventually("one is held up", async || told(&url, is_held).await).await;
            let kill = async {
                let is_closed =
                    format!("select 1 from sales.sales where id = '{sale}' and status = 'closed'");
                eventually("it is closed", async || told(&url, &is_closed).await).await;
                shop.kill_engine().await;
            };
            tokio::join!(staff.try_send(close), kill)
        };
        let (_, (unclear, ())) = tokio::join!(by_hand(&url, &hold), close_and_kill);
        assert!(unclear.is_err(), "what was held up is told as done");
        if round == 0 {
            // Their time comes while the engine is down.
            let wait = opens_at.duration_since(Timestamp::now()).unsigned_abs();
            tokio::time::sleep(wait.min(Duration::from_secs(6))).await;
        }
        shop.start().await;
        operator.again_at(&shop);
        operator.tells(sale, "close").await.expect(200);
        operator.sees_pieces(sale, &vec![[0, 0, 0, PIECES]; of_closing[round].len()]).await;
    }

    for (sale, index) in [(&scheduled, 4), (&armed, 5)] {
        operator.sees(sale, "open").await;
        let bought = buys(&shop, first, card_order(sku(index), 1, "tok_ok")).await.expect(201);
        assert_eq!(bought.body["totals"]["total"], PRICE);
        operator.sees_pieces(sale, &[[PIECES - 1, 0, 1, 0]]).await;
    }
    buys(&shop, third, card_order(sku(0), 1, "tok_ok")).await.expect_problem(409, "sale-paused");
    operator.tells(&paused, "resume").await.expect(200);
    buys(&shop, first, card_order(sku(0), 1, "tok_ok")).await.expect_problem(409, "limit-reached");
    buys(&shop, third, card_order(sku(0), 1, "tok_ok")).await.expect(201);
    operator.sees_pieces(&paused, &[[PIECES - 3, 0, 3, 0]]).await;
    assert_eq!(operator.sale(&killed).await["stopped"], true);
    buys(&shop, third, card_order(sku(1), 1, "tok_ok")).await.expect_problem(409, "stopped");
    operator.tells(&killed, "resume").await.expect(200);
    buys(&shop, third, card_order(sku(1), 1, "tok_ok")).await.expect(201);
    // One ends as nothing is held any more, the other though something is.
    assert_eq!(operator.sale(&let_go).await["status"], "draining");
    shop.visitor().with_token(&**second).cancels(held.id()).await.expect(200);
    operator.sees(&let_go, "closed").await;
    operator.sees_pieces(&let_go, &[[0, 0, 0, PIECES]]).await;
    operator.sees(&left_draining, "closed").await;
    operator.sees_pieces(&left_draining, &[[0, 2, 0, PIECES - 2]]).await;

    for sale in [&scheduled, &armed, &paused, &killed] {
        operator.tells(sale, "close").await.expect(200);
    }
    for (index, bought) in [(0, 3), (1, 1), (2, 2), (3, 0), (4, 1), (5, 1)] {
        *before.get_mut(sku(index)).expect("a sku") -= bought;
    }
    for (sku, expected) in &before {
        eventually(&format!("{expected} pieces of {sku} in general stock"), async || {
            (shop.visitor().available(sku).await == *expected).then_some(())
        })
        .await;
    }
    shop.expect_clean_audit().await;
}

#[actix_web::test]
async fn commands_of_staff_before_a_kill_hold_after_it() {
    let settings =
        [("SHOBAI_SALES__ARM_BEFORE_SECONDS", "1"), ("SHOBAI_SALES__SECOND_OPERATOR", r#"["lower"]"#)];
    let mut shop = Shop::open(&settings).await;
    let mut operator = Operator::at(&shop).await;
    let mut second = shop.staff().await;
    let tokens = shop.customers(2).await;
    let [first, other] = &tokens[..] else { panic!("two customers") };
    let skus = skus(&shop).await;
    let (of_each, of_cancelled) = skus.split_at(6);
    let of_cancelled: Vec<&[String]> = of_cancelled.chunks(8).take(3).collect();
    let sku = |index: usize| &*of_each[index];
    let one = |index: usize| &of_each[index..=index];
    let mut before = BTreeMap::new();
    for sku in of_cancelled.iter().copied().flatten() {
        before.insert(sku.clone(), shop.visitor().available(sku).await);
    }

    let draft = operator.plans(plan(one(0), soon(300_000))).await;
    let drafted = operator.sale(&draft).await;
    let settled = operator.opens(one(1)).await;
    buys(&shop, first, card_order(sku(1), 2, "tok_ok")).await.expect(201);
    operator.tells(&settled, "close").await.expect(200);
    eventually("nothing of the sale is open", async || {
        (operator.tells(&settled, "settle").await.status == 200).then_some(())
    })
    .await;
    let report = operator.report(&settled).await;
    let half_stopped = operator.opens(&of_each[2..4]).await;
    operator.switches(&format!("sales/{half_stopped}/items/{}/kill", sku(2))).await;
    let changed = operator.opens(&of_each[4..6]).await;
    allots(&operator.staff, &changed, sku(4), PIECES, PIECES + 5).await.expect(200);
    allots(&operator.staff, &changed, sku(5), PIECES, PIECES - 10).await.expect(202);
    let proposals = second.get("/v1/admin/proposals").await.expect(200).body;
    let mut cancelled = Vec::new();
    for skus in &of_cancelled {
        let sale = operator.schedules(skus, soon(300_000)).await;
        operator.tells(&sale, "arm").await.expect(200);
        cancelled.push(sale);
    }
    operator.switches("kill").await;
    // Into the middle of giving back what was set aside for a sale, sooner or later.
    for (sale, milliseconds) in cancelled.iter().zip([0, 2, 5]) {
        let staff = operator.staff.clone();
        let path = format!("/v1/admin/sales/{sale}/cancel");
        let cancel = staff.request(reqwest::Method::POST, &path).json(&json!({"reason": "a test"}));
        let kill = async {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            shop.kill_engine().await;
        };
        let (_unclear, ()) = tokio::join!(staff.try_send(cancel), kill);
        shop.start().await;
        operator.again_at(&shop);
    }
    second = shop.visitor().with_token(second.token.expect("a token"));

    // Everything is stopped for customers; all can be read, and staff may try it.
    for sku in [sku(2), sku(3), sku(5)] {
        buys(&shop, other, card_order(sku, 1, "tok_ok")).await.expect_problem(409, "stopped");
        assert!(shop.visitor().available(sku).await > 0);
    }
    operator.staff.orders_by_card(sku(3), 1).await.expect(201);
    for sale in &cancelled {
        for _ in 0..2 {
            operator.tells(sale, "cancel").await.expect(200);
            assert_eq!(operator.sale(sale).await["status"], "cancelled");
        }
    }
    for (sku, expected) in &before {
        eventually(&format!("{expected} pieces of {sku} in general stock"), async || {
            (shop.visitor().available(sku).await == *expected).then_some(())
        })
        .await;
    }
    operator.switches("resume").await;
    // The switch of the one SKU is not that of everything.
    buys(&shop, other, card_order(sku(2), 1, "tok_ok")).await.expect_problem(409, "stopped");
    buys(&shop, other, card_order(sku(3), 1, "tok_ok")).await.expect(201);
    operator.switches(&format!("sales/{half_stopped}/items/{}/resume", sku(2))).await;
    buys(&shop, other, card_order(sku(2), 1, "tok_ok")).await.expect(201);
    let pieces = [(sku(2), [PIECES - 1, 0, 1, 0]), (sku(3), [PIECES - 2, 0, 2, 0])];
    operator.sees_pieces(&half_stopped, &by_sku(pieces)).await;

    assert_eq!(operator.sale(&draft).await, drafted);
    operator.tells(&draft, "schedule").await.expect(200);
    assert_eq!(operator.sale(&settled).await["status"], "settled");
    assert_eq!(operator.report(&settled).await, report);

    assert_eq!(second.get("/v1/admin/proposals").await.expect(200).body, proposals);
    for _ in 0..2 {
        allots(&second, &changed, sku(5), PIECES, PIECES - 10).await.expect(200);
        let changed = operator.sale(&changed).await;
        let allotments = changed["items"].as_array().expect("items").iter().map(|item| &item["allotment"]);
        assert_eq!(allotments.collect::<Vec<_>>(), [PIECES + 5, PIECES - 10]);
    }
    assert!(second.get("/v1/admin/proposals").await.expect(200).items().is_empty());
    let changes = operator.staff.get(&format!("/v1/admin/sales/{changed}/changes")).await.expect(200);
    let lowered = changes.items().iter().filter(|change| !change["proposed_by"].is_null());
    assert_eq!(lowered.count(), 1, "{changes:?}");
    let pieces = [(sku(4), [PIECES + 5, 0, 0, 0]), (sku(5), [PIECES - 10, 0, 0, 0])];
    operator.sees_pieces(&changed, &by_sku(pieces)).await;
    shop.expect_clean_audit().await;
}

/// In the order in which they are seen live.
fn by_sku(mut pieces: [(&str, Pieces); 2]) -> [Pieces; 2] {
    pieces.sort_unstable();
    pieces.map(|(_, pieces)| pieces)
}

async fn allots(staff: &Client, sale: &str, sku: &str, expected: i64, allotment: i64) -> Answer {
    let path = format!("/v1/admin/sales/{sale}/items/{sku}");
    let change = json!({"allotment": allotment, "expected": expected, "reason": "a test"});
    staff.send(staff.request(reqwest::Method::PATCH, &path).json(&change)).await
}

#[actix_web::test]
async fn kills_under_load_let_no_customer_exceed_the_limit() {
    let mut shop = Shop::open(&[]).await;
    let mut operator = Operator::at(&shop).await;
    let sku = skus(&shop).await.remove(0);
    let before = shop.visitor().available(&sku).await;
    // Few enough that the limit holds them up, and not the end of the pieces.
    let tokens = shop.customers(16).await;
    let buyers: Vec<Buyer> = tokens.into_iter().enumerate().map(Buyer::new).collect();
    let sale = operator.opens(std::slice::from_ref(&sku)).await;

    for _ in 0..3 {
        let (door, closed, bought) = (shop.visitor(), Cell::new(false), Cell::new(0));
        let buying = join_all(buyers.iter().map(|buyer| buyer.buys_until(&door, &sku, &closed, &bought)));
        let killing = async {
            eventually("customers are served", async || (bought.get() >= 40).then_some(())).await;
            shop.kill_engine().await;
            closed.set(true);
        };
        tokio::join!(buying, killing);
        shop.start().await;
        operator.again_at(&shop);
        assert_eq!(operator.sale(&sale).await["status"], "open");
    }

    // What was unclear is found out; then every customer wants as much as is left.
    let door = shop.visitor();
    join_all(buyers.iter().map(|buyer| buyer.finds_out(&door))).await;
    join_all(buyers.iter().map(|buyer| buyer.buys_until_it_is_refused(&door, &sku))).await;
    let mut sold = 0;
    for buyer in &buyers {
        let pieces = pieces_of(&door.with_token(&*buyer.token)).await;
        assert!(pieces <= LIMIT, "{} has {pieces} pieces", buyer.number);
        buyer.finds_its_orders(&door).await;
        sold += pieces;
    }
    assert!(
        buyers.iter().any(|buyer| buyer.was_unclear.get()),
        "the kills hit no request, so this proves nothing"
    );
    eventually("what is sold or held is what they have", async || {
        let [remaining, held, paid, _] = operator.pieces(&sale).await[0];
        (held + paid == sold && remaining == PIECES - sold).then_some(())
    })
    .await;
    operator.tells(&sale, "close").await.expect(200);
    eventually("what is left returns", async || {
        (shop.visitor().available(&sku).await == before - sold).then_some(())
    })
    .await;
    shop.expect_clean_audit().await;
}

#[actix_web::test]
async fn panics_of_the_sales_actor_let_no_customer_exceed_the_limit() {
    let engine = TestEngine::start_with(give_orphans_back_soon).await;
    let sku = engine.sells("PANIC-SALE", 1_000).await.to_string();
    let operator = Operator { staff: engine.staff().await };
    let mut wide = plan(std::slice::from_ref(&sku), soon(-1_000));
    wide["items"][0]["allotment"] = json!(1_000);
    let sale = operator.plans(wide).await;
    operator.tells(&sale, "schedule").await.expect(200);
    operator.sees(&sale, "open").await;
    let customers = buyers(&engine, 32).await;
    let mut turned_away = 0;

    for round in 0..4 {
        let panicking = format!("sales {}", id_of(&customers[round]).await);
        let (sku, answered) = (&*sku, Cell::new(0));
        // Every customer orders at four clients at once, one order after the other at each, so that some are past the gates whenever
        // the actor dies.
        let rush = customers.iter().enumerate().flat_map(|(number, buyer)| {
            let answered = &answered;
            (0..4).map(move |door| async move {
                let mut answers = Vec::new();
                for attempt in 0..4 {
                    let order = match attempt % 2 {
                        0 => card_order(sku, 1, "tok_ok"),
                        _ => held_order(sku, 1, number),
                    };
                    answers.push(buyer.orders_with(&format!("{round}-{door}-{attempt}"), order).await);
                    answered.set(answered.get() + 1);
                }
                answers
            })
        });
        let arming = async {
            eventually("the rush has begun", async || (answered.get() >= 16).then_some(())).await;
            failpoint::arm(&panicking);
        };
        let (answers, ()) = tokio::join!(join_all(rush), arming);
        assert!(!failpoint::is_armed(&panicking), "nothing panicked, so this shows nothing");
        for answer in answers.iter().flatten() {
            match answer.status {
                201 => {}
                409 => assert_eq!(answer.code(), "limit-reached", "{answer:?}"),
                _ => {
                    expect_try_again(answer);
                    turned_away += 1;
                }
            }
        }
        for buyer in &customers {
            let pieces = pieces_of(buyer).await;
            assert!(pieces <= LIMIT, "{pieces} pieces in round {round}");
        }
        // Half of them make room for the next round.
        for buyer in customers.iter().skip(round % 2).step_by(2) {
            for order in buyer.get("/v1/orders?limit=100").await.expect(200).items() {
                if order["status"] != "cancelled" {
                    buyer.cancels(order["id"].as_str().expect("an id")).await.expect(200);
                }
            }
        }
    }

    assert!(turned_away > 0, "the panics hit no request, so this proves nothing");
    // A hold that was lost does not keep a customer from what the limit allows.
    for (number, buyer) in customers.iter().enumerate() {
        for attempt in 0..LIMIT - pieces_of(buyer).await {
            let key = format!("at-last-{attempt}");
            eventually("what the limit allows", async || {
                let answer = buyer.orders_with(&key, card_order(&sku, 1, "tok_ok")).await;
                (answer.status == 201).then_some(())
            })
            .await;
        }
        buyer.orders_with("one-more", held_order(&sku, 1, number)).await.expect_problem(409, "limit-reached");
    }
    eventually("what is sold or held is what they have", async || {
        let [_, held, paid, _] = operator.pieces(&sale).await[0];
        (held + paid == LIMIT * 32).then_some(())
    })
    .await;
    expect_clean_audit(&engine).await;
    engine.stop().await;
}

/// Pieces of a customer's orders that are not cancelled.
async fn pieces_of(buyer: &Client) -> i64 {
    let orders = buyer.all_pages("/v1/orders", 100).await;
    let live = orders.iter().filter(|order| order["status"] != "cancelled" && order["status"] != "expired");
    live.map(|order| order["lines"][0]["quantity"].as_i64().expect("pieces")).sum()
}

/// A customer who wants as many pieces as are left, and remembers every order that was confirmed.
struct Buyer {
    number: usize,
    token: String,
    keys: Cell<usize>,
    /// A key that was sent and not clearly answered, with its order.
    unclear: RefCell<Option<(String, Value)>>,
    was_unclear: Cell<bool>,
    /// Confirmed orders, none of which the customer has asked to cancel.
    orders: RefCell<Vec<String>>,
}

impl Buyer {
    fn new((number, token): (usize, String)) -> Self {
        let (unclear, orders) = (RefCell::default(), RefCell::default());
        Self { number, token, keys: Cell::default(), unclear, was_unclear: Cell::default(), orders }
    }

    async fn buys_until(&self, door: &Client, sku: &str, closed: &Cell<bool>, bought: &Cell<usize>) {
        let door = door.with_token(&*self.token);
        while !closed.get() {
            if self.unclear.borrow().is_none() {
                self.wants_one(sku);
            }
            match self.asks(&door).await {
                Some(true) => bought.set(bought.get() + 1),
                Some(false) => {
                    // At the limit, or sold out: one that was bought makes room.
                    let given_up = self.orders.borrow_mut().pop();
                    if let Some(order) = given_up {
                        let path = format!("/v1/orders/{order}/cancel");
                        let cancel = door.request(reqwest::Method::POST, &path);
                        let _ = timeout(PATIENCE, door.try_send(cancel)).await.expect("an answer");
                    }
                }
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    fn wants_one(&self, sku: &str) {
        let count = self.keys.get() + 1;
        self.keys.set(count);
        let order = match count % 2 {
            0 => held_order(sku, 1, self.number),
            _ => card_order(sku, 1, "tok_ok"),
        };
        self.unclear.replace(Some((format!("order-{count}"), order)));
    }

    /// Whether the order stands; nothing when that is unclear.
    async fn asks(&self, door: &Client) -> Option<bool> {
        let (key, order) = self.unclear.borrow().clone().expect("an order");
        let request =
            door.request(reqwest::Method::POST, "/v1/orders").header("Idempotency-Key", key).json(&order);
        let answered =
            timeout(PATIENCE, door.try_send(request)).await.expect("an answer within the patience");
        let Ok(answer) = answered else {
            self.was_unclear.set(true);
            return None;
        };
        match answer.status {
            201 => self.orders.borrow_mut().push(answer.id().to_owned()),
            409 => assert!(matches!(answer.code(), "limit-reached" | "sold-out"), "{answer:?}"),
            _ => {
                expect_try_again(&answer);
                return None;
            }
        }
        self.unclear.replace(None);
        let pieces = self.orders.borrow().len();
        assert!(pieces <= LIMIT as usize, "{} was promised {pieces}", self.number);
        Some(answer.status == 201)
    }

    async fn finds_out(&self, door: &Client) {
        let door = door.with_token(&*self.token);
        eventually("a clear answer", async || {
            let is_clear = self.unclear.borrow().is_none();
            (is_clear || self.asks(&door).await.is_some()).then_some(())
        })
        .await;
    }

    async fn buys_until_it_is_refused(&self, door: &Client, sku: &str) {
        let door = door.with_token(&*self.token);
        loop {
            self.wants_one(sku);
            let stands = eventually("a clear answer", async || self.asks(&door).await).await;
            if !stands {
                return;
            }
        }
    }

    /// Nothing that was confirmed and not given up is lost.
    async fn finds_its_orders(&self, door: &Client) {
        let door = door.with_token(&*self.token);
        let orders = self.orders.take();
        for order in &orders {
            let found = door.order(order).await.expect(200);
            assert_ne!(found.order_status(), "cancelled", "{found:?}");
        }
    }
}
