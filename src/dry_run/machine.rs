//! Measures how many orders the machine takes when neither stock nor limits end them: the same checks, on SKUs that do
//! not run out.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use hdrhistogram::Histogram;
use jiff::Timestamp;

use super::buyer::Buyer;
use super::domain::ShadowNeeds;
use super::figures::{histogram, microseconds};
use super::report::{Latency, Machine};
use crate::actors::catalog::Quote;
use crate::actors::sales::{SaleDraft, SaleItem};
use crate::actors::waiting_room::{AdmissionMode, AdmissionTerms};
use crate::types::{Money, Quantity, SaleId, Sku, TaxRate};

/// The most SKUs that the orders are spread over.
const SKUS_MAX: usize = 32;
const OPENS_AFTER: Duration = Duration::from_secs(2);
/// The first orders fill caches and are not measured.
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED_FOR: Duration = Duration::from_secs(4);
/// Numbers of customers that no crowd reaches.
const FIRST_NUMBER: u64 = 1 << 40;

/// Answers with the sale that was used, and the figures.
pub(super) async fn measure_machine(
    ports: &ShadowNeeds,
    plan: &SaleDraft,
    at_once: u32,
    mark: &str,
) -> anyhow::Result<(SaleId, Machine)> {
    let mut items = Vec::new();
    for index in 0..plan.items.len().min(SKUS_MAX) {
        let sku: Sku = format!("LIMIT-OF-THE-MACHINE-{index}").parse()?;
        let (price, allotment) = (Money::yen(1_000)?, Quantity::new(1_000_000)?);
        let quote = Quote { sku: sku.clone(), name: sku.as_str().into(), price, tax_rate: TaxRate::Standard };
        ports.stock_up(&quote, allotment, mark).await?;
        items.push(SaleItem { sku, price, allotment });
    }
    let opens_at = Timestamp::now().checked_add(OPENS_AFTER)?;
    let closes_at = opens_at.checked_add(WARM_UP + MEASURED_FOR + OPENS_AFTER)?;
    let mut terms = plan.terms.clone();
    terms.admission = AdmissionTerms { mode: AdmissionMode::None, per_second: None };
    let draft = SaleDraft { name: "limit of the machine".to_owned(), opens_at, closes_at, items, terms };
    let skus: Vec<Sku> = draft.items.iter().map(|item| item.sku.clone()).collect();
    let sale = ports.arm(draft).await?.id;

    let wait = Timestamp::now().duration_until(opens_at);
    let opened = Instant::now() + Duration::try_from(wait).unwrap_or_default();
    let (from, until) = (opened + WARM_UP, opened + WARM_UP + MEASURED_FOR);
    tokio::time::sleep_until(opened.into()).await;
    let latency = RefCell::new(histogram());
    try_join_all((0..at_once).map(|worker| {
        let (latency, skus) = (&latency, &skus);
        async move {
            for round in 0_u64.. {
                // Every order has a customer of its own, so that neither pacing nor limits hold it up.
                let number = FIRST_NUMBER + (round << 16) + u64::from(worker);
                let sku = &skus[number as usize % skus.len()];
                let began = Instant::now();
                if began >= until {
                    break;
                }
                let answer = ports.place_order.ask(Buyer::of(number).order_by_card(sku, 0)?).await;
                let now = Instant::now();
                match answer {
                    Ok(_) if now >= from && now < until => {
                        latency.borrow_mut().saturating_record(microseconds(now - began));
                    }
                    Ok(_) => {}
                    // A pause keeps repeated refusals from taking the processor.
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
            anyhow::Ok(())
        }
    }))
    .await?;
    let latency: Histogram<u64> = latency.into_inner();
    let machine = Machine {
        orders_per_second: latency.len() as f64 / MEASURED_FOR.as_secs_f64(),
        at_once,
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        latency: Latency::of(&latency),
    };
    Ok((sale, machine))
}
