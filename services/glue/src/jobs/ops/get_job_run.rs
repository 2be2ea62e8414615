//! GetJobRun: how a run stands.

use api_glue::{GetJobRun, GetJobRunRequest, GetJobRunResponse, JobRun};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::{Error, Timestamp};

use crate::jobs::Jobs;
use crate::jobs::records::{RunKey, RunRecord};

#[async_trait]
impl Handle<GetJobRun> for Jobs {
    async fn handle(&self, cx: &Cx, req: GetJobRunRequest) -> Result<GetJobRunResponse, Error> {
        let place = RunKey::of(cx, &req.job_name, &req.run_id);
        let record = self.store.read(|tx| place.load(tx)).await?;
        let mut run = seen(record, Timestamp(cx.now()));
        if req.predecessors_included != Some(true) {
            run.predecessor_runs = Some(Vec::new());
        }
        Ok(GetJobRunResponse { job_run: Some(run) })
    }
}

/// The run as it is shown: one under way has its execution time so far.
pub(super) fn seen(record: RunRecord, now: Timestamp) -> JobRun {
    let over = record.is_over();
    let mut run = record.run;
    if let (false, Some(started)) = (over, run.started_on) {
        run.execution_time = i32::try_from((now.as_millis() - started.as_millis()) / 1000).ok();
    }
    run
}
