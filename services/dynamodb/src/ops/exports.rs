//! ExportTableToPointInTime, DescribeExport, ListExports.

use api_dynamodb::{
    DescribeExport, DescribeExportInput, DescribeExportOutput, ExportDescription, ExportSummary,
    ExportTableToPointInTime, ExportTableToPointInTimeInput, ExportTableToPointInTimeOutput, ListExports,
    ListExportsInput, ListExportsOutput, error,
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
use crate::transfer::export::{Export, Target, TransferKey};
use crate::transfer::{State, only};
use crate::write::{Home, check_table_arn, table_name};

#[async_trait]
impl Handle<ExportTableToPointInTime> for DynamoDb {
    async fn handle(
        &self,
        cx: &Cx,
        req: ExportTableToPointInTimeInput,
    ) -> Result<ExportTableToPointInTimeOutput, Error> {
        check_kind(&req)?;
        let (home, now) = (Home::of(cx), cx.now().as_millisecond());
        let at_ms = req.export_time.map_or(now, Timestamp::as_millis);
        let id = format!("{now:014}-{}", cx.uuid().replace('-', "").get(..8).unwrap_or_default());
        let target = Target {
            bucket: req.s3_bucket,
            owner: req.s3_bucket_owner,
            prefix: req.s3_prefix.filter(|prefix| !prefix.is_empty()),
            algorithm: req.s3_sse_algorithm,
            key: req.s3_sse_kms_key_id,
        };
        target.check()?;
        let request = json!([req.table_arn, req.export_time.map(Timestamp::as_millis), target]).to_string();
        let caller = cx.principal().clone();
        let export = cx
            .write(&self.store, move |tx| {
                if let Some(known) = known(tx, &home, req.client_token.as_deref())? {
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
                if backups::begin(tx, &mut table, (&id, Some(at_ms)), Then::Export(export.place.clone()))? {
                    export.place.enqueue(tx)?;
                }
                table.save(tx)?;
                export.save(tx)?;
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

/// What a table is exported as: whole, as DynamoDB's JSON.
fn check_kind(req: &ExportTableToPointInTimeInput) -> Result<(), Error> {
    check_table_arn(&req.table_arn)?;
    only("ExportFormat", req.export_format.as_deref(), &["DYNAMODB_JSON"])?;
    only("ExportType", req.export_type.as_deref(), &["FULL_EXPORT"])?;
    let incremental = req.incremental_export_specification.is_some().then_some("a structure");
    only("IncrementalExportSpecification", incremental, &[])
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
fn known(tx: &mut Tx<'_>, home: &Home, token: Option<&str>) -> Result<Option<Export>, Error> {
    let Some(token) = token else { return Ok(None) };
    let all = tx.list_json::<Export>(Export::all(home), usize::MAX)?;
    Ok(all.into_iter().find(|export| export.token.as_deref() == Some(token)))
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
            Some(place) => self.store.read(|tx| place.load(tx)).await?,
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
        export_type: Some("FULL_EXPORT".to_owned()),
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
        export_time: Some(Timestamp::from_millis(export.at_ms)),
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
        export_type: Some("FULL_EXPORT".to_owned()),
        incremental_export_specification: None,
        ..ExportDescription::default()
    }
}
