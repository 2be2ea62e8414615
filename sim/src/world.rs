//! What is outside the process, and outlives it: the functions and queues that tasks call, the workers behind them, the clients
//! that start executions and ask after them, and what they all remember.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api_events::{PutEvents, PutEventsRequest, PutEventsResponse};
use api_glue::{
    BatchStopJobRun, BatchStopJobRunRequest, BatchStopJobRunResponse, GetJobRun, GetJobRunRequest, GetJobRunResponse,
    JobRun, StartJobRun, StartJobRunRequest, StartJobRunResponse,
};
use api_lambda::{InvocationRequest, InvocationResponse, Invoke};
use api_s3::{GetObject, GetObjectOutput, GetObjectRequest, PutObject, PutObjectOutput, PutObjectRequest};
use api_sqs::{SendMessage, SendMessageRequest, SendMessageResult};
use async_trait::async_trait;
use serde_json::{Value, json};
use service::identity::{Credentials, Identity};
use service::listeners::ServiceEvent;
use service::{Cx, Handle, Principal};
use store::Clock as _;
use tokio::sync::Notify;
use wire::{Blob, Error};

use crate::chance::Chance;
use crate::clock::SimClock;
use crate::disk::Disks;
use crate::model::ACTIVITY;
use crate::workers::{Attempt, Plan, raised};

/// Everything outside. Cheap to clone.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) clock: SimClock,
    pub(crate) disks: Disks,
    state: Arc<Mutex<Outside>>,
    /// S3 fails at times.
    in_trouble: bool,
    /// A letter was written.
    posted: Arc<Notify>,
}

struct Outside {
    chance: Chance,
    letters: Vec<Letter>,
    /// How jobs stand, by their ids.
    jobs: BTreeMap<String, &'static str>,
    /// Letters that somebody in this life takes care of.
    carried: usize,
    /// Objects by their keys, all in one bucket.
    objects: BTreeMap<String, Vec<u8>>,
    /// What must not have happened.
    faults: Vec<String>,
    /// How often each task was called.
    calls: BTreeMap<String, u64>,
}

/// An answer to a task's token, on its way.
#[derive(Clone, Debug)]
struct Letter {
    to: To,
    answer: Attempt,
    at: jiff::Timestamp,
    /// How often it will be sent.
    times: u64,
}

/// What is answered: a task that waits for a token, or whoever waits for a job.
#[derive(Clone, Debug)]
enum To {
    Token(String),
    Job(String),
}

impl World {
    pub(crate) fn new(clock: SimClock, disks: Disks, chance: Chance, in_trouble: bool) -> Self {
        let (letters, jobs, carried, objects, faults, calls) = Default::default();
        let state = Outside { chance, letters, jobs, carried, objects, faults, calls };
        Self { clock, disks, state: Arc::new(Mutex::new(state)), in_trouble, posted: Arc::default() }
    }

    fn outside(&self) -> MutexGuard<'_, Outside> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn fault(&self, what: String) {
        self.outside().faults.push(what);
    }

    pub(crate) fn faults(&self) -> Vec<String> {
        self.outside().faults.clone()
    }

    pub(crate) fn chance<T>(&self, draw: impl FnOnce(&mut Chance) -> T) -> T {
        draw(&mut self.outside().chance)
    }

    pub(crate) async fn sleep_ms(&self, ms: u64) {
        self.clock.sleep(Duration::from_millis(ms)).await;
    }

    pub(crate) async fn sleep_until(&self, at: jiff::Timestamp) {
        let left = at.duration_since(self.clock.now());
        self.clock.sleep(Duration::try_from(left).unwrap_or_default()).await;
    }

    /// Fetches what waits for a worker, and answers as planned; what a dying process hands out is lost.
    pub(crate) async fn work(self, cx: Cx, is_needed: impl Fn() -> bool) {
        let asked = json!({ "ActivityArn": ACTIVITY, "WorkerName": "w" });
        while is_needed() {
            let fetched = cx.call_json("sfn", "getActivityTask", asked.clone()).await;
            self.unless_dead().await;
            let Some(task) = fetched.ok().filter(|task| task["TaskToken"].is_string()) else {
                // There is no activity yet, or storage failed, or nothing came for a minute.
                self.sleep_ms(1000).await;
                continue;
            };
            let text = |field: &str| task[field].as_str().unwrap_or_default().to_owned();
            let given = serde_json::from_str(&text("Input")).unwrap_or_default();
            self.answer(text("TaskToken"), &given);
        }
    }

    /// Plans the answer to a token that was given out with this.
    fn answer(&self, token: String, given: &Value) {
        let plan = Plan::read(&given["plan"]);
        let answer = plan.attempt(given["retry"].as_u64().unwrap_or(0), &given["value"]);
        if answer == Attempt::Silent {
            return;
        }
        let at = self.clock.now() + Duration::from_millis(plan.delay_ms);
        let mut outside = self.outside();
        let times = if outside.chance.permille(200) { 2 } else { 1 };
        outside.letters.push(Letter { to: To::Token(token), answer, at, times });
        drop(outside);
        self.posted.notify_one();
    }

    /// What a dying process does reaches nobody.
    async fn unless_dead(&self) {
        if self.disks.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    /// Carries letters, those of earlier lives first, as long as this life lasts.
    pub(crate) async fn post(self, cx: Cx) {
        self.outside().carried = 0;
        loop {
            let next = {
                let mut outside = self.outside();
                let at = outside.carried;
                let letter = outside.letters.get(at).cloned();
                outside.carried += usize::from(letter.is_some());
                letter.map(|letter| (at, letter))
            };
            match next {
                Some((at, letter)) => drop(tokio::spawn(self.clone().deliver(cx.clone(), at, letter))),
                None => self.posted.notified().await,
            }
        }
    }

    /// Jobs that nobody has ended.
    pub(crate) fn running_jobs(&self) -> Vec<String> {
        let outside = self.outside();
        let running = outside.jobs.iter().filter(|(_, state)| **state == "RUNNING");
        running.map(|(id, _)| format!("job {id} was not stopped")).collect()
    }

    /// Ends a job, and tells of it: once, twice or not at all.
    async fn end(&self, cx: &Cx, at: usize, letter: &Letter, job: &str) {
        self.sleep_until(letter.at).await;
        let ended = if matches!(letter.answer, Attempt::Succeeds(_)) { "SUCCEEDED" } else { "FAILED" };
        let state = {
            let mut outside = self.outside();
            let state = outside.jobs.entry(job.to_owned()).or_insert("RUNNING");
            if *state == "RUNNING" {
                *state = ended;
            }
            *state
        };
        for _ in 0..self.chance(|chance| chance.below(3)) {
            let detail = json!({ "jobName": "j", "jobRunId": job, "state": state });
            let news = ServiceEvent { source: "aws.glue", detail_type: "Glue Job State Change", detail: &detail };
            let _ = cx.router().notify_listeners(cx, news).await;
            let pause = self.chance(|chance| chance.below(20_000));
            self.sleep_ms(pause).await;
        }
        self.outside().letters[at].times = 0;
    }

    async fn deliver(self, cx: Cx, at: usize, mut letter: Letter) {
        let token = match &letter.to {
            To::Token(token) => token.clone(),
            To::Job(_) if letter.times == 0 => return,
            To::Job(job) => return self.end(&cx, at, &letter, job).await,
        };
        while letter.times > 0 {
            self.sleep_until(letter.at).await;
            if self.chance(|chance| chance.permille(200)) {
                let _ = cx.call_json("sfn", "sendTaskHeartbeat", json!({ "TaskToken": token })).await;
            }
            if self.chance(|chance| chance.permille(50)) {
                self.forge(&cx, &token).await;
            }
            let (operation, input) = match &letter.answer {
                Attempt::Succeeds(value) => {
                    ("sendTaskSuccess", json!({ "TaskToken": token, "Output": value.to_string() }))
                }
                Attempt::Fails(error) => {
                    ("sendTaskFailure", json!({ "TaskToken": token, "Error": error, "Cause": "m" }))
                }
                Attempt::Silent => return,
            };
            match cx.call_json("sfn", operation, input).await {
                Ok(_) => {
                    letter.times -= 1;
                    let later = self.chance(|chance| chance.below(100_000));
                    letter.at = self.clock.now() + Duration::from_millis(later);
                }
                Err(error) if error.status() >= 500 => letter.at = self.clock.now() + Duration::from_secs(1),
                Err(error) => {
                    if !["TaskTimedOut", "TaskDoesNotExist"].contains(&error.code()) {
                        self.fault(format!("a token that was given out is answered with {error}"));
                    }
                    letter.times = 0;
                }
            }
            self.outside().letters[at] = letter.clone();
        }
    }

    /// A token that was never given out.
    async fn forge(&self, cx: &Cx, token: &str) {
        let mut forged = token.as_bytes().to_vec();
        let place = self.chance(|chance| chance.index(forged.len()));
        forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap_or_default();
        match cx.call_json("sfn", "sendTaskSuccess", json!({ "TaskToken": forged, "Output": "\"forged\"" })).await {
            Ok(_) => self.fault("a forged token was taken".to_owned()),
            Err(error) => {
                let known = ["InvalidToken", "TaskTimedOut", "TaskDoesNotExist"].contains(&error.code());
                if !known && error.status() < 500 {
                    self.fault(format!("a forged token is answered with {error}"));
                }
            }
        }
    }

    /// An object, as JSON.
    pub(crate) fn object(&self, key: &str) -> Option<Value> {
        self.outside().objects.get(key).and_then(|bytes| serde_json::from_slice(bytes).ok())
    }

    fn called(&self, cx: &Cx) {
        *self.outside().calls.entry(cx.task_id().unwrap_or_default().to_owned()).or_default() += 1;
    }
}

#[async_trait]
impl Handle<Invoke> for World {
    async fn handle(&self, cx: &Cx, input: InvocationRequest) -> Result<InvocationResponse, Error> {
        self.unless_dead().await;
        self.called(cx);
        let payload: Value =
            input.payload.and_then(|payload| serde_json::from_slice(payload.as_bytes()).ok()).unwrap_or_default();
        let plan = Plan::read(&payload["plan"]);
        self.sleep_ms(plan.delay_ms).await;
        self.unless_dead().await;
        let mut answer = InvocationResponse { status_code: Some(200), ..Default::default() };
        match plan.attempt(payload["retry"].as_u64().unwrap_or(0), &payload["value"]) {
            Attempt::Succeeds(value) => answer.payload = Some(value.to_string().into_bytes().into()),
            Attempt::Fails(error) => {
                answer.function_error = Some("Unhandled".to_owned());
                answer.payload = Some(raised(&error).into_bytes().into());
            }
            Attempt::Silent => std::future::pending().await,
        }
        Ok(answer)
    }
}

#[async_trait]
impl Handle<SendMessage> for World {
    async fn handle(&self, cx: &Cx, input: SendMessageRequest) -> Result<SendMessageResult, Error> {
        self.unless_dead().await;
        self.called(cx);
        let body: Value = serde_json::from_str(&input.message_body).unwrap_or_default();
        self.answer(body["token"].as_str().unwrap_or_default().to_owned(), &body);
        // The answer may be there before the message's sender knows that it was sent.
        let takes = self.chance(|chance| chance.below(20));
        self.sleep_ms(takes).await;
        self.unless_dead().await;
        Ok(SendMessageResult { message_id: Some("m".to_owned()), ..Default::default() })
    }
}

#[async_trait]
impl Handle<StartJobRun> for World {
    async fn handle(&self, cx: &Cx, input: StartJobRunRequest) -> Result<StartJobRunResponse, Error> {
        self.unless_dead().await;
        self.called(cx);
        let arguments = input.arguments.unwrap_or_default();
        let argument = |name: &str| arguments.get(name).cloned().unwrap_or_default();
        let plan = Plan::read(&serde_json::from_str(&argument("--plan")).unwrap_or_default());
        // Called again by the same task, it is the same run.
        let id = format!("jr_{}", cx.task_id().unwrap_or_default());
        let at = self.clock.now() + Duration::from_millis(plan.delay_ms);
        let answer = plan.attempt(argument("--retry").parse().unwrap_or(0), &Value::Null);
        {
            let mut outside = self.outside();
            if !outside.jobs.contains_key(&id) {
                outside.jobs.insert(id.clone(), "RUNNING");
                if answer != Attempt::Silent {
                    outside.letters.push(Letter { to: To::Job(id.clone()), answer, at, times: 1 });
                    self.posted.notify_one();
                }
            }
        }
        let takes = self.chance(|chance| chance.below(20));
        self.sleep_ms(takes).await;
        self.unless_dead().await;
        Ok(StartJobRunResponse { job_run_id: Some(id) })
    }
}

#[async_trait]
impl Handle<GetJobRun> for World {
    async fn handle(&self, _: &Cx, input: GetJobRunRequest) -> Result<GetJobRunResponse, Error> {
        self.unless_dead().await;
        let state = self.outside().jobs.get(&input.run_id).map(|state| (*state).to_owned());
        let job_run = JobRun { id: Some(input.run_id), job_run_state: state, ..Default::default() };
        Ok(GetJobRunResponse { job_run: Some(job_run) })
    }
}

#[async_trait]
impl Handle<BatchStopJobRun> for World {
    async fn handle(&self, _: &Cx, input: BatchStopJobRunRequest) -> Result<BatchStopJobRunResponse, Error> {
        self.unless_dead().await;
        let mut outside = self.outside();
        for id in input.job_run_ids {
            if let Some(state) = outside.jobs.get_mut(&id).filter(|state| **state == "RUNNING") {
                *state = "STOPPED";
            }
        }
        Ok(BatchStopJobRunResponse::default())
    }
}

impl World {
    /// What a call of S3 takes.
    async fn s3(&self) -> Result<(), Error> {
        self.unless_dead().await;
        let (takes, fails) = self.chance(|chance| (chance.below(50), chance.permille(30)));
        self.sleep_ms(takes).await;
        self.unless_dead().await;
        if self.in_trouble && fails { Err(Error::new("InternalError", 500, "simulated")) } else { Ok(()) }
    }
}

#[async_trait]
impl Handle<GetObject> for World {
    async fn handle(&self, _: &Cx, input: GetObjectRequest) -> Result<GetObjectOutput, Error> {
        self.s3().await?;
        let body = input.key.into_bytes();
        let content_range = Some(format!("bytes 0-{}/{}", body.len().saturating_sub(1), body.len()));
        Ok(GetObjectOutput { body: Some(Blob::new(body)), content_range, ..Default::default() })
    }
}

#[async_trait]
impl Handle<PutObject> for World {
    async fn handle(&self, _: &Cx, input: PutObjectRequest) -> Result<PutObjectOutput, Error> {
        self.s3().await?;
        let body = input.body.unwrap_or_default();
        self.outside().objects.insert(input.key, body.as_bytes().to_vec());
        Ok(PutObjectOutput::default())
    }
}

#[async_trait]
impl Handle<PutEvents> for World {
    async fn handle(&self, _: &Cx, _: PutEventsRequest) -> Result<PutEventsResponse, Error> {
        self.unless_dead().await;
        Ok(PutEventsResponse { failed_entry_count: Some(0), ..Default::default() })
    }
}

/// Everybody may do everything.
pub(crate) struct Everyone;

#[async_trait]
impl Identity for Everyone {
    async fn credentials(&self, _: &str) -> Result<Option<Credentials>, Error> {
        Ok(None)
    }
    async fn authorize(&self, _: &Principal, _: &str, _: &str) -> Result<(), Error> {
        Ok(())
    }
    async fn role_session(&self, role_arn: &str, session: &str, _: Option<&str>) -> Result<Principal, Error> {
        let (role_arn, session) = (role_arn.to_owned(), session.to_owned());
        Ok(Principal::role(role_arn, session, None))
    }
    async fn issue(&self, _: &Principal, _: jiff::SignedDuration) -> Result<Credentials, Error> {
        Err(Error::not_implemented("keys"))
    }
    async fn revoke(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }
}
