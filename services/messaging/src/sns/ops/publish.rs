//! Publish and PublishBatch.

use std::collections::{BTreeMap, BTreeSet};

use api_sns::{
    BatchResultErrorEntry, Publish, PublishBatch, PublishBatchInput, PublishBatchResponse, PublishBatchResultEntry,
    PublishInput, PublishResponse, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::sns::publish::{Notification, publish};
use crate::sns::topic::{Topic, invalid};
use crate::sns::{Sns, of_topic};

#[async_trait]
impl Handle<Publish> for Sns {
    async fn handle(&self, cx: &Cx, req: PublishInput) -> Result<PublishResponse, Error> {
        if req.phone_number.is_some() {
            return Err(Error::not_implemented("Publish: text messages to phones"));
        }
        let mut notification = Notification {
            id: cx.uuid(),
            topic_arn: req
                .topic_arn
                .or(req.target_arn)
                .ok_or_else(|| invalid("TopicArn or TargetArn Reason: no value for required parameter"))?,
            subject: req.subject,
            message: req.message,
            per_protocol: is_json(req.message_structure.as_deref())?,
            attributes: req.message_attributes.unwrap_or_default(),
            published_ms: cx.now().as_millisecond(),
            group: req.message_group_id,
            duplicate: req.message_deduplication_id,
            signature_version: None,
            sealed: None,
            sequence: None,
        };
        self.seal(cx, &mut notification).await?;
        let (topic_arn, bytes) = (notification.topic_arn.clone(), notification.size());
        let (published, filtered) = cx
            .write(&self.store, move |tx| {
                let topic = Topic::load(tx, &notification.topic_arn)?;
                notification.check(&topic)?;
                publish(tx, &topic, notification.clone())
            })
            .await?;
        self.metrics.published(&topic_arn, &[bytes], filtered);
        Ok(PublishResponse { message_id: Some(published.id), sequence_number: published.sequence })
    }
}

#[async_trait]
impl Handle<PublishBatch> for Sns {
    async fn handle(&self, cx: &Cx, req: PublishBatchInput) -> Result<PublishBatchResponse, Error> {
        let entries = req.publish_batch_request_entries;
        if entries.is_empty() {
            return Err(error::empty_batch_request_exception("The batch request doesn't contain any entries."));
        }
        if entries.len() > 10 {
            return Err(error::too_many_entries_in_batch_request_exception(
                "The batch request contains more entries than permissible.",
            ));
        }
        let ids: BTreeSet<&String> = entries.iter().map(|entry| &entry.id).collect();
        if ids.len() != entries.len() {
            return Err(error::batch_entry_ids_not_distinct_exception(
                "Two or more batch entries in the request have the same Id.",
            ));
        }
        let mut notifications = Vec::with_capacity(entries.len());
        for entry in entries {
            let notification = Notification {
                id: cx.uuid(),
                topic_arn: req.topic_arn.clone(),
                subject: entry.subject,
                message: entry.message,
                per_protocol: is_json(entry.message_structure.as_deref())?,
                attributes: entry.message_attributes.unwrap_or_default(),
                published_ms: cx.now().as_millisecond(),
                group: entry.message_group_id,
                duplicate: entry.message_deduplication_id,
                signature_version: None,
                sealed: None,
                sequence: None,
            };
            notifications.push((entry.id, notification));
        }
        for (_, notification) in &mut notifications {
            self.seal(cx, notification).await?;
        }
        let sizes: BTreeMap<String, usize> = notifications.iter().map(|(id, one)| (id.clone(), one.size())).collect();
        let topic_arn = req.topic_arn.clone();
        let (successful, failed, filtered) = cx
            .write(&self.store, move |tx| {
                let topic = Topic::load(tx, &topic_arn)?;
                let (mut sent, mut refused, mut filtered) = (Vec::new(), Vec::new(), 0);
                for (id, notification) in &notifications {
                    match notification.check(&topic) {
                        Ok(()) => {
                            let (published, passed) = publish(tx, &topic, notification.clone())?;
                            filtered += passed;
                            sent.push(PublishBatchResultEntry {
                                id: Some(id.clone()),
                                message_id: Some(published.id),
                                sequence_number: published.sequence,
                            });
                        }
                        Err(error) => refused.push(BatchResultErrorEntry {
                            id: id.clone(),
                            code: error.code().to_owned(),
                            message: Some(error.message().to_owned()),
                            sender_fault: true,
                        }),
                    }
                }
                Ok::<_, Error>((sent, refused, filtered))
            })
            .await?;
        let published = successful.iter().filter_map(|one| sizes.get(one.id.as_deref()?).copied());
        self.metrics.published(&req.topic_arn, &published.collect::<Vec<_>>(), filtered);
        Ok(PublishBatchResponse { successful: Some(successful), failed: Some(failed) })
    }
}

impl Sns {
    /// Encrypts the message where its topic has a key.
    async fn seal(&self, cx: &Cx, notification: &mut Notification) -> Result<(), Error> {
        let topic = self.store.read(|tx| Topic::load(tx, &notification.topic_arn)).await?;
        if let Some(key) = topic.attributes.get("KmsMasterKeyId") {
            notification.check(&topic)?;
            let sealed = self.sealer.seal(cx, key, of_topic(&topic.arn), &notification.message).await?;
            notification.sealed = Some(sealed);
        }
        Ok(())
    }
}

fn is_json(structure: Option<&str>) -> Result<bool, Error> {
    match structure {
        None => Ok(false),
        Some("json") => Ok(true),
        Some(_) => Err(invalid("Unrecognized MessageStructure")),
    }
}
