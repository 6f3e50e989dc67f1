//! State that one domain owns and others keep a replica of: the owner publishes its changes, a message has the snapshot.
//!
//! A replica subscribes first and asks for the snapshot afterwards, so that it misses no change in between; applying a
//! change twice must do no harm. Changes and snapshot are values that can be serialised, so a subscriber may also be one
//! that sends them on to another process.

use std::sync::{Arc, PoisonError, RwLock};

type Apply<C> = Box<dyn Fn(&C) + Send + Sync>;

/// The changes of a state, as its owner publishes them; all clones have the same subscribers.
pub struct Feed<C> {
    subscribers: Arc<RwLock<Vec<Apply<C>>>>,
}

impl<C> Feed<C> {
    /// Every change that is published from now on is given to `apply`, which must not block.
    pub fn subscribe(&self, apply: impl Fn(&C) + Send + Sync + 'static) {
        self.subscribers.write().unwrap_or_else(PoisonError::into_inner).push(Box::new(apply));
    }

    /// Gives the change to every subscriber; the replicas in this process have applied it when this returns.
    pub fn publish(&self, change: &C) {
        let subscribers = self.subscribers.read().unwrap_or_else(PoisonError::into_inner);
        subscribers.iter().for_each(|apply| apply(change));
    }
}

impl<C> Default for Feed<C> {
    fn default() -> Self {
        Self { subscribers: Arc::default() }
    }
}

impl<C> Clone for Feed<C> {
    fn clone(&self) -> Self {
        Self { subscribers: self.subscribers.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn every_subscriber_has_a_change_when_it_is_published() {
        let feed = Feed::default();
        feed.publish(&0);
        let replicas: [Arc<Mutex<Vec<i32>>>; 2] = Default::default();
        for replica in &replicas {
            let replica = replica.clone();
            feed.subscribe(move |change| replica.lock().unwrap().push(*change));
        }
        feed.clone().publish(&1);
        feed.publish(&2);
        for replica in &replicas {
            assert_eq!(*replica.lock().unwrap(), [1, 2]);
        }
    }
}
