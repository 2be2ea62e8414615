#!/usr/bin/env python3
"""DynamoDB by boto3: what AWS's API reference and developer guide say of tables, items, expressions, legacy parameters, indexes,
transactions, streams, PartiQL and the protocol, asked of a running server.

    eval "$(lakerun env)" && python3 conformance/dynamodb/run.py            # a running server; needs boto3
    python3 conformance/dynamodb/run.py --lakerun target/debug/lakerun      # its own server on fresh data
    ... run.py streams partiql                                               # only the cases whose names contain one of the words

Closes with 'N passed, N failed'.
"""
import gzip
import http.client
import json
import os
import pathlib
import sys
import time
import traceback
import urllib.parse
import uuid
import zlib
from decimal import Decimal


sys.path.insert(1, str(pathlib.Path(__file__).resolve().parent.parent))

from server import Server, need_boto3  # noqa: E402

need_boto3(__file__)

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.exceptions

SERVER = Server(sys.argv[2]) if sys.argv[1:2] == ["--lakerun"] else None
REGION = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
CONFIG = botocore.config.Config(retries={"max_attempts": 1}, parameter_validation=False)
client = boto3.client("dynamodb", region_name=REGION, config=CONFIG)
streams = boto3.client("dynamodbstreams", region_name=REGION, config=CONFIG, endpoint_url=client.meta.endpoint_url)
CASES = []


def case(function):
    CASES.append(function)
    return function


def expect(found, wanted):
    assert found == wanted, f"found {found!r}, wanted {wanted!r}"


def fails(code, text, call, **named):
    """The call fails with this code and a message that has this text."""
    try:
        answer = call(**named)
    except botocore.exceptions.ClientError as error:
        found = error.response["Error"]
        assert found["Code"] == code and text in found.get("Message", ""), f"found {found}, wanted {code}: …{text}…"
        return error.response
    raise AssertionError(f"succeeded with {answer}, wanted {code}: …{text}…")


def invalid(text, call, **named):
    return fails("ValidationException", text, call, **named)


def keys(*names):
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"))]


def types(**kinds):
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in kinds.items()]


class Table:
    """A table for a case, deleted at its end."""

    def __init__(self, schema=keys("p", "c"), definitions=types(p="S", c="S"), **more):
        self.name = f"t-{uuid.uuid4().hex[:12]}"
        more.setdefault("BillingMode", "PAY_PER_REQUEST")
        made = client.create_table(TableName=self.name, KeySchema=schema, AttributeDefinitions=definitions, **more)
        self.description = made["TableDescription"]
        client.get_waiter("table_exists").wait(TableName=self.name, WaiterConfig={"Delay": 1})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        client.delete_table(TableName=self.name)

    def call(self, operation, **named):
        return getattr(client, operation)(TableName=self.name, **named)

    def put(self, **item):
        return self.call("put_item", Item=wire(item))

    def get(self, **key):
        item = self.call("get_item", Key=wire(key), ConsistentRead=True).get("Item")
        return item

    def invalid(self, text, operation, **named):
        return invalid(text, getattr(client, operation), TableName=self.name, **named)


def wire(item):
    return {name: one(value) for name, value in item.items()}


def one(value):
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, (int, Decimal)):
        return {"N": str(value)}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bytes):
        return {"B": value}
    if value is None:
        return {"NULL": True}
    if isinstance(value, list):
        return {"L": [one(entry) for entry in value]}
    if isinstance(value, set):
        first = next(iter(value))
        if isinstance(first, str):
            return {"SS": sorted(value)}
        return {"BS": sorted(value)} if isinstance(first, bytes) else {"NS": sorted(str(entry) for entry in value)}
    return {"M": wire(value)}


def until(ready, seconds=600):
    end = time.time() + seconds
    while True:
        found = ready()
        if found or time.time() > end:
            assert found, "it did not come about"
            return found
        time.sleep(0.1)


# Tables


@case
def tables_are_described():
    with Table(StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}, Tags=[{"Key": "a", "Value": "b"}]) as table:
        found = table.call("describe_table")["Table"]
        expect(found["TableStatus"], "ACTIVE")
        expect(found["KeySchema"], keys("p", "c"))
        expect(found["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST")
        expect((found["ItemCount"], found["TableSizeBytes"]), (0, 0))
        expect(found["StreamSpecification"], {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
        assert found["LatestStreamArn"].startswith(found["TableArn"] + "/stream/")
        expect(client.list_tags_of_resource(ResourceArn=found["TableArn"])["Tags"], [{"Key": "a", "Value": "b"}])
        fails("ResourceInUseException", "Table already exists", client.create_table, TableName=table.name, KeySchema=keys("p"), AttributeDefinitions=types(p="S"), BillingMode="PAY_PER_REQUEST")
        expect(table.call("get_item", Key=wire({"p": "x", "c": "y"})).get("Item"), None)
        named = found["TableArn"]
        client.put_item(TableName=named, Item=wire({"p": "x", "c": "y"}))
        assert client.get_item(TableName=named, Key=wire({"p": "x", "c": "y"}))["Item"]
    fails("ResourceNotFoundException", "not found", client.describe_table, TableName=table.name)


@case
def tables_that_cannot_be_made():
    def create(text, schema=keys("p"), definitions=types(p="S"), name="good-name", **more):
        more.setdefault("BillingMode", "PAY_PER_REQUEST")
        invalid(text, client.create_table, TableName=name, KeySchema=schema, AttributeDefinitions=definitions, **more)

    create("at least 3 characters", name="ab")
    create("at most 255 characters", name="a" * 256)
    create("regular expression", name="bad/name")
    create("not a HASH key type", schema=[{"AttributeName": "p", "KeyType": "RANGE"}])
    create("same name", schema=keys("p", "p"))
    create("not defined in AttributeDefinitions", definitions=types(x="S"))
    create("exactly match number of attributes", definitions=types(p="S", x="S"))
    create("enum value set", definitions=types(p="M"))
    create("ReadCapacityUnits and WriteCapacityUnits must both be specified", BillingMode="PROVISIONED")
    create("Neither ReadCapacityUnits nor WriteCapacityUnits", ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1})
    create("enum value set", BillingMode="FREE")
    create("length less than or equal to 2", schema=keys("p", "c") + keys("x"), definitions=types(p="S", c="S", x="S"))
    create("StreamViewType", StreamSpecification={"StreamEnabled": True})
    index = {"IndexName": "by-x", "KeySchema": keys("x"), "Projection": {"ProjectionType": "ALL"}}
    create("not defined in AttributeDefinitions", GlobalSecondaryIndexes=[index])
    create("is empty", GlobalSecondaryIndexes=[])
    create("Duplicate index name", definitions=types(p="S", x="S"), GlobalSecondaryIndexes=[index, index])
    create("does not have a range key", definitions=types(p="S", x="S"), LocalSecondaryIndexes=[{**index, "KeySchema": keys("p", "x")}])
    create("range key for index", schema=keys("p", "c"), definitions=types(p="S", c="S"), LocalSecondaryIndexes=[{**index, "KeySchema": keys("p")}])
    create("same leading hash key", schema=keys("p", "c"), definitions=types(p="S", c="S", x="S"), LocalSecondaryIndexes=[{**index, "KeySchema": keys("x", "c")}])
    create("Unknown ProjectionType", definitions=types(p="S", x="S"), GlobalSecondaryIndexes=[{**index, "Projection": {}}])
    create("NonKeyAttributes is specified", definitions=types(p="S", x="S"), GlobalSecondaryIndexes=[{**index, "Projection": {"ProjectionType": "ALL", "NonKeyAttributes": ["q"]}}])
    create("per-table limit of 20", definitions=types(p="S", x="S"), GlobalSecondaryIndexes=[{**index, "IndexName": f"by-{at}"} for at in range(21)])
    fails("ValidationException", "Member must not be null", client.create_table, KeySchema=keys("p"))


@case
def tables_are_updated():
    with Table(schema=keys("p"), definitions=types(p="S"), BillingMode="PROVISIONED", ProvisionedThroughput={"ReadCapacityUnits": 2, "WriteCapacityUnits": 3}) as table:
        table.invalid("At least one of", "update_table")
        table.invalid("will not change", "update_table", ProvisionedThroughput={"ReadCapacityUnits": 2, "WriteCapacityUnits": 3})
        table.call("update_table", ProvisionedThroughput={"ReadCapacityUnits": 4, "WriteCapacityUnits": 3})
        expect(table.call("describe_table")["Table"]["ProvisionedThroughput"]["ReadCapacityUnits"], 4)
        table.call("update_table", BillingMode="PAY_PER_REQUEST")
        expect(table.call("describe_table")["Table"]["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST")
        table.call("update_table", DeletionProtectionEnabled=True)
        table.invalid("protected against deletion", "delete_table")
        table.call("update_table", DeletionProtectionEnabled=False)
        table.invalid("SSEType", "update_table", SSESpecification={"Enabled": True, "SSEType": "AES256"})
        fails("NotFoundException", "", table.call, operation="update_table", SSESpecification={"Enabled": True, "KMSMasterKeyId": "alias/none"})
        table.call("update_table", SSESpecification={"Enabled": True})
        told = table.call("describe_table")["Table"]["SSEDescription"]
        expect((told["Status"], told["SSEType"], ":key/" in told["KMSMasterKeyArn"]), ("ENABLED", "KMS", True))
        table.call("update_table", SSESpecification={"Enabled": False})
        expect(table.call("describe_table")["Table"].get("SSEDescription"), None)
        for at in range(30):
            table.put(p=str(at), **({"x": at} if at % 2 else {"x": "text"}))
        create = {"IndexName": "by-x", "KeySchema": keys("x"), "Projection": {"ProjectionType": "ALL"}}
        table.invalid("not defined in AttributeDefinitions", "update_table", GlobalSecondaryIndexUpdates=[{"Create": create}])
        table.invalid("Attributes cannot be redefined", "update_table", AttributeDefinitions=types(p="N", x="N"), GlobalSecondaryIndexUpdates=[{"Create": create}])
        table.call("update_table", AttributeDefinitions=types(x="N"), GlobalSecondaryIndexUpdates=[{"Create": create}])
        until(lambda: table.call("describe_table")["Table"]["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE")
        # What no key of the index can be is not in it.
        expect(table.call("scan", IndexName="by-x", Select="COUNT")["Count"], 15)
        table.put(p="0", x=7)
        expect(table.call("scan", IndexName="by-x", Select="COUNT")["Count"], 16)
        table.invalid("already exists", "update_table", AttributeDefinitions=types(x="N"), GlobalSecondaryIndexUpdates=[{"Create": create}])
        table.invalid("Type mismatch for Index Key x", "put_item", Item=wire({"p": "1", "x": "text"}))
        described = table.call("describe_table")["Table"]["GlobalSecondaryIndexes"][0]
        expect(described["ItemCount"], 16)
        table.call("update_table", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-x"}}])
        table.invalid("does not have the specified index", "scan", IndexName="by-x")
        fails("ResourceNotFoundException", "", client.update_table, TableName=table.name, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-x"}}])


@case
def warm_throughput_is_kept():
    with Table(schema=keys("p"), definitions=types(p="S"), WarmThroughput={"ReadUnitsPerSecond": 13000, "WriteUnitsPerSecond": 5000}) as table:
        told = lambda: table.call("describe_table")["Table"]["WarmThroughput"]
        expect(told(), {"ReadUnitsPerSecond": 13000, "WriteUnitsPerSecond": 5000, "Status": "ACTIVE"})
        table.call("update_table", WarmThroughput={"ReadUnitsPerSecond": 14000})
        expect(told()["ReadUnitsPerSecond"], 14000)
        expect(told()["WriteUnitsPerSecond"], 5000)
    with Table(schema=keys("p"), definitions=types(p="S")) as table:
        expect(table.call("describe_table")["Table"]["WarmThroughput"], {"ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 4000, "Status": "ACTIVE"})
        index = {"IndexName": "by-g", "KeySchema": keys("g"), "Projection": {"ProjectionType": "ALL"}, "WarmThroughput": {"ReadUnitsPerSecond": 13000}}
        table.call("update_table", AttributeDefinitions=types(p="S", g="S"), GlobalSecondaryIndexUpdates=[{"Create": index}])
        expect(table.call("describe_table")["Table"]["GlobalSecondaryIndexes"][0]["WarmThroughput"]["ReadUnitsPerSecond"], 13000)


@case
def tables_are_listed_in_pages():
    with Table() as a, Table() as b, Table() as c:
        found, start = [], None
        while True:
            page = client.list_tables(Limit=1, **({"ExclusiveStartTableName": start} if start else {}))
            found += page["TableNames"]
            start = page.get("LastEvaluatedTableName")
            if not start:
                break
        assert {a.name, b.name, c.name} <= set(found) and found == sorted(found)
        invalid("less than or equal to 100", client.list_tables, Limit=101)
        invalid("greater than or equal to 1", client.list_tables, Limit=0)


@case
def tags():
    with Table() as table:
        arn = table.call("describe_table")["Table"]["TableArn"]
        client.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
        client.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "2"}])
        client.untag_resource(ResourceArn=arn, TagKeys=["b", "none"])
        expect(client.list_tags_of_resource(ResourceArn=arn)["Tags"], [{"Key": "a", "Value": "2"}])
        invalid("", client.tag_resource, ResourceArn=arn, Tags=[])
        invalid("Invalid ResourceArn", client.list_tags_of_resource, ResourceArn="nonsense")
        fails("ResourceNotFoundException", "not found", client.list_tags_of_resource, ResourceArn=arn + "x")
        invalid("", client.tag_resource, ResourceArn=arn, Tags=[{"Key": f"k{at}", "Value": ""} for at in range(60)])


@case
def time_to_live():
    with Table(schema=keys("p"), definitions=types(p="S"), StreamSpecification={"StreamEnabled": True, "StreamViewType": "OLD_IMAGE"}) as table:
        expect(table.call("describe_time_to_live")["TimeToLiveDescription"], {"TimeToLiveStatus": "DISABLED"})
        table.call("update_time_to_live", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
        table.invalid("already enabled", "update_time_to_live", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
        now = int(time.time())
        table.put(p="gone", until=now - 5)
        table.put(p="later", until=now + 3600)
        table.put(p="text", until=str(now - 5))
        table.put(p="ancient", until=now - 6 * 366 * 86400)
        until(lambda: table.get(p="gone") is None)
        assert table.get(p="later") and table.get(p="text") and table.get(p="ancient")
        removed = until(lambda: [record for record in records_of(table) if record["eventName"] == "REMOVE"])
        expect(removed[0]["userIdentity"], {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"})


# Items


@case
def items_of_all_types():
    with Table() as table:
        item = {"p": "x", "c": "y", "s": "", "n": Decimal("-1.5e-3"), "b": b"\x00\xff", "empty": b"", "t": True, "f": False, "z": None,
                "l": [1, "two", [b"3"]], "m": {"a": {"b": []}}, "ss": {"a", "b"}, "ns": {1, Decimal("2.5")}, "bs": {b"x", b""}}
        item["bs"] = {b"x", b"yy"}
        table.put(**item)
        found = table.get(p="x", c="y")
        expect(found["n"], {"N": "-0.0015"})
        for name in ("s", "b", "empty", "t", "f", "z", "l", "m"):
            expect(found[name], one(item[name]))
        expect(set(found["ss"]["SS"]), {"a", "b"})
        expect(set(found["ns"]["NS"]), {"1", "2.5"})
        expect(set(found["bs"]["BS"]), {b"x", b"yy"})


@case
def numbers():
    with Table() as table:
        for given, kept in [("1.0", "1"), ("00100", "100"), ("1E3", "1000"), ("-0", "0"), ("1e-130", "0." + "0" * 129 + "1"),
                            ("9" * 38, "9" * 38), ("1" + "0" * 125, "1" + "0" * 125), ("0.10", "0.1"), ("+5", "5")]:
            table.call("put_item", Item={**wire({"p": "x", "c": "y"}), "n": {"N": given}})
            expect(table.get(p="x", c="y")["n"]["N"], kept)
        for given, text in [("1e126", "overflow"), ("1e-131", "underflow"), ("9" * 39, "38 significant digits"), ("abc", "cannot be converted"),
                            ("", "cannot be converted"), ("NaN", "cannot be converted"), ("Infinity", "cannot be converted"), ("1 ", "cannot be converted")]:
            table.invalid(text, "put_item", Item={**wire({"p": "x", "c": "y"}), "n": {"N": given}})
        table.call("put_item", Item={**wire({"p": "x", "c": "y"}), "n": {"N": "9" * 38}})
        table.call("update_item", Key=wire({"p": "x", "c": "y"}), UpdateExpression="SET n = n - :one", ExpressionAttributeValues={":one": {"N": "1"}})
        expect(table.get(p="x", c="y")["n"]["N"], "9" * 37 + "8")


@case
def values_that_no_item_has():
    with Table() as table:
        def put(text, value):
            table.invalid(text, "put_item", Item={**wire({"p": "x", "c": "y"}), "a": value})

        put("may not be empty", {"SS": []})
        put("Binary sets should not be empty", {"BS": []})
        put("Input collection [a, a] contains duplicates.", {"SS": ["a", "a"]})
        put("Input collection [Yg==, Yg==]of type BS contains duplicates.", {"BS": [b"b", b"b"]})
        put("duplicates", {"NS": ["1", "1.0"]})
        put("exactly one of the supported datatypes", {})
        put("more than one datatypes", {"S": "a", "N": "1"})
        put("must have the value of true", {"NULL": False})
        deep = {"S": "x"}
        for _ in range(33):
            deep = {"L": [deep]}
        put("Nesting Levels", deep)
        put("maximum allowed size", {"S": "x" * 410_000})
        table.invalid("name must not be empty", "put_item", Item={**wire({"p": "x", "c": "y"}), "": {"S": "x"}})
        table.invalid("Missing the key c", "put_item", Item=wire({"p": "x"}))
        table.invalid("Type mismatch for key c", "put_item", Item=wire({"p": "x", "c": 5}))
        table.invalid("empty string value", "put_item", Item=wire({"p": "x", "c": ""}))
        table.invalid("2048 bytes", "put_item", Item=wire({"p": "x" * 2049, "c": "y"}))
        table.invalid("1024 bytes", "put_item", Item=wire({"p": "x", "c": "y" * 1025}))
        table.invalid("does not match the schema", "get_item", Key=wire({"p": "x"}))
        table.invalid("does not match the schema", "get_item", Key=wire({"p": "x", "c": "y", "d": "z"}))
        table.invalid("does not match the schema", "delete_item", Key=wire({"p": "x", "c": 5}))
        fails("ResourceNotFoundException", "Requested resource not found", client.get_item, TableName="no-such-table", Key=wire({"p": "x"}))


@case
def return_values():
    with Table() as table:
        key = wire({"p": "x", "c": "y"})
        expect(table.call("put_item", Item={**key, "a": {"S": "1"}}, ReturnValues="ALL_OLD").get("Attributes"), None)
        expect(table.call("put_item", Item={**key, "a": {"S": "2"}}, ReturnValues="ALL_OLD")["Attributes"]["a"], {"S": "1"})
        table.invalid("Return values set to invalid value", "put_item", Item=key, ReturnValues="ALL_NEW")
        table.invalid("enum value set", "put_item", Item=key, ReturnValues="DOG")

        def update(wanted, expression="SET a = :v, m.q = :v REMOVE gone"):
            table.call("put_item", Item={**key, "a": {"S": "old"}, "m": {"M": {"q": {"S": "o"}, "r": {"S": "r"}}}, "gone": {"S": "g"}, "kept": {"S": "k"}})
            return table.call("update_item", Key=key, UpdateExpression=expression, ExpressionAttributeValues={":v": {"S": "new"}}, ReturnValues=wanted).get("Attributes")

        expect(update("NONE"), None)
        expect(update("UPDATED_OLD"), {"a": {"S": "old"}, "m": {"M": {"q": {"S": "o"}}}, "gone": {"S": "g"}})
        expect(update("UPDATED_NEW"), {"a": {"S": "new"}, "m": {"M": {"q": {"S": "new"}}}})
        expect(set(update("ALL_OLD")), {"p", "c", "a", "m", "gone", "kept"})
        expect(set(update("ALL_NEW")), {"p", "c", "a", "m", "kept"})
        expect(table.call("delete_item", Key=key, ReturnValues="ALL_OLD")["Attributes"]["kept"], {"S": "k"})
        expect(table.call("delete_item", Key=key, ReturnValues="ALL_OLD").get("Attributes"), None)


# Expressions


@case
def conditions():
    with Table() as table:
        key = wire({"p": "x", "c": "y"})
        table.call("put_item", Item={**key, **wire({"a": 5, "s": "hello", "l": [1, {"k": "v"}], "t": {"x"}, "n": None})})
        values = {":five": {"N": "5"}, ":six": {"N": "6"}, ":he": {"S": "he"}, ":x": {"S": "x"}, ":v": {"S": "v"}, ":ss": {"S": "SS"}, ":two": {"N": "2"}}

        def holds(condition, wanted=True):
            used = {name: value for name, value in values.items() if name in condition.replace(",", " ").replace(")", " ").split() or f"{name}" in condition}
            call = lambda: table.call("update_item", Key=key, UpdateExpression="SET hits = if_not_exists(hits, :zero)", ConditionExpression=condition, ExpressionAttributeValues={**used, ":zero": {"N": "0"}})
            if wanted:
                call()
            else:
                fails("ConditionalCheckFailedException", "The conditional request failed", call)

        for condition in ["a = :five", "a <> :six", "a < :six", "a BETWEEN :five AND :six", "a IN (:six, :five)", "begins_with(s, :he)", "contains(t, :x)",
                          "contains(s, :he)", "l[1].k = :v", "attribute_not_exists(l[7])", "attribute_exists(l[0])", "size(l) = :two", "attribute_type(t, :ss)",
                          "NOT a = :six", "nothing <> :five", "nothing <> gone", "a = :five AND (s = :he OR a < :six)", "not (nothing = :x)"]:
            holds(condition)
        for condition in ["a = :six", "a <> :five", "nothing = :five", "nothing < :five", "a > :he", "l[9] = :v", "a = nothing", "nothing = gone", "contains(nothing, :x)"]:
            holds(condition, False)
        for condition, text in [("a =", "Syntax error"), ("a = :five)", "Syntax error"), ("name = :five", "reserved keyword"), ("((a = :five))", "redundant parentheses"),
                                ("a = :none", "is not defined"), ("#none = :five", "is not defined"), ("dog(a)", "Invalid function name"), ("begins_with(a)", "number of operands"),
                                ("begins_with(s, :five)", "operand type"), ("a < a", "must be distinct"), ("a BETWEEN :six AND :five", "upper bound"), ("", "can not be empty"),
                                ("attribute_exists(:five)", "document path"), ("a", "Syntax error"), ("size(a)", "not allowed"), ("a = :five =:five", "Syntax error")]:
            used = {name: value for name, value in values.items() if name in condition}
            more = {"ExpressionAttributeValues": used} if used else {}
            table.invalid(text, "put_item", Item=key, ConditionExpression=condition, **more)
        table.invalid("unused in expressions: keys: {:six}", "put_item", Item=key, ConditionExpression="a = :five", ExpressionAttributeValues={":five": {"N": "5"}, ":six": {"N": "6"}})
        table.invalid("unused in expressions: keys: {#q}", "put_item", Item=key, ConditionExpression="attribute_exists(a)", ExpressionAttributeNames={"#q": "q"})
        table.invalid("can only be specified when using expressions", "put_item", Item=key, ExpressionAttributeNames={"#q": "q"})
        answer = fails("ConditionalCheckFailedException", "", client.put_item, TableName=table.name, Item=key, ConditionExpression="attribute_not_exists(p)", ReturnValuesOnConditionCheckFailure="ALL_OLD")
        expect(answer["Item"]["a"], {"N": "5"})


@case
def updates():
    with Table() as table:
        key = wire({"p": "x", "c": "y"})

        def update(expression, values=None, **names):
            more = {"ExpressionAttributeValues": wire(values)} if values else {}
            if names:
                more["ExpressionAttributeNames"] = {f"#{name}": value for name, value in names.items()}
            return table.call("update_item", Key=key, UpdateExpression=expression, ReturnValues="ALL_NEW", **more)["Attributes"]

        expect(update("SET a = :v, b = :v", {":v": 1})["b"], {"N": "1"})
        expect(update("SET a = a + :v, b = a", {":v": 1})["b"], {"N": "1"})
        expect(update("SET c1 = if_not_exists(nothing, :v)", {":v": [1]})["c1"], one([1]))
        expect(update("SET c1 = list_append(c1, :v)", {":v": [2]})["c1"], one([1, 2]))
        expect(update("SET c1[9] = :v REMOVE c1[0]", {":v": 3})["c1"], one([2, 3]))
        expect(update("ADD n :v, t :s", {":v": 3, ":s": {"x"}})["t"], one({"x"}))
        assert "t" not in update("DELETE t :s", {":s": {"x"}})
        expect(update("SET m = :m", {":m": {"a": 1}})["m"], one({"a": 1}))
        expect(update("SET m.b = :v REMOVE m.a", {":v": 2})["m"], one({"b": 2}))
        expect(update("SET #odd = :v", {":v": 2}, odd="a.b c")["a.b c"], {"N": "2"})
        for expression, values, text in [
            ("SET q = nothing", None, "does not exist in the item"), ("SET nothing.a = :v", {":v": 1}, "document path"), ("SET a.b = :v", {":v": 1}, "document path"),
            ("SET p = :v", {":v": "1"}, "part of the key"), ("ADD a :v", {":v": "text"}, "operand type"), ("ADD m :v", {":v": 1}, "incorrect data type"),
            ("SET a = :v SET b = :v", {":v": 1}, "only be used once"), ("SET a = :v, a = :v", {":v": 1}, "overlap"), ("SET m.a = :v, m[0] = :v", {":v": 1}, "conflict"),
            ("SET a = size(b)", None, "not allowed"), ("DOG a = :v", {":v": 1}, "Syntax error"), ("SET a = :v + :s", {":v": 1, ":s": "x"}, "operand type"),
            ("SET a = m + :v", {":v": 1}, "incorrect data type"), ("SET a = list_append(:v, :v)", {":v": 1}, "operand type"), ("DELETE a :v", {":v": {"x"}}, "incorrect data type"),
            ("SET a = b + :v + :v", {":v": 1}, "Syntax error"), ("REMOVE nothing.a", None, "document path"), ("SET a = :v,", {":v": 1}, "Syntax error")]:
            more = {"ExpressionAttributeValues": wire(values)} if values else {}
            table.invalid(text, "update_item", Key=key, UpdateExpression=expression, **more)
        table.call("delete_item", Key=key)
        table.call("update_item", Key=key)
        expect(table.get(p="x", c="y"), key)


@case
def projections():
    with Table() as table:
        table.put(p="x", c="y", a=1, m={"a": 1, "b": [1, 2, {"z": 3}]})

        def get(expression, **names):
            more = {"ExpressionAttributeNames": {f"#{name}": value for name, value in names.items()}} if names else {}
            return table.call("get_item", Key=wire({"p": "x", "c": "y"}), ProjectionExpression=expression, **more)["Item"]

        expect(get("a, nothing"), wire({"a": 1}))
        expect(get("m.b[2].z, m.b[0]"), wire({"m": {"b": [1, {"z": 3}]}}))
        expect(get("#m.#b[1]", m="m", b="b"), wire({"m": {"b": [2]}}))
        expect(get("nothing"), {})
        for expression, text in [("a, a", "overlap"), ("m, m.a", "overlap"), ("m.a, m[0]", "conflict"), ("name", "reserved"), ("a,", "Syntax error"), ("", "can not be empty"), ("a[-1]", "Syntax error")]:
            table.invalid(text, "get_item", Key=wire({"p": "x", "c": "y"}), ProjectionExpression=expression)
        table.invalid("both expression and non-expression", "get_item", Key=wire({"p": "x", "c": "y"}), ProjectionExpression="a", AttributesToGet=["a"])
        table.invalid("Duplicate value in attribute name", "get_item", Key=wire({"p": "x", "c": "y"}), AttributesToGet=["a", "a"])


# Legacy parameters


@case
def legacy_expected():
    with Table() as table:
        key = wire({"p": "x", "c": "y"})
        table.put(p="x", c="y", a=1, s="abc")

        def put(expected, operator=None, wanted=True):
            more = {"ConditionalOperator": operator} if operator else {}
            call = lambda: table.call("update_item", Key=key, AttributeUpdates={"z": {"Value": {"N": "1"}}}, Expected=expected, **more)
            if wanted:
                call()
            else:
                fails("ConditionalCheckFailedException", "", call)

        put({"a": {"Value": {"N": "1"}}})
        put({"a": {"Value": {"N": "2"}}}, wanted=False)
        put({"none": {"Exists": False}})
        put({"a": {"Exists": False}}, wanted=False)
        put({"a": {"ComparisonOperator": "GT", "AttributeValueList": [{"N": "0"}]}, "s": {"ComparisonOperator": "BEGINS_WITH", "AttributeValueList": [{"S": "ab"}]}})
        put({"a": {"ComparisonOperator": "GT", "AttributeValueList": [{"N": "9"}]}, "s": {"ComparisonOperator": "NOT_NULL"}}, "OR")
        put({"a": {"ComparisonOperator": "GT", "AttributeValueList": [{"N": "9"}]}, "s": {"ComparisonOperator": "NOT_NULL"}}, "AND", False)
        for expected, text in [({"a": {}}, "Value must be provided"), ({"a": {"Exists": False, "Value": {"N": "1"}}}, "cannot be used when Exists is false"),
                               ({"a": {"Exists": True}}, "Value must be provided"), ({"a": {"Value": {"N": "1"}, "AttributeValueList": [{"N": "1"}]}}, "cannot be used together"),
                               ({"a": {"ComparisonOperator": "EQ", "Exists": True}}, "cannot be used together"), ({"a": {"ComparisonOperator": "BETWEEN", "AttributeValueList": [{"N": "1"}]}}, "number of argument"),
                               ({"a": {"ComparisonOperator": "DOG", "AttributeValueList": [{"N": "1"}]}}, "enum value set"), ({"a": {"ComparisonOperator": "LT", "AttributeValueList": [{"BOOL": True}]}}, "is not valid for BOOL")]:
            table.invalid(text, "put_item", Item=key, Expected=expected)
        table.invalid("both expression and non-expression", "put_item", Item=key, Expected={"a": {"Exists": False}}, ConditionExpression="attribute_exists(a)")
        table.invalid("ConditionalOperator cannot be used without", "put_item", Item=key, ConditionalOperator="AND")


@case
def legacy_updates():
    with Table() as table:
        key = wire({"p": "x", "c": "y"})

        def update(**updates):
            return table.call("update_item", Key=key, AttributeUpdates=updates, ReturnValues="ALL_NEW").get("Attributes")

        expect(table.call("update_item", Key=key, AttributeUpdates={"a": {"Action": "DELETE"}}).get("Attributes"), None)
        expect(table.get(p="x", c="y"), None)
        expect(update(a={"Value": {"N": "1"}, "Action": "PUT"}, l={"Value": one([1])})["a"], {"N": "1"})
        expect(update(a={"Value": {"N": "2"}, "Action": "ADD"}, l={"Value": one([2]), "Action": "ADD"})["l"], one([1, 2]))
        expect(update(t={"Value": one({"x", "y"}), "Action": "ADD"})["t"], one({"x", "y"}))
        expect(update(t={"Value": one({"x"}), "Action": "DELETE"})["t"], one({"y"}))
        assert "a" not in update(a={"Action": "DELETE"})
        for updates, text in [({"a": {"Action": "PUT"}}, "Only DELETE action"), ({"a": {"Action": "ADD", "Value": {"S": "x"}}}, "ADD action is not supported"),
                              ({"a": {"Action": "DELETE", "Value": {"S": "x"}}}, "is not supported for the type S"), ({"p": {"Value": {"S": "x"}}}, "part of the key"),
                              ({"l": {"Action": "ADD", "Value": {"N": "1"}}}, "Type mismatch")]:
            table.invalid(text, "update_item", Key=key, AttributeUpdates=updates)
        table.invalid("both expression and non-expression", "update_item", Key=key, AttributeUpdates={"a": {"Action": "DELETE"}}, UpdateExpression="REMOVE a")


@case
def legacy_queries():
    with Table(definitions=types(p="S", c="N")) as table:
        for at in range(6):
            table.put(p="x", c=at, even=at % 2 == 0, s=f"s{at}", a=at)

        def query(more_key=None, **more):
            conditions = {"p": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "x"}]}}
            if more_key:
                conditions["c"] = {"ComparisonOperator": more_key[0], "AttributeValueList": [one(value) for value in more_key[1:]]}
            return [int(item["c"]["N"]) for item in table.call("query", KeyConditions=conditions, **more)["Items"]]

        expect(query(), [0, 1, 2, 3, 4, 5])
        expect(query(("GE", 4)), [4, 5])
        expect(query(("BETWEEN", 1, 2)), [1, 2])
        expect(query(QueryFilter={"even": {"ComparisonOperator": "EQ", "AttributeValueList": [{"BOOL": True}]}}), [0, 2, 4])
        expect(query(QueryFilter={"even": {"ComparisonOperator": "EQ", "AttributeValueList": [{"BOOL": True}]}, "a": {"ComparisonOperator": "IN", "AttributeValueList": [{"N": "1"}]}}, ConditionalOperator="OR"), [0, 1, 2, 4])
        found = table.call("scan", ScanFilter={"s": {"ComparisonOperator": "CONTAINS", "AttributeValueList": [{"S": "3"}]}}, AttributesToGet=["a"])["Items"]
        expect(found, [wire({"a": 3})])
        table.invalid("not an indexable operation", "query", KeyConditions={"p": {"ComparisonOperator": "NE", "AttributeValueList": [{"S": "x"}]}})
        table.invalid("Query key condition not supported", "query", KeyConditions={"p": {"ComparisonOperator": "LT", "AttributeValueList": [{"S": "x"}]}})
        table.invalid("missed key schema element: p", "query", KeyConditions={"c": {"ComparisonOperator": "EQ", "AttributeValueList": [{"N": "1"}]}})
        table.invalid("length 1 or 2 only", "query", KeyConditions={})
        table.invalid("does not match schema type", "query", KeyConditions={"p": {"ComparisonOperator": "EQ", "AttributeValueList": [{"N": "1"}]}})
        table.invalid("non-primary key attributes", "query", KeyConditions={"p": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "x"}]}}, QueryFilter={"c": {"ComparisonOperator": "NOT_NULL"}})
        table.invalid("both expression and non-expression", "query", KeyConditions={"p": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "x"}]}}, KeyConditionExpression="p = :x", ExpressionAttributeValues={":x": {"S": "x"}})
        table.invalid("must be specified in the request", "query")


# Reading in pages


@case
def queries():
    with Table(definitions=types(p="S", c="B")) as table:
        places = [bytes([at]) for at in (0, 1, 127, 128, 255)]
        for place in places:
            table.put(p="x", c=place, a=place[0])

        def query(condition, values, **more):
            answer = table.call("query", KeyConditionExpression=condition, ExpressionAttributeValues=wire({":p": "x", **values}), **more)
            return [bytes(item["c"]["B"]) for item in answer["Items"]]

        expect(query("p = :p", {}), places)
        expect(query("p = :p", {}, ScanIndexForward=False), places[::-1])
        expect(query("p = :p AND c > :c", {":c": b"\x7f"}), places[3:])
        expect(query("c <= :c AND p = :p", {":c": b"\x7f"}), places[:3])
        expect(query("p = :p AND begins_with(c, :c)", {":c": b"\xff"}), places[4:])
        found, start = [], {}
        while True:
            answer = table.call("query", KeyConditionExpression="p = :p", ExpressionAttributeValues=wire({":p": "x"}), Limit=2, **start)
            found += [bytes(item["c"]["B"]) for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                break
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        expect(found, places)
        for condition, values, text in [
            ("p = :p OR c = :c", {":c": b"x"}, "Invalid operator used in KeyConditionExpression: OR"), ("p > :p", {}, "not supported"), ("c = :c", {":c": b"x"}, "missed key schema element"),
            ("p = :p AND a = :c", {":c": 1}, "missed key schema element"), ("p = :p AND c = :c AND c = :c", {":c": b"x"}, "one condition per key"),
            ("p = :p AND c = :c", {":c": "text"}, "does not match schema type"), ("p = :p AND c <> :c", {":c": b"x"}, "Invalid operator")]:
            used = {name: value for name, value in {":p": "x", **values}.items() if name in condition}
            table.invalid(text, "query", KeyConditionExpression=condition, ExpressionAttributeValues=wire(used))
        base = {"KeyConditionExpression": "p = :p", "ExpressionAttributeValues": wire({":p": "x"})}
        table.invalid("greater than or equal to 1", "query", Limit=0, **base)
        table.invalid("starting key", "query", ExclusiveStartKey=wire({"p": "x"}), **base)
        table.invalid("outside query boundaries", "query", ExclusiveStartKey=wire({"p": "other", "c": b"x"}), **base)
        table.invalid("does not have the specified index", "query", IndexName="none", **base)
        table.invalid("SPECIFIC_ATTRIBUTES", "query", Select="SPECIFIC_ATTRIBUTES", **base)
        table.invalid("Cannot specify", "query", Select="COUNT", ProjectionExpression="a", **base)
        table.invalid("using an IndexName", "query", Select="ALL_PROJECTED_ATTRIBUTES", **base)
        table.invalid("enum value set", "query", Select="DOG", **base)
        table.invalid("non-primary key attributes", "query", KeyConditionExpression="p = :p", FilterExpression="c = :c", ExpressionAttributeValues=wire({":p": "x", ":c": b"x"}))
        expect(table.call("query", Select="COUNT", **base)["Count"], 5)


@case
def scans_in_pages_and_segments():
    with Table() as table:
        for at in range(40):
            table.put(p=f"p{at}", c="c", big="x" * 60_000, at=at)
        pages, start, found = 0, {}, []
        while True:
            answer = table.call("scan", **start)
            pages += 1
            found += [int(item["at"]["N"]) for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                break
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        expect(sorted(found), list(range(40)))
        assert 3 <= pages <= 4, pages
        whole = []
        for segment in range(3):
            start = {}
            while True:
                answer = table.call("scan", Segment=segment, TotalSegments=3, ProjectionExpression="#a", ExpressionAttributeNames={"#a": "at"}, **start)
                whole += [int(item["at"]["N"]) for item in answer["Items"]]
                if "LastEvaluatedKey" not in answer:
                    break
                start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        expect(sorted(whole), list(range(40)))
        table.invalid("TotalSegments", "scan", Segment=0)
        table.invalid("Segment parameter is required", "scan", TotalSegments=3)
        table.invalid("less than parameter TotalSegments", "scan", Segment=3, TotalSegments=3)
        table.invalid("less than or equal to 1000000", "scan", Segment=0, TotalSegments=1000001)
        filtered = table.call("scan", FilterExpression="#a < :v", ExpressionAttributeNames={"#a": "at"}, ExpressionAttributeValues=wire({":v": 5}), Limit=10)
        expect(filtered["ScannedCount"], 10)


# Indexes


@case
def indexes():
    index = lambda name, schema, projection: {"IndexName": name, "KeySchema": schema, "Projection": projection}
    with Table(
        definitions=types(p="S", c="S", g="S", r="N"),
        GlobalSecondaryIndexes=[index("by-g", keys("g", "r"), {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["kept"]}), index("by-c", keys("c"), {"ProjectionType": "KEYS_ONLY"})],
        LocalSecondaryIndexes=[index("by-r", keys("p", "r"), {"ProjectionType": "KEYS_ONLY"})],
    ) as table:
        for at in range(6):
            table.put(p="x", c=f"c{at}", r=9 - at, kept="k", lost="l", **({"g": "g"} if at < 4 else {}))

        def query(name, condition, values, **more):
            return table.call("query", IndexName=name, KeyConditionExpression=condition, ExpressionAttributeValues=wire(values), **more)

        found = query("by-g", "g = :g", {":g": "g"})["Items"]
        expect([item["r"]["N"] for item in found], ["6", "7", "8", "9"])
        expect(set(found[0]), {"p", "c", "g", "r", "kept"})
        expect(len(query("by-r", "p = :p AND r < :r", {":p": "x", ":r": 7})["Items"]), 3)
        expect(query("by-r", "p = :p AND r = :r", {":p": "x", ":r": 9}, Select="ALL_ATTRIBUTES")["Items"][0]["lost"], {"S": "l"})
        expect(query("by-r", "p = :p AND r = :r", {":p": "x", ":r": 9}, ProjectionExpression="lost")["Items"], [wire({"lost": "l"})])
        table.invalid("Global secondary index by-g does not project [lost]", "query", IndexName="by-g", KeyConditionExpression="g = :g", ExpressionAttributeValues=wire({":g": "g"}), ProjectionExpression="lost")
        table.invalid("ALL_ATTRIBUTES is not supported", "query", IndexName="by-g", KeyConditionExpression="g = :g", ExpressionAttributeValues=wire({":g": "g"}), Select="ALL_ATTRIBUTES")
        table.invalid("Consistent reads are not supported", "query", IndexName="by-g", KeyConditionExpression="g = :g", ExpressionAttributeValues=wire({":g": "g"}), ConsistentRead=True)
        assert query("by-r", "p = :p", {":p": "x"}, ConsistentRead=True)["Items"]
        table.invalid("Type mismatch for Index Key", "put_item", Item=wire({"p": "x", "c": "c", "g": 5}))
        table.invalid("secondary index key", "put_item", Item=wire({"p": "x", "c": "c", "g": "", "r": 1}))
        table.call("update_item", Key=wire({"p": "x", "c": "c0"}), UpdateExpression="REMOVE g")
        expect(query("by-g", "g = :g", {":g": "g"}, Select="COUNT")["Count"], 3)
        table.call("update_item", Key=wire({"p": "x", "c": "c1"}), UpdateExpression="SET g = :h", ExpressionAttributeValues=wire({":h": "h"}))
        expect(query("by-g", "g = :g", {":g": "h"}, Select="COUNT")["Count"], 1)
        pages, start = [], {}
        while True:
            answer = query("by-g", "g = :g", {":g": "g"}, Limit=1, **start)
            pages += answer["Items"]
            if "LastEvaluatedKey" not in answer:
                break
            expect(set(answer["LastEvaluatedKey"]), {"p", "c", "g", "r"})
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        expect(len(pages), 2)
        described = table.call("describe_table")["Table"]
        expect({index["IndexName"]: index["ItemCount"] for index in described["GlobalSecondaryIndexes"]}, {"by-g": 3, "by-c": 6})
        expect(described["LocalSecondaryIndexes"][0]["ItemCount"], 6)


@case
def indexes_of_several_attributes():
    schema = [{"AttributeName": name, "KeyType": kind} for name, kind in [("a", "HASH"), ("b", "HASH"), ("d", "RANGE"), ("e", "RANGE")]]
    index = {"IndexName": "many", "KeySchema": schema, "Projection": {"ProjectionType": "ALL"}}
    with Table(definitions=types(p="S", c="S", a="S", b="N", d="S", e="N"), GlobalSecondaryIndexes=[index]) as table:
        expect(table.call("describe_table")["Table"]["GlobalSecondaryIndexes"][0]["KeySchema"], schema)
        for at in range(8):
            table.put(p="x", c=str(at), a="a", b=at % 2, d="d", e=at)
        table.put(p="x", c="sparse", a="a", b=0)

        def query(condition, values):
            return [int(item["e"]["N"]) for item in table.call("query", IndexName="many", KeyConditionExpression=condition, ExpressionAttributeValues=wire(values))["Items"]]

        expect(query("a = :a AND b = :b", {":a": "a", ":b": 0}), [0, 2, 4, 6])
        expect(query("a = :a AND b = :b AND d = :d AND e > :e", {":a": "a", ":b": 1, ":d": "d", ":e": 3}), [5, 7])
        table.invalid("missed key schema element: b", "query", IndexName="many", KeyConditionExpression="a = :a", ExpressionAttributeValues=wire({":a": "a"}))
        table.invalid("missed key schema element: d", "query", IndexName="many", KeyConditionExpression="a = :a AND b = :b AND e = :e", ExpressionAttributeValues=wire({":a": "a", ":b": 1, ":e": 3}))


# Batches and transactions


@case
def batches():
    with Table() as table:
        put = lambda at: {"PutRequest": {"Item": wire({"p": "x", "c": str(at), "at": at})}}
        answer = client.batch_write_item(RequestItems={table.name: [put(at) for at in range(25)]})
        expect(answer["UnprocessedItems"], {})
        found = client.batch_get_item(RequestItems={table.name: {"Keys": [wire({"p": "x", "c": str(at)}) for at in range(20, 30)], "ProjectionExpression": "#at", "ExpressionAttributeNames": {"#at": "at"}}})
        expect(sorted(int(item["at"]["N"]) for item in found["Responses"][table.name]), [20, 21, 22, 23, 24])
        invalid("at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 25, Member must have length greater than or equal to 1]", client.batch_write_item, RequestItems={table.name: [put(at) for at in range(26)]})
        invalid("duplicates", client.batch_write_item, RequestItems={table.name: [put(1), put(1)]})
        invalid("", client.batch_write_item, RequestItems={})
        invalid("length greater than or equal to 1", client.batch_write_item, RequestItems={table.name: []})
        invalid("", client.batch_write_item, RequestItems={table.name: [{}]})
        invalid("does not match the schema", client.batch_write_item, RequestItems={table.name: [{"DeleteRequest": {"Key": wire({"p": "x"})}}]})
        fails("ResourceNotFoundException", "", client.batch_write_item, RequestItems={"no-such-table": [put(1)]})
        invalid("duplicates", client.batch_get_item, RequestItems={table.name: {"Keys": [wire({"p": "x", "c": "1"})] * 2}})
        invalid("less than or equal to 100", client.batch_get_item, RequestItems={table.name: {"Keys": [wire({"p": "x", "c": str(at)}) for at in range(101)]}})
        client.batch_write_item(RequestItems={table.name: [{"DeleteRequest": {"Key": wire({"p": "x", "c": "0"})}}]})
        expect(table.get(p="x", c="0"), None)


@case
def transactions():
    with Table() as table:
        put = lambda c, **more: {"Put": {"TableName": table.name, "Item": wire({"p": "x", "c": c}), **more}}
        client.transact_write_items(TransactItems=[put("1"), put("2")])
        answer = fails("TransactionCanceledException", "[ConditionalCheckFailed, None]", client.transact_write_items,
                       TransactItems=[put("1", ConditionExpression="attribute_not_exists(p)", ReturnValuesOnConditionCheckFailure="ALL_OLD"), put("3")])
        expect(answer["CancellationReasons"][0]["Item"], wire({"p": "x", "c": "1"}))
        expect(answer["CancellationReasons"][1], {"Code": "None"})
        expect(table.get(p="x", c="3"), None)
        answer = fails("TransactionCanceledException", "ValidationError", client.transact_write_items, TransactItems=[put("4"), {"Put": {"TableName": table.name, "Item": wire({"p": "x"})}}])
        assert "Missing the key c" in answer["CancellationReasons"][1]["Message"], answer
        invalid("multiple operations on one item", client.transact_write_items, TransactItems=[put("1"), put("1")])
        invalid("", client.transact_write_items, TransactItems=[])
        invalid("less than or equal to 100", client.transact_write_items, TransactItems=[put(str(at)) for at in range(101)])
        check = {"ConditionCheck": {"TableName": table.name, "Key": wire({"p": "x", "c": "1"}), "ConditionExpression": "attribute_exists(p)"}}
        update = {"Update": {"TableName": table.name, "Key": wire({"p": "x", "c": "2"}), "UpdateExpression": "ADD n :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}}
        delete = {"Delete": {"TableName": table.name, "Key": wire({"p": "x", "c": "9"})}}
        for _ in range(2):
            client.transact_write_items(TransactItems=[check, update, delete], ClientRequestToken="once")
        expect(table.get(p="x", c="2")["n"], {"N": "1"})
        fails("IdempotentParameterMismatchException", "", client.transact_write_items, TransactItems=[check], ClientRequestToken="once")
        get = lambda c: {"Get": {"TableName": table.name, "Key": wire({"p": "x", "c": c})}}
        expect([response.get("Item", {}).get("c") for response in client.transact_get_items(TransactItems=[get("2"), get("none")])["Responses"]], [{"S": "2"}, None])


@case
def consumed_capacity():
    index = {"IndexName": "by-g", "KeySchema": keys("g"), "Projection": {"ProjectionType": "KEYS_ONLY"}}
    local = {"IndexName": "by-r", "KeySchema": keys("p", "r"), "Projection": {"ProjectionType": "KEYS_ONLY"}}
    with Table(definitions=types(p="S", c="S", g="S", r="S"), GlobalSecondaryIndexes=[index], LocalSecondaryIndexes=[local]) as table:
        key = wire({"p": "x", "c": "y"})
        capacity = lambda operation, wanted="TOTAL", **named: table.call(operation, ReturnConsumedCapacity=wanted, **named).get("ConsumedCapacity")
        expect(capacity("put_item", Item={**key, "a": {"S": "x" * 1500}})["CapacityUnits"], 2.0)
        expect(capacity("get_item", Key=key)["CapacityUnits"], 0.5)
        expect(capacity("get_item", Key=key, ConsistentRead=True)["CapacityUnits"], 1.0)
        expect(capacity("get_item", Key=wire({"p": "no", "c": "no"}))["CapacityUnits"], 0.5)
        found = capacity("put_item", "INDEXES", Item={**key, "g": {"S": "g"}, "r": {"S": "r"}})
        expect((found["CapacityUnits"], found["Table"]["CapacityUnits"], found["GlobalSecondaryIndexes"]["by-g"]["CapacityUnits"], found["LocalSecondaryIndexes"]["by-r"]["CapacityUnits"]), (4.0, 2.0, 1.0, 1.0))
        found = capacity("update_item", "INDEXES", Key=key, UpdateExpression="SET g = :h", ExpressionAttributeValues=wire({":h": "h"}))
        expect(found["GlobalSecondaryIndexes"]["by-g"]["CapacityUnits"], 2.0)
        expect(capacity("put_item", "NONE", Item=key), None)
        table.invalid("enum value set", "put_item", Item=key, ReturnConsumedCapacity="DOG")
        metrics = table.call("put_item", Item=key, ReturnItemCollectionMetrics="SIZE")["ItemCollectionMetrics"]
        expect((metrics["ItemCollectionKey"], metrics["SizeEstimateRangeGB"]), (wire({"p": "x"}), [0.0, 1.0]))


# Streams


def shards_of(arn):
    return streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]


def records_of(table, arn=None, kind="TRIM_HORIZON"):
    arn = arn or table.call("describe_table")["Table"]["LatestStreamArn"]
    found = []
    for shard in shards_of(arn):
        iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType=kind)["ShardIterator"]
        while iterator:
            answer = streams.get_records(ShardIterator=iterator)
            if not answer["Records"]:
                break
            found += answer["Records"]
            iterator = answer.get("NextShardIterator")
    return found


@case
def streams_of_all_views():
    for view in ("KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"):
        with Table(StreamSpecification={"StreamEnabled": True, "StreamViewType": view}) as table:
            table.put(p="x", c="y", a=1)
            table.put(p="x", c="y", a=1)
            table.call("update_item", Key=wire({"p": "x", "c": "y"}), UpdateExpression="SET a = :v", ExpressionAttributeValues=wire({":v": 2}))
            client.batch_write_item(RequestItems={table.name: [{"PutRequest": {"Item": wire({"p": "x", "c": "z"})}}, {"DeleteRequest": {"Key": wire({"p": "x", "c": "y"})}}]})
            client.transact_write_items(TransactItems=[{"Delete": {"TableName": table.name, "Key": wire({"p": "x", "c": "z"})}}, {"Delete": {"TableName": table.name, "Key": wire({"p": "x", "c": "none"})}}])
            found = records_of(table)
            expect([record["eventName"] for record in found], ["INSERT", "MODIFY", "INSERT", "REMOVE", "REMOVE"])
            for record in found:
                change = record["dynamodb"]
                expect((record["eventSource"], record["eventVersion"], record["awsRegion"], change["StreamViewType"]), ("aws:dynamodb", "1.1", REGION, view))
                expect(set(change["Keys"]), {"p", "c"})
                assert ("NewImage" in change) == (view.startswith("NEW") and record["eventName"] != "REMOVE"), record
                assert ("OldImage" in change) == ("OLD" in view and record["eventName"] != "INSERT"), record
            if view == "NEW_AND_OLD_IMAGES":
                expect((found[1]["dynamodb"]["OldImage"]["a"], found[1]["dynamodb"]["NewImage"]["a"]), ({"N": "1"}, {"N": "2"}))
            numbers = [int(record["dynamodb"]["SequenceNumber"]) for record in found]
            assert numbers == sorted(set(numbers)) and len({record["eventID"] for record in found}) == len(found)


@case
def streams_are_read_from_anywhere():
    with Table(StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}) as table:
        arn = table.call("describe_table")["Table"]["LatestStreamArn"]
        for at in range(5):
            table.put(p="x", c=str(at))
        (shard,) = shards_of(arn)
        found = records_of(table)
        number = found[2]["dynamodb"]["SequenceNumber"]
        iterator = lambda kind, **more: streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType=kind, **more)["ShardIterator"]
        names = lambda start, **more: [record["dynamodb"]["Keys"]["c"]["S"] for record in streams.get_records(ShardIterator=start, **more)["Records"]]
        expect(names(iterator("AT_SEQUENCE_NUMBER", SequenceNumber=number)), ["2", "3", "4"])
        expect(names(iterator("AFTER_SEQUENCE_NUMBER", SequenceNumber=number)), ["3", "4"])
        expect(names(iterator("TRIM_HORIZON"), Limit=2), ["0", "1"])
        latest = iterator("LATEST")
        expect(names(latest), [])
        table.put(p="x", c="new")
        expect(names(latest), ["new"])
        expect(names(streams.get_records(ShardIterator=latest)["NextShardIterator"]), [])
        invalid("", streams.get_shard_iterator, StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="AT_SEQUENCE_NUMBER")
        invalid("enum value set", streams.get_shard_iterator, StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="DOG")
        fails("ResourceNotFoundException", "", streams.get_shard_iterator, StreamArn=arn, ShardId=shard["ShardId"][:-4] + "0000", ShardIteratorType="LATEST")
        invalid("", streams.get_records, ShardIterator="nonsense")
        fails("ResourceNotFoundException", "not found", streams.describe_stream, StreamArn=arn + "9")
        invalid("", streams.describe_stream, StreamArn="nonsense-that-is-long-enough-to-be-an-arn")
        expect([stream["StreamArn"] for stream in streams.list_streams(TableName=table.name)["Streams"]], [arn])
        table.invalid("already has an enabled stream", "update_table", StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
        table.call("update_table", StreamSpecification={"StreamEnabled": False})
        described = streams.describe_stream(StreamArn=arn)["StreamDescription"]
        expect(described["StreamStatus"], "DISABLED")
        assert "EndingSequenceNumber" in described["Shards"][0]["SequenceNumberRange"]
        expect(len(records_of(table, arn)), 6)
        end = streams.get_records(ShardIterator=iterator("TRIM_HORIZON"))
        assert "NextShardIterator" not in end, end
        assert "StreamSpecification" not in table.call("describe_table")["Table"]
        table.call("update_table", StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})
        assert table.call("describe_table")["Table"]["LatestStreamArn"] != arn
        expect(len(streams.list_streams(TableName=table.name)["Streams"]), 2)


# PartiQL


@case
def partiql_statements():
    with Table(definitions=types(p="S", c="N")) as table:
        run = lambda statement, *parameters, **more: client.execute_statement(Statement=statement.replace("TABLE", f'"{table.name}"'), **({"Parameters": [one(value) for value in parameters]} if parameters else {}), **more)
        for at in range(5):
            run("INSERT INTO TABLE VALUE {'p': ?, 'c': ?, 'm': {'l': [1, 'two']}, 's': <<'x','y'>>}", "x", at)
        fails("DuplicateItemException", "Duplicate primary key", run, statement="INSERT INTO TABLE VALUE {'p': 'x', 'c': 0}")
        expect(len(run("SELECT * FROM TABLE")["Items"]), 5)
        expect(run("SELECT c, m.l[1] FROM TABLE WHERE p = 'x' AND c > ? ORDER BY c DESC", 2)["Items"], [wire({"c": 4, "m": {"l": ["two"]}}), wire({"c": 3, "m": {"l": ["two"]}})])
        expect(len(run("SELECT * FROM TABLE WHERE p = 'x' AND c IN [1, 3] AND contains(s, 'x') AND q IS MISSING")["Items"]), 2)
        answer = run("UPDATE TABLE SET n = 1 SET m.z = ? REMOVE s WHERE p = 'x' AND c = 0 RETURNING ALL NEW *", True)
        expect(answer["Items"][0]["m"], one({"l": [1, "two"], "z": True}))
        fails("ConditionalCheckFailedException", "", run, statement="UPDATE TABLE SET n = 1 WHERE p = 'x' AND c = 99")
        expect(run("DELETE FROM TABLE WHERE p = 'x' AND c = 0 RETURNING ALL OLD *")["Items"][0]["n"], {"N": "1"})
        expect(run("DELETE FROM TABLE WHERE p = 'x' AND c = 0 RETURNING ALL OLD *")["Items"], [])
        page = run("SELECT * FROM TABLE WHERE p = 'x'", Limit=2)
        expect(len(page["Items"]), 2)
        expect(len(run("SELECT * FROM TABLE WHERE p = 'x'", NextToken=page["NextToken"])["Items"]), 2)
        for statement, text in [("SELECT * FORM TABLE", "well formed"), ("UPDATE TABLE SET a = 1 WHERE p = 'x'", "mandatory equality"), ("SELECT * FROM TABLE WHERE p = ?", "parameters"), ("DROP TABLE", "well formed")]:
            invalid(text, run, statement=statement)
        fails("ResourceNotFoundException", "", client.execute_statement, Statement='SELECT * FROM "no-such-table"')
        name = f'"{table.name}"'
        batch = client.batch_execute_statement(Statements=[{"Statement": f"SELECT * FROM {name} WHERE p = 'x' AND c = 1"}, {"Statement": f"SELECT * FROM {name} WHERE p = 'x'"}])["Responses"]
        expect(batch[0]["Item"]["c"], {"N": "1"})
        expect(batch[1]["Error"]["Code"], "ValidationError")
        client.execute_transaction(TransactStatements=[{"Statement": f"EXISTS(SELECT * FROM {name} WHERE p = 'x' AND c = 1)"}, {"Statement": f"UPDATE {name} SET n = 5 WHERE p = 'x' AND c = 2"}])
        expect(table.get(p="x", c=2)["n"], {"N": "5"})
        fails("TransactionCanceledException", "ConditionalCheckFailed", client.execute_transaction, TransactStatements=[{"Statement": f"UPDATE {name} SET n = 6 WHERE p = 'x' AND c = 2"}, {"Statement": f"UPDATE {name} SET n = 6 WHERE p = 'x' AND c = 77"}])
        expect(table.get(p="x", c=2)["n"], {"N": "5"})
        found = client.execute_transaction(TransactStatements=[{"Statement": f"SELECT * FROM {name} WHERE p = 'x' AND c = 2"}])["Responses"]
        expect(found[0]["Item"]["n"], {"N": "5"})


# The protocol


def raw(body, target="DynamoDB_20120810.ListTables", headers=None, sign=True, method="POST", path="/"):
    endpoint = urllib.parse.urlparse(client.meta.endpoint_url)
    body = body.encode() if isinstance(body, str) else body
    sent = {"Content-Type": "application/x-amz-json-1.0", "Host": endpoint.netloc, **(headers or {})}
    if target:
        sent["X-Amz-Target"] = target
    request = botocore.awsrequest.AWSRequest(method=method, url=client.meta.endpoint_url + path, data=body, headers=sent)
    if sign:
        credentials = boto3.Session().get_credentials()
        botocore.auth.SigV4Auth(credentials, "dynamodb", REGION).add_auth(request)
    connection = http.client.HTTPConnection(endpoint.hostname, endpoint.port, timeout=60)
    connection.request(method, path, body=body, headers=dict(request.headers))
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer, data


@case
def protocol():
    answer, data = raw("{}")
    expect((answer.status, answer.headers["Content-Type"]), (200, "application/x-amz-json-1.0"))
    expect(int(answer.headers["x-amz-crc32"]), zlib.crc32(data))
    assert answer.headers["x-amzn-requestid"]

    def wrong(kind, status=400, **named):
        answer, data = raw(**named)
        assert answer.status == status and kind in json.loads(data)["__type"], (answer.status, data)

    wrong("SerializationException", body="{")
    wrong("SerializationException", body='{"Limit": {}}')
    wrong("SerializationException", body="[]")
    wrong("UnknownOperationException", body="{}", target="DynamoDB_20120810.Dog")
    wrong("UnknownOperationException", body="{}", target="DynamoDB_19990101.ListTables")
    wrong("UnknownOperationException", body="{}", target=None)
    wrong("com.amazon.coral.service#MissingAuthenticationTokenException", body="{}", sign=False)
    wrong("com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", body='{"TableName": "no-such-table"}', target="DynamoDB_20120810.DescribeTable")
    wrong("com.amazon.coral.validate#ValidationException", body='{"TableName": "x"}', target="DynamoDB_20120810.DescribeTable")
    answer, _ = raw(b" " * (16 * 1024 * 1024 + 1) + b"{}")
    expect(answer.status, 413)
    answer, data = raw("", target=None, sign=False, method="GET")
    assert answer.status == 200 and data.startswith(b"healthy: "), data
    bad = boto3.client("dynamodb", region_name=REGION, config=CONFIG, aws_access_key_id="AKIANOBODY", aws_secret_access_key="x")
    fails("UnrecognizedClientException", "security token", bad.list_tables)
    key = boto3.Session().get_credentials().access_key
    forged = boto3.client("dynamodb", region_name=REGION, config=CONFIG, aws_access_key_id=key, aws_secret_access_key="x")
    fails("InvalidSignatureException", "signature", forged.list_tables)


@case
def backups_and_restores():
    index = {"IndexName": "by-g", "KeySchema": keys("g"), "Projection": {"ProjectionType": "ALL"}}
    with Table(definitions=types(p="S", c="N", g="S"), GlobalSecondaryIndexes=[index]) as table:
        # More than are copied in one piece.
        for start in range(0, 1200, 25):
            batch = [{"PutRequest": {"Item": wire({"p": "x", "c": at, "g": f"g{at % 3}"})}} for at in range(start, start + 25)]
            client.batch_write_item(RequestItems={table.name: batch})
        made = table.call("create_backup", BackupName="first")["BackupDetails"]
        # What is written after it is not in it, whether the copy has come to it or not.
        table.put(p="x", c=5000, g="late")
        table.call("delete_item", Key=wire({"p": "x", "c": 1150}))
        table.call("update_item", Key=wire({"p": "x", "c": 1199}), UpdateExpression="SET g = :g", ExpressionAttributeValues={":g": {"S": "late"}})
        arn = made["BackupArn"]
        until(lambda: client.describe_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]["BackupStatus"] == "AVAILABLE")
        described = client.describe_backup(BackupArn=arn)["BackupDescription"]
        expect((described["SourceTableDetails"]["ItemCount"], described["BackupDetails"]["BackupName"]), (1200, "first"))
        expect([one["BackupArn"] for one in client.list_backups(TableName=table.name)["BackupSummaries"]], [arn])
        fails("TableAlreadyExistsException", "Table already exists", client.restore_table_from_backup, TargetTableName=table.name, BackupArn=arn)
        fails("BackupNotFoundException", "Backup not found", client.restore_table_from_backup, TargetTableName="some-table", BackupArn=arn + "x")
        target = f"{table.name}-restored"
        answer = client.restore_table_from_backup(TargetTableName=target, BackupArn=arn)["TableDescription"]
        expect((answer["TableStatus"], answer["RestoreSummary"]["SourceBackupArn"]), ("CREATING", arn))
        until(lambda: client.describe_table(TableName=target)["Table"]["TableStatus"] == "ACTIVE")
        restored = client.describe_table(TableName=target)["Table"]
        expect((restored["ItemCount"], restored["GlobalSecondaryIndexes"][0]["ItemCount"], restored["RestoreSummary"]["RestoreInProgress"]), (1200, 1200, False))
        query = dict(TableName=target, IndexName="by-g", KeyConditionExpression="g = :g", Select="COUNT")
        expect(client.query(**query, ExpressionAttributeValues={":g": {"S": "late"}})["Count"], 0)
        expect(client.query(**query, ExpressionAttributeValues={":g": {"S": "g1"}})["Count"], 400)
        client.delete_table(TableName=target)
        bare = f"{table.name}-bare"
        client.restore_table_from_backup(TargetTableName=bare, BackupArn=arn, GlobalSecondaryIndexOverride=[])
        until(lambda: client.describe_table(TableName=bare)["Table"]["TableStatus"] == "ACTIVE")
        assert "GlobalSecondaryIndexes" not in client.describe_table(TableName=bare)["Table"]
        client.delete_table(TableName=bare)
        expect(client.delete_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]["BackupStatus"], "DELETED")
        fails("BackupNotFoundException", "", client.describe_backup, BackupArn=arn)
    fails("TableNotFoundException", "Table not found", client.create_backup, TableName="no-such-table", BackupName="none")


@case
def points_in_time():
    with Table(definitions=types(p="S", c="N")) as table:
        found = table.call("describe_continuous_backups")["ContinuousBackupsDescription"]
        expect((found["ContinuousBackupsStatus"], found["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]), ("ENABLED", "DISABLED"))
        target = f"{table.name}-then"
        restore = lambda **more: client.restore_table_to_point_in_time(SourceTableName=table.name, TargetTableName=target, **more)
        fails("PointInTimeRecoveryUnavailableException", "not enabled", restore, UseLatestRestorableTime=True)
        table.put(p="x", c=1, a="before")
        table.call("update_continuous_backups", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 3})
        found = table.call("describe_continuous_backups")["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
        expect((found["PointInTimeRecoveryStatus"], found["RecoveryPeriodInDays"]), ("ENABLED", 3))
        assert found["EarliestRestorableDateTime"] <= found["LatestRestorableDateTime"]
        table.put(p="x", c=2, a="kept")
        table.put(p="x", c=3, a="old")
        time.sleep(1.1)
        then = time.time()
        time.sleep(1.1)
        table.put(p="x", c=3, a="new")
        table.put(p="x", c=3, a="newer")
        table.call("delete_item", Key=wire({"p": "x", "c": 2}))
        table.put(p="x", c=4, a="late")
        fails("InvalidRestoreTimeException", "", restore, RestoreDateTime=then + 3600)
        fails("InvalidRestoreTimeException", "", restore, RestoreDateTime=then - 3600)
        restore(RestoreDateTime=then)
        until(lambda: client.describe_table(TableName=target)["Table"]["TableStatus"] == "ACTIVE")
        items = client.scan(TableName=target)["Items"]
        expect(sorted((item["c"]["N"], item["a"]["S"]) for item in items), [("1", "before"), ("2", "kept"), ("3", "old")])
        client.delete_table(TableName=target)
        restore(UseLatestRestorableTime=True)
        until(lambda: client.describe_table(TableName=target)["Table"]["TableStatus"] == "ACTIVE")
        expect(sorted(item["c"]["N"] for item in client.scan(TableName=target)["Items"]), ["1", "3", "4"])
        client.delete_table(TableName=target)
        table.call("update_continuous_backups", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False})
        fails("PointInTimeRecoveryUnavailableException", "not enabled", restore, UseLatestRestorableTime=True)


@case
def resource_policies():
    with Table() as table:
        arn = client.describe_table(TableName=table.name)["Table"]["TableArn"]
        account = arn.split(":")[4]
        name = "r" + uuid.uuid4().hex[:12]
        iam = boto3.client("iam", region_name=REGION, config=CONFIG, endpoint_url=client.meta.endpoint_url)
        sts = boto3.client("sts", region_name=REGION, config=CONFIG, endpoint_url=client.meta.endpoint_url)
        trust = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"}]}
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        keys = sts.assume_role(RoleArn=role, RoleSessionName="guest")["Credentials"]
        guest = boto3.client("dynamodb", region_name=REGION, config=CONFIG, endpoint_url=client.meta.endpoint_url,
                             aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["SessionToken"])
        put = lambda *statements, **more: client.put_resource_policy(ResourceArn=arn, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}), **more)
        one = lambda effect, actions, **more: {"Effect": effect, "Principal": {"AWS": role}, "Action": actions, "Resource": arn, **more}
        table.call("put_item", Item=wire({"p": "x", "c": "y"}))
        get = dict(TableName=table.name, Key=wire({"p": "x", "c": "y"}))
        fails("AccessDeniedException", "", guest.get_item, **get)
        revision = put(one("Allow", "dynamodb:GetItem"))["RevisionId"]
        expect("Item" in guest.get_item(**get), True)
        fails("AccessDeniedException", "", guest.put_item, TableName=table.name, Item=wire({"p": "x", "c": "z"}))
        expect(client.get_resource_policy(ResourceArn=arn)["RevisionId"], revision)
        fails("PolicyNotFoundException", "", lambda: put(one("Allow", "dynamodb:*"), ExpectedRevisionId="1"))
        fails("PolicyNotFoundException", "", lambda: put(one("Allow", "dynamodb:*"), ExpectedRevisionId="NO_POLICY"))
        # A Deny is final, whatever the role's own policies allow.
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}]}))
        put(one("Deny", "dynamodb:DeleteItem"), ExpectedRevisionId=revision)
        expect("Item" in guest.get_item(**get), True)
        fails("AccessDeniedException", "explicit deny", guest.delete_item, **get)
        fails("ValidationException", "", client.put_resource_policy, ResourceArn=arn, Policy="{")
        fails("NotImplemented", "another account", lambda: put(one("Allow", "dynamodb:GetItem", Principal={"AWS": "999999999999"})))
        client.delete_resource_policy(ResourceArn=arn)
        fails("PolicyNotFoundException", "", client.get_resource_policy, ResourceArn=arn)
        guest.delete_item(**get)
        fails("ResourceNotFoundException", "", client.get_resource_policy, ResourceArn=arn + "-none")


@case
def settings_that_are_kept_or_refused():
    with Table() as table:
        expect(table.call("describe_contributor_insights")["ContributorInsightsStatus"], "DISABLED")
        table.call("update_contributor_insights", ContributorInsightsAction="ENABLE")
        expect(table.call("describe_contributor_insights")["ContributorInsightsStatus"], "ENABLED")
        expect(table.call("describe_kinesis_streaming_destination")["KinesisDataStreamDestinations"], [])
        fails("NotImplemented", "Kinesis", client.enable_kinesis_streaming_destination, TableName=table.name, StreamArn="arn:aws:kinesis:us-east-1:000000000000:stream/some-stream-of-mine")
        arn = table.call("describe_table")["Table"]["TableArn"]
        fails("PolicyNotFoundException", "", client.get_resource_policy, ResourceArn=arn)


def nested(levels, kind="L"):
    """A list in a list in a list, or a map in a map."""
    value = {"S": "x"}
    for _ in range(levels):
        value = {"L": [value]} if kind == "L" else {"M": {"a": value}}
    return value


@case
def limits_of_names_and_levels():
    """As the engine behind DynamoDB Local 2.6 answers."""
    with Table(keys("p"), types(p="S")) as table:
        key = {"p": {"S": "a"}}
        for kind in "LM":
            table.call("put_item", Item=key | {"x": nested(31, kind)})
            invalid("Nesting Levels have exceeded supported limits", client.put_item, TableName=table.name, Item=key | {"x": nested(32, kind)})
            condition = {"ConditionExpression": "y = :y", "Item": key}
            fails("ConditionalCheckFailedException", "", client.put_item, TableName=table.name, ExpressionAttributeValues={":y": nested(32, kind)}, **condition)
            invalid("supported limit for key :y", client.put_item, TableName=table.name, ExpressionAttributeValues={":y": nested(33, kind)}, **condition)
        invalid("attribute name must not be empty", client.put_item, TableName=table.name, Item=key | {"m": {"L": [{"M": {"": {"S": "x"}}}]}})
        invalid("Empty attribute name for key #e", client.update_item, TableName=table.name, Key=key, UpdateExpression="SET m.#e = :v", ExpressionAttributeNames={"#e": ""}, ExpressionAttributeValues={":v": {"S": "x"}})
        invalid("Empty attribute name", client.get_item, TableName=table.name, Key=key, AttributesToGet=[""])
        invalid("Empty attribute name", client.put_item, TableName=table.name, Item=key, Expected={"": {"Exists": False}})
        invalid("two or more elements", client.put_item, TableName=table.name, Item=key, Expected={"y": {"Exists": False}}, ConditionalOperator="AND")
        deep = "NOT " * 200 + "y = :y"
        table.call("put_item", Item=key, ConditionExpression="NOT " + deep, ExpressionAttributeValues={":y": {"S": "x"}})
        for expression, text in (
            ("SET y = size(p)", "The function is not allowed in an update expression; function: size"),
            ("SET y = list_append(list_append(l, l), l)", "The function is not allowed to be used this way in an expression; function: list_append"),
            ("SET set = p", 'Syntax error; token: "set", near: "set set ="'.replace("set set", "SET set")),
        ):
            invalid(text, client.update_item, TableName=table.name, Key=key, UpdateExpression=expression)


@case
def transactions_tell_empty_keys_and_kinds_of_units():
    with Table() as table:
        key = {"p": {"S": "a"}, "c": {"S": "b"}}
        empty = {"p": {"S": ""}, "c": {"S": "b"}}
        invalid("cannot contain an empty string value. Key: p", client.transact_write_items, TransactItems=[{"Put": {"TableName": table.name, "Item": empty}}])
        invalid("cannot contain an empty string value. Key: p", client.transact_get_items, TransactItems=[{"Get": {"TableName": table.name, "Key": empty}}])
        put = [{"Put": {"TableName": table.name, "Item": key}}]
        written = client.transact_write_items(TransactItems=put, ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"][0]
        expect((written["WriteCapacityUnits"], written["Table"]["WriteCapacityUnits"]), (2.0, 2.0))
        get = [{"Get": {"TableName": table.name, "Key": key}}]
        read = client.transact_get_items(TransactItems=get, ReturnConsumedCapacity="TOTAL")["ConsumedCapacity"][0]
        expect((read["ReadCapacityUnits"], read["CapacityUnits"]), (2.0, 2.0))


@case
def compressed_requests():
    def ask(body, encoding):
        headers = {"X-Amz-Target": "DynamoDB_20120810.ListTables", "Content-Type": "application/x-amz-json-1.0", "Content-Encoding": encoding}
        request = botocore.awsrequest.AWSRequest("POST", client.meta.endpoint_url + "/", headers=headers, data=body)
        botocore.auth.SigV4Auth(boto3.Session().get_credentials(), "dynamodb", REGION).add_auth(request)
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(client.meta.endpoint_url).netloc)
        connection.request("POST", "/", body, dict(request.headers.items()))
        response = connection.getresponse()
        return response.status, response.read()

    for encoding, body in (
        ("gzip", gzip.compress(b'{"Limit":1}')),
        ("gzip", gzip.compress(b'{"Lim') + gzip.compress(b'it":1}')),
        ("deflate", zlib.compress(b'{"Limit":1}')),
    ):
        status, answer = ask(body, encoding)
        assert status == 200 and len(json.loads(answer)["TableNames"]) <= 1, (encoding, status, answer)
    for encoding, body in (("gzip", b"nothing"), ("gzip", gzip.compress(b"{}")[:-4]), ("gzip", gzip.compress(b"{}") + b"junk"), ("deflate", b"nothing")):
        status, answer = ask(body, encoding)
        assert status == 400 and b"SerializationException" in answer, (encoding, status, answer)
    # Small on its way, and more than a request may be.
    status, answer = ask(gzip.compress(b"{" + b" " * (17 << 20) + b"}"), "gzip")
    expect(status, 413)


def main():
    words = sys.argv[3:] if SERVER else sys.argv[1:]
    passed, failed = 0, 0
    for function in CASES:
        if words and not any(word in function.__name__ for word in words):
            continue
        try:
            function()
            passed += 1
        except Exception:
            failed += 1
            print(f"FAIL {function.__name__}")
            print("".join(traceback.format_exc().splitlines(keepends=True)[-6:]))
    print(f"{passed} passed, {failed} failed")
    if SERVER:
        SERVER.stop()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
