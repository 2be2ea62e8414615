#!/usr/bin/env python3
"""What leaves a template has its default again: of each type a resource is made with all of its properties and updated to those that it must
have, and is then read back beside one that never had more.

    python3 conformance/cloudformation/defaults.py --binary target/debug/lakerun [TYPE ...]    # a server of its own; needs boto3

Closes with 'N passed, N failed'.
"""
import json
import os
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from server import Server, need_boto3  # noqa: E402

need_boto3(__file__)

import boto3  # noqa: E402

ACCOUNT, REGION = "000000000000", "us-east-1"
NOTHING = {"Type": "AWS::CloudFormation::WaitConditionHandle"}


def arn(service, resource):
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


def iam(resource):
    return f"arn:aws:iam::{ACCOUNT}:{resource}"


def policy(action="s3:GetObject"):
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}


def trust(service="lambda"):
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}]}


ROLE = iam("role/base")
QUEUE, SOURCES, TOPIC = arn("sqs", "base"), (arn("sqs", "first"), arn("sqs", "second")), arn("sns", "base")
TAGS = [{"Key": "team", "Value": "data"}]
FUNCTION = {"Handler": "index.handler", "Runtime": "python3.11", "Role": ROLE, "Code": {"ZipFile": "def handler(e, c): return e"}}
ASL = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}


def base():
    """What the resources name: not theirs to make."""
    boto3.client("iam").create_role(RoleName="base", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": [f"{s}.amazonaws.com" for s in ("lambda", "states", "events", "pipes", "scheduler", "glue", "sagemaker", "logs")]},
         "Action": "sts:AssumeRole"}]}))
    boto3.client("iam").put_role_policy(RoleName="base", PolicyName="all", PolicyDocument=json.dumps(policy("*")))
    boto3.client("iam").create_policy(PolicyName="base", PolicyDocument=json.dumps(policy()))
    boto3.client("iam").create_group(GroupName="base")
    for name in ("base", "first", "second"):
        boto3.client("sqs").create_queue(QueueName=name)
    boto3.client("sns").create_topic(Name="base")
    boto3.client("s3").create_bucket(Bucket="base-bucket")
    boto3.client("s3").create_bucket(Bucket="base-logs")
    boto3.client("logs").create_log_group(logGroupName="/base")
    boto3.client("glue").create_database(DatabaseInput={"Name": "base"})
    boto3.client("athena").create_work_group(Name="base")
    boto3.client("secretsmanager").create_secret(Name="base", SecretString="{}")
    key = boto3.client("kms").create_key()["KeyMetadata"]["KeyId"]
    boto3.client("kms").create_alias(AliasName="alias/base", TargetKeyId=key)
    boto3.client("cloudwatch").put_metric_alarm(AlarmName="base", MetricName="m", Namespace="n", Period=60, EvaluationPeriods=1, Threshold=1, Statistic="Sum",
                                                ComparisonOperator="GreaterThanThreshold")
    client = boto3.client("lambda")
    code = {"ZipFile": zipped("def handler(e, c): return e")}
    for name in ("base", "base2", "base3"):
        client.create_function(FunctionName=name, Runtime="python3.11", Handler="index.handler", Role=ROLE, Code=code)
    client.publish_version(FunctionName="base", Description="1")
    client.publish_layer_version(LayerName="base", Content=code)
    machine = boto3.client("stepfunctions").create_state_machine(name="base", definition=json.dumps(ASL), roleArn=ROLE, publish=True)
    boto3.client("dynamodb").create_table(TableName="base", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
                                          AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
                                          StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})
    boto3.client("events").create_event_bus(Name="base")
    boto3.client("events").create_connection(Name="base", AuthorizationType="BASIC", AuthParameters={"BasicAuthParameters": {"Username": "u", "Password": "p"}})
    return machine["stateMachineVersionArn"]


def zipped(text):
    import io
    import zipfile
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        package.writestr(zipfile.ZipInfo("index.py", (2020, 1, 1, 0, 0, 0)), text)
    return buffer.getvalue()


def ask(service, operation, **given):
    """What an operation answers; `ID` and `NAME` stand for the resource's physical id and its last part."""
    def reader(found):
        def filled(value):
            if isinstance(value, str):
                for word, text in READING.items():
                    value = value.replace(word, text)
                return value.replace("ID", found).replace("NAME", re.split("[:/|]", found)[-1])
            if isinstance(value, list):
                return [filled(one) for one in value]
            return {key: filled(one) for key, one in value.items()} if isinstance(value, dict) else value
        client = boto3.client(service)
        try:
            answer = getattr(client, operation)(**filled(given))
        except client.exceptions.ClientError as error:
            return {operation: error.response["Error"]["Code"]}
        answer.pop("ResponseMetadata")
        return {operation: answer}
    return reader


def together(*readers):
    return lambda found: {key: value for reader in readers for key, value in reader(found).items()}


def settings_of_bucket(found):
    asked = ["acl", "cors", "encryption", "lifecycle_configuration", "logging", "notification_configuration", "ownership_controls", "replication", "tagging",
             "versioning", "website", "accelerate_configuration", "request_payment"]
    answers = together(*(ask("s3", f"get_bucket_{name}", Bucket="ID") for name in asked if hasattr(boto3.client("s3"), f"get_bucket_{name}")),
                       ask("s3", "get_public_access_block", Bucket="ID"), ask("s3", "list_bucket_inventory_configurations", Bucket="ID"),
                       ask("s3", "list_bucket_metrics_configurations", Bucket="ID"), ask("s3", "list_bucket_analytics_configurations", Bucket="ID"),
                       ask("s3", "list_bucket_intelligent_tiering_configurations", Bucket="ID"))(found)
    return answers


# A type: what it must have, what it may have beside, and how it is read. `NAME` in a property is a name of the stack's own.
def types(version):
    holder = {"Policies": [{"PolicyName": "in", "PolicyDocument": policy()}], "ManagedPolicyArns": [iam("policy/base")]}
    return {
        "AWS::Athena::DataCatalog": ({"Name": "NAME", "Type": "GLUE"}, {"Description": "d", "Parameters": {"catalog-id": ACCOUNT}, "Tags": TAGS},
                                     together(ask("athena", "get_data_catalog", Name="ID"), ask("athena", "list_tags_for_resource", ResourceARN=arn("athena", "datacatalog/ID")))),
        "AWS::Athena::PreparedStatement": ({"StatementName": "NAME_", "WorkGroup": "base", "QueryStatement": "SELECT 1"}, {"Description": "d"},
                                           ask("athena", "get_prepared_statement", StatementName="ID", WorkGroup="base")),
        "AWS::Athena::WorkGroup": ({"Name": "NAME"}, {"Description": "d", "State": "DISABLED", "Tags": TAGS, "WorkGroupConfiguration": {
            "BytesScannedCutoffPerQuery": 20000000, "EnforceWorkGroupConfiguration": False, "PublishCloudWatchMetricsEnabled": False, "RequesterPaysEnabled": True,
            "EngineVersion": {"SelectedEngineVersion": "Athena engine version 3"},
            "ResultConfiguration": {"OutputLocation": "s3://base-bucket/x/", "EncryptionConfiguration": {"EncryptionOption": "SSE_S3"}}}},
            together(ask("athena", "get_work_group", WorkGroup="ID"), ask("athena", "list_tags_for_resource", ResourceARN=arn("athena", "workgroup/ID")))),
        "AWS::CloudWatch::Alarm": ({"AlarmName": "NAME", "ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 2, "MetricName": "m", "Namespace": "n",
                                    "Period": 60, "Statistic": "Sum", "Threshold": 1},
                                   {"ActionsEnabled": False, "AlarmActions": [TOPIC], "AlarmDescription": "d", "DatapointsToAlarm": 1, "Dimensions": [{"Name": "a", "Value": "b"}],
                                    "InsufficientDataActions": [TOPIC], "OKActions": [TOPIC], "TreatMissingData": "breaching", "Unit": "Count", "Tags": TAGS},
                                   together(ask("cloudwatch", "describe_alarms", AlarmNames=["ID"]), ask("cloudwatch", "list_tags_for_resource", ResourceARN=arn("cloudwatch", "alarm:ID")))),
        "AWS::CloudWatch::CompositeAlarm": ({"AlarmName": "NAME", "AlarmRule": "ALARM(base)"},
                                            {"ActionsEnabled": False, "AlarmActions": [TOPIC], "AlarmDescription": "d", "InsufficientDataActions": [TOPIC], "OKActions": [TOPIC], "Tags": TAGS},
                                            together(ask("cloudwatch", "describe_alarms", AlarmNames=["ID"], AlarmTypes=["CompositeAlarm"]),
                                                     ask("cloudwatch", "list_tags_for_resource", ResourceARN=arn("cloudwatch", "alarm:ID")))),
        "AWS::DynamoDB::Table": ({"TableName": "NAME", "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}], "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
                                  "BillingMode": "PAY_PER_REQUEST"},
                                 {"DeletionProtectionEnabled": True, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
                                  "SSESpecification": {"SSEEnabled": True, "SSEType": "KMS"}, "StreamSpecification": {"StreamViewType": "KEYS_ONLY"},
                                  "TableClass": "STANDARD_INFREQUENT_ACCESS", "Tags": TAGS, "TimeToLiveSpecification": {"AttributeName": "t", "Enabled": True}},
                                 together(ask("dynamodb", "describe_table", TableName="ID"), ask("dynamodb", "describe_time_to_live", TableName="ID"),
                                          ask("dynamodb", "describe_continuous_backups", TableName="ID"),
                                          ask("dynamodb", "list_tags_of_resource", ResourceArn=arn("dynamodb", "table/ID")))),
        "AWS::ECR::Repository": ({"RepositoryName": "NAME"},
                                 {"ImageScanningConfiguration": {"ScanOnPush": True}, "ImageTagMutability": "IMMUTABLE", "Tags": TAGS,
                                  "RepositoryPolicyText": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}]},
                                  "LifecyclePolicy": {"LifecyclePolicyText": json.dumps({"rules": [
                                      {"rulePriority": 1, "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 1}, "action": {"type": "expire"}}]})}},
                                 together(ask("ecr", "describe_repositories", repositoryNames=["ID"]), ask("ecr", "get_repository_policy", repositoryName="ID"),
                                          ask("ecr", "get_lifecycle_policy", repositoryName="ID"), ask("ecr", "list_tags_for_resource", resourceArn=arn("ecr", "repository/ID")))),
        "AWS::Events::ApiDestination": ({"Name": "NAME", "ConnectionArn": "CONNECTION", "HttpMethod": "POST", "InvocationEndpoint": "https://a.example.org/"},
                                        {"Description": "d", "InvocationRateLimitPerSecond": 7}, ask("events", "describe_api_destination", Name="ID")),
        "AWS::Events::Archive": ({"ArchiveName": "NAME", "SourceArn": arn("events", "event-bus/base")}, {"Description": "d", "RetentionDays": 3, "EventPattern": {"source": ["a"]}},
                                 ask("events", "describe_archive", ArchiveName="ID")),
        "AWS::Events::Connection": ({"Name": "NAME", "AuthorizationType": "API_KEY", "AuthParameters": {"ApiKeyAuthParameters": {"ApiKeyName": "k", "ApiKeyValue": "v"}}},
                                    {"Description": "d", "AuthParameters": {"ApiKeyAuthParameters": {"ApiKeyName": "k", "ApiKeyValue": "v"}, "InvocationHttpParameters": {
                                        "HeaderParameters": [{"Key": "h", "Value": "1"}], "QueryStringParameters": [{"Key": "q", "Value": "1"}],
                                        "BodyParameters": [{"Key": "b", "Value": "1"}]}}}, ask("events", "describe_connection", Name="ID")),
        "AWS::Events::EventBus": ({"Name": "NAME"}, {"Description": "d", "Tags": TAGS},
                                  together(ask("events", "describe_event_bus", Name="ID"), ask("events", "list_tags_for_resource", ResourceARN=arn("events", "event-bus/ID")))),
        "AWS::Events::Rule": ({"Name": "NAME", "EventPattern": {"source": ["a"]}},
                              {"Description": "d", "RoleArn": ROLE, "ScheduleExpression": "rate(1 day)", "State": "DISABLED", "Tags": TAGS,
                               "Targets": [{"Id": "t", "Arn": QUEUE}]},
                              together(ask("events", "describe_rule", Name="ID"), ask("events", "list_targets_by_rule", Rule="ID"),
                                       ask("events", "list_tags_for_resource", ResourceARN=arn("events", "rule/ID")))),
        "AWS::Glue::Classifier": ({"CsvClassifier": {"Name": "NAME"}}, {"CsvClassifier": {"Name": "NAME", "Delimiter": ";", "QuoteSymbol": "'", "ContainsHeader": "PRESENT",
                                  "Header": ["a", "b"], "AllowSingleColumn": True, "DisableValueTrimming": True}}, ask("glue", "get_classifier", Name="ID")),
        "AWS::Glue::Connection": ({"CatalogId": ACCOUNT, "ConnectionInput": {"Name": "NAME", "ConnectionType": "NETWORK", "ConnectionProperties": {}}},
                                  {"ConnectionInput": {"Name": "NAME", "ConnectionType": "NETWORK", "ConnectionProperties": {}, "Description": "d", "MatchCriteria": ["a"]}}, ask("glue", "get_connection", Name="ID")),
        "AWS::Glue::Crawler": ({"Name": "NAME", "Role": ROLE, "DatabaseName": "base", "Targets": {"S3Targets": [{"Path": "s3://base-bucket/a/"}]}},
                               {"Classifiers": [], "Configuration": json.dumps({"Version": 1.0}), "Description": "d", "RecrawlPolicy": {"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"},
                                "Schedule": {"ScheduleExpression": "cron(0 3 * * ? *)"}, "SchemaChangePolicy": {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}, "TablePrefix": "p_",
                                "Tags": {"team": "data"}},
                               together(ask("glue", "get_crawler", Name="ID"), ask("glue", "get_tags", ResourceArn=arn("glue", "crawler/ID")))),
        "AWS::Glue::Database": ({"CatalogId": ACCOUNT, "DatabaseInput": {"Name": "NAME"}},
                                {"DatabaseInput": {"Name": "NAME", "Description": "d", "LocationUri": "s3://base-bucket/d/", "Parameters": {"a": "b"}}}, ask("glue", "get_database", Name="ID")),
        "AWS::Glue::Job": ({"Name": "NAME", "Role": ROLE, "Command": {"Name": "glueetl", "ScriptLocation": "s3://base-bucket/a.py"}},
                           {"DefaultArguments": {"--a": "b"}, "Description": "d", "ExecutionClass": "FLEX", "ExecutionProperty": {"MaxConcurrentRuns": 3}, "GlueVersion": "4.0",
                            "MaxRetries": 2, "NonOverridableArguments": {"--c": "d"}, "NotificationProperty": {"NotifyDelayAfter": 5}, "NumberOfWorkers": 3, "WorkerType": "G.1X",
                            "Timeout": 30, "Tags": {"team": "data"}},
                           together(ask("glue", "get_job", JobName="ID"), ask("glue", "get_tags", ResourceArn=arn("glue", "job/ID")))),
        "AWS::Glue::Table": ({"CatalogId": ACCOUNT, "DatabaseName": "base", "TableInput": {"Name": "NAME_"}},
                             {"TableInput": {"Name": "NAME_", "Description": "d", "Owner": "o", "Retention": 3, "TableType": "EXTERNAL_TABLE", "Parameters": {"a": "b"},
                                             "PartitionKeys": [{"Name": "p", "Type": "string"}], "StorageDescriptor": {"Columns": [{"Name": "a", "Type": "int"}], "Location": "s3://base-bucket/t/"}}},
                             ask("glue", "get_table", DatabaseName="base", Name="ID")),
        "AWS::Glue::Trigger": ({"Name": "NAME", "Type": "ON_DEMAND", "Actions": [{"JobName": "JOB"}]}, {"Description": "d", "Tags": {"team": "data"}},
                               together(ask("glue", "get_trigger", Name="ID"), ask("glue", "get_tags", ResourceArn=arn("glue", "trigger/ID")))),
        "AWS::Glue::Workflow": ({"Name": "NAME"}, {"Description": "d", "DefaultRunProperties": {"a": "b"}, "MaxConcurrentRuns": 2, "Tags": {"team": "data"}},
                                together(ask("glue", "get_workflow", Name="ID"), ask("glue", "get_tags", ResourceArn=arn("glue", "workflow/ID")))),
        "AWS::IAM::Group": ({"GroupName": "NAME"}, holder, together(ask("iam", "list_group_policies", GroupName="ID"), ask("iam", "list_attached_group_policies", GroupName="ID"))),
        "AWS::IAM::InstanceProfile": ({"InstanceProfileName": "NAME", "Roles": ["base"]}, {}, ask("iam", "get_instance_profile", InstanceProfileName="ID")),
        "AWS::IAM::ManagedPolicy": ({"ManagedPolicyName": "NAME", "PolicyDocument": policy()}, {"Groups": ["base"], "Roles": ["base"]}, ask("iam", "list_entities_for_policy", PolicyArn="ID")),
        "AWS::IAM::OIDCProvider": ({"Url": "https://NAME.example.org"}, {"ClientIdList": ["a"], "ThumbprintList": ["a" * 40], "Tags": TAGS},
                                   ask("iam", "get_open_id_connect_provider", OpenIDConnectProviderArn="ID")),
        "AWS::IAM::Role": ({"RoleName": "NAME", "AssumeRolePolicyDocument": trust()},
                           holder | {"Description": "d", "MaxSessionDuration": 7200, "PermissionsBoundary": iam("policy/base"), "Tags": TAGS},
                           together(ask("iam", "get_role", RoleName="ID"), ask("iam", "list_role_policies", RoleName="ID"), ask("iam", "list_attached_role_policies", RoleName="ID"))),
        "AWS::IAM::User": ({"UserName": "NAME"}, holder | {"Groups": ["base"], "PermissionsBoundary": iam("policy/base"), "Tags": TAGS},
                           together(ask("iam", "get_user", UserName="ID"), ask("iam", "list_user_policies", UserName="ID"), ask("iam", "list_attached_user_policies", UserName="ID"),
                                    ask("iam", "list_groups_for_user", UserName="ID"))),
        "AWS::KMS::Key": ({}, {"Description": "d", "EnableKeyRotation": True, "Enabled": True, "Tags": TAGS, "KeyPolicy": {"Version": "2012-10-17", "Id": "x", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": iam("root")}, "Action": "kms:*", "Resource": "*"}]}},
            together(ask("kms", "describe_key", KeyId="ID"), ask("kms", "get_key_rotation_status", KeyId="ID"), ask("kms", "get_key_policy", KeyId="ID", PolicyName="default"),
                     ask("kms", "list_resource_tags", KeyId="ID"))),
        "AWS::Lambda::Alias": ({"FunctionName": "base", "FunctionVersion": "$LATEST", "Name": "NAME"}, {"Description": "d", "FunctionVersion": "1"},
                               ask("lambda", "get_alias", FunctionName="base", Name="NAME")),
        "AWS::Lambda::EventInvokeConfig": ({"FunctionName": "FUNCTION", "Qualifier": "$LATEST"},
                                           {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0, "DestinationConfig": {"OnSuccess": {"Destination": QUEUE}, "OnFailure": {"Destination": QUEUE}}},
                                           ask("lambda", "get_function_event_invoke_config", FunctionName="FUNCTION", Qualifier="$LATEST")),
        "AWS::Lambda::EventSourceMapping": ({"FunctionName": "FUNCTION", "EventSourceArn": "SOURCE"},
                                            {"BatchSize": 3, "Enabled": False, "FilterCriteria": {"Filters": [{"Pattern": "{\"body\":{\"a\":[1]}}"}]}, "FunctionResponseTypes": ["ReportBatchItemFailures"],
                                             "MaximumBatchingWindowInSeconds": 2, "ScalingConfig": {"MaximumConcurrency": 3}, "Tags": TAGS},
                                            together(ask("lambda", "get_event_source_mapping", UUID="ID"), ask("lambda", "list_tags", Resource=arn("lambda", "event-source-mapping:ID")))),
        "AWS::Lambda::Function": ({"FunctionName": "NAME"} | FUNCTION,
                                  {"Architectures": ["x86_64"], "DeadLetterConfig": {"TargetArn": QUEUE}, "Description": "d", "Environment": {"Variables": {"MODE": "b"}},
                                   "EphemeralStorage": {"Size": 1024}, "KmsKeyArn": arn("kms", "alias/base"), "Layers": [arn("lambda", "layer:base:1")], "MemorySize": 256,
                                   "LoggingConfig": {"LogFormat": "JSON", "LogGroup": "/base", "ApplicationLogLevel": "DEBUG", "SystemLogLevel": "WARN"},
                                   "ReservedConcurrentExecutions": 3, "Timeout": 30, "TracingConfig": {"Mode": "Active"}, "Tags": TAGS},
                                  together(ask("lambda", "get_function", FunctionName="ID"), ask("lambda", "get_function_concurrency", FunctionName="ID"))),
        "AWS::Lambda::Url": ({"TargetFunctionArn": "FUNCTION", "AuthType": "NONE"}, {"InvokeMode": "RESPONSE_STREAM", "Cors": {"AllowOrigins": ["*"], "MaxAge": 5}},
                             ask("lambda", "get_function_url_config", FunctionName="FUNCTION")),
        "AWS::Logs::LogGroup": ({"LogGroupName": "/NAME"}, {"RetentionInDays": 3, "Tags": TAGS}, together(
            ask("logs", "describe_log_groups", logGroupNamePrefix="ID"), ask("logs", "list_tags_for_resource", resourceArn=arn("logs", "log-group:ID")))),
        "AWS::Logs::MetricFilter": ({"FilterName": "NAME", "LogGroupName": "/base", "FilterPattern": "", "MetricTransformations": [{"MetricName": "m", "MetricNamespace": "n", "MetricValue": "1"}]},
                                    {"MetricTransformations": [{"MetricName": "m", "MetricNamespace": "n", "MetricValue": "1", "DefaultValue": 0, "Unit": "Count"}]},
                                    ask("logs", "describe_metric_filters", logGroupName="/base", filterNamePrefix="ID")),
        "AWS::Logs::QueryDefinition": ({"Name": "NAME", "QueryString": "fields @message"}, {"LogGroupNames": ["/base"]}, ask("logs", "describe_query_definitions", queryDefinitionNamePrefix="STACK")),
        "AWS::Pipes::Pipe": ({"Name": "NAME", "RoleArn": ROLE, "Source": "SOURCE", "Target": QUEUE},
                             {"Description": "d", "DesiredState": "STOPPED", "Enrichment": arn("lambda", "function:base"), "EnrichmentParameters": {"InputTemplate": "{\"a\": 1}"},
                              "SourceParameters": {"SqsQueueParameters": {"BatchSize": 3, "MaximumBatchingWindowInSeconds": 2}, "FilterCriteria": {"Filters": [{"Pattern": "{\"body\":{\"a\":[1]}}"}]}},
                              "TargetParameters": {"InputTemplate": "{\"b\": 1}"}, "Tags": {"team": "data"}},
                             ask("pipes", "describe_pipe", Name="ID")),
        "AWS::S3::Bucket": ({"BucketName": "NAME"}, {
            "AccessControl": "LogDeliveryWrite",
            "BucketEncryption": {"ServerSideEncryptionConfiguration": [{"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]},
            "CorsConfiguration": {"CorsRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]},
            "LifecycleConfiguration": {"Rules": [{"Id": "r", "Status": "Enabled", "ExpirationInDays": 3}]},
            "NotificationConfiguration": {"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "ObjectWriter"}]},
            "PublicAccessBlockConfiguration": {"BlockPublicAcls": False, "BlockPublicPolicy": True, "IgnorePublicAcls": False, "RestrictPublicBuckets": True},
            "VersioningConfiguration": {"Status": "Enabled"}, "Tags": TAGS}, settings_of_bucket),
        "AWS::SNS::Subscription": ({"TopicArn": TOPIC, "Protocol": "sqs", "Endpoint": "SOURCE"},
                                   {"FilterPolicy": {"a": ["b"]}, "FilterPolicyScope": "MessageBody", "RawMessageDelivery": True, "RedrivePolicy": {"deadLetterTargetArn": QUEUE}},
                                   ask("sns", "get_subscription_attributes", SubscriptionArn="ID")),
        "AWS::SNS::Topic": ({"TopicName": "NAME"}, {"DisplayName": "d", "KmsMasterKeyId": "alias/base", "SignatureVersion": "2", "TracingConfig": "Active", "Tags": TAGS,
                                                    "Subscription": [{"Protocol": "sqs", "Endpoint": QUEUE}]},
                            together(ask("sns", "get_topic_attributes", TopicArn="ID"), ask("sns", "list_tags_for_resource", ResourceArn="ID"), ask("sns", "list_subscriptions_by_topic", TopicArn="ID"))),
        "AWS::SQS::Queue": ({"QueueName": "NAME"}, {
            "DelaySeconds": 3, "KmsMasterKeyId": "alias/base", "KmsDataKeyReusePeriodSeconds": 60, "MaximumMessageSize": 2048, "MessageRetentionPeriod": 60, "ReceiveMessageWaitTimeSeconds": 3,
            "RedriveAllowPolicy": {"redrivePermission": "denyAll"}, "RedrivePolicy": {"deadLetterTargetArn": QUEUE, "maxReceiveCount": 3}, "VisibilityTimeout": 3, "Tags": TAGS},
            together(ask("sqs", "get_queue_attributes", QueueUrl="ID", AttributeNames=["All"]), ask("sqs", "list_queue_tags", QueueUrl="ID"))),
        "AWS::SSM::Parameter": ({"Name": "/NAME", "Type": "String", "Value": "v"}, {"AllowedPattern": ".*", "DataType": "text", "Description": "d", "Tags": {"team": "data"}, "Tier": "Standard"},
                                together(ask("ssm", "describe_parameters", ParameterFilters=[{"Key": "Name", "Values": ["ID"]}]),
                                         ask("ssm", "list_tags_for_resource", ResourceType="Parameter", ResourceId="ID"))),
        "AWS::Scheduler::Schedule": ({"Name": "NAME", "FlexibleTimeWindow": {"Mode": "OFF"}, "ScheduleExpression": "rate(1 day)", "Target": {"Arn": QUEUE, "RoleArn": ROLE}},
                                     {"Description": "d", "EndDate": "2040-01-01T00:00:00.000Z", "ScheduleExpressionTimezone": "Europe/London", "State": "DISABLED",
                                      "StartDate": "2039-01-01T00:00:00.000Z", "Target": {"Arn": QUEUE, "RoleArn": ROLE, "Input": "{}", "RetryPolicy": {"MaximumRetryAttempts": 3},
                                                                                          "DeadLetterConfig": {"Arn": QUEUE}}}, ask("scheduler", "get_schedule", Name="ID")),
        "AWS::SecretsManager::Secret": ({"Name": "NAME", "SecretString": "x"}, {"Description": "d", "KmsKeyId": "alias/base", "Tags": TAGS}, ask("secretsmanager", "describe_secret", SecretId="ID")),
        "AWS::SecretsManager::RotationSchedule": ({"SecretId": "base", "RotationLambdaARN": arn("lambda", "function:base"), "RotationRules": {"AutomaticallyAfterDays": 30}, "RotateImmediatelyOnUpdate": False},
                                                  {"RotationRules": {"ScheduleExpression": "rate(10 days)", "Duration": "3h"}}, ask("secretsmanager", "describe_secret", SecretId="base")),
        "AWS::StepFunctions::StateMachine": ({"StateMachineName": "NAME", "RoleArn": ROLE, "DefinitionString": json.dumps(ASL)},
                                             {"LoggingConfiguration": {"Level": "ALL", "IncludeExecutionData": True, "Destinations": [{"CloudWatchLogsLogGroup": {"LogGroupArn": arn("logs", "log-group:/base:*")}}]},
                                              "TracingConfiguration": {"Enabled": True}, "Tags": TAGS},
                                             together(ask("stepfunctions", "describe_state_machine", stateMachineArn="ID"), ask("stepfunctions", "list_tags_for_resource", resourceArn="ID"))),
        "AWS::StepFunctions::StateMachineAlias": ({"Name": "NAME", "RoutingConfiguration": [{"StateMachineVersionArn": version, "Weight": 100}]}, {"Description": "d"},
                                                  ask("stepfunctions", "describe_state_machine_alias", stateMachineAliasArn="ID")),
    }


# What is told of what was, and what is said of what is else left out: what of an answer is the same.
SAME = {
    # A setting that leaves the template is deleted; a new bucket is made with these two, and without a state of its versions.
    "AWS::S3::Bucket": {
        "get_bucket_ownership_controls": ("OwnershipControlsNotFoundError", {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}}),
        "get_bucket_versioning": ({"Status": "Suspended"},),
        "get_public_access_block": ("NoSuchPublicAccessBlockConfiguration", {"PublicAccessBlockConfiguration": dict.fromkeys(
            ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)}),
    },
    "AWS::DynamoDB::Table": {"LatestStreamArn": None, "TableClassSummary": {"TableClass": "STANDARD"}},
    "AWS::Glue::Classifier": {"Delimiter": ",", "QuoteSymbol": '"', "ContainsHeader": "UNKNOWN", "AllowSingleColumn": False, "DisableValueTrimming": False},
    "AWS::SNS::Subscription": {"FilterPolicyScope": "MessageAttributes"},
    "AWS::StepFunctions::StateMachine": {"encryptionConfiguration": {"type": "AWS_OWNED_KEY"}},
}

# Told of each, and never the same of two.
APART = re.compile("(Date|Time|Timestamp|Stamp|Modified|CreatedAt|UpdatedAt|createdAt|Id|UUID|RevisionId|updatedAt|Age|DateTime|CodeSha256|SecretArn|Location|LastChangedDate|"
                   "LastUpdated|CreatedOn|LastModifiedOn|VersionIdsToStages|VersionsToStages|creationTime|queryDefinitionId|arn|HostId|FunctionUrl|Version|VersionId|LatestStreamLabel|revisionId)$")


def plain(value, replaced):
    if isinstance(value, dict):
        kept = {key: plain(one, replaced) for key, one in value.items() if not APART.search(key) and not key.startswith("aws:cloudformation:")}
        return {key: one for key, one in kept.items() if one not in (None, {}, [], "")}
    if isinstance(value, list):
        return sorted((plain(one, replaced) for one in value if not is_of_a_stack(one)), key=str)
    if isinstance(value, str):
        for text in replaced:
            value = value.replace(text, "NAME")
        return re.sub("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", "UUID", value)
    return value if isinstance(value, (int, float, bool)) or value is None else str(value)


def without(value, same):
    """Without the members that have such a value, one of several, or any where that is None."""
    def left_out(key, one):
        return key in same and (same[key] is None or one in (same[key] if isinstance(same[key], tuple) else (same[key],)))

    if isinstance(value, dict):
        return {key: without(one, same) for key, one in value.items() if not left_out(key, one)}
    return [without(one, same) for one in value] if isinstance(value, list) else value


def is_of_a_stack(tag):
    """AWS's tags, which tell the stack."""
    return isinstance(tag, dict) and any(str(tag.get(name)).startswith("aws:cloudformation:") for name in ("Key", "key", "TagKey"))


def differences(one, other, path=""):
    if isinstance(one, dict) and isinstance(other, dict):
        return [found for key in sorted({*one, *other}) for found in differences(one.get(key), other.get(key), f"{path}.{key}")]
    return [] if one == other else [f"{path}: {json.dumps(one)[:200]} is left, {json.dumps(other)[:200]} is the default"]


def put(stacks, stack, resources, new):
    given = {"StackName": stack, "TemplateBody": json.dumps({"Resources": resources}), "Capabilities": ["CAPABILITY_NAMED_IAM"]}
    (stacks.create_stack if new else stacks.update_stack)(**given)
    ended = {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
    while (status := stacks.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]).endswith("IN_PROGRESS"):
        pass
    if status not in ended:
        why = [f"{one['ResourceStatus']} {one.get('ResourceStatusReason')}" for one in stacks.describe_stack_events(StackName=stack)["StackEvents"] if "FAILED" in one["ResourceStatus"]]
        raise AssertionError(f"{status}: {why}")
    return stacks.describe_stack_resource(StackName=stack, LogicalResourceId="R")["StackResourceDetail"]["PhysicalResourceId"]


def rotated():
    """Waits until a rotation, or the test of one, is done with: before, another is refused. Not for ever, as it may fail."""
    for _ in range(100):
        stages = boto3.client("secretsmanager").describe_secret(SecretId="base").get("VersionIdsToStages", {})
        if not any("AWSPENDING" in held for held in stages.values()):
            return
        time.sleep(0.1)


def check(number, kind, needed, more, reader, connection, key):
    stacks = boto3.client("cloudformation")
    found = []
    for stack, function, source in ((f"old{number}", "base2", SOURCES[0]), (f"new{number}", "base3", SOURCES[1])):
        name = f"{stack}-thing"
        names = [("NAME_", name.replace("-", "_")), ("NAME", name), ("FUNCTION", function), ("SOURCE", source), ("CONNECTION", connection), ("THE_KEY", key)]

        def filled(value):
            if isinstance(value, str):
                for word, text in names:
                    value = value.replace(word, text)
            if isinstance(value, list):
                return [filled(one) for one in value]
            return {one: filled(two) for one, two in value.items()} if isinstance(value, dict) else value

        least = {"R": {"Type": kind, "Properties": filled(needed)}, "Other": NOTHING}
        all_of_it = {"R": {"Type": kind, "Properties": filled(needed | more)}}
        if stack.startswith("old"):
            before = put(stacks, stack, all_of_it, True)
            if kind == "AWS::SecretsManager::RotationSchedule":
                rotated()
            had = plain(reader(before), [])
            physical = put(stacks, stack, least, False)
            assert physical == before, f"{before} is replaced by {physical}"
        else:
            physical = put(stacks, stack, least, True)
        filled_reader = reader
        found.append(plain(read(filled_reader, physical, function, stack), [physical, name, name.replace("-", "_"), function, source, stack]))
        if kind == "AWS::SecretsManager::RotationSchedule" or kind == "AWS::Lambda::EventSourceMapping":
            stacks.delete_stack(StackName=stack)
            stacks.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 600})
    assert had != found[0] or not more, f"nothing was set: {had}"
    same = SAME.get(kind, {})
    left = differences(*(without(one, same) for one in found))
    assert not left, "; ".join(left)


def read(reader, physical, function, stack):
    READING.update(FUNCTION=function, STACK=stack)
    return reader(physical)


READING = {}


def main():
    words = [word for word in sys.argv[1:] if word.startswith("AWS::")]
    server = Server(os.path.abspath(sys.argv[sys.argv.index("--binary") + 1]))
    os.environ.update(AWS_REGION=REGION, AWS_DEFAULT_REGION=REGION)
    passed = failed = 0
    try:
        version = base()
        connection = boto3.client("events").describe_connection(Name="base")["ConnectionArn"]
        key = boto3.client("kms").describe_key(KeyId="alias/base")["KeyMetadata"]["Arn"]
        for number, (kind, (needed, more, reader)) in enumerate(types(version).items()):
            if words and kind not in words:
                continue
            try:
                check(number, kind, needed, more, reader, connection, key)
                passed += 1
                print(f"ok    {kind}", flush=True)
            except Exception as error:  # noqa: BLE001 - the next type shall be looked at, too
                failed += 1
                print(f"FAIL  {kind}: {type(error).__name__} {error}", flush=True)
    finally:
        server.stop()
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
