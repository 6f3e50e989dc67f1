//! What is asked of whom while an order's holds are taken, confirmed and released.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::*;
use crate::actors::catalog::{CatalogError, CatalogPorts};
use crate::actors::inventory::{InventoryError, InventoryPorts, Reservation, ReservationState};
use crate::actors::orders::sale_skus::SaleSkusCopy;
use crate::actors::payments::{PaymentsError, PaymentsPorts};
use crate::actors::runtime::{AskError, Port};
use crate::actors::sales::{
    HoldQuota, QuotaEnd, QuotaHold, Refusal, ReleaseQuota, SaleSkus, SalesError, SalesPorts,
};
use crate::types::{Money, Quantity, TaxRate};

/// Neighbours that write down what they are asked.
#[derive(Clone, Default)]
struct Neighbours {
    asked: Arc<Mutex<Vec<&'static str>>>,
    /// Answers to what would be granted otherwise.
    refuse_stock: Option<InventoryError>,
    refuse_quota: Option<SalesError>,
    refuse_quota_again: Option<Refusal>,
}

const LAMP_PRICE: i64 = 500;

impl Neighbours {
    fn note(&self, what: &'static str) {
        self.asked.lock().unwrap().push(what);
    }

    /// What they were asked since this was called last.
    fn asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    fn needs(&self) -> OrdersNeeds {
        let reserved = |id| Reservation {
            id,
            lines: Vec::new(),
            state: ReservationState::Held,
            expires_at: Timestamp::MAX,
        };
        let asked = self.clone();
        let reserve_stock = answering(move |reserve: crate::actors::inventory::ReserveStock| {
            asked.note(if reserve.sale.is_some() { "reserve of the sale" } else { "reserve" });
            asked.refuse_stock.clone().map_or(Ok(reserved(reserve.id)), Err)
        });
        let asked = self.clone();
        let commit_reservation = answering(move |commit: crate::actors::inventory::CommitReservation| {
            asked.note("commit");
            asked.refuse_stock.clone().map_or(Ok(reserved(commit.id)), Err)
        });
        let asked = self.clone();
        let release_reservation = answering(move |release: crate::actors::inventory::ReleaseReservation| {
            asked.note("release stock");
            Ok(reserved(release.id))
        });
        let inventory = InventoryPorts {
            reserve_stock,
            commit_reservation,
            release_reservation,
            ..InventoryPorts::refusing(InventoryError::Busy)
        };
        let (asked, sale) = (self.clone(), SaleId::generate());
        let hold_quota = answering(move |hold: HoldQuota| {
            if let Some(held) = hold.held {
                asked.note("hold again");
                return asked
                    .refuse_quota_again
                    .clone()
                    .map_or(Ok(Some(held)), |refusal| Err(refusal.into()));
            }
            asked.note("hold quota");
            let quota = QuotaHold {
                sale,
                prices: vec![("LAMP".parse().unwrap(), Money::yen(LAMP_PRICE).unwrap())],
                claimants: "customer:1".into(),
                pay_within_seconds: 60,
                generation: 1,
            };
            asked.refuse_quota.clone().map_or(Ok(Some(Arc::new(quota))), Err)
        });
        let asked = self.clone();
        let confirm_quota = answering(move |_: crate::actors::sales::ConfirmQuota| {
            asked.note("confirm quota");
            Ok(())
        });
        let asked = self.clone();
        let release_quota = answering(move |release: ReleaseQuota| {
            asked.note(match release.end {
                QuotaEnd::NoOrder => "release quota",
                QuotaEnd::Refused { .. } => "release quota: refused",
                QuotaEnd::Declined { .. } => "release quota: declined",
            });
            Ok(())
        });
        let sales = SalesPorts {
            hold_quota,
            confirm_quota,
            release_quota,
            ..SalesPorts::refusing(SalesError::Asking(AskError::Busy("sales".into())))
        };
        let catalog = CatalogPorts::refusing(CatalogError::Asking(AskError::Busy("catalog".into())));
        let payments = PaymentsPorts::refusing(PaymentsError::Declined);
        OrdersNeeds::from(&catalog, &inventory, &payments, &sales)
    }
}

fn answering<M, T, E>(answer: impl Fn(M) -> Result<T, E> + Send + Sync + 'static) -> Port<M>
where
    M: actix::Message<Result = Result<T, E>>,
    T: Send + 'static,
    E: Send + 'static,
{
    Port::new(move |message| Box::pin(std::future::ready(answer(message))))
}

fn wanted(sku: &str) -> PlaceOrder {
    PlaceOrder {
        customer: CustomerId::generate(),
        key: "key".parse().unwrap(),
        lines: vec![Line { sku: sku.parse().unwrap(), quantity: Quantity::new(1).unwrap() }],
        payment: crate::actors::payments::PaymentMethod::Card { token: "tok_ok".parse().unwrap() },
        is_staff: false,
        admission: None,
        device: None,
        arrived_at: Timestamp::UNIX_EPOCH,
    }
}

/// An order of one SKU while `LAMP` is in a sale.
fn draft(wanted: &PlaceOrder) -> Draft<'_> {
    let copy = SaleSkusCopy::default();
    let list = SaleSkus { skus: ["LAMP".parse().unwrap()].into(), ..SaleSkus::default() };
    copy.take_over(Some(Arc::new(list)), Instant::now());
    let quote = Quote {
        sku: wanted.lines[0].sku.clone(),
        name: "thing".into(),
        price: Money::yen(1_000).unwrap(),
        tax_rate: TaxRate::Standard,
    };
    Draft {
        id: OrderId::generate(),
        wanted,
        lines: wanted.lines.clone(),
        quotes: vec![quote],
        created_at: Timestamp::UNIX_EPOCH,
        pay_within: Duration::from_secs(3_600),
        asks_sales: copy.concern(&wanted.lines),
        quota: None,
    }
}

#[actix_rt::test]
async fn an_order_of_skus_in_no_sale_asks_sales_nothing() {
    let (neighbours, wanted) = (Neighbours::default(), wanted("TABLE"));
    let (needs, mut draft) = (neighbours.needs(), draft(&wanted));

    take(&needs, &mut draft).await.unwrap();
    assert_eq!(neighbours.asked(), ["reserve"]);
    assert_eq!(confirm(&needs, &draft.held()).await.unwrap(), Confirmation::Confirmed);
    assert_eq!(neighbours.asked(), ["commit"]);
    release(&needs, &draft.held(), ReleaseReason::Cancelled).await.unwrap();
    assert!(undo(&needs, &draft.held(), ReleaseReason::NeverPlaced).await);
    assert_eq!(neighbours.asked(), ["release stock", "release stock"]);
}

#[actix_rt::test]
async fn an_order_in_a_sale_takes_quota_before_stock_and_ends_them_in_reverse() {
    let (neighbours, wanted) = (Neighbours::default(), wanted("LAMP"));
    let (needs, mut draft) = (neighbours.needs(), draft(&wanted));

    take(&needs, &mut draft).await.unwrap();
    assert_eq!(neighbours.asked(), ["hold quota", "reserve of the sale", "hold again"]);
    assert_eq!(draft.quotes[0].price.amount(), LAMP_PRICE);
    assert_eq!(draft.pay_before(), Timestamp::UNIX_EPOCH + Duration::from_secs(60));
    confirm(&needs, &draft.held()).await.unwrap();
    assert_eq!(neighbours.asked(), ["commit", "confirm quota"]);
    release(&needs, &draft.held(), ReleaseReason::Expired).await.unwrap();
    assert_eq!(neighbours.asked(), ["release stock", "release quota"]);
}

#[actix_rt::test]
async fn a_refused_hold_releases_those_taken_before_it_in_reverse() {
    let wanted = wanted("LAMP");
    let sku = wanted.lines[0].sku.clone();
    let sold_out = InventoryError::SoldOut { sku, requested: 1, available: 0, held: 0 };
    let refused = Refusal::LimitReached { limit: 1, pieces: 2 };
    for (neighbours, expected) in [
        (
            Neighbours { refuse_quota: Some(Refusal::Paused.into()), ..Neighbours::default() },
            &["hold quota"][..],
        ),
        (
            Neighbours { refuse_stock: Some(sold_out), ..Neighbours::default() },
            &["hold quota", "reserve of the sale", "release quota: refused"],
        ),
        (
            Neighbours { refuse_stock: Some(InventoryError::Busy), ..Neighbours::default() },
            &["hold quota", "reserve of the sale", "release quota"],
        ),
        (
            Neighbours { refuse_quota_again: Some(refused), ..Neighbours::default() },
            &["hold quota", "reserve of the sale", "hold again", "release stock", "release quota: refused"],
        ),
    ] {
        assert!(take(&neighbours.needs(), &mut draft(&wanted)).await.is_err());
        assert_eq!(neighbours.asked(), expected);
    }
}

#[actix_rt::test]
async fn a_quota_whose_answer_was_lost_is_released_in_the_background() {
    let late = SalesError::Asking(AskError::Late("sales".into()));
    let neighbours = Neighbours { refuse_quota: Some(late), ..Neighbours::default() };
    let wanted = wanted("LAMP");

    assert!(take(&neighbours.needs(), &mut draft(&wanted)).await.is_err());
    tokio::task::yield_now().await;

    assert_eq!(neighbours.asked(), ["hold quota", "release quota"]);
}

#[actix_rt::test]
async fn stock_that_is_gone_when_its_order_is_paid_is_lost_and_its_quota_not_confirmed() {
    let (sku, wanted) = ("LAMP".parse().unwrap(), wanted("LAMP"));
    let gone = InventoryError::OutOfStock { sku, requested: 1, available: 0 };
    let neighbours = Neighbours { refuse_stock: Some(gone), ..Neighbours::default() };
    let held = Held { sale: Some(SaleId::generate()), ..draft(&wanted).held() };

    assert_eq!(confirm(&neighbours.needs(), &held).await.unwrap(), Confirmation::Lost);

    assert_eq!(neighbours.asked(), ["commit"]);
}
