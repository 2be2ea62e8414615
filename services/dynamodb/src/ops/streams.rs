//! ListStreams, DescribeStream, GetShardIterator and GetRecords.

use api_dynamodbstreams::{
    DescribeStream, DescribeStreamInput, DescribeStreamOutput, GetRecords, GetRecordsInput, GetRecordsOutput,
    GetShardIterator, GetShardIteratorInput, GetShardIteratorOutput, Identity, KeySchemaElement, ListStreams,
    ListStreamsInput, ListStreamsOutput, Record as WireRecord, SequenceNumberRange, Shard, Stream as WireStream,
    StreamDescription, StreamRecord, error,
};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use service::{Cx, Handle};
use store::Tx;
use wire::{Error, Timestamp};

use crate::streams::{Record, Stream, number_of, sequence_number};
use crate::write::Home;
use crate::{DynamoDb, convert};

/// Most records of an answer.
const MOST_RECORDS: usize = 1000;
/// Most bytes of an answer.
const MOST_BYTES: i64 = 1 << 20;
/// For how long an iterator can be used.
const ITERATOR_MS: i64 = 15 * 60 * 1000;
/// Most streams and shards of a page.
const PAGE: usize = 100;

#[async_trait]
impl Handle<ListStreams> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: ListStreamsInput) -> Result<ListStreamsOutput, Error> {
        let home = Home::of(cx);
        let limit = limit(req.limit, PAGE);
        let all = Stream::streams(&home);
        let prefix = match &req.table_name {
            Some(table) => all.clone().push(crate::write::table_name(table)),
            None => all,
        };
        let found = self
            .store
            .read(|tx| {
                let after = match &req.exclusive_start_stream_arn {
                    None => prefix.as_bytes().to_vec(),
                    Some(arn) => match Stream::find(tx, &home, arn)? {
                        Some(stream) => {
                            Stream::record_key(&home.account, &home.region, &stream.table, &stream.label).into_bytes()
                        }
                        None => return Err(not_found(arn)),
                    },
                };
                let records = tx.scan_after(&prefix, &after, limit + 1)?;
                let streams = records.iter().map(|(key, bytes)| store::kv::decode::<Stream>(key, bytes));
                Ok(streams.collect::<Result<Vec<_>, _>>()?)
            })
            .await?;
        let more = found.len() > limit;
        let streams: Vec<WireStream> = found
            .into_iter()
            .take(limit)
            .map(|stream| WireStream {
                stream_arn: Some(stream.arn),
                table_name: Some(stream.table),
                stream_label: Some(stream.label),
            })
            .collect();
        let last = streams.last().and_then(|stream| stream.stream_arn.clone()).filter(|_| more);
        Ok(ListStreamsOutput { streams: Some(streams), last_evaluated_stream_arn: last })
    }
}

#[async_trait]
impl Handle<DescribeStream> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: DescribeStreamInput) -> Result<DescribeStreamOutput, Error> {
        let (home, now_ms) = (Home::of(cx), cx.now().as_millisecond());
        let (stream, written, first) = self
            .store
            .read(|tx| {
                let stream = find(tx, &home, &req.stream_arn)?;
                let written = stream.written(tx)?;
                let first = stream.oldest(tx, now_ms)?.unwrap_or(written + 1);
                Ok::<_, Error>((stream, written, first))
            })
            .await?;
        let shard = Shard {
            shard_id: Some(stream.shard()),
            sequence_number_range: Some(SequenceNumberRange {
                starting_sequence_number: Some(sequence_number(first.min(written + 1))),
                ending_sequence_number: stream.disabled_ms.map(|_| sequence_number(written.max(first))),
            }),
            parent_shard_id: None,
        };
        // There is no shard after the only one, and it has no children.
        let after_all = req.exclusive_start_shard_id.as_ref().is_some_and(|id| *id >= stream.shard());
        let shards = if after_all || req.shard_filter.is_some() { Vec::new() } else { vec![shard] };
        let keys = |names: &[String], kind: &str| -> Vec<KeySchemaElement> {
            let element = |name: &String| KeySchemaElement { attribute_name: name.clone(), key_type: kind.to_owned() };
            names.iter().map(element).collect()
        };
        let status = if stream.disabled_ms.is_some() { "DISABLED" } else { "ENABLED" };
        Ok(DescribeStreamOutput {
            stream_description: Some(StreamDescription {
                stream_arn: Some(stream.arn),
                stream_label: Some(stream.label),
                stream_status: Some(status.to_owned()),
                stream_view_type: Some(stream.view),
                creation_request_date_time: Some(Timestamp::from_millis(stream.created_ms)),
                table_name: Some(stream.table),
                key_schema: Some([keys(&stream.key.partition, "HASH"), keys(&stream.key.sort, "RANGE")].concat()),
                shards: Some(shards),
                last_evaluated_shard_id: None,
            }),
        })
    }
}

#[async_trait]
impl Handle<GetShardIterator> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: GetShardIteratorInput) -> Result<GetShardIteratorOutput, Error> {
        let (home, now_ms) = (Home::of(cx), cx.now().as_millisecond());
        let numbered = matches!(req.shard_iterator_type.as_str(), "AT_SEQUENCE_NUMBER" | "AFTER_SEQUENCE_NUMBER");
        if numbered && req.sequence_number.is_none() {
            return Err(Error::validation(format!(
                "One or more parameter values were invalid: SequenceNumber must be specified when ShardIteratorType is {}",
                req.shard_iterator_type
            )));
        }
        if !numbered && req.sequence_number.is_some() {
            return Err(Error::validation(format!(
                "One or more parameter values were invalid: SequenceNumber cannot be specified when ShardIteratorType is {}",
                req.shard_iterator_type
            )));
        }
        let next = self
            .store
            .read(|tx| {
                let stream = find(tx, &home, &req.stream_arn)?;
                if stream.shard() != req.shard_id {
                    return Err(error::resource_not_found_exception(format!(
                        "Requested resource not found: Shard does not exist: {}",
                        req.shard_id
                    )));
                }
                let written = stream.written(tx)?;
                let oldest = stream.oldest(tx, now_ms)?.unwrap_or(written + 1);
                let asked = match &req.sequence_number {
                    None => None,
                    Some(text) => Some(
                        number_of(text)
                            .filter(|number| *number <= written + 1)
                            .ok_or_else(|| Error::validation(format!("Invalid SequenceNumber: {text}")))?,
                    ),
                };
                Ok(match (req.shard_iterator_type.as_str(), asked) {
                    ("LATEST", _) => written + 1,
                    ("AT_SEQUENCE_NUMBER", Some(number)) => trimmed(number, oldest, 0)?,
                    ("AFTER_SEQUENCE_NUMBER", Some(number)) => trimmed(number, oldest, 1)? + 1,
                    _ => oldest,
                })
            })
            .await?;
        let place = IteratorPosition { next, at_ms: now_ms };
        Ok(GetShardIteratorOutput { shard_iterator: Some(place.iterator(&req.stream_arn)?) })
    }
}

#[async_trait]
impl Handle<GetRecords> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: GetRecordsInput) -> Result<GetRecordsOutput, Error> {
        let home = Home::of(cx);
        let (arn, place) = IteratorPosition::parse(&req.shard_iterator)?;
        let now_ms = cx.now().as_millisecond();
        if now_ms - place.at_ms > ITERATOR_MS {
            return Err(error::expired_iterator_exception(
                "Iterator expired. The iterator was created more than 15 minutes ago.",
            ));
        }
        if let Some(asked) = req.limit.filter(|asked| usize::try_from(*asked).is_ok_and(|asked| asked > MOST_RECORDS)) {
            return Err(Error::validation(format!(
                "1 validation error detected: Value '{asked}' at 'limit' failed to satisfy constraint: Member must have value \
                 less than or equal to {MOST_RECORDS}"
            )));
        }
        let limit = limit(req.limit, MOST_RECORDS);
        let (stream, written, page) = self
            .store
            .read(|tx| {
                let stream = find(tx, &home, arn)?;
                let written = stream.written(tx)?;
                let page = read(tx, &stream, place.next, limit, now_ms)?;
                Ok::<_, Error>((stream, written, page))
            })
            .await?;
        let next = page.next.unwrap_or_else(|| place.next.max(written + 1));
        // A closed shard ends.
        let next_shard_iterator = match stream.disabled_ms {
            Some(_) if next > written => None,
            _ => Some(IteratorPosition { next, at_ms: now_ms }.iterator(arn)?),
        };
        let region = cx.region();
        let records = page.records.into_iter().map(|(number, record)| wire_record(&stream, number, record, region));
        Ok(GetRecordsOutput { records: Some(records.collect()), next_shard_iterator })
    }
}

/// Where reading goes on, and since when that is known.
#[derive(Serialize, Deserialize)]
struct IteratorPosition {
    next: u64,
    at_ms: i64,
}

impl IteratorPosition {
    /// As AWS's iterators are built: the stream's ARN, a version and what only the service reads.
    fn iterator(&self, arn: &str) -> Result<String, Error> {
        let place = serde_json::to_vec(self).map_err(Error::internal)?;
        Ok(format!("{arn}|1|{}", BASE64.encode(place)))
    }

    fn parse(iterator: &str) -> Result<(&str, Self), Error> {
        let invalid = || Error::validation("Invalid ShardIterator");
        let (arn, rest) = iterator.split_once("|1|").ok_or_else(invalid)?;
        let bytes = BASE64.decode(rest).map_err(|_| invalid())?;
        Ok((arn, serde_json::from_slice(&bytes).map_err(|_| invalid())?))
    }
}

fn limit(asked: Option<i32>, most: usize) -> usize {
    asked.and_then(|asked| usize::try_from(asked).ok()).map_or(most, |asked| asked.clamp(1, most))
}

fn not_found(arn: &str) -> Error {
    error::resource_not_found_exception(format!("Requested resource not found: Stream: {arn} not found"))
}

fn find(tx: &mut Tx<'_>, home: &Home, arn: &str) -> Result<Stream, Error> {
    let well_formed = arn.starts_with("arn:aws:dynamodb:") && arn.contains("/stream/");
    if !well_formed {
        return Err(Error::validation(format!("Invalid StreamArn: {arn}")));
    }
    Stream::find(tx, home, arn)?.ok_or_else(|| not_found(arn))
}

/// Fails for a number of before the oldest record; `back` more are known by what came after them.
fn trimmed(number: u64, oldest: u64, back: u64) -> Result<u64, Error> {
    if number + back < oldest {
        return Err(error::trimmed_data_access_exception(
            "The operation attempted to read past the oldest stream record in a shard.",
        ));
    }
    Ok(number)
}

/// What one call reads.
#[derive(Default)]
struct Page {
    records: Vec<(u64, Record)>,
    /// Where reading goes on; none where nothing is there to be read.
    next: Option<u64>,
}

/// Reads from a number on. What the trimming task has not come to yet is gone all the same: reading goes on with the oldest record that is
/// young enough, so that an answer without records means that there are none.
fn read(tx: &mut Tx<'_>, stream: &Stream, from: u64, limit: usize, now_ms: i64) -> Result<Page, Error> {
    let Some(oldest) = stream.oldest(tx, now_ms)? else { return Ok(Page::default()) };
    let prefix = Stream::records(&stream.id);
    let to = store::key::prefix_end(prefix.as_bytes());
    let (mut page, mut bytes) = (Page::default(), 0);
    for (key, value) in tx.scan(prefix.push_u64(from.max(oldest)).as_bytes(), to.as_deref(), limit, false)? {
        let record: Record = store::kv::decode(&key, &value)?;
        let Some(number) = Stream::number(&key) else { continue };
        page.next = Some(number + 1);
        if record.is_expired(now_ms) {
            continue;
        }
        bytes += record.size;
        page.records.push((number, record));
        if bytes >= MOST_BYTES {
            break;
        }
    }
    Ok(page)
}

fn wire_record(stream: &Stream, number: u64, record: Record, region: &str) -> WireRecord {
    let id: String = stream.id.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    WireRecord {
        event_id: Some(format!("{id}{number:016x}")),
        event_name: Some(record.name),
        event_version: Some("1.1".to_owned()),
        event_source: Some("aws:dynamodb".to_owned()),
        aws_region: Some(region.to_owned()),
        dynamodb: Some(StreamRecord {
            // Whole seconds, as AWS tells it.
            approximate_creation_date_time: Some(Timestamp::from_millis(record.at_ms - record.at_ms.rem_euclid(1000))),
            keys: Some(convert::stream_attributes(record.keys)),
            new_image: record.new.map(convert::stream_attributes),
            old_image: record.old.map(convert::stream_attributes),
            sequence_number: Some(sequence_number(number)),
            size_bytes: Some(record.size),
            stream_view_type: Some(stream.view.clone()),
        }),
        user_identity: record.expired.then(|| Identity {
            principal_id: Some("dynamodb.amazonaws.com".to_owned()),
            r#type: Some("Service".to_owned()),
        }),
    }
}
