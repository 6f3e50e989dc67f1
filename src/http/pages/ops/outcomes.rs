//! What became of an action, in words: done, proposed, or refused and why.

use actix_web::http::StatusCode;

use super::place::Place;
use super::sale::show_sale;
use super::sale_list::show_sales;
use super::translations::OpsTexts;
use super::{Operator, Ops};
use crate::actors::sales::{Finding, SalesError};
use crate::error::Fault;
use crate::http::gateway::Gateway;
use crate::http::gateway::answer::Answer;
use crate::http::gateway::problem::Problem;
use crate::http::pages::kit::{self, Outcome, fill};

/// The outcome of an action that waits for a second operator.
pub const PROPOSE: &str = "propose";

/// The outcome that a link names; `None` for an action that does not exist, so that a link cannot show any text.
pub fn done(texts: &OpsTexts, action: Option<&str>) -> Option<Outcome> {
    let is_known = |action: &&str| {
        !texts.effect(action).is_empty() || matches!(*action, "create" | "replan" | PROPOSE | "withdraw")
    };
    let text = match action.filter(is_known)? {
        PROPOSE => texts.proposed.to_owned(),
        action => fill(texts.done, &[&texts.action(action)]),
    };
    Some(Outcome { is_refused: false, text, findings: Vec::new() })
}

pub fn refused_because(texts: &OpsTexts, why: &str) -> Outcome {
    Outcome { is_refused: true, text: fill(texts.refused_because, &[why]), findings: Vec::new() }
}

/// Why an error refuses, by its code where the pages word it.
pub fn why(texts: &OpsTexts, error: &impl Fault) -> String {
    kit::refusal::<Ops>(texts.language, error.code()).map_or_else(|| error.to_string(), str::to_owned)
}

/// A refusal in words, with its status. A failure is returned as a problem, and so is an unknown sale, which has no page.
pub fn refusal(texts: &OpsTexts, error: SalesError, action: &str) -> Result<(StatusCode, Outcome), Problem> {
    let status = error.kind().http_status();
    if status >= 500 || matches!(error, SalesError::UnknownSale(_)) {
        return Err(error.into());
    }
    let why = match &error {
        SalesError::NotInStatus { status, .. } => {
            fill(texts.not_in_status, &[texts.status(status.as_str()), &texts.action(action)])
        }
        error => why(texts, error),
    };
    let findings = match &error {
        SalesError::NotValid { findings } | SalesError::NotReady { findings } => {
            findings_in_words(texts, findings)
        }
        _ => Vec::new(),
    };
    let outcome = Outcome { findings, ..refused_because(texts, &why) };
    Ok((StatusCode::from_u16(status).unwrap_or(StatusCode::CONFLICT), outcome))
}

pub fn findings_in_words(texts: &OpsTexts, findings: &[Finding]) -> Vec<String> {
    let in_words = |finding: &Finding| {
        let (field, problem) = (texts.field(&finding.field), texts.finding(&finding.field, &finding.problem));
        fill(texts.confirm_title, &[&field, &problem])
    };
    findings.iter().map(in_words).collect()
}

/// The page of a place, with an outcome.
pub async fn show_place(
    operator: &Operator,
    gateway: &Gateway,
    place: Place,
    status: StatusCode,
    outcome: Option<Outcome>,
) -> Answer {
    match place {
        Place::Sales => show_sales(operator, gateway, None, status, outcome).await,
        Place::Sale(id) => show_sale(operator, gateway, id, status, outcome).await,
    }
}

/// Tells what is missing in a form, at the place where the operator goes on.
pub async fn refuse_form(operator: &Operator, gateway: &Gateway, about: Place, why: &str) -> Answer {
    let status = operator.status(StatusCode::UNPROCESSABLE_ENTITY);
    let outcome = refused_because(operator.texts(), why);
    show_place(operator, gateway, operator.place_after(about), status, Some(outcome)).await
}
