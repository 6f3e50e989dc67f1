//! The front of inventory: takes a reservation apart, asks the SKUs' shards line by line, undoes what it must.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::{Actor, Context, Handler, ResponseFuture};
use metrics::Counter;

use super::allotment::Allotment;
use super::error::InventoryError;
use super::messages::*;
use super::model::{
    Claimed, Command, Figures, Hold, HoldRecord, Line, Movement, MovementKind, OpenHolds, Purpose,
    Reservation, ReservationState, Stock,
};
use super::shard::{Instruct, Instructed, ReadLoads, ReadSku, ShardActor};
use super::store::InventoryStore;
use crate::actors::runtime::Handle;
use crate::error::{Fault as _, Kind};
use crate::types::{Page, Quantity, ReservationId, SaleId, Sku};

/// How often a question is put to a SKU's next actor when the one before had to end.
const ATTEMPTS: usize = 4;
/// How old the ages of holds may be that people look at: the database goes through all holds of a sale for them.
const AGES_EVERY: Duration = Duration::from_secs(1);

/// The shard that a SKU belongs to, the same in every process of one build.
pub fn shard_of(sku: &Sku, shards: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    sku.hash(&mut hasher);
    usize::try_from(hasher.finish() % shards.max(1) as u64).unwrap_or(0)
}

pub struct InventoryActor {
    front: Front,
    /// Of the sales that are looked at, shared by the answers on their way.
    ages: Rc<RefCell<HashMap<SaleId, AgesRead>>>,
}

/// The ages of a sale's holds, and when they were asked for.
struct AgesRead {
    at: Instant,
    ages: Option<HoldAges>,
}

/// What the answers on their way share with the actor.
#[derive(Clone)]
struct Front {
    store: InventoryStore,
    shards: Vec<Handle<ShardActor>>,
    outcomes: Outcomes,
}

#[derive(Clone)]
struct Outcomes {
    reserved: Counter,
    out_of_stock: Counter,
    failed: Counter,
}

impl InventoryActor {
    pub fn new(store: InventoryStore, shards: Vec<Handle<ShardActor>>) -> Self {
        let outcome = |outcome| metrics::counter!("shobai_reservations_total", "outcome" => outcome);
        let outcomes = Outcomes {
            reserved: outcome("reserved"),
            out_of_stock: outcome("out_of_stock"),
            failed: outcome("failed"),
        };
        Self { front: Front { store, shards, outcomes }, ages: Rc::default() }
    }
}

impl Front {
    fn shard(&self, sku: &Sku) -> Option<&Handle<ShardActor>> {
        self.shards.get(shard_of(sku, self.shards.len()))
    }

    /// Tells the SKU's actor, or its successor when it had to end; every command may be told again.
    async fn instruct(&self, sku: &Sku, mut command: Command) -> Result<Instructed, InventoryError> {
        for _ in 1..ATTEMPTS {
            match self.instruct_once(sku, command.clone()).await {
                Err(error) if error.is_for_the_successor() => {}
                told => return told,
            }
            // The one before may have got as far as the journal with it.
            if let Command::Reserve { id_is_new, .. } = &mut command {
                *id_is_new = false;
            }
        }
        self.instruct_once(sku, command).await
    }

    async fn instruct_once(&self, sku: &Sku, command: Command) -> Result<Instructed, InventoryError> {
        let shard = self.shard(sku).ok_or_else(|| InventoryError::UnknownSku(sku.clone()))?;
        shard.ask(Instruct { sku: sku.clone(), command }).await?
    }

    async fn read(&self, sku: &Sku) -> Result<Figures, InventoryError> {
        let shard = self.shard(sku).ok_or_else(|| InventoryError::UnknownSku(sku.clone()))?;
        for _ in 1..ATTEMPTS {
            match shard.ask(ReadSku { sku: sku.clone() }).await? {
                Err(error) if error.is_for_the_successor() => {}
                read => return read,
            }
        }
        shard.ask(ReadSku { sku: sku.clone() }).await?
    }

    /// Each shard is asked once.
    async fn loads(&self, skus: &[Sku]) -> Result<Vec<SkuLoad>, InventoryError> {
        let mut loads = vec![SkuLoad::default(); skus.len()];
        for (index, shard) in self.shards.iter().enumerate() {
            let is_here = |(_, sku): &(usize, &Sku)| shard_of(sku, self.shards.len()) == index;
            let (places, here): (Vec<_>, Vec<_>) =
                skus.iter().enumerate().filter(is_here).map(|(place, sku)| (place, sku.clone())).unzip();
            if here.is_empty() {
                continue;
            }
            let read = shard.ask(ReadLoads { skus: here }).await?;
            places.into_iter().zip(read).for_each(|(place, load)| loads[place] = load);
        }
        Ok(loads)
    }

    async fn reserve(&self, wanted: ReserveStock) -> Result<Reservation, InventoryError> {
        let lines = summed(wanted.lines)?;
        // Some lines of it are there: an earlier question broke off, so the whole of it is this one's to give back.
        let is_left_over = !wanted.id_is_new && self.is_left_over(wanted.id, wanted.purpose, &lines).await?;
        let mut made = Vec::with_capacity(lines.len());
        let mut found = Vec::new();
        let mut reservation = Reservation {
            id: wanted.id,
            lines: Vec::with_capacity(lines.len()),
            state: ReservationState::Held,
            expires_at: wanted.expires_at,
        };
        let count = i16::try_from(lines.len()).unwrap_or(i16::MAX);
        for line in lines {
            let command = Command::Reserve {
                id: wanted.id,
                quantity: line.quantity,
                lines: count,
                purpose: wanted.purpose,
                expires_at: wanted.expires_at,
                sale: wanted.sale.as_ref().and_then(|lines| lines.claim_on(&line.sku)),
                id_is_new: wanted.id_is_new,
            };
            match self.instruct(&line.sku, command).await {
                Ok(Instructed::Hold { hold, already }) => {
                    reservation.state = hold.state;
                    reservation.expires_at = hold.expires_at;
                    // Somebody else's question under the same id is not this one's to undo.
                    if wanted.id_is_new || !already {
                        made.push(line.sku.clone());
                    } else {
                        found.push(line.sku.clone());
                    }
                    reservation.lines.push(line);
                }
                Ok(Instructed::Done) => {}
                Err(error) => {
                    let is_refusal = matches!(error.kind(), Kind::NotFound | Kind::Conflict | Kind::Invalid);
                    if is_refusal && is_left_over {
                        // The rest of what broke off can never be had, so all of it goes back.
                        made.append(&mut found);
                    } else if !is_refusal && wanted.id_is_new {
                        // It may have been made all the same, and nobody will ever ask for it.
                        made.push(line.sku);
                    }
                    self.undo(wanted.id, made).await;
                    return Err(error);
                }
            }
        }
        Ok(reservation)
    }

    /// Whether the id has some of the lines, but not all: lines are decided in their order, so those are the first.
    ///
    /// Refuses when it has others, or was used for something else.
    async fn is_left_over(
        &self,
        id: ReservationId,
        purpose: Purpose,
        lines: &[Line],
    ) -> Result<bool, InventoryError> {
        let Some(known) = self.store.find_reservation(id).await? else { return Ok(false) };
        if known.purpose == purpose && known.whole == lines.len() && lines.starts_with(&known.lines) {
            Ok(known.lines.len() < lines.len())
        } else {
            Err(InventoryError::ReservationDiffers(id))
        }
    }

    /// Gives back what the lines before the refused one got. What cannot be given back now (a crash, a database that
    /// is away) lapses by its time, or is swept when it was for an order.
    async fn undo(&self, id: ReservationId, skus: Vec<Sku>) {
        for sku in skus {
            let command = Command::Release { id, even_if_committed: false, has_expired: false };
            if let Err(error) = self.instruct(&sku, command).await {
                tracing::warn!(reservation = %id, %sku, %error, "a line could not be undone");
            }
        }
    }

    /// Brings pieces back on hand that were sold with lines that could not be.
    async fn take_back(&self, id: ReservationId, lines: Vec<Line>) {
        for Line { sku, .. } in lines {
            let command = Command::Release { id, even_if_committed: true, has_expired: false };
            if let Err(error) = self.instruct(&sku, command).await {
                tracing::error!(reservation = %id, %sku, %error, "pieces of a broken reservation stay sold");
            }
        }
    }

    /// Brings every line of a reservation to the same end.
    async fn end(
        &self,
        id: ReservationId,
        purpose: Purpose,
        skus: Vec<Sku>,
        command: Command,
    ) -> Result<Reservation, InventoryError> {
        let skus = if skus.is_empty() { self.store.list_reserved_skus(id, purpose).await? } else { skus };
        let mut lines = Vec::with_capacity(skus.len());
        let mut last: Option<Hold> = None;
        for sku in skus {
            match self.instruct(&sku, command.clone()).await {
                Ok(Instructed::Hold { hold, .. }) => {
                    lines.push(Line { sku, quantity: hold.quantity });
                    last = Some(hold);
                }
                Ok(Instructed::Done) => {}
                Err(error) => {
                    // Half of it sold, because the rest lapsed in between, is nothing that staff could undo.
                    if matches!(error, InventoryError::ReservationEnded { .. }) && purpose == Purpose::Staff {
                        self.take_back(id, lines).await;
                    }
                    return Err(error);
                }
            }
        }
        let Hold { state, expires_at, .. } = last.ok_or(InventoryError::UnknownReservation(id))?;
        Ok(Reservation { id, lines, state, expires_at })
    }

    /// Moves pieces on hand under a reference; the movement of the first time is the answer of every time.
    async fn move_on_hand(
        &self,
        sku: Sku,
        kind: MovementKind,
        reference: String,
        command: Command,
        is_same: impl Fn(&Movement) -> bool,
    ) -> Result<Movement, InventoryError> {
        let known = |movement: Movement| {
            if is_same(&movement) {
                Ok(movement)
            } else {
                Err(InventoryError::ReferenceTaken { sku: sku.clone(), reference: reference.clone() })
            }
        };
        for _ in 1..ATTEMPTS {
            if let Some(movement) = self.store.find_movement(&sku, kind, &reference).await? {
                return known(movement);
            }
            match self.instruct_once(&sku, command.clone()).await {
                Ok(_) => {}
                // Perhaps the reference was taken by somebody who asked at the same time.
                Err(error) if error.is_for_the_successor() => {}
                Err(refusal) => {
                    // Or what was asked at the same time is the reason for the refusal.
                    return match self.store.find_movement(&sku, kind, &reference).await? {
                        Some(movement) => known(movement),
                        None => Err(refusal),
                    };
                }
            }
        }
        match self.store.find_movement(&sku, kind, &reference).await? {
            Some(movement) => known(movement),
            None => Err(InventoryError::Reloading(sku)),
        }
    }
}

/// The lines in the one order in which everybody decides them, each SKU once.
fn summed(lines: Vec<Line>) -> Result<Vec<Line>, InventoryError> {
    if lines.len() == 1 {
        return Ok(lines);
    }
    let mut sums: BTreeMap<Sku, Quantity> = BTreeMap::new();
    for Line { sku, quantity } in lines {
        let sum = match sums.get(&sku) {
            Some(before) => before.plus(quantity)?,
            None => quantity,
        };
        sums.insert(sku, sum);
    }
    Ok(sums.into_iter().map(|(sku, quantity)| Line { sku, quantity }).collect())
}

impl InventoryActor {
    /// Tells the SKU's actor, and answers with the sale's part as it is then.
    fn change_allotment(
        &self,
        sale: SaleId,
        sku: Sku,
        command: Command,
    ) -> ResponseFuture<Result<Allotment, InventoryError>> {
        let front = self.front.clone();
        Box::pin(async move {
            front.instruct(&sku, command).await?;
            let part = front.read(&sku).await?.allotment.filter(|part| part.sale == sale);
            part.ok_or(InventoryError::NotAllotted { sku, sale })
        })
    }
}

impl Actor for InventoryActor {
    type Context = Context<Self>;
}

impl Handler<TrackSku> for InventoryActor {
    type Result = ResponseFuture<Result<Stock, InventoryError>>;

    fn handle(&mut self, TrackSku { sku }: TrackSku, _: &mut Self::Context) -> Self::Result {
        let front = self.front.clone();
        Box::pin(async move {
            front.store.insert_sku(&sku).await?;
            for _ in 1..ATTEMPTS {
                match front.read(&sku).await {
                    // That actor looked before the row was there; it makes way for one that finds it.
                    Err(InventoryError::UnknownSku(_)) => {}
                    read => return read.map(|figures| figures.stock),
                }
            }
            front.read(&sku).await.map(|figures| figures.stock)
        })
    }
}

impl Handler<ReceiveStock> for InventoryActor {
    type Result = ResponseFuture<Result<Movement, InventoryError>>;

    fn handle(&mut self, received: ReceiveStock, _: &mut Self::Context) -> Self::Result {
        let front = self.front.clone();
        Box::pin(async move {
            let ReceiveStock { sku, quantity, reference } = received;
            let command = Command::Receive { quantity, reference: reference.clone() };
            let is_same = |movement: &Movement| movement.on_hand_delta == quantity.get();
            front.move_on_hand(sku, MovementKind::Received, reference, command, is_same).await
        })
    }
}

impl Handler<AdjustStock> for InventoryActor {
    type Result = ResponseFuture<Result<Movement, InventoryError>>;

    fn handle(&mut self, adjusted: AdjustStock, _: &mut Self::Context) -> Self::Result {
        let front = self.front.clone();
        Box::pin(async move {
            let AdjustStock { sku, delta, reason, expected_version, reference } = adjusted;
            let reference = reference.unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
            let command = Command::Adjust {
                delta,
                reason: reason.clone(),
                reference: reference.clone(),
                expected_version,
            };
            let is_same = |movement: &Movement| {
                movement.on_hand_delta == delta && movement.reason.as_deref() == Some(&*reason)
            };
            front.move_on_hand(sku, MovementKind::Adjusted, reference, command, is_same).await
        })
    }
}

impl Handler<ReserveStock> for InventoryActor {
    type Result = ResponseFuture<Result<Reservation, InventoryError>>;

    fn handle(&mut self, wanted: ReserveStock, _: &mut Self::Context) -> Self::Result {
        let front = self.front.clone();
        Box::pin(async move {
            let reserved = front.reserve(wanted).await;
            match &reserved {
                Ok(_) => front.outcomes.reserved.increment(1),
                Err(InventoryError::OutOfStock { .. }) => front.outcomes.out_of_stock.increment(1),
                Err(_) => front.outcomes.failed.increment(1),
            }
            reserved
        })
    }
}

impl Handler<CommitReservation> for InventoryActor {
    type Result = ResponseFuture<Result<Reservation, InventoryError>>;

    fn handle(&mut self, message: CommitReservation, _: &mut Self::Context) -> Self::Result {
        let front = self.front.clone();
        let CommitReservation { id, purpose, skus, even_if_expired } = message;
        Box::pin(async move { front.end(id, purpose, skus, Command::Commit { id, even_if_expired }).await })
    }
}

impl Handler<ReleaseReservation> for InventoryActor {
    type Result = ResponseFuture<Result<Reservation, InventoryError>>;

    fn handle(&mut self, message: ReleaseReservation, _: &mut Self::Context) -> Self::Result {
        let front = self.front.clone();
        let ReleaseReservation { id, purpose, skus, even_if_committed, has_expired } = message;
        let release = Command::Release { id, even_if_committed, has_expired };
        Box::pin(async move { front.end(id, purpose, skus, release).await })
    }
}

impl Handler<ListHolds> for InventoryActor {
    type Result = ResponseFuture<Result<Vec<HoldRecord>, InventoryError>>;

    fn handle(&mut self, ListHolds { id }: ListHolds, _: &mut Self::Context) -> Self::Result {
        let store = self.front.store.clone();
        Box::pin(async move { Ok(store.list_holds(id).await?) })
    }
}

impl Handler<GetStock> for InventoryActor {
    type Result = ResponseFuture<Result<Stock, InventoryError>>;

    fn handle(&mut self, GetStock { sku }: GetStock, _: &mut Self::Context) -> Self::Result {
        let front = self.front.clone();
        Box::pin(async move { front.read(&sku).await.map(|figures| figures.stock) })
    }
}

impl Handler<ListAvailable> for InventoryActor {
    type Result = ResponseFuture<Result<Vec<i64>, InventoryError>>;

    fn handle(&mut self, ListAvailable { skus }: ListAvailable, _: &mut Self::Context) -> Self::Result {
        let store = self.front.store.clone();
        Box::pin(async move { Ok(store.list_available(&skus).await?) })
    }
}

impl Handler<ListMovements> for InventoryActor {
    type Result = ResponseFuture<Result<Page<Movement>, InventoryError>>;

    fn handle(&mut self, message: ListMovements, _: &mut Self::Context) -> Self::Result {
        let front = self.front.clone();
        let ListMovements { sku, limit, cursor } = message;
        Box::pin(async move {
            front.read(&sku).await?;
            front.store.list_movements(&sku, limit, cursor).await
        })
    }
}

impl Handler<AllotStock> for InventoryActor {
    type Result = ResponseFuture<Result<Allotment, InventoryError>>;

    fn handle(&mut self, message: AllotStock, _: &mut Self::Context) -> Self::Result {
        let AllotStock { sale, sku, pieces } = message;
        self.change_allotment(sale, sku, Command::Allot { sale, pieces })
    }
}

impl Handler<ChangeAllotment> for InventoryActor {
    type Result = ResponseFuture<Result<Allotment, InventoryError>>;

    fn handle(&mut self, message: ChangeAllotment, _: &mut Self::Context) -> Self::Result {
        let ChangeAllotment { sale, sku, pieces, expected } = message;
        self.change_allotment(sale, sku, Command::Reallot { sale, pieces, expected })
    }
}

impl Handler<CloseAllotment> for InventoryActor {
    type Result = ResponseFuture<Result<(), InventoryError>>;

    fn handle(&mut self, message: CloseAllotment, _: &mut Self::Context) -> Self::Result {
        let front = self.front.clone();
        let CloseAllotment { sale, sku } = message;
        Box::pin(async move {
            front.instruct(&sku, Command::CloseAllotment { sale }).await?;
            Ok(())
        })
    }
}

impl Handler<GetFigures> for InventoryActor {
    type Result = ResponseFuture<Result<Figures, InventoryError>>;

    fn handle(&mut self, GetFigures { sku }: GetFigures, _: &mut Self::Context) -> Self::Result {
        let front = self.front.clone();
        Box::pin(async move { front.read(&sku).await })
    }
}

impl Handler<ListAllotments> for InventoryActor {
    type Result = ResponseFuture<Result<Vec<(Sku, Allotment)>, InventoryError>>;

    fn handle(&mut self, ListAllotments { sale }: ListAllotments, _: &mut Self::Context) -> Self::Result {
        let store = self.front.store.clone();
        Box::pin(async move { Ok(store.list_allotments(sale).await?) })
    }
}

impl Handler<ListClaims> for InventoryActor {
    type Result = ResponseFuture<Result<Vec<Claimed>, InventoryError>>;

    fn handle(&mut self, ListClaims { sale, order }: ListClaims, _: &mut Self::Context) -> Self::Result {
        let store = self.front.store.clone();
        Box::pin(async move {
            Ok(match order {
                Some(order) => store.find_claims(sale, order.into()).await?,
                None => store.list_claims(sale).await?,
            })
        })
    }
}

impl Handler<CountOpenHolds> for InventoryActor {
    type Result = ResponseFuture<Result<OpenHolds, InventoryError>>;

    fn handle(&mut self, CountOpenHolds { sale }: CountOpenHolds, _: &mut Self::Context) -> Self::Result {
        let store = self.front.store.clone();
        Box::pin(async move { Ok(store.count_open_holds(sale).await?) })
    }
}

impl Handler<GetHoldAges> for InventoryActor {
    type Result = ResponseFuture<Result<Option<HoldAges>, InventoryError>>;

    fn handle(&mut self, GetHoldAges { sale }: GetHoldAges, _: &mut Self::Context) -> Self::Result {
        let now = Instant::now();
        let is_new = |read: &AgesRead| now.duration_since(read.at) < AGES_EVERY;
        let before = match self.ages.borrow().get(&sale) {
            Some(read) if is_new(read) => return Box::pin(std::future::ready(Ok(read.ages))),
            read => read.and_then(|read| read.ages),
        };
        // Whoever asks meanwhile is told what was read before; what nobody asks about any more is forgotten.
        self.ages.borrow_mut().retain(|_, read| now.duration_since(read.at) < 60 * AGES_EVERY);
        self.ages.borrow_mut().insert(sale, AgesRead { at: now, ages: before });
        let (store, known) = (self.front.store.clone(), self.ages.clone());
        Box::pin(async move {
            let ages = store.find_hold_ages(sale).await?;
            known.borrow_mut().insert(sale, AgesRead { at: now, ages });
            Ok(ages)
        })
    }
}

impl Handler<ListSkuLoads> for InventoryActor {
    type Result = ResponseFuture<Result<Vec<SkuLoad>, InventoryError>>;

    fn handle(&mut self, ListSkuLoads { skus }: ListSkuLoads, _: &mut Self::Context) -> Self::Result {
        let front = self.front.clone();
        Box::pin(async move { front.loads(&skus).await })
    }
}

impl Handler<ListHeldForOrders> for InventoryActor {
    type Result = ResponseFuture<Result<Vec<(ReservationId, Option<SaleId>)>, InventoryError>>;

    fn handle(&mut self, message: ListHeldForOrders, _: &mut Self::Context) -> Self::Result {
        let store = self.front.store.clone();
        let ListHeldForOrders { made_before, after, limit } = message;
        Box::pin(async move { Ok(store.list_held_for_orders(made_before, after, limit).await?) })
    }
}
