//! Operators steer sales: their lifecycle, their stops, their allotments, and the history of what was done.

use actix_web::web::Data;
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use super::views::{ChangeView, ChangesView, SaleView, SwitchView};
use crate::actors::sales::{
    Action, ChangeItem, Halt, Initiator, ListChanges, MoveSale, SwitchCommand, SwitchEverything, SwitchItem,
};
use crate::http::api::proposals::{self, ProposalView};
use crate::http::gateway::Gateway;
use crate::http::gateway::access::Caller;
use crate::http::gateway::answer::{self, Answer};
use crate::http::gateway::input::{self, FromJson, FromPath, FromPathParts};
use crate::http::gateway::problem::Problem;
use crate::types::{Quantity, SaleId, Sku};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReasonBody {
    #[serde(deserialize_with = "input::words::<_, 200>")]
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]+$",
        example = "as planned"
    )]
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveBody {
    #[serde(deserialize_with = "input::words::<_, 200>")]
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]+$",
        example = "as planned"
    )]
    pub reason: String,
    /// What `resume` ends: a `pause` or a `kill`. It then leaves the other one alone, also when it is repeated later.
    /// Required when both are on, and refused with any other action.
    #[serde(default, serialize_with = "halt_name", deserialize_with = "input::optional_text")]
    #[schema(value_type = Option<String>, pattern = "^(pause|kill)$")]
    pub ends: Option<Halt>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeItemBody {
    #[serde(deserialize_with = "input::quantity")]
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000_000, example = 400)]
    pub allotment: Quantity,
    /// What it is now; refused if it is not.
    #[serde(deserialize_with = "input::quantity")]
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000_000, example = 500)]
    pub expected: Quantity,
    #[serde(default = "default_reason", deserialize_with = "input::words::<_, 200>")]
    #[schema(required = false, min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    pub reason: String,
}

fn halt_name<S: Serializer>(ends: &Option<Halt>, serializer: S) -> Result<S::Ok, S::Error> {
    ends.map(Halt::as_str).serialize(serializer)
}

fn default_reason() -> String {
    "not given".to_owned()
}

/// Moves a sale on or stops it: `schedule`, `arm`, `pause`, `resume`, `drain`, `close`, `cancel`, `settle` or `kill`.
///
/// Repeating an action changes nothing; a client that may have to repeat a `resume` says in `ends` what it ends. A sale
/// opens by itself, at its time. Where a kill needs a second operator, the same request of another member of staff
/// carries it out.
#[utoipa::path(
    post, path = "/v1/admin/sales/{id}/{action}", tag = "sales",
    params(
        ("id" = Uuid, Path, description = "The sale"),
        ("action" = String, Path, description = "What to do", pattern = "^(schedule|arm|pause|resume|drain|close|cancel|settle|kill)$"),
    ),
    request_body = MoveBody,
    responses(
        (status = 200, description = "The sale as it is then", body = SaleView),
        (status = 202, description = "What waits for a second operator now, where one is needed", body = ProposalView),
        (status = 404, description = "`unknown-sale`, or `not-found` for what is not an id or no such action"),
        (status = 409, description = "`not-in-status`, `paused-and-stopped` for what is to be resumed and does not say what ends, `sale-not-ready` with `findings`, `orders-open` with `orders` and `until` \
            for what is to be settled, or `overtaken`, `too-many-proposals`"),
        (status = 422, description = "`invalid-body`, or `sale-not-valid` with `findings`"),
        (status = 503, description = "Something does not answer; with `findings` of the SKUs that were not ready, where a sale was \
            to be armed: the same again finds what was set apart"),
    )
)]
pub async fn move_sale(
    staff: Caller,
    path: FromPathParts<(SaleId, Action)>,
    body: FromJson<MoveBody>,
    gateway: Data<Gateway>,
) -> Answer {
    let FromPathParts((sale, action)) = path;
    let FromJson(MoveBody { reason, ends }) = body;
    if action == Action::Open {
        return Err(Problem::not_found());
    }
    if ends.is_some() && action != Action::Resume {
        return Err(Problem::new(
            422,
            "invalid-body",
            "`ends` says what `resume` is to end, and nothing else",
        ));
    }
    let by = Initiator::Operator(staff.0.customer);
    let command = MoveSale { sale, action, ends, by, reason };
    proposals::answer(gateway.ports.sales.move_sale.ask(command).await?, SaleView::of)
}

/// Gives an armed, open or paused sale more or fewer pieces of a SKU.
#[utoipa::path(
    patch, path = "/v1/admin/sales/{id}/items/{sku}", tag = "sales",
    params(("id" = Uuid, Path, description = "The sale"), ("sku" = String, Path, description = "The SKU")),
    request_body = ChangeItemBody,
    responses(
        (status = 200, description = "The sale as it is then", body = SaleView),
        (status = 202, description = "What waits for a second operator now, where one is needed", body = ProposalView),
        (status = 404, description = "`unknown-sale`, `unknown-item`, or `not-found` for what is neither an id nor a SKU"),
        (status = 409, description = "`allotment-differs`, `below-promised`, `too-few-to-allot`, `not-in-status`, `too-many-proposals` or `overtaken`"),
    )
)]
pub async fn change_item(
    staff: Caller,
    path: FromPathParts<(SaleId, Sku)>,
    body: FromJson<ChangeItemBody>,
    gateway: Data<Gateway>,
) -> Answer {
    let FromPathParts((sale, sku)) = path;
    let FromJson(ChangeItemBody { allotment, expected, reason }) = body;
    let by = Initiator::Operator(staff.0.customer);
    let change = ChangeItem { sale, sku, allotment, expected, by, reason };
    proposals::answer(gateway.ports.sales.change_item.ask(change).await?, SaleView::of)
}

/// Stops the orders of one SKU at once (`kill`), or lets them pass again (`resume`); staff pass.
#[utoipa::path(
    post, path = "/v1/admin/sales/{id}/items/{sku}/{action}", tag = "sales",
    params(
        ("id" = Uuid, Path, description = "The sale"),
        ("sku" = String, Path, description = "The SKU"),
        ("action" = String, Path, description = "What to do", pattern = "^(kill|resume)$"),
    ),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "The sale as it is then", body = SaleView),
        (status = 202, description = "What waits for a second operator now, where one is needed", body = ProposalView),
        (status = 404, description = "`unknown-sale`, `unknown-item`, or `not-found` for what is no id, no SKU or no such action"),
        (status = 409, description = "`not-in-status` once the sale is over, `overtaken` or `too-many-proposals`"),
    )
)]
pub async fn switch_item(
    staff: Caller,
    path: FromPathParts<(SaleId, Sku, SwitchCommand)>,
    body: FromJson<ReasonBody>,
    gateway: Data<Gateway>,
) -> Answer {
    let FromPathParts((sale, sku, command)) = path;
    let by = Initiator::Operator(staff.0.customer);
    let switch = SwitchItem { sale, sku, stopped: command.stops(), by, reason: body.0.reason };
    proposals::answer(gateway.ports.sales.switch_item.ask(switch).await?, SaleView::of)
}

/// Stops all orders of customers at once, in a sale or not (`kill`), or lets them pass again (`resume`); reading stays up
/// and staff pass.
#[utoipa::path(
    post, path = "/v1/admin/{action}", tag = "sales",
    params(("action" = String, Path, description = "What to do", pattern = "^(kill|resume)$")),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "Whether everything is stopped", body = SwitchView),
        (status = 202, description = "What waits for a second operator now, where one is needed", body = ProposalView),
        (status = 404, description = "`not-found` for no such action"),
        (status = 409, description = "`too-many-proposals`"),
    )
)]
pub async fn switch_everything(
    staff: Caller,
    command: FromPath<SwitchCommand>,
    body: FromJson<ReasonBody>,
    gateway: Data<Gateway>,
) -> Answer {
    let by = Initiator::Operator(staff.0.customer);
    let switch = SwitchEverything { stopped: command.0.stops(), by, reason: body.0.reason };
    let switched = gateway.ports.sales.switch_everything.ask(switch).await?;
    proposals::answer(switched, |stopped| SwitchView { stopped: *stopped })
}

/// The history of a sale, oldest entry first.
#[utoipa::path(
    get, path = "/v1/admin/sales/{id}/changes", tag = "sales",
    params(("id" = Uuid, Path, description = "The sale")),
    responses(
        (status = 200, description = "Its history", body = ChangesView),
        (status = 404, description = "`unknown-sale`, or `not-found` for what is not an id"),
    )
)]
pub async fn list_changes(id: FromPath<SaleId>, gateway: Data<Gateway>) -> Answer {
    let changes = gateway.ports.sales.list_changes.ask(ListChanges { sale: id.0 }).await?;
    answer::ok(&ChangesView { items: changes.iter().map(ChangeView::of).collect() })
}
