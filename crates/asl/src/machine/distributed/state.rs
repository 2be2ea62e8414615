//! The Map state's side of a run: what it begins with and what its end makes of the state.

use std::sync::Arc;

use serde_json::Value;

use super::{KIN, Limits, MapRun, Progress, RunEnded};
use crate::definition::{Amount, Distributed, Map, State};
use crate::expr::Expr;
use crate::history::Details;
use crate::info::Redrive;
use crate::machine::data::View;
use crate::machine::failure::Failure;
use crate::machine::frame::{Frame, Phase, RunRef};
use crate::machine::states::no_array;
use crate::machine::{Command, Execution, Status, TaskId, Turn};
use crate::payload::Payload;
use crate::random::Chance as _;
use crate::settings::{Batcher, Export, Reader, Writer};
use crate::shard::kin;
use crate::value::written_integer;

/// After these a redrive begins another run. Source: Developer Guide, "Redriving Map Runs".
const BEGUN_ANEW: [&str; 2] = ["States.DataLimitExceeded", "States.Runtime"];

impl Execution {
    /// Begins a run; again at each retry.
    pub(in crate::machine) fn start_map_run(
        &mut self,
        turn: &mut Turn<'_>,
        mut frame: Frame,
        state: &Arc<State>,
        map: &Map,
        distributed: &Distributed,
    ) {
        match self.map_run(turn, &mut frame, state, map, distributed) {
            Ok(run) => {
                self.log(turn, &mut frame, Details::MapRunStarted { arn: run.arn.clone() });
                let known = RunRef { map_run_arn: run.arn.clone(), redrives: 0 };
                frame.phase = Phase::MapRun { task: run.task, run: known };
                turn.out.push(Command::StartMapRun(Box::new(run)));
                self.keep(frame);
            }
            Err(failure) => self.fail(turn, frame, failure),
        }
    }

    fn map_run(
        &mut self,
        turn: &mut Turn<'_>,
        frame: &mut Frame,
        state: &Arc<State>,
        map: &Map,
        distributed: &Distributed,
    ) -> Result<MapRun, Failure> {
        let input = self.effective_input(frame, state)?;
        let max_concurrency = self.amount(frame, map.max_concurrency.as_ref(), "MaxConcurrency", &input)?.unwrap_or(0);
        let items = match &distributed.reader {
            Some(_) => None,
            None => Some(self.map_items(frame, map, &input)?),
        };
        let length = match items.as_ref().map(Payload::value) {
            None => 0,
            Some(Value::Array(items)) => items.len() as u64,
            Some(Value::Object(members)) => members.len() as u64,
            Some(other) => return Err(no_array(frame, state, map, other)),
        };
        self.log(turn, frame, Details::MapStateStarted { length });
        let (tolerated_failure_count, tolerated_failure_percentage) = self.tolerated(frame, map, &input)?;
        let reader = self.item_reader(frame, distributed, &input)?;
        let failure = reader.as_ref().and_then(Reader::fault);
        let batcher = self.item_batcher(frame, distributed, &input)?;
        let writer = self.result_writer(frame, distributed, &input)?;
        let id = kin(&self.info.execution_arn, &self.root.random.borrow_mut().uuid());
        let (name, label) = (&self.info.state_machine_name, &distributed.label);
        let account = self.info.execution_arn.split(':').nth(4).unwrap_or_default();
        let arn = format!("arn:aws:states:{}:{account}:mapRun:{name}/{label}:{id}", self.info.region);
        Ok(MapRun {
            version: KIN,
            arn,
            execution_arn: self.info.execution_arn.clone(),
            state_machine_arn: self.info.state_machine_arn.clone(),
            state_machine_name: name.clone(),
            label: label.clone(),
            express: distributed.express,
            started: turn.now,
            stopped: None,
            status: Status::Running,
            limits: Limits { max_concurrency, tolerated_failure_count, tolerated_failure_percentage },
            reader,
            writer,
            batcher,
            processor: distributed.processor.clone(),
            items,
            known_items: length,
            task: TaskId { frame: frame.id, sequence: self.next_sequence() },
            progress: Progress::default(),
            redrive: Redrive::default(),
            failure,
            place: self.place_of(frame),
            frame: self.alone(frame),
        })
    }

    pub(in crate::machine) fn item_reader(
        &mut self,
        frame: &Frame,
        distributed: &Distributed,
        input: &Payload,
    ) -> Result<Option<Reader>, Failure> {
        let Some(reader) = &distributed.reader else { return Ok(None) };
        let parameters = match &reader.parameters {
            Some(template) => self.filled(frame, template, input, View::default())?.value().clone(),
            None => Value::Null,
        };
        let max_items = self.max_items(frame, reader.max_items.as_ref(), input)?;
        Ok(Some(Reader { source: reader.source, parameters, config: reader.config.clone(), max_items }))
    }

    /// The number may also be written as a text where it is referred to. A negative one is the run's failure, not the state's.
    fn max_items(&self, frame: &Frame, amount: Option<&Amount>, input: &Payload) -> Result<i64, Failure> {
        if let Some(Amount::Expr(expr)) = amount
            && let Ok(value) = self.scope(frame, input.value(), View::default(), |scope| expr.eval(scope))
        {
            let is_query = matches!(expr, Expr::Query { .. });
            let number = if is_query { value.as_i64() } else { written_integer(&value) };
            if let Some(number) = number {
                return Ok(number);
            }
        }
        let amount = self.amount(frame, amount, named(amount, "ItemReader/ReaderConfig/MaxItems"), input)?.unwrap_or(0);
        Ok(i64::try_from(amount).unwrap_or(i64::MAX))
    }

    pub(in crate::machine) fn item_batcher(
        &mut self,
        frame: &Frame,
        distributed: &Distributed,
        input: &Payload,
    ) -> Result<Option<Batcher>, Failure> {
        let Some(batcher) = &distributed.batcher else { return Ok(None) };
        let batch_input = match &batcher.input {
            Some(template) => Some(self.filled(frame, template, input, View::default())?.text().to_owned()),
            None => None,
        };
        let limit = |amount: &Option<Amount>, way: &'static str| -> Result<Option<u64>, Failure> {
            let amount = amount.as_ref();
            Ok(self.amount(frame, amount, named(amount, way), input)?.filter(|limit| *limit > 0))
        };
        Ok(Some(Batcher {
            max_items: limit(&batcher.max_items, "ItemBatcher/MaxItemsPerBatch")?,
            max_bytes: limit(&batcher.max_bytes, "ItemBatcher/MaxInputBytesPerBatch")?,
            input: batch_input,
        }))
    }

    fn result_writer(
        &mut self,
        frame: &Frame,
        distributed: &Distributed,
        input: &Payload,
    ) -> Result<Option<Writer>, Failure> {
        let Some(writer) = &distributed.writer else { return Ok(None) };
        let export = match &writer.parameters {
            None => None,
            Some(template) => {
                let parameters = self.filled(frame, template, input, View::default())?;
                let text = |name: &str| parameters.value()[name].as_str().map(str::to_owned);
                let bucket = text("Bucket")
                    .ok_or_else(|| Failure::runtime(frame, "The ResultWriter's Bucket must be a string."))?;
                Some(Export { bucket, prefix: text("Prefix").unwrap_or_default() })
            }
        };
        Ok(Some(Writer { export, transformation: writer.transformation, lines: writer.lines }))
    }

    /// The states on the way from the top to the frame, each with the branch or item taken.
    fn place_of(&self, frame: &Frame) -> Vec<(String, u64)> {
        let mut place = Vec::new();
        let (mut parent, mut index) = (frame.parent, frame.index);
        while let Some(above) = parent.and_then(|id| self.frames.get(&id)) {
            place.push((above.state.clone(), index));
            (parent, index) = (above.parent, above.index);
        }
        place.reverse();
        place
    }

    /// A copy of the frame that sees all it sees now without those above it.
    fn alone(&self, frame: &Frame) -> Frame {
        let mut copy = frame.clone();
        copy.phase = Phase::Ready;
        let mut parent = frame.parent;
        while let Some(above) = parent.and_then(|id| self.frames.get(&id)) {
            for (name, value) in &above.variables {
                copy.variables.entry(name.clone()).or_insert_with(|| value.clone());
            }
            if copy.item.is_none() && above.item.is_some() {
                (copy.item, copy.index) = (above.item.clone(), above.index);
            }
            parent = above.parent;
        }
        copy.parent = None;
        copy
    }

    pub(in crate::machine) fn map_run_ended(&mut self, turn: &mut Turn<'_>, task: TaskId, ended: RunEnded) {
        let Some(mut frame) = self.waiting_for(task) else { return };
        let phase = std::mem::replace(&mut frame.phase, Phase::Ready);
        match ended {
            RunEnded::Succeeded { output } => {
                self.log(turn, &mut frame, Details::MapRunSucceeded);
                self.record(turn, frame.previous, Details::MapStateSucceeded);
                let result = self.payload(output);
                self.complete(turn, frame, &result);
            }
            RunEnded::Failed(failure) => {
                let (error, cause) = (failure.error, failure.cause);
                if let Phase::MapRun { run, .. } = phase
                    && !error.as_deref().is_some_and(|error| BEGUN_ANEW.contains(&error))
                {
                    frame.unfinished_run = Some(run);
                }
                self.log(turn, &mut frame, Details::MapRunFailed { error: error.clone(), cause: cause.clone() });
                self.fail(turn, frame, Failure::new(error, cause));
            }
        }
    }
}

/// What messages call the place of an amount: an expression's by the way to it, a path's by its field alone.
fn named(amount: Option<&Amount>, way: &'static str) -> &'static str {
    match amount {
        Some(Amount::Expr(Expr::Query { .. })) => way,
        _ => way.rsplit('/').next().unwrap_or(way),
    }
}
