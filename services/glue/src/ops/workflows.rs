//! Workflows and their runs: `crate::workflows` says what they do.

use store::Tx;

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
                // None is as many as there are, and so is none of them.
                workflow.max_concurrent_runs = req.max_concurrent_runs.filter(|most| *most > 0);
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
            workflows::forget_runs(tx, &scope, &req.name)?;
            workflows::events::forget(tx, &scope, &req.name)?;
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
        let shown = self
            .store
            .read(|tx| {
                let record = workflows::find(tx, &scope, &req.name)?;
                shown(tx, &scope, record.workflow, req.include_graph)
            })
            .await?;
        Ok(GetWorkflowResponse { workflow: Some(shown) })
    }
}

/// With its graph, where that is asked for.
fn shown(tx: &mut Tx<'_>, scope: &Scope, workflow: Workflow, graph: Option<bool>) -> Result<Workflow, Error> {
    let name = workflow.name.clone().unwrap_or_default();
    let graph = (graph == Some(true)).then(|| workflows::graph::of_workflow(tx, scope, &name)).transpose()?;
    Ok(Workflow { graph, ..workflow })
}

/// With its graph, where that is asked for.
fn shown_run(tx: &mut Tx<'_>, scope: &Scope, record: RunRecord, graph: Option<bool>) -> Result<WorkflowRun, Error> {
    let graph = (graph == Some(true)).then(|| workflows::graph::of_run(tx, scope, &record)).transpose()?;
    Ok(WorkflowRun { graph, ..record.run })
}

#[async_trait]
impl Handle<BatchGetWorkflows> for Glue {
    async fn handle(&self, cx: &Cx, req: BatchGetWorkflowsRequest) -> Result<BatchGetWorkflowsResponse, Error> {
        let scope = Scope::of(cx);
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for name in req.names {
            let graph = req.include_graph;
            let one = self
                .store
                .read(|tx| {
                    let record: Option<Record> = tx.get_json(workflows::key(&scope, &name))?;
                    record.map(|record| shown(tx, &scope, record.workflow, graph)).transpose()
                })
                .await?;
            match one {
                Some(workflow) => found.push(workflow),
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
impl Handle<ResumeWorkflowRun> for Glue {
    async fn handle(&self, cx: &Cx, req: ResumeWorkflowRunRequest) -> Result<ResumeWorkflowRunResponse, Error> {
        let (scope, now) = (Scope::of(cx), cx.now());
        let id = format!("wr_{}", (cx.uuid() + &cx.uuid()).replace('-', ""));
        cx.write(&self.store, move |tx| {
            let nodes = workflows::resume(tx, &scope, (&req.name, &req.run_id), &req.node_ids, &id, now)?;
            Ok(ResumeWorkflowRunResponse { run_id: Some(id.clone()), node_ids: Some(nodes) })
        })
        .await
    }
}

#[async_trait]
impl Handle<GetWorkflowRun> for Glue {
    async fn handle(&self, cx: &Cx, req: GetWorkflowRunRequest) -> Result<GetWorkflowRunResponse, Error> {
        let scope = Scope::of(cx);
        let shown = self
            .store
            .read(|tx| {
                let record = workflows::find_run(tx, &scope, &req.name, &req.run_id)?;
                shown_run(tx, &scope, record, req.include_graph)
            })
            .await?;
        Ok(GetWorkflowRunResponse { run: Some(shown) })
    }
}

/// The newest first.
#[async_trait]
impl Handle<GetWorkflowRuns> for Glue {
    async fn handle(&self, cx: &Cx, req: GetWorkflowRunsRequest) -> Result<GetWorkflowRunsResponse, Error> {
        let scope = Scope::of(cx);
        let mut runs: Vec<RunRecord> = self
            .store
            .read(|tx| {
                workflows::find(tx, &scope, &req.name)?;
                Ok::<_, Error>(tx.list_json(workflows::runs(&scope, &req.name), usize::MAX)?)
            })
            .await?;
        runs.sort_by_key(|record| std::cmp::Reverse(record.run.started_on));
        let limit = scope::limit(req.max_results, 1000);
        let after = |token: &String| {
            runs.iter()
                .position(|record| record.run.workflow_run_id.as_ref() == Some(token))
                .map_or(runs.len(), |at| at + 1)
        };
        let start = req.next_token.as_ref().map_or(0, after);
        let more = runs.len() > start + limit;
        let sent: Vec<_> = runs.into_iter().skip(start).take(limit).collect();
        let next_token = sent.last().filter(|_| more).and_then(|record| record.run.workflow_run_id.clone());
        let shown = |tx: &mut Tx<'_>| {
            let each = sent.iter().map(|record| shown_run(tx, &scope, record.clone(), req.include_graph));
            each.collect::<Result<Vec<_>, Error>>()
        };
        Ok(GetWorkflowRunsResponse { runs: Some(self.store.read(shown).await?), next_token })
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
