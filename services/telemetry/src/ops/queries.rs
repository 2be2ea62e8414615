//! StartQuery, GetQueryResults, StopQuery, DescribeQueries, GetLogRecord, GetLogGroupFields, and the task that runs a query.

use std::collections::BTreeMap;
use std::sync::Arc;

use api_logs::error::{invalid_parameter_exception, resource_not_found_exception};
use api_logs::{
    DescribeQueries, DescribeQueriesRequest, DescribeQueriesResponse, GetLogGroupFields, GetLogGroupFieldsRequest,
    GetLogGroupFieldsResponse, GetLogRecord, GetLogRecordRequest, GetLogRecordResponse, GetQueryResults,
    GetQueryResultsRequest, GetQueryResultsResponse, LogGroupField, QueryInfo, QueryStatistics, ResultField,
    StartQuery, StartQueryRequest, StartQueryResponse, StopQuery, StopQueryRequest, StopQueryResponse,
};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use service::{Cx, Handle, Router};
use store::{Done, NewTask, Runner, Task};
use wire::Error;
use wire::arn::Arn;

use super::{limit, page};
use crate::Telemetry;
use crate::insights::{Found, Query, Row, Running, fields};
use crate::logs::{Event, Scope, events_of};

pub(crate) const RUN: &str = "logs:query";
/// Queries that run at once. Source: CloudWatch Logs quotas, "Concurrent queries" are more; this machine has not so many cores.
pub(crate) const AT_ONCE: usize = 4;
/// Rows where neither query nor request say how many. Source: API Reference, StartQuery, `limit`.
const MOST: usize = 10_000;
/// Groups of one query. Source: API Reference, StartQuery.
const MOST_GROUPS: usize = 50;
/// Milliseconds for which a query's results are kept. Source: CloudWatch Logs quotas, "Query results availability".
const KEPT_MS: i64 = 7 * 86_400_000;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    /// Version of the record's form.
    version: u32,
    id: String,
    text: String,
    groups: Vec<String>,
    from_ms: i64,
    to_ms: i64,
    limit: Option<usize>,
    status: String,
    who: String,
    created_ms: i64,
    ended_ms: Option<i64>,
    /// How often it was begun: what ended the server each time is not begun for ever.
    #[serde(default)]
    starts: u32,
    scanned: usize,
    matched: usize,
    bytes: usize,
}

impl Record {
    fn is_over(&self) -> bool {
        !matches!(self.status.as_str(), "Scheduled" | "Running")
    }
}

type Rows = Vec<Vec<(String, String)>>;

fn task(id: &str) -> String {
    format!("{RUN}/{id}")
}

fn missing(id: &str) -> Error {
    resource_not_found_exception(format!("The specified query {id} does not exist."))
}

/// Seconds since 1970; numbers too great to be seconds are milliseconds, as AWS takes them.
const fn time_ms(given: i64) -> i64 {
    if given < 100_000_000_000 { given * 1000 } else { given }
}

#[async_trait]
impl Handle<StartQuery> for Telemetry {
    async fn handle(&self, cx: &Cx, req: StartQueryRequest) -> Result<StartQueryResponse, Error> {
        if let Some(language) = req.query_language.filter(|language| language != "CWLI") {
            return Err(invalid_parameter_exception(format!("The query language {language} is not supported here")));
        }
        let given = [
            req.log_group_name.map(|name| vec![name]),
            req.log_group_names.filter(|names| !names.is_empty()),
            req.log_group_identifiers.filter(|names| !names.is_empty()),
        ];
        let mut given = given.into_iter().flatten();
        let (Some(names), None) = (given.next(), given.next()) else {
            let text = "Exactly one of logGroupName, logGroupNames and logGroupIdentifiers is needed";
            return Err(invalid_parameter_exception(text));
        };
        if names.len() > MOST_GROUPS {
            return Err(invalid_parameter_exception(format!(
                "At most {MOST_GROUPS} log groups can be queried at once"
            )));
        }
        Query::parse(&req.query_string)?;
        let (from_ms, to_ms) = (time_ms(req.start_time), time_ms(req.end_time));
        if from_ms > to_ms {
            return Err(invalid_parameter_exception("Query's end time is before its start time"));
        }
        let scope = Scope::of(cx);
        let record = Record {
            version: 1,
            id: cx.uuid(),
            text: req.query_string,
            groups: names.iter().map(|name| group_of(cx, name)).collect::<Result<_, _>>()?,
            from_ms,
            to_ms,
            limit: req.limit.and_then(|n| usize::try_from(n).ok()),
            status: "Scheduled".to_owned(),
            who: cx.principal().arn(cx.account()),
            created_ms: cx.now().as_millisecond(),
            ended_ms: None,
            starts: 0,
            scanned: 0,
            matched: 0,
            bytes: 0,
        };
        let (account, region) = (cx.account().to_owned(), cx.region().to_owned());
        cx.write(&self.store, move |tx| {
            for group in &record.groups {
                scope.load_group(tx, group).map_err(|_| {
                    let text = format!("Log group '{group}' does not exist for account ID '{account}'");
                    resource_not_found_exception(text)
                })?;
            }
            forget(tx, &scope, record.created_ms)?;
            tx.put_json(scope.asked().push(&record.id), &record)?;
            let payload = (&account, &region, &record.id);
            tx.enqueue(NewTask::new(RUN, task(&record.id)).payload(&payload)?)?;
            Ok(StartQueryResponse { query_id: Some(record.id.clone()) })
        })
        .await
    }
}

/// Queries whose results are no longer told.
fn forget(tx: &mut store::Tx<'_>, scope: &Scope, now_ms: i64) -> Result<(), Error> {
    let all: Vec<Record> = tx.list_json(scope.asked(), usize::MAX)?;
    for old in all.iter().filter(|record| record.is_over() && now_ms - record.created_ms > KEPT_MS) {
        tx.delete(scope.asked().push(&old.id))?;
        tx.delete(scope.answers().push(&old.id))?;
    }
    Ok(())
}

/// The name of a log group, which may be told by its ARN: another region's or account's group is not the one of its name here.
pub(super) fn group_of(cx: &Cx, identifier: &str) -> Result<String, Error> {
    let Some(arn) = Arn::parse(identifier) else { return Ok(identifier.to_owned()) };
    let name = arn.resource.strip_prefix("log-group:").map(|name| name.strip_suffix(":*").unwrap_or(name));
    match name.filter(|_| (arn.region.as_str(), arn.account.as_str()) == (cx.region(), cx.account())) {
        Some(name) => Ok(name.to_owned()),
        None => Err(resource_not_found_exception("The specified log group does not exist.")),
    }
}

#[async_trait]
impl Handle<GetQueryResults> for Telemetry {
    async fn handle(&self, cx: &Cx, req: GetQueryResultsRequest) -> Result<GetQueryResultsResponse, Error> {
        let scope = Scope::of(cx);
        let id = req.query_id;
        let found: Option<(Record, Rows)> = self
            .store
            .read(|tx| {
                let Some(record) = tx.get_json::<Record>(scope.asked().push(&id))? else { return Ok(None) };
                let rows = tx.get_json(scope.answers().push(&id))?.unwrap_or_default();
                Ok::<_, Error>(Some((record, rows)))
            })
            .await?;
        let (record, rows) = found.ok_or_else(|| missing(&id))?;
        let start = match req.next_token.as_deref().map(str::parse::<usize>) {
            None => 0,
            Some(Ok(start)) => start,
            Some(Err(_)) => return Err(invalid_parameter_exception("The specified nextToken is invalid.")),
        };
        let most = limit(req.max_items, MOST);
        let next = start.saturating_add(most);
        let shown = rows.iter().skip(start).take(most).map(|row| {
            let field = |(name, value): &(String, String)| ResultField {
                field: Some(name.clone()),
                value: Some(value.clone()),
            };
            row.iter().map(field).collect()
        });
        #[expect(clippy::cast_precision_loss, reason = "they are told so")]
        let number = |n: usize| Some(n as f64);
        Ok(GetQueryResultsResponse {
            query_language: Some("CWLI".to_owned()),
            results: Some(shown.collect()),
            statistics: Some(QueryStatistics {
                records_matched: number(record.matched),
                records_scanned: number(record.scanned),
                bytes_scanned: number(record.bytes),
                log_groups_scanned: number(record.groups.len()),
                estimated_records_skipped: number(0),
                estimated_bytes_skipped: number(0),
                result_count: number(rows.len()),
            }),
            status: Some(record.status),
            next_token: (most > 0 && next < rows.len()).then(|| next.to_string()),
            ..GetQueryResultsResponse::default()
        })
    }
}

#[async_trait]
impl Handle<StopQuery> for Telemetry {
    async fn handle(&self, cx: &Cx, req: StopQueryRequest) -> Result<StopQueryResponse, Error> {
        let (scope, now) = (Scope::of(cx), cx.now().as_millisecond());
        cx.write(&self.store, move |tx| {
            let key = scope.asked().push(&req.query_id);
            let Some(mut record) = tx.get_json::<Record>(&key)? else { return Err(missing(&req.query_id)) };
            if record.is_over() {
                let text = format!("Query with ID {} is not running: its status is {}", record.id, record.status);
                return Err(invalid_parameter_exception(text));
            }
            "Cancelled".clone_into(&mut record.status);
            record.ended_ms = Some(now);
            tx.put_json(&key, &record)?;
            tx.cancel_task(&task(&record.id))?;
            Ok(StopQueryResponse { success: Some(true) })
        })
        .await
    }
}

#[async_trait]
impl Handle<DescribeQueries> for Telemetry {
    async fn handle(&self, cx: &Cx, req: DescribeQueriesRequest) -> Result<DescribeQueriesResponse, Error> {
        let scope = Scope::of(cx);
        let mut all: Vec<Record> = self.store.read(|tx| tx.list_json(scope.asked(), usize::MAX)).await?;
        // The newest first.
        let name = |record: &Record| format!("{:020}{}", i64::MAX - record.created_ms, record.id);
        all.sort_by_key(name);
        let keep = |record: &Record| {
            req.log_group_name.as_ref().is_none_or(|group| record.groups.contains(group))
                && req.status.as_ref().is_none_or(|status| record.status == *status)
                && req.query_language.as_deref().is_none_or(|language| language == "CWLI")
        };
        let (found, next_token) = page(all, limit(req.max_results, 1000), name, req.next_token.as_deref(), keep);
        #[expect(clippy::cast_precision_loss, reason = "they are told so")]
        let info = |record: Record| QueryInfo {
            query_language: Some("CWLI".to_owned()),
            query_id: Some(record.id),
            query_string: Some(record.text),
            status: Some(record.status),
            create_time: Some(record.created_ms),
            log_group_name: record.groups.into_iter().next(),
            query_duration: record.ended_ms.map(|ended| ended - record.created_ms),
            bytes_scanned: Some(record.bytes as f64),
            user_identity: Some(record.who),
        };
        Ok(DescribeQueriesResponse { queries: Some(found.into_iter().map(info).collect()), next_token })
    }
}

#[async_trait]
impl Handle<GetLogRecord> for Telemetry {
    async fn handle(&self, cx: &Cx, req: GetLogRecordRequest) -> Result<GetLogRecordResponse, Error> {
        let invalid = || invalid_parameter_exception("The specified log record pointer is invalid.");
        let bytes = BASE64.decode(&req.log_record_pointer).map_err(|_| invalid())?;
        let (group, id): (String, String) = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
        let time: i64 = id.get(..20).and_then(|time| time.parse().ok()).ok_or_else(invalid)?;
        let all = self.read_events(cx, &group, (time, time + 1), |_, _| true).await?;
        let event = all.into_iter().find(|event| event.id == id);
        let event = event.ok_or_else(|| resource_not_found_exception("The specified log record does not exist."))?;
        let log = format!("{}:{group}", cx.account());
        let record = fields::told(&event, &log, req.log_record_pointer);
        Ok(GetLogRecordResponse { log_record: Some(record.into_iter().collect()) })
    }
}

#[async_trait]
impl Handle<GetLogGroupFields> for Telemetry {
    async fn handle(&self, cx: &Cx, req: GetLogGroupFieldsRequest) -> Result<GetLogGroupFieldsResponse, Error> {
        let name = req.log_group_name.or(req.log_group_identifier);
        let name =
            name.ok_or_else(|| invalid_parameter_exception("Either logGroupName or logGroupIdentifier is needed"))?;
        let group = group_of(cx, &name)?;
        let scope = Scope::of(cx);
        self.store.read(|tx| scope.load_group(tx, &group)).await?;
        // Eight minutes before and after; without a time, the last fifteen. Source: API Reference, GetLogGroupFields.
        let now = cx.now().as_millisecond();
        let (from, to) = match req.time.map(time_ms) {
            Some(time) => (time - 480_000, time + 480_000),
            None => (now - 900_000, now + 1),
        };
        let (mut counts, mut all) = (BTreeMap::<String, usize>::new(), 0_usize);
        let mut after = None;
        loop {
            let (batches, next) = self.read_some(cx, &group, (from, to), after.as_deref()).await?;
            for (key, value) in &batches {
                for event in events_of(key, value, (from, to))? {
                    all += 1;
                    for name in fields::of(&event, "", String::new()).into_keys().filter(|name| name != "@ptr") {
                        *counts.entry(name).or_default() += 1;
                    }
                }
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        let mut found: Vec<(String, usize)> = counts.into_iter().collect();
        found.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let shown = found.into_iter().map(|(name, count)| LogGroupField {
            name: Some(name),
            percent: i32::try_from(count * 100 / all.max(1)).ok(),
        });
        Ok(GetLogGroupFieldsResponse { log_group_fields: Some(shown.collect()) })
    }
}

/// The queries' task.
pub(crate) struct Queries(pub(crate) Arc<Telemetry>, pub(crate) Arc<Router>);

#[async_trait]
impl Runner for Queries {
    async fn run(&self, task: Task) -> Done {
        let Ok((account, region, id)) = task.payload::<(String, String, String)>() else { return Done::Finished };
        let cx = Cx::platform(&self.1, &account, &region);
        match self.0.run_query(&cx, &id, &|| task.is_cancelled()).await {
            Ok(()) => Done::Finished,
            Err(error) => {
                tracing::error!(query = id, %error, "a query of logs is interrupted; it is run again in a while");
                Done::RetryAfter(jiff::SignedDuration::from_secs(10))
            }
        }
    }
}

impl Telemetry {
    async fn run_query(&self, cx: &Cx, id: &str, stopped: Stopped<'_>) -> Result<(), Error> {
        let scope = Scope::of(cx);
        let key = scope.asked().push(id);
        let Some(record) = self.become_running(key.clone()).await? else { return Ok(()) };
        let Some((end, scanned, bytes)) = self.search(cx, &record, stopped).await? else { return Ok(()) };
        let answers = scope.answers().push(id);
        self.store
            .write(move |tx| {
                let Some(mut record) = tx.get_json::<Record>(&key)? else { return Ok(()) };
                if record.is_over() {
                    return Ok(());
                }
                (record.scanned, record.bytes, record.ended_ms) = (scanned, bytes, Some(tx.now().as_millisecond()));
                match &end {
                    End::Complete(found) => {
                        record.matched = found.matched;
                        tx.put_json(&answers, &found.rows)?;
                    }
                    End::Failed | End::Timeout => {}
                }
                end.name().clone_into(&mut record.status);
                Ok::<_, Error>(tx.put_json(&key, &record)?)
            })
            .await
    }

    /// Reads the events of a query's time, some at a time: how it ends, how many events and how many bytes it has looked at. `None` where it
    /// was stopped.
    async fn search(
        &self,
        cx: &Cx,
        record: &Record,
        stopped: Stopped<'_>,
    ) -> Result<Option<(End, usize, usize)>, Error> {
        let (mut scanned, mut bytes) = (0, 0);
        let began = cx.now();
        let Ok(query) = Query::parse(&record.text) else { return Ok(Some((End::Failed, 0, 0))) };
        let mut running = Running::new(query, record.limit.unwrap_or(MOST), began.as_millisecond());
        let range = (record.from_ms, record.to_ms.saturating_add(1));
        for group in &record.groups {
            let mut after = None;
            loop {
                if stopped() {
                    return Ok(None);
                }
                if cx.now().duration_since(began) > LONGEST {
                    return Ok(Some((End::Timeout, scanned, bytes)));
                }
                let (batches, next) = self.read_some(cx, group, range, after.as_deref()).await?;
                let log = (format!("{}:{group}", cx.account()), group.clone());
                // It may take its time, and others want theirs.
                let step = tokio::task::spawn_blocking(move || take(running, &batches, range, &log));
                let Ok(taken) = step.await else { return Ok(Some((End::Failed, scanned, bytes))) };
                let taken = taken?;
                running = taken.running;
                scanned += taken.events;
                bytes += taken.bytes;
                if running.is_too_much() {
                    tracing::warn!(query = record.id, "a query of logs holds too much in memory and is given up");
                    return Ok(Some((End::Failed, scanned, bytes)));
                }
                after = next;
                if after.is_none() {
                    break;
                }
            }
        }
        let found = tokio::task::spawn_blocking(move || running.finish()).await;
        Ok(Some((found.map_or(End::Failed, End::Complete), scanned, bytes)))
    }

    /// `None` where it was stopped, or has been begun too often.
    async fn become_running(&self, key: store::Key) -> Result<Option<Record>, Error> {
        self.store
            .write(move |tx| {
                let Some(mut record) = tx.get_json::<Record>(&key)? else { return Ok(None) };
                if record.is_over() {
                    return Ok(None);
                }
                if record.starts >= MOST_STARTS {
                    End::Failed.name().clone_into(&mut record.status);
                    record.ended_ms = Some(tx.now().as_millisecond());
                    tx.put_json(&key, &record)?;
                    return Ok(None);
                }
                "Running".clone_into(&mut record.status);
                record.starts += 1;
                tx.put_json(&key, &record)?;
                Ok(Some(record))
            })
            .await
    }
}

/// Source: CloudWatch Logs quotas, "Query timeout".
const LONGEST: jiff::SignedDuration = jiff::SignedDuration::from_mins(60);
/// A query that was cut short is run again so often at most, with its first time.
const MOST_STARTS: u32 = 3;
/// Rows are made of so many bytes of messages at a time.
const TAKEN_AT_ONCE: usize = 1 << 20;

/// Whether a query is no longer wanted.
type Stopped<'a> = &'a (dyn Fn() -> bool + Sync);

/// How a query ends.
enum End {
    Complete(Found),
    Failed,
    Timeout,
}

impl End {
    const fn name(&self) -> &'static str {
        match self {
            Self::Complete(_) => "Complete",
            Self::Failed => "Failed",
            Self::Timeout => "Timeout",
        }
    }
}

struct Taken {
    running: Running,
    events: usize,
    bytes: usize,
}

/// Gives a query the events of batches of a group: its account and name, and its name.
fn take(
    mut running: Running,
    batches: &[store::kv::Pair],
    range: (i64, i64),
    (log, group): &(String, String),
) -> Result<Taken, Error> {
    let (mut events, mut bytes, mut waiting) = (0, 0, 0);
    let mut rows = Vec::new();
    for (key, value) in batches {
        for event in events_of(key, value, range)? {
            events += 1;
            bytes += event.message.len();
            waiting += event.message.len();
            rows.push(Row::from(fields::of(&event, log, pointer(group, &event))));
        }
        if waiting > TAKEN_AT_ONCE {
            running.take(std::mem::take(&mut rows));
            waiting = 0;
            if running.is_too_much() {
                break;
            }
        }
    }
    running.take(rows);
    Ok(Taken { running, events, bytes })
}

/// What `@ptr` is.
fn pointer(group: &str, event: &Event) -> String {
    BASE64.encode(serde_json::json!([group, event.id]).to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use service::{Platform, Principal, Settings};
    use store::{Queue, Store};

    use super::*;

    fn bench() -> (Arc<Telemetry>, Cx) {
        let router = Router::new();
        let queue = || Queue::new(Store::memory());
        let platform = Platform {
            router: router.clone(),
            control: queue(),
            s3: queue(),
            dynamodb: queue(),
            data: std::path::PathBuf::new(),
            objects: None,
            endpoint: "http://127.0.0.1:4566".to_owned(),
            account: "000000000000".to_owned(),
            region: "eu-west-1".to_owned(),
            settings: Settings::default(),
        };
        let service = crate::register(&platform);
        (service, Cx::new(router, Principal::root("000000000000"), "000000000000", "eu-west-1"))
    }

    async fn call(cx: &Cx, operation: &str, input: Value) -> Value {
        cx.call_json("cloudwatchlogs", operation, input).await.unwrap()
    }

    /// A group of so many batches, of two events each, and a query of it.
    async fn query(cx: &Cx, batches: i64, text: &str) -> String {
        call(cx, "createLogGroup", json!({"LogGroupName": "g"})).await;
        call(cx, "createLogStream", json!({"LogGroupName": "g", "LogStreamName": "s"})).await;
        let now = cx.now().as_millisecond();
        for n in 0..batches {
            let event = |n: i64| json!({"Timestamp": now - 3_600_000 + n, "Message": format!("{n}")});
            let events = json!([event(n), event(n + 1)]);
            let input = json!({"LogGroupName": "g", "LogStreamName": "s", "LogEvents": events});
            call(cx, "putLogEvents", input).await;
        }
        let input = json!({"LogGroupName": "g", "StartTime": 0, "EndTime": now / 1000 + 60, "QueryString": text});
        call(cx, "startQuery", input).await["QueryId"].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn all_batches_are_read_once() {
        let (service, cx) = bench();
        let id = query(&cx, 150, "filter @message >= 100 | stats count(*) as n, max(@message) as m").await;
        service.run_query(&cx, &id, &|| false).await.unwrap();
        let found = call(&cx, "getQueryResults", json!({"QueryId": id})).await;
        assert_eq!((&found["Status"], &found["Statistics"]["RecordsScanned"]), (&json!("Complete"), &json!(300.0)));
        assert_eq!(found["Statistics"]["RecordsMatched"], json!(101.0));
        assert_eq!(found["Results"][0][0]["Value"], "101");
        assert_eq!(found["Results"][0][1]["Value"], "150");
        let fields = call(&cx, "getLogGroupFields", json!({"LogGroupName": "g", "Time": cx.now().as_second() - 3600}));
        let fields = fields.await;
        assert!(fields["LogGroupFields"].as_array().unwrap().iter().all(|field| field["Percent"] == 100), "{fields}");
    }

    /// A query in whose runs the server ends is not run for ever.
    #[tokio::test]
    async fn what_ends_the_server_is_not_begun_for_ever() {
        let (service, cx) = bench();
        let id = query(&cx, 1, "limit 1").await;
        let key = Scope::of(&cx).asked().push(&id);
        for _ in 0..MOST_STARTS {
            assert!(service.become_running(key.clone()).await.unwrap().is_some());
        }
        service.run_query(&cx, &id, &|| false).await.unwrap();
        assert_eq!(call(&cx, "getQueryResults", json!({"QueryId": id})).await["Status"], "Failed");
    }

    #[tokio::test]
    async fn what_is_stopped_does_not_run() {
        let (service, cx) = bench();
        let id = query(&cx, 1, "limit 1").await;
        call(&cx, "stopQuery", json!({"QueryId": id})).await;
        let left = service.store.read(|tx| tx.has_task(&task(&id))).await.unwrap();
        assert!(!left, "its task is gone with it");
        service.run_query(&cx, &id, &|| false).await.unwrap();
        assert_eq!(call(&cx, "getQueryResults", json!({"QueryId": id})).await["Status"], "Cancelled");
    }
}
