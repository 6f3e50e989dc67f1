//! The settlement of a sale, as signed JSON, CSV or a page to print, as the client accepts.

use actix_web::http::header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use crate::audit::GetSettlement;
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::Answer;
use crate::http::gateway::input::FromPath;
use crate::http::gateway::problem::Problem;
use crate::types::SaleId;

/// The page loads no files: its styles are inside it.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportFormat {
    Json,
    Csv,
    Html,
}

impl ReportFormat {
    /// The format that the client names first; JSON if it names none of them.
    fn wanted_by(request: &HttpRequest) -> Self {
        let accepted = request.headers().get(ACCEPT).and_then(|accepted| accepted.to_str().ok());
        let named = |name: &str| match name.split(';').next().unwrap_or_default().trim() {
            "text/csv" => Some(Self::Csv),
            "text/html" => Some(Self::Html),
            "application/json" => Some(Self::Json),
            _ => None,
        };
        accepted.unwrap_or_default().split(',').find_map(named).unwrap_or(Self::Json)
    }

    /// The extension of a file's name.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Html => "html",
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
        }
    }
}

/// The settlement of a sale as it is at this moment: every order of it explained, chained and signed. Once the sale is settled
/// no order is open any more; what is refunded later stands in a later report.
#[utoipa::path(
    get, path = "/v1/admin/sales/{id}/report", tag = "sales",
    params(("id" = uuid::Uuid, Path, description = "The sale")),
    responses(
        (status = 200, description = "By `Accept`: the JSON is signed, and checked with `shobai sale verify-report`; the CSV has \
            the orders and nothing else",
            content((serde_json::Value = "application/json"), (String = "text/csv"), (String = "text/html"))),
        (status = 404, description = "`unknown-sale`, or `not-found` for what is not an id"),
    )
)]
pub async fn get_report(id: FromPath<SaleId>, request: HttpRequest, gateway: Data<Gateway>) -> Answer {
    write_report(&gateway, id.0, ReportFormat::wanted_by(&request)).await
}

/// Computes the settlement of a sale and writes it in the format.
pub async fn write_report(gateway: &Gateway, sale: SaleId, form: ReportFormat) -> Answer {
    let settlement = gateway.ports.audit.get_settlement.ask(GetSettlement { sale }).await?;
    let broken = |error: &dyn std::fmt::Display| Problem::broken(format!("a report: {error}"));
    // It may be long, and other requests wait for this thread.
    let written = tokio::task::spawn_blocking(move || {
        let mut body = Vec::new();
        match form {
            ReportFormat::Json => settlement.write_json(&mut body).map_err(|error| error.to_string())?,
            ReportFormat::Csv => settlement.write_csv(&mut body).map_err(|error| error.to_string())?,
            ReportFormat::Html => {
                body = settlement.to_html().map_err(|error| error.to_string())?.into_bytes()
            }
        }
        Ok::<_, String>(body)
    });
    let body = written.await.map_err(|error| broken(&error))?.map_err(|error| broken(&error))?;
    let mut answer = HttpResponse::Ok();
    if matches!(form, ReportFormat::Html) {
        answer.insert_header((CONTENT_SECURITY_POLICY, PAGE_POLICY));
    }
    Ok(answer.insert_header((CONTENT_TYPE, form.media_type())).body(body))
}
