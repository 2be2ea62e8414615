//! CreateTrigger, UpdateTrigger, DeleteTrigger. Deleting what is not there is no error, as on AWS.

use super::prelude::*;
use crate::triggers::{self, Record};
use crate::workflows;

#[async_trait]
impl Handle<CreateTrigger> for Glue {
    async fn handle(&self, cx: &Cx, req: CreateTriggerRequest) -> Result<CreateTriggerResponse, Error> {
        let (scope, now, name) = (Scope::of(cx), cx.now(), req.name.clone());
        let labels = req.tags.clone().unwrap_or_default();
        let start = req.start_on_creation == Some(true);
        if start && req.r#type == "ON_DEMAND" {
            return Err(invalid_input_exception("StartOnCreation is not for triggers of type ON_DEMAND"));
        }
        let mut record = Record::new(Trigger {
            name: Some(req.name),
            id: None,
            r#type: Some(req.r#type),
            state: Some("CREATED".to_owned()),
            description: req.description,
            schedule: req.schedule,
            actions: Some(req.actions),
            predicate: req.predicate,
            workflow_name: req.workflow_name,
            event_batching_condition: req.event_batching_condition,
        })?;
        cx.write(&self.store, move |tx| {
            let key = triggers::key(&scope, &name);
            if let Some(old) = tx.get_json::<Record>(&key)? {
                return Err(if old.same(&record) {
                    already_exists_exception(format!("Trigger with name: {name} already exists"))
                } else {
                    let message = format!("Trigger with name '{name}' already submitted with different configuration");
                    idempotent_parameter_mismatch_exception(message)
                });
            }
            workflows::check(tx, &scope, &record)?;
            if start {
                record.set_state("ACTIVATED");
            }
            triggers::plan(tx, &scope, &record, now)?;
            tx.put_json(&key, &record)?;
            tags::add(tx, &scope, &triggers::arn(&scope, &name), &labels)?;
            Ok(CreateTriggerResponse { name: Some(name.clone()) })
        })
        .await
    }
}

#[async_trait]
impl Handle<UpdateTrigger> for Glue {
    async fn handle(&self, cx: &Cx, req: UpdateTriggerRequest) -> Result<UpdateTriggerResponse, Error> {
        let (scope, now) = (Scope::of(cx), cx.now());
        cx.write(&self.store, move |tx| {
            let record = triggers::find(tx, &scope, &req.name)?.updated(req.trigger_update.clone())?;
            triggers::plan(tx, &scope, &record, now)?;
            tx.put_json(triggers::key(&scope, &req.name), &record)?;
            Ok(UpdateTriggerResponse { trigger: Some(record.trigger) })
        })
        .await
    }
}

#[async_trait]
impl Handle<DeleteTrigger> for Glue {
    async fn handle(&self, cx: &Cx, req: DeleteTriggerRequest) -> Result<DeleteTriggerResponse, Error> {
        let scope = Scope::of(cx);
        cx.write(&self.store, move |tx| {
            triggers::forget(tx, &scope, &req.name)?;
            if let Some(old) = tx.get_json::<Record>(triggers::key(&scope, &req.name))?.filter(|old| old.is("EVENT")) {
                workflows::events::forget(tx, &scope, old.trigger.workflow_name.as_deref().unwrap_or_default())?;
            }
            tx.delete(triggers::key(&scope, &req.name))?;
            tags::clear(tx, &scope, &triggers::arn(&scope, &req.name))?;
            Ok(DeleteTriggerResponse { name: Some(req.name.clone()) })
        })
        .await
    }
}
