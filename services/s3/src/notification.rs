//! What is taken as a bucket's notification configuration. Source: API reference, PutBucketNotificationConfiguration; S3 User Guide,
//! "Configuring event notifications using object key name filtering" (overlapping filters).

use s3s::dto::{Event, FilterRule, NotificationConfiguration, NotificationConfigurationFilter};
use serde_json::json;
use service::Cx;
use wire::Error;
use wire::arn::Arn;

use crate::S3;
use crate::errors::{Result, invalid_argument};
use crate::events::NAMES;

/// One configuration, whichever destination it has.
struct One<'a> {
    id: &'a mut Option<String>,
    arn: &'a str,
    service: &'static str,
    events: &'a [Event],
    filter: &'a mut Option<NotificationConfigurationFilter>,
}

/// Checks it, and gives each configuration an id.
pub(crate) fn check(mut config: NotificationConfiguration, chance: &str) -> Result<NotificationConfiguration> {
    let mut seen: Vec<(String, String, Vec<String>)> = Vec::new();
    let mut ids: Vec<String> = Vec::new();
    for (n, one) in all(&mut config).into_iter().enumerate() {
        let arn = Arn::parse(one.arn).filter(|a| a.service == one.service);
        if arn.is_none() {
            return Err(invalid_argument("The ARN could not be parsed")
                .with("ArgumentName", one.service)
                .with("ArgumentValue", one.arn));
        }
        if one.events.is_empty() {
            return Err(crate::errors::malformed_xml());
        }
        for event in one.events {
            if !NAMES.contains(&event.as_ref()) {
                let text = "The event is not supported for notifications";
                return Err(invalid_argument(text).with("ArgumentName", "Event").with("ArgumentValue", event.as_ref()));
            }
        }
        let (prefix, suffix) = affixes(one.filter)?;
        let events: Vec<String> = one.events.iter().map(|e| e.as_ref().to_owned()).collect();
        for (other_prefix, other_suffix, others) in &seen {
            let keys = (prefix.starts_with(other_prefix.as_str()) || other_prefix.starts_with(&prefix))
                && (suffix.ends_with(other_suffix.as_str()) || other_suffix.ends_with(&suffix));
            if keys && events.iter().any(|a| others.iter().any(|b| overlap(a, b))) {
                return Err(invalid_argument(
                    "Configurations overlap. Configurations on the same bucket cannot share a common event type.",
                ));
            }
        }
        seen.push((prefix, suffix, events));
        let id = match one.id.clone().filter(|id| !id.is_empty()) {
            Some(id) if id.len() > 255 => return Err(invalid_argument("The ID must be at most 255 characters long")),
            Some(id) => id,
            None => format!("{n:02x}{chance}"),
        };
        if ids.contains(&id) {
            return Err(invalid_argument("Same ID used for multiple configurations. IDs must be unique"));
        }
        ids.push(id.clone());
        *one.id = Some(id);
    }
    Ok(config)
}

fn all(config: &mut NotificationConfiguration) -> Vec<One<'_>> {
    let mut all = Vec::new();
    for c in config.queue_configurations.iter_mut().flatten() {
        let (id, filter) = (&mut c.id, &mut c.filter);
        all.push(One { id, arn: &c.queue_arn, service: "sqs", events: &c.events, filter });
    }
    for c in config.topic_configurations.iter_mut().flatten() {
        let (id, filter) = (&mut c.id, &mut c.filter);
        all.push(One { id, arn: &c.topic_arn, service: "sns", events: &c.events, filter });
    }
    for c in config.lambda_function_configurations.iter_mut().flatten() {
        let (id, filter) = (&mut c.id, &mut c.filter);
        all.push(One { id, arn: &c.lambda_function_arn, service: "lambda", events: &c.events, filter });
    }
    all
}

/// The prefix and the suffix of a filter: at most one of each.
fn affixes(filter: &mut Option<NotificationConfigurationFilter>) -> Result<(String, String)> {
    let (mut prefix, mut suffix) = (None, None);
    let rules = filter.as_mut().and_then(|f| f.key.as_mut()).and_then(|k| k.filter_rules.as_mut());
    for rule in rules.into_iter().flatten() {
        let FilterRule { name, value } = rule;
        let known = name.as_ref().map(|n| n.as_str().to_ascii_lowercase()).unwrap_or_default();
        let place = match known.as_str() {
            "prefix" => &mut prefix,
            "suffix" => &mut suffix,
            _ => return Err(invalid_argument("filter rule name must be either prefix or suffix")),
        };
        let value = value.clone().unwrap_or_default();
        if value.len() > 1024 {
            return Err(invalid_argument("Size of filter rule value cannot exceed 1024 bytes in UTF-8 representation"));
        }
        if place.replace(value).is_some() {
            return Err(invalid_argument(format!("Cannot specify more than one {known} rule in a filter.")));
        }
    }
    Ok((prefix.unwrap_or_default(), suffix.unwrap_or_default()))
}

/// Can both names mean one event?
fn overlap(a: &str, b: &str) -> bool {
    match (a.strip_suffix('*'), b.strip_suffix('*')) {
        (Some(a), Some(b)) => a.starts_with(b) || b.starts_with(a),
        (Some(a), None) => b.starts_with(a),
        (None, Some(b)) => a.starts_with(b),
        (None, None) => a == b,
    }
}

/// A destination that is not there, or takes nothing.
pub(crate) fn unfit(arn: &str, why: &str) -> Error {
    let message = "Unable to validate the following destination configurations";
    Error::new("InvalidArgument", 400, message).with("ArgumentName1", arn).with("ArgumentValue1", why)
}

impl S3 {
    /// Is every destination there? Where a service is not, nobody is asked.
    pub(crate) async fn check_destinations(&self, cx: &Cx, config: &NotificationConfiguration) -> Result<()> {
        let mut config = config.clone();
        let arns: Vec<(String, &str)> = all(&mut config).iter().map(|one| (one.arn.to_owned(), one.service)).collect();
        for (text, service) in arns {
            let Some(arn) = Arn::parse(&text) else { continue };
            let platform = Cx::platform(&self.router, &arn.account, &arn.region);
            let (operation, input) = match service {
                "sqs" => ("GetQueueUrl", json!({ "QueueName": arn.resource, "QueueOwnerAWSAccountId": arn.account })),
                "sns" => ("GetTopicAttributes", json!({ "TopicArn": text })),
                _ => ("GetFunction", json!({ "FunctionName": text })),
            };
            if self.router.find(service, operation).is_none() {
                continue;
            }
            if let Err(error) = platform.call_json(service, operation, input).await {
                tracing::debug!(%error, bucket_of = cx.account(), "a destination of notifications is not there");
                return Err(unfit(&text, "The destination queue, topic or function does not exist"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(queues: &serde_json::Value) -> String {
        let config: NotificationConfiguration =
            serde_json::from_value(json!({ "queue_configurations": queues })).unwrap();
        check(config, "c").map_or_else(
            |e| format!("{}: {}", e.code(), e.message()),
            |c| c.queue_configurations.unwrap_or_default()[0].id.clone().unwrap_or_default(),
        )
    }

    #[test]
    fn configurations() {
        let arn = "arn:aws:sqs:us-east-1:000000000000:q";
        let rules = |rules: &[(&str, &str)]| {
            let rules: Vec<_> = rules.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
            json!({ "key": { "filter_rules": rules } })
        };
        let one = |events: &[&str], filter: serde_json::Value| json!({ "queue_arn": arn, "events": events, "filter": filter });
        assert_eq!(put(&json!([one(&["s3:ObjectCreated:*"], rules(&[("prefix", "a"), ("suffix", "b")]))])), "00c");
        let two = put(&json!([one(&["s3:ObjectCreated:*"], rules(&[("suffix", "a"), ("Suffix", "b")]))]));
        assert!(two.starts_with("InvalidArgument") && two.contains("more than one suffix"), "{two}");
        let overlapping = put(&json!([
            one(&["s3:ObjectCreated:*"], rules(&[("prefix", "a")])),
            one(&["s3:ObjectCreated:Put"], rules(&[("prefix", "ab")])),
        ]));
        assert!(overlapping.contains("overlap"), "{overlapping}");
        let apart = put(&json!([
            one(&["s3:ObjectCreated:*"], rules(&[("prefix", "a")])),
            one(&["s3:ObjectCreated:Put"], rules(&[("prefix", "b")])),
        ]));
        assert_eq!(apart, "00c");
        assert!(put(&json!([one(&["s3:Everything"], json!(null))])).starts_with("InvalidArgument"));
        assert!(put(&json!([{ "queue_arn": "q", "events": ["s3:ObjectCreated:*"] }])).starts_with("InvalidArgument"));
    }
}
