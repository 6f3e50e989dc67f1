//! Rules of stock, by subject; pure: time is a parameter, and no function waits.

mod allotment;
mod command;
mod holds;
mod movement;
mod reservation;
mod sku_stock;
mod stock;
#[cfg(test)]
mod tests;

pub use allotment::{Allotment, AllotmentChange};
pub use command::{Change, Command, Decision, HoldChange, HoldStep, Reply};
pub use holds::REMEMBER_ENDED_FOR;
pub use movement::{Movement, MovementKind};
pub use reservation::{
    Claimed, Hold, HoldAges, HoldRecord, Line, OpenHolds, Purpose, Reservation, ReservationState, SaleClaim,
};
pub use sku_stock::SkuStock;
pub use stock::{Figures, Stock};
