//! Task runs that compute statistics of columns, and their settings and schedules.

use service::lineage::Worker;

use super::prelude::*;

use crate::crawlers::Cron;
use crate::statistics::record::{self, Asked, Of, Settings, find_settings};
use crate::statistics::{self, schedule};

#[async_trait]
impl Handle<StartColumnStatisticsTaskRun> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: StartColumnStatisticsTaskRunRequest,
    ) -> Result<StartColumnStatisticsTaskRunResponse, Error> {
        let of = Of::new(cx, req.catalog_id.as_deref(), &req.database_name, &req.table_name)?;
        let (id, now) = (cx.uuid(), cx.now());
        let asked = Asked {
            role: req.role,
            columns: named(req.column_name_list),
            sample_size: req.sample_size,
            security_configuration: req.security_configuration,
        };
        let place = cx.write(&self.store, move |tx| statistics::start(tx, &of, &asked, &id, now)).await?;
        cx.began(Worker::Job(place.task()));
        Ok(StartColumnStatisticsTaskRunResponse { column_statistics_task_run_id: Some(place.id) })
    }
}

#[async_trait]
impl Handle<StopColumnStatisticsTaskRun> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: StopColumnStatisticsTaskRunRequest,
    ) -> Result<StopColumnStatisticsTaskRunResponse, Error> {
        let of = Of::new(cx, req.catalog_id.as_deref(), &req.database_name, &req.table_name)?;
        cx.write(&self.store, move |tx| statistics::stop(tx, &of)).await?;
        Ok(StopColumnStatisticsTaskRunResponse::default())
    }
}

#[async_trait]
impl Handle<GetColumnStatisticsTaskRun> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetColumnStatisticsTaskRunRequest,
    ) -> Result<GetColumnStatisticsTaskRunResponse, Error> {
        let run = self.store.read(|tx| record::find(tx, &Scope::of(cx), &req.column_statistics_task_run_id)).await?;
        Ok(GetColumnStatisticsTaskRunResponse { column_statistics_task_run: Some(run.shown) })
    }
}

#[async_trait]
impl Handle<GetColumnStatisticsTaskRuns> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetColumnStatisticsTaskRunsRequest,
    ) -> Result<GetColumnStatisticsTaskRunsResponse, Error> {
        let of = Of::new(cx, req.catalog_id.as_deref(), &req.database_name, &req.table_name)?;
        let (token, limit) = (req.next_token.as_deref(), scope::limit(req.max_results, 100));
        let read = self.store.read(|tx| {
            let (ids, next) = scope::page(tx, &of.runs(), token, limit, |id: String| Ok(Some(id)))?;
            let runs =
                ids.iter().map(|id| Ok(record::find(tx, &of.scope, id)?.shown)).collect::<Result<Vec<_>, Error>>()?;
            Ok::<_, Error>((runs, next))
        });
        let (runs, next_token) = read.await?;
        Ok(GetColumnStatisticsTaskRunsResponse { column_statistics_task_runs: Some(runs), next_token })
    }
}

#[async_trait]
impl Handle<ListColumnStatisticsTaskRuns> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: ListColumnStatisticsTaskRunsRequest,
    ) -> Result<ListColumnStatisticsTaskRunsResponse, Error> {
        let (token, limit) = (req.next_token.as_deref(), scope::limit(req.max_results, 100).min(100));
        let all = record::by_time(&Scope::of(cx));
        let (ids, next_token) =
            self.store.read(|tx| scope::page(tx, &all, token, limit, |id: String| Ok(Some(id)))).await?;
        Ok(ListColumnStatisticsTaskRunsResponse { column_statistics_task_run_ids: Some(ids), next_token })
    }
}

#[async_trait]
impl Handle<CreateColumnStatisticsTaskSettings> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: CreateColumnStatisticsTaskSettingsRequest,
    ) -> Result<CreateColumnStatisticsTaskSettingsResponse, Error> {
        let of = Of::new(cx, req.catalog_id.as_deref(), &req.database_name, &req.table_name)?;
        let now = cx.now();
        let settings = Settings {
            version: 1,
            settings: ColumnStatisticsTaskSettings {
                database_name: Some(of.db.clone()),
                table_name: Some(of.table.clone()),
                schedule: scheduled(req.schedule.as_deref())?,
                column_name_list: named(req.column_name_list),
                catalog_id: Some(of.scope.account.clone()),
                role: Some(req.role),
                sample_size: req.sample_size,
                security_configuration: req.security_configuration,
                schedule_type: Some("CRON".to_owned()),
                setting_source: Some("TABLE".to_owned()),
                last_execution_attempt: None,
            },
        };
        cx.write(&self.store, move |tx| {
            statistics::checked(tx, &of, &settings.asked())?;
            if tx.get(of.settings())?.is_some() {
                let text = format!("Column statistics task settings already exist for table {}", of.table);
                return Err(already_exists_exception(text));
            }
            schedule::plan(tx, &of, &settings, now)?;
            tx.put_json(of.settings(), &settings)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(CreateColumnStatisticsTaskSettingsResponse::default())
    }
}

#[async_trait]
impl Handle<UpdateColumnStatisticsTaskSettings> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: UpdateColumnStatisticsTaskSettingsRequest,
    ) -> Result<UpdateColumnStatisticsTaskSettingsResponse, Error> {
        let of = Of::new(cx, req.catalog_id.as_deref(), &req.database_name, &req.table_name)?;
        let schedule = req.schedule.as_deref().map(|text| scheduled(Some(text))).transpose()?;
        change(self, cx, of, move |settings| {
            if let Some(schedule) = schedule.clone() {
                settings.schedule = schedule;
            }
            settings.role = req.role.clone().or_else(|| settings.role.take());
            settings.sample_size = req.sample_size.or(settings.sample_size);
            let configuration = req.security_configuration.clone();
            settings.security_configuration = configuration.or_else(|| settings.security_configuration.take());
            if let Some(names) = req.column_name_list.clone() {
                settings.column_name_list = named(Some(names));
            }
            Ok(())
        })
        .await?;
        Ok(UpdateColumnStatisticsTaskSettingsResponse::default())
    }
}

#[async_trait]
impl Handle<DeleteColumnStatisticsTaskSettings> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: DeleteColumnStatisticsTaskSettingsRequest,
    ) -> Result<DeleteColumnStatisticsTaskSettingsResponse, Error> {
        let of = Of::new(cx, req.catalog_id.as_deref(), &req.database_name, &req.table_name)?;
        cx.write(&self.store, move |tx| {
            find_settings(tx, &of)?;
            tx.delete(of.settings())?;
            schedule::forget(tx, &of)
        })
        .await?;
        Ok(DeleteColumnStatisticsTaskSettingsResponse::default())
    }
}

#[async_trait]
impl Handle<GetColumnStatisticsTaskSettings> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetColumnStatisticsTaskSettingsRequest,
    ) -> Result<GetColumnStatisticsTaskSettingsResponse, Error> {
        let of = Of::new(cx, req.catalog_id.as_deref(), &req.database_name, &req.table_name)?;
        let settings = self.store.read(|tx| find_settings(tx, &of)).await?;
        Ok(GetColumnStatisticsTaskSettingsResponse { column_statistics_task_settings: Some(settings.settings) })
    }
}

#[async_trait]
impl Handle<StartColumnStatisticsTaskRunSchedule> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: StartColumnStatisticsTaskRunScheduleRequest,
    ) -> Result<StartColumnStatisticsTaskRunScheduleResponse, Error> {
        let of = Of::new(cx, req.catalog_id.as_deref(), &req.database_name, &req.table_name)?;
        change(self, cx, of, |settings| switch(settings, "SCHEDULED")).await?;
        Ok(StartColumnStatisticsTaskRunScheduleResponse::default())
    }
}

#[async_trait]
impl Handle<StopColumnStatisticsTaskRunSchedule> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: StopColumnStatisticsTaskRunScheduleRequest,
    ) -> Result<StopColumnStatisticsTaskRunScheduleResponse, Error> {
        let of = Of::new(cx, req.catalog_id.as_deref(), &req.database_name, &req.table_name)?;
        change(self, cx, of, |settings| switch(settings, "NOT_SCHEDULED")).await?;
        Ok(StopColumnStatisticsTaskRunScheduleResponse::default())
    }
}

async fn change(
    glue: &Glue,
    cx: &Cx,
    of: Of,
    f: impl Fn(&mut ColumnStatisticsTaskSettings) -> Result<(), Error> + Send + 'static,
) -> Result<(), Error> {
    let now = cx.now();
    cx.write(&glue.store, move |tx| {
        let mut settings = find_settings(tx, &of)?;
        f(&mut settings.settings)?;
        statistics::checked(tx, &of, &settings.asked())?;
        schedule::plan(tx, &of, &settings, now)?;
        tx.put_json(of.settings(), &settings)?;
        Ok::<_, Error>(())
    })
    .await
}

/// An empty expression is no schedule.
fn scheduled(expression: Option<&str>) -> Result<Option<Schedule>, Error> {
    let Some(text) = expression.filter(|text| !text.is_empty()) else { return Ok(None) };
    Cron::parse(text)?;
    Ok(Some(Schedule { schedule_expression: Some(text.to_owned()), state: Some("SCHEDULED".to_owned()) }))
}

fn switch(settings: &mut ColumnStatisticsTaskSettings, state: &str) -> Result<(), Error> {
    let Some(schedule) = &mut settings.schedule else {
        return Err(invalid_input_exception("The column statistics task settings have no schedule"));
    };
    schedule.state = Some(state.to_owned());
    Ok(())
}

/// No names are all columns.
fn named(names: Option<Vec<String>>) -> Option<Vec<String>> {
    names.filter(|names| !names.is_empty())
}
