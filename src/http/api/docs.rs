//! The API document (OpenAPI 3.1) and a page to try it out, which loads all of its files from this server.
//!
//! A handler documents what is its own. What every operation may answer is added here, and what follows from who may
//! call it is derived from the route table.

use std::sync::{Arc, LazyLock};

use actix_web::HttpResponse;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION,
};
use actix_web::web::{Data, Path};
use serde_json::{Value, json};
use utoipa::OpenApi;
use utoipa_swagger_ui::Config;

use super::{
    dry_run, inventory, orders, problem, products, proposals, report, sales, users, waiting_room, webhooks,
    why,
};
use crate::http::gateway::access::Access;
use crate::http::gateway::answer::Answer;
use crate::http::gateway::problem::Problem;
use crate::http::gateway::route::DeclaredRoute;
use crate::http::gateway::{Gateway, GatewayLimits};
use crate::http::route_table;

/// Swagger UI sets styles of its own in elements; everything else comes from this server.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// What is an email address: RFC 5322 atoms around dots, at a host name with a dot.
const EMAIL: &str = r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Shobai",
        description = "A shop's back end: products, orders, stock. Errors are `application/problem+json` (RFC 9457); \
                       match on `code`.",
        license(name = "MIT", identifier = "MIT"),
    ),
    paths(
        users::register_user, users::sign_in, users::refresh_session, users::sign_out, users::get_user,
        users::get_keys, products::list_products, products::get_product, orders::place_order, orders::list_orders,
        orders::get_order, orders::list_history, orders::cancel_order, inventory::get_available,
        inventory::get_stock, inventory::list_movements, inventory::receive_stock, inventory::adjust_stock,
        inventory::reserve_stock, inventory::commit_reservation, inventory::release_reservation,
        webhooks::record_payment, sales::list_public_sales, sales::get_public_sale, sales::create_sale,
        sales::list_sales, sales::get_sale, sales::replan_sale, sales::validate_sale, sales::move_sale,
        sales::change_item, sales::switch_item, sales::switch_everything, proposals::list_proposals, proposals::withdraw_proposal,
        sales::list_changes, sales::get_live, waiting_room::join_queue, waiting_room::get_place, waiting_room::get_draw, why::explain,
        report::get_report, dry_run::start_dry_run, dry_run::get_dry_run,
    ),
    components(schemas(problem::ProblemView)),
    tags(
        (name = "users", description = "Accounts and sessions"),
        (name = "products", description = "What is sold"),
        (name = "orders", description = "What was ordered"),
        (name = "inventory", description = "What is in stock; `/v1/admin` is for staff"),
        (name = "sales", description = "Flash sales; `/v1/admin` is for staff"),
        (name = "webhooks", description = "What payment providers report"),
    )
)]
struct ApiDocument;

/// The document, with the bounds that are configured.
pub fn openapi(limits: &GatewayLimits) -> Value {
    // The derived document serialises without exception; an empty one would be noticed by every test.
    let mut document = serde_json::to_value(ApiDocument::openapi()).unwrap_or_default();
    document["components"]["securitySchemes"] =
        json!({"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}});
    let schemas = &mut document["components"]["schemas"];
    for body in ["PlaceOrderBody", "ReserveStockBody"] {
        schemas[body]["properties"]["lines"]["maxItems"] = json!(limits.lines_max);
    }
    schemas["ReserveStockBody"]["properties"]["expires_in_seconds"]["maximum"] =
        json!(limits.hold_seconds_max);
    for body in ["RegisterUserBody", "SignInBody"] {
        schemas[body]["properties"]["email"]["pattern"] = json!(EMAIL);
    }
    // The derive has no word for "any number but zero".
    schemas["AdjustStockBody"]["properties"]["delta"]["not"] = json!({"const": 0});
    let routes = route_table();
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, item) in paths {
            for (method, operation) in item.as_object_mut().into_iter().flatten() {
                let is_it = |route: &&DeclaredRoute| {
                    route.pattern == path && route.method.eq_ignore_ascii_case(method)
                };
                let access = routes.iter().find(is_it).map_or(Access::Public, |route| route.access);
                complete(access, operation);
            }
        }
    }
    document
}

/// Adds what follows from the operation's own description and from what its route declares.
fn complete(access: Access, operation: &mut Value) {
    let sku = json!({"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9._-]+$"});
    let mut has_query = false;
    let mut has_key = false;
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        has_query |= parameter["in"] == "query";
        has_key |= parameter["name"] == "Idempotency-Key";
        if parameter["name"] == "sku" {
            parameter["schema"] = sku.clone();
        }
    }
    let mut common = vec![
        (405, "`method-not-allowed`: the `Allow` header names those that are"),
        (429, "`too-many-requests` from this address"),
        (500, "`internal`: something is broken on our side"),
        (503, "`busy`, `late` or `unavailable`: try again with the same idempotency key"),
    ];
    if operation.get("requestBody").is_some() {
        common.extend([
            (400, "`malformed-json` or `body-broken-off`"),
            (413, "`body-too-large`"),
            (415, "`unsupported-media-type`"),
            (422, "`invalid-body`"),
        ]);
    }
    if has_query {
        common.push((422, "`invalid-query` or `invalid-value`"));
    }
    if has_key {
        common.push((422, "`invalid-value`"));
    }
    if matches!(access, Access::Customer | Access::Staff(_)) {
        operation["security"] = json!([{ "bearer": [] }]);
        common.push((401, "`token-missing`, `token-malformed`, `token-expired` or `session-ended`"));
    }
    if matches!(access, Access::Staff(_)) {
        common.push((403, "`staff-only`"));
    }
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    for (status, description) in common {
        responses.entry(status.to_string()).or_insert_with(|| json!({ "description": description }));
    }
    for (status, response) in responses {
        let headers = &mut response["headers"];
        headers["X-Request-Id"] = header("string", "The client's own, or a new one");
        for (name, description) in [
            ("RateLimit-Limit", "Requests that may come at once"),
            ("RateLimit-Remaining", "Requests that may still come now"),
            ("RateLimit-Reset", "Seconds until all of them may come again"),
        ] {
            headers[name] = header("integer", description);
        }
        match status.as_str() {
            "401" => headers["WWW-Authenticate"] = header("string", "`Bearer`"),
            "405" => headers["Allow"] = header("string", "The methods of this path"),
            "429" | "503" => headers["Retry-After"] = header("integer", "Seconds"),
            _ => {}
        }
        if status.starts_with(['4', '5']) {
            let schema = json!({"$ref": "#/components/schemas/ProblemView"});
            response["content"] = json!({"application/problem+json": {"schema": schema}});
        }
    }
}

fn header(kind: &str, description: &str) -> Value {
    json!({"schema": {"type": kind}, "description": description})
}

/// The document, written once when the gateway was made.
pub async fn get_openapi(gateway: Data<Gateway>) -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(gateway.openapi.clone())
}

/// `/docs` without the slash, from which the page's own files would not be found.
pub async fn redirect_to_docs() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "/docs/")).finish()
}

/// A file of the page.
pub async fn get_docs(file: Path<String>) -> Answer {
    static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
        Arc::new(Config::from("/openapi.json").validator_url("none").persist_authorization(true))
    });
    let file = utoipa_swagger_ui::serve(&file, CONFIG.clone())
        .map_err(|error| Problem::broken(format!("the API page: {error}")))?
        .ok_or_else(Problem::not_found)?;
    let mut answer = HttpResponse::Ok();
    if file.gzpipped {
        answer.insert_header((CONTENT_ENCODING, "gzip"));
    }
    Ok(answer
        .insert_header((CONTENT_TYPE, file.content_type))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((CONTENT_SECURITY_POLICY, PAGE_POLICY))
        .body(file.bytes.into_owned()))
}
