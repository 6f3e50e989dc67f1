//! Reservations over several SKUs: all lines are held or none, and all come to the same end.
//!
//! Lines are decided SKU by SKU in one fixed order. A refusal undoes the lines before it; a crash in between leaves
//! lines that expire, or that the sweep of orders releases.

use std::collections::BTreeMap;

use super::error::InventoryError;
use super::messages::ReserveStock;
use super::model::{Command, Hold, Line, Purpose, Reply, Reservation, ReservationState};
use super::service::InventoryService;
use crate::error::{Fault as _, Kind};
use crate::types::{Quantity, ReservationId, Sku};

impl InventoryService {
    pub(super) async fn reserve(&self, wanted: ReserveStock) -> Result<Reservation, InventoryError> {
        let lines = summed(wanted.lines)?;
        // An earlier attempt broke off after some lines, so that all of them are this attempt's to release.
        let is_left_over = !wanted.id_is_new && self.is_left_over(wanted.id, wanted.purpose, &lines).await?;
        let mut made = Vec::with_capacity(lines.len());
        let mut found = Vec::new();
        let mut reservation = Reservation {
            id: wanted.id,
            lines: Vec::with_capacity(lines.len()),
            state: ReservationState::Held,
            expires_at: wanted.expires_at,
        };
        let count = i16::try_from(lines.len()).unwrap_or(i16::MAX);
        for line in lines {
            let command = Command::Reserve {
                id: wanted.id,
                quantity: line.quantity,
                lines: count,
                purpose: wanted.purpose,
                expires_at: wanted.expires_at,
                sale: wanted.sale.as_ref().and_then(|lines| lines.claim_on(&line.sku)),
                id_is_new: wanted.id_is_new,
            };
            match self.skus.execute(&line.sku, command).await.map_err(InventoryError::from) {
                Ok(Reply::Hold { hold, already }) => {
                    reservation.state = hold.state;
                    reservation.expires_at = hold.expires_at;
                    // A line of another request under the same id is not this one's to undo.
                    if wanted.id_is_new || !already {
                        made.push(line.sku.clone());
                    } else {
                        found.push(line.sku.clone());
                    }
                    reservation.lines.push(line);
                }
                Ok(Reply::Done) => {}
                Err(error) => {
                    let is_refusal = matches!(error.kind(), Kind::NotFound | Kind::Conflict | Kind::Invalid);
                    if is_refusal && is_left_over {
                        // The remaining lines can never be held, so that the found ones are released too.
                        made.append(&mut found);
                    } else if !is_refusal && wanted.id_is_new {
                        // The line may have been held all the same, and no later request will have this id.
                        made.push(line.sku);
                    }
                    self.undo(wanted.id, made).await;
                    return Err(error);
                }
            }
        }
        Ok(reservation)
    }

    /// Whether some lines of the reservation exist, but not all; those are the first, as lines are decided in order.
    ///
    /// Refuses when it has other lines, or was made for another purpose.
    async fn is_left_over(
        &self,
        id: ReservationId,
        purpose: Purpose,
        lines: &[Line],
    ) -> Result<bool, InventoryError> {
        let Some(known) = self.store.find_reservation(id).await? else { return Ok(false) };
        if known.purpose == purpose && known.whole == lines.len() && lines.starts_with(&known.lines) {
            Ok(known.lines.len() < lines.len())
        } else {
            Err(InventoryError::ReservationDiffers(id))
        }
    }

    /// Releases the lines before a refused one. A line that cannot be released now (a crash, a database that cannot be
    /// reached) expires, or is swept when it was for an order.
    async fn undo(&self, id: ReservationId, skus: Vec<Sku>) {
        for sku in skus {
            let command = Command::Release { id, even_if_committed: false, has_expired: false };
            if let Err(error) = self.skus.execute(&sku, command).await.map_err(InventoryError::from) {
                tracing::warn!(reservation = %id, %sku, %error, "a line could not be undone");
            }
        }
    }

    /// Brings every line of a reservation to the same end: commits or releases it.
    pub(super) async fn end(
        &self,
        id: ReservationId,
        purpose: Purpose,
        skus: Vec<Sku>,
        command: Command,
    ) -> Result<Reservation, InventoryError> {
        let skus = if skus.is_empty() { self.store.list_reserved_skus(id, purpose).await? } else { skus };
        let mut lines = Vec::with_capacity(skus.len());
        let mut last: Option<Hold> = None;
        for sku in skus {
            match self.skus.execute(&sku, command.clone()).await.map_err(InventoryError::from) {
                Ok(Reply::Hold { hold, .. }) => {
                    lines.push(Line { sku, quantity: hold.quantity });
                    last = Some(hold);
                }
                Ok(Reply::Done) => {}
                Err(error) => {
                    // Staff could not undo a reservation of which a part is sold because the rest expired meanwhile.
                    if matches!(error, InventoryError::ReservationEnded { .. }) && purpose == Purpose::Staff {
                        self.take_back(id, lines).await;
                    }
                    return Err(error);
                }
            }
        }
        let Hold { state, expires_at, .. } = last.ok_or(InventoryError::UnknownReservation(id))?;
        Ok(Reservation { id, lines, state, expires_at })
    }

    /// Brings pieces back on hand that were committed before a line that could not be.
    async fn take_back(&self, id: ReservationId, lines: Vec<Line>) {
        for Line { sku, .. } in lines {
            let command = Command::Release { id, even_if_committed: true, has_expired: false };
            if let Err(error) = self.skus.execute(&sku, command).await.map_err(InventoryError::from) {
                tracing::error!(reservation = %id, %sku, %error, "pieces of a broken reservation stay sold");
            }
        }
    }
}

/// The lines in the order in which every reservation decides them, each SKU once.
fn summed(lines: Vec<Line>) -> Result<Vec<Line>, InventoryError> {
    if lines.len() == 1 {
        return Ok(lines);
    }
    let mut sums: BTreeMap<Sku, Quantity> = BTreeMap::new();
    for Line { sku, quantity } in lines {
        let sum = match sums.get(&sku) {
            Some(before) => before.plus(quantity)?,
            None => quantity,
        };
        sums.insert(sku, sum);
    }
    Ok(sums.into_iter().map(|(sku, quantity)| Line { sku, quantity }).collect())
}
