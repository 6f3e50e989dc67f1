//! `shobai audit`: the proof, from the database alone, that nothing was oversold, lost or duplicated.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::audit::{Extent, claims, grace, measure};
pub use crate::audit::{Finding, examine};
use crate::config::Config;
use crate::engine::Backing;

/// The most offending rows printed for each claim.
const EXAMPLES: usize = 20;

pub(super) async fn audit(config: &Config) -> anyhow::Result<ExitCode> {
    let Audit { is_clean, text } = run(config).await?;
    print!("{text}");
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The result of an audit.
pub(super) struct Audit {
    pub is_clean: bool,
    pub text: String,
}

/// Examines the configured database.
pub(super) async fn run(config: &Config) -> anyhow::Result<Audit> {
    let backing = Backing::open(config).await?;
    let examined = async {
        let connection = backing.database.connect_unhurried().await?;
        let findings = examine(&connection, grace(&config.orders)).await?;
        Ok::<_, anyhow::Error>((findings, measure(&connection).await?))
    };
    let examined = examined.await;
    backing.close().await?;
    let (findings, extent) = examined.context("the audit could not be made")?;

    let Extent { skus, movements, reservations, orders, awaiting_payment, confirmed, cancelled, expired } =
        extent;
    let mut text = format!(
        "audit of {skus} SKUs, {movements} movements, {reservations} reservations, {orders} orders ({awaiting_payment} \
         awaiting payment, {confirmed} confirmed, {cancelled} cancelled, {expired} expired)\n"
    );
    for claim in claims() {
        let against: Vec<_> = findings.iter().filter(|finding| finding.claim == claim).collect();
        let _ = writeln!(text, "  {}  {claim}", if against.is_empty() { "ok    " } else { "BROKEN" });
        for Finding { subject, finding, .. } in against.iter().take(EXAMPLES) {
            let _ = writeln!(text, "            {subject}: {finding}");
        }
        if against.len() > EXAMPLES {
            let _ = writeln!(text, "            and {} more", against.len() - EXAMPLES);
        }
    }
    Ok(Audit { is_clean: findings.is_empty(), text })
}
