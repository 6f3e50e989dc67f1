//! Rules of what the waiting room is told: the sales that have one, their pieces, and which admissions are used.

use jiff::Timestamp;

use super::gates::Gates;
use super::model::{Sale, SaleStatus};
use crate::actors::inventory::Allotment;
use crate::actors::waiting_room::{
    ObserveSales, OrderLoad, RoomPlan, SaleState, SalesObserved, Supply, UsedAdmissions, UsesTold,
};
use crate::types::{SaleId, Sku};

/// The allotments of a sale, and when they were asked for.
pub(super) struct Figures<'a> {
    pub allotments: &'a [(Sku, Allotment)],
    pub read_at: Timestamp,
}

/// What the waiting room has acknowledged and asked for, as far as this generation of sales was answered.
#[derive(Debug, Default)]
pub(super) struct RoomUpdates {
    acknowledged: UsesTold,
    asks_used: Vec<SaleId>,
    /// Whether the last message told what was asked for.
    has_answered: bool,
}

impl RoomUpdates {
    /// The next message to the waiting room.
    pub fn next<'a>(
        &mut self,
        gates: &mut Gates,
        figures: impl Fn(SaleId) -> Option<Figures<'a>>,
        now: Timestamp,
    ) -> ObserveSales {
        let has_room = |sale: &Sale| sale.status.is_gated() || sale.status == SaleStatus::Scheduled;
        let sales = gates.sales().filter(|sale| has_room(sale)).filter_map(|sale| {
            let allotments = figures(sale.id).map_or(&[][..], |figures| figures.allotments);
            Some(state_of(sale, room_plan(sale)?, gates, allotments, now))
        });
        let sales = sales.collect();
        self.has_answered = !self.asks_used.is_empty();
        let asked = std::mem::take(&mut self.asks_used).into_iter();
        let used = asked.filter_map(|sale| {
            let tickets = gates.used_admissions(sale)?;
            Some(UsedAdmissions { sale, tickets })
        });
        let used = used.collect();
        let (latency_p99, depth) = gates.load();
        let read_at = |sale| figures(sale).map(|figures| figures.read_at);
        let (uses, told, untold) = gates.tell_admissions(self.acknowledged, read_at);
        let told_to = untold.map_or(now, |untold| untold.min(now));
        ObserveSales { sales, uses, told, told_to, used, load: OrderLoad { latency_p99, depth } }
    }

    /// Takes the answer in. Answers whether the next message is due at once, because the waiting room asks for something.
    pub fn answered(&mut self, observed: SalesObserved) -> bool {
        let SalesObserved { acknowledged, asks_used } = observed;
        self.acknowledged = acknowledged;
        self.asks_used = asks_used;
        !self.asks_used.is_empty() && !self.has_answered
    }
}

/// `None` when the sale has no waiting room.
fn room_plan(sale: &Sale) -> Option<RoomPlan> {
    let admission = sale.draft.terms.admission;
    Some(RoomPlan {
        sale: sale.id,
        mode: admission.mode.room()?,
        per_second: admission.per_second,
        opens_at: sale.draft.opens_at,
    })
}

fn state_of(
    sale: &Sale,
    plan: RoomPlan,
    gates: &Gates,
    allotments: &[(Sku, Allotment)],
    now: Timestamp,
) -> SaleState {
    let sum = |figure: fn(&Allotment) -> i64| allotments.iter().map(|(_, allotment)| figure(allotment)).sum();
    let orderable = allotments.iter().filter(|(sku, _)| !gates.is_sku_stopped(sale.id, sku));
    SaleState {
        plan,
        is_selling: gates.is_selling(sale.id, now),
        is_ending: sale.status.is_over() || sale.status == SaleStatus::Draining,
        supply: Supply {
            allotment: sum(|allotted| allotted.allotment),
            remaining: sum(Allotment::remaining),
            orderable: orderable.map(|(_, allotment)| allotment.remaining()).sum(),
            held: sum(|allotted| allotted.held),
        },
    }
}
