//! Event source mappings of DynamoDB streams: the records of each shard go to the function in their order, a batch at a time; how far
//! it has come is kept, so that after a restart it goes on there. A batch that fails holds up its shard until it succeeds, or is
//! given up as the mapping says. Source: Lambda Developer Guide, "Process DynamoDB records with Lambda".
//!
//! Map: [`window`] tumbling windows · [`lanes`] batches that are worked on at once · [`discarded`] what is told of what is given up.

mod discarded;
mod lanes;
mod window;

use std::time::Duration;

use api_dynamodbstreams::{
    DescribeStream, DescribeStreamInput, GetRecords, GetRecordsInput, GetShardIterator, GetShardIteratorInput, Record,
};
use api_lambda::EventSourceMappingConfiguration;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::Cx;
use sources::cut;
use sources::retries::{After, Outcome, Retries};
use store::{Done, Task, Tx};
use wire::{Error, reflect};

use crate::Lambda;
use crate::filters::Filters;
use crate::function::{Name, Scope};
use crate::invoke::{Call, Finished};
use crate::mapping::failures;
use discarded::Discarded;
use window::{Phase, Window};

/// Between two looks at a shard that has nothing new.
const IDLE: Duration = Duration::from_millis(500);
/// The longest wait before a failed batch is tried again.
const MAX_WAIT: Duration = Duration::from_mins(1);
const DEFAULT_BATCH: i32 = 100;
/// So long a function's role is used before it is looked up again.
const SESSION: Duration = Duration::from_mins(30);
/// As AWS: an invocation's payload is bounded.
const MAX_BYTES: usize = 6 << 20;

/// How far a mapping has come in a stream.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Position {
    /// Since when it reads: records of before are not its, unless it begins with the oldest.
    since_second: i64,
    shard: Option<String>,
    /// The last record that is done with.
    sequence_number: Option<String>,
    /// The tumbling window that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<Window>,
    /// How the function's last invocation ended, in AWS's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    result: Option<String>,
}

const OK: &str = "OK";
const FAILED: &str = "PROBLEM: Function call failed";

impl Position {
    /// Whether the last invocation ended otherwise than the one before. What did not come about says nothing.
    fn note(&mut self, outcome: Outcome) -> bool {
        let result = match outcome {
            Outcome::NotCalled => return false,
            Outcome::Done => OK,
            Outcome::FailedAt(_) => FAILED,
        };
        let is_new = self.result.as_deref() != Some(result);
        self.result = Some(result.to_owned());
        is_new
    }
}

/// What a mapping's description says of how the last invocation ended.
pub(crate) fn last_result(tx: &mut Tx<'_>, place: &Scope, uuid: &str) -> Result<Option<String>, Error> {
    Ok(tx.get_json::<Position>(place.position(uuid))?.and_then(|position| position.result))
}

/// In whose name, and for which task, a stream is followed.
#[derive(Clone, Copy)]
struct Run<'a> {
    lambda: &'a Lambda,
    cx: &'a Cx,
    task: &'a Task,
    role: &'a Cx,
    /// Whether each step is kept; else whoever began several at once keeps how far all have come.
    keeps: bool,
}

struct Source {
    stream: String,
    function: String,
    uuid: String,
    batch: i32,
    window: Duration,
    from_oldest: bool,
    max_retries: Option<i32>,
    max_age_seconds: Option<i64>,
    bisect: bool,
    partial: bool,
    on_failure: Option<String>,
    filters: Filters,
    /// How many batches are worked on at once.
    lanes: usize,
    /// The length of tumbling windows.
    tumbling_seconds: Option<i64>,
}

/// Runs until the mapping is changed or deleted.
pub(crate) async fn poll(
    lambda: &Lambda,
    task: &Task,
    cx: &Cx,
    mapping: &EventSourceMappingConfiguration,
) -> Result<Done, Error> {
    let source = Source::of(mapping);
    loop {
        match source.follow(lambda, cx, task).await {
            Ok(Left::Renewing) => {}
            Ok(Left::Stopped) => return Ok(Done::Finished),
            Err(error) => {
                tracing::debug!(%error, mapping = source.uuid, "a stream cannot be read; trying again");
                if pause(task, Duration::from_secs(5)).await {
                    return Ok(Done::Finished);
                }
            }
        }
    }
}

/// Waits, but no longer than the mapping is wanted as it is: true where it is changed or deleted.
async fn pause(task: &Task, time: Duration) -> bool {
    tokio::select! {
        () = tokio::time::sleep(time) => false,
        () = task.cancelled() => true,
    }
}

/// Why a stream is followed no further, between two invocations: none is cut short, since its records would come again.
enum Left {
    Stopped,
    /// The function's role is taken anew: it may have another one.
    Renewing,
}

impl Source {
    fn of(mapping: &EventSourceMappingConfiguration) -> Self {
        let seconds = mapping.maximum_batching_window_in_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let on_failure = mapping.destination_config.as_ref().and_then(|config| config.on_failure.as_ref());
        Self {
            stream: mapping.event_source_arn.clone().unwrap_or_default(),
            function: mapping.function_arn.clone().unwrap_or_default(),
            uuid: mapping.uuid.clone().unwrap_or_default(),
            batch: mapping.batch_size.unwrap_or(DEFAULT_BATCH),
            window: Duration::from_secs(seconds.unwrap_or(0)),
            from_oldest: mapping.starting_position.as_deref() == Some("TRIM_HORIZON"),
            max_retries: mapping.maximum_retry_attempts.filter(|attempts| *attempts >= 0),
            max_age_seconds: mapping.maximum_record_age_in_seconds.filter(|age| *age >= 0).map(i64::from),
            bisect: mapping.bisect_batch_on_function_error == Some(true),
            partial: mapping.function_response_types.iter().flatten().any(|kind| kind == "ReportBatchItemFailures"),
            on_failure: on_failure.and_then(|failure| failure.destination.clone()),
            filters: Filters::of(mapping.filter_criteria.as_ref()),
            lanes: mapping.parallelization_factor.and_then(|factor| usize::try_from(factor).ok()).unwrap_or(1).max(1),
            tumbling_seconds: mapping.tumbling_window_in_seconds.filter(|seconds| *seconds > 0).map(i64::from),
        }
    }

    /// Reads on from where it was and delivers what comes.
    async fn follow(&self, lambda: &Lambda, cx: &Cx, task: &Task) -> Result<Left, Error> {
        let until = tokio::time::Instant::now() + SESSION;
        let place = Scope::of(cx);
        let name = Name::parse(&self.function, None)?;
        let resolved = lambda.store.read(|tx| place.resolve(tx, &name, 0.0)).await?;
        let role = cx.assume(resolved.version.config.role.as_deref().unwrap_or_default(), &name.name).await?;
        let known =
            lambda.store.read(|tx| Ok::<_, Error>(tx.get_json::<Position>(place.position(&self.uuid))?)).await?;
        let fresh = known.is_none();
        let mut position =
            known.unwrap_or_else(|| Position { since_second: cx.now().as_second(), ..Position::default() });
        let run = Run { lambda, cx, task, role: &role, keeps: true };
        let mut iterator = self.begin(&role, &mut position, fresh).await?;
        if fresh {
            self.keep(run, &position).await?;
        }
        loop {
            let Some(now) = iterator else {
                // The shard was closed: a stream that was disabled gets no more, and its window is over.
                if self.close(run, &mut position, false).await? || pause(task, MAX_WAIT).await {
                    return Ok(Left::Stopped);
                }
                iterator = self.begin(&role, &mut position, false).await?;
                continue;
            };
            if tokio::time::Instant::now() >= until {
                return Ok(Left::Renewing);
            }
            let (records, next) = tokio::select! {
                biased;
                () = task.cancelled() => return Ok(Left::Stopped),
                gathered = self.gather(run, now, position.window.as_ref()) => gathered?,
            };
            if self.work(run, &mut position, records).await? {
                return Ok(Left::Stopped);
            }
            iterator = next;
        }
    }

    /// Has the function work on what was read, which may be nothing where a window is over; true where the mapping is changed or deleted
    /// meanwhile.
    async fn work(&self, run: Run<'_>, position: &mut Position, records: Vec<Record>) -> Result<bool, Error> {
        let over = position.window.as_ref().is_some_and(|window| window.is_over(run.cx.now().as_second()));
        if records.is_empty() && over {
            return self.close(run, position, false).await;
        }
        let own: Vec<Record> = records.into_iter().filter(|record| self.is_own(record, position)).collect();
        let Some(last) = own.last().cloned() else { return Ok(false) };
        let wanted = own.into_iter().filter(|record| self.filters.want(&event(record, &self.stream))).collect();
        let is_stopped = match self.tumbling_seconds {
            Some(seconds) => self.by_window(run, position, wanted, seconds).await?,
            None if self.lanes > 1 => self.side_by_side(run, position, wanted).await?,
            None => self.deliver(run, position, wanted).await?,
        };
        if !is_stopped {
            self.done(run, position, &[last]).await?;
        }
        Ok(is_stopped)
    }

    /// Delivers the records of each window to it; one that is not theirs is over.
    async fn by_window(
        &self,
        run: Run<'_>,
        position: &mut Position,
        records: Vec<Record>,
        seconds: i64,
    ) -> Result<bool, Error> {
        for (window, part) in window::by_window(records, seconds) {
            if !position.window.as_ref().is_some_and(|open| open.is_same(&window)) {
                if self.close(run, position, false).await? {
                    return Ok(true);
                }
                position.window = Some(window);
            }
            if self.deliver(run, position, part).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Delivers the records of different items at once. All are done with before the next are read; where that does not come about, those
    /// before the first that is not are.
    async fn side_by_side(&self, run: Run<'_>, position: &mut Position, records: Vec<Record>) -> Result<bool, Error> {
        let mut parts: Vec<Vec<Record>> = vec![Vec::new(); self.lanes];
        for record in &records {
            parts[lanes::lane_of(record, self.lanes)].push(record.clone());
        }
        let alone = Run { keeps: false, ..run };
        let work = parts.into_iter().map(|part| (part, position.shard.clone())).map(|(part, shard)| async move {
            let mut lane = Position { shard, ..Position::default() };
            let is_stopped = self.in_batches(alone, &mut lane, part).await;
            (is_stopped, lane.sequence_number, lane.result)
        });
        let ended = futures::future::join_all(work).await;
        let results = || ended.iter().filter_map(|(_, _, result)| result.as_deref());
        position.result = results().find(|result| *result != OK).or_else(|| results().next()).map(str::to_owned);
        let is_whole = ended.iter().all(|(end, ..)| matches!(end, Ok(false)));
        if !is_whole {
            // Numbers of one length: their order is that of their digits.
            let is_done = |record: &Record| {
                let (end, last, _) = &ended[lanes::lane_of(record, self.lanes)];
                matches!(end, Ok(false)) || last.as_ref() >= sequence_number(record)
            };
            let done = lanes::done_up_to(&records, is_done);
            self.done(run, position, &records[..done]).await?;
        }
        for (end, ..) in ended {
            end?;
        }
        Ok(!is_whole)
    }

    /// Delivers more records than a batch may have.
    async fn in_batches(&self, run: Run<'_>, position: &mut Position, mut records: Vec<Record>) -> Result<bool, Error> {
        let most = usize::try_from(self.batch).unwrap_or(1).max(1);
        while !records.is_empty() {
            let (batch, rest) = split(records, most);
            if self.deliver(run, position, batch).await? {
                return Ok(true);
            }
            records = rest;
        }
        Ok(false)
    }

    /// Calls the function with the state of the window that is open, if one is, and no records; as often as with a batch, if it fails.
    /// What follows in a window that was ended early begins with no state.
    async fn close(&self, run: Run<'_>, position: &mut Position, early: bool) -> Result<bool, Error> {
        let Some(window) = &position.window else { return Ok(false) };
        if window.begins_anew {
            position.window = None;
            self.keep(run, position).await?;
            return Ok(false);
        }
        let (mut tries, mut undelivered) = (0_i32, 0_u32);
        loop {
            if run.task.is_cancelled() {
                return Ok(true);
            }
            let finished = self.invoke(run, position, &[], Phase::Final { early }).await;
            match &finished {
                Ok(finished) if !finished.failed => break,
                Ok(_) => tries += 1,
                Err(_) => undelivered = undelivered.saturating_add(1),
            }
            if self.max_retries.is_some_and(|most| tries > most) {
                let finished = finished.as_ref().ok();
                let told = Discarded { condition: "RetryAttemptsExhausted", tries, finished };
                if self.give_up(run, position, &[], told).await {
                    return Ok(true);
                }
                break;
            }
            if pause(run.task, backoff(tries, undelivered)).await {
                return Ok(true);
            }
        }
        match position.window.as_mut() {
            Some(window) if early => window.begin_anew(),
            _ => position.window = None,
        }
        self.keep(run, position).await?;
        Ok(false)
    }

    fn is_own(&self, record: &Record, position: &Position) -> bool {
        self.from_oldest || position.sequence_number.is_some() || second(record) >= position.since_second
    }

    async fn begin(&self, role: &Cx, position: &mut Position, fresh: bool) -> Result<Option<String>, Error> {
        let described = role
            .call::<DescribeStream>(DescribeStreamInput { stream_arn: self.stream.clone(), ..Default::default() })
            .await?;
        let shards = described.stream_description.and_then(|stream| stream.shards).unwrap_or_default();
        let known = position.shard.clone().filter(|id| shards.iter().any(|shard| shard.shard_id.as_ref() == Some(id)));
        let shard = match known {
            Some(shard) => shard,
            None => shards.into_iter().find_map(|shard| shard.shard_id).unwrap_or_default(),
        };
        position.shard = Some(shard.clone());
        let kind = match (&position.sequence_number, fresh && !self.from_oldest) {
            (Some(_), _) => "AFTER_SEQUENCE_NUMBER",
            (None, true) => "LATEST",
            (None, false) => "TRIM_HORIZON",
        };
        let request = GetShardIteratorInput {
            stream_arn: self.stream.clone(),
            shard_id: shard,
            shard_iterator_type: kind.to_owned(),
            sequence_number: position.sequence_number.clone(),
            timestamp: None,
        };
        let asked = role.call::<GetShardIterator>(request.clone()).await;
        match asked {
            // What it had come to is older than anything that is kept.
            Err(error) if error.is("TrimmedDataAccessException") => {
                let oldest = GetShardIteratorInput {
                    shard_iterator_type: "TRIM_HORIZON".to_owned(),
                    sequence_number: None,
                    timestamp: None,
                    ..request
                };
                Ok(role.call::<GetShardIterator>(oldest).await?.shard_iterator)
            }
            asked => Ok(asked?.shard_iterator),
        }
    }

    /// The next records, as many as came within the window, and where to go on; none where a tumbling window is over.
    async fn gather(
        &self,
        run: Run<'_>,
        mut iterator: String,
        open: Option<&Window>,
    ) -> Result<(Vec<Record>, Option<String>), Error> {
        let most = usize::try_from(self.batch).unwrap_or(1).max(1).saturating_mul(self.lanes);
        let mut records = Vec::new();
        let mut until = None;
        loop {
            let missing = i32::try_from(most - records.len().min(most)).unwrap_or(i32::MAX);
            let request = GetRecordsInput { shard_iterator: iterator, limit: Some(missing.clamp(1, 1000)) };
            // Before what is there is read: whatever comes afterwards belongs to a later window.
            let over = open.is_some_and(|window| window.is_over(run.cx.now().as_second()));
            let read = run.role.call::<GetRecords>(request).await?;
            let some = read.records.unwrap_or_default();
            let nothing = some.is_empty();
            records.extend(some);
            let Some(next) = read.next_shard_iterator else { return Ok((records, None)) };
            iterator = next;
            if !records.is_empty() && until.is_none() {
                until = Some(tokio::time::Instant::now() + self.window);
            }
            let waited = until.is_some_and(|until| tokio::time::Instant::now() >= until);
            if records.len() >= most || waited || over {
                return Ok((records, Some(iterator)));
            }
            if nothing {
                tokio::time::sleep(IDLE).await;
            }
        }
    }

    /// Delivers the records, in pieces where they have to be, and does not return before all are done with; true where the mapping is
    /// changed or deleted meanwhile.
    async fn deliver(&self, run: Run<'_>, position: &mut Position, records: Vec<Record>) -> Result<bool, Error> {
        // Pieces that are still to be done, the next one last, each with how often it has failed.
        let mut pieces = vec![(records, 0_i32)];
        // Invocations in a row that did not come about.
        let mut undelivered = 0_u32;
        while let Some((piece, tries)) = pieces.pop() {
            if piece.is_empty() {
                continue;
            }
            if run.task.is_cancelled() {
                return Ok(true);
            }
            let beside = position.window.as_ref().map_or(0, Window::state_bytes);
            let (piece, rest) = split_by_size(piece, &self.stream, MAX_BYTES.saturating_sub(beside));
            if !rest.is_empty() {
                pieces.push((rest, 0));
            }
            let fresh = piece.iter().position(|record| !self.too_old(record, run.cx)).unwrap_or(piece.len());
            if fresh > 0 {
                let (old, young) = split(piece, fresh);
                let told = Discarded { condition: "RecordAgeExceeded", tries, finished: None };
                if self.give_up(run, position, &old, told).await {
                    return Ok(true);
                }
                self.done(run, position, &old).await?;
                pieces.push((young, tries));
                continue;
            }
            let finished = self.invoke(run, position, &piece, Phase::Aggregate).await;
            let outcome = finished.as_ref().map_or(Outcome::NotCalled, |finished| self.outcome(finished, &piece));
            undelivered = if outcome == Outcome::NotCalled { undelivered.saturating_add(1) } else { 0 };
            let After { done, again, given_up, tries } = self.retries().after(piece, tries, outcome);
            take_state(position, &done, finished.as_ref().ok());
            if position.note(outcome) && done.is_empty() {
                self.keep(run, position).await?;
            }
            self.done(run, position, &done).await?;
            if position.window.as_ref().is_some_and(Window::is_too_large) && self.close(run, position, true).await? {
                return Ok(true);
            }
            if !given_up.is_empty() {
                let finished = finished.as_ref().ok();
                let told = Discarded { condition: "RetryAttemptsExhausted", tries, finished };
                if self.give_up(run, position, &given_up, told).await {
                    return Ok(true);
                }
                self.done(run, position, &given_up).await?;
            }
            if !again.is_empty() {
                pieces.extend(again);
                if pause(run.task, backoff(tries, undelivered)).await {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn retries(&self) -> Retries {
        Retries { most: self.max_retries, bisect: self.bisect }
    }

    async fn invoke(
        &self,
        run: Run<'_>,
        position: &Position,
        records: &[Record],
        phase: Phase,
    ) -> Result<Finished, Error> {
        let call = Call {
            name: Name::parse(&self.function, None)?,
            payload: self.payload(position, records, phase).to_string().into(),
            client_context: None,
            request_id: run.cx.uuid(),
            sink: None,
            durable: None,
            hidden: None,
        };
        let finished = run.lambda.run(run.cx, call, None).await;
        if let Err(error) = &finished {
            tracing::debug!(%error, function = self.function, "a batch of a stream could not be delivered");
        }
        finished
    }

    fn payload(&self, position: &Position, records: &[Record], phase: Phase) -> Value {
        let events: Vec<Value> = records.iter().map(|record| event(record, &self.stream)).collect();
        let mut payload = json!({ "Records": events });
        if let Some(window) = &position.window {
            window.add_to(&mut payload, phase, position.shard.as_deref(), &self.stream);
        }
        payload
    }

    fn outcome(&self, finished: &Finished, records: &[Record]) -> Outcome {
        if self.tumbling_seconds.is_some() && !finished.failed && window::state_of(&finished.payload).is_none() {
            return Outcome::FailedAt(0);
        }
        self.failed_at(finished, records).map_or(Outcome::Done, Outcome::FailedAt)
    }

    /// From which record on the batch has to be delivered again; none where all are done.
    fn failed_at(&self, finished: &Finished, records: &[Record]) -> Option<usize> {
        if finished.failed {
            return Some(0);
        }
        if !self.partial {
            return None;
        }
        let Ok(failures) = failures(&finished.payload) else { return Some(0) };
        let places = failures.iter().map(|id| records.iter().position(|record| sequence_number(record) == Some(id)));
        // As AWS: an id that was not in the batch fails all of it; else all from the first failure on come again.
        places.map(|place| place.unwrap_or(0)).min()
    }

    fn too_old(&self, record: &Record, cx: &Cx) -> bool {
        self.max_age_seconds.is_some_and(|age| second(record) + age < cx.now().as_second())
    }

    /// Keeps that these records are done with.
    async fn done(&self, run: Run<'_>, position: &mut Position, records: &[Record]) -> Result<(), Error> {
        if let Some(number) = records.last().and_then(|record| sequence_number(record)) {
            position.sequence_number = Some(number.clone());
            self.keep(run, position).await?;
        }
        Ok(())
    }

    async fn keep(&self, run: Run<'_>, position: &Position) -> Result<(), Error> {
        if !run.keeps {
            return Ok(());
        }
        let (key, position) = (Scope::of(run.cx).position(&self.uuid), position.clone());
        run.lambda.store.write(move |tx| Ok::<_, Error>(tx.put_json(key.clone(), &position)?)).await
    }
}

/// How long a batch waits that has failed so often, or could not be delivered so often.
fn backoff(tries: i32, undelivered: u32) -> Duration {
    let failures = u32::try_from(tries).unwrap_or(0).max(undelivered);
    Duration::from_millis(200 << failures.min(9)).min(MAX_WAIT)
}

fn second(record: &Record) -> i64 {
    let time = record.dynamodb.as_ref().and_then(|change| change.approximate_creation_date_time);
    time.map_or(0, |time| time.as_millis() / 1000)
}

fn sequence_number(record: &Record) -> Option<&String> {
    record.dynamodb.as_ref()?.sequence_number.as_ref()
}

fn split(mut records: Vec<Record>, at: usize) -> (Vec<Record>, Vec<Record>) {
    let rest = records.split_off(at.min(records.len()));
    (records, rest)
}

/// As many records as fit into one invocation, at least one, and the rest.
fn split_by_size(records: Vec<Record>, stream: &str, most: usize) -> (Vec<Record>, Vec<Record>) {
    let at = cut::fit(records.iter().map(|record| event(record, stream).to_string().len()), most);
    split(records, at)
}

/// A record as functions get it.
fn event(record: &Record, stream: &str) -> Value {
    let mut event = reflect::into_value(record.clone());
    event["eventSourceARN"] = stream.into();
    event
}

/// What the function has made of the window's state, where it was done with any of the records.
fn take_state(position: &mut Position, done: &[Record], finished: Option<&Finished>) {
    let Some(window) = position.window.as_mut().filter(|_| !done.is_empty()) else { return };
    if let Some(state) = finished.and_then(|finished| window::state_of(&finished.payload)) {
        window.state = state;
        window.begins_anew = false;
    }
}
