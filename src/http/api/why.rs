//! Why a customer got what they got in a sale: every decision in its order, from the queue to the payment.

use actix_web::web::Data;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::actors::inventory::{HoldRecord, ListHolds, ReservationState};
use crate::actors::orders::{HistoryEntry, InspectOrder, ListHistory, ListOrders, Order, OrdersError};
use crate::actors::payments::{Payment, PaymentStatus};
use crate::actors::sales::{
    DECLINED, DatedChange, EntryState, GetDraw, GetTraces, PublishedDraw, Refused, SalesError, StoredEntry,
};
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::{self, Answer};
use crate::http::gateway::input::{self, FromPath, FromQuery};
use crate::http::gateway::problem::Problem;
use crate::types::{CustomerId, Limit, OrderId, SaleId};

/// Refusals within this are told as one decision.
const SPELL: SignedDuration = SignedDuration::from_secs(2);

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WhyQuery {
    /// Either the order that is asked about,
    #[serde(default, deserialize_with = "input::optional_text")]
    #[param(value_type = Option<Uuid>, nullable = false)]
    order: Option<OrderId>,
    /// or the customer.
    #[serde(default, deserialize_with = "input::optional_text")]
    #[param(value_type = Option<Uuid>, nullable = false)]
    customer: Option<CustomerId>,
}

/// One decision.
#[derive(Serialize, ToSchema)]
pub struct DecisionView {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `queue`, `gate`, `hold`, `order` or `payment`.
    #[schema(example = "gate")]
    part: &'static str,
    #[schema(example = "refused 3 times by limit-reached, last at 2026-11-24T03:00:00Z")]
    what: String,
    /// The order that it is about.
    #[schema(required)]
    order: Option<Uuid>,
}

#[derive(Serialize, ToSchema)]
pub struct WhyView {
    customer: Uuid,
    /// Oldest first.
    items: Vec<DecisionView>,
}

/// Every decision about a customer, or about one order, in its order.
#[utoipa::path(
    get, path = "/v1/admin/sales/{id}/why", tag = "sales",
    params(("id" = Uuid, Path, description = "The sale"), WhyQuery),
    responses(
        (status = 200, description = "The decisions; of the customer's last hundred orders in the sale", body = WhyView),
        (status = 404, description = "`unknown-sale`, `unknown-order` (also for one of another sale), or `not-found` for what \
            is not an id"),
    )
)]
pub async fn explain(id: FromPath<SaleId>, query: FromQuery<WhyQuery>, gateway: Data<Gateway>) -> Answer {
    let FromPath(sale) = id;
    let (customer, orders) = match query.0 {
        WhyQuery { order: Some(order), customer: None } => {
            let known = gateway.ports.orders.inspect_order.ask(InspectOrder { order }).await?;
            if known.sale != Some(sale) {
                return Err(OrdersError::UnknownOrder(order).into());
            }
            (known.customer, vec![known])
        }
        WhyQuery { order: None, customer: Some(customer) } => {
            let limit = Limit::new(Limit::MAX).map_err(Problem::from)?;
            let list = ListOrders { customer, limit, cursor: None, status: None, sale: Some(sale) };
            (customer, gateway.ports.orders.list_orders.ask(list).await?.items)
        }
        _ => return Err(Problem::invalid_query("either an order or a customer is asked about")),
    };
    let traces = gateway.ports.sales.get_traces.ask(GetTraces { sale, customer }).await?;
    let mut items: Vec<DecisionView> = traces.refusals.iter().flat_map(of_refusals).collect();
    if !traces.entries.is_empty() {
        let draw = match gateway.ports.waiting_room.get_draw.ask(GetDraw { sale }).await {
            Ok(draw) => Some(draw),
            Err(SalesError::NotDrawn(_)) => None,
            Err(error) => return Err(error.into()),
        };
        items.extend(traces.entries.iter().flat_map(|entry| of_ticket(entry, draw.as_deref())));
        items.extend(of_changes(&traces.changes));
    }
    for order in &orders {
        items.extend(of_order(&gateway, order).await?);
    }
    items.sort_by_key(|decision| decision.at);
    answer::ok(&WhyView { customer: customer.uuid(), items })
}

/// Of one spell: the first one, with how many there were, and of a long spell the last one as well.
fn of_refusals(refused: &Refused) -> impl Iterator<Item = DecisionView> {
    let Refused { gate, count, first_at, last_at } = refused;
    let part = if gate == DECLINED { "payment" } else { "gate" };
    let decision = |at, what| DecisionView { at, part, what, order: None };
    let times = if *count == 1 { "once".to_owned() } else { format!("{count} times") };
    let first = decision(*first_at, format!("refused {times} by {gate}, last at {last_at}"));
    let is_long = last_at.duration_since(*first_at) > SPELL;
    let last = is_long.then(|| decision(*last_at, format!("refused by {gate}, the last of {count} times")));
    std::iter::once(first).chain(last)
}

fn of_ticket(entry: &StoredEntry, draw: Option<&PublishedDraw>) -> Vec<DecisionView> {
    let number = entry.number;
    let queue = |at, what| DecisionView { at, part: "queue", what, order: None };
    let mut decisions = vec![queue(entry.joined_at, format!("joined with ticket {number}"))];
    if let Some(draw) = draw.filter(|draw| !draw.order.is_empty()) {
        let drawn = draw.order.len();
        decisions.push(match draw.place_of(number) {
            Some(place) => queue(draw.drawn_at, format!("ticket {number} was drawn as {place} of {drawn}")),
            None => {
                queue(entry.joined_at, format!("ticket {number} stands behind the {drawn} who were drawn"))
            }
        });
    }
    decisions
}

/// `changes`: of each ticket in their order.
fn of_changes(changes: &[DatedChange]) -> impl Iterator<Item = DecisionView> {
    let before = std::iter::once(None).chain(changes.iter().map(Some));
    changes.iter().zip(before).map(|(DatedChange { change, at, .. }, before)| {
        let number = change.number;
        let until = change.admitted_until.map(|until| format!(" until {until}")).unwrap_or_default();
        let is_first = before.is_none_or(|before| before.change.number != number);
        let what = match change.state {
            EntryState::Waiting => format!("ticket {number} waits"),
            EntryState::Admitted if is_first => format!("ticket {number} was let in{until}"),
            EntryState::Admitted => format!("ticket {number} got its admission back, good{until}"),
            EntryState::Ordered => format!("ticket {number} used its admission for an order"),
            EntryState::NoShow => format!("ticket {number} let its admission lapse, a no-show"),
        };
        DecisionView { at: *at, part: "queue", what, order: None }
    })
}

async fn of_order(gateway: &Gateway, order: &Order) -> Result<Vec<DecisionView>, Problem> {
    let holds = gateway.ports.inventory.list_holds.ask(ListHolds { id: order.id.into() }).await?;
    let question = ListHistory { customer: order.customer, order: order.id };
    let history = gateway.ports.orders.list_history.ask(question).await?;
    let decision = |at, part, what| DecisionView { at, part, what, order: Some(order.id.uuid()) };
    let mut decisions = Vec::new();
    if let Some(passed) = holds.iter().find(|held| !held.claimants.is_empty()) {
        decisions.push(decision(order.created_at, "gate", passage(passed)));
    }
    for held in &holds {
        let (pieces, sku) = (held.hold.quantity.get(), &held.sku);
        let set_aside = format!("{pieces} of {sku} set aside until {}", held.hold.expires_at);
        decisions.push(decision(held.made_at, "hold", set_aside));
        let became = match held.hold.state {
            ReservationState::Held => continue,
            ReservationState::Committed => "sold",
            ReservationState::Released => "given back",
            ReservationState::Expired => "given back, as their time was over",
        };
        let ended_at = held.ended_at.unwrap_or(held.made_at);
        decisions.push(decision(ended_at, "hold", format!("{pieces} of {sku} {became}")));
    }
    for entry in &history {
        let what = format!("{}: {} ({})", order.number(), entry.status.as_str(), entry.reason);
        decisions.push(decision(entry.at, "order", what));
    }
    let payments = of_payment(order, &history).into_iter();
    decisions.extend(payments.map(|(at, what)| decision(at, "payment", what)));
    Ok(decisions)
}

/// What it says of whom the pieces count for: names of kinds alone, for what follows them are pseudonyms.
fn passage(held: &HoldRecord) -> String {
    let mut counts_for = Vec::new();
    let mut with = String::new();
    for claimant in &held.claimants {
        match claimant.split_once(':') {
            Some(("admission", number)) => with = format!(" with the admission of ticket {number}"),
            Some((kind, _)) => counts_for.push(kind),
            None => {}
        }
    }
    format!("passed{with}; counts for the {}", counts_for.join(" and the "))
}

/// The payment as it was opened, and each time that it became something else.
fn of_payment(order: &Order, history: &[HistoryEntry]) -> Vec<(Timestamp, String)> {
    let (mut status, method, yen) =
        (order.payment.status(), order.payment.method(), order.totals.total.amount());
    let until = match &order.payment {
        Payment::Konbini { konbini, .. } => format!(", to be paid until {}", konbini.pay_before),
        Payment::Card { .. } => String::new(),
    };
    let mut events = vec![(order.created_at, format!("{method}: {yen} yen {}{until}", status.as_str()))];
    for entry in history {
        let became: Option<PaymentStatus> = entry.payment.filter(|became| *became != status);
        if let Some(became) = became {
            status = became;
            events.push((entry.at, format!("{method}: {yen} yen {}", became.as_str())));
        }
    }
    events
}
