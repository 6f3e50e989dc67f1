//! The waiting rooms as the engine wires them: what they answer, and how they start and drain.

use std::time::Duration;

use super::actor::{Doorkeeper, WaitingActor};
use super::book::RoomBook;
use super::passes::PassKey;
use super::rooms::Rooms;
use crate::actors::runtime::{Domain, Handle, Host, Journal, contract};
use crate::actors::sales::domain::SalesDomain;
use crate::actors::sales::error::SalesError;
use crate::actors::sales::messages::{GetDraw, GetPlace, GetRoom, JoinQueue};
use crate::actors::sales::store::SalesStore;
use crate::config;

contract! {
    /// What the waiting rooms answer.
    pub struct WaitingRoomPorts of WaitingActor, SalesError {
        join_queue: JoinQueue,
        get_room: GetRoom,
        get_draw: GetDraw,
    }
    beside the mailbox {
        get_place: GetPlace,
    }
}

pub struct WaitingRoomDomain {
    pub ports: WaitingRoomPorts,
    actor: Handle<WaitingActor>,
    journal: Journal<RoomBook>,
}

impl WaitingRoomDomain {
    /// Many people come at once, so the waiting rooms have a thread of their own.
    pub fn start(host: &mut Host, sales: &SalesDomain, key: PassKey, config: &config::Sales) -> Self {
        let thread = host.start_thread();
        let rooms = Rooms::new(key);
        let journal = host.start_lane("waiting rooms", 0, &thread, RoomBook);
        let store = SalesStore::new(host.database());
        let keeper = Doorkeeper::new(store, journal.clone(), sales.actor.clone(), rooms.clone(), config);
        let actor = host.supervise("waiting rooms", &thread, move || WaitingActor::new(keeper.clone()));
        Self { ports: WaitingRoomPorts::of(&actor, rooms.port()), actor, journal }
    }
}

impl Domain for WaitingRoomDomain {
    async fn drain(&self, within: Duration) {
        self.actor.drain(within).await;
    }

    async fn flush(&self) {
        self.journal.flush().await;
    }
}
