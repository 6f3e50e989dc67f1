//! How the engine bears a sale: how long its orders take and its pieces are held, and what waits where.
//!
//! Everything is asked for when somebody looks; nothing is told on the way of an order.

use std::time::Duration;

use futures_util::future::{join, join4};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::actors::inventory::{self, GetHoldAges, HoldAges, ListSkuLoads};
use crate::actors::orders::{self, GetLatency, Latency};
use crate::actors::sales::Live;
use crate::http::gateway::Gateway;
use crate::types::Sku;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VitalsView {
    /// Null when no order of the sale was placed in the last ten seconds.
    #[schema(required)]
    pub latency: Option<LatencyView>,
    /// Null while nothing is held.
    #[schema(required)]
    pub holds: Option<HoldAgesView>,
    /// How long the oldest decision has been waiting to be durable, in any journal that orders and stock pass; 0 when none waits.
    pub commit_lag_ms: f64,
    /// How long ago the pieces were read: what became durable since is not in them. Null before the sale is armed.
    #[schema(required)]
    pub event_lag_ms: Option<i64>,
    /// Of each SKU.
    pub actors: Vec<SkuLoadView>,
}

/// Of the orders of the sale that were placed in the last ten seconds: from their arrival until they were durable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LatencyView {
    pub orders: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
}

/// How long pieces have been held that are neither sold nor given back, as it was at most a second ago.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HoldAgesView {
    pub oldest_seconds: i64,
    pub median_seconds: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SkuLoadView {
    pub sku: String,
    /// Whether its actor is awake and has its row. A sale is not armed before the actors of all its SKUs are, and they are kept
    /// awake until it is over.
    pub ready: bool,
    /// Questions that wait for the answer of its actor, those among them that wait for their commit.
    pub waiting: u32,
    /// How often its actor ended and another took over, since the SKU was last let go for being idle.
    pub restarts: u32,
}

impl VitalsView {
    /// What cannot be told at this moment is left out, so that the rest can be seen.
    pub async fn of(gateway: &Gateway, live: &Live) -> Self {
        let sale = live.sale.id;
        let skus: Vec<Sku> = live.allotments.iter().map(|(sku, _)| sku.clone()).collect();
        let (orders, inventory) = (&gateway.ports.orders, &gateway.ports.inventory);
        let lags = join(
            orders.get_commit_lag.ask(orders::GetCommitLag),
            inventory.get_commit_lag.ask(inventory::GetCommitLag),
        );
        let (latency, holds, loads, (orders_lag, stock_lag)) = join4(
            orders.get_latency.ask(GetLatency { sale }),
            inventory.get_hold_ages.ask(GetHoldAges { sale }),
            inventory.list_sku_loads.ask(ListSkuLoads { skus: skus.clone() }),
            lags,
        )
        .await;
        let now = Timestamp::now();
        let actors = skus.iter().zip(loads.unwrap_or_default()).map(|(sku, load)| SkuLoadView {
            sku: sku.to_string(),
            ready: load.is_ready,
            waiting: load.waiting,
            restarts: load.restarts,
        });
        Self {
            latency: latency.ok().flatten().map(LatencyView::of),
            holds: holds.ok().flatten().map(|ages| HoldAgesView::of(ages, now)),
            commit_lag_ms: milliseconds(orders_lag.unwrap_or_default().max(stock_lag.unwrap_or_default())),
            event_lag_ms: live.read_at.map(|read_at| whole_milliseconds(read_at, now)),
            actors: actors.collect(),
        }
    }
}

impl LatencyView {
    fn of(Latency { orders, p50, p99, p999 }: Latency) -> Self {
        let [p50_ms, p99_ms, p999_ms] = [p50, p99, p999].map(milliseconds);
        Self { orders, p50_ms, p99_ms, p999_ms }
    }
}

impl HoldAgesView {
    fn of(ages: HoldAges, now: Timestamp) -> Self {
        let seconds = |made_at| whole_milliseconds(made_at, now) / 1_000;
        Self { oldest_seconds: seconds(ages.oldest_made_at), median_seconds: seconds(ages.median_made_at) }
    }
}

/// To a hundredth.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

/// Not below zero, where the clocks of two machines differ.
fn whole_milliseconds(from: Timestamp, to: Timestamp) -> i64 {
    (to.as_millisecond() - from.as_millisecond()).max(0)
}
