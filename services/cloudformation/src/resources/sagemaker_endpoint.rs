//! AWS::SageMaker::Endpoint: made, and changed, when its models answer.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, simple, text};
use crate::Result;
use crate::template::validation;

const EVERY: Duration = Duration::from_millis(200);

pub(super) struct Endpoint;

#[async_trait]
impl Kind for Endpoint {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        let made = by_operations()?.create(at, properties).await?;
        at.begun(&made);
        settled(at, &made, None).await?;
        Ok(made)
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        let updated = by_operations()?.update(at, made, old, new).await?;
        if let Updated::InPlace(made) = &updated {
            settled(at, made, new.get("EndpointConfigName").map(text)).await?;
        }
        Ok(updated)
    }

    async fn delete(&self, at: &Context, made: &Made, properties: &Value) -> Result<()> {
        by_operations()?.delete(at, made, properties).await
    }
}

fn by_operations() -> Result<&'static dyn Kind> {
    simple::find("AWS::SageMaker::Endpoint").ok_or_else(|| wire::Error::internal("the table lacks endpoints"))
}

/// Waits until it is in service, with the configuration that it was changed to.
async fn settled(at: &Context, made: &Made, config: Option<String>) -> Result<()> {
    // Looking is no step that is to be remembered.
    let cx = service::Cx::platform(at.cx.router(), at.cx.account(), at.cx.region());
    let name = made.attribute("EndpointName");
    loop {
        let endpoint = cx.call_json("sagemaker", "describeEndpoint", json!({ "EndpointName": name })).await?;
        let status = text(&endpoint["EndpointStatus"]);
        if status == "Creating" || status == "Updating" {
            cx.router().clock().sleep(EVERY).await;
            continue;
        }
        let is_wanted = config.is_none_or(|config| endpoint["EndpointConfigName"] == config.as_str());
        if status == "InService" && is_wanted {
            return Ok(());
        }
        let reason = text(&endpoint["FailureReason"]);
        return Err(validation(format!("Endpoint {name} did not stabilize ({status}): {reason}")));
    }
}
