//! The sales actor: holds the gates in memory, carries out what operators want, and keeps the schedule.
//!
//! `actor/` holds how it loads, what it does by itself, the operators' commands, and the queries.

mod commands;
mod loading;
mod queries;
mod upkeep;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, AsyncContext, Context, Handler, Message, ResponseFuture};
use jiff::Timestamp;

use self::upkeep::Task;
use super::error::SalesError;
use super::gates::{Confirmed, DECLINED, Gates, QuotaHold, Refused};
use super::messages::*;
use super::model::{Proposal, Sale, SaleStatus};
use super::sale_skus::SaleSkus;
use super::service::SalesService;
use super::waiting_room::RoomUpdates;
use crate::actors::inventory::{Allotment, Claimed, ListClaims};
use crate::actors::runtime::{Background, failpoint};
use crate::types::{OrderId, SaleId, Sku};

/// The age of the figures that operators and customers look at.
const ALLOTMENTS_EVERY: Duration = Duration::from_millis(250);
/// Announced sales on the list for customers, and settled ones in memory; more than any shop runs at a time.
const ANNOUNCED_MAX: usize = 200;
/// How often the waiting room is told how the sales stand, upon which it admits customers.
const TELL_WAITING_ROOM_EVERY: Duration = Duration::from_millis(200);
const SECOND: Duration = Duration::from_secs(1);

/// The gates live here; everything else is read and written by the service.
pub struct SalesActor {
    service: SalesService,
    gates: Gates,
    background: Background<Task>,
    /// How often in succession the schedule could not be kept.
    failures: HashMap<SaleId, u32>,
    /// Settled sales that left the gates, the latest opening first.
    settled: Vec<Arc<Sale>>,
    /// The proposals that wait for a second operator, as they are known.
    proposals: Vec<Proposal>,
    /// Counts the changes of proposals that this actor made.
    proposals_version: u64,
    /// The allotments of gated sales as they were read last, for all who look at them.
    allotments: HashMap<SaleId, AllotmentsRead>,
    /// What the waiting room is to be told next.
    room_updates: RoomUpdates,
    /// Counts the commands for the switch of everything.
    switch_version: u64,
    /// Counts the sales that left the gates.
    forgotten: u64,
}

/// The allotments of a sale, and when they were asked for.
#[derive(Clone)]
struct AllotmentsRead {
    at: Timestamp,
    allotments: Arc<Allotments>,
}

type Allotments = Vec<(Sku, Allotment)>;

impl SalesActor {
    pub fn new(service: SalesService) -> Self {
        // Differs from the epoch of all earlier gates.
        let epoch = u64::try_from(Timestamp::now().as_nanosecond() & i128::from(u64::MAX)).unwrap_or(0);
        let gates = Gates::new(epoch, service.gate_rules(), service.paces());
        Self {
            service,
            gates,
            background: Background::default(),
            failures: HashMap::new(),
            settled: Vec::new(),
            proposals: Vec::new(),
            proposals_version: 0,
            allotments: HashMap::new(),
            room_updates: RoomUpdates::default(),
            switch_version: 0,
            forgotten: 0,
        }
    }

    /// Takes a sale in as it is now, unless a later state of it is known.
    fn enter(&mut self, sale: Sale) {
        let id = sale.id;
        self.gates.enter(sale);
        if let Some(sale) = self.gates.sale(id) {
            self.service.sale_skus.follow(sale, Instant::now());
        }
    }

    /// Puts the switch for everything on the list that orders copies.
    fn list_switch(&self) {
        self.service.sale_skus.set_everything_stopped(self.gates.is_stopped(), Instant::now());
    }

    /// Forgets a sale that is over and has returned its stock. A state of it that was read before does not bring it
    /// back.
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
}

impl Actor for SalesActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        self.load(context);
        context.run_interval(self.service.schedule_every, Self::keep_schedule);
        context.run_interval(ALLOTMENTS_EVERY, Self::read_allotments);
        context.run_interval(TELL_WAITING_ROOM_EVERY, Self::tell_waiting_room);
        context.run_interval(SECOND, |actor, context| {
            actor.gates.end_second();
            actor.store_refusals(context);
            actor.refresh(context);
        });
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
        let (list_claims, actor) = (self.service.needs.list_claims.clone(), context.address());
        Box::pin(async move {
            let claimed = list_claims.ask(ListClaims { sale, order: Some(order) }).await?;
            // Fails only when the actor has ended; the next one counts the order from the beginning.
            let _ = actor.send(CountPaid { sale, order, claimed }).await;
            Ok(())
        })
    }
}

/// Sent by the actor to itself: an order that was paid after its stock had expired counts again.
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
        Ok(self.service.sale_skus.read(known))
    }
}

impl Handler<NoteRefusal> for SalesActor {
    type Result = Result<(), SalesError>;

    fn handle(&mut self, message: NoteRefusal, _: &mut Context<Self>) -> Self::Result {
        let NoteRefusal { sale, customer, door } = message;
        metrics::counter!("shobai_queue_refusals_total", "door" => door.clone()).increment(1);
        self.gates.note(sale, customer, door, Timestamp::now());
        Ok(())
    }
}

impl Handler<ListRefusals> for SalesActor {
    type Result = ResponseFuture<Result<Vec<Refused>, SalesError>>;

    fn handle(&mut self, message: ListRefusals, _: &mut Context<Self>) -> Self::Result {
        let service = self.service.clone();
        let ListRefusals { sale, customer } = message;
        Box::pin(async move {
            service.sale(sale).await?;
            Ok(service.store.list_refusals(sale, customer).await?)
        })
    }
}

/// Sent by the actor to itself: the state of a sale as it was read or written.
#[derive(Message)]
#[rtype(result = "()")]
struct EnterSale {
    sale: Sale,
    /// The number of forgotten sales when it was read.
    forgotten: u64,
}

impl Handler<EnterSale> for SalesActor {
    type Result = ();

    fn handle(&mut self, EnterSale { sale, forgotten }: EnterSale, _: &mut Context<Self>) {
        let id = sale.id;
        if forgotten != self.forgotten && self.gates.sale(id).is_none() {
            // It may be a sale that was forgotten meanwhile; if it is not, it is read again within a second.
            return;
        }
        self.enter(sale);
        self.forget_if_done(id);
    }
}

/// Sent by the actor to itself: the state of the switch for everything as it was read or written.
#[derive(Message)]
#[rtype(result = "()")]
struct EnterSwitch {
    stopped: bool,
    /// The version of the switch that it tells of; during a later command it is out of date.
    version: u64,
}

impl Handler<EnterSwitch> for SalesActor {
    type Result = ();

    fn handle(&mut self, EnterSwitch { stopped, version }: EnterSwitch, _: &mut Context<Self>) {
        if version == self.switch_version {
            self.gates.set_stopped(stopped);
            self.list_switch();
        }
    }
}
