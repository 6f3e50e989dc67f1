//! Decides whether a sale may have a dry run now, prepares and follows the run, and compares the shop before and after.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use uuid::Uuid;

use super::buyer::Buyer;
use super::domain::DryRunNeeds;
use super::error::DryRunError;
use super::messages::{DryRun, DryRunState, Phase, StartDryRun};
use super::report::{CrowdSize, PlanFinding, Report, StockFigures, Untouched};
use super::run::{BESIDE_THE_SALE, RunResult, ShadowRun};
use super::shadow_shop::OpenShop;
use super::store::DryRunStore;
use crate::actors::catalog::QuoteSkus;
use crate::actors::sales::{GetSale, ListSales, Sale, SaleStatus, ValidateSale};
use crate::config::{Config, Sales};
use crate::storage::{Database, Scratch};
use crate::types::{InvalidValue, SaleId, Sku};

/// The scratch database is called like the shop's, with this suffix.
const SUFFIX: &str = "dry_run";
/// Requests that the customers of a run make at the same time.
const AT_ONCE: u32 = 256;
/// The default number of customers: two for each piece, within these bounds.
const CUSTOMERS: (i64, i64) = (1_000, 20_000);
const SECONDS: i64 = 20;
/// How often a run checks that no sale is on.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How often the shop's stock is compared afterwards, while it is sold at the same time.
const COMPARISONS_MAX: usize = 5;
/// The most sales that are checked; more than any shop has open or ahead.
const SALES_MAX: i64 = 1_000;

/// Starts, follows and stops dry runs; cheap to clone.
#[derive(Clone)]
pub struct DryRuns {
    shop: DryRunNeeds,
    store: DryRunStore,
    database: Database,
    open: OpenShop,
    limits: Sales,
    hold_seconds_max: i64,
    /// One run at a time; closed when the engine stops.
    slot: Arc<Semaphore>,
    running: watch::Sender<Option<Running>>,
    stop: watch::Sender<bool>,
}

/// The run that is under way.
#[derive(Clone)]
struct Running {
    wanted: Arc<StartDryRun>,
    started_at: Timestamp,
    crowd: CrowdSize,
    phase: watch::Receiver<Phase>,
}

impl DryRuns {
    pub fn new(shop: DryRunNeeds, database: Database, open: OpenShop, config: &Config) -> Self {
        Self {
            shop,
            store: DryRunStore::new(database.clone()),
            database,
            open,
            limits: config.sales.clone(),
            hold_seconds_max: i64::try_from(config.inventory.hold_seconds_max).unwrap_or(i64::MAX),
            slot: Arc::new(Semaphore::new(1)),
            running: watch::Sender::new(None),
            stop: watch::Sender::new(false),
        }
    }

    /// Removes in the background what a killed engine's run left behind; no run starts meanwhile.
    pub fn clear_up(&self, data_dir: PathBuf) {
        let Ok(slot) = self.slot.clone().try_acquire_owned() else { return };
        let database = self.database.clone();
        actix_rt::spawn(async move {
            if let Err(error) = Scratch::clean(&database, SUFFIX).await {
                tracing::warn!(
                    %error,
                    "the database of an earlier dry run could not be removed; the next dry run tries again"
                );
            }
            let _ = std::fs::remove_dir_all(data_dir);
            drop(slot);
        });
    }

    /// Ends the run that is under way, and lets no other one start.
    pub async fn stop(&self, within: Duration) {
        self.stop.send_replace(true);
        match tokio::time::timeout(within, self.slot.acquire()).await {
            Ok(_) => self.slot.close(),
            Err(_) => tracing::warn!(
                "the engine stopped while a dry run was under way; the next start removes its database"
            ),
        }
    }

    pub(super) async fn find(&self, sale: SaleId) -> Result<DryRun, DryRunError> {
        let running = self.running.borrow().clone().filter(|running| running.wanted.sale == sale);
        if let Some(running) = running {
            let phase = *running.phase.borrow();
            return Ok(DryRun {
                by: Some(running.wanted.by),
                reason: running.wanted.reason.clone(),
                started_at: running.started_at,
                state: DryRunState::Running { crowd: running.crowd, phase },
            });
        }
        self.store.find_last_run(sale).await?.ok_or(DryRunError::NeverRun(sale))
    }

    /// Prepares the run and starts it in the background.
    pub(super) async fn start(&self, wanted: StartDryRun) -> Result<(), DryRunError> {
        let slot = self.slot.clone().try_acquire_owned().map_err(|_| DryRunError::Busy)?;
        let sale = self.shop.get_sale.ask(GetSale { sale: wanted.sale }).await?;
        if !sale.status.is_planned() {
            return Err(DryRunError::NotInStatus { status: sale.status });
        }
        let findings = sale.draft.problems(self.hold_seconds_max);
        if !findings.is_empty() {
            return Err(DryRunError::NotValid { findings });
        }
        let crowd = self.crowd(&sale, &wanted)?;
        let takes = Duration::from_secs(u64::from(crowd.seconds)) + BESIDE_THE_SALE;
        self.check_that_no_sale_is_on(takes).await?;
        let skus: Vec<Sku> = sale.draft.items.iter().map(|item| item.sku.clone()).collect();
        let quotes = self.shop.quote_skus.ask(QuoteSkus { skus: skus.clone() }).await?;
        let before = self.store.list_stock(&skus).await?;
        let scratch = Scratch::make(&self.database, SUFFIX).await?;
        let started_at = Timestamp::now();
        let number = self.store.insert_run(&wanted, started_at).await?;
        let mark = format!("dry-run-{}", Uuid::now_v7().simple());
        let (send_phase, phase) = watch::channel(Phase::Preparing);
        let halt = watch::Sender::new(None);
        let run = ShadowRun {
            database: scratch.database.clone(),
            open: self.open.clone(),
            draft: sale.draft,
            quotes,
            crowd,
            phase: send_phase,
            mark: mark.clone(),
            halt: halt.subscribe(),
        };
        let running = Running { wanted: Arc::new(wanted), started_at, crowd, phase };
        self.running.send_replace(Some(running.clone()));
        let under_way = RunUnderWay {
            runs: self.clone(),
            number,
            running,
            mark,
            scratch,
            halt,
            before,
            skus,
            _published: PublishedRun(self.running.clone()),
            _slot: slot,
        };
        actix_rt::spawn(under_way.carry_out(run));
        Ok(())
    }

    fn crowd(&self, sale: &Sale, wanted: &StartDryRun) -> Result<CrowdSize, DryRunError> {
        let pieces: i64 = sale.draft.items.iter().map(|item| item.allotment.get()).sum();
        let usual = pieces.saturating_mul(2).clamp(CUSTOMERS.0, CUSTOMERS.1);
        Ok(CrowdSize {
            customers: within("customers", wanted.customers, usual, self.limits.dry_run_customers_max)?,
            seconds: within("seconds", wanted.seconds, SECONDS, self.limits.dry_run_seconds_max)?,
            at_once: AT_ONCE,
        })
    }

    /// Refuses with `SaleIsOn` when a sale is on, or is armed within this time.
    async fn check_that_no_sale_is_on(&self, within: Duration) -> Result<(), DryRunError> {
        use SaleStatus::{Armed, Draining, Open, Paused, Scheduled};
        let within = within + Duration::from_secs(self.limits.arm_before_seconds);
        let ends_at = Timestamp::now().checked_add(within).unwrap_or(Timestamp::MAX);
        let sales = self.shop.list_sales.ask(ListSales { limit: SALES_MAX }).await?;
        let is_on = |sale: &Sale| match sale.status {
            Armed | Open | Paused | Draining => true,
            Scheduled => sale.draft.opens_at < ends_at,
            _ => false,
        };
        match sales.into_iter().find(is_on) {
            Some(sale) => Err(DryRunError::SaleIsOn { name: sale.draft.name }),
            None => Ok(()),
        }
    }

    /// Returns the reason when a run must end early: the engine stops, or a sale needs the machine.
    async fn halted(&self) -> String {
        let mut stop = self.stop.subscribe();
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return "the engine stopped".to_owned(),
                () = tokio::time::sleep(CHECK_EVERY) => {}
            }
            if let Err(error @ DryRunError::SaleIsOn { .. }) =
                self.check_that_no_sale_is_on(Duration::ZERO).await
            {
                return error.to_string();
            }
        }
    }

    /// What prevents the real sale as it is planned; a failed question is a finding too.
    async fn findings(&self, sale: SaleId) -> Vec<PlanFinding> {
        match self.shop.validate_sale.ask(ValidateSale { sale }).await {
            Ok(findings) => findings
                .into_iter()
                .map(|found| PlanFinding { field: found.field, problem: found.problem })
                .collect(),
            Err(error) => vec![PlanFinding { field: String::new(), problem: error.to_string() }],
        }
    }
}

/// Answers to `GetDryRun` say that the run is under way until this is dropped, however the run ends.
struct PublishedRun(watch::Sender<Option<Running>>);

impl Drop for PublishedRun {
    fn drop(&mut self) {
        self.0.send_replace(None);
    }
}

/// A run that was started.
struct RunUnderWay {
    runs: DryRuns,
    number: i64,
    running: Running,
    mark: String,
    scratch: Scratch,
    halt: watch::Sender<Option<String>>,
    before: BTreeMap<Sku, StockFigures>,
    skus: Vec<Sku>,
    _published: PublishedRun,
    _slot: OwnedSemaphorePermit,
}

impl RunUnderWay {
    async fn carry_out(self, run: ShadowRun) {
        let outcome = match self.follow(run).await {
            Ok(result) => self.report(result).await.map_err(|error| error.to_string()),
            Err(error) => Err(format!("{error:#}")),
        };
        let outcome = match outcome {
            Ok(report) => Ok(report),
            // A failed run must not have touched the shop either.
            Err(failure) => match self.compare(&[]).await {
                Ok(untouched) if untouched.is_untouched => Err(failure),
                Ok(_) => Err(format!("{failure}; the shop was touched")),
                Err(error) => {
                    Err(format!("{failure}; whether the shop was touched could not be checked: {error}"))
                }
            },
        };
        let Self { runs, number, running, scratch, .. } = self;
        if let Err(error) = scratch.drop().await {
            tracing::warn!(%error, "the database of a dry run could not be removed; the next dry run removes it");
        }
        let sale = running.wanted.sale;
        match &outcome {
            Ok(report) => tracing::info!(
                %sale, placed = report.sale.orders.placed, untouched = report.untouched.is_untouched,
                "the dry run of a sale is done"
            ),
            Err(failure) => tracing::warn!(%sale, failure, "a dry run failed"),
        }
        let outcome = outcome.as_ref().map_err(String::as_str);
        if let Err(error) = runs.store.end_run(number, Timestamp::now(), outcome).await {
            tracing::error!(%sale, %error, "the result of a dry run could not be stored; run it again");
        }
    }

    async fn follow(&self, run: ShadowRun) -> anyhow::Result<RunResult> {
        let mut result = run.start()?;
        tokio::select! {
            result = &mut result => return result?,
            why = self.runs.halted() => self.halt.send_replace(Some(why)),
        };
        result.await?
    }

    async fn report(&self, result: RunResult) -> Result<Report, DryRunError> {
        let RunResult { course, machine, contradictions, sales } = result;
        Ok(Report {
            crowd: self.running.crowd,
            sale: course,
            machine,
            contradictions,
            findings: self.runs.findings(self.running.wanted.sale).await,
            untouched: self.compare(&sales).await?,
        })
    }

    /// Compares the shop with its state before the run, whose sales were these.
    async fn compare(&self, sales: &[SaleId]) -> Result<Untouched, DryRunError> {
        let store = &self.runs.store;
        let traces = store.count_traces(sales, Buyer::ids(), &self.mark).await?;
        // A piece that is sold between the two reads is in one of them only, so they are repeated until they agree.
        let mut comparisons = 0;
        loop {
            let moved = store.sum_movements(&self.before).await?;
            let after = store.list_stock(&self.skus).await?;
            let found = Untouched::of(traces, self.skus.iter().cloned(), &self.before, &moved, &after);
            comparisons += 1;
            if comparisons == COMPARISONS_MAX || found.items.iter().all(|item| item.is_explained) {
                return Ok(found);
            }
        }
    }
}

/// The wanted number, or the usual one; refused unless it is between 1 and `most`.
fn within(name: &'static str, wanted: Option<i64>, usual: i64, most: u32) -> Result<u32, InvalidValue> {
    let Some(wanted) = wanted else { return Ok(u32::try_from(usual).unwrap_or(most).min(most)) };
    u32::try_from(wanted)
        .ok()
        .filter(|wanted| (1..=most).contains(wanted))
        .ok_or_else(|| InvalidValue::new(name, format!("{wanted} is not between 1 and {most}")))
}
