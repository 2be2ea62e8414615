//! DeleteTopic: the topic and its subscriptions; one that is not there is no error.

use api_sns::{DeleteTopic, DeleteTopicInput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use crate::sns::topic::{Removed, Subscription, Topic};
use crate::sns::{Sns, lapse};

#[async_trait]
impl Handle<DeleteTopic> for Sns {
    async fn handle(&self, cx: &Cx, req: DeleteTopicInput) -> Result<Empty, Error> {
        cx.write(&self.store, move |tx| {
            let key = Topic::key(&req.topic_arn)?;
            if let Some(topic) = tx.get_json::<Topic>(&key)? {
                lapse::clear(tx, &topic)?;
            }
            tx.delete(key)?;
            for of in [Subscription::of_topic(&req.topic_arn)?, Removed::of_topic(&req.topic_arn)?] {
                for (key, _) in tx.scan_prefix(of, usize::MAX)? {
                    tx.delete(key)?;
                }
            }
            Ok::<_, Error>(())
        })
        .await?;
        Ok(Empty {})
    }
}
