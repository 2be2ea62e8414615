"""STS: https://docs.aws.amazon.com/STS/latest/APIReference/API_Operations.html"""
import json

from harness import ACCOUNT, allow, client, equal, named, operations, refused


def sts():
    return client("sts")


@operations("sts", "GetCallerIdentity", "GetSessionToken", "AssumeRole")
def sessions():
    me = sts().get_caller_identity()
    equal((me["Account"], me["Arn"]), (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root"))
    made = sts().get_session_token(DurationSeconds=900)["Credentials"]
    again = client("sts", made["AccessKeyId"], made["SecretAccessKey"], aws_session_token=made["SessionToken"])
    equal(again.get_caller_identity()["Arn"], me["Arn"])
    refused("ValidationError", "durationSeconds", sts().get_session_token, DurationSeconds=899)
    refused("InvalidClientTokenId", "security token", client("sts", "AKIA" + "X" * 16, "s" * 40).get_caller_identity)
    refused("SignatureDoesNotMatch", "signature", client("sts", made["AccessKeyId"], "s" * 40, aws_session_token=made["SessionToken"]).get_caller_identity)
    name = named("role")
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole",
                                                     "Condition": {"StringEquals": {"sts:ExternalId": "x1"}}}]}
    arn = client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    # Root may do all, whatever a role's trust says; a user is held to it.
    iam, user = client("iam"), named("user")
    iam.create_user(UserName=user)
    iam.put_user_policy(UserName=user, PolicyName="assume", PolicyDocument=allow("sts:AssumeRole"))
    key = iam.create_access_key(UserName=user)["AccessKey"]
    own = client("sts", key["AccessKeyId"], key["SecretAccessKey"])
    taken = own.assume_role(RoleArn=arn, RoleSessionName="s1", ExternalId="x1")
    equal(taken["AssumedRoleUser"]["Arn"], f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/s1")
    keys = taken["Credentials"]
    session = client("sts", keys["AccessKeyId"], keys["SecretAccessKey"], aws_session_token=keys["SessionToken"])
    equal(session.get_caller_identity()["Arn"], taken["AssumedRoleUser"]["Arn"])
    refused("AccessDenied", "sts:AssumeRole", own.assume_role, RoleArn=arn, RoleSessionName="s1")
    refused("AccessDenied", "sts:AssumeRole", own.assume_role, RoleArn=arn + "x", RoleSessionName="s1", ExternalId="x1")
    refused("ValidationError", "roleSessionName", own.assume_role, RoleArn=arn, RoleSessionName="a b", ExternalId="x1")
