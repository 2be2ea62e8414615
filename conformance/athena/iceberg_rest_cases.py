"""pyiceberg's REST catalog against the server's: signed and with OAuth2's tokens, next to Athena's statements on the same tables."""
import datetime
import json
import os
import threading
import urllib.error
import urllib.request

import boto3
import pyarrow as pa
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import (CommitFailedException, NamespaceAlreadyExistsError, NamespaceNotEmptyError, NoSuchNamespaceError,
                                  NoSuchTableError, TableAlreadyExistsError)
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import SortField, SortOrder
from pyiceberg.transforms import BucketTransform, DayTransform, IdentityTransform
from pyiceberg.types import IntegerType, ListType, LongType, NestedField, StringType, TimestampType

from checks import BUCKET, DATABASE, Athena, case, check, close, equal, place, refused

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
KEY, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
REGION = os.environ.get("AWS_REGION", "us-east-1")
SIGNED = {"rest.sigv4-enabled": "true", "rest.signing-name": "glue", "rest.signing-region": REGION,
          "client.access-key-id": KEY, "client.secret-access-key": SECRET, "client.region": REGION}
TOKEN = {"credential": f"{KEY}:{SECRET}"}


def rest(**options):
    return load_catalog("rest", **{"type": "rest", "uri": f"{ENDPOINT}/iceberg", "warehouse": f"s3://{BUCKET}/rest", **options})


def fails(what, kind, function):
    try:
        seen = function()
    except kind:
        return
    except Exception as error:
        check(what, False, f"{type(error).__name__}: {error}")
    else:
        check(what, False, f"it answers {seen}")


place()
athena, catalog = Athena(), rest(**TOKEN)
SPACE, USER = f"{DATABASE}_rest", f"{DATABASE}-reader"


@case
def namespaces():
    """A namespace is a database: its location, comment and parameters."""
    catalog.create_namespace(SPACE, {"location": f"s3://{BUCKET}/spaces/{SPACE}", "comment": "by REST", "owner": "me"})
    fails("a namespace that is there", NamespaceAlreadyExistsError, lambda: catalog.create_namespace(SPACE))
    found = boto3.client("glue", region_name=REGION).get_database(Name=SPACE)["Database"]
    equal("the database", (found["LocationUri"], found["Description"], found["Parameters"]),
          (f"s3://{BUCKET}/spaces/{SPACE}", "by REST", {"owner": "me"}))
    equal("both are listed", {(DATABASE,), (SPACE,)} <= set(catalog.list_namespaces()), True)
    equal("a database has none within it", catalog.list_namespaces(SPACE), [])
    done = catalog.update_namespace_properties(SPACE, removals={"owner", "nothing"}, updates={"team": "data"})
    equal("what changed", (done.removed, done.updated, done.missing), (["owner"], ["team"], ["nothing"]))
    equal("its properties", catalog.load_namespace_properties(SPACE),
          {"location": f"s3://{BUCKET}/spaces/{SPACE}", "comment": "by REST", "team": "data"})
    fails("one that is not", NoSuchNamespaceError, lambda: catalog.load_namespace_properties("nowhere"))
    fails("two levels", NoSuchNamespaceError, lambda: catalog.load_namespace_properties(("a", "b")))


def fields(*more):
    return Schema(NestedField(1, "id", LongType(), required=True), NestedField(2, "kind", StringType(), doc="of fruit"),
                  NestedField(3, "at", TimestampType()), NestedField(4, "tags", ListType(5, StringType(), element_required=False)), *more,
                  identifier_field_ids=[1])


@case
def tables_by_rest():
    """What REST makes, Athena reads and changes, and the other way round."""
    spec = PartitionSpec(PartitionField(3, 1000, DayTransform(), "at_day"), PartitionField(1, 1001, BucketTransform(4), "id_bucket"))
    order = SortOrder(SortField(2, IdentityTransform()))
    table = catalog.create_table(f"{DATABASE}.fruit", fields(), partition_spec=spec, sort_order=order, properties={"owner": "me"})
    equal("its place, of the warehouse", table.location(), f"s3://{BUCKET}/rest/{DATABASE}.db/fruit")
    fails("a table that is there", TableAlreadyExistsError, lambda: catalog.create_table(f"{DATABASE}.fruit", fields()))
    fails("in a namespace that is not", NoSuchNamespaceError, lambda: catalog.create_table("nowhere.fruit", fields()))
    at = datetime.datetime(2024, 5, 1, 10)
    schema = table.schema().as_arrow()
    table.append(pa.Table.from_pylist([{"id": 1, "kind": "apple", "at": at, "tags": ["a", None]},
                                       {"id": 2, "kind": None, "at": None, "tags": None}], schema=schema))
    equal("Athena reads it", athena.rows("SELECT id, kind, at, tags FROM fruit ORDER BY id"),
          [["1", "apple", "2024-05-01 10:00:00.000000", "[a, null]"], ["2", None, None, None]])
    athena.run("INSERT INTO fruit VALUES (3, 'pear', TIMESTAMP '2024-05-02 00:00:00', ARRAY[])")
    athena.run("DELETE FROM fruit WHERE id = 2")
    athena.run("UPDATE fruit SET kind = upper(kind) WHERE id = 1")
    table.refresh()
    equal("rows after Athena's statements", sorted((row["id"], row["kind"]) for row in table.scan().to_arrow().to_pylist()),
          [(1, "APPLE"), (3, "pear")])
    with table.update_schema() as update:
        update.add_column("price", IntegerType(), doc="in cents")
        update.rename_column("kind", "sort")
    with table.update_spec() as update:
        update.add_identity("sort")
    with table.transaction() as change:
        change.set_properties({"note": "x"})
        change.remove_properties("owner")
    table.append(pa.Table.from_pylist([{"id": 4, "sort": "fig", "at": at, "tags": [], "price": 7}], schema=table.schema().as_arrow()))
    equal("the columns of both", athena.rows("SELECT id, sort, price FROM fruit ORDER BY id"),
          [["1", "APPLE", None], ["3", "pear", None], ["4", "fig", "7"]])
    again = rest(**SIGNED).load_table(f"{DATABASE}.fruit")
    equal("its properties", again.properties, {"note": "x"})
    equal("its spec", [f"{field.name}={field.transform}" for field in again.spec().fields], ["at_day=day", "id_bucket=bucket[4]", "sort=identity"])
    equal("its sort order", [str(field.transform) for field in again.sort_order().fields], ["identity"])
    columns = boto3.client("glue", region_name=REGION).get_table(DatabaseName=DATABASE, Name="fruit")["Table"]["StorageDescriptor"]["Columns"]
    equal("the catalog's columns", [(column["Name"], column["Type"]) for column in columns],
          [("id", "bigint"), ("sort", "string"), ("at", "timestamp"), ("tags", "array<string>"), ("price", "int")])
    athena.run(f"CREATE TABLE made (id bigint, name string) LOCATION 's3://{BUCKET}/made/' TBLPROPERTIES ('table_type'='ICEBERG')")
    athena.run("INSERT INTO made VALUES (1, 'x')")
    equal("a table of Athena's", catalog.load_table(f"{DATABASE}.made").scan().to_arrow().to_pylist(), [{"id": 1, "name": "x"}])
    athena.run(f"CREATE EXTERNAL TABLE plain (x int) LOCATION 's3://{BUCKET}/plain/'")
    equal("only Iceberg's are listed", sorted(catalog.list_tables(DATABASE)), [(DATABASE, "fruit"), (DATABASE, "made")])
    fails("a table of another kind", NoSuchTableError, lambda: catalog.load_table(f"{DATABASE}.plain"))


@case
def branches_and_history():
    """Snapshots, branches, tags and their expiry."""
    table = catalog.load_table(f"{DATABASE}.made")
    first = table.current_snapshot().snapshot_id
    table.append(pa.Table.from_pylist([{"id": 2, "name": "y"}], schema=table.schema().as_arrow()))
    table.manage_snapshots().create_tag(first, "before").create_branch(first, "work").commit()
    equal("references", sorted(table.refs()), ["before", "main", "work"])
    equal("Athena's", sorted(row[0] for row in athena.rows('SELECT name FROM "made$refs"')), ["before", "main", "work"])
    equal("time travel", athena.rows(f"SELECT id FROM made FOR VERSION AS OF {first}"), [["1"]])
    table.manage_snapshots().remove_tag("before").remove_branch("work").commit()
    table.manage_snapshots().rollback_to_snapshot(first).commit() if hasattr(table.manage_snapshots(), "rollback_to_snapshot") else None
    table.maintenance.expire_snapshots().by_id(first).commit() if table.current_snapshot().snapshot_id != first else None
    equal("what is left", len(table.metadata.snapshots) >= 1, True)


@case
def who_is_first():
    """Of two that change the same state, one is told; appends of many at once all count."""
    one, two = (catalog.load_table(f"{DATABASE}.fruit") for _ in range(2))
    with one.transaction() as change:
        change.delete("id = 3")
    fails("what builds on the state before", CommitFailedException, lambda: two.overwrite(two.scan().to_arrow()))
    athena.run(f"CREATE TABLE many (id bigint) LOCATION 's3://{BUCKET}/many/' TBLPROPERTIES ('table_type'='ICEBERG')")
    wrong = []

    def change(n):
        try:
            table = rest(**SIGNED).load_table(f"{DATABASE}.many")
            with table.transaction() as transaction:
                transaction.set_properties({f"key{n}": "x"})
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=change, args=[n]) for n in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    equal("no change fails", wrong, [])
    kept = catalog.load_table(f"{DATABASE}.many").properties
    equal("and none is lost", sorted(key for key in kept if key.startswith("key")), [f"key{n}" for n in range(8)])


@case
def names_and_ends():
    """Renamed, registered, dropped and purged."""
    table = catalog.create_table(f"{SPACE}.old", Schema(NestedField(1, "x", LongType())))
    equal("the namespace's place", table.location(), f"s3://{BUCKET}/spaces/{SPACE}/old")
    table.append(pa.Table.from_pylist([{"x": 5}], schema=table.schema().as_arrow()))
    catalog.rename_table(f"{SPACE}.old", f"{DATABASE}.new")
    fails("under its old name", NoSuchTableError, lambda: catalog.load_table(f"{SPACE}.old"))
    fails("over one that is there", TableAlreadyExistsError, lambda: catalog.rename_table(f"{DATABASE}.made", f"{DATABASE}.new"))
    equal("under its new name", athena.rows("SELECT x FROM new"), [["5"]])
    where = catalog.load_table(f"{DATABASE}.new").metadata_location
    catalog.drop_table(f"{DATABASE}.new")
    equal("it is gone", catalog.table_exists(f"{DATABASE}.new"), False)
    catalog.register_table(f"{SPACE}.back", where)
    equal("its files were not", catalog.load_table(f"{SPACE}.back").scan().to_arrow().to_pylist(), [{"x": 5}])
    fails("a namespace with tables", NamespaceNotEmptyError, lambda: catalog.drop_namespace(SPACE))
    catalog.purge_table(f"{SPACE}.back")
    left = boto3.client("s3", region_name=REGION).list_objects_v2(Bucket=BUCKET, Prefix=f"spaces/{SPACE}/old")
    equal("its files are now", left["KeyCount"], 0)
    catalog.drop_namespace(SPACE)
    fails("the namespace", NoSuchNamespaceError, lambda: catalog.load_namespace_properties(SPACE))
    with catalog.create_table_transaction(f"{DATABASE}.staged", Schema(NestedField(1, "x", LongType()))) as staged:
        staged.append(pa.Table.from_pylist([{"x": 1}], schema=pa.schema([("x", pa.int64())])))
    equal("a table that came with its rows", athena.rows("SELECT x FROM staged"), [["1"]])


@case
def callers():
    """Who may not, and who is nobody."""
    iam = boto3.client("iam", region_name=REGION)
    iam.create_user(UserName=USER)
    key = iam.create_access_key(UserName=USER)["AccessKey"]
    glue = ["glue:GetDatabase", "glue:GetDatabases", "glue:GetTable", "glue:GetTables"]
    iam.put_user_policy(UserName=USER, PolicyName="read", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": [*glue, "s3:GetObject", "s3:ListBucket"], "Resource": "*"}]}))
    reader = rest(credential=f"{key['AccessKeyId']}:{key['SecretAccessKey']}")
    table = reader.load_table(f"{DATABASE}.made")
    check("a reader reads with the keys that come with the table", len(table.scan().to_arrow()) >= 1)
    equal("they are its own", table.io.properties["s3.access-key-id"].startswith("ASIA"), True)
    owner = rest(**TOKEN, **{"header.X-Iceberg-Access-Delegation": "vended-credentials"}).load_table(f"{DATABASE}.made")
    equal("the owner gets none", "s3.access-key-id" in owner.config, False)
    refused("a reader's change", "not authorized", lambda: table.append(table.scan().to_arrow()))
    refused("a reader's table", "glue:CreateTable", lambda: reader.create_table(f"{DATABASE}.mine", Schema(NestedField(1, "x", LongType())), location=f"s3://{BUCKET}/mine"))
    refused("a wrong secret", "invalid_client", lambda: rest(credential=f"{key['AccessKeyId']}:wrong"))
    for headers in ({}, {"Authorization": "Bearer x.y.z"}):
        try:
            urllib.request.urlopen(urllib.request.Request(f"{ENDPOINT}/iceberg/v1/config", headers=headers))
            check("nobody is let in", False)
        except urllib.error.HTTPError as error:
            equal("nobody", error.code, 401)
    iam.delete_user_policy(UserName=USER, PolicyName="read")
    refused("a reader without its policy", "not authorized", lambda: reader.load_table(f"{DATABASE}.made"))
    iam.delete_access_key(UserName=USER, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=USER)


close()
