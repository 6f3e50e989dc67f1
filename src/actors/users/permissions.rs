//! What each role may do on the routes that are not for every customer: one table.

use strum::VariantArray;

use super::model::Role;

/// One thing that a route may ask of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display, VariantArray)]
pub enum Permission {
    /// The figures and the ledger of the stock.
    #[strum(serialize = "inventory:read")]
    InventoryRead,
    /// Receipts, adjustments and reservations by hand.
    #[strum(serialize = "inventory:write")]
    InventoryWrite,
    /// Plans of sales, their live figures, history and proposals.
    #[strum(serialize = "sales:read")]
    SalesRead,
    /// Drafts of sales and dry runs of them.
    #[strum(serialize = "sales:plan")]
    SalesPlan,
    /// The lifecycle, the stops and the allotments of sales.
    #[strum(serialize = "sales:operate")]
    SalesOperate,
    /// Settlements, and the decisions about single customers.
    #[strum(serialize = "audit:read")]
    AuditRead,
}

impl Role {
    pub const fn permissions(self) -> &'static [Permission] {
        match self {
            Self::Customer => &[],
            Self::Staff | Self::Admin => Permission::VARIANTS,
        }
    }

    pub fn permits(self, permission: Permission) -> bool {
        self.permissions().contains(&permission)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staff_and_admins_may_do_everything_and_customers_nothing_that_needs_a_permission() {
        for permission in Permission::VARIANTS {
            assert!(!Role::Customer.permits(*permission), "{permission}");
            assert!(Role::Staff.permits(*permission) && Role::Admin.permits(*permission), "{permission}");
        }
    }
}
