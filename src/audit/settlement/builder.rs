//! Builds a settlement from one snapshot of the database, order by order.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{TryStreamExt as _, pin_mut};
use jiff::Timestamp;
use tokio_postgres::Row as Record;
use uuid::Uuid;

use super::explain::{LineFacts, OrderFacts, explain};
use super::queue::AdmissionRecord;
use super::sign::{ChainHash, ReportKey, signed_text};
use super::{
    ChainedRow, FORMAT, HistoryLine, LimitBreach, Line, Orphan, Queue, QueueState, Row, RowTotals, SalePlan,
    Settlement, SkuFigures, Summary, amount_of, pseudonym,
};
use crate::actors::orders::OrderNumber;
use crate::actors::sales::Terms;
use crate::actors::waiting_room::{EntriesDigest, PublishedDraw, TicketNumber};
use crate::audit::AuditError;
use crate::audit::balance::OrderedPieces;
use crate::audit::snapshots::{first_id_at, read_ordered};
use crate::config::Config;
use crate::storage::{Connection, Database};
use crate::types::{CustomerId, OrderId, SaleId};

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../../sql/audit/", $name, ".sql"))
    };
}

/// Builds settlements; cheap to clone.
#[derive(Clone)]
pub struct SettlementBuilder {
    database: Database,
    key: ReportKey,
    /// How long an order's stock may take to follow the order.
    grace: Duration,
}

impl SettlementBuilder {
    pub fn new(database: Database, key: ReportKey, config: &Config) -> Self {
        Self { database, key, grace: crate::audit::grace(&config.orders) }
    }

    /// Builds the settlement of a sale as it is at this moment. Refuses with `UnknownSale`.
    pub async fn settle(&self, sale: SaleId) -> Result<Settlement, AuditError> {
        // A report of many orders keeps its connection busy for long, so it does not take one from the pool.
        let connection = self.database.connect_unhurried().await?;
        connection.batch_execute("begin isolation level repeatable read read only").await?;
        let settled = self.build(&connection, sale).await?;
        connection.batch_execute("commit").await?;
        Ok(settled)
    }

    async fn build(&self, connection: &Connection, sale: SaleId) -> Result<Settlement, AuditError> {
        let made_at = Timestamp::now();
        let plan = read_plan(connection, sale).await?.ok_or(AuditError::UnknownSale(sale))?;
        let since = made_at.checked_sub(self.grace).unwrap_or(Timestamp::MIN);
        let ordered = read_ordered(connection, &[sale.uuid()], since).await?;
        let on_the_way =
            |sku: &str| ordered.get(&(sale.uuid(), sku.to_owned())).map_or(0, OrderedPieces::on_the_way);
        let mut skus: Vec<SkuFigures> = connection
            .query(sql!("settle_parts"), &[&sale.uuid()])
            .await?
            .iter()
            .map(|part| SkuFigures {
                sku: part.get("sku"),
                price: part.get("price"),
                planned: part.get("planned"),
                allotment: part.get("allotment"),
                sold: part.get("sold"),
                held: part.get("held"),
                returned: part.get("returned"),
                remaining: part.get("remaining"),
                on_the_way: on_the_way(part.get("sku")),
                accepted: 0,
                paid: 0,
                open: 0,
                cancelled: 0,
                expired: 0,
                refunded: 0,
            })
            .collect();
        let mut totals = RowTotals::default();
        let (rows, head) = self.read_rows(connection, sale, made_at, &mut totals, &mut skus).await?;
        let mut summary = Summary {
            format: FORMAT.to_owned(),
            made_at,
            history: read_history(connection, sale).await?,
            reservations_without_order: read_orphans(connection, sale, since).await?,
            lines_without_reservation: totals.lines_without_reservation,
            limit_breaches: read_limit_breaches(connection, sale, plan.limit_per_customer).await?,
            queue: read_queue(connection, sale).await?,
            sale: plan,
            totals: totals.totals,
            unexplained: totals.unexplained,
            findings: Vec::new(),
            skus,
            is_clean: false,
            rows: rows.len() as u64,
            head_hash: head.text(),
        };
        let key = self.key.clone();
        // Repeating a draw of a million tickets takes a second, which would block this thread.
        let signed = tokio::task::spawn_blocking(move || {
            summary.findings = summary.found();
            summary.is_clean = summary.adds_up();
            let text = signed_text(&summary).map_err(broken)?;
            Ok(Settlement { signature: key.sign(&text), summary, rows })
        });
        signed.await.map_err(|error| AuditError::Broken(error.to_string()))?
    }

    /// Reads the orders record by record, so that memory holds the report only.
    async fn read_rows(
        &self,
        connection: &Connection,
        sale: SaleId,
        now: Timestamp,
        totals: &mut RowTotals,
        skus: &mut [SkuFigures],
    ) -> Result<(Vec<ChainedRow>, ChainHash), AuditError> {
        let mut hash = ChainHash::first(sale);
        let mut rows: Vec<ChainedRow> = Vec::new();
        let mut append = |records: &[Record]| -> Result<(), AuditError> {
            let row = row_from(sale, rows.len() as u64 + 1, records, |changed_at| {
                Duration::try_from(now.duration_since(changed_at)).unwrap_or_default() < self.grace
            });
            let Some(row) = row? else { return Ok(()) };
            totals.add(&row, skus).ok_or_else(|| overflow(row.order))?;
            hash = hash.next(&row).map_err(broken)?;
            rows.push(ChainedRow { row, hash: hash.text() });
            Ok(())
        };
        let records = connection.query_raw(sql!("settle_rows"), [sale.uuid()]).await?;
        pin_mut!(records);
        let mut of_order: Vec<Record> = Vec::new();
        while let Some(record) = records.try_next().await? {
            let id = |record: &Record| record.get::<_, Uuid>("id");
            if of_order.first().is_some_and(|first| id(first) != id(&record)) {
                append(&of_order)?;
                of_order.clear();
            }
            of_order.push(record);
        }
        append(&of_order)?;
        Ok((rows, hash))
    }
}

/// Makes a row from the records of one order, one for each line; `None` without records.
fn row_from(
    sale: SaleId,
    position: u64,
    records: &[Record],
    is_recent: impl Fn(Timestamp) -> bool,
) -> Result<Option<Row>, AuditError> {
    let Some(first) = records.first() else { return Ok(None) };
    let order = OrderId::from_uuid(first.get("id"));
    let facts = OrderFacts {
        status: first.get("status"),
        payment: first.get("payment_status"),
        is_settled: first.get("stock_settled"),
        is_recent: is_recent(first.get("changed_at")),
    };
    // An order without a line of the sale has one record, without a SKU.
    let lines = records.iter().filter(|record| record.get::<_, Option<&str>>("sku").is_some());
    let line_facts: Vec<LineFacts<'_>> = lines
        .map(|record| LineFacts {
            sku: record.get("sku"),
            quantity: record.get("quantity"),
            unit_price: record.get("unit_price"),
            sale_price: record.get("sale_price"),
            reservation: record.get::<_, Option<&str>>("reservation_state").map(|state| {
                let is_of_sale = record.get::<_, Option<Uuid>>("reserved_in") == Some(sale.uuid());
                (record.get("reserved"), state, is_of_sale)
            }),
        })
        .collect();
    let (explained, reason) = explain(facts, &line_facts);
    let lines: Vec<Line> = line_facts
        .iter()
        .map(|line| Line {
            sku: line.sku.to_owned(),
            quantity: line.quantity,
            unit_price: line.unit_price,
            reservation: line.reservation.map(|(_, state, _)| state.to_owned()),
        })
        .collect();
    Ok(Some(Row {
        position,
        order,
        number: OrderNumber::from(order).to_string(),
        customer: pseudonym(sale, &CustomerId::from_uuid(first.get("customer_id")).to_string()),
        placed_at: first.get("created_at"),
        amount: amount_of(&lines).ok_or_else(|| overflow(order))?,
        lines,
        status: facts.status.to_owned(),
        payment_method: first.get::<_, Option<String>>("method").unwrap_or_default(),
        payment_status: facts.payment.to_owned(),
        explained,
        reason,
    }))
}

async fn read_plan(connection: &Connection, sale: SaleId) -> Result<Option<SalePlan>, AuditError> {
    let Some(row) = connection.query_opt(sql!("settle_sale"), &[&sale.uuid()]).await? else {
        return Ok(None);
    };
    let terms: Terms = serde_json::from_str(row.get("terms")).map_err(broken)?;
    Ok(Some(SalePlan {
        id: sale,
        name: row.get("name"),
        status: row.get("status"),
        opens_at: row.get("opens_at"),
        closes_at: row.get("closes_at"),
        created_at: row.get("created_at"),
        limit_per_customer: terms.limit_per_customer,
        hold_seconds_card: terms.hold_seconds.card,
        hold_seconds_konbini: terms.hold_seconds.konbini,
        konbini_allowed: terms.konbini.allowed,
        konbini_share_max: terms.konbini.share_max.to_string(),
        admission: terms.admission.mode.as_str().to_owned(),
        admitted_per_second: terms.admission.per_second,
        commitment: row.get("commitment"),
    }))
}

async fn read_history(connection: &Connection, sale: SaleId) -> Result<Vec<HistoryLine>, AuditError> {
    let rows = connection.query(sql!("settle_history"), &[&sale.uuid()]).await?;
    let line = |row: &Record| HistoryLine {
        at: row.get("at"),
        action: row.get("action"),
        sku: row.get("sku"),
        actor: row.get::<_, Option<Uuid>>("actor").map(|actor| actor.to_string()),
        proposed_by: row.get::<_, Option<Uuid>>("proposed_by").map(|proposer| proposer.to_string()),
        reason: row.get("reason"),
        before: row.get("before"),
        after: row.get("after"),
    };
    Ok(rows.iter().map(line).collect())
}

async fn read_orphans(
    connection: &Connection,
    sale: SaleId,
    since: Timestamp,
) -> Result<Vec<Orphan>, AuditError> {
    let rows = connection.query(sql!("settle_orphans"), &[&sale.uuid(), &first_id_at(since)]).await?;
    let orphan = |row: &Record| Orphan {
        order: OrderId::from_uuid(row.get("id")),
        sku: row.get("sku"),
        pieces: row.get("quantity"),
        state: row.get("state"),
    };
    Ok(rows.iter().map(orphan).collect())
}

async fn read_limit_breaches(
    connection: &Connection,
    sale: SaleId,
    limit: Option<i64>,
) -> Result<Vec<LimitBreach>, AuditError> {
    let Some(limit) = limit else { return Ok(Vec::new()) };
    let rows = connection.query(sql!("settle_claimants"), &[&sale.uuid(), &limit]).await?;
    let breach = |row: &Record| {
        let (kind, name) = row.get::<_, &str>("name").split_once(':').unwrap_or_default();
        LimitBreach {
            claimant: pseudonym(sale, name),
            kind: kind.to_owned(),
            pieces: row.get("pieces"),
            limit,
        }
    };
    Ok(rows.iter().map(breach).collect())
}

/// Reads the entries one by one: a million of them take some 30 MB, and their draw 8 MB more.
async fn read_queue(connection: &Connection, sale: SaleId) -> Result<Queue, AuditError> {
    let draw = connection.query_opt(sql!("settle_draw"), &[&sale.uuid()]).await?;
    let draw: Option<PublishedDraw> =
        draw.map(|row| serde_json::from_str(row.get("record")).map_err(broken)).transpose()?;
    let mut drawn = draw.as_ref().map(|draw| draw.order.clone()).unwrap_or_default();
    drawn.sort_unstable();
    let mut states: BTreeMap<String, i64> = BTreeMap::new();
    let mut digest = EntriesDigest::START;
    let mut entries = Vec::new();
    let records = connection.query_raw(sql!("settle_entries"), [sale.uuid()]).await?;
    pin_mut!(records);
    while let Some(record) = records.try_next().await? {
        let number: i64 = record.get("number");
        let number = u32::try_from(number).ok().and_then(TicketNumber::new);
        let number = number.ok_or_else(|| AuditError::Broken("a ticket has no number".to_owned()))?;
        *states.entry(record.get("state")).or_default() += 1;
        if drawn.binary_search(&number).is_ok() {
            digest = digest.with(number, CustomerId::from_uuid(record.get("customer_id")));
        }
        let admission = match record.get::<_, Option<Timestamp>>("admitted_at") {
            Some(at) => AdmissionRecord::At(at),
            None if record.get("had_admission") => AdmissionRecord::NotRecorded,
            None => AdmissionRecord::Never,
        };
        entries.push((number, admission));
    }
    let states = states.into_iter().map(|(state, entries)| QueueState { state, entries }).collect();
    let entries_fit = draw.as_ref().is_none_or(|draw| draw.entries_digest == digest);
    Ok(Queue::new(states, draw, entries_fit, &entries))
}

fn overflow(order: OrderId) -> AuditError {
    AuditError::Broken(format!("with order {order} its sums are more than can be counted"))
}

fn broken(error: serde_json::Error) -> AuditError {
    AuditError::Broken(error.to_string())
}
