//! Event source mappings of DynamoDB streams: the records of each shard go to the function in their order, a batch at a time; how far
//! it has come is kept, so that after a restart it goes on there. A batch that fails holds up its shard until it succeeds, or is
//! given up as the mapping says. Source: Lambda Developer Guide, "Process DynamoDB records with Lambda".

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
use store::{Done, Task};
use wire::{Error, reflect};

use crate::Lambda;
use crate::asynchronous::send;
use crate::filters::Filters;
use crate::function::{Name, Scope};
use crate::invoke::{Call, Finished};
use crate::mapping::failures;

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
        let mut iterator = self.begin(&role, &mut position, fresh).await?;
        if fresh {
            self.keep(lambda, &place, &position).await?;
        }
        loop {
            let Some(now) = iterator else {
                // The shard was closed: a stream that was disabled gets no more.
                if pause(task, MAX_WAIT).await {
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
                gathered = self.gather(&role, now) => gathered?,
            };
            let own: Vec<Record> = records.into_iter().filter(|record| self.is_own(record, &position)).collect();
            if let Some(last) = own.last().cloned() {
                let wanted = own.into_iter().filter(|record| self.filters.want(&event(record, &self.stream))).collect();
                if self.deliver(lambda, (cx, task), &role, &mut position, wanted).await? {
                    return Ok(Left::Stopped);
                }
                self.done(lambda, &place, &mut position, &[last]).await?;
            }
            iterator = next;
        }
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

    /// The next records, as many as came within the window, and where to go on.
    async fn gather(&self, role: &Cx, mut iterator: String) -> Result<(Vec<Record>, Option<String>), Error> {
        let mut records = Vec::new();
        let mut until = None;
        loop {
            let missing = self.batch - i32::try_from(records.len()).unwrap_or(self.batch);
            let request = GetRecordsInput { shard_iterator: iterator, limit: Some(missing.clamp(1, 1000)) };
            let read = role.call::<GetRecords>(request).await?;
            let some = read.records.unwrap_or_default();
            let nothing = some.is_empty();
            records.extend(some);
            let Some(next) = read.next_shard_iterator else { return Ok((records, None)) };
            iterator = next;
            let full = records.len() >= usize::try_from(self.batch).unwrap_or(1);
            if !records.is_empty() && until.is_none() {
                until = Some(tokio::time::Instant::now() + self.window);
            }
            let over = until.is_some_and(|until| tokio::time::Instant::now() >= until);
            if full || over {
                return Ok((records, Some(iterator)));
            }
            if nothing {
                tokio::time::sleep(IDLE).await;
            }
        }
    }

    /// Delivers the records, in pieces where they have to be, and does not return before all are done with; true where the mapping is
    /// changed or deleted meanwhile.
    async fn deliver(
        &self,
        lambda: &Lambda,
        (cx, task): (&Cx, &Task),
        role: &Cx,
        position: &mut Position,
        records: Vec<Record>,
    ) -> Result<bool, Error> {
        let place = Scope::of(cx);
        // Pieces that are still to be done, the next one last, each with how often it has failed.
        let mut pieces = vec![(records, 0_i32)];
        // Invocations in a row that did not come about.
        let mut undelivered = 0_u32;
        while let Some((piece, tries)) = pieces.pop() {
            if piece.is_empty() {
                continue;
            }
            if task.is_cancelled() {
                return Ok(true);
            }
            let (piece, rest) = split_by_size(piece, &self.stream);
            if !rest.is_empty() {
                pieces.push((rest, 0));
            }
            let fresh = piece.iter().position(|record| !self.too_old(record, cx)).unwrap_or(piece.len());
            if fresh > 0 {
                let (old, young) = split(piece, fresh);
                if self.give_up((cx, task), role, &old, "RecordAgeExceeded", tries, None).await {
                    return Ok(true);
                }
                self.done(lambda, &place, position, &old).await?;
                pieces.push((young, tries));
                continue;
            }
            let finished = self.invoke(lambda, cx, &piece).await;
            let outcome = match &finished {
                Ok(finished) => self.failed_at(finished, &piece).map_or(Outcome::Done, Outcome::FailedAt),
                Err(_) => Outcome::NotCalled,
            };
            undelivered = if outcome == Outcome::NotCalled { undelivered.saturating_add(1) } else { 0 };
            let After { done, again, given_up, tries } = self.retries().after(piece, tries, outcome);
            self.done(lambda, &place, position, &done).await?;
            if !given_up.is_empty() {
                let finished = finished.ok();
                let told = "RetryAttemptsExhausted";
                if self.give_up((cx, task), role, &given_up, told, tries, finished.as_ref()).await {
                    return Ok(true);
                }
                self.done(lambda, &place, position, &given_up).await?;
            }
            if !again.is_empty() {
                pieces.extend(again);
                let failures = u32::try_from(tries).unwrap_or(0).max(undelivered);
                let wait = Duration::from_millis(200 << failures.min(9));
                if pause(task, wait.min(MAX_WAIT)).await {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn retries(&self) -> Retries {
        Retries { most: self.max_retries, bisect: self.bisect }
    }

    async fn invoke(&self, lambda: &Lambda, cx: &Cx, records: &[Record]) -> Result<Finished, Error> {
        let name = Name::parse(&self.function, None)?;
        let events: Vec<Value> = records.iter().map(|record| event(record, &self.stream)).collect();
        let payload = json!({ "Records": events }).to_string().into();
        let call = Call {
            name,
            payload,
            client_context: None,
            request_id: cx.uuid(),
            sink: None,
            durable: None,
            hidden: None,
        };
        let finished = lambda.run(cx, call, None).await;
        if let Err(error) = &finished {
            tracing::debug!(%error, function = self.function, "a batch of a stream could not be delivered");
        }
        finished
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
    async fn done(
        &self,
        lambda: &Lambda,
        place: &Scope,
        position: &mut Position,
        records: &[Record],
    ) -> Result<(), Error> {
        if let Some(number) = records.last().and_then(|record| sequence_number(record)) {
            position.sequence_number = Some(number.clone());
            self.keep(lambda, place, position).await?;
        }
        Ok(())
    }

    async fn keep(&self, lambda: &Lambda, place: &Scope, position: &Position) -> Result<(), Error> {
        let (key, position) = (place.position(&self.uuid), position.clone());
        lambda.store.write(move |tx| Ok::<_, Error>(tx.put_json(key.clone(), &position)?)).await
    }

    /// Tells the destination of failures where the records are that were given up. They are not lost before it was told: true where the
    /// mapping is changed or deleted before that.
    async fn give_up(
        &self,
        (cx, task): (&Cx, &Task),
        role: &Cx,
        records: &[Record],
        condition: &str,
        tries: i32,
        finished: Option<&Finished>,
    ) -> bool {
        let (Some(target), Some(first), Some(last)) = (&self.on_failure, records.first(), records.last()) else {
            return false;
        };
        let time = |record: &Record| {
            let time = record.dynamodb.as_ref().and_then(|change| change.approximate_creation_date_time);
            time.map(wire::Timestamp::to_iso)
        };
        let record = json!({
            "requestContext": {
                "requestId": cx.uuid(),
                "functionArn": self.function,
                "condition": condition,
                "approximateInvokeCount": tries,
            },
            "responseContext": finished.map(|finished| json!({
                "statusCode": 200,
                "executedVersion": finished.version,
                "functionError": "Unhandled",
            })),
            "version": "1.0",
            "timestamp": wire::Timestamp::from(cx.now()).to_iso(),
            "DDBStreamBatchInfo": {
                "startSequenceNumber": sequence_number(first),
                "endSequenceNumber": sequence_number(last),
                "approximateArrivalOfFirstRecord": time(first),
                "approximateArrivalOfLastRecord": time(last),
                "batchSize": records.len(),
                "streamArn": self.stream,
            },
        });
        let mut wait = Duration::from_secs(1);
        while let Err(error) = send(role, target, &record).await {
            let is_passing = error.status() >= 500 && !error.is("NotImplemented");
            tracing::warn!(%error, target, is_passing, "the record of a failed batch could not be sent to its destination");
            if !is_passing {
                break;
            }
            if pause(task, wait).await {
                return true;
            }
            wait = (wait * 2).min(MAX_WAIT);
        }
        false
    }
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
fn split_by_size(records: Vec<Record>, stream: &str) -> (Vec<Record>, Vec<Record>) {
    let at = cut::fit(records.iter().map(|record| event(record, stream).to_string().len()), MAX_BYTES);
    split(records, at)
}

/// A record as functions get it.
fn event(record: &Record, stream: &str) -> Value {
    let mut event = reflect::into_value(record.clone());
    event["eventSourceARN"] = stream.into();
    event
}
