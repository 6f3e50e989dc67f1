//! The sale of a scenario: its plan, and which customers take a journey in it.

use serde::{Deserialize, Serialize};

const PIECES_MAX: i64 = 1_000_000_000;
const YEN_MAX: i64 = 10_000_000_000_000;
const POLL_MS_MAX: u64 = 600_000;

/// A sale of all the scenario's SKUs. It refers to stages by their names.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SalePlan {
    /// The stage at whose beginning it is planned, scheduled and armed.
    pub armed: String,
    /// The stage at whose beginning it opens.
    pub opens: String,
    /// The stage in which it is paused.
    pub paused: Option<String>,
    /// Pieces of each SKU.
    pub allotment: i64,
    /// Yen.
    pub price: i64,
    /// Pieces for each customer.
    pub limit: i64,
    #[serde(default)]
    pub admission: Admission,
    /// Customers admitted per second; the shop adjusts the rate itself if it is missing.
    pub per_second: Option<u32>,
    /// The poll interval of waiting customers, instead of the shop's `Retry-After`.
    pub poll_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Admission {
    #[default]
    None,
    Queue,
    Lottery,
}

/// Which customers take a journey.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum VisitorKind {
    #[default]
    Anybody,
    /// The next customer without a ticket.
    Newcomers,
    /// A customer with a ticket who is not admitted.
    Waiting,
    /// The next customer who was admitted and has not ordered since.
    Admitted,
}

impl SalePlan {
    pub(super) fn has_queue(&self) -> bool {
        self.admission != Admission::None
    }

    /// Invalid keys with their problems; `stage` finds a stage by its name.
    pub(super) fn problems(&self, stage: impl Fn(&str) -> Option<usize>) -> Vec<(String, &'static str)> {
        let mut found = Vec::new();
        let mut check = |holds: bool, key: &str, problem| {
            if !holds {
                found.push((format!("sale.{key}"), problem));
            }
        };
        let (armed, opens) = (stage(&self.armed), stage(&self.opens));
        check(armed.is_some(), "armed", "is not the name of a stage");
        check(
            opens.is_some() && opens > armed,
            "opens",
            "is not the name of a stage after that of sale.armed",
        );
        if let Some(paused) = &self.paused {
            let paused = stage(paused);
            check(
                paused.is_some() && paused > opens,
                "paused",
                "is not the name of a stage after that of sale.opens",
            );
        }
        check((1..=PIECES_MAX).contains(&self.allotment), "allotment", "must be between 1 and 1000000000");
        check((0..=YEN_MAX).contains(&self.price), "price", "must be between 0 and 10000000000000");
        check((1..=PIECES_MAX).contains(&self.limit), "limit", "must be between 1 and 1000000000");
        check(self.per_second != Some(0), "per_second", "must be at least 1");
        let is_pace = |milliseconds: &u64| (1..=POLL_MS_MAX).contains(milliseconds);
        check(self.poll_ms.is_none_or(|pace| is_pace(&pace)), "poll_ms", "must be between 1 and 600000");
        found
    }
}
