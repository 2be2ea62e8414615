//! AWS::CDK::Metadata: what CDK notes of the constructs that a stack was made with. It stands for nothing.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated};
use crate::Result;

pub(super) struct Metadata;

#[async_trait]
impl Kind for Metadata {
    async fn create(&self, at: &Context, _: &Value) -> Result<Made> {
        Ok(Made::new(at.name(&Value::Null, "", 128), json!({})))
    }

    async fn update(&self, _: &Context, made: &Made, _: &Value, _: &Value) -> Result<Updated> {
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, _: &Context, _: &Made, _: &Value) -> Result<()> {
        Ok(())
    }
}
