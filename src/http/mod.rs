//! The gateway: every route of the REST API and of the pages, each beside the handler that turns it into one message.
//!
//! A request passes `gateway/request_scope.rs` (id, metrics, headers, the shape of errors), CORS and
//! `gateway/rate_limit.rs`, then the route that it matches (`gateway/route.rs`: a bounded number of open requests, who
//! may call it, a deadline), then the handler, whose arguments read and check it (`gateway/input.rs`). A handler
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
pub use gateway::access::Access;
pub use gateway::route::DeclaredRoute;
use gateway::route::{Path, at};
pub use gateway::server::serve;
pub use gateway::{Gateway, GatewayLimits, Identify, Streams, internal};
use pages::kit;
use pages::ops::{self, Ops};
pub use ports::Ports;

use crate::actors::users::Permission::{
    AuditRead, InventoryRead, InventoryWrite, SalesOperate, SalesPlan, SalesRead,
};

/// The route table: every path, who may call it, and its handlers.
///
/// Routes are tried in this order, so those of the busiest minutes of a flash sale come first.
#[rustfmt::skip]
fn routes() -> Vec<Path> {
    vec![
        at("/v1/orders").customer().post(orders::place_order).get(orders::list_orders),
        at("/v1/sales/{id}/queue").customer().post(waiting_room::join_queue).public().get(waiting_room::get_place),
        at("/v1/auth/register").public().post(users::register_user),
        at("/v1/auth/login").public().post(users::sign_in),
        at("/v1/auth/refresh").public().post(users::refresh_session),
        at("/v1/auth/logout").customer().post(users::sign_out),
        at("/v1/users/me").customer().get(users::get_user),
        at("/v1/products").public().get(products::list_products),
        at("/v1/products/{id}").public().get(products::get_product),
        at("/v1/orders/{id}").customer().get(orders::get_order),
        at("/v1/orders/{id}/history").customer().get(orders::list_history),
        at("/v1/orders/{id}/cancel").customer().post(orders::cancel_order),
        at("/v1/inventory/{sku}").public().get(inventory::get_available),
        at("/v1/admin/inventory/{sku}").staff(InventoryRead).get(inventory::get_stock),
        at("/v1/admin/inventory/{sku}/movements").staff(InventoryRead).get(inventory::list_movements),
        at("/v1/admin/inventory/{sku}/receipts").staff(InventoryWrite).post(inventory::receive_stock),
        at("/v1/admin/inventory/{sku}/adjustments").staff(InventoryWrite).post(inventory::adjust_stock),
        at("/v1/admin/reservations").staff(InventoryWrite).post(inventory::reserve_stock),
        at("/v1/admin/reservations/{id}").staff(InventoryWrite).delete(inventory::release_reservation),
        at("/v1/admin/reservations/{id}/commit").staff(InventoryWrite).post(inventory::commit_reservation),
        at("/v1/sales").public().get(sales::list_public_sales),
        at("/v1/sales/{id}").public().get(sales::get_public_sale),
        at("/v1/sales/{id}/draw").public().get(waiting_room::get_draw),
        at("/v1/admin/sales").staff(SalesPlan).post(sales::create_sale).staff(SalesRead).get(sales::list_sales),
        at("/v1/admin/sales/{id}").staff(SalesRead).get(sales::get_sale).staff(SalesPlan).patch(sales::replan_sale),
        at("/v1/admin/sales/{id}/live").staff(SalesRead).get(sales::get_live),
        at("/v1/admin/sales/{id}/changes").staff(SalesRead).get(sales::list_changes),
        at("/v1/admin/sales/{id}/report").staff(AuditRead).get(report::get_report).within(|limits| limits.report_within),
        at("/v1/admin/sales/{id}/why").staff(AuditRead).get(why::explain),
        at("/v1/admin/sales/{id}/validate").staff(SalesPlan).post(sales::validate_sale),
        at("/v1/admin/sales/{id}/dry-run").staff(SalesPlan).post(dry_run::start_dry_run).staff(SalesRead).get(dry_run::get_dry_run),
        at("/v1/admin/sales/{id}/{action}").staff(SalesOperate).post(sales::move_sale),
        at("/v1/admin/sales/{id}/items/{sku}").staff(SalesOperate).patch(sales::change_item),
        at("/v1/admin/sales/{id}/items/{sku}/{action}").staff(SalesOperate).post(sales::switch_item),
        at("/v1/admin/proposals").staff(SalesRead).get(proposals::list_proposals),
        at("/v1/admin/proposals/{id}").staff(SalesOperate).delete(proposals::withdraw_proposal),
        at("/v1/admin/{action}").staff(SalesOperate).post(sales::switch_everything),
        at("/v1/webhooks/sandbox").public().post(webhooks::record_payment),
        at("/.well-known/jwks.json").public().get(users::get_keys),
        at("/openapi.json").public().get(docs::get_openapi),
        at("/docs").public().get(docs::redirect_to_docs),
        at("/docs/{file:.*}").public().get(docs::get_docs),
        at("/ops").page().get(ops::list_sales),
        at("/ops/assets/{file}").page().get(kit::get_asset::<Ops>),
        at("/ops/sign-in").page().post(kit::sign_in::<Ops>),
        at("/ops/sign-out").signed_in_page().post(kit::sign_out::<Ops>),
        at("/ops/language").page().post(kit::choose_language::<Ops>),
        at("/ops/confirm").staff_page(SalesOperate).get(ops::confirm_everything),
        at("/ops/switch").staff_page(SalesOperate).post(ops::switch_everything),
        at("/ops/proposals/{id}/withdraw").staff_page(SalesOperate).get(ops::confirm_withdrawal).post(ops::withdraw_proposal),
        at("/ops/sales").staff_page(SalesPlan).post(ops::create_sale),
        at("/ops/sales/new").staff_page(SalesPlan).get(ops::plan_sale),
        at("/ops/sales/{id}").staff_page(SalesRead).get(ops::get_sale),
        at("/ops/sales/{id}/edit").staff_page(SalesPlan).get(ops::plan_again).post(ops::replan_sale),
        at("/ops/sales/{id}/dry-run").staff_page(SalesRead).get(ops::get_dry_run).staff_page(SalesPlan).post(ops::start_dry_run),
        at("/ops/sales/{id}/events").staff_page(SalesRead).get(ops::get_live),
        at("/ops/sales/{id}/report").staff_page(AuditRead).get(ops::download_report).within(|limits| limits.report_within),
        at("/ops/sales/{id}/confirm").staff_page(SalesOperate).get(ops::confirm_move),
        at("/ops/sales/{id}/move").staff_page(SalesOperate).post(ops::move_sale),
        at("/ops/sales/{id}/switch").staff_page(SalesOperate).post(ops::switch_item),
        at("/ops/sales/{id}/allotment").staff_page(SalesOperate).post(ops::change_item),
    ]
}

/// Serves the routes.
pub fn configure(config: &mut ServiceConfig) {
    for path in routes() {
        config.service(path);
    }
}

/// The route table as it is declared.
pub fn route_table() -> Vec<DeclaredRoute> {
    routes().iter().flat_map(Path::declared).collect()
}
