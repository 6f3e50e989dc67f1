//! What the sales actor does by itself: the schedule, refreshing what it read, and storing refusals.

use std::sync::Arc;
use std::time::Duration;

use actix::{AsyncContext, Context, Handler};
use jiff::Timestamp;

use super::loading::{BACK_OFF_MAX, until_done};
use super::{AllotmentsRead, EnterSale, EnterSwitch, SalesActor};
use crate::actors::runtime::{Background, RunsInBackground};
use crate::actors::sales::error::SalesError;
use crate::actors::sales::model::{Action, Sale, SaleStatus};
use crate::actors::sales::waiting_room::Figures;
use crate::storage::StorageError;
use crate::types::SaleId;

/// How long a sale waits at most before it is tried again to wind it up, or to arm it when pieces lacked.
const UNHURRIED_BACK_OFF_MAX: Duration = Duration::from_secs(8);
/// Refusals in one statement.
const REFUSALS_AT_ONCE: usize = 5_000;
const SECOND: Duration = Duration::from_secs(1);

/// What the actor does in the background; each task runs once at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// Carries out what is due of one sale.
    KeepSchedule(SaleId),
    /// Writes the allotments of one sale into its plan.
    FollowAllotments(SaleId),
    ReadAllotments,
    TellWaitingRoom,
    /// Reads sales, proposals and the switch again.
    Refresh,
    StoreRefusals,
}

impl RunsInBackground for SalesActor {
    type Task = Task;

    fn background(&mut self) -> &mut Background<Task> {
        &mut self.background
    }

    fn background_panicked(&mut self, task: Task, context: &mut Context<Self>) {
        // Everything else begins again at its interval.
        if let Task::FollowAllotments(sale) = task {
            context.run_later(BACK_OFF_MAX, move |actor, context| actor.follow_allotments(sale, context));
        }
    }
}

impl SalesActor {
    /// Tells the waiting room how the sales stand, again at once when it has to know more.
    pub(super) fn tell_waiting_room(&mut self, context: &mut Context<Self>) {
        if self.background.is_running(&Task::TellWaitingRoom) {
            return;
        }
        let allotments = &self.allotments;
        let figures = |sale| {
            let AllotmentsRead { at, allotments } = allotments.get(&sale)?;
            Some(Figures { allotments: allotments.as_slice(), read_at: *at })
        };
        let update = self.room_updates.next(&mut self.gates, figures, Timestamp::now());
        let observe_sales = self.service.needs.observe_sales.clone();
        let telling = async move { observe_sales.ask(update).await };
        self.run_in_background(
            Task::TellWaitingRoom,
            context,
            telling,
            |actor, answer, context| match answer {
                Ok(observed) => {
                    if actor.room_updates.answered(observed) {
                        actor.tell_waiting_room(context);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the waiting room could not be told how the sales stand")
                }
            },
        );
    }

    /// Carries out what is due by the schedule, all sales side by side.
    pub(super) fn keep_schedule(&mut self, context: &mut Context<Self>) {
        let now = Timestamp::now();
        let arm_from = now.checked_add(self.service.arm_before).unwrap_or(now);
        let due: Vec<(Arc<Sale>, Option<Action>)> = self
            .gates
            .sales()
            .filter(|sale| !self.background.is_running(&Task::KeepSchedule(sale.id)))
            .filter_map(|sale| match sale.due(now, arm_from) {
                Some(action) => Some((sale.clone(), Some(action))),
                None if sale.status.is_over() && !sale.is_stock_returned => Some((sale.clone(), None)),
                None if sale.status == SaleStatus::Draining => Some((sale.clone(), None)),
                None => None,
            })
            .collect();
        for (sale, action) in due {
            let id = sale.id;
            let failures = self.failures.get(&id).copied().unwrap_or(0);
            let (service, forgotten) = (self.service.clone(), self.forgotten);
            let keeping = async move {
                let kept = match action {
                    Some(action) => service.keep(&sale, action).await,
                    None => service.wind_up(&sale).await,
                };
                if let Err(error) = &kept {
                    // A sale that is to be armed or opened is late already, but pieces that lack come from elsewhere.
                    let lacks_pieces = matches!(error, SalesError::NotReady { .. });
                    let longest =
                        if action.is_some() && !lacks_pieces { SECOND } else { UNHURRIED_BACK_OFF_MAX };
                    let back_off = SECOND.saturating_mul(2_u32.saturating_pow(failures)).min(longest);
                    match failures {
                        0 => {
                            tracing::warn!(sale = %sale.id, %error, "the schedule of a sale could not be kept; it is tried again")
                        }
                        _ => {
                            tracing::debug!(sale = %sale.id, %error, ?back_off, "the schedule of a sale is not kept yet")
                        }
                    }
                    tokio::time::sleep(back_off).await;
                }
                kept.map_err(drop)
            };
            self.run_in_background(Task::KeepSchedule(id), context, keeping, move |actor, kept, context| {
                actor.enter_kept(id, kept, forgotten, context);
            });
        }
    }

    /// Takes in the sale that the schedule has changed or read; `None` when it did neither.
    fn enter_kept(
        &mut self,
        sale: SaleId,
        kept: Result<Option<Sale>, ()>,
        forgotten: u64,
        context: &mut Context<Self>,
    ) {
        match kept {
            Err(()) => *self.failures.entry(sale).or_default() += 1,
            Ok(now) => {
                if self.failures.remove(&sale).is_some() {
                    tracing::info!(%sale, "the schedule of a sale is kept again");
                }
                now.into_iter().for_each(|sale| self.handle(EnterSale { sale, forgotten }, context));
            }
        }
        self.forget_if_done(sale);
    }

    /// Reads the allotments of the sales that operators and customers look at.
    pub(super) fn read_allotments(&mut self, context: &mut Context<Self>) {
        let gated: Vec<SaleId> =
            self.gates.sales().filter(|sale| sale.status.is_gated()).map(|sale| sale.id).collect();
        self.allotments.retain(|sale, _| gated.contains(sale));
        if gated.is_empty() {
            return;
        }
        let service = self.service.clone();
        let reading = async move {
            let mut all = Vec::with_capacity(gated.len());
            for sale in gated {
                let at = Timestamp::now();
                match service.allotments(sale).await {
                    Ok(allotments) => {
                        all.push((sale, AllotmentsRead { at, allotments: Arc::new(allotments) }))
                    }
                    Err(error) => {
                        tracing::debug!(%sale, %error, "the allotments of a sale could not be read")
                    }
                }
            }
            all
        };
        self.run_in_background(Task::ReadAllotments, context, reading, |actor, all, _| {
            actor.allotments.extend(all)
        });
    }

    /// Reads the sales, the proposals and the switch again, so that what an earlier actor or another engine wrote is in
    /// effect within a second.
    pub(super) fn refresh(&mut self, context: &mut Context<Self>) {
        let (store, version) = (self.service.store.clone(), self.switch_version);
        let (proposals_version, forgotten) = (self.proposals_version, self.forgotten);
        let reading = async move {
            let sales = store.list_sales(true, i64::MAX).await?;
            let proposals = store.list_proposals(Timestamp::now()).await?;
            Ok::<_, StorageError>((sales, proposals, store.find_switch().await?))
        };
        self.run_in_background(Task::Refresh, context, reading, move |actor, read, context| match read {
            Ok((sales, proposals, stopped)) => {
                sales.into_iter().for_each(|sale| actor.handle(EnterSale { sale, forgotten }, context));
                if proposals_version == actor.proposals_version {
                    actor.proposals = proposals;
                }
                actor.handle(EnterSwitch { stopped, version }, context);
            }
            Err(error) => tracing::debug!(%error, "the sales could not be read again"),
        });
    }

    /// Retries writing changed allotments of a sale into its plan that a crash or outage interrupted.
    pub(super) fn follow_allotments(&mut self, sale: SaleId, context: &mut Context<Self>) {
        let (service, forgotten) = (self.service.clone(), self.forgotten);
        let following = async move {
            until_done("a changed allotment is not written into its plan yet", async || {
                service.follow_allotments(sale).await
            })
            .await
        };
        self.run_in_background(
            Task::FollowAllotments(sale),
            context,
            following,
            move |actor, found, context| {
                actor.handle(EnterSale { sale: found, forgotten }, context);
            },
        );
    }

    /// Stores the refusals of the last second, after they were answered: a crash loses at most these. Refusals that
    /// cannot be stored are stored with the next second's; if the outcome of storing them is unknown, they count twice.
    pub(super) fn store_refusals(&mut self, context: &mut Context<Self>) {
        if self.background.is_running(&Task::StoreRefusals) {
            return;
        }
        let mut refusals = self.gates.take_refusals();
        if refusals.is_empty() {
            return;
        }
        // All writers lock the rows in the same order.
        refusals.sort_unstable_by(|(sale, customer, refused), (other_sale, other_customer, other)| {
            (sale, customer, &refused.gate).cmp(&(other_sale, other_customer, &other.gate))
        });
        let store = self.service.store.clone();
        let storing = async move {
            let mut unwritten = Vec::new();
            for some in refusals.chunks(REFUSALS_AT_ONCE) {
                if let Err(error) = store.count_refusals(some).await {
                    tracing::warn!(%error, count = some.len(), "refusals are stored later");
                    unwritten.extend_from_slice(some);
                }
            }
            unwritten
        };
        self.run_in_background(Task::StoreRefusals, context, storing, |actor, unwritten, _| {
            actor.gates.keep_refusals(unwritten);
        });
    }
}
