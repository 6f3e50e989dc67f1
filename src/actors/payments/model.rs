//! Ways to pay, and what becomes of a payment.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use super::error::PaymentsError;
use crate::types::InvalidValue;

/// The chains of convenience stores where a slip can be paid.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, IntoStaticStr, EnumString, VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(
    serialize_all = "snake_case",
    parse_err_ty = InvalidValue,
    parse_err_fn = unknown_chain
)]
pub enum KonbiniChain {
    SevenEleven,
    FamilyMart,
    Lawson,
    Ministop,
    Seicomart,
}

impl KonbiniChain {
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Digits of the payment code that the till of this chain asks for.
    pub(super) const fn payment_code_digits(self) -> u32 {
        match self {
            KonbiniChain::SevenEleven => 13,
            _ => 6,
        }
    }
}

fn unknown_chain(_: &str) -> InvalidValue {
    let known: Vec<&str> = KonbiniChain::VARIANTS.iter().map(|chain| chain.as_str()).collect();
    InvalidValue::new("konbini chain", format!("is none of {}", known.join(", ")))
}

/// A Japanese telephone number: 10 or 11 digits, the first a zero; hyphens are accepted and dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PhoneNumber {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: String = text.chars().filter(|character| *character != '-').collect();
        if matches!(digits.len(), 10 | 11)
            && digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit())
        {
            Ok(Self(digits))
        } else {
            Err(InvalidValue::new("phone", "must have 10 or 11 digits, the first of them 0"))
        }
    }
}

impl TryFrom<String> for PhoneNumber {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PhoneNumber> for String {
    fn from(phone: PhoneNumber) -> Self {
        phone.0
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A number identifies a person, so it stays out of every log.
        formatter.write_str("PhoneNumber(…)")
    }
}

/// A card as the sandbox knows it: one that is charged and one that is not, each perhaps with the fingerprint of the card
/// behind it, as in `tok_ok_4242`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CardToken {
    text: Box<str>,
    is_declined: bool,
}

impl CardToken {
    const FINGERPRINT_LENGTH_MAX: usize = 32;

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn is_declined(&self) -> bool {
        self.is_declined
    }

    /// The same for every token of one card; `None` where the provider does not report it.
    pub fn fingerprint(&self) -> Option<&str> {
        self.text.splitn(3, '_').nth(2)
    }
}

impl FromStr for CardToken {
    type Err = PaymentsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '_');
        let (kind, outcome, fingerprint) = (parts.next(), parts.next(), parts.next());
        let is_fingerprint = |text: &str| {
            (1..=Self::FINGERPRINT_LENGTH_MAX).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        let is_declined = match outcome {
            Some("ok") => false,
            Some("declined") => true,
            _ => return Err(PaymentsError::UnknownCardToken),
        };
        if kind != Some("tok") || !fingerprint.is_none_or(is_fingerprint) {
            return Err(PaymentsError::UnknownCardToken);
        }
        Ok(Self { text: text.into(), is_declined })
    }
}

impl TryFrom<String> for CardToken {
    type Error = PaymentsError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CardToken> for String {
    fn from(token: CardToken) -> Self {
        token.text.into()
    }
}

/// How the customer wants to pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentMethod {
    /// In cash at a convenience store, with the codes of a slip.
    Konbini {
        chain: KonbiniChain,
        /// For the provider only; the payment does not keep it.
        phone: PhoneNumber,
    },
    Card {
        token: CardToken,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, IntoStaticStr, EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum PaymentStatus {
    /// Not paid, and can be.
    Pending,
    /// Paid.
    Captured,
    /// Was paid; the money went back.
    Refunded,
    /// Was never paid, and can no longer be.
    Cancelled,
}

impl PaymentStatus {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The payment of an order. Orders are stored with it as JSON, so its form stays as it is:
///
/// ```json
/// {"method": "konbini", "status": "pending",
///  "konbini": {"chain": "lawson", "payment_code": "…", "confirmation_number": "…", "pay_before": "…"}}
/// {"method": "card", "status": "captured", "card": {"reference": "…"}}
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum Payment {
    Konbini { status: PaymentStatus, konbini: KonbiniSlip },
    Card { status: PaymentStatus, card: CardCharge },
}

/// What the customer types in at the store's terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KonbiniSlip {
    pub chain: KonbiniChain,
    pub payment_code: String,
    pub confirmation_number: String,
    pub pay_before: Timestamp,
}

/// The provider's own name for a charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardCharge {
    pub reference: String,
}

impl Payment {
    pub const fn status(&self) -> PaymentStatus {
        match self {
            Payment::Konbini { status, .. } | Payment::Card { status, .. } => *status,
        }
    }

    /// The name of the method, as in the JSON form.
    pub const fn method(&self) -> &'static str {
        match self {
            Payment::Konbini { .. } => "konbini",
            Payment::Card { .. } => "card",
        }
    }

    /// The payment once it is voided: what is pending is cancelled, what was captured is refunded.
    pub fn void(self) -> Self {
        match self.status() {
            PaymentStatus::Pending => self.with(PaymentStatus::Cancelled),
            PaymentStatus::Captured => self.with(PaymentStatus::Refunded),
            PaymentStatus::Refunded | PaymentStatus::Cancelled => self,
        }
    }

    /// The payment with the status that it has reached since.
    pub fn with(mut self, next: PaymentStatus) -> Self {
        match &mut self {
            Payment::Konbini { status, .. } | Payment::Card { status, .. } => *status = next,
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::{Fault, Kind};

    fn slip(status: PaymentStatus) -> Payment {
        let konbini = KonbiniSlip {
            chain: KonbiniChain::SevenEleven,
            payment_code: "0123456789012".into(),
            confirmation_number: "01234567890".into(),
            pay_before: "2026-12-01T00:00:00Z".parse().unwrap(),
        };
        Payment::Konbini { status, konbini }
    }

    #[test]
    fn a_payment_keeps_its_form_as_json() {
        let konbini = json!({
            "method": "konbini",
            "status": "pending",
            "konbini": {
                "chain": "seven_eleven",
                "payment_code": "0123456789012",
                "confirmation_number": "01234567890",
                "pay_before": "2026-12-01T00:00:00Z",
            },
        });
        let card = json!({"method": "card", "status": "captured", "card": {"reference": "sandbox_1"}});
        let charge = CardCharge { reference: "sandbox_1".into() };
        for (payment, form) in [
            (slip(PaymentStatus::Pending), konbini),
            (Payment::Card { status: PaymentStatus::Captured, card: charge }, card),
        ] {
            assert_eq!(serde_json::to_value(&payment).unwrap(), form);
            assert_eq!(form["method"], payment.method());
            assert_eq!(serde_json::from_value::<Payment>(form).unwrap(), payment);
        }
    }

    #[test]
    fn a_voided_payment_is_cancelled_or_refunded_and_stays_so() {
        use PaymentStatus::*;
        for (before, voided) in
            [(Pending, Cancelled), (Captured, Refunded), (Refunded, Refunded), (Cancelled, Cancelled)]
        {
            assert_eq!(slip(before).void().status(), voided, "{before:?}");
            assert_eq!(slip(before).void().void().status(), voided, "{before:?}");
            assert_eq!(serde_json::to_value(before).unwrap(), before.as_str());
        }
    }

    #[test]
    fn a_chain_has_one_name() {
        for chain in KonbiniChain::VARIANTS {
            assert_eq!(chain.as_str().parse::<KonbiniChain>().unwrap(), *chain);
            assert_eq!(serde_json::to_value(chain).unwrap(), chain.as_str());
        }
        assert_eq!(
            "circle_k".parse::<KonbiniChain>().unwrap_err().to_string(),
            "konbini chain is none of seven_eleven, family_mart, lawson, ministop, seicomart"
        );
    }

    #[test]
    fn a_phone_number_is_japanese() {
        assert_eq!("090-1234-5678".parse::<PhoneNumber>().unwrap().as_str(), "09012345678");
        assert_eq!("0312345678".parse::<PhoneNumber>().unwrap().as_str(), "0312345678");
        for text in
            ["", "-", "9012345678", "090123456789", "031234567", "+819012345678", "０９０１２３４５６７８"]
        {
            assert!(text.parse::<PhoneNumber>().is_err(), "{text:?}");
        }
        assert!(!format!("{:?}", "0312345678".parse::<PhoneNumber>()).contains("0312345678"));
    }

    #[test]
    fn a_payment_method_that_was_serialised_is_checked_when_it_is_read() {
        let phone = "090-1234-5678".parse().unwrap();
        for method in [
            PaymentMethod::Konbini { chain: KonbiniChain::Lawson, phone },
            PaymentMethod::Card { token: "tok_declined_4242".parse().unwrap() },
        ] {
            let form = serde_json::to_value(&method).unwrap();
            assert_eq!(serde_json::from_value::<PaymentMethod>(form).unwrap(), method);
        }
        for form in [
            json!({"card": {"token": "tok_other"}}),
            json!({"konbini": {"chain": "lawson", "phone": "1"}}),
            json!({"konbini": {"chain": "circle_k", "phone": "09012345678"}}),
        ] {
            assert!(serde_json::from_value::<PaymentMethod>(form).is_err());
        }
    }

    #[test]
    fn an_unknown_card_token_is_a_refusal() {
        let refusal = "tok_other".parse::<CardToken>().unwrap_err();
        assert_eq!((refusal.kind(), refusal.code()), (Kind::Invalid, "unknown-card-token"));
        assert_eq!(PaymentsError::Declined.kind(), Kind::PaymentRequired);
    }
}
