//! DescribeMapRun: how far a Distributed Map's run has come.

use api_states::{
    DescribeMapRun, DescribeMapRunInput, DescribeMapRunOutput, MapRunExecutionCounts, MapRunItemCounts, error,
};
use asl::{Counts, MapRun, Status};
use async_trait::async_trait;
use engine::MapRunArn;
use service::{Cx, Handle};
use wire::Error;

use crate::names::Resource;
use crate::{States, millis};

#[async_trait]
impl Handle<DescribeMapRun> for States {
    async fn handle(&self, _: &Cx, input: DescribeMapRunInput) -> Result<DescribeMapRunOutput, Error> {
        let arn = map_run_arn(&input.map_run_arn)?;
        let run = self.engine.map_run(&arn).await?.ok_or_else(|| no_such_map_run(&arn))?;
        let limits = &run.limits;
        // One that was stopped runs until its children have ended.
        let status = if run.stopped.is_some() { run.status } else { Status::Running };
        Ok(DescribeMapRunOutput {
            map_run_arn: run.arn.clone(),
            execution_arn: run.execution_arn.clone(),
            status: status.name().to_owned(),
            start_date: millis(run.started),
            stop_date: run.stopped.map(millis),
            max_concurrency: i32::try_from(limits.max_concurrency).unwrap_or(i32::MAX),
            tolerated_failure_percentage: limits.tolerated_failure_percentage.unwrap_or(0.0),
            tolerated_failure_count: number(limits.tolerated_failure_count.unwrap_or(0)),
            item_counts: item_counts(&run),
            execution_counts: execution_counts(&run),
            redrive_count: i32::try_from(run.redrive.count).ok(),
            redrive_date: run.redrive.at.map(millis),
        })
    }
}

pub(super) fn map_run_arn(text: &str) -> Result<MapRunArn, Error> {
    Resource::parse(text, &["mapRun"])?;
    MapRunArn::parse(text).ok_or_else(|| error::invalid_arn(format!("Invalid Arn: '{text}'")))
}

pub(super) fn no_such_map_run(arn: &MapRunArn) -> Error {
    error::resource_not_found(format!("Resource not found: '{arn}'"))
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn written(run: &MapRun, counts: &Counts) -> i64 {
    if run.progress.results_written { number(counts.total() - counts.running) } else { 0 }
}

fn item_counts(run: &MapRun) -> MapRunItemCounts {
    let counts = &run.progress.items;
    let pending = run.pending_items();
    let waiting = run.progress.waiting.as_ref().map_or(0, |waiting| waiting.items.total());
    MapRunItemCounts {
        pending: number(pending),
        running: number(counts.running),
        succeeded: number(counts.succeeded),
        failed: number(counts.failed),
        timed_out: number(counts.timed_out),
        aborted: number(counts.aborted),
        total: number(counts.total() + pending + waiting),
        results_written: written(run, counts),
        failures_not_redrivable: Some(number(run.progress.not_redrivable.items)),
        pending_redrive: Some(number(waiting)),
    }
}

fn execution_counts(run: &MapRun) -> MapRunExecutionCounts {
    let counts = &run.progress.executions;
    let pending = match run.batcher.as_ref().map(|batcher| batcher.max_items) {
        None => run.pending_items(),
        Some(Some(items)) => run.pending_items().div_ceil(items.max(1)),
        // How many fit into a batch is only known when it is made.
        Some(None) => 0,
    };
    let waiting = run.progress.waiting.as_ref().map_or(0, |waiting| waiting.executions.total());
    MapRunExecutionCounts {
        pending: number(pending),
        running: number(counts.running),
        succeeded: number(counts.succeeded),
        failed: number(counts.failed),
        timed_out: number(counts.timed_out),
        aborted: number(counts.aborted),
        total: number(counts.total() + pending + waiting),
        results_written: written(run, counts),
        failures_not_redrivable: Some(number(run.progress.not_redrivable.executions)),
        pending_redrive: Some(number(waiting)),
    }
}
