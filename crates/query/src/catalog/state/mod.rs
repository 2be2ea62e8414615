//! The platform's own state as tables, the database `lakerun`: what runs and ran, what lies in S3, and who moved it. Rows come
//! from the services' own operations with the rights of who asks, so nobody sees more than these would tell.
//!
//! Map: [`asked`] what of a query's filters narrows what is read · [`read`] the operations · [`provider`] the table of a plan.

mod asked;
mod provider;
mod read;

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::TableProvider;
use serde_json::Value;

use super::glue::JsonCall;
use super::{Column, StorageDescriptor, Table};
use crate::error::{Error, Result};

/// The database's name, where the account has none of that name.
pub(crate) const DATABASE: &str = "lakerun";

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    Double,
    Flag,
    /// Seconds since 1970.
    Time,
}
use Kind::{Double, Flag, Number, Text, Time};

/// Each column: its name, where it stands in a row's JSON, and its type.
type Columns = &'static [(&'static str, &'static str, Kind)];

const AUDIT: Columns = &[
    ("time", "EventTime", Time),
    ("event_id", "EventId", Text),
    ("event_source", "EventSource", Text),
    ("event_name", "EventName", Text),
    ("principal", "userIdentity.arn", Text),
    ("principal_type", "userIdentity.type", Text),
    ("user_name", "Username", Text),
    ("access_key_id", "AccessKeyId", Text),
    ("source_ip", "sourceIPAddress", Text),
    ("user_agent", "userAgent", Text),
    ("read_only", "readOnly", Flag),
    ("decision", "additionalEventData.decision", Text),
    ("statements", "additionalEventData.statements", Text),
    ("error_code", "errorCode", Text),
    ("error_message", "errorMessage", Text),
    ("request_parameters", "requestParameters", Text),
    ("record", "CloudTrailEvent", Text),
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
const DELIVERIES: Columns = &[
    ("topic", "Topic", Text),
    ("topic_arn", "TopicArn", Text),
    ("message_id", "MessageId", Text),
    ("delivery_id", "DeliveryId", Text),
    ("ended", "Time", Time),
    ("destination", "Destination", Text),
    ("status", "Status", Text),
    ("status_code", "StatusCode", Number),
    ("attempts", "Attempts", Number),
    ("dwell_ms", "DwellMs", Number),
    ("provider_response", "ProviderResponse", Text),
];
const HISTORY: Columns = &[
    ("execution_arn", "executionArn", Text),
    ("id", "id", Number),
    ("previous_event_id", "previousEventId", Number),
    ("type", "type", Text),
    ("time", "timestamp", Time),
    ("details", "details", Text),
];
const INVOCATIONS: Columns = &[
    ("function_name", "FunctionName", Text),
    ("version", "Version", Text),
    ("request_id", "RequestId", Text),
    ("ended", "Time", Time),
    ("status", "Status", Text),
    ("error_type", "ErrorType", Text),
    ("duration_ms", "DurationMs", Double),
    ("billed_ms", "BilledMs", Number),
    ("init_ms", "InitMs", Double),
    ("memory_mb", "MemoryMb", Number),
    ("max_memory_mb", "MaxMemoryMb", Number),
    ("log_stream", "LogStream", Text),
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
const LINEAGE: Columns = &[
    ("worker", "Worker", Text),
    ("worker_type", "WorkerType", Text),
    ("worker_name", "WorkerName", Text),
    ("execution_arn", "ExecutionArn", Text),
    ("state_name", "StateName", Text),
    ("asked_by", "AskedBy", Text),
    ("action", "Action", Text),
    ("resource", "Resource", Text),
    ("is_folder", "Folder", Flag),
    ("count", "Count", Number),
    ("bytes", "Bytes", Number),
    ("first_time", "FirstTime", Time),
    ("last_time", "LastTime", Time),
    ("etag", "ETag", Text),
];
const METERING: Columns = &[
    ("service", "Service", Text),
    ("resource", "Resource", Text),
    ("id", "Id", Text),
    ("time", "Time", Time),
    ("unit", "Unit", Text),
    ("amount", "Amount", Double),
];
const OBJECTS: Columns = &[
    ("bucket", "Bucket", Text),
    ("key", "Key", Text),
    ("size", "Size", Number),
    ("last_modified", "LastModified", Time),
    ("etag", "ETag", Text),
    ("storage_class", "StorageClass", Text),
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
const STATE_MACHINES: Columns = &[
    ("name", "name", Text),
    ("arn", "stateMachineArn", Text),
    ("type", "type", Text),
    ("created", "creationDate", Time),
];

/// The tables, by name.
const ALL: &[(&str, Columns)] = &[
    ("audit", AUDIT),
    ("deliveries", DELIVERIES),
    ("executions", EXECUTIONS),
    ("history", HISTORY),
    ("invocations", INVOCATIONS),
    ("job_runs", JOB_RUNS),
    ("lineage", LINEAGE),
    ("metering", METERING),
    ("objects", OBJECTS),
    ("query_executions", QUERY_EXECUTIONS),
    ("state_machines", STATE_MACHINES),
];

/// The names of the tables.
pub(crate) fn names() -> impl Iterator<Item = String> {
    ALL.iter().map(|(name, _)| (*name).to_owned())
}

fn columns(table: &str) -> Option<(&'static str, Columns)> {
    ALL.iter().find(|(name, _)| *name == table).copied()
}

/// A table for a query.
pub(super) fn provider(call: &JsonCall, table: &str) -> Option<Arc<dyn TableProvider>> {
    let (name, columns) = columns(table)?;
    Some(Arc::new(provider::StateTable::new(Arc::clone(call), name, columns)))
}

/// A table as the catalog would tell it.
pub(crate) fn described(table: &str) -> Option<Table> {
    let (name, columns) = columns(table)?;
    let columns = columns.iter().map(|(name, _, kind)| {
        let ty = match kind {
            Text => "string",
            Number => "bigint",
            Double => "double",
            Flag => "boolean",
            Time => "timestamp",
        };
        Column::new(*name, ty)
    });
    Some(Table {
        name: name.to_owned(),
        table_type: Some("EXTERNAL_TABLE".to_owned()),
        storage_descriptor: Some(StorageDescriptor { columns: columns.collect(), ..StorageDescriptor::default() }),
        ..Table::default()
    })
}

fn schema(columns: Columns) -> SchemaRef {
    let fields = columns.iter().map(|(name, _, kind)| {
        let data_type = match kind {
            Text => DataType::Utf8,
            Number => DataType::Int64,
            Double => DataType::Float64,
            Flag => DataType::Boolean,
            Time => DataType::Timestamp(TimeUnit::Millisecond, None),
        };
        Field::new(*name, data_type, true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn batch(columns: Columns, rows: &[Value]) -> Result<RecordBatch> {
    let mut arrays = Vec::<ArrayRef>::new();
    for (_, path, kind) in columns {
        let cells = rows.iter().map(|row| path.split('.').try_fold(row, |value, step| value.get(step)));
        arrays.push(match kind {
            Text => Arc::new(cells.map(|cell| cell.and_then(Value::as_str)).collect::<StringArray>()),
            Number => Arc::new(cells.map(|cell| cell.and_then(Value::as_i64)).collect::<Int64Array>()),
            Double => Arc::new(cells.map(|cell| cell.and_then(Value::as_f64)).collect::<Float64Array>()),
            Flag => Arc::new(cells.map(|cell| cell.and_then(Value::as_bool)).collect::<BooleanArray>()),
            Time => {
                #[expect(clippy::cast_possible_truncation, reason = "milliseconds of this age")]
                let time = |cell: &Value| cell.as_f64().map(|time| (time * 1000.0).round() as i64);
                Arc::new(cells.map(|cell| cell.and_then(time)).collect::<TimestampMillisecondArray>())
            }
        });
    }
    RecordBatch::try_new(schema(columns), arrays).map_err(Error::internal)
}

#[cfg(test)]
mod tests;
