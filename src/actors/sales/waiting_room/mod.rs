//! The waiting room of a flash sale.

mod draw;
mod passes;

pub use draw::{Commitment, DrawError, EntriesDigest, PublishedDraw, Seed, draw};
pub use passes::{Admission, PassError, PassKey, Ticket, TicketNumber};
