//! The engine's metrics over the time of a run, read from its metrics endpoint.

use std::collections::{BTreeMap, HashMap};

use super::client::{Client, Target};
use super::result::{EngineSeries, Series};
use super::shop;

/// The processor time of the engine, without its database.
pub(super) const PROCESSOR: &str = "shobai_process_cpu_seconds";

/// The metrics shown, and the labels that distinguish their lines.
const SHOWN: [(&str, Reading, &str, &[&str]); 15] = [
    (PROCESSOR, Reading::Rate, "cores", &[]),
    ("shobai_process_memory_bytes", Reading::Gauge, "bytes", &[]),
    ("shobai_queue_entries", Reading::Gauge, "entries", &[]),
    ("shobai_queue_memory_bytes", Reading::Gauge, "bytes", &[]),
    ("shobai_journal_batch_entries", Reading::Mean, "entries", &["journal"]),
    ("shobai_journal_commit_seconds", Reading::Mean, "seconds", &["journal"]),
    ("shobai_journal_queue_entries", Reading::Gauge, "entries", &["journal"]),
    ("shobai_journal_unknown_total", Reading::Rate, "per second", &["journal"]),
    ("shobai_http_requests_total", Reading::Rate, "per second", &["status"]),
    ("shobai_reservations_total", Reading::Rate, "per second", &["outcome"]),
    ("shobai_actor_asks_total", Reading::Rate, "per second", &["actor"]),
    ("shobai_actor_ask_failures_total", Reading::Rate, "per second", &["outcome"]),
    ("shobai_actor_restarts_total", Reading::Rate, "per second", &["actor"]),
    ("shobai_pool_connections", Reading::Gauge, "connections", &[]),
    ("shobai_inventory_active_skus", Reading::Gauge, "SKUs", &[]),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// A counter, as its growth per second.
    Rate,
    /// A histogram, as the mean since the last sample.
    Mean,
    /// A gauge, summed.
    Gauge,
}

pub(super) struct Scraper {
    client: Client,
    path: String,
    source: String,
    last: Option<(f64, Sums)>,
    points: BTreeMap<Line, Points>,
}

/// The index of a metric in [`SHOWN`], and the labels of one of its lines.
type Line = (usize, String);
/// Second and value.
type Points = Vec<(u64, Option<f64>)>;
/// Samples: a value, or a histogram's sum and count.
type Sums = HashMap<Line, (f64, f64)>;

impl Scraper {
    /// For an endpoint such as `http://127.0.0.1:9464/metrics`.
    pub(super) fn new(url: &str) -> anyhow::Result<Self> {
        let after_scheme = url.find("://").map_or(0, |scheme| scheme + 3);
        let path = url[after_scheme..].find('/').map_or(url.len(), |slash| after_scheme + slash);
        let client = Client::new(Target::parse(&url[..path])?, 1, std::time::Duration::from_secs(2));
        let path_or = |path: &str| if path.is_empty() { "/metrics".to_owned() } else { path.to_owned() };
        Ok(Self {
            client,
            path: path_or(&url[path..]),
            source: url.to_owned(),
            last: None,
            points: BTreeMap::new(),
        })
    }

    /// Takes one sample; an engine that is not reachable leaves a gap.
    pub(super) async fn sample(&mut self, seconds: f64) {
        let answer = self.client.send(shop::get(&self.path, None)).await;
        let text = match &answer {
            Ok(answer) if answer.status == 200 => String::from_utf8_lossy(&answer.body),
            _ => {
                self.last = None;
                return;
            }
        };
        self.read(seconds, &text);
    }

    fn read(&mut self, seconds: f64, text: &str) {
        let sums = sums(text);
        if let Some((then, before)) = &self.last
            && seconds > *then
        {
            for ((figure, line), (value, count)) in &sums {
                let (value_before, count_before) =
                    before.get(&(*figure, line.clone())).copied().unwrap_or_default();
                let value = match SHOWN[*figure].1 {
                    Reading::Gauge => Some(*value),
                    // A counter that fell belongs to another process.
                    Reading::Rate if *value >= value_before => {
                        Some((value - value_before) / (seconds - then))
                    }
                    Reading::Mean if *count > count_before => {
                        Some((value - value_before) / (count - count_before))
                    }
                    Reading::Rate | Reading::Mean => None,
                };
                let points = self.points.entry((*figure, line.clone())).or_default();
                points.push((seconds as u64, value));
            }
        }
        self.last = Some((seconds, sums));
    }

    pub(super) fn into_series(self) -> EngineSeries {
        let series = self.points.into_iter().map(|((figure, line), points)| {
            let (name, _, unit, _) = SHOWN[figure];
            let name = if line.is_empty() { name.to_owned() } else { format!("{name} {line}") };
            Series { name, unit: unit.to_owned(), points }
        });
        // A line that is always zero is left out.
        let moves =
            |series: &Series| series.points.iter().any(|(_, value)| value.is_some_and(|value| value != 0.0));
        EngineSeries { source: self.source, series: series.filter(moves).collect() }
    }
}

/// Sums the samples of a Prometheus text by figure and line; a histogram's are its sum and its count.
fn sums(text: &str) -> Sums {
    let mut sums = Sums::new();
    for sample in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((head, value)) = sample.rsplit_once(' ') else { continue };
        let Ok(value) = value.parse::<f64>() else { continue };
        let (name, labels) = head.split_once('{').unwrap_or((head, ""));
        for (figure, (shown, how, _, by)) in SHOWN.iter().enumerate() {
            let Some(suffix) = name.strip_prefix(shown) else { continue };
            let (is_sum, is_count) = match how {
                Reading::Mean => (suffix == "_sum", suffix == "_count"),
                Reading::Rate | Reading::Gauge => (suffix.is_empty(), false),
            };
            if !is_sum && !is_count {
                continue;
            }
            let line: Vec<&str> = by.iter().filter_map(|label| label_of(labels, label)).collect();
            let sum = sums.entry((figure, line.join(" "))).or_default();
            if is_count { sum.1 += value } else { sum.0 += value }
        }
    }
    sums
}

fn label_of<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let start = labels.find(&format!("{name}=\""))? + name.len() + 2;
    labels[start..].split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_become_rates_and_histograms_means() {
        let mut scraper = Scraper::new("http://127.0.0.1:9464").unwrap();
        assert_eq!(scraper.path, "/metrics");
        let text = |requests: u32, sum: f64, count: u32| {
            format!(
                "# TYPE shobai_http_requests_total counter\n\
                 shobai_http_requests_total{{method=\"POST\",route=\"/v1/orders\",status=\"201\"}} {requests}\n\
                 shobai_http_requests_total{{method=\"GET\",route=\"/v1/orders\",status=\"201\"}} 5\n\
                 shobai_journal_commit_seconds_sum{{journal=\"orders\"}} {sum}\n\
                 shobai_journal_commit_seconds_count{{journal=\"orders\"}} {count}\n\
                 shobai_journal_commit_seconds_bucket{{journal=\"orders\",le=\"1\"}} 7\n\
                 shobai_pool_connections 4\n"
            )
        };
        scraper.read(1.0, &text(10, 1.0, 10));
        scraper.read(3.0, &text(110, 3.0, 30));
        // The engine was started anew.
        scraper.read(4.0, &text(1, 0.1, 1));
        let series = scraper.into_series().series;
        let points = |name: &str| series.iter().find(|series| series.name == name).unwrap().points.clone();
        assert_eq!(points("shobai_http_requests_total 201"), [(3, Some(50.0)), (4, None)]);
        assert_eq!(points("shobai_journal_commit_seconds orders"), [(3, Some(0.1)), (4, None)]);
        assert_eq!(points("shobai_pool_connections"), [(3, Some(4.0)), (4, Some(4.0))]);
    }
}
