//! The sales actor: holds the gates in memory, carries out what operators want, and keeps the schedule.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture, WrapFuture};
use jiff::Timestamp;

use super::error::SalesError;
use super::gates::{Gates, Passage, Refusal};
use super::messages::*;
use super::model::{Action, AdmissionMode, Changed, Finding, Sale, SaleStatus};
use super::moves::Office;
use crate::actors::inventory::{Allotment, Claimed, ListClaims};
use crate::actors::runtime::faults;
use crate::storage::StorageError;
use crate::types::{SaleId, Sku};

const BACK_OFF_FIRST: Duration = Duration::from_millis(50);
const BACK_OFF_MAX: Duration = Duration::from_secs(2);
/// How old figures may be that people look at.
const PARTS_EVERY: Duration = Duration::from_millis(250);
/// Refusals in one statement.
const REFUSALS_AT_ONCE: usize = 5_000;
const SECOND: Duration = Duration::from_secs(1);

/// The gates live here; everything else is written and read by the office.
pub struct SalesActor {
    office: Office,
    gates: Gates,
    /// What the schedule is doing at the moment, so that it does not begin it twice.
    busy: HashSet<SaleId>,
    /// The parts of gated sales as they were read last, so that many may look at them.
    parts: HashMap<SaleId, PartsRead>,
    /// Counts the turns of the switch for everything.
    switch_turn: u64,
    is_reading_parts: bool,
    is_looking_again: bool,
    is_writing_refusals: bool,
}

/// The parts of a sale, and when they were asked for.
#[derive(Clone)]
struct PartsRead {
    at: Timestamp,
    parts: Parts,
}

type Parts = Vec<(Sku, Allotment)>;

impl SalesActor {
    pub fn new(office: Office) -> Self {
        // Every life of the gates has another number than the one before.
        let epoch = u64::try_from(Timestamp::now().as_nanosecond() & i128::from(u64::MAX)).unwrap_or(0);
        let gates = Gates::new(epoch, office.key.clone(), office.pacing());
        Self {
            office,
            gates,
            busy: HashSet::new(),
            parts: HashMap::new(),
            switch_turn: 0,
            is_reading_parts: false,
            is_looking_again: false,
            is_writing_refusals: false,
        }
    }

    /// Keeps every question waiting until the sales and all that was claimed in them are loaded.
    fn load(&self, context: &mut Context<Self>) {
        let office = self.office.clone();
        let loading = async move {
            let mut back_off = BACK_OFF_FIRST;
            loop {
                match load(&office).await {
                    Ok(loaded) => return loaded,
                    Err(error) => tracing::warn!(%error, ?back_off, "the sales cannot be loaded"),
                }
                tokio::time::sleep(back_off).await;
                back_off = (back_off * 2).min(BACK_OFF_MAX);
            }
        };
        context.wait(loading.into_actor(self).map(|(is_stopped, sales), actor, _| {
            actor.gates.set_stopped(is_stopped);
            for (sale, claimed) in sales {
                let id = sale.id;
                actor.gates.enter(sale);
                actor.gates.restore(id, &claimed);
            }
        }));
    }

    /// Does what the schedule wants by now, each sale beside the others.
    fn keep_schedule(&mut self, context: &mut Context<Self>) {
        let now = Timestamp::now();
        let arm_from = now.checked_add(self.office.arm_before).unwrap_or(now);
        let due: Vec<(Arc<Sale>, Option<Action>)> = self
            .gates
            .sales()
            .filter(|sale| !self.busy.contains(&sale.id))
            .filter_map(|sale| match sale.due(now, arm_from) {
                Some(action) => Some((sale.clone(), Some(action))),
                None if sale.status.is_over() && !sale.is_stock_returned => Some((sale.clone(), None)),
                None if sale.status == SaleStatus::Draining => Some((sale.clone(), None)),
                None => None,
            })
            .collect();
        for (sale, action) in due {
            self.busy.insert(sale.id);
            let (office, actor) = (self.office.clone(), context.address());
            actix_rt::spawn(async move {
                let kept = match action {
                    Some(action) => office.keep(&sale, action).await,
                    None => office.wind_up(&sale).await,
                };
                match &kept {
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(sale = %sale.id, %error, "the schedule of a sale could not be kept");
                        // Not in the very next round again.
                        tokio::time::sleep(SECOND).await;
                    }
                }
                actor.do_send(Kept { sale: sale.id, now: kept.ok().flatten() });
            });
        }
    }

    /// Reads the parts of the sales that people look at.
    fn read_parts(&mut self, context: &mut Context<Self>) {
        let gated: Vec<SaleId> =
            self.gates.sales().filter(|sale| sale.status.is_gated()).map(|sale| sale.id).collect();
        self.parts.retain(|sale, _| gated.contains(sale));
        if gated.is_empty() || self.is_reading_parts {
            return;
        }
        self.is_reading_parts = true;
        let (office, actor) = (self.office.clone(), context.address());
        actix_rt::spawn(async move {
            for sale in gated {
                let at = Timestamp::now();
                match office.parts(sale).await {
                    Ok(parts) => actor.do_send(EnterParts { sale, read: PartsRead { at, parts } }),
                    Err(error) => tracing::debug!(%sale, %error, "the parts of a sale could not be read"),
                }
            }
            actor.do_send(Done { work: Work::Parts });
        });
    }

    /// Reads the sales and the switch once more: what was written by a life of this actor that ended meanwhile, or by
    /// another engine, is in effect within a second.
    fn look_again(&mut self, context: &mut Context<Self>) {
        if self.is_looking_again {
            return;
        }
        self.is_looking_again = true;
        let (store, actor, turn) = (self.office.store.clone(), context.address(), self.switch_turn);
        actix_rt::spawn(async move {
            let read = async {
                Ok::<_, StorageError>((store.list_sales(true, i64::MAX).await?, store.find_switch().await?))
            };
            match read.await {
                Ok((sales, stopped)) => {
                    sales.into_iter().for_each(|sale| actor.do_send(Enter { sale }));
                    actor.do_send(EnterSwitch { stopped, turn });
                }
                Err(error) => tracing::debug!(%error, "the sales could not be read once more"),
            }
            actor.do_send(Done { work: Work::LookingAgain });
        });
    }

    /// Behind the answers: what is lost with the engine was told to whoever asked all the same.
    fn write_refusals_down(&mut self, context: &mut Context<Self>) {
        if self.is_writing_refusals {
            return;
        }
        let mut refusals = self.gates.take_refusals();
        if refusals.is_empty() {
            return;
        }
        // Rows are locked in one order, whoever writes them.
        refusals.sort_unstable_by_key(|(sale, customer, refused)| (*sale, *customer, refused.gate));
        self.is_writing_refusals = true;
        let (store, actor) = (self.office.store.clone(), context.address());
        actix_rt::spawn(async move {
            for some in refusals.chunks(REFUSALS_AT_ONCE) {
                if let Err(error) = store.count_refusals(some).await {
                    tracing::warn!(%error, count = some.len(), "refusals could not be written down");
                }
            }
            actor.do_send(Done { work: Work::Refusals });
        });
    }

    /// A sale that is over and has returned its stock takes no more memory.
    fn forget_if_done(&mut self, sale: SaleId) {
        let is_done = self.gates.sale(sale).is_some_and(|sale| {
            matches!(sale.status, SaleStatus::Settled | SaleStatus::Cancelled) && sale.is_stock_returned
        });
        if is_done {
            self.gates.forget(sale);
        }
    }

    /// Carries something out, then takes the sale in as it is now.
    fn carry_out<F>(&self, context: &Context<Self>, work: F) -> ResponseFuture<Result<Sale, SalesError>>
    where
        F: Future<Output = Result<Sale, SalesError>> + 'static,
    {
        let actor = context.address();
        Box::pin(async move {
            let sale = work.await?;
            // Gone only when the actor is; the next one loads the sale as it is.
            let _ = actor.send(Enter { sale: sale.clone() }).await;
            Ok(sale)
        })
    }
}

type Loaded = (bool, Vec<(Sale, Vec<Claimed>)>);

async fn load(office: &Office) -> Result<Loaded, SalesError> {
    let is_stopped = office.store.find_switch().await?;
    let mut loaded = Vec::new();
    for sale in office.store.list_sales(true, i64::MAX).await? {
        let claimed = match sale.status.is_gated() {
            true => office.ports.list_claims.ask(ListClaims { sale: sale.id }).await?,
            false => Vec::new(),
        };
        loaded.push((sale, claimed));
    }
    Ok((is_stopped, loaded))
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
        let ReplanSale { sale, draft, by } = message;
        self.carry_out(context, async move { office.replan(sale, draft, by).await })
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

impl Handler<ValidateSale> for SalesActor {
    type Result = ResponseFuture<Result<Vec<Finding>, SalesError>>;

    fn handle(&mut self, ValidateSale { sale }: ValidateSale, _: &mut Context<Self>) -> Self::Result {
        let office = self.office.clone();
        Box::pin(async move { office.validate(&office.sale(sale).await?).await })
    }
}

impl Handler<MoveSale> for SalesActor {
    type Result = ResponseFuture<Result<Sale, SalesError>>;

    fn handle(&mut self, message: MoveSale, context: &mut Context<Self>) -> Self::Result {
        let MoveSale { sale, action, by, reason } = message;
        // In effect before it is written: a database that hangs keeps nobody from stopping a sale.
        let bar = match action {
            Action::Kill => self.gates.bar(sale, Refusal::Stopped("the sale".to_owned())),
            Action::Pause => self.gates.bar(sale, Refusal::Paused),
            action if action.keeps_out() => self.gates.bar(sale, Refusal::NotOpen { opens_in: None }),
            // What resumes a sale lifts what was set before it.
            Action::Resume => self.gates.last_bar(),
            _ => 0,
        };
        let (office, actor) = (self.office.clone(), context.address());
        Box::pin(async move {
            let moved = office.carry_out(sale, action, by, &reason).await;
            match &moved {
                Ok(moved) => {
                    let _ = actor.send(Enter { sale: moved.clone() }).await;
                    actor.do_send(Lift { sale, bar });
                }
                // It is as it was, and whoever was kept out may come in again. After a failure nobody may: who wanted
                // it stopped does not know that it is not.
                Err(error) if is_refusal(error) && action != Action::Resume => {
                    actor.do_send(Lift { sale, bar })
                }
                Err(_) => {}
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
    type Result = ResponseFuture<Result<Sale, SalesError>>;

    fn handle(&mut self, message: SwitchItem, context: &mut Context<Self>) -> Self::Result {
        // In effect before it is written, as above.
        let (id, sku) = (message.sale, message.sku.clone());
        if message.stopped {
            self.gates.bar_sku(id, &sku);
        }
        let (office, actor) = (self.office.clone(), context.address());
        Box::pin(async move {
            let switched = office.switch_item(message).await;
            match &switched {
                Ok(sale) => {
                    let _ = actor.send(Enter { sale: sale.clone() }).await;
                    actor.do_send(LiftSku { sale: id, sku });
                }
                Err(error) if is_refusal(error) => actor.do_send(LiftSku { sale: id, sku }),
                Err(_) => {}
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
    bar: u64,
}

impl Handler<Lift> for SalesActor {
    type Result = ();

    fn handle(&mut self, Lift { sale, bar }: Lift, _: &mut Context<Self>) {
        self.gates.lift(sale, bar);
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
        }
    }
}

/// The same for one SKU.
#[derive(Message)]
#[rtype(result = "()")]
struct LiftSku {
    sale: SaleId,
    sku: Sku,
}

impl Handler<LiftSku> for SalesActor {
    type Result = ();

    fn handle(&mut self, LiftSku { sale, sku }: LiftSku, _: &mut Context<Self>) {
        self.gates.lift_sku(sale, &sku);
    }
}

impl Handler<SwitchEverything> for SalesActor {
    type Result = ResponseFuture<Result<bool, SalesError>>;

    fn handle(&mut self, message: SwitchEverything, context: &mut Context<Self>) -> Self::Result {
        let SwitchEverything { stopped, by, reason } = message;
        if stopped {
            self.gates.bar_everything();
        }
        self.switch_turn += 1;
        let turn = self.switch_turn;
        let (office, actor) = (self.office.clone(), context.address());
        Box::pin(async move {
            office.switch_everything(stopped, by, &reason).await?;
            let _ = actor.send(EnterSwitch { stopped, turn }).await;
            actor.do_send(LiftEverything { turn });
            Ok(stopped)
        })
    }
}

impl Handler<ChangeItem> for SalesActor {
    type Result = ResponseFuture<Result<Sale, SalesError>>;

    fn handle(&mut self, message: ChangeItem, context: &mut Context<Self>) -> Self::Result {
        let office = self.office.clone();
        self.carry_out(context, async move { office.change_item(message).await })
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
        let read = self.parts.get(&sale).cloned();
        Box::pin(async move {
            let read = match read {
                Some(read) => Some(read),
                // It has no parts yet, or gave them up.
                None if known.as_ref().is_some_and(|sale| !sale.status.is_gated()) => None,
                None => Some(PartsRead { at: Timestamp::now(), parts: office.parts(sale).await? }),
            };
            let (read_at, parts) = read.map_or_else(Default::default, |read| (Some(read.at), read.parts));
            let sale = match known {
                Some(sale) => sale,
                None => Arc::new(office.sale(sale).await?),
            };
            Ok(Live { sale, is_everything_stopped, parts, read_at, tally, seconds })
        })
    }
}

impl Handler<PassGates> for SalesActor {
    type Result = Result<Option<Passage>, SalesError>;

    fn handle(&mut self, PassGates { arrival }: PassGates, _: &mut Context<Self>) -> Self::Result {
        faults::strike("sales", arrival.customer);
        self.gates.pass(&arrival).map_err(|refusal| {
            metrics::counter!("shobai_sale_refusals_total", "gate" => refusal.gate()).increment(1);
            refusal.into()
        })
    }
}

impl Handler<EndPassage> for SalesActor {
    type Result = Result<(), SalesError>;

    fn handle(&mut self, message: EndPassage, _: &mut Context<Self>) -> Self::Result {
        let EndPassage { arrival, passage, outcome } = message;
        match outcome {
            PassageOutcome::SetAside => return Ok(self.gates.confirm(&arrival, &passage)?),
            PassageOutcome::SoldOut => self.gates.refuse(passage.sale, arrival.customer, &Refusal::SoldOut),
            PassageOutcome::CameToNothing => {}
        }
        self.gates.give_back(passage.sale, arrival.order);
        Ok(())
    }
}

impl Handler<AbandonOrder> for SalesActor {
    type Result = Result<(), SalesError>;

    fn handle(&mut self, AbandonOrder { order }: AbandonOrder, _: &mut Context<Self>) -> Self::Result {
        self.gates.abandon(order);
        Ok(())
    }
}

impl Handler<FollowOrder> for SalesActor {
    type Result = Result<(), SalesError>;

    fn handle(&mut self, message: FollowOrder, _: &mut Context<Self>) -> Self::Result {
        let FollowOrder { sale, order, is_paid } = message;
        match is_paid {
            true => self.gates.paid(sale, order),
            false => self.gates.give_back(sale, order),
        }
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
                refusals: office.store.list_refusals(sale, customer).await?,
            })
        })
    }
}

impl Handler<LookAtSales> for SalesActor {
    type Result = Result<SalesSeen, SalesError>;

    fn handle(&mut self, _: LookAtSales, _: &mut Context<Self>) -> Self::Result {
        let seen = |sale: &Arc<Sale>| {
            let parts = self.parts.get(&sale.id).map_or(&[][..], |read| &read.parts).iter();
            let sum = |figure: fn(&Allotment) -> i64| parts.clone().map(|(_, part)| figure(part)).sum();
            SaleSeen {
                sale: sale.clone(),
                allotment: sum(|part| part.allotment),
                remaining: sum(Allotment::remaining),
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
        let admissions = self.gates.take_admissions(|sale| parts.get(&sale).map(|read| read.at));
        Ok(SalesSeen { sales, admissions, latency_p99, depth })
    }
}

/// Tells the actor itself how a sale is now.
#[derive(Message)]
#[rtype(result = "()")]
struct Enter {
    sale: Sale,
}

impl Handler<Enter> for SalesActor {
    type Result = ();

    fn handle(&mut self, Enter { sale }: Enter, _: &mut Context<Self>) {
        let id = sale.id;
        self.gates.enter(sale);
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
        }
    }
}

/// Tells the actor itself what the parts of a sale are.
#[derive(Message)]
#[rtype(result = "()")]
struct EnterParts {
    sale: SaleId,
    read: PartsRead,
}

impl Handler<EnterParts> for SalesActor {
    type Result = ();

    fn handle(&mut self, EnterParts { sale, read }: EnterParts, _: &mut Context<Self>) {
        self.parts.insert(sale, read);
    }
}

/// What the actor does aside, one at a time.
enum Work {
    Parts,
    LookingAgain,
    Refusals,
}

/// Tells the actor itself that something is done.
#[derive(Message)]
#[rtype(result = "()")]
struct Done {
    work: Work,
}

impl Handler<Done> for SalesActor {
    type Result = ();

    fn handle(&mut self, Done { work }: Done, _: &mut Context<Self>) {
        match work {
            Work::Parts => self.is_reading_parts = false,
            Work::LookingAgain => self.is_looking_again = false,
            Work::Refusals => self.is_writing_refusals = false,
        }
    }
}

/// Tells the actor itself that the schedule is done with a sale for now.
#[derive(Message)]
#[rtype(result = "()")]
struct Kept {
    sale: SaleId,
    now: Option<Sale>,
}

impl Handler<Kept> for SalesActor {
    type Result = ();

    fn handle(&mut self, Kept { sale, now }: Kept, _: &mut Context<Self>) {
        self.busy.remove(&sale);
        if let Some(now) = now {
            self.gates.enter(now);
        }
        self.forget_if_done(sale);
    }
}
