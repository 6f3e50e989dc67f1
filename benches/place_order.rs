//! How many durable orders per second, and how long does one take, beside row locks and version retries?

#![allow(clippy::expect_used, reason = "a benchmark that cannot set its shop up has nothing to measure")]

mod support;

use criterion::Criterion;
use shobai::actors::inventory::Line;
use shobai::actors::orders::PlaceOrder;
use shobai::actors::payments::PaymentMethod;
use shobai::types::{CustomerId, Quantity};
use support::rivals::{Rival, Writes};
use support::{CALLERS, Case, ENGINE, SPREADS, Shop, Table, skus};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let system = actix_rt::System::new();
    let shop = system.block_on(Shop::open());
    let table = Table::default();
    let place = shop.domains.orders.ports.place_order.clone();
    let rival = Rival::new(shop.rivals_database(), Writes::ReservationAndOrder);
    let payment = PaymentMethod::Konbini {
        chain: "seven_eleven".parse().expect("a chain"),
        phone: "09012345678".parse().expect("a number"),
    };
    let customers: Vec<CustomerId> = (0..1_000).map(|_| CustomerId::generate()).collect();

    for (spread, (_, count)) in SPREADS.into_iter().enumerate() {
        let skus = skus(count);
        system.block_on(shop.sell(&skus));
        for callers in 0..CALLERS.len() {
            let case = |how| Case { what: "place_order", spread, callers, how };
            table.measure(&mut criterion, &system, case(ENGINE), |number| {
                let (place, sku, payment) = (&place, &skus[number % skus.len()], payment.clone());
                let customer = customers[number % customers.len()];
                async move {
                    let message = PlaceOrder {
                        customer,
                        key: uuid::Uuid::now_v7().to_string().parse().expect("a key"),
                        lines: vec![Line {
                            sku: sku.clone(),
                            quantity: Quantity::new(1).expect("one piece"),
                        }],
                        payment,
                        is_staff: false,
                        admission: None,
                        device: None,
                        arrived_at: jiff::Timestamp::now(),
                    };
                    place.ask(message).await.expect("an order");
                }
            });
        }
        // The rivals write past the actors, so they come after them.
        for callers in 0..CALLERS.len() {
            let case = |how| Case { what: "place_order", spread, callers, how };
            let pick = |number: usize| &skus[number % skus.len()];
            table.measure(&mut criterion, &system, case("row lock"), |n| rival.row_lock(pick(n)));
            table.measure(&mut criterion, &system, case("one statement"), |n| rival.one_statement(pick(n)));
            table.measure(&mut criterion, &system, case("version retry"), |n| rival.version_retry(pick(n)));
        }
    }
    table.print("durable orders of one piece, PostgreSQL with fsync");
    system.block_on(shop.close());
}
