//! The audit of a scenario's sale: exactly its pieces are sold, no customer is above the limit, tickets are admitted in
//! their order, and every refusal of a broken rule is explained.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use uuid::Uuid;

use super::attempts::{Attempt, Cancelled, Reply};
use super::audit::{AT_ONCE, Auditor, FindingLog, ThreadRecord};
use super::client::Client;
use super::result::{FindingKind, SaleAudit, SkuBalance};
use super::sale_plan::SalePlan;
use super::shop::{self, Payment, PlaceAnswer};
use super::waiting_crowd::{CrowdResult, QueuePlace};
use crate::cli::sale::drawn_order;

/// The pause before a failed request is repeated.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// The sale at the end of a run.
pub(super) struct SaleEnded<'a> {
    pub id: Uuid,
    /// As it was published before the first customer joined.
    pub commitment: String,
    pub plan: &'a SalePlan,
    /// When it was armed, in milliseconds from the start: later orders belong to it.
    pub armed_at_ms: u32,
    /// The places and offences of each thread's customers.
    pub left: Vec<CrowdResult>,
}

/// A ticket according to its last answer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ticket {
    number: u32,
    is_admitted: bool,
    admitted_until: Option<jiff::Timestamp>,
}

impl Ticket {
    fn of(place: &QueuePlace) -> Self {
        let is_admitted =
            place.admitted_until.is_some() || matches!(&*place.state, "admitted" | "ordered" | "no_show");
        Self { number: place.number, is_admitted, admitted_until: place.admitted_until }
    }
}

impl SaleEnded<'_> {
    /// Polls the place of every ticket for the last time.
    pub(super) async fn update_places(&mut self, client: &Client, within: Duration) -> anyhow::Result<()> {
        let id = self.id;
        let places = self.left.iter_mut().flat_map(|left| left.places.iter_mut().flatten());
        let mut asked = stream::iter(places)
            .map(|place| async move {
                let give_up = Instant::now() + within;
                loop {
                    let shown: anyhow::Result<PlaceAnswer> =
                        shop::ask(client, shop::get_place(id, place.ticket.clone())).await;
                    match shown {
                        Ok(shown) => {
                            place.update(shown);
                            break Ok(());
                        }
                        Err(error) if Instant::now() >= give_up => break Err(error),
                        Err(_) => tokio::time::sleep(RETRY_AFTER).await,
                    }
                }
            })
            .buffer_unordered(AT_ONCE);
        while let Some(asked) = asked.next().await {
            asked?;
        }
        Ok(())
    }

    fn tickets(&self) -> Vec<Ticket> {
        let places = self.left.iter().flat_map(|left| left.places.iter().flatten());
        places.map(Ticket::of).collect()
    }

    fn was_told_sold_out(&self) -> bool {
        let mut places = self.left.iter().flat_map(|left| left.places.iter().flatten());
        places.any(|place| place.state == "sold_out")
    }
}

/// The first ticket that was admitted out of turn: the drawn ones come in their order, then the others by number.
fn out_of_turn(drawn: &[u32], tickets: &[Ticket]) -> Option<String> {
    let by_number: HashMap<u32, &Ticket> = tickets.iter().map(|ticket| (ticket.number, ticket)).collect();
    let are_drawn: BTreeSet<u32> = drawn.iter().copied().collect();
    let mut late: Vec<u32> =
        tickets.iter().map(|ticket| ticket.number).filter(|number| !are_drawn.contains(number)).collect();
    late.sort_unstable();
    let mut first_outside = None;
    let mut last: Option<(u32, jiff::Timestamp)> = None;
    for ticket in drawn.iter().chain(&late).filter_map(|number| by_number.get(number)) {
        let number = ticket.number;
        match (ticket.is_admitted, first_outside) {
            (false, None) => first_outside = Some(number),
            (true, Some(outside)) => {
                return Some(format!(
                    "ticket {number} was let in, and ticket {outside} in front of it was not"
                ));
            }
            _ => {}
        }
        if let Some(until) = ticket.admitted_until {
            if let Some((earlier, later_until)) = last.filter(|(_, before)| *before > until) {
                return Some(format!(
                    "ticket {number} was let in until {until}, and ticket {earlier} in front of it until {later_until}"
                ));
            }
            last = Some((number, until));
        }
    }
    None
}

/// Whose pieces are counted: those of an account, or of the shared card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Buyer {
    Account { thread: usize, customer: u32 },
    SharedCard,
}

impl fmt::Display for Buyer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Buyer::Account { thread, customer } => {
                write!(formatter, "customer {customer} of thread {thread}")
            }
            Buyer::SharedCard => formatter.write_str("the shared card"),
        }
    }
}

/// Pieces of the sale by buyer, and by SKU those that were sold and returned.
#[derive(Debug, Default)]
struct Purchases {
    by: BTreeMap<Buyer, i64>,
    sold: Vec<i64>,
    returned: Vec<i64>,
    /// Whether a customer was refused because a SKU is sold out.
    told_sold_out: Vec<bool>,
}

impl Purchases {
    fn new(skus: usize) -> Self {
        let nothing = vec![0; skus];
        Self {
            by: BTreeMap::new(),
            sold: nothing.clone(),
            returned: nothing,
            told_sold_out: vec![false; skus],
        }
    }

    fn count(&mut self, thread: usize, attempt: &Attempt, pieces: i64) {
        let sku = usize::from(attempt.sku);
        match attempt.reply {
            Reply::SoldOut => self.told_sold_out[sku] = true,
            Reply::Accepted if attempt.cancelled == Cancelled::No => {
                self.sold[sku] += pieces;
                *self.by.entry(Buyer::Account { thread, customer: attempt.customer }).or_default() += pieces;
                if attempt.payment == Payment::SharedCard {
                    *self.by.entry(Buyer::SharedCard).or_default() += pieces;
                }
            }
            Reply::Accepted => self.returned[sku] += pieces,
            _ => {}
        }
    }

    /// Finds too many pieces, and too few although a customer was told that the SKU is sold out.
    fn judge(&self, plan: &SalePlan, skus: &[SkuBalance], everything_is_sold: bool, seen: &mut FindingLog) {
        for (index, SkuBalance { sku, .. }) in skus.iter().enumerate() {
            let (sold, returned) = (self.sold[index], self.returned[index]);
            let beyond = sold - plan.allotment;
            if beyond > 0 {
                seen.see_many(FindingKind::Oversold, beyond, || {
                    format!("{sku}: {sold} pieces were sold in the sale, which had {}", plan.allotment)
                });
            } else if (self.told_sold_out[index] || everything_is_sold) && -beyond > returned {
                seen.see_many(FindingKind::Undersold, -beyond, || {
                    format!(
                        "{sku}: {sold} of {} pieces were sold, and the sale was called sold out",
                        plan.allotment
                    )
                });
            }
        }
        for (buyer, pieces) in self.by.iter().filter(|(_, pieces)| **pieces > plan.limit) {
            seen.see(FindingKind::AboveLimit, || {
                format!("{buyer} has {pieces} pieces, and the limit is {}", plan.limit)
            });
        }
    }
}

impl Auditor<'_> {
    /// Compares the answers of the customers in a sale with its promises.
    pub(super) async fn judge_sale(
        &self,
        sale: &SaleEnded<'_>,
        parts: &[ThreadRecord],
        skus: &[SkuBalance],
        seen: &mut FindingLog,
    ) -> anyhow::Result<SaleAudit> {
        let mut bought = Purchases::new(skus.len());
        for part in parts {
            let in_sale = part.attempts.iter().filter(|(_, attempt)| attempt.asked_at_ms >= sale.armed_at_ms);
            in_sale.for_each(|(_, attempt)| bought.count(part.thread, attempt, self.quantity));
        }
        bought.judge(sale.plan, skus, sale.was_told_sold_out(), seen);
        let tickets = sale.tickets();
        let mut drawn = Vec::new();
        if sale.plan.has_queue() {
            let draw: Box<serde_json::value::RawValue> =
                self.insist(|| shop::get(&format!("/v1/sales/{}/draw", sale.id), None)).await?;
            match drawn_order(draw.get(), &sale.commitment) {
                Ok(order) => drawn = order,
                Err(problem) => seen.see(FindingKind::OutOfTurn, || problem),
            }
            if let Some(problem) = out_of_turn(&drawn, &tickets) {
                seen.see(FindingKind::OutOfTurn, || problem);
            }
        }
        let (offences, explained) = self.find_unexplained(sale, parts, seen).await?;
        Ok(SaleAudit {
            id: sale.id,
            allotment: sale.plan.allotment * i64::try_from(skus.len())?,
            sold: bought.sold.iter().sum(),
            limit: sale.plan.limit,
            most_of_one: bought.by.values().copied().max().unwrap_or(0),
            tickets: tickets.len() as u64,
            drawn: drawn.len() as u64,
            admitted: tickets.iter().filter(|ticket| ticket.is_admitted).count() as u64,
            offences,
            explained,
        })
    }

    /// Asks the shop to explain the refusal of every broken rule; answers with the number of refusals and of explained
    /// ones.
    async fn find_unexplained(
        &self,
        sale: &SaleEnded<'_>,
        parts: &[ThreadRecord],
        seen: &mut FindingLog,
    ) -> anyhow::Result<(u64, u64)> {
        // The codes of refusals by customer.
        let mut offenders: BTreeMap<(usize, usize), BTreeSet<&str>> = BTreeMap::new();
        for (part, left) in sale.left.iter().enumerate() {
            for offence in &left.offences {
                offenders.entry((part, offence.customer)).or_default().insert(&offence.gate);
            }
        }
        let mut asked = stream::iter(&offenders)
            .map(|((part, customer), gates)| async move {
                let bearer = &parts[*part].sessions[*customer].bearer;
                self.unexplained(sale.id, bearer, gates).await
            })
            .buffer_unordered(AT_ONCE);
        let all: usize = offenders.values().map(BTreeSet::len).sum();
        let mut unexplained = 0;
        while let Some(found) = asked.next().await {
            for problem in found? {
                unexplained += 1;
                seen.see(FindingKind::Unexplained, || problem);
            }
        }
        Ok((all as u64, (all - unexplained) as u64))
    }

    /// The refusals of a customer that the shop does not explain; it records them with a delay.
    async fn unexplained(
        &self,
        sale: Uuid,
        bearer: &shop::Bearer,
        gates: &BTreeSet<&str>,
    ) -> anyhow::Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Me {
            id: Uuid,
        }
        #[derive(Deserialize)]
        struct Why {
            items: Vec<Decision>,
        }
        #[derive(Deserialize)]
        struct Decision {
            part: String,
            what: String,
        }

        let Me { id } = self.insist(|| shop::get("/v1/users/me", Some(bearer))).await?;
        let path = format!("/v1/admin/sales/{sale}/why?customer={id}");
        let give_up = Instant::now() + self.settle_within;
        loop {
            let Why { items } = self.insist(|| shop::get(&path, Some(&self.staff.borrow()))).await?;
            let says = |gate: &str| {
                let name = format!(" by {gate},");
                items.iter().any(|decision| decision.part == "gate" && decision.what.contains(&name))
            };
            let missing: Vec<&&str> = gates.iter().filter(|gate| !says(gate)).collect();
            if missing.is_empty() || Instant::now() >= give_up {
                let problem = |gate: &&&str| {
                    format!("customer {id} was refused by {gate}, and the shop does not explain it")
                };
                return Ok(missing.iter().map(problem).collect());
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(number: u32, until: Option<i64>) -> Ticket {
        let until = until.map(|second| jiff::Timestamp::from_second(1_800_000_000 + second).unwrap());
        Ticket { number, is_admitted: until.is_some(), admitted_until: until }
    }

    #[test]
    fn the_first_ticket_admitted_out_of_turn_is_found() {
        let drawn = [3, 1, 2];
        let fair = [
            ticket(1, Some(1)),
            ticket(2, Some(2)),
            ticket(3, Some(1)),
            // Came late.
            ticket(4, Some(2)),
            ticket(5, None),
        ];
        assert_eq!(out_of_turn(&drawn, &fair), None);
        let mut skipped = fair.clone();
        skipped[0] = ticket(1, None);
        let problem = out_of_turn(&drawn, &skipped).unwrap();
        assert!(
            problem.contains("ticket 2 was let in") && problem.contains("ticket 1 in front"),
            "{problem}"
        );
        let mut hurried = fair.clone();
        hurried[1] = ticket(2, Some(0));
        assert!(out_of_turn(&drawn, &hurried).unwrap().contains("ticket 1 in front of it until"));
        let mut late_first = fair;
        late_first[2] = ticket(3, None);
        assert!(out_of_turn(&drawn, &late_first).is_some());
    }

    fn attempt(customer: u32, reply: Reply, payment: Payment) -> Attempt {
        Attempt {
            order: Uuid::nil(),
            fingerprint: 0,
            customer,
            sku: 0,
            was_unclear: false,
            payment,
            asked_at_ms: 0,
            cancelled_at_ms: 0,
            reply,
            cancelled: Cancelled::No,
        }
    }

    #[test]
    fn more_or_fewer_pieces_than_there_were_and_more_than_the_limit_are_found() {
        let plan = SalePlan {
            armed: String::new(),
            opens: String::new(),
            paused: None,
            allotment: 3,
            price: 100,
            limit: 2,
            admission: super::super::sale_plan::Admission::None,
            per_second: None,
            poll_ms: None,
        };
        let sku = SkuBalance {
            sku: "LAMP".to_owned(),
            start: 0,
            accepted: 0,
            cancelled: 0,
            available: 0,
            quantity: 1,
            refused: 0,
            balance: 0,
        };
        let found = |attempts: &[Attempt]| {
            let (mut bought, mut seen) = (Purchases::new(1), FindingLog::default());
            attempts.iter().for_each(|attempt| bought.count(0, attempt, 1));
            bought.judge(&plan, std::slice::from_ref(&sku), false, &mut seen);
            seen.into_findings().into_iter().map(|finding| finding.kind).collect::<Vec<_>>()
        };
        let buys = |customer| attempt(customer, Reply::Accepted, Payment::Card);
        let shares = |customer| attempt(customer, Reply::Accepted, Payment::SharedCard);
        let sold_out = attempt(9, Reply::SoldOut, Payment::Card);
        assert_eq!(found(&[buys(1), buys(1), buys(2), sold_out]), []);
        assert_eq!(found(&[buys(1), buys(2)]), [], "no customer was told that the SKU is sold out");
        assert_eq!(found(&[buys(1), buys(2), buys(3), buys(4)]), [FindingKind::Oversold]);
        assert_eq!(found(&[buys(1), buys(2), sold_out]), [FindingKind::Undersold]);
        assert_eq!(found(&[buys(1), buys(1), buys(1)]), [FindingKind::AboveLimit]);
        assert_eq!(found(&[shares(1), shares(2), shares(3)]), [FindingKind::AboveLimit]);
    }
}
