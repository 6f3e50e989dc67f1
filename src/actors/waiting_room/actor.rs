//! The actor of all waiting rooms: hands out tickets once they are durable, draws at the opening, admits customers.
//!
//! Admissions are written behind the answers: after a crash a customer may be admitted once more under the same ticket,
//! whose admission is good for one live order all the same.
//!
//! ```text
//! ObserveSales (several times a second)   a room that is not there → asks for the used admissions, then loads it
//!                                         uses of admissions       → the rooms follow them
//!                                         the opening              → draws in the background
//!                                         every room               → lapses and admits; changes are written behind
//! ```

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::ready;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, AsyncContext, Context, Handler, Message, ResponseFuture};
use jiff::Timestamp;

use super::book::RoomEntry;
use super::draw::{ClosedEntries, PublishedDraw, Seed};
use super::error::WaitingRoomError;
use super::figures;
use super::messages::{
    GetDraw, GetRoom, GetTicketHistory, JoinQueue, ObserveSales, QueuePlace, RoomFigures, SalesObserved,
    TicketHistory,
};
use super::model::{AdmissionUse, EntryChange, SaleState, TicketNumber, UsedAdmissions, UsesTold};
use super::passes::Ticket;
use super::room::Joined;
use super::rooms::Rooms;
use super::running_room::{LAPSES_LATE_BY, RunningRoom};
use super::service::{LoadedRoom, WaitingRoomService};
use super::unwritten::UnwrittenChanges;
use crate::actors::runtime::{Background, CommitError, RunsInBackground, failpoint};
use crate::types::SaleId;

/// A room that cannot be loaded is tried again after so long.
const LOADS_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// Draws of sales that are over; one of a million tickets takes 8 MB.
const OLD_DRAWS_MAX: usize = 4;

/// What the actor does in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    Load(SaleId),
    Draw(SaleId),
    /// Of changes of entries.
    Write,
}

pub struct WaitingRoomActor {
    service: WaitingRoomService,
    rooms: Rooms,
    background: Background<Task>,
    /// When the room of a sale could not be loaded.
    failed: HashMap<SaleId, Instant>,
    /// Told while the rooms of their sales were being loaded.
    early_uses: Vec<AdmissionUse>,
    /// Of sales that are over, the one that was asked for last first.
    old_draws: VecDeque<Arc<PublishedDraw>>,
    told: UsesTold,
    unwritten: UnwrittenChanges,
}

impl WaitingRoomActor {
    pub(super) fn new(service: WaitingRoomService) -> Self {
        let rooms = service.rooms.clone();
        // The rooms of the generation before are loaded again.
        rooms.write().clear();
        rooms.set_complete(false);
        Self {
            service,
            rooms,
            background: Background::default(),
            failed: HashMap::new(),
            early_uses: Vec::new(),
            old_draws: VecDeque::new(),
            told: UsesTold::default(),
            unwritten: UnwrittenChanges::default(),
        }
    }

    /// Whether the room of a sale can be loaded now.
    fn is_loadable(&self, sale: SaleId) -> bool {
        let has_failed = |at: &Instant| at.elapsed() < LOADS_AGAIN_AFTER;
        // A room can be restored only from all of its changes.
        !self.background.is_running(&Task::Load(sale))
            && !self.failed.get(&sale).is_some_and(has_failed)
            && !self.unwritten.has(sale)
    }

    fn load(&mut self, sale: SaleState, used: HashSet<TicketNumber>, context: &mut Context<Self>) {
        let (service, plan) = (self.service.clone(), sale.plan);
        let work = async move { service.load(plan, &used).await };
        self.run_in_background(Task::Load(plan.sale), context, work, |actor, loaded, _| {
            actor.loaded(sale, loaded);
        });
    }

    fn loaded(&mut self, sale: SaleState, loaded: Result<LoadedRoom, WaitingRoomError>) {
        let (id, now) = (sale.plan.sale, Timestamp::now());
        let early: Vec<_> = self.early_uses.extract_if(.., |told| told.sale == id).collect();
        let LoadedRoom { room, seed, draw, changes } = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::error!(sale = %id, %error, "a waiting room cannot be loaded; it is tried again");
                self.failed.insert(id, Instant::now());
                return;
            }
        };
        let mut running = RunningRoom::new(room, seed, draw, sale, self.service.admissions, now);
        let early = early.into_iter().filter_map(|told| running.follow_use(told));
        for change in changes.into_iter().chain(early.collect::<Vec<_>>()) {
            self.unwritten.push(id, change, now);
        }
        self.failed.remove(&id);
        self.rooms.write().insert(id, running);
    }

    fn draw(&mut self, sale: SaleId, entries: ClosedEntries, seed: Seed, context: &mut Context<Self>) {
        let service = self.service.clone();
        let work = async move { service.draw(entries, seed).await };
        self.run_in_background(Task::Draw(sale), context, work, move |actor, drawn, _| {
            actor.drawn(sale, drawn);
        });
    }

    fn drawn(&mut self, sale: SaleId, drawn: Result<PublishedDraw, WaitingRoomError>) {
        let mut rooms = self.rooms.write();
        let Some(running) = rooms.get_mut(&sale) else { return };
        let entered = drawn.and_then(|draw| {
            running.room.drawn(&draw)?;
            Ok(draw)
        });
        match entered {
            Ok(draw) => {
                tracing::info!(%sale, tickets = draw.tickets, "the order of a waiting room is drawn");
                running.draw = Some(Arc::new(draw));
            }
            Err(error) => {
                tracing::error!(%sale, %error, "the draw of a waiting room was not made; its room is loaded again");
                rooms.remove(&sale);
                self.rooms.set_complete(false);
            }
        }
    }

    /// Writes the changes that wait, in as many batches as it takes. After a failure the next round goes on.
    fn write_behind(&mut self, context: &mut Context<Self>) {
        let Some(batch) = self.unwritten.next_batch() else { return };
        let service = self.service.clone();
        let work = async move { service.write(batch).await };
        self.run_in_background(Task::Write, context, work, |actor, is_written, context| {
            if is_written {
                actor.unwritten.written();
                actor.write_behind(context);
            } else {
                actor.unwritten.not_written();
            }
        });
    }

    fn keep_draw(&mut self, draw: Arc<PublishedDraw>) {
        if self.old_draws.iter().any(|old| old.sale == draw.sale) {
            return;
        }
        self.old_draws.truncate(OLD_DRAWS_MAX - 1);
        self.old_draws.push_front(draw);
    }
}

impl Actor for WaitingRoomActor {
    type Context = Context<Self>;
}

impl RunsInBackground for WaitingRoomActor {
    type Task = Task;

    fn background(&mut self) -> &mut Background<Task> {
        &mut self.background
    }

    fn background_panicked(&mut self, task: Task, _: &mut Context<Self>) {
        match task {
            Task::Load(sale) => drop(self.failed.insert(sale, Instant::now())),
            // Only a room that is loaded again can be drawn again.
            Task::Draw(sale) => {
                self.rooms.write().remove(&sale);
                self.rooms.set_complete(false);
            }
            Task::Write => self.unwritten.not_written(),
        }
    }
}

impl Handler<JoinQueue> for WaitingRoomActor {
    type Result = ResponseFuture<Result<QueuePlace, WaitingRoomError>>;

    fn handle(&mut self, message: JoinQueue, context: &mut Context<Self>) -> Self::Result {
        let JoinQueue { sale, customer } = message;
        failpoint::hit("waiting rooms", customer);
        let mut rooms = self.rooms.write();
        let running = rooms.get_mut(&sale).ok_or_else(|| self.rooms.missing(sale));
        let joined = running.and_then(|running| running.join(customer, Timestamp::now()));
        let (number, written) = match joined {
            Err(error) => return Box::pin(ready(Err(error))),
            Ok(Joined::Already(number)) => (number, None),
            // The ticket is good once it is written, which the question that came first is answered.
            Ok(Joined::Pending(_)) => return Box::pin(ready(Err(WaitingRoomError::Busy))),
            Ok(Joined::New(entry)) => match self.service.journal.slot() {
                Some(slot) => (entry.number, Some(slot.enter(RoomEntry::Join(sale, entry)))),
                None => {
                    rooms.get_mut(&sale).map(|running| running.room.forget(entry.number));
                    return Box::pin(ready(Err(WaitingRoomError::Busy)));
                }
            },
        };
        drop(rooms);
        let ticket = Ticket { sale, number, customer };
        let (actor, rooms) = (context.address(), self.rooms.clone());
        Box::pin(async move {
            if let Some(written) = written {
                let outcome = written.await;
                let is_written = match &outcome {
                    Ok(()) => Some(true),
                    Err(CommitError::Unknown | CommitError::Refused(())) => None,
                    Err(_) => Some(false),
                };
                let _ = actor.send(EndJoin { ticket, is_written }).await;
                outcome.map_err(|_| WaitingRoomError::NotWritten)?;
            }
            rooms.place(ticket, Timestamp::now())
        })
    }
}

/// Tells the actor itself whether the entry of a new ticket was written; `None` when that is not known.
#[derive(Message)]
#[rtype(result = "()")]
struct EndJoin {
    ticket: Ticket,
    is_written: Option<bool>,
}

impl Handler<EndJoin> for WaitingRoomActor {
    type Result = ();

    fn handle(&mut self, EndJoin { ticket, is_written }: EndJoin, _: &mut Context<Self>) {
        let mut rooms = self.rooms.write();
        // A room that was loaded again may have given the number to another customer.
        let is_its = |running: &&mut RunningRoom| {
            is_written.is_none() || running.room.is_of(ticket.number, ticket.customer)
        };
        let Some(running) = rooms.get_mut(&ticket.sale).filter(is_its) else { return };
        match is_written {
            Some(true) => drop(running.room.confirm(ticket.number)),
            Some(false) => drop(running.room.forget(ticket.number)),
            // Only the database knows whether the entry is there, so the room is loaded again.
            None => {
                rooms.remove(&ticket.sale);
                self.rooms.set_complete(false);
            }
        }
    }
}

impl Handler<GetDraw> for WaitingRoomActor {
    type Result = ResponseFuture<Result<Arc<PublishedDraw>, WaitingRoomError>>;

    fn handle(&mut self, GetDraw { sale }: GetDraw, context: &mut Context<Self>) -> Self::Result {
        let rooms = self.rooms.read();
        let of_room =
            rooms.get(&sale).map(|running| running.draw.clone().ok_or(WaitingRoomError::NotDrawn(sale)));
        drop(rooms);
        let of_old = || self.old_draws.iter().find(|draw| draw.sale == sale).cloned().map(Ok);
        if let Some(draw) = of_room.or_else(of_old) {
            return Box::pin(ready(draw));
        }
        let (service, actor) = (self.service.clone(), context.address());
        Box::pin(async move {
            let draw = Arc::new(service.find_draw(sale).await?);
            actor.do_send(KeepDraw { draw: draw.clone() });
            Ok(draw)
        })
    }
}

/// Tells the actor itself the draw of a sale that is over.
#[derive(Message)]
#[rtype(result = "()")]
struct KeepDraw {
    draw: Arc<PublishedDraw>,
}

impl Handler<KeepDraw> for WaitingRoomActor {
    type Result = ();

    fn handle(&mut self, KeepDraw { draw }: KeepDraw, _: &mut Context<Self>) {
        self.keep_draw(draw);
    }
}

impl Handler<GetRoom> for WaitingRoomActor {
    type Result = Result<RoomFigures, WaitingRoomError>;

    fn handle(&mut self, GetRoom { sale }: GetRoom, _: &mut Context<Self>) -> Self::Result {
        let rooms = self.rooms.read();
        let running = rooms.get(&sale).ok_or_else(|| self.rooms.missing(sale))?;
        Ok(RoomFigures {
            counts: running.room.counts(),
            is_drawn: running.draw.is_some(),
            admissions_per_second: running.control.rate(),
        })
    }
}

impl Handler<GetTicketHistory> for WaitingRoomActor {
    type Result = ResponseFuture<Result<TicketHistory, WaitingRoomError>>;

    fn handle(&mut self, message: GetTicketHistory, _: &mut Context<Self>) -> Self::Result {
        let GetTicketHistory { sale, customer } = message;
        let service = self.service.clone();
        Box::pin(async move { service.ticket_history(sale, customer).await })
    }
}

impl Handler<ObserveSales> for WaitingRoomActor {
    type Result = Result<SalesObserved, WaitingRoomError>;

    fn handle(&mut self, message: ObserveSales, context: &mut Context<Self>) -> Self::Result {
        let ObserveSales { sales, uses, told, told_to, used, load } = message;
        let now = Timestamp::now();
        let (mut changes, mut draws) = (Vec::new(), Vec::new());
        let shared = self.rooms.clone();
        let mut rooms = shared.write();

        if told.generation != self.told.generation {
            // What the generation before did not tell any more is lost, so that all of it is asked for.
            rooms.values_mut().for_each(|running| running.asks_used = true);
        }
        self.told = told;
        for (id, running) in rooms.iter_mut().filter(|(_, running)| running.ended_at.is_none()) {
            if !sales.iter().any(|sale| sale.plan.sale == *id) {
                running.end(now);
                figures::clear(*id);
            }
        }
        rooms.retain(|_, running| running.is_kept(now));

        let used = used.into_iter().map(|UsedAdmissions { sale, tickets }| (sale, tickets));
        let mut used: HashMap<SaleId, HashSet<TicketNumber>> = used.collect();
        let (mut asks_used, mut is_complete) = (Vec::new(), true);
        for sale in sales {
            let id = sale.plan.sale;
            if let Some(running) = rooms.get_mut(&id) {
                running.sale = sale;
                continue;
            }
            is_complete = false;
            match used.remove(&id) {
                _ if !self.is_loadable(id) => {}
                Some(used) => self.load(sale, used, context),
                None => asks_used.push(id),
            }
        }
        self.rooms.set_complete(is_complete);

        for told in uses {
            match rooms.get_mut(&told.sale) {
                Some(running) => {
                    changes.extend(running.follow_use(told).map(|change| (told.sale, change, told.at)));
                }
                None if self.background.is_running(&Task::Load(told.sale)) => self.early_uses.push(told),
                // A room that is loaded later follows all uses.
                None => {}
            }
        }
        for (id, used) in used {
            let followed = rooms.get_mut(&id).map(|running| running.follow_all_uses(&used));
            changes.extend(followed.into_iter().flatten().map(|change| (id, change, now)));
        }

        let lapsed_to = told_to.checked_sub(LAPSES_LATE_BY).unwrap_or(now);
        let admission_seconds = self.service.admissions.seconds;
        for (id, running) in rooms.iter_mut().filter(|(_, running)| running.ended_at.is_none()) {
            if !self.background.is_running(&Task::Draw(*id)) {
                draws
                    .extend(running.entries_to_draw(now).map(|entries| (*id, entries, running.seed.clone())));
            }
            let advanced = running.advance(now, lapsed_to, load, admission_seconds);
            changes.extend(advanced.into_iter().map(|change: EntryChange| (*id, change, now)));
            figures::show(*id, running);
            if running.asks_used {
                asks_used.push(*id);
            }
        }
        drop(rooms);

        draws.into_iter().for_each(|(sale, entries, seed)| self.draw(sale, entries, seed, context));
        changes.into_iter().for_each(|(sale, change, at)| self.unwritten.push(sale, change, at));
        self.write_behind(context);
        Ok(SalesObserved { acknowledged: told, asks_used })
    }
}
