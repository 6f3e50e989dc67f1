//! The shop of its own that a dry run is in: how it is filled, played in and closed, on a thread of its own.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::LocalBoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use tokio::sync::{oneshot, watch};

use super::crowd::Crowd;
use super::domain::ShadowNeeds;
use super::machine;
use super::messages::Phase;
use super::report::{Contradiction, Course, CrowdSize, Machine};
use crate::actors::catalog::{AddProduct, NewProduct, Product, Quote, Variant};
use crate::actors::inventory::{ReceiveStock, TrackSku};
use crate::actors::sales::{Action, AdmissionMode, CreateSale, MoveSale, PassKey, Sale, SaleDraft, Steered};
use crate::audit::examine;
use crate::storage::Database;
use crate::types::{ProductId, Quantity, SaleId};

/// SKUs that are looked after at the same time.
const AT_ONCE: usize = 16;
/// What is on its way when everybody has gone has arrived after that.
const SETTLES_WITHIN: Duration = Duration::from_secs(20);
/// What a run takes beside the time in which its sale is open.
pub(super) const BESIDE_THE_SALE: Duration = Duration::from_secs(90);

/// A shop that does not stop by then is left to the end of its thread.
const CLOSES_WITHIN: Duration = Duration::from_secs(60);

/// Opens a shop on an empty database; its actors are of the thread that asks, and have no figures.
pub type OpenShop =
    Arc<dyn Fn(Database) -> LocalBoxFuture<'static, anyhow::Result<ShadowShop>> + Send + Sync>;

/// A shop that was opened for a dry run.
pub struct ShadowShop {
    pub ports: ShadowNeeds,
    /// Reads the tickets and admissions that it gives out.
    pub passes: PassKey,
    pub close: CloseShop,
}

pub type CloseShop = Box<dyn FnOnce() -> LocalBoxFuture<'static, ()>>;

/// What is played, and where.
pub(super) struct Play {
    pub database: Database,
    pub open: OpenShop,
    pub draft: SaleDraft,
    /// One for each item.
    pub quotes: Vec<Quote>,
    pub crowd: CrowdSize,
    pub at: watch::Sender<Phase>,
    /// What its products and receipts are marked with.
    pub mark: String,
    /// Why it has to end before its time, once there is a reason.
    pub halt: watch::Receiver<Option<String>>,
}

/// What came of it.
pub(super) struct Played {
    pub course: Course,
    pub machine: Machine,
    pub contradictions: Vec<Contradiction>,
    /// The sales of the run, whose traces nobody must find elsewhere.
    pub sales: Vec<SaleId>,
}

/// Plays on a thread of its own; the answer comes when the shop is closed again.
pub(super) fn play(play: Play) -> std::io::Result<oneshot::Receiver<anyhow::Result<Played>>> {
    let (tell, told) = oneshot::channel();
    std::thread::Builder::new().name("dry run".to_owned()).spawn(move || {
        let _no_figures = metrics::set_default_local_recorder(&metrics::NoopRecorder);
        let system = actix_rt::System::new();
        let played = system.block_on(AssertUnwindSafe(play.through()).catch_unwind());
        let _ = tell.send(played.unwrap_or_else(|_| Err(anyhow::anyhow!("it panicked"))));
        // Whatever was left running ends with the thread.
        actix_rt::System::current().stop();
        let _ = system.run();
    })?;
    Ok(told)
}

impl Play {
    async fn through(mut self) -> anyhow::Result<Played> {
        let within = Duration::from_secs(u64::from(self.crowd.seconds)) + BESIDE_THE_SALE;
        let deadline = tokio::time::Instant::now() + within;
        let mut halt = self.halt.clone();
        let halted = async {
            match halt.wait_for(Option::is_some).await {
                Ok(why) => why.clone().unwrap_or_default(),
                Err(_) => "nobody waits for it any more".to_owned(),
            }
        };
        let mut shop = None;
        let played = tokio::select! {
            played = tokio::time::timeout_at(deadline, self.in_a_shop(&mut shop)) => match played {
                Ok(played) => played,
                Err(_) => Err(anyhow::anyhow!("it did not end within {} s", within.as_secs())),
            },
            why = halted => Err(anyhow::anyhow!(why)),
        };
        self.at.send_replace(Phase::Closing);
        if let Some(close) = shop
            && tokio::time::timeout(CLOSES_WITHIN, close()).await.is_err()
        {
            tracing::warn!("the shop of a dry run does not close in order");
        }
        played
    }

    async fn in_a_shop(&mut self, shop: &mut Option<CloseShop>) -> anyhow::Result<Played> {
        let ShadowShop { ports, passes, close } = (self.open)(self.database.clone()).await?;
        *shop = Some(close);
        self.acts(&Arc::new(ports), passes).await
    }

    async fn acts(&mut self, ports: &Arc<ShadowNeeds>, passes: PassKey) -> anyhow::Result<Played> {
        self.fill(ports).await.context("the shop could not be filled")?;
        let sale = self.announce(ports).await.context("the sale could not be armed")?;
        self.at.send_replace(Phase::Sale);
        let course = Crowd::new(ports.clone(), passes, &sale, self.crowd).course().await?;
        move_sale(ports, sale.id, Action::Close).await.context("the sale could not be closed")?;
        self.at.send_replace(Phase::Machine);
        let (limit, machine) = machine::limit(ports, &self.draft, self.crowd.at_once, &self.mark).await?;
        self.at.send_replace(Phase::Closing);
        let contradictions = self.contradictions().await?;
        Ok(Played { course, machine, contradictions, sales: vec![sale.id, limit] })
    }

    /// The SKUs of the plan, with the names and prices that they have in the real shop, and as many pieces as the sale gets.
    async fn fill(&self, ports: &ShadowNeeds) -> anyhow::Result<()> {
        let filled = stream::iter(self.draft.items.iter().zip(&self.quotes))
            .map(|(item, quote)| stock_up(ports, quote, item.allotment, &self.mark));
        filled.buffer_unordered(AT_ONCE).try_collect().await
    }

    /// The sale as it is planned, but soon, and only as long as the run.
    async fn announce(&self, ports: &ShadowNeeds) -> anyhow::Result<Sale> {
        let opens_at = Timestamp::now().checked_add(self.lead())?;
        let closes_at = opens_at.checked_add(Duration::from_secs(u64::from(self.crowd.seconds)))?;
        let draft = SaleDraft { opens_at, closes_at, ..self.draft.clone() };
        announce(ports, draft).await
    }

    /// From the plan to the opening: its SKUs are armed, and those who come before it queue.
    fn lead(&self) -> Duration {
        let arming = Duration::from_millis(2_000 + 10 * self.draft.items.len() as u64);
        match self.draft.terms.admission.mode {
            AdmissionMode::None => arming,
            _ => arming + Duration::from_secs(1 + u64::from(self.crowd.customers / 4_000)),
        }
    }

    /// Where the shop does not add up, once all that was on its way has arrived.
    async fn contradictions(&self) -> anyhow::Result<Vec<Contradiction>> {
        let connection = self.database.connect_unhurried().await?;
        let deadline = tokio::time::Instant::now() + SETTLES_WITHIN;
        loop {
            let found = examine(&connection, Duration::ZERO).await?;
            if found.is_empty() || tokio::time::Instant::now() > deadline {
                let told = found.into_iter().map(|found| Contradiction {
                    claim: found.claim.to_owned(),
                    subject: found.subject,
                    finding: found.finding,
                });
                return Ok(told.collect());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

/// Puts a SKU on sale and brings pieces of it into stock.
pub(super) async fn stock_up(
    ports: &ShadowNeeds,
    quote: &Quote,
    pieces: Quantity,
    mark: &str,
) -> anyhow::Result<()> {
    let sku = quote.sku.clone();
    let variant = Variant {
        sku: sku.clone(),
        attributes: Default::default(),
        price: quote.price,
        tax_rate: quote.tax_rate,
    };
    let name: String = quote.name.chars().take(NewProduct::NAME_MAX).collect();
    let product = Product {
        id: ProductId::generate(),
        description: name.clone(),
        name,
        category: mark.parse()?,
        variants: vec![variant],
    };
    ports.add_product.ask(AddProduct { product: NewProduct::new(product)? }).await?;
    ports.track_sku.ask(TrackSku { sku: sku.clone() }).await?;
    let receive = ReceiveStock { sku, quantity: pieces, reference: mark.to_owned() };
    ports.receive_stock.ask(receive).await?;
    Ok(())
}

/// Makes a sale that opens by itself at its time, armed.
pub(super) async fn announce(ports: &ShadowNeeds, draft: SaleDraft) -> anyhow::Result<Sale> {
    let sale = ports.create_sale.ask(CreateSale { draft, by: None }).await?;
    move_sale(ports, sale.id, Action::Schedule).await?;
    move_sale(ports, sale.id, Action::Arm).await
}

async fn move_sale(ports: &ShadowNeeds, sale: SaleId, action: Action) -> anyhow::Result<Sale> {
    let wanted = MoveSale { sale, action, ends: None, by: None, reason: "a dry run".to_owned() };
    match ports.move_sale.ask(wanted).await? {
        Steered::Done(sale) => Ok(sale),
        Steered::Proposed(_) => anyhow::bail!("a dry run has no second operator"),
    }
}
