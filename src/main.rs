//! The `shobai` binary: arguments → one command.

use std::process::ExitCode;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = shobai::cli::Cli::parse();
    match actix_rt::System::new().block_on(cli.run()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("shobai: {error:#}");
            // 1 means that an audit found something.
            ExitCode::from(2)
        }
    }
}
