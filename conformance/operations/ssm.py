"""Parameter Store: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_Operations.html"""
from harness import ACCOUNT, REGION, client, equal, holds, named, names, operations, pages, refused


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
