//! The waiting rooms of flash sales: tickets, the draw at the opening, and the admissions to order (schema `sales`).
//!
//! It promises that a place once told never gets worse, that customers are admitted strictly in the order of the
//! published draw and of joining, and that no more are admitted than the shop can serve and than there are pieces for.
//! It asks no other domain: sales tells it its plans, its stock and its load ([`ObserveSales`]). Whether an order may use
//! an admission is decided by sales.
//!
//! ```text
//! JoinQueue, GetDraw, GetRoom, ObserveSales → WaitingRoomActor ── changes ──→ Rooms (one RunningRoom for each sale)
//! GetPlace ──────────────────────────────────────────────────── reads ─────────↗
//! ```

mod actor;
mod admission_control;
mod book;
mod challenge;
mod domain;
mod draw;
mod error;
mod figures;
mod messages;
mod model;
mod pacing;
mod passes;
mod room;
mod rooms;
mod running_room;
mod service;
mod store;
mod unwritten;

pub use challenge::{Challenge, ChallengeError, ProofOfWork};
pub use domain::{WaitingRoomDomain, WaitingRoomPorts};
pub use draw::{ClosedEntries, Commitment, DrawError, EntriesDigest, PublishedDraw, Seed};
pub use error::{RoomRefusal, WaitingRoomError};
pub use messages::*;
pub use model::{
    AdmissionMode, AdmissionTerms, AdmissionUse, DatedChange, EntryChange, EntryState, Finish, OrderLoad,
    RoomMode, RoomPlan, SaleState, StoredEntry, Supply, TicketNumber, TicketState, UsedAdmissions, UsesTold,
};
pub use pacing::{Pacing, RetryAfter};
pub use passes::{Admission, PassError, PassKey, Ticket};
pub use room::RoomCounts;
