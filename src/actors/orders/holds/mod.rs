//! Everything that an order holds, by one contract (`types/hold.rs`): taken in this order, released in reverse.
//!
//! ```text
//! checkout     take: quota → stock      one refused? → release those taken before, the last one first
//! settlement   paid → confirm           cancelled, expired → release
//! reconcile    held, and its order never came to be → release
//! ```
//!
//! Another kind (a delivery slot, points) is one more file that implements [`Hold`], and one more line in `kinds!`.

mod quota;
mod stock;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;

use self::quota::Quota;
use self::stock::Stock;
use super::domain::OrdersNeeds;
use super::error::OrdersError;
use super::messages::PlaceOrder;
use super::model::Order;
use crate::actors::catalog::Quote;
use crate::actors::inventory::Line;
use crate::actors::runtime::failpoint;
use crate::types::{CustomerId, OrderId, SaleId, Sku};

pub(super) use self::quota::{HeldQuota, note_accepted};

/// How much longer everything is held than the customer may pay: the order expires first and releases what it holds
/// itself, and a payment in the last second still finds its pieces.
const HOLD_BEYOND_PAYMENT: Duration = Duration::from_secs(15 * 60);

/// An order that is being placed, as far as it is known by now.
pub(super) struct Draft<'a> {
    pub id: OrderId,
    pub wanted: &'a PlaceOrder,
    /// Each SKU once.
    pub lines: Vec<Line>,
    /// In pairs with the lines.
    pub quotes: Vec<Quote>,
    pub created_at: Timestamp,
    /// How long the customer may take to pay.
    pub pay_within: Duration,
    /// Whether sales must decide about it.
    pub asks_sales: bool,
    /// Of the sale that it is in.
    pub quota: Option<HeldQuota>,
}

impl Draft<'_> {
    pub fn pay_before(&self) -> Timestamp {
        after(self.created_at, self.pay_within)
    }

    /// The expiry of everything that it holds.
    fn expires_at(&self) -> Timestamp {
        after(self.pay_before(), HOLD_BEYOND_PAYMENT)
    }

    pub fn sale(&self) -> Option<SaleId> {
        self.quota.as_ref().map(HeldQuota::sale)
    }

    pub fn held(&self) -> Held {
        let skus = self.lines.iter().map(|line| line.sku.clone()).collect();
        Held { order: self.id, sale: self.sale(), skus }
    }
}

/// What an order holds, by the order's id.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub order: OrderId,
    /// `None`: it holds no quota.
    pub sale: Option<SaleId>,
    /// Empty where they are not known.
    pub skus: Vec<Sku>,
}

impl Held {
    pub fn by(order: &Order) -> Self {
        Self { order: order.id, sale: order.sale, skus: order.skus() }
    }
}

/// Why what an order holds is released.
#[derive(Debug, Clone, Copy)]
pub(super) enum ReleaseReason<'a> {
    /// It was not placed.
    NotPlaced {
        customer: CustomerId,
        error: &'a OrdersError,
    },
    /// A crash kept it from being placed.
    NeverPlaced,
    Cancelled,
    Expired,
}

/// What became of a confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Confirmation {
    Confirmed,
    /// The hold had ended, and what it held is gone.
    Lost,
}

/// One kind of thing that an order holds.
trait Hold {
    /// Takes it for a new order. Refuses when there is not enough. A hold whose answer is lost is released by its kind, or
    /// found by the sweep.
    async fn hold(needs: &OrdersNeeds, draft: &mut Draft<'_>) -> Result<(), OrdersError>;

    /// Holds it once more after all kinds were taken. For a kind that is kept in memory: its owner may have begun anew since,
    /// when there was no row yet to count it by.
    async fn hold_again(_: &OrdersNeeds, _: &Draft<'_>) -> Result<(), OrdersError> {
        Ok(())
    }

    /// Its order is paid.
    async fn confirm(needs: &OrdersNeeds, held: &Held) -> Result<Confirmation, OrdersError>;

    /// Gives it back. Where there is no hold, this changes nothing.
    async fn release(needs: &OrdersNeeds, held: &Held, reason: ReleaseReason<'_>) -> Result<(), OrdersError>;

    /// Releases it in the background after `release` failed. For a kind that the sweep may not find.
    fn release_later(_: &OrdersNeeds, _: &Held) {}

    /// Those that are held for orders begun before a time and after an order, oldest first: the sweep looks whether
    /// their orders exist.
    async fn list_held(
        needs: &OrdersNeeds,
        begun_before: Timestamp,
        after: Option<OrderId>,
        limit: i64,
    ) -> Result<Vec<Held>, OrdersError>;
}

macro_rules! kinds {
    ($($kind:ident,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
        #[strum(serialize_all = "snake_case")]
        pub(super) enum Kind { $($kind,)* }

        impl Kind {
            pub const ALL: [Self; [$(Self::$kind,)*].len()] = [$(Self::$kind,)*];

            async fn hold(self, needs: &OrdersNeeds, draft: &mut Draft<'_>) -> Result<(), OrdersError> {
                match self { $(Self::$kind => $kind::hold(needs, draft).await,)* }
            }

            async fn hold_again(self, needs: &OrdersNeeds, draft: &Draft<'_>) -> Result<(), OrdersError> {
                match self { $(Self::$kind => $kind::hold_again(needs, draft).await,)* }
            }

            async fn confirm(self, needs: &OrdersNeeds, held: &Held) -> Result<Confirmation, OrdersError> {
                match self { $(Self::$kind => $kind::confirm(needs, held).await,)* }
            }

            async fn release(
                self,
                needs: &OrdersNeeds,
                held: &Held,
                reason: ReleaseReason<'_>,
            ) -> Result<(), OrdersError> {
                match self { $(Self::$kind => $kind::release(needs, held, reason).await,)* }
            }

            fn release_later(self, needs: &OrdersNeeds, held: &Held) {
                match self { $(Self::$kind => $kind::release_later(needs, held),)* }
            }

            pub async fn list_held(
                self,
                needs: &OrdersNeeds,
                begun_before: Timestamp,
                after: Option<OrderId>,
                limit: i64,
            ) -> Result<Vec<Held>, OrdersError> {
                match self {
                    $(Self::$kind => $kind::list_held(needs, begun_before, after, limit).await,)*
                }
            }
        }
    };
}

// In the order in which they are taken. The stock comes after the quota, whose claimants its rows keep.
kinds! {
    Quota,
    Stock,
}

/// Takes everything that the order needs; all of it or, after a refusal or failure, nothing.
pub(super) async fn take(needs: &OrdersNeeds, draft: &mut Draft<'_>) -> Result<(), OrdersError> {
    for (taken, kind) in Kind::ALL.into_iter().enumerate() {
        failpoint::hit("hold", format_args!("{} {}", <&str>::from(kind), draft.wanted.customer));
        if let Err(error) = kind.hold(needs, draft).await {
            let reason = ReleaseReason::NotPlaced { customer: draft.wanted.customer, error: &error };
            release_each(needs, &Kind::ALL[..taken], &draft.held(), reason).await;
            return Err(error);
        }
    }
    for kind in Kind::ALL {
        if let Err(error) = kind.hold_again(needs, draft).await {
            let reason = ReleaseReason::NotPlaced { customer: draft.wanted.customer, error: &error };
            undo(needs, &draft.held(), reason).await;
            return Err(error);
        }
    }
    Ok(())
}

/// Confirms everything, the last one taken first, until something is lost.
pub(super) async fn confirm(needs: &OrdersNeeds, held: &Held) -> Result<Confirmation, OrdersError> {
    for kind in Kind::ALL.into_iter().rev() {
        if kind.confirm(needs, held).await? == Confirmation::Lost {
            return Ok(Confirmation::Lost);
        }
    }
    Ok(Confirmation::Confirmed)
}

/// Releases everything, the last one taken first, until something fails: it is released again later, and in this order.
pub(super) async fn release(
    needs: &OrdersNeeds,
    held: &Held,
    reason: ReleaseReason<'_>,
) -> Result<(), OrdersError> {
    for kind in Kind::ALL.into_iter().rev() {
        kind.release(needs, held, reason).await?;
    }
    Ok(())
}

/// Releases everything of an order that does not come to be, the last one taken first, each whatever becomes of the
/// others. True if all of it was released.
pub(super) async fn undo(needs: &OrdersNeeds, held: &Held, reason: ReleaseReason<'_>) -> bool {
    release_each(needs, &Kind::ALL, held, reason).await
}

async fn release_each(needs: &OrdersNeeds, kinds: &[Kind], held: &Held, reason: ReleaseReason<'_>) -> bool {
    let mut all = true;
    for kind in kinds.iter().rev() {
        if let Err(error) = kind.release(needs, held, reason).await {
            let name: &str = kind.into();
            tracing::warn!(order = %held.order, kind = name, %error, "what an order held is released later");
            kind.release_later(needs, held);
            all = false;
        }
    }
    all
}

fn after(time: Timestamp, span: Duration) -> Timestamp {
    time.checked_add(span).unwrap_or(Timestamp::MAX)
}
