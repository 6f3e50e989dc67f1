//! A sale, and which status may follow which. `model/` holds its plan, its statuses and who controls it.
//!
//! ```text
//! draft → scheduled → armed → open ⇄ paused
//!                              ├───────┴→ draining → closed → settled
//!   (all but closed and settled) → cancelled
//! ```

mod control;
mod plan;
mod status;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub(super) use self::control::Approval;
pub use self::control::{ChangeRecord, CommandOutcome, ControlledAction, Initiator, Proposal, SwitchCommand};
pub use self::plan::{Finding, HoldSeconds, KonbiniTerms, SaleDraft, SaleItem, Terms};
pub use self::status::{Action, Halt, SaleStatus};
use super::error::SalesError;
use crate::types::{SaleId, Sku};

/// A sale with its plan, as it is durable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sale {
    pub id: SaleId,
    pub draft: SaleDraft,
    pub status: SaleStatus,
    /// The kill switch of the whole sale.
    pub is_stopped: bool,
    /// SKUs whose own kill switch is on.
    pub stopped_skus: Vec<Sku>,
    /// Counts the changes.
    pub version: i64,
    pub created_at: Timestamp,
    /// When draining ends even if holds are left.
    pub drains_until: Option<Timestamp>,
    pub is_stock_returned: bool,
    /// SHA-256 of the draw's seed, published before the draw.
    pub commitment: String,
}

impl Sale {
    /// The sale after the action; `None` when it is in that state already.
    pub fn after(&self, action: Action, drains_until: Timestamp) -> Result<Option<Sale>, SalesError> {
        use SaleStatus::{Armed, Cancelled, Closed, Draft, Draining, Open, Paused, Scheduled, Settled};
        let refused = || SalesError::NotInStatus { sale: self.id, status: self.status, action };
        if action == Action::Resume {
            return self.after_resume(self.halt().unwrap_or(Halt::Pause));
        }
        let mut next = self.clone();
        next.version += 1;
        next.status = match (action, self.status) {
            (Action::Schedule, Scheduled)
            | (Action::Arm, Armed)
            | (Action::Open, Open)
            | (Action::Pause, Paused)
            | (Action::Drain, Draining)
            | (Action::Close, Closed)
            | (Action::Cancel, Cancelled)
            | (Action::Settle, Settled) => return Ok(None),
            (Action::Schedule, Draft) => Scheduled,
            (Action::Arm, Scheduled) => Armed,
            (Action::Open, Armed) => Open,
            (Action::Pause, Open) => Paused,
            (Action::Drain, Open | Paused) => {
                next.drains_until = Some(drains_until);
                Draining
            }
            (Action::Close, Open | Paused | Draining) => Closed,
            (Action::Cancel, Draft | Scheduled | Armed | Open | Paused | Draining) => Cancelled,
            (Action::Settle, Closed) => Settled,
            (Action::Kill, status) if !status.is_over() => {
                if self.is_stopped {
                    return Ok(None);
                }
                status
            }
            _ => return Err(refused()),
        };
        next.is_stopped |= action == Action::Kill;
        Ok(Some(next))
    }

    /// The sale after it is resumed; `None` when the halt is over already. Ending a pause does not undo a kill.
    pub fn after_resume(&self, ends: Halt) -> Result<Option<Sale>, SalesError> {
        let next = Sale { version: self.version + 1, ..self.clone() };
        match (ends, self.status) {
            (Halt::Pause, SaleStatus::Paused) => Ok(Some(Sale { status: SaleStatus::Open, ..next })),
            (Halt::Pause, SaleStatus::Open) => Ok(None),
            (Halt::Kill, _) if self.is_stopped => Ok(Some(Sale { is_stopped: false, ..next })),
            (Halt::Kill, status) if !status.is_over() => Ok(None),
            (_, status) => Err(SalesError::NotInStatus { sale: self.id, status, action: Action::Resume }),
        }
    }

    /// What keeps buyers out of it; of a pause and a kill, the pause, which is ended first.
    pub fn halt(&self) -> Option<Halt> {
        let is_paused = self.status == SaleStatus::Paused;
        is_paused.then_some(Halt::Pause).or_else(|| self.is_stopped.then_some(Halt::Kill))
    }

    pub fn item(&self, sku: &Sku) -> Option<&SaleItem> {
        self.draft.items.iter().find(|item| item.sku == *sku)
    }

    /// The action that is due by the schedule.
    pub fn due(&self, now: Timestamp, arm_from: Timestamp) -> Option<Action> {
        match self.status {
            SaleStatus::Scheduled if now >= self.draft.closes_at => Some(Action::Cancel),
            SaleStatus::Scheduled if arm_from >= self.draft.opens_at => Some(Action::Arm),
            SaleStatus::Armed if now >= self.draft.opens_at => Some(Action::Open),
            SaleStatus::Open | SaleStatus::Paused if now >= self.draft.closes_at => Some(Action::Close),
            SaleStatus::Draining if self.drains_until.is_some_and(|until| now >= until) => {
                Some(Action::Close)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::plan::tests::draft;
    use super::*;

    pub fn sale(status: SaleStatus) -> Sale {
        Sale {
            id: SaleId::generate(),
            draft: draft(),
            status,
            is_stopped: false,
            stopped_skus: Vec::new(),
            version: 1,
            created_at: Timestamp::UNIX_EPOCH,
            drains_until: None,
            is_stock_returned: false,
            commitment: String::new(),
        }
    }

    #[test]
    fn every_action_changes_every_status_as_the_picture_shows() {
        use Action::*;
        use SaleStatus as S;
        let expected = |action, status: S| match (action, status) {
            (Schedule, S::Draft) => Some(S::Scheduled),
            (Arm, S::Scheduled) => Some(S::Armed),
            (Open, S::Armed) | (Resume, S::Paused) => Some(S::Open),
            (Pause, S::Open) => Some(S::Paused),
            (Drain, S::Open | S::Paused) => Some(S::Draining),
            (Close, S::Open | S::Paused | S::Draining) => Some(S::Closed),
            (Settle, S::Closed) => Some(S::Settled),
            (Cancel, status) if !status.is_over() => Some(S::Cancelled),
            (Kill, status) if !status.is_over() => Some(status),
            _ => None,
        };
        for action in Action::ALL.iter().copied() {
            for status in SaleStatus::ALL.iter().copied() {
                let after = sale(status).after(action, Timestamp::MAX);
                let got = after.as_ref().ok().and_then(Option::as_ref).map(|next| next.status);
                assert_eq!(got, expected(action, status), "{action:?} when {status:?}");
                if let Some(next) = after.ok().flatten() {
                    assert_eq!(next.version, 2);
                    // Asking twice changes nothing.
                    assert_eq!(next.after(action, Timestamp::MAX).ok(), Some(None), "{action:?} twice");
                }
            }
        }
    }

    #[test]
    fn a_stopped_sale_goes_on_where_it_was() {
        for status in [SaleStatus::Armed, SaleStatus::Open, SaleStatus::Draining] {
            let stopped = sale(status).after(Action::Kill, Timestamp::MAX).unwrap().unwrap();
            assert!(stopped.is_stopped);
            let resumed = stopped.after(Action::Resume, Timestamp::MAX).unwrap().unwrap();
            assert_eq!((resumed.is_stopped, resumed.status), (false, status));
        }
    }

    #[test]
    fn each_action_of_the_schedule_is_due_at_its_time() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let due = |status, second| sale(status).due(at(second), at(second + 60));
        assert_eq!(due(SaleStatus::Scheduled, 939), None);
        assert_eq!(due(SaleStatus::Scheduled, 940), Some(Action::Arm));
        assert_eq!(due(SaleStatus::Scheduled, 2_000), Some(Action::Cancel));
        assert_eq!(due(SaleStatus::Armed, 999), None);
        assert_eq!(due(SaleStatus::Armed, 1_000), Some(Action::Open));
        assert_eq!(due(SaleStatus::Paused, 2_000), Some(Action::Close));
        assert_eq!(due(SaleStatus::Draft, 2_000), None);
    }
}
