//! Why a customer got what they got in a sale: every decision, from the ticket to the refund.

use serde_json::{Value, json};
use shobai::actors::waiting_room::ProofOfWork;

use crate::payments::{paid, report};
use crate::queue::{Waiting, armed, customers, plan};
use crate::sales::Operator;
use crate::support::client::{card_order, konbini_order};
use crate::support::{Answer, Client, TestEngine, eventually};

/// The decisions as part and text, oldest first.
async fn decisions(staff: &Client, sale: &str, about: &str) -> Vec<(String, String)> {
    let why: Answer = staff.get(&format!("/v1/admin/sales/{sale}/why?{about}")).await.expect(200);
    let times: Vec<jiff::Timestamp> =
        why.items().iter().map(|item| item["at"].as_str().unwrap().parse().unwrap()).collect();
    assert!(times.is_sorted(), "{why:?}");
    let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
    why.items().iter().map(|item| (text(item, "part"), text(item, "what"))).collect()
}

/// Once so many decisions are there, of which some are written a moment later.
async fn complete(staff: &Client, sale: &str, about: &str, count: usize) -> Vec<(String, String)> {
    let last = std::sync::Mutex::default();
    let what = format!("{count} decisions about {about}");
    eventually(&what, async || {
        let found = decisions(staff, sale, about).await;
        *last.lock().unwrap() = found.clone();
        assert!(found.len() <= count, "{found:#?}");
        (found.len() == count).then_some(found)
    })
    .await
}

/// The question about a customer.
async fn about(client: &Client) -> String {
    format!("customer={}", client.get("/v1/users/me").await.expect(200).id())
}

/// Each decision is of its part and says all of these words.
fn assert_told(found: &[(String, String)], expected: &[(&str, &[&str])]) {
    for ((part, what), (expected_part, words)) in found.iter().zip(expected) {
        assert_eq!(part, expected_part, "{found:#?}");
        assert!(words.iter().all(|word| what.contains(word)), "{what} without {words:?}: {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[actix::test]
async fn every_decision_is_explained_from_the_draw_to_the_refund() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 100).await;
    let (crowd, staff) = (customers(&engine, 3).await, engine.staff().await);
    let mut plan = plan("queue", 2_000, 100, 1_000);
    plan["konbini"] = json!({"allowed": true, "share_max": 1.0});
    let sale = armed(&engine, plan).await;
    let mut crowd = crowd.into_iter();
    let one = Waiting::join(crowd.next().unwrap(), &sale).await;
    let _other = Waiting::join(crowd.next().unwrap(), &sale).await;
    let about_one = about(&one.client).await;
    let admission = one.admission().await;

    let slip = one.orders_with(Some(&admission), "slip", &konbini_order("LAMP", 1)).await.expect(201);
    eventually("the room knows", async || (one.place().await.body["state"] == "ordered").then_some(())).await;
    one.client.cancels(slip.id()).await.expect(200);
    eventually("it is good again", async || (one.place().await.body["state"] == "admitted").then_some(()))
        .await;
    let declined =
        one.orders_with(Some(&admission), "declined", &card_order("LAMP", 1, "tok_declined")).await;
    declined.expect_problem(402, "payment-declined");
    one.orders(None, "none").await.expect_problem(403, "not-admitted");
    let bought = one.orders(Some(&admission), "bought").await.expect(201);
    one.orders(Some(&admission), "more").await.expect_problem(409, "limit-reached");

    let draw = engine.visitor().get(&format!("/v1/sales/{sale}/draw")).await.expect(200).body;
    let order = draw["order"].as_array().expect("an order");
    let place = order.iter().position(|number| number.as_u64() == Some(one.number)).expect("drawn") + 1;
    let found = complete(&staff, &sale, &about_one, 24).await;
    let ticket = format!("ticket {}", one.number);
    let with = format!("passed with the admission of {ticket}");
    // Where two happen at the same moment, either may come first.
    let of = |part: &str| -> Vec<(String, String)> {
        found.iter().filter(|(its, _)| its == part).cloned().collect()
    };
    assert_told(
        &of("queue"),
        &[
            ("queue", &[&format!("joined with {ticket}")]),
            ("queue", &[&format!("{ticket} was drawn as {place} of 2")]),
            ("queue", &[&format!("{ticket} was let in until 20")]),
            ("queue", &[&format!("{ticket} used its admission")]),
            ("queue", &[&format!("{ticket} got its admission back, good until 20")]),
            // The order whose card was declined.
            ("queue", &[&format!("{ticket} used its admission")]),
            ("queue", &[&format!("{ticket} got its admission back, good until 20")]),
            ("queue", &[&format!("{ticket} used its admission")]),
        ],
    );
    assert_told(
        &of("gate"),
        &[
            ("gate", &[&with, "counts for the customer and the phone"]),
            ("gate", &["refused once by not-admitted"]),
            ("gate", &[&with, "counts for the customer"]),
            ("gate", &["refused once by limit-reached"]),
        ],
    );
    assert_told(
        &of("hold"),
        &[
            ("hold", &["1 of LAMP set aside until 20"]),
            ("hold", &["1 of LAMP given back"]),
            ("hold", &["1 of LAMP set aside until 20"]),
            ("hold", &["1 of LAMP sold"]),
        ],
    );
    assert_told(
        &of("order"),
        &[
            ("order", &["awaiting_payment (placed)"]),
            ("order", &["cancelled"]),
            ("order", &["awaiting_payment (placed)"]),
            ("order", &["confirmed (paid when placed)"]),
        ],
    );
    assert_told(
        &of("payment"),
        &[
            ("payment", &["konbini: 500 yen pending, to be paid until 20"]),
            ("payment", &["konbini: 500 yen cancelled"]),
            ("payment", &["payment-declined"]),
            ("payment", &["card: 500 yen captured"]),
        ],
    );

    // A customer who came after the draw stands behind it.
    let late = Waiting::join(crowd.next().unwrap(), &sale).await;
    late.admission().await;
    let behind = complete(&staff, &sale, &about(&late.client).await, 3).await;
    assert_eq!(behind[1].1, "ticket 3 stands behind the 2 who were drawn");

    // Money that comes after the end goes back, which is told as well, and of one order when one is asked about.
    report(&engine, &paid(slip.id(), 500)).await.expect(200);
    let refunded = complete(&staff, &sale, &format!("order={}", slip.id()), 20).await;
    assert!(
        refunded.contains(&("payment".to_owned(), "konbini: 500 yen refunded".to_owned())),
        "{refunded:#?}"
    );
    assert!(!refunded.iter().any(|(_, what)| what.contains("sold")), "{refunded:#?}");
    one.client.cancels(bought.id()).await.expect(200);
    let ended = decisions(&staff, &sale, &format!("order={}", bought.id())).await;
    assert!(ended.contains(&("payment".to_owned(), "card: 500 yen refunded".to_owned())), "{ended:#?}");
    assert_eq!(
        ended.iter().filter(|(part, what)| part == "hold" && what == "1 of LAMP given back").count(),
        1
    );
    engine.stop().await;
}

#[actix::test]
async fn a_customer_who_came_late_and_did_not_order_is_explained_too() {
    let engine = TestEngine::start_with(|config| config.sales.admission_seconds = 1).await;
    engine.sells("LAMP", 100).await;
    let (late, staff) = (engine.customer().await, engine.staff().await);
    let sale = armed(&engine, plan("queue", -1_000, 100, 1_000)).await;
    let late = Waiting::join(late, &sale).await;
    let about_late = about(&late.client).await;

    let found = complete(&staff, &sale, &about_late, 3).await;

    assert_told(
        &found,
        &[
            ("queue", &["joined with ticket 1"]),
            ("queue", &["ticket 1 was let in until 20"]),
            ("queue", &["ticket 1 let its admission lapse, a no-show"]),
        ],
    );
    engine.stop().await;
}

#[actix::test]
async fn a_customer_who_could_not_join_the_waiting_room_is_explained_too() {
    let engine = TestEngine::start_with(|config| {
        config.sales.challenge_bits = 8;
        config.sales.admissions_per_piece = 1.0;
    })
    .await;
    engine.sells("LAMP", 100).await;
    let (first, second) = (engine.customer().await, engine.customer().await);
    let staff = engine.staff().await;
    let sale = armed(&engine, plan("queue", -1_000, 1, 1_000)).await;
    let queue = format!("/v1/sales/{sale}/queue");
    let solves = async |client: &Client| {
        let asked = client.post(&queue, json!({})).await.expect_problem(403, "challenge-required");
        ProofOfWork::solve(asked.body["challenge"].as_str().expect("a challenge")).expect("an answer")
    };
    let joins = async |client: &Client, answer: &str| {
        client.send(client.request(reqwest::Method::POST, &queue).header("Challenge-Answer", answer)).await
    };
    let answer = solves(&first).await;
    joins(&second, &answer).await.expect_problem(403, "forged-challenge");
    let joined = eventually("the room is there", async || {
        let joined = joins(&first, &answer).await;
        (joined.status == 201).then_some(joined)
    })
    .await;
    let first = Waiting {
        client: first,
        sale: sale.clone(),
        ticket: joined.body["ticket"].as_str().expect("a ticket").to_owned(),
        number: 1,
    };
    first.orders(Some(&first.admission().await), "mine").await.expect(201);
    let answer = solves(&second).await;
    eventually("it is sold out", async || (first.place().await.body["left"] == "none").then_some(())).await;
    joins(&second, &answer).await.expect_problem(409, "sold-out");

    let about_second = about(&second).await;
    let told = async |gate: &str| {
        let name = format!(" by {gate}, last at ");
        eventually(gate, async || {
            let found = decisions(&staff, &sale, &about_second).await;
            found.iter().any(|(part, what)| part == "gate" && what.contains(&name)).then_some(())
        })
        .await;
    };
    told("forged-challenge").await;
    told("sold-out").await;
    let figures = Client::new(engine.metrics_base(), None).get("/metrics").await.expect(200);
    for door in ["forged-challenge", "sold-out"] {
        let name = format!(r#"shobai_queue_refusals_total{{door="{door}"}}"#);
        assert!(figures.text.contains(&name), "{name}");
    }
    engine.stop().await;
}

#[actix::test]
async fn only_orders_of_the_sale_are_explained() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 100).await;
    engine.sells("VASE", 100).await;
    let (customer, staff) = (engine.customer().await, engine.staff().await);
    let elsewhere = customer.orders("VASE", 1).await.expect(201);
    let mut plan = plan("none", -1_000, 10, 1_000);
    plan["admission"] = json!({"mode": "none"});
    let sale = armed(&engine, plan).await;
    let path = format!("/v1/admin/sales/{sale}/why");

    staff.get(&format!("{path}?order={}", elsewhere.id())).await.expect_problem(404, "unknown-order");
    staff.get(&path).await.expect_problem(422, "invalid-query");
    let about_customer = about(&customer).await;
    assert_eq!(decisions(&staff, &sale, &about_customer).await, []);
    let mine = customer.orders_by_card("LAMP", 1).await.expect(201);
    // Until the stock has followed the payment, a second look may find more.
    let found = eventually("the pieces are sold", async || {
        let found = decisions(&staff, &sale, &about_customer).await;
        found.iter().any(|(_, what)| what.ends_with(" sold")).then_some(found)
    })
    .await;
    assert!(found == decisions(&staff, &sale, &format!("order={}", mine.id())).await);
    engine.stop().await;
}

#[actix::test]
async fn refusals_are_explained_in_order_and_a_bot_cannot_flood_them() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 100).await;
    let (customer, staff) = (engine.customer().await, engine.staff().await);
    let sale = Operator::of(&engine).await.opens(crate::sales::plan("LAMP", 10)).await;
    let about = about(&customer).await;
    let tells = async |action: &str| {
        let path = format!("/v1/admin/sales/{sale}/{action}");
        staff.post(&path, json!({"reason": "a test"})).await.expect(200);
    };
    let refused = async |count: usize| {
        for _ in 0..count {
            customer.orders_by_card("LAMP", 1).await.expect_problem(409, "sale-paused");
        }
    };
    let spells = async |least: usize| {
        eventually("they are written down", async || {
            let found = decisions(&staff, &sale, &about).await;
            let refusals = found.iter().filter(|(_, what)| what.starts_with("refused "));
            (refusals.count() >= least).then_some(found)
        })
        .await
    };
    tells("pause").await;
    refused(1).await;
    spells(1).await;
    tells("resume").await;
    let bought = customer.orders_by_card("LAMP", 1).await.expect(201);
    customer.cancels(bought.id()).await.expect(200);
    tells("pause").await;
    refused(2).await;
    let found = spells(2).await;
    let place = |text: &str| found.iter().position(|(_, what)| what.contains(text)).expect("told");
    let last = found.iter().rposition(|(_, what)| what.starts_with("refused ")).expect("told");
    assert!(place("refused once by sale-paused") < place("confirmed (paid when placed)"), "{found:#?}");
    assert!(place("confirmed (paid when placed)") < last, "{found:#?}");

    // As a day of refusals leaves them.
    engine
        .by_hand(
            "insert into sales.refusals (sale_id, customer_id, gate, spell, count, first_at, last_at)
             select sale_id, customer_id, gate, 20, 1000, first_at, last_at from sales.refusals where spell = 2",
        )
        .await;
    refused(1).await;
    eventually("it is counted with the others", async || {
        let found = decisions(&staff, &sale, &about).await;
        found.iter().any(|(_, what)| what.starts_with("refused 1001 times by sale-paused")).then_some(())
    })
    .await;
    engine.stop().await;
}
