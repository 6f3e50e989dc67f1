//! Money in integer minor units, and the two consumption tax rates of Japan.

use serde::{Deserialize, Serialize};

use super::{InvalidValue, Quantity};

/// ISO 4217; the yen has no minor unit, so an amount of 1 is one yen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Currency {
    #[serde(rename = "JPY")]
    Yen,
}

/// A non-negative amount in minor units of its currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    amount: i64,
    currency: Currency,
}

impl Money {
    /// The largest amount: ten trillion yen, small enough that sums of lines cannot overflow.
    pub const AMOUNT_MAX: i64 = 10_000_000_000_000;
    pub const NOTHING: Money = Money { amount: 0, currency: Currency::Yen };

    pub fn yen(amount: i64) -> Result<Self, InvalidValue> {
        if (0..=Self::AMOUNT_MAX).contains(&amount) {
            Ok(Self { amount, currency: Currency::Yen })
        } else {
            Err(InvalidValue::new(
                "amount",
                format!("{amount} is not between 0 and {} yen", Self::AMOUNT_MAX),
            ))
        }
    }

    pub const fn amount(self) -> i64 {
        self.amount
    }

    pub const fn currency(self) -> Currency {
        self.currency
    }

    pub fn times(self, quantity: Quantity) -> Result<Self, InvalidValue> {
        let amount = self.amount.checked_mul(quantity.get()).unwrap_or(i64::MAX);
        Self::yen(amount)
    }

    pub fn plus(self, other: Self) -> Result<Self, InvalidValue> {
        Self::yen(self.amount.saturating_add(other.amount))
    }
}

/// The rate of the consumption tax that a shown price includes (Consumption Tax Act, articles 29 and 2-1-9-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i16", into = "i16")]
pub enum TaxRate {
    /// 8 %: food and drink, newspapers.
    Reduced,
    /// 10 %.
    Standard,
}

impl TryFrom<i16> for TaxRate {
    type Error = InvalidValue;

    fn try_from(percent: i16) -> Result<Self, InvalidValue> {
        Self::from_percent(percent)
    }
}

impl From<TaxRate> for i16 {
    fn from(rate: TaxRate) -> Self {
        rate.percent()
    }
}

impl TaxRate {
    pub const ALL: [TaxRate; 2] = [TaxRate::Standard, TaxRate::Reduced];

    pub const fn percent(self) -> i16 {
        match self {
            TaxRate::Standard => 10,
            TaxRate::Reduced => 8,
        }
    }

    pub fn from_percent(percent: i16) -> Result<Self, InvalidValue> {
        match percent {
            10 => Ok(TaxRate::Standard),
            8 => Ok(TaxRate::Reduced),
            other => Err(InvalidValue::new("tax rate", format!("{other} is neither 10 nor 8 percent"))),
        }
    }

    /// The tax within a tax-included amount, rounded down to a whole yen.
    pub fn inside(self, tax_included: Money) -> Money {
        let percent = i64::from(self.percent());
        Money { amount: tax_included.amount * percent / (100 + percent), currency: tax_included.currency }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tax_within_a_price_is_rounded_down() {
        assert_eq!(TaxRate::Standard.inside(Money::yen(1_100).unwrap()).amount(), 100);
        assert_eq!(TaxRate::Standard.inside(Money::yen(1_109).unwrap()).amount(), 100);
        assert_eq!(TaxRate::Standard.inside(Money::yen(1_110).unwrap()).amount(), 100);
        assert_eq!(TaxRate::Standard.inside(Money::yen(1_111).unwrap()).amount(), 101);
        assert_eq!(TaxRate::Reduced.inside(Money::yen(1_080).unwrap()).amount(), 80);
        assert_eq!(TaxRate::Reduced.inside(Money::yen(1_079).unwrap()).amount(), 79);
    }

    #[test]
    fn negative_and_overflowing_amounts_are_refused() {
        assert!(Money::yen(-1).is_err());
        let much = Money::yen(Money::AMOUNT_MAX).unwrap();
        assert!(much.plus(Money::yen(1).unwrap()).is_err());
        assert!(much.times(Quantity::new(1_000_000).unwrap()).is_err());
    }
}
