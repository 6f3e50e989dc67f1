//! Idempotency keys whose first request is still on its way: later ones with the same key wait for its answer.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use tokio::sync::watch;

use super::error::OrdersError;
use super::messages::Placed;
use super::model::IdempotencyKey;
use crate::types::CustomerId;

/// SHA-256 of a request in its canonical form.
pub(super) type RequestHash = [u8; 32];

type Answer = Option<Result<Placed, OrdersError>>;
type Name = (CustomerId, IdempotencyKey);

/// Shared by the answers on their way, all on the arbiter of the orders actor.
#[derive(Clone, Default)]
pub(super) struct KeysInFlight {
    keys: Rc<RefCell<HashMap<Name, First>>>,
}

struct First {
    request: RequestHash,
    answer: watch::Receiver<Answer>,
}

pub(super) enum Claim {
    /// Nobody else is at it; the answer must be given to the guard.
    First(InFlight),
    /// Somebody is; wait here for the answer.
    Wait(watch::Receiver<Answer>),
    /// Somebody is, with another request.
    Reused,
}

impl KeysInFlight {
    pub(super) fn claim(&self, customer: CustomerId, key: IdempotencyKey, request: RequestHash) -> Claim {
        let name = (customer, key);
        let mut keys = self.keys.borrow_mut();
        match keys.get(&name) {
            Some(first) if first.request == request => Claim::Wait(first.answer.clone()),
            Some(_) => Claim::Reused,
            None => {
                let (answer, receiver) = watch::channel(None);
                keys.insert(name.clone(), First { request, answer: receiver });
                Claim::First(InFlight { keys: self.clone(), name, answer })
            }
        }
    }
}

/// The first request of a key, until it is answered or dies.
pub(super) struct InFlight {
    keys: KeysInFlight,
    name: Name,
    answer: watch::Sender<Answer>,
}

impl InFlight {
    pub(super) fn answer(self, answer: &Result<Placed, OrdersError>) {
        if self.answer.receiver_count() > 1 {
            self.answer.send_replace(Some(answer.clone()));
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.keys.keys.borrow_mut().remove(&self.name);
    }
}

/// The answer of the first request, as its repetition hears it.
pub(super) async fn first_answer(mut answer: watch::Receiver<Answer>) -> Result<Placed, OrdersError> {
    match answer.wait_for(Option::is_some).await {
        Ok(answer) => match &*answer {
            Some(Ok(placed)) => Ok(Placed { replayed: true, ..placed.clone() }),
            Some(Err(error)) => Err(error.clone()),
            None => Err(OrdersError::Unknown),
        },
        Err(_) => Err(OrdersError::Unknown),
    }
}
