//! Pages that are shown in a browser: `kit/` is what all of them are made of, `ops/` are the operators' pages.

pub mod kit;
pub mod ops;

use actix_web::HttpRequest;

pub use self::kit::keep_session;
use self::kit::{PageSet, RenderedProblem};
use crate::http::gateway::problem::Problem;

/// A page set as the gateway needs it: which routes are its own, and how a problem looks there.
struct Registered {
    contains: fn(&str) -> bool,
    explain: fn(&Problem, &HttpRequest, &str) -> Option<RenderedProblem>,
}

const fn registered<S: PageSet>() -> Registered {
    Registered { contains: S::contains, explain: kit::explain::<S> }
}

/// The page set of the more specific path first.
const PAGE_SETS: [Registered; 1] = [registered::<ops::Ops>()];

/// The problem of a page's route, as a page of its set; `None` when it cannot be rendered.
pub fn explain(
    route: &str,
    problem: &Problem,
    request: &HttpRequest,
    request_id: &str,
) -> Option<RenderedProblem> {
    let set = PAGE_SETS.iter().find(|set| (set.contains)(route))?;
    (set.explain)(problem, request, request_id)
}
