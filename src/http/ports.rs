//! The ports that the gateway asks, by domain.

use std::time::Duration;

use crate::actors::catalog::{GetProduct, ListProducts};
use crate::actors::inventory::{
    AdjustStock, CommitReservation, GetHoldAges, GetStock, ListAvailable, ListHolds, ListMovements,
    ListSkuLoads, ReceiveStock, ReleaseReservation, ReserveStock,
};
use crate::actors::orders::{
    CancelOrder, GetLatency, GetOrder, InspectOrder, ListHistory, ListOrders, PlaceOrder, RecordPayment,
};
use crate::actors::runtime::Port;
use crate::actors::sales::{
    ChangeItem, CreateSale, GetAnnounced, GetDraw, GetLive, GetPlace, GetRoom, GetSale, GetTraces, JoinQueue,
    ListAnnounced, ListChanges, ListProposals, ListSales, MoveSale, NoteRefusal, ReplanSale,
    SwitchEverything, SwitchItem, ValidateSale, WithdrawProposal,
};
use crate::actors::users::{GetUser, RefreshSession, RegisterUser, RenewSession, SignIn, SignOut};
use crate::audit::{GetLight, GetSettlement};
use crate::dry_run::{GetDryRun, StartDryRun};

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
