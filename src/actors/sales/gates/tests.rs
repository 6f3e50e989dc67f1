//! Gates, sales and orders for the tests of the gates.

use jiff::Timestamp;

use super::super::model::tests::sale;
use super::super::model::{Sale, SaleStatus};
use super::{GateRules, Gates, Paces, QuotaHold, QuotaRequest, Refusal};
use crate::actors::inventory::Line;
use crate::actors::waiting_room::PassKey;
use crate::types::{CustomerId, OrderId, Quantity, SaleId};

pub fn rules() -> GateRules {
    GateRules { key: PassKey::from_bytes(&[7; 32]).unwrap(), unpaid_max: Some(3) }
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub fn customer(number: u128) -> CustomerId {
    CustomerId::from_uuid(uuid::Uuid::from_u128(number))
}

pub fn request(number: u128, pieces: i64, second: i64) -> QuotaRequest {
    QuotaRequest {
        order: OrderId::generate(),
        customer: customer(number),
        is_staff: false,
        lines: vec![Line { sku: "LAMP".parse().unwrap(), quantity: Quantity::new(pieces).unwrap() }],
        is_konbini: false,
        also_known_as: Vec::new(),
        device: None,
        admission: None,
        arrived_at: at(second),
    }
}

pub fn gates(change: impl FnOnce(&mut Sale)) -> (Gates, SaleId) {
    let mut gates = Gates::new(1, rules(), Paces::default());
    let mut sale = sale(SaleStatus::Open);
    change(&mut sale);
    let id = sale.id;
    gates.enter(sale);
    (gates, id)
}

/// Holds the quota of an order at the moment of its arrival.
pub fn try_hold(gates: &mut Gates, request: &QuotaRequest) -> Result<Option<QuotaHold>, Refusal> {
    gates.hold(request, request.arrived_at)
}

pub fn gate(held: Result<Option<QuotaHold>, Refusal>) -> &'static str {
    match held {
        Ok(Some(_)) => "held",
        Ok(None) => "no sale",
        Err(refusal) => refusal.gate(),
    }
}

pub fn release(gates: &mut Gates, sale: SaleId, order: OrderId, now: Timestamp) {
    gates.release(Some(sale), order, now);
}
