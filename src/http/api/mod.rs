//! The REST API: a file per resource with its bodies, views and handlers, the routes of staff beside those of customers.

pub mod docs;
pub mod dry_run;
pub mod inventory;
mod money;
pub mod orders;
pub mod problem;
pub mod products;
pub mod proposals;
pub mod report;
pub mod sale_snapshot;
pub mod sales;
pub mod users;
pub mod vitals;
pub mod waiting_room;
pub mod webhooks;
pub mod why;

/// The JSON of the API as types that can be written and read: by the gateway, the command line and tests.
pub mod views {
    pub use super::dry_run::{DryRunView, StartDryRunBody};
    pub use super::inventory::{
        AdjustStockBody, AvailableView, MovedView, MovementPageView, MovementView, ReceiveStockBody,
        ReservationView, ReserveStockBody, ReservedLineView, StockView,
    };
    pub use super::money::MoneyView;
    pub use super::orders::{
        CardBody, CardChargeView, HistoryEntryView, HistoryView, KonbiniBody, KonbiniSlipView, LineBody,
        MethodName, OrderLineView, OrderPageView, OrderView, PaymentBody, PaymentView, PlaceOrderBody,
        TotalsView,
    };
    pub use super::problem::ProblemView;
    pub use super::products::{ProductPageView, ProductView, VariantView};
    pub use super::proposals::{ProposalView, ProposalsView};
    pub use super::sales::{
        AdmissionTermsBody, ChangeItemBody, ChangeView, ChangesView, CreateSaleBody, DecisionsView,
        FindingView, HoldSecondsBody, KonbiniTermsBody, LightView, LiveView, MoveBody, PartView,
        PublicItemView, PublicSaleView, PublicSalesView, QueueView, ReasonBody, ReplanSaleBody, SaleItemBody,
        SaleItemView, SaleView, SalesView, SwitchView, UnwrittenView,
    };
    pub use super::users::{SignedInView, UserView};
    pub use super::vitals::{HoldAgesView, LatencyView, SkuLoadView, VitalsView};
    pub use super::waiting_room::{DrawView, PlaceView};
    pub use super::webhooks::{PaymentReportBody, RecordedView};
    pub use super::why::{DecisionView, WhyView};
}
