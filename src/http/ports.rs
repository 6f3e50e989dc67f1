//! Whom the gateway asks, and what else it needs to answer: nothing here knows an actor or a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::web::Bytes;

use super::events::Streams;
use super::queue::WrittenDraws;
use crate::actors::catalog::{GetProduct, ListProducts};
use crate::actors::inventory::{
    AdjustStock, CommitReservation, GetHoldAges, GetStock, ListAvailable, ListHolds, ListMovements,
    ListSkuLoads, ReceiveStock, ReleaseReservation, ReserveStock,
};
use crate::actors::orders::{
    CancelOrder, GetLatency, GetOrder, InspectOrder, ListHistory, ListOrders, PlaceOrder, RecordPayment,
};
use crate::actors::payments::WebhookSecret;
use crate::actors::runtime::Port;
use crate::actors::sales::{
    Challenge, ChangeItem, CreateSale, GetAnnounced, GetDraw, GetLive, GetPlace, GetRoom, GetSale, GetTraces,
    JoinQueue, ListAnnounced, ListChanges, ListProposals, ListSales, MoveSale, NoteRefusal, PassKey,
    ProofOfWork, ReplanSale, SwitchEverything, SwitchItem, ValidateSale, WithdrawProposal,
};
use crate::actors::users::{
    GetUser, Identity, RefreshSession, RegisterUser, RenewSession, SignIn, SignOut, TokenError,
};
use crate::audit::{GetLight, GetSettlement};
use crate::config::Config;
use crate::dry_run::{GetDryRun, StartDryRun};

/// Requests for staff's routes that are being answered at the same time, beside all others.
const STAFF_REQUESTS_MAX: usize = 256;
/// How long the answer to a challenge is good.
const CHALLENGE_VALID_FOR: Duration = Duration::from_secs(600);

pub struct Ports {
    pub users: UsersPorts,
    pub catalog: CatalogPorts,
    pub inventory: InventoryPorts,
    pub orders: OrdersPorts,
    pub sales: SalesPorts,
    pub dry_runs: DryRunPorts,
    pub audit: AuditPorts,
    pub commit_lag: CommitLag,
}

pub struct DryRunPorts {
    pub start_dry_run: Port<StartDryRun>,
    pub get_dry_run: Port<GetDryRun>,
}

pub struct AuditPorts {
    pub get_light: Port<GetLight>,
    pub get_settlement: Port<GetSettlement>,
}

pub struct SalesPorts {
    pub create_sale: Port<CreateSale>,
    pub replan_sale: Port<ReplanSale>,
    pub get_sale: Port<GetSale>,
    pub list_sales: Port<ListSales>,
    pub list_announced: Port<ListAnnounced>,
    pub get_announced: Port<GetAnnounced>,
    pub validate_sale: Port<ValidateSale>,
    pub move_sale: Port<MoveSale>,
    pub switch_item: Port<SwitchItem>,
    pub switch_everything: Port<SwitchEverything>,
    pub change_item: Port<ChangeItem>,
    pub list_proposals: Port<ListProposals>,
    pub withdraw_proposal: Port<WithdrawProposal>,
    pub list_changes: Port<ListChanges>,
    pub get_live: Port<GetLive>,
    pub join_queue: Port<JoinQueue>,
    pub get_place: Port<GetPlace>,
    pub get_traces: Port<GetTraces>,
    pub get_room: Port<GetRoom>,
    pub get_draw: Port<GetDraw>,
    pub note_refusal: Port<NoteRefusal>,
}

pub struct UsersPorts {
    pub register_user: Port<RegisterUser>,
    pub sign_in: Port<SignIn>,
    pub refresh_session: Port<RefreshSession>,
    pub renew_session: Port<RenewSession>,
    pub sign_out: Port<SignOut>,
    pub get_user: Port<GetUser>,
}

pub struct CatalogPorts {
    pub list_products: Port<ListProducts>,
    pub get_product: Port<GetProduct>,
}

pub struct InventoryPorts {
    pub receive_stock: Port<ReceiveStock>,
    pub adjust_stock: Port<AdjustStock>,
    pub reserve_stock: Port<ReserveStock>,
    pub commit_reservation: Port<CommitReservation>,
    pub release_reservation: Port<ReleaseReservation>,
    pub get_stock: Port<GetStock>,
    pub list_holds: Port<ListHolds>,
    pub list_available: Port<ListAvailable>,
    pub list_movements: Port<ListMovements>,
    pub get_hold_ages: Port<GetHoldAges>,
    pub list_sku_loads: Port<ListSkuLoads>,
}

pub struct OrdersPorts {
    pub place_order: Port<PlaceOrder>,
    pub get_order: Port<GetOrder>,
    pub inspect_order: Port<InspectOrder>,
    pub list_orders: Port<ListOrders>,
    pub list_history: Port<ListHistory>,
    pub get_latency: Port<GetLatency>,
    pub cancel_order: Port<CancelOrder>,
    pub record_payment: Port<RecordPayment>,
}

/// How long the oldest decision that waits to be durable has been waiting.
pub type CommitLag = Box<dyn Fn() -> Duration + Send + Sync>;

/// Finds out who the bearer of an access token is, without asking anybody.
pub type Identify = Box<dyn Fn(&str) -> Result<Identity, TokenError> + Send + Sync>;

/// What every handler can reach.
pub struct Gateway {
    pub ports: Ports,
    pub identify: Identify,
    /// The JWK set, as it is sent.
    pub key_set: Bytes,
    pub webhook_secret: WebhookSecret,
    /// Signs and reads tickets and admissions of sales.
    pub pass_key: PassKey,
    /// What is asked of whoever joins a waiting room; nothing: nothing.
    pub challenge: Option<Arc<dyn Challenge>>,
    pub limits: GatewayLimits,
    /// Answers that go on for minutes.
    pub streams: Streams,
    pub(super) draws: WrittenDraws,
    /// The API document, as it is sent.
    pub(super) openapi: Bytes,
    pub(super) open: OpenRequests,
    /// Those of staff, whom a crowd does not keep out.
    pub(super) open_to_staff: OpenRequests,
}

impl Gateway {
    pub fn new(
        ports: Ports,
        identify: impl Fn(&str) -> Result<Identity, TokenError> + Send + Sync + 'static,
        key_set: &serde_json::Value,
        webhook_secret: WebhookSecret,
        pass_key: PassKey,
        challenge: Option<Arc<dyn Challenge>>,
        config: &Config,
    ) -> Self {
        let limits = GatewayLimits::of(config);
        Self {
            ports,
            identify: Box::new(identify),
            key_set: key_set.to_string().into(),
            webhook_secret,
            challenge: challenge.or_else(|| proof_of_work(&pass_key, config)),
            pass_key,
            openapi: super::docs::openapi(&limits).to_string().into(),
            streams: Streams::new(&config.http),
            draws: WrittenDraws::default(),
            open: OpenRequests::new(limits.requests_max),
            open_to_staff: OpenRequests::new(STAFF_REQUESTS_MAX),
            limits,
        }
    }
}

/// The built-in challenge, where one is configured.
fn proof_of_work(key: &PassKey, config: &Config) -> Option<Arc<dyn Challenge>> {
    let bits = Some(config.sales.challenge_bits).filter(|bits| *bits > 0)?;
    // The configuration was checked against the same bound.
    let proof = ProofOfWork::new(key.clone(), bits, CHALLENGE_VALID_FOR).ok()?;
    Some(Arc::new(proof))
}

/// The bounds that the gateway keeps itself.
#[derive(Debug, Clone)]
pub struct GatewayLimits {
    pub body_bytes_max: usize,
    /// Requests that are being answered at the same time.
    pub requests_max: usize,
    pub request_within: Duration,
    pub report_within: Duration,
    pub lines_max: usize,
    pub hold_seconds_max: i64,
    pub webhook_tolerance_seconds: u64,
    /// A session at the operators' page is renewed when its token lapses within this time: half of a token's life.
    pub renew_within: Duration,
}

impl GatewayLimits {
    pub fn of(config: &Config) -> Self {
        Self {
            body_bytes_max: config.http.body_bytes_max,
            requests_max: config.actors.asks_max,
            request_within: Duration::from_millis(config.http.request_within_ms),
            report_within: Duration::from_secs(config.sales.report_within_seconds),
            lines_max: config.orders.lines_max,
            hold_seconds_max: i64::try_from(config.inventory.hold_seconds_max).unwrap_or(i64::MAX),
            webhook_tolerance_seconds: config.payments.webhook_tolerance_seconds,
            renew_within: Duration::from_secs(config.users.access_token_seconds) / 2,
        }
    }
}

/// Counts the requests that are being answered, over all workers.
pub(super) struct OpenRequests {
    count: Arc<AtomicUsize>,
    most: usize,
}

impl OpenRequests {
    pub(super) fn new(most: usize) -> Self {
        Self { count: Arc::default(), most }
    }

    /// A place among those being answered, given back when it is dropped; nothing when there is none left.
    pub(super) fn admit(&self) -> Option<OpenRequest> {
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        let open = OpenRequest(self.count.clone());
        (before < self.most).then_some(open)
    }
}

pub(super) struct OpenRequest(Arc<AtomicUsize>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_request_was_answered() {
        let open = OpenRequests::new(2);
        let first = open.admit();
        let second = open.admit();
        assert!(first.is_some() && second.is_some() && open.admit().is_none() && open.admit().is_none());
        drop(first);
        assert!(open.admit().is_some());
    }
}
