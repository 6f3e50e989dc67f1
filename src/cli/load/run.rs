//! `shobai load run`: prepares a run, carries it out, audits it and reports.

use std::fs::TryLockError;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};

use super::audit::{Auditor, FindingLog, ThreadRecord};
use super::client::{Client, Target};
use super::collect::Collected;
use super::customers::{self, Session, SignIn};
use super::generator::ThreadResult;
use super::machine::memory_peak;
use super::monitor::{MonitoredRun, RunMonitor};
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
use super::sku_choice;
use super::visit::OrderedSku;
use super::waiting_crowd::CrowdResult;
use crate::config::Config;
use crate::rlimit;

/// Connections for the harness's own requests, and the shortest deadline for their answers.
const OWN_CONNECTIONS: usize = 32;
const OWN_PATIENCE: Duration = Duration::from_secs(10);
/// A generator thread that is busier than this limits the measurement.
const BUSY: f64 = 0.95;

#[derive(Debug, Args)]
pub(in crate::cli) struct Run {
    /// A scenario that comes with the binary (smoke, flash-sale, steady, soak, browse-heavy, mixed-shop, abuse,
    /// flash-sale-gates, fair-sale, waiting-room) or a file.
    scenario: String,
    /// The address of the shop.
    #[arg(long, default_value = "http://127.0.0.1:8080", value_name = "URL")]
    target: String,
    /// Registers this many customers instead of the scenario's number.
    #[arg(long, conflicts_with = "tokens")]
    customers: Option<usize>,
    /// Uses the customers of these access tokens, one per line, instead of the scenario's.
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// The directory for result.json, report.html and the histogram log.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Compares the answers with the state of the shop afterwards; exit code 1 if they differ.
    #[arg(long)]
    audit: bool,
    /// The admin's sign-in for the audit and for a sale, as `<data_dir>/demo.json` has it; by default that file.
    #[arg(long, value_name = "FILE")]
    admin: Option<PathBuf>,
    /// The engine's metrics endpoint, for the report, for example http://127.0.0.1:9464/metrics.
    #[arg(long, value_name = "URL")]
    metrics: Option<String>,
    /// The file with the key of the sandbox provider's webhook, for scenarios with konbini payments.
    #[arg(long, value_name = "FILE")]
    webhook_secret: Option<PathBuf>,
    /// This machine's shard of a run on several machines, for example 2/4.
    #[arg(long, value_name = "NUMBER/OF", default_value = "1/1", value_parser = parse_shard)]
    shard: Shard,
    /// When to begin, so that all shards begin at the same time.
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
    /// The scenario with the overrides of the command line, checked.
    fn scenario(&self) -> anyhow::Result<Scenario> {
        let mut scenario = Scenario::load(&self.scenario)?;
        if self.customers.is_some() || self.tokens.is_some() {
            scenario.customers.count = self.customers;
            scenario.customers.tokens = self.tokens.clone();
        }
        scenario.check()?;
        anyhow::ensure!(
            scenario.sale.is_none() || self.is_whole(),
            "scenario {}: a scenario with a sale runs on one machine; leave --shard out",
            scenario.name
        );
        anyhow::ensure!(
            !scenario.has(Step::PayOrder) || self.webhook_secret.is_some(),
            "scenario {}: pay_order needs --webhook-secret",
            scenario.name
        );
        Ok(scenario)
    }

    /// The scenario's file with the overrides of the command line.
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

    /// Whether the run has one shard only.
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
            "scenario {}: limits.connections = {} needs more open files than the {most} that are allowed; raise the hard limit (ulimit -Hn)",
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
    // The harness's own requests are not measured and have their own deadline.
    let client = Client::new(target.clone(), OWN_CONNECTIONS, scenario.timeout().max(OWN_PATIENCE));
    let share = Share { index: run.shard.number - 1, of: run.shard.of };
    let run_id = format!("{:x}", jiff::Timestamp::now().as_millisecond());
    let skus = sku_choice::find(&client, &scenario.skus).await?;
    let parts = sessions(&client, &scenario, &run_id, share).await?;
    let quantity = scenario.skus.quantity;
    let goods: Vec<OrderedSku> =
        skus.iter().map(|sku| OrderedSku { wanted: sku.clone(), quantity }).collect();
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

    // Registered once, so that no signal is lost; a second one ends the audit after the run.
    let mut interrupts = signal(SignalKind::interrupt())?;
    let watch = RunMonitor {
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
        // A sale must not stay open after a failed run.
        Some(operator) => operator.close().await.context("the sale could not be closed"),
        None => Ok(()),
    };
    let watched = match (watched, &operator) {
        (Err(error), Some(operator)) => {
            // Its SKUs must be sold normally again.
            let _ = operator.settle().await;
            return Err(error);
        }
        (watched, _) => watched?,
    };
    let MonitoredRun { mut done, mut collected, engine, started_at, seconds, ended } = watched;

    let planned = plan(&scenario.stages);
    let generator = generator_of(&scenario, &collected, &done, seconds);
    let invalid_because = why_invalid(&scenario, &generator);
    let left: Vec<CrowdResult> = done.iter_mut().map(|done| std::mem::take(&mut done.left)).collect();
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
                sale.update_places(&client, OWN_PATIENCE).await?;
            }
            auditor.audit(parts, before.available, seen, sale.as_ref(), run.is_whole()).await
        };
        // The measurements are reported even when the audit fails.
        result.audit = tokio::select! {
            audited = audited => {
                Some(audited.unwrap_or_else(|error| AuditResult::unfinished(&error)))
            }
            _ = interrupts.recv() => {
                eprintln!("interrupted again: the report has no audit");
                None
            }
        };
    }
    if let Some(operator) = &operator {
        // Settled only now, so that unclear requests could not become orders of general stock during the audit.
        let settled = operator.settle().await.context("the sale could not be settled");
        // The measurements are still reported, but the run is not valid.
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
        // The number in the whole run: shards take turns.
        let among_all = share.index + number * share.of;
        session.number = among_all;
        parts[number % scenario.threads].push(session);
    }
    Ok(parts)
}

fn generator_of(
    scenario: &Scenario,
    collected: &Collected,
    done: &[ThreadResult],
    seconds: f64,
) -> Generator {
    let cpu_seconds: f64 = done.iter().map(|done| done.cpu.as_secs_f64()).sum();
    // The busiest thread shows whether the generator was the limit.
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
            // A second belongs to the stage of its middle.
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

/// The attempts of the threads for the audit, and the findings of the run itself.
fn parts_of(
    done: Vec<ThreadResult>,
    newest: Vec<Vec<Option<uuid::Uuid>>>,
) -> (Vec<ThreadRecord>, FindingLog) {
    let mut seen = FindingLog::default();
    let parts = done.into_iter().zip(newest).map(|(done, newest)| {
        let ThreadResult { thread, attempts, sessions, doubled, differs, .. } = done;
        seen.join(FindingKind::Doubled, doubled);
        seen.join(FindingKind::Differs, differs);
        ThreadRecord { thread, attempts: attempts.into_all().collect(), sessions, newest }
    });
    (parts.collect(), seen)
}

/// The admin's email and password, from a file like the demo's.
fn admin_of(file: Option<&Path>, data_dir: &Path) -> anyhow::Result<SignIn> {
    #[derive(Deserialize)]
    struct SignIns {
        admin: SignIn,
    }

    let path = file.map_or_else(|| data_dir.join("demo.json"), Path::to_owned);
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!("the audit and a sale need the admin's sign-in; give --admin: {}", path.display())
    })?;
    let SignIns { admin } =
        serde_json::from_str(&text).with_context(|| format!("{} is not a sign-in", path.display()))?;
    Ok(admin)
}

/// The version in the shop's API document.
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

/// Runs `shobai audit` with this command's configuration, where that belongs to a running shop: its database is
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
