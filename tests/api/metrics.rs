//! The port for machines: figures, liveness, readiness.

use crate::support::{Client, TestEngine};

#[actix::test]
async fn the_figures_have_the_promised_names_after_some_traffic() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 2).await;
    let customer = engine.customer().await;
    customer.orders("LAMP", 1).await.expect(201);
    customer.orders("LAMP", 5).await.expect_problem(409, "out-of-stock");
    customer.get("/nowhere/at/all").await.expect(404);
    let machines = Client::new(engine.metrics_base(), None);

    // Gauges of the shards are set once in a while.
    let page = crate::support::eventually("the shards have told their figures", async || {
        let page = machines.get("/metrics").await.expect(200);
        page.text.contains("shobai_inventory_active_skus").then_some(page)
    })
    .await;

    assert!(page.header("content-type").unwrap().starts_with("text/plain"), "{page:?}");
    for name in [
        "shobai_http_requests_total",
        "shobai_http_request_seconds",
        "shobai_actor_asks_total",
        "shobai_actor_ask_failures_total",
        "shobai_actor_restarts_total",
        "shobai_journal_batch_entries",
        "shobai_journal_commit_seconds",
        "shobai_journal_queue_entries",
        "shobai_journal_unknown_total",
        "shobai_journal_refused_total",
        "shobai_journal_restarts_total",
        "shobai_pool_connections",
        "shobai_pool_idle_connections",
        "shobai_reservations_total",
        "shobai_inventory_active_skus",
        "shobai_process_cpu_seconds",
        "shobai_process_memory_bytes",
    ] {
        assert!(page.text.lines().any(|line| line.starts_with(name)), "{name} is missing in\n{}", page.text);
    }
    let has = |parts: &[&str]| page.text.lines().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(has(&[
        "shobai_http_requests_total",
        r#"method="POST""#,
        r#"route="/v1/orders""#,
        r#"status="201""#
    ]));
    assert!(has(&["shobai_http_requests_total", r#"route="/v1/orders""#, r#"status="409""#]));
    assert!(has(&["shobai_http_requests_total", r#"route="unmatched""#, r#"status="404""#]));
    for outcome in ["busy", "late"] {
        assert!(has(&["shobai_actor_ask_failures_total", &format!(r#"outcome="{outcome}""#)]), "{outcome}");
    }
    // A path that a client invents becomes no label.
    assert!(!page.text.contains("nowhere"));
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn a_hot_sku_has_gauges_of_its_own() {
    let engine = TestEngine::start().await;
    engine.sells("GAUGED", 1_000).await;
    let customer = engine.customer().await;
    let machines = Client::new(engine.metrics_base(), None);

    let gauge = crate::support::eventually("the SKU has a gauge", async || {
        customer.orders("GAUGED", 1).await;
        let page = machines.get("/metrics").await.expect(200);
        let line =
            page.text.lines().find(|line| !line.starts_with('#') && line.contains(r#"sku="GAUGED""#))?;
        Some(line.to_owned())
    })
    .await;

    assert!(gauge.starts_with("shobai_stock_"), "{gauge}");
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn a_running_engine_lives_and_is_ready() {
    let engine = TestEngine::start().await;
    let machines = Client::new(engine.metrics_base(), None);
    assert_eq!(machines.get("/healthz").await.expect(200).text, "ok");
    assert_eq!(machines.get("/readyz").await.expect(200).body["ready"], true);
    // What is for machines is not for the world.
    for path in ["/metrics", "/healthz", "/readyz"] {
        engine.visitor().get(path).await.expect_problem(404, "not-found");
    }
    engine.stop().await;
}

#[actix::test]
async fn arming_a_sale_opens_every_connection_of_the_pool() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 5).await;
    let operator = crate::sales::Operator::of(&engine).await;
    let mut later = crate::sales::plan("LAMP", 5);
    later["opens_at"] = serde_json::json!(crate::sales::soon(300_000));
    let sale = operator.plans(later).await;
    operator.tells(&sale, "schedule").await.expect(200);
    let machines = Client::new(engine.metrics_base(), None);
    let open = async || -> f64 {
        let page = machines.get("/metrics").await.expect(200);
        let line = page.text.lines().find(|line| line.starts_with("shobai_pool_connections "));
        line.and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0.0)
    };
    let most = engine.config.postgres.connections_max as f64;

    operator.tells(&sale, "arm").await.expect(200);

    crate::support::eventually("all are open", async || (open().await >= most).then_some(())).await;
    engine.stop().await;
}
