//! The settlement report of a sale, as a file to download.

use actix_web::http::header::{CONTENT_DISPOSITION, HeaderValue};
use actix_web::web::Data;
use serde::Deserialize;

use super::Operator;
use crate::http::api::report::{ReportFormat, write_report};
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::Answer;
use crate::http::gateway::input::{FromPath, FromQuery};
use crate::http::gateway::problem::Problem;
use crate::types::SaleId;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportQuery {
    form: ReportFormat,
}

/// The report that `GET /v1/admin/sales/{id}/report` answers with, as a download.
pub async fn download_report(
    sale: FromPath<SaleId>,
    query: FromQuery<ReportQuery>,
    _operator: Operator,
    gateway: Data<Gateway>,
) -> Answer {
    let form = query.0.form;
    let mut answer = write_report(&gateway, sale.0, form).await?;
    let name = format!("attachment; filename=\"sale-{}.{}\"", sale.0, form.extension());
    let name = HeaderValue::from_str(&name).map_err(|error| Problem::broken(format!("a name: {error}")))?;
    answer.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(answer)
}
