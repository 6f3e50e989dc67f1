//! How the sales actor carries out the commands of operators.
//!
//! A stop is in effect before it is written: a database that hangs keeps no operator from stopping a sale.

use std::time::Instant;

use actix::{Addr, AsyncContext, Context, Handler, Message, ResponseFuture};
use jiff::Timestamp;

use super::{EnterSale, EnterSwitch, SalesActor};
use crate::actors::sales::error::SalesError;
use crate::actors::sales::gates::Refusal;
use crate::actors::sales::messages::{
    ChangeItem, CreateSale, ListProposals, MoveSale, ReplanSale, SwitchEverything, SwitchItem,
    WithdrawProposal,
};
use crate::actors::sales::model::{
    Action, CommandOutcome, ControlledAction, Halt, Initiator, Proposal, Sale,
};
use crate::types::{SaleId, Sku};

impl SalesActor {
    /// Whether an action needs no further approval, as far as is known here: then it is in effect before it is written.
    fn is_approved(&self, action: &ControlledAction, by: Initiator) -> bool {
        let now = Timestamp::now();
        self.service
            .first_of_two(action, by)
            .is_none_or(|by| self.proposals.iter().any(|proposal| proposal.is_approved_by(action, by, now)))
    }

    /// Awaits the change of a sale, then takes in the sale as it is then.
    fn carry_out<F>(&self, context: &Context<Self>, work: F) -> ResponseFuture<Result<Sale, SalesError>>
    where
        F: Future<Output = Result<Sale, SalesError>> + 'static,
    {
        let (actor, forgotten) = (context.address(), self.forgotten);
        Box::pin(async move {
            let sale = work.await?;
            // This fails only when the actor has ended; the next one loads the sale.
            let _ = actor.send(EnterSale { sale: sale.clone(), forgotten }).await;
            Ok(sale)
        })
    }
}

impl Handler<CreateSale> for SalesActor {
    type Result = ResponseFuture<Result<Sale, SalesError>>;

    fn handle(&mut self, message: CreateSale, context: &mut Context<Self>) -> Self::Result {
        let service = self.service.clone();
        self.carry_out(context, async move { service.create(message.draft, message.by).await })
    }
}

impl Handler<ReplanSale> for SalesActor {
    type Result = ResponseFuture<Result<Sale, SalesError>>;

    fn handle(&mut self, message: ReplanSale, context: &mut Context<Self>) -> Self::Result {
        let service = self.service.clone();
        self.carry_out(context, async move { service.replan(message).await })
    }
}

impl Handler<MoveSale> for SalesActor {
    type Result = ResponseFuture<Result<CommandOutcome<Sale>, SalesError>>;

    fn handle(&mut self, message: MoveSale, context: &mut Context<Self>) -> Self::Result {
        let MoveSale { sale, action, mut ends, by, reason } = message;
        let now = Instant::now();
        let stop = match action {
            Action::Kill if !self.is_approved(&ControlledAction::KillSale { sale }, by) => None,
            Action::Kill => Some(self.gates.set_stop(sale, Refusal::Stopped("the sale".to_owned()), now)),
            Action::Pause => Some(self.gates.set_stop(sale, Refusal::Paused, now)),
            action if action.keeps_out() => {
                Some(self.gates.set_stop(sale, Refusal::NotOpen { opens_in: None }, now))
            }
            _ => None,
        };
        let stops = match action {
            Action::Resume => {
                // By the state of the sale when the command arrives.
                let halt = match (ends, &*self.gates.halts(sale)) {
                    (Some(halt), _) | (None, &[halt]) => halt,
                    (None, []) => Halt::Pause,
                    (None, _) => return Box::pin(std::future::ready(Err(SalesError::TwoHalts))),
                };
                ends = Some(halt);
                StopsToLift::OfSale(halt, self.gates.last_stop())
            }
            _ => StopsToLift::One(stop),
        };
        let (service, actor, forgotten) = (self.service.clone(), context.address(), self.forgotten);
        Box::pin(async move {
            let moved = service.carry_out(sale, action, ends, by, &reason).await;
            match &moved {
                Ok(CommandOutcome::Done(moved)) => {
                    let _ = actor.send(EnterSale { sale: moved.clone(), forgotten }).await;
                    actor.do_send(Lift { sale, stops });
                }
                Ok(CommandOutcome::Proposed(_)) => actor.do_send(Lift { sale, stops }),
                // A refused command changed nothing, so buyers come in again. After a failure they stay out: the
                // operator does not know whether the sale is stopped.
                Err(error) if is_refusal(error) && action != Action::Resume => {
                    actor.do_send(Lift { sale, stops })
                }
                Err(_) => {}
            }
            if action == Action::Kill {
                tell_proposal(&actor, ControlledAction::KillSale { sale }, &moved).await;
            }
            moved
        })
    }
}

fn is_refusal(error: &SalesError) -> bool {
    use crate::error::{Fault as _, Kind};
    matches!(error.kind(), Kind::Conflict | Kind::NotFound | Kind::Invalid)
}

impl Handler<SwitchItem> for SalesActor {
    type Result = ResponseFuture<Result<CommandOutcome<Sale>, SalesError>>;

    fn handle(&mut self, message: SwitchItem, context: &mut Context<Self>) -> Self::Result {
        let (id, sku) = (message.sale, message.sku.clone());
        let action = message.stopped.then(|| ControlledAction::KillItem { sale: id, sku: sku.clone() });
        let stops = match &action {
            Some(action) => StopsToLift::One(
                self.is_approved(action, message.by)
                    .then(|| self.gates.set_sku_stop(id, &sku, Instant::now())),
            ),
            None => StopsToLift::OfSku(sku, self.gates.last_stop()),
        };
        let (service, actor, forgotten) = (self.service.clone(), context.address(), self.forgotten);
        Box::pin(async move {
            let switched = service.switch_item(message).await;
            match &switched {
                Ok(CommandOutcome::Done(sale)) => {
                    let _ = actor.send(EnterSale { sale: sale.clone(), forgotten }).await;
                    actor.do_send(Lift { sale: id, stops });
                }
                Ok(CommandOutcome::Proposed(_)) => actor.do_send(Lift { sale: id, stops }),
                Err(error) if is_refusal(error) && action.is_some() => {
                    actor.do_send(Lift { sale: id, stops })
                }
                Err(_) => {}
            }
            if let Some(action) = action {
                tell_proposal(&actor, action, &switched).await;
            }
            switched
        })
    }
}

/// Sent by the actor to itself: stops that are written into the sale by now, or were refused.
#[derive(Message)]
#[rtype(result = "()")]
struct Lift {
    sale: SaleId,
    stops: StopsToLift,
}

enum StopsToLift {
    /// The one that was set for the command, if it set one.
    One(Option<u64>),
    /// Those of a SKU that were set before it was resumed, up to a number.
    OfSku(Sku, u64),
    /// Those of the sale as a whole, up to a number.
    OfSale(Halt, u64),
}

impl Handler<Lift> for SalesActor {
    type Result = ();

    fn handle(&mut self, Lift { sale, stops }: Lift, _: &mut Context<Self>) {
        match stops {
            StopsToLift::One(stop) => stop.into_iter().for_each(|stop| self.gates.lift_stop(sale, stop)),
            StopsToLift::OfSku(sku, last) => self.gates.lift_sku_stops(sale, &sku, last),
            StopsToLift::OfSale(ended, last) => self.gates.lift_sale_stops(sale, ended, last),
        }
    }
}

/// The same for the switch of everything; the stop of a later command stays.
#[derive(Message)]
#[rtype(result = "()")]
struct LiftEverything {
    version: u64,
}

impl Handler<LiftEverything> for SalesActor {
    type Result = ();

    fn handle(&mut self, LiftEverything { version }: LiftEverything, _: &mut Context<Self>) {
        if version == self.switch_version {
            self.gates.lift_everything();
            self.list_switch();
        }
    }
}

impl Handler<SwitchEverything> for SalesActor {
    type Result = ResponseFuture<Result<CommandOutcome<bool>, SalesError>>;

    fn handle(&mut self, message: SwitchEverything, context: &mut Context<Self>) -> Self::Result {
        let SwitchEverything { stopped, by, reason } = message;
        let is_approved = !stopped || self.is_approved(&ControlledAction::KillEverything, by);
        if is_approved {
            // Of two commands that overlap, the later one counts.
            self.switch_version += 1;
        }
        if stopped && is_approved {
            self.gates.stop_everything();
            self.list_switch();
        }
        let version = self.switch_version;
        let (service, actor) = (self.service.clone(), context.address());
        Box::pin(async move {
            let switched = service.switch_everything(stopped, by, &reason).await;
            if stopped {
                tell_proposal(&actor, ControlledAction::KillEverything, &switched).await;
            }
            if let Ok(CommandOutcome::Done(stopped)) = switched {
                let _ = actor.send(EnterSwitch { stopped, version }).await;
            }
            // As with a sale: after a failure buyers stay out.
            let may_come_in = match &switched {
                Ok(_) => true,
                Err(error) => stopped && is_refusal(error),
            };
            if is_approved && may_come_in {
                actor.do_send(LiftEverything { version });
            }
            if let Ok(CommandOutcome::Done(true)) = switched {
                // Orders outside of sales are stopped by the list that orders copies.
                tokio::time::sleep_until(service.sale_skus.stopped_in_force_at().into()).await;
            }
            switched
        })
    }
}

impl Handler<ChangeItem> for SalesActor {
    type Result = ResponseFuture<Result<CommandOutcome<Sale>, SalesError>>;

    fn handle(&mut self, message: ChangeItem, context: &mut Context<Self>) -> Self::Result {
        let (service, actor, forgotten) = (self.service.clone(), context.address(), self.forgotten);
        let ChangeItem { sale, sku, allotment, expected, .. } = message.clone();
        Box::pin(async move {
            let changed = service.change_item(message).await;
            match &changed {
                Ok(CommandOutcome::Done(sale)) => {
                    let _ = actor.send(EnterSale { sale: sale.clone(), forgotten }).await;
                }
                Ok(CommandOutcome::Proposed(_)) => {}
                // Inventory may have changed the allotment although the plan was not written.
                Err(_) => actor.do_send(FollowAllotments { sale }),
            }
            tell_proposal(&actor, ControlledAction::Lower { sale, sku, allotment, expected }, &changed).await;
            changed
        })
    }
}

/// Sent by the actor to itself: the plan of a sale may differ from its allotments.
#[derive(Message)]
#[rtype(result = "()")]
struct FollowAllotments {
    sale: SaleId,
}

impl Handler<FollowAllotments> for SalesActor {
    type Result = ();

    fn handle(&mut self, FollowAllotments { sale }: FollowAllotments, context: &mut Context<Self>) {
        // A sale that is not known has no allotments.
        if self.gates.sale(sale).is_some() {
            self.follow_allotments(sale, context);
        }
    }
}

/// Tells the actor whether an action waits for a second operator by now.
async fn tell_proposal<T>(
    actor: &Addr<SalesActor>,
    action: ControlledAction,
    outcome: &Result<CommandOutcome<T>, SalesError>,
) {
    let kept = match outcome {
        Ok(CommandOutcome::Proposed(proposal)) => Some(proposal.clone()),
        Ok(CommandOutcome::Done(_)) => None,
        // The proposals are read again within a second.
        Err(_) => return,
    };
    let _ = actor.send(EnterProposal { action, kept }).await;
}

#[derive(Message)]
#[rtype(result = "()")]
struct EnterProposal {
    action: ControlledAction,
    kept: Option<Proposal>,
}

impl Handler<EnterProposal> for SalesActor {
    type Result = ();

    fn handle(&mut self, EnterProposal { action, kept }: EnterProposal, _: &mut Context<Self>) {
        self.proposals_version += 1;
        self.proposals.retain(|proposal| proposal.action != action);
        self.proposals.extend(kept);
    }
}

impl Handler<ListProposals> for SalesActor {
    type Result = Result<Vec<Proposal>, SalesError>;

    fn handle(&mut self, _: ListProposals, _: &mut Context<Self>) -> Self::Result {
        let now = Timestamp::now();
        Ok(self.proposals.iter().filter(|proposal| now < proposal.lapses_at).cloned().collect())
    }
}

impl Handler<WithdrawProposal> for SalesActor {
    type Result = ResponseFuture<Result<Proposal, SalesError>>;

    fn handle(&mut self, message: WithdrawProposal, context: &mut Context<Self>) -> Self::Result {
        let (service, actor) = (self.service.clone(), context.address());
        Box::pin(async move {
            let withdrawn = service.withdraw(message).await?;
            let _ = actor.send(EnterProposal { action: withdrawn.action.clone(), kept: None }).await;
            Ok(withdrawn)
        })
    }
}
