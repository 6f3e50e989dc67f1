//! The mechanisms under every actor: supervision, bounded questions, ports between domains, the journal, entities.
//!
//! Only this folder and the actor files use actix. See `supervisor.rs` for why actix's own supervisor and mailbox
//! bounds are not used.

mod background;
pub(crate) mod contract;
pub mod entity;
pub mod failpoint;
mod feed;
mod handle;
mod host;
mod journal;
mod port;
mod supervisor;

pub use background::{Background, RunsInBackground};
pub use contract::Question;
pub(crate) use contract::{contract, needs};
pub use feed::Feed;
pub use handle::{AskError, AskLimits, Handle};
pub use host::{Domain, Figures, Host, lag_port};
pub use journal::{Book, CommitError, Journal, JournalLimits, Lane, Slot};
pub use port::Port;
pub use supervisor::{keep_going, supervise};
pub(crate) use supervisor::{run_guarded, unbounded_context};
