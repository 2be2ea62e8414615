//! CreateSchedule and UpdateSchedule: the schedule and its next firing in one commit.

use api_scheduler::{
    CreateSchedule, CreateScheduleInput, CreateScheduleOutput, UpdateSchedule, UpdateScheduleInput,
    UpdateScheduleOutput, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::scheduler::record::{ScheduleKey, record};
use crate::scheduler::{Scheduler, fire};

#[async_trait]
impl Handle<CreateSchedule> for Scheduler {
    async fn handle(&self, cx: &Cx, req: CreateScheduleInput) -> Result<CreateScheduleOutput, Error> {
        let place = ScheduleKey::new(cx, req.group_name.as_deref(), &req.name);
        let now = cx.now();
        let new = record(cx, &place, req, now)?;
        let schedule_arn = cx
            .write(&self.store, move |tx| {
                place.load_group(tx)?;
                if place.find(tx)?.is_some() {
                    return Err(error::conflict_exception(format!("Schedule {} already exists.", place.name)));
                }
                tx.put_json(place.key(), &new)?;
                fire::plan(tx, &place, &new, now)?;
                Ok(place.arn())
            })
            .await?;
        Ok(CreateScheduleOutput { schedule_arn })
    }
}

#[async_trait]
impl Handle<UpdateSchedule> for Scheduler {
    async fn handle(&self, cx: &Cx, req: UpdateScheduleInput) -> Result<UpdateScheduleOutput, Error> {
        let place = ScheduleKey::new(cx, req.group_name.as_deref(), &req.name);
        let now = cx.now();
        let req = CreateScheduleInput {
            action_after_completion: req.action_after_completion,
            client_token: req.client_token,
            description: req.description,
            end_date: req.end_date,
            flexible_time_window: req.flexible_time_window,
            group_name: req.group_name,
            kms_key_arn: req.kms_key_arn,
            name: req.name,
            schedule_expression: req.schedule_expression,
            schedule_expression_timezone: req.schedule_expression_timezone,
            start_date: req.start_date,
            state: req.state,
            target: req.target,
        };
        let new = record(cx, &place, req, now)?;
        let execution = cx.uuid();
        let schedule_arn = cx
            .write(&self.store, move |tx| {
                let old = place.load(tx)?;
                fire::catch_up(tx, &place, &old, &execution, now)?;
                let mut new = new.clone();
                // A rate counts on from where it began, unless it is another one.
                if old.shown.schedule_expression == new.shown.schedule_expression {
                    new.shown.creation_date = old.shown.creation_date;
                }
                tx.put_json(place.key(), &new)?;
                fire::plan(tx, &place, &new, now)?;
                Ok::<_, Error>(place.arn())
            })
            .await?;
        Ok(UpdateScheduleOutput { schedule_arn })
    }
}
