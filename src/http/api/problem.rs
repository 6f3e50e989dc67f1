//! Every error answer as clients read it; `gateway/problem.rs` writes it.

use serde::Deserialize;
use utoipa::ToSchema;

use super::sales::FindingView;

/// Why a request was refused, or that it failed (RFC 9457). Some codes come with further members.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
pub struct ProblemView {
    #[schema(example = "https://shobai.dev/problems/out-of-stock")]
    pub r#type: String,
    #[schema(example = "Out of stock")]
    pub title: String,
    #[schema(minimum = 400, maximum = 599, example = 409)]
    pub status: i32,
    #[schema(example = "3 pieces of SHOBAI-HOT-1 are wanted and 1 are available")]
    pub detail: String,
    /// Stable; match on this.
    #[schema(example = "out-of-stock")]
    pub code: String,
    /// Under this id a failure was logged.
    #[schema(example = "019b0f5e-2f1c-7a60-9d8e-3f5a7c1b2d4e")]
    pub request_id: String,
    /// With whatever is refused because of one SKU.
    #[schema(example = "SHOBAI-HOT-1", nullable = false)]
    pub sku: Option<String>,
    /// With `out-of-stock`, `sold-out` and `too-few-to-allot`: pieces wanted.
    #[schema(example = 3, nullable = false)]
    pub requested: Option<i64>,
    /// With the same: pieces that can be had.
    #[schema(example = 1, nullable = false)]
    pub available: Option<i64>,
    /// With `sold-out`: pieces of the sale that others hold and may let go.
    #[schema(example = 4, nullable = false)]
    pub held: Option<i64>,
    /// With `version-differs` and `allotment-differs`: what was expected.
    #[schema(example = 7, nullable = false)]
    pub expected: Option<i64>,
    /// With the same: what there is.
    #[schema(example = 8, nullable = false)]
    pub actual: Option<i64>,
    /// With `below-reserved`.
    #[schema(example = 10, nullable = false)]
    pub on_hand: Option<i64>,
    /// With `below-reserved`.
    #[schema(example = 4, nullable = false)]
    pub reserved: Option<i64>,
    /// With `below-promised`: pieces of the sale that are held or sold.
    #[schema(example = 40, nullable = false)]
    pub promised: Option<i64>,
    /// With `limit-reached`: pieces that a customer may have in the sale.
    #[schema(example = 2, nullable = false)]
    pub limit: Option<i64>,
    /// With `weak-password`: what it lacks.
    #[schema(nullable = false)]
    pub reason: Option<String>,
    /// With `challenge-required`.
    #[schema(nullable = false)]
    pub challenge: Option<String>,
    /// With `not-in-status` and `not-a-draft`.
    #[schema(example = "open", nullable = false)]
    pub sale_status: Option<String>,
    /// With `sale-not-valid` and `sale-not-ready`: where in the plan, and what is wrong there.
    #[schema(nullable = false)]
    pub findings: Option<Vec<FindingView>>,
    /// With `orders-open`: orders of the sale that are not paid yet.
    #[schema(nullable = false)]
    pub orders: Option<i64>,
    /// With `orders-open`: when the last of them lapses at the latest.
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    pub until: Option<String>,
}
