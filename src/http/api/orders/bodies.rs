//! What clients send to place an order: its lines and how it is paid.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::actors::inventory::Line;
use crate::actors::payments::{CardToken, KonbiniChain, PaymentMethod, PhoneNumber};
use crate::http::gateway::input;
use crate::http::gateway::problem::Problem;
use crate::types::{InvalidValue, Quantity, Sku};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceOrderBody {
    /// Lines of the same SKU are summed.
    #[serde(deserialize_with = "input::objects")]
    #[schema(min_items = 1, max_items = 50)]
    pub lines: Vec<LineBody>,
    #[serde(deserialize_with = "input::object")]
    #[schema(value_type = PaymentChoice)]
    pub payment: PaymentBody,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LineBody {
    #[serde(deserialize_with = "input::text")]
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]+$", example = "SHOBAI-HOT-1")]
    pub sku: Sku,
    #[serde(deserialize_with = "input::quantity")]
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000_000, example = 1)]
    pub quantity: Quantity,
}

impl LineBody {
    /// Checks how many there are; each was checked when it was read.
    pub fn lines(bodies: Vec<Self>, most: usize) -> Result<Vec<Line>, Problem> {
        if bodies.is_empty() || bodies.len() > most {
            let count = bodies.len();
            return Err(Problem::invalid_body(format!("lines must be 1 to {most}, not {count}")));
        }
        Ok(bodies.into_iter().map(|LineBody { sku, quantity }| Line { sku, quantity }).collect())
    }
}

/// How it is paid: the method, and beside it the one object of the same name. `PaymentChoice` describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentBody {
    #[serde(deserialize_with = "input::text")]
    pub method: MethodName,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "input::optional_object")]
    pub konbini: Option<KonbiniBody>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "input::optional_object")]
    pub card: Option<CardBody>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MethodName {
    Konbini,
    Card,
}

impl FromStr for MethodName {
    type Err = InvalidValue;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "konbini" => Ok(Self::Konbini),
            "card" => Ok(Self::Card),
            _ => Err(InvalidValue::new("payment method", "is none of konbini, card")),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KonbiniBody {
    #[serde(deserialize_with = "input::text")]
    #[schema(value_type = KonbiniChainName, example = "lawson")]
    pub chain: KonbiniChain,
    /// 10 or 11 digits, the first of them 0; hyphens do not count.
    #[serde(deserialize_with = "input::text")]
    #[schema(value_type = String, pattern = "^-*0(-*[0-9]){9,10}-*$", example = "090-1234-5678")]
    pub phone: PhoneNumber,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CardBody {
    /// The sandbox charges `tok_ok` and declines `tok_declined`; a fingerprint of the card may follow, as in `tok_ok_4242`.
    #[serde(deserialize_with = "input::text")]
    #[schema(value_type = String, pattern = "^tok_(ok|declined)(_[A-Za-z0-9]{1,32})?$", example = "tok_ok")]
    pub token: CardToken,
}

// For the document only.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "describes the chains in the API document")]
pub enum KonbiniChainName {
    SevenEleven,
    FamilyMart,
    Lawson,
    Ministop,
    Seicomart,
}

// For the document only: the forms of a [`PaymentBody`]. The method decides which.
#[derive(ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes the ways to pay in the API document")]
pub enum PaymentChoice {
    Konbini(KonbiniPaymentBody),
    Card(CardPaymentBody),
}

// For the document only.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "describes a konbini payment in the API document")]
pub struct KonbiniPaymentBody {
    #[schema(pattern = "^konbini$", example = "konbini")]
    pub method: String,
    pub konbini: KonbiniBody,
}

// For the document only.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "describes a card payment in the API document")]
pub struct CardPaymentBody {
    #[schema(pattern = "^card$", example = "card")]
    pub method: String,
    pub card: CardBody,
}

impl TryFrom<PaymentBody> for PaymentMethod {
    type Error = Problem;

    fn try_from(body: PaymentBody) -> Result<Self, Problem> {
        match body {
            PaymentBody { method: MethodName::Konbini, konbini: Some(konbini), card: None } => {
                Ok(PaymentMethod::Konbini { chain: konbini.chain, phone: konbini.phone })
            }
            PaymentBody { method: MethodName::Card, konbini: None, card: Some(card) } => {
                Ok(PaymentMethod::Card { token: card.token })
            }
            _ => Err(Problem::invalid_body("payment must have exactly the object that its method names")),
        }
    }
}
