//! A turn's effects, all of them, as one transaction.

use std::sync::Arc;

use asl::{
    Command, Details, Execution, HistoryEvent, Info, Payload, Redrive, RedriveOrder, StartTask, Status, TaskId,
    Timestamp,
};
use serde::{Deserialize, Serialize};
use store::{Key, NewTask, Tx};

use crate::metrics::{self, Noted};
use crate::records::{self, RunningRef, Summary};
use crate::runners::{self, Address, Announcement};
use crate::shards::Site;
use crate::waits::{self, Wait};
use crate::{ExecutionArn, MapRunArn, NewExecution, TASK_KIND, history, logs, map_runs, traces};

/// What the runner of a task is given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskPayload {
    pub execution: ExecutionArn,
    pub task: TaskId,
    pub state: String,
    pub resource: String,
    pub parameters: Payload,
    /// The machine's role.
    pub role_arn: String,
    /// The role of the state's Credentials, which the machine's role takes up.
    #[serde(default)]
    pub other_role: Option<String>,
    /// The execution's name.
    pub name: String,
    pub token: Option<String>,
    /// The span that its call is, where the execution is traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// The record that names it among the tasks of its activity, once it lies ready there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Vec<u8>>,
}

impl TaskPayload {
    pub fn new(execution: &ExecutionArn, info: &Info, start: StartTask) -> Self {
        Self {
            execution: execution.clone(),
            task: start.task,
            state: start.state,
            resource: start.resource,
            parameters: start.parameters,
            role_arn: info.role_arn.clone(),
            other_role: start.role_arn,
            name: info.name.clone(),
            token: start.token,
            trace: traces::of_call(info, start.event).map(|span| span.to_string()),
            place: None,
        }
    }
}

/// Records to put and delete, tasks to queue and cancel.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    puts: Vec<(Key, Vec<u8>)>,
    deletes: Vec<Key>,
    tasks: Vec<NewTask>,
    cancelled: Vec<String>,
    /// Tasks that the execution no longer waits for.
    abandoned: Vec<String>,
    /// The summary of an execution that begins with this turn.
    summary: Option<(Key, Summary)>,
    /// How an execution that began earlier ended: its summary takes it up.
    ended: Option<(ExecutionArn, Timestamp, asl::Outcome, u64)>,
    /// An execution that runs again, with the client's token.
    pub(crate) redriven: Option<(ExecutionArn, Redrive, String)>,
    /// Distributed Maps' runs that begin, and those that are to end.
    runs: Vec<asl::MapRun>,
    stopped_runs: Vec<(String, u32)>,
    redriven_runs: Vec<(String, RedriveOrder)>,
    /// Records of an execution that begins again from nothing: they go before others come.
    replaced: Vec<Vec<u8>>,
    /// The run's child that ended.
    ended_child: Option<(asl::ChildOf, Status)>,
    /// Their histories go to a log as well.
    logs: Vec<ExecutionArn>,
    pub(crate) done: Option<String>,
    pub(crate) wait: Option<Wait>,
    /// What is counted once this is written.
    pub(crate) noted: Vec<Noted>,
}

impl Batch {
    /// The records of a new execution.
    pub(crate) fn begin(new: &NewExecution, execution: &Execution) -> Result<Self, store::Error> {
        let mut batch = Self::default();
        let info = execution.info();
        batch.put(records::info(&new.arn), &**info)?;
        batch.summary = Some((records::summary(&new.arn), summary(new, info)));
        batch.put_text(records::listed(&new.arn, info.started), new.arn.as_str());
        Ok(batch)
    }

    /// The records of a new child of a Distributed Map's run and of its first turn. When that was its last one, the summary says so
    /// from the beginning, and the run counts it itself.
    pub(crate) fn begin_child(
        &mut self,
        new: &NewExecution,
        execution: &mut Execution,
        commands: Vec<Command>,
        now: Timestamp,
    ) -> Result<(), store::Error> {
        let info = Arc::clone(execution.info());
        self.add(&new.arn, now, execution, commands, false)?;
        self.ended_child = None;
        let mut summary = summary(new, &info);
        if let Some((_, at, outcome, events)) = self.ended.take() {
            summary.end(at, &outcome, events);
        }
        self.put(records::info(&new.arn), &*info)?;
        self.put(records::summary(&new.arn), &summary)?;
        if let Some(run) = info.map_run.as_ref().and_then(|of| MapRunArn::parse(&of.map_run_arn)) {
            self.put_text(records::listed_child(&new.arn, &run, info.started), new.arn.as_str());
        }
        Ok(())
    }

    /// The records of a child that runs again, and of its first turn since then.
    pub(crate) fn redrive_child(
        &mut self,
        arn: &ExecutionArn,
        mut summary: Summary,
        execution: &mut Execution,
        commands: Vec<Command>,
        now: Timestamp,
    ) -> Result<(), store::Error> {
        self.add(arn, now, execution, commands, false)?;
        self.ended_child = None;
        summary.redrive_with(execution.redriven(), None);
        if let Some((_, at, outcome, events)) = self.ended.take() {
            summary.end(at, &outcome, events);
        }
        self.put(records::summary(arn), &summary)
    }

    pub(crate) fn add(
        &mut self,
        arn: &ExecutionArn,
        now: Timestamp,
        execution: &mut Execution,
        commands: Vec<Command>,
        tells_events: bool,
    ) -> Result<(), store::Error> {
        let mut history = Vec::with_capacity(commands.len());
        let mut announced = Vec::new();
        let number = metrics::number(arn);
        let transitions = execution.take_transitions();
        self.noted.extend(Noted::transitions(execution.info(), transitions));
        for command in commands {
            match command {
                Command::Record(event) => {
                    if event.id == 1 || matches!(event.details, Details::ExecutionRedriven { .. }) {
                        announced.push(Status::Running);
                    }
                    self.noted.extend(Noted::of(number, execution.info(), &event));
                    history.push(event);
                }
                Command::StartTask(start) => self.tasks.push(task(arn, execution.info(), start)?),
                Command::CancelTask { task } => self.abandoned.push(task_name(arn, task)),
                Command::SetTimer { timer, at } => {
                    let address = Address { execution: arn.clone(), timer: Some(timer) };
                    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::MAX);
                    self.tasks.push(
                        NewTask::new(runners::TIMER_KIND, runners::timer_name(arn, timer))
                            .payload(&address)?
                            .unseen()
                            .at(at),
                    );
                }
                Command::ClearTimer { timer } => self.cancelled.push(runners::timer_name(arn, timer)),
                Command::Continue => {
                    let address = Address { execution: arn.clone(), timer: None };
                    self.tasks.push(NewTask::new(runners::CONTINUE_KIND, format!("{arn}/continue")).payload(&address)?);
                }
                Command::StartMapRun(run) => self.runs.push(*run),
                Command::StopMapRun { map_run_arn, redrives } => self.stopped_runs.push((map_run_arn, redrives)),
                Command::RedriveMapRun { map_run_arn, order } => self.redriven_runs.push((map_run_arn, order)),
                Command::Finish(outcome) => {
                    announced.push(outcome.status);
                    self.noted.extend(Noted::over(arn, execution.info()));
                    self.ended_child = execution.info().map_run.clone().map(|of| (of, outcome.status));
                    let events = execution.event_count();
                    match &mut self.summary {
                        Some((_, summary)) => summary.end(now, &outcome, events),
                        None => self.ended = Some((arn.clone(), now, outcome, events)),
                    }
                }
            }
        }
        // Children of Distributed Maps are too many to be announced.
        if tells_events && !arn.is_express() && execution.info().map_run.is_none() {
            for status in announced {
                let announcement = Announcement { execution: arn.clone(), status };
                let again = match execution.redriven().count {
                    0 => String::new(),
                    count => format!("/{count}"),
                };
                let name = format!("{arn}/event/{}{again}", status.name());
                self.tasks.push(NewTask::new(runners::EVENT_KIND, name).payload(&announcement)?);
            }
        }
        if execution.info().logged && !history.is_empty() {
            self.logs.push(arn.clone());
        }
        self.add_history(arn, history)?;
        self.add_dirty(arn, execution)
    }

    /// The events of a turn are one record, under the first one's number; those of a long turn several, so that a page of the
    /// history reads little more than itself.
    fn add_history(&mut self, arn: &ExecutionArn, mut events: Vec<HistoryEvent>) -> Result<(), store::Error> {
        debug_assert!(events.windows(2).all(|two| two[0].id + 1 == two[1].id), "{arn}: a history with gaps");
        while let Some(first) = events.first() {
            let key = records::history(arn, first.id);
            let rest = events.split_off(events.len().min(history::MOST));
            self.puts.push((key, history::encode(std::mem::replace(&mut events, rest))?));
        }
        Ok(())
    }

    fn add_dirty(&mut self, arn: &ExecutionArn, execution: &mut Execution) -> Result<(), store::Error> {
        // What a redrive would go on with stays as it is.
        let is_over = execution.status() != Status::Running && !execution.is_unfinished();
        let is_new = self.summary.is_some();
        let dirty = execution.take_dirty();
        for blob in &dirty.blobs {
            if let Some(id) = blob.blob_id() {
                self.puts.push((records::blob(arn, id), blob.text().as_bytes().to_vec()));
            }
        }
        for id in dirty.removed_frames {
            self.deletes.push(records::frame(arn, id));
        }
        if is_over {
            // One that ends with its first turn never had a root.
            if !is_new {
                self.deletes.push(records::root(arn));
            }
            return Ok(());
        }
        for frame in dirty.frames {
            self.put(records::frame(arn, frame.id), frame)?;
        }
        self.put(records::root(arn), &RunningRef { root: dirty.root, main: dirty.main })
    }

    pub(crate) fn put(&mut self, key: Key, record: &(impl Serialize + ?Sized)) -> Result<(), store::Error> {
        let bytes = serde_json::to_vec(record)
            .map_err(|error| store::Error::Corrupt { key: "states".to_owned(), cause: error.to_string() })?;
        self.puts.push((key, bytes));
        Ok(())
    }

    pub(crate) fn put_text(&mut self, key: Key, text: &str) {
        self.puts.push((key, text.as_bytes().to_vec()));
    }

    pub(crate) fn delete(&mut self, key: Key) {
        self.deletes.push(key);
    }

    /// Deletes records, but for those that are written anew.
    pub(crate) fn replace(&mut self, keys: Vec<Vec<u8>>) {
        self.replaced.extend(keys);
    }

    /// What it writes, about.
    pub(crate) fn bytes(&self) -> usize {
        self.puts.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// The runs that have to look at their rows once this is written.
    pub(crate) fn runs_to_wake(&self) -> Vec<String> {
        let ended = self.ended_child.iter().map(|(of, _)| of.map_run_arn.clone());
        self.stopped_runs.iter().map(|(run, _)| run.clone()).chain(ended).collect()
    }

    pub(crate) fn apply(&self, tx: &mut Tx<'_>, site: &Site) -> Result<(), store::Error> {
        // First: what goes on with a long turn has the name of the task that it follows.
        if let Some(task) = &self.done {
            tx.finish_task(task)?;
        }
        for key in &self.replaced {
            tx.delete(key)?;
        }
        for (key, bytes) in &self.puts {
            tx.put(key, bytes)?;
        }
        if let Some((key, summary)) = &self.summary {
            tx.put_json(key, summary)?;
        }
        for key in &self.deletes {
            tx.delete(key)?;
        }
        for task in &self.tasks {
            tx.enqueue(task.clone())?;
        }
        for id in &self.cancelled {
            tx.cancel_task(id)?;
        }
        for id in &self.abandoned {
            waits::abandon(tx, site, id)?;
            tx.cancel_task(id)?;
        }
        if let Some((arn, redrive, token)) = &self.redriven
            && let Some(mut summary) = tx.get_json::<Summary>(records::summary(arn))?
        {
            summary.redrive_with(*redrive, Some(token));
            tx.put_json(records::summary(arn), &summary)?;
        }
        if let Some((arn, at, outcome, events)) = &self.ended
            && let Some(mut summary) = tx.get_json::<Summary>(records::summary(arn))?
        {
            summary.end(*at, outcome, *events);
            tx.put_json(records::summary(arn), &summary)?;
            waits::execution_over(tx, site, arn)?;
        }
        for run in &self.runs {
            map_runs::begin(tx, run)?;
        }
        for (run, redrives) in &self.stopped_runs {
            map_runs::stop(tx, run, *redrives)?;
        }
        for (run, order) in &self.redriven_runs {
            map_runs::redrive(tx, run, *order)?;
        }
        if let Some((child, status)) = &self.ended_child {
            map_runs::child_ended(tx, child, *status)?;
        }
        for arn in &self.logs {
            logs::ask(tx, arn)?;
        }
        if let Some(wait) = &self.wait {
            wait.begin(tx, site)?;
        }
        Ok(())
    }
}

fn summary(new: &NewExecution, info: &Info) -> Summary {
    Summary {
        version: 1,
        name: info.name.clone(),
        state_machine_arn: info.state_machine_arn.clone(),
        state_machine_version_arn: new.state_machine_version_arn.clone(),
        state_machine_alias_arn: new.state_machine_alias_arn.clone(),
        trace_header: new.trace_header.clone(),
        logging: new.logging.clone(),
        machine_created: new.machine_created,
        machine: new.machine.clone(),
        definition: new.definition.name().to_owned(),
        status: Status::Running,
        started: info.started,
        stopped: None,
        output: None,
        error: None,
        cause: None,
        events: 0,
        redrive: Redrive::default(),
        redrive_tokens: Vec::new(),
    }
}

fn task(arn: &ExecutionArn, info: &Info, start: StartTask) -> Result<NewTask, store::Error> {
    let name = task_name(arn, start.task);
    Ok(NewTask::new(TASK_KIND, name).payload(&TaskPayload::new(arn, info, start))?.unseen())
}

fn task_name(arn: &ExecutionArn, task: TaskId) -> String {
    format!("{arn}{}{task}", waits::TASK)
}
