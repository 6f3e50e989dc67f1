//! How a sale gets from one status to the next, with what has to happen to the stock on the way.
//!
//! ```text
//! arm:   set every SKU's pieces apart → all ready? → write "armed"      (if not: give them back)
//! close: write "closed" → give back what is left of every SKU           (again after a crash in between)
//! ```

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;

use super::domain::SalesNeeds;
use super::error::SalesError;
use super::gates::{GateRules, Paces};
use super::messages::{ChangeItem, ReplanSale, SwitchItem, WithdrawProposal};
use super::model::{Action, Actor, Finding, Halt, Sale, SaleDraft, SaleItem, SaleStatus};
use super::proposals::{Agreement, Proposal, Steered, Wish};
use super::sale_skus::SaleSkuList;
use super::store::{Act, SalesStore};
use super::turns::Turns;
use crate::actors::catalog::QuoteSkus;
use crate::actors::inventory::{
    AllotStock, Allotment, ChangeAllotment, CloseAllotment, CountOpenHolds, GetStock, InventoryError,
    ListAllotments, OpenHolds,
};
use crate::actors::waiting_room::{Pacing, PassKey, Seed};
use crate::config::SecondOperator;
use crate::error::Fault as _;
use crate::types::{CustomerId, ProposalId, Quantity, SaleId, Sku};

/// SKUs of one sale that are looked after at the same time.
const AT_ONCE: usize = 16;
/// How often a change is tried that somebody else's change overtook.
const ATTEMPTS: usize = 4;
/// Accounts, and devices, whose pace is remembered, in 16 bytes each.
const PACED_MAX: usize = 131_072;
const BY_THE_SCHEDULE: &str = "by the schedule";

/// Everything that it takes to carry out what operators and the schedule want; cheap to clone.
#[derive(Clone)]
pub struct Office {
    pub(super) store: SalesStore,
    pub(super) ports: SalesNeeds,
    pub(super) key: PassKey,
    turns: Turns,
    /// Follows the gates; orders copies it.
    pub(super) sale_skus: SaleSkuList,
    pub(super) arm_before: Duration,
    pub(super) schedule_every: Duration,
    drain_within: Duration,
    /// Orders of one account in a sale that may wait for their payment; nothing: any number.
    unpaid_max: Option<u32>,
    /// Between the orders of one account, and of one device, in sales; nothing: no pace is kept.
    order_every: Option<Duration>,
    orders_at_once: NonZeroU32,
    hold_seconds_max: i64,
    /// What needs a second operator, how long the first one's wish waits, and how many may.
    second_operator: Vec<SecondOperator>,
    proposals_lapse_after: Duration,
    proposals_max: u32,
}

impl Office {
    pub fn new(store: SalesStore, ports: SalesNeeds, key: PassKey, config: &crate::config::Config) -> Self {
        Self {
            store,
            ports,
            key,
            turns: Turns::default(),
            sale_skus: SaleSkuList::new(Timestamp::now()),
            arm_before: Duration::from_secs(config.sales.arm_before_seconds),
            schedule_every: Duration::from_millis(config.sales.schedule_every_ms),
            drain_within: Duration::from_secs(config.sales.drain_within_seconds),
            unpaid_max: Some(config.sales.unpaid_orders_max).filter(|most| *most > 0),
            order_every: Some(Duration::from_millis(config.sales.order_every_ms))
                .filter(|every| !every.is_zero()),
            orders_at_once: NonZeroU32::new(config.sales.orders_at_once).unwrap_or(NonZeroU32::MIN),
            hold_seconds_max: i64::try_from(config.inventory.hold_seconds_max).unwrap_or(i64::MAX),
            second_operator: config.sales.second_operator.clone(),
            proposals_lapse_after: Duration::from_secs(config.sales.proposal_seconds),
            proposals_max: config.sales.proposals_max,
        }
    }

    pub(super) fn paces(&self) -> Paces {
        let pacing = || self.order_every.map(|every| Pacing::new(every, self.orders_at_once, PACED_MAX));
        Paces { accounts: pacing(), devices: pacing() }
    }

    pub(super) fn gate_rules(&self) -> GateRules {
        GateRules { key: self.key.clone(), unpaid_max: self.unpaid_max }
    }

    pub(super) async fn sale(&self, id: SaleId) -> Result<Sale, SalesError> {
        self.store.find_sale(id).await?.ok_or(SalesError::UnknownSale(id))
    }

    pub(super) async fn create(&self, draft: SaleDraft, by: Actor) -> Result<Sale, SalesError> {
        self.check_plan(&draft)?;
        let id = SaleId::generate();
        let seed = Seed::generate().map_err(|error| SalesError::Broken(error.to_string()))?;
        let act = Act { by, proposed_by: None, reason: "planned", at: Timestamp::now() };
        self.store.insert_sale(id, &draft, &seed, &act).await?;
        self.sale(id).await
    }

    /// Refuses what no sale can be, with every problem at once.
    fn check_plan(&self, draft: &SaleDraft) -> Result<(), SalesError> {
        let findings = draft.problems(self.hold_seconds_max);
        if findings.is_empty() { Ok(()) } else { Err(SalesError::NotValid { findings }) }
    }

    pub(super) async fn replan(&self, wanted: ReplanSale) -> Result<Sale, SalesError> {
        let ReplanSale { sale: id, version, draft, by } = wanted;
        self.check_plan(&draft)?;
        let _turn = self.turns.take(Some(id)).await;
        let sale = self.sale(id).await?;
        if sale.status != SaleStatus::Draft {
            return Err(SalesError::NotADraft { status: sale.status });
        }
        let act = Act { by, proposed_by: None, reason: "planned anew", at: Timestamp::now() };
        // What somebody else planned meanwhile is not undone unseen.
        if sale.version != version || !self.store.replan_sale(&sale, &draft, &act).await? {
            return Err(SalesError::Overtaken);
        }
        self.sale(id).await
    }

    /// Everything that keeps a sale from being run as it is planned.
    pub(super) async fn validate(&self, sale: &Sale) -> Result<Vec<Finding>, SalesError> {
        let mut findings = sale.draft.problems(self.hold_seconds_max);
        if sale.draft.closes_at <= Timestamp::now() {
            findings.push(Finding::new("closes_at", "is in the past"));
        }
        findings.extend(self.store.find_overlapping_skus(sale, self.drain_within).await?);
        let parts = self.ports.list_allotments.ask(ListAllotments { sale: sale.id }).await?;
        let looked_at = stream::iter(sale.draft.items.iter().enumerate()).map(|(index, item)| {
            let has_part = open_part(&parts, &item.sku).is_some();
            async move {
                let mut found = Vec::new();
                let quote = self.ports.quote_skus.ask(QuoteSkus { skus: vec![item.sku.clone()] }).await;
                if let Err(error) = quote {
                    found.push(Finding::new(format!("items[{index}].sku"), error.to_string()));
                }
                if has_part {
                    return found;
                }
                match self.shortage(index, item).await {
                    Ok(shortage) => found.extend(shortage),
                    Err(error) => {
                        found.push(Finding::new(format!("items[{index}].allotment"), error.to_string()))
                    }
                }
                found
            }
        });
        let found: Vec<Vec<Finding>> = looked_at.buffered(AT_ONCE).collect().await;
        findings.extend(found.into_iter().flatten());
        Ok(findings)
    }

    /// Whether general stock has too few pieces of an item that has none set apart yet.
    async fn shortage(&self, index: usize, item: &SaleItem) -> Result<Option<Finding>, InventoryError> {
        let stock = self.ports.get_stock.ask(GetStock { sku: item.sku.clone() }).await?;
        let (wanted, available) = (item.allotment.get(), stock.available());
        let problem = || format!("{wanted} pieces of {} are planned and {available} are available", item.sku);
        Ok((available < wanted).then(|| Finding::new(format!("items[{index}].allotment"), problem())))
    }

    /// Whoever wishes something that a second operator has to agree to; nothing where one is enough, as the engine itself is.
    pub(super) fn first_of_two(&self, wish: &Wish, by: Actor) -> Option<CustomerId> {
        by.filter(|_| self.second_operator.contains(&wish.control()))
    }

    /// Lets a wish be carried out, unless it needs a second operator and this is the first: then it is proposed. Whatever may
    /// need one is asked for here before it is done, wherever the wish comes from.
    async fn agree(&self, wish: Wish, by: Actor, reason: &str) -> Result<Agreement, SalesError> {
        let Some(by) = self.first_of_two(&wish, by) else {
            return Ok(Agreement::Given { proposed_by: None });
        };
        let at = Timestamp::now();
        let lapses_at = at.checked_add(self.proposals_lapse_after).unwrap_or(Timestamp::MAX);
        let reason = reason.to_owned();
        let proposal = Proposal { id: ProposalId::generate(), wish, by, reason, at, lapses_at };
        self.store.agree(proposal, self.proposals_max).await
    }

    /// A wish that two agreed on was carried out. Until then the agreement stands, so that what fails can be tried again.
    async fn is_done(&self, wish: &Wish, agreed: Option<Actor>) {
        if agreed.flatten().is_some()
            && let Err(error) = self.store.take_proposal(wish).await
        {
            tracing::warn!(%error, "a proposal that was carried out waits until it lapses");
        }
    }

    /// Does something to a sale, on somebody's word.
    pub(super) async fn carry_out(
        &self,
        id: SaleId,
        action: Action,
        ends: Option<Halt>,
        by: Actor,
        reason: &str,
    ) -> Result<Steered<Sale>, SalesError> {
        let _turn = self.turns.take(Some(id)).await;
        let mut was_made_ready = false;
        let mut agreed = None;
        for _ in 0..ATTEMPTS {
            let sale = self.sale(id).await?;
            let drains_until = Timestamp::now().checked_add(self.drain_within).unwrap_or(Timestamp::MAX);
            let next = match (action, ends) {
                (Action::Resume, Some(halt)) => sale.after_resume(halt),
                _ => sale.after(action, drains_until),
            };
            let next = match next {
                Ok(Some(next)) => next,
                Ok(None) => return Ok(Steered::Done(sale)),
                Err(refusal) => {
                    // Whoever else writes to the database ended it while its pieces were set apart.
                    if was_made_ready && sale.status.is_over() {
                        self.give_back(&sale).await?;
                    }
                    return Err(refusal);
                }
            };
            match action {
                Action::Schedule => {
                    let findings = self.validate(&sale).await?;
                    if !findings.is_empty() {
                        return Err(SalesError::NotValid { findings });
                    }
                }
                Action::Arm => {
                    // From then on no order of its SKUs is decided upon without the gates.
                    let listed_everywhere_at = self.sale_skus.add(&sale, Instant::now());
                    tokio::time::sleep_until(listed_everywhere_at.into()).await;
                    self.make_ready(&sale).await?;
                    was_made_ready = true;
                }
                // A settlement is final, so nothing of it may be open.
                Action::Settle => {
                    let OpenHolds { orders, until } =
                        self.ports.count_open_holds.ask(CountOpenHolds { sale: id }).await?;
                    if let Some(until) = until {
                        return Err(SalesError::OrdersOpen { orders, until });
                    }
                }
                Action::Kill if agreed.is_none() => {
                    match self.agree(Wish::KillSale { sale: id }, by, reason).await? {
                        Agreement::Given { proposed_by } => agreed = Some(proposed_by),
                        Agreement::Awaited(proposal) => return Ok(Steered::Proposed(proposal)),
                    }
                }
                _ => {}
            }
            let act = Act { by, proposed_by: agreed.flatten(), reason, at: Timestamp::now() };
            if self.store.move_sale(&sale, &next, action, &act, self.drain_within).await? {
                tracing::info!(sale = %id, action = action.as_str(), reason, "a sale was moved");
                self.is_done(&Wish::KillSale { sale: id }, agreed).await;
                if !next.status.is_over() {
                    return Ok(Steered::Done(next));
                }
                // Where its stock cannot be given back now, the schedule does it again.
                return Ok(Steered::Done(match self.return_stock(&next).await {
                    Ok(returned) => returned,
                    Err(error) => {
                        tracing::warn!(sale = %id, %error, "what a sale did not sell is given back later");
                        next
                    }
                }));
            }
        }
        Err(SalesError::Overtaken)
    }

    /// What the schedule wants; answers with the sale as it is then.
    pub(super) async fn keep(&self, sale: &Sale, action: Action) -> Result<Option<Sale>, SalesError> {
        match self.carry_out(sale.id, action, None, None, BY_THE_SCHEDULE).await {
            Ok(Steered::Done(sale)) => Ok(Some(sale)),
            // Nobody is asked about what the engine does by itself.
            Ok(Steered::Proposed(_)) => Ok(None),
            // Somebody was faster; this is how it is now.
            Err(SalesError::NotInStatus { .. }) => Ok(Some(self.sale(sale.id).await?)),
            Err(error) => Err(error),
        }
    }

    /// Looks whether a sale that drains has nothing left to wait for, and whether one that is over has pieces to return.
    pub(super) async fn wind_up(&self, sale: &Sale) -> Result<Option<Sale>, SalesError> {
        if sale.status == SaleStatus::Draining {
            let parts = self.parts(sale.id).await?;
            return match parts.iter().all(|(_, part)| part.held == 0) {
                true => self.keep(sale, Action::Close).await,
                false => Ok(None),
            };
        }
        self.return_stock(sale).await.map(Some)
    }

    /// Gives back what a sale that is over did not sell.
    async fn return_stock(&self, sale: &Sale) -> Result<Sale, SalesError> {
        self.give_back(sale).await?;
        self.store.mark_stock_returned(sale.id).await?;
        Ok(Sale { is_stock_returned: true, ..sale.clone() })
    }

    /// Writes down what the stock's owner has of a sale where the plan says something else: the engine was killed between the
    /// two, or the plan could not be written. Answers with the sale as it is then.
    pub(super) async fn follow_parts(&self, id: SaleId) -> Result<Sale, SalesError> {
        let _turn = self.turns.take(Some(id)).await;
        let parts = self.parts(id).await?;
        let mut sale = self.sale(id).await?;
        for item in sale.draft.items.clone() {
            let Some(part) = open_part(&parts, &item.sku) else { continue };
            let pieces = Quantity::new(part.allotment)?;
            if pieces != item.allotment {
                let reason = "as many as are set apart";
                let act = Act { by: None, proposed_by: None, reason, at: Timestamp::now() };
                if !self.store.change_item(&sale, &item, pieces, &act).await? {
                    return Err(SalesError::Overtaken);
                }
                sale = self.sale(id).await?;
            }
        }
        Ok(sale)
    }

    pub(super) async fn parts(&self, sale: SaleId) -> Result<Vec<(Sku, Allotment)>, SalesError> {
        Ok(self.ports.list_allotments.ask(ListAllotments { sale }).await?)
    }

    /// Opens the connections, then sets the pieces of every SKU apart, which starts its actor and loads its figures; all SKUs or
    /// none.
    async fn make_ready(&self, sale: &Sale) -> Result<(), SalesError> {
        self.store.warm_up().await?;
        let is_broken = |error: &InventoryError| error.kind().http_status() >= 500;
        // Looked at first, so that nothing moves for a sale that lacks pieces; what cannot be looked at is told below.
        let parts = self.parts(sale.id).await?;
        let lacks = stream::iter(sale.draft.items.iter().enumerate()).map(|(index, item)| {
            let has_part = open_part(&parts, &item.sku).is_some();
            async move { if has_part { None } else { self.shortage(index, item).await.ok().flatten() } }
        });
        let findings: Vec<Finding> = lacks.buffered(AT_ONCE).filter_map(std::future::ready).collect().await;
        if !findings.is_empty() {
            self.give_back(sale).await?;
            return Err(SalesError::NotReady { findings });
        }
        let skus: Vec<Sku> = sale.draft.items.iter().map(|item| item.sku.clone()).collect();
        self.ports.quote_skus.ask(QuoteSkus { skus }).await?;
        let asked = stream::iter(sale.draft.items.iter().enumerate()).map(|(index, item)| async move {
            let allot = AllotStock { sale: sale.id, sku: item.sku.clone(), pieces: item.allotment };
            let allotted = self.ports.allot_stock.ask(allot).await;
            // Why something is broken is for the log.
            let told = |error: &InventoryError| match is_broken(error) {
                true => format!("{} cannot be made ready at this moment", item.sku),
                false => error.to_string(),
            };
            allotted.err().map(|error| (Finding::new(format!("items[{index}]"), told(&error)), error))
        });
        let failed: Vec<(Finding, InventoryError)> =
            asked.buffered(AT_ONCE).filter_map(std::future::ready).collect().await;
        if failed.is_empty() {
            return Ok(());
        }
        let (findings, errors): (Vec<_>, Vec<_>) = failed.into_iter().unzip();
        // What failed without being refused may be tried again, and will find what was set apart.
        if let Some(because) = errors.into_iter().find(is_broken) {
            return Err(SalesError::NotReadyYet { findings, because });
        }
        self.give_back(sale).await?;
        Err(SalesError::NotReady { findings })
    }

    async fn give_back(&self, sale: &Sale) -> Result<(), SalesError> {
        let closed = stream::iter(&sale.draft.items).map(|item| {
            let close = CloseAllotment { sale: sale.id, sku: item.sku.clone() };
            self.ports.close_allotment.ask(close)
        });
        let closed: Vec<Result<(), InventoryError>> = closed.buffered(AT_ONCE).collect().await;
        for closed in closed {
            match closed {
                Ok(()) | Err(InventoryError::UnknownSku(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    pub(super) async fn switch_item(&self, wanted: SwitchItem) -> Result<Steered<Sale>, SalesError> {
        let SwitchItem { sale: id, sku, stopped, by, reason } = wanted;
        let _turn = self.turns.take(Some(id)).await;
        let mut agreed = None;
        for _ in 0..ATTEMPTS {
            let sale = self.sale(id).await?;
            if sale.item(&sku).is_none() {
                return Err(SalesError::UnknownItem(sku));
            }
            if sale.stopped_skus.contains(&sku) == stopped {
                return Ok(Steered::Done(sale));
            }
            if stopped && sale.status.is_over() {
                let (status, action) = (sale.status, Action::Kill);
                return Err(SalesError::NotInStatus { sale: id, status, action });
            }
            if stopped && agreed.is_none() {
                match self.agree(Wish::KillItem { sale: id, sku: sku.clone() }, by, &reason).await? {
                    Agreement::Given { proposed_by } => agreed = Some(proposed_by),
                    Agreement::Awaited(proposal) => return Ok(Steered::Proposed(proposal)),
                }
            }
            let act = Act { by, proposed_by: agreed.flatten(), reason: &reason, at: Timestamp::now() };
            if self.store.switch_item(&sale, &sku, stopped, &act).await? {
                self.is_done(&Wish::KillItem { sale: id, sku }, agreed).await;
                return self.sale(id).await.map(Steered::Done);
            }
        }
        Err(SalesError::Overtaken)
    }

    pub(super) async fn switch_everything(
        &self,
        stopped: bool,
        by: Actor,
        reason: &str,
    ) -> Result<Steered<bool>, SalesError> {
        let _turn = self.turns.take(None).await;
        let mut agreed = None;
        if stopped && !self.store.find_switch().await? {
            match self.agree(Wish::KillEverything, by, reason).await? {
                Agreement::Given { proposed_by } => agreed = Some(proposed_by),
                Agreement::Awaited(proposal) => return Ok(Steered::Proposed(proposal)),
            }
        }
        let act = Act { by, proposed_by: agreed.flatten(), reason, at: Timestamp::now() };
        self.store.turn_switch(stopped, &act).await?;
        self.is_done(&Wish::KillEverything, agreed).await;
        Ok(Steered::Done(stopped))
    }

    pub(super) async fn withdraw(&self, wanted: WithdrawProposal) -> Result<Proposal, SalesError> {
        let WithdrawProposal { proposal: id, by, reason } = wanted;
        let withdrawn = self.store.withdraw_proposal(id, by, &reason, Timestamp::now()).await?;
        withdrawn.ok_or(SalesError::UnknownProposal(id))
    }

    /// The stock's owner decides; the plan follows.
    pub(super) async fn change_item(&self, wanted: ChangeItem) -> Result<Steered<Sale>, SalesError> {
        let ChangeItem { sale: id, sku, allotment, expected, by, reason } = wanted;
        let _turn = self.turns.take(Some(id)).await;
        let mut agreed = None;
        for _ in 0..ATTEMPTS {
            let sale = self.sale(id).await?;
            let item = sale.item(&sku).ok_or_else(|| SalesError::UnknownItem(sku.clone()))?;
            if !matches!(sale.status, SaleStatus::Armed | SaleStatus::Open | SaleStatus::Paused) {
                return Err(SalesError::PiecesFixed { status: sale.status });
            }
            let wish = Wish::Lower { sale: id, sku: sku.clone(), allotment, expected };
            if allotment < expected && agreed.is_none() && self.is_to_be_lowered(&wish, by).await? {
                match self.agree(wish.clone(), by, &reason).await? {
                    Agreement::Given { proposed_by } => agreed = Some(proposed_by),
                    Agreement::Awaited(proposal) => return Ok(Steered::Proposed(proposal)),
                }
            }
            let change = ChangeAllotment { sale: id, sku: sku.clone(), pieces: allotment, expected };
            self.ports.change_allotment.ask(change).await?;
            if item.allotment == allotment {
                self.is_done(&wish, agreed).await;
                return Ok(Steered::Done(sale));
            }
            let act = Act { by, proposed_by: agreed.flatten(), reason: &reason, at: Timestamp::now() };
            if self.store.change_item(&sale, item, allotment, &act).await? {
                self.is_done(&wish, agreed).await;
                return self.sale(id).await.map(Steered::Done);
            }
        }
        Err(SalesError::Overtaken)
    }

    /// Whether the stock's owner has yet to do what is wished, so that somebody has to agree. Refuses what could not be done
    /// whoever agrees.
    async fn is_to_be_lowered(&self, wish: &Wish, by: Actor) -> Result<bool, SalesError> {
        let (Wish::Lower { sale, sku, allotment, expected }, Some(_)) = (wish, self.first_of_two(wish, by))
        else {
            return Ok(true);
        };
        let parts = self.parts(*sale).await?;
        let Some((_, part)) = parts.into_iter().find(|(of, _)| of == sku) else { return Ok(true) };
        if part.allotment == allotment.get() {
            return Ok(false);
        }
        part.check_resize(sku, *allotment, *expected)?;
        Ok(true)
    }
}

/// What is set apart of a SKU, unless it was given back.
fn open_part<'a>(parts: &'a [(Sku, Allotment)], sku: &Sku) -> Option<&'a Allotment> {
    parts.iter().find(|(of, part)| of == sku && !part.is_closed).map(|(_, part)| part)
}
