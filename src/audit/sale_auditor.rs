//! Audits all open sales: one snapshot of the database, then the SKUs' actors, then the stop of a SKU that does not add
//! up.
//!
//! A sale's SKU may have hundreds of thousands of movements, so a round remembers the sums of the movements that it
//! read, and the next one reads only newer ones. Every round also reads as many ledgers again from their first movement
//! as its time allows: all of them in most sales, the longest ones in turn. A ledger with a finding is always read
//! again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use uuid::Uuid;

use super::balance::{AuditStatus, LedgerSums, SkuSnapshot};
use super::claims::{Claim, Finding};
use super::domain::AuditNeeds;
use super::error::AuditError;
use super::snapshots::{MovementRange, read_ordered, read_skus, sum_movements};
use crate::actors::inventory::{Figures, GetFigures};
use crate::actors::sales::{Initiator, SalesError, SwitchItem};
use crate::config::Config;
use crate::storage::{Connection, Database, StorageError};
use crate::types::{SaleId, Sku};

/// The longest time of a round; after it the connection is given up.
const ROUND_WITHIN: Duration = Duration::from_secs(15);
/// Movements that every round reads again although their sums are remembered: all of them, in most sales.
const MOVEMENTS_READ_AGAIN: i64 = 500_000;
/// A longer ledger is read again when its sums are this old.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(600);
/// Actors asked at the same time.
const ACTORS_ASKED_AT_ONCE: usize = 16;

/// Audits the open sales; cheap to clone.
#[derive(Clone)]
pub struct SaleAuditor {
    database: Database,
    needs: AuditNeeds,
    pub(super) every: Duration,
    stops_on_breach: bool,
    grace: Duration,
}

/// What a round leaves for the next one; losing it costs time only.
#[derive(Default)]
pub(super) struct AuditorState {
    connection: Option<Connection>,
    /// When the audit could first read the database: work left from before may still be reconciled by orders.
    began: Option<Timestamp>,
    ledgers: HashMap<Sku, RememberedLedger>,
    /// Breaches of the last round that count if the next round finds them again.
    suspected: HashSet<Breach>,
    /// Breaches that were logged and acted upon.
    announced: HashSet<Breach>,
    /// SKUs that sales could not be asked to stop yet, with the reason.
    to_stop: HashMap<(SaleId, Sku), String>,
    is_failing: bool,
}

type Breach = (SaleId, Sku, Claim);

struct RememberedLedger {
    sums: LedgerSums,
    begun_at: Instant,
}

impl AuditorState {
    /// Forgets the ledgers that the next round reads from their first movement, the oldest first, as many as fit into
    /// `MOVEMENTS_READ_AGAIN`; one that is longer than that is forgotten when it is the oldest and stale.
    fn forget_oldest_ledgers(&mut self) {
        let mut oldest: Vec<(Instant, i64, Sku)> = self
            .ledgers
            .iter()
            .map(|(sku, known)| (known.begun_at, known.sums.movements, sku.clone()))
            .collect();
        oldest.sort_unstable();
        let mut left = MOVEMENTS_READ_AGAIN;
        for (position, (begun_at, movements, sku)) in oldest.into_iter().enumerate() {
            let is_stale = position == 0 && begun_at.elapsed() > READ_AGAIN_AFTER;
            if movements <= left || is_stale {
                left -= movements;
                self.ledgers.remove(&sku);
            }
        }
    }

    /// Whether there is a new breach that counts if the next round finds it again.
    pub(super) fn is_suspicious(&self) -> bool {
        self.suspected.iter().any(|breach| !self.announced.contains(breach))
    }
}

impl SaleAuditor {
    pub fn new(database: Database, needs: AuditNeeds, config: &Config) -> Self {
        Self {
            database,
            needs,
            every: Duration::from_millis(config.sales.audit_every_ms),
            stops_on_breach: config.sales.stop_on_breach,
            grace: super::grace(&config.orders),
        }
    }

    /// Carries out one round. Answers with no statuses when the database could not be read: then the last ones stand.
    pub(super) async fn audit(
        &self,
        mut state: AuditorState,
    ) -> (AuditorState, Option<HashMap<SaleId, AuditStatus>>) {
        let began = Instant::now();
        let audited = match tokio::time::timeout(ROUND_WITHIN, self.audit_sales(&mut state)).await {
            Ok(audited) => audited,
            Err(_) => Err(StorageError::Unreachable("a round took too long".to_owned()).into()),
        };
        let statuses = match audited {
            Ok(statuses) => {
                state.is_failing = false;
                statuses
            }
            Err(error) => {
                // A transaction that was left open ends with its connection.
                state.connection = None;
                // Work that was left meanwhile gets the same time to be reconciled as after a start.
                state.began = None;
                state.suspected.clear();
                metrics::counter!("shobai_sale_audit_failures_total").increment(1);
                if !std::mem::replace(&mut state.is_failing, true) {
                    tracing::warn!(%error, "the open sales cannot be audited; the audit tries again every round");
                }
                return (state, None);
            }
        };
        if !statuses.is_empty() {
            metrics::histogram!("shobai_sale_audit_seconds").record(began.elapsed().as_secs_f64());
        }
        (state, Some(statuses))
    }

    async fn audit_sales(
        &self,
        state: &mut AuditorState,
    ) -> Result<HashMap<SaleId, AuditStatus>, AuditError> {
        let now = Timestamp::now();
        let connection = match state.connection.take() {
            Some(connection) if !connection.is_closed() => connection,
            _ => self.database.connect_unhurried().await?,
        };
        let snapshots = self.read_snapshots(&connection, state, now).await?;
        let mut found: HashMap<SaleId, Vec<Finding>> = HashMap::new();
        let mut suspected = HashSet::new();
        let actors = self.ask_actors(&connection, &snapshots).await?;
        for (snapshot, actor) in snapshots.iter().zip(actors) {
            let mut breaches = snapshot.breaches();
            if !breaches.is_empty() {
                state.ledgers.remove(&snapshot.sku);
            }
            let in_actor = actor.and_then(|(figures, then)| snapshot.breach_in_actor(&figures, &then));
            for finding in snapshot.breach_in_orders().into_iter().chain(in_actor) {
                let breach = (snapshot.sale, snapshot.sku.clone(), finding.claim);
                if state.suspected.contains(&breach) {
                    breaches.push(finding);
                }
                suspected.insert(breach);
            }
            found.entry(snapshot.sale).or_default().extend(breaches);
        }
        state.suspected = suspected;
        state.connection = Some(connection);
        Ok(found
            .into_iter()
            .map(|(sale, breaches)| {
                let of_sale: Vec<&SkuSnapshot> =
                    snapshots.iter().filter(|snapshot| snapshot.sale == sale).collect();
                (sale, AuditStatus::of(&of_sale, breaches, now))
            })
            .collect())
    }

    /// Reads everything that the database knows of the open sales, in one snapshot.
    async fn read_snapshots(
        &self,
        connection: &Connection,
        state: &mut AuditorState,
        now: Timestamp,
    ) -> Result<Vec<SkuSnapshot>, AuditError> {
        let began = *state.began.get_or_insert(now);
        // The plans are made for each round's parameters: the number of a sale's rows changes within seconds.
        connection
            .batch_execute(
                "begin isolation level repeatable read read only; set local plan_cache_mode = force_custom_plan; \
                 set local jit = off; set local max_parallel_workers_per_gather = 0; set local statement_timeout = '10s'",
            )
            .await?;
        let mut snapshots = read_skus(connection).await?;
        if !snapshots.is_empty() {
            self.read_ledgers(connection, state, &mut snapshots).await?;
            // Orders in progress from before this state began may have had no engine to reconcile them, and get as much
            // time.
            let since = now.checked_sub(self.grace).unwrap_or(Timestamp::MIN);
            let since = if since < began { Timestamp::UNIX_EPOCH } else { since };
            self.read_orders(connection, since, &mut snapshots).await?;
        }
        state.ledgers.retain(|sku, _| snapshots.iter().any(|snapshot| snapshot.sku == *sku));
        connection.batch_execute("commit").await?;
        Ok(snapshots)
    }

    /// Reads the sums of every SKU's movements: the remembered ones, and the movements since.
    async fn read_ledgers(
        &self,
        connection: &Connection,
        state: &mut AuditorState,
        snapshots: &mut [SkuSnapshot],
    ) -> Result<(), AuditError> {
        state.forget_oldest_ledgers();
        let skus: HashSet<Sku> = snapshots.iter().map(|snapshot| snapshot.sku.clone()).collect();
        let ranges: Vec<MovementRange> = skus
            .into_iter()
            .map(|sku| {
                let after = state.ledgers.get(&sku).map_or(0, |known| known.sums.stock.version);
                MovementRange { sku, after, up_to: i64::MAX }
            })
            .collect();
        let newer = sum_movements(connection, &ranges).await?;
        for snapshot in snapshots {
            let known = state.ledgers.entry(snapshot.sku.clone()).or_insert_with(|| RememberedLedger {
                sums: LedgerSums::default(),
                begun_at: Instant::now(),
            });
            // A SKU that two sales have (one of them by a defect) is added once.
            if let Some(newer) = newer.get(&snapshot.sku)
                && newer.stock.version > known.sums.stock.version
            {
                known.sums = known.sums.plus(newer);
            }
            snapshot.ledger = known.sums;
        }
        Ok(())
    }

    async fn read_orders(
        &self,
        connection: &Connection,
        since: Timestamp,
        snapshots: &mut [SkuSnapshot],
    ) -> Result<(), AuditError> {
        let sales: HashSet<Uuid> = snapshots.iter().map(|snapshot| snapshot.sale.uuid()).collect();
        let sales: Vec<Uuid> = sales.into_iter().collect();
        let ordered = read_ordered(connection, &sales, since).await?;
        for snapshot in snapshots {
            let known = ordered.get(&(snapshot.sale.uuid(), snapshot.sku.to_string()));
            snapshot.ordered = known.copied().unwrap_or_default();
        }
        Ok(())
    }

    /// The figures of every SKU's actor, with the ledger's sums at the actor's version; `None` for an actor that does
    /// not answer at the moment, which contradicts no claim.
    async fn ask_actors(
        &self,
        connection: &Connection,
        snapshots: &[SkuSnapshot],
    ) -> Result<Vec<Option<(Figures, LedgerSums)>>, AuditError> {
        let asked = stream::iter(snapshots).map(|snapshot| {
            let asked = self.needs.get_figures.ask(GetFigures { sku: snapshot.sku.clone() });
            async move { asked.await.ok() }
        });
        let figures: Vec<Option<Figures>> = asked.buffered(ACTORS_ASKED_AT_ONCE).collect().await;
        // The snapshot is some moments old by now, so the movements in between are read as well.
        let between: Vec<MovementRange> = snapshots
            .iter()
            .zip(&figures)
            .filter_map(|(snapshot, figures)| {
                let (ledgers, actors) = (snapshot.ledger.stock.version, figures.as_ref()?.stock.version);
                (ledgers != actors).then(|| MovementRange {
                    sku: snapshot.sku.clone(),
                    after: ledgers.min(actors),
                    up_to: ledgers.max(actors),
                })
            })
            .collect();
        let between = match between.is_empty() {
            true => HashMap::new(),
            false => sum_movements(connection, &between).await?,
        };
        let at_version = |snapshot: &SkuSnapshot, version: i64| {
            let between = between.get(&snapshot.sku).copied().unwrap_or_default();
            match version < snapshot.ledger.stock.version {
                true => snapshot.ledger.minus(&between, version),
                false => snapshot.ledger.plus(&between),
            }
        };
        let pairs = snapshots.iter().zip(figures);
        Ok(pairs
            .map(|(snapshot, figures)| {
                figures.map(|figures| (figures, at_version(snapshot, figures.stock.version)))
            })
            .collect())
    }

    /// Logs every new breach once, and asks sales to stop its SKU.
    pub(super) async fn act_on(
        &self,
        mut state: AuditorState,
        statuses: &HashMap<SaleId, Arc<AuditStatus>>,
    ) -> AuditorState {
        let mut standing = HashSet::new();
        for (sale, status) in statuses {
            for Finding { claim, subject, finding } in &status.breaches {
                let Ok(sku) = subject.parse::<Sku>() else { continue };
                let breach = (*sale, sku.clone(), *claim);
                standing.insert(breach.clone());
                if state.announced.contains(&breach) {
                    continue;
                }
                tracing::error!(%sale, %sku, %claim, finding, "an open sale does not add up");
                metrics::counter!("shobai_sale_breaches_total", "sale" => sale.to_string()).increment(1);
                if self.stops_on_breach {
                    let reason = format!("the audit found that this does not hold: {claim} ({finding})");
                    state.to_stop.entry((*sale, sku)).or_insert(reason);
                }
            }
        }
        for (sale, sku, claim) in state.announced.difference(&standing) {
            tracing::warn!(%sale, %sku, %claim, "this claim holds again, or the sale is over");
        }
        state.announced = standing;
        // An operator who resumes the SKU while the breach stands knows of it: the SKU is stopped once for each breach.
        let mut left = HashMap::new();
        for ((sale, sku), reason) in state.to_stop.drain() {
            let stop = SwitchItem {
                sale,
                sku: sku.clone(),
                stopped: true,
                by: Initiator::Engine,
                reason: reason.clone(),
            };
            match self.needs.switch_item.ask(stop).await {
                Ok(_) => {
                    tracing::error!(%sale, %sku, "a SKU of a sale was stopped, because it does not add up")
                }
                Err(SalesError::UnknownItem(_) | SalesError::UnknownSale(_)) => {}
                Err(error) => {
                    tracing::error!(
                        %sale, %sku, %error,
                        "a SKU that does not add up could not be stopped; the next round tries again"
                    );
                    left.insert((sale, sku), reason);
                }
            }
        }
        state.to_stop = left;
        state
    }
}
