//! PostgreSQL cannot be reached, or hangs: customers are told so in time, and all comes back by itself.

use std::fs;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shobai::storage::embedded::{Cluster, ClusterSettings};
use tokio::time::timeout;
use tokio_postgres::SimpleQueryMessage;

use crate::buyers::{available, buyers, expect_clean_audit, expect_try_again, insist};
use crate::crowd::Crowd;
use crate::support::client::konbini_order;
use crate::support::shop::Shop;
use crate::support::{Client, TestEngine, eventually, give_orphans_back_soon};

/// So that a test need not wait as long as a customer might.
const SHORT_DEADLINES: &[(&str, &str)] = &[
    ("SHOBAI_POSTGRES__CONNECTIONS_MAX", "4"),
    ("SHOBAI_POSTGRES__CONNECT_WITHIN_MS", "1000"),
    ("SHOBAI_JOURNAL__COMMIT_WITHIN_MS", "1500"),
    ("SHOBAI_ACTORS__ANSWER_WITHIN_MS", "3200"),
    ("SHOBAI_HTTP__REQUEST_WITHIN_MS", "4000"),
    ("SHOBAI_ORDERS__ORPHAN_AFTER_SECONDS", "16"),
];

#[actix_web::test]
async fn an_unreachable_database_is_reported_at_once_and_recovers_by_itself() {
    let data_dir = std::env::temp_dir().join(format!("shobai-away-{}", std::process::id()));
    let settings = ClusterSettings {
        data_dir: data_dir.clone(),
        bin_dir: None,
        connections: 64,
        start_within: Duration::from_secs(60),
        stop_within: Duration::from_secs(30),
    };
    let cluster = Cluster::start(settings.clone()).await.expect("a cluster");
    let engine = TestEngine::start_with(|config| {
        let connection = cluster.connection();
        let tokio_postgres::config::Host::Unix(socket) = &connection.get_hosts()[0] else {
            panic!("the cluster listens on a unix socket")
        };
        config.postgres.url = format!("host={} user=shobai dbname=shobai", socket.display()).into();
        give_orphans_back_soon(config);
    })
    .await;
    let sku = engine.sells("AWAY-1", 100).await;
    let cold = engine.sells("AWAY-2", 100).await;
    let buyers = buyers(&engine, 20).await;
    let monitoring = Client::new(engine.metrics_base(), None);
    buyers[0].orders(sku.as_str(), 1).await.expect(201);
    ready(&monitoring, 200).await;

    cluster.stop().await.expect("a stop");

    let order = konbini_order(sku.as_str(), 1);
    for _ in 0..3 {
        let asked = Instant::now();
        let orders = buyers.iter().map(|buyer| buyer.orders_with("while-away", order.clone()));
        for answer in join_all(orders).await {
            expect_try_again(&answer);
        }
        expect_try_again(&buyers[0].orders(cold.as_str(), 1).await);
        expect_try_again(&buyers[0].get("/v1/orders").await);
        assert!(asked.elapsed() < Duration::from_secs(6), "it took {:?}", asked.elapsed());
    }
    ready(&monitoring, 503).await;
    monitoring.get("/healthz").await.expect(200);
    // What is in memory is still shown.
    buyers[0].get("/.well-known/jwks.json").await.expect(200);

    let cluster = Cluster::start(settings).await.expect("a cluster again");
    for buyer in &buyers {
        insist(buyer, "while-away", &order).await;
    }
    ready(&monitoring, 200).await;
    eventually("the stock balances", async || (available(&buyers[0], &sku).await == 79).then_some(())).await;
    buyers[0].orders(cold.as_str(), 1).await.expect(201);
    expect_clean_audit(&engine).await;
    engine.stop().await;
    cluster.stop().await.expect("a stop");
    let _ = std::fs::remove_dir_all(data_dir);
}

#[actix_web::test]
async fn a_hanging_database_keeps_no_customer_waiting_beyond_the_deadline() {
    let shop = Shop::open(SHORT_DEADLINES).await;
    // The deadline of a request, and a slow machine.
    let patience = Duration::from_secs(5);
    let monitoring = shop.monitoring();
    let customers: Vec<Client> =
        shop.customers(30).await.into_iter().map(|token| shop.visitor().with_token(token)).collect();
    let sku = "SHOBAI-HOT-1".parse().expect("a sku");
    let before = available(&customers[0], &sku).await;
    customers[0].orders("SHOBAI-HOT-1", 1).await.expect(201);

    shop.signal_postgres(Signal::SIGSTOP);

    let order = konbini_order("SHOBAI-HOT-1", 1);
    for _ in 0..2 {
        let asked = customers.iter().map(|customer| customer.orders_with("while-hanging", order.clone()));
        let answers = timeout(patience, join_all(asked)).await.expect("answers within the deadline");
        answers.iter().for_each(expect_try_again);
        let reads = customers.iter().map(|customer| customer.get("/v1/orders"));
        let answers = timeout(patience, join_all(reads)).await.expect("answers within the deadline");
        answers.iter().for_each(expect_try_again);
    }
    ready(&monitoring, 503).await;
    monitoring.get("/healthz").await.expect(200);

    shop.signal_postgres(Signal::SIGCONT);

    for customer in &customers {
        let found = insist(customer, "while-hanging", &order).await;
        let orders = customer.get("/v1/orders?limit=100").await.expect(200).body;
        let ids = orders["items"]
            .as_array()
            .expect("orders")
            .iter()
            .filter(|order| order["id"] == found.body["id"]);
        assert_eq!(ids.count(), 1);
    }
    ready(&monitoring, 200).await;
    eventually("the stock balances", async || {
        (available(&customers[0], &sku).await == before - 31).then_some(())
    })
    .await;
    shop.expect_clean_audit().await;
}

#[actix_web::test]
async fn a_database_that_hangs_during_many_orders_loses_none() {
    const CUSTOMERS: usize = 32;
    let shop = Shop::open(SHORT_DEADLINES).await;
    let crowd = Crowd::at(&shop, CUSTOMERS).await;

    let hanging = async {
        for _ in 0..2 {
            crowd.got(150).await;
            let before = crowd.unclear_answers();
            shop.signal_postgres(Signal::SIGSTOP);
            // Every customer was told four times to come again: longer than stock is held for an order that does not appear.
            eventually("every customer is told to come again", async || {
                (crowd.unclear_answers() >= before + 4 * CUSTOMERS).then_some(())
            })
            .await;
            shop.signal_postgres(Signal::SIGCONT);
        }
        crowd.got(150).await;
    };
    crowd.buys_during(&shop.visitor(), hanging).await;

    crowd.finds_out_what_was_unclear(&shop).await;
    crowd.finds_what_it_was_told(&shop).await;
    crowd.finds_the_stock_balanced(&shop).await;
    shop.expect_clean_audit().await;
}

#[actix_web::test]
async fn an_order_that_is_stuck_until_its_stock_was_released_is_never_created() {
    let engine = TestEngine::start_with(give_orphans_back_soon).await;
    let buyer = engine.customer().await;
    let sku = engine.sells("STUCK", 5).await;
    buyer.orders(sku.as_str(), 1).await.expect(201);

    // The order of this request is on its way into the database and cannot be recalled.
    let journal = backend_that_places_orders(&engine).await;
    kill(journal, Signal::SIGSTOP).expect("a signal");
    expect_try_again(&buyer.orders_with("stuck", konbini_order(sku.as_str(), 2)).await);
    eventually("its stock is given back", async || (available(&buyer, &sku).await == 4).then_some(())).await;
    kill(journal, Signal::SIGCONT).expect("a signal");
    eventually("it has got through", async || {
        let processes = fs::read_dir("/proc").expect("processes").flatten();
        let mut names = processes.map(|process| process.file_name());
        (!names.any(|name| name == *journal.to_string())).then_some(())
    })
    .await;

    let orders = buyer.get("/v1/orders").await.expect(200);
    assert_eq!(orders.items().len(), 1, "{orders:?}");
    insist(&buyer, "stuck", &konbini_order(sku.as_str(), 2)).await;
    assert_eq!(available(&buyer, &sku).await, 2);
    expect_clean_audit(&engine).await;
    engine.stop().await;
}

async fn backend_that_places_orders(engine: &TestEngine) -> Pid {
    let rows = engine
        .by_hand(
            "select pid from pg_stat_activity \
              where datname = current_database() and query like '%insert into orders.orders%' \
                and pid <> pg_backend_pid()",
        )
        .await;
    let pids: Vec<i32> = rows
        .iter()
        .filter_map(|row| match row {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        })
        .collect();
    let [pid] = pids.as_slice() else { panic!("one lane of orders, not {pids:?}") };
    Pid::from_raw(*pid)
}

async fn ready(monitoring: &Client, status: u16) {
    let what = format!("readiness is told as {status}");
    eventually(&what, async || (monitoring.get("/readyz").await.status == status).then_some(())).await;
}
