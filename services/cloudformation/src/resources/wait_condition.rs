//! AWS::CloudFormation::WaitConditionHandle and WaitCondition: a link, and the waiting for signals that are put to it. Ref of a handle is
//! the link. Source: CloudFormation User Guide, "Create wait conditions".

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{Context, Kind, Made, Updated, differ, only, required_text, text};
use crate::Result;
use crate::answers::ANSWERS;
use crate::template::validation;

pub(super) struct Handle;
pub(super) struct WaitCondition;

/// How often the link is looked at.
const EVERY: Duration = Duration::from_millis(200);
/// Source: the property `Timeout`.
const LONGEST: i64 = 43_200;

#[async_trait]
impl Kind for Handle {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &[])?;
        Ok(Made::new(at.answers.url(&at.answers.open(&at.cx, false).await?), json!({})))
    }

    async fn update(&self, _: &Context, made: &Made, _: &Value, _: &Value) -> Result<Updated> {
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        at.answers.close(token(&made.physical_id)).await
    }
}

fn token(url: &str) -> &str {
    url.split_once(ANSWERS).map_or("", |(_, token)| token)
}

#[async_trait]
impl Kind for WaitCondition {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &["Count", "Handle", "Timeout"])?;
        if at.is_signalled && properties.get("Handle").is_none() {
            let id = at.name(&Value::Null, "", 128);
            return Ok(Made::new(id, json!({})));
        }
        let handle = required_text(properties, "Handle")?;
        let whole = |name: &str, default: &str, most: i64| {
            let given = properties.get(name).map_or_else(|| default.to_owned(), text);
            given.parse().ok().filter(|number: &i64| (0..=most).contains(number)).ok_or_else(|| {
                validation(format!("Value of property {name} must be an integer of at most {most}: {given}"))
            })
        };
        let timeout = whole("Timeout", &required_text(properties, "Timeout")?, LONGEST)?;
        let count = usize::try_from(whole("Count", "1", 1000)?).unwrap_or(1);
        let began = at.cx.now().as_millisecond();
        loop {
            let signals = signals(&at.answers.link(token(&handle)).await?.answers)?;
            if signals.len() >= count {
                let data = Value::Object(signals).to_string();
                return Ok(Made::new(handle, json!({ "Data": data })));
            }
            if at.cx.now().as_millisecond() - began > timeout * 1000 {
                return Err(validation(format!(
                    "WaitCondition timed out. Received {} conditions when expecting {count}",
                    signals.len()
                )));
            }
            at.in_time()?;
            at.cx.router().clock().sleep(EVERY).await;
        }
    }

    /// Source: the type's reference: "Updates aren't supported".
    async fn update(&self, _: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        if differ(old, new, &["Count", "Handle", "Timeout"]) {
            return Err(validation("Update to resource type AWS::CloudFormation::WaitCondition is not supported."));
        }
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, _: &Context, _: &Made, _: &Value) -> Result<()> {
        Ok(())
    }
}

/// The data of the signals by their ids; one that failed fails the condition.
fn signals(answers: &[String]) -> Result<Map<String, Value>> {
    let mut found = Map::new();
    for answer in answers {
        let Ok(signal) = serde_json::from_str::<Value>(answer) else { continue };
        match signal["Status"].as_str() {
            Some("SUCCESS") => _ = found.insert(text(&signal["UniqueId"]), signal["Data"].clone()),
            Some("FAILURE") => {
                return Err(validation(format!(
                    "WaitCondition received failed message: '{}' for uniqueId: {}",
                    text(&signal["Reason"]),
                    text(&signal["UniqueId"])
                )));
            }
            _ => {}
        }
    }
    Ok(found)
}
