//! `shobai sale`: what operators do about flash sales from a shell.

mod verify_report;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use crate::config::Config;

#[derive(Debug, Subcommand)]
pub(super) enum Sale {
    /// Checks that the settlement of a sale (its JSON form) is as it was signed; exit code 1 and what does not fit if not.
    VerifyReport {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

impl Sale {
    pub(super) fn carry_out(self, config: &Config) -> anyhow::Result<ExitCode> {
        match self {
            Self::VerifyReport { file } => verify_report::verify_report(config, &file),
        }
    }
}
