//! The platform's own state as tables, the database `lakerun`: what runs and ran. Rows come from AWS's own operations with
//! the rights of who asks, so nobody sees more than these would tell.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use serde_json::{Value, json};

use super::glue::{JsonCall, refused};
use crate::error::{Error, Result};

/// The database's name, where the account has none of that name.
pub(crate) const DATABASE: &str = "lakerun";
/// Executions whose histories one query reads.
const MOST_HISTORIES: usize = 1000;

enum Kind {
    Text,
    Number,
    /// Seconds since 1970.
    Time,
}
use Kind::{Number, Text, Time};

type Columns = &'static [(&'static str, &'static str, Kind)];

/// Each column: its name, where it stands in a row's JSON, and its type.
const STATE_MACHINES: Columns = &[
    ("name", "name", Text),
    ("arn", "stateMachineArn", Text),
    ("type", "type", Text),
    ("created", "creationDate", Time),
];
const EXECUTIONS: Columns = &[
    ("name", "name", Text),
    ("execution_arn", "executionArn", Text),
    ("state_machine_arn", "stateMachineArn", Text),
    ("status", "status", Text),
    ("started", "startDate", Time),
    ("stopped", "stopDate", Time),
    ("redrives", "redriveCount", Number),
];
const HISTORY: Columns = &[
    ("execution_arn", "executionArn", Text),
    ("id", "id", Number),
    ("previous_event_id", "previousEventId", Number),
    ("type", "type", Text),
    ("time", "timestamp", Time),
    ("details", "details", Text),
];
const JOB_RUNS: Columns = &[
    ("job_name", "JobName", Text),
    ("id", "Id", Text),
    ("attempt", "Attempt", Number),
    ("state", "JobRunState", Text),
    ("started", "StartedOn", Time),
    ("completed", "CompletedOn", Time),
    ("execution_seconds", "ExecutionTime", Number),
    ("error_message", "ErrorMessage", Text),
];
const QUERY_EXECUTIONS: Columns = &[
    ("id", "QueryExecutionId", Text),
    ("query", "Query", Text),
    ("database", "QueryExecutionContext.Database", Text),
    ("work_group", "WorkGroup", Text),
    ("state", "Status.State", Text),
    ("reason", "Status.StateChangeReason", Text),
    ("submitted", "Status.SubmissionDateTime", Time),
    ("completed", "Status.CompletionDateTime", Time),
    ("execution_ms", "Statistics.EngineExecutionTimeInMillis", Number),
    ("scanned_bytes", "Statistics.DataScannedInBytes", Number),
    ("output_location", "ResultConfiguration.OutputLocation", Text),
];

/// The names of the tables.
pub(crate) const TABLES: &[&str] = &["executions", "history", "job_runs", "query_executions", "state_machines"];

/// A table's rows now.
pub(super) async fn table(call: &JsonCall, name: &str) -> Result<Option<RecordBatch>> {
    let state = State(call);
    Ok(Some(match name {
        "state_machines" => batch(STATE_MACHINES, &state.machines().await?)?,
        "executions" => batch(EXECUTIONS, &state.executions().await?)?,
        "history" => batch(HISTORY, &state.history().await?)?,
        "job_runs" => batch(JOB_RUNS, &state.job_runs().await?)?,
        "query_executions" => batch(QUERY_EXECUTIONS, &state.queries().await?)?,
        _ => return Ok(None),
    }))
}

struct State<'a>(&'a JsonCall);

impl State<'_> {
    /// All pages of a list.
    async fn pages(&self, target: &'static str, mut input: Value, member: &str, token: &str) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        loop {
            let mut page = (self.0)(target, input.clone()).await.map_err(|(code, message)| refused(&code, &message))?;
            if let Some(Value::Array(items)) = page.get_mut(member).map(Value::take) {
                all.extend(items);
            }
            match page.get(token).and_then(Value::as_str) {
                Some(next) if !next.is_empty() => input[token] = next.into(),
                _ => return Ok(all),
            }
        }
    }

    async fn machines(&self) -> Result<Vec<Value>> {
        self.pages("AWSStepFunctions.ListStateMachines", json!({}), "stateMachines", "nextToken").await
    }

    async fn executions(&self) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        for machine in self.machines().await? {
            // Express executions are not listed, here as on AWS.
            if machine["type"] == "STANDARD" {
                let input = json!({ "stateMachineArn": machine["stateMachineArn"], "maxResults": 1000 });
                all.extend(self.pages("AWSStepFunctions.ListExecutions", input, "executions", "nextToken").await?);
            }
        }
        Ok(all)
    }

    async fn history(&self) -> Result<Vec<Value>> {
        let executions = self.executions().await?;
        if executions.len() > MOST_HISTORIES {
            return Err(Error::not_supported(format_args!(
                "lakerun.history of more than {MOST_HISTORIES} executions (there are {}): use GetExecutionHistory",
                executions.len()
            )));
        }
        let mut all = Vec::new();
        for execution in executions {
            let input = json!({ "executionArn": execution["executionArn"], "maxResults": 1000 });
            for mut event in self.pages("AWSStepFunctions.GetExecutionHistory", input, "events", "nextToken").await? {
                // Each type of event has its details under a name of its own.
                let details = event.as_object_mut().and_then(|members| {
                    let name = members.keys().find(|name| name.ends_with("EventDetails"))?.clone();
                    members.remove(&name)
                });
                event["details"] = details.map_or(Value::Null, |details| details.to_string().into());
                event["executionArn"] = execution["executionArn"].clone();
                all.push(event);
            }
        }
        Ok(all)
    }

    async fn job_runs(&self) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        for job in self.pages("AWSGlue.GetJobs", json!({}), "Jobs", "NextToken").await? {
            let input = json!({ "JobName": job["Name"] });
            all.extend(self.pages("AWSGlue.GetJobRuns", input, "JobRuns", "NextToken").await?);
        }
        Ok(all)
    }

    async fn queries(&self) -> Result<Vec<Value>> {
        let mut ids = Vec::new();
        for group in self.pages("AmazonAthena.ListWorkGroups", json!({}), "WorkGroups", "NextToken").await? {
            let input = json!({ "WorkGroup": group["Name"] });
            ids.extend(self.pages("AmazonAthena.ListQueryExecutions", input, "QueryExecutionIds", "NextToken").await?);
        }
        let mut all = Vec::new();
        for some in ids.chunks(50) {
            let input = json!({ "QueryExecutionIds": some });
            all.extend(self.pages("AmazonAthena.BatchGetQueryExecution", input, "QueryExecutions", "NextToken").await?);
        }
        Ok(all)
    }
}

fn batch(columns: Columns, rows: &[Value]) -> Result<RecordBatch> {
    let (mut fields, mut arrays) = (Vec::new(), Vec::<ArrayRef>::new());
    for (name, path, kind) in columns {
        let cells = rows.iter().map(|row| path.split('.').try_fold(row, |value, step| value.get(step)));
        let (data_type, array): (DataType, ArrayRef) = match kind {
            Text => {
                let texts: StringArray = cells.map(|cell| cell.and_then(Value::as_str)).collect();
                (DataType::Utf8, Arc::new(texts))
            }
            Number => {
                let numbers: Int64Array = cells.map(|cell| cell.and_then(Value::as_i64)).collect();
                (DataType::Int64, Arc::new(numbers))
            }
            Time => {
                #[expect(clippy::cast_possible_truncation, reason = "milliseconds of this age")]
                let times: TimestampMillisecondArray =
                    cells.map(|cell| cell.and_then(Value::as_f64).map(|time| (time * 1000.0).round() as i64)).collect();
                (DataType::Timestamp(TimeUnit::Millisecond, None), Arc::new(times))
            }
        };
        fields.push(Field::new(*name, data_type, true));
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::util::pretty::pretty_format_batches;
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn pages_become_rows() {
        let call: JsonCall = Arc::new(|target, input| {
            let answer = match target {
                "AWSStepFunctions.ListStateMachines" => {
                    json!({ "stateMachines": [{ "stateMachineArn": "m", "type": "STANDARD" }, { "type": "EXPRESS" }] })
                }
                "AWSStepFunctions.ListExecutions" if input["nextToken"].is_null() => {
                    assert_eq!(input["stateMachineArn"], "m");
                    json!({ "executions": [{ "name": "a", "status": "RUNNING", "startDate": 1.5 }], "nextToken": "n" })
                }
                _ => json!({ "executions": [{ "name": "b", "status": "FAILED", "startDate": 2, "stopDate": 3 }] }),
            };
            async move { Ok(answer) }.boxed()
        });
        let rows = table(&call, "executions").await.unwrap().unwrap().project(&[0, 3, 4, 5]).unwrap();
        let text = pretty_format_batches(&[rows]).unwrap().to_string();
        assert!(text.contains("| a    | RUNNING | 1970-01-01T00:00:01.500 |                     |"), "{text}");
        assert!(text.contains("| b    | FAILED  | 1970-01-01T00:00:02     | 1970-01-01T00:00:03 |"), "{text}");
        assert!(table(&call, "nope").await.unwrap().is_none());
    }
}
