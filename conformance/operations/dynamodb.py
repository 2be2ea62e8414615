"""DynamoDB's operations that conformance/dynamodb does not ask: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/"""
import base64
import gzip
import hashlib
import json
import time

from harness import ACCOUNT, REGION, client, denied, equal, named, names, operations, refused


def ddb():
    return client("dynamodb")


def table():
    name = named("table")
    ddb().create_table(TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
                       AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}])
    ddb().get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 600})
    return name, f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"


@operations("dynamodb", "PutResourcePolicy", "GetResourcePolicy", "DeleteResourcePolicy")
def resource_policies():
    _, arn = table()
    policy = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "dynamodb:GetItem", "Resource": arn}]})
    refused("PolicyNotFoundException", "", ddb().get_resource_policy, ResourceArn=arn)
    revision = ddb().put_resource_policy(ResourceArn=arn, Policy=policy)["RevisionId"]
    found = ddb().get_resource_policy(ResourceArn=arn)
    equal((json.loads(found["Policy"]), found["RevisionId"]), (json.loads(policy), revision))
    refused("PolicyNotFoundException", "", ddb().delete_resource_policy, ResourceArn=arn, ExpectedRevisionId="1")
    equal(ddb().delete_resource_policy(ResourceArn=arn, ExpectedRevisionId=revision)["RevisionId"], revision)
    refused("PolicyNotFoundException", "", ddb().get_resource_policy, ResourceArn=arn)
    refused("ValidationException", "", ddb().put_resource_policy, ResourceArn=arn, Policy="not json")
    for call, given in ((ddb().put_resource_policy, {"Policy": policy}), (ddb().get_resource_policy, {}), (ddb().delete_resource_policy, {})):
        refused("ResourceNotFoundException", "", call, ResourceArn=arn + "x", **given)


def ended(describe, field, status, **which):
    """The description of a transfer that has come to its end."""
    for _ in range(6000):
        found = describe(**which)[field]
        if found[status] != "IN_PROGRESS":
            return found
        time.sleep(0.1)
    raise AssertionError(f"still under way: {found}")


def bucket():
    name = named("bucket").lower()
    client("s3").create_bucket(Bucket=name)
    return name


@operations("dynamodb", "ExportTableToPointInTime", "DescribeExport", "ListExports")
def exports():
    name, arn = table()
    place, s3 = bucket(), client("s3")
    refused("PointInTimeRecoveryUnavailableException", name, ddb().export_table_to_point_in_time, TableArn=arn, S3Bucket=place)
    ddb().update_continuous_backups(TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    items = [{"k": {"S": f"k{n}"}, "v": {"M": {"n": {"N": str(n)}, "b": {"B": b"\x00"}, "s": {"SS": ["a"]}, "z": {"NULL": True}}}} for n in range(1200)]
    for at in range(0, len(items), 25):
        ddb().batch_write_item(RequestItems={name: [{"PutRequest": {"Item": item}} for item in items[at:at + 25]]})
    asked = ddb().export_table_to_point_in_time(TableArn=arn, S3Bucket=place, S3Prefix="a/b", ClientToken="one")["ExportDescription"]
    equal((asked["ExportStatus"], asked["ExportFormat"], asked["ExportType"]), ("IN_PROGRESS", "DYNAMODB_JSON", "FULL_EXPORT"))
    # What is written after the moment is not in it.
    ddb().put_item(TableName=name, Item={"k": {"S": "k0"}, "v": {"S": "later"}})
    ddb().put_item(TableName=name, Item={"k": {"S": "later"}})
    again = ddb().export_table_to_point_in_time(TableArn=arn, S3Bucket=place, S3Prefix="a/b", ClientToken="one")["ExportDescription"]
    equal(again["ExportArn"], asked["ExportArn"])
    refused("ExportConflictException", "", ddb().export_table_to_point_in_time, TableArn=arn, S3Bucket=place, ClientToken="one")
    found = ended(ddb().describe_export, "ExportDescription", "ExportStatus", ExportArn=asked["ExportArn"])
    equal((found["ExportStatus"], found["ItemCount"]), ("COMPLETED", 1200))
    folder = f"a/b/AWSDynamoDB/{asked['ExportArn'].rsplit('/', 1)[1]}/"
    equal(found["ExportManifest"], folder + "manifest-summary.json")
    read = lambda key: s3.get_object(Bucket=place, Key=key)["Body"].read()
    equal(read(folder + "_started"), b"")
    summary = json.loads(read(found["ExportManifest"]))
    equal((summary["itemCount"], summary["tableArn"], summary["outputFormat"], summary["s3Prefix"]), (1200, arn, "DYNAMODB_JSON", "a/b"))
    listed = read(summary["manifestFilesS3Key"])
    equal(read(folder + "manifest-files.checksum"), base64.b64encode(hashlib.md5(listed).digest()))
    files = [json.loads(line) for line in listed.splitlines()]
    lines, kept = [], {item["k"]["S"]: item for item in items}
    for file in files:
        packed = read(file["dataFileS3Key"])
        equal((file["md5Checksum"], file["etag"]), (base64.b64encode(hashlib.md5(packed).digest()).decode(), hashlib.md5(packed).hexdigest()))
        lines += gzip.decompress(packed).splitlines()
    found = {item["k"]["S"]: item for item in (json.loads(line)["Item"] for line in lines)}
    kept = {key: item | {"v": {"M": item["v"]["M"] | {"b": {"B": "AA=="}}}} for key, item in kept.items()}
    equal((len(lines), found), (1200, kept))
    equal([one["ExportArn"] for one in ddb().list_exports(TableArn=arn)["ExportSummaries"]], [asked["ExportArn"]])
    refused("ValidationException", "ExportType", ddb().export_table_to_point_in_time, TableArn=arn, S3Bucket=place, ExportType="INCREMENTAL_EXPORT")
    now = time.time()
    window = lambda since, until: {"ExportFromTime": now - since, "ExportToTime": now - until, "ExportViewType": "NEW_AND_OLD_IMAGES"}
    for code, text, kind, own in [
        ("ValidationException", "15 minutes", "INCREMENTAL_EXPORT", window(600, 0)),
        ("ValidationException", "24 hours", "INCREMENTAL_EXPORT", window(90000, 0)),
        ("ValidationException", "ExportFromTime", "INCREMENTAL_EXPORT", {}),
        ("ValidationException", "IncrementalExportSpecification", "FULL_EXPORT", window(3600, 0)),
        ("InvalidExportTimeException", "recovery window", "INCREMENTAL_EXPORT", window(7200, 3600)),
    ]:
        refused(code, text, ddb().export_table_to_point_in_time, TableArn=arn, S3Bucket=place, ExportType=kind, IncrementalExportSpecification=own)
    refused("InvalidExportTimeException", "", ddb().export_table_to_point_in_time, TableArn=arn, S3Bucket=place, ExportTime=time.time() - 86400)
    refused("TableNotFoundException", "", ddb().export_table_to_point_in_time, TableArn=arn + "x", S3Bucket=place)
    refused("ExportNotFoundException", "", ddb().describe_export, ExportArn=asked["ExportArn"] + "x")
    nowhere = ddb().export_table_to_point_in_time(TableArn=arn, S3Bucket="none-" + place)["ExportDescription"]["ExportArn"]
    found = ended(ddb().describe_export, "ExportDescription", "ExportStatus", ExportArn=nowhere)
    equal((found["ExportStatus"], found["FailureCode"]), ("FAILED", "S3NoSuchBucket"))
    page = ddb().list_exports(MaxResults=1)
    assert page["NextToken"] and len(page["ExportSummaries"]) == 1, page
    refused("ValidationException", "NextToken", ddb().list_exports, NextToken="none")


@operations("dynamodb", "ImportTable", "DescribeImport", "ListImports")
def imports():
    place, s3 = bucket(), client("s3")
    lines = [json.dumps({"Item": {"k": {"S": f"k{n}"}, "n": {"N": str(n)}, "l": {"L": [{"BOOL": True}]}}}) for n in range(1500)]
    s3.put_object(Bucket=place, Key="json/a.json.gz", Body=gzip.compress("\n".join(lines[:1000]).encode()))
    s3.put_object(Bucket=place, Key="json/b.json.gz", Body=gzip.compress("\n".join(lines[1000:] + ['{"Item": {"k": {"N": "1"}}}', "{"]).encode()))

    def parameters(**more):
        return {"TableName": named("table"), "BillingMode": "PAY_PER_REQUEST", "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}]} | more

    given = parameters()
    request = {"S3BucketSource": {"S3Bucket": place, "S3KeyPrefix": "json/"}, "InputFormat": "DYNAMODB_JSON", "InputCompressionType": "GZIP",
               "TableCreationParameters": given, "ClientToken": named("token")}
    asked = ddb().import_table(**request)["ImportTableDescription"]
    equal((asked["ImportStatus"], asked["TableCreationParameters"]), ("IN_PROGRESS", given))
    equal(ddb().import_table(**request)["ImportTableDescription"]["ImportArn"], asked["ImportArn"])
    refused("ImportConflictException", "", ddb().import_table, **request | {"TableCreationParameters": parameters()})
    found = ended(ddb().describe_import, "ImportTableDescription", "ImportStatus", ImportArn=asked["ImportArn"])
    equal((found["ImportedItemCount"], found["ProcessedItemCount"], found["ErrorCount"]), (1500, 1502, 2))
    equal((found["ImportStatus"], found["FailureCode"]), ("FAILED", "ItemValidationError"))
    equal(ddb().describe_table(TableName=given["TableName"])["Table"]["TableStatus"], "ACTIVE")
    equal(ddb().scan(TableName=given["TableName"], Select="COUNT")["Count"], 1500)
    equal(ddb().get_item(TableName=given["TableName"], Key={"k": {"S": "k1499"}})["Item"]["n"], {"N": "1499"})
    refused("ResourceInUseException", "", ddb().import_table, **request | {"ClientToken": named("token")})

    s3.put_object(Bucket=place, Key="csv/one.csv", Body=b"a|1|x\nb|2|\"y|z\"\n")
    given = parameters(KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
                       AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}, {"AttributeName": "n", "AttributeType": "N"}])
    options = {"Csv": {"Delimiter": "|", "HeaderList": ["k", "n", "text"]}}
    arn = ddb().import_table(S3BucketSource={"S3Bucket": place, "S3KeyPrefix": "csv/"}, InputFormat="CSV", InputFormatOptions=options,
                             TableCreationParameters=given)["ImportTableDescription"]["ImportArn"]
    found = ended(ddb().describe_import, "ImportTableDescription", "ImportStatus", ImportArn=arn)
    equal((found["ImportStatus"], found["ImportedItemCount"], found["ErrorCount"], found["InputFormatOptions"]), ("COMPLETED", 2, 0, options))
    items = ddb().scan(TableName=given["TableName"])["Items"]
    equal(sorted(items, key=lambda item: item["k"]["S"])[1], {"k": {"S": "b"}, "n": {"N": "2"}, "text": {"S": "y|z"}})

    refused("ValidationException", "ION", ddb().import_table, S3BucketSource={"S3Bucket": place}, InputFormat="ION", TableCreationParameters=parameters())
    refused("ImportNotFoundException", "", ddb().describe_import, ImportArn=arn + "x")
    nothing = ddb().import_table(S3BucketSource={"S3Bucket": place, "S3KeyPrefix": "none/"}, InputFormat="CSV", TableCreationParameters=parameters())
    found = ended(ddb().describe_import, "ImportTableDescription", "ImportStatus", ImportArn=nothing["ImportTableDescription"]["ImportArn"])
    equal((found["ImportStatus"], found["FailureCode"]), ("FAILED", "S3NoSuchKey"))
    page = ddb().list_imports(PageSize=1)
    rest = ddb().list_imports(NextToken=page["NextToken"])["ImportSummaryList"]
    assert page["ImportSummaryList"][0]["ImportArn"] not in [one["ImportArn"] for one in rest] and len(rest) >= 2, (page, rest)
    refused("ValidationException", "NextToken", ddb().list_imports, NextToken="0" * 112)


@operations("dynamodb", "DescribeEndpoints", "DescribeLimits", "ListContributorInsights")
def account():
    endpoint = ddb().describe_endpoints()["Endpoints"][0]
    equal(endpoint["CachePeriodInMinutes"], 1440)
    assert endpoint["Address"], endpoint
    limits = ddb().describe_limits()
    assert 0 < limits["TableMaxReadCapacityUnits"] <= limits["AccountMaxReadCapacityUnits"], limits
    assert 0 < limits["TableMaxWriteCapacityUnits"] <= limits["AccountMaxWriteCapacityUnits"], limits
    name, _ = table()
    ddb().update_contributor_insights(TableName=name, ContributorInsightsAction="ENABLE")
    status = ddb().describe_contributor_insights(TableName=name)["ContributorInsightsStatus"]
    listed = {s["TableName"].rpartition("/")[2]: s["ContributorInsightsStatus"] for s in ddb().list_contributor_insights(TableName=name)["ContributorInsightsSummaries"]}
    equal(listed.get(name), status)
    refused("ResourceNotFoundException", "", ddb().list_contributor_insights, TableName="nothing-here")
    denied("AccessDeniedException", "dynamodb:DescribeLimits", "describe_limits")
    denied("AccessDeniedException", "dynamodb:DescribeEndpoints", "describe_endpoints")


@operations("dynamodb", "DescribeKinesisStreamingDestination")
def kinesis():
    equal(ddb().describe_kinesis_streaming_destination(TableName=table()[0])["KinesisDataStreamDestinations"], [])
    refused("ResourceNotFoundException", "", ddb().describe_kinesis_streaming_destination, TableName="nothing-here")


@operations("dynamodb", "EnableKinesisStreamingDestination", "DisableKinesisStreamingDestination", only_refused="there is no Kinesis here")
def no_kinesis():
    name, stream = table()[0], f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/s"
    refused("NotImplemented", "Kinesis data streams", ddb().enable_kinesis_streaming_destination, TableName=name, StreamArn=stream)
    text = f"Table {name} does not have an active Kinesis streaming destination {stream}"
    refused("ValidationException", text, ddb().disable_kinesis_streaming_destination, TableName=name, StreamArn=stream)
    for call in (ddb().enable_kinesis_streaming_destination, ddb().disable_kinesis_streaming_destination):
        refused("ResourceNotFoundException", "", call, TableName="nothing-here", StreamArn=stream)
