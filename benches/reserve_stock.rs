//! How many durable reservations per second, and how long does one take, beside row locks and version retries?

#![allow(clippy::expect_used, reason = "a benchmark that cannot set its shop up has nothing to measure")]

mod support;

use criterion::Criterion;
use jiff::{Timestamp, ToSpan};
use shobai::actors::inventory::{Line, Purpose, ReserveStock};
use shobai::types::{Quantity, ReservationId};
use support::rivals::{Rival, Writes};
use support::{CALLERS, Case, ENGINE, SPREADS, Shop, Table, skus};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let system = actix_rt::System::new();
    let shop = system.block_on(Shop::open());
    let table = Table::default();
    let reserve = shop.domains.inventory.ports.reserve_stock.clone();
    let rival = Rival::new(shop.rivals_database(), Writes::Reservation);
    let expires_at = Timestamp::now() + 1.hour();

    for (spread, (_, count)) in SPREADS.into_iter().enumerate() {
        let skus = skus(count);
        system.block_on(shop.sell(&skus));
        for callers in 0..CALLERS.len() {
            let case = |how| Case { what: "reserve_stock", spread, callers, how };
            table.measure(&mut criterion, &system, case(ENGINE), |number| {
                let (reserve, sku) = (&reserve, &skus[number % skus.len()]);
                async move {
                    let message = ReserveStock {
                        id: ReservationId::generate(),
                        lines: vec![Line {
                            sku: sku.clone(),
                            quantity: Quantity::new(1).expect("one piece"),
                        }],
                        purpose: Purpose::Staff,
                        expires_at,
                        sale: None,
                        id_is_new: true,
                    };
                    reserve.ask(message).await.expect("a reservation");
                }
            });
        }
        // The rivals write past the actors, so they come after them.
        for callers in 0..CALLERS.len() {
            let case = |how| Case { what: "reserve_stock", spread, callers, how };
            let pick = |number: usize| &skus[number % skus.len()];
            table.measure(&mut criterion, &system, case("row lock"), |n| rival.row_lock(pick(n)));
            table.measure(&mut criterion, &system, case("one statement"), |n| rival.one_statement(pick(n)));
            table.measure(&mut criterion, &system, case("version retry"), |n| rival.version_retry(pick(n)));
        }
    }
    table.print("durable reservations of one piece, PostgreSQL with fsync");
    system.block_on(shop.close());
}
