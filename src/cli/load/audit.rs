//! The audit of a run: what the customers saw, compared with what the shop says afterwards, by its REST contract alone.
//!
//! Unclear requests are settled by their keys first. Then every order of every customer is read, and the pieces of
//! every SKU are counted.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use uuid::Uuid;

use super::attempts::{Attempt, Cancelled, Misbehaviour, Told, key};
use super::client::Client;
use super::customers::Session;
use super::result::{AuditResult, Checked, FindingKind, Findings, SkuBalance};
use super::shop::{self, Bearer, OrderShown, PageShown, StockShown};
use super::visit::Good;

/// Customers whose orders are read at the same time, and keys settled at the same time.
const AT_ONCE: usize = 16;
/// Pause before a question that was not answered is asked again.
const BREATH: Duration = Duration::from_millis(100);

/// Who asks, and how long an answer may take to come.
pub(super) struct Auditor<'a> {
    pub client: &'a Client,
    pub staff: Bearer,
    pub goods: &'a [Good],
    pub quantity: i64,
    pub run: &'a str,
    pub settle_within: Duration,
}

/// The attempts of one thread, and its customers in the same order as theirs.
pub(super) struct Part {
    pub thread: usize,
    pub attempts: Vec<(usize, Attempt)>,
    pub sessions: Vec<Session>,
    /// The newest order of each customer before the run, if any: those after it are of the run.
    pub newest: Vec<Option<Uuid>>,
}

/// Findings by kind, each a count with some examples.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<FindingKind, Misbehaviour>);

impl Seen {
    fn see(&mut self, kind: FindingKind, what: impl FnOnce() -> String) {
        self.0.entry(kind).or_default().see(what);
    }

    pub(super) fn join(&mut self, kind: FindingKind, other: Misbehaviour) {
        if other.count > 0 {
            self.0.entry(kind).or_default().join(other);
        }
    }

    fn into_findings(self) -> Vec<Findings> {
        let findings = self.0.into_iter();
        findings.map(|(kind, Misbehaviour { count, examples })| Findings { kind, count, examples }).collect()
    }
}

impl Auditor<'_> {
    /// Pieces that staff see available.
    async fn available(&self, sku: &str) -> anyhow::Result<i64> {
        let request = || shop::get(&format!("/v1/admin/inventory/{sku}"), Some(&self.staff));
        let stock: StockShown = self.insist(request).await?;
        anyhow::ensure!(
            stock.on_hand - stock.reserved == stock.available,
            "{sku}: on hand {} less reserved {} is not available {}",
            stock.on_hand,
            stock.reserved,
            stock.available
        );
        Ok(stock.available)
    }

    /// What is true before the first request: the pieces available of each SKU, and each customer's newest order.
    pub(super) async fn before(
        &self,
        parts: &[Vec<Session>],
    ) -> anyhow::Result<(Vec<i64>, Vec<Vec<Option<Uuid>>>)> {
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
        Ok((available, newest))
    }

    async fn newest(&self, session: &Session) -> anyhow::Result<Option<Uuid>> {
        let request = || shop::get("/v1/orders?limit=1", Some(&session.bearer));
        let page: PageShown<OrderShown> = self.insist(request).await?;
        Ok(page.items.first().map(|order| order.id))
    }

    /// Compares everything; `seen` is what was seen while the run went on.
    pub(super) async fn audit(
        &self,
        mut parts: Vec<Part>,
        start: Vec<i64>,
        mut seen: Seen,
        is_whole: bool,
    ) -> anyhow::Result<AuditResult> {
        let mut checked = Checked::default();
        for part in &mut parts {
            checked.settled_by_key += self.settle(part, &mut seen).await;
        }
        let mut ledger = Ledger::new(start);
        for part in &parts {
            self.compare(part, &mut ledger, &mut checked, &mut seen).await?;
        }
        let skus =
            if is_whole { self.balance(&ledger, &mut seen).await? } else { self.figures(&ledger).await? };
        if is_whole {
            self.find_undersold(&parts, &skus, &mut seen);
        }
        let (at, findings) = (jiff::Timestamp::now(), seen.into_findings());
        Ok(AuditResult { at, clean: findings.is_empty(), skus, checked, findings, engine_audit: None })
    }

    /// Finds out by its key what became of every request that was not clearly answered.
    async fn settle(&self, part: &mut Part, seen: &mut Seen) -> u64 {
        let give_up = Instant::now() + self.settle_within;
        let unclear: Vec<(usize, usize, Attempt)> = part
            .attempts
            .iter()
            .enumerate()
            .filter(|(_, (_, attempt))| attempt.told == Told::Unclear)
            .map(|(place, (number, attempt))| (place, *number, *attempt))
            .collect();
        let (thread, sessions) = (part.thread, &part.sessions);
        let mut settled = stream::iter(unclear)
            .map(|(place, number, attempt)| async move {
                let key = key(self.run, thread, number);
                let bearer = &sessions[attempt.customer as usize].bearer;
                let outcome = self.settle_one(bearer, &key, attempt, give_up).await;
                (place, key, outcome)
            })
            .buffer_unordered(AT_ONCE);
        let mut count = 0;
        while let Some((place, key, outcome)) = settled.next().await {
            match outcome {
                Some(settled) => {
                    part.attempts[place].1 = settled;
                    count += 1;
                }
                None => seen.see(FindingKind::Stuck, || format!("key {key} was never clearly answered")),
            }
        }
        count
    }

    async fn settle_one(
        &self,
        bearer: &Bearer,
        key: &str,
        attempt: Attempt,
        give_up: Instant,
    ) -> Option<Attempt> {
        let body = self.goods[attempt.sku as usize].body(attempt.by_card);
        while Instant::now() < give_up {
            let answer = self.client.send(shop::place_order(bearer, key, body.clone())).await;
            match &answer {
                Ok(answer) if answer.status == 201 => {
                    let shown: OrderShown = serde_json::from_slice(&answer.body).ok()?;
                    let (order, fingerprint) = (shown.id, shown.fingerprint());
                    return Some(Attempt { order, fingerprint, told: Told::Accepted, ..attempt });
                }
                Ok(answer) if answer.status == 409 => {
                    return Some(Attempt { told: Told::OutOfStock, ..attempt });
                }
                Ok(answer) if answer.status < 500 && answer.status != 429 => {
                    return Some(Attempt { told: Told::Refused, ..attempt });
                }
                _ => tokio::time::sleep(BREATH).await,
            }
        }
        None
    }

    /// Compares what each customer was told with the orders that the customer has.
    async fn compare(
        &self,
        part: &Part,
        ledger: &mut Ledger,
        checked: &mut Checked,
        seen: &mut Seen,
    ) -> anyhow::Result<()> {
        let mut told: Vec<Vec<&(usize, Attempt)>> = vec![Vec::new(); part.sessions.len()];
        for attempt in &part.attempts {
            told[attempt.1.customer as usize].push(attempt);
        }
        let customers = part.sessions.iter().zip(&part.newest).zip(told);
        let mut read = stream::iter(customers)
            .map(|((session, newest), told)| async move {
                if told.is_empty() {
                    return Ok((told, HashMap::new()));
                }
                Ok::<_, anyhow::Error>((told, self.orders(session, *newest).await?))
            })
            .buffer_unordered(AT_ONCE);
        while let Some(read) = read.next().await {
            let (told, mut orders) = read?;
            for (number, attempt) in told {
                let key = || key(self.run, part.thread, *number);
                match attempt.told {
                    Told::Accepted => checked.accepted += 1,
                    Told::OutOfStock => {
                        ledger.refused[attempt.sku as usize] += 1;
                        checked.refused += 1;
                        continue;
                    }
                    Told::Refused | Told::Unsent => {
                        checked.refused += 1;
                        continue;
                    }
                    Told::Unclear => continue,
                }
                let Some(order) = orders.remove(&attempt.order) else {
                    let order = attempt.order;
                    seen.see(FindingKind::Lost, || {
                        format!("order {order} (key {}) was accepted and is not there", key())
                    });
                    continue;
                };
                if order.fingerprint() != attempt.fingerprint {
                    seen.see(FindingKind::Differs, || {
                        format!("order {} (key {}) is not as it was answered", order.id, key())
                    });
                }
                let gave_back = order.gave_back();
                if attempt.cancelled == Cancelled::Yes && !gave_back {
                    seen.see(FindingKind::Differs, || {
                        format!("order {} was cancelled and is {}", order.id, order.status)
                    });
                }
                ledger.accepted[attempt.sku as usize] += self.quantity;
                if gave_back {
                    ledger.cancelled[attempt.sku as usize] += self.quantity;
                }
            }
            for order in orders.into_values() {
                seen.see(FindingKind::Doubled, || {
                    format!("order {} is there and nobody was told of it", order.id)
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
    ) -> anyhow::Result<HashMap<Uuid, OrderShown>> {
        let mut orders = HashMap::new();
        let mut path = "/v1/orders?limit=100".to_owned();
        loop {
            let request = || shop::get(&path, Some(&session.bearer));
            let page: PageShown<OrderShown> = self.insist(request).await?;
            for order in page.items {
                if Some(order.id) == newest {
                    return Ok(orders);
                }
                orders.insert(order.id, order);
            }
            match page.next_cursor {
                Some(cursor) => path = format!("/v1/orders?limit=100&cursor={cursor}"),
                None => return Ok(orders),
            }
        }
    }

    /// Waits until the stock is what the customers' orders make it, or until time is up.
    async fn balance(&self, ledger: &Ledger, seen: &mut Seen) -> anyhow::Result<Vec<SkuBalance>> {
        let give_up = Instant::now() + self.settle_within;
        loop {
            let skus = self.figures(ledger).await?;
            if skus.iter().all(|sku| sku.balance == 0) || Instant::now() >= give_up {
                judge(&skus, seen);
                return Ok(skus);
            }
            tokio::time::sleep(BREATH).await;
        }
    }

    async fn figures(&self, ledger: &Ledger) -> anyhow::Result<Vec<SkuBalance>> {
        let mut skus = Vec::with_capacity(self.goods.len());
        for (index, good) in self.goods.iter().enumerate() {
            let sku = good.wanted.sku.clone();
            let available = self.available(&sku).await?;
            let (start, accepted, cancelled) =
                (ledger.start[index], ledger.accepted[index], ledger.cancelled[index]);
            let (refused, balance) = (ledger.refused[index], start - accepted + cancelled - available);
            skus.push(SkuBalance { sku, start, accepted, cancelled, available, refused, balance });
        }
        Ok(skus)
    }

    /// Refused as out of stock while enough pieces were left in the end, those that came back not counted.
    fn find_undersold(&self, parts: &[Part], skus: &[SkuBalance], seen: &mut Seen) {
        for part in parts {
            for (number, attempt) in &part.attempts {
                let SkuBalance { sku, available, cancelled, .. } = &skus[attempt.sku as usize];
                if attempt.told == Told::OutOfStock && available - cancelled >= self.quantity {
                    let key = || key(self.run, part.thread, *number);
                    seen.see(FindingKind::Undersold, || {
                        format!(
                            "key {} was refused as out of stock, and {available} pieces of {sku} are left",
                            key()
                        )
                    });
                }
            }
        }
    }

    /// Asks until there is an answer, since the shop may just be coming back.
    async fn insist<T: serde::de::DeserializeOwned>(
        &self,
        request: impl Fn() -> hyper::Request<super::client::Body>,
    ) -> anyhow::Result<T> {
        let give_up = Instant::now() + self.settle_within;
        loop {
            match shop::ask(self.client, request()).await {
                Ok(answer) => return Ok(answer),
                Err(error) if Instant::now() >= give_up => return Err(error),
                Err(_) => tokio::time::sleep(BREATH).await,
            }
        }
    }
}

/// Pieces by SKU, as the customers count them.
struct Ledger {
    start: Vec<i64>,
    accepted: Vec<i64>,
    cancelled: Vec<i64>,
    /// Orders refused as out of stock.
    refused: Vec<u64>,
}

impl Ledger {
    fn new(start: Vec<i64>) -> Self {
        let (nothing, nobody) = (vec![0; start.len()], vec![0; start.len()]);
        Self { start, accepted: nothing.clone(), cancelled: nothing, refused: nobody }
    }
}

/// What does not add up, by SKU.
pub(super) fn judge(skus: &[SkuBalance], seen: &mut Seen) {
    for SkuBalance { sku, start, accepted, cancelled, available, balance, .. } in skus {
        if accepted - cancelled > *start || *balance < 0 {
            seen.see(FindingKind::Oversold, || {
                format!("{sku}: {start} pieces, {accepted} accepted, {cancelled} given back, and {available} are available")
            });
        } else if *balance > 0 {
            seen.see(FindingKind::Stuck, || format!("{sku}: {balance} pieces are held for nobody"));
        }
    }
}

/// Judges the figures of several machines together.
pub(super) fn judge_together(skus: &[SkuBalance]) -> Vec<Findings> {
    let mut seen = Seen::default();
    judge(skus, &mut seen);
    seen.into_findings()
}
