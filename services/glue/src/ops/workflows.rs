//! Workflows and their runs: `crate::workflows` says what they do.

use super::prelude::*;
use crate::triggers;
use crate::workflows::{self, Record, RunRecord};

#[async_trait]
impl Handle<CreateWorkflow> for Glue {
    async fn handle(&self, cx: &Cx, req: CreateWorkflowRequest) -> Result<CreateWorkflowResponse, Error> {
        let (scope, now) = (Scope::of(cx), wire::Timestamp(cx.now()));
        let labels = req.tags.clone().unwrap_or_default();
        cx.write(&self.store, move |tx| {
            let key = workflows::key(&scope, &req.name);
            if tx.get(&key)?.is_some() {
                return Err(already_exists_exception(format!("Workflow with name: {} already exists", req.name)));
            }
            let workflow = Workflow {
                name: Some(req.name.clone()),
                description: req.description.clone(),
                default_run_properties: Some(req.default_run_properties.clone().unwrap_or_default()),
                created_on: Some(now),
                last_modified_on: Some(now),
                max_concurrent_runs: req.max_concurrent_runs,
                ..Workflow::default()
            };
            tx.put_json(&key, &Record::new(workflow))?;
            tags::add(tx, &scope, &workflows::arn(&scope, &req.name), &labels)?;
            Ok(CreateWorkflowResponse { name: Some(req.name.clone()) })
        })
        .await
    }
}

#[async_trait]
impl Handle<UpdateWorkflow> for Glue {
    async fn handle(&self, cx: &Cx, req: UpdateWorkflowRequest) -> Result<UpdateWorkflowResponse, Error> {
        let (scope, now) = (Scope::of(cx), wire::Timestamp(cx.now()));
        cx.write(&self.store, move |tx| {
            let mut record = workflows::find(tx, &scope, &req.name)?;
            let workflow = &mut record.workflow;
            if req.description.is_some() {
                workflow.description.clone_from(&req.description);
            }
            if req.default_run_properties.is_some() {
                workflow.default_run_properties.clone_from(&req.default_run_properties);
            }
            if req.max_concurrent_runs.is_some() {
                workflow.max_concurrent_runs = req.max_concurrent_runs;
            }
            workflow.last_modified_on = Some(now);
            tx.put_json(workflows::key(&scope, &req.name), &record)?;
            Ok(UpdateWorkflowResponse { name: Some(req.name.clone()) })
        })
        .await
    }
}

/// With its triggers, as on AWS; what they start stays. What is not there is no error.
#[async_trait]
impl Handle<DeleteWorkflow> for Glue {
    async fn handle(&self, cx: &Cx, req: DeleteWorkflowRequest) -> Result<DeleteWorkflowResponse, Error> {
        let scope = Scope::of(cx);
        cx.write(&self.store, move |tx| {
            for record in tx.list_json::<triggers::Record>(triggers::all(&scope), usize::MAX)? {
                if record.trigger.workflow_name.as_ref() == Some(&req.name) {
                    triggers::forget(tx, &scope, record.name())?;
                    tx.delete(triggers::key(&scope, record.name()))?;
                    tags::clear(tx, &scope, &triggers::arn(&scope, record.name()))?;
                }
            }
            for run in tx.list_json::<RunRecord>(workflows::runs(&scope, &req.name), usize::MAX)? {
                let id = run.run.workflow_run_id.unwrap_or_default();
                tx.delete(workflows::runs(&scope, &req.name).push(&id))?;
            }
            tx.delete(workflows::key(&scope, &req.name))?;
            tags::clear(tx, &scope, &workflows::arn(&scope, &req.name))?;
            Ok(DeleteWorkflowResponse { name: Some(req.name.clone()) })
        })
        .await
    }
}

#[async_trait]
impl Handle<GetWorkflow> for Glue {
    async fn handle(&self, cx: &Cx, req: GetWorkflowRequest) -> Result<GetWorkflowResponse, Error> {
        let scope = Scope::of(cx);
        let record = self.store.read(|tx| workflows::find(tx, &scope, &req.name)).await?;
        Ok(GetWorkflowResponse { workflow: Some(record.workflow) })
    }
}

#[async_trait]
impl Handle<BatchGetWorkflows> for Glue {
    async fn handle(&self, cx: &Cx, req: BatchGetWorkflowsRequest) -> Result<BatchGetWorkflowsResponse, Error> {
        let scope = Scope::of(cx);
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for name in req.names {
            match self.store.read(|tx| tx.get_json::<Record>(workflows::key(&scope, &name))).await? {
                Some(record) => found.push(record.workflow),
                None => missing.push(name),
            }
        }
        let missing_workflows = Some(missing).filter(|missing| !missing.is_empty());
        Ok(BatchGetWorkflowsResponse { workflows: Some(found).filter(|found| !found.is_empty()), missing_workflows })
    }
}

#[async_trait]
impl Handle<ListWorkflows> for Glue {
    async fn handle(&self, cx: &Cx, req: ListWorkflowsRequest) -> Result<ListWorkflowsResponse, Error> {
        let scope = Scope::of(cx);
        let (limit, token) = (scope::limit(req.max_results, 25), req.next_token.as_deref());
        let (names, next_token) = self
            .store
            .read(|tx| {
                scope::page(tx, &workflows::all(&scope), token, limit, |record: Record| Ok(record.workflow.name))
            })
            .await?;
        Ok(ListWorkflowsResponse { workflows: Some(names), next_token })
    }
}

#[async_trait]
impl Handle<StartWorkflowRun> for Glue {
    async fn handle(&self, cx: &Cx, req: StartWorkflowRunRequest) -> Result<StartWorkflowRunResponse, Error> {
        let (scope, now) = (Scope::of(cx), cx.now());
        let id = format!("wr_{}", (cx.uuid() + &cx.uuid()).replace('-', ""));
        cx.write(&self.store, move |tx| {
            workflows::begin(tx, &scope, &req.name, req.run_properties.clone().unwrap_or_default(), &id, now)?;
            Ok(StartWorkflowRunResponse { run_id: Some(id.clone()) })
        })
        .await
    }
}

#[async_trait]
impl Handle<StopWorkflowRun> for Glue {
    async fn handle(&self, cx: &Cx, req: StopWorkflowRunRequest) -> Result<StopWorkflowRunResponse, Error> {
        let (scope, now) = (Scope::of(cx), cx.now());
        cx.write(&self.store, move |tx| {
            workflows::stop(tx, &scope, &req.name, &req.run_id, now)?;
            Ok(StopWorkflowRunResponse::default())
        })
        .await
    }
}

#[async_trait]
impl Handle<GetWorkflowRun> for Glue {
    async fn handle(&self, cx: &Cx, req: GetWorkflowRunRequest) -> Result<GetWorkflowRunResponse, Error> {
        let scope = Scope::of(cx);
        let record = self.store.read(|tx| workflows::find_run(tx, &scope, &req.name, &req.run_id)).await?;
        Ok(GetWorkflowRunResponse { run: Some(record.run) })
    }
}

/// The newest first.
#[async_trait]
impl Handle<GetWorkflowRuns> for Glue {
    async fn handle(&self, cx: &Cx, req: GetWorkflowRunsRequest) -> Result<GetWorkflowRunsResponse, Error> {
        let scope = Scope::of(cx);
        let mut runs: Vec<WorkflowRun> = self
            .store
            .read(|tx| {
                workflows::find(tx, &scope, &req.name)?;
                let records: Vec<RunRecord> = tx.list_json(workflows::runs(&scope, &req.name), usize::MAX)?;
                Ok::<_, Error>(records.into_iter().map(|record| record.run).collect())
            })
            .await?;
        runs.sort_by_key(|run| std::cmp::Reverse(run.started_on));
        let limit = scope::limit(req.max_results, 1000);
        let after = |token: &String| {
            runs.iter().position(|run| run.workflow_run_id.as_ref() == Some(token)).map_or(runs.len(), |at| at + 1)
        };
        let start = req.next_token.as_ref().map_or(0, after);
        let more = runs.len() > start + limit;
        let sent: Vec<_> = runs.into_iter().skip(start).take(limit).collect();
        let next_token = sent.last().filter(|_| more).and_then(|run| run.workflow_run_id.clone());
        Ok(GetWorkflowRunsResponse { runs: Some(sent), next_token })
    }
}

#[async_trait]
impl Handle<GetWorkflowRunProperties> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetWorkflowRunPropertiesRequest,
    ) -> Result<GetWorkflowRunPropertiesResponse, Error> {
        let scope = Scope::of(cx);
        let record = self.store.read(|tx| workflows::find_run(tx, &scope, &req.name, &req.run_id)).await?;
        let run_properties = Some(record.run.workflow_run_properties.unwrap_or_default());
        Ok(GetWorkflowRunPropertiesResponse { run_properties })
    }
}

#[async_trait]
impl Handle<PutWorkflowRunProperties> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: PutWorkflowRunPropertiesRequest,
    ) -> Result<PutWorkflowRunPropertiesResponse, Error> {
        let scope = Scope::of(cx);
        cx.write(&self.store, move |tx| {
            workflows::set_properties(tx, &scope, (&req.name, &req.run_id), req.run_properties.clone())?;
            Ok(PutWorkflowRunPropertiesResponse::default())
        })
        .await
    }
}
