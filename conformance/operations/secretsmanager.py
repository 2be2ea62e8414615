"""Secrets Manager: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Operations.html"""
import datetime
import json
import string

from harness import ACCOUNT, REGION, client, denied, equal, holds, named, names, operations, pages, refused, role, until, zipped

GONE = "can't find the specified secret"


def sm():
    return client("secretsmanager")


@operations("secretsmanager", "BatchGetSecretValue", "CreateSecret", "DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecret", "ListSecretVersionIds",
            "ListSecrets", "DeleteSecret", "RestoreSecret", "GetResourcePolicy")
def secrets():
    name = named("secret")
    made = sm().create_secret(Name=name, SecretString="one", Description="first")
    arn, first = made["ARN"], made["VersionId"]
    assert arn.startswith(f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-"), arn
    holds(sm().get_secret_value(SecretId=name), ARN=arn, Name=name, VersionId=first, SecretString="one", VersionStages=["AWSCURRENT"])
    second = sm().put_secret_value(SecretId=arn, SecretString="two")
    equal(second["VersionStages"], ["AWSCURRENT"])
    holds(sm().get_secret_value(SecretId=name, VersionStage="AWSPREVIOUS"), SecretString="one", VersionId=first)
    third = sm().update_secret(SecretId=name, SecretBinary=b"\x00\x01", Description="second")["VersionId"]
    found = sm().get_secret_value(SecretId=name)
    equal((found["SecretBinary"], "SecretString" in found), (b"\x00\x01", False))
    stages = {first: [], second["VersionId"]: ["AWSPREVIOUS"], third: ["AWSCURRENT"]}
    listed = {v["VersionId"]: v.get("VersionStages", []) for v in sm().list_secret_version_ids(SecretId=name)["Versions"]}
    equal(listed, {id: held for id, held in stages.items() if held})
    holds(sm().describe_secret(SecretId=name), ARN=arn, Description="second", VersionIdsToStages={id: held for id, held in stages.items() if held})
    sm().update_secret(SecretId=name, Description="third")
    equal(sm().get_secret_value(SecretId=name)["VersionId"], third)
    only = [{"Key": "name", "Values": [name]}]
    found, _ = pages(sm().list_secrets, "SecretList", "NextToken", "NextToken", Filters=only, MaxResults=1)
    equal([(s["ARN"], s["Description"]) for s in found], [(arn, "third")])
    holds(sm().get_resource_policy(SecretId=name), ARN=arn, Name=name, ResourcePolicy=None)
    some = sm().batch_get_secret_value(SecretIdList=[name, "nothing-here"])
    equal([(s["ARN"], s["SecretBinary"]) for s in some["SecretValues"]], [(arn, b"\x00\x01")])
    equal([(e["SecretId"], e["ErrorCode"]) for e in some["Errors"]], [("nothing-here", "ResourceNotFoundException")])
    equal(names(sm().batch_get_secret_value(Filters=only, MaxResults=5)["SecretValues"], "Name"), [name])
    refused("InvalidParameterException", "SecretIdList", sm().batch_get_secret_value, SecretIdList=[name], Filters=only)
    refused("InvalidParameterException", "NextToken", sm().batch_get_secret_value, SecretIdList=[name], NextToken="t")
    refused("InvalidParameterException", "", sm().batch_get_secret_value)
    refused("ResourceExistsException", name, sm().create_secret, Name=name, SecretString="x")
    refused("InvalidParameterException", "", sm().create_secret, Name=named("s"), SecretString="x", SecretBinary=b"y")
    refused("InvalidParameterException", "", sm().put_secret_value, SecretId=name)
    refused("ResourceNotFoundException", "AWSPENDING", sm().get_secret_value, SecretId=name, VersionStage="AWSPENDING")
    refused("InvalidNextTokenException", "", sm().list_secrets, NextToken="nowhere")
    for call in (sm().describe_secret, sm().get_secret_value, sm().list_secret_version_ids, sm().update_secret, sm().delete_secret,
                 sm().restore_secret, sm().get_resource_policy):
        refused("ResourceNotFoundException", GONE, call, SecretId="nothing-here")
    deleted = sm().delete_secret(SecretId=name, RecoveryWindowInDays=7)
    # DeletedDate is when it is scheduled for deletion.
    equal((deleted["ARN"], deleted["DeletionDate"]), (arn, sm().describe_secret(SecretId=name)["DeletedDate"]))
    refused("InvalidRequestException", "marked for deletion", sm().get_secret_value, SecretId=name)
    refused("InvalidRequestException", "", sm().update_secret, SecretId=name, Description="x")
    equal(sm().list_secrets(Filters=only)["SecretList"], [])
    equal(names(sm().list_secrets(Filters=only, IncludePlannedDeletion=True)["SecretList"], "Name"), [name])
    equal(sm().restore_secret(SecretId=name)["ARN"], arn)
    equal(sm().get_secret_value(SecretId=name)["SecretBinary"], b"\x00\x01")
    refused("InvalidParameterException", "", sm().delete_secret, SecretId=name, RecoveryWindowInDays=6)
    refused("InvalidParameterException", "", sm().delete_secret, SecretId=name, RecoveryWindowInDays=7, ForceDeleteWithoutRecovery=True)
    sm().delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    refused("ResourceNotFoundException", GONE, sm().describe_secret, SecretId=name)


@operations("secretsmanager", "PutResourcePolicy", "GetResourcePolicy", "DeleteResourcePolicy", "ValidateResourcePolicy")
def resource_policies():
    def policy(principal):
        return json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": principal, "Action": "secretsmanager:GetSecretValue", "Resource": "*"}]})

    name = named("secret")
    arn = sm().create_secret(Name=name, SecretString="x")["ARN"]
    whose = {"ARN": arn, "Name": name}
    narrow, wide = policy({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}), policy("*")
    holds(sm().put_resource_policy(SecretId=name, ResourcePolicy=narrow, BlockPublicPolicy=True), **whose)
    found = sm().get_resource_policy(SecretId=arn)
    holds(found, **whose)
    equal(json.loads(found["ResourcePolicy"]), json.loads(narrow))
    refused("PublicPolicyException", "broad access", sm().put_resource_policy, SecretId=name, ResourcePolicy=wide, BlockPublicPolicy=True)
    refused("MalformedPolicyDocumentException", "resource policy", sm().put_resource_policy, SecretId=name, ResourcePolicy="{")
    equal(json.loads(sm().get_resource_policy(SecretId=name)["ResourcePolicy"]), json.loads(narrow))
    holds(sm().validate_resource_policy(SecretId=name, ResourcePolicy=narrow), PolicyValidationPassed=True, ValidationErrors=[])
    told = sm().validate_resource_policy(ResourcePolicy=wide)
    equal(told["PolicyValidationPassed"], False)
    assert told["ValidationErrors"] and all(error["CheckName"] and error["ErrorMessage"] for error in told["ValidationErrors"]), told
    holds(sm().delete_resource_policy(SecretId=arn), **whose)
    holds(sm().get_resource_policy(SecretId=name), ResourcePolicy=None, **whose)
    for call, given in ((sm().put_resource_policy, {"ResourcePolicy": narrow}), (sm().validate_resource_policy, {"ResourcePolicy": narrow}),
                        (sm().get_resource_policy, {}), (sm().delete_resource_policy, {})):
        refused("ResourceNotFoundException", GONE, call, SecretId="nothing-here", **given)
    sm().delete_secret(SecretId=name, RecoveryWindowInDays=7)
    refused("InvalidRequestException", "marked for deletion", sm().put_resource_policy, SecretId=name, ResourcePolicy=narrow)
    refused("InvalidRequestException", "marked for deletion", sm().delete_resource_policy, SecretId=name)
    sm().delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


@operations("secretsmanager", "UpdateSecretVersionStage")
def stages():
    name = named("secret")
    made = sm().create_secret(Name=name, SecretString="1")
    arn, first = made["ARN"], made["VersionId"]
    second = sm().put_secret_value(SecretId=name, SecretString="2", VersionStages=["AWSPENDING"])["VersionId"]

    def held():
        return {id: sorted(stages) for id, stages in sm().describe_secret(SecretId=name)["VersionIdsToStages"].items() if stages}

    def move(stage, **more):
        return sm().update_secret_version_stage(SecretId=name, VersionStage=stage, **more)

    # What AWSCURRENT leaves is AWSPREVIOUS from then on.
    equal(held(), {first: ["AWSCURRENT"], second: ["AWSPENDING"]})
    holds(move("AWSCURRENT", MoveToVersionId=second, RemoveFromVersionId=first), ARN=arn, Name=name)
    equal(held(), {first: ["AWSPREVIOUS"], second: ["AWSCURRENT", "AWSPENDING"]})
    equal(sm().get_secret_value(SecretId=name)["SecretString"], "2")
    move("AWSPENDING", RemoveFromVersionId=second)
    move("mine", MoveToVersionId=first)
    equal(held(), {first: ["AWSPREVIOUS", "mine"], second: ["AWSCURRENT"]})
    equal(sm().get_secret_value(SecretId=name, VersionStage="mine")["SecretString"], "1")
    refused("InvalidParameterException", "RemoveFromVersionId", move, stage="mine", MoveToVersionId=second)
    refused("InvalidParameterException", "RemoveFromVersionId", move, stage="mine", MoveToVersionId=first, RemoveFromVersionId=second)
    refused("InvalidParameterException", "AWSCURRENT", move, stage="AWSCURRENT", RemoveFromVersionId=second)
    refused("ResourceNotFoundException", "version", move, stage="other", MoveToVersionId="0" * 32)
    equal(held(), {first: ["AWSPREVIOUS", "mine"], second: ["AWSCURRENT"]})
    refused("ResourceNotFoundException", GONE, sm().update_secret_version_stage, SecretId="nothing-here", VersionStage="mine", MoveToVersionId=first)


ROTATES = """
import boto3

sm = boto3.client("secretsmanager")


def h(event, context):
    # As AWS's own template of a rotation function goes about it.
    arn, token, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    stages = sm.describe_secret(SecretId=arn)["VersionIdsToStages"]
    if token not in stages:
        raise ValueError("no stage for rotation")
    if "AWSCURRENT" in stages[token]:
        return
    current = sm.get_secret_value(SecretId=arn, VersionStage="AWSCURRENT")
    if step == "createSecret":
        try:
            sm.get_secret_value(SecretId=arn, VersionId=token, VersionStage="AWSPENDING")
        except sm.exceptions.ResourceNotFoundException:
            value = current["SecretString"] + ">"
            sm.put_secret_value(SecretId=arn, ClientRequestToken=token, SecretString=value, VersionStages=["AWSPENDING"], RotationToken=event["RotationToken"])
    elif step == "testSecret":
        value = sm.get_secret_value(SecretId=arn, VersionId=token, VersionStage="AWSPENDING")["SecretString"]
        if "broken" in value:
            raise ValueError("the value does not work")
    elif step == "finishSecret":
        sm.update_secret_version_stage(SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current["VersionId"])
"""


def rotating():
    """The ARN of a function that rotates, and which Secrets Manager may invoke."""
    lam, name = client("lambda"), named("rotate")
    arn = lam.create_function(FunctionName=name, Runtime="python3.11", Handler="m.h", Role=role("lambda"), Timeout=300,
                              Code={"ZipFile": zipped(m=ROTATES)})["FunctionArn"]
    until(lambda: lam.get_function(FunctionName=name)["Configuration"]["State"], lambda state: state == "Active")
    lam.add_permission(FunctionName=name, StatementId="s", Action="lambda:InvokeFunction", Principal="secretsmanager.amazonaws.com")
    return arn


@operations("secretsmanager", "RotateSecret", "CancelRotateSecret")
def rotation():
    name, function = named("secret"), rotating()
    made = sm().create_secret(Name=name, SecretString="a")
    arn, first = made["ARN"], made["VersionId"]

    def rotate(**more):
        return sm().rotate_secret(SecretId=name, **more)

    refused("InvalidRequestException", "No Lambda rotation function ARN", rotate)
    refused("AccessDeniedException", "cannot invoke the specified Lambda function", rotate, RotationLambdaARN=function + "-none")
    for rules, text in (({"AutomaticallyAfterDays": 1, "ScheduleExpression": "rate(1 day)"}, "AutomaticallyAfterDays"),
                        ({"ScheduleExpression": "rate(3 hours)"}, "four hours"), ({"ScheduleExpression": "cron(30 8 * * ? *)"}, "minutes"),
                        ({"ScheduleExpression": "cron(0 20 * * ? *)", "Duration": "5h"}, "window")):
        refused("InvalidParameterException", text, rotate, RotationLambdaARN=function, RotationRules=rules)
    rules = {"ScheduleExpression": "cron(0 8 1 * ? *)", "Duration": "2h"}
    begun = rotate(RotationLambdaARN=function, RotationRules=rules)
    holds(begun, ARN=arn, Name=name)
    found = until(lambda: sm().get_secret_value(SecretId=name), lambda value: value["SecretString"] == "a>")
    equal(found["VersionId"], begun["VersionId"])
    told = until(lambda: sm().describe_secret(SecretId=name), lambda secret: "LastRotatedDate" in secret)
    holds(told, RotationEnabled=True, RotationLambdaARN=function, RotationRules=rules)
    next = told["NextRotationDate"]
    equal([next.day, next.astimezone(datetime.timezone.utc).strftime("%H:%M:%S")], [1, "09:59:59"])
    holds({id: sorted(s) for id, s in told["VersionIdsToStages"].items()}, **{first: ["AWSPREVIOUS"], begun["VersionId"]: ["AWSCURRENT", "AWSPENDING"]})
    listed = sm().list_secrets(Filters=[{"Key": "name", "Values": [name]}])["SecretList"][0]
    holds(listed, RotationEnabled=True, RotationLambdaARN=function, RotationRules=rules, NextRotationDate=next)
    # The same token is the same rotation.
    equal(rotate(ClientRequestToken=begun["VersionId"])["VersionId"], begun["VersionId"])
    equal(sm().get_secret_value(SecretId=name)["SecretString"], "a>")
    # Not now: the function is only tried, and nothing is left of that.
    equal("VersionId" in rotate(RotateImmediately=False, RotationRules={"AutomaticallyAfterDays": 10}), False)
    told = until(lambda: sm().describe_secret(SecretId=name), lambda secret: len(secret["VersionIdsToStages"]) == 2)
    equal((told["RotationRules"], sm().get_secret_value(SecretId=name)["SecretString"]), ({"AutomaticallyAfterDays": 10}, "a>"))
    # What does not work does not become current; the rotation stays open until somebody sees to it.
    sm().put_secret_value(SecretId=name, SecretString="broken")
    pending = rotate()["VersionId"]
    until(lambda: sm().list_secret_version_ids(SecretId=name)["Versions"], lambda versions: any("AWSPENDING" in v["VersionStages"] for v in versions))
    refused("InvalidRequestException", "A previous rotation isn't complete", rotate)
    equal(sm().get_secret_value(SecretId=name)["SecretString"], "broken")
    holds(sm().cancel_rotate_secret(SecretId=name), ARN=arn, Name=name, VersionId=pending)
    told = sm().describe_secret(SecretId=name)
    equal((told["RotationEnabled"], "NextRotationDate" in told, told["VersionIdsToStages"][pending]), (False, False, ["AWSPENDING"]))
    refused("InvalidRequestException", "A previous rotation isn't complete", rotate)
    sm().update_secret_version_stage(SecretId=name, VersionStage="AWSPENDING", RemoveFromVersionId=pending)
    sm().put_secret_value(SecretId=name, SecretString="b")
    rotate()
    until(lambda: sm().get_secret_value(SecretId=name)["SecretString"], lambda value: value == "b>")
    denied("AccessDeniedException", "secretsmanager:RotateSecret", "rotate_secret", SecretId=name)
    for call in (sm().rotate_secret, sm().cancel_rotate_secret):
        refused("ResourceNotFoundException", GONE, call, SecretId="nothing-here")
    sm().delete_secret(SecretId=name, RecoveryWindowInDays=7)
    refused("InvalidRequestException", "marked for deletion", sm().rotate_secret, SecretId=name)
    sm().delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


@operations("secretsmanager", "RotateSecret")
def rotation_of_a_stack():
    cf, stack, function = client("cloudformation"), named("rotation"), rotating()
    rules = {"ScheduleExpression": "rate(10 days)"}

    def body(**more):
        return json.dumps({"Resources": {
            "S": {"Type": "AWS::SecretsManager::Secret", "Properties": {"SecretString": "a"}},
            "R": {"Type": "AWS::SecretsManager::RotationSchedule",
                  "Properties": {"SecretId": {"Ref": "S"}, "RotationLambdaARN": function, "RotationRules": rules, **more}}},
            "Outputs": {"S": {"Value": {"Ref": "S"}}, "R": {"Value": {"Ref": "R"}}}})

    cf.create_stack(StackName=stack, TemplateBody=body())
    cf.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 600})
    outputs = {o["OutputKey"]: o["OutputValue"] for o in cf.describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]}
    arn = outputs["S"]
    equal(outputs["R"], arn)
    until(lambda: sm().get_secret_value(SecretId=arn)["SecretString"], lambda value: value == "a>")
    until(lambda: sm().describe_secret(SecretId=arn), lambda told: "LastRotatedDate" in told)
    rules["ScheduleExpression"] = "rate(20 days)"
    cf.update_stack(StackName=stack, TemplateBody=body(RotateImmediatelyOnUpdate=False))
    cf.get_waiter("stack_update_complete").wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 600})
    told = sm().describe_secret(SecretId=arn)
    holds(told, RotationEnabled=True, RotationRules=rules)
    equal(sm().get_secret_value(SecretId=arn)["SecretString"], "a>")

    def rotated():
        """Whether it could be asked for; what the update has tried of the rotation may be under way."""
        try:
            return sm().rotate_secret(SecretId=arn)
        except sm().exceptions.InvalidRequestException:
            return None

    until(rotated, bool)
    until(lambda: sm().get_secret_value(SecretId=arn)["SecretString"], lambda value: value == "a>>")
    refused("ResourceNotFoundException", GONE, sm().rotate_secret, SecretId=named("s"), RotationLambdaARN=function)
    cf.delete_stack(StackName=stack)
    cf.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 600})


@operations("secretsmanager", "GetRandomPassword")
def passwords():
    made = [sm().get_random_password()["RandomPassword"] for _ in range(2)]
    equal([len(p) for p in made], [32, 32])
    assert made[0] != made[1]
    for kind in (string.ascii_lowercase, string.ascii_uppercase, string.digits, string.punctuation):
        assert set(made[0]) & set(kind), made[0]
    plain = sm().get_random_password(PasswordLength=100, ExcludePunctuation=True, ExcludeUppercase=True, ExcludeCharacters="abc")["RandomPassword"]
    assert len(plain) == 100 and set(plain) <= set(string.ascii_lowercase + string.digits) - set("abc"), plain
    spaced = sm().get_random_password(PasswordLength=4096, IncludeSpace=True)["RandomPassword"]
    assert len(spaced) == 4096 and " " in spaced
    refused("InvalidParameterException", "", sm().get_random_password, PasswordLength=3)
    refused("InvalidParameterException", "", sm().get_random_password, ExcludePunctuation=True, ExcludeUppercase=True, ExcludeLowercase=True, ExcludeNumbers=True)


@operations("secretsmanager", "TagResource", "UntagResource")
def tags():
    name = named("secret")
    sm().create_secret(Name=name, SecretString="x", Tags=[{"Key": "a", "Value": "1"}])
    sm().tag_resource(SecretId=name, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
    equal(sorted(sm().describe_secret(SecretId=name)["Tags"], key=str), [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
    sm().untag_resource(SecretId=name, TagKeys=["a", "never"])
    equal(sm().describe_secret(SecretId=name)["Tags"], [{"Key": "b", "Value": ""}])
    refused("ResourceNotFoundException", GONE, sm().tag_resource, SecretId="nothing-here", Tags=[{"Key": "a", "Value": "1"}])
    refused("ResourceNotFoundException", GONE, sm().untag_resource, SecretId="nothing-here", TagKeys=["a"])


@operations("secretsmanager", "GetSecretValue")
def stages_of_other_versions():
    made = client("secretsmanager").create_secret(Name=named("secret"), SecretString="1")
    other = client("secretsmanager").put_secret_value(SecretId=made["ARN"], SecretString="2")["VersionId"]
    equal(client("secretsmanager").get_secret_value(SecretId=made["ARN"], VersionId=other, VersionStage="AWSCURRENT")["SecretString"], "2")
    refused("InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId", client("secretsmanager").get_secret_value,
            SecretId=made["ARN"], VersionId=made["VersionId"], VersionStage="AWSCURRENT")
