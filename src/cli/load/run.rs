//! `shobai load run`: prepares everything, lets the generators work, watches, audits, reports.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};

use super::audit::{Auditor, Part, Seen};
use super::client::{Client, Target};
use super::clock::Clock;
use super::collect::Collected;
use super::customers::{self, Session};
use super::generator::{self, Done, Work};
use super::histograms::HistogramLog;
use super::machine::memory_peak;
use super::page;
use super::progress::Progress;
use super::result::{
    Ended, EngineAudit, FindingKind, Generator, LoadResult, Machine, SCHEMA, ScenarioRun, Shard, StageRun,
    Versions,
};
use super::scenario::{Scenario, Stage, Step};
use super::schedule::{Planned, Share, plan};
use super::scrape::Scraper;
use super::shop::{self, Bearer, SessionShown};
use super::tally::Interval;
use super::visit::Good;
use super::wanted::{self, WantedSku};
use crate::config::Config;

/// Between two looks at the stock and at the engine's own figures.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// SKUs whose stock is looked at while the run goes on.
const SKUS_WATCHED: usize = 5;
/// Between the last preparation and the first visit.
const TAKE_A_BREATH: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(in crate::cli) struct Run {
    /// A scenario that comes with the binary (smoke, flash-sale, steady, soak, browse-heavy, mixed-shop, abuse) or a file.
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
    /// The admin's sign-in for the audit, as `<data_dir>/demo.json` has it; by default that file.
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
            !scenario.has(Step::PayOrder) || self.webhook_secret.is_some(),
            "scenario {}: pay_order needs --webhook-secret",
            scenario.name
        );
        Ok(scenario)
    }

    /// Whether this machine does all of the run.
    fn is_whole(&self) -> bool {
        self.shard.of == 1
    }
}

/// Exit code 1: the audit found something; 3: the run is not valid.
pub(super) async fn run(run: Run, config: &Config) -> anyhow::Result<ExitCode> {
    let scenario = run.scenario()?;
    let target = Target::parse(&run.target)?;
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
    // Its own few requests, beside those that are measured.
    let client = Client::new(target.clone(), 32, scenario.timeout());
    let share = Share { index: run.shard.number - 1, of: run.shard.of };
    let run_id = format!("{:x}", jiff::Timestamp::now().as_millisecond());
    let skus = wanted::find(&client, &scenario.skus).await?;
    let parts = sessions(&client, &scenario, &run_id, share).await?;
    let goods: Vec<Good> = skus.iter().map(|sku| Good::new(sku.clone(), scenario.skus.quantity)).collect();
    let auditor = match run.audit {
        true => Some(Auditor {
            client: &client,
            staff: sign_in_staff(&client, run.admin.as_deref(), &config.storage.data_dir).await?,
            goods: &goods,
            quantity: scenario.skus.quantity,
            run: &run_id,
            settle_within: Duration::from_secs(scenario.limits.settle_seconds),
        }),
        false => None,
    };
    let before = match &auditor {
        Some(auditor) => Some(auditor.before(&parts).await?),
        None => None,
    };
    let scraper = run.metrics.as_deref().map(Scraper::new).transpose()?;

    let watched = watch_run(run, &scenario, &target, &client, &run_id, share, parts, &skus, scraper).await?;
    let Watched { done, mut collected, scraper, started_at, began, ended } = watched;
    let planned = plan(&scenario.stages);
    let seconds = began.elapsed().as_secs_f64();

    let generator = generator_of(&scenario, &collected, &done, seconds);
    let invalid_because = why_invalid(&scenario, &generator);
    let stages = stages_of(&planned, &collected, seconds, 1.0 / share.of as f64);
    let mut result = LoadResult {
        schema: SCHEMA.to_owned(),
        scenario: ScenarioRun {
            name: scenario.name.clone(),
            about: scenario.about.clone(),
            text: scenario.text.clone(),
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
        stages,
        totals: collected.totals,
        steps: collected.steps(seconds),
        timeline: collected.timeline(&planned, 1.0 / share.of as f64),
        engine: scraper.map(Scraper::into_series),
        audit: None,
    };
    if let (Some(auditor), Some((start, newest))) = (auditor, before) {
        let (parts, seen) = parts_of(done, newest);
        let mut audit = auditor.audit(parts, start, seen, run.is_whole()).await?;
        if target.is_loopback() && run.is_whole() {
            audit.engine_audit = engine_audit(config).await;
            audit.clean &= audit.engine_audit.as_ref().is_none_or(|audit| audit.clean);
        }
        result.audit = Some(audit);
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
            let lasts = Duration::from_secs_f64(scenario.seconds());
            customers::from_file(tokens, share, lasts + scenario.timeout())?
        }
        (None, count) => customers::register(client, run, count.unwrap_or(1), share).await?,
    };
    anyhow::ensure!(
        all.len() >= scenario.threads,
        "{} customers are fewer than the {} threads",
        all.len(),
        scenario.threads
    );
    let mut parts = vec![Vec::new(); scenario.threads];
    for (number, session) in all.into_iter().enumerate() {
        parts[number % scenario.threads].push(session);
    }
    Ok(parts)
}

/// What the run brought, before it is judged.
struct Watched {
    done: Vec<Done>,
    collected: Collected,
    scraper: Option<Scraper>,
    started_at: jiff::Timestamp,
    began: Instant,
    ended: Ended,
}

#[expect(clippy::too_many_arguments, reason = "all that a run consists of meets here and nowhere else")]
async fn watch_run(
    run: &Run,
    scenario: &Scenario,
    target: &Target,
    client: &Client,
    run_id: &str,
    share: Share,
    parts: Vec<Vec<Session>>,
    skus: &[WantedSku],
    mut scraper: Option<Scraper>,
) -> anyhow::Result<Watched> {
    let webhook_secret = match &run.webhook_secret {
        Some(path) => {
            let secret = std::fs::read_to_string(path)
                .with_context(|| format!("the webhook secret {}", path.display()))?;
            Some(secret.trim().as_bytes().to_vec())
        }
        None => None,
    };
    let wait = match run.start_at {
        Some(at) => {
            let wait = at.duration_since(jiff::Timestamp::now());
            Duration::try_from(wait).map_err(|_| anyhow::anyhow!("--start-at {at} is past already"))?
        }
        None => TAKE_A_BREATH,
    };
    let began = Instant::now() + wait;
    let started_at = jiff::Timestamp::now() + wait;
    let clock = Clock::starting_at(began);

    let (past, mut intervals) = mpsc::unbounded_channel::<Interval>();
    let (stop, stopped) = watch::channel(false);
    let threads = parts.len();
    let mut working = Vec::with_capacity(threads);
    for (thread, sessions) in parts.into_iter().enumerate() {
        let work = Work {
            scenario: scenario.clone(),
            target: target.clone(),
            clock,
            run: run_id.to_owned(),
            share: share.part(thread, threads),
            thread: share.index * threads + thread,
            of_machine: Share { index: thread, of: threads },
            sessions,
            skus: skus.to_vec(),
            webhook_secret: webhook_secret.clone(),
            keeps_attempts: run.audit,
            past: past.clone(),
            stop: stopped.clone(),
        };
        let (tell, told) = oneshot::channel();
        std::thread::Builder::new()
            .name(format!("load-{thread}"))
            .spawn(move || drop(tell.send(generator::run(work))))?;
        working.push(told);
    }
    drop(past);

    let mut log = HistogramLog::create(run.out.as_deref(), started_at)?;
    let mut collected = Collected::default();
    let mut progress = Progress::new(scenario, clock);
    let mut ended = Ended::Finished;
    // Made once: a signal between two looks is not lost.
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut looks = tokio::time::interval_at((began + LOOK_EVERY).into(), LOOK_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    if let Some(scraper) = &mut scraper {
        scraper.look(0.0).await;
    }
    loop {
        tokio::select! {
            interval = intervals.recv() => {
                let Some(interval) = interval else { break };
                log.write(&interval)?;
                collected.add(&interval);
                progress.show(&collected);
            }
            _ = looks.tick() => {
                let now = Instant::now();
                for sku in skus.iter().take(SKUS_WATCHED) {
                    // The shop may be away; then this second has no figure.
                    if let Ok(available) = wanted::available(client, &sku.sku).await {
                        collected.stock(clock.second(now), &sku.sku, available);
                    }
                }
                if let Some(scraper) = &mut scraper {
                    scraper.look(clock.seconds(now)).await;
                }
            }
            _ = interrupts.recv(), if ended == Ended::Finished => {
                progress.say("interrupted: whoever is in the shop is still served");
                ended = Ended::Interrupted;
                stop.send_replace(true);
            }
        }
    }
    progress.end();
    log.finish()?;
    let mut done = Vec::with_capacity(threads);
    for told in working {
        done.push(told.await.context("a generator thread died")??);
    }
    Ok(Watched { done, collected, scraper, started_at, began, ended })
}

fn generator_of(scenario: &Scenario, collected: &Collected, done: &[Done], seconds: f64) -> Generator {
    let cpu_seconds: f64 = done.iter().map(|done| done.cpu.as_secs_f64()).sum();
    let late_ms = scenario.limits.late_ms;
    let (late_share, lag_ms) = collected.lateness(late_ms);
    Generator {
        threads: done.len(),
        cpu_seconds,
        cpu_share: cpu_seconds / (seconds * done.len() as f64),
        memory_peak_bytes: memory_peak(),
        connections_opened: done.iter().map(|done| done.connections_opened).sum(),
        late_share,
        late_ms,
        lag_ms,
    }
}

/// A generator that is this busy is what was measured.
const BUSY: f64 = 0.95;

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
            "the generator was the limit: its threads were busy for {:.0} % of the time",
            cpu_share * 100.0
        ));
    }
    reasons
}

fn stages_of(planned: &[Planned], collected: &Collected, seconds: f64, share: f64) -> Vec<StageRun> {
    let reached = planned.iter().filter(|stage| stage.from < seconds);
    reached
        .map(|Planned { stage, from, to }| {
            let to = to.min(seconds);
            let is_within =
                |(second, _): &(&u64, &u64)| (**second as f64) >= from.floor() && (**second as f64) < to;
            let visits: u64 = collected.visits.iter().filter(is_within).map(|(_, visits)| visits).sum();
            let workers = match stage {
                Stage::Closed { workers, .. } => Some((*workers as f64 * share).ceil() as usize),
                _ => None,
            };
            StageRun {
                name: stage.name().to_owned(),
                kind: stage.kind().to_owned(),
                from: *from,
                to,
                workers,
                wanted_per_second: workers.is_none().then(|| stage.visits() * share / stage.seconds()),
                reached_per_second: visits as f64 / (to - from).max(1e-9),
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

/// Signs the admin in whose email and password stand in a file like the demo's.
async fn sign_in_staff(client: &Client, file: Option<&Path>, data_dir: &Path) -> anyhow::Result<Bearer> {
    #[derive(Deserialize)]
    struct SignIns {
        admin: SignIn,
    }
    #[derive(Deserialize)]
    struct SignIn {
        email: String,
        password: String,
    }

    let path = file.map_or_else(|| data_dir.join("demo.json"), Path::to_owned);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("the audit needs the admin's sign-in: {}", path.display()))?;
    let SignIns { admin: SignIn { email, password } } =
        serde_json::from_str(&text).with_context(|| format!("{} is not a sign-in", path.display()))?;
    let body = json!({"email": email, "password": password}).to_string();
    let session: SessionShown = shop::ask(client, shop::post("/v1/auth/login", None, body.into())).await?;
    shop::bearer(&session.access_token)
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

/// What `shobai audit` says with this command's own configuration; nothing where no engine was ever configured to run.
async fn engine_audit(config: &Config) -> Option<EngineAudit> {
    let has_database = !config.postgres.url.expose_secret().is_empty();
    if !has_database && !config.storage.data_dir.join("engine.lock").exists() {
        return None;
    }
    match crate::cli::audit::run(config).await {
        Ok(audit) => Some(EngineAudit { clean: audit.is_clean, output: audit.text }),
        Err(error) => Some(EngineAudit { clean: false, output: format!("{error:#}") }),
    }
}
