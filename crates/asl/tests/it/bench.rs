//! Runs an execution by hand.

use std::sync::Arc;

use asl::{Command, Definition, Event, Execution, Info, MachineType, Outcome, Payload, TaskId, TimerId, Timestamp};
use serde_json::{Map, Value, json};

/// 2024-11-06T09:42:03.123Z.
const START: Timestamp = Timestamp(1_730_886_123_123);

pub(crate) struct Bench {
    execution: Execution,
    now: Timestamp,
    pub(crate) history: Vec<Value>,
    timers: Vec<(TimerId, Timestamp)>,
    tasks: Vec<(TaskId, Value)>,
    outcome: Option<Outcome>,
}

impl Bench {
    pub(crate) fn start(definition: &str, input: &str) -> Result<Self, Vec<String>> {
        let definition = Definition::parse(definition, MachineType::Standard)
            .map_err(|found| found.iter().map(asl::Diagnostic::sentence).collect::<Vec<_>>())?;
        let machine = "arn:aws:states:us-east-1:111111111111:stateMachine:machine";
        let info = Info {
            execution_arn: "arn:aws:states:us-east-1:111111111111:execution:machine:run".to_owned(),
            name: "run".to_owned(),
            role_arn: "arn:aws:iam::111111111111:role/role".to_owned(),
            state_machine_arn: machine.to_owned(),
            state_machine_name: "machine".to_owned(),
            region: "us-east-1".to_owned(),
            started: START,
            input: Payload::inline(input.to_owned()),
            ..Info::default()
        };
        let execution = Execution::new(Arc::new(definition), info, [1, 2]);
        let mut bench =
            Self { execution, now: START, history: Vec::new(), timers: Vec::new(), tasks: Vec::new(), outcome: None };
        bench.tell(Event::Started);
        Ok(bench)
    }

    fn tell(&mut self, event: Event) {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let mut out = Vec::new();
            self.execution.handle(self.now, event, &mut out);
            for command in out {
                match command {
                    Command::Record(event) => self.history.push(event.to_json(true)),
                    Command::StartTask(task) => self.tasks.push((task.task, task.parameters.value().clone())),
                    Command::CancelTask { task } => self.tasks.retain(|(known, _)| *known != task),
                    Command::SetTimer { timer, at } => self.timers.push((timer, at)),
                    Command::ClearTimer { timer } => self.timers.retain(|(known, _)| *known != timer),
                    Command::Continue => next = Some(Event::Continue),
                    Command::Finish(outcome) => self.outcome = Some(outcome),
                    Command::StartMapRun(_) | Command::StopMapRun { .. } | Command::RedriveMapRun { .. } => {}
                }
            }
        }
    }

    /// One event of a case: `"tick"`, `{"succeed": …}`, `{"fail": {"error": …, "cause": …}}`; answers are to the oldest task.
    pub(crate) fn happen(&mut self, event: &Value) {
        if event == "tick" {
            return self.tick();
        }
        if event == "stop" {
            return self.tell(Event::StopRequested { error: None, cause: None });
        }
        let (task, _) = self.tasks.remove(0);
        if let Some(output) = event.get("succeed") {
            return self.tell(Event::TaskSucceeded { task, output: output.to_string() });
        }
        let text = |name: &str| event["fail"][name].as_str().map(str::to_owned);
        self.tell(Event::TaskFailed { task, error: text("error"), cause: text("cause") });
    }

    fn tick(&mut self) {
        let (timer, at) = *self.timers.iter().min_by_key(|(_, at)| *at).expect("a timer is set");
        self.timers.retain(|(known, _)| *known != timer);
        self.now = at;
        self.tell(Event::TimerFired { timer });
    }

    pub(crate) fn run_timers(&mut self) {
        while self.outcome.is_none() && !self.timers.is_empty() {
            self.tick();
        }
    }

    /// Status, output, error and cause, as DescribeExecution has them.
    pub(crate) fn outcome(&self) -> Value {
        let Some(outcome) = &self.outcome else { return json!({"status": "RUNNING"}) };
        let mut shown = Map::new();
        shown.insert("status".to_owned(), json!(outcome.status.name()));
        let output = outcome.output.as_ref().map(|output| output.text().to_owned());
        for (name, value) in [("output", &output), ("error", &outcome.error), ("cause", &outcome.cause)] {
            if let Some(value) = value {
                shown.insert(name.to_owned(), json!(value));
            }
        }
        Value::Object(shown)
    }

    /// The history without times and without what every event says in the same way.
    pub(crate) fn compact_history(&self) -> Vec<Value> {
        let mut events = self.history.clone();
        for event in events.iter_mut().filter_map(Value::as_object_mut) {
            event.shift_remove("timestamp");
            for details in event.values_mut().filter_map(Value::as_object_mut) {
                details.retain(|name, _| !name.ends_with("Details"));
            }
        }
        events
    }
}
