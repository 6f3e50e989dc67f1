//! The sandbox provider: opens and voids payments at once, from what the message says alone.

use actix::{Actor, Context, Handler};
use jiff::Timestamp;

use super::error::PaymentsError;
use super::messages::*;
use super::model::{CardCharge, KonbiniChain, KonbiniSlip, Payment, PaymentMethod, PaymentStatus};
use super::webhooks::WebhookSecret;
use crate::types::OrderId;

const CONFIRMATION_NUMBER_DIGITS: u32 = 11;

/// Derives every answer from the order's id and its secret.
#[derive(Clone)]
pub struct PaymentsActor {
    secret: WebhookSecret,
}

impl PaymentsActor {
    pub fn new(secret: WebhookSecret) -> Self {
        Self { secret }
    }

    /// The slip of an order; its codes cannot be guessed from the order's id.
    fn slip(&self, order: OrderId, chain: KonbiniChain, pay_before: Timestamp) -> KonbiniSlip {
        let code = self.secret.code(&[b"konbini slip ", order.uuid().as_bytes()]);
        let digits = |bytes: &[u8], digits: u32| {
            let number = bytes.iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
            format!("{number:0width$}", number = number % 10_u64.pow(digits), width = digits as usize)
        };
        KonbiniSlip {
            chain,
            payment_code: digits(&code[..8], chain.payment_code_digits()),
            confirmation_number: digits(&code[8..16], CONFIRMATION_NUMBER_DIGITS),
            pay_before,
        }
    }

    fn open(&self, wanted: OpenPayment) -> Result<Payment, PaymentsError> {
        match wanted.method {
            PaymentMethod::Konbini { chain, phone: _ } => Ok(Payment::Konbini {
                status: PaymentStatus::Pending,
                konbini: self.slip(wanted.order, chain, wanted.pay_before),
            }),
            PaymentMethod::Card { token } if token.is_declined() => Err(PaymentsError::Declined),
            PaymentMethod::Card { .. } => Ok(Payment::Card {
                status: PaymentStatus::Captured,
                card: CardCharge { reference: format!("sandbox_{}", wanted.order.uuid().simple()) },
            }),
        }
    }
}

impl Actor for PaymentsActor {
    type Context = Context<Self>;
}

impl Handler<OpenPayment> for PaymentsActor {
    type Result = Result<Payment, PaymentsError>;

    fn handle(&mut self, message: OpenPayment, _: &mut Context<Self>) -> Self::Result {
        self.open(message)
    }
}

impl Handler<VoidPayment> for PaymentsActor {
    type Result = Result<Payment, PaymentsError>;

    fn handle(&mut self, message: VoidPayment, _: &mut Context<Self>) -> Self::Result {
        Ok(message.payment.void())
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;
    use crate::types::Money;

    fn opened(order: OrderId, method: PaymentMethod) -> Result<Payment, PaymentsError> {
        let pay_before = "2026-12-01T00:00:00Z".parse().unwrap();
        let amount = Money::yen(1_980).unwrap();
        PaymentsActor::new(WebhookSecret::for_tests()).open(OpenPayment { order, method, amount, pay_before })
    }

    #[test]
    fn the_same_order_gets_the_same_slip_and_another_order_another() {
        let order = OrderId::generate();
        for chain in KonbiniChain::VARIANTS.iter().copied() {
            let method = PaymentMethod::Konbini { chain, phone: "09012345678".parse().unwrap() };
            let first = opened(order, method.clone()).unwrap();
            assert_eq!(opened(order, method.clone()).unwrap(), first);
            assert_ne!(opened(OrderId::generate(), method).unwrap(), first);
            let Payment::Konbini { status: PaymentStatus::Pending, konbini } = first else {
                panic!("not a slip");
            };
            assert_eq!(konbini.payment_code.len(), chain.payment_code_digits() as usize);
            assert_eq!(konbini.confirmation_number.len(), 11);
        }
    }

    #[test]
    fn a_card_is_captured_at_once_or_declined() {
        let order = OrderId::generate();
        let captured = opened(order, PaymentMethod::Card { token: "tok_ok".parse().unwrap() }).unwrap();
        assert_eq!(captured.status(), PaymentStatus::Captured);
        let declined = opened(order, PaymentMethod::Card { token: "tok_declined".parse().unwrap() });
        assert!(matches!(declined, Err(PaymentsError::Declined)));
    }
}
