//! The waiting room of a sale: tickets, the draw, admissions, and what becomes of those who do not come.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{LocalBoxFuture, join_all};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use shobai::actors::waiting_room::{Challenge, ChallengeError, ProofOfWork, PublishedDraw};
use shobai::engine::Extensions;
use shobai::types::CustomerId;

use crate::payments::{paid, report};
use crate::support::client::{card_order, konbini_order};
use crate::support::{Answer, Client, TestEngine, eventually};

pub fn plan(mode: &str, opens_in_ms: i64, allotment: i64, per_second: u32) -> Value {
    let from_now = |milliseconds| Timestamp::now() + SignedDuration::from_millis(milliseconds);
    json!({
        "name": "Queued", "opens_at": from_now(opens_in_ms), "closes_at": from_now(600_000),
        "items": [{"sku": "LAMP", "price": 500, "allotment": allotment}],
        "limit_per_customer": 1,
        "admission": {"mode": mode, "per_second": per_second},
    })
}

pub async fn armed(engine: &TestEngine, plan: Value) -> String {
    let staff = engine.staff().await;
    let sale = staff.post("/v1/admin/sales", plan).await.expect(201).id().to_owned();
    for action in ["schedule", "arm"] {
        staff
            .post(&format!("/v1/admin/sales/{sale}/{action}"), json!({"reason": "a test"}))
            .await
            .expect(200);
    }
    sale
}

/// Customers, before a sale is planned: their passwords take a while.
pub async fn customers(engine: &TestEngine, count: usize) -> Vec<Client> {
    join_all((0..count).map(|_| engine.customer())).await
}

/// A waiting customer.
pub struct Waiting {
    pub client: Client,
    pub sale: String,
    pub ticket: String,
    pub number: u64,
}

impl Waiting {
    pub async fn join(client: Client, sale: &str) -> Self {
        let joined = eventually("the room is there", async || {
            let answer = client.post(&format!("/v1/sales/{sale}/queue"), json!({})).await;
            // Just after the opening it is being drawn.
            (!matches!(answer.code(), "no-waiting-room" | "busy")).then_some(answer)
        })
        .await
        .expect(201);
        let ticket = joined.body["ticket"].as_str().expect("a ticket").to_owned();
        let number = joined.body["number"].as_u64().expect("a number");
        Self { client, sale: sale.to_owned(), ticket, number }
    }

    pub async fn place(&self) -> Answer {
        let request =
            self.client.request(reqwest::Method::GET, &format!("/v1/sales/{sale}/queue", sale = self.sale));
        self.client.send(request.header("Queue-Ticket", &self.ticket)).await.expect(200)
    }

    pub async fn admission(&self) -> String {
        eventually("they are let in", async || {
            self.place().await.body["admission"].as_str().map(str::to_owned)
        })
        .await
    }

    pub async fn orders(&self, admission: Option<&str>, key: &str) -> Answer {
        self.orders_with(admission, key, &card_order("LAMP", 1, "tok_ok")).await
    }

    pub async fn orders_with(&self, admission: Option<&str>, key: &str, order: &Value) -> Answer {
        let mut request = self
            .client
            .request(reqwest::Method::POST, "/v1/orders")
            .header("Idempotency-Key", key)
            .json(order);
        if let Some(admission) = admission {
            request = request.header("Sale-Admission", admission);
        }
        self.client.send(request).await
    }
}

#[actix::test]
async fn early_customers_are_admitted_in_the_order_of_a_verifiable_draw() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 1_000).await;
    let (crowd, last) = (customers(&engine, 30).await, engine.customer().await);
    let sale = armed(&engine, plan("queue", 3_000, 1_000, 10)).await;
    let announced = engine.visitor().get(&format!("/v1/sales/{sale}")).await.expect(200).body;
    engine.visitor().get(&format!("/v1/sales/{sale}/draw")).await.expect_problem(404, "not-drawn");
    let early = join_all(crowd.into_iter().map(|client| Waiting::join(client, &sale))).await;
    let place = early[0].place().await;
    assert_eq!((place.body["state"].as_str(), place.body["position"].as_u64()), (Some("pre_queue"), None));
    assert_ne!(place.body["left"], "none");
    assert!(place.header("retry-after").is_some());
    // Asking twice changes nothing.
    let again = early[0].client.post(&format!("/v1/sales/{sale}/queue"), json!({})).await.expect(201);
    assert_eq!(again.body["ticket"], early[0].ticket);

    let draw = eventually("it is drawn", async || {
        let draw = engine.visitor().get(&format!("/v1/sales/{sale}/draw")).await;
        (draw.status == 200).then_some(draw.body)
    })
    .await;
    let late = Waiting::join(last, &sale).await;

    assert_eq!(draw["commitment"], announced["commitment"], "the seed is the one that was committed to");
    let published: PublishedDraw = serde_json::from_value(draw.clone()).expect("a draw");
    published.verify().expect("a fair draw");
    let order: Vec<u64> =
        draw["order"].as_array().expect("an order").iter().filter_map(Value::as_u64).collect();
    assert_eq!(order.len(), 30);
    assert_ne!(order, (1..=30).collect::<Vec<_>>(), "it is drawn, not sorted");
    // They are let in in that order: at every moment those who are in come before those who are not.
    let mut all: Vec<&Waiting> = early.iter().collect();
    all.sort_by_key(|waiting| order.iter().position(|number| *number == waiting.number));
    all.push(&late);
    eventually("all are let in", async || {
        // Backwards, so that no customer is admitted between two requests.
        let mut is_in = Vec::new();
        for waiting in all.iter().rev() {
            is_in.push(waiting.place().await.body["state"] == "admitted");
        }
        is_in.reverse();
        assert!(is_in.is_sorted_by(|earlier, later| earlier >= later), "{is_in:?}");
        is_in.iter().all(|is_in| *is_in).then_some(())
    })
    .await;
    engine.stop().await;
}

#[actix::test]
async fn an_order_needs_an_unused_admission_of_the_same_customer() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 100).await;
    let sale = armed(&engine, plan("queue", -1_000, 100, 1_000)).await;
    let one = Waiting::join(engine.customer().await, &sale).await;
    let other = Waiting::join(engine.customer().await, &sale).await;
    one.orders(None, "none").await.expect_problem(403, "not-admitted");
    let admission = one.admission().await;
    other.orders(Some(&admission), "stolen").await.expect_problem(403, "not-admitted");
    let mut forged = admission.clone();
    forged.replace_range(20..21, if &forged[20..21] == "A" { "B" } else { "A" });
    one.orders(Some(&forged), "forged").await.expect_problem(403, "not-admitted");

    let order = one.orders(Some(&admission), "first").await.expect(201);

    eventually("the room knows", async || (one.place().await.body["state"] == "ordered").then_some(())).await;
    one.orders(Some(&admission), "first").await.expect(201);
    // A cancelled order gives the admission back.
    one.client.cancels(order.id()).await.expect(200);
    one.orders(Some(&admission), "second").await.expect(201);
    let used = one.orders(Some(&admission), "third").await;
    assert!(matches!(used.code(), "limit-reached" | "not-admitted"), "{used:?}");
    let staff = engine.staff().await;
    let live = staff.get(&format!("/v1/admin/sales/{sale}/live")).await.expect(200).body;
    assert_eq!(live["queue"]["entries"], 2, "{live}");

    // Tickets are checked as well.
    let shows = async |sale: &str, ticket: &str| {
        let request = one.client.request(reqwest::Method::GET, &format!("/v1/sales/{sale}/queue"));
        one.client.send(request.header("Queue-Ticket", ticket)).await
    };
    one.client.get(&format!("/v1/sales/{sale}/queue")).await.expect_problem(400, "ticket-required");
    shows(&sale, "nonsense").await.expect_problem(422, "malformed-pass");
    let mut forged = one.ticket.clone();
    forged.replace_range(10..11, if &forged[10..11] == "A" { "B" } else { "A" });
    shows(&sale, &forged).await.expect_problem(403, "forged-pass");
    shows("019b0000-0000-7000-8000-000000000000", &one.ticket).await.expect_problem(403, "other-sale");
    engine.visitor().post(&format!("/v1/sales/{sale}/queue"), json!({})).await.expect(401);
    engine.stop().await;
}

#[actix::test]
async fn joining_a_waiting_room_may_require_a_proof_of_work() {
    let engine = TestEngine::start_with(|config| config.sales.challenge_bits = 8).await;
    engine.sells("LAMP", 100).await;
    let sale = armed(&engine, plan("queue", 60_000, 100, 1)).await;
    let (one, other) = (engine.customer().await, engine.customer().await);
    let asked = one.post(&format!("/v1/sales/{sale}/queue"), json!({})).await;
    let asked = asked.expect_problem(403, "challenge-required");
    let answer =
        ProofOfWork::solve(asked.body["challenge"].as_str().expect("a challenge")).expect("an answer");
    let joins = async |client: &Client, answer: &str| {
        let request = client.request(reqwest::Method::POST, &format!("/v1/sales/{sale}/queue"));
        client.send(request.header("Challenge-Answer", answer)).await
    };
    assert!(joins(&one, "nonsense").await.status >= 400);
    assert_eq!(joins(&other, &answer).await.status, 403);
    eventually("the room is there", async || (joins(&one, &answer).await.status == 201).then_some(())).await;
    engine.stop().await;
}

/// A client that knows the word of the day may join; a remote service that sometimes does not answer checks it.
struct WordOfTheDay;

impl Challenge for WordOfTheDay {
    fn issue(&self, _: CustomerId, _: Timestamp) -> String {
        "the word of the day".to_owned()
    }

    fn check<'a>(
        &'a self,
        _: CustomerId,
        answer: &'a str,
        _: Timestamp,
    ) -> LocalBoxFuture<'a, Result<(), ChallengeError>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            match answer {
                "chrysanthemum" => Ok(()),
                "silence" => std::future::pending().await,
                _ => Err(ChallengeError::NotSolved),
            }
        })
    }
}

#[actix::test]
async fn a_shop_may_replace_the_challenge_by_its_own() {
    let extensions = Extensions { challenge: Some(Arc::new(WordOfTheDay)) };
    let engine = TestEngine::start_extended(extensions, |_| {}).await;
    engine.sells("LAMP", 100).await;
    let sale = armed(&engine, plan("queue", 60_000, 100, 1)).await;
    let customer = engine.customer().await;
    let path = format!("/v1/sales/{sale}/queue");
    let asked = customer.post(&path, json!({})).await.expect_problem(403, "challenge-required");
    assert_eq!(asked.body["challenge"], "the word of the day");
    let joins = async |word: &str| {
        let request = customer.request(reqwest::Method::POST, &path).header("Challenge-Answer", word);
        customer.send(request).await
    };
    joins("rose").await.expect_problem(403, "challenge-not-solved");
    joins("silence").await.expect_problem(503, "challenge-unavailable");
    eventually("the room is there", async || (joins("chrysanthemum").await.status == 201).then_some(()))
        .await;
    engine.stop().await;
}

#[actix::test]
async fn no_more_customers_are_admitted_than_pieces_remain_and_the_others_are_told() {
    let engine = TestEngine::start_with(|config| config.sales.admissions_per_piece = 1.0).await;
    engine.sells("LAMP", 100).await;
    let crowd = customers(&engine, 8).await;
    let sale = armed(&engine, plan("queue", 1_500, 3, 1_000)).await;
    let crowd = join_all(crowd.into_iter().map(|client| Waiting::join(client, &sale))).await;
    let states = async || {
        join_all(crowd.iter().map(|waiting| waiting.place())).await.into_iter().map(|place| place.body)
    };
    eventually("three are let in", async || {
        (states().await.filter(|place| place["state"] == "admitted").count() == 3).then_some(())
    })
    .await;
    let buyers = join_all(crowd.iter().map(async |waiting| {
        let admission = waiting.place().await.body["admission"].as_str().map(str::to_owned)?;
        waiting.orders(Some(&admission), "mine").await.expect(201);
        Some(waiting.number)
    }))
    .await;
    assert_eq!(buyers.iter().flatten().collect::<BTreeSet<_>>().len(), 3);

    eventually("the others are told", async || {
        (states().await.filter(|place| place["state"] == "sold_out").count() == 5).then_some(())
    })
    .await;
    let late = engine.customer().await;
    late.post(&format!("/v1/sales/{sale}/queue"), json!({})).await.expect_problem(409, "sold-out");
    engine.stop().await;
}

#[actix::test]
async fn admissions_never_exceed_the_remaining_pieces_times_the_factor() {
    let engine = TestEngine::start_with(|config| config.sales.admissions_per_piece = 1.5).await;
    engine.sells("LAMP", 100).await;
    let crowd = customers(&engine, 40).await;
    let staff = engine.staff().await;
    let sale = armed(&engine, plan("queue", 2_500, 10, 1_000)).await;
    let crowd = join_all(crowd.into_iter().map(|client| Waiting::join(client, &sale))).await;
    let let_in = async || {
        let live = staff.get(&format!("/v1/admin/sales/{sale}/live")).await.expect(200).body;
        let figure = |name: &str| live["queue"][name].as_u64().expect("a figure");
        figure("admitted") + figure("ordered") + figure("no_shows")
    };
    // Fifteen for ten pieces, however fast the doors may be; looked at without a pause.
    let stays = async |expected: u64| {
        eventually("so many are let in", async || (let_in().await == expected).then_some(())).await;
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(1_500) {
            let now = let_in().await;
            assert_eq!(now, expected, "after {:?}", began.elapsed());
        }
    };
    stays(15).await;
    let mut inside = Vec::new();
    for waiting in &crowd {
        inside.extend(
            waiting.place().await.body["admission"].as_str().map(|admission| (waiting, admission.to_owned())),
        );
    }
    // Twelve are admitted, and seven pieces are left for them and all who come after them: eleven would be too many.
    for (waiting, admission) in &inside[..3] {
        waiting.orders(Some(admission), "mine").await.expect(201);
    }
    stays(15).await;
    // What comes back lets those in for whom there is a piece again: as before, fifteen for ten.
    for (waiting, _) in &inside[..3] {
        let order = waiting.client.get("/v1/orders").await.expect(200).items()[0]["id"].clone();
        waiting.client.cancels(order.as_str().expect("an id")).await.expect(200);
    }
    stays(15).await;
    engine.stop().await;
}

#[actix::test]
async fn waiting_customers_are_told_within_two_seconds_that_the_last_pieces_are_sold() {
    /// The promise: from the moment at which nothing is left and nothing is held.
    const WITHIN: Duration = Duration::from_secs(2);
    let engine = TestEngine::start_with(|config| config.sales.admissions_per_piece = 1.0).await;
    engine.sells("LAMP", 100).await;
    let crowd = customers(&engine, 6).await;
    let mut plan = plan("queue", 1_500, 2, 1_000);
    plan["konbini"] = json!({"allowed": true, "share_max": 1.0});
    // Both have the same phone.
    plan["limit_per_customer"] = Value::Null;
    let sale = armed(&engine, plan).await;
    let crowd = join_all(crowd.into_iter().map(|client| Waiting::join(client, &sale))).await;
    let places =
        async || join_all(crowd.iter().map(Waiting::place)).await.into_iter().map(|place| place.body);
    let count = async |state: &str, left: &str| {
        places().await.filter(|place| place["state"] == state && place["left"] == left).count()
    };
    let admissions = eventually("two are let in", async || {
        let admissions: Vec<Option<String>> =
            places().await.map(|place| place["admission"].as_str().map(str::to_owned)).collect();
        (admissions.iter().flatten().count() == 2).then_some(admissions)
    })
    .await;
    let slip = konbini_order("LAMP", 1);
    let holds = join_all(crowd.iter().zip(&admissions).map(async |(waiting, admission)| {
        let order = waiting.orders_with(Some(admission.as_deref()?), "mine", &slip).await.expect(201);
        Some(order.id().to_owned())
    }));
    let holds: Vec<String> = holds.await.into_iter().flatten().collect();

    eventually("the others are told of the holds", async || {
        (count("waiting", "held").await == 4).then_some(())
    })
    .await;
    report(&engine, &paid(&holds[0], 500)).await.expect(200);
    eventually("one hold may still lapse", async || (count("ordered", "held").await == 2).then_some(()))
        .await;
    assert_eq!(count("waiting", "held").await, 4);
    report(&engine, &paid(&holds[1], 500)).await.expect(200);
    let gone = Instant::now();
    eventually("the others are told", async || (count("sold_out", "none").await == 4).then_some(())).await;
    let told_after = gone.elapsed();

    println!("told {} ms after the last payment", told_after.as_millis());
    assert!(told_after <= WITHIN, "{told_after:?}");
    engine.stop().await;
}

#[actix::test]
async fn a_customer_who_lets_an_admission_lapse_may_rejoin_at_the_end() {
    let engine = TestEngine::start_with(|config| {
        config.sales.admissions_per_piece = 1.0;
        config.sales.admission_seconds = 2;
    })
    .await;
    engine.sells("LAMP", 100).await;
    let clients = customers(&engine, 2).await;
    let sale = armed(&engine, plan("queue", -1_000, 1, 1_000)).await;
    let staff = engine.staff().await;
    let one = Waiting::join(clients[0].clone(), &sale).await;
    let lapsed = one.admission().await;
    let next = Waiting::join(clients[1].clone(), &sale).await;

    next.admission().await;

    // There is one piece, so the other's turn was over before.
    let place = one.place().await.body;
    assert_eq!((&place["state"], &place["admission"]), (&json!("no_show"), &Value::Null), "{place}");
    one.orders(Some(&lapsed), "too-late").await.expect_problem(403, "not-admitted");
    let live = staff.get(&format!("/v1/admin/sales/{sale}/live")).await.expect(200).body;
    assert!(live["queue"]["no_shows"].as_u64() >= Some(1), "{live}");
    let again = Waiting::join(one.client.clone(), &sale).await;
    assert!(again.number > next.number, "{} after {}", again.number, next.number);
    assert_eq!(one.place().await.body["state"], "no_show", "the ticket of before stays what it is");
    let admission = again.admission().await;
    assert_eq!(next.place().await.body["state"], "no_show");
    again.orders(Some(&admission), "in-time").await.expect(201);
    engine.stop().await;
}

#[actix::test]
async fn the_automatic_rate_rises_while_customers_wait_and_falls_while_orders_are_slow() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 10_000).await;
    let crowd = customers(&engine, 48).await;
    let staff = engine.staff().await;
    let mut automatic = plan("queue", 2_500, 10_000, 1);
    automatic["admission"] = json!({"mode": "queue"});
    let sale = armed(&engine, automatic).await;
    let crowd = join_all(crowd.into_iter().map(|client| Waiting::join(client, &sale))).await;
    let rate = async || {
        let live = staff.get(&format!("/v1/admin/sales/{sale}/live")).await.expect(200).body;
        live["queue"]["admissions_per_second"].as_f64().expect("a rate")
    };
    let first = rate().await;
    let mut high =
        eventually("the rate goes up", async || Some(rate().await).filter(|rate| *rate > first)).await;

    // Whatever it is that an order waits for: its pieces, or its own row.
    for (waiting, table) in crowd.iter().zip(["inventory.stock", "orders.orders"]) {
        let admission = waiting.admission().await;
        let hold_up = engine.holds_up(table, 3.0);
        let low = async {
            engine.sees_locked(table).await;
            let ordering = waiting.orders(Some(&admission), "slow");
            // Before it has its answer.
            let low =
                eventually("the rate goes down", async || Some(rate().await).filter(|rate| *rate < high));
            let (ordered, low) = tokio::join!(ordering, low);
            ordered.expect(201);
            low
        };
        let ((), low) = tokio::join!(hold_up, low);
        println!("{high} a second, and {low} while orders waited for {table}");
        high = low;
    }
    engine.stop().await;
}

#[actix::test]
async fn no_customer_is_admitted_while_the_sale_is_stopped() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 100).await;
    let staff = engine.staff().await;
    let mut crowd = customers(&engine, 9).await.into_iter();
    let sale = armed(&engine, plan("queue", -1_000, 100, 1_000)).await;
    let next = Waiting::join(crowd.next().expect("a customer"), &sale).await;
    let early = next.admission().await;
    for (stop, go_on) in [
        ("/v1/admin/kill".to_owned(), "/v1/admin/resume".to_owned()),
        (format!("/v1/admin/sales/{sale}/kill"), format!("/v1/admin/sales/{sale}/resume")),
        (format!("/v1/admin/sales/{sale}/pause"), format!("/v1/admin/sales/{sale}/resume")),
        (
            format!("/v1/admin/sales/{sale}/items/LAMP/kill"),
            format!("/v1/admin/sales/{sale}/items/LAMP/resume"),
        ),
    ] {
        staff.post(&stop, json!({"reason": "a test"})).await.expect(200);
        let waiting = join_all(crowd.by_ref().take(2).map(|client| Waiting::join(client, &sale))).await;
        // Without that, all are admitted within a fifth of a second.
        let stopped = Instant::now();
        while stopped.elapsed() < Duration::from_millis(1_200) {
            for waiting in &waiting {
                assert_eq!(waiting.place().await.body["state"], "waiting", "{stop}");
            }
        }
        staff.post(&go_on, json!({"reason": "a test"})).await.expect(200);
        for waiting in &waiting {
            waiting.admission().await;
        }
    }
    // A customer who was admitted before has lost nothing.
    next.orders(Some(&early), "at-last").await.expect(201);
    engine.stop().await;
}

#[actix::test]
async fn runners_up_of_a_lottery_replace_winners_who_do_not_come() {
    let engine = TestEngine::start_with(|config| config.sales.admission_seconds = 2).await;
    engine.sells("LAMP", 100).await;
    let crowd = customers(&engine, 5).await;
    let mut lottery = plan("lottery", 2_000, 2, 1);
    lottery["admission"] = json!({"mode": "lottery"});
    let sale = armed(&engine, lottery).await;
    let crowd = join_all(crowd.into_iter().map(|client| Waiting::join(client, &sale))).await;
    let admitted = async || {
        let places = join_all(crowd.iter().map(|waiting| waiting.place())).await.into_iter();
        let numbers = crowd.iter().map(|waiting| waiting.number).zip(places);
        numbers
            .filter(|(_, place)| place.body["state"] == "admitted")
            .map(|(number, _)| number)
            .collect::<BTreeSet<_>>()
    };
    let winners =
        eventually("two win", async || Some(admitted().await).filter(|admitted| admitted.len() == 2)).await;
    let late = engine.customer().await.post(&format!("/v1/sales/{sale}/queue"), json!({})).await;
    assert_eq!(late.status, 409, "{late:?}");
    eventually("others move up", async || {
        let admitted = admitted().await;
        (admitted.len() == 2 && admitted.is_disjoint(&winners)).then_some(())
    })
    .await;
    engine.stop().await;
}

#[actix::test]
async fn a_restart_keeps_the_order_and_the_ticket_of_every_customer() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 1_000).await;
    let crowd = customers(&engine, 12).await;
    let sale = armed(&engine, plan("queue", 1_500, 1_000, 1)).await;
    let mut crowd = join_all(crowd.into_iter().map(|client| Waiting::join(client, &sale))).await;
    let draw = eventually("it is drawn", async || {
        let draw = engine.visitor().get(&format!("/v1/sales/{sale}/draw")).await;
        (draw.status == 200).then_some(draw.body)
    })
    .await;
    let before =
        join_all(crowd.iter().map(async |waiting| waiting.place().await.body["position"].as_u64())).await;

    let engine = engine.restart().await;

    for waiting in &mut crowd {
        waiting.client = engine.visitor().with_token(waiting.client.token.clone().expect("a token"));
    }
    eventually("the room is there again", async || {
        let request = crowd[0].client.request(reqwest::Method::GET, &format!("/v1/sales/{sale}/queue"));
        let answer = crowd[0].client.send(request.header("Queue-Ticket", &crowd[0].ticket)).await;
        (answer.status == 200).then_some(())
    })
    .await;
    assert_eq!(engine.visitor().get(&format!("/v1/sales/{sale}/draw")).await.expect(200).body, draw);
    let after =
        join_all(crowd.iter().map(async |waiting| waiting.place().await.body["position"].as_u64())).await;
    for (before, after) in before.iter().zip(&after) {
        // Some were admitted meanwhile; no customer fell back.
        assert!(after.unwrap_or(0) <= before.unwrap_or(0), "{before:?} {after:?}");
    }
    let again = crowd[3].client.post(&format!("/v1/sales/{sale}/queue"), json!({})).await.expect(201);
    assert_eq!(again.body["ticket"], crowd[3].ticket);
    engine.stop().await;
}

#[actix::test]
async fn the_settlement_says_whether_admissions_followed_the_draw() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 100).await;
    let crowd = customers(&engine, 4).await;
    let sale = armed(&engine, plan("queue", 3_000, 100, 1)).await;
    let staff = engine.staff().await;
    let waiting = join_all(crowd.into_iter().map(|client| Waiting::join(client, &sale))).await;
    join_all(waiting.iter().map(Waiting::admission)).await;
    let report = async || staff.get(&format!("/v1/admin/sales/{sale}/report")).await.expect(200).body;
    // Who was let in is written a moment later.
    let fair = eventually("all of them stand in the report", async || {
        let report = report().await;
        let turns = report["summary"]["queue"]["turns"].as_array().unwrap().iter();
        let let_in: usize = turns.map(|turn| turn["tickets"].as_array().unwrap().len()).sum();
        (let_in == 4).then_some(report)
    })
    .await;
    assert_eq!((&fair["summary"]["is_clean"], &fair["summary"]["findings"]), (&json!(true), &json!([])));
    let first = fair["summary"]["queue"]["draw"]["order"][0].as_u64().unwrap();

    engine
        .by_hand(&format!(
            "update sales.entry_changes set at = at + interval '1 hour' where number = {first}"
        ))
        .await;

    let unfair = report().await;
    assert_eq!(unfair["summary"]["is_clean"], false, "{unfair}");
    assert!(unfair["summary"]["findings"].to_string().contains(&format!("ticket {first} in front of it")));
    engine.stop().await;
}
