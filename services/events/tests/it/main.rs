//! Rules and schedules over a store in memory; a queue that keeps what it gets stands for SQS.

#![expect(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod batches;
mod connections;
mod destinations;
mod passing;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use service::identity::{Credentials, Identity};
use service::{Cx, Handle, Platform, Principal, Router, Settings, operations};
use store::{Queue, Store};
use wire::Error;

/// What was sent, secrets by their ARNs, and of each message its sender and the names of its attributes.
#[derive(Default)]
struct Sink(Mutex<Vec<(String, String)>>, Mutex<BTreeMap<String, String>>, Mutex<Vec<(String, Vec<String>)>>);

#[async_trait]
impl Handle<api_sqs::SendMessage> for Sink {
    async fn handle(&self, cx: &Cx, req: api_sqs::SendMessageRequest) -> Result<api_sqs::SendMessageResult, Error> {
        let queue = req.queue_url.rsplit('/').next().unwrap_or_default().to_owned();
        if queue == "gone" {
            return Err(api_sqs::error::queue_does_not_exist("The specified queue does not exist."));
        }
        let names = req.message_attributes.into_iter().flatten().map(|(name, _)| name).collect();
        self.2.lock().unwrap().push((format!("{:?}", cx.principal()), names));
        self.0.lock().unwrap().push((queue, req.message_body));
        Ok(api_sqs::SendMessageResult::default())
    }
}

/// Any role, and it may do anything.
struct AnyRole;

#[async_trait]
impl Identity for AnyRole {
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
        Err(Error::not_implemented("issue"))
    }
    async fn revoke(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }
}

/// No queue has a policy.
#[async_trait]
impl service::authorization::Guard for Sink {
    async fn policy(&self, _: &Cx, _: &str, _: &str) -> Result<Option<service::authorization::ResourcePolicy>, Error> {
        Ok(None)
    }
}

struct Bench {
    cx: Cx,
    sink: Arc<Sink>,
    heard: Arc<Heard>,
}

/// The measurements, as `namespace metric dimensions`.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl service::meter::Meter for Heard {
    fn measure(&self, measured: service::meter::Measured<'_>) {
        let dimensions: Vec<String> =
            measured.dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let line = format!("{} {} {}", measured.namespace, measured.metric, dimensions.join(","));
        self.0.lock().unwrap().push(line);
    }
}

fn bench() -> Bench {
    let (router, heard) = (Router::new(), Arc::new(Heard::default()));
    router.set_meter(heard.clone());
    let queue = || Queue::new(Store::memory());
    let platform = Platform {
        router: router.clone(),
        control: queue(),
        s3: queue(),
        dynamodb: queue(),
        data: std::env::temp_dir(),
        objects: None,
        endpoint: "http://127.0.0.1:4566".to_owned(),
        account: "000000000000".to_owned(),
        region: "eu-west-1".to_owned(),
        settings: Settings::default(),
    };
    router.set_identity(Arc::new(AnyRole));
    events::register(&platform).unwrap();
    let sink = Arc::new(Sink::default());
    operations!(router, sink, api_sqs: SendMessage);
    router.add_guard("sqs", sink.clone());
    operations!(router, sink, api_secretsmanager: CreateSecret, DeleteSecret, GetSecretValue, PutSecretValue, UpdateSecret);
    platform.control.start();
    Bench { cx: Cx::new(router, Principal::root("000000000000"), "000000000000", "eu-west-1"), sink, heard }
}

impl Bench {
    async fn call(&self, service: &str, operation: &str, input: Value) -> Value {
        let answer = self.cx.call_json(service, operation, input).await;
        answer.unwrap_or_else(|error| panic!("{operation}: {error}"))
    }

    /// Waits until that is measured.
    async fn told(&self, line: &str) {
        for _ in 0..24_000 {
            if self.heard.0.lock().unwrap().iter().any(|one| one == line) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("not measured: {line}");
    }

    /// Waits for that many messages.
    async fn received(&self, count: usize) -> Vec<(String, String)> {
        for _ in 0..24_000 {
            if self.sink.0.lock().unwrap().len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        std::mem::take(&mut *self.sink.0.lock().unwrap())
    }
}

fn queue(name: &str) -> String {
    format!("arn:aws:sqs:eu-west-1:000000000000:{name}")
}

#[tokio::test]
async fn a_rule_has_targets_of_aws_and_those_that_need_a_role_have_one() {
    let bench = bench();
    let pattern = json!({"source": ["my.app"]}).to_string();
    bench.call("eventbridge", "putRule", json!({"Name": "r", "EventPattern": pattern})).await;
    let put = |arn: &str, role: Option<&str>| {
        let target = json!({"Id": "a", "Arn": arn, "RoleArn": role, "Input": "{}"});
        let (cx, input) = (bench.cx.clone(), json!({"Rule": "r", "Targets": [target]}));
        async move { cx.call_json("eventbridge", "putTargets", input).await.map_err(|error| error.message().to_owned()) }
    };
    let role = Some("arn:aws:iam::000000000000:role/r");
    for arn in [
        "arn:aws:states:eu-west-1:000000000000:stateMachine:m",
        "arn:aws:glue:eu-west-1:000000000000:workflow/w",
        "arn:aws:events:eu-west-1:111111111111:event-bus/b",
        "arn:aws:events:us-east-1:000000000000:event-bus/b",
    ] {
        assert_eq!(put(arn, None).await.unwrap_err(), format!("RoleArn is required for target {arn}."));
        put(arn, role).await.unwrap();
    }
    // Any operation is a target of schedules alone.
    put("arn:aws:scheduler:::aws-sdk:iam:createUser", None).await.unwrap_err();
    put("arn:aws:scheduler:::aws-sdk:iam:createUser", role).await.unwrap_err();
    put("arn:aws:kinesis:eu-west-1:000000000000:stream/s", role).await.unwrap_err();
    put("arn:aws:events:eu-west-1:000000000000:event-bus/b", None).await.unwrap();
    put(&queue("q"), None).await.unwrap();
}

#[tokio::test]
async fn events_reach_the_targets_of_matching_rules_once() {
    let bench = bench();
    let pattern = json!({"source": ["my.app"], "detail": {"status": ["FAILED"]}}).to_string();
    bench
        .call("eventbridge", "putRule", json!({"Name": "failed", "EventPattern": pattern, "ScheduleExpression": ""}))
        .await;
    let transformer = json!({"InputPathsMap": {"s": "$.detail.status"}, "InputTemplate": "{\"was\": <s>}"});
    let targets = json!([
        {"Id": "a", "Arn": queue("q"), "InputTransformer": transformer},
        {"Id": "b", "Arn": queue("gone"), "DeadLetterConfig": {"Arn": queue("dead")}, "Input": "{\"x\":1}"},
    ]);
    bench.call("eventbridge", "putTargets", json!({"Rule": "failed", "Targets": targets})).await;
    let entry =
        |status: &str| json!({"Source": "my.app", "DetailType": "t", "Detail": json!({"status": status}).to_string()});
    let entries =
        json!({"Entries": [entry("FAILED"), entry("OK"), {"Source": "aws.s3", "DetailType": "t", "Detail": "{}"}]});
    let mut answers = Vec::new();
    for _ in 0..2 {
        let cx = bench.cx.with_task("task");
        answers.push(cx.call_json("events", "putEvents", entries.clone()).await.unwrap());
    }
    assert_eq!(answers[0]["Entries"], answers[1]["Entries"]);
    assert_eq!(answers[0]["FailedEntryCount"], 1, "aws.* is the platform's own");
    let mut received = bench.received(2).await;
    received.sort();
    assert_eq!(
        received,
        [("dead".to_owned(), "{\"x\":1}".to_owned()), ("q".to_owned(), "{\"was\": \"FAILED\"}".to_owned())]
    );
    // What is told last of the target that is gone.
    bench.told("AWS/Events FailedInvocations RuleName=failed").await;
    let heard = bench.heard.0.lock().unwrap().clone();
    let count = |line: &str| heard.iter().filter(|one| *one == line).count();
    for (metric, times) in [
        ("TriggeredRules", 1),
        ("MatchedEvents", 1),
        ("InvocationAttempts", 2),
        ("Invocations", 2),
        ("SuccessfulInvocationAttempts", 1),
        ("FailedInvocations", 1),
        ("InvocationsSentToDlq", 1),
    ] {
        assert_eq!(count(&format!("AWS/Events {metric} RuleName=failed")), times, "{metric}");
    }
    let error = bench.cx.call_json("events", "deleteRule", json!({"Name": "failed"})).await.unwrap_err();
    assert_eq!(error.message(), "Rule can't be deleted since it has targets.");
}

#[tokio::test]
async fn a_schedule_fires_once_and_goes() {
    let bench = bench();
    let at =
        (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(1)).strftime("at(%Y-%m-%dT%H:%M:%S)").to_string();
    let schedule = json!({"Name": "once", "ScheduleExpression": at, "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "Target": {"Arn": queue("q"), "RoleArn": "arn:aws:iam::000000000000:role/r", "Input": "{\"by\":\"<aws.scheduler.schedule-arn>\"}"}});
    let made = bench.cx.call_json("scheduler", "createSchedule", schedule).await;
    assert!(made.is_ok(), "{made:?}");
    let arn = "arn:aws:scheduler:eu-west-1:000000000000:schedule/default/once";
    assert_eq!(bench.received(1).await, [("q".to_owned(), format!("{{\"by\":\"{arn}\"}}"))]);
    bench.told("AWS/Scheduler InvocationAttemptCount ScheduleGroup=default").await;
    let gone = bench.cx.call_json("scheduler", "getSchedule", json!({"Name": "once"})).await.unwrap_err();
    assert_eq!(gone.code(), "ResourceNotFoundException");
}

#[tokio::test]
async fn schedules_and_rules_tell_when_they_come_next() {
    let bench = bench();
    let end = "2099-01-03T12:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second();
    let schedule = json!({"Name": "nightly", "ScheduleExpression": "cron(30 2 ? 1 * 2099)", "EndDate": end,
        "ScheduleExpressionTimezone": "Europe/Oslo", "State": "DISABLED", "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": queue("q"), "RoleArn": "arn:aws:iam::000000000000:role/r"}});
    bench.cx.call_json("scheduler", "createSchedule", schedule).await.unwrap();
    let told = bench.cx.call_json("lakerun", "listScheduleTimes", json!({"Name": "nightly"})).await.unwrap();
    let day = |n: i32| format!("2099-01-{n:02}T01:30:00Z");
    assert_eq!(told["Times"], json!([day(1), day(2), day(3)]), "in its zone, and none after its end");

    let rule = json!({"Name": "often", "ScheduleExpression": "rate(2 hours)"});
    bench.cx.call_json("events", "putRule", rule).await.unwrap();
    let asked = json!({"Name": "often", "MaxResults": 4});
    let told = bench.cx.call_json("lakerun", "listRuleTimes", asked).await.unwrap();
    let times: Vec<jiff::Timestamp> =
        told["Times"].as_array().unwrap().iter().map(|t| t.as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(times.len(), 4);
    assert!(times.windows(2).all(|pair| pair[1].duration_since(pair[0]) == jiff::SignedDuration::from_hours(2)));
    let unknown = bench.cx.call_json("lakerun", "listRuleTimes", json!({"Name": "nosuch"})).await.unwrap_err();
    assert_eq!(unknown.code(), "ResourceNotFoundException");
}
