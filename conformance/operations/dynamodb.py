"""DynamoDB's operations that conformance/dynamodb does not ask: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/"""
import json

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
