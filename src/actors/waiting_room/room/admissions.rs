//! Rules of admissions: which customers are admitted to order, and what becomes of an admission.

use std::cmp::Reverse;

use jiff::Timestamp;

use super::{Standing, WaitingRoom, seconds, timestamp};
use crate::actors::waiting_room::error::RoomRefusal;
use crate::actors::waiting_room::model::{EntryChange, EntryState, TicketNumber};
use crate::types::CustomerId;

/// A customer who was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    pub number: TicketNumber,
    pub customer: CustomerId,
    pub expires_at: Timestamp,
}

impl From<Admitted> for EntryChange {
    fn from(admitted: Admitted) -> Self {
        Self {
            number: admitted.number,
            state: EntryState::Admitted,
            admitted_until: Some(admitted.expires_at),
        }
    }
}

impl WaitingRoom {
    /// Admits at most so many customers, strictly in order, each for so many seconds.
    ///
    /// Answers with none before the draw and after the end.
    pub fn admit(&mut self, now: Timestamp, how_many: u32, pass_seconds: u32) -> Vec<Admitted> {
        let Some(opened) = self.opened.filter(|_| self.finished.is_none()) else { return Vec::new() };
        let now = seconds(now);
        let until = now.saturating_add(pass_seconds);
        let end = self.next.saturating_add(how_many as usize).min(self.order.len());
        let mut admitted = Vec::with_capacity(end - self.next);
        for position in self.next..end {
            let Some(number) = self.order.get(position).copied() else { break };
            let Some(entry) = self.entries.get_mut(number.index()) else { break };
            entry.standing = Standing::Kept(EntryState::Admitted);
            entry.until = until;
            admitted.push(Admitted { number, customer: entry.customer, expires_at: timestamp(until) });
            let waited = now.saturating_sub(entry.joined.max(opened));
            self.ends.push(Reverse((until, number)));
            self.remember_wait(waited);
            self.next = position + 1;
            self.counts.waiting -= 1;
            self.counts.admitted += 1;
        }
        admitted
    }

    /// Makes no-shows of the tickets whose admission ended unused by now. `admitted_until` stays as it was, for the audit
    /// of the order in which customers were admitted.
    pub fn lapse(&mut self, now: Timestamp) -> Vec<EntryChange> {
        let now = seconds(now);
        let mut lapsed = Vec::new();
        while let Some(Reverse((until, number))) = self.ends.peek().copied()
            && until <= now
        {
            self.ends.pop();
            if let Some(entry) = self.entries.get_mut(number.index())
                && entry.standing == Standing::Kept(EntryState::Admitted)
            {
                entry.standing = Standing::Kept(EntryState::NoShow);
                self.counts.admitted -= 1;
                self.counts.no_shows += 1;
                lapsed.push(entry.change(number, EntryState::NoShow));
            }
        }
        self.lapsed_to = self.lapsed_to.max(now);
        lapsed
    }

    /// An admission was used for an order. Refuses with `AlreadyUsed`, `NotAdmitted` and `UnknownTicket`.
    ///
    /// Sales decides whether it was valid when the order arrived. The room may be told after it has lapsed; then a no-show
    /// becomes an order.
    pub fn ordered(&mut self, number: TicketNumber) -> Result<EntryChange, RoomRefusal> {
        let entry = self.kept(number)?;
        let before = entry.standing;
        match before {
            Standing::Kept(EntryState::Admitted | EntryState::NoShow) => {}
            Standing::Kept(EntryState::Ordered) => return Err(RoomRefusal::AlreadyUsed(number)),
            _ => return Err(RoomRefusal::NotAdmitted(number)),
        }
        entry.standing = Standing::Kept(EntryState::Ordered);
        let change = entry.change(number, EntryState::Ordered);
        match before {
            Standing::Kept(EntryState::NoShow) => self.counts.no_shows -= 1,
            _ => self.counts.admitted -= 1,
        }
        self.counts.ordered += 1;
        Ok(change)
    }

    /// The order of an admission came to nothing: it may be used again until it ends. If it has ended by now, the next
    /// [`WaitingRoom::lapse`] makes a no-show of it, and its customer may join again.
    ///
    /// Refuses with `NotAdmitted` when it was not used, and with `UnknownTicket`.
    pub fn given_back(&mut self, number: TicketNumber) -> Result<EntryChange, RoomRefusal> {
        let entry = self.kept(number)?;
        if entry.standing != Standing::Kept(EntryState::Ordered) {
            return Err(RoomRefusal::NotAdmitted(number));
        }
        entry.standing = Standing::Kept(EntryState::Admitted);
        let change = entry.change(number, EntryState::Admitted);
        let until = entry.until;
        // Otherwise it is still among the ends, which so have it once however often it is used and given back.
        if until <= self.lapsed_to {
            self.ends.push(Reverse((until, number)));
        }
        self.counts.ordered -= 1;
        self.counts.admitted += 1;
        Ok(change)
    }

    /// The tickets whose admissions are used.
    pub fn ordered_tickets(&self) -> Vec<TicketNumber> {
        let entries = self.entries.iter().enumerate();
        entries
            .filter(|(_, entry)| entry.standing == Standing::Kept(EntryState::Ordered))
            .filter_map(|(index, _)| TicketNumber::at(index))
            .collect()
    }

    #[cfg(test)]
    pub fn next_end(&self) -> Option<Timestamp> {
        self.ends.peek().map(|Reverse((until, _))| timestamp(*until))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::*;
    use super::*;
    use crate::actors::waiting_room::model::TicketState;

    #[test]
    fn an_admission_is_used_once_and_again_only_when_given_back() {
        let mut room = opened();
        let ticket = enter(&mut room, 1, 1);
        assert_eq!(room.ordered(ticket), Err(RoomRefusal::NotAdmitted(ticket)));
        assert_eq!(room.given_back(ticket), Err(RoomRefusal::NotAdmitted(ticket)));
        admit(&mut room, 1, 1);
        let used = EntryChange { number: ticket, state: EntryState::Ordered, admitted_until: Some(at(61)) };
        assert_eq!(room.ordered(ticket), Ok(used));
        assert_eq!(room.ordered(ticket), Err(RoomRefusal::AlreadyUsed(ticket)));
        assert_eq!(place(&room, 1, 1_000), (TicketState::Ordered, 0));
        assert_eq!(room.given_back(ticket), Ok(EntryChange { state: EntryState::Admitted, ..used }));
        assert_eq!(place(&room, 1, 60), (TicketState::Admitted, 0));
        assert!(room.ordered(ticket).is_ok());
        assert_eq!(room.ordered(number(2)), Err(RoomRefusal::UnknownTicket(number(2))));
    }

    #[test]
    fn an_order_told_after_its_admission_lapsed_is_no_no_show() {
        let mut room = opened();
        let ticket = enter(&mut room, 1, 1);
        admit(&mut room, 1, 1);
        assert_eq!(lapse(&mut room, at(61)), [ticket]);
        let used = EntryChange { number: ticket, state: EntryState::Ordered, admitted_until: Some(at(61)) };
        assert_eq!(room.ordered(ticket), Ok(used));
        assert_eq!((room.counts().ordered, room.counts().no_shows, room.counts().admitted), (1, 0, 0));
        assert_eq!(place(&room, 1, 70), (TicketState::Ordered, 0));
        room.given_back(ticket).unwrap();
        assert_eq!(lapse(&mut room, at(61)), [ticket]);
        assert_eq!(room.counts().no_shows, 1);
    }

    #[test]
    fn an_admission_given_back_too_late_lapses_at_once() {
        let mut room = opened();
        let ticket = enter(&mut room, 1, 1);
        admit(&mut room, 1, 1);
        room.ordered(ticket).unwrap();
        assert!(lapse(&mut room, at(100)).is_empty());
        room.given_back(ticket).unwrap();
        assert_eq!(lapse(&mut room, at(100)), [ticket]);
        assert_eq!(enter(&mut room, 1, 101), number(2));
    }

    #[test]
    fn using_and_giving_back_an_admission_a_thousand_times_takes_no_memory() {
        let mut room = opened();
        let ticket = enter(&mut room, 1, 1);
        admit(&mut room, 1, 1);
        for _ in 0..1_000 {
            room.ordered(ticket).unwrap();
            room.given_back(ticket).unwrap();
        }
        assert_eq!(room.ends.len(), 1);
        assert_eq!(room.next_end(), Some(at(61)));
    }
}
