//! Rules of the figures of a room: how many tickets are in which state, how long customers waited, how much memory it takes.

use serde::{Deserialize, Serialize};

use super::{Entry, Seconds, WaitingRoom};
use crate::actors::waiting_room::model::TicketNumber;
use crate::types::CustomerId;

/// Over how many of the customers who were admitted last the wait is averaged.
const RECENT_MAX: usize = 1_000;
/// A slot of the map from customers to tickets.
const SLOT_BYTES: usize = size_of::<(CustomerId, TicketNumber)>() + 1;

/// The figures of a room. All but the entries are of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RoomCounts {
    /// How many joined so far, whatever became of them.
    pub entries: u32,
    /// Joined and not admitted yet, before the draw too.
    pub waiting: u32,
    /// Admissions neither used nor lapsed.
    pub admitted: u32,
    /// Admissions that are used.
    pub ordered: u32,
    /// Admissions that lapsed unused.
    pub no_shows: u32,
    /// Mean over the last 1,000 customers admitted since the start: seconds since they joined, or since the draw if they
    /// joined before it. `None` when no customer was.
    pub mean_wait_seconds: Option<u32>,
}

impl WaitingRoom {
    /// In constant time.
    pub fn counts(&self) -> RoomCounts {
        let waits = self.recent_waits.len() as u64;
        let mean_wait_seconds =
            self.recent_waits_sum.checked_div(waits).and_then(|mean| u32::try_from(mean).ok());
        RoomCounts { mean_wait_seconds, ..self.counts }
    }

    pub(super) fn remember_wait(&mut self, waited: Seconds) {
        if self.recent_waits.len() == RECENT_MAX
            && let Some(oldest) = self.recent_waits.pop_front()
        {
            self.recent_waits_sum -= u64::from(oldest);
        }
        self.recent_waits.push_back(waited);
        self.recent_waits_sum += u64::from(waited);
    }

    /// About how many bytes one entry takes when all tables are as full as they get, admissions aside.
    #[cfg(test)]
    pub const fn bytes_per_entry() -> usize {
        // The map leaves at least one slot of eight free, and marks each with a byte.
        size_of::<Entry>() + size_of::<TicketNumber>() + SLOT_BYTES * 8 / 7
    }

    /// About how many bytes the room takes now, with what its tables reserved for growing.
    pub fn memory_bytes(&self) -> usize {
        let slots = (self.numbers.capacity() * 8 / 7).next_power_of_two();
        size_of::<Self>()
            + self.entries.capacity() * size_of::<Entry>()
            + self.order.capacity() * size_of::<TicketNumber>()
            + if self.numbers.capacity() == 0 { 0 } else { slots * SLOT_BYTES }
            + self.ends.capacity() * size_of::<(Seconds, TicketNumber)>()
            + self.recent_waits.capacity() * size_of::<Seconds>()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::*;
    use super::*;
    use crate::actors::waiting_room::model::RoomMode;

    #[test]
    fn the_mean_wait_is_over_the_last_thousand_and_from_the_opening_on() {
        let mut room = queue();
        assert_eq!(room.counts().mean_wait_seconds, None);
        enter(&mut room, 1, -1_000);
        room.draw(&seed(), at(0)).unwrap();
        enter(&mut room, 2, 10);
        admit(&mut room, 30, 2);
        assert_eq!(room.counts().mean_wait_seconds, Some(25));

        let mut busy = WaitingRoom::new(RoomMode::Queue, sale(), 10_000);
        busy.draw(&seed(), at(0)).unwrap();
        for who in 0..1_500 {
            enter(&mut busy, who, 0);
        }
        admit(&mut busy, 1_000, 500);
        admit(&mut busy, 40, 1_000);
        assert_eq!(busy.counts().mean_wait_seconds, Some(40));
    }

    #[test]
    fn an_entry_takes_few_bytes() {
        assert_eq!(size_of::<Entry>(), 32);
        assert!(WaitingRoom::bytes_per_entry() <= 64, "{}", WaitingRoom::bytes_per_entry());
        let mut room = WaitingRoom::new(RoomMode::Queue, sale(), 20_000);
        let empty = room.memory_bytes();
        for who in 0..10_000 {
            enter(&mut room, who, 0);
        }
        room.draw(&seed(), at(0)).unwrap();
        // Tables that double are at worst half empty.
        let grown = room.memory_bytes() - empty;
        assert!(grown >= 10_000 * 57 && grown <= 2 * 10_000 * WaitingRoom::bytes_per_entry(), "{grown}");
    }
}
