//! The operator of a scenario's sale: plans, arms and pauses it in the stages of its plan, and ends it after the run.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use super::client::Client;
use super::clock::Clock;
use super::customers::SignIn;
use super::sale_audit::SaleEnded;
use super::sale_plan::SalePlan;
use super::scenario::Scenario;
use super::schedule::{Planned, plan};
use super::shop::{self, Bearer, SaleAnswer, StockAnswer};
use super::waiting_crowd::CrowdResult;

/// How long the shop may take to open the waiting room, and to end a sale.
const DONE_WITHIN: Duration = Duration::from_secs(30);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// The sale is open for longer than the run; its operator ends it.
const OPEN_FOR: SignedDuration = SignedDuration::from_hours(1);
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
    /// The sale as it was announced before the first customer joined.
    announced: RefCell<Option<SaleAnswer>>,
}

impl<'a> Operator<'a> {
    /// Signs in, and receives pieces where the stock is too low.
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

    /// The sale, and its commitment as it was published before the first customer joined.
    fn announced(&self) -> Option<(Uuid, String)> {
        self.announced.borrow().as_ref().map(|sale| (sale.id, sale.commitment.clone()))
    }

    /// The sale at the end of the run; `None` if it was never announced.
    pub(super) fn ended(&self, left: Vec<CrowdResult>) -> Option<SaleEnded<'a>> {
        let (id, commitment) = self.announced()?;
        let armed_at_ms = (self.stage(&self.plan.armed)?.from * 1e3) as u32;
        Some(SaleEnded { id, commitment, plan: self.plan, armed_at_ms, left })
    }

    async fn stock_up(&self, sku: &str) -> anyhow::Result<()> {
        let path = format!("/v1/admin/inventory/{sku}");
        let stock: StockAnswer = self.get(&path).await?;
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

    /// Carries out the plan, each step at its time.
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

    /// Plans, schedules and arms the sale, and publishes it to the generators once its waiting room is open.
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
            "closes_at": opens_at + OPEN_FOR,
            "items": items.collect::<Vec<_>>(),
            "limit_per_customer": self.plan.limit,
            "hold_seconds": {"card": HOLD_SECONDS, "konbini": HOLD_SECONDS},
            "admission": admission,
        });
        let sale: SaleAnswer = self.post("/v1/admin/sales", body.to_string()).await?;
        let id = sale.id;
        self.announced.replace(Some(sale));
        self.act(id, "schedule").await?;
        self.act(id, "arm").await?;
        if self.plan.has_queue() {
            self.until(id, "the waiting room is not open", |live| !live["queue"].is_null()).await?;
        }
        self.tell.send_replace(Some(id));
        Ok(id)
    }

    /// Polls the sale until a condition holds.
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

    /// Closes or cancels the sale in whatever state the run left it; the remaining pieces return to general stock.
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

    /// Settles a closed sale; its SKUs return to normal selling.
    pub(super) async fn settle(&self) -> anyhow::Result<()> {
        let Some((sale, _)) = self.announced() else { return Ok(()) };
        let live: Value = self.get(&format!("/v1/admin/sales/{sale}/live")).await?;
        match live["sale"]["status"].as_str() {
            Some("closed") => self.act(sale, "settle").await,
            _ => Ok(()),
        }
    }
}
