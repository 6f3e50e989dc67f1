//! An amount as the API writes it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::types::{Currency, Money};

/// Integer minor units and their currency; the yen has no minor unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MoneyView {
    #[schema(minimum = 0, example = 3300)]
    pub amount: i64,
    #[schema(value_type = String, example = "JPY")]
    pub currency: Currency,
}

impl From<Money> for MoneyView {
    fn from(money: Money) -> Self {
        Self { amount: money.amount(), currency: money.currency() }
    }
}
