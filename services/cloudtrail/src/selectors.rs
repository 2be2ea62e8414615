//! Which events a trail wants. Sources: CloudTrail API Reference, EventSelector, DataResource, AdvancedFieldSelector.

use api_cloudtrail::{AdvancedEventSelector, AdvancedFieldSelector, EventSelector, error};
use wire::Error;

use crate::event::Event;
use crate::trail::Trail;

impl Trail {
    pub(crate) fn wants(&self, event: &Event) -> bool {
        let here = self.multi_region || self.home == event.region || (event.global && self.global);
        if !self.logging || !here || (event.global && !self.global) {
            return false;
        }
        if !self.advanced.is_empty() {
            return self
                .advanced
                .iter()
                .any(|selector| selector.field_selectors.iter().all(|field| holds(field, event)));
        }
        self.selectors.iter().any(|selector| selected(selector, event))
    }
}

fn selected(selector: &EventSelector, event: &Event) -> bool {
    let kind = match selector.read_write_type.as_deref() {
        Some("ReadOnly") => event.read_only,
        Some("WriteOnly") => !event.read_only,
        _ => true,
    };
    let wanted = match event.data {
        None => {
            let excluded = selector.exclude_management_event_sources.as_deref().unwrap_or_default();
            selector.include_management_events != Some(false) && !excluded.contains(&event.source)
        }
        Some(kind) => {
            selector.data_resources.iter().flatten().filter(|of| of.r#type.as_deref() == Some(kind)).any(|of| {
                // A value is the beginning of an ARN: of a bucket, a folder, or of all.
                let begins = |arn: &String| of.values.iter().flatten().any(|value| arn.starts_with(value.as_str()));
                event.resources.iter().any(begins)
            })
        }
    };
    kind && wanted
}

fn holds(field: &AdvancedFieldSelector, event: &Event) -> bool {
    let category = if event.data.is_some() { "Data" } else { "Management" };
    let own: Vec<&str> = match field.field.as_str() {
        "eventCategory" => vec![category],
        "readOnly" => vec![if event.read_only { "true" } else { "false" }],
        "eventName" => vec![&event.name],
        "eventSource" => vec![&event.source],
        "eventType" => vec!["AwsApiCall"],
        "resources.type" => event.data.into_iter().collect(),
        "resources.ARN" => event.resources.iter().map(String::as_str).collect(),
        "userIdentity.arn" => vec![&event.principal],
        _ => Vec::new(),
    };
    let any = |given: &Option<Vec<String>>, is: fn(&str, &str) -> bool| {
        given.as_ref().is_none_or(|all| own.iter().any(|own| all.iter().any(|one| is(own, one))))
    };
    let none = |given: &Option<Vec<String>>, is: fn(&str, &str) -> bool| {
        given.as_ref().is_none_or(|all| !own.iter().any(|own| all.iter().any(|one| is(own, one))))
    };
    let equals: fn(&str, &str) -> bool = |own, one| own == one;
    let starts: fn(&str, &str) -> bool = |own, one| own.starts_with(one);
    let ends: fn(&str, &str) -> bool = |own, one| own.ends_with(one);
    any(&field.equals, equals)
        && any(&field.starts_with, starts)
        && any(&field.ends_with, ends)
        && none(&field.not_equals, equals)
        && none(&field.not_starts_with, starts)
        && none(&field.not_ends_with, ends)
}

const FIELDS: [&str; 8] = [
    "eventCategory",
    "eventName",
    "eventSource",
    "eventType",
    "readOnly",
    "resources.ARN",
    "resources.type",
    "userIdentity.arn",
];
/// The types that basic selectors know.
const TYPES: [&str; 3] = ["AWS::DynamoDB::Table", "AWS::Lambda::Function", "AWS::S3::Object"];

/// Fails for selectors that would never be obeyed.
pub(crate) fn check(basic: &[EventSelector], advanced: &[AdvancedEventSelector]) -> Result<(), Error> {
    let invalid = |text: String| Err(error::invalid_event_selectors_exception(text));
    if basic.len() > 5 {
        return invalid("A trail can have up to 5 event selectors.".to_owned());
    }
    for of in basic.iter().filter_map(|selector| selector.data_resources.as_ref()).flatten() {
        let kind = of.r#type.as_deref().unwrap_or_default();
        if !TYPES.contains(&kind) {
            return invalid(format!("The data resource type {kind} is none of {}.", TYPES.join(", ")));
        }
        if of.values.as_ref().is_none_or(Vec::is_empty) {
            return invalid(format!("The data resource type {kind} needs values."));
        }
    }
    for selector in advanced {
        let category = selector.field_selectors.iter().find(|field| field.field == "eventCategory");
        match category.and_then(|field| field.equals.as_deref()) {
            Some([one]) if one == "Data" || one == "Management" => {}
            Some([other]) => return Err(Error::not_implemented(format!("events of the category {other}"))),
            _ => return invalid("eventCategory must be a field selector of each advanced event selector.".to_owned()),
        }
        for field in &selector.field_selectors {
            if !FIELDS.contains(&field.field.as_str()) {
                return Err(Error::not_implemented(format!("the field {} in an advanced event selector", field.field)));
            }
            let given = [
                &field.equals,
                &field.starts_with,
                &field.ends_with,
                &field.not_equals,
                &field.not_starts_with,
                &field.not_ends_with,
            ];
            if given.iter().all(|values| values.as_ref().is_none_or(Vec::is_empty)) {
                return invalid(format!("The field {} needs an operator with values.", field.field));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;

    fn event(name: &str, read_only: bool, data: Option<(&'static str, &str)>) -> Event {
        Event {
            id: String::new(),
            at_ms: 0,
            source: "s3.amazonaws.com".to_owned(),
            name: name.to_owned(),
            region: "r".to_owned(),
            global: false,
            read_only,
            data: data.map(|(kind, _)| kind),
            resources: data.map(|(_, arn)| arn.to_owned()).into_iter().collect(),
            principal: "arn:aws:iam::0:user/u".to_owned(),
            record: Value::Null,
        }
    }

    fn wants(basic: Value, advanced: Value, event: &Event) -> bool {
        let trail = Trail {
            version: 1,
            account: "0".to_owned(),
            home: "r".to_owned(),
            name: "t".to_owned(),
            bucket: "b".to_owned(),
            prefix: None,
            global: true,
            multi_region: false,
            selectors: serde_json::from_value(basic).unwrap(),
            advanced: serde_json::from_value(advanced).unwrap(),
            tags: BTreeMap::new(),
            logging: true,
            started_ms: None,
            stopped_ms: None,
        };
        trail.wants(event)
    }

    #[test]
    fn basic() {
        let make = event("CreateBucket", false, None);
        let get = event("GetObject", true, Some(("AWS::S3::Object", "arn:aws:s3:::lake/raw/1")));
        for (selector, management, data) in [
            (json!({"ReadWriteType": "All", "IncludeManagementEvents": true}), true, false),
            (json!({"ReadWriteType": "ReadOnly"}), false, false),
            (json!({"IncludeManagementEvents": false}), false, false),
            (json!({"ExcludeManagementEventSources": ["s3.amazonaws.com"]}), false, false),
            (json!({"DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::lake/"]}]}), true, true),
            (
                json!({"DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}], "ReadWriteType": "WriteOnly"}),
                true,
                false,
            ),
            (
                json!({"DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::lake/clean/"]}]}),
                true,
                false,
            ),
            (json!({"DataResources": [{"Type": "AWS::Lambda::Function", "Values": ["arn:aws:lambda"]}]}), true, false),
        ] {
            assert_eq!(wants(json!([selector]), json!([]), &make), management, "{selector}");
            assert_eq!(wants(json!([selector]), json!([]), &get), data, "{selector}");
        }
        assert!(!wants(json!([]), json!([]), &make));
        let elsewhere = Event { region: "other".to_owned(), ..event("CreateBucket", false, None) };
        assert!(!wants(json!([{}]), json!([]), &elsewhere));
    }

    #[test]
    fn advanced() {
        let get = event("GetObject", true, Some(("AWS::S3::Object", "arn:aws:s3:::lake/raw/1")));
        let field = |name: &str, operator: &str, values: &[&str]| json!({"Field": name, operator: values});
        let data = field("eventCategory", "Equals", &["Data"]);
        for (fields, wanted) in [
            (vec![data.clone()], true),
            (vec![field("eventCategory", "Equals", &["Management"])], false),
            (vec![data.clone(), field("resources.ARN", "StartsWith", &["arn:aws:s3:::lake/raw/"])], true),
            (vec![data.clone(), field("resources.ARN", "NotStartsWith", &["arn:aws:s3:::lake/raw/"])], false),
            (vec![data.clone(), field("eventName", "NotEquals", &["PutObject"])], true),
            (vec![data.clone(), field("readOnly", "Equals", &["false"])], false),
            (vec![data.clone(), field("resources.type", "Equals", &["AWS::S3::Object"])], true),
            (vec![data, field("userIdentity.arn", "EndsWith", &["user/u"])], true),
        ] {
            assert_eq!(wants(json!([]), json!([{"FieldSelectors": fields}]), &get), wanted, "{fields:?}");
        }
    }
}
