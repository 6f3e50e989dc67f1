//! One SKU's actor: decides in memory, hands the decision to the journal, answers when it is durable.
//!
//! What it has promised and the journal has not yet made durable is neither sold nor free: until then nobody is told
//! of it, neither the buyer nor the next one who would be refused because of it. When the journal cannot carry a
//! decision out, everything decided after it is void too: the actor ends, and its successor loads the row again.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture, WrapFuture,
};
use tokio::sync::watch;

use super::book::{Entry, Refusal, StockBook};
use super::error::InventoryError;
use super::model::{Change, Command, Decision, Figures, Hold, Recalled, SkuStock};
use super::store::InventoryStore;
use crate::actors::runtime::{CommitError, Journal, failpoint};
use crate::storage::StorageError;
use crate::types::{ReservationId, Sku};

/// The figures as they are durable; nothing before they are loaded and once the actor's picture is void.
///
/// Shared, on one arbiter, by the actor, its answers on their way, and its shard.
pub(super) type Settled = Rc<watch::Sender<Option<Figures>>>;

/// How many actors of the SKU have loaded its row, one after the other; shared as the figures are.
pub(super) type Lives = Rc<Cell<u32>>;

pub(super) struct SkuActor {
    sku: Sku,
    store: InventoryStore,
    journal: Journal<StockBook>,
    settled: Settled,
    lives: Lives,
    picture: Picture,
}

enum Picture {
    Loading,
    /// There was no such SKU; who asks is told so once, and the next one may find it.
    Absent,
    Loaded(SkuStock),
    /// Could not be loaded, or is void.
    Void,
}

/// A command for one SKU, with what the asker recalled from the database for it.
#[derive(Debug, Message)]
#[rtype(result = "Result<Told, InventoryError>")]
pub(super) struct Decide {
    pub command: Command,
    pub recalled: Recalled,
}

/// What a SKU's actor answers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Told {
    /// It is so by this command, or it was so already.
    Hold {
        hold: Hold,
        already: bool,
    },
    Stock,
    Nothing,
    /// Look the reservation up and ask again.
    Recall(ReservationId),
}

/// The figures as they are durable.
#[derive(Debug, Message)]
#[rtype(result = "Result<Figures, InventoryError>")]
pub(super) struct Read;

/// The version that the row was seen at; a later one than this actor has made is somebody else's.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Seen {
    pub version: i64,
}

#[derive(Message)]
#[rtype(result = "()")]
struct End;

impl SkuActor {
    pub(super) fn new(
        sku: Sku,
        store: InventoryStore,
        journal: Journal<StockBook>,
        settled: Settled,
        lives: Lives,
    ) -> Self {
        Self { sku, store, journal, settled, lives, picture: Picture::Loading }
    }

    fn stock(&self) -> Result<&SkuStock, InventoryError> {
        match &self.picture {
            // The durable figures are taken away as soon as one decision fails.
            Picture::Loaded(stock) if self.settled.borrow().is_some() => Ok(stock),
            Picture::Absent => Err(InventoryError::UnknownSku(self.sku.clone())),
            Picture::Loaded(_) | Picture::Loading | Picture::Void => {
                Err(InventoryError::Reloading(self.sku.clone()))
            }
        }
    }

    /// Ends, behind the answer that is being given, when there was no such SKU. Not before somebody has asked: the question
    /// for which this actor was started may come after the row was looked for.
    fn make_way(&self, ctx: &Context<Self>) {
        if matches!(self.picture, Picture::Absent) {
            ctx.address().do_send(End);
        }
    }

    /// Answers once everything that was decided so far is durable.
    fn answer_settled(
        &self,
        answer: Result<Told, InventoryError>,
    ) -> ResponseFuture<Result<Told, InventoryError>> {
        let Picture::Loaded(stock) = &self.picture else { return Box::pin(std::future::ready(answer)) };
        let version = stock.stock().version;
        let is_settled =
            move |settled: &Option<Figures>| settled.is_none_or(|figures| figures.stock.version >= version);
        if is_settled(&self.settled.borrow()) {
            return Box::pin(std::future::ready(answer));
        }
        let (sku, mut settled) = (self.sku.clone(), self.settled.subscribe());
        Box::pin(async move {
            match settled.wait_for(is_settled).await {
                Ok(figures) if figures.is_some() => answer,
                _ => Err(InventoryError::Reloading(sku)),
            }
        })
    }

    /// Promises in memory, then answers when the journal has made it durable.
    fn carry_out(
        &mut self,
        change: Change,
        ctx: &mut Context<Self>,
    ) -> ResponseFuture<Result<Told, InventoryError>> {
        let Picture::Loaded(stock) = &mut self.picture else {
            return Box::pin(std::future::ready(Err(InventoryError::Reloading(self.sku.clone()))));
        };
        let Some(place) = self.journal.place() else {
            return Box::pin(std::future::ready(Err(InventoryError::Busy)));
        };
        let version = stock.stock().version;
        let told =
            change.hold.as_ref().map_or(Told::Stock, |hold| Told::Hold { hold: hold.to, already: false });
        stock.apply(&change, Instant::now());
        let promised = stock.figures();
        let committed = place.enter(Entry { sku: self.sku.clone(), version, change });

        let (sku, settled, actor) = (self.sku.clone(), self.settled.clone(), ctx.address());
        Box::pin(async move {
            let error = match committed.await {
                Ok(()) => {
                    settled.send_if_modified(|settled| match settled {
                        Some(figures) if figures.stock.version < promised.stock.version => {
                            *figures = promised;
                            true
                        }
                        _ => false,
                    });
                    return Ok(told);
                }
                Err(CommitError::Refused(Refusal::Stale)) => InventoryError::Stale(sku),
                Err(CommitError::Refused(Refusal::ReferenceTaken | Refusal::Constraint)) => {
                    InventoryError::Reloading(sku)
                }
                Err(CommitError::Unreachable) => {
                    StorageError::Unreachable("the journal has no connection".to_owned()).into()
                }
                Err(CommitError::Late) => {
                    StorageError::Unreachable("the journal did not get to it in time".to_owned()).into()
                }
                Err(CommitError::Unknown) => {
                    StorageError::Unknown("the connection was lost around a commit".to_owned()).into()
                }
                Err(CommitError::Broken(problem)) => StorageError::Broken(problem).into(),
            };
            settled.send_replace(None);
            actor.do_send(End);
            Err(error)
        })
    }
}

impl Actor for SkuActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (store, sku) = (self.store.clone(), self.sku.clone());
        let load = async move { store.find_sku(&sku).await };
        // Nothing is answered before the row is here.
        ctx.wait(load.into_actor(self).map(|found, actor, ctx| match found {
            Ok(Some(figures)) => {
                actor.lives.update(|lives| lives.saturating_add(1));
                actor.settled.send_replace(Some(figures));
                actor.picture = Picture::Loaded(SkuStock::new(actor.sku.clone(), figures));
            }
            Ok(None) => actor.picture = Picture::Absent,
            Err(error) => {
                tracing::warn!(sku = %actor.sku, %error, "stock could not be loaded");
                actor.picture = Picture::Void;
                ctx.stop();
            }
        }));
    }
}

impl Handler<Decide> for SkuActor {
    type Result = ResponseFuture<Result<Told, InventoryError>>;

    fn handle(&mut self, Decide { command, recalled }: Decide, ctx: &mut Self::Context) -> Self::Result {
        failpoint::hit("sku", &self.sku);
        self.make_way(ctx);
        let decision = self.stock().and_then(|stock| stock.decide(&command, recalled));
        match decision {
            Ok(Decision::Change(change)) => self.carry_out(change, ctx),
            Ok(Decision::Already(hold)) => self.answer_settled(Ok(Told::Hold { hold, already: true })),
            Ok(Decision::Nothing) => self.answer_settled(Ok(Told::Nothing)),
            Ok(Decision::Recall(id)) => Box::pin(std::future::ready(Ok(Told::Recall(id)))),
            Err(refusal) => self.answer_settled(Err(refusal)),
        }
    }
}

impl Handler<Read> for SkuActor {
    type Result = Result<Figures, InventoryError>;

    fn handle(&mut self, _: Read, ctx: &mut Self::Context) -> Self::Result {
        self.make_way(ctx);
        self.stock()?;
        let settled = *self.settled.borrow();
        settled.ok_or_else(|| InventoryError::Reloading(self.sku.clone()))
    }
}

impl Handler<Seen> for SkuActor {
    type Result = ();

    /// Whoever only hears refusals never reaches the version match, so a change by hand is looked for as well.
    fn handle(&mut self, Seen { version }: Seen, ctx: &mut Self::Context) {
        let Picture::Loaded(stock) = &self.picture else { return };
        if version > stock.stock().version {
            tracing::info!(sku = %self.sku, version, "the stock was changed by somebody else; it is loaded again");
            self.picture = Picture::Void;
            self.settled.send_replace(None);
            ctx.stop();
        }
    }
}

impl Handler<End> for SkuActor {
    type Result = ();

    fn handle(&mut self, _: End, ctx: &mut Self::Context) {
        self.picture = Picture::Void;
        ctx.stop();
    }
}
