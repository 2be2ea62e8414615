//! StartQueryExecution: records the query and puts it on the queue, once per client token.

use api_athena::error::invalid_request_exception;
use api_athena::{
    PreparedStatement, QueryExecution, QueryExecutionContext, QueryExecutionStatistics, QueryExecutionStatus,
    ResultConfiguration, ResultReuseInformation, StartQueryExecution, StartQueryExecutionInput,
    StartQueryExecutionOutput, WorkGroupConfiguration,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use service::lineage::Worker;
use service::{Cx, Handle};
use store::Tx;
use wire::Error;

use crate::classify::{Kind, classify, deallocate, execute, prepare};
use crate::ops::workgroups::check_encryption;
use crate::records::{PRIMARY, Record, Rules, Scope, engine, find, workgroup};
use crate::run::{Payload, Queries};
use crate::{Athena, event, metrics, sweep};

const LONGEST_QUERY: usize = 262_144;

/// What a client token stands for.
#[derive(Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) id: String,
    query: String,
    /// The whole request; none of tokens that were kept before it was.
    #[serde(default)]
    request: Option<StartQueryExecutionInput>,
}

#[async_trait]
impl Handle<StartQueryExecution> for Athena {
    async fn handle(&self, cx: &Cx, req: StartQueryExecutionInput) -> Result<StartQueryExecutionOutput, Error> {
        if req.query_string.len() > LONGEST_QUERY {
            return Err(invalid_request_exception("Query string is longer than 262144 bytes"));
        }
        let kind = classify(&req.query_string)
            .map_err(|text| invalid_request_exception(text).with("AthenaErrorCode", "MALFORMED_QUERY"))?;
        self.ensure_managed_bucket(cx, req.work_group.as_deref().unwrap_or(PRIMARY)).await?;
        let (scope, id, now, caller) = (Scope::of(cx), cx.uuid(), cx.now(), cx.principal().clone());
        let asks_again = req.result_reuse_configuration.is_some();
        let id = cx
            .write(&self.store, move |tx| {
                if let Some(known) = known(tx, &scope, &req)? {
                    return Ok(known);
                }
                let name = req.work_group.as_deref().unwrap_or(PRIMARY);
                let group = workgroup(tx, &scope, name)?.group;
                if group.state.as_deref() == Some("DISABLED") {
                    return Err(invalid_request_exception(format!("WorkGroup {name} is disabled.")));
                }
                let configuration = group.configuration.unwrap_or_default();
                let managed =
                    configuration.managed_query_results_configuration.clone().filter(|managed| managed.enabled);
                let results = match &managed {
                    Some(_) => ResultConfiguration {
                        output_location: Some(format!("s3://{}/{name}/", managed_bucket(&scope))),
                        ..ResultConfiguration::default()
                    },
                    None => result_configuration(&configuration, req.result_configuration.as_ref())?,
                };
                let folder = results.output_location.clone().unwrap_or_default();
                prepared(tx, &scope, name, &req.query_string, now)?;
                let (sql, parameters) = statement(tx, &scope, name, &req)?;
                let mut record = Record {
                    version: 1,
                    execution: queued(&req, kind, &id, now),
                    sql,
                    parameters,
                    folder,
                    caller: Some(caller.clone()),
                    rules: Rules::of(&configuration),
                    ..Record::default()
                };
                record.execution.result_configuration = Some(ResultConfiguration {
                    output_location: Some(kind.output.file(&record.folder, &id)),
                    ..results
                });
                record.execution.engine_version =
                    Some(engine(configuration.engine_version.and_then(|version| version.selected_engine_version)));
                record.execution.managed_query_results_configuration = managed;
                let reused = reusable(tx, &scope, name, &record, now)?;
                if let Some(earlier) = &reused {
                    reuse_result(&mut record, earlier, now);
                }
                enter(tx, &scope, &record, &req, now)?;
                if reused.is_some() {
                    event::enqueue(tx, &scope, &record, "QUEUED", now)?;
                    return Ok(id.clone());
                }
                let payload = Payload { scope: scope.clone(), id: id.clone() };
                jobs::start::<Queries>(tx, &payload.task(), &payload)?;
                Ok(id.clone())
            })
            .await?;
        let payload = Payload { scope: Scope::of(cx), id: id.clone() };
        if asks_again {
            self.tell_if_over(&payload).await?;
        }
        cx.began(Worker::Job(payload.task()));
        Ok(StartQueryExecutionOutput { query_execution_id: Some(id) })
    }
}

/// Puts a query where it is looked for: by its id, in its workgroup's list, by its client token.
fn enter(
    tx: &mut Tx<'_>,
    scope: &Scope,
    record: &Record,
    req: &StartQueryExecutionInput,
    now: jiff::Timestamp,
) -> Result<(), Error> {
    let id = record.execution.query_execution_id.clone().unwrap_or_default();
    tx.put_json(scope.query(&id), record)?;
    tx.put(scope.by_time(record.workgroup()).push_i64(-now.as_millisecond()).push(&id), &[])?;
    if let Some(token) = &req.client_request_token {
        let known = Token { id, query: req.query_string.clone(), request: Some(req.clone()) };
        tx.put_json(scope.key("token").push(token), &known)?;
    }
    sweep::plan(tx)
}

/// The query that the request's token has started before.
fn known(tx: &mut Tx<'_>, scope: &Scope, req: &StartQueryExecutionInput) -> Result<Option<String>, Error> {
    let Some(token) = &req.client_request_token else { return Ok(None) };
    let Some(known) = tx.get_json::<Token>(scope.key("token").push(token))? else { return Ok(None) };
    // The execution is forgotten, and with it what it was asked.
    if tx.get(scope.query(&known.id))?.is_none() {
        return Ok(None);
    }
    // The same text for another database, place or other parameters is another question.
    if known.query != req.query_string || known.request.as_ref().is_some_and(|asked| asked != req) {
        return Err(invalid_request_exception("Idempotent parameters do not match"));
    }
    Ok(Some(known.id))
}

/// What a query says of itself when it is accepted; where its result goes and what runs it is its workgroup's to say.
fn queued(req: &StartQueryExecutionInput, kind: Kind, id: &str, now: jiff::Timestamp) -> QueryExecution {
    let context = req.query_execution_context.clone().unwrap_or_default();
    QueryExecution {
        query_execution_id: Some(id.to_owned()),
        query: Some(req.query_string.clone()),
        statement_type: Some(kind.statement.to_owned()),
        substatement_type: Some(kind.substatement.to_owned()),
        result_reuse_configuration: Some(req.result_reuse_configuration.clone().unwrap_or_default()),
        query_execution_context: Some(QueryExecutionContext {
            catalog: Some(context.catalog.unwrap_or_else(|| "awsdatacatalog".to_owned()).to_lowercase()),
            database: context.database,
        }),
        status: Some(QueryExecutionStatus {
            state: Some("QUEUED".to_owned()),
            submission_date_time: Some(now.into()),
            ..QueryExecutionStatus::default()
        }),
        statistics: Some(QueryExecutionStatistics {
            result_reuse_information: Some(ResultReuseInformation { reused_previous_result: false }),
            ..QueryExecutionStatistics::default()
        }),
        work_group: Some(req.work_group.clone().unwrap_or_else(|| PRIMARY.to_owned())),
        execution_parameters: req.execution_parameters.clone(),
        ..QueryExecution::default()
    }
}

impl Athena {
    /// Publishes what a query took that has ended without having run.
    pub(crate) async fn tell_if_over(&self, place: &Payload) -> Result<(), Error> {
        let record = self.store.read(|tx| find(tx, &place.scope, &place.id)).await?;
        if record.is_over() {
            metrics::tell(&self.router, &place.scope, &record).await;
        }
        Ok(())
    }

    /// The bucket of managed results is there before a query of its workgroup is.
    async fn ensure_managed_bucket(&self, cx: &Cx, group: &str) -> Result<(), Error> {
        let scope = Scope::of(cx);
        let configuration = self.store.read(|tx| workgroup(tx, &scope, group)).await?.group.configuration;
        let managed = configuration.and_then(|configuration| configuration.managed_query_results_configuration);
        if !managed.is_some_and(|managed| managed.enabled) {
            return Ok(());
        }
        let platform = Cx::platform(cx.router(), &scope.account, &scope.region);
        let request =
            api_s3::CreateBucketRequest { bucket: managed_bucket(&scope), ..api_s3::CreateBucketRequest::default() };
        match platform.call::<api_s3::CreateBucket>(request).await {
            Ok(_) => Ok(()),
            Err(error) if error.is("BucketAlreadyOwnedByYou") || error.is("BucketAlreadyExists") => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Executions that are looked at for one whose result can be used again.
const MOST_LOOKED_AT: usize = 1000;

/// PREPARE and DEALLOCATE PREPARE take effect when they are accepted.
fn prepared(tx: &mut Tx<'_>, scope: &Scope, group: &str, sql: &str, now: jiff::Timestamp) -> Result<(), Error> {
    if let Some((name, statement)) = prepare(sql) {
        let key = scope.key("prepared").push(group).push(&name);
        if tx.get(&key)?.is_some() {
            return Err(invalid_request_exception(format!(
                "PreparedStatement {name} already exists in WorkGroup {group}"
            )));
        }
        let statement = PreparedStatement {
            statement_name: Some(name),
            query_statement: Some(statement),
            work_group_name: Some(group.to_owned()),
            description: None,
            last_modified_time: Some(now.into()),
        };
        tx.put_json(key, &statement)?;
    }
    if let Some(name) = deallocate(sql) {
        let key = scope.key("prepared").push(group).push(&name);
        if tx.get(&key)?.is_none() {
            return Err(invalid_request_exception(format!(
                "PreparedStatement {name} was not found in workGroup {group}"
            )));
        }
        tx.delete(key)?;
    }
    Ok(())
}

/// The newest execution whose result stands for this one: the same text, parameters, catalog, database and place, ended
/// well within the age that the client allows (Athena guide, "Reuse query results").
fn reusable(
    tx: &mut Tx<'_>,
    scope: &Scope,
    group: &str,
    record: &Record,
    now: jiff::Timestamp,
) -> Result<Option<Record>, Error> {
    let execution = &record.execution;
    let by_age = execution
        .result_reuse_configuration
        .as_ref()
        .and_then(|reuse| reuse.result_reuse_by_age_configuration.as_ref());
    let Some(by_age) = by_age.filter(|reuse| reuse.enabled) else { return Ok(None) };
    if execution.substatement_type.as_deref() != Some("SELECT") {
        return Ok(None);
    }
    let oldest = now.as_millisecond() - i64::from(by_age.max_age_in_minutes.unwrap_or(60)) * 60_000;
    for (key, _) in tx.scan_after(scope.by_time(group), &[], MOST_LOOKED_AT)? {
        let Some(id) = store::Key::parts(&key).pop().and_then(|id| String::from_utf8(id).ok()) else { continue };
        let Some(other) = tx.get_json::<Record>(scope.query(&id))? else { continue };
        let ended = other.execution.status.as_ref().and_then(|status| status.completion_date_time);
        if ended.is_some_and(|ended| ended.as_millis() < oldest) {
            break;
        }
        // A reused result is as old as the execution that made it, which comes later here.
        let statistics = other.execution.statistics.as_ref();
        let reused = statistics.and_then(|all| all.result_reuse_information.as_ref());
        if reused.is_some_and(|reuse| reuse.reused_previous_result) {
            continue;
        }
        let same = other.state() == "SUCCEEDED"
            && other.sql == record.sql
            && other.parameters == record.parameters
            && other.folder == record.folder
            && other.caller == record.caller
            && other.execution.query_execution_context == execution.query_execution_context
            && other.execution.substatement_type == execution.substatement_type;
        if same {
            return Ok(Some(other));
        }
    }
    Ok(None)
}

/// The execution as ended with an earlier one's result.
fn reuse_result(record: &mut Record, earlier: &Record, now: jiff::Timestamp) {
    record.columns.clone_from(&earlier.columns);
    record.rows = earlier.rows;
    record.sequence += 1;
    record.execution.result_configuration.clone_from(&earlier.execution.result_configuration);
    let status = record.status();
    status.state = Some("SUCCEEDED".to_owned());
    status.completion_date_time = Some(now.into());
    record.execution.statistics = Some(QueryExecutionStatistics {
        engine_execution_time_in_millis: Some(1),
        data_scanned_in_bytes: Some(0),
        total_execution_time_in_millis: Some(1),
        query_queue_time_in_millis: Some(0),
        service_pre_processing_time_in_millis: Some(1),
        service_processing_time_in_millis: Some(1),
        result_reuse_information: Some(ResultReuseInformation { reused_previous_result: true }),
        ..QueryExecutionStatistics::default()
    });
}

/// Where managed results are: a bucket that the service makes for itself.
pub(crate) fn managed_bucket(scope: &Scope) -> String {
    format!("athena-managed-results-{}-{}", scope.account, scope.region)
}

/// Where the result goes and how: as the workgroup says if it insists; else as the client says, and what that leaves open as the workgroup
/// says. The owner and the ACL belong to the place that they are said of. Source: Athena User Guide, "Override client-side settings".
fn result_configuration(
    group: &WorkGroupConfiguration,
    client: Option<&ResultConfiguration>,
) -> Result<ResultConfiguration, Error> {
    let set = |text: Option<String>| text.filter(|text| !text.is_empty());
    let own = group.result_configuration.clone().unwrap_or_default();
    let chosen = if group.enforce_work_group_configuration == Some(true) {
        own
    } else {
        let client = client.cloned().unwrap_or_default();
        let encryption_configuration = client.encryption_configuration.or(own.encryption_configuration);
        if set(client.output_location.clone()).is_some() {
            ResultConfiguration { encryption_configuration, ..client }
        } else {
            ResultConfiguration {
                output_location: own.output_location,
                encryption_configuration,
                expected_bucket_owner: set(client.expected_bucket_owner).or(own.expected_bucket_owner),
                acl_configuration: client.acl_configuration.or(own.acl_configuration),
            }
        }
    };
    let Some(place) = set(chosen.output_location.clone()) else {
        return Err(invalid_request_exception(
            "No output location provided. An output location is required either through the Workgroup result configuration setting or as an API input.",
        ));
    };
    if !place.starts_with("s3://") || place.len() <= 5 {
        return Err(invalid_request_exception("outputLocation is not a valid S3 path."));
    }
    check_encryption(&chosen)?;
    Ok(chosen)
}

/// The text that runs and its parameters.
fn statement(
    tx: &mut Tx<'_>,
    scope: &Scope,
    group: &str,
    req: &StartQueryExecutionInput,
) -> Result<(String, Vec<String>), Error> {
    let given = req.execution_parameters.clone().unwrap_or_default();
    let Some((name, parameters)) = execute(&req.query_string) else { return Ok((req.query_string.clone(), given)) };
    let prepared: PreparedStatement = tx.get_json(scope.key("prepared").push(group).push(&name))?.ok_or_else(|| {
        invalid_request_exception(format!("PreparedStatement {name} was not found in workGroup {group}"))
    })?;
    let parameters = if parameters.is_empty() { given } else { parameters };
    Ok((prepared.query_statement.unwrap_or_default(), parameters))
}
