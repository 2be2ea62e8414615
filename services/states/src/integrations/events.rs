//! `events:putEvents`: entries say which execution sends them; one that is refused fails the task.

use engine::ExecutionArn;
use serde_json::{Value, json};
use wire::arn::Arn;

use super::failure::Failure;
use super::resource::{Resource, Target};

/// Adds the ARNs of the execution and its machine to each entry's resources, as the optimised integration does.
/// Source: Step Functions Developer Guide, "Add EventBridge events with Step Functions".
pub(super) fn signed(resource: &Resource, execution: &ExecutionArn, parameters: &mut Value) {
    if !matches!(&resource.target, Target::Service { service, action, sdk: false } if service == "events" && action == "putEvents")
    {
        return;
    }
    // A child of a Distributed Map names its machine with the Map's label.
    let machine = execution.machine().split('/').next().unwrap_or_default();
    let machine = Arn::new("states", execution.region(), execution.account(), format!("stateMachine:{machine}"));
    let entries = parameters.get_mut("Entries").and_then(Value::as_array_mut);
    for entry in entries.into_iter().flatten().filter_map(Value::as_object_mut) {
        if let Value::Array(resources) = entry.entry("Resources").or_insert_with(|| json!([])) {
            resources.extend([json!(execution.as_str()), json!(machine.to_string())]);
        }
    }
}

pub(super) fn refused(answer: &Value) -> Option<Failure> {
    let failed = answer["FailedEntryCount"].as_u64().is_some_and(|failed| failed > 0);
    failed.then(|| Failure::named("EventBridge.FailedEntry", answer.to_string()))
}

#[cfg(test)]
mod tests {
    use engine::ExecutionArn;
    use serde_json::json;

    use super::signed;
    use crate::integrations::resource::Resource;

    #[test]
    fn entries_say_who_sent_them() {
        let execution = ExecutionArn::standard("000000000000", "us-east-1", "m/Each", "e");
        let mut parameters = json!({ "Entries": [{ "Source": "a" }, { "Source": "b", "Resources": ["r"] }] });
        let untouched = parameters.clone();
        let resource = |arn: &str| Resource::parse(arn).unwrap();
        signed(&resource("arn:aws:states:::aws-sdk:eventbridge:putEvents"), &execution, &mut parameters);
        assert_eq!(parameters, untouched);
        signed(&resource("arn:aws:states:::events:putEvents"), &execution, &mut parameters);
        let own = [
            "arn:aws:states:us-east-1:000000000000:execution:m/Each:e",
            "arn:aws:states:us-east-1:000000000000:stateMachine:m",
        ];
        assert_eq!(parameters["Entries"][0]["Resources"], json!(own));
        assert_eq!(parameters["Entries"][1]["Resources"], json!(["r", own[0], own[1]]));
    }
}
