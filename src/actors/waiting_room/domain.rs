//! The waiting room as the engine wires it: what it answers, and how it starts and drains. It asks no other domain.

use std::time::Duration;

use super::actor::WaitingRoomActor;
use super::book::RoomBook;
use super::error::WaitingRoomError;
use super::messages::{GetDraw, GetPlace, GetRoom, GetTicketHistory, JoinQueue, ObserveSales};
use super::passes::PassKey;
use super::rooms::Rooms;
use super::service::WaitingRoomService;
use super::store::WaitingRoomStore;
use crate::actors::runtime::{Domain, Handle, Host, Journal, contract};
use crate::config;

contract! {
    /// What the waiting room answers.
    pub struct WaitingRoomPorts of WaitingRoomActor, WaitingRoomError {
        join_queue: JoinQueue,
        get_draw: GetDraw,
        get_room: GetRoom,
        get_ticket_history: GetTicketHistory,
        observe_sales: ObserveSales,
    }
    beside the mailbox {
        get_place: GetPlace,
    }
}

pub struct WaitingRoomDomain {
    pub ports: WaitingRoomPorts,
    actor: Handle<WaitingRoomActor>,
    /// For sales alone, so that a crowd that joins does not keep the rooms from being told.
    told: Handle<WaitingRoomActor>,
    journal: Journal<RoomBook>,
}

impl WaitingRoomDomain {
    /// Many customers come at once, so the waiting rooms have a thread of their own.
    pub fn start(host: &mut Host, key: PassKey, config: &config::Sales) -> Self {
        let thread = host.start_thread();
        let rooms = Rooms::new(key);
        let journal = host.start_lane("waiting rooms", 0, &thread, RoomBook);
        let store = WaitingRoomStore::new(host.database());
        let service = WaitingRoomService::new(store, journal.clone(), rooms.clone(), config);
        let actor = host.supervise("waiting rooms", &thread, move || WaitingRoomActor::new(service.clone()));
        let told = actor.apart(1);
        let ports =
            WaitingRoomPorts { observe_sales: told.port(), ..WaitingRoomPorts::of(&actor, rooms.port()) };
        Self { ports, actor, told, journal }
    }
}

impl Domain for WaitingRoomDomain {
    async fn drain(&self, within: Duration) {
        self.actor.drain(within).await;
        self.told.drain(within).await;
    }

    async fn flush(&self) {
        self.journal.flush().await;
    }
}
