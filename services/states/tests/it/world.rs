//! Stand-ins for the services that state machines call, over a store in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api_glue::{
    BatchStopJobRun, BatchStopJobRunRequest, BatchStopJobRunResponse, GetJobRun, GetJobRunRequest, GetJobRunResponse,
    JobRun, StartJobRun, StartJobRunRequest, StartJobRunResponse,
};
use api_lambda::{InvocationRequest, InvocationResponse, Invoke};
use async_trait::async_trait;
use serde_json::{Value, json};
use service::identity::{Credentials, Identity};
use service::listeners::ServiceEvent;
use service::{Cx, Handle, Platform, Principal, Router, Settings, operations};
use store::kv::memo_prefix;
use store::{Key, NewTask, Queue, Store};
use wire::Error;

/// A platform that can be restarted: the store stays, everything in memory goes.
pub(crate) struct World {
    pub(crate) cx: Cx,
    pub(crate) fakes: Arc<Fakes>,
    store: Store,
    dispatcher: tokio::task::JoinHandle<()>,
}

/// What the stand-ins were asked.
#[derive(Default)]
pub(crate) struct Fakes {
    /// Function calls: which task called how often.
    pub(crate) invoked: Mutex<BTreeMap<String, u32>>,
    /// As which roles, and in which accounts.
    pub(crate) callers: Mutex<Vec<(String, String)>>,
    /// Errors that functions still have to raise.
    pub(crate) failures: Mutex<u32>,
    pub(crate) messages: Mutex<Vec<String>>,
    pub(crate) events: Mutex<Vec<Value>>,
    pub(crate) runs: Mutex<BTreeMap<String, String>>,
    /// Log streams, and what was put into them.
    pub(crate) streams: Mutex<BTreeSet<String>>,
    pub(crate) lines: Mutex<Vec<(String, String)>>,
    pub(crate) objects: Mutex<crate::buckets::Objects>,
    /// Calls of S3 that still have to fail in its bad moment.
    pub(crate) bad_moments: Mutex<u32>,
    /// The same of who knows the roles.
    pub(crate) bad_roles: Mutex<u32>,
    /// Objects that functions have worked off.
    pub(crate) drained: Mutex<Vec<String>>,
    /// What the secrets of connections hold.
    pub(crate) secrets: Mutex<BTreeMap<String, Value>>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::over(Store::memory(), Arc::default())
    }

    /// With records on disk.
    pub(crate) fn at(path: &std::path::Path) -> Self {
        Self::over(Store::open(path).unwrap(), Arc::default())
    }

    pub(crate) fn restarted(self) -> Self {
        self.dispatcher.abort();
        Self::over(self.store, self.fakes)
    }

    fn over(store: Store, fakes: Arc<Fakes>) -> Self {
        let router = Router::new();
        router.set_identity(Arc::new(Everyone(Arc::clone(&fakes))));
        let queue = || Queue::new(Store::memory());
        let platform = Platform {
            router: Arc::clone(&router),
            control: Queue::new(store.clone()),
            s3: queue(),
            dynamodb: queue(),
            data: std::env::temp_dir(),
            objects: None,
            endpoint: "http://127.0.0.1:1".to_owned(),
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            settings: Settings::default(),
        };
        operations!(router, fakes, api_lambda: Invoke);
        operations!(router, fakes, api_glue: StartJobRun, GetJobRun, BatchStopJobRun);
        operations!(router, fakes, api_sqs: SendMessage);
        operations!(router, fakes, api_events: DescribeConnection, PutEvents);
        operations!(router, fakes, api_secretsmanager: GetSecretValue);
        operations!(router, fakes, api_logs: CreateLogStream, PutLogEvents);
        operations!(router, fakes, api_s3: GetObject, ListObjectsV2, PutObject);
        states::register(&platform).unwrap();
        let dispatcher = platform.control.start();
        let cx = Cx::new(router, Principal::root("000000000000"), "000000000000", "us-east-1");
        Self { cx, fakes, store, dispatcher }
    }

    pub(crate) async fn call(&self, operation: &str, input: Value) -> Value {
        self.try_call(operation, input).await.unwrap_or_else(|error| panic!("{operation}: {error}"))
    }

    pub(crate) async fn try_call(&self, operation: &str, input: Value) -> Result<Value, Error> {
        self.cx.call_json("sfn", operation, input).await
    }

    /// Has the queue's task run at once, where there is one of that id.
    pub(crate) async fn hasten(&self, id: &str) {
        let id = id.to_owned();
        self.store.write(move |tx| tx.hasten_task(&id)).await.unwrap();
    }

    pub(crate) async fn enqueue(&self, kind: &str, id: &str, payload: Value) {
        let task = NewTask::new(kind, id).payload(&payload).unwrap();
        self.store.write(move |tx| tx.enqueue(task.clone())).await.unwrap();
    }

    /// How many tasks lie ready for activities' workers.
    pub(crate) async fn places(&self) -> usize {
        let all = Key::new("states").push("000000000000").push("us-east-1").push("activity-task");
        self.store.read(|tx| tx.scan_prefix(&all, 100)).await.unwrap().len()
    }

    /// Remembers the answer to a task's first write, as the service does that gave it.
    pub(crate) async fn remember(&self, task: &str, result: Value) {
        let memo = memo_prefix().push(task).push_u64(0);
        self.store.write(move |tx| tx.put_json(&memo, &json!({"at_ms": 0, "result": result}))).await.unwrap();
    }

    /// The platform as it is while no task of the queue runs.
    pub(crate) fn asleep(self) -> Self {
        self.dispatcher.abort();
        let world = Self::over(self.store, self.fakes);
        world.dispatcher.abort();
        world
    }

    pub(crate) async fn machine(&self, definition: &Value) -> String {
        let input = json!({
            "Name": self.cx.uuid(),
            "Definition": definition.to_string(),
            "RoleArn": "arn:aws:iam::000000000000:role/machine",
        });
        text(&self.call("createStateMachine", input).await["StateMachineArn"])
    }

    pub(crate) async fn start(&self, definition: &Value, input: &Value) -> String {
        let machine = self.machine(definition).await;
        let started =
            self.call("startExecution", json!({ "StateMachineArn": machine, "Input": input.to_string() })).await;
        text(&started["ExecutionArn"])
    }

    /// The description of the execution once it has ended.
    pub(crate) async fn ended(&self, execution: &str) -> Value {
        for _ in 0..120_000 {
            let described = self.call("describeExecution", json!({ "ExecutionArn": execution })).await;
            if described["Status"] != "RUNNING" {
                return described;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{execution} does not end");
    }

    pub(crate) async fn history(&self, execution: &str) -> Vec<String> {
        let history = self.call("getExecutionHistory", json!({ "ExecutionArn": execution, "MaxResults": 1000 })).await;
        history["Events"].as_array().into_iter().flatten().map(|event| text(&event["Type"])).collect()
    }

    /// Ends all runs of jobs, and sends the events of it as Glue does.
    pub(crate) async fn end_runs(&self, state: &str) {
        let runs: Vec<String> = {
            let mut runs = self.fakes.runs.lock().unwrap();
            runs.values_mut().for_each(|known| state.clone_into(known));
            runs.keys().cloned().collect()
        };
        for run in runs {
            let detail = json!({"jobName": "etl", "jobRunId": run, "state": state});
            let event = ServiceEvent { source: "aws.glue", detail_type: "Glue Job State Change", detail: &detail };
            self.cx.router().notify_listeners(&self.cx, event).await.unwrap();
        }
    }

    /// Until the execution has noted that its job has been started.
    pub(crate) async fn until_waiting(&self, execution: &str) {
        for _ in 0..120_000 {
            if self.history(execution).await.contains(&"TaskSubmitted".to_owned()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{execution} starts no job");
    }

    pub(crate) async fn until(&self, mut done: impl FnMut(&Fakes) -> bool) {
        for _ in 0..120_000 {
            if done(&self.fakes) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("what was waited for does not happen");
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

struct Everyone(Arc<Fakes>);

#[async_trait]
impl Identity for Everyone {
    async fn credentials(&self, _: &str) -> Result<Option<Credentials>, Error> {
        Ok(None)
    }
    async fn authorize(&self, _: &Principal, _: &str, _: &str) -> Result<(), Error> {
        Ok(())
    }
    async fn role_session(&self, role_arn: &str, session: &str, _: Option<&str>) -> Result<Principal, Error> {
        let mut bad = self.0.bad_roles.lock().unwrap();
        if *bad > 0 {
            *bad -= 1;
            return Err(Error::new("ServiceUnavailable", 503, "a bad moment"));
        }
        let (role_arn, session) = (role_arn.to_owned(), session.to_owned());
        Ok(Principal::role(role_arn, session, None))
    }
    /// A role whose name begins with `trusting` trusts the machine's role, and its machine's ARN.
    async fn other_role(
        &self,
        cx: &Cx,
        role_arn: &str,
        session: &str,
        external_id: Option<&str>,
    ) -> Result<Principal, Error> {
        let by_machine = cx.principal().role_arn() == Some("arn:aws:iam::000000000000:role/machine");
        let known = external_id.is_none_or(|id| id.starts_with("arn:aws:states:us-east-1:000000000000:stateMachine:"));
        if by_machine && known && role_arn.contains(":role/trusting") {
            return Ok(Principal::role(role_arn, session, None));
        }
        Err(Error::new(
            "AccessDenied",
            403,
            format!("not authorized to perform: sts:AssumeRole on resource: {role_arn}"),
        ))
    }
    async fn issue(&self, _: &Principal, _: jiff::SignedDuration) -> Result<Credentials, Error> {
        Err(Error::not_implemented("keys"))
    }
    async fn revoke(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }
}

/// Answers with its input; raises `Boom` as long as failures are left; sleeps when told `{"sleep": true}`.
#[async_trait]
impl Handle<Invoke> for Fakes {
    async fn handle(&self, cx: &Cx, input: InvocationRequest) -> Result<InvocationResponse, Error> {
        if input.function_name == "absent" {
            return Err(Error::new("ResourceNotFoundException", 404, "Function not found: absent"));
        }
        let as_whom = cx.principal().role_arn().map(|role| (role.to_owned(), cx.account().to_owned()));
        self.callers.lock().unwrap().extend(as_whom);
        *self.invoked.lock().unwrap().entry(cx.task_id().unwrap_or_default().to_owned()).or_default() += 1;
        let payload = input.payload.unwrap_or_default();
        if input.function_name == "large" {
            let payload = Some(format!("\"{}\"", "x".repeat(300_000)).into_bytes().into());
            return Ok(InvocationResponse { status_code: Some(200), payload, ..Default::default() });
        }
        let value: Value = serde_json::from_slice(payload.as_bytes()).unwrap_or_default();
        if input.function_name.ends_with("drain") {
            let key = text(&value["Key"]);
            self.objects.lock().unwrap().remove(&("in".to_owned(), key.clone()));
            let mut drained = self.drained.lock().unwrap();
            if !drained.contains(&key) {
                drained.push(key);
            }
        }
        if value["sleep"] == true {
            std::future::pending::<()>().await;
        }
        let mut failures = self.failures.lock().unwrap();
        let mut answer = InvocationResponse { status_code: Some(200), payload: Some(payload), ..Default::default() };
        if *failures > 0 {
            *failures -= 1;
            answer.function_error = Some("Unhandled".to_owned());
            answer.payload = Some(br#"{"errorType":"Boom","errorMessage":"m"}"#.to_vec().into());
        }
        Ok(answer)
    }
}

#[async_trait]
impl Handle<StartJobRun> for Fakes {
    async fn handle(&self, cx: &Cx, input: StartJobRunRequest) -> Result<StartJobRunResponse, Error> {
        let id = format!("{}@{}", input.job_name, cx.task_id().unwrap_or_default());
        let is_new = !self.runs.lock().unwrap().contains_key(&id);
        self.runs.lock().unwrap().entry(id.clone()).or_insert_with(|| "RUNNING".to_owned());
        if is_new && input.job_name == "cut" {
            std::future::pending::<()>().await;
        }
        Ok(StartJobRunResponse { job_run_id: Some(id) })
    }
}

#[async_trait]
impl Handle<GetJobRun> for Fakes {
    async fn handle(&self, _: &Cx, input: GetJobRunRequest) -> Result<GetJobRunResponse, Error> {
        let state = self.runs.lock().unwrap().get(&input.run_id).cloned();
        let job_run = JobRun { id: Some(input.run_id), job_run_state: state, ..Default::default() };
        Ok(GetJobRunResponse { job_run: Some(job_run) })
    }
}

#[async_trait]
impl Handle<BatchStopJobRun> for Fakes {
    async fn handle(&self, _: &Cx, input: BatchStopJobRunRequest) -> Result<BatchStopJobRunResponse, Error> {
        for id in input.job_run_ids {
            self.runs.lock().unwrap().insert(id, "STOPPED".to_owned());
        }
        Ok(BatchStopJobRunResponse::default())
    }
}

#[async_trait]
impl Handle<api_sqs::SendMessage> for Fakes {
    async fn handle(&self, _: &Cx, input: api_sqs::SendMessageRequest) -> Result<api_sqs::SendMessageResult, Error> {
        self.messages.lock().unwrap().push(input.message_body);
        Ok(api_sqs::SendMessageResult { message_id: Some("m".to_owned()), ..Default::default() })
    }
}

#[async_trait]
impl Handle<api_events::PutEvents> for Fakes {
    async fn handle(
        &self,
        _: &Cx,
        input: api_events::PutEventsRequest,
    ) -> Result<api_events::PutEventsResponse, Error> {
        let details = input.entries.into_iter().filter_map(|entry| serde_json::from_str(&entry.detail?).ok());
        self.events.lock().unwrap().extend(details);
        Ok(api_events::PutEventsResponse { failed_entry_count: Some(0), ..Default::default() })
    }
}
