//! Typed identifiers, all UUIDv7 generated in Rust, so that they sort by creation.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id that sorts after every id that this process generated before.
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self)
            }
        }
    };
}

id!(
    /// A user: a customer, or a member of staff or an admin, who sign in in the same way.
    CustomerId
);
id!(OrderId);
id!(ProductId);
id!(ProposalId);
id!(
    /// Pieces held under one id. The reservation of an order has the id of the order.
    ReservationId
);
id!(SaleId);
id!(SessionId);

impl From<OrderId> for ReservationId {
    fn from(order: OrderId) -> Self {
        Self(order.0)
    }
}

impl From<ReservationId> for OrderId {
    fn from(reservation: ReservationId) -> Self {
        Self(reservation.0)
    }
}
