//! Locks that order the changes of one sale, and of the switch for everything, as they were asked for.
//!
//! A stop does not wait for its lock: the gates have it before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::types::SaleId;

/// What is changed: a sale, or the switch for everything.
type Subject = Option<SaleId>;

/// Cheap to clone; all clones share the locks.
#[derive(Clone, Default)]
pub(super) struct SaleLocks {
    by_subject: Arc<Mutex<HashMap<Subject, Arc<tokio::sync::Mutex<()>>>>>,
}

impl SaleLocks {
    /// Waits for the changes that were asked for before. The guard holds the lock. A change holds it for no longer than
    /// its questions to other domains and the database take, all of which have deadlines.
    pub async fn lock(&self, subject: Subject) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.by_subject.lock().unwrap_or_else(PoisonError::into_inner);
            // Each holder and each waiting change has a clone as well.
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            locks.entry(subject).or_default().clone()
        };
        lock.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[actix_rt::test]
    async fn changes_of_one_sale_do_not_overlap_and_those_of_others_do_not_wait() {
        let (locks, one, other) = (SaleLocks::default(), SaleId::generate(), SaleId::generate());
        let done = RefCell::new(Vec::new());
        let change = async |subject, name: &'static str| {
            let _lock = locks.lock(subject).await;
            done.borrow_mut().push(format!("{name} begins"));
            tokio::task::yield_now().await;
            done.borrow_mut().push(format!("{name} ends"));
        };
        tokio::join!(change(Some(one), "first"), change(Some(one), "second"), change(Some(other), "third"));
        let done = done.into_inner();
        let place = |what: &str| done.iter().position(|it| it == what).unwrap();
        assert!(place("first ends") < place("second begins"), "{done:?}");
        assert!(place("third begins") < place("first ends"), "{done:?}");
        drop(locks.lock(None).await);
        drop(locks.lock(None).await);
        assert_eq!(locks.by_subject.lock().unwrap().len(), 1, "locks that are free are forgotten");
    }
}
