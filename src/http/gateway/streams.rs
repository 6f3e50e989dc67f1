//! Answers that go on: server-sent events (HTML, 9.2), for operators, their pages and those who wait.
//!
//! A stream has one of a bounded number of places. It tells what has changed since it told last, says in between that it
//! is still there, and ends when its time is over, when the session or the ticket behind it is, or when the engine stops.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{StreamExt as _, future, stream};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};

use super::answer::Answer;
use super::problem::Problem;
use super::state::{Gateway, OpenRequest, OpenRequests};
use crate::actors::sales::Ticket;
use crate::actors::users::Permission;
use crate::config;
use crate::error::{Fault, Kind};

pub const MEDIA_TYPE: &str = "text/event-stream";
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// How often there may be something to tell.
const EVERY: Duration = Duration::from_millis(500);
/// Then the client comes back, so that no stream is kept for somebody who left long ago.
const TELLS_FOR: Duration = Duration::from_secs(600);
/// After how long without an event a comment is sent: a client that is gone is only noticed when it is sent something.
const QUIET_FOR: Duration = Duration::from_secs(5);
/// Streams of one ticket: the devices of one customer, and those that were left a moment ago.
const TICKET_STREAMS_MAX: usize = 4;

/// Whether the client wants a stream of events rather than one answer.
pub fn are_accepted(request: &HttpRequest) -> bool {
    let accepted = request.headers().get(ACCEPT).and_then(|accepted| accepted.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains(MEDIA_TYPE))
}

/// Who listens, and by what right.
#[derive(Clone)]
pub enum Listener {
    /// The bearer of an access token whose role has the permission, as long as it has.
    Staff { token: String, permission: Permission },
    /// The bearer of a ticket, which whoever tells its place checks each time.
    Waiting(Ticket),
}

impl Listener {
    fn may_listen(&self, gateway: &Gateway) -> bool {
        match self {
            Self::Staff { token, permission } => {
                (gateway.identify)(token).is_ok_and(|identity| identity.role.permits(*permission))
            }
            Self::Waiting(_) => true,
        }
    }

    /// When a client that was cut off comes back: operators at once, a crowd not all in the same moment as its ticks.
    const fn retry_ms(&self) -> u32 {
        match self {
            Self::Staff { .. } => 500,
            Self::Waiting(_) => 2_000,
        }
    }
}

/// A place for every stream, and the word that all of them end; clones share them.
#[derive(Clone)]
pub struct Streams(Arc<Open>);

struct Open {
    operators: OpenRequests,
    waiting: OpenRequests,
    /// Streams of each ticket that has any.
    tickets: Mutex<HashMap<Ticket, usize>>,
    are_over: watch::Sender<bool>,
}

impl Streams {
    pub fn new(config: &config::Http) -> Self {
        Self(Arc::new(Open {
            operators: OpenRequests::new(config.operator_streams_max),
            waiting: OpenRequests::new(config.queue_streams_max),
            tickets: Mutex::default(),
            are_over: watch::Sender::new(false),
        }))
    }

    /// Ends them all at once; those that begin later end at once too.
    pub fn end(&self) {
        self.0.are_over.send_replace(true);
    }

    /// Returns when a stream that begins now has to end.
    fn over(&self) -> impl Future<Output = ()> + use<> {
        let mut are_over = self.0.are_over.subscribe();
        async move {
            let _ = timeout(TELLS_FOR, are_over.wait_for(|are_over| *are_over)).await;
        }
    }

    /// A place for this listener, given back when it is dropped.
    fn admit(&self, listener: &Listener) -> Result<Place, Problem> {
        let (places, ticket) = match listener {
            Listener::Staff { .. } => (&self.0.operators, None),
            Listener::Waiting(ticket) => (&self.0.waiting, Some(TicketPlace::of(&self.0, *ticket)?)),
        };
        let too_many = || Problem::new(503, "too-many-streams", "too many streams of events are open");
        Ok(Place { _open: places.admit().ok_or_else(too_many)?, _ticket: ticket })
    }
}

struct Place {
    _open: OpenRequest,
    _ticket: Option<TicketPlace>,
}

/// One of the streams that a ticket may have.
struct TicketPlace {
    open: Arc<Open>,
    ticket: Ticket,
}

impl TicketPlace {
    fn of(open: &Arc<Open>, ticket: Ticket) -> Result<Self, Problem> {
        let mut tickets = open.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        let streams = tickets.entry(ticket).or_default();
        if *streams >= TICKET_STREAMS_MAX {
            let detail = format!("a ticket has at most {TICKET_STREAMS_MAX} streams of events");
            return Err(Problem::new(429, "too-many-streams", detail));
        }
        *streams += 1;
        Ok(Self { open: open.clone(), ticket })
    }
}

impl Drop for TicketPlace {
    fn drop(&mut self) {
        let mut tickets = self.open.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(streams) = tickets.get_mut(&self.ticket) {
            *streams -= 1;
            if *streams == 0 {
                tickets.remove(&self.ticket);
            }
        }
    }
}

/// Tells the listener again and again what `tell` brings.
///
/// What refuses the first time refuses as a whole, later it ends the stream with the event `ended`, as the end of the
/// session does; what fails later is told as the event `trouble`, and the stream goes on. `HEAD` answers the headers only.
pub async fn stream<V, E, T>(
    request: &HttpRequest,
    gateway: Data<Gateway>,
    listener: Listener,
    mut tell: T,
) -> Answer
where
    V: Serialize + 'static,
    E: Fault + 'static,
    T: AsyncFnMut() -> Result<V, E> + 'static,
{
    let first = tell().await?;
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((CONTENT_TYPE, MEDIA_TYPE))
        .insert_header((CACHE_CONTROL, "no-store"))
        // Proxies that know it pass on each event at once.
        .insert_header((X_ACCEL_BUFFERING, "no"));
    if request.method() == Method::HEAD {
        return Ok(answer.finish());
    }
    let place = gateway.streams.admit(&listener)?;
    let over = gateway.streams.over();
    let data = serde_json::to_string(&first).map_err(|error| Problem::broken(error.to_string()))?;
    let begin = format!("retry: {}\ndata: {data}\n\n", listener.retry_ms());
    let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let teller =
        Teller { gateway, listener, tell, ticks, told: data, told_at: Instant::now(), _place: place };
    let events = stream::once(future::ready(begin)).chain(stream::unfold(Some(teller), Teller::next));
    let chunks = events.map(|event| Ok::<_, Infallible>(Bytes::from(event)));
    Ok(answer.streaming(chunks.take_until(Box::pin(over))))
}

/// One stream after its first event.
struct Teller<T> {
    gateway: Data<Gateway>,
    listener: Listener,
    tell: T,
    ticks: Interval,
    /// The data that was told last.
    told: String,
    /// When anything was sent last.
    told_at: Instant,
    _place: Place,
}

impl<V, E, T> Teller<T>
where
    V: Serialize + 'static,
    E: Fault + 'static,
    T: AsyncFnMut() -> Result<V, E> + 'static,
{
    /// The next event, and who tells the one after it; nothing at the end.
    async fn next(teller: Option<Self>) -> Option<(String, Option<Self>)> {
        let mut teller = teller?;
        loop {
            teller.ticks.tick().await;
            match teller.look().await {
                Some(Heard::News(data)) if data != teller.told => {
                    let event = format!("data: {data}\n\n");
                    teller.told = data;
                    return Some(teller.says(event));
                }
                Some(Heard::Trouble) => return Some(teller.says("event: trouble\ndata: {}\n\n".to_owned())),
                Some(Heard::News(_)) if teller.told_at.elapsed() < QUIET_FOR => {}
                Some(Heard::News(_)) => return Some(teller.says(":\n\n".to_owned())),
                None => return Some(("event: ended\ndata: {}\n\n".to_owned(), None)),
            }
        }
    }

    fn says(mut self, event: String) -> (String, Option<Self>) {
        self.told_at = Instant::now();
        (event, Some(self))
    }

    /// Nothing when the listener is not to be told any more.
    async fn look(&mut self) -> Option<Heard> {
        if !self.listener.may_listen(&self.gateway) {
            return None;
        }
        let trouble = |error: &dyn std::fmt::Display| {
            tracing::debug!(%error, "there is nothing to tell a listener");
            Some(Heard::Trouble)
        };
        match (self.tell)().await {
            Ok(view) => match serde_json::to_string(&view) {
                Ok(data) => Some(Heard::News(data)),
                Err(error) => trouble(&error),
            },
            Err(error) => match error.kind() {
                Kind::Busy | Kind::TooMany | Kind::Late | Kind::Unavailable | Kind::Internal => {
                    trouble(&error)
                }
                _ => None,
            },
        }
    }
}

enum Heard {
    News(String),
    Trouble,
}
