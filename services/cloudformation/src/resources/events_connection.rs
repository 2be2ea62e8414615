//! AWS::Events::Connection: Ref is its name; Arn, ArnForPolicy (the ARN without its last part), SecretArn.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, defaults, differ, only, pick, text};
use crate::Result;

pub(super) struct Connection;

const MEMBERS: [&str; 6] = [
    "AuthParameters",
    "AuthorizationType",
    "Description",
    "InvocationConnectivityParameters",
    "KmsKeyIdentifier",
    "Name",
];

#[async_trait]
impl Kind for Connection {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let name = at.name(properties, "Name", 64);
        put(at, "CreateConnection", &name, properties).await
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &MEMBERS)?;
        if differ(old, new, &["Name"]) {
            return Ok(Updated::Replace);
        }
        // What an update leaves out stays as it is, also within its parameters.
        let mut given = new.clone();
        for (parent, member) in [
            ("/AuthParameters", "InvocationHttpParameters"),
            ("/AuthParameters/OAuthParameters", "OAuthHttpParameters"),
        ] {
            let had = old.pointer(parent).is_some_and(|parent| parent.get(member).is_some());
            if let Some(Value::Object(parameters)) = given.pointer_mut(parent).filter(|_| had) {
                parameters.entry(member).or_insert_with(|| json!({}));
            }
        }
        if let Value::Object(given) = &mut given {
            defaults::reset(given, "AWS::Events::Connection", old, new);
        }
        put(at, "UpdateConnection", &made.physical_id, &given).await.map(Updated::InPlace)
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("events", "DeleteConnection", json!({ "Name": made.physical_id })).await
    }
}

async fn put(at: &Context, operation: &str, name: &str, properties: &Value) -> Result<Made> {
    let mut input = pick(properties, &MEMBERS);
    input.insert("Name".to_owned(), name.into());
    at.call("events", operation, input.into()).await?;
    let found = at.call("events", "DescribeConnection", json!({ "Name": name })).await?;
    let arn = text(&found["ConnectionArn"]);
    let short = arn.rsplit_once('/').map_or(arn.as_str(), |(short, _)| short);
    Ok(Made::new(name, json!({ "Arn": arn, "ArnForPolicy": short, "SecretArn": found["SecretArn"] })))
}
