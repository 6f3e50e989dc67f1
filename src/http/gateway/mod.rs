//! What every request shares, whatever it asks: the server and its layers, access, input, answers and errors.

pub mod access;
pub mod answer;
pub mod input;
pub mod internal;
pub mod problem;
mod rate_limit;
mod request_scope;
pub mod route;
pub mod server;
mod state;
pub mod streams;

pub use state::{Gateway, GatewayLimits, Identify};
pub use streams::Streams;
