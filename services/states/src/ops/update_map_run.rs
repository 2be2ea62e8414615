//! UpdateMapRun: a running one goes by the new numbers at once.

use api_states::{UpdateMapRun, UpdateMapRunInput, UpdateMapRunOutput, error};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::describe_map_run::{map_run_arn, no_such_map_run};
use crate::States;

#[async_trait]
impl Handle<UpdateMapRun> for States {
    async fn handle(&self, _: &Cx, input: UpdateMapRunInput) -> Result<UpdateMapRunOutput, Error> {
        let arn = map_run_arn(&input.map_run_arn)?;
        let (concurrency, count, percentage) =
            (input.max_concurrency, input.tolerated_failure_count, input.tolerated_failure_percentage);
        if concurrency.is_none() && count.is_none() && percentage.is_none() {
            return Err(error::validation_exception(
                "Must provide at least one of: maxConcurrency, toleratedFailurePercentage or toleratedFailureCount",
            ));
        }
        if let Some(percentage) = percentage
            && !(0.0..=100.0).contains(&percentage)
        {
            let (way, bound) = if percentage < 0.0 { ("greater", 0) } else { ("less", 100) };
            return Err(error::validation_exception(format!(
                "1 validation error detected: Value '{percentage:?}' at 'toleratedFailurePercentage' failed to satisfy constraint: Member must have value {way} than or equal to {bound}"
            )));
        }
        let changed = self.engine.limit_map_run(&arn, move |limits| {
            if let Some(concurrency) = concurrency {
                limits.max_concurrency = u64::try_from(concurrency).unwrap_or(0);
            }
            if let Some(count) = count {
                limits.tolerated_failure_count = Some(u64::try_from(count).unwrap_or(0));
            }
            if percentage.is_some() {
                limits.tolerated_failure_percentage = percentage;
            }
        });
        match changed.await? {
            None => Err(no_such_map_run(&arn)),
            Some(false) => Err(error::validation_exception(format!("Map Run is not running: '{arn}'"))),
            Some(true) => Ok(UpdateMapRunOutput {}),
        }
    }
}
