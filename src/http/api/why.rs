//! The decisions about a customer or an order of a sale, as JSON.

use actix_web::web::Data;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::audit::{Decision, DecisionSubject, Decisions, ExplainDecisions};
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::{self, Answer};
use crate::http::gateway::input::{self, FromPath, FromQuery};
use crate::http::gateway::problem::Problem;
use crate::types::{CustomerId, OrderId, SaleId};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WhyQuery {
    /// Either the order that is asked about,
    #[serde(default, deserialize_with = "input::optional_text")]
    #[param(value_type = Option<Uuid>, nullable = false)]
    order: Option<OrderId>,
    /// or the customer.
    #[serde(default, deserialize_with = "input::optional_text")]
    #[param(value_type = Option<Uuid>, nullable = false)]
    customer: Option<CustomerId>,
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DecisionView {
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `queue`, `gate`, `hold`, `order` or `payment`.
    #[schema(example = "gate")]
    pub part: String,
    #[schema(example = "refused 3 times by limit-reached, last at 2026-11-24T03:00:00Z")]
    pub what: String,
    /// The order that it is about.
    #[schema(required)]
    pub order: Option<Uuid>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WhyView {
    pub customer: Uuid,
    /// Oldest first.
    pub items: Vec<DecisionView>,
}

impl DecisionView {
    fn of(Decision { at, stage, what, order }: Decision) -> Self {
        Self { at, part: stage.to_string(), what, order: order.map(OrderId::uuid) }
    }
}

impl WhyView {
    fn of(Decisions { customer, items }: Decisions) -> Self {
        Self { customer: customer.uuid(), items: items.into_iter().map(DecisionView::of).collect() }
    }
}

/// Every decision about a customer, or about one order, oldest first.
#[utoipa::path(
    get, path = "/v1/admin/sales/{id}/why", tag = "sales",
    params(("id" = Uuid, Path, description = "The sale"), WhyQuery),
    responses(
        (status = 200, description = "The decisions; of the customer's last hundred orders in the sale", body = WhyView),
        (status = 404, description = "`unknown-sale`, `unknown-order` (also for one of another sale), or `not-found` for what \
            is not an id"),
    )
)]
pub async fn explain(id: FromPath<SaleId>, query: FromQuery<WhyQuery>, gateway: Data<Gateway>) -> Answer {
    let about = match query.0 {
        WhyQuery { order: Some(order), customer: None } => DecisionSubject::Order(order),
        WhyQuery { order: None, customer: Some(customer) } => DecisionSubject::Customer(customer),
        _ => return Err(Problem::invalid_query("either an order or a customer is asked about")),
    };
    let decisions = gateway.ports.audit.explain_decisions.ask(ExplainDecisions { sale: id.0, about }).await?;
    answer::ok(&WhyView::of(decisions))
}
