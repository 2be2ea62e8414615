//! SendMessage and SendMessageBatch.

use std::collections::BTreeMap;

use api_sqs::{
    BatchResultErrorEntry, MessageSystemAttributeValue, SendMessage, SendMessageBatch, SendMessageBatchRequest,
    SendMessageBatchResult, SendMessageBatchResultEntry, SendMessageRequest, SendMessageResult, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::{check_batch, failed};
use crate::sqs::Sqs;
use crate::sqs::message::{self, New, Sent, attribute_size};
use crate::sqs::queue::{Queue, QueueKey};
use sealing::Of;

const MAX_BATCH_BYTES: usize = 1_048_576;

#[async_trait]
impl Handle<SendMessage> for Sqs {
    async fn handle(&self, cx: &Cx, req: SendMessageRequest) -> Result<SendMessageResult, Error> {
        let place = QueueKey::of_url(cx, &req.queue_url);
        let mut new = New {
            id: cx.uuid(),
            body: req.message_body,
            sealed: None,
            delay_seconds: req.delay_seconds,
            attributes: req.message_attributes.unwrap_or_default(),
            trace: trace(req.message_system_attributes),
            group: req.message_group_id,
            duplicate: req.message_deduplication_id,
            sender: cx.principal().arn(cx.account()),
        };
        let now = cx.now().as_millisecond();
        if let Some((queue, key)) = self.key_of(&place).await? {
            message::check(&queue, &new)?;
            new.sealed = Some(self.seal(cx, &queue, &key, &new.body).await?);
        }
        let (used, size) = (place.clone(), size(&new));
        let (queue_id, sent) = cx
            .write(&self.store, move |tx| {
                let queue = place.queue(tx)?;
                message::check(&queue, &new)?;
                let sent = message::send(tx, &queue, new.clone(), now)?;
                Ok::<_, Error>((queue.id, sent))
            })
            .await?;
        self.metrics.sent(&used, &[size]);
        self.waiting.wake(&queue_id);
        Ok(SendMessageResult {
            md5_of_message_body: Some(sent.body_md5),
            md5_of_message_attributes: sent.attributes_md5,
            message_id: Some(sent.id),
            sequence_number: sent.sequence,
            ..SendMessageResult::default()
        })
    }
}

#[async_trait]
impl Handle<SendMessageBatch> for Sqs {
    async fn handle(&self, cx: &Cx, req: SendMessageBatchRequest) -> Result<SendMessageBatchResult, Error> {
        check_batch(req.entries.iter().map(|entry| entry.id.as_str()))?;
        let place = QueueKey::of_url(cx, &req.queue_url);
        let mut bytes = 0;
        let mut entries = Vec::with_capacity(req.entries.len());
        for entry in req.entries {
            let new = New {
                id: cx.uuid(),
                body: entry.message_body,
                sealed: None,
                delay_seconds: entry.delay_seconds,
                attributes: entry.message_attributes.unwrap_or_default(),
                trace: trace(entry.message_system_attributes),
                group: entry.message_group_id,
                duplicate: entry.message_deduplication_id,
                sender: cx.principal().arn(cx.account()),
            };
            bytes += size(&new);
            entries.push((entry.id, new));
        }
        if bytes > MAX_BATCH_BYTES {
            return Err(error::batch_request_too_long(format!(
                "Batch requests cannot be longer than {MAX_BATCH_BYTES} bytes. You have sent {bytes} bytes."
            ))
            .with_query_code("AWS.SimpleQueueService.BatchRequestTooLong"));
        }
        let now = cx.now().as_millisecond();
        if let Some((queue, key)) = self.key_of(&place).await? {
            for (_, new) in &mut entries {
                new.sealed = Some(self.seal(cx, &queue, &key, &new.body).await?);
            }
        }
        let used = place.clone();
        let sizes: BTreeMap<String, usize> = entries.iter().map(|(id, new)| (id.clone(), size(new))).collect();
        let (queue_id, successful, failed) = cx
            .write(&self.store, move |tx| {
                let queue = place.queue(tx)?;
                let (mut sent, mut refused): (Vec<SendMessageBatchResultEntry>, Vec<BatchResultErrorEntry>) =
                    Default::default();
                for (id, new) in &entries {
                    match message::check(&queue, new) {
                        Ok(()) => sent.push(answer(id, message::send(tx, &queue, new.clone(), now)?)),
                        Err(error) => refused.push(failed(id, &error)),
                    }
                }
                Ok::<_, Error>((queue.id, sent, refused))
            })
            .await?;
        let sent: Vec<usize> = successful.iter().filter_map(|one| sizes.get(&one.id).copied()).collect();
        self.metrics.sent(&used, &sent);
        self.waiting.wake(&queue_id);
        Ok(SendMessageBatchResult { successful, failed })
    }
}

impl Sqs {
    /// The queue and its key, where it has one.
    async fn key_of(&self, place: &QueueKey) -> Result<Option<(Queue, String)>, Error> {
        let queue = self.store.read(|tx| place.queue(tx)).await?;
        let key = queue.attributes.get("KmsMasterKeyId").cloned();
        Ok(key.map(|key| (queue, key)))
    }

    async fn seal(&self, cx: &Cx, queue: &Queue, key: &str, body: &str) -> Result<String, Error> {
        let reuse_seconds = queue.number("KmsDataKeyReusePeriodSeconds");
        self.sealer.seal(cx, key, Of { arn: &queue.arn(), reuse_seconds }, body).await
    }
}

fn size(new: &New) -> usize {
    new.body.len() + new.attributes.iter().map(|(name, value)| attribute_size(name, value)).sum::<usize>()
}

fn answer(id: &str, sent: Sent) -> SendMessageBatchResultEntry {
    SendMessageBatchResultEntry {
        id: id.to_owned(),
        message_id: sent.id,
        md5_of_message_body: sent.body_md5,
        md5_of_message_attributes: sent.attributes_md5,
        sequence_number: sent.sequence,
        ..SendMessageBatchResultEntry::default()
    }
}

fn trace(attributes: Option<BTreeMap<String, MessageSystemAttributeValue>>) -> Option<String> {
    attributes?.remove("AWSTraceHeader")?.string_value
}
