"""Cloud Control API: https://docs.aws.amazon.com/cloudcontrolapi/latest/APIReference/API_Operations.html"""
import json

from harness import ACCOUNT, REGION, allow, client, equal, holds, named, names, operations, pages, refused, role, trust, until, zipped

ROLE = "arn:aws:iam::000000000000:role/"


def cc():
    return client("cloudcontrol")


def ended(answer, status="SUCCESS"):
    """The request when it is over."""
    token = answer["ProgressEvent"]["RequestToken"]
    found = until(lambda: cc().get_resource_request_status(RequestToken=token)["ProgressEvent"], lambda e: e["OperationStatus"] not in ("PENDING", "IN_PROGRESS", "CANCEL_IN_PROGRESS"))
    assert found["OperationStatus"] == status, found
    return found


def create(kind, state, **more):
    return ended(cc().create_resource(TypeName=kind, DesiredState=json.dumps(state), **more))


def told(kind, identifier):
    found = cc().get_resource(TypeName=kind, Identifier=identifier)["ResourceDescription"]
    equal(found["Identifier"], identifier)
    return json.loads(found["Properties"])


def update(kind, identifier, *patch):
    return ended(cc().update_resource(TypeName=kind, Identifier=identifier, PatchDocument=json.dumps(patch)))


def delete(kind, identifier):
    ended(cc().delete_resource(TypeName=kind, Identifier=identifier))
    refused("ResourceNotFoundException", f"Resource of type '{kind}' with identifier '{identifier}' was not found", cc().get_resource, TypeName=kind, Identifier=identifier)


def put(path, value, op="add"):
    return {"op": op, "path": path, "value": value}


def trusts(service):
    return json.loads(trust(service))


@operations("cloudcontrol", "CreateResource", "GetResource", "UpdateResource", "DeleteResource", "ListResources", "GetResourceRequestStatus",
            "ListResourceRequests", "CancelResourceRequest")
def lifecycle():
    kind, name = "AWS::Logs::LogGroup", named("group")
    state = json.dumps({"LogGroupName": name, "RetentionInDays": 7, "Tags": [{"Key": "a", "Value": "1"}]})
    first = cc().create_resource(TypeName=kind, DesiredState=state, ClientToken=name)
    holds(first["ProgressEvent"], TypeName=kind, Operation="CREATE", OperationStatus="IN_PROGRESS")
    found = ended(first)
    holds(found, Identifier=name, Operation="CREATE")
    equal(json.loads(found["ResourceModel"]), told(kind, name))
    # The same token is the same request; another payload with it is refused.
    equal(cc().create_resource(TypeName=kind, DesiredState=state, ClientToken=name)["ProgressEvent"]["RequestToken"], found["RequestToken"])
    refused("ClientTokenConflictException", "already been used", cc().create_resource, TypeName=kind, DesiredState="{}", ClientToken=name)
    equal(told(kind, name), {"LogGroupName": name, "RetentionInDays": 7, "LogGroupClass": "STANDARD", "Tags": [{"Key": "a", "Value": "1"}],
                             "Arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}:*"})
    holds(ended(cc().create_resource(TypeName=kind, DesiredState=state), "FAILED"), ErrorCode="AlreadyExists")
    update(kind, name, put("/RetentionInDays", 30, "replace"), put("/Tags/-", {"Key": "b", "Value": "2"}), {"op": "remove", "path": "/Tags/0"})
    holds(told(kind, name), RetentionInDays=30, Tags=[{"Key": "b", "Value": "2"}])
    equal(client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]["retentionInDays"], 30)
    for patch, text in (([put("/LogGroupName", "x", "replace")], "createOnlyProperties [/properties/LogGroupName] cannot be updated"),
                        ([put("/Arn", "x")], "readOnlyProperties [/properties/Arn] cannot be updated")):
        refused("NotUpdatableException", text, cc().update_resource, TypeName=kind, Identifier=name, PatchDocument=json.dumps(patch))
    refused("InvalidRequestException", "cannot be applied", cc().update_resource, TypeName=kind, Identifier=name, PatchDocument='[{"op":"remove","path":"/KmsKeyId2"}]')
    refused("InvalidRequestException", "patch document is not valid", cc().update_resource, TypeName=kind, Identifier=name, PatchDocument="{}")
    found, _ = pages(cc().list_resources, "ResourceDescriptions", "NextToken", "NextToken", TypeName=kind, MaxResults=1)
    assert {"Identifier": name, "Properties": json.dumps({"LogGroupName": name}, separators=(",", ":"))} in found, found
    requests, _ = pages(cc().list_resource_requests, "ResourceRequestStatusSummaries", "NextToken", "NextToken", MaxResults=2,
                        ResourceRequestStatusFilter={"Operations": ["UPDATE"], "OperationStatuses": ["SUCCESS"]})
    equal({r["Operation"] for r in requests}, {"UPDATE"})
    assert name in [r["Identifier"] for r in requests]
    delete(kind, name)
    holds(ended(cc().delete_resource(TypeName=kind, Identifier=name), "FAILED"), ErrorCode="NotFound")
    refused("ConcurrentModificationException", "cannot be canceled", cc().cancel_resource_request, RequestToken=first["ProgressEvent"]["RequestToken"])
    for call in (cc().cancel_resource_request, cc().get_resource_request_status):
        refused("RequestTokenNotFoundException", "Request with token nothing was not found", call, RequestToken="nothing")
    for call, more in ((cc().create_resource, {"DesiredState": "{}"}), (cc().get_resource, {"Identifier": "x"}), (cc().delete_resource, {"Identifier": "x"}),
                       (cc().update_resource, {"Identifier": "x", "PatchDocument": "[]"}), (cc().list_resources, {})):
        refused("TypeNotFoundException", "The type 'AWS::EC2::VPC' cannot be found", call, TypeName="AWS::EC2::VPC", **more)
        refused("UnsupportedActionException", "Resource type AWS::IAM::Policy does not support", call, TypeName="AWS::IAM::Policy", **more)
    refused("InvalidRequestException", "DesiredState", cc().create_resource, TypeName=kind, DesiredState="[]")
    refused("InvalidRequestException", "next token", cc().list_resources, TypeName=kind, NextToken="!")
    refused("ValidationException", "", cc().list_resource_requests, MaxResults=0)
    holds(ended(cc().create_resource(TypeName=kind, DesiredState=json.dumps({"LogGroupName": name, "Nothing": 1})), "FAILED"),
          ErrorCode="InvalidRequest", StatusMessage="Encountered unsupported property Nothing")
    # One that is still under way can be stopped; what was done by then stays done, and is named.
    policies = [{"PolicyName": f"p{n}", "PolicyDocument": json.loads(allow("s3:*"))} for n in range(30)]
    for _ in range(20):
        state = {"RoleName": named("slow"), "AssumeRolePolicyDocument": trusts("states"), "Policies": policies}
        slow = cc().create_resource(TypeName="AWS::IAM::Role", DesiredState=json.dumps(state))
        try:
            stopped = cc().cancel_resource_request(RequestToken=slow["ProgressEvent"]["RequestToken"])["ProgressEvent"]
        except cc().exceptions.ConcurrentModificationException:
            ended(slow)  # It was done already.
            continue
        holds(stopped, OperationStatus="CANCEL_IN_PROGRESS")
        left = ended(slow, "CANCEL_COMPLETE").get("Identifier")
        equal(left in names(client("iam").list_roles()["Roles"], "RoleName") if left else None, True if left else None)
        break


@operations("cloudcontrol", "CreateResource", "GetResource", "UpdateResource", "DeleteResource")
def types():
    """Each type: what is given is told, changed by a patch, and gone when it is deleted."""
    role, tags = named("role"), [{"Key": "a", "Value": "1"}]
    create("AWS::IAM::Role", {"RoleName": role, "AssumeRolePolicyDocument": trusts("states"), "Description": "d", "Tags": tags,
                              "Policies": [{"PolicyName": "p", "PolicyDocument": json.loads(allow("s3:*"))}]})
    holds(told("AWS::IAM::Role", role), RoleName=role, Description="d", Path="/", MaxSessionDuration=3600, Arn=ROLE + role, Tags=tags,
          Policies=[{"PolicyName": "p", "PolicyDocument": json.loads(allow("s3:*"))}])
    update("AWS::IAM::Role", role, put("/Description", "e"), {"op": "remove", "path": "/Policies"})
    equal([told("AWS::IAM::Role", role).get(key) for key in ("Description", "Policies")], ["e", None])
    queue = create("AWS::SQS::Queue", {"QueueName": named("queue"), "DelaySeconds": 3, "Tags": tags})["Identifier"]
    holds(told("AWS::SQS::Queue", queue), QueueUrl=queue, DelaySeconds=3, VisibilityTimeout=30, Tags=tags)
    update("AWS::SQS::Queue", queue, put("/VisibilityTimeout", 9), {"op": "remove", "path": "/Tags"})
    holds(told("AWS::SQS::Queue", queue), VisibilityTimeout=9, DelaySeconds=3, Tags=None)
    arn = told("AWS::SQS::Queue", queue)["Arn"]
    made = {
        "AWS::SNS::Topic": ({"TopicName": named("topic"), "DisplayName": "d", "Tags": tags}, put("/DisplayName", "e")),
        "AWS::DynamoDB::Table": ({"TableName": named("table"), "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
                                  "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST", "Tags": tags,
                                  "StreamSpecification": {"StreamViewType": "KEYS_ONLY"}},
                                 put("/TimeToLiveSpecification", {"AttributeName": "t", "Enabled": True})),
        "AWS::S3::Bucket": ({"BucketName": named("bucket"), "VersioningConfiguration": {"Status": "Enabled"}, "Tags": tags,
                             "LifecycleConfiguration": {"Rules": [{"Id": "r", "Status": "Enabled", "Prefix": "x/", "ExpirationInDays": 3}]},
                             "CorsConfiguration": {"CorsRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "MaxAge": 5}]},
                             "NotificationConfiguration": {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}},
                            put("/OwnershipControls", {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]})),
        "AWS::SSM::Parameter": ({"Name": named("parameter"), "Type": "String", "Value": "v", "Description": "d", "Tags": {"a": "1"}}, put("/Value", "w")),
        "AWS::SecretsManager::Secret": ({"Name": named("secret"), "Description": "d", "Tags": tags}, put("/Description", "e")),
        "AWS::ECR::Repository": ({"RepositoryName": named("repository"), "Tags": tags}, put("/ImageScanningConfiguration", {"ScanOnPush": True})),
        "AWS::KMS::Key": ({"Description": "d", "Tags": tags}, put("/EnableKeyRotation", True)),
        "AWS::StepFunctions::StateMachine": ({"StateMachineName": named("machine"), "RoleArn": ROLE + role, "Tags": tags,
                                              "DefinitionString": json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})},
                                             put("/DefinitionString", json.dumps({"StartAt": "B", "States": {"B": {"Type": "Succeed"}}}))),
        "AWS::StepFunctions::Activity": ({"Name": named("activity"), "Tags": tags}, put("/Tags/-", {"Key": "b", "Value": "2"})),
        "AWS::Events::Rule": ({"Name": named("rule"), "EventPattern": {"source": ["x"]}, "State": "ENABLED", "Tags": tags, "Targets": [{"Id": "q", "Arn": arn}]},
                              put("/EventPattern/source/0", "y", "replace")),
        "AWS::CloudWatch::Alarm": ({"AlarmName": named("alarm"), "ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1, "MetricName": "m",
                                    "Namespace": "n", "Period": 60, "Statistic": "Sum", "Threshold": 1, "Tags": tags}, put("/Threshold", 2.5)),
        "AWS::Athena::WorkGroup": ({"Name": named("group"), "Description": "d", "State": "ENABLED", "Tags": tags}, put("/Description", "e")),
        "AWS::IAM::ManagedPolicy": ({"ManagedPolicyName": named("policy"), "PolicyDocument": json.loads(allow("s3:*"))}, put("/Roles", [role])),
    }
    for kind, (state, change) in made.items():
        identifier = create(kind, state)["Identifier"]
        found = told(kind, identifier)
        holds(found, **state)
        holds(ended(cc().create_resource(TypeName=kind, DesiredState=json.dumps(state)), "FAILED"), ErrorCode="AlreadyExists") if kind != "AWS::KMS::Key" else None
        holds(found, **told(kind, identifier))
        update(kind, identifier, change)
        after, last = told(kind, identifier), change["path"].strip("/").split("/")[0]
        wanted = {**found, last: after[last]}
        wanted.pop("StateMachineRevisionId", None), after.pop("StateMachineRevisionId", None)
        equal(after, wanted)
        assert after[last] != found.get(last), (kind, after)
        if "/" not in change["path"][1:]:
            equal(after[last], change["value"])
        if kind != "AWS::KMS::Key":
            assert identifier in [one["Identifier"] for one in pages(cc().list_resources, "ResourceDescriptions", "NextToken", "NextToken", TypeName=kind)[0]], kind
        if kind == "AWS::S3::Bucket":
            policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:PutObjectAcl", "Resource": f"arn:aws:s3:::{identifier}/*"}]}
            create("AWS::S3::BucketPolicy", {"Bucket": identifier, "PolicyDocument": policy})
            equal(told("AWS::S3::BucketPolicy", identifier)["PolicyDocument"], policy)
            delete("AWS::S3::BucketPolicy", identifier)
        delete(kind, identifier)
    delete("AWS::SQS::Queue", queue)
    delete("AWS::IAM::Role", role)
    refused("ResourceNotFoundException", role, cc().update_resource, TypeName="AWS::IAM::Role", Identifier=role, PatchDocument="[]")
    refused("TypeNotFoundException", "", cc().get_resource, TypeName="AWS::EC2::VPC", Identifier="x")
    refused("TypeNotFoundException", "", cc().create_resource, TypeName="AWS::EC2::VPC", DesiredState="{}")
    refused("TypeNotFoundException", "", cc().delete_resource, TypeName="AWS::EC2::VPC", Identifier="x")


# What the resources of a type need, as it is made: theirs is not to make it.
def ground():
    name, code = named("ground"), {"ZipFile": zipped(m="def h(e, c): return e")}
    lam, sqs, logs = client("lambda"), client("sqs"), client("logs")
    lam.create_function(FunctionName=name, Runtime="python3.11", Handler="m.h", Role=role("lambda"), Code=code)
    lam.publish_version(FunctionName=name, Description="1")
    lam.create_function(FunctionName=f"{name}-v", Runtime="python3.11", Handler="m.h", Role=role("lambda"), Code=code)
    machines = [client("states").create_state_machine(name=f"{name}{end}", roleArn=role("states"), publish=not end, definition=json.dumps(
        {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})) for end in ("", "-v")]
    queues = [sqs.create_queue(QueueName=f"{name}-{n}")["QueueUrl"] for n in range(3)]
    arns = [sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"] for url in queues]
    logs.create_log_group(logGroupName=name)
    client("events").create_connection(Name=name, AuthorizationType="BASIC", AuthParameters={"BasicAuthParameters": {"Username": "u", "Password": "p"}})
    bus = client("events").create_event_bus(Name=name)["EventBusArn"]
    client("athena").create_work_group(Name=name)
    client("iam").create_group(GroupName=name)
    client("iam").create_user(UserName=name)
    client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust("glue"))
    client("s3").create_bucket(Bucket=name)
    return {"name": name, "function": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}", "queues": queues, "arns": arns, "machine": machines[0], "fresh": machines[1]["stateMachineArn"], "bus": bus,
            "secret": client("secretsmanager").create_secret(Name=name, SecretString="{}")["ARN"], "topic": client("sns").create_topic(Name=name)["TopicArn"],
            "glue": role("glue"), "scheduler": role("scheduler"), "pipes": role("pipes"), "connection": client("events").describe_connection(Name=name)["ConnectionArn"],
            "registry": client("glue").create_registry(RegistryName=name)["RegistryArn"]}


def more_types(at):
    """A type: what it is made with, what a patch changes, and how the list is asked for it (None: it cannot be)."""
    name, tags, document = at["name"], [{"Key": "a", "Value": "1"}], json.loads(allow("s3:GetObject"))
    open_to = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "*", "Resource": "*"}]}
    version = {"StateMachineVersionArn": at["machine"]["stateMachineVersionArn"], "Weight": 100}
    of_function = {"FunctionName": name}
    return [
        ("AWS::Athena::DataCatalog", {"Name": named("catalog"), "Type": "GLUE", "Parameters": {"catalog-id": ACCOUNT}, "Tags": tags}, put("/Description", "d"), {}),
        ("AWS::Athena::NamedQuery", {"Name": "q", "Database": "d", "QueryString": "SELECT 1", "WorkGroup": name}, None, {}),
        ("AWS::Athena::PreparedStatement", {"StatementName": "one", "WorkGroup": name, "QueryStatement": "SELECT 1"}, put("/Description", "d"), {"WorkGroup": name}),
        ("AWS::CloudWatch::CompositeAlarm", {"AlarmName": named("composite"), "AlarmRule": "FALSE", "Tags": tags}, put("/AlarmDescription", "d"), {}),
        ("AWS::CloudWatch::Dashboard", {"DashboardName": named("dashboard"), "DashboardBody": "{\"widgets\":[]}"}, put("/DashboardBody", "{\"start\":\"-PT1H\",\"widgets\":[]}"), {}),
        ("AWS::DynamoDB::GlobalTable", {"TableName": named("global"), "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
                                        "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}], "Replicas": [{"Region": REGION, "TableClass": "STANDARD"}]},
         put("/Replicas/0/TableClass", "STANDARD_INFREQUENT_ACCESS"), {}),
        ("AWS::Events::ApiDestination", {"Name": named("destination"), "ConnectionArn": at["connection"], "HttpMethod": "POST", "InvocationEndpoint": "https://a.example.org/"},
         put("/InvocationRateLimitPerSecond", 7), {}),
        ("AWS::Events::Archive", {"ArchiveName": named("archive"), "SourceArn": at["bus"], "EventPattern": {"source": ["x"]}}, put("/RetentionDays", 3), {}),
        ("AWS::Events::Connection", {"Name": named("connection"), "AuthorizationType": "BASIC", "AuthParameters": {"BasicAuthParameters": {"Username": "u", "Password": "p"}}}, None, {}),
        ("AWS::Events::EventBus", {"Name": named("bus"), "Tags": tags}, put("/Description", "d"), {}),
        ("AWS::Glue::Crawler", {"Name": named("crawler"), "Role": at["glue"], "DatabaseName": "d", "Targets": {"S3Targets": [{"Path": f"s3://{name}/a/"}]},
                                "Schedule": {"ScheduleExpression": "cron(0 3 * * ? *)"}, "Tags": {"a": "1"}}, put("/TablePrefix", "p_"), {}),
        ("AWS::Glue::Database", {"CatalogId": ACCOUNT, "DatabaseName": named("database").replace("-", "_"), "DatabaseInput": {"Description": "d"}}, put("/DatabaseInput/Description", "e"), {}),
        ("AWS::Glue::Registry", {"Name": named("registry"), "Tags": tags}, put("/Description", "d"), {}),
        ("AWS::Glue::Schema", {"Name": named("schema"), "Registry": {"Arn": at["registry"]}, "DataFormat": "JSON", "Compatibility": "NONE", "SchemaDefinition": "{\"type\":\"object\"}"},
         put("/Description", "d"), {}),
        ("AWS::Glue::Trigger", {"Name": named("trigger"), "Type": "ON_DEMAND", "Actions": [{"CrawlerName": "c"}], "Tags": {"a": "1"}}, put("/Description", "d"), {}),
        ("AWS::IAM::Group", {"GroupName": named("group"), "Path": "/p/", "Policies": [{"PolicyName": "in", "PolicyDocument": document}]}, put("/Policies", []), {}),
        ("AWS::IAM::GroupPolicy", {"PolicyName": "in", "GroupName": name, "PolicyDocument": document}, put("/PolicyDocument/Statement/0/Action", "s3:PutObject"), None),
        ("AWS::IAM::RolePolicy", {"PolicyName": "in", "RoleName": name, "PolicyDocument": document}, put("/PolicyDocument/Statement/0/Action", "s3:PutObject"), None),
        ("AWS::IAM::UserPolicy", {"PolicyName": "in", "UserName": name, "PolicyDocument": document}, put("/PolicyDocument/Statement/0/Action", "s3:PutObject"), None),
        ("AWS::IAM::InstanceProfile", {"InstanceProfileName": named("profile"), "Roles": [name]}, put("/Roles", []), {}),
        ("AWS::IAM::OIDCProvider", {"Url": f"https://{named('issuer')}.example.org", "ClientIdList": ["one"], "ThumbprintList": ["a" * 40], "Tags": tags}, put("/ClientIdList/-", "two"), {}),
        ("AWS::IAM::ServiceLinkedRole", {"AWSServiceName": "ecs.amazonaws.com", "Description": "d"}, put("/Description", "e"), {}),
        ("AWS::IAM::User", {"UserName": named("user"), "Groups": [name], "Tags": tags}, put("/Policies", [{"PolicyName": "in", "PolicyDocument": document}]), {}),
        ("AWS::KMS::Alias", {"AliasName": f"alias/{named('alias')}", "TargetKeyId": client("kms").create_key()["KeyMetadata"]["KeyId"]}, None, {}),
        ("AWS::Lambda::Alias", {"FunctionName": name, "Name": "live", "FunctionVersion": "1"}, put("/Description", "d"), of_function),
        ("AWS::Lambda::EventInvokeConfig", {"FunctionName": name, "Qualifier": "$LATEST", "MaximumRetryAttempts": 1}, put("/DestinationConfig", {"OnFailure": {"Destination": at["arns"][0]}}), of_function),
        ("AWS::Lambda::EventSourceMapping", {"FunctionName": at["function"], "EventSourceArn": at["arns"][0], "BatchSize": 3, "Enabled": False}, put("/BatchSize", 4), {}),
        ("AWS::Lambda::Permission", {"FunctionName": name, "Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com", "SourceAccount": ACCOUNT, "SourceArn": f"{at['bus']}/*"},
         None, of_function),
        ("AWS::Lambda::Url", {"TargetFunctionArn": at["function"], "AuthType": "NONE", "Cors": {"AllowOrigins": ["*"]}}, put("/InvokeMode", "RESPONSE_STREAM"), {"TargetFunctionArn": at["function"]}),
        ("AWS::Lambda::Version", {"FunctionName": f"{name}-v", "Description": "again"}, None, {"FunctionName": f"{name}-v"}),
        ("AWS::Logs::LogStream", {"LogGroupName": name, "LogStreamName": "one"}, None, {"LogGroupName": name}),
        ("AWS::Logs::MetricFilter", {"LogGroupName": name, "FilterName": "one", "FilterPattern": "",
                                     "MetricTransformations": [{"MetricName": "m", "MetricNamespace": "n", "MetricValue": "1"}]},
         put("/MetricTransformations/0/MetricValue", "2"), {}),
        ("AWS::Logs::QueryDefinition", {"Name": named("query"), "QueryString": "fields @message"}, put("/LogGroupNames", [name]), {}),
        ("AWS::Logs::ResourcePolicy", {"PolicyName": named("policy"), "PolicyDocument": json.dumps(open_to, separators=(",", ":"))}, None, {}),
        ("AWS::Logs::SubscriptionFilter", {"LogGroupName": name, "FilterName": "one", "FilterPattern": "", "DestinationArn": at["function"]}, put("/FilterPattern", "ERROR"), {"LogGroupName": name}),
        ("AWS::Pipes::Pipe", {"Name": named("pipe"), "RoleArn": at["pipes"], "Source": at["arns"][1], "Target": at["arns"][2], "DesiredState": "STOPPED", "Tags": {"a": "1"}}, put("/Description", "d"), {}),
        ("AWS::SNS::Subscription", {"TopicArn": at["topic"], "Protocol": "sqs", "Endpoint": at["arns"][0], "FilterPolicy": {"a": ["b"]}}, put("/RawMessageDelivery", True), {}),
        ("AWS::SNS::TopicInlinePolicy", {"TopicArn": at["topic"], "PolicyDocument": {**open_to, "Statement": [{**open_to["Statement"][0], "Action": "sns:Publish", "Resource": at["topic"]}]}},
         put("/PolicyDocument/Statement/0/Sid", "s"), None),
        ("AWS::SQS::QueueInlinePolicy", {"Queue": at["queues"][0], "PolicyDocument": {**open_to, "Statement": [{**open_to["Statement"][0], "Action": "sqs:SendMessage", "Resource": at["arns"][0]}]}},
         put("/PolicyDocument/Statement/0/Sid", "s"), None),
        ("AWS::Scheduler::Schedule", {"Name": named("schedule"), "FlexibleTimeWindow": {"Mode": "OFF"}, "ScheduleExpression": "rate(1 day)",
                                      "Target": {"Arn": at["arns"][0], "RoleArn": at["scheduler"]}}, put("/State", "DISABLED"), {}),
        ("AWS::Scheduler::ScheduleGroup", {"Name": named("group"), "Tags": tags}, put("/Tags/-", {"Key": "b", "Value": "2"}), {}),
        ("AWS::SecretsManager::ResourcePolicy", {"SecretId": at["secret"], "ResourcePolicy": {**open_to, "Statement": [{**open_to["Statement"][0], "Action": "secretsmanager:GetSecretValue"}]}},
         put("/ResourcePolicy/Statement/0/Sid", "s"), {}),
        ("AWS::StepFunctions::StateMachineAlias", {"Name": "live", "RoutingConfiguration": [version]}, put("/Description", "d"), {"StateMachineArn": at["machine"]["stateMachineArn"]}),
        ("AWS::StepFunctions::StateMachineVersion", {"StateMachineArn": at["fresh"], "Description": "again"}, None, {"StateMachineArn": at["fresh"]}),
    ]


# Given, and never told.
UNTOLD = {"AWS::IAM::ServiceLinkedRole": ["AWSServiceName"], "AWS::Glue::Schema": ["SchemaDefinition"], "AWS::Events::Connection": ["AuthParameters"]}
# What says when, or which of its states it is in, may change with another property.
MOVES = {"LastModifiedTime", "LastModificationDate", "CurrentState", "StateReason"}


@operations("cloudcontrol", "GetResource", "ListResources")
def types_of_all_services():
    at, problems = ground(), []

    def check(kind, state, change, model):
        identifier = create(kind, state)["Identifier"]
        found = told(kind, identifier)
        given = {key: value for key, value in state.items() if key not in UNTOLD.get(kind, [])}
        if kind == "AWS::DynamoDB::GlobalTable":
            holds(found["Replicas"][0], **given.pop("Replicas")[0])
        if kind == "AWS::Glue::Database":
            holds(found["DatabaseInput"], **given.pop("DatabaseInput"))
        if kind == "AWS::Scheduler::Schedule":
            holds(found["Target"], **given.pop("Target"))
        if kind == "AWS::Logs::MetricFilter":
            holds(found["MetricTransformations"][0], **given.pop("MetricTransformations")[0])
        holds(found, **given)
        if change:
            update(kind, identifier, change)
            after, last = told(kind, identifier), change["path"].strip("/").split("/")[0]
            equal({k: v for k, v in after.items() if k not in MOVES}, {k: v for k, v in {**found, last: after.get(last)}.items() if v is not None and k not in MOVES})
            assert after.get(last) != found.get(last), (kind, after)
        if model is None:
            refused("UnsupportedActionException", f"Resource type {kind} does not support LIST action", cc().list_resources, TypeName=kind)
        else:
            if model:
                refused("InvalidRequestException", f"Required property:  [{next(iter(model))}]", cc().list_resources, TypeName=kind)
            more = {"ResourceModel": json.dumps(model)} if model else {}
            listed = pages(cc().list_resources, "ResourceDescriptions", "NextToken", "NextToken", TypeName=kind, **more)[0]
            one = [each for each in listed if each["Identifier"] == identifier]
            assert len(one) == 1, (kind, identifier, listed)
            holds(found, **json.loads(one[0]["Properties"]))
        delete(kind, identifier)
        holds(ended(cc().delete_resource(TypeName=kind, Identifier=identifier), "FAILED"), ErrorCode="NotFound")

    for kind, *given in more_types(at):
        try:
            check(kind, *given)
        except Exception as error:  # noqa: BLE001 - the other types shall be looked at, too
            problems.append(f"{kind}: {type(error).__name__} {error}")
    assert not problems, "\n".join(problems)
    refused("InvalidRequestException", "ResourceModel is not a JSON object", cc().list_resources, TypeName="AWS::Lambda::Alias", ResourceModel="[]")
    refused("InvalidRequestException", "with Name is not supported", cc().list_resources, TypeName="AWS::Lambda::Alias", ResourceModel='{"FunctionName": "f", "Name": "n"}')
    # What there is already is not changed by a creation.
    for kind, state in (("AWS::SecretsManager::ResourcePolicy", {"SecretId": at["secret"], "ResourcePolicy": json.loads(allow("s3:*"))}),
                        ("AWS::Logs::MetricFilter", {"LogGroupName": at["name"], "FilterName": "f", "FilterPattern": "", "MetricTransformations": [
                            {"MetricName": "m", "MetricNamespace": "n", "MetricValue": "1"}]})):
        if kind == "AWS::SecretsManager::ResourcePolicy":
            state["ResourcePolicy"]["Statement"][0]["Principal"] = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
        identifier = create(kind, state)["Identifier"]
        holds(ended(cc().create_resource(TypeName=kind, DesiredState=json.dumps(state)), "FAILED"), ErrorCode="AlreadyExists")
        delete(kind, identifier)
