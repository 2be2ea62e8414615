//! AWS::Lambda::Version and AWS::Lambda::Alias, whose environments may be started before anybody calls. Such a resource is made when all of
//! its environments are there. Ref and FunctionArn of a version are its ARN; Version. Ref and AliasArn of an alias are its ARN.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, differ, only, required, simple, text};
use crate::Result;
use crate::template::validation;

/// Between two looks at whether the environments are there.
const EVERY: Duration = Duration::from_millis(500);
const PROPERTY: &str = "ProvisionedConcurrencyConfig";

/// What the table has of the type, with provisioned concurrency.
pub(super) struct Provisioned(pub(super) &'static str);

impl Provisioned {
    fn plain(&self) -> &'static dyn Kind {
        simple::find(self.0).expect("both stand in the table")
    }
}

#[async_trait]
impl Kind for Provisioned {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        check(properties)?;
        let made = self.plain().create(at, &without(properties)).await?;
        at.begun(&made);
        if properties.get(PROPERTY).is_some() {
            provide(at, &made, properties).await?;
        }
        Ok(made)
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        check(new)?;
        let updated = self.plain().update(at, made, &without(old), &without(new)).await?;
        if let Updated::InPlace(made) = &updated
            && differ(old, new, &[PROPERTY])
        {
            match new.get(PROPERTY) {
                Some(_) => provide(at, made, new).await?,
                None => release(at, made, new).await?,
            }
        }
        Ok(updated)
    }

    async fn delete(&self, at: &Context, made: &Made, properties: &Value) -> Result<()> {
        if properties.get(PROPERTY).is_some() {
            release(at, made, properties).await?;
        }
        self.plain().delete(at, made, &without(properties)).await
    }
}

fn check(properties: &Value) -> Result<()> {
    properties.get(PROPERTY).map_or(Ok(()), |config| only(config, &["ProvisionedConcurrentExecutions"]))
}

fn without(properties: &Value) -> Value {
    let mut plain = properties.clone();
    if let Some(plain) = plain.as_object_mut() {
        plain.shift_remove(PROPERTY);
    }
    plain
}

/// The function, and the version or the alias of it.
fn named(made: &Made, properties: &Value) -> Value {
    let qualifier = match made.attribute("Version") {
        "" => text(&properties["Name"]),
        version => version.to_owned(),
    };
    json!({ "FunctionName": properties["FunctionName"], "Qualifier": qualifier })
}

/// Asks for the environments, and waits for them.
async fn provide(at: &Context, made: &Made, properties: &Value) -> Result<()> {
    let named = named(made, properties);
    let mut input = named.clone();
    input["ProvisionedConcurrentExecutions"] =
        required(&properties[PROPERTY], "ProvisionedConcurrentExecutions")?.clone();
    at.call("lambda", "PutProvisionedConcurrencyConfig", input).await?;
    loop {
        let found = at.look("lambda", "getProvisionedConcurrencyConfig", named.clone()).await?;
        match found["Status"].as_str() {
            Some("READY") => return Ok(()),
            Some("FAILED") => {
                let reason = text(&found["StatusReason"]);
                return Err(validation(format!(
                    "Provisioned Concurrency configuration failed to be applied. Reason: {reason}"
                )));
            }
            _ => {}
        }
        at.in_time()?;
        at.cx.router().clock().sleep(EVERY).await;
    }
}

async fn release(at: &Context, made: &Made, properties: &Value) -> Result<()> {
    at.call_if_there("lambda", "DeleteProvisionedConcurrencyConfig", named(made, properties)).await
}
