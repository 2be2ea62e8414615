//! ListSchedules.

use api_scheduler::{ListSchedules, ListSchedulesInput, ListSchedulesOutput, ScheduleSummary, TargetSummary};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::page_size;
use crate::scheduler::Scheduler;
use crate::scheduler::record::{Record, ScheduleKey};

#[async_trait]
impl Handle<ListSchedules> for Scheduler {
    async fn handle(&self, cx: &Cx, req: ListSchedulesInput) -> Result<ListSchedulesOutput, Error> {
        if let Some(group) = &req.group_name {
            self.store.read(|tx| ScheduleKey::new(cx, Some(group), "").load_group(tx)).await?;
        }
        let prefix = match &req.group_name {
            Some(group) => ScheduleKey::new(cx, Some(group), "").in_group(),
            None => ScheduleKey::all(cx.account(), cx.region()),
        };
        let mut all: Vec<Record> = self.store.read(|tx| tx.list_json(&prefix, 1_000_000)).await.map_err(Error::from)?;
        let start = req.name_prefix.unwrap_or_default();
        all.retain(|record| {
            let shown = &record.shown;
            shown.name.as_ref().is_some_and(|name| name.starts_with(&start))
                && (req.state.is_none() || shown.state == req.state)
                && (req.next_token.is_none() || shown.arn > req.next_token)
        });
        all.sort_by(|a, b| a.shown.arn.cmp(&b.shown.arn));
        let size = page_size(req.max_results);
        let more = all.len() > size;
        all.truncate(size);
        let next_token = all.last().filter(|_| more).and_then(|last| last.shown.arn.clone());
        let summary = |record: Record| ScheduleSummary {
            arn: record.shown.arn,
            creation_date: record.shown.creation_date,
            group_name: record.shown.group_name,
            last_modification_date: record.shown.last_modification_date,
            name: record.shown.name,
            state: record.shown.state,
            target: record.shown.target.map(|target| TargetSummary { arn: target.arn }),
        };
        Ok(ListSchedulesOutput { next_token, schedules: all.into_iter().map(summary).collect() })
    }
}
