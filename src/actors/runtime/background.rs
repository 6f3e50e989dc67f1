//! Runs a piece of work beside an actor's messages, then does something with its result on the actor.
//!
//! - A task does not begin while the same task of this actor is running.
//! - The work runs to its end even if the actor ends first, so that no database future is dropped half-way. Its result is
//!   then dropped: the next actor loads its state anew.
//! - A panic in the work does not end the actor. It is logged, the task counts as ended, and the actor is told by
//!   [`RunsInBackground::background_panicked`]; by default the task runs again when the actor begins it again.
//!
//! Work whose result decides what the actor may answer at all, such as loading its state, belongs into `Context::wait`.

use std::collections::HashSet;
use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, WrapFuture};

/// The tasks of an actor that are running.
#[derive(Debug)]
pub struct Background<T> {
    running: HashSet<T>,
}

impl<T> Default for Background<T> {
    fn default() -> Self {
        Self { running: HashSet::new() }
    }
}

impl<T: Eq + Hash> Background<T> {
    pub fn is_running(&self, task: &T) -> bool {
        self.running.contains(task)
    }
}

/// An actor that runs work in the background.
pub trait RunsInBackground: Actor<Context = Context<Self>> {
    /// The name of a task, with its key where there is one for each of many things.
    type Task: Clone + Debug + Eq + Hash + 'static;

    fn background(&mut self) -> &mut Background<Self::Task>;

    /// Runs `work`, then `then` with its result on the actor. Answers false, and runs neither, while the same task is
    /// running.
    fn run_in_background<W>(
        &mut self,
        task: Self::Task,
        context: &mut Context<Self>,
        work: W,
        then: impl FnOnce(&mut Self, W::Output, &mut Context<Self>) + 'static,
    ) -> bool
    where
        W: Future + 'static,
    {
        if !self.background().running.insert(task.clone()) {
            return false;
        }
        // A runtime task of its own, which outlives the actor and catches its panic.
        let running = actix_rt::spawn(work);
        context.spawn(running.into_actor(self).map(move |outcome, actor, context| {
            actor.background().running.remove(&task);
            match outcome {
                Ok(result) => then(actor, result, context),
                Err(error) => {
                    tracing::error!(?task, %error, "work of an actor in the background did not end");
                    actor.background_panicked(task, context);
                }
            }
        }));
        true
    }

    /// What the actor does after a task panicked.
    fn background_panicked(&mut self, _task: Self::Task, _context: &mut Context<Self>) {}
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::sync::Arc;

    use actix::{Handler, Message};
    use tokio::sync::Semaphore;

    use super::*;

    #[derive(Default)]
    struct Counter {
        background: Background<u8>,
        results: Vec<u8>,
        panicked: Vec<u8>,
    }

    impl Actor for Counter {
        type Context = Context<Self>;
    }

    impl RunsInBackground for Counter {
        type Task = u8;

        fn background(&mut self) -> &mut Background<u8> {
            &mut self.background
        }

        fn background_panicked(&mut self, task: u8, _: &mut Context<Self>) {
            self.panicked.push(task);
        }
    }

    type Job = Box<dyn FnOnce(&mut Counter, &mut Context<Counter>) -> Vec<u8> + Send>;

    #[derive(Message)]
    #[rtype(result = "Vec<u8>")]
    struct Do(Job);

    impl Handler<Do> for Counter {
        type Result = Vec<u8>;

        fn handle(&mut self, Do(job): Do, context: &mut Context<Self>) -> Vec<u8> {
            job(self, context)
        }
    }

    #[actix_rt::test]
    async fn a_task_runs_once_at_a_time_and_other_tasks_run_beside_it() {
        let actor = Counter::default().start();
        let go = Arc::new(Semaphore::new(0));
        let wait = go.clone();
        let begun = actor.send(Do(Box::new(move |actor, context| {
            let mut begin = |task: u8| {
                let wait = wait.clone();
                let work = async move {
                    drop(wait.acquire().await);
                    task
                };
                actor.run_in_background(task, context, work, |actor, task, _| actor.results.push(task))
            };
            vec![begin(1).into(), begin(1).into(), begin(2).into()]
        })));
        assert_eq!(begun.await.unwrap(), [1, 0, 1]);
        go.add_permits(2);
        let results = async || actor.send(Do(Box::new(|actor, _| actor.results.clone()))).await.unwrap();
        while results().await.len() < 2 {
            tokio::task::yield_now().await;
        }
        let is_running = Do(Box::new(|actor, _| vec![actor.background.is_running(&1).into()]));
        assert_eq!(actor.send(is_running).await.unwrap(), [0]);
    }

    #[actix_rt::test]
    async fn a_panic_of_the_work_ends_the_task_and_not_the_actor() {
        let actor = Counter::default().start();
        let panics = Do(Box::new(|actor, context| {
            actor.run_in_background(7, context, async { panic!("on purpose") }, |_, (), _| {});
            Vec::new()
        }));
        actor.send(panics).await.unwrap();
        let panicked = async || actor.send(Do(Box::new(|actor, _| actor.panicked.clone()))).await.unwrap();
        while panicked().await.is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(panicked().await, [7]);
    }

    #[actix_rt::test]
    async fn work_goes_on_when_its_actor_has_ended() {
        let (done, go) = (Rc::new(Cell::new(false)), Arc::new(Semaphore::new(0)));
        let mut context = Context::new();
        let mut actor = Counter::default();
        let (written, wait) = (done.clone(), go.clone());
        let work = async move {
            drop(wait.acquire().await);
            written.set(true);
        };
        actor.run_in_background(1, &mut context, work, |_, (), _| {});
        drop((context, actor));
        go.add_permits(2);
        while !done.get() {
            tokio::task::yield_now().await;
        }
    }
}
