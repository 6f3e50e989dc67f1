//! What the actor of the waiting rooms shares with the work that it starts.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::book::{RoomBook, RoomEntry};
use super::draw::{ClosedEntries, PublishedDraw, Seed};
use super::error::WaitingRoomError;
use super::messages::TicketHistory;
use super::model::{DatedChange, EntryChange, RoomPlan, TicketNumber};
use super::room::{WaitingRoom, follow_uses};
use super::rooms::Rooms;
use super::running_room::AdmissionSettings;
use super::store::WaitingRoomStore;
use crate::actors::runtime::Journal;
use crate::config::Sales as Settings;
use crate::types::{CustomerId, SaleId};

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct WaitingRoomService {
    pub store: WaitingRoomStore,
    pub journal: Journal<RoomBook>,
    pub rooms: Rooms,
    pub admissions: AdmissionSettings,
    entries_max: u32,
}

/// A room as it is loaded.
pub(super) struct LoadedRoom {
    pub room: WaitingRoom,
    pub seed: Seed,
    pub draw: Option<Arc<PublishedDraw>>,
    /// What is to be written of it now.
    pub changes: Vec<EntryChange>,
}

impl WaitingRoomService {
    pub fn new(
        store: WaitingRoomStore,
        journal: Journal<RoomBook>,
        rooms: Rooms,
        settings: &Settings,
    ) -> Self {
        let admissions = AdmissionSettings {
            seconds: settings.admission_seconds,
            per_piece: settings.admissions_per_piece,
        };
        Self { store, journal, rooms, admissions, entries_max: settings.queue_entries_max }
    }

    /// Writes changes of entries. Answers whether all of them are certainly written.
    pub async fn write(&self, changes: Arc<[DatedChange]>) -> bool {
        let count = changes.len();
        let why = match self.journal.slot() {
            None => "the journal is full".to_owned(),
            Some(slot) => match slot.enter(RoomEntry::Changes(changes)).await {
                Ok(()) => return true,
                Err(error) => error.to_string(),
            },
        };
        tracing::warn!(
            count,
            why,
            "changes of tickets in waiting rooms could not be written; they are written again"
        );
        false
    }

    /// Loads the room of a sale. `used` are the admissions that sales counts as used.
    pub async fn load(
        &self,
        plan: RoomPlan,
        used: &HashSet<TicketNumber>,
    ) -> Result<LoadedRoom, WaitingRoomError> {
        let (seed, draw) = self.store.find_room(plan.sale).await?;
        let mut entries = self.store.list_entries(plan.sale).await?;
        let valid_for = SignedDuration::from_secs(self.admissions.seconds.into());
        let lapses_at = Timestamp::now().checked_add(valid_for).unwrap_or(Timestamp::MAX);
        let changes = follow_uses(&mut entries, used, lapses_at);
        let room = WaitingRoom::restore(plan.mode, plan.sale, self.entries_max, entries, draw.as_ref(), None)
            .map_err(|error| WaitingRoomError::Broken(error.to_string()))?;
        Ok(LoadedRoom { room, seed, draw: draw.map(Arc::new), changes })
    }

    /// Draws, on a thread that may take its time, and stores the draw before any customer is admitted by it.
    pub async fn draw(&self, entries: ClosedEntries, seed: Seed) -> Result<PublishedDraw, WaitingRoomError> {
        let drawing = tokio::task::spawn_blocking(move || entries.draw(&seed, Timestamp::now()));
        let draw = drawing.await.map_err(|error| WaitingRoomError::Broken(error.to_string()))?;
        self.store.insert_draw(&draw).await?;
        Ok(draw)
    }

    /// The draw of a sale whose room is not in memory.
    pub async fn find_draw(&self, sale: SaleId) -> Result<PublishedDraw, WaitingRoomError> {
        let (_, draw) = self.store.find_room(sale).await?;
        draw.ok_or(WaitingRoomError::NotDrawn(sale))
    }

    pub async fn ticket_history(
        &self,
        sale: SaleId,
        customer: CustomerId,
    ) -> Result<TicketHistory, WaitingRoomError> {
        Ok(TicketHistory {
            entries: self.store.list_customer_entries(sale, customer).await?,
            changes: self.store.list_customer_changes(sale, customer).await?,
        })
    }
}
