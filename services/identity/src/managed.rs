//! AWS's managed policies that pipelines attach. Source: AWS Managed Policy Reference. Where AWS's text has conditions (which
//! are not evaluated yet) or actions of services that Lakerun lacks, only what is effective here is kept.

use serde_json::{Value, json};

use crate::records::PolicyRecord;

/// ARN without `arn:aws:iam::aws:policy/`, and what it allows.
const POLICIES: &[(&str, &[&str])] = &[
    ("AdministratorAccess", &["*"]),
    ("AmazonAthenaFullAccess", &["athena:*", "glue:*", "s3:*"]),
    ("AmazonDynamoDBFullAccess", &["dynamodb:*"]),
    (
        "AmazonDynamoDBReadOnlyAccess",
        &[
            "dynamodb:Get*",
            "dynamodb:BatchGet*",
            "dynamodb:Query",
            "dynamodb:Scan",
            "dynamodb:List*",
            "dynamodb:Describe*",
        ],
    ),
    ("AmazonEventBridgeFullAccess", &["events:*", "scheduler:*"]),
    ("AmazonS3FullAccess", &["s3:*"]),
    ("AmazonS3ReadOnlyAccess", &["s3:Get*", "s3:List*", "s3:Describe*"]),
    ("AmazonSNSFullAccess", &["sns:*"]),
    ("AmazonSQSFullAccess", &["sqs:*"]),
    (
        "AmazonSageMakerFullAccess",
        &[
            "sagemaker:*",
            "s3:GetObject",
            "s3:PutObject",
            "s3:DeleteObject",
            "s3:AbortMultipartUpload",
            "s3:ListBucket",
            "s3:GetBucketLocation",
            "logs:*",
            "cloudwatch:*",
        ],
    ),
    ("AWSGlueConsoleFullAccess", &["glue:*", "s3:*", "iam:List*", "iam:GetRole", "logs:*"]),
    ("AWSLambda_FullAccess", &["lambda:*", "logs:*", "iam:GetRole", "iam:ListRoles"]),
    ("AWSStepFunctionsFullAccess", &["states:*"]),
    ("CloudWatchFullAccess", &["cloudwatch:*", "logs:*", "sns:*"]),
    ("CloudWatchLogsFullAccess", &["logs:*"]),
    ("SecretsManagerReadWrite", &["secretsmanager:*"]),
    (
        "service-role/AWSGlueServiceRole",
        &[
            "glue:*",
            "s3:GetBucketLocation",
            "s3:ListBucket",
            "s3:ListAllMyBuckets",
            "s3:GetBucketAcl",
            "iam:ListRolePolicies",
            "iam:GetRole",
            "iam:GetRolePolicy",
            "cloudwatch:PutMetricData",
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
        ],
    ),
    ("service-role/AWSLambdaBasicExecutionRole", &["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]),
    ("service-role/AWSLambdaRole", &["lambda:InvokeFunction"]),
    (
        "service-role/AWSLambdaSQSQueueExecutionRole",
        &[
            "sqs:ReceiveMessage",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
        ],
    ),
];

const PREFIX: &str = "arn:aws:iam::aws:policy/";

/// The managed policy with this ARN.
pub(crate) fn find(arn: &str) -> Option<PolicyRecord> {
    let path = arn.strip_prefix(PREFIX)?;
    let (_, actions) = POLICIES.iter().find(|(name, _)| *name == path)?;
    let document: Value =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]});
    let (folder, name) = path.rsplit_once('/').map_or_else(|| ("/".to_owned(), path), |(f, n)| (format!("/{f}/"), n));
    let epoch = wire::Timestamp::default();
    Some(PolicyRecord {
        policy: api_iam::Policy {
            policy_name: Some(name.to_owned()),
            policy_id: Some(format!(
                "ANPA{}",
                name.to_ascii_uppercase().chars().filter(char::is_ascii_alphanumeric).take(17).collect::<String>()
            )),
            arn: Some(arn.to_owned()),
            path: Some(folder),
            default_version_id: Some("v1".to_owned()),
            is_attachable: Some(true),
            create_date: Some(epoch),
            update_date: Some(epoch),
            ..Default::default()
        },
        versions: vec![api_iam::PolicyVersion {
            document: Some(document.to_string()),
            version_id: Some("v1".to_owned()),
            is_default_version: Some(true),
            create_date: Some(epoch),
        }],
        last_version: 1,
    })
}

/// All of them, for `ListPolicies`.
pub(crate) fn all() -> impl Iterator<Item = PolicyRecord> {
    POLICIES.iter().filter_map(|(name, _)| find(&format!("{PREFIX}{name}")))
}
