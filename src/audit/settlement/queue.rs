//! Whether those who waited were let in as they stood: as the published draw put them, and behind them by their numbers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::SalePlan;
use crate::actors::sales::{PublishedDraw, TicketNumber};

/// Who waited for a sale, and in which order they were let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    pub states: Vec<QueueState>,
    /// As it was published; nothing: nobody was drawn.
    pub draw: Option<PublishedDraw>,
    /// Those who entered are those whom the draw's digest fixed.
    pub entries_fit: bool,
    /// Everybody as they stood, up to the last one who was let in.
    pub turns: Vec<Turn>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueState {
    pub state: String,
    pub entries: i64,
}

/// Some who stood behind each other and were let in within the same second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// Nothing: nobody let them in, as far as was written down.
    pub admitted_at: Option<Timestamp>,
    /// They ordered with an admission all the same: the engine was killed before it wrote down that they were let in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unwritten: bool,
    pub tickets: Vec<TicketNumber>,
}

/// What was written down of somebody's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LetIn {
    Never,
    /// It was not, though they had an admission.
    Unwritten,
    /// To the second.
    At(Timestamp),
}

/// Findings that are told; somebody who was let in too late would make one of everybody behind.
const TOLD_MAX: usize = 20;

impl Queue {
    /// `entries` are by ascending number.
    pub(super) fn new(
        states: Vec<QueueState>,
        draw: Option<PublishedDraw>,
        entries_fit: bool,
        entries: &[(TicketNumber, LetIn)],
    ) -> Self {
        let turn_of = |number: TicketNumber| {
            let found = entries.binary_search_by_key(&number, |(number, _)| *number);
            found.ok().and_then(|found| entries.get(found)).map_or(LetIn::Never, |(_, turn)| *turn)
        };
        let drawn: &[TicketNumber] = draw.as_ref().map_or(&[], |draw| &draw.order);
        let mut sorted = drawn.to_vec();
        sorted.sort_unstable();
        let tickets = draw.as_ref().map_or(0, |draw| draw.tickets);
        // A number of the draw's that is not in its order is nobody's, unless somebody was let in with it.
        let late = entries.iter().filter(|(number, turn)| {
            sorted.binary_search(number).is_err() && (number.get() > tickets || *turn != LetIn::Never)
        });
        let stood = drawn.iter().map(|number| (*number, turn_of(*number))).chain(late.copied());
        let mut turns: Vec<(LetIn, Vec<TicketNumber>)> = Vec::new();
        for (number, turn) in stood {
            match turns.last_mut() {
                Some((last, tickets)) if *last == turn => tickets.push(number),
                _ => turns.push((turn, vec![number])),
            }
        }
        // They wait in their order still.
        turns.pop_if(|(turn, _)| *turn == LetIn::Never);
        let turns = turns.into_iter().map(|(turn, tickets)| Turn {
            admitted_at: if let LetIn::At(at) = turn { Some(at) } else { None },
            is_unwritten: turn == LetIn::Unwritten,
            tickets,
        });
        let turns = turns.collect();
        Self { states, draw, entries_fit, turns }
    }

    /// What is against the draw and the order of admission, in words; anybody with the report finds the same.
    pub(super) fn findings(&self, sale: &SalePlan) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(draw) = &self.draw {
            if let Err(problem) = draw.verify() {
                found.push(format!("the draw is not fair: {problem}"));
            }
            if draw.sale != sale.id || draw.commitment.to_string() != sale.commitment {
                found
                    .push("the draw is of another sale, or by another seed than was committed to".to_owned());
            }
        }
        if !self.entries_fit {
            found.push("those who entered are not those whom the draw was about".to_owned());
        }
        let mut more = 0_u64;
        self.walk(|finding| match found.len() < TOLD_MAX {
            true => found.push(finding()),
            false => more += 1,
        });
        if more > 0 {
            found.push(format!("{more} more tickets were out of turn"));
        }
        found
    }

    /// Everybody who stood elsewhere than the draw put them, or was let in before somebody in front of them.
    fn walk(&self, mut find: impl FnMut(&dyn Fn() -> String)) {
        let (drawn, mut last): (&[TicketNumber], u32) =
            self.draw.as_ref().map_or((&[], 0), |draw| (&draw.order, draw.tickets));
        let mut places = drawn.iter();
        let mut outside: Option<TicketNumber> = None;
        let mut latest: Option<(TicketNumber, Timestamp)> = None;
        for turn in &self.turns {
            for ticket in turn.tickets.iter().copied() {
                match places.next() {
                    Some(expected) if *expected != ticket => {
                        find(&|| format!("ticket {ticket} stood where ticket {expected} was drawn"));
                    }
                    Some(_) => {}
                    None if self.draw.is_none() => {
                        find(&|| format!("ticket {ticket} stood in a line that was never drawn"));
                    }
                    None if ticket.get() <= last => {
                        find(&|| format!("ticket {ticket} was let in, and was not drawn"));
                    }
                    None => last = ticket.get(),
                }
                if turn.is_unwritten {
                    continue;
                }
                let Some(at) = turn.admitted_at else {
                    outside.get_or_insert(ticket);
                    continue;
                };
                if let Some(outside) = outside {
                    find(&|| {
                        format!("ticket {ticket} was let in, and ticket {outside} in front of it was not")
                    });
                } else if let Some((earlier, before)) = latest.filter(|(_, before)| *before > at) {
                    find(&|| {
                        format!(
                            "ticket {ticket} was let in at {at}, and ticket {earlier} in front of it at {before}"
                        )
                    });
                } else {
                    latest = Some((ticket, at));
                }
            }
        }
    }
}
