//! The engine is killed while people wait for a flash sale: tickets, draw and admissions are as they were told.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};
use shobai::actors::runtime::failpoint;
use shobai::actors::waiting_room::PublishedDraw;

use crate::buyers::{buyers, expect_clean_audit, expect_try_again, id_of};
use crate::operator::{Operator, PIECES, buys, held_order, plan, skus, soon};
use crate::support::client::card_order;
use crate::support::shop::Shop;
use crate::support::{Answer, Client, TestEngine, eventually};

/// A waiting customer with their ticket.
struct Waiting<'a> {
    token: &'a str,
    sale: &'a str,
    ticket: String,
    number: u64,
}

impl<'a> Waiting<'a> {
    async fn join(door: &Client, token: &'a str, sale: &'a str) -> Self {
        let client = door.with_token(token);
        let joined = eventually("the room is there", async || {
            let answer = client.post(&format!("/v1/sales/{sale}/queue"), json!({})).await;
            (!matches!(answer.code(), "no-waiting-room" | "busy")).then_some(answer)
        })
        .await
        .expect(201);
        let ticket = joined.body["ticket"].as_str().expect("a ticket").to_owned();
        Self { token, sale, ticket, number: joined.body["number"].as_u64().expect("a number") }
    }

    /// Once the room is there.
    async fn place(&self, door: &Client) -> Value {
        let client = door.with_token(self.token);
        eventually("the room is there", async || {
            let look = client.request(reqwest::Method::GET, &format!("/v1/sales/{}/queue", self.sale));
            let answer = client.send(look.header("Queue-Ticket", &self.ticket)).await;
            (!matches!(answer.code(), "no-waiting-room" | "busy")).then_some(answer)
        })
        .await
        .expect(200)
        .body
    }

    async fn sees(&self, door: &Client, state: &str) -> Value {
        eventually(&format!("ticket {} is {state}", self.number), async || {
            let place = self.place(door).await;
            (place["state"] == state).then_some(place)
        })
        .await
    }

    async fn admission(&self, door: &Client) -> String {
        self.sees(door, "admitted").await["admission"].as_str().expect("an admission").to_owned()
    }

    async fn orders(&self, door: &Client, admission: &str, order: Value) -> Answer {
        let client: Client = door.with_token(self.token);
        let request = client.request(reqwest::Method::POST, "/v1/orders");
        let request = request.header("Idempotency-Key", uuid::Uuid::now_v7().to_string());
        client.send(request.header("Sale-Admission", admission).json(&order)).await
    }
}

async fn all_join<'a>(door: &Client, tokens: &'a [String], sale: &'a str) -> Vec<Waiting<'a>> {
    join_all(tokens.iter().map(|token| Waiting::join(door, token, sale))).await
}

async fn armed(operator: &Operator, sku: &str, opens_at: Timestamp, admission: Value) -> String {
    let mut queued = plan(&[sku.to_owned()], opens_at);
    if admission["mode"] == "lottery" {
        queued["items"][0]["allotment"] = json!(2);
    }
    queued["admission"] = admission;
    let sale = operator.plans(queued).await;
    for action in ["schedule", "arm"] {
        operator.tells(&sale, action).await.expect(200);
    }
    sale
}

/// As it was published: by the seed that was committed to before the first customer came.
async fn draw(door: &Client, sale: &str) -> Value {
    let draw = eventually("it is drawn", async || {
        let draw = door.get(&format!("/v1/sales/{sale}/draw")).await;
        (draw.status == 200).then_some(draw.body)
    })
    .await;
    serde_json::from_value::<PublishedDraw>(draw.clone()).expect("a draw").verify().expect("a fair draw");
    draw
}

async fn commitment(door: &Client, sale: &str) -> Value {
    let sale = door.get(&format!("/v1/sales/{sale}")).await.expect(200).body;
    assert!(sale["commitment"].is_string(), "{sale}");
    sale["commitment"].clone()
}

/// Those who wait in the order of the draw.
fn in_order<'a, 'b>(waiting: &'b [Waiting<'a>], draw: &Value) -> Vec<&'b Waiting<'a>> {
    let order: Vec<u64> =
        draw["order"].as_array().expect("an order").iter().filter_map(Value::as_u64).collect();
    let mut waiting: Vec<&Waiting<'_>> = waiting.iter().collect();
    waiting.sort_by_key(|waiting| order.iter().position(|number| *number == waiting.number));
    assert_eq!(order, waiting.iter().map(|waiting| waiting.number).collect::<Vec<_>>());
    waiting
}

#[actix_web::test]
async fn a_kill_costs_no_waiting_customer_their_place() {
    let mut shop = Shop::open(&[]).await;
    let (mut door, mut operator) = (shop.visitor(), Operator::at(&shop).await);
    let tokens = shop.customers(8).await;
    let skus = skus(&shop).await;
    let queue = |per_second: u32| json!({"mode": "queue", "per_second": per_second});

    // One is paused before a customer comes, one is drawn and admits customers, one each is drawn while the engine is down.
    let paused = armed(&operator, &skus[0], soon(-1_000), queue(100)).await;
    operator.sees(&paused, "open").await;
    operator.tells(&paused, "pause").await.expect(200);
    let in_paused = all_join(&door, &tokens[..2], &paused).await;
    let open = armed(&operator, &skus[1], soon(2_000), queue(1)).await;
    let in_open = all_join(&door, &tokens, &open).await;
    let drawn = draw(&door, &open).await;
    let in_open = in_order(&in_open, &drawn);
    let [used, holds, unused, behind @ ..] = &in_open[..] else { panic!("eight people") };
    let sku = &*skus[1];
    let spent = used.admission(&door).await;
    used.orders(&door, &spent, card_order(sku, 1, "tok_ok")).await.expect(201);
    let opens_at = soon(6_000);
    let early = armed(&operator, &skus[2], opens_at, queue(1)).await;
    let lottery = armed(&operator, &skus[3], opens_at, json!({"mode": "lottery"})).await;
    let in_early = all_join(&door, &tokens[..5], &early).await;
    let in_lottery = all_join(&door, &tokens[..5], &lottery).await;
    let committed = [commitment(&door, &early).await, commitment(&door, &lottery).await];
    let held_with = holds.admission(&door).await;
    let held = holds.orders(&door, &held_with, held_order(sku, 1, 1)).await.expect(201);
    let good = unused.admission(&door).await;
    let mut places = Vec::new();
    for waiting in behind {
        places.push(waiting.place(&door).await["position"].as_u64().unwrap_or(0));
    }
    assert!(places.last().is_some_and(|last| *last > 0), "all are in, so this shows little: {places:?}");
    for waiting in [&in_early[0], &in_lottery[0]] {
        assert_eq!(waiting.place(&door).await["state"], "pre_queue", "too late, so this shows little");
    }

    // The opening of two of them passes while the engine is down.
    shop.kill_engine().await;
    let wait = opens_at.duration_since(Timestamp::now());
    if wait.is_positive() {
        tokio::time::sleep(wait.unsigned_abs().min(Duration::from_secs(6))).await;
    }
    shop.start().await;
    door = shop.visitor();
    operator.again_at(&shop);

    for (waiting, before) in behind.iter().zip(places) {
        // Some may be admitted meanwhile; no customer falls back.
        let now = waiting.place(&door).await["position"].as_u64().unwrap_or(0);
        assert!(now <= before, "ticket {}: {before}, then {now}", waiting.number);
    }
    assert_eq!(draw(&door, &open).await, drawn);
    for waiting in in_open.iter().copied().chain(&in_early).chain(&in_lottery).chain(&in_paused) {
        let place = waiting.place(&door).await;
        assert_ne!(place["state"], "no_show", "{place}");
        if waiting.sale != lottery {
            let again = Waiting::join(&door, waiting.token, waiting.sale).await;
            assert_eq!(again.ticket, waiting.ticket);
        }
    }

    // An admission is good for one live order alone, however often it is used.
    for (waiting, admission) in [(used, &spent), (holds, &held_with)] {
        let again = waiting.orders(&door, admission, card_order(sku, 1, "tok_ok")).await;
        again.expect_problem(403, "not-admitted");
        waiting.sees(&door, "ordered").await;
    }
    unused.orders(&door, &good, card_order(sku, 1, "tok_ok")).await.expect(201);
    unused.orders(&door, &good, card_order(sku, 1, "tok_ok")).await.expect_problem(403, "not-admitted");
    unused.sees(&door, "ordered").await;
    // What is given up makes room again, up to the limit.
    door.with_token(holds.token).cancels(held.id()).await.expect(200);
    holds.orders(&door, &held_with, card_order(sku, 3, "tok_ok")).await.expect_problem(409, "limit-reached");
    holds.orders(&door, &held_with, card_order(sku, 2, "tok_ok")).await.expect(201);
    operator.sees_pieces(&open, &[[PIECES - 4, 0, 4, 0]]).await;

    let [in_queue, in_draw] = &committed;
    let drawn = draw(&door, &early).await;
    assert_eq!(&drawn["commitment"], in_queue);
    let line = in_order(&in_early, &drawn);
    assert_eq!(line.len(), 5);
    eventually("all are let in, as they were drawn", async || {
        // Backwards, so that no customer is admitted between two requests.
        let mut is_in = Vec::new();
        for waiting in line.iter().rev() {
            is_in.push(waiting.place(&door).await["state"] == "admitted");
        }
        assert!(is_in.is_sorted(), "{is_in:?}");
        is_in.iter().all(|is_in| *is_in).then_some(())
    })
    .await;
    let drawn = draw(&door, &lottery).await;
    assert_eq!(&drawn["commitment"], in_draw);
    let line = in_order(&in_lottery, &drawn);
    for (index, waiting) in line.iter().enumerate() {
        waiting.sees(&door, if index < 2 { "admitted" } else { "waiting" }).await;
    }

    // Once more, with a lottery that has its winners.
    let [won, also_won, lost @ ..] = &line[..] else { panic!("five people") };
    let prize = won.admission(&door).await;
    shop.kill_engine().await;
    shop.start().await;
    door = shop.visitor();
    operator.again_at(&shop);
    assert_eq!(draw(&door, &lottery).await, drawn);
    also_won.sees(&door, "admitted").await;
    won.orders(&door, &prize, card_order(&skus[3], 1, "tok_ok")).await.expect(201);
    won.orders(&door, &prize, card_order(&skus[3], 1, "tok_ok")).await.expect_problem(403, "not-admitted");
    won.sees(&door, "ordered").await;
    for waiting in lost {
        waiting.sees(&door, "waiting").await;
    }

    buys(&shop, &tokens[0], card_order(&skus[0], 1, "tok_ok")).await.expect_problem(409, "sale-paused");
    for waiting in &in_paused {
        assert_eq!(waiting.place(&door).await["state"], "waiting");
    }
    operator.tells(&paused, "resume").await.expect(200);
    for waiting in &in_paused {
        let admission = waiting.admission(&door).await;
        waiting.orders(&door, &admission, card_order(&skus[0], 1, "tok_ok")).await.expect(201);
    }
    shop.expect_clean_audit().await;
}

#[actix_web::test]
async fn an_admission_that_was_not_saved_still_allows_one_order() {
    let engine = TestEngine::start().await;
    let sku = engine.sells("PANIC-ROOM", 100).await.to_string();
    let operator = Operator { staff: engine.staff().await };
    let (door, crowd) = (engine.visitor(), buyers(&engine, 3).await);
    let tokens: Vec<String> = crowd.iter().map(|buyer| buyer.token.clone().expect("a token")).collect();
    let sale = armed(&operator, &sku, soon(-1_000), json!({"mode": "queue", "per_second": 100})).await;
    engine.refuses_changes_of_tickets().await;
    let waiting = all_join(&door, &tokens[..2], &sale).await;
    let [used, unused] = &waiting[..] else { panic!("two people") };
    let spent = used.admission(&door).await;
    used.orders(&door, &spent, card_order(&sku, 1, "tok_ok")).await.expect(201);
    used.sees(&door, "ordered").await;
    let good = unused.admission(&door).await;

    let place = format!("waiting rooms {}", id_of(&crowd[2]).await);
    failpoint::arm(&place);
    let struck = crowd[2].post(&format!("/v1/sales/{sale}/queue"), json!({})).await;
    assert!(!failpoint::is_armed(&place), "nothing panicked, so this shows nothing");
    expect_try_again(&struck);

    // The database says that both wait. The one with an order is known by that order; the other is admitted again.
    used.sees(&door, "ordered").await;
    used.orders(&door, &spent, card_order(&sku, 1, "tok_ok")).await.expect_problem(403, "not-admitted");
    let again = unused.admission(&door).await;
    unused.orders(&door, &good, card_order(&sku, 1, "tok_ok")).await.expect(201);
    unused.orders(&door, &again, card_order(&sku, 1, "tok_ok")).await.expect_problem(403, "not-admitted");
    engine.takes_changes_of_tickets().await;
    unused.sees(&door, "ordered").await;
    let late = Waiting::join(&door, &tokens[2], &sale).await;
    late.orders(&door, &late.admission(&door).await, card_order(&sku, 1, "tok_ok")).await.expect(201);
    expect_clean_audit(&engine).await;
    engine.stop().await;
}

#[actix_web::test]
async fn an_admission_returned_while_the_gates_restarted_is_valid_again() {
    let engine = TestEngine::start().await;
    let sku = engine.sells("PANIC-GATES", 100).await.to_string();
    let operator = Operator { staff: engine.staff().await };
    let (door, crowd) = (engine.visitor(), buyers(&engine, 2).await);
    let tokens: Vec<String> = crowd.iter().map(|buyer| buyer.token.clone().expect("a token")).collect();
    let sale = armed(&operator, &sku, soon(-1_000), json!({"mode": "queue", "per_second": 100})).await;
    let waiting = all_join(&door, &tokens[..1], &sale).await;
    let used = &waiting[0];
    let admission = used.admission(&door).await;
    let order = used.orders(&door, &admission, held_order(&sku, 1, 1)).await.expect(201);
    used.sees(&door, "ordered").await;

    // The gates end before they have told of it.
    let panicking = format!("sales {}", id_of(&crowd[1]).await);
    failpoint::arm(&panicking);
    door.with_token(&tokens[0]).cancels(order.id()).await.expect(200);
    crowd[1].orders_by_card(&sku, 1).await;
    assert!(!failpoint::is_armed(&panicking), "nothing panicked, so this shows nothing");

    let again = used.admission(&door).await;
    eventually("it is good", async || {
        let bought = used.orders(&door, &again, card_order(&sku, 1, "tok_ok")).await;
        (bought.status == 201).then_some(())
    })
    .await;
    used.sees(&door, "ordered").await;
    expect_clean_audit(&engine).await;
    engine.stop().await;
}
