//! `Custom::*` and AWS::CloudFormation::CustomResource: a function, or whoever hears a topic, makes, changes and deletes it, and answers
//! by a link. Ref is the id that it gives; GetAtt what its data has.
//! Sources: CloudFormation User Guide, "Create custom provisioning logic with custom resources"; Template Reference, "Custom resource
//! request objects", "Custom resource response objects".

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{Context, Kind, Made, Updated, required_text, text};
use crate::Result;
use crate::answers::MAX_ANSWER;
use crate::template::validation;

pub(super) struct CustomResource;

/// How often the link is looked at.
const EVERY: Duration = Duration::from_millis(100);
/// Seconds until an answer is waited for no more, where the template does not say. Source: the property `ServiceTimeout`.
const TIMEOUT: i64 = 3600;

pub(super) const NAME: &str = "AWS::CloudFormation::CustomResource";

/// Is it a type of this kind?
pub(super) fn is_custom(kind: &str) -> bool {
    kind == NAME || kind.strip_prefix("Custom::").is_some_and(|name| !name.is_empty())
}

#[async_trait]
impl Kind for CustomResource {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        // Whatever of it there may be is deleted by the id that a failed answer gives, else by this one.
        at.begun(&Made::new(at.name(&Value::Null, "", 128), json!({})));
        let answer = ask(at, "Create", None, (properties, None)).await?;
        answer.made.as_ref().into_iter().for_each(|made| at.begun(made));
        answer.outcome()
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        if old.get("ServiceToken") != new.get("ServiceToken") {
            // Source: the property `ServiceToken`: "Updates aren't supported".
            return Err(validation("Modifying service token is not allowed."));
        }
        Ok(Updated::InPlace(ask(at, "Update", Some(made), (new, Some(old))).await?.outcome()?))
    }

    async fn delete(&self, at: &Context, made: &Made, properties: &Value) -> Result<()> {
        ask(at, "Delete", Some(made), (properties, None)).await?.outcome().map(drop)
    }
}

/// What was answered.
struct Answer {
    /// The reason where it failed.
    failed: Option<String>,
    /// What there is, where the answer says so.
    made: Option<Made>,
}

impl Answer {
    fn outcome(self) -> Result<Made> {
        match (self.failed, self.made) {
            (Some(reason), _) => Err(validation(format!(
                "Received response status [FAILED] from custom resource. Message returned: {reason}"
            ))),
            (None, Some(made)) => Ok(made),
            (None, None) => Err(validation("Vendor response doesn't contain PhysicalResourceId key.")),
        }
    }
}

async fn ask(
    at: &Context,
    what: &str,
    was: Option<&Made>,
    (properties, old): (&Value, Option<&Value>),
) -> Result<Answer> {
    let token = required_text(properties, "ServiceToken")?;
    let timeout = match properties.get("ServiceTimeout") {
        None => TIMEOUT,
        Some(given) => text(given)
            .parse()
            .ok()
            .filter(|seconds| (1..=TIMEOUT).contains(seconds))
            .ok_or_else(|| validation(format!("ServiceTimeout must be an integer between 1 and {TIMEOUT}.")))?,
    };
    let link = at.answers.open(&at.cx, true).await?;
    let request_id = link[..32].to_owned();
    let mut request = json!({
        "RequestType": what,
        "ServiceToken": token,
        "ResponseURL": at.answers.url(&link),
        "StackId": at.stack_id,
        "RequestId": request_id,
        "LogicalResourceId": at.logical_id,
        "ResourceType": at.kind,
        "ResourceProperties": texts(properties),
    });
    if let Some(was) = was {
        request["PhysicalResourceId"] = was.physical_id.as_str().into();
    }
    if let Some(old) = old {
        request["OldResourceProperties"] = texts(old);
    }
    send(at, &token, &request).await?;
    at.touch();
    // The link stays: should the server stop before the answer is noted, this is done again, and reads the same one.
    let answer = heard(at, &link, timeout).await?;
    read(at, &answer, &request_id, was)
}

async fn send(at: &Context, token: &str, request: &Value) -> Result<()> {
    let service = token.split(':').nth(2).unwrap_or_default();
    let sent = match service {
        "lambda" => {
            let input = json!({ "FunctionName": token, "InvocationType": "Event", "Payload": request });
            at.cx.call_json("lambda", "invoke", input).await
        }
        "sns" => {
            let input = json!({ "TopicArn": token, "Subject": "AWS CloudFormation custom resource request", "Message": request.to_string() });
            at.cx.call_json("sns", "publish", input).await
        }
        _ => {
            return Err(validation(format!(
                "Invalid service token {token}: it must be the ARN of a function or a topic."
            )));
        }
    };
    // That the function is gone does not say that the resource is.
    sent.map(drop).map_err(|error| match error.status() {
        500.. => error,
        _ => validation(format!("{} (Status Code: {}; Error Code: {})", error.message(), error.status(), error.code())),
    })
}

/// The first answer.
async fn heard(at: &Context, link: &str, timeout_seconds: i64) -> Result<String> {
    let cx = &at.cx;
    loop {
        let found = at.answers.link(link).await?;
        if let Some(answer) = found.answers.into_iter().next() {
            return Ok(answer);
        }
        if cx.now().as_millisecond() - found.made_ms > timeout_seconds * 1000 {
            return Err(validation(format!(
                "CloudFormation did not receive a response from your Custom Resource. Please check your logs for requestId [{}]. If you \
                 are using the Python cfn-response module, you may need to update your Lambda function code so that CloudFormation can \
                 attach the updated version.",
                &link[..32]
            )));
        }
        at.in_time()?;
        cx.router().clock().sleep(EVERY).await;
    }
}

fn read(at: &Context, answer: &str, request_id: &str, was: Option<&Made>) -> Result<Answer> {
    if answer.len() > MAX_ANSWER {
        return Err(validation("Response object is too long."));
    }
    let invalid = |what: &str| validation(format!("Invalid response object: {what}"));
    let answer: Value =
        serde_json::from_str(answer).map_err(|error| invalid(&format!("Value of property is not JSON: {error}")))?;
    for (name, expected) in
        [("StackId", at.stack_id.as_str()), ("RequestId", request_id), ("LogicalResourceId", at.logical_id.as_str())]
    {
        if answer[name] != expected {
            return Err(invalid(&format!("Value of property {name} must be {expected}")));
        }
    }
    let id = answer["PhysicalResourceId"].as_str().map(str::to_owned).filter(|id| !id.is_empty());
    let id = id.or_else(|| was.map(|was| was.physical_id.clone()));
    if id.as_ref().is_some_and(|id| id.len() > 1024) {
        return Err(invalid("PhysicalResourceId is longer than 1024"));
    }
    let data = match &answer["Data"] {
        Value::Null => json!({}),
        Value::Object(data) => Value::Object(data.clone()),
        _ => return Err(invalid("Value of property Data must be an object")),
    };
    let failed = match answer["Status"].as_str() {
        Some("SUCCESS") => None,
        Some("FAILED") => match answer["Reason"].as_str() {
            Some(reason) => Some(format!("{reason} (RequestId: {request_id})")),
            None => return Err(invalid("Value of property Reason must be a text")),
        },
        _ => return Err(invalid("Value of property Status must be SUCCESS or FAILED")),
    };
    Ok(Answer { failed, made: id.map(|id| Made::new(id, data)) })
}

/// Scalars as texts, as CloudFormation sends them.
fn texts(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(map.iter().map(|(k, v)| (k.clone(), texts(v))).collect::<Map<_, _>>()),
        Value::Array(items) => items.iter().map(texts).collect(),
        Value::Bool(_) | Value::Number(_) => Value::String(text(value)),
        other => other.clone(),
    }
}
