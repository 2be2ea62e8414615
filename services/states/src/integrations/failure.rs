//! How a failed call looks to Retry and Catch: `Service.ErrorException`, with AWS's sentence as its cause.

use wire::Error;

use super::resource::Target;

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

/// The SDK integrations speak as its second version.
const SDK: &[(&str, &str)] = &[
    ("cloudformation", "CloudFormation"),
    ("cloudwatch", "CloudWatch"),
    ("cloudwatchlogs", "CloudWatchLogs"),
    ("dynamodb", "DynamoDb"),
    ("eventbridge", "EventBridge"),
    ("sagemaker", "SageMaker"),
    ("secretsmanager", "SecretsManager"),
];

/// Codes that models do not name: they come out as the service's general exception.
const GENERAL: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "InternalFailure",
    "NotImplemented",
    "SerializationException",
    "ThrottlingException",
    "UnknownOperationException",
    "ValidationError",
    "ValidationException",
];

/// Services whose models do name some of them.
const NAMED: &[(&str, &[&str])] = &[
    ("glue", &["AccessDeniedException", "ThrottlingException", "ValidationException"]),
    ("logs", &["AccessDeniedException", "ThrottlingException", "ValidationException"]),
    ("scheduler", &["ThrottlingException", "ValidationException"]),
    ("sfn", &["ValidationException"]),
    ("states", &["ValidationException"]),
];

pub(super) fn of_call(target: &Target, error: &Error, request_id: &str) -> Failure {
    let Target::Service { service, sdk, .. } = target else {
        return of_service("lambda", false, error, request_id);
    };
    of_service(service, *sdk, error, request_id)
}

fn of_service(service: &str, sdk: bool, error: &Error, request_id: &str) -> Failure {
    let (code, message, status) = (error.code(), error.message(), error.status());
    let named = NAMED.iter().find(|(known, _)| *known == service).is_some_and(|(_, codes)| codes.contains(&code));
    let exception = (named || !GENERAL.contains(&code)).then(|| exception_name(code));
    if !sdk && let Some((_, prefix, general, name)) = OPTIMISED.iter().find(|(known, ..)| *known == service) {
        let exception = exception.unwrap_or_else(|| (*general).to_owned());
        let cause = format!(
            "{message} (Service: {name}; Status Code: {status}; Error Code: {code}; Request ID: {request_id}; Proxy: null)"
        );
        return Failure { error: format!("{prefix}.{exception}"), cause };
    }
    let prefix = SDK
        .iter()
        .find(|(known, _)| *known == service)
        .map_or_else(|| capitalised(service), |(_, name)| (*name).to_owned());
    let exception = exception.unwrap_or_else(|| format!("{prefix}Exception"));
    let extended = if service == "s3" { format!(", Extended Request ID: {request_id}") } else { String::new() };
    let cause = format!("{message} (Service: {prefix}, Status Code: {status}, Request ID: {request_id}{extended})");
    Failure { error: format!("{prefix}.{exception}"), cause }
}

/// `NoSuchBucket` is the class `NoSuchBucketException`.
fn exception_name(code: &str) -> String {
    let code = code.rsplit('.').next().unwrap_or(code);
    if code.ends_with("Exception") { code.to_owned() } else { format!("{code}Exception") }
}

fn capitalised(service: &str) -> String {
    let mut chars = service.chars();
    chars.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use wire::Error;

    use super::of_service;

    #[test]
    fn failures_are_named_as_recorded() {
        let check = |service: &str, sdk: bool, code: &str, want: &str| {
            let error = Error::new(code, 400, "m");
            assert_eq!(of_service(service, sdk, &error, "r").error, want);
        };
        check("lambda", false, "ResourceNotFoundException", "Lambda.ResourceNotFoundException");
        check("dynamodb", false, "ValidationException", "DynamoDB.AmazonDynamoDBException");
        check("states", false, "StateMachineDoesNotExist", "StepFunctions.StateMachineDoesNotExistException");
        check("secretsmanager", true, "ValidationException", "SecretsManager.SecretsManagerException");
        check("s3", true, "NoSuchBucket", "S3.NoSuchBucketException");
        check("glue", true, "CrawlerRunningException", "Glue.CrawlerRunningException");
        let failure = of_service("dynamodb", false, &Error::new("ResourceNotFoundException", 400, "No."), "r");
        assert_eq!(
            failure.cause,
            "No. (Service: AmazonDynamoDBv2; Status Code: 400; Error Code: ResourceNotFoundException; Request ID: r; Proxy: null)"
        );
    }
}
