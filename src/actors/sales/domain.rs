//! Sales as the engine wires it: what it answers, what it asks of others, and how it starts and drains.

use std::time::Duration;

use super::actor::SalesActor;
use super::error::SalesError;
use super::messages::*;
use super::service::SalesService;
use super::store::SalesStore;
use crate::actors::catalog::{CatalogPorts, QuoteSkus};
use crate::actors::inventory::{
    AllotStock, ChangeAllotment, CloseAllotment, CountOpenHolds, GetStock, InventoryPorts, ListAllotments,
    ListClaims,
};
use crate::actors::runtime::{Domain, Handle, Host, contract, needs};
use crate::actors::waiting_room::{ObserveSales, PassKey, WaitingRoomPorts};
use crate::config::Config;

contract! {
    /// What sales answers.
    pub struct SalesPorts of SalesActor, SalesError {
        create_sale: CreateSale,
        replan_sale: ReplanSale,
        get_sale: GetSale,
        list_sales: ListSales,
        list_announced: ListAnnounced,
        get_announced: GetAnnounced,
        validate_sale: ValidateSale,
        move_sale: MoveSale,
        switch_item: SwitchItem,
        switch_everything: SwitchEverything,
        change_item: ChangeItem,
        list_proposals: ListProposals,
        withdraw_proposal: WithdrawProposal,
        list_changes: ListChanges,
        get_live: GetLive,
        hold_quota: HoldQuota,
        note_accepted: NoteAccepted,
        confirm_quota: ConfirmQuota,
        release_quota: ReleaseQuota,
        list_held_quotas: ListHeldQuotas,
        get_sale_skus: GetSaleSkus,
        note_refusal: NoteRefusal,
        list_refusals: ListRefusals,
    }
}

needs! {
    /// What sales asks of others.
    pub struct SalesNeeds {
        catalog: CatalogPorts {
            quote_skus: QuoteSkus,
        }
        inventory: InventoryPorts {
            get_stock: GetStock,
            allot_stock: AllotStock,
            change_allotment: ChangeAllotment,
            close_allotment: CloseAllotment,
            list_allotments: ListAllotments,
            list_claims: ListClaims,
            count_open_holds: CountOpenHolds,
        }
        waiting_room: WaitingRoomPorts {
            observe_sales: ObserveSales,
        }
    }
}

pub struct SalesDomain {
    pub ports: SalesPorts,
    actor: Handle<SalesActor>,
}

impl SalesDomain {
    pub fn start(host: &Host, needs: SalesNeeds, key: PassKey, config: &Config) -> Self {
        let service = SalesService::new(SalesStore::new(host.database()), needs, key, config);
        let actor = host.supervise("sales", &host.coordinators(), move || SalesActor::new(service.clone()));
        Self { ports: SalesPorts::of(&actor), actor }
    }
}

impl Domain for SalesDomain {
    async fn drain(&self, within: Duration) {
        self.actor.drain(within).await;
    }
}
