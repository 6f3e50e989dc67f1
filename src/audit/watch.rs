//! One look at all open sales: a cut through the database at one moment, then the SKUs' actors, then what is to be done
//! about what does not hold.
//!
//! A sale's SKU may have hundreds of thousands of movements, so the sums of those that were read are remembered, and
//! only newer ones are read. From the first one on are read, in every round, as many as it bears: all of most sales, now and then
//! those of the longest; and after every finding.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::balance::{Cut, Ledger, Light, Ordered, light};
use super::claims::Finding;
use super::domain::AuditNeeds;
use super::error::AuditError;
use crate::actors::inventory::{Allotment, Figures, GetFigures, Stock};
use crate::actors::sales::{SaleStatus, SalesError, SwitchItem};
use crate::config::Config;
use crate::storage::{Connection, Database, StorageError};
use crate::types::{SaleId, Sku};

/// In which a sale has pieces apart.
const WATCHED: [SaleStatus; 4] =
    [SaleStatus::Armed, SaleStatus::Open, SaleStatus::Paused, SaleStatus::Draining];
/// How long a round may take; then its connection is given up.
const ROUND_WITHIN: Duration = Duration::from_secs(15);
/// Movements that every round reads again, though their sums are remembered: all of them, in most sales.
const READ_AGAIN: i64 = 500_000;
/// How old remembered sums of more than that may become.
const FROM_SCRATCH_AFTER: Duration = Duration::from_secs(600);
/// Actors that are asked at the same time.
const AT_ONCE: usize = 16;

/// How it looks; cheap to clone.
#[derive(Clone)]
pub struct Watch {
    database: Database,
    ports: AuditNeeds,
    pub(super) every: Duration,
    stops: bool,
    grace: Duration,
}

/// What one round leaves for the next; it may be forgotten at any time.
#[derive(Default)]
pub(super) struct Memory {
    connection: Option<Connection>,
    /// When this memory began: what went on before it may be mended by others first.
    began: Option<Timestamp>,
    ledgers: HashMap<Sku, Remembered>,
    /// What was found in the last round and counts if it is found again.
    suspected: HashSet<Breach>,
    /// What has been logged and acted upon.
    announced: HashSet<Breach>,
    /// SKUs that sales could not be told to stop yet, and why they are to be stopped.
    to_stop: HashMap<(SaleId, Sku), String>,
    is_failing: bool,
}

impl Memory {
    /// Makes the next round read from their beginning as many ledgers as it bears, those first that were read so the longest
    /// ago; of those that are too long for that, one now and then.
    fn forget_the_oldest(&mut self) {
        let mut oldest: Vec<(Instant, i64, Sku)> = self
            .ledgers
            .iter()
            .map(|(sku, known)| (known.begun_at, known.ledger.movements, sku.clone()))
            .collect();
        oldest.sort_unstable();
        let mut left = READ_AGAIN;
        for (place, (begun_at, movements, sku)) in oldest.into_iter().enumerate() {
            let is_stale = place == 0 && begun_at.elapsed() > FROM_SCRATCH_AFTER;
            if movements <= left || is_stale {
                left -= movements;
                self.ledgers.remove(&sku);
            }
        }
    }

    /// Whether something new was found that counts if the next round finds it again.
    pub(super) fn is_suspicious(&self) -> bool {
        self.suspected.iter().any(|breach| !self.announced.contains(breach))
    }
}

type Breach = (SaleId, Sku, &'static str);

struct Remembered {
    ledger: Ledger,
    begun_at: Instant,
}

impl Watch {
    pub fn new(database: Database, ports: AuditNeeds, config: &Config) -> Self {
        Self {
            database,
            ports,
            every: Duration::from_millis(config.sales.audit_every_ms),
            stops: config.sales.stop_on_breach,
            grace: super::grace(&config.orders),
        }
    }

    /// One round. Nothing when the database could not be read: then everything is as it was seen last.
    pub(super) async fn look(&self, mut memory: Memory) -> (Memory, Option<HashMap<SaleId, Light>>) {
        let began = Instant::now();
        let seen = match tokio::time::timeout(ROUND_WITHIN, self.see(&mut memory)).await {
            Ok(seen) => seen,
            Err(_) => Err(StorageError::Unreachable("a round took too long".to_owned()).into()),
        };
        let seen = match seen {
            Ok(seen) => {
                memory.is_failing = false;
                seen
            }
            Err(error) => {
                // A transaction that was left in the middle ends with its connection.
                memory.connection = None;
                // What was left undone while nobody could look is given its time, as after a start.
                memory.began = None;
                memory.suspected.clear();
                metrics::counter!("shobai_sale_audit_failures_total").increment(1);
                if !std::mem::replace(&mut memory.is_failing, true) {
                    tracing::warn!(%error, "the open sales cannot be audited");
                }
                return (memory, None);
            }
        };
        if !seen.is_empty() {
            metrics::histogram!("shobai_sale_audit_seconds").record(began.elapsed().as_secs_f64());
        }
        (memory, Some(seen))
    }

    async fn see(&self, memory: &mut Memory) -> Result<HashMap<SaleId, Light>, AuditError> {
        let now = Timestamp::now();
        let connection = match memory.connection.take() {
            Some(connection) if !connection.is_closed() => connection,
            _ => self.database.connect_unhurried().await?,
        };
        let cuts = self.cut(&connection, memory, now).await?;
        let mut found: HashMap<SaleId, Vec<Finding>> = HashMap::new();
        let mut suspected = HashSet::new();
        let actors = self.ask_actors(&connection, &cuts).await?;
        for (cut, actor) in cuts.iter().zip(actors) {
            let mut findings = cut.findings();
            if !findings.is_empty() {
                memory.ledgers.remove(&cut.sku);
            }
            let in_actor = actor.and_then(|(figures, then)| cut.findings_in_actor(&figures, &then));
            for finding in cut.findings_in_orders().into_iter().chain(in_actor) {
                let breach = (cut.sale, cut.sku.clone(), finding.claim);
                if memory.suspected.contains(&breach) {
                    findings.push(finding);
                }
                suspected.insert(breach);
            }
            found.entry(cut.sale).or_default().extend(findings);
        }
        memory.suspected = suspected;
        memory.connection = Some(connection);
        Ok(found
            .into_iter()
            .map(|(sale, breaches)| {
                let cuts: Vec<&Cut> = cuts.iter().filter(|cut| cut.sale == sale).collect();
                (sale, light(&cuts, breaches, now))
            })
            .collect())
    }

    /// Everything that the database knows of the open sales at one moment.
    async fn cut(
        &self,
        connection: &Connection,
        memory: &mut Memory,
        now: Timestamp,
    ) -> Result<Vec<Cut>, AuditError> {
        let began = *memory.began.get_or_insert(now);
        // Made for the figures of this round: how many rows a sale has changes within seconds.
        connection
            .batch_execute(
                "begin isolation level repeatable read read only; set local plan_cache_mode = force_custom_plan; \
                 set local jit = off; set local max_parallel_workers_per_gather = 0; set local statement_timeout = '10s'",
            )
            .await?;
        let statement = connection.prepare_cached(include_str!("../../sql/audit/watch_parts.sql")).await?;
        let statuses = WATCHED.map(SaleStatus::as_str);
        let rows = connection.query(&statement, &[&&statuses[..]]).await?;
        let mut cuts = rows.iter().map(cut_from).collect::<Result<Vec<_>, _>>()?;
        if !cuts.is_empty() {
            self.read_ledgers(connection, memory, &mut cuts).await?;
            // What was under way before this memory began had nobody to look after it, maybe, and is given as much time.
            let since = now.checked_sub(self.grace).unwrap_or(Timestamp::MIN);
            let since = if since < began { Timestamp::UNIX_EPOCH } else { since };
            self.read_orders(connection, since, &mut cuts).await?;
        }
        memory.ledgers.retain(|sku, _| cuts.iter().any(|cut| cut.sku == *sku));
        connection.batch_execute("commit").await?;
        Ok(cuts)
    }

    /// The sums of every SKU's movements: those that are remembered, and what is newer.
    async fn read_ledgers(
        &self,
        connection: &Connection,
        memory: &mut Memory,
        cuts: &mut [Cut],
    ) -> Result<(), AuditError> {
        memory.forget_the_oldest();
        let skus: HashSet<Sku> = cuts.iter().map(|cut| cut.sku.clone()).collect();
        let wanted: Vec<(Sku, i64, i64)> = skus
            .into_iter()
            .map(|sku| {
                let after = memory.ledgers.get(&sku).map_or(0, |known| known.ledger.stock.version);
                (sku, after, i64::MAX)
            })
            .collect();
        let newer = sum_movements(connection, &wanted).await?;
        for cut in cuts {
            let known = memory
                .ledgers
                .entry(cut.sku.clone())
                .or_insert_with(|| Remembered { ledger: Ledger::default(), begun_at: Instant::now() });
            // A SKU that two sales know (one of them by a mistake) is added once.
            if let Some(newer) = newer.get(&cut.sku)
                && newer.stock.version > known.ledger.stock.version
            {
                known.ledger = known.ledger.plus(newer);
            }
            cut.ledger = known.ledger;
        }
        Ok(())
    }

    async fn read_orders(
        &self,
        connection: &Connection,
        since: Timestamp,
        cuts: &mut [Cut],
    ) -> Result<(), AuditError> {
        let sales: HashSet<Uuid> = cuts.iter().map(|cut| cut.sale.uuid()).collect();
        let sales: Vec<Uuid> = sales.into_iter().collect();
        let ordered = read_ordered(connection, &sales, since).await?;
        for cut in cuts {
            let known = ordered.get(&(cut.sale.uuid(), cut.sku.to_string()));
            cut.ordered = known.copied().unwrap_or_default();
        }
        Ok(())
    }

    /// What every SKU's actor has, with the ledger's sums at the version that it has it at; nothing of an actor that does
    /// not answer at the moment, which is no contradiction.
    async fn ask_actors(
        &self,
        connection: &Connection,
        cuts: &[Cut],
    ) -> Result<Vec<Option<(Figures, Ledger)>>, AuditError> {
        let asked = stream::iter(cuts).map(|cut| {
            let asked = self.ports.get_figures.ask(GetFigures { sku: cut.sku.clone() });
            async move { asked.await.ok() }
        });
        let figures: Vec<Option<Figures>> = asked.buffered(AT_ONCE).collect().await;
        // The cut is some moments old by now: the movements in between are looked up.
        let between: Vec<(Sku, i64, i64)> = cuts
            .iter()
            .zip(&figures)
            .filter_map(|(cut, figures)| {
                let (now, actors) = (cut.ledger.stock.version, figures.as_ref()?.stock.version);
                (now != actors).then(|| (cut.sku.clone(), now.min(actors), now.max(actors)))
            })
            .collect();
        let between = match between.is_empty() {
            true => HashMap::new(),
            false => sum_movements(connection, &between).await?,
        };
        let then = |cut: &Cut, version: i64| {
            let between = between.get(&cut.sku).copied().unwrap_or_default();
            match version < cut.ledger.stock.version {
                true => cut.ledger.minus(&between, version),
                false => cut.ledger.plus(&between),
            }
        };
        let pairs = cuts.iter().zip(figures);
        Ok(pairs
            .map(|(cut, figures)| figures.map(|figures| (figures, then(cut, figures.stock.version))))
            .collect())
    }

    /// Says once what does not hold, and has the SKU stopped.
    pub(super) async fn act_on(&self, mut memory: Memory, seen: &HashMap<SaleId, Arc<Light>>) -> Memory {
        let mut standing = HashSet::new();
        for (sale, light) in seen {
            for Finding { claim, subject, finding } in &light.breaches {
                let Ok(sku) = subject.parse::<Sku>() else { continue };
                let breach = (*sale, sku.clone(), *claim);
                standing.insert(breach.clone());
                if memory.announced.contains(&breach) {
                    continue;
                }
                tracing::error!(%sale, %sku, claim, finding, "an open sale does not add up");
                metrics::counter!("shobai_sale_breaches_total", "sale" => sale.to_string()).increment(1);
                if self.stops {
                    let reason = format!("the audit found that this does not hold: {claim} ({finding})");
                    memory.to_stop.entry((*sale, sku)).or_insert(reason);
                }
            }
        }
        for (sale, sku, claim) in memory.announced.difference(&standing) {
            tracing::warn!(%sale, %sku, claim, "this holds again, or the sale is over");
        }
        memory.announced = standing;
        // Whoever let it in again while the breach stands knows of it, and is left alone.
        let mut left = HashMap::new();
        for ((sale, sku), reason) in memory.to_stop.drain() {
            let stop = SwitchItem { sale, sku: sku.clone(), stopped: true, by: None, reason: reason.clone() };
            match self.ports.switch_item.ask(stop).await {
                Ok(_) => {
                    tracing::error!(%sale, %sku, "a SKU of a sale was stopped, because it does not add up")
                }
                Err(SalesError::UnknownItem(_) | SalesError::UnknownSale(_)) => {}
                Err(error) => {
                    tracing::error!(%sale, %sku, %error, "a SKU that does not add up could not be stopped");
                    left.insert((sale, sku), reason);
                }
            }
        }
        memory.to_stop = left;
        memory
    }
}

/// Pieces of each sale and SKU as orders know them; what came to be or changed since then may be on its way.
pub(super) async fn read_ordered(
    connection: &Connection,
    sales: &[Uuid],
    since: Timestamp,
) -> Result<HashMap<(Uuid, String), Ordered>, AuditError> {
    let statement = connection.prepare_cached(include_str!("../../sql/audit/watch_orders.sql")).await?;
    let rows = connection.query(&statement, &[&sales, &first_id_at(since), &since]).await?;
    let ordered = rows.iter().map(|row| {
        let ordered = Ordered {
            live: row.get("live"),
            coming: row.get("coming"),
            leaving: row.get("leaving"),
            behind: row.get("behind"),
        };
        ((row.get("sale_id"), row.get("sku")), ordered)
    });
    Ok(ordered.collect())
}

async fn sum_movements(
    connection: &Connection,
    wanted: &[(Sku, i64, i64)],
) -> Result<HashMap<Sku, Ledger>, AuditError> {
    let skus: Vec<&str> = wanted.iter().map(|(sku, ..)| sku.as_str()).collect();
    let after: Vec<i64> = wanted.iter().map(|(_, after, _)| *after).collect();
    let up_to: Vec<i64> = wanted.iter().map(|(.., up_to)| *up_to).collect();
    let statement = connection.prepare_cached(include_str!("../../sql/audit/sum_movements.sql")).await?;
    let rows = connection.query(&statement, &[&skus, &after, &up_to]).await?;
    rows.iter()
        .map(|row| {
            let stock = Stock {
                on_hand: row.get("on_hand"),
                reserved: row.get("reserved"),
                allotted: row.get("allotted"),
                version: row.get("version"),
            };
            Ok((sku_from(row)?, Ledger { stock, movements: row.get("movements") }))
        })
        .collect()
}

fn cut_from(row: &Row) -> Result<Cut, AuditError> {
    let sale = SaleId::from_uuid(row.get("sale_id"));
    let part = row.get::<_, Option<i64>>("allotment").map(|allotment| Allotment {
        sale,
        allotment,
        held: row.get("held"),
        sold: row.get("sold"),
        returned: row.get("returned"),
        lapsed: row.get("lapsed"),
        expired: row.get("expired"),
        is_closed: row.get::<_, Option<Timestamp>>("closed_at").is_some(),
    });
    let stock = row.get::<_, Option<i64>>("version").map(|version| Stock {
        on_hand: row.get("on_hand"),
        reserved: row.get("reserved"),
        allotted: row.get("allotted"),
        version,
    });
    Ok(Cut {
        sale,
        sku: sku_from(row)?,
        part,
        held: row.get("held_by_reservations"),
        sold: row.get("sold_by_reservations"),
        stock,
        ledger: Ledger::default(),
        ordered: Ordered::default(),
    })
}

fn sku_from(row: &Row) -> Result<Sku, AuditError> {
    let name: &str = row.get("sku");
    name.parse().map_err(|error| AuditError::Broken(format!("a row is defective: {error}")))
}

/// The least UUIDv7 of a moment (RFC 9562): an order's id tells when it was begun.
pub(super) fn first_id_at(time: Timestamp) -> Uuid {
    let milliseconds = u64::try_from(time.as_millisecond()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(milliseconds, &[0; 10]).into_uuid()
}
