"""S3's operations that conformance/s3 does not ask: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html"""
from botocore.exceptions import ClientError

from harness import ACCOUNT, REGION, bucket, client, denied, equal, holds, named, operations, refused


def s3():
    return client("s3")


@operations("s3", "PutBucketTagging", "GetBucketTagging", "DeleteBucketTagging", "PutObjectTagging", "GetObjectTagging", "DeleteObjectTagging")
def tags():
    name, one = bucket(), {"TagSet": [{"Key": "a", "Value": "1"}]}
    refused("NoSuchTagSet", "The TagSet does not exist", s3().get_bucket_tagging, Bucket=name)
    s3().put_bucket_tagging(Bucket=name, Tagging=one)
    equal(s3().get_bucket_tagging(Bucket=name)["TagSet"], one["TagSet"])
    s3().delete_bucket_tagging(Bucket=name)
    refused("NoSuchTagSet", "The TagSet does not exist", s3().get_bucket_tagging, Bucket=name)
    s3().put_object(Bucket=name, Key="k", Body=b"x", Tagging="a=1&b=")
    equal(s3().get_object_tagging(Bucket=name, Key="k")["TagSet"], [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
    equal(s3().get_object(Bucket=name, Key="k")["TagCount"], 2)
    s3().put_object_tagging(Bucket=name, Key="k", Tagging=one)
    equal(s3().get_object_tagging(Bucket=name, Key="k")["TagSet"], one["TagSet"])
    s3().delete_object_tagging(Bucket=name, Key="k")
    equal(s3().get_object_tagging(Bucket=name, Key="k")["TagSet"], [])
    refused("NoSuchKey", "The specified key does not exist", s3().get_object_tagging, Bucket=name, Key="none")
    refused("NoSuchKey", "The specified key does not exist", s3().put_object_tagging, Bucket=name, Key="none", Tagging=one)
    twice = {"TagSet": one["TagSet"] * 2}
    refused("InvalidTag", "", s3().put_bucket_tagging, Bucket=name, Tagging=twice)
    refused("InvalidTag", "", s3().put_object_tagging, Bucket=name, Key="k", Tagging=twice)
    for call, given in ((s3().delete_bucket_tagging, {}), (s3().delete_object_tagging, {"Key": "k"})):
        refused("NoSuchBucket", "The specified bucket does not exist", call, Bucket=name + "x", **given)


@operations("s3", "HeadBucket", "GetBucketLocation", "PutBucketNotificationConfiguration", "GetBucketNotificationConfiguration")
def buckets():
    name, queue = bucket(), named("queue")
    equal(s3().head_bucket(Bucket=name)["BucketRegion"], REGION)
    # The first region has no name of its own there.
    equal(s3().get_bucket_location(Bucket=name)["LocationConstraint"], None)
    client("sqs").create_queue(QueueName=queue)
    to = {"Id": "n", "QueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}", "Events": ["s3:ObjectCreated:*"]}
    s3().put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={"QueueConfigurations": [to]}, SkipDestinationValidation=True)
    equal(s3().get_bucket_notification_configuration(Bucket=name)["QueueConfigurations"], [to])
    s3().put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={})
    assert "QueueConfigurations" not in s3().get_bucket_notification_configuration(Bucket=name)
    refused("InvalidArgument", "", s3().put_bucket_notification_configuration, Bucket=name,
            NotificationConfiguration={"QueueConfigurations": [{**to, "Events": ["s3:Thought"]}]})
    refused("404", "Not Found", s3().head_bucket, Bucket=name + "x")
    for call in (s3().get_bucket_location, s3().get_bucket_notification_configuration):
        refused("NoSuchBucket", "The specified bucket does not exist", call, Bucket=name + "x")


@operations("s3", "DeleteBucketCors", "DeleteBucketEncryption", "DeleteBucketLifecycle", "DeleteBucketOwnershipControls", "GetBucketCors",
            "GetBucketEncryption", "GetBucketOwnershipControls")
def unset():
    def encrypted(name):
        """How the bucket encrypts by default: a new one not at all, or as a setting of the server says, which is `AES256` on AWS."""
        try:
            rules = s3().get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
        except ClientError as error:
            equal(error.response["Error"]["Code"], "ServerSideEncryptionConfigurationNotFoundError")
            return []
        return [rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] for rule in rules]

    name = bucket()
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["https://example.com"]}
    s3().put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [rule]})
    equal(s3().get_bucket_cors(Bucket=name)["CORSRules"], [rule])
    equal(s3().delete_bucket_cors(Bucket=name)["ResponseMetadata"]["HTTPStatusCode"], 204)
    refused("NoSuchCORSConfiguration", "The CORS configuration does not exist", s3().get_bucket_cors, Bucket=name)
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 3}}
    s3().put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [rule]})
    equal(s3().get_bucket_lifecycle_configuration(Bucket=name)["Rules"], [rule])
    equal(s3().delete_bucket_lifecycle(Bucket=name)["ResponseMetadata"]["HTTPStatusCode"], 204)
    refused("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist", s3().get_bucket_lifecycle_configuration, Bucket=name)
    s3().put_bucket_ownership_controls(Bucket=name, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    equal(s3().get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"], [{"ObjectOwnership": "ObjectWriter"}])
    equal(s3().delete_bucket_ownership_controls(Bucket=name)["ResponseMetadata"]["HTTPStatusCode"], 204)
    refused("OwnershipControlsNotFoundError", "The bucket ownership controls were not found", s3().get_bucket_ownership_controls, Bucket=name)
    # Without a setting of its own a bucket encrypts as one that is new.
    usual, key = encrypted(name), client("kms").create_key()["KeyMetadata"]["Arn"]
    ours = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}, "BucketKeyEnabled": True}
    s3().put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [ours]})
    equal(encrypted(name), ["aws:kms"])
    holds(s3().put_object(Bucket=name, Key="k", Body=b"x"), ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    equal(s3().delete_bucket_encryption(Bucket=name)["ResponseMetadata"]["HTTPStatusCode"], 204)
    equal(encrypted(name), usual)
    holds(s3().put_object(Bucket=name, Key="k", Body=b"x"), ServerSideEncryption=usual[0] if usual else None, SSEKMSKeyId=None)
    for call, action in ((s3().delete_bucket_cors, "s3:PutBucketCORS"), (s3().delete_bucket_encryption, "s3:PutEncryptionConfiguration"),
                         (s3().delete_bucket_lifecycle, "s3:PutLifecycleConfiguration"),
                         (s3().delete_bucket_ownership_controls, "s3:PutBucketOwnershipControls")):
        # Deleting what is not set is right, too.
        equal(call(Bucket=name)["ResponseMetadata"]["HTTPStatusCode"], 204)
        refused("NoSuchBucket", "The specified bucket does not exist", call, Bucket=name + "x")
        denied("AccessDenied", action, call.__name__, Bucket=name)
    for call in (s3().get_bucket_cors, s3().get_bucket_encryption, s3().get_bucket_ownership_controls):
        refused("NoSuchBucket", "The specified bucket does not exist", call, Bucket=name + "x")
