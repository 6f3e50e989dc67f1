//! Others' load tools work as well: wrk from Debian, and k6 where there is Go to build it.

use std::process::{Command, Output};

use crate::support::shop::Shop;

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// What k6 is built with; Debian 12's own is older.
const GO_MINOR: u32 = 24;

fn has_go() -> bool {
    let Ok(output) = Command::new("go").args(["env", "GOVERSION"]).output() else { return false };
    let version = String::from_utf8_lossy(&output.stdout);
    let minor =
        version.trim().strip_prefix("go1.").and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
    minor.is_some_and(|minor| minor >= GO_MINOR)
}

async fn run(mut command: Command) -> Output {
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[actix_web::test]
async fn wrk_orders_with_the_script() {
    let shop = Shop::open(&[]).await;
    let mut command = Command::new("dev/load");
    command
        .envs(shop.command(&[]).get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env("SHOBAI_HTTP__LISTEN", shop.base().trim_start_matches("http://"))
        .env("SHOBAI_METRICS__LISTEN", shop.metrics_base().trim_start_matches("http://"))
        .env("LOAD_BIN", env!("CARGO_BIN_EXE_shobai"))
        .envs([("CONNECTIONS", "8"), ("SECONDS_EACH", "2"), ("CUSTOMERS", "4")]);

    let output = run(command).await;

    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let figures = said.lines().skip_while(|line| !line.starts_with("connections")).nth(1).unwrap_or_default();
    let orders: f64 = figures.split_whitespace().nth(1).and_then(|text| text.parse().ok()).unwrap_or(0.0);
    assert!(orders > 0.0, "{said}");
    assert!(said.contains("one order for each idempotency key"), "{said}");
}

#[actix_web::test]
async fn k6_orders_with_the_script() {
    if !is_there("k6") && !has_go() {
        eprintln!("skipped: there is neither k6 nor a Go (1.{GO_MINOR} or newer) to build it");
        return;
    }
    let k6 = if is_there("k6") { "k6".to_owned() } else { built_k6().await };
    let shop = Shop::open(&[]).await;
    let tokens = shop.customers(4).await.join("\n");
    let file = std::env::temp_dir().join(format!("shobai-k6-tokens-{}", std::process::id()));
    std::fs::write(&file, tokens).unwrap();
    let mut command = Command::new(k6);
    command
        .args(["run", "--quiet", "--no-usage-report", "deploy/load/k6-flash-sale.js"])
        .env("TARGET", shop.base())
        .env("TOKENS", &file)
        .envs([("RATE", "50"), ("SECONDS", "2")]);

    let output = run(command).await;

    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    shop.expect_clean_audit().await;
    let left = shop.visitor().available("SHOBAI-HOT-1").await;
    assert!((1_000_000 - 110..1_000_000 - 50).contains(&left), "{left}");
    let _ = std::fs::remove_file(file);
}

/// k6 as Go builds it, once for this checkout.
async fn built_k6() -> String {
    let tools = concat!(env!("CARGO_TARGET_TMPDIR"), "/tools");
    let k6 = format!("{tools}/k6");
    if !is_there(&k6) {
        let mut install = Command::new("go");
        install.args(["install", "go.k6.io/k6@v1.8.1"]).env("GOBIN", tools);
        let built = run(install).await;
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    }
    k6
}
