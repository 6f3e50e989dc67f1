//! An operator runs a sale from the page alone, while customers order.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};

use crate::chromium::{Chromium, file_in};
use crate::support::{Client, TestEngine};
use crate::webdriver::ENTER;

/// Customers who order one after the other until they are told that it is over.
struct Crowd {
    is_over: Rc<Cell<bool>>,
    tasks: Vec<actix_rt::task::JoinHandle<()>>,
    /// Orders that were placed, and whether they are paid.
    placed: Rc<RefCell<Vec<(String, bool)>>>,
}

impl Crowd {
    async fn of(engine: &TestEngine, customers: usize) -> Self {
        let mut crowd = Self { is_over: Rc::default(), tasks: Vec::new(), placed: Rc::default() };
        for number in 0..customers {
            let customer = engine.customer().await;
            let (is_over, placed) = (crowd.is_over.clone(), crowd.placed.clone());
            crowd.tasks.push(actix_rt::spawn(async move {
                let mut unpaid = Vec::new();
                while !is_over.get() {
                    let answer = order(&customer, number).await;
                    match answer.status {
                        201 => {
                            let is_paid = answer.order_status() == "confirmed";
                            placed.borrow_mut().push((answer.id().to_owned(), is_paid));
                            if !is_paid {
                                unpaid.push(answer.id().to_owned());
                            }
                        }
                        409 => {}
                        _ => panic!("{answer:?}"),
                    }
                }
                // A sale is settled when nothing of it is open.
                for order in unpaid {
                    customer.cancels(&order).await.expect(200);
                }
            }));
        }
        crowd
    }

    /// Stops all customers; answers with the orders that they got.
    async fn ends(self) -> Vec<(String, bool)> {
        self.is_over.set(true);
        for task in self.tasks {
            task.await.expect("a customer");
        }
        self.placed.take()
    }
}

/// Every other one pays at a konbini, later or never.
async fn order(customer: &Client, number: usize) -> crate::support::Answer {
    let sku = if number.is_multiple_of(3) { "TEA-BOWL" } else { "LANTERN" };
    if number.is_multiple_of(2) {
        customer.orders(sku, 1).await
    } else {
        customer.orders_by_card(sku, 1).await
    }
}

impl Chromium {
    /// Does something to the sale: the button, the question, the reason, and what became of it.
    async fn does(&self, button: &str, action: &str, word: &str) {
        self.clicks(button).await;
        self.answers(action, word).await;
    }

    /// Gives a reason in the question that is open.
    async fn answers(&self, action: &str, word: &str) {
        self.sees("a question", "document.activeElement.closest('dialog[open]')").await;
        self.types("#reason", &format!("{action}, as planned")).await;
        self.presses(ENTER).await;
        let done = format!("document.getElementById('outcome').textContent.includes('Done: {word}.')");
        self.sees(&done, &done).await;
        self.sees("no question", "!document.querySelector('dialog[open]')").await;
    }

    async fn sees_status(&self, status: &str) {
        self.sees(status, &format!("document.querySelector('#state .badge.{status}')")).await;
    }

    /// A figure as it is shown at the moment.
    async fn figure(&self, selector: &str) -> i64 {
        let shown = self.value(&format!("document.querySelector('{selector}').textContent")).await;
        shown
            .as_str()
            .and_then(|text| text.replace(',', "").parse().ok())
            .unwrap_or_else(|| panic!("{selector}: {shown}"))
    }

    async fn sees_forecast(&self) {
        self.sees("a forecast", "/\\d/.test(document.querySelector('[data-figure=forecast]').textContent)")
            .await;
    }

    /// Waits until a figure is higher than it is now, without loading the page again.
    async fn sees_more(&self, selector: &str, more: i64) {
        let wanted = self.figure(selector).await + more;
        let is_more =
            format!("+document.querySelector('{selector}').textContent.replaceAll(',', '') >= {wanted}");
        self.sees(&format!("{selector} is {wanted}"), &is_more).await;
    }
}

fn action(name: &str) -> String {
    format!("#control-{name}")
}

#[actix::test]
async fn an_operator_runs_a_sale_from_the_page_alone() {
    let engine = TestEngine::start_with(|config| {
        config.sales.arm_before_seconds = 0;
        config.sales.order_every_ms = 0;
        config.sales.unpaid_orders_max = 0;
    })
    .await;
    for sku in ["LANTERN", "TEA-BOWL"] {
        engine.sells(sku, 50_000).await;
    }
    let page = Chromium::open(&engine).await;
    page.signs_in(&engine).await;

    // It is planned in the editor.
    page.clicks("a[href='/ops/sales/new']").await;
    page.types("#name", "Midnight lanterns").await;
    let opens_at = Timestamp::now() + SignedDuration::from_secs(15);
    let in_japan = |time: Timestamp| time.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(9)));
    for (field, time) in [("opens_at", opens_at), ("closes_at", opens_at + SignedDuration::from_secs(3_600))]
    {
        // How a date is typed depends on the country of the browser.
        let time = in_japan(time).strftime("%Y-%m-%dT%H:%M:%S").to_string();
        page.value(&format!("document.getElementById('{field}').value = '{time}'")).await;
    }
    for (field, text) in [("#sku-0", "LANTERN"), ("#price-0", "4,800"), ("#allotment-0", "9,000")] {
        page.types(field, text).await;
    }
    page.clicks("[data-more]").await;
    for (field, text) in [("#sku-1", "TEA-BOWL"), ("#price-1", "7200"), ("#allotment-1", "5000")] {
        page.types(field, text).await;
    }
    page.types("#limit", "").await;
    page.clicks(".buttons.end button.primary").await;
    page.sees_status("draft").await;
    page.sees("it is ready", "document.querySelector('.outcome.done')").await;

    page.does(&action("schedule"), "schedule", "Schedule").await;
    page.sees_status("scheduled").await;
    page.does(&action("arm"), "arm", "Arm").await;
    page.sees_status("armed").await;
    page.sees(
        "its pieces",
        "document.querySelector('[data-sku=LANTERN] [data-figure=remaining]').textContent === '9,000'",
    )
    .await;
    page.sees("both are ready", "document.querySelectorAll('.badge.ready[data-figure=ready]').length === 2")
        .await;

    // It opens by itself, and the page follows.
    page.value("window.isTheSamePage = true").await;
    page.sees_status("open").await;
    let crowd = Crowd::of(&engine, 6).await;
    page.sees("the stream", "document.querySelector('#link.is-live')").await;
    page.sees_more("[data-total=accepted]", 50).await;
    page.sees_more("[data-sku=LANTERN] [data-figure=sold]", 10).await;
    page.sees_more("[data-sku=TEA-BOWL] [data-figure=held]", 10).await;
    for vital in ["p50_ms", "p999_ms", "oldest_seconds", "event_lag_ms"] {
        let is_told = format!("/\\d/.test(document.querySelector('[data-vital={vital}]').textContent)");
        page.sees(vital, &is_told).await;
    }
    page.sees("the green light", "document.querySelector('#light[data-is=true]:not([hidden])')").await;
    page.sees_more("[data-total=accepted]", 300).await;

    // By keyboard alone it is paused, and goes on.
    for (name, word, status) in [("pause", "Pause", "paused"), ("resume", "Resume", "open")] {
        page.value(&format!("document.querySelector('{}').focus()", action(name))).await;
        page.presses(ENTER).await;
        page.answers(name, word).await;
        page.sees_status(status).await;
        if status == "paused" {
            page.sees_more("[data-gate=sale-paused]", 20).await;
        }
    }
    page.sees_more("[data-total=accepted]", 20).await;
    page.does("[data-sku=TEA-BOWL] a[href*='action=kill']", "stop", "Kill").await;
    page.sees("it is stopped", "document.querySelector('[data-sku=TEA-BOWL] .badge.stopped')").await;
    page.sees_more("[data-gate=stopped]", 20).await;
    page.does("[data-sku=TEA-BOWL] a[href*='action=resume']", "go on", "Resume").await;
    page.sees_more("[data-sku=TEA-BOWL] [data-figure=held]", 10).await;
    page.clicks("[data-sku=LANTERN] a[href*='action=allot']").await;
    page.sees("a question", "document.activeElement.id === 'allotment'").await;
    page.types("#allotment", "8,500").await;
    page.answers("fewer", "Change the allotment").await;
    page.sees("fewer", "document.querySelector('[data-figure=allotment]').textContent === '8,500'").await;
    page.sees_more("[data-total=accepted]", 300).await;
    page.sees_forecast().await;
    page.takes_a_picture("sale", 1_160).await;

    page.is_a_telephone().await;
    page.sees("the narrow charts", "document.querySelector('.uplot').clientWidth < 340").await;
    page.takes_a_picture("telephone", 1_240).await;
    page.is_a_desk().await;
    page.sees("the wide charts", "document.querySelector('.uplot').clientWidth > 400").await;
    assert_eq!(page.value("window.isTheSamePage").await, true, "it was loaded again");
    page.clicks(".top button[lang=ja]").await;
    page.sees(
        "Japanese",
        "document.documentElement.lang === 'ja' && document.querySelector('#link.is-live')",
    )
    .await;
    page.sees_forecast().await;
    page.takes_a_picture("japanese", 1_160).await;
    page.clicks(".top button[lang=en]").await;
    page.sees("English", "document.documentElement.lang === 'en' && document.querySelector('#link.is-live')")
        .await;

    page.does(&action("kill"), "enough", "Kill").await;
    page.sees("it is stopped", "document.querySelector('#state .badge.stopped')").await;
    page.sees_more("[data-gate=stopped]", 20).await;
    let orders = crowd.ends().await;
    // What was paid is sold a moment later.
    let paid = orders.iter().filter(|(_, is_paid)| *is_paid).count();
    let sold = "[...document.querySelectorAll('[data-figure=sold]')].map((sold) => +sold.textContent.replaceAll(',', ''))";
    page.sees("all that was paid is sold", &format!("{sold}.reduce((one, other) => one + other) === {paid}"))
        .await;
    page.does(&action("close"), "close", "Close").await;
    page.sees_status("closed").await;
    page.does(&action("settle"), "settle", "Settle").await;
    page.sees_status("settled").await;

    // The report says what the customers were told.
    for form in ["json", "csv", "html"] {
        page.clicks(&format!("a[href$='report?form={form}']")).await;
        let file = file_in(&page.files(), &format!(".{form}")).await;
        match form {
            "json" => {
                let report = shobai::audit::verify(&file).expect("a signed report");
                let accepted = report.summary.totals.accepted.orders;
                assert_eq!(usize::try_from(accepted).ok(), Some(orders.len()));
                assert!(report.summary.is_clean, "{:?}", report.summary);
            }
            "csv" => assert!(orders.iter().all(|(order, _)| file.contains(order))),
            _ => assert!(file.contains("Everything adds up."), "{file}"),
        }
    }
    page.closes().await;
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}
