//! Whether a sale may be run dry at this moment, and what is done before and after the run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use uuid::Uuid;

use super::crowd::Buyer;
use super::domain::DryRunNeeds;
use super::error::DryRunError;
use super::messages::{DryRun, DryRunState, Phase, StartDryRun};
use super::report::{CrowdSize, PlanFinding, Report, StockFigures, Untouched};
use super::stage::{BESIDE_THE_SALE, OpenShop, Play, Played, play};
use super::store::DryRunStore;
use crate::actors::catalog::QuoteSkus;
use crate::actors::sales::{GetSale, ListSales, Sale, SaleStatus, ValidateSale};
use crate::config::{Config, Sales};
use crate::storage::{Database, Scratch};
use crate::types::{InvalidValue, SaleId, Sku};

/// What the shop's own database is called, with this after it.
const SUFFIX: &str = "dry_run";
/// Questions that the customers of a run ask at the same time.
const AT_ONCE: u32 = 256;
/// Customers of a run whose number is not given: two for each piece, within these bounds.
const CUSTOMERS: (i64, i64) = (1_000, 20_000);
const SECONDS: i64 = 20;
/// How often it is looked whether a sale is on by now.
const LOOKS_EVERY: Duration = Duration::from_secs(1);
/// How often the shop's stock is looked at afterwards, while it is sold at the same time.
const LOOKS_MAX: usize = 5;
/// Sales that are looked at; more than any shop has open or ahead.
const SALES_MAX: i64 = 1_000;

/// Everything that it takes to run sales dry; cheap to clone.
#[derive(Clone)]
pub struct Office {
    shop: DryRunNeeds,
    store: DryRunStore,
    database: Database,
    open: OpenShop,
    limits: Sales,
    hold_seconds_max: i64,
    /// One run at a time; whoever stops the engine takes it for good.
    place: Arc<Semaphore>,
    running: watch::Sender<Option<Running>>,
    stop: watch::Sender<bool>,
}

/// The run that is under way.
#[derive(Clone)]
struct Running {
    wanted: Arc<StartDryRun>,
    started_at: Timestamp,
    crowd: CrowdSize,
    at: watch::Receiver<Phase>,
}

impl Office {
    pub fn new(shop: DryRunNeeds, database: Database, open: OpenShop, config: &Config) -> Self {
        Self {
            shop,
            store: DryRunStore::new(database.clone()),
            database,
            open,
            limits: config.sales.clone(),
            hold_seconds_max: i64::try_from(config.inventory.hold_seconds_max).unwrap_or(i64::MAX),
            place: Arc::new(Semaphore::new(1)),
            running: watch::Sender::new(None),
            stop: watch::Sender::new(false),
        }
    }

    /// Removes what a run left behind whose engine was killed; none begins meanwhile.
    pub fn clear_up(&self, data_dir: PathBuf) {
        let Ok(place) = self.place.clone().try_acquire_owned() else { return };
        let database = self.database.clone();
        actix_rt::spawn(async move {
            if let Err(error) = Scratch::clean(&database, SUFFIX).await {
                tracing::warn!(%error, "what a dry run may have left behind stays");
            }
            let _ = std::fs::remove_dir_all(data_dir);
            drop(place);
        });
    }

    /// Ends the run that is under way, and lets none begin.
    pub async fn stop(&self, within: Duration) {
        self.stop.send_replace(true);
        match tokio::time::timeout(within, self.place.acquire()).await {
            Ok(_) => self.place.close(),
            Err(_) => tracing::warn!("stopped with a dry run under way; its database is left behind"),
        }
    }

    pub(super) async fn find(&self, sale: SaleId) -> Result<DryRun, DryRunError> {
        let running = self.running.borrow().clone().filter(|running| running.wanted.sale == sale);
        if let Some(running) = running {
            let phase = *running.at.borrow();
            return Ok(DryRun {
                by: Some(running.wanted.by),
                reason: running.wanted.reason.clone(),
                started_at: running.started_at,
                state: DryRunState::Running { crowd: running.crowd, phase },
            });
        }
        self.store.find_last_run(sale).await?.ok_or(DryRunError::NeverRun(sale))
    }

    /// Prepares the run and lets it go on by itself.
    pub(super) async fn start(&self, wanted: StartDryRun) -> Result<(), DryRunError> {
        let place = self.place.clone().try_acquire_owned().map_err(|_| DryRunError::Busy)?;
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
        let (tell_phase, at) = watch::channel(Phase::Preparing);
        let halt = watch::Sender::new(None);
        let play = Play {
            database: scratch.database.clone(),
            open: self.open.clone(),
            draft: sale.draft,
            quotes,
            crowd,
            at: tell_phase,
            mark: mark.clone(),
            halt: halt.subscribe(),
        };
        let running = Running { wanted: Arc::new(wanted), started_at, crowd, at };
        self.running.send_replace(Some(running.clone()));
        let office = self.clone();
        let under_way = UnderWay {
            office,
            number,
            running,
            mark,
            scratch,
            halt,
            before,
            skus,
            _shown: Shown(self.running.clone()),
            _place: place,
        };
        actix_rt::spawn(under_way.go_on(play));
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

    /// Refuses with a sale that is on, or is armed within this time.
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

    /// Returns with the reason why a run has to end before its time: the machine belongs to the buyers of a sale.
    async fn halted(&self) -> String {
        let mut stop = self.stop.subscribe();
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return "the engine stopped".to_owned(),
                () = tokio::time::sleep(LOOKS_EVERY) => {}
            }
            if let Err(error @ DryRunError::SaleIsOn { .. }) =
                self.check_that_no_sale_is_on(Duration::ZERO).await
            {
                return error.to_string();
            }
        }
    }

    /// What keeps the real sale from being run; a question that fails is a finding too.
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

/// A run is told as running until it ends, however it does.
struct Shown(watch::Sender<Option<Running>>);

impl Drop for Shown {
    fn drop(&mut self) {
        self.0.send_replace(None);
    }
}

/// A run that was begun.
struct UnderWay {
    office: Office,
    number: i64,
    running: Running,
    mark: String,
    scratch: Scratch,
    halt: watch::Sender<Option<String>>,
    before: BTreeMap<Sku, StockFigures>,
    skus: Vec<Sku>,
    _shown: Shown,
    _place: OwnedSemaphorePermit,
}

impl UnderWay {
    async fn go_on(self, run: Play) {
        let played = self.played(run).await;
        let outcome = match played {
            Ok(played) => self.report(played).await.map_err(|error| error.to_string()),
            Err(error) => Err(format!("{error:#}")),
        };
        let outcome = match outcome {
            Ok(report) => Ok(report),
            // What came to nothing must have touched nothing all the same.
            Err(failure) => match self.untouched(&[]).await {
                Ok(untouched) if untouched.is_untouched => Err(failure),
                Ok(_) => Err(format!("{failure}; the shop was touched")),
                Err(error) => Err(format!("{failure}; nobody knows whether the shop was touched: {error}")),
            },
        };
        let Self { office, number, running, scratch, .. } = self;
        if let Err(error) = scratch.drop().await {
            tracing::warn!(%error, "the database of a dry run is left behind, until the next one");
        }
        let sale = running.wanted.sale;
        match &outcome {
            Ok(report) => tracing::info!(
                %sale, placed = report.sale.orders.placed, untouched = report.untouched.is_untouched, "a sale was run dry"
            ),
            Err(failure) => tracing::warn!(%sale, failure, "a dry run came to nothing"),
        }
        let outcome = outcome.as_ref().map_err(String::as_str);
        if let Err(error) = office.store.end_run(number, Timestamp::now(), outcome).await {
            tracing::error!(%sale, %error, "what came of a dry run could not be kept");
        }
    }

    async fn played(&self, run: Play) -> anyhow::Result<Played> {
        let mut played = play(run)?;
        tokio::select! {
            played = &mut played => return played?,
            why = self.office.halted() => self.halt.send_replace(Some(why)),
        };
        played.await?
    }

    async fn report(&self, played: Played) -> Result<Report, DryRunError> {
        let Played { course, machine, contradictions, sales } = played;
        Ok(Report {
            crowd: self.running.crowd,
            sale: course,
            machine,
            contradictions,
            findings: self.office.findings(self.running.wanted.sale).await,
            untouched: self.untouched(&sales).await?,
        })
    }

    /// Looks whether the shop is as it was before the run; these were the sales of the run.
    async fn untouched(&self, sales: &[SaleId]) -> Result<Untouched, DryRunError> {
        let store = &self.office.store;
        let traces = store.count_traces(sales, Buyer::ids(), &self.mark).await?;
        // What is sold between the two looks would be in one of them only, so they are taken again until they agree.
        let mut looks = 0;
        loop {
            let moved = store.sum_movements(&self.before).await?;
            let after = store.list_stock(&self.skus).await?;
            let found = Untouched::of(traces, self.skus.iter().cloned(), &self.before, &moved, &after);
            looks += 1;
            if looks == LOOKS_MAX || found.items.iter().all(|item| item.is_explained) {
                return Ok(found);
            }
        }
    }
}

/// What is wanted, or else what is usual; 1 to `most`.
fn within(name: &'static str, wanted: Option<i64>, usual: i64, most: u32) -> Result<u32, InvalidValue> {
    let Some(wanted) = wanted else { return Ok(u32::try_from(usual).unwrap_or(most).min(most)) };
    u32::try_from(wanted)
        .ok()
        .filter(|wanted| (1..=most).contains(wanted))
        .ok_or_else(|| InvalidValue::new(name, format!("{wanted} is not between 1 and {most}")))
}
