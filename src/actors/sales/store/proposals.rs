//! The proposals that wait for a second operator.

use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{SalesStore, defective, prepare};
use crate::actors::sales::error::SalesError;
use crate::actors::sales::model::{Approval, ControlledAction, Proposal};
use crate::storage::StorageError;
use crate::types::{CustomerId, ProposalId, Quantity, SaleId, Sku};

impl SalesStore {
    /// Approves an action that another operator proposed before, or proposes it now.
    ///
    /// Refuses with `TooManyProposals`.
    pub(in crate::actors::sales) async fn approve_or_propose(
        &self,
        proposal: Proposal,
        most: u32,
    ) -> Result<Approval, SalesError> {
        let columns = ActionColumns::of(&proposal.action);
        let ActionColumns { action, sale, sku, allotment, expected } = &columns;
        let write = async {
            let mut connection = self.database.connection().await?;
            let transaction = connection.transaction().await?;
            transaction.execute(sql!("lock_proposals"), &[]).await?;
            transaction.execute(sql!("lapse_proposals"), &[&proposal.at]).await?;
            let by = proposal.by.uuid();
            let agreed = transaction
                .query_opt(sql!("find_agreed_proposal"), &[action, sale, sku, allotment, expected, &by])
                .await?;
            if let Some(row) = agreed {
                let proposed_by = Some(CustomerId::from_uuid(row.get("actor")));
                transaction.commit().await?;
                return Ok(Some(Approval::Given { proposed_by }));
            }
            let (at, lapses_at, most) = (&proposal.at, &proposal.lapses_at, i64::from(most));
            transaction
                .execute(
                    sql!("insert_proposal"),
                    &[
                        &proposal.id.uuid(),
                        action,
                        sale,
                        sku,
                        allotment,
                        expected,
                        &by,
                        &proposal.reason,
                        at,
                        lapses_at,
                        &most,
                    ],
                )
                .await?;
            let rows = transaction.query(sql!("list_proposals"), &[at]).await?;
            transaction.commit().await?;
            let kept = rows.iter().map(proposal_from).collect::<Result<Vec<_>, _>>()?;
            let kept = kept.into_iter().find(|kept| kept.action == proposal.action);
            Ok::<_, StorageError>(kept.map(Approval::Awaited))
        };
        write.await?.ok_or(SalesError::TooManyProposals { most })
    }

    /// Removes the proposal of an action that was carried out.
    pub(in crate::actors::sales) async fn take_proposal(
        &self,
        action: &ControlledAction,
    ) -> Result<(), StorageError> {
        let ActionColumns { action, sale, sku, allotment, expected } = &ActionColumns::of(action);
        let connection = self.database.connection().await?;
        let statement = prepare(&connection, sql!("take_proposal")).await?;
        connection.execute(&statement, &[action, sale, sku, allotment, expected]).await?;
        Ok(())
    }

    pub(in crate::actors::sales) async fn list_proposals(
        &self,
        now: Timestamp,
    ) -> Result<Vec<Proposal>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = prepare(&connection, sql!("list_proposals")).await?;
        connection.query(&statement, &[&now]).await?.iter().map(proposal_from).collect()
    }

    pub(in crate::actors::sales) async fn withdraw_proposal(
        &self,
        id: ProposalId,
        by: CustomerId,
        reason: &str,
        now: Timestamp,
    ) -> Result<Option<Proposal>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = prepare(&connection, sql!("withdraw_proposal")).await?;
        let row = connection.query_opt(&statement, &[&id.uuid(), &by.uuid(), &now, &reason]).await?;
        row.as_ref().map(proposal_from).transpose()
    }
}

/// An action as a row has it.
struct ActionColumns<'a> {
    action: &'static str,
    sale: Option<Uuid>,
    sku: Option<&'a str>,
    allotment: Option<i64>,
    expected: Option<i64>,
}

impl<'a> ActionColumns<'a> {
    fn of(action: &'a ControlledAction) -> Self {
        let allotments = action.allotments();
        Self {
            action: action.name(),
            sale: action.sale().map(SaleId::uuid),
            sku: action.sku().map(Sku::as_str),
            allotment: allotments.map(|(allotment, _)| allotment.get()),
            expected: allotments.map(|(_, expected)| expected.get()),
        }
    }
}

fn proposal_from(row: &Row) -> Result<Proposal, StorageError> {
    let sale = row.get::<_, Option<Uuid>>("sale_id").map(SaleId::from_uuid);
    let sku: Option<Sku> =
        row.get::<_, Option<&str>>("sku").map(str::parse).transpose().map_err(defective)?;
    let pieces = |column| row.get::<_, Option<i64>>(column).map(Quantity::new).transpose().map_err(defective);
    let action = match (sale, sku, pieces("allotment")?, pieces("expected")?) {
        (Some(sale), Some(sku), Some(allotment), Some(expected)) => {
            ControlledAction::Lower { sale, sku, allotment, expected }
        }
        (Some(sale), Some(sku), ..) => ControlledAction::KillItem { sale, sku },
        (Some(sale), None, ..) => ControlledAction::KillSale { sale },
        (None, ..) => ControlledAction::KillEverything,
    };
    Ok(Proposal {
        id: ProposalId::from_uuid(row.get("id")),
        action,
        by: CustomerId::from_uuid(row.get("actor")),
        reason: row.get("reason"),
        at: row.get("at"),
        lapses_at: row.get("lapses_at"),
    })
}
