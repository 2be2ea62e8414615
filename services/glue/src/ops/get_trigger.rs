//! GetTrigger, GetTriggers, BatchGetTriggers, ListTriggers.

use super::prelude::*;
use crate::triggers::{self, Record};

#[async_trait]
impl Handle<GetTrigger> for Glue {
    async fn handle(&self, cx: &Cx, req: GetTriggerRequest) -> Result<GetTriggerResponse, Error> {
        let scope = Scope::of(cx);
        let record = self.store.read(|tx| triggers::find(tx, &scope, &req.name)).await?;
        Ok(GetTriggerResponse { trigger: Some(record.trigger) })
    }
}

#[async_trait]
impl Handle<GetTriggers> for Glue {
    async fn handle(&self, cx: &Cx, req: GetTriggersRequest) -> Result<GetTriggersResponse, Error> {
        let scope = Scope::of(cx);
        let (limit, token) = (scope::limit(req.max_results, 100), req.next_token.as_deref());
        let job = req.dependent_job_name.as_deref();
        let (list, next_token) = self
            .store
            .read(|tx| {
                scope::page(tx, &triggers::all(&scope), token, limit, |record: Record| {
                    Ok(job.is_none_or(|job| record.starts(job)).then_some(record.trigger))
                })
            })
            .await?;
        Ok(GetTriggersResponse { triggers: Some(list), next_token })
    }
}

#[async_trait]
impl Handle<BatchGetTriggers> for Glue {
    async fn handle(&self, cx: &Cx, req: BatchGetTriggersRequest) -> Result<BatchGetTriggersResponse, Error> {
        let scope = Scope::of(cx);
        let (found, missing) = self
            .store
            .read(|tx| {
                let (mut found, mut missing) = (Vec::new(), Vec::new());
                for name in &req.trigger_names {
                    match tx.get_json::<Record>(triggers::key(&scope, name))? {
                        Some(record) => found.push(record.trigger),
                        None => missing.push(name.clone()),
                    }
                }
                Ok::<_, Error>((found, missing))
            })
            .await?;
        Ok(BatchGetTriggersResponse { triggers: Some(found), triggers_not_found: Some(missing) })
    }
}

#[async_trait]
impl Handle<ListTriggers> for Glue {
    async fn handle(&self, cx: &Cx, req: ListTriggersRequest) -> Result<ListTriggersResponse, Error> {
        let scope = Scope::of(cx);
        let (limit, token) = (scope::limit(req.max_results, 100), req.next_token.as_deref());
        let (job, wanted) = (req.dependent_job_name.as_deref(), req.tags.unwrap_or_default());
        let (names, next_token) = self
            .store
            .read(|tx| {
                let (records, next) = scope::page(tx, &triggers::all(&scope), token, limit, |record: Record| {
                    Ok(job.is_none_or(|job| record.starts(job)).then(|| record.name().to_owned()))
                })?;
                let mut names = Vec::new();
                for name in records {
                    let have = tags::read(tx, &scope, &triggers::arn(&scope, &name))?;
                    if wanted.iter().all(|(k, v)| have.get(k) == Some(v)) {
                        names.push(name);
                    }
                }
                Ok::<_, Error>((names, next))
            })
            .await?;
        Ok(ListTriggersResponse { trigger_names: Some(names), next_token })
    }
}
