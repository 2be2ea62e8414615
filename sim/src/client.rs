//! A client: makes a machine, starts an execution of it, asks after it until it is over, and compares all that it is told with what
//! it was told before and with what the evaluator expects.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use service::Cx;
use store::Clock as _;
use wire::Error;

use crate::evaluate::{Ends, alike, evaluate};
use crate::generate::Generated;
use crate::oracle::{Seen, check_history};
use crate::world::World;

/// One execution, as its client knows it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Client(Arc<Inner>);

struct Inner {
    name: String,
    made: Generated,
    /// `None`: there are too many ways to end.
    ends: Option<Ends<Value>>,
    start_at: jiff::Timestamp,
    habits: Habits,
    known: Mutex<Known>,
}

/// What the client does beside starting an execution.
#[derive(Clone, Copy)]
pub(crate) struct Habits {
    pub(crate) stop_at: Option<jiff::Timestamp>,
    /// It redrives an execution that did not succeed, once.
    pub(crate) redrives: bool,
    /// It starts executions through an alias of a version.
    pub(crate) has_alias: bool,
    /// Storage fails, or the process dies at times.
    pub(crate) in_trouble: bool,
}

#[derive(Default)]
struct Known {
    machine: Option<String>,
    /// What executions are started with.
    started_by: Option<String>,
    redriven: bool,
    /// ARN and start date, once StartExecution was acknowledged.
    started: Option<(String, Value)>,
    stop_sent: bool,
    history: Vec<Value>,
    described: Option<Value>,
    over: bool,
}

impl Client {
    pub(crate) fn new(name: String, made: Generated, start_at: jiff::Timestamp, habits: Habits) -> Self {
        let ends = evaluate(&made.machine, &made.input, habits.in_trouble).ok();
        Self(Arc::new(Inner { name, made, ends, start_at, habits, known: Mutex::default() }))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_over(&self) -> bool {
        let over = self.known().over;
        over && !self.will_redrive()
    }

    /// A worker may still have something to do for it.
    pub(crate) fn needs_worker(&self) -> bool {
        self.0.made.machine.has_activity() && !self.is_over()
    }

    fn will_redrive(&self) -> bool {
        let known = self.known();
        let status = known.described.as_ref().map(|described| &described["Status"]);
        // A history that is full leaves no room.
        let can = status.is_some_and(|status| status != "SUCCEEDED") && known.history.len() < 20_000;
        self.0.habits.redrives && !known.redriven && known.over && can
    }

    /// The resource part of its ARN, where it has succeeded.
    pub(crate) fn succeeded(&self) -> Option<String> {
        let known = self.known();
        let succeeded = known.described.as_ref().is_some_and(|described| described["Status"] == "SUCCEEDED");
        succeeded.then(|| format!("execution:{}:e", self.0.name))
    }

    /// All that was seen of the execution, for comparing runs.
    pub(crate) fn story(&self) -> String {
        let known = self.known();
        let history: Vec<String> = known.history.iter().map(Value::to_string).collect();
        format!("{}\n{:?}\n{}\n", self.0.name, known.described, history.join("\n"))
    }

    /// What it ran.
    pub(crate) fn shown(&self) -> String {
        let made = &self.0.made;
        let known = self.known();
        format!(
            "{}\n{}\ninput {}\nexpected {:?}\nfound {:?}\nhistory {:#?}",
            self.0.name,
            made.machine.definition(made.language),
            made.input,
            self.0.ends,
            known.described,
            known.history.iter().map(Seen::read).collect::<Vec<_>>()
        )
    }

    /// Goes on where it was when the process died.
    pub(crate) async fn follow(self, world: World, cx: Cx) {
        if self.is_over() {
            // What has ended stays as it ended.
            return self.ask(&world, &cx).await;
        }
        let machine = self.machine(&world, &cx).await;
        world.sleep_until(self.0.start_at).await;
        self.start(&world, &cx, &machine).await;
        if let (Some(at), false) = (self.0.habits.stop_at, self.known().stop_sent) {
            tokio::spawn(self.clone().stop(world.clone(), cx.clone(), at));
        }
        let mut pause_ms = 500;
        while !self.is_over() && world.faults().is_empty() {
            if self.will_redrive() {
                self.redrive(&world, &cx).await;
                pause_ms = 500;
            }
            world.sleep_ms(pause_ms).await;
            pause_ms = (pause_ms * 3 / 2).min(3_600_000);
            self.ask(&world, &cx).await;
        }
    }

    /// Asked again with the same token, it is the same redrive.
    async fn redrive(&self, world: &World, cx: &Cx) {
        let Some((arn, _)) = self.known().started.clone() else { return };
        let redriven =
            call(world, cx, "redriveExecution", json!({ "ExecutionArn": arn, "ClientToken": "again" })).await;
        if let Err(error) = redriven {
            world.fault(format!("{}: cannot be redriven: {error}\n{}", self.0.name, self.shown()));
        }
        let mut known = self.known();
        (known.redriven, known.over, known.described) = (true, false, None);
    }

    async fn machine(&self, world: &World, cx: &Cx) -> String {
        let (machine, is_ready) = {
            let known = self.known();
            (known.machine.clone(), known.started_by.is_some())
        };
        if let (Some(machine), true) = (machine, is_ready) {
            return machine;
        }
        let made = &self.0.made;
        let input = json!({
            "Name": self.0.name,
            "Definition": made.machine.definition(made.language).to_string(),
            "RoleArn": "arn:aws:iam::000000000000:role/machine",
        });
        let made = async {
            if made.machine.has_activity() {
                call(world, cx, "createActivity", json!({ "Name": "a" })).await?;
            }
            call(world, cx, "createStateMachine", input).await
        };
        match made.await {
            Ok(made) => {
                let arn = made["StateMachineArn"].as_str().unwrap_or_default().to_owned();
                let started_by = if self.0.habits.has_alias { self.alias(world, cx, &arn).await } else { arn.clone() };
                let mut known = self.known();
                (known.machine, known.started_by) = (Some(arn.clone()), Some(started_by));
                arn
            }
            Err(error) => {
                world.fault(format!("{}: a machine is refused: {error}\n{}", self.0.name, self.shown()));
                std::future::pending().await
            }
        }
    }

    /// A version, and an alias for it.
    async fn alias(&self, world: &World, cx: &Cx, machine: &str) -> String {
        let made = async {
            let published =
                call(world, cx, "publishStateMachineVersion", json!({ "StateMachineArn": machine })).await?;
            let routes = json!([{ "StateMachineVersionArn": published["StateMachineVersionArn"], "Weight": 100 }]);
            let alias = json!({ "Name": "live", "RoutingConfiguration": routes });
            call(world, cx, "createStateMachineAlias", alias).await
        };
        match made.await {
            Ok(made) => made["StateMachineAliasArn"].as_str().unwrap_or_default().to_owned(),
            Err(error) => {
                world.fault(format!("{}: an alias is refused: {error}", self.0.name));
                std::future::pending().await
            }
        }
    }

    async fn start(&self, world: &World, cx: &Cx, machine: &str) {
        if self.known().started.is_some() {
            return;
        }
        let started_by = self.known().started_by.clone();
        let input = json!({ "StateMachineArn": started_by, "Name": "e", "Input": self.0.made.input.to_string() });
        let arn = machine.replace(":stateMachine:", ":execution:") + ":e";
        match call(world, cx, "startExecution", input).await {
            Ok(started) => {
                if started["ExecutionArn"] != json!(arn) {
                    world.fault(format!("{}: started as {started}", self.0.name));
                }
                self.known().started = Some((arn, started["StartDate"].clone()));
            }
            // It was started, this client was not told, and it is over.
            Err(error) if error.code() == "ExecutionAlreadyExists" => {
                self.known().started = Some((arn, Value::Null));
            }
            Err(error) => world.fault(format!("{}: an execution is refused: {error}", self.0.name)),
        }
    }

    async fn stop(self, world: World, cx: Cx, at: jiff::Timestamp) {
        world.sleep_until(at).await;
        let Some((arn, _)) = self.known().started.clone() else { return };
        let stopped = call(&world, &cx, "stopExecution", json!({ "ExecutionArn": arn, "Error": "Stopped" })).await;
        self.known().stop_sent = true;
        if let Err(error) = stopped {
            world.fault(format!("{}: cannot be stopped: {error}", self.0.name));
        }
    }

    /// Describes the execution, reads its history, and compares.
    async fn ask(&self, world: &World, cx: &Cx) {
        let Some((arn, started)) = self.known().started.clone() else { return };
        let described = match call(world, cx, "describeExecution", json!({ "ExecutionArn": arn })).await {
            Ok(mut described) => {
                // Whether it can be redriven changes with time.
                described["RedriveStatus"] = Value::Null;
                described["RedriveStatusReason"] = Value::Null;
                described
            }
            Err(error) => {
                return world.fault(format!("{}: what was acknowledged is gone: {error}", self.0.name));
            }
        };
        if !started.is_null() && described["StartDate"] != started {
            world.fault(format!("{}: started {started}, now {}", self.0.name, described["StartDate"]));
        }
        let Some(history) = history(world, cx, &arn, &self.0.name).await else { return };
        let over = described["Status"] != "RUNNING";
        if over {
            self.ask_after_runs(world, cx, &arn).await;
        }
        let fault = {
            let mut known = self.known();
            let same = known.history.len() <= history.len() && known.history.iter().zip(&history).all(|(a, b)| a == b);
            let fault = if !same || (known.over && known.history.len() != history.len()) {
                Some("its history has changed")
            } else if known.over && known.described.as_ref() != Some(&described) {
                Some("its end has changed")
            } else {
                None
            };
            known.history = history;
            known.described = Some(described);
            fault
        };
        if let Some(fault) = fault {
            world.fault(format!("{}: {fault}\n{}", self.0.name, self.shown()));
        }
        if over && !self.known().over {
            if let Err(fault) = self.check() {
                world.fault(format!("{}: {fault}\n{}", self.0.name, self.shown()));
            }
            self.known().over = true;
        }
    }

    /// Runs of Distributed Maps have counted all their children; those of an execution that has succeeded are over.
    async fn ask_after_runs(&self, world: &World, cx: &Cx, arn: &str) {
        let Ok(listed) = call(world, cx, "listMapRuns", json!({ "ExecutionArn": arn })).await else { return };
        for listed in listed["MapRuns"].as_array().into_iter().flatten() {
            let Ok(run) = call(world, cx, "describeMapRun", json!({ "MapRunArn": listed["MapRunArn"] })).await else {
                return world.fault(format!("{}: a map run is gone", self.0.name));
            };
            let counts = &run["ExecutionCounts"];
            let number = |field: &str| counts[field].as_u64().unwrap_or(0);
            let ended =
                ["Succeeded", "Failed", "TimedOut", "Aborted", "Running", "Pending", "PendingRedrive"].map(number);
            let tolerates = run["ToleratedFailurePercentage"] == json!(100.0);
            let wrong = number("Total") != ended.iter().sum::<u64>()
                || (run["Status"] == "SUCCEEDED" && !tolerates && number("Total") != number("Succeeded"))
                || (run["Status"] != "RUNNING" && number("Running") + number("PendingRedrive") > 0);
            let written = number("ResultsWritten");
            if wrong || (run["Status"] == "SUCCEEDED" && written > 0 && results(world, &run) != Some(written)) {
                world.fault(format!("{}: a map run counts {run}\n{}", self.0.name, self.shown()));
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        let known = self.known();
        let described = known.described.clone().unwrap_or_default();
        let seen: Vec<Seen> = known.history.iter().map(Seen::read).collect();
        check_history(&seen)?;
        let text = |field: &str| described[field].as_str().unwrap_or_default().to_owned();
        let output = || serde_json::from_str::<Value>(&text("Output")).unwrap_or_default();
        let last = known.history.last().cloned().unwrap_or_default();
        if described["Status"] == "SUCCEEDED" && last["ExecutionSucceededEventDetails"]["Output"] != described["Output"]
        {
            return Err("its output is not that of its last event".to_owned());
        }
        let Some(ends) = &self.0.ends else { return Ok(()) };
        let expected = ends.iter().any(|end| match (end, text("Status").as_str()) {
            (Ok(value), "SUCCEEDED") => alike(value, &output()),
            (Err(failure), "FAILED") => {
                text("Error") == failure.error && alike(&json!(failure.cause), &json!(text("Cause")))
            }
            _ => false,
        });
        let stopped = self.0.habits.stop_at.is_some() && text("Status") == "ABORTED" && text("Error") == "Stopped";
        if expected || stopped { Ok(()) } else { Err("it has not ended as expected".to_owned()) }
    }
}

/// How many results the files of a run hold that has succeeded.
fn results(world: &World, run: &Value) -> Option<u64> {
    let id = run["MapRunArn"].as_str()?.rsplit(':').next()?;
    let manifest = world.object(&format!("of/{id}/manifest.json"))?;
    let files = ["SUCCEEDED", "FAILED"].iter().filter_map(|status| manifest["ResultFiles"][status].as_array());
    let results = |file: &Value| Some(world.object(file["Key"].as_str()?)?.as_array()?.len() as u64);
    files.flatten().map(results).sum()
}

/// All pages; `None` when the process was told nothing new because storage failed.
async fn history(world: &World, cx: &Cx, arn: &str, name: &str) -> Option<Vec<Value>> {
    let mut events = Vec::new();
    let mut token = Value::Null;
    let size = world.chance(|chance| chance.between(20, 1000));
    loop {
        let mut input = json!({ "ExecutionArn": arn, "MaxResults": size });
        if !token.is_null() {
            input["NextToken"] = token;
        }
        match call(world, cx, "getExecutionHistory", input).await {
            Ok(mut page) => {
                let Value::Array(found) = page["Events"].take() else { return None };
                events.extend(found);
                token = page["NextToken"].take();
                if token.is_null() {
                    return Some(events);
                }
            }
            Err(error) => {
                world.fault(format!("{name}: its history is gone: {error}"));
                return None;
            }
        }
    }
}

/// Asks again while storage fails.
async fn call(world: &World, cx: &Cx, operation: &str, input: Value) -> Result<Value, Error> {
    loop {
        match cx.call_json("sfn", operation, input.clone()).await {
            Err(error) if error.status() >= 500 => {
                let pause = world.chance(|chance| chance.between(1, 2000));
                world.sleep_ms(pause).await;
                // Not forever, should something else be wrong.
                if world.clock.now() > LAST {
                    return Err(error);
                }
            }
            done => return done,
        }
    }
}

/// No simulation lasts longer.
pub(crate) const LAST: jiff::Timestamp = jiff::Timestamp::constant(1_767_225_600 + 60 * 86_400, 0);
