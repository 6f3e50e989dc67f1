//! Rules of control: who changes a sale, what a second operator has to approve, and the record of it.
//!
//! The first operator's action is kept as a proposal; the same action of another operator carries it out. What the
//! engine does by itself needs no approval.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::EnumString;

use crate::config::SecondOperator;
use crate::types::{CustomerId, InvalidValue, ProposalId, Quantity, SaleId, Sku};

/// Who changes a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Initiator {
    /// By the schedule, or because the audit found a breach.
    Engine,
    Operator(CustomerId),
}

impl Initiator {
    pub const fn operator(self) -> Option<CustomerId> {
        match self {
            Self::Engine => None,
            Self::Operator(operator) => Some(operator),
        }
    }
}

impl From<Option<CustomerId>> for Initiator {
    fn from(operator: Option<CustomerId>) -> Self {
        operator.map_or(Self::Engine, Self::Operator)
    }
}

/// What is done to a switch: of one SKU of a sale, or of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", parse_err_ty = InvalidValue, parse_err_fn = no_command)]
pub enum SwitchCommand {
    Kill,
    Resume,
}

fn no_command(name: &str) -> InvalidValue {
    InvalidValue::new("action", format!("{name:?} is nothing that is done to a switch"))
}

impl SwitchCommand {
    pub const fn stops(self) -> bool {
        matches!(self, Self::Kill)
    }
}

/// An action that may need a second operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ControlledAction {
    KillItem { sale: SaleId, sku: Sku },
    KillSale { sale: SaleId },
    KillEverything,
    Lower { sale: SaleId, sku: Sku, allotment: Quantity, expected: Quantity },
}

impl ControlledAction {
    /// What the configuration calls it.
    pub const fn control(&self) -> SecondOperator {
        match self {
            Self::KillItem { .. } | Self::KillSale { .. } | Self::KillEverything => SecondOperator::Kill,
            Self::Lower { .. } => SecondOperator::Lower,
        }
    }

    pub const fn name(&self) -> &'static str {
        match self.control() {
            SecondOperator::Kill => "kill",
            SecondOperator::Lower => "lower",
        }
    }

    /// `None` for the switch of everything.
    pub const fn sale(&self) -> Option<SaleId> {
        match self {
            Self::KillItem { sale, .. } | Self::KillSale { sale } | Self::Lower { sale, .. } => Some(*sale),
            Self::KillEverything => None,
        }
    }

    pub const fn sku(&self) -> Option<&Sku> {
        match self {
            Self::KillItem { sku, .. } | Self::Lower { sku, .. } => Some(sku),
            Self::KillSale { .. } | Self::KillEverything => None,
        }
    }

    /// The wanted allotment and the expected present one.
    pub const fn allotments(&self) -> Option<(Quantity, Quantity)> {
        match self {
            Self::Lower { allotment, expected, .. } => Some((*allotment, *expected)),
            _ => None,
        }
    }
}

/// An action that waits for a second operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    pub id: ProposalId,
    pub action: ControlledAction,
    pub by: CustomerId,
    pub reason: String,
    pub at: Timestamp,
    pub lapses_at: Timestamp,
}

impl Proposal {
    /// Whether an operator who asks for the same action now is the second one.
    pub fn is_approved_by(&self, action: &ControlledAction, by: CustomerId, now: Timestamp) -> bool {
        self.action == *action && self.by != by && now < self.lapses_at
    }
}

/// What became of an operator's command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum CommandOutcome<T> {
    Done(T),
    /// Not done: it waits for a second operator.
    Proposed(Proposal),
}

/// Whether an action may be carried out now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Approval {
    /// `proposed_by` is the first operator; `None` where one is enough.
    Given {
        proposed_by: Option<CustomerId>,
    },
    Awaited(Proposal),
}

/// The record of a change of a sale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangeRecord {
    pub action: String,
    pub sku: Option<Sku>,
    pub by: Initiator,
    /// The first operator, where the change needed two.
    pub proposed_by: Option<CustomerId>,
    pub reason: String,
    pub before: serde_json::Value,
    pub after: serde_json::Value,
    pub at: Timestamp,
}
