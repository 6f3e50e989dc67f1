//! The harness tells the truth: of a shop that stands still, of one that breaks its word, and of itself.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::{Bench, findings, row};
use crate::stub::{ADMIN, SKU, Vice, serve};
use crate::support::eventually;

/// A scenario of one stage, for the stub's SKU.
fn scenario(stage: &str, journeys: &str, limits: &str) -> String {
    format!(
        r#"
        name = "test"
        about = "A test."
        customers = {{ count = 4 }}
        skus = {{ choose = "one", names = ["{SKU}"] }}
        [[stages]]
        name = "only"
        {stage}
        {journeys}
        [limits]
        {limits}
        "#
    )
}

const BUY: &str = "[journeys.buy]\nweight = 1\nsteps = [\"place_order\"]";

#[actix_web::test]
async fn a_pause_of_the_shop_shows_in_an_open_loop_and_hardly_in_a_closed_one() {
    let bench = Bench::new();
    let open = scenario("kind = \"steady\"\nseconds = 4\nrate = 100", BUY, "");
    let closed = scenario("kind = \"closed\"\nseconds = 4\nworkers = 1\nthink_ms = 1", BUY, "");
    let (open, closed) = (bench.write("open.toml", &open), bench.write("closed.toml", &closed));

    let (_, open) = bench.run(&open, &serve(Vice::Freezes, 1_000_000), &[]).await;
    let (_, closed) = bench.run(&closed, &serve(Vice::Freezes, 1_000_000), &[]).await;

    // A quarter of all arrivals met the second without answers; in a closed loop only one did.
    let p99 = |result: &serde_json::Value| {
        row(result, "place_order", "accepted")["latency_ms"]["p99"].as_f64().unwrap()
    };
    assert!(p99(&open) > 900.0, "{}", p99(&open));
    assert!(p99(&closed) < p99(&open) / 2.0, "{} {}", p99(&closed), p99(&open));
    let longest = row(&closed, "place_order", "accepted")["latency_ms"]["max"].as_f64().unwrap();
    assert!(longest > 900.0, "{longest}");
}

#[actix_web::test]
async fn an_audit_finds_each_fault_and_none_in_a_correct_shop() {
    let buyers = "kind = \"spike\"\nseconds = 1\nvisits = 200";
    let honest = r#"
        [journeys.buy]
        weight = 3
        steps = ["place_order", "repeat_order"]
        [journeys.change_mind]
        weight = 1
        steps = ["place_order", "cancel_order"]
    "#;
    let forgers = "[journeys.forger]\nweight = 1\nsteps = [\"send_bad_token\"]";
    for (vice, pieces, journeys, found) in [
        (Vice::None, 100_000, honest, &[] as &[&str]),
        (Vice::None, 50, honest, &[]),
        (Vice::Loses, 100_000, BUY, &["lost", "stuck"]),
        (Vice::Doubles, 100_000, BUY, &["doubled"]),
        (Vice::Oversells, 50, BUY, &["oversold"]),
        (Vice::Undersells, 100_000, BUY, &["undersold"]),
        (Vice::Alters, 100_000, BUY, &["differs"]),
        (Vice::Hoards, 100_000, BUY, &["stuck"]),
        (Vice::Admits, 100_000, forgers, &["differs"]),
        (Vice::Stutters, 100_000, BUY, &[]),
        (Vice::Reneges, 100_000, BUY, &["differs"]),
        (Vice::Shortens, 100_000, BUY, &["differs"]),
    ] {
        let bench = Bench::new();
        let path =
            bench.write("vice.toml", &scenario(buyers, journeys, "settle_seconds = 1\nlate_share = 1.0"));
        let admin = bench.write("admin.json", ADMIN);

        let (code, result) =
            bench.run(&path, &serve(vice, pieces), &["--audit", "--admin", admin.to_str().unwrap()]).await;

        let mut kinds = findings(&result);
        // Pieces of an order that the shop forgot are held without an order, as are those that forgers took.
        kinds.retain(|kind| *kind != "stuck" || found.contains(kind));
        assert_eq!(kinds, found, "{vice:?} {:#}", result["audit"]);
        assert_eq!(code, i32::from(!found.is_empty()), "{vice:?}");
        assert_eq!(result["audit"]["clean"], found.is_empty(), "{vice:?}");
    }
}

#[actix_web::test]
async fn a_generator_that_is_starved_says_so_and_its_run_is_not_valid() {
    let bench = Bench::new();
    let path = bench.write(
        "starved.toml",
        &scenario("kind = \"steady\"\nseconds = 3\nrate = 4000", BUY, "late_share = 0.05\nin_flight = 16"),
    );
    let target = serve(Vice::None, 1_000_000);
    let mut running = bench.start(&path, &target, &[], None);

    // Another process has the processor for most of the time.
    while !running.has_ended() {
        running.signal(Signal::SIGSTOP);
        tokio::time::sleep(Duration::from_millis(100)).await;
        running.signal(Signal::SIGCONT);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let (code, result) = running.ended().await;
    assert_eq!(code, 3);
    assert_eq!(result["valid"], false);
    assert!(result["invalid_because"][0].as_str().unwrap().contains("fell behind"), "{result:#}");
    assert!(result["generator"]["late_share"].as_f64().unwrap() > 0.05);
}

#[actix_web::test]
async fn an_interrupted_run_still_reports() {
    let bench = Bench::new();
    let path = bench.write(
        "long.toml",
        &scenario("kind = \"steady\"\nseconds = 600\nrate = 50", BUY, "late_share = 1.0"),
    );
    let target = serve(Vice::None, 1_000_000);
    let running = bench.start(&path, &target, &[], None);
    let page = running.report();
    let client = crate::support::Client::new(target, None);
    eventually("the run has begun", async || (client.available(SKU).await < 999_950).then_some(())).await;

    running.signal(Signal::SIGINT);

    let (code, result) = running.ended().await;
    assert_eq!(code, 0);
    assert_eq!(result["ended"], "interrupted");
    assert!(result["totals"]["accepted"].as_u64().unwrap() >= 50, "{result:#}");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("\"ended\":\"interrupted\"") && !page.contains("{{"));
}

#[actix_web::test]
async fn an_impossible_scenario_is_refused_before_any_request_and_its_key_named() {
    let bench = Bench::new();
    let unreachable = "http://127.0.0.1:9";
    for (stage, named) in [
        ("kind = \"steady\"\nseconds = 1\nrate = 0", "stages.0.rate"),
        ("kind = \"steady\"\nseconds = 1\nrat = 10", "rat"),
        ("kind = \"burst\"\nseconds = 1", "burst"),
    ] {
        let path = bench.write("impossible.toml", &scenario(stage, BUY, ""));
        let output = bench.load(&["run", path.to_str().unwrap(), "--target", unreachable]).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(named), "{said}");
    }
    let output = bench.load(&["run", "no-such-scenario", "--target", unreachable]).await;
    assert!(String::from_utf8_lossy(&output.stderr).contains("flash-sale"), "{output:?}");
}
