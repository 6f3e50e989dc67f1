//! The audit of a run: compares the answers that customers got with the state of the shop, through its REST contract
//! only.
//!
//! First it resolves unclear requests by their idempotency keys. Then it reads every order of every customer and counts
//! the pieces of every SKU, repeatedly until they balance or the time is over.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use uuid::Uuid;

use super::attempts::{Attempt, Cancelled, Reply, Violations, key};
use super::client::{Body, Client};
use super::customers::{Session, SignIn};
use super::result::{AuditResult, Checked, FindingKind, Findings, SkuBalance};
use super::sale_audit::SaleEnded;
use super::shop::{self, Bearer, OrderAnswer, PageAnswer, Payment, StockAnswer};
use super::visit::OrderedSku;

/// Customers whose orders are read, and keys that are resolved, at the same time.
pub(super) const AT_ONCE: usize = 16;
/// The pause before a failed request is repeated.
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// The pause before figures that do not balance are read again.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// The most pages of one customer's orders, in case that a shop's pages never end.
const PAGES_MAX: usize = 1_000_000;

/// The signed-in auditor of a run.
pub(super) struct Auditor<'a> {
    pub client: &'a Client,
    pub admin: SignIn,
    pub staff: RefCell<Bearer>,
    pub goods: &'a [OrderedSku],
    pub quantity: i64,
    pub run: &'a str,
    pub settle_within: Duration,
}

/// The attempts of one thread, with its customers in the same order.
pub(super) struct ThreadRecord {
    pub thread: usize,
    pub attempts: Vec<(usize, Attempt)>,
    pub sessions: Vec<Session>,
    /// Each customer's newest order before the run, if any: later ones belong to the run.
    pub newest: Vec<Option<Uuid>>,
}

/// The state of the shop before the first request.
pub(super) struct InitialState {
    /// Pieces available of each SKU.
    pub available: Vec<i64>,
    /// Each customer's newest order, by thread.
    pub newest: Vec<Vec<Option<Uuid>>>,
}

/// Findings by kind, each with a count and some examples.
#[derive(Debug, Default)]
pub(super) struct FindingLog(BTreeMap<FindingKind, Violations>);

impl FindingLog {
    pub(super) fn see(&mut self, kind: FindingKind, what: impl FnOnce() -> String) {
        self.see_many(kind, 1, what);
    }

    pub(super) fn see_many(&mut self, kind: FindingKind, count: i64, what: impl FnOnce() -> String) {
        self.0.entry(kind).or_default().see_many(count.unsigned_abs(), what);
    }

    pub(super) fn join(&mut self, kind: FindingKind, other: Violations) {
        if other.count > 0 {
            self.0.entry(kind).or_default().join(other);
        }
    }

    pub(super) fn into_findings(self) -> Vec<Findings> {
        let findings = self.0.into_iter();
        findings.map(|(kind, Violations { count, examples })| Findings { kind, count, examples }).collect()
    }
}

impl AuditResult {
    /// The result of an audit that could not be finished: never clean.
    pub(super) fn unfinished(error: &anyhow::Error) -> Self {
        let examples = vec![format!("the audit could not be finished: {error:#}")];
        Self {
            at: jiff::Timestamp::now(),
            clean: false,
            skus: Vec::new(),
            checked: Checked::default(),
            findings: vec![Findings { kind: FindingKind::Stuck, count: 1, examples }],
            sale: None,
            engine_audit: None,
        }
    }
}

impl<'a> Auditor<'a> {
    /// Signs the admin in.
    pub(super) async fn new(
        client: &'a Client,
        admin: SignIn,
        goods: &'a [OrderedSku],
        run: &'a str,
        settle_within: Duration,
    ) -> anyhow::Result<Self> {
        let staff = RefCell::new(admin.session(client).await?.bearer);
        let quantity = goods.first().map_or(1, |good| good.quantity);
        Ok(Self { client, admin, staff, goods, quantity, run, settle_within })
    }

    /// The available pieces according to the staff's API.
    async fn available(&self, sku: &str) -> anyhow::Result<i64> {
        let path = format!("/v1/admin/inventory/{sku}");
        let stock: StockAnswer = self.insist(|| shop::get(&path, Some(&self.staff.borrow()))).await?;
        anyhow::ensure!(
            stock.on_hand - stock.reserved == stock.available,
            "{sku}: on hand {} less reserved {} is not available {}",
            stock.on_hand,
            stock.reserved,
            stock.available
        );
        Ok(stock.available)
    }

    /// Reads the state before the first request.
    pub(super) async fn before(&self, parts: &[Vec<Session>]) -> anyhow::Result<InitialState> {
        let mut available = Vec::with_capacity(self.goods.len());
        for good in self.goods {
            available.push(self.available(&good.wanted.sku).await?);
        }
        let mut newest = Vec::with_capacity(parts.len());
        for sessions in parts {
            let mut of_part = Vec::with_capacity(sessions.len());
            let mut pages = stream::iter(sessions).map(|session| self.newest(session)).buffered(AT_ONCE);
            while let Some(order) = pages.next().await {
                of_part.push(order?);
            }
            newest.push(of_part);
        }
        Ok(InitialState { available, newest })
    }

    async fn newest(&self, session: &Session) -> anyhow::Result<Option<Uuid>> {
        let request = || shop::get("/v1/orders?limit=1", Some(&session.bearer));
        let page: PageAnswer<OrderAnswer> = self.insist(request).await?;
        Ok(page.items.first().map(|order| order.id))
    }

    /// Compares everything; `seen` has the findings of the run itself, and `sale` is its sale. The pieces of one shard
    /// of a run cannot balance alone.
    pub(super) async fn audit(
        &self,
        mut parts: Vec<ThreadRecord>,
        start: Vec<i64>,
        mut seen: FindingLog,
        sale: Option<&SaleEnded<'_>>,
        is_whole: bool,
    ) -> anyhow::Result<AuditResult> {
        // The run may have been longer than a session lasts.
        self.staff.replace(self.admin.session(self.client).await?.bearer);
        for part in &mut parts {
            for session in part.sessions.iter_mut().filter(|session| session.is_due()) {
                session.renew(self.client).await?;
            }
        }
        let mut settled_by_key = 0;
        for part in &mut parts {
            settled_by_key += self.settle(part, &mut seen).await;
        }
        let give_up = Instant::now() + self.settle_within;
        let mut last = None;
        let (skus, lapsed, mut checked) = loop {
            let mut found = FindingLog::default();
            let mut ledger = Ledger::new(start.clone());
            let mut checked = Checked::default();
            for part in &parts {
                self.compare(part, &mut ledger, &mut checked, &mut found).await?;
            }
            let skus = self.figures(&ledger).await?;
            // Stock may follow an order a little later. A shard waits until the figures no longer change.
            let is_settled =
                if is_whole { skus.iter().all(|sku| sku.balance == 0) } else { last.as_ref() == Some(&skus) };
            if is_settled || Instant::now() >= give_up {
                for (kind, misbehaviour) in found.0 {
                    seen.join(kind, misbehaviour);
                }
                break (skus, ledger.lapsed, checked);
            }
            last = Some(skus);
            tokio::time::sleep(READ_AGAIN_AFTER).await;
        };
        checked.settled_by_key = settled_by_key;
        if is_whole {
            judge(&skus, &mut seen);
            self.find_undersold(&parts, &skus, &lapsed, &mut seen);
        }
        let sale = match sale {
            Some(sale) => Some(self.judge_sale(sale, &parts, &skus, &mut seen).await?),
            None => None,
        };
        let (at, findings) = (jiff::Timestamp::now(), seen.into_findings());
        Ok(AuditResult { at, clean: findings.is_empty(), skus, checked, findings, sale, engine_audit: None })
    }

    /// Resolves every unclear request by its key.
    async fn settle(&self, part: &mut ThreadRecord, seen: &mut FindingLog) -> u64 {
        let give_up = Instant::now() + self.settle_within;
        let unclear: Vec<(usize, usize, Attempt)> = part
            .attempts
            .iter()
            .enumerate()
            .filter(|(_, (_, attempt))| attempt.reply == Reply::Unclear)
            .map(|(place, (number, attempt))| (place, *number, *attempt))
            .collect();
        let (thread, sessions) = (part.thread, &part.sessions);
        let mut settled = stream::iter(unclear)
            .map(|(place, number, attempt)| async move {
                let key = key(self.run, thread, number);
                let session = &sessions[attempt.customer as usize];
                let outcome = self.settle_one(session, &key, attempt, give_up).await;
                (place, key, outcome)
            })
            .buffer_unordered(AT_ONCE);
        let mut count = 0;
        while let Some((place, key, outcome)) = settled.next().await {
            match outcome {
                Ok(settled) => {
                    part.attempts[place].1 = settled;
                    count += 1;
                }
                Err(last) => {
                    seen.see(FindingKind::Stuck, || {
                        format!("key {key} was never answered clearly, last: {last}")
                    });
                }
            }
        }
        count
    }

    /// The resolved attempt, or the reason of the last answer.
    async fn settle_one(
        &self,
        session: &Session,
        key: &str,
        attempt: Attempt,
        give_up: Instant,
    ) -> Result<Attempt, String> {
        let Session { bearer, number, .. } = session;
        let body = self.goods[usize::from(attempt.sku)].body(attempt.payment, *number);
        let attempt = Attempt { was_unclear: true, ..attempt };
        loop {
            let answer = self.client.send(shop::place_order(bearer, key, body.clone())).await;
            match &answer {
                Ok(created) if created.status == 201 => {
                    let shown: OrderAnswer = serde_json::from_slice(&created.body)
                        .map_err(|error| format!("a 201 that is not an order: {error}"))?;
                    let (order, fingerprint) = (shown.id, shown.fingerprint());
                    return Ok(Attempt { order, fingerprint, reply: Reply::Accepted, ..attempt });
                }
                Ok(refused) if refused.status == 409 => {
                    return Ok(Attempt { reply: Reply::by_conflict(refused), ..attempt });
                }
                Ok(refused) if shop::is_clear(&answer) && refused.status >= 400 => {
                    return Ok(Attempt { reply: Reply::Refused, ..attempt });
                }
                _ if Instant::now() >= give_up => {
                    return Err(shop::reason(&answer).unwrap_or_else(|| "an invalid answer".to_owned()));
                }
                _ => tokio::time::sleep(RETRY_AFTER).await,
            }
        }
    }

    /// Compares the answers of each customer with the customer's orders.
    async fn compare(
        &self,
        part: &ThreadRecord,
        ledger: &mut Ledger,
        checked: &mut Checked,
        seen: &mut FindingLog,
    ) -> anyhow::Result<()> {
        let mut attempts: Vec<Vec<&(usize, Attempt)>> = vec![Vec::new(); part.sessions.len()];
        for attempt in &part.attempts {
            attempts[attempt.1.customer as usize].push(attempt);
        }
        let customers = part.sessions.iter().zip(&part.newest).zip(attempts);
        let mut read = stream::iter(customers)
            .map(|((session, newest), attempts)| async move {
                if attempts.is_empty() {
                    return Ok((attempts, HashMap::new()));
                }
                Ok::<_, anyhow::Error>((attempts, self.orders(session, *newest).await?))
            })
            .buffer_unordered(AT_ONCE);
        while let Some(read) = read.next().await {
            let (attempts, mut orders) = read?;
            for (number, attempt) in attempts {
                let sku = usize::from(attempt.sku);
                match attempt.reply {
                    Reply::Accepted => checked.accepted += 1,
                    Reply::OutOfStock => {
                        ledger.refused[sku] += 1;
                        checked.refused += 1;
                        continue;
                    }
                    Reply::SoldOut | Reply::Refused | Reply::Unsent => {
                        checked.refused += 1;
                        continue;
                    }
                    Reply::Unclear => continue,
                }
                let name =
                    || format!("order {} (key {})", attempt.order, key(self.run, part.thread, *number));
                let Some(StoredOrder { fingerprint, status }) = orders.remove(&attempt.order) else {
                    seen.see(FindingKind::Lost, || format!("{} was accepted and does not exist", name()));
                    continue;
                };
                if fingerprint != attempt.fingerprint {
                    seen.see(FindingKind::Differs, || format!("{} differs from its answer", name()));
                }
                let is_expected = match status {
                    Status::Stands => attempt.cancelled != Cancelled::Yes,
                    Status::Cancelled => attempt.cancelled != Cancelled::No,
                    // A card is charged at once, so only a konbini order can expire.
                    Status::Expired => attempt.payment == Payment::Konbini,
                };
                if !is_expected {
                    let cancelled = attempt.cancelled;
                    seen.see(FindingKind::Differs, || {
                        format!("{} is {status:?} and was cancelled by its customer: {cancelled:?}", name())
                    });
                }
                ledger.accepted[sku] += self.quantity;
                if status != Status::Stands {
                    ledger.cancelled[sku] += self.quantity;
                }
                ledger.lapsed[sku] += i64::from(status == Status::Expired);
            }
            for order in orders.into_keys() {
                seen.see(FindingKind::Doubled, || {
                    format!("order {order} exists and no customer got it as an answer")
                });
            }
        }
        Ok(())
    }

    /// The orders of a customer that are newer than the one given.
    async fn orders(
        &self,
        session: &Session,
        newest: Option<Uuid>,
    ) -> anyhow::Result<HashMap<Uuid, StoredOrder>> {
        let mut orders = HashMap::new();
        let mut path = "/v1/orders?limit=100".to_owned();
        for _ in 0..PAGES_MAX {
            let request = || shop::get(&path, Some(&session.bearer));
            let page: PageAnswer<OrderAnswer> = self.insist(request).await?;
            for order in page.items {
                if Some(order.id) == newest {
                    return Ok(orders);
                }
                orders.insert(order.id, StoredOrder::of(&order));
            }
            match page.next_cursor {
                Some(cursor) => path = format!("/v1/orders?limit=100&cursor={cursor}"),
                None => return Ok(orders),
            }
        }
        anyhow::bail!("a customer's pages of orders do not end")
    }

    async fn figures(&self, ledger: &Ledger) -> anyhow::Result<Vec<SkuBalance>> {
        let mut skus = Vec::with_capacity(self.goods.len());
        for (index, good) in self.goods.iter().enumerate() {
            let (sku, quantity) = (good.wanted.sku.clone(), self.quantity);
            let available = self.available(&sku).await?;
            let (start, accepted, cancelled) =
                (ledger.start[index], ledger.accepted[index], ledger.cancelled[index]);
            let (refused, balance) = (ledger.refused[index], start - accepted + cancelled - available);
            skus.push(SkuBalance { sku, start, accepted, cancelled, available, quantity, refused, balance });
        }
        Ok(skus)
    }

    /// Finds orders that were refused as out of stock although enough pieces are left that were not returned
    /// afterwards.
    ///
    /// Unclear requests may have held pieces for a while, and the time at which an order lapsed is not known, so both
    /// count as returned after all refusals.
    fn find_undersold(
        &self,
        parts: &[ThreadRecord],
        skus: &[SkuBalance],
        lapsed: &[i64],
        seen: &mut FindingLog,
    ) {
        let attempts =
            || parts.iter().flat_map(|part| part.attempts.iter().map(move |one| (part.thread, one)));
        // When pieces were returned, by SKU.
        let mut returns: Vec<Vec<u32>> = vec![Vec::new(); skus.len()];
        for (_, (_, attempt)) in attempts() {
            let is_accepted = attempt.reply == Reply::Accepted;
            let returned_at = match attempt.cancelled {
                Cancelled::No if is_accepted || !attempt.was_unclear => continue,
                Cancelled::Yes if !attempt.was_unclear => attempt.cancelled_at_ms,
                _ => u32::MAX,
            };
            returns[usize::from(attempt.sku)].push(returned_at);
        }
        for times in &mut returns {
            times.sort_unstable();
        }
        for (thread, (number, attempt)) in attempts() {
            let index = usize::from(attempt.sku);
            let SkuBalance { sku, available, .. } = &skus[index];
            if attempt.reply != Reply::OutOfStock || attempt.was_unclear || *available < self.quantity {
                continue;
            }
            let later = returns[index].len() - returns[index].partition_point(|at| *at < attempt.asked_at_ms);
            if available - (later as i64 + lapsed[index]) * self.quantity >= self.quantity {
                let key = || key(self.run, thread, *number);
                seen.see(FindingKind::Undersold, || {
                    format!(
                        "key {} was refused as out of stock, and {available} pieces of {sku} are left",
                        key()
                    )
                });
            }
        }
    }

    /// Repeats a request until it succeeds or the time is over, since the shop may be restarting.
    pub(super) async fn insist<T: serde::de::DeserializeOwned>(
        &self,
        request: impl Fn() -> hyper::Request<Body>,
    ) -> anyhow::Result<T> {
        let give_up = Instant::now() + self.settle_within;
        loop {
            match shop::ask(self.client, request()).await {
                Ok(answer) => return Ok(answer),
                Err(error) if Instant::now() >= give_up => return Err(error),
                Err(_) => tokio::time::sleep(RETRY_AFTER).await,
            }
        }
    }
}

/// The state of an order in the shop.
struct StoredOrder {
    fingerprint: u64,
    status: Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Stands,
    Cancelled,
    Expired,
}

impl StoredOrder {
    fn of(order: &OrderAnswer) -> Self {
        let status = match &*order.status {
            "cancelled" => Status::Cancelled,
            "expired" => Status::Expired,
            _ => Status::Stands,
        };
        Self { fingerprint: order.fingerprint(), status }
    }
}

/// Pieces by SKU according to the answers of the customers.
struct Ledger {
    start: Vec<i64>,
    accepted: Vec<i64>,
    cancelled: Vec<i64>,
    /// The number of orders that lapsed.
    lapsed: Vec<i64>,
    /// Orders refused as out of stock.
    refused: Vec<u64>,
}

impl Ledger {
    fn new(start: Vec<i64>) -> Self {
        let (no_pieces, no_orders) = (vec![0; start.len()], vec![0; start.len()]);
        Self {
            start,
            accepted: no_pieces.clone(),
            cancelled: no_pieces.clone(),
            lapsed: no_pieces,
            refused: no_orders,
        }
    }
}

/// Finds SKUs whose pieces do not add up.
fn judge(skus: &[SkuBalance], seen: &mut FindingLog) {
    for SkuBalance { sku, start, accepted, cancelled, available, balance, .. } in skus {
        let beyond = (accepted - cancelled - start).max(-balance);
        if beyond > 0 {
            seen.see_many(FindingKind::Oversold, beyond, || {
                format!(
                    "{sku}: {start} pieces, {accepted} accepted, {cancelled} given back, and {available} are available"
                )
            });
        } else if *balance > 0 {
            let held = || format!("{sku}: {balance} pieces are held without an order");
            seen.see_many(FindingKind::Stuck, *balance, held);
        }
    }
}

/// Judges the merged figures of several machines. The times of refusals are not known any more, so all returned pieces
/// count as returned afterwards.
pub(super) fn judge_shards(skus: &[SkuBalance]) -> Vec<Findings> {
    let mut seen = FindingLog::default();
    judge(skus, &mut seen);
    for SkuBalance { sku, available, cancelled, quantity, refused, .. } in skus {
        if *refused > 0 && available - cancelled >= *quantity {
            seen.see_many(FindingKind::Undersold, i64::try_from(*refused).unwrap_or(i64::MAX), || {
                format!(
                    "{refused} orders were refused as out of stock, and {available} pieces of {sku} are left"
                )
            });
        }
    }
    seen.into_findings()
}
