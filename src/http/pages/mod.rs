//! Pages that are shown in a browser: `kit/` is what all of them are made of, `ops/` is the operators' page.

pub mod kit;
pub mod ops;

pub use kit::layout::{explain, is_for_people};
pub use kit::session::keep_session;
