//! ListTopics.

use api_sns::{ListTopics, ListTopicsInput, ListTopicsResponse, Topic as Shape};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::PAGE;
use crate::sns::Sns;
use crate::sns::topic::Topic;

#[async_trait]
impl Handle<ListTopics> for Sns {
    async fn handle(&self, cx: &Cx, req: ListTopicsInput) -> Result<ListTopicsResponse, Error> {
        let prefix = Topic::topics(cx.account(), cx.region());
        let after = req.next_token.map(|name| prefix.clone().push(name));
        let after = after.as_ref().unwrap_or(&prefix).as_bytes();
        let found = self.store.read(|tx| tx.scan_after(&prefix, after, PAGE + 1)).await.map_err(Error::from)?;
        let mut topics = Vec::new();
        for (key, value) in found.iter().take(PAGE) {
            topics.push(store::kv::decode::<Topic>(key, value)?);
        }
        let next_token = topics.last().filter(|_| found.len() > PAGE).map(|topic| topic.name().to_owned());
        let topics = topics.into_iter().map(|topic| Shape { topic_arn: Some(topic.arn) }).collect();
        Ok(ListTopicsResponse { topics: Some(topics), next_token })
    }
}
