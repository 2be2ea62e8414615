//! What the destination of a mapping hears of records that were given up: where they are, to a bucket also what the function was called
//! with. Source: Lambda Developer Guide, "Retain discarded batch records for a DynamoDB event source in Lambda".

use std::time::Duration;

use api_dynamodbstreams::Record;
use serde_json::{Value, json};
use service::Cx;
use wire::Error;
use wire::arn::Arn;

use super::window::Phase;
use super::{MAX_WAIT, Position, Run, Source, pause, sequence_number};
use crate::asynchronous::send;
use crate::invoke::Finished;

/// Why records are given up.
#[derive(Clone, Copy)]
pub(super) struct Discarded<'a> {
    pub(super) condition: &'a str,
    pub(super) tries: i32,
    /// What the function answered last.
    pub(super) finished: Option<&'a Finished>,
}

impl Source {
    /// Tells the destination of failures where the records are that were given up. They are not lost before it was told: true where the
    /// mapping is changed or deleted before that.
    pub(super) async fn give_up(
        &self,
        run: Run<'_>,
        position: &Position,
        records: &[Record],
        why: Discarded<'_>,
    ) -> bool {
        let Some(target) = &self.on_failure else { return false };
        let mut record = self.invocation_record(run.cx, position, records, why);
        let object = Arn::parse(target).filter(|arn| arn.service == "s3").map(|arn| {
            let phase = if records.is_empty() { Phase::Final { early: false } } else { Phase::Aggregate };
            record["payload"] = self.payload(position, records, phase).to_string().into();
            (arn.resource, self.key(run.cx, position))
        });
        let mut wait = Duration::from_secs(1);
        loop {
            let sent = match &object {
                Some((bucket, key)) => put(run.role, bucket, key, &record).await,
                None => send(run.role, target, &record).await,
            };
            let Err(error) = sent else { return false };
            let is_passing = error.status() >= 500 && !error.is("NotImplemented");
            tracing::warn!(%error, target, is_passing, "the record of a failed batch could not be sent to its destination");
            if !is_passing {
                return false;
            }
            if pause(run.task, wait).await {
                return true;
            }
            wait = (wait * 2).min(MAX_WAIT);
        }
    }

    fn invocation_record(&self, cx: &Cx, position: &Position, records: &[Record], why: Discarded<'_>) -> Value {
        let (first, last) = (records.first(), records.last());
        let number = |record: Option<&Record>| match record {
            Some(record) => sequence_number(record).cloned(),
            // The end of a window has no records of its own.
            None => position.sequence_number.clone(),
        };
        let time = |record: Option<&Record>| {
            let change = record.and_then(|record| record.dynamodb.as_ref());
            change.and_then(|change| change.approximate_creation_date_time).map(wire::Timestamp::to_iso)
        };
        json!({
            "requestContext": {
                "requestId": cx.uuid(),
                "functionArn": self.function,
                "condition": why.condition,
                "approximateInvokeCount": why.tries,
            },
            "responseContext": why.finished.map(|finished| json!({
                "statusCode": 200,
                "executedVersion": finished.version,
                "functionError": "Unhandled",
            })),
            "version": "1.0",
            "timestamp": wire::Timestamp::from(cx.now()).to_iso(),
            "DDBStreamBatchInfo": {
                "shardId": position.shard,
                "startSequenceNumber": number(first),
                "endSequenceNumber": number(last),
                "approximateArrivalOfFirstRecord": time(first),
                "approximateArrivalOfLastRecord": time(last),
                "batchSize": records.len(),
                "streamArn": self.stream,
            },
        })
    }

    /// `aws/lambda/MAPPING/SHARD/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-UUID`
    fn key(&self, cx: &Cx, position: &Position) -> String {
        let (uuid, shard) = (&self.uuid, position.shard.as_deref().unwrap_or_default());
        let at = cx.now().strftime("%Y/%m/%d/%Y-%m-%dT%H.%M.%S");
        format!("aws/lambda/{uuid}/{shard}/{at}-{}", cx.uuid())
    }
}

async fn put(role: &Cx, bucket: &str, key: &str, record: &Value) -> Result<(), Error> {
    let request = api_s3::PutObjectRequest {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        body: Some(record.to_string().into_bytes().into()),
        content_type: Some("application/json".to_owned()),
        ..Default::default()
    };
    role.call::<api_s3::PutObject>(request).await.map(drop)
}
