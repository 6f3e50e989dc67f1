//! Rules of the draw of a room: which entries it is about, and how it puts them in order.

use super::{Entry, Standing, WaitingRoom, seconds};
use crate::actors::waiting_room::draw::{ClosedEntries, PublishedDraw};
use crate::actors::waiting_room::error::RoomRefusal;
use crate::actors::waiting_room::model::TicketNumber;

impl WaitingRoom {
    /// Ends the time before the opening: customers who join from now on are not drawn.
    ///
    /// Answers with those who are, for a [`ClosedEntries::draw`] on any thread, whose result [`WaitingRoom::drawn`]
    /// takes. Refuses with `EntriesPending` until all of them are written or forgotten: ask again then. Refuses with
    /// `AlreadyDrawn` and `Closed`. A restart before the draw opens the entries again.
    pub fn close_entries(&mut self) -> Result<ClosedEntries, RoomRefusal> {
        if self.opened.is_some() {
            return Err(RoomRefusal::AlreadyDrawn);
        }
        if let Some(finish) = self.finished {
            return Err(RoomRefusal::Closed(finish));
        }
        let drawn_to = *self.drawn_to.get_or_insert(self.entries.len());
        let to_draw = self.entries.get(..drawn_to).unwrap_or_default();
        if self.ordered_to < drawn_to {
            let entries = to_draw.iter().filter(|entry| entry.standing == Standing::Pending).count();
            return Err(RoomRefusal::EntriesPending { entries: u32::try_from(entries).unwrap_or(u32::MAX) });
        }
        let entries = to_draw.iter().enumerate().filter(|(_, entry)| entry.is_kept());
        let entries = entries.filter_map(|(index, entry)| Some((TicketNumber::at(index)?, entry.customer)));
        Ok(ClosedEntries {
            sale: self.sale,
            tickets: u32::try_from(drawn_to).unwrap_or(u32::MAX),
            entries: entries.collect(),
        })
    }

    /// Opens the room with the draw of its closed entries; from now on every ticket has a place.
    ///
    /// Refuses with `AlreadyDrawn`, with `OtherDraw` when the draw has not exactly the closed entries, and with
    /// `EntriesPending`. Whether the order follows from the seed is for [`PublishedDraw::verify`] to say.
    pub fn drawn(&mut self, draw: &PublishedDraw) -> Result<(), RoomRefusal> {
        if self.opened.is_some() {
            return Err(RoomRefusal::AlreadyDrawn);
        }
        let drawn_to = self.drawn_to.ok_or(RoomRefusal::OtherDraw)?;
        if self.ordered_to < drawn_to {
            return Err(RoomRefusal::EntriesPending { entries: self.pending });
        }
        let to_draw = self.entries.get_mut(..drawn_to).unwrap_or_default();
        let kept = to_draw.iter().filter(|entry| entry.is_kept()).count();
        if draw.sale != self.sale || draw.tickets as usize != drawn_to || draw.order.len() != kept {
            return Err(RoomRefusal::OtherDraw);
        }
        let mut is_drawn = vec![false; drawn_to];
        for number in &draw.order {
            let is_kept = to_draw.get(number.index()).is_some_and(Entry::is_kept);
            match is_drawn.get_mut(number.index()) {
                Some(is_drawn) if is_kept && !*is_drawn => *is_drawn = true,
                _ => return Err(RoomRefusal::OtherDraw),
            }
        }
        for (position, number) in (0..).zip(&draw.order) {
            if let Some(entry) = to_draw.get_mut(number.index()) {
                entry.position = position;
            }
        }
        self.order.clone_from(&draw.order);
        self.opened = Some(seconds(draw.drawn_at));
        // Customers who joined since the entries were closed stand behind.
        self.ordered_to = drawn_to;
        self.extend_order();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::*;
    use super::super::{Joined, RoomRefusal, WaitingRoom};
    use super::PublishedDraw;
    use crate::actors::waiting_room::model::{RoomMode, TicketState};
    use crate::types::SaleId;

    #[test]
    fn customers_before_the_opening_are_drawn_and_later_ones_stand_behind() {
        let mut room = queue();
        for who in 1..=20 {
            enter(&mut room, who, -100);
        }
        assert_eq!(place(&room, 20, -1), (TicketState::PreQueue, 0));
        assert!(room.admit(at(-1), 5, 60).is_empty());
        let draw = room.draw(&seed(), at(0)).unwrap();
        assert_eq!(draw.verify(), Ok(()));
        let order: Vec<_> = draw.order.iter().map(|it| it.get()).collect();
        assert_ne!(order, (1..=20).collect::<Vec<_>>());
        enter(&mut room, 21, 1);
        enter(&mut room, 22, 1);
        for (who, ahead) in order.iter().copied().chain([21, 22]).zip(0..) {
            assert_eq!(place(&room, who, 1), (TicketState::Waiting, ahead));
        }
        assert_eq!(admit(&mut room, 1, 3), order[..3]);
        assert_eq!(admit(&mut room, 2, 18), [&order[3..], &[21]].concat());
        assert_eq!(place(&room, 22, 2), (TicketState::Waiting, 0));
        assert_eq!(admit(&mut room, 3, 18), [22]);
        assert!(admit(&mut room, 4, 18).is_empty());
        assert_eq!(room.draw(&seed(), at(5)), Err(RoomRefusal::AlreadyDrawn));
    }

    #[test]
    fn in_a_lottery_no_customer_joins_after_the_draw_and_runners_up_move_up() {
        let mut room = WaitingRoom::new(RoomMode::Lottery, sale(), 100);
        for who in 1..=5 {
            enter(&mut room, who, -100);
        }
        let order: Vec<_> = room.draw(&seed(), at(0)).unwrap().order.iter().map(|it| it.get()).collect();
        assert_eq!(room.join(customer(6), at(1)), Err(RoomRefusal::EntriesClosed));
        assert_eq!(admit(&mut room, 0, 2), order[..2]);
        room.ordered(number(order[0])).unwrap();
        assert_eq!(place(&room, order[2], 59), (TicketState::Waiting, 0));
        assert_eq!(lapse(&mut room, at(60)), [number(order[1])]);
        assert_eq!(admit(&mut room, 60, 1), order[2..3]);
        assert_eq!(room.join(customer(order[1]), at(61)), Err(RoomRefusal::EntriesClosed));
    }

    #[test]
    fn a_number_whose_write_failed_is_a_gap_that_the_draw_lists() {
        let mut room = queue();
        enter(&mut room, 1, -1);
        let Ok(Joined::New(lost)) = room.join(customer(2), at(-1)) else { panic!() };
        enter(&mut room, 3, -1);
        assert!(room.forget(lost.number));
        let unknown = Err(RoomRefusal::UnknownTicket(lost.number));
        assert_eq!(room.position(lost.number, customer(2), at(-1)), unknown);
        assert_eq!(enter(&mut room, 2, -1), number(4), "its customer may join again");
        let draw = room.draw(&seed(), at(0)).unwrap();
        assert_eq!((draw.tickets, &draw.missing[..], draw.order.len()), (4, &[number(2)][..], 3));
        assert_eq!(draw.verify(), Ok(()));
        assert_eq!(admit(&mut room, 0, 9).len(), 3);
    }

    #[test]
    fn the_draw_waits_for_entries_pending_but_not_for_later_ones() {
        let mut room = queue();
        enter(&mut room, 1, -1);
        let Ok(Joined::New(slow)) = room.join(customer(2), at(-1)) else { panic!() };
        assert_eq!(room.draw(&seed(), at(0)), Err(RoomRefusal::EntriesPending { entries: 1 }));
        // Too late to be drawn.
        enter(&mut room, 3, 0);
        let Ok(Joined::New(slower)) = room.join(customer(4), at(0)) else { panic!() };
        room.confirm(slow.number);
        let draw = room.draw(&seed(), at(0)).unwrap();
        assert_eq!(draw.tickets, 2);
        let order = [draw.order[0].get(), draw.order[1].get(), 3];
        assert_eq!(admit(&mut room, 1, 9), order);
        room.confirm(slower.number);
        assert_eq!(admit(&mut room, 1, 9), [4]);
    }

    #[test]
    fn a_last_number_forgotten_while_the_draw_waited_is_not_given_away_again() {
        let mut room = queue();
        enter(&mut room, 1, -1);
        let Ok(Joined::New(lost)) = room.join(customer(2), at(-1)) else { panic!() };
        assert!(room.draw(&seed(), at(0)).is_err());
        room.forget(lost.number);
        assert_eq!(enter(&mut room, 2, 0), number(3));
        let draw = room.draw(&seed(), at(0)).unwrap();
        assert_eq!((draw.tickets, draw.order, draw.missing), (2, vec![number(1)], vec![number(2)]));
        assert_eq!(admit(&mut room, 0, 9), [1, 3]);
    }

    #[test]
    fn a_draw_of_other_entries_does_not_open_the_room() {
        let mut room = queue();
        for who in 1..=3 {
            enter(&mut room, who, -1);
        }
        let right = room.close_entries().unwrap().draw(&seed(), at(0));
        let wrong = |change: &dyn Fn(&mut PublishedDraw)| {
            let mut draw = right.clone();
            change(&mut draw);
            draw
        };
        for draw in [
            wrong(&|it| it.sale = SaleId::generate()),
            wrong(&|it| it.tickets = 4),
            wrong(&|it| it.order.truncate(2)),
            wrong(&|it| it.order[0] = it.order[1]),
            wrong(&|it| it.order[0] = number(4)),
        ] {
            assert_eq!(room.drawn(&draw), Err(RoomRefusal::OtherDraw));
        }
        assert!(!room.is_open());
        assert_eq!(room.drawn(&right), Ok(()));
    }
}
