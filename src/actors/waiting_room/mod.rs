//! The waiting room of a flash sale: the rules of its line, its draw, its papers and its doors, none of which waits
//! for anything or reads a clock.

mod actor;
mod admission;
mod book;
mod challenge;
mod domain;
mod draw;
mod pacing;
mod passes;
mod room;
mod rooms;

pub use admission::{AdmissionControl, AdmissionPolicy, AdmissionRate, Demand, Observed};
pub use book::DatedChange;
pub use challenge::{Challenge, ChallengeError, ProofOfWork};
pub use domain::{WaitingRoomDomain, WaitingRoomPorts};
pub use draw::{ClosedEntries, Commitment, DrawError, EntriesDigest, PublishedDraw, Seed, draw};
pub use pacing::{Pacing, RetryAfter};
pub use passes::{Admission, PassError, PassKey, Ticket, TicketNumber};
pub use room::{
    Admitted, EntryChange, EntryState, Finish, Joined, Place, PlaceState, RestoreError, RoomCounts, RoomMode,
    RoomRefusal, StoredEntry, WaitingRoom,
};
