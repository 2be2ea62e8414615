"""CloudFormation: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Operations.html"""
import json

from harness import ACCOUNT, REGION, client, denied, equal, holds, named, names, operations, pages, refused, until


def cf():
    return client("cloudformation")


def template(queue="Q", **more):
    return json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Description": "one queue", "Parameters": {"Delay": {"Type": "Number", "Default": "0"}},
                       "Resources": {queue: {"Type": "AWS::SQS::Queue", "Properties": {"DelaySeconds": {"Ref": "Delay"}}}}, **more})


def ended(stack, wanted):
    """The stack when its operation is over, which must be by `wanted`."""
    found = until(lambda: cf().describe_stacks(StackName=stack)["Stacks"][0], lambda s: not s["StackStatus"].endswith("_IN_PROGRESS"))
    assert found["StackStatus"] == wanted, (found["StackStatus"], found.get("StackStatusReason"))
    return found


def stack(body, wanted="CREATE_COMPLETE", **more):
    name = named("stack")
    return name, ended(cf().create_stack(StackName=name, TemplateBody=body, **more)["StackId"], wanted)["StackId"]


def missing(call, text="does not exist", **given):
    refused("ValidationError", text, call, StackName="nothing-here", **given)


@operations("cloudformation", "CreateStack", "DescribeStacks", "ListStacks", "UpdateStack", "GetTemplate", "DescribeStackEvents", "DescribeStackResource",
            "DescribeStackResources", "ListStackResources", "DeleteStack", "UpdateTerminationProtection")
def stacks():
    body = template(Outputs={"Url": {"Value": {"Ref": "Q"}, "Description": "o"}})
    name, id = stack(body, Tags=[{"Key": "a", "Value": "1"}], Parameters=[{"ParameterKey": "Delay", "ParameterValue": "3"}])
    assert id.startswith(f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/"), id
    found = cf().describe_stacks(StackName=name)["Stacks"][0]
    holds(found, StackName=name, StackId=id, Description="one queue", Tags=[{"Key": "a", "Value": "1"}],
          Parameters=[{"ParameterKey": "Delay", "ParameterValue": "3"}], EnableTerminationProtection=False)
    url = found["Outputs"][0]["OutputValue"]
    equal(found["Outputs"], [{"OutputKey": "Url", "OutputValue": url, "Description": "o"}])
    equal(client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds"])["Attributes"], {"DelaySeconds": "3"})
    equal(json.loads(body), cf().get_template(StackName=name)["TemplateBody"])
    one = cf().describe_stack_resource(StackName=name, LogicalResourceId="Q")["StackResourceDetail"]
    holds(one, StackName=name, StackId=id, LogicalResourceId="Q", PhysicalResourceId=url, ResourceType="AWS::SQS::Queue", ResourceStatus="CREATE_COMPLETE")
    equal(names(cf().describe_stack_resources(StackName=name)["StackResources"], "PhysicalResourceId"), [url])
    equal(names(cf().describe_stack_resources(PhysicalResourceId=url)["StackResources"], "LogicalResourceId"), ["Q"])
    equal([(r["LogicalResourceId"], r["ResourceStatus"]) for r in cf().list_stack_resources(StackName=name)["StackResourceSummaries"]], [("Q", "CREATE_COMPLETE")])
    events = pages(cf().describe_stack_events, "StackEvents", "NextToken", "NextToken", StackName=name)[0]
    equal([(e["LogicalResourceId"], e["ResourceStatus"]) for e in reversed(events)],
          [(name, "CREATE_IN_PROGRESS"), ("Q", "CREATE_IN_PROGRESS"), ("Q", "CREATE_COMPLETE"), (name, "CREATE_COMPLETE")])
    cf().update_stack(StackName=name, UsePreviousTemplate=True, Parameters=[{"ParameterKey": "Delay", "ParameterValue": "4"}])
    ended(id, "UPDATE_COMPLETE")
    equal(client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds"])["Attributes"], {"DelaySeconds": "4"})
    refused("ValidationError", "No updates are to be performed", cf().update_stack, StackName=name, UsePreviousTemplate=True,
            Parameters=[{"ParameterKey": "Delay", "UsePreviousValue": True}])
    refused("AlreadyExistsException", f"Stack [{name}] already exists", cf().create_stack, StackName=name, TemplateBody=body)
    refused("ValidationError", "Resources", cf().create_stack, StackName=named("s"), TemplateBody="{}")
    refused("ValidationError", "No", cf().create_stack, StackName=named("s"), TemplateBody=template(), Parameters=[{"ParameterKey": "No", "ParameterValue": "1"}])
    refused("ValidationError", "X", cf().describe_stack_resource, StackName=name, LogicalResourceId="X")
    refused("ValidationError", "stackStatusFilter", cf().list_stacks, StackStatusFilter=["ASLEEP"])
    cf().update_termination_protection(StackName=name, EnableTerminationProtection=True)
    refused("ValidationError", "TerminationProtection is enabled", cf().delete_stack, StackName=name)
    cf().update_termination_protection(StackName=name, EnableTerminationProtection=False)
    for call, given in ((cf().describe_stacks, {}), (cf().get_template, {}), (cf().describe_stack_events, {}), (cf().describe_stack_resources, {}),
                        (cf().list_stack_resources, {}), (cf().update_stack, {"TemplateBody": body}), (cf().update_termination_protection, {"EnableTerminationProtection": True})):
        missing(call, **given)
    cf().delete_stack(StackName=name)
    ended(id, "DELETE_COMPLETE")
    missing(cf().describe_stacks)
    gone = pages(cf().list_stacks, "StackSummaries", "NextToken", "NextToken", StackStatusFilter=["DELETE_COMPLETE"])[0]
    assert (name, id) in [(s["StackName"], s["StackId"]) for s in gone]
    refused("AWS.SimpleQueueService.NonExistentQueue", "", client("sqs").get_queue_attributes, QueueUrl=url)


@operations("cloudformation", "CreateChangeSet", "DescribeChangeSet", "ListChangeSets", "ExecuteChangeSet", "DeleteChangeSet")
def change_sets():
    name, id = stack(template())
    both = json.loads(template())
    both["Resources"]["R"] = {"Type": "AWS::SQS::Queue"}
    made = cf().create_change_set(StackName=name, ChangeSetName="more", TemplateBody=json.dumps(both), Description="d")
    found = until(lambda: cf().describe_change_set(StackName=name, ChangeSetName="more"), lambda c: c["Status"] == "CREATE_COMPLETE")
    holds(found, ChangeSetName="more", ChangeSetId=made["Id"], StackId=id, ExecutionStatus="AVAILABLE", Description="d")
    equal([(c["ResourceChange"]["Action"], c["ResourceChange"]["LogicalResourceId"], c["ResourceChange"]["ResourceType"]) for c in found["Changes"]],
          [("Add", "R", "AWS::SQS::Queue")])
    equal([(c["ChangeSetName"], c["Status"]) for c in cf().list_change_sets(StackName=name)["Summaries"]], [("more", "CREATE_COMPLETE")])
    cf().create_change_set(StackName=name, ChangeSetName="same", UsePreviousTemplate=True)
    same = until(lambda: cf().describe_change_set(StackName=name, ChangeSetName="same"), lambda c: c["Status"] == "FAILED")
    assert "didn't contain changes" in same["StatusReason"], same
    refused("InvalidChangeSetStatus", "same", cf().execute_change_set, StackName=name, ChangeSetName="same")
    refused("AlreadyExistsException", "more", cf().create_change_set, StackName=name, ChangeSetName="more", TemplateBody=json.dumps(both))
    cf().delete_change_set(StackName=name, ChangeSetName="same")
    refused("ChangeSetNotFound", "same", cf().describe_change_set, StackName=name, ChangeSetName="same")
    refused("ChangeSetNotFound", "same", cf().execute_change_set, StackName=name, ChangeSetName="same")
    missing(cf().list_change_sets)
    missing(cf().delete_change_set, ChangeSetName="same")
    cf().execute_change_set(StackName=name, ChangeSetName="more")
    ended(id, "UPDATE_COMPLETE")
    equal(sorted(names(cf().list_stack_resources(StackName=name)["StackResourceSummaries"], "LogicalResourceId")), ["Q", "R"])


@operations("cloudformation", "UpdateStack")
def keys_and_tags():
    """A change of a KMS key keeps the key; changed tags reach their resources."""
    def body(tag, **key):
        tags = [{"Key": tag, "Value": "1"}]
        made = {"K": ("AWS::KMS::Key", key), "Q": ("AWS::SQS::Queue", {}), "T": ("AWS::SNS::Topic", {}), "G": ("AWS::Logs::LogGroup", {}),
                "S": ("AWS::SecretsManager::Secret", {"SecretString": "s"}), "W": ("AWS::Athena::WorkGroup", {"Name": group})}
        return json.dumps({"Resources": {name: {"Type": kind, "Properties": {**given, "Tags": tags}} for name, (kind, given) in made.items()}})

    group = named("group")
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*", "Sid": "x"}]}
    name, id = stack(body("a", Description="d"))
    ids = lambda: {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in cf().list_stack_resources(StackName=name)["StackResourceSummaries"]}  # noqa: E731
    first, kms = ids(), client("kms")
    key = first["K"]
    cf().update_stack(StackName=name, TemplateBody=body("b", Description="e", KeyPolicy=policy, EnableKeyRotation=True, KeySpec="SYMMETRIC_DEFAULT"))
    ended(id, "UPDATE_COMPLETE")
    equal(ids(), first)
    holds(kms.describe_key(KeyId=key)["KeyMetadata"], KeyState="Enabled", Description="e")
    equal(json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]), policy)
    equal(kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"], True)
    own = lambda found: sorted(k for k in found if not k.startswith("aws:"))  # noqa: E731
    equal(own(t["TagKey"] for t in kms.list_resource_tags(KeyId=key)["Tags"]), ["b"])
    equal(own(client("sqs").list_queue_tags(QueueUrl=first["Q"])["Tags"]), ["b"])
    equal(own(t["Key"] for t in client("sns").list_tags_for_resource(ResourceArn=first["T"])["Tags"]), ["b"])
    equal(own(client("logs").list_tags_for_resource(resourceArn=f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{first['G']}")["tags"]), ["b"])
    equal(own(t["Key"] for t in client("secretsmanager").describe_secret(SecretId=first["S"])["Tags"]), ["b"])
    equal(own(t["Key"] for t in client("athena").list_tags_for_resource(ResourceARN=f"arn:aws:athena:{REGION}:{ACCOUNT}:workgroup/{group}")["Tags"]), ["b"])
    # What a key keeps for good: the update fails and goes back, and the key is there.
    cf().update_stack(StackName=name, TemplateBody=body("c", KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY"))
    ended(id, "UPDATE_ROLLBACK_COMPLETE")
    equal(ids()["K"], key)
    holds(kms.describe_key(KeyId=key)["KeyMetadata"], KeyState="Enabled", Description="e", KeySpec="SYMMETRIC_DEFAULT")
    equal(own(client("sqs").list_queue_tags(QueueUrl=first["Q"])["Tags"]), ["b"])
    # Without a policy of its own it has the default one again.
    cf().update_stack(StackName=name, TemplateBody=body("b"))
    ended(id, "UPDATE_COMPLETE")
    equal(json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])["Id"], "key-default-1")
    equal([kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"], kms.describe_key(KeyId=key)["KeyMetadata"]["Description"]], [False, ""])
    refused("ValidationError", "does not exist", cf().update_stack, StackName="nothing-here", TemplateBody=body("b"))
    cf().delete_stack(StackName=name)
    until(lambda: kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"], lambda s: s == "PendingDeletion")


@operations("cloudformation", "ListExports", "ListImports")
def exports():
    name = named("export")
    _, id = stack(template(Outputs={"Arn": {"Value": {"Fn::GetAtt": ["Q", "Arn"]}, "Export": {"Name": name}}}))
    found = {e["Name"]: e for e in pages(cf().list_exports, "Exports", "NextToken", "NextToken")[0]}
    equal(found[name]["ExportingStackId"], id)
    assert found[name]["Value"].startswith(f"arn:aws:sqs:{REGION}:{ACCOUNT}:"), found[name]
    refused("ValidationError", f"Export '{name}' is not imported by any stack", cf().list_imports, ExportName=name)
    user, _ = stack(template(Outputs={"Theirs": {"Value": {"Fn::ImportValue": name}}}))
    equal(cf().list_imports(ExportName=name)["Imports"], [user])
    denied("AccessDenied", "cloudformation:ListExports", "list_exports")


@operations("cloudformation", "SetStackPolicy", "GetStackPolicy")
def stack_policies():
    name, id = stack(template())
    assert "StackPolicyBody" not in cf().get_stack_policy(StackName=name)
    policy = json.dumps({"Statement": [{"Effect": "Deny", "Action": "Update:*", "Principal": "*", "Resource": "*"}]})
    cf().set_stack_policy(StackName=name, StackPolicyBody=policy)
    equal(json.loads(cf().get_stack_policy(StackName=name)["StackPolicyBody"]), json.loads(policy))
    cf().update_stack(StackName=name, UsePreviousTemplate=True, Parameters=[{"ParameterKey": "Delay", "ParameterValue": "9"}])
    ended(id, "UPDATE_ROLLBACK_COMPLETE")
    refused("ValidationError", "", cf().set_stack_policy, StackName=name, StackPolicyBody="not json")
    missing(cf().get_stack_policy)


@operations("cloudformation", "ValidateTemplate", "GetTemplateSummary")
def templates():
    body = template(Parameters={"P": {"Type": "String", "Default": "x", "Description": "d", "NoEcho": True}},
                    Resources={"R": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": {"Ref": "P"}, "AssumeRolePolicyDocument": {}}}})
    valid = cf().validate_template(TemplateBody=body)
    equal((valid["Parameters"], valid["Capabilities"], valid["Description"]),
          ([{"ParameterKey": "P", "DefaultValue": "x", "NoEcho": True, "Description": "d"}], ["CAPABILITY_NAMED_IAM"], "one queue"))
    summary = cf().get_template_summary(TemplateBody=body)
    holds(summary, ResourceTypes=["AWS::IAM::Role"], Capabilities=["CAPABILITY_NAMED_IAM"], Description="one queue", Version="2010-09-09")
    holds(summary["Parameters"][0], ParameterKey="P", DefaultValue="x", ParameterType="String", NoEcho=True)
    name, _ = stack(template())
    equal(cf().get_template_summary(StackName=name)["ResourceTypes"], ["AWS::SQS::Queue"])
    refused("ValidationError", "Template format error", cf().validate_template, TemplateBody="not a template")
    refused("ValidationError", "Nowhere", cf().validate_template, TemplateBody=template(Outputs={"O": {"Value": {"Ref": "Nowhere"}}}))
    refused("ValidationError", "", cf().get_template_summary)
    missing(cf().get_template_summary)


@operations("cloudformation", "CancelUpdateStack", "ContinueUpdateRollback", only_refused="conformance/cloudformation and the crate's tests stop updates midway")
def stopping():
    name, _ = stack(template())
    refused("ValidationError", "CancelUpdateStack cannot be called from current stack status", cf().cancel_update_stack, StackName=name)
    refused("ValidationError", "is in CREATE_COMPLETE state and can not continue rolling back", cf().continue_update_rollback, StackName=name)
    missing(cf().cancel_update_stack)
    missing(cf().continue_update_rollback)


@operations("cloudformation", "RollbackStack")
def rolling_back():
    body = json.loads(template())
    body["Resources"]["B"] = {"Type": "AWS::SQS::Queue", "DependsOn": "Q", "Properties": {"QueueName": "not a name"}}
    name = named("left")
    id = cf().create_stack(StackName=name, TemplateBody=json.dumps(body), DisableRollback=True)["StackId"]
    ended(id, "CREATE_FAILED")
    equal(cf().rollback_stack(StackName=name)["StackId"], id)
    ended(id, "ROLLBACK_COMPLETE")
    refused("ValidationError", "is in ROLLBACK_COMPLETE state and can not be rolled back", cf().rollback_stack, StackName=name)
    cf().delete_stack(StackName=name)
    missing(cf().rollback_stack)
    denied("AccessDenied", "cloudformation:RollbackStack", "rollback_stack", StackName=name)


@operations("cloudformation", "SignalResource")
def signals():
    body = json.dumps({"Resources": {"W": {"Type": "AWS::CloudFormation::WaitCondition", "CreationPolicy": {"ResourceSignal": {"Count": 2, "Timeout": "PT5M"}}}}})
    name = named("signal")
    id = cf().create_stack(StackName=name, TemplateBody=body)["StackId"]
    until(lambda: cf().describe_stacks(StackName=id)["Stacks"][0]["StackStatus"] and cf().list_stack_resources(StackName=name)["StackResourceSummaries"], bool)
    given = {"StackName": name, "LogicalResourceId": "W", "Status": "SUCCESS"}
    for number in ("1", "1", "2"):
        cf().signal_resource(UniqueId=number, **given)
    ended(id, "CREATE_COMPLETE")
    told = [e.get("ResourceStatusReason") for e in cf().describe_stack_events(StackName=name)["StackEvents"]]
    equal(told.count("Received SUCCESS signal with UniqueId 1"), 1)
    refused("ValidationError", "can not be signaled", cf().signal_resource, UniqueId="3", **given)
    refused("ValidationError", "status", cf().signal_resource, UniqueId="3", **(given | {"Status": "MAYBE"}))
    missing(cf().signal_resource, LogicalResourceId="W", UniqueId="1", Status="SUCCESS")
    denied("AccessDenied", "cloudformation:SignalResource", "signal_resource", UniqueId="3", **given)


@operations("cloudformation", "DetectStackDrift", "DescribeStackDriftDetectionStatus", "DescribeStackResourceDrifts", "DetectStackResourceDrift")
def drift():
    def detected(**given):
        """What a detection came to."""
        asked = cf().detect_stack_drift(StackName=name, **given)["StackDriftDetectionId"]
        done = until(lambda: cf().describe_stack_drift_detection_status(StackDriftDetectionId=asked), lambda d: d["DetectionStatus"] != "DETECTION_IN_PROGRESS")
        holds(done, StackId=id, StackDriftDetectionId=asked, DetectionStatus="DETECTION_COMPLETE")
        return done["StackDriftStatus"], done["DriftedStackResourceCount"]

    def statuses(**given):
        found = pages(cf().describe_stack_resource_drifts, "StackResourceDrifts", "NextToken", "NextToken", StackName=name, **given)[0]
        return {d["LogicalResourceId"]: d["StackResourceDriftStatus"] for d in found}

    body = json.loads(template())
    body["Resources"] |= {"R": {"Type": "AWS::SQS::Queue"}, "W": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}
    name, id = stack(json.dumps(body))
    equal(statuses(), {})
    told = lambda: cf().describe_stacks(StackName=name)["Stacks"][0]["DriftInformation"]
    equal(told(), {"StackDriftStatus": "NOT_CHECKED"})
    equal(detected(), ("IN_SYNC", 0))
    equal(told()["StackDriftStatus"], "IN_SYNC")
    # A handle is of no type that can be looked at.
    equal(statuses(), {"Q": "IN_SYNC", "R": "IN_SYNC"})
    urls = {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in cf().list_stack_resources(StackName=name)["StackResourceSummaries"]}
    client("sqs").set_queue_attributes(QueueUrl=urls["Q"], Attributes={"DelaySeconds": "7"})
    one = cf().detect_stack_resource_drift(StackName=name, LogicalResourceId="Q")["StackResourceDrift"]
    holds(one, StackId=id, LogicalResourceId="Q", PhysicalResourceId=urls["Q"], ResourceType="AWS::SQS::Queue", StackResourceDriftStatus="MODIFIED",
          PropertyDifferences=[{"PropertyPath": "/DelaySeconds", "ExpectedValue": "0", "ActualValue": "7", "DifferenceType": "NOT_EQUAL"}])
    equal((str(json.loads(one["ExpectedProperties"])["DelaySeconds"]), str(json.loads(one["ActualProperties"])["DelaySeconds"])), ("0", "7"))
    # What was found of one resource is kept beside the others, and counts for the stack.
    equal(statuses(), {"Q": "MODIFIED", "R": "IN_SYNC"})
    equal(told()["StackDriftStatus"], "DRIFTED")
    equal(detected(), ("DRIFTED", 1))
    client("sqs").delete_queue(QueueUrl=urls["R"])
    equal(detected(), ("DRIFTED", 2))
    equal(statuses(MaxResults=1), {"Q": "MODIFIED", "R": "DELETED"})
    equal(statuses(StackResourceDriftStatusFilters=["DELETED"]), {"R": "DELETED"})
    equal(statuses(StackResourceDriftStatusFilters=["IN_SYNC"]), {})
    assert "ActualProperties" not in cf().detect_stack_resource_drift(StackName=name, LogicalResourceId="R")["StackResourceDrift"]
    equal(detected(LogicalResourceIds=["Q"]), ("DRIFTED", 1))
    equal(statuses(), {"Q": "MODIFIED", "R": "DELETED"})
    refused("ValidationError", "X", cf().detect_stack_drift, StackName=name, LogicalResourceIds=["X"])
    nowhere = "b78ac9b0-dec1-11e7-a451-503a3example"
    refused("ValidationError", nowhere, cf().describe_stack_drift_detection_status, StackDriftDetectionId=nowhere)
    refused("ValidationError", "X", cf().detect_stack_resource_drift, StackName=name, LogicalResourceId="X")
    refused("ValidationError", "AWS::CloudFormation::WaitConditionHandle", cf().detect_stack_resource_drift, StackName=name, LogicalResourceId="W")
    refused("ValidationError", "stackResourceDriftStatusFilters", cf().describe_stack_resource_drifts, StackName=name, StackResourceDriftStatusFilters=["ASLEEP"])
    refused("ValidationError", "maxResults", cf().describe_stack_resource_drifts, StackName=name, MaxResults=101)
    missing(cf().detect_stack_drift)
    missing(cf().describe_stack_resource_drifts)
    missing(cf().detect_stack_resource_drift, LogicalResourceId="Q")
    denied("AccessDenied", "cloudformation:DetectStackDrift", "detect_stack_drift", StackName=name)


@operations("cloudformation", "DescribeType", "ListTypes")
def types():
    one = cf().describe_type(Type="RESOURCE", TypeName="AWS::Logs::LogStream")
    arn = f"arn:aws:cloudformation:{REGION}::type/resource/AWS-Logs-LogStream"
    holds(one, Arn=arn, Type="RESOURCE", TypeName="AWS::Logs::LogStream", Visibility="PUBLIC", DeprecatedStatus="LIVE", ProvisioningType="IMMUTABLE")
    equal(cf().describe_type(Arn=arn)["Schema"], one["Schema"])
    schema = json.loads(one["Schema"])
    equal([schema[key] for key in ("typeName", "primaryIdentifier", "createOnlyProperties")],
          ["AWS::Logs::LogStream"] + [["/properties/LogGroupName", "/properties/LogStreamName"]] * 2)
    equal(sorted(schema["handlers"]), ["create", "delete", "list", "read"])
    equal(cf().describe_type(Type="RESOURCE", TypeName="AWS::IAM::Policy")["ProvisioningType"], "NON_PROVISIONABLE")
    refused("TypeNotFoundException", "The type 'AWS::EC2::VPC' cannot be found", cf().describe_type, Type="RESOURCE", TypeName="AWS::EC2::VPC")
    refused("TypeNotFoundException", "cannot be found", cf().describe_type, Type="HOOK", TypeName="AWS::S3::Bucket")
    refused("ValidationError", "either TypeName and Type, or Arn", cf().describe_type, TypeName="AWS::S3::Bucket")
    found = pages(cf().list_types, "TypeSummaries", "NextToken", "NextToken", Visibility="PUBLIC", MaxResults=50)[0]
    listed = names(found, "TypeName")
    equal(listed, sorted(set(listed)))
    assert {"AWS::S3::Bucket", "AWS::Logs::LogStream", "AWS::CloudFormation::WaitCondition"} <= set(listed), listed
    equal(cf().list_types()["TypeSummaries"], [])
    some = cf().list_types(Filters={"Category": "AWS_TYPES", "TypeNamePrefix": "AWS::SQS::"}, ProvisioningType="FULLY_MUTABLE")["TypeSummaries"]
    equal(names(some, "TypeName"), ["AWS::SQS::Queue", "AWS::SQS::QueueInlinePolicy"])
    equal(cf().list_types(Visibility="PUBLIC", Type="MODULE")["TypeSummaries"], [])
    refused("ValidationError", "maxResults", cf().list_types, MaxResults=101)
