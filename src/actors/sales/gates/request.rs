//! Rules of asking for a quota: what an order brings to the gates, and what it gets from them.

use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::actors::inventory::Line;
use crate::actors::waiting_room::Admission;
use crate::types::{CustomerId, InvalidValue, Money, OrderId, SaleId, Sku};

/// An order that wants a part of a sale's quota.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QuotaRequest {
    pub order: OrderId,
    pub customer: CustomerId,
    /// Staff pass switches that are on.
    pub is_staff: bool,
    /// Each SKU once.
    pub lines: Vec<Line>,
    pub is_konbini: bool,
    /// Other names of the customer besides the account.
    pub also_known_as: Vec<(NameKind, String)>,
    /// The device that the client names; `None` stands for a device of this customer alone.
    pub device: Option<DeviceId>,
    /// The customer's admission, its signature checked.
    pub admission: Option<Admission>,
    pub arrived_at: Timestamp,
}

/// What a name of a customer is; it prefixes the pseudonym under which the name is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NameKind {
    /// The number that a konbini payment names.
    Phone,
    /// The fingerprint of a card.
    Card,
}

/// The device that a client names. The client may change it at will.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceId(Arc<str>);

impl DeviceId {
    pub const CHARACTERS_MAX: usize = 64;
}

impl TryFrom<String> for DeviceId {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<DeviceId> for String {
    fn from(device: DeviceId) -> Self {
        device.0.as_ref().to_owned()
    }
}

impl FromStr for DeviceId {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if (1..=Self::CHARACTERS_MAX).contains(&text.len()) && text.bytes().all(is_plain) {
            return Ok(Self(text.into()));
        }
        let most = Self::CHARACTERS_MAX;
        Err(InvalidValue::new(
            "device id",
            format!("must have 1 to {most} letters, digits, \"-\", \"_\" or \".\""),
        ))
    }
}

/// A part of a sale's quota that is held for an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaHold {
    pub sale: SaleId,
    /// What the sale's SKUs among the lines cost.
    pub prices: Vec<(Sku, Money)>,
    /// Whom the pieces count for, for the reservation to keep.
    pub claimants: Arc<str>,
    /// How long the pieces are held for the payment.
    pub pay_within_seconds: i64,
    /// Of the gates that counted it.
    pub generation: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_id_has_few_plain_characters() {
        for text in ["", " ", "a b", "é", "a\n", &"x".repeat(65)] {
            assert!(text.parse::<DeviceId>().is_err(), "{text:?}");
        }
        assert!("019b0f5e-2f1c-7a60-9d8e-3f5a7c1b2d4e".parse::<DeviceId>().is_ok());
    }
}
