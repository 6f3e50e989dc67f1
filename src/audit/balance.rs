//! What must be true of every SKU of an open sale, decided about one cut through all that is known of it.
//!
//! ```text
//! part          allotment = sold + held + returned + remaining       sold, held: reservations; remaining: stock
//! ledger        stock = sum of movements, one for each version
//! actor         the actor's figures = the ledger's, at the actor's version
//! orders        pieces ordered + on their way = sold + held
//! ```

use std::time::Duration;

use jiff::Timestamp;

use super::claims::Finding;
use crate::actors::inventory::{Allotment, Figures, Stock};
use crate::types::{SaleId, Sku};

pub(super) const PART_ADDS_UP: &str = "allotment = sold + held + returned + remaining";
pub(super) const LEDGER_EXPLAINS: &str = "stock = sum of movements, without a gap";
pub(super) const ACTOR_AGREES: &str = "the actor's figures = the ledger's";
pub(super) const ORDERS_AGREE: &str = "pieces ordered = sold + held";

/// How an open sale stood when it was looked at last.
#[derive(Debug, Clone, PartialEq)]
pub struct Light {
    pub is_green: bool,
    /// Pieces that the sale got, over all SKUs.
    pub allotment: i64,
    /// Sold + held + returned + remaining; equals the allotment.
    pub accounted: i64,
    /// Sold + held, as the reservations say.
    pub promised: i64,
    /// Pieces of live orders, as the orders say; with those on their way they equal `promised`.
    pub ordered: i64,
    /// Pieces that are held for an order that is being placed, or that has just ended; negative where an order was paid so
    /// late that its pieces are being taken anew.
    pub on_the_way: i64,
    pub checked_at: Timestamp,
    /// SKU by SKU.
    pub parts: Vec<Part>,
    /// What does not hold; the subject is the SKU.
    pub breaches: Vec<Finding>,
}

/// How old a look may be that still says something; a large sale is looked at every few seconds.
const FRESH_FOR: Duration = Duration::from_secs(15);

impl Light {
    /// Whether it was looked at lately: a light that nobody tends is not green.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.checked_at.checked_add(FRESH_FOR).is_ok_and(|until| now < until)
    }
}

/// The pieces of one SKU of a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub sku: Sku,
    pub allotment: i64,
    pub sold: i64,
    pub held: i64,
    pub returned: i64,
    pub remaining: i64,
    pub ordered: i64,
    pub on_the_way: i64,
}

impl Part {
    const fn accounted(&self) -> i64 {
        self.sold + self.held + self.returned + self.remaining
    }
}

/// The sums of a SKU's movements up to a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ledger {
    pub stock: Stock,
    pub movements: i64,
}

impl Ledger {
    pub fn plus(mut self, newer: &Self) -> Self {
        self.stock.on_hand += newer.stock.on_hand;
        self.stock.reserved += newer.stock.reserved;
        self.stock.allotted += newer.stock.allotted;
        self.stock.version = self.stock.version.max(newer.stock.version);
        self.movements += newer.movements;
        self
    }

    /// Without what came after a version.
    pub fn minus(mut self, newer: &Self, version: i64) -> Self {
        self.stock.on_hand -= newer.stock.on_hand;
        self.stock.reserved -= newer.stock.reserved;
        self.stock.allotted -= newer.stock.allotted;
        self.stock.version = version;
        self.movements -= newer.movements;
        self
    }
}

/// Pieces of one SKU of a sale as orders know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ordered {
    /// In live orders.
    pub live: i64,
    /// Held for an order that is not there yet.
    pub coming: i64,
    /// Held or sold for an order that has just ended.
    pub leaving: i64,
    /// Of an order that was paid or is about to lapse, whose hold has lapsed already.
    pub behind: i64,
}

impl Ordered {
    pub const fn on_the_way(&self) -> i64 {
        self.coming + self.leaving - self.behind
    }
}

/// One SKU of a sale, everything at one moment.
#[derive(Debug, Clone)]
pub(super) struct Cut {
    pub sale: SaleId,
    pub sku: Sku,
    /// What the sale's row says.
    pub part: Option<Allotment>,
    /// What the reservations say.
    pub held: i64,
    pub sold: i64,
    pub stock: Option<Stock>,
    pub ledger: Ledger,
    pub ordered: Ordered,
}

impl Cut {
    pub fn part(&self) -> Part {
        let row = self.part;
        // A SKU is in one open sale at a time, so what its stock has set apart is this sale's.
        let is_open = row.is_some_and(|part| !part.is_closed);
        let remaining = self.stock.filter(|_| is_open).map_or(0, |stock| stock.allotted);
        Part {
            sku: self.sku.clone(),
            allotment: row.map_or(0, |part| part.allotment),
            sold: self.sold,
            held: self.held,
            returned: row.map_or(0, |part| part.returned),
            remaining,
            ordered: self.ordered.live,
            on_the_way: self.ordered.on_the_way(),
        }
    }

    fn against(&self, claim: &'static str, finding: String) -> Finding {
        Finding { claim, subject: self.sku.to_string(), finding }
    }

    /// What one moment of the database is enough to know.
    pub fn findings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let part = self.part();
        match self.part {
            None => found.push(self.against(PART_ADDS_UP, "the sale has no part of it".to_owned())),
            // A sale that is watched is not over, and has yet to give it back.
            Some(row) if row.is_closed => {
                found.push(self.against(PART_ADDS_UP, "the sale's part of it was given back".to_owned()));
            }
            Some(row) => {
                if part.accounted() != part.allotment || (row.held, row.sold) != (self.held, self.sold) {
                    found.push(self.against(
                        PART_ADDS_UP,
                        format!(
                            "allotment {}; sold {} + held {} + returned {} + remaining {} = {}; the sale's row says sold {}, \
                             held {}",
                            part.allotment,
                            part.sold,
                            part.held,
                            part.returned,
                            part.remaining,
                            part.accounted(),
                            row.sold,
                            row.held,
                        ),
                    ));
                }
            }
        }
        match self.stock {
            None => found.push(self.against(LEDGER_EXPLAINS, "it is not in stock".to_owned())),
            Some(stock) if stock != self.ledger.stock || self.ledger.movements != stock.version => {
                found.push(self.against(
                    LEDGER_EXPLAINS,
                    format!(
                        "{}; {} movements say {}",
                        in_words(&stock),
                        self.ledger.movements,
                        in_words(&self.ledger.stock)
                    ),
                ));
            }
            Some(_) => {}
        }
        found
    }

    /// Whether the orders agree. Two writers make them agree, so it counts only when it is so for two rounds.
    pub fn findings_in_orders(&self) -> Option<Finding> {
        let promised = self.sold + self.held;
        let Ordered { live, coming, leaving, behind } = self.ordered;
        (live + self.ordered.on_the_way() != promised).then(|| {
            self.against(
                ORDERS_AGREE,
                format!(
                    "sold and held {promised}; live orders have {live}, and {coming} are held for orders that are coming, \
                     {leaving} for orders that have ended, {behind} are yet to be taken"
                ),
            )
        })
    }

    /// Whether the actor agrees with the row, or with what the ledger says at the version that the actor has.
    pub fn findings_in_actor(&self, actor: &Figures, ledger_then: &Ledger) -> Option<Finding> {
        let version = actor.stock.version;
        if actor.stock != ledger_then.stock || ledger_then.movements != version {
            let (has, says) = (in_words(&actor.stock), in_words(&ledger_then.stock));
            return Some(
                self.against(ACTOR_AGREES, format!("the actor has {has}; the ledger says {says} by then")),
            );
        }
        // Only at the same version is it known what the sale's row was.
        let is_now = self.stock.is_some_and(|stock| stock.version == version);
        let open = self.part.filter(|part| !part.is_closed);
        (is_now && actor.allotment != open).then(|| {
            self.against(
                ACTOR_AGREES,
                format!(
                    "the actor has {}; the row says {}",
                    part_in_words(&actor.allotment),
                    part_in_words(&open)
                ),
            )
        })
    }
}

fn in_words(stock: &Stock) -> String {
    let Stock { on_hand, reserved, allotted, version } = stock;
    format!("on hand {on_hand}, reserved {reserved}, allotted {allotted} at version {version}")
}

fn part_in_words(part: &Option<Allotment>) -> String {
    match part {
        Some(Allotment { sale, allotment, held, sold, returned, .. }) => {
            format!("allotment {allotment}, sold {sold}, held {held}, returned {returned} for sale {sale}")
        }
        None => "no part of a sale".to_owned(),
    }
}

/// The light of one sale.
pub(super) fn light(cuts: &[&Cut], breaches: Vec<Finding>, checked_at: Timestamp) -> Light {
    let parts: Vec<Part> = cuts.iter().map(|cut| cut.part()).collect();
    let sum = |figure: fn(&Part) -> i64| parts.iter().map(figure).sum();
    Light {
        is_green: breaches.is_empty(),
        allotment: sum(|part| part.allotment),
        accounted: sum(Part::accounted),
        promised: sum(|part| part.sold + part.held),
        ordered: sum(|part| part.ordered),
        on_the_way: sum(|part| part.on_the_way),
        checked_at,
        parts,
        breaches,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut() -> Cut {
        let sale = SaleId::generate();
        let stock = Stock { on_hand: 17, reserved: 2, allotted: 3, version: 9 };
        Cut {
            sale,
            sku: "LAMP".parse().unwrap(),
            part: Some(Allotment { held: 2, sold: 3, returned: 2, ..Allotment::of(sale, 10) }),
            held: 2,
            sold: 3,
            stock: Some(stock),
            ledger: Ledger { stock, movements: 9 },
            ordered: Ordered { live: 4, coming: 2, leaving: 0, behind: 1 },
        }
    }

    fn claims(change: impl FnOnce(&mut Cut)) -> Vec<&'static str> {
        let mut cut = cut();
        change(&mut cut);
        cut.findings().into_iter().chain(cut.findings_in_orders()).map(|finding| finding.claim).collect()
    }

    #[test]
    fn what_adds_up_is_green() {
        assert_eq!(claims(|_| {}), [] as [&str; 0]);
        let cut = cut();
        let light = light(&[&cut], Vec::new(), Timestamp::UNIX_EPOCH);
        assert!(light.is_green);
        assert_eq!((light.allotment, light.accounted), (10, 10));
        assert_eq!((light.promised, light.ordered, light.on_the_way), (5, 4, 1));
    }

    #[test]
    fn every_figure_that_is_wrong_is_found() {
        assert_eq!(claims(|cut| cut.part = None), [PART_ADDS_UP]);
        assert_eq!(claims(|cut| cut.held = 1), [PART_ADDS_UP, ORDERS_AGREE]);
        assert_eq!(claims(|cut| cut.sold = 4), [PART_ADDS_UP, ORDERS_AGREE]);
        // One more sold and one less held make the sum, and are not so all the same.
        assert_eq!(claims(|cut| (cut.sold, cut.held) = (4, 1)), [PART_ADDS_UP]);
        assert_eq!(claims(|cut| cut.stock = None), [PART_ADDS_UP, LEDGER_EXPLAINS]);
        assert_eq!(claims(|cut| cut.ledger.stock.reserved = 1), [LEDGER_EXPLAINS]);
        assert_eq!(claims(|cut| cut.ledger.movements = 8), [LEDGER_EXPLAINS]);
        assert_eq!(claims(|cut| cut.ordered.live = 5), [ORDERS_AGREE]);
    }

    #[test]
    fn the_actor_is_held_to_the_ledger_at_its_own_version() {
        let cut = cut();
        let (stock, allotment) = (cut.stock.unwrap(), cut.part);
        let now = Figures { stock, allotment };
        assert_eq!(cut.findings_in_actor(&now, &cut.ledger), None);

        let newer =
            Ledger { stock: Stock { on_hand: -2, reserved: -2, allotted: 0, version: 10 }, movements: 1 };
        let later = cut.ledger.plus(&newer);
        let ahead = Figures { stock: later.stock, allotment: None };
        assert_eq!(cut.findings_in_actor(&ahead, &later), None);
        assert_eq!(later.minus(&newer, 9), cut.ledger);

        let wrong = Figures { stock: Stock { reserved: 1, ..stock }, allotment };
        assert_eq!(cut.findings_in_actor(&wrong, &cut.ledger).unwrap().claim, ACTOR_AGREES);
        let other_part = Figures { stock, allotment: None };
        assert!(
            cut.findings_in_actor(&other_part, &cut.ledger).unwrap().finding.contains("no part of a sale")
        );
    }
}
