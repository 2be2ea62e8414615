//! AWS::StepFunctions::StateMachineAlias: Ref and Arn are its ARN. Of deployment preferences only the one that shifts all at once.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::states_state_machine::lower;
use super::{Context, Kind, Made, Updated, differ, only, required_text, text};
use crate::Result;
use crate::template::validation;

pub(super) struct StateMachineAlias;

const MEMBERS: [&str; 4] = ["DeploymentPreference", "Description", "Name", "RoutingConfiguration"];

#[async_trait]
impl Kind for StateMachineAlias {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let mut input = json!({
            "name": at.name(properties, "Name", 80),
            "routingConfiguration": routing(properties)?,
        });
        if let Some(description) = properties.get("Description") {
            input["description"] = description.clone();
        }
        let output = at.call("states", "CreateStateMachineAlias", input).await?;
        let arn = text(&output["StateMachineAliasArn"]);
        Ok(Made::new(arn.clone(), json!({ "Arn": arn })))
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &MEMBERS)?;
        let routing = routing(new)?;
        if differ(old, new, &["Name"]) {
            return Ok(Updated::Replace);
        }
        let mut input = json!({ "stateMachineAliasArn": made.physical_id, "routingConfiguration": routing });
        if differ(old, new, &["Description"]) {
            input["description"] = new.get("Description").map(text).unwrap_or_default().into();
        }
        at.call("states", "UpdateStateMachineAlias", input).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        let input = json!({ "stateMachineAliasArn": made.physical_id });
        at.call_if_there("states", "DeleteStateMachineAlias", input).await
    }
}

/// Where the alias leads: as its routes say, or all to the version that is to be deployed.
fn routing(properties: &Value) -> Result<Value> {
    match (properties.get("RoutingConfiguration"), properties.get("DeploymentPreference")) {
        (Some(routes), None) => Ok(lower(routes)),
        (None, Some(preference)) => {
            let kind = required_text(preference, "Type")?;
            if kind != "ALL_AT_ONCE" {
                return Err(validation(format!(
                    "DeploymentPreference of type {kind} is not supported: Lakerun shifts traffic ALL_AT_ONCE"
                )));
            }
            let version = required_text(preference, "StateMachineVersionArn")?;
            Ok(json!([{ "stateMachineVersionArn": version, "weight": 100 }]))
        }
        _ => Err(validation("Exactly one of RoutingConfiguration and DeploymentPreference must be specified")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::routing;

    #[test]
    fn an_alias_leads_where_one_of_two_properties_says() {
        let route = json!([{"StateMachineVersionArn": "v", "Weight": 100}]);
        let want = json!([{"stateMachineVersionArn": "v", "weight": 100}]);
        assert_eq!(routing(&json!({"RoutingConfiguration": route})).unwrap(), want);
        let preference = |kind: &str| json!({"Type": kind, "StateMachineVersionArn": "v"});
        assert_eq!(routing(&json!({"DeploymentPreference": preference("ALL_AT_ONCE")})).unwrap(), want);
        for bad in [
            json!({}),
            json!({"DeploymentPreference": preference("LINEAR")}),
            json!({"RoutingConfiguration": route, "DeploymentPreference": preference("ALL_AT_ONCE")}),
        ] {
            assert_eq!(routing(&bad).unwrap_err().code(), "ValidationError", "{bad}");
        }
    }
}
