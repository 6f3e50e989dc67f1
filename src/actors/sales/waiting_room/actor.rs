//! The actor of all waiting rooms: hands out tickets once they are durable, draws at the opening, and lets people in.
//!
//! Who is let in is written behind: after a crash somebody may be let in once more under the same ticket, whose admission
//! is good for one live order all the same.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, AsyncContext, Context, Handler, Message, ResponseFuture};
use jiff::Timestamp;

use super::admission::{AdmissionControl, AdmissionPolicy, AdmissionRate, Demand, Observed};
use super::book::{RoomBook, RoomEntry};
use super::draw::{PublishedDraw, Seed};
use super::passes::Ticket;
use super::room::{EntryChange, Finish, Joined, RoomMode, WaitingRoom};
use super::rooms::{Room, Rooms};
use crate::actors::runtime::{CommitError, Handle, Journal};
use crate::actors::sales::actor::SalesActor;
use crate::actors::sales::error::SalesError;
use crate::actors::sales::gates::{AdmissionUse, Refusal};
use crate::actors::sales::messages::{
    GetDraw, GetRoom, JoinQueue, LookAtSales, QueuePlace, RoomFigures, SaleSeen, SalesSeen,
};
use crate::actors::sales::model::{AdmissionMode, Sale, SaleStatus};
use crate::actors::sales::store::SalesStore;
use crate::config::Sales as Settings;
use crate::types::SaleId;

/// How often people are let in, and admissions looked at that lapse.
const ROUND_EVERY: Duration = Duration::from_millis(200);
/// An order's answer takes too long when 1 of 100 takes longer than this.
const LATENCY_TARGET: Duration = Duration::from_millis(250);
/// Orders on their way at which the shop is full.
const DEPTH_MAX: u32 = 1_000;
/// The bounds of a rate that is steered, per second.
const AUTOMATIC: AdmissionRate = AdmissionRate::Automatic { least: 20, most: 20_000 };
/// Everybody who is drawn and for whom there is a piece comes in at once.
const AT_ONCE: u32 = 1_000_000;
/// How long those who wait are told that a sale is over.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// Everything that it takes to keep waiting rooms; cheap to clone.
#[derive(Clone)]
pub struct Doorkeeper {
    store: SalesStore,
    journal: Journal<RoomBook>,
    sales: Handle<SalesActor>,
    rooms: Rooms,
    entries_max: u32,
    admission_seconds: u32,
    admissions_per_piece: f64,
}

impl Doorkeeper {
    pub fn new(
        store: SalesStore,
        journal: Journal<RoomBook>,
        sales: Handle<SalesActor>,
        rooms: Rooms,
        settings: &Settings,
    ) -> Self {
        Self {
            store,
            journal,
            sales,
            rooms,
            entries_max: settings.queue_entries_max,
            admission_seconds: settings.admission_seconds,
            admissions_per_piece: settings.admissions_per_piece,
        }
    }

    /// What happened to people, in order; where it cannot be written now, the room is not told again.
    fn write_behind(&self, entries: Vec<RoomEntry>) {
        for entry in entries {
            match self.journal.place() {
                Some(place) => {
                    let written = place.enter(entry);
                    actix_rt::spawn(async move {
                        if let Err(error) = written.await {
                            tracing::warn!(
                                ?error,
                                "what became of somebody in a waiting room was not written"
                            );
                        }
                    });
                }
                None => tracing::warn!("the journal of the waiting rooms is full"),
            }
        }
    }

    async fn load(&self, sale: &Sale, mode: RoomMode) -> Result<Opened, SalesError> {
        let broken = |error: &dyn std::fmt::Display| SalesError::Broken(error.to_string());
        let (seed, draw) = self.store.find_room(sale.id).await?;
        let seed: Seed = seed.parse().map_err(|error| broken(&error))?;
        let draw: Option<PublishedDraw> =
            draw.map(|record| serde_json::from_str(&record).map_err(|error| broken(&error))).transpose()?;
        let entries = self.store.list_entries(sale.id).await?;
        let room = WaitingRoom::restore(mode, sale.id, self.entries_max, entries, draw.as_ref(), None)
            .map_err(|error| broken(&error))?;
        Ok(Opened { room, seed, draw: draw.map(Arc::new) })
    }
}

/// A room as it is loaded.
struct Opened {
    room: WaitingRoom,
    seed: Seed,
    draw: Option<Arc<PublishedDraw>>,
}

pub struct WaitingActor {
    keeper: Doorkeeper,
    rooms: Rooms,
    loading: HashSet<SaleId>,
    is_looking: bool,
}

impl WaitingActor {
    pub fn new(keeper: Doorkeeper) -> Self {
        let rooms = keeper.rooms.clone();
        // What a life before left behind is loaded again.
        rooms.write().clear();
        Self { keeper, rooms, loading: HashSet::new(), is_looking: false }
    }

    fn look(&mut self, context: &mut Context<Self>) {
        if self.is_looking {
            return;
        }
        self.is_looking = true;
        let (sales, actor) = (self.keeper.sales.clone(), context.address());
        actix_rt::spawn(async move {
            let seen = sales.ask(LookAtSales).await.map_err(SalesError::from).flatten();
            actor.do_send(Look { seen });
        });
    }

    fn round(&mut self, seen: SalesSeen, context: &mut Context<Self>) {
        let now = Timestamp::now();
        let shared = self.rooms.clone();
        let mut rooms = shared.write();
        for (id, room) in rooms.iter_mut() {
            if !seen.sales.iter().any(|seen| seen.sale.id == *id) && room.ended_at.is_none() {
                room.room.finish(Finish::Closed);
                room.ended_at = Some(Instant::now());
            }
        }
        let is_kept = |room: &Room| room.ended_at.is_none_or(|ended| ended.elapsed() < KEPT_FOR);
        rooms.retain(|_, room| is_kept(room));
        for sale in seen.sales {
            let id = sale.sale.id;
            match rooms.get_mut(&id) {
                Some(room) => room.seen = sale,
                None => self.load(sale, context),
            }
        }
        let mut changes = Vec::new();
        for AdmissionUse { sale, number, is_used, .. } in seen.admissions {
            let Some(room) = rooms.get_mut(&sale) else { continue };
            let change = match is_used {
                true => room.room.ordered(number),
                false => room.room.given_back(number),
            };
            changes.extend(change.ok().map(|change| RoomEntry::Change(sale, change)));
        }
        let observed = Observed { latency_p99: seen.latency_p99, depth: seen.depth };
        for (id, room) in rooms.iter_mut().filter(|(_, room)| room.ended_at.is_none()) {
            if now >= room.seen.sale.draft.opens_at && room.draw.is_none() && !room.is_drawing {
                draw(*id, room, &self.keeper, context);
            }
            if room.seen.sale.status.is_over() || room.seen.sale.status == SaleStatus::Draining {
                room.room.finish(Finish::Closed);
            }
            let lapsed = room.room.lapse(now).into_iter().map(EntryChange::lapsed);
            changes.extend(lapsed.map(|change| RoomEntry::Change(*id, change)));
            room.control.observe(now, observed);
            if room.is_selling(now) {
                let counts = room.room.counts();
                let remaining_pieces = u64::try_from(room.seen.remaining).unwrap_or(0);
                let demand =
                    Demand { waiting: counts.waiting, outstanding: counts.admitted, remaining_pieces };
                let granted = room.control.grant(now, demand);
                let admitted = room.room.admit(now, granted, self.keeper.admission_seconds);
                changes.extend(admitted.into_iter().map(|admitted| RoomEntry::Change(*id, admitted.into())));
            }
            show(*id, room);
        }
        drop(rooms);
        self.keeper.write_behind(changes);
    }

    fn load(&mut self, seen: SaleSeen, context: &mut Context<Self>) {
        let Some(mode) = mode_of(&seen.sale) else { return };
        if !self.loading.insert(seen.sale.id) {
            return;
        }
        let (keeper, actor) = (self.keeper.clone(), context.address());
        actix_rt::spawn(async move {
            let opened = keeper.load(&seen.sale, mode).await;
            actor.do_send(Enter { seen, opened });
        });
    }
}

fn mode_of(sale: &Sale) -> Option<RoomMode> {
    match sale.draft.terms.admission.mode {
        AdmissionMode::None => None,
        AdmissionMode::Queue => Some(RoomMode::Queue),
        AdmissionMode::Lottery => Some(RoomMode::Lottery),
    }
}

/// Draws, aside because it takes a while, and keeps the draw before anybody is let in by it.
fn draw(sale: SaleId, room: &mut Room, keeper: &Doorkeeper, context: &Context<WaitingActor>) {
    // Whoever is being entered at this moment still takes part: the next round asks again.
    let Ok(entries) = room.room.close_entries() else { return };
    room.is_drawing = true;
    let (seed, store, actor) = (room.seed.clone(), keeper.store.clone(), context.address());
    actix_rt::spawn(async move {
        let drawn = tokio::task::spawn_blocking(move || entries.draw(&seed, Timestamp::now())).await;
        let draw = match drawn {
            Ok(draw) => store.insert_draw(&draw).await.map(|()| draw),
            Err(error) => Err(SalesError::Broken(error.to_string())),
        };
        actor.do_send(Drawn { sale, draw });
    });
}

fn show(sale: SaleId, room: &Room) {
    let counts = room.room.counts();
    let gauge = |name: &'static str| metrics::gauge!(name, "sale" => sale.to_string());
    gauge("shobai_queue_entries").set(f64::from(counts.entries));
    gauge("shobai_queue_memory_bytes").set(room.room.memory_bytes() as f64);
    gauge("shobai_queue_waiting").set(f64::from(counts.waiting));
    gauge("shobai_queue_admitted").set(f64::from(counts.admitted));
    gauge("shobai_queue_no_shows").set(f64::from(counts.no_shows));
    gauge("shobai_queue_admissions_per_second").set(room.control.rate());
}

impl Actor for WaitingActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.run_interval(ROUND_EVERY, Self::look);
    }
}

impl Handler<JoinQueue> for WaitingActor {
    type Result = ResponseFuture<Result<QueuePlace, SalesError>>;

    fn handle(&mut self, message: JoinQueue, context: &mut Context<Self>) -> Self::Result {
        let JoinQueue { sale, customer } = message;
        let mut rooms = self.rooms.write();
        let joined = rooms.get_mut(&sale).ok_or(SalesError::NoRoom(sale)).and_then(|room| {
            // Who comes between the opening and the draw stands behind those who are drawn.
            let is_to_be_drawn = room.draw.is_none() && Timestamp::now() >= room.seen.sale.draft.opens_at;
            if is_to_be_drawn {
                return Err(SalesError::Busy);
            }
            if room.is_sold_out() {
                return Err(SalesError::Refused(Refusal::SoldOut));
            }
            Ok(room.room.join(customer, Timestamp::now())?)
        });
        let (number, written) = match joined {
            Err(error) => return Box::pin(std::future::ready(Err(error))),
            Ok(Joined::Already(number)) => (number, None),
            // Its ticket is good once it is written, which whoever asked first is told.
            Ok(Joined::OnItsWay(_)) => return Box::pin(std::future::ready(Err(SalesError::Busy))),
            Ok(Joined::New(entry)) => match self.keeper.journal.place() {
                Some(place) => (entry.number, Some(place.enter(RoomEntry::Join(sale, entry)))),
                None => {
                    rooms.get_mut(&sale).map(|room| room.room.forget(entry.number));
                    return Box::pin(std::future::ready(Err(SalesError::Busy)));
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
                let _ = actor.send(Settle { ticket, is_written }).await;
                outcome.map_err(|_| SalesError::NotWritten)?;
            }
            rooms.place(ticket, Timestamp::now())
        })
    }
}

impl Handler<GetRoom> for WaitingActor {
    type Result = Result<RoomFigures, SalesError>;

    fn handle(&mut self, GetRoom { sale }: GetRoom, _: &mut Context<Self>) -> Self::Result {
        let rooms = self.rooms.read();
        let room = rooms.get(&sale).ok_or(SalesError::NoRoom(sale))?;
        Ok(RoomFigures {
            counts: room.room.counts(),
            is_drawn: room.draw.is_some(),
            admissions_per_second: room.control.rate(),
        })
    }
}

impl Handler<GetDraw> for WaitingActor {
    type Result = ResponseFuture<Result<Arc<PublishedDraw>, SalesError>>;

    fn handle(&mut self, GetDraw { sale }: GetDraw, _: &mut Context<Self>) -> Self::Result {
        let drawn = self.rooms.read().get(&sale).and_then(|room| room.draw.clone());
        if let Some(draw) = drawn {
            return Box::pin(std::future::ready(Ok(draw)));
        }
        let store = self.keeper.store.clone();
        Box::pin(async move {
            let (_, record) = store.find_room(sale).await?;
            let record = record.ok_or(SalesError::NotDrawn(sale))?;
            serde_json::from_str(&record).map(Arc::new).map_err(|error| SalesError::Broken(error.to_string()))
        })
    }
}

/// Tells the actor itself what it saw.
#[derive(Message)]
#[rtype(result = "()")]
struct Look {
    seen: Result<SalesSeen, SalesError>,
}

impl Handler<Look> for WaitingActor {
    type Result = ();

    fn handle(&mut self, Look { seen }: Look, context: &mut Context<Self>) {
        self.is_looking = false;
        match seen {
            Ok(seen) => self.round(seen, context),
            Err(error) => tracing::warn!(%error, "the waiting rooms cannot see the sales"),
        }
    }
}

/// Tells the actor itself that a room is loaded.
#[derive(Message)]
#[rtype(result = "()")]
struct Enter {
    seen: SaleSeen,
    opened: Result<Opened, SalesError>,
}

impl Handler<Enter> for WaitingActor {
    type Result = ();

    fn handle(&mut self, Enter { seen, opened }: Enter, _: &mut Context<Self>) {
        let id = seen.sale.id;
        self.loading.remove(&id);
        let Opened { room, seed, draw } = match opened {
            Ok(opened) => opened,
            Err(error) => {
                tracing::error!(sale = %id, %error, "a waiting room cannot be loaded");
                return;
            }
        };
        let admission = seen.sale.draft.terms.admission;
        let rate = match (admission.per_second, room.mode()) {
            (Some(per_second), _) => AdmissionRate::Fixed(per_second),
            (None, RoomMode::Queue) => AUTOMATIC,
            (None, RoomMode::Lottery) => AdmissionRate::Fixed(AT_ONCE),
        };
        let admissions_per_piece = match room.mode() {
            RoomMode::Queue => self.keeper.admissions_per_piece,
            RoomMode::Lottery => 1.0,
        };
        let policy = AdmissionPolicy {
            rate,
            latency_target: LATENCY_TARGET,
            depth_max: DEPTH_MAX,
            admissions_per_piece,
        };
        let control = AdmissionControl::new(policy, Timestamp::now());
        self.rooms
            .write()
            .insert(id, Room { room, seed, draw, control, seen, is_drawing: false, ended_at: None });
    }
}

/// Tells the actor itself whether somebody's coming was written; nothing: nobody knows.
#[derive(Message)]
#[rtype(result = "()")]
struct Settle {
    ticket: Ticket,
    is_written: Option<bool>,
}

impl Handler<Settle> for WaitingActor {
    type Result = ();

    fn handle(&mut self, Settle { ticket, is_written }: Settle, _: &mut Context<Self>) {
        let mut rooms = self.rooms.write();
        let Some(room) = rooms.get_mut(&ticket.sale) else { return };
        match is_written {
            Some(true) => drop(room.room.confirm(ticket.number)),
            Some(false) => drop(room.room.forget(ticket.number)),
            // Only the database knows who is in it, so it is asked again.
            None => drop(rooms.remove(&ticket.sale)),
        }
    }
}

/// Tells the actor itself that the draw of a room is made and kept.
#[derive(Message)]
#[rtype(result = "()")]
struct Drawn {
    sale: SaleId,
    draw: Result<PublishedDraw, SalesError>,
}

impl Handler<Drawn> for WaitingActor {
    type Result = ();

    fn handle(&mut self, Drawn { sale, draw }: Drawn, _: &mut Context<Self>) {
        let mut rooms = self.rooms.write();
        let Some(room) = rooms.get_mut(&sale) else { return };
        room.is_drawing = false;
        let entered = draw.and_then(|draw| {
            room.room.drawn(&draw)?;
            Ok(draw)
        });
        match entered {
            Ok(draw) => {
                tracing::info!(%sale, tickets = draw.tickets, "the order of a waiting room is drawn");
                room.draw = Some(Arc::new(draw));
            }
            Err(error) => {
                tracing::error!(%sale, %error, "the draw of a waiting room was not made; its room is loaded again");
                rooms.remove(&sale);
            }
        }
    }
}
