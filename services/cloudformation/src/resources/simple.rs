//! Types of resources that one operation makes, one changes and one deletes, with members of nearly the same names: a table of them.

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{Context, Kind, Made, Updated, defaults, differ, document, only, pick, text};
use crate::Result;

/// A type, by its operations.
pub(super) struct Simple {
    service: &'static str,
    create: &'static str,
    /// None: every change needs a new one.
    update: Option<&'static str>,
    delete: &'static str,
    /// The property that names it, with the longest name that is made for it.
    name: Option<(&'static str, usize)>,
    members: &'static [&'static str],
    /// Those of the members that cannot be changed.
    replace: &'static [&'static str],
    tags: Tags,
    /// What else becomes of the members on their way into the operation that makes or changes it.
    shape: fn(&mut Map<String, Value>),
    /// What Ref and GetAtt answer: of the place, the properties, the name, and what the operation answered.
    made: fn(&Context, &Value, &str, &Value) -> Made,
    /// What names it to the operations that change and delete it.
    key: fn(&Made, &Value) -> Value,
}

/// How the operation that makes it takes tags.
enum Tags {
    No,
    /// A list of `{Key, Value}`.
    List,
    Map,
}

fn as_it_is(_: &mut Map<String, Value>) {}

fn named(_: &Context, _: &Value, name: &str, _: &Value) -> Made {
    Made::new(name, json!({}))
}

#[async_trait]
impl Kind for Simple {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        self.check(properties)?;
        let name = self.name.map(|(property, max)| at.name(properties, property, max)).unwrap_or_default();
        let mut input = self.input(properties, &name);
        match self.tags {
            Tags::No => {}
            Tags::List => _ = input.insert("Tags".to_owned(), at.tag_list(properties)),
            Tags::Map => _ = input.insert("Tags".to_owned(), at.tag_map(properties)),
        }
        let output = at.call(self.service, self.create, input.into()).await?;
        Ok((self.made)(at, properties, &name, &output))
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        self.check(new)?;
        let renamed = self.name.is_some_and(|(property, _)| differ(old, new, &[property]));
        let Some(operation) = self.update.filter(|_| !renamed && !differ(old, new, self.replace)) else {
            return Ok(Updated::Replace);
        };
        let name = self.name.map(|(property, max)| at.name(new, property, max)).unwrap_or_default();
        let mut input = self.input(new, &name);
        for unchangeable in self.replace {
            input.remove(*unchangeable);
        }
        defaults::reset(&mut input, &at.kind, old, new);
        if at.kind == "AWS::Lambda::EventSourceMapping"
            && old.get("BatchSize").is_some()
            && new.get("BatchSize").is_none()
        {
            // Source: Template Reference, "AWS::Lambda::EventSourceMapping", `BatchSize`.
            let of_queue = text(&new["EventSourceArn"]).split(':').nth(2) == Some("sqs");
            input.insert("BatchSize".to_owned(), if of_queue { 10 } else { 100 }.into());
        }
        if let Value::Object(key) = (self.key)(made, new) {
            input.extend(key);
        }
        let input = as_update(operation, input);
        at.call(self.service, operation, input.into()).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, properties: &Value) -> Result<()> {
        at.call_if_there(self.service, self.delete, (self.key)(made, properties)).await
    }
}

impl Simple {
    fn check(&self, properties: &Value) -> Result<()> {
        let mut known = self.members.to_vec();
        known.extend(self.name.map(|(property, _)| property));
        if !matches!(self.tags, Tags::No) {
            known.push("Tags");
        }
        only(properties, &known)
    }

    fn input(&self, properties: &Value, name: &str) -> Map<String, Value> {
        let mut input = pick(properties, self.members);
        if let Some((property, _)) = self.name {
            input.insert(property.to_owned(), name.into());
        }
        (self.shape)(&mut input);
        input
    }
}

/// Operations that have what changes apart from what names it.
fn as_update(operation: &str, mut input: Map<String, Value>) -> Map<String, Value> {
    let mut apart = |name: &str, member: &str| {
        let name_of = input.remove(name).unwrap_or_default();
        let rest = std::mem::take(&mut input);
        Map::from_iter([(name.to_owned(), name_of), (member.to_owned(), rest.into())])
    };
    match operation {
        "UpdateTrigger" => apart("Name", "TriggerUpdate"),
        "UpdateConnection" => {
            let name = input.remove("ConnectionName").unwrap_or_default();
            input.insert("Name".to_owned(), name);
            input
        }
        "UpdatePartition" => {
            let values = input.remove("PartitionValues").unwrap_or_default();
            input.insert("PartitionValueList".to_owned(), values);
            input
        }
        _ => input,
    }
}

/// A list of `{Key, Value}`, or of other two members, as a map.
fn list_to_map(input: &mut Map<String, Value>, member: &str, (key, value): (&str, &str)) {
    if let Some(Value::Array(items)) = input.get(member) {
        let map: Map<String, Value> = items.iter().map(|item| (text(&item[key]), item[value].clone())).collect();
        input.insert(member.to_owned(), map.into());
    }
}

fn of_a_filter(made: &Made, properties: &Value) -> Value {
    json!({ "LogGroupName": properties["LogGroupName"], "FilterName": made.physical_id })
}

/// A whole statement is put as a policy of its own; where it has no id it is the whole policy's only one.
fn bus_policy(input: &mut Map<String, Value>) {
    let Some(mut statement) = input.remove("Statement") else { return };
    statement["Sid"] = input.remove("StatementId").unwrap_or_default();
    input.insert("Policy".to_owned(), json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string().into());
}

/// The type of this name, where it stands in the table.
pub(super) fn find(name: &str) -> Option<&'static dyn Kind> {
    TABLE.iter().find(|(kind, _)| *kind == name).map(|(_, simple)| simple as &dyn Kind)
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(kind, _)| *kind)
}

pub(super) const ALARM: &[&str] = &[
    "ActionsEnabled",
    "AlarmActions",
    "AlarmDescription",
    "ComparisonOperator",
    "DatapointsToAlarm",
    "Dimensions",
    "EvaluateLowSampleCountPercentile",
    "EvaluationPeriods",
    "ExtendedStatistic",
    "InsufficientDataActions",
    "MetricName",
    "Metrics",
    "Namespace",
    "OKActions",
    "Period",
    "Statistic",
    "Threshold",
    "ThresholdMetricId",
    "TreatMissingData",
    "Unit",
];

pub(super) const MAPPING: &[&str] = &[
    "BatchSize",
    "BisectBatchOnFunctionError",
    "DestinationConfig",
    "Enabled",
    "EventSourceArn",
    "FilterCriteria",
    "FunctionName",
    "FunctionResponseTypes",
    "MaximumBatchingWindowInSeconds",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "ParallelizationFactor",
    "ScalingConfig",
    "StartingPosition",
    "StartingPositionTimestamp",
    "TumblingWindowInSeconds",
];

static TABLE: [(&str, Simple); 33] = [
    (
        "AWS::Athena::DataCatalog",
        Simple {
            service: "athena",
            create: "CreateDataCatalog",
            update: Some("UpdateDataCatalog"),
            delete: "DeleteDataCatalog",
            name: None,
            members: &["Name", "Description", "Parameters", "Type"],
            replace: &[],
            tags: Tags::List,
            shape: as_it_is,
            made: |_, properties, _, _| Made::new(text(&properties["Name"]), json!({})),
            key: |made, _| json!({ "Name": made.physical_id }),
        },
    ),
    (
        "AWS::Athena::PreparedStatement",
        Simple {
            service: "athena",
            create: "CreatePreparedStatement",
            update: Some("UpdatePreparedStatement"),
            delete: "DeletePreparedStatement",
            name: None,
            members: &["Description", "QueryStatement", "StatementName", "WorkGroup"],
            replace: &[],
            tags: Tags::No,
            shape: as_it_is,
            made: |_, properties, _, _| Made::new(text(&properties["StatementName"]), json!({})),
            key: |made, properties| json!({ "StatementName": made.physical_id, "WorkGroup": properties["WorkGroup"] }),
        },
    ),
    (
        "AWS::CloudWatch::Alarm",
        Simple {
            service: "cloudwatch",
            create: "PutMetricAlarm",
            update: Some("PutMetricAlarm"),
            delete: "DeleteAlarms",
            name: Some(("AlarmName", 255)),
            members: ALARM,
            replace: &[],
            tags: Tags::List,
            shape: as_it_is,
            made: |at, _, name, _| Made::new(name, json!({ "Arn": at.arn("cloudwatch", format!("alarm:{name}")) })),
            key: |made, _| json!({ "AlarmNames": [made.physical_id] }),
        },
    ),
    (
        "AWS::CloudWatch::CompositeAlarm",
        Simple {
            service: "cloudwatch",
            create: "PutCompositeAlarm",
            update: Some("PutCompositeAlarm"),
            delete: "DeleteAlarms",
            name: Some(("AlarmName", 255)),
            members: &[
                "ActionsEnabled",
                "AlarmActions",
                "AlarmDescription",
                "AlarmRule",
                "InsufficientDataActions",
                "OKActions",
            ],
            replace: &[],
            tags: Tags::List,
            shape: as_it_is,
            made: |at, _, name, _| Made::new(name, json!({ "Arn": at.arn("cloudwatch", format!("alarm:{name}")) })),
            key: |made, _| json!({ "AlarmNames": [made.physical_id] }),
        },
    ),
    (
        "AWS::CloudWatch::Dashboard",
        Simple {
            service: "cloudwatch",
            create: "PutDashboard",
            update: Some("PutDashboard"),
            delete: "DeleteDashboards",
            name: Some(("DashboardName", 255)),
            members: &["DashboardBody"],
            replace: &[],
            tags: Tags::No,
            shape: as_it_is,
            made: named,
            key: |made, _| json!({ "DashboardNames": [made.physical_id] }),
        },
    ),
    (
        "AWS::Events::EventBus",
        Simple {
            service: "events",
            create: "CreateEventBus",
            update: Some("UpdateEventBus"),
            delete: "DeleteEventBus",
            name: None,
            members: &["Description", "EventSourceName", "Name"],
            replace: &["EventSourceName", "Name"],
            tags: Tags::List,
            shape: as_it_is,
            made: |_, properties, _, output| {
                let name = text(&properties["Name"]);
                Made::new(name.clone(), json!({ "Arn": output["EventBusArn"], "Name": name }))
            },
            key: |made, _| json!({ "Name": made.physical_id }),
        },
    ),
    (
        "AWS::Glue::Connection",
        Simple {
            service: "glue",
            create: "CreateConnection",
            update: Some("UpdateConnection"),
            delete: "DeleteConnection",
            name: None,
            members: &["CatalogId", "ConnectionInput"],
            replace: &["CatalogId"],
            tags: Tags::No,
            shape: as_it_is,
            made: |_, properties, _, _| Made::new(text(&properties["ConnectionInput"]["Name"]), json!({})),
            key: |made, _| json!({ "ConnectionName": made.physical_id }),
        },
    ),
    (
        "AWS::Glue::DataQualityRuleset",
        Simple {
            service: "glue",
            create: "CreateDataQualityRuleset",
            update: Some("UpdateDataQualityRuleset"),
            delete: "DeleteDataQualityRuleset",
            name: None,
            members: &["ClientToken", "Description", "Name", "Ruleset", "TargetTable"],
            replace: &["ClientToken", "Name", "TargetTable"],
            tags: Tags::Map,
            shape: as_it_is,
            made: |_, properties, _, _| Made::new(text(&properties["Name"]), json!({})),
            key: |made, _| json!({ "Name": made.physical_id }),
        },
    ),
    (
        "AWS::Glue::Partition",
        Simple {
            service: "glue",
            create: "CreatePartition",
            update: Some("UpdatePartition"),
            delete: "DeletePartition",
            name: None,
            members: &["CatalogId", "DatabaseName", "PartitionInput", "TableName"],
            replace: &["CatalogId", "DatabaseName", "TableName"],
            tags: Tags::No,
            shape: as_it_is,
            made: |_, properties, _, _| {
                let values = properties["PartitionInput"]["Values"].as_array().into_iter().flatten().map(text);
                Made::new(values.collect::<Vec<_>>().join("|"), json!({}))
            },
            key: |_, properties| {
                json!({
                    "DatabaseName": properties["DatabaseName"], "TableName": properties["TableName"],
                    "PartitionValues": properties["PartitionInput"]["Values"],
                })
            },
        },
    ),
    (
        "AWS::Glue::Trigger",
        Simple {
            service: "glue",
            create: "CreateTrigger",
            update: Some("UpdateTrigger"),
            delete: "DeleteTrigger",
            name: Some(("Name", 255)),
            members: &[
                "Actions",
                "Description",
                "EventBatchingCondition",
                "Predicate",
                "Schedule",
                "StartOnCreation",
                "Type",
                "WorkflowName",
            ],
            replace: &["StartOnCreation", "Type", "WorkflowName"],
            tags: Tags::Map,
            shape: as_it_is,
            made: named,
            key: |made, _| json!({ "Name": made.physical_id }),
        },
    ),
    (
        "AWS::Glue::Workflow",
        Simple {
            service: "glue",
            create: "CreateWorkflow",
            update: Some("UpdateWorkflow"),
            delete: "DeleteWorkflow",
            name: Some(("Name", 255)),
            members: &["DefaultRunProperties", "Description", "MaxConcurrentRuns"],
            replace: &[],
            tags: Tags::Map,
            shape: as_it_is,
            made: named,
            key: |made, _| json!({ "Name": made.physical_id }),
        },
    ),
    (
        "AWS::KMS::Alias",
        Simple {
            service: "kms",
            create: "CreateAlias",
            update: Some("UpdateAlias"),
            delete: "DeleteAlias",
            name: None,
            members: &["AliasName", "TargetKeyId"],
            replace: &["AliasName"],
            tags: Tags::No,
            shape: as_it_is,
            made: |_, properties, _, _| Made::new(text(&properties["AliasName"]), json!({})),
            key: |made, _| json!({ "AliasName": made.physical_id }),
        },
    ),
    (
        "AWS::Lambda::Alias",
        Simple {
            service: "lambda",
            create: "CreateAlias",
            update: Some("UpdateAlias"),
            delete: "DeleteAlias",
            name: None,
            members: &["Description", "FunctionName", "FunctionVersion", "Name", "RoutingConfig"],
            replace: &["FunctionName", "Name"],
            tags: Tags::No,
            shape: |input| {
                if let Some(Value::Object(routing)) = input.get_mut("RoutingConfig") {
                    list_to_map(routing, "AdditionalVersionWeights", ("FunctionVersion", "FunctionWeight"));
                }
            },
            made: |_, _, _, output| Made::new(text(&output["AliasArn"]), json!({ "AliasArn": output["AliasArn"] })),
            key: |_, properties| json!({ "FunctionName": properties["FunctionName"], "Name": properties["Name"] }),
        },
    ),
    (
        "AWS::Lambda::EventInvokeConfig",
        Simple {
            service: "lambda",
            create: "PutFunctionEventInvokeConfig",
            update: Some("PutFunctionEventInvokeConfig"),
            delete: "DeleteFunctionEventInvokeConfig",
            name: None,
            members: &[
                "DestinationConfig",
                "FunctionName",
                "MaximumEventAgeInSeconds",
                "MaximumRetryAttempts",
                "Qualifier",
            ],
            replace: &[],
            tags: Tags::No,
            shape: as_it_is,
            made: |at, _, _, _| Made::new(at.name(&Value::Null, "", 128), json!({})),
            key: |_, properties| json!({ "FunctionName": properties["FunctionName"], "Qualifier": properties["Qualifier"] }),
        },
    ),
    (
        "AWS::Lambda::EventSourceMapping",
        Simple {
            service: "lambda",
            create: "CreateEventSourceMapping",
            update: Some("UpdateEventSourceMapping"),
            delete: "DeleteEventSourceMapping",
            name: None,
            members: MAPPING,
            replace: &["EventSourceArn", "StartingPosition", "StartingPositionTimestamp"],
            tags: Tags::Map,
            shape: as_it_is,
            made: |at, _, _, output| {
                let id = text(&output["UUID"]);
                let arn = at.arn("lambda", format!("event-source-mapping:{id}"));
                Made::new(id.clone(), json!({ "Id": id, "EventSourceMappingArn": arn }))
            },
            key: |made, _| json!({ "UUID": made.physical_id }),
        },
    ),
    (
        "AWS::Lambda::LayerVersion",
        Simple {
            service: "lambda",
            create: "PublishLayerVersion",
            update: None,
            delete: "DeleteLayerVersion",
            name: Some(("LayerName", 140)),
            members: &["CompatibleArchitectures", "CompatibleRuntimes", "Content", "Description", "LicenseInfo"],
            replace: &[],
            tags: Tags::No,
            shape: as_it_is,
            made: |_, _, _, output| {
                let arn = text(&output["LayerVersionArn"]);
                Made::new(arn.clone(), json!({ "LayerVersionArn": arn }))
            },
            key: |made, _| {
                let (layer, version) = made.physical_id.rsplit_once(':').unwrap_or((&made.physical_id, "0"));
                json!({ "LayerName": layer, "VersionNumber": version })
            },
        },
    ),
    (
        "AWS::Lambda::Version",
        Simple {
            service: "lambda",
            create: "PublishVersion",
            update: None,
            delete: "DeleteFunction",
            name: None,
            members: &["CodeSha256", "Description", "FunctionName"],
            replace: &[],
            tags: Tags::No,
            shape: as_it_is,
            made: |_, _, _, output| {
                let attributes = json!({ "Version": output["Version"], "FunctionArn": output["FunctionArn"] });
                Made::new(text(&output["FunctionArn"]), attributes)
            },
            key: |made, _| {
                let (function, version) = made.physical_id.rsplit_once(':').unwrap_or((&made.physical_id, ""));
                json!({ "FunctionName": function, "Qualifier": version })
            },
        },
    ),
    (
        "AWS::Logs::LogStream",
        Simple {
            service: "logs",
            create: "CreateLogStream",
            update: None,
            delete: "DeleteLogStream",
            name: Some(("LogStreamName", 512)),
            members: &["LogGroupName"],
            replace: &[],
            tags: Tags::No,
            shape: as_it_is,
            made: named,
            key: |made, properties| json!({ "LogGroupName": properties["LogGroupName"], "LogStreamName": made.physical_id }),
        },
    ),
    (
        "AWS::Logs::MetricFilter",
        Simple {
            service: "logs",
            create: "PutMetricFilter",
            update: Some("PutMetricFilter"),
            delete: "DeleteMetricFilter",
            name: Some(("FilterName", 512)),
            members: &["ApplyOnTransformedLogs", "FilterPattern", "LogGroupName", "MetricTransformations"],
            replace: &["LogGroupName"],
            tags: Tags::No,
            shape: |input| {
                for one in input.get_mut("MetricTransformations").and_then(Value::as_array_mut).into_iter().flatten() {
                    if let Value::Object(one) = one {
                        list_to_map(one, "Dimensions", ("Key", "Value"));
                    }
                }
            },
            made: named,
            key: of_a_filter,
        },
    ),
    (
        "AWS::Logs::QueryDefinition",
        Simple {
            service: "logs",
            create: "PutQueryDefinition",
            update: Some("PutQueryDefinition"),
            delete: "DeleteQueryDefinition",
            name: None,
            members: &["LogGroupNames", "Name", "QueryLanguage", "QueryString"],
            replace: &[],
            tags: Tags::No,
            shape: as_it_is,
            made: |_, _, _, output| {
                let id = text(&output["QueryDefinitionId"]);
                Made::new(id.clone(), json!({ "QueryDefinitionId": id }))
            },
            key: |made, _| json!({ "QueryDefinitionId": made.physical_id }),
        },
    ),
    (
        "AWS::Logs::ResourcePolicy",
        Simple {
            service: "logs",
            create: "PutResourcePolicy",
            update: Some("PutResourcePolicy"),
            delete: "DeleteResourcePolicy",
            name: None,
            members: &["PolicyDocument", "PolicyName"],
            replace: &["PolicyName"],
            tags: Tags::No,
            shape: |input| {
                if let Some(policy) = input.get_mut("PolicyDocument") {
                    *policy = document(policy).into();
                }
            },
            made: |_, properties, _, _| Made::new(text(&properties["PolicyName"]), json!({})),
            key: |made, _| json!({ "PolicyName": made.physical_id }),
        },
    ),
    (
        "AWS::Logs::SubscriptionFilter",
        Simple {
            service: "logs",
            create: "PutSubscriptionFilter",
            update: Some("PutSubscriptionFilter"),
            delete: "DeleteSubscriptionFilter",
            name: Some(("FilterName", 512)),
            members: &["DestinationArn", "Distribution", "FilterPattern", "LogGroupName", "RoleArn"],
            replace: &["LogGroupName"],
            tags: Tags::No,
            shape: as_it_is,
            made: named,
            key: of_a_filter,
        },
    ),
    (
        "AWS::SageMaker::Endpoint",
        Simple {
            service: "sagemaker",
            create: "CreateEndpoint",
            update: Some("UpdateEndpoint"),
            delete: "DeleteEndpoint",
            name: Some(("EndpointName", 63)),
            members: &[
                "DeploymentConfig",
                "EndpointConfigName",
                "ExcludeRetainedVariantProperties",
                "RetainAllVariantProperties",
                "RetainDeploymentConfig",
            ],
            replace: &[],
            tags: Tags::List,
            shape: as_it_is,
            made: |_, _, name, output| Made::new(text(&output["EndpointArn"]), json!({ "EndpointName": name })),
            key: |made, _| json!({ "EndpointName": made.attribute("EndpointName") }),
        },
    ),
    (
        "AWS::SageMaker::EndpointConfig",
        Simple {
            service: "sagemaker",
            create: "CreateEndpointConfig",
            update: None,
            delete: "DeleteEndpointConfig",
            name: Some(("EndpointConfigName", 63)),
            members: &["AsyncInferenceConfig", "DataCaptureConfig", "KmsKeyId", "ProductionVariants"],
            replace: &[],
            tags: Tags::List,
            shape: as_it_is,
            made: |_, _, name, output| {
                Made::new(text(&output["EndpointConfigArn"]), json!({ "EndpointConfigName": name }))
            },
            key: |made, _| json!({ "EndpointConfigName": made.attribute("EndpointConfigName") }),
        },
    ),
    (
        "AWS::Scheduler::ScheduleGroup",
        Simple {
            service: "scheduler",
            create: "CreateScheduleGroup",
            update: None,
            delete: "DeleteScheduleGroup",
            name: Some(("Name", 64)),
            members: &[],
            replace: &[],
            tags: Tags::List,
            shape: as_it_is,
            made: |_, _, name, output| Made::new(name, json!({ "Arn": output["ScheduleGroupArn"], "State": "ACTIVE" })),
            key: |made, _| json!({ "Name": made.physical_id }),
        },
    ),
    (
        "AWS::Lambda::Url",
        Simple {
            service: "lambda",
            create: "CreateFunctionUrlConfig",
            update: Some("UpdateFunctionUrlConfig"),
            delete: "DeleteFunctionUrlConfig",
            name: None,
            members: &["AuthType", "Cors", "InvokeMode", "Qualifier", "TargetFunctionArn"],
            replace: &["Qualifier", "TargetFunctionArn"],
            tags: Tags::No,
            shape: |input| {
                if let Some(function) = input.remove("TargetFunctionArn") {
                    input.insert("FunctionName".to_owned(), function);
                }
            },
            made: |_, _, _, output| {
                let attributes = json!({ "FunctionArn": output["FunctionArn"], "FunctionUrl": output["FunctionUrl"] });
                Made::new(text(&output["FunctionArn"]), attributes)
            },
            key: |_, properties| match properties.get("Qualifier") {
                Some(qualifier) => json!({ "FunctionName": properties["TargetFunctionArn"], "Qualifier": qualifier }),
                None => json!({ "FunctionName": properties["TargetFunctionArn"] }),
            },
        },
    ),
    (
        "AWS::Events::EventBusPolicy",
        Simple {
            service: "events",
            create: "PutPermission",
            update: Some("PutPermission"),
            delete: "RemovePermission",
            name: None,
            members: &["Action", "Condition", "EventBusName", "Principal", "Statement", "StatementId"],
            replace: &["EventBusName", "StatementId"],
            tags: Tags::No,
            shape: bus_policy,
            made: |_, properties, _, _| {
                Made::new(
                    format!("{}|{}", text(&properties["EventBusName"]), text(&properties["StatementId"])),
                    json!({}),
                )
            },
            key: |_, properties| {
                let mut key = pick(properties, &["EventBusName", "StatementId"]);
                key.retain(|_, value| !value.is_null());
                key.into()
            },
        },
    ),
    (
        "AWS::Lambda::LayerVersionPermission",
        Simple {
            service: "lambda",
            create: "AddLayerVersionPermission",
            update: None,
            delete: "RemoveLayerVersionPermission",
            name: None,
            members: &["Action", "LayerVersionArn", "OrganizationId", "Principal"],
            replace: &[],
            tags: Tags::No,
            shape: |input| {
                let layer = input.remove("LayerVersionArn").map(|arn| text(&arn)).unwrap_or_default();
                let (layer, version) = layer.rsplit_once(':').unwrap_or((&layer, "0"));
                let sid =
                    format!("cfn-{}", text(&input["Principal"]).replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
                input.insert("LayerName".to_owned(), layer.into());
                input.insert("VersionNumber".to_owned(), version.into());
                input.insert("StatementId".to_owned(), sid.into());
            },
            made: |_, properties, _, _| {
                let sid = format!(
                    "cfn-{}",
                    text(&properties["Principal"]).replace(|c: char| !c.is_ascii_alphanumeric(), "-")
                );
                Made::new(format!("{}#{sid}", text(&properties["LayerVersionArn"])), json!({}))
            },
            key: |made, _| {
                let (arn, sid) = made.physical_id.rsplit_once('#').unwrap_or((&made.physical_id, ""));
                let (layer, version) = arn.rsplit_once(':').unwrap_or((arn, "0"));
                json!({ "LayerName": layer, "VersionNumber": version, "StatementId": sid })
            },
        },
    ),
    (
        "AWS::SecretsManager::RotationSchedule",
        Simple {
            service: "secretsmanager",
            create: "RotateSecret",
            update: Some("RotateSecret"),
            delete: "CancelRotateSecret",
            name: None,
            members: &["RotateImmediatelyOnUpdate", "RotationLambdaARN", "RotationRules", "SecretId"],
            replace: &["SecretId"],
            tags: Tags::No,
            shape: |input| {
                if let Some(now) = input.remove("RotateImmediatelyOnUpdate") {
                    input.insert("RotateImmediately".to_owned(), now);
                }
            },
            made: |_, _, _, output| Made::new(text(&output["ARN"]), json!({ "Id": output["ARN"] })),
            key: |made, _| json!({ "SecretId": made.physical_id }),
        },
    ),
    (
        "AWS::SecretsManager::ResourcePolicy",
        Simple {
            service: "secretsmanager",
            create: "PutResourcePolicy",
            update: Some("PutResourcePolicy"),
            delete: "DeleteResourcePolicy",
            name: None,
            members: &["BlockPublicPolicy", "ResourcePolicy", "SecretId"],
            replace: &["SecretId"],
            tags: Tags::No,
            shape: |input| {
                if let Some(policy) = input.get("ResourcePolicy") {
                    input.insert("ResourcePolicy".to_owned(), document(policy).into());
                }
            },
            made: |_, _, _, output| Made::new(text(&output["ARN"]), json!({ "Id": output["ARN"] })),
            key: |made, _| json!({ "SecretId": made.physical_id }),
        },
    ),
    (
        "AWS::Pipes::Pipe",
        Simple {
            service: "pipes",
            create: "CreatePipe",
            update: Some("UpdatePipe"),
            delete: "DeletePipe",
            name: Some(("Name", 64)),
            members: &[
                "Description",
                "DesiredState",
                "Enrichment",
                "EnrichmentParameters",
                "KmsKeyIdentifier",
                "LogConfiguration",
                "RoleArn",
                "Source",
                "SourceParameters",
                "Target",
                "TargetParameters",
            ],
            replace: &["Source"],
            tags: Tags::Map,
            shape: as_it_is,
            made: |_, _, name, output| {
                Made::new(
                    name,
                    json!({ "Arn": output["Arn"], "CurrentState": "RUNNING", "StateReason": "USER_INITIATED" }),
                )
            },
            key: |made, _| json!({ "Name": made.physical_id }),
        },
    ),
    (
        "AWS::Events::ApiDestination",
        Simple {
            service: "events",
            create: "CreateApiDestination",
            update: Some("UpdateApiDestination"),
            delete: "DeleteApiDestination",
            name: Some(("Name", 64)),
            members: &[
                "ConnectionArn",
                "Description",
                "HttpMethod",
                "InvocationEndpoint",
                "InvocationRateLimitPerSecond",
            ],
            replace: &[],
            tags: Tags::No,
            shape: as_it_is,
            made: |at, _, name, output| {
                let short = at.arn("events", format!("api-destination/{name}"));
                Made::new(name, json!({ "Arn": output["ApiDestinationArn"], "ArnForPolicy": short }))
            },
            key: |made, _| json!({ "Name": made.physical_id }),
        },
    ),
    (
        "AWS::Events::Archive",
        Simple {
            service: "events",
            create: "CreateArchive",
            update: Some("UpdateArchive"),
            delete: "DeleteArchive",
            name: Some(("ArchiveName", 48)),
            members: &["Description", "EventPattern", "RetentionDays", "SourceArn"],
            replace: &["SourceArn", "EventSourceArn"],
            tags: Tags::No,
            shape: |input| {
                if let Some(source) = input.remove("SourceArn") {
                    input.insert("EventSourceArn".to_owned(), source);
                }
                if let Some(pattern) = input.get("EventPattern").map(document) {
                    input.insert("EventPattern".to_owned(), pattern.into());
                }
            },
            made: |at, _, name, _| {
                Made::new(name, json!({ "Arn": at.arn("events", format!("archive/{name}")), "ArchiveName": name }))
            },
            key: |made, _| json!({ "ArchiveName": made.physical_id }),
        },
    ),
];
