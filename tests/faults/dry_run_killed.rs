//! The engine is killed while it makes the database of a dry run.

use serde_json::{Value, json};

use crate::operator::{Operator, plan, skus, soon};
use crate::support::shop::Shop;
use crate::support::{by_hand, eventually, told};

/// Whether there is the database that a dry run makes.
const IS_THERE: &str = "select 1 from pg_database where datname = current_database() || '_dry_run'";

#[actix_web::test]
async fn a_kill_while_a_database_is_created_does_not_block_later_dry_runs() {
    let mut shop = Shop::open(&[]).await;
    let mut operator = Operator::at(&shop).await;
    let sale = operator.plans(plan(&skus(&shop).await[..1], soon(300_000))).await;
    let path = format!("/v1/admin/sales/{sale}/dry-run");
    let run = json!({"reason": "a test", "customers": 20, "seconds": 3});
    let url = shop.database_url();

    // No database is made before the kill, and then one is for an engine that is gone.
    let held = by_hand(&url, "begin; lock table pg_database in share mode; select pg_sleep(6); commit");
    let killed = async {
        let waits = "select 1 from pg_locks where relation = 'pg_database'::regclass and not granted";
        let is_held = "select 1 from pg_locks
                        where relation = 'pg_database'::regclass and mode = 'ShareLock' and granted";
        eventually("no database can be made", async || told(&url, is_held).await).await;
        let asked = operator.staff.request(reqwest::Method::POST, &path).json(&run);
        let making = eventually("a database is being made", async || told(&url, waits).await);
        tokio::select! {
            _ = operator.staff.try_send(asked) => panic!("a dry run began without a database"),
            _ = making => shop.kill_engine().await,
        }
    };
    tokio::join!(held, killed);
    eventually("the database is made all the same", async || told(&url, IS_THERE).await).await;
    shop.start().await;
    operator.again_at(&shop);

    let url = shop.database_url();
    eventually("it is dropped", async || told(&url, IS_THERE).await.is_none().then_some(())).await;
    eventually("a run begins", async || {
        let begun = operator.staff.post(&path, run.clone()).await;
        (begun.code() != "dry-run-under-way").then(|| begun.expect(200))
    })
    .await;
    let outcome = eventually("the run ended", async || {
        let run = operator.staff.get(&path).await.expect(200).body;
        (run["state"] != "running").then_some(run)
    })
    .await;
    assert_eq!((&outcome["state"], &outcome["failure"]), (&json!("done"), &Value::Null), "{outcome}");
}
