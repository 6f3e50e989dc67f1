//! How the sales actor loads its state: sales, what counts in them, proposals and the switch.

use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use jiff::Timestamp;

use super::{ANNOUNCED_MAX, Allotments, AllotmentsRead, SalesActor};
use crate::actors::inventory::{Claimed, ListClaims};
use crate::actors::sales::error::SalesError;
use crate::actors::sales::model::{Proposal, Sale};
use crate::actors::sales::service::SalesService;

const BACK_OFF_FIRST: Duration = Duration::from_millis(50);
pub(super) const BACK_OFF_MAX: Duration = Duration::from_secs(2);

impl SalesActor {
    /// Keeps all messages waiting until the sales, and everything that counts in them, are loaded.
    pub(super) fn load(&self, context: &mut Context<Self>) {
        let service = self.service.clone();
        let loading =
            async move { until_done("the sales cannot be loaded", async || load(&service).await).await };
        context.wait(loading.into_actor(self).map(|loaded, actor, context| {
            actor.gates.set_stopped(loaded.is_stopped);
            actor.list_switch();
            actor.settled = loaded.settled.into_iter().map(Arc::new).collect();
            actor.proposals = loaded.proposals;
            let unfinished = loaded.unfinished.iter().map(|unfinished| unfinished.sale.id).collect();
            actor.service.sale_skus.keep_only(&unfinished);
            for Unfinished { sale, claimed, read } in loaded.unfinished {
                let id = sale.id;
                actor.enter(sale);
                actor.gates.restore(id, &claimed, Timestamp::now());
                if !read.allotments.is_empty() {
                    actor.follow_allotments(id, context);
                    actor.allotments.insert(id, read);
                }
            }
        }));
    }
}

/// Does something until it succeeds.
pub(super) async fn until_done<T>(trouble: &str, work: impl AsyncFn() -> Result<T, SalesError>) -> T {
    let mut back_off = BACK_OFF_FIRST;
    loop {
        match work().await {
            Ok(done) => return done,
            Err(error) => tracing::warn!(%error, ?back_off, "{trouble}"),
        }
        tokio::time::sleep(back_off).await;
        back_off = (back_off * 2).min(BACK_OFF_MAX);
    }
}

/// The state that the actor keeps in memory.
struct Loaded {
    is_stopped: bool,
    unfinished: Vec<Unfinished>,
    settled: Vec<Sale>,
    proposals: Vec<Proposal>,
}

struct Unfinished {
    sale: Sale,
    claimed: Vec<Claimed>,
    read: AllotmentsRead,
}

async fn load(service: &SalesService) -> Result<Loaded, SalesError> {
    let is_stopped = service.store.find_switch().await?;
    let mut unfinished = Vec::new();
    for sale in service.store.list_sales(true, i64::MAX).await? {
        let (at, is_gated) = (Timestamp::now(), sale.status.is_gated());
        let claimed = match is_gated {
            true => service.needs.list_claims.ask(ListClaims { sale: sale.id, order: None }).await?,
            false => Vec::new(),
        };
        let allotments = if is_gated { service.allotments(sale.id).await? } else { Allotments::new() };
        unfinished.push(Unfinished {
            sale,
            claimed,
            read: AllotmentsRead { at, allotments: Arc::new(allotments) },
        });
    }
    let settled = service.store.list_settled_sales(ANNOUNCED_MAX).await?;
    let proposals = service.store.list_proposals(Timestamp::now()).await?;
    Ok(Loaded { is_stopped, unfinished, settled, proposals })
}
