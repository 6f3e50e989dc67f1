//! Idempotency keys that are known without reading the database: those of requests in flight, whose repetitions wait for
//! the first answer, and the last ones that became orders.
//!
//! The second kind spares stock: a repetition that is not recognised holds pieces until the unique constraint finds its
//! key used, and meanwhile another customer could be refused the last one.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use tokio::sync::watch;

use super::error::OrdersError;
use super::messages::Placed;
use super::model::IdempotencyKey;
use crate::types::{CustomerId, OrderId};

/// SHA-256 of a request in its canonical form.
pub(super) type RequestHash = [u8; 32];

type Answer = Option<Result<Placed, OrdersError>>;
type Name = (CustomerId, IdempotencyKey);

/// Shared by the running answers, which are all on the arbiter of the orders actor.
#[derive(Clone)]
pub(super) struct KnownKeys {
    keys: Rc<RefCell<Keys>>,
}

struct Keys {
    in_flight: HashMap<Name, First>,
    ordered: HashMap<Name, Ordered>,
    /// Names of `ordered`, the oldest first.
    oldest: VecDeque<Name>,
    ordered_max: usize,
}

struct First {
    request: RequestHash,
    answer: watch::Receiver<Answer>,
}

/// What a key became.
struct Ordered {
    request: RequestHash,
    order: OrderId,
}

pub(super) enum Claim {
    /// The key is new; the answer must be given to the guard.
    First(InFlight),
    /// The first request of the key is in flight; its answer comes here.
    Wait(watch::Receiver<Answer>),
    /// It became this order.
    Ordered(OrderId),
    /// The key was used with another request.
    Reused,
}

impl KnownKeys {
    /// Remembers at most `ordered_max` keys that became orders.
    pub(super) fn new(ordered_max: usize) -> Self {
        let keys =
            Keys { in_flight: HashMap::new(), ordered: HashMap::new(), oldest: VecDeque::new(), ordered_max };
        Self { keys: Rc::new(RefCell::new(keys)) }
    }

    pub(super) fn claim(&self, customer: CustomerId, key: IdempotencyKey, request: RequestHash) -> Claim {
        let name = (customer, key);
        let mut keys = self.keys.borrow_mut();
        if let Some(first) = keys.in_flight.get(&name) {
            return if first.request == request { Claim::Wait(first.answer.clone()) } else { Claim::Reused };
        }
        if let Some(ordered) = keys.ordered.get(&name) {
            return if ordered.request == request { Claim::Ordered(ordered.order) } else { Claim::Reused };
        }
        let (answer, receiver) = watch::channel(None);
        keys.in_flight.insert(name.clone(), First { request, answer: receiver });
        Claim::First(InFlight { keys: self.clone(), name, request, answer })
    }
}

impl Keys {
    fn remember(&mut self, name: &Name, ordered: Ordered) {
        if self.ordered_max == 0 {
            return;
        }
        if self.ordered.insert(name.clone(), ordered).is_none() {
            self.oldest.push_back(name.clone());
        }
        if self.ordered.len() > self.ordered_max
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.ordered.remove(&oldest);
        }
    }
}

/// The first request of a key, until it is answered or dropped.
pub(super) struct InFlight {
    keys: KnownKeys,
    name: Name,
    request: RequestHash,
    answer: watch::Sender<Answer>,
}

impl InFlight {
    pub(super) fn answer(self, answer: &Result<Placed, OrdersError>) {
        if let Ok(placed) = answer {
            let ordered = Ordered { request: self.request, order: placed.order.id };
            self.keys.keys.borrow_mut().remember(&self.name, ordered);
        }
        if self.answer.receiver_count() > 1 {
            self.answer.send_replace(Some(answer.clone()));
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.keys.keys.borrow_mut().in_flight.remove(&self.name);
    }
}

/// The answer of the first request, for its repetition.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_keys_are_remembered_and_older_ones_forgotten() {
        let keys = KnownKeys::new(2);
        let customer = CustomerId::generate();
        let ordered = |number: usize, request: u8| {
            let key = format!("key-{number}").parse().unwrap();
            keys.claim(customer, key, [request; 32])
        };
        for number in 0..3 {
            let Claim::First(first) = ordered(number, 1) else { panic!("key {number} is new") };
            assert!(matches!(ordered(number, 1), Claim::Wait(_)));
            assert!(matches!(ordered(number, 2), Claim::Reused));
            let order = Ordered { request: first.request, order: OrderId::generate() };
            keys.keys.borrow_mut().remember(&first.name, order);
        }
        assert!(matches!(ordered(0, 1), Claim::First(_)), "forgotten; the database knows it");
        for number in 1..3 {
            assert!(matches!(ordered(number, 1), Claim::Ordered(_)));
            assert!(matches!(ordered(number, 2), Claim::Reused));
        }
        assert_eq!(keys.keys.borrow().ordered.len(), keys.keys.borrow().oldest.len());
        assert!(keys.keys.borrow().in_flight.is_empty());
    }
}
