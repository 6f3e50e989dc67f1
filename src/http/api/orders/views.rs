//! An order as its customer sees it.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::actors::orders::{HistoryEntry, Order, OrderLine, OrderStatus, TaxShare};
use crate::actors::payments::Payment;
use crate::http::api::money::MoneyView;
use crate::types::Currency;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OrderView<'a> {
    pub id: Uuid,
    /// A short form for people.
    #[schema(example = "01JDX4-8M2K7Q-5T0VWZ")]
    pub number: String,
    /// `awaiting_payment`, `confirmed`, `cancelled` or `expired`.
    #[schema(example = "awaiting_payment")]
    pub status: Cow<'static, str>,
    pub lines: Vec<OrderLineView<'a>>,
    pub totals: TotalsView<'a>,
    pub payment: PaymentView<'a>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the order lapses unless it is paid; null once it awaits no payment.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub expires_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OrderLineView<'a> {
    #[schema(example = "SHOBAI-HOT-1")]
    pub sku: Cow<'a, str>,
    pub name: Cow<'a, str>,
    #[schema(example = 1)]
    pub quantity: i64,
    /// Tax included.
    pub unit_price: MoneyView,
    /// Percent.
    #[schema(example = 10)]
    pub tax_rate: i16,
    /// Yen: unit price times quantity.
    #[schema(example = 3300)]
    pub amount: i64,
}

/// Yen. Prices include the tax.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TotalsView<'a> {
    #[schema(example = 3300)]
    pub subtotal: i64,
    /// The tax inside, rounded down once per rate.
    #[schema(value_type = Vec<TaxShareView>)]
    pub tax: Cow<'a, [TaxShare]>,
    #[schema(example = 3300)]
    pub total: i64,
    #[schema(value_type = String, example = "JPY")]
    pub currency: Currency,
}

// For the document only: a [`TaxShare`] is written as it is.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes a share of tax in the API document")]
pub struct TaxShareView {
    /// Percent.
    #[schema(example = 10)]
    pub rate: i16,
    /// What the lines of this rate cost, tax included.
    #[schema(example = 3300)]
    pub base: i64,
    /// The tax inside the base.
    #[schema(example = 300)]
    pub amount: i64,
}

/// The method, what became of the payment, and beside them the object that the method names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PaymentView<'a> {
    #[schema(example = "konbini")]
    pub method: Cow<'static, str>,
    /// `pending`, `captured`, `refunded` or `cancelled`.
    #[schema(example = "pending")]
    pub status: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub konbini: Option<KonbiniSlipView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<CardChargeView<'a>>,
}

/// What the customer types in at the store's terminal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct KonbiniSlipView<'a> {
    #[schema(example = "lawson")]
    pub chain: Cow<'static, str>,
    pub payment_code: Cow<'a, str>,
    pub confirmation_number: Cow<'a, str>,
    #[schema(value_type = String, format = DateTime)]
    pub pay_before: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CardChargeView<'a> {
    pub reference: Cow<'a, str>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OrderPageView<'a> {
    pub items: Vec<OrderView<'a>>,
    #[schema(required)]
    pub next_cursor: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryView<'a> {
    pub items: Vec<HistoryEntryView<'a>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryEntryView<'a> {
    #[schema(example = "awaiting_payment")]
    pub status: Cow<'static, str>,
    #[schema(example = "placed")]
    pub reason: Cow<'a, str>,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

impl<'a> OrderView<'a> {
    pub fn of(order: &'a Order) -> Self {
        let awaits_payment = order.status == OrderStatus::AwaitingPayment;
        Self {
            id: order.id.uuid(),
            number: order.number().to_string(),
            status: order.status.as_str().into(),
            lines: order.lines.iter().map(OrderLineView::of).collect(),
            totals: TotalsView {
                subtotal: order.totals.subtotal.amount(),
                tax: Cow::Borrowed(&order.totals.tax),
                total: order.totals.total.amount(),
                currency: order.totals.total.currency(),
            },
            payment: PaymentView::of(order),
            created_at: order.created_at,
            expires_at: order.expires_at.filter(|_| awaits_payment),
        }
    }
}

impl<'a> OrderLineView<'a> {
    pub fn of(line: &'a OrderLine) -> Self {
        Self {
            sku: line.sku.as_str().into(),
            name: Cow::Borrowed(&line.name),
            quantity: line.quantity.get(),
            unit_price: line.unit_price.into(),
            tax_rate: line.tax_rate.percent(),
            amount: line.amount.amount(),
        }
    }
}

impl<'a> PaymentView<'a> {
    pub fn of(order: &'a Order) -> Self {
        let (konbini, card) = match &order.payment {
            Payment::Konbini { konbini, .. } => (Some(konbini), None),
            Payment::Card { card, .. } => (None, Some(card)),
        };
        Self {
            method: order.payment.method().into(),
            status: order.payment_status.as_str().into(),
            konbini: konbini.map(|slip| KonbiniSlipView {
                chain: slip.chain.as_str().into(),
                payment_code: Cow::Borrowed(&slip.payment_code),
                confirmation_number: Cow::Borrowed(&slip.confirmation_number),
                pay_before: slip.pay_before,
            }),
            card: card.map(|charge| CardChargeView { reference: Cow::Borrowed(&charge.reference) }),
        }
    }
}

impl<'a> HistoryEntryView<'a> {
    pub fn of(entry: &'a HistoryEntry) -> Self {
        Self { status: entry.status.as_str().into(), reason: Cow::Borrowed(&entry.reason), at: entry.at }
    }
}
