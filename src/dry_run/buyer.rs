//! A synthetic customer of a dry run: an id that no real customer has, a way to pay, a kind of behaviour.
//!
//! Of ten customers one comes too early, one wants more than the limit, and three pay at a konbini where the sale
//! allows it. With a waiting room no customer comes too early.

use jiff::Timestamp;
use strum::IntoStaticStr;
use uuid::Uuid;

use crate::actors::inventory::Line;
use crate::actors::orders::PlaceOrder;
use crate::actors::payments::{KonbiniChain, PaymentMethod};
use crate::types::{CustomerId, Quantity, Sku};

/// The most orders of a customer who wants more than the limit.
const GREEDY_ORDERS_MAX: i64 = 10;
/// One in this many konbini slips is never paid.
const UNPAID_SLIPS: u64 = 3;

/// A customer by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Buyer(u64);

impl Buyer {
    /// The ids are UUIDs of version 8 with this beginning; real customers have version 7.
    const FIRST_ID: u128 = 0x6472_792d_7275_8000_8000_0000_0000_0000;
    const LAST_ID: u128 = Self::FIRST_ID | 0x3fff_ffff_ffff_ffff;

    pub const fn of(number: u64) -> Self {
        Self(number)
    }

    /// The first and the last possible id.
    pub const fn ids() -> (Uuid, Uuid) {
        (Uuid::from_u128(Self::FIRST_ID), Uuid::from_u128(Self::LAST_ID))
    }

    pub const fn number(self) -> u64 {
        self.0
    }

    pub const fn id(self) -> CustomerId {
        CustomerId::from_uuid(Uuid::from_u128(Self::FIRST_ID | self.0 as u128))
    }

    /// An order of one piece, paid with this customer's own card.
    pub fn order_by_card(self, sku: &Sku, order: i64) -> anyhow::Result<PlaceOrder> {
        let token = format!("tok_ok_dryrun{}", self.0).parse()?;
        self.order(sku, order, PaymentMethod::Card { token })
    }

    /// An order of one piece, paid at a konbini under this customer's own phone number.
    pub fn order_by_konbini(self, sku: &Sku, order: i64) -> anyhow::Result<PlaceOrder> {
        let phone = format!("090{:08}", self.0 % 100_000_000).parse()?;
        self.order(sku, order, PaymentMethod::Konbini { chain: KonbiniChain::Lawson, phone })
    }

    fn order(self, sku: &Sku, order: i64, payment: PaymentMethod) -> anyhow::Result<PlaceOrder> {
        Ok(PlaceOrder {
            customer: self.id(),
            key: format!("dry-run-{order}").parse()?,
            lines: vec![Line { sku: sku.clone(), quantity: Quantity::new(1)? }],
            payment,
            is_staff: false,
            admission: None,
            device: None,
            arrived_at: Timestamp::now(),
        })
    }

    /// Whether this customer pays the konbini slip.
    pub const fn pays_slip(self) -> bool {
        !self.0.is_multiple_of(UNPAID_SLIPS)
    }
}

/// How a customer behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(super) enum CustomerKind {
    /// Comes before the opening.
    Early,
    /// Wants more than the limit.
    Greedy,
    Konbini,
    Card,
}

impl CustomerKind {
    pub const fn of(buyer: Buyer, is_konbini_allowed: bool, has_room: bool) -> Self {
        match buyer.0 % 10 {
            // With a waiting room, coming early means joining it.
            0 if !has_room => Self::Early,
            1 => Self::Greedy,
            2..5 if is_konbini_allowed => Self::Konbini,
            _ => Self::Card,
        }
    }

    pub fn as_str(self) -> &'static str {
        self.into()
    }

    pub fn orders(self, limit_per_customer: Option<i64>) -> i64 {
        match (self, limit_per_customer) {
            (Self::Greedy, Some(limit)) => (limit + 1).min(GREEDY_ORDERS_MAX),
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buyer_has_an_id_that_no_customer_of_a_shop_can_have() {
        let (first, last) = Buyer::ids();
        for number in [0, 1, 99_999, u64::MAX >> 2] {
            let id = Buyer::of(number).id().uuid();
            assert!((first..=last).contains(&id), "{id}");
            assert_eq!(id.get_version_num(), 8);
        }
        let customer = CustomerId::generate().uuid();
        assert!(!(first..=last).contains(&customer));
    }

    #[test]
    fn ten_customers_have_every_kind_in_its_share() {
        let kinds = |konbini, room| {
            (0..10).map(|number| CustomerKind::of(Buyer::of(number), konbini, room)).collect::<Vec<_>>()
        };
        let count = |kinds: &[CustomerKind], wanted| kinds.iter().filter(|kind| **kind == wanted).count();
        let all = kinds(true, false);
        assert_eq!(
            [CustomerKind::Early, CustomerKind::Greedy, CustomerKind::Konbini, CustomerKind::Card]
                .map(|kind| count(&all, kind)),
            [1, 1, 3, 5]
        );
        assert_eq!(count(&kinds(false, true), CustomerKind::Card), 9);
    }
}
