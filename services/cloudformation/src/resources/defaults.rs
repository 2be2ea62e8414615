//! What a member has where nobody sets it. To an operation that changes a resource a member that is left out stays as it is; a property that
//! has left the template is to have its default again, as it has on AWS. Source: the types in the Template Reference.

use serde_json::{Map, Value, json};

type Default = (&'static str, fn() -> Value);

/// Those of a type, by the names of its properties.
#[expect(clippy::too_many_lines, reason = "a table")]
fn of(kind: &str) -> &'static [Default] {
    match kind {
        "AWS::DynamoDB::Table" => &[
            ("DeletionProtectionEnabled", || false.into()),
            ("OnDemandThroughput", || json!({ "MaxReadRequestUnits": -1, "MaxWriteRequestUnits": -1 })),
            ("SSESpecification", || json!({ "Enabled": false })),
            ("TableClass", || "STANDARD".into()),
        ],
        "AWS::CloudTrail::Trail" => &[
            ("CloudWatchLogsLogGroupArn", || "".into()),
            ("CloudWatchLogsRoleArn", || "".into()),
            ("EnableLogFileValidation", || false.into()),
            ("IncludeGlobalServiceEvents", || true.into()),
            ("IsMultiRegionTrail", || false.into()),
            ("IsOrganizationTrail", || false.into()),
            ("S3KeyPrefix", || "".into()),
            ("SnsTopicName", || "".into()),
        ],
        "AWS::Glue::DataQualityRuleset" => &[("Description", || "".into())],
        "AWS::Glue::Crawler" => &[
            ("Classifiers", || json!([])),
            ("Configuration", || "".into()),
            ("CrawlerSecurityConfiguration", || "".into()),
            ("Description", || "".into()),
            ("RecrawlPolicy", || json!({ "RecrawlBehavior": "CRAWL_EVERYTHING" })),
            ("Schedule", || "".into()),
            (
                "SchemaChangePolicy",
                || json!({ "UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": "DEPRECATE_IN_DATABASE" }),
            ),
            ("TablePrefix", || "".into()),
        ],
        "AWS::Events::ApiDestination" => {
            &[("Description", || "".into()), ("InvocationRateLimitPerSecond", || 300.into())]
        }
        "AWS::Events::Archive" => {
            &[("Description", || "".into()), ("EventPattern", || "".into()), ("RetentionDays", || 0.into())]
        }
        "AWS::Events::Connection" | "AWS::Events::EventBus" => &[("Description", || "".into())],
        "AWS::Glue::Trigger" => &[("Description", || "".into())],
        "AWS::Glue::Workflow" => &[
            ("DefaultRunProperties", || json!({})),
            ("Description", || "".into()),
            // None: as many as there are.
            ("MaxConcurrentRuns", || 0.into()),
        ],
        "AWS::IAM::Role" => &[("Description", || "".into()), ("MaxSessionDuration", || 3600.into())],
        "AWS::SecretsManager::Secret" => {
            &[("Description", || "".into()), ("KmsKeyId", || "alias/aws/secretsmanager".into())]
        }
        "AWS::Lambda::Alias" => {
            &[("Description", || "".into()), ("RoutingConfig", || json!({ "AdditionalVersionWeights": {} }))]
        }
        "AWS::Lambda::Url" => &[("Cors", || json!({})), ("InvokeMode", || "BUFFERED".into())],
        "AWS::Pipes::Pipe" => &[
            ("Description", || "".into()),
            ("DesiredState", || "RUNNING".into()),
            ("Enrichment", || "".into()),
            ("EnrichmentParameters", || json!({})),
            ("SourceParameters", || json!({})),
            ("TargetParameters", || json!({})),
        ],
        "AWS::SSM::Parameter" => &[("AllowedPattern", || "".into()), ("Description", || "".into())],
        "AWS::Lambda::EventSourceMapping" => &[
            ("BisectBatchOnFunctionError", || false.into()),
            ("DestinationConfig", || json!({})),
            ("Enabled", || true.into()),
            ("FilterCriteria", || json!({})),
            ("FunctionResponseTypes", || json!([])),
            ("MaximumBatchingWindowInSeconds", || 0.into()),
            ("MaximumRecordAgeInSeconds", || (-1).into()),
            ("MaximumRetryAttempts", || (-1).into()),
            ("ParallelizationFactor", || 1.into()),
            ("ScalingConfig", || json!({})),
            ("TumblingWindowInSeconds", || 0.into()),
        ],
        "AWS::Lambda::Function" => &[
            ("DeadLetterConfig", || json!({ "TargetArn": "" })),
            ("Description", || "".into()),
            ("Environment", || json!({ "Variables": {} })),
            ("EphemeralStorage", || json!({ "Size": 512 })),
            ("FileSystemConfigs", || json!([])),
            ("KmsKeyArn", || "".into()),
            ("Layers", || json!([])),
            ("MemorySize", || 128.into()),
            ("SnapStart", || json!({ "ApplyOn": "None" })),
            ("Timeout", || 3.into()),
            ("TracingConfig", || json!({ "Mode": "PassThrough" })),
            ("VpcConfig", || json!({ "SecurityGroupIds": [], "SubnetIds": [] })),
        ],
        _ => &[],
    }
}

/// Puts the defaults of what the old properties have and the new have not.
pub(super) fn reset(input: &mut Map<String, Value>, kind: &str, old: &Value, new: &Value) {
    let is_set = |properties: &Value, name: &str| properties.get(name).is_some_and(|value| !value.is_null());
    for (name, default) in of(kind) {
        if is_set(old, name) && !is_set(new, name) {
            input.insert((*name).to_owned(), default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_left_the_template() {
        let mut input = Map::new();
        let old = json!({"Environment": {"Variables": {"SECRET": "x"}}, "Timeout": 30, "Handler": "h"});
        reset(&mut input, "AWS::Lambda::Function", &old, &json!({"Timeout": 60}));
        assert_eq!(Value::from(input), json!({"Environment": {"Variables": {}}}));
    }
}
