//! Operators plan sales: drafts are made, listed, planned again and checked.

use actix_web::http::header::{HeaderValue, LOCATION};
use actix_web::web::Data;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::terms::{
    AdmissionTermsBody, HoldSecondsBody, KonbiniTermsBody, default_admission, default_hold_seconds,
    default_konbini,
};
use super::views::{FindingView, SaleView, SalesView};
use crate::actors::sales::{
    CreateSale, GetSale, HoldSeconds, Initiator, KonbiniTerms, ListProposals, ListSales, ReplanSale,
    SaleDraft, SaleItem, SalesError, Terms, ValidateSale,
};
use crate::actors::waiting_room::AdmissionTerms;
use crate::http::api::proposals::ProposalView;
use crate::http::gateway::Gateway;
use crate::http::gateway::access::Caller;
use crate::http::gateway::answer::{self, Answer};
use crate::http::gateway::input::{self, FromJson, FromPath};
use crate::http::gateway::problem::Problem;
use crate::types::{Money, Quantity, SaleId, Sku};

/// How often a change is applied again to a plan that another operator changed meanwhile, and the pause before that.
const REPLAN_ATTEMPTS: u32 = 4;
const REPLAN_PAUSE: std::time::Duration = std::time::Duration::from_millis(20);
/// Sales on the operators' list.
const LISTED_MAX: i64 = 200;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSaleBody {
    #[serde(deserialize_with = "input::words::<_, 100>")]
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]+$",
        example = "Midnight drop"
    )]
    pub name: String,
    #[schema(value_type = String, format = DateTime)]
    pub opens_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub closes_at: Timestamp,
    #[serde(deserialize_with = "input::objects")]
    #[schema(min_items = 1, max_items = 1000)]
    pub items: Vec<SaleItemBody>,
    /// Pieces for each customer in the whole sale; no limit if missing.
    #[serde(default, deserialize_with = "input::optional_whole")]
    #[schema(minimum = 1, maximum = 1_000_000_000, example = 2)]
    pub limit_per_customer: Option<i64>,
    #[serde(default = "default_hold_seconds", deserialize_with = "input::object")]
    #[schema(required = false)]
    pub hold_seconds: HoldSecondsBody,
    #[serde(default = "default_konbini", deserialize_with = "input::object")]
    #[schema(required = false)]
    pub konbini: KonbiniTermsBody,
    #[serde(default = "default_admission", deserialize_with = "input::object")]
    #[schema(required = false)]
    pub admission: AdmissionTermsBody,
}

/// A change of a draft: members that are missing stay as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplanSaleBody {
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "input::given")]
    #[schema(nullable = false, min_length = 1, max_length = 100)]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "input::given")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    pub opens_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "input::given")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    pub closes_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "input::given_objects")]
    #[schema(nullable = false)]
    pub items: Option<Vec<SaleItemBody>>,
    /// Null removes the limit.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "input::whole_or_null")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 1_000_000_000)]
    pub limit_per_customer: Option<Option<i64>>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "input::optional_object")]
    #[schema(nullable = false)]
    pub hold_seconds: Option<HoldSecondsBody>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "input::optional_object")]
    #[schema(nullable = false)]
    pub konbini: Option<KonbiniTermsBody>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "input::optional_object")]
    #[schema(nullable = false)]
    pub admission: Option<AdmissionTermsBody>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SaleItemBody {
    #[serde(deserialize_with = "input::text")]
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]+$", example = "SHOBAI-HOT-1")]
    pub sku: Sku,
    /// Yen, tax included.
    #[serde(deserialize_with = "input::whole")]
    #[schema(minimum = 0, maximum = 10_000_000_000_000_i64, example = 2200)]
    pub price: i64,
    #[serde(deserialize_with = "input::quantity")]
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000_000, example = 500)]
    pub allotment: Quantity,
}

impl CreateSaleBody {
    fn draft(self) -> Result<SaleDraft, Problem> {
        Ok(SaleDraft {
            name: self.name,
            opens_at: self.opens_at,
            closes_at: self.closes_at,
            items: items(self.items)?,
            terms: Terms {
                limit_per_customer: self.limit_per_customer,
                hold_seconds: self.hold_seconds.into(),
                konbini: self.konbini.into(),
                admission: self.admission.into(),
            },
        })
    }
}

impl ReplanSaleBody {
    fn onto(self, mut draft: SaleDraft) -> Result<SaleDraft, Problem> {
        draft.name = self.name.unwrap_or(draft.name);
        draft.opens_at = self.opens_at.unwrap_or(draft.opens_at);
        draft.closes_at = self.closes_at.unwrap_or(draft.closes_at);
        if let Some(bodies) = self.items {
            draft.items = items(bodies)?;
        }
        let terms = &mut draft.terms;
        terms.limit_per_customer = self.limit_per_customer.unwrap_or(terms.limit_per_customer);
        terms.hold_seconds = self.hold_seconds.map_or(terms.hold_seconds, HoldSeconds::from);
        terms.konbini = self.konbini.map_or(terms.konbini, KonbiniTerms::from);
        terms.admission = self.admission.map_or(terms.admission, AdmissionTerms::from);
        Ok(draft)
    }
}

fn items(bodies: Vec<SaleItemBody>) -> Result<Vec<SaleItem>, Problem> {
    let item = |SaleItemBody { sku, price, allotment }| {
        Ok(SaleItem { sku, price: Money::yen(price).map_err(Problem::from)?, allotment })
    };
    bodies.into_iter().map(item).collect()
}

/// Plans a sale.
#[utoipa::path(
    post, path = "/v1/admin/sales", tag = "sales", request_body = CreateSaleBody,
    responses(
        (status = 201, description = "The draft", body = SaleView, headers(("Location" = String, description = "Where the sale is"))),
        (status = 422, description = "`invalid-body`, `invalid-value` or `sale-not-valid` with `findings`"),
    )
)]
pub async fn create_sale(staff: Caller, body: FromJson<CreateSaleBody>, gateway: Data<Gateway>) -> Answer {
    let create = CreateSale { draft: body.0.draft()?, by: Initiator::Operator(staff.0.customer) };
    let sale = gateway.ports.sales.create_sale.ask(create).await?;
    let mut answer = answer::created(&SaleView::of(&sale))?;
    if let Ok(location) = HeaderValue::try_from(format!("/v1/admin/sales/{}", sale.id)) {
        answer.headers_mut().insert(LOCATION, location);
    }
    Ok(answer)
}

/// All sales, the latest opening first.
#[utoipa::path(
    get, path = "/v1/admin/sales", tag = "sales",
    responses((status = 200, description = "The sales", body = SalesView))
)]
pub async fn list_sales(gateway: Data<Gateway>) -> Answer {
    let sales = gateway.ports.sales.list_sales.ask(ListSales { limit: LISTED_MAX }).await?;
    answer::ok(&SalesView { items: sales.iter().map(SaleView::of).collect() })
}

/// One sale with its plan.
#[utoipa::path(
    get, path = "/v1/admin/sales/{id}", tag = "sales",
    params(("id" = Uuid, Path, description = "The sale")),
    responses(
        (status = 200, description = "The sale", body = SaleView),
        (status = 404, description = "`unknown-sale`, or `not-found` for what is not an id"),
    )
)]
pub async fn get_sale(id: FromPath<SaleId>, gateway: Data<Gateway>) -> Answer {
    let sale = gateway.ports.sales.get_sale.ask(GetSale { sale: id.0 }).await?;
    let proposals = gateway.ports.sales.list_proposals.ask(ListProposals).await?;
    let concern_it = proposals.iter().filter(|proposal| proposal.action.sale().is_none_or(|of| of == id.0));
    answer::ok(&SaleView {
        proposals: Some(concern_it.map(ProposalView::of).collect()),
        ..SaleView::of(&sale)
    })
}

/// Changes a draft; members that are missing stay as they are.
#[utoipa::path(
    patch, path = "/v1/admin/sales/{id}", tag = "sales",
    params(("id" = Uuid, Path, description = "The sale")), request_body = ReplanSaleBody,
    responses(
        (status = 200, description = "The draft", body = SaleView),
        (status = 404, description = "`unknown-sale`, or `not-found` for what is not an id"),
        (status = 409, description = "`not-a-draft` once it is scheduled, or `overtaken`"),
        (status = 422, description = "`invalid-body`, `invalid-value` or `sale-not-valid` with `findings`"),
    )
)]
pub async fn replan_sale(
    staff: Caller,
    id: FromPath<SaleId>,
    body: FromJson<ReplanSaleBody>,
    gateway: Data<Gateway>,
) -> Answer {
    let (body, by) = (body.0, Initiator::Operator(staff.0.customer));
    let mut attempts = 1..=REPLAN_ATTEMPTS;
    loop {
        let sale = gateway.ports.sales.get_sale.ask(GetSale { sale: id.0 }).await?;
        let draft = body.clone().onto(sale.draft)?;
        let replan = ReplanSale { sale: id.0, version: sale.version, draft, by };
        match gateway.ports.sales.replan_sale.ask(replan).await {
            // Another operator changed the plan meanwhile; their version can be read a moment after it was written.
            Err(SalesError::Overtaken) if attempts.next().is_some() => tokio::time::sleep(REPLAN_PAUSE).await,
            replanned => return answer::ok(&SaleView::of(&replanned?)),
        }
    }
}

/// Lists everything that keeps a sale from being run as it is planned.
#[utoipa::path(
    post, path = "/v1/admin/sales/{id}/validate", tag = "sales",
    params(("id" = Uuid, Path, description = "The sale")),
    responses(
        (status = 200, description = "The sale with its `findings`; none if all is well", body = SaleView),
        (status = 404, description = "`unknown-sale`, or `not-found` for what is not an id"),
    )
)]
pub async fn validate_sale(id: FromPath<SaleId>, gateway: Data<Gateway>) -> Answer {
    let findings = gateway.ports.sales.validate_sale.ask(ValidateSale { sale: id.0 }).await?;
    let sale = gateway.ports.sales.get_sale.ask(GetSale { sale: id.0 }).await?;
    answer::ok(&SaleView {
        findings: Some(findings.into_iter().map(FindingView::from).collect()),
        ..SaleView::of(&sale)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_of_a_draft_writes_only_the_members_that_it_has() {
        for body in [json!({}), json!({"name": "Drop"}), json!({"limit_per_customer": null})] {
            let read: ReplanSaleBody = serde_json::from_value(body.clone()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), body);
        }
    }
}
