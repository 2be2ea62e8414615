//! Resources as they are, with all of their properties that can be told: what the Cloud Control API reads, changes and writes back. A type that
//! is not here is not managed there, since a property that is left out would look as if it were not set.
//! Source: the read handlers' schemas in the Template Reference.

use serde_json::{Map, Value, json};

use super::existing::{self, Found};
use super::{Context, Made, is_missing, same, tags, text, told};
use crate::Result;

/// The resource of a primary identifier; `None` where there is none.
pub(crate) async fn find(at: &Context, kind: &str, id: &str) -> Result<Option<Found>> {
    let found = match own(at, kind, id).await {
        Err(error) if is_missing(&error) => None,
        found => found?,
    };
    let Some(mut found) = found else { return Ok(None) };
    let mut properties = found.properties.as_object().cloned().unwrap_or_default();
    match tags::told(kind, at, &found.made).await {
        Err(error) if is_missing(&error) => return Ok(None),
        told => properties.extend(told?.map(|tags| ("Tags".to_owned(), tags))),
    }
    // A pattern that lets all through is one.
    properties.retain(|name, value| name == "FilterPattern" || !is_nothing(value));
    found.properties = properties.into();
    Ok(Some(found))
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

async fn own(at: &Context, kind: &str, id: &str) -> Result<Option<Found>> {
    Ok(match kind {
        "AWS::Athena::WorkGroup" => Some(work_group(at, id).await?),
        "AWS::CloudWatch::Alarm" => alarm(at, id).await?,
        "AWS::DynamoDB::GlobalTable" => Some(told::global_table(at, id).await?),
        "AWS::DynamoDB::Table" => Some(table(at, id).await?),
        "AWS::Events::Rule" => Some(rule(at, id).await?),
        "AWS::Glue::Job" => Some(job(at, id).await?),
        "AWS::IAM::ManagedPolicy" => Some(managed_policy(at, id).await?),
        "AWS::KMS::Alias" => alias(at, id).await?,
        "AWS::S3::BucketPolicy" => Some(bucket_policy(at, id).await?),
        "AWS::StepFunctions::Activity" => Some(activity(at, id).await?),
        _ if existing::identifier(kind).is_none() => told::find(at, kind, id).await?,
        _ => match existing::find(at, kind, id).await? {
            None => None,
            Some(found) => more(at, kind, found).await?,
        },
    })
}

/// What drift does not look at.
async fn more(at: &Context, kind: &str, mut found: Found) -> Result<Option<Found>> {
    let mut properties = found.properties.as_object().cloned().unwrap_or_default();
    let id = found.made.physical_id.clone();
    match kind {
        "AWS::ECR::Repository" => repository(at, &id, &mut properties).await?,
        "AWS::IAM::Role" => role(at, &id, &mut properties).await?,
        "AWS::KMS::Key" if !key(at, &id, &mut properties).await? => return Ok(None),
        "AWS::Lambda::Function" => function(at, &id, &mut properties).await?,
        "AWS::S3::Bucket" => bucket(at, &id, &mut properties).await?,
        "AWS::SNS::Topic" => topic(at, &id, &mut properties).await?,
        "AWS::SQS::Queue" => scalars(&mut properties),
        "AWS::SSM::Parameter" => parameter(at, &id, &mut properties).await?,
        "AWS::SecretsManager::Secret" => {
            let secret = at.look("secretsmanager", "describeSecret", json!({ "SecretId": id })).await?;
            if secret.get("DeletedDate").is_some_and(|date| !date.is_null()) {
                return Ok(None);
            }
        }
        "AWS::StepFunctions::StateMachine" => state_machine(at, &id, &mut properties).await?,
        _ => {}
    }
    // What Ref and GetAtt answer are properties that are only read.
    properties.extend(found.made.attributes.as_object().cloned().unwrap_or_default());
    found.properties = properties.into();
    Ok(Some(found))
}

/// `None` where a setting is not there.
pub(super) async fn look(at: &Context, service: &str, operation: &str, input: Value) -> Result<Value> {
    // Of a repository that is there.
    let unset = ["RepositoryPolicyNotFoundException", "LifecyclePolicyNotFoundException"];
    match at.look(service, operation, input).await {
        Err(error) if is_missing(&error) || unset.contains(&error.code()) => Ok(Value::Null),
        output => output,
    }
}

/// Texts of numbers and truths as what they are.
fn scalars(properties: &mut Map<String, Value>) {
    for (name, value) in properties {
        let Some(given) = value.as_str().filter(|_| !name.ends_with("Name") && !name.ends_with("Id")) else { continue };
        if let Ok(plain @ (Value::Number(_) | Value::Bool(_))) = serde_json::from_str::<Value>(given) {
            *value = plain;
        }
    }
}

async fn work_group(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("athena", "getWorkGroup", json!({ "WorkGroup": id })).await?;
    let group = &output["WorkGroup"];
    let mut properties = same(group, &["Name", "Description", "State"]);
    let mut configuration = group["Configuration"].clone();
    strip(&mut configuration);
    properties.insert("WorkGroupConfiguration".to_owned(), configuration);
    Ok(Found { made: Made::new(id, json!({})), properties: properties.into() })
}

/// Takes out what is null, however deep.
pub(super) fn strip(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

async fn alarm(at: &Context, id: &str) -> Result<Option<Found>> {
    let input = json!({ "AlarmNames": [id], "AlarmTypes": ["MetricAlarm"] });
    let output = at.look("cloudwatch", "describeAlarms", input).await?;
    let mut alarm = output["MetricAlarms"][0].clone();
    if alarm.is_null() {
        return Ok(None);
    }
    strip(&mut alarm);
    let mut properties = same(&alarm, super::simple::ALARM);
    properties.extend(same(&alarm, &["AlarmName"]));
    properties.insert("Arn".to_owned(), alarm["AlarmArn"].clone());
    Ok(Some(Found { made: Made::new(id, json!({ "Arn": alarm["AlarmArn"] })), properties: properties.into() }))
}

pub(super) async fn table(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("dynamodb", "describeTable", json!({ "TableName": id })).await?;
    let mut table = output["Table"].clone();
    strip(&mut table);
    let mut properties = same(&table, &["TableName", "KeySchema", "AttributeDefinitions", "DeletionProtectionEnabled"]);
    let mode = table["BillingModeSummary"].get("BillingMode").cloned().unwrap_or_else(|| "PROVISIONED".into());
    let provisioned = mode == "PROVISIONED";
    let throughput = |of: &Value| {
        let all = &of["ProvisionedThroughput"];
        if provisioned { same(all, &["ReadCapacityUnits", "WriteCapacityUnits"]).into() } else { Value::Null }
    };
    properties.insert("ProvisionedThroughput".to_owned(), throughput(&table));
    properties.insert("BillingMode".to_owned(), mode);
    for (property, members) in [
        ("GlobalSecondaryIndexes", &["IndexName", "KeySchema", "Projection"]),
        ("LocalSecondaryIndexes", &["IndexName", "KeySchema", "Projection"]),
    ] {
        let indexes = table[property].as_array().into_iter().flatten().map(|index| {
            let mut one = same(index, members);
            if property.starts_with("Global") && provisioned {
                one.insert("ProvisionedThroughput".to_owned(), throughput(index));
            }
            Value::from(one)
        });
        let indexes: Value = indexes.collect();
        properties.insert(property.to_owned(), indexes);
    }
    if table["StreamSpecification"]["StreamEnabled"] == true {
        properties
            .insert("StreamSpecification".to_owned(), same(&table["StreamSpecification"], &["StreamViewType"]).into());
    }
    if let Some(encryption) = table.get("SSEDescription").filter(|sse| sse["Status"] == "ENABLED") {
        let mut told = same(encryption, &["SSEType"]);
        told.insert("SSEEnabled".to_owned(), true.into());
        told.insert("KMSMasterKeyId".to_owned(), encryption["KMSMasterKeyArn"].clone());
        told.retain(|_, value| !value.is_null());
        properties.insert("SSESpecification".to_owned(), told.into());
    }
    properties.insert("TableClass".to_owned(), table["TableClassSummary"]["TableClass"].clone());
    properties.extend(existing::settings_of_table(at, id, &table).await?);
    let named = json!({ "TableName": id });
    let ttl = at.look("dynamodb", "describeTimeToLive", named.clone()).await?;
    let ttl = &ttl["TimeToLiveDescription"];
    if matches!(ttl["TimeToLiveStatus"].as_str(), Some("ENABLED" | "ENABLING")) {
        let told = json!({ "AttributeName": ttl["AttributeName"], "Enabled": true });
        properties.insert("TimeToLiveSpecification".to_owned(), told);
    }
    let backups = at.look("dynamodb", "describeContinuousBackups", named).await?;
    let status =
        &backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"];
    if status == "ENABLED" {
        let told = json!({ "PointInTimeRecoveryEnabled": true });
        properties.insert("PointInTimeRecoverySpecification".to_owned(), told);
    }
    let mut attributes = json!({ "Arn": table["TableArn"] });
    if let Some(stream) = table.get("LatestStreamArn").filter(|_| properties.contains_key("StreamSpecification")) {
        attributes["StreamArn"] = stream.clone();
    }
    properties.extend(attributes.as_object().cloned().unwrap_or_default());
    Ok(Found { made: Made::new(id, attributes), properties: properties.into() })
}

/// A rule's identifier is its ARN, with the bus in it where that is not the default one.
async fn rule(at: &Context, arn: &str) -> Result<Found> {
    let place = arn.split_once(":rule/").map_or(arn, |(_, place)| place);
    let (bus, name) = place.rsplit_once('/').unwrap_or(("default", place));
    let output = at.look("eventbridge", "describeRule", json!({ "Name": name, "EventBusName": bus })).await?;
    let mut properties =
        same(&output, &["Name", "Description", "State", "ScheduleExpression", "RoleArn", "EventBusName"]);
    properties.insert("EventPattern".to_owned(), existing::json_of(&output["EventPattern"]));
    let input = json!({ "Rule": name, "EventBusName": bus });
    let targets = at.look("eventbridge", "listTargetsByRule", input).await?;
    let mut targets = targets["Targets"].clone();
    strip(&mut targets);
    properties.insert("Targets".to_owned(), targets);
    properties.insert("Arn".to_owned(), output["Arn"].clone());
    let id = if bus == "default" { name.to_owned() } else { format!("{bus}|{name}") };
    Ok(Found { made: Made::new(id, json!({ "Arn": output["Arn"] })), properties: properties.into() })
}

async fn job(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("glue", "getJob", json!({ "JobName": id })).await?;
    let mut job = output["Job"].clone();
    strip(&mut job);
    let mut properties = same(&job, &super::glue_job::CREATE);
    properties.extend(same(&job, &["Name", "WorkerType"]));
    // One says what the other says.
    properties.remove("AllocatedCapacity");
    if job.get("WorkerType").is_some() {
        properties.remove("MaxCapacity");
    }
    Ok(Found { made: Made::new(id, json!({})), properties: properties.into() })
}

async fn managed_policy(at: &Context, arn: &str) -> Result<Found> {
    let output = at.look("iam", "getPolicy", json!({ "PolicyArn": arn })).await?;
    let policy = &output["Policy"];
    let input = json!({ "PolicyArn": arn, "VersionId": policy["DefaultVersionId"] });
    let version = at.look("iam", "getPolicyVersion", input).await?;
    let holders = at.look("iam", "listEntitiesForPolicy", json!({ "PolicyArn": arn })).await?;
    let names = |list: &str, name: &str| -> Value {
        holders[list].as_array().into_iter().flatten().map(|holder| holder[name].clone()).collect()
    };
    let properties = json!({
        "PolicyArn": arn,
        "ManagedPolicyName": policy["PolicyName"],
        "Path": policy["Path"],
        "Description": policy["Description"],
        "PolicyDocument": existing::json_of(&version["PolicyVersion"]["Document"]),
        "Groups": names("PolicyGroups", "GroupName"),
        "Roles": names("PolicyRoles", "RoleName"),
        "Users": names("PolicyUsers", "UserName"),
    });
    Ok(Found { made: Made::new(arn, json!({ "PolicyArn": arn })), properties })
}

async fn alias(at: &Context, id: &str) -> Result<Option<Found>> {
    let mut input = json!({});
    loop {
        let output = at.look("kms", "listAliases", input).await?;
        let found = output["Aliases"].as_array().into_iter().flatten().find(|alias| alias["AliasName"] == id);
        if let Some(alias) = found {
            let properties = json!({ "AliasName": id, "TargetKeyId": alias["TargetKeyId"] });
            return Ok(Some(Found { made: Made::new(id, json!({})), properties }));
        }
        match output.get("NextMarker").filter(|marker| !marker.is_null()) {
            Some(marker) => input = json!({ "Marker": marker }),
            None => return Ok(None),
        }
    }
}

async fn bucket_policy(at: &Context, bucket: &str) -> Result<Found> {
    let output = at.look("s3", "getBucketPolicy", json!({ "Bucket": bucket })).await?;
    let properties = json!({ "Bucket": bucket, "PolicyDocument": existing::json_of(&output["Policy"]) });
    Ok(Found { made: Made::new(bucket, json!({})), properties })
}

async fn activity(at: &Context, arn: &str) -> Result<Found> {
    let output = at.look("sfn", "describeActivity", json!({ "ActivityArn": arn })).await?;
    let mut properties = json!({ "Arn": arn, "Name": output["Name"] });
    let encryption = output.get("EncryptionConfiguration").filter(|e| e["Type"] != "AWS_OWNED_KEY");
    if let Some(encryption) = encryption {
        properties["EncryptionConfiguration"] = encryption.clone();
        strip(&mut properties);
    }
    Ok(Found { made: Made::new(arn, json!({ "Arn": arn, "Name": output["Name"] })), properties })
}

async fn repository(at: &Context, id: &str, properties: &mut Map<String, Value>) -> Result<()> {
    let output = at.look("ecr", "describeRepositories", json!({ "RepositoryNames": [id] })).await?;
    let repository = &output["Repositories"][0];
    properties.extend(same(repository, &["EncryptionConfiguration"]));
    if let Some(filters) = repository["ImageTagMutabilityExclusionFilters"].as_array() {
        let named = filters.iter().map(|filter| {
            json!({
                "ImageTagMutabilityExclusionFilterType": filter["FilterType"],
                "ImageTagMutabilityExclusionFilterValue": filter["Filter"],
            })
        });
        properties.insert("ImageTagMutabilityExclusionFilters".to_owned(), named.collect());
    }
    let named = json!({ "RepositoryName": id });
    let policy = look(at, "ecr", "getRepositoryPolicy", named.clone()).await?;
    properties.insert("RepositoryPolicyText".to_owned(), existing::json_of(&policy["PolicyText"]));
    let lifecycle = look(at, "ecr", "getLifecyclePolicy", named).await?;
    if let Some(text) = lifecycle.get("LifecyclePolicyText") {
        properties.insert("LifecyclePolicy".to_owned(), json!({ "LifecyclePolicyText": text }));
    }
    Ok(())
}

async fn role(at: &Context, id: &str, properties: &mut Map<String, Value>) -> Result<()> {
    let named = json!({ "RoleName": id });
    let output = at.look("iam", "getRole", named.clone()).await?;
    let boundary = &output["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"];
    properties.insert("PermissionsBoundary".to_owned(), boundary.clone());
    properties.insert("Tags".to_owned(), output["Role"]["Tags"].clone());
    let inline = at.look("iam", "listRolePolicies", named).await?;
    let mut policies = Vec::new();
    for name in inline["PolicyNames"].as_array().into_iter().flatten() {
        let policy = at.look("iam", "getRolePolicy", json!({ "RoleName": id, "PolicyName": name })).await?;
        let document = existing::json_of(&policy["PolicyDocument"]);
        policies.push(json!({ "PolicyName": name, "PolicyDocument": document }));
    }
    properties.insert("Policies".to_owned(), policies.into());
    Ok(())
}

/// False where it is to be deleted: such a key is no resource any more.
async fn key(at: &Context, id: &str, properties: &mut Map<String, Value>) -> Result<bool> {
    let named = json!({ "KeyId": id });
    let output = at.look("kms", "describeKey", named.clone()).await?;
    if output["KeyMetadata"]["KeyState"] == "PendingDeletion" {
        return Ok(false);
    }
    properties.insert("MultiRegion".to_owned(), output["KeyMetadata"]["MultiRegion"].clone());
    let policy = at.look("kms", "getKeyPolicy", json!({ "KeyId": id, "PolicyName": "default" })).await?;
    properties.insert("KeyPolicy".to_owned(), existing::json_of(&policy["Policy"]));
    let rotation = at.look("kms", "getKeyRotationStatus", named).await;
    let rotated = rotation.is_ok_and(|rotation| rotation["KeyRotationEnabled"] == true);
    properties.insert("EnableKeyRotation".to_owned(), rotated.into());
    Ok(true)
}

async fn function(at: &Context, id: &str, properties: &mut Map<String, Value>) -> Result<()> {
    let output = at.look("lambda", "getFunctionConfiguration", json!({ "FunctionName": id })).await?;
    let mut configuration = output;
    strip(&mut configuration);
    let members =
        ["DeadLetterConfig", "FileSystemConfigs", "KMSKeyArn", "LoggingConfig", "EphemeralStorage", "TracingConfig"];
    let mut told = same(&configuration, &members);
    if let Some(key) = told.remove("KMSKeyArn") {
        told.insert("KmsKeyArn".to_owned(), key);
    }
    let layers = configuration["Layers"].as_array().into_iter().flatten().map(|layer| layer["Arn"].clone());
    told.insert("Layers".to_owned(), layers.collect());
    told.insert("ImageConfig".to_owned(), configuration["ImageConfigResponse"]["ImageConfig"].clone());
    let concurrency = at.look("lambda", "getFunctionConcurrency", json!({ "FunctionName": id })).await?;
    let reserved = concurrency.get("ReservedConcurrentExecutions").cloned().unwrap_or_default();
    told.insert("ReservedConcurrentExecutions".to_owned(), reserved);
    properties.extend(told);
    Ok(())
}

async fn bucket(at: &Context, id: &str, properties: &mut Map<String, Value>) -> Result<()> {
    let named = json!({ "Bucket": id });
    let versioning = &properties["VersioningConfiguration"]["Status"];
    if versioning.is_null() {
        properties.remove("VersioningConfiguration");
    }
    let locked = look(at, "s3", "getObjectLockConfiguration", named.clone()).await?;
    if locked["ObjectLockConfiguration"]["ObjectLockEnabled"] == "Enabled" {
        properties.insert("ObjectLockEnabled".to_owned(), true.into());
    }
    for (property, operation, told) in super::s3_bucket::TOLD {
        let output = look(at, "s3", operation, named.clone()).await?;
        if !output.is_null() {
            let mut value = told(&output);
            strip(&mut value);
            properties.insert(property.to_owned(), value);
        }
    }
    Ok(())
}

async fn topic(at: &Context, arn: &str, properties: &mut Map<String, Value>) -> Result<()> {
    scalars(properties);
    // A version is a text.
    if let Some(version) = properties.get_mut("SignatureVersion").filter(|version| version.is_number()) {
        *version = version.to_string().into();
    }
    if properties.get("FifoTopic") != Some(&Value::Bool(true)) {
        properties.remove("FifoTopic");
        properties.remove("ContentBasedDeduplication");
    }
    let mut subscriptions = Vec::new();
    let mut token = Value::Null;
    loop {
        let mut input = json!({ "TopicArn": arn });
        if !token.is_null() {
            input["NextToken"] = token;
        }
        let output = at.look("sns", "listSubscriptionsByTopic", input).await?;
        let page = output["Subscriptions"].as_array().into_iter().flatten();
        subscriptions.extend(page.map(|one| json!({ "Protocol": one["Protocol"], "Endpoint": one["Endpoint"] })));
        token = output.get("NextToken").cloned().unwrap_or_default();
        if token.is_null() {
            break;
        }
    }
    properties.insert("Subscription".to_owned(), subscriptions.into());
    Ok(())
}

async fn parameter(at: &Context, id: &str, properties: &mut Map<String, Value>) -> Result<()> {
    let filter = json!({ "Key": "Name", "Option": "Equals", "Values": [id] });
    let output = at.look("ssm", "describeParameters", json!({ "ParameterFilters": [filter] })).await?;
    properties.extend(same(&output["Parameters"][0], &["Description", "Tier", "AllowedPattern"]));
    let policies = output["Parameters"][0]["Policies"].as_array().into_iter().flatten();
    let texts: Vec<Value> = policies.map(|policy| existing::json_of(&policy["PolicyText"])).collect();
    if !texts.is_empty() {
        properties.insert("Policies".to_owned(), Value::from(texts).to_string().into());
    }
    Ok(())
}

async fn state_machine(at: &Context, arn: &str, properties: &mut Map<String, Value>) -> Result<()> {
    let output = at.look("sfn", "describeStateMachine", json!({ "StateMachineArn": arn })).await?;
    properties.insert("DefinitionString".to_owned(), text(&output["Definition"]).into());
    let mut told = same(&output, &["LoggingConfiguration", "TracingConfiguration"]);
    let encryption = output.get("EncryptionConfiguration").filter(|e| e["Type"] != "AWS_OWNED_KEY");
    told.extend(encryption.map(|encryption| ("EncryptionConfiguration".to_owned(), encryption.clone())));
    let mut told = Value::from(told);
    strip(&mut told);
    if let Some(logging) = told.get_mut("LoggingConfiguration").and_then(Value::as_object_mut) {
        logging.retain(|_, value| !is_nothing(value));
    }
    properties.extend(told.as_object().cloned().unwrap_or_default());
    Ok(())
}
