//! The machine of a run, and the memory of the generator.

use std::fs;

use super::result::Machine;

impl Machine {
    /// This machine, according to the kernel.
    pub(super) fn this() -> Self {
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let kibibytes = field(&read("/proc/meminfo"), "MemTotal").and_then(|text| first_number(&text));
        Self {
            cpu: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: kibibytes.unwrap_or(0) * 1024,
            system: format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
        }
    }
}

/// The peak memory of this process, in bytes.
pub(super) fn memory_peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(first_number).unwrap_or(0) * 1024
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_tells_what_it_is() {
        let machine = Machine::this();
        assert!(machine.cores >= 1 && machine.memory_bytes > 1 << 20 && machine.system.len() > 6);
        assert!((1 << 20..machine.memory_bytes).contains(&memory_peak()));
    }
}
