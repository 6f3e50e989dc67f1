//! What operators and customers read of sales, from memory where it is there.

use std::sync::Arc;
use std::time::Instant;

use actix::{Context, Handler, ResponseFuture};
use jiff::Timestamp;

use super::{ANNOUNCED_MAX, Allotments, AllotmentsRead, SalesActor};
use crate::actors::inventory::Allotment;
use crate::actors::sales::error::SalesError;
use crate::actors::sales::messages::{
    Announced, GetAnnounced, GetLive, GetSale, ListAnnounced, ListChanges, ListSales, Live, ValidateSale,
};
use crate::actors::sales::model::{ChangeRecord, Finding, Sale, SaleItem};

impl SalesActor {
    fn announced(&self, sale: Arc<Sale>) -> Announced {
        let allotments = match self.allotments.get(&sale.id) {
            Some(read) => read.allotments.clone(),
            // It was armed just now, and its allotments are whole.
            None if sale.status.is_gated() => {
                let whole =
                    |item: &SaleItem| (item.sku.clone(), Allotment::of(sale.id, item.allotment.get()));
                Arc::new(sale.draft.items.iter().map(whole).collect())
            }
            None => Arc::default(),
        };
        Announced { sale, is_everything_stopped: self.gates.is_stopped(), allotments }
    }
}

impl Handler<GetSale> for SalesActor {
    type Result = ResponseFuture<Result<Sale, SalesError>>;

    fn handle(&mut self, GetSale { sale }: GetSale, _: &mut Context<Self>) -> Self::Result {
        // A sale that is not over is in memory.
        if let Some(sale) = self.gates.sale(sale) {
            return Box::pin(std::future::ready(Ok(Sale::clone(sale))));
        }
        let service = self.service.clone();
        Box::pin(async move { service.sale(sale).await })
    }
}

impl Handler<ListSales> for SalesActor {
    type Result = ResponseFuture<Result<Vec<Sale>, SalesError>>;

    fn handle(&mut self, ListSales { limit }: ListSales, _: &mut Context<Self>) -> Self::Result {
        let service = self.service.clone();
        Box::pin(async move { Ok(service.store.list_sales(false, limit).await?) })
    }
}

impl Handler<ListAnnounced> for SalesActor {
    type Result = Result<Vec<Announced>, SalesError>;

    fn handle(&mut self, _: ListAnnounced, _: &mut Context<Self>) -> Self::Result {
        let unfinished = self.gates.sales().filter(|sale| sale.status.is_announced());
        // A settled sale that has pieces to return is in the gates as well.
        let settled = self.settled.iter().filter(|sale| self.gates.sale(sale.id).is_none());
        let mut sales: Vec<Arc<Sale>> = unfinished.chain(settled).cloned().collect();
        sales.sort_by_key(|sale| (std::cmp::Reverse(sale.draft.opens_at), sale.id));
        sales.truncate(ANNOUNCED_MAX);
        Ok(sales.into_iter().map(|sale| self.announced(sale)).collect())
    }
}

impl Handler<GetAnnounced> for SalesActor {
    type Result = ResponseFuture<Result<Announced, SalesError>>;

    fn handle(&mut self, GetAnnounced { sale: id }: GetAnnounced, _: &mut Context<Self>) -> Self::Result {
        let settled = || self.settled.iter().find(|sale| sale.id == id);
        if let Some(sale) = self.gates.sale(id).or_else(settled) {
            let is_announced = sale.status.is_announced();
            let found = is_announced.then(|| self.announced(sale.clone()));
            return Box::pin(std::future::ready(found.ok_or(SalesError::UnknownSale(id))));
        }
        // Settled long ago, if it is a sale at all.
        let (service, is_everything_stopped) = (self.service.clone(), self.gates.is_stopped());
        Box::pin(async move {
            let sale = service.sale(id).await?;
            if !sale.status.is_announced() {
                return Err(SalesError::UnknownSale(id));
            }
            Ok(Announced { sale: Arc::new(sale), is_everything_stopped, allotments: Arc::default() })
        })
    }
}

impl Handler<ValidateSale> for SalesActor {
    type Result = ResponseFuture<Result<Vec<Finding>, SalesError>>;

    fn handle(&mut self, ValidateSale { sale }: ValidateSale, _: &mut Context<Self>) -> Self::Result {
        let service = self.service.clone();
        Box::pin(async move { service.validate(&service.sale(sale).await?).await })
    }
}

impl Handler<ListChanges> for SalesActor {
    type Result = ResponseFuture<Result<Vec<ChangeRecord>, SalesError>>;

    fn handle(&mut self, ListChanges { sale }: ListChanges, _: &mut Context<Self>) -> Self::Result {
        let service = self.service.clone();
        Box::pin(async move {
            service.sale(sale).await?;
            Ok(service.store.list_changes(sale).await?)
        })
    }
}

impl Handler<GetLive> for SalesActor {
    type Result = ResponseFuture<Result<Live, SalesError>>;

    fn handle(&mut self, GetLive { sale }: GetLive, _: &mut Context<Self>) -> Self::Result {
        let known = self.gates.sale(sale).cloned();
        let (tally, seconds) = self.gates.tally(sale).unwrap_or_default();
        let (service, is_everything_stopped) = (self.service.clone(), self.gates.is_stopped());
        let unwritten = self.gates.unwritten(sale, Instant::now());
        let read = self.allotments.get(&sale).cloned();
        Box::pin(async move {
            let read = match read {
                Some(read) => Some(read),
                // It has no allotments yet, or gave them up.
                None if known.as_ref().is_some_and(|sale| !sale.status.is_gated()) => None,
                None => Some(AllotmentsRead {
                    at: Timestamp::now(),
                    allotments: Arc::new(service.allotments(sale).await?),
                }),
            };
            let (read_at, allotments) = read
                .map_or_else(Default::default, |read| (Some(read.at), Allotments::clone(&read.allotments)));
            let sale = match known {
                Some(sale) => sale,
                None => Arc::new(service.sale(sale).await?),
            };
            Ok(Live { sale, is_everything_stopped, unwritten, allotments, read_at, tally, seconds })
        })
    }
}
