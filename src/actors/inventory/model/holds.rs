//! Rules of memory: a SKU remembers the holds of its own decisions until they have ended for a while.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::reservation::{Hold, ReservationState};
use crate::types::ReservationId;

/// Ended holds are remembered for longer than any look-up in the database can take, so that what was recalled before
/// a change can never be decided upon after it.
pub const REMEMBER_ENDED_FOR: Duration = Duration::from_secs(20);

/// Holds are not loaded with the SKU (a hot one may have a million): each is recalled when a command is about it.
#[derive(Debug, Default)]
pub(super) struct Holds {
    known: HashMap<ReservationId, Known>,
    ended: VecDeque<(Instant, ReservationId)>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    hold: Hold,
    /// Since when it may be forgotten; `None` while it is held.
    ended: Option<Instant>,
}

impl Holds {
    pub(super) fn get(&self, id: ReservationId) -> Option<Hold> {
        self.known.get(&id).map(|known| known.hold)
    }

    pub(super) fn insert(&mut self, id: ReservationId, hold: Hold, now: Instant) {
        let ended = (hold.state != ReservationState::Held).then_some(now);
        self.known.insert(id, Known { hold, ended });
        self.ended.extend(ended.map(|since| (since, id)));
    }

    pub(super) fn forget_ended(&mut self, now: Instant) {
        while let Some((since, id)) = self.ended.front().copied()
            && now.duration_since(since) > REMEMBER_ENDED_FOR
        {
            self.ended.pop_front();
            // One that ended once more since then has a younger entry, which will forget it.
            if self.known.get(&id).is_some_and(|known| known.ended == Some(since)) {
                self.known.remove(&id);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = Hold> {
        self.known.values().map(|known| known.hold)
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.known.len(), self.ended.len())
    }
}
