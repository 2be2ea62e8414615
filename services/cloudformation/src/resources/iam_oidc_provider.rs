//! AWS::IAM::OIDCProvider: Ref is its ARN; Arn.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, differ, only, text};
use crate::Result;

pub(super) struct OidcProvider;

const MEMBERS: [&str; 4] = ["ClientIdList", "Tags", "ThumbprintList", "Url"];

#[async_trait]
impl Kind for OidcProvider {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let input = json!({
            "Url": properties["Url"], "ClientIDList": texts(properties, "ClientIdList"),
            "ThumbprintList": texts(properties, "ThumbprintList"), "Tags": at.tag_list(properties),
        });
        let output = at.call("iam", "CreateOpenIDConnectProvider", input).await?;
        let arn = text(&output["OpenIDConnectProviderArn"]);
        Ok(Made::new(arn.clone(), json!({ "Arn": arn })))
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &MEMBERS)?;
        if differ(old, new, &["Url"]) {
            return Ok(Updated::Replace);
        }
        let arn = &made.physical_id;
        if differ(old, new, &["ThumbprintList"]) {
            let input = json!({ "OpenIDConnectProviderArn": arn, "ThumbprintList": texts(new, "ThumbprintList") });
            at.call("iam", "UpdateOpenIDConnectProviderThumbprint", input).await?;
        }
        let (before, after) = (texts(old, "ClientIdList"), texts(new, "ClientIdList"));
        for id in before.iter().filter(|id| !after.contains(id)) {
            let input = json!({ "OpenIDConnectProviderArn": arn, "ClientID": id });
            at.call("iam", "RemoveClientIDFromOpenIDConnectProvider", input).await?;
        }
        for id in after.iter().filter(|id| !before.contains(id)) {
            let input = json!({ "OpenIDConnectProviderArn": arn, "ClientID": id });
            at.call("iam", "AddClientIDToOpenIDConnectProvider", input).await?;
        }
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        let input = json!({ "OpenIDConnectProviderArn": made.physical_id });
        at.call_if_there("iam", "DeleteOpenIDConnectProvider", input).await
    }
}

fn texts(properties: &Value, member: &str) -> Vec<String> {
    properties[member].as_array().into_iter().flatten().map(text).collect()
}
