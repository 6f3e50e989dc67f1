//! Flash sales: what customers see of them, and how operators plan, watch and steer them.

mod live;
mod operate;
mod plan;
mod public;
mod terms;
mod views;

pub use live::*;
pub use operate::*;
pub use plan::*;
pub use public::*;
pub use terms::{AdmissionTermsBody, HoldSecondsBody, KonbiniTermsBody};
pub use views::*;
