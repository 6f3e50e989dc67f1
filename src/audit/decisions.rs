//! Explains what a customer got in a sale: every decision in order, from the waiting room to the payment.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

use super::domain::AuditNeeds;
use super::error::AuditError;
use super::messages::{DecisionSubject, ExplainDecisions};
use crate::actors::inventory::{HoldRecord, ListHolds, ReservationState};
use crate::actors::orders::{HistoryEntry, InspectOrder, ListHistory, ListOrders, Order, OrdersError};
use crate::actors::payments::{Payment, PaymentStatus};
use crate::actors::sales::{DECLINED, ListRefusals, Refused};
use crate::actors::waiting_room::{
    DatedChange, EntryState, GetDraw, GetTicketHistory, PublishedDraw, StoredEntry, TicketHistory,
    WaitingRoomError,
};
use crate::types::{CustomerId, Limit, OrderId};

/// Refusals within this time are one decision.
const BURST: SignedDuration = SignedDuration::from_secs(2);

/// All decisions about a customer in a sale, or about one order of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decisions {
    pub customer: CustomerId,
    /// Oldest first.
    pub items: Vec<Decision>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub at: Timestamp,
    pub stage: DecisionStage,
    /// The decision in words.
    pub what: String,
    /// The order that it is about.
    pub order: Option<OrderId>,
}

/// The stage of a purchase in which a decision is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum DecisionStage {
    Queue,
    Gate,
    Hold,
    Order,
    Payment,
}

impl Decision {
    fn new(at: Timestamp, stage: DecisionStage, what: String) -> Self {
        Self { at, stage, what, order: None }
    }
}

pub(super) async fn explain(
    needs: &AuditNeeds,
    ExplainDecisions { sale, about }: ExplainDecisions,
) -> Result<Decisions, AuditError> {
    let (customer, orders) = match about {
        DecisionSubject::Order(order) => {
            let known = needs.inspect_order.ask(InspectOrder { order }).await?;
            if known.sale != Some(sale) {
                return Err(OrdersError::UnknownOrder(order).into());
            }
            (known.customer, vec![known])
        }
        DecisionSubject::Customer(customer) => {
            let limit = Limit::LARGEST;
            let list = ListOrders { customer, limit, cursor: None, status: None, sale: Some(sale) };
            (customer, needs.list_orders.ask(list).await?.items)
        }
    };
    let refusals = needs.list_refusals.ask(ListRefusals { sale, customer }).await?;
    let history = needs.get_ticket_history.ask(GetTicketHistory { sale, customer }).await?;
    let TicketHistory { entries, changes } = history;
    let mut items: Vec<Decision> = refusals.iter().flat_map(of_refusals).collect();
    if !entries.is_empty() {
        let draw = match needs.get_draw.ask(GetDraw { sale }).await {
            Ok(draw) => Some(draw),
            Err(WaitingRoomError::NotDrawn(_)) => None,
            Err(error) => return Err(error.into()),
        };
        items.extend(entries.iter().flat_map(|entry| of_ticket(entry, draw.as_deref())));
        items.extend(of_changes(&changes));
    }
    for order in &orders {
        let holds = needs.list_holds.ask(ListHolds { id: order.id.into() }).await?;
        let question = ListHistory { customer: order.customer, order: order.id };
        let history = needs.list_history.ask(question).await?;
        items.extend(of_order(order, &holds, &history));
    }
    items.sort_by_key(|decision| decision.at);
    Ok(Decisions { customer, items })
}

/// One decision for a burst of refusals: the first one, with their number; of a longer series the last one as well.
fn of_refusals(refused: &Refused) -> impl Iterator<Item = Decision> {
    let Refused { gate, count, first_at, last_at } = refused;
    let stage = if gate == DECLINED { DecisionStage::Payment } else { DecisionStage::Gate };
    let times = if *count == 1 { "once".to_owned() } else { format!("{count} times") };
    let first = Decision::new(*first_at, stage, format!("refused {times} by {gate}, last at {last_at}"));
    let is_long = last_at.duration_since(*first_at) > BURST;
    let last = is_long
        .then(|| Decision::new(*last_at, stage, format!("refused by {gate}, the last of {count} times")));
    std::iter::once(first).chain(last)
}

fn of_ticket(entry: &StoredEntry, draw: Option<&PublishedDraw>) -> Vec<Decision> {
    let number = entry.number;
    let queue = |at, what| Decision::new(at, DecisionStage::Queue, what);
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

/// `changes` are grouped by ticket, in their order.
fn of_changes(changes: &[DatedChange]) -> impl Iterator<Item = Decision> {
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
        Decision::new(*at, DecisionStage::Queue, what)
    })
}

fn of_order(order: &Order, holds: &[HoldRecord], history: &[HistoryEntry]) -> Vec<Decision> {
    let decision = |at, stage, what| Decision { at, stage, what, order: Some(order.id) };
    let mut decisions = Vec::new();
    if let Some(passed) = holds.iter().find(|held| !held.claimants.is_empty()) {
        decisions.push(decision(order.created_at, DecisionStage::Gate, passed_in_words(passed)));
    }
    for held in holds {
        let (pieces, sku) = (held.hold.quantity.get(), &held.sku);
        let set_aside = format!("{pieces} of {sku} set aside until {}", held.hold.expires_at);
        decisions.push(decision(held.made_at, DecisionStage::Hold, set_aside));
        let became = match held.hold.state {
            ReservationState::Held => continue,
            ReservationState::Committed => "sold",
            ReservationState::Released => "given back",
            ReservationState::Expired => "given back, as their time was over",
        };
        let ended_at = held.ended_at.unwrap_or(held.made_at);
        decisions.push(decision(ended_at, DecisionStage::Hold, format!("{pieces} of {sku} {became}")));
    }
    for entry in history {
        let what = format!("{}: {} ({})", order.number(), entry.status.as_str(), entry.reason);
        decisions.push(decision(entry.at, DecisionStage::Order, what));
    }
    let payments = of_payment(order, history).into_iter();
    decisions.extend(payments.map(|(at, what)| decision(at, DecisionStage::Payment, what)));
    decisions
}

/// Names the kinds of claimants that the pieces count for; what follows a kind is a pseudonym and is left out.
fn passed_in_words(held: &HoldRecord) -> String {
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

/// The payment as it was opened, and each change of its status.
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
