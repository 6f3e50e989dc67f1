//! Metrics of this process: its processor time and its memory.

use std::fs;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// Sets the gauges to their present values; a value that the kernel does not report stays as it was.
pub fn update() {
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
        let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        let cpu = seconds(usage.user_time()) + seconds(usage.system_time());
        metrics::gauge!("shobai_process_cpu_seconds").set(cpu);
    }
    if let Some(bytes) = resident_bytes() {
        metrics::gauge!("shobai_process_memory_bytes").set(bytes as f64);
    }
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1_024)
}
