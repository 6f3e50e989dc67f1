//! The operator of a scenario's sale: plans and arms it with its stage, pauses it in another, and ends it after the run.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use super::client::Client;
use super::clock::Clock;
use super::crowd::Left;
use super::customers::SignIn;
use super::fairness::SaleEnded;
use super::sale_plan::SalePlan;
use super::scenario::Scenario;
use super::schedule::{Planned, plan};
use super::shop::{self, Bearer, SaleShown, StockShown};

/// How long the shop may take to open the waiting room, and to end a sale.
const DONE_WITHIN: Duration = Duration::from_secs(30);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// The sale outlasts the run; its operator ends it.
const OUTLASTS: SignedDuration = SignedDuration::from_hours(1);
/// How long pieces are held for a payment: longer than the run.
const HOLD_SECONDS: i64 = 3_600;

pub(super) struct Operator<'a> {
    client: &'a Client,
    admin: SignIn,
    staff: RefCell<Bearer>,
    plan: &'a SalePlan,
    stages: Vec<Planned>,
    name: String,
    skus: Vec<String>,
    tell: watch::Sender<Option<Uuid>>,
    /// The sale, as it was announced before anybody joined.
    announced: RefCell<Option<SaleShown>>,
}

impl<'a> Operator<'a> {
    /// Signs in, and brings pieces into stock where there are too few.
    pub(super) async fn new(
        client: &'a Client,
        admin: SignIn,
        scenario: &'a Scenario,
        plan_of_sale: &'a SalePlan,
        skus: Vec<String>,
        run: &str,
    ) -> anyhow::Result<Self> {
        let operator = Self {
            client,
            staff: RefCell::new(admin.session(client).await?.bearer),
            admin,
            plan: plan_of_sale,
            stages: plan(&scenario.stages),
            name: format!("{} {run}", scenario.name),
            skus,
            tell: watch::channel(None).0,
            announced: RefCell::new(None),
        };
        for sku in &operator.skus {
            operator.stock_up(sku).await?;
        }
        Ok(operator)
    }

    /// The sale, once it can be joined.
    pub(super) fn sale(&self) -> watch::Receiver<Option<Uuid>> {
        self.tell.subscribe()
    }

    /// The sale, and its commitment as it was published before anybody joined.
    fn announced(&self) -> Option<(Uuid, String)> {
        self.announced.borrow().as_ref().map(|sale| (sale.id, sale.commitment.clone()))
    }

    /// The sale as its customers left it, where it came to be.
    pub(super) fn ended(&self, left: Vec<Left>) -> Option<SaleEnded<'a>> {
        let (id, commitment) = self.announced()?;
        let armed_at_ms = (self.stage(&self.plan.armed)?.from * 1e3) as u32;
        Some(SaleEnded { id, commitment, plan: self.plan, armed_at_ms, left })
    }

    async fn stock_up(&self, sku: &str) -> anyhow::Result<()> {
        let path = format!("/v1/admin/inventory/{sku}");
        let stock: StockShown = self.get(&path).await?;
        let missing = self.plan.allotment - stock.available;
        if missing > 0 {
            let body = json!({"quantity": missing, "reference": self.name}).to_string();
            let _: Value = self.post(&format!("{path}/receipts"), body).await?;
        }
        Ok(())
    }

    async fn post<T: serde::de::DeserializeOwned>(&self, path: &str, body: String) -> anyhow::Result<T> {
        let staff = self.staff.borrow().clone();
        shop::ask(self.client, shop::post(path, Some(&staff), body.into())).await
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let staff = self.staff.borrow().clone();
        shop::ask(self.client, shop::get(path, Some(&staff))).await
    }

    async fn act(&self, sale: Uuid, action: &str) -> anyhow::Result<()> {
        let reason = json!({"reason": "a load run"}).to_string();
        let _: Value = self.post(&format!("/v1/admin/sales/{sale}/{action}"), reason).await?;
        Ok(())
    }

    fn stage(&self, name: &str) -> Option<&Planned> {
        self.stages.iter().find(|planned| planned.stage.name() == name)
    }

    /// Does what the plan says, each in its time, until the last of it is done.
    pub(super) async fn work(&self, clock: Clock, started_at: Timestamp) -> anyhow::Result<()> {
        let wait_until = |seconds: f64| tokio::time::sleep_until(clock.at(seconds).into());
        let begins = |name: &str| self.stage(name).map_or(0.0, |stage| stage.from);
        wait_until(begins(&self.plan.armed)).await;
        let opens_in = SignedDuration::try_from_secs_f64(begins(&self.plan.opens))?;
        let sale = self.announce(started_at + opens_in).await?;
        if let Some(paused) = self.plan.paused.as_deref().and_then(|name| self.stage(name)) {
            wait_until(paused.from).await;
            self.act(sale, "pause").await?;
            wait_until(paused.to).await;
            self.act(sale, "resume").await?;
        }
        Ok(())
    }

    /// Plans, schedules and arms the sale, and tells of it once its waiting room is there.
    async fn announce(&self, opens_at: Timestamp) -> anyhow::Result<Uuid> {
        let items = self
            .skus
            .iter()
            .map(|sku| json!({"sku": sku, "price": self.plan.price, "allotment": self.plan.allotment}));
        let mut admission = json!({"mode": self.plan.admission});
        if let Some(per_second) = self.plan.per_second {
            admission["per_second"] = per_second.into();
        }
        let body = json!({
            "name": self.name,
            "opens_at": opens_at,
            "closes_at": opens_at + OUTLASTS,
            "items": items.collect::<Vec<_>>(),
            "limit_per_customer": self.plan.limit,
            "hold_seconds": {"card": HOLD_SECONDS, "konbini": HOLD_SECONDS},
            "admission": admission,
        });
        let sale: SaleShown = self.post("/v1/admin/sales", body.to_string()).await?;
        let id = sale.id;
        self.announced.replace(Some(sale));
        self.act(id, "schedule").await?;
        self.act(id, "arm").await?;
        if self.plan.has_queue() {
            self.until(id, "the waiting room is not there", |live| !live["queue"].is_null()).await?;
        }
        self.tell.send_replace(Some(id));
        Ok(id)
    }

    /// Looks at the sale until something is so.
    async fn until(&self, sale: Uuid, problem: &str, is_so: impl Fn(&Value) -> bool) -> anyhow::Result<()> {
        let give_up = Instant::now() + DONE_WITHIN;
        loop {
            let live: Value = self.get(&format!("/v1/admin/sales/{sale}/live")).await?;
            if is_so(&live) {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < give_up, "sale {sale}: {problem} after {DONE_WITHIN:?}");
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        }
    }

    /// Closes the sale, whatever state the run left it in; what is left goes back to general stock.
    pub(super) async fn close(&self) -> anyhow::Result<()> {
        let Some((sale, _)) = self.announced() else { return Ok(()) };
        // The run may have been longer than a session lasts.
        self.staff.replace(self.admin.session(self.client).await?.bearer);
        let live: Value = self.get(&format!("/v1/admin/sales/{sale}/live")).await?;
        match live["sale"]["status"].as_str() {
            Some("draft" | "scheduled" | "armed") => self.act(sale, "cancel").await,
            Some("open" | "paused" | "draining") => self.act(sale, "close").await,
            _ => Ok(()),
        }
    }

    /// Makes a closed sale final; its SKUs are sold as always again.
    pub(super) async fn settle(&self) -> anyhow::Result<()> {
        let Some((sale, _)) = self.announced() else { return Ok(()) };
        let live: Value = self.get(&format!("/v1/admin/sales/{sale}/live")).await?;
        match live["sale"]["status"].as_str() {
            Some("closed") => self.act(sale, "settle").await,
            _ => Ok(()),
        }
    }
}
