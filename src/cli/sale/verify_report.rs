//! `shobai sale verify-report`: whether a settlement is as it was signed, and by whom, as far as this machine knows.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::audit::{ReportKey, VerifyError, verify};
use crate::config::Config;

/// Needs neither an engine nor its database.
pub(super) fn verify_report(config: &Config, file: &Path) -> anyhow::Result<ExitCode> {
    let json = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let verified = match verify(&json) {
        Ok(verified) => verified,
        Err(VerifyError::NotAReport(problem)) => {
            println!("{} is not a settlement: {problem}", file.display());
            return Ok(ExitCode::FAILURE);
        }
        Err(VerifyError::DoesNotFit(problems)) => {
            println!("{} was changed after it was signed:", file.display());
            for problem in problems {
                println!("  {problem}");
            }
            return Ok(ExitCode::FAILURE);
        }
    };
    let summary = &verified.summary;
    println!(
        "settlement of {} ({}), made {}: {} orders, as they were signed",
        summary.sale.name, summary.sale.id, summary.made_at, summary.rows
    );
    match summary.is_clean {
        true => println!("it says that everything adds up"),
        false => {
            println!("it says that not everything adds up: {} orders are not explained", summary.unexplained)
        }
    }
    // Whoever changes a report can sign it anew with a key of his own: only a key that is known proves anything.
    let key_id = &verified.key_id;
    match ReportKey::load(&config.storage.data_dir)?.map(|key| key.id()) {
        Some(own) if own == *key_id => println!("signed with the key of this engine, {key_id}"),
        Some(own) => {
            println!("signed with another key than this engine's: {key_id}, not {own}");
            return Ok(ExitCode::FAILURE);
        }
        None => println!("signed with the key {key_id}; compare it with that of the engine that made it"),
    }
    Ok(ExitCode::SUCCESS)
}
