//! Reservations that staff make: held, committed, released, expired.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::{Answer, Client, TestEngine, eventually};

fn reservation(lines: &[(&str, i64)], seconds: i64) -> Value {
    let lines: Value =
        lines.iter().map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity})).collect();
    json!({"lines": lines, "expires_in_seconds": seconds})
}

fn with_id(mut body: Value, id: uuid::Uuid) -> Value {
    body["id"] = json!(id);
    body
}

async fn reserves(staff: &Client, body: Value) -> Answer {
    staff.post("/v1/admin/reservations", body).await
}

async fn commits(staff: &Client, id: &str) -> Answer {
    staff.send(staff.request(reqwest::Method::POST, &format!("/v1/admin/reservations/{id}/commit"))).await
}

async fn releases(staff: &Client, id: &str) -> Answer {
    staff.delete(&format!("/v1/admin/reservations/{id}")).await
}

#[actix::test]
async fn a_reservation_holds_pieces_until_it_is_committed() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 10).await;
    let staff = engine.staff().await;

    let held = reserves(&staff, reservation(&[("LAMP", 3)], 900)).await.expect(201);

    let id = held.id();
    assert_eq!(held.header("location"), Some(format!("/v1/admin/reservations/{id}").as_str()));
    let expires_at: Timestamp = held.body["expires_at"].as_str().unwrap().parse().unwrap();
    let left = expires_at.duration_since(Timestamp::now()).as_secs();
    assert!((870..=900).contains(&left), "{left}");
    assert_eq!(
        held.body,
        json!({"id": id, "lines": [{"sku": "LAMP", "quantity": 3}], "state": "held", "expires_at": held.body["expires_at"]})
    );
    assert_eq!(staff.stock("LAMP").await, (10, 3));

    let committed = commits(&staff, id).await.expect(200);
    assert_eq!(
        (&committed.body["state"], &committed.body["lines"]),
        (&json!("committed"), &held.body["lines"])
    );
    assert_eq!(staff.stock("LAMP").await, (7, 0));
    assert_eq!(commits(&staff, id).await.expect(200).body, committed.body);
    assert_eq!(staff.stock("LAMP").await, (7, 0));
    releases(&staff, id).await.expect_problem(409, "reservation-committed");
    assert_eq!(staff.stock("LAMP").await, (7, 0));
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn a_released_reservation_gives_its_pieces_back_once() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 10).await;
    let staff = engine.staff().await;
    let held = reserves(&staff, reservation(&[("LAMP", 3)], 900)).await.expect(201);

    let released = releases(&staff, held.id()).await.expect(204);

    assert_eq!(released.text, "");
    assert_eq!(staff.stock("LAMP").await, (10, 0));
    releases(&staff, held.id()).await.expect(204);
    commits(&staff, held.id()).await.expect_problem(409, "reservation-ended");
    assert_eq!(staff.stock("LAMP").await, (10, 0));
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn the_same_id_again_returns_the_same_reservation() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 10).await;
    engine.sells("CHAIR", 10).await;
    let staff = engine.staff().await;
    let id = uuid::Uuid::now_v7();
    let first =
        reserves(&staff, with_id(reservation(&[("LAMP", 2), ("CHAIR", 1)], 900), id)).await.expect(201);
    assert_eq!(first.body["id"], json!(id));

    for lines in [[("LAMP", 2), ("CHAIR", 1)], [("CHAIR", 1), ("LAMP", 2)]] {
        let again = reserves(&staff, with_id(reservation(&lines, 900), id)).await.expect(201);
        assert_eq!((&again.body["id"], &again.body["state"]), (&json!(id), &json!("held")));
        assert_eq!(again.body["expires_at"], first.body["expires_at"]);
    }
    for lines in [
        [("LAMP", 3), ("CHAIR", 1)].as_slice(),
        &[("LAMP", 2)],
        &[("CHAIR", 1)],
        &[("LAMP", 1), ("CHAIR", 2)],
    ] {
        let refused = reserves(&staff, with_id(reservation(lines, 900), id)).await;
        assert_eq!((refused.status, refused.code()), (409, "reservation-differs"), "{lines:?}: {refused:?}");
    }
    assert_eq!((staff.stock("LAMP").await, staff.stock("CHAIR").await), ((10, 2), (10, 1)));

    releases(&staff, &id.to_string()).await.expect(204);
    let after = reserves(&staff, with_id(reservation(&[("LAMP", 2), ("CHAIR", 1)], 900), id)).await;
    after.expect_problem(409, "reservation-ended");
    assert_eq!((staff.stock("LAMP").await, staff.stock("CHAIR").await), ((10, 0), (10, 0)));
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn the_same_id_with_another_line_in_front_is_refused() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 10).await;
    engine.sells("CHAIR", 10).await;
    engine.sells("SHELF", 10).await;
    let staff = engine.staff().await;
    let id = uuid::Uuid::now_v7();
    reserves(&staff, with_id(reservation(&[("LAMP", 2)], 900), id)).await.expect(201);

    let refused = reserves(&staff, with_id(reservation(&[("LAMP", 2), ("CHAIR", 1)], 900), id)).await;

    refused.expect_problem(409, "reservation-differs");
    assert_eq!((staff.stock("LAMP").await, staff.stock("CHAIR").await), ((10, 2), (10, 0)));
    let other = reserves(&staff, with_id(reservation(&[("CHAIR", 1)], 900), id)).await;
    other.expect_problem(409, "reservation-differs");
    // A refused request with another line does not change the existing reservation.
    let too_many = reserves(&staff, with_id(reservation(&[("LAMP", 2), ("SHELF", 99)], 900), id)).await;
    assert_eq!(too_many.status / 100, 4, "{too_many:?}");
    assert_eq!((staff.stock("LAMP").await, staff.stock("CHAIR").await), ((10, 2), (10, 0)));
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn a_reservation_of_several_lines_holds_all_of_them_or_none() {
    let engine = TestEngine::start().await;
    for sku in ["LAMP", "CHAIR", "TABLE"] {
        engine.sells(sku, 5).await;
    }
    let staff = engine.staff().await;

    let refused = reserves(&staff, reservation(&[("LAMP", 1), ("CHAIR", 6), ("TABLE", 1)], 900)).await;
    assert_eq!(refused.expect_problem(409, "out-of-stock").body["sku"], "CHAIR");
    let refused = reserves(&staff, reservation(&[("LAMP", 3), ("TABLE", 1), ("LAMP", 3)], 900)).await;
    let refused = refused.expect_problem(409, "out-of-stock");
    assert_eq!((&refused.body["sku"], &refused.body["requested"]), (&json!("LAMP"), &json!(6)));
    let unknown = reserves(&staff, reservation(&[("LAMP", 1), ("SOFA", 1)], 900)).await;
    assert_eq!(unknown.expect_problem(404, "unknown-sku").body["sku"], "SOFA");
    for sku in ["LAMP", "CHAIR", "TABLE"] {
        assert_eq!(staff.stock(sku).await, (5, 0), "{sku}");
    }

    let held =
        reserves(&staff, reservation(&[("LAMP", 1), ("CHAIR", 5), ("LAMP", 2)], 900)).await.expect(201);
    assert_eq!((staff.stock("LAMP").await, staff.stock("CHAIR").await), ((5, 3), (5, 5)));
    commits(&staff, held.id()).await.expect(200);
    assert_eq!((staff.stock("LAMP").await, staff.stock("CHAIR").await), ((2, 0), (0, 0)));
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn the_same_id_with_another_line_at_the_end_is_refused() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 10).await;
    engine.sells("SHELF", 10).await;
    let staff = engine.staff().await;
    let id = uuid::Uuid::now_v7();
    reserves(&staff, with_id(reservation(&[("LAMP", 2)], 900), id)).await.expect(201);

    let refused = reserves(&staff, with_id(reservation(&[("LAMP", 2), ("SHELF", 1)], 900), id)).await;

    refused.expect_problem(409, "reservation-differs");
    assert_eq!((staff.stock("LAMP").await, staff.stock("SHELF").await), ((10, 2), (10, 0)));
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn an_id_whose_second_line_was_refused_cannot_be_used_again() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 1).await;
    engine.sells("CHAIR", 5).await;
    let staff = engine.staff().await;
    let body = with_id(reservation(&[("CHAIR", 1), ("LAMP", 2)], 900), uuid::Uuid::now_v7());
    reserves(&staff, body.clone()).await.expect_problem(409, "out-of-stock");

    let receipt = json!({"quantity": 1, "reference": "more"});
    staff.post("/v1/admin/inventory/LAMP/receipts", receipt).await.expect(201);

    reserves(&staff, body).await.expect_problem(409, "reservation-ended");
    let held = reserves(&staff, reservation(&[("CHAIR", 1), ("LAMP", 2)], 900)).await.expect(201);
    assert_eq!(held.body["state"], "held");
    assert_eq!((staff.stock("LAMP").await, staff.stock("CHAIR").await), ((2, 2), (5, 1)));
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn a_reservation_expires_within_a_second_of_its_time() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 10).await;
    let staff = engine.staff().await;
    let held = reserves(&staff, reservation(&[("LAMP", 10)], 1)).await.expect(201);

    eventually("the pieces are available again", async || {
        (staff.stock("LAMP").await == (10, 0)).then_some(())
    })
    .await;

    let movements = staff.get("/v1/admin/inventory/LAMP/movements?limit=1").await.expect(200);
    let lapse = &movements.items()[0];
    assert_eq!((&lapse["kind"], &lapse["reservation_id"]), (&json!("expired"), &held.body["id"]));
    let time = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
    let late = time(&lapse["at"]).duration_since(time(&held.body["expires_at"])).as_secs_f64();
    // Promised is one second; the machine that runs the tests may be busy with others.
    assert!((0.0..2.0).contains(&late), "{late}");

    commits(&staff, held.id()).await.expect_problem(409, "reservation-ended");
    releases(&staff, held.id()).await.expect(204);
    assert_eq!(staff.stock("LAMP").await, (10, 0));
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn an_unknown_reservation_cannot_be_committed_or_released() {
    let engine = TestEngine::start().await;
    let staff = engine.staff().await;
    let unknown = uuid::Uuid::now_v7().to_string();
    commits(&staff, &unknown).await.expect_problem(404, "unknown-reservation");
    releases(&staff, &unknown).await.expect_problem(404, "unknown-reservation");
    for id in ["1", "not-an-id", "%00"] {
        commits(&staff, id).await.expect_problem(404, "not-found");
        releases(&staff, id).await.expect_problem(404, "not-found");
    }
    engine.stop().await;
}

#[actix::test]
async fn many_concurrent_commits_and_releases_end_a_reservation_once() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 10).await;
    let staff = engine.staff().await;
    let held = reserves(&staff, reservation(&[("LAMP", 4)], 900)).await.expect(201);

    let ends = (0..10).map(async |number| {
        if number % 2 == 0 { commits(&staff, held.id()).await } else { releases(&staff, held.id()).await }
    });
    let answers = futures_util::future::join_all(ends).await;

    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert!(
        (count(200), count(204), count(409)) == (5, 0, 5)
            || (count(200), count(204), count(409)) == (0, 5, 5),
        "{answers:?}"
    );
    let stock = staff.stock("LAMP").await;
    assert_eq!(stock, if count(200) > 0 { (6, 0) } else { (10, 0) });
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn a_reservation_made_before_a_restart_is_committed_released_or_expires_after_it() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 10).await;
    let staff = engine.staff().await;
    let sold = reserves(&staff, reservation(&[("LAMP", 1)], 900)).await.expect(201);
    let returned = reserves(&staff, reservation(&[("LAMP", 2)], 900)).await.expect(201);
    reserves(&staff, reservation(&[("LAMP", 4)], 2)).await.expect(201);

    let token = staff.token.clone().unwrap();
    let engine = engine.restart().await;
    let staff = engine.visitor().with_token(token);

    commits(&staff, sold.id()).await.expect(200);
    releases(&staff, returned.id()).await.expect(204);
    eventually("the third lapses", async || (staff.stock("LAMP").await == (9, 0)).then_some(())).await;
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}
