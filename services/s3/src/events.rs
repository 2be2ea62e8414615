//! Events of objects: recorded as durable tasks in the transaction that changes the object, delivered by the queue to
//! EventBridge, and to the queues, topics and functions that the bucket's notification names.

use async_trait::async_trait;
use s3s::dto::{Event, FilterRuleName, NotificationConfiguration, NotificationConfigurationFilter};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::Cx;
use store::{Done, NewTask, Runner, Task};
use wire::Error;
use wire::arn::Arn;

use crate::S3;
use crate::errors::Result;
use crate::keys;
use crate::records::{BucketRecord, ObjectRecord};
use crate::settings::NOTIFICATION;
use crate::tx::Tx;

/// The kind of task that delivers one event to one destination.
pub(crate) const TASK: &str = "s3:event";

/// How often a destination that does not take an event is tried: for about a day.
const ATTEMPTS: u32 = 34;
/// The longest wait between two tries is so many seconds to the power of two.
const LONGEST_WAIT_LOG2: u32 = 12;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Put,
    Post,
    Copy,
    Complete,
    Delete,
    /// A delete marker was made.
    Marker,
    Tag,
    Untag,
    Acl,
    /// A restoration was asked for.
    RestoreBegun,
    Restore,
    /// A lifecycle rule moved it to another storage class.
    Transition,
    /// A lifecycle rule deleted it, or made a delete marker.
    Expire,
    ExpireMarker,
}

impl Change {
    /// EventBridge's `reason`.
    fn reason(self) -> Option<&'static str> {
        Some(match self {
            Self::Put => "PutObject",
            Self::Post => "POST Object",
            Self::Copy => "CopyObject",
            Self::Complete => "CompleteMultipartUpload",
            Self::Delete | Self::Marker => "DeleteObject",
            Self::Expire | Self::ExpireMarker => "Lifecycle Expiration",
            Self::Tag | Self::Untag | Self::Acl | Self::RestoreBegun | Self::Restore | Self::Transition => return None,
        })
    }
    /// The event's name in bucket notifications, without `s3:`.
    fn name(self) -> &'static str {
        match self {
            Self::Put => "ObjectCreated:Put",
            Self::Post => "ObjectCreated:Post",
            Self::Copy => "ObjectCreated:Copy",
            Self::Complete => "ObjectCreated:CompleteMultipartUpload",
            Self::Delete => "ObjectRemoved:Delete",
            Self::Marker => "ObjectRemoved:DeleteMarkerCreated",
            Self::Tag => "ObjectTagging:Put",
            Self::Untag => "ObjectTagging:Delete",
            Self::Acl => "ObjectAcl:Put",
            Self::RestoreBegun => "ObjectRestore:Post",
            Self::Restore => "ObjectRestore:Completed",
            Self::Transition => "LifecycleTransition",
            Self::Expire => "LifecycleExpiration:Delete",
            Self::ExpireMarker => "LifecycleExpiration:DeleteMarkerCreated",
        }
    }
    /// EventBridge's `detail-type`.
    fn detail_type(self) -> &'static str {
        match self {
            Self::Put | Self::Post | Self::Copy | Self::Complete => "Object Created",
            Self::Delete | Self::Marker | Self::Expire | Self::ExpireMarker => "Object Deleted",
            Self::Tag => "Object Tags Added",
            Self::Untag => "Object Tags Deleted",
            Self::Acl => "Object ACL Updated",
            Self::RestoreBegun => "Object Restore Initiated",
            Self::Restore => "Object Restore Completed",
            Self::Transition => "Object Storage Class Changed",
        }
    }
    fn deletes(self) -> bool {
        self.detail_type() == "Object Deleted"
    }
}

/// What is told besides.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Details<'a> {
    pub(crate) version: Option<&'a str>,
}

/// The names of events that a notification can ask for. Those of what is not here (replication, intelligent tiering, lost copies) never
/// happen. Source: S3 User Guide, "Supported event types for SQS, SNS, and Lambda".
pub(crate) const NAMES: [&str; 30] = [
    "s3:TestEvent",
    "s3:ObjectCreated:*",
    "s3:ObjectCreated:Put",
    "s3:ObjectCreated:Post",
    "s3:ObjectCreated:Copy",
    "s3:ObjectCreated:CompleteMultipartUpload",
    "s3:ObjectRemoved:*",
    "s3:ObjectRemoved:Delete",
    "s3:ObjectRemoved:DeleteMarkerCreated",
    "s3:ObjectRestore:*",
    "s3:ObjectRestore:Post",
    "s3:ObjectRestore:Completed",
    "s3:ObjectRestore:Delete",
    "s3:ReducedRedundancyLostObject",
    "s3:Replication:*",
    "s3:Replication:OperationFailedReplication",
    "s3:Replication:OperationMissedThreshold",
    "s3:Replication:OperationReplicatedAfterThreshold",
    "s3:Replication:OperationNotTracked",
    "s3:LifecycleExpiration:*",
    "s3:LifecycleExpiration:Delete",
    "s3:LifecycleExpiration:DeleteMarkerCreated",
    "s3:LifecycleTransition",
    "s3:IntelligentTiering",
    "s3:ObjectTagging:*",
    "s3:ObjectTagging:Put",
    "s3:ObjectTagging:Delete",
    "s3:ObjectAcl:Put",
    "s3:ObjectAnnotation:Put",
    "s3:ObjectAnnotation:Delete",
];

/// Who caused an event.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    request_id: String,
    account: String,
    principal: String,
    time: jiff::Timestamp,
    /// The attempt of user code that does it: nobody is told before it counts.
    attempt: Option<String>,
}

impl Origin {
    pub(crate) fn of(cx: &Cx) -> Self {
        Self {
            request_id: cx.request_id().to_owned(),
            account: cx.account().to_owned(),
            principal: cx.principal().arn(cx.account()),
            time: cx.now(),
            attempt: crate::attempts::of(cx),
        }
    }
}

/// One event on its way to one destination.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Delivery {
    account: String,
    region: String,
    /// `events`, or the ARN of a queue, topic or function.
    target: String,
    /// What is delivered: an EventBridge entry, or a notification message.
    message: Value,
}

/// An event of an attempt that may still be undone.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Waiting {
    v: u8,
    /// `s3://bucket/key`
    url: String,
    task: String,
    delivery: Delivery,
}

/// Inside a transaction that ends an attempt: tells of what it did, or forgets it; `of` says of which URLs. Answers whether more may be
/// left, behind `after`.
pub(crate) fn settle(
    tx: &mut Tx<'_>,
    attempt: &str,
    (after, limit): (&[u8], usize),
    commit: bool,
    of: impl Fn(&str) -> bool,
) -> Result<Option<Vec<u8>>> {
    let page = tx.scan_after(keys::attempt_events(attempt), after, limit)?;
    for (place, value) in &page {
        let waiting: Waiting = store::kv::decode(place, value)?;
        if !of(&waiting.url) {
            continue;
        }
        if commit {
            tx.enqueue(NewTask::new(TASK, waiting.task).payload(&waiting.delivery)?)?;
        }
        tx.delete(place)?;
    }
    Ok(page.last().filter(|_| page.len() == limit).map(|(place, _)| place.clone()))
}

/// Inside the changing transaction: enqueues what the bucket's notification asks for, or keeps it until the attempt counts that does it.
pub(crate) fn record(
    tx: &mut Tx<'_>,
    origin: &Origin,
    bucket: &BucketRecord,
    key: &str,
    object: Option<&ObjectRecord>,
    change: Change,
    told: Details<'_>,
) -> Result<()> {
    let place = keys::setting(&bucket.name, NOTIFICATION);
    let Some(config) = tx.get_json::<NotificationConfiguration>(place)? else { return Ok(()) };
    let targets = targets(&config, key, change);
    if targets.is_empty() {
        return Ok(());
    }
    let sequencer = format!("{:018X}", tx.next_number(keys::sequencer())?);
    for (n, (target, configuration_id)) in targets.into_iter().enumerate() {
        let message = match target {
            "events" => entry((origin, bucket, key), object, change, told, &sequencer),
            _ => notification((origin, bucket, key), object, change, told, (&sequencer, configuration_id)),
        };
        let delivery = Delivery {
            account: bucket.account.clone(),
            region: bucket.region.clone(),
            target: target.to_owned(),
            message,
        };
        let task = format!("s3-event-{sequencer}-{n}");
        match &origin.attempt {
            None => tx.enqueue(NewTask::new(TASK, task).payload(&delivery)?)?,
            Some(attempt) => {
                let place = keys::attempt_events(attempt).push(&task);
                let url = format!("s3://{}/{key}", bucket.name);
                tx.put_json(place, &Waiting { v: 1, url, task, delivery })?;
            }
        }
    }
    Ok(())
}

/// The destinations whose events and filters match, each with its configuration's id.
fn targets<'a>(config: &'a NotificationConfiguration, key: &str, change: Change) -> Vec<(&'a str, &'a str)> {
    let mut found = Vec::new();
    if config.event_bridge_configuration.is_some() {
        found.push(("events", ""));
    }
    let mut add =
        |arn: &'a str, id: &'a Option<String>, events: &[Event], filter: Option<&NotificationConfigurationFilter>| {
            if events.iter().any(|e| matches_event(e.as_ref(), change)) && matches_filter(filter, key) {
                found.push((arn, id.as_deref().unwrap_or_default()));
            }
        };
    for c in config.queue_configurations.iter().flatten() {
        add(&c.queue_arn, &c.id, &c.events, c.filter.as_ref());
    }
    for c in config.topic_configurations.iter().flatten() {
        add(&c.topic_arn, &c.id, &c.events, c.filter.as_ref());
    }
    for c in config.lambda_function_configurations.iter().flatten() {
        add(&c.lambda_function_arn, &c.id, &c.events, c.filter.as_ref());
    }
    found
}

fn matches_event(pattern: &str, change: Change) -> bool {
    let pattern = pattern.strip_prefix("s3:").unwrap_or(pattern);
    match pattern.strip_suffix('*') {
        Some(prefix) => change.name().starts_with(prefix),
        None => change.name() == pattern,
    }
}

fn matches_filter(filter: Option<&NotificationConfigurationFilter>, key: &str) -> bool {
    let rules = filter.and_then(|f| f.key.as_ref()).and_then(|k| k.filter_rules.as_ref());
    rules.into_iter().flatten().all(|rule| {
        let value = rule.value.as_deref().unwrap_or_default();
        match rule.name.as_ref().map(FilterRuleName::as_str) {
            Some(name) if name.eq_ignore_ascii_case("prefix") => key.starts_with(value),
            Some(name) if name.eq_ignore_ascii_case("suffix") => key.ends_with(value),
            _ => false,
        }
    })
}

/// As "Amazon S3 event message structure for EventBridge" documents it.
fn entry(
    (origin, bucket, key): (&Origin, &BucketRecord, &str),
    object: Option<&ObjectRecord>,
    change: Change,
    told: Details<'_>,
    sequencer: &str,
) -> Value {
    let mut detail = json!({
        "version": "0",
        "bucket": { "name": bucket.name },
        "object": { "key": key, "sequencer": sequencer },
        "request-id": origin.request_id,
        "requester": origin.account,
        "source-ip-address": "127.0.0.1",
    });
    if let Some(reason) = change.reason() {
        detail["reason"] = reason.into();
    }
    if let Some(id) = told.version {
        detail["object"]["version-id"] = id.into();
    }
    if let Some(record) = object {
        let moved = matches!(change, Change::RestoreBegun | Change::Restore | Change::Transition);
        if moved || change.reason().is_some() {
            detail["object"]["size"] = record.size.into();
        }
        detail["object"]["etag"] = record.etag.as_str().into();
        let class = record.headers.storage_class.as_deref().unwrap_or("STANDARD");
        match change {
            Change::Transition => {
                detail["destination-storage-class"] = class.into();
                detail["requester"] = "s3.amazonaws.com".into();
            }
            Change::RestoreBegun => detail["source-storage-class"] = class.into(),
            Change::Restore => {
                detail["source-storage-class"] = class.into();
                let until = record.restored_until_ms.map(|until| wire::Timestamp::from_millis(until).to_iso());
                detail["restore-expiry-time"] = until.into();
                detail["requester"] = "s3.amazonaws.com".into();
            }
            _ => {}
        }
    }
    if change.deletes() {
        let marker = matches!(change, Change::Marker | Change::ExpireMarker);
        detail["deletion-type"] = if marker { "Delete Marker Created" } else { "Permanently Deleted" }.into();
    }
    let kind = change.detail_type();
    json!({
        "Time": origin.time.to_string(),
        "Source": "aws.s3",
        "DetailType": kind,
        "Detail": detail.to_string(),
        "Resources": [format!("arn:aws:s3:::{}", bucket.name)],
    })
}

/// As "Event message structure" of bucket notifications documents it.
fn notification(
    (origin, bucket, key): (&Origin, &BucketRecord, &str),
    object: Option<&ObjectRecord>,
    change: Change,
    told: Details<'_>,
    (sequencer, configuration_id): (&str, &str),
) -> Value {
    // Tags, ACLs and lifecycles came with minor versions of their own.
    let version = match change {
        Change::Tag | Change::Untag | Change::Acl | Change::Expire | Change::ExpireMarker | Change::Transition => "2.3",
        _ => "2.1",
    };
    let mut record = json!({
        "eventVersion": version,
        "eventSource": "aws:s3",
        "awsRegion": bucket.region,
        "eventTime": wire::Timestamp(origin.time).to_iso(),
        "eventName": change.name(),
        "userIdentity": { "principalId": origin.principal },
        "requestParameters": { "sourceIPAddress": "127.0.0.1" },
        "responseElements": { "x-amz-request-id": origin.request_id, "x-amz-id-2": origin.request_id },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": configuration_id,
            "bucket": {
                "name": bucket.name,
                "ownerIdentity": { "principalId": bucket.account },
                "arn": format!("arn:aws:s3:::{}", bucket.name),
            },
            "object": { "key": crate::list::encode(key, true), "sequencer": sequencer },
        },
    });
    if let Some(object) = object {
        record["s3"]["object"]["size"] = object.size.into();
        record["s3"]["object"]["eTag"] = object.etag.as_str().into();
    }
    if let Some(id) = told.version {
        record["s3"]["object"]["versionId"] = id.into();
    }
    if let (Change::Restore, Some(object)) = (change, object) {
        let until = object.restored_until_ms.map(|until| wire::Timestamp::from_millis(until).to_iso());
        record["glacierEventData"] = json!({ "restoreEventData": {
            "lifecycleRestorationExpiryTime": until,
            "lifecycleRestoreStorageClass": object.headers.storage_class.as_deref().unwrap_or("STANDARD"),
        } });
    }
    json!({ "Records": [record] })
}

impl S3 {
    /// Sends each queue and topic a message, as S3 itself; answers the first that does not take it. Nobody is asked where the service is
    /// not here. Source: S3 User Guide, "Event message structure" (the test message), "Granting permissions to publish event
    /// notification messages to a destination".
    pub(crate) async fn try_destinations(
        &self,
        origin: &Origin,
        bucket: &BucketRecord,
        config: &NotificationConfiguration,
    ) -> Option<(String, Error)> {
        for (id, delivery) in tests(origin, bucket, config) {
            let (service, operation) =
                if delivery.target.contains(":sqs:") { ("sqs", "SendMessage") } else { ("sns", "Publish") };
            if self.router.find(service, operation).is_none() {
                continue;
            }
            let target = delivery.target.clone();
            match self.send(delivery, &id).await {
                Err(error) if error.status() < 500 => return Some((target, error)),
                Err(error) => tracing::warn!(%error, target, "a test message could not be sent"),
                Ok(()) => {}
            }
        }
        None
    }
}

/// A message to each queue and topic, by its task's id.
fn tests(origin: &Origin, bucket: &BucketRecord, config: &NotificationConfiguration) -> Vec<(String, Delivery)> {
    let queues = config.queue_configurations.iter().flatten().map(|c| &c.queue_arn);
    let topics = config.topic_configurations.iter().flatten().map(|c| &c.topic_arn);
    let mut told: Vec<&String> = queues.chain(topics).collect();
    told.sort();
    told.dedup();
    let test = |(n, target): (usize, &String)| {
        let message = json!({
            "Service": "Amazon S3",
            "Event": "s3:TestEvent",
            "Time": wire::Timestamp(origin.time).to_iso(),
            "Bucket": bucket.name,
            "RequestId": origin.request_id,
            "HostId": origin.request_id,
        });
        let delivery = Delivery {
            account: bucket.account.clone(),
            region: bucket.region.clone(),
            target: target.clone(),
            message,
        };
        (format!("s3-test-{}-{n}", origin.request_id), delivery)
    };
    told.into_iter().enumerate().map(test).collect()
}

#[async_trait]
impl Runner for S3 {
    async fn run(&self, task: Task) -> Done {
        if task.kind == crate::lifecycle::TASK {
            return self.run_lifecycle(&task).await;
        }
        if task.kind == crate::gone::TASK {
            return self.run_gone(&task).await;
        }
        if task.kind == crate::metrics::TASK {
            return self.run_metrics().await;
        }
        if task.kind == crate::logging::TASK {
            return self.run_logs().await;
        }
        match self.deliver(&task).await {
            Ok(()) => Done::Finished,
            Err(error) if task.attempt >= ATTEMPTS => {
                tracing::error!(task = task.id, %error, "an event could not be delivered and is dropped");
                Done::Finished
            }
            Err(error) => {
                tracing::warn!(task = task.id, attempt = task.attempt, %error, "an event could not be delivered yet");
                let seconds = 1_i64 << task.attempt.min(LONGEST_WAIT_LOG2);
                Done::RetryAfter(jiff::SignedDuration::from_secs(seconds))
            }
        }
    }
}

impl S3 {
    async fn deliver(&self, task: &Task) -> Result<()> {
        self.send(task.payload()?, &task.id).await
    }

    async fn send(&self, delivery: Delivery, task: &str) -> Result<()> {
        let Delivery { account, region, target, message } = delivery;
        let cx = Cx::platform(&self.router, &account, &region).with_task(task);
        if target == "events" {
            let answer = cx.call_json("events", "PutEvents", json!({ "Entries": [message] })).await?;
            return match answer.get("FailedEntryCount").and_then(Value::as_i64) {
                Some(n) if n > 0 => Err(Error::internal(format!("EventBridge did not take the event: {answer}"))),
                _ => Ok(()),
            };
        }
        let arn = Arn::parse(&target).ok_or_else(|| Error::internal(format!("{target} is no ARN")))?;
        let platform = cx.with_region(&arn.region);
        let bucket = match message["Records"][0]["s3"]["bucket"]["arn"].as_str() {
            Some(arn) => arn.to_owned(),
            // The event that only tries the way.
            None => format!("arn:aws:s3:::{}", message["Bucket"].as_str().unwrap_or_default()),
        };
        let cx = platform.as_service("s3.amazonaws.com", &bucket);
        match arn.service.as_str() {
            "sqs" => {
                let name = json!({ "QueueName": arn.resource, "QueueOwnerAWSAccountId": arn.account });
                let queue = platform.call_json("sqs", "GetQueueUrl", name).await?;
                let input = json!({ "QueueUrl": queue["QueueUrl"], "MessageBody": message.to_string() });
                cx.call_json("sqs", "SendMessage", input).await?;
            }
            "sns" => {
                let input = json!({
                    "TopicArn": target,
                    "Subject": "Amazon S3 Notification",
                    "Message": message.to_string(),
                });
                cx.call_json("sns", "Publish", input).await?;
            }
            "lambda" => {
                let input = json!({ "FunctionName": target, "InvocationType": "Event", "Payload": message });
                cx.call_json("lambda", "Invoke", input).await?;
            }
            other => return Err(Error::internal(format!("no events go to {other}"))),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matching() {
        let config: NotificationConfiguration = serde_json::from_value(json!({
            "event_bridge_configuration": {},
            "queue_configurations": [{
                "queue_arn": "arn:aws:sqs:r:0:q",
                "events": ["s3:ObjectCreated:*"],
                "filter": { "key": { "filter_rules": [
                    { "name": "prefix", "value": "in/" }, { "name": "Suffix", "value": ".csv" }
                ] } },
            }],
        }))
        .unwrap();
        let found = |key, change| targets(&config, key, change).len();
        assert_eq!(found("in/a.csv", Change::Put), 2);
        assert_eq!(found("in/a.csv", Change::Complete), 2);
        assert_eq!(found("in/a.txt", Change::Put), 1);
        assert_eq!(found("in/a.csv", Change::Delete), 1);
    }
}
