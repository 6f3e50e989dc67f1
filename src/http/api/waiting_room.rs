//! The waiting room of a sale for customers: a ticket, a place, an admission, and the draw for everyone to verify.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::web::{Bytes, Data};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use futures_util::future::{Ready, ready};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::actors::sales::{Announced, GetAnnounced, NoteRefusal};
use crate::actors::waiting_room::{
    AdmissionMode, ChallengeError, GetDraw, GetPlace, JoinQueue, PublishedDraw, QueuePlace, Ticket,
    WaitingRoomError,
};
use crate::error::Fault;
use crate::http::gateway::Gateway;
use crate::http::gateway::access::Caller;
use crate::http::gateway::answer::{self, Answer};
use crate::http::gateway::input::FromPath;
use crate::http::gateway::problem::Problem;
use crate::http::gateway::streams::{self, Listener};
use crate::types::{CustomerId, SaleId};

/// How long the service that checks answers to challenges may take.
const CHALLENGE_CHECKED_WITHIN: Duration = Duration::from_secs(5);
/// One of a million tickets takes 8 MB.
const WRITTEN_DRAWS_MAX: usize = 4;
const CHALLENGE_ANSWER: HeaderName = HeaderName::from_static("challenge-answer");
const QUEUE_TICKET: HeaderName = HeaderName::from_static("queue-ticket");

/// The ticket of a request, its signature checked.
pub struct ShownTicket(Ticket);

impl FromRequest for ShownTicket {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read_ticket(request).map(Self))
    }
}

fn read_ticket(request: &HttpRequest) -> Result<Ticket, Problem> {
    let shown = request.headers().get(QUEUE_TICKET).ok_or_else(|| {
        Problem::new(400, "ticket-required", "a place in the queue is told for its Queue-Ticket header")
    })?;
    let gateway =
        request.app_data::<Data<Gateway>>().ok_or_else(|| Problem::broken("the app has no gateway"))?;
    Ok(gateway.pass_key.read_ticket(shown.to_str().unwrap_or_default())?)
}

/// A place in the waiting room. Without `Debug`: the ticket and the admission stay out of every log.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlaceView {
    /// To be shown as `Queue-Ticket`.
    pub ticket: String,
    /// Of the ticket, from 1, in the order of joining.
    #[schema(example = 4711)]
    pub number: u32,
    /// `pre_queue` until the opening, `waiting` for a turn, `admitted`, `ordered` with the admission, `no_show` where it lapsed
    /// without an order (joining again leads to the end of the queue), `sold_out` once no pieces are left or held, and
    /// `closed` with the sale.
    #[schema(example = "waiting")]
    pub state: Cow<'static, str>,
    /// From 1; null unless waiting.
    #[schema(required)]
    pub position: Option<u32>,
    /// Until the opening, or until one is let in at the present rate; null where it cannot be estimated.
    #[schema(required)]
    pub estimated_wait_seconds: Option<u64>,
    /// `many`, `few`, `held` (others hold the last pieces and may let them go) or `none`; null before the sale
    /// has its pieces.
    #[schema(required, example = "many")]
    pub left: Option<Cow<'static, str>>,
    /// For the `Sale-Admission` header of an order; null unless admitted.
    #[schema(required)]
    pub admission: Option<String>,
    /// By when an order has to come, a winner's of a lottery as well: `sales.admission_seconds` after the turn came.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub admitted_until: Option<Timestamp>,
}

impl PlaceView {
    fn of(place: QueuePlace) -> Self {
        Self {
            ticket: place.ticket,
            number: place.number.get(),
            state: place.state.as_str().into(),
            position: place.position,
            estimated_wait_seconds: place.estimated_wait_seconds,
            left: place.left.map(|left| left.as_str().into()),
            admission: place.admission,
            admitted_until: place.admitted_until,
        }
    }
}

/// A draw as it was kept, its seed revealed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DrawView {
    pub sale: Uuid,
    #[schema(value_type = String, format = DateTime)]
    pub drawn_at: Timestamp,
    /// SHA-256 of the seed; it was published with the sale.
    pub commitment: String,
    /// 64 hexadecimal digits.
    pub seed: String,
    /// The chain of SHA-256 over the entries.
    pub entries_digest: String,
    pub tickets: u32,
    /// Numbers that no ticket has, where there are any.
    #[schema(required = false)]
    pub missing: Vec<u32>,
    /// The numbers of the tickets in the order in which they are let in.
    pub order: Vec<u32>,
}

/// Joins the waiting room of a sale; repeating it changes nothing.
#[utoipa::path(
    post, path = "/v1/sales/{id}/queue", tag = "sales",
    params(
        ("id" = Uuid, Path, description = "The sale"),
        ("Challenge-Answer" = Option<String>, Header, description = "The `challenge` that a 403 gave, a colon and digits, such \
            that their SHA-256 begins with as many zero bits as the challenge's first number says", nullable = false, max_length = 500),
    ),
    responses(
        (status = 201, description = "The ticket and the place", body = PlaceView,
            headers(("Retry-After" = u32, description = "Seconds until the place is worth asking for"))),
        (status = 403, description = "`challenge-required` with the `challenge`, or that its answer is wrong or too old"),
        (status = 404, description = "`no-waiting-room`, or `not-found` for what is not an id"),
        (status = 409, description = "`sold-out`, or a code of the room: it is full, has ended, or its entries are closed"),
        (status = 422, description = "`malformed-challenge`: the `Challenge-Answer` is not one"),
        (status = 503, description = "`challenge-unavailable`: the answer cannot be checked at this moment; `busy`, also while the \
            room of a sale that was just announced is not there"),
    )
)]
pub async fn join_queue(
    customer: Caller,
    id: FromPath<SaleId>,
    request: HttpRequest,
    gateway: Data<Gateway>,
) -> Answer {
    let (sale, customer) = (id.0, customer.0.customer);
    check_challenge(&gateway, sale, customer, &request).await?;
    let place = match gateway.ports.waiting_room.join_queue.ask(JoinQueue { sale, customer }).await {
        Ok(place) => place,
        // A sale that was announced a moment ago.
        Err(WaitingRoomError::NoRoom(_)) if is_to_have_room(&gateway, sale).await => {
            return Err(WaitingRoomError::Busy.into());
        }
        Err(refusal) => {
            if refusal.turns_away() {
                note_refusal(&gateway, sale, customer, refusal.code()).await;
            }
            return Err(refusal.into());
        }
    };
    let ask_again = place.ask_again_in_seconds;
    let mut answer = answer::created(&PlaceView::of(place))?;
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(ask_again));
    Ok(answer)
}

async fn is_to_have_room(gateway: &Gateway, sale: SaleId) -> bool {
    let announced = gateway.ports.sales.get_announced.ask(GetAnnounced { sale }).await;
    announced.is_ok_and(|Announced { sale, .. }| {
        sale.draft.terms.admission.mode != AdmissionMode::None && !sale.status.is_over()
    })
}

/// Where the bearer of a ticket stands, once or whenever it changes.
///
/// A stream goes on for ten minutes and sends comments in between. The event `trouble` says that the place cannot be read at
/// the moment, `ended` that it never will be again.
#[utoipa::path(
    get, path = "/v1/sales/{id}/queue", tag = "sales",
    params(
        ("id" = Uuid, Path, description = "The sale"),
        ("Queue-Ticket" = String, Header, description = "The ticket", min_length = 1, max_length = 200),
    ),
    responses(
        (status = 200, description = "The place; with `text/event-stream` accepted a stream of events, whose data it is",
            content((PlaceView = "application/json"), (String = "text/event-stream")),
            headers(("Retry-After" = u32, description = "Seconds until it is worth asking for again"))),
        (status = 400, description = "`ticket-required`"),
        (status = 403, description = "`forged-pass`, or another sale's ticket"),
        (status = 404, description = "`no-waiting-room`, a ticket that was never issued, or `not-found` for what is not an id"),
        (status = 422, description = "`malformed-pass`"),
        (status = 429, description = "`too-many-streams` of one ticket, or `too-many-requests` from this address"),
    )
)]
pub async fn get_place(
    ticket: ShownTicket,
    id: FromPath<SaleId>,
    request: HttpRequest,
    gateway: Data<Gateway>,
) -> Answer {
    let ShownTicket(ticket) = ticket;
    if ticket.sale != id.0 {
        return Err(Problem::new(403, "other-sale", "the ticket is for another sale"));
    }
    if streams::are_accepted(&request) {
        let asked = gateway.clone();
        let read = async move || {
            asked.ports.waiting_room.get_place.ask(GetPlace { ticket }).await.map(PlaceView::of)
        };
        return streams::stream(&request, gateway, Listener::Waiting(ticket), read).await;
    }
    let place = gateway.ports.waiting_room.get_place.ask(GetPlace { ticket }).await?;
    let ask_again = place.ask_again_in_seconds;
    let mut answer = answer::ok(&PlaceView::of(place))?;
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(ask_again));
    Ok(answer)
}

/// Checks the answer to the challenge, where one is configured.
async fn check_challenge(
    gateway: &Gateway,
    sale: SaleId,
    customer: CustomerId,
    request: &HttpRequest,
) -> Result<(), Problem> {
    let Some(challenge) = &gateway.challenge else { return Ok(()) };
    let now = Timestamp::now();
    let Some(answer) = request.headers().get(CHALLENGE_ANSWER) else {
        let details = serde_json::json!({ "challenge": challenge.issue(customer, now) });
        let problem = Problem::new(403, "challenge-required", "joining needs a Challenge-Answer header");
        return Err(problem.with_details(details.as_object().cloned().unwrap_or_default()));
    };
    let checking = challenge.check(customer, answer.to_str().unwrap_or_default(), now);
    let checked = match tokio::time::timeout(CHALLENGE_CHECKED_WITHIN, checking).await {
        Ok(checked) => checked,
        Err(_) => Err(ChallengeError::Unavailable),
    };
    if let Err(wrong) = &checked {
        note_refusal(gateway, sale, customer, wrong.code()).await;
    }
    Ok(checked?)
}

/// Records a refusal for the audit's explanations. A failure to record it changes nothing for the customer.
async fn note_refusal(gateway: &Gateway, sale: SaleId, customer: CustomerId, door: &'static str) {
    let _ = gateway.ports.sales.note_refusal.ask(NoteRefusal { sale, customer, door: door.into() }).await;
}

/// The draw of a sale with its seed, for everyone to verify.
#[utoipa::path(
    get, path = "/v1/sales/{id}/draw", tag = "sales", params(("id" = Uuid, Path, description = "The sale")),
    responses(
        (status = 200, description = "The draw", body = DrawView),
        (status = 404, description = "`not-drawn`, `unknown-sale`, or `not-found` for what is not an id"),
    )
)]
pub async fn get_draw(id: FromPath<SaleId>, gateway: Data<Gateway>) -> Answer {
    let draw = gateway.ports.waiting_room.get_draw.ask(GetDraw { sale: id.0 }).await?;
    let body = gateway.draws.written(&draw)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((CACHE_CONTROL, "public, max-age=3600"))
        .body(body))
}

/// The bodies of the last draws: a draw never changes, and many clients ask for it at the opening.
#[derive(Default)]
pub struct WrittenDraws(Mutex<VecDeque<(SaleId, Bytes)>>);

impl WrittenDraws {
    fn written(&self, draw: &PublishedDraw) -> Result<Bytes, Problem> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, body)) = written.iter().find(|(sale, _)| *sale == draw.sale) {
            return Ok(body.clone());
        }
        let body = serde_json::to_vec(draw)
            .map_err(|error| Problem::broken(format!("a draw could not be written: {error}")))?;
        let body = Bytes::from(body);
        written.truncate(WRITTEN_DRAWS_MAX - 1);
        written.push_front((draw.sale, body.clone()));
        Ok(body)
    }
}
