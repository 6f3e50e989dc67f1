//! The engine or its PostgreSQL is killed while customers order: every confirmed order is there afterwards.

use nix::sys::signal::{Signal, kill};

use crate::crowd::Crowd;
use crate::support::eventually;
use crate::support::shop::Shop;

const CUSTOMERS: usize = 32;
const ROUNDS: usize = 10;

#[actix_web::test]
async fn ten_kills_of_the_engine_lose_no_confirmed_order() {
    let mut shop = Shop::open(&[]).await;
    let crowd = Crowd::at(&shop, CUSTOMERS).await;

    for _ in 0..ROUNDS {
        let door = shop.visitor();
        crowd
            .buys_during(&door, async {
                crowd.got(150).await;
                shop.kill_engine().await;
            })
            .await;
        shop.start().await;
    }

    find_everything(&crowd, &shop).await;
}

#[actix_web::test]
async fn ten_kills_of_postgresql_lose_no_confirmed_order_and_the_engine_serves_on() {
    let shop = Shop::open(&[]).await;
    let crowd = Crowd::at(&shop, CUSTOMERS).await;

    let kills = async {
        for _ in 0..ROUNDS {
            crowd.got(150).await;
            let killed = shop.postmaster().expect("a postmaster");
            kill(killed, Signal::SIGKILL).expect("a kill");
            eventually("another postmaster", async || shop.postmaster().filter(|running| *running != killed))
                .await;
        }
        crowd.got(150).await;
    };
    crowd.buys_during(&shop.visitor(), kills).await;

    find_everything(&crowd, &shop).await;
}

#[actix_web::test]
async fn a_power_cut_loses_no_confirmed_order() {
    let mut shop = Shop::open(&[]).await;
    let crowd = Crowd::at(&shop, CUSTOMERS).await;

    for _ in 0..3 {
        let door = shop.visitor();
        crowd
            .buys_during(&door, async {
                crowd.got(150).await;
                // PostgreSQL with all its processes, and the engine.
                shop.signal_postgres(Signal::SIGKILL);
                shop.kill_engine().await;
            })
            .await;
        shop.start().await;
    }

    find_everything(&crowd, &shop).await;
}

/// Nothing that was told is lost, nothing unclear was done twice, and the figures agree.
async fn find_everything(crowd: &Crowd, shop: &Shop) {
    crowd.finds_out_what_was_unclear(shop).await;
    crowd.finds_what_it_was_told(shop).await;
    crowd.finds_the_stock_balanced(shop).await;
    shop.expect_clean_audit().await;
    assert!(crowd.unclear_answers() > 0, "the kills hit no request, so this proves nothing");
}
