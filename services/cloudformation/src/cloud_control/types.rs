//! The types of resources that the Cloud Control API manages: their identifiers and what their schemas say of their properties, and how those
//! that there are of a type are listed. A type of CloudFormation that is not in [`TABLE`] can be made by stacks alone, as on AWS.
//! Source: `models/resource_types.json`, which has the lists of AWS's schemas.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use api_cloudcontrol::error;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::Result;
use crate::parameters::text;
use crate::resources;

/// A type.
#[derive(Debug)]
pub(crate) struct Type {
    pub(crate) name: &'static str,
    /// The properties that are its primary identifier: several are told with `|` between them.
    pub(super) identifiers: Vec<String>,
    /// Told, and never given. The identifier itself stands here where the service makes it.
    pub(super) read_only: Vec<String>,
    /// Given, and never told.
    pub(super) write_only: Vec<String>,
    /// Given when it is made, and never again.
    pub(super) create_only: Vec<String>,
    pub(super) list: Option<&'static List>,
}

impl Type {
    pub(crate) fn is_listed(&self) -> bool {
        self.list.is_some()
    }

    /// The property of `ResourceModel` without which they are not listed.
    pub(crate) fn parent(&self) -> Option<&'static str> {
        Some(self.list?.parent?.0)
    }

    /// The identifier of what has these properties.
    pub(super) fn identifier(&self, value: impl Fn(&str) -> Option<String>) -> Option<String> {
        let parts: Option<Vec<String>> = self.identifiers.iter().map(|name| value(name)).collect();
        parts.map(|parts| parts.join("|"))
    }

    /// The properties that an identifier stands for.
    pub(super) fn identifying(&self, identifier: &str) -> Map<String, Value> {
        let parts = identifier.splitn(self.identifiers.len(), '|');
        self.identifiers.iter().cloned().zip(parts.map(Value::from)).collect()
    }
}

/// What AWS's schema of a type says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Schema {
    pub(crate) identifier: Vec<String>,
    pub(crate) read_only: Vec<String>,
    pub(crate) write_only: Vec<String>,
    pub(crate) create_only: Vec<String>,
    pub(crate) required: Vec<String>,
    /// Names, and their types in JSON.
    pub(crate) properties: BTreeMap<String, Value>,
}

pub(crate) static SCHEMAS: LazyLock<BTreeMap<String, Schema>> = LazyLock::new(|| {
    let text = include_str!("../../../../models/resource_types.json");
    serde_json::from_str(text).expect("the file is checked by a test")
});

/// The operation that lists resources of a type, and the members of its answer.
#[derive(Debug)]
pub(super) struct List {
    pub(super) service: &'static str,
    pub(super) operation: &'static str,
    pub(super) members: &'static str,
    id: Id,
    /// The next page's marker in the answer, and in the input.
    pub(super) marker: (&'static str, &'static str),
    /// The property of `ResourceModel` that says whose resources are asked for, and the member that it is to the operation.
    pub(super) parent: Option<(&'static str, &'static str)>,
    /// What is listed may have none of the type: each is looked at.
    pub(super) is_looked_at: bool,
}

/// The identifier within what is listed.
#[derive(Clone, Copy, Debug)]
enum Id {
    Itself,
    Member(&'static str),
    /// Of what is listed, and of the parent; `None` where it is none of the type.
    By(fn(&Value, &str) -> Option<String>),
}

impl List {
    const fn by_parent(mut self, property: &'static str, member: &'static str) -> Self {
        self.parent = Some((property, member));
        self
    }

    const fn looked_at(mut self) -> Self {
        self.is_looked_at = true;
        self
    }

    /// What every page is asked with.
    pub(super) fn input(&self, of: &Type) -> Value {
        match (self.operation, of.name) {
            ("listPolicies", _) => json!({ "Scope": "Local" }),
            ("listRoles", "AWS::IAM::ServiceLinkedRole") => json!({ "PathPrefix": "/aws-service-role/" }),
            ("describeAlarms", "AWS::CloudWatch::CompositeAlarm") => json!({ "AlarmTypes": ["CompositeAlarm"] }),
            ("describeAlarms", _) => json!({ "AlarmTypes": ["MetricAlarm"] }),
            _ => json!({}),
        }
    }

    pub(super) fn identifier(&self, item: &Value, parent: &str) -> Option<String> {
        match self.id {
            Id::Itself => Some(text(item)),
            Id::Member(member) => item.get(member).map(text),
            Id::By(read) => read(item, parent),
        }
    }
}

const NEXT: (&str, &str) = ("NextToken", "NextToken");
const MARKER: (&str, &str) = ("Marker", "Marker");
const OF_LAMBDA: (&str, &str) = ("NextMarker", "Marker");

const fn list(
    service: &'static str,
    operation: &'static str,
    members: &'static str,
    id: Id,
    marker: (&'static str, &'static str),
) -> List {
    List { service, operation, members, id, marker, parent: None, is_looked_at: false }
}

/// The type of a name, for an action (`CREATE`).
pub(super) fn find(name: &str, action: &str) -> Result<&'static Type> {
    if let Some(found) = managed(name) {
        return Ok(found);
    }
    if resources::find(name).is_some() {
        let text = format!("Resource type {name} does not support {action} action");
        return Err(error::unsupported_action_exception(text));
    }
    Err(error::type_not_found_exception(format!("The type '{name}' cannot be found.")))
}

/// The type, where it is managed one by one.
pub(crate) fn managed(name: &str) -> Option<&'static Type> {
    TYPES.iter().find(|one| one.name == name)
}

static TYPES: LazyLock<Vec<Type>> =
    LazyLock::new(|| TABLE.iter().map(|(name, list)| typed(name, list.as_ref())).collect());

fn typed(name: &'static str, list: Option<&'static List>) -> Type {
    let schema = SCHEMAS.get(name).expect("a test holds that it has all types of the table");
    // Of what is within a property nothing is said.
    let whole = |names: &[String]| names.iter().filter(|name| !name.contains('/')).cloned().collect();
    let mut write_only: Vec<String> = whole(&schema.write_only);
    if name == "AWS::SSM::Parameter" {
        // Here they are told, so that a change of another property leaves them as they are.
        write_only.clear();
    }
    Type {
        name,
        identifiers: schema.identifier.clone(),
        read_only: whole(&schema.read_only),
        write_only,
        create_only: whole(&schema.create_only),
        list,
    }
}

/// Two members of what is listed.
fn of_two(item: &Value, one: &str, other: &str) -> Option<String> {
    Some(format!("{}|{}", text(item.get(one)?), text(item.get(other)?)))
}

/// The qualifier within an ARN of a function.
fn qualifier(arn: &Value) -> String {
    text(arn).split(':').nth(7).unwrap_or("$LATEST").to_owned()
}

static TABLE: &[(&str, Option<List>)] = &[
    (
        "AWS::Athena::DataCatalog",
        Some(list("athena", "listDataCatalogs", "DataCatalogsSummary", Id::Member("CatalogName"), NEXT)),
    ),
    ("AWS::Athena::NamedQuery", Some(list("athena", "listNamedQueries", "NamedQueryIds", Id::Itself, NEXT))),
    (
        "AWS::Athena::PreparedStatement",
        Some(
            list(
                "athena",
                "listPreparedStatements",
                "PreparedStatements",
                Id::By(|item, group| Some(format!("{}|{group}", text(item.get("StatementName")?)))),
                NEXT,
            )
            .by_parent("WorkGroup", "WorkGroup"),
        ),
    ),
    ("AWS::Athena::WorkGroup", Some(list("athena", "listWorkGroups", "WorkGroups", Id::Member("Name"), NEXT))),
    ("AWS::CloudTrail::Trail", Some(list("cloudtrail", "listTrails", "Trails", Id::Member("Name"), NEXT))),
    (
        "AWS::CloudWatch::Alarm",
        Some(list("cloudwatch", "describeAlarms", "MetricAlarms", Id::Member("AlarmName"), NEXT)),
    ),
    (
        "AWS::CloudWatch::CompositeAlarm",
        Some(list("cloudwatch", "describeAlarms", "CompositeAlarms", Id::Member("AlarmName"), NEXT)),
    ),
    (
        "AWS::CloudWatch::Dashboard",
        Some(list("cloudwatch", "listDashboards", "DashboardEntries", Id::Member("DashboardName"), NEXT)),
    ),
    (
        "AWS::DynamoDB::GlobalTable",
        Some(list(
            "dynamodb",
            "listTables",
            "TableNames",
            Id::Itself,
            ("LastEvaluatedTableName", "ExclusiveStartTableName"),
        )),
    ),
    (
        "AWS::DynamoDB::Table",
        Some(list(
            "dynamodb",
            "listTables",
            "TableNames",
            Id::Itself,
            ("LastEvaluatedTableName", "ExclusiveStartTableName"),
        )),
    ),
    (
        "AWS::ECR::Repository",
        Some(list("ecr", "describeRepositories", "Repositories", Id::Member("RepositoryName"), NEXT)),
    ),
    (
        "AWS::Events::ApiDestination",
        Some(list("eventbridge", "listApiDestinations", "ApiDestinations", Id::Member("Name"), NEXT)),
    ),
    ("AWS::Events::Archive", Some(list("eventbridge", "listArchives", "Archives", Id::Member("ArchiveName"), NEXT))),
    ("AWS::Events::Connection", Some(list("eventbridge", "listConnections", "Connections", Id::Member("Name"), NEXT))),
    ("AWS::Events::EventBus", Some(list("eventbridge", "listEventBuses", "EventBuses", Id::Member("Name"), NEXT))),
    ("AWS::Events::Rule", Some(list("eventbridge", "listRules", "Rules", Id::Member("Arn"), NEXT))),
    ("AWS::Glue::Crawler", Some(list("glue", "listCrawlers", "CrawlerNames", Id::Itself, NEXT))),
    ("AWS::Glue::Database", Some(list("glue", "getDatabases", "DatabaseList", Id::Member("Name"), NEXT))),
    ("AWS::Glue::Job", Some(list("glue", "listJobs", "JobNames", Id::Itself, NEXT))),
    ("AWS::Glue::Registry", Some(list("glue", "listRegistries", "Registries", Id::Member("RegistryArn"), NEXT))),
    ("AWS::Glue::Schema", Some(list("glue", "listSchemas", "Schemas", Id::Member("SchemaArn"), NEXT))),
    ("AWS::Glue::Trigger", Some(list("glue", "listTriggers", "TriggerNames", Id::Itself, NEXT))),
    ("AWS::IAM::Group", Some(list("iam", "listGroups", "Groups", Id::Member("GroupName"), MARKER))),
    ("AWS::IAM::GroupPolicy", None),
    (
        "AWS::IAM::InstanceProfile",
        Some(list("iam", "listInstanceProfiles", "InstanceProfiles", Id::Member("InstanceProfileName"), MARKER)),
    ),
    ("AWS::IAM::ManagedPolicy", Some(list("iam", "listPolicies", "Policies", Id::Member("Arn"), MARKER))),
    (
        "AWS::IAM::OIDCProvider",
        Some(list("iam", "listOpenIDConnectProviders", "OpenIDConnectProviderList", Id::Member("Arn"), MARKER)),
    ),
    ("AWS::IAM::Role", Some(list("iam", "listRoles", "Roles", Id::Member("RoleName"), MARKER))),
    ("AWS::IAM::RolePolicy", None),
    ("AWS::IAM::ServiceLinkedRole", Some(list("iam", "listRoles", "Roles", Id::Member("RoleName"), MARKER))),
    ("AWS::IAM::User", Some(list("iam", "listUsers", "Users", Id::Member("UserName"), MARKER))),
    ("AWS::IAM::UserPolicy", None),
    ("AWS::KMS::Alias", Some(list("kms", "listAliases", "Aliases", Id::Member("AliasName"), OF_LAMBDA))),
    ("AWS::KMS::Key", Some(list("kms", "listKeys", "Keys", Id::Member("KeyId"), OF_LAMBDA))),
    (
        "AWS::Lambda::Alias",
        Some(
            list("lambda", "listAliases", "Aliases", Id::Member("AliasArn"), OF_LAMBDA)
                .by_parent("FunctionName", "FunctionName"),
        ),
    ),
    (
        "AWS::Lambda::EventInvokeConfig",
        Some(
            list(
                "lambda",
                "listFunctionEventInvokeConfigs",
                "FunctionEventInvokeConfigs",
                Id::By(|item, function| Some(format!("{function}|{}", qualifier(item.get("FunctionArn")?)))),
                OF_LAMBDA,
            )
            .by_parent("FunctionName", "FunctionName"),
        ),
    ),
    (
        "AWS::Lambda::EventSourceMapping",
        Some(list("lambda", "listEventSourceMappings", "EventSourceMappings", Id::Member("UUID"), OF_LAMBDA)),
    ),
    (
        "AWS::Lambda::Function",
        Some(list("lambda", "listFunctions", "Functions", Id::Member("FunctionName"), OF_LAMBDA)),
    ),
    (
        "AWS::Lambda::LayerVersion",
        Some(
            list("lambda", "listLayerVersions", "LayerVersions", Id::Member("LayerVersionArn"), OF_LAMBDA)
                .by_parent("LayerName", "LayerName"),
        ),
    ),
    (
        "AWS::Lambda::Permission",
        Some(
            list(
                "lambda",
                "getPolicy",
                "Policy",
                Id::By(|item, function| Some(format!("{function}|{}", text(item.get("Sid")?)))),
                OF_LAMBDA,
            )
            .by_parent("FunctionName", "FunctionName"),
        ),
    ),
    (
        "AWS::Lambda::Url",
        Some(
            list("lambda", "listFunctionUrlConfigs", "FunctionUrlConfigs", Id::Member("FunctionArn"), OF_LAMBDA)
                .by_parent("TargetFunctionArn", "FunctionName"),
        ),
    ),
    (
        "AWS::Lambda::Version",
        Some(
            list(
                "lambda",
                "listVersionsByFunction",
                "Versions",
                Id::By(|item, _| item.get("FunctionArn").map(text).filter(|_| item["Version"] != "$LATEST")),
                OF_LAMBDA,
            )
            .by_parent("FunctionName", "FunctionName"),
        ),
    ),
    (
        "AWS::Logs::LogGroup",
        Some(list("cloudwatchlogs", "describeLogGroups", "LogGroups", Id::Member("LogGroupName"), NEXT)),
    ),
    (
        "AWS::Logs::LogStream",
        Some(
            list(
                "cloudwatchlogs",
                "describeLogStreams",
                "LogStreams",
                Id::By(|item, group| Some(format!("{group}|{}", text(item.get("LogStreamName")?)))),
                NEXT,
            )
            .by_parent("LogGroupName", "LogGroupName"),
        ),
    ),
    (
        "AWS::Logs::MetricFilter",
        Some(list(
            "cloudwatchlogs",
            "describeMetricFilters",
            "MetricFilters",
            Id::By(|item, _| of_two(item, "LogGroupName", "FilterName")),
            NEXT,
        )),
    ),
    (
        "AWS::Logs::QueryDefinition",
        Some(list(
            "cloudwatchlogs",
            "describeQueryDefinitions",
            "QueryDefinitions",
            Id::Member("QueryDefinitionId"),
            NEXT,
        )),
    ),
    (
        "AWS::Logs::ResourcePolicy",
        Some(list("cloudwatchlogs", "describeResourcePolicies", "ResourcePolicies", Id::Member("PolicyName"), NEXT)),
    ),
    (
        "AWS::Logs::SubscriptionFilter",
        Some(
            list(
                "cloudwatchlogs",
                "describeSubscriptionFilters",
                "SubscriptionFilters",
                Id::By(|item, _| of_two(item, "FilterName", "LogGroupName")),
                NEXT,
            )
            .by_parent("LogGroupName", "LogGroupName"),
        ),
    ),
    ("AWS::Pipes::Pipe", Some(list("pipes", "listPipes", "Pipes", Id::Member("Name"), NEXT))),
    (
        "AWS::S3::Bucket",
        Some(list("s3", "listBuckets", "Buckets", Id::Member("Name"), ("ContinuationToken", "ContinuationToken"))),
    ),
    (
        "AWS::S3::BucketPolicy",
        Some(
            list("s3", "listBuckets", "Buckets", Id::Member("Name"), ("ContinuationToken", "ContinuationToken"))
                .looked_at(),
        ),
    ),
    (
        "AWS::SNS::Subscription",
        Some(list(
            "sns",
            "listSubscriptions",
            "Subscriptions",
            Id::By(|item, _| item.get("SubscriptionArn").map(text).filter(|arn| arn.starts_with("arn:"))),
            NEXT,
        )),
    ),
    ("AWS::SNS::Topic", Some(list("sns", "listTopics", "Topics", Id::Member("TopicArn"), NEXT))),
    ("AWS::SNS::TopicInlinePolicy", None),
    ("AWS::SQS::Queue", Some(list("sqs", "listQueues", "QueueUrls", Id::Itself, NEXT))),
    ("AWS::SQS::QueueInlinePolicy", None),
    ("AWS::SSM::Parameter", Some(list("ssm", "describeParameters", "Parameters", Id::Member("Name"), NEXT))),
    (
        "AWS::SageMaker::Endpoint",
        Some(list("sagemaker", "listEndpoints", "Endpoints", Id::Member("EndpointArn"), NEXT)),
    ),
    ("AWS::SageMaker::Model", Some(list("sagemaker", "listModels", "Models", Id::Member("ModelArn"), NEXT))),
    ("AWS::Scheduler::Schedule", Some(list("scheduler", "listSchedules", "Schedules", Id::Member("Name"), NEXT))),
    (
        "AWS::Scheduler::ScheduleGroup",
        Some(list("scheduler", "listScheduleGroups", "ScheduleGroups", Id::Member("Name"), NEXT)),
    ),
    (
        "AWS::SecretsManager::ResourcePolicy",
        Some(list("secretsmanager", "listSecrets", "SecretList", Id::Member("ARN"), NEXT).looked_at()),
    ),
    (
        "AWS::SecretsManager::RotationSchedule",
        Some(list(
            "secretsmanager",
            "listSecrets",
            "SecretList",
            Id::By(|item, _| item.get("ARN").map(text).filter(|_| item["RotationEnabled"] == true)),
            NEXT,
        )),
    ),
    ("AWS::SecretsManager::Secret", Some(list("secretsmanager", "listSecrets", "SecretList", Id::Member("ARN"), NEXT))),
    (
        "AWS::StepFunctions::Activity",
        Some(list("sfn", "listActivities", "Activities", Id::Member("ActivityArn"), NEXT)),
    ),
    (
        "AWS::StepFunctions::StateMachine",
        Some(list("sfn", "listStateMachines", "StateMachines", Id::Member("StateMachineArn"), NEXT)),
    ),
    (
        "AWS::StepFunctions::StateMachineAlias",
        Some(
            list("sfn", "listStateMachineAliases", "StateMachineAliases", Id::Member("StateMachineAliasArn"), NEXT)
                .by_parent("StateMachineArn", "StateMachineArn"),
        ),
    ),
    (
        "AWS::StepFunctions::StateMachineVersion",
        Some(
            list("sfn", "listStateMachineVersions", "StateMachineVersions", Id::Member("StateMachineVersionArn"), NEXT)
                .by_parent("StateMachineArn", "StateMachineArn"),
        ),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_schema_and_every_identifier_is_a_property() {
        let sorted = TABLE.is_sorted_by_key(|(name, _)| name);
        assert!(sorted);
        for name in resources::names() {
            let schema = SCHEMAS.get(name).unwrap_or_else(|| panic!("{name} has no schema"));
            assert!(schema.identifier.iter().all(|one| schema.properties.contains_key(one)), "{name}");
        }
        for one in TYPES.iter() {
            assert!(resources::find(one.name).is_some(), "{}", one.name);
            assert!(!one.identifiers.is_empty(), "{}", one.name);
        }
    }

    #[test]
    fn identifiers_of_several_properties() {
        let of = managed("AWS::Logs::LogStream").unwrap();
        assert_eq!(of.identifier(|name| Some(format!("the {name}"))).unwrap(), "the LogGroupName|the LogStreamName");
        assert_eq!(Value::from(of.identifying("/a|b|c")), json!({ "LogGroupName": "/a", "LogStreamName": "b|c" }));
        let statement = json!({ "StatementName": "s" });
        let list = managed("AWS::Athena::PreparedStatement").unwrap().list.unwrap();
        assert_eq!(list.identifier(&statement, "primary").unwrap(), "s|primary");
        let list = managed("AWS::Lambda::Version").unwrap().list.unwrap();
        assert_eq!(list.identifier(&json!({ "FunctionArn": "f:$LATEST", "Version": "$LATEST" }), "f"), None);
    }
}
