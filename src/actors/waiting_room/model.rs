//! The words of the waiting room: tickets and what becomes of them, and what sales tells of its sales.

use std::collections::HashSet;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};

use crate::types::{CustomerId, PiecesLeft, SaleId};

/// The number of a ticket, in the order of joining; the first one is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TicketNumber(NonZeroU32);

impl TicketNumber {
    /// `None` for 0, which no ticket has.
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// As a plain number, at least 1.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The index of its entry in a list of all.
    pub(super) const fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    /// The number of the entry at an index in a list of all.
    pub(super) fn at(index: usize) -> Option<Self> {
        u32::try_from(index).ok()?.checked_add(1).and_then(Self::new)
    }
}

impl fmt::Display for TicketNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// How a sale admits its customers, as its plan says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmissionTerms {
    pub mode: AdmissionMode,
    /// Customers admitted in each second; `None`: steered by how fast orders are placed.
    pub per_second: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum AdmissionMode {
    /// Every customer may order without a ticket.
    None,
    /// First come, first served; customers who came before the opening in random order.
    Queue,
    /// Entries until the opening, then drawn.
    Lottery,
}

impl AdmissionMode {
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// `None` when such a sale has no waiting room.
    pub const fn room(self) -> Option<RoomMode> {
        match self {
            Self::None => None,
            Self::Queue => Some(RoomMode::Queue),
            Self::Lottery => Some(RoomMode::Lottery),
        }
    }
}

/// How customers who join before the opening and after it are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomMode {
    /// Customers who join before the opening are drawn; later ones stand behind them in the order of joining.
    Queue,
    /// Customers who join before the opening are drawn; no customer may join later.
    Lottery,
}

/// Why a room admits no further customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Finish {
    /// No piece is left, and none can come back.
    SoldOut,
    /// The time is over, or staff ended it.
    Closed,
}

/// The state of an entry as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum EntryState {
    /// Joined, and not admitted yet.
    Waiting,
    /// Admitted until `admitted_until`.
    Admitted,
    /// The admission is used.
    Ordered,
    /// The admission lapsed unused.
    NoShow,
}

impl EntryState {
    /// Its name, as it is stored.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One entry as it is stored. Its times are whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEntry {
    pub number: TicketNumber,
    pub customer: CustomerId,
    pub joined_at: Timestamp,
    pub state: EntryState,
    /// Until when an admission is, or was, valid; `None` while waiting.
    pub admitted_until: Option<Timestamp>,
}

/// What is to be written about an entry that is stored already; writing it twice is the same as once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryChange {
    pub number: TicketNumber,
    pub state: EntryState,
    pub admitted_until: Option<Timestamp>,
}

/// A change of an entry, and its time; no two changes of one ticket have the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatedChange {
    pub sale: SaleId,
    pub change: EntryChange,
    pub at: Timestamp,
}

/// What a ticket is worth now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum TicketState {
    /// The draw is still to come.
    PreQueue,
    Waiting,
    Admitted,
    Ordered,
    NoShow,
    /// Was still waiting when all was sold.
    SoldOut,
    /// Was still waiting when the sale was closed.
    Closed,
}

impl TicketState {
    /// Its name, as it is answered.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// How a sale that has, or will have, a waiting room stands, as sales tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleState {
    pub plan: RoomPlan,
    /// Whether customers may order now.
    pub is_selling: bool,
    /// Whether it drains or is over: no further customer is admitted.
    pub is_ending: bool,
    pub supply: Supply,
}

/// What a waiting room takes from the plan of its sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomPlan {
    pub sale: SaleId,
    pub mode: RoomMode,
    /// Customers admitted in each second; `None`: steered by how fast orders are placed.
    pub per_second: Option<u32>,
    /// When the customers who joined before are drawn.
    pub opens_at: Timestamp,
}

/// The pieces of a sale, over all of its SKUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Supply {
    /// What the sale was given.
    pub allotment: i64,
    pub remaining: i64,
    /// What remains of the SKUs that are not stopped.
    pub orderable: i64,
    /// Pieces in orders that may still come to nothing.
    pub held: i64,
}

impl Supply {
    /// How much is left, as roughly as customers are told; `None` before the sale has its pieces.
    pub fn left(&self) -> Option<PiecesLeft> {
        (self.allotment > 0).then(|| PiecesLeft::of(self.allotment, self.remaining, self.held))
    }

    /// Whether no piece is left and none can come back.
    pub const fn is_sold_out(&self) -> bool {
        self.allotment > 0 && self.remaining == 0 && self.held == 0
    }
}

/// How the orders of all sales are doing, as sales tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLoad {
    /// Of the orders that passed in the last second; `None` when there were none.
    pub latency_p99: Option<Duration>,
    /// Orders that passed and are on their way.
    pub depth: u32,
}

/// An admission that was used for an order, or that came back because the order came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmissionUse {
    pub sale: SaleId,
    pub number: TicketNumber,
    pub is_used: bool,
    pub at: Timestamp,
}

/// All tickets of a sale whose admissions are used for an order at this moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedAdmissions {
    pub sale: SaleId,
    pub tickets: HashSet<TicketNumber>,
}

/// Up to which use of an admission the waiting room has been told, in one generation of sales.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UsesTold {
    /// Differs between generations of sales.
    pub generation: u64,
    /// Uses and returns since that generation began.
    pub count: u64,
}
