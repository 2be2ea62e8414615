//! CreateTopic: makes a topic, or answers the one that is there.

use std::collections::BTreeMap;

use api_sns::{CreateTopic, CreateTopicInput, CreateTopicResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::sns::Sns;
use crate::sns::topic::{Topic, invalid};

#[async_trait]
impl Handle<CreateTopic> for Sns {
    async fn handle(&self, cx: &Cx, req: CreateTopicInput) -> Result<CreateTopicResponse, Error> {
        if req.data_protection_policy.is_some() {
            return Err(Error::not_implemented("CreateTopic: DataProtectionPolicy"));
        }
        let mut topic = Topic {
            version: 1,
            arn: cx.arn("sns", &req.name),
            id: cx.uuid(),
            attributes: BTreeMap::new(),
            tags: req.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect(),
        };
        for (name, value) in req.attributes.unwrap_or_default() {
            topic.set(&name, &value)?;
        }
        let plain = req.name.strip_suffix(".fifo");
        let well_formed =
            plain.unwrap_or(&req.name).bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if req.name.is_empty() || req.name.len() > 256 || !well_formed {
            return Err(invalid("Topic Name"));
        }
        if plain.is_some() != topic.is_on("FifoTopic") {
            return Err(invalid(
                "Fifo Topic names must end with .fifo and must be made up of only uppercase and lowercase ASCII letters, \
                 numbers, underscores, and hyphens, and must be between 1 and 256 characters long.",
            ));
        }
        let arn = cx
            .write(&self.store, move |tx| {
                let key = Topic::key(&topic.arn)?;
                match tx.get_json::<Topic>(&key)? {
                    Some(old)
                        if topic.attributes.iter().any(|(name, value)| old.attributes.get(name) != Some(value)) =>
                    {
                        Err(invalid("Attributes Reason: Topic already exists with different attributes"))
                    }
                    Some(old) if old.tags != topic.tags && !topic.tags.is_empty() => {
                        Err(invalid("Tags Reason: Topic already exists with different tags"))
                    }
                    Some(old) => Ok(old.arn),
                    None => {
                        topic.save(tx)?;
                        Ok(topic.arn.clone())
                    }
                }
            })
            .await?;
        Ok(CreateTopicResponse { topic_arn: Some(arn) })
    }
}
