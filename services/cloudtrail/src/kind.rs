//! Whether an operation acts on data, and on which resources. Source: CloudTrail User Guide, "Logging data events", the tables of resource
//! types and their data events.

use serde_json::Value;

/// Operations on data, with the type of resource and the member that tells it.
pub(crate) struct Data {
    pub(crate) kind: &'static str,
    /// The members that stay of the request: data itself is not recorded.
    pub(crate) kept: &'static [&'static str],
}

const TABLE: Data = Data { kind: "AWS::DynamoDB::Table", kept: &["TableName", "Key", "IndexName", "Limit"] };
const OBJECT: Data =
    Data { kind: "AWS::S3::Object", kept: &["Bucket", "Key", "VersionId", "Prefix", "UploadId", "CopySource"] };
const FUNCTION: Data = Data { kind: "AWS::Lambda::Function", kept: &["FunctionName", "InvocationType", "Qualifier"] };
const QUEUE: Data = Data { kind: "AWS::SQS::Queue", kept: &["QueueUrl"] };
const TOPIC: Data = Data { kind: "AWS::SNS::Topic", kept: &["TopicArn", "TargetArn"] };
const METRIC: Data = Data { kind: "AWS::CloudWatch::Metric", kept: &["Namespace"] };
const LOGS: Data = Data { kind: "AWS::Logs::LogGroup", kept: &["LogGroupName", "LogStreamName"] };
const STREAM: Data = Data { kind: "AWS::DynamoDB::Stream", kept: &["StreamArn", "ShardId"] };
const ENDPOINT: Data = Data { kind: "AWS::SageMaker::Endpoint", kept: &["EndpointName"] };
const BUS: Data = Data { kind: "AWS::Events::EventBus", kept: &[] };
const ACTIVITY: Data = Data { kind: "AWS::StepFunctions::Activity", kept: &["ActivityArn"] };
const MACHINE: Data = Data { kind: "AWS::StepFunctions::StateMachine", kept: &["StateMachineArn", "Name"] };

/// What an operation does with data; none of those that manage.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(crate) fn data(service: &str, operation: &str) -> Option<&'static Data> {
    Some(match (service, operation) {
        (
            "dynamodb",
            "BatchExecuteStatement"
            | "BatchGetItem"
            | "BatchWriteItem"
            | "DeleteItem"
            | "ExecuteStatement"
            | "ExecuteTransaction"
            | "GetItem"
            | "PutItem"
            | "Query"
            | "Scan"
            | "TransactGetItems"
            | "TransactWriteItems"
            | "UpdateItem",
        ) => &TABLE,
        ("dynamodbstreams", "GetRecords" | "GetShardIterator") => &STREAM,
        (
            "s3",
            "AbortMultipartUpload"
            | "CompleteMultipartUpload"
            | "CopyObject"
            | "CreateMultipartUpload"
            | "DeleteObject"
            | "DeleteObjectTagging"
            | "DeleteObjects"
            | "GetObject"
            | "GetObjectAcl"
            | "GetObjectAttributes"
            | "GetObjectLegalHold"
            | "GetObjectRetention"
            | "GetObjectTagging"
            | "HeadBucket"
            | "HeadObject"
            | "ListMultipartUploads"
            | "ListObjectVersions"
            | "ListObjects"
            | "ListObjectsV2"
            | "ListParts"
            | "PostObject"
            | "PutObject"
            | "PutObjectAcl"
            | "PutObjectLegalHold"
            | "PutObjectRetention"
            | "PutObjectTagging"
            | "RestoreObject"
            | "SelectObjectContent"
            | "UploadPart"
            | "UploadPartCopy",
        ) => &OBJECT,
        ("lambda", "Invoke" | "InvokeWithResponseStream") => &FUNCTION,
        (
            "sqs",
            "ChangeMessageVisibility"
            | "ChangeMessageVisibilityBatch"
            | "DeleteMessage"
            | "DeleteMessageBatch"
            | "ReceiveMessage"
            | "SendMessage"
            | "SendMessageBatch",
        ) => &QUEUE,
        ("sns", "Publish" | "PublishBatch") => &TOPIC,
        ("cloudwatch", "GetMetricData" | "GetMetricStatistics" | "PutMetricData") => &METRIC,
        ("logs", "FilterLogEvents" | "GetLogEvents" | "GetLogRecord" | "GetQueryResults" | "PutLogEvents") => &LOGS,
        ("sagemakerruntime", _) => &ENDPOINT,
        ("events", "PutEvents") => &BUS,
        ("states", "GetActivityTask" | "SendTaskFailure" | "SendTaskHeartbeat" | "SendTaskSuccess") => &ACTIVITY,
        ("states", "StartSyncExecution") => &MACHINE,
        _ => return None,
    })
}

/// The ARNs of the resources that a request for data names.
pub(crate) fn resources(service: &str, input: &Value, (account, region): (&str, &str)) -> Vec<String> {
    let text = |name: &str| input.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let whole = |text: &str, service: &str, kind: &str| {
        if text.starts_with("arn:") {
            text.to_owned()
        } else {
            format!("arn:aws:{service}:{region}:{account}:{kind}{text}")
        }
    };
    let one = match service {
        "dynamodb" => text("TableName").map(|name| whole(name, "dynamodb", "table/")),
        "dynamodbstreams" => text("StreamArn").map(str::to_owned),
        "s3" => text("Bucket").map(|bucket| match text("Key") {
            Some(key) => format!("arn:aws:s3:::{bucket}/{key}"),
            None => format!("arn:aws:s3:::{bucket}/"),
        }),
        "lambda" => text("FunctionName").map(|name| whole(name, "lambda", "function:")),
        "sqs" => text("QueueUrl").and_then(|url| url.rsplit('/').next()).map(|name| whole(name, "sqs", "")),
        "sns" => text("TopicArn").or_else(|| text("TargetArn")).map(str::to_owned),
        "logs" => text("LogGroupName").map(|name| whole(name, "logs", "log-group:")),
        "sagemakerruntime" => text("EndpointName").map(|name| whole(name, "sagemaker", "endpoint/")),
        "states" => text("ActivityArn").or_else(|| text("StateMachineArn")).map(str::to_owned),
        _ => None,
    };
    // A batch names its tables by keys.
    let many = input.get("RequestItems").and_then(Value::as_object).into_iter().flatten();
    one.into_iter().chain(many.map(|(name, _)| whole(name, "dynamodb", "table/"))).collect()
}

/// The source's name in events. Source: CloudTrail record contents, `eventSource`.
pub(crate) fn source(service: &str) -> String {
    let host = match service {
        "cloudwatch" => "monitoring",
        "cloudcontrol" => "cloudcontrolapi",
        "dynamodbstreams" => "dynamodb",
        "sagemakerruntime" => "sagemaker",
        "lineage" | "lakerun" => return format!("{service}.lakerun"),
        other => other,
    };
    format!("{host}.amazonaws.com")
}

/// Services that are in no region, whose events are told of `us-east-1`.
pub(crate) fn is_global(service: &str) -> bool {
    matches!(service, "iam" | "sts")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn data_and_its_resources() {
        let home = ("0", "r");
        for (service, operation, input, kind, arns) in [
            ("s3", "GetObject", json!({"Bucket": "b", "Key": "k/1"}), "AWS::S3::Object", vec!["arn:aws:s3:::b/k/1"]),
            ("s3", "ListObjectsV2", json!({"Bucket": "b"}), "AWS::S3::Object", vec!["arn:aws:s3:::b/"]),
            (
                "lambda",
                "Invoke",
                json!({"FunctionName": "f"}),
                "AWS::Lambda::Function",
                vec!["arn:aws:lambda:r:0:function:f"],
            ),
            ("sqs", "SendMessage", json!({"QueueUrl": "http://h/0/q"}), "AWS::SQS::Queue", vec!["arn:aws:sqs:r:0:q"]),
            (
                "dynamodb",
                "BatchGetItem",
                json!({"RequestItems": {"a": {}, "b": {}}}),
                "AWS::DynamoDB::Table",
                vec!["arn:aws:dynamodb:r:0:table/a", "arn:aws:dynamodb:r:0:table/b"],
            ),
        ] {
            assert_eq!(data(service, operation).map(|data| data.kind), Some(kind), "{operation}");
            assert_eq!(resources(service, &input, home), arns, "{operation}");
        }
        for (service, operation) in
            [("s3", "CreateBucket"), ("lambda", "CreateFunction"), ("secretsmanager", "GetSecretValue")]
        {
            assert!(data(service, operation).is_none(), "{operation}");
        }
    }
}
