//! What is outside the process: workers and scripts that do what jobs ask for, and who hears of it. A worker reaches S3 and the
//! catalog with the keys of its attempt, as the real ones do; a call that it has begun goes on when the worker is given up.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use api_events::{PutEvents, PutEventsRequest, PutEventsResponse};
use api_logs::{CreateLogGroup, CreateLogGroupRequest, CreateLogStream, CreateLogStreamRequest};
use api_logs::{PutLogEvents, PutLogEventsRequest, PutLogEventsResponse};
use async_trait::async_trait;
use bytes::Bytes;
use compute::Compute;
use compute::budget::Budget;
use compute::pyenv::{PyEnv, PythonEnvs};
use compute::spark::{Job, ScriptEnd};
use compute::worker::{Config, Work, Workers};
use http_body_util::BodyExt as _;
use s3_service::Door;
use serde_json::{Value, json};
use service::identity::{Credentials, Identity};
use service::{Cx, Handle, Principal, Router};
use store::Clock as _;
use wire::Error;
use wire::sigv4::{SigningKeys, sign_request};
use wire::types::Empty;

use super::{ACCOUNT, REGION};
use crate::chance::Chance;
use crate::clock::SimClock;

/// Everything outside. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Outside {
    pub(crate) clock: SimClock,
    state: Arc<Mutex<State>>,
    calm: bool,
}

struct State {
    chance: Chance,
    faults: Vec<String>,
    /// Final states that were told, by the job.
    told: BTreeMap<String, Vec<String>>,
    serial: u64,
    /// Keys that are valid.
    keys: BTreeMap<String, Credentials>,
    router: Option<Arc<Router>>,
}

impl Outside {
    pub(crate) fn new(clock: SimClock, chance: Chance, calm: bool) -> Self {
        let (faults, told, keys) = Default::default();
        let state = State { chance, faults, told, serial: 0, keys, router: None };
        Self { clock, state: Arc::new(Mutex::new(state)), calm }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn fault(&self, what: String) {
        self.state().faults.push(what);
    }

    pub(crate) fn faults(&self) -> Vec<String> {
        self.state().faults.clone()
    }

    pub(crate) fn chance<T>(&self, draw: impl FnOnce(&mut Chance) -> T) -> T {
        draw(&mut self.state().chance)
    }

    pub(crate) fn told(&self) -> BTreeMap<String, Vec<String>> {
        self.state().told.clone()
    }

    /// A new process: the keys that the one before had lent are gone with it.
    pub(crate) fn born(&self, router: &Arc<Router>) {
        let mut state = self.state();
        state.keys.clear();
        state.router = Some(router.clone());
    }

    pub(crate) fn keys(&self) -> usize {
        self.state().keys.len()
    }

    fn serial(&self) -> u64 {
        let mut state = self.state();
        state.serial += 1;
        state.serial
    }

    pub(crate) async fn sleep_ms(&self, ms: u64) {
        self.clock.sleep(Duration::from_millis(ms)).await;
    }
}

/// Lends keys to everybody.
pub(crate) struct Keys(Outside);

impl Keys {
    pub(crate) fn new(outside: Outside) -> Self {
        Self(outside)
    }
}

#[async_trait]
impl Identity for Keys {
    async fn credentials(&self, access_key: &str) -> Result<Option<Credentials>, Error> {
        Ok(self.0.state().keys.get(access_key).cloned())
    }
    async fn authorize(&self, _: &Principal, _: &str, _: &str) -> Result<(), Error> {
        Ok(())
    }
    async fn role_session(&self, role_arn: &str, session: &str, attempt: Option<&str>) -> Result<Principal, Error> {
        let (role_arn, session, attempt) = (role_arn.to_owned(), session.to_owned(), attempt.map(str::to_owned));
        Ok(Principal::role(role_arn, session, attempt))
    }
    async fn issue(&self, _: &Principal, _: jiff::SignedDuration) -> Result<Credentials, Error> {
        Err(Error::not_implemented("keys that outlive the server"))
    }
    async fn lend_attempt(
        &self,
        principal: &Principal,
        attempt: &str,
        _: jiff::SignedDuration,
    ) -> Result<Credentials, Error> {
        let access_key = format!("ASIA{}", self.0.serial());
        let credentials = Credentials {
            access_key: access_key.clone(),
            secret_key: "secret".to_owned(),
            session_token: None,
            expires: None,
            principal: principal.clone(),
            account: ACCOUNT.to_owned(),
            attempt: Some(attempt.to_owned()),
        };
        self.0.state().keys.insert(access_key, credentials.clone());
        Ok(credentials)
    }
    async fn revoke(&self, access_key: &str) -> Result<(), Error> {
        self.0.state().keys.remove(access_key);
        Ok(())
    }
}

#[async_trait]
impl Handle<PutEvents> for Outside {
    async fn handle(&self, _: &Cx, input: PutEventsRequest) -> Result<PutEventsResponse, Error> {
        for entry in input.entries {
            let detail: Value = serde_json::from_str(&entry.detail.unwrap_or_default()).unwrap_or_default();
            let text = |names: &[&str]| names.iter().find_map(|name| detail[*name].as_str()).map(str::to_owned);
            let job = text(&["queryExecutionId", "jobRunId", "TransformJobName", "crawlerName"]).unwrap_or_default();
            let state = text(&["currentState", "TransformJobStatus", "state"]).unwrap_or_default();
            if !["QUEUED", "RUNNING", "Started", "InProgress", "Stopping"].contains(&state.as_str()) {
                self.state().told.entry(job).or_default().push(state);
            }
        }
        Ok(PutEventsResponse { failed_entry_count: Some(0), ..Default::default() })
    }
}

#[async_trait]
impl Handle<CreateLogGroup> for Outside {
    async fn handle(&self, _: &Cx, _: CreateLogGroupRequest) -> Result<Empty, Error> {
        Ok(Empty::default())
    }
}

#[async_trait]
impl Handle<CreateLogStream> for Outside {
    async fn handle(&self, _: &Cx, _: CreateLogStreamRequest) -> Result<Empty, Error> {
        Ok(Empty::default())
    }
}

#[async_trait]
impl Handle<PutLogEvents> for Outside {
    async fn handle(&self, _: &Cx, _: PutLogEventsRequest) -> Result<PutLogEventsResponse, Error> {
        Ok(PutLogEventsResponse::default())
    }
}

/// Compute whose workers are simulated.
pub(crate) fn compute(
    outside: &Outside,
    router: &Arc<Router>,
    keys: Arc<Keys>,
    door: &Arc<OnceLock<Arc<Door>>>,
) -> Compute {
    let root = std::env::temp_dir().join("lakerun-sim");
    let site_packages = root.join("site-packages");
    let env = PyEnv { python: root.join("python"), root, site_packages, read_paths: Vec::new() };
    let budget = Budget::new(Some(64), Some(64_000));
    let config = Config {
        exe: None,
        env: Vec::new(),
        scratch: PathBuf::new(),
        idle: Duration::from_mins(1),
        budget: budget.clone(),
        envs: PythonEnvs::given(env.clone()),
    };
    let work = Arc::new(Workforce { outside: outside.clone(), door: door.clone(), router: router.clone(), keys });
    Compute { budget, envs: PythonEnvs::given(env), workers: Workers::elsewhere(config, work) }
}

struct Workforce {
    outside: Outside,
    door: Arc<OnceLock<Arc<Door>>>,
    router: Arc<Router>,
    keys: Arc<Keys>,
}

/// How a worker's work goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Works,
    /// Says no after so many steps.
    Fails(u64),
    /// Dies after so many steps.
    Dies(u64),
    /// Never answers.
    Hangs,
}

/// One worker at work.
#[derive(Clone)]
struct Hand {
    outside: Outside,
    cx: Cx,
    door: Arc<Door>,
    key: String,
    fate: Fate,
    done: Arc<Mutex<u64>>,
}

/// Why a worker stops.
enum Stop {
    Fails(String),
    Dies,
}

type Step<T> = Result<T, Stop>;

impl Workforce {
    async fn hand(&self, key: &str) -> Hand {
        let platform = Cx::platform(&self.router, ACCOUNT, REGION);
        let cx = if let Ok(Some(keys)) = self.keys.credentials(key).await {
            platform.with_credentials(keys)
        } else {
            self.outside.fault(format!("a worker was given the key {key}, which is not valid"));
            platform
        };
        let calm = self.outside.calm;
        let fate = self.outside.chance(|chance| match chance.below(if calm { 14 } else { 20 }) {
            0..14 => Fate::Works,
            14 | 15 => Fate::Fails(chance.below(5)),
            16..19 => Fate::Dies(chance.below(5)),
            _ => Fate::Hangs,
        });
        let door = self.door.get().cloned().expect("it is there before the queue starts");
        Hand { outside: self.outside.clone(), cx, door, key: key.to_owned(), fate, done: Arc::default() }
    }
}

impl Hand {
    /// A step of the work: takes its time, and may be the last.
    async fn step(&self) -> Step<()> {
        let takes =
            self.outside.chance(|chance| if chance.permille(100) { chance.below(90_000) } else { chance.below(3000) });
        self.outside.sleep_ms(takes).await;
        let done = {
            let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
            *done += 1;
            *done - 1
        };
        match self.fate {
            Fate::Fails(at) if done >= at => Err(Stop::Fails("it fails".to_owned())),
            Fate::Dies(at) if done >= at => Err(Stop::Dies),
            Fate::Hangs if done >= 2 => std::future::pending().await,
            _ => Ok(()),
        }
    }

    /// A call with the attempt's keys. Once sent it arrives, whatever becomes of the worker, and at times late.
    async fn call(&self, service: &'static str, operation: &'static str, input: Value) -> Step<Value> {
        let (cx, outside) = (self.cx.clone(), self.outside.clone());
        let late = self.late();
        let sent = tokio::spawn(async move {
            outside.sleep_ms(late).await;
            cx.call_json(service, operation, input).await
        });
        match sent.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Stop::Fails(format!("{operation}: {error}"))),
            Err(_) => Err(Stop::Dies),
        }
    }

    /// Writes an object, in one piece or as an upload.
    async fn write(&self, key: &str, body: &str) -> Step<()> {
        self.step().await?;
        if self.outside.chance(|chance| chance.permille(500)) {
            self.call("s3", "putObject", json!({ "Bucket": "lake", "Key": key, "Body": body })).await?;
            return Ok(());
        }
        let place = format!("/lake/{key}");
        let begun = self.http("POST", format!("{place}?uploads="), "").await?.1;
        let upload = between(&begun, "<UploadId>", "</UploadId>");
        self.step().await?;
        let tag = self.http("PUT", format!("{place}?partNumber=1&uploadId={upload}"), body).await?.0;
        self.step().await?;
        let parts = format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{tag}</ETag></Part></CompleteMultipartUpload>"
        );
        self.http("POST", format!("{place}?uploadId={upload}"), &parts).await?;
        Ok(())
    }

    /// A signed request of S3's own protocol: the ETag and the body of the answer.
    async fn http(&self, method: &'static str, uri: String, body: &str) -> Step<(String, String)> {
        let (door, key, body) = (self.door.clone(), self.key.clone(), Bytes::from(body.to_owned()));
        let late = self.late();
        let outside = self.outside.clone();
        let sent = tokio::spawn(async move {
            outside.sleep_ms(late).await;
            let mut headers = http::HeaderMap::new();
            headers.insert("host", http::HeaderValue::from_static("127.0.0.1:4566"));
            headers.insert("content-length", body.len().into());
            let keys = SigningKeys { access_key: &key, secret_key: "secret", session_token: None };
            let (path, query) = uri.split_once('?').unwrap_or((&uri, ""));
            sign_request(
                (method, path, query),
                &mut headers,
                &body,
                ("us-east-1", "s3"),
                &keys,
                jiff::Timestamp::now(),
            );
            let mut request = http::Request::new(s3s::Body::from(body));
            *request.method_mut() = method.parse().map_err(Error::internal)?;
            *request.uri_mut() = uri.parse().map_err(Error::internal)?;
            *request.headers_mut() = headers;
            let answer = door.serve(request).await;
            let (status, tag) = (answer.status(), answer.headers().get("etag").cloned());
            let bytes = answer.into_body().collect().await.map_err(Error::internal)?.to_bytes();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let tag = tag.and_then(|tag| tag.to_str().map(str::to_owned).ok()).unwrap_or_default();
            if status.is_success() { Ok((tag, text)) } else { Err(Error::new("S3", status.as_u16(), text)) }
        });
        match sent.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Stop::Fails(error.to_string())),
            Err(_) => Err(Stop::Dies),
        }
    }

    fn late(&self) -> u64 {
        self.outside.chance(|chance| if chance.permille(100) { chance.below(60_000) } else { chance.below(20) })
    }
}

fn between(text: &str, begin: &str, end: &str) -> String {
    let rest = text.split_once(begin).map_or("", |(_, rest)| rest);
    rest.split_once(end).map_or("", |(inside, _)| inside).to_owned()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn crashed() -> compute::Error {
    compute::Error::Crashed { status: "signal: killed".to_owned(), detail: String::new() }
}

#[async_trait]
impl Work for Workforce {
    async fn call(&self, kind: &str, request: Value) -> Result<Value, compute::Error> {
        let failed = |message: String| compute::Error::Failed { code: "Failed".to_owned(), message };
        match kind {
            "query" => {
                let hand = self.hand(&text(&request["access_key_id"])).await;
                match query(&hand, &request).await {
                    Ok(answer) => Ok(json!({ "ok": answer })),
                    Err(Stop::Dies) => Err(crashed()),
                    Err(Stop::Fails(message)) => {
                        let error =
                            json!({ "category": 2, "error_type": 1006, "retryable": false, "message": message });
                        Ok(json!({ "failed": { "error": error, "scanned_bytes": 1 } }))
                    }
                }
            }
            "crawl" => {
                let hand = self.hand(&text(&request["connection"]["access_key"])).await;
                match crawl(&hand, &request).await {
                    Ok(report) => Ok(report),
                    Err(Stop::Dies) => Err(crashed()),
                    Err(Stop::Fails(message)) => Err(failed(message)),
                }
            }
            _ => {
                let hand = self.hand(&text(&request["access"]["key_id"])).await;
                let output = text(&request["output"]["s3_output_path"]);
                let output = if output.is_empty() { text(&request["output"]["S3OutputPath"]) } else { output };
                match pieces(&hand, output.trim_start_matches("s3://lake/"), "part").await {
                    Ok(()) => Ok(json!({})),
                    Err(Stop::Dies) => Err(crashed()),
                    Err(Stop::Fails(message)) => Err(failed(message)),
                }
            }
        }
    }

    async fn script(&self, job: &Job) -> Result<ScriptEnd, compute::Error> {
        let of = |name: &str| job.env.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()).unwrap_or_default();
        let hand = self.hand(&of("AWS_ACCESS_KEY_ID")).await;
        let run = of("LAKERUN_JOB_RUN_ID");
        // A name of its own for each attempt, as Spark gives its files: what is written twice shows.
        match pieces(&hand, &format!("out/{run}"), &format!("{}", self.outside.serial())).await {
            Ok(()) => Ok(ScriptEnd::Succeeded),
            Err(Stop::Dies) => Ok(ScriptEnd::Failed("Command failed with exit code 137".to_owned())),
            Err(Stop::Fails(message)) => Ok(ScriptEnd::Failed(message)),
        }
    }
}

/// Two objects.
async fn pieces(hand: &Hand, folder: &str, name: &str) -> Step<()> {
    for n in 0..2 {
        hand.write(&format!("{}/{name}-{n}", folder.trim_end_matches('/')), "rows").await?;
    }
    hand.step().await
}

/// What `SELECT n`, `CREATE TABLE db.tN AS …` and `INSERT INTO db.facts SELECT n` do.
async fn query(hand: &Hand, request: &Value) -> Step<Value> {
    let (sql, id) = (text(&request["sql"]), text(&request["id"]));
    hand.step().await?;
    let number: String = sql.chars().filter(char::is_ascii_digit).collect();
    let column =
        json!({ "Columns": [{ "Name": "n", "Type": "bigint" }], "Location": format!("s3://lake/tables/{number}/") });
    if sql.starts_with("CREATE TABLE") {
        let name = format!("t{number}");
        let found = hand.call("glue", "getTable", json!({ "DatabaseName": "db", "Name": name })).await;
        if found.is_ok() {
            return Err(Stop::Fails("TABLE_ALREADY_EXISTS".to_owned()));
        }
        hand.write(&format!("tables/{number}/{}", hand.outside.serial()), "rows").await?;
        hand.step().await?;
        let table = json!({ "Name": name, "StorageDescriptor": column, "PartitionKeys": [] });
        hand.call("glue", "createTable", json!({ "DatabaseName": "db", "TableInput": table })).await?;
    } else if sql.starts_with("INSERT") {
        hand.write(&format!("facts/{number}/{}", hand.outside.serial()), "rows").await?;
        hand.step().await?;
        let partitions = json!([{ "Values": [number], "StorageDescriptor": column }]);
        let input = json!({ "DatabaseName": "db", "TableName": "facts", "PartitionInputList": partitions });
        let made = hand.call("glue", "batchCreatePartition", input).await?;
        if made["Errors"].as_array().is_some_and(|errors| !errors.is_empty()) {
            return Err(Stop::Fails("the partition exists".to_owned()));
        }
        // Another change of the same record, and of one that others change too.
        hand.step().await?;
        let changed = json!({ "Values": [number], "StorageDescriptor": column, "Parameters": { "rows": "1" } });
        let input = json!({ "DatabaseName": "db", "TableName": "facts", "PartitionValueList": [number], "PartitionInput": changed });
        hand.call("glue", "updatePartition", input).await?;
    }
    if sql.starts_with("DELETE") {
        let found = hand.call("glue", "getTable", json!({ "DatabaseName": "db", "Name": "ice" })).await?;
        let (table, serial) = (&found["Table"], hand.outside.serial());
        let file = format!("ice/{number}/{serial}");
        hand.write(&file, "rows").await?;
        hand.step().await?;
        let files = format!("{} {file}", text(&table["Parameters"]["files"]));
        let state = json!({ "table_type": "ICEBERG", "metadata_location": format!("s3://lake/ice/{serial}-{id}"), "files": files.trim() });
        let new = json!({ "Name": "ice", "StorageDescriptor": table["StorageDescriptor"], "Parameters": state });
        let input = json!({ "DatabaseName": "db", "TableInput": new, "VersionId": table["VersionId"] });
        hand.call("glue", "updateTable", input).await?;
        hand.step().await?;
    }
    let output = text(&request["output"]);
    let key = format!("{}{id}.csv", output.trim_start_matches("s3://lake/"));
    hand.write(&key, "\"1\"\n").await?;
    hand.step().await?;
    Ok(json!({
        "statement_type": "DML", "substatement_type": "SELECT", "output_location": format!("s3://lake/{key}"),
        "manifest_location": null, "columns": [], "update_count": 0, "rows": 1, "scanned_bytes": 1, "planning_ms": 1,
        "execution_ms": 1,
    }))
}

async fn crawl(hand: &Hand, request: &Value) -> Step<Value> {
    for _ in 0..3 {
        hand.step().await?;
        hand.call("s3", "listObjectsV2", json!({ "Bucket": "lake" })).await?;
    }
    let target = &request["crawl"]["targets"][0];
    let root = format!("s3://{}/{}", text(&target["bucket"]), text(&target["prefix"]));
    let storage = json!({
        "location": root, "columns": [{ "name": "n", "type": "bigint" }], "input_format": "i", "output_format": "o",
        "compressed": false, "serde": "s", "serde_parameters": {},
    });
    let table = json!({
        "root": text(&target["prefix"]).trim_end_matches('/'), "include": root, "partition_keys": [], "storage": storage, "parameters": {}, "partitions": [],
    });
    Ok(json!({ "tables": [table], "log": [], "unread": [] }))
}
