//! The audit's actor: audits the open sales in rounds, keeps the last status of each, and has settlements made.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, ResponseFuture, WrapFuture};
use tokio::sync::Semaphore;

use super::balance::AuditStatus;
use super::decisions::{self, Decisions};
use super::domain::AuditNeeds;
use super::error::AuditError;
use super::messages::*;
use super::sale_auditor::{AuditorState, SaleAuditor};
use super::settlement::{Settlement, SettlementBuilder};
use crate::types::SaleId;

/// A breach is found within this time, whenever it happened.
const FOUND_WITHIN: Duration = Duration::from_secs(5);
/// The pause after a round is this many times the round, so that the audit takes at most a fifth of a core away from
/// the buyers of a large sale.
const PAUSE_FACTOR: u32 = 4;
/// In the largest sales the audit takes half a core, so that a breach is still found in time.
const PAUSE_FACTOR_LEAST: u32 = 1;

/// The pause after a round that took `took`. A breach that happens just after a round has begun is suspected by the
/// next round and confirmed by the one after, which follows without a long pause.
fn pause(every: Duration, took: Duration, is_suspicious: bool) -> Duration {
    if is_suspicious {
        return every;
    }
    let in_time = FOUND_WITHIN.saturating_sub(every + 3 * took);
    every.max(in_time.clamp(took * PAUSE_FACTOR_LEAST, took * PAUSE_FACTOR))
}

pub struct AuditActor {
    auditor: SaleAuditor,
    settlements: SettlementBuilder,
    needs: AuditNeeds,
    statuses: HashMap<SaleId, Arc<AuditStatus>>,
    /// One settlement is made at a time.
    settlement_slot: Arc<Semaphore>,
}

impl AuditActor {
    pub fn new(auditor: SaleAuditor, settlements: SettlementBuilder, needs: AuditNeeds) -> Self {
        let settlement_slot = Arc::new(Semaphore::new(1));
        Self { auditor, settlements, needs, statuses: HashMap::new(), settlement_slot }
    }

    fn audit(&mut self, state: AuditorState, context: &mut Context<Self>) {
        let (auditor, began) = (self.auditor.clone(), Instant::now());
        let round = async move { auditor.audit(state).await };
        context.spawn(round.into_actor(self).map(move |(state, statuses), actor, context| {
            let Some(statuses) = statuses else {
                return actor.schedule_next(began, state, context);
            };
            // The statuses are visible at once, however long stopping a SKU takes.
            actor.publish(statuses);
            let (auditor, statuses) = (actor.auditor.clone(), actor.statuses.clone());
            let acting = async move { auditor.act_on(state, &statuses).await };
            context.spawn(acting.into_actor(actor).map(move |state, actor, context| {
                actor.schedule_next(began, state, context);
            }));
        }));
    }

    fn schedule_next(&self, began: Instant, state: AuditorState, context: &mut Context<Self>) {
        let pause = pause(self.auditor.every, began.elapsed(), state.is_suspicious());
        self.audit_after(pause, state, context);
    }

    fn audit_after(&self, pause: Duration, state: AuditorState, context: &mut Context<Self>) {
        // The state is handed from round to round; it is lost when the actor is replaced.
        let mut state = Some(state);
        context.run_later(pause, move |actor, context| {
            actor.audit(state.take().unwrap_or_default(), context);
        });
    }

    fn publish(&mut self, statuses: HashMap<SaleId, AuditStatus>) {
        let gauge =
            |sale: &SaleId| metrics::gauge!("shobai_sale_invariant_broken", "sale" => sale.to_string());
        for sale in self.statuses.keys().filter(|sale| !statuses.contains_key(sale)) {
            gauge(sale).set(0.0);
        }
        for (sale, status) in &statuses {
            gauge(sale).set(if status.is_green { 0.0 } else { 1.0 });
        }
        self.statuses = statuses.into_iter().map(|(sale, status)| (sale, Arc::new(status))).collect();
    }
}

impl Actor for AuditActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        self.audit_after(self.auditor.every, AuditorState::default(), context);
    }
}

impl Handler<GetAuditStatus> for AuditActor {
    type Result = Result<Option<Arc<AuditStatus>>, AuditError>;

    fn handle(&mut self, GetAuditStatus { sale }: GetAuditStatus, _: &mut Context<Self>) -> Self::Result {
        Ok(self.statuses.get(&sale).cloned())
    }
}

impl Handler<GetSettlement> for AuditActor {
    type Result = ResponseFuture<Result<Arc<Settlement>, AuditError>>;

    fn handle(&mut self, GetSettlement { sale }: GetSettlement, _: &mut Context<Self>) -> Self::Result {
        let Ok(slot) = self.settlement_slot.clone().try_acquire_owned() else {
            return Box::pin(std::future::ready(Err(AuditError::Busy)));
        };
        let settlements = self.settlements.clone();
        Box::pin(async move {
            let settled = settlements.settle(sale).await;
            drop(slot);
            Ok(Arc::new(settled?))
        })
    }
}

impl Handler<ExplainDecisions> for AuditActor {
    type Result = ResponseFuture<Result<Decisions, AuditError>>;

    fn handle(&mut self, question: ExplainDecisions, _: &mut Context<Self>) -> Self::Result {
        let needs = self.needs.clone();
        Box::pin(async move { decisions::explain(&needs, question).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_sale_gets_long_pauses_while_a_breach_is_still_found_in_time() {
        let milliseconds = Duration::from_millis;
        let every = milliseconds(1_000);
        for (took, paused) in
            [(10, 1_000), (250, 1_000), (400, 1_600), (500, 2_000), (700, 1_900), (2_000, 2_000)]
        {
            assert_eq!(pause(every, milliseconds(took), false), milliseconds(paused), "{took}");
            assert_eq!(pause(every, milliseconds(took), true), every, "{took}");
        }
        // Holds for rounds of up to a second, whenever the breach happens.
        for took in 1..=1_000 {
            let took = milliseconds(took);
            let worst = took + pause(every, took, false) + took + pause(every, took, true) + took;
            assert!(worst <= FOUND_WITHIN, "{took:?}: {worst:?}");
        }
    }
}
