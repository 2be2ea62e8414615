//! A DynamoDB stream as a source: its records in their order, a batch at a time; how far it has come is kept. A batch that fails holds
//! the stream up until it succeeds, or is given up as the pipe says.

use std::time::Duration;

use api_dynamodbstreams::{
    DescribeStream, DescribeStreamInput, GetRecords, GetRecordsInput, GetShardIterator, GetShardIteratorInput, Record,
};
use api_pipes::PipeSourceDynamoDBStreamParameters;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::Cx;
use sources::retries::{After, Outcome, Retries};
use store::Task;
use tokio::time::Instant;
use wire::arn::Arn;
use wire::{Error, reflect};

use super::batch::{Batch, Event, Failures, was_called};
use super::record::{self, position};
use super::run::{Never, Piper, unless_stopped};

/// Between two looks at a stream that has nothing new.
const IDLE: Duration = Duration::from_millis(500);
/// The longest wait before a failed batch is tried again.
const MAX_WAIT: Duration = Duration::from_mins(1);
/// The credentials of a role are made anew before they run out.
const SESSION: Duration = Duration::from_mins(30);

/// How far a pipe has come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Position {
    /// Version of the record's form.
    version: u32,
    /// Since when it reads, where it begins with the newest.
    since_second: i64,
    shard: String,
    /// The last record that is done with.
    sequence_number: Option<String>,
}

struct Source<'a> {
    piper: &'a Piper,
    role: &'a Cx,
    task: &'a Task,
    batch: &'a Batch,
    pipe: &'a record::Record,
    stream: String,
    own: PipeSourceDynamoDBStreamParameters,
    size: usize,
}

pub(super) async fn follow(
    piper: &Piper,
    (role, task): (&Cx, &Task),
    pipe: &record::Record,
    batch: &Batch,
) -> Result<Never, Error> {
    let parameters = pipe.shown.source_parameters.clone().unwrap_or_default();
    let own = parameters.dynamo_db_stream_parameters.unwrap_or_default();
    let size = own.batch_size.and_then(|size| usize::try_from(size).ok()).unwrap_or(100).max(1);
    let stream = pipe.shown.source.clone().unwrap_or_default();
    Source { piper, role, task, batch, pipe, stream, own, size }.follow().await
}

impl Source<'_> {
    async fn follow(&self) -> Result<Never, Error> {
        let until = Instant::now() + SESSION;
        let known: Option<Position> = self.piper.store.read(|tx| tx.get_json(position(&self.pipe.id))).await?;
        let fresh = known.is_none();
        let since_second = self.role.now().as_second();
        let mut at = known.unwrap_or_else(|| Position { version: 1, since_second, ..Position::default() });
        let mut iterator = self.begin(&mut at, fresh).await?;
        if fresh {
            self.keep(&at).await?;
        }
        loop {
            if Instant::now() >= until {
                return Err(Error::new("SessionExpired", 400, "the role is taken anew"));
            }
            let Some(now) = iterator else {
                // The shard was closed: a stream that was disabled gets no more.
                unless_stopped(self.task, tokio::time::sleep(MAX_WAIT)).await?;
                iterator = self.begin(&mut at, false).await?;
                continue;
            };
            let (records, next) = unless_stopped(self.task, self.gather(now)).await??;
            let own: Vec<Record> = records.into_iter().filter(|record| self.is_own(record, &at)).collect();
            if let Some(last) = own.last().cloned() {
                let events: Vec<(Record, Event)> = own
                    .iter()
                    .map(|record| self.event(record))
                    .filter(|(_, event)| self.batch.wants(&event.value))
                    .collect();
                self.deliver(&mut at, events).await?;
                at.sequence_number = sequence_number(&last);
                self.keep(&at).await?;
            }
            iterator = next;
        }
    }

    fn begins_with_oldest(&self) -> bool {
        self.own.starting_position == "TRIM_HORIZON"
    }

    fn is_own(&self, record: &Record, at: &Position) -> bool {
        self.begins_with_oldest() || at.sequence_number.is_some() || second(record) >= at.since_second
    }

    async fn begin(&self, at: &mut Position, fresh: bool) -> Result<Option<String>, Error> {
        let asked = DescribeStreamInput { stream_arn: self.stream.clone(), ..DescribeStreamInput::default() };
        let described = self.role.call::<DescribeStream>(asked).await?;
        let shards = described.stream_description.and_then(|stream| stream.shards).unwrap_or_default();
        let mut ids = shards.into_iter().filter_map(|shard| shard.shard_id);
        if at.shard.is_empty() {
            at.shard = ids.next().unwrap_or_default();
        }
        let kind = match (&at.sequence_number, fresh && !self.begins_with_oldest()) {
            (Some(_), _) => "AFTER_SEQUENCE_NUMBER",
            (None, true) => "LATEST",
            (None, false) => "TRIM_HORIZON",
        };
        let request = GetShardIteratorInput {
            stream_arn: self.stream.clone(),
            shard_id: at.shard.clone(),
            shard_iterator_type: kind.to_owned(),
            sequence_number: at.sequence_number.clone(),
            timestamp: None,
        };
        match self.role.call::<GetShardIterator>(request.clone()).await {
            // What it had come to is older than anything that is kept.
            Err(error) if error.is("TrimmedDataAccessException") => {
                let oldest = GetShardIteratorInput {
                    shard_iterator_type: "TRIM_HORIZON".to_owned(),
                    sequence_number: None,
                    ..request
                };
                Ok(self.role.call::<GetShardIterator>(oldest).await?.shard_iterator)
            }
            asked => Ok(asked?.shard_iterator),
        }
    }

    /// The next records, as many as came within the window, and where to go on.
    async fn gather(&self, mut iterator: String) -> Result<(Vec<Record>, Option<String>), Error> {
        let window = self.own.maximum_batching_window_in_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let mut records = Vec::new();
        let mut until = None;
        loop {
            let missing = i32::try_from(self.size.saturating_sub(records.len())).unwrap_or(1000).clamp(1, 1000);
            let read = self
                .role
                .call::<GetRecords>(GetRecordsInput { shard_iterator: iterator, limit: Some(missing) })
                .await?;
            let some = read.records.unwrap_or_default();
            let nothing = some.is_empty();
            records.extend(some);
            let Some(next) = read.next_shard_iterator else { return Ok((records, None)) };
            iterator = next;
            if !records.is_empty() && until.is_none() {
                until = Some(Instant::now() + Duration::from_secs(window.unwrap_or(0)));
            }
            if records.len() >= self.size || until.is_some_and(|until| Instant::now() >= until) {
                return Ok((records, Some(iterator)));
            }
            if nothing {
                tokio::time::sleep(IDLE).await;
            }
        }
    }

    /// Delivers the records, in pieces where they have to be, and does not return before all are done with.
    async fn deliver(&self, at: &mut Position, events: Vec<(Record, Event)>) -> Result<(), Error> {
        let mut pieces = vec![(events, 0)];
        // Calls in a row that did not come about.
        let mut undelivered = 0_u32;
        while let Some((piece, tries)) = pieces.pop() {
            unless_stopped(self.task, std::future::ready(())).await?;
            let young = piece.iter().position(|(record, _)| !self.too_old(record)).unwrap_or(piece.len());
            let (old, piece) = split(piece, young);
            self.give_up(&old, "RecordAgeExceeded").await?;
            self.done(at, &old).await?;
            if piece.is_empty() {
                continue;
            }
            let own: Vec<Event> = piece.iter().map(|(_, event)| event.clone()).collect();
            let (failures, was_called) = match self.batch.deliver(self.role, &own).await {
                Ok(failures) => (failures, true),
                Err(error) => {
                    tracing::warn!(%error, source = self.stream, "a batch of a pipe could not be delivered");
                    (own.into_iter().map(|event| event.id).collect::<Failures>(), was_called(&error))
                }
            };
            undelivered = if was_called { 0 } else { undelivered.saturating_add(1) };
            let has_failed = |(_, event): &(Record, Event)| failures.contains(&event.id);
            let Some(first) = piece.iter().position(has_failed) else {
                self.done(at, &piece).await?;
                continue;
            };
            // What goes to functions and machines comes again from the first failure on, so that its order holds; of others only what they
            // did not take.
            let (good, bad) = split(piece, first);
            self.done(at, &good).await?;
            let count = bad.len();
            let bad: Vec<_> =
                if self.batch.is_called_with_all() { bad } else { bad.into_iter().filter(has_failed).collect() };
            let some_are_done = !good.is_empty() || bad.len() < count;
            let outcome = if was_called { Outcome::FailedAt(0) } else { Outcome::NotCalled };
            let After { again, given_up, tries, .. } =
                self.retries().after(bad, if some_are_done { 0 } else { tries }, outcome);
            if !given_up.is_empty() {
                self.give_up(&given_up, "RetryAttemptsExhausted").await?;
                self.done(at, &given_up).await?;
            }
            if !again.is_empty() {
                pieces.extend(again);
                let failures = u32::try_from(tries).unwrap_or(0).max(undelivered);
                let wait = Duration::from_millis(200 << failures.min(9));
                unless_stopped(self.task, tokio::time::sleep(wait.min(MAX_WAIT))).await?;
            }
        }
        Ok(())
    }

    fn retries(&self) -> Retries {
        Retries {
            most: self.own.maximum_retry_attempts.filter(|most| *most >= 0),
            bisect: self.own.on_partial_batch_item_failure.is_some(),
        }
    }

    fn too_old(&self, record: &Record) -> bool {
        let age = self.own.maximum_record_age_in_seconds.map(i64::from).filter(|age| *age >= 0);
        age.is_some_and(|age| second(record) + age < self.role.now().as_second())
    }

    /// Keeps that these records are done with.
    async fn done(&self, at: &mut Position, events: &[(Record, Event)]) -> Result<(), Error> {
        if let Some((last, _)) = events.last() {
            at.sequence_number = sequence_number(last);
            self.keep(at).await?;
        }
        Ok(())
    }

    async fn keep(&self, at: &Position) -> Result<(), Error> {
        let (key, at) = (position(&self.pipe.id), at.clone());
        self.piper.store.write(move |tx| Ok::<_, Error>(tx.put_json(key.clone(), &at)?)).await
    }

    /// Tells the dead-letter queue where the records are that were given up. They are not lost before it was told.
    async fn give_up(&self, events: &[(Record, Event)], condition: &str) -> Result<(), Error> {
        let target = self.own.dead_letter_config.as_ref().and_then(|config| config.arn.as_deref()).and_then(Arn::parse);
        let (Some(target), Some((first, _)), Some((last, _))) = (target, events.first(), events.last()) else {
            return Ok(());
        };
        let time = |record: &Record| {
            let time = record.dynamodb.as_ref().and_then(|change| change.approximate_creation_date_time);
            time.map(wire::Timestamp::to_iso)
        };
        let text = json!({
            "context": { "partnerResourceArn": self.pipe.shown.arn, "condition": condition },
            "version": "1.0",
            "timestamp": wire::Timestamp::from(self.role.now()).to_iso(),
            "DDBStreamBatchInfo": {
                "startSequenceNumber": sequence_number(first),
                "endSequenceNumber": sequence_number(last),
                "approximateArrivalOfFirstRecord": time(first),
                "approximateArrivalOfLastRecord": time(last),
                "batchSize": events.len(),
                "streamArn": self.stream,
            },
        })
        .to_string();
        let told = if target.service == "sns" {
            let request = api_sns::PublishInput {
                topic_arn: Some(target.to_string()),
                message: text,
                ..api_sns::PublishInput::default()
            };
            self.role.call::<api_sns::Publish>(request).await.map(drop)
        } else {
            let url = format!("{}/{}/{}", self.batch.endpoint.trim_end_matches('/'), target.account, target.resource);
            let request = api_sqs::SendMessageRequest {
                queue_url: url,
                message_body: text,
                ..api_sqs::SendMessageRequest::default()
            };
            self.role.call::<api_sqs::SendMessage>(request).await.map(drop)
        };
        match told {
            Err(error) if error.status() >= 500 => Err(error),
            Err(error) => {
                tracing::error!(%error, pipe = self.pipe.shown.name, "the dead-letter queue of a pipe did not take its message");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn event(&self, record: &Record) -> (Record, Event) {
        let mut value: Value = reflect::into_value(record.clone());
        value["eventSourceARN"] = self.stream.as_str().into();
        (record.clone(), Event { id: sequence_number(record).unwrap_or_default(), value })
    }
}

fn second(record: &Record) -> i64 {
    let time = record.dynamodb.as_ref().and_then(|change| change.approximate_creation_date_time);
    time.map_or(0, |time| time.as_millis() / 1000)
}

fn sequence_number(record: &Record) -> Option<String> {
    record.dynamodb.as_ref()?.sequence_number.clone()
}

fn split<T>(mut all: Vec<T>, at: usize) -> (Vec<T>, Vec<T>) {
    let rest = all.split_off(at.min(all.len()));
    (all, rest)
}
