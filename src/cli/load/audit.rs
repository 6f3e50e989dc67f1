//! The audit of a run: what the customers saw, compared with what the shop says afterwards, by its REST contract alone.
//!
//! Unclear requests are settled by their keys first. Then every order of every customer is read, and the pieces of
//! every SKU are counted, again and again until they balance or time is up.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use uuid::Uuid;

use super::attempts::{Attempt, Cancelled, Misbehaviour, Told, key};
use super::client::{Body, Client};
use super::customers::{Session, SignIn};
use super::fairness::SaleEnded;
use super::result::{AuditResult, Checked, FindingKind, Findings, SkuBalance};
use super::shop::{self, Bearer, OrderShown, PageShown, Payment, StockShown};
use super::visit::Good;

/// Customers whose orders are read at the same time, and keys settled at the same time.
pub(super) const AT_ONCE: usize = 16;
/// Pause before a question that was not answered is asked again.
const BREATH: Duration = Duration::from_millis(100);
/// Pause before figures that do not balance are looked at once more.
const SECOND_LOOK_AFTER: Duration = Duration::from_secs(1);
/// Pages of one customer's orders; a shop whose pages go round does not end.
const PAGES_MAX: usize = 1_000_000;

/// Who asks, and how long an answer may take to come.
pub(super) struct Auditor<'a> {
    pub client: &'a Client,
    pub admin: SignIn,
    pub staff: RefCell<Bearer>,
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

/// What was true before the first request.
pub(super) struct Before {
    /// Pieces available of each SKU.
    pub available: Vec<i64>,
    /// Each customer's newest order, by thread.
    pub newest: Vec<Vec<Option<Uuid>>>,
}

/// Findings by kind, each a count with some examples.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<FindingKind, Misbehaviour>);

impl Seen {
    pub(super) fn see(&mut self, kind: FindingKind, what: impl FnOnce() -> String) {
        self.see_many(kind, 1, what);
    }

    pub(super) fn see_many(&mut self, kind: FindingKind, count: i64, what: impl FnOnce() -> String) {
        self.0.entry(kind).or_default().see_many(count.unsigned_abs(), what);
    }

    pub(super) fn join(&mut self, kind: FindingKind, other: Misbehaviour) {
        if other.count > 0 {
            self.0.entry(kind).or_default().join(other);
        }
    }

    pub(super) fn into_findings(self) -> Vec<Findings> {
        let findings = self.0.into_iter();
        findings.map(|(kind, Misbehaviour { count, examples })| Findings { kind, count, examples }).collect()
    }
}

impl AuditResult {
    /// One that could not be finished: nobody may take it for clean.
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
        goods: &'a [Good],
        run: &'a str,
        settle_within: Duration,
    ) -> anyhow::Result<Self> {
        let staff = RefCell::new(admin.session(client).await?.bearer);
        let quantity = goods.first().map_or(1, |good| good.quantity);
        Ok(Self { client, admin, staff, goods, quantity, run, settle_within })
    }

    /// Pieces that staff see available.
    async fn available(&self, sku: &str) -> anyhow::Result<i64> {
        let path = format!("/v1/admin/inventory/{sku}");
        let stock: StockShown = self.insist(|| shop::get(&path, Some(&self.staff.borrow()))).await?;
        anyhow::ensure!(
            stock.on_hand - stock.reserved == stock.available,
            "{sku}: on hand {} less reserved {} is not available {}",
            stock.on_hand,
            stock.reserved,
            stock.available
        );
        Ok(stock.available)
    }

    /// What is true before the first request.
    pub(super) async fn before(&self, parts: &[Vec<Session>]) -> anyhow::Result<Before> {
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
        Ok(Before { available, newest })
    }

    async fn newest(&self, session: &Session) -> anyhow::Result<Option<Uuid>> {
        let request = || shop::get("/v1/orders?limit=1", Some(&session.bearer));
        let page: PageShown<OrderShown> = self.insist(request).await?;
        Ok(page.items.first().map(|order| order.id))
    }

    /// Compares everything; `seen` is what was seen while the run went on, and `sale` the sale of it. A part of a run cannot
    /// balance by itself.
    pub(super) async fn audit(
        &self,
        mut parts: Vec<Part>,
        start: Vec<i64>,
        mut seen: Seen,
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
            let mut found = Seen::default();
            let mut ledger = Ledger::new(start.clone());
            let mut checked = Checked::default();
            for part in &parts {
                self.compare(part, &mut ledger, &mut checked, &mut found).await?;
            }
            let skus = self.figures(&ledger).await?;
            // Stock may follow an order a little later. A part waits until nothing moves any more.
            let is_settled =
                if is_whole { skus.iter().all(|sku| sku.balance == 0) } else { last.as_ref() == Some(&skus) };
            if is_settled || Instant::now() >= give_up {
                for (kind, misbehaviour) in found.0 {
                    seen.join(kind, misbehaviour);
                }
                break (skus, ledger.lapsed, checked);
            }
            last = Some(skus);
            tokio::time::sleep(SECOND_LOOK_AFTER).await;
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
                        format!("key {key} was never clearly answered, last: {last}")
                    });
                }
            }
        }
        count
    }

    /// The attempt as it is settled, or what was said last.
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
                    let shown: OrderShown = serde_json::from_slice(&created.body)
                        .map_err(|error| format!("a 201 that is not an order: {error}"))?;
                    let (order, fingerprint) = (shown.id, shown.fingerprint());
                    return Ok(Attempt { order, fingerprint, told: Told::Accepted, ..attempt });
                }
                Ok(refused) if refused.status == 409 => {
                    return Ok(Attempt { told: Told::by_conflict(refused), ..attempt });
                }
                Ok(refused) if shop::is_clear(&answer) && refused.status >= 400 => {
                    return Ok(Attempt { told: Told::Refused, ..attempt });
                }
                _ if Instant::now() >= give_up => {
                    return Err(shop::reason(&answer).unwrap_or_else(|| "an answer that is none".to_owned()));
                }
                _ => tokio::time::sleep(BREATH).await,
            }
        }
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
                let sku = usize::from(attempt.sku);
                match attempt.told {
                    Told::Accepted => checked.accepted += 1,
                    Told::OutOfStock => {
                        ledger.refused[sku] += 1;
                        checked.refused += 1;
                        continue;
                    }
                    Told::SoldOut | Told::Refused | Told::Unsent => {
                        checked.refused += 1;
                        continue;
                    }
                    Told::Unclear => continue,
                }
                let name =
                    || format!("order {} (key {})", attempt.order, key(self.run, part.thread, *number));
                let Some(Kept { fingerprint, status }) = orders.remove(&attempt.order) else {
                    seen.see(FindingKind::Lost, || format!("{} was accepted and is not there", name()));
                    continue;
                };
                if fingerprint != attempt.fingerprint {
                    seen.see(FindingKind::Differs, || format!("{} is not as it was answered", name()));
                }
                let is_expected = match status {
                    Status::Stands => attempt.cancelled != Cancelled::Yes,
                    Status::Cancelled => attempt.cancelled != Cancelled::No,
                    // A card was charged at once; only who has yet to pay can be too late.
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
                    format!("order {order} is there and nobody was told of it")
                });
            }
        }
        Ok(())
    }

    /// The orders of a customer that are newer than the one given.
    async fn orders(&self, session: &Session, newest: Option<Uuid>) -> anyhow::Result<HashMap<Uuid, Kept>> {
        let mut orders = HashMap::new();
        let mut path = "/v1/orders?limit=100".to_owned();
        for _ in 0..PAGES_MAX {
            let request = || shop::get(&path, Some(&session.bearer));
            let page: PageShown<OrderShown> = self.insist(request).await?;
            for order in page.items {
                if Some(order.id) == newest {
                    return Ok(orders);
                }
                orders.insert(order.id, Kept::of(&order));
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

    /// Refused as out of stock while enough pieces are left in the end that nobody gave back after that.
    ///
    /// What was unclear may have held pieces for a while, and nobody knows when an order lapsed, so both count as given
    /// back after everything.
    fn find_undersold(&self, parts: &[Part], skus: &[SkuBalance], lapsed: &[i64], seen: &mut Seen) {
        let attempts =
            || parts.iter().flat_map(|part| part.attempts.iter().map(move |one| (part.thread, one)));
        // When pieces came back, by SKU, the latest first.
        let mut returns: Vec<Vec<u32>> = vec![Vec::new(); skus.len()];
        for (_, (_, attempt)) in attempts() {
            let is_accepted = attempt.told == Told::Accepted;
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
            if attempt.told != Told::OutOfStock || attempt.was_unclear || *available < self.quantity {
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

    /// Asks until there is an answer, since the shop may just be coming back.
    pub(super) async fn insist<T: serde::de::DeserializeOwned>(
        &self,
        request: impl Fn() -> hyper::Request<Body>,
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

/// What is kept of an order that the shop has.
struct Kept {
    fingerprint: u64,
    status: Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Stands,
    Cancelled,
    Expired,
}

impl Kept {
    fn of(order: &OrderShown) -> Self {
        let status = match &*order.status {
            "cancelled" => Status::Cancelled,
            "expired" => Status::Expired,
            _ => Status::Stands,
        };
        Self { fingerprint: order.fingerprint(), status }
    }
}

/// Pieces by SKU, as the customers count them.
struct Ledger {
    start: Vec<i64>,
    accepted: Vec<i64>,
    cancelled: Vec<i64>,
    /// Orders that lapsed.
    lapsed: Vec<i64>,
    /// Orders refused as out of stock.
    refused: Vec<u64>,
}

impl Ledger {
    fn new(start: Vec<i64>) -> Self {
        let (nothing, nobody) = (vec![0; start.len()], vec![0; start.len()]);
        Self {
            start,
            accepted: nothing.clone(),
            cancelled: nothing.clone(),
            lapsed: nothing,
            refused: nobody,
        }
    }
}

/// What does not add up, by SKU.
fn judge(skus: &[SkuBalance], seen: &mut Seen) {
    for SkuBalance { sku, start, accepted, cancelled, available, balance, .. } in skus {
        let beyond = (accepted - cancelled - start).max(-balance);
        if beyond > 0 {
            seen.see_many(FindingKind::Oversold, beyond, || {
                format!(
                    "{sku}: {start} pieces, {accepted} accepted, {cancelled} given back, and {available} are available"
                )
            });
        } else if *balance > 0 {
            let held = || format!("{sku}: {balance} pieces are held for nobody");
            seen.see_many(FindingKind::Stuck, *balance, held);
        }
    }
}

/// Judges the figures of several machines together. When what was refused was refused is not known any more, so all
/// that came back counts as coming back later.
pub(super) fn judge_together(skus: &[SkuBalance]) -> Vec<Findings> {
    let mut seen = Seen::default();
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
