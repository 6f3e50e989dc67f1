//! How much is left, in the few words that customers are told.

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

/// How much of some pieces is left, as roughly as customers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum PiecesLeft {
    Many,
    /// Less than a fifth.
    Few,
    /// The last pieces are held by other customers, who may let them go.
    Held,
    None,
}

impl PiecesLeft {
    pub const fn of(allotment: i64, remaining: i64, held: i64) -> Self {
        match (remaining, held) {
            (0, 0) => Self::None,
            (0, _) => Self::Held,
            (remaining, _) if remaining.saturating_mul(5) < allotment => Self::Few,
            _ => Self::Many,
        }
    }

    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
