//! The operations behind each table. Where a list is made of many (a job's runs, a bucket's objects), what the caller may not
//! list is left out, unless the query names it.

use datafusion::arrow::array::RecordBatch;
use serde_json::{Value, json};
use tokio::sync::mpsc::Sender;

use super::asked::Asked;
use super::{Columns, JsonCall, batch};
use crate::catalog::glue::refused;
use crate::error::{Error, Result};

/// Reads one table for one query.
pub(super) struct Reader {
    pub(super) call: JsonCall,
    pub(super) asked: Asked,
    pub(super) columns: Columns,
    pub(super) out: Sender<datafusion::common::Result<RecordBatch>>,
}

/// How a row of a service becomes a row of the table, where it is none already.
type Make = Option<fn(&Value) -> Option<Value>>;

/// A list operation: its name, the member that holds the list, and the member of the token.
#[derive(Clone, Copy)]
struct List(&'static str, &'static str, &'static str);

const LIST_STATE_MACHINES: List = List("AWSStepFunctions.ListStateMachines", "stateMachines", "nextToken");
const LIST_EXECUTIONS: List = List("AWSStepFunctions.ListExecutions", "executions", "nextToken");
const GET_HISTORY: List = List("AWSStepFunctions.GetExecutionHistory", "events", "nextToken");
const GET_JOBS: List = List("AWSGlue.GetJobs", "Jobs", "NextToken");
const GET_JOB_RUNS: List = List("AWSGlue.GetJobRuns", "JobRuns", "NextToken");
const LIST_WORK_GROUPS: List = List("AmazonAthena.ListWorkGroups", "WorkGroups", "NextToken");
const LIST_QUERIES: List = List("AmazonAthena.ListQueryExecutions", "QueryExecutionIds", "NextToken");
const GET_QUERIES: List = List("AmazonAthena.BatchGetQueryExecution", "QueryExecutions", "NextToken");
const LIST_BUCKETS: List = List("S3.ListBuckets", "Buckets", "ContinuationToken");
const LIST_OBJECTS: List = List("S3.ListObjectsV2", "Contents", "ContinuationToken");
const LOG_GROUPS: List = List("Logs_20140328.DescribeLogGroups", "logGroups", "nextToken");
const LOG_EVENTS: List = List("Logs_20140328.FilterLogEvents", "events", "nextToken");
const LOOKUP_EVENTS: List =
    List("com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents", "Events", "NextToken");
const LIST_ACCESSES: List = List("Lineage.ListAccesses", "Accesses", "NextToken");

/// Where Lambda's log groups begin.
const LAMBDA_LOGS: &str = "/aws/lambda/";
/// Where those of topics' deliveries begin.
const SNS_LOGS: &str = "sns/";

impl Reader {
    pub(super) async fn table(&self, name: &str) -> Result<()> {
        match name {
            "audit" => self.audit().await,
            "deliveries" => self.deliveries().await,
            "executions" => self.each_execution(false).await,
            "history" => self.history().await,
            "invocations" => self.invocations(None).await,
            "job_runs" => self.job_runs(None).await,
            "lineage" => self.lineage().await,
            "metering" => self.metering().await,
            "objects" => self.objects().await,
            "query_executions" => self.queries(None).await,
            "state_machines" => {
                let mut pages = Pages::new(LIST_STATE_MACHINES, json!({}));
                while let Some(page) = self.next(&mut pages).await? {
                    self.send(page).await?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn send(&self, rows: Vec<Value>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let rows = batch(self.columns, &rows)?;
        // Who has gone away wants no more of it; the stream's end stops this task.
        self.out.send(Ok(rows)).await.map_err(|_| Error::internal("nobody reads the table any more"))
    }

    async fn send_made(&self, rows: Vec<Value>, make: Make) -> Result<()> {
        match make {
            Some(make) => self.send(rows.iter().filter_map(make).collect()).await,
            None => self.send(rows).await,
        }
    }

    /// A list's next page.
    async fn next(&self, pages: &mut Pages) -> Result<Option<Vec<Value>>> {
        let Some(input) = pages.input.take() else { return Ok(None) };
        let List(target, member, token) = pages.list;
        let mut page =
            (self.call)(target, input.clone()).await.map_err(|(code, message)| failed(target, &code, &message))?;
        if let Some(next) = page.get(token).and_then(Value::as_str).filter(|next| !next.is_empty()) {
            let mut input = input;
            input[token] = next.into();
            pages.input = Some(input);
        }
        match page.get_mut(member).map(Value::take) {
            Some(Value::Array(items)) => Ok(Some(items)),
            _ => Ok(Some(Vec::new())),
        }
    }

    /// As `next`, of something that the caller need not be allowed to list.
    async fn next_of_many(&self, pages: &mut Pages, is_named: bool) -> Result<Option<Vec<Value>>> {
        match self.next(pages).await {
            Err(error) if !is_named && error.message.starts_with("PERMISSION_DENIED") => Ok(None),
            other => other,
        }
    }

    async fn all(&self, list: List) -> Result<Vec<Value>> {
        let (mut all, mut pages) = (Vec::new(), Pages::new(list, json!({})));
        while let Some(page) = self.next(&mut pages).await? {
            all.extend(page);
        }
        Ok(all)
    }

    /// The names that a column is compared with, or all that there are; and whether it was the query that told them.
    async fn names(&self, column: &str, list: List, member: &str) -> Result<(Vec<String>, bool)> {
        if let Some(names) = self.asked.values(column) {
            return Ok((names.iter().cloned().collect(), true));
        }
        let all = self.all(list).await?;
        Ok((all.iter().filter_map(|one| one[member].as_str()).map(str::to_owned).collect(), false))
    }

    /// Sends executions, or instead of them what happened in each.
    async fn each_execution(&self, with_history: bool) -> Result<()> {
        let (machines, is_named) = if let Some(arns) = self.asked.values("state_machine_arn") {
            (arns.iter().cloned().collect::<Vec<_>>(), true)
        } else {
            let all = self.all(LIST_STATE_MACHINES).await?;
            // Express executions are not listed, here as on AWS.
            let standard = all.iter().filter(|machine| machine["type"] == "STANDARD");
            (standard.filter_map(|machine| machine["stateMachineArn"].as_str()).map(str::to_owned).collect(), false)
        };
        for machine in machines {
            let mut input = json!({ "stateMachineArn": machine, "maxResults": 1000 });
            if let Some(status) = self.asked.value("status").filter(|status| STATUSES.contains(status)) {
                input["statusFilter"] = status.into();
            }
            let mut pages = Pages::new(LIST_EXECUTIONS, input);
            loop {
                match self.next_of_many(&mut pages, is_named).await {
                    Ok(Some(page)) if with_history => {
                        for execution in page {
                            self.history_of(execution["executionArn"].as_str().unwrap_or_default(), is_named).await?;
                        }
                    }
                    Ok(Some(page)) => self.send(page).await?,
                    Ok(None) => break,
                    // A name that is nobody's has no rows, and an Express one's are not listed.
                    Err(error) if is_named && is_missing(&error) => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    async fn history(&self) -> Result<()> {
        if let Some(arns) = self.asked.values("execution_arn") {
            for arn in arns {
                match self.history_of(arn, true).await {
                    Err(error) if is_missing(&error) => {}
                    other => other?,
                }
            }
            return Ok(());
        }
        self.each_execution(true).await
    }

    async fn history_of(&self, arn: &str, is_named: bool) -> Result<()> {
        let mut pages = Pages::new(GET_HISTORY, json!({ "executionArn": arn, "maxResults": 1000 }));
        while let Some(mut events) = self.next_of_many(&mut pages, is_named).await? {
            for event in &mut events {
                // Each type of event has its details under a name of its own.
                let details = event.as_object_mut().and_then(|members| {
                    let name = members.keys().find(|name| name.ends_with("EventDetails"))?.clone();
                    members.remove(&name)
                });
                event["details"] = details.map_or(Value::Null, |details| details.to_string().into());
                event["executionArn"] = arn.into();
            }
            self.send(events).await?;
        }
        Ok(())
    }

    async fn job_runs(&self, make: Make) -> Result<()> {
        let (jobs, is_named) = self.names("job_name", GET_JOBS, "Name").await?;
        for job in jobs {
            let mut pages = Pages::new(GET_JOB_RUNS, json!({ "JobName": job }));
            loop {
                match self.next_of_many(&mut pages, is_named).await {
                    Ok(Some(page)) => self.send_made(page, make).await?,
                    Ok(None) => break,
                    Err(error) if is_missing(&error) => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    async fn queries(&self, make: Make) -> Result<()> {
        if let Some(ids) = self.asked.values("id") {
            let ids: Vec<Value> = ids.iter().map(|id| id.as_str().into()).collect();
            return self.queries_of(&ids, true, make).await;
        }
        let (groups, is_named) = self.names("work_group", LIST_WORK_GROUPS, "Name").await?;
        for group in groups {
            let mut pages = Pages::new(LIST_QUERIES, json!({ "WorkGroup": group }));
            loop {
                match self.next_of_many(&mut pages, is_named).await {
                    Ok(Some(ids)) => self.queries_of(&ids, is_named, make).await?,
                    Ok(None) => break,
                    Err(error) if is_missing(&error) => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    async fn queries_of(&self, ids: &[Value], is_named: bool, make: Make) -> Result<()> {
        for some in ids.chunks(50) {
            let mut pages = Pages::new(GET_QUERIES, json!({ "QueryExecutionIds": some }));
            while let Some(page) = self.next_of_many(&mut pages, is_named).await? {
                self.send_made(page, make).await?;
            }
        }
        Ok(())
    }

    async fn objects(&self) -> Result<()> {
        let (buckets, is_named) = self.names("bucket", LIST_BUCKETS, "Name").await?;
        for bucket in buckets {
            let mut input = json!({ "Bucket": bucket });
            if let Some(prefix) = self.asked.prefix("key") {
                input["Prefix"] = prefix.into();
            }
            let mut pages = Pages::new(LIST_OBJECTS, input);
            loop {
                match self.next_of_many(&mut pages, is_named).await {
                    Ok(Some(mut page)) => {
                        for object in &mut page {
                            object["Bucket"] = bucket.as_str().into();
                        }
                        self.send(page).await?;
                    }
                    Ok(None) => break,
                    Err(error) if is_missing(&error) => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    async fn invocations(&self, make: Make) -> Result<()> {
        let (groups, is_named) = if let Some(names) = self.asked.values("function_name") {
            (names.iter().map(|name| format!("{LAMBDA_LOGS}{name}")).collect(), true)
        } else {
            (self.log_groups(LAMBDA_LOGS).await?, false)
        };
        for group in groups {
            let function = group.strip_prefix(LAMBDA_LOGS).unwrap_or(&group).to_owned();
            let of = |event: &Value| invocation(&function, event);
            self.logged(&group, is_named, r#"?"REPORT RequestId" ?"platform.report""#, of, make).await?;
        }
        Ok(())
    }

    /// What SNS has logged of its deliveries, where topics have roles for that.
    async fn deliveries(&self) -> Result<()> {
        for group in self.log_groups(SNS_LOGS).await? {
            let topic = group.strip_suffix("/Failure").unwrap_or(&group).rsplit('/').next().unwrap_or_default();
            if self.asked.values("topic").is_none_or(|wanted| wanted.contains(topic)) {
                self.logged(
                    &group,
                    false,
                    r#"{ $.notification.topicArn = "*" }"#,
                    |event| delivery(topic, event),
                    None,
                )
                .await?;
            }
        }
        Ok(())
    }

    async fn log_groups(&self, prefix: &str) -> Result<Vec<String>> {
        let (mut all, mut pages) = (Vec::new(), Pages::new(LOG_GROUPS, json!({ "logGroupNamePrefix": prefix })));
        while let Some(page) = self.next(&mut pages).await? {
            all.extend(page.iter().filter_map(|group| group["logGroupName"].as_str()).map(str::to_owned));
        }
        Ok(all)
    }

    /// Rows of a group's events: `ended` narrows which.
    async fn logged(
        &self,
        group: &str,
        is_named: bool,
        pattern: &str,
        row: impl Fn(&Value) -> Option<Value>,
        make: Make,
    ) -> Result<()> {
        let (from, to) = self.asked.between("ended");
        let mut input = json!({ "logGroupName": group, "filterPattern": pattern });
        if let Some(from) = from {
            input["startTime"] = from.max(0).into();
        }
        if let Some(to) = to {
            // The end itself is not searched.
            input["endTime"] = to.saturating_add(1).max(0).into();
        }
        let mut pages = Pages::new(LOG_EVENTS, input);
        loop {
            match self.next_of_many(&mut pages, is_named).await {
                Ok(Some(page)) => {
                    let rows = page.iter().filter_map(&row).collect();
                    self.send_made(rows, make).await?;
                }
                Ok(None) => return Ok(()),
                Err(error) if is_missing(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    async fn lineage(&self) -> Result<()> {
        let mut input = json!({});
        if let Some(resource) = self.asked.value("resource") {
            input["Resource"] = resource.into();
        } else if let Some(prefix) = self.asked.prefix("resource").filter(|prefix| !prefix.is_empty()) {
            input["ResourcePrefix"] = prefix.into();
        }
        if let Some(worker) = self.asked.value("worker") {
            input["Worker"] = worker.into();
        }
        let mut pages = Pages::new(LIST_ACCESSES, input);
        while let Some(page) = self.next(&mut pages).await? {
            self.send(page).await?;
        }
        Ok(())
    }

    async fn audit(&self) -> Result<()> {
        let mut input = json!({});
        let (from, to) = self.asked.between("time");
        for (member, at) in [("StartTime", from), ("EndTime", to)] {
            if let Some(at) = at {
                // Whole seconds, outward: rows are looked at once more.
                input[member] = (at.div_euclid(1000) + i64::from(member == "EndTime")).into();
            }
        }
        let keys = [
            ("event_id", "EventId"),
            ("access_key_id", "AccessKeyId"),
            ("user_name", "Username"),
            ("event_name", "EventName"),
            ("event_source", "EventSource"),
        ];
        let known = keys.iter().find_map(|(column, key)| Some((key, self.asked.value(column)?)));
        if let Some((key, value)) = known {
            input["LookupAttributes"] = json!([{ "AttributeKey": key, "AttributeValue": value }]);
        }
        let mut pages = Pages::new(LOOKUP_EVENTS, input);
        while let Some(page) = self.next(&mut pages).await? {
            self.send_made(page, Some(audited)).await?;
        }
        Ok(())
    }

    /// What AWS would bill of queries, job runs and invocations.
    async fn metering(&self) -> Result<()> {
        let service = self.asked.values("service").cloned();
        let wanted = |name: &str| service.as_ref().is_none_or(|names| names.contains(name));
        // `resource` and `id` are other columns in the tables that rows are made of.
        let reader =
            Self { asked: Asked::default(), call: self.call.clone(), columns: self.columns, out: self.out.clone() };
        if wanted("athena") {
            reader.queries(Some(query_usage)).await?;
        }
        if wanted("glue") {
            reader.job_runs(Some(job_usage)).await?;
        }
        if wanted("lambda") {
            reader.invocations(Some(invocation_usage)).await?;
        }
        Ok(())
    }
}

/// An event that was looked up, with what its record says.
fn audited(event: &Value) -> Option<Value> {
    let mut row: Value = serde_json::from_str(event["CloudTrailEvent"].as_str()?).ok()?;
    for member in ["EventTime", "EventId", "EventSource", "EventName", "Username", "AccessKeyId", "CloudTrailEvent"] {
        row[member] = event[member].clone();
    }
    for member in ["requestParameters", "statements"] {
        let value = if member == "statements" { &mut row["additionalEventData"][member] } else { &mut row[member] };
        if !value.is_null() {
            *value = value.to_string().into();
        }
    }
    Some(row)
}

/// Of executions; another text has none.
const STATUSES: [&str; 6] = ["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"];

struct Pages {
    list: List,
    /// Of the next page, if there is one.
    input: Option<Value>,
}

impl Pages {
    fn new(list: List, input: Value) -> Self {
        Self { list, input: Some(input) }
    }
}

fn failed(target: &str, code: &str, message: &str) -> Error {
    if matches!(code, "AccessDeniedException" | "AccessDenied") {
        return refused(code, message);
    }
    let service = target.split_once('.').map_or(target, |(service, _)| service);
    Error::metastore(format_args!("{message} (Service: {service}; Error Code: {code})"))
}

/// What is named is not there, or is no name of such a thing.
fn is_missing(error: &Error) -> bool {
    const CODES: [&str; 11] = [
        "EntityNotFoundException",
        "StateMachineDoesNotExist",
        "StateMachineTypeNotSupported",
        "ExecutionDoesNotExist",
        "InvalidArn",
        "ResourceNotFoundException",
        "NoSuchBucket",
        "InvalidBucketName",
        "InvalidRequestException",
        "InvalidParameterException",
        "ValidationException",
    ];
    CODES.iter().any(|code| error.message.contains(&format!("Error Code: {code})")))
}

/// A function's report, as the platform wrote it: a line of text, or an event.
fn invocation(function: &str, event: &Value) -> Option<Value> {
    let message = event["message"].as_str()?.trim_end();
    let stream = event["logStreamName"].as_str().unwrap_or_default();
    let version = stream.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(version, _)| version);
    let mut row = json!({
        "FunctionName": function,
        "Version": version,
        "Time": event["timestamp"].as_f64().map(|time| time / 1000.0),
        "LogStream": stream,
    });
    if let Some(line) = message.strip_prefix("REPORT ") {
        let members: std::collections::BTreeMap<&str, &str> =
            line.split('\t').filter_map(|part| part.split_once(": ")).collect();
        let number = |name: &str, unit: &str| members.get(name)?.strip_suffix(unit)?.parse::<f64>().ok();
        #[expect(clippy::cast_possible_truncation, reason = "whole milliseconds and megabytes")]
        let whole = |name: &str, unit: &str| number(name, unit).map(|number| number as i64);
        row["RequestId"] = json!(members.get("RequestId")?);
        row["DurationMs"] = json!(number("Duration", " ms"));
        row["BilledMs"] = json!(whole("Billed Duration", " ms"));
        row["InitMs"] = json!(number("Init Duration", " ms"));
        row["MemoryMb"] = json!(whole("Memory Size", " MB"));
        row["MaxMemoryMb"] = json!(whole("Max Memory Used", " MB"));
        row["Status"] = json!(members.get("Status"));
        row["ErrorType"] = json!(members.get("Error Type"));
        return Some(row);
    }
    let report: Value = serde_json::from_str(message).ok()?;
    if report["type"] != "platform.report" {
        return None;
    }
    let (record, metrics) = (&report["record"], &report["record"]["metrics"]);
    row["RequestId"] = record["requestId"].clone();
    row["DurationMs"] = metrics["durationMs"].clone();
    row["BilledMs"] = metrics["billedDurationMs"].clone();
    row["InitMs"] = metrics["initDurationMs"].clone();
    row["MemoryMb"] = metrics["memorySizeMB"].clone();
    row["MaxMemoryMb"] = metrics["maxMemoryUsedMB"].clone();
    row["Status"] = record["status"].clone();
    row["ErrorType"] = record["errorType"].clone();
    Some(row)
}

/// How a delivery of a topic ended. Source: SNS Developer Guide, "Amazon SNS message delivery status".
fn delivery(topic: &str, event: &Value) -> Option<Value> {
    let said: Value = serde_json::from_str(event["message"].as_str()?).ok()?;
    let (notification, delivery) = (&said["notification"], &said["delivery"]);
    Some(json!({
        "Topic": topic,
        "TopicArn": notification["topicArn"].as_str()?,
        "MessageId": notification["messageId"],
        "DeliveryId": delivery["deliveryId"],
        "Time": event["timestamp"].as_f64().map(|time| time / 1000.0),
        "Destination": delivery["destination"],
        "Status": said["status"],
        "StatusCode": delivery["statusCode"],
        "Attempts": delivery["attempts"],
        "DwellMs": delivery["dwellTimeMs"],
        "ProviderResponse": delivery["providerResponse"],
    }))
}

fn query_usage(query: &Value) -> Option<Value> {
    let bytes = query["Statistics"]["DataScannedInBytes"].as_f64()?;
    Some(json!({
        "Service": "athena", "Resource": query["WorkGroup"], "Id": query["QueryExecutionId"],
        "Time": query["Status"]["CompletionDateTime"], "Unit": "byte", "Amount": bytes,
    }))
}

fn job_usage(run: &Value) -> Option<Value> {
    let seconds = run["DPUSeconds"].as_f64();
    let seconds = seconds.or_else(|| Some(run["ExecutionTime"].as_f64()? * run["MaxCapacity"].as_f64()?))?;
    Some(json!({
        "Service": "glue", "Resource": run["JobName"], "Id": run["Id"], "Time": run["CompletedOn"],
        "Unit": "DPU-second", "Amount": seconds,
    }))
}

fn invocation_usage(row: &Value) -> Option<Value> {
    let amount = row["BilledMs"].as_f64()? / 1000.0 * row["MemoryMb"].as_f64()? / 1024.0;
    Some(json!({
        "Service": "lambda", "Resource": row["FunctionName"], "Id": row["RequestId"], "Time": row["Time"],
        "Unit": "GB-second", "Amount": amount,
    }))
}
