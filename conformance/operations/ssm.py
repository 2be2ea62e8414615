"""Parameter Store: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_Operations.html"""
import datetime
import json

from harness import ACCOUNT, REGION, client, equal, holds, named, names, operations, pages, refused, until


def ssm():
    return client("ssm")


@operations("ssm", "PutParameter", "GetParameter", "GetParameters", "GetParametersByPath", "DescribeParameters", "DeleteParameter", "DeleteParameters")
def parameters():
    root = "/" + named("p")
    put = ssm().put_parameter(Name=f"{root}/a", Value="one", Type="String", Description="first", AllowedPattern="^[a-z]+$")
    equal((put["Version"], put["Tier"]), (1, "Standard"))
    holds(ssm().get_parameter(Name=f"{root}/a")["Parameter"], Name=f"{root}/a", Type="String", Value="one", Version=1, DataType="text",
          ARN=f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{root}/a")
    equal(ssm().put_parameter(Name=f"{root}/a", Value="two", Overwrite=True)["Version"], 2)
    equal([ssm().get_parameter(Name=f"{root}/a{selector}")["Parameter"]["Value"] for selector in ("", ":1", ":2")], ["two", "one", "two"])
    ssm().put_parameter(Name=f"{root}/deep/s", Value="hidden", Type="SecureString")
    ssm().put_parameter(Name=f"{root}/l", Value="x,y", Type="StringList")
    secret = ssm().get_parameter(Name=f"{root}/deep/s")["Parameter"]
    assert secret["Value"] != "hidden", secret
    equal(ssm().get_parameter(Name=f"{root}/deep/s", WithDecryption=True)["Parameter"]["Value"], "hidden")
    several = ssm().get_parameters(Names=[f"{root}/a", f"{root}/l", f"{root}/no"])
    equal((sorted((p["Name"], p["Value"]) for p in several["Parameters"]), several["InvalidParameters"]),
          ([(f"{root}/a", "two"), (f"{root}/l", "x,y")], [f"{root}/no"]))
    equal(sorted(names(ssm().get_parameters_by_path(Path=root)["Parameters"], "Name")), [f"{root}/a", f"{root}/l"])
    found, count = pages(ssm().get_parameters_by_path, "Parameters", "NextToken", "NextToken", Path=root, Recursive=True, MaxResults=1)
    equal((sorted(names(found, "Name")), count), ([f"{root}/a", f"{root}/deep/s", f"{root}/l"], 3))
    by_path = [{"Key": "Path", "Option": "Recursive", "Values": [root]}]
    described = {p["Name"]: p for p in pages(ssm().describe_parameters, "Parameters", "NextToken", "NextToken", ParameterFilters=by_path)[0]}
    equal(sorted(described), [f"{root}/a", f"{root}/deep/s", f"{root}/l"])
    holds(described[f"{root}/a"], Type="String", Description="first", Version=2, Tier="Standard", AllowedPattern="^[a-z]+$", DataType="text", Policies=[])
    assert not any("Value" in p for p in described.values()), described
    of_type = ssm().describe_parameters(ParameterFilters=[*by_path, {"Key": "Type", "Values": ["SecureString"]}])["Parameters"]
    equal([(p["Name"], p["KeyId"]) for p in of_type], [(f"{root}/deep/s", "alias/aws/ssm")])
    refused("ParameterAlreadyExists", "already exists", ssm().put_parameter, Name=f"{root}/a", Value="three")
    refused("ParameterPatternMismatchException", "", ssm().put_parameter, Name=f"{root}/a", Value="3", Overwrite=True)
    refused("ValidationException", "type", ssm().put_parameter, Name=f"{root}/new", Value="x")
    refused("ValidationException", "", ssm().put_parameter, Name="aws-x", Value="x", Type="String")
    refused("ParameterNotFound", "", ssm().get_parameter, Name=f"{root}/no")
    refused("ParameterVersionNotFound", "", ssm().get_parameter, Name=f"{root}/a:9")
    refused("ValidationException", "names", ssm().get_parameters, Names=[])
    refused("ValidationException", "", ssm().get_parameters_by_path, Path="no-slash")
    refused("ValidationException", "parameterFilters.1.member.key", ssm().describe_parameters, ParameterFilters=[{"Key": "Colour", "Values": ["red"]}])
    ssm().delete_parameter(Name=f"{root}/a")
    refused("ParameterNotFound", "", ssm().delete_parameter, Name=f"{root}/a")
    deleted = ssm().delete_parameters(Names=[f"{root}/l", f"{root}/deep/s", f"{root}/no"])
    equal((sorted(deleted["DeletedParameters"]), deleted["InvalidParameters"]), ([f"{root}/deep/s", f"{root}/l"], [f"{root}/no"]))
    refused("ValidationException", "names", ssm().delete_parameters, Names=[])
    equal(ssm().describe_parameters(ParameterFilters=by_path)["Parameters"], [])


@operations("ssm", "AddTagsToResource", "RemoveTagsFromResource", "ListTagsForResource")
def tags():
    name = named("tagged")
    ssm().put_parameter(Name=name, Value="x", Type="String", Tags=[{"Key": "a", "Value": "1"}])
    this = {"ResourceType": "Parameter", "ResourceId": name}
    ssm().add_tags_to_resource(**this, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
    equal(sorted(ssm().list_tags_for_resource(**this)["TagList"], key=str), [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
    ssm().remove_tags_from_resource(**this, TagKeys=["a", "never"])
    equal(ssm().list_tags_for_resource(**this)["TagList"], [{"Key": "b", "Value": ""}])
    none = {"ResourceType": "Parameter", "ResourceId": "nothing-here"}
    refused("InvalidResourceId", "", ssm().add_tags_to_resource, **none, Tags=[{"Key": "a", "Value": "1"}])
    refused("InvalidResourceId", "", ssm().remove_tags_from_resource, **none, TagKeys=["a"])
    refused("InvalidResourceId", "", ssm().list_tags_for_resource, **none)


@operations("ssm", "GetParameterHistory", "LabelParameterVersion", "UnlabelParameterVersion", "GetParameter", "PutParameter")
def history():
    name = named("history")
    ssm().put_parameter(Name=name, Value="one", Type="String", Description="first")
    ssm().put_parameter(Name=name, Value="two", Type="SecureString", Description="second", Overwrite=True)
    ssm().put_parameter(Name=name, Value="three", Overwrite=True)
    holds(ssm().label_parameter_version(Name=name, ParameterVersion=1, Labels=["old", "1st", "aws-x"]), InvalidLabels=["1st", "aws-x"], ParameterVersion=1)
    holds(ssm().label_parameter_version(Name=name, Labels=["prod"]), InvalidLabels=[], ParameterVersion=3)
    holds(ssm().get_parameter(Name=f"{name}:old")["Parameter"], Value="one", Version=1, Selector=":old", Type="String")
    found = ssm().get_parameter_history(Name=name, WithDecryption=True)["Parameters"]
    equal([(p["Version"], p["Value"], p["Type"], p["Description"], p["Labels"]) for p in found],
          [(1, "one", "String", "first", ["old"]), (2, "two", "SecureString", "second", []), (3, "three", "SecureString", "second", ["prod"])])
    found, count = pages(ssm().get_parameter_history, "Parameters", "NextToken", "NextToken", Name=name, MaxResults=2)
    equal((names(found, "Version"), count), ([1, 2, 3], 2))
    # A label moves.
    ssm().label_parameter_version(Name=name, ParameterVersion=2, Labels=["prod"])
    equal(ssm().get_parameter(Name=f"{name}:prod", WithDecryption=True)["Parameter"]["Value"], "two")
    holds(ssm().unlabel_parameter_version(Name=name, ParameterVersion=2, Labels=["prod", "old"]), RemovedLabels=["prod"], InvalidLabels=["old"])
    refused("ParameterVersionNotFound", "prod", ssm().get_parameter, Name=f"{name}:prod")
    refused("ParameterVersionLabelLimitExceeded", "10", ssm().label_parameter_version, Name=name, ParameterVersion=1, Labels=[f"l{n}" for n in range(10)])
    refused("ParameterAlreadyExists", "", ssm().put_parameter, Name=name, Value="x")
    for call, more in ((ssm().get_parameter_history, {}), (ssm().label_parameter_version, {"Labels": ["a"]}),
                       (ssm().unlabel_parameter_version, {"Labels": ["a"], "ParameterVersion": 1})):
        refused("ParameterNotFound", "", call, Name="nothing-here", **more)


@operations("ssm", "GetParameter")
def public():
    root = "/aws/service/global-infrastructure"
    holds(ssm().get_parameter(Name=f"{root}/regions/us-east-1/longName")["Parameter"], Value="US East (N. Virginia)", Type="String", DataType="text",
          ARN=f"arn:aws:ssm:{REGION}::parameter{root}/regions/us-east-1/longName")
    found = ssm().get_parameters(Names=[f"{root}/current-region", "/aws/service/none"])
    equal((names(found["Parameters"], "Value"), found["InvalidParameters"]), ([REGION], ["/aws/service/none"]))
    image = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    holds(ssm().get_parameter(Name=image)["Parameter"], DataType="aws:ec2:image", Version=1)
    assert ssm().get_parameter(Name=image)["Parameter"]["Value"].startswith("ami-0000"), "a placeholder"
    regions = pages(ssm().get_parameters_by_path, "Parameters", "NextToken", "NextToken", Path=f"{root}/regions", MaxResults=10)[0]
    assert REGION in names(regions, "Value") and all(p["Name"].startswith(root) for p in regions), regions
    refused("ParameterNotFound", "", ssm().get_parameter, Name="/aws/service/none")


@operations("ssm", "PutParameter")
def policies():
    events, name = client("events"), "/" + named("p")
    queue = client("sqs").create_queue(QueueName=named("queue"))["QueueUrl"]
    target = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    rule = named("rule")
    made = events.put_rule(Name=rule, EventPattern=json.dumps({"source": ["aws.ssm"]}))["RuleArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": target,
             "Condition": {"ArnEquals": {"aws:SourceArn": made}}}
    client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": allow})})
    events.put_targets(Rule=rule, Targets=[{"Id": "q", "Arn": target}])

    def policy(kind, **attributes):
        return {"Type": kind, "Version": "1.0", "Attributes": attributes}

    soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    three = [policy("Expiration", Timestamp=soon), policy("ExpirationNotification", Before="1", Unit="Hours"), policy("NoChangeNotification", After="20", Unit="Days")]
    put = ssm().put_parameter(Name=name, Value="x", Type="String", Tier="Intelligent-Tiering", Policies=json.dumps(three))
    equal(put["Tier"], "Advanced")
    described = ssm().describe_parameters(ParameterFilters=[{"Key": "Name", "Values": [name]}])["Parameters"][0]["Policies"]
    equal([(json.loads(p["PolicyText"]), p["PolicyType"]) for p in described], [(p, p["Type"]) for p in three])
    until(lambda: ssm().describe_parameters(ParameterFilters=[{"Key": "Name", "Values": [name]}])["Parameters"], lambda left: not left)
    told = []
    while len(told) < 4:
        got = client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=20).get("Messages", [])
        for message in got:
            client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            event = json.loads(message["Body"])
            if name in (event["detail"].get("name"), event["detail"].get("parameter-name")):
                told.append((event["detail-type"], event["detail"].get("operation") or event["detail"]["policy-type"]))
    change, action = "Parameter Store Change", "Parameter Store Policy Action"
    equal(sorted(told), sorted([(change, "Create"), (change, "Delete"), (action, "ExpirationNotification"), (action, "Expiration")]))
    given = {"Name": name, "Value": "x", "Type": "String", "Tier": "Advanced"}
    refused("ValidationException", "advanced-parameter tier", ssm().put_parameter, **{**given, "Tier": "Standard"}, Policies=json.dumps(three))
    refused("ValidationException", "Invalid policies input", ssm().put_parameter, **given, Policies="{}")
    refused("IncompatiblePolicyException", "Expiration", ssm().put_parameter, **given, Policies=json.dumps(three[1:2]))
    refused("InvalidPolicyTypeException", "Other", ssm().put_parameter, **given, Policies=json.dumps([policy("Other")]))
    refused("InvalidPolicyAttributeException", "Unit", ssm().put_parameter, **given, Policies=json.dumps([policy("NoChangeNotification", After="1", Unit="Weeks")]))


@operations("ssm", "PutParameter")
def empty_values():
    client("ssm").put_parameter(Name=named("parameter"), Value="x", Type="String")
    refused("ValidationException", "Value '' at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1",
            client("ssm").put_parameter, Name=named("parameter"), Value="", Type="String")
