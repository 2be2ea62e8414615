//! StartQueryExecution: records the query and puts it on the queue, once per client token.

use api_athena::error::invalid_request_exception;
use api_athena::{
    PreparedStatement, QueryExecution, QueryExecutionContext, QueryExecutionStatistics, QueryExecutionStatus,
    ResultConfiguration, ResultReuseInformation, StartQueryExecution, StartQueryExecutionInput,
    StartQueryExecutionOutput, WorkGroupConfiguration,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use service::{Cx, Handle};
use store::{NewTask, Tx};
use wire::Error;

use crate::Athena;
use crate::classify::{classify, execute};
use crate::records::{PRIMARY, Record, Scope, engine, workgroup};
use crate::run::{KIND, Payload};

const LONGEST_QUERY: usize = 262_144;

/// What a client token stands for.
#[derive(Serialize, Deserialize)]
struct Token {
    id: String,
    query: String,
}

#[async_trait]
impl Handle<StartQueryExecution> for Athena {
    async fn handle(&self, cx: &Cx, req: StartQueryExecutionInput) -> Result<StartQueryExecutionOutput, Error> {
        if req.query_string.len() > LONGEST_QUERY {
            return Err(invalid_request_exception("Query string is longer than 262144 bytes"));
        }
        let kind = classify(&req.query_string)
            .map_err(|text| invalid_request_exception(text).with("AthenaErrorCode", "MALFORMED_QUERY"))?;
        let (scope, id, now, caller) = (Scope::of(cx), cx.uuid(), cx.now(), cx.principal().clone());
        let id = cx
            .write(&self.store, move |tx| {
                if let Some(token) = &req.client_request_token
                    && let Some(known) = tx.get_json::<Token>(scope.key("token").push(token))?
                {
                    if known.query != req.query_string {
                        return Err(invalid_request_exception("Idempotent parameters do not match"));
                    }
                    return Ok(known.id);
                }
                let name = req.work_group.as_deref().unwrap_or(PRIMARY);
                let group = workgroup(tx, &scope, name)?.group;
                if group.state.as_deref() == Some("DISABLED") {
                    return Err(invalid_request_exception(format!("WorkGroup {name} is disabled.")));
                }
                let configuration = group.configuration.unwrap_or_default();
                let results = result_configuration(&configuration, req.result_configuration.as_ref())?;
                let folder = results.output_location.clone().unwrap_or_default();
                let (sql, parameters) = statement(tx, &scope, name, &req)?;
                let context = req.query_execution_context.clone().unwrap_or_default();
                let reuse = req.result_reuse_configuration.clone();
                let record = Record {
                    version: 1,
                    execution: QueryExecution {
                        query_execution_id: Some(id.clone()),
                        query: Some(req.query_string.clone()),
                        statement_type: Some(kind.statement.to_owned()),
                        substatement_type: Some(kind.substatement.to_owned()),
                        result_configuration: Some(ResultConfiguration {
                            output_location: Some(kind.output.file(&folder, &id)),
                            ..results
                        }),
                        result_reuse_configuration: Some(reuse.unwrap_or_default()),
                        query_execution_context: Some(QueryExecutionContext {
                            catalog: Some(
                                context.catalog.unwrap_or_else(|| "awsdatacatalog".to_owned()).to_lowercase(),
                            ),
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
                        work_group: Some(name.to_owned()),
                        engine_version: Some(engine(
                            configuration.engine_version.and_then(|version| version.selected_engine_version),
                        )),
                        execution_parameters: req.execution_parameters.clone(),
                        ..QueryExecution::default()
                    },
                    sql,
                    parameters,
                    folder,
                    caller: Some(caller.clone()),
                    ..Record::default()
                };
                tx.put_json(scope.query(&id), &record)?;
                tx.put(scope.by_time(name).push_i64(-now.as_millisecond()).push(&id), &[])?;
                if let Some(token) = &req.client_request_token {
                    let known = Token { id: id.clone(), query: req.query_string.clone() };
                    tx.put_json(scope.key("token").push(token), &known)?;
                }
                let payload = Payload { scope: scope.clone(), id: id.clone() };
                tx.enqueue(NewTask::new(KIND, format!("{KIND}:{id}")).payload(&payload)?)?;
                Ok(id.clone())
            })
            .await?;
        Ok(StartQueryExecutionOutput { query_execution_id: Some(id) })
    }
}

/// Where the result goes: the workgroup's place if it insists, else the client's, else the workgroup's.
fn result_configuration(
    group: &WorkGroupConfiguration,
    client: Option<&ResultConfiguration>,
) -> Result<ResultConfiguration, Error> {
    let own = group.result_configuration.as_ref();
    let has_place = |configuration: &&ResultConfiguration| {
        configuration.output_location.as_ref().is_some_and(|place| !place.is_empty())
    };
    let chosen = if group.enforce_work_group_configuration == Some(true) {
        own.filter(has_place)
    } else {
        client.filter(has_place).or_else(|| own.filter(has_place))
    };
    let chosen = chosen.cloned().ok_or_else(|| {
        invalid_request_exception(
            "No output location provided. An output location is required either through the Workgroup result configuration setting or as an API input.",
        )
    })?;
    if !chosen.output_location.as_ref().is_some_and(|place| place.starts_with("s3://") && place.len() > 5) {
        return Err(invalid_request_exception("outputLocation is not a valid S3 path."));
    }
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
