//! Keeps an actor alive: builds it from a closure, catches its panic, backs off, builds it again.
//!
//! `actix::Supervisor` neither catches a panic nor builds a new actor, so that one panic would end the actor and make
//! every address of it useless. Here the address is published in a watch channel, where a [`Handle`] finds the new one.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext, Context};
use actix_rt::ArbiterHandle;
use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::time::Instant;

use super::handle::{AskLimits, Handle};

const BACK_OFF_FIRST: Duration = Duration::from_millis(10);
const BACK_OFF_MAX: Duration = Duration::from_secs(5);
/// An actor that ran this long is restarted with the shortest back-off again.
const STEADY_AFTER: Duration = Duration::from_secs(30);

/// Runs the actor that `build` makes on the arbiter, and builds it again whenever it ends.
///
/// `build` is called on the arbiter's own thread; an actor keeps no state that it cannot load again.
pub fn supervise<A, F>(name: &'static str, arbiter: &ArbiterHandle, limits: AskLimits, build: F) -> Handle<A>
where
    A: Actor<Context = Context<A>>,
    F: Fn() -> A + Send + 'static,
{
    let (publish, address) = watch::channel(None);
    arbiter.spawn_fn(move || drop(actix_rt::spawn(run_forever(name, publish, build))));
    Handle::new(name, address, limits)
}

async fn run_forever<A, F>(name: &'static str, publish: watch::Sender<Option<Addr<A>>>, build: F)
where
    A: Actor<Context = Context<A>>,
    F: Fn() -> A,
{
    let restarts = metrics::counter!("shobai_actor_restarts_total", "actor" => name);
    let mut back_off = BACK_OFF_FIRST;
    loop {
        let context = unbounded_context::<A>();
        publish.send_replace(Some(context.address()));
        let began = Instant::now();
        let panicked = run_guarded(context, &build).await;
        publish.send_replace(None);
        restarts.increment(1);
        if began.elapsed() > STEADY_AFTER {
            back_off = BACK_OFF_FIRST;
        }
        tracing::error!(actor = name, panicked, ?back_off, "actor ended; building it again");
        tokio::time::sleep(back_off).await;
        back_off = (back_off * 2).min(BACK_OFF_MAX);
    }
}

/// Runs work that never ends on the arbiter; after a panic it is started again, with a pause before.
pub fn keep_going<W>(name: &'static str, arbiter: &ArbiterHandle, work: impl Fn() -> W + Send + 'static)
where
    W: Future<Output = ()> + 'static,
{
    arbiter.spawn_fn(move || {
        actix_rt::spawn(async move {
            let restarts = metrics::counter!("shobai_actor_restarts_total", "actor" => name);
            while AssertUnwindSafe(work()).catch_unwind().await.is_err() {
                restarts.increment(1);
                tracing::error!(work = name, "panicked; it starts again");
                tokio::time::sleep(BACK_OFF_MAX).await;
            }
        });
    });
}

/// Runs an actor until it ends; true when a panic ended it.
pub(crate) async fn run_guarded<A, F>(context: Context<A>, build: F) -> bool
where
    A: Actor<Context = Context<A>>,
    F: FnOnce() -> A,
{
    AssertUnwindSafe(async move { context.into_future(build()).await }).catch_unwind().await.is_err()
}

/// A context whose mailbox has no bound: actix's own does not hold for `send`, so that a handle's slots bound it
/// instead.
pub(crate) fn unbounded_context<A: Actor<Context = Context<A>>>() -> Context<A> {
    let mut context = Context::new();
    context.set_mailbox_capacity(0);
    context
}
