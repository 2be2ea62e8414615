#!/usr/bin/env python3
"""S3 as boto3 sees it: versions, conditions, who may do what, CORS, forms, locks, encryption, lifecycles, notifications.

    python3 conformance/s3/run.py [--lakerun target/debug/lakerun] [NAME ...]

Starts a server of its own on a free port with two accounts and with ACLs on for new buckets, so that everything can be tried; needs
boto3. NAME picks cases. Closes with 'N passed, N failed'. What is right is said by S3's API reference and user guide.
"""
import argparse
import base64
import gzip
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import re
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request
import uuid

sys.path.insert(1, str(pathlib.Path(__file__).resolve().parent.parent))

from server import Server, need_boto3  # noqa: E402

need_boto3(__file__)

import boto3  # noqa: E402
from botocore import UNSIGNED  # noqa: E402
from botocore.auth import S3SigV4Auth  # noqa: E402
from botocore.awsrequest import AWSRequest  # noqa: E402
from botocore.config import Config  # noqa: E402
from botocore.credentials import Credentials  # noqa: E402
from botocore.exceptions import ClientError, EventStreamError  # noqa: E402

MAIN, ALT = ("000000000000", "AKIAMAINMAINMAINMAIN", "main-secret"), ("111111111111", "AKIAALTALTALTALTALTA", "alt-secret")
SETTINGS = """
root_access_key_id = "AKIAMAINMAINMAINMAIN"
root_secret_access_key = "main-secret"

[s3.accounts.000000000000]
display_name = "main"
email = "main@example.org"

[s3.accounts.111111111111]
access_key_id = "AKIAALTALTALTALTALTA"
secret_access_key = "alt-secret"
display_name = "alt"
email = "alt@example.org"

[s3]
object_ownership = "ObjectWriter"
block_public_access = false
kms_keys = ["one"]
lifecycle_day_seconds = 2
log_delivery_seconds = 1
"""
cases = []


def case(function):
    cases.append(function)
    return function


class World:
    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.main, self.alt = self.client(MAIN), self.client(ALT)
        self.nobody = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", config=Config(
            signature_version=UNSIGNED, retries={"max_attempts": 1}, s3={"addressing_style": "path"}))
        self.sqs = boto3.client("sqs", endpoint_url=endpoint, region_name="us-east-1",
                                aws_access_key_id=MAIN[1], aws_secret_access_key=MAIN[2])

    def client(self, account, **more):
        return boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id=account[1],
                            aws_secret_access_key=account[2],
                            config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}, **more))

    def bucket(self, **more):
        name = "b-" + uuid.uuid4().hex[:16]
        self.main.create_bucket(Bucket=name, **more)
        return name


def refused(code, function, *arguments, **named):
    """The error of a call that must fail with `code` (or one of several)."""
    codes = (code,) if isinstance(code, str) else code
    try:
        answer = function(*arguments, **named)
    except ClientError as error:
        got = error.response["Error"]["Code"]
        assert got in codes, f"{got}: {error}; wanted {codes}"
        return error.response
    raise AssertionError(f"accepted: {str(answer)[:300]}; wanted {codes}")


def body(client, **named):
    return client.get_object(**named)["Body"].read()


@case
def versions(w):
    b = w.bucket()
    w.main.put_object(Bucket=b, Key="k", Body=b"null")
    w.main.put_bucket_versioning(Bucket=b, VersioningConfiguration={"Status": "Enabled"})
    one = w.main.put_object(Bucket=b, Key="k", Body=b"one")["VersionId"]
    two = w.main.put_object(Bucket=b, Key="k", Body=b"two")["VersionId"]
    assert body(w.main, Bucket=b, Key="k") == b"two"
    assert body(w.main, Bucket=b, Key="k", VersionId=one) == b"one"
    assert body(w.main, Bucket=b, Key="k", VersionId="null") == b"null"
    gone = w.main.delete_object(Bucket=b, Key="k")
    assert gone["DeleteMarker"] and gone["VersionId"] not in (one, two)
    head = refused("404", w.main.head_object, Bucket=b, Key="k")["ResponseMetadata"]["HTTPHeaders"]
    assert head["x-amz-delete-marker"] == "true"
    refused("MethodNotAllowed", w.main.get_object, Bucket=b, Key="k", VersionId=gone["VersionId"])
    refused("NoSuchVersion", w.main.get_object, Bucket=b, Key="k", VersionId="0" * 32)
    listed = w.main.list_object_versions(Bucket=b)
    assert [v["VersionId"] for v in listed["Versions"]] == [two, one, "null"], listed
    assert [m["IsLatest"] for m in listed["DeleteMarkers"]] == [True]
    # Page by page the same comes out.
    seen, marker = [], {}
    while True:
        page = w.main.list_object_versions(Bucket=b, MaxKeys=1, **marker)
        seen += [v["VersionId"] for v in page.get("Versions", []) + page.get("DeleteMarkers", [])]
        if not page["IsTruncated"]:
            break
        marker = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
    assert seen == [gone["VersionId"], two, one, "null"], seen
    assert "Contents" not in w.main.list_objects_v2(Bucket=b)
    w.main.delete_object(Bucket=b, Key="k", VersionId=gone["VersionId"])
    assert body(w.main, Bucket=b, Key="k") == b"two"
    w.main.delete_object(Bucket=b, Key="k", VersionId=two)
    assert body(w.main, Bucket=b, Key="k") == b"one"
    copied = w.main.copy_object(Bucket=b, Key="k", CopySource={"Bucket": b, "Key": "k", "VersionId": "null"})
    assert copied["CopySourceVersionId"] == "null" or copied["VersionId"]
    assert body(w.main, Bucket=b, Key="k") == b"null"
    w.main.put_bucket_versioning(Bucket=b, VersioningConfiguration={"Status": "Suspended"})
    put = w.main.put_object(Bucket=b, Key="k", Body=b"suspended")
    assert put["VersionId"] == "null"
    assert body(w.main, Bucket=b, Key="k", VersionId="null") == b"suspended"
    gone = w.main.delete_object(Bucket=b, Key="k")
    assert gone["DeleteMarker"] and gone["VersionId"] == "null"
    refused("BucketNotEmpty", w.main.delete_bucket, Bucket=b)
    listed = w.main.list_object_versions(Bucket=b)
    doomed = [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in listed["Versions"] + listed["DeleteMarkers"]]
    answer = w.main.delete_objects(Bucket=b, Delete={"Objects": doomed})
    assert len(answer["Deleted"]) == len(doomed) and "Errors" not in answer, answer
    w.main.delete_bucket(Bucket=b)


@case
def version_listing_with_delimiters(w):
    b = w.bucket()
    w.main.put_bucket_versioning(Bucket=b, VersioningConfiguration={"Status": "Enabled"})
    for key in ("a/1", "a/2", "b", "a/1", "c/d/e"):
        w.main.put_object(Bucket=b, Key=key, Body=b"")
    page = w.main.list_object_versions(Bucket=b, Delimiter="/")
    assert [p["Prefix"] for p in page["CommonPrefixes"]] == ["a/", "c/"] and [v["Key"] for v in page["Versions"]] == ["b"]
    seen, marker = [], {}
    while True:
        page = w.main.list_object_versions(Bucket=b, Delimiter="/", MaxKeys=1, **marker)
        seen += [p["Prefix"] for p in page.get("CommonPrefixes", [])] + [v["Key"] for v in page.get("Versions", [])]
        if not page["IsTruncated"]:
            break
        marker = {"KeyMarker": page["NextKeyMarker"]}
        if page.get("NextVersionIdMarker"):
            marker["VersionIdMarker"] = page["NextVersionIdMarker"]
    assert seen == ["a/", "b", "c/"], seen


@case
def conditions_on_every_write(w):
    b = w.bucket()
    etag = w.main.put_object(Bucket=b, Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    error = refused("PreconditionFailed", w.main.put_object, Bucket=b, Key="k", Body=b"2", IfNoneMatch="*")
    assert error["Error"]["Condition"] == "If-None-Match", error
    refused("PreconditionFailed", w.main.put_object, Bucket=b, Key="k", Body=b"2", IfMatch='"0"')
    refused("NoSuchKey", w.main.put_object, Bucket=b, Key="none", Body=b"2", IfMatch=etag)
    w.main.put_object(Bucket=b, Key="src", Body=b"src")
    source = {"Bucket": b, "Key": "src"}
    refused("PreconditionFailed", w.main.copy_object, Bucket=b, Key="k", CopySource=source, IfNoneMatch="*")
    refused("PreconditionFailed", w.main.copy_object, Bucket=b, Key="k", CopySource=source, IfMatch='"0"')
    refused("PreconditionFailed", w.main.copy_object, Bucket=b, Key="k2", CopySource=source, CopySourceIfMatch='"0"')
    assert body(w.main, Bucket=b, Key="k") == b"1"
    refused("PreconditionFailed", w.main.delete_object, Bucket=b, Key="k", IfMatch='"0"')
    answer = w.main.delete_objects(Bucket=b, Delete={"Objects": [{"Key": "k", "ETag": '"0"'}]})
    assert answer["Errors"][0]["Code"] == "PreconditionFailed", answer
    upload = w.main.create_multipart_upload(Bucket=b, Key="k")["UploadId"]
    part = w.main.upload_part(Bucket=b, Key="k", UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": part}]}
    complete = dict(Bucket=b, Key="k", UploadId=upload, MultipartUpload=parts)
    refused("PreconditionFailed", w.main.complete_multipart_upload, **complete, IfNoneMatch="*")
    w.main.complete_multipart_upload(**complete, IfMatch=etag)
    assert body(w.main, Bucket=b, Key="k") == b"part"


@case
def policies(w):
    b = w.bucket()
    w.main.put_object(Bucket=b, Key="open/k", Body=b"1", Tagging="security=public")
    w.main.put_object(Bucket=b, Key="closed/k", Body=b"2")
    refused("AccessDenied", w.nobody.get_object, Bucket=b, Key="open/k")
    refused("AccessDenied", w.alt.get_object, Bucket=b, Key="open/k")

    def policy(*statements):
        text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        w.main.put_bucket_policy(Bucket=b, Policy=text)

    allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{b}/open/*"}
    policy(allow)
    assert w.main.get_bucket_policy_status(Bucket=b)["PolicyStatus"]["IsPublic"] is True
    assert body(w.nobody, Bucket=b, Key="open/k") == b"1"
    refused("AccessDenied", w.nobody.get_object, Bucket=b, Key="closed/k")
    refused("AccessDenied", w.nobody.put_object, Bucket=b, Key="open/k", Body=b"x")
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{b}/closed/*"}
    policy(allow, deny)
    refused("AccessDenied", w.main.get_object, Bucket=b, Key="closed/k")
    policy({**allow, "Principal": {"AWS": f"arn:aws:iam::{ALT[0]}:root"}, "Action": ["s3:ListBucket", "s3:GetObject"],
            "Resource": [f"arn:aws:s3:::{b}", f"arn:aws:s3:::{b}/*"]})
    assert w.main.get_bucket_policy_status(Bucket=b)["PolicyStatus"]["IsPublic"] is False
    assert len(w.alt.list_objects_v2(Bucket=b)["Contents"]) == 2 and body(w.alt, Bucket=b, Key="closed/k") == b"2"
    refused("AccessDenied", w.nobody.list_objects_v2, Bucket=b)
    policy({**allow, "Resource": f"arn:aws:s3:::{b}/*",
            "Condition": {"StringEquals": {"s3:ExistingObjectTag/security": "public"}}})
    assert body(w.nobody, Bucket=b, Key="open/k") == b"1"
    refused("AccessDenied", w.nobody.get_object, Bucket=b, Key="closed/k")
    policy({**allow, "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{b}/*", "Principal": {"AWS": ALT[0]},
            "Condition": {"StringEquals": {"s3:x-amz-acl": "public-read"}}})
    refused("AccessDenied", w.alt.put_object, Bucket=b, Key="x", Body=b"")
    w.alt.put_object(Bucket=b, Key="x", Body=b"", ACL="public-read")
    policy({**allow, "Condition": {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}})
    assert body(w.nobody, Bucket=b, Key="open/k") == b"1"
    policy({**allow, "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}})
    refused("AccessDenied", w.nobody.get_object, Bucket=b, Key="open/k")
    for bad in ("{", json.dumps({"Statement": []}), json.dumps({"Statement": [{**allow, "Resource": "arn:aws:s3:::x/*"}]})):
        refused("MalformedPolicy", w.main.put_bucket_policy, Bucket=b, Policy=bad)
    w.main.delete_bucket_policy(Bucket=b)
    refused("NoSuchBucketPolicy", w.main.get_bucket_policy, Bucket=b)


@case
def public_access_block(w):
    b = w.bucket()
    w.main.put_object(Bucket=b, Key="k", Body=b"1", ACL="public-read")
    assert body(w.nobody, Bucket=b, Key="k") == b"1"
    every = dict(BlockPublicAcls=True, IgnorePublicAcls=True, BlockPublicPolicy=True, RestrictPublicBuckets=True)
    w.main.put_public_access_block(Bucket=b, PublicAccessBlockConfiguration=every)
    assert w.main.get_public_access_block(Bucket=b)["PublicAccessBlockConfiguration"] == every
    refused("AccessDenied", w.nobody.get_object, Bucket=b, Key="k")
    refused("AccessDenied", w.main.put_object, Bucket=b, Key="k", Body=b"", ACL="public-read")
    refused("AccessDenied", w.main.put_object_acl, Bucket=b, Key="k", ACL="public-read")
    refused("AccessDenied", w.main.put_bucket_acl, Bucket=b, ACL="public-read-write")
    text = json.dumps({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{b}/*"}]})
    refused("AccessDenied", w.main.put_bucket_policy, Bucket=b, Policy=text)
    w.main.delete_public_access_block(Bucket=b)
    refused("NoSuchPublicAccessBlockConfiguration", w.main.get_public_access_block, Bucket=b)
    assert body(w.nobody, Bucket=b, Key="k") == b"1"


@case
def acls(w):
    b = w.bucket(ACL="public-read")
    acl = w.main.get_bucket_acl(Bucket=b)
    owner = acl["Owner"]["ID"]
    assert sorted(g["Permission"] for g in acl["Grants"]) == ["FULL_CONTROL", "READ"]
    w.main.put_object(Bucket=b, Key="k", Body=b"1")
    assert [o["Key"] for o in w.nobody.list_objects_v2(Bucket=b)["Contents"]] == ["k"]
    refused("AccessDenied", w.nobody.get_object, Bucket=b, Key="k")
    alt = w.alt.list_buckets()["Owner"]["ID"]
    w.main.put_object_acl(Bucket=b, Key="k", GrantRead=f'id="{alt}"')
    assert body(w.alt, Bucket=b, Key="k") == b"1"
    refused("AccessDenied", w.alt.get_object_acl, Bucket=b, Key="k")
    w.main.put_object_acl(Bucket=b, Key="k", AccessControlPolicy={"Owner": {"ID": owner}, "Grants": [
        {"Grantee": {"Type": "CanonicalUser", "ID": alt}, "Permission": "FULL_CONTROL"}]})
    assert w.alt.get_object_acl(Bucket=b, Key="k")["Grants"][0]["Grantee"]["ID"] == alt
    refused("AccessDenied", w.alt.put_object, Bucket=b, Key="k2", Body=b"")
    w.main.put_bucket_acl(Bucket=b, GrantWrite='emailAddress="alt@example.org"', GrantFullControl=f"id={owner}")
    w.alt.put_object(Bucket=b, Key="alts", Body=b"2")
    assert w.main.list_objects(Bucket=b, Prefix="alts")["Contents"][0]["Owner"]["ID"] == alt
    refused("AccessDenied", w.main.get_object, Bucket=b, Key="alts")
    w.alt.put_object_acl(Bucket=b, Key="alts", ACL="bucket-owner-full-control")
    assert body(w.main, Bucket=b, Key="alts") == b"2"
    refused("AccessDenied", w.alt.list_objects_v2, Bucket=b)
    refused("InvalidArgument", w.main.put_object_acl, Bucket=b, Key="k", GrantRead='id="nobody"')
    refused("UnresolvableGrantByEmailAddress", w.main.put_object_acl, Bucket=b, Key="k", GrantRead='emailAddress="x@y"')
    w.main.put_bucket_ownership_controls(Bucket=w.bucket(), OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]})
    enforced = w.bucket(ObjectOwnership="BucketOwnerEnforced")
    w.main.put_object(Bucket=enforced, Key="k", Body=b"", ACL="bucket-owner-full-control")
    w.main.put_object_acl(Bucket=enforced, Key="k", ACL="private")
    refused("AccessControlListNotSupported", w.main.put_object_acl, Bucket=enforced, Key="k", ACL="public-read")
    refused("AccessControlListNotSupported", w.main.put_object, Bucket=enforced, Key="k", Body=b"", ACL="public-read")
    preferred = w.bucket(ObjectOwnership="BucketOwnerPreferred", ACL="public-read-write")
    w.alt.put_object(Bucket=preferred, Key="k", Body=b"3", ACL="bucket-owner-full-control")
    assert body(w.main, Bucket=preferred, Key="k") == b"3"


class Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: it is the answer."""

    def redirect_request(self, *_):
        return None


def raw(w, method, path, headers=None, data=None):
    request = urllib.request.Request(w.endpoint + path, data=data, headers=headers or {}, method=method)
    try:
        with urllib.request.build_opener(Stay).open(request) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


@case
def refused_before_the_body(w):
    """A client that waits for 100 (Continue) sends no body to a refusal: the connection must not wait for it either."""
    b = w.bucket()
    for _ in range(40):
        refused("NoSuchKey", w.main.put_object, Bucket=b, Key="none", Body=b"2", IfMatch='"abc"')


@case
def cors(w):
    b = w.bucket(ACL="public-read")
    preflight = {"Origin": "https://a.example.org", "Access-Control-Request-Method": "PUT"}
    assert raw(w, "OPTIONS", f"/{b}/k", preflight)[0] == 403
    w.main.put_bucket_cors(Bucket=b, CORSConfiguration={"CORSRules": [
        {"AllowedMethods": ["PUT"], "AllowedOrigins": ["https://*.example.org"], "AllowedHeaders": ["x-amz-*"],
         "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 9}]})
    status, headers, _ = raw(w, "OPTIONS", f"/{b}/k", {**preflight, "Access-Control-Request-Headers": "x-amz-date"})
    assert status == 200 and headers["access-control-allow-origin"] == "https://a.example.org", headers
    assert headers["access-control-max-age"] == "9" and headers["access-control-expose-headers"] == "ETag"
    assert raw(w, "OPTIONS", f"/{b}/k", {**preflight, "Access-Control-Request-Headers": "range"})[0] == 403
    assert raw(w, "OPTIONS", f"/{b}/k", {**preflight, "Origin": "https://other"})[0] == 403
    assert raw(w, "OPTIONS", f"/{b}/k")[0] == 400
    assert "access-control-allow-origin" not in raw(w, "GET", f"/{b}", {"Origin": "https://a.example.org"})[1]
    _, headers, _ = raw(w, "PUT", f"/{b}/k", {"Origin": "https://a.example.org"}, b"x")
    assert headers["access-control-allow-origin"] == "https://a.example.org"


def form(fields, content, name="file.txt"):
    boundary = uuid.uuid4().hex
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields]
    parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n')
    return {"Content-Type": f"multipart/form-data; boundary={boundary}"}, "".join(parts).encode() + content + f"\r\n--{boundary}--\r\n".encode()


@case
def forms(w):
    b = w.bucket()
    signer = w.client(MAIN, signature_version="s3v4")
    made = signer.generate_presigned_post(b, "up/${filename}", Fields={"acl": "private", "success_action_status": "201"}, Conditions=[
        {"acl": "private"}, {"success_action_status": "201"}, ["content-length-range", 2, 10]])

    def post(fields, content):
        headers, data = form(fields.items(), content)
        return raw(w, "POST", f"/{b}", headers, data)

    status, _, text = post(made["fields"], b"hello")
    assert status == 201 and b"<Key>up/file.txt</Key>" in text, (status, text)
    assert body(w.main, Bucket=b, Key="up/file.txt") == b"hello"
    for fields, content, code in (
        (made["fields"], b"x" * 11, b"EntityTooLarge"),
        (made["fields"], b"x", b"EntityTooSmall"),
        ({**made["fields"], "key": "other"}, b"hello", b"AccessDenied"),
        ({**made["fields"], "x-extra": "1"}, b"hello", b"AccessDenied"),
        ({**made["fields"], "x-amz-signature": "0" * 64}, b"hello", b"SignatureDoesNotMatch"),
        ({k: v for k, v in made["fields"].items() if k != "key"}, b"hello", b"InvalidArgument"),
        ({k: v for k, v in made["fields"].items() if k != "policy"}, b"hello", b"InvalidArgument"),
    ):
        status, _, text = post(fields, content)
        assert status >= 400 and b"<Code>" + code in text, (code, status, text)
    refused("NoSuchKey", w.main.get_object, Bucket=b, Key="other")
    late = signer.generate_presigned_post(b, "k", ExpiresIn=-10)
    status, _, text = post(late["fields"], b"hello")
    assert status == 403 and b"expired" in text, text
    # The signature that older forms have.
    policy = base64.b64encode(json.dumps({"expiration": "2099-01-01T00:00:00Z", "conditions": [
        {"bucket": b}, ["starts-with", "$key", "old"]]}).encode()).decode()
    signature = base64.b64encode(hmac.new(MAIN[2].encode(), policy.encode(), hashlib.sha1).digest()).decode()
    status, _, text = post({"key": "old.txt", "AWSAccessKeyId": MAIN[1], "policy": policy, "signature": signature}, b"old")
    assert status == 204, text
    assert post({"key": "anonymous"}, b"x")[0] == 403
    w.main.put_bucket_acl(Bucket=b, ACL="public-read-write")
    assert post({"key": "anonymous"}, b"x")[0] == 204
    assert raw(w, "POST", f"/{b}", *form({"key": "redirected", "success_action_redirect": w.endpoint + "/" + b}.items(), b"y"))[0] == 303


@case
def object_lock(w):
    b = w.bucket(ObjectLockEnabledForBucket=True)
    assert w.main.get_bucket_versioning(Bucket=b)["Status"] == "Enabled"
    refused("InvalidBucketState", w.main.put_bucket_versioning, Bucket=b, VersioningConfiguration={"Status": "Suspended"})
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    one = w.main.put_object(Bucket=b, Key="k", Body=b"1", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)["VersionId"]
    refused("AccessDenied", w.main.delete_object, Bucket=b, Key="k", VersionId=one)
    assert w.main.delete_object(Bucket=b, Key="k")["DeleteMarker"]
    assert w.main.head_object(Bucket=b, Key="k", VersionId=one)["ObjectLockMode"] == "GOVERNANCE"
    shorter = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    retention = dict(Bucket=b, Key="k", VersionId=one, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": shorter})
    refused("AccessDenied", w.main.put_object_retention, **retention)
    w.main.put_object_retention(**retention, BypassGovernanceRetention=True)
    w.main.put_object_legal_hold(Bucket=b, Key="k", VersionId=one, LegalHold={"Status": "ON"})
    refused("AccessDenied", w.main.delete_object, Bucket=b, Key="k", VersionId=one, BypassGovernanceRetention=True)
    w.main.put_object_legal_hold(Bucket=b, Key="k", VersionId=one, LegalHold={"Status": "OFF"})
    answer = w.main.delete_objects(Bucket=b, Delete={"Objects": [{"Key": "k", "VersionId": one}]})
    assert answer["Errors"][0]["Code"] == "AccessDenied", answer
    w.main.delete_object(Bucket=b, Key="k", VersionId=one, BypassGovernanceRetention=True)
    w.main.put_object_lock_configuration(Bucket=b, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": {
        "DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}})
    two = w.main.put_object(Bucket=b, Key="c", Body=b"1")["VersionId"]
    assert w.main.get_object_retention(Bucket=b, Key="c")["Retention"]["Mode"] == "COMPLIANCE"
    refused("AccessDenied", w.main.delete_object, Bucket=b, Key="c", VersionId=two, BypassGovernanceRetention=True)
    plain = w.bucket()
    refused("InvalidRequest", w.main.put_object_retention, Bucket=plain, Key="k", Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until})
    refused("InvalidRequest", w.main.put_object, Bucket=plain, Key="k", Body=b"", ObjectLockLegalHoldStatus="ON")
    refused("ObjectLockConfigurationNotFoundError", w.main.get_object_lock_configuration, Bucket=plain)


@case
def encryption(w):
    b = w.bucket()
    data = os.urandom(300_000)
    key = os.urandom(32)
    customer = dict(SSECustomerAlgorithm="AES256", SSECustomerKey=key)
    for size in (0, 1, 65_536, 65_537, 300_000):
        w.main.put_object(Bucket=b, Key="c", Body=data[:size], **customer)
        assert body(w.main, Bucket=b, Key="c", **customer) == data[:size]
    refused("InvalidRequest", w.main.get_object, Bucket=b, Key="c")
    refused("AccessDenied", w.main.get_object, Bucket=b, Key="c", SSECustomerAlgorithm="AES256", SSECustomerKey=os.urandom(32))
    assert w.main.get_object(Bucket=b, Key="c", Range="bytes=65530-131080", **customer)["Body"].read() == data[65530:131081]
    upload = w.main.create_multipart_upload(Bucket=b, Key="m", **customer)["UploadId"]
    parts = []
    for n in (1, 2):
        part = w.main.upload_part(Bucket=b, Key="m", UploadId=upload, PartNumber=n, Body=bytes([n]) * (5 << 20), **customer)
        parts.append({"PartNumber": n, "ETag": part["ETag"]})
    refused("InvalidRequest", w.main.upload_part, Bucket=b, Key="m", UploadId=upload, PartNumber=3, Body=b"")
    w.main.complete_multipart_upload(Bucket=b, Key="m", UploadId=upload, MultipartUpload={"Parts": parts}, **customer)
    got = w.main.get_object(Bucket=b, Key="m", Range=f"bytes={(5 << 20) - 2}-{(5 << 20) + 1}", **customer)["Body"].read()
    assert got == b"\1\1\2\2", got
    w.main.copy_object(Bucket=b, Key="plain", CopySource={"Bucket": b, "Key": "c"}, CopySourceSSECustomerAlgorithm="AES256", CopySourceSSECustomerKey=key)
    assert body(w.main, Bucket=b, Key="plain") == data
    put = w.main.put_object(Bucket=b, Key="s", Body=data, ServerSideEncryption="AES256")
    assert put["ServerSideEncryption"] == "AES256"
    w.main.copy_object(Bucket=b, Key="s2", CopySource=f"{b}/s", ServerSideEncryption="AES256")
    assert body(w.main, Bucket=b, Key="s2") == data
    put = w.main.put_object(Bucket=b, Key="kms", Body=data, ServerSideEncryption="aws:kms", SSEKMSKeyId="one")
    assert put["ServerSideEncryption"] == "aws:kms" and put["SSEKMSKeyId"].endswith("key/one")
    assert body(w.main, Bucket=b, Key="kms") == data
    refused("KMS.NotFoundException", w.main.put_object, Bucket=b, Key="x", Body=b"", ServerSideEncryption="aws:kms", SSEKMSKeyId="none")
    refused("InvalidArgument", w.main.put_object, Bucket=b, Key="x", Body=b"", ServerSideEncryption="ROT13")
    w.main.put_bucket_encryption(Bucket=b, ServerSideEncryptionConfiguration={"Rules": [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]})
    assert w.main.put_object(Bucket=b, Key="d", Body=b"1")["ServerSideEncryption"] == "AES256"
    assert "ServerSideEncryption" not in w.main.head_object(Bucket=b, Key="plain")
    # What is on the disk is not what was written.
    secret = b"find me " * 10_000
    w.main.put_object(Bucket=b, Key="hidden", Body=secret)
    for path in pathlib.Path(w.data, "objects").rglob("*") if w.data else ():
        assert not path.is_file() or secret[:64] not in path.read_bytes(), path


@case
def lifecycles(w):
    b = w.bucket()
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}}
    w.main.put_bucket_lifecycle_configuration(Bucket=b, LifecycleConfiguration={"Rules": [rule]})
    assert w.main.get_bucket_lifecycle_configuration(Bucket=b)["Rules"] == [rule]
    put = w.main.put_object(Bucket=b, Key="tmp/k", Body=b"1")
    w.main.put_object(Bucket=b, Key="kept/k", Body=b"1")
    assert 'rule-id="r"' in w.main.head_object(Bucket=b, Key="tmp/k").get("Expiration", ""), put
    end = time.time() + 600
    while time.time() < end and len(w.main.list_objects_v2(Bucket=b)["Contents"]) > 1:
        time.sleep(0.5)
    assert [o["Key"] for o in w.main.list_objects_v2(Bucket=b)["Contents"]] == ["kept/k"]
    for bad, code in (({**rule, "Expiration": {"Days": 0}}, "InvalidArgument"), ({**rule, "Status": "enabled"}, "MalformedXML"),
                      ({**rule, "Expiration": {"Date": "2030-01-01T01:00:00Z"}}, "InvalidArgument")):
        refused(code, w.main.put_bucket_lifecycle_configuration, Bucket=b, LifecycleConfiguration={"Rules": [bad]})


@case
def attributes_and_checksums(w):
    b = w.bucket()
    for algorithm in ("CRC32", "SHA1", "SHA256"):
        put = w.main.put_object(Bucket=b, Key="k", Body=b"1", ChecksumAlgorithm=algorithm)
        assert put[f"Checksum{algorithm}"] and put["ChecksumType"] == "FULL_OBJECT", put
    got = w.main.get_object_attributes(Bucket=b, Key="k", ObjectAttributes=["ETag", "Checksum", "ObjectSize", "StorageClass", "ObjectParts"])
    assert got["ObjectSize"] == 1 and got["StorageClass"] == "STANDARD" and got["Checksum"]["ChecksumSHA256"], got
    refused("InvalidRequest", w.main.put_object, Bucket=b, Key="k", Body=b"1", ChecksumSHA256="x")
    refused("BadDigest", w.main.put_object, Bucket=b, Key="k", Body=b"1", ChecksumSHA256=base64.b64encode(bytes(32)).decode())
    refused("BadDigest", w.main.put_object, Bucket=b, Key="k", Body=b"1", ContentMD5=base64.b64encode(bytes(16)).decode())
    refused("InvalidDigest", w.main.put_object, Bucket=b, Key="k", Body=b"1", ContentMD5="x")
    w.main.put_object(Bucket=b, Key="e", Body=b"1", ContentEncoding="gzip, aws-chunked")
    assert w.main.head_object(Bucket=b, Key="e")["ContentEncoding"] == "gzip"
    w.main.put_object(Bucket=b, Key="a+b c", Body=b"plus", Tagging="a=1&b=2")
    w.main.copy_object(Bucket=b, Key="copied", CopySource=f"{b}/a+b c")
    assert body(w.main, Bucket=b, Key="copied") == b"plus"
    assert w.main.head_object(Bucket=b, Key="a+b c")["ResponseMetadata"]["HTTPHeaders"]["x-amz-tagging-count"] == "2"


@case
def keys_of_kms(w):
    if w.data is None:
        return
    kms = boto3.client("kms", endpoint_url=w.endpoint, region_name="us-east-1", aws_access_key_id=MAIN[1], aws_secret_access_key=MAIN[2])
    key = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName="alias/lake", TargetKeyId=key["KeyId"])
    b = w.bucket()
    data = os.urandom(200_000)
    for named in (key["KeyId"], key["Arn"], "alias/lake"):
        put = w.main.put_object(Bucket=b, Key="k", Body=data, ServerSideEncryption="aws:kms", SSEKMSKeyId=named)
        assert put["SSEKMSKeyId"] == key["Arn"], put
        assert body(w.main, Bucket=b, Key="k") == data
    w.main.copy_object(Bucket=b, Key="copy", CopySource=f"{b}/k", ServerSideEncryption="aws:kms", SSEKMSKeyId=key["KeyId"])
    assert w.main.get_object(Bucket=b, Key="copy", Range="bytes=65530-65545")["Body"].read() == data[65530:65546]
    upload = w.main.create_multipart_upload(Bucket=b, Key="m", ServerSideEncryption="aws:kms", SSEKMSKeyId=key["KeyId"])["UploadId"]
    part = w.main.upload_part(Bucket=b, Key="m", UploadId=upload, PartNumber=1, Body=data)
    w.main.complete_multipart_upload(Bucket=b, Key="m", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert body(w.main, Bucket=b, Key="m") == data
    w.main.put_bucket_encryption(Bucket=b, ServerSideEncryptionConfiguration={"Rules": [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key["KeyId"]}}]})
    assert w.main.put_object(Bucket=b, Key="d", Body=b"1")["SSEKMSKeyId"] == key["Arn"]
    kms.disable_key(KeyId=key["KeyId"])
    refused("KMS.DisabledException", w.main.get_object, Bucket=b, Key="k")
    refused("KMS.DisabledException", w.main.put_object, Bucket=b, Key="k", Body=b"")
    kms.enable_key(KeyId=key["KeyId"])
    assert body(w.main, Bucket=b, Key="d") == b"1"
    # Who may read the object but not use its key reads nothing.
    w.main.put_bucket_policy(Bucket=b, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": ALT[0]}, "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{b}/*"}]}))
    refused("AccessDenied", w.alt.get_object, Bucket=b, Key="k")


@case
def what_s3_adds_and_wants_of_checksums(w):
    b = w.bucket()
    plain = w.client(MAIN, request_checksum_calculation="when_required", response_checksum_validation="when_required")
    assert plain.put_object(Bucket=b, Key="k", Body=b"hello")["ChecksumCRC64NVME"] == "M3eFcAZSQlc="
    assert plain.head_object(Bucket=b, Key="k", ChecksumMode="ENABLED")["ChecksumType"] == "FULL_OBJECT"
    upload = plain.create_multipart_upload(Bucket=b, Key="m")["UploadId"]
    parts = []
    for n, data in ((1, b"a" * (5 << 20)), (2, b"hello")):
        part = plain.upload_part(Bucket=b, Key="m", UploadId=upload, PartNumber=n, Body=data)
        assert "ChecksumCRC64NVME" not in part
        parts.append({"PartNumber": n, "ETag": part["ETag"]})
    whole = plain.complete_multipart_upload(Bucket=b, Key="m", UploadId=upload, MultipartUpload={"Parts": parts})
    again = plain.put_object(Bucket=b, Key="same", Body=b"a" * (5 << 20) + b"hello")
    assert whole["ChecksumCRC64NVME"] == again["ChecksumCRC64NVME"] and whole["ChecksumType"] == "FULL_OBJECT", whole
    upload = w.main.create_multipart_upload(Bucket=b, Key="c", ChecksumAlgorithm="SHA256")["UploadId"]
    refused("InvalidRequest", w.main.upload_part, Bucket=b, Key="c", UploadId=upload, PartNumber=1, Body=b"1", ChecksumAlgorithm="SHA1")
    part = w.main.upload_part(Bucket=b, Key="c", UploadId=upload, PartNumber=1, Body=b"1", ChecksumAlgorithm="SHA256")
    one = {"PartNumber": 1, "ETag": part["ETag"]}
    refused("InvalidRequest", w.main.complete_multipart_upload, Bucket=b, Key="c", UploadId=upload, MultipartUpload={"Parts": [one]})
    one["ChecksumSHA256"] = part["ChecksumSHA256"]
    w.main.complete_multipart_upload(Bucket=b, Key="c", UploadId=upload, MultipartUpload={"Parts": [one]})
    refused("InvalidRequest", w.main.put_object, Bucket=b, Key="two", Body=b"hello", ChecksumCRC32="NhCmhg==",
            ChecksumSHA1="qvTGHdzF6KLavt4PO0gs2a6pQ00=")
    assert '"' not in w.main.get_object_attributes(Bucket=b, Key="k", ObjectAttributes=["ETag"])["ETag"]
    refused("InvalidArgument", w.main.get_object_attributes, Bucket=b, Key="k", ObjectAttributes=["Nothing"])


class Told(S3SigV4Auth):
    """Signs with the digest of the body that the headers name."""
    def payload(self, request):
        return self.named

    def _modify_request_before_signing(self, request):
        self.named = request.headers["X-Amz-Content-SHA256"]
        super()._modify_request_before_signing(request)


def signed(w, method, path, data, headers):
    """Status and body of a request as it is written, which no SDK sends."""
    request = AWSRequest(method=method, url=w.endpoint + path, data=data, headers=headers)
    Told(Credentials(MAIN[1], MAIN[2]), "s3", "us-east-1").add_auth(request)
    at = urllib.parse.urlsplit(request.url)
    connection = http.client.HTTPConnection(at.netloc)
    connection.request(method, path, body=data, headers=dict(request.headers))
    answer = connection.getresponse()
    return answer.status, answer.read()


# Of "hello", of five mebibytes of "a", and composed of the two: as hashlib and the xxhash library have them.
NEWER = {
    "SHA512": ("m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==",
               "dG/apTY4zOym1QXc+SnT+n6yiLzvGpvzC+vzf3jfumP2uDUBPETzj+18ptxibqHPpNa7fYUMWQ+MkqZiZAcs+g==",
               "5qMsnwzgbO+wPxsr/oRwwl8vO26pL8XREd5CKuTW1OSN2ZQxlR4/b0hvXQiI/usyo398pOWOiQJS0rH3JX9L/Q==-2"),
    "MD5": ("XUFAKrxLKna5cZ2REBfFkg==", "ebKBBg0ze5srhMzzkK3PdA==", "fLsIqjwzCdaILBj87MS+5w==-2"),
    "XXHASH64": ("JseCfYifbaM=", "SrGuhw/sEV4=", "aVxkA9UTsh0=-2"),
    "XXHASH3": ("lVXoVVxi3P0=", "IYg8Ke7DmeQ=", "DiV4OE78jdw=-2"),
    "XXHASH128": ("tenBrQcbPn/Hec+qXlI4GA==", "fq8v9rMrjkMhiDwp7sOZ5A==", "APkmprsXCRPDmG4SjtnA/w==-2"),
}


@case
def newer_checksums_of_whole_objects(w):
    b = w.bucket()
    s3 = w.client(MAIN, request_checksum_calculation="when_required", response_checksum_validation="when_required")
    for name, (hello, other, _) in NEWER.items():
        member = f"Checksum{name}"
        put = s3.put_object(Bucket=b, Key=name, Body=b"hello", **{member: hello})
        assert put[member] == hello and put["ChecksumType"] == "FULL_OBJECT", put
        head = s3.head_object(Bucket=b, Key=name, ChecksumMode="ENABLED")
        assert head[member] == hello and head["ChecksumType"] == "FULL_OBJECT", head
        got = s3.get_object(Bucket=b, Key=name, ChecksumMode="ENABLED")
        assert got[member] == hello and got["Body"].read() == b"hello", got
        assert member not in s3.head_object(Bucket=b, Key=name)
        told = s3.get_object_attributes(Bucket=b, Key=name, ObjectAttributes=["Checksum"])["Checksum"]
        assert told == {member: hello, "ChecksumType": "FULL_OBJECT"}, told
        listed = s3.list_objects_v2(Bucket=b, Prefix=name)["Contents"][0]
        assert listed["ChecksumAlgorithm"] == [name], listed
        refused("BadDigest", s3.put_object, Bucket=b, Key="wrong", Body=b"hello", **{member: other})
        refused("InvalidRequest", s3.put_object, Bucket=b, Key="wrong", Body=b"hello", **{member: "!"})
        refused("InvalidRequest", s3.put_object, Bucket=b, Key="wrong", Body=b"hello", ChecksumSHA1="qvTGHdzF6KLavt4PO0gs2a6pQ00=", **{member: hello})
        copied = s3.copy_object(Bucket=b, Key="copy", CopySource=f"{b}/{name}")["CopyObjectResult"]
        assert copied[member] == hello, copied
        copied = s3.copy_object(Bucket=b, Key="copy", CopySource=f"{b}/SHA512", ChecksumAlgorithm=name)["CopyObjectResult"]
        assert copied[member] == hello and copied["ChecksumType"] == "FULL_OBJECT", copied
        # Behind the body.
        for value, status in ((hello, 200), (other, 400)):
            header = "x-amz-checksum-" + name.lower()
            chunks = b"5\r\nhello\r\n0\r\n" + f"{header}:{value}\r\n\r\n".encode()
            answer = signed(w, "PUT", f"/{b}/trailed", chunks, {
                "Content-Encoding": "aws-chunked", "x-amz-decoded-content-length": "5", "x-amz-trailer": header,
                "X-Amz-Content-SHA256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"})
            assert answer[0] == status, (name, answer)
    refused("404", s3.head_object, Bucket=b, Key="wrong")
    assert s3.head_object(Bucket=b, Key="trailed", ChecksumMode="ENABLED")["ChecksumXXHASH128"] == NEWER["XXHASH128"][0]


@case
def newer_checksums_of_parts(w):
    b = w.bucket()
    s3 = w.client(MAIN, request_checksum_calculation="when_required", response_checksum_validation="when_required")
    first = b"a" * (5 << 20)
    for name, (hello, mebibytes, whole) in NEWER.items():
        member = f"Checksum{name}"
        refused("InvalidRequest", s3.create_multipart_upload, Bucket=b, Key=name, ChecksumAlgorithm=name, ChecksumType="FULL_OBJECT")
        made = s3.create_multipart_upload(Bucket=b, Key=name, ChecksumAlgorithm=name)
        assert (made["ChecksumAlgorithm"], made["ChecksumType"]) == (name, "COMPOSITE"), made
        upload = {"Bucket": b, "Key": name, "UploadId": made["UploadId"]}
        refused("BadDigest", s3.upload_part, PartNumber=1, Body=first, **upload, **{member: hello})
        refused("InvalidRequest", s3.upload_part, PartNumber=1, Body=b"x", ChecksumCRC32="jNyy+g==", **upload)
        parts = []
        for number, data, value in ((1, first, mebibytes), (2, b"hello", hello)):
            part = s3.upload_part(PartNumber=number, Body=data, **upload, **({member: value} if number == 1 else {}))
            assert part[member] == value, part
            parts.append({"PartNumber": number, "ETag": part["ETag"], member: value})
        assert [p[member] for p in s3.list_parts(**upload)["Parts"]] == [mebibytes, hello]
        plain = [{k: v for k, v in p.items() if k != member} for p in parts]
        refused("InvalidRequest", s3.complete_multipart_upload, MultipartUpload={"Parts": plain}, **upload)
        wrong = [parts[0], {**parts[1], member: mebibytes}]
        refused("InvalidPart", s3.complete_multipart_upload, MultipartUpload={"Parts": wrong}, **upload)
        refused("BadDigest", s3.complete_multipart_upload, MultipartUpload={"Parts": parts}, ChecksumType="FULL_OBJECT", **upload)
        done = s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, ChecksumType="COMPOSITE", **upload)
        assert done[member] == whole and done["ChecksumType"] == "COMPOSITE", done
        head = s3.head_object(Bucket=b, Key=name, ChecksumMode="ENABLED")
        assert head[member] == whole and head["ChecksumType"] == "COMPOSITE", head
        told = s3.get_object_attributes(Bucket=b, Key=name, ObjectAttributes=["Checksum", "ObjectParts"])
        assert told["Checksum"][member] == whole and told["Checksum"]["ChecksumType"] == "COMPOSITE", told
        assert [p[member] for p in told["ObjectParts"]["Parts"]] == [mebibytes, hello], told
        # Of a part, by its number or by a range that is just its bytes; of other ranges none.
        part = s3.get_object(Bucket=b, Key=name, PartNumber=2, ChecksumMode="ENABLED")
        assert part[member] == hello and part["Body"].read() == b"hello", part
        assert s3.head_object(Bucket=b, Key=name, PartNumber=1, ChecksumMode="ENABLED")[member] == mebibytes
        assert s3.head_object(Bucket=b, Key=name, Range=f"bytes=0-{(5 << 20) - 1}", ChecksumMode="ENABLED")[member] == mebibytes
        assert member not in s3.head_object(Bucket=b, Key=name, Range="bytes=0-9", ChecksumMode="ENABLED")
    made = s3.create_multipart_upload(Bucket=b, Key="copied", ChecksumAlgorithm="XXHASH3")
    part = s3.upload_part_copy(Bucket=b, Key="copied", UploadId=made["UploadId"], PartNumber=1, CopySource=f"{b}/MD5",
                               CopySourceRange=f"bytes={5 << 20}-{(5 << 20) + 4}")["CopyPartResult"]
    assert part["ChecksumXXHASH3"] == NEWER["XXHASH3"][0], part


@case
def errors_name_what_they_are_about(w):
    b = w.bucket()
    w.main.put_object(Bucket=b, Key="k", Body=b"hello")

    def told(answer, **members):
        error = answer["Error"]
        assert {name: error.get(name) for name in members} == members, error

    told(refused("InvalidRange", w.main.get_object, Bucket=b, Key="k", Range="bytes=7-"), RangeRequested="bytes=7-", ActualObjectSize="5")
    told(refused("InvalidPartNumber", w.main.get_object, Bucket=b, Key="k", PartNumber=2), PartNumberRequested="2", ActualPartCount="1")
    told(refused("InvalidArgument", w.main.get_object, Bucket=b, Key="k", PartNumber=0), ArgumentName="partNumber", ArgumentValue="0")
    told(refused("InvalidArgument", w.main.get_object, Bucket=b, Key="k", VersionId=""), ArgumentName="versionId",
         Message="Version id cannot be the empty string")
    told(refused("NoSuchUpload", w.main.list_parts, Bucket=b, Key="k", UploadId="none"), UploadId="none")
    told(refused("InvalidArgument", w.main.list_objects_v2, Bucket=b, ContinuationToken="none"), ArgumentName="continuation-token", ArgumentValue="none")
    told(refused("InvalidArgument", w.main.list_objects_v2, Bucket=b, EncodingType="none"), ArgumentName="encoding-type", ArgumentValue="none")
    told(refused("BadDigest", w.main.put_object, Bucket=b, Key="k", Body=b"x", ContentMD5="A" * 22 + "=="),
         ExpectedDigest="A" * 22 + "==", CalculatedDigest=base64.b64encode(hashlib.md5(b"x").digest()).decode())
    told(refused("PreconditionFailed", w.main.copy_object, Bucket=b, Key="c", CopySource=f"{b}/k", CopySourceIfMatch="none"),
         Condition="x-amz-copy-source-If-Match")
    upload = {"Bucket": b, "Key": "m", "UploadId": w.main.create_multipart_upload(Bucket=b, Key="m")["UploadId"]}
    etag = w.main.upload_part(PartNumber=1, Body=b"x", **upload)["ETag"]
    w.main.upload_part(PartNumber=2, Body=b"x", **upload)
    parts = [{"PartNumber": n, "ETag": etag} for n in (1, 2, 3)]
    told(refused("InvalidPart", w.main.complete_multipart_upload, MultipartUpload={"Parts": parts}, **upload),
         PartNumber="3", ETag=etag.strip('"'), UploadId=upload["UploadId"])
    told(refused("EntityTooSmall", w.main.complete_multipart_upload, MultipartUpload={"Parts": parts[:2]}, **upload),
         PartNumber="1", ProposedSize="1", MinSizeAllowed=str(5 << 20), ETag=etag.strip('"'))
    answer = refused("InvalidPartOrder", w.main.complete_multipart_upload, MultipartUpload={"Parts": parts[1::-1]}, **upload)
    told(answer, UploadId=upload["UploadId"])


@case
def statuses_tags_and_sources(w):
    name = "b-" + uuid.uuid4().hex[:16]
    w.main.create_bucket(Bucket=name, CreateBucketConfiguration={"Tags": [{"Key": "team", "Value": "lake"}]})
    assert w.main.get_bucket_tagging(Bucket=name)["TagSet"] == [{"Key": "team", "Value": "lake"}]
    status = lambda answer: answer["ResponseMetadata"]["HTTPStatusCode"]
    assert status(w.main.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "a", "Value": "1"}]})) == 204
    refused("InvalidTag", w.main.put_bucket_tagging, Bucket=name, Tagging={"TagSet": [{"Key": "aws:a", "Value": "1"}]})
    w.main.put_object(Bucket=name, Key="cold", Body=b"1", StorageClass="GLACIER", Metadata={f"m{n}": "v" for n in range(80)})
    assert len(w.main.head_object(Bucket=name, Key="cold")["Metadata"]) == 80
    refused("InvalidTag", w.main.put_object_tagging, Bucket=name, Key="cold", Tagging={"TagSet": [{"Key": "AWS:a", "Value": "1"}]})
    refused("MalformedXML", w.main.restore_object, Bucket=name, Key="cold", RestoreRequest={"Days": 1, "GlacierJobParameters": {"Tier": "Now"}})
    assert status(w.main.restore_object(Bucket=name, Key="cold", RestoreRequest={"Days": 1})) == 202
    assert status(w.main.restore_object(Bucket=name, Key="cold", RestoreRequest={"Days": 2})) == 200
    w.main.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    w.main.put_object(Bucket=name, Key="k", Body=b"1")
    marker = w.main.delete_object(Bucket=name, Key="k")["VersionId"]
    error = refused("MethodNotAllowed", w.main.get_object, Bucket=name, Key="k", VersionId=marker)
    assert error["ResponseMetadata"]["HTTPHeaders"]["allow"] == "DELETE"
    refused("InvalidRequest", w.main.copy_object, Bucket=name, Key="c", CopySource={"Bucket": name, "Key": "k", "VersionId": marker})
    anyone = {"Effect": "Allow", "NotPrincipal": {"AWS": ALT[0]}, "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"}
    refused("MalformedPolicy", w.main.put_bucket_policy, Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [anyone]}))
    # The older signature is what boto3 presigns with where nobody says otherwise: it writes the type into the URL.
    url = w.client(MAIN, signature_version="s3").generate_presigned_url("put_object", {"Bucket": name, "Key": "signed", "ContentType": "a/b"})
    with urllib.request.urlopen(urllib.request.Request(url, method="PUT", data=b"1", headers={"Content-Type": "a/b"})) as answer:
        assert answer.status == 200
    refused("AccessDenied", w.nobody.list_buckets)


@case
def lifecycles_are_told(w):
    b = w.bucket()
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 100}}
    put = lambda **more: w.main.put_bucket_lifecycle_configuration(Bucket=b, LifecycleConfiguration={"Rules": [rule]}, **more)
    assert put()["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    put(TransitionDefaultMinimumObjectSize="varies_by_storage_class")
    assert w.main.get_bucket_lifecycle_configuration(Bucket=b)["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"
    refused("InvalidArgument", put, TransitionDefaultMinimumObjectSize="small")
    assert 'rule-id="r"' in w.main.put_object(Bucket=b, Key="tmp/k", Body=b"1")["Expiration"]
    assert 'rule-id="r"' in w.main.copy_object(Bucket=b, Key="tmp/c", CopySource=f"{b}/tmp/k")["Expiration"]
    assert "Expiration" not in w.main.put_object(Bucket=b, Key="kept", Body=b"1")


@case
def storage_classes_and_restores(w):
    b = w.bucket()
    w.main.put_object(Bucket=b, Key="cold", Body=b"1", StorageClass="GLACIER")
    error = refused("InvalidObjectState", w.main.get_object, Bucket=b, Key="cold")
    assert error["Error"]["StorageClass"] == "GLACIER"
    w.main.restore_object(Bucket=b, Key="cold", RestoreRequest={"Days": 1})
    assert body(w.main, Bucket=b, Key="cold") == b"1"
    assert 'ongoing-request="false"' in w.main.head_object(Bucket=b, Key="cold")["Restore"]
    refused("InvalidStorageClass", w.main.put_object, Bucket=b, Key="k", Body=b"", StorageClass="COLD")
    refused("InvalidObjectState", w.main.restore_object, Bucket=b, Key=w.main.put_object(Bucket=b, Key="k", Body=b"") and "k", RestoreRequest={"Days": 1})


@case
def notifications(w):
    b = w.bucket()
    url = w.sqs.create_queue(QueueName="q" + uuid.uuid4().hex[:8])["QueueUrl"]
    arn = w.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def take(wanted):
        got, end = [], time.time() + 600
        while len(got) < wanted and time.time() < end:
            for message in w.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
                w.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                got.append(json.loads(message["Body"]))
        return got

    def put(*configurations):
        w.main.put_bucket_notification_configuration(Bucket=b, NotificationConfiguration={"QueueConfigurations": list(configurations)})

    put({"QueueArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*"]})
    assert take(1)[0]["Event"] == "s3:TestEvent"
    w.main.put_bucket_versioning(Bucket=b, VersioningConfiguration={"Status": "Enabled"})
    version = w.main.put_object(Bucket=b, Key="a b", Body=b"1")["VersionId"]
    record = take(1)[0]["Records"][0]
    assert record["eventName"] == "ObjectCreated:Put" and record["s3"]["object"]["versionId"] == version, record
    w.main.put_object_tagging(Bucket=b, Key="a b", Tagging={"TagSet": [{"Key": "x", "Value": "y"}]})
    assert take(1)[0]["Records"][0]["eventName"] == "ObjectTagging:Put"
    w.main.delete_object(Bucket=b, Key="a b")
    assert take(1)[0]["Records"][0]["eventName"] == "ObjectRemoved:DeleteMarkerCreated"
    for bad in ({"QueueArn": arn, "Events": ["s3:Nothing"]}, {"QueueArn": arn + "none", "Events": ["s3:ObjectCreated:*"]},
                {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"], "Filter": {"Key": {"FilterRules": [{"Name": "suffix", "Value": "a"}, {"Name": "suffix", "Value": "b"}]}}}):
        refused("InvalidArgument", put, bad)


@case
def access_logs(w):
    if w.data is None:
        return
    b, logs = w.bucket(), w.bucket()
    put = lambda **config: w.main.put_bucket_logging(Bucket=b, BucketLoggingStatus={"LoggingEnabled": config} if config else {})
    assert "LoggingEnabled" not in w.main.get_bucket_logging(Bucket=b)
    refused("InvalidTargetBucketForLogging", put, TargetBucket="none-" + b, TargetPrefix="")
    refused("MalformedXML", put, TargetBucket=logs, TargetPrefix="", TargetObjectKeyFormat={"PartitionedPrefix": {"PartitionDateSource": "Never"}})
    config = {"TargetBucket": logs, "TargetPrefix": "log/", "TargetObjectKeyFormat": {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}}}
    put(**config)
    assert w.main.get_bucket_logging(Bucket=b)["LoggingEnabled"] == config
    w.main.put_object(Bucket=b, Key="a b", Body=b"hello")
    w.main.get_object(Bucket=b, Key="a b")
    refused("NoSuchKey", w.main.get_object, Bucket=b, Key="none")
    refused("AccessDenied", w.nobody.get_object, Bucket=b, Key="a b")
    end = time.time() + 600
    while time.time() < end:
        found = [o["Key"] for o in w.main.list_objects_v2(Bucket=logs).get("Contents", [])]
        lines = "".join(body(w.main, Bucket=logs, Key=key).decode() for key in found).splitlines()
        if sum(" REST.GET.OBJECT " in line for line in lines) >= 3:
            break
        time.sleep(0.3)
    owner = w.main.list_buckets()["Owner"]["ID"]
    assert all(re.fullmatch(r"log/\d{12}/us-east-1/" + b + r"/\d{4}/\d\d/\d\d/\d{4}-\d\d-\d\d-00-00-00-[0-9A-F]{16}", key) for key in found), found
    one = lambda words: next(line for line in lines if words in line)
    assert re.match(rf'{owner} {b} \[.+ \+0000\] 127\.0\.0\.1 {owner} \S+ REST\.PUT\.OBJECT a\S+b "PUT /{b}/a%20b HTTP/1\.1" 200 - ', one("REST.PUT.OBJECT")), lines
    assert " 404 NoSuchKey " in one("/none ") and " SigV4 - AuthHeader " in one("/none "), lines
    assert re.search(r"127\.0\.0\.1 - \S+ REST\.GET\.OBJECT", one("AccessDenied")), lines
    put()
    assert "LoggingEnabled" not in w.main.get_bucket_logging(Bucket=b)


@case
def requester_pays_and_expected_owners(w):
    b = w.bucket(ACL="public-read")
    w.main.put_bucket_request_payment(Bucket=b, RequestPaymentConfiguration={"Payer": "Requester"})
    assert w.main.get_bucket_request_payment(Bucket=b)["Payer"] == "Requester"
    refused("AccessDenied", w.alt.list_objects_v2, Bucket=b)
    w.alt.list_objects_v2(Bucket=b, RequestPayer="requester")
    refused("AccessDenied", w.main.list_objects_v2, Bucket=b, ExpectedBucketOwner=ALT[0])
    w.main.list_objects_v2(Bucket=b, ExpectedBucketOwner=MAIN[0])


@case
def error_bodies(w):
    b = w.bucket()
    error = refused("NoSuchKey", w.main.get_object, Bucket=b, Key="a/<b>&c")["Error"]
    assert error["Key"] == "a/<b>&c" and error["Message"], error
    assert refused("NoSuchBucket", w.main.list_objects_v2, Bucket="none-" + b)["Error"]["BucketName"] == "none-" + b
    status, _, text = raw(w, "GET", f"/{b}/k")
    assert status == 403 and re.search(b"<Resource>.*</Resource><RequestId>.+</RequestId><HostId>", text), text
    w.main.put_object(Bucket=b, Key="a\x01b", Body=b"")
    page = w.main.list_objects_v2(Bucket=b, EncodingType="url")
    assert page["Contents"][0]["Key"] == "a%01b"


@case
def headers_that_say_nothing(w):
    b = w.bucket()
    w.main.put_object(Bucket=b, Key="k", Body=b"hello")
    for bad in ("bytes=3-1", "bytes=0-1,3-4", "lines=1-2", "nonsense"):
        got = w.main.get_object(Bucket=b, Key="k", Range=bad)
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 200 and got["Body"].read() == b"hello", bad
        refused("AccessDenied", w.nobody.get_object, Bucket=b, Key="k", Range=bad)
        refused("AccessDenied", w.alt.get_object, Bucket=b, Key="k", Range=bad)
    assert w.main.head_object(Bucket=b, Key="k", Range="bytes=1-2")["ResponseMetadata"]["HTTPStatusCode"] == 206
    refused("InvalidRange", w.main.get_object, Bucket=b, Key="k", Range="bytes=9-")


@case
def authorizations_that_are_none(w):
    b = w.bucket()
    for value, status, code in (("", 403, b"AccessDenied"), ("AWS none", 400, b"InvalidArgument"), ("Bearer x", 400, b"InvalidArgument"),
                                ("AWS4-HMAC-SHA256 x", 400, b"AuthorizationHeaderMalformed"), ("AWS a:b", 403, b"AccessDenied")):
        got, _, text = raw(w, "GET", f"/{b}/k", {"Authorization": value})
        assert got == status and b"<Code>" + code + b"</Code>" in text, (value, got, text)


@case
def names_tags_and_places(w):
    for name in ("a.-b", "a-.b", "abc-s3alias", "sthree-a", "amzn-s3-demo-a", "abc.mrap"):
        refused("InvalidBucketName", w.main.create_bucket, Bucket=name)
    where = {"LocationConstraint": "nowhere"}
    refused("InvalidLocationConstraint", w.main.create_bucket, Bucket="b-" + uuid.uuid4().hex[:12], CreateBucketConfiguration=where)
    b = w.bucket()
    for tag in ({"Key": "a!", "Value": ""}, {"Key": "a", "Value": "b#"}):
        refused("InvalidTag", w.main.put_object_tagging, Bucket=w.main.put_object(Bucket=b, Key="k", Body=b"") and b, Key="k", Tagging={"TagSet": [tag]})
    refused("InvalidRedirectLocation", w.main.put_object, Bucket=b, Key="k", Body=b"", WebsiteRedirectLocation="elsewhere")
    refused("NoSuchConfiguration", w.main.get_bucket_inventory_configuration, Bucket=b, Id="i")
    assert "InventoryConfigurationList" not in w.main.list_bucket_inventory_configurations(Bucket=b)


@case
def times_are_whole_seconds(w):
    """A list says of an object what a HEAD says, and both what the copy did."""
    b = w.bucket()
    w.main.put_object(Bucket=b, Key="a", Body=b"x")
    copied = w.main.copy_object(Bucket=b, Key="c", CopySource={"Bucket": b, "Key": "a"})["CopyObjectResult"]["LastModified"]
    listed = {one["Key"]: one["LastModified"] for one in w.main.list_objects_v2(Bucket=b)["Contents"]}
    versions = {one["Key"]: one["LastModified"] for one in w.main.list_object_versions(Bucket=b)["Versions"]}
    assert listed == versions == {key: w.main.head_object(Bucket=b, Key=key)["LastModified"] for key in "ac"}
    assert copied == listed["c"] and copied.microsecond == 0


@case
def lengths_and_times_that_are_none(w):
    b = w.bucket()
    w.main.put_object(Bucket=b, Key="k", Body=b"x")
    signs = w.client(MAIN, signature_version="s3v4")
    link = signs.generate_presigned_url("get_object", Params={"Bucket": b, "Key": "k"}, ExpiresIn=604801)
    at = urllib.parse.urlsplit(link)
    connection = http.client.HTTPConnection(at.netloc)
    connection.request("GET", f"{at.path}?{at.query}")
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status == 400 and b"AuthorizationQueryParametersError" in text, (link, text)
    link = signs.generate_presigned_url("put_object", Params={"Bucket": b, "Key": "n"})
    at = urllib.parse.urlsplit(link)
    connection = http.client.HTTPConnection(at.netloc)
    connection.putrequest("PUT", f"{at.path}?{at.query}", skip_accept_encoding=True)
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 411 and b"MissingContentLength" in answer.read()
    refused("404", w.main.head_object, Bucket=b, Key="n")
    for number in (0, 10001):
        refused("InvalidArgument", w.main.get_object, Bucket=b, Key="k", PartNumber=number)
    assert "Delimiter" not in w.main.list_objects(Bucket=b, Delimiter="")
    assert "Delimiter" not in w.main.list_objects_v2(Bucket=b, Delimiter="")
    upload = w.main.create_multipart_upload(Bucket=b, Key="m")["UploadId"]
    parts = w.main.list_parts(Bucket=b, Key="m", UploadId=upload)
    assert parts["Initiator"] == parts["Owner"], parts
    assert w.main.list_multipart_uploads(Bucket=b)["Uploads"][0]["Initiator"]["ID"] == parts["Owner"]["ID"]


@case
def headers_that_were_not_signed(w):
    """Who holds a presigned URL makes no other request of it: AWS refuses `x-amz-` headers that the signature does not cover."""
    b = w.bucket()
    w.main.put_object(Bucket=b, Key="hidden", Body=b"hidden")
    link = w.client(MAIN, signature_version="s3v4").generate_presigned_url("put_object", Params={"Bucket": b, "Key": "n"})
    at = urllib.parse.urlsplit(link)
    for header, value in (("x-amz-copy-source", f"/{b}/hidden"), ("x-amz-acl", "public-read"), ("x-amz-tagging", "a=b")):
        status, _, told = raw(w, "PUT", f"{at.path}?{at.query}", {header: value}, b"")
        assert (status, f"<HeadersNotSigned>{header}</HeadersNotSigned>" in told.decode()) == (403, True), (header, status, told)
        # Neither is a second signature, nor a key written in another way, a way round that.
        status, _, told = raw(w, "PUT", f"{at.path}?{at.query}", {header: value, "Authorization": "x"}, b"")
        assert (status, b"Only one auth mechanism allowed" in told) == (400, True), (header, status, told)
        status, _, told = raw(w, "PUT", f"{at.path}?{at.query.replace('X-Amz-Algorithm', 'X-Amz-Algorith%6D')}", {header: value}, b"")
        assert status == 403, (header, status, told)
    refused("NoSuchKey", w.main.get_object, Bucket=b, Key="n")
    status, _, told = raw(w, "PUT", f"{at.path}?{at.query}", {"Content-Type": "a/b"}, b"x")
    assert status == 200, told
    # What was signed is obeyed: in the URL, or as a header.
    link = w.client(MAIN, signature_version="s3v4").generate_presigned_url("put_object", Params={"Bucket": b, "Key": "t", "Tagging": "a=b"})
    at = urllib.parse.urlsplit(link)
    status, _, told = raw(w, "PUT", f"{at.path}?{at.query}", {"x-amz-tagging": "a=b"}, b"x")
    assert status == 200, told
    assert w.main.get_object_tagging(Bucket=b, Key="t")["TagSet"] == [{"Key": "a", "Value": "b"}]


@case
def selects_of_parquet(w):
    """A file that Arrow wrote: n (0 … 999), name, a price of decimal(9,2), at, tags; five row groups, compressed by Snappy."""
    b = w.bucket()
    content = (pathlib.Path(__file__).parent / "rows.parquet").read_bytes()
    w.main.put_object(Bucket=b, Key="plain", Body=content)
    upload = w.main.create_multipart_upload(Bucket=b, Key="sealed", ServerSideEncryption="AES256")["UploadId"]
    part = w.main.upload_part(Bucket=b, Key="sealed", UploadId=upload, PartNumber=1, Body=content)
    w.main.complete_multipart_upload(Bucket=b, Key="sealed", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})

    def select(sql, key="plain", told=None, **more):
        answer = w.main.select_object_content(Bucket=b, Key=key, ExpressionType="SQL", Expression=sql, InputSerialization={"Parquet": {}},
                                              OutputSerialization=told or {"CSV": {}}, **more)
        events = list(answer["Payload"])
        scanned = events[-2]["Stats"]["Details"]["BytesScanned"]
        return b"".join(event["Records"]["Payload"] for event in events if "Records" in event).decode(), scanned

    for key in ("plain", "sealed"):
        found, _ = select("SELECT COUNT(*), SUM(s.n) FROM S3Object s WHERE s.n >= 500", key)
        assert found == f"500,{sum(range(500, 1000))}\n", found
        found, _ = select("SELECT * FROM S3Object s LIMIT 2", key, {"JSON": {}})
        rows = [json.loads(line) for line in found.splitlines()]
        assert rows[1] == {"n": 1, "name": "row 1", "price": 1.25, "at": "2024-05-01T00:00:01Z", "tags": ["t1", None]}, rows
    assert select("SELECT SUM(price) FROM S3Object WHERE name = 'row 3' OR n = 4")[0] == "8.75\n"
    halves = [select("SELECT n FROM S3Object", ScanRange={"Start": start, "End": end})[0] for start, end in ((0, len(content) // 2), (len(content) // 2 + 1, len(content)))]
    assert "".join(halves) == "".join(f"{n}\n" for n in range(1000)) and all(halves)
    refused("InvalidCompressionFormat", w.main.select_object_content, Bucket=b, Key="plain", ExpressionType="SQL", Expression="SELECT * FROM S3Object",
            InputSerialization={"Parquet": {}, "CompressionType": "GZIP"}, OutputSerialization={"CSV": {}})


@case
def storage_metrics(w):
    """Once a day, which is two seconds long here."""
    b = w.bucket()
    w.main.put_object(Bucket=b, Key="a", Body=b"x" * 1000)
    w.main.put_object(Bucket=b, Key="b", Body=b"x" * 500, StorageClass="STANDARD_IA")
    upload = w.main.create_multipart_upload(Bucket=b, Key="c")["UploadId"]
    w.main.upload_part(Bucket=b, Key="c", UploadId=upload, PartNumber=1, Body=b"x" * 20)
    watch = boto3.client("cloudwatch", endpoint_url=w.endpoint, region_name="us-east-1", aws_access_key_id=MAIN[1], aws_secret_access_key=MAIN[2])

    def last(metric, kind):
        now = time.time()
        found = watch.get_metric_statistics(Namespace="AWS/S3", MetricName=metric, StartTime=now - 300, EndTime=now + 60, Period=60, Statistics=["Maximum"],
                                            Dimensions=[{"Name": "BucketName", "Value": b}, {"Name": "StorageType", "Value": kind}])
        return max((point["Maximum"] for point in found["Datapoints"]), default=None)

    deadline = time.time() + 30
    while last("NumberOfObjects", "AllStorageTypes") != 3 and time.time() < deadline:
        time.sleep(0.5)
    found = [last("NumberOfObjects", "AllStorageTypes"), last("BucketSizeBytes", "StandardStorage"), last("BucketSizeBytes", "StandardIAStorage")]
    assert found == [3, 1020, 500], found


@case
def request_metrics(w):
    """Of requests that a configuration's filter wants; a bucket without any is not counted."""
    b = w.bucket()
    put = lambda id, **named: w.main.put_bucket_metrics_configuration(Bucket=b, Id=id, MetricsConfiguration={"Id": id, **named})
    refused("NoSuchConfiguration", w.main.get_bucket_metrics_configuration, Bucket=b, Id="whole")
    put("whole")
    put("logs", Filter={"Prefix": "logs/"})
    both = {"And": {"Prefix": "logs/", "Tags": [{"Key": "kind", "Value": "a"}]}}
    put("tagged", Filter=both)
    assert w.main.get_bucket_metrics_configuration(Bucket=b, Id="tagged")["MetricsConfiguration"] == {"Id": "tagged", "Filter": both}
    listed = w.main.list_bucket_metrics_configurations(Bucket=b)
    assert [one["Id"] for one in listed["MetricsConfigurationList"]] == ["logs", "tagged", "whole"] and not listed["IsTruncated"], listed
    refused("MalformedXML", put, "one", Filter={"And": {"Prefix": "logs/"}})
    refused("InvalidArgument", put, "a b")
    refused("InvalidArgument", w.main.put_bucket_metrics_configuration, Bucket=b, Id="x", MetricsConfiguration={"Id": "y"})
    refused("NotImplemented", put, "point", Filter={"AccessPointArn": "arn:aws:s3:us-east-1:000000000000:accesspoint/a"})
    refused("NoSuchConfiguration", w.main.delete_bucket_metrics_configuration, Bucket=b, Id="nothing")
    put("short")
    w.main.delete_bucket_metrics_configuration(Bucket=b, Id="short")
    w.main.put_object(Bucket=b, Key="logs/1", Body=b"x" * 1000, Tagging="kind=a")
    w.main.put_object(Bucket=b, Key="other", Body=b"x" * 10)
    w.main.get_object(Bucket=b, Key="logs/1")["Body"].read()
    refused("NoSuchKey", w.main.get_object, Bucket=b, Key="logs/2")
    w.main.head_object(Bucket=b, Key="logs/1")
    w.main.list_objects_v2(Bucket=b)
    w.main.delete_objects(Bucket=b, Delete={"Objects": [{"Key": "nothing"}]})
    w.main.delete_object(Bucket=b, Key="logs/1")
    watch = boto3.client("cloudwatch", endpoint_url=w.endpoint, region_name="us-east-1", aws_access_key_id=MAIN[1], aws_secret_access_key=MAIN[2])

    def total(metric, id, statistic="Sum"):
        now = time.time()
        found = watch.get_metric_statistics(Namespace="AWS/S3", MetricName=metric, StartTime=now - 600, EndTime=now + 60, Period=60, Statistics=[statistic],
                                            Dimensions=[{"Name": "BucketName", "Value": b}, {"Name": "FilterId", "Value": id}])
        return sum(point[statistic] for point in found["Datapoints"])

    deadline = time.time() + 30
    while total("DeleteRequests", "whole") < 2 and time.time() < deadline:
        time.sleep(0.2)
    names = ("PutRequests", "GetRequests", "HeadRequests", "ListRequests", "DeleteRequests", "PostRequests", "4xxErrors", "5xxErrors")
    # With the five configurations that were refused.
    assert [total(name, "whole") for name in names] == [2, 2, 1, 1, 2, 0, 6, 0], [total(name, "whole") for name in names]
    assert [total(name, "logs") for name in names] == [1, 2, 1, 0, 1, 0, 1, 0], [total(name, "logs") for name in names]
    # An object's tags are those that it has when the request comes.
    assert [total(name, "tagged") for name in names] == [0, 1, 1, 0, 1, 0, 0, 0], [total(name, "tagged") for name in names]
    found = [total("AllRequests", id) for id in ("logs", "tagged", "short")]
    # The deletion of the configuration was the last request of its own.
    assert found == [5, 3, 1], found
    found = total("BytesUploaded", "logs"), total("BytesDownloaded", "tagged")
    assert found == (1000, 1000), found
    assert total("FirstByteLatency", "whole", "SampleCount") == total("AllRequests", "whole")


@case
def selects(w):
    b = w.bucket()
    rows = "".join(f"n{i},{i},\"a, b\"\n" for i in range(60_000))
    w.main.put_object(Bucket=b, Key="rows.csv", Body="name,number,text\n" + rows)
    w.main.put_object(Bucket=b, Key="rows.json.gz", Body=gzip.compress(b'{"a": 1, "b": {"c": [1, "x"]}}\n{"a": 2}\n'))

    def select(sql, key="rows.csv", given=None, told=None, **more):
        answer = w.main.select_object_content(
            Bucket=b, Key=key, ExpressionType="SQL", Expression=sql, InputSerialization=given or {"CSV": {"FileHeaderInfo": "USE"}},
            OutputSerialization=told or {"CSV": {}}, **more)
        events = list(answer["Payload"])
        assert list(events[-1]) == ["End"] and list(events[-2]) == ["Stats"], events[-3:]
        return b"".join(event["Records"]["Payload"] for event in events if "Records" in event).decode(), events

    everything, events = select("SELECT * FROM S3Object")
    assert everything == rows
    details = events[-2]["Stats"]["Details"]
    size = w.main.head_object(Bucket=b, Key="rows.csv")["ContentLength"]
    assert details == {"BytesScanned": size, "BytesProcessed": size, "BytesReturned": len(rows)}, details
    found, _ = select("SELECT COUNT(*), SUM(CAST(number AS INT)) FROM S3Object s WHERE s.name LIKE 'n1%'")
    wanted = [i for i in range(60_000) if str(i).startswith("1")]
    assert found == f"{len(wanted)},{sum(wanted)}\n", found
    found, _ = select("SELECT s.number AS n FROM S3Object s WHERE s.number > 5 LIMIT 2", told={"JSON": {}})
    assert found == '{"n":"6"}\n{"n":"7"}\n', found
    _, events = select("SELECT COUNT(*) FROM S3Object", RequestProgress={"Enabled": True})
    assert any("Progress" in event for event in events)
    lines = {"JSON": {"Type": "LINES"}, "CompressionType": "GZIP"}
    assert select("SELECT s.b.c[1] AS c, s.a FROM S3Object s", "rows.json.gz", lines, {"JSON": {}})[0] == '{"c":"x","a":1}\n{"a":2}\n'
    for sql, code in (("SELEC", "ParseSelectFailure"), ("SELECT * FROM x", "InvalidDataSource"), ("SELECT FOO(1) FROM S3Object", "UnsupportedFunction")):
        refused((code, "InvalidDataSource"), select, sql)
    refused("NoSuchKey", select, "SELECT * FROM S3Object", "none")
    # Ranges that lie side by side have each record once.
    parts = [select("SELECT number FROM S3Object", ScanRange={"Start": start, "End": start + 99_999})[0] for start in range(0, size, 100_000)]
    assert len(parts) > 5 and "".join(parts) == "".join(f"{i}\n" for i in range(60_000))
    refused("UnsupportedScanRangeInput", select, "SELECT * FROM S3Object", "rows.json.gz", lines, ScanRange={"Start": 1, "End": 2})
    refused("InvalidScanRange", select, "SELECT * FROM S3Object", ScanRange={"Start": 2, "End": 1})
    refused("ParquetParsingError", select, "SELECT * FROM S3Object", given={"Parquet": {}})
    denied = w.alt.select_object_content
    refused("AccessDenied", denied, Bucket=b, Key="rows.csv", ExpressionType="SQL", Expression="SELECT * FROM S3Object", InputSerialization={"CSV": {}}, OutputSerialization={"CSV": {}})
    # What goes wrong on the way is told on the way.
    try:
        select("SELECT CAST(name AS INT) FROM S3Object")
        raise AssertionError("a name was cast")
    except EventStreamError as error:
        assert error.response["Error"]["Code"] == "CastFailed", error.response


def run(world, names):
    passed, failed = 0, 0
    for one in cases:
        if names and one.__name__ not in names:
            continue
        # These need the queue and other services.
        if world.data is None and one in (lifecycles, notifications):
            continue
        try:
            one(world)
            passed += 1
        except Exception:
            failed += 1
            print(f"FAIL {one.__name__}\n{traceback.format_exc(limit=-2)}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--lakerun", default=str(pathlib.Path(__file__).parents[2] / "target/debug/lakerun"))
    arguments.add_argument("--endpoint", help="a server of services/s3/tests/it/serve.rs that runs already: S3 alone")
    arguments.add_argument("names", nargs="*")
    arguments = arguments.parse_args()
    if arguments.endpoint:
        global MAIN, ALT
        MAIN, ALT = (MAIN[0], "root", "secret"), (ALT[0], "other", "secret")
        world = World(arguments.endpoint)
        world.data = None
        sys.exit(run(world, arguments.names))
    with tempfile.TemporaryDirectory() as folder:
        settings = pathlib.Path(folder, "lakerun.toml")
        settings.write_text(SETTINGS)
        server = Server(arguments.lakerun, data=os.path.join(folder, "data"), arguments=("--config", str(settings)))
        try:
            world = World(server.variables["AWS_ENDPOINT_URL"])
            world.data = pathlib.Path(server.data)
            failed = run(world, arguments.names)
        finally:
            server.stop()
        sys.exit(failed)


if __name__ == "__main__":
    main()
