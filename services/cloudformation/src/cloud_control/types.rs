//! The types of resources that the Cloud Control API manages: their identifiers and what their schemas say of their properties.
//! Source: Template Reference, `readOnlyProperties`, `writeOnlyProperties`, `createOnlyProperties` and `primaryIdentifier` of each schema.

use api_cloudcontrol::error;
use serde_json::{Value, json};

use crate::Result;
use crate::resources;

/// A type.
#[derive(Debug)]
pub(super) struct Type {
    pub(super) name: &'static str,
    /// The property that is its primary identifier.
    pub(super) identifier: &'static str,
    /// Told, and never given. The identifier itself stands here where the service makes it.
    pub(super) read_only: &'static [&'static str],
    /// Given, and never told.
    pub(super) write_only: &'static [&'static str],
    /// Given when it is made, and never again.
    pub(super) create_only: &'static [&'static str],
    pub(super) list: Option<List>,
}

/// The operation that lists resources of a type, and the members of its answer.
#[derive(Debug)]
pub(super) struct List {
    pub(super) service: &'static str,
    pub(super) operation: &'static str,
    pub(super) members: &'static str,
    /// The identifier within each; empty where each is one.
    pub(super) identifier: &'static str,
    /// The next page's marker in the answer, and in the input.
    pub(super) marker: (&'static str, &'static str),
}

impl List {
    /// What every page is asked with.
    pub(super) fn input(&self) -> Value {
        match self.operation {
            "listPolicies" => json!({ "Scope": "Local" }),
            "describeAlarms" => json!({ "AlarmTypes": ["MetricAlarm"] }),
            _ => json!({}),
        }
    }
}

const NEXT: (&str, &str) = ("NextToken", "NextToken");

const fn list(
    service: &'static str,
    operation: &'static str,
    members: &'static str,
    identifier: &'static str,
    marker: (&'static str, &'static str),
) -> List {
    List { service, operation, members, identifier, marker }
}

/// The type of a name, for an action (`CREATE`).
pub(super) fn find(name: &str, action: &str) -> Result<&'static Type> {
    if let Some(found) = TYPES.iter().find(|one| one.name == name) {
        return Ok(found);
    }
    if resources::find(name).is_some() {
        let text = format!("Resource type {name} does not support {action} action");
        return Err(error::unsupported_action_exception(text));
    }
    Err(error::type_not_found_exception(format!("The type '{name}' cannot be found.")))
}

const TYPES: [Type; 20] = [
    Type {
        name: "AWS::Athena::WorkGroup",
        identifier: "Name",
        read_only: &["CreationTime"],
        write_only: &["RecursiveDeleteOption", "WorkGroupConfigurationUpdates"],
        create_only: &["Name"],
        list: Some(list("athena", "listWorkGroups", "WorkGroups", "Name", NEXT)),
    },
    Type {
        name: "AWS::CloudWatch::Alarm",
        identifier: "AlarmName",
        read_only: &["Arn"],
        write_only: &[],
        create_only: &["AlarmName"],
        list: Some(list("cloudwatch", "describeAlarms", "MetricAlarms", "AlarmName", NEXT)),
    },
    Type {
        name: "AWS::DynamoDB::Table",
        identifier: "TableName",
        read_only: &["Arn", "StreamArn"],
        write_only: &["ImportSourceSpecification"],
        create_only: &["TableName", "ImportSourceSpecification"],
        list: Some(list(
            "dynamodb",
            "listTables",
            "TableNames",
            "",
            ("LastEvaluatedTableName", "ExclusiveStartTableName"),
        )),
    },
    Type {
        name: "AWS::ECR::Repository",
        identifier: "RepositoryName",
        read_only: &["Arn", "RepositoryUri"],
        write_only: &["EmptyOnDelete"],
        create_only: &["RepositoryName", "EncryptionConfiguration"],
        list: Some(list("ecr", "describeRepositories", "Repositories", "RepositoryName", NEXT)),
    },
    Type {
        name: "AWS::Events::Rule",
        identifier: "Arn",
        read_only: &["Arn"],
        write_only: &[],
        create_only: &["Name", "EventBusName"],
        list: Some(list("eventbridge", "listRules", "Rules", "Arn", NEXT)),
    },
    Type {
        name: "AWS::Glue::Job",
        identifier: "Name",
        read_only: &[],
        write_only: &["AllocatedCapacity"],
        create_only: &["Name"],
        list: Some(list("glue", "listJobs", "JobNames", "", NEXT)),
    },
    Type {
        name: "AWS::IAM::ManagedPolicy",
        identifier: "PolicyArn",
        read_only: &["PolicyArn", "AttachmentCount", "CreateDate", "DefaultVersionId", "IsAttachable", "PolicyId"],
        write_only: &[],
        create_only: &["ManagedPolicyName", "Description", "Path"],
        list: Some(list("iam", "listPolicies", "Policies", "Arn", ("Marker", "Marker"))),
    },
    Type {
        name: "AWS::IAM::Role",
        identifier: "RoleName",
        read_only: &["Arn", "RoleId"],
        write_only: &[],
        create_only: &["RoleName", "Path"],
        list: Some(list("iam", "listRoles", "Roles", "RoleName", ("Marker", "Marker"))),
    },
    Type {
        name: "AWS::KMS::Key",
        identifier: "KeyId",
        read_only: &["Arn", "KeyId"],
        write_only: &["PendingWindowInDays", "BypassPolicyLockoutSafetyCheck", "RotationPeriodInDays"],
        create_only: &["KeySpec", "KeyUsage", "MultiRegion"],
        list: Some(list("kms", "listKeys", "Keys", "KeyId", ("NextMarker", "Marker"))),
    },
    Type {
        name: "AWS::Lambda::Function",
        identifier: "FunctionName",
        read_only: &["Arn"],
        write_only: &["Code", "SnapStart"],
        create_only: &["FunctionName", "PackageType"],
        list: Some(list("lambda", "listFunctions", "Functions", "FunctionName", ("NextMarker", "Marker"))),
    },
    Type {
        name: "AWS::Logs::LogGroup",
        identifier: "LogGroupName",
        read_only: &["Arn"],
        write_only: &[],
        create_only: &["LogGroupName", "LogGroupClass", "KmsKeyId"],
        list: Some(list("cloudwatchlogs", "describeLogGroups", "LogGroups", "LogGroupName", NEXT)),
    },
    Type {
        name: "AWS::S3::Bucket",
        identifier: "BucketName",
        read_only: &["Arn", "DomainName", "DualStackDomainName", "RegionalDomainName", "WebsiteURL"],
        write_only: &["AccessControl"],
        create_only: &["BucketName"],
        list: Some(list("s3", "listBuckets", "Buckets", "Name", ("ContinuationToken", "ContinuationToken"))),
    },
    Type {
        name: "AWS::S3::BucketPolicy",
        identifier: "Bucket",
        read_only: &[],
        write_only: &[],
        create_only: &["Bucket"],
        list: None,
    },
    Type {
        name: "AWS::SNS::Topic",
        identifier: "TopicArn",
        read_only: &["TopicArn"],
        write_only: &[],
        create_only: &["TopicName", "FifoTopic"],
        list: Some(list("sns", "listTopics", "Topics", "TopicArn", NEXT)),
    },
    Type {
        name: "AWS::SQS::Queue",
        identifier: "QueueUrl",
        read_only: &["QueueUrl", "Arn"],
        write_only: &[],
        create_only: &["FifoQueue", "QueueName"],
        list: Some(list("sqs", "listQueues", "QueueUrls", "", NEXT)),
    },
    Type {
        name: "AWS::SSM::Parameter",
        identifier: "Name",
        read_only: &[],
        write_only: &[],
        create_only: &["Name"],
        list: Some(list("ssm", "describeParameters", "Parameters", "Name", NEXT)),
    },
    Type {
        name: "AWS::SecretsManager::Secret",
        identifier: "Id",
        read_only: &["Id"],
        write_only: &["SecretString", "GenerateSecretString"],
        create_only: &["Name"],
        list: Some(list("secretsmanager", "listSecrets", "SecretList", "ARN", NEXT)),
    },
    Type {
        name: "AWS::StepFunctions::Activity",
        identifier: "Arn",
        read_only: &["Arn"],
        write_only: &[],
        create_only: &["Name", "EncryptionConfiguration"],
        list: Some(list("sfn", "listActivities", "Activities", "ActivityArn", NEXT)),
    },
    Type {
        name: "AWS::StepFunctions::StateMachine",
        identifier: "Arn",
        read_only: &["Arn", "Name", "StateMachineRevisionId"],
        write_only: &["Definition", "DefinitionS3Location", "DefinitionSubstitutions"],
        create_only: &["StateMachineName", "StateMachineType"],
        list: Some(list("sfn", "listStateMachines", "StateMachines", "StateMachineArn", NEXT)),
    },
    Type {
        name: "AWS::KMS::Alias",
        identifier: "AliasName",
        read_only: &[],
        write_only: &[],
        create_only: &["AliasName"],
        list: Some(list("kms", "listAliases", "Aliases", "AliasName", ("NextMarker", "Marker"))),
    },
];
