//! AWS::SageMaker::Model: Ref is its ARN; ModelName. Models do not change.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, only, pick};
use crate::Result;

pub(super) struct Model;

const MEMBERS: [&str; 8] = [
    "Containers",
    "EnableNetworkIsolation",
    "ExecutionRoleArn",
    "InferenceExecutionConfig",
    "ModelName",
    "PrimaryContainer",
    "Tags",
    "VpcConfig",
];

#[async_trait]
impl Kind for Model {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let name = at.name(properties, "ModelName", 63);
        let mut input = pick(properties, &MEMBERS);
        input.insert("ModelName".to_owned(), name.clone().into());
        input.insert("Tags".to_owned(), at.tag_list(properties));
        let output = at.call("sagemaker", "CreateModel", input.into()).await?;
        let arn = super::text(&output["ModelArn"]);
        Ok(Made::new(arn, json!({ "ModelName": name })))
    }

    async fn update(&self, _: &Context, _: &Made, _: &Value, _: &Value) -> Result<Updated> {
        Ok(Updated::Replace)
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("sagemaker", "DeleteModel", json!({ "ModelName": made.attribute("ModelName") })).await
    }
}
