//! The dry run's actor: answers at once, and lets runs go on by themselves.

use actix::{Actor, Context, Handler, ResponseFuture};

use super::error::DryRunError;
use super::messages::*;
use super::office::Office;

pub struct DryRunActor {
    office: Office,
}

impl DryRunActor {
    pub fn new(office: Office) -> Self {
        Self { office }
    }
}

impl Actor for DryRunActor {
    type Context = Context<Self>;
}

impl Handler<StartDryRun> for DryRunActor {
    type Result = ResponseFuture<Result<(), DryRunError>>;

    fn handle(&mut self, wanted: StartDryRun, _: &mut Context<Self>) -> Self::Result {
        let office = self.office.clone();
        Box::pin(async move { office.start(wanted).await })
    }
}

impl Handler<GetDryRun> for DryRunActor {
    type Result = ResponseFuture<Result<DryRun, DryRunError>>;

    fn handle(&mut self, GetDryRun { sale }: GetDryRun, _: &mut Context<Self>) -> Self::Result {
        let office = self.office.clone();
        Box::pin(async move { office.find(sale).await })
    }
}
