//! `shobai load merge`: merges the results of all shards of a run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::audit::judge_shards;
use super::collect::Collected;
use super::histograms::{self, HISTOGRAMS};
use super::result::{
    AuditResult, Ended, Findings, Generator, LatencyMs, LoadResult, Machine, Second, Shard, SkuBalance,
};
use super::run::{verdict, write_report};

/// The largest difference between the clocks of the machines.
const STARTS_APART_MAX: jiff::SignedDuration = jiff::SignedDuration::from_secs(5);

#[derive(Debug, Args)]
pub(in crate::cli) struct Merge {
    /// The report directories of all shards.
    #[arg(required = true, num_args = 1.., value_name = "DIR")]
    shards: Vec<PathBuf>,
    /// The directory for the report of the whole run.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn merge(wanted: &Merge) -> anyhow::Result<ExitCode> {
    let mut results = Vec::with_capacity(wanted.shards.len());
    let mut logs = Vec::with_capacity(wanted.shards.len());
    for directory in &wanted.shards {
        results.push(read(directory)?);
        let path = directory.join(HISTOGRAMS);
        logs.push(std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    let mut collected = Collected::default();
    histograms::read(&logs, &mut collected).context("one of the histogram logs is none")?;
    results.sort_by_key(|result| result.shard.number);
    let merged = join(results, collected)?;
    std::fs::create_dir_all(&wanted.out)?;
    // Only the first log keeps its header.
    let lines = logs.iter().enumerate().flat_map(|(index, log)| {
        let lines = log.split_inclusive(|byte| *byte == b'\n');
        lines.filter(move |line| index == 0 || line.starts_with(b"Tag="))
    });
    std::fs::write(wanted.out.join(HISTOGRAMS), lines.flatten().copied().collect::<Vec<u8>>())?;
    write_report(&merged, &wanted.out)?;
    print!("{}", merged.table());
    Ok(verdict(&merged))
}

/// The result in a report's directory.
pub(super) fn read(directory: &Path) -> anyhow::Result<LoadResult> {
    let path = if directory.is_dir() { directory.join("result.json") } else { directory.to_owned() };
    let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not a result", path.display()))
}

/// Makes one result of all shards, whose answers are collected already.
fn join(mut results: Vec<LoadResult>, mut collected: Collected) -> anyhow::Result<LoadResult> {
    let of = results.first().map_or(0, |result| result.shard.of);
    let are_whole =
        results.iter().enumerate().all(|(index, result)| result.shard == (Shard { number: index + 1, of }));
    anyhow::ensure!(are_whole && results.len() == of, "these are not all {of} shards of one run, each once");
    let first = &results[0];
    for other in &results[1..] {
        anyhow::ensure!(
            other.scenario.text == first.scenario.text && other.target == first.target,
            "shard {} ran another scenario or another shop",
            other.shard.number
        );
        let apart = other.started_at.duration_since(first.started_at).abs();
        anyhow::ensure!(
            apart <= STARTS_APART_MAX,
            "shard {} began {apart:#} from the first; begin all with the same --start-at",
            other.shard.number
        );
    }

    let seconds = results.iter().map(|result| result.seconds).fold(0.0, f64::max);
    collected.totals.started = results.iter().map(|result| result.totals.started).sum();
    let timeline = timeline(&mut collected, &results);
    let audit = audits(&results)?;
    let invalid_because: Vec<String> = results
        .iter()
        .flat_map(|result| {
            result.invalid_because.iter().map(move |why| format!("shard {}: {why}", result.shard.number))
        })
        .collect();
    let stages = results.iter().skip(1).fold(results[0].stages.clone(), |mut sum, result| {
        for (stage, other) in sum.iter_mut().zip(&result.stages) {
            stage.to = stage.to.max(other.to);
            stage.reached_per_second += other.reached_per_second;
            stage.orders_per_second += other.orders_per_second;
            stage.refused_per_second += other.refused_per_second;
            stage.workers = stage.workers.zip(other.workers).map(|(one, other)| one + other);
            stage.wanted_per_second =
                stage.wanted_per_second.zip(other.wanted_per_second).map(|(one, other)| one + other);
        }
        sum
    });
    let generator = generators(&results);
    let ended = if results.iter().all(|result| result.ended == Ended::Finished) {
        Ended::Finished
    } else {
        Ended::Interrupted
    };
    let started_at = results.iter().map(|result| result.started_at).min().unwrap_or_default();
    let engine = results.iter_mut().find_map(|result| result.engine.take());
    let machine = machine(&results);
    let LoadResult { schema, scenario, target, versions, .. } = results.swap_remove(0);
    Ok(LoadResult {
        schema,
        scenario,
        target,
        shard: Shard { number: 1, of: 1 },
        started_at,
        seconds,
        ended,
        valid: invalid_because.is_empty(),
        invalid_because,
        machine,
        versions,
        generator,
        stages,
        totals: collected.totals,
        steps: collected.steps(seconds),
        timeline,
        engine,
        goals: Vec::new(),
        audit,
    })
}

/// The timeline of all shards; the figures that the histogram logs lack come from the shards' own timelines.
fn timeline(collected: &mut Collected, results: &[LoadResult]) -> Vec<Second> {
    let mut timeline = collected.timeline(&[], 1.0);
    for result in results {
        for second in &result.timeline {
            let index = second.second as usize;
            while timeline.len() <= index {
                timeline.push(Second { second: timeline.len() as u64, ..Second::default() });
            }
            let sum = &mut timeline[index];
            sum.started += second.started;
            sum.in_flight += second.in_flight;
            sum.lag_max_ms = sum.lag_max_ms.max(second.lag_max_ms);
            sum.stock.extend(second.stock.clone());
        }
    }
    // In a closed loop no machine has an intended rate.
    for sum in &mut timeline {
        let wanted = results
            .iter()
            .map(|result| result.timeline.get(sum.second as usize).map_or(Some(0.0), |second| second.wanted));
        sum.wanted = wanted.sum();
    }
    timeline
}

fn generators(results: &[LoadResult]) -> Generator {
    let all = || results.iter().map(|result| &result.generator);
    let mean = |of: fn(&Generator) -> f64| all().map(of).sum::<f64>() / results.len() as f64;
    let worst = |of: fn(&LatencyMs) -> f64| all().map(|one| of(&one.lag_ms)).fold(0.0, f64::max);
    Generator {
        threads: all().map(|one| one.threads).sum(),
        cpu_seconds: all().map(|one| one.cpu_seconds).sum(),
        cpu_share: mean(|one| one.cpu_share),
        memory_peak_bytes: all().map(|one| one.memory_peak_bytes).max().unwrap_or(0),
        connections_opened: all().map(|one| one.connections_opened).sum(),
        late_share: mean(|one| one.late_share),
        late_ms: results[0].generator.late_ms,
        // Percentiles cannot be merged, so the worst machine counts.
        lag_ms: LatencyMs {
            min: worst(|lag| lag.min),
            mean: worst(|lag| lag.mean),
            p50: worst(|lag| lag.p50),
            p75: worst(|lag| lag.p75),
            p90: worst(|lag| lag.p90),
            p99: worst(|lag| lag.p99),
            p99_9: worst(|lag| lag.p99_9),
            p99_99: worst(|lag| lag.p99_99),
            max: worst(|lag| lag.max),
        },
    }
}

fn machine(results: &[LoadResult]) -> Machine {
    let first = &results[0].machine;
    Machine { cpu: format!("{} machines, the first: {}", results.len(), first.cpu), ..first.clone() }
}

/// Merges the audits: each shard compared its own orders, and the pieces balance only over all shards.
fn audits(results: &[LoadResult]) -> anyhow::Result<Option<AuditResult>> {
    let audits: Option<Vec<&AuditResult>> = results.iter().map(|result| result.audit.as_ref()).collect();
    let Some(audits) = audits else { return Ok(None) };
    let mut skus: BTreeMap<&str, SkuBalance> = BTreeMap::new();
    let last = audits.iter().map(|audit| audit.at).max().unwrap_or_default();
    for audit in &audits {
        for sku in &audit.skus {
            let sum = skus.entry(&sku.sku).or_insert_with(|| SkuBalance {
                accepted: 0,
                cancelled: 0,
                refused: 0,
                ..sku.clone()
            });
            anyhow::ensure!(
                sum.start == sku.start,
                "{}: one shard found {} pieces in the beginning and another {}; begin all with the same --start-at",
                sku.sku,
                sum.start,
                sku.start
            );
            sum.accepted += sku.accepted;
            sum.cancelled += sku.cancelled;
            sum.refused += sku.refused;
            if audit.at == last {
                sum.available = sku.available;
            }
        }
    }
    let skus: Vec<SkuBalance> = skus
        .into_values()
        .map(|sum| SkuBalance { balance: sum.start - sum.accepted + sum.cancelled - sum.available, ..sum })
        .collect();
    let mut findings: Vec<Findings> = audits.iter().flat_map(|audit| audit.findings.clone()).collect();
    findings.extend(judge_shards(&skus));
    let checked = audits.iter().fold(super::result::Checked::default(), |mut sum, audit| {
        sum.accepted += audit.checked.accepted;
        sum.refused += audit.checked.refused;
        sum.settled_by_key += audit.checked.settled_by_key;
        sum
    });
    Ok(Some(AuditResult {
        at: last,
        clean: findings.is_empty(),
        skus,
        checked,
        findings,
        sale: None,
        engine_audit: None,
    }))
}
