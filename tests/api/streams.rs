//! The three streams of events: an operator's by the API, an operator's on the page, and a waiting customer's.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::support::events::{Event, Events};
use crate::support::{Client, TestEngine, eventually};

/// A sale whose waiting room admits no customer yet, a customer who waits for it, and the staff.
struct Room {
    staff: Client,
    customer: Client,
    sale: String,
    ticket: String,
}

impl Room {
    async fn of(engine: &TestEngine) -> Self {
        engine.sells("LAMP", 10).await;
        let (staff, customer) = (engine.staff().await, engine.customer().await);
        let from_now = |seconds| Timestamp::now() + SignedDuration::from_secs(seconds);
        let plan = json!({
            "name": "Watched", "opens_at": from_now(86_400), "closes_at": from_now(90_000),
            "items": [{"sku": "LAMP", "price": 500, "allotment": 10}],
            "admission": {"mode": "lottery"},
        });
        let sale = staff.post("/v1/admin/sales", plan).await.expect(201).id().to_owned();
        for action in ["schedule", "arm"] {
            let told = json!({"reason": "a test"});
            staff.post(&format!("/v1/admin/sales/{sale}/{action}"), told).await.expect(200);
        }
        let joined = eventually("the room is there", async || {
            let answer = customer.post(&format!("/v1/sales/{sale}/queue"), json!({})).await;
            (answer.status == 201).then_some(answer)
        });
        let ticket = joined.await.body["ticket"].as_str().expect("a ticket").to_owned();
        Self { staff, customer, sale, ticket }
    }

    fn live(&self, method: Method) -> RequestBuilder {
        let path = format!("/v1/admin/sales/{sale}/live", sale = self.sale);
        self.staff.request(method, &path).header("accept", "text/event-stream")
    }

    fn on_the_page(&self, method: Method) -> RequestBuilder {
        let path = format!("/ops/sales/{sale}/events", sale = self.sale);
        let session = format!("shobai-ops={}", self.staff.token.as_deref().expect("a token"));
        self.staff.request(method, &path).header("cookie", session)
    }

    fn waiting(&self, method: Method) -> RequestBuilder {
        let path = format!("/v1/sales/{sale}/queue", sale = self.sale);
        let request = self.customer.request(method, &path).header("queue-ticket", &self.ticket);
        request.header("accept", "text/event-stream")
    }

    fn all(&self, method: &Method) -> [RequestBuilder; 3] {
        [self.live(method.clone()), self.on_the_page(method.clone()), self.waiting(method.clone())]
    }
}

#[actix::test]
async fn streams_end_at_once_when_the_engine_stops() {
    let engine = TestEngine::start_with(|config| config.http.shutdown_within_seconds = 60).await;
    let room = Room::of(&engine).await;
    let mut streams = Vec::new();
    for request in room.all(&Method::GET) {
        let mut stream = Events::open(request).await;
        stream.message().await;
        streams.push(actix_rt::spawn(stream.rest()));
    }

    let began = Instant::now();
    engine.stop().await;

    assert!(began.elapsed() < Duration::from_secs(30), "they were waited for: {:?}", began.elapsed());
    for rest in streams {
        let rest = rest.await.expect("it ends in order");
        let ended = Event::Named("ended".to_owned(), json!({}));
        assert!(!rest.contains(&ended), "the client may come back: {rest:?}");
    }
}

#[actix::test]
async fn a_head_request_for_a_stream_gets_its_headers() {
    let engine = TestEngine::start_with(|config| {
        config.http.operator_streams_max = 1;
        config.http.queue_streams_max = 1;
    })
    .await;
    let room = Room::of(&engine).await;
    let heads = async || {
        for request in room.all(&Method::HEAD) {
            let answer = room.staff.send(request).await.expect(200);
            assert_eq!(answer.header("content-type"), Some("text/event-stream"), "{answer:?}");
            assert_eq!(answer.text, "");
        }
    };
    heads().await;
    let open = (Events::open(room.live(Method::GET)).await, Events::open(room.waiting(Method::GET)).await);
    // Also when no place is left, since it takes none.
    heads().await;
    drop(open);
    engine.stop().await;
}

#[actix::test]
async fn the_number_of_open_streams_is_bounded() {
    let engine = TestEngine::start_with(|config| {
        config.http.operator_streams_max = 1;
        config.http.queue_streams_max = 1;
    })
    .await;
    let room = Room::of(&engine).await;
    let watched = Events::open(room.on_the_page(Method::GET)).await;
    let waited = Events::open(room.waiting(Method::GET)).await;

    // Operators share their places, however they watch.
    for request in [room.live(Method::GET), room.waiting(Method::GET)] {
        let answer = room.staff.send(request).await.expect_problem(503, "too-many-streams");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    room.staff.send(room.on_the_page(Method::GET)).await.expect(503);

    drop((watched, waited));
    for open in [Room::live, Room::waiting] {
        eventually("the place is free again", async || {
            let answer = open(&room, Method::GET).send().await.expect("an answer");
            (answer.status() == 200).then_some(())
        })
        .await;
    }
    engine.stop().await;
}

#[actix::test]
async fn the_streams_of_one_ticket_are_bounded() {
    let engine = TestEngine::start().await;
    let room = Room::of(&engine).await;
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(Events::open(room.waiting(Method::GET)).await);
    }
    let fifth = room.customer.send(room.waiting(Method::GET)).await;
    let fifth = fifth.expect_problem(429, "too-many-streams");
    assert!(fifth.header("retry-after").is_some(), "{fifth:?}");

    let other = engine.customer().await;
    let joined = other.post(&format!("/v1/sales/{}/queue", room.sale), json!({})).await.expect(201);
    let ticket = joined.body["ticket"].as_str().expect("a ticket").to_owned();
    let other = Room { customer: other, ticket, staff: room.staff.clone(), sale: room.sale.clone() };
    Events::open(other.waiting(Method::GET)).await;

    drop(open.pop());
    eventually("a place of the ticket is free again", async || {
        (room.waiting(Method::GET).send().await.expect("an answer").status() == 200).then_some(())
    })
    .await;
    engine.stop().await;
}

#[actix::test]
async fn a_stream_ends_with_the_session_of_its_operator() {
    let engine = TestEngine::start().await;
    let room = Room::of(&engine).await;
    let mut streams = Vec::new();
    for request in [room.live(Method::GET), room.on_the_page(Method::GET)] {
        let mut stream = Events::open(request).await;
        stream.message().await;
        streams.push(stream);
    }

    room.staff.post("/v1/auth/logout", json!({})).await.expect(204);

    for stream in streams {
        let rest = stream.rest().await;
        assert_eq!(rest.last(), Some(&Event::Named("ended".to_owned(), json!({}))), "{rest:?}");
    }
    room.staff.send(room.live(Method::GET)).await.expect_problem(401, "session-ended");
    engine.stop().await;
}

#[actix::test]
async fn a_stream_ends_when_its_token_expires() {
    let engine = TestEngine::start_with(|config| config.users.access_token_seconds = 8).await;
    let room = Room::of(&engine).await;
    let stream = Events::open(room.live(Method::GET)).await;
    let rest = stream.rest().await;
    assert_eq!(rest.last(), Some(&Event::Named("ended".to_owned(), json!({}))), "{rest:?}");
    engine.stop().await;
}

#[actix::test]
async fn a_waiting_customer_gets_changes_and_keep_alive_comments() {
    let engine = TestEngine::start().await;
    let room = Room::of(&engine).await;
    let mut stream = Events::open(room.waiting(Method::GET)).await;
    let mut told = vec![stream.message().await];
    assert_eq!(told[0]["state"], "pre_queue", "{told:?}");
    room.staff
        .post(&format!("/v1/admin/sales/{}/cancel", room.sale), json!({"reason": "a test"}))
        .await
        .expect(200);
    while told.last().is_some_and(|place| place["state"] != "closed") {
        told.push(stream.message().await);
    }
    // From now on nothing changes.
    assert_eq!(stream.next().await, Some(Event::Comment));
    assert!(told.windows(2).all(|two| two[0] != two[1]), "{told:?}");
    engine.stop().await;
}
