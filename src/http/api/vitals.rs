//! How the engine copes with a sale: the latency of its orders, the age of its holds, and what waits where.
//!
//! Everything is read when a client asks; placing an order measures only its own latency.

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
    /// Null while no pieces are held.
    #[schema(required)]
    pub holds: Option<HoldAgesView>,
    /// How long the oldest decision has been waiting to be durable, in the journals of orders and stock; 0 when none waits.
    pub commit_lag_ms: f64,
    /// How long ago the figures of the pieces were read; later movements are not in them. Null before the sale is armed.
    #[schema(required)]
    pub event_lag_ms: Option<i64>,
    /// One entry for each SKU.
    pub actors: Vec<SkuLoadView>,
}

/// From arrival until durable, of the sale's orders of the last ten seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LatencyView {
    pub orders: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
}

/// Ages of the pieces that are held now, at most a second old.
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
    /// Commands that wait for an answer of its actor, including those whose commit is under way.
    pub waiting: u32,
    /// How often its actor was replaced after a failure, since the SKU was last evicted for being idle.
    pub restarts: u32,
}

impl VitalsView {
    /// Leaves out what cannot be determined at this moment, so that the rest can be shown.
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
