//! The policies of topics as the Router asks for them. Source: SNS Developer Guide, "Example cases for Amazon SNS access control".

use async_trait::async_trait;
use service::Cx;
use service::authorization::{Guard, ResourcePolicy};
use wire::Error;

use super::Sns;
use super::topic::Topic;

#[async_trait]
impl Guard for Sns {
    async fn policy(&self, _: &Cx, _: &str, resource: &str) -> Result<Option<ResourcePolicy>, Error> {
        let Ok(key) = Topic::key(resource) else { return Ok(None) };
        let topic = self.store.read(|tx| tx.get_json::<Topic>(&key)).await?;
        let policy = topic.as_ref().and_then(|topic| topic.attributes.get("Policy"));
        Ok(policy
            .and_then(|text| serde_json::from_str(text).ok())
            .map(|policy| ResourcePolicy { policy, must_allow: false }))
    }
}
