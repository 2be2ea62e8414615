//! Who starts jobs, stops some of them, and follows each to its end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use service::Cx;
use store::Clock as _;
use tokio::sync::Semaphore;
use wire::Error;

use super::Ground;
use crate::chance::Chance;
use crate::clock::SimClock;

const ROLE: &str = "arn:aws:iam::000000000000:role/r";

/// Kinds of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Select,
    Ctas,
    Insert,
    /// A new state of a table that others change too.
    Commit,
    Run,
    Crawl,
    Transform,
    Stack,
}

/// One job and who wants it. Outlives the process.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) number: u64,
    pub(crate) what: What,
    start_at: jiff::Timestamp,
    stop_at: Option<jiff::Timestamp>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    id: Option<String>,
    stopped: bool,
    ended: Option<String>,
}

impl Client {
    pub(crate) fn draw(chance: &mut Chance, clock: &SimClock, number: u64) -> Self {
        let all = [
            What::Select,
            What::Ctas,
            What::Ctas,
            What::Insert,
            What::Insert,
            What::Commit,
            What::Commit,
            What::Run,
            What::Crawl,
            What::Transform,
            What::Stack,
        ];
        let what = *chance.pick(&all);
        let start_at = clock.now() + Duration::from_millis(chance.below(20_000));
        let stop_at = chance.permille(350).then(|| start_at + Duration::from_millis(chance.below(60_000)));
        Self { number, what, start_at, stop_at, state: Arc::default() }
    }

    /// One that starts at once.
    pub(crate) fn new(what: What, clock: &SimClock, stops_after: Option<Duration>) -> Self {
        let start_at = clock.now();
        Self { number: 0, what, start_at, stop_at: stops_after.map(|after| start_at + after), state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn id(&self) -> String {
        self.state().id.clone().unwrap_or_default()
    }

    pub(crate) fn ended(&self) -> String {
        self.state().ended.clone().unwrap_or_default()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state().ended.is_some()
    }

    pub(crate) fn story(&self) -> String {
        let state = self.state();
        format!("{:?} {}: {:?}, stopped {}, ended {:?}\n", self.what, self.number, state.id, state.stopped, state.ended)
    }

    pub(crate) async fn follow(self, ground: Ground, cx: Cx, ready: Arc<Semaphore>) {
        let Ok(is_ready) = ready.acquire().await else { return };
        drop(is_ready);
        let outside = &ground.outside;
        let until = |at: jiff::Timestamp| Duration::try_from(at.duration_since(ground.clock.now())).unwrap_or_default();
        ground.clock.sleep(until(self.start_at)).await;
        while self.state().id.is_none() {
            match self.start(&cx.with_task(&format!("client-{}", self.number))).await {
                Ok(id) => self.state().id = Some(id),
                Err(error) if error.status() >= 500 => outside.sleep_ms(1000).await,
                Err(error) => return outside.fault(format!("{} cannot be started: {error}", self.story())),
            }
        }
        while !self.is_over() {
            let due = self.stop_at.is_some_and(|at| at <= ground.clock.now()) && !self.state().stopped;
            if due {
                match self.stop(&cx).await {
                    Err(error) if error.status() >= 500 => {}
                    // That it is over by now, or nearly, is no fault.
                    _ => self.state().stopped = true,
                }
            }
            match self.look(&cx).await {
                Ok(Some(ended)) => {
                    if let Some(fault) = super::audit::seen(&cx, &self, &ended).await {
                        outside.fault(fault);
                    }
                    self.state().ended = Some(ended);
                }
                Ok(None) => {}
                Err(error) if error.status() >= 500 => {}
                Err(error) => return outside.fault(format!("{} cannot be seen: {error}", self.story())),
            }
            let pause = outside.chance(|chance| chance.below(3000));
            outside.sleep_ms(pause).await;
        }
    }

    async fn start(&self, cx: &Cx) -> Result<String, Error> {
        let n = self.number;
        let query = |sql: String| {
            json!({ "QueryString": sql, "ResultConfiguration": { "OutputLocation": "s3://lake/results/" },
                "QueryExecutionContext": { "Database": "db" } })
        };
        let id = |answer: Value, name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        let start = "startQueryExecution";
        match self.what {
            What::Select => {
                Ok(id(cx.call_json("athena", start, query(format!("SELECT {n}"))).await?, "QueryExecutionId"))
            }
            What::Ctas => {
                let sql = format!("CREATE TABLE db.t{n} AS SELECT 'x' AS a");
                Ok(id(cx.call_json("athena", start, query(sql)).await?, "QueryExecutionId"))
            }
            What::Insert => {
                let sql = format!("INSERT INTO db.facts SELECT {n}");
                Ok(id(cx.call_json("athena", start, query(sql)).await?, "QueryExecutionId"))
            }
            What::Commit => {
                let sql = format!("DELETE FROM db.ice WHERE n = {n}");
                Ok(id(cx.call_json("athena", start, query(sql)).await?, "QueryExecutionId"))
            }
            What::Run => {
                let command = json!({ "Name": "glueetl", "ScriptLocation": "s3://lake/s.py" });
                let retries = n % 2;
                let job = json!({ "Name": format!("j{n}"), "Role": ROLE, "Command": command, "MaxRetries": retries, "Timeout": 30 });
                present(cx.call_json("glue", "createJob", job).await)?;
                Ok(id(cx.call_json("glue", "startJobRun", json!({ "JobName": format!("j{n}") })).await?, "JobRunId"))
            }
            What::Crawl => {
                let name = format!("c{n}");
                let targets = json!({ "S3Targets": [{ "Path": format!("s3://lake/crawled{n}/") }] });
                let crawler =
                    json!({ "Name": name, "Role": ROLE, "DatabaseName": format!("crawl{n}"), "Targets": targets });
                present(cx.call_json("glue", "createCrawler", crawler).await)?;
                cx.call_json("glue", "startCrawler", json!({ "Name": name })).await?;
                Ok(name)
            }
            What::Transform => {
                let name = format!("tj{n}");
                let source = json!({ "S3DataSource": { "S3DataType": "S3Prefix", "S3Uri": "s3://lake/in/" } });
                let job = json!({
                    "TransformJobName": name, "ModelName": "m", "TransformInput": { "DataSource": source },
                    "TransformOutput": { "S3OutputPath": format!("s3://lake/pred/{n}") },
                    "TransformResources": { "InstanceType": "ml.m5.large", "InstanceCount": 1 },
                });
                cx.call_json("sagemaker", "createTransformJob", job).await?;
                Ok(name)
            }
            What::Stack => {
                let name = format!("s{n}");
                let template = json!({ "Resources": {
                    "Bucket": { "Type": "AWS::S3::Bucket", "Properties": { "BucketName": format!("stack-{n}") } },
                    "Database": { "Type": "AWS::Glue::Database", "Properties": { "CatalogId": "000000000000", "DatabaseInput": { "Name": format!("stack{n}") } } },
                    "Second": { "Type": "AWS::S3::Bucket", "DependsOn": "Database", "Properties": { "BucketName": format!("stack-{n}-b") } },
                } });
                let input = json!({ "StackName": name, "TemplateBody": template.to_string() });
                Ok(id(cx.call_json("cloudformation", "createStack", input).await?, "StackId"))
            }
        }
    }

    async fn stop(&self, cx: &Cx) -> Result<(), Error> {
        let id = self.id();
        let stop = match self.what {
            What::Select | What::Ctas | What::Insert | What::Commit => {
                cx.call_json("athena", "stopQueryExecution", json!({ "QueryExecutionId": id })).await
            }
            What::Run => {
                let runs = json!({ "JobName": format!("j{}", self.number), "JobRunIds": [id] });
                cx.call_json("glue", "batchStopJobRun", runs).await
            }
            What::Crawl => cx.call_json("glue", "stopCrawler", json!({ "Name": id })).await,
            What::Transform => cx.call_json("sagemaker", "stopTransformJob", json!({ "TransformJobName": id })).await,
            What::Stack => cx.call_json("cloudformation", "deleteStack", json!({ "StackName": id })).await,
        };
        stop.map(drop)
    }

    /// How it ended, once it has.
    pub(crate) async fn look(&self, cx: &Cx) -> Result<Option<String>, Error> {
        let id = self.id();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let state = match self.what {
            What::Select | What::Ctas | What::Insert | What::Commit => {
                let found = cx.call_json("athena", "getQueryExecution", json!({ "QueryExecutionId": id })).await?;
                text(&found["QueryExecution"]["Status"]["State"])
            }
            What::Run => {
                let runs =
                    cx.call_json("glue", "getJobRuns", json!({ "JobName": format!("j{}", self.number) })).await?;
                let runs = runs["JobRuns"].as_array().cloned().unwrap_or_default();
                let states: Vec<String> = runs.iter().map(|run| text(&run["JobRunState"])).collect();
                let open = |state: &String| ["STARTING", "RUNNING", "STOPPING"].contains(&state.as_str());
                if states.is_empty() || states.iter().any(open) { String::new() } else { states.join(" ") }
            }
            What::Crawl => {
                let found = cx.call_json("glue", "getCrawler", json!({ "Name": id })).await?["Crawler"].clone();
                if found["State"] == "READY" { text(&found["LastCrawl"]["Status"]) } else { String::new() }
            }
            What::Transform => {
                let found =
                    cx.call_json("sagemaker", "describeTransformJob", json!({ "TransformJobName": id })).await?;
                text(&found["TransformJobStatus"])
            }
            What::Stack => match cx.call_json("cloudformation", "describeStacks", json!({ "StackName": id })).await {
                Ok(found) => text(&found["Stacks"][0]["StackStatus"]),
                Err(error) if error.message().contains("does not exist") => "DELETE_COMPLETE".to_owned(),
                Err(error) => return Err(error),
            },
        };
        let open = ["", "QUEUED", "RUNNING", "InProgress", "Stopping"];
        let deletes = self.what == What::Stack && self.stop_at.is_some() && !self.state().stopped;
        Ok(Some(state).filter(|state| !open.contains(&state.as_str()) && !state.ends_with("IN_PROGRESS") && !deletes))
    }
}

/// What jobs need; made once, whatever goes wrong meanwhile.
pub(crate) async fn prepare(cx: &Cx) {
    let storage = json!({ "Columns": [{ "Name": "n", "Type": "bigint" }], "Location": "s3://lake/facts/" });
    let facts = json!({ "Name": "facts", "StorageDescriptor": storage.clone(), "PartitionKeys": [{ "Name": "p", "Type": "string" }] });
    let state = json!({ "table_type": "ICEBERG", "metadata_location": "s3://lake/ice/0", "files": "" });
    let ice = json!({ "Name": "ice", "StorageDescriptor": storage, "Parameters": state });
    let container = json!({ "Image": "i", "ModelDataUrl": "s3://lake/model.tar.gz" });
    let wanted = [
        ("s3", "createBucket", json!({ "Bucket": "lake" })),
        ("glue", "createDatabase", json!({ "DatabaseInput": { "Name": "db" } })),
        ("glue", "createTable", json!({ "DatabaseName": "db", "TableInput": facts })),
        ("glue", "createTable", json!({ "DatabaseName": "db", "TableInput": ice })),
        (
            "sagemaker",
            "createModel",
            json!({ "ModelName": "m", "ExecutionRoleArn": ROLE, "PrimaryContainer": container }),
        ),
    ];
    for (service, operation, input) in wanted {
        while let Err(error) = cx.call_json(service, operation, input.clone()).await {
            if error.status() < 500 {
                break;
            }
            cx.router().clock().sleep(Duration::from_millis(300)).await;
        }
    }
}

/// What is there already is fine.
fn present(made: Result<Value, Error>) -> Result<(), Error> {
    match made {
        Err(error) if error.status() >= 500 => Err(error),
        _ => Ok(()),
    }
}
