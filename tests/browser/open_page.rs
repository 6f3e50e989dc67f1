//! An open page shows what happens elsewhere, without being loaded again.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::chromium::Chromium;
use crate::support::{Client, TestEngine, eventually};

const SPACE: &str = " ";

fn soon(milliseconds: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_millis(milliseconds)
}

/// Text of an element as it is shown at the moment.
fn text_of(selector: &str) -> String {
    format!("document.querySelector('{selector}')?.textContent")
}

async fn tells(staff: &Client, path: &str) {
    staff.post(&format!("/v1/admin/{path}"), json!({"reason": "a test"})).await;
}

async fn joins(customer: &Client, sale: &str) -> String {
    let joined = eventually("the room is there", async || {
        let joined = customer.post(&format!("/v1/sales/{sale}/queue"), json!({})).await;
        (joined.status == 201).then_some(joined)
    })
    .await;
    joined.body["ticket"].as_str().expect("a ticket").to_owned()
}

#[actix::test]
async fn an_open_page_shows_what_others_do_and_what_goes_wrong() {
    let engine = TestEngine::start_with(|config| {
        config.sales.audit_every_ms = 200;
        config.sales.second_operator = vec![shobai::config::SecondOperator::Kill];
        config.sales.arm_before_seconds = 0;
    })
    .await;
    engine.sells("LAMP", 100).await;
    let (staff, other) = (engine.staff().await, engine.staff().await);
    let mut customers = Vec::new();
    for _ in 0..3 {
        customers.push(engine.customer().await);
    }
    let page = Chromium::open(&engine).await;
    page.signs_in(&engine).await;
    let plan = json!({
        "name": "Midnight", "opens_at": soon(12_000), "closes_at": soon(3_600_000), "limit_per_customer": 2,
        "items": [{"sku": "LAMP", "price": 500, "allotment": 10}],
        "admission": {"mode": "queue", "per_second": 1},
    });
    let sale = staff.post("/v1/admin/sales", plan).await.expect(201).id().to_owned();
    page.goes_to(&format!("/ops/sales/{sale}")).await;
    tells(&staff, &format!("sales/{sale}/schedule")).await;
    tells(&staff, &format!("sales/{sale}/arm")).await;
    page.sees("armed", "document.querySelector('#state .badge.armed')").await;

    // The waiting room, from the first who comes to the first who is in.
    for customer in &customers {
        joins(customer, &sale).await;
    }
    let figure = |name: &str| text_of(&format!("[data-queue=\"{name}\"]"));
    page.sees("three wait", &format!("{} === '3'", figure("waiting"))).await;
    page.sees("it is open", "document.querySelector('#state .badge.open')").await;
    page.sees("some are in", &format!("+{} > 0 && +{} < 3", figure("admitted"), figure("waiting"))).await;
    page.sees("their rate", &format!("{} === '1'", figure("per_second"))).await;

    // A proposal, and the switch of all orders.
    tells(&staff, "kill").await;
    page.sees("a proposal", &format!("{}?.includes('Stop everything')", text_of("#proposals"))).await;
    // Confirmed where it is seen, and seen there.
    page.clicks("#proposals a.danger").await;
    page.sees("a question", "document.activeElement.id === 'reason'").await;
    page.types("#reason", "so it is").await;
    page.presses(crate::webdriver::ENTER).await;
    page.sees("the outcome", &format!("{}.includes('Done: Kill')", text_of("#outcome"))).await;
    assert_eq!(page.value("document.querySelector('#state .switch')").await, Value::Null);
    let stopped = "[...document.querySelectorAll('#state .badge.stopped')].length === 1";
    page.sees("everything is stopped", stopped).await;
    page.sees("no proposal", "!document.getElementById('proposals')").await;
    tells(&staff, "resume").await;
    page.sees("nothing is stopped", "!document.querySelector('#state .badge.stopped')").await;

    // Whatever else is done meanwhile, what is typed stays.
    tells(&staff, &format!("sales/{sale}/kill")).await;
    page.clicks("#proposals a[href$='/withdraw']").await;
    page.sees("a question", "document.activeElement.id === 'reason'").await;
    page.types("#reason", "not now").await;
    tells(&other, &format!("sales/{sale}/pause")).await;
    page.sees("paused", "document.querySelector('#state .badge.paused')").await;
    assert_eq!(page.value("document.querySelector('#reason').value").await, "not now");
    page.presses(crate::webdriver::ENTER).await;
    page.sees("the outcome", &format!("{}.includes('Done: Withdrawn')", text_of("#outcome"))).await;
    page.sees("no proposal", "!document.getElementById('proposals')").await;
    // A question may have a page of its own.
    page.goes_to(&format!("/ops/sales/{sale}/confirm?action=resume&ends=pause")).await;
    page.types("#reason", "so it is").await;
    page.presses(crate::webdriver::ENTER).await;
    page.sees("it is open again", "document.querySelector('#state .badge.open')").await;

    // What the light found.
    page.sees("a green light", "document.getElementById('light').dataset.is === 'true'").await;
    engine
        .by_hand(
            "update inventory.stock set on_hand = on_hand + 1, allotted = allotted + 1 where sku = 'LAMP'",
        )
        .await;
    page.sees("a red light", "document.getElementById('light').dataset.is === 'false'").await;
    page.sees("why", &format!("{}.includes('LAMP: allotment = sold')", text_of("#breaches"))).await;
    engine
        .by_hand(
            "update inventory.stock set on_hand = on_hand - 1, allotted = allotted - 1 where sku = 'LAMP'",
        )
        .await;
    page.sees("a green light", "document.getElementById('light').dataset.is === 'true'").await;
    page.sees("nothing", &format!("{} === ''", text_of("#breaches"))).await;

    // The countdown, which ends with the sale and not with its plan; asked for with the space bar, as buttons are.
    let countdown = text_of(".countdown-word");
    page.sees("a countdown", &format!("{countdown} === 'Closes in'")).await;
    page.value("document.querySelector('#control-close').focus()").await;
    page.presses(SPACE).await;
    page.sees("a question", "document.activeElement.id === 'reason'").await;
    page.types("#reason", "it is late").await;
    page.presses(crate::webdriver::ENTER).await;
    page.sees("closed", "document.querySelector('#state .badge.closed')").await;
    page.sees("the outcome has the focus", "document.activeElement.id === 'outcome'").await;
    page.sees("no countdown", &format!("!{countdown}.includes('Closes in')")).await;
    assert_eq!(page.value(&text_of(".countdown-time")).await, Value::from(""));
    page.was_quiet().await;

    // The loss of the engine is shown where the operator looks: in the open dialog.
    page.clicks("#control-settle").await;
    page.sees("a question", "document.activeElement.id === 'reason'").await;
    page.types("#reason", "at last").await;
    engine.stop().await;
    page.presses(crate::webdriver::ENTER).await;
    let told = "document.querySelector('dialog[open] [role=alert]')?.textContent";
    page.sees("no answer", &format!("{told}?.includes('did not answer')")).await;
    assert_eq!(page.value("document.querySelector('dialog #reason').value").await, "at last");
    page.takes_a_picture("no-answer", 700).await;
}
