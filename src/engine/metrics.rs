//! The recorder of the process's metrics, and its upkeep.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::storage::Database;

/// How often the pool's gauges are set and the histograms of the metrics are folded.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// Journal commits and HTTP answers, in seconds.
const SECONDS: [f64; 14] =
    [0.000_25, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// Entries of one commit.
const ENTRIES: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// Answers with the one recorder of the process, and installs it at the first call.
pub(super) fn start() -> anyhow::Result<PrometheusHandle> {
    static RECORDER: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut recorder = RECORDER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(metrics) = &*recorder {
        return Ok(metrics.clone());
    }
    let metrics = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_entries".to_owned()), &ENTRIES)?
        .install_recorder()?;
    Ok(recorder.insert(metrics).clone())
}

/// Sets the gauges of the pool and folds the histograms, again and again.
pub(super) async fn keep_up(metrics: PrometheusHandle, database: Database) {
    loop {
        let (size, available) = database.pool_size();
        metrics::gauge!("shobai_pool_connections").set(size as f64);
        metrics::gauge!("shobai_pool_idle_connections").set(available as f64);
        metrics.run_upkeep();
        tokio::time::sleep(UPKEEP_EVERY).await;
    }
}
