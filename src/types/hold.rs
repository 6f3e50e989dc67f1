//! Rules of holding: the contract of everything that an order sets aside (stock, a sale's quota, and what comes next).
//!
//! A hold is taken under one id until one time, and then confirmed or released. Each command may be repeated. The owner
//! of what is held (inventory, sales) decides by this table:
//!
//! | command ↓ state → | absent | held | confirmed | released | expired |
//! |---|---|---|---|---|---|
//! | hold | **take** | unchanged | unchanged | refused: ended | refused: ended |
//! | confirm | refused: unknown | **confirm** | unchanged | refused: ended | refused: ended, or **retake** when asked for |
//! | release | no hold | **release** | refused: confirmed, or **take back** when asked for | unchanged | unchanged |
//! | expire | no hold | **expire** | unchanged | unchanged | unchanged |
//!
//! An order's holds are taken in one order and released in reverse (`actors/orders/holds/`). Their id is the order's, so
//! that a sweep finds those that a crash left behind: their order does not exist although its time has passed.

use serde::{Deserialize, Serialize};

/// Where a hold stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// There never was one under this id.
    Absent,
    Held,
    /// The order is paid: what was held is sold.
    Confirmed,
    /// Given back by a command.
    Released,
    /// Given back because its time had passed.
    Expired,
}

/// What is done to a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldCommand {
    Hold,
    Confirm {
        /// Whether what expired is taken anew, as far as there is enough of it.
        even_if_expired: bool,
    },
    Release {
        /// Whether what was sold comes back too.
        even_if_confirmed: bool,
    },
    /// Its time has passed.
    Expire,
}

/// What a command does to a hold in some state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldStep {
    /// Takes what is wanted, if there is enough of it.
    Take,
    Confirm,
    /// Takes anew what had expired, if there is enough of it, and confirms it.
    Retake,
    Release,
    /// Takes back what was sold.
    TakeBack,
    Expire,
    /// It is so already; the answer is the same as the first time.
    Unchanged,
    /// There is no hold, so that there is nothing to do.
    NoHold,
    Refuse(HoldRefusal),
}

/// Why a command is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldRefusal {
    Unknown,
    Ended,
    Confirmed,
}

impl HoldState {
    pub const ALL: [Self; 5] = [Self::Absent, Self::Held, Self::Confirmed, Self::Released, Self::Expired];

    /// What the command does to a hold in this state.
    pub const fn step(self, command: HoldCommand) -> HoldStep {
        use HoldCommand::{Confirm, Expire, Hold, Release};
        match (command, self) {
            (Hold, Self::Absent) => HoldStep::Take,
            (Hold, Self::Held | Self::Confirmed) => HoldStep::Unchanged,
            (Hold, Self::Released | Self::Expired) => HoldStep::Refuse(HoldRefusal::Ended),

            (Confirm { .. }, Self::Absent) => HoldStep::Refuse(HoldRefusal::Unknown),
            (Confirm { .. }, Self::Held) => HoldStep::Confirm,
            (Confirm { .. }, Self::Confirmed) => HoldStep::Unchanged,
            (Confirm { even_if_expired: true }, Self::Expired) => HoldStep::Retake,
            (Confirm { .. }, Self::Released | Self::Expired) => HoldStep::Refuse(HoldRefusal::Ended),

            (Release { .. } | Expire, Self::Absent) => HoldStep::NoHold,
            (Release { .. }, Self::Held) => HoldStep::Release,
            (Release { even_if_confirmed: true }, Self::Confirmed) => HoldStep::TakeBack,
            (Release { .. }, Self::Confirmed) => HoldStep::Refuse(HoldRefusal::Confirmed),
            (Release { .. }, Self::Released | Self::Expired) => HoldStep::Unchanged,

            (Expire, Self::Held) => HoldStep::Expire,
            (Expire, Self::Confirmed | Self::Released | Self::Expired) => HoldStep::Unchanged,
        }
    }

    /// The state of a hold after a step.
    #[must_use]
    pub const fn after(self, step: HoldStep) -> Self {
        match step {
            HoldStep::Take => Self::Held,
            HoldStep::Confirm | HoldStep::Retake => Self::Confirmed,
            HoldStep::Release | HoldStep::TakeBack => Self::Released,
            HoldStep::Expire => Self::Expired,
            HoldStep::Unchanged | HoldStep::NoHold | HoldStep::Refuse(_) => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HoldRefusal as Why;
    use super::HoldStep::*;
    use super::*;

    const COMMANDS: [HoldCommand; 6] = [
        HoldCommand::Hold,
        HoldCommand::Confirm { even_if_expired: false },
        HoldCommand::Confirm { even_if_expired: true },
        HoldCommand::Release { even_if_confirmed: false },
        HoldCommand::Release { even_if_confirmed: true },
        HoldCommand::Expire,
    ];

    #[test]
    fn every_command_does_in_every_state_what_the_table_says() {
        // In the order of `HoldState::ALL`: absent, held, confirmed, released, expired.
        let table = [
            [Take, Unchanged, Unchanged, Refuse(Why::Ended), Refuse(Why::Ended)],
            [Refuse(Why::Unknown), Confirm, Unchanged, Refuse(Why::Ended), Refuse(Why::Ended)],
            [Refuse(Why::Unknown), Confirm, Unchanged, Refuse(Why::Ended), Retake],
            [NoHold, Release, Refuse(Why::Confirmed), Unchanged, Unchanged],
            [NoHold, Release, TakeBack, Unchanged, Unchanged],
            [NoHold, Expire, Unchanged, Unchanged, Unchanged],
        ];
        for (command, expected) in COMMANDS.into_iter().zip(table) {
            assert_eq!(HoldState::ALL.map(|state| state.step(command)), expected, "{command:?}");
        }
    }

    #[test]
    fn a_command_that_is_repeated_changes_nothing_more() {
        for command in COMMANDS {
            for state in HoldState::ALL {
                let after = state.after(state.step(command));
                let again = after.step(command);
                assert_eq!(after.after(again), after, "{command:?} twice, from {state:?}");
            }
        }
    }

    #[test]
    fn what_has_ended_is_never_held_again() {
        for command in COMMANDS {
            for state in [HoldState::Released, HoldState::Expired] {
                assert_ne!(state.after(state.step(command)), HoldState::Held, "{command:?} of {state:?}");
            }
        }
    }
}
