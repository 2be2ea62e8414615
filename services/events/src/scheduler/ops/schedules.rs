//! GetSchedule and DeleteSchedule; ListScheduleTimes, which AWS does not have.

use api_lakerun::{ListScheduleTimes, ListScheduleTimesRequest, TimesResponse};
use api_scheduler::{
    DeleteSchedule, DeleteScheduleInput, DeleteScheduleOutput, GetSchedule, GetScheduleInput, GetScheduleOutput,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::expression;
use crate::scheduler::record::ScheduleKey;
use crate::scheduler::{Scheduler, fire};

#[async_trait]
impl Handle<GetSchedule> for Scheduler {
    async fn handle(&self, cx: &Cx, req: GetScheduleInput) -> Result<GetScheduleOutput, Error> {
        let place = ScheduleKey::new(cx, req.group_name.as_deref(), &req.name);
        Ok(self.store.read(|tx| place.load(tx)).await?.shown)
    }
}

#[async_trait]
impl Handle<DeleteSchedule> for Scheduler {
    async fn handle(&self, cx: &Cx, req: DeleteScheduleInput) -> Result<DeleteScheduleOutput, Error> {
        let place = ScheduleKey::new(cx, req.group_name.as_deref(), &req.name);
        cx.write(&self.store, move |tx| {
            place.load(tx)?;
            fire::cancel(tx, &place)?;
            Ok::<_, Error>(tx.delete(place.key())?)
        })
        .await?;
        Ok(DeleteScheduleOutput {})
    }
}

#[async_trait]
impl Handle<ListScheduleTimes> for Scheduler {
    async fn handle(&self, cx: &Cx, req: ListScheduleTimesRequest) -> Result<TimesResponse, Error> {
        let place = ScheduleKey::new(cx, req.group_name.as_deref(), &req.name);
        let record = self.store.read(|tx| place.load(tx)).await?;
        let times = expression::times(req.max_results, cx.now(), |after| fire::next(&record, after))?;
        Ok(TimesResponse { times })
    }
}
