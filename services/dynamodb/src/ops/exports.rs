//! ExportTableToPointInTime, DescribeExport, ListExports.

use api_dynamodb::{
    DescribeExport, DescribeExportInput, DescribeExportOutput, ExportDescription, ExportSummary,
    ExportTableToPointInTime, ExportTableToPointInTimeInput, ExportTableToPointInTimeOutput,
    IncrementalExportSpecification, ListExports, ListExportsInput, ListExportsOutput, error,
};
use async_trait::async_trait;
use serde_json::json;
use service::{Cx, Handle};
use store::Tx;
use wire::{Error, Timestamp};

use crate::DynamoDb;
use crate::backups::restore::Undo;
use crate::backups::{self, Then, recovery};
use crate::table::Table;
use crate::transfer::changes::Window;
use crate::transfer::export::{Export, Target, TransferKey};
use crate::transfer::{State, is_kept, only, stands_for};
use crate::write::{Home, check_table_arn, table_name};

#[async_trait]
impl Handle<ExportTableToPointInTime> for DynamoDb {
    async fn handle(
        &self,
        cx: &Cx,
        req: ExportTableToPointInTimeInput,
    ) -> Result<ExportTableToPointInTimeOutput, Error> {
        let (home, now) = (Home::of(cx), cx.now().as_millisecond());
        let window = check_kind(&req, now)?;
        let at_ms = window.as_ref().map_or_else(|| req.export_time.map_or(now, Timestamp::as_millis), |own| own.to_ms);
        let id = format!("{now:014}-{}", cx.uuid().replace('-', "").get(..8).unwrap_or_default());
        let target = Target {
            bucket: req.s3_bucket,
            owner: req.s3_bucket_owner,
            prefix: req.s3_prefix.filter(|prefix| !prefix.is_empty()),
            algorithm: req.s3_sse_algorithm,
            key: req.s3_sse_kms_key_id,
        };
        target.check()?;
        let request = asked(&req.table_arn, req.export_time, req.incremental_export_specification.as_ref(), &target);
        let caller = cx.principal().clone();
        let export = cx
            .write(&self.store, move |tx| {
                forget_old(tx, &home, now)?;
                if let Some(known) = known(tx, &home, req.client_token.as_deref(), now)? {
                    return if known.request == request {
                        Ok(known)
                    } else {
                        let told = "There is an export with this client token and other parameters";
                        Err(error::export_conflict_exception(told))
                    };
                }
                let Some(found) = home.find(tx, &req.table_arn)? else {
                    let name = table_name(&req.table_arn);
                    return Err(error::table_not_found_exception(format!("Table not found: {name}")));
                };
                let mut table = Table::clone(&found);
                table.may_change()?;
                check_recoverable(&table, at_ms, now)?;
                check_recoverable(&table, window.as_ref().map_or(at_ms, |window| window.from_ms), now)?;
                let place = TransferKey {
                    account: home.account.clone(),
                    region: home.region.clone(),
                    table: table.name.clone(),
                    id: id.clone(),
                };
                let undo = Undo {
                    table: table.name.clone(),
                    table_id: table.id.clone(),
                    below: recovery::count(tx, &table.id)? + 1,
                    to_ms: at_ms,
                    done: false,
                };
                let export = Export {
                    arn: format!("{}/export/{id}", table.arn),
                    table_arn: table.arn.clone(),
                    table_id: table.id.clone(),
                    started_ms: now,
                    ended_ms: None,
                    at_ms,
                    window: window.clone(),
                    token: req.client_token.clone(),
                    request: request.clone(),
                    target: target.clone(),
                    caller: caller.clone(),
                    undo,
                    state: State::InProgress,
                    items: 0,
                    bytes: 0,
                    place,
                };
                export.begin(tx, &mut table)?;
                Ok(export)
            })
            .await?;
        Ok(ExportTableToPointInTimeOutput { export_description: Some(description(export)) })
    }
}

impl Target {
    fn check(&self) -> Result<(), Error> {
        if self.key.is_some() && self.algorithm.as_deref() != Some("KMS") {
            return Err(Error::validation("S3SseKmsKeyId can only be specified when S3SseAlgorithm is KMS"));
        }
        Ok(())
    }
}

impl Export {
    /// The snapshot that the table is written of, or the hold on its changes, and the task.
    fn begin(&self, tx: &mut Tx<'_>, table: &mut Table) -> Result<(), Error> {
        let id = &self.place.id;
        let complete = match &self.window {
            Some(window) => {
                backups::hold(table, id, window.from_ms);
                true
            }
            None => backups::begin(tx, table, (id, Some(self.at_ms)), Then::Export(self.place.clone()))?,
        };
        if complete {
            self.place.enqueue(tx)?;
        }
        table.save(tx)?;
        self.save(tx)
    }
}

/// A request, to know it again by its token.
fn asked(
    table_arn: &str,
    at: Option<Timestamp>,
    incremental: Option<&IncrementalExportSpecification>,
    target: &Target,
) -> String {
    let at = at.map(Timestamp::as_millis);
    match incremental {
        None => json!([table_arn, at, target]),
        Some(own) => {
            let times = [own.export_from_time, own.export_to_time].map(|time| time.map(Timestamp::as_millis));
            json!([table_arn, at, target, times, own.export_view_type])
        }
    }
    .to_string()
}

/// What is exported, as DynamoDB's JSON: the whole table, or what changed in a window.
fn check_kind(req: &ExportTableToPointInTimeInput, now_ms: i64) -> Result<Option<Window>, Error> {
    check_table_arn(&req.table_arn)?;
    only("ExportFormat", req.export_format.as_deref(), &["DYNAMODB_JSON"])?;
    only("ExportType", req.export_type.as_deref(), &["FULL_EXPORT", "INCREMENTAL_EXPORT"])?;
    let incremental = req.export_type.as_deref() == Some("INCREMENTAL_EXPORT");
    match &req.incremental_export_specification {
        Some(_) if !incremental => Err(Error::validation(
            "IncrementalExportSpecification can only be specified when ExportType is INCREMENTAL_EXPORT",
        )),
        Some(_) if req.export_time.is_some() => {
            Err(Error::validation("ExportTime can only be specified when ExportType is FULL_EXPORT"))
        }
        Some(own) => window(own, now_ms).map(Some),
        None if incremental => Err(Error::validation(
            "IncrementalExportSpecification must be specified when ExportType is INCREMENTAL_EXPORT",
        )),
        None => Ok(None),
    }
}

/// The window of an incremental export: 15 minutes to 24 hours. Source: DynamoDB Developer Guide, "Requesting a table export".
fn window(asked: &IncrementalExportSpecification, now_ms: i64) -> Result<Window, Error> {
    const LEAST_MS: i64 = 15 * 60_000;
    const MOST_MS: i64 = 24 * 3_600_000;
    let Some(from) = asked.export_from_time else {
        return Err(Error::validation("ExportFromTime must be specified in IncrementalExportSpecification"));
    };
    let (from_ms, to_ms) = (from.as_millis(), asked.export_to_time.map_or(now_ms, Timestamp::as_millis));
    if to_ms - from_ms < LEAST_MS {
        return Err(Error::validation("Difference between the start time and end time is less than 15 minutes"));
    }
    if to_ms - from_ms > MOST_MS {
        return Err(Error::validation("Difference between the start time and end time is more than 24 hours"));
    }
    Ok(Window { from_ms, to_ms, old_images: asked.export_view_type.as_deref() != Some("NEW_IMAGE") })
}

/// Whether a table can be read as of a time, in milliseconds since 1970.
fn check_recoverable(table: &Table, at_ms: i64, now_ms: i64) -> Result<(), Error> {
    let Some(recovery) = &table.recovery else {
        return Err(error::point_in_time_recovery_unavailable_exception(format!(
            "Point in time recovery is not enabled for table '{}'",
            table.name
        )));
    };
    if at_ms < recovery.earliest_ms(now_ms) || at_ms > now_ms {
        return Err(error::invalid_export_time_exception(
            "The export time must be within the table's point in time recovery window",
        ));
    }
    Ok(())
}

/// The export that a token stands for.
fn known(tx: &mut Tx<'_>, home: &Home, token: Option<&str>, now_ms: i64) -> Result<Option<Export>, Error> {
    let Some(token) = token else { return Ok(None) };
    let mut all = tx.list_json::<Export>(Export::all(home), usize::MAX)?.into_iter();
    Ok(all.find(|export| export.token.as_deref() == Some(token) && stands_for(export.ended_ms, now_ms)))
}

/// Removes those that nobody is told of any more.
fn forget_old(tx: &mut Tx<'_>, home: &Home, now_ms: i64) -> Result<(), Error> {
    let all = tx.list_json::<Export>(Export::all(home), usize::MAX)?;
    let mut old = all.iter().filter(|export| !is_kept(export.ended_ms, now_ms));
    old.try_for_each(|export| export.place.forget(tx))
}

#[async_trait]
impl Handle<DescribeExport> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: DescribeExportInput) -> Result<DescribeExportOutput, Error> {
        let home = Home::of(cx);
        let prefix = format!("arn:aws:dynamodb:{}:{}:table/", home.region, home.account);
        let named = req.export_arn.strip_prefix(&prefix).and_then(|rest| rest.split_once("/export/"));
        let place = named.map(|(table, id)| TransferKey {
            account: home.account,
            region: home.region,
            table: table.to_owned(),
            id: id.to_owned(),
        });
        let found = match place {
            Some(place) => self
                .store
                .read(|tx| place.load(tx))
                .await?
                .filter(|export| is_kept(export.ended_ms, cx.now().as_millisecond())),
            None => None,
        };
        let Some(export) = found else {
            return Err(error::export_not_found_exception(format!("Export not found: {}", req.export_arn)));
        };
        Ok(DescribeExportOutput { export_description: Some(description(export)) })
    }
}

#[async_trait]
impl Handle<ListExports> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: ListExportsInput) -> Result<ListExportsOutput, Error> {
        let home = Home::of(cx);
        let mut all =
            self.store.read(|tx| Ok::<_, Error>(tx.list_json::<Export>(Export::all(&home), usize::MAX)?)).await?;
        let now = cx.now().as_millisecond();
        all.retain(|export| is_kept(export.ended_ms, now));
        if let Some(arn) = &req.table_arn {
            all.retain(|export| export.table_arn == *arn);
        }
        if let Some(after) = &req.next_token {
            let Some(at) = all.iter().position(|export| export.arn == *after) else {
                return Err(Error::validation("Invalid NextToken"));
            };
            all.drain(..=at);
        }
        let limit = usize::try_from(req.max_results.unwrap_or(25)).unwrap_or(25);
        let more = all.len() > limit;
        all.truncate(limit);
        Ok(ListExportsOutput {
            next_token: all.last().filter(|_| more).map(|export| export.arn.clone()),
            export_summaries: Some(all.into_iter().map(summary).collect()),
        })
    }
}

fn summary(export: Export) -> ExportSummary {
    ExportSummary {
        export_status: Some(export.state.name().to_owned()),
        export_arn: Some(export.arn),
        export_type: Some(kind(export.window.as_ref())),
    }
}

fn kind(window: Option<&Window>) -> String {
    if window.is_some() { "INCREMENTAL_EXPORT" } else { "FULL_EXPORT" }.to_owned()
}

fn described(window: &Window) -> IncrementalExportSpecification {
    IncrementalExportSpecification {
        export_from_time: Some(Timestamp::from_millis(window.from_ms)),
        export_to_time: Some(Timestamp::from_millis(window.to_ms)),
        export_view_type: Some(window.view().to_owned()),
    }
}

fn description(export: Export) -> ExportDescription {
    let (failure_code, failure_message) = export.state.failure();
    let done = export.state == State::Completed;
    let count = |number: u64| i64::try_from(number).ok().filter(|_| done);
    ExportDescription {
        export_status: Some(export.state.name().to_owned()),
        start_time: Some(Timestamp::from_millis(export.started_ms)),
        end_time: export.ended_ms.map(Timestamp::from_millis),
        export_manifest: done.then(|| export.manifest()),
        export_time: export.window.is_none().then(|| Timestamp::from_millis(export.at_ms)),
        billed_size_bytes: count(export.bytes),
        item_count: count(export.items),
        export_arn: Some(export.arn),
        table_arn: Some(export.table_arn),
        table_id: Some(export.table_id),
        client_token: export.token,
        s3_bucket: Some(export.target.bucket),
        s3_bucket_owner: export.target.owner,
        s3_prefix: export.target.prefix,
        s3_sse_algorithm: Some(export.target.algorithm.unwrap_or_else(|| "AES256".to_owned())),
        s3_sse_kms_key_id: export.target.key,
        failure_code,
        failure_message,
        export_format: Some("DYNAMODB_JSON".to_owned()),
        export_type: Some(kind(export.window.as_ref())),
        incremental_export_specification: export.window.as_ref().map(described),
        ..ExportDescription::default()
    }
}
