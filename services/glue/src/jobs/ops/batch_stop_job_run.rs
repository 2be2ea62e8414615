//! BatchStopJobRun: stops runs: their scripts are killed, then they are recorded as STOPPED.

use ::jobs::Stop;
use api_glue::{BatchStopJobRun, BatchStopJobRunError, BatchStopJobRunRequest, BatchStopJobRunResponse};
use api_glue::{BatchStopJobRunSuccessfulSubmission, ErrorDetail};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Tx;
use wire::{Error, Timestamp};

use crate::jobs::Jobs;
use crate::jobs::records::{RunKey, RunRecord};
use crate::jobs::run::Runs;
use crate::scope::Scope;

#[async_trait]
impl Handle<BatchStopJobRun> for Jobs {
    async fn handle(&self, cx: &Cx, req: BatchStopJobRunRequest) -> Result<BatchStopJobRunResponse, Error> {
        let places: Vec<_> = req.job_run_ids.iter().map(|id| RunKey::of(cx, &req.job_name, id)).collect();
        let now = Timestamp(cx.now());
        cx.write(&self.store, move |tx| {
            let (mut stopped, mut errors) = (Vec::new(), Vec::new());
            for place in &places {
                let (job, run) = (Some(place.job.clone()), Some(place.run.clone()));
                match stop(tx, place, now)? {
                    None => stopped.push(BatchStopJobRunSuccessfulSubmission { job_name: job, job_run_id: run }),
                    Some((code, message)) => errors.push(BatchStopJobRunError {
                        job_name: job,
                        job_run_id: run,
                        error_detail: Some(ErrorDetail {
                            error_code: Some(code.to_owned()),
                            error_message: Some(message),
                        }),
                    }),
                }
            }
            Ok::<_, Error>(BatchStopJobRunResponse { successful_submissions: Some(stopped), errors: Some(errors) })
        })
        .await
    }
}

/// Stops a run that something else has started, its later attempts with it; one that is over is left.
pub(crate) fn stop_run(tx: &mut Tx<'_>, scope: &Scope, job: &str, run: &str, now: Timestamp) -> Result<(), Error> {
    let place = |run: &str| RunKey {
        account: scope.account.clone(),
        region: scope.region.clone(),
        job: job.to_owned(),
        run: run.to_owned(),
    };
    let mut attempt = 0;
    let mut last = place(run);
    while tx.get(last.record())?.is_some() {
        stop(tx, &last, now)?;
        attempt += 1;
        last = place(&format!("{run}_attempt_{attempt}"));
    }
    Ok(())
}

/// What speaks against it, as code and message.
fn stop(tx: &mut Tx<'_>, place: &RunKey, now: Timestamp) -> Result<Option<(&'static str, String)>, Error> {
    let Some(mut record) = tx.get_json::<RunRecord>(place.record())? else {
        return Ok(Some(("JobRunNotFoundException", format!("JobRun {} not found.", place.run))));
    };
    if record.is_over() {
        let message = format!("Cannot stop job run {} in terminal state {}.", place.run, record.state());
        return Ok(Some(("JobRunCannotBeStoppedException", message)));
    }
    if record.state() == "STOPPING" {
        return Ok(None);
    }
    if ::jobs::stop::<Runs>(tx, &place.task(), place)? == Stop::Stopping {
        record.run.job_run_state = Some("STOPPING".to_owned());
        record.run.last_modified_on = Some(now);
        tx.put_json(place.record(), &record)?;
    }
    Ok(None)
}
