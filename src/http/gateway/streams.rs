//! Streams of server-sent events (HTML, 9.2), for operators, their pages and customers in a waiting room.
//!
//! The number of streams is bounded. A stream sends a view when it has changed, a comment when it has not changed for a
//! while, and ends when its time is over, when its session or its ticket ends, or when the engine stops.

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
use crate::actors::users::Permission;
use crate::actors::waiting_room::Ticket;
use crate::config;
use crate::error::{Fault, Kind};

pub const MEDIA_TYPE: &str = "text/event-stream";
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// How often the view is read.
const READ_EVERY: Duration = Duration::from_millis(500);
/// Then the client reconnects, so that no stream is kept for a client that left long ago.
const LASTS_FOR: Duration = Duration::from_secs(600);
/// After how long without an event a comment is sent: only sending shows that a client is gone.
const COMMENT_AFTER: Duration = Duration::from_secs(5);
/// Streams of one ticket: the devices of one customer, and connections that broke a moment ago.
const TICKET_STREAMS_MAX: usize = 4;

/// Whether the client wants a stream of events rather than one answer.
pub fn are_accepted(request: &HttpRequest) -> bool {
    let accepted = request.headers().get(ACCEPT).and_then(|accepted| accepted.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains(MEDIA_TYPE))
}

/// The receiver of a stream, and what entitles it.
#[derive(Clone)]
pub enum Listener {
    /// The bearer of an access token whose role has the permission, as long as it has.
    Staff { token: String, permission: Permission },
    /// The bearer of a ticket, which is checked each time its place is read.
    Waiting(Ticket),
}

impl Listener {
    fn is_entitled(&self, gateway: &Gateway) -> bool {
        match self {
            Self::Staff { token, permission } => {
                (gateway.identify)(token).is_ok_and(|identity| identity.role.permits(*permission))
            }
            Self::Waiting(_) => true,
        }
    }

    /// When a client reconnects after a break: operators at once, a crowd spread over more than one reading.
    const fn retry_ms(&self) -> u32 {
        match self {
            Self::Staff { .. } => 500,
            Self::Waiting(_) => 2_000,
        }
    }
}

/// Counts the open streams and ends them; clones share the state.
#[derive(Clone)]
pub struct Streams(Arc<OpenStreams>);

struct OpenStreams {
    operators: OpenRequests,
    waiting: OpenRequests,
    /// Streams of each ticket that has any.
    tickets: Mutex<HashMap<Ticket, usize>>,
    ended: watch::Sender<bool>,
}

impl Streams {
    pub fn new(config: &config::Http) -> Self {
        Self(Arc::new(OpenStreams {
            operators: OpenRequests::new(config.operator_streams_max),
            waiting: OpenRequests::new(config.queue_streams_max),
            tickets: Mutex::default(),
            ended: watch::Sender::new(false),
        }))
    }

    /// Ends them all at once; those that begin later end at once too.
    pub fn end(&self) {
        self.0.ended.send_replace(true);
    }

    /// Completes when a stream that begins now has to end.
    fn end_of_stream(&self) -> impl Future<Output = ()> + use<> {
        let mut ended = self.0.ended.subscribe();
        async move {
            let _ = timeout(LASTS_FOR, ended.wait_for(|ended| *ended)).await;
        }
    }

    /// Counts a stream of this listener until the result is dropped; refused at a limit.
    fn admit(&self, listener: &Listener) -> Result<OpenStream, Problem> {
        let (open, ticket) = match listener {
            Listener::Staff { .. } => (&self.0.operators, None),
            Listener::Waiting(ticket) => (&self.0.waiting, Some(TicketStream::of(&self.0, *ticket)?)),
        };
        let too_many = || Problem::new(503, "too-many-streams", "too many streams of events are open");
        Ok(OpenStream { _open: open.admit().ok_or_else(too_many)?, _ticket: ticket })
    }
}

struct OpenStream {
    _open: OpenRequest,
    _ticket: Option<TicketStream>,
}

/// One of the streams of a ticket.
struct TicketStream {
    open: Arc<OpenStreams>,
    ticket: Ticket,
}

impl TicketStream {
    fn of(open: &Arc<OpenStreams>, ticket: Ticket) -> Result<Self, Problem> {
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

impl Drop for TicketStream {
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

/// Streams the view that `read` returns, whenever it has changed.
///
/// An error of the first reading is the answer. A later refusal ends the stream with the event `ended`, as the end of the
/// session does; a later failure is sent as the event `trouble`, and the stream goes on. `HEAD` answers the headers only.
pub async fn stream<V, E, T>(
    request: &HttpRequest,
    gateway: Data<Gateway>,
    listener: Listener,
    mut read: T,
) -> Answer
where
    V: Serialize + 'static,
    E: Fault + 'static,
    T: AsyncFnMut() -> Result<V, E> + 'static,
{
    let first = read().await?;
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((CONTENT_TYPE, MEDIA_TYPE))
        .insert_header((CACHE_CONTROL, "no-store"))
        // Proxies that know it pass on each event at once.
        .insert_header((X_ACCEL_BUFFERING, "no"));
    if request.method() == Method::HEAD {
        return Ok(answer.finish());
    }
    let open = gateway.streams.admit(&listener)?;
    let end = gateway.streams.end_of_stream();
    let data = serde_json::to_string(&first).map_err(|error| Problem::broken(error.to_string()))?;
    let begin = format!("retry: {}\ndata: {data}\n\n", listener.retry_ms());
    let mut ticks = interval_at(Instant::now() + READ_EVERY, READ_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let events = Events { gateway, listener, read, ticks, sent: data, sent_at: Instant::now(), _open: open };
    let events = stream::once(future::ready(begin)).chain(stream::unfold(Some(events), Events::next));
    let chunks = events.map(|event| Ok::<_, Infallible>(Bytes::from(event)));
    Ok(answer.streaming(chunks.take_until(Box::pin(end))))
}

/// The events of a stream after the first one.
struct Events<T> {
    gateway: Data<Gateway>,
    listener: Listener,
    read: T,
    ticks: Interval,
    /// The data of the last event.
    sent: String,
    /// When an event or a comment was sent last.
    sent_at: Instant,
    _open: OpenStream,
}

impl<V, E, T> Events<T>
where
    V: Serialize + 'static,
    E: Fault + 'static,
    T: AsyncFnMut() -> Result<V, E> + 'static,
{
    /// The next event, with the state for the one after it; `None` at the end.
    async fn next(events: Option<Self>) -> Option<(String, Option<Self>)> {
        let mut events = events?;
        loop {
            events.ticks.tick().await;
            match events.read().await {
                Some(Reading::View(data)) if data != events.sent => {
                    let event = format!("data: {data}\n\n");
                    events.sent = data;
                    return Some(events.send(event));
                }
                Some(Reading::Failure) => {
                    return Some(events.send("event: trouble\ndata: {}\n\n".to_owned()));
                }
                Some(Reading::View(_)) if events.sent_at.elapsed() < COMMENT_AFTER => {}
                Some(Reading::View(_)) => return Some(events.send(":\n\n".to_owned())),
                None => return Some(("event: ended\ndata: {}\n\n".to_owned(), None)),
            }
        }
    }

    fn send(mut self, event: String) -> (String, Option<Self>) {
        self.sent_at = Instant::now();
        (event, Some(self))
    }

    /// `None` when the listener is no longer entitled to the stream.
    async fn read(&mut self) -> Option<Reading> {
        if !self.listener.is_entitled(&self.gateway) {
            return None;
        }
        let failure = |error: &dyn std::fmt::Display| {
            tracing::debug!(%error, "the view of a stream could not be read");
            Some(Reading::Failure)
        };
        match (self.read)().await {
            Ok(view) => match serde_json::to_string(&view) {
                Ok(data) => Some(Reading::View(data)),
                Err(error) => failure(&error),
            },
            Err(error) => match error.kind() {
                Kind::Busy | Kind::TooMany | Kind::Late | Kind::Unavailable | Kind::Internal => {
                    failure(&error)
                }
                _ => None,
            },
        }
    }
}

enum Reading {
    View(String),
    Failure,
}
