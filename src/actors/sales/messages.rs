//! What sales can be asked: first what operators do, then what orders ask on their way.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use actix::Message;
use jiff::Timestamp;

use super::error::SalesError;
use super::gates::{AdmissionUse, Arrival, Heard, Passage, Refusal, Refused, Tally, Unwritten};
use super::model::{Action, Actor, Changed, Finding, Halt, Sale, SaleDraft};
use super::proposals::{Proposal, Steered};
use crate::actors::inventory::Allotment;
use crate::actors::waiting_room::{
    DatedChange, PlaceState, PublishedDraw, RoomCounts, StoredEntry, Ticket, TicketNumber,
};
use crate::types::{CustomerId, OrderId, ProposalId, Quantity, SaleId, Sku};

/// Plans a sale.
///
/// Answers with the draft; what is wrong with it is told by `ValidateSale`.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Sale, SalesError>")]
pub struct CreateSale {
    pub draft: SaleDraft,
    pub by: Actor,
}

/// Plans a sale anew. Refuses with `NotADraft` once it is scheduled, and with `Overtaken` when it has another version by now.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Sale, SalesError>")]
pub struct ReplanSale {
    pub sale: SaleId,
    /// That was seen.
    pub version: i64,
    pub draft: SaleDraft,
    pub by: Actor,
}

#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Sale, SalesError>")]
pub struct GetSale {
    pub sale: SaleId,
}

/// All sales, the latest opening first.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Vec<Sale>, SalesError>")]
pub struct ListSales {
    pub limit: i64,
}

/// The sales that anybody may know of, the latest opening first; answered from memory.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Vec<Announced>, SalesError>")]
pub struct ListAnnounced;

/// One of them. Refuses with `UnknownSale` also for what is not announced.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Announced, SalesError>")]
pub struct GetAnnounced {
    pub sale: SaleId,
}

#[derive(Debug, Clone)]
pub struct Announced {
    pub sale: Arc<Sale>,
    pub is_everything_stopped: bool,
    /// The parts that the sale has; none before it is armed and after it is settled.
    pub parts: Arc<Vec<(Sku, Allotment)>>,
}

/// Everything at once that keeps a sale from being run as it is planned; nothing, if all is well.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Vec<Finding>, SalesError>")]
pub struct ValidateSale {
    pub sale: SaleId,
}

/// Does something to a sale.
///
/// Answers with the sale. Refuses with `NotInStatus` where the status does not allow it, with `NotValid` or `NotReady`
/// where the plan or the stock does not, with `OrdersOpen` where it is to be settled too early, with `TwoHalts` where a
/// sale that is paused and stopped is to be resumed without a word of which ends. Asking twice changes nothing.
/// What keeps buyers out is in effect before it is written. A kill may need a second operator.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Steered<Sale>, SalesError>")]
pub struct MoveSale {
    pub sale: SaleId,
    pub action: Action,
    /// What resuming is to end; it leaves the other one alone, however late or often it arrives. Where it is not said, what there is.
    pub ends: Option<Halt>,
    pub by: Actor,
    pub reason: String,
}

/// Turns the switch of one SKU of a sale; turning it on may need a second operator.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Steered<Sale>, SalesError>")]
pub struct SwitchItem {
    pub sale: SaleId,
    pub sku: Sku,
    pub stopped: bool,
    pub by: Actor,
    pub reason: String,
}

/// Turns the switch for everything: no order of a customer passes while it is on. Answers whether it is. Turning it on may
/// need a second operator.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Steered<bool>, SalesError>")]
pub struct SwitchEverything {
    pub stopped: bool,
    pub by: Actor,
    pub reason: String,
}

/// Gives an armed or open sale more or fewer pieces of a SKU.
///
/// Answers with the sale. Refuses as inventory does, for example with `BelowPromised`. Fewer may need a second operator.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Steered<Sale>, SalesError>")]
pub struct ChangeItem {
    pub sale: SaleId,
    pub sku: Sku,
    pub allotment: Quantity,
    pub expected: Quantity,
    pub by: Actor,
    pub reason: String,
}

/// What waits for a second operator, oldest first; answered from memory.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Vec<Proposal>, SalesError>")]
pub struct ListProposals;

/// Takes a proposal back, whoever made it. Answers with it. Refuses with `UnknownProposal` also when it was carried out.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Proposal, SalesError>")]
pub struct WithdrawProposal {
    pub proposal: ProposalId,
    pub by: CustomerId,
    pub reason: String,
}

/// What was done to a sale, oldest first.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Vec<Changed>, SalesError>")]
pub struct ListChanges {
    pub sale: SaleId,
}

/// How a sale is going at this moment.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Live, SalesError>")]
pub struct GetLive {
    pub sale: SaleId,
}

#[derive(Debug, Clone)]
pub struct Live {
    pub sale: Arc<Sale>,
    pub is_everything_stopped: bool,
    pub unwritten: Unwritten,
    /// The parts that the sale has, as they are durable; none before it is armed.
    pub parts: Vec<(Sku, Allotment)>,
    /// When they were read: what became durable since is not in them.
    pub read_at: Option<Timestamp>,
    /// Since the gates began to count.
    pub tally: Tally,
    /// The last seconds, the latest last.
    pub seconds: Vec<Tally>,
}

/// Lets an order pass the gates.
///
/// Answers with the passage, or nothing when no sale is concerned. Refuses with the gate.
/// What passes is counted until it is given back.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Option<Passage>, SalesError>")]
pub struct PassGates {
    pub arrival: Arrival,
}

/// What became of an order that passed.
///
/// After `SetAside` it may still be refused: gates that began anew since it passed count it now. Telling anything else twice
/// changes no more than counts.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), SalesError>")]
pub struct EndPassage {
    pub arrival: Arrival,
    pub passage: Passage,
    pub outcome: PassageOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PassageOutcome {
    /// Its pieces are; payment and order are yet to come.
    SetAside,
    /// It is durable, or may be.
    Placed,
    /// By what comes after the gates.
    Refused(Refusal),
    /// The card was not charged.
    Declined,
    /// For a reason that is not the sale's.
    CameToNothing,
}

/// An order came to nothing whose asker was not told whether it passed. Asking twice changes nothing.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), SalesError>")]
pub struct AbandonOrder {
    pub order: OrderId,
}

/// An order of a sale was paid, or came to nothing, which gives its pieces back to the customer's limit.
///
/// Asking twice changes nothing.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), SalesError>")]
pub struct FollowOrder {
    pub sale: SaleId,
    pub order: OrderId,
    pub is_paid: bool,
}

/// Puts a customer into the waiting room of a sale.
///
/// Answers with the place, once it is durable. Refuses with `NoRoom`, and as the room does. Asking twice answers the same
/// ticket.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<QueuePlace, SalesError>")]
pub struct JoinQueue {
    pub sale: SaleId,
    pub customer: CustomerId,
}

/// Where somebody stands; answered from memory.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<QueuePlace, SalesError>")]
pub struct GetPlace {
    /// Its signature was checked.
    pub ticket: Ticket,
}

#[derive(Debug, Clone)]
pub struct QueuePlace {
    pub ticket: String,
    pub number: TicketNumber,
    pub state: PlaceState,
    /// From 1; only while waiting.
    pub position: Option<u32>,
    pub estimated_wait_seconds: Option<u64>,
    /// `many`, `few`, `held` (others hold the last pieces and may let them go) or `none`.
    /// Nothing before the sale has its pieces.
    pub left: Option<&'static str>,
    /// Only while admitted.
    pub admission: Option<String>,
    pub admitted_until: Option<Timestamp>,
    pub ask_again_in_seconds: u32,
}

/// How a waiting room is doing.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<RoomFigures, SalesError>")]
pub struct GetRoom {
    pub sale: SaleId,
}

#[derive(Debug, Clone)]
pub struct RoomFigures {
    pub counts: RoomCounts,
    pub is_drawn: bool,
    pub admissions_per_second: f64,
}

/// The draw of a sale, seed and all, for everybody to check. Refuses with `NotDrawn` before it was made.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Arc<PublishedDraw>, SalesError>")]
pub struct GetDraw {
    pub sale: SaleId,
}

/// Somebody was refused at a door before the gates. Of a sale that is not run at this moment nothing is kept.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), SalesError>")]
pub struct NoteRefusal {
    pub sale: SaleId,
    pub customer: CustomerId,
    /// Its stable name.
    pub door: &'static str,
}

/// What a customer met in a sale before they ordered: tickets, and refusals by gate.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Traces, SalesError>")]
pub struct GetTraces {
    pub sale: SaleId,
    pub customer: CustomerId,
}

#[derive(Debug, Clone)]
pub struct Traces {
    pub entries: Vec<StoredEntry>,
    /// Of each ticket in their order.
    pub changes: Vec<DatedChange>,
    /// Written down within a second or two.
    pub refusals: Vec<Refused<String>>,
}

/// The tickets whose admissions are used for an order at this moment.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<HashSet<TicketNumber>, SalesError>")]
pub(in crate::actors) struct ListUses {
    pub sale: SaleId,
}

/// What the doorkeeper of the waiting rooms goes by.
///
/// It is told of every use of an admission until it has said that it heard of it, so that an answer may be lost.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<SalesSeen, SalesError>")]
pub(in crate::actors) struct LookAtSales {
    pub heard: Heard,
}

#[derive(Debug)]
pub(in crate::actors) struct SalesSeen {
    /// Those that have, or will have, a waiting room.
    pub sales: Vec<SaleSeen>,
    pub admissions: Vec<AdmissionUse>,
    /// What to say after those.
    pub heard: Heard,
    /// Every use before this moment was told.
    pub told_to: Timestamp,
    /// Of the orders that passed in the last second; nothing when there were none.
    pub latency_p99: Option<Duration>,
    /// Orders that passed and are on their way.
    pub depth: u32,
}

#[derive(Debug, Clone)]
pub(in crate::actors) struct SaleSeen {
    pub sale: Arc<Sale>,
    /// Whether the gates are open to customers.
    pub is_selling: bool,
    pub allotment: i64,
    pub remaining: i64,
    /// What remains of the SKUs that are not stopped.
    pub orderable: i64,
    pub held: i64,
}
