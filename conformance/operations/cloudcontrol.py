"""Cloud Control API: https://docs.aws.amazon.com/cloudcontrolapi/latest/APIReference/API_Operations.html"""
import json

from harness import ACCOUNT, REGION, allow, client, equal, holds, named, names, operations, pages, refused, trust, until

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
