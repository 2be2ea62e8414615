//! Query executions after their start: what became of them, their results, their end.

use api_athena::error::invalid_request_exception;
use api_athena::{
    BatchGetQueryExecution, BatchGetQueryExecutionInput, BatchGetQueryExecutionOutput, GetQueryExecution,
    GetQueryExecutionInput, GetQueryExecutionOutput, GetQueryResults, GetQueryResultsInput, GetQueryResultsOutput,
    GetQueryRuntimeStatistics, GetQueryRuntimeStatisticsInput, GetQueryRuntimeStatisticsOutput, ListQueryExecutions,
    ListQueryExecutionsInput, ListQueryExecutionsOutput, QueryRuntimeStatistics, QueryRuntimeStatisticsRows,
    QueryRuntimeStatisticsTimeline, StopQueryExecution, StopQueryExecutionInput, StopQueryExecutionOutput,
    UnprocessedQueryExecutionId,
};
use async_trait::async_trait;
use jobs::{Ended, Used};
use service::{Cx, Handle};
use store::Key;
use wire::Error;

use crate::records::{PRIMARY, Record, Scope, find, workgroup};
use crate::run::{Payload, Queries, Reply, finish};
use crate::{Athena, results};

#[async_trait]
impl Handle<GetQueryExecution> for Athena {
    async fn handle(&self, cx: &Cx, req: GetQueryExecutionInput) -> Result<GetQueryExecutionOutput, Error> {
        let record = self.store.read(|tx| find(tx, &Scope::of(cx), &req.query_execution_id)).await?;
        Ok(GetQueryExecutionOutput { query_execution: Some(shown(record)) })
    }
}

/// What clients see: of managed results not where they are.
fn shown(record: Record) -> api_athena::QueryExecution {
    let mut execution = record.execution;
    if execution.managed_query_results_configuration.is_some() {
        execution.result_configuration = None;
        if let Some(statistics) = &mut execution.statistics {
            statistics.data_manifest_location = None;
        }
    }
    execution
}

#[async_trait]
impl Handle<BatchGetQueryExecution> for Athena {
    async fn handle(&self, cx: &Cx, req: BatchGetQueryExecutionInput) -> Result<BatchGetQueryExecutionOutput, Error> {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for id in req.query_execution_ids {
            match self.store.read(|tx| Ok::<_, Error>(tx.get_json::<Record>(Scope::of(cx).query(&id))?)).await? {
                Some(record) => found.push(shown(record)),
                None => missing.push(UnprocessedQueryExecutionId {
                    error_message: Some(format!("QueryExecution {id} was not found")),
                    query_execution_id: Some(id),
                    error_code: Some("INVALID_QUERY_EXECUTION_ID".to_owned()),
                }),
            }
        }
        Ok(BatchGetQueryExecutionOutput {
            query_executions: Some(found),
            unprocessed_query_execution_ids: Some(missing),
        })
    }
}

#[async_trait]
impl Handle<ListQueryExecutions> for Athena {
    async fn handle(&self, cx: &Cx, req: ListQueryExecutionsInput) -> Result<ListQueryExecutionsOutput, Error> {
        let scope = Scope::of(cx);
        let name = req.work_group.as_deref().unwrap_or(PRIMARY);
        let size = req.max_results.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0).unwrap_or(50).min(50);
        let prefix = scope.by_time(name);
        let after = match &req.next_token {
            None => Vec::new(),
            Some(token) => {
                let (time, id) = token
                    .split_once('_')
                    .and_then(|(time, id)| Some((time.parse::<i64>().ok()?, id)))
                    .ok_or_else(|| invalid_request_exception("The provided NextToken is not valid."))?;
                prefix.clone().push_i64(time).push(id).into_bytes()
            }
        };
        let pairs = self
            .store
            .read(|tx| {
                workgroup(tx, &scope, name)?;
                Ok::<_, Error>(tx.scan_after(&prefix, &after, size + 1)?)
            })
            .await?;
        let place = |key: &[u8]| -> Option<(i64, String)> {
            let mut parts = Key::parts(key);
            let id = String::from_utf8(parts.pop()?).ok()?;
            let time = i64::from_be_bytes(parts.pop()?.try_into().ok()?) ^ i64::MIN;
            Some((time, id))
        };
        let places: Vec<_> = pairs.iter().filter_map(|(key, _)| place(key)).collect();
        let next = (places.len() > size).then(|| format!("{}_{}", places[size - 1].0, places[size - 1].1));
        let ids = places.into_iter().take(size).map(|(_, id)| id).collect();
        Ok(ListQueryExecutionsOutput { query_execution_ids: Some(ids), next_token: next })
    }
}

#[async_trait]
impl Handle<StopQueryExecution> for Athena {
    /// A query that waits is over at once. One that runs is CANCELLED when its worker is gone and what it wrote is undone. A
    /// finished one stays as it is.
    async fn handle(&self, cx: &Cx, req: StopQueryExecutionInput) -> Result<StopQueryExecutionOutput, Error> {
        let (place, now) = (Payload { scope: Scope::of(cx), id: req.query_execution_id }, cx.now());
        let at = place.clone();
        let waited = cx.write(&self.store, move |tx| {
            let mut record = find(tx, &place.scope, &place.id)?;
            if record.is_over() {
                return Ok(false);
            }
            if record.state() == "QUEUED" {
                jobs::forget(tx, &place.task())?;
                let ended = Ended { end: Reply::Cancelled, used: Used::default(), at: now };
                return finish(tx, &place, &mut record, &ended).map(|()| true);
            }
            jobs::stop::<Queries>(tx, &place.task(), &place).map(|_| false)
        });
        if waited.await? {
            self.tell_if_over(&at).await?;
        }
        Ok(StopQueryExecutionOutput::default())
    }
}

#[async_trait]
impl Handle<GetQueryResults> for Athena {
    async fn handle(&self, cx: &Cx, req: GetQueryResultsInput) -> Result<GetQueryResultsOutput, Error> {
        let record = self.store.read(|tx| find(tx, &Scope::of(cx), &req.query_execution_id)).await?;
        match record.state() {
            "SUCCEEDED" => results::page(cx, &record, req.next_token.as_deref(), req.max_results).await,
            state @ ("FAILED" | "CANCELLED") => {
                Err(invalid_request_exception(format!("Query did not finish successfully. Final query state: {state}")))
            }
            state => Err(invalid_request_exception(format!("Query has not yet finished. Current state: {state}"))),
        }
    }
}

#[async_trait]
impl Handle<GetQueryRuntimeStatistics> for Athena {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetQueryRuntimeStatisticsInput,
    ) -> Result<GetQueryRuntimeStatisticsOutput, Error> {
        let record = self.store.read(|tx| find(tx, &Scope::of(cx), &req.query_execution_id)).await?;
        let known = record.execution.statistics.unwrap_or_default();
        Ok(GetQueryRuntimeStatisticsOutput {
            query_runtime_statistics: Some(QueryRuntimeStatistics {
                timeline: Some(QueryRuntimeStatisticsTimeline {
                    query_queue_time_in_millis: known.query_queue_time_in_millis,
                    service_pre_processing_time_in_millis: known.service_pre_processing_time_in_millis,
                    query_planning_time_in_millis: known.query_planning_time_in_millis,
                    engine_execution_time_in_millis: known.engine_execution_time_in_millis,
                    service_processing_time_in_millis: known.service_processing_time_in_millis,
                    total_execution_time_in_millis: known.total_execution_time_in_millis,
                }),
                rows: Some(QueryRuntimeStatisticsRows {
                    input_bytes: known.data_scanned_in_bytes,
                    output_rows: i64::try_from(record.rows).ok(),
                    ..QueryRuntimeStatisticsRows::default()
                }),
                output_stage: None,
            }),
        })
    }
}
