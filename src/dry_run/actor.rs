//! The dry run's actor: answers at once; runs go on in the background.

use actix::{Actor, Context, Handler, ResponseFuture};

use super::error::DryRunError;
use super::messages::*;
use super::service::DryRuns;

pub struct DryRunActor {
    runs: DryRuns,
}

impl DryRunActor {
    pub fn new(runs: DryRuns) -> Self {
        Self { runs }
    }
}

impl Actor for DryRunActor {
    type Context = Context<Self>;
}

impl Handler<StartDryRun> for DryRunActor {
    type Result = ResponseFuture<Result<(), DryRunError>>;

    fn handle(&mut self, wanted: StartDryRun, _: &mut Context<Self>) -> Self::Result {
        let runs = self.runs.clone();
        Box::pin(async move { runs.start(wanted).await })
    }
}

impl Handler<GetDryRun> for DryRunActor {
    type Result = ResponseFuture<Result<DryRun, DryRunError>>;

    fn handle(&mut self, GetDryRun { sale }: GetDryRun, _: &mut Context<Self>) -> Self::Result {
        let runs = self.runs.clone();
        Box::pin(async move { runs.find(sale).await })
    }
}
