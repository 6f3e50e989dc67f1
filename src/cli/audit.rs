//! `shobai audit`: the proof, from the database alone, that nothing was oversold, lost or doubled.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use crate::config::Config;
use crate::engine::Backing;
use crate::storage::Connection;

/// What the rounds of orders may take beyond the time after which they look.
const BEYOND_ORPHAN_AFTER: Duration = Duration::from_secs(60);
/// Offending rows shown for each claim.
const EXAMPLES: usize = 20;

/// What must be true, and the query that finds where it is not.
const CLAIMS: &[(&str, &str)] = &[
    (
        "on hand − reserved − allotted ≥ 0 for every SKU",
        include_str!("../../sql/audit/stock_is_possible.sql"),
    ),
    ("reserved = sum of live reservations", include_str!("../../sql/audit/reserved_is_held.sql")),
    ("on hand = sum of movements, without a gap", include_str!("../../sql/audit/stock_is_explained.sql")),
    (
        "allotment = sold + held + remaining for every sale",
        include_str!("../../sql/audit/allotments_add_up.sql"),
    ),
    ("one reservation for each order line", include_str!("../../sql/audit/lines_are_reserved.sql")),
    ("no reservation without its order", include_str!("../../sql/audit/reservations_have_orders.sql")),
    ("one order for each idempotency key", include_str!("../../sql/audit/keys_are_used_once.sql")),
    ("every order adds up and has its history", include_str!("../../sql/audit/orders_are_whole.sql")),
];

/// A row that contradicts a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub claim: &'static str,
    pub subject: String,
    pub finding: String,
}

pub(super) async fn audit(config: &Config) -> anyhow::Result<ExitCode> {
    let Audit { is_clean, text } = run(config).await?;
    print!("{text}");
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What an audit came to.
pub(super) struct Audit {
    pub is_clean: bool,
    pub text: String,
}

/// Examines the configured database.
pub(super) async fn run(config: &Config) -> anyhow::Result<Audit> {
    let backing = Backing::open(config).await?;
    let examined = async {
        let connection = backing.database.connect_unhurried().await?;
        let findings = examine(&connection, grace(config)).await?;
        let counts = connection.query_one(include_str!("../../sql/audit/count_all.sql"), &[]).await?;
        Ok::<_, anyhow::Error>((findings, counts))
    };
    let examined = examined.await;
    backing.close().await?;
    let (findings, counts) = examined.context("the audit could not be made")?;

    let count = |name: &str| counts.get::<_, i64>(name);
    let mut text = format!(
        "audit of {} SKUs, {} movements, {} reservations, {} orders ({} awaiting payment, {} confirmed, {} cancelled, {} expired)\n",
        count("skus"),
        count("movements"),
        count("reservations"),
        count("orders"),
        count("awaiting_payment"),
        count("confirmed"),
        count("cancelled"),
        count("expired"),
    );
    for (claim, _) in CLAIMS {
        let against: Vec<_> = findings.iter().filter(|finding| finding.claim == *claim).collect();
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

/// How long stock may be without its order, or behind it, before that is a finding.
fn grace(config: &Config) -> Duration {
    Duration::from_secs(config.orders.orphan_after_seconds) + BEYOND_ORPHAN_AFTER
}

/// Looks for rows against every claim, all at one moment of the database; what is younger than `grace` may still be on
/// its way.
pub async fn examine(
    connection: &Connection,
    grace: Duration,
) -> Result<Vec<Finding>, tokio_postgres::Error> {
    let grace = grace.as_secs();
    let begin = format!(
        "begin isolation level repeatable read read only; set local shobai.audit_grace = '{grace} s'"
    );
    connection.batch_execute(&begin).await?;
    let mut findings = Vec::new();
    for (claim, query) in CLAIMS {
        for row in connection.query(*query, &[]).await? {
            findings.push(Finding { claim, subject: row.get("subject"), finding: row.get("finding") });
        }
    }
    connection.batch_execute("commit").await?;
    Ok(findings)
}
