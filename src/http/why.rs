//! Why a customer got what they got in a sale: every decision in its order, from the queue to the payment.

use actix_web::web::Data;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::answer::{self, Answer};
use super::auth::StaffMember;
use super::input::{self, FromPath, FromQuery};
use super::ports::Gateway;
use super::problem::Problem;
use crate::actors::inventory::ListHolds;
use crate::actors::orders::{InspectOrder, ListHistory, ListOrders, Order};
use crate::actors::sales::{GetTraces, Traces};
use crate::types::{CustomerId, Limit, OrderId, SaleId};

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
#[derive(Serialize, ToSchema)]
pub struct DecisionView {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `queue`, `gate`, `hold` or `order`.
    #[schema(example = "gate")]
    part: &'static str,
    #[schema(example = "refused 3 times by limit-reached, last at 2026-11-24T03:00:00Z")]
    what: String,
    /// The order that it is about.
    #[schema(required)]
    order: Option<Uuid>,
}

#[derive(Serialize, ToSchema)]
pub struct WhyView {
    customer: Uuid,
    /// Oldest first.
    items: Vec<DecisionView>,
}

/// Every decision about a customer, or about one order, in its order.
#[utoipa::path(
    get, path = "/v1/admin/sales/{id}/why", tag = "sales", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The sale"), WhyQuery),
    responses(
        (status = 200, description = "The decisions; of the customer's last hundred orders", body = WhyView),
        (status = 404, description = "`unknown-sale`, `unknown-order`, or `not-found` for what is not an id"),
    )
)]
pub async fn explain(
    _: StaffMember,
    id: FromPath<SaleId>,
    query: FromQuery<WhyQuery>,
    gateway: Data<Gateway>,
) -> Answer {
    let FromPath(sale) = id;
    let (customer, orders) = match query.0 {
        WhyQuery { order: Some(order), customer: None } => {
            let order = gateway.ports.orders.inspect_order.ask(InspectOrder { order }).await?;
            (order.customer, vec![order])
        }
        WhyQuery { order: None, customer: Some(customer) } => {
            let limit = Limit::new(Limit::MAX).map_err(Problem::from)?;
            let list = ListOrders { customer, limit, cursor: None, status: None };
            (customer, gateway.ports.orders.list_orders.ask(list).await?.items)
        }
        _ => return Err(Problem::invalid_query("either an order or a customer is asked about")),
    };
    let traces = gateway.ports.sales.get_traces.ask(GetTraces { sale, customer }).await?;
    let mut items = of_traces(&traces);
    for order in orders.iter().filter(|order| order.sale == Some(sale)) {
        items.extend(of_order(&gateway, order).await?);
    }
    items.sort_by_key(|decision| decision.at);
    answer::ok(&WhyView { customer: customer.uuid(), items })
}

fn of_traces(traces: &Traces) -> Vec<DecisionView> {
    let entries = traces.entries.iter().map(|entry| {
        let until = entry.admitted_until.map(|until| format!(", admitted until {until}")).unwrap_or_default();
        let what = format!("joined with ticket {}; {}{until}", entry.number, entry.state.as_str());
        DecisionView { at: entry.joined_at, part: "queue", what, order: None }
    });
    let refusals = traces.refusals.iter().map(|refused| {
        let times = if refused.count == 1 { "once".to_owned() } else { format!("{} times", refused.count) };
        let what = format!("refused {times} by {}, last at {}", refused.gate, refused.last_at);
        DecisionView { at: refused.first_at, part: "gate", what, order: None }
    });
    entries.chain(refusals).collect()
}

async fn of_order(gateway: &Gateway, order: &Order) -> Result<Vec<DecisionView>, Problem> {
    let id = Some(order.id.uuid());
    let mut decisions = Vec::new();
    for held in gateway.ports.inventory.list_holds.ask(ListHolds { id: order.id.into() }).await? {
        let (pieces, state) = (held.hold.quantity.get(), held.hold.state.as_str());
        let what = format!("{pieces} of {} set aside; {state} by now", held.sku);
        decisions.push(DecisionView { at: held.made_at, part: "hold", what, order: id });
    }
    let question = ListHistory { customer: order.customer, order: order.id };
    for entry in gateway.ports.orders.list_history.ask(question).await? {
        let what = format!("{}: {} ({})", order.number(), entry.status.as_str(), entry.reason);
        decisions.push(DecisionView { at: entry.at, part: "order", what, order: id });
    }
    Ok(decisions)
}
