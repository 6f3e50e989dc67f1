//! One engine serves a database, whatever data directory another one has.

use shobai::engine::Engine;

use crate::support::{TestEngine, eventually};

/// The process of PostgreSQL that holds the engine's lock.
async fn holder(engine: &TestEngine) -> Option<String> {
    let holder = "select l.pid from pg_locks as l join pg_database as d on d.oid = l.database
                   where l.locktype = 'advisory' and l.granted and d.datname = current_database()";
    engine.told(holder).await
}

#[actix::test]
async fn a_second_engine_of_the_same_database_is_refused_until_the_first_has_stopped() {
    let first = TestEngine::start().await;
    let mut config = first.config.clone();
    config.storage.data_dir = first.config.storage.data_dir.join("other");

    let refused = Engine::start(config.clone()).await.err().expect("a refusal");

    assert!(refused.to_string().contains("another engine serves the database"), "{refused:#}");
    first.engine.stop().await.expect("an orderly stop");
    let second = Engine::start(config).await.expect("the only engine");
    second.stop().await.expect("an orderly stop");
}

#[actix::test]
async fn an_engine_whose_lock_was_lost_with_its_connection_takes_it_again() {
    let engine = TestEngine::start().await;
    let first = eventually("the lock is held", async || holder(&engine).await).await;

    engine.by_hand(&format!("select pg_terminate_backend({first})")).await;

    eventually("it is held again", async || holder(&engine).await.filter(|holder| *holder != first)).await;
    engine.anybody().get("/v1/sales").await.expect(200);
    engine.stop().await;
}
