//! The messages of sales: first the operators' commands and queries, then what orders ask.

use std::borrow::Cow;
use std::sync::Arc;

use actix::Message;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::SalesError;
use super::gates::{QuotaHold, QuotaRequest, Refusal, Refused, Tally, UnwrittenStops};
use super::model::{
    Action, ChangeRecord, CommandOutcome, Finding, Halt, Initiator, Proposal, Sale, SaleDraft,
};
use super::sale_skus::{SaleSkus, SaleSkusVersion};
use crate::actors::inventory::Allotment;
use crate::types::{CustomerId, OrderId, ProposalId, Quantity, SaleId, Sku};

/// Plans a sale.
///
/// Answers with the draft. `ValidateSale` finds what is wrong with it.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Sale, SalesError>")]
pub struct CreateSale {
    pub draft: SaleDraft,
    pub by: Initiator,
}

/// Plans a sale anew. Refuses with `NotADraft` once it is scheduled, and with `Overtaken` when it has another version by now.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Sale, SalesError>")]
pub struct ReplanSale {
    pub sale: SaleId,
    /// The version that the operator saw.
    pub version: i64,
    pub draft: SaleDraft,
    pub by: Initiator,
}

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Sale, SalesError>")]
pub struct GetSale {
    pub sale: SaleId,
}

/// All sales, the latest opening first.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Vec<Sale>, SalesError>")]
pub struct ListSales {
    pub limit: i64,
}

/// The sales that customers may know of, the latest opening first; answered from memory.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Vec<Announced>, SalesError>")]
pub struct ListAnnounced;

/// One of them. Refuses with `UnknownSale` also for what is not announced.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Announced, SalesError>")]
pub struct GetAnnounced {
    pub sale: SaleId,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Announced {
    pub sale: Arc<Sale>,
    pub is_everything_stopped: bool,
    /// The sale's allotments; none before it is armed and after it is settled.
    pub allotments: Arc<Vec<(Sku, Allotment)>>,
}

/// Everything that keeps a sale from being run as it is planned; an empty list, if nothing does.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Vec<Finding>, SalesError>")]
pub struct ValidateSale {
    pub sale: SaleId,
}

/// Carries out an action on a sale.
///
/// Answers with the sale. Refuses with `NotInStatus` where the status does not allow it, with `NotValid` or `NotReady`
/// where the plan or the stock does not, with `OrdersOpen` where it is to be settled too early, with `TwoHalts` where a
/// sale that is paused and stopped is to be resumed without saying which of the two ends. Asking twice changes nothing.
/// A stop is in effect before it is written. A kill may need a second operator.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<CommandOutcome<Sale>, SalesError>")]
pub struct MoveSale {
    pub sale: SaleId,
    pub action: Action,
    /// The halt that resuming ends; it leaves the other one alone, however late or often it arrives. `None` ends the only one.
    pub ends: Option<Halt>,
    pub by: Initiator,
    pub reason: String,
}

/// Turns the switch of one SKU of a sale; turning it on may need a second operator.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<CommandOutcome<Sale>, SalesError>")]
pub struct SwitchItem {
    pub sale: SaleId,
    pub sku: Sku,
    pub stopped: bool,
    pub by: Initiator,
    pub reason: String,
}

/// Turns the switch for everything: no customer's order passes while it is on. Answers whether it is on. Turning it on may
/// need a second operator.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<CommandOutcome<bool>, SalesError>")]
pub struct SwitchEverything {
    pub stopped: bool,
    pub by: Initiator,
    pub reason: String,
}

/// Gives an armed or open sale more or fewer pieces of a SKU.
///
/// Answers with the sale. Refuses as inventory does, for example with `BelowPromised`. Fewer may need a second operator.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<CommandOutcome<Sale>, SalesError>")]
pub struct ChangeItem {
    pub sale: SaleId,
    pub sku: Sku,
    pub allotment: Quantity,
    pub expected: Quantity,
    pub by: Initiator,
    pub reason: String,
}

/// The proposals that wait for a second operator, oldest first; answered from memory.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Vec<Proposal>, SalesError>")]
pub struct ListProposals;

/// Withdraws the proposal of any operator. Answers with it. Refuses with `UnknownProposal` also when it was carried out.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Proposal, SalesError>")]
pub struct WithdrawProposal {
    pub proposal: ProposalId,
    pub by: CustomerId,
    pub reason: String,
}

/// The changes of a sale, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Vec<ChangeRecord>, SalesError>")]
pub struct ListChanges {
    pub sale: SaleId,
}

/// How a sale is going at this moment.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Live, SalesError>")]
pub struct GetLive {
    pub sale: SaleId,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Live {
    pub sale: Arc<Sale>,
    pub is_everything_stopped: bool,
    pub unwritten: UnwrittenStops,
    /// The sale's allotments, as they are durable; none before it is armed.
    pub allotments: Vec<(Sku, Allotment)>,
    /// When the allotments were read.
    pub read_at: Option<Timestamp>,
    /// Since the gates began to count.
    pub tally: Tally,
    /// The last seconds, the latest last.
    pub seconds: Vec<Tally>,
}

/// Holds a part of a sale's quota for an order: its pieces count for the customer.
///
/// Answers with the hold, or with `None` when the order is in no sale. Refuses with the gate.
/// It counts until it is released. Held again with the first answer, it is counted by gates that began anew since, which
/// may refuse it; otherwise asking again answers the same.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Option<Arc<QuotaHold>>, SalesError>")]
pub struct HoldQuota {
    pub request: Arc<QuotaRequest>,
    /// The answer of the first time, when the order's stock is reserved.
    pub held: Option<Arc<QuotaHold>>,
}

/// Counts an order that holds quota as accepted: it is durable, or may be.
///
/// Asking twice counts once.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<(), SalesError>")]
pub struct NoteAccepted {
    pub sale: SaleId,
    pub order: OrderId,
    pub arrived_at: Timestamp,
}

/// Confirms the quota of an order, which is paid by now.
///
/// An order that the gates do not count, since its stock had expired when they began, is counted again.
/// Asking twice changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<(), SalesError>")]
pub struct ConfirmQuota {
    pub sale: SaleId,
    pub order: OrderId,
}

/// Releases the quota of an order that has ended: its pieces no longer count for the customer.
///
/// Asking twice changes no more than the number of refusals. Where there is no hold, this changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<(), SalesError>")]
pub struct ReleaseQuota {
    /// `None` where the answer to the hold was lost: it is looked for in every sale.
    pub sale: Option<SaleId>,
    pub order: OrderId,
    pub end: QuotaEnd,
}

/// How an order that held quota ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum QuotaEnd {
    /// It was cancelled, expired, or failed for a reason that is not the sale's.
    NoOrder,
    /// It was refused after the gates, for example because its stock was sold out; this counts as a refusal of the sale.
    Refused { customer: CustomerId, by: Refusal },
    /// Its payment was.
    Declined { customer: CustomerId },
}

/// Orders that hold quota, began before a time and are not placed yet, oldest first. For the sweep of orders: what was
/// held for an order that never came to be is found among these.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Vec<(OrderId, SaleId)>, SalesError>")]
pub struct ListHeldQuotas {
    pub begun_before: Timestamp,
    pub after: Option<OrderId>,
    pub limit: i64,
}

/// The list of SKUs whose orders sales must decide about; `None` when it still is of the known version.
///
/// It may be used for `SALE_SKUS_USABLE_FOR` after it was asked for, and no longer.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Option<Arc<SaleSkus>>, SalesError>")]
pub struct GetSaleSkus {
    pub known: Option<SaleSkusVersion>,
}

/// Notes that a customer was refused before the gates, at the waiting room. Nothing is kept for a sale that is not on.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<(), SalesError>")]
pub struct NoteRefusal {
    pub sale: SaleId,
    pub customer: CustomerId,
    /// The refusal's stable name.
    pub door: Cow<'static, str>,
}

/// What a customer was refused in a sale, and by which gate, oldest first. They are stored within a second or two.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Vec<Refused>, SalesError>")]
pub struct ListRefusals {
    pub sale: SaleId,
    pub customer: CustomerId,
}
