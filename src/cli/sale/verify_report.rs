//! `shobai sale verify-report`: whether a settlement is unchanged since it was signed, and with whose key.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use crate::audit::{ReportKey, VerifyError, public_key_id, verify};
use crate::config::Config;

#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyReport {
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The expected public key, which the engine writes to <data_dir>/keys/report-ed25519.pub.pem. Without it, the key
    /// of this data directory's engine, if there is one.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Exit code 1 also when the settlement says that something does not add up.
    #[arg(long)]
    clean: bool,
}

impl VerifyReport {
    /// Needs neither an engine nor a database.
    pub(super) fn carry_out(&self, config: &Config) -> anyhow::Result<ExitCode> {
        let file = self.file.display();
        let known = self.known_key(config)?;
        let json = std::fs::read_to_string(&self.file).with_context(|| format!("{file} cannot be read"))?;
        let verified = match verify(&json) {
            Ok(verified) => verified,
            Err(VerifyError::NotAReport(problem)) => {
                println!("{file} is not a settlement: {problem}");
                return Ok(ExitCode::FAILURE);
            }
            Err(VerifyError::DoesNotFit(problems)) => {
                println!("{file} was changed after it was signed:");
                for problem in problems {
                    println!("  {problem}");
                }
                return Ok(ExitCode::FAILURE);
            }
        };
        let summary = &verified.summary;
        println!(
            "settlement of {} ({}), made {}: {} orders, unchanged since they were signed",
            summary.sale.name, summary.sale.id, summary.made_at, summary.rows
        );
        match summary.is_clean {
            true => println!("it says that everything adds up"),
            false => {
                println!(
                    "it says that something does not add up: {} orders are not explained",
                    summary.unexplained
                )
            }
        }
        let is_wanted = summary.is_clean || !self.clean;
        // A changed report can be signed again with another key, so only a known key proves anything.
        let key_id = &verified.key_id;
        match known {
            Some((whose, known)) if known == *key_id => println!("signed with the key of {whose}, {key_id}"),
            Some((whose, known)) => {
                println!("signed with another key than that of {whose}: {key_id}, not {known}");
                return Ok(ExitCode::FAILURE);
            }
            None => println!(
                "signed with the key {key_id}, which is not known here: the report is consistent, but its origin is not \
                 proven; give the engine's --key"
            ),
        }
        Ok(if is_wanted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// The owner and the id of the expected key.
    fn known_key(&self, config: &Config) -> anyhow::Result<Option<(String, String)>> {
        match &self.key {
            Some(file) => {
                let pem = std::fs::read_to_string(file)
                    .with_context(|| format!("{} cannot be read", file.display()))?;
                let id = public_key_id(&pem)
                    .with_context(|| format!("{} is not a public key of Ed25519 (PEM)", file.display()))?;
                Ok(Some((file.display().to_string(), id)))
            }
            None => {
                let own = ReportKey::load(&config.storage.data_dir)?;
                Ok(own.map(|key| ("this engine".to_owned(), key.id())))
            }
        }
    }
}
