//! UpdateCrawlerSchedule, StartCrawlerSchedule, StopCrawlerSchedule.

use super::prelude::*;

use crate::crawlers::{self, Record};

#[async_trait]
impl Handle<UpdateCrawlerSchedule> for Glue {
    async fn handle(&self, cx: &Cx, req: UpdateCrawlerScheduleRequest) -> Result<UpdateCrawlerScheduleResponse, Error> {
        change(self, cx, req.crawler_name, move |record| record.set_schedule(req.schedule.as_deref())).await?;
        Ok(UpdateCrawlerScheduleResponse::default())
    }
}

#[async_trait]
impl Handle<StartCrawlerSchedule> for Glue {
    async fn handle(&self, cx: &Cx, req: StartCrawlerScheduleRequest) -> Result<StartCrawlerScheduleResponse, Error> {
        change(self, cx, req.crawler_name, |record| {
            record.switch_schedule("SCHEDULED", scheduler_running_exception("The schedule is already running."))
        })
        .await?;
        Ok(StartCrawlerScheduleResponse::default())
    }
}

#[async_trait]
impl Handle<StopCrawlerSchedule> for Glue {
    async fn handle(&self, cx: &Cx, req: StopCrawlerScheduleRequest) -> Result<StopCrawlerScheduleResponse, Error> {
        change(self, cx, req.crawler_name, |record| {
            record.switch_schedule("NOT_SCHEDULED", scheduler_not_running_exception("The schedule is not running."))
        })
        .await?;
        Ok(StopCrawlerScheduleResponse::default())
    }
}

async fn change(
    glue: &Glue,
    cx: &Cx,
    name: String,
    mut f: impl FnMut(&mut Record) -> Result<(), Error> + Send + 'static,
) -> Result<(), Error> {
    let (scope, now) = (Scope::of(cx), cx.now());
    cx.write(&glue.store, move |tx| {
        let mut record = crawlers::find(tx, &scope, &name)?;
        f(&mut record)?;
        crawlers::schedule::plan(tx, &scope, &record, now)?;
        tx.put_json(crawlers::key(&scope, &name), &record)?;
        Ok::<_, Error>(())
    })
    .await
}
