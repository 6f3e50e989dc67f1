//! The gateway: every route of the REST API and of the pages, each beside the handler that turns it into one message.
//!
//! A request passes `gateway/request_scope.rs` (id, metrics, headers, the shape of errors), CORS and
//! `gateway/rate_limit.rs`, then the route that it matches (`gateway/route.rs`: a bounded number of open requests, a
//! deadline), then the handler, whose arguments read and check it (`gateway/auth.rs`, `gateway/input.rs`). A handler
//! of the API (`api/`, one file per resource) asks a port and answers with a view, or the error becomes a problem
//! (`gateway/problem.rs`). A handler of a page (`pages/`) asks the same ports and answers with HTML. Nothing here
//! knows an actor, a store or a business rule.

mod api;
mod gateway;
mod pages;
mod ports;
#[cfg(test)]
mod tests;

use actix_web::web::ServiceConfig;

pub use api::docs::openapi;
pub use api::views;
use api::{
    docs, dry_run, inventory, orders, products, proposals, report, sales, users, waiting_room, webhooks, why,
};
use gateway::route::at;
pub use gateway::server::serve;
pub use gateway::{Gateway, GatewayLimits, Identify, Streams, internal};
use pages::kit;
use pages::ops::{self, Ops};
pub use ports::Ports;

/// The whole API.
#[rustfmt::skip]
pub fn routes(config: &mut ServiceConfig) {
    config
        // Routes are tried in this order, so those that a flash sale is made of come first.
        .service(at("/v1/orders").post(orders::place_order).get(orders::list_orders))
        .service(at("/v1/sales/{id}/queue").post(waiting_room::join_queue).get(waiting_room::get_place))
        .service(at("/v1/auth/register").post(users::register_user))
        .service(at("/v1/auth/login").post(users::sign_in))
        .service(at("/v1/auth/refresh").post(users::refresh_session))
        .service(at("/v1/auth/logout").post(users::sign_out))
        .service(at("/v1/users/me").get(users::get_user))
        .service(at("/v1/products").get(products::list_products))
        .service(at("/v1/products/{id}").get(products::get_product))
        .service(at("/v1/orders/{id}").get(orders::get_order))
        .service(at("/v1/orders/{id}/history").get(orders::list_history))
        .service(at("/v1/orders/{id}/cancel").post(orders::cancel_order))
        .service(at("/v1/inventory/{sku}").get(inventory::get_available))
        .service(at("/v1/admin/inventory/{sku}").get(inventory::get_stock))
        .service(at("/v1/admin/inventory/{sku}/movements").get(inventory::list_movements))
        .service(at("/v1/admin/inventory/{sku}/receipts").post(inventory::receive_stock))
        .service(at("/v1/admin/inventory/{sku}/adjustments").post(inventory::adjust_stock))
        .service(at("/v1/admin/reservations").post(inventory::reserve_stock))
        .service(at("/v1/admin/reservations/{id}").delete(inventory::release_reservation))
        .service(at("/v1/admin/reservations/{id}/commit").post(inventory::commit_reservation))
        .service(at("/v1/sales").get(sales::list_public_sales))
        .service(at("/v1/sales/{id}").get(sales::get_public_sale))
        .service(at("/v1/sales/{id}/draw").get(waiting_room::get_draw))
        .service(at("/v1/admin/sales").post(sales::create_sale).get(sales::list_sales))
        .service(at("/v1/admin/sales/{id}").get(sales::get_sale).patch(sales::replan_sale))
        .service(at("/v1/admin/sales/{id}/live").get(sales::get_live))
        .service(at("/v1/admin/sales/{id}/changes").get(sales::list_changes))
        .service(at("/v1/admin/sales/{id}/report").get(report::get_report).within(|limits| limits.report_within))
        .service(at("/v1/admin/sales/{id}/why").get(why::explain))
        .service(at("/v1/admin/sales/{id}/validate").post(sales::validate_sale))
        .service(at("/v1/admin/sales/{id}/dry-run").post(dry_run::start_dry_run).get(dry_run::get_dry_run))
        .service(at("/v1/admin/sales/{id}/{action}").post(sales::move_sale))
        .service(at("/v1/admin/sales/{id}/items/{sku}").patch(sales::change_item))
        .service(at("/v1/admin/sales/{id}/items/{sku}/{action}").post(sales::switch_item))
        .service(at("/v1/admin/proposals").get(proposals::list_proposals))
        .service(at("/v1/admin/proposals/{id}").delete(proposals::withdraw_proposal))
        .service(at("/v1/admin/{action}").post(sales::switch_everything))
        .service(at("/v1/webhooks/sandbox").post(webhooks::record_payment))
        .service(at("/.well-known/jwks.json").get(users::get_keys))
        .service(at("/openapi.json").get(docs::get_openapi))
        .service(at("/docs").get(docs::redirect_to_docs))
        .service(at("/docs/{file:.*}").get(docs::get_docs))
        .service(at("/ops").get(ops::list_sales))
        .service(at("/ops/assets/{file}").get(kit::get_asset::<Ops>))
        .service(at("/ops/sign-in").post(kit::sign_in::<Ops>))
        .service(at("/ops/sign-out").post(kit::sign_out::<Ops>))
        .service(at("/ops/language").post(kit::choose_language::<Ops>))
        .service(at("/ops/confirm").get(ops::confirm_everything))
        .service(at("/ops/switch").post(ops::switch_everything))
        .service(at("/ops/proposals/{id}/withdraw").get(ops::confirm_withdrawal).post(ops::withdraw_proposal))
        .service(at("/ops/sales").post(ops::create_sale))
        .service(at("/ops/sales/new").get(ops::plan_sale))
        .service(at("/ops/sales/{id}").get(ops::get_sale))
        .service(at("/ops/sales/{id}/edit").get(ops::plan_again).post(ops::replan_sale))
        .service(at("/ops/sales/{id}/dry-run").get(ops::get_dry_run).post(ops::start_dry_run))
        .service(at("/ops/sales/{id}/events").get(ops::get_live))
        .service(at("/ops/sales/{id}/report").get(ops::download_report).within(|limits| limits.report_within))
        .service(at("/ops/sales/{id}/confirm").get(ops::confirm_move))
        .service(at("/ops/sales/{id}/move").post(ops::move_sale))
        .service(at("/ops/sales/{id}/switch").post(ops::switch_item))
        .service(at("/ops/sales/{id}/allotment").post(ops::change_item));
}
