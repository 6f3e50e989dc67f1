//! Payments as the engine wires it: what it answers, and how it starts and drains.

use std::time::Duration;

use super::actor::PaymentsActor;
use super::error::PaymentsError;
use super::messages::*;
use super::webhooks::WebhookSecret;
use crate::actors::runtime::{Domain, Handle, Host, contract};

contract! {
    /// What payments answers.
    pub struct PaymentsPorts of PaymentsActor, PaymentsError {
        open_payment: OpenPayment,
        void_payment: VoidPayment,
    }
}

pub struct PaymentsDomain {
    pub ports: PaymentsPorts,
    actor: Handle<PaymentsActor>,
}

impl PaymentsDomain {
    pub fn start(host: &Host, secret: WebhookSecret) -> Self {
        let actor =
            host.supervise("payments", &host.coordinators(), move || PaymentsActor::new(secret.clone()));
        Self { ports: PaymentsPorts::of(&actor), actor }
    }
}

impl Domain for PaymentsDomain {
    async fn drain(&self, within: Duration) {
        self.actor.drain(within).await;
    }
}
