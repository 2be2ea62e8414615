//! GetDataQualityResult, BatchGetDataQualityResult, ListDataQualityResults.

use super::prelude::*;
use crate::quality::{self, ResultRecord};

#[async_trait]
impl Handle<GetDataQualityResult> for Glue {
    async fn handle(&self, cx: &Cx, req: GetDataQualityResultRequest) -> Result<GetDataQualityResultResponse, Error> {
        let key = quality::results(&Scope::of(cx)).push(&req.result_id);
        let record: Option<ResultRecord> = self.store.read(|tx| tx.get_json(&key)).await?;
        let not_found = || entity_not_found_exception(format!("Data quality result {} not found", req.result_id));
        let found = record.ok_or_else(not_found)?.result;
        Ok(GetDataQualityResultResponse {
            result_id: found.result_id,
            score: found.score,
            evaluation_context: found.evaluation_context,
            started_on: found.started_on,
            completed_on: found.completed_on,
            job_name: found.job_name,
            job_run_id: found.job_run_id,
            rule_results: found.rule_results,
            ..GetDataQualityResultResponse::default()
        })
    }
}

#[async_trait]
impl Handle<BatchGetDataQualityResult> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: BatchGetDataQualityResultRequest,
    ) -> Result<BatchGetDataQualityResultResponse, Error> {
        let scope = Scope::of(cx);
        let (results, missing) = self
            .store
            .read(|tx| {
                let (mut found, mut missing) = (Vec::new(), Vec::new());
                for id in &req.result_ids {
                    match tx.get_json::<ResultRecord>(quality::results(&scope).push(id))? {
                        Some(record) => found.push(record.result),
                        None => missing.push(id.clone()),
                    }
                }
                Ok::<_, Error>((found, missing))
            })
            .await?;
        Ok(BatchGetDataQualityResultResponse { results, results_not_found: Some(missing) })
    }
}

#[async_trait]
impl Handle<ListDataQualityResults> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: ListDataQualityResultsRequest,
    ) -> Result<ListDataQualityResultsResponse, Error> {
        let scope = Scope::of(cx);
        let (limit, token) = (scope::limit(req.max_results, 100), req.next_token.as_deref());
        let filter = req.filter.unwrap_or_default();
        let (results, next_token) = self
            .store
            .read(|tx| {
                scope::page(tx, &quality::results(&scope), token, limit, |record: ResultRecord| {
                    let found = record.result;
                    Ok(wanted(&found, &filter).then_some(DataQualityResultDescription {
                        result_id: found.result_id,
                        job_name: found.job_name,
                        job_run_id: found.job_run_id,
                        started_on: found.started_on,
                        ..DataQualityResultDescription::default()
                    }))
                })
            })
            .await?;
        Ok(ListDataQualityResultsResponse { results, next_token })
    }
}

fn wanted(found: &DataQualityResult, filter: &DataQualityResultFilterCriteria) -> bool {
    // What jobs publish has no table that it is about.
    filter.data_source.is_none()
        && filter.job_name.as_ref().is_none_or(|name| found.job_name.as_ref() == Some(name))
        && filter.job_run_id.as_ref().is_none_or(|id| found.job_run_id.as_ref() == Some(id))
        && filter.started_after.is_none_or(|at| found.started_on.is_some_and(|started| started >= at))
        && filter.started_before.is_none_or(|at| found.started_on.is_some_and(|started| started <= at))
}
