"""CloudTrail: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_Operations.html"""
import gzip
import json

from harness import ACCOUNT, REGION, client, equal, holds, named, names, nobody, operations, refused, until

NO = "trail-not-here"


def trails():
    return client("cloudtrail")


def bucket():
    """A bucket that lets CloudTrail in, as its guide has it."""
    name = named("trail")
    client("s3").create_bucket(Bucket=name)
    statement = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}}
    policy = {"Version": "2012-10-17", "Statement": [
        {**statement, "Action": "s3:GetBucketAcl", "Resource": f"arn:aws:s3:::{name}"},
        {**statement, "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{name}/*",
         "Condition": {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}}]}
    client("s3").put_bucket_policy(Bucket=name, Policy=json.dumps(policy))
    return name


def made(**more):
    name, place = named("trail"), bucket()
    arn = trails().create_trail(Name=name, S3BucketName=place, **more)["TrailARN"]
    return name, place, arn


def records(place):
    """All that was brought to a bucket."""
    found = []
    for item in client("s3").list_objects_v2(Bucket=place).get("Contents", []):
        body = client("s3").get_object(Bucket=place, Key=item["Key"])["Body"].read()
        found += [(item["Key"], record) for record in json.loads(gzip.decompress(body))["Records"]]
    return found


@operations("cloudtrail", "CreateTrail", "DescribeTrails", "GetTrail", "ListTrails", "UpdateTrail", "DeleteTrail", "AddTags", "RemoveTags", "ListTags")
def lifecycle():
    name, place, arn = made(TagsList=[{"Key": "a", "Value": "1"}])
    equal(arn, f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/{name}")
    wanted = {"Name": name, "S3BucketName": place, "TrailARN": arn, "HomeRegion": REGION, "IncludeGlobalServiceEvents": True,
              "IsMultiRegionTrail": False, "LogFileValidationEnabled": False, "HasCustomEventSelectors": False, "IsOrganizationTrail": False}
    holds(trails().describe_trails(trailNameList=[name])["trailList"][0], **wanted)
    holds(trails().get_trail(Name=arn)["Trail"], **wanted)
    assert arn in names(trails().list_trails()["Trails"], "TrailARN")
    holds(trails().update_trail(Name=name, S3KeyPrefix="logs", IsMultiRegionTrail=True), S3KeyPrefix="logs", IsMultiRegionTrail=True)
    trails().add_tags(ResourceId=arn, TagsList=[{"Key": "b", "Value": "2"}])
    trails().remove_tags(ResourceId=arn, TagsList=[{"Key": "a"}])
    equal(trails().list_tags(ResourceIdList=[arn])["ResourceTagList"], [{"ResourceId": arn, "TagsList": [{"Key": "b", "Value": "2"}]}])
    refused("TrailAlreadyExistsException", name, trails().create_trail, Name=name, S3BucketName=place)
    refused("InvalidTrailNameException", "a..b", trails().create_trail, Name="a..b", S3BucketName=place)
    refused("S3BucketDoesNotExistException", "does not exist", trails().create_trail, Name=named("t"), S3BucketName=named("no-bucket"))
    closed = named("closed")
    client("s3").create_bucket(Bucket=closed)
    refused("InsufficientS3BucketPolicyException", closed, trails().create_trail, Name=named("t"), S3BucketName=closed)
    refused("InvalidParameterCombinationException", "global", trails().update_trail, Name=name, IncludeGlobalServiceEvents=False)
    equal(trails().describe_trails(trailNameList=[NO])["trailList"], [])
    for call, arguments in [(trails().get_trail, {"Name": NO}), (trails().update_trail, {"Name": NO}), (trails().delete_trail, {"Name": NO}),
                            (trails().list_tags, {"ResourceIdList": [arn + "x"]}), (trails().add_tags, {"ResourceId": arn + "x", "TagsList": [{"Key": "a"}]}),
                            (trails().remove_tags, {"ResourceId": arn + "x", "TagsList": [{"Key": "a"}]})]:
        refused("TrailNotFoundException", "Unknown trail", call, **arguments)
    refused("AccessDeniedException", "cloudtrail:ListTrails", nobody("cloudtrail").list_trails)
    refused("AccessDeniedException", "cloudtrail:DescribeTrails", nobody("cloudtrail").describe_trails)
    trails().delete_trail(Name=name)
    refused("TrailNotFoundException", name, trails().get_trail, Name=name)


@operations("cloudtrail", "StartLogging", "StopLogging", "GetTrailStatus", "LookupEvents", "PutEventSelectors", "GetEventSelectors")
def logging():
    name, place, arn = made()
    holds(trails().get_trail_status(Name=name), IsLogging=False)
    lake = named("lake")
    client("s3").create_bucket(Bucket=lake)
    selector = {"ReadWriteType": "All", "IncludeManagementEvents": True, "ExcludeManagementEventSources": [],
                "DataResources": [{"Type": "AWS::S3::Object", "Values": [f"arn:aws:s3:::{lake}/in/"]}]}
    trails().put_event_selectors(TrailName=name, EventSelectors=[selector])
    equal(trails().get_event_selectors(TrailName=name)["EventSelectors"], [selector])
    trails().start_logging(Name=name)
    queue = named("queue")
    client("sqs").create_queue(QueueName=queue)
    user = named("user")
    client("iam").create_user(UserName=user)
    client("iam").put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Sid": "Lists", "Effect": "Allow", "Action": "sqs:ListQueues", "Resource": "*"}]}))
    key = client("iam").create_access_key(UserName=user)["AccessKey"]
    theirs = client("sqs", key["AccessKeyId"], key["SecretAccessKey"])
    theirs.list_queues()
    refused("AccessDeniedException", "sqs:CreateQueue", theirs.create_queue, QueueName=named("queue"))
    secret = named("secret")
    client("secretsmanager").create_secret(Name=secret, SecretString="do not tell")
    client("s3").put_object(Bucket=lake, Key="in/1", Body=b"x")
    client("s3").put_object(Bucket=lake, Key="out/1", Body=b"x")
    refused("NoSuchKey", "", client("s3").get_object, Bucket=lake, Key="in/none")
    client("s3").put_bucket_tagging(Bucket=lake, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    trails().stop_logging(Name=name)
    client("sqs").delete_queue(QueueUrl=client("sqs").get_queue_url(QueueName=queue)["QueueUrl"])
    found = until(lambda: records(place), lambda all: len(all) >= 10)
    day = found[0][1]["eventTime"][:10].replace("-", "/")
    for path, record in found:
        region = record["awsRegion"]
        assert path.startswith(f"AWSLogs/{ACCOUNT}/CloudTrail/{region}/{day}/{ACCOUNT}_CloudTrail_{region}_"), path
        assert path.endswith(".json.gz"), path
        holds(record, eventVersion="1.11", eventType="AwsApiCall", recipientAccountId=ACCOUNT)
    events = [record for _, record in found]

    def one(event, of=lambda record: True):
        all_of_it = [record for record in events if record["eventName"] == event and of(record)]
        equal(len(all_of_it), 1)
        return all_of_it[0]

    made_queue = one("CreateQueue", lambda record: "errorCode" not in record)
    holds(made_queue, eventSource="sqs.amazonaws.com", readOnly=False, managementEvent=True, eventCategory="Management")
    equal((made_queue["userIdentity"]["type"], made_queue["requestParameters"]["queueName"]), ("Root", queue))
    equal(made_queue["additionalEventData"]["decision"], "Allowed")
    assert made_queue["sourceIPAddress"].startswith("127."), made_queue
    assert "Boto3" in made_queue["userAgent"], made_queue
    denied = one("CreateQueue", lambda record: "errorCode" in record)
    equal((denied["userIdentity"]["type"], denied["userIdentity"]["userName"], denied["additionalEventData"]["decision"]), ("IAMUser", user, "Denied"))
    assert "sqs:CreateQueue" in denied["errorMessage"], denied
    listed = one("ListQueues")
    equal((listed["readOnly"], listed["additionalEventData"]["statements"]), (True, [{"sid": "Lists", "effect": "Allow"}]))
    equal(one("CreateSecret")["requestParameters"]["secretString"], "HIDDEN_DUE_TO_SECURITY_REASONS")
    assert "do not tell" not in json.dumps(events)
    put = one("PutObject")
    holds(put, eventCategory="Data", managementEvent=False, readOnly=False, requestParameters={"bucket": lake, "key": "in/1"})
    equal(put["resources"][0]["ARN"], f"arn:aws:s3:::{lake}/in/1")
    equal(one("GetObject")["errorCode"], "NoSuchKey")
    equal(one("PutBucketTagging")["eventCategory"], "Management")
    equal(one("CreateUser")["awsRegion"], "us-east-1")
    equal(len([record for record in events if record["eventName"] == "DeleteQueue"]), 0)
    status = until(lambda: trails().get_trail_status(Name=arn), lambda status: "LatestDeliveryTime" in status)
    holds(status, IsLogging=False)
    assert "LatestDeliveryError" not in status, status
    looked = trails().lookup_events(LookupAttributes=[{"AttributeKey": "Username", "AttributeValue": user}])["Events"]
    equal([event["EventName"] for event in looked], ["CreateQueue", "ListQueues"])
    equal(json.loads(looked[1]["CloudTrailEvent"])["eventID"], looked[1]["EventId"])
    first = trails().lookup_events(MaxResults=1)
    assert first["NextToken"] and len(first["Events"]) == 1, first
    second = trails().lookup_events(MaxResults=1, NextToken=first["NextToken"])["Events"]
    assert second[0]["EventId"] != first["Events"][0]["EventId"], second
    advanced = [{"Name": "all", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Data"]}, {"Field": "resources.type", "Equals": ["AWS::SQS::Queue"]}]}]
    equal(trails().put_event_selectors(TrailName=name, AdvancedEventSelectors=advanced)["AdvancedEventSelectors"], advanced)
    refused("InvalidEventSelectorsException", "AWS::X::Y", trails().put_event_selectors, TrailName=name,
            EventSelectors=[{"DataResources": [{"Type": "AWS::X::Y", "Values": ["a"]}]}])
    refused("InvalidLookupAttributesException", "one", trails().lookup_events,
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "a"}, {"AttributeKey": "EventId", "AttributeValue": "b"}])
    for call in (trails().start_logging, trails().stop_logging, trails().get_trail_status):
        refused("TrailNotFoundException", "Unknown trail", call, Name=NO)
    refused("TrailNotFoundException", "Unknown trail", trails().get_event_selectors, TrailName=NO)
    trails().delete_trail(Name=name)
