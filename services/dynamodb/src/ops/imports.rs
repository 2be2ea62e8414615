//! ImportTable, DescribeImport, ListImports.

use api_dynamodb::{
    CreateTableInput, DescribeImport, DescribeImportInput, DescribeImportOutput, ImportSummary, ImportTable,
    ImportTableDescription, ImportTableInput, ImportTableOutput, ListImports, ListImportsInput, ListImportsOutput,
    TableCreationParameters, error,
};
use async_trait::async_trait;
use serde_json::json;
use service::{Cx, Handle};
use store::Tx;
use wire::{Error, Timestamp};

use super::create_table::table;
use crate::DynamoDb;
use crate::transfer::import::{Counts, Import, TransferKey};
use crate::transfer::{State, is_kept, only, stands_for};
use crate::write::Home;

/// A token has this many hexadecimal digits at least, and a multiple of sixteen.
const TOKEN_DIGITS: usize = 112;

#[async_trait]
impl Handle<ImportTable> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: ImportTableInput) -> Result<ImportTableOutput, Error> {
        only("InputFormat", Some(&req.input_format), &["DYNAMODB_JSON", "CSV"])?;
        let (home, now) = (Home::of(cx), cx.now().as_millisecond());
        let parameters = req.table_creation_parameters;
        let csv = req.input_format_options.as_ref().is_some_and(|options| options.csv.is_some());
        if csv && req.input_format != "CSV" {
            return Err(Error::validation("InputFormatOptions.Csv can only be specified when InputFormat is CSV"));
        }
        let request = json!([
            req.s3_bucket_source,
            req.input_format,
            req.input_format_options,
            req.input_compression_type,
            parameters
        ])
        .to_string();
        let mut table = table(cx, creation(parameters.clone()))?;
        table.sse_key = crate::encryption::key(cx, parameters.sse_specification.as_ref()).await?;
        table.importing = true;
        let id = format!("{now:014}-{}", cx.uuid().replace('-', "").get(..8).unwrap_or_default());
        let import = Import {
            place: TransferKey { account: home.account.clone(), region: home.region.clone(), id: id.clone() },
            arn: format!("{}/import/{id}", table.arn),
            table: table.name.clone(),
            table_arn: table.arn.clone(),
            table_id: table.id.clone(),
            started_ms: now,
            ended_ms: None,
            token: req.client_token,
            request,
            source: req.s3_bucket_source,
            format: req.input_format,
            options: req.input_format_options,
            compression: req.input_compression_type,
            parameters,
            caller: cx.principal().clone(),
            state: State::InProgress,
            after: None,
            counts: Counts::default(),
        };
        let import = cx
            .write(&self.store, move |tx| {
                forget_old(tx, &home, now)?;
                if let Some(known) = known(tx, &home, import.token.as_deref(), now)? {
                    return if known.request == import.request {
                        Ok(known)
                    } else {
                        let told = "There is an import with this client token and other parameters";
                        Err(error::import_conflict_exception(told))
                    };
                }
                if home.find(tx, &table.name)?.is_some() {
                    return Err(error::resource_in_use_exception(format!("Table already exists: {}", table.name)));
                }
                table.save(tx)?;
                import.save(tx)?;
                import.place.enqueue(tx)?;
                Ok(import.clone())
            })
            .await?;
        Ok(ImportTableOutput { import_table_description: description(import) })
    }
}

fn creation(parameters: TableCreationParameters) -> CreateTableInput {
    CreateTableInput {
        table_name: parameters.table_name,
        attribute_definitions: Some(parameters.attribute_definitions),
        key_schema: Some(parameters.key_schema),
        billing_mode: parameters.billing_mode,
        provisioned_throughput: parameters.provisioned_throughput,
        on_demand_throughput: parameters.on_demand_throughput,
        sse_specification: parameters.sse_specification,
        global_secondary_indexes: parameters.global_secondary_indexes,
        ..CreateTableInput::default()
    }
}

fn all(tx: &mut Tx<'_>, home: &Home) -> Result<Vec<Import>, Error> {
    Ok(tx.list_json(Import::all(home), usize::MAX)?)
}

/// The import that a token stands for.
fn known(tx: &mut Tx<'_>, home: &Home, token: Option<&str>, now_ms: i64) -> Result<Option<Import>, Error> {
    let Some(token) = token else { return Ok(None) };
    let stands = |import: &Import| import.token.as_deref() == Some(token) && stands_for(import.ended_ms, now_ms);
    Ok(all(tx, home)?.into_iter().find(stands))
}

/// Removes those that nobody is told of any more.
fn forget_old(tx: &mut Tx<'_>, home: &Home, now_ms: i64) -> Result<(), Error> {
    let all = all(tx, home)?;
    let mut old = all.iter().filter(|import| !is_kept(import.ended_ms, now_ms));
    old.try_for_each(|import| import.place.forget(tx))
}

#[async_trait]
impl Handle<DescribeImport> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: DescribeImportInput) -> Result<DescribeImportOutput, Error> {
        let home = Home::of(cx);
        let now = cx.now().as_millisecond();
        let is_meant = |one: &Import| one.arn == req.import_arn && is_kept(one.ended_ms, now);
        let found = self.store.read(|tx| all(tx, &home)).await?.into_iter().find(is_meant);
        let Some(import) = found else {
            return Err(error::import_not_found_exception(format!("Import not found: {}", req.import_arn)));
        };
        Ok(DescribeImportOutput { import_table_description: description(import) })
    }
}

#[async_trait]
impl Handle<ListImports> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: ListImportsInput) -> Result<ListImportsOutput, Error> {
        let home = Home::of(cx);
        let mut all = self.store.read(|tx| all(tx, &home)).await?;
        let now = cx.now().as_millisecond();
        all.retain(|import| is_kept(import.ended_ms, now));
        if let Some(arn) = &req.table_arn {
            all.retain(|import| import.table_arn == *arn);
        }
        if let Some(given) = &req.next_token {
            let Some(at) = all.iter().position(|import| token(&import.place.id) == *given) else {
                return Err(Error::validation("Invalid NextToken"));
            };
            all.drain(..=at);
        }
        let limit = usize::try_from(req.page_size.unwrap_or(25)).unwrap_or(25);
        let more = all.len() > limit;
        all.truncate(limit);
        Ok(ListImportsOutput {
            next_token: all.last().filter(|_| more).map(|import| token(&import.place.id)),
            import_summary_list: Some(all.into_iter().map(summary).collect()),
        })
    }
}

/// What stands for the page after an import.
fn token(id: &str) -> String {
    let mut digits = hex::encode(id);
    while digits.len() < TOKEN_DIGITS || !digits.len().is_multiple_of(16) {
        digits.push('0');
    }
    digits
}

fn summary(import: Import) -> ImportSummary {
    ImportSummary {
        import_status: Some(import.state.name().to_owned()),
        start_time: Some(Timestamp::from_millis(import.started_ms)),
        end_time: import.ended_ms.map(Timestamp::from_millis),
        import_arn: Some(import.arn),
        table_arn: Some(import.table_arn),
        s3_bucket_source: Some(import.source),
        cloud_watch_log_group_arn: None,
        input_format: Some(import.format),
    }
}

fn description(import: Import) -> ImportTableDescription {
    let (failure_code, failure_message) = import.state.failure();
    let count = |number: u64| i64::try_from(number).ok();
    ImportTableDescription {
        import_status: Some(import.state.name().to_owned()),
        start_time: Some(Timestamp::from_millis(import.started_ms)),
        end_time: import.ended_ms.map(Timestamp::from_millis),
        processed_size_bytes: count(import.counts.bytes),
        processed_item_count: count(import.counts.processed),
        imported_item_count: count(import.counts.imported),
        error_count: count(import.counts.errors),
        import_arn: Some(import.arn),
        table_arn: Some(import.table_arn),
        table_id: Some(import.table_id),
        client_token: import.token,
        s3_bucket_source: Some(import.source),
        cloud_watch_log_group_arn: None,
        input_format: Some(import.format),
        input_format_options: import.options,
        input_compression_type: Some(import.compression.unwrap_or_else(|| "NONE".to_owned())),
        table_creation_parameters: Some(import.parameters),
        failure_code,
        failure_message,
    }
}
