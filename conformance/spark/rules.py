"""Rules of the runtime of Glue jobs that a differential case cannot hold: what is asked of the catalog, what is refused, what `auto` takes for
proven. What Apache Spark answers stands here as it answered (3.5.9).

A script of a job, on Sail or on Apache Spark (`conformance/glue/run.py rules_of_the_runtime`); in the end it tells which rules do not hold:

    PYTHONPATH=runtimes/spark LAKERUN_ENGINE=sail python -m lakerun_spark.launcher glueetl conformance/spark/rules.py --JOB_NAME rules [--only NAME]
"""
import datetime
import json
import os
import subprocess
import sys
import tempfile
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
    """Whatever the case of their names; a column that would lose values stays what it is."""
    put("chosen/a.json", '{"Price":1,"code":"A1","n":"7"}\n{"Price":"2","code":"B2"}\n')
    table("chosen", [("price", "int"), ("code", "int"), ("n", "bigint")], "chosen", "org.openx.data.jsonserde.JsonSerDe")
    frame = job.create_dynamic_frame.from_options("s3", {"paths": [f"s3://{BUCKET}/chosen/"]}, "json")
    found = frame.resolveChoice(choice="match_catalog", database=DATABASE, table_name="chosen")
    equal((shape(found), rows(found)), ("struct<Price:int,code:string,n:bigint>", [[1, "A1", 7], [2, "B2", None]]))


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


@rule
def connections_with_tls():
    """JDBC_ENFORCE_SSL is the driver's own property, or refused by name."""
    for url, wanted in (("jdbc:postgresql://h:5432/d", {"sslmode": "require"}), ("jdbc:mysql://h/d", {"sslMode": "REQUIRED"})):
        equal(jdbc._tls("c", {"JDBC_ENFORCE_SSL": "true"}, url), wanted)
        equal(jdbc._tls("c", {"JDBC_ENFORCE_SSL": "false"}, url), {})
    refused(lambda: jdbc._tls("c", {"JDBC_ENFORCE_SSL": "TRUE"}, "jdbc:sqlserver://h;databaseName=d"), "JDBC_ENFORCE_SSL")
    refused(lambda: jdbc._tls("c", {"CUSTOM_JDBC_CERT": "s3://b/c.pem"}, "jdbc:postgresql://h/d"), "CUSTOM_JDBC_CERT")
    for url, database, wanted in (
        ("jdbc:postgresql://h:5432/hr?sslmode=require&a=/b", "sales", "jdbc:postgresql://h:5432/sales?sslmode=require&a=/b"), ("jdbc:mysql://h/hr", "sales", "jdbc:mysql://h/sales"),
        ("jdbc:mysql://h", "sales", "jdbc:mysql://h/sales"), ("jdbc:sqlserver://h;databaseName=hr", "sales", "jdbc:sqlserver://h;databaseName=hr"),
    ):
        equal(jdbc._of_database(url, database), wanted)


# what auto takes for proven


def unproven(frame):
    """The constructs of a frame's plan that would move a run."""
    from lakerun_spark import mend

    plan = frame._plan.to_proto(spark.client)
    mend.plan(spark.client, plan)
    return decide.constructs(plan, lambda relation: mend.columns(spark.client, relation)) - decide.proven()


@of_sail
def what_nobody_has_looked_at_is_not_proven():
    for text in ("this is !! not sql ((", "insert overwrite directory 's3://b/x' using parquet select 1", "select x:a.b from t",
                 "create temporary view v using csv options (path 's3://b/x', header 'true')", "create or replace temporary view v using json options (path 's3://b/x')",
                 "show partitions t", "show create table t"):
        equal((text, bool(decide._sql(text) - decide.proven())), (text, True))
    for construct in ("sql:unread", "function:upper(?)", "function:f(?,i)", "sql:using:csv", "regex:other"):
        equal((construct, construct in decide.proven(), decide.unknowable(construct)), (construct, False, True))


@of_sail
def decimals_in_sql_text():
    """Also where none comes out."""
    spark.createDataFrame([(1, Decimal("10.50"), 3, 1.5, [Decimal("1.5")])], "id int, price decimal(10,2), qty int, f double, l array<decimal(5,2)>").createOrReplaceTempView("sales")
    sales = spark.table("sales")
    for text, wanted in (
        ("select id from sales where price / qty > 1.5D", "sql:Div:d"), ("select id, cast(price * qty as string) r from sales", "sql:Mul:d"),
        ("select id from sales s join sales t using (id) where s.price / 2 > 1", "sql:Div:d"), ("with x as (select price p from sales) select count(1) c from x where p / 3 > 1", "sql:Div:d"),
        ("select id from sales where cast(qty as decimal(5,1)) / 3 > 1", "sql:Div:d"), ("select id from sales where l[0] / 3 > 1", "sql:Div:d"), ("select id from sales where qty / 1.5 > 1", "sql:Div:d"),
    ):
        equal((text, wanted in unproven(spark.sql(text))), (text, True))
    for text in ("price / qty > 1.5D", "price * price >= 100"):
        equal((text, bool(unproven(sales.filter(text).select("id")) & {"sql:Div:d", "sql:Mul:d"})), (text, True))
    equal("sql:Div:d" in unproven(sales.selectExpr("cast(price / qty as double) r")), True)
    for text in ("select id from sales where qty / 2 > 1", "select id from sales where f / qty > 1", "select f * 1.5 r from sales", "select sum(qty) r, avg(f) a from sales"):
        equal((text, {one for one in unproven(spark.sql(text)) if one.endswith(":d")}), (text, set()))


@of_sail
def patterns_are_javas():
    """Regular expressions that mean the same to both engines stay, written anew where they have to be."""
    from lakerun_spark import mend
    from pyspark.sql import functions as F

    for pattern, wanted in ((r"\d+", "[0-9]+"), (r"[^\w ]", "[^A-Za-z0-9_ ]"), (r"\s", "[ \t\n\x0b\f\r]"), (".", "[^\n\r\u0085\u2028\u2029]"), (r"a\.b", r"a\.b"), ("[a-z]{2,3}?", "[a-z]{2,3}?"),
                            (r"\bx", None), ("(?i)x", None), ("(?<=a)b", None), ("x$", None), ("a++", None), ("[a&&b]", None), (r"[^\S]", None), ("[[a]]", None), ("é|x", "é|x"), (r"\<", None)):
        equal((pattern, mend.java(pattern)), (pattern, wanted))
    for text, groups, wanted in (("$1_$2", 2, "${1}_${2}"), ("$12", 1, "${1}2"), ("$2", 1, None), (r"\1", 1, None), ("${n}", 1, None), ("$0", 0, "${0}"), ("-", 0, "-")):
        equal((text, mend._replacement(text, groups)), (text, wanted))
    frame = spark.createDataFrame([("José x",), ("a\u00a0b c",), ("12\n",), ("\u0663",)], "v string")
    for made, wanted in ((F.regexp_replace("v", r"[^\w ]", ""), ["Jos x", "ab c", "12", ""]), (F.split("v", r"\s+"), [["José", "x"], ["a\u00a0b", "c"], ["12", ""], ["\u0663"]]),
                         (F.col("v").rlike(r"^\d+$"), [False, False, True, False]), (F.regexp_replace("v", "(a)(.)", "$2_$1"), ["José x", "\u00a0_ab c", "12\n", "\u0663"])):
        equal([row[0] for row in frame.select(made.alias("v")).collect()], wanted)
        equal(unproven(frame.select(made.alias("v"))) & {"regex:other"}, set())
    for made in (F.regexp_replace("v", "b*", "x"), F.regexp_replace("v", "x$", ""), F.regexp_replace("v", F.col("v"), F.lit("")), F.split("v", "(?=b)"), F.regexp_replace("v", "a", r"\$")):
        equal("regex:other" in unproven(frame.select(made.alias("v"))), True)
    for text, wanted in ((r"select regexp_replace(v, '\\d', '') r from t", True), ("select regexp_replace(v, '[0-9]', '') r from t", False), ("select v rlike '^a' r from t", False),
                         ("select regexp_replace(v, '(a)', '$1x') r from t", True), ("select v rlike v r from t", True), ("select split(v, '.') r from t", True)):
        equal((text, "regex:other" in decide._sql(text)), (text, wanted))
    equal([row[0] for row in spark.createDataFrame([("\u00a05",), (" 5",), ("\u0663",), ("5.5",)], "v string").select(F.col("v").cast("int").alias("v")).collect()], [None, 5, None, 5])


@of_sail
def patterns_of_dates_are_each_proven():
    from pyspark.sql import functions as F

    frame = spark.createDataFrame([(datetime.datetime(2024, 2, 29),)], "t timestamp")
    equal(unproven(frame.select(F.date_format("t", "yyyy-MM-dd").alias("r"))), set())
    equal(unproven(frame.select(F.date_format("t", "nnnn").alias("r"))), {"format:date_format:nnnn"})
    equal(unproven(frame.select(F.to_date(F.lit("x"), "qqq yyyy").alias("r"))), {"format:try_to_timestamp=qqq yyyy"})
    equal(unproven(frame.select(F.to_timestamp(F.lit("x"), "yyyy-MM-dd HH:mm:ss").alias("r"))), set())


@of_sail
def options_by_their_letters():
    """DD are days of the year, mm minutes; true and TRUE are the same."""
    for name, value, wanted in (("dateFormat", "DD/MM/YYYY", "reader:csv:dateformat=DD/MM/YYYY"), ("sep", "X", "reader:csv:sep=X"), ("header", "TRUE", "reader:csv:header=true"),
                                ("mode", "PERMISSIVE", "reader:csv:mode=permissive"), ("timestampFormat", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "reader:csv:timestampformat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX")):
        equal(decide._option("reader", "csv", name, value), wanted)
    equal("reader:csv:dateformat=dd/MM/yyyy" in decide.proven(), True)
    equal("reader:csv:dateformat=DD/MM/YYYY" in decide.proven(), False)


# runs of their own


def run_of(script, *arguments):
    """The report of a run on `auto`, and what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        path, result = os.path.join(folder, "job.py"), os.path.join(folder, "result.json")
        with open(path, "w") as file:
            file.write(script)
        env = {**os.environ, "LAKERUN_ENGINE": "auto", "LAKERUN_RESULT": result, "TMPDIR": folder}
        for name in ("SPARK_REMOTE", "SPARK_CONNECT_MODE_ENABLED"):
            env.pop(name, None)
        done = subprocess.run([sys.executable, "-m", "lakerun_spark.launcher", "glueetl", path, *arguments], env=env, cwd=folder, capture_output=True, text=True)
        if not os.path.exists(result):
            raise AssertionError(f"no report: {done.stderr[-2000:]}")
        with open(result) as file:
            report = json.load(file)
        return report.get("moved") or report["error"], done.stdout


HEAD = """
from pyspark import SparkConf
from pyspark.context import SparkContext
from awsglue.context import GlueContext
from pyspark.sql import functions as F
"""


@of_sail
def settings_of_a_context_are_the_sessions():
    """Dynamic overwrite by SparkConf: the other partitions stay."""
    for at, settings in enumerate(("conf.set(name, 'dynamic')\nsc = SparkContext(conf=conf)", "conf.set(name, 'dynamic')\nsc = SparkContext.getOrCreate(conf=conf)",
                                   "sc = SparkContext.getOrCreate()\nsc._conf.set(name, 'dynamic')")):
        url = f"s3://{BUCKET}/dynamic/{at}/"
        found = run_of(HEAD + f"""
name = "spark.sql.sources.partitionOverwriteMode"
conf = SparkConf().setAppName("a").set("spark.executor.memory", "4g")
{settings}
spark = GlueContext(sc).spark_session
spark.createDataFrame([(1, "a"), (2, "b")], "v int, k string").write.partitionBy("k").parquet("{url}")
spark.createDataFrame([(3, "b")], "v int, k string").write.mode("overwrite").partitionBy("k").parquet("{url}")
print(sorted([*row] for row in spark.read.parquet("{url}").collect()))
""")
        equal(found, (None, "[[1, 'a'], [3, 'b']]\n"))


@of_sail
def settings_that_are_not_proven_move():
    for lines, wanted in (
        ('conf.set("spark.sql.caseSensitive", "true")\nspark = GlueContext(SparkContext(conf=conf)).spark_session', "setting:spark.sql.caseSensitive=true"),
        ('sc = SparkContext()\nsc._jsc.hadoopConfiguration().set("fs.s3a.x", "y")', "the Hadoop option fs.s3a.x"),
        ('spark = GlueContext(SparkContext(appName="x")).spark_session\nspark.conf.set("spark.executor.cores", "2")', None),
    ):
        equal((lines, run_of(HEAD + "conf = SparkConf()\n" + lines)[0]), (lines, wanted))


@of_sail
def a_setting_that_is_unset():
    url = f"s3://{BUCKET}/unset/"
    found = run_of(HEAD + f"""
spark = GlueContext(SparkContext()).spark_session
spark.createDataFrame([(1, "a"), (2, "b")], "v int, k string").write.partitionBy("k").parquet("{url}")
spark.conf.set("spark.sql.sources.partitionOverwriteMode", "dynamic")
spark.conf.unset("spark.sql.sources.partitionOverwriteMode")
spark.createDataFrame([(3, "b")], "v int, k string").write.mode("overwrite").partitionBy("k").parquet("{url}")
print(sorted([*row] for row in spark.read.parquet("{url}").collect()))
""")
    equal(found, (None, "[[3, 'b']]\n"))


FORK = """
import os, socket
sc = SparkContext()
spark = GlueContext(sc).spark_session
child = os.fork()
if not child:
    try:
        {body}
    finally:
        os._exit(0)
os.waitpid(child, 0)
{after}
"""


@of_sail
def what_forks_do_is_the_runs():
    connect = "socket.create_connection(('127.0.0.1', 9)).close()"
    unproven_later = 'spark.conf.set("spark.sql.caseSensitive", "true")'
    why, _ = run_of(HEAD + FORK.format(body=connect, after=unproven_later))
    equal(("cannot start over" in why, "by a process that the script has forked" in why), (True, True))
    # Before the fork, for the fork cannot.
    why, _ = run_of(HEAD + FORK.format(body=connect, after="F.reflect(F.lit('java.lang.Math'))"))
    equal(why, "function:reflect (looked for before a fork)")
    # What cannot be proven in a fork is the fork's error, and the run's own end stands.
    why, told = run_of(HEAD + "from lakerun_spark import decide\n" + FORK.format(body="decide.move('x')", after="print('went on')"))
    equal((why, told), (None, "went on\n"))
    why, _ = run_of(HEAD + FORK.format(body="pass", after=unproven_later))
    equal(why, "setting:spark.sql.caseSensitive=true")


@of_sail
def requests_to_this_server_that_are_no_calls():
    """Signed by hand, a message would be sent twice."""
    script = """
import http.client, os
from urllib.parse import urlsplit
sc = SparkContext()
spark = GlueContext(sc).spark_session
at = urlsplit(os.environ["AWS_ENDPOINT_URL"])
one = http.client.HTTPConnection(at.hostname, at.port)
one.request("{method}", "/queue")
one.getresponse().read()
spark.conf.set("spark.sql.caseSensitive", "true")
"""
    equal("after the request POST" in run_of(HEAD + script.format(method="POST"))[0], True)
    equal(run_of(HEAD + script.format(method="GET"))[0], "setting:spark.sql.caseSensitive=true")


@of_sail
def calls_of_asynchronous_clients():
    found, _ = run_of(HEAD + """
import asyncio, os, sys, types
os.makedirs("fake/aiobotocore")
open("fake/aiobotocore/__init__.py", "w").close()
with open("fake/aiobotocore/client.py", "w") as file:
    file.write("class AioBaseClient:\\n    async def _make_api_call(self, operation, parameters):\\n        return operation\\n")
sys.path.insert(0, "fake")
spark = GlueContext(SparkContext()).spark_session
from aiobotocore.client import AioBaseClient
client = AioBaseClient()
client.meta = types.SimpleNamespace(service_model=types.SimpleNamespace(service_name="sqs"))
print(asyncio.run(client._make_api_call("SendMessage", {})))
spark.conf.set("spark.sql.caseSensitive", "true")
""")
    equal("after the call sqs:SendMessage" in found, True)


@rule
def open_files_of_partitions_are_bounded():
    """All together, not each."""
    import pyarrow as pa
    from lakerun_spark import textfiles

    before, textfiles._FILE_BYTES = textfiles._FILE_BYTES, 60
    try:
        sink = textfiles._sink(textfiles.Format("json", {}, "UTC"), BUCKET, "bounded/", ["v", "k"], ["v"], ["k"], {})
        batch = pa.RecordBatch.from_arrays([pa.array(range(20)), pa.array([str(at % 5) for at in range(20)])], names=["c0", "c1"])
        written = [path for part in sink(iter([batch, batch])) for path in part.column(0).to_pylist()]
    finally:
        textfiles._FILE_BYTES = before
    files = below("bounded/")
    equal((len(written) > 5, sorted(files) == sorted(written), sum(body.count(b"\n") for body in files.values())), (True, True, 40))


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
