//! AWS::SQS::QueuePolicy: the policy of queues.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, document, only, required, text};
use crate::Result;

pub(super) struct QueuePolicy;

#[async_trait]
impl Kind for QueuePolicy {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        let id = at.name(&Value::Null, "", 128);
        put(at, properties, Some(&id)).await?;
        Ok(Made::new(id.clone(), json!({ "Id": id })))
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        put(at, new, None).await?;
        for queue in queues(old).into_iter().filter(|q| !queues(new).contains(q)) {
            clear(at, &queue).await?;
        }
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, properties: &Value) -> Result<()> {
        let has_it = if made.attributes.get("Queues").is_some() { &made.attributes } else { properties };
        for queue in queues(has_it) {
            clear(at, &queue).await?;
        }
        Ok(())
    }
}

/// With an id, of one that is being made: where a later queue fails, those before have it.
async fn put(at: &Context, properties: &Value, id: Option<&str>) -> Result<()> {
    only(properties, &["PolicyDocument", "Queues"])?;
    let policy = document(required(properties, "PolicyDocument")?);
    let mut done = Vec::new();
    for queue in queues(properties) {
        let input = json!({ "QueueUrl": queue, "Attributes": { "Policy": policy } });
        at.call("sqs", "SetQueueAttributes", input).await?;
        done.push(queue);
        if let Some(id) = id {
            at.begun(&Made::new(id, json!({ "Id": id, "Queues": done })));
        }
    }
    Ok(())
}

async fn clear(at: &Context, queue: &str) -> Result<()> {
    let input = json!({ "QueueUrl": queue, "Attributes": { "Policy": "" } });
    at.call_if_there("sqs", "SetQueueAttributes", input).await
}

fn queues(properties: &Value) -> Vec<String> {
    properties["Queues"].as_array().into_iter().flatten().map(text).collect()
}
