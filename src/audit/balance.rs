//! What must be true of every SKU of an open sale, decided on one snapshot of everything that is known about it.
//!
//! ```text
//! allotment     allotment = sold + held + returned + remaining   sold, held: reservations; remaining: stock
//! ledger        stock = sum of movements, one for each version
//! actor         the actor's figures = the ledger's, at the actor's version
//! orders        pieces ordered + in progress = sold + held
//! ```

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::claims::{Claim, Finding};
use crate::actors::inventory::{Allotment, Figures, Stock};
use crate::types::{SaleId, Sku};

/// The result of the last audit of an open sale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditStatus {
    /// Nothing was found; status pages show it as a green light.
    pub is_green: bool,
    /// Pieces allotted to the sale, over all SKUs.
    pub allotment: i64,
    /// Sold + held + returned + remaining; equals the allotment.
    pub accounted: i64,
    /// Sold + held, according to the reservations.
    pub promised: i64,
    /// Pieces of live orders, according to the orders; together with those in progress they equal `promised`.
    pub ordered: i64,
    /// Pieces that are held for an order that is being placed, or that has just ended; negative where an order was paid
    /// so late that its pieces are being reserved again.
    pub on_the_way: i64,
    pub checked_at: Timestamp,
    /// By SKU.
    pub skus: Vec<SkuBalance>,
    /// The claims that do not hold; the subject is the SKU.
    pub breaches: Vec<Finding>,
}

/// How long a status stays meaningful: a large sale is audited every few seconds only.
const FRESH_FOR: Duration = Duration::from_secs(15);

impl AuditStatus {
    /// Whether the sale was audited recently: a status that is not renewed says nothing about the present.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.checked_at.checked_add(FRESH_FOR).is_ok_and(|until| now < until)
    }

    pub(super) fn of(snapshots: &[&SkuSnapshot], breaches: Vec<Finding>, checked_at: Timestamp) -> Self {
        let skus: Vec<SkuBalance> = snapshots.iter().map(|snapshot| snapshot.balance()).collect();
        let sum = |figure: fn(&SkuBalance) -> i64| skus.iter().map(figure).sum();
        Self {
            is_green: breaches.is_empty(),
            allotment: sum(|sku| sku.allotment),
            accounted: sum(SkuBalance::accounted),
            promised: sum(|sku| sku.sold + sku.held),
            ordered: sum(|sku| sku.ordered),
            on_the_way: sum(|sku| sku.on_the_way),
            checked_at,
            skus,
            breaches,
        }
    }
}

/// The pieces of one SKU of a sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkuBalance {
    pub sku: Sku,
    pub allotment: i64,
    pub sold: i64,
    pub held: i64,
    pub returned: i64,
    pub remaining: i64,
    pub ordered: i64,
    pub on_the_way: i64,
}

impl SkuBalance {
    const fn accounted(&self) -> i64 {
        self.sold + self.held + self.returned + self.remaining
    }
}

/// The sums of a SKU's movements up to a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct LedgerSums {
    pub stock: Stock,
    pub movements: i64,
}

impl LedgerSums {
    pub fn plus(mut self, newer: &Self) -> Self {
        self.stock.on_hand += newer.stock.on_hand;
        self.stock.reserved += newer.stock.reserved;
        self.stock.allotted += newer.stock.allotted;
        self.stock.version = self.stock.version.max(newer.stock.version);
        self.movements += newer.movements;
        self
    }

    /// Without the movements after `version`, which add up to `newer`.
    pub fn minus(mut self, newer: &Self, version: i64) -> Self {
        self.stock.on_hand -= newer.stock.on_hand;
        self.stock.reserved -= newer.stock.reserved;
        self.stock.allotted -= newer.stock.allotted;
        self.stock.version = version;
        self.movements -= newer.movements;
        self
    }
}

/// Pieces of one SKU of a sale according to the orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct OrderedPieces {
    /// In live orders.
    pub live: i64,
    /// Held for an order whose row does not exist yet.
    pub coming: i64,
    /// Held or sold for an order that has just ended.
    pub leaving: i64,
    /// Of an order that was paid or is about to lapse, whose hold has lapsed already.
    pub behind: i64,
}

impl OrderedPieces {
    pub const fn on_the_way(&self) -> i64 {
        self.coming + self.leaving - self.behind
    }
}

/// One SKU of a sale, all figures of one moment.
#[derive(Debug, Clone)]
pub(super) struct SkuSnapshot {
    pub sale: SaleId,
    pub sku: Sku,
    /// The row of the allotment; `None` when it is missing.
    pub allotment: Option<Allotment>,
    /// Sums of the reservations.
    pub held: i64,
    pub sold: i64,
    pub stock: Option<Stock>,
    pub ledger: LedgerSums,
    pub ordered: OrderedPieces,
}

impl SkuSnapshot {
    pub fn balance(&self) -> SkuBalance {
        let row = self.allotment;
        // A SKU is in one open sale at a time, so all that its stock has allotted belongs to this sale.
        let is_open = row.is_some_and(|allotment| !allotment.is_closed);
        let remaining = self.stock.filter(|_| is_open).map_or(0, |stock| stock.allotted);
        SkuBalance {
            sku: self.sku.clone(),
            allotment: row.map_or(0, |allotment| allotment.allotment),
            sold: self.sold,
            held: self.held,
            returned: row.map_or(0, |allotment| allotment.returned),
            remaining,
            ordered: self.ordered.live,
            on_the_way: self.ordered.on_the_way(),
        }
    }

    fn breach(&self, claim: Claim, finding: String) -> Finding {
        Finding { claim, subject: self.sku.to_string(), finding }
    }

    /// The breaches that the snapshot of the database alone proves.
    pub fn breaches(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let balance = self.balance();
        match self.allotment {
            None => {
                found.push(self.breach(Claim::AllotmentAddsUp, "the sale has no allotment of it".to_owned()));
            }
            // An audited sale is not over, and returns its pieces only afterwards.
            Some(row) if row.is_closed => {
                let finding = "the sale's allotment of it was returned to stock".to_owned();
                found.push(self.breach(Claim::AllotmentAddsUp, finding));
            }
            Some(row) => {
                if balance.accounted() != balance.allotment || (row.held, row.sold) != (self.held, self.sold)
                {
                    found.push(self.breach(
                        Claim::AllotmentAddsUp,
                        format!(
                            "allotment {}; sold {} + held {} + returned {} + remaining {} = {}; the sale's row says sold {}, \
                             held {}",
                            balance.allotment,
                            balance.sold,
                            balance.held,
                            balance.returned,
                            balance.remaining,
                            balance.accounted(),
                            row.sold,
                            row.held,
                        ),
                    ));
                }
            }
        }
        match self.stock {
            None => found.push(self.breach(Claim::LedgerExplainsStock, "it is not in stock".to_owned())),
            Some(stock) if stock != self.ledger.stock || self.ledger.movements != stock.version => {
                found.push(self.breach(
                    Claim::LedgerExplainsStock,
                    format!(
                        "{}; {} movements say {}",
                        stock_in_words(&stock),
                        self.ledger.movements,
                        stock_in_words(&self.ledger.stock)
                    ),
                ));
            }
            Some(_) => {}
        }
        found
    }

    /// Whether the orders agree. Two writers keep them in agreement, so a breach counts only when two rounds find it.
    pub fn breach_in_orders(&self) -> Option<Finding> {
        let promised = self.sold + self.held;
        let OrderedPieces { live, coming, leaving, behind } = self.ordered;
        (live + self.ordered.on_the_way() != promised).then(|| {
            self.breach(
                Claim::OrdersAgreeWithReservations,
                format!(
                    "sold and held {promised}; live orders have {live}, and {coming} are held for orders that are being \
                     placed, {leaving} for orders that have ended, {behind} are yet to be reserved again"
                ),
            )
        })
    }

    /// Whether the actor agrees with the row, or with the ledger at the actor's version.
    pub fn breach_in_actor(&self, actor: &Figures, ledger_then: &LedgerSums) -> Option<Finding> {
        let version = actor.stock.version;
        if actor.stock != ledger_then.stock || ledger_then.movements != version {
            let (has, says) = (stock_in_words(&actor.stock), stock_in_words(&ledger_then.stock));
            return Some(self.breach(
                Claim::ActorAgreesWithLedger,
                format!("the actor has {has}; the ledger says {says} by then"),
            ));
        }
        // The sale's row can be compared at the same version only.
        let is_now = self.stock.is_some_and(|stock| stock.version == version);
        let open = self.allotment.filter(|allotment| !allotment.is_closed);
        (is_now && actor.allotment != open).then(|| {
            self.breach(
                Claim::ActorAgreesWithLedger,
                format!(
                    "the actor has {}; the row says {}",
                    allotment_in_words(&actor.allotment),
                    allotment_in_words(&open)
                ),
            )
        })
    }
}

fn stock_in_words(stock: &Stock) -> String {
    let Stock { on_hand, reserved, allotted, version } = stock;
    format!("on hand {on_hand}, reserved {reserved}, allotted {allotted} at version {version}")
}

fn allotment_in_words(allotment: &Option<Allotment>) -> String {
    match allotment {
        Some(Allotment { sale, allotment, held, sold, returned, .. }) => {
            format!("allotment {allotment}, sold {sold}, held {held}, returned {returned} for sale {sale}")
        }
        None => "no allotment for a sale".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> SkuSnapshot {
        let sale = SaleId::generate();
        let stock = Stock { on_hand: 17, reserved: 2, allotted: 3, version: 9 };
        SkuSnapshot {
            sale,
            sku: "LAMP".parse().unwrap(),
            allotment: Some(Allotment { held: 2, sold: 3, returned: 2, ..Allotment::of(sale, 10) }),
            held: 2,
            sold: 3,
            stock: Some(stock),
            ledger: LedgerSums { stock, movements: 9 },
            ordered: OrderedPieces { live: 4, coming: 2, leaving: 0, behind: 1 },
        }
    }

    fn breached(change: impl FnOnce(&mut SkuSnapshot)) -> Vec<Claim> {
        let mut snapshot = snapshot();
        change(&mut snapshot);
        let found = snapshot.breaches().into_iter().chain(snapshot.breach_in_orders());
        found.map(|finding| finding.claim).collect()
    }

    #[test]
    fn a_sku_whose_figures_add_up_is_green() {
        assert_eq!(breached(|_| {}), []);
        let snapshot = snapshot();
        let status = AuditStatus::of(&[&snapshot], Vec::new(), Timestamp::UNIX_EPOCH);
        assert!(status.is_green);
        assert_eq!((status.allotment, status.accounted), (10, 10));
        assert_eq!((status.promised, status.ordered, status.on_the_way), (5, 4, 1));
    }

    #[test]
    fn every_wrong_figure_breaches_its_claim() {
        use Claim::{AllotmentAddsUp, LedgerExplainsStock, OrdersAgreeWithReservations};
        assert_eq!(breached(|sku| sku.allotment = None), [AllotmentAddsUp]);
        assert_eq!(breached(|sku| sku.held = 1), [AllotmentAddsUp, OrdersAgreeWithReservations]);
        assert_eq!(breached(|sku| sku.sold = 4), [AllotmentAddsUp, OrdersAgreeWithReservations]);
        // One more sold and one less held leave the sum right; the figures are still wrong.
        assert_eq!(breached(|sku| (sku.sold, sku.held) = (4, 1)), [AllotmentAddsUp]);
        assert_eq!(breached(|sku| sku.stock = None), [AllotmentAddsUp, LedgerExplainsStock]);
        assert_eq!(breached(|sku| sku.ledger.stock.reserved = 1), [LedgerExplainsStock]);
        assert_eq!(breached(|sku| sku.ledger.movements = 8), [LedgerExplainsStock]);
        assert_eq!(breached(|sku| sku.ordered.live = 5), [OrdersAgreeWithReservations]);
    }

    #[test]
    fn an_actor_is_compared_with_the_ledger_at_its_own_version() {
        let snapshot = snapshot();
        let (stock, allotment) = (snapshot.stock.unwrap(), snapshot.allotment);
        let now = Figures { stock, allotment };
        assert_eq!(snapshot.breach_in_actor(&now, &snapshot.ledger), None);

        let newer =
            LedgerSums { stock: Stock { on_hand: -2, reserved: -2, allotted: 0, version: 10 }, movements: 1 };
        let later = snapshot.ledger.plus(&newer);
        let ahead = Figures { stock: later.stock, allotment: None };
        assert_eq!(snapshot.breach_in_actor(&ahead, &later), None);
        assert_eq!(later.minus(&newer, 9), snapshot.ledger);

        let wrong = Figures { stock: Stock { reserved: 1, ..stock }, allotment };
        let breach = snapshot.breach_in_actor(&wrong, &snapshot.ledger).unwrap();
        assert_eq!(breach.claim, Claim::ActorAgreesWithLedger);
        let other_allotment = Figures { stock, allotment: None };
        let breach = snapshot.breach_in_actor(&other_allotment, &snapshot.ledger).unwrap();
        assert!(breach.finding.contains("no allotment for a sale"), "{}", breach.finding);
    }
}
