//! The audit's actor: looks at the open sales again and again, keeps what it saw last, and has sales settled.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, ResponseFuture, WrapFuture};
use tokio::sync::Semaphore;

use super::balance::Light;
use super::error::AuditError;
use super::messages::*;
use super::settlement::{Bench, Settlement};
use super::watch::{Memory, Watch};
use crate::types::SaleId;

/// Within this time a breach is found, however it was made.
const FOUND_WITHIN: Duration = Duration::from_secs(5);
/// The pause after a round is so many times what the round took, so that the audit takes no more than a fifth of a core away
/// from the buyers of a large sale.
const REST: u32 = 4;
/// Of the largest sales a half, so that a breach is found in time all the same.
const REST_LEAST: u32 = 1;

/// The pause after a round. A breach that was made just after a round had begun is seen by the next one and told by the one
/// after that, which does not rest before it.
fn pause(every: Duration, took: Duration, is_suspicious: bool) -> Duration {
    if is_suspicious {
        return every;
    }
    let in_time = FOUND_WITHIN.saturating_sub(every + 3 * took);
    every.max(in_time.clamp(took * REST_LEAST, took * REST))
}

pub struct AuditActor {
    watch: Watch,
    bench: Bench,
    lights: HashMap<SaleId, Arc<Light>>,
    /// Settlements that may be made at the same time.
    places: Arc<Semaphore>,
}

impl AuditActor {
    pub fn new(watch: Watch, bench: Bench) -> Self {
        Self { watch, bench, lights: HashMap::new(), places: Arc::new(Semaphore::new(1)) }
    }

    fn look(&mut self, memory: Memory, context: &mut Context<Self>) {
        let (watch, began) = (self.watch.clone(), Instant::now());
        let round = async move { watch.look(memory).await };
        context.spawn(round.into_actor(self).map(move |(memory, seen), actor, context| {
            let Some(seen) = seen else {
                return actor.rest(began, memory, context);
            };
            // What was seen is shown at once, however long it takes to stop something for it.
            actor.show(seen);
            let (watch, lights) = (actor.watch.clone(), actor.lights.clone());
            let acting = async move { watch.act_on(memory, &lights).await };
            context.spawn(acting.into_actor(actor).map(move |memory, actor, context| {
                actor.rest(began, memory, context);
            }));
        }));
    }

    fn rest(&self, began: Instant, memory: Memory, context: &mut Context<Self>) {
        let pause = pause(self.watch.every, began.elapsed(), memory.is_suspicious());
        self.look_after(pause, memory, context);
    }

    fn look_after(&self, pause: Duration, memory: Memory, context: &mut Context<Self>) {
        // The memory is handed on from round to round; a life of the actor that ends takes it away.
        let mut memory = Some(memory);
        context.run_later(pause, move |actor, context| {
            actor.look(memory.take().unwrap_or_default(), context);
        });
    }

    fn show(&mut self, seen: HashMap<SaleId, Light>) {
        let gauge =
            |sale: &SaleId| metrics::gauge!("shobai_sale_invariant_broken", "sale" => sale.to_string());
        for sale in self.lights.keys().filter(|sale| !seen.contains_key(sale)) {
            gauge(sale).set(0.0);
        }
        for (sale, light) in &seen {
            gauge(sale).set(if light.is_green { 0.0 } else { 1.0 });
        }
        self.lights = seen.into_iter().map(|(sale, light)| (sale, Arc::new(light))).collect();
    }
}

impl Actor for AuditActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        self.look_after(self.watch.every, Memory::default(), context);
    }
}

impl Handler<GetLight> for AuditActor {
    type Result = Result<Option<Arc<Light>>, AuditError>;

    fn handle(&mut self, GetLight { sale }: GetLight, _: &mut Context<Self>) -> Self::Result {
        Ok(self.lights.get(&sale).cloned())
    }
}

impl Handler<GetSettlement> for AuditActor {
    type Result = ResponseFuture<Result<Arc<Settlement>, AuditError>>;

    fn handle(&mut self, GetSettlement { sale }: GetSettlement, _: &mut Context<Self>) -> Self::Result {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            return Box::pin(std::future::ready(Err(AuditError::Busy)));
        };
        let bench = self.bench.clone();
        Box::pin(async move {
            let settled = bench.settle(sale).await;
            drop(place);
            Ok(Arc::new(settled?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_sale_gets_its_rest_as_long_as_a_breach_is_found_in_time() {
        let milliseconds = Duration::from_millis;
        let every = milliseconds(1_000);
        for (took, rested) in
            [(10, 1_000), (250, 1_000), (400, 1_600), (500, 2_000), (700, 1_900), (2_000, 2_000)]
        {
            assert_eq!(pause(every, milliseconds(took), false), milliseconds(rested), "{took}");
            assert_eq!(pause(every, milliseconds(took), true), every, "{took}");
        }
        // Up to a second, whatever happens when.
        for took in 1..=1_000 {
            let took = milliseconds(took);
            let worst = took + pause(every, took, false) + took + pause(every, took, true) + took;
            assert!(worst <= FOUND_WITHIN, "{took:?}: {worst:?}");
        }
    }
}
