//! What a sale is, what must be true of it before it begins, and which status may follow which.
//!
//! ```text
//! draft → scheduled → armed → open ⇄ paused
//!                              ├───────┴→ draining → closed → settled
//!   (all but closed and settled) → cancelled
//! ```

use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::SalesError;
use crate::types::{CustomerId, InvalidValue, Money, Quantity, SaleId, Sku};

/// Where a sale stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SaleStatus {
    Draft,
    /// It will be armed by itself, shortly before it opens.
    Scheduled,
    /// Its pieces are set apart and its SKUs' actors run; it opens at its time.
    Armed,
    Open,
    Paused,
    /// Nobody can order any more; those who hold pieces can still pay.
    Draining,
    /// What was left has gone back to general stock.
    Closed,
    Settled,
    Cancelled,
}

impl SaleStatus {
    pub const ALL: [Self; 9] = [
        Self::Draft,
        Self::Scheduled,
        Self::Armed,
        Self::Open,
        Self::Paused,
        Self::Draining,
        Self::Closed,
        Self::Settled,
        Self::Cancelled,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Scheduled => "scheduled",
            Self::Armed => "armed",
            Self::Open => "open",
            Self::Paused => "paused",
            Self::Draining => "draining",
            Self::Closed => "closed",
            Self::Settled => "settled",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether orders of its SKUs are the sale's to decide about.
    pub const fn is_gated(self) -> bool {
        matches!(self, Self::Armed | Self::Open | Self::Paused | Self::Draining | Self::Closed)
    }

    /// Whether anybody may know of it.
    pub const fn is_announced(self) -> bool {
        !matches!(self, Self::Draft | Self::Cancelled)
    }

    /// It is ahead, and nothing is set apart for it yet.
    pub const fn is_planned(self) -> bool {
        matches!(self, Self::Draft | Self::Scheduled)
    }

    /// Nobody can order in it, and nobody will.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Closed | Self::Settled | Self::Cancelled)
    }
}

impl FromStr for SaleStatus {
    type Err = InvalidValue;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == name)
            .ok_or_else(|| InvalidValue::new("status", format!("{name:?} is not a status of a sale")))
    }
}

/// What is done to a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    Schedule,
    Arm,
    /// By the schedule alone.
    Open,
    Pause,
    Resume,
    Drain,
    Close,
    Cancel,
    Settle,
    /// Stops all orders at once, whatever the status; `Resume` lets them in again.
    Kill,
}

impl Action {
    pub const ALL: [Self; 10] = [
        Self::Schedule,
        Self::Arm,
        Self::Open,
        Self::Pause,
        Self::Resume,
        Self::Drain,
        Self::Close,
        Self::Cancel,
        Self::Settle,
        Self::Kill,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Arm => "arm",
            Self::Open => "open",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Drain => "drain",
            Self::Close => "close",
            Self::Cancel => "cancel",
            Self::Settle => "settle",
            Self::Kill => "kill",
        }
    }

    /// Whether it keeps buyers out; then it is in effect before anything is written.
    pub const fn keeps_out(self) -> bool {
        matches!(self, Self::Pause | Self::Drain | Self::Close | Self::Cancel | Self::Kill)
    }
}

impl FromStr for Action {
    type Err = InvalidValue;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|action| action.as_str() == name)
            .ok_or_else(|| InvalidValue::new("action", format!("{name:?} is nothing that is done to a sale")))
    }
}

/// What is done to a switch: of one SKU of a sale, or of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Turn {
    Kill,
    Resume,
}

impl Turn {
    pub const fn stops(self) -> bool {
        matches!(self, Self::Kill)
    }
}

impl FromStr for Turn {
    type Err = InvalidValue;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "kill" => Ok(Self::Kill),
            "resume" => Ok(Self::Resume),
            _ => Err(InvalidValue::new("action", format!("{name:?} is nothing that is done to a switch"))),
        }
    }
}

/// A sale with its plan, as it is durable.
#[derive(Debug, Clone, PartialEq)]
pub struct Sale {
    pub id: SaleId,
    pub draft: SaleDraft,
    pub status: SaleStatus,
    /// The kill switch of the whole sale.
    pub is_stopped: bool,
    /// SKUs whose own kill switch is on.
    pub stopped_skus: Vec<Sku>,
    /// Counts the changes.
    pub version: i64,
    pub created_at: Timestamp,
    /// When draining ends though holds are left.
    pub drains_until: Option<Timestamp>,
    pub is_stock_returned: bool,
    /// SHA-256 of the draw's seed, published before the draw.
    pub commitment: String,
}

/// What an operator plans.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SaleDraft {
    pub name: String,
    pub opens_at: Timestamp,
    pub closes_at: Timestamp,
    pub items: Vec<SaleItem>,
    pub terms: Terms,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SaleItem {
    pub sku: Sku,
    /// Tax included.
    pub price: Money,
    pub allotment: Quantity,
}

/// Under which conditions people buy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Pieces for each customer in the whole sale; nothing: no limit.
    pub limit_per_customer: Option<i64>,
    pub hold_seconds: HoldSeconds,
    pub konbini: KonbiniTerms,
    pub admission: AdmissionTerms,
}

/// How long pieces are held for a payment that has yet to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldSeconds {
    pub card: i64,
    pub konbini: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KonbiniTerms {
    pub allowed: bool,
    /// The share of a SKU's allotment that may be held for slips that are not paid, 0 to 1.
    pub share_max: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmissionTerms {
    pub mode: AdmissionMode,
    /// Customers let in each second; nothing: steered by how fast orders are placed.
    pub per_second: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdmissionMode {
    /// Whoever comes may order.
    None,
    /// First come, first served; those who came before the opening in random order.
    Queue,
    /// Entries until the opening, then drawn.
    Lottery,
}

impl AdmissionMode {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Queue => "queue",
            Self::Lottery => "lottery",
        }
    }
}

/// One thing that keeps a sale from being run as it is planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where in the plan, for example `items[2].allotment`.
    pub field: String,
    pub problem: String,
}

impl Finding {
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

impl SaleDraft {
    pub const NAME_CHARACTERS_MAX: usize = 100;
    pub const ITEMS_MAX: usize = 1_000;

    /// Everything that is wrong with the plan itself, whatever the shop has in stock.
    pub fn problems(&self, hold_seconds_max: i64) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut check = |holds: bool, field: &str, problem: String| {
            if !holds {
                found.push(Finding::new(field, problem));
            }
        };
        let name = self.name.chars().count();
        check(
            (1..=Self::NAME_CHARACTERS_MAX).contains(&name),
            "name",
            format!("must have 1 to {} characters, not {name}", Self::NAME_CHARACTERS_MAX),
        );
        check(!self.name.chars().any(char::is_control), "name", "may not have control characters".to_owned());
        for (field, time) in [("opens_at", self.opens_at), ("closes_at", self.closes_at)] {
            // The database keeps no time before 4713 BC.
            check(time >= Timestamp::UNIX_EPOCH, field, "must not be before 1970".to_owned());
        }
        check(self.opens_at < self.closes_at, "closes_at", "must be after opens_at".to_owned());
        let items = self.items.len();
        check(
            (1..=Self::ITEMS_MAX).contains(&items),
            "items",
            format!("must be 1 to {}, not {items}", Self::ITEMS_MAX),
        );
        for (index, item) in self.items.iter().enumerate() {
            let is_first = !self.items[..index].iter().any(|other| other.sku == item.sku);
            check(is_first, &format!("items[{index}].sku"), format!("{} is named before", item.sku));
        }
        if let Some(limit) = self.terms.limit_per_customer {
            let holds = (1..=Quantity::MAX).contains(&limit);
            check(holds, "limit_per_customer", format!("must be 1 to {}, not {limit}", Quantity::MAX));
        }
        let HoldSeconds { card, konbini } = self.terms.hold_seconds;
        for (field, seconds) in [("hold_seconds.card", card), ("hold_seconds.konbini", konbini)] {
            let holds = (1..=hold_seconds_max).contains(&seconds);
            check(holds, field, format!("must be 1 to {hold_seconds_max}, not {seconds}"));
        }
        let share = self.terms.konbini.share_max;
        check((0.0..=1.0).contains(&share), "konbini.share_max", format!("must be 0 to 1, not {share}"));
        let per_second = self.terms.admission.per_second;
        check(per_second != Some(0), "admission.per_second", "must be at least 1".to_owned());
        found
    }

    /// The pieces of a SKU that may be held for slips that are not paid; nothing: as many as there are.
    pub fn konbini_pieces_max(&self, allotment: i64) -> Option<i64> {
        /// The share as it was written, in so many parts: 0.29 of 100 pieces are 29, which it is not in binary.
        const PARTS: f64 = 1e9;
        let share = self.terms.konbini.share_max;
        let parts = (share * PARTS).round() as i128;
        let most = i128::from(allotment) * parts / PARTS as i128;
        (share < 1.0).then(|| i64::try_from(most).unwrap_or(i64::MAX))
    }
}

impl Sale {
    /// What the action makes of the sale; nothing when it is so already.
    pub fn after(&self, action: Action, drains_until: Timestamp) -> Result<Option<Sale>, SalesError> {
        use SaleStatus::{Armed, Cancelled, Closed, Draft, Draining, Open, Paused, Scheduled, Settled};
        let refused = || SalesError::NotInStatus { sale: self.id, status: self.status, action };
        if action == Action::Resume {
            return self.after_resume(self.halt().unwrap_or(Halt::Pause));
        }
        let mut next = self.clone();
        next.version += 1;
        next.status = match (action, self.status) {
            (Action::Schedule, Scheduled)
            | (Action::Arm, Armed)
            | (Action::Open, Open)
            | (Action::Pause, Paused)
            | (Action::Drain, Draining)
            | (Action::Close, Closed)
            | (Action::Cancel, Cancelled)
            | (Action::Settle, Settled) => return Ok(None),
            (Action::Schedule, Draft) => Scheduled,
            (Action::Arm, Scheduled) => Armed,
            (Action::Open, Armed) => Open,
            (Action::Pause, Open) => Paused,
            (Action::Drain, Open | Paused) => {
                next.drains_until = Some(drains_until);
                Draining
            }
            (Action::Close, Open | Paused | Draining) => Closed,
            (Action::Cancel, Draft | Scheduled | Armed | Open | Paused | Draining) => Cancelled,
            (Action::Settle, Closed) => Settled,
            (Action::Kill, status) if !status.is_over() => {
                if self.is_stopped {
                    return Ok(None);
                }
                status
            }
            _ => return Err(refused()),
        };
        next.is_stopped |= action == Action::Kill;
        Ok(Some(next))
    }

    /// What resuming makes of the sale; nothing when that is over already. Whoever ends a pause does not undo a kill with it.
    pub fn after_resume(&self, ends: Halt) -> Result<Option<Sale>, SalesError> {
        let next = Sale { version: self.version + 1, ..self.clone() };
        match (ends, self.status) {
            (Halt::Pause, SaleStatus::Paused) => Ok(Some(Sale { status: SaleStatus::Open, ..next })),
            (Halt::Pause, SaleStatus::Open) => Ok(None),
            (Halt::Kill, _) if self.is_stopped => Ok(Some(Sale { is_stopped: false, ..next })),
            (Halt::Kill, status) if !status.is_over() => Ok(None),
            (_, status) => Err(SalesError::NotInStatus { sale: self.id, status, action: Action::Resume }),
        }
    }

    /// What keeps buyers out of it, and is ended first.
    pub fn halt(&self) -> Option<Halt> {
        let is_paused = self.status == SaleStatus::Paused;
        is_paused.then_some(Halt::Pause).or_else(|| self.is_stopped.then_some(Halt::Kill))
    }

    pub fn item(&self, sku: &Sku) -> Option<&SaleItem> {
        self.draft.items.iter().find(|item| item.sku == *sku)
    }

    /// What the schedule wants to be done by now.
    pub fn due(&self, now: Timestamp, arm_from: Timestamp) -> Option<Action> {
        match self.status {
            SaleStatus::Scheduled if now >= self.draft.closes_at => Some(Action::Cancel),
            SaleStatus::Scheduled if arm_from >= self.draft.opens_at => Some(Action::Arm),
            SaleStatus::Armed if now >= self.draft.opens_at => Some(Action::Open),
            SaleStatus::Open | SaleStatus::Paused if now >= self.draft.closes_at => Some(Action::Close),
            SaleStatus::Draining if self.drains_until.is_some_and(|until| now >= until) => {
                Some(Action::Close)
            }
            _ => None,
        }
    }
}

/// What keeps buyers out of a sale as a whole, until it is resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    Pause,
    Kill,
}

impl Halt {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Kill => "kill",
        }
    }
}

impl FromStr for Halt {
    type Err = InvalidValue;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "pause" => Ok(Self::Pause),
            "kill" => Ok(Self::Kill),
            _ => Err(InvalidValue::new("ends", format!("{name:?} is neither \"pause\" nor \"kill\""))),
        }
    }
}

/// Who did something to a sale; the engine itself, by the schedule, when nobody did.
pub type Actor = Option<CustomerId>;

/// Something that was done to a sale.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    pub action: String,
    pub sku: Option<Sku>,
    pub actor: Actor,
    /// Who wanted it first, where it needed a second operator.
    pub proposed_by: Actor,
    pub reason: String,
    pub before: serde_json::Value,
    pub after: serde_json::Value,
    pub at: Timestamp,
}

// Written by hand, because prices and pieces are checked whenever they are read.
#[derive(Serialize, Deserialize)]
struct ItemForm {
    sku: String,
    price: i64,
    allotment: i64,
}

impl Serialize for SaleItem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (sku, price) = (self.sku.to_string(), self.price.amount());
        ItemForm { sku, price, allotment: self.allotment.get() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SaleItem {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let ItemForm { sku, price, allotment } = ItemForm::deserialize(deserializer)?;
        Ok(Self {
            sku: sku.parse().map_err(D::Error::custom)?,
            price: Money::yen(price).map_err(D::Error::custom)?,
            allotment: Quantity::new(allotment).map_err(D::Error::custom)?,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn draft() -> SaleDraft {
        SaleDraft {
            name: "Midnight".to_owned(),
            opens_at: Timestamp::from_second(1_000).unwrap(),
            closes_at: Timestamp::from_second(2_000).unwrap(),
            items: vec![SaleItem {
                sku: "LAMP".parse().unwrap(),
                price: Money::yen(500).unwrap(),
                allotment: Quantity::new(10).unwrap(),
            }],
            terms: Terms {
                limit_per_customer: Some(2),
                hold_seconds: HoldSeconds { card: 600, konbini: 3_600 },
                konbini: KonbiniTerms { allowed: true, share_max: 0.5 },
                admission: AdmissionTerms { mode: AdmissionMode::None, per_second: None },
            },
        }
    }

    pub fn sale(status: SaleStatus) -> Sale {
        Sale {
            id: SaleId::generate(),
            draft: draft(),
            status,
            is_stopped: false,
            stopped_skus: Vec::new(),
            version: 1,
            created_at: Timestamp::UNIX_EPOCH,
            drains_until: None,
            is_stock_returned: false,
            commitment: String::new(),
        }
    }

    #[test]
    fn every_status_meets_every_action_as_the_picture_says() {
        use Action::*;
        use SaleStatus as S;
        let expected = |action, status: S| match (action, status) {
            (Schedule, S::Draft) => Some(S::Scheduled),
            (Arm, S::Scheduled) => Some(S::Armed),
            (Open, S::Armed) | (Resume, S::Paused) => Some(S::Open),
            (Pause, S::Open) => Some(S::Paused),
            (Drain, S::Open | S::Paused) => Some(S::Draining),
            (Close, S::Open | S::Paused | S::Draining) => Some(S::Closed),
            (Settle, S::Closed) => Some(S::Settled),
            (Cancel, status) if !status.is_over() => Some(S::Cancelled),
            (Kill, status) if !status.is_over() => Some(status),
            _ => None,
        };
        for action in Action::ALL {
            for status in SaleStatus::ALL {
                let after = sale(status).after(action, Timestamp::MAX);
                let got = after.as_ref().ok().and_then(Option::as_ref).map(|next| next.status);
                assert_eq!(got, expected(action, status), "{action:?} when {status:?}");
                if let Some(next) = after.ok().flatten() {
                    assert_eq!(next.version, 2);
                    // Asking twice changes nothing.
                    assert_eq!(next.after(action, Timestamp::MAX).ok(), Some(None), "{action:?} twice");
                }
            }
        }
    }

    #[test]
    fn a_stopped_sale_goes_on_where_it_was() {
        for status in [SaleStatus::Armed, SaleStatus::Open, SaleStatus::Draining] {
            let stopped = sale(status).after(Action::Kill, Timestamp::MAX).unwrap().unwrap();
            assert!(stopped.is_stopped);
            let resumed = stopped.after(Action::Resume, Timestamp::MAX).unwrap().unwrap();
            assert_eq!((resumed.is_stopped, resumed.status), (false, status));
        }
    }

    #[test]
    fn every_problem_of_a_plan_is_told_at_once() {
        let mut bad = draft();
        bad.name = String::new();
        bad.closes_at = bad.opens_at;
        bad.items.push(bad.items[0].clone());
        bad.terms.limit_per_customer = Some(0);
        bad.terms.hold_seconds = HoldSeconds { card: 0, konbini: 1_000_000 };
        bad.terms.konbini.share_max = 1.5;
        bad.terms.admission.per_second = Some(0);
        let fields: Vec<_> = bad.problems(86_400).into_iter().map(|finding| finding.field).collect();
        assert_eq!(
            fields,
            [
                "name",
                "closes_at",
                "items[1].sku",
                "limit_per_customer",
                "hold_seconds.card",
                "hold_seconds.konbini",
                "konbini.share_max",
                "admission.per_second",
            ]
        );
        assert_eq!(draft().problems(86_400), []);
    }

    #[test]
    fn the_schedule_wants_each_step_at_its_time() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let due = |status, second| sale(status).due(at(second), at(second + 60));
        assert_eq!(due(SaleStatus::Scheduled, 939), None);
        assert_eq!(due(SaleStatus::Scheduled, 940), Some(Action::Arm));
        assert_eq!(due(SaleStatus::Scheduled, 2_000), Some(Action::Cancel));
        assert_eq!(due(SaleStatus::Armed, 999), None);
        assert_eq!(due(SaleStatus::Armed, 1_000), Some(Action::Open));
        assert_eq!(due(SaleStatus::Paused, 2_000), Some(Action::Close));
        assert_eq!(due(SaleStatus::Draft, 2_000), None);
    }
}
