//! GetQueueAttributes and SetQueueAttributes.

use std::collections::BTreeMap;

use api_sqs::{
    GetQueueAttributes, GetQueueAttributesRequest, GetQueueAttributesResult, SetQueueAttributes,
    SetQueueAttributesRequest, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use crate::sqs::queue::QueueKey;
use crate::sqs::{Sqs, message};

const COUNTS: [&str; 3] =
    ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"];
/// Attributes that some queues have and others answer nothing for.
const OPTIONAL: [&str; 8] = [
    "Policy",
    "RedrivePolicy",
    "RedriveAllowPolicy",
    "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
    "FifoQueue",
    "ContentBasedDeduplication",
    "DeduplicationScope",
];

#[async_trait]
impl Handle<GetQueueAttributes> for Sqs {
    async fn handle(&self, cx: &Cx, req: GetQueueAttributesRequest) -> Result<GetQueueAttributesResult, Error> {
        let place = QueueKey::of_url(cx, &req.queue_url);
        let names = req.attribute_names.unwrap_or_default();
        let all = names.iter().any(|name| name == "All");
        let now = cx.now().as_millisecond();
        let counted = all || names.iter().any(|name| COUNTS.contains(&name.as_str()));
        if counted {
            // What is past its retention is not counted.
            self.sweep(&place, now).await?;
        }
        let used = place.clone();
        let mut shown = self
            .store
            .read(|tx| {
                let queue = place.queue(tx)?;
                let mut shown = queue.shown();
                if counted {
                    let (visible, held, delayed) = message::counts(tx, &queue, now)?;
                    let counts = COUNTS.iter().zip([visible, held, delayed]);
                    shown.extend(counts.map(|(name, count)| ((*name).to_owned(), count.to_string())));
                }
                Ok::<_, Error>(shown)
            })
            .await?;
        self.metrics.used(&used);
        if !all {
            let unknown = names.iter().find(|name| {
                !shown.contains_key(*name) && !OPTIONAL.contains(&name.as_str()) && *name != "FifoThroughputLimit"
            });
            if let Some(name) = unknown {
                return Err(error::invalid_attribute_name(format!("Unknown Attribute {name}.")));
            }
            shown.retain(|name, _| names.contains(name));
        }
        Ok(GetQueueAttributesResult { attributes: (!shown.is_empty()).then_some(shown) })
    }
}

#[async_trait]
impl Handle<SetQueueAttributes> for Sqs {
    async fn handle(&self, cx: &Cx, req: SetQueueAttributesRequest) -> Result<Empty, Error> {
        let place = QueueKey::of_url(cx, &req.queue_url);
        let now = cx.now().as_millisecond();
        let attributes: BTreeMap<String, String> = req.attributes;
        cx.write(&self.store, move |tx| {
            let mut queue = place.queue(tx)?;
            if attributes.get("FifoQueue").is_some_and(|value| Some(value) != queue.attributes.get("FifoQueue")) {
                return Err(error::invalid_attribute_name("Unknown Attribute FifoQueue."));
            }
            queue.set(&attributes)?;
            if attributes.contains_key("RedrivePolicy") {
                queue.check_redrive(tx)?;
            }
            queue.modified_ms = now;
            queue.save(tx)
        })
        .await?;
        Ok(Empty {})
    }
}
