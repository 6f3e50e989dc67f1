//! Rules of recovery: a room as it was, from what was stored of it.

use std::cmp::Reverse;
use std::collections::HashSet;

use jiff::Timestamp;

use super::{Entry, Standing, WaitingRoom, seconds};
use crate::actors::waiting_room::draw::PublishedDraw;
use crate::actors::waiting_room::error::RestoreError;
use crate::actors::waiting_room::model::{
    EntryChange, EntryState, Finish, RoomMode, StoredEntry, TicketNumber,
};
use crate::types::SaleId;

/// Brings stored entries in line with the admissions that sales counts as used; `lapses_at` is for admissions whose end
/// was not stored. Answers with what is to be written of them.
///
/// A ticket with an order was admitted, and one without has its admission back, whatever an earlier generation wrote.
pub fn follow_uses(
    entries: &mut [StoredEntry],
    used: &HashSet<TicketNumber>,
    lapses_at: Timestamp,
) -> Vec<EntryChange> {
    let mut changes = Vec::new();
    for entry in entries {
        entry.state = match (entry.state, used.contains(&entry.number)) {
            (EntryState::Ordered, false) => EntryState::Admitted,
            (EntryState::Waiting | EntryState::Admitted | EntryState::NoShow, true) => EntryState::Ordered,
            _ => continue,
        };
        let admitted_until = Some(*entry.admitted_until.get_or_insert(lapses_at));
        changes.push(EntryChange { number: entry.number, state: entry.state, admitted_until });
    }
    changes
}

impl WaitingRoom {
    /// The room as it was, from what was stored of it; the entries may come in any order.
    ///
    /// Only the mean wait begins anew. An entry that the draw does not have although its number is within it was written
    /// after all when its customer had been told that it was not: it is void.
    pub fn restore(
        mode: RoomMode,
        sale: SaleId,
        entries_max: u32,
        entries: impl IntoIterator<Item = StoredEntry>,
        draw: Option<&PublishedDraw>,
        finished: Option<Finish>,
    ) -> Result<Self, RestoreError> {
        let mut room = Self::new(mode, sale, entries_max);
        for stored in entries {
            room.put(stored)?;
        }
        let drawn_to = draw.map_or(0, |draw| draw.tickets as usize);
        if drawn_to > room.entries.len() {
            // The last numbers before the draw were void.
            room.entries.resize(drawn_to, Entry::void());
        }
        room.ordered_to = room.entries.len();
        let mut is_drawn = vec![false; drawn_to];
        for number in draw.iter().flat_map(|draw| &draw.order) {
            if let Some(is_drawn) = is_drawn.get_mut(number.index()) {
                *is_drawn = true;
            }
        }
        for (entry, _) in room.entries.iter_mut().zip(is_drawn).filter(|(_, is_drawn)| !is_drawn) {
            *entry = Entry::void();
        }
        for index in 0..room.entries.len() {
            room.count_restored(index);
        }
        if let Some(draw) = draw {
            room.drawn_to = Some(drawn_to);
            room.drawn(draw).map_err(|_| RestoreError::OtherDraw(sale))?;
            room.gather_the_waiting();
        } else if let Some(number) = room.first_past_waiting() {
            return Err(RestoreError::AdmittedBeforeTheDraw(number));
        }
        room.finished = finished;
        Ok(room)
    }

    fn put(&mut self, stored: StoredEntry) -> Result<(), RestoreError> {
        let index = stored.number.index();
        if index >= self.entries.len() {
            self.entries.resize(index + 1, Entry::void());
        }
        let Some(entry) = self.entries.get_mut(index).filter(|entry| !entry.is_kept()) else {
            return Err(RestoreError::TicketTwice(stored.number));
        };
        *entry = Entry {
            customer: stored.customer,
            joined: seconds(stored.joined_at),
            until: stored.admitted_until.map_or(0, seconds),
            position: 0,
            standing: Standing::Kept(stored.state),
        };
        Ok(())
    }

    /// Entries come by ascending number, so that a customer's newest ticket is the one that is found.
    fn count_restored(&mut self, index: usize) {
        let Some(number) = TicketNumber::at(index) else { return };
        let Some(Entry { customer, until, standing: Standing::Kept(state), .. }) = self.entries.get(index)
        else {
            return;
        };
        self.numbers.insert(*customer, number);
        self.counts.entries += 1;
        match state {
            EntryState::Waiting => self.counts.waiting += 1,
            EntryState::Admitted => self.counts.admitted += 1,
            EntryState::Ordered => self.counts.ordered += 1,
            EntryState::NoShow => self.counts.no_shows += 1,
        }
        if matches!(state, EntryState::Admitted | EntryState::Ordered) {
            self.ends.push(Reverse((*until, number)));
        }
    }

    fn first_past_waiting(&self) -> Option<TicketNumber> {
        let is_past = |entry: &Entry| entry.is_kept() && !entry.is_waiting();
        self.entries.iter().position(is_past).and_then(TicketNumber::at)
    }

    /// Puts the tickets that are past waiting first, so that no ticket before `next` waits, even when a crash kept an
    /// admission and lost an earlier one.
    fn gather_the_waiting(&mut self) {
        let is_waiting =
            |number: &TicketNumber| self.entries.get(number.index()).is_some_and(Entry::is_waiting);
        let (waiting, past): (Vec<_>, Vec<_>) = self.order.iter().copied().partition(is_waiting);
        self.next = past.len();
        self.order = past;
        self.order.extend(waiting);
        for (position, number) in (0..).zip(&self.order) {
            if let Some(entry) = self.entries.get_mut(number.index()) {
                entry.position = position;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Joined;
    use super::super::tests::*;
    use super::*;
    use crate::actors::waiting_room::model::TicketState;

    #[test]
    fn a_room_is_not_restored_from_entries_that_contradict_each_other() {
        let entry = |who, state| StoredEntry {
            number: number(who),
            customer: customer(who),
            joined_at: at(-1),
            state,
            admitted_until: None,
        };
        let restore = |entries: &[StoredEntry], draw: Option<&PublishedDraw>| {
            WaitingRoom::restore(RoomMode::Queue, sale(), 9, entries.iter().copied(), draw, None)
        };
        let waiting = entry(1, EntryState::Waiting);
        assert_eq!(restore(&[waiting, waiting], None).unwrap_err(), RestoreError::TicketTwice(number(1)));
        let ordered = restore(&[entry(1, EntryState::Ordered)], None).unwrap_err();
        assert_eq!(ordered, RestoreError::AdmittedBeforeTheDraw(number(1)));
        let draw = restore(&[waiting], None).unwrap().draw(&seed(), at(0)).unwrap();
        assert_eq!(restore(&[], Some(&draw)).unwrap_err(), RestoreError::OtherDraw(sale()));
        assert!(restore(&[waiting], Some(&draw)).is_ok());
    }

    #[test]
    fn an_entry_written_although_it_was_forgotten_is_void() {
        let mut room = queue();
        enter(&mut room, 1, -1);
        let Ok(Joined::New(lost)) = room.join(customer(2), at(-1)) else { panic!() };
        let Ok(Joined::New(kept)) = room.join(customer(3), at(-1)) else { panic!() };
        room.forget(lost.number);
        room.confirm(kept.number);
        let draw = room.draw(&seed(), at(0)).unwrap();
        let stored = (1..=3).map(|who| StoredEntry { number: number(who), customer: customer(who), ..kept });
        let mut restored =
            WaitingRoom::restore(RoomMode::Queue, sale(), 9, stored, Some(&draw), None).unwrap();
        assert_eq!(restored.counts().entries, 2);
        assert_eq!(enter(&mut restored, 2, 1), number(4));
        assert_eq!(place(&restored, 2, 1), (TicketState::Waiting, 2));
    }

    #[test]
    fn a_room_restored_without_a_lost_admission_keeps_the_order_of_the_rest() {
        let entry = |who, state, until: Option<i64>| StoredEntry {
            number: number(who),
            customer: customer(who),
            joined_at: at(1),
            state,
            admitted_until: until.map(at),
        };
        let draw = opened_draw();
        let stored = [
            entry(1, EntryState::Ordered, Some(60)),
            entry(2, EntryState::Waiting, None),
            entry(3, EntryState::Admitted, Some(60)),
            entry(4, EntryState::Waiting, None),
        ];
        let mut room = WaitingRoom::restore(RoomMode::Queue, sale(), 9, stored, Some(&draw), None).unwrap();
        assert_eq!(place(&room, 2, 2), (TicketState::Waiting, 0));
        assert_eq!(place(&room, 4, 2), (TicketState::Waiting, 1));
        assert_eq!(admit(&mut room, 2, 9), [2, 4]);
        assert_eq!(lapse(&mut room, at(60)), [number(3)]);
    }

    fn opened_draw() -> PublishedDraw {
        queue().close_entries().unwrap().draw(&seed(), at(0))
    }

    #[test]
    fn stored_entries_follow_the_admissions_that_sales_counts_as_used() {
        let entry = |who, state, until: Option<i64>| StoredEntry {
            number: number(who),
            customer: customer(who),
            joined_at: at(1),
            state,
            admitted_until: until.map(at),
        };
        let mut entries = [
            entry(1, EntryState::Ordered, Some(60)),
            entry(2, EntryState::Waiting, None),
            entry(3, EntryState::NoShow, Some(60)),
            entry(4, EntryState::Ordered, Some(60)),
            entry(5, EntryState::Waiting, None),
        ];
        let used = [2, 3, 4].map(number).into();
        let change =
            |who, state, until| EntryChange { number: number(who), state, admitted_until: Some(at(until)) };
        let changes = [
            change(1, EntryState::Admitted, 60),
            change(2, EntryState::Ordered, 90),
            change(3, EntryState::Ordered, 60),
        ];
        assert_eq!(follow_uses(&mut entries, &used, at(90)), changes);
        assert_eq!(entries[1], entry(2, EntryState::Ordered, Some(90)));
        assert_eq!(follow_uses(&mut entries, &used, at(99)), []);
    }
}
