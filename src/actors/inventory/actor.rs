//! Inventory's messages, each carried out by the service or answered from the database.

use std::time::Instant;

use actix::{Actor, Context, Handler, ResponseFuture};

use super::error::InventoryError;
use super::hold_ages::HoldAgesCache;
use super::messages::*;
use super::model::{
    Allotment, Claimed, Command, Figures, HoldAges, HoldRecord, Movement, MovementKind, OpenHolds,
    Reservation, Stock,
};
use super::service::InventoryService;
use crate::actors::runtime::entity::EntityLoad;
use crate::types::{Page, ReservationId, SaleId, Sku};

pub struct InventoryActor {
    service: InventoryService,
    hold_ages: HoldAgesCache,
}

impl InventoryActor {
    pub fn new(service: InventoryService) -> Self {
        Self { service, hold_ages: HoldAgesCache::default() }
    }
}

impl Actor for InventoryActor {
    type Context = Context<Self>;
}

impl Handler<TrackSku> for InventoryActor {
    type Result = ResponseFuture<Result<Stock, InventoryError>>;

    fn handle(&mut self, TrackSku { sku }: TrackSku, _: &mut Self::Context) -> Self::Result {
        let service = self.service.clone();
        Box::pin(async move {
            service.store.insert_sku(&sku).await?;
            Ok(service.skus.read_new(&sku).await?.stock)
        })
    }
}

impl Handler<ReceiveStock> for InventoryActor {
    type Result = ResponseFuture<Result<Movement, InventoryError>>;

    fn handle(&mut self, received: ReceiveStock, _: &mut Self::Context) -> Self::Result {
        let service = self.service.clone();
        Box::pin(async move {
            let ReceiveStock { sku, quantity, reference } = received;
            let command = Command::Receive { quantity, reference: reference.clone() };
            let is_same = |movement: &Movement| movement.on_hand_delta == quantity.get();
            service.move_on_hand(sku, MovementKind::Received, reference, command, is_same).await
        })
    }
}

impl Handler<AdjustStock> for InventoryActor {
    type Result = ResponseFuture<Result<Movement, InventoryError>>;

    fn handle(&mut self, adjusted: AdjustStock, _: &mut Self::Context) -> Self::Result {
        let service = self.service.clone();
        Box::pin(async move {
            let AdjustStock { sku, delta, reason, expected_version, reference } = adjusted;
            let reference = reference.unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
            let command = Command::Adjust {
                delta,
                reason: reason.clone(),
                reference: reference.clone(),
                expected_version,
            };
            let is_same = |movement: &Movement| {
                movement.on_hand_delta == delta && movement.reason.as_deref() == Some(&*reason)
            };
            service.move_on_hand(sku, MovementKind::Adjusted, reference, command, is_same).await
        })
    }
}

impl Handler<ReserveStock> for InventoryActor {
    type Result = ResponseFuture<Result<Reservation, InventoryError>>;

    fn handle(&mut self, wanted: ReserveStock, _: &mut Self::Context) -> Self::Result {
        let service = self.service.clone();
        Box::pin(async move {
            let reserved = service.reserve(wanted).await;
            service.outcomes.count(&reserved);
            reserved
        })
    }
}

impl Handler<CommitReservation> for InventoryActor {
    type Result = ResponseFuture<Result<Reservation, InventoryError>>;

    fn handle(&mut self, message: CommitReservation, _: &mut Self::Context) -> Self::Result {
        let service = self.service.clone();
        let CommitReservation { id, purpose, skus, even_if_expired } = message;
        Box::pin(async move { service.end(id, purpose, skus, Command::Commit { id, even_if_expired }).await })
    }
}

impl Handler<ReleaseReservation> for InventoryActor {
    type Result = ResponseFuture<Result<Reservation, InventoryError>>;

    fn handle(&mut self, message: ReleaseReservation, _: &mut Self::Context) -> Self::Result {
        let service = self.service.clone();
        let ReleaseReservation { id, purpose, skus, even_if_committed, has_expired } = message;
        let release = Command::Release { id, even_if_committed, has_expired };
        Box::pin(async move { service.end(id, purpose, skus, release).await })
    }
}

impl Handler<ListHolds> for InventoryActor {
    type Result = ResponseFuture<Result<Vec<HoldRecord>, InventoryError>>;

    fn handle(&mut self, ListHolds { id }: ListHolds, _: &mut Self::Context) -> Self::Result {
        let store = self.service.store.clone();
        Box::pin(async move { Ok(store.list_holds(id).await?) })
    }
}

impl Handler<GetStock> for InventoryActor {
    type Result = ResponseFuture<Result<Stock, InventoryError>>;

    fn handle(&mut self, GetStock { sku }: GetStock, _: &mut Self::Context) -> Self::Result {
        let service = self.service.clone();
        Box::pin(async move { Ok(service.skus.read(&sku).await?.stock) })
    }
}

impl Handler<ListAvailable> for InventoryActor {
    type Result = ResponseFuture<Result<Vec<i64>, InventoryError>>;

    fn handle(&mut self, ListAvailable { skus }: ListAvailable, _: &mut Self::Context) -> Self::Result {
        let store = self.service.store.clone();
        Box::pin(async move { Ok(store.list_available(&skus).await?) })
    }
}

impl Handler<ListMovements> for InventoryActor {
    type Result = ResponseFuture<Result<Page<Movement>, InventoryError>>;

    fn handle(&mut self, message: ListMovements, _: &mut Self::Context) -> Self::Result {
        let service = self.service.clone();
        let ListMovements { sku, limit, cursor } = message;
        Box::pin(async move {
            service.skus.read(&sku).await?;
            service.store.list_movements(&sku, limit, cursor).await
        })
    }
}

impl Handler<AllotStock> for InventoryActor {
    type Result = ResponseFuture<Result<Allotment, InventoryError>>;

    fn handle(&mut self, message: AllotStock, _: &mut Self::Context) -> Self::Result {
        let service = self.service.clone();
        let AllotStock { sale, sku, pieces } = message;
        Box::pin(async move { service.change_allotment(sale, sku, Command::Allot { sale, pieces }).await })
    }
}

impl Handler<ChangeAllotment> for InventoryActor {
    type Result = ResponseFuture<Result<Allotment, InventoryError>>;

    fn handle(&mut self, message: ChangeAllotment, _: &mut Self::Context) -> Self::Result {
        let service = self.service.clone();
        let ChangeAllotment { sale, sku, pieces, expected } = message;
        let command = Command::ResizeAllotment { sale, pieces, expected };
        Box::pin(async move { service.change_allotment(sale, sku, command).await })
    }
}

impl Handler<CloseAllotment> for InventoryActor {
    type Result = ResponseFuture<Result<(), InventoryError>>;

    fn handle(&mut self, message: CloseAllotment, _: &mut Self::Context) -> Self::Result {
        let service = self.service.clone();
        let CloseAllotment { sale, sku } = message;
        Box::pin(async move {
            service.skus.execute(&sku, Command::CloseAllotment { sale }).await?;
            Ok(())
        })
    }
}

impl Handler<GetFigures> for InventoryActor {
    type Result = ResponseFuture<Result<Figures, InventoryError>>;

    fn handle(&mut self, GetFigures { sku }: GetFigures, _: &mut Self::Context) -> Self::Result {
        let service = self.service.clone();
        Box::pin(async move { Ok(service.skus.read(&sku).await?) })
    }
}

impl Handler<ListAllotments> for InventoryActor {
    type Result = ResponseFuture<Result<Vec<(Sku, Allotment)>, InventoryError>>;

    fn handle(&mut self, ListAllotments { sale }: ListAllotments, _: &mut Self::Context) -> Self::Result {
        let store = self.service.store.clone();
        Box::pin(async move { Ok(store.list_allotments(sale).await?) })
    }
}

impl Handler<ListClaims> for InventoryActor {
    type Result = ResponseFuture<Result<Vec<Claimed>, InventoryError>>;

    fn handle(&mut self, ListClaims { sale, order }: ListClaims, _: &mut Self::Context) -> Self::Result {
        let store = self.service.store.clone();
        Box::pin(async move {
            Ok(match order {
                Some(order) => store.find_claims(sale, order.into()).await?,
                None => store.list_claims(sale).await?,
            })
        })
    }
}

impl Handler<CountOpenHolds> for InventoryActor {
    type Result = ResponseFuture<Result<OpenHolds, InventoryError>>;

    fn handle(&mut self, CountOpenHolds { sale }: CountOpenHolds, _: &mut Self::Context) -> Self::Result {
        let store = self.service.store.clone();
        Box::pin(async move { Ok(store.count_open_holds(sale).await?) })
    }
}

impl Handler<GetHoldAges> for InventoryActor {
    type Result = ResponseFuture<Result<Option<HoldAges>, InventoryError>>;

    fn handle(&mut self, GetHoldAges { sale }: GetHoldAges, _: &mut Self::Context) -> Self::Result {
        let now = Instant::now();
        if let Some(ages) = self.hold_ages.get(sale, now) {
            return Box::pin(std::future::ready(Ok(ages)));
        }
        let (store, hold_ages) = (self.service.store.clone(), self.hold_ages.clone());
        Box::pin(async move {
            let ages = store.find_hold_ages(sale).await?;
            hold_ages.set(sale, now, ages);
            Ok(ages)
        })
    }
}

impl Handler<ListSkuLoads> for InventoryActor {
    type Result = ResponseFuture<Result<Vec<EntityLoad>, InventoryError>>;

    fn handle(&mut self, ListSkuLoads { skus }: ListSkuLoads, _: &mut Self::Context) -> Self::Result {
        let service = self.service.clone();
        Box::pin(async move { Ok(service.skus.loads(&skus).await?) })
    }
}

impl Handler<ListHeldForOrders> for InventoryActor {
    type Result = ResponseFuture<Result<Vec<(ReservationId, Option<SaleId>)>, InventoryError>>;

    fn handle(&mut self, message: ListHeldForOrders, _: &mut Self::Context) -> Self::Result {
        let store = self.service.store.clone();
        let ListHeldForOrders { made_before, after, limit } = message;
        Box::pin(async move { Ok(store.list_held_for_orders(made_before, after, limit).await?) })
    }
}
