//! The actor of all waiting rooms: hands out tickets once they are durable, draws at the opening, and lets people in.
//!
//! Who is let in is written behind: after a crash somebody may be let in once more under the same ticket, whose admission
//! is good for one live order all the same.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, AsyncContext, Context, Handler, Message, ResponseFuture};
use jiff::{SignedDuration, Timestamp};

use super::admission::{AdmissionControl, AdmissionPolicy, AdmissionRate, Demand, Observed};
use super::book::{DatedChange, RoomBook, RoomEntry};
use super::draw::{PublishedDraw, Seed};
use super::passes::{Ticket, TicketNumber};
use super::room::{EntryChange, EntryState, Finish, Joined, RoomMode, StoredEntry, WaitingRoom};
use super::rooms::{Room, Rooms};
use crate::actors::runtime::{CommitError, Handle, Journal, failpoint};
use crate::actors::sales::actor::SalesActor;
use crate::actors::sales::error::SalesError;
use crate::actors::sales::gates::{AdmissionUse, Heard, Refusal};
use crate::actors::sales::messages::{
    GetDraw, GetRoom, JoinQueue, ListUses, LookAtSales, QueuePlace, RoomFigures, SaleSeen, SalesSeen,
};
use crate::actors::sales::model::{AdmissionMode, Sale, SaleStatus};
use crate::actors::sales::store::SalesStore;
use crate::config::Sales as Settings;
use crate::types::SaleId;

/// How often people are let in, and admissions looked at that lapse.
const ROUND_EVERY: Duration = Duration::from_millis(200);
/// An order that came in time may take so long to be heard of.
pub(super) const LAPSES_LATE_BY: SignedDuration = SignedDuration::from_secs(1);
/// A room that cannot be loaded is tried again after so long.
const LOADS_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// What a room is like, as metrics.
const FIGURES: [&str; 6] = [
    "shobai_queue_entries",
    "shobai_queue_memory_bytes",
    "shobai_queue_waiting",
    "shobai_queue_admitted",
    "shobai_queue_no_shows",
    "shobai_queue_admissions_per_second",
];
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
/// Draws of sales that are over; one of a million tickets takes 8 MB.
const OLD_DRAWS_MAX: usize = 4;
/// Changes that may wait to be written, each in 80 bytes.
const UNWRITTEN_MAX: usize = 1_000_000;
/// Changes that are written at once.
const WRITTEN_AT_ONCE: usize = 5_000;

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

    /// Writes what became of people. Says whether all of it is surely written.
    async fn write(&self, changes: Arc<[DatedChange]>) -> bool {
        let count = changes.len();
        let why = match self.journal.slot() {
            None => "the journal is full".to_owned(),
            Some(place) => match place.enter(RoomEntry::Changes(changes)).await {
                Ok(()) => return true,
                Err(error) => error.to_string(),
            },
        };
        tracing::warn!(count, why, "what became of people in waiting rooms is written later");
        false
    }

    async fn load(&self, sale: &Sale, mode: RoomMode) -> Result<Opened, SalesError> {
        let broken = |error: &dyn std::fmt::Display| SalesError::Broken(error.to_string());
        let (seed, draw) = self.store.find_room(sale.id).await?;
        let seed: Seed = seed.parse().map_err(|error| broken(&error))?;
        let draw: Option<PublishedDraw> =
            draw.map(|record| serde_json::from_str(&record).map_err(|error| broken(&error))).transpose()?;
        let mut entries = self.store.list_entries(sale.id).await?;
        let used = self.sales.ask(ListUses { sale: sale.id }).await.map_err(SalesError::from).flatten()?;
        let changes = self.follow_uses(&mut entries, &used);
        let room = WaitingRoom::restore(mode, sale.id, self.entries_max, entries, draw.as_ref(), None)
            .map_err(|error| broken(&error))?;
        Ok(Opened { room, seed, draw: draw.map(Arc::new), changes })
    }

    /// Whoever has an order with their admission was let in, and whoever has none any more has the admission back, whatever was
    /// written of it in a life before.
    fn follow_uses(&self, entries: &mut [StoredEntry], used: &HashSet<TicketNumber>) -> Vec<EntryChange> {
        let lapses_at = SignedDuration::from_secs(self.admission_seconds.into());
        let lapses_at = Timestamp::now().checked_add(lapses_at).unwrap_or(Timestamp::MAX);
        let mut changes = Vec::new();
        for entry in entries {
            entry.state = match (entry.state, used.contains(&entry.number)) {
                (EntryState::Ordered, false) => EntryState::Admitted,
                (EntryState::Waiting | EntryState::Admitted | EntryState::NoShow, true) => {
                    EntryState::Ordered
                }
                _ => continue,
            };
            let admitted_until = Some(*entry.admitted_until.get_or_insert(lapses_at));
            changes.push(EntryChange { number: entry.number, state: entry.state, admitted_until });
        }
        changes
    }
}

/// Whose admissions are used, sale by sale.
type Uses = Vec<(SaleId, HashSet<TicketNumber>)>;

/// A room as it is loaded.
struct Opened {
    room: WaitingRoom,
    seed: Seed,
    draw: Option<Arc<PublishedDraw>>,
    /// What is to be written of it now.
    changes: Vec<EntryChange>,
}

pub struct WaitingActor {
    keeper: Doorkeeper,
    rooms: Rooms,
    loading: HashSet<SaleId>,
    /// When the room of a sale could not be loaded.
    failed: HashMap<SaleId, Instant>,
    /// Heard of while their rooms were being loaded.
    uses: Vec<AdmissionUse>,
    /// Of sales that are over, asked for last.
    old_draws: VecDeque<Arc<PublishedDraw>>,
    heard: Heard,
    is_looking: bool,
    /// What became of people and is not written yet, in its order; beyond `unwritten_max` the last of each ticket, so that there
    /// is no more of it than that or than twice the tickets.
    unwritten: VecDeque<DatedChange>,
    unwritten_max: usize,
    /// How many changes are written at once; fewer after a failure.
    at_once: usize,
    /// What is being written before that.
    writing: Arc<[DatedChange]>,
    /// The time of the last change.
    last_at: Timestamp,
}

impl WaitingActor {
    pub fn new(keeper: Doorkeeper) -> Self {
        let rooms = keeper.rooms.clone();
        // What a life before left behind is loaded again.
        rooms.write().clear();
        rooms.mark(false);
        Self {
            keeper,
            rooms,
            loading: HashSet::new(),
            failed: HashMap::new(),
            uses: Vec::new(),
            old_draws: VecDeque::new(),
            heard: Heard::default(),
            is_looking: false,
            unwritten: VecDeque::new(),
            unwritten_max: UNWRITTEN_MAX,
            at_once: WRITTEN_AT_ONCE,
            writing: Arc::default(),
            last_at: Timestamp::MIN,
        }
    }

    fn look(&mut self, context: &mut Context<Self>) {
        if self.is_looking {
            return;
        }
        self.is_looking = true;
        let (sales, actor, heard) = (self.keeper.sales.clone(), context.address(), self.heard);
        actix_rt::spawn(async move {
            let look = async {
                let seen = sales.ask(LookAtSales { heard }).await.map_err(SalesError::from).flatten()?;
                let mut uses = Uses::new();
                // What the gates did not tell in their life before is lost, so that all of it is asked for.
                if seen.heard.is_of_another_life(heard) {
                    for SaleSeen { sale, .. } in &seen.sales {
                        let used = sales.ask(ListUses { sale: sale.id }).await;
                        uses.push((sale.id, used.map_err(SalesError::from).flatten()?));
                    }
                }
                Ok((seen, uses))
            };
            actor.do_send(Look { seen: look.await });
        });
    }

    fn round(&mut self, seen: SalesSeen, uses: Uses, context: &mut Context<Self>) {
        let now = Timestamp::now();
        self.heard = seen.heard;
        let shared = self.rooms.clone();
        let mut rooms = shared.write();
        for (id, room) in rooms.iter_mut() {
            if !seen.sales.iter().any(|seen| seen.sale.id == *id) && room.ended_at.is_none() {
                room.room.finish(Finish::Closed);
                room.ended_at = Some(Instant::now());
                // Nobody waits any more.
                show_figures(*id, [0.0; FIGURES.len()]);
            }
        }
        let is_kept = |room: &Room| room.ended_at.is_none_or(|ended| ended.elapsed() < KEPT_FOR);
        rooms.retain(|_, room| is_kept(room));
        let mut are_all = true;
        for sale in seen.sales {
            let id = sale.sale.id;
            match rooms.get_mut(&id) {
                Some(room) => room.seen = sale,
                None => {
                    are_all &= mode_of(&sale.sale).is_none();
                    self.load(sale, context);
                }
            }
        }
        self.rooms.mark(are_all);
        let mut changes = Vec::new();
        for heard in seen.admissions {
            match rooms.get_mut(&heard.sale) {
                Some(room) => changes.extend(hear(room, heard).map(|change| (heard.sale, change, heard.at))),
                None if self.loading.contains(&heard.sale) => self.uses.push(heard),
                None => {}
            }
        }
        for (id, used) in uses {
            let followed = rooms.get_mut(&id).map(|room| follow(room, &used)).unwrap_or_default();
            changes.extend(followed.into_iter().map(|change| (id, change, now)));
        }
        let lapsed_to = seen.told_to.checked_sub(LAPSES_LATE_BY).unwrap_or(now);
        let observed = Observed { latency_p99: seen.latency_p99, depth: seen.depth };
        for (id, room) in rooms.iter_mut().filter(|(_, room)| room.ended_at.is_none()) {
            if now >= room.seen.sale.draft.opens_at && room.draw.is_none() && !room.is_drawing {
                draw(*id, room, &self.keeper, context);
            }
            if room.seen.sale.status.is_over() || room.seen.sale.status == SaleStatus::Draining {
                room.room.finish(Finish::Closed);
            }
            changes.extend(room.room.lapse(lapsed_to).into_iter().map(|change| (*id, change, now)));
            room.control.observe(now, observed);
            // Whom the gates would hold up is not let in.
            if room.seen.is_selling {
                let counts = room.room.counts();
                let remaining_pieces = u64::try_from(room.seen.orderable).unwrap_or(0);
                let demand =
                    Demand { waiting: counts.waiting, outstanding: counts.admitted, remaining_pieces };
                let granted = room.control.grant(now, demand);
                let admitted = room.room.admit(now, granted, self.keeper.admission_seconds);
                changes.extend(admitted.into_iter().map(|admitted| (*id, admitted.into(), now)));
            }
            show(*id, room);
        }
        drop(rooms);
        for (sale, change, at) in changes {
            self.remember(sale, change, at);
        }
        self.write_behind(context);
    }

    fn remember(&mut self, sale: SaleId, change: EntryChange, at: Timestamp) {
        // Later than the one before, as far as the database can tell.
        let next = self.last_at.checked_add(SignedDuration::from_micros(1)).unwrap_or(at);
        self.last_at = at.max(next);
        self.unwritten.push_back(DatedChange { sale, change, at: self.last_at });
        if self.unwritten.len() > self.unwritten_max {
            self.keep_the_last();
        }
    }

    /// Of what waits to be written for long, what a ticket is now has to do.
    fn keep_the_last(&mut self) {
        let mut seen = HashSet::new();
        let mut last: VecDeque<DatedChange> = VecDeque::new();
        for dated in self.unwritten.drain(..).rev() {
            if seen.insert((dated.sale, dated.change.number)) {
                last.push_front(dated);
            }
        }
        // Not again before it has grown as much once more.
        self.unwritten_max = UNWRITTEN_MAX.max(2 * last.len());
        self.unwritten = last;
    }

    /// Writes what became of people, in as many rounds as it takes.
    fn write_behind(&mut self, context: &mut Context<Self>) {
        if !self.writing.is_empty() || self.unwritten.is_empty() {
            return;
        }
        let next = self.unwritten.len().min(self.at_once);
        self.writing = self.unwritten.drain(..next).collect();
        let (keeper, actor, changes) = (self.keeper.clone(), context.address(), self.writing.clone());
        actix_rt::spawn(async move {
            let is_written = keeper.write(changes.clone()).await;
            actor.do_send(Written { changes, is_written });
        });
    }

    fn load(&mut self, seen: SaleSeen, context: &mut Context<Self>) {
        let Some(mode) = mode_of(&seen.sale) else { return };
        let id = seen.sale.id;
        // A room is as it was once all of it is written.
        let is_written = !self.writing.iter().chain(&self.unwritten).any(|dated| dated.sale == id);
        let has_failed = |at: &Instant| at.elapsed() < LOADS_AGAIN_AFTER;
        if !is_written || self.failed.get(&id).is_some_and(has_failed) || !self.loading.insert(id) {
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

/// An admission was used or came back. What the room knows already changes nothing.
fn hear(room: &mut Room, heard: AdmissionUse) -> Option<EntryChange> {
    match heard.is_used {
        true => room.room.ordered(heard.number).ok(),
        false => room.room.given_back(heard.number).ok(),
    }
}

/// Makes of a room what the gates know: whose admissions are used, and whose are not any more.
fn follow(room: &mut Room, used: &HashSet<TicketNumber>) -> Vec<EntryChange> {
    let ordered = room.room.ordered_tickets();
    let given_back = ordered.into_iter().filter(|number| !used.contains(number));
    let given_back: Vec<_> = given_back.filter_map(|number| room.room.given_back(number).ok()).collect();
    let ordered = used.iter().filter_map(|number| room.room.ordered(*number).ok());
    given_back.into_iter().chain(ordered).collect()
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
    show_figures(
        sale,
        [
            f64::from(counts.entries),
            room.room.memory_bytes() as f64,
            f64::from(counts.waiting),
            f64::from(counts.admitted),
            f64::from(counts.no_shows),
            room.control.rate(),
        ],
    );
}

fn show_figures(sale: SaleId, figures: [f64; FIGURES.len()]) {
    for (name, figure) in FIGURES.into_iter().zip(figures) {
        metrics::gauge!(name, "sale" => sale.to_string()).set(figure);
    }
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
        failpoint::hit("waiting rooms", customer);
        let mut rooms = self.rooms.write();
        let joined = rooms.get_mut(&sale).ok_or_else(|| self.rooms.missing(sale)).and_then(|room| {
            // Who comes between the opening and the draw stands behind those who are drawn.
            let is_open = Timestamp::now() >= room.seen.sale.draft.opens_at;
            let is_to_be_drawn = is_open && room.draw.is_none() && room.room.finished().is_none();
            if is_to_be_drawn {
                return Err(SalesError::Busy);
            }
            if room.is_sold_out() && !room.room.has_ticket(customer, Timestamp::now()) {
                return Err(SalesError::Refused(Refusal::SoldOut));
            }
            Ok(room.room.join(customer, Timestamp::now())?)
        });
        let (number, written) = match joined {
            Err(error) => return Box::pin(std::future::ready(Err(error))),
            Ok(Joined::Already(number)) => (number, None),
            // Its ticket is good once it is written, which whoever asked first is told.
            Ok(Joined::OnItsWay(_)) => return Box::pin(std::future::ready(Err(SalesError::Busy))),
            Ok(Joined::New(entry)) => match self.keeper.journal.slot() {
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
        let room = rooms.get(&sale).ok_or_else(|| self.rooms.missing(sale))?;
        Ok(RoomFigures {
            counts: room.room.counts(),
            is_drawn: room.draw.is_some(),
            admissions_per_second: room.control.rate(),
        })
    }
}

impl Handler<GetDraw> for WaitingActor {
    type Result = ResponseFuture<Result<Arc<PublishedDraw>, SalesError>>;

    fn handle(&mut self, GetDraw { sale }: GetDraw, context: &mut Context<Self>) -> Self::Result {
        let rooms = self.rooms.read();
        let of_room = rooms.get(&sale).map(|room| room.draw.clone().ok_or(SalesError::NotDrawn(sale)));
        drop(rooms);
        let of_old = || self.old_draws.iter().find(|draw| draw.sale == sale).cloned().map(Ok);
        if let Some(draw) = of_room.or_else(of_old) {
            return Box::pin(std::future::ready(draw));
        }
        let (store, actor) = (self.keeper.store.clone(), context.address());
        Box::pin(async move {
            let (_, record) = store.find_room(sale).await?;
            let record = record.ok_or(SalesError::NotDrawn(sale))?;
            let draw: PublishedDraw =
                serde_json::from_str(&record).map_err(|error| SalesError::Broken(error.to_string()))?;
            let draw = Arc::new(draw);
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

impl Handler<KeepDraw> for WaitingActor {
    type Result = ();

    fn handle(&mut self, KeepDraw { draw }: KeepDraw, _: &mut Context<Self>) {
        if self.old_draws.iter().any(|old| old.sale == draw.sale) {
            return;
        }
        self.old_draws.truncate(OLD_DRAWS_MAX - 1);
        self.old_draws.push_front(draw);
    }
}

/// Tells the actor itself what it saw.
#[derive(Message)]
#[rtype(result = "()")]
struct Look {
    /// With the uses of each sale, where the gates began anew.
    seen: Result<(SalesSeen, Uses), SalesError>,
}

impl Handler<Look> for WaitingActor {
    type Result = ();

    fn handle(&mut self, Look { seen }: Look, context: &mut Context<Self>) {
        self.is_looking = false;
        match seen {
            Ok((seen, uses)) => self.round(seen, uses, context),
            Err(error) => tracing::warn!(%error, "the waiting rooms cannot see the sales"),
        }
    }
}

/// Tells the actor itself whether what it was writing is surely written.
#[derive(Message)]
#[rtype(result = "()")]
struct Written {
    changes: Arc<[DatedChange]>,
    is_written: bool,
}

impl Handler<Written> for WaitingActor {
    type Result = ();

    fn handle(&mut self, Written { changes, is_written }: Written, context: &mut Context<Self>) {
        if !Arc::ptr_eq(&changes, &self.writing) {
            // A life before wrote it.
            return;
        }
        self.writing = Arc::default();
        if is_written {
            self.at_once = (self.at_once * 2).min(WRITTEN_AT_ONCE);
            return self.write_behind(context);
        }
        // The next round writes it once more, and in its place.
        self.at_once = (self.at_once / 2).max(1);
        changes.iter().rev().for_each(|dated| self.unwritten.push_front(*dated));
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
        let uses: Vec<_> = self.uses.extract_if(.., |heard| heard.sale == id).collect();
        let Opened { room, seed, draw, changes } = match opened {
            Ok(opened) => opened,
            Err(error) => {
                tracing::error!(sale = %id, %error, "a waiting room cannot be loaded");
                self.failed.insert(id, Instant::now());
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
        let now = Timestamp::now();
        let control = AdmissionControl::new(policy, now);
        let mut room = Room { room, seed, draw, control, seen, is_drawing: false, ended_at: None };
        let heard = uses.into_iter().filter_map(|heard| hear(&mut room, heard));
        for change in changes.into_iter().chain(heard.collect::<Vec<_>>()) {
            self.remember(id, change, now);
        }
        self.failed.remove(&id);
        self.rooms.write().insert(id, room);
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
        // A room that was loaded again may have given the number to somebody else.
        let is_its =
            |room: &&mut Room| is_written.is_none() || room.room.is_of(ticket.number, ticket.customer);
        let Some(room) = rooms.get_mut(&ticket.sale).filter(is_its) else { return };
        match is_written {
            Some(true) => drop(room.room.confirm(ticket.number)),
            Some(false) => drop(room.room.forget(ticket.number)),
            // Only the database knows who is in it, so it is asked again.
            None => {
                rooms.remove(&ticket.sale);
                self.rooms.mark(false);
            }
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
                self.rooms.mark(false);
            }
        }
    }
}
