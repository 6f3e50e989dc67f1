//! One change at a time: what operators and the schedule do to a sale, and to the switch for everything, is done in the
//! order in which it was asked for. What keeps buyers out does not wait for that: it is in effect before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::types::SaleId;

/// What is changed: a sale, or the switch for everything.
type Subject = Option<SaleId>;

/// Cheap to clone; all clones share the turns.
#[derive(Clone, Default)]
pub(super) struct Turns {
    by_subject: Arc<Mutex<HashMap<Subject, Arc<tokio::sync::Mutex<()>>>>>,
}

impl Turns {
    /// Waits for those who asked before; it is this one's turn until the guard is dropped. Nobody holds one for longer than
    /// what they ask takes to answer, and all of that has deadlines.
    pub async fn take(&self, subject: Subject) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.by_subject.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever holds one or waits for it has it as well.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            turns.entry(subject).or_default().clone()
        };
        turn.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[actix_rt::test]
    async fn changes_of_one_sale_do_not_overlap_and_those_of_others_do_not_wait() {
        let (turns, one, other) = (Turns::default(), SaleId::generate(), SaleId::generate());
        let done = RefCell::new(Vec::new());
        let change = async |subject, name: &'static str| {
            let _turn = turns.take(subject).await;
            done.borrow_mut().push(format!("{name} begins"));
            tokio::task::yield_now().await;
            done.borrow_mut().push(format!("{name} ends"));
        };
        tokio::join!(change(Some(one), "first"), change(Some(one), "second"), change(Some(other), "third"));
        let done = done.into_inner();
        let place = |what: &str| done.iter().position(|it| it == what).unwrap();
        assert!(place("first ends") < place("second begins"), "{done:?}");
        assert!(place("third begins") < place("first ends"), "{done:?}");
        drop(turns.take(None).await);
        drop(turns.take(None).await);
        assert_eq!(turns.by_subject.lock().unwrap().len(), 1, "what is done is forgotten");
    }
}
