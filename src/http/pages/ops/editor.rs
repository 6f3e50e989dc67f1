//! The editor of a plan: it keeps what was typed and shows every problem beside its field.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;

use super::outcomes::findings_in_words;
use super::plan_form::{MODES, PlanForm, PlanRow};
use super::{Frame, Operator, ROOT, Submitted};
use crate::actors::sales::{
    CreateSale, Finding, GetSale, Initiator, ReplanSale, Sale, SaleDraft, SaleStatus, SalesError,
};
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::Answer;
use crate::http::gateway::input::FromPath;
use crate::http::pages::kit::{FieldProblems, Outcome, see_other, show};
use crate::types::SaleId;

#[derive(Template)]
#[template(path = "ops/editor.html")]
struct EditorPage<'a> {
    frame: Frame,
    title: &'static str,
    to: String,
    back: String,
    typed: &'a PlanForm,
    modes: Vec<(&'static str, &'static str)>,
    problems: FieldProblems,
    outcome: Option<Outcome>,
}

impl EditorPage<'_> {
    fn problem(&self, field: &str) -> Option<String> {
        self.problems.of(field)
    }

    fn row_problem(&self, row: &usize, field: &str) -> Option<String> {
        self.problems.of(&format!("items[{row}].{field}"))
    }
}

/// The editor with its problems beside their fields and, above the form, all together.
async fn show_editor(
    operator: &Operator,
    gateway: &Gateway,
    sale: Option<SaleId>,
    typed: &PlanForm,
    findings: Vec<Finding>,
    status: StatusCode,
) -> Answer {
    let texts = operator.texts();
    let outcome = (!findings.is_empty()).then(|| Outcome {
        is_refused: true,
        text: texts.problems_found.to_owned(),
        findings: findings_in_words(texts, &findings),
    });
    show_editor_with(operator, gateway, sale, typed, findings, outcome, status).await
}

async fn show_editor_with(
    operator: &Operator,
    gateway: &Gateway,
    sale: Option<SaleId>,
    typed: &PlanForm,
    findings: Vec<Finding>,
    outcome: Option<Outcome>,
    status: StatusCode,
) -> Answer {
    let texts = operator.texts();
    let (title, to, back) = match sale {
        None => (texts.new_sale, format!("{ROOT}/sales"), ROOT.to_owned()),
        Some(sale) => (texts.edit_sale, format!("{ROOT}/sales/{sale}/edit"), format!("{ROOT}/sales/{sale}")),
    };
    let page = EditorPage {
        frame: operator.frame(gateway).await,
        title,
        to,
        back,
        typed,
        modes: MODES.map(|mode| (mode.as_str(), texts.admission(mode.as_str()))).to_vec(),
        problems: findings
            .into_iter()
            .map(|finding| {
                let problem = texts.finding(&finding.field, &finding.problem);
                (finding.field, problem)
            })
            .collect(),
        outcome,
    };
    show(status, &page)
}

/// The editor of a new plan.
pub async fn plan_sale(operator: Operator, gateway: Data<Gateway>) -> Answer {
    show_editor(&operator, &gateway, None, &PlanForm::new(), Vec::new(), StatusCode::OK).await
}

/// The editor of a draft's plan.
pub async fn plan_again(sale: FromPath<SaleId>, operator: Operator, gateway: Data<Gateway>) -> Answer {
    let known = gateway.ports.sales.get_sale.ask(GetSale { sale: sale.0 }).await?;
    if known.status != SaleStatus::Draft {
        return Err(SalesError::NotADraft { status: known.status }.into());
    }
    show_editor(
        &operator,
        &gateway,
        Some(sale.0),
        &PlanForm::of(&known.draft, known.version),
        Vec::new(),
        StatusCode::OK,
    )
    .await
}

/// Saves the plan of a new sale.
pub async fn create_sale(submitted: Submitted, gateway: Data<Gateway>) -> Answer {
    save(submitted, &gateway, None).await
}

/// Saves the changed plan of a draft.
pub async fn replan_sale(sale: FromPath<SaleId>, submitted: Submitted, gateway: Data<Gateway>) -> Answer {
    save(submitted, &gateway, Some(sale.0)).await
}

async fn save(submitted: Submitted, gateway: &Gateway, sale: Option<SaleId>) -> Answer {
    let Submitted { sender: operator, form } = submitted;
    let mut typed = PlanForm::read(&form)?;
    if form.has("more") {
        typed.rows.push(PlanRow::default());
        return show_editor(&operator, gateway, sale, &typed, Vec::new(), StatusCode::OK).await;
    }
    let saved = match typed.draft(operator.texts(), gateway.limits.hold_seconds_max) {
        Ok(draft) => match sale {
            None => plan(&operator, gateway, draft).await,
            Some(sale) => plan_anew(&operator, gateway, sale, &typed.version, draft).await,
        },
        Err(findings) => Err(SalesError::NotValid { findings }),
    };
    match saved {
        Ok(saved) => {
            let action = if sale.is_some() { "replan" } else { "create" };
            Ok(see_other(&format!("{ROOT}/sales/{}?done={action}", saved.id)))
        }
        Err(SalesError::NotValid { findings }) => {
            if typed.rows.is_empty() {
                typed.rows.push(PlanRow::default());
            }
            show_editor(&operator, gateway, sale, &typed, findings, StatusCode::UNPROCESSABLE_ENTITY).await
        }
        Err(SalesError::Overtaken) => {
            let Some(sale) = sale else { return Err(SalesError::Overtaken.into()) };
            // Saved again, it replaces the plan of the other operator, as the page says.
            let known = gateway.ports.sales.get_sale.ask(GetSale { sale }).await?;
            typed.version = known.version.to_string();
            let texts = operator.texts();
            let outcome =
                Outcome { is_refused: true, text: texts.overtaken.to_owned(), findings: Vec::new() };
            show_editor_with(
                &operator,
                gateway,
                Some(sale),
                &typed,
                Vec::new(),
                Some(outcome),
                StatusCode::CONFLICT,
            )
            .await
        }
        Err(error) => Err(error.into()),
    }
}

async fn plan(operator: &Operator, gateway: &Gateway, draft: SaleDraft) -> Result<Sale, SalesError> {
    let by = Initiator::Operator(operator.identity.customer);
    gateway.ports.sales.create_sale.ask(CreateSale { draft, by }).await
}

/// Replaces only the plan that was shown: the form does not undo a change of another operator that it does not show.
async fn plan_anew(
    operator: &Operator,
    gateway: &Gateway,
    sale: SaleId,
    version: &str,
    draft: SaleDraft,
) -> Result<Sale, SalesError> {
    let version = version.parse().map_err(|_| SalesError::Overtaken)?;
    let by = Initiator::Operator(operator.identity.customer);
    gateway.ports.sales.replan_sale.ask(ReplanSale { sale, version, draft, by }).await
}
