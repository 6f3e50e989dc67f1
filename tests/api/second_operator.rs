//! What needs a second operator: nothing is done by one alone, whatever way is taken, and the second one carries it out.

use serde_json::{Value, json};
use shobai::config::{Config, SecondOperator};

use crate::ops::Browser;
use crate::sales::{Operator, expect_no_findings, plan};
use crate::support::{Answer, Client, TestEngine, eventually};

fn both(config: &mut Config) {
    config.sales.second_operator = vec![SecondOperator::Kill, SecondOperator::Lower];
}

/// An open sale of ten lamps without a limit.
async fn an_open_sale(engine: &TestEngine, operator: &Operator) -> String {
    engine.sells("LAMP", 20).await;
    let mut unlimited = plan("LAMP", 10);
    unlimited["limit_per_customer"] = Value::Null;
    operator.opens(unlimited).await
}

async fn lowers(staff: &Client, sale: &str, allotment: i64, expected: i64) -> Answer {
    let request = staff.request(reqwest::Method::PATCH, &format!("/v1/admin/sales/{sale}/items/LAMP"));
    staff.send(request.json(&json!({"allotment": allotment, "expected": expected, "reason": "less"}))).await
}

async fn open_proposals(staff: &Client) -> Vec<Value> {
    staff.get("/v1/admin/proposals").await.expect(200).items().to_vec()
}

#[actix::test]
async fn a_kill_takes_effect_when_a_second_operator_confirms_it() {
    let engine = TestEngine::start_with(both).await;
    let (first, second) = (Operator::of(&engine).await, engine.staff().await);
    let sale = an_open_sale(&engine, &first).await;
    let buyer = engine.customer().await;
    let reason = |reason: &str| json!({ "reason": reason });
    for (kill, resume, of, sku) in [
        (
            format!("/v1/admin/sales/{sale}/kill"),
            format!("/v1/admin/sales/{sale}/resume"),
            json!(sale),
            Value::Null,
        ),
        (
            format!("/v1/admin/sales/{sale}/items/LAMP/kill"),
            format!("/v1/admin/sales/{sale}/items/LAMP/resume"),
            json!(sale),
            json!("LAMP"),
        ),
        ("/v1/admin/kill".to_owned(), "/v1/admin/resume".to_owned(), Value::Null, Value::Null),
    ] {
        let proposed = first.staff.post(&kill, reason("wrong price")).await.expect(202);
        assert_eq!((&proposed.body["action"], &proposed.body["sale"]), (&json!("kill"), &of));
        assert_eq!((&proposed.body["sku"], &proposed.body["reason"]), (&sku, &json!("wrong price")));
        // Of the same one it is the same proposal, and nothing is stopped.
        let again = first.staff.post(&kill, reason("really")).await.expect(202);
        assert_eq!(again.body, proposed.body);
        buyer.orders_by_card("LAMP", 1).await.expect(201);
        let shown = second.get(&format!("/v1/admin/sales/{sale}")).await.expect(200);
        assert_eq!(shown.body["proposals"], json!([proposed.body]));
        assert_eq!(open_proposals(&second).await, [proposed.body]);

        second.post(&kill, reason("so it is")).await.expect(200);

        buyer.orders("LAMP", 1).await.expect_problem(409, "stopped");
        assert_eq!(open_proposals(&second).await, [] as [Value; 0]);
        // It is so already, and resuming needs no second operator.
        first.staff.post(&kill, reason("once more")).await.expect(200);
        first.staff.post(&resume, reason("mended")).await.expect(200);
        buyer.orders_by_card("LAMP", 1).await.expect(201);
    }
    let changes = first.staff.get(&format!("/v1/admin/sales/{sale}/changes")).await.expect(200);
    let [one, two] =
        [&first.staff, &second].map(async |staff| staff.get("/v1/users/me").await.body["id"].clone());
    let (one, two) = (one.await, two.await);
    let of_kills: Vec<Value> = changes
        .items()
        .iter()
        .filter(|change| matches!(change["action"].as_str(), Some("propose" | "kill")))
        .map(|change| {
            json!([change["action"], change["sku"], change["actor"], change["proposed_by"], change["reason"]])
        })
        .collect();
    assert_eq!(
        of_kills,
        [
            json!(["propose", null, one, null, "wrong price"]),
            json!(["kill", null, two, one, "so it is"]),
            json!(["propose", "LAMP", one, null, "wrong price"]),
            json!(["kill", "LAMP", two, one, "so it is"]),
        ]
    );
    // What the engine does by itself needs no operator.
    engine.by_hand("update inventory.allotments set sold = sold - 1, returned = returned + 1").await;
    eventually("the audit stops the sku", async || {
        let shown = first.staff.get(&format!("/v1/admin/sales/{sale}")).await.expect(200);
        (shown.body["items"][0]["stopped"] == true).then_some(())
    })
    .await;
    engine.stop().await;
}

#[actix::test]
async fn lowering_an_allotment_needs_two_operators_and_raising_it_one() {
    let engine = TestEngine::start_with(both).await;
    let (first, second) = (Operator::of(&engine).await, engine.staff().await);
    let sale = an_open_sale(&engine, &first).await;
    lowers(&first.staff, &sale, 12, 10).await.expect(200);
    let proposed = lowers(&first.staff, &sale, 8, 12).await.expect(202);
    assert_eq!((&proposed.body["allotment"], &proposed.body["expected"]), (&json!(8), &json!(12)));
    // Another wish is another proposal.
    lowers(&second, &sale, 7, 12).await.expect(202);
    first.sees_pieces(&sale, 12, 0, 0, 0).await;

    let lowered = lowers(&second, &sale, 8, 12).await.expect(200);

    assert_eq!(lowered.body["items"][0]["allotment"], 8);
    // Asked again, because the answer was lost.
    lowers(&second, &sale, 8, 12).await.expect(200);
    // The other one comes too late.
    lowers(&first.staff, &sale, 7, 12).await.expect_problem(409, "allotment-differs");
    first.sees_pieces(&sale, 8, 0, 0, 0).await;
    expect_no_findings(&engine).await;
    engine.stop().await;
}

#[actix::test]
async fn a_proposal_is_withdrawn_or_lapses_and_outlives_a_restart() {
    let engine = TestEngine::start_with(both).await;
    let (first, second) = (Operator::of(&engine).await, engine.staff().await);
    let sale = an_open_sale(&engine, &first).await;
    let kills = async |staff: &Client| {
        staff.post(&format!("/v1/admin/sales/{sale}/kill"), json!({"reason": "a test"})).await
    };
    let proposed = kills(&first.staff).await.expect(202).id().to_owned();
    engine
        .customer()
        .await
        .delete(&format!("/v1/admin/proposals/{proposed}"))
        .await
        .expect_problem(403, "staff-only");
    second.delete(&format!("/v1/admin/proposals/{proposed}")).await.expect(200);
    second.delete(&format!("/v1/admin/proposals/{proposed}")).await.expect_problem(404, "unknown-proposal");
    assert_eq!(open_proposals(&first.staff).await, [] as [Value; 0]);
    let anew = kills(&second).await.expect(202).id().to_owned();
    assert_ne!(anew, proposed);

    let engine = engine.restart().await;

    let [first, second] =
        [first.staff, second].map(|staff| engine.visitor().with_token(staff.token.expect("a token")));
    assert_eq!(open_proposals(&first).await[0]["id"], anew);
    kills(&first).await.expect(200);
    first.post(&format!("/v1/admin/sales/{sale}/resume"), json!({"reason": "a test"})).await.expect(200);
    kills(&first).await.expect(202);
    engine.by_hand("update sales.proposals set lapses_at = now()").await;
    eventually("it lapses", async || open_proposals(&first).await.is_empty().then_some(())).await;
    kills(&second).await.expect(202);
    let changes = first.get(&format!("/v1/admin/sales/{sale}/changes")).await.expect(200).each("action");
    let of_proposals: Vec<_> = changes
        .iter()
        .filter(|action| ["propose", "withdraw", "lapse", "kill"].map(Value::from).contains(action))
        .collect();
    assert_eq!(of_proposals, ["propose", "withdraw", "propose", "kill", "propose", "lapse", "propose"]);
    engine.stop().await;
}

#[actix::test]
async fn of_two_operators_at_once_one_proposes_and_one_confirms() {
    let engine = TestEngine::start_with(|config| {
        both(config);
        config.sales.proposals_max = 1;
    })
    .await;
    let (first, second) = (Operator::of(&engine).await, engine.staff().await);
    let sale = an_open_sale(&engine, &first).await;
    for _ in 0..10 {
        let kill = format!("/v1/admin/sales/{sale}/kill");
        let body = json!({"reason": "a test"});
        let (one, other) = tokio::join!(first.staff.post(&kill, body.clone()), second.post(&kill, body));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 202]);
        first.tells(&sale, "resume").await.expect(200);
    }
    first.tells(&sale, "kill").await.expect(202);
    // However many wish to lower something, a kill has room.
    lowers(&second, &sale, 5, 10).await.expect(202);
    lowers(&second, &sale, 6, 10).await.expect_problem(409, "too-many-proposals");
    // What could not be done is not proposed.
    lowers(&second, &sale, 5, 99).await.expect_problem(409, "allotment-differs");
    first
        .staff
        .post("/v1/admin/kill", json!({"reason": "a test"}))
        .await
        .expect_problem(409, "too-many-proposals");
    engine.customer().await.orders_by_card("LAMP", 1).await.expect(201);
    engine.stop().await;
}

#[actix::test]
async fn one_operator_is_enough_unless_configured_otherwise() {
    let engine =
        TestEngine::start_with(|config| config.sales.second_operator = vec![SecondOperator::Lower]).await;
    let operator = Operator::of(&engine).await;
    let sale = an_open_sale(&engine, &operator).await;
    operator.tells(&sale, "kill").await.expect(200);
    operator.tells(&sale, "resume").await.expect(200);
    lowers(&operator.staff, &sale, 5, 10).await.expect(202);
    engine.stop().await;
}

#[actix::test]
async fn another_operator_confirms_or_withdraws_a_proposal_on_the_page() {
    let engine = TestEngine::start_with(both).await;
    let operator = Operator::of(&engine).await;
    let sale = an_open_sale(&engine, &operator).await;
    let (mut first, mut second) = (Browser::of_staff(&engine).await, Browser::of_staff(&engine).await);
    let here = format!("/ops/sales/{sale}");

    let proposed = first.moves(&sale, "kill").await.expect(200);
    assert!(proposed.text.contains("it waits until another operator does the same"), "{proposed:?}");
    assert!(!proposed.text.contains(&format!("{here}/confirm?action=kill\">Confirm")), "not by the same one");
    let shown = second.get(&here).await.expect(200);
    assert!(
        shown.text.contains("Waiting for a second operator") && shown.text.contains(">Confirm</a>"),
        "{shown:?}"
    );
    let killed = second.moves(&sale, "kill").await.expect(200);
    assert!(
        killed.text.contains("Stopped by its switch") && killed.text.contains("(proposed by "),
        "{killed:?}"
    );
    assert!(!killed.text.contains("Waiting for a second operator"), "{killed:?}");
    second.moves(&sale, "resume").await.expect(200);

    // Fewer pieces: the form of the second one has them in it.
    let fields = [("sku", "LAMP"), ("expected", "10"), ("allotment", "6"), ("reason", "less")];
    let answer = first.post(&format!("{here}/allotment"), &fields).await;
    let shown = first.follow(answer).await.expect(200);
    assert!(shown.text.contains("LAMP: allotment 10 → 6"), "{shown:?}");
    let asked = second.get(&format!("{here}/confirm?action=allot&sku=LAMP&allotment=6")).await.expect(200);
    assert!(
        asked.text.contains(r#"name="expected" value="10""#) && asked.text.contains(r#"value="6""#),
        "{asked:?}"
    );
    let id = open_proposals(&operator.staff).await[0]["id"].as_str().expect("an id").to_owned();
    let asked = second.get(&format!("/ops/proposals/{id}/withdraw")).await.expect(200);
    assert!(
        asked.text.contains("Withdraw: LAMP: allotment 10 → 6")
            && asked.text.contains("The proposal stops waiting")
    );
    let unsaid = second.post(&format!("/ops/proposals/{id}/withdraw"), &[("reason", "")]).await.expect(422);
    assert!(unsaid.text.contains("A reason of 1 to 200"), "{unsaid:?}");
    let enough = [("reason", "enough for today")];
    let answer = second.post(&format!("/ops/proposals/{id}/withdraw"), &enough).await;
    let withdrawn = second.follow(answer).await.expect(200);
    assert!(withdrawn.text.contains("Done: Withdrawn.") && withdrawn.text.contains("enough for today"));
    second.get(&format!("/ops/proposals/{id}/withdraw")).await.expect(404);

    // Everything.
    first.get("/ops").await.expect(200);
    let answer = first.post("/ops/switch", &[("action", "kill"), ("reason", "a test")]).await;
    let shown = first.follow(answer).await.expect(200);
    assert!(
        shown.text.contains("Orders are being taken.") && shown.text.contains(">Withdraw</a>"),
        "{shown:?}"
    );
    second.get("/ops").await.expect(200);
    let answer = second.post("/ops/switch", &[("action", "kill"), ("reason", "a test")]).await;
    let shown = second.follow(answer).await.expect(200);
    assert!(shown.text.contains("All orders of customers are stopped."), "{shown:?}");
    engine.stop().await;
}
