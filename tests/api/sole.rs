//! One engine serves a database, whatever data directory another one has.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use shobai::engine::Engine;

use crate::support::{TestEngine, by_hand, eventually};

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
async fn an_engine_that_lost_its_lock_with_its_connection_takes_it_again() {
    let engine = TestEngine::start().await;
    let first = eventually("the lock is held", async || holder(&engine).await).await;

    engine.by_hand(&format!("select pg_terminate_backend({first})")).await;

    eventually("it is held again", async || holder(&engine).await.filter(|holder| *holder != first)).await;
    engine.visitor().get("/v1/sales").await.expect(200);
    engine.stop().await;
}

#[actix::test]
async fn an_engine_that_lost_its_lock_to_another_stops_at_once() {
    let mut engine = TestEngine::start().await;
    let first = eventually("the lock is held", async || holder(&engine).await).await;
    let url = engine.config.postgres.url.expose_secret().to_owned();
    // It stands in PostgreSQL's own queue, so that it is the next one.
    let other = by_hand(&url, "select pg_advisory_lock(hashtext('shobai engine')); select pg_sleep(10)");
    let loses = async {
        let waiting = "select 1 from pg_locks where locktype = 'advisory' and not granted
                        and database = (select oid from pg_database where datname = current_database())";
        eventually("the other one waits", async || engine.told(waiting).await).await;
        engine.by_hand(&format!("select pg_terminate_backend({first})")).await;
        engine.engine.gateway_ended().await
    };

    tokio::select! {
        ended = loses => assert_eq!(ended.to_string(), "the gateway ended"),
        _ = other => panic!("an engine waits for the lock that another one took, and serves on"),
    }

    engine.stop().await;
}

#[actix::test]
async fn an_engine_stops_when_another_one_held_the_lock_in_between() {
    let mut engine = TestEngine::start().await;
    let first = eventually("the lock is held", async || holder(&engine).await).await;
    // As the other one's start is noted.
    engine.by_hand("insert into storage.starts default values").await;

    engine.by_hand(&format!("select pg_terminate_backend({first})")).await;

    let ended = tokio::time::timeout(Duration::from_secs(20), engine.engine.gateway_ended()).await;
    assert!(ended.is_ok(), "it serves on with what it knew before");
    engine.stop().await;
}
