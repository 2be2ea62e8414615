//! How resources of types that neither drift nor imports look at are read: by the operations that describe them, as their properties are
//! written in templates. Identifiers of several properties are told with `|` between them, in the order of the type's primary identifier.

use serde_json::{Map, Value, json};

use super::existing::{Found, json_of};
use super::whole::{self, look, strip};
use super::{Context, Made, same, text};
use crate::Result;

type Properties = Map<String, Value>;

/// The resource of an identifier; `None` where there is none.
pub(super) async fn find(at: &Context, kind: &str, id: &str) -> Result<Option<Found>> {
    let found = match kind {
        "AWS::Athena::DataCatalog" => data_catalog(at, id).await?,
        "AWS::Athena::NamedQuery" => named_query(at, id).await?,
        "AWS::Athena::PreparedStatement" => prepared_statement(at, id).await?,
        "AWS::CloudTrail::Trail" => trail(at, id).await?,
        "AWS::CloudWatch::CompositeAlarm" => return composite_alarm(at, id).await,
        "AWS::CloudWatch::Dashboard" => dashboard(at, id).await?,
        "AWS::Events::ApiDestination" => api_destination(at, id).await?,
        "AWS::Events::Archive" => archive(at, id).await?,
        "AWS::Events::Connection" => connection(at, id).await?,
        "AWS::Events::EventBus" => event_bus(at, id).await?,
        "AWS::Glue::Crawler" => crawler(at, id).await?,
        "AWS::Glue::Database" => database(at, id).await?,
        "AWS::Glue::Registry" => registry(at, id).await?,
        "AWS::Glue::Schema" => schema(at, id).await?,
        "AWS::Glue::Trigger" => trigger(at, id).await?,
        "AWS::IAM::Group" => group(at, id).await?,
        "AWS::IAM::GroupPolicy" => inline_policy(at, "Group", id).await?,
        "AWS::IAM::RolePolicy" => inline_policy(at, "Role", id).await?,
        "AWS::IAM::UserPolicy" => inline_policy(at, "User", id).await?,
        "AWS::IAM::InstanceProfile" => instance_profile(at, id).await?,
        "AWS::IAM::OIDCProvider" => oidc_provider(at, id).await?,
        "AWS::IAM::ServiceLinkedRole" => service_linked_role(at, id).await?,
        "AWS::IAM::User" => user(at, id).await?,
        "AWS::Pipes::Pipe" => pipe(at, id).await?,
        "AWS::SageMaker::Endpoint" => endpoint(at, id).await?,
        "AWS::SageMaker::Model" => model(at, id).await?,
        "AWS::SecretsManager::ResourcePolicy" => return secret_policy(at, id).await,
        "AWS::SecretsManager::RotationSchedule" => return rotation(at, id).await,
        "AWS::StepFunctions::StateMachineAlias" => state_machine_alias(at, id).await?,
        "AWS::StepFunctions::StateMachineVersion" => state_machine_version(at, id).await?,
        _ => return more(at, kind, id).await,
    };
    Ok(Some(found))
}

async fn more(at: &Context, kind: &str, id: &str) -> Result<Option<Found>> {
    Ok(match kind {
        "AWS::Lambda::Alias" => Some(alias(at, id).await?),
        "AWS::Lambda::EventInvokeConfig" => Some(invoke_config(at, id).await?),
        "AWS::Lambda::EventSourceMapping" => Some(mapping(at, id).await?),
        "AWS::Lambda::LayerVersion" => Some(layer_version(at, id).await?),
        "AWS::Lambda::Permission" => permission(at, id).await?,
        "AWS::Lambda::Url" => Some(url(at, id).await?),
        "AWS::Lambda::Version" => Some(version(at, id).await?),
        "AWS::Logs::LogStream" => log_stream(at, id).await?,
        "AWS::Logs::MetricFilter" => metric_filter(at, id).await?,
        "AWS::Logs::QueryDefinition" => query_definition(at, id).await?,
        "AWS::Logs::ResourcePolicy" => logs_policy(at, id).await?,
        "AWS::Logs::SubscriptionFilter" => subscription_filter(at, id).await?,
        "AWS::SNS::Subscription" => Some(subscription(at, id).await?),
        "AWS::SNS::TopicInlinePolicy" => topic_policy(at, id).await?,
        "AWS::SQS::QueueInlinePolicy" => queue_policy(at, id).await?,
        "AWS::Scheduler::Schedule" => schedule(at, id).await?,
        "AWS::Scheduler::ScheduleGroup" => Some(schedule_group(at, id).await?),
        _ => None,
    })
}

/// What has been read: what Ref and GetAtt answer are properties, too.
fn found(id: impl Into<String>, attributes: Value, mut properties: Properties) -> Found {
    properties.extend(attributes.as_object().cloned().unwrap_or_default());
    let mut properties = Value::from(properties);
    strip(&mut properties);
    Found { made: Made::new(id, attributes), properties }
}

/// Puts a member of an answer under the name of its property.
fn put(properties: &mut Properties, property: &str, value: &Value) {
    properties.insert(property.to_owned(), value.clone());
}

/// The two parts of an identifier.
fn parts(id: &str) -> (&str, &str) {
    id.split_once('|').unwrap_or((id, ""))
}

async fn data_catalog(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("athena", "getDataCatalog", json!({ "Name": id })).await?;
    Ok(found(id, json!({}), same(&output["DataCatalog"], &["Description", "Name", "Parameters", "Type"])))
}

async fn named_query(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("athena", "getNamedQuery", json!({ "NamedQueryId": id })).await?;
    let properties = same(&output["NamedQuery"], &["Database", "Description", "Name", "QueryString", "WorkGroup"]);
    Ok(found(id, json!({ "NamedQueryId": id }), properties))
}

async fn prepared_statement(at: &Context, id: &str) -> Result<Found> {
    let (name, group) = parts(id);
    let input = json!({ "StatementName": name, "WorkGroup": group });
    let output = at.look("athena", "getPreparedStatement", input).await?;
    let statement = &output["PreparedStatement"];
    let mut properties = same(statement, &["Description", "QueryStatement", "StatementName"]);
    put(&mut properties, "WorkGroup", &statement["WorkGroupName"]);
    Ok(found(name, json!({}), properties))
}

async fn trail(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("cloudtrail", "getTrail", json!({ "Name": id })).await?;
    let trail = &output["Trail"];
    let settings = [
        "CloudWatchLogsLogGroupArn",
        "CloudWatchLogsRoleArn",
        "IncludeGlobalServiceEvents",
        "IsMultiRegionTrail",
        "IsOrganizationTrail",
        "S3BucketName",
        "S3KeyPrefix",
        "SnsTopicName",
    ];
    let mut properties = same(trail, &settings);
    put(&mut properties, "TrailName", &trail["Name"]);
    put(&mut properties, "EnableLogFileValidation", &trail["LogFileValidationEnabled"]);
    put(&mut properties, "KMSKeyId", &trail["KmsKeyId"]);
    let status = at.look("cloudtrail", "getTrailStatus", json!({ "Name": id })).await?;
    put(&mut properties, "IsLogging", &status["IsLogging"]);
    let selectors = at.look("cloudtrail", "getEventSelectors", json!({ "TrailName": id })).await?;
    properties.extend(same(&selectors, &["AdvancedEventSelectors", "EventSelectors"]));
    Ok(found(id, json!({ "Arn": trail["TrailARN"], "SnsTopicArn": trail["SnsTopicARN"] }), properties))
}

async fn composite_alarm(at: &Context, id: &str) -> Result<Option<Found>> {
    let input = json!({ "AlarmNames": [id], "AlarmTypes": ["CompositeAlarm"] });
    let output = at.look("cloudwatch", "describeAlarms", input).await?;
    let Some(alarm) = output["CompositeAlarms"].get(0) else { return Ok(None) };
    let members = [
        "ActionsEnabled",
        "ActionsSuppressor",
        "ActionsSuppressorExtensionPeriod",
        "ActionsSuppressorWaitPeriod",
        "AlarmActions",
        "AlarmDescription",
        "AlarmName",
        "AlarmRule",
        "InsufficientDataActions",
        "OKActions",
    ];
    Ok(Some(found(id, json!({ "Arn": alarm["AlarmArn"] }), same(alarm, &members))))
}

async fn dashboard(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("cloudwatch", "getDashboard", json!({ "DashboardName": id })).await?;
    Ok(found(id, json!({}), same(&output, &["DashboardBody", "DashboardName"])))
}

async fn api_destination(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("eventbridge", "describeApiDestination", json!({ "Name": id })).await?;
    let members =
        ["ConnectionArn", "Description", "HttpMethod", "InvocationEndpoint", "InvocationRateLimitPerSecond", "Name"];
    let short = at.arn("events", format!("api-destination/{id}"));
    let attributes = json!({ "Arn": output["ApiDestinationArn"], "ArnForPolicy": short });
    Ok(found(id, attributes, same(&output, &members)))
}

async fn archive(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("eventbridge", "describeArchive", json!({ "ArchiveName": id })).await?;
    let mut properties = same(&output, &["ArchiveName", "Description", "RetentionDays"]);
    put(&mut properties, "SourceArn", &output["EventSourceArn"]);
    properties.insert("EventPattern".to_owned(), json_of(&output["EventPattern"]));
    Ok(found(id, json!({ "Arn": output["ArchiveArn"] }), properties))
}

async fn connection(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("eventbridge", "describeConnection", json!({ "Name": id })).await?;
    let mut properties = same(&output, &["AuthParameters", "AuthorizationType", "Description", "Name"]);
    put(&mut properties, "KmsKeyIdentifier", &output["KmsKeyIdentifier"]);
    // Never told, as they may hold secrets.
    if let Some(Value::Object(parameters)) = properties.get_mut("AuthParameters") {
        parameters.shift_remove("InvocationHttpParameters");
        if let Some(Value::Object(oauth)) = parameters.get_mut("OAuthParameters") {
            oauth.shift_remove("OAuthHttpParameters");
        }
    }
    let arn = text(&output["ConnectionArn"]);
    let short = arn.rsplit_once('/').map_or(arn.as_str(), |(short, _)| short).to_owned();
    let attributes = json!({ "Arn": arn, "ArnForPolicy": short, "SecretArn": output["SecretArn"] });
    Ok(found(id, attributes, properties))
}

async fn event_bus(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("eventbridge", "describeEventBus", json!({ "Name": id })).await?;
    let mut properties = same(&output, &["Description", "Name"]);
    properties.insert("Policy".to_owned(), json_of(&output["Policy"]));
    Ok(found(id, json!({ "Arn": output["Arn"] }), properties))
}

async fn crawler(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("glue", "getCrawler", json!({ "Name": id })).await?;
    let crawler = &output["Crawler"];
    let members = [
        "Classifiers",
        "Configuration",
        "CrawlerSecurityConfiguration",
        "DatabaseName",
        "Description",
        "LakeFormationConfiguration",
        "Name",
        "RecrawlPolicy",
        "Role",
        "SchemaChangePolicy",
        "TablePrefix",
        "Targets",
    ];
    let mut properties = same(crawler, &members);
    let schedule = &crawler["Schedule"]["ScheduleExpression"];
    if !schedule.is_null() {
        properties.insert("Schedule".to_owned(), json!({ "ScheduleExpression": schedule }));
    }
    Ok(found(id, json!({}), properties))
}

async fn database(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("glue", "getDatabase", json!({ "Name": id })).await?;
    let database = &output["Database"];
    let members = [
        "CreateTableDefaultPermissions",
        "Description",
        "FederatedDatabase",
        "LocationUri",
        "Name",
        "Parameters",
        "TargetDatabase",
    ];
    let mut properties = Properties::new();
    put(&mut properties, "CatalogId", &database["CatalogId"]);
    put(&mut properties, "DatabaseName", &database["Name"]);
    properties.insert("DatabaseInput".to_owned(), same(database, &members).into());
    Ok(found(id, json!({}), properties))
}

async fn registry(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("glue", "getRegistry", json!({ "RegistryId": { "RegistryArn": id } })).await?;
    let mut properties = same(&output, &["Description"]);
    put(&mut properties, "Name", &output["RegistryName"]);
    Ok(found(id, json!({ "Arn": output["RegistryArn"] }), properties))
}

async fn schema(at: &Context, id: &str) -> Result<Found> {
    let named = json!({ "SchemaArn": id });
    let output = at.look("glue", "getSchema", json!({ "SchemaId": named })).await?;
    let mut properties = same(&output, &["Compatibility", "DataFormat", "Description"]);
    put(&mut properties, "Name", &output["SchemaName"]);
    properties.insert("Registry".to_owned(), json!({ "Arn": output["RegistryArn"] }));
    if !output["SchemaCheckpoint"].is_null() {
        let checkpoint = json!({ "VersionNumber": output["SchemaCheckpoint"] });
        properties.insert("CheckpointVersion".to_owned(), checkpoint);
    }
    let input = json!({ "SchemaId": named, "SchemaVersionNumber": { "VersionNumber": 1 } });
    let first = look(at, "glue", "getSchemaVersion", input).await?;
    let attributes = json!({ "Arn": output["SchemaArn"], "InitialSchemaVersionId": first["SchemaVersionId"] });
    Ok(found(id, attributes, properties))
}

async fn trigger(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("glue", "getTrigger", json!({ "Name": id })).await?;
    let members =
        ["Actions", "Description", "EventBatchingCondition", "Name", "Predicate", "Schedule", "Type", "WorkflowName"];
    Ok(found(id, json!({}), same(&output["Trigger"], &members)))
}

/// The policies of a group or a user, inline ones with their documents.
async fn policies(at: &Context, what: &str, name: &str) -> Result<Properties> {
    let named = json!({ format!("{what}Name"): name });
    let attached = at.look("iam", &format!("listAttached{what}Policies"), named.clone()).await?;
    let arns = attached["AttachedPolicies"].as_array().into_iter().flatten().map(|one| one["PolicyArn"].clone());
    let arns: Value = arns.collect();
    let listed = at.look("iam", &format!("list{what}Policies"), named.clone()).await?;
    let mut inline = Vec::new();
    for policy in listed["PolicyNames"].as_array().into_iter().flatten() {
        let mut input = named.clone();
        input["PolicyName"] = policy.clone();
        let told = at.look("iam", &format!("get{what}Policy"), input).await?;
        inline.push(json!({ "PolicyName": policy, "PolicyDocument": json_of(&told["PolicyDocument"]) }));
    }
    Ok(Map::from_iter([("ManagedPolicyArns".to_owned(), arns), ("Policies".to_owned(), inline.into())]))
}

async fn group(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("iam", "getGroup", json!({ "GroupName": id })).await?;
    let mut properties = same(&output["Group"], &["GroupName", "Path"]);
    properties.extend(policies(at, "Group", id).await?);
    Ok(found(id, json!({ "Arn": output["Group"]["Arn"] }), properties))
}

async fn inline_policy(at: &Context, what: &str, id: &str) -> Result<Found> {
    let (name, holder) = parts(id);
    let of = format!("{what}Name");
    let output = at.look("iam", &format!("get{what}Policy"), json!({ &of: holder, "PolicyName": name })).await?;
    let mut properties = same(&output, &["PolicyName", &of]);
    properties.insert("PolicyDocument".to_owned(), json_of(&output["PolicyDocument"]));
    Ok(found(id, json!({}), properties))
}

async fn instance_profile(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("iam", "getInstanceProfile", json!({ "InstanceProfileName": id })).await?;
    let profile = &output["InstanceProfile"];
    let mut properties = same(profile, &["InstanceProfileName", "Path"]);
    let roles = profile["Roles"].as_array().into_iter().flatten().map(|role| role["RoleName"].clone());
    properties.insert("Roles".to_owned(), roles.collect());
    Ok(found(id, json!({ "Arn": profile["Arn"] }), properties))
}

async fn oidc_provider(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("iam", "getOpenIDConnectProvider", json!({ "OpenIDConnectProviderArn": id })).await?;
    let mut properties = same(&output, &["Tags", "ThumbprintList"]);
    put(&mut properties, "ClientIdList", &output["ClientIDList"]);
    let url = text(&output["Url"]);
    let url = if url.starts_with("https://") { url } else { format!("https://{url}") };
    properties.insert("Url".to_owned(), url.into());
    Ok(found(id, json!({ "Arn": id }), properties))
}

async fn service_linked_role(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("iam", "getRole", json!({ "RoleName": id })).await?;
    let role = &output["Role"];
    if !text(&role["Path"]).starts_with("/aws-service-role/") {
        let message = format!("The service-linked role with name {id} cannot be found.");
        return Err(wire::Error::new("NoSuchEntity", 404, message));
    }
    Ok(found(id, json!({ "RoleName": id }), same(role, &["Description"])))
}

async fn user(at: &Context, id: &str) -> Result<Found> {
    let named = json!({ "UserName": id });
    let output = at.look("iam", "getUser", named.clone()).await?;
    let user = &output["User"];
    let mut properties = same(user, &["Path", "Tags", "UserName"]);
    put(&mut properties, "PermissionsBoundary", &user["PermissionsBoundary"]["PermissionsBoundaryArn"]);
    properties.extend(policies(at, "User", id).await?);
    let groups = at.look("iam", "listGroupsForUser", named).await?;
    let groups = groups["Groups"].as_array().into_iter().flatten().map(|group| group["GroupName"].clone());
    properties.insert("Groups".to_owned(), groups.collect());
    Ok(found(id, json!({ "Arn": user["Arn"] }), properties))
}

/// The function's ARN and the last part, which is an alias or a version.
fn qualified(arn: &str) -> (&str, &str) {
    arn.rsplit_once(':').unwrap_or((arn, ""))
}

/// The name within a function's ARN.
fn function_name(arn: &str) -> &str {
    arn.split(':').nth(6).unwrap_or(arn)
}

async fn provisioned(at: &Context, arn: &str, properties: &mut Properties) -> Result<()> {
    let (function, qualifier) = qualified(arn);
    let input = json!({ "FunctionName": function, "Qualifier": qualifier });
    let output = match at.look("lambda", "getProvisionedConcurrencyConfig", input).await {
        Err(error) if error.is("ProvisionedConcurrencyConfigNotFoundException") => return Ok(()),
        output => output?,
    };
    let asked = json!({ "ProvisionedConcurrentExecutions": output["RequestedProvisionedConcurrentExecutions"] });
    properties.insert("ProvisionedConcurrencyConfig".to_owned(), asked);
    Ok(())
}

async fn alias(at: &Context, id: &str) -> Result<Found> {
    let (function, name) = qualified(id);
    let output = at.look("lambda", "getAlias", json!({ "FunctionName": function, "Name": name })).await?;
    let mut properties = same(&output, &["Description", "FunctionVersion", "Name"]);
    properties.insert("FunctionName".to_owned(), function_name(function).into());
    let weights = output["RoutingConfig"]["AdditionalVersionWeights"].as_object().into_iter().flatten();
    let weights: Vec<Value> =
        weights.map(|(version, weight)| json!({ "FunctionVersion": version, "FunctionWeight": weight })).collect();
    if !weights.is_empty() {
        properties.insert("RoutingConfig".to_owned(), json!({ "AdditionalVersionWeights": weights }));
    }
    provisioned(at, id, &mut properties).await?;
    Ok(found(id, json!({ "AliasArn": id }), properties))
}

async fn invoke_config(at: &Context, id: &str) -> Result<Found> {
    let (function, qualifier) = parts(id);
    let input = json!({ "FunctionName": function, "Qualifier": qualifier });
    let output = at.look("lambda", "getFunctionEventInvokeConfig", input).await?;
    let mut properties = same(&output, &["MaximumEventAgeInSeconds", "MaximumRetryAttempts"]);
    // A destination that is not set is told without one.
    let mut destinations = output["DestinationConfig"].clone();
    if let Some(destinations) = destinations.as_object_mut() {
        destinations.retain(|_, one| one["Destination"].is_string());
        if !destinations.is_empty() {
            properties.insert("DestinationConfig".to_owned(), destinations.clone().into());
        }
    }
    properties.insert("FunctionName".to_owned(), function.into());
    properties.insert("Qualifier".to_owned(), qualifier.into());
    Ok(found(id, json!({}), properties))
}

async fn mapping(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("lambda", "getEventSourceMapping", json!({ "UUID": id })).await?;
    let mut properties = same(&output, super::simple::MAPPING);
    put(&mut properties, "FunctionName", &output["FunctionArn"]);
    let enabled = matches!(output["State"].as_str(), Some("Enabled" | "Enabling" | "Creating" | "Updating"));
    properties.insert("Enabled".to_owned(), enabled.into());
    // What is not set is told as nothing.
    properties.retain(|_, value| !matches!(value, Value::Object(map) if map.values().all(is_unset)));
    let arn = at.arn("lambda", format!("event-source-mapping:{id}"));
    Ok(found(id, json!({ "Id": id, "EventSourceMappingArn": arn }), properties))
}

fn is_unset(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(|map| map.values().all(Value::is_null))
}

async fn layer_version(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("lambda", "getLayerVersionByArn", json!({ "Arn": id })).await?;
    let members = ["CompatibleArchitectures", "CompatibleRuntimes", "Description", "LicenseInfo"];
    let mut properties = same(&output, &members);
    properties.insert("LayerName".to_owned(), function_name(id).into());
    Ok(found(id, json!({ "LayerVersionArn": id }), properties))
}

/// A statement of a function's policy, `FUNCTION|SID`.
async fn permission(at: &Context, id: &str) -> Result<Option<Found>> {
    let (function, sid) = parts(id);
    let output = at.look("lambda", "getPolicy", json!({ "FunctionName": function })).await?;
    let policy = json_of(&output["Policy"]);
    let statements = policy["Statement"].as_array().into_iter().flatten();
    let Some(statement) = statements.into_iter().find(|statement| statement["Sid"] == sid) else { return Ok(None) };
    let mut properties = same(statement, &["Action"]);
    properties.insert("FunctionName".to_owned(), function.into());
    let principal = &statement["Principal"];
    let principal = [&principal["Service"], &principal["AWS"], principal].into_iter().find(|one| one.is_string());
    put(&mut properties, "Principal", principal.unwrap_or(&Value::Null));
    let conditions = statement["Condition"].as_object().into_iter().flat_map(|all| all.values());
    for (key, value) in conditions.filter_map(Value::as_object).flatten() {
        let property = match key.to_ascii_lowercase().as_str() {
            "aws:sourcearn" => "SourceArn",
            "aws:sourceaccount" => "SourceAccount",
            "aws:principalorgid" => "PrincipalOrgID",
            "lambda:functionurlauthtype" => "FunctionUrlAuthType",
            "lambda:eventsourcetoken" => "EventSourceToken",
            "lambda:invokedviafunctionurl" => "InvokedViaFunctionUrl",
            _ => continue,
        };
        let value = if property == "InvokedViaFunctionUrl" { (text(value) == "true").into() } else { value.clone() };
        properties.insert(property.to_owned(), value);
    }
    Ok(Some(found(sid, json!({ "Id": sid }), properties)))
}

async fn url(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("lambda", "getFunctionUrlConfig", json!({ "FunctionName": id })).await?;
    let mut properties = same(&output, &["AuthType", "Cors", "InvokeMode"]);
    if output["Cors"].as_object().is_some_and(|cors| cors.values().all(Value::is_null)) {
        properties.shift_remove("Cors");
    }
    let function: Vec<&str> = id.splitn(8, ':').collect();
    properties.insert("TargetFunctionArn".to_owned(), function[..function.len().min(7)].join(":").into());
    if let Some(qualifier) = function.get(7) {
        properties.insert("Qualifier".to_owned(), (*qualifier).into());
    }
    let attributes = json!({ "FunctionArn": output["FunctionArn"], "FunctionUrl": output["FunctionUrl"] });
    Ok(found(id, attributes, properties))
}

async fn version(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("lambda", "getFunctionConfiguration", json!({ "FunctionName": id })).await?;
    let mut properties = same(&output, &["CodeSha256", "Description", "FunctionName"]);
    provisioned(at, id, &mut properties).await?;
    Ok(found(id, json!({ "Version": output["Version"], "FunctionArn": output["FunctionArn"] }), properties))
}

/// The first of a list in an answer that has such a member.
async fn listed(
    at: &Context,
    (operation, input): (&str, Value),
    members: &str,
    (name, value): (&str, &str),
) -> Result<Option<Value>> {
    let mut input = input;
    loop {
        let output = at.look("cloudwatchlogs", operation, input.clone()).await?;
        let found = output[members].as_array().into_iter().flatten().find(|one| one[name] == value);
        if found.is_some() {
            return Ok(found.cloned());
        }
        match output.get("NextToken").filter(|token| !token.is_null()) {
            Some(token) => input["NextToken"] = token.clone(),
            None => return Ok(None),
        }
    }
}

async fn log_stream(at: &Context, id: &str) -> Result<Option<Found>> {
    let (group, name) = parts(id);
    let input = json!({ "LogGroupName": group, "LogStreamNamePrefix": name });
    let told = listed(at, ("describeLogStreams", input), "LogStreams", ("LogStreamName", name)).await?;
    Ok(told.map(|_| {
        let properties = json!({ "LogGroupName": group, "LogStreamName": name });
        found(name, json!({}), properties.as_object().cloned().unwrap_or_default())
    }))
}

async fn metric_filter(at: &Context, id: &str) -> Result<Option<Found>> {
    let (group, name) = parts(id);
    let input = json!({ "LogGroupName": group, "FilterNamePrefix": name });
    let told = listed(at, ("describeMetricFilters", input), "MetricFilters", ("FilterName", name)).await?;
    let Some(filter) = told else { return Ok(None) };
    let mut properties = same(&filter, &["ApplyOnTransformedLogs", "FilterName", "FilterPattern", "LogGroupName"]);
    let transformations = filter["MetricTransformations"].as_array().into_iter().flatten().map(|one| {
        let mut one = one.clone();
        let dimensions = one["Dimensions"].as_object().into_iter().flatten();
        let dimensions: Vec<Value> = dimensions.map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
        one["Dimensions"] = if dimensions.is_empty() { Value::Null } else { dimensions.into() };
        one
    });
    let transformations: Value = transformations.collect();
    properties.insert("MetricTransformations".to_owned(), transformations);
    // An empty pattern is one: it must be there.
    Ok(Some(found(name, json!({}), properties)))
}

async fn query_definition(at: &Context, id: &str) -> Result<Option<Found>> {
    let named = ("QueryDefinitionId", id);
    let told = listed(at, ("describeQueryDefinitions", json!({})), "QueryDefinitions", named).await?;
    Ok(told.map(|query| {
        let properties = same(&query, &["LogGroupNames", "Name", "QueryLanguage", "QueryString"]);
        found(id, json!({ "QueryDefinitionId": id }), properties)
    }))
}

async fn logs_policy(at: &Context, id: &str) -> Result<Option<Found>> {
    let told = listed(at, ("describeResourcePolicies", json!({})), "ResourcePolicies", ("PolicyName", id)).await?;
    Ok(told.map(|policy| found(id, json!({}), same(&policy, &["PolicyDocument", "PolicyName"]))))
}

async fn subscription_filter(at: &Context, id: &str) -> Result<Option<Found>> {
    let (name, group) = parts(id);
    let input = json!({ "LogGroupName": group, "FilterNamePrefix": name });
    let told = listed(at, ("describeSubscriptionFilters", input), "SubscriptionFilters", ("FilterName", name)).await?;
    let members = ["DestinationArn", "Distribution", "FilterName", "FilterPattern", "LogGroupName", "RoleArn"];
    Ok(told.map(|filter| found(name, json!({}), same(&filter, &members))))
}

async fn pipe(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("pipes", "describePipe", json!({ "Name": id })).await?;
    let members = [
        "Description",
        "DesiredState",
        "Enrichment",
        "EnrichmentParameters",
        "KmsKeyIdentifier",
        "LogConfiguration",
        "Name",
        "RoleArn",
        "Source",
        "Target",
    ];
    let mut properties = same(&output, &members);
    properties.extend(same(&output, &["CreationTime", "LastModifiedTime"]));
    let attributes = json!({
        "Arn": output["Arn"], "CurrentState": output["CurrentState"], "StateReason": output["StateReason"],
    });
    Ok(found(id, attributes, properties))
}

async fn subscription(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("sns", "getSubscriptionAttributes", json!({ "SubscriptionArn": id })).await?;
    let told = &output["Attributes"];
    let mut properties = same(told, &["Endpoint", "FilterPolicyScope", "Protocol", "SubscriptionRoleArn", "TopicArn"]);
    for document in ["DeliveryPolicy", "FilterPolicy", "RedrivePolicy"] {
        properties.insert(document.to_owned(), json_of(&told[document]));
    }
    if told["FilterPolicy"].is_null() {
        properties.shift_remove("FilterPolicyScope");
    }
    properties.insert("RawMessageDelivery".to_owned(), (text(&told["RawMessageDelivery"]) == "true").into());
    Ok(found(id, json!({ "Arn": id }), properties))
}

/// `None` where the topic has what every topic has by itself.
async fn topic_policy(at: &Context, id: &str) -> Result<Option<Found>> {
    let output = at.look("sns", "getTopicAttributes", json!({ "TopicArn": id })).await?;
    let policy = json_of(&output["Attributes"]["Policy"]);
    if !policy.is_object() || policy["Id"] == "__default_policy_ID" {
        return Ok(None);
    }
    let properties = Map::from_iter([("PolicyDocument".to_owned(), policy), ("TopicArn".to_owned(), id.into())]);
    Ok(Some(found(id, json!({}), properties)))
}

async fn queue_policy(at: &Context, id: &str) -> Result<Option<Found>> {
    let input = json!({ "QueueUrl": id, "AttributeNames": ["Policy"] });
    let output = at.look("sqs", "getQueueAttributes", input).await?;
    let policy = json_of(&output["Attributes"]["Policy"]);
    if !policy.is_object() {
        return Ok(None);
    }
    let properties = Map::from_iter([("PolicyDocument".to_owned(), policy), ("Queue".to_owned(), id.into())]);
    Ok(Some(found(id, json!({}), properties)))
}

/// The name within an ARN of SageMaker.
fn last(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

async fn endpoint(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("sagemaker", "describeEndpoint", json!({ "EndpointName": last(id) })).await?;
    let mut properties = same(&output, &["EndpointConfigName"]);
    put(&mut properties, "DeploymentConfig", &output["LastDeploymentConfig"]);
    put(&mut properties, "EndpointArn", &output["EndpointArn"]);
    Ok(found(text(&output["EndpointArn"]), json!({ "EndpointName": output["EndpointName"] }), properties))
}

async fn model(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("sagemaker", "describeModel", json!({ "ModelName": last(id) })).await?;
    let members = [
        "Containers",
        "EnableNetworkIsolation",
        "ExecutionRoleArn",
        "InferenceExecutionConfig",
        "ModelArn",
        "ModelName",
        "PrimaryContainer",
        "VpcConfig",
    ];
    let arn = text(&output["ModelArn"]);
    Ok(found(arn, json!({ "ModelName": output["ModelName"] }), same(&output, &members)))
}

/// A schedule of any group: its identifier is its name alone.
async fn schedule(at: &Context, id: &str) -> Result<Option<Found>> {
    let output = at.look("scheduler", "listSchedules", json!({ "NamePrefix": id })).await?;
    let mut named: Vec<&Value> =
        output["Schedules"].as_array().into_iter().flatten().filter(|one| one["Name"] == id).collect();
    named.sort_by_key(|one| one["GroupName"] != "default");
    let Some(group) = named.first().map(|one| one["GroupName"].clone()) else { return Ok(None) };
    let output = at.look("scheduler", "getSchedule", json!({ "Name": id, "GroupName": group })).await?;
    let members = [
        "Description",
        "EndDate",
        "FlexibleTimeWindow",
        "GroupName",
        "KmsKeyArn",
        "Name",
        "ScheduleExpression",
        "ScheduleExpressionTimezone",
        "StartDate",
        "State",
        "Target",
    ];
    Ok(Some(found(id, json!({ "Arn": output["Arn"] }), same(&output, &members))))
}

async fn schedule_group(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("scheduler", "getScheduleGroup", json!({ "Name": id })).await?;
    let properties = same(&output, &["CreationDate", "LastModificationDate", "Name"]);
    Ok(found(id, json!({ "Arn": output["Arn"], "State": output["State"] }), properties))
}

async fn secret_policy(at: &Context, id: &str) -> Result<Option<Found>> {
    let output = at.look("secretsmanager", "getResourcePolicy", json!({ "SecretId": id })).await?;
    let policy = json_of(&output["ResourcePolicy"]);
    if !policy.is_object() {
        return Ok(None);
    }
    let arn = text(&output["ARN"]);
    let properties =
        Map::from_iter([("ResourcePolicy".to_owned(), policy), ("SecretId".to_owned(), arn.clone().into())]);
    Ok(Some(found(arn.clone(), json!({ "Id": arn }), properties)))
}

async fn rotation(at: &Context, id: &str) -> Result<Option<Found>> {
    let output = at.look("secretsmanager", "describeSecret", json!({ "SecretId": id })).await?;
    if output["RotationEnabled"] != true {
        return Ok(None);
    }
    let mut properties = same(&output, &["RotationLambdaARN", "RotationRules"]);
    put(&mut properties, "SecretId", &output["ARN"]);
    let arn = text(&output["ARN"]);
    Ok(Some(found(arn.clone(), json!({ "Id": arn }), properties)))
}

async fn state_machine_alias(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("sfn", "describeStateMachineAlias", json!({ "StateMachineAliasArn": id })).await?;
    Ok(found(id, json!({ "Arn": id }), same(&output, &["Description", "Name", "RoutingConfiguration"])))
}

async fn state_machine_version(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("sfn", "describeStateMachine", json!({ "StateMachineArn": id })).await?;
    let (machine, number) = qualified(id);
    if number.parse::<u64>().is_err() {
        return Err(wire::Error::new("StateMachineDoesNotExist", 400, format!("{id} is no version")));
    }
    let mut properties = same(&output, &["Description"]);
    properties.insert("StateMachineArn".to_owned(), machine.into());
    let revision = output.get("RevisionId").filter(|id| !id.is_null()).cloned();
    properties.insert("StateMachineRevisionId".to_owned(), revision.unwrap_or_else(|| "INITIAL".into()));
    Ok(found(id, json!({ "Arn": id }), properties))
}

/// A table, as a global table has its properties: with one replica, here.
pub(super) async fn global_table(at: &Context, id: &str) -> Result<Found> {
    let table = whole::table(at, id).await?;
    let told = table.properties;
    let shared = [
        "AttributeDefinitions",
        "BillingMode",
        "GlobalSecondaryIndexes",
        "KeySchema",
        "LocalSecondaryIndexes",
        "StreamSpecification",
        "TableName",
        "TimeToLiveSpecification",
    ];
    let of_replica = [
        "ContributorInsightsSpecification",
        "DeletionProtectionEnabled",
        "PointInTimeRecoverySpecification",
        "ResourcePolicy",
        "TableClass",
    ];
    let mut properties = same(&told, &shared);
    let mut replica = same(&told, &of_replica);
    replica.insert("Region".to_owned(), at.cx.region().into());
    let tags = at.look("dynamodb", "listTagsOfResource", json!({ "ResourceArn": told["Arn"] })).await?;
    if tags["Tags"].as_array().is_some_and(|tags| !tags.is_empty()) {
        put(&mut replica, "Tags", &tags["Tags"]);
    }
    if let Some(encryption) = told.get("SSESpecification") {
        properties.insert("SSESpecification".to_owned(), same(encryption, &["SSEEnabled", "SSEType"]).into());
        if let Some(key) = encryption.get("KMSMasterKeyId") {
            replica.insert("SSESpecification".to_owned(), json!({ "KMSMasterKeyId": key }));
        }
    }
    let limits = &told["OnDemandThroughput"];
    if let Some(writes) = limits.get("MaxWriteRequestUnits") {
        let writes = json!({ "MaxWriteRequestUnits": writes });
        properties.insert("WriteOnDemandThroughputSettings".to_owned(), writes);
    }
    if let Some(reads) = limits.get("MaxReadRequestUnits") {
        replica.insert("ReadOnDemandThroughputSettings".to_owned(), json!({ "MaxReadRequestUnits": reads }));
    }
    replica.retain(|_, value| !value.is_null());
    properties.insert("Replicas".to_owned(), json!([replica]));
    let described = at.look("dynamodb", "describeTable", json!({ "TableName": id })).await?;
    let mut attributes = table.made.attributes;
    attributes["TableId"] = described["Table"]["TableId"].clone();
    Ok(found(id, attributes, properties))
}
