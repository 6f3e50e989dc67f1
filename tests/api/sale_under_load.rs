//! What operators do to a sale while a crowd orders without a pause: in effect within a second, and exact.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::payments::{paid, report};
use crate::sales::{Operator, expect_no_findings, plan, soon};
use crate::support::client::{card_order, konbini_order};
use crate::support::{Answer, Client, TestEngine, eventually};

/// The promise about everything that stops a sale or lets it go on.
const WITHIN: Duration = Duration::from_secs(1);
/// For how long the crowd goes on knocking at what is stopped.
const KNOCKING: Duration = Duration::from_millis(1_500);
/// What a piece costs in the sale, and nowhere else.
const PRICE: i64 = 500;

async fn without_paces() -> TestEngine {
    TestEngine::start_with(|config| {
        config.sales.order_every_ms = 0;
        config.sales.unpaid_orders_max = 0;
    })
    .await
}

/// Customers who order one piece after the other, half of them lamps and half of them chairs.
struct Crowd {
    buyers: Vec<(Client, &'static str)>,
    told: RefCell<Vec<Told>>,
    is_over: Cell<bool>,
}

/// What one of them was told.
struct Told {
    buyer: usize,
    sku: &'static str,
    sent: Instant,
    answered: Instant,
    /// Nothing: taken, at the price of the sale.
    refused: Option<String>,
}

impl Crowd {
    async fn of(engine: &TestEngine) -> Self {
        let customers = join_all((0..32).map(|_| engine.customer())).await;
        let wants = ["LAMP", "CHAIR"].into_iter().cycle();
        Self {
            buyers: customers.into_iter().zip(wants).collect(),
            told: RefCell::default(),
            is_over: Cell::default(),
        }
    }

    /// Lets all customers order until a condition holds.
    async fn orders_during(&self, happening: impl Future<Output = ()>) {
        let ordering = join_all(self.buyers.iter().enumerate().map(async |(buyer, (client, sku))| {
            while !self.is_over.get() {
                let sent = Instant::now();
                let answer = client.orders_by_card(sku, 1).await;
                let refused = refusal(&answer);
                let answered = Instant::now();
                self.told.borrow_mut().push(Told { buyer, sku, sent, answered, refused });
            }
        }));
        let happening = async {
            happening.await;
            self.is_over.set(true);
        };
        tokio::join!(ordering, happening);
    }

    fn count(&self, is_counted: impl Fn(&Told) -> bool) -> usize {
        self.told.borrow().iter().filter(|told| is_counted(told)).count()
    }

    /// Waits until so many more orders were taken.
    async fn gets(&self, more: usize) {
        let taken = || self.count(|told| told.refused.is_none());
        let before = taken();
        eventually("customers are served", async || (taken() >= before + more).then_some(())).await;
    }
}

/// The gate that held an order up; nothing when it was taken.
fn refusal(answer: &Answer) -> Option<String> {
    match answer.status {
        201 if answer.body["totals"]["total"] == PRICE => None,
        201 => Some("sold as always".to_owned()),
        409 => Some(answer.code().to_owned()),
        _ => panic!("{answer:?}"),
    }
}

/// An order that was placed before and waits for its payment.
struct Held {
    client: Client,
    order: String,
}

/// A sale of lamps and chairs without a limit, its operator, and the crowd at its gates.
struct Scene {
    engine: TestEngine,
    operator: Operator,
    sale: String,
    crowd: Crowd,
    holders: [Client; 2],
}

impl Scene {
    async fn opens() -> Self {
        let engine = without_paces().await;
        let operator = Operator::of(&engine).await;
        let mut plan = plan("LAMP", 100_000);
        plan["items"]
            .as_array_mut()
            .unwrap()
            .push(json!({"sku": "CHAIR", "price": PRICE, "allotment": 100_000}));
        plan["limit_per_customer"] = Value::Null;
        for sku in ["LAMP", "CHAIR"] {
            engine.sells(sku, 100_000).await;
        }
        let sale = operator.opens(plan).await;
        let crowd = Crowd::of(&engine).await;
        let holders = [engine.customer().await, engine.customer().await];
        Self { engine, operator, sale, crowd, holders }
    }

    async fn ends(self) {
        expect_no_findings(&self.engine).await;
        self.engine.stop().await;
    }

    fn path(&self, action: &str) -> String {
        format!("/v1/admin/sales/{}/{action}", self.sale)
    }

    async fn holds(&self) -> [Held; 2] {
        let [one, other] = self.holders.each_ref().map(async |client| {
            let order = client.orders("LAMP", 1).await.expect(201).id().to_owned();
            Held { client: client.clone(), order }
        });
        [one.await, other.await]
    }

    /// One hold is paid and the other given up, whatever became of its sale.
    async fn holds_run_on(&self, [paying, leaving]: [Held; 2]) {
        let answer = report(&self.engine, &paid(&paying.order, PRICE)).await.expect(200);
        assert_eq!(answer.body["status"], "confirmed", "{answer:?}");
        let answer = leaving.client.cancels(&leaving.order).await.expect(200);
        assert_eq!(answer.order_status(), "cancelled", "{answer:?}");
    }

    /// Does something that keeps the buyers of some SKUs out, and looks how soon it did. Those of the others go on.
    async fn stops(&self, what: &str, path: &str, skus: &[&str], gates: &[&str]) {
        let crowd = &self.crowd;
        crowd.gets(64).await;
        let held = self.holds().await;
        let began = Instant::now();
        self.operator.staff.post(path, json!({"reason": "a test"})).await.expect(200);
        self.holds_run_on(held).await;
        let is_later = |told: &Told| told.sent >= began && skus.contains(&told.sku);
        eventually("every buyer was turned away for a while", async || {
            let is_turned_away = |buyer| {
                crowd.count(|told| told.buyer == buyer && is_later(told) && told.refused.is_some()) > 0
            };
            let buyers = (0..crowd.buyers.len()).filter(|buyer| skus.contains(&crowd.buyers[*buyer].1));
            (began.elapsed() >= KNOCKING && buyers.into_iter().all(is_turned_away)).then_some(())
        })
        .await;
        let told = crowd.told.borrow();
        let last = told
            .iter()
            .filter(|told| is_later(told) && told.refused.is_none())
            .map(|told| told.answered - began)
            .max();
        let turned_away = told.iter().filter(|told| is_later(told) && told.refused.is_some()).count();
        println!(
            "{what}: the last order sent after the request was taken {:.0} ms after it, {turned_away} were turned away",
            last.unwrap_or_default().as_secs_f64() * 1e3
        );
        assert!(last.unwrap_or_default() <= WITHIN, "{what}: {last:?}");
        for told in told.iter().filter(|told| told.sent >= began) {
            let is_expected = match &told.refused {
                Some(gate) => skus.contains(&told.sku) && gates.contains(&&**gate),
                None => true,
            };
            assert!(is_expected, "{what}: {} {:?}", told.sku, told.refused);
        }
        let others = told.iter().filter(|told| told.sent >= began && !skus.contains(&told.sku)).count();
        assert_eq!(others > 0, skus.len() < 2, "{what}");
    }

    /// Whatever is killed, everything can be read meanwhile, and staff may try it.
    async fn stays_open_to_readers_and_staff(&self) {
        let visitor = self.engine.visitor();
        for path in ["/v1/products", "/v1/sales", &format!("/v1/sales/{}", self.sale)] {
            visitor.get(path).await.expect(200);
        }
        let [reader, _] = &self.holders;
        reader.get("/v1/orders").await.expect(200);
        for sku in ["LAMP", "CHAIR"] {
            let tried = self.operator.staff.orders_by_card(sku, 1).await.expect(201);
            self.operator.staff.cancels(tried.id()).await.expect(200);
        }
    }

    async fn goes_on(&self, what: &str, path: &str, skus: &[&str]) {
        let began = Instant::now();
        self.operator.staff.post(path, json!({"reason": "a test"})).await.expect(200);
        let first = eventually("orders are taken again", async || {
            let told = self.crowd.told.borrow();
            let is_first =
                |told: &&Told| told.answered >= began && skus.contains(&told.sku) && told.refused.is_none();
            told.iter().find(is_first).map(|told| told.answered - began)
        })
        .await;
        println!(
            "{what}, resumed: the first order was taken {:.0} ms after the request",
            first.as_secs_f64() * 1e3
        );
        assert!(first <= WITHIN, "{what}: {first:?}");
    }
}

#[actix::test]
async fn a_pause_and_every_kill_take_effect_and_end_within_a_second() {
    let scene = Scene::opens().await;
    let both = ["LAMP", "CHAIR"];
    let rows: [(&str, String, String, &[&str], &str); 4] = [
        ("pause", scene.path("pause"), scene.path("resume"), &both, "sale-paused"),
        (
            "kill of a SKU",
            scene.path("items/LAMP/kill"),
            scene.path("items/LAMP/resume"),
            &both[..1],
            "stopped",
        ),
        ("kill of a sale", scene.path("kill"), scene.path("resume"), &both, "stopped"),
        ("kill of everything", "/v1/admin/kill".to_owned(), "/v1/admin/resume".to_owned(), &both, "stopped"),
    ];
    scene
        .crowd
        .orders_during(async {
            for (what, stop, go_on, skus, gate) in &rows {
                scene.stops(what, stop, skus, &[gate]).await;
                if *gate == "stopped" {
                    scene.stays_open_to_readers_and_staff().await;
                }
                scene.goes_on(what, go_on, skus).await;
            }
        })
        .await;
    scene.ends().await;
}

#[actix::test]
async fn a_sale_opens_and_ends_to_the_moment_under_load() {
    let engine = without_paces().await;
    let operator = Operator::of(&engine).await;
    let mut plan = plan("LAMP", 100_000);
    plan["items"].as_array_mut().unwrap().push(json!({"sku": "CHAIR", "price": PRICE, "allotment": 100_000}));
    plan["limit_per_customer"] = Value::Null;
    for sku in ["LAMP", "CHAIR"] {
        engine.sells(sku, 100_000).await;
    }
    let crowd = Crowd::of(&engine).await;
    // The moments of the plan are read between two of the test's clock.
    let opens = Instant::now() + Duration::from_secs(3);
    (plan["opens_at"], plan["closes_at"]) = (json!(soon(3_000)), json!(soon(6_000)));
    let closes = Instant::now() + Duration::from_secs(6);
    let sale = operator.plans(plan).await;
    for action in ["schedule", "arm"] {
        operator.tells(&sale, action).await.expect(200);
    }

    crowd
        .orders_during(async {
            let is_after = |told: &Told| told.sent > closes + WITHIN;
            eventually("it has ended", async || (crowd.count(is_after) > 64).then_some(())).await;
        })
        .await;

    let is_taken = |told: &Told| told.refused.is_none();
    let before = crowd.count(|told| told.answered < opens);
    let within = crowd.count(|told| is_taken(told) && told.answered >= opens && told.sent <= closes);
    println!("{before} answers before the opening, {within} orders taken, {} in all", crowd.count(|_| true));
    assert!(before > 0 && within > 0);
    assert_eq!(crowd.count(|told| is_taken(told) && told.answered < opens), 0, "taken before the opening");
    assert_eq!(crowd.count(|told| is_taken(told) && told.sent > closes), 0, "taken after the end");
    let gates = ["sale-not-open", "sold as always"];
    for told in crowd.told.borrow().iter().filter(|told| told.answered < opens || told.sent > closes) {
        let gate = told.refused.as_deref().unwrap_or_default();
        assert!(gates.contains(&gate) && (gate == gates[0] || told.sent > closes), "{gate}");
    }
    expect_no_findings(&engine).await;
    engine.stop().await;
}

#[actix::test]
async fn a_sale_is_armed_while_the_shop_sells_its_skus_and_gets_every_piece() {
    const PIECES: i64 = 50_000;
    let engine = without_paces().await;
    let operator = Operator::of(&engine).await;
    for sku in ["LAMP", "CHAIR"] {
        engine.sells(sku, 100_000).await;
    }
    let mut plan = plan("LAMP", PIECES);
    plan["items"].as_array_mut().unwrap().push(json!({"sku": "CHAIR", "price": PRICE, "allotment": PIECES}));
    (plan["opens_at"], plan["closes_at"]) = (json!(soon(300_000)), json!(soon(600_000)));
    let sale = operator.plans(plan).await;
    operator.tells(&sale, "schedule").await.expect(200);
    let crowd = Crowd::of(&engine).await;
    let armed_at = Cell::new(None);

    crowd
        .orders_during(async {
            eventually("the shop sells", async || (crowd.count(|_| true) > 200).then_some(())).await;
            operator.tells(&sale, "arm").await.expect(200);
            let armed = Instant::now();
            armed_at.set(Some(armed));
            let is_after = |told: &Told| told.sent > armed;
            eventually("they were turned away", async || (crowd.count(is_after) > 200).then_some(())).await;
        })
        .await;

    let armed = armed_at.get().expect("a moment");
    for told in crowd.told.borrow().iter() {
        let answer = told.refused.as_deref().unwrap_or("at the price of the sale");
        let expected: &[&str] = match told.sent > armed {
            true => &["sale-not-open"],
            // While it was being armed.
            false => &["sold as always", "sale-not-open"],
        };
        assert!(expected.contains(&answer), "{answer}");
    }
    let as_always =
        |sku| crowd.count(|told| told.sku == sku && told.refused.as_deref() == Some("sold as always"));
    println!("{} lamps and {} chairs were sold meanwhile", as_always("LAMP"), as_always("CHAIR"));
    for item in operator.live(&sale).await["items"].as_array().unwrap() {
        assert_eq!((&item["remaining"], &item["sold"]), (&json!(PIECES), &json!(0)), "{item}");
    }
    for sku in ["LAMP", "CHAIR"] {
        let stock = operator.staff.get(&format!("/v1/admin/inventory/{sku}")).await.expect(200).body;
        let left = 100_000 - PIECES - i64::try_from(as_always(sku)).unwrap();
        assert_eq!((&stock["available"], &stock["allotted"]), (&json!(left), &json!(PIECES)), "{stock}");
    }
    expect_no_findings(&engine).await;
    engine.stop().await;
}

#[actix::test]
async fn many_konbini_orders_at_once_hold_exactly_their_share() {
    let engine = without_paces().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 1_000).await;
    let mut shared = plan("LAMP", 100);
    shared["limit_per_customer"] = Value::Null;
    // Which is 28.999… in binary.
    shared["konbini"]["share_max"] = json!(0.29);
    let sale = operator.opens(shared).await;
    let buyers = join_all((0..40).map(|_| engine.customer())).await;
    let slips = async || join_all((0..200).map(|number| buyers[number % 40].orders("LAMP", 1))).await;
    let cards = async || join_all((0..40).map(|number| buyers[number].orders_by_card("LAMP", 1))).await;

    let (by_slip, by_card) = tokio::join!(slips(), cards());

    let held: Vec<&Answer> = by_slip.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(held.len(), 29);
    let refused = by_slip.iter().filter(|answer| answer.status != 201).cloned();
    refused.for_each(|answer| drop(answer.expect_problem(409, "konbini-share-reached")));
    by_card.into_iter().for_each(|answer| drop(answer.expect(201)));
    operator.sees_pieces(&sale, 31, 29, 40, 0).await;
    // A paid slip makes room for another one, and so does one that is given up.
    report(&engine, &paid(held[0].id(), PRICE)).await.expect(200);
    let owner =
        by_slip.iter().position(|answer| answer.status == 201 && answer.id() == held[1].id()).unwrap();
    buyers[owner % 40].cancels(held[1].id()).await.expect(200);
    eventually("there is room for two", async || {
        let again = slips().await;
        let taken = again.iter().filter(|answer| answer.status == 201).count();
        assert!(taken <= 2, "{taken}");
        (operator.live(&sale).await["items"][0]["held"] == 29).then_some(())
    })
    .await;
    expect_no_findings(&engine).await;
    engine.stop().await;
}

#[actix::test]
async fn an_expired_order_restores_exactly_the_limit_of_its_customer() {
    let engine = without_paces().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 1_000).await;
    let mut brief = plan("LAMP", 1_000);
    brief["hold_seconds"] = json!({"card": 1, "konbini": 1});
    let sale = operator.opens(brief).await;
    let buyers = join_all((0..20).map(|_| engine.customer())).await;
    let phone = |number: usize| {
        let mut order = konbini_order("LAMP", 1);
        order["payment"]["konbini"]["phone"] = json!(format!("0901111{number:04}"));
        order
    };
    let rush = async || {
        let answers = join_all((0..200).map(async |number| {
            let key = uuid::Uuid::now_v7().to_string();
            (number % 20, buyers[number % 20].orders_with(&key, phone(number % 20)).await)
        }))
        .await;
        let mut taken = [0; 20];
        for (buyer, answer) in answers {
            match answer.status {
                201 => taken[buyer] += 1,
                _ => drop(answer.expect_problem(409, "limit-reached")),
            }
        }
        taken
    };

    // A second may pass within a rush, so that a few come twice; no customer ever has more than the limit.
    let first = rush().await;
    assert!(first.iter().all(|taken| *taken >= 2), "{first:?}");
    operator.sees_pieces(&sale, 1_000, 0, 0, 0).await;

    // The limit follows the pieces.
    join_all(buyers.iter().map(async |buyer| {
        eventually("the limit is theirs again", async || {
            (buyer.orders_by_card("LAMP", 2).await.status == 201).then_some(())
        })
        .await;
    }))
    .await;
    let more = join_all(buyers.iter().map(|buyer| buyer.orders_by_card("LAMP", 1))).await;
    more.into_iter().for_each(|answer| drop(answer.expect_problem(409, "limit-reached")));
    operator.sees_pieces(&sale, 960, 0, 40, 0).await;
    expect_no_findings(&engine).await;
    engine.stop().await;
}

#[actix::test]
async fn a_sale_drains_until_no_piece_is_held_and_accepts_no_order_meanwhile() {
    let scene = Scene::opens().await;
    let last = scene.engine.customer().await;
    scene
        .crowd
        .orders_during(async {
            let held = last.orders("LAMP", 1).await.expect(201);
            scene.stops("drain", &scene.path("drain"), &["LAMP", "CHAIR"], &["sale-not-open"]).await;
            assert_eq!(scene.operator.status(&scene.sale).await, "draining", "one piece is held");
            last.cancels(held.id()).await.expect(200);
            scene.operator.sees(&scene.sale, "closed").await;
        })
        .await;
    scene.ends().await;
}

#[actix::test]
async fn a_sale_is_cancelled_within_a_second_and_its_holds_run_on() {
    let scene = Scene::opens().await;
    // The shop sells as always once it has its pieces back.
    let gates = ["sale-not-open", "sold as always"];
    let cancel = scene.path("cancel");
    scene.crowd.orders_during(scene.stops("cancel", &cancel, &["LAMP", "CHAIR"], &gates)).await;
    let taken = scene.crowd.count(|told| told.refused.is_none());
    eventually("those of the crowd, and one that was held, are sold", async || {
        let live = scene.operator.live(&scene.sale).await;
        let sold = live["items"].as_array().unwrap().iter().map(|item| item["sold"].as_u64().unwrap());
        (sold.sum::<u64>() == taken as u64 + 1).then_some(())
    })
    .await;
    scene.ends().await;
}

#[actix::test]
async fn accounts_that_share_a_phone_or_card_get_the_limit_once() {
    let engine = without_paces().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 1_000).await;
    operator.opens(plan("LAMP", 1_000)).await;
    for order in [konbini_order("LAMP", 1), card_order("LAMP", 1, "tok_ok_4242")] {
        let accounts = join_all((0..25).map(|_| engine.customer())).await;
        let orders = async |account: &Client| {
            account.orders_with(&uuid::Uuid::now_v7().to_string(), order.clone()).await
        };

        let answers = join_all((0..1_000).map(|number| orders(&accounts[number % accounts.len()]))).await;

        let placed: Vec<usize> = (0..1_000).filter(|number| answers[*number].status == 201).collect();
        assert_eq!(placed.len(), 2, "exactly the limit");
        let refused = answers.iter().filter(|answer| answer.status != 201).cloned();
        refused.for_each(|answer| drop(answer.expect_problem(409, "limit-reached")));
        // What is cancelled may be had again by any of them, and not more.
        accounts[placed[0] % accounts.len()].cancels(answers[placed[0]].id()).await.expect(200);
        let again = join_all(accounts.iter().map(orders)).await;
        assert_eq!(again.iter().filter(|answer| answer.status == 201).count(), 1);
    }
    expect_no_findings(&engine).await;
    engine.stop().await;
}

#[actix::test]
async fn an_allotment_goes_up_and_down_under_load_and_never_below_what_is_promised() {
    const MORE: i64 = 150;
    const LESS: i64 = 30;
    let engine = without_paces().await;
    let operator = Operator::of(&engine).await;
    engine.sells("LAMP", 10_000).await;
    engine.sells("CHAIR", 100_000).await;
    let mut unlimited = plan("LAMP", 100);
    unlimited["limit_per_customer"] = Value::Null;
    let sale = operator.opens(unlimited).await;
    let crowd = Crowd::of(&engine).await;
    let change = async |allotment: i64, expected: i64| {
        let path = format!("/v1/admin/sales/{sale}/items/LAMP");
        let request = operator.staff.request(reqwest::Method::PATCH, &path);
        operator.staff.send(request.json(&json!({"allotment": allotment, "expected": expected}))).await
    };
    let taken = || i64::try_from(crowd.count(|told| told.sku == "LAMP" && told.refused.is_none())).unwrap();
    let (mut allotment, mut lowered) = (100, 0);
    crowd
        .orders_during(async {
            for _ in 0..6 {
                // All of it is had, and not a piece more.
                eventually("it is sold out", async || (taken() >= allotment).then_some(())).await;
                change(allotment - 1, allotment).await.expect_problem(409, "below-promised");
                assert_eq!(taken(), allotment);
                change(allotment + MORE, allotment).await.expect(200);
                allotment += MORE;
                let began = Instant::now();
                let less = change(allotment - LESS, allotment).await;
                let done = Instant::now();
                match less.status {
                    200 => (allotment, lowered) = (allotment - LESS, lowered + 1),
                    _ => drop(less.expect_problem(409, "below-promised")),
                }
                change(1, allotment).await.expect_problem(409, "below-promised");
                change(allotment + 1, allotment + LESS).await.expect_problem(409, "allotment-differs");
                let live = operator.live(&sale).await["items"][0].clone();
                assert!(live["remaining"].as_i64().unwrap() >= 0, "{live}");
                let is_meanwhile =
                    |told: &Told| told.sku == "LAMP" && told.sent < done && told.answered > began;
                eventually("lamps were ordered meanwhile", async || {
                    (crowd.count(is_meanwhile) > 0).then_some(())
                })
                .await;
            }
            eventually("it is sold out", async || (taken() >= allotment).then_some(())).await;
        })
        .await;
    println!("raised 6 times and lowered {lowered} times under load");
    assert!(lowered > 0, "nothing was lowered, so this shows nothing");
    assert_eq!(taken(), allotment);
    operator.sees_pieces(&sale, 0, 0, allotment, 0).await;
    expect_no_findings(&engine).await;
    engine.stop().await;
}
