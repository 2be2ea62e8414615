//! AWS::S3::BucketPolicy: Ref is the bucket's name.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, differ, document, only, required, required_text};
use crate::Result;

pub(super) struct BucketPolicy;

#[async_trait]
impl Kind for BucketPolicy {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &["Bucket", "PolicyDocument"])?;
        let bucket = required_text(properties, "Bucket")?;
        let policy = document(required(properties, "PolicyDocument")?);
        at.call("s3", "PutBucketPolicy", json!({ "Bucket": bucket, "Policy": policy })).await?;
        Ok(Made::new(bucket, json!({})))
    }

    async fn update(&self, at: &Context, _: &Made, old: &Value, new: &Value) -> Result<Updated> {
        if differ(old, new, &["Bucket"]) {
            return Ok(Updated::Replace);
        }
        self.create(at, new).await.map(Updated::InPlace)
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("s3", "DeleteBucketPolicy", json!({ "Bucket": made.physical_id })).await
    }
}
