//! How a failed call looks to Retry and Catch: `Service.ErrorException`, with AWS's sentence as its cause.

use wire::Error;
use wire::operation::ServiceSpec;

use super::exceptions::EXCEPTIONS;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    pub(super) error: String,
    pub(super) cause: String,
}

impl Failure {
    pub(super) fn named(error: &str, cause: impl Into<String>) -> Self {
        Self { error: error.to_owned(), cause: cause.into() }
    }
}

/// The optimised integrations speak as the Java SDK's first version: prefix, general exception, service.
const OPTIMISED: &[(&str, &str, &str, &str)] = &[
    ("athena", "Athena", "AmazonAthenaException", "AmazonAthena"),
    ("dynamodb", "DynamoDB", "AmazonDynamoDBException", "AmazonDynamoDBv2"),
    ("events", "EventBridge", "AmazonEventBridgeException", "AmazonEventBridge"),
    ("glue", "Glue", "AWSGlueException", "AWSGlue"),
    ("lambda", "Lambda", "AWSLambdaException", "AWSLambda"),
    ("sagemaker", "SageMaker", "AmazonSageMakerException", "AmazonSageMaker"),
    ("sns", "SNS", "AmazonSNSException", "AmazonSNS"),
    ("sqs", "SQS", "AmazonSQSException", "AmazonSQS"),
    ("states", "StepFunctions", "AWSStepFunctionsException", "AWSStepFunctions"),
];

/// Whose words an error is told in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ErrorStyle {
    Sdk,
    Optimized,
}

pub(super) fn of_call(service: &ServiceSpec, style_of_errors: ErrorStyle, error: &Error, request_id: &str) -> Failure {
    let (code, message, status) = (error.code(), error.message(), error.status());
    let shape = shape_of(service.name, code);
    if style_of_errors == ErrorStyle::Optimized
        && let Some((_, prefix, general, name)) = OPTIMISED.iter().find(|(known, ..)| *known == service.name)
    {
        let exception = shape.map_or_else(|| (*general).to_owned(), with_exception);
        let cause = format!(
            "{message} (Service: {name}; Status Code: {status}; Error Code: {code}; Request ID: {request_id}; Proxy: null)"
        );
        return Failure { error: format!("{prefix}.{exception}"), cause };
    }
    let prefix = class_name(service.service_id);
    let exception = match shape {
        Some(shape) => class_name(&with_exception(shape.strip_suffix("Fault").unwrap_or(shape))),
        None => format!("{prefix}Exception"),
    };
    let extended = if service.name == "s3" { format!(", Extended Request ID: {request_id}") } else { String::new() };
    let cause = format!("{message} (Service: {prefix}, Status Code: {status}, Request ID: {request_id}{extended})");
    Failure { error: format!("{prefix}.{exception}"), cause }
}

/// The exception that the service's model has for a code; others come out as the service's general exception.
fn shape_of(service: &str, code: &str) -> Option<&'static str> {
    let (_, shapes) = EXCEPTIONS.iter().find(|(known, _)| *known == service)?;
    shapes.iter().find(|(known, _)| *known == code).map(|(_, shape)| *shape)
}

/// `NoSuchBucket` is the class `NoSuchBucketException`.
fn with_exception(shape: &str) -> String {
    if shape.ends_with("Exception") { shape.to_owned() } else { format!("{shape}Exception") }
}

/// How the Java SDK's second version writes names: of a run of capitals only the first (`DynamoDB` is `DynamoDb`, `KMSKey` is
/// `KmsKey`), without spaces.
pub(super) fn class_name(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut written = String::with_capacity(name.len());
    for (i, c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).map_or(' ', |i| chars[i]);
        let ends_run = before.is_ascii_uppercase() && chars.get(i + 1).is_some_and(char::is_ascii_lowercase);
        let begins = !before.is_ascii_uppercase() || ends_run;
        match c {
            ' ' => {}
            c if before == ' ' => written.push(c.to_ascii_uppercase()),
            c if begins => written.push(*c),
            c => written.push(c.to_ascii_lowercase()),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use wire::Error;
    use wire::operation::{Protocol, ServiceSpec};

    use super::{ErrorStyle, class_name, of_call};

    fn service(name: &'static str, service_id: &'static str) -> ServiceSpec {
        ServiceSpec {
            name,
            service_id,
            protocol: Protocol::AwsJson11,
            target_prefix: "",
            xml_namespace: "",
            api_version: "",
            iam_prefix: "",
        }
    }

    #[test]
    fn failures_are_named_as_recorded() {
        let check = |name: &'static str, id: &'static str, style_of_errors, code: &str, want: &str| {
            let error = Error::new(code, 400, "m");
            assert_eq!(of_call(&service(name, id), style_of_errors, &error, "r").error, want);
        };
        check(
            "lambda",
            "Lambda",
            ErrorStyle::Optimized,
            "ResourceNotFoundException",
            "Lambda.ResourceNotFoundException",
        );
        check("lambda", "Lambda", ErrorStyle::Optimized, "EC2ThrottledException", "Lambda.EC2ThrottledException");
        check("lambda", "Lambda", ErrorStyle::Sdk, "EC2ThrottledException", "Lambda.Ec2ThrottledException");
        check("dynamodb", "DynamoDB", ErrorStyle::Optimized, "ValidationException", "DynamoDB.AmazonDynamoDBException");
        check(
            "dynamodb",
            "DynamoDB",
            ErrorStyle::Sdk,
            "ResourceNotFoundException",
            "DynamoDb.ResourceNotFoundException",
        );
        check(
            "states",
            "SFN",
            ErrorStyle::Optimized,
            "StateMachineDoesNotExist",
            "StepFunctions.StateMachineDoesNotExistException",
        );
        check("states", "SFN", ErrorStyle::Sdk, "InvalidArn", "Sfn.InvalidArnException");
        check("states", "SFN", ErrorStyle::Sdk, "AccessDeniedException", "Sfn.SfnException");
        let secrets = ("secretsmanager", "Secrets Manager");
        check(secrets.0, secrets.1, ErrorStyle::Sdk, "ValidationException", "SecretsManager.SecretsManagerException");
        check("s3", "S3", ErrorStyle::Sdk, "NoSuchBucket", "S3.NoSuchBucketException");
        check("s3", "S3", ErrorStyle::Sdk, "NoSuchBucketPolicy", "S3.S3Exception");
        check("sns", "SNS", ErrorStyle::Sdk, "InvalidParameter", "Sns.InvalidParameterException");
        check("iam", "IAM", ErrorStyle::Sdk, "NoSuchEntity", "Iam.NoSuchEntityException");
        check("glue", "Glue", ErrorStyle::Sdk, "CrawlerRunningException", "Glue.CrawlerRunningException");
        check("cloudwatch", "CloudWatch", ErrorStyle::Sdk, "LimitExceeded", "CloudWatch.LimitExceededException");
        let missing = Error::new("ResourceNotFoundException", 400, "No.");
        let failure = of_call(&service("dynamodb", "DynamoDB"), ErrorStyle::Optimized, &missing, "r");
        assert_eq!(
            failure.cause,
            "No. (Service: AmazonDynamoDBv2; Status Code: 400; Error Code: ResourceNotFoundException; Request ID: r; Proxy: null)"
        );
    }

    #[test]
    fn names_of_classes() {
        for (name, class) in [
            ("DynamoDB", "DynamoDb"),
            ("SFN", "Sfn"),
            ("S3", "S3"),
            ("CloudWatch Logs", "CloudWatchLogs"),
            ("KMSAccessDeniedException", "KmsAccessDeniedException"),
            ("MD5OfMessageBody", "Md5OfMessageBody"),
            ("EventBridge", "EventBridge"),
        ] {
            assert_eq!(class_name(name), class);
        }
    }
}
