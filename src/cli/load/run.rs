//! `shobai load run`: prepares everything, lets the generators work, watches, audits, reports.

use std::fs::TryLockError;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};

use super::audit::{Auditor, Part, Seen};
use super::client::{Client, Target};
use super::collect::Collected;
use super::crowd::Left;
use super::customers::{self, Session, SignIn};
use super::generator::Done;
use super::machine::memory_peak;
use super::operator::Operator;
use super::page;
use super::result::{
    AuditResult, EngineAudit, EngineSeries, FindingKind, Generator, LoadResult, Machine, SCHEMA, ScenarioRun,
    Shard, StageRun, Versions,
};
use super::scenario::{Scenario, Stage, Step};
use super::schedule::{Planned, Share, plan};
use super::scrape::PROCESSOR;
use super::shop;
use super::visit::Good;
use super::wanted;
use super::watch::{Watch, Watched};
use crate::config::Config;
use crate::rlimit;

/// Connections for the harness's own questions, and how long it waits for an answer, whatever the scenario says.
const OWN_CONNECTIONS: usize = 32;
const OWN_PATIENCE: Duration = Duration::from_secs(10);
/// A generator thread that is this busy is what was measured.
const BUSY: f64 = 0.95;

#[derive(Debug, Args)]
pub(in crate::cli) struct Run {
    /// A scenario that comes with the binary (smoke, flash-sale, steady, soak, browse-heavy, mixed-shop, abuse,
    /// flash-sale-gates, fair-sale, waiting-room) or a file.
    scenario: String,
    /// Where the shop is.
    #[arg(long, default_value = "http://127.0.0.1:8080", value_name = "URL")]
    target: String,
    /// So many customers instead of the scenario's, made through the API.
    #[arg(long, conflicts_with = "tokens")]
    customers: Option<usize>,
    /// Customers by their access tokens, one a line, instead of the scenario's.
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// Where result.json, report.html and the histogram logs go.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Compares what the customers saw with what the shop says afterwards; exit code 1 if they differ.
    #[arg(long)]
    audit: bool,
    /// The admin's sign-in for the audit and for a sale, as `<data_dir>/demo.json` has it; by default that file.
    #[arg(long, value_name = "FILE")]
    admin: Option<PathBuf>,
    /// The engine's metrics endpoint, for the report, for example http://127.0.0.1:9464/metrics.
    #[arg(long, value_name = "URL")]
    metrics: Option<String>,
    /// The key of the sandbox provider's webhook, for scenarios in which konbini orders are paid.
    #[arg(long, value_name = "FILE")]
    webhook_secret: Option<PathBuf>,
    /// This machine's part of a run that is spread over several, for example 2/4.
    #[arg(long, value_name = "NUMBER/OF", default_value = "1/1", value_parser = parse_shard)]
    shard: Shard,
    /// When to begin, so that all shards begin together.
    #[arg(long, value_name = "TIME")]
    start_at: Option<jiff::Timestamp>,
}

fn parse_shard(text: &str) -> Result<Shard, String> {
    let problem = || format!("{text} is not like 2/4");
    let (number, of) = text.split_once('/').ok_or_else(problem)?;
    let (number, of) = (number.parse().map_err(|_| problem())?, of.parse().map_err(|_| problem())?);
    if (1..=of).contains(&number) && of <= 1_000 { Ok(Shard { number, of }) } else { Err(problem()) }
}

impl Run {
    /// The scenario with what the command line says instead, checked.
    fn scenario(&self) -> anyhow::Result<Scenario> {
        let mut scenario = Scenario::load(&self.scenario)?;
        if self.customers.is_some() || self.tokens.is_some() {
            scenario.customers.count = self.customers;
            scenario.customers.tokens = self.tokens.clone();
        }
        scenario.check()?;
        anyhow::ensure!(
            scenario.sale.is_none() || self.is_whole(),
            "scenario {}: its sale is made by one machine, so it has no shards",
            scenario.name
        );
        anyhow::ensure!(
            !scenario.has(Step::PayOrder) || self.webhook_secret.is_some(),
            "scenario {}: pay_order needs --webhook-secret",
            scenario.name
        );
        Ok(scenario)
    }

    /// The scenario's file, with what the command line said instead.
    fn text_of(&self, scenario: &Scenario) -> String {
        let mut text = scenario.text.clone();
        if let Some(count) = self.customers {
            text.push_str(&format!("\n# --customers {count}\n"));
        }
        if self.tokens.is_some() {
            text.push_str("\n# --tokens FILE\n");
        }
        text
    }

    fn webhook_secret(&self) -> anyhow::Result<Option<Vec<u8>>> {
        let Some(path) = &self.webhook_secret else { return Ok(None) };
        let secret = std::fs::read_to_string(path)
            .with_context(|| format!("the webhook secret {}", path.display()))?;
        Ok(Some(secret.trim().as_bytes().to_vec()))
    }

    /// Whether this machine does all of the run.
    fn is_whole(&self) -> bool {
        self.shard.of == 1
    }
}

/// Exit code 1: the audit found something; 3: the run is not valid; 4: it missed a goal of its scenario.
pub(super) async fn run(run: Run, config: &Config) -> anyhow::Result<ExitCode> {
    let scenario = run.scenario()?;
    let target = Target::parse(&run.target)?;
    if let Some(most) = rlimit::raise_open_files() {
        let wanted = scenario.limits.connections + OWN_CONNECTIONS;
        anyhow::ensure!(
            usize::try_from(most).is_ok_and(|most| most > wanted),
            "scenario {}: limits.connections = {} needs more open files than the {most} that are allowed",
            scenario.name,
            scenario.limits.connections
        );
    }
    if let Some(out) = &run.out {
        std::fs::create_dir_all(out).with_context(|| format!("the directory {}", out.display()))?;
    }
    let local = tokio::task::LocalSet::new();
    let result = local.run_until(Box::pin(carry_out(&run, scenario, target, config))).await?;
    print!("{}", result.table());
    if let Some(out) = &run.out {
        write_report(&result, out)?;
        println!("\nreport: {}", out.join("report.html").display());
    }
    Ok(verdict(&result))
}

/// Exit code of a result.
pub(super) fn verdict(result: &LoadResult) -> ExitCode {
    match &result.audit {
        Some(audit) if !audit.clean => ExitCode::from(1),
        _ if !result.valid => ExitCode::from(3),
        _ if result.goals.iter().any(|goal| !goal.met) => ExitCode::from(4),
        _ => ExitCode::SUCCESS,
    }
}

pub(super) fn write_report(result: &LoadResult, out: &Path) -> anyhow::Result<()> {
    let write = |name: &str, text: String| {
        let path = out.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    write("result.json", serde_json::to_string_pretty(result)?)?;
    write("report.html", page::render(result)?)
}

async fn carry_out(
    run: &Run,
    scenario: Scenario,
    target: Target,
    config: &Config,
) -> anyhow::Result<LoadResult> {
    // The harness's own few requests, beside those that are measured, and with patience of its own.
    let client = Client::new(target.clone(), OWN_CONNECTIONS, scenario.timeout().max(OWN_PATIENCE));
    let share = Share { index: run.shard.number - 1, of: run.shard.of };
    let run_id = format!("{:x}", jiff::Timestamp::now().as_millisecond());
    let skus = wanted::find(&client, &scenario.skus).await?;
    let parts = sessions(&client, &scenario, &run_id, share).await?;
    let quantity = scenario.skus.quantity;
    let goods: Vec<Good> = skus.iter().map(|sku| Good { wanted: sku.clone(), quantity }).collect();
    let operator = match &scenario.sale {
        Some(plan) => {
            let admin = admin_of(run.admin.as_deref(), &config.storage.data_dir)?;
            let names = skus.iter().map(|sku| sku.sku.clone()).collect();
            Some(Operator::new(&client, admin, &scenario, plan, names, &run_id).await?)
        }
        None => None,
    };
    let audited = match run.audit {
        true => {
            let admin = admin_of(run.admin.as_deref(), &config.storage.data_dir)?;
            let settle_within = Duration::from_secs(scenario.limits.settle_seconds);
            let auditor = Auditor::new(&client, admin, &goods, &run_id, settle_within).await?;
            let before = auditor.before(&parts).await?;
            Some((auditor, before))
        }
        false => None,
    };

    // Made once and here: a signal is never lost between two looks, and a second one ends what follows the run.
    let mut interrupts = signal(SignalKind::interrupt())?;
    let watch = Watch {
        scenario: &scenario,
        target: &target,
        run_id: &run_id,
        share,
        skus: &skus,
        webhook_secret: run.webhook_secret()?,
        operator: operator.as_ref(),
        keeps_attempts: run.audit,
        start_at: run.start_at,
        metrics: run.metrics.as_deref(),
        out: run.out.as_deref(),
    };
    let watched = watch.until_the_end(parts, &mut interrupts).await;
    let closed = match &operator {
        // Also after a run that failed nobody finds a sale that goes on.
        Some(operator) => operator.close().await.context("the sale could not be closed"),
        None => Ok(()),
    };
    let watched = match (watched, &operator) {
        (Err(error), Some(operator)) => {
            // Nor SKUs that are sold to nobody.
            let _ = operator.settle().await;
            return Err(error);
        }
        (watched, _) => watched?,
    };
    let Watched { mut done, mut collected, engine, started_at, seconds, ended } = watched;

    let planned = plan(&scenario.stages);
    let generator = generator_of(&scenario, &collected, &done, seconds);
    let invalid_because = why_invalid(&scenario, &generator);
    let left: Vec<Left> = done.iter_mut().map(|done| std::mem::take(&mut done.left)).collect();
    let mut sale = operator.as_ref().and_then(|operator| operator.ended(left));
    let stages = stages_of(&planned, &collected, engine.as_ref(), seconds, share);
    let mut result = LoadResult {
        schema: SCHEMA.to_owned(),
        scenario: ScenarioRun {
            name: scenario.name.clone(),
            about: scenario.about.clone(),
            text: run.text_of(&scenario),
        },
        target: target.url.clone(),
        shard: run.shard,
        started_at,
        seconds,
        ended,
        valid: invalid_because.is_empty(),
        invalid_because,
        machine: Machine::this(),
        versions: Versions {
            load: env!("CARGO_PKG_VERSION").to_owned(),
            engine: engine_version(&client).await,
        },
        generator,
        goals: scenario.goals.iter().filter_map(|goal| goal.judge(&stages)).collect(),
        stages,
        totals: collected.totals,
        steps: collected.steps(seconds),
        timeline: collected.timeline(&planned, 1.0 / share.of as f64),
        engine,
        audit: None,
    };
    if let Some((auditor, before)) = audited {
        let (parts, seen) = parts_of(done, before.newest);
        let audited = async {
            if let Some(sale) = &mut sale {
                sale.ask_everybody(&client, OWN_PATIENCE).await?;
            }
            auditor.audit(parts, before.available, seen, sale.as_ref(), run.is_whole()).await
        };
        // Whatever comes of it, what was measured is reported.
        result.audit = tokio::select! {
            audited = audited => {
                Some(audited.unwrap_or_else(|error| AuditResult::unfinished(&error)))
            }
            _ = interrupts.recv() => {
                eprintln!("interrupted: there is no audit");
                None
            }
        };
    }
    if let Some(operator) = &operator {
        // Until now its SKUs were sold to nobody, and what was unclear could not become an order of general stock.
        let settled = operator.settle().await.context("the sale could not be settled");
        // What was measured is reported all the same, and is not what a run should be.
        for error in closed.err().into_iter().chain(settled.err()) {
            eprintln!("{error:#}");
            result.invalid_because.push(format!("{error:#}"));
            result.valid = false;
        }
    }
    if let Some(audit) = &mut result.audit
        && target.is_loopback()
        && run.is_whole()
    {
        audit.engine_audit = engine_audit(config).await;
        audit.clean &= audit.engine_audit.as_ref().is_none_or(|audit| audit.clean);
    }
    result.generator.memory_peak_bytes = memory_peak();
    Ok(result)
}

/// Customers for each thread of this share.
async fn sessions(
    client: &Client,
    scenario: &Scenario,
    run: &str,
    share: Share,
) -> anyhow::Result<Vec<Vec<Session>>> {
    let all = match (&scenario.customers.tokens, scenario.customers.count) {
        (Some(tokens), _) => {
            // The tokens have to last for the audit as well.
            let audit = Duration::from_secs(scenario.limits.settle_seconds);
            let lasts = Duration::from_secs_f64(scenario.seconds()) + scenario.timeout() + audit;
            customers::from_file(tokens, share, lasts)?
        }
        (None, count) => customers::register(client, run, count.unwrap_or(1), share).await?,
    };
    anyhow::ensure!(
        all.len() >= scenario.threads,
        "scenario {}: threads must not be more than the {} customers of this shard",
        scenario.name,
        all.len()
    );
    let mut parts = vec![Vec::new(); scenario.threads];
    for (number, mut session) in all.into_iter().enumerate() {
        // Of the whole run: shards take turns.
        let among_all = share.index + number * share.of;
        session.number = among_all;
        parts[number % scenario.threads].push(session);
    }
    Ok(parts)
}

fn generator_of(scenario: &Scenario, collected: &Collected, done: &[Done], seconds: f64) -> Generator {
    let cpu_seconds: f64 = done.iter().map(|done| done.cpu.as_secs_f64()).sum();
    // The busiest thread tells whether the generator was the limit.
    let busiest = done.iter().map(|done| done.cpu.as_secs_f64()).fold(0.0, f64::max);
    let late_ms = scenario.limits.late_ms;
    let (late_share, lag_ms) = collected.lateness(late_ms);
    Generator {
        threads: done.len(),
        cpu_seconds,
        cpu_share: if seconds > 0.0 { busiest / seconds } else { 0.0 },
        memory_peak_bytes: memory_peak(),
        connections_opened: done.iter().map(|done| done.connections_opened).sum(),
        late_share,
        late_ms,
        lag_ms,
    }
}

fn why_invalid(scenario: &Scenario, generator: &Generator) -> Vec<String> {
    let mut reasons = Vec::new();
    let Generator { late_share, late_ms, cpu_share, .. } = generator;
    if *late_share > scenario.limits.late_share {
        reasons.push(format!(
            "the generator fell behind: {:.1} % of its starts were more than {late_ms} ms late",
            late_share * 100.0
        ));
    }
    if *cpu_share > BUSY {
        reasons.push(format!(
            "the generator was the limit: its busiest thread worked for {:.0} % of the time",
            cpu_share * 100.0
        ));
    }
    reasons
}

fn stages_of(
    planned: &[Planned],
    collected: &Collected,
    engine: Option<&EngineSeries>,
    seconds: f64,
    share: Share,
) -> Vec<StageRun> {
    let reached = planned.iter().filter(|stage| stage.from < seconds);
    reached
        .map(|Planned { stage, from, to }| {
            let to = to.min(seconds);
            // A second belongs to the stage that its middle is in.
            let is_within = |second: u64| (*from..to).contains(&(second as f64 + 0.5));
            let visits = collected.visits.iter().filter(|(second, _)| is_within(**second));
            let visits: Vec<u64> = visits.map(|(_, visits)| *visits).collect();
            let answers = || collected.seconds.values().filter(|second| is_within(second.second));
            let per_second = |count: u64| count as f64 / (answers().count() as f64).max(1.0);
            let workers = match stage {
                Stage::Closed { workers, .. } => Some(share.count(*workers)),
                _ => None,
            };
            let wanted = stage.visits() / share.of as f64 / stage.seconds();
            StageRun {
                name: stage.name().to_owned(),
                kind: stage.kind().to_owned(),
                from: *from,
                to,
                workers,
                wanted_per_second: workers.is_none().then_some(wanted),
                reached_per_second: visits.iter().sum::<u64>() as f64 / (visits.len() as f64).max(1.0),
                orders_per_second: per_second(answers().map(|second| second.orders).sum()),
                refused_per_second: per_second(answers().map(|second| second.refused).sum()),
                engine_cores: engine.and_then(|engine| engine.mean(PROCESSOR, is_within)),
            }
        })
        .collect()
}

/// What the threads kept for the audit, and what they saw at once.
fn parts_of(done: Vec<Done>, newest: Vec<Vec<Option<uuid::Uuid>>>) -> (Vec<Part>, Seen) {
    let mut seen = Seen::default();
    let parts = done.into_iter().zip(newest).map(|(done, newest)| {
        let Done { thread, attempts, sessions, doubled, differs, .. } = done;
        seen.join(FindingKind::Doubled, doubled);
        seen.join(FindingKind::Differs, differs);
        Part { thread, attempts: attempts.into_all().collect(), sessions, newest }
    });
    (parts.collect(), seen)
}

/// The admin's email and password, which stand in a file like the demo's.
fn admin_of(file: Option<&Path>, data_dir: &Path) -> anyhow::Result<SignIn> {
    #[derive(Deserialize)]
    struct SignIns {
        admin: SignIn,
    }

    let path = file.map_or_else(|| data_dir.join("demo.json"), Path::to_owned);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("the audit and a sale need the admin's sign-in: {}", path.display()))?;
    let SignIns { admin } =
        serde_json::from_str(&text).with_context(|| format!("{} is not a sign-in", path.display()))?;
    Ok(admin)
}

/// The version that the shop's API document tells.
async fn engine_version(client: &Client) -> Option<String> {
    #[derive(Deserialize)]
    struct Document {
        info: Info,
    }
    #[derive(Deserialize)]
    struct Info {
        version: String,
    }

    let document: Document = shop::ask(client, shop::get("/openapi.json", None)).await.ok()?;
    Some(document.info.version)
}

/// What `shobai audit` says with this command's own configuration, where that is of a shop that is open: its database is
/// configured, or an engine holds the data directory.
async fn engine_audit(config: &Config) -> Option<EngineAudit> {
    let is_open = !config.postgres.url.expose_secret().is_empty()
        || std::fs::File::open(config.storage.data_dir.join("engine.lock"))
            .is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
    if !is_open {
        return None;
    }
    match crate::cli::audit::run(config).await {
        Ok(audit) => Some(EngineAudit { clean: audit.is_clean, output: audit.text }),
        Err(error) => {
            eprintln!("the engine's own audit could not be made: {error:#}");
            None
        }
    }
}
