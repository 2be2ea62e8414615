//! DescribeActivity.

use api_states::{DescribeActivity, DescribeActivityInput, DescribeActivityOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::activity::ActivityArn;
use crate::{States, owned_key};

#[async_trait]
impl Handle<DescribeActivity> for States {
    async fn handle(&self, _: &Cx, input: DescribeActivityInput) -> Result<DescribeActivityOutput, Error> {
        let arn = ActivityArn::parse(&input.activity_arn)?;
        let activity = self.store.read(|tx| arn.find(tx)).await?;
        Ok(DescribeActivityOutput {
            activity_arn: activity.arn,
            name: activity.name,
            creation_date: wire::Timestamp::from_millis(activity.created_ms),
            encryption_configuration: Some(activity.encryption.unwrap_or_else(owned_key)),
        })
    }
}
