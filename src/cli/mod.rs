//! The commands of the binary, one file each; all of them read the same configuration.

pub mod audit;
mod customers;
mod load;
mod migrate;
mod sale;
mod serve;
mod staff;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, LogFormat};

/// An actor-system commerce engine: one binary that runs a shop's back end.
#[derive(Debug, Parser)]
#[command(name = "shobai", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The configuration file; `config.toml` explains every key.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the shop until Ctrl-C or SIGTERM.
    Serve,
    /// Proves from the database that nothing was oversold, lost or duplicated; exit code 1 with the offending rows if
    /// not.
    Audit,
    /// Migrates the database to the schema of this binary.
    Migrate,
    /// Generates load like many customers, measures it, and compares the answers with the state of the shop.
    #[command(subcommand)]
    Load(load::Load),
    /// Plans, watches and controls flash sales at a running engine.
    #[command(subcommand)]
    Sale(sale::Sale),
    /// Manages staff accounts.
    #[command(subcommand)]
    Staff(Staff),
    /// Creates customers for load tests.
    #[command(subcommand)]
    Customers(Customers),
}

#[derive(Debug, Subcommand)]
enum Staff {
    /// Creates a staff account in the configured database and prints its password once.
    Create(CreateStaff),
}

#[derive(Debug, Args)]
struct CreateStaff {
    /// The address to sign in with.
    email: String,
    /// The name of the person.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Creates an administrator instead.
    #[arg(long)]
    admin: bool,
}

#[derive(Debug, Subcommand)]
enum Customers {
    /// Creates customers that are signed in already, for load tools.
    Create(CreateCustomers),
}

#[derive(Debug, Args)]
struct CreateCustomers {
    /// The number of customers, 1 to 100,000.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
    /// The file for their access tokens, one per line; only its owner can read it.
    #[arg(long, value_name = "FILE")]
    tokens: PathBuf,
}

impl Cli {
    /// Carries the command out.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let config = Config::load(self.config.as_deref())?;
        start_log(&config);
        match self.command {
            Command::Serve => serve::serve(config).await,
            Command::Audit => audit::audit(&config).await,
            Command::Migrate => migrate::migrate(&config).await,
            Command::Load(load) => load.carry_out(&config).await,
            Command::Sale(sale) => sale.carry_out(&config).await,
            Command::Staff(Staff::Create(wanted)) => staff::create(&config, wanted).await,
            Command::Customers(Customers::Create(wanted)) => customers::create(&config, wanted).await,
        }
    }
}

/// The log goes to standard error; what a command prints goes to standard output.
fn start_log(config: &Config) {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log.filter).unwrap_or_default();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log.format {
        LogFormat::Text => log.with_target(false).init(),
        LogFormat::Json => log.json().init(),
    }
}
