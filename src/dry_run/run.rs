//! One dry run in its shadow shop: stocked, sold, measured, audited and closed, on a thread of its own.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use tokio::sync::{oneshot, watch};

use super::crowd::Crowd;
use super::domain::ShadowNeeds;
use super::machine::measure_machine;
use super::messages::Phase;
use super::report::{Contradiction, Course, CrowdSize, Machine};
use super::shadow_shop::{CloseShop, OpenShop, ShadowShop};
use crate::actors::catalog::Quote;
use crate::actors::sales::{Action, Sale, SaleDraft};
use crate::actors::waiting_room::AdmissionMode;
use crate::audit::examine;
use crate::storage::Database;
use crate::types::SaleId;

/// SKUs stocked at the same time.
const SKUS_AT_ONCE: usize = 16;
/// How long the last decisions may take to arrive in the database after the customers are gone.
const SETTLES_WITHIN: Duration = Duration::from_secs(20);
/// What a run takes beside the time in which its sale is open.
pub(super) const BESIDE_THE_SALE: Duration = Duration::from_secs(90);
/// A shop that has not stopped by then ends with its thread.
const CLOSES_WITHIN: Duration = Duration::from_secs(60);

/// A run and its shop.
pub(super) struct ShadowRun {
    pub database: Database,
    pub open: OpenShop,
    pub draft: SaleDraft,
    /// One for each item.
    pub quotes: Vec<Quote>,
    pub crowd: CrowdSize,
    pub phase: watch::Sender<Phase>,
    /// Marks the products and receipts of the run.
    pub mark: String,
    /// The reason to end early, once there is one.
    pub halt: watch::Receiver<Option<String>>,
}

/// The result of a run.
pub(super) struct RunResult {
    pub course: Course,
    pub machine: Machine,
    pub contradictions: Vec<Contradiction>,
    /// The sales of the run, which must leave no trace elsewhere.
    pub sales: Vec<SaleId>,
}

impl ShadowRun {
    /// Starts the run on a thread of its own; the result arrives after the shop is closed again.
    pub fn start(self) -> std::io::Result<oneshot::Receiver<anyhow::Result<RunResult>>> {
        let (send, receive) = oneshot::channel();
        std::thread::Builder::new().name("dry run".to_owned()).spawn(move || {
            let _no_metrics = metrics::set_default_local_recorder(&metrics::NoopRecorder);
            let system = actix_rt::System::new();
            let result = system.block_on(AssertUnwindSafe(self.carry_out()).catch_unwind());
            let _ = send.send(result.unwrap_or_else(|_| Err(anyhow::anyhow!("it panicked"))));
            // Tasks that are still running end with the thread.
            actix_rt::System::current().stop();
            let _ = system.run();
        })?;
        Ok(receive)
    }

    async fn carry_out(mut self) -> anyhow::Result<RunResult> {
        let within = Duration::from_secs(u64::from(self.crowd.seconds)) + BESIDE_THE_SALE;
        let deadline = tokio::time::Instant::now() + within;
        let mut halt = self.halt.clone();
        let halted = async {
            match halt.wait_for(Option::is_some).await {
                Ok(why) => why.clone().unwrap_or_default(),
                Err(_) => "its result is no longer awaited".to_owned(),
            }
        };
        let mut shop = None;
        let result = tokio::select! {
            result = tokio::time::timeout_at(deadline, self.in_a_shop(&mut shop)) => match result {
                Ok(result) => result,
                Err(_) => Err(anyhow::anyhow!("it did not end within {} s", within.as_secs())),
            },
            why = halted => Err(anyhow::anyhow!(why)),
        };
        self.phase.send_replace(Phase::Closing);
        if let Some(close) = shop
            && tokio::time::timeout(CLOSES_WITHIN, close()).await.is_err()
        {
            tracing::warn!("the shop of a dry run did not close in time; it ends with its thread");
        }
        result
    }

    async fn in_a_shop(&mut self, shop: &mut Option<CloseShop>) -> anyhow::Result<RunResult> {
        let ShadowShop { ports, passes, close } = (self.open)(self.database.clone()).await?;
        *shop = Some(close);
        let ports = Arc::new(ports);
        self.stock_up(&ports).await.context("the shop could not be stocked")?;
        let sale = self.arm_sale(&ports).await.context("the sale could not be armed")?;
        self.phase.send_replace(Phase::Sale);
        let course = Crowd::new(ports.clone(), passes, &sale, self.crowd).run().await?;
        ports.act(sale.id, Action::Close).await.context("the sale could not be closed")?;
        self.phase.send_replace(Phase::Machine);
        let (machine_sale, machine) =
            measure_machine(&ports, &self.draft, self.crowd.at_once, &self.mark).await?;
        self.phase.send_replace(Phase::Closing);
        let contradictions = self.contradictions().await?;
        Ok(RunResult { course, machine, contradictions, sales: vec![sale.id, machine_sale] })
    }

    /// Stocks the SKUs of the plan, with the names and prices of the real shop and the pieces of the plan.
    async fn stock_up(&self, ports: &ShadowNeeds) -> anyhow::Result<()> {
        let stocked = stream::iter(self.draft.items.iter().zip(&self.quotes))
            .map(|(item, quote)| ports.stock_up(quote, item.allotment, &self.mark));
        stocked.buffer_unordered(SKUS_AT_ONCE).try_collect().await
    }

    /// Arms the sale as it is planned, but opening soon, and open only as long as the run.
    async fn arm_sale(&self, ports: &ShadowNeeds) -> anyhow::Result<Sale> {
        let opens_at = Timestamp::now().checked_add(self.lead_time())?;
        let closes_at = opens_at.checked_add(Duration::from_secs(u64::from(self.crowd.seconds)))?;
        let draft = SaleDraft { opens_at, closes_at, ..self.draft.clone() };
        ports.arm(draft).await
    }

    /// The time until the opening, in which the SKUs are armed and early customers join the waiting room.
    fn lead_time(&self) -> Duration {
        let arming = Duration::from_millis(2_000 + 10 * self.draft.items.len() as u64);
        match self.draft.terms.admission.mode {
            AdmissionMode::None => arming,
            _ => arming + Duration::from_secs(1 + u64::from(self.crowd.customers / 4_000)),
        }
    }

    /// Audits the shop of the run, repeatedly while the last decisions may still arrive.
    async fn contradictions(&self) -> anyhow::Result<Vec<Contradiction>> {
        let connection = self.database.connect_unhurried().await?;
        let deadline = tokio::time::Instant::now() + SETTLES_WITHIN;
        loop {
            let found = examine(&connection, Duration::ZERO).await?;
            if found.is_empty() || tokio::time::Instant::now() > deadline {
                let contradictions = found.into_iter().map(|found| Contradiction {
                    claim: found.claim.to_string(),
                    subject: found.subject,
                    finding: found.finding,
                });
                return Ok(contradictions.collect());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}
