//! AWS::CloudFormation::Stack: a stack within a stack. Ref is its id; `Outputs.NAME` are its outputs.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use wire::Error;

use super::{Context, Kind, Made, Updated, only, pairs, pick, required, text};
use crate::template::validation;
use crate::{Result, stacks};

pub(super) struct Stack;

const MEMBERS: [&str; 5] = ["NotificationARNs", "Parameters", "Tags", "TemplateURL", "TimeoutInMinutes"];
/// How often a stack within is looked at.
const EVERY: Duration = Duration::from_millis(200);

#[async_trait]
impl Kind for Stack {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let mut input = input(at, properties)?;
        input.extend(pick(properties, &["TimeoutInMinutes"]));
        input.insert("StackName".to_owned(), at.name(&Value::Null, "", 128).into());
        // What fails is taken back with the stack around it.
        input.insert("DisableRollback".to_owned(), false.into());
        let output = at.call("cloudformation", "CreateStack", input.into()).await?;
        let id = text(&output["StackId"]);
        at.begun(&Made::new(id.clone(), json!({})));
        let ended = settled(at, &id).await?;
        match text(&ended["StackStatus"]).as_str() {
            "CREATE_COMPLETE" => Ok(made(&id, &ended)),
            _ => Err(failed(&id, "created", &ended)),
        }
    }

    /// Whatever the properties are, the template that lies at the URL may be another: the stack itself finds out.
    async fn update(&self, at: &Context, was: &Made, _: &Value, new: &Value) -> Result<Updated> {
        only(new, &MEMBERS)?;
        let id = &was.physical_id;
        let mut input = input(at, new)?;
        input.insert("StackName".to_owned(), id.clone().into());
        if at.going_back {
            // By now another template may lie at the URL.
            input.remove("TemplateURL");
            match previous(at, id).await? {
                Some(template) => input.insert("TemplateBody".to_owned(), template.into()),
                None => input.insert("UsePreviousTemplate".to_owned(), true.into()),
            };
        }
        match at.call("cloudformation", "UpdateStack", input.into()).await {
            Err(error) if error.message() == "No updates are to be performed." => {
                return Ok(Updated::InPlace(was.clone()));
            }
            answer => drop(answer?),
        }
        let ended = settled(at, id).await?;
        match text(&ended["StackStatus"]).as_str() {
            "UPDATE_COMPLETE" => Ok(Updated::InPlace(made(id, &ended))),
            _ => Err(failed(id, "updated", &ended)),
        }
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        let id = &made.physical_id;
        at.call_if_there("cloudformation", "DeleteStack", json!({ "StackName": id })).await?;
        let ended = settled(at, id).await?;
        match text(&ended["StackStatus"]).as_str() {
            "DELETE_COMPLETE" => Ok(()),
            _ => Err(failed(id, "deleted", &ended)),
        }
    }
}

/// What the stack was made of before its last update, where that came to its end.
async fn previous(at: &Context, id: &str) -> Result<Option<String>> {
    let home = (at.cx.account().to_owned(), at.cx.region().to_owned());
    let stack = at.store.read(|tx| stacks::find(tx, (&home.0, &home.1), id)).await?;
    Ok(stack.and_then(|stack| stack.previous))
}

fn input(at: &Context, properties: &Value) -> Result<Map<String, Value>> {
    let mut input = pick(properties, &["NotificationARNs"]);
    input.insert("TemplateURL".to_owned(), required(properties, "TemplateURL")?.clone());
    let parameters = properties["Parameters"].as_object().into_iter().flatten().map(|(key, value)| {
        let value = match value {
            // A list of a parameter that is one.
            Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
            other => text(other),
        };
        json!({ "ParameterKey": key, "ParameterValue": value })
    });
    input.insert("Parameters".to_owned(), parameters.collect());
    let mut tags = at.tags.clone();
    tags.extend(pairs(properties.get("Tags")));
    let tags = super::unique(tags).into_iter().map(|(key, value)| json!({ "Key": key, "Value": value }));
    input.insert("Tags".to_owned(), tags.collect());
    let capabilities = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"];
    let given: Vec<&str> =
        capabilities.into_iter().filter(|name| at.capabilities.iter().any(|own| own == name)).collect();
    input.insert("Capabilities".to_owned(), json!(given));
    Ok(input)
}

/// The stack when nothing is under way with it any more.
async fn settled(at: &Context, id: &str) -> Result<Value> {
    // Looking is no step that is to be remembered.
    let cx = service::Cx::platform(at.cx.router(), at.cx.account(), at.cx.region());
    loop {
        let output = cx.call_json("cloudformation", "describeStacks", json!({ "StackName": id })).await?;
        let stack = output["Stacks"][0].clone();
        if !text(&stack["StackStatus"]).ends_with("_IN_PROGRESS") {
            return Ok(stack);
        }
        at.in_time()?;
        cx.router().clock().sleep(EVERY).await;
    }
}

fn made(id: &str, stack: &Value) -> Made {
    let outputs = stack["Outputs"].as_array().into_iter().flatten();
    let attributes: Map<String, Value> = outputs
        .map(|output| (format!("Outputs.{}", text(&output["OutputKey"])), output["OutputValue"].clone()))
        .collect();
    Made::new(id, attributes.into())
}

fn failed(id: &str, what: &str, stack: &Value) -> Error {
    let reason = text(&stack["StackStatusReason"]);
    validation(format!("Embedded stack {id} was not successfully {what}: {reason}"))
}
