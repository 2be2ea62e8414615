//! StartTrigger: fires one on demand, activates the others. StopTrigger: deactivates.

use super::prelude::*;
use crate::{triggers, workflows};

#[async_trait]
impl Handle<StartTrigger> for Glue {
    async fn handle(&self, cx: &Cx, req: StartTriggerRequest) -> Result<StartTriggerResponse, Error> {
        let (scope, now) = (Scope::of(cx), cx.now());
        cx.write(&self.store, move |tx| {
            let mut record = triggers::find(tx, &scope, &req.name)?;
            if record.is("ON_DEMAND") {
                triggers::fire(tx, &scope, &record, &[], now)?;
            } else {
                record.set_state("ACTIVATED");
                triggers::plan(tx, &scope, &record, now)?;
                tx.put_json(triggers::key(&scope, &req.name), &record)?;
            }
            Ok(StartTriggerResponse { name: Some(req.name.clone()) })
        })
        .await
    }
}

#[async_trait]
impl Handle<StopTrigger> for Glue {
    async fn handle(&self, cx: &Cx, req: StopTriggerRequest) -> Result<StopTriggerResponse, Error> {
        let (scope, now) = (Scope::of(cx), cx.now());
        cx.write(&self.store, move |tx| {
            let mut record = triggers::find(tx, &scope, &req.name)?;
            if record.is("ON_DEMAND") {
                return Err(invalid_input_exception("A trigger of type ON_DEMAND is never active"));
            }
            record.set_state("DEACTIVATED");
            triggers::plan(tx, &scope, &record, now)?;
            if record.is("EVENT") {
                workflows::events::forget(tx, &scope, record.trigger.workflow_name.as_deref().unwrap_or_default())?;
            }
            tx.put_json(triggers::key(&scope, &req.name), &record)?;
            Ok(StopTriggerResponse { name: Some(req.name.clone()) })
        })
        .await
    }
}
