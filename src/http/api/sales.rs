//! Flash sales: what anybody may know of them, and how operators plan, watch and steer them.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderValue, LOCATION};
use actix_web::web::Data;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::proposals::{self, ProposalView};
use super::sale_snapshot::SaleSnapshot;
use super::vitals::VitalsView;
use crate::actors::inventory::Allotment;
use crate::actors::sales::{
    Action, AdmissionMode, AdmissionTerms, Announced, ChangeItem, Changed, CreateSale, Finding, GATES,
    GetAnnounced, GetSale, Halt, HoldSeconds, KonbiniTerms, ListAnnounced, ListChanges, ListProposals,
    ListSales, MoveSale, ReplanSale, RoomFigures, Sale, SaleDraft, SaleItem, SaleStatus, SalesError,
    SwitchEverything, SwitchItem, Tally, Terms, Turn, ValidateSale,
};
use crate::audit::AuditStatus;
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::{self, Answer};
use crate::http::gateway::auth::{StaffMember, bearer};
use crate::http::gateway::input::{self, FromJson, FromPath, FromPathParts};
use crate::http::gateway::problem::Problem;
use crate::http::gateway::streams::{self, Listener};
use crate::types::{CustomerId, Money, Quantity, SaleId, Sku};

/// How often a change is put onto a plan that somebody else changed in between, and what passes before that.
const REPLANNED_AGAIN: u32 = 4;
const BREATH: std::time::Duration = std::time::Duration::from_millis(20);
/// Sales on the list of operators.
const LISTED_MAX: i64 = 200;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSaleBody {
    #[serde(deserialize_with = "input::words::<_, 100>")]
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]+$",
        example = "Midnight drop"
    )]
    name: String,
    #[schema(value_type = String, format = DateTime)]
    opens_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    closes_at: Timestamp,
    #[serde(deserialize_with = "input::objects")]
    #[schema(min_items = 1, max_items = 1000)]
    items: Vec<SaleItemBody>,
    /// Pieces for each customer in the whole sale; no limit if missing.
    #[serde(default, deserialize_with = "input::optional_whole")]
    #[schema(minimum = 1, maximum = 1_000_000_000, example = 2)]
    limit_per_customer: Option<i64>,
    #[serde(default = "default_hold_seconds", deserialize_with = "input::object")]
    #[schema(required = false)]
    hold_seconds: HoldSecondsBody,
    #[serde(default = "default_konbini", deserialize_with = "input::object")]
    #[schema(required = false)]
    konbini: KonbiniTermsBody,
    #[serde(default = "default_admission", deserialize_with = "input::object")]
    #[schema(required = false)]
    admission: AdmissionTermsBody,
}

/// What is missing stays as it is.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplanSaleBody {
    #[serde(default, deserialize_with = "input::given")]
    #[schema(nullable = false, min_length = 1, max_length = 100)]
    name: Option<String>,
    #[serde(default, deserialize_with = "input::given")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    opens_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "input::given")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    closes_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "input::given_objects")]
    #[schema(nullable = false)]
    items: Option<Vec<SaleItemBody>>,
    /// Null: no limit.
    #[serde(default, deserialize_with = "input::whole_or_null")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 1_000_000_000)]
    limit_per_customer: Option<Option<i64>>,
    #[serde(default, deserialize_with = "input::optional_object")]
    #[schema(nullable = false)]
    hold_seconds: Option<HoldSecondsBody>,
    #[serde(default, deserialize_with = "input::optional_object")]
    #[schema(nullable = false)]
    konbini: Option<KonbiniTermsBody>,
    #[serde(default, deserialize_with = "input::optional_object")]
    #[schema(nullable = false)]
    admission: Option<AdmissionTermsBody>,
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SaleItemBody {
    #[serde(deserialize_with = "input::text")]
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]+$", example = "SHOBAI-HOT-1")]
    sku: Sku,
    /// Yen, tax included.
    #[serde(deserialize_with = "input::whole")]
    #[schema(minimum = 0, maximum = 10_000_000_000_000_i64, example = 2200)]
    price: i64,
    #[serde(deserialize_with = "input::quantity")]
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000_000, example = 500)]
    allotment: Quantity,
}

#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldSecondsBody {
    #[serde(deserialize_with = "input::whole")]
    #[schema(minimum = 1, example = 600)]
    card: i64,
    #[serde(deserialize_with = "input::whole")]
    #[schema(minimum = 1, example = 3600)]
    konbini: i64,
}

#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KonbiniTermsBody {
    allowed: bool,
    /// The share of a SKU's allotment that may be held for slips that are not paid.
    #[schema(minimum = 0, maximum = 1, example = 0.3)]
    share_max: f64,
}

#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdmissionTermsBody {
    #[schema(value_type = AdmissionModeName)]
    mode: AdmissionMode,
    /// Customers let in each second; steered by how fast orders are placed if missing.
    #[serde(default)]
    #[schema(minimum = 1)]
    per_second: Option<u32>,
}

// For the document only.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "describes the modes in the API document")]
pub enum AdmissionModeName {
    None,
    Queue,
    Lottery,
}

const fn default_hold_seconds() -> HoldSecondsBody {
    HoldSecondsBody { card: 600, konbini: 3_600 }
}

const fn default_konbini() -> KonbiniTermsBody {
    KonbiniTermsBody { allowed: true, share_max: 1.0 }
}

const fn default_admission() -> AdmissionTermsBody {
    AdmissionTermsBody { mode: AdmissionMode::None, per_second: None }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReasonBody {
    #[serde(deserialize_with = "input::words::<_, 200>")]
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]+$",
        example = "as planned"
    )]
    reason: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveBody {
    #[serde(deserialize_with = "input::words::<_, 200>")]
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]+$",
        example = "as planned"
    )]
    reason: String,
    /// What `resume` is to end: a `pause` or a `kill`. So told it leaves the other one alone, also when it is repeated
    /// later; needed where both are on, and not taken by any other action.
    #[serde(default, deserialize_with = "input::optional_text")]
    #[schema(value_type = Option<String>, pattern = "^(pause|kill)$")]
    ends: Option<Halt>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeItemBody {
    #[serde(deserialize_with = "input::quantity")]
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000_000, example = 400)]
    allotment: Quantity,
    /// What it is now; refused if it is not.
    #[serde(deserialize_with = "input::quantity")]
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000_000, example = 500)]
    expected: Quantity,
    #[serde(default = "default_reason", deserialize_with = "input::words::<_, 200>")]
    #[schema(required = false, min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    reason: String,
}

fn default_reason() -> String {
    "not given".to_owned()
}

/// A sale as its operators see it.
#[derive(Serialize, ToSchema)]
pub struct SaleView {
    id: Uuid,
    name: String,
    /// `draft`, `scheduled`, `armed`, `open`, `paused`, `draining`, `closed`, `settled` or `cancelled`.
    #[schema(value_type = String, example = "open")]
    status: SaleStatus,
    /// Whether its kill switch is on.
    stopped: bool,
    #[schema(value_type = String, format = DateTime)]
    opens_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    closes_at: Timestamp,
    items: Vec<SaleItemView>,
    #[schema(required)]
    limit_per_customer: Option<i64>,
    hold_seconds: HoldSecondsBody,
    konbini: KonbiniTermsBody,
    admission: AdmissionTermsBody,
    /// Counts the changes.
    version: i64,
    /// SHA-256 of the seed of the draw.
    commitment: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When draining ends though pieces are held; null unless it drains.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    drains_until: Option<Timestamp>,
    /// With `validate`: everything that keeps the sale from being run as it is planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<FindingView>, nullable = false)]
    findings: Option<Vec<Finding>>,
    /// When one sale is asked for: what waits for a second operator, in it or in everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    proposals: Option<Vec<ProposalView>>,
}

// For the document only: a [`Finding`] is written as it is.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes a finding in the API document")]
pub struct FindingView {
    #[schema(example = "items[0].allotment")]
    field: String,
    problem: String,
}

#[derive(Serialize, ToSchema)]
pub struct SaleItemView {
    #[schema(example = "SHOBAI-HOT-1")]
    sku: String,
    /// Yen, tax included.
    price: i64,
    allotment: i64,
    /// Whether its kill switch is on.
    stopped: bool,
}

#[derive(Serialize, ToSchema)]
pub struct SalesView {
    items: Vec<SaleView>,
}

/// Something that was done to a sale.
#[derive(Serialize, ToSchema)]
pub struct ChangeView {
    /// What ends in `-everything` was done to the switch for everything.
    #[schema(example = "pause")]
    action: String,
    #[schema(required)]
    sku: Option<String>,
    /// Who did it; null: the schedule.
    #[schema(required)]
    actor: Option<Uuid>,
    /// Who wanted it first, where it needed a second operator.
    #[schema(required)]
    proposed_by: Option<Uuid>,
    reason: String,
    #[schema(value_type = Object)]
    before: Value,
    #[schema(value_type = Object)]
    after: Value,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

#[derive(Serialize, ToSchema)]
pub struct ChangesView {
    items: Vec<ChangeView>,
}

/// How a sale is going.
#[derive(Serialize, ToSchema)]
pub struct LiveView {
    sale: SaleView,
    /// Whether the switch for everything is on.
    everything_stopped: bool,
    unwritten: UnwrittenView,
    /// What is durable, at most a quarter of a second ago; empty before the sale is armed.
    items: Vec<PartView>,
    /// Orders that came to the gates since the engine began to count.
    decisions: DecisionsView,
    /// The same in the last full second.
    per_second: DecisionsView,
    /// Null where there is no waiting room.
    #[schema(required)]
    queue: Option<QueueView>,
    /// Whether stock, actors, ledger and orders agree; null while nobody looks.
    #[schema(required)]
    invariant: Option<LightView>,
    vitals: VitalsView,
    /// At the rate of the last ten seconds; null while nothing is sold or nothing is left.
    #[schema(required)]
    sold_out_in_seconds: Option<i64>,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// What keeps buyers out though it is not written down: it could not be. It is gone when what was wanted is done again, or when
/// that is resumed; a restart forgets it.
#[derive(Serialize, ToSchema)]
pub struct UnwrittenView {
    /// Of the sale as a whole.
    sale: bool,
    /// Of SKUs of it.
    skus: Vec<String>,
}

/// Green when `allotment = accounted` and `ordered + on_the_way = promised`, and nothing else was found.
#[derive(Serialize, ToSchema)]
pub struct LightView {
    green: bool,
    allotment: i64,
    /// Sold, held, returned and remaining.
    accounted: i64,
    /// Sold and held.
    promised: i64,
    /// In orders that count.
    ordered: i64,
    /// Held for orders that may yet come to be.
    on_the_way: i64,
    #[schema(value_type = String, format = DateTime)]
    checked_at: Timestamp,
    /// What was found, in words.
    breaches: Vec<String>,
}

impl LightView {
    fn of(light: &AuditStatus) -> Self {
        let breach = |found: &crate::audit::Finding| format!("{}: {}", found.subject, found.finding);
        Self {
            green: light.is_green && light.is_fresh(Timestamp::now()),
            allotment: light.allotment,
            accounted: light.accounted,
            promised: light.promised,
            ordered: light.ordered,
            on_the_way: light.on_the_way,
            checked_at: light.checked_at,
            breaches: light.breaches.iter().map(breach).collect(),
        }
    }
}

/// The waiting room of a sale.
#[derive(Serialize, ToSchema)]
pub struct QueueView {
    entries: u32,
    waiting: u32,
    /// Let in, and neither used nor lapsed.
    admitted: u32,
    ordered: u32,
    no_shows: u32,
    #[schema(required)]
    mean_wait_seconds: Option<u32>,
    drawn: bool,
    admissions_per_second: f64,
}

impl QueueView {
    fn of(room: RoomFigures) -> Self {
        let counts = room.counts;
        Self {
            entries: counts.entries,
            waiting: counts.waiting,
            admitted: counts.admitted,
            ordered: counts.ordered,
            no_shows: counts.no_shows,
            mean_wait_seconds: counts.mean_wait_seconds,
            drawn: room.is_drawn,
            admissions_per_second: room.admissions_per_second,
        }
    }
}

/// Pieces of one SKU of a sale: `allotment = sold + held + returned + remaining`.
#[derive(Serialize, ToSchema)]
pub struct PartView {
    sku: String,
    allotment: i64,
    remaining: i64,
    /// Set aside for orders that are not paid.
    held: i64,
    /// Paid.
    sold: i64,
    /// Given back to general stock.
    returned: i64,
    /// Counts pieces that were held or sold and came back: cancelled, refunded or expired.
    lapsed: i64,
    /// Those of them that were not paid in time.
    expired: i64,
}

#[derive(Serialize, ToSchema)]
pub struct DecisionsView {
    attempts: u64,
    accepted: u64,
    /// By gate.
    refused: BTreeMap<&'static str, u64>,
}

/// A sale as anybody may know it.
#[derive(Serialize, ToSchema)]
pub struct PublicSaleView {
    id: Uuid,
    name: String,
    /// `scheduled`, `open`, `paused` or `ended`.
    #[schema(example = "open")]
    state: &'static str,
    #[schema(value_type = String, format = DateTime)]
    opens_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    closes_at: Timestamp,
    items: Vec<PublicItemView>,
    #[schema(required)]
    limit_per_customer: Option<i64>,
    /// `none`, `queue` or `lottery`, whose entries end at the opening.
    #[schema(example = "none")]
    admission: &'static str,
    /// SHA-256 of the seed of the draw, which is revealed once it was drawn.
    commitment: String,
}

#[derive(Serialize, ToSchema)]
pub struct PublicItemView {
    #[schema(example = "SHOBAI-HOT-1")]
    sku: String,
    /// Yen, tax included.
    price: i64,
    /// `many`, `few`, `held` (others hold the last pieces and may let them go), `none`; null before the sale is armed.
    #[schema(required, example = "many")]
    left: Option<&'static str>,
}

#[derive(Serialize, ToSchema)]
pub struct PublicSalesView {
    items: Vec<PublicSaleView>,
}

/// Whether the switch for everything is on.
#[derive(Serialize, ToSchema)]
pub struct SwitchView {
    stopped: bool,
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

impl From<HoldSecondsBody> for HoldSeconds {
    fn from(HoldSecondsBody { card, konbini }: HoldSecondsBody) -> Self {
        Self { card, konbini }
    }
}

impl From<KonbiniTermsBody> for KonbiniTerms {
    fn from(KonbiniTermsBody { allowed, share_max }: KonbiniTermsBody) -> Self {
        Self { allowed, share_max }
    }
}

impl From<AdmissionTermsBody> for AdmissionTerms {
    fn from(AdmissionTermsBody { mode, per_second }: AdmissionTermsBody) -> Self {
        Self { mode, per_second }
    }
}

impl SaleView {
    pub fn of(sale: &Sale) -> Self {
        let SaleDraft { name, opens_at, closes_at, items, terms } = &sale.draft;
        let item = |item: &SaleItem| SaleItemView {
            sku: item.sku.to_string(),
            price: item.price.amount(),
            allotment: item.allotment.get(),
            stopped: sale.stopped_skus.contains(&item.sku),
        };
        let HoldSeconds { card, konbini } = terms.hold_seconds;
        let KonbiniTerms { allowed, share_max } = terms.konbini;
        let AdmissionTerms { mode, per_second } = terms.admission;
        Self {
            id: sale.id.uuid(),
            name: name.clone(),
            status: sale.status,
            stopped: sale.is_stopped,
            opens_at: *opens_at,
            closes_at: *closes_at,
            items: items.iter().map(item).collect(),
            limit_per_customer: terms.limit_per_customer,
            hold_seconds: HoldSecondsBody { card, konbini },
            konbini: KonbiniTermsBody { allowed, share_max },
            admission: AdmissionTermsBody { mode, per_second },
            version: sale.version,
            commitment: sale.commitment.clone(),
            created_at: sale.created_at,
            drains_until: sale.drains_until,
            findings: None,
            proposals: None,
        }
    }
}

impl ChangeView {
    fn of(change: &Changed) -> Self {
        Self {
            action: change.action.clone(),
            sku: change.sku.as_ref().map(ToString::to_string),
            actor: change.actor.map(CustomerId::uuid),
            proposed_by: change.proposed_by.map(CustomerId::uuid),
            reason: change.reason.clone(),
            before: change.before.clone(),
            after: change.after.clone(),
            at: change.at,
        }
    }
}

impl DecisionsView {
    fn of(tally: Tally) -> Self {
        let refused = GATES.into_iter().zip(tally.refused).filter(|(_, count)| *count > 0);
        Self { attempts: tally.attempts, accepted: tally.accepted, refused: refused.collect() }
    }
}

impl LiveView {
    fn of(SaleSnapshot { live, room, light, vitals, at }: SaleSnapshot) -> Self {
        let part = |(sku, part): &(Sku, Allotment)| PartView {
            sku: sku.to_string(),
            allotment: part.allotment,
            remaining: part.remaining(),
            held: part.held,
            sold: part.sold,
            returned: part.returned,
            lapsed: part.lapsed,
            expired: part.expired,
        };
        let recent = live.seconds.iter().rev().take(10);
        let sold_recently: u64 = recent.clone().map(|second| second.pieces).sum();
        let remaining: i64 = live.parts.iter().map(|(_, part)| part.remaining()).sum();
        let seconds = i64::try_from(recent.len()).unwrap_or(0);
        let forecast = i64::try_from(sold_recently).ok().filter(|sold| *sold > 0 && remaining > 0);
        Self {
            sale: SaleView::of(&live.sale),
            everything_stopped: live.is_everything_stopped,
            unwritten: UnwrittenView {
                sale: live.unwritten.is_of_sale,
                skus: live.unwritten.skus.iter().map(ToString::to_string).collect(),
            },
            items: live.parts.iter().map(part).collect(),
            decisions: DecisionsView::of(live.tally),
            per_second: DecisionsView::of(live.seconds.last().copied().unwrap_or_default()),
            queue: room.map(QueueView::of),
            invariant: light.map(|light| LightView::of(&light)),
            vitals,
            sold_out_in_seconds: forecast.map(|sold| remaining.saturating_mul(seconds) / sold),
            at,
        }
    }
}

impl PublicSaleView {
    fn of(announced: &Announced) -> Self {
        let sale = &announced.sale;
        let now = Timestamp::now();
        let state = match sale.status {
            SaleStatus::Scheduled | SaleStatus::Armed if now < sale.draft.opens_at => "scheduled",
            SaleStatus::Paused => "paused",
            SaleStatus::Armed | SaleStatus::Open if now < sale.draft.closes_at => {
                if sale.is_stopped || announced.is_everything_stopped { "paused" } else { "open" }
            }
            SaleStatus::Scheduled => "scheduled",
            _ => "ended",
        };
        let item = |item: &SaleItem| {
            let part = announced.parts.iter().find(|(sku, _)| *sku == item.sku).map(|(_, part)| part);
            let left = part.map(Allotment::left).or_else(|| sale.status.is_over().then_some("none"));
            PublicItemView { sku: item.sku.to_string(), price: item.price.amount(), left }
        };
        Self {
            id: sale.id.uuid(),
            name: sale.draft.name.clone(),
            state,
            opens_at: sale.draft.opens_at,
            closes_at: sale.draft.closes_at,
            items: sale.draft.items.iter().map(item).collect(),
            limit_per_customer: sale.draft.terms.limit_per_customer,
            admission: sale.draft.terms.admission.mode.as_str(),
            commitment: sale.commitment.clone(),
        }
    }
}

/// Sales that are announced, on or over.
#[utoipa::path(
    get, path = "/v1/sales", tag = "sales",
    responses((status = 200, description = "The sales, the latest opening first", body = PublicSalesView))
)]
pub async fn list_public_sales(gateway: Data<Gateway>) -> Answer {
    let announced = gateway.ports.sales.list_announced.ask(ListAnnounced).await?;
    answer::ok(&PublicSalesView { items: announced.iter().map(PublicSaleView::of).collect() })
}

/// One sale.
#[utoipa::path(
    get, path = "/v1/sales/{id}", tag = "sales", params(("id" = Uuid, Path, description = "The sale")),
    responses(
        (status = 200, description = "The sale", body = PublicSaleView),
        (status = 404, description = "`unknown-sale`, also for what is not announced, or `not-found` for what is not an id"),
    )
)]
pub async fn get_public_sale(id: FromPath<SaleId>, gateway: Data<Gateway>) -> Answer {
    let announced = gateway.ports.sales.get_announced.ask(GetAnnounced { sale: id.0 }).await?;
    answer::ok(&PublicSaleView::of(&announced))
}

/// Plans a sale.
#[utoipa::path(
    post, path = "/v1/admin/sales", tag = "sales", security(("bearer" = [])), request_body = CreateSaleBody,
    responses(
        (status = 201, description = "The draft", body = SaleView, headers(("Location" = String, description = "Where the sale is"))),
        (status = 422, description = "`invalid-body`, `invalid-value` or `sale-not-valid` with `findings`"),
    )
)]
pub async fn create_sale(
    staff: StaffMember,
    body: FromJson<CreateSaleBody>,
    gateway: Data<Gateway>,
) -> Answer {
    let create = CreateSale { draft: body.0.draft()?, by: Some(staff.0.customer) };
    let sale = gateway.ports.sales.create_sale.ask(create).await?;
    let mut answer = answer::created(&SaleView::of(&sale))?;
    if let Ok(location) = HeaderValue::try_from(format!("/v1/admin/sales/{}", sale.id)) {
        answer.headers_mut().insert(LOCATION, location);
    }
    Ok(answer)
}

/// All sales, the latest opening first.
#[utoipa::path(
    get, path = "/v1/admin/sales", tag = "sales", security(("bearer" = [])),
    responses((status = 200, description = "The sales", body = SalesView))
)]
pub async fn list_sales(_: StaffMember, gateway: Data<Gateway>) -> Answer {
    let sales = gateway.ports.sales.list_sales.ask(ListSales { limit: LISTED_MAX }).await?;
    answer::ok(&SalesView { items: sales.iter().map(SaleView::of).collect() })
}

/// One sale with its plan.
#[utoipa::path(
    get, path = "/v1/admin/sales/{id}", tag = "sales", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The sale")),
    responses(
        (status = 200, description = "The sale", body = SaleView),
        (status = 404, description = "`unknown-sale`, or `not-found` for what is not an id"),
    )
)]
pub async fn get_sale(_: StaffMember, id: FromPath<SaleId>, gateway: Data<Gateway>) -> Answer {
    let sale = gateway.ports.sales.get_sale.ask(GetSale { sale: id.0 }).await?;
    let proposals = gateway.ports.sales.list_proposals.ask(ListProposals).await?;
    let concern_it = proposals.iter().filter(|proposal| proposal.wish.sale().is_none_or(|of| of == id.0));
    answer::ok(&SaleView {
        proposals: Some(concern_it.map(ProposalView::of).collect()),
        ..SaleView::of(&sale)
    })
}

/// Plans a draft anew; what is missing stays as it is.
#[utoipa::path(
    patch, path = "/v1/admin/sales/{id}", tag = "sales", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The sale")), request_body = ReplanSaleBody,
    responses(
        (status = 200, description = "The draft", body = SaleView),
        (status = 404, description = "`unknown-sale`, or `not-found` for what is not an id"),
        (status = 409, description = "`not-a-draft` once it is scheduled, or `overtaken`"),
        (status = 422, description = "`invalid-body`, `invalid-value` or `sale-not-valid` with `findings`"),
    )
)]
pub async fn replan_sale(
    staff: StaffMember,
    id: FromPath<SaleId>,
    body: FromJson<ReplanSaleBody>,
    gateway: Data<Gateway>,
) -> Answer {
    let (body, by) = (body.0, Some(staff.0.customer));
    let mut attempts = 1..=REPLANNED_AGAIN;
    loop {
        let sale = gateway.ports.sales.get_sale.ask(GetSale { sale: id.0 }).await?;
        let draft = body.clone().onto(sale.draft)?;
        let replan = ReplanSale { sale: id.0, version: sale.version, draft, by };
        match gateway.ports.sales.replan_sale.ask(replan).await {
            // Onto what somebody else planned meanwhile, which is seen a moment after it is written.
            Err(SalesError::Overtaken) if attempts.next().is_some() => tokio::time::sleep(BREATH).await,
            replanned => return answer::ok(&SaleView::of(&replanned?)),
        }
    }
}

/// Explains at once everything that keeps a sale from being run as it is planned.
#[utoipa::path(
    post, path = "/v1/admin/sales/{id}/validate", tag = "sales", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The sale")),
    responses(
        (status = 200, description = "The sale with its `findings`; none if all is well", body = SaleView),
        (status = 404, description = "`unknown-sale`, or `not-found` for what is not an id"),
    )
)]
pub async fn validate_sale(_: StaffMember, id: FromPath<SaleId>, gateway: Data<Gateway>) -> Answer {
    let findings = gateway.ports.sales.validate_sale.ask(ValidateSale { sale: id.0 }).await?;
    let sale = gateway.ports.sales.get_sale.ask(GetSale { sale: id.0 }).await?;
    answer::ok(&SaleView { findings: Some(findings), ..SaleView::of(&sale) })
}

/// Does something to a sale: `schedule`, `arm`, `pause`, `resume`, `drain`, `close`, `cancel`, `settle` or `kill`.
///
/// Doing it twice changes nothing; whoever may have to repeat a `resume` says what it ends. It opens by itself, at its time. Where a kill needs a second operator, the same of another
/// member of staff carries it out.
#[utoipa::path(
    post, path = "/v1/admin/sales/{id}/{action}", tag = "sales", security(("bearer" = [])),
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
    staff: StaffMember,
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
    let by = Some(staff.0.customer);
    let command = MoveSale { sale, action, ends, by, reason };
    proposals::answer(gateway.ports.sales.move_sale.ask(command).await?, SaleView::of)
}

/// Gives an armed, open or paused sale more or fewer pieces of a SKU.
#[utoipa::path(
    patch, path = "/v1/admin/sales/{id}/items/{sku}", tag = "sales", security(("bearer" = [])),
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
    staff: StaffMember,
    path: FromPathParts<(SaleId, Sku)>,
    body: FromJson<ChangeItemBody>,
    gateway: Data<Gateway>,
) -> Answer {
    let FromPathParts((sale, sku)) = path;
    let FromJson(ChangeItemBody { allotment, expected, reason }) = body;
    let by = Some(staff.0.customer);
    let change = ChangeItem { sale, sku, allotment, expected, by, reason };
    proposals::answer(gateway.ports.sales.change_item.ask(change).await?, SaleView::of)
}

/// Stops the orders of one SKU at once (`kill`), or lets them pass again (`resume`); staff pass.
#[utoipa::path(
    post, path = "/v1/admin/sales/{id}/items/{sku}/{action}", tag = "sales", security(("bearer" = [])),
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
    staff: StaffMember,
    path: FromPathParts<(SaleId, Sku, Turn)>,
    body: FromJson<ReasonBody>,
    gateway: Data<Gateway>,
) -> Answer {
    let FromPathParts((sale, sku, turn)) = path;
    let by = Some(staff.0.customer);
    let switch = SwitchItem { sale, sku, stopped: turn.stops(), by, reason: body.0.reason };
    proposals::answer(gateway.ports.sales.switch_item.ask(switch).await?, SaleView::of)
}

/// Stops all orders of customers at once, in a sale or not (`kill`), or lets them pass again (`resume`); reading stays up
/// and staff pass.
#[utoipa::path(
    post, path = "/v1/admin/{action}", tag = "sales", security(("bearer" = [])),
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
    staff: StaffMember,
    turn: FromPath<Turn>,
    body: FromJson<ReasonBody>,
    gateway: Data<Gateway>,
) -> Answer {
    let by = Some(staff.0.customer);
    let switch = SwitchEverything { stopped: turn.0.stops(), by, reason: body.0.reason };
    let switched = gateway.ports.sales.switch_everything.ask(switch).await?;
    proposals::answer(switched, |stopped| SwitchView { stopped: *stopped })
}

/// What was done to a sale, oldest first.
#[utoipa::path(
    get, path = "/v1/admin/sales/{id}/changes", tag = "sales", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The sale")),
    responses(
        (status = 200, description = "Its history", body = ChangesView),
        (status = 404, description = "`unknown-sale`, or `not-found` for what is not an id"),
    )
)]
pub async fn list_changes(_: StaffMember, id: FromPath<SaleId>, gateway: Data<Gateway>) -> Answer {
    let changes = gateway.ports.sales.list_changes.ask(ListChanges { sale: id.0 }).await?;
    answer::ok(&ChangesView { items: changes.iter().map(ChangeView::of).collect() })
}

/// How a sale is going, once or twice a second.
///
/// A stream goes on for ten minutes. The event `trouble` says that the figures cannot be told at the moment, `ended` that the
/// session is over.
#[utoipa::path(
    get, path = "/v1/admin/sales/{id}/live", tag = "sales", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The sale")),
    responses(
        (status = 200, description = "Its figures; with `text/event-stream` accepted a stream of events, whose data they are",
            content((LiveView = "application/json"), (String = "text/event-stream"))),
        (status = 404, description = "`unknown-sale`, or `not-found` for what is not an id"),
    )
)]
pub async fn get_live(
    _: StaffMember,
    id: FromPath<SaleId>,
    request: HttpRequest,
    gateway: Data<Gateway>,
) -> Answer {
    if streams::are_accepted(&request) {
        let asked = gateway.clone();
        let listener = Listener::Staff { token: bearer(&request).to_owned() };
        let tell = async move || SaleSnapshot::take(&asked, id.0).await.map(LiveView::of);
        return streams::stream(&request, gateway, listener, tell).await;
    }
    answer::ok(&LiveView::of(SaleSnapshot::take(&gateway, id.0).await?))
}
