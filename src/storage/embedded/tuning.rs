//! The settings of the private cluster, each with its reason.
//!
//! They are passed on PostgreSQL's command line: there is no file to keep in step, and neither an edited file nor
//! `alter system` can switch durability off. For other settings, configure a PostgreSQL of your own.

use std::fs;
use std::path::Path;

/// Only part of the socket's name; there is no TCP listener.
pub(super) const PORT: u16 = 5432;

/// Connections of operators, the audit and other commands, in addition to the engine's.
const OTHER_CONNECTIONS: usize = 64;

const MIB: u64 = 1024 * 1024;

/// All settings that differ from PostgreSQL's defaults or must keep them, as name and value.
pub(super) fn settings(socket_dir: &Path, connections: usize) -> Vec<(&'static str, String)> {
    let table: &[(&str, &str)] = &[
        // Only the engine's own user can connect.
        ("listen_addresses", ""),
        ("port", &PORT.to_string()),
        ("unix_socket_directories", &socket_dir.display().to_string()),
        ("unix_socket_permissions", "0700"),
        // The database is the authority over stock and money: an answered commit is on disk.
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        // The hot tables fit; the rest is left to the page cache of the shared machine.
        ("shared_buffers", &format!("{}MB", shared_buffers(memory()) / MIB)),
        // A sale writes gigabytes of WAL: enough room that no checkout waits for a checkpoint in the middle of it …
        ("max_wal_size", "4GB"),
        // … with files that are recycled instead of being created while customers wait.
        ("min_wal_size", "1GB"),
        // One group commit writes hundreds of rows at once; they fit before the flush.
        ("wal_buffers", "16MB"),
        // After each checkpoint whole pages go into the WAL; lz4 compresses them at little cost.
        ("wal_compression", "lz4"),
        // Fewer checkpoints, fewer whole pages; bounds the recovery after a crash to well under a minute.
        ("checkpoint_timeout", "15min"),
        // Journal lanes and the pool, with room for an operator's psql and the commands beside a serving engine.
        ("max_connections", &(connections + OTHER_CONNECTIONS).to_string()),
        // Every statement is short; compiling one takes longer than running it.
        ("jit", "off"),
        // A table that only grows is vacuumed while its new pages are still in memory.
        ("autovacuum_vacuum_insert_scale_factor", "0.05"),
        // One hot row leaves a dead version at every commit: look often, because a table of few rows is vacuumed in no
        // time.
        ("autovacuum_naptime", "10s"),
        ("autovacuum_vacuum_scale_factor", "0.05"),
        ("autovacuum_analyze_scale_factor", "0.05"),
        // The default budget is made for disks of another age; vacuum must keep up with a sale.
        ("autovacuum_vacuum_cost_limit", "2000"),
        // On solid state a random page costs little more than a sequential one.
        ("random_page_cost", "1.1"),
        // Times in the database and in its log are the same on every machine.
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
        // To standard error, which the engine redirects into one file beside the cluster.
        ("log_destination", "stderr"),
        ("logging_collector", "off"),
        ("log_line_prefix", "%m [%p] "),
        // Keeps customers' data out of the log.
        ("log_error_verbosity", "terse"),
        ("log_parameter_max_length", "0"),
        ("log_parameter_max_length_on_error", "0"),
        // Shows up in a process list.
        ("cluster_name", "shobai"),
    ];
    table.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

/// A quarter of the memory, between 32 MiB and 1 GiB; PostgreSQL's default of 128 MiB where the memory is not known.
fn shared_buffers(memory: Option<u64>) -> u64 {
    memory.map_or(128 * MIB, |memory| (memory / 4).clamp(32 * MIB, 1024 * MIB))
}

/// The memory in bytes of this machine or, where lower, the limit of this container.
fn memory() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_in(&text));
    let container =
        fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    machine.into_iter().chain(container).min()
}

/// Reads `MemTotal:       24684092 kB`.
fn total_in(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_buffers_are_a_quarter_of_the_memory_within_bounds() {
        for (memory, buffers) in [
            (Some(64 * MIB), 32 * MIB),
            (Some(2048 * MIB), 512 * MIB),
            (Some(24 * 1024 * MIB), 1024 * MIB),
            (None, 128 * MIB),
        ] {
            assert_eq!(shared_buffers(memory), buffers, "{memory:?}");
        }
    }

    #[test]
    fn the_memory_is_read_from_meminfo() {
        assert_eq!(total_in("Foo: 1 kB\nMemTotal:       2048 kB\n"), Some(2 * MIB));
        assert_eq!(total_in(""), None);
        assert!(memory().is_some_and(|bytes| bytes > 32 * MIB));
    }

    #[test]
    fn no_setting_appears_twice() {
        let mut names: Vec<_> = settings(Path::new("/tmp"), 36).into_iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
