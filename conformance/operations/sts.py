"""STS: https://docs.aws.amazon.com/STS/latest/APIReference/API_Operations.html"""
import atexit
import base64
import datetime
import functools
import hashlib
import http.server
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time

from botocore.exceptions import ClientError
from harness import ACCOUNT, REGION, allow, client, equal, holds, named, operations, refused, until


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


class Issuer:
    """A small issuer of OpenID Connect over TLS: with a certificate that only its thumbprint vouches for, and keys made by openssl."""

    def __init__(self):
        self.folder = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, self.folder)
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "tls.key", "-out", "tls.pem", "-days", "2", "-subj", "/CN=issuer",
                     "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{self.folder}/tls.pem", f"{self.folder}/tls.key")
        self.thumbprint = hashlib.sha1(ssl.PEM_cert_to_DER_cert(pathlib.Path(self.folder, "tls.pem").read_text())).hexdigest()
        self.keys, self.asked, self.is_up = {}, [], True
        self.add_key("one")
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked.append(self.path)
                body = json.dumps(issuer.documents().get(self.path, {}) if issuer.is_up else "down").encode()
                self.send_response(200 if issuer.is_up and self.path in issuer.documents() else 404)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.host = f"127.0.0.1:{self.server.server_address[1]}/realms/data"
        self.url = f"https://{self.host}"
        self.arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{self.host}"

    def openssl(self, *arguments, given=None):
        return subprocess.run(["openssl", *arguments], cwd=self.folder, input=given, capture_output=True, check=True).stdout

    def add_key(self, name):
        self.openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", f"{name}.key")
        modulus = self.openssl("rsa", "-in", f"{name}.key", "-noout", "-modulus").decode().strip().partition("=")[2]
        self.keys[name] = {"kty": "RSA", "kid": name, "alg": "RS256", "use": "sig", "n": text64(bytes.fromhex(modulus)), "e": "AQAB"}

    def documents(self):
        return {"/realms/data/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/keys"},
                "/realms/data/keys": {"keys": list(self.keys.values())}}

    def token(self, key="one", **claims):
        now = int(time.time())
        said = {"iss": self.url, "sub": "job:nightly", "aud": "sts.amazonaws.com", "iat": now, "exp": now + 600} | claims
        front = ".".join(text64(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": key}, {k: v for k, v in said.items() if v is not None}))
        return f"{front}.{text64(self.openssl('dgst', '-sha256', '-sign', f'{key}.key', given=front.encode()))}"


def text64(raw):
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def federated(arn, conditions, action="sts:AssumeRoleWithWebIdentity"):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Federated": arn}, "Action": action, "Condition": conditions}]})


@operations("sts", "AssumeRoleWithWebIdentity")
def web_identity():
    issuer, iam, name = Issuer(), client("iam"), named("web")
    unsigned = client("sts")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=federated(issuer.arn, {
        "StringEquals": {f"{issuer.host}:aud": "sts.amazonaws.com"}, "StringLike": {f"{issuer.host}:sub": "job:*"}}))["Role"]["Arn"]
    take = functools.partial(unsigned.assume_role_with_web_identity, RoleArn=arn, RoleSessionName="s1")
    refused("InvalidIdentityToken", f"No OpenIDConnect provider found in your account for {issuer.url}", take, WebIdentityToken=issuer.token())
    iam.create_open_id_connect_provider(Url=issuer.url, ClientIDList=["sts.amazonaws.com"], ThumbprintList=[issuer.thumbprint])
    taken = take(WebIdentityToken=issuer.token())
    holds(taken, SubjectFromWebIdentityToken="job:nightly", Audience="sts.amazonaws.com", Provider=issuer.arn)
    equal(taken["AssumedRoleUser"]["Arn"], f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/s1")
    keys = taken["Credentials"]
    session = client("sts", keys["AccessKeyId"], keys["SecretAccessKey"], aws_session_token=keys["SessionToken"])
    equal(session.get_caller_identity()["Arn"], taken["AssumedRoleUser"]["Arn"])
    # As pods and runners get it: a file and a role, and no keys.
    token = pathlib.Path(issuer.folder, "token")
    token.write_text(issuer.token(sub="job:hourly"))
    script = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_ACCESS", "AWS_SECRET", "AWS_SESSION"))}
    given = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(token), "AWS_ROLE_ARN": arn, "AWS_ROLE_SESSION_NAME": "pod", "AWS_REGION": REGION}
    said = subprocess.run([sys.executable, "-c", script], env=plain | given, capture_output=True, text=True, check=True).stdout.strip()
    equal(said, f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/pod")
    equal(len(issuer.asked), 2)  # The document and the keys, once for all tokens.
    # Each of what is wrong with a token, and who it is of.
    now = int(time.time())
    refused("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", take, WebIdentityToken=issuer.token(sub="user:ada"))
    refused("InvalidIdentityToken", "Incorrect token audience", take, WebIdentityToken=issuer.token(aud="another"))
    refused("InvalidIdentityToken", "Incorrect token audience", take, WebIdentityToken=issuer.token(azp="another"))
    refused("ExpiredTokenException", f"must be before the expiration date/time {now - 400}", take, WebIdentityToken=issuer.token(exp=now - 400))
    take(WebIdentityToken=issuer.token(exp=now - 100))
    refused("IDPRejectedClaim", "not valid before", take, WebIdentityToken=issuer.token(nbf=now + 3600))
    refused("InvalidIdentityToken", "Missing a required claim: aud", take, WebIdentityToken=issuer.token(aud=None))
    refused("InvalidIdentityToken", "not a valid JWT", take, WebIdentityToken="no token")
    head, body, signature = issuer.token().split(".")
    changed = text64(json.dumps({"iss": issuer.url, "sub": "job:x", "aud": "sts.amazonaws.com", "iat": now, "exp": now + 600}).encode())
    refused("InvalidIdentityToken", "signature", take, WebIdentityToken=f"{head}.{changed}.{signature}")
    none = text64(json.dumps({"alg": "none"}).encode())
    refused("InvalidIdentityToken", "", take, WebIdentityToken=f"{none}.{body}.")
    refused("AccessDenied", "Not authorized", take, RoleArn=arn + "x", WebIdentityToken=issuer.token())
    refused("ValidationError", "MaxSessionDuration", take, WebIdentityToken=issuer.token(), DurationSeconds=43200)
    refused("ValidationError", "ProviderId", take, WebIdentityToken=issuer.token(), ProviderId="www.amazon.com")
    # A session's tags, its source identity and its roles are the issuer's to say.
    tagged = {"https://aws.amazon.com/tags": {"principal_tags": {"team": ["data"]}, "transitive_tag_keys": ["team"]}}
    refused("AccessDenied", "Not authorized", take, WebIdentityToken=issuer.token(**tagged))
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=federated(
        issuer.arn, {"StringEquals": {"aws:RequestTag/team": "data"}}, ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"]))
    equal(take(WebIdentityToken=issuer.token(**tagged, **{"https://aws.amazon.com/source_identity": "ada"}))["SourceIdentity"], "ada")
    refused("AccessDenied", "Not authorized", take, WebIdentityToken=issuer.token())
    refused("InvalidIdentityToken", "does not authorize the role", take, WebIdentityToken=issuer.token(**tagged, **{"https://aws.amazon.com/roles": [arn + "y"]}))
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=federated(issuer.arn, {"Bool": {"sts:RoleAuthorizedByIdp": "true"}}))
    refused("AccessDenied", "Not authorized", take, WebIdentityToken=issuer.token())
    take(WebIdentityToken=issuer.token(**{"https://aws.amazon.com/roles": arn}))
    # Whoever else has the name of the account is not the issuer.
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRoleWithWebIdentity"}]}))
    refused("AccessDenied", "Not authorized", take, WebIdentityToken=issuer.token())
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=federated(issuer.arn, {"StringLike": {f"{issuer.host}:sub": "*"}}))
    # An issuer that turns its keys is asked again, and who is not vouched for by the provider's thumbprint is not believed.
    issuer.add_key("two")
    until(lambda: wrong(take, WebIdentityToken=issuer.token("two")), lambda found: found is None)
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=issuer.arn, ThumbprintList=["0" * 40])
    refused("IDPCommunicationError", "identity provider", take, WebIdentityToken=issuer.token())
    issuer.is_up = False
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=issuer.arn, ThumbprintList=[issuer.thumbprint])
    refused("InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider", take, WebIdentityToken=issuer.token())
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=issuer.arn)
    refused("InvalidIdentityToken", "No OpenIDConnect provider", take, WebIdentityToken=issuer.token())


def wrong(call, **arguments):
    """What a call answers wrong, where it does."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Message"]


@operations("sts", "GetAccessKeyInfo")
def lookups():
    iam, name = client("iam"), named("user")
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
    iam.update_access_key(UserName=name, AccessKeyId=key, Status="Inactive")
    equal(client("sts").get_access_key_info(AccessKeyId=key)["Account"], ACCOUNT)
    refused("ValidationError", "No account here", client("sts").get_access_key_info, AccessKeyId="AKIAIOSFODNN7NOTHERE")


@operations("sts", "DecodeAuthorizationMessage", only_refused="no denial has an encoded message here")
def encoded_messages():
    refused("InvalidAuthorizationMessageException", "not valid", client("sts").decode_authorization_message, EncodedMessage="x")


def keys_of(user, action, resource="*"):
    iam = client("iam")
    iam.create_user(UserName=user)
    iam.put_user_policy(UserName=user, PolicyName="may", PolicyDocument=allow(action, resource))
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


@operations("sts", "GetFederationToken")
def federation_tokens():
    user, name = named("user"), "Bob@example"
    own = keys_of(user, ["sts:GetFederationToken", "sqs:*"])
    asking = client("sts", *own)
    queues = [client("sqs").create_queue(QueueName=named("q"))["QueueUrl"] for _ in range(2)]
    urns = [client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"] for url in queues]

    def session(service, made):
        keys = made["Credentials"]
        return client(service, keys["AccessKeyId"], keys["SecretAccessKey"], aws_session_token=keys["SessionToken"])

    policy = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["sqs:GetQueueUrl", "s3:*"], "Resource": "*"}, {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": urns[0]}]})
    made = asking.get_federation_token(Name=name, Policy=policy, DurationSeconds=900)
    arn = f"arn:aws:sts::{ACCOUNT}:federated-user/{name}"
    equal(made["FederatedUser"], {"FederatedUserId": f"{ACCOUNT}:{name}", "Arn": arn})
    equal({key: value for key, value in session("sts", made).get_caller_identity().items() if key != "ResponseMetadata"},
          {"UserId": f"{ACCOUNT}:{name}", "Account": ACCOUNT, "Arn": arn})
    # What both the user and the session's policy allow.
    sqs = session("sqs", made)
    sqs.send_message(QueueUrl=queues[0], MessageBody="x")
    refused("AccessDeniedException", f"User: {arn} is not authorized to perform: sqs:SendMessage", sqs.send_message, QueueUrl=queues[1], MessageBody="x")
    refused("AccessDeniedException", "sqs:DeleteQueue", sqs.delete_queue, QueueUrl=queues[0])
    refused("AccessDenied", "", session("s3", made).list_buckets)
    # A queue's policy that names it gives it what its session does not; one that names its maker gives it nothing.
    for principal, taken in ((arn, True), (f"arn:aws:iam::{ACCOUNT}:user/{user}", False)):
        statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sqs:SendMessage", "Resource": urns[1]}
        client("sqs").set_queue_attributes(QueueUrl=queues[1], Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})})
        if taken:
            sqs.send_message(QueueUrl=queues[1], MessageBody="x")
        else:
            refused("AccessDeniedException", "sqs:SendMessage", sqs.send_message, QueueUrl=queues[1], MessageBody="x")
    # Without a policy it may do nothing, but what policies of resources say.
    bare = session("sqs", asking.get_federation_token(Name="Ann"))
    refused("AccessDeniedException", "because no session policy allows", bare.send_message, QueueUrl=queues[0], MessageBody="x")
    # Neither IAM nor STS, whatever the policies say.
    of_all = asking.get_federation_token(Name="All", Policy=allow("*"))
    refused("AccessDenied", "neither IAM nor STS", session("iam", of_all).list_users)
    refused("AccessDenied", "session credentials", session("sts", of_all).get_session_token)
    refused("AccessDenied", "", session("sts", of_all).get_federation_token, Name="Eve")
    # Conditions see the federated user, and its tags where it may have them.
    refused("AccessDenied", "sts:TagSession", asking.get_federation_token, Name="Tag", Tags=[{"Key": "team", "Value": "data"}])
    client("iam").put_user_policy(UserName=user, PolicyName="tag", PolicyDocument=allow("sts:TagSession"))
    condition = {"StringEquals": {"aws:PrincipalTag/team": "data", "aws:PrincipalType": "FederatedUser", "aws:userid": f"{ACCOUNT}:Tag", "aws:PrincipalArn": arn.replace(name, "Tag")},
                 "Null": {"aws:username": "true"}}
    tagged = asking.get_federation_token(Name="Tag", Tags=[{"Key": "team", "Value": "data"}], Policy=json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:*", "Resource": "*", "Condition": condition}]}))
    session("sqs", tagged).send_message(QueueUrl=queues[0], MessageBody="x")
    assert tagged["PackedPolicySize"] > 0, tagged
    # An owner's are good for an hour at most; a federated user of an owner is bounded as others are.
    of_owner = sts().get_federation_token(Name="Own", Policy=allow("sqs:GetQueueUrl"), DurationSeconds=129600)
    left = (of_owner["Credentials"]["Expiration"] - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
    assert 3500 < left <= 3600, left
    equal(session("sts", of_owner).get_caller_identity()["Arn"], arn.replace(name, "Own"))
    session("sqs", of_owner).get_queue_url(QueueName=queues[0].rsplit("/", 1)[1])
    refused("AccessDeniedException", "sqs:DeleteQueue", session("sqs", of_owner).delete_queue, QueueUrl=queues[0])
    # What is gone with its maker.
    client("iam").delete_user_policy(UserName=user, PolicyName="may")
    refused("AccessDeniedException", "because no identity-based policy allows", sqs.send_message, QueueUrl=queues[0], MessageBody="x")
    refused("ValidationError", "name", sts().get_federation_token, Name="x")
    refused("ValidationError", "durationSeconds", sts().get_federation_token, Name="Bob", DurationSeconds=899)
    refused("MalformedPolicyDocument", "", sts().get_federation_token, Name="Bob", Policy="{}")
    refused("MalformedPolicyDocument", "does not exist", sts().get_federation_token, Name="Bob", PolicyArns=[{"arn": f"arn:aws:iam::{ACCOUNT}:policy/none"}])
