//! `shobai load compare`: two sets of runs side by side, and which differences exceed noise.
//!
//! A figure of one run does not show its noise. So each side may be several runs of the same scenario; with two or more
//! on both sides a ratio comes with its 95 % confidence interval (Welch's t-test on the logarithms), and a ratio whose
//! interval contains 1 is noise.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;

use super::merge::read;
use super::result::LoadResult;

#[derive(Debug, Args)]
pub(in crate::cli) struct Compare {
    /// A report directory, a result.json, or a directory with several of either below it.
    before: PathBuf,
    /// The same, to be compared with the first.
    after: PathBuf,
}

pub(super) fn compare(wanted: &Compare) -> anyhow::Result<()> {
    let (before, after) = (results_below(&wanted.before)?, results_below(&wanted.after)?);
    print!("{}", table(&before, &after));
    Ok(())
}

fn results_below(path: &Path) -> anyhow::Result<Vec<LoadResult>> {
    if path.is_file() || path.join("result.json").is_file() {
        return Ok(vec![read(path)?]);
    }
    let mut below: Vec<PathBuf> =
        std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    below.sort();
    let is_result = |path: &PathBuf| {
        path.join("result.json").is_file() || path.extension().is_some_and(|extension| extension == "json")
    };
    let results =
        below.iter().filter(|path| is_result(path)).map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    anyhow::ensure!(!results.is_empty(), "{} has no result", path.display());
    Ok(results)
}

/// The figures that are compared, each with one value for every run that has it.
fn figures(results: &[LoadResult]) -> BTreeMap<String, Vec<f64>> {
    let mut figures: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut add = |name: String, value: f64| figures.entry(name).or_default().push(value);
    for result in results {
        add("orders per second, best stage".to_owned(), result.orders_per_second());
        add("requests per second".to_owned(), result.totals.finished() as f64 / result.seconds);
        for step in result.steps.iter().filter(|step| step.outcome == "accepted") {
            let latency = step.latency_ms;
            for (name, value) in
                [("p50", latency.p50), ("p99", latency.p99), ("p99.9", latency.p99_9), ("max", latency.max)]
            {
                add(format!("{} {name} ms", step.step), value);
            }
        }
    }
    figures
}

fn table(before: &[LoadResult], after: &[LoadResult]) -> String {
    let (figures_before, figures_after) = (figures(before), figures(after));
    let mut text = format!(
        "{:<34} {:>12} {:>12} {:>8}  {}\n",
        "",
        format!("before ×{}", before.len()),
        format!("after ×{}", after.len()),
        "ratio",
        "95 % interval"
    );
    for (name, before) in &figures_before {
        let Some(after) = figures_after.get(name) else { continue };
        let verdict = match interval(before, after) {
            Some((low, high)) if low <= 1.0 && 1.0 <= high => format!("{low:.2} – {high:.2}  noise"),
            Some((low, high)) => format!("{low:.2} – {high:.2}"),
            None => "unknown: repeat the runs".to_owned(),
        };
        let (before, after) = (mean(before), mean(after));
        let ratio = if before > 0.0 { format!("{:.2}", after / before) } else { "-".to_owned() };
        text.push_str(&format!("{name:<34} {before:>12.2} {after:>12.2} {ratio:>8}  {verdict}\n"));
    }
    let texts: BTreeSet<&str> = before.iter().chain(after).map(|result| &*result.scenario.text).collect();
    if texts.len() > 1 {
        text.push_str("these are runs of different scenarios\n");
    }
    let invalid = before.iter().chain(after).filter(|result| !result.valid).count();
    if invalid > 0 {
        text.push_str(&format!("{invalid} of the runs are not valid: their generator was the limit\n"));
    }
    text
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The 95 % confidence interval of the ratio after ÷ before; `None` with too few runs.
fn interval(before: &[f64], after: &[f64]) -> Option<(f64, f64)> {
    let is_usable = |values: &[f64]| values.len() >= 2 && values.iter().all(|value| *value > 0.0);
    if !is_usable(before) || !is_usable(after) {
        return None;
    }
    let logarithms = |values: &[f64]| values.iter().map(|value| value.ln()).collect::<Vec<_>>();
    let (before, after) = (logarithms(before), logarithms(after));
    let error = |values: &[f64]| {
        let mean = mean(values);
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        squares / (values.len() - 1) as f64 / values.len() as f64
    };
    let (error_before, error_after) = (error(&before), error(&after));
    let difference = mean(&after) - mean(&before);
    let error = error_before + error_after;
    if error == 0.0 {
        return Some((difference.exp(), difference.exp()));
    }
    // Welch–Satterthwaite.
    let freedom = error.powi(2)
        / (error_before.powi(2) / (before.len() - 1) as f64 + error_after.powi(2) / (after.len() - 1) as f64);
    let half = student_95(freedom) * error.sqrt();
    Some(((difference - half).exp(), (difference + half).exp()))
}

/// The two-sided 95 % quantile of Student's t distribution, for the next lower tabled degree of freedom, so that an
/// interval is never too narrow.
fn student_95(freedom: f64) -> f64 {
    const TABLE: [(f64, f64); 17] = [
        (1.0, 12.706),
        (2.0, 4.303),
        (3.0, 3.182),
        (4.0, 2.776),
        (5.0, 2.571),
        (6.0, 2.447),
        (7.0, 2.365),
        (8.0, 2.306),
        (9.0, 2.262),
        (10.0, 2.228),
        (12.0, 2.179),
        (15.0, 2.131),
        (20.0, 2.086),
        (30.0, 2.042),
        (60.0, 2.000),
        (120.0, 1.980),
        (f64::INFINITY, 1.960),
    ];
    TABLE.iter().rev().find(|(tabled, _)| *tabled <= freedom).map_or(TABLE[0].1, |(_, quantile)| *quantile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_run_tells_nothing_and_several_tell_noise_from_change() {
        assert_eq!(interval(&[100.0], &[200.0]), None);
        assert_eq!(interval(&[0.0, 0.0], &[1.0, 1.0]), None);
        let (low, high) = interval(&[100.0, 103.0, 98.0, 101.0], &[200.0, 205.0, 197.0, 203.0]).unwrap();
        assert!(1.9 < low && low < 2.0 && 2.0 < high && high < 2.1, "{low} {high}");
        let (low, high) = interval(&[100.0, 140.0, 80.0], &[110.0, 90.0, 130.0]).unwrap();
        assert!(low < 1.0 && high > 1.0, "{low} {high}");
    }

    #[test]
    fn the_interval_is_the_one_of_the_textbook() {
        // Student's t for 4 degrees of freedom, two samples of three with variance 1 each in logarithms.
        let samples = |middle: f64| [middle - 1.0, middle, middle + 1.0].map(f64::exp);
        let (low, high) = interval(&samples(0.0), &samples(0.0)).unwrap();
        let half = 2.776 * (2.0f64 / 3.0).sqrt();
        assert!((low.ln() + half).abs() < 1e-9 && (high.ln() - half).abs() < 1e-9, "{low} {high}");
    }
}
