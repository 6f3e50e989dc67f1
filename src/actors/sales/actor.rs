//! The sales actor: holds the gates in memory, carries out what operators want, and keeps the schedule.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, ResponseFuture, WrapFuture,
};
use jiff::Timestamp;

use super::error::SalesError;
use super::gates::{Confirmed, DECLINED, Gates, QuotaHold, Refusal};
use super::messages::*;
use super::model::{Action, Actor as By, AdmissionMode, Changed, Finding, Halt, Sale, SaleItem, SaleStatus};
use super::moves::Office;
use super::proposals::{Proposal, Steered, Wish};
use super::sale_skus::SaleSkus;
use crate::actors::inventory::{Allotment, Claimed, ListClaims};
use crate::actors::runtime::{Background, RunsInBackground, failpoint};
use crate::actors::waiting_room::TicketNumber;
use crate::storage::StorageError;
use crate::types::{OrderId, SaleId, Sku};

const BACK_OFF_FIRST: Duration = Duration::from_millis(50);
const BACK_OFF_MAX: Duration = Duration::from_secs(2);
/// How long a sale waits at most before it is tried again to wind it up, or to arm it when pieces lacked.
const UNHURRIED_BACK_OFF_MAX: Duration = Duration::from_secs(8);
/// How old figures may be that people look at.
const PARTS_EVERY: Duration = Duration::from_millis(250);
/// Announced sales on the list for everybody, and settled ones in memory; more than any shop runs at a time.
const ANNOUNCED_MAX: usize = 200;
/// Refusals in one statement.
const REFUSALS_AT_ONCE: usize = 5_000;
const SECOND: Duration = Duration::from_secs(1);

/// The gates live here; everything else is written and read by the office.
pub struct SalesActor {
    office: Office,
    gates: Gates,
    background: Background<Task>,
    /// How often in succession the schedule could not be kept.
    failures: HashMap<SaleId, u32>,
    /// Sales that are settled and took their leave of the gates, the latest opening first.
    settled: Vec<Arc<Sale>>,
    /// What waits for a second operator, as it is known.
    proposals: Vec<Proposal>,
    /// Counts what became of them here.
    proposals_turn: u64,
    /// The parts of gated sales as they were read last, so that many may look at them.
    parts: HashMap<SaleId, PartsRead>,
    /// Counts the turns of the switch for everything.
    switch_turn: u64,
    /// Counts the sales that took their leave.
    forgotten: u64,
}

/// The parts of a sale, and when they were asked for.
#[derive(Clone)]
struct PartsRead {
    at: Timestamp,
    parts: Arc<Parts>,
}

type Parts = Vec<(Sku, Allotment)>;

/// What the actor does in the background, each one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// Does what is due of one sale.
    KeepSchedule(SaleId),
    /// Writes the allotments of one sale into its plan.
    FollowParts(SaleId),
    ReadParts,
    LookAgain,
    StoreRefusals,
}

impl RunsInBackground for SalesActor {
    type Task = Task;

    fn background(&mut self) -> &mut Background<Task> {
        &mut self.background
    }

    fn background_panicked(&mut self, task: Task, context: &mut Context<Self>) {
        // Everything else begins again at its interval.
        if let Task::FollowParts(sale) = task {
            context.run_later(BACK_OFF_MAX, move |actor, context| actor.follow_parts(sale, context));
        }
    }
}

impl SalesActor {
    pub fn new(office: Office) -> Self {
        // Every life of the gates has another number than the one before.
        let epoch = u64::try_from(Timestamp::now().as_nanosecond() & i128::from(u64::MAX)).unwrap_or(0);
        let gates = Gates::new(epoch, office.gate_rules(), office.paces());
        Self {
            office,
            gates,
            background: Background::default(),
            failures: HashMap::new(),
            settled: Vec::new(),
            proposals: Vec::new(),
            proposals_turn: 0,
            parts: HashMap::new(),
            switch_turn: 0,
            forgotten: 0,
        }
    }

    /// Keeps every question waiting until the sales and all that was claimed in them are loaded.
    fn load(&self, context: &mut Context<Self>) {
        let office = self.office.clone();
        let loading =
            async move { until_done("the sales cannot be loaded", async || load(&office).await).await };
        context.wait(loading.into_actor(self).map(|loaded, actor, context| {
            actor.gates.set_stopped(loaded.is_stopped);
            actor.list_switch();
            actor.settled = loaded.settled.into_iter().map(Arc::new).collect();
            actor.proposals = loaded.proposals;
            for Unfinished { sale, claimed, read } in loaded.unfinished {
                let id = sale.id;
                actor.enter(sale);
                actor.gates.restore(id, &claimed, Timestamp::now());
                if !read.parts.is_empty() {
                    actor.follow_parts(id, context);
                    actor.parts.insert(id, read);
                }
            }
        }));
    }

    /// Retries writing changed allotments of a sale into its plan that a crash or outage interrupted.
    fn follow_parts(&mut self, sale: SaleId, context: &mut Context<Self>) {
        let (office, forgotten) = (self.office.clone(), self.forgotten);
        let following = async move {
            until_done("a changed allotment is not written into its plan yet", async || {
                office.follow_parts(sale).await
            })
            .await
        };
        self.run_in_background(Task::FollowParts(sale), context, following, move |actor, found, context| {
            actor.handle(Enter { sale: found, forgotten }, context);
        });
    }

    /// Does what the schedule wants by now, each sale beside the others.
    fn keep_schedule(&mut self, context: &mut Context<Self>) {
        let now = Timestamp::now();
        let arm_from = now.checked_add(self.office.arm_before).unwrap_or(now);
        let due: Vec<(Arc<Sale>, Option<Action>)> = self
            .gates
            .sales()
            .filter(|sale| !self.background.is_running(&Task::KeepSchedule(sale.id)))
            .filter_map(|sale| match sale.due(now, arm_from) {
                Some(action) => Some((sale.clone(), Some(action))),
                None if sale.status.is_over() && !sale.is_stock_returned => Some((sale.clone(), None)),
                None if sale.status == SaleStatus::Draining => Some((sale.clone(), None)),
                None => None,
            })
            .collect();
        for (sale, action) in due {
            let id = sale.id;
            let failures = self.failures.get(&id).copied().unwrap_or(0);
            let (office, forgotten) = (self.office.clone(), self.forgotten);
            let keeping = async move {
                let kept = match action {
                    Some(action) => office.keep(&sale, action).await,
                    None => office.wind_up(&sale).await,
                };
                if let Err(error) = &kept {
                    // A sale that is to be armed or opened is late already, but pieces that lack come from elsewhere.
                    let lacks_pieces = matches!(error, SalesError::NotReady { .. });
                    let longest =
                        if action.is_some() && !lacks_pieces { SECOND } else { UNHURRIED_BACK_OFF_MAX };
                    let back_off = SECOND.saturating_mul(2_u32.saturating_pow(failures)).min(longest);
                    match failures {
                        0 => {
                            tracing::warn!(sale = %sale.id, %error, "the schedule of a sale could not be kept; it is tried again")
                        }
                        _ => {
                            tracing::debug!(sale = %sale.id, %error, ?back_off, "the schedule of a sale is not kept yet")
                        }
                    }
                    tokio::time::sleep(back_off).await;
                }
                kept.map_err(drop)
            };
            self.run_in_background(Task::KeepSchedule(id), context, keeping, move |actor, kept, context| {
                actor.enter_kept(id, kept, forgotten, context);
            });
        }
    }

    /// Reads the parts of the sales that people look at.
    fn read_parts(&mut self, context: &mut Context<Self>) {
        let gated: Vec<SaleId> =
            self.gates.sales().filter(|sale| sale.status.is_gated()).map(|sale| sale.id).collect();
        self.parts.retain(|sale, _| gated.contains(sale));
        if gated.is_empty() {
            return;
        }
        let office = self.office.clone();
        let reading = async move {
            let mut all = Vec::with_capacity(gated.len());
            for sale in gated {
                let at = Timestamp::now();
                match office.parts(sale).await {
                    Ok(parts) => all.push((sale, PartsRead { at, parts: Arc::new(parts) })),
                    Err(error) => tracing::debug!(%sale, %error, "the parts of a sale could not be read"),
                }
            }
            all
        };
        self.run_in_background(Task::ReadParts, context, reading, |actor, all, _| actor.parts.extend(all));
    }

    /// Reads the sales, the proposals and the switch once more: what was written by a life of this actor that ended
    /// meanwhile, or by another engine, is in effect within a second.
    fn look_again(&mut self, context: &mut Context<Self>) {
        let (store, turn) = (self.office.store.clone(), self.switch_turn);
        let (proposals_turn, forgotten) = (self.proposals_turn, self.forgotten);
        let reading = async move {
            let sales = store.list_sales(true, i64::MAX).await?;
            let proposals = store.list_proposals(Timestamp::now()).await?;
            Ok::<_, StorageError>((sales, proposals, store.find_switch().await?))
        };
        self.run_in_background(Task::LookAgain, context, reading, move |actor, read, context| match read {
            Ok((sales, proposals, stopped)) => {
                sales.into_iter().for_each(|sale| actor.handle(Enter { sale, forgotten }, context));
                if proposals_turn == actor.proposals_turn {
                    actor.proposals = proposals;
                }
                actor.handle(EnterSwitch { stopped, turn }, context);
            }
            Err(error) => tracing::debug!(%error, "the sales could not be read once more"),
        });
    }

    /// Behind the answers: what is lost with the engine was told to whoever asked all the same. What cannot be written is
    /// written with the next second's; if it was written and nobody knows, it counts twice.
    fn write_refusals_down(&mut self, context: &mut Context<Self>) {
        if self.background.is_running(&Task::StoreRefusals) {
            return;
        }
        let mut refusals = self.gates.take_refusals();
        if refusals.is_empty() {
            return;
        }
        // Rows are locked in one order, whoever writes them.
        refusals.sort_unstable_by_key(|(sale, customer, refused)| (*sale, *customer, refused.gate));
        let store = self.office.store.clone();
        let storing = async move {
            let mut unwritten = Vec::new();
            for some in refusals.chunks(REFUSALS_AT_ONCE) {
                if let Err(error) = store.count_refusals(some).await {
                    tracing::warn!(%error, count = some.len(), "refusals are written down later");
                    unwritten.extend_from_slice(some);
                }
            }
            unwritten
        };
        self.run_in_background(Task::StoreRefusals, context, storing, |actor, unwritten, _| {
            actor.gates.keep_refusals(unwritten);
        });
    }

    /// The schedule is done with a sale for now. Takes in the sale as it is then, if it was looked at.
    fn enter_kept(
        &mut self,
        sale: SaleId,
        kept: Result<Option<Sale>, ()>,
        forgotten: u64,
        context: &mut Context<Self>,
    ) {
        match kept {
            Err(()) => *self.failures.entry(sale).or_default() += 1,
            Ok(now) => {
                if self.failures.remove(&sale).is_some() {
                    tracing::info!(%sale, "the schedule of a sale is kept again");
                }
                now.into_iter().for_each(|sale| self.handle(Enter { sale, forgotten }, context));
            }
        }
        self.forget_if_done(sale);
    }

    /// Takes a sale in as it is now, unless a later state of it is known.
    fn enter(&mut self, sale: Sale) {
        let id = sale.id;
        self.gates.enter(sale);
        if let Some(sale) = self.gates.sale(id) {
            self.office.sale_skus.follow(sale, Instant::now());
        }
    }

    /// Puts the switch for everything on the list that orders copies.
    fn list_switch(&self) {
        self.office.sale_skus.set_everything_stopped(self.gates.is_stopped(), Instant::now());
    }

    /// A sale that is over and has returned its stock takes no more memory. What was read of it before does not bring it back.
    fn forget_if_done(&mut self, sale: SaleId) {
        let is_done = |sale: &&Arc<Sale>| {
            matches!(sale.status, SaleStatus::Settled | SaleStatus::Cancelled) && sale.is_stock_returned
        };
        let Some(done) = self.gates.sale(sale).filter(is_done).cloned() else { return };
        self.gates.forget(sale);
        self.forgotten += 1;
        if done.status == SaleStatus::Settled {
            self.settled.retain(|other| other.id != sale);
            self.settled.push(done);
            self.settled.sort_by_key(|sale| (std::cmp::Reverse(sale.draft.opens_at), sale.id));
            self.settled.truncate(ANNOUNCED_MAX);
        }
    }

    fn announced(&self, sale: Arc<Sale>) -> Announced {
        let parts = match self.parts.get(&sale.id) {
            Some(read) => read.parts.clone(),
            // It was armed just now, and has all that it was given.
            None if sale.status.is_gated() => {
                let whole =
                    |item: &SaleItem| (item.sku.clone(), Allotment::of(sale.id, item.allotment.get()));
                Arc::new(sale.draft.items.iter().map(whole).collect())
            }
            None => Arc::default(),
        };
        Announced { sale, is_everything_stopped: self.gates.is_stopped(), parts }
    }

    /// Whether a wish is carried out when it is asked for now, as far as is known here: then it is in effect before that is
    /// written.
    fn is_agreed(&self, wish: &Wish, by: By) -> bool {
        let now = Timestamp::now();
        self.office
            .first_of_two(wish, by)
            .is_none_or(|by| self.proposals.iter().any(|proposal| proposal.is_agreed_to(wish, by, now)))
    }

    /// Carries something out, then takes the sale in as it is now.
    fn carry_out<F>(&self, context: &Context<Self>, work: F) -> ResponseFuture<Result<Sale, SalesError>>
    where
        F: Future<Output = Result<Sale, SalesError>> + 'static,
    {
        let (actor, forgotten) = (context.address(), self.forgotten);
        Box::pin(async move {
            let sale = work.await?;
            // Gone only when the actor is; the next one loads the sale as it is.
            let _ = actor.send(Enter { sale: sale.clone(), forgotten }).await;
            Ok(sale)
        })
    }
}

/// Does something as often as it takes.
async fn until_done<T>(trouble: &str, work: impl AsyncFn() -> Result<T, SalesError>) -> T {
    let mut back_off = BACK_OFF_FIRST;
    loop {
        match work().await {
            Ok(done) => return done,
            Err(error) => tracing::warn!(%error, ?back_off, "{trouble}"),
        }
        tokio::time::sleep(back_off).await;
        back_off = (back_off * 2).min(BACK_OFF_MAX);
    }
}

/// What is kept in memory.
struct Loaded {
    is_stopped: bool,
    unfinished: Vec<Unfinished>,
    settled: Vec<Sale>,
    proposals: Vec<Proposal>,
}

struct Unfinished {
    sale: Sale,
    claimed: Vec<Claimed>,
    read: PartsRead,
}

async fn load(office: &Office) -> Result<Loaded, SalesError> {
    let is_stopped = office.store.find_switch().await?;
    let mut unfinished = Vec::new();
    for sale in office.store.list_sales(true, i64::MAX).await? {
        let (at, is_gated) = (Timestamp::now(), sale.status.is_gated());
        let claimed = match is_gated {
            true => office.ports.list_claims.ask(ListClaims { sale: sale.id, order: None }).await?,
            false => Vec::new(),
        };
        let parts = if is_gated { office.parts(sale.id).await? } else { Parts::new() };
        unfinished.push(Unfinished { sale, claimed, read: PartsRead { at, parts: Arc::new(parts) } });
    }
    let settled = office.store.list_settled_sales(ANNOUNCED_MAX).await?;
    let proposals = office.store.list_proposals(Timestamp::now()).await?;
    Ok(Loaded { is_stopped, unfinished, settled, proposals })
}

impl Actor for SalesActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        self.load(context);
        context.run_interval(self.office.schedule_every, Self::keep_schedule);
        context.run_interval(PARTS_EVERY, Self::read_parts);
        context.run_interval(SECOND, |actor, context| {
            actor.gates.end_second();
            actor.write_refusals_down(context);
            actor.look_again(context);
        });
    }
}

impl Handler<CreateSale> for SalesActor {
    type Result = ResponseFuture<Result<Sale, SalesError>>;

    fn handle(&mut self, message: CreateSale, context: &mut Context<Self>) -> Self::Result {
        let office = self.office.clone();
        self.carry_out(context, async move { office.create(message.draft, message.by).await })
    }
}

impl Handler<ReplanSale> for SalesActor {
    type Result = ResponseFuture<Result<Sale, SalesError>>;

    fn handle(&mut self, message: ReplanSale, context: &mut Context<Self>) -> Self::Result {
        let office = self.office.clone();
        self.carry_out(context, async move { office.replan(message).await })
    }
}

impl Handler<GetSale> for SalesActor {
    type Result = ResponseFuture<Result<Sale, SalesError>>;

    fn handle(&mut self, GetSale { sale }: GetSale, _: &mut Context<Self>) -> Self::Result {
        // What is not over is here already.
        if let Some(sale) = self.gates.sale(sale) {
            return Box::pin(std::future::ready(Ok(Sale::clone(sale))));
        }
        let office = self.office.clone();
        Box::pin(async move { office.sale(sale).await })
    }
}

impl Handler<ListSales> for SalesActor {
    type Result = ResponseFuture<Result<Vec<Sale>, SalesError>>;

    fn handle(&mut self, ListSales { limit }: ListSales, _: &mut Context<Self>) -> Self::Result {
        let office = self.office.clone();
        Box::pin(async move { Ok(office.store.list_sales(false, limit).await?) })
    }
}

impl Handler<ListAnnounced> for SalesActor {
    type Result = Result<Vec<Announced>, SalesError>;

    fn handle(&mut self, _: ListAnnounced, _: &mut Context<Self>) -> Self::Result {
        let unfinished = self.gates.sales().filter(|sale| sale.status.is_announced());
        // One that is settled and has pieces to return is in the gates as well.
        let settled = self.settled.iter().filter(|sale| self.gates.sale(sale.id).is_none());
        let mut sales: Vec<Arc<Sale>> = unfinished.chain(settled).cloned().collect();
        sales.sort_by_key(|sale| (std::cmp::Reverse(sale.draft.opens_at), sale.id));
        sales.truncate(ANNOUNCED_MAX);
        Ok(sales.into_iter().map(|sale| self.announced(sale)).collect())
    }
}

impl Handler<GetAnnounced> for SalesActor {
    type Result = ResponseFuture<Result<Announced, SalesError>>;

    fn handle(&mut self, GetAnnounced { sale: id }: GetAnnounced, _: &mut Context<Self>) -> Self::Result {
        let settled = || self.settled.iter().find(|sale| sale.id == id);
        if let Some(sale) = self.gates.sale(id).or_else(settled) {
            let is_announced = sale.status.is_announced();
            let found = is_announced.then(|| self.announced(sale.clone()));
            return Box::pin(std::future::ready(found.ok_or(SalesError::UnknownSale(id))));
        }
        // Settled long ago, if it is a sale at all.
        let (office, is_everything_stopped) = (self.office.clone(), self.gates.is_stopped());
        Box::pin(async move {
            let sale = office.sale(id).await?;
            if !sale.status.is_announced() {
                return Err(SalesError::UnknownSale(id));
            }
            Ok(Announced { sale: Arc::new(sale), is_everything_stopped, parts: Arc::default() })
        })
    }
}

impl Handler<ValidateSale> for SalesActor {
    type Result = ResponseFuture<Result<Vec<Finding>, SalesError>>;

    fn handle(&mut self, ValidateSale { sale }: ValidateSale, _: &mut Context<Self>) -> Self::Result {
        let office = self.office.clone();
        Box::pin(async move { office.validate(&office.sale(sale).await?).await })
    }
}

impl Handler<MoveSale> for SalesActor {
    type Result = ResponseFuture<Result<Steered<Sale>, SalesError>>;

    fn handle(&mut self, message: MoveSale, context: &mut Context<Self>) -> Self::Result {
        let MoveSale { sale, action, mut ends, by, reason } = message;
        // In effect before it is written: a database that hangs keeps nobody from stopping a sale.
        let now = Instant::now();
        let bar = match action {
            Action::Kill if !self.is_agreed(&Wish::KillSale { sale }, by) => None,
            Action::Kill => Some(self.gates.bar(sale, Refusal::Stopped("the sale".to_owned()), now)),
            Action::Pause => Some(self.gates.bar(sale, Refusal::Paused, now)),
            action if action.keeps_out() => {
                Some(self.gates.bar(sale, Refusal::NotOpen { opens_in: None }, now))
            }
            _ => None,
        };
        let bars = match action {
            Action::Resume => {
                // As the sale stands when it is asked for.
                let halt = match (ends, &*self.gates.halts(sale)) {
                    (Some(halt), _) | (None, &[halt]) => halt,
                    (None, []) => Halt::Pause,
                    (None, _) => return Box::pin(std::future::ready(Err(SalesError::TwoHalts))),
                };
                ends = Some(halt);
                Bars::OfSale(halt, self.gates.last_bar())
            }
            _ => Bars::One(bar),
        };
        let (office, actor, forgotten) = (self.office.clone(), context.address(), self.forgotten);
        Box::pin(async move {
            let moved = office.carry_out(sale, action, ends, by, &reason).await;
            match &moved {
                Ok(Steered::Done(moved)) => {
                    let _ = actor.send(Enter { sale: moved.clone(), forgotten }).await;
                    actor.do_send(Lift { sale, bars });
                }
                Ok(Steered::Proposed(_)) => actor.do_send(Lift { sale, bars }),
                // It is as it was, and whoever was kept out may come in again. After a failure nobody may: who wanted
                // it stopped does not know that it is not.
                Err(error) if is_refusal(error) && action != Action::Resume => {
                    actor.do_send(Lift { sale, bars })
                }
                Err(_) => {}
            }
            if action == Action::Kill {
                tell_proposal(&actor, Wish::KillSale { sale }, &moved).await;
            }
            moved
        })
    }
}

fn is_refusal(error: &SalesError) -> bool {
    use crate::error::{Fault as _, Kind};
    matches!(error.kind(), Kind::Conflict | Kind::NotFound | Kind::Invalid)
}

impl Handler<SwitchItem> for SalesActor {
    type Result = ResponseFuture<Result<Steered<Sale>, SalesError>>;

    fn handle(&mut self, message: SwitchItem, context: &mut Context<Self>) -> Self::Result {
        // In effect before it is written, as above.
        let (id, sku) = (message.sale, message.sku.clone());
        let wish = message.stopped.then(|| Wish::KillItem { sale: id, sku: sku.clone() });
        let bars = match &wish {
            Some(wish) => Bars::One(
                self.is_agreed(wish, message.by).then(|| self.gates.bar_sku(id, &sku, Instant::now())),
            ),
            None => Bars::OfSku(sku, self.gates.last_bar()),
        };
        let (office, actor, forgotten) = (self.office.clone(), context.address(), self.forgotten);
        Box::pin(async move {
            let switched = office.switch_item(message).await;
            match &switched {
                Ok(Steered::Done(sale)) => {
                    let _ = actor.send(Enter { sale: sale.clone(), forgotten }).await;
                    actor.do_send(Lift { sale: id, bars });
                }
                Ok(Steered::Proposed(_)) => actor.do_send(Lift { sale: id, bars }),
                Err(error) if is_refusal(error) && wish.is_some() => actor.do_send(Lift { sale: id, bars }),
                Err(_) => {}
            }
            if let Some(wish) = wish {
                tell_proposal(&actor, wish, &switched).await;
            }
            switched
        })
    }
}

/// Tells the actor itself that what kept buyers out stands in the sale by now, or does not.
#[derive(Message)]
#[rtype(result = "()")]
struct Lift {
    sale: SaleId,
    bars: Bars,
}

enum Bars {
    /// The one that was set for a change, if one was.
    One(Option<u64>),
    /// Those of a SKU that were set before it was resumed.
    OfSku(Sku, u64),
    /// Those of the sale as a whole.
    OfSale(Halt, u64),
}

impl Handler<Lift> for SalesActor {
    type Result = ();

    fn handle(&mut self, Lift { sale, bars }: Lift, _: &mut Context<Self>) {
        match bars {
            Bars::One(bar) => bar.into_iter().for_each(|bar| self.gates.lift(sale, bar)),
            Bars::OfSku(sku, last) => self.gates.lift_of_sku(sale, &sku, last),
            Bars::OfSale(ended, last) => self.gates.lift_of_sale(sale, ended, last),
        }
    }
}

/// The same for everything; a bar of a later turn stays.
#[derive(Message)]
#[rtype(result = "()")]
struct LiftEverything {
    turn: u64,
}

impl Handler<LiftEverything> for SalesActor {
    type Result = ();

    fn handle(&mut self, LiftEverything { turn }: LiftEverything, _: &mut Context<Self>) {
        if turn == self.switch_turn {
            self.gates.lift_everything();
            self.list_switch();
        }
    }
}

impl Handler<SwitchEverything> for SalesActor {
    type Result = ResponseFuture<Result<Steered<bool>, SalesError>>;

    fn handle(&mut self, message: SwitchEverything, context: &mut Context<Self>) -> Self::Result {
        let SwitchEverything { stopped, by, reason } = message;
        let is_agreed = !stopped || self.is_agreed(&Wish::KillEverything, by);
        if is_agreed {
            // Of two that overlap, the later one counts.
            self.switch_turn += 1;
        }
        if stopped && is_agreed {
            self.gates.bar_everything();
            self.list_switch();
        }
        let turn = self.switch_turn;
        let (office, actor) = (self.office.clone(), context.address());
        Box::pin(async move {
            let switched = office.switch_everything(stopped, by, &reason).await;
            if stopped {
                tell_proposal(&actor, Wish::KillEverything, &switched).await;
            }
            if let Ok(Steered::Done(stopped)) = switched {
                let _ = actor.send(EnterSwitch { stopped, turn }).await;
            }
            // As with a sale: after a failure nobody may come in.
            let may_come_in = match &switched {
                Ok(_) => true,
                Err(error) => stopped && is_refusal(error),
            };
            if is_agreed && may_come_in {
                actor.do_send(LiftEverything { turn });
            }
            if let Ok(Steered::Done(true)) = switched {
                // Orders outside of sales are stopped by the list that orders copies.
                tokio::time::sleep_until(office.sale_skus.stopped_in_force_at().into()).await;
            }
            switched
        })
    }
}

impl Handler<ChangeItem> for SalesActor {
    type Result = ResponseFuture<Result<Steered<Sale>, SalesError>>;

    fn handle(&mut self, message: ChangeItem, context: &mut Context<Self>) -> Self::Result {
        let (office, actor, forgotten) = (self.office.clone(), context.address(), self.forgotten);
        let ChangeItem { sale, sku, allotment, expected, .. } = message.clone();
        Box::pin(async move {
            let changed = office.change_item(message).await;
            match &changed {
                Ok(Steered::Done(sale)) => {
                    let _ = actor.send(Enter { sale: sale.clone(), forgotten }).await;
                }
                Ok(Steered::Proposed(_)) => {}
                // Perhaps the stock's owner has changed it, and only the plan says something else.
                Err(_) => actor.do_send(FollowParts { sale }),
            }
            tell_proposal(&actor, Wish::Lower { sale, sku, allotment, expected }, &changed).await;
            changed
        })
    }
}

/// Tells the actor itself that a sale's plan may say something else than what is set apart for it.
#[derive(Message)]
#[rtype(result = "()")]
struct FollowParts {
    sale: SaleId,
}

impl Handler<FollowParts> for SalesActor {
    type Result = ();

    fn handle(&mut self, FollowParts { sale }: FollowParts, context: &mut Context<Self>) {
        // One that is not known has nothing set apart.
        if self.gates.sale(sale).is_some() {
            self.follow_parts(sale, context);
        }
    }
}

/// Tells the actor itself whether a wish waits for a second operator by now.
async fn tell_proposal<T>(actor: &Addr<SalesActor>, wish: Wish, outcome: &Result<Steered<T>, SalesError>) {
    let kept = match outcome {
        Ok(Steered::Proposed(proposal)) => Some(proposal.clone()),
        Ok(Steered::Done(_)) => None,
        // It is looked at again within a second.
        Err(_) => return,
    };
    let _ = actor.send(EnterProposal { wish, kept }).await;
}

#[derive(Message)]
#[rtype(result = "()")]
struct EnterProposal {
    wish: Wish,
    kept: Option<Proposal>,
}

impl Handler<EnterProposal> for SalesActor {
    type Result = ();

    fn handle(&mut self, EnterProposal { wish, kept }: EnterProposal, _: &mut Context<Self>) {
        self.proposals_turn += 1;
        self.proposals.retain(|proposal| proposal.wish != wish);
        self.proposals.extend(kept);
    }
}

impl Handler<ListProposals> for SalesActor {
    type Result = Result<Vec<Proposal>, SalesError>;

    fn handle(&mut self, _: ListProposals, _: &mut Context<Self>) -> Self::Result {
        let now = Timestamp::now();
        Ok(self.proposals.iter().filter(|proposal| now < proposal.lapses_at).cloned().collect())
    }
}

impl Handler<WithdrawProposal> for SalesActor {
    type Result = ResponseFuture<Result<Proposal, SalesError>>;

    fn handle(&mut self, message: WithdrawProposal, context: &mut Context<Self>) -> Self::Result {
        let (office, actor) = (self.office.clone(), context.address());
        Box::pin(async move {
            let withdrawn = office.withdraw(message).await?;
            let _ = actor.send(EnterProposal { wish: withdrawn.wish.clone(), kept: None }).await;
            Ok(withdrawn)
        })
    }
}

impl Handler<ListChanges> for SalesActor {
    type Result = ResponseFuture<Result<Vec<Changed>, SalesError>>;

    fn handle(&mut self, ListChanges { sale }: ListChanges, _: &mut Context<Self>) -> Self::Result {
        let office = self.office.clone();
        Box::pin(async move {
            office.sale(sale).await?;
            Ok(office.store.list_changes(sale).await?)
        })
    }
}

impl Handler<GetLive> for SalesActor {
    type Result = ResponseFuture<Result<Live, SalesError>>;

    fn handle(&mut self, GetLive { sale }: GetLive, _: &mut Context<Self>) -> Self::Result {
        let known = self.gates.sale(sale).cloned();
        let (tally, seconds) = self.gates.tally(sale).unwrap_or_default();
        let (office, is_everything_stopped) = (self.office.clone(), self.gates.is_stopped());
        let unwritten = self.gates.unwritten(sale, Instant::now());
        let read = self.parts.get(&sale).cloned();
        Box::pin(async move {
            let read = match read {
                Some(read) => Some(read),
                // It has no parts yet, or gave them up.
                None if known.as_ref().is_some_and(|sale| !sale.status.is_gated()) => None,
                None => Some(PartsRead { at: Timestamp::now(), parts: Arc::new(office.parts(sale).await?) }),
            };
            let (read_at, parts) =
                read.map_or_else(Default::default, |read| (Some(read.at), Parts::clone(&read.parts)));
            let sale = match known {
                Some(sale) => sale,
                None => Arc::new(office.sale(sale).await?),
            };
            Ok(Live { sale, is_everything_stopped, unwritten, parts, read_at, tally, seconds })
        })
    }
}

impl Handler<HoldQuota> for SalesActor {
    type Result = Result<Option<Arc<QuotaHold>>, SalesError>;

    fn handle(&mut self, message: HoldQuota, _: &mut Context<Self>) -> Self::Result {
        let HoldQuota { request, held } = message;
        let now = Timestamp::now();
        if let Some(held) = held {
            self.gates.hold_again(&request, &held, now)?;
            return Ok(Some(held));
        }
        failpoint::hit("sales", request.customer);
        let held = self.gates.hold(&request, now);
        let held = held.inspect_err(|refusal| {
            metrics::counter!("shobai_sale_refusals_total", "gate" => refusal.gate()).increment(1);
        });
        Ok(held?.map(Arc::new))
    }
}

impl Handler<NoteAccepted> for SalesActor {
    type Result = Result<(), SalesError>;

    fn handle(&mut self, message: NoteAccepted, _: &mut Context<Self>) -> Self::Result {
        let NoteAccepted { sale, order, arrived_at } = message;
        self.gates.accept(sale, order, arrived_at, Timestamp::now());
        Ok(())
    }
}

impl Handler<ConfirmQuota> for SalesActor {
    type Result = ResponseFuture<Result<(), SalesError>>;

    fn handle(&mut self, message: ConfirmQuota, context: &mut Context<Self>) -> Self::Result {
        let ConfirmQuota { sale, order } = message;
        if self.gates.confirm(sale, order) == Confirmed::Done {
            return Box::pin(std::future::ready(Ok(())));
        }
        let (list_claims, actor) = (self.office.ports.list_claims.clone(), context.address());
        Box::pin(async move {
            let claimed = list_claims.ask(ListClaims { sale, order: Some(order) }).await?;
            // Fails only when the actor has ended; the next one counts the order from the beginning.
            let _ = actor.send(CountPaid { sale, order, claimed }).await;
            Ok(())
        })
    }
}

/// Tells the actor itself what an order has that was paid after its stock had expired, and that is to count once more.
#[derive(Message)]
#[rtype(result = "()")]
struct CountPaid {
    sale: SaleId,
    order: OrderId,
    claimed: Vec<Claimed>,
}

impl Handler<CountPaid> for SalesActor {
    type Result = ();

    fn handle(&mut self, CountPaid { sale, order, claimed }: CountPaid, _: &mut Context<Self>) {
        if self.gates.confirm(sale, order) == Confirmed::NotCounted {
            self.gates.restore(sale, &claimed, Timestamp::now());
        }
    }
}

impl Handler<ReleaseQuota> for SalesActor {
    type Result = Result<(), SalesError>;

    fn handle(&mut self, message: ReleaseQuota, _: &mut Context<Self>) -> Self::Result {
        let ReleaseQuota { sale, order, end } = message;
        let now = Timestamp::now();
        if let Some(sale) = sale {
            match end {
                QuotaEnd::NoOrder => {}
                QuotaEnd::Refused { customer, by } => self.gates.refuse(sale, customer, by.gate(), now),
                QuotaEnd::Declined { customer } => self.gates.refuse(sale, customer, DECLINED, now),
            }
        }
        self.gates.release(sale, order, now);
        Ok(())
    }
}

impl Handler<ListHeldQuotas> for SalesActor {
    type Result = Result<Vec<(OrderId, SaleId)>, SalesError>;

    fn handle(&mut self, message: ListHeldQuotas, _: &mut Context<Self>) -> Self::Result {
        let ListHeldQuotas { begun_before, after, limit } = message;
        Ok(self.gates.list_in_checkout(begun_before, after, usize::try_from(limit).unwrap_or(0)))
    }
}

impl Handler<GetSaleSkus> for SalesActor {
    type Result = Result<Option<Arc<SaleSkus>>, SalesError>;

    fn handle(&mut self, GetSaleSkus { known }: GetSaleSkus, _: &mut Context<Self>) -> Self::Result {
        Ok(self.office.sale_skus.read(known))
    }
}

impl Handler<NoteRefusal> for SalesActor {
    type Result = Result<(), SalesError>;

    fn handle(&mut self, message: NoteRefusal, _: &mut Context<Self>) -> Self::Result {
        let NoteRefusal { sale, customer, door } = message;
        metrics::counter!("shobai_queue_refusals_total", "door" => door).increment(1);
        self.gates.note(sale, customer, door, Timestamp::now());
        Ok(())
    }
}

impl Handler<GetTraces> for SalesActor {
    type Result = ResponseFuture<Result<Traces, SalesError>>;

    fn handle(&mut self, message: GetTraces, _: &mut Context<Self>) -> Self::Result {
        let office = self.office.clone();
        let GetTraces { sale, customer } = message;
        Box::pin(async move {
            office.sale(sale).await?;
            Ok(Traces {
                entries: office.store.list_customer_entries(sale, customer).await?,
                changes: office.store.list_customer_changes(sale, customer).await?,
                refusals: office.store.list_refusals(sale, customer).await?,
            })
        })
    }
}

impl Handler<ListUses> for SalesActor {
    type Result = Result<HashSet<TicketNumber>, SalesError>;

    fn handle(&mut self, ListUses { sale }: ListUses, _: &mut Context<Self>) -> Self::Result {
        self.gates.used_admissions(sale).ok_or(SalesError::UnknownSale(sale))
    }
}

impl Handler<LookAtSales> for SalesActor {
    type Result = Result<SalesSeen, SalesError>;

    fn handle(&mut self, LookAtSales { heard }: LookAtSales, _: &mut Context<Self>) -> Self::Result {
        let now = Timestamp::now();
        let seen = |sale: &Arc<Sale>| {
            let parts = self.parts.get(&sale.id).map_or(&[][..], |read| &read.parts[..]).iter();
            let sum = |figure: fn(&Allotment) -> i64| parts.clone().map(|(_, part)| figure(part)).sum();
            let sellable = parts.clone().filter(|(sku, _)| !self.gates.is_sku_stopped(sale.id, sku));
            SaleSeen {
                sale: sale.clone(),
                is_selling: self.gates.is_selling(sale.id, now),
                allotment: sum(|part| part.allotment),
                remaining: sum(Allotment::remaining),
                orderable: sellable.map(|(_, part)| part.remaining()).sum(),
                held: sum(|part| part.held),
            }
        };
        let has_room = |sale: &&Arc<Sale>| {
            sale.draft.terms.admission.mode != AdmissionMode::None
                && (sale.status.is_gated() || sale.status == SaleStatus::Scheduled)
        };
        let sales = self.gates.sales().filter(has_room).map(seen).collect();
        let (latency_p99, depth) = self.gates.load();
        let parts = &self.parts;
        let read_at = |sale| parts.get(&sale).map(|read: &PartsRead| read.at);
        let (admissions, heard, untold) = self.gates.tell_admissions(heard, read_at);
        let told_to = untold.map_or(now, |untold| untold.min(now));
        Ok(SalesSeen { sales, admissions, heard, told_to, latency_p99, depth })
    }
}

/// Tells the actor itself how a sale is now.
#[derive(Message)]
#[rtype(result = "()")]
struct Enter {
    sale: Sale,
    /// How many had been forgotten when it was read.
    forgotten: u64,
}

impl Handler<Enter> for SalesActor {
    type Result = ();

    fn handle(&mut self, Enter { sale, forgotten }: Enter, _: &mut Context<Self>) {
        let id = sale.id;
        if forgotten != self.forgotten && self.gates.sale(id).is_none() {
            // It may be one that was forgotten meanwhile; if it is not, it is read again within a second.
            return;
        }
        self.enter(sale);
        self.forget_if_done(id);
    }
}

/// Tells the actor itself how the switch for everything is now.
#[derive(Message)]
#[rtype(result = "()")]
struct EnterSwitch {
    stopped: bool,
    /// Of the turn that it tells of; a later turn is on its way otherwise.
    turn: u64,
}

impl Handler<EnterSwitch> for SalesActor {
    type Result = ();

    fn handle(&mut self, EnterSwitch { stopped, turn }: EnterSwitch, _: &mut Context<Self>) {
        if turn == self.switch_turn {
            self.gates.set_stopped(stopped);
            self.list_switch();
        }
    }
}
