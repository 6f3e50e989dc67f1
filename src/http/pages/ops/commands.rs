//! What operators do to a sale, to one of its SKUs and to all orders, each with a reason that the history keeps.

use actix_web::web::Data;

use super::controls::ALLOT;
use super::outcomes::{PROPOSE, refusal, refuse_form, show_place};
use super::place::Place;
use super::plan_form::pieces;
use super::{Operator, Submitted};
use crate::actors::sales::{
    Action, ChangeItem, CommandOutcome, Halt, Initiator, MoveSale, Sale, SalesError, SwitchCommand,
    SwitchEverything, SwitchItem,
};
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::Answer;
use crate::http::gateway::input::FromPath;
use crate::http::gateway::problem::Problem;
use crate::http::pages::kit::see_other;
use crate::types::{SaleId, Sku};

/// Moves a sale to another status, stops it or resumes it.
pub async fn move_sale(sale: FromPath<SaleId>, submitted: Submitted, gateway: Data<Gateway>) -> Answer {
    let Submitted { sender: operator, form } = submitted;
    let action: Action = form.text("action").parse()?;
    let fields = match action {
        Action::Resume => &["action", "reason", "ends"][..],
        _ => &["action", "reason"],
    };
    form.check(fields, &[])?;
    let ends = match form.text("ends") {
        "" => None,
        ends => Some(ends.parse::<Halt>()?),
    };
    if action == Action::Open {
        return Err(Problem::new(422, "invalid-form", "the schedule alone opens a sale"));
    }
    let Some(reason) = form.reason() else {
        return refuse_without_reason(&operator, &gateway, Place::Sale(sale.0)).await;
    };
    let command =
        MoveSale { sale: sale.0, action, ends, by: Initiator::Operator(operator.identity.customer), reason };
    let result = gateway.ports.sales.move_sale.ask(command).await;
    answer(&operator, &gateway, sale.0, action.as_str(), result).await
}

/// Stops the orders of one SKU, or resumes them.
pub async fn switch_item(sale: FromPath<SaleId>, submitted: Submitted, gateway: Data<Gateway>) -> Answer {
    let Submitted { sender: operator, form } = submitted;
    form.check(&["action", "sku", "reason"], &[])?;
    let action = form.text("action");
    let stopped = action.parse::<SwitchCommand>()?.stops();
    let sku: Sku = form.text("sku").parse()?;
    let Some(reason) = form.reason() else {
        return refuse_without_reason(&operator, &gateway, Place::Sale(sale.0)).await;
    };
    let command = SwitchItem {
        sale: sale.0,
        sku,
        stopped,
        by: Initiator::Operator(operator.identity.customer),
        reason,
    };
    let result = gateway.ports.sales.switch_item.ask(command).await;
    answer(&operator, &gateway, sale.0, action, result).await
}

/// Changes how many pieces of a SKU the sale has, if it still has as many as the operator saw.
pub async fn change_item(sale: FromPath<SaleId>, submitted: Submitted, gateway: Data<Gateway>) -> Answer {
    let Submitted { sender: operator, form } = submitted;
    form.check(&["sku", "expected", "allotment", "reason"], &[])?;
    let sku: Sku = form.text("sku").parse()?;
    let expected = pieces(form.text("expected"))
        .ok_or_else(|| Problem::new(422, "invalid-form", "the form does not name the expected allotment"))?;
    let Some(allotment) = pieces(form.text("allotment")) else {
        let why = operator.texts().allotment_wrong;
        return refuse_form(&operator, &gateway, Place::Sale(sale.0), why).await;
    };
    let Some(reason) = form.reason() else {
        return refuse_without_reason(&operator, &gateway, Place::Sale(sale.0)).await;
    };
    let by = Initiator::Operator(operator.identity.customer);
    let command = ChangeItem { sale: sale.0, sku, allotment, expected, by, reason };
    let result = gateway.ports.sales.change_item.ask(command).await;
    answer(&operator, &gateway, sale.0, ALLOT, result).await
}

/// Stops all orders of customers, or resumes them.
pub async fn switch_everything(submitted: Submitted, gateway: Data<Gateway>) -> Answer {
    let Submitted { sender: operator, form } = submitted;
    form.check(&["action", "reason"], &[])?;
    let action = form.text("action");
    let stopped = action.parse::<SwitchCommand>()?.stops();
    let Some(reason) = form.reason() else {
        return refuse_without_reason(&operator, &gateway, Place::Sales).await;
    };
    let command = SwitchEverything { stopped, by: Initiator::Operator(operator.identity.customer), reason };
    let outcome = match gateway.ports.sales.switch_everything.ask(command).await? {
        CommandOutcome::Done(_) => action,
        CommandOutcome::Proposed(_) => PROPOSE,
    };
    Ok(see_other(&format!("{}?done={outcome}", operator.place_after(Place::Sales).path())))
}

/// Tells an operator who gave no reason that one is needed.
pub async fn refuse_without_reason(operator: &Operator, gateway: &Gateway, about: Place) -> Answer {
    refuse_form(operator, gateway, about, operator.kit_texts().reason_needed).await
}

/// Redirects to the place of the action with its outcome, so that loading that page again repeats nothing.
async fn answer(
    operator: &Operator,
    gateway: &Gateway,
    sale: SaleId,
    action: &str,
    result: Result<CommandOutcome<Sale>, SalesError>,
) -> Answer {
    let place = operator.place_after(Place::Sale(sale));
    let outcome = match result {
        Ok(CommandOutcome::Done(_)) => action,
        Ok(CommandOutcome::Proposed(_)) => PROPOSE,
        Err(error) => {
            let (status, outcome) = refusal(operator.texts(), error, action)?;
            return show_place(operator, gateway, place, operator.status(status), Some(outcome)).await;
        }
    };
    Ok(see_other(&format!("{}?done={outcome}", place.path())))
}
