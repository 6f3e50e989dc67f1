//! Reports of payment providers, accepted only with a valid signature.

use std::borrow::Cow;

use actix_web::HttpRequest;
use actix_web::web::Data;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::actors::orders::RecordPayment;
use crate::actors::payments::{PaymentReport, SIGNATURE_HEADER};
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::{self, Answer};
use crate::http::gateway::input::RawBody;

/// A report as the sandbox writes it. `PaymentReport` reads it, once its signature is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentReportBody {
    /// The provider's own id of the report.
    #[schema(min_length = 1, max_length = 255, pattern = "^[!-~]+$", example = "evt_1")]
    pub id: String,
    #[schema(pattern = "^konbini[.]paid$", example = "konbini.paid")]
    pub r#type: String,
    pub order_id: Uuid,
    /// Yen.
    #[schema(minimum = 0, maximum = 10_000_000_000_000_i64, example = 3300)]
    pub amount: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecordedView {
    pub order_id: Uuid,
    #[schema(example = "confirmed")]
    pub status: Cow<'static, str>,
}

/// Records a payment that the sandbox reports.
#[utoipa::path(
    post, path = "/v1/webhooks/sandbox", tag = "webhooks", request_body = PaymentReportBody,
    params(("Shobai-Signature" = String, Header, description = "`t=<unix seconds>,v1=<hex of HMAC-SHA256 over \"<t>.<body>\">`")),
    responses(
        (status = 200, description = "Noted; the same report again changes nothing", body = RecordedView),
        (status = 401, description = "`bad-signature` or `stale-signature`"),
        (status = 404, description = "`unknown-order`"),
        (status = 422, description = "`malformed-report`, `invalid-value`, `amount-differs` or `not-a-konbini-order`"),
    )
)]
pub async fn record_payment(request: HttpRequest, body: RawBody, gateway: Data<Gateway>) -> Answer {
    let signature = request.headers().get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok());
    let tolerance = gateway.limits.webhook_tolerance_seconds;
    gateway.webhook_secret.verify(signature.unwrap_or_default(), &body.0, Timestamp::now(), tolerance)?;
    let report = PaymentReport::parse(&body.0)?;
    let order = gateway.ports.orders.record_payment.ask(RecordPayment { report }).await?;
    answer::ok(&RecordedView { order_id: order.id.uuid(), status: order.status.as_str().into() })
}
