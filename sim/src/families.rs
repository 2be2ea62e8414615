//! Executions that wait for executions, each in whichever store its ARN says: whatever fails, none waits for ever, and none is told late.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use api_sqs::{SendMessage, SendMessageRequest, SendMessageResult};
use async_trait::async_trait;
use serde_json::{Value, json};
use service::{Cx, Handle, Router, operations};
use wire::Error;

use crate::disk::{Crash, Fails, Faults};
use crate::scene::{Client, Stage};

/// From the end of the last child to that of its parent, where nothing but tries that are made again is in between. Who was not told looks
/// by itself after 1, 2, 4 and more minutes, and finds children that take longer than those later than this.
const SOON_MS: i64 = 60_000;
/// How long children take that take any time: longer than all looks that are quick.
const LONG_SECONDS: u64 = 1000;

/// The tasks that sent each message.
#[derive(Default)]
struct Sent(Mutex<BTreeMap<String, BTreeSet<String>>>);

impl Sent {
    /// Each was sent on behalf of one task.
    fn check(&self, messages: &[String]) -> Result<(), String> {
        let sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match messages.iter().find(|message| sent.get(*message).map_or(0, BTreeSet::len) != 1) {
            None => Ok(()),
            Some(message) => Err(format!("{message} was sent by {:?}", sent.get(message))),
        }
    }
}

#[async_trait]
impl Handle<SendMessage> for Sent {
    async fn handle(&self, cx: &Cx, input: SendMessageRequest) -> Result<SendMessageResult, Error> {
        let task = cx.task_id().unwrap_or_default().to_owned();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(input.message_body).or_default().insert(task);
        Ok(SendMessageResult::default())
    }
}

fn services(sent: &Arc<Sent>) -> impl Fn(&Arc<Router>) + use<> {
    let sent = Arc::clone(sent);
    move |router: &Arc<Router>| {
        operations!(router, sent, api_sqs: SendMessage);
    }
}

/// Starts an execution by the name that the input says, and waits for its end.
fn starts(machine: &str) -> Value {
    json!({
        "Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2", "End": true,
        "Parameters": {
            "StateMachineArn": format!("arn:aws:states:us-east-1:000000000000:stateMachine:{machine}"),
            "Name.$": "$.name", "Input.$": "$",
        },
        "OutputPath": "$.Status",
        // The store was in trouble.
        "Retry": [{ "ErrorEquals": ["StepFunctions.AWSStepFunctionsException"], "IntervalSeconds": 1, "MaxAttempts": 20, "BackoffRate": 1 }],
        "Catch": [{ "ErrorEquals": ["States.TaskFailed"], "Next": "Failed" }],
    })
}

/// A machine whose children have children: `top` waits for `width` of `middle`, each of which waits for one of `child`.
fn machines() -> [(&'static str, Value); 3] {
    let failed = json!({ "Type": "Pass", "Result": "FAILED", "End": true });
    let child = json!({ "StartAt": "Kind", "States": {
        "Kind": { "Type": "Choice", "Default": "Send", "Choices": [
            { "Variable": "$.kind", "StringEquals": "long", "Next": "Wait" },
            { "Variable": "$.kind", "StringEquals": "fails", "Next": "Fail" },
            { "Variable": "$.kind", "StringEquals": "quick", "Next": "Pass" },
        ] },
        "Wait": { "Type": "Wait", "Seconds": LONG_SECONDS, "Next": "Send" },
        "Send": { "Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": true,
            "Parameters": { "QueueUrl": "q", "MessageBody.$": "$.name" } },
        "Fail": { "Type": "Fail", "Error": "E" },
        "Pass": { "Type": "Pass", "End": true },
    } });
    let middle = json!({ "StartAt": "Start", "States": { "Start": starts("child"), "Failed": failed } });
    let top = json!({ "StartAt": "All", "States": { "All": {
        "Type": "Map", "ItemsPath": "$.members", "End": true,
        "ItemProcessor": { "StartAt": "Start", "States": { "Start": starts("middle"), "Failed": failed } },
    } } });
    [("child", child), ("middle", middle), ("top", top)]
}

/// Who is in a family: the name of each, and what becomes of it.
fn members(kinds: &[&str]) -> Vec<Value> {
    kinds.iter().enumerate().map(|(n, kind)| json!({ "name": format!("{kind}{n}"), "kind": kind })).collect()
}

fn arn(machine: &str, name: &str) -> String {
    format!("arn:aws:states:us-east-1:000000000000:execution:{machine}:{name}")
}

fn stopped_ms(described: &Value) -> Option<i64> {
    Some(described["StopDate"].as_str()?.parse::<jiff::Timestamp>().ok()?.as_millisecond())
}

/// Starts a family and follows it to its end. Where storage answers calls with errors, a call is made again of which nobody knows whether it
/// was made: what had ended by then cannot be started once more under its name, and who asked for it fails.
async fn live(client: Client, members: Vec<Value>, is_exact: bool) -> Result<(), String> {
    make(&client).await;
    let [.., (_, top)] = machines();
    let execution = client.start("top", &top, &json!({ "members": members })).await;
    let ended = client.ended(&execution).await;
    let outputs: Vec<String> = serde_json::from_str(ended["Output"].as_str().unwrap_or_default()).unwrap_or_default();
    if ended["Status"] != "SUCCEEDED" || outputs.len() != members.len() {
        return Err(format!("{ended}"));
    }
    let end_of = |described: &Value| stopped_ms(described).ok_or_else(|| format!("when did it end? {described}"));
    let soon = |who: &str, waits: i64, of: i64| match waits - of {
        late if late > SOON_MS => Err(format!("{who} was told {late} ms later")),
        _ => Ok(()),
    };
    let mut last = i64::MIN;
    for (member, output) in members.iter().zip(&outputs) {
        let name = member["name"].as_str().unwrap_or_default();
        let middle = client.ended(&arn("middle", name)).await;
        last = last.max(end_of(&middle)?);
        let must = is_exact || member["kind"] == "long";
        if output != "SUCCEEDED" || middle["Status"] != "SUCCEEDED" {
            // Its own call may have failed; then it is over all the same.
            if must {
                return Err(format!("{name}: {output}\n{middle}"));
            }
            continue;
        }
        let child = client.ended(&arn("child", name)).await;
        let wanted = if member["kind"] == "fails" { "FAILED" } else { "SUCCEEDED" };
        if child["Status"] != wanted || (must && middle["Output"] != json!(json!(wanted).to_string())) {
            return Err(format!("{middle}\n{child}"));
        }
        soon(name, end_of(&middle)?, end_of(&child)?)?;
    }
    soon("top", end_of(&ended)?, last)
}

async fn make(client: &Client) {
    let role = "arn:aws:iam::000000000000:role/machine";
    for (name, definition) in machines() {
        let machine = json!({ "Name": name, "Definition": definition.to_string(), "RoleArn": role });
        client.call("createStateMachine", machine).await;
    }
}

/// A family by seed, whose stores fail and are in doubt and whose process dies. How many lives it took.
pub fn run(seed: u64, shards: usize) -> Result<u64, String> {
    let mut stage = Stage::over(seed, shards);
    let width = stage.chance.between(1, 6);
    let kinds: Vec<&str> = (0..width).map(|_| *stage.chance.pick(&["long", "long", "now", "quick", "fails"])).collect();
    let (members, sent) = (members(&kinds), Arc::new(Sent::default()));
    let played = stage.play(&services(&sent), |client: Client| live(client, members.clone(), false), |_| {});
    let crashes = played.and_then(|crashes| sent.check(&senders(&members)).map(|()| crashes));
    crashes.map(|crashes| crashes + 1).map_err(|fault| format!("seed {seed} over {shards}: {fault}"))
}

/// Those who send a message.
fn senders(members: &[Value]) -> Vec<String> {
    let sends = members.iter().filter(|member| member["kind"] == "long" || member["kind"] == "now");
    sends.filter_map(|member| member["name"].as_str().map(str::to_owned)).collect()
}

/// One family over so many stores, with one commit of one of them that fails, that is in doubt, or at which the process dies: each commit of
/// each in turn. How many there were.
pub fn one_by_one(shards: usize) -> Result<u64, String> {
    let members = members(&["long", "quick", "now", "fails"]);
    let play = |wrong: usize, with: (Faults, Crash)| {
        let (mut stage, sent) = (Stage::over(7, shards), Arc::new(Sent::default()));
        let is_exact = with.0.at.is_none();
        let client = |client: Client| live(client, members.clone(), is_exact);
        let commits = stage.play_one((wrong, with), &services(&sent), client);
        commits.and_then(|commits| sent.check(&senders(&members)).map(|()| commits))
    };
    let commits = play(0, (Faults::default(), Crash::Never))?;
    if commits.iter().filter(|commits| **commits > 3).count() < 2 {
        return Err(format!("all is in one store: {commits:?}"));
    }
    let mut tried = 0;
    for (disk, commits) in commits.iter().enumerate() {
        for n in 1..=*commits {
            let fails = |at| (Faults { at: Some(at), ..Faults::default() }, Crash::Never);
            let dies = |crash| (Faults::default(), crash);
            let all = [
                fails(Fails::Before(n)),
                fails(Fails::After(n)),
                dies(Crash::BeforeCommit(n)),
                dies(Crash::AfterCommit(n)),
            ];
            for with in all {
                play(disk, with).map_err(|fault| format!("disk {disk}, commit {n}, {with:?}: {fault}"))?;
                tried += 1;
            }
        }
    }
    Ok(tried)
}

/// A family whose top is stopped: nobody in it goes on.
pub fn stopped(seed: u64, shards: usize) -> Result<(), String> {
    let mut stage = Stage::over(seed, shards);
    stage.calm();
    let width = stage.chance.between(1, 5);
    let kinds: Vec<&str> = (0..width).map(|_| "long").collect();
    let (members, sent) = (members(&kinds), Arc::new(Sent::default()));
    let after_ms = stage.chance.below(3000);
    let played = stage.play(
        &services(&sent),
        |client: Client| {
            let members = members.clone();
            async move {
                make(&client).await;
                let [.., (_, top)] = machines();
                let execution = client.start("top", &top, &json!({ "members": members })).await;
                client.sleep_ms(after_ms).await;
                client.call("stopExecution", json!({ "ExecutionArn": execution })).await;
                let ended = client.ended(&execution).await;
                if ended["Status"] != "ABORTED" {
                    return Err(format!("{ended}"));
                }
                // Time for what stops the others.
                client.sleep_ms(100_000).await;
                for machine in ["middle", "child"] {
                    for member in &members {
                        let arn = arn(machine, member["name"].as_str().unwrap_or_default());
                        let described =
                            client.cx.call_json("sfn", "describeExecution", json!({ "ExecutionArn": arn })).await;
                        // One that was not started is as good.
                        if described.is_ok_and(|described| described["Status"] != "ABORTED") {
                            return Err(format!("{arn} was not stopped"));
                        }
                    }
                }
                Ok(())
            }
        },
        |_| {},
    );
    played.map(drop).map_err(|fault| format!("seed {seed} over {shards}: {fault}"))
}

/// The list of a machine whose executions are in several stores is one list, page by page, also of those that run alone.
pub fn listed(shards: usize) -> Result<(), String> {
    let mut stage = Stage::over(1, shards);
    stage.calm();
    let played = stage.play(&|_| {}, |client: Client| async move {
        let waits = json!({ "StartAt": "W", "States": { "W": { "Type": "Wait", "SecondsPath": "$.s", "End": true } } });
        let (mut all, mut running) = (Vec::new(), Vec::new());
        for n in 0..60_u64 {
            let name = format!("e{n}");
            let seconds = if n % 3 == 0 { 1_000_000 } else { 1 };
            let input = json!({ "s": seconds });
            let started = client.start_as("w", &name, &waits, &input).await;
            client.sleep_ms(5).await;
            if n % 3 == 0 {
                running.insert(0, started.clone());
            }
            all.insert(0, started);
        }
        client.sleep_ms(10_000).await;
        for (filter, wanted) in [(Value::Null, &all), (json!("RUNNING"), &running)] {
            for size in [1, 7, 100] {
                let (mut found, mut token) = (Vec::new(), Value::Null);
                loop {
                    let mut asked = json!({ "StateMachineArn": "arn:aws:states:us-east-1:000000000000:stateMachine:w", "MaxResults": size });
                    for (name, value) in [("StatusFilter", &filter), ("NextToken", &token)] {
                        if !value.is_null() {
                            asked[name] = value.clone();
                        }
                    }
                    let page = client.call("listExecutions", asked).await;
                    let items = page["Executions"].as_array().cloned().unwrap_or_default();
                    found.extend(items.iter().filter_map(|item| item["ExecutionArn"].as_str().map(str::to_owned)));
                    token = page["NextToken"].clone();
                    if token.is_null() {
                        break;
                    }
                }
                if found != *wanted {
                    return Err(format!("{filter}, {size} at once: {found:?} for {wanted:?}"));
                }
            }
        }
        Ok(())
    }, |_| {});
    played.map(drop)
}
