//! What an order is, what it costs, and which status may follow which.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::OrdersError;
use crate::actors::catalog::Quote;
use crate::actors::inventory::Line;
use crate::actors::payments::{Payment, PaymentStatus};
use crate::types::{CustomerId, InvalidValue, Money, OrderId, Quantity, SaleId, Sku, TaxRate};

/// Where an order stands.
///
/// ```text
/// awaiting_payment ─┬→ confirmed ──→ cancelled
///                   ├→ cancelled
///                   └→ expired
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    AwaitingPayment,
    Confirmed,
    Cancelled,
    Expired,
}

impl OrderStatus {
    pub const ALL: [Self; 4] = [Self::AwaitingPayment, Self::Confirmed, Self::Cancelled, Self::Expired];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingPayment => "awaiting_payment",
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Whether an order may go from this status to `next`.
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::AwaitingPayment, Self::Confirmed | Self::Cancelled | Self::Expired)
                | (Self::Confirmed, Self::Cancelled)
        )
    }

    /// No further status follows.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Cancelled | Self::Expired)
    }
}

impl FromStr for OrderStatus {
    type Err = InvalidValue;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == name)
            .ok_or_else(|| InvalidValue::new("status", format!("{name:?} is not a status of an order")))
    }
}

/// 1 to 255 visible ASCII characters, chosen by the client, one for each order that it wants.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdempotencyKey(Arc<str>);

impl IdempotencyKey {
    pub const LENGTH_MAX: usize = 255;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for IdempotencyKey {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<IdempotencyKey> for String {
    fn from(key: IdempotencyKey) -> Self {
        key.as_str().to_owned()
    }
}

impl FromStr for IdempotencyKey {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if (1..=Self::LENGTH_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(Arc::from(text)))
        } else {
            Err(InvalidValue::new(
                "Idempotency-Key",
                format!("must have 1 to {} visible characters", Self::LENGTH_MAX),
            ))
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub id: OrderId,
    pub customer: CustomerId,
    pub status: OrderStatus,
    /// The sale that some of its pieces are from.
    pub sale: Option<SaleId>,
    pub lines: Vec<OrderLine>,
    pub totals: Totals,
    /// As it was opened.
    pub payment: Payment,
    /// What became of the payment.
    pub payment_status: PaymentStatus,
    pub created_at: Timestamp,
    /// When it expires unless it is paid; `None` for an order that was paid as it was placed.
    pub expires_at: Option<Timestamp>,
}

/// Whose order it is going to be, and when.
#[derive(Debug, Clone, Copy)]
pub struct Placing {
    pub id: OrderId,
    pub customer: CustomerId,
    pub sale: Option<SaleId>,
    pub created_at: Timestamp,
    pub pay_before: Timestamp,
}

impl Order {
    /// A new order, at the prices quoted. `lines` and `quotes` go in pairs.
    pub fn place(
        placing: Placing,
        lines: &[Line],
        quotes: Vec<Quote>,
        payment: Payment,
    ) -> Result<Self, InvalidValue> {
        let Placing { id, customer, sale, created_at, pay_before } = placing;
        let lines: Vec<_> = lines
            .iter()
            .zip(quotes)
            .map(|(line, quote)| {
                Ok(OrderLine {
                    sku: line.sku.clone(),
                    name: quote.name,
                    quantity: line.quantity,
                    unit_price: quote.price,
                    tax_rate: quote.tax_rate,
                    amount: quote.price.times(line.quantity)?,
                })
            })
            .collect::<Result<_, InvalidValue>>()?;
        let totals = Totals::of(&lines)?;
        let payment_status = payment.status();
        let (status, expires_at) = Self::status_with(payment_status, pay_before);
        Ok(Self {
            id,
            customer,
            status,
            sale,
            lines,
            totals,
            payment,
            payment_status,
            created_at,
            expires_at,
        })
    }

    fn status_with(payment: PaymentStatus, pay_before: Timestamp) -> (OrderStatus, Option<Timestamp>) {
        match payment {
            PaymentStatus::Captured => (OrderStatus::Confirmed, None),
            _ => (OrderStatus::AwaitingPayment, Some(pay_before)),
        }
    }

    /// The order as it was answered when it was placed, whatever became of it since.
    pub fn as_placed(mut self) -> Self {
        self.payment_status = self.payment.status();
        self.status =
            if self.expires_at.is_some() { OrderStatus::AwaitingPayment } else { OrderStatus::Confirmed };
        self
    }

    /// The beginning of its history, which its own row tells: placed, and paid at once or not.
    pub fn first_history(&self) -> Vec<HistoryEntry> {
        let payment = Some(self.payment.status());
        let entry = |status, reason: &str| HistoryEntry {
            status,
            payment,
            reason: reason.to_owned(),
            at: self.created_at,
        };
        let mut history = vec![entry(OrderStatus::AwaitingPayment, "placed")];
        if self.expires_at.is_none() {
            history.push(entry(OrderStatus::Confirmed, "paid when placed"));
        }
        history
    }

    pub fn number(&self) -> OrderNumber {
        OrderNumber(self.id)
    }

    pub fn skus(&self) -> Vec<Sku> {
        self.lines.iter().map(|line| line.sku.clone()).collect()
    }
}

/// The number that people read to each other: the order's id in the letters and digits of Crockford's base 32,
/// without its constant bits. As unique as the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderNumber(OrderId);

impl From<OrderId> for OrderNumber {
    fn from(id: OrderId) -> Self {
        Self(id)
    }
}

impl fmt::Display for OrderNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let bits = self.0.uuid().as_u128();
        // UUIDv7 (RFC 9562): 48 bits of time, 4 of version, 12 and 62 that tell ids apart, 2 of variant in between.
        let time = bits >> 80;
        let sequence = ((bits >> 64) & 0xfff) << 62 | (bits & ((1 << 62) - 1));
        // 48 bits and the upper 42 of the 74, which hold the counter that the generator keeps within a millisecond.
        let value = time << 42 | sequence >> 32;
        // Three groups of six digits, five bits each.
        let mut text = [b'-'; 20];
        for (place, digit) in (0..20).filter(|place| place % 7 != 6).zip((0..18).rev()) {
            text[place] = DIGITS[(value >> (digit * 5)) as usize & 31];
        }
        formatter.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderLine {
    pub sku: Sku,
    pub name: Arc<str>,
    pub quantity: Quantity,
    /// Tax included.
    pub unit_price: Money,
    pub tax_rate: TaxRate,
    /// Unit price times quantity.
    pub amount: Money,
}

/// What an order costs. Prices include the tax, so `subtotal` and `total` are the same while nothing is shipped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    pub subtotal: Money,
    pub tax: Vec<TaxShare>,
    pub total: Money,
}

/// The tax of one rate, worked out once for the order and rounded down, as the qualified-invoice rule wants it
/// (Order for Enforcement of the Consumption Tax Act, article 70-10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxShare {
    /// Percent.
    pub rate: i16,
    /// What the lines of this rate cost, tax included.
    pub base: i64,
    /// The tax inside the base.
    pub amount: i64,
}

impl Totals {
    pub fn of(lines: &[OrderLine]) -> Result<Self, InvalidValue> {
        let total = lines.iter().try_fold(Money::NOTHING, |sum, line| sum.plus(line.amount))?;
        let mut tax = Vec::with_capacity(TaxRate::ALL.len());
        for rate in TaxRate::ALL {
            let mut taxed = lines.iter().filter(|line| line.tax_rate == rate).peekable();
            if taxed.peek().is_none() {
                continue;
            }
            let base = taxed.try_fold(Money::NOTHING, |sum, line| sum.plus(line.amount))?;
            tax.push(TaxShare {
                rate: rate.percent(),
                base: base.amount(),
                amount: rate.inside(base).amount(),
            });
        }
        Ok(Self { subtotal: total, tax, total })
    }
}

/// One step of an order's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    pub status: OrderStatus,
    /// What the payment was then; `None` where that was not kept.
    pub payment: Option<PaymentStatus>,
    pub reason: String,
    pub at: Timestamp,
}

/// A change of an existing order, made only while its status and its payment are what they were when it was decided.
#[derive(Debug, Clone)]
pub struct Transition {
    pub order: OrderId,
    pub from: OrderStatus,
    pub to: OrderStatus,
    /// What the payment must (still) be.
    pub payment_before: PaymentStatus,
    pub payment_status: PaymentStatus,
    pub reason: &'static str,
    pub event: TransitionEvent,
    pub at: Timestamp,
}

/// What a change of an order is reported as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransitionEvent {
    Confirmed,
    Cancelled,
    Expired,
    /// Money came after the order had ended.
    PaymentRefunded,
}

/// What is done to an existing order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderCommand {
    /// By its customer.
    Cancel,
    /// The provider reports that it was paid.
    RecordPayment,
    /// Its time to be paid has passed.
    Expire,
    /// It was paid, and what it held is gone.
    GiveUp,
}

/// What becomes of everything that an order holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldsEnd {
    Kept,
    Confirmed,
    Released,
    /// Released because the time to pay has passed.
    Expired,
}

impl OrderStatus {
    /// What settling an order of this status does to what it holds.
    pub const fn holds_end(self) -> HoldsEnd {
        match self {
            Self::AwaitingPayment => HoldsEnd::Kept,
            Self::Confirmed => HoldsEnd::Confirmed,
            Self::Cancelled => HoldsEnd::Released,
            Self::Expired => HoldsEnd::Expired,
        }
    }
}

impl Order {
    /// What the command does to the order; `None` when nothing is to be done. Refuses with `NotCancellable`.
    ///
    /// | command ↓ status → | awaiting payment | confirmed | cancelled | expired |
    /// |---|---|---|---|---|
    /// | cancel | **cancelled** | **cancelled**, refunded | unchanged | refused |
    /// | record payment | **confirmed**, captured | unchanged | refunded, once | refunded, once |
    /// | expire | **expired** | unchanged | unchanged | unchanged |
    /// | give up | unchanged | **cancelled**, refunded | unchanged | unchanged |
    ///
    /// What was paid is refunded whenever an order ends, and what was not can no longer be paid.
    pub fn decide(&self, command: OrderCommand, at: Timestamp) -> Result<Option<Transition>, OrdersError> {
        use OrderCommand::{Cancel, Expire, GiveUp, RecordPayment};
        use OrderStatus::{AwaitingPayment, Cancelled, Confirmed, Expired};
        let change = |to, payment_status, reason, event| {
            let (order, from, payment_before) = (self.id, self.status, self.payment_status);
            Ok(Some(Transition { order, from, to, payment_before, payment_status, reason, event, at }))
        };
        let voided = self.payment.clone().with(self.payment_status).void().status();
        match (command, self.status) {
            (Cancel, AwaitingPayment | Confirmed) => {
                change(Cancelled, voided, "cancelled by the customer", TransitionEvent::Cancelled)
            }
            (Cancel, Expired) => Err(OrdersError::NotCancellable { order: self.id, status: self.status }),
            (RecordPayment, AwaitingPayment) => {
                change(Confirmed, PaymentStatus::Captured, "paid at the konbini", TransitionEvent::Confirmed)
            }
            // The money came after the end: it goes back, and the order's history tells so.
            (RecordPayment, Cancelled | Expired) if self.payment_status != PaymentStatus::Refunded => {
                let reason = "paid too late and refunded";
                change(self.status, PaymentStatus::Refunded, reason, TransitionEvent::PaymentRefunded)
            }
            (Expire, AwaitingPayment) => {
                change(Expired, voided, "not paid in time", TransitionEvent::Expired)
            }
            (GiveUp, Confirmed) => {
                change(Cancelled, voided, "paid too late, sold out and refunded", TransitionEvent::Cancelled)
            }
            (Cancel, Cancelled)
            | (RecordPayment, Confirmed | Cancelled | Expired)
            | (Expire, Confirmed | Cancelled | Expired)
            | (GiveUp, AwaitingPayment | Cancelled | Expired) => Ok(None),
        }
    }

    /// Whether a provider's report can be about this order. Refuses with `NotAKonbiniOrder` or `AmountDiffers`.
    pub fn check_report(&self, reported: Option<Money>) -> Result<(), OrdersError> {
        if !matches!(self.payment, Payment::Konbini { .. }) {
            return Err(OrdersError::NotAKonbiniOrder(self.id));
        }
        let total = self.totals.total;
        match reported.filter(|reported| *reported != total) {
            Some(reported) => Err(OrdersError::AmountDiffers { order: self.id, total, reported }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(amount: i64, quantity: i64, tax_rate: TaxRate) -> OrderLine {
        let unit_price = Money::yen(amount).unwrap();
        let quantity = Quantity::new(quantity).unwrap();
        OrderLine {
            sku: "LAMP".parse().unwrap(),
            name: "lamp".into(),
            quantity,
            unit_price,
            tax_rate,
            amount: unit_price.times(quantity).unwrap(),
        }
    }

    #[test]
    fn tax_is_rounded_once_per_rate_and_not_per_line() {
        let lines = [
            line(105, 1, TaxRate::Standard),
            line(105, 1, TaxRate::Standard),
            line(107, 3, TaxRate::Reduced),
        ];
        let totals = Totals::of(&lines).unwrap();
        assert_eq!(totals.total.amount(), 531);
        // 210 × 10 / 110 = 19.09; line by line it would have been 9 + 9.
        assert_eq!(totals.tax[0], TaxShare { rate: 10, base: 210, amount: 19 });
        assert_eq!(totals.tax[1], TaxShare { rate: 8, base: 321, amount: 23 });
    }

    #[test]
    fn only_the_arrows_of_the_picture_are_allowed() {
        use OrderStatus::*;
        let allowed: Vec<_> = OrderStatus::ALL
            .into_iter()
            .flat_map(|from| OrderStatus::ALL.into_iter().map(move |to| (from, to)))
            .filter(|(from, to)| from.may_become(*to))
            .collect();
        assert_eq!(
            allowed,
            [
                (AwaitingPayment, Confirmed),
                (AwaitingPayment, Cancelled),
                (AwaitingPayment, Expired),
                (Confirmed, Cancelled)
            ]
        );
        assert!(
            OrderStatus::ALL
                .into_iter()
                .all(|from| !from.is_final() || !OrderStatus::ALL.into_iter().any(|to| from.may_become(to)))
        );
    }

    fn order(status: OrderStatus, payment_status: PaymentStatus) -> Order {
        let now = Timestamp::UNIX_EPOCH;
        let slip = serde_json::json!({
            "method": "konbini",
            "status": "pending",
            "konbini": {"chain": "lawson", "payment_code": "123456", "confirmation_number": "1", "pay_before": now},
        });
        let lines = vec![line(100, 1, TaxRate::Standard)];
        Order {
            id: OrderId::generate(),
            customer: CustomerId::generate(),
            status,
            sale: None,
            totals: Totals::of(&lines).unwrap(),
            lines,
            payment: serde_json::from_value(slip).unwrap(),
            payment_status,
            created_at: now,
            expires_at: Some(now),
        }
    }

    #[test]
    fn every_command_does_in_every_status_what_the_table_says() {
        use OrderCommand::*;
        use OrderStatus::*;
        use PaymentStatus as Paid;
        let before = [
            (AwaitingPayment, Paid::Pending),
            (Confirmed, Paid::Captured),
            (Cancelled, Paid::Cancelled),
            (Cancelled, Paid::Refunded),
            (Expired, Paid::Cancelled),
            (Expired, Paid::Refunded),
        ];
        let (ended, refunded) = (Some((Cancelled, Paid::Cancelled)), Some((Cancelled, Paid::Refunded)));
        let table = [
            (Cancel, [ended, refunded, None, None, None, None]),
            (
                RecordPayment,
                [
                    Some((Confirmed, Paid::Captured)),
                    None,
                    refunded,
                    None,
                    Some((Expired, Paid::Refunded)),
                    None,
                ],
            ),
            (Expire, [Some((Expired, Paid::Cancelled)), None, None, None, None, None]),
            (GiveUp, [None, refunded, None, None, None, None]),
        ];
        for (command, expected) in table {
            for ((status, payment), expected) in before.into_iter().zip(expected) {
                let order = order(status, payment);
                let decided = order.decide(command, Timestamp::UNIX_EPOCH);
                if (command, status) == (Cancel, Expired) {
                    assert!(matches!(decided, Err(OrdersError::NotCancellable { .. })));
                    continue;
                }
                let change = decided.unwrap();
                let after = change.as_ref().map(|change| (change.to, change.payment_status));
                assert_eq!(after, expected, "{command:?} when {status:?} and {payment:?}");
                if let Some(change) = change {
                    assert_eq!((change.from, change.payment_before), (status, payment));
                    assert!(status == change.to || status.may_become(change.to));
                }
            }
        }
    }

    #[test]
    fn a_command_that_is_repeated_finds_nothing_to_do() {
        for command in
            [OrderCommand::Cancel, OrderCommand::RecordPayment, OrderCommand::Expire, OrderCommand::GiveUp]
        {
            for status in OrderStatus::ALL {
                let mut order = order(status, PaymentStatus::Captured);
                if let Ok(Some(change)) = order.decide(command, Timestamp::UNIX_EPOCH) {
                    (order.status, order.payment_status) = (change.to, change.payment_status);
                    let again = order.decide(command, Timestamp::UNIX_EPOCH).unwrap();
                    assert!(again.is_none(), "{command:?} twice, from {status:?}");
                }
            }
        }
    }

    #[test]
    fn a_report_fits_a_konbini_order_of_the_same_amount() {
        let mut order = order(OrderStatus::AwaitingPayment, PaymentStatus::Pending);
        assert!(order.check_report(None).is_ok());
        assert!(order.check_report(Some(Money::yen(100).unwrap())).is_ok());
        let differs = order.check_report(Some(Money::yen(99).unwrap()));
        assert!(matches!(differs, Err(OrdersError::AmountDiffers { .. })));
        let card = serde_json::json!({"method": "card", "status": "captured", "card": {"reference": "1"}});
        order.payment = serde_json::from_value(card).unwrap();
        assert!(matches!(order.check_report(None), Err(OrdersError::NotAKonbiniOrder(_))));
    }

    #[test]
    fn numbers_of_many_orders_differ() {
        let number = |_| OrderNumber(OrderId::generate()).to_string();
        let numbers: std::collections::HashSet<_> = (0..100_000).map(number).collect();
        assert_eq!(numbers.len(), 100_000);
        assert!(numbers.iter().all(|number| number.len() == 20));
        let id = "01234567-89ab-7cde-8f01-23456789abcd".parse().unwrap();
        assert_eq!(OrderNumber(id).to_string(), "04HMAS-W9NF6Y-7G28T5");
    }

    #[test]
    fn keys_have_visible_characters_only() {
        assert!("a-Z_9~!".parse::<IdempotencyKey>().is_ok());
        for bad in ["", " ", "a b", "a\n", "ü", &"x".repeat(256)] {
            assert!(bad.parse::<IdempotencyKey>().is_err(), "{bad:?}");
        }
    }
}
