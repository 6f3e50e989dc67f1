//! Checks that tickets were admitted in their order: the order of the published draw, then the later tickets by number.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::SalePlan;
use crate::actors::waiting_room::{PublishedDraw, TicketNumber};

/// The tickets of a sale, and the order in which they were admitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    pub states: Vec<QueueState>,
    /// The draw as it was published; `None` when there was none.
    pub draw: Option<PublishedDraw>,
    /// The entries match the digest that the draw published.
    pub entries_fit: bool,
    /// The tickets in their order, up to the last one that was admitted.
    pub turns: Vec<AdmissionGroup>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueState {
    pub state: String,
    pub entries: i64,
}

/// Consecutive tickets that were admitted within the same second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmissionGroup {
    /// `None` when no admission was recorded.
    pub admitted_at: Option<Timestamp>,
    /// They ordered with an admission although none was recorded: the engine was killed before it recorded the
    /// admission.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unwritten: bool,
    pub tickets: Vec<TicketNumber>,
}

/// What is recorded of a ticket's admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum AdmissionRecord {
    Never,
    /// Not recorded, although the ticket had an admission.
    NotRecorded,
    /// Truncated to the second.
    At(Timestamp),
}

/// The most findings listed: one ticket that was admitted too late makes a finding of every ticket behind it.
const FINDINGS_MAX: usize = 20;

impl Queue {
    /// `entries` must be sorted by number.
    pub(super) fn new(
        states: Vec<QueueState>,
        draw: Option<PublishedDraw>,
        entries_fit: bool,
        entries: &[(TicketNumber, AdmissionRecord)],
    ) -> Self {
        let admission_of = |number: TicketNumber| {
            let found = entries.binary_search_by_key(&number, |(number, _)| *number);
            found
                .ok()
                .and_then(|found| entries.get(found))
                .map_or(AdmissionRecord::Never, |(_, admission)| *admission)
        };
        let drawn: &[TicketNumber] = draw.as_ref().map_or(&[], |draw| &draw.order);
        let mut sorted = drawn.to_vec();
        sorted.sort_unstable();
        let tickets = draw.as_ref().map_or(0, |draw| draw.tickets);
        // A number of the draw that is missing from its order belongs to no ticket, unless it was admitted.
        let late = entries.iter().filter(|(number, admission)| {
            sorted.binary_search(number).is_err()
                && (number.get() > tickets || *admission != AdmissionRecord::Never)
        });
        let in_order = drawn.iter().map(|number| (*number, admission_of(*number))).chain(late.copied());
        let mut groups: Vec<(AdmissionRecord, Vec<TicketNumber>)> = Vec::new();
        for (number, admission) in in_order {
            match groups.last_mut() {
                Some((last, tickets)) if *last == admission => tickets.push(number),
                _ => groups.push((admission, vec![number])),
            }
        }
        // The tickets behind the last admitted one are still waiting.
        groups.pop_if(|(admission, _)| *admission == AdmissionRecord::Never);
        let turns = groups.into_iter().map(|(admission, tickets)| AdmissionGroup {
            admitted_at: if let AdmissionRecord::At(at) = admission { Some(at) } else { None },
            is_unwritten: admission == AdmissionRecord::NotRecorded,
            tickets,
        });
        let turns = turns.collect();
        Self { states, draw, entries_fit, turns }
    }

    /// Contradictions in the draw and in the order of admission, in words; everyone who verifies the report finds the
    /// same.
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
        self.find_out_of_turn(|finding| match found.len() < FINDINGS_MAX {
            true => found.push(finding()),
            false => more += 1,
        });
        if more > 0 {
            found.push(format!("{more} more tickets were out of turn"));
        }
        found
    }

    /// Finds every ticket in another place than the draw gave it, and every ticket admitted before one in front of it.
    fn find_out_of_turn(&self, mut find: impl FnMut(&dyn Fn() -> String)) {
        let (drawn, mut last): (&[TicketNumber], u32) =
            self.draw.as_ref().map_or((&[], 0), |draw| (&draw.order, draw.tickets));
        let mut positions = drawn.iter();
        let mut not_admitted: Option<TicketNumber> = None;
        let mut latest: Option<(TicketNumber, Timestamp)> = None;
        for group in &self.turns {
            for ticket in group.tickets.iter().copied() {
                match positions.next() {
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
                if group.is_unwritten {
                    continue;
                }
                let Some(at) = group.admitted_at else {
                    not_admitted.get_or_insert(ticket);
                    continue;
                };
                if let Some(waiting) = not_admitted {
                    find(&|| {
                        format!("ticket {ticket} was let in, and ticket {waiting} in front of it was not")
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
