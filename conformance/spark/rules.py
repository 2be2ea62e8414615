"""Rules of the runtime of Glue jobs that a differential case cannot hold: what is asked of the catalog, what is refused, what `auto` takes for
proven. What Apache Spark answers stands here as it answered (3.5.9).

A script of a job, on Sail or on Apache Spark (`conformance/glue/run.py rules_of_the_runtime`); in the end it tells which rules do not hold:

    PYTHONPATH=runtimes/spark LAKERUN_ENGINE=sail python -m lakerun_spark.launcher glueetl conformance/spark/rules.py --JOB_NAME rules [--only NAME]
"""
import datetime
import json
import os
import sys
import traceback
import uuid
from decimal import Decimal

import boto3
from awsglue import context, dynamicframe, jdbc, sources
from awsglue.context import GlueContext
from awsglue.dynamicframe import DynamicFrame
from lakerun_spark import decide, s3
from pyspark.context import SparkContext

RULES = {}
SAIL = os.environ.get("LAKERUN_ENGINE") == "sail"
BUCKET = DATABASE = "rules" + uuid.uuid4().hex[:10]
glue, store = boto3.client("glue"), boto3.client("s3")
job = GlueContext(SparkContext.getOrCreate())
spark = job.spark_session


def rule(function):
    RULES[function.__name__] = function
    return function


def of_sail(function):
    """A rule of what stands around Sail."""
    return rule(function) if SAIL else function


def equal(found, wanted):
    if found != wanted:
        raise AssertionError(f"found {found!r}, wanted {wanted!r}")


def refused(call, *words):
    """An error that holds these words."""
    try:
        found = call()
    except Exception as error:  # noqa: BLE001 - of whatever class
        missing = [word for word in words if word not in f"{type(error).__name__}: {error}"]
        if missing:
            raise AssertionError(f"{type(error).__name__}: {error} does not say {missing}") from error
        return
    raise AssertionError(f"answered {found!r}")


def put(name, body):
    store.put_object(Bucket=BUCKET, Key=name, Body=body.encode() if isinstance(body, str) else body)
    return f"s3://{BUCKET}/{name}"


def below(folder):
    found = store.list_objects_v2(Bucket=BUCKET, Prefix=folder).get("Contents", [])
    return {item["Key"]: store.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read() for item in found}


def rows(frame):
    frame = frame.toDF() if isinstance(frame, DynamicFrame) else frame
    return sorted(([*row] for row in frame.collect()), key=str)


def shape(frame):
    return (frame.toDF() if isinstance(frame, DynamicFrame) else frame).schema.simpleString()


def dynamic(data, schema):
    return DynamicFrame.fromDF(spark.createDataFrame(data, schema), job, "given")


def table(name, columns, folder, serde="org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe", keys=(), details=None, storage=None, **parameters):
    made = {"Name": name, "TableType": "EXTERNAL_TABLE", "Parameters": parameters, "PartitionKeys": [{"Name": k, "Type": t} for k, t in keys],
            "StorageDescriptor": {"Columns": [{"Name": k, "Type": t} for k, t in columns], "Location": f"s3://{BUCKET}/{folder}/",
                                  "SerdeInfo": {"SerializationLibrary": serde, "Parameters": details or {}}, **(storage or {})}}
    glue.create_table(DatabaseName=DATABASE, TableInput=made)
    return name


def described(name):
    return glue.get_table(DatabaseName=DATABASE, Name=name)["Table"]


class Moved(Exception):
    """The run would have moved to Apache Spark."""


def moves(work):
    """Why a run of `auto` moves to Apache Spark when it does this; nothing where it stays on Sail."""
    before, finish = dict(decide._state), decide._finish

    def moved(error, reason=None):
        raise Moved(reason or error)

    decide._state.update(moves=True, effect=None)
    decide._finish = moved
    try:
        work()
    except Moved as why:
        return str(why)
    finally:
        decide._finish = finish
        decide._state.clear()
        decide._state.update(before)
    return None


# files


@rule
def types_of_partitions():
    """As Apache Spark 3.5 infers them."""
    for values, wanted in (
        (["2024_01"], "string"), (["1_000"], "string"), (["1"], "int"), (["007", "-0"], "int"), (["1", "12345678901"], "bigint"), (["2147483648"], "bigint"),
        (["-9223372036854775808"], "bigint"), (["12345678901234567890"], "decimal(20,0)"), (["1", "12345678901234567890"], "decimal(20,0)"), (["1" * 38], "decimal(38,0)"),
        (["1" * 39], "double"), (["1.5"], "double"), ([".5"], "double"), (["1", "1.5"], "double"), (["12345678901", "1.5"], "string"),
        (["1.5", "12345678901234567890"], "string"), (["2024-01-01"], "date"), (["2024-02-30"], "string"), (["2024-1-1"], "string"), (["2024-01"], "string"),
        (["2024-01-01 10:00:00.5"], "timestamp"), (["2024-01-01 10:00"], "string"), (["2024-01-01T10:00:00"], "string"), (["2024-01-01", "2024-01-01 10:00:00"], "timestamp"),
        (["1", "2024-01-01"], "string"), (["1", "a"], "string"), (["0x10"], "string"), (["true"], "string"), (["nan"], "string"), (["3d", "a"], "string"),
    ):
        equal((values, s3._type_of(values)), (values, wanted))


@of_sail
def odd_partitions_are_apache_sparks():
    for values in (["3d"], ["1f"], ["NaN"], ["Infinity"], ["1e5"], ["1."], [" 1"], ["1 "], ["\u0663"], []):
        equal((values, bool(moves(lambda: s3._type_of(values)))), (values, True))
        refused(lambda: s3._type_of(values), "NotImplementedError")


@rule
def folders_that_look_like_numbers():
    put("underscores/month=2024_01/a.json", '{"v":1}\n')
    put("underscores/month=2024_02/a.json", '{"v":2}\n')
    equal(rows(spark.read.json(f"s3://{BUCKET}/underscores/")), [[1, "2024_01"], [2, "2024_02"]])


@rule
def empty_lines_before_a_header():
    for at, body in enumerate(("\n\nid,n\n\n1,a\n", "\r\nid,n\r\n1,a\r\n", "  \nid,n\n1,a\n   \n")):
        path = put(f"headers/{at}/a.csv", body)
        equal(rows(spark.read.csv(path, header=True)), [["1", "a"]])
        equal(rows(spark.read.csv(path, header=True, inferSchema=True)), [[1, "a"]])
        equal(rows(spark.read.schema("id int, n string").csv(path, header=True)), [[1, "a"]])
    equal(rows(spark.read.csv(put("headers/m/a.csv", "\n\nid,n\n1,a\n"), header=True, multiLine=True)), [["1", "a"]])


@of_sail
def contents_that_move():
    """Noted by the separator that the reader was given."""
    for at, (body, options, wanted) in enumerate((
        ("id,v\n1,1.5d\n", {}, "data:csv:suffix"), ("id;v;w\n1;1.5d;x\n", {"sep": ";"}, "data:csv:suffix"), ("id\tv\n1\t3f\n", {"sep": "\\t"}, "data:csv:suffix"),
        ("id|v\n1|\"2d\"\n", {"delimiter": "|"}, "data:csv:suffix"), ("id,v\n \t\n1,2\n", {}, "data:csv:blankline"), ("id;v\n1;a,1d,b\n", {"sep": ";"}, None),
        ("id,v\n1,2\n", {}, None),
    )):
        path = put(f"contents/{at}.csv", body)
        equal((body, moves(lambda: spark.read.options(header=True, **options).csv(path))), (body, wanted))


@rule
def objects_without_fields():
    """Apache Spark's inference leaves them out."""
    for at, (body, wanted) in enumerate((
        ('{"a":{},"b":1}\n', "struct<b:bigint>"), ('{"a":[{}],"b":1}\n', "struct<b:bigint>"), ('{"a":{"x":{}},"b":1}\n', "struct<b:bigint>"),
        ('{"a":[[{}]],"b":1}\n', "struct<b:bigint>"), ('{"a":{"x":{},"y":1},"b":1}\n', "struct<a:struct<y:bigint>,b:bigint>"), ('{"a":[],"b":1}\n', "struct<a:array<string>,b:bigint>"),
        ('{"a":{},"b":1}\n{"a":1,"b":2}\n', "struct<a:string,b:bigint>"), ('{"a":[{},{"x":1}],"b":1}\n', "struct<a:array<struct<x:bigint>>,b:bigint>"),
    )):
        equal((body, shape(spark.read.json(put(f"void/{at}.json", body)))), (body, wanted))


@rule
def choices_of_records():
    """The records are those of the JSON reader: none of a blank line, each of an array's."""
    put("choices/a.json", '{"v":1,"t":"NaN","value":"k"}\n\n   \n[{"v":"x","t":"y","value":"l"},{"v":3,"t":"z"}]\n{"v":null}\nbroken\n[]\n')
    found = job.create_dynamic_frame.from_options("s3", {"paths": [f"s3://{BUCKET}/choices/"]}, "json").toDF()
    equal(shape(found), "struct<_corrupt_record:string,t:string,v:struct<int:int,string:string>,value:string>")
    equal(sorted(([row.t, row.v and [*row.v], row.value, row._corrupt_record] for row in found.collect()), key=str),
          [["NaN", [1, None], "k", None], ["y", [None, "x"], "l", None], ["z", [3, None], None, None], [None, None, None, "broken"], [None, None, None, None]])


@rule
def a_first_line_that_is_skipped():
    put("skipped/dt=7/a.csv", "id,n\n1,a\n")
    found = job.create_dynamic_frame.from_options("s3", {"paths": [f"s3://{BUCKET}/skipped/"]}, "csv", format_options={"skipFirst": True, "withHeader": False}).toDF()
    equal((found.columns, rows(found)), (["col0", "col1", "dt"], [["1", "a", 7]]))


# frames


@rule
def fields_in_backticks():
    frame = dynamic([(1, (2, 3), 4)], "`user.ssn` int, o struct<`b.c`:int,c:int>, k int")
    for path in ("`user.ssn`", "user.ssn"):
        equal(frame.drop_fields([path]).toDF().columns, ["o", "k"])
    equal(shape(frame.drop_fields(["o.`b.c`"])), "struct<user.ssn:int,o:struct<c:int>,k:int>")
    parts = frame.split_fields(["`user.ssn`"])
    equal([parts[name].toDF().columns for name in parts.keys()], [["user.ssn"], ["o", "k"]])


@rule
def records_keep_their_types():
    kinds = "i int, d decimal(10,2), t map<string,int>, f float, day date, o struct<a:smallint,b:string>, l array<int>, n int"
    frame = dynamic([(1, Decimal("1.50"), {"k": 1}, 1.5, datetime.date(2024, 1, 1), (1, "x"), [1, 2], None)], kinds)

    def more(record):
        return {**record, "made": {"x": 1, "y": "s"}, "long": Decimal("123456789012345678901234"), "got": record["t"]["k"]}

    found = frame.map(more)
    equal(shape(found), "struct<d:decimal(10,2),day:date,f:float,got:bigint,i:int,l:array<int>,long:decimal(38,14),made:struct<x:bigint,y:string>,n:int,"
                        "o:struct<a:smallint,b:string>,t:map<string,int>>")
    equal(found.toDF().first().asDict(True), {**frame.toDF().first().asDict(True), "made": {"x": 1, "y": "s"}, "long": Decimal("123456789012345678901234"), "got": 1})
    equal(shape(frame.map(lambda record: {"i": record["i"] + 2**40, "f": record["f"] / 7, "d": record["d"] / 8})), "struct<d:decimal(38,18),f:double,i:bigint>")
    equal(frame.filter(lambda record: record["t"]["k"] == 1).count(), 1)


@rule
def choices_in_arrays():
    frame = dynamic([([("1.5", 1), ("$2", 2), None],)], "items array<struct<price:string,q:int>>")
    found = frame.resolveChoice(specs=[("items[].price", "cast:double")])
    equal(shape(found), "struct<items:array<struct<price:double,q:int>>>")
    equal(rows(found), [[[(1.5, 1), (None, 2), None]]])
    refused(lambda: frame.resolveChoice(specs=[("items[].price", "make_cols")]), "make_cols")
    equal(shape(frame.resolveChoice(specs=[("other[].price", "cast:int")])), shape(frame))


@rule
def choices_by_the_catalog():
    """Only choices are cast, whatever the case of their names."""
    put("chosen/a.json", '{"Price":1,"code":"A1"}\n{"Price":"2","code":"B2"}\n')
    table("chosen", [("price", "int"), ("code", "int")], "chosen", "org.openx.data.jsonserde.JsonSerDe")
    frame = job.create_dynamic_frame.from_options("s3", {"paths": [f"s3://{BUCKET}/chosen/"]}, "json")
    found = frame.resolveChoice(choice="match_catalog", database=DATABASE, table_name="chosen")
    equal((shape(found), rows(found)), ("struct<Price:int,code:string>", [[1, "A1"], [2, "B2"]]))


# the catalog


@rule
def formats_that_keep_logs():
    """All files at the location are not the table: neither read nor written."""
    parquet = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    put("logs/a.csv", "1\n")
    for at, (word, more) in enumerate((
        ("iceberg", {"table_type": "ICEBERG"}), ("delta", {"classification": "delta"}), ("delta", {"table_type": "DELTA", "classification": "parquet"}),
        ("delta", {"spark.sql.sources.provider": "delta"}), ("hudi", {"storage": {"InputFormat": "org.apache.hudi.hadoop.HoodieParquetInputFormat"}}),
        ("symlink", {"storage": {"InputFormat": "org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat"}}),
    )):
        name = table(f"log{at}", [("id", "int")], "logs", parquet, **more)
        refused(lambda: job.create_data_frame.from_catalog(database=DATABASE, table_name=name), "NotImplementedError", word)
        refused(lambda: job.write_dynamic_frame.from_catalog(dynamic([(1,)], "id int"), DATABASE, name), "NotImplementedError", word)
    table("unknown", [("id", "int")], "nothing", "com.example.Serde")
    refused(lambda: job.create_data_frame.from_catalog(database=DATABASE, table_name="unknown"), "NotImplementedError", "com.example.serde")
    table("lines", [("id", "int")], "logs", **{"skip.header.line.count": "2"})
    refused(lambda: job.create_data_frame.from_catalog(database=DATABASE, table_name="lines"), "NotImplementedError", "skip.header.line.count")


@rule
def predicates_without_partitions():
    put("whole/a.csv", "1\n2\n")
    table("whole", [("id", "int")], "whole")
    for more in ({"push_down_predicate": "id = 1"}, {"additional_options": {"catalogPartitionPredicate": "id='1'"}}):
        refused(lambda: job.create_dynamic_frame.from_catalog(database=DATABASE, table_name="whole", **more), "can not be resolved against partition columns: []")


@rule
def headers_as_the_table_has_them():
    """What is written to a table is read from it again, with a header or without."""
    for lines, first in (("0", b"1,a"), ("1", b"id,n")):
        name = table(f"headed{lines}", [("id", "int"), ("n", "string")], f"headed{lines}", details={"field.delim": ","}, **({"skip.header.line.count": lines} if lines == "1" else {}))
        job.write_dynamic_frame.from_catalog(dynamic([(1, "a")], "id int, n string"), DATABASE, name)
        equal({body.splitlines()[0] for body in below(f"headed{lines}/").values() if body}, {first})
        equal(rows(job.create_dynamic_frame.from_catalog(database=DATABASE, table_name=name)), [[1, "a"]])


def sink(folder, kind, name, frame, keys=(), **more):
    made = job.getSink("s3", path=f"s3://{BUCKET}/{folder}/", enableUpdateCatalog=True, partitionKeys=list(keys), **more)
    made.setFormat(kind)
    made.setCatalogInfo(catalogDatabase=DATABASE, catalogTableName=name)
    return made.writeFrame(frame)


@rule
def storage_of_sinks():
    """The catalog says of the files what they are."""
    for kind, mark in (("orc", "OrcSerde"), ("avro", "AvroSerDe"), ("parquet", "ParquetHiveSerDe"), ("json", "JsonSerDe"), ("csv", "LazySimpleSerDe")):
        found = context._storage(kind, {})
        equal((kind, found["SerdeInfo"]["SerializationLibrary"].rpartition(".")[2]), (kind, mark))
        equal((kind, "TextInputFormat" in found["InputFormat"]), (kind, kind in ("json", "csv")))
        equal((kind, "skip.header.line.count" in found.get("Parameters", {})), (kind, kind == "csv"))


@rule
def sinks_that_update_the_catalog():
    """Types become those that were written; only partitions that were written are registered."""
    sink("updated", "json", "updated", dynamic([(1, "a"), (2, "b")], "v int, k string"), ["k"])
    equal([p["Values"] for p in glue.get_partitions(DatabaseName=DATABASE, TableName="updated")["Partitions"]], [["a"], ["b"]])
    glue.delete_partition(DatabaseName=DATABASE, TableName="updated", PartitionValues=["a"])
    sink("updated", "json", "updated", dynamic([(2**40, "c")], "v bigint, k string"), ["k"])
    equal([p["Values"] for p in glue.get_partitions(DatabaseName=DATABASE, TableName="updated")["Partitions"]], [["b"], ["c"]])
    equal(described("updated")["StorageDescriptor"]["Columns"], [{"Name": "v", "Type": "bigint"}])


@rule
def tables_of_others_in_dynamodb():
    for option in ("dynamodb.sts.roleArn", "dynamodb.sts.region"):
        refused(lambda: job.write_dynamic_frame.from_options(dynamic([(1,)], "id int"), "dynamodb", {"dynamodb.output.tableName": "none", option: "x"}),
                "NotImplementedError", option)


@rule
def tables_of_databases():
    """The location's own database, whatever the connection's is."""
    for location, wanted in (("sales.orders", {"dbtable": "orders", "database": "sales"}), ("sales.public.orders", {"dbtable": "public.orders", "database": "sales"}), ("orders", {"dbtable": "orders"})):
        found = context._database_table({"Parameters": {"connectionName": "c"}, "StorageDescriptor": {"Location": location}})
        equal(found, {"connectionName": "c", **wanted})


def main():
    only = [sys.argv[at + 1] for at, word in enumerate(sys.argv[:-1]) if word == "--only"]
    store.create_bucket(Bucket=BUCKET)
    glue.create_database(DatabaseInput={"Name": DATABASE})
    failed = []
    for name, holds in RULES.items():
        if only and name not in only:
            continue
        try:
            holds()
        except Exception:  # noqa: BLE001 - the next rule shall be tried too
            failed.append(name)
            print(f"FAIL  {name}\n{traceback.format_exc()}", file=sys.stderr, flush=True)
    print("TOLD " + json.dumps({"held": (len(only) or len(RULES)) - len(failed), "failed": failed}))


main()
